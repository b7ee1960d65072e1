//! The stored objects of any store of Python's, read and written under the interpreter's lock.
//!
//! * An exception of the store is kept, and returned with the failure of the call.
//! * Of a plan, objects are asked for one by one, or many together, or they are taken as they come.
//! * A change is made during a turn of the store, so that no other writer comes between.
//! * What follows without a pause is one entry into Python: each takes the interpreter's lock, and
//!   makes Python's state of the thread.

use std::collections::VecDeque;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyAnyMethods, PyBytes, PyList, PyTuple};
use pyo3::IntoPyObjectExt;

#[cfg(unix)]
use super::archive::Member;
use super::lent::{Lent, Loans};
use super::views::{Owner, Used, View, Viewed, Whole};
use crate::coming::Coming;
use crate::error::{Error, Kind, Result};
use crate::job::guard;
use crate::memory;
use crate::objects::{
    Admitted, Arrivals, Arrived, Last, Make, Objects, Parts, Pending, Stop, Value,
};
use crate::plan::Plan;
#[cfg(unix)]
use crate::span::{Archive, Span};

/// How the objects of a plan are read.
enum Asked {
    /// One by one, by their coordinates.
    One,
    /// At most so many together.
    Together(usize, Mutex<Together>),
    /// As they come, from this function. If not all of the plan come, so many do.
    Ahead(Py<PyAny>, Option<usize>, Coming<Come>),
}

/// The number of a piece, and its object.
type Come = (usize, Result<Option<Found>>);

/// The bytes of an object.
enum Found {
    Bytes(PyBackedBytes),
    /// A read-only buffer, which is not copied.
    View(View),
    /// A place in a file, where they are read.
    #[cfg(unix)]
    Span(Span),
}

/// The objects that were asked for together and are not taken yet.
#[derive(Default)]
struct Together {
    next: usize,
    ready: VecDeque<(usize, Option<Found>)>,
    /// The pieces up to this number are asked for one by one, because all together have failed.
    alone: usize,
}

/// The stored objects of one array, in a store of Python's.
pub(super) struct PyObjects {
    chunks: Py<PyAny>,
    /// Whether the store tells where values are in a file, instead of reading them, and whether parts
    /// of these are read alone.
    spans: Option<bool>,
    /// Whether the store has views of many values together, which belong to an object.
    views: bool,
    asked: Asked,
    /// Whether a thread must be admitted before it encodes an object.
    admits: bool,
    /// Whether new values may be views of this extension's memory.
    lends: bool,
    raised: Mutex<Option<PyErr>>,
    lent: Loans,
    /// Buffers to be released the next time that the lock is held.
    used: Used,
}

impl PyObjects {
    /// Make the objects of `chunks` to be written.
    pub(super) fn to_write(chunks: &Bound<'_, PyAny>) -> PyResult<PyObjects> {
        let admit = chunks.getattr(intern!(chunks.py(), "admit"))?;
        let lends = chunks.getattr_opt(intern!(chunks.py(), "takes_views"))?;
        Ok(PyObjects {
            admits: !admit.is_none(),
            lends: lends.is_some_and(|lends| lends.is_truthy().unwrap_or(false)),
            ..PyObjects::new(chunks)
        })
    }

    fn new(chunks: &Bound<'_, PyAny>) -> PyObjects {
        PyObjects {
            chunks: chunks.clone().unbind(),
            spans: None,
            views: false,
            asked: Asked::One,
            admits: false,
            lends: false,
            raised: Mutex::default(),
            lent: Loans::default(),
            used: Mutex::default(),
        }
    }

