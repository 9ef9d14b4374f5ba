//! The Huffman code of RFC 7541 §5.2 and Appendix B: the code, and its two directions.

pub(crate) mod code;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod validate;

pub use code::LENGTHS as HUFFMAN_LENGTHS;
