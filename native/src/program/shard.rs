//! The bytes of a shard: its index, and where inner chunks lie.
//!
//! * The index is untrusted. It is checked as a whole before a byte is read through it: every inner
//!   chunk lies inside the shard, outside the index, and overlaps no other. Gaps are allowed, and so
//!   are several inner chunks with the very same range.
//! * This file knows the bytes. `read.rs` and `write.rs` run pieces over inner chunks.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::chunk::{Chunk, Scratch};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Value;
use crate::plan::{Factor, Piece};

/// What an index states for an inner chunk that is not stored.
pub const MISSING: u64 = u64::MAX;

const STAGE: &str = "sharding_indexed index";

/// The offset and size of an inner chunk; both are `MISSING` if it is not stored.
pub type Entry = (u64, u64);

/// How the stored objects of an array, or the inner chunks of its shards, are coded.
pub struct Program {
    /// The chunk that an object decodes to. A shard has no codecs of its own.
    pub chunk: Chunk,
    /// The inside of the object if it is a shard.
    pub shard: Option<Box<Shard>>,
}

/// A program for a chunk of a certain shape.
pub enum Fitted<'a> {
    /// That of all chunks.
    Common(&'a Program),
    /// One of its own.
    Own(Box<Program>),
}

impl Deref for Fitted<'_> {
    type Target = Program;

    fn deref(&self) -> &Program {
        match self {
            Fitted::Common(program) => program,
            Fitted::Own(program) => program,
        }
    }
}

impl Program {
    /// Return the program for the chunk of a piece.
    pub fn of(&self, piece: &Piece) -> Result<Fitted<'_>> {
        let Some(shape) = piece.shape(&self.chunk.block.shape) else {
            return Ok(Fitted::Common(self));
        };
        let shard = match &self.shard {
            Some(shard) => Some(Box::new(shard.of_shape(shard.turned_extent(&shape))?)),
            None => None,
        };
        let chunk = self.chunk.of_shape(shape)?;
        Ok(Fitted::Own(Box::new(Program { chunk, shard })))
    }
}

/// The shards of one array.
pub struct Shard {
    /// How inner chunks are coded.
    pub inner: Arc<Program>,
    /// The shape of a shard, in its own axes.
    pub shape: Vec<usize>,
    /// The shape of an inner chunk.
    pub inner_shape: Vec<usize>,
    /// The number of inner chunks along each axis.
    pub grid: Vec<usize>,
    /// For each axis of the stored object, the axis of the shard that it is.
    pub axes: Vec<usize>,
    /// How the index is coded.
    pub index: Chunk,
    /// The size of the encoded index in bytes.
    pub index_size: usize,
    /// Whether the index stands before the inner chunks.
    pub at_start: bool,
}

impl Shard {
    /// Return the same shard of another shape.
    fn of_shape(&self, shape: Vec<usize>) -> Result<Shard> {
        let wrong = |why: &str| Error::codec(STAGE, format!("{why} in a shard of shape {shape:?}"));
        let pairs = || shape.iter().zip(&self.inner_shape);
        if pairs().any(|(size, inner)| size % inner != 0) {
            return Err(wrong("the inner chunks do not fit"));
        }
        let grid: Vec<usize> = pairs().map(|(size, inner)| size / inner).collect();
        let index = self
            .index
            .of_shape(grid.iter().copied().chain([2]).collect())?;
        let size = index.chain.encoded_size(index.block.nbytes);
        let index_size = size.ok_or_else(|| wrong("the size of the index is not known"))?;
        Ok(Shard {
            inner: Arc::clone(&self.inner),
            shape,
            inner_shape: self.inner_shape.clone(),
            grid,
            axes: self.axes.clone(),
            index,
            index_size,
            at_start: self.at_start,
        })
    }

    /// Return the number of inner chunks.
    pub fn count(&self) -> usize {
        self.grid.iter().product()
    }

    /// Return the number of an inner chunk in C order.
    pub fn number(&self, chunk: &[i64]) -> usize {
        chunk
            .iter()
            .zip(&self.grid)
            .fold(0, |number, (k, count)| number * count + *k as usize)
    }

    /// Return the coordinates of the inner chunk with a number.
    pub fn coordinates(&self, mut number: usize) -> Vec<usize> {
        let mut chunk: Vec<usize> = self.grid.iter().map(|_| 0).collect();
        for (k, count) in chunk.iter_mut().zip(&self.grid).rev() {
            *k = number % count;
            number /= count;
        }
        chunk
    }

