//! What the chunks of one call have in common, and how they are shared out among threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::copy::{Shared, Source};
use crate::error::{Error, Result};
use crate::memory;
use crate::pool::{self, Outcome, Tasks};
use crate::program::{Frame, Offsets, Scratch};

/// The most bytes that a thread keeps between calls: enough for chunks of 16 MiB. To get the memory of
/// larger ones from the system costs little of the time that they take.
const KEPT: usize = 40 << 20;

/// What is the same for all chunks of one call.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Whether a missing chunk is read as the fill value, and not an error.
    pub missing: bool,
    /// Whether a chunk that holds only the fill value is stored.
    pub store_empty: bool,
    /// How many threads may work.
    pub threads: usize,
    /// The fewest bytes of a chunk that are worth a thread of their own, at least one.
    pub least: usize,
    /// How long one chunk may take.
    pub tasks: Tasks,
    /// Asked regularly by the caller's thread; true ends the run.
    pub poll: &'a (dyn Fn() -> bool + Sync),
}

/// The memory that a call reads into.
#[derive(Clone, Copy)]
pub struct ReadInto<'a> {
    /// The memory, shared by the workers.
    pub memory: Shared<'a>,
    /// Where elements lie in it.
    pub frame: Frame<'a>,
}

/// The memory that a call writes from.
#[derive(Clone, Copy)]
pub struct WriteFrom<'a> {
    /// The memory.
    pub memory: Source<'a>,
    /// Where elements lie in it.
    pub frame: Frame<'a>,
}

/// What a thread keeps from chunk to chunk and from call to call.
#[derive(Default)]
pub struct Kept {
    /// Buffers and the codecs' contexts.
    pub scratch: Scratch,
    /// The offsets of points.
    pub offsets: Offsets,
}

impl Kept {
    /// Give back the memory if it is more than a thread keeps between calls.
    pub fn trim(&mut self) {
        if self.scratch.footprint() > KEPT {
            self.scratch = Scratch::default();
        }
    }
}

/// A failure and the chunk that failed.
pub struct Failure {
    /// The chunk's coordinates in the array's grid.
    pub chunk: Vec<i64>,
    /// What went wrong.
    pub error: Error,
}

/// The first failure of several threads.
#[derive(Default)]
pub struct Failures(Mutex<Option<Failure>>);

impl Failures {
    /// Keep a failure if it is the first.
    pub fn add(&self, chunk: &[i64], error: Error) {
        guard(&self.0).get_or_insert_with(|| Failure {
            #[allow(clippy::disallowed_methods)] // One number for each axis.
            chunk: chunk.to_vec(),
            error,
        });
    }

    /// Whether there is no failure.
    pub fn is_empty(&self) -> bool {
        guard(&self.0).is_none()
    }

    /// Return the first failure.
    pub fn first(self) -> Option<Failure> {
        owned(self.0)
    }
}

/// What is done for each number; a failure names its chunk.
pub type Step<'a> =
    dyn Fn(usize, &mut Kept) -> std::result::Result<(), (Vec<i64>, Error)> + Sync + 'a;

/// Run a task for each number below `count`. Return false if `poll` or a failure ended the run.
pub fn spread(
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
            let done = if memory::scarce() {
                Err((Vec::new(), Error::memory("memory", memory::SPARE)))
            } else {
                let kept = worker.kept::<Kept>();
                let done = task(number, kept);
                // One of the last, which no other follows on this thread.
                if number + threads >= count {
                    kept.trim();
                }
                done
            };
            if let Err((chunk, error)) = done {
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

/// Run a task for each number below `count` on the job's threads. Return the first failure.
pub fn shared(
    count: usize,
    job: &Job,
    task: &(dyn Fn(usize, &mut Kept) -> Result<()> + Sync),
) -> Result<()> {
    let failures = Failures::default();
    let done = spread(count, job.threads, job, &failures, &|number, kept| {
        task(number, kept).map_err(|error| (Vec::new(), error))
    });
    match failures.first() {
        Some(failure) => Err(failure.error),
        None if done => Ok(()),
        None => Err(Error::interrupted()),
    }
}

/// Lock a mutex whose content is whole at any time, also after a thread has panicked.
pub fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Return the content of such a mutex.
pub fn owned<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
