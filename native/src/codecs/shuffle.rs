//! Byte shuffle and bit shuffle, as Blosc 1 and the `shuffle` filter lay them out.
//!
//! * Byte shuffle: plane `j` holds byte `j` of every element, the planes one after the other.
//! * Bit shuffle: plane `j` is split further into eight rows; bit `i` of row `k` is bit `k` of
//!   byte `j` of element `i`. It works on elements in eights: a buffer of `n` elements with `n` no
//!   multiple of eight is left as it is.
//! * The bytes behind the last whole element are copied.
//! * Nothing here allocates. A length that does not fit is the caller's mistake and panics before a
//!   byte is touched. No length is ever taken from data.
//!
//! How the kernels work. Interleaving the bytes of the first half of some registers with those of
//! the second half rotates the index of every byte by one bit. In `T` registers of sixteen bytes,
//! `log2(T)` such rounds turn planes into elements and four rounds turn elements into planes, so
//! one network serves every power of two. Any other element size goes through the 16 x 16 case,
//! with loads and stores that overlap. Bit shuffle is byte shuffle, a transpose of 8 x 8 bits in
//! each 64-bit word, and byte shuffle of those words, tile by tile in the first-level cache.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use self::portable::transpose_words;

/// The instructions that the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isa {
    #[cfg_attr(all(target_arch = "x86_64", not(test)), allow(dead_code))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX2, and an instruction that transposes 8 x 8 bits.
    #[cfg(target_arch = "x86_64")]
    Gfni,
}

impl Isa {
    /// Return the best instructions of this machine; the standard library caches the answer.
    fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            if !std::arch::is_x86_feature_detected!("avx2") {
                Isa::Sse2
            } else if std::arch::is_x86_feature_detected!("gfni") {
                Isa::Gfni
            } else {
                Isa::Avx2
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Portable
    }
}

/// The largest element size: Blosc states it in one byte.
pub const MAX_TYPESIZE: usize = 255;

/// The gap between planes that need not be contiguous: without it, planes of 2^n bytes share the
/// same few sets of the first-level cache.
pub const GAP: usize = 192;

/// The bytes of one tile of bit shuffle: it and its source stay in the first-level cache.
const TILE: usize = 16 * 1024;

/// Byte shuffle `src` into `dst`, which has the same length.
pub fn shuffle(typesize: usize, src: &[u8], dst: &mut [u8]) {
    assert_eq!(src.len(), dst.len());
    if !(2..=MAX_TYPESIZE).contains(&typesize) {
        dst.copy_from_slice(src);
        return;
    }
    let n = src.len() / typesize;
    let whole = n * typesize;
    split_planes(Isa::detect(), typesize, &src[..whole], &mut dst[..whole], n);
    dst[whole..].copy_from_slice(&src[whole..]);
}

/// Bit shuffle `src` into `dst`, which has the same length.
pub fn bitshuffle(typesize: usize, src: &[u8], dst: &mut [u8]) {
    assert_eq!(src.len(), dst.len());
    let n = src.len().checked_div(typesize).unwrap_or(0);
    if typesize > MAX_TYPESIZE || !n.is_multiple_of(8) || n == 0 {
        dst.copy_from_slice(src);
        return;
    }
    let whole = n * typesize;
    split_rows(Isa::detect(), typesize, &src[..whole], &mut dst[..whole]);
    dst[whole..].copy_from_slice(&src[whole..]);
}

/// Byte shuffle whole elements where plane `j` begins at `dst[j * stride]`.
pub fn shuffle_planes(typesize: usize, src: &[u8], dst: &mut [u8], stride: usize) {
    assert!((1..=MAX_TYPESIZE).contains(&typesize) && src.len().is_multiple_of(typesize));
    split_planes(Isa::detect(), typesize, src, dst, stride);
}

/// Undo byte shuffle of planes that are slices of their own: fill `dst` with the first `dst.len() /
/// planes.len()` elements.
pub fn unshuffle_planes(planes: &[&[u8]], dst: &mut [u8]) {
    join_planes(Isa::detect(), planes, dst);
}

/// Undo bit shuffle of planes that are slices of their own: fill `dst` with the elements from
/// `first`, a multiple of eight, on. Every plane has one byte for each element.
pub fn bitunshuffle_planes(planes: &[&[u8]], first: usize, dst: &mut [u8]) {
    join_rows(Isa::detect(), planes, first, dst);
}

/// The planes of one buffer, without an allocation.
pub struct Planes<'a> {
    slices: [&'a [u8]; MAX_TYPESIZE],
    count: usize,
}