    /// Return factors in the axes of the shard.
    pub fn turned<'a>(&self, factors: &'a [Factor<'a>]) -> Vec<Factor<'a>> {
        factors
            .iter()
            .map(|factor| match factor {
                Factor::Span {
                    axis,
                    start,
                    step,
                    size,
                    out,
                } => Factor::Span {
                    axis: self.axes[*axis],
                    start: *start,
                    step: *step,
                    size: *size,
                    out: *out,
                },
                Factor::Points { axes, coords, out } => Factor::Points {
                    axes: Cow::Owned(axes.iter().map(|axis| self.axes[*axis]).collect()),
                    coords: coords.iter().map(|row| Cow::Borrowed(&**row)).collect(),
                    out: out.borrowed(),
                },
            })
            .collect()
    }

    /// Return a shape, such as the extent of the valid part, in the axes of the shard.
    pub fn turned_extent(&self, extent: &[usize]) -> Vec<usize> {
        let mut turned: Vec<usize> = extent.iter().map(|_| 0).collect();
        for (axis, size) in extent.iter().enumerate() {
            turned[self.axes[axis]] = *size;
        }
        turned
    }

    /// Return the offset of the index in a shard of `size` bytes.
    pub fn index_offset(&self, size: u64) -> Result<u64> {
        let length = self.index_size as u64;
        if size < length {
            return Err(Error::codec(
                STAGE,
                format!(
                    "the shard's index takes {length} bytes, but the shard has only {size}: it is too \
                     short to hold its index"
                ),
            ));
        }
        Ok(if self.at_start { 0 } else { size - length })
    }

    /// Decode and check an index of a shard of `size` bytes.
    pub fn read_index(&self, data: &[u8], size: u64, scratch: &mut Scratch) -> Result<Vec<Entry>> {
        let mut bytes = memory::zeroed(self.index.block.nbytes, STAGE)?;
        self.index
            .decode(data, &mut bytes, scratch, &|| false)
            .map_err(|error| Error {
                stage: STAGE,
                message: format!("{}: {}", error.stage, error.message),
                ..error
            })?;
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        let rows = bytes.chunks_exact(16);
        let entries = rows.map(|row| (word(&row[..8]), word(&row[8..])));
        let entries: Vec<Entry> = memory::collected(entries, STAGE)?;
        self.check(&entries, size)?;
        Ok(entries)
    }

    fn check(&self, entries: &[Entry], size: u64) -> Result<()> {
        let length = self.index_size as u64;
        let (first, last) = if self.at_start {
            (length, size)
        } else {
            (0, size.saturating_sub(length))
        };
        let used = (0..entries.len()).filter(|n| entries[*n] != (MISSING, MISSING));
        let mut used = memory::collected(used, STAGE)?;
        let wrong = |number: usize, why: String| {
            let (offset, bytes) = entries[number];
            Error::codec(
                STAGE,
                format!(
                    "the shard's index places inner chunk {:?} at offset {offset}, size {bytes}, \
                     which {why}",
                    self.coordinates(number)
                ),
            )
        };
        for number in &used {
            let (offset, bytes) = entries[*number];
            let inside =
                offset >= first && offset.checked_add(bytes).is_some_and(|end| end <= last);
            if !inside {
                return Err(wrong(
                    *number,
                    format!("lies outside bytes {first} to {last}"),
                ));
            }
        }
        used.sort_unstable_by_key(|number| entries[*number]);
        for pair in used.windows(2) {
            let (offset, bytes) = entries[pair[0]];
            // Inner chunks that are equal may share their bytes.
            if entries[pair[1]].0 < offset + bytes && entries[pair[1]] != entries[pair[0]] {
                return Err(wrong(pair[1], "overlaps another".into()));
            }
        }
        Ok(())
    }

    /// Join encoded inner chunks, in C order of their numbers, and their index.
    pub fn assemble<'a>(
        &self,
        pieces: Vec<Option<Cow<'a, [u8]>>>,
        scratch: &mut Scratch,
    ) -> Result<Value<'a>> {
        let mut index = memory::with_room(16 * pieces.len(), STAGE)?;
        let mut offset = if self.at_start { self.index_size } else { 0 };
        for piece in &pieces {
            let entry: Entry = match piece {
                Some(bytes) => (offset as u64, bytes.len() as u64),
                None => (MISSING, MISSING),
            };
            index.extend_from_slice(&entry.0.to_ne_bytes());
            index.extend_from_slice(&entry.1.to_ne_bytes());
            offset += piece.as_ref().map_or(0, |bytes| bytes.len());
        }
        let mut encoded = memory::with_room(self.index_size, STAGE)?;
        let Scratch {
            stages,
            between,
            contexts,
            ..
        } = scratch;
        self.index
            .chain
            .encode(&mut index, &mut encoded, stages, between, contexts)?;
        let (before, after) = if self.at_start {
            (Some(encoded), None)
        } else {
            (None, Some(encoded))
        };
        let pieces = pieces.into_iter().flatten();
        let before = before.into_iter().map(Cow::Owned);
        Value::of(before.chain(pieces).chain(after.map(Cow::Owned)))
    }
}
