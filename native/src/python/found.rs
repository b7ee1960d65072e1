//! What a store in Python tells of objects: bytes, views of its memory, places in a file.

#[cfg(unix)]
use std::os::fd::BorrowedFd;

use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyAnyMethods, PyBytes, PyIterator, PyList, PyString, PyTuple};

#[cfg(unix)]
use super::archive::Member;
use super::calls::Calls;
use super::raised::raising;
use super::views::{Owner, Used, View, Viewed, Whole};
use crate::error::Result;
use crate::keys::Keys;
use crate::memory;
use crate::objects::Parts;
use crate::plan::Plan;
#[cfg(unix)]
use crate::span::{Archive, Span};

/// An object that was found.
pub(super) enum Found {
    Bytes(PyBackedBytes),
    /// A read-only buffer, which is not copied.
    View(View),
    /// A place in a file, where the bytes are read.
    #[cfg(unix)]
    Span(Span),
}

impl Found {
    /// Return the object. Its buffer is `used` in the end.
    pub(super) fn parts(self, used: &Used) -> Box<dyn Parts + '_> {
        match self {
            Found::Bytes(bytes) => Box::new(Whole(bytes)),
            Found::View(view) => Box::new(Viewed::new(view, used)),
            #[cfg(unix)]
            Found::Span(span) => Box::new(span),
        }
    }
}

/// The number of a piece, and its object.
pub(super) type Come = (usize, Result<Option<Found>>);

/// How a store is asked for several objects.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// It returns them, and remembers which are missing.
    Values,
    /// It returns views, which belong to an object.
    Views,
    /// It tells where they are in a file; whether parts of them are read alone.
    Spans(bool),
}

/// What several objects have in common.
pub(super) enum Told {
    Values,
    Views(Owner),
    #[cfg(unix)]
    Spans(Option<Archive>, bool),
}

/// The stored objects of an array, as Python has them.
pub(super) struct PyChunks {
    pub(super) object: Py<PyAny>,
    pub(super) way: Way,
    /// How keys are spelled, if not only Python knows that.
    pub(super) keys: Option<Keys>,
    pub(super) calls: Calls,
}

