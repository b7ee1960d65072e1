"""Hypothesis strategies for several test files: shapes, chunks, selections, codec chains."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.grids.base import Grid
from fastzarr.grids.rectilinear import RectilinearGrid, Runs
from fastzarr.grids.regular import RegularGrid
from fastzarr.stores import MemoryStore, Store

MAX_SIZE = 9


def shapes(*, min_dims: int = 0, max_dims: int = 3, min_size: int = 0) -> st.SearchStrategy[Any]:
    """Draw a shape, possibly with empty axes, depending on ``min_size``."""
    return st.lists(st.integers(min_size, MAX_SIZE), min_size=min_dims, max_size=max_dims).map(
        tuple
    )


def chunks(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Draw a chunk shape for an array, sometimes larger than the array."""
    return st.tuples(*[st.integers(1, size + 2) for size in shape])


class Uneven(Grid):
    """A grid whose chunks have the given sizes along each axis."""

    def __init__(self, sizes: tuple[tuple[int, ...], ...]) -> None:
        self.sizes = sizes
        self.edges = [np.array([0, *itertools.accumulate(axis)]) for axis in sizes]
        self.steps = (None,) * len(sizes)

    def locate(self, axis: int, position: Any) -> Any:
        found = np.searchsorted(self.edges[axis], position, side="right") - 1
        return found if isinstance(position, np.ndarray) else int(found)

    def start(self, axis: int, chunk: Any) -> Any:
        found = self.edges[axis][chunk]
        return found if isinstance(chunk, np.ndarray) else int(found)

    def size(self, axis: int, chunk: Any) -> Any:
        return self.start(axis, chunk + 1) - self.start(axis, chunk)

    def __repr__(self) -> str:
        return f"Uneven({self.sizes})"


@st.composite
def uneven_grids(draw: Any, shape: tuple[int, ...]) -> Uneven:
    """Draw a grid of chunks of any sizes, the last of which may reach beyond the shape."""
    axes = []
    for size in shape:
        axis: list[int] = []
        while sum(axis) < max(size, 1):
            axis.append(draw(st.integers(1, size + 2)))
        axes.append(tuple(axis))
    return Uneven(tuple(axes))


@st.composite
def rectilinear_grids(draw: Any, shape: tuple[int, ...]) -> RectilinearGrid:
    """Draw a grid of runs of chunks, or of equal ones along some axes; it may have too many."""
    axes: list[int | Runs] = []
    for size in shape:
        if draw(st.booleans()):
            axes.append(draw(st.integers(1, size + 2)))
            continue
        pairs: list[tuple[int, int]] = []
        while sum(length * count for length, count in pairs) < max(size, 1) or draw(st.booleans()):
            pairs.append((draw(st.integers(1, size + 2)), draw(st.integers(1, 3))))
        axes.append(Runs.of(pairs))
    return RectilinearGrid(tuple(axes))


def grids(shape: tuple[int, ...]) -> st.SearchStrategy[Grid]:
    """Draw a regular, a rectilinear or another uneven grid for a shape."""
    return chunks(shape).map(RegularGrid) | rectilinear_grids(shape) | uneven_grids(shape)


def slices(size: int) -> st.SearchStrategy[slice]:
    """Draw any slice: both signs of the step, bounds inside and outside the axis, or missing."""
    bound = st.none() | st.integers(-size - 2, size + 2)
    return st.builds(slice, bound, bound, st.none() | st.sampled_from([1, 2, 3, 7, -1, -2, -3, -7]))


@st.composite
def basic(draw: Any, shape: tuple[int, ...]) -> Any:
    """Draw integers and slices, with an ellipsis, new axes, and missing axes."""
    items: list[Any] = []
    for size in shape:
        kinds = [slices(size)]
        if size:
            kinds.append(st.integers(-size, size - 1))
            kinds.append(st.integers(-size, size - 1).map(np.int64))
        items.append(draw(st.one_of(kinds)))
    if draw(st.booleans()):
        start = draw(st.integers(0, len(items)))
        stop = draw(st.integers(start, len(items)))
        items[start:stop] = [Ellipsis]
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


def index_arrays(size: int, *, max_count: int = 8) -> st.SearchStrategy[Any]:
    """Draw integers of an axis, unsorted, repeated and negative, or a boolean array of its size."""
    flags = st.lists(st.booleans(), min_size=size, max_size=size).map(lambda v: np.array(v, bool))
    if not size:
        return flags
    numbers = st.lists(st.integers(-size, size - 1), max_size=max_count)
    return numbers.map(lambda v: np.array(v, np.int64)) | flags


@st.composite
def orthogonal(draw: Any, shape: tuple[int, ...]) -> Any:
    """Draw an index for ``oindex``: one integer, slice or array for each axis."""
    items: list[Any] = []
    for size in shape:
        kinds = [slices(size), index_arrays(size)]
        if size:
            kinds.append(st.integers(-size, size - 1))
        items.append(draw(st.one_of(kinds)))
    return tuple(items)


