//! Copy elements between a chunk and the caller's array, wherever they lie in either.
//!
//! * A copy is the product of its factors. A factor lists byte offsets in the source and in the
//!   destination; the element at each combination is at the sum of its factors' offsets.
//! * No byte is touched before every reachable offset is known to lie inside both memories: the
//!   smallest and the largest of each factor are summed and compared once. The loops rely on that
//!   check, and only they are `unsafe`.
//! * Each factor is walked upwards, whatever the order of the loops. So the last of two values for
//!   one element wins, as in NumPy.
//! * A fast path only skips work whose result is known (axes contiguous in memory are joined, lists
//!   of equal steps become steps); it is never another algorithm.
//! * `memory.rs` says who owns the memories; `product.rs` orders the loops and `kernels.rs` runs
//!   them.

mod factor;
mod kernels;
mod memory;
mod product;
mod walk;

use std::ops::Range;

pub use self::factor::{from_later, Factor, Places};
use self::kernels::LINE;
use self::memory::STAGE;
pub use self::memory::{span_of, Shared, Source, Target};
use self::product::{each, Product};
use self::walk::Walk;
use crate::error::{Error, Result};

/// Copy every element that the factors reach, of `item` bytes each. `swap`, a divisor of `item`,
/// reverses the bytes of each unit of that size.
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

/// Write `pattern`, one item, to every place of the destination that the factors reach. Their
/// source is ignored.
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

/// Whether `bytes` is the pattern repeated, bit by bit. So `-0.0` is not `0.0`.
pub fn is_fill(bytes: &[u8], pattern: &[u8]) -> bool {
    let item = pattern.len();
    if bytes.is_empty() {
        return true;
    }
    if item == 0 || !bytes.len().is_multiple_of(item) {
        return false;
    }
    match (bytes.get(..item), bytes.get(item..)) {
        // If the first item is right and each item equals the one before it, all are right. The
        // first few are compared first, because they differ in most chunks that hold data.
        (Some(first), Some(rest)) => {
            let near = rest.len().min(8 * LINE);
            first == pattern
                && rest[..near] == bytes[..near]
                && rest[near..] == bytes[near..rest.len()]
        }
        _ => false,
    }
}

/// Return where all `src_len` bytes of a chunk lie in the destination, if the factors ask for each of
/// them once and put them there in one run, in the chunk's own order: a decoder can then write them
/// where they belong. Return `None` if they do not, or if they reach outside of either memory.
pub fn contiguous_run(
    item: usize,
    factors: &[Factor<'_>],
    src_len: usize,
    dst: &Target<'_>,
) -> Option<usize> {
    let mut product = Product::new(item, factors).ok()??;
    product.check(Some(src_len), dst.len).ok()?;
    #[allow(clippy::disallowed_methods)] // One item for each axis.
    let mut steps = Vec::with_capacity(product.axes.len());
    for axis in &mut product.axes {
        axis.even_out(&mut product.src_start, &mut product.dst_start);
        match (axis.src, axis.dst) {
            (Walk::Even(src), Walk::Even(dst)) if src == dst => steps.push((src, axis.len)),
            _ => return None,
        }
    }
    steps.sort_unstable();
    let mut run = item;
    for (step, len) in steps {
        if step != run as isize {
            return None;
        }
        run = run.checked_mul(len)?;
    }
    // The start was checked to lie inside of the destination.
    (run == src_len && product.src_start == 0).then_some(product.dst_start as usize)
}

/// Return the smallest range of the source's bytes that holds everything the factors reach, or
/// `None` if they reach nothing or outside of `src_len` bytes.
pub fn source_extent(item: usize, factors: &[Factor<'_>], src_len: usize) -> Option<Range<usize>> {
    let product = Product::new(item, factors).ok()??;
    let (low, high) = product.extent(|axis| axis.src, product.src_start)?;
    let range = usize::try_from(low).ok()?..usize::try_from(high).ok()?;
    (range.end <= src_len).then_some(range)
}

#[cfg(test)]
mod tests;
