//! The native core as Python sees it.
//!
//! * Only this file and those in `python/` know Python. What they call knows neither the
//!   interpreter nor its lock.
//! * The lock is released for a whole call. It is taken briefly for each request to a store of
//!   Python's, and regularly to check for signals such as Ctrl-C.
//! * A failure is returned as data: the chunk, the stage, the kind, the message. Python words it.
//! * Arguments are those of the twin in Python; its callers check them, and here they are asserted.

mod archive;
mod calls;
mod elements;
#[cfg(unix)]
mod files;
mod found;
mod lent;
mod names;
mod objects;
mod raised;
mod receiver;
mod stored;
mod together;
mod views;
mod watch;

use std::alloc::System;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyDict, PyList, PyTuple};
use pyo3::PyTypeInfo;

use self::raised::{guarded, raising};
use self::stored::{stored, Stored};
use self::watch::Watch;
use crate::codecs::{ByteCodec, TypedCodec};
use crate::copy::{Shared, Source};
use crate::ending;
use crate::error::Kind;
use crate::job::{Failure, Job, ReadInto, WriteFrom};
use crate::memory::{self, Reserve};
use crate::plan::{Out, Part, Plan};
use crate::pool::Tasks;
use crate::program::{Block, Chain, Chunk, Frame, Program, Shard};

#[global_allocator]
static ALLOCATOR: Reserve<System> = Reserve(System);

/// The codecs of one array, compiled from the description that `describe` makes in Python.
#[pyclass(frozen, name = "Program", module = "fastzarr._native")]
struct PyProgram {
    program: Program,
}

#[pymethods]
impl PyProgram {
    #[new]
    fn new(description: &Bound<'_, PyDict>) -> PyResult<PyProgram> {
        let program = guarded(description.py(), || make_program(description))?;
        Ok(PyProgram { program })
    }
}

fn member<'py>(dict: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    dict.get_item(name)?
        .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
}

fn make_program(dict: &Bound<'_, PyDict>) -> PyResult<Program> {
    let item: usize = member(dict, "item")?.extract()?;
    let shape: Vec<usize> = member(dict, "shape")?.extract()?;
    let typed = codecs(dict, "typed", TypedCodec::make)?;
    let codecs = codecs(dict, "codecs", ByteCodec::make)?;
    let nested = member(dict, "shard")?;
    let shard = if nested.is_none() {
        None
    } else {
        Some(Box::new(make_shard(nested.cast::<PyDict>()?)?))
    };
    let fill: Vec<u8> = member(dict, "fill")?.extract()?;
    let chain = Chain::new(fill, member(dict, "sparse")?.extract()?, typed, codecs);
    if item == 0 || chain.item != item {
        return Err(PyValueError::new_err("the program is inconsistent"));
    }
    let order: Vec<usize> = member(dict, "order")?.extract()?;
    let block = Block::new(shape, order, item).ok_or_else(|| {
        PyValueError::new_err("the chunk is larger than the address space, or its axes do not fit")
    })?;
    let chain = Arc::new(chain);
    let chunk = Chunk { chain, block };
    Ok(Program { chunk, shard })
}

fn make_shard(dict: &Bound<'_, PyDict>) -> PyResult<Shard> {
    let shape: Vec<usize> = member(dict, "shape")?.extract()?;
    let inner_shape: Vec<usize> = member(dict, "inner_shape")?.extract()?;
    if inner_shape.len() != shape.len() || inner_shape.contains(&0) {
        return Err(PyValueError::new_err(
            "the inner chunks do not fit into the shard",
        ));
    }
    Ok(Shard {
        inner: Arc::new(make_program(member(dict, "inner")?.cast::<PyDict>()?)?),
        grid: shape
            .iter()
            .zip(&inner_shape)
            .map(|(n, c)| n.div_ceil(*c))
            .collect(),
        shape,
        inner_shape,
        axes: member(dict, "axes")?.extract()?,
        index: make_program(member(dict, "index")?.cast::<PyDict>()?)?.chunk,
        index_size: member(dict, "index_size")?.extract()?,
        at_start: member(dict, "at_start")?.extract()?,
    })
}

