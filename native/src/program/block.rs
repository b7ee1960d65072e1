//! The block of memory that a decoded chunk is.

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
}

impl Block {
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