def orthogonal_numpy(array: Any, index: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the NumPy index of an orthogonal selection, and the shape of the result."""
    arrays, shape = [], []
    for item, size in zip(index, array.shape, strict=True):
        every = np.arange(size)
        chosen = every[item]
        arrays.append(np.atleast_1d(chosen))
        shape += [] if np.ndim(chosen) == 0 else [chosen.size]
    return np.ix_(*arrays) if arrays else (), tuple(shape)


@st.composite
def coordinates(draw: Any, shape: tuple[int, ...]) -> Any:
    """Draw an index for ``vindex``: arrays that broadcast together, with integers and slices."""
    common = draw(st.sampled_from([(), (1,), (3,), (2, 3), (0,)]))
    items: list[Any] = []
    for size in shape:
        if not size:
            items.append(draw(slices(size)))
            continue
        kind = draw(st.sampled_from(["array", "array", "integer", "slice"]))
        if kind == "slice":
            items.append(draw(slices(size)))
        elif kind == "integer":
            items.append(draw(st.integers(-size, size - 1)))
        else:
            form = draw(st.sampled_from([common, common[1:], tuple(1 for _ in common)]))
            count = math.prod(form)
            values = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
            items.append(np.array(values, np.int64).reshape(form))
    return tuple(items)


class Case(NamedTuple):
    """The arguments that create an array."""

    shape: tuple[int, ...]
    options: dict[str, Any]


_COMPRESSORS: list[Any] = [
    None,
    [{"name": "gzip", "configuration": {"level": 1}}],
    [{"name": "zstd", "configuration": {"level": 1}}],
    [{"name": "blosc", "configuration": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"}}],
    [{"name": "crc32c"}],
    [{"name": "zstd", "configuration": {"level": 1}}, {"name": "crc32c"}],
]
DTYPES = [
    "bool",
    "int8",
    "uint16",
    "int64",
    "float32",
    "float64",
    "complex64",
    "M8[ms]",
    "S3",
    "U2",
]


@st.composite
def cases(draw: Any, *, dtypes: list[str] = DTYPES) -> Case:
    """Draw the arguments of an array: shape, dtype, chunks, shards, order, codecs, format."""
    shape = draw(shapes())
    options: dict[str, Any] = {
        "dtype": draw(st.sampled_from(dtypes)),
        "chunks": draw(chunks(shape)),
    }
    if draw(st.booleans()):
        options["zarr_format"] = 2
        options["order"] = draw(st.sampled_from("CF"))
        options["compressor"] = draw(
            st.sampled_from([None, {"id": "zlib", "level": 1}, {"id": "blosc", "cname": "zstd"}])
        )
        if np.dtype(options["dtype"]).kind in "iu" and draw(st.booleans()):
            options["filters"] = [{"id": "delta", "dtype": np.dtype(options["dtype"]).str}]
        options["dimension_separator"] = draw(st.sampled_from("./"))
    else:
        options["zarr_format"] = 3
        options["compressors"] = draw(st.sampled_from(_COMPRESSORS))
        if shape and draw(st.booleans()):
            options["filters"] = [
                {
                    "name": "transpose",
                    "configuration": {"order": draw(st.permutations(range(len(shape))))},
                }
            ]
        if shape and draw(st.booleans()):
            options["shards"] = tuple(c * draw(st.integers(1, 3)) for c in options["chunks"])
    return Case(shape, options)


def written_alike(data: st.DataObject, store: Store) -> None:
    """Check that writes with any settings leave in a store what they leave in one in memory."""
    shape = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 12)), label="shape")
    options: dict[str, Any] = {"shape": shape, "dtype": "i4", "fill_value": 3, "chunks": (2, 3)}
    if data.draw(st.booleans(), label="shards"):
        options["shards"] = (8, 6)
    arrays = [zarr.create_array(one, **options) for one in (MemoryStore(), store)]
    settings = {
        "fetch.concurrency": data.draw(st.integers(1, 9), label="concurrency"),
        "fetch.bytes": data.draw(st.sampled_from([1, 300, 1 << 20]), label="bytes"),
        "threading.max_workers": data.draw(st.sampled_from([1, 3]), label="threads"),
    }
    for _ in range(data.draw(st.integers(1, 3), label="writes")):
        step = data.draw(st.sampled_from([1, 2, -3]), label="step")
        column = data.draw(st.integers(0, shape[1] - 1), label="column")
        value = data.draw(st.sampled_from([3, 8]), label="value")
        with zarr.config.set(settings):
            for array in arrays:
                array[::step, column:] = value
    stored = [dict(array.store) for array in arrays]
    assert stored[0] == stored[1]