    /// Make the objects of `chunks` to be read: as they come if the job has a function `take`, and
    /// otherwise up to `together` of them at once.
    pub(super) fn to_read(
        chunks: &Bound<'_, PyAny>,
        job: &Bound<'_, PyAny>,
    ) -> PyResult<PyObjects> {
        let together = job.getattr(intern!(job.py(), "together"))?.extract()?;
        let take = job.getattr(intern!(job.py(), "take"))?;
        let asked = if !take.is_none() {
            Asked::Ahead(
                take.unbind(),
                job.getattr(intern!(job.py(), "coming"))?.extract()?,
                Coming::new(),
            )
        } else if together > 1 {
            Asked::Together(together, Mutex::default())
        } else {
            Asked::One
        };
        let spans = match chunks.getattr_opt(intern!(job.py(), "located"))? {
            Some(located) if cfg!(unix) && !located.is_none() => Some(located.is_truthy()?),
            _ => None,
        };
        let views = chunks.getattr_opt(intern!(job.py(), "has_views"))?;
        Ok(PyObjects {
            asked,
            spans,
            views: views.is_some_and(|views| views.is_truthy().unwrap_or(false)),
            ..PyObjects::new(chunks)
        })
    }

    /// Return the exception of the store.
    pub(super) fn raised(&self) -> Option<PyErr> {
        guard(&self.raised).take()
    }

    /// Return an exception of the store that is no failure of a chunk, such as that of Ctrl-C.
    pub(super) fn ended(&self, py: Python<'_>) -> Option<PyErr> {
        let mut raised = guard(&self.raised);
        raised.take_if(|raised| !raised.is_instance_of::<PyException>(py))
    }

    /// Whether the store raised an exception that is no failure of a chunk.
    pub(super) fn is_ended(&self, py: Python<'_>) -> bool {
        let raised = guard(&self.raised);
        let raised = raised.as_ref();
        raised.is_some_and(|raised| !raised.is_instance_of::<PyException>(py))
    }

    fn keep(&self, stage: &'static str, raised: PyErr) -> Error {
        let message = raised.to_string();
        let mut first = guard(&self.raised);
        if first.is_none() {
            *first = Some(raised);
        } else {
            // The other one is released after that, for the same reason as buffers.
            drop(first);
        }
        Error {
            kind: Kind::Foreign,
            stage,
            message,
        }
    }

    fn call<T>(&self, stage: &'static str, f: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
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

    fn get(&self, chunk: &[i64]) -> Result<Option<Found>> {
        if let Some(in_parts) = self.spans {
            return self.call("fetch", |py| {
                let wanted = PyList::new(py, [PyTuple::new(py, chunk)?])?;
                Ok(self.located(&wanted, in_parts)?.pop().flatten())
            });
        }
        let found = self.fetch(|py| {
            let coords = PyTuple::new(py, chunk)?;
            self.chunks.bind(py).call_method1("get", (coords,))
        })?;
        Ok(found.map(Found::Bytes))
    }

    /// Ask for objects that may be told as places in a file.
    #[cfg(unix)]
    fn located(&self, wanted: &Bound<'_, PyList>, in_parts: bool) -> PyResult<Vec<Option<Found>>> {
        let py = wanted.py();
        let chunks = self.chunks.bind(py);
        let told = chunks.call_method1(intern!(py, "spans"), (wanted,))?;
        let told = told.cast::<PyTuple>()?;
        let number: i32 = told.get_item(0)?.extract()?;
        let archive = if number < 0 {
            None
        } else {
            // SAFETY: the file is open, because `told` refers to it.
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            Some(Archive::of(file).map_err(super::raised::raising)?)
        };
        let mut values = Vec::new();
        for value in told.get_item(2)?.cast::<PyList>()? {
            let one = match (&archive, value.cast::<PyTuple>()) {
                (Some(archive), Ok(place)) => {
                    let (record, offset, size): (PyBackedBytes, u64, u64) = place.extract()?;
                    let record =
                        memory::copied(&record, "fetch").map_err(super::raised::raising)?;
                    let place = (offset, size);
                    Some(Found::Span(Span::new(archive, record, place, in_parts)))
                }
                (Some(archive), _) if value.is_instance_of::<Member>() => {
                    let span = value.cast::<Member>()?.get().span(py, archive, in_parts);
                    Some(Found::Span(span.map_err(super::raised::raising)?))
                }
                _ => found(&value, None)?,
            };
            memory::push(&mut values, one, "fetch").map_err(super::raised::raising)?;
        }
        Ok(values)
    }

    #[cfg(not(unix))]
    fn located(&self, _: &Bound<'_, PyList>, _: bool) -> PyResult<Vec<Option<Found>>> {
        Ok(Vec::new())
    }

    fn fetch(
        &self,
        f: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Option<PyBackedBytes>> {
        self.call("fetch", |py| as_bytes(&f(py)?))
    }

    /// Take the objects that have come.
    fn take(&self, take: &Py<PyAny>) -> Result<Vec<Come>> {
        self.call("fetch", |py| {
            let (taken, mut come) = (take.bind(py).call0()?, Vec::new());
            if taken.is_none() {
                return Ok(come);
            }
            for one in taken.cast::<PyList>()? {
                let one = one.cast::<PyTuple>()?;
                let (number, value) = (one.get_item(0)?.extract()?, one.get_item(1)?);
                let found = if value.is_instance_of::<PyBaseException>() {
                    Err(PyErr::from_value(value))
                } else {
                    found(&value, None)
                };
                let found = found.map_err(|raised| self.keep("fetch", raised));
                memory::push(&mut come, (number, found), "fetch")
                    .map_err(super::raised::raising)?;
            }
            Ok(come)
        })
    }

    fn opened<'a>(&'a self, found: Found) -> Box<dyn Parts + 'a> {
        match found {
            Found::Bytes(bytes) => Box::new(Whole(bytes)),
            Found::View(view) => Box::new(Viewed::new(view, &self.used)),
            #[cfg(unix)]
            Found::Span(span) => Box::new(span),
        }
    }

