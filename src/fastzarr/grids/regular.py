"""The regular chunk grid: chunks of one length along each axis."""

from __future__ import annotations

from dataclasses import dataclass

from fastzarr.checked import as_sizes, fail
from fastzarr.grids.base import Grid, Numbers


@dataclass(frozen=True, slots=True)
class RegularGrid(Grid):
    """Chunks of the shape ``steps``.

    >>> grid = RegularGrid((4,))
    >>> grid.locate(0, 9), grid.start(0, 2), grid.count((10,)), grid.extents((10,))
    (2, 8, (3,), ((4, 4, 2),))
    """

    steps: tuple[int, ...]

    def locate(self, axis: int, position: Numbers) -> Numbers:
        """Return the number of the chunk that contains a position."""
        return position // self.steps[axis]

    def start(self, axis: int, chunk: Numbers) -> Numbers:
        """Return the first position of a chunk."""
        return chunk * self.steps[axis]

    def size(self, axis: int, chunk: Numbers) -> int:  # noqa: ARG002  (all have one length)
        """Return the length of a chunk as stored."""
        return self.steps[axis]


def as_chunks(value: object, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Return a JSON list as the chunk shape of an array of ``shape``.

    Raise ``MetadataError`` for a size below 1, and for a wrong number of axes.
    """
    chunks = as_sizes(value, where, 1)
    if len(chunks) != len(shape):
        fail(f"has {len(chunks)} sizes for the {len(shape)} axes of the shape", where)
    return chunks
