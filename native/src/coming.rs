//! What comes in an order of its own, several at once, for several threads.
//!
//! * One thread at a time waits for what comes, and the others for what that one brings. So none waits
//!   for what another one has taken.
//! * Of what only takes work to get, more is got while there are a few left, which the other threads
//!   take meanwhile.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::Result;
use crate::job::guard;
use crate::pool::LOOK;

struct State<T> {
    ready: VecDeque<T>,
    /// What has come since, which is taken when nothing else is left.
    later: Vec<T>,
    /// Whether a thread waits for what comes.
    taking: bool,
}

impl<T> State<T> {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty()
    }

    fn pop(&mut self, choose: impl FnOnce(&VecDeque<T>) -> usize) -> Option<T> {
        if self.ready.is_empty() {
            self.ready = VecDeque::from(std::mem::take(&mut self.later));
        }
        let at = choose(&self.ready);
        self.ready.remove(at)
    }
}

/// What has come and is not taken yet.
pub struct Coming<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Coming<T> {
    /// Make it before anything has come.
    pub fn new() -> Coming<T> {
        let (ready, later) = (VecDeque::new(), Vec::new());
        Coming {
            state: Mutex::new(State {
                ready,
                later,
                taking: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Return one of what has come, or `None` if there is nothing for some milliseconds. `take` waits
    /// for more when no more than a `few` are left; `choose` returns the index of the one to return.
    pub fn next(
        &self,
        few: usize,
        choose: impl FnOnce(&VecDeque<T>) -> usize,
        take: impl FnOnce() -> Result<Vec<T>>,
    ) -> Result<Option<T>> {
        let mut state = guard(&self.state);
        if state.is_empty() && state.taking {
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.taking || state.ready.len() > few || !state.later.is_empty() {
            return Ok(state.pop(choose));
        }
        state.taking = true;
        drop(state);
        let mut taker = Taker(self, Vec::new());
        taker.1 = take()?;
        drop(taker);
        Ok(guard(&self.state).pop(choose))
    }
}

/// The thread that waits for what comes. Dropped, it hands over what has come.
struct Taker<'a, T>(&'a Coming<T>, Vec<T>);

impl<T> Drop for Taker<'_, T> {
    fn drop(&mut self) {
        let mut state = guard(&self.0.state);
        state.taking = false;
        state.later = std::mem::take(&mut self.1);
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn each_is_taken_once() {
        const COUNT: usize = 1000;
        for few in [0, 3, 10] {
            let (coming, next) = (Coming::new(), AtomicUsize::new(0));
            let seen: Vec<AtomicUsize> = (0..COUNT).map(|_| AtomicUsize::new(0)).collect();
            let left = AtomicUsize::new(COUNT);
            let take = || {
                let first = next.fetch_add(7, Ordering::SeqCst);
                Ok((first.min(COUNT)..(first + 7).min(COUNT)).collect())
            };
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while left.load(Ordering::SeqCst) > 0 {
                            if let Ok(Some(number)) = coming.next(few, |_| 0, take) {
                                let number: usize = number;
                                seen[number].fetch_add(1, Ordering::SeqCst);
                                left.fetch_sub(1, Ordering::SeqCst);
                            }
                        }
                    });
                }
            });
            assert!(seen.iter().all(|one| one.load(Ordering::SeqCst) == 1));
        }
    }

    #[test]
    fn more_is_taken_while_few_are_left_and_the_chosen_one_is_returned() {
        let coming = Coming::new();
        let first = coming.next(2, |_| 0, || Ok(Vec::from([0, 1, 2, 3])));
        assert!(matches!(first, Ok(Some(0))));
        let chosen = coming.next(2, |ready| ready.len() - 1, || unreachable!());
        assert!(matches!(chosen, Ok(Some(3))));
        // Two are left: more is taken, and returned after these.
        let more = coming.next(2, |_| 0, || Ok(Vec::from([4, 5])));
        assert!(matches!(more, Ok(Some(1))));
        for number in [2, 4] {
            let next = coming.next(0, |_| 0, || unreachable!());
            assert!(matches!(next, Ok(Some(found)) if found == number));
        }
    }

    #[test]
    fn after_an_error_another_one_may_take() {
        let coming: Coming<usize> = Coming::new();
        let failed = coming.next(0, |_| 0, || Err(crate::error::Error::interrupted()));
        assert!(failed.is_err());
        let taken = coming.next(0, |_| 0, || Ok(Vec::from([3, 4])));
        assert!(matches!(taken, Ok(Some(3))));
        let left = coming.next(0, |_| 0, || unreachable!());
        assert!(matches!(left, Ok(Some(4))));
    }
}
