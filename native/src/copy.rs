//! Copy elements between a chunk and the caller's array, wherever in either they lie.
//!
//! * A copy is the product of its factors. A factor lists byte offsets in the source and in the
//!   destination; the element at each combination is at the sum of its factors' offsets.
//! * Nothing is touched before every offset that can be reached is known to lie inside both
//!   memories: the smallest and the largest of each factor are summed and compared once. The loops
//!   behind that check trust it, and so they alone are `unsafe`.
//! * Each factor is walked upwards whatever the order of the loops. So of two values for one
//!   element the last one wins, as in NumPy.
//! * A fast path skips work whose result is known (axes that follow each other in memory become one,
//!   lists with even steps become steps) and is never another algorithm.
//! * Whose the memories are stands in `memory.rs`; the loops are put in order in `product.rs` and run
//!   in `kernels.rs`.

mod kernels;
mod memory;
mod product;

use std::borrow::Cow;
use std::ops::Range;

use self::product::{each, Product, Walk};
pub use memory::{span_of, Runs, Shared, Source, Target};

use crate::error::{Error, Result};

const STAGE: &str = "copy";
/// Below these lengths of its two axes a transpose is not worth its tiles.
const FEW: usize = 4;
/// The bytes of a cache line.
const LINE: usize = 64;
/// The bytes of a tile's edge: whole lines, two, as processors fetch them in pairs.
const TILE: usize = 2 * LINE;
/// How many rows of a destination are written to in turn: each may be on a page of its own, of which
/// the processor keeps only so many in mind.
const BAND: usize = 256;

/// The byte offsets of points in one of the two memories.
#[derive(Debug, Clone, Copy)]
pub enum Places<'a> {
    /// One offset a point.
    Listed(&'a [isize]),
    /// Even steps.
    Even {
        /// Where the first point is.
        start: isize,
        /// How far the next one is.
        stride: isize,
    },
}

/// One factor of a selection, as byte offsets in the source and in the destination.
#[derive(Debug, Clone, Copy)]
pub enum Factor<'a> {
    /// Even steps on both sides.
    Span {
        /// The offset of the first element in the source.
        src_offset: isize,
        /// The step in the source; zero repeats one element.
        src_stride: isize,
        /// How many elements.
        len: usize,
        /// The offset of the first element in the destination.
        dst_offset: isize,
        /// The step in the destination.
        dst_stride: isize,
    },
    /// Listed places on either side or on both.
    Points {
        /// Where they are in the source.
        src: Places<'a>,
        /// Where they go in the destination.
        dst: Places<'a>,
        /// How many; a list has as many offsets.
        len: usize,
    },
}

impl Factor<'_> {
    /// Give the factor of the copy in the other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Factor::Span {
                src_offset,
                src_stride,
                len,
                dst_offset,
                dst_stride,
            } => Factor::Span {
                src_offset: dst_offset,
                src_stride: dst_stride,
                len,
                dst_offset: src_offset,
                dst_stride: src_stride,
            },
            Factor::Points { src, dst, len } => Factor::Points {
                src: dst,
                dst: src,
                len,
            },
        }
    }
}

/// Give factors whose source begins so many bytes later.
pub fn from_later<'f, 'a>(factors: &'f [Factor<'a>], start: usize) -> Cow<'f, [Factor<'a>]> {
    if start == 0 {
        return Cow::Borrowed(factors);
    }
    let mut moved = factors.to_vec();
    let first = moved.iter_mut().find_map(|factor| match factor {
        Factor::Span { src_offset, .. } => Some(src_offset),
        Factor::Points { .. } => None,
    });
    match first {
        Some(offset) => *offset -= start as isize,
        None => moved.push(Factor::Span {
            src_offset: -(start as isize),
            src_stride: 0,
            len: 1,
            dst_offset: 0,
            dst_stride: 0,
        }),
    }
    Cow::Owned(moved)
}

/// Copy every element that the factors reach, of `item` bytes each. `swap`, a divisor of `item`,
/// turns the bytes of each unit of that size round.
pub fn copy(
    src: Source<'_>,
    dst: &mut Target<'_>,
    item: usize,
    factors: &[Factor<'_>],
    swap: Option<usize>,
) -> Result<()> {
    let Some(mut product) = Product::new(item, factors)? else {
        return Ok(());
    };
    product.check(Some(src.len), dst.len)?;
    let apart = (src.start as usize).saturating_add(src.len) <= dst.start as usize
        || (dst.start as usize).saturating_add(dst.len) <= src.start as usize;
    if !apart {
        return Err(Error::codec(STAGE, "source and destination overlap"));
    }
    let unit = swap.unwrap_or(1);
    if unit > 1 {
        if !matches!(unit, 2 | 4 | 8 | 16) || !item.is_multiple_of(unit) {
            return Err(Error::codec(
                STAGE,
                format!("items of {item} bytes have no units of {unit} bytes to swap"),
            ));
        }
        product.split(unit);
    }
    product.order();
    // SAFETY: all reachable offsets were checked against both memories, which do not overlap; a
    // target has one user, and the makers of sources and targets answer for the memories.
    unsafe { product.run(src.start, dst.start, unit > 1) };
    Ok(())
}

/// Write `pattern`, one item, to every place of the destination that the factors reach. What they
/// say of the source does not matter.
pub fn fill(dst: &mut Target<'_>, factors: &[Factor<'_>], pattern: &[u8]) -> Result<()> {
    let item = pattern.len();
    let Some(mut product) = Product::new(item, factors)? else {
        return Ok(());
    };
    product.src_start = 0;
    for axis in &mut product.axes {
        axis.src = Walk::Even(0);
    }
    product.check(None, dst.len)?;
    product.order();
    let Some(&first) = pattern.first() else {
        return Ok(());
    };
    if pattern.iter().all(|&byte| byte == first) {
        let run = product.run_bytes(|axis| axis.dst);
        let start = dst.start.wrapping_offset(product.dst_start);
        // SAFETY: all reachable offsets of the destination were checked, and a run consists of them.
        unsafe {
            each(&product.axes, pattern.as_ptr(), start, &|_, to| {
                std::ptr::write_bytes(to, first, run);
            });
        }
        return Ok(());
    }
    // SAFETY: as above; the source is the pattern, of which every element is the first one.
    unsafe { product.run(pattern.as_ptr(), dst.start, false) };
    Ok(())
}

