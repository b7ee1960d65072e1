//! Blosc 1: blocks, filtered and compressed, behind a header of sixteen bytes.
//!
//! ```text
//! version=2  versionlz  flags  typesize | nbytes u32 | blocksize u32 | cbytes u32
//! ```
//!
//! * Flags: 0x01 byte shuffle, 0x02 stored (nbytes raw bytes follow), 0x04 bit shuffle, 0x08 never
//!   set, 0x10 blocks are not split; the upper three bits name the compressor.
//! * If not stored, one u32 a block says where in the frame it begins. All integers are
//!   little-endian.
//! * A block is one stream, or as many as an element has bytes: if 0x10 is not set, elements have
//!   at most 16 bytes, there are at least 128 of them in a block, and it is not the shorter last.
//! * A stream is its size as an i32 and that many bytes; they are raw where the size equals that
//!   of the decoded stream.
//!
//! What makes it fast: scratch memory and contexts are kept in [`Context`]; a raw stream is filtered
//! where it lies in the frame; a range decodes only its blocks, and of a split block only the streams'
//! beginnings.

mod decode;
mod encode;
mod frame;
mod streams;

pub use self::decode::{decode, decode_range, decode_to_vec, Header};
pub use self::encode::{encode, Layout};
pub use self::frame::{Compressor, Params, Shuffle};
pub use self::streams::Context;

#[cfg(test)]
mod tests;
