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
//! * Memory that several threads write to is a `Shared`: who makes one promises that no two of them
//!   touch the same byte at a time, as the chunks of a plan promise.

use std::marker::PhantomData;
use std::ops::Range;

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

/// Memory to copy from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    start: *const u8,
    len: usize,
    life: PhantomData<&'a [u8]>,
}

// SAFETY: a `Source` is only read from, like the slice that it stands for.
unsafe impl Send for Source<'_> {}
// SAFETY: as above.
unsafe impl Sync for Source<'_> {}

impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Source {
            start: bytes.as_ptr(),
            len: bytes.len(),
            life: PhantomData,
        }
    }
}

impl Source<'_> {
    /// Stand for memory that is not Rust's.
    ///
    /// # Safety
    ///
    /// For as long as this value or a copy of it is used, the `len` bytes from `start` on can be
    /// read, and nobody writes those that are copied.
    pub unsafe fn new(start: *const u8, len: usize) -> Self {
        Source {
            start,
            len,
            life: PhantomData,
        }
    }
}

/// Memory to copy into, for one user at a time.
#[derive(Debug)]
pub struct Target<'a> {
    start: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a `Target` has one user at a time, like the mutable slice that it stands for.
unsafe impl Send for Target<'_> {}

impl<'a> From<&'a mut [u8]> for Target<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Target {
            start: bytes.as_mut_ptr(),
            len: bytes.len(),
            life: PhantomData,
        }
    }
}

impl Target<'_> {
    /// Give a run of the memory as a slice, for a decoder to fill.
    pub fn run(&mut self, offset: usize, len: usize) -> Result<&mut [u8]> {
        match offset.checked_add(len) {
            // SAFETY: the bytes lie inside, and `self` is borrowed for as long as the slice lives.
            Some(end) if end <= self.len => {
                Ok(unsafe { std::slice::from_raw_parts_mut(self.start.wrapping_add(offset), len) })
            }
            _ => Err(Error::codec(
                STAGE,
                format!(
                    "{len} bytes at offset {offset} are outside the destination's {}",
                    self.len
                ),
            )),
        }
    }

    /// Give the rows of a whole chunk as slices, in the order of the chunk's bytes.
    pub fn rows<'b>(&'b mut self, rows: &'b Rows) -> Result<Runs<'b>> {
        if rows.end > self.len {
            return Err(outside("the destination", 0, rows.end as i128, self.len));
        }
        Ok(Runs {
            start: self.start,
            rows,
            at: rows.start,
            steps: vec![0; rows.axes.len()],
            left: rows.count,
            life: PhantomData,
        })
    }
}

/// The rows of a whole chunk as slices of the destination.
#[derive(Debug)]
pub struct Runs<'a> {
    start: *mut u8,
    rows: &'a Rows,
    at: isize,
    steps: Vec<usize>,
    left: usize,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> Iterator for Runs<'a> {
    type Item = &'a mut [u8];

    fn next(&mut self) -> Option<&'a mut [u8]> {
        self.left = self.left.checked_sub(1)?;
        let here = self.start.wrapping_offset(self.at);
        for (step, &(len, stride)) in self.steps.iter_mut().zip(&self.rows.axes).rev() {
            *step += 1;
            self.at = self.at.wrapping_add(stride);
            if *step < len {
                break;
            }
            *step = 0;
            self.at = self.at.wrapping_sub(stride.wrapping_mul(len as isize));
        }
        // SAFETY: all rows lie inside the target, which stays borrowed, and they do not overlap:
        // `contiguous_rows` gives no others.
        Some(unsafe { std::slice::from_raw_parts_mut(here, self.rows.run) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Memory that several threads copy into, each into a part of its own.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    start: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: whoever made it has promised that its users keep to parts of their own.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Stand for memory that several threads fill.
    ///
    /// # Safety
    ///
    /// For as long as this value, a copy of it or a target made from it is used, the `len` bytes
    /// from `start` on can be read and written; what two targets of it write, or hand out as slices,
    /// never overlaps at the same time, and nobody else writes there.
    pub unsafe fn new(start: *mut u8, len: usize) -> Self {
        Shared {
            start,
            len,
            life: PhantomData,
        }
    }

    /// Give a target for one user.
    pub fn target(self) -> Target<'a> {
        Target {
            start: self.start,
            len: self.len,
            life: PhantomData,
        }
    }
}

