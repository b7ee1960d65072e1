//! A copy as loops: its axes checked, joined and put in order.
//!
//! * Offsets are summed in a width in which they cannot wrap, until they are checked.
//! * After the check, axes may be reversed, sorted and joined, which does not change the places
//!   that they reach.

use super::factor::Factor;
use super::kernels::{kernel, Block, LINE};
use super::memory::STAGE;
use super::walk::{taken, Axis, Walk};
use crate::error::{Error, Result};

/// Below these lengths of its two axes a transpose is not worth its tiles.
const FEW: usize = 4;

/// An axis of length one.
const ONCE: Axis<'static> = Axis {
    len: 1,
    src: Walk::Even(0),
    dst: Walk::Even(0),
};

/// A copy as loops: the starts on both sides, and the axes from the outermost in.
pub(super) struct Product<'a> {
    pub(super) item: usize,
    pub(super) src_start: isize,
    pub(super) dst_start: isize,
    pub(super) axes: Vec<Axis<'a>>,
}

impl<'a> Product<'a> {
    /// Make the product of factors. Return `None` if they reach nothing.
    pub(super) fn new(item: usize, factors: &[Factor<'a>]) -> Result<Option<Self>> {
        let (mut src_start, mut dst_start) = (0i128, 0i128);
        #[allow(clippy::disallowed_methods)] // One item for each axis.
        let mut axes = Vec::with_capacity(factors.len() + 1);
        let mut empty = false;
        for factor in factors {
            let (len, src, dst) = match *factor {
                Factor::Span {
                    src_offset,
                    src_stride,
                    len,
                    dst_offset,
                    dst_stride,
                } => {
                    src_start += src_offset as i128;
                    dst_start += dst_offset as i128;
                    (len, Walk::Even(src_stride), Walk::Even(dst_stride))
                }
                Factor::Points { src, dst, len } => (
                    len,
                    taken(src, len, &mut src_start)?,
                    taken(dst, len, &mut dst_start)?,
                ),
            };
            match len {
                0 => empty = true,
                1 => {
                    // SAFETY: the one element exists.
                    let (src, dst) = unsafe { (src.at(0), dst.at(0)) };
                    src_start += src as i128;
                    dst_start += dst as i128;
                }
                _ => axes.push(Axis { len, src, dst }),
            }
        }
        if empty || item == 0 {
            return Ok(None);
        }
        match (isize::try_from(src_start), isize::try_from(dst_start)) {
            (Ok(src_start), Ok(dst_start)) => Ok(Some(Product {
                item,
                src_start,
                dst_start,
                axes,
            })),
            _ => Err(outside("either side", i128::MIN, i128::MAX, 0)),
        }
    }

    /// Refuse offsets outside of the memories, and steps of zero in the destination, with which a
    /// few bytes would be overwritten forever. `None` stands for a source that is not read.
    pub(super) fn check(&self, src_len: Option<usize>, dst_len: usize) -> Result<()> {
        if let Some(src_len) = src_len {
            self.check_side("the source", |axis| axis.src, self.src_start, src_len)?;
        }
        self.check_side("the destination", |axis| axis.dst, self.dst_start, dst_len)?;
        if self
            .axes
            .iter()
            .any(|axis| matches!(axis.dst, Walk::Even(0)))
        {
            return Err(Error::codec(STAGE, "the destination has a stride of zero"));
        }
        Ok(())
    }

    fn check_side(
        &self,
        name: &str,
        side: impl Fn(&Axis<'a>) -> Walk<'a>,
        start: isize,
        len: usize,
    ) -> Result<()> {
        match self.extent(side, start) {
            Some((low, high)) if low >= 0 && high <= len as i128 => Ok(()),
            Some((low, high)) => Err(outside(name, low, high, len)),
            None => Err(outside(name, i128::MIN, i128::MAX, len)),
        }
    }

    /// Return the first byte that is reached on one side, and the one behind the last.
    pub(super) fn extent(
        &self,
        side: impl Fn(&Axis<'a>) -> Walk<'a>,
        start: isize,
    ) -> Option<(i128, i128)> {
        let mut low = start as i128;
        let mut high = low + self.item as i128;
        for axis in &self.axes {
            let (least, most) = match side(axis) {
                Walk::Even(stride) => {
                    let reach = (stride as i128).checked_mul(axis.len as i128 - 1)?;
                    (reach.min(0), reach.max(0))
                }
                Walk::Listed(list) => {
                    let (mut least, mut most) = (isize::MAX, isize::MIN);
                    for &offset in list {
                        least = least.min(offset);
                        most = most.max(offset);
                    }
                    (least as i128, most as i128)
                }
            };
            low = low.checked_add(least)?;
            high = high.checked_add(most)?;
        }
        Some((low, high))
    }

    /// Replace items by the units that they consist of.
    pub(super) fn split(&mut self, unit: usize) {
        if unit < self.item {
            self.axes.push(Axis {
                len: self.item / unit,
                src: Walk::Even(unit as isize),
                dst: Walk::Even(unit as isize),
            });
            self.item = unit;
        }
    }

    /// Reverse and sort the axes so that the destination is walked upwards in the smallest steps,
    /// and join those that are contiguous in both memories.
    pub(super) fn order(&mut self) {
        for axis in &mut self.axes {
            axis.even_out(&mut self.src_start, &mut self.dst_start);
            if let (Walk::Even(src), Walk::Even(dst)) = (axis.src, axis.dst) {
                if dst < 0 {
                    let last = axis.len as isize - 1;
                    self.src_start = self.src_start.wrapping_add(src.wrapping_mul(last));
                    self.dst_start = self.dst_start.wrapping_add(dst.wrapping_mul(last));
                    axis.src = Walk::Even(src.wrapping_neg());
                    axis.dst = Walk::Even(dst.wrapping_neg());
                }
            }
        }
        self.axes
            .sort_by_key(|axis| std::cmp::Reverse(axis.dst.pace()));
        let mut kept = 0;
        for i in 1..self.axes.len() {
            let (outer, inner) = (self.axes[kept], self.axes[i]);
            if let Some(joined) = outer.joined(inner) {
                self.axes[kept] = joined;
            } else {
                kept += 1;
                self.axes[kept] = inner;
            }
        }
        self.axes.truncate(kept + 1);
    }

    /// Remove the innermost axis if it steps by one item, and return the bytes of the run that it
    /// was.
    pub(super) fn run_bytes(&mut self, side: impl Fn(&Axis<'a>) -> Walk<'a>) -> usize {
        match self.axes.last() {
            Some(axis) if matches!(side(axis), Walk::Even(s) if s == self.item as isize) => {
                let len = axis.len;
                self.axes.pop();
                self.item * len
            }
            _ => self.item,
        }
    }

    /// Copy along axes that are in order.
    ///
    /// # Safety
    ///
    /// Every offset that the axes reach lies inside the memories at `src` and `dst`, which can be
    /// read and written and do not overlap.
    pub(super) unsafe fn run(mut self, src: *const u8, dst: *mut u8, swap: bool) {
        let (from, to) = (
            src.wrapping_offset(self.src_start),
            dst.wrapping_offset(self.dst_start),
        );
        if !swap && matches!(self.axes.last(), Some(axis) if axis.src.steps_by(self.item)) {
            self.item = self.run_bytes(|axis| axis.dst);
        }
        if self.axes.is_empty() && !swap {
            // SAFETY: one run, inside both memories.
            return unsafe { std::ptr::copy_nonoverlapping(from, to, self.item) };
        }
        let inner = self.axes.pop().unwrap_or(ONCE);
        // In a transpose, another axis takes smaller steps in the source than the innermost.
        let turned = self.transposed(inner);
        let outer = match turned {
            Some(at) => self.axes.remove(at),
            None => self.axes.pop().unwrap_or(ONCE),
        };
        let block = Block {
            item: self.item,
            outer,
            inner,
        };
        let kernel = kernel(self.item, swap, turned.is_some());
        // SAFETY: the kernel is for items of this size, and the offsets were checked.
        unsafe { each(&self.axes, from, to, &|from, to| kernel(&block, from, to)) };
    }

    /// Return the axis that is walked in tiles with the innermost one.
    fn transposed(&self, inner: Axis<'a>) -> Option<usize> {
        let Walk::Even(step) = inner.src else {
            return None;
        };
        if self.item >= LINE {
            return None;
        }
        let pace = |axis: &Axis<'a>| match (axis.src, axis.dst) {
            (Walk::Even(src), Walk::Even(_)) if axis.len >= FEW => src.unsigned_abs(),
            _ => usize::MAX,
        };
        let (at, least) = self
            .axes
            .iter()
            .map(pace)
            .enumerate()
            .min_by_key(|&(_, pace)| pace)?;
        let even = matches!(inner.dst, Walk::Even(_)) && inner.len > 1;
        (even && least != 0 && least < step.unsigned_abs()).then_some(at)
    }
}

fn outside(side: &str, low: i128, high: i128, len: usize) -> Error {
    Error::codec(
        STAGE,
        format!("bytes {low} to {high} are outside the {len} of {side}"),
    )
}

/// Call a function for every place of the axes, from the outermost in.
///
/// # Safety
///
/// The function's own condition holds for every place.
pub(super) unsafe fn each<F: Fn(*const u8, *mut u8)>(
    axes: &[Axis<'_>],
    src: *const u8,
    dst: *mut u8,
    f: &F,
) {
    let Some((axis, rest)) = axes.split_first() else {
        return f(src, dst);
    };
    for i in 0..axis.len {
        // SAFETY: `i` is below the length of the axis; the rest is the caller's promise.
        unsafe {
            let (from, to) = (
                src.wrapping_offset(axis.src.at(i)),
                dst.wrapping_offset(axis.dst.at(i)),
            );
            each(rest, from, to, f);
        }
    }
}
