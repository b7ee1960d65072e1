"""The functions that open, save and copy whatever there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from fastzarr.v2._storage.classes import ConsolidatedMetadataStore
from fastzarr.v2._storage.store import (
    array_meta_key,
    attrs_key,
    consolidated_key,
    group_meta_key,
)
from fastzarr.v2.copying import copy, copy_all, copy_store
from fastzarr.v2.core import Array
from fastzarr.v2.creation import array as _array
from fastzarr.v2.creation import open_array
from fastzarr.v2.errors import PathNotFoundError
from fastzarr.v2.hierarchy import Group, group, open_group
from fastzarr.v2.storage import contains_array, contains_group, normalize_store_arg
from fastzarr.v2.util import TreeViewer, json_dumps, json_loads, normalize_storage_path

__all__ = [
    "LazyLoader",
    "consolidate_metadata",
    "copy",
    "copy_all",
    "copy_store",
    "load",
    "open",
    "open_consolidated",
    "save",
    "save_array",
    "save_group",
    "tree",
]


def open(
    store: Any = None,
    mode: str = "a",
    *,
    zarr_version: int | None = None,
    path: Any = None,
    **kwargs: Any,
) -> Any:
    """Open the array or group at a path, or create one if the mode says so.

    ``r`` and ``r+`` read, and read and write, what exists; ``a`` creates what is missing; ``w``
    replaces what exists; ``w-`` and ``x`` create, and fail if something exists. With a ``shape``,
    an array is created, and else a group.

    >>> store = {}
    >>> open(store, "w", shape=3, dtype="i2")[:] = 1
    >>> open(store, "r")[:]
    array([1, 1, 1], dtype=int16)
    """
    options = kwargs.pop("storage_options", None)
    store = normalize_store_arg(store, options, mode, zarr_version=zarr_version)
    path = normalize_storage_path(path)
    if "shape" in kwargs and mode in ("w", "w-", "x", "a"):
        is_array = True
    elif mode in ("w", "w-", "x"):
        is_array = False
    else:
        is_array = contains_array(store, path)
        if not is_array and mode != "a" and not contains_group(store, path):
            msg = f"nothing found at path {path!r}"
            raise PathNotFoundError(msg)
    make: Any = open_array if is_array else open_group
    return make(store, mode=mode, path=path, **kwargs)


class _Closing:
    """A store that is closed at the end of a block if it was opened for it."""

    def __init__(self, store: Any, zarr_version: int | None) -> None:
        self.ours = isinstance(store, (str, os.PathLike))
        self.store = normalize_store_arg(store, mode="w", zarr_version=zarr_version)

    def __enter__(self) -> Any:
        return self.store

    def __exit__(self, *exc: object) -> None:
        if self.ours:
            self.store.close()


def save_array(
    store: Any, arr: Any, *, zarr_version: int | None = None, path: Any = None, **kwargs: Any
) -> None:
    """Save one array; an existing node is replaced.

    >>> store = {}
    >>> save_array(store, [1, 2])
    >>> load(store)
    array([1, 2])
    """
    with _Closing(store, zarr_version) as place:
        _array(arr, store=place, overwrite=True, path=normalize_storage_path(path), **kwargs)


def save_group(
    store: Any, *args: Any, zarr_version: int | None = None, path: Any = None, **kwargs: Any
) -> None:
    """Save several arrays as a group; an existing node is replaced.

    >>> store = {}
    >>> save_group(store, [1, 2], b=[3.0])
    >>> sorted(load(store))
    ['arr_0', 'b']
    """
    if not args and not kwargs:
        msg = "at least one array must be provided"
        raise ValueError(msg)
    with _Closing(store, zarr_version) as place:
        made = group(place, overwrite=True, path=normalize_storage_path(path))
        for name, data in ({f"arr_{i}": each for i, each in enumerate(args)} | kwargs).items():
            made.create_dataset(name, data=data, overwrite=True)


def save(
    store: Any, *args: Any, zarr_version: int | None = None, path: Any = None, **kwargs: Any
) -> None:
    """Save one array, or several as a group.

    >>> store = {}
    >>> save(store, [1, 2])
    >>> load(store)
    array([1, 2])
    """
    if len(args) == 1 and not kwargs:
        save_array(store, args[0], zarr_version=zarr_version, path=path)
    else:
        save_group(store, *args, zarr_version=zarr_version, path=path, **kwargs)


class LazyLoader(Mapping[str, Any]):
    """The arrays of a group, each read into memory when it is first used."""

    def __init__(self, grp: Any) -> None:
        """Initialise with the group."""
        self.grp = grp
        self.cache: dict[str, Any] = {}

    def __getitem__(self, item: str) -> Any:
        """Return an array in memory."""
        if item not in self.cache:
            self.cache[item] = self.grp[item][...]
        return self.cache[item]

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.grp)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.grp)

    def __contains__(self, item: object) -> bool:
        """Whether there is a member of this name."""
        return item in self.grp

    def __repr__(self) -> str:
        """Return the names of the arrays."""
        return f"<LazyLoader: {', '.join(sorted(self.grp.array_keys()))}>"


def load(store: Any, zarr_version: int | None = None, path: Any = None) -> Any:
    """Return an array in memory, or a group as a ``LazyLoader``; None if there is no node.

    >>> load({}) is None
    True
    """
    store = normalize_store_arg(store, zarr_version=zarr_version)
    path = normalize_storage_path(path)
    if contains_array(store, path):
        return Array(store, path)[...]
    return LazyLoader(Group(store, path)) if contains_group(store, path) else None


def tree(grp: Any, expand: Any = False, level: int | None = None) -> TreeViewer:
    """Return a drawing of a hierarchy.

    >>> tree(group())
    /
    """
    return TreeViewer(grp, expand=expand, level=level)


def consolidate_metadata(
    store: Any, metadata_key: str = consolidated_key, *, path: Any = ""
) -> Any:
    """Write the documents of a whole hierarchy to one key, and open what was written.

    >>> store = {}
    >>> group(store)["a"] = [1, 2]
    >>> list(consolidate_metadata(store))
    ['a']
    """
    store = normalize_store_arg(store, mode="w")
    keys = [key for key in store if key.endswith((array_meta_key, group_meta_key, attrs_key))]
    documents = {key: json_loads(store[key]) for key in keys}
    copied = {"zarr_consolidated_format": 1, "metadata": documents}
    store[metadata_key] = json_dumps(copied)
    return open_consolidated(store, metadata_key, path=path)


def open_consolidated(
    store: Any, metadata_key: str = consolidated_key, mode: str = "r+", **kwargs: Any
) -> Any:
    """Open a hierarchy whose documents are read from its consolidated metadata.

    >>> store = {}
    >>> _ = consolidate_metadata(group(store).store)
    >>> open_consolidated(store)
    <fastzarr.v2.hierarchy.Group '/'>
    """
    options, version = kwargs.get("storage_options"), kwargs.get("zarr_version")
    store = normalize_store_arg(store, options, mode, zarr_version=version)
    if mode not in ("r", "r+"):
        msg = f"invalid mode, expected either 'r' or 'r+'; found {mode!r}"
        raise ValueError(msg)
    documents = ConsolidatedMetadataStore(store, metadata_key)
    chunks = kwargs.pop("chunk_store", None) or store
    return open(documents, mode, chunk_store=chunks, **kwargs)
