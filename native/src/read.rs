//! Read the chunks of a plan, and of shards and large chunks no more than is selected.
//!
//! * An object that several workers share takes one round more: the index of a shard, or the encoded
//!   bytes of a large chunk, are read first, and the selection is then cut once more, by inner chunks
//!   or by slabs. The workers share these pieces out evenly, whatever objects they belong to.
//! * A chunk is shared if there are fewer chunks than threads, or if it is so large that Ctrl-C would
//!   have to wait for it. A slab is contiguous in the decoded chunk, and about a whole number of the
//!   codec's blocks.
//! * Objects that come in an order of their own are decoded in that order: the number of a task then
//!   counts them, and is not that of a piece.
//! * If descriptors run out, the objects that could not be opened are read at the end, one by one.
//! * Memory is bounded by what the workers hold: of a shard its index and the inner chunks that are
//!   being decoded, of shared chunks the encoded bytes of one for each thread; of objects that a store
//!   has only as a whole, those that are open.

use std::ops::Range;
use std::sync::Mutex;

use crate::copy;
use crate::error::{Error, Kind, Result};
use crate::job::{guard, owned, shared, spread, Failure, Failures, Job, Kept, ReadInto};
use crate::memory::grown;
use crate::objects::{Objects, Parts, Window};
use crate::plan::{Factor, Piece, Plan};
use crate::pool::{self, Tasks};
use crate::program::{
    Block, Chunk, Entry, Fitted, Part, Peeled, Program, Scratch, Shard, MISSING, SLAB,
};
use crate::received;
use crate::scarce::{self, Share};

/// The most objects that are open at a time, and those that need no share of the descriptors.
const OPEN: usize = 64;
const FEW: usize = 8;
/// The most bytes, decoded, of open objects that are in memory, unless there are more threads.
const ROOM: usize = 64 << 20;

/// The numbers of pieces whose objects could not be opened, and the errors.
type Late = Mutex<Vec<(usize, Error)>>;

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
    /// How the object is decoded.
    program: Fitted<'a>,
    inside: Inside,
    /// The selection, cut by the inside.
    plan: Plan,
}

/// The inside of an opened object.
enum Inside {
    /// The places of the inner chunks of a shard.
    Shard(Vec<Entry>),
    /// Slabs of a chunk.
    Slabs(Slabs),
}

/// A large chunk as slabs along an axis.
struct Slabs {
    /// The encoded chunk, unless it was in memory before.
    data: Vec<u8>,
    /// The place of the first codec's bytes in that.
    frame: Range<usize>,
    axis: usize,
    /// The decoded bytes of a slab.
    size: usize,
}

impl<'a> Run<'a> {
    /// Read all chunks of the plan. Return `Ok(false)` if `poll` ended the run.
    pub fn read(&self) -> std::result::Result<bool, Failure> {
        let Run { program, job, .. } = *self;
        let failures = Failures::default();
        let raw = program.chunk.chain.codecs.is_empty() && self.objects.arrivals().is_none();
        let done = if program.shard.is_none() && !self.shares_chunks() {
            self.one_by_one(&failures)
        } else if program.shard.is_some() || raw {
            self.in_rounds(self.most_open(), &failures)
        } else {
            self.in_rounds(job.threads, &failures)
        };
        pool::kept(Kept::trim);
        failures.first().map_or(Ok(done), Err)
    }

    /// Return how many objects may be open at a time.
    fn most_open(&self) -> usize {
        if !self.objects.takes_memory() {
            return OPEN;
        }
        let fitting = ROOM / self.program.chunk.block.nbytes.max(1);
        fitting.max(self.job.threads).min(OPEN)
    }

