//! Read the chunks of a plan, and no more of shards and large chunks than is asked for.
//!
//! * An object that several workers share adds one round: a shard's index is read, or the frame of a
//!   large chunk, and what is asked of it is cut once more, by its inner chunks or by slabs. The
//!   workers share these pieces out evenly, whatever object they are of.
//! * A chunk is shared where there are fewer chunks than threads, and where it is so large that
//!   Ctrl-C would have to wait for it. A slab is what lies together in the decoded chunk, and is
//!   about a whole number of the codec's blocks.
//! * Memory is bounded by what the workers hold: of a shard only its index and the inner chunks under
//!   way are in memory, of shared chunks the encoded bytes of one for each thread.

use std::ops::Range;
use std::sync::Mutex;

use crate::codecs::ByteCodec;
use crate::copy;
use crate::error::{Error, Kind, Result};
use crate::job::{guard, owned, spread, Failure, Failures, Job, Kept, ReadInto};
use crate::objects::{room, Objects, Parts};
use crate::plan::{Factor, Piece, Plan};
use crate::pool::{self, Tasks};
use crate::program::{Entry, Peeled, Program, Scratch, Shard, MISSING, SLAB};

/// The most objects that are open at a time.
const OPEN: usize = 64;

/// What is the same for all pieces of one call.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// How chunks are decoded.
    pub program: &'a Program,
    /// What is read.
    pub plan: &'a Plan,
    /// Where chunks are stored.
    pub objects: &'a dyn Objects,
    /// The memory that the elements are put into.
    pub into: ReadInto<'a>,
    /// What the chunks have in common.
    pub job: Job<'a>,
}

/// An object of which several workers read pieces.
struct Opened<'a> {
    chunk: Vec<i64>,
    parts: Box<dyn Parts + 'a>,
    inside: Inside<'a>,
    /// What is asked of it, cut by what is inside.
    plan: Plan,
}

/// What is inside an opened object.
enum Inside<'a> {
    /// Inner chunks, and where they are.
    Shard(&'a Shard, Vec<Entry>),
    /// Slabs of so many decoded bytes along an axis.
    Chunk {
        /// What was read of it, unless it was in memory before.
        data: Vec<u8>,
        /// Where in that the first codec's bytes are.
        frame: Range<usize>,
        axis: usize,
        slab: usize,
    },
}

impl<'a> Run<'a> {
    /// Read all chunks of the plan. Return `Ok(false)` if `poll` ended the run.
    pub fn read(&self) -> std::result::Result<bool, Failure> {
        let Run {
            program, plan, job, ..
        } = *self;
        let failures = Failures::default();
        let done = if program.shard.is_some() {
            self.in_rounds(OPEN, &failures)
        } else if !self.shares_chunks() {
            spread(
                plan.size(),
                job.threads,
                &job,
                &failures,
                &|number, kept| {
                    let piece = plan.piece(number);
                    self.read_piece(&piece, kept)
                        .map_err(|error| (piece.chunk.clone(), error))
                },
            )
        } else if program.codecs.is_empty() {
            self.in_rounds(OPEN, &failures)
        } else {
            self.in_rounds(job.threads, &failures)
        };
        failures.first().map_or(Ok(done), Err)
    }

    /// Tell whether workers share chunks rather than take one each.
    fn shares_chunks(&self) -> bool {
        let size = self.program.nbytes;
        let few = self.plan.size() < self.job.threads && size / 2 >= self.job.least;
        (few || size > 2 * SLAB) && self.program.in_parts() && self.program.slab_axis().is_some()
    }

