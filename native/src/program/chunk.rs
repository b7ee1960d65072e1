//! Decoding one chunk, or a part of it, into the caller's memory.
//!
//! A chunk is decoded straight to where its elements belong if they lie there in one run, and into
//! scratch memory of the thread otherwise.

use std::ops::Range;
use std::sync::Arc;

use super::block::Block;
use super::chain::{Between, Chain, Peeled};
use crate::codecs::{ByteCodec, Contexts};
use crate::copy::{self, Target};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "bytes";
const TOO_LARGE: &str = "the chunk is larger than the address space";

/// Buffers and contexts that a thread keeps from chunk to chunk.
#[derive(Default)]
pub struct Scratch {
    /// The content of a file.
    pub file: Vec<u8>,
    /// A decoded chunk.
    pub decoded: Vec<u8>,
    /// The memory of the next encoded chunk.
    pub encoded: Vec<u8>,
    /// What two codecs of bytes hand on to each other.
    pub stages: [Vec<u8>; 2],
    /// What codecs of elements hand on to each other.
    pub between: Between,
    /// The codecs' contexts.
    pub contexts: Contexts,
}

/// What the last steps of decoding need of a thread's [`Scratch`].
pub struct Room<'a> {
    decoded: &'a mut Vec<u8>,
    between: &'a mut Between,
    contexts: &'a mut Contexts,
}

impl Scratch {
    /// Return about the bytes that are allocated.
    pub fn footprint(&self) -> usize {
        let [left, right] = &self.stages;
        let buffers = [&self.file, &self.decoded, &self.encoded, left, right];
        let bytes: usize = buffers.iter().map(|buffer| buffer.capacity()).sum();
        bytes + self.between.footprint() + self.contexts.footprint()
    }

    /// Return the stages apart from the rest, without the content of a file.
    pub fn split(&mut self) -> (&mut [Vec<u8>; 2], Room<'_>) {
        let room = Room {
            decoded: &mut self.decoded,
            between: &mut self.between,
            contexts: &mut self.contexts,
        };
        (&mut self.stages, room)
    }
}

/// How a chunk is coded: its chain of codecs, and the block that it decodes to.
pub struct Chunk {
    /// The codecs, which chunks of all shapes share.
    pub chain: Arc<Chain>,
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
    /// Return the same chunk of another shape.
    pub fn of_shape(&self, shape: Vec<usize>) -> Result<Chunk> {
        let block = self.block.of_shape(shape, self.chain.item);
        let block = block.ok_or_else(|| Error::codec(STAGE, TOO_LARGE.to_owned()))?;
        Ok(Chunk {
            chain: Arc::clone(&self.chain),
            block,
        })
    }

    /// Copy the elements that factors select in an encoded chunk to their places.
    pub fn place(
        &self,
        data: &[u8],
        factors: &[copy::Factor],
        dst: &mut Target,
        scratch: &mut Scratch,
        stop: Stop,
    ) -> Result<()> {
        let (stages, room) = scratch.split();
        let nbytes = self.block.nbytes;
        let peeled = self.chain.peel(data, nbytes, stages, room.contexts, stop)?;
        let part = Part {
            peeled,
            range: 0..nbytes,
        };
        self.put(part, factors, dst, room, stop)
    }

    /// Copy the elements that factors select in a part of the decoded chunk to their places; their
    /// source is that part.
    pub fn put(
        &self,
        part: Part,
        factors: &[copy::Factor],
        dst: &mut Target,
        room: Room,
        stop: Stop,
    ) -> Result<()> {
        let Part {
            peeled,
            range: part,
        } = part;
        let (chain, nbytes) = (&self.chain, self.block.nbytes);
        let (codec, bytes) = match peeled {
            Peeled::Coded(codec, bytes) if chain.untyped() || chain.in_place() => (codec, bytes),
            Peeled::Raw(bytes) if chain.untyped() => {
                let found = bytes.get(part).filter(|_| bytes.len() == nbytes);
                let found = found.ok_or_else(|| self.wrong_size(bytes.len()))?;
                return copy::copy(found.into(), dst, chain.item, factors, chain.swap);
            }
            _ => {
                // Factors that reach nothing, or too far, are left to the copy.
                let asked = copy::source_extent(chain.item, factors, part.len());
                let asked = asked.filter(|_| chain.elements_in_parts());
                let asked = asked.unwrap_or(0..part.len());
                let factors = copy::from_later(factors, asked.start);
                let range = part.start + asked.start..part.start + asked.end;
                let Room {
                    decoded,
                    between,
                    contexts,
                } = room;
                let Between { encoded, stages } = between;
                let source = chain.source(range.clone(), nbytes);
                let bytes = self.encoded(peeled, source, encoded, contexts, stop)?;
                return self.put_elements(bytes, range, &factors, dst, decoded, stages);
            }
        };
        let extent = copy::source_extent(chain.item, factors, part.len()).unwrap_or(0..part.len());
        // Of the other codecs, some can leave out the end.
        let (asked, until) = match codec.in_parts() {
            true => (extent.clone(), extent.len()),
            false => (0..part.len(), extent.end),
        };
        let range = part.start + asked.start..part.start + asked.end;
        let mut decode = |to: &mut [u8]| {
            if range == (0..nbytes) {
                codec.decode_start(bytes, to, until, room.contexts, stop)?;
            } else {
                codec.decode_part(bytes, nbytes, range.clone(), to, room.contexts, stop)?;
            }
            if chain.untyped() {
                return Ok(());
            }
            chain.decode_in_place(&mut to[..until])
        };
        let factors = copy::from_later(factors, asked.start);
        let size = asked.len();
        if chain.swap.is_none() {
            if let Some(start) = copy::contiguous_run(chain.item, &factors, size, dst) {
                return decode(dst.run(start, size)?);
            }
        }
        let decoded = memory::grown(room.decoded, size, STAGE)?;
        decode(decoded)?;
        copy::copy((&*decoded).into(), dst, chain.item, &factors, chain.swap)
    }

