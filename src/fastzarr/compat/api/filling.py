"""The functions that fill arrays, save, load and copy them, as plain calls.

Rules of this file:

* They return awaitable nodes, as ``verbs.py`` does. ``load`` of a group and the functions that copy
  work, which are not implemented in zarr-python 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastzarr.compat.abc.store import Store
from fastzarr.compat.api.verbs import create, from_array, open
from fastzarr.compat.core.array import Array, AsyncArray
from fastzarr.compat.core.async_group import AsyncGroup, new_group, place_of
from fastzarr.compat.core.buffer import NDArrayLike
from fastzarr.compat.core.creating import default_format, filling, saved, shape_and_chunks
from fastzarr.compat.core.dtype import parse_dtype
from fastzarr.compat.storage._common import StorePath
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.transfer import copy as transfer
from fastzarr.transfer import stores as transfer_stores


def empty(shape: Any, **kwargs: Any) -> AsyncArray:
    """Create an array that reads as its fill value.

    >>> import fastzarr.compat as zarr
    >>> zarr.empty(3, dtype="i4", store={})[:]
    array([0, 0, 0], dtype=int32)
    """
    return create(**filling("empty", {"shape": shape, **kwargs}))


def zeros(shape: Any, **kwargs: Any) -> AsyncArray:
    """Create an array of zeros.

    >>> import fastzarr.compat as zarr
    >>> zarr.zeros(3, dtype="i4", store={})[:]
    array([0, 0, 0], dtype=int32)
    """
    return create(**filling("zeros", {"shape": shape, **kwargs}))


def ones(shape: Any, **kwargs: Any) -> AsyncArray:
    """Create an array of ones.

    >>> import fastzarr.compat as zarr
    >>> zarr.ones(3, dtype="i4", store={})[:]
    array([1, 1, 1], dtype=int32)
    """
    return create(**filling("ones", {"shape": shape, **kwargs}))


def full(shape: Any, fill_value: Any, **kwargs: Any) -> AsyncArray:
    """Create an array of one value.

    >>> import fastzarr.compat as zarr
    >>> zarr.full(3, 7, dtype="i4", store={})[:]
    array([7, 7, 7], dtype=int32)
    """
    return create(**filling("full", {"shape": shape, "fill_value": fill_value, **kwargs}))


def empty_like(a: Any, *, zarr_format: Any = None, **kwargs: Any) -> AsyncArray:
    """Create an array like another, without its elements.

    >>> import fastzarr.compat as zarr
    >>> zarr.empty_like(zarr.ones(3, store={}), store={}).shape
    (3,)
    """
    return create(**filling("empty_like", {"data": a, **kwargs}, zarr_format))


def zeros_like(a: Any, *, zarr_format: Any = None, **kwargs: Any) -> AsyncArray:
    """Create an array of zeros like another.

    >>> import fastzarr.compat as zarr
    >>> zarr.zeros_like(zarr.ones(3, dtype="i4", store={}), store={})[:]
    array([0, 0, 0], dtype=int32)
    """
    return create(**filling("zeros_like", {"data": a, **kwargs}, zarr_format))


def ones_like(a: Any, *, zarr_format: Any = None, **kwargs: Any) -> AsyncArray:
    """Create an array of ones like another.

    >>> import fastzarr.compat as zarr
    >>> zarr.ones_like(zarr.zeros(3, dtype="i4", store={}), store={})[:]
    array([1, 1, 1], dtype=int32)
    """
    return create(**filling("ones_like", {"data": a, **kwargs}, zarr_format))


def full_like(a: Any, *, zarr_format: Any = None, **kwargs: Any) -> AsyncArray:
    """Create an array of one value like another; ``fill_value`` is that of the other by default.

    >>> import fastzarr.compat as zarr
    >>> zarr.full_like(zarr.ones(3, dtype="i4", store={}), fill_value=7, store={})[:]
    array([7, 7, 7], dtype=int32)
    """
    return create(**filling("full_like", {"data": a, **kwargs}, zarr_format))


def array(data: Any, **kwargs: Any) -> AsyncArray:
    """Create an array of data.

    >>> import fastzarr.compat as zarr
    >>> zarr.array([1, 2, 3], store={}).shape
    (3,)
    """
    if isinstance(data, Array):
        words = {"store": None, **kwargs}
        return from_array(data=data, **words)
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        data = np.asanyarray(data)
    if kwargs.pop("read_only", False):
        msg = "read_only=True is no longer supported when creating new arrays"
        raise ValueError(msg)
    shape, chunks = shape_and_chunks(data)
    words = dict(kwargs)
    for name, value in (("dtype", data.dtype), ("chunks", chunks)):
        if words.get(name) is None:
            words[name] = value
    return create(**{**words, "shape": shape, "data": data})


def save(
    store: Any,
    *args: Any,
    zarr_format: Any = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save one array, or several as a group.

    >>> import fastzarr.compat as zarr, numpy as np
    >>> store = zarr.storage.MemoryStore()
    >>> zarr.save(store, np.arange(3))
    >>> zarr.load(store)
    array([0, 1, 2])
    """
    words: dict[str, Any] = {"zarr_format": zarr_format, "path": path}
    words["storage_options"] = storage_options
    if len(args) == 1 and not kwargs:
        save_array(store, args[0], **words)
    else:
        save_group(store, *args, **words, **kwargs)


