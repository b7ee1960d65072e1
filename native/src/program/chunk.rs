//! Decode and encode one chunk: a codec chain compiled for one array.
//!
//! * A transpose costs nothing: it decides the strides of the decoded chunk, and the copy follows
//!   them. A byte swap is part of the copy, too.
//! * A chunk is decoded straight into the caller's memory where its bytes belong there in one run,
//!   else into scratch that is kept for each thread.
//! * The size that every codec decodes to is known before the data is looked at.

use crate::codecs::{swap, ByteCodec, Contexts};
use crate::copy::{self, Target};
use crate::error::{Error, Result};
use crate::program::shard::Shard;
use std::ops::Range;

/// The most bytes of a shared chunk that are one worker's in one go, if the codec's blocks are no
/// larger: a few milliseconds.
pub const SLAB: usize = 4 << 20;

/// Buffers and contexts that a thread keeps from chunk to chunk.
#[derive(Default)]
pub struct Scratch {
    /// What was read from a file.
    pub file: Vec<u8>,
    /// A decoded chunk.
    pub chunk: Vec<u8>,
    /// What two codecs hand on to each other.
    pub stages: [Vec<u8>; 2],
    /// What the codecs keep.
    pub contexts: Contexts,
}

/// A compiled chain, for the stored objects of an array or the inner chunks of its shards.
pub struct Program {
    /// The bytes of one element.
    pub item: usize,
    /// The shape of the chunk, in the axes that factors name.
    pub shape: Vec<usize>,
    /// The distance in bytes of neighbours along each axis of the decoded chunk.
    pub strides: Vec<isize>,
    /// The bytes of the decoded chunk.
    pub nbytes: usize,
    /// The element that missing chunks are made of.
    pub fill: Vec<u8>,
    /// Whether a chunk of nothing but `fill` is left out.
    pub sparse: bool,
    /// The bytes of the units to swap between storage and memory.
    pub swap: Option<usize>,
    /// Whether the elements are truth values, of which every byte but zero means true.
    pub boolean: bool,
    /// The codecs from bytes to bytes, in the order of encoding.
    pub codecs: Vec<ByteCodec>,
    /// What the sharding codec is made of, where it is the serializer.
    pub shard: Option<Box<Shard>>,
}

/// The bytes before the last step of decoding.
#[derive(Clone, Copy)]
pub enum Peeled<'a> {
    /// They are the decoded chunk.
    Raw(&'a [u8]),
    /// They are still to be decoded by the first codec of the chain.
    Coded(&'a ByteCodec, &'a [u8]),
}

impl Program {
    /// Put what a piece asks of an encoded chunk where it belongs.
    pub fn place(
        &self,
        data: &[u8],
        factors: &[copy::Factor],
        dst: &mut Target,
        dst_len: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch {
            chunk,
            stages,
            contexts,
            ..
        } = scratch;
        let peeled = self.peel(data, stages, contexts)?;
        self.put(
            peeled,
            0..self.nbytes,
            factors,
            dst,
            dst_len,
            chunk,
            contexts,
        )
    }

    /// Put what factors ask of a part of the decoded chunk where it belongs; their source is that
    /// part. `chunk` is scratch.
    #[allow(clippy::too_many_arguments)]
    pub fn put(
        &self,
        peeled: Peeled,
        part: Range<usize>,
        factors: &[copy::Factor],
        dst: &mut Target,
        dst_len: usize,
        chunk: &mut Vec<u8>,
        contexts: &mut Contexts,
    ) -> Result<()> {
        let (codec, bytes) = match peeled {
            Peeled::Raw(bytes) if bytes.len() != self.nbytes => {
                return Err(self.wrong_size(bytes.len()))
            }
            Peeled::Raw(bytes) => return self.put_raw(&bytes[part], factors, dst, chunk),
            Peeled::Coded(codec, bytes) => (codec, bytes),
        };
        // What reaches nothing, or too far, is left to the copy.
        let asked = match copy::source_extent(self.item, factors, part.len()) {
            Some(asked) if codec.in_parts() => asked,
            _ => 0..part.len(),
        };
        let range = part.start + asked.start..part.start + asked.end;
        let mut decode =
            |to: &mut [u8]| codec.decode_part(bytes, self.nbytes, range.clone(), to, contexts);
        let factors = copy::from_later(factors, asked.start);
        if self.swap.is_none() && !self.boolean {
            let size = asked.len();
            if let Some(start) = copy::contiguous_run(self.item, &factors, size, dst_len) {
                return decode(dst.run(start, size)?);
            }
        }
        grow(chunk, asked.len());
        let decoded = &mut chunk[..asked.len()];
        decode(decoded)?;
        if self.boolean {
            truth(decoded);
        }
        copy::copy((&*decoded).into(), dst, self.item, &factors, self.swap)
    }

