//! Encoded bytes that Python refers to without a copy.
//!
//! * Nobody can change them. Their memory is taken back if nothing refers to it any more, and is
//!   otherwise Python's, for as long as it refers to it.

use std::os::raw::c_int;
use std::sync::Mutex;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::Result;
use crate::job::guard;
use crate::memory;

/// The bytes, and the number of views of them.
struct State {
    bytes: Option<Vec<u8>>,
    views: usize,
}

/// Bytes of the extension, which are read by the buffer protocol.
#[pyclass(frozen, name = "Lent", module = "fastzarr._native")]
pub(super) struct Lent(Mutex<State>);

impl Lent {
    /// Lend bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Lent {
        let bytes = Some(bytes);
        Lent(Mutex::new(State { bytes, views: 0 }))
    }

    /// Take the bytes back, unless there is a view of them. There will be no others.
    pub(super) fn taken(&self) -> Option<Vec<u8>> {
        let mut state = guard(&self.0);
        match state.views {
            0 => state.bytes.take(),
            _ => None,
        }
    }
}

/// What is lent during a call, and was in use the last time that one was.
#[derive(Default)]
pub(super) struct Loans(Mutex<Vec<Py<Lent>>>);

impl Loans {
    /// Add a loan that the store has been given. Return memory that has come back, if there is some.
    pub(super) fn end(&self, lent: Py<Lent>) -> Result<Vec<u8>> {
        let mut kept = guard(&self.0);
        memory::push(&mut kept, lent, "store")?;
        let mut free = Vec::new();
        kept.retain(|lent| match lent.get().taken() {
            Some(bytes) => {
                free = bytes;
                false
            }
            None => true,
        });
        Ok(free)
    }
}

#[pymethods]
impl Lent {
    unsafe fn __getbuffer__(
        lent: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let mut state = guard(&lent.get().0);
        let Some(bytes) = state.bytes.as_ref() else {
            return Err(PyBufferError::new_err("the bytes were taken back"));
        };
        let (start, size) = (bytes.as_ptr().cast_mut().cast(), bytes.len());
        // SAFETY: the bytes stay where they are while there are views. Python refuses to make one that
        // could be written through, because the buffer is read-only.
        let done = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                lent.as_ptr(),
                start,
                size as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        if done != 0 {
            return Err(PyErr::fetch(lent.py()));
        }
        state.views += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        guard(&self.0).views -= 1;
    }
}
