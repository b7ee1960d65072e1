//! Memory that may run out.
//!
//! * A size that data or metadata decides is allocated by the functions of this file, which return an
//!   error. `clippy.toml` refuses the methods of `Vec` that end the process instead.
//! * What is small and bounded (the coordinates of a chunk, a message, a thread's name) is allocated as
//!   usual. [`Reserve`] gives it memory that was set aside when the process has no other, so that the
//!   error can be made and reported.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Make room for `more` items behind those of a list.
pub fn reserve<T>(list: &mut Vec<T>, more: usize, stage: &'static str) -> Result<()> {
    list.try_reserve(more)
        .map_err(|_| Error::memory(stage, more.saturating_mul(size_of::<T>())))
}

/// Return an empty list with room for `count` items, and no more.
pub fn with_room<T>(count: usize, stage: &'static str) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| Error::memory(stage, count.saturating_mul(size_of::<T>())))?;
    Ok(list)
}

/// Make a list exactly `size` long; new items are copies of `item`.
pub fn resize<T: Clone>(
    list: &mut Vec<T>,
    size: usize,
    item: T,
    stage: &'static str,
) -> Result<()> {
    let more = size.saturating_sub(list.len());
    list.try_reserve_exact(more)
        .map_err(|_| Error::memory(stage, size.saturating_mul(size_of::<T>())))?;
    #[allow(clippy::disallowed_methods)] // The room is reserved.
    list.resize(size, item);
    Ok(())
}

/// Return `size` zeros.
pub fn zeroed(size: usize, stage: &'static str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    resize(&mut bytes, size, 0, stage)?;
    Ok(bytes)
}

/// Return the first `size` bytes of a buffer, which is made at least that long and keeps its content.
pub fn grown<'a>(
    buffer: &'a mut Vec<u8>,
    size: usize,
    stage: &'static str,
) -> Result<&'a mut [u8]> {
    if buffer.len() < size {
        resize(buffer, size, 0, stage)?;
    }
    Ok(&mut buffer[..size])
}

/// Add bytes to a buffer.
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8], stage: &'static str) -> Result<()> {
    reserve(buffer, bytes.len(), stage)?;
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Return a copy of a list.
pub fn copied<T: Copy>(items: &[T], stage: &'static str) -> Result<Vec<T>> {
    let mut list = with_room(items.len(), stage)?;
    list.extend_from_slice(items);
    Ok(list)
}

/// Add an item to a list.
pub fn push<T>(list: &mut Vec<T>, item: T, stage: &'static str) -> Result<()> {
    reserve(list, 1, stage)?;
    list.push(item);
    Ok(())
}

/// Return the items of an iterator.
pub fn collected<T>(items: impl IntoIterator<Item = T>, stage: &'static str) -> Result<Vec<T>> {
    let items = items.into_iter();
    let mut list = with_room(items.size_hint().0, stage)?;
    for item in items {
        push(&mut list, item, stage)?;
    }
    Ok(list)
}

/// More than the bytes that a new thread needs at once. Memory of less than 64 KiB is not given back to
/// the system on each release.
pub const SPARE: usize = 60 << 10;

/// Whether the process has memory for the state of another thread, which the C library and Python end
/// the process without.
pub fn spare() -> bool {
    let layout = Layout::new::<[u8; SPARE]>();
    // SAFETY: the layout is not empty, and that of the memory that is given back.
    unsafe {
        let start = System.alloc(std::hint::black_box(layout));
        if !start.is_null() {
            System.dealloc(start, layout);
        }
        !start.is_null()
    }
}

/// The slots of the reserve: how many of which size. A word of bits stands for 64 of them.
const CLASSES: [(usize, usize); 3] = [(256, 1024), (4096, 128), (1 << 16, 8)];
/// The number of words of bits for each class, and where they begin.
const WORDS: [(usize, usize); 3] = [(0, 16), (16, 2), (18, 1)];
/// Where the slots of each class begin.
const STARTS: [usize; 3] = [0, 256 * 1024, 256 * 1024 + 4096 * 128];
const SIZE: usize = STARTS[2] + (1 << 16) * 8;
/// The strictest alignment that a slot has.
const ALIGN: usize = 256;

#[repr(align(4096))]
struct Area(UnsafeCell<[u8; SIZE]>);

// SAFETY: a slot belongs to the thread that has set its bit, until the bit is cleared.
unsafe impl Sync for Area {}

static AREA: Area = Area(UnsafeCell::new([0; SIZE]));
static USED: [AtomicU64; 19] = [const { AtomicU64::new(0) }; 19];

/// Whether so much of the reserve is used that nothing new should begin.
pub fn scarce() -> bool {
    let (first, count) = WORDS[0];
    let used = USED[first..first + count].iter();
    let used: u32 = used.map(|w| w.load(Ordering::Relaxed).count_ones()).sum();
    used as usize * 4 > CLASSES[0].1
}

/// An allocator that has a reserve for what is small when the one below it has no memory left.
///
/// The reserve is a part of the program's own data, so it is there whatever the limits of the process
/// are. It has no locks, which a fork could leave locked.
pub struct Reserve<A>(pub A);