/// Tell whether `bytes` is the pattern repeated, bit by bit. So `-0.0` is not `0.0`.
pub fn is_fill(bytes: &[u8], pattern: &[u8]) -> bool {
    let item = pattern.len();
    if bytes.is_empty() {
        return true;
    }
    if item == 0 || !bytes.len().is_multiple_of(item) {
        return false;
    }
    match (bytes.get(..item), bytes.get(item..)) {
        // If the first item is right and each equals the one before it, all are right. A few are
        // looked at first, as most chunks that are no fill show it at once.
        (Some(first), Some(rest)) => {
            let near = rest.len().min(8 * LINE);
            first == pattern
                && rest[..near] == bytes[..near]
                && rest[near..] == bytes[near..rest.len()]
        }
        _ => false,
    }
}

/// The destination of a whole chunk as rows of contiguous bytes, in the order of the chunk's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The bytes of each row.
    pub run: usize,
    /// How many rows; one means that a decoder can fill the destination at once.
    pub count: usize,
    start: isize,
    end: usize,
    axes: Vec<(usize, isize)>,
}

impl Rows {
    /// Give where row `number` starts in the destination.
    pub fn offset(&self, mut number: usize) -> usize {
        let mut offset = self.start;
        for &(len, stride) in self.axes.iter().rev() {
            offset = offset.wrapping_add(stride.wrapping_mul((number % len) as isize));
            number /= len;
        }
        offset as usize
    }
}

/// Give the destination as rows if the factors ask for all `src_len` bytes of a chunk, each once and
/// at its place in the chunk's own order, so that a decoder can write them where they belong.
/// `None` if they do not, or if they reach outside of either memory.
pub fn contiguous_rows(
    item: usize,
    factors: &[Factor<'_>],
    src_len: usize,
    dst_len: usize,
) -> Option<Rows> {
    let mut product = Product::new(item, factors).ok()??;
    product.check(Some(src_len), dst_len).ok()?;
    let mut steps = Vec::with_capacity(product.axes.len());
    for axis in &mut product.axes {
        axis.even_out(&mut product.src_start, &mut product.dst_start);
        match (axis.src, axis.dst) {
            (Walk::Even(src), Walk::Even(dst)) => steps.push((src, axis.len, dst)),
            _ => return None,
        }
    }
    steps.sort_by_key(|&(src, ..)| std::cmp::Reverse(src));
    let (mut next, mut run, mut joined) = (item, item, true);
    let mut axes: Vec<(usize, isize)> = Vec::new();
    for &(src, len, dst) in steps.iter().rev() {
        if src != next as isize {
            return None;
        }
        next = next.checked_mul(len)?;
        joined = joined && dst == run as isize;
        if joined {
            run = next;
        } else {
            axes.push((len, dst));
        }
    }
    axes.reverse();
    // The rows must not overlap: seen from the smallest step up, each steps over all before it.
    let mut paces: Vec<_> = axes
        .iter()
        .map(|&(len, dst)| (dst.unsigned_abs(), len))
        .collect();
    paces.sort_unstable();
    let mut taken = run;
    for (pace, len) in paces {
        if pace < taken {
            return None;
        }
        taken = pace.checked_mul(len - 1)?.checked_add(taken)?;
    }
    let (_, end) = product.extent(|axis| axis.dst, product.dst_start)?;
    (next == src_len && product.src_start == 0).then(|| Rows {
        run,
        count: src_len / run,
        start: product.dst_start,
        end: end as usize,
        axes,
    })
}

/// Give the range of the source's bytes inside which all that the factors reach lies; `None` if
/// they reach nothing or outside of `src_len` bytes.
pub fn source_extent(item: usize, factors: &[Factor<'_>], src_len: usize) -> Option<Range<usize>> {
    let product = Product::new(item, factors).ok()??;
    let (low, high) = product.extent(|axis| axis.src, product.src_start)?;
    let range = usize::try_from(low).ok()?..usize::try_from(high).ok()?;
    (range.end <= src_len).then_some(range)
}

#[cfg(test)]
mod tests;
