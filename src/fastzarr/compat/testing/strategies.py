"""Strategies of hypothesis for names, arrays, chunks and selections, under zarr-python's names.

Rules of this file:

* Nothing is drawn that the formats do not allow: names of nodes, shapes of chunks, text.
* Strategies shrink towards few and simple things: short names, few chunks, no attributes.
"""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
from hypothesis import event

from fastzarr.compat.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from fastzarr.compat.core.sync import sync
from fastzarr.compat.storage import MemoryStore
from fastzarr.compat.storage._utils import _join_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_attribute_names = st.text(min_size=1)
_attribute_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inside: st.lists(inside) | st.dictionaries(_attribute_names, inside),
    max_leaves=3,
)

# Names and paths

zarr_key_chars = st.sampled_from(
    ".-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
)


def _is_name(text: str) -> bool:
    """Whether a node may have a name."""
    return bool(text.strip(".")) and not text.startswith("__") and text.lower() != "zarr.json"


node_names = st.text(zarr_key_chars, min_size=1).filter(_is_name)
short_node_names = st.text(zarr_key_chars, min_size=1, max_size=3).filter(_is_name)
array_names = node_names


@st.composite
def keys(draw: st.DrawFn, *, max_num_nodes: int | None = None) -> str:
    """Draw a key of names of nodes."""
    return "/".join(draw(st.lists(node_names, min_size=1, max_size=max_num_nodes)))


@st.composite
def paths(draw: st.DrawFn, *, max_num_nodes: int | None = None) -> str:
    """Draw a path of a node, which may be the root."""
    return draw(st.just("/") | keys(max_num_nodes=max_num_nodes))


# Stores and settings


def clear_store(x: Store) -> Store:
    """Return a store without its keys."""
    sync(x.clear())
    return x


attrs: st.SearchStrategy[Mapping[str, Any] | None]
attrs = st.none() | st.dictionaries(_attribute_names, _attribute_values)
# The strategy makes one store, which is used again.
stores: st.SearchStrategy[Store] = st.builds(MemoryStore, st.just({})).map(clear_store)
compressors = st.sampled_from([None, "default"])
zarr_formats = st.sampled_from([3, 2])


# Values


def dtypes() -> st.SearchStrategy[np.dtype[Any]]:
    """Return a strategy for the data types of NumPy."""
    kinds: list[Any] = [
        npst.integer_dtypes,
        npst.unsigned_integer_dtypes,
        npst.floating_dtypes,
        npst.complex_number_dtypes,
        npst.byte_string_dtypes,
        npst.unicode_string_dtypes,
        npst.datetime64_dtypes,
        npst.timedelta64_dtypes,
    ]
    return st.one_of(npst.boolean_dtypes(), *(kind(endianness="=") for kind in kinds))


v2_dtypes = v3_dtypes = dtypes


