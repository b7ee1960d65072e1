//! The folder of a store, as Python describes it.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::raised::guarded;
use crate::commit::{self, Durability};
use crate::error::Kind;
use crate::files;
use crate::keys::Keys;
use crate::local::LocalObjects;
use crate::memory;
use crate::root::Root;
use crate::temporary::TEMPORARY_SUFFIX;

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

/// The keys of files, and those of folders.
type Listed = (Vec<String>, Vec<String>);

/// Return the sorted keys of the files, and those of the folders, in a folder. Each begins with `above`.
///
/// Return `None` if Python must look: at links, temporary files, names that are not text, errors.
#[pyfunction]
pub fn scan(
    py: Python<'_>,
    folder: PathBuf,
    above: &Bound<'_, PyString>,
) -> PyResult<Option<Listed>> {
    let Ok(above) = above.to_str() else {
        return Ok(None);
    };
    guarded(py, || Ok(py.detach(|| listed(&folder, above))))
}

fn listed(folder: &Path, above: &str) -> Option<Listed> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        // The system has told the type with the name, so this is no further call.
        let kind = entry.file_type().ok()?;
        if name.ends_with(TEMPORARY_SUFFIX) || !(kind.is_file() || kind.is_dir()) {
            return None;
        }
        let list = if kind.is_dir() {
            &mut folders
        } else {
            &mut files
        };
        let key = if above.is_empty() {
            name
        } else {
            format!("{above}{name}")
        };
        memory::push(list, key, "list").ok()?;
    }
    // Python sorts the keys of a whole tree faster if those of each folder are sorted.
    files.sort_unstable();
    Some((files, folders))
}

/// Return the values of the first group of keys whose first one has a value, and `None` for keys that
/// were found missing. Values of the keys behind are left out.
///
/// Return `None` if Python must look: at links, large values, what is no file, errors.
#[pyfunction]
pub fn first_values<'py>(
    py: Python<'py>,
    root: PathBuf,
    groups: &Bound<'py, PyAny>,
    most: u64,
    follow_links: bool,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Ok(groups) = groups.extract::<Vec<Vec<String>>>() else {
        return Ok(None);
    };
    guarded(py, || {
        let found = py.detach(|| match Root::open(&root, follow_links) {
            Ok(Some(root)) => root.first_values(&groups, most).ok(),
            _ => None,
        });
        let Some(found) = found else {
            return Ok(None);
        };
        let values = PyDict::new(py);
        for (key, value) in found {
            values.set_item(key, value.map(|bytes| PyBytes::new(py, &bytes)))?;
        }
        Ok(Some(values))
    })
}

/// Whether neither a folder nor the groups above it have an entry named `mark`. A folder is that of a
/// group if it has an entry of one of the names in `groups`.
///
/// `False` also says that Python must look, after an error.
#[pyfunction]
pub fn is_unmarked(
    py: Python<'_>,
    root: PathBuf,
    mark: &str,
    groups: Vec<String>,
) -> PyResult<bool> {
    guarded(py, || {
        Ok(py.detach(|| files::is_unmarked(&root, mark, &groups)))
    })
}

/// Whether a path exists, and neither it nor a folder on the way is a link.
#[pyfunction]
pub fn is_real(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
    guarded(py, || Ok(py.detach(|| files::is_real(&path))))
}
