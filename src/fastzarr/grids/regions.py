"""An array divided into pieces of whole stored chunks, bounded in bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


# What is not in memory as one NumPy array is copied in pieces of about this many bytes.
_PIECE = 64 << 20


def regions(
    shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int
) -> Iterator[tuple[slice, ...]]:
    """Divide an array into pieces of whole stored chunks, each about 64 MiB or one chunk.

    >>> [piece[0] for piece in regions((10,), (4,), 16 << 20)]
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    sizes = list(chunks)
    for axis in reversed(range(len(shape))):
        room = _PIECE // max(1, math.prod(sizes) * itemsize)
        sizes[axis] *= max(1, min(room, -(-shape[axis] // sizes[axis])))
    grid = tuple(-(-length // size) for length, size in zip(shape, sizes, strict=True))
    for place in np.ndindex(grid):
        yield tuple(
            slice(at * size, min((at + 1) * size, length))
            for at, size, length in zip(place, sizes, shape, strict=True)
        )