    fn read_piece(&self, piece: &Piece, kept: &mut Kept) -> Result<()> {
        let Run { program, into, .. } = *self;
        let Kept { scratch, offsets } = kept;
        let factors = offsets.factors(&piece.factors, &program.strides, into.frame);
        if program.plain() {
            let size = program.nbytes;
            if let Some(start) = copy::contiguous_run(program.item, &factors, size, into.len) {
                let mut target = into.memory.target();
                let run = target.run(start, size)?;
                return match self.objects.read_into(&piece.chunk, run)? {
                    Some(size) if size == program.nbytes as u64 => Ok(()),
                    Some(size) => Err(program.wrong_size(size as usize)),
                    None => self.fill(program, &factors),
                };
            }
        }
        match self.objects.open(&piece.chunk)? {
            Some(parts) => self.read_chunk(program, parts.as_ref(), &factors, scratch),
            None => self.fill(program, &factors),
        }
    }

    /// Read what is asked of a chunk that is not shared.
    fn read_chunk(
        &self,
        program: &Program,
        parts: &dyn Parts,
        factors: &[copy::Factor],
        scratch: &mut Scratch,
    ) -> Result<()> {
        if program.codecs.is_empty() {
            return self.read_raw(program, parts, 0..program.nbytes, factors, scratch);
        }
        let size = usize::try_from(parts.size()).unwrap_or(usize::MAX);
        let mut buffer = std::mem::take(&mut scratch.file);
        let found = parts.read(0, size, &mut buffer).and_then(|bytes| {
            let mut target = self.into.memory.target();
            program.place(bytes, factors, &mut target, self.into.len, scratch)
        });
        scratch.file = buffer;
        found
    }

    /// Read what is asked of a part of a chunk that no codec has changed, and nothing else of it.
    fn read_raw(
        &self,
        program: &Program,
        parts: &dyn Parts,
        part: Range<usize>,
        factors: &[copy::Factor],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let size = parts.size();
        if size != program.nbytes as u64 {
            return Err(program.wrong_size(usize::try_from(size).unwrap_or(usize::MAX)));
        }
        let mut target = self.into.memory.target();
        // What reaches nothing, or too far, is left to the copy.
        let asked = copy::source_extent(program.item, factors, part.len());
        let asked = asked.unwrap_or(0..part.len());
        let offset = (part.start + asked.start) as u64;
        let factors = copy::from_later(factors, asked.start);
        if program.plain() {
            let size = asked.len();
            let run = copy::contiguous_run(program.item, &factors, size, self.into.len);
            if let Some(start) = run {
                return parts.read_into(offset, target.run(start, size)?);
            }
        }
        let Scratch { file, chunk, .. } = scratch;
        let bytes = parts.read(offset, asked.len(), file)?;
        program.put_raw(bytes, &factors, &mut target, chunk)
    }

    fn fill(&self, program: &Program, factors: &[copy::Factor]) -> Result<()> {
        if !self.job.missing {
            return Err(Error {
                kind: Kind::Missing,
                stage: "fetch",
                message: String::new(),
            });
        }
        copy::fill(&mut self.into.memory.target(), factors, &program.fill)
    }

    /// Open some objects at a time, and share out what is asked of them.
    fn in_rounds(&self, most: usize, failures: &Failures) -> bool {
        let (plan, job) = (self.plan, self.job);
        let mut first = 0;
        while first < plan.size() {
            let count = (plan.size() - first).min(most);
            let slots: Vec<Mutex<Option<Opened>>> = (0..count).map(|_| Mutex::new(None)).collect();
            let done = spread(count, job.threads, &job, failures, &|number, kept| {
                let piece = plan.piece(first + number);
                let opened = self
                    .open(&piece, kept)
                    .map_err(|error| (piece.chunk.clone(), error))?;
                *guard(&slots[number]) = opened;
                Ok(())
            });
            if !done {
                return false;
            }
            let opened: Vec<Opened> = slots.into_iter().filter_map(owned).collect();
            let mut ends = Vec::with_capacity(opened.len());
            let mut total = 0;
            for object in &opened {
                total += object.plan.size();
                ends.push(total);
            }
            let tasks = match self.program.shard {
                Some(_) => job.tasks,
                None => Tasks::Brief,
            };
            let inside = Job { tasks, ..job };
            let done = spread(total, job.threads, &inside, failures, &|number, kept| {
                let which = ends.partition_point(|end| *end <= number);
                let object = &opened[which];
                let before = if which == 0 { 0 } else { ends[which - 1] };
                let inner = object.plan.piece(number - before);
                let found = match &object.inside {
                    Inside::Shard(shard, index) => {
                        self.read_inner(shard, object.parts.as_ref(), index, &inner, kept)
                    }
                    Inside::Chunk { .. } => self.read_slab(object, &inner, kept),
                };
                found.map_err(|error| (object.chunk.clone(), error))
            });
            // The room of one is used again by the next call.
            let data = opened.into_iter().find_map(|object| match object.inside {
                Inside::Chunk { data, .. } => Some(data),
                Inside::Shard(..) => None,
            });
            if let Some(data) = data {
                pool::kept(|kept: &mut Kept| kept.scratch.file = data);
            }
            if !done {
                return false;
            }
            first += count;
        }
        true
    }