    /// Return the next of the objects that are asked for together.
    fn next_of(
        &self,
        plan: &Plan,
        most: usize,
        together: &Mutex<Together>,
        wanted: usize,
    ) -> Result<Option<Arrived<'_>>> {
        let mut together = guard(together);
        if together.ready.is_empty() && together.next >= together.alone {
            let last = plan.size().min(together.next + most);
            let numbers = together.next..last;
            // If one fails, nothing is known of the others.
            match self.get_many(plan, numbers.clone()) {
                Ok(values) if values.len() == numbers.len() => {
                    together.ready.extend(numbers.zip(values));
                }
                Err(error) if Python::try_attach(|py| self.is_ended(py)).unwrap_or(true) => {
                    return Err(error)
                }
                _ => {
                    guard(&self.raised).take();
                    together.alone = last;
                }
            }
            if together.alone < last {
                together.next = last;
            }
        }
        // They are in order, and those that other threads want are not far from the first.
        let at = together.ready.binary_search_by_key(&wanted, |(n, _)| *n);
        if let Some((number, bytes)) = together.ready.remove(at.unwrap_or(0)) {
            let found = Ok(bytes.map(|found| self.opened(found)));
            return Ok(Some(Arrived { number, found }));
        }
        let number = together.next;
        if number >= plan.size() {
            return Ok(None);
        }
        together.next += 1;
        drop(together);
        let found = self.open(&plan.piece(number).chunk);
        Ok(Some(Arrived { number, found }))
    }

    fn get_many(&self, plan: &Plan, numbers: std::ops::Range<usize>) -> Result<Vec<Option<Found>>> {
        self.call("fetch", |py| {
            let wanted = PyList::empty(py);
            for number in numbers.clone() {
                wanted.append(PyTuple::new(py, plan.piece(number).chunk)?)?;
            }
            if let Some(in_parts) = self.spans {
                return self.located(&wanted, in_parts);
            }
            let chunks = self.chunks.bind(py);
            let (owner, all) = if self.views {
                let told = chunks.call_method1(intern!(py, "get_views"), (wanted,))?;
                let told = told.cast::<PyTuple>()?;
                (Some(told.get_item(0)?.unbind().into()), told.get_item(1)?)
            } else {
                let all = chunks.call_method1(intern!(py, "get_many"), (wanted,))?;
                (None, all)
            };
            let mut values = Vec::new();
            for value in all.cast::<PyList>()? {
                memory::push(&mut values, found(&value, owner.as_ref())?, "fetch")
                    .map_err(super::raised::raising)?;
            }
            Ok(values)
        })
    }

    /// Begin the turn of an object, so that no other writer comes between the first read and the
    /// last change.
    fn begin<'py>(&self, py: Python<'py>, chunk: &[i64]) -> PyResult<Bound<'py, PyAny>> {
        let coords = PyTuple::new(py, chunk)?;
        let chunks = self.chunks.bind(py);
        chunks.call_method1(intern!(py, "turn"), (coords,))
    }

    /// Return the value of an object in its turn.
    fn read(&self, turn: &Bound<'_, PyAny>) -> Result<Option<PyBackedBytes>> {
        turn.call_method0(intern!(turn.py(), "get"))
            .and_then(|found| as_bytes(&found))
            .map_err(|raised| self.keep("fetch", raised))
    }

    /// Put a value until no other writer comes between.
    fn put_in_turn<'py>(
        &self,
        chunk: &[i64],
        value: impl IntoPyObject<'py>,
        py: Python<'py>,
    ) -> PyResult<()> {
        let value = value.into_bound_py_any(py)?;
        let turn = self.begin(py, chunk)?;
        let done = loop {
            match put(&turn, &value) {
                Ok(false) => {}
                done => break done,
            }
        };
        let ended = end(&turn);
        done.and(ended)
    }

    /// Put a value that Python may keep. Return memory that it does not keep any more, if there is some.
    fn lend(&self, chunk: &[i64], bytes: Vec<u8>) -> Result<Vec<u8>> {
        let lent = self.call("store", |py| {
            let lent = Py::new(py, Lent::of(bytes))?;
            self.put_in_turn(chunk, &lent, py)?;
            Ok(lent)
        })?;
        self.lent.end(lent)
    }

    /// Put a value, or remove the object, until no other writer comes between.
    fn replace(&self, chunk: &[i64], bytes: Option<&[u8]>) -> Result<()> {
        self.call("store", |py| {
            let value = bytes.map(|bytes| copied(py, bytes)).transpose()?;
            self.put_in_turn(chunk, value, py)
        })
    }
}