    /// Choose how many rows along that axis are a slab, where `bytes` of the chunk are shared by some
    /// threads, `least` is the fewest bytes worth one, and `block` are decoded together.
    pub fn slab_rows(
        &self,
        axis: usize,
        bytes: usize,
        threads: usize,
        least: usize,
        block: usize,
    ) -> usize {
        let pace = self.strides[axis] as usize;
        let least = least.max(block);
        let size = bytes.div_ceil(threads).clamp(least, least.max(SLAB));
        let rows = size.div_ceil(pace);
        // Where a slab ends inside a block, the next one decodes it again.
        let even = block / common(block, pace);
        let rows = if even <= rows {
            rows.next_multiple_of(even)
        } else {
            rows
        };
        rows.min(self.shape[axis])
    }

    /// Put what factors ask of decoded bytes where it belongs. `chunk` is scratch.
    pub fn put_raw(
        &self,
        bytes: &[u8],
        factors: &[copy::Factor],
        dst: &mut Target,
        chunk: &mut Vec<u8>,
    ) -> Result<()> {
        if !self.boolean {
            return copy::copy(bytes.into(), dst, self.item, factors, self.swap);
        }
        grow(chunk, bytes.len());
        let truths = &mut chunk[..bytes.len()];
        truths.copy_from_slice(bytes);
        truth(truths);
        copy::copy((&*truths).into(), dst, self.item, factors, self.swap)
    }

    /// Tell whether parts of a chunk can be decoded each on its own.
    pub fn in_parts(&self) -> bool {
        let checksum = |codec: &ByteCodec| matches!(codec, ByteCodec::Checksum(..));
        self.shard.is_none()
            && match self.codecs.split_first() {
                Some((first, others)) => {
                    (first.in_parts() || checksum(first)) && others.iter().all(checksum)
                }
                None => true,
            }
    }

    /// Give the axis along which the decoded chunk is a row of contiguous slabs; `None` if it holds
    /// a single element.
    pub fn slab_axis(&self) -> Option<usize> {
        (0..self.shape.len())
            .filter(|axis| self.shape[*axis] > 1)
            .max_by_key(|axis| self.strides[*axis])
    }

    /// Decode a whole chunk into `out`, in memory's byte order and the stored order of axes.
    pub fn decode(
        &self,
        data: &[u8],
        out: &mut [u8],
        stages: &mut [Vec<u8>; 2],
        contexts: &mut Contexts,
    ) -> Result<()> {
        match self.peel(data, stages, contexts)? {
            Peeled::Raw(bytes) if bytes.len() == out.len() => out.copy_from_slice(bytes),
            Peeled::Raw(bytes) => return Err(self.wrong_size(bytes.len())),
            Peeled::Coded(codec, bytes) => codec.decode(bytes, out, contexts)?,
        }
        if self.boolean {
            truth(out);
        }
        if let Some(unit) = self.swap {
            swap::in_place(out, unit)?;
        }
        Ok(())
    }

