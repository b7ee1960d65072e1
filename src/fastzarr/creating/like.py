"""The keywords that create an array like another, and array-like data as an argument."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastzarr.creating.chunks import parse_chunks, parse_shape
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.creating.hdf5 import Dataset, from_h5py
from fastzarr.dtypes.vlen import is_missing, without_missing
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata.n5 import FORMAT as N5
from fastzarr.metadata.n5 import block_codec
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v2 import compressor_config, filter_configs

if TYPE_CHECKING:
    from fastzarr.codecs.base import Codec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Format
    from fastzarr.metadata.layout import Layout


def as_array_like(data: Any, dtype: Any = None) -> Any:
    """Return ``data`` if it can be read in pieces, and otherwise as a NumPy array.

    Such objects have ``shape``, a ``dtype`` of NumPy, and ``__getitem__`` by position. Whatever
    else ``numpy.asarray`` accepts is converted by it. If ``dtype`` is of variable length, strings
    and bytes are kept as objects: NumPy's fixed-length strings would drop trailing NULs.
    """
    if _is_array_like(data) and hasattr(data, "__getitem__"):
        if isinstance(data, np.generic):
            return np.asarray(data)
        data = from_h5py(data, dtype)
        if isinstance(data.dtype, np.dtype) or data.dtype in (str, bytes):
            metadata = data.dtype.metadata if isinstance(data.dtype, np.dtype) else None
            return data if not metadata or metadata.get("vlen") is not str else _decoded(data)
    found = np.asarray(data)
    if found.dtype.kind == "O" and _is_text(data, found):
        return _text(found)
    if found.dtype.kind in "SU" and dtype is not None and not _is_fixed(dtype):
        objects = np.empty(found.shape, dtype=object)
        objects[...] = data
        return objects
    return found


def _is_array_like(data: Any) -> bool:
    """Whether data has a shape and a type; raise TypeError if it is a group of any library.

    A group may have members named ``shape`` and ``dtype``, so it is not asked for attributes.
    """
    if isinstance(data, Mapping) and hasattr(type(data), "require_group"):
        msg = f"expected an array, got {data!r}; use fastzarr.copy() to copy a group"
        raise TypeError(msg)
    if hasattr(type(data), "iloc"):
        # Slices of pandas' objects are by label, and a table may have a column named "dtype".
        return False
    return hasattr(data, "shape") and hasattr(data, "dtype")


def _is_text(data: Any, objects: Any) -> bool:
    """Whether data, of a dtype that NumPy does not know, such as one of pandas, is text."""
    dtype = getattr(data, "dtype", None)
    if dtype is None or isinstance(dtype, np.dtype):
        return False
    kinds = {type(found) for found in objects.ravel().tolist() if not is_missing(found)}
    return getattr(dtype, "type", None) is str or kinds == {str}


def _text(objects: Any) -> Any:
    """Return objects as an array of strings; missing ones are the empty string."""
    return without_missing(objects).astype(np.dtypes.StringDType())


def _decoded(data: Any) -> Any:
    """Return a dataset of h5py, whose text has the dtype of objects, as an array of strings."""
    texts = data.asstr()[...] if hasattr(data, "asstr") else data
    return np.asarray(texts, dtype=np.dtypes.StringDType())


def emptied(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of an empty array: objects that were never written are None."""
    return {"fill_value": None, **words} if is_object(words.get("dtype")) else dict(words)


