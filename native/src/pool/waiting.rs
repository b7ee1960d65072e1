//! How a thread of the pool waits for another one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread spins for work, or for its end, before it sleeps: about the cost of waking it.
const SPIN: Duration = Duration::from_micros(60);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under the locks; if it did, their content would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spin for a little while, and yield the processor: the thread that is waited for may need it.
pub(super) fn spin_while(wait: impl Fn() -> bool) {
    let begin = Instant::now();
    while wait() && begin.elapsed() < SPIN {
        for _ in 0..32 {
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}