    /// Copy the elements that factors select in a part of the decoded chunk, `range`, to their places.
    /// The bytes are the encoded elements of that part.
    pub fn put_raw(
        &self,
        bytes: &[u8],
        range: Range<usize>,
        factors: &[copy::Factor],
        dst: &mut Target,
        room: Room,
    ) -> Result<()> {
        let chain = &self.chain;
        if chain.untyped() {
            return copy::copy(bytes.into(), dst, chain.item, factors, chain.swap);
        }
        let stages = &mut room.between.stages;
        self.put_elements(bytes, range, factors, dst, room.decoded, stages)
    }

    /// Decode the elements of a part, and copy those that factors select to their places.
    fn put_elements(
        &self,
        bytes: &[u8],
        range: Range<usize>,
        factors: &[copy::Factor],
        dst: &mut Target,
        decoded: &mut Vec<u8>,
        stages: &mut [Vec<u8>; 2],
    ) -> Result<()> {
        let (chain, nbytes, size) = (&self.chain, self.block.nbytes, range.len());
        if let Some(start) = copy::contiguous_run(chain.item, factors, size, dst) {
            let run = dst.run(start, size)?;
            return chain.decode_elements(bytes, nbytes, range, run, stages);
        }
        let decoded = memory::grown(decoded, size, STAGE)?;
        chain.decode_elements(bytes, nbytes, range, decoded, stages)?;
        copy::copy((&*decoded).into(), dst, chain.item, factors, None)
    }

    /// Return encoded elements: those of the range `source`, or all of them.
    fn encoded<'a>(
        &self,
        peeled: Peeled<'a>,
        source: Option<Range<usize>>,
        buffer: &'a mut Vec<u8>,
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<&'a [u8]> {
        let nbytes = self.block.nbytes;
        let total = self.chain.encoded_elements(nbytes);
        let all: &[u8] = match (peeled, total) {
            (Peeled::Raw(bytes), _) => bytes,
            (Peeled::Coded(codec, bytes), None) => {
                let most = self.chain.most_encoded(nbytes);
                codec.decode_into(bytes, None, most, buffer, contexts, stop)?;
                buffer
            }
            (Peeled::Coded(codec, bytes), Some(total)) => {
                if let Some(source) = source.clone().filter(|_| codec.in_parts()) {
                    let part = memory::grown(buffer, source.len(), STAGE)?;
                    codec.decode_part(bytes, total, source, part, contexts, stop)?;
                    return Ok(part);
                }
                let all = memory::grown(buffer, total, STAGE)?;
                codec.decode(bytes, all, contexts, stop)?;
                all
            }
        };
        let found = match source {
            Some(source) => all.get(source),
            None => Some(all),
        };
        let right = total.is_none_or(|total| total == all.len());
        found
            .filter(|_| right)
            .ok_or_else(|| self.wrong_size(all.len()))
    }

    /// Decode a whole chunk into `out`, in memory's byte order and the stored order of axes.
    pub fn decode(
        &self,
        data: &[u8],
        out: &mut [u8],
        scratch: &mut Scratch,
        stop: Stop,
    ) -> Result<()> {
        let (chain, nbytes) = (&self.chain, self.block.nbytes);
        let (stages, room) = scratch.split();
        let Room {
            between, contexts, ..
        } = room;
        let peeled = chain.peel(data, nbytes, stages, contexts, stop)?;
        if !chain.untyped() && !chain.in_place() {
            let Between { encoded, stages } = between;
            let bytes = self.encoded(peeled, None, encoded, contexts, stop)?;
            return chain.decode_elements(bytes, nbytes, 0..nbytes, out, stages);
        }
        match peeled {
            Peeled::Raw(bytes) if bytes.len() == out.len() => out.copy_from_slice(bytes),
            Peeled::Raw(bytes) => return Err(self.wrong_size(bytes.len())),
            Peeled::Coded(codec, bytes) => codec.decode(bytes, out, contexts, stop)?,
        }
        chain.decode_in_place(out)
    }

    /// Return the decoded bytes of the largest block that the first codec of bytes decodes as a whole.
    pub fn block_size(&self, codec: &ByteCodec, data: &[u8]) -> Result<usize> {
        let nbytes = self.block.nbytes;
        let total = self.chain.encoded_elements(nbytes).unwrap_or(nbytes);
        let size = codec.block_size(data, total)?;
        if total == nbytes {
            return Ok(size);
        }
        let elements = nbytes / self.chain.item;
        let elements = size as u128 * elements as u128 / total.max(1) as u128;
        Ok((elements as usize).max(1) * self.chain.item)
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

    /// Return the size of a stored chunk without codecs of bytes, which must be that of its elements.
    pub fn right_size(&self, size: u64) -> Result<usize> {
        let found = usize::try_from(size).unwrap_or(usize::MAX);
        match self.chain.encoded_elements(self.block.nbytes) {
            Some(expected) if expected == found => Ok(found),
            _ => Err(self.wrong_size(found)),
        }
    }

    /// Return the error for a chunk of too few or too many bytes.
    pub fn wrong_size(&self, found: usize) -> Error {
        let nbytes = self.block.nbytes;
        Error::codec(
            STAGE,
            format!(
                "expected {} bytes for a chunk of shape {:?}, found {found}",
                self.chain.encoded_elements(nbytes).unwrap_or(nbytes),
                self.block.shape
            ),
        )
    }
}
