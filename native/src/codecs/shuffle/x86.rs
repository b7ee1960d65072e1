//! The shuffle kernels for x86-64: SSE2, which every such processor has, and AVX2.
//!
//! Each does as many elements as its registers divide and returns that number; the portable loops
//! of the caller do the rest. The network of interleaves is explained there.

use std::arch::x86_64::*;

use super::portable::transpose_words;

/// One round of the network: interleave the first half of the registers with the second.
macro_rules! interleave {
    ($low:ident, $high:ident, $r:ident, $size:expr) => {
        let old = $r;
        let mut i = 0;
        while i < $size / 2 {
            $r[2 * i] = $low(old[i], old[i + $size / 2]);
            $r[2 * i + 1] = $high(old[i], old[i + $size / 2]);
            i += 1;
        }
    };
}

/// # Safety
/// `src` is good for `n * T` bytes, `dst` for `n` at each of `T` strides; the processor has AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn split_avx2<const T: usize>(
    src: *const u8,
    dst: *mut u8,
    stride: usize,
    n: usize,
) -> usize {
    let mut i = 0;
    while i + 32 <= n {
        // SAFETY: elements `i..i + 32` are inside `src` and inside every plane of `dst`.
        unsafe {
            let mut r = [_mm256_setzero_si256(); T];
            let from = src.add(i * T);
            for (j, r) in r.iter_mut().enumerate() {
                // The lower lanes take the first sixteen elements, the upper ones the others.
                let low = _mm_loadu_si128(from.add(16 * j).cast());
                let high = _mm_loadu_si128(from.add(16 * (T + j)).cast());
                *r = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
            }
            for _ in 0..4 {
                interleave!(_mm256_unpacklo_epi8, _mm256_unpackhi_epi8, r, T);
            }
            for (j, r) in r.iter().enumerate() {
                _mm256_storeu_si256(dst.add(j * stride + i).cast(), *r);
            }
        }
        i += 32;
    }
    i
}

/// # Safety
/// There are `T` planes of at least `n` bytes; `dst` is good for `n * T`; the processor has AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn join_avx2<const T: usize>(planes: &[&[u8]], dst: *mut u8, n: usize) -> usize {
    let mut from = [std::ptr::null(); T];
    for (from, plane) in from.iter_mut().zip(planes) {
        *from = plane.as_ptr();
    }
    let mut i = 0;
    while i + 32 <= n {
        // SAFETY: elements `i..i + 32` are inside every plane and inside `dst`.
        unsafe {
            let mut r = [_mm256_setzero_si256(); T];
            for (r, from) in r.iter_mut().zip(from) {
                *r = _mm256_loadu_si256(from.add(i).cast());
            }
            let mut rounds = T;
            while rounds > 1 {
                interleave!(_mm256_unpacklo_epi8, _mm256_unpackhi_epi8, r, T);
                rounds /= 2;
            }
            let to = dst.add(i * T);
            for j in 0..T / 2 {
                let low = _mm256_permute2x128_si256::<0x20>(r[2 * j], r[2 * j + 1]);
                _mm256_storeu_si256(to.add(32 * j).cast(), low);
            }
            for j in 0..T / 2 {
                let high = _mm256_permute2x128_si256::<0x31>(r[2 * j], r[2 * j + 1]);
                _mm256_storeu_si256(to.add(32 * j + 16 * T).cast(), high);
            }
        }
        i += 32;
    }
    i
}

/// # Safety
/// `src` is good for `n * T` bytes, `dst` for `n` at each of `T` strides.
#[target_feature(enable = "sse2")]
pub unsafe fn split_sse2<const T: usize>(
    src: *const u8,
    dst: *mut u8,
    stride: usize,
    n: usize,
) -> usize {
    let mut i = 0;
    while i + 16 <= n {
        // SAFETY: elements `i..i + 16` are inside `src` and inside every plane of `dst`.
        unsafe {
            let mut r = [_mm_setzero_si128(); T];
            for (j, r) in r.iter_mut().enumerate() {
                *r = _mm_loadu_si128(src.add(i * T + 16 * j).cast());
            }
            for _ in 0..4 {
                interleave!(_mm_unpacklo_epi8, _mm_unpackhi_epi8, r, T);
            }
            for (j, r) in r.iter().enumerate() {
                _mm_storeu_si128(dst.add(j * stride + i).cast(), *r);
            }
        }
        i += 16;
    }
    i
}

