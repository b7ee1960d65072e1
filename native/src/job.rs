//! What the chunks of one call have in common, and how they are shared out among threads.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::copy::{Shared, Source};
use crate::error::{Error, Result};
use crate::fork::generation;
use crate::memory;
use crate::pool::{self, Outcome, Tasks};
use crate::program::{Frame, Offsets, Scratch};

/// The bytes that every thread may keep between calls: enough for chunks of 16 MiB.
const KEPT: usize = 40 << 20;
/// The most bytes that all threads keep together beyond that. To get the memory of a chunk of 64 MiB
/// anew may take as long as to encode it.
const SHARED: usize = 192 << 20;

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
    share: Share,
}

impl Kept {
    /// Give back the memory if it is more than may be kept between calls.
    pub fn trim(&mut self) {
        if !self
            .share
            .set(self.scratch.footprint().saturating_sub(KEPT))
        {
            self.scratch = Scratch::default();
        }
    }
}

/// A thread's part of the memory that all threads may keep together.
#[derive(Default)]
struct Share(usize);

impl Share {
    /// Take so many bytes instead of those before. Take none and return false if they are too many.
    fn set(&mut self, bytes: usize) -> bool {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        static PROCESS: AtomicU32 = AtomicU32::new(0);
        if self.0 == 0 && bytes == 0 {
            return true;
        }
        let process = generation();
        if PROCESS.swap(process, Ordering::SeqCst) != process {
            // The threads of the process before the fork are not in this one.
            TAKEN.store(0, Ordering::SeqCst);
        }
        let before = std::mem::take(&mut self.0);
        let taken = TAKEN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
            let others = taken.saturating_sub(before);
            Some(match others.checked_add(bytes) {
                Some(all) if all <= SHARED => all,
                _ => others,
            })
        });
        let others = taken.unwrap_or_default().saturating_sub(before);
        let fits = others.checked_add(bytes).is_some_and(|all| all <= SHARED);
        if fits {
            self.0 = bytes;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_keep_no_more_than_their_share() {
        let [mut one, mut two] = [Share::default(), Share::default()];
        assert!(one.set(SHARED) && one.set(SHARED - 2));
        assert!(!two.set(3) && two.set(2) && !one.set(SHARED));
        assert!(!two.set(SHARED + 1) && !two.set(usize::MAX) && two.set(SHARED));
        drop(two);
        assert!(one.set(SHARED));
    }
}
