//! The block of memory that a decoded chunk is.

use std::sync::Arc;

/// The most bytes of a shared chunk that one worker takes at a time, if the codec's blocks are no
/// larger: a few milliseconds.
pub const SLAB: usize = 4 << 20;

/// The shape of a decoded chunk, and where its elements lie.
pub struct Block {
    /// The shape, in the axes that factors name.
    pub shape: Vec<usize>,
    /// The distance in bytes of neighbours along each axis.
    pub strides: Vec<isize>,
    /// The size in bytes.
    pub nbytes: usize,
    /// The axes in the order of storage: neighbours along the last one lie side by side.
    order: Arc<[usize]>,
}

impl Block {
    /// Make a block of items of so many bytes, with its axes stored in an order. Return `None` if the
    /// order does not fit, or if the block is larger than the address space.
    pub fn new(shape: Vec<usize>, order: impl Into<Arc<[usize]>>, item: usize) -> Option<Block> {
        let order = order.into();
        let mut strides: Vec<isize> = shape.iter().map(|_| -1).collect();
        let mut nbytes = item;
        for axis in order.iter().rev() {
            let stride = strides.get_mut(*axis).filter(|stride| **stride < 0)?;
            *stride = isize::try_from(nbytes).ok()?;
            nbytes = nbytes.checked_mul(shape[*axis])?;
        }
        isize::try_from(nbytes).ok()?;
        (order.len() == shape.len()).then_some(Block {
            shape,
            strides,
            nbytes,
            order,
        })
    }

    /// Return a block of another shape that is stored in the same order.
    pub fn of_shape(&self, shape: Vec<usize>, item: usize) -> Option<Block> {
        Block::new(shape, Arc::clone(&self.order), item)
    }

    /// Return the axis along which the block is a row of contiguous slabs, or `None` if it has a
    /// single element.
    pub fn slab_axis(&self) -> Option<usize> {
        (0..self.shape.len())
            .filter(|axis| self.shape[*axis] > 1)
            .max_by_key(|axis| self.strides[*axis])
    }

    /// Choose how many rows along `axis` make a slab, if `bytes` of the block are shared by some
    /// threads, `least` is the fewest bytes that are worth one, and `block` are decoded together.
    pub fn slab_rows(
        &self,
        axis: usize,
        bytes: usize,
        threads: usize,
        least: usize,
        block: usize,
    ) -> usize {
        let pace = self.strides[axis] as usize;
        let least = least.max(block);
        let size = bytes.div_ceil(threads).clamp(least, least.max(SLAB));
        let rows = size.div_ceil(pace);
        // If a slab ended inside a codec's block, the next one would decode that again.
        let even = block / common(block, pace);
        let rows = if even <= rows {
            rows.next_multiple_of(even)
        } else {
            rows
        };
        rows.min(self.shape[axis])
    }
}

/// Return the greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        common(b, a % b)
    }
}
