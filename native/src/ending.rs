//! The end of the interpreter, before which calls that run code of Python's must have ended.
//!
//! * Before 3.14, Python ends other threads while it ends itself: by an exception that is not Rust's,
//!   where they ask for the interpreter's lock. In code of Python's that Rust has called, the exception
//!   would pass through frames of Rust, which aborts the process.
//! * The calls under way that may run such code are counted. Before the interpreter ends, calls of other
//!   threads are refused, and those under way run no more of it, by which they fail.
//! * Calls of the thread that ends the interpreter are never refused. Those that are awaited go on until
//!   all are refused, because the process waits for them.
//! * A forked child begins anew: each word that is kept has the number of its process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::fork::generation;

/// The process, and which calls it refuses; it and the number of its calls.
static REFUSED: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
/// The thread that ends the interpreter.
static ENDING: AtomicUsize = AtomicUsize::new(0);

/// Which calls of other threads are refused: those that are not awaited, or all.
const SOME: u32 = 1;
const ALL: u32 = 2;

/// Return a number that differs between the threads that live.
fn here() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

/// Return a word with the number of this process.
fn word(process: u32, count: u32) -> u64 {
    u64::from(process) << 32 | u64::from(count)
}

/// Return the lower half of a word of this process, 0 for that of another one.
fn count_in(word: u64, process: u32) -> u32 {
    if (word >> 32) as u32 == process {
        word as u32
    } else {
        0
    }
}

/// Who makes a call.
#[derive(Clone, Copy)]
pub struct Caller {
    thread: usize,
    awaited: bool,
}

impl Caller {
    /// Return this thread as a caller; the call may be awaited by others.
    pub fn here(awaited: bool) -> Caller {
        Caller {
            thread: here(),
            awaited,
        }
    }

    /// Whether its calls begin no more, and run no more code of Python's.
    pub fn is_refused(self) -> bool {
        let found = REFUSED.load(Ordering::SeqCst);
        // It is 0 in nearly all cases.
        if found == 0 {
            return false;
        }
        let which = count_in(found, generation());
        let refused = which == ALL || (which == SOME && !self.awaited);
        refused && ENDING.load(Ordering::SeqCst) != self.thread
    }

    /// Count a call that runs code of Python's, as long as the result lives. Return `None` if it is
    /// refused.
    pub fn begin(self) -> Option<UnderWay> {
        let process = generation();
        add(process, 1);
        let counted = UnderWay(process);
        // Whoever counts the calls after refusing them has counted this one, or it is refused here.
        (!self.is_refused()).then_some(counted)
    }
}

/// A call that is counted in a process.
pub struct UnderWay(u32);

impl Drop for UnderWay {
    fn drop(&mut self) {
        // The calls of the parent are none of a child that was forked meanwhile.
        if generation() == self.0 {
            add(self.0, -1);
        }
    }
}

fn add(process: u32, more: i32) {
    let change = |found| {
        let count = count_in(found, process).saturating_add_signed(more);
        Some(word(process, count))
    };
    // The function never refuses.
    let _ = CALLS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
}

/// Refuse the calls of all threads but this one from now on, or all but those that are awaited.
pub fn refuse(awaited: bool) {
    ENDING.store(here(), Ordering::SeqCst);
    let which = if awaited { ALL } else { SOME };
    REFUSED.store(word(generation(), which), Ordering::SeqCst);
}

/// Return the number of the calls under way.
pub fn under_way() -> u32 {
    count_in(CALLS.load(Ordering::SeqCst), generation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn elsewhere(awaited: bool) -> bool {
        let begun = move || Caller::here(awaited).begin().is_some();
        thread::spawn(begun).join().unwrap()
    }

    // One test: the state is that of the process.
    #[test]
    fn calls_of_other_threads_are_refused() {
        let before = thread::spawn(|| Caller::here(false)).join().unwrap();
        let call = before.begin();
        assert!(call.is_some() && !before.is_refused() && elsewhere(false));
        assert_eq!(under_way(), 1);
        refuse(false);
        assert!(before.is_refused());
        assert!(!elsewhere(false) && elsewhere(true));
        refuse(true);
        assert!(!elsewhere(false) && !elsewhere(true));
        assert!(Caller::here(false).begin().is_some());
        assert_eq!(under_way(), 1);
        drop(call);
        assert_eq!(under_way(), 0);
        REFUSED.store(0, Ordering::SeqCst);
    }

    #[test]
    fn a_word_of_another_process_counts_nothing() {
        assert_eq!(count_in(word(3, 7), 3), 7);
        assert_eq!(count_in(word(3, 7), 4), 0);
    }
}
