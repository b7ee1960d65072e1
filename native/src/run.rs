//! Run a plan: what all runs have in common, and writing, which gathers, encodes and stores each
//! chunk. Reading is `read.rs`.
//!
//! * No two pieces of a plan are the same object, and no two write the same element of the result.
//!   That is what lets the workers share the result's memory.

use crate::chunk::{grow, Frame, Offsets, Program, Scratch};
use crate::copy::{self, Shared, Source};
use crate::encode;
use crate::error::{Error, Kind, Result};
use crate::objects::{Objects, Pending, Value};
use crate::plan::{Piece, Plan};
use crate::pool::{self, Outcome, Tasks};
use crate::shard::{Shard, MISSING};
use std::borrow::Cow;
use std::sync::Mutex;

/// So many threads wait for the disk at a time, which takes no processor.
const SYNCS: usize = 8;
/// At most this many objects are written and not yet in their places.
const PENDING: usize = 128;

/// What is the same for all chunks of one call.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Whether a missing chunk is a fill value or an error.
    pub missing: bool,
    /// Whether a chunk of nothing but fill value is stored.
    pub store_empty: bool,
    /// How many threads may work.
    pub threads: usize,
    /// The fewest bytes of a chunk that are worth a thread of their own, at least one.
    pub least: usize,
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
    pub(crate) scratch: Scratch,
    pub(crate) offsets: Offsets,
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
pub(crate) struct Failures(Mutex<Option<Failure>>);