/// Store the new value of an object. Return false if another writer has changed it since it was read.
fn put<'py>(turn: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<bool> {
    turn.call_method1(intern!(turn.py(), "put"), (value,))?
        .extract()
}

fn end(turn: &Bound<'_, PyAny>) -> PyResult<()> {
    turn.call_method0(intern!(turn.py(), "end")).map(drop)
}

fn copied<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, bytes.len(), |memory| {
        memory.copy_from_slice(bytes);
        Ok(())
    })
}

/// The fewest bytes that are lent instead of copied.
const LENT: usize = 1 << 15;

/// Return the bytes of an object, copied unless they are bytes of Python's or nobody may write them.
/// A buffer is valid as long as its owner.
fn found(value: &Bound<'_, PyAny>, owner: Option<&Owner>) -> PyResult<Option<Found>> {
    if !value.is_none() && !value.is_instance_of::<PyBytes>() {
        let buffer = PyBuffer::<u8>::get(value)?;
        if buffer.readonly() && buffer.is_c_contiguous() {
            return Ok(Some(Found::View(View::new(buffer, owner.cloned()))));
        }
    }
    Ok(as_bytes(value)?.map(Found::Bytes))
}

/// Return the bytes of an object, copied unless they are bytes of Python's.
fn as_bytes(found: &Bound<'_, PyAny>) -> PyResult<Option<PyBackedBytes>> {
    if found.is_none() {
        return Ok(None);
    }
    if let Ok(bytes) = found.cast::<PyBytes>() {
        return Ok(Some(bytes.clone().into()));
    }
    let bytes = found.py().get_type::<PyBytes>().call1((found,))?;
    Ok(Some(bytes.cast_into::<PyBytes>()?.into()))
}

