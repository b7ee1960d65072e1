"""Arrays divided into regions of whole stored chunks, of bounded size in bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.grids.base import Grid

# Data that is not a NumPy array is copied in pieces of about this many bytes.
_PIECE = 64 << 20


def regions(shape: tuple[int, ...], grid: Grid, itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Yield pieces of an array that consist of whole stored chunks, of about 64 MiB or one chunk.

    >>> from fastzarr.grids.regular import RegularGrid
    >>> [piece[0] for piece in regions((10,), RegularGrid((4,)), 16 << 20)]
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    counts = grid.count(shape)
    if 0 in counts:
        return
    sizes = [_longest(grid, axis, count) for axis, count in enumerate(counts)]
    times = [1] * len(shape)
    for axis in reversed(range(len(shape))):
        room = _PIECE // max(1, math.prod(sizes) * itemsize)
        times[axis] = max(1, min(room, counts[axis]))
        sizes[axis] *= times[axis]
    yield from _product(shape, grid, times, 0)


def _longest(grid: Grid, axis: int, count: int) -> int:
    return grid.steps[axis] or int(np.max(grid.size(axis, np.arange(count))))


def _product(
    shape: tuple[int, ...], grid: Grid, times: list[int], axis: int
) -> Iterator[tuple[slice, ...]]:
    if axis == len(shape):
        yield ()
        return
    for part in grid.cut(axis, 0, shape[axis], times[axis]):
        for rest in _product(shape, grid, times, axis + 1):
            yield part, *rest
