//! The stored objects of any store of Python's, read and written under the interpreter's lock.
//!
//! * An exception of the store is kept, and returned with the failure of the call.
//! * A change is made during a turn of the store, so that no other writer comes between.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyAnyMethods, PyBytes, PyTuple};

use crate::error::{Error, Kind, Result};
use crate::memory;
use crate::objects::{Make, Objects, Parts, Pending, Stop, Value};

/// The stored objects of one array, in a store of Python's.
pub(super) struct PyObjects {
    pub(super) chunks: Py<PyAny>,
    pub(super) raised: Mutex<Option<PyErr>>,
}

impl PyObjects {
    fn call<T>(&self, stage: &'static str, f: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
        // Python ends the process if it cannot make its state of a thread.
        if !memory::spare() {
            return Err(Error::memory(stage, memory::SPARE));
        }
        Python::try_attach(|py| {
            f(py).map_err(|raised| {
                let message = raised.to_string();
                let mut first = self
                    .raised
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                first.get_or_insert(raised);
                Error {
                    kind: Kind::Foreign,
                    stage,
                    message,
                }
            })
        })
        .unwrap_or_else(|| {
            Err(Error {
                kind: Kind::Foreign,
                stage,
                message: String::from("the interpreter has ended"),
            })
        })
    }

    fn get(&self, chunk: &[i64]) -> Result<Option<PyBackedBytes>> {
        self.fetch(|py| {
            let coords = PyTuple::new(py, chunk)?;
            self.chunks.bind(py).call_method1("get", (coords,))
        })
    }

    fn fetch(
        &self,
        f: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Option<PyBackedBytes>> {
        self.call("fetch", |py| {
            let found = f(py)?;
            if found.is_none() {
                return Ok(None);
            }
            if let Ok(bytes) = found.cast::<PyBytes>() {
                return Ok(Some(bytes.clone().into()));
            }
            let bytes = py.get_type::<PyBytes>().call1((found,))?;
            Ok(Some(bytes.cast_into::<PyBytes>()?.into()))
        })
    }

    /// Hold the turn of an object, so that no other writer comes between the first read and the
    /// last change.
    fn turn<T>(&self, chunk: &[i64], f: impl FnOnce(&Py<PyAny>) -> Result<T>) -> Result<T> {
        let turn = self.call("store", |py| {
            let coords = PyTuple::new(py, chunk)?;
            Ok(self
                .chunks
                .bind(py)
                .call_method1("turn", (coords,))?
                .unbind())
        })?;
        let done = f(&turn);
        self.call("store", |py| turn.call_method0(py, "end").map(|_| ()))?;
        done
    }

    /// Store the new value of an object. Return false if another writer has changed it since it was
    /// read.
    fn put(&self, turn: &Py<PyAny>, bytes: Option<&[u8]>) -> Result<bool> {
        self.call("store", |py| {
            let copy = |bytes: &[u8]| {
                PyBytes::new_with(py, bytes.len(), |memory| {
                    memory.copy_from_slice(bytes);
                    Ok(())
                })
            };
            let value = bytes.map(copy).transpose()?;
            turn.call_method1(py, "put", (value,))?.extract(py)
        })
    }

    /// Put a value until no other writer comes between.
    fn replace(&self, chunk: &[i64], bytes: Option<&[u8]>) -> Result<()> {
        self.turn(chunk, |turn| {
            while !self.put(turn, bytes)? {}
            Ok(())
        })
    }
}

struct Whole(PyBackedBytes);

impl Parts for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, size: usize, _: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(size)?))
            .ok_or_else(|| {
                Error::codec(
                    "fetch",
                    format!(
                        "{size} bytes at offset {offset} end after the {}",
                        self.size()
                    ),
                )
            })
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

impl Objects for PyObjects {
    fn open<'a>(&'a self, chunk: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        let found = self.get(chunk)?;
        Ok(found.map(|bytes| Box::new(Whole(bytes)) as Box<dyn Parts>))
    }

    fn read_into(&self, chunk: &[i64], dst: &mut [u8]) -> Result<Option<u64>> {
        Ok(self.get(chunk)?.map(|bytes| {
            if bytes.len() == dst.len() {
                dst.copy_from_slice(&bytes);
            }
            bytes.len() as u64
        }))
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: Value,
        _: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        self.replace(chunk, Some(&value.joined()?)).map(|()| None)
    }

    fn update(&self, chunk: &[i64], _: u64, _: Stop, make: Make) -> Result<()> {
        self.turn(chunk, |turn| loop {
            let old = self.fetch(|py| turn.bind(py).call_method0("get"))?;
            let new = make(old.as_deref())?.map(Value::joined).transpose()?;
            if self.put(turn, new.as_deref())? {
                return Ok(());
            }
        })
    }

    fn remove(&self, chunk: &[i64], _: Stop) -> Result<()> {
        self.replace(chunk, None)
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }
}
