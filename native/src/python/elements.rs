//! Elements of varying length, between their stored form and NumPy's arrays.
//!
//! * Arrays are of one dimension and contiguous: of `StringDType` without a marker of missing
//!   values, or of objects. The caller has made them, and nobody else uses them during a call.
//! * NumPy's own functions pack and load `StringDType`. They are called under the lock of the
//!   array's allocator and without the interpreter's, and no code in between may wait for the
//!   latter.
//! * A fault of the elements is returned in words; only a fault of the caller, or a lack of memory,
//!   is raised.

use std::ffi::{c_char, c_int, c_void};

use numpy::npyffi::{is_numpy_2, PyArray_Descr, NPY_ARRAY_WRITEABLE, NPY_TYPES};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyImportError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCapsule, PyString, PyType};

use super::raised::{guarded, raising};
use crate::codecs::vlen::{Elements, Joined, Kind};
use crate::error::{Error, Kind as ErrorKind, Result};

/// Split the stored form of as many elements as `out` has, whose count is right, into `out`.
///
/// Return None, or what is wrong with the data.
#[pyfunction]
pub fn vlen_decode(
    py: Python<'_>,
    data: PyBuffer<u8>,
    kind: &Bound<'_, PyType>,
    out: &Bound<'_, PyUntypedArray>,
) -> PyResult<Option<String>> {
    guarded(py, || {
        let kind = kind_of(kind)?;
        let out = Items::of(out)?;
        if !out.writeable || !data.is_c_contiguous() {
            return Err(PyValueError::new_err(
                "an array that is read-only, or data that is not contiguous",
            ));
        }
        let src = match data.len_bytes() {
            0 => &[][..],
            // SAFETY: the buffer is contiguous, alive, and nobody is allowed to write it meanwhile.
            len => unsafe { std::slice::from_raw_parts(data.buf_ptr().cast::<u8>(), len) },
        };
        let elements = Elements::new(src, out.count, kind);
        match out.strings {
            Some(strings) if kind == Kind::Text => {
                worded(py.detach(|| out.pack(strings, elements)))
            }
            Some(_) => Err(PyValueError::new_err("an array of text takes no bytes")),
            None => out.place(py, elements, kind),
        }
    })
}

/// Return the stored form of all elements, or what is wrong with one of them.
///
/// `plain` turns other objects into text or bytes, or raises `TypeError`.
#[pyfunction]
pub fn vlen_encode<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    kind: &Bound<'py, PyType>,
    plain: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    guarded(py, || {
        let kind = kind_of(kind)?;
        let items = Items::of(array)?;
        let joined = match items.strings {
            Some(strings) if kind == Kind::Text => py.detach(|| items.load(strings)),
            Some(_) => return Err(PyValueError::new_err("an array of text has no bytes")),
            None => items.gather(py, kind, plain)?,
        };
        match joined {
            Ok(data) => {
                let fill = |memory: &mut [u8]| {
                    memory.copy_from_slice(&data);
                    Ok(())
                };
                Ok(PyBytes::new_with(py, data.len(), fill)?.into_any())
            }
            Err(error) if error.kind == ErrorKind::Memory => Err(raising(error)),
            Err(error) => Ok(PyString::new(py, &error.message).into_any()),
        }
    })
}

fn kind_of(kind: &Bound<'_, PyType>) -> PyResult<Kind> {
    if kind.is(kind.py().get_type::<PyString>()) {
        Ok(Kind::Text)
    } else if kind.is(kind.py().get_type::<PyBytes>()) {
        Ok(Kind::Bytes)
    } else {
        Err(PyValueError::new_err("the kind must be str or bytes"))
    }
}

/// Return what is wrong with the data, or raise the lack of memory.
fn worded(found: Result<()>) -> PyResult<Option<String>> {
    match found {
        Ok(()) => Ok(None),
        Err(error) if error.kind == ErrorKind::Memory => Err(raising(error)),
        Err(error) => Ok(Some(error.message)),
    }
}

/// The memory of an array of elements.
#[derive(Clone, Copy)]
struct Items {
    start: *mut u8,
    count: usize,
    writeable: bool,
    /// How to pack and load the elements of `StringDType`.
    strings: Option<Strings>,
}

// SAFETY: the maker of this keeps the array alive, and one thread at a time uses it.
unsafe impl Send for Items {}
// SAFETY: as above; what is shared are addresses.
unsafe impl Sync for Items {}

