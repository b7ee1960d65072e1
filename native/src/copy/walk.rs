//! How the axes of a copy move through the two memories.

use super::factor::Places;
use super::memory::STAGE;
use crate::error::{Error, Result};

/// How one axis moves in one memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Walk<'a> {
    Even(isize),
    Listed(&'a [isize]),
}

impl Walk<'_> {
    /// Return the offset of element `i`.
    ///
    /// # Safety
    ///
    /// `i` is below the length of the axis, which is that of the list.
    #[inline(always)]
    pub(super) unsafe fn at(self, i: usize) -> isize {
        match self {
            Walk::Even(stride) => stride.wrapping_mul(i as isize),
            // SAFETY: as the caller promises.
            Walk::Listed(list) => unsafe { *list.get_unchecked(i) },
        }
    }

    /// Whether neighbours are one item apart.
    pub(super) fn steps_by(self, item: usize) -> bool {
        matches!(self, Walk::Even(step) if step == item as isize)
    }

    /// Return how far apart neighbours are, roughly.
    pub(super) fn pace(self) -> usize {
        match self {
            Walk::Even(stride) => stride.unsigned_abs(),
            Walk::Listed([a, b, ..]) => a.abs_diff(*b),
            Walk::Listed(_) => 0,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    pub(super) len: usize,
    pub(super) src: Walk<'a>,
    pub(super) dst: Walk<'a>,
}

impl<'a> Axis<'a> {
    /// Return both axes as one, if this one goes on where `inner` ends.
    pub(super) fn joined(self, inner: Axis<'a>) -> Option<Axis<'a>> {
        let follows = |outer: Walk<'a>, walk: Walk<'a>| match (outer, walk) {
            (Walk::Even(outer), Walk::Even(step)) => {
                step.checked_mul(inner.len as isize) == Some(outer)
            }
            _ => false,
        };
        (follows(self.src, inner.src) && follows(self.dst, inner.dst)).then(|| Axis {
            len: self.len * inner.len,
            ..inner
        })
    }

    /// Turn lists of equal steps into even steps.
    pub(super) fn even_out(&mut self, src_start: &mut isize, dst_start: &mut isize) {
        for (walk, start) in [(&mut self.src, src_start), (&mut self.dst, dst_start)] {
            let Walk::Listed(list @ [first, second, ..]) = *walk else {
                continue;
            };
            let Some(step) = second.checked_sub(*first) else {
                continue;
            };
            if list
                .windows(2)
                .all(|w| w[1].checked_sub(w[0]) == Some(step))
            {
                if let Some(sum) = start.checked_add(*first) {
                    *start = sum;
                    *walk = Walk::Even(step);
                }
            }
        }
    }
}

/// Return the walk of points in one memory; their start, if they have one, is added to `sum`.
pub(super) fn taken<'a>(places: Places<'a>, len: usize, sum: &mut i128) -> Result<Walk<'a>> {
    match places {
        Places::Even { start, stride } => {
            *sum += start as i128;
            Ok(Walk::Even(stride))
        }
        Places::Listed(list) if list.len() == len => Ok(Walk::Listed(list)),
        Places::Listed(list) => Err(Error::codec(
            STAGE,
            format!("expected {len} offsets of points, found {}", list.len()),
        )),
    }
}
