"""Cubed's arrays from and to arrays of this package.

Rules of this file:

* Cubed keeps what it computes in between in stores of zarr-python. Only what it begins with and
  what it ends with are arrays of this package.
* A task reads or writes one block. It may be repeated, which writes the same elements again.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import cubed
import numpy as np

from fastzarr.api.open import open_array
from fastzarr.integrations.blocks import end_inside, is_shared_safely
from fastzarr.nodes.array import Array
from fastzarr.stores.resolve import as_store_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr import hints
    from fastzarr.stores.resolve import StoreLike

__all__ = ["from_zarr", "store"]


def from_zarr(
    source: Array | StoreLike,
    path: str | None = None,
    *,
    chunks: Any = None,
    spec: Any = None,
    storage_options: hints.StorageOptions | None = None,
) -> Any:
    """Return an array of Cubed that reads a stored array when it is computed.

    By default a block is a stored object: a shard or a chunk.

    >>> import fastzarr
    >>> from fastzarr.integrations.cubed import from_zarr
    >>> x = from_zarr(fastzarr.create_array({}, data=[1, 2, 3], chunks=2))
    >>> x.chunks, (x + 1).compute()
    (((2, 1),), array([2, 3, 4]))
    """
    if isinstance(source, Array):
        array = source
    else:
        place = as_store_path(source, path, mode="r", storage_options=storage_options)
        array = open_array(place, "r")
    if chunks is None:
        chunks = tuple(max(sizes, default=1) for sizes in array.write_chunk_sizes)
    return cubed.from_array(array, chunks=chunks, asarray=True, spec=spec)


def store(sources: Any, targets: Array | Sequence[Array], **kwargs: Any) -> None:
    """Write arrays of Cubed to arrays of the same shapes; keywords are those of ``cubed.compute``.

    Raise ValueError if the shapes differ, or if blocks share a stored object in a store that may
    lose one of two changes of it.

    >>> import cubed, fastzarr, numpy as np
    >>> from fastzarr.integrations.cubed import store
    >>> z = fastzarr.zeros(3, chunks=2, dtype="i4")
    >>> store(cubed.from_array(np.array([1, 2, 3]), chunks=2), z)
    >>> z[:]
    array([1, 2, 3], dtype=int32)
    """
    arrays: list[Any] = list(sources) if isinstance(sources, list | tuple) else [sources]
    given = [targets] if isinstance(targets, Array) else list(targets)
    if len(arrays) != len(given):
        msg = f"there must be a target for each source, got {len(arrays)} and {len(given)}"
        raise ValueError(msg)
    for source, target in zip(arrays, given, strict=True):
        _check(source, target)
    tasks = [_writing(source, target) for source, target in zip(arrays, given, strict=True)]
    cubed.compute(*tasks, **kwargs)


def _check(source: Any, target: Array) -> None:
    if source.shape != target.shape:
        msg = f"the target {target.name!r} has shape {target.shape}, and the source {source.shape}"
        raise ValueError(msg)
    if is_shared_safely(target.chunk_store):
        return
    for axis, (blocks, grid) in enumerate(
        zip(source.chunks, target.write_chunk_sizes, strict=True)
    ):
        wrong = end_inside(blocks, grid, 0)
        if wrong is not None:
            msg = (
                f"a block ends at element {wrong} of axis {axis}, inside a chunk or shard of "
                f"{target.name!r}, and {target.store} may lose one of two changes of it; rechunk "
                "the source"
            )
            raise ValueError(msg)


def _writing(source: Any, target: Array) -> Any:
    """Return an array with an element for each block, which is computed by writing the block."""
    starts = [(0, *accumulate(sizes)) for sizes in source.chunks]

    def write(block: Any, block_id: tuple[int, ...] = ()) -> Any:
        begins = [start[at] for start, at in zip(starts, block_id, strict=True)]
        region = tuple(
            slice(begin, begin + size) for begin, size in zip(begins, block.shape, strict=True)
        )
        target[region] = block
        return np.zeros((1,) * block.ndim, "i1")

    ones = tuple((1,) * len(sizes) for sizes in source.chunks)
    return cubed.map_blocks(write, source, dtype=np.int8, chunks=ones)
