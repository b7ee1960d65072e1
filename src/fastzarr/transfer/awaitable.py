"""The awaitable forms of the functions that copy.

Rules of this file: those of ``api/awaitable.py``.
"""

from __future__ import annotations

from fastzarr.engine.awaited import awaiting
from fastzarr.transfer import copy, stores


@awaiting(copy.copy)
def copy_async() -> None:
    """Copy an array or group into a group, as ``copy`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.copy_async(zarr.array([1, 2]), root := zarr.group(), name="x"))
    (1, 0, 16)
    >>> root["x"][:]
    array([1, 2])
    """


@awaiting(copy.copy_all)
def copy_all_async() -> None:
    """Copy all members of a group into another one, as ``copy_all`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> zarr.save(store := {}, x=[1, 2])
    >>> asyncio.run(zarr.copy_all_async(zarr.open_group(store), zarr.group()))
    (1, 0, 16)
    """


@awaiting(stores.copy_store)
def copy_store_async() -> None:
    """Copy the keys of a store into another one, as ``copy_store`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.copy_store_async({"a": b"1", "b": b"23"}, {}))
    (2, 0, 3)
    """