impl<'a> Planes<'a> {
    /// Make a buffer without planes.
    pub fn new() -> Planes<'a> {
        Planes {
            slices: [&[]; MAX_TYPESIZE],
            count: 0,
        }
    }

    /// Cut `src` into planes of `n` bytes.
    pub fn contiguous(typesize: usize, src: &'a [u8], n: usize) -> Planes<'a> {
        let mut planes = Planes::new();
        for j in 0..typesize {
            planes.push(&src[j * n..(j + 1) * n]);
        }
        planes
    }

    /// Add the next plane; there are at most [`MAX_TYPESIZE`].
    pub fn push(&mut self, plane: &'a [u8]) {
        self.slices[self.count] = plane;
        self.count += 1;
    }

    /// Cut every plane to the elements from `first` to `end`.
    pub fn cut(&mut self, first: usize, end: usize) {
        for plane in &mut self.slices[..self.count] {
            *plane = &plane[first..end];
        }
    }

    /// The planes, in order.
    pub fn get(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }
}

impl Default for Planes<'_> {
    fn default() -> Self {
        Planes::new()
    }
}

/// Byte shuffle whole elements; plane `j` begins at `dst[j * stride]`.
fn split_planes(isa: Isa, typesize: usize, src: &[u8], dst: &mut [u8], stride: usize) {
    let n = src.len() / typesize;
    if n == 0 {
        return;
    }
    assert!(n <= stride && (typesize - 1) * stride + n <= dst.len());
    if typesize == 1 {
        dst[..n].copy_from_slice(&src[..n]);
        return;
    }
    let done = match isa {
        Isa::Portable => 0,
        // SAFETY: `src` holds `n * typesize` bytes, every plane of `dst` holds `n` (asserted
        // above), and these are only made where the processor has AVX2.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Gfni => unsafe {
            let (from, to) = (src.as_ptr(), dst.as_mut_ptr());
            match typesize {
                2 => x86::split_avx2::<2>(from, to, stride, n),
                4 => x86::split_avx2::<4>(from, to, stride, n),
                8 => x86::split_avx2::<8>(from, to, stride, n),
                16 => x86::split_avx2::<16>(from, to, stride, n),
                _ => x86::split_any(from, src.len(), typesize, to, stride),
            }
        },
        // SAFETY: as above; every x86-64 processor has SSE2.
        #[cfg(target_arch = "x86_64")]
        Isa::Sse2 => unsafe {
            let (from, to) = (src.as_ptr(), dst.as_mut_ptr());
            match typesize {
                2 => x86::split_sse2::<2>(from, to, stride, n),
                4 => x86::split_sse2::<4>(from, to, stride, n),
                8 => x86::split_sse2::<8>(from, to, stride, n),
                _ => x86::split_any(from, src.len(), typesize, to, stride),
            }
        },
    };
    // These steps keep both sides in the first-level cache.
    let mut at = done;
    while at < n {
        let end = n.min(at + 512);
        for j in 0..typesize {
            let plane = &mut dst[j * stride + at..j * stride + end];
            let elements = src[at * typesize..end * typesize].chunks_exact(typesize);
            for (to, element) in plane.iter_mut().zip(elements) {
                *to = element[j];
            }
        }
        at = end;
    }
}

/// Undo byte shuffle for whole elements.
fn join_planes(isa: Isa, planes: &[&[u8]], dst: &mut [u8]) {
    let typesize = planes.len();
    if typesize == 0 || dst.is_empty() {
        return;
    }
    let n = dst.len() / typesize;
    assert_eq!(n * typesize, dst.len());
    assert!(planes.iter().all(|plane| plane.len() >= n));
    if typesize == 1 {
        dst.copy_from_slice(&planes[0][..n]);
        return;
    }
    let done = match isa {
        Isa::Portable => 0,
        // SAFETY: every plane holds `n` bytes and `dst` `n * typesize` (asserted above), and
        // these are only made where the processor has AVX2.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Gfni => unsafe {
            let to = dst.as_mut_ptr();
            match typesize {
                2 => x86::join_avx2::<2>(planes, to, n),
                4 => x86::join_avx2::<4>(planes, to, n),
                8 => x86::join_avx2::<8>(planes, to, n),
                16 => x86::join_avx2::<16>(planes, to, n),
                _ => x86::join_any(planes, to, dst.len()),
            }
        },
        // SAFETY: as above; every x86-64 processor has SSE2.
        #[cfg(target_arch = "x86_64")]
        Isa::Sse2 => unsafe {
            let to = dst.as_mut_ptr();
            match typesize {
                2 => x86::join_sse2::<2>(planes, to, n),
                4 => x86::join_sse2::<4>(planes, to, n),
                8 => x86::join_sse2::<8>(planes, to, n),
                _ => x86::join_any(planes, to, dst.len()),
            }
        },
    };
    let mut at = done;
    while at < n {
        let end = n.min(at + 512);
        for (j, plane) in planes.iter().enumerate() {
            let elements = dst[at * typesize..end * typesize].chunks_exact_mut(typesize);
            for (element, from) in elements.zip(&plane[at..end]) {
                element[j] = *from;
            }
        }
        at = end;
    }
}

