"""A chunk grid: along each axis, which chunk contains a position, and where each chunk begins.

Rules of this file:

* A grid divides each axis on its own, without gaps, from position 0 on; it does not know the shape
  of the array. The chunks of an array are those that its shape intersects.
* A chunk is stored at its full size, also where it reaches beyond the end of the array. Its part
  inside the array is its *extent*.
* All arithmetic of chunks is here. The rest of the package asks the grid, so that chunks of other
  lengths need a class beside ``RegularGrid`` and nothing else. Only ``plan.make`` divides by
  ``steps`` itself, for a span inside one chunk: the fast path of a small read.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

# One number, or an array of them, treated alike.
Numbers = TypeVar("Numbers", int, NDArray[np.int64])


class Grid(ABC):
    """A chunk grid. Subclasses implement ``locate``, ``start`` and ``size``, and set ``steps``.

    ``steps`` is the length of all chunks along each axis, or None for an axis whose chunks differ.
    """

    __slots__ = ()

    steps: tuple[int | None, ...]

    @abstractmethod
    def locate(self, axis: int, position: Numbers) -> Numbers:
        """Return the number of the chunk that contains a position."""

    @abstractmethod
    def start(self, axis: int, chunk: Numbers) -> Numbers:
        """Return the first position of a chunk. The one behind the last starts where that ends."""

    @abstractmethod
    def size(self, axis: int, chunk: Numbers) -> Numbers | int:
        """Return the length of a chunk as stored; for several chunks of one length, one number."""

    def extent(self, axis: int, chunk: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return the lengths of the parts of chunks that lie inside an axis of ``length``."""
        return np.minimum(self.size(axis, chunk), length - self.start(axis, chunk))

    def count(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of chunks along each axis of an array.

        >>> from fastzarr.grids.regular import RegularGrid
        >>> RegularGrid((2, 3)).count((5, 0))
        (3, 0)
        """
        locate = self.locate
        return tuple([locate(axis, n - 1) + 1 if n else 0 for axis, n in enumerate(shape)])

    def total(self, shape: tuple[int, ...]) -> int:
        """Return the number of chunks of an array; a zero-dimensional array has one."""
        return math.prod(self.count(shape))

    def cover(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of all chunks of an array together, as stored."""
        return tuple([self.start(axis, count) for axis, count in enumerate(self.count(shape))])

    def extents(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Return the lengths of all chunks along each axis, clipped at the end of the array."""
        return tuple(
            tuple(self.extent(axis, np.arange(count), shape[axis]).tolist())
            for axis, count in enumerate(self.count(shape))
        )

    def cut(self, axis: int, start: int, stop: int, times: int = 1) -> Iterator[slice]:
        """Divide a range of positions at every boundary of chunks, or at every ``times``-th.

        >>> from fastzarr.grids.regular import RegularGrid
        >>> [(part.start, part.stop) for part in RegularGrid((4,)).cut(0, 3, 10)]
        [(3, 4), (4, 8), (8, 10)]
        """
        if start >= stop:
            return
        end = self.locate(axis, stop - 1) + 1
        for chunk in range(self.locate(axis, start), end, times):
            following = chunk + times
            high = self.start(axis, following) if following < end else stop
            yield slice(max(self.start(axis, chunk), start), high)
