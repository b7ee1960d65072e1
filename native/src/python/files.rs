//! The folder of a store, as Python describes it.

use std::path::PathBuf;

use pyo3::exceptions::{PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;

use super::raised::guarded;
use crate::commit::{self, Durability};
use crate::error::Kind;
use crate::local::{Keys, LocalObjects};

/// Open the chunks that `StoredChunks.files` describes; to write them, `level` is their durability,
/// and `beside` a file that is synced with them.
pub fn open(
    files: &Bound<'_, PyAny>,
    level: Option<&str>,
    beside: Option<PathBuf>,
) -> PyResult<LocalObjects> {
    let durability = level.map(durability).transpose()?;
    type Described = (PathBuf, String, bool, String, bool, bool);
    let (root, prefix, default, separator, reversed, follow): Described = files.extract()?;
    let keys = Keys {
        prefix,
        default,
        separator,
        reversed,
    };
    let mut objects =
        LocalObjects::open(&root, keys, follow, durability).map_err(|error| match error.kind {
            // A path object would be made by importing its class.
            Kind::Io(errno) => PyOSError::new_err((errno, error.message, root.into_os_string())),
            Kind::Memory => PyMemoryError::new_err(error.message),
            _ => PyOSError::new_err(error.message),
        })?;
    objects.beside = beside;
    Ok(objects)
}

fn durability(name: &str) -> PyResult<Durability> {
    match name {
        "none" => Ok(Durability::None),
        "replace" => Ok(Durability::Replace),
        "full" => Ok(Durability::Full),
        _ => Err(PyValueError::new_err(format!(
            "durability {name:?} is unknown"
        ))),
    }
}

/// Make everything written to the file system of a folder survive a power cut.
#[pyfunction]
pub fn sync(py: Python<'_>, root: PathBuf) -> PyResult<()> {
    guarded(py, || {
        py.detach(|| commit::sync(&root)).map_err(|errno| {
            let words = errno.to_string();
            PyOSError::new_err((errno.raw_os_error(), words, root.into_os_string()))
        })
    })
}
