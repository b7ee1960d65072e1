"""Indexers of one axis: which chunks an item of a selection touches, and what of each."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.core._selecting import (
    boundscheck_indices,
    check_axis,
    check_steps,
    is_integer_array,
    normalize_integer_selection,
    wraparound_indices,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class ChunkDimProjection(NamedTuple):
    """What a selection takes of a chunk along one axis, and where it goes in the result."""

    dim_chunk_ix: int
    dim_chunk_sel: Any
    dim_out_sel: Any
    is_complete_chunk: bool


class Order(Enum):
    """Whether indices ascend."""

    UNKNOWN = 0
    INCREASING = 1
    DECREASING = 2
    UNORDERED = 3

    @staticmethod
    def check(a: NDArray[Any]) -> Order:
        """Return the order of indices."""
        up = a[1:] >= a[:-1]
        if up.all():
            return Order.INCREASING
        return Order.UNORDERED if up.any() else Order.DECREASING


def runs_of(a: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the distinct numbers of a sorted array, and the end of the run of each."""
    if not a.size:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    starts = np.flatnonzero(np.concatenate([[True], a[1:] != a[:-1]]))
    return a[starts].astype(np.intp), np.append(starts[1:], a.size).astype(np.intp)


class IntDimIndexer:
    """One index along an axis."""

    nitems = 1

    def __init__(self, dim_sel: int, dim_len: int, dim_grid: Any) -> None:
        """Raise BoundsCheckError if the index is outside the axis."""
        self.dim_sel = normalize_integer_selection(dim_sel, dim_len)
        self.dim_len, self.dim_grid = dim_len, dim_grid

    def __iter__(self) -> Iterator[ChunkDimProjection]:
        """Yield the chunk of the index."""
        grid = self.dim_grid
        k = grid.index_to_chunk(self.dim_sel)
        inside = self.dim_sel - grid.chunk_offset(k)
        yield ChunkDimProjection(k, inside, None, grid.data_size(k) == 1)


class SliceDimIndexer:
    """A slice along an axis."""

    def __init__(self, dim_sel: slice, dim_len: int, dim_grid: Any) -> None:
        """Raise NegativeStepError if the slice goes backward."""
        check_steps((dim_sel,))
        self.start, self.stop, self.step = dim_sel.indices(dim_len)
        self.dim_len, self.dim_grid = dim_len, dim_grid
        self.nitems = len(range(self.start, self.stop, self.step))
        self.nchunks = dim_grid.nchunks

    def __iter__(self) -> Iterator[ChunkDimProjection]:
        """Iterate over the chunks in which there are elements."""
        if not self.nitems:
            return
        grid, step, last = self.dim_grid, self.step, self.stop - 1
        done = 0
        for k in range(grid.index_to_chunk(self.start), grid.index_to_chunk(last) + 1):
            first, length = grid.chunk_offset(k), grid.data_size(k)
            begin = self.start + done * step - first
            end = min(self.stop - first, length)
            count = len(range(begin, end, step))
            if not count:
                continue
            whole = begin == 0 and step == 1 and self.stop >= first + length
            out = slice(done, done + count)
            yield ChunkDimProjection(k, slice(begin, end, step), out, whole)
            done += count


class BoolArrayDimIndexer:
    """A mask along an axis."""

    def __init__(self, dim_sel: NDArray[np.bool_], dim_len: int, dim_grid: Any) -> None:
        """Raise IndexError if the mask has not the length of the axis."""
        check_axis(dim_sel, dim_len)
        self.dim_sel, self.dim_len, self.dim_grid = dim_sel, dim_len, dim_grid
        self.nchunks = dim_grid.nchunks
        counts = [np.count_nonzero(self._part(k)) for k in range(self.nchunks)]
        self.chunk_nitems = np.asarray(counts, dtype=np.int64)
        self.chunk_nitems_cumsum = np.cumsum(self.chunk_nitems)
        self.nitems = int(self.chunk_nitems.sum())
        self.dim_chunk_ixs = np.flatnonzero(self.chunk_nitems)

    def _part(self, k: int) -> NDArray[np.bool_]:
        first = self.dim_grid.chunk_offset(k)
        return self.dim_sel[first : first + self.dim_grid.data_size(k)]

    def __iter__(self) -> Iterator[ChunkDimProjection]:
        """Iterate over the chunks in which there are elements."""
        for k in map(int, self.dim_chunk_ixs):
            inside = np.zeros(self.dim_grid.chunk_size(k), dtype=bool)
            part = self._part(k)
            inside[: len(part)] = part
            stop = int(self.chunk_nitems_cumsum[k])
            out = slice(stop - int(self.chunk_nitems[k]), stop)
            yield ChunkDimProjection(k, inside, out, is_complete_chunk=False)


