//! The memories that are copied between: their owners, and who may touch them.
//!
//! * A `Source` or a `Target` is a start and a length; the copy checks what lies inside.
//! * Memory that several threads write to is a `Shared`. Its maker promises that no two threads
//!   touch the same byte at a time, which the chunks of a plan guarantee.

use std::marker::PhantomData;

use crate::error::{Error, Result};

/// The stage of a copy's errors.
pub const STAGE: &str = "copy";

/// Memory to copy from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub(super) start: *const u8,
    pub(super) len: usize,
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
    /// Return the source for memory that is not Rust's.
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
    pub(super) start: *mut u8,
    pub(super) len: usize,
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
    /// Return a run of the memory as a slice, for a decoder to fill.
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
}

/// Memory that several threads copy into, each into a part of its own.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    start: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: its maker has promised that its users keep to parts of their own.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Return the handle of memory that several threads fill.
    ///
    /// # Safety
    ///
    /// For as long as this value, a copy of it or a target made from it is used, the `len` bytes
    /// from `start` on can be read and written; the bytes that two targets of it write, or hand out
    /// as slices, never overlap at the same time, and nobody else writes there.
    pub unsafe fn new(start: *mut u8, len: usize) -> Self {
        Shared {
            start,
            len,
            life: PhantomData,
        }
    }

    /// Return a target for one user.
    pub fn target(self) -> Target<'a> {
        Target {
            start: self.start,
            len: self.len,
            life: PhantomData,
        }
    }
}

/// Return how many bytes of an array lie before its first element, and how many it spans in all. A
/// `Source` or `Shared` that starts so many bytes before the first element has that at this offset.
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