/// Give where an array lies around the address of its first element: how many bytes before it, and
/// how many in all. The first element is then at that offset of a `Source` or `Shared` that starts
/// so much earlier.
pub fn span_of(item: usize, shape: &[usize], strides: &[isize]) -> Result<(usize, usize)> {
    if shape.len() != strides.len() {
        return Err(Error::codec(STAGE, "as many strides as axes are needed"));
    }
    if shape.contains(&0) {
        return Ok((0, 0));
    }
    let (mut low, mut high) = (0i128, item as i128);
    for (&len, &stride) in shape.iter().zip(strides) {
        let reach = stride as i128 * (len as i128 - 1);
        if reach < 0 {
            low += reach;
        } else {
            high += reach;
        }
    }
    let fits = |n: i128| {
        usize::try_from(n)
            .ok()
            .filter(|&n| n <= isize::MAX as usize)
    };
    match (fits(-low), fits(high - low)) {
        (Some(before), Some(len)) => Ok((before, len)),
        _ => Err(Error::codec(
            STAGE,
            "the array is larger than the address space",
        )),
    }
}

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

/// Turn the bytes of each unit of 2, 4, 8 or 16 bytes round where they are.
pub fn swap_in_place(bytes: &mut [u8], unit: usize) -> Result<()> {
    if unit == 1 {
        return Ok(());
    }
    if !matches!(unit, 2 | 4 | 8 | 16) || !bytes.len().is_multiple_of(unit) {
        return Err(Error::codec(
            STAGE,
            format!(
                "{} bytes have no units of {unit} bytes to swap",
                bytes.len()
            ),
        ));
    }
    let start = bytes.as_mut_ptr();
    let count = bytes.len() / unit;
    // SAFETY: `count` units lie inside the slice, which is borrowed mutably; each is read before it
    // is written, and none is touched for another.
    unsafe {
        match unit {
            2 => in_place::<u16>()(start, count),
            4 => in_place::<u32>()(start, count),
            8 => in_place::<u64>()(start, count),
            _ => in_place::<u128>()(start, count),
        }
    }
    Ok(())
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

/// How one axis moves in one memory.
#[derive(Debug, Clone, Copy)]
enum Walk<'a> {
    Even(isize),
    Listed(&'a [isize]),
}

impl Walk<'_> {
    /// Give the offset of element `i`.
    ///
    /// # Safety
    ///
    /// `i` is below the length of the axis, which is that of the list.
    #[inline(always)]
    unsafe fn at(self, i: usize) -> isize {
        match self {
            Walk::Even(stride) => stride.wrapping_mul(i as isize),
            // SAFETY: as the caller promises.
            Walk::Listed(list) => unsafe { *list.get_unchecked(i) },
        }
    }

    /// Guess how far apart neighbours are.
    fn pace(self) -> usize {
        match self {
            Walk::Even(stride) => stride.unsigned_abs(),
            Walk::Listed([a, b, ..]) => a.abs_diff(*b),
            Walk::Listed(_) => 0,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Axis<'a> {
    len: usize,
    src: Walk<'a>,
    dst: Walk<'a>,
}

/// An axis that is none.
const ONCE: Axis<'static> = Axis {
    len: 1,
    src: Walk::Even(0),
    dst: Walk::Even(0),
};

/// A copy as loops: the starts on both sides, and the axes from the outermost in.
struct Product<'a> {
    item: usize,
    src_start: isize,
    dst_start: isize,
    axes: Vec<Axis<'a>>,
}

