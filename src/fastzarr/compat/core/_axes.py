"""The chunks along one axis of an array, for ``chunk_grids.py``."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from fastzarr.compat.core.common import ceildiv_int
from fastzarr.grids.rectilinear import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@runtime_checkable
class DimensionGrid(Protocol):
    """The chunks along one axis of an array."""

    @property
    def nchunks(self) -> int:
        """The number of chunks that contain an element of the array."""

    @property
    def ngridcells(self) -> int:
        """The number of chunks that are declared."""

    @property
    def extent(self) -> int:
        """The length of the axis."""

    def index_to_chunk(self, idx: int) -> int:
        """Return the number of the chunk with a position; raise IndexError if it is outside."""

    def chunk_offset(self, chunk_ix: int) -> int:
        """Return the first position of a chunk."""

    def chunk_size(self, chunk_ix: int) -> int:
        """Return the length of a chunk as stored."""

    def data_size(self, chunk_ix: int) -> int:
        """Return how many positions of a chunk are in the array."""

    def indices_to_chunks(self, indices: Any) -> Any:
        """Return the numbers of the chunks with these positions."""

    @property
    def _unique_edge_lengths(self) -> Iterable[int]:
        """The different lengths of chunks."""

    def with_extent(self, new_extent: int) -> DimensionGrid:
        """Return the same chunks along an axis of another length."""

    def resize(self, new_extent: int) -> DimensionGrid:
        """Return the chunks of an axis that is given another length."""

    @property
    def _size_repr(self) -> str:
        """The lengths of the chunks as text."""


@dataclass(frozen=True)
class FixedDimension:
    """Chunks of one length along an axis.

    >>> axis = FixedDimension(size=4, extent=10)
    >>> axis.nchunks, axis.data_size(2), axis.index_to_chunk(9)
    (3, 2, 2)
    """

    size: int
    extent: int
    nchunks: int = field(init=False, repr=False)
    ngridcells: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Count the chunks; raise ValueError for a length that cannot be."""
        if self.size < 1:
            msg = f"FixedDimension size must be >= 1, got {self.size}"
            raise ValueError(msg)
        _check_extent(type(self).__name__, self.extent)
        count = ceildiv_int(self.extent, self.size)
        object.__setattr__(self, "nchunks", count)
        object.__setattr__(self, "ngridcells", count)

    def index_to_chunk(self, idx: int) -> int:
        """Return the number of the chunk with a position; raise IndexError if it is outside."""
        if idx < 0:
            msg = f"Negative index {idx} is not allowed"
            raise IndexError(msg)
        if idx >= self.extent:
            msg = f"Index {idx} is out of bounds for extent {self.extent}"
            raise IndexError(msg)
        return idx // self.size

    def chunk_offset(self, chunk_ix: int) -> int:
        """Return the first position of a chunk."""
        return chunk_ix * self.size

    def chunk_size(self, chunk_ix: int) -> int:  # noqa: ARG002  (all have one length)
        """Return the length of a chunk as stored."""
        return self.size

    def data_size(self, chunk_ix: int) -> int:
        """Return how many positions of a chunk are in the array."""
        return max(0, min(self.size, self.extent - chunk_ix * self.size))

    @property
    def _unique_edge_lengths(self) -> Iterable[int]:
        return (self.size,)

    def indices_to_chunks(self, indices: Any) -> Any:
        """Return the numbers of the chunks with these positions."""
        return indices // self.size

    def with_extent(self, new_extent: int) -> FixedDimension:
        """Return the same chunks along an axis of another length."""
        return FixedDimension(self.size, new_extent)

    def resize(self, new_extent: int) -> FixedDimension:
        """Return the chunks of an axis that is given another length."""
        return self.with_extent(new_extent)

    @property
    def _size_repr(self) -> str:
        return str(self.size)

    @property
    def inner(self) -> int:
        """What a grid of fastzarr has for this axis: the length of all chunks."""
        return self.size


@dataclass(frozen=True)
class VaryingDimension:
    """Chunks of the lengths ``edges`` along an axis.

    >>> axis = VaryingDimension([10, 20, 5], extent=32)
    >>> axis.nchunks, axis.data_size(2), axis.index_to_chunk(10)
    (3, 2, 1)
    """

    edges: tuple[int, ...]
    cumulative: tuple[int, ...]
    extent: int
    nchunks: int = field(init=False, repr=False)
    ngridcells: int = field(init=False, repr=False)

    def __init__(self, edges: Sequence[int], extent: int) -> None:
        """Initialise; raise ValueError if the chunks do not cover the axis."""
        edges = tuple(edges)
        if not edges:
            msg = "VaryingDimension edges must not be empty"
            raise ValueError(msg)
        if any(edge <= 0 for edge in edges):
            msg = f"All edge lengths must be > 0, got {edges}"
            raise ValueError(msg)
        _check_extent(type(self).__name__, extent)
        ends = tuple(itertools.accumulate(edges))
        if extent > ends[-1]:
            msg = f"VaryingDimension extent {extent} exceeds sum of edges {ends[-1]}"
            raise ValueError(msg)
        members = {
            "edges": edges,
            "cumulative": ends,
            "extent": extent,
            "nchunks": bisect_left(ends, extent) + 1 if extent else 0,
            "ngridcells": len(edges),
        }
        for name, value in members.items():
            object.__setattr__(self, name, value)

    def index_to_chunk(self, idx: int) -> int:
        """Return the number of the chunk with a position; raise IndexError if it is outside."""
        if not 0 <= idx < self.extent:
            msg = f"Index {idx} out of bounds for dimension with extent {self.extent}"
            raise IndexError(msg)
        return bisect_right(self.cumulative, idx)

    def chunk_offset(self, chunk_ix: int) -> int:
        """Return the first position of a chunk."""
        return self.cumulative[chunk_ix] - self.edges[chunk_ix]

    def chunk_size(self, chunk_ix: int) -> int:
        """Return the length of a chunk as stored."""
        return self.edges[chunk_ix]

    def data_size(self, chunk_ix: int) -> int:
        """Return how many positions of a chunk are in the array."""
        return max(0, min(self.edges[chunk_ix], self.extent - self.chunk_offset(chunk_ix)))

    @property
    def _unique_edge_lengths(self) -> Iterable[int]:
        return dict.fromkeys(self.edges)

    def indices_to_chunks(self, indices: Any) -> Any:
        """Return the numbers of the chunks with these positions."""
        return np.searchsorted(self.cumulative, indices, side="right")

    def with_extent(self, new_extent: int) -> VaryingDimension:
        """Return the same chunks along an axis of another length, which they must cover."""
        if self.cumulative[-1] < new_extent:
            msg = (
                f"VaryingDimension edge sum {self.cumulative[-1]} is less than new extent "
                f"{new_extent}"
            )
            raise ValueError(msg)
        return VaryingDimension(self.edges, new_extent)

    def resize(self, new_extent: int) -> VaryingDimension:
        """Return the chunks of an axis that is given another length, with one more if need be."""
        missing = new_extent - self.cumulative[-1]
        edges = (*self.edges, missing) if missing > 0 else self.edges
        return VaryingDimension(edges, new_extent)

    @property
    def _size_repr(self) -> str:
        return repr(self.edges)

    @property
    def inner(self) -> Runs:
        """What a grid of fastzarr has for this axis: the lengths with their repetitions."""
        return Runs.of((edge, 1) for edge in self.edges)


def _check_extent(kind: str, extent: int) -> None:
    if extent < 0:
        msg = f"{kind} extent must be >= 0, got {extent}"
        raise ValueError(msg)
