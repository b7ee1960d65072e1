"""The intersection of a selection with a chunk grid, as a value that can be inspected and run.

Rules of this file:

* Nothing here does I/O, and no object is created per chunk. A plan has one part for each factor of
  the selection. A part lists the chunks that its factor intersects (its entries), each with the
  selected elements inside that chunk.
* The chunks of a plan are the Cartesian product of its parts' entries, numbered in C order. No two
  numbers refer to the same stored object.
* The ``extent`` of an entry is the size of its chunk's valid part, which lies inside the array,
  along the entry's axes. Only the grid knows it, so the plan carries it.
* The ``full`` of an entry is the size of its chunk as stored, along the entry's axes. It is given
  only where the chunks of the grid differ in size, so that the shape of each must be known.
* An entry is whole if it covers every valid element along its axes: of a span, if ``size`` equals
  ``extent``. A chunk is whole if all its entries are; its old content is then irrelevant to a
  write inside the array.
* The inside of a shard is a grid too, so the plan for one shard is made by the same function, from
  the factors of a :class:`Piece`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.selection.factors import Mask, Points, Span, new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fastzarr.grids.base import Grid

    Inner = tuple[NDArray[np.int64], ...]

Factor = Span | Points


class SpanPart(NamedTuple):
    """A span cut by the grid.

    Entry ``g`` selects ``size[g]`` elements of chunk ``chunk[g]`` from ``start[g]`` inside it, with
    ``step``. They are the elements from ``out[g]`` on in the result.
    """

    axis: int
    step: int
    chunk: list[int]
    start: list[int]
    size: list[int]
    out: list[int]
    extent: list[int]
    full: list[int] | None


class PointsPart(NamedTuple):
    """Points sorted by chunk; entry ``g`` has the points from ``bounds[g]`` to ``bounds[g + 1]``.

    ``inner`` has one array of coordinates inside the chunk for each axis, and ``extent`` one array
    of the entries' extents. ``out`` is the position of each point in the result, or None if sorting
    did not change their order.
    """

    axes: tuple[int, ...]
    chunk: list[tuple[int, ...]]
    bounds: list[int]
    inner: tuple[NDArray[np.int64], ...]
    out: NDArray[np.int64] | None
    extent: tuple[NDArray[np.int64], ...]
    whole: list[bool]
    full: tuple[NDArray[np.int64], ...] | None


class Piece(NamedTuple):
    """The part of a plan that concerns one chunk.

    ``factors`` select inside the chunk; ``out`` is the NumPy index of these elements in the result.
    ``extent`` is the shape of the chunk's valid part. ``full`` is the shape of the chunk, with None
    along axes where all chunks have the same size; it is None if they have along every axis.
    """

    chunk: tuple[int, ...]
    factors: tuple[Factor, ...]
    out: tuple[Any, ...]
    whole: bool
    extent: tuple[int, ...]
    full: tuple[int | None, ...] | None


class Plan(NamedTuple):
    """The intersection of a selection and a grid, with one part for each factor.

    ``counts`` is the number of entries of each part, and ``size`` their product, the number of
    chunks. ``mesh`` is True if a part has elements in scattered positions of the result. ``varies``
    is True if the chunks of the grid differ in shape.
    """

    parts: tuple[SpanPart | PointsPart, ...]
    counts: tuple[int, ...]
    size: int
    ndim: int
    mesh: bool
    varies: bool

    def places(self, counts: tuple[int, ...]) -> NDArray[np.int64]:
        """Return, for each piece, the number of its chunk in C order.

        ``counts`` is the number of chunks along each axis.
        """
        steps = [math.prod(counts[axis + 1 :]) for axis in range(len(counts))]
        places = np.zeros(1, np.int64)
        for part in self.parts:
            if isinstance(part, SpanPart):
                mine = np.array(part.chunk, np.int64) * steps[part.axis]
            else:
                rows = np.array(part.chunk, np.int64).reshape(-1, len(part.axes))
                mine = rows @ np.array([steps[axis] for axis in part.axes], np.int64)
            places = (places[:, np.newaxis] + mine).reshape(-1)
        return places

    def is_whole(self) -> bool:
        """Whether each piece covers all valid elements of its chunk."""
        return all(
            part.size == part.extent if isinstance(part, SpanPart) else all(part.whole)
            for part in self.parts
        )

    def chunk(self, number: int) -> tuple[int, ...]:
        """Return the coordinates of chunk ``number``, as ``piece`` does."""
        coords = [0] * self.ndim
        stride = self.size
        for part, entries in zip(self.parts, self.counts, strict=True):
            stride //= entries
            if isinstance(part, SpanPart):
                coords[part.axis] = part.chunk[number // stride % entries]
                continue
            found = part.chunk[number // stride % entries]
            for axis, coordinate in zip(part.axes, found, strict=True):
                coords[axis] = coordinate
        return tuple(coords)

    def piece(self, number: int) -> Piece:
        """Return the piece of chunk ``number``, from 0 to ``size`` - 1."""
        coords = [0] * self.ndim
        extent = [0] * self.ndim
        sizes: list[int | None] = [None] * self.ndim
        factors: list[Factor] = []
        out: list[Any] = []
        whole = True
        stride = self.size
        for part, entries in zip(self.parts, self.counts, strict=True):
            stride //= entries
            g = number // stride % entries
            if isinstance(part, SpanPart):
                count = part.size[g]
                coords[part.axis] = part.chunk[g]
                extent[part.axis] = part.extent[g]
                if part.full is not None:
                    sizes[part.axis] = part.full[g]
                # `size` reaches the extent only with a step of 1 or -1.
                whole = whole and count == part.extent[g]
                factors.append(Span(part.axis, part.start[g], part.step, count))
                out.append(slice(part.out[g], part.out[g] + count))
            else:
                low, high = part.bounds[g], part.bounds[g + 1]
                for axis, coordinate, extents in zip(
                    part.axes, part.chunk[g], part.extent, strict=True
                ):
                    coords[axis] = coordinate
                    extent[axis] = int(extents[g])
                if part.full is not None:
                    for axis, along in zip(part.axes, part.full, strict=True):
                        sizes[axis] = int(along[g])
                whole = whole and part.whole[g]
                factors.append(
                    Points(part.axes, tuple([c[low:high] for c in part.inner]), high - low)
                )
                out.append(slice(low, high) if part.out is None else part.out[low:high])
        full = tuple(sizes) if self.varies else None
        if self.mesh:
            # An open mesh of index arrays, so that several scattered axes select their product.
            out = [np.arange(o.start, o.stop) if type(o) is slice else o for o in out]
            return Piece(tuple(coords), tuple(factors), np.ix_(*out), whole, tuple(extent), full)
        # The empty index would return the element of a zero-dimensional array, not a view of it.
        index = tuple(out) or (Ellipsis,)
        return Piece(tuple(coords), tuple(factors), index, whole, tuple(extent), full)


def turned(factors: Sequence[Factor], axes: tuple[int, ...]) -> list[Factor]:
    """Return the factors with axes mapped to the transposed axes of a shard."""
    return [
        factor._replace(axis=axes[factor.axis])
        if isinstance(factor, Span)
        else factor._replace(axes=tuple([axes[axis] for axis in factor.axes]))
        for factor in factors
    ]


def make(factors: Sequence[Factor | Mask], shape: tuple[int, ...], grid: Grid) -> Plan:
    """Return the plan for the factors of a selection in an array of ``shape``.

    All selected elements must be inside the array.
    """
    parts: list[SpanPart | PointsPart] = []
    counts: list[int] = []
    steps = grid.steps
    size, mesh = 1, False
    for factor in factors:
        if type(factor) is Span:
            axis, start, step, count = factor
            length, full = steps[axis], None
            if length is not None:
                chunk = length
                k = start // chunk
                low = k * chunk
            elif count:
                k, low, chunk = grid.chunk_at(axis, start)
                full = [chunk]
            if count == 1 or (count and 0 <= start + (count - 1) * step - low < chunk):
                # Fast path for a span inside one chunk.
                rest = shape[axis] - low
                lists = ([k], [start - low], [count], [0], [min(rest, chunk)], full)
                parts.append(new(SpanPart, (axis, step, *lists)))
                counts.append(1)
                continue
            part: SpanPart | PointsPart = _cut_span(factor, shape[axis], grid)
        else:
            points = factor.points() if isinstance(factor, Mask) else factor
            part = _cut_points(points, shape, grid)
            mesh = mesh or part.out is not None
        parts.append(part)
        counts.append(len(part.chunk))
        size *= counts[-1]
    varies = None in steps
    return new(Plan, (tuple(parts), tuple(counts), size, len(shape), mesh, varies))


def _cut_span(span: Span, length: int, grid: Grid) -> SpanPart:
    axis, start, step, count = span
    if not count:
        return SpanPart(axis, step, [], [], [], [], [], None)
    # Computed for an ascending span; the result is mirrored at the end if the step is negative.
    stride = abs(step)
    low = min(start, start + (count - 1) * step)
    ks = _chunks_met(grid, axis, low, stride, count)
    starts = grid.start(axis, ks)
    first = np.maximum(-((low - starts) // stride), 0)
    stop = np.empty_like(first)
    stop[:-1], stop[-1] = first[1:], count
    met = stop > first
    ks, starts, first, stop = ks[met], starts[met], first[met], stop[met]
    inside = low + first * stride - starts
    counts = stop - first
    extent = grid.extent(axis, ks, length)
    out = first
    if step < 0:
        inside = inside + (counts - 1) * stride
        out = count - stop
    columns = (ks, inside, counts, out, extent)
    full = None
    if grid.steps[axis] is None:
        full = np.broadcast_to(grid.size(axis, ks), ks.shape).tolist()
    lists = [column.tolist() for column in columns]
    return SpanPart(axis, step, *lists, full)  # type: ignore[call-arg]  # five lists


def _chunks_met(grid: Grid, axis: int, low: int, stride: int, count: int) -> NDArray[np.int64]:
    """Return the chunks of an ascending span, or all between them if there are not more of those.

    Both have at most as many entries as the span has elements.
    """
    first, last = grid.locate(axis, low), grid.locate(axis, low + (count - 1) * stride)
    if last - first < count:
        return np.arange(first, last + 1)
    ks = grid.locate(axis, low + np.arange(count) * stride)
    return ks[np.concatenate(([True], ks[1:] != ks[:-1]))]


def _cut_points(points: Points, shape: tuple[int, ...], grid: Grid) -> PointsPart:
    axes = points.axes
    if not points.size:
        return PointsPart(axes, [], [0], points.coords, None, points.coords, [], None)
    if points.size > _MANY:
        # Many points are often in one chunk. Nothing is then computed for each of them.
        ends = [
            [grid.locate(axis, int(end)) for end in (along.min(), along.max())]
            for axis, along in zip(axes, points.coords, strict=True)
        ]
        if all(low == high for low, high in ends):
            return _in_one(points, tuple([low for low, _ in ends]), shape, grid)
    ids = [grid.locate(axis, along) for axis, along in zip(axes, points.coords, strict=True)]
    numbers, out = _chunk_numbers(ids, axes, shape, grid), None
    if not (numbers[1:] >= numbers[:-1]).all():
        out = _order(numbers)
        numbers = numbers[out]
    starts = np.concatenate(([0], (numbers[1:] != numbers[:-1]).nonzero()[0] + 1))
    bounds = [*starts.tolist(), points.size]
    met = starts if out is None else out[starts]
    ids = [k[met] for k in ids]
    # What has an item for each point is not kept for longer than it is used.
    del numbers
    counts = np.append(starts[1:], points.size) - starts
    coords = []
    for axis, along, k in zip(axes, points.coords, ids, strict=True):
        first = grid.start(axis, k).repeat(counts)
        coords.append(np.subtract(along if out is None else along[out], first, out=first))
    inner = tuple(coords)
    chunk = list(zip(*[k.tolist() for k in ids], strict=True))
    extent = tuple([grid.extent(axis, k, shape[axis]) for axis, k in zip(axes, ids, strict=True)])
    whole = _whole(bounds, inner, extent)
    return PointsPart(axes, chunk, bounds, inner, out, extent, whole, _full(axes, ids, grid))


def _in_one(
    points: Points, chunk: tuple[int, ...], shape: tuple[int, ...], grid: Grid
) -> PointsPart:
    """Return the part of points that are all in one chunk."""
    axes, inner, extent = points.axes, [], []
    for axis, k, along in zip(axes, chunk, points.coords, strict=True):
        first = int(grid.start(axis, k))
        inner.append(along - first if first else along)
        extent.append(grid.extent(axis, np.array([k]), shape[axis]))
    bounds = [0, points.size]
    whole = _whole(bounds, tuple(inner), tuple(extent))
    full = _full(axes, [np.array([k]) for k in chunk], grid)
    return PointsPart(axes, [chunk], bounds, tuple(inner), None, tuple(extent), whole, full)


def _full(axes: tuple[int, ...], ids: Sequence[NDArray[np.int64]], grid: Grid) -> Inner | None:
    """Return the sizes of chunks along some axes; None if all chunks have one size along them."""
    if all(grid.steps[axis] is not None for axis in axes):
        return None
    sizes = [grid.size(axis, k) for axis, k in zip(axes, ids, strict=True)]
    return tuple([np.broadcast_to(size, k.shape) for size, k in zip(sizes, ids, strict=True)])


def _whole(bounds: list[int], inner: Inner, extent: Inner) -> list[bool]:
    """Return of each entry whether it covers the valid part of its chunk along one axis."""
    whole = [False] * (len(bounds) - 1)
    if len(inner) == 1:
        for g, size in enumerate(extent[0].tolist()):
            if bounds[g + 1] - bounds[g] >= size:
                covered = np.zeros(size, bool)
                covered[inner[0][bounds[g] : bounds[g + 1]]] = True
                whole[g] = bool(covered.all())
    return whole


# With more points, it is worth a look whether all of them are in one chunk.
_MANY = 1 << 16
# Below this number of points, the type of the numbers makes no difference.
_FEW = 1 << 12
_LARGEST = 2**63 - 1


def _chunk_numbers(
    ids: list[NDArray[np.int64]], axes: tuple[int, ...], shape: tuple[int, ...], grid: Grid
) -> NDArray[Any]:
    """Return the number of each point's chunk among all, in an integer type as small as possible.

    ``ids`` are the numbers along each axis of the points.
    """
    counts = [int(grid.locate(axis, shape[axis] - 1)) + 1 for axis in axes]
    numbers: NDArray[Any] = ids[0]
    if math.prod(counts) > _LARGEST:
        # The chunks that are met are numbered in their order.
        _, numbers = np.unique(np.stack(ids), axis=1, return_inverse=True)
        return numbers.reshape(-1)
    for count, k in zip(counts[1:], ids[1:], strict=True):
        numbers = numbers * count
        numbers += k
    if numbers.size < _FEW:
        return numbers
    most = numbers.max()
    if most < 1 << 16:
        return numbers.astype(np.uint16)
    return numbers.astype(np.uint32) if most < 1 << 32 else numbers


def _order(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Return the indices that sort the numbers of chunks.

    The sort is stable, so that the last of several values for one element is written last. NumPy
    sorts integers of 16 bits by their digits, five times as fast as larger ones: those of 32 bits
    are sorted by their lower half, then by the upper.
    """
    if numbers.dtype != np.uint32:
        return np.argsort(numbers, kind="stable")
    out = np.argsort(numbers.astype(np.uint16), kind="stable")
    upper = (numbers >> 16).astype(np.uint16)[out]
    return out[np.argsort(upper, kind="stable")]
