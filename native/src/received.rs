//! Objects that are decoded by the threads that have fetched them.
//!
//! * Such a thread has the bytes in its processor's cache, and no other one must be woken for them.
//! * Few of them decode at a time. The others wait, so that what has come and is not decoded has the
//!   bounds of what is requested.
//! * What decodes is lent for a call, as the tasks of a pool are: the call ends when nobody uses it
//!   any more.
//! * The caller's thread waits, polls, and decodes what it is given itself.
//!
//! `unsafe` has one reason: the threads are not those of the call, so they outlive what it lends.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::fork::generation;
use crate::job::{guard, owned, Failures, Job, Kept};
use crate::memory;
use crate::objects::{Arrivals, Arrived, Decode, Parts};
use crate::plan::{Piece, Plan};
use crate::pool::{self, LOOK};

/// The generation of the process, and the number of threads in it that decode.
static DECODING: AtomicU64 = AtomicU64::new(0);

/// Count a thread that decodes, unless there are so many.
fn begin(most: usize) -> bool {
    let process = u64::from(generation()) << 32;
    let begun = DECODING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        // The threads of the process before a fork are not in this one.
        let count = if now & !0xffff_ffff == process {
            now & 0xffff_ffff
        } else {
            0
        };
        (count < most as u64).then_some(process | (count + 1))
    });
    begun.is_ok()
}

/// What is lent, and how many threads use it.
#[derive(Default)]
struct Lent {
    decode: Option<*const Decode<'static>>,
    users: usize,
}

// SAFETY: the function is `Sync`, and `Receiver::lend` waits for those who use it.
unsafe impl Send for Lent {}

/// Where the threads that fetch find what decodes.
pub struct Receiver {
    lent: Mutex<Lent>,
    changed: Condvar,
    most: usize,
}

impl Receiver {
    /// Let at most so many threads of the process decode at a time, but one in any case.
    pub fn new(most: usize) -> Receiver {
        Receiver {
            lent: Mutex::default(),
            changed: Condvar::new(),
            most,
        }
    }

    /// Lend a function to other threads while `wait` runs.
    pub fn lend(&self, decode: &Decode<'_>, wait: &mut dyn FnMut()) {
        let decode: *const Decode<'_> = decode;
        // SAFETY: only the lifetime changes. `Lending` is dropped before this returns, however it
        // does, and waits for the users.
        let decode =
            unsafe { std::mem::transmute::<*const Decode<'_>, *const Decode<'static>>(decode) };
        let _lending = Lending(self, generation());
        guard(&self.lent).decode = Some(decode);
        wait();
    }

    /// Decode the object of a piece on this thread, once it may. Return whether the call is over, or
    /// `None` if nothing is lent.
    pub fn decode(&self, number: usize, parts: Option<&dyn Parts>) -> Option<bool> {
        let mut lent = guard(&self.lent);
        loop {
            let decode = lent.decode?;
            let begun = begin(self.most);
            if begun || lent.users == 0 {
                lent.users += 1;
                drop(lent);
                let _user = User(self, begun);
                // SAFETY: it is lent until the user is dropped.
                return Some(unsafe { &*decode }(number, parts));
            }
            let waited = self.changed.wait_timeout(lent, LOOK);
            lent = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A thread that uses what is lent, and whether it is counted.
struct User<'a>(&'a Receiver, bool);

impl Drop for User<'_> {
    fn drop(&mut self) {
        if self.1 {
            DECODING.fetch_sub(1, Ordering::AcqRel);
        }
        let mut lent = guard(&self.0.lent);
        lent.users -= 1;
        match lent.decode {
            Some(_) => self.0.changed.notify_one(),
            None => self.0.changed.notify_all(),
        }
    }
}

/// The loan of a call, in a process of this generation; dropped, it has ended.
struct Lending<'a>(&'a Receiver, u32);

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        // A child that was forked meanwhile has none of the users, and must not take their lock.
        if generation() != self.1 {
            return;
        }
        let mut lent = guard(&self.0.lent);
        lent.decode = None;
        self.0.changed.notify_all();
        while lent.users > 0 {
            let waited = self.0.changed.wait(lent);
            lent = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The number of a piece, and its object if it is not missing.
pub type Taken<'a> = (usize, Option<Box<dyn Parts + 'a>>);