/// # Safety
/// There are `T` planes of at least `n` bytes; `dst` is good for `n * T`.
#[target_feature(enable = "sse2")]
pub unsafe fn join_sse2<const T: usize>(planes: &[&[u8]], dst: *mut u8, n: usize) -> usize {
    let mut i = 0;
    while i + 16 <= n {
        // SAFETY: elements `i..i + 16` are inside every plane and inside `dst`.
        unsafe {
            let mut r = [_mm_setzero_si128(); T];
            for (r, plane) in r.iter_mut().zip(planes) {
                *r = _mm_loadu_si128(plane.as_ptr().add(i).cast());
            }
            let mut rounds = T;
            while rounds > 1 {
                interleave!(_mm_unpacklo_epi8, _mm_unpackhi_epi8, r, T);
                rounds /= 2;
            }
            for (j, r) in r.iter().enumerate() {
                _mm_storeu_si128(dst.add(i * T + 16 * j).cast(), *r);
            }
        }
        i += 16;
    }
    i
}

/// The offsets of the groups of sixteen bytes that cover an element; the last may overlap the
/// one before, and covers bytes of the next element where an element has fewer than sixteen.
fn groups(typesize: usize) -> impl Iterator<Item = usize> {
    let last = typesize.saturating_sub(16);
    (0..typesize).step_by(16).map(move |at| at.min(last))
}

/// Byte shuffle elements of any size, sixteen at a time.
///
/// # Safety
/// `src` is good for `len` bytes, `dst` for `len / typesize` at each of `typesize` strides.
#[target_feature(enable = "sse2")]
pub unsafe fn split_any(
    src: *const u8,
    len: usize,
    typesize: usize,
    dst: *mut u8,
    stride: usize,
) -> usize {
    let mut i = 0;
    // The last load of sixteen elements begins at `(i + 15) * typesize`, plus a group's
    // offset of at most `typesize - 16`, and takes sixteen bytes.
    while (i + 15) * typesize + typesize.max(16) <= len {
        for group in groups(typesize) {
            // SAFETY: the loop's condition; `i + 16` is at most `len / typesize`.
            unsafe {
                let mut r = [_mm_setzero_si128(); 16];
                for (k, r) in r.iter_mut().enumerate() {
                    *r = _mm_loadu_si128(src.add((i + k) * typesize + group).cast());
                }
                for _ in 0..4 {
                    interleave!(_mm_unpacklo_epi8, _mm_unpackhi_epi8, r, 16);
                }
                for (j, r) in r.iter().enumerate().take(typesize) {
                    _mm_storeu_si128(dst.add((group + j) * stride + i).cast(), *r);
                }
            }
        }
        i += 16;
    }
    i
}

/// Undo byte shuffle for elements of any size, sixteen at a time.
///
/// # Safety
/// Every plane is good for `len / planes.len()` bytes, `dst` for `len`.
#[target_feature(enable = "sse2")]
pub unsafe fn join_any(planes: &[&[u8]], dst: *mut u8, len: usize) -> usize {
    let typesize = planes.len();
    let mut i = 0;
    // The bound of the last store, as in `split_any`. Stores of elements shorter than sixteen
    // bytes run into the next element, which is written after them, here or by the caller.
    while (i + 15) * typesize + typesize.max(16) <= len {
        for group in groups(typesize) {
            // SAFETY: the loop's condition; `i + 16` is at most `len / typesize`.
            unsafe {
                let mut r = [_mm_setzero_si128(); 16];
                for (r, plane) in r.iter_mut().zip(planes.iter().skip(group)) {
                    *r = _mm_loadu_si128(plane.as_ptr().add(i).cast());
                }
                for _ in 0..4 {
                    interleave!(_mm_unpacklo_epi8, _mm_unpackhi_epi8, r, 16);
                }
                for (k, r) in r.iter().enumerate() {
                    _mm_storeu_si128(dst.add((i + k) * typesize + group).cast(), *r);
                }
            }
        }
        i += 16;
    }
    i
}

/// # Safety
/// AVX2 is there.
#[target_feature(enable = "avx2")]
pub unsafe fn transpose_bits_avx2(words: &mut [u8]) {
    transpose_words(words);
}

/// # Safety
/// AVX2 and GFNI are there.
#[target_feature(enable = "avx2,gfni")]
pub unsafe fn transpose_bits_gfni(words: &mut [u8]) {
    // The instruction takes eight bytes as a matrix, last row first, and multiplies it with each
    // byte of the other operand; the unit vectors pick its columns.
    let units = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let reverse = _mm256_set_epi8(
        8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1,
        2, 3, 4, 5, 6, 7,
    );
    let mut blocks = words.chunks_exact_mut(32);
    for block in &mut blocks {
        // SAFETY: a block has the 32 bytes that are read and written.
        unsafe {
            let rows = _mm256_loadu_si256(block.as_ptr().cast());
            let rows = _mm256_shuffle_epi8(rows, reverse);
            let columns = _mm256_gf2p8affine_epi64_epi8::<0>(units, rows);
            _mm256_storeu_si256(block.as_mut_ptr().cast(), columns);
        }
    }
    transpose_words(blocks.into_remainder());
}
