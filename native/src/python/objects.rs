//! The stored objects of any store of Python's, read and written under the interpreter's lock.
//!
//! * An exception of the store is kept, and returned with the failure of the call.
//! * Of a plan, objects are asked for one by one, or many together, or they are taken as they come.
//! * A change is made during a turn of the store, so that no other writer comes between.
//! * What follows without a pause is one entry into Python: each takes the interpreter's lock, and
//!   makes Python's state of the thread.

use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyAnyMethods, PyBytes, PyList, PyTuple};
use pyo3::IntoPyObjectExt;

use super::calls::{ends, Calls};
use super::found::{as_bytes, found, Come, Found, PyChunks, Way};
use super::lent::{Lent, Loans};
use super::receiver::PyReceiver;
use super::together::Together;
use crate::coming::Coming;
use crate::ending::Caller;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::memory;
use crate::objects::{
    Admitted, Arrivals, Arrived, Decode, Last, Make, Objects, Parts, Pending, Stop, Value,
};
use crate::plan::Plan;

/// How the objects of a plan are read.
enum Asked {
    /// One by one, by their coordinates.
    One,
    /// Many together.
    Together(Together),
    /// As they come, from this function. If not all of the plan come, so many do. The threads that
    /// fetch them may decode them.
    Ahead(
        Py<PyAny>,
        Option<usize>,
        Option<Py<PyReceiver>>,
        Coming<Come>,
    ),
}

/// The stored objects of one array, in a store of Python's.
pub(super) struct PyObjects {
    chunks: PyChunks,
    asked: Asked,
    /// Whether a thread must be admitted before it encodes an object.
    admits: bool,
    /// Whether new values may be views of this extension's memory.
    lends: bool,
    /// Whether new values are kept until there is a batch of them.
    keeps: bool,
    lent: Loans,
}

impl PyObjects {
    /// Make the objects of `chunks` to be written.
    pub(super) fn to_write(chunks: &Bound<'_, PyAny>, caller: Caller) -> PyResult<PyObjects> {
        let admit = chunks.getattr(intern!(chunks.py(), "admit"))?;
        let lends = chunks.getattr_opt(intern!(chunks.py(), "takes_views"))?;
        let keeps = chunks.getattr_opt(intern!(chunks.py(), "keeps_values"))?;
        Ok(PyObjects {
            admits: !admit.is_none(),
            lends: lends.is_some_and(|lends| lends.is_truthy().unwrap_or(false)),
            keeps: keeps.is_some_and(|keeps| keeps.is_truthy().unwrap_or(false)),
            ..PyObjects::new(chunks, caller)
        })
    }

    fn new(chunks: &Bound<'_, PyAny>, caller: Caller) -> PyObjects {
        PyObjects {
            chunks: PyChunks {
                object: chunks.clone().unbind(),
                way: Way::Values,
                keys: None,
                calls: Calls::new(caller),
            },
            asked: Asked::One,
            admits: false,
            lends: false,
            keeps: false,
            lent: Loans::default(),
        }
    }

    /// Make the objects of `chunks` to be read: as they come if the job has a function `take`, and
    /// otherwise up to `together` of them at once.
    pub(super) fn to_read(
        chunks: &Bound<'_, PyAny>,
        job: &Bound<'_, PyAny>,
        caller: Caller,
    ) -> PyResult<PyObjects> {
        let py = job.py();
        let mut objects = PyObjects::new(chunks, caller);
        let together = job.getattr(intern!(py, "together"))?.extract()?;
        let take = job.getattr(intern!(py, "take"))?;
        if !take.is_none() {
            let coming = job.getattr(intern!(py, "coming"))?.extract()?;
            let receiver = job.getattr(intern!(py, "receiver"))?.extract()?;
            objects.asked = Asked::Ahead(take.unbind(), coming, receiver, Coming::new());
        } else if together > 1 {
            let threads = job.getattr(intern!(py, "threads"))?.extract()?;
            objects.asked = Asked::Together(Together::new(together, threads));
        }
        let views = chunks.getattr_opt(intern!(py, "has_views"))?;
        objects.chunks.way = match chunks.getattr_opt(intern!(py, "located"))? {
            Some(located) if cfg!(unix) && !located.is_none() => Way::Spans(located.is_truthy()?),
            _ if views.is_some_and(|views| views.is_truthy().unwrap_or(false)) => Way::Views,
            _ => return Ok(objects),
        };
        let spelled = chunks.getattr(intern!(py, "spelled"))?.extract()?;
        let spelled: Option<(String, bool, String, bool)> = spelled;
        objects.chunks.keys = spelled.map(|(prefix, default, separator, reversed)| Keys {
            prefix,
            default,
            separator,
            reversed,
        });
        Ok(objects)
    }

