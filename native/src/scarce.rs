//! What a call does when descriptors, or space on the disk, run out.
//!
//! * Objects that stay open while others are opened take a share of the process's descriptors. All
//!   shares together are a third of the limit, and a share is at most half of what is free: that
//!   leaves room for the user's program. Each call gets at least one object.
//! * A step that fails for want of descriptors or space is taken again, alone, once the call has
//!   published or closed all that it had. If it fails then, it waits only for other calls' shares.
//!   A call with a share never waits, so calls do not wait for each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
#[cfg(unix)]
use crate::fork::generation;

/// How many descriptors an object takes: its own and that of its folder.
const EACH: u64 = 2;
/// The sleep between two attempts, and how long they go on while other calls have shares.
const NAP: Duration = Duration::from_millis(2);
const WAIT: Duration = Duration::from_secs(10);
/// How long attempts go on for want of descriptors while no call has a share: a thread of the
/// process may have some for the length of one step.
const MOMENT: Duration = Duration::from_millis(200);

/// The process's generation, and the number of objects in all shares, each in 32 bits.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Return the limit of descriptors, and about how many are free.
#[cfg(unix)]
fn descriptors() -> (u64, u64) {
    use rustix::fs::{Mode, OFlags};
    use rustix::process::{getrlimit, Resource};
    use std::os::fd::AsRawFd;

    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // A new descriptor has the lowest number that is free.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let free = match rustix::fs::open("/", flags, Mode::empty()) {
        Ok(file) => limit.saturating_sub(file.as_raw_fd().unsigned_abs().into()),
        Err(_) => 0,
    };
    (limit, free)
}

#[cfg(not(unix))]
fn descriptors() -> (u64, u64) {
    (u64::MAX, u64::MAX)
}

#[cfg(not(unix))]
fn generation() -> u32 {
    1
}

/// Return the number of objects in the shares of all calls of this process.
fn taken(state: u64, generation: u32) -> u64 {
    // Shares of the process that this one was forked from do not count.
    if state >> 32 == u64::from(generation) {
        state & u64::from(u32::MAX)
    } else {
        0
    }
}

/// Permission to keep some objects open, until it is dropped.
#[derive(Debug)]
pub struct Share {
    count: u64,
    generation: u32,
}

impl Share {
    /// Take a share of up to `wanted` objects, at least one.
    pub fn take(wanted: usize) -> Share {
        let (limit, free) = descriptors();
        Share::of(wanted, limit, free)
    }

    fn of(wanted: usize, limit: u64, free: u64) -> Share {
        let generation = generation();
        let high = u64::from(generation) << 32;
        let mut count = 0;
        let change = |state| {
            let others = taken(state, generation);
            // Another call that comes now finds some left.
            let left = (limit / 3 / EACH).saturating_sub(others) * 2 / 3;
            let left = left.min(free / 2 / EACH);
            count = left.min(wanted as u64).clamp(1, 1 << 16);
            Some(high | (others + count))
        };
        let _ = TAKEN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
        Share { count, generation }
    }

    /// Return the number of objects.
    pub fn count(&self) -> usize {
        self.count as usize
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let change = |state| {
            let others = taken(state, self.generation).checked_sub(self.count)?;
            Some(state & !u64::from(u32::MAX) | others)
        };
        let _ = TAKEN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }
}

/// What has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code))]
enum Scarce {
    Descriptors,
    Space,
}

#[cfg(unix)]
fn scarce(error: &Error) -> Option<Scarce> {
    use rustix::io::Errno;

    let Kind::Io(number) = error.kind else {
        return None;
    };
    match Errno::from_raw_os_error(number) {
        Errno::MFILE | Errno::NFILE => Some(Scarce::Descriptors),
        Errno::NOSPC | Errno::DQUOT => Some(Scarce::Space),
        _ => None,
    }
}

#[cfg(not(unix))]
fn scarce(_: &Error) -> Option<Scarce> {
    None
}

/// Whether a step has failed for want of what this call, or another one, may give back.
pub fn ran_out(error: &Error) -> bool {
    scarce(error).is_some()
}

/// Take a step that has failed for want of something again, as long as other calls may give it back.
/// The caller has no share.
pub fn again(stop: &dyn Fn() -> bool, mut step: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    loop {
        let others = taken(TAKEN.load(Ordering::SeqCst), generation()) > 0;
        let error = match step() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let patience = match scarce(&error) {
            Some(_) if others => WAIT,
            Some(Scarce::Descriptors) => MOMENT,
            _ => return Err(error),
        };
        if begin.elapsed() > patience {
            return Err(error);
        }
        if stop() {
            return Err(Error::interrupted());
        }
        std::thread::sleep(NAP);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    // One test, because all shares of the process count.
    #[test]
    fn shares_leave_something_and_a_step_waits_for_them() {
        let error = |errno: Errno| crate::sys::failed("store", errno);
        let first = Share::of(1000, 256, 250);
        let second = Share::of(1000, 256, 200);
        assert_eq!((first.count(), second.count()), (28, 9));
        let more: Vec<Share> = (0..50).map(|_| Share::of(1000, 256, 20)).collect();
        assert_eq!(more[0].count(), 3);
        assert!(more.iter().all(|share| share.count() >= 1));
        assert_eq!(more[49].count(), 1);
        drop(more);
        let mut held = Some((first, second));
        let mut tries = 0;
        let done = again(&|| false, || {
            tries += 1;
            if tries == 3 {
                held = None;
            }
            if held.is_some() || tries == 3 {
                Err(error(Errno::NOSPC))
            } else {
                Ok(())
            }
        });
        assert_eq!((done, tries), (Ok(()), 4));
        let mut tries = 0;
        let done = again(&|| false, || {
            tries += 1;
            Err(error(Errno::NOSPC))
        });
        assert_eq!((done.is_err(), tries), (true, 1));
        let done = again(&|| true, || Err(error(Errno::MFILE)));
        assert_eq!(done.unwrap_err().kind, Kind::Interrupted);
    }
}