def save_array(
    store: Any,
    arr: Any,
    *,
    zarr_format: Any = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save one array.

    >>> import fastzarr.compat as zarr, numpy as np
    >>> store = zarr.storage.MemoryStore()
    >>> zarr.save_array(store, np.arange(3))
    >>> zarr.load(store)
    array([0, 1, 2])
    """
    if not isinstance(arr, NDArrayLike):
        msg = f"arr argument must be numpy or other NDArrayLike array, not {type(arr).__name__}"
        raise TypeError(msg)
    mode = kwargs.pop("mode", "a")
    place = place_of(store, path or "", mode, storage_options)
    saved(place, arr, {"zarr_format": zarr_format, "mode": mode, **kwargs})


def save_group(
    store: Any,
    *args: Any,
    zarr_format: Any = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save several arrays as a group, in the place of what was there.

    >>> import fastzarr.compat as zarr, numpy as np
    >>> store = zarr.storage.MemoryStore()
    >>> zarr.save_group(store, np.arange(3), b=np.zeros(2))
    >>> sorted(zarr.open_group(store))
    ['arr_0', 'b']
    """
    given = {f"arr_{number}": value for number, value in enumerate(args)}
    if not given and not kwargs:
        msg = "at least one array must be provided"
        raise ValueError(msg)
    for name, value in (given | kwargs).items():
        if not isinstance(value, NDArrayLike):
            what = f"Keyword argument {name!r}" if name in kwargs else "All arguments"
            msg = f"{what} must be a numpy or other NDArrayLike array, not {type(value).__name__}"
            raise TypeError(msg)
    number = zarr_format or default_format()
    for value in (given | kwargs).values():
        parse_dtype(value.dtype, zarr_format=number)
    place = place_of(store, path or "", "w", storage_options)
    new_group(place, zarr_format=number, overwrite=True)
    for name, value in (given | kwargs).items():
        saved(place / name, value, {"zarr_format": number})


def load(store: Any, path: str | None = None, zarr_format: Any = None) -> Any:
    """Return all elements of the array in a store; of the arrays in a group, by name.

    >>> import fastzarr.compat as zarr, numpy as np
    >>> store = zarr.storage.MemoryStore()
    >>> zarr.save_array(store, np.arange(3))
    >>> zarr.load(store)
    array([0, 1, 2])
    """
    mode = "r+" if isinstance(store, Store | StorePath) and not store.read_only else "r"
    found = open(store, mode=mode, path=path, zarr_format=zarr_format)
    if isinstance(found, AsyncGroup):
        return {name: array[...] for name, array in found.inner.arrays()}
    return Array(found)[...]


def copy(source: Any, dest: Any, *args: Any, **kwargs: Any) -> Any:
    """Copy an array or a group into another group, as ``fastzarr.copy`` does.

    >>> import fastzarr.compat as zarr
    >>> source, dest = zarr.ones(3, store={}), zarr.create_group({})
    >>> _ = zarr.copy(source, dest, name="x")
    >>> dest["x"].shape
    (3,)
    """
    return transfer.copy(_inner(source), _inner(dest), *args, **kwargs)


def copy_all(source: Any, dest: Any, *args: Any, **kwargs: Any) -> Any:
    """Copy the members of a group into another group, as ``fastzarr.copy_all`` does.

    >>> import fastzarr.compat as zarr
    >>> source, dest = zarr.create_group({}), zarr.create_group({})
    >>> _ = source.create_group("a"), zarr.copy_all(source, dest)
    >>> list(dest)
    ['a']
    """
    return transfer.copy_all(_inner(source), _inner(dest), *args, **kwargs)


def copy_store(source: Any, dest: Any, *args: Any, **kwargs: Any) -> Any:
    """Copy the keys of a store into another store, as ``fastzarr.copy_store`` does.

    >>> import fastzarr.compat as zarr
    >>> source, dest = zarr.create_group({}), zarr.storage.MemoryStore()
    >>> zarr.copy_store(source.store, dest)[0]
    1
    """
    old, new = (inner_store(place_of(store).store) for store in (source, dest))
    return transfer_stores.copy_store(old, new, *args, **kwargs)


def _inner(node: Any) -> Any:
    return getattr(node, "inner", node)