/// Return the codecs of a list, each described by a name, numbers and a word.
fn codecs<T>(
    dict: &Bound<'_, PyDict>,
    list: &str,
    make: impl Fn(&str, &[i64], &str) -> Option<T>,
) -> PyResult<Vec<T>> {
    let mut made = Vec::new();
    for described in member(dict, list)?.cast::<PyList>()? {
        let described = described.cast::<PyTuple>()?;
        let name: String = described.get_item(0)?.extract()?;
        let numbers: Vec<i64> = described.get_item(1)?.extract()?;
        let word: String = described.get_item(2)?.extract()?;
        let codec = make(&name, &numbers, &word)
            .ok_or_else(|| PyValueError::new_err(format!("codec {name:?} is unknown")))?;
        made.push(codec);
    }
    Ok(made)
}

/// Return the plan that Python has made.
fn make_plan(given: &Bound<'_, PyAny>) -> PyResult<Plan> {
    let py = given.py();
    let mut parts = Vec::new();
    for part in given.getattr(intern!(py, "parts"))?.cast::<PyTuple>()? {
        let fields = part.cast::<PyTuple>()?;
        // A span has one axis, points have a tuple of them.
        let first = fields.get_item(0)?;
        parts.push(if first.cast::<PyTuple>().is_err() {
            Part::Span {
                axis: first.extract()?,
                step: fields.get_item(1)?.extract()?,
                chunk: list(&fields.get_item(2)?)?,
                start: list(&fields.get_item(3)?)?,
                size: list(&fields.get_item(4)?)?,
                out: list(&fields.get_item(5)?)?,
                extent: list(&fields.get_item(6)?)?,
                full: unless_none(&fields.get_item(7)?, list)?,
            }
        } else {
            let out = fields.get_item(4)?;
            Part::Points {
                axes: first.extract()?,
                chunk: fields.get_item(1)?.extract()?,
                bounds: list(&fields.get_item(2)?)?,
                inner: rows(&fields.get_item(3)?)?,
                out: if out.is_none() {
                    Out::From(0)
                } else {
                    Out::At(integers(&out)?.into())
                },
                extent: rows(&fields.get_item(5)?)?,
                whole: list(&fields.get_item(6)?)?,
                full: unless_none(&fields.get_item(7)?, rows)?,
            }
        });
    }
    Ok(Plan::new(
        parts,
        given.getattr(intern!(py, "ndim"))?.extract()?,
    ))
}

/// Return what a function makes of a value, or `None` for Python's None.
fn unless_none<'py, T>(
    given: &Bound<'py, PyAny>,
    make: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    (!given.is_none()).then(|| make(given)).transpose()
}

/// Return the items of a list. Reading it as any sequence would take three times as long.
fn list<'py, T: FromPyObjectOwned<'py, Error = PyErr>>(
    given: &Bound<'py, PyAny>,
) -> PyResult<Vec<T>> {
    let given = given.cast::<PyList>()?;
    let mut items = memory::with_room(given.len(), "plan").map_err(raising)?;
    for item in given.iter() {
        memory::push(&mut items, item.extract()?, "plan").map_err(raising)?;
    }
    Ok(items)
}

/// Return one row of integers for each array of a tuple.
fn rows(given: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<i64>>> {
    let arrays = given.cast::<PyTuple>()?;
    arrays.iter().map(|array| integers(&array)).collect()
}

fn integers(array: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    let array: numpy::PyReadonlyArray1<'_, i64> = array.extract()?;
    memory::collected(array.as_array().iter().copied(), "plan").map_err(raising)
}

/// The memory of a NumPy array: its start, its length, the offset of the first element.
struct Memory {
    start: *mut u8,
    len: usize,
    first: usize,
    strides: Vec<isize>,
}

impl Memory {
    fn of(array: &Bound<'_, PyUntypedArray>, item: usize) -> PyResult<Memory> {
        if array.dtype().itemsize() != item {
            return Err(PyValueError::new_err(
                "the item size of the array is not that of the program",
            ));
        }
        #[allow(clippy::disallowed_methods)] // One number for each axis.
        let strides = array.strides().to_vec();
        let (before, len) = crate::copy::span_of(item, array.shape(), &strides)
            .map_err(|error| PyValueError::new_err(error.message))?;
        // SAFETY: the array is alive, and its object is one of NumPy's.
        let data = unsafe { (*array.as_array_ptr()).fields.data }.cast::<u8>();
        Ok(Memory {
            start: data.wrapping_sub(before),
            len,
            first: before,
            strides,
        })
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            offset: self.first as isize,
            strides: &self.strides,
        }
    }
}

