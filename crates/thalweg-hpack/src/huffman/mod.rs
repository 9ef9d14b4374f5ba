//! The Huffman code of RFC 7541 §5.2 and Appendix B: the code, and its two directions.

pub mod code;
pub mod decode;
pub mod encode;
pub mod validate;

pub use code::LENGTHS as HUFFMAN_LENGTHS;