def safe_unicode_for_dtype(dtype: np.dtype[Any]) -> st.SearchStrategy[str]:
    """Return a strategy for text of a data type that has an encoding in UTF-8."""
    letters = st.characters(exclude_categories=["Cs"], min_codepoint=32)
    return st.text(letters, min_size=1, max_size=max(1, dtype.itemsize // 4))


array_shapes = npst.array_shapes(max_dims=4, min_side=3, max_side=5) | npst.array_shapes(
    max_dims=4, min_side=0
)


@st.composite
def numpy_arrays(
    draw: st.DrawFn,
    *,
    shapes: st.SearchStrategy[tuple[int, ...]] = array_shapes,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Draw an array of NumPy that either format can store."""
    kind: Any = draw(dtypes()) if dtype is None else dtype
    elements = safe_unicode_for_dtype(kind) if kind.kind == "U" else None
    return draw(npst.arrays(kind, shapes, elements=elements))


@st.composite
def dimension_names(draw: st.DrawFn, *, ndim: int | None = None) -> list[str | None] | None:
    """Draw the names of the dimensions of an array, or None."""
    names = st.lists(st.none() | st.text(zarr_key_chars), min_size=ndim or 0, max_size=ndim)
    return draw(st.none() | names)


# Chunks


@st.composite
def chunk_shapes(draw: st.DrawFn, *, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Draw the shape of the chunks of an array."""
    counts = [draw(st.integers(min(size, 1), max(size, 1))) for size in shape]
    chunks = tuple(
        max(1, size // count) if count else 1 for size, count in zip(shape, counts, strict=True)
    )
    for chunk in chunks:
        event("chunk size", chunk)
    if any(size % chunk for size, chunk in zip(shape, chunks, strict=True)):
        event("smaller last chunk")
    return chunks


@st.composite
def _rectilinear_chunks(draw: st.DrawFn, *, shape: tuple[int, ...]) -> list[int | list[int]]:
    """Draw chunks: along each axis the size of every chunk, or a list of the sizes of all."""
    chunks: list[int | list[int]] = []
    for extent in shape:
        if extent < 2 or draw(st.booleans()):
            chunks.append(draw(st.integers(1, max(extent, 1))))
        else:
            ends = [*sorted(draw(st.sets(st.integers(1, extent - 1), max_size=4))), extent]
            chunks.append([end - start for start, end in zip([0, *ends], ends, strict=False)])
    return chunks


@st.composite
def shard_shapes(
    draw: st.DrawFn, *, shape: tuple[int, ...], chunk_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Draw the shape of shards of whole chunks."""
    return tuple(
        chunk * draw(st.integers(1, size // chunk))
        for size, chunk in zip(shape, chunk_shape, strict=True)
    )


@st.composite
def np_array_and_chunks(
    draw: st.DrawFn,
    *,
    arrays: st.SearchStrategy[np.ndarray[Any, Any]] = numpy_arrays(),  # noqa: B008  (signature)
) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    """Draw an array of NumPy, and the shape of chunks for it."""
    array = draw(arrays)
    return array, draw(chunk_shapes(shape=array.shape))


@st.composite
def chunk_paths(draw: st.DrawFn, ndim: int, numblocks: tuple[int, ...], subset: bool = True) -> str:
    """Draw the coordinates of a chunk, or with ``subset`` the first of them, as a path."""
    at = [draw(st.integers(0, max(0, count - 1))) for count in numblocks]
    last = draw(st.integers(0, ndim)) if subset else None
    return "/".join(map(str, at[:last]))


# Selections


def is_negative_slice(idx: Any) -> bool:
    """Whether an index is a slice that runs backwards."""
    return isinstance(idx, slice) and idx.step is not None and idx.step < 0


@st.composite
def end_slices(draw: st.DrawFn, *, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Draw slices at the end of each axis, where chunks may be smaller."""
    starts = [draw(st.integers(size // 2, size - 1)) for size in shape]
    return tuple(
        slice(start, start + draw(st.integers(0, size - start)))
        for size, start in zip(shape, starts, strict=True)
    )


@st.composite
def basic_indices(
    draw: st.DrawFn,
    *,
    shape: tuple[int, ...],
    min_dims: int = 0,
    max_dims: int | None = None,
    allow_newaxis: bool = False,
    allow_ellipsis: bool = True,
) -> Any:
    """Draw a basic index without slices that run backwards."""
    strategy: Any = npst.basic_indices
    found: st.SearchStrategy[Any] = strategy(
        shape,
        min_dims=min_dims,
        max_dims=max_dims,
        allow_newaxis=allow_newaxis,
        allow_ellipsis=allow_ellipsis,
    ).filter(lambda index: not any(map(is_negative_slice, _as_tuple(index))))
    if math.prod(shape) >= 3:
        found = end_slices(shape=shape) | found
    return draw(found)


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


@st.composite
def orthogonal_indices(
    draw: st.DrawFn, *, shape: tuple[int, ...]
) -> tuple[tuple[Any, ...], tuple[np.ndarray[Any, Any], ...]]:
    """Draw an index of each axis, and the arrays by which NumPy selects the same elements."""
    chosen: list[Any] = []
    points: list[np.ndarray[Any, Any]] = []
    for size in shape:
        one: st.SearchStrategy[Any] = basic_indices(min_dims=1, shape=(size,), allow_ellipsis=False)
        if size:
            lists = npst.integer_array_indices(
                (size,), result_shape=npst.array_shapes(min_side=1, max_side=size, max_dims=1)
            )
            one = lists | one | st.integers(-size, size - 1)
        (index,) = draw(one.map(_as_tuple).filter(bool))
        chosen.append(index)
        if isinstance(index, slice):
            points.append(np.arange(*index.indices(size)))
        else:
            points.append(np.array(index))
    lengths = itertools.count()
    kept = sum(point.ndim for point in points)
    shaped = [
        point.reshape([-1 if axis == at else 1 for axis in range(kept)]) if point.ndim else point
        for point, at in ((one, next(lengths) if one.ndim else 0) for one in points)
    ]
    return tuple(chosen), tuple(np.broadcast_arrays(*shaped))


def key_ranges(
    keys: st.SearchStrategy[str] = node_names, max_size: int = sys.maxsize
) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Return a strategy for requests of values and of parts of them, in or behind the values."""
    number = st.integers(0, max_size)

    def between(start: int, length: int) -> RangeByteRequest:
        return RangeByteRequest(start, min(start + length, max_size))

    part: st.SearchStrategy[Any] = st.one_of(
        st.none(),
        st.builds(between, number, number),
        st.builds(OffsetByteRequest, number),
        st.builds(SuffixByteRequest, number),
    )
    return st.lists(st.tuples(keys, part), min_size=1, max_size=10)


# Arrays in stores


@st.composite
def arrays(  # noqa: PLR0913  (signature of zarr-python)
    draw: st.DrawFn,
    /,
    *,
    shapes: st.SearchStrategy[tuple[int, ...]] = array_shapes,
    compressors: st.SearchStrategy[Any] = compressors,
    stores: st.SearchStrategy[Any] = stores,
    paths: st.SearchStrategy[str] = paths(),  # noqa: B008  (signature)
    array_names: st.SearchStrategy[str] = array_names,
    arrays: st.SearchStrategy[np.ndarray[Any, Any]] | None = None,
    attrs: st.SearchStrategy[Any] = attrs,
    zarr_formats: st.SearchStrategy[Any] = zarr_formats,
    open_mode: Any = "w",
    **unused: Any,
) -> Any:
    """Draw an array in a store, with its elements."""
    from fastzarr.compat.api.synchronous import open_group

    del compressors, unused
    store = draw(stores, label="store")
    path = draw(paths, label="array parent")
    name = draw(array_names, label="array name")
    attributes = draw(attrs, label="attributes")
    zarr_format = draw(zarr_formats, label="zarr format")
    data = draw(numpy_arrays(shapes=shapes) if arrays is None else arrays, label="array data")
    chunks = draw(chunk_shapes(shape=data.shape), label="chunk shape")
    shards = names = None
    if zarr_format == 3:
        names = draw(dimension_names(ndim=data.ndim), label="dimension names")
        if all(size >= chunk for size, chunk in zip(data.shape, chunks, strict=True)):
            shards = draw(
                st.none() | shard_shapes(shape=data.shape, chunk_shape=chunks), label="shard shape"
            )
    full = _join_paths([path, name])
    root = open_group(store, mode=open_mode, zarr_format=zarr_format)
    made = root.create_array(
        full,
        shape=data.shape,
        chunks=chunks,
        shards=shards,
        dtype=data.dtype,
        attributes=attributes,
        fill_value=draw(st.none() | npst.from_dtype(data.dtype)),
        dimension_names=names,
    )
    assert made.path == full.strip("/")
    assert (made.shape, made.shards) == (data.shape, shards)
    assert dict(made.attrs) == (attributes or {})
    made[:] = data
    return made


@st.composite
def simple_arrays(
    draw: st.DrawFn, *, shapes: st.SearchStrategy[tuple[int, ...]] = array_shapes
) -> Any:
    """Draw an array with a short path and no attributes."""
    found = arrays(
        shapes=shapes,
        paths=paths(max_num_nodes=2),
        array_names=short_node_names,
        attrs=st.none(),
    )
    return draw(found)


@st.composite
def array_metadata(
    draw: st.DrawFn,
    *,
    array_shapes: Callable[..., st.SearchStrategy[tuple[int, ...]]] = npst.array_shapes,
    zarr_formats: st.SearchStrategy[Any] = zarr_formats,
    attributes: st.SearchStrategy[Any] = attrs,
) -> Any:
    """Draw the metadata of an array."""
    from fastzarr.compat.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    zarr_format = draw(zarr_formats)
    shape = draw(array_shapes())
    dtype: Any = draw(dtypes().filter(lambda one: one.kind != "U" or one.itemsize))
    document: dict[str, Any] = {"zarr_format": zarr_format, "shape": list(shape)}
    chunks = list(draw(chunk_shapes(shape=shape)))
    from fastzarr.compat.core.dtype import get_data_type_from_native_dtype

    kind = get_data_type_from_native_dtype(dtype)
    fill = kind.to_json_scalar(draw(npst.from_dtype(dtype)), zarr_format=zarr_format)
    if zarr_format == 2:
        found = document | {
            "chunks": chunks,
            "dtype": kind.to_json(zarr_format=2)["name"],
            "fill_value": fill,
            "order": draw(st.sampled_from(["C", "F"])),
            "dimension_separator": draw(st.sampled_from([".", "/"])),
            "filters": None,
            "compressor": None,
            "attributes": draw(attributes) or {},
        }
        return ArrayV2Metadata.from_dict(found)
    endian = {"endian": "little"} if dtype.itemsize > 1 else {}
    found = document | {
        "node_type": "array",
        "data_type": kind.to_json(zarr_format=3),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [{"name": "bytes", "configuration": endian}],
        "attributes": draw(attributes) or {},
        "dimension_names": draw(dimension_names(ndim=len(shape))),
        "storage_transformers": [],
    }
    return ArrayV3Metadata.from_dict(found)
