//! What a forked child must not do with what it inherits.
//!
//! * A lock belongs to the open file, which a child shares: if its holder died, the lock would stay
//!   held for as long as the child lives. Locks are therefore registered, and a child closes them
//!   first of all, which leaves them to its parent.
//! * A file that is opened during a fork may be inherited and not yet registered. It is closed and
//!   opened again, before it is locked.
//! * The handlers of a fork may not allocate, nor take locks that another thread held: the registry
//!   is made of atomics, and its blocks are never freed.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::sync::Once;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::sys::retry;

const SLOTS: usize = 64;
const FREE: i32 = -1;

/// Descriptors of locks, and the next block of them.
struct Block {
    slots: [AtomicI32; SLOTS],
    next: AtomicPtr<Block>,
}

impl Block {
    const fn new() -> Block {
        Block {
            slots: [const { AtomicI32::new(FREE) }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn next(&self) -> Option<&'static Block> {
        // SAFETY: blocks are never freed.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }
}

static HELD: Block = Block::new();
/// The number of forks that have begun, and of those that are over.
static BEGUN: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);
/// The number of forks between the first process and this one, from one on.
static GENERATION: AtomicU32 = AtomicU32::new(1);

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_parent() {
    OVER.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    OVER.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    GENERATION.fetch_add(1, Ordering::SeqCst);
    let mut block = Some(&HELD);
    while let Some(this) = block {
        for slot in &this.slots {
            let file = slot.swap(FREE, Ordering::SeqCst);
            if file != FREE {
                // SAFETY: this is the child's copy of a lock's descriptor. Its owner sees by the
                // generation that it is closed.
                unsafe { rustix::io::close(file) };
            }
        }
        block = this.next();
    }
}

/// Return a number that differs between a process and its forked children.
pub fn generation() -> u32 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions of this library, which Python never unloads. If the
        // registration fails for want of memory, a child keeps locks for longer.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    GENERATION.load(Ordering::SeqCst)
}

/// A file that is open to be locked. Its drop releases the lock, except in a forked child.
#[derive(Debug)]
pub struct Locked {
    file: ManuallyDrop<OwnedFd>,
    slot: &'static AtomicI32,
    generation: u32,
}

impl Locked {
    /// Open a file that a forked child does not keep open. It is not locked yet.
    pub fn open(
        open: impl Fn() -> std::result::Result<OwnedFd, Errno>,
    ) -> std::result::Result<Locked, Errno> {
        loop {
            let generation = generation();
            let begun = BEGUN.load(Ordering::SeqCst);
            let file = open()?;
            let locked = Locked {
                slot: register(file.as_raw_fd()),
                file: ManuallyDrop::new(file),
                generation,
            };
            if OVER.load(Ordering::SeqCst) == begun && BEGUN.load(Ordering::SeqCst) == begun {
                return Ok(locked);
            }
            drop(locked);
            std::thread::yield_now();
        }
    }
}

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.generation != generation() {
            return;
        }
        // A child that is forked from here on may keep the file open, but not locked.
        let _ = retry(|| rustix::fs::flock(&*self.file, FlockOperation::Unlock));
        self.slot.store(FREE, Ordering::SeqCst);
        // SAFETY: the file is not used again.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}

fn register(file: i32) -> &'static AtomicI32 {
    let mut block = &HELD;
    loop {
        for slot in &block.slots {
            let free = slot.compare_exchange(FREE, file, Ordering::SeqCst, Ordering::Relaxed);
            if free.is_ok() {
                return slot;
            }
        }
        block = block.next().unwrap_or_else(|| {
            let made = Box::into_raw(Box::new(Block::new()));
            let null = ptr::null_mut();
            match block
                .next
                .compare_exchange(null, made, Ordering::SeqCst, Ordering::Acquire)
            {
                // SAFETY: blocks are never freed once they are linked.
                Ok(_) => unsafe { &*made },
                Err(other) => {
                    // SAFETY: no other thread has seen `made`; `other` is linked.
                    unsafe {
                        drop(Box::from_raw(made));
                        &*other
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_locks_than_a_block_has_are_registered_and_freed() {
        let open = || {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            rustix::fs::open("/", flags, rustix::fs::Mode::empty())
        };
        let locks: Vec<Locked> = (0..3 * SLOTS)
            .map(|_| Locked::open(open).unwrap())
            .collect();
        let mut numbers: Vec<i32> = locks
            .iter()
            .map(|lock| lock.slot.load(Ordering::SeqCst))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), locks.len());
    }

    #[test]
    fn a_lock_ends_with_its_process_though_a_child_lives() {
        let name = format!("fastzarr-fork-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, b"").unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let open = || rustix::fs::open(&path, flags, rustix::fs::Mode::empty());
        let (end, go) = std::io::pipe().unwrap();
        let (heard, told) = std::io::pipe().unwrap();
        // SAFETY: the children make system calls only.
        unsafe {
            let writer = libc::fork();
            if writer == 0 {
                let lock = Locked::open(open).unwrap();
                let exclusive = FlockOperation::NonBlockingLockExclusive;
                let locked = rustix::fs::flock(&lock, exclusive).is_ok();
                if libc::fork() == 0 {
                    drop(go);
                    let _ = rustix::io::write(&told, &[u8::from(locked)]);
                    // Until the test is over.
                    let _ = rustix::io::read(&end, &mut [0u8]);
                    libc::_exit(0);
                }
                libc::raise(libc::SIGKILL);
            }
            libc::waitpid(writer, ptr::null_mut(), 0);
        }
        let mut locked = [0u8];
        rustix::io::read(&heard, &mut locked).unwrap();
        let mine = open().unwrap();
        let free = rustix::fs::flock(&mine, FlockOperation::NonBlockingLockExclusive);
        drop(go);
        std::fs::remove_file(&path).unwrap();
        assert_eq!((locked, free), ([1], Ok(())));
    }
}
