//! The factors of a copy, as byte offsets in both memories.

use std::borrow::Cow;

/// The byte offsets of points in one of the two memories.
#[derive(Debug, Clone, Copy)]
pub enum Places<'a> {
    /// One offset a point.
    Listed(&'a [isize]),
    /// Even steps.
    Even {
        /// The offset of the first point.
        start: isize,
        /// The distance to the next one.
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
        /// The number of elements.
        len: usize,
        /// The offset of the first element in the destination.
        dst_offset: isize,
        /// The step in the destination.
        dst_stride: isize,
    },
    /// Listed places on either side or on both.
    Points {
        /// Their places in the source.
        src: Places<'a>,
        /// Their places in the destination.
        dst: Places<'a>,
        /// Their number; a list has as many offsets.
        len: usize,
    },
}

impl Factor<'_> {
    /// Return the factor of the copy in the other direction.
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

/// Return the factors for a source that begins `start` bytes later.
pub fn from_later<'f, 'a>(factors: &'f [Factor<'a>], start: usize) -> Cow<'f, [Factor<'a>]> {
    if start == 0 {
        return Cow::Borrowed(factors);
    }
    #[allow(clippy::disallowed_methods)] // One item for each axis.
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
