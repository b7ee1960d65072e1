//! The two innermost loops of a copy, for items of each size.
//!
//! * Offsets were checked before. Nothing here checks them again, and for that reason alone all of
//!   it is `unsafe`.
//! * No item is assumed to be aligned.

use super::walk::{Axis, Walk};

/// The bytes of a cache line.
pub(super) const LINE: usize = 64;
/// The bytes of a tile's edge: two whole lines, because processors fetch them in pairs.
const TILE: usize = 2 * LINE;
/// How many rows of a destination are written in turn: each may be on a page of its own, and the
/// processor remembers only so many.
const BAND: usize = 256;

/// The two innermost loops.
pub(super) struct Block<'a> {
    pub(super) item: usize,
    pub(super) outer: Axis<'a>,
    pub(super) inner: Axis<'a>,
}

pub(super) type Kernel = unsafe fn(&Block<'_>, *const u8, *mut u8);

/// Choose the loops for an item's size.
pub(super) fn kernel(item: usize, swap: bool, turned: bool) -> Kernel {
    match (item, swap, turned) {
        (2, true, false) => cells::<u16, true>(),
        (4, true, false) => cells::<u32, true>(),
        (8, true, false) => cells::<u64, true>(),
        (16, true, false) => cells::<u128, true>(),
        (2, true, true) => tiles::<u16, 8, true>(),
        (4, true, true) => tiles::<u32, 8, true>(),
        (8, true, true) => tiles::<u64, 4, true>(),
        (16, true, true) => tiles::<u128, 1, true>(),
        (1, false, false) => cells::<u8, false>(),
        (2, false, false) => cells::<u16, false>(),
        (4, false, false) => cells::<u32, false>(),
        (8, false, false) => cells::<u64, false>(),
        (16, false, false) => cells::<u128, false>(),
        (32, false, false) => cells::<[u64; 4], false>(),
        (64, false, false) => cells::<[u64; 8], false>(),
        (128, false, false) => cells::<[u64; 16], false>(),
        (1, false, true) => tiles::<u8, 8, false>(),
        (2, false, true) => tiles::<u16, 8, false>(),
        (4, false, true) => tiles::<u32, 4, false>(),
        (8, false, true) => tiles::<u64, 2, false>(),
        (16, false, true) => tiles::<u128, 1, false>(),
        (_, _, false) => any_rows,
        (_, _, true) => any_tiles,
    }
}

/// A value that is moved at once.
trait Cell: Copy {
    fn swapped(self) -> Self;
}

macro_rules! cell {
    ($($kind:ty => $swap:expr),*) => {$(
        impl Cell for $kind {
            #[inline(always)]
            fn swapped(self) -> Self {
                let swap: fn($kind) -> $kind = $swap;
                swap(self)
            }
        }
    )*};
}

cell!(
    u8 => |cell| cell,
    u16 => u16::swap_bytes,
    u32 => u32::swap_bytes,
    u64 => u64::swap_bytes,
    u128 => u128::swap_bytes,
    [u64; 4] => |cell| cell,
    [u64; 8] => |cell| cell,
    [u64; 16] => |cell| cell
);

/// Make a function that chooses between a loop for the build's processor and the same loop for
/// processors with AVX2, which its vectors need to pay off.
macro_rules! for_processor {
    ($name:ident, [$($bounds:tt)*], [$($generics:tt)*], $kind:ty, $body:ident, ($($arg:ident: $type:ty),*)) => {
        fn $name<$($bounds)*>() -> $kind {
            unsafe fn plain<$($bounds)*>($($arg: $type),*) {
                // SAFETY: as the caller promises.
                unsafe { $body::<$($generics)*>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                unsafe fn wide<$($bounds)*>($($arg: $type),*) {
                    // SAFETY: as the caller promises.
                    unsafe { $body::<$($generics)*>($($arg),*) }
                }
                if is_x86_feature_detected!("avx2") {
                    return wide::<$($generics)*>;
                }
            }
            plain::<$($generics)*>
        }
    };
}

for_processor!(
    cells, [T: Cell, const SWAP: bool], [T, SWAP], Kernel, cells_of,
    (block: &Block<'_>, src: *const u8, dst: *mut u8)
);
for_processor!(
    tiles, [T: Cell, const N: usize, const SWAP: bool], [T, N, SWAP], Kernel, tiles_of,
    (block: &Block<'_>, src: *const u8, dst: *mut u8)
);

/// # Safety
///
/// `from` can be read and `to` written for the size of `T`.
#[inline(always)]
unsafe fn one<T: Cell, const SWAP: bool>(from: *const u8, to: *mut u8) {
    // SAFETY: as the caller promises; alignment is not asked for.
    unsafe {
        let cell = from.cast::<T>().read_unaligned();
        let cell = if SWAP { cell.swapped() } else { cell };
        to.cast::<T>().write_unaligned(cell);
    }
}

/// # Safety
///
/// As for `Product::run`.
#[inline(always)]
unsafe fn cells_of<T: Cell, const SWAP: bool>(block: &Block<'_>, src: *const u8, dst: *mut u8) {
    let size = std::mem::size_of::<T>() as isize;
    let inner = block.inner;
    for j in 0..block.outer.len {
        // SAFETY: `j` and `i` are below the lengths of their axes.
        unsafe {
            let from = src.wrapping_offset(block.outer.src.at(j));
            let to = dst.wrapping_offset(block.outer.dst.at(j));
            match (inner.src, inner.dst) {
                (Walk::Even(0), Walk::Even(d)) => {
                    // Read once: the compiler could not know that the value never changes.
                    let mut cell = from.cast::<T>().read_unaligned();
                    if SWAP {
                        cell = cell.swapped();
                    }
                    if d == size {
                        for i in 0..inner.len {
                            to.cast::<T>().wrapping_add(i).write_unaligned(cell);
                        }
                    } else {
                        for i in 0..inner.len as isize {
                            to.wrapping_offset(d * i).cast::<T>().write_unaligned(cell);
                        }
                    }
                }
                (Walk::Even(s), Walk::Even(d)) if s == size && d == size => {
                    row::<T, SWAP>(inner.len, from, to, |i| i * size, |i| i * size);
                }
                (Walk::Even(s), Walk::Even(d)) if s == -size && d == size => {
                    row::<T, SWAP>(inner.len, from, to, |i| -i * size, |i| i * size);
                }
                (Walk::Even(s), Walk::Even(d)) if s == 2 * size && d == size => {
                    row::<T, SWAP>(inner.len, from, to, |i| i * 2 * size, |i| i * size);
                }
                (Walk::Even(s), Walk::Even(d)) if d == size => {
                    row::<T, SWAP>(inner.len, from, to, |i| i * s, |i| i * size);
                }
                (Walk::Even(s), Walk::Even(d)) => {
                    row::<T, SWAP>(inner.len, from, to, |i| i * s, |i| i * d);
                }
                (Walk::Listed(s), Walk::Even(d)) => {
                    let s = s.as_ptr();
                    row::<T, SWAP>(inner.len, from, to, |i| *s.offset(i), |i| i * d);
                }
                (Walk::Even(s), Walk::Listed(d)) => {
                    let d = d.as_ptr();
                    row::<T, SWAP>(inner.len, from, to, |i| i * s, |i| *d.offset(i));
                }
                (Walk::Listed(s), Walk::Listed(d)) => {
                    let (s, d) = (s.as_ptr(), d.as_ptr());
                    row::<T, SWAP>(inner.len, from, to, |i| *s.offset(i), |i| *d.offset(i));
                }
            }
        }
    }
}

/// # Safety
///
/// The offsets that `s` and `d` return for the numbers below `len` can be read and written.
#[inline(always)]
unsafe fn row<T: Cell, const SWAP: bool>(
    len: usize,
    from: *const u8,
    to: *mut u8,
    s: impl Fn(isize) -> isize,
    d: impl Fn(isize) -> isize,
) {
    for i in 0..len as isize {
        // SAFETY: as the caller promises.
        unsafe { one::<T, SWAP>(from.wrapping_offset(s(i)), to.wrapping_offset(d(i))) };
    }
}

/// Transpose: read a few short rows of the source at once, and write them as short columns.
///
/// # Safety
///
/// As for `Product::run`; both axes take even steps.
#[inline(always)]
unsafe fn tiles_of<T: Cell, const N: usize, const SWAP: bool>(
    block: &Block<'_>,
    src: *const u8,
    dst: *mut u8,
) {
    let size = std::mem::size_of::<T>();
    let edge = (TILE / size).max(N);
    let (rows, columns) = (block.outer.len, block.inner.len);
    // SAFETY: element zero exists; with even steps, the offset of element one is the step.
    let (row_src, row_dst, column_src, column_dst) = unsafe {
        (
            block.outer.src.at(1),
            block.outer.dst.at(1),
            block.inner.src.at(1),
            block.inner.dst.at(1),
        )
    };
    // A tile can be moved by registers only if rows of the source and columns of the destination
    // are contiguous.
    let whole = row_src == size as isize && column_dst == size as isize;
    // Columns begin at a cache line of the destination, so that no line is written twice.
    let ahead = (dst as usize).wrapping_neg() % LINE / size;
    let mut band = 0;
    while band < rows {
        let band_end = rows.min(band + BAND);
        let mut column = 0;
        while column < columns {
            let width = if column == 0 && ahead > 0 {
                ahead
            } else {
                edge
            };
            let column_end = columns.min(column + width);
            for row in (band..band_end).step_by(edge) {
                let row_end = band_end.min(row + edge);
                let (mut r, mut c) = (row, column);
                if whole {
                    r = row_end - (row_end - row) % N;
                    c = column_end - (column_end - column) % N;
                }
                let at = |y: usize, x: usize| {
                    let (y, x) = (y as isize, x as isize);
                    (
                        src.wrapping_offset(y * row_src + x * column_src),
                        dst.wrapping_offset(y * row_dst + x * column_dst),
                    )
                };
                for y in (row..r).step_by(N) {
                    for x in (column..c).step_by(N) {
                        let (from, to) = at(y, x);
                        // SAFETY: rows y to y + N and columns x to x + N are inside the block.
                        unsafe { tile::<T, N, SWAP>(from, column_src, to, row_dst) };
                    }
                }
                for y in row..row_end {
                    for x in if y < r { c } else { column }..column_end {
                        let (from, to) = at(y, x);
                        // SAFETY: row and column are inside the block.
                        unsafe { one::<T, SWAP>(from, to) };
                    }
                }
            }
            column = column_end;
        }
        band = band_end;
    }
}

/// # Safety
///
/// N rows of N contiguous elements can be read at `from`, and written at `to`.
#[inline(always)]
unsafe fn tile<T: Cell, const N: usize, const SWAP: bool>(
    from: *const u8,
    from_step: isize,
    to: *mut u8,
    to_step: isize,
) {
    #[cfg(target_arch = "x86_64")]
    if !SWAP && N * std::mem::size_of::<T>() == 16 {
        // SAFETY: as the caller promises.
        return unsafe { tile_of_vectors::<T, N>(from, from_step, to, to_step) };
    }
    // SAFETY: as the caller promises; alignment is not asked for.
    unsafe {
        let read = |i: usize| {
            from.wrapping_offset(from_step * i as isize)
                .cast::<[T; N]>()
                .read_unaligned()
        };
        let cells: [[T; N]; N] = std::array::from_fn(read);
        // (The loop walks columns of `cells`, not its rows.)
        #[allow(clippy::needless_range_loop)]
        for k in 0..N {
            let column: [T; N] = std::array::from_fn(|i| {
                if SWAP {
                    cells[i][k].swapped()
                } else {
                    cells[i][k]
                }
            });
            to.wrapping_offset(to_step * k as isize)
                .cast::<[T; N]>()
                .write_unaligned(column);
        }
    }
}

/// The same with vectors of 16 bytes, which the compiler does not find by itself.
///
/// # Safety
///
/// As for `tile`; N elements are 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn tile_of_vectors<T: Cell, const N: usize>(
    from: *const u8,
    from_step: isize,
    to: *mut u8,
    to_step: isize,
) {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi16, _mm_unpackhi_epi32,
        _mm_unpackhi_epi64, _mm_unpackhi_epi8, _mm_unpacklo_epi16, _mm_unpacklo_epi32,
        _mm_unpacklo_epi64, _mm_unpacklo_epi8,
    };
    // SAFETY: as the caller promises; these instructions are part of x86-64, and ask for no
    // alignment.
    unsafe {
        let read = |i: usize| {
            let at = from.wrapping_offset(from_step * i as isize);
            _mm_loadu_si128(at.cast::<__m128i>())
        };
        let mut cells: [__m128i; N] = std::array::from_fn(read);
        // Interleaving row i with row i + N / 2, as often as N can be halved, transposes.
        let mut left = N;
        while left > 1 {
            let (a, b) = cells.split_at(N / 2);
            cells = std::array::from_fn(|i| {
                let (a, b) = (a[i / 2], b[i / 2]);
                match (N, i % 2) {
                    (16, 0) => _mm_unpacklo_epi8(a, b),
                    (16, _) => _mm_unpackhi_epi8(a, b),
                    (8, 0) => _mm_unpacklo_epi16(a, b),
                    (8, _) => _mm_unpackhi_epi16(a, b),
                    (4, 0) => _mm_unpacklo_epi32(a, b),
                    (4, _) => _mm_unpackhi_epi32(a, b),
                    (_, 0) => _mm_unpacklo_epi64(a, b),
                    (_, _) => _mm_unpackhi_epi64(a, b),
                }
            });
            left /= 2;
        }
        for (i, cell) in cells.into_iter().enumerate() {
            let at = to.wrapping_offset(to_step * i as isize);
            _mm_storeu_si128(at.cast::<__m128i>(), cell);
        }
    }
}

/// Copy items of any size.
///
/// # Safety
///
/// As for `Product::run`.
unsafe fn any_rows(block: &Block<'_>, src: *const u8, dst: *mut u8) {
    for j in 0..block.outer.len {
        for i in 0..block.inner.len {
            // SAFETY: `j` and `i` are below the lengths of their axes.
            unsafe {
                let from = block.outer.src.at(j).wrapping_add(block.inner.src.at(i));
                let to = block.outer.dst.at(j).wrapping_add(block.inner.dst.at(i));
                std::ptr::copy_nonoverlapping(
                    src.wrapping_offset(from),
                    dst.wrapping_offset(to),
                    block.item,
                );
            }
        }
    }
}

/// Copy items of any size in tiles of 16 by 16.
///
/// # Safety
///
/// As for `Product::run`.
unsafe fn any_tiles(block: &Block<'_>, src: *const u8, dst: *mut u8) {
    const EDGE: usize = 16;
    for column in (0..block.inner.len).step_by(EDGE) {
        for row in (0..block.outer.len).step_by(EDGE) {
            for j in row..block.outer.len.min(row + EDGE) {
                for i in column..block.inner.len.min(column + EDGE) {
                    // SAFETY: `j` and `i` are below the lengths of their axes.
                    unsafe {
                        let from = block.outer.src.at(j).wrapping_add(block.inner.src.at(i));
                        let to = block.outer.dst.at(j).wrapping_add(block.inner.dst.at(i));
                        std::ptr::copy_nonoverlapping(
                            src.wrapping_offset(from),
                            dst.wrapping_offset(to),
                            block.item,
                        );
                    }
                }
            }
        }
    }
}
