//! What the functions of the module raise.

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

use pyo3::exceptions::{PyMemoryError, PyOSError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::{Error, Kind};

/// Call a function of this module, and return what it raises as an object that is complete: PyO3 would
/// make it outside of any function that may fail.
///
/// PyO3 panics where Python has no memory for a small object; here that is a `MemoryError`.
pub fn guarded<T>(py: Python<'_>, f: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let complete = || match f() {
        Err(raised) => {
            raised.value(py);
            Err(raised)
        }
        found => found,
    };
    catch_unwind(AssertUnwindSafe(complete)).unwrap_or_else(|panic| {
        if panic.downcast_ref::<&str>() != Some(&"Python API call failed") {
            resume_unwind(panic);
        }
        // SAFETY: the interpreter's lock is held; the function raises an error that exists already.
        unsafe { ffi::PyErr_NoMemory() };
        Err(PyErr::fetch(py))
    })
}

/// Return the exception for an error of the crate.
pub fn raising(error: Error) -> PyErr {
    match error.kind {
        Kind::Memory => PyMemoryError::new_err(error.message),
        Kind::Io(number) => PyOSError::new_err((number, error.message)),
        _ => PyValueError::new_err(error.message),
    }
}
