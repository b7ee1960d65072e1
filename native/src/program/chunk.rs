//! Decoding one chunk, or a part of it, into the caller's memory.
//!
//! A chunk is decoded straight to where its elements belong if they lie there in one run, and into
//! scratch memory of the thread otherwise.

use std::ops::Range;

use super::block::Block;
use super::chain::{Chain, Peeled};
use crate::codecs::{swap, Contexts};
use crate::copy::{self, Target};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "bytes";

/// Buffers and contexts that a thread keeps from chunk to chunk.
#[derive(Default)]
pub struct Scratch {
    /// The content of a file.
    pub file: Vec<u8>,
    /// A decoded chunk.
    pub decoded: Vec<u8>,
    /// What two codecs hand on to each other.
    pub stages: [Vec<u8>; 2],
    /// The codecs' contexts.
    pub contexts: Contexts,
}

impl Scratch {
    /// Return about the bytes that are allocated.
    pub fn footprint(&self) -> usize {
        let [left, right] = &self.stages;
        let buffers = [&self.file, &self.decoded, left, right];
        let bytes: usize = buffers.iter().map(|buffer| buffer.capacity()).sum();
        bytes + self.contexts.footprint()
    }
}

/// How a chunk is coded: its chain of codecs, and the block that it decodes to.
pub struct Chunk {
    /// The codecs.
    pub chain: Chain,
    /// The decoded chunk.
    pub block: Block,
}

/// A part of a decoded chunk, and the bytes from which it is decoded.
pub struct Part<'a> {
    /// The bytes before the last step of decoding.
    pub peeled: Peeled<'a>,
    /// The part of the decoded chunk.
    pub range: Range<usize>,
}

impl Chunk {
    /// Copy the elements that factors select in an encoded chunk to their places.
    pub fn place(
        &self,
        data: &[u8],
        factors: &[copy::Factor],
        dst: &mut Target,
        scratch: &mut Scratch,
        stop: Stop,
    ) -> Result<()> {
        let Scratch {
            decoded,
            stages,
            contexts,
            ..
        } = scratch;
        let nbytes = self.block.nbytes;
        let peeled = self.chain.peel(data, nbytes, stages, contexts, stop)?;
        let part = Part {
            peeled,
            range: 0..nbytes,
        };
        self.put(part, factors, dst, decoded, contexts, stop)
    }

    /// Copy the elements that factors select in a part of the decoded chunk to their places; their
    /// source is that part. `scratch` is memory that may be used.
    pub fn put(
        &self,
        part: Part,
        factors: &[copy::Factor],
        dst: &mut Target,
        scratch: &mut Vec<u8>,
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<()> {
        let Part {
            peeled,
            range: part,
        } = part;
        let (chain, nbytes) = (&self.chain, self.block.nbytes);
        let (codec, bytes) = match peeled {
            Peeled::Raw(bytes) if bytes.len() != nbytes => return Err(self.wrong_size(bytes.len())),
            Peeled::Raw(bytes) => return self.put_raw(&bytes[part], factors, dst, scratch),
            Peeled::Coded(codec, bytes) => (codec, bytes),
        };
        // Factors that reach nothing, or too far, are left to the copy.
        let asked = match copy::source_extent(chain.item, factors, part.len()) {
            Some(asked) if codec.in_parts() => asked,
            _ => 0..part.len(),
        };
        let range = part.start + asked.start..part.start + asked.end;
        let mut decode =
            |to: &mut [u8]| codec.decode_part(bytes, nbytes, range.clone(), to, contexts, stop);
        let factors = copy::from_later(factors, asked.start);
        let size = asked.len();
        if chain.swap.is_none() && !chain.boolean {
            if let Some(start) = copy::contiguous_run(chain.item, &factors, size, dst) {
                return decode(dst.run(start, size)?);
            }
        }
        let decoded = memory::grown(scratch, size, STAGE)?;
        decode(decoded)?;
        if chain.boolean {
            to_truth(decoded);
        }
        copy::copy((&*decoded).into(), dst, chain.item, &factors, chain.swap)
    }

    /// Copy the elements that factors select in decoded bytes to their places. `scratch` is memory
    /// that may be used.
    pub fn put_raw(
        &self,
        bytes: &[u8],
        factors: &[copy::Factor],
        dst: &mut Target,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let chain = &self.chain;
        if !chain.boolean {
            return copy::copy(bytes.into(), dst, chain.item, factors, chain.swap);
        }
        let truths = memory::grown(scratch, bytes.len(), STAGE)?;
        truths.copy_from_slice(bytes);
        to_truth(truths);
        copy::copy((&*truths).into(), dst, chain.item, factors, chain.swap)
    }

    /// Decode a whole chunk into `out`, in memory's byte order and the stored order of axes.
    pub fn decode(
        &self,
        data: &[u8],
        out: &mut [u8],
        stages: &mut [Vec<u8>; 2],
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<()> {
        let chain = &self.chain;
        match chain.peel(data, self.block.nbytes, stages, contexts, stop)? {
            Peeled::Raw(bytes) if bytes.len() == out.len() => out.copy_from_slice(bytes),
            Peeled::Raw(bytes) => return Err(self.wrong_size(bytes.len())),
            Peeled::Coded(codec, bytes) => codec.decode(bytes, out, contexts, stop)?,
        }
        self.to_memory_order(out)
    }

    /// Bring decoded elements to the form that they have in memory.
    pub fn to_memory_order(&self, bytes: &mut [u8]) -> Result<()> {
        if self.chain.boolean {
            to_truth(bytes);
        }
        match self.chain.swap {
            Some(unit) => swap::in_place(bytes, unit),
            None => Ok(()),
        }
    }

    /// Return the most bytes that the stored chunk may have. No compressor makes more of its input, and
    /// some writers leave padding behind it.
    pub fn most_stored(&self) -> u64 {
        self.chain.most_encoded(self.block.nbytes) as u64
    }

    /// Return the size of a stored chunk, before it is read, if it may have that many bytes.
    pub fn stored_size(&self, size: u64) -> Result<usize> {
        let most = self.most_stored();
        if size > most {
            return Err(Error::codec(
                STAGE,
                format!(
                    "more than {most} bytes are stored, which is more than a chunk of shape {:?} takes",
                    self.block.shape
                ),
            ));
        }
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// Return the error for a chunk of too few or too many bytes.
    pub fn wrong_size(&self, found: usize) -> Error {
        Error::codec(
            STAGE,
            format!(
                "expected {} bytes for a chunk of shape {:?}, found {found}",
                self.block.nbytes, self.block.shape
            ),
        )
    }
}

fn to_truth(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = u8::from(*byte != 0);
    }
}
