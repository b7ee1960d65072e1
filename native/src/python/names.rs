//! The keys among the names that a database lists.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyListMethods};

use super::raised::{guarded, raising};
use crate::memory;

/// Return the keys in names, which follow the first `cut` bytes of each: sorted, and each once.
///
/// Names that are not text have none.
#[pyfunction]
pub(super) fn sorted_keys<'py>(
    names: &Bound<'py, PyList>,
    cut: usize,
) -> PyResult<Bound<'py, PyList>> {
    let py = names.py();
    guarded(py, || {
        let mut held = memory::with_room(names.len(), "list").map_err(raising)?;
        for name in names.iter() {
            memory::push(&mut held, name.cast_into::<PyBytes>()?, "list").map_err(raising)?;
        }
        let mut keys: Vec<&str> = memory::with_room(held.len(), "list").map_err(raising)?;
        for name in &held {
            let rest = name.as_bytes().get(cut..).unwrap_or_default();
            keys.extend(std::str::from_utf8(rest));
        }
        keys.sort_unstable();
        keys.dedup();
        PyList::new(py, keys)
    })
}
