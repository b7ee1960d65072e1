"""The functions that create and open arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numcodecs.registry import codec_registry

from fastzarr.v2.core import Array
from fastzarr.v2.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
)
from fastzarr.v2.storage import (
    contains_array,
    contains_group,
    default_compressor,
    new_array,
    normalize_store_arg,
)
from fastzarr.v2.util import normalize_dimension_separator, normalize_storage_path


def create(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
    shape: Any,
    chunks: Any = True,
    dtype: Any = None,
    compressor: Any = "default",
    fill_value: Any = 0,
    order: str = "C",
    store: Any = None,
    synchronizer: Any = None,
    overwrite: bool = False,
    path: Any = None,
    chunk_store: Any = None,
    filters: Any = None,
    cache_metadata: bool = True,
    cache_attrs: bool = True,
    read_only: bool = False,
    object_codec: Any = None,
    dimension_separator: Any = None,
    write_empty_chunks: bool = True,
    *,
    zarr_version: int | None = None,
    meta_array: Any = None,
    storage_transformers: Any = (),
    **kwargs: Any,
) -> Array:
    """Create an array, in memory unless a store is passed.

    >>> create(3, dtype="i4", fill_value=7)[:]
    array([7, 7, 7], dtype=int32)
    """
    store = normalize_store_arg(store, zarr_version=zarr_version, mode="w")
    compressor, fill_value = _kwargs_compat(compressor, fill_value, kwargs)
    own = getattr(store, "_dimension_separator", None)
    if dimension_separator is None:
        dimension_separator = own
    elif own not in (None, dimension_separator):
        msg = f"dimension_separator={dimension_separator!r}, but that of the store is {own!r}"
        raise ValueError(msg)
    layout = new_array(
        store,
        shape,
        chunks,
        dtype,
        compressor,
        fill_value,
        order,
        overwrite,
        path,
        chunk_store,
        filters,
        object_codec,
        normalize_dimension_separator(dimension_separator),
        storage_transformers,
    )
    return Array(
        store,
        path,
        read_only,
        chunk_store,
        synchronizer,
        cache_metadata,
        cache_attrs,
        write_empty_chunks=write_empty_chunks,
        meta_array=meta_array,
        layout=layout,
    )


def _kwargs_compat(compressor: Any, fill_value: Any, words: dict[str, Any]) -> tuple[Any, Any]:
    """Return the compressor and the fill value, which h5py's words may say; warn of others."""
    is_default = isinstance(compressor, str) and compressor == "default"
    if not is_default:
        for word in ("compression", "compression_opts"):
            if word in words:
                warnings.warn(f"{word}= is ignored, because compressor= is passed", stacklevel=3)
                del words[word]
    elif "compression" in words:
        compressor = _compression(words.pop("compression"), words.pop("compression_opts", None))
    if "fillvalue" in words:
        fill_value = words.pop("fillvalue")
    for word in words:
        warnings.warn(f"ignoring keyword argument {word!r}", stacklevel=3)
    return compressor, fill_value


def _compression(compression: Any, options: Any) -> Any:
    if compression is None or compression == "none":
        return None
    if compression == "default":
        return default_compressor
    if isinstance(compression, str):
        codec = codec_registry[compression]
        if isinstance(options, dict):
            return codec(**options)
        if isinstance(options, (list, tuple)):
            return codec(*options)
        return codec() if options is None else codec(options)
    if hasattr(compression, "get_config"):
        return compression
    msg = f"bad value for compression: {compression!r}"
    raise ValueError(msg)


def empty(shape: Any, **kwargs: Any) -> Array:
    """Create an array whose elements are undefined until they are written.

    >>> empty(3, dtype="i4").fill_value is None
    True
    """
    return create(shape=shape, fill_value=None, **kwargs)


def zeros(shape: Any, **kwargs: Any) -> Array:
    """Create an array of zeros.

    >>> zeros(2, dtype="i4")[:]
    array([0, 0], dtype=int32)
    """
    return create(shape=shape, fill_value=0, **kwargs)


def ones(shape: Any, **kwargs: Any) -> Array:
    """Create an array of ones.

    >>> ones(2, dtype="i4")[:]
    array([1, 1], dtype=int32)
    """
    return create(shape=shape, fill_value=1, **kwargs)


def full(shape: Any, fill_value: Any, **kwargs: Any) -> Array:
    """Create an array of one value.

    >>> full(2, 7, dtype="i4")[:]
    array([7, 7], dtype=int32)
    """
    return create(shape=shape, fill_value=fill_value, **kwargs)


def _get_shape_chunks(a: Any) -> tuple[Any, Any]:
    shape = getattr(a, "shape", None)
    if not isinstance(shape, tuple):
        return None, None
    chunks = getattr(a, "chunks", None)
    if isinstance(chunks, tuple) and len(chunks) == len(shape):
        return shape, chunks
    if hasattr(a, "chunklen"):  # an array of bcolz
        return shape, (a.chunklen, *shape[1:])
    return shape, None