def filled(words: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return ``words`` with a fill value."""
    return {**words, "fill_value": value}


def like_words(a: Any, words: Mapping[str, Any], format: Format | None = None) -> dict[str, Any]:
    """Return the keywords of an array like ``a``, overridden by ``words``.

    ``a`` is an array of any library. If it is an array of this package and has the same format, its
    codecs are included.
    """
    if isinstance(a, str | bytes | os.PathLike):
        msg = f"expected an array, got {a!r}; open it first, as in fastzarr.open_array({a!r})"
        raise TypeError(msg)
    words = {word: value for word, value in words.items() if value is not None or word in _NONES}
    if not _is_array_like(a) or getattr(a, "layout", None) is None:
        a = as_array_like(a, words.get("dtype"))
    found: dict[str, Any] = {"shape": a.shape, "dtype": a.dtype}
    if isinstance(a, Dataset):
        found |= a.words
    layout = getattr(a, "layout", None)
    if layout is not None:
        changes = not _is_dtype(words.get("dtype", dtype_of(a)), layout.dtype)
        found |= like(layout, dtype_changes=changes)
        if format not in (None, layout.format):
            kept = _KEPT if format is None or format.has_fill_value else _KEPT[:-1]
            found = {word: found[word] for word in kept if word in found}
    elif chunks_of(a):
        found["chunks"] = chunks_of(a)
    if "shape" in words and len(parse_shape(words["shape"])) != len(found["shape"]):
        found.pop("chunks", None)
        found.pop("shards", None)
    for word, others in _REPLACES.items():
        if word in words:
            found = {name: value for name, value in found.items() if name not in others}
    return found | words


def copy_words(data: Any, words: Mapping[str, Any], format: Format | None) -> dict[str, Any]:
    """Return the keywords of an array with the data of another, overridden by ``words``.

    Of an array of this package, everything that tells how it is stored is kept, as far as a given
    format allows; of an array of another library, its chunks.
    """
    if getattr(data, "layout", None) is not None:
        given = {} if format is None else {"zarr_format": format}
        found = like_words(data, dict(words) | given, format)
        del found["shape"]
        return found
    chunks = chunks_of(data)
    if not chunks or words.get("shards") is not None or "chunk_shape" in words:
        return dict(words)
    return {"chunks": chunks, **words}


def chunks_of(data: Any) -> tuple[int, ...] | None:
    """Return the chunk shape of an array of any library, or None if it has no regular chunks."""
    found = getattr(data, "chunks", None) if _is_array_like(data) else None
    if not found:
        return None
    try:
        return parse_chunks(found, tuple(data.shape), data.dtype.itemsize)
    except MetadataValidationError:
        return None  # dask's chunks may be irregular


# The keywords of an array that are kept in another format.
_KEPT = ("shape", "dtype", "chunks", "fill_value")
# Keywords for which None is a meaningful value.
_NONES = frozenset({"chunks", "compressor", "compressors", "fill_value", "filters", "shards"})
# A keyword that is passed overrides these keywords of the other array.
_REPLACES = {
    "codecs": ("filters", "serializer", "compressors", "compressor"),
    "compressor": ("compressors",),
    "compressors": ("compressor",),
    "chunks": ("shards",),
    "chunk_shape": ("chunks", "shards"),
    "chunk_key_encoding": ("dimension_separator",),
    "dimension_separator": ("chunk_key_encoding",),
    "zarr_version": ("zarr_format",),
    "compression": ("compressors", "compressor"),
    "fillvalue": ("fill_value",),
}


def is_object(dtype: Any) -> bool:
    """Whether a data type passed by the user is that of Python objects."""
    return (
        dtype is object
        or (isinstance(dtype, str) and dtype in ("O", "|O", "object"))
        or (isinstance(dtype, np.dtype) and dtype.kind == "O")
    )


def _is_fixed(dtype: Any) -> bool:
    from fastzarr.dtypes import from_numpy

    try:
        return not is_object(dtype) and from_numpy(dtype).itemsize is not None
    except (TypeError, ValueError):
        return True  # an invalid data type raises an error when it is parsed


def dtype_of(data: Any) -> Any:
    """Return the data type of an array, of this package or of NumPy."""
    # The layout's data type has more information than a NumPy dtype, but a view may have another.
    layout = getattr(data, "layout", None)
    same = layout is not None and layout.dtype.numpy == data.dtype
    return layout.dtype if layout is not None and same else data.dtype


def _is_dtype(given: Any, dtype: DataType) -> bool:
    from fastzarr.dtypes import from_numpy

    if is_object(given):
        return dtype.numpy.kind == "O"
    return from_numpy(given) == dtype


def like(layout: Layout, *, dtype_changes: bool = False) -> dict[str, Any]:
    """Return the keywords that create an array with this layout, except shape and attributes.

    If ``dtype_changes``, parameters that were derived from the data type are omitted.
    """
    words: dict[str, Any] = {"zarr_format": layout.zarr_format, "fill_value": layout.fill}
    if not dtype_changes:
        words["dtype"] = layout.dtype
    if layout.format is V2:
        # Filters, such as an object codec, may depend on the data type.
        filters = [] if dtype_changes else filter_configs(layout)
        if dtype_changes:
            del words["fill_value"]
        return words | {
            "chunks": layout.chunks,
            "filters": filters or None,
            "compressor": compressor_config(layout),
            "order": layout.order,
            "dimension_separator": layout.keys.separator,
        }
    if layout.format is N5:
        if dtype_changes:
            del words["fill_value"]
        codec = block_codec(layout).compressor
        return words | {"chunks": layout.chunks, "compressors": [] if codec is None else [codec]}
    words["chunk_key_encoding"] = layout.keys
    codecs, sharding = layout.codecs, layout.sharding
    words["chunks"] = layout.irregular or layout.chunks
    if sharding is not None and sharding.is_plain:
        # A transpose of a shard becomes one of each inner chunk, which stores the same bytes.
        words |= {
            "chunks": layout.inner_chunks,
            "shards": {
                "shape": layout.irregular or layout.chunks,
                "index_location": sharding.codec.index_location,
                "index_codecs": sharding.codec.index_codecs,
            },
        }
        codecs = layout.chunk_codecs
    if dtype_changes:
        del words["fill_value"]
    return words | _split_chain(codecs, dtype_changes=dtype_changes)


def _split_chain(codecs: tuple[Codec, ...], *, dtype_changes: bool) -> dict[str, Any]:
    from fastzarr.codecs.base import ArrayArrayCodec, BytesBytesCodec

    filters = [codec for codec in codecs if isinstance(codec, ArrayArrayCodec)]
    compressors = [codec for codec in codecs if isinstance(codec, BytesBytesCodec)]
    serializer: Any = codecs[len(filters)]
    if dtype_changes:
        filters = [codec for codec in filters if codec.name == "transpose"]
        compressors = [
            dataclasses.replace(cast("Any", codec), typesize=None)
            if hasattr(codec, "typesize")
            else codec
            for codec in compressors
        ]
        if serializer.name != "sharding_indexed":
            serializer = NOT_GIVEN
    return {"filters": filters, "serializer": serializer, "compressors": compressors}
