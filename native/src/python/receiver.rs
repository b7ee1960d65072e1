//! Objects that Python's threads have fetched, and decode themselves.

use pyo3::prelude::*;

use super::found::found;
use super::views::Used;
use crate::objects::Decode;
use crate::received::Receiver;

/// Where the threads that fetch the objects of a call find what decodes them.
#[pyclass(frozen, name = "Receiver", module = "fastzarr._native")]
pub(super) struct PyReceiver {
    receiver: Receiver,
    /// Whether an object is decoded in less time than it takes to get the interpreter's lock.
    brief: bool,
}

impl PyReceiver {
    /// Lend what decodes to other threads while `wait` runs.
    pub(super) fn lend(&self, decode: &Decode<'_>, wait: &mut dyn FnMut()) {
        self.receiver.lend(decode, wait);
    }
}

#[pymethods]
impl PyReceiver {
    #[new]
    fn new(brief: bool, most: usize) -> PyReceiver {
        let receiver = Receiver::new(most);
        PyReceiver { receiver, brief }
    }

    /// Decode the bytes of a piece on this thread, once it may; None stands for a missing object.
    /// Return whether the call is over, or None if it does not take any.
    fn decode(
        &self,
        py: Python<'_>,
        number: usize,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Option<bool>> {
        // The lock is held again when they are released.
        let used = Used::default();
        let parts = found(value, None)?.map(|found| found.parts(&used));
        let parts = parts.as_deref();
        Ok(if self.brief {
            self.receiver.decode(number, parts)
        } else {
            py.detach(|| self.receiver.decode(number, parts))
        })
    }
}
