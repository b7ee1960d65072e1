//! The directory of a zip archive, and checksums: what `stores/zip/` asks for.
//!
//! * A directory is read here if all of its entries are plain, which is nearly always. Otherwise the
//!   answer is `None`, and the twin in Python reads it, or says what is wrong with it.

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyDictMethods, PyList, PyListMethods, PyString};

use super::raised::guarded;
use crate::codecs::checksums;
#[cfg(unix)]
use crate::error::Result;
#[cfg(unix)]
use crate::memory;
#[cfg(unix)]
use crate::span::{Archive, Span};

/// The size of a record without its name, and what it begins with.
const RECORD: usize = 46;
const SIGNATURE: &[u8] = b"PK\x01\x02";
/// The size of a local header without its name.
const LOCAL: u64 = 30;
/// A size or offset that is in another field.
const LARGE: u32 = u32::MAX;
/// The flags of members that are encrypted.
const SECRET: u16 = 1 | 1 << 6;
/// What no name of a key has, and the most bytes between slashes.
const TEMPORARY: &[u8] = b".fastzarr-tmp";
const SEGMENT: usize = 255;
/// Shorter values are not worth releasing the interpreter's lock.
const SHORT: usize = 1 << 14;

/// A member of an archive, as `Entry` in Python.
#[pyclass(frozen, name = "Member", module = "fastzarr._native")]
pub(super) struct Member {
    directory: Py<PyBytes>,
    /// Where its record is in the directory.
    place: (usize, usize),
    name: usize,
    #[pyo3(get)]
    flags: u16,
    #[pyo3(get)]
    method: u16,
    #[pyo3(get)]
    crc: u32,
    #[pyo3(get)]
    stored: u64,
    #[pyo3(get)]
    size: u64,
    #[pyo3(get)]
    offset: u64,
    start: AtomicI64,
}

impl Member {
    /// Return the record of the directory.
    fn record<'py>(&'py self, py: Python<'py>) -> &'py [u8] {
        &self.directory.as_bytes(py)[self.place.0..self.place.1]
    }

    /// Return where its value is in an archive.
    #[cfg(unix)]
    pub(super) fn span(&self, py: Python<'_>, archive: &Archive, in_parts: bool) -> Result<Span> {
        let record = memory::copied(self.record(py), "fetch")?;
        let place = (self.offset, self.stored);
        Ok(Span::new(archive, record, place, in_parts))
    }
}

#[pymethods]
impl Member {
    #[getter]
    fn raw<'py>(&'py self, py: Python<'py>) -> &'py [u8] {
        self.record(py)
    }

    #[getter]
    fn name<'py>(&'py self, py: Python<'py>) -> &'py [u8] {
        &self.record(py)[RECORD..RECORD + self.name]
    }

    #[getter]
    fn plain(&self) -> bool {
        self.flags & SECRET == 0
    }

    #[getter]
    fn in_place(&self) -> bool {
        self.method == 0 && self.size == self.stored && self.plain()
    }

    #[getter]
    fn get_start(&self) -> i64 {
        self.start.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_start(&self, start: i64) {
        self.start.store(start, Ordering::Relaxed);
    }

    fn place(&self) -> (u64, u64) {
        (
            self.offset,
            self.offset + LOCAL + self.name as u64 + self.stored,
        )
    }
}

/// Return the members of a directory that ends before `end`, by key; `None` if an entry is not plain.
#[pyfunction]
pub(super) fn zip_directory<'py>(
    raw: &Bound<'py, PyBytes>,
    count: usize,
    end: u64,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = raw.py();
    guarded(py, || {
        let bytes = raw.as_bytes();
        let members = PyDict::new(py);
        let (mut at, mut last) = (0, 0);
        for _ in 0..count {
            let Some(member) = read_record(raw, at) else {
                return Ok(None);
            };
            let name = &bytes[at + RECORD..at + RECORD + member.name];
            let (offset, behind) = member.place();
            let Some(key) = plain_key(name).filter(|_| offset >= last && behind <= end) else {
                return Ok(None);
            };
            (at, last) = (member.place.1, behind);
            members.set_item(PyString::new(py, key), Py::new(py, member)?)?;
        }
        let whole = at == bytes.len() && members.len() == count;
        Ok(whole.then_some(members))
    })
}

/// Return the members that have these keys, None for those that are missing; `None` if a value is not
/// stored as it is, or is of another kind.
#[pyfunction]
pub(super) fn zip_places<'py>(
    members: &Bound<'py, PyDict>,
    keys: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let py = keys.py();
    guarded(py, || {
        let places = PyList::empty(py);
        for key in keys.try_iter()? {
            let found = members.get_item(key?)?;
            let found = found.unwrap_or_else(|| py.None().into_bound(py));
            let in_place = match found.cast::<Member>() {
                Ok(member) => member.get().in_place(),
                Err(_) => found.is_none(),
            };
            if !in_place {
                return Ok(None);
            }
            places.append(found)?;
        }
        Ok(Some(places))
    })
}

fn read_record(raw: &Bound<'_, PyBytes>, at: usize) -> Option<Member> {
    let bytes = raw.as_bytes();
    let head = bytes.get(at..at + RECORD)?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let long = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(short(at)));
    let end = at + RECORD + name + extra + comment;
    let (stored, size, offset) = (long(20), long(24), long(42));
    let plain = head.starts_with(SIGNATURE)
        && end <= bytes.len()
        && ![stored, size, offset].contains(&LARGE)
        && short(34) == 0;
    plain.then(|| Member {
        directory: raw.clone().unbind(),
        place: (at, end),
        name,
        flags: short(8),
        method: short(10),
        crc: long(16),
        stored: stored.into(),
        size: size.into(),
        offset: offset.into(),
        start: AtomicI64::new(-1),
    })
}

/// Return a name as a key if it is ASCII and certainly valid, as in `validate_key`.
fn plain_key(name: &[u8]) -> Option<&str> {
    let printed = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    let named =
        |part: &[u8]| !part.is_empty() && part.len() <= SEGMENT && part != b"." && part != b"..";
    let plain = name.iter().all(printed)
        && name.split(|byte| *byte == b'/').all(named)
        && !name.windows(TEMPORARY.len()).any(|part| part == TEMPORARY);
    plain.then(|| std::str::from_utf8(name).ok()).flatten()
}

/// Return the CRC-32 of a buffer.
#[pyfunction]
pub(super) fn crc32(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    guarded(py, || {
        let buffer = PyBuffer::<u8>::get(value)?;
        if !buffer.is_c_contiguous() {
            return Err(pyo3::exceptions::PyBufferError::new_err(
                "the buffer has gaps",
            ));
        }
        if buffer.item_count() == 0 {
            return Ok(0);
        }
        // SAFETY: the buffer is contiguous, and is kept for as long as the slice. The caller must not
        // write to it meanwhile; if it does, the checksum is of no use.
        let bytes = unsafe {
            std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
        };
        Ok(if bytes.len() < SHORT {
            checksums::crc32(bytes)
        } else {
            py.detach(|| checksums::crc32(bytes))
        })
    })
}
