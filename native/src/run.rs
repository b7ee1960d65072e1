//! Run a plan: fetch, decode and copy each chunk, or gather, encode and store it.
//!
//! * No two pieces of a plan are the same object, and no two write the same element of the result.
//!   That is what lets the workers share the result's memory.
//! * A shard adds one round: its index is read, its inner chunks become pieces like any others, and
//!   the workers share them out evenly whatever shard they are of.
//! * Memory is bounded by what the workers hold: of a shard only its index and the inner chunks under
//!   way are in memory.

use crate::chunk::{grow, Frame, Offsets, Program, Scratch};
use crate::copy::{self, Shared, Source};
use crate::error::{Error, Kind, Result};
use crate::objects::{Objects, Parts};
use crate::plan::{Piece, Plan};
use crate::pool::{self, Outcome, Tasks};
use crate::shard::{Entry, Shard, MISSING};
use std::borrow::Cow;
use std::sync::Mutex;

/// At most this many shards are open at a time.
const OPEN: usize = 64;

/// What is the same for all chunks of one call.
pub struct Job<'a> {
    /// Whether a missing chunk is a fill value or an error.
    pub missing: bool,
    /// Whether a chunk of nothing but fill value is stored.
    pub store_empty: bool,
    /// How many threads may work.
    pub threads: usize,
    /// How long a chunk may take.
    pub tasks: Tasks,
    /// Asked now and then by the caller's thread; true ends the run.
    pub poll: &'a (dyn Fn() -> bool + Sync),
}

/// Which chunk failed, and how.
pub struct Failure {
    /// Its coordinates in the array's grid.
    pub chunk: Vec<i64>,
    /// What went wrong.
    pub error: Error,
}

/// What a thread keeps.
#[derive(Default)]
pub struct Local {
    scratch: Scratch,
    offsets: Offsets,
}

/// The memory that is read into.
#[derive(Clone, Copy)]
pub struct Into<'a> {
    /// The memory, shared by the workers.
    pub memory: Shared<'a>,
    /// Its size in bytes.
    pub len: usize,
    /// Where elements lie in it.
    pub frame: Frame<'a>,
}

/// The memory that is written from.
#[derive(Clone, Copy)]
pub struct From<'a> {
    /// The memory.
    pub memory: Source<'a>,
    /// Where elements lie in it.
    pub frame: Frame<'a>,
}

/// Keep the first failure of several threads.
#[derive(Default)]
struct Failures(Mutex<Option<Failure>>);

