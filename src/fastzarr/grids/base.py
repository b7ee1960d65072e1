"""A chunk grid: along each axis, which chunk contains a position, and where each chunk begins.

Rules of this file:

* A grid divides each axis on its own, without gaps, from position 0 on; it does not know the shape
  of the array. The chunks of an array are those that its shape intersects.
* A chunk is stored at its full size, also where it reaches beyond the end of the array. Its part
  inside the array is its *extent*.
* All arithmetic of chunks is here. The rest of the package asks the grid, so that another grid is
  a class in ``GRIDS`` (``parse.py``) and nothing else. Only ``plan.make`` divides by ``steps``
  itself, for a span inside one chunk: the fast path of a small read.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

# One number, or an array of them, treated alike.
Numbers = TypeVar("Numbers", int, NDArray[np.int64])


def largest(variety: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return the largest of the sizes along each axis."""
    return tuple([max(sizes) for sizes in variety])


class Grid(ABC):
    """A chunk grid. Subclasses implement ``locate``, ``start`` and ``size``, and set ``steps``.

    ``steps`` is the length of all chunks along each axis, or None for an axis whose chunks differ.
    A grid other than the regular one also has a ``name`` in format 3, ``from_config``, ``config``
    and ``variety``, and is immutable and compared by its members.
    """

    __slots__ = ()

    name: str
    steps: tuple[int | None, ...]

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:
        """Return the grid of a format 3 name and its ``configuration``, located at ``where``.

        Raise ``MetadataError``, naming the member at fault, if the configuration is invalid.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        raise NotImplementedError

    def variety(self) -> tuple[tuple[int, ...], ...]:
        """Return the different lengths of chunks along each axis, the largest first."""
        raise NotImplementedError

    def check(self, shape: tuple[int, ...], where: str) -> None:  # noqa: B027  (most always can)
        """Raise ``MetadataError`` unless an array of ``shape`` can have this grid."""

    def grown(self, shape: tuple[int, ...]) -> Grid:  # noqa: ARG002  (most have no end)
        """Return the grid of the array when it has got another shape."""
        return self

    def agrees(self, other: Grid) -> bool:
        """Whether no chunk is different in ``other``, which may have more or fewer of them."""
        return self == other

    @abstractmethod
    def locate(self, axis: int, position: Numbers) -> Numbers:
        """Return the number of the chunk that contains a position."""

    @abstractmethod
    def start(self, axis: int, chunk: Numbers) -> Numbers:
        """Return the first position of a chunk. The one behind the last starts where that ends."""

    @abstractmethod
    def size(self, axis: int, chunk: Numbers) -> Numbers | int:
        """Return the length of a chunk as stored; for several chunks of one length, one number."""

    def chunk_at(self, axis: int, position: int) -> tuple[int, int, int]:
        """Return the number, the first position and the length of the chunk at a position."""
        k = self.locate(axis, position)
        return k, self.start(axis, k), int(self.size(axis, k))

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

    def shown(self, shape: tuple[int, ...]) -> tuple[int | tuple[int, ...], ...]:
        """Return the length of all chunks along each axis, or where they differ, all extents."""
        return tuple(
            tuple(self.extent(axis, np.arange(count), shape[axis]).tolist())
            if step is None
            else step
            for axis, (step, count) in enumerate(zip(self.steps, self.count(shape), strict=True))
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