impl Items {
    fn of(array: &Bound<'_, PyUntypedArray>) -> PyResult<Items> {
        if array.ndim() != 1 || !array.is_c_contiguous() {
            return Err(PyValueError::new_err(
                "an array that is not contiguous or not of one dimension",
            ));
        }
        let dtype = array.dtype();
        let size = dtype.itemsize();
        let strings = if dtype.num() == NPY_TYPES::NPY_VSTRING as c_int && size == PACKED {
            Some(Strings::of(array.py(), dtype.as_dtype_ptr())?)
        } else if dtype.num() == NPY_TYPES::NPY_OBJECT as c_int
            && size == size_of::<*mut ffi::PyObject>()
        {
            None
        } else {
            return Err(PyValueError::new_err(
                "an array of neither text nor objects",
            ));
        };
        // SAFETY: the array is alive, and its object is one of NumPy's.
        let fields = unsafe { &(*array.as_array_ptr()).fields };
        Ok(Items {
            start: fields.data.cast(),
            count: array.len(),
            writeable: fields.flags & NPY_ARRAY_WRITEABLE != 0,
            strings,
        })
    }

    /// Pack elements as NumPy's text.
    fn pack(self, strings: Strings, elements: Elements<'_>) -> Result<()> {
        let locked = strings.lock();
        for (number, item) in elements.enumerate() {
            let item = item?;
            // SAFETY: there are `count` elements of this size; the allocator is theirs, and locked.
            let failed = unsafe {
                let packed = self.start.add(number * PACKED).cast();
                (strings.pack)(locked.allocator, packed, item.as_ptr().cast(), item.len())
            };
            if failed != 0 {
                return Err(Error::memory("vlen-utf8", item.len()));
            }
        }
        Ok(())
    }

    /// Join the elements of NumPy's text.
    fn load(self, strings: Strings) -> Result<Vec<u8>> {
        let mut joined = Joined::new(self.count, Kind::Text)?;
        let locked = strings.lock();
        for number in 0..self.count {
            let mut item = Static {
                size: 0,
                start: std::ptr::null(),
            };
            // SAFETY: there are `count` elements of this size; the allocator is theirs, and locked.
            let found = unsafe {
                let packed = self.start.add(number * PACKED).cast();
                (strings.load)(locked.allocator, packed, &mut item)
            };
            if found < 0 {
                return Err(Error::codec(
                    "vlen-utf8",
                    format!("element {number} of {} cannot be loaded", self.count),
                ));
            }
            // An element that was never set is empty.
            let empty = found > 0 || item.size == 0 || item.start.is_null();
            joined.push(if empty {
                &[]
            } else {
                // SAFETY: the allocator keeps the bytes while it is locked.
                unsafe { std::slice::from_raw_parts(item.start.cast::<u8>(), item.size) }
            })?;
        }
        Ok(joined.finish())
    }

    /// Put elements into an array of objects.
    fn place(self, py: Python<'_>, elements: Elements<'_>, kind: Kind) -> PyResult<Option<String>> {
        for (number, item) in elements.enumerate() {
            let item = match item {
                Ok(item) => item,
                Err(error) => return Ok(Some(error.message)),
            };
            let (start, size) = (item.as_ptr().cast::<c_char>(), item.len() as isize);
            // SAFETY: the bytes are alive; the result is a new object or an error.
            let made = unsafe {
                let made = match kind {
                    Kind::Text => ffi::PyUnicode_FromStringAndSize(start, size),
                    Kind::Bytes => ffi::PyBytes_FromStringAndSize(start, size),
                };
                Bound::from_owned_ptr_or_err(py, made)?
            };
            // SAFETY: there are `count` places; each owns its object or is null.
            unsafe {
                let place = self.start.cast::<*mut ffi::PyObject>().add(number);
                ffi::Py_XDECREF(place.replace(made.into_ptr()));
            }
        }
        Ok(None)
    }