impl Failures {
    fn add(&self, chunk: &[i64], error: Error) {
        let mut first = self.lock();
        first.get_or_insert_with(|| Failure {
            chunk: chunk.to_vec(),
            error,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        // A thread that panicked while it held the lock has at worst not noted its failure.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn first(self) -> Option<Failure> {
        self.0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What is done for each number; a failure names its chunk.
type Step<'a> = dyn Fn(usize, &mut Local) -> std::result::Result<(), (Vec<i64>, Error)> + Sync + 'a;

/// The place of an inner chunk in its shard, and its bytes unless it holds nothing but fill value.
type Encoded = (usize, Option<Vec<u8>>);

/// Run a task for each number below `count`. False if it was ended before, by `poll` or a failure.
fn spread(count: usize, threads: usize, job: &Job, failures: &Failures, task: &Step<'_>) -> bool {
    let ran = pool::run(
        count,
        threads,
        job.tasks,
        &|number, worker| {
            if let Err((chunk, error)) = task(number, worker.kept()) {
                failures.add(&chunk, error);
                worker.stop();
            }
        },
        &mut || (job.poll)(),
    );
    match ran {
        Ok(outcome) => outcome == Outcome::Done,
        Err(error) => {
            failures.add(&[], error);
            false
        }
    }
}

/// Read all chunks of a plan. `Ok(false)` if the run was ended by `poll`.
pub fn read(
    program: &Program,
    plan: &Plan,
    objects: &dyn Objects,
    into: Into,
    job: &Job,
) -> std::result::Result<bool, Failure> {
    let failures = Failures::default();
    let done = match &program.shard {
        None => spread(
            plan.size(),
            job.threads,
            job,
            &failures,
            &|number, local| {
                let piece = plan.piece(number);
                read_piece(program, objects, &piece, into, job, local)
                    .map_err(|error| (piece.chunk.clone(), error))
            },
        ),
        Some(shard) => read_shards(program, shard, plan, objects, into, job, &failures),
    };
    failures.first().map_or(Ok(done), Err)
}

fn read_piece(
    program: &Program,
    objects: &dyn Objects,
    piece: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let Local { scratch, offsets } = local;
    let factors = offsets.factors(&piece.factors, &program.strides, into.frame);
    let mut target = into.memory.target();
    if program.plain() {
        let rows = copy::contiguous_rows(program.item, &factors, program.nbytes, into.len);
        if let Some(rows) = rows.filter(|rows| rows.count == 1) {
            let run = target.run(rows.offset(0), rows.run)?;
            return match objects.read_into(&piece.chunk, run)? {
                Some(size) if size == program.nbytes as u64 => Ok(()),
                Some(size) => Err(program.wrong_size(size as usize)),
                None => fill(program, &factors, into, job),
            };
        }
        let part = copy::source_extent(program.item, &factors, program.nbytes);
        if let Some(part) = part.filter(|part| 4 * part.len() < program.nbytes) {
            return match objects.open(&piece.chunk)? {
                Some(object) if object.size() == program.nbytes as u64 => {
                    let bytes = object.read(part.start as u64, part.len(), &mut scratch.file)?;
                    let moved = shifted(&factors, part.start);
                    copy::copy((&*bytes).into(), &mut target, program.item, &moved, None)
                }
                Some(object) => Err(program.wrong_size(object.size() as usize)),
                None => fill(program, &factors, into, job),
            };
        }
    }
    let mut buffer = std::mem::take(&mut scratch.file);
    let found = match objects.read(&piece.chunk, &mut buffer) {
        Ok(Some(bytes)) => program.place(&bytes, &factors, &mut target, into.len, scratch),
        Ok(None) => fill(program, &factors, into, job),
        Err(error) => Err(error),
    };
    scratch.file = buffer;
    found
}

/// Give factors whose source begins so many bytes later.
fn shifted<'a>(factors: &[copy::Factor<'a>], start: usize) -> Vec<copy::Factor<'a>> {
    let mut moved = factors.to_vec();
    let mut rest = start as isize;
    for factor in &mut moved {
        if let copy::Factor::Span { src_offset, .. } = factor {
            *src_offset -= std::mem::take(&mut rest);
        }
    }
    if rest != 0 {
        moved.push(copy::Factor::Span {
            src_offset: -rest,
            src_stride: 0,
            len: 1,
            dst_offset: 0,
            dst_stride: 0,
        });
    }
    moved
}

fn fill(program: &Program, factors: &[copy::Factor], into: Into, job: &Job) -> Result<()> {
    if !job.missing {
        return Err(Error {
            kind: Kind::Missing,
            stage: "fetch",
            message: String::new(),
        });
    }
    copy::fill(&mut into.memory.target(), factors, &program.fill)
}

/// A shard that is being read: what is asked of it, its bytes and its index.
struct Opened<'a> {
    piece: Piece<'a>,
    plan: Plan,
    stored: Option<(Box<dyn Parts + 'a>, Vec<Entry>)>,
}

fn read_shards(
    program: &Program,
    shard: &Shard,
    plan: &Plan,
    objects: &dyn Objects,
    into: Into,
    job: &Job,
    failures: &Failures,
) -> bool {
    let mut first = 0;
    while first < plan.size() {
        let batch = (plan.size() - first).min(OPEN);
        let slots: Vec<Mutex<Option<Opened>>> = (0..batch).map(|_| Mutex::new(None)).collect();
        let done = spread(batch, job.threads, job, failures, &|number, local| {
            let piece = plan.piece(first + number);
            let chunk = piece.chunk.clone();
            let opened = open_shard(program, shard, objects, piece, into, job, local)
                .map_err(|error| (chunk, error))?;
            *slots[number]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = opened;
            Ok(())
        });
        if !done {
            return false;
        }
        let opened: Vec<Opened> = slots
            .into_iter()
            .filter_map(|slot| {
                slot.into_inner()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
            })
            .collect();
        let mut ends = Vec::with_capacity(opened.len());
        let mut total = 0;
        for shard in &opened {
            total += shard.plan.size();
            ends.push(total);
        }
        let done = spread(total, job.threads, job, failures, &|number, local| {
            let which = ends.partition_point(|end| *end <= number);
            let found = &opened[which];
            let before = if which == 0 { 0 } else { ends[which - 1] };
            let inner = found.plan.piece(number - before);
            let stored = found
                .stored
                .as_ref()
                .map(|(parts, index)| (parts.as_ref(), index.as_slice()));
            read_inner(shard, stored, &inner, into, job, local)
                .map_err(|error| (found.piece.chunk.clone(), error))
        });
        if !done {
            return false;
        }
        first += batch;
    }
    true
}

/// Read the index of a shard; `None` if the shard is not stored, and its place is filled then.
fn open_shard<'a>(
    program: &Program,
    shard: &Shard,
    objects: &'a dyn Objects,
    piece: Piece<'a>,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<Option<Opened<'a>>> {
    let Some(parts) = objects.open(&piece.chunk)? else {
        let factors = local
            .offsets
            .factors(&piece.factors, &program.strides, into.frame);
        fill(program, &factors, into, job)?;
        return Ok(None);
    };
    let index = load_index(shard, parts.as_ref(), &mut local.scratch)?;
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &shard.shape,
        &shard.inner_shape,
    );
    Ok(Some(Opened {
        piece,
        plan,
        stored: Some((parts, index)),
    }))
}