/// The elements of one tile: a multiple of 64, so that rows are cut at whole words.
fn tile_elements(typesize: usize) -> usize {
    (TILE / typesize / 64 * 64).clamp(64, 2048)
}

/// Bit shuffle whole elements, a multiple of eight of them.
fn split_rows(isa: Isa, typesize: usize, src: &[u8], dst: &mut [u8]) {
    let n = src.len() / typesize;
    assert!(n.is_multiple_of(8) && dst.len() >= n * typesize);
    let row = n / 8;
    let step = tile_elements(typesize);
    let mut tile = [0_u8; TILE];
    let mut first = 0;
    while first < n {
        let count = step.min(n - first);
        let planes = &mut tile[..count * typesize];
        let elements = &src[first * typesize..(first + count) * typesize];
        split_planes(isa, typesize, elements, planes, count);
        transpose_bits(isa, planes);
        for (j, plane) in planes.chunks_exact(count).enumerate() {
            let rows = &mut dst[j * n + first / 8..(j + 1) * n];
            split_planes(isa, 8, plane, rows, row);
        }
        first += count;
    }
}

/// Undo bit shuffle for the elements from `first` on, a multiple of eight of them.
fn join_rows(isa: Isa, planes: &[&[u8]], first: usize, dst: &mut [u8]) {
    let typesize = planes.len();
    if typesize == 0 || dst.is_empty() {
        return;
    }
    let n = planes[0].len();
    let total = dst.len() / typesize;
    assert!(typesize <= MAX_TYPESIZE && total * typesize == dst.len());
    assert!([n, first, total]
        .iter()
        .all(|count| count.is_multiple_of(8)));
    assert!(first + total <= n);
    assert!(planes.iter().all(|plane| plane.len() == n));
    let row = n / 8;
    let step = tile_elements(typesize);
    let mut tile = [0_u8; TILE];
    let mut done = 0;
    while done < total {
        let count = step.min(total - done);
        let joined = &mut tile[..count * typesize];
        let from = (first + done) / 8;
        for (plane, to) in planes.iter().zip(joined.chunks_exact_mut(count)) {
            let mut rows: [&[u8]; 8] = [&[]; 8];
            for (k, slice) in rows.iter_mut().enumerate() {
                *slice = &plane[k * row + from..k * row + from + count / 8];
            }
            join_planes(isa, &rows, to);
        }
        transpose_bits(isa, joined);
        let elements = &mut dst[done * typesize..(done + count) * typesize];
        let parts = Planes::contiguous(typesize, joined, count);
        join_planes(isa, parts.get(), elements);
        done += count;
    }
}