    /// Read a chunk with each worker.
    fn one_by_one(&self, failures: &Failures) -> bool {
        let (plan, job) = (self.plan, self.job);
        if let Some(arrivals) = self.objects.arrivals() {
            let read = |piece: &Piece, parts: Option<&dyn Parts>, kept: &mut Kept| {
                self.read_arrived(piece, parts, kept)
            };
            if let Some(done) = received::receive(arrivals, plan, &job, failures, &read) {
                return done;
            }
            let count = arrivals.count(plan);
            return spread(count, job.threads, &job, failures, &|at, kept| {
                let (number, parts) = received::next(arrivals, plan, at, &job, failures)?;
                let piece = plan.piece(number);
                self.read_arrived(&piece, parts.as_deref(), kept)
                    .map_err(|error| (piece.chunk, error))
            });
        }
        let late = Mutex::new(Vec::new());
        let done = spread(plan.size(), job.threads, &job, failures, &|number, kept| {
            let piece = plan.piece(number);
            match self.read_piece(&piece, kept) {
                Err(error) if scarce::ran_out(&error) => guard(&late).push(number),
                Err(error) => return Err((piece.chunk, error)),
                Ok(()) => {}
            }
            Ok(())
        });
        done && owned(late).into_iter().all(|number| {
            let read = || {
                let read = |_: usize, kept: &mut Kept| self.read_piece(&plan.piece(number), kept);
                shared(1, &Job { threads: 1, ..job }, &read)
            };
            self.again(number, failures, read)
        })
    }

    fn read_arrived(
        &self,
        piece: &Piece,
        parts: Option<&dyn Parts>,
        kept: &mut Kept,
    ) -> Result<()> {
        let program = self.program.of(piece)?;
        let chunk = &program.chunk;
        let Kept {
            scratch, offsets, ..
        } = kept;
        let strides = &chunk.block.strides;
        let factors = offsets.factors(&piece.factors, strides, self.into.frame)?;
        match parts {
            Some(parts) => self.read_chunk(chunk, parts, &factors, scratch),
            None => self.fill(chunk, &factors),
        }
    }

    /// Read a piece again whose object could not be opened for want of descriptors.
    fn again(&self, number: usize, failures: &Failures, read: impl FnMut() -> Result<()>) -> bool {
        let found = scarce::again(self.job.poll, read);
        found.map_or_else(
            |error| {
                failures.add(&self.plan.piece(number).chunk, error);
                false
            },
            |()| true,
        )
    }

    /// Whether workers share chunks rather than take one each.
    fn shares_chunks(&self) -> bool {
        let Chunk { chain, block } = &self.program.chunk;
        let few = self.plan.size() < self.job.threads && block.nbytes / 2 >= self.job.least;
        (few || block.nbytes > 2 * SLAB) && chain.in_parts() && block.slab_axis().is_some()
    }

    fn read_piece(&self, piece: &Piece, kept: &mut Kept) -> Result<()> {
        let program = self.program.of(piece)?;
        let chunk = &program.chunk;
        let Chunk { chain, block } = chunk;
        let Kept {
            scratch, offsets, ..
        } = kept;
        let factors = offsets.factors(&piece.factors, &block.strides, self.into.frame)?;
        if chain.plain() {
            let mut target = self.into.memory.target();
            let run = copy::contiguous_run(chain.item, &factors, block.nbytes, &target);
            if let Some(start) = run {
                let run = target.run(start, block.nbytes)?;
                return match self.objects.read_into(&piece.chunk, run)? {
                    Some(size) if size == block.nbytes as u64 => Ok(()),
                    Some(size) => Err(chunk.wrong_size(size as usize)),
                    None => self.fill(chunk, &factors),
                };
            }
        }
        match self.objects.open(&piece.chunk)? {
            Some(parts) => self.read_chunk(chunk, parts.as_ref(), &factors, scratch),
            None => self.fill(chunk, &factors),
        }
    }

