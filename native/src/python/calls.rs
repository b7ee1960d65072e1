//! Calls of Python's functions during a run, and what they raise.
//!
//! * None is made once the calls of its caller are refused, because the interpreter ends (`ending.rs`),
//!   except those that give back what the run has, for which the end is still waited.

use std::sync::Mutex;

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use super::views::Used;
use crate::ending::Caller;
use crate::error::{Error, Kind, Result};
use crate::job::guard;
use crate::memory;

/// The calls of one run.
pub(super) struct Calls {
    caller: Caller,
    raised: Mutex<Option<PyErr>>,
    /// Buffers to be released the next time that the lock is held.
    pub(super) used: Used,
}

impl Calls {
    pub(super) fn new(caller: Caller) -> Calls {
        Calls {
            caller,
            raised: Mutex::default(),
            used: Used::default(),
        }
    }

    /// Return what a function returns that has the interpreter's lock. What it raises is kept.
    pub(super) fn call<T>(
        &self,
        stage: &'static str,
        f: impl FnOnce(Python<'_>) -> PyResult<T>,
    ) -> Result<T> {
        if self.caller.is_refused() {
            guard(&self.raised).get_or_insert_with(refused);
            return Err(Error {
                kind: Kind::Foreign,
                stage,
                message: String::from(REFUSED),
            });
        }
        self.settle(stage, f)
    }

    /// Call a function as `call` does, also if the interpreter ends soon: it gives something back.
    pub(super) fn settle<T>(
        &self,
        stage: &'static str,
        f: impl FnOnce(Python<'_>) -> PyResult<T>,
    ) -> Result<T> {
        // Python ends the process if it cannot make its state of a thread.
        if !memory::spare() {
            return Err(Error::memory(stage, memory::SPARE));
        }
        Python::try_attach(|py| {
            // What a buffer belongs to may run code of Python's when it is released. Another thread may have
            // the interpreter's lock meanwhile, and must not wait here.
            let used = std::mem::take(&mut *guard(&self.used));
            drop(used);
            f(py).map_err(|raised| self.keep(stage, raised))
        })
        .unwrap_or_else(|| {
            Err(Error {
                kind: Kind::Foreign,
                stage,
                message: String::from("the interpreter has ended"),
            })
        })
    }

    /// Keep an exception, and return the error of the call.
    pub(super) fn keep(&self, stage: &'static str, raised: PyErr) -> Error {
        let message = raised.to_string();
        let mut kept = guard(&self.raised);
        // An interrupt counts more than what has gone wrong before it.
        let counts = match kept.as_ref() {
            Some(first) => Python::try_attach(|py| !ends(py, first) && ends(py, &raised)),
            None => Some(true),
        };
        let other = if counts == Some(true) {
            kept.replace(raised)
        } else {
            Some(raised)
        };
        // The other one is released after that, for the same reason as buffers.
        drop(kept);
        drop(other);
        Error {
            kind: Kind::Foreign,
            stage,
            message,
        }
    }

    /// Drop the exception that was kept, because the call is made again in another way, unless it is
    /// that of an interrupt, which may have come meanwhile.
    pub(super) fn forget(&self) {
        Python::try_attach(|py| {
            let other = guard(&self.raised).take_if(|raised| !ends(py, raised));
            drop(other);
        });
    }

    /// Return the exception that was kept.
    pub(super) fn raised(&self) -> Option<PyErr> {
        guard(&self.raised).take()
    }

    /// Return the exception if it is no failure of a chunk, such as that of Ctrl-C.
    pub(super) fn ended(&self, py: Python<'_>) -> Option<PyErr> {
        guard(&self.raised).take_if(|raised| ends(py, raised))
    }

    /// Whether the run has ended by such an exception, or ends with the interpreter.
    pub(super) fn has_ended(&self) -> bool {
        self.caller.is_refused() || Python::try_attach(|py| self.is_ended(py)).unwrap_or(true)
    }

    /// Whether there is an exception that is no failure of a chunk.
    pub(super) fn is_ended(&self, py: Python<'_>) -> bool {
        let raised = guard(&self.raised);
        raised.as_ref().is_some_and(|raised| ends(py, raised))
    }
}

const REFUSED: &str = "the interpreter is ending";

/// Return the exception of a call that is refused, which is made without the interpreter's lock.
pub(super) fn refused() -> PyErr {
    PyRuntimeError::new_err(REFUSED)
}

/// Whether an exception is no failure of a chunk, such as that of Ctrl-C.
pub(super) fn ends(py: Python<'_>, raised: &PyErr) -> bool {
    !raised.is_instance_of::<PyException>(py)
}