impl<'a> Product<'a> {
    /// Take over the factors; `None` if they reach nothing.
    fn new(item: usize, factors: &[Factor<'a>]) -> Result<Option<Self>> {
        let (mut src_start, mut dst_start) = (0i128, 0i128);
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
                    // SAFETY: the one element is there.
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

    /// Refuse offsets outside of the memories, and steps of zero in the destination, by which a few
    /// bytes would be written for ever. `None` stands for a source that is not looked at.
    fn check(&self, src_len: Option<usize>, dst_len: usize) -> Result<()> {
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

    /// Give the first byte that is reached on one side, and the one behind the last.
    fn extent(&self, side: impl Fn(&Axis<'a>) -> Walk<'a>, start: isize) -> Option<(i128, i128)> {
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

    /// Look at the units of each item instead of the items.
    fn split(&mut self, unit: usize) {
        if unit < self.item {
            self.axes.push(Axis {
                len: self.item / unit,
                src: Walk::Even(unit as isize),
                dst: Walk::Even(unit as isize),
            });
            self.item = unit;
        }
    }

    /// Turn and sort the axes so that the destination is walked upwards in steps as small as may be,
    /// and join those that are one in both memories.
    fn order(&mut self) {
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

    /// Take away the innermost axis if it steps by one item, and give the bytes of the run it was.
    fn run_bytes(&mut self, side: impl Fn(&Axis<'a>) -> Walk<'a>) -> usize {
        match self.axes.last() {
            Some(axis) if matches!(side(axis), Walk::Even(s) if s == self.item as isize) => {
                let len = axis.len;
                self.axes.pop();
                self.item * len
            }
            _ => self.item,
        }
    }

    /// Copy, the axes being in order.
    ///
    /// # Safety
    ///
    /// Every offset that the axes reach lies inside the memories at `src` and `dst`, which can be
    /// read and written and do not overlap.
    unsafe fn run(mut self, src: *const u8, dst: *mut u8, swap: bool) {
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
        // A transpose: some other axis takes smaller steps in the source than the innermost does.
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
        // SAFETY: the kernel is that of the item's size, and the offsets are those checked.
        unsafe { each(&self.axes, from, to, &|from, to| kernel(&block, from, to)) };
    }

    /// Find the axis with which the innermost one is to be walked in tiles.
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

impl<'a> Axis<'a> {
    /// Tell whether the axes are one, `inner` going on where it ends, and give that one.
    fn joined(self, inner: Axis<'a>) -> Option<Axis<'a>> {
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

    /// See lists whose steps are all the same as what they are.
    fn even_out(&mut self, src_start: &mut isize, dst_start: &mut isize) {
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

impl Walk<'_> {
    fn steps_by(self, item: usize) -> bool {
        matches!(self, Walk::Even(step) if step == item as isize)
    }
}

fn taken<'a>(places: Places<'a>, len: usize, sum: &mut i128) -> Result<Walk<'a>> {
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

fn outside(side: &str, low: i128, high: i128, len: usize) -> Error {
    Error::codec(
        STAGE,
        format!("bytes {low} to {high} are outside the {len} of {side}"),
    )
}

/// Call for every place of the axes, from the outermost in.
///
/// # Safety
///
/// That of what is called, for every place.
unsafe fn each<F: Fn(*const u8, *mut u8)>(axes: &[Axis<'_>], src: *const u8, dst: *mut u8, f: &F) {
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

/// The two innermost loops.
struct Block<'a> {
    item: usize,
    outer: Axis<'a>,
    inner: Axis<'a>,
}

type Kernel = unsafe fn(&Block<'_>, *const u8, *mut u8);

/// Choose the loops for an item's size.
fn kernel(item: usize, swap: bool, turned: bool) -> Kernel {
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

/// What is moved in one go.
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

/// Make a function that chooses between the loop as the build's processor has it and the same loop
/// for processors with AVX2, which is what its vectors need to be worth it.
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
for_processor!(
    in_place, [T: Cell], [T], unsafe fn(*mut u8, usize), in_place_of,
    (start: *mut u8, count: usize)
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
                    // Read once, which the compiler could not know to be the same each time.
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
/// The offsets that `s` and `d` give for the numbers below `len` can be read and written.
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
    // SAFETY: element zero is there; with even steps, element one tells the step.
    let (row_src, row_dst, column_src, column_dst) = unsafe {
        (
            block.outer.src.at(1),
            block.outer.dst.at(1),
            block.inner.src.at(1),
            block.inner.dst.at(1),
        )
    };
    // Only where rows of the source and columns of the destination are contiguous can a tile be
    // moved by registers.
    let whole = row_src == size as isize && column_dst == size as isize;
    // Columns begin at a cache line of the destination, so that none is written in two goes.
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
        // (not over `cells`: what is walked here are its columns)
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

/// The same with vectors of 16 bytes, which the compiler does not come to by itself.
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
        // To weave row i with row i + N / 2, as often as N can be halved, is to transpose.
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

/// # Safety
///
/// `count` elements can be read and written at `start`.
#[inline(always)]
unsafe fn in_place_of<T: Cell>(start: *mut u8, count: usize) {
    for i in 0..count {
        let at = start.cast::<T>().wrapping_add(i);
        // SAFETY: as the caller promises; alignment is not asked for.
        unsafe { at.write_unaligned(at.read_unaligned().swapped()) };
    }
}

#[cfg(test)]
mod tests;