fn load_index(shard: &Shard, parts: &dyn Parts, scratch: &mut Scratch) -> Result<Vec<Entry>> {
    let offset = shard.index_offset(parts.size())?;
    let mut buffer = std::mem::take(&mut scratch.file);
    let index = parts
        .read(offset, shard.index_size, &mut buffer)
        .and_then(|bytes| shard.read_index(&bytes, parts.size(), scratch));
    scratch.file = buffer;
    index
}

/// Read what is asked of one inner chunk; a nested shard is read on the spot.
fn read_inner(
    shard: &Shard,
    stored: Option<(&dyn Parts, &[Entry])>,
    inner: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let entry = stored.and_then(|(parts, index)| {
        let (offset, size) = index[shard.number(&inner.chunk)];
        (offset != MISSING || size != MISSING).then_some((parts, offset, size as usize))
    });
    let program = &shard.inner;
    let found = match (entry, &program.shard) {
        (None, _) => {
            let factors = local
                .offsets
                .factors(&inner.factors, &program.strides, into.frame);
            return fill(program, &factors, into, job);
        }
        (Some((parts, offset, size)), Some(nested)) => {
            let window = Window {
                parts,
                offset,
                size: size as u64,
            };
            read_nested(nested, &window, inner, into, job, local)
        }
        (Some((parts, offset, size)), None) => {
            let Local { scratch, offsets } = local;
            let factors = offsets.factors(&inner.factors, &program.strides, into.frame);
            let mut buffer = std::mem::take(&mut scratch.file);
            let found = match parts.read(offset, size, &mut buffer) {
                Ok(bytes) => {
                    let mut target = into.memory.target();
                    program.place(&bytes, &factors, &mut target, into.len, scratch)
                }
                Err(error) => Err(error),
            };
            scratch.file = buffer;
            found
        }
    };
    found.map_err(|error| inside(error, &inner.chunk))
}

fn read_nested(
    shard: &Shard,
    parts: &dyn Parts,
    piece: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let index = load_index(shard, parts, &mut local.scratch)?;
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &shard.shape,
        &shard.inner_shape,
    );
    for number in 0..plan.size() {
        let inner = plan.piece(number);
        read_inner(shard, Some((parts, &index)), &inner, into, job, local)?;
    }
    Ok(())
}

/// A part of an object, read in parts itself.
struct Window<'a> {
    parts: &'a dyn Parts,
    offset: u64,
    size: u64,
}

impl Parts for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        size: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<crate::objects::Bytes<'a>> {
        // Both were checked against this window's size, and it against the whole.
        self.parts.read(self.offset + offset, size, buffer)
    }
}

fn inside(error: Error, chunk: &[i64]) -> Error {
    Error {
        message: format!("inner chunk {}: {}", tuple(chunk), error.message),
        ..error
    }
}