impl Failures {
    pub(crate) fn add(&self, chunk: &[i64], error: Error) {
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

    pub(crate) fn first(self) -> Option<Failure> {
        self.0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What is done for each number; a failure names its chunk.
pub(crate) type Step<'a> =
    dyn Fn(usize, &mut Local) -> std::result::Result<(), (Vec<i64>, Error)> + Sync + 'a;

/// The place of an inner chunk in its shard, and its bytes unless it holds nothing but fill value.
type Encoded = (usize, Option<Vec<u8>>);

/// Run a task for each number below `count`. False if it was ended before, by `poll` or a failure.
pub(crate) fn spread(
    count: usize,
    threads: usize,
    job: &Job,
    failures: &Failures,
    task: &Step<'_>,
) -> bool {
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

pub(crate) fn inside(error: Error, chunk: &[i64]) -> Error {
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
    let mut first = 0;
    let mut done = true;
    while done && first < plan.size() {
        let batch = (plan.size() - first).min(PENDING);
        let slots: Vec<Mutex<Waiting>> = (0..batch).map(|_| Mutex::new(None)).collect();
        let store = |number: usize, local: &mut Local| {
            let piece = plan.piece(first + number);
            let pending = store_piece(
                program,
                &piece,
                plan.size(),
                objects,
                from,
                shape,
                job,
                local,
            )
            .map_err(|error| (piece.chunk.clone(), error))?;
            *guard(&slots[number]) = pending.map(|pending| (piece.chunk, pending));
            Ok(())
        };
        done = if plan.size() == 1 {
            if let Err((chunk, error)) = pool::kept(|local| store(0, local)) {
                failures.add(&chunk, error);
            }
            true
        } else {
            spread(batch, job.threads, job, &failures, &store)
        };
        done = done && guard(&failures.0).is_none();
        let pending: Vec<Mutex<Waiting>> = slots
            .into_iter()
            .filter(|slot| guard(slot).is_some())
            .collect();
        done = done && place(&pending, job, &failures);
        first += batch;
    }
    if done {
        if let Err(error) = objects.settle() {
            failures.add(&[], error);
        }
    }
    failures.first().map_or(Ok(done), Err)
}

/// An object that is written but not in its place, and the chunk it is.
type Waiting<'a> = Option<(Vec<i64>, Box<dyn Pending + 'a>)>;

/// Sync objects, all of them before the first takes its place: the disk does many at a time.
fn place(pending: &[Mutex<Waiting>], job: &Job, failures: &Failures) -> bool {
    let sync = |number: usize, _: &mut Local| match &*guard(&pending[number]) {
        Some((chunk, object)) => object.sync().map_err(|error| (chunk.clone(), error)),
        None => Ok(()),
    };
    let publish = |number: usize, _: &mut Local| match guard(&pending[number]).take() {
        Some((chunk, object)) => object.publish(job.poll).map_err(|error| (chunk, error)),
        None => Ok(()),
    };
    pending.is_empty()
        || spread(pending.len(), job.threads.max(SYNCS), job, failures, &sync)
            && guard(&failures.0).is_none()
            && spread(pending.len(), job.threads, job, failures, &publish)
}

/// Encode and store what a piece changes of its object.
#[allow(clippy::too_many_arguments)]
fn store_piece<'a>(
    program: &Program,
    piece: &Piece,
    pieces: usize,
    objects: &'a dyn Objects,
    from: From,
    shape: &[usize],
    job: &Job,
    local: &mut Local,
) -> Result<Option<Box<dyn Pending + 'a>>> {
    let extent = extent(&piece.chunk, &program.shape, shape);
    // One shard is shared out by its inner chunks; of several each is one worker's.
    let inner = if pieces == 1 { job.threads } else { 1 };
    if piece.whole && extent == program.shape {
        let data = write_chunk(program, None, piece, from, &extent, job, inner, local)?;
        return match data {
            Some(value) => objects.stage(&piece.chunk, value, job.poll),
            None => objects.remove(&piece.chunk, job.poll).map(|()| None),
        };
    }
    // Whoever holds a lock must not wait for workers, who may be waiting for that very lock: this
    // thread works along.
    let job = Job {
        tasks: Tasks::Brief,
        ..*job
    };
    objects.update(&piece.chunk, job.poll, &mut |old| {
        let data = write_chunk(program, old, piece, from, &extent, &job, inner, local);
        match data {
            // All that is inside the array is replaced. What is outside is kept for a larger shape
            // that this handle may not know of, but is no reason to refuse the write.
            Err(error) if piece.whole && error.kind == Kind::Codec => {
                write_chunk(program, None, piece, from, &extent, &job, inner, local)
            }
            data => data,
        }
    })?;
    Ok(None)
}

fn guard<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
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
fn write_chunk<'o>(
    program: &Program,
    old: Option<&'o [u8]>,
    piece: &Piece,
    from: From,
    extent: &[usize],
    job: &Job,
    threads: usize,
    local: &mut Local,
) -> Result<Option<Value<'o>>> {
    if let Some(shard) = &program.shard {
        return write_shard(shard, old, piece, from, extent, job, threads, local);
    }
    let Local { scratch, offsets } = local;
    let mut buffer = std::mem::take(&mut scratch.chunk);
    grow(&mut buffer, program.nbytes);
    let mut change = |chunk: &mut [u8]| {
        match old {
            _ if piece.whole && extent == program.shape => {}
            Some(data) => {
                program.decode(data, chunk, &mut scratch.stages, &mut scratch.contexts)?;
            }
            None => {
                for item in chunk.chunks_exact_mut(program.item) {
                    item.copy_from_slice(&program.fill);
                }
            }
        }
        encode::gather(program, piece, from, chunk, threads, job, offsets)?;
        if program.sparse && !job.store_empty && copy::is_fill(chunk, &program.fill) {
            return Ok(None);
        }
        encode::encode(program, chunk, threads, job, scratch).map(|bytes| Some(bytes.into()))
    };
    let encoded = change(&mut buffer[..program.nbytes]);
    scratch.chunk = buffer;
    encoded
}

#[allow(clippy::too_many_arguments)]
fn write_shard<'o>(
    shard: &Shard,
    old: Option<&'o [u8]>,
    piece: &Piece,
    from: From,
    extent: &[usize],
    job: &Job,
    threads: usize,
    local: &mut Local,
) -> Result<Option<Value<'o>>> {
    let inside_extent = shard.turned_extent(extent);
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &inside_extent,
        &shard.inner_shape,
    );
    let mut pieces: Vec<Option<Cow<'o, [u8]>>> = vec![None; shard.count()];
    if let Some(data) = old {
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
            .unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some((place, new.map(Value::joined)));
        Ok(())
    };
    if threads > 1 {
        encode::shared(plan.size(), threads, job, &one)?;
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
    shard.assemble(pieces, &mut local.scratch).map(Some)
}