    /// Read what is selected of a chunk that is not shared.
    fn read_chunk(
        &self,
        chunk: &Chunk,
        parts: &dyn Parts,
        factors: &[copy::Factor],
        scratch: &mut Scratch,
    ) -> Result<()> {
        if chunk.chain.codecs.is_empty() && chunk.chain.elements_in_parts() {
            return self.read_raw(chunk, parts, 0..chunk.block.nbytes, factors, scratch);
        }
        let size = chunk.stored_size(parts.size())?;
        let mut buffer = std::mem::take(&mut scratch.file);
        let found = parts.read(0, size, &mut buffer).and_then(|bytes| {
            let mut target = self.into.memory.target();
            chunk.place(bytes, factors, &mut target, scratch, self.job.poll)
        });
        scratch.file = buffer;
        found
    }

    /// Read what is selected of a part of a chunk without codecs, and nothing else of it.
    fn read_raw(
        &self,
        chunk: &Chunk,
        parts: &dyn Parts,
        part: Range<usize>,
        factors: &[copy::Factor],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Chunk { chain, block } = chunk;
        let size = chunk.right_size(parts.size())?;
        let mut target = self.into.memory.target();
        // Factors that reach nothing, or too far, are left to the copy.
        let asked = copy::source_extent(chain.item, factors, part.len());
        let asked = asked.unwrap_or(0..part.len());
        let factors = copy::from_later(factors, asked.start);
        let range = part.start + asked.start..part.start + asked.end;
        if chain.plain() {
            let size = range.len();
            if let Some(start) = copy::contiguous_run(chain.item, &factors, size, &target) {
                return parts.read_into(range.start as u64, target.run(start, size)?);
            }
        }
        let source = chain.source(range.clone(), block.nbytes).unwrap_or(0..size);
        let mut buffer = std::mem::take(&mut scratch.file);
        let read = parts.read(source.start as u64, source.len(), &mut buffer);
        let (_, room) = scratch.split();
        let found = read.and_then(|bytes| chunk.put_raw(bytes, range, &factors, &mut target, room));
        scratch.file = buffer;
        found
    }

    fn fill(&self, chunk: &Chunk, factors: &[copy::Factor]) -> Result<()> {
        if !self.job.missing {
            return Err(Error {
                kind: Kind::Missing,
                stage: "fetch",
                message: String::new(),
            });
        }
        copy::fill(&mut self.into.memory.target(), factors, &chunk.chain.fill)
    }

    /// Open some objects at a time, and share out what is selected of them.
    fn in_rounds(&self, most: usize, failures: &Failures) -> bool {
        let arrivals = self.objects.arrivals();
        let all = arrivals.map_or(self.plan.size(), |arrivals| arrivals.count(self.plan));
        let mut first = 0;
        while first < all {
            let count = (all - first).min(most);
            let share = (count > FEW).then(|| Share::take(count));
            let count = share.as_ref().map_or(count, Share::count);
            let late = Mutex::default();
            let done = self.round(first..first + count, &late, failures);
            drop(share);
            let done = done
                && owned(late).into_iter().all(|(number, _)| {
                    self.again(number, failures, || {
                        let (late, found) = (Mutex::default(), Failures::default());
                        let done = self.round(number..number + 1, &late, &found);
                        let late = owned(late).pop().map(|(_, error)| error);
                        match found.first().map(|failure| failure.error).or(late) {
                            Some(error) => Err(error),
                            None if done => Ok(()),
                            None => Err(Error::interrupted()),
                        }
                    })
                });
            if !done {
                return false;
            }
            first += count;
        }
        true
    }

