//! The Huffman code of RFC 7541 §5.2 and Appendix B.

pub mod code;
pub mod decode;
pub mod encode;