def array(data: Any, **kwargs: Any) -> Array:
    """Create an array with the given data.

    >>> array([1, 2])[:]
    array([1, 2])
    """
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        data = np.asanyarray(data)
    shape, chunks = _get_shape_chunks(data)
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = data.dtype
    if kwargs.get("chunks") is None:
        kwargs["chunks"] = chunks
    kwargs["shape"] = shape
    read_only = kwargs.pop("read_only", False)
    z = create(**kwargs)
    z[...] = data
    if read_only:
        z.read_only = True
    return z


def open_array(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
    store: Any = None,
    mode: str = "a",
    shape: Any = None,
    chunks: Any = True,
    dtype: Any = None,
    compressor: Any = "default",
    fill_value: Any = 0,
    order: str = "C",
    synchronizer: Any = None,
    filters: Any = None,
    cache_metadata: bool = True,
    cache_attrs: bool = True,
    path: Any = None,
    object_codec: Any = None,
    chunk_store: Any = None,
    storage_options: Any = None,
    partial_decompress: Any = None,
    write_empty_chunks: bool = True,
    *,
    zarr_version: int | None = None,
    dimension_separator: Any = None,
    meta_array: Any = None,
    allow_pickle: bool = False,
    **kwargs: Any,
) -> Array:
    """Open the array at a path, or create it if the mode says so.

    The modes are those of ``open``. ``allow_pickle`` is as in ``Array``.

    >>> store = {}
    >>> open_array(store, "w", 3, dtype="i2")[:] = [1, 2, 3]
    >>> open_array(store, "r")[1:]
    array([2, 3], dtype=int16)
    """
    store = normalize_store_arg(store, storage_options, mode, zarr_version=zarr_version)
    if chunk_store is not None:
        chunk_store = normalize_store_arg(chunk_store, storage_options, mode)
    if dimension_separator is None:
        dimension_separator = getattr(store, "_dimension_separator", None)
    path = normalize_storage_path(path)
    compressor, fill_value = _kwargs_compat(compressor, fill_value, kwargs)
    if fill_value is not None:
        fill_value = np.array(fill_value, dtype=dtype)[()]
    if mode != "w":
        _check_mode(store, path, mode)
    layout = None
    if mode in ("w", "w-", "x") or (mode == "a" and not contains_array(store, path)):
        layout = new_array(
            store,
            shape,
            chunks,
            dtype,
            compressor,
            fill_value,
            order,
            mode == "w",
            path,
            chunk_store,
            filters,
            object_codec,
            dimension_separator,
        )
    return Array(
        store,
        path,
        mode == "r",
        chunk_store,
        synchronizer,
        cache_metadata,
        cache_attrs,
        partial_decompress,
        write_empty_chunks,
        meta_array=meta_array,
        layout=layout,
        allow_pickle=allow_pickle,
    )


def _check_mode(store: Any, path: str, mode: str) -> None:
    is_array = contains_array(store, path)
    if is_array and mode in ("w-", "x"):
        msg = f"path {path!r} contains an array"
        raise ContainsArrayError(msg)
    if not is_array and contains_group(store, path):
        msg = f"path {path!r} contains a group"
        raise ContainsGroupError(msg)
    if not is_array and mode in ("r", "r+"):
        msg = f"array not found at path {path!r}"
        raise ArrayNotFoundError(msg)


def _like_args(a: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    shape, chunks = _get_shape_chunks(a)
    like: dict[str, Any] = {"compressor": "default", "order": "C"}
    if shape is not None:
        like["shape"] = shape
    if chunks is not None:
        like["chunks"] = chunks
    if hasattr(a, "dtype"):
        like["dtype"] = a.dtype
    if isinstance(a, Array):
        like |= {"compressor": a.compressor, "order": a.order, "filters": a.filters}
    return like | kwargs


def _filled(a: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    own = {"fill_value": a.fill_value} if isinstance(a, Array) else {}
    return own | _like_args(a, kwargs)


def empty_like(a: Any, **kwargs: Any) -> Array:
    """Create an array like another, whose elements are undefined until they are written.

    >>> empty_like(zeros((2, 3), chunks=1)).chunks
    (1, 1)
    """
    return empty(**_like_args(a, kwargs))


def zeros_like(a: Any, **kwargs: Any) -> Array:
    """Create an array of zeros like another.

    >>> zeros_like(np.array([1, 2]))[:]
    array([0, 0])
    """
    return zeros(**_like_args(a, kwargs))


def ones_like(a: Any, **kwargs: Any) -> Array:
    """Create an array of ones like another.

    >>> ones_like(np.array([1, 2]))[:]
    array([1, 1])
    """
    return ones(**_like_args(a, kwargs))


def full_like(a: Any, **kwargs: Any) -> Array:
    """Create an array of one value like another.

    >>> full_like(np.array([1, 2]), fill_value=7)[:]
    array([7, 7])
    """
    return full(**_filled(a, kwargs))


def open_like(a: Any, path: Any, **kwargs: Any) -> Array:
    """Open an array, or create one like another.

    >>> open_like(np.array([1, 2]), {}).shape
    (2,)
    """
    return open_array(path, **_filled(a, kwargs))
