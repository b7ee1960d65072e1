//! What comes in an order of its own, several at once, for several threads.
//!
//! * One thread at a time waits for what comes, and the others for what that one brings. So none waits
//!   for what another one has taken.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::Result;
use crate::job::guard;
use crate::pool::LOOK;

struct State<T> {
    ready: VecDeque<T>,
    /// Whether a thread waits for what comes.
    taking: bool,
}

/// What has come and is not taken yet.
pub struct Coming<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Coming<T> {
    /// Make it before anything has come.
    pub fn new() -> Coming<T> {
        let ready = VecDeque::new();
        Coming {
            state: Mutex::new(State {
                ready,
                taking: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Return the next of what has come, or `None` if there is nothing for some milliseconds. `take`
    /// waits for it.
    pub fn next(&self, take: impl FnOnce() -> Result<Vec<T>>) -> Result<Option<T>> {
        let mut state = guard(&self.state);
        if state.ready.is_empty() && state.taking {
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(next) = state.ready.pop_front() {
            return Ok(Some(next));
        }
        if state.taking {
            return Ok(None);
        }
        state.taking = true;
        drop(state);
        let mut taker = Taker(self, Vec::new());
        taker.1 = take()?;
        drop(taker);
        Ok(guard(&self.state).ready.pop_front())
    }
}

/// The thread that waits for what comes. Dropped, it hands over what has come.
struct Taker<'a, T>(&'a Coming<T>, Vec<T>);

impl<T> Drop for Taker<'_, T> {
    fn drop(&mut self) {
        let mut state = guard(&self.0.state);
        state.taking = false;
        state.ready = VecDeque::from(std::mem::take(&mut self.1));
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
                        if let Ok(Some(number)) = coming.next(take) {
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

    #[test]
    fn after_an_error_another_one_may_take() {
        let coming: Coming<usize> = Coming::new();
        let failed = coming.next(|| Err(crate::error::Error::interrupted()));
        assert!(failed.is_err());
        assert!(matches!(coming.next(|| Ok(Vec::from([3, 4]))), Ok(Some(3))));
        assert!(matches!(coming.next(|| unreachable!()), Ok(Some(4))));
    }
}
