"""Strategies of hypothesis for names, arrays, chunks and selections, under zarr-python's names.

Rules of this file:

* Nothing is drawn that the formats do not allow: names of nodes, shapes of chunks, text.
* Strategies shrink towards few and simple things: short names, few chunks, no attributes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st

from fastzarr.compat.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from fastzarr.compat.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from fastzarr.compat.codecs.sharding import SUBCHUNK_WRITE_ORDER, ShardingCodec
from fastzarr.compat.core.config import config
from fastzarr.compat.core.dtype import get_data_type_from_native_dtype
from fastzarr.compat.core.metadata import ArrayV2Metadata, ArrayV3Metadata
from fastzarr.compat.core.metadata.v3 import RectilinearChunkGridMetadata
from fastzarr.compat.core.sync import sync
from fastzarr.compat.storage import MemoryStore
from fastzarr.compat.storage._utils import _join_paths
from fastzarr.compat.testing._grids import (
    _rectilinear_chunks,
    chunk_grids,
    chunk_shapes,
    chunks_param_from_rectilinear,
    rectilinear_chunk_grids,
    rectilinear_chunk_shape_declarations,
    rectilinear_chunks,
    rectilinear_dim_edges,
    shard_shapes,
)
from fastzarr.compat.testing._selections import (
    basic_indices,
    block_indices,
    end_slices,
    is_negative_slice,
    orthogonal_indices,
)
from fastzarr.compat.testing._types import (
    dtypes,
    structured_dtypes,
    v2_dtypes,
    v3_dtypes,
    zdtypes,
)
from fastzarr.stores.keys import METADATA_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

__all__ = [
    "_rectilinear_chunks",
    "array_metadata",
    "array_names",
    "array_shapes",
    "arrays",
    "attrs",
    "basic_indices",
    "block_indices",
    "block_test_arrays",
    "chunk_grids",
    "chunk_paths",
    "chunk_shapes",
    "chunks_param_from_rectilinear",
    "clear_store",
    "complex_rectilinear_arrays",
    "compressors",
    "dimension_names",
    "dtypes",
    "end_slices",
    "is_negative_slice",
    "key_ranges",
    "keys",
    "node_names",
    "np_array_and_chunks",
    "numpy_arrays",
    "orthogonal_indices",
    "paths",
    "rectilinear_arrays",
    "rectilinear_chunk_grids",
    "rectilinear_chunk_shape_declarations",
    "rectilinear_chunks",
    "rectilinear_dim_edges",
    "safe_unicode_for_dtype",
    "shard_shapes",
    "sharded_arrays",
    "sharding_inner_codecs",
    "short_node_names",
    "simple_arrays",
    "stores",
    "structured_dtypes",
    "subchunk_write_orders",
    "v2_dtypes",
    "v3_dtypes",
    "zarr_formats",
    "zarr_key_chars",
    "zdtypes",
]

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
    return (
        bool(text.strip(".")) and not text.startswith("__") and text.lower() not in METADATA_NAMES
    )


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


# Requests


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

subchunk_write_orders: st.SearchStrategy[Any] = st.sampled_from(SUBCHUNK_WRITE_ORDER)
# Chunks of a fixed size are read by other code than compressed ones.
sharding_inner_codecs: st.SearchStrategy[list[Any]] = st.sampled_from(
    [[BytesCodec()], [BytesCodec(), ZstdCodec()]]
)
_fillable = npst.array_shapes(max_dims=3, min_side=1, max_side=20)
_shardable = npst.array_shapes(max_dims=4, min_side=1, max_side=8)


@st.composite
def _sharding_codecs(
    draw: st.DrawFn, *, chunk_shape: tuple[int, ...], codecs: Sequence[Any] | None = None
) -> ShardingCodec:
    return ShardingCodec(
        chunk_shape=chunk_shape,
        codecs=draw(sharding_inner_codecs) if codecs is None else codecs,
        index_codecs=[BytesCodec(), Crc32cCodec()],
        subchunk_write_order=draw(subchunk_write_orders),
    )


def _fill_values(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    return st.none() | npst.from_dtype(dtype)


@st.composite
def _grid_words(
    draw: st.DrawFn, shape: tuple[int, ...]
) -> tuple[dict[str, Any], RectilinearChunkGridMetadata | None]:
    """Draw what a new array of format 3 is told about its chunks, and their grid if irregular."""
    grid = draw(st.none() | chunk_grids(shape=shape), label="chunk grid")
    if isinstance(grid, RectilinearChunkGridMetadata):
        if not shape or draw(st.booleans()):
            return {"chunks": grid}, grid
        lists = draw(_rectilinear_chunks(shape=shape), label="chunks")
        axes = tuple(axis if isinstance(axis, int) else tuple(axis) for axis in lists)
        return {"chunks": lists}, RectilinearChunkGridMetadata(chunk_shapes=axes)
    if grid is not None:
        return {"chunks": grid.chunk_shape}, None
    chunks = draw(chunk_shapes(shape=shape), label="chunk shape")
    if all(size >= chunk for size, chunk in zip(shape, chunks, strict=True)):
        shards = draw(st.none() | shard_shapes(shape=shape, chunk_shape=chunks), label="shards")
        if shards is not None:
            codec = draw(_sharding_codecs(chunk_shape=chunks))
            return {
                "chunks": chunks,
                "shards": shards,
                "serializer": codec,
                "compressors": None,
            }, None
    return {"chunks": chunks}, None


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
    grid = None
    if zarr_format == 3:
        words, grid = draw(_grid_words(data.shape))
        words["dimension_names"] = draw(dimension_names(ndim=data.ndim), label="dimension names")
    else:
        words = {"chunks": draw(chunk_shapes(shape=data.shape), label="chunk shape")}
    full = _join_paths([path, name])
    root = open_group(store, mode=open_mode, zarr_format=zarr_format)
    made = root.create_array(
        full,
        shape=data.shape,
        dtype=data.dtype,
        attributes=attributes,
        fill_value=draw(_fill_values(data.dtype)),
        **words,
    )
    assert made.path == full.strip("/")
    assert (made.name, made.basename) == (f"/{made.path}", name)
    assert (made.shape, made.shards) == (data.shape, words.get("shards"))
    assert dict(made.attrs) == (attributes or {})
    if grid is not None:
        assert made.metadata.chunk_grid == grid
    else:
        assert made.chunks == words["chunks"]
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


def _created(where: Any, data: np.ndarray[Any, Any], **words: Any) -> Any:
    """Return a new array with elements, whose chunks may differ in length."""
    with config.set({"array.rectilinear_chunks": True}):
        made = where(shape=data.shape, dtype=data.dtype, **words)
        made[...] = data
    return made


@st.composite
def rectilinear_arrays(
    draw: st.DrawFn, *, shapes: st.SearchStrategy[tuple[int, ...]] = _fillable
) -> Any:
    """Draw an array whose chunks may differ in length."""
    from fastzarr.compat.api.synchronous import create_array

    shape = draw(shapes)
    chunks = draw(_rectilinear_chunks(shape=shape))
    data = draw(numpy_arrays(shapes=st.just(shape)))
    return _created(
        create_array,
        data,
        store=MemoryStore(),
        chunks=chunks,
        fill_value=draw(_fill_values(data.dtype)),
        dimension_names=draw(dimension_names(ndim=len(shape))),
    )


@st.composite
def complex_rectilinear_arrays(
    draw: st.DrawFn,
    *,
    stores: st.SearchStrategy[Any] = stores,
    paths: st.SearchStrategy[str] = paths(),  # noqa: B008  (signature)
    array_names: st.SearchStrategy[str] = array_names,
    attrs: st.SearchStrategy[Any] = attrs,
) -> tuple[np.ndarray[Any, Any], Any]:
    """Draw an array of many short chunks along each axis, and its elements."""
    from fastzarr.compat.api.synchronous import open_group

    count = draw(st.integers(5, 10))
    lengths = st.lists(st.integers(1, 5), min_size=count, max_size=count)
    chunks = draw(st.lists(lengths, min_size=1, max_size=3))
    data = draw(numpy_arrays(shapes=st.just(tuple(map(sum, chunks)))))
    root = open_group(draw(stores), mode="w", zarr_format=3)
    made = _created(
        root.create_array,
        data,
        name=_join_paths([draw(paths), draw(array_names)]),
        chunks=chunks,
        fill_value=draw(_fill_values(data.dtype)),
        dimension_names=draw(dimension_names(ndim=len(chunks))),
        attributes=draw(attrs),
    )
    return data, made


@st.composite
def sharded_arrays(
    draw: st.DrawFn,
    *,
    shapes: st.SearchStrategy[tuple[int, ...]] = _shardable,
    nested: bool | None = None,
) -> Any:
    """Draw an array of shards, which with ``nested`` have shards inside; it is drawn if None."""
    from fastzarr.compat.api.synchronous import create_array

    shape = draw(shapes)
    inner = draw(chunk_shapes(shape=shape))
    codec = draw(_sharding_codecs(chunk_shape=inner))
    if draw(st.booleans()) if nested is None else nested:
        inner = draw(shard_shapes(shape=shape, chunk_shape=inner))
        codec = draw(_sharding_codecs(chunk_shape=inner, codecs=[codec]))
    shards = draw(shard_shapes(shape=shape, chunk_shape=inner))
    data = draw(numpy_arrays(shapes=st.just(shape)))
    # The codec is passed as the serializer, so it stays the outermost one.
    made = create_array(
        MemoryStore(),
        shape=shape,
        chunks=shards,
        dtype=data.dtype,
        fill_value=draw(_fill_values(data.dtype)),
        dimension_names=draw(dimension_names(ndim=len(shape))),
        serializer=codec,
        filters=None,
        compressors=None,
    )
    assert (made.shards, made.chunks) == (shards, inner)
    (found,) = made.metadata.codecs
    assert found.subchunk_write_order == codec.subchunk_write_order
    made[:] = data
    return made


@st.composite
def block_test_arrays(draw: st.DrawFn) -> tuple[Any, np.ndarray[Any, Any]]:
    """Draw an array for indices of blocks, and its elements: regular chunks, shards, or others."""
    from fastzarr.compat.api.synchronous import create_array

    data = draw(numpy_arrays(shapes=_fillable))
    words: dict[str, Any] = {}
    if draw(st.booleans()):
        words["chunks"] = draw(chunk_shapes(shape=data.shape))
        shards = shard_shapes(shape=data.shape, chunk_shape=words["chunks"])
        words["shards"] = draw(st.none() | shards)
    else:
        words["chunks"] = draw(_rectilinear_chunks(shape=data.shape))
    return _created(create_array, data, store=draw(stores), **words), data


@st.composite
def array_metadata(
    draw: st.DrawFn,
    *,
    array_shapes: Callable[..., st.SearchStrategy[tuple[int, ...]]] = npst.array_shapes,
    zarr_formats: st.SearchStrategy[Any] = zarr_formats,
    attributes: st.SearchStrategy[Any] = attrs,
) -> Any:
    """Draw the metadata of an array."""
    zarr_format = draw(zarr_formats)
    shape = draw(array_shapes())
    native = draw(dtypes())
    kind = get_data_type_from_native_dtype(native)
    made: Any = ArrayV2Metadata if zarr_format == 2 else ArrayV3Metadata
    words: dict[str, Any] = {
        "shape": shape,
        "fill_value": draw(npst.from_dtype(native)),
        "attributes": draw(attributes),
    }
    if zarr_format == 2:
        return made(
            chunks=draw(array_shapes(min_dims=len(shape), max_dims=len(shape), min_side=1)),
            dtype=kind,
            order=draw(st.sampled_from(["C", "F"])),
            dimension_separator=draw(st.sampled_from([".", "/"])),
            filters=None,
            compressor=None,
            **words,
        )
    return made(
        data_type=kind,
        chunk_grid=draw(chunk_grids(shape=shape)),
        chunk_key_encoding={"name": "default", "configuration": {"separator": "/"}},
        codecs=[BytesCodec()],
        dimension_names=draw(dimension_names(ndim=len(shape))),
        storage_transformers=(),
        **words,
    )
