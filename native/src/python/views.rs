//! Objects in memory of Python's: bytes, and read-only buffers with what they belong to.

use std::sync::{Arc, Mutex};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::error::{Error, Result};
use crate::job::guard;
use crate::objects::Parts;

/// What the memory of several buffers belongs to, such as a transaction.
pub(super) type Owner = Arc<Py<PyAny>>;

/// Buffers to be released the next time that the interpreter's lock is held.
pub(super) type Used = Mutex<Vec<View>>;

/// A contiguous read-only buffer, and what its memory belongs to, which is released after it.
pub(super) struct View {
    buffer: PyBuffer<u8>,
    _owner: Option<Owner>,
}

impl View {
    pub(super) fn new(buffer: PyBuffer<u8>, owner: Option<Owner>) -> View {
        View {
            buffer,
            _owner: owner,
        }
    }
}

/// An object in a read-only buffer of Python's.
pub(super) struct Viewed<'a> {
    view: Option<View>,
    used: &'a Used,
}

impl<'a> Viewed<'a> {
    pub(super) fn new(view: View, used: &'a Used) -> Viewed<'a> {
        Viewed {
            view: Some(view),
            used,
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.view {
            Some(View { buffer, .. }) if buffer.item_count() > 0 => {
                // SAFETY: the buffer is contiguous and read-only, and is kept as long as this, as is
                // what its memory belongs to.
                unsafe {
                    std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
                }
            }
            _ => &[],
        }
    }
}

impl Parts for Viewed<'_> {
    fn size(&self) -> u64 {
        self.bytes().len() as u64
    }

    fn read<'a>(&'a self, offset: u64, size: usize, _: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        part(self.bytes(), offset, size)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self.bytes())
    }
}

impl Drop for Viewed<'_> {
    fn drop(&mut self) {
        // It is released with the interpreter's lock, which is not taken for that alone.
        guard(self.used).extend(self.view.take());
    }
}

/// An object in bytes of Python's.
pub(super) struct Whole(pub(super) PyBackedBytes);

impl Parts for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, size: usize, _: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        part(&self.0, offset, size)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

/// Return a part of what is in memory.
fn part(bytes: &[u8], offset: u64, size: usize) -> Result<&[u8]> {
    let start = usize::try_from(offset).ok();
    let found = start.and_then(|start| bytes.get(start..start.checked_add(size)?));
    found.ok_or_else(|| {
        let all = bytes.len();
        Error::codec(
            "fetch",
            format!("{size} bytes at offset {offset} end after the {all}"),
        )
    })
}
