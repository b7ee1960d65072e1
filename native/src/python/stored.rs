//! The stored objects of a call: files, or what a store of Python's has.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;

#[cfg(unix)]
use super::files;
use super::objects::PyObjects;
use crate::ending::Caller;
#[cfg(unix)]
use crate::local::LocalObjects;
use crate::objects::Objects;

/// The stored objects of a call.
pub(super) enum Stored {
    #[cfg(unix)]
    Files(LocalObjects),
    Python(Box<PyObjects>),
}

/// Return the stored objects: as files if the store has files and, for a write, the job says how
/// durable they must be. No Python code runs here: a thread that the interpreter ends in it, while
/// shutting down, takes the process with it.
pub(super) fn stored(
    chunks: &Bound<'_, PyAny>,
    job: &Bound<'_, PyAny>,
    caller: Caller,
    writes: bool,
) -> PyResult<Stored> {
    let level: Option<String> = if writes {
        job.getattr(intern!(job.py(), "durability"))?.extract()?
    } else {
        None
    };
    let files = chunks.getattr(intern!(chunks.py(), "files"))?;
    if writes && (files.is_none() || level.is_none()) {
        return PyObjects::to_write(chunks, caller).map(|found| Stored::Python(Box::new(found)));
    }
    if files.is_none() {
        return PyObjects::to_read(chunks, job, caller)
            .map(|found| Stored::Python(Box::new(found)));
    }
    #[cfg(unix)]
    {
        let beside = match level {
            Some(_) => job.getattr(intern!(job.py(), "beside"))?.extract()?,
            None => None,
        };
        files::open(&files, level.as_deref(), beside).map(Stored::Files)
    }
    // `HAS_FILES` has said that the store itself must be asked.
    #[cfg(not(unix))]
    Err(pyo3::exceptions::PyValueError::new_err(
        "the extension does not open files on this system",
    ))
}

impl Stored {
    pub(super) fn is_of_files(&self) -> bool {
        match self {
            #[cfg(unix)]
            Stored::Files(_) => true,
            Stored::Python(_) => false,
        }
    }

    pub(super) fn objects(&self) -> &dyn Objects {
        match self {
            #[cfg(unix)]
            Stored::Files(local) => local,
            Stored::Python(objects) => objects.as_ref(),
        }
    }

    /// Whether a file was missing; the objects of Python remember that themselves.
    pub(super) fn missed(&self) -> bool {
        match self {
            #[cfg(unix)]
            Stored::Files(local) => local.missed(),
            Stored::Python(_) => false,
        }
    }

    pub(super) fn raised(&self) -> Option<PyErr> {
        match self {
            #[cfg(unix)]
            Stored::Files(_) => None,
            Stored::Python(objects) => objects.raised(),
        }
    }

    /// Whether a store raised an exception that is no failure of a chunk.
    pub(super) fn is_ended(&self, py: Python<'_>) -> bool {
        match self {
            #[cfg(unix)]
            Stored::Files(_) => false,
            Stored::Python(objects) => objects.is_ended(py),
        }
    }

    /// Return an exception of a store that is no failure of a chunk.
    pub(super) fn ended(&self, py: Python<'_>) -> Option<PyErr> {
        match self {
            #[cfg(unix)]
            Stored::Files(_) => None,
            Stored::Python(objects) => objects.ended(py),
        }
    }
}
