"""Stores, and the functions that create nodes in them."""

from __future__ import annotations

import os
import warnings
from collections.abc import MutableMapping
from contextlib import suppress
from glob import glob
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numcodecs

import fastzarr
from fastzarr.v2._storage.classes import (
    ABSStore,
    ConsolidatedMetadataStore,
    DBMStore,
    DictStore,
    DirectoryStore,
    FSStore,
    LMDBStore,
    LRUStoreCache,
    MemoryStore,
    MongoDBStore,
    NestedDirectoryStore,
    RedisStore,
    SQLiteStore,
    TempStore,
    ZipStore,
)
from fastzarr.v2._storage.store import (
    DEFAULT_ZARR_VERSION,
    V3_DEPRECATION_MESSAGE,
    BaseStore,
    Dressed,
    KVStore,
    Store,
    StoreLike,
    _get_hierarchy_metadata,
    _get_metadata_suffix,
    _listdir_from_keys,
    _path_to_prefix,
    _prefix_to_array_key,
    _prefix_to_attrs_key,
    _prefix_to_group_key,
    _rename_from_keys,
    _rename_metadata_v3,
    _rmdir_from_keys,
    array_meta_key,
    assert_zarr_v3_api_available,
    attrs_key,
    data_root,
    ensure_store,
    group_meta_key,
    inner_store,
    meta_root,
    warn_of_missing_listdir,
)
from fastzarr.v2.errors import BadCompressorError, ContainsArrayError, ContainsGroupError
from fastzarr.v2.util import (
    buffer_size,
    normalize_chunks,
    normalize_dimension_separator,
    normalize_dtype,
    normalize_fill_value,
    normalize_order,
    normalize_shape,
    normalize_storage_path,
)

if TYPE_CHECKING:
    import numpy as np

    from fastzarr.metadata.layout import Layout

__all__ = [
    "DEFAULT_ZARR_VERSION",
    "V3_DEPRECATION_MESSAGE",
    "ABSStore",
    "BadCompressorError",
    "BaseStore",
    "ConsolidatedMetadataStore",
    "ContainsArrayError",
    "ContainsGroupError",
    "DBMStore",
    "DictStore",
    "DirectoryStore",
    "FSStore",
    "KVStore",
    "LMDBStore",
    "LRUStoreCache",
    "MemoryStore",
    "MongoDBStore",
    "NestedDirectoryStore",
    "RedisStore",
    "SQLiteStore",
    "Store",
    "StoreLike",
    "TempStore",
    "ZipStore",
    "_get_hierarchy_metadata",
    "_get_metadata_suffix",
    "_listdir_from_keys",
    "_path_to_prefix",
    "_prefix_to_array_key",
    "_prefix_to_attrs_key",
    "_prefix_to_group_key",
    "_rename_from_keys",
    "_rename_metadata_v3",
    "_rmdir_from_keys",
    "array_meta_key",
    "assert_zarr_v3_api_available",
    "atexit_rmglob",
    "atexit_rmtree",
    "attrs_key",
    "buffer_size",
    "contains_array",
    "contains_group",
    "data_root",
    "default_compressor",
    "getsize",
    "group_meta_key",
    "init_array",
    "init_group",
    "init_store",
    "listdir",
    "meta_root",
    "migrate_1to2",
    "normalize_chunks",
    "normalize_dimension_separator",
    "normalize_dtype",
    "normalize_fill_value",
    "normalize_order",
    "normalize_shape",
    "normalize_storage_path",
    "normalize_store_arg",
    "rename",
    "rmdir",
]

default_compressor = numcodecs.Blosc()


def contains_array(store: StoreLike, path: Any = None) -> bool:
    """Whether there is an array at a path.

    >>> contains_array({"a/.zarray": b"{}"}, "a")
    True
    """
    return _path_to_prefix(normalize_storage_path(path)) + array_meta_key in store


def contains_group(store: StoreLike, path: Any = None, explicit_only: bool = True) -> bool:
    """Whether there is a group at a path.

    >>> contains_group({".zgroup": b"{}"})
    True
    """
    del explicit_only
    return _path_to_prefix(normalize_storage_path(path)) + group_meta_key in store


