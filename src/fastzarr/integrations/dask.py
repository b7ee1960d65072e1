"""dask's arrays from and to arrays of this package.

Rules of this file:

* Blocks are read and written without locks. For a store that may lose one of two changes of a
  stored object, blocks are made that share none.
* dask's own functions do the work. ``dask.array.from_array(z)`` and ``dask.array.store`` take
  arrays of this package as they are, too: these choose the blocks, and open and create arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
from dask.utils import parse_bytes

from fastzarr.api.create import create_array
from fastzarr.api.open import open_array
from fastzarr.engine import written
from fastzarr.integrations.blocks import aligned, is_shared_safely
from fastzarr.nodes.array import Array
from fastzarr.stores.resolve import as_store_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr import hints
    from fastzarr.stores.resolve import StoreLike

    Region = tuple[slice, ...]

__all__ = ["from_zarr", "store", "to_zarr"]


def from_zarr(
    source: Array | StoreLike,
    path: str | None = None,
    *,
    chunks: Any = None,
    storage_options: hints.StorageOptions | None = None,
    name: str | bool | None = None,
    inline_array: bool = False,
    **kwargs: Any,
) -> da.Array:
    """Return an array of dask that reads a stored array when it is computed.

    ``source`` is an array, or a store that has one at ``path``. By default a block is a stored
    object: a shard, if that is no larger than dask's setting ``array.chunk-size``, or a chunk.
    Other keywords, such as ``zarr_format``, are those of ``fastzarr.open_array``.

    >>> import fastzarr
    >>> from fastzarr.integrations.dask import from_zarr
    >>> z = fastzarr.create_array({}, data=[1, 2, 3, 4, 5], chunks=2)
    >>> x = from_zarr(z)
    >>> x.chunks, int(x.sum().compute())
    (((2, 2, 1),), 15)
    """
    if isinstance(source, Array):
        array = source
    else:
        place = as_store_path(source, path, mode="r", storage_options=storage_options)
        array = open_array(place, "r", **kwargs)
    found = _blocks(array) if chunks is None else chunks
    # An element of an array is no array: dask must not try one to find out.
    meta = array[(slice(0, 0),) * array.ndim]
    from_array: Any = da.from_array  # it has no types
    made: da.Array = from_array(
        array, chunks=found, name=name, inline_array=inline_array, meta=meta, asarray=False
    )
    return made


def _blocks(array: Array) -> tuple[tuple[int, ...], ...]:
    """Return the blocks in which an array is read."""
    most = parse_bytes(dask.config.get("array.chunk-size"))
    size = array.itemsize
    for sizes in array.write_chunk_sizes:
        size *= max(sizes, default=0)
    found = array.write_chunk_sizes if size <= most else array.read_chunk_sizes
    return tuple(sizes or (0,) for sizes in found)


def to_zarr(
    source: da.Array,
    target: Array | StoreLike = None,
    path: str | None = None,
    *,
    region: Region | None = None,
    compute: bool = True,
    return_stored: bool = False,
    storage_options: hints.StorageOptions | None = None,
    **kwargs: Any,
) -> Any:
    """Write an array of dask to an array, which is created if a store is given, and return that.

    ``region`` is the part of an existing array that is written. Keywords of
    ``fastzarr.create_array`` describe a new one, whose chunks are by default the blocks; if those
    differ in size, the chunks are the largest of them along each axis. With ``compute=False`` what
    ``dask.array.store`` returns is returned, which writes when it is computed; with
    ``return_stored=True``, an array of dask that reads what was written.

    >>> import dask.array as da, fastzarr
    >>> from fastzarr.integrations.dask import to_zarr
    >>> z = to_zarr(da.arange(6, chunks=4), {}, attributes={"units": "m"})
    >>> z.chunks, z[:]
    ((4,), array([0, 1, 2, 3, 4, 5]))
    >>> z = to_zarr(da.zeros(2, chunks=1, dtype=int), z, region=(slice(3, 5),))
    >>> z[:]
    array([0, 1, 2, 0, 0, 5])
    """
    if isinstance(target, Array):
        if kwargs or path is not None or storage_options:
            msg = f"the target {target} exists already; path= and other keywords are for a new one"
            raise TypeError(msg)
        array = target
    else:
        place = as_store_path(target, path, mode="a", storage_options=storage_options)
        words = {"chunks": tuple(max(*sizes, 1) for sizes in source.chunks)} | kwargs
        if "shards" in words:
            words["chunks"] = kwargs.get("chunks", "auto")
        array = create_array(place, shape=source.shape, dtype=source.dtype, **words)
    written = store(source, array, region, compute=compute, return_stored=return_stored)
    return array if compute and not return_stored else written


def store(
    sources: da.Array | Sequence[da.Array],
    targets: Array | Sequence[Array],
    regions: Region | Sequence[Region | None] | None = None,
    *,
    compute: bool = True,
    return_stored: bool = False,
    **kwargs: Any,
) -> Any:
    """Write arrays of dask to arrays, in parallel and without locks.

    It does what ``dask.array.store`` does, of which it takes other keywords. Blocks may end inside
    chunks if the store keeps the changes of several processes to one chunk apart, as folders,
    memory, databases and object stores with conditional writes do. For other stores, arrays are
    rechunked so that no chunk has two writers.

    >>> import dask.array as da, fastzarr
    >>> from fastzarr.integrations.dask import store
    >>> z = fastzarr.zeros(6, chunks=4, dtype="i4")
    >>> store(da.ones(4, chunks=3), z, (slice(1, 5),))
    >>> z[:]
    array([0, 1, 1, 1, 1, 0], dtype=int32)
    """
    one = isinstance(sources, da.Array)
    given: list[Any] = [sources] if one else list(sources)
    arrays: list[Any] = [targets] if isinstance(targets, Array) else list(targets)
    if regions is None or (regions and isinstance(regions[0], slice)):
        parts: list[Any] = [regions] * len(given)
    else:
        parts = list(regions)
    if not len(given) == len(arrays) == len(parts):
        msg = (
            f"there must be a target and a region for each source, got {len(given)} sources, "
            f"{len(arrays)} targets and {len(parts)} regions"
        )
        raise ValueError(msg)
    ready = [_apart(x, z, part) for x, z, part in zip(given, arrays, parts, strict=True)]
    whole = [
        tuple(slice(0, size) for size in z.shape) if part is None else part
        for z, part in zip(arrays, parts, strict=True)
    ]
    how = {"lock": False, "regions": whole, **kwargs}
    # Tasks, perhaps in other processes, write to them.
    paths = [array.path for array in arrays]
    if not (compute and return_stored):
        found = da.store(ready, arrays, compute=compute, return_stored=return_stored, **how)
        written.note(*paths)
        return found
    da.store(ready, arrays, **how)
    written.note(*paths)
    read = [from_zarr(z)[part] for z, part in zip(arrays, whole, strict=True)]
    return read[0] if one else tuple(read)


def _apart(source: da.Array, array: Array, region: Region | None) -> da.Array:
    """Return an array of dask whose blocks may be written to an array at the same time."""
    whole = tuple(slice(0, size) for size in array.shape) if region is None else region
    bounds = [part.indices(size) for part, size in zip(whole, array.shape, strict=True)]
    lengths = tuple(len(range(*bound)) for bound in bounds)
    if lengths != source.shape:
        what = "the array" if region is None else f"the region {region}"
        msg = f"{what} of {array.name!r} has shape {lengths}, and the blocks have {source.shape}"
        raise ValueError(msg)
    if is_shared_safely(array.chunk_store):
        return source
    grid = array.write_chunk_sizes
    if any(step != 1 for _, _, step in bounds):
        msg = (
            f"the region {region} of {array.name!r} has steps, but {array.store} may lose one of "
            "two changes of a chunk; write the whole array, or parts without steps"
        )
        raise ValueError(msg)
    blocks = tuple(
        aligned(sizes, grid[axis], bounds[axis][0]) for axis, sizes in enumerate(source.chunks)
    )
    rechunk: Any = source.rechunk
    rechunked: da.Array = rechunk(blocks)
    return rechunked
