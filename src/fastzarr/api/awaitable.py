"""The awaitable forms of the functions that open, create, save and load.

Rules of this file:

* A function ``x_async`` has the parameters, the results and the errors of ``x``. The ``def`` below
  a decorator has only its name and its documentation; a decorator cannot copy overloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, overload

from fastzarr.api import consolidate, create, save
from fastzarr.api import open as opening
from fastzarr.engine.awaited import awaiting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr import hints
    from fastzarr.nodes.array import Array
    from fastzarr.nodes.group import Group
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types.options import OpenOptions, OpenShapeOptions


@overload
async def open_async(
    store: StoreLike = ...,
    mode: hints.Mode | None = ...,
    *,
    shape: hints.ShapeLike,
    zarr_version: hints.ZarrFormat | None = ...,
    zarr_format: hints.ZarrFormat | None = ...,
    path: str | None = ...,
    storage_options: hints.StorageOptions | None = ...,
    **kwargs: Unpack[OpenShapeOptions],
) -> Array: ...
@overload
async def open_async(
    store: StoreLike = ...,
    mode: hints.Mode | None = ...,
    *,
    zarr_version: hints.ZarrFormat | None = ...,
    zarr_format: hints.ZarrFormat | None = ...,
    path: str | None = ...,
    storage_options: hints.StorageOptions | None = ...,
    **kwargs: Unpack[OpenOptions],
) -> Array | Group: ...
async def open_async(
    store: StoreLike = None,
    mode: hints.Mode | None = None,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    path: str | None = None,
    storage_options: hints.StorageOptions | None = None,
    **kwargs: Any,
) -> Array | Group:
    """Open the array or group at a path in a store, or create it, as ``open`` does.

    If the await is cancelled, nothing is created or replaced any more when ``CancelledError`` is
    raised.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.open_async({}, mode="w", shape=(3,), dtype="i2")).shape
    (3,)
    """
    call: Callable[..., Array | Group] = opening.open
    return await settled(
        store,
        call,
        store,
        mode,
        zarr_version=zarr_version,
        zarr_format=zarr_format,
        path=path,
        storage_options=storage_options,
        **kwargs,
    )


@awaiting(opening.open_array)
def open_array_async() -> None:
    """Open the array at a path in a store, or create it, as ``open_array`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.open_array_async({}, "w", shape=(3,), dtype="i2")).shape
    (3,)
    """


@awaiting(opening.open_group)
def open_group_async() -> None:
    """Open the group at a path in a store, or create it, as ``open_group`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.open_group_async({}, attributes={"title": "demo"})).attrs
    {'title': 'demo'}
    """


@awaiting(consolidate.open_consolidated)
def open_consolidated_async() -> None:
    """Open an existing group with its consolidated metadata, as ``open_consolidated`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> root = zarr.consolidate_metadata(zarr.group().store)
    >>> asyncio.run(zarr.open_consolidated_async(root.store)) == root
    True
    """


@awaiting(create.create_array)
def create_array_async() -> None:
    """Create an array in a store, as ``create_array`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.create_array_async({}, data=[1, 2, 3]))[:]
    array([1, 2, 3])
    """


@awaiting(opening.create_group)
def create_group_async() -> None:
    """Create a group in a store, as ``create_group`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.create_group_async({}, path="a")).path
    'a'
    """


@awaiting(consolidate.consolidate_metadata)
def consolidate_metadata_async() -> None:
    """Copy the metadata of all nodes below a group, as ``consolidate_metadata`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> root = asyncio.run(zarr.consolidate_metadata_async(zarr.group().store))
    >>> root.metadata.consolidated_metadata is None
    False
    """


@awaiting(create.create)
def create_async() -> None:
    """Create an array as ``create`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.create_async(3, store={}, dtype="i2")).shape
    (3,)
    """


@awaiting(create.from_array)
def from_array_async() -> None:
    """Copy an array of any library to a store, as ``from_array`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.from_array_async({}, data=zarr.array([1, 2, 3])))[:]
    array([1, 2, 3])
    """


@awaiting(opening.group)
def group_async() -> None:
    """Open or create a group, as ``group`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.group_async({}, path="a")).path
    'a'
    """


@awaiting(save.save)
def save_async() -> None:
    """Store one array, or several in a group, as ``save`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.save_async(store := {}, x=[1, 2], y=[3]))
    >>> zarr.load(store, "y")
    array([3])
    """


@awaiting(save.save_array)
def save_array_async() -> None:
    """Store an array, as ``save_array`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.save_array_async(store := {}, [1, 2]))
    >>> zarr.load(store)
    array([1, 2])
    """


@awaiting(save.save_group)
def save_group_async() -> None:
    """Store several arrays in a group, as ``save_group`` does.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> asyncio.run(zarr.save_group_async(store := {}, x=[1, 2]))
    >>> zarr.load(store, "x")
    array([1, 2])
    """


@awaiting(save.load)
def load_async() -> None:
    """Return what ``load`` returns; the arrays of a group are read when they are used.

    >>> import asyncio
    >>> import fastzarr as zarr
    >>> zarr.save(store := {}, [1, 2])
    >>> asyncio.run(zarr.load_async(store))
    array([1, 2])
    """
