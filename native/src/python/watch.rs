//! What stops a call: signals, whoever awaits it, and the end of the interpreter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;

use super::calls::refused;
use super::stored::Stored;
use crate::ending::{Caller, UnderWay};
use crate::job::{guard, owned};

/// A regular check for signals, which keeps their exception.
pub(super) struct Watch {
    thread: ThreadId,
    pub(super) caller: Caller,
    /// Whether the call has been stopped by the one who awaits it, for Python to say. It is told of
    /// signals: threads that wait for a store in Python begin and repeat nothing then.
    asked: Option<Py<PyAny>>,
    stopped: AtomicBool,
    raised: Mutex<Option<PyErr>>,
}

impl Watch {
    pub(super) fn of(job: &Bound<'_, PyAny>) -> PyResult<Watch> {
        let asked: Option<Py<PyAny>> = job.getattr(intern!(job.py(), "stopped"))?.extract()?;
        Ok(Watch {
            thread: thread::current().id(),
            caller: Caller::here(asked.is_some()),
            asked,
            stopped: AtomicBool::new(false),
            raised: Mutex::new(None),
        })
    }

    /// Return whether the store was interrupted; raise the exception of a signal, or of a call that
    /// has been stopped.
    fn ask(&self, py: Python<'_>, stored: &Stored) -> PyResult<bool> {
        let signal = py.check_signals();
        let ended = stored.is_ended(py);
        if let Some(asked) = &self.asked {
            if signal.is_err() || ended {
                asked.bind(py).call_method0("stop")?;
            } else if asked.bind(py).call0()?.is_truthy()? {
                return Err(PyKeyboardInterrupt::new_err(()));
            }
        }
        signal.map(|()| ended)
    }

    /// Whether to stop. Only the caller's thread asks Python; the others learn its answer.
    pub(super) fn poll(&self, stored: &Stored) -> bool {
        if thread::current().id() != self.thread || self.stopped.load(Ordering::Relaxed) {
            return self.stopped.load(Ordering::Relaxed);
        }
        let found = if self.asked.is_some() && self.caller.is_refused() {
            Err(refused())
        } else {
            // If the interpreter has ended, its daemon threads end as well.
            Python::try_attach(|py| self.ask(py, stored)).unwrap_or(Ok(true))
        };
        let stop = found.unwrap_or_else(|raised| {
            guard(&self.raised).get_or_insert(raised);
            true
        });
        if stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
        stop
    }

    /// Return what is counted as long as the call may run code of Python's, if it may. Fail if it must
    /// not, because the interpreter is ending.
    pub(super) fn begin(&self, stored: &Stored) -> PyResult<Option<UnderWay>> {
        if stored.is_of_files() && self.asked.is_none() {
            return Ok(None);
        }
        self.caller.begin().ok_or_else(refused).map(Some)
    }

    pub(super) fn raised(self) -> Option<PyErr> {
        owned(self.raised)
    }
}
