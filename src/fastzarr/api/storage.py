"""The functions of zarr-python 2's module ``storage``: nodes and keys of a store, by path.

Rules of this file:

* Each function is a shorthand of a verb of the store or of a function of this package, and accepts
  whatever these accept as a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastzarr.api.create import create
from fastzarr.api.open import create_group
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.nodes import documents
from fastzarr.stores.resolve import as_store, as_store_path

if TYPE_CHECKING:
    from fastzarr import hints
    from fastzarr.stores import Store
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types.options import DTypeLike, InitOptions

*_, array_meta_key = V2.names("array")
*_, group_meta_key = V2.names("group")
attrs_key = V2.attributes


def init_array(
    store: StoreLike,
    shape: hints.ShapeLike,
    chunks: hints.ChunksLike = True,
    dtype: DTypeLike = None,
    **kwargs: Unpack[InitOptions],
) -> None:
    """Create an array without data; the keywords are those of ``create``.

    >>> store = {}
    >>> init_array(store, shape=3, path="a")
    >>> contains_array(store, "a"), contains_group(store)
    (True, True)
    """
    create(shape, chunks, dtype, store=store, **kwargs)


def init_group(
    store: StoreLike,
    overwrite: bool = False,
    path: str | None = None,
    chunk_store: StoreLike = None,
) -> None:
    """Create a group; ``overwrite=True`` replaces an existing node.

    ``chunk_store`` has no effect: a group has no chunks.

    >>> store = {}
    >>> init_group(store, path="a")
    >>> contains_group(store, "a")
    True
    """
    del chunk_store
    create_group(store, path=path, overwrite=overwrite)


def contains_array(store: StoreLike, path: str | None = None) -> bool:
    """Whether there is an array at a path.

    >>> store = {}
    >>> init_array(store, shape=3, path="a")
    >>> contains_array(store, "a"), contains_array(store, "b")
    (True, False)
    """
    place = as_store_path(store, path)
    return isinstance(documents.load(place.store, place.path), Layout)


def contains_group(store: StoreLike, path: str | None = None, explicit_only: bool = True) -> bool:
    """Whether there is a group at a path.

    With ``explicit_only=False``, keys below the path are a group, too.

    >>> store = {"a/b": b"1"}
    >>> contains_group(store, "a"), contains_group(store, "a", explicit_only=False)
    (False, True)
    """
    place = as_store_path(store, path)
    found = documents.load(place.store, place.path)
    if found is None and not explicit_only:
        return not place.store.is_empty(place.path)
    return isinstance(found, GroupLayout)


def listdir(store: StoreLike, path: str | None = None) -> list[str]:
    """Return the sorted names of keys and folders directly below a path.

    >>> listdir({"a/b": b"1", "a/c/d": b"2"}, "a")
    ['b', 'c']
    """
    place = as_store_path(store, path)
    return list(place.store.list_dir(place.path))


def getsize(store: StoreLike, path: str | None = None) -> int:
    """Return the bytes of the value of a key, or of all values directly below a path.

    >>> store = {"a/b": b"12", "a/c": b"3"}
    >>> getsize(store, "a/b"), getsize(store, "a")
    (2, 3)
    """
    place = as_store_path(store, path)
    if place.path and place.store.exists(place.path):
        return place.store.getsize(place.path)
    keys = (documents.join(place.path, name) for name in place.store.list_dir(place.path))
    return sum(place.store.getsize(key) for key in keys if place.store.exists(key))


def rename(store: StoreLike, src_path: str, dst_path: str) -> None:
    """Move all keys at and below one path to another.

    >>> store = {"a/b": b"1"}
    >>> rename(store, "a", "c")
    >>> store
    {'c/b': b'1'}
    """
    as_store(store).move(src_path, dst_path)


def rmdir(store: StoreLike, path: str | None = "") -> None:
    """Delete all keys below a path.

    >>> store = {"a/b": b"1", "c": b"2"}
    >>> rmdir(store, "a")
    >>> store
    {'c': b'2'}
    """
    place = as_store_path(store, path)
    if place.path:
        place.store.delete_dir(place.path)
    else:
        place.store.clear()


def normalize_store_arg(
    store: StoreLike, storage_options: hints.StorageOptions | None = None, mode: hints.Mode = "r"
) -> Store:
    """Return the store that an argument represents, opened with a mode.

    >>> normalize_store_arg({"a": b"1"}).read_only
    True
    """
    return as_store(store, mode=mode, storage_options=storage_options)
