//! Blosc 1: blocks, filtered and compressed, behind a header of sixteen bytes.
//!
//! ```text
//! version=2  versionlz  flags  typesize | nbytes u32 | blocksize u32 | cbytes u32
//! ```
//!
//! * Flags: 0x01 byte shuffle, 0x02 stored (nbytes raw bytes follow), 0x04 bit shuffle, 0x08 never
//!   set, 0x10 blocks are not split; the upper three bits name the compressor.
//! * If the frame is not stored, one u32 for each block is its offset in the frame. All integers
//!   are little-endian.
//! * A block is one stream, or as many as an element has bytes: if 0x10 is not set, elements have
//!   at most 16 bytes, there are at least 128 of them in a block, and it is not the shorter last.
//! * A stream is its size as an i32 and that many bytes; they are raw if the size equals that of
//!   the decoded stream.
//!
//! What makes it fast: scratch memory and contexts are kept in [`Context`]; a raw stream is filtered
//! where it lies in the frame; a range decodes only its blocks, and of a split block only the streams'
//! beginnings.

mod blocks;
mod decode;
mod encode;
mod frame;
mod streams;

use std::ops::Range;

pub use self::blocks::Blocks;
use self::decode::{decode, decode_large, decode_range, decode_to_vec, Header};
use self::encode::encode;
pub use self::encode::Layout;
pub use self::frame::Params;
use self::frame::STAGE;
pub use self::streams::Context;
use super::codec::{Codec, Contexts};
use crate::error::Result;
use crate::objects::Stop;

impl Codec for Params {
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        (name == STAGE).then(|| Params::parse(numbers, word))?
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        match stop {
            Some(stop) => decode_large(self.frame(data), dst, contexts.of(), stop),
            None => decode(self.frame(data), dst, contexts.of()),
        }
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()> {
        decode_to_vec(data, out, limit, contexts.of())
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        encode(data, out, self, contexts.of())
    }

    fn promptly(&self) -> usize {
        self.promptly()
    }

    fn in_parts(&self) -> bool {
        true
    }

    fn block_size(&self, data: &[u8], size: usize) -> Result<usize> {
        Ok(Header::parse(self.frame(data), size)?.block_size())
    }

    fn decode_part(
        &self,
        data: &[u8],
        size: usize,
        part: Range<usize>,
        dst: &mut [u8],
        contexts: &mut Contexts,
    ) -> Result<()> {
        decode_range(
            self.frame(data),
            size,
            part.start,
            part.end,
            dst,
            contexts.of(),
        )
    }
}

#[cfg(test)]
mod tests;
