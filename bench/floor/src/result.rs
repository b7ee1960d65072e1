//! The result of a read: memory that the threads fill in disjoint places.

use crate::{Region, Triple, ITEM};

/// From this size on NumPy asks for huge pages; so does the floor.
const HUGE: usize = 4 << 20;
const PAGE: usize = 4096;

pub struct Result {
    data: *mut u8,
    size: usize,
}

// SAFETY: the threads of one read write to disjoint places, and nobody reads before they have ended.
unsafe impl Sync for Result {}

impl Result {
    /// Takes memory without touching it.
    pub fn new(size: usize) -> Result {
        // SAFETY: plain allocation; the advice is about whole pages within it.
        unsafe {
            let data: *mut u8 = libc::malloc(size).cast();
            assert!(!data.is_null(), "memory for the result");
            #[cfg(target_os = "linux")]
            if size >= HUGE {
                let skip = data.align_offset(PAGE);
                libc::madvise(data.add(skip).cast(), size - skip, libc::MADV_HUGEPAGE);
            }
            Result { data, size }
        }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a read has filled all of it.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// A piece of the result. No two threads may ask for pieces that overlap.
    #[allow(clippy::mut_from_ref)]
    fn piece(&self, offset: usize, length: usize) -> &mut [u8] {
        assert!(offset + length <= self.size, "a piece within the result");
        // SAFETY: in bounds, as was just checked, and disjoint, since chunks are.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(offset), length) }
    }

    /// The place of a whole chunk, where it is one run of bytes there.
    #[allow(clippy::mut_from_ref)]
    pub fn run(&self, chunk: &Region, region: &Region) -> Option<&mut [u8]> {
        let axes = 0..3;
        let whole = axes
            .clone()
            .all(|a| region.start[a] <= chunk.start[a] && chunk.stop[a] <= region.stop[a]);
        let (size, shape) = (chunk.shape(), region.shape());
        let first = axes.clone().find(|&a| size[a] > 1).unwrap_or(0);
        if !whole || axes.skip(first + 1).any(|a| size[a] != shape[a]) {
            return None;
        }
        let length = size.iter().product::<usize>() * ITEM;
        Some(self.piece(offset(chunk.start, region.start, shape), length))
    }
}

impl Drop for Result {
    fn drop(&mut self) {
        // SAFETY: allocated by malloc in `new`, and freed once.
        unsafe { libc::free(self.data.cast()) }
    }
}

fn offset(at: Triple, start: Triple, shape: Triple) -> usize {
    let [z, y, x] = [0, 1, 2].map(|axis| at[axis] - start[axis]);
    ((z * shape[1] + y) * shape[2] + x) * ITEM
}

/// Copies what the region wants of a decoded chunk, row by row.
pub fn copy(decoded: &[u8], chunk: &Region, region: &Region, result: &Result) {
    let from = [0, 1, 2].map(|axis| region.start[axis].max(chunk.start[axis]));
    let to = [0, 1, 2].map(|axis| region.stop[axis].min(chunk.stop[axis]));
    let (size, shape) = (chunk.shape(), region.shape());
    let length = (to[2] - from[2]) * ITEM;
    for z in from[0]..to[0] {
        for y in from[1]..to[1] {
            let at = [z, y, from[2]];
            let source = offset(at, chunk.start, size);
            let row = &decoded[source..source + length];
            result
                .piece(offset(at, region.start, shape), length)
                .copy_from_slice(row);
        }
    }
}