    /// Return the exception of the store.
    pub(super) fn raised(&self) -> Option<PyErr> {
        self.chunks.calls.raised()
    }

    /// Return an exception of the store that is no failure of a chunk, such as that of Ctrl-C.
    pub(super) fn ended(&self, py: Python<'_>) -> Option<PyErr> {
        self.chunks.calls.ended(py)
    }

    /// Whether the store raised an exception that is no failure of a chunk.
    pub(super) fn is_ended(&self, py: Python<'_>) -> bool {
        self.chunks.calls.is_ended(py)
    }

    fn keep(&self, stage: &'static str, raised: PyErr) -> Error {
        self.chunks.calls.keep(stage, raised)
    }

    fn call<T>(&self, stage: &'static str, f: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
        self.chunks.calls.call(stage, f)
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
        found.parts(&self.chunks.calls.used)
    }

    /// Begin the turn of an object, so that no other writer comes between the first read and the
    /// last change.
    fn begin<'py>(&self, py: Python<'py>, chunk: &[i64]) -> PyResult<Bound<'py, PyAny>> {
        let coords = PyTuple::new(py, chunk)?;
        let chunks = self.chunks.object.bind(py);
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
        match end(&turn) {
            Err(raised) if done.is_ok() || ends(py, &raised) => Err(raised),
            _ => done.map(drop),
        }
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
        self.objects.chunks.calls.settle("store", leave).ok();
    }
}

impl Arrivals for PyObjects {
    fn count(&self, plan: &Plan) -> usize {
        match self.asked {
            Asked::Ahead(_, Some(count), ..) => count,
            _ => plan.size(),
        }
    }

    fn next(&self, plan: &Plan, wanted: usize) -> Result<Option<Arrived<'_>>> {
        let next = match &self.asked {
            Asked::Together(together) => together.next(&self.chunks, plan, wanted)?,
            Asked::Ahead(take, _, _, coming) => coming.next(0, |_| 0, || self.take(take))?,
            Asked::One => None,
        };
        Ok(next.map(|(number, found)| Arrived {
            number,
            found: found.map(|found| found.map(|found| self.opened(found))),
        }))
    }

    fn lend(&self, decode: &Decode<'_>, wait: &mut dyn FnMut()) -> bool {
        match &self.asked {
            Asked::Ahead(_, _, Some(receiver), _) => receiver.get().lend(decode, wait),
            _ => return false,
        }
        true
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
                let chunks = self.chunks.object.bind(py);
                let found = chunks.call_method0(intern!(py, "admit"))?;
                Ok((!found.is_none()).then(|| found.unbind()))
            })?;
            if let Some(place) = place {
                let objects = self;
                return Ok(Some(Box::new(Entered { objects, place })));
            }
        }
    }

    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let found = self.chunks.get(chunk)?;
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
        // What a batch keeps has no memory to spare.
        let worth = !self.keeps || bytes.capacity() <= bytes.len() + bytes.len() / 4;
        *value = Value::from(if self.lends && bytes.len() >= LENT && worth {
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
            let calls = &self.chunks.calls;
            calls.settle("store", |py| end(turn.bind(py)))?;
        }
        done
    }

    fn remove(&self, chunk: &[i64], _: Stop) -> Result<()> {
        self.replace(chunk, None)
    }

    fn takes_memory(&self) -> bool {
        self.chunks.way == Way::Values
    }

    fn settle(&self) -> Result<Vec<Last<'_>>> {
        Ok(Vec::new())
    }
}