    /// Undo all codecs but the first. The stages are not used where a chunk is decoded in parts.
    pub fn peel<'a>(
        &'a self,
        data: &'a [u8],
        stages: &'a mut [Vec<u8>; 2],
        contexts: &mut Contexts,
    ) -> Result<Peeled<'a>> {
        let [left, right] = stages;
        let mut current = data;
        let mut free = [Some(left), Some(right)];
        let mut turn = 0;
        for (place, codec) in self.codecs.iter().enumerate().rev() {
            if let Some(stripped) = codec.strip(current)? {
                current = stripped;
            } else if place == 0 {
                return Ok(Peeled::Coded(codec, current));
            } else {
                let size = self.size_before(place);
                let Some(buffer) = free.get_mut(turn).and_then(Option::take) else {
                    return Err(Error::codec(
                        codec.name(),
                        "more than three compressors in a chain are not handled here",
                    ));
                };
                turn += 1;
                codec.decode_unknown(current, size, buffer, contexts)?;
                current = buffer;
            }
        }
        Ok(Peeled::Raw(current))
    }

    /// Give the size of what codec `place` encodes, where it is known.
    fn size_before(&self, place: usize) -> Option<usize> {
        self.codecs[..place]
            .iter()
            .try_fold(self.nbytes, |size, codec| codec.encoded_size(size))
    }

    /// Encode a chunk, in memory's byte order and the stored order of axes; `chunk` is used up.
    pub fn encode(
        &self,
        chunk: &mut [u8],
        out: &mut Vec<u8>,
        stages: &mut [Vec<u8>; 2],
        contexts: &mut Contexts,
    ) -> Result<()> {
        self.turn(chunk)?;
        encode_by(&self.codecs, chunk, out, stages, contexts)
    }

    /// Go on with what the first codec has encoded.
    pub fn encode_rest(
        &self,
        encoded: &[u8],
        out: &mut Vec<u8>,
        stages: &mut [Vec<u8>; 2],
        contexts: &mut Contexts,
    ) -> Result<()> {
        let rest = self.codecs.get(1..).unwrap_or_default();
        encode_by(rest, encoded, out, stages, contexts)
    }

    /// Bring a chunk from memory's byte order to that of storage.
    pub fn turn(&self, chunk: &mut [u8]) -> Result<()> {
        match self.swap {
            Some(unit) => swap::in_place(chunk, unit),
            None => Ok(()),
        }
    }

    /// Tell whether an encoded chunk is its elements as they are in memory.
    pub fn plain(&self) -> bool {
        self.codecs.is_empty() && self.swap.is_none() && !self.boolean
    }

    /// Say that the bytes of a chunk are too few or too many.
    pub fn wrong_size(&self, found: usize) -> Error {
        Error::codec(
            "bytes",
            format!(
                "expected {} bytes for a chunk of shape {:?}, found {found}",
                self.nbytes, self.shape
            ),
        )
    }
}

fn encode_by(
    codecs: &[ByteCodec],
    data: &[u8],
    out: &mut Vec<u8>,
    stages: &mut [Vec<u8>; 2],
    contexts: &mut Contexts,
) -> Result<()> {
    let Some((last, others)) = codecs.split_last() else {
        out.extend_from_slice(data);
        return Ok(());
    };
    // What one codec gives is what the next takes, so two buffers take turns.
    let [left, right] = stages;
    let (mut given, mut taken) = (left, right);
    for (place, codec) in others.iter().enumerate() {
        taken.clear();
        let current: &[u8] = if place == 0 { data } else { given };
        codec.encode(current, taken, contexts)?;
        std::mem::swap(&mut given, &mut taken);
    }
    let current: &[u8] = if others.is_empty() { data } else { given };
    last.encode(current, out, contexts)
}

/// Make a buffer at least so long, without clearing what it holds.
pub fn grow(buffer: &mut Vec<u8>, size: usize) {
    if buffer.len() < size {
        buffer.resize(size, 0);
    }
}

/// Give the largest number that divides both.
fn common(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        common(b, a % b)
    }
}

fn truth(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = u8::from(*byte != 0);
    }
}