/// A failure as Python takes it: chunk, stage, kind, message, error number, exception.
type Described<'py> = (
    Bound<'py, PyTuple>,
    &'static str,
    &'static str,
    String,
    Option<i32>,
    Option<PyErr>,
);

/// Return the description of a failure. `raised` is the exception of a store.
fn described(py: Python<'_>, failure: Failure, raised: Option<PyErr>) -> PyResult<Described<'_>> {
    let Failure { chunk, error } = failure;
    let (kind, errno) = match error.kind {
        Kind::Codec => ("codec", None),
        Kind::Io(errno) => ("io", Some(errno)),
        Kind::Memory => ("memory", None),
        Kind::Missing => ("missing", None),
        Kind::Foreign | Kind::Interrupted => ("foreign", None),
    };
    let chunk = PyTuple::new(py, chunk)?;
    Ok((chunk, error.stage, kind, error.message, errno, raised))
}

/// Read all chunks of a plan into `out`, which has the plan's work shape.
#[pyfunction]
fn read<'py>(
    py: Python<'py>,
    program: &Bound<'py, PyAny>,
    plan: &Bound<'py, PyAny>,
    chunks: &Bound<'py, PyAny>,
    out: &Bound<'py, PyUntypedArray>,
    job: &Bound<'py, PyAny>,
) -> PyResult<Option<Described<'py>>> {
    guarded(py, || {
        let compiled: Py<PyProgram> = program.getattr(intern!(py, "native"))?.extract()?;
        let compiled = compiled.get();
        let plan = make_plan(plan)?;
        // It is dropped after all that may run code of Python's.
        let _counted;
        let watch = Watch::of(job)?;
        let stored = stored(chunks, job, watch.caller, false)?;
        _counted = watch.begin(&stored)?;
        let memory = Memory::of(out, compiled.program.chunk.chain.item)?;
        let poll = || watch.poll(&stored);
        let job = Job {
            missing: job.getattr(intern!(py, "missing"))?.extract()?,
            store_empty: false,
            threads: job.getattr(intern!(py, "threads"))?.extract()?,
            least: LEAST,
            tasks: tasks(&compiled.program),
            poll: &poll,
        };
        let into = ReadInto {
            // SAFETY: the array outlives the call, its memory is not Rust's, and the pieces of a plan
            // do not overlap.
            memory: unsafe { Shared::new(memory.start, memory.len) },
            frame: memory.frame(),
        };
        let run = crate::read::Run {
            program: &compiled.program,
            plan: &plan,
            objects: stored.objects(),
            into,
            job,
        };
        let found = py.detach(|| run.read());
        if stored.missed() {
            // A new object each time, so that no two calls are confused.
            chunks.setattr(intern!(py, "missed"), PyList::empty(py))?;
        }
        finish(py, found, &stored, watch)
    })
}

/// Write `value`, which has the plan's work shape, to all chunks of a plan.
#[pyfunction]
fn write<'py>(
    py: Python<'py>,
    program: &Bound<'py, PyAny>,
    plan: &Bound<'py, PyAny>,
    chunks: &Bound<'py, PyAny>,
    value: &Bound<'py, PyUntypedArray>,
    job: &Bound<'py, PyAny>,
) -> PyResult<Option<Described<'py>>> {
    guarded(py, || {
        let compiled: Py<PyProgram> = program.getattr(intern!(py, "native"))?.extract()?;
        let compiled = compiled.get();
        let plan = make_plan(plan)?;
        // It is dropped after all that may run code of Python's.
        let _counted;
        let watch = Watch::of(job)?;
        let stored = stored(chunks, job, watch.caller, true)?;
        _counted = watch.begin(&stored)?;
        let memory = Memory::of(value, compiled.program.chunk.chain.item)?;
        let poll = || watch.poll(&stored);
        let job = Job {
            missing: true,
            store_empty: job.getattr(intern!(py, "store_empty"))?.extract()?,
            threads: job.getattr(intern!(py, "threads"))?.extract()?,
            least: LEAST,
            tasks: tasks(&compiled.program),
            poll: &poll,
        };
        let from = WriteFrom {
            // SAFETY: the array outlives the call, and nobody may write to it meanwhile.
            memory: unsafe { Source::new(memory.start, memory.len) },
            frame: memory.frame(),
        };
        let run = crate::write::Run {
            program: &compiled.program,
            plan: &plan,
            objects: stored.objects(),
            from,
            job,
        };
        let found = py.detach(|| run.write());
        finish(py, found, &stored, watch)
    })
}

