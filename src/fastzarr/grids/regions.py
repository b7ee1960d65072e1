"""Regions of whole stored chunks: an array divided into them, and chunks merged to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def boxes(chunks: Iterable[tuple[int, ...]]) -> list[tuple[range, ...]]:
    """Merge the coordinates of different chunks to boxes, each with a range along every axis.

    >>> boxes([(0, 0), (0, 1), (1, 0), (1, 1), (3, 1)])
    [(range(0, 2), range(0, 2)), (range(3, 4), range(1, 2))]
    """
    found = [tuple([range(k, k + 1) for k in coords]) for coords in chunks]
    for axis in reversed(range(len(found[0]) if found else 0)):
        lines: dict[tuple[range, ...], list[range]] = {}
        for box in found:
            lines.setdefault(box[:axis] + box[axis + 1 :], []).append(box[axis])
        found = [
            (*others[:axis], merged, *others[axis:])
            for others, parts in lines.items()
            for merged in _merged(parts)
        ]
    return found


def _merged(parts: list[range]) -> Iterator[range]:
    """Yield ranges that do not overlap in order, adjacent ones merged."""
    parts.sort(key=lambda part: part.start)
    start, stop = parts[0].start, parts[0].stop
    for part in parts[1:]:
        if part.start != stop:
            yield range(start, stop)
            start = part.start
        stop = part.stop
    yield range(start, stop)