def normalize_store_arg(
    store: Any, storage_options: Any = None, mode: str = "r", *, zarr_version: int | None = None
) -> Any:
    """Return the store that an argument stands for; a URL is opened with a mode.

    >>> normalize_store_arg({"a": b"1"})["a"]
    b'1'
    """
    version = getattr(store, "_store_version", 2) if zarr_version is None else zarr_version
    if version == 3:
        assert_zarr_v3_api_available()
    if version != 2 or getattr(store, "_store_version", 2) != 2:
        msg = f"zarr_version must be 2, not {version}"
        raise ValueError(msg)
    if store is None:
        return KVStore({})
    if isinstance(store, os.PathLike):
        store = os.fspath(store)
    if isinstance(store, str):
        return _of_text(store, storage_options, mode)
    if type(store).__module__.startswith("fsspec.") and hasattr(store, "fs"):
        return FSStore(
            store.root,
            fs=store.fs,
            mode=mode,
            check=store.check,
            create=store.create,
            missing_exceptions=store.missing_exceptions,
            **(storage_options or {}),
        )
    return ensure_store(store)


def _of_text(store: str, storage_options: Any, mode: str) -> Any:
    if "://" in store or "::" in store:
        return FSStore(store, mode=mode, **(storage_options or {}))
    if storage_options:
        msg = f"storage_options are for URLs, and {store!r} is none"
        raise ValueError(msg)
    if store.endswith(".zip"):
        return ZipStore(store, mode=mode)
    if store.endswith(".n5"):
        from fastzarr.v2.n5 import N5Store

        return N5Store(store)
    return DirectoryStore(store)


def rmdir(store: Any, path: Any = None) -> None:
    """Delete all keys below a path.

    >>> store = {"a/b": b"1", "c": b"2"}
    >>> rmdir(store, "a")
    >>> store
    {'c': b'2'}
    """
    path = normalize_storage_path(path)
    if hasattr(store, "rmdir") and store.is_erasable():
        store.rmdir(path)
    else:
        _rmdir_from_keys(store, path)


def rename(store: Any, src_path: Any, dst_path: Any) -> None:
    """Move all keys below a path to another.

    >>> store = {"a/b": b"1"}
    >>> rename(store, "a", "c")
    >>> store
    {'c/b': b'1'}
    """
    source, target = normalize_storage_path(src_path), normalize_storage_path(dst_path)
    if hasattr(store, "rename"):
        store.rename(source, target)
    else:
        _rename_from_keys(store, source, target)


def listdir(store: Any, path: Any = None) -> list[str]:
    """Return the sorted names directly below a path.

    >>> listdir(KVStore({"a/b": b"1"}))
    ['a']
    """
    path = normalize_storage_path(path)
    if hasattr(store, "listdir"):
        found: list[str] = store.listdir(path)
        return found
    warn_of_missing_listdir(store)
    return _listdir_from_keys(store, path)


def getsize(store: Any, path: Any = None) -> int:
    """Return the bytes of a value, or of those directly below a path; -1 if unknown.

    >>> getsize(KVStore({"a": b"123"}))
    3
    """
    if hasattr(store, "getsize"):
        return int(store.getsize(normalize_storage_path(path)))
    if not isinstance(store, MutableMapping):
        return -1
    return _getsize(store, path)


def _getsize(store: Any, path: Any = None) -> int:
    if path and path in store:
        return buffer_size(store[path])
    path = normalize_storage_path(path)
    prefix, size = _path_to_prefix(path), 0
    for name in listdir(store, path):
        with suppress(KeyError):
            value = store[prefix + name]
            try:
                size += buffer_size(value)
            except TypeError:
                return -1
    return size


def init_array(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
    store: Any,
    shape: Any,
    chunks: Any = True,
    dtype: Any = None,
    compressor: Any = "default",
    fill_value: Any = None,
    order: str = "C",
    overwrite: bool = False,
    path: Any = None,
    chunk_store: Any = None,
    filters: Any = None,
    object_codec: Any = None,
    dimension_separator: Any = None,
    storage_transformers: Any = (),
) -> None:
    """Create an array without data, and the groups above it.

    >>> store = {}
    >>> init_array(store, shape=3, path="a")
    >>> contains_array(store, "a"), contains_group(store)
    (True, True)
    """
    new_array(
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
        dimension_separator,
        storage_transformers,
    )


init_store = init_array