fn tuple(chunk: &[i64]) -> String {
    let inside: Vec<String> = chunk.iter().map(i64::to_string).collect();
    match inside.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

/// Write all chunks of a plan of an array of `shape`. `Ok(false)` if the run was ended by `poll`.
pub fn write(
    program: &Program,
    plan: &Plan,
    objects: &dyn Objects,
    from: From,
    shape: &[usize],
    job: &Job,
) -> std::result::Result<bool, Failure> {
    let failures = Failures::default();
    // One shard is shared out by its inner chunks; of several each is one worker's.
    let inner = if plan.size() == 1 { job.threads } else { 1 };
    let task = |number: usize, local: &mut Local| {
        let piece = plan.piece(number);
        let extent = extent(&piece.chunk, &program.shape, shape);
        let mut store = || {
            let mut buffer = Vec::new();
            let old = if piece.whole {
                None
            } else {
                objects.read(&piece.chunk, &mut buffer)?
            };
            let old = old.as_deref();
            let data = write_chunk(program, old, &piece, from, &extent, job, inner, local)?;
            match data {
                Some(bytes) => objects.write(&piece.chunk, &bytes),
                None => objects.remove(&piece.chunk),
            }
        };
        store().map_err(|error| (piece.chunk.clone(), error))
    };
    let done = if plan.size() == 1 {
        let mut local = Local::default();
        if let Err((chunk, error)) = task(0, &mut local) {
            failures.add(&chunk, error);
        }
        true
    } else {
        spread(plan.size(), job.threads, job, &failures, &task)
    };
    failures.first().map_or(Ok(done), Err)
}

fn extent(chunk: &[i64], size: &[usize], shape: &[usize]) -> Vec<usize> {
    chunk
        .iter()
        .zip(size)
        .zip(shape)
        .map(|((k, size), shape)| (*size).min(shape.saturating_sub(*k as usize * size)))
        .collect()
}

/// Give the encoded chunk once the piece's elements are in it; `None` if nothing but fill value is.
#[allow(clippy::too_many_arguments)]
fn write_chunk(
    program: &Program,
    old: Option<&[u8]>,
    piece: &Piece,
    from: From,
    extent: &[usize],
    job: &Job,
    threads: usize,
    local: &mut Local,
) -> Result<Option<Vec<u8>>> {
    if let Some(shard) = &program.shard {
        return write_shard(shard, old, piece, from, extent, job, threads, local);
    }
    let Local { scratch, offsets } = local;
    let mut buffer = std::mem::take(&mut scratch.chunk);
    grow(&mut buffer, program.nbytes);
    let mut encode = |chunk: &mut [u8]| {
        match old {
            Some(data) if !piece.whole => {
                program.decode(data, chunk, &mut scratch.stages, &mut scratch.contexts)?;
            }
            _ if piece.whole && extent == program.shape => {}
            _ => {
                for item in chunk.chunks_exact_mut(program.item) {
                    item.copy_from_slice(&program.fill);
                }
            }
        }
        let factors: Vec<copy::Factor> = offsets
            .factors(&piece.factors, &program.strides, from.frame)
            .into_iter()
            .map(copy::Factor::reversed)
            .collect();
        copy::copy(
            from.memory,
            &mut (&mut *chunk).into(),
            program.item,
            &factors,
            None,
        )?;
        if program.sparse && !job.store_empty && copy::is_fill(chunk, &program.fill) {
            return Ok(None);
        }
        let mut out = Vec::new();
        program.encode(chunk, &mut out, &mut scratch.stages, &mut scratch.contexts)?;
        Ok(Some(out))
    };
    let encoded = encode(&mut buffer[..program.nbytes]);
    scratch.chunk = buffer;
    encoded
}

#[allow(clippy::too_many_arguments)]
fn write_shard(
    shard: &Shard,
    old: Option<&[u8]>,
    piece: &Piece,
    from: From,
    extent: &[usize],
    job: &Job,
    threads: usize,
    local: &mut Local,
) -> Result<Option<Vec<u8>>> {
    let inside_extent = shard.turned_extent(extent);
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &inside_extent,
        &shard.inner_shape,
    );
    let mut pieces: Vec<Option<Cow<[u8]>>> = vec![None; shard.count()];
    if let Some(data) = old.filter(|_| !piece.whole) {
        let size = data.len() as u64;
        let start = shard.index_offset(size)? as usize;
        let index = shard.read_index(
            &data[start..start + shard.index_size],
            size,
            &mut local.scratch,
        )?;
        for (slot, (offset, bytes)) in pieces.iter_mut().zip(index) {
            if (offset, bytes) != (MISSING, MISSING) {
                // The index was checked against the size of the data.
                *slot = Some(Cow::Borrowed(
                    &data[offset as usize..(offset + bytes) as usize],
                ));
            }
        }
    }
    let results: Vec<Mutex<Option<Encoded>>> = (0..plan.size()).map(|_| Mutex::new(None)).collect();
    let one = |number: usize, local: &mut Local| -> Result<()> {
        let inner = plan.piece(number);
        let place = shard.number(&inner.chunk);
        let left = self::extent(&inner.chunk, &shard.inner_shape, &inside_extent);
        let before = pieces[place].as_deref();
        let new = write_chunk(&shard.inner, before, &inner, from, &left, job, 1, local)
            .map_err(|error| inside(error, &inner.chunk))?;
        *results[number]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((place, new));
        Ok(())
    };
    if threads > 1 {
        let failures = Failures::default();
        let done = spread(plan.size(), threads, job, &failures, &|number, local| {
            one(number, local).map_err(|error| (Vec::new(), error))
        });
        if let Some(failure) = failures.first() {
            return Err(failure.error);
        }
        if !done {
            return Err(Error {
                kind: Kind::Interrupted,
                stage: "store",
                message: String::new(),
            });
        }
    } else {
        for number in 0..plan.size() {
            one(number, local)?;
        }
    }
    for slot in results {
        let found = slot
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((place, new)) = found {
            pieces[place] = new.map(Cow::Owned);
        }
    }
    if pieces.iter().all(Option::is_none) {
        return Ok(None);
    }
    shard.assemble(&pieces, &mut local.scratch).map(Some)
}