class Dense:
    """Counts for all chunks, which are made only when they are asked for."""

    chunk_run_ends: NDArray[np.intp]

    def dense(self, places: NDArray[np.intp], total: int) -> NDArray[np.intp]:
        found = np.zeros(total, dtype=np.intp)
        found[places] = np.diff(self.chunk_run_ends, prepend=0)
        return found


class IntArrayDimIndexer(Dense):
    """Indices along an axis."""

    def __init__(
        self,
        dim_sel: Any,
        dim_len: int,
        dim_grid: Any,
        wraparound: bool = True,
        boundscheck: bool = True,
        order: Order = Order.UNKNOWN,
    ) -> None:
        """Raise BoundsCheckError if an index is outside the axis."""
        coords = np.asanyarray(dim_sel)
        if not is_integer_array(coords, 1):
            msg = "integer arrays in an orthogonal selection must be 1-dimensional only"
            raise IndexError(msg)
        coords = in_bounds(coords, dim_len, wraparound=wraparound, boundscheck=boundscheck)
        self.dim_len, self.dim_grid, self.nchunks = dim_len, dim_grid, dim_grid.nchunks
        self.nitems = len(coords)
        self.order = Order.check(coords) if order is Order.UNKNOWN else Order(order)
        chunks = dim_grid.indices_to_chunks(coords)
        self.dim_out_sel: NDArray[np.intp] | None = None
        if self.order is not Order.INCREASING:
            down = self.order is Order.DECREASING
            self.dim_out_sel = (
                np.arange(self.nitems)[::-1] if down else np.argsort(chunks, kind="stable")
            )
            coords, chunks = coords[self.dim_out_sel], chunks[self.dim_out_sel]
        self.dim_sel = coords
        self.dim_chunk_ixs, self.chunk_run_ends = runs_of(chunks)

    @cached
    def chunk_nitems(self) -> NDArray[np.intp]:
        """The number of elements in each chunk along the axis."""
        return self.dense(self.dim_chunk_ixs, self.nchunks)

    @cached
    def chunk_nitems_cumsum(self) -> NDArray[np.intp]:
        """The number of elements up to each chunk along the axis."""
        return np.cumsum(self.chunk_nitems)

    def __iter__(self) -> Iterator[ChunkDimProjection]:
        """Iterate over the chunks in which there are elements."""
        start = 0
        for k, stop in zip(self.dim_chunk_ixs.tolist(), self.chunk_run_ends.tolist(), strict=True):
            out = slice(start, stop) if self.dim_out_sel is None else self.dim_out_sel[start:stop]
            inside = self.dim_sel[start:stop] - self.dim_grid.chunk_offset(k)
            yield ChunkDimProjection(k, inside, out, is_complete_chunk=False)
            start = stop


def in_bounds(
    coords: NDArray[Any], size: int, *, wraparound: bool = True, boundscheck: bool = True
) -> NDArray[np.intp]:
    """Return indices of an axis that are not negative."""
    if boundscheck and coords.dtype.kind == "u":
        boundscheck_indices(coords, size)
    found = coords.astype(np.intp, copy=False)
    if wraparound:
        found = wraparound_indices(found, size)
    if boundscheck:
        boundscheck_indices(found, size)
    return found