impl<A> Reserve<A> {
    fn take(layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN {
            return std::ptr::null_mut();
        }
        for (class, (size, count)) in CLASSES.into_iter().enumerate() {
            if layout.size() > size {
                continue;
            }
            let (first, words) = WORDS[class];
            for (place, word) in USED[first..first + words].iter().enumerate() {
                let slots = count - 64 * place;
                let full = if slots >= 64 {
                    u64::MAX
                } else {
                    (1 << slots) - 1
                };
                let claim = |bits: u64| (bits != full).then(|| bits | (bits + 1));
                let claimed = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, claim);
                if let Ok(before) = claimed {
                    let slot = 64 * place + before.trailing_ones() as usize;
                    let offset = STARTS[class] + slot * size;
                    return AREA.0.get().cast::<u8>().wrapping_add(offset);
                }
            }
        }
        std::ptr::null_mut()
    }

    /// Return the offset of memory in the reserve, or `None` if it is not from there.
    fn place(start: *mut u8) -> Option<usize> {
        let offset = (start as usize).wrapping_sub(AREA.0.get() as usize);
        (offset < SIZE).then_some(offset)
    }

    fn give(offset: usize) {
        let class = STARTS.partition_point(|start| *start <= offset) - 1;
        let slot = (offset - STARTS[class]) / CLASSES[class].0;
        let word = &USED[WORDS[class].0 + slot / 64];
        word.fetch_and(!(1 << (slot % 64)), Ordering::Release);
    }
}

// SAFETY: memory is that of the allocator below, or a slot of the reserve that is large enough, aligned
// for the layout, and used by nobody else; each is given back to where it came from.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reserve<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { self.0.alloc(layout) };
        if found.is_null() {
            return Self::take(layout);
        }
        found
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { self.0.alloc_zeroed(layout) };
        if !found.is_null() {
            return found;
        }
        let found = Self::take(layout);
        if !found.is_null() {
            // SAFETY: the slot is at least this large.
            unsafe { found.write_bytes(0, layout.size()) };
        }
        found
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match Self::place(start) {
            Some(offset) => Self::give(offset),
            // SAFETY: as the caller promises; it is not from the reserve.
            None => unsafe { self.0.dealloc(start, layout) },
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::place(start).is_none() {
            // SAFETY: as the caller promises; it is not from the reserve.
            let found = unsafe { self.0.realloc(start, layout, size) };
            if !found.is_null() {
                return found;
            }
        }
        // SAFETY: the size is not zero, and was checked by the caller.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both are at least as long, and different memory; the old one is given back once.
            unsafe {
                moved.copy_from_nonoverlapping(start, layout.size().min(size));
                self.dealloc(start, layout);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An allocator without any memory.
    struct Nothing;

    // SAFETY: it never returns memory.
    unsafe impl GlobalAlloc for Nothing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            std::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
            unreachable!("nothing was allocated")
        }
    }

    #[test]
    fn the_reserve_serves_what_is_small_and_takes_it_back() {
        let reserve = Reserve(Nothing);
        for _ in 0..3 {
            let mut all = Vec::new();
            for size in [1, 100, 256, 257, 4096, 5000, 1 << 16] {
                let layout = Layout::from_size_align(size, 16).unwrap();
                // SAFETY: the layout is not empty; the memory is written inside its size.
                unsafe {
                    let start = reserve.alloc_zeroed(layout);
                    assert!(!start.is_null() && (start as usize).is_multiple_of(16));
                    start.write_bytes(size as u8, size);
                    all.push((start, layout));
                }
            }
            let mut tiny = 0;
            let layout = Layout::from_size_align(8, 8).unwrap();
            // SAFETY: as above.
            unsafe {
                loop {
                    let start = reserve.alloc(layout);
                    if start.is_null() {
                        break;
                    }
                    tiny += 1;
                    all.push((start, layout));
                }
                assert!(tiny > 1000 && scarce());
                for (start, layout) in &all[..7] {
                    let bytes = std::slice::from_raw_parts(*start, layout.size());
                    assert!(bytes.iter().all(|byte| *byte == layout.size() as u8));
                }
                for (start, layout) in all {
                    reserve.dealloc(start, layout);
                }
            }
            assert!(!scarce());
            // SAFETY: as above.
            assert!(unsafe { reserve.alloc(Layout::new::<[u8; 1 << 17]>()).is_null() });
        }
    }

    #[test]
    fn the_reserve_grows_and_moves_what_it_holds() {
        let reserve = Reserve(Nothing);
        let layout = Layout::from_size_align(10, 8).unwrap();
        // SAFETY: the layouts are those of the memory; it is read inside its size.
        unsafe {
            let start = reserve.alloc(layout);
            start.write_bytes(7, 10);
            let start = reserve.realloc(start, layout, 3000);
            assert_eq!(std::slice::from_raw_parts(start, 10), [7; 10]);
            let layout = Layout::from_size_align(3000, 8).unwrap();
            assert!(reserve.realloc(start, layout, 1 << 20).is_null());
            assert_eq!(std::slice::from_raw_parts(start, 10), [7; 10]);
            reserve.dealloc(start, layout);
        }
    }

    #[test]
    fn sizes_without_memory_are_errors() {
        let error = zeroed(isize::MAX as usize, "gzip").unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Memory);
        assert!(error.message.contains("9223372036854775807"));
        assert!(with_room::<u64>(usize::MAX, "gzip").is_err());
        assert!(reserve(&mut Vec::<u64>::new(), usize::MAX, "gzip").is_err());
        let mut buffer = vec![1, 2];
        assert!(grown(&mut buffer, usize::MAX, "gzip").is_err());
        assert_eq!(buffer, [1, 2]);
    }
}