/// The fewest bytes of a chunk that are worth a thread of their own.
const LEAST: usize = 1 << 18;
/// Chunks of more bytes may take so long that the caller's thread only polls for Ctrl-C.
const LONG: usize = 8 << 20;

fn tasks(program: &Program) -> Tasks {
    let taken = program.shard.as_ref().map_or(program, |shard| &shard.inner);
    if taken.chunk.block.nbytes > LONG {
        Tasks::Long
    } else {
        Tasks::Brief
    }
}

fn finish<'py>(
    py: Python<'py>,
    found: std::result::Result<bool, Failure>,
    stored: &Stored,
    watch: Watch,
) -> PyResult<Option<Described<'py>>> {
    if let Some(raised) = watch.raised().or_else(|| stored.ended(py)) {
        return Err(raised);
    }
    match found {
        Ok(_) => Ok(None),
        Err(failure) => described(py, failure, stored.raised()).map(Some),
    }
}

/// End the threads of the pool. The next call starts new ones.
#[pyfunction]
fn shutdown() {
    crate::pool::shutdown();
}

/// Refuse the calls of all threads but this one that may run code of Python's, or all but those that are
/// `awaited`, because the interpreter ends. Wait some seconds until there are none under way, and return
/// their number.
#[pyfunction]
fn refuse(py: Python<'_>, awaited: bool, seconds: f64) -> PyResult<u32> {
    ending::refuse(awaited);
    let end = Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or_default();
    while ending::under_way() > 0 && Instant::now() < end {
        py.detach(|| thread::sleep(Duration::from_millis(1)));
        py.check_signals()?;
    }
    Ok(ending::under_way())
}

/// The hot loop of fastzarr.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::pool::prepare();
    // NumPy's functions are looked up now: an interrupt of their look-up would be a panic.
    PyUntypedArray::type_object(module.py());
    module.add_class::<PyProgram>()?;
    module.add_class::<archive::Member>()?;
    module.add_class::<receiver::PyReceiver>()?;
    module.add_class::<lent::Lent>()?;
    module.add_function(wrap_pyfunction!(archive::crc32, module)?)?;
    module.add_function(wrap_pyfunction!(archive::zip_directory, module)?)?;
    module.add_function(wrap_pyfunction!(archive::zip_places, module)?)?;
    module.add_function(wrap_pyfunction!(names::sorted_keys, module)?)?;
    module.add_function(wrap_pyfunction!(read, module)?)?;
    module.add_function(wrap_pyfunction!(write, module)?)?;
    module.add_function(wrap_pyfunction!(elements::vlen_decode, module)?)?;
    module.add_function(wrap_pyfunction!(elements::vlen_encode, module)?)?;
    module.add_function(wrap_pyfunction!(shutdown, module)?)?;
    module.add_function(wrap_pyfunction!(refuse, module)?)?;
    #[cfg(unix)]
    module.add_function(wrap_pyfunction!(files::first_values, module)?)?;
    #[cfg(unix)]
    module.add_function(wrap_pyfunction!(files::is_real, module)?)?;
    #[cfg(unix)]
    module.add_function(wrap_pyfunction!(files::is_unmarked, module)?)?;
    #[cfg(unix)]
    module.add_function(wrap_pyfunction!(files::scan, module)?)?;
    #[cfg(unix)]
    module.add_function(wrap_pyfunction!(files::sync, module)?)?;
    module.add("HAS_FILES", cfg!(unix))?;
    Ok(())
}