def new_array(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
    store: Any,
    shape: Any,
    chunks: Any,
    dtype: Any,
    compressor: Any,
    fill_value: Any,
    order: str,
    overwrite: bool,
    path: Any,
    chunk_store: Any,
    filters: Any,
    object_codec: Any,
    dimension_separator: Any,
    storage_transformers: Any = (),
) -> Layout:
    """Create an array as ``init_array`` does, and return its metadata."""
    if storage_transformers:
        assert_zarr_v3_api_available()
    path = normalize_storage_path(path)
    if not overwrite:
        _check_free(store, path)
    else:
        _clear(store, path, chunk_store)
    dtype, object_codec = normalize_dtype(dtype, object_codec)
    shape = normalize_shape(shape) + dtype.shape
    dtype = dtype.base
    if dimension_separator is None:
        dimension_separator = getattr(store, "_dimension_separator", None)
    made = fastzarr.create(
        shape,
        normalize_chunks(chunks, shape, dtype.itemsize),
        dtype,
        compressor=_compressor(compressor, shape),
        fill_value=normalize_fill_value(fill_value, dtype),
        order=normalize_order(order),
        store=inner_store(store),
        overwrite=overwrite,
        path=path,
        chunk_store=None if chunk_store is None else inner_store(chunk_store),
        filters=_filters(filters, dtype, object_codec),
        object_codec=object_codec if dtype.hasobject else None,
        dimension_separator=normalize_dimension_separator(dimension_separator),
        **_format(store),
    ).layout
    if isinstance(store, Dressed):
        store.created |= {path}
    return made


def _clear(store: Any, path: str, chunk_store: Any) -> None:
    """Make groups of the arrays above a path that is overwritten, and delete its other chunks."""
    parts = path.split("/")
    for above in ("/".join(parts[:number]) for number in range(len(parts) if path else 0)):
        if contains_array(store, above):
            fastzarr.create_group(inner_store(store), path=above, overwrite=True, **_format(store))
    if chunk_store is not None:
        rmdir(chunk_store, path)


def _format(store: Any) -> dict[str, Any]:
    own = inner_store(store).zarr_format
    return {"zarr_format": 2 if own is None else own}


def _check_free(store: Any, path: str) -> None:
    if contains_array(store, path):
        msg = f"path {path!r} contains an array"
        raise ContainsArrayError(msg)
    if contains_group(store, path):
        msg = f"path {path!r} contains a group"
        raise ContainsGroupError(msg)


def _compressor(compressor: Any, shape: tuple[int, ...]) -> Any:
    # A single element is not compressed.
    if not shape or not compressor or (isinstance(compressor, str) and compressor == "none"):
        return None
    if isinstance(compressor, str) and compressor == "default":
        return default_compressor
    if not hasattr(compressor, "get_config"):
        msg = f"bad compressor; expected a codec of numcodecs, got {compressor!r}"
        raise BadCompressorError(msg)
    return compressor


def _filters(filters: Any, dtype: np.dtype[Any], object_codec: Any) -> Any:
    if not dtype.hasobject:
        if object_codec is not None:
            warnings.warn("an object_codec is only needed for object arrays", stacklevel=3)
    elif object_codec is None:
        if not filters:
            msg = "missing object_codec for object array"
            raise ValueError(msg)
        msg = "missing object_codec for object array; pass it, and not among the filters"
        warnings.warn(msg, FutureWarning, stacklevel=3)
    return list(filters) if filters else None


def init_group(
    store: Any, overwrite: bool = False, path: Any = None, chunk_store: Any = None
) -> None:
    """Create a group, and the groups above it.

    >>> store = {}
    >>> init_group(store, path="a")
    >>> contains_group(store, "a")
    True
    """
    path = normalize_storage_path(path)
    if overwrite:
        _clear(store, path, chunk_store)
    else:
        _check_free(store, path)
    fastzarr.create_group(inner_store(store), path=path, overwrite=overwrite, **_format(store))


def migrate_1to2(store: Any) -> None:
    """Rewrite the documents of an array of format 1 as those of format 2, in place."""
    from fastzarr.v2.meta_v1 import migrate

    migrate(store)


def atexit_rmtree(path: Any, isdir: Any = os.path.isdir, rmtree: Any = rmtree) -> None:
    """Delete a folder, if it exists; meant for the end of the process."""
    if isdir(path):
        rmtree(path)


def atexit_rmglob(
    path: Any,
    glob: Any = glob,
    isdir: Any = os.path.isdir,
    isfile: Any = os.path.isfile,
    remove: Any = os.remove,
    rmtree: Any = rmtree,
) -> None:
    """Delete the files and folders that a pattern matches; meant for the end of the process."""
    for found in glob(path):
        if isfile(found):
            remove(found)
        elif isdir(found):
            rmtree(found)