    /// Open the objects of some pieces, and share out what is selected of them. Pieces whose objects
    /// cannot be opened for want of descriptors are `late`.
    fn round(&self, numbers: Range<usize>, late: &Late, failures: &Failures) -> bool {
        let (plan, job) = (self.plan, self.job);
        let slots: Vec<Mutex<Option<Opened>>> = numbers.clone().map(|_| Mutex::new(None)).collect();
        let done = spread(slots.len(), job.threads, &job, failures, &|at, kept| {
            let (number, arrived) = match self.objects.arrivals() {
                None => (numbers.start + at, None),
                Some(arrivals) => {
                    let at = numbers.start + at;
                    let (number, parts) = received::next(arrivals, plan, at, &job, failures)?;
                    (number, Some(parts))
                }
            };
            let piece = plan.piece(number);
            match self.open(&piece, arrived, kept) {
                Ok(opened) => *guard(&slots[at]) = opened,
                Err(error) if scarce::ran_out(&error) => guard(late).push((number, error)),
                Err(error) => return Err((piece.chunk, error)),
            }
            Ok(())
        });
        if !done {
            return false;
        }
        let opened: Vec<Opened> = slots.into_iter().filter_map(owned).collect();
        let mut ends = Vec::new();
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
            let found = match (&object.inside, &object.program.shard) {
                (Inside::Shard(index), Some(shard)) => {
                    self.read_inner(shard, object.parts.as_ref(), index, &inner, kept)
                }
                (Inside::Slabs(slabs), _) => self.read_slab(slabs, object, &inner, kept),
                (Inside::Shard(_), None) => unreachable!("only a shard has an index"),
            };
            found.map_err(|error| (object.chunk.clone(), error))
        });
        // The memory of one is used again by the next call.
        let data = opened.into_iter().find_map(|object| match object.inside {
            Inside::Slabs(slabs) => Some(slabs.data),
            Inside::Shard(_) => None,
        });
        if let Some(data) = data {
            pool::kept(|kept: &mut Kept| kept.scratch.file = data);
        }
        done
    }

    /// Open the object of a piece, unless it has arrived. If it is missing, fill its place and return
    /// `None`.
    fn open(
        &self,
        piece: &Piece,
        arrived: Option<Option<Box<dyn Parts + 'a>>>,
        kept: &mut Kept,
    ) -> Result<Option<Opened<'a>>> {
        let program = self.program.of(piece)?;
        let Program { chunk, shard } = &*program;
        let found = arrived.map_or_else(|| self.objects.open(&piece.chunk), Ok)?;
        let Some(parts) = found else {
            let strides = &chunk.block.strides;
            let factors = kept
                .offsets
                .factors(&piece.factors, strides, self.into.frame)?;
            self.fill(chunk, &factors)?;
            return Ok(None);
        };
        let (inside, plan) = match shard {
            Some(shard) => {
                let index = load_index(shard, parts.as_ref(), &mut kept.scratch)?;
                (Inside::Shard(index), cut(shard, piece)?)
            }
            None => {
                let scratch = &mut kept.scratch;
                let (slabs, plan) = self.cut_chunk(chunk, piece, parts.as_ref(), scratch)?;
                (Inside::Slabs(slabs), plan)
            }
        };
        Ok(Some(Opened {
            chunk: piece.chunk.clone(),
            parts,
            program,
            inside,
            plan,
        }))
    }

    /// Read the encoded bytes of a chunk, and cut what is selected of it by slabs.
    fn cut_chunk(
        &self,
        chunk: &Chunk,
        piece: &Piece,
        parts: &dyn Parts,
        scratch: &mut Scratch,
    ) -> Result<(Slabs, Plan)> {
        let Chunk { chain, block } = chunk;
        let mut data = std::mem::take(&mut scratch.file);
        let (mut frame, mut together) = (0..0, 1);
        if !chain.codecs.is_empty() {
            let size = chunk.stored_size(parts.size())?;
            let bytes = match parts.in_memory() {
                Some(bytes) => bytes,
                None => {
                    let read = grown(&mut data, size, "fetch")?;
                    parts.read_into(0, read)?;
                    read
                }
            };
            let Scratch {
                stages, contexts, ..
            } = scratch;
            let peeled = chain.peel(bytes, block.nbytes, stages, contexts, self.job.poll)?;
            if let Peeled::Coded(codec, bytes) = peeled {
                together = self.program.chunk.block_size(codec, bytes)?;
            }
            let (Peeled::Raw(inner) | Peeled::Coded(_, inner)) = peeled;
            // In a chunk that is decoded in parts, all codecs but the first only strip bytes.
            let start = inner.as_ptr() as usize - bytes.as_ptr() as usize;
            frame = start..start + inner.len();
        }
        // A chunk without such an axis is not shared.
        let axis = block.slab_axis().unwrap_or_default();
        let rows = self.rows(block, piece, axis, together);
        let mut slab = block.shape.clone();
        slab[axis] = rows;
        let plan = Plan::make(&piece.factors, &block.shape, &slab)?;
        let slabs = Slabs {
            data,
            frame,
            axis,
            size: rows * block.strides[axis] as usize,
        };
        Ok((slabs, plan))
    }

    /// Choose how many rows a slab has, if so many bytes are decoded `together`.
    fn rows(&self, block: &Block, piece: &Piece, axis: usize, together: usize) -> usize {
        let job = &self.job;
        let asked = piece.factors.iter().find_map(|factor| match factor {
            Factor::Span {
                axis: this,
                step,
                size,
                ..
            } if *this == axis => Some((size - 1) * step.abs() + 1),
            _ => None,
        });
        let rows = asked.map_or(block.shape[axis], |rows| rows as usize);
        let bytes = rows * block.strides[axis] as usize;
        block.slab_rows(axis, bytes, job.threads, job.least, together)
    }

    fn read_slab(
        &self,
        slabs: &Slabs,
        object: &Opened,
        inner: &Piece,
        kept: &mut Kept,
    ) -> Result<()> {
        let (chunk, parts) = (&object.program.chunk, object.parts.as_ref());
        let block = &chunk.block;
        let Kept {
            scratch, offsets, ..
        } = kept;
        let factors = offsets.factors(&inner.factors, &block.strides, self.into.frame)?;
        let start = inner.chunk[slabs.axis] as usize * slabs.size;
        let part = start..block.nbytes.min(start + slabs.size);
        let Some(first) = chunk.chain.codecs.first() else {
            return self.read_raw(chunk, parts, part, &factors, scratch);
        };
        let bytes = &parts.in_memory().unwrap_or(&slabs.data)[slabs.frame.clone()];
        let peeled = if first.strips() {
            Peeled::Raw(bytes)
        } else {
            Peeled::Coded(first, bytes)
        };
        let mut target = self.into.memory.target();
        let part = Part {
            peeled,
            range: part,
        };
        let (_, room) = scratch.split();
        chunk.put(part, &factors, &mut target, room, self.job.poll)
    }

    /// Read what is selected of one inner chunk; a nested shard is read on the spot.
    fn read_inner(
        &self,
        shard: &Shard,
        parts: &dyn Parts,
        index: &[Entry],
        inner: &Piece,
        kept: &mut Kept,
    ) -> Result<()> {
        let Program {
            chunk,
            shard: nested,
        } = &*shard.inner;
        let (strides, frame) = (&chunk.block.strides, self.into.frame);
        let (offset, size) = index[shard.number(&inner.chunk)];
        if (offset, size) == (MISSING, MISSING) {
            let factors = kept.offsets.factors(&inner.factors, strides, frame)?;
            let filled = self.fill(chunk, &factors);
            return filled.map_err(|error| error.in_inner_chunk(&inner.chunk));
        }
        let window = Window {
            parts,
            offset,
            size,
        };
        let found = match nested {
            Some(nested) => self.read_nested(nested, &window, inner, kept),
            None => {
                let Kept {
                    scratch, offsets, ..
                } = kept;
                let factors = offsets.factors(&inner.factors, strides, frame)?;
                self.read_chunk(chunk, &window, &factors, scratch)
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
        let plan = cut(shard, piece)?;
        for number in 0..plan.size() {
            self.read_inner(shard, parts, &index, &plan.piece(number), kept)?;
        }
        Ok(())
    }
}

/// Cut what is selected of a shard by its inner chunks.
fn cut(shard: &Shard, piece: &Piece) -> Result<Plan> {
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