/// Transpose the 8 x 8 bits of every eight bytes: bit `j` of byte `i` becomes bit `i` of byte `j`.
fn transpose_bits(isa: Isa, words: &mut [u8]) {
    match isa {
        // SAFETY: `Isa::Avx2` is only made where the processor has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::transpose_bits_avx2(words) },
        // SAFETY: `Isa::Gfni` is only made where the processor has it, and AVX2.
        #[cfg(target_arch = "x86_64")]
        Isa::Gfni => unsafe { x86::transpose_bits_gfni(words) },
        _ => transpose_words(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize, mut seed: u64) -> Vec<u8> {
        (0..len)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                (seed >> 32) as u8
            })
            .collect()
    }

    fn naive_shuffle(typesize: usize, src: &[u8]) -> Vec<u8> {
        let n = src.len() / typesize;
        let mut out: Vec<u8> = (0..typesize)
            .flat_map(|j| (0..n).map(move |i| src[i * typesize + j]))
            .collect();
        out.extend(&src[n * typesize..]);
        out
    }

    fn naive_bitshuffle(typesize: usize, src: &[u8]) -> Vec<u8> {
        let n = src.len() / typesize;
        if !n.is_multiple_of(8) {
            return src.to_vec();
        }
        let mut out = vec![0; n * typesize];
        for (i, element) in src.chunks_exact(typesize).enumerate() {
            for (j, byte) in element.iter().enumerate() {
                for k in 0..8 {
                    out[j * n + k * (n / 8) + i / 8] |= (byte >> k & 1) << (i % 8);
                }
            }
        }
        out.extend(&src[n * typesize..]);
        out
    }

    fn isas() -> Vec<Isa> {
        let mut all = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Isa::Sse2);
            if Isa::detect() != Isa::Sse2 {
                all.push(Isa::Avx2);
            }
            if Isa::detect() == Isa::Gfni {
                all.push(Isa::Gfni);
            }
        }
        all
    }

    /// Undo [`shuffle`].
    fn unshuffle(typesize: usize, src: &[u8], dst: &mut [u8]) {
        assert_eq!(src.len(), dst.len());
        if !(2..=MAX_TYPESIZE).contains(&typesize) {
            dst.copy_from_slice(src);
            return;
        }
        let n = src.len() / typesize;
        let whole = n * typesize;
        let planes = Planes::contiguous(typesize, &src[..whole], n);
        unshuffle_planes(planes.get(), &mut dst[..whole]);
        dst[whole..].copy_from_slice(&src[whole..]);
    }

    /// Undo [`bitshuffle`].
    fn bitunshuffle(typesize: usize, src: &[u8], dst: &mut [u8]) {
        assert_eq!(src.len(), dst.len());
        let n = src.len().checked_div(typesize).unwrap_or(0);
        if typesize > MAX_TYPESIZE || !n.is_multiple_of(8) || n == 0 {
            dst.copy_from_slice(src);
            return;
        }
        let whole = n * typesize;
        let planes = Planes::contiguous(typesize, &src[..whole], n);
        bitunshuffle_planes(planes.get(), 0, &mut dst[..whole]);
        dst[whole..].copy_from_slice(&src[whole..]);
    }

    const SIZES: [usize; 17] = [1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 24, 31, 32, 100, 255];

    #[test]
    fn byte_shuffle_is_the_naive_one() {
        for typesize in SIZES {
            for n in (0..70).chain([127, 512, 513, 1000, 2050]) {
                let src = random(n * typesize + n % typesize, 7 + n as u64);
                let expected = naive_shuffle(typesize, &src);
                let mut out = vec![0xee; src.len()];
                shuffle(typesize, &src, &mut out);
                assert_eq!(out, expected, "{typesize} {n}");
                let mut back = vec![0xee; src.len()];
                unshuffle(typesize, &out, &mut back);
                assert_eq!(back, src, "{typesize} {n}");
            }
        }
    }

    #[test]
    fn every_instruction_set_agrees() {
        for isa in isas() {
            for typesize in SIZES {
                for n in [0, 1, 8, 15, 16, 17, 31, 32, 33, 40, 64, 72, 520, 2056] {
                    let src = random(n * typesize, 99 + n as u64);
                    // A stride and a guard around each plane show stray writes.
                    let stride = n + 5;
                    let mut out = vec![0xee; typesize * stride];
                    split_planes(isa, typesize, &src, &mut out, stride);
                    let planes: Vec<&[u8]> = out.chunks(stride).map(|plane| &plane[..n]).collect();
                    assert_eq!(planes.concat(), naive_shuffle(typesize, &src));
                    assert!(out.chunks(stride).all(|plane| plane[n..] == [0xee; 5]));
                    let mut back = vec![0xee; src.len()];
                    join_planes(isa, &planes, &mut back);
                    assert_eq!(back, src);
                    if n.is_multiple_of(8) && n > 0 {
                        let mut rows = vec![0; src.len()];
                        split_rows(isa, typesize, &src, &mut rows);
                        assert_eq!(rows, naive_bitshuffle(typesize, &src));
                        let planes: Vec<&[u8]> = rows.chunks(n).collect();
                        for first in [0, n / 16 * 8, n - 8] {
                            let mut back = vec![0xee; src.len() - first * typesize];
                            join_rows(isa, &planes, first, &mut back);
                            assert_eq!(back, &src[first * typesize..]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bit_shuffle_is_the_naive_one() {
        for typesize in SIZES {
            for n in (0..70).chain([512, 1000, 4096, 4104]) {
                let src = random(n * typesize + n % typesize, 3 + n as u64);
                let expected = naive_bitshuffle(typesize, &src);
                let mut out = vec![0xee; src.len()];
                bitshuffle(typesize, &src, &mut out);
                assert_eq!(out, expected, "{typesize} {n}");
                let mut back = vec![0xee; src.len()];
                bitunshuffle(typesize, &out, &mut back);
                assert_eq!(back, src, "{typesize} {n}");
            }
        }
    }

    #[test]
    fn sizes_that_blosc_does_not_know_are_copies() {
        for typesize in [0, 256, 1000] {
            let src = random(2048, 5);
            for apply in [shuffle, unshuffle, bitshuffle, bitunshuffle] {
                let mut out = vec![0; src.len()];
                apply(typesize, &src, &mut out);
                assert_eq!(out, src);
            }
        }
    }
}