impl PyChunks {
    /// Return what is told of some objects of a plan: an iterator, and what they have in common.
    pub(super) fn ask<'py>(
        &self,
        py: Python<'py>,
        plan: &Plan,
        numbers: std::ops::Range<usize>,
    ) -> PyResult<(Told, Bound<'py, PyIterator>)> {
        let wanted = PyList::empty(py);
        match &self.keys {
            Some(keys) if self.way != Way::Values => {
                let mut key = String::new();
                for number in numbers.clone() {
                    keys.spell(&plan.chunk(number), &mut key);
                    wanted.append(PyString::new(py, &key))?;
                }
                return self.told(wanted.as_any());
            }
            _ => {
                for number in numbers.clone() {
                    wanted.append(PyTuple::new(py, plan.chunk(number))?)?;
                }
            }
        }
        self.told(&self.keyed(wanted)?)
    }

    /// Return the object at these coordinates, or `None` if it is missing.
    pub(super) fn get(&self, chunk: &[i64]) -> Result<Option<Found>> {
        self.calls.call("fetch", |py| {
            if matches!(self.way, Way::Spans(_)) {
                let wanted = PyList::new(py, [PyTuple::new(py, chunk)?])?;
                let (told, mut values) = self.told(&self.keyed(wanted)?)?;
                let value = values.next().ok_or_else(short)??;
                return self.found(&told, &value, chunk);
            }
            let coords = PyTuple::new(py, chunk)?;
            let found = self.object.bind(py).call_method1("get", (coords,))?;
            Ok(as_bytes(&found)?.map(Found::Bytes))
        })
    }

    /// Return the keys of coordinates, unless the store is asked by these.
    fn keyed<'py>(&self, wanted: Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        let py = wanted.py();
        if self.way == Way::Values {
            return Ok(wanted.into_any());
        }
        let chunks = self.object.bind(py);
        chunks.call_method1(intern!(py, "keys_of"), (wanted,))
    }

    fn told<'py>(&self, wanted: &Bound<'py, PyAny>) -> PyResult<(Told, Bound<'py, PyIterator>)> {
        let py = wanted.py();
        let chunks = self.object.bind(py);
        let count = wanted.len()?;
        let name = match self.way {
            Way::Values => intern!(py, "get_many"),
            Way::Views => intern!(py, "get_views"),
            Way::Spans(_) => intern!(py, "spans"),
        };
        let found = chunks.call_method1(name, (wanted,))?;
        let (told, values) = match self.way {
            Way::Values => (Told::Values, found),
            Way::Views => {
                let found = found.cast::<PyTuple>()?;
                let owner = found.get_item(0)?.unbind().into();
                (Told::Views(owner), found.get_item(1)?)
            }
            #[cfg(not(unix))]
            Way::Spans(_) => (Told::Values, found),
            #[cfg(unix)]
            Way::Spans(in_parts) => {
                let found = found.cast::<PyTuple>()?;
                let number: i32 = found.get_item(0)?.extract()?;
                let archive = if number < 0 {
                    None
                } else {
                    // SAFETY: the file is open, because `found` refers to it.
                    let file = unsafe { BorrowedFd::borrow_raw(number) };
                    Some(Archive::of(file).map_err(raising)?)
                };
                (Told::Spans(archive, in_parts), found.get_item(2)?)
            }
        };
        // If there are others, nothing is known of any.
        if let Ok(list) = values.cast::<PyList>() {
            if list.len() != count {
                return Err(short());
            }
        }
        Ok((told, values.try_iter()?))
    }

    /// Return an object of which `value` was told, or `None` if it is missing.
    pub(super) fn found(
        &self,
        told: &Told,
        value: &Bound<'_, PyAny>,
        chunk: &[i64],
    ) -> PyResult<Option<Found>> {
        let py = value.py();
        if value.is_none() {
            if self.way != Way::Values {
                let coords = PyTuple::new(py, chunk)?;
                let chunks = self.object.bind(py);
                chunks.call_method1(intern!(py, "missed_at"), (coords,))?;
            }
            return Ok(None);
        }
        match told {
            #[cfg(unix)]
            Told::Spans(Some(archive), in_parts) => {
                if let Ok(member) = value.cast::<Member>() {
                    let span = member.get().span(py, archive, *in_parts);
                    return Ok(Some(Found::Span(span.map_err(raising)?)));
                }
                if let Ok(place) = value.cast::<PyTuple>() {
                    let (record, offset, size): (PyBackedBytes, u64, u64) = place.extract()?;
                    let record = memory::copied(&record, "fetch").map_err(raising)?;
                    let span = Span::new(archive, record, (offset, size), *in_parts);
                    return Ok(Some(Found::Span(span)));
                }
                found(value, None)
            }
            Told::Views(owner) => found(value, Some(owner)),
            _ => found(value, None),
        }
    }
}

/// Return the error of a store that has told too little.
pub(super) fn short() -> PyErr {
    pyo3::exceptions::PyValueError::new_err("the store has not told of each object")
}

/// Return the bytes of an object, copied unless they are bytes of Python's or nobody may write them.
/// A buffer is valid as long as its owner.
pub(super) fn found(value: &Bound<'_, PyAny>, owner: Option<&Owner>) -> PyResult<Option<Found>> {
    if !value.is_none() && !value.is_instance_of::<PyBytes>() {
        let buffer = PyBuffer::<u8>::get(value)?;
        if buffer.readonly() && buffer.is_c_contiguous() {
            return Ok(Some(Found::View(View::new(buffer, owner.cloned()))));
        }
    }
    Ok(as_bytes(value)?.map(Found::Bytes))
}

/// Return the bytes of an object, copied unless they are bytes of Python's.
pub(super) fn as_bytes(found: &Bound<'_, PyAny>) -> PyResult<Option<PyBackedBytes>> {
    if found.is_none() {
        return Ok(None);
    }
    if let Ok(bytes) = found.cast::<PyBytes>() {
        return Ok(Some(bytes.clone().into()));
    }
    let bytes = found.py().get_type::<PyBytes>().call1((found,))?;
    Ok(Some(bytes.cast_into::<PyBytes>()?.into()))
}