    /// Join the elements of an array of objects.
    fn gather(
        self,
        py: Python<'_>,
        kind: Kind,
        plain: &Bound<'_, PyAny>,
    ) -> PyResult<Result<Vec<u8>>> {
        let mut joined = match Joined::new(self.count, kind) {
            Ok(joined) => joined,
            Err(error) => return Ok(Err(error)),
        };
        for number in 0..self.count {
            // SAFETY: there are `count` places; each has an object that is alive, or is null.
            let item = unsafe {
                let place = self.start.cast::<*mut ffi::PyObject>().add(number);
                Bound::from_borrowed_ptr_or_opt(py, *place)
            };
            let item = item.unwrap_or_else(|| py.None().into_bound(py));
            let pushed = push(&mut joined, &item, kind).unwrap_or_else(|| {
                let item = plain.call1((item,))?;
                let pushed = push(&mut joined, &item, kind);
                pushed.unwrap_or_else(|| Err(PyTypeError::new_err("no str or bytes")))
            });
            match pushed {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Ok(Err(error)),
                Err(raised)
                    if raised.is_instance_of::<PyTypeError>(py)
                        || raised.is_instance_of::<PyUnicodeEncodeError>(py) =>
                {
                    let what = match kind {
                        Kind::Text => "text",
                        Kind::Bytes => "bytes",
                    };
                    let count = self.count;
                    let why = raised.value(py);
                    let message =
                        format!("element {number} of {count} cannot be stored as {what}: {why}");
                    return Ok(Err(Error::codec("vlen", message)));
                }
                Err(raised) => return Err(raised),
            }
        }
        Ok(Ok(joined.finish()))
    }
}

/// Add an object of the right kind. Return `None` if it is of another.
fn push(joined: &mut Joined, item: &Bound<'_, PyAny>, kind: Kind) -> Option<PyResult<Result<()>>> {
    Some(match kind {
        Kind::Text => match item.cast::<PyString>().ok()?.to_str() {
            Ok(text) => Ok(joined.push(text.as_bytes())),
            Err(raised) => Err(raised),
        },
        Kind::Bytes => Ok(joined.push(item.cast::<PyBytes>().ok()?.as_bytes())),
    })
}

/// The size of an element of `StringDType`, which is part of NumPy's binary interface.
const PACKED: usize = 2 * size_of::<usize>();

/// NumPy's `npy_static_string`.
#[repr(C)]
struct Static {
    size: usize,
    start: *const c_char,
}

type Acquire = unsafe extern "C" fn(*const c_void) -> *mut c_void;
type Release = unsafe extern "C" fn(*mut c_void);
type Load = unsafe extern "C" fn(*mut c_void, *const c_void, *mut Static) -> c_int;
type Pack = unsafe extern "C" fn(*mut c_void, *mut c_void, *const c_char, usize) -> c_int;

/// NumPy's functions for `StringDType`, and the data type of one array.
#[derive(Clone, Copy)]
struct Strings {
    dtype: *const c_void,
    acquire: Acquire,
    release: Release,
    load: Load,
    pack: Pack,
}

// SAFETY: the data type is kept alive by its array; the functions may be called from any thread.
unsafe impl Send for Strings {}
// SAFETY: as above; what is shared are addresses.
unsafe impl Sync for Strings {}

impl Strings {
    fn of(py: Python<'_>, dtype: *mut PyArray_Descr) -> PyResult<Strings> {
        let table = table(py)?;
        // SAFETY: since NumPy 2.0, these functions are at these places of its table.
        unsafe {
            Ok(Strings {
                dtype: dtype.cast_const().cast(),
                load: std::mem::transmute::<*const c_void, Load>(*table.add(313)),
                pack: std::mem::transmute::<*const c_void, Pack>(*table.add(314)),
                acquire: std::mem::transmute::<*const c_void, Acquire>(*table.add(316)),
                release: std::mem::transmute::<*const c_void, Release>(*table.add(318)),
            })
        }
    }

    fn lock(self) -> Locked {
        Locked {
            // SAFETY: the data type is that of an array of text which is alive.
            allocator: unsafe { (self.acquire)(self.dtype) },
            release: self.release,
        }
    }
}

/// The allocator of an array of text, locked as long as this lives.
struct Locked {
    allocator: *mut c_void,
    release: Release,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: it was acquired, and is released once.
        unsafe { (self.release)(self.allocator) }
    }
}

/// Return the table of NumPy's functions.
fn table(py: Python<'_>) -> PyResult<*const *const c_void> {
    static CAPSULE: PyOnceLock<Py<PyCapsule>> = PyOnceLock::new();
    let capsule = CAPSULE.get_or_try_init(py, || {
        if !is_numpy_2(py) {
            return Err(PyImportError::new_err("NumPy 2 or later is required"));
        }
        let module = py.import("numpy._core.multiarray")?;
        let capsule = module.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
        PyResult::Ok(capsule.unbind())
    })?;
    let table = capsule.bind(py).pointer_checked(None)?;
    Ok(table.as_ptr().cast_const().cast())
}