/// Wait for the next object, unless the call has failed or is interrupted. Return the number of its
/// piece with it.
pub fn next<'a>(
    arrivals: &'a dyn Arrivals,
    plan: &Plan,
    wanted: usize,
    job: &Job,
    failures: &Failures,
) -> std::result::Result<Taken<'a>, (Vec<i64>, Error)> {
    loop {
        if !failures.is_empty() {
            return Err((Vec::new(), Error::interrupted()));
        }
        match arrivals.next(plan, wanted) {
            // Between two tasks, the pool polls.
            Ok(None) if (job.poll)() => return Err((Vec::new(), Error::interrupted())),
            Ok(None) => {}
            Ok(Some(Arrived { number, found })) => {
                let found = found.map_err(|error| (plan.piece(number).chunk, error));
                return found.map(|parts| (number, parts));
            }
            Err(error) => return Err((Vec::new(), error)),
        }
    }
}

/// A function that reads the object of a piece.
pub type Read<'a> = dyn Fn(&Piece, Option<&dyn Parts>, &mut Kept) -> Result<()> + Sync + 'a;

/// Read the objects of a plan, each on the thread that has fetched it or on this one. Return whether
/// all are read, or `None` if the threads that fetch do nothing else.
pub fn receive(
    arrivals: &dyn Arrivals,
    plan: &Plan,
    job: &Job,
    failures: &Failures,
    read: &Read<'_>,
) -> Option<bool> {
    let left = AtomicUsize::new(arrivals.count(plan));
    // Buffers are handed on: there are as many as threads that decode at a time.
    let all = Mutex::new(Vec::from([pool::kept(std::mem::take::<Kept>)]));
    let decode = |number: usize, parts: Option<&dyn Parts>| {
        if !failures.is_empty() {
            return true;
        }
        let piece = plan.piece(number);
        let mut kept = guard(&all).pop().unwrap_or_default();
        let done = catch_unwind(AssertUnwindSafe(|| {
            if memory::scarce() {
                return Err(Error::memory("memory", memory::SPARE));
            }
            read(&piece, parts, &mut kept)
        }));
        match done {
            Ok(done) => {
                guard(&all).push(kept);
                if let Err(error) = done {
                    failures.add(&piece.chunk, error);
                }
            }
            // What it keeps may be half changed.
            Err(_) => failures.add(&piece.chunk, Error::codec("decode", "the codec panicked")),
        }
        left.fetch_sub(1, Ordering::AcqRel) == 1 || !failures.is_empty()
    };
    let mut done = true;
    let lent = arrivals.lend(&decode, &mut || {
        let mut looked = Instant::now();
        while left.load(Ordering::Acquire) > 0 && failures.is_empty() {
            match arrivals.next(plan, 0) {
                Err(error) => failures.add(&[], error),
                Ok(None) => {}
                Ok(Some(Arrived { number, found })) => match found {
                    Ok(parts) => {
                        decode(number, parts.as_deref());
                    }
                    Err(error) => failures.add(&plan.piece(number).chunk, error),
                },
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if (job.poll)() {
                    done = false;
                    return;
                }
            }
        }
    });
    if let Some(last) = owned(all).pop() {
        pool::kept(|kept| *kept = last);
    }
    lent.then_some(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Part;
    use crate::pool::Tasks;
    use std::thread;
    use std::time::Duration;

    const COUNT: usize = 500;

    /// Objects that threads bring, which decode them if they may.
    struct Brought {
        receiver: Receiver,
        come: Mutex<Vec<usize>>,
    }

    impl Brought {
        fn new() -> Brought {
            Brought {
                receiver: Receiver::new(2),
                come: Mutex::default(),
            }
        }

        fn bring(&self, number: usize) {
            if self.receiver.decode(number, None).is_none() {
                guard(&self.come).push(number);
            }
        }
    }

    impl Arrivals for Brought {
        fn count(&self, plan: &Plan) -> usize {
            plan.size()
        }

        fn next(&self, _: &Plan, _: usize) -> Result<Option<Arrived<'_>>> {
            let found = guard(&self.come).pop();
            if found.is_none() {
                thread::sleep(Duration::from_micros(50));
            }
            Ok(found.map(|number| Arrived {
                number,
                found: Ok(None),
            }))
        }

        fn lend(&self, decode: &Decode<'_>, wait: &mut dyn FnMut()) -> bool {
            self.receiver.lend(decode, wait);
            true
        }
    }

    fn plan() -> Plan {
        let count = COUNT as i64;
        let part = Part::Span {
            axis: 0,
            step: 1,
            chunk: (0..count).collect(),
            start: vec![0; COUNT],
            size: vec![1; COUNT],
            out: (0..count).collect(),
            extent: vec![1; COUNT],
            full: None,
        };
        Plan::new(vec![part], 1)
    }

    /// Return whether all were read, the first failure, and how often each was read.
    fn received(
        brought: &Brought,
        poll: &(dyn Fn() -> bool + Sync),
        fail: Option<usize>,
    ) -> (Option<bool>, Option<Vec<i64>>, Vec<usize>) {
        let job = Job {
            missing: true,
            store_empty: false,
            threads: 2,
            least: 1,
            tasks: Tasks::Brief,
            poll,
        };
        let seen: Vec<AtomicUsize> = (0..COUNT).map(|_| AtomicUsize::new(0)).collect();
        let (failures, inside) = (Failures::default(), AtomicUsize::new(0));
        let done = receive(brought, &plan(), &job, &failures, &|piece, _, _| {
            let number = piece.chunk[0] as usize;
            inside.fetch_add(1, Ordering::SeqCst);
            if number.is_multiple_of(7) {
                thread::sleep(Duration::from_micros(200));
            }
            seen[number].fetch_add(1, Ordering::SeqCst);
            inside.fetch_sub(1, Ordering::SeqCst);
            match fail {
                Some(at) if at == number => Err(Error::codec("test", "as asked")),
                _ => Ok(()),
            }
        });
        assert_eq!(inside.load(Ordering::SeqCst), 0, "a thread still decodes");
        assert!(brought.receiver.decode(0, None).is_none());
        let seen = seen.iter().map(|one| one.load(Ordering::SeqCst)).collect();
        (done, failures.first().map(|failure| failure.chunk), seen)
    }

    fn by_threads(
        poll: &(dyn Fn() -> bool + Sync),
        fail: Option<usize>,
    ) -> (Option<bool>, Option<Vec<i64>>, Vec<usize>) {
        let (brought, next) = (Brought::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= COUNT {
                        return;
                    }
                    brought.bring(number);
                });
            }
            received(&brought, poll, fail)
        })
    }

    #[test]
    fn each_is_read_once_on_any_thread() {
        let (done, failure, seen) = by_threads(&|| false, None);
        assert_eq!((done, failure), (Some(true), None));
        assert!(seen.iter().all(|&times| times == 1));
    }

    #[test]
    fn a_failure_on_another_thread_is_that_of_the_call() {
        let (done, failure, seen) = by_threads(&|| false, Some(49));
        assert_eq!((done, failure), (Some(true), Some(vec![49])));
        assert!(seen.iter().all(|&times| times <= 1));
    }

    #[test]
    fn a_call_that_is_stopped_waits_for_those_that_decode_only() {
        let (brought, begun) = (Brought::new(), AtomicUsize::new(0));
        let poll = || begun.fetch_add(1, Ordering::SeqCst) > 0;
        let (done, failure, seen) = received(&brought, &poll, None);
        assert_eq!((done, failure), (Some(false), None));
        assert!(seen.iter().all(|&times| times == 0));
    }
}