    /// Open the object of a piece; `None` if it is not stored, and its place is filled then.
    fn open(&self, piece: &Piece, kept: &mut Kept) -> Result<Option<Opened<'a>>> {
        let Run { program, into, .. } = *self;
        let Some(parts) = self.objects.open(&piece.chunk)? else {
            let Kept { offsets, .. } = kept;
            let factors = offsets.factors(&piece.factors, &program.strides, into.frame);
            self.fill(program, &factors)?;
            return Ok(None);
        };
        let (inside, plan) = match &program.shard {
            Some(shard) => {
                let index = load_index(shard, parts.as_ref(), &mut kept.scratch)?;
                (Inside::Shard(shard, index), cut(shard, piece))
            }
            None => self.cut_chunk(piece, parts.as_ref(), &mut kept.scratch)?,
        };
        Ok(Some(Opened {
            chunk: piece.chunk.clone(),
            parts,
            inside,
            plan,
        }))
    }

    /// Read the frame of a chunk, and cut what is asked of it by slabs.
    fn cut_chunk(
        &self,
        piece: &Piece,
        parts: &dyn Parts,
        scratch: &mut Scratch,
    ) -> Result<(Inside<'a>, Plan)> {
        let program = self.program;
        let mut data = std::mem::take(&mut scratch.file);
        let (mut frame, mut block) = (0..0, 1);
        if !program.codecs.is_empty() {
            let size = usize::try_from(parts.size()).unwrap_or(usize::MAX);
            let bytes = match parts.in_memory() {
                Some(bytes) => bytes,
                None => {
                    let read = room(&mut data, size)?;
                    parts.read_into(0, read)?;
                    read
                }
            };
            let Scratch {
                stages, contexts, ..
            } = scratch;
            let peeled = program.peel(bytes, stages, contexts)?;
            if let Peeled::Coded(codec, bytes) = peeled {
                block = codec.block_size(bytes, program.nbytes)?;
            }
            let (Peeled::Raw(inner) | Peeled::Coded(_, inner)) = peeled;
            // No codec of a chunk in parts but the first does more than to strip some bytes.
            let start = inner.as_ptr() as usize - bytes.as_ptr() as usize;
            frame = start..start + inner.len();
        }
        // (An axis was asked for before chunks were shared.)
        let axis = program.slab_axis().unwrap_or_default();
        let pace = program.strides[axis] as usize;
        let rows = self.rows(piece, axis, pace, block);
        let mut slab = program.shape.clone();
        slab[axis] = rows;
        let plan = Plan::make(&piece.factors, &program.shape, &slab);
        let inside = Inside::Chunk {
            data,
            frame,
            axis,
            slab: rows * pace,
        };
        Ok((inside, plan))
    }

    /// Choose how many rows of `pace` bytes a slab has.
    fn rows(&self, piece: &Piece, axis: usize, pace: usize, block: usize) -> usize {
        let length = self.program.shape[axis];
        let asked = piece.factors.iter().find_map(|factor| match factor {
            Factor::Span {
                axis: this,
                step,
                size,
                ..
            } if *this == axis => Some((size - 1) * step.abs() + 1),
            _ => None,
        });
        let bytes = asked.map_or(length, |rows| rows as usize) * pace;
        self.program
            .slab_rows(axis, bytes, self.job.threads, self.job.least, block)
    }

    fn read_slab(&self, object: &Opened, inner: &Piece, kept: &mut Kept) -> Result<()> {
        let Inside::Chunk {
            data,
            frame,
            axis,
            slab,
        } = &object.inside
        else {
            unreachable!("slabs are of chunks");
        };
        let Run { program, into, .. } = *self;
        let Kept { scratch, offsets } = kept;
        let factors = offsets.factors(&inner.factors, &program.strides, into.frame);
        let start = inner.chunk[*axis] as usize * slab;
        let part = start..program.nbytes.min(start + slab);
        let Some(first) = program.codecs.first() else {
            return self.read_raw(program, object.parts.as_ref(), part, &factors, scratch);
        };
        let bytes = &object.parts.in_memory().unwrap_or(data)[frame.clone()];
        let peeled = match first {
            ByteCodec::Checksum(..) => Peeled::Raw(bytes),
            codec => Peeled::Coded(codec, bytes),
        };
        let Scratch {
            chunk, contexts, ..
        } = scratch;
        let mut target = into.memory.target();
        program.put(
            peeled,
            part,
            &factors,
            &mut target,
            into.len,
            chunk,
            contexts,
        )
    }

    /// Read what is asked of one inner chunk; a nested shard is read on the spot.
    fn read_inner(
        &self,
        shard: &Shard,
        parts: &dyn Parts,
        index: &[Entry],
        inner: &Piece,
        kept: &mut Kept,
    ) -> Result<()> {
        let program = &shard.inner;
        let (offset, size) = index[shard.number(&inner.chunk)];
        if (offset, size) == (MISSING, MISSING) {
            let Kept { offsets, .. } = kept;
            let factors = offsets.factors(&inner.factors, &program.strides, self.into.frame);
            let filled = self.fill(program, &factors);
            return filled.map_err(|error| error.in_inner_chunk(&inner.chunk));
        }
        let window = Window {
            parts,
            offset,
            size,
        };
        let found = match &program.shard {
            Some(nested) => self.read_nested(nested, &window, inner, kept),
            None => {
                let Kept { scratch, offsets } = kept;
                let factors = offsets.factors(&inner.factors, &program.strides, self.into.frame);
                self.read_chunk(program, &window, &factors, scratch)
            }
        };
        found.map_err(|error| error.in_inner_chunk(&inner.chunk))
    }

    fn read_nested(
        &self,
        shard: &Shard,
        parts: &dyn Parts,
        piece: &Piece,
        kept: &mut Kept,
    ) -> Result<()> {
        let index = load_index(shard, parts, &mut kept.scratch)?;
        let plan = cut(shard, piece);
        for number in 0..plan.size() {
            self.read_inner(shard, parts, &index, &plan.piece(number), kept)?;
        }
        Ok(())
    }
}

/// Cut what is asked of a shard by its inner chunks.
fn cut(shard: &Shard, piece: &Piece) -> Plan {
    Plan::make(
        &shard.turned(&piece.factors),
        &shard.shape,
        &shard.inner_shape,
    )
}

fn load_index(shard: &Shard, parts: &dyn Parts, scratch: &mut Scratch) -> Result<Vec<Entry>> {
    let offset = shard.index_offset(parts.size())?;
    let mut buffer = std::mem::take(&mut scratch.file);
    let index = parts
        .read(offset, shard.index_size, &mut buffer)
        .and_then(|bytes| shard.read_index(bytes, parts.size(), scratch));
    scratch.file = buffer;
    index
}

/// A part of an object, read in parts itself.
struct Window<'a> {
    parts: &'a dyn Parts,
    offset: u64,
    size: u64,
}

// What is asked for was checked against this window's size, and it against the whole.
impl Parts for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(&'a self, offset: u64, size: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        self.parts.read(self.offset + offset, size, buffer)
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        self.parts.read_into(self.offset + offset, dst)
    }
}