/// The place of an object that is written.
struct Entered<'a> {
    objects: &'a PyObjects,
    place: Py<PyAny>,
}

impl Admitted for Entered<'_> {}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // What it raises is kept. A place that could not be left is given up with its object.
        let leave = |py: Python<'_>| self.place.call_method0(py, intern!(py, "leave")).map(drop);
        self.objects.call("store", leave).ok();
    }
}

impl Arrivals for PyObjects {
    fn count(&self, plan: &Plan) -> usize {
        match self.asked {
            Asked::Ahead(_, Some(count), _) => count,
            _ => plan.size(),
        }
    }

    fn next(&self, plan: &Plan, wanted: usize) -> Result<Option<Arrived<'_>>> {
        match &self.asked {
            Asked::Together(most, together) => self.next_of(plan, *most, together, wanted),
            Asked::Ahead(take, _, coming) => {
                let next = coming.next(|| self.take(take))?;
                Ok(next.map(|(number, found)| Arrived {
                    number,
                    found: found.map(|found| found.map(|found| self.opened(found))),
                }))
            }
            Asked::One => Ok(None),
        }
    }
}

impl Objects for PyObjects {
    fn arrivals(&self) -> Option<&dyn Arrivals> {
        match self.asked {
            Asked::One => None,
            _ => Some(self),
        }
    }

    fn admit(&self, stop: Stop) -> Result<Option<Box<dyn Admitted + '_>>> {
        if !self.admits {
            return Ok(None);
        }
        loop {
            if stop() {
                return Err(Error::interrupted());
            }
            let place = self.call("store", |py| {
                let found = self.chunks.bind(py).call_method0(intern!(py, "admit"))?;
                Ok((!found.is_none()).then(|| found.unbind()))
            })?;
            if let Some(place) = place {
                let objects = self;
                return Ok(Some(Box::new(Entered { objects, place })));
            }
        }
    }

    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let found = self.get(chunk)?;
        Ok(found.map(|found| self.opened(found)))
    }

    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        let Some(found) = self.open(chunk)? else {
            return Ok(None);
        };
        if found.size() == dst.len() as u64 {
            found.read_into(0, dst)?;
        }
        Ok(Some(found.size()))
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: &mut Value,
        _: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        let bytes = std::mem::take(value).joined()?;
        let worth = bytes.len() >= LENT && bytes.capacity() <= bytes.len() + bytes.len() / 4;
        *value = Value::from(if self.lends && worth {
            self.lend(chunk, bytes)?
        } else {
            self.replace(chunk, Some(&bytes))?;
            bytes
        });
        Ok(None)
    }

    fn update(&self, chunk: &[i64], _: u64, _: Stop, make: Make) -> Result<()> {
        let (turn, mut old) = self.call("store", |py| {
            let turn = self.begin(py, chunk)?;
            let old = self.read(&turn);
            Ok((turn.unbind(), old))
        })?;
        let mut ended = false;
        let change = || loop {
            let found = old?;
            let new = make(found.as_deref())?.map(Value::joined).transpose()?;
            let again = self.call("store", |py| {
                let turn = turn.bind(py);
                let value = new.map(|bytes| copied(py, &bytes)).transpose()?;
                if put(turn, &value.into_bound_py_any(py)?)? {
                    ended = true;
                    return end(turn).map(|()| None);
                }
                Ok(Some(self.read(turn)))
            })?;
            match again {
                Some(found) => old = found,
                None => return Ok(()),
            }
        };
        let done = change();
        if !ended {
            self.call("store", |py| end(turn.bind(py)))?;
        }
        done
    }

    fn remove(&self, chunk: &[i64], _: Stop) -> Result<()> {
        self.replace(chunk, None)
    }

    fn settle(&self) -> Result<Vec<Last<'_>>> {
        Ok(Vec::new())
    }
}
