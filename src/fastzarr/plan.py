"""A selection cut by a chunk grid: a value that can be printed, compared and run by anyone.

Rules of this file:

* Nothing here reads or writes, and nothing is made per chunk. A plan holds one part for each factor
  of the selection; a part lists the chunks its factor meets, and for each the elements inside it.
* The chunks of a plan are the product of its parts' entries: chunk number ``n`` is the tuple of
  entries that ``n`` stands for in C order. No two numbers are the same stored object.
* ``whole`` says of an entry that it covers every valid element of its chunk along its axes. A chunk
  is whole if all its entries are; then what was stored there before does not matter.
* The inside of a shard is a grid again, so a plan for one shard is made by the same function from
  the factors of a :class:`Piece`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.selection import Points, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Factor = Span | Points
# Makes a named tuple without the function of Python that its name stands for.
_new = tuple.__new__


class SpanPart(NamedTuple):
    """Hold a span cut by the grid: for each chunk start and count inside, and where it lands."""

    axis: int
    step: int
    chunk: list[int]
    start: list[int]
    size: list[int]
    out: list[int]
    whole: list[bool]


class PointsPart(NamedTuple):
    """Hold points sorted by chunk: entry ``g`` owns the points ``bounds[g]`` to ``bounds[g + 1]``.

    ``inner`` are coordinates inside the chunk, one array an axis. ``out`` is where each point lands
    in the result, or None where the points already come in that order.
    """

    axes: tuple[int, ...]
    chunk: list[tuple[int, ...]]
    bounds: list[int]
    inner: tuple[NDArray[np.int64], ...]
    out: NDArray[np.int64] | None
    whole: list[bool]


class Piece(NamedTuple):
    """Hold what a plan asks of one chunk.

    ``factors`` select inside the chunk, ``out`` is the NumPy index of the result they fill.
    """

    chunk: tuple[int, ...]
    factors: tuple[Factor, ...]
    out: tuple[Any, ...]
    whole: bool


class Plan(NamedTuple):
    """Hold the intersection of a selection and a grid: one part a factor.

    ``counts`` has the number of entries of each part; ``size``, their product, is that of chunks.
    ``mesh`` says whether some part lands on scattered places of the result.
    """

    parts: tuple[SpanPart | PointsPart, ...]
    counts: tuple[int, ...]
    size: int
    ndim: int
    mesh: bool

    def piece(self, number: int) -> Piece:
        """Give what is asked of chunk ``number`` of the plan."""
        coords = [0] * self.ndim
        factors: list[Factor] = []
        out: list[Any] = []
        whole = True
        stride = self.size
        for part, entries in zip(self.parts, self.counts, strict=True):
            stride //= entries
            g = number // stride % entries
            whole = whole and part.whole[g]
            if isinstance(part, SpanPart):
                count = part.size[g]
                coords[part.axis] = part.chunk[g]
                factors.append(Span(part.axis, part.start[g], part.step, count))
                out.append(slice(part.out[g], part.out[g] + count))
            else:
                low, high = part.bounds[g], part.bounds[g + 1]
                for axis, coordinate in zip(part.axes, part.chunk[g], strict=True):
                    coords[axis] = coordinate
                factors.append(
                    Points(part.axes, tuple([c[low:high] for c in part.inner]), high - low)
                )
                out.append(slice(low, high) if part.out is None else part.out[low:high])
        if self.mesh:
            # One index array an axis, so that scattered axes stand for a product.
            out = [np.arange(o.start, o.stop) if type(o) is slice else o for o in out]
            return Piece(tuple(coords), tuple(factors), np.ix_(*out), whole)
        # Without axes an ellipsis, since an empty index gives the element and not a view of it.
        return Piece(tuple(coords), tuple(factors), tuple(out) or (Ellipsis,), whole)


def make(factors: Sequence[Factor], shape: tuple[int, ...], chunks: tuple[int, ...]) -> Plan:
    """Cut the factors of a selection of an array of ``shape`` by the grid of ``chunks``."""
    parts: list[SpanPart | PointsPart] = []
    counts: list[int] = []
    size, mesh = 1, False
    for factor in factors:
        if type(factor) is Span:
            axis, start, step, count = factor
            chunk = chunks[axis]
            k = start // chunk
            if count == 1 or (count and k == (start + (count - 1) * step) // chunk):
                # One chunk: no arrays. It is whole only with steps of one, else count falls short.
                low = k * chunk
                rest = shape[axis] - low
                whole = count == min(rest, chunk)
                lists = ([k], [start - low], [count], [0], [whole])
                parts.append(_new(SpanPart, (axis, step, *lists)))
                counts.append(1)
                continue
            part: SpanPart | PointsPart = _cut_span(factor, shape[axis], chunk)
        else:
            part = _cut_points(factor, shape, chunks)  # type: ignore[arg-type]
            mesh = mesh or part.out is not None
        parts.append(part)
        counts.append(len(part.chunk))
        size *= counts[-1]
    return _new(Plan, (tuple(parts), tuple(counts), size, len(shape), mesh))


def take(chunk: NDArray[Any], factors: tuple[Factor, ...]) -> NDArray[Any]:
    """Select the factors from a chunk; the result has one axis a factor, in their order.

    With spans only it is a view, through which the chunk can be written as well.
    """
    index: list[Any] = [slice(None)] * chunk.ndim
    axes: list[int] = []
    for factor in factors:
        if isinstance(factor, Points):
            return chunk[index_of(factors, chunk.ndim)]  # type: ignore[no-any-return]
        axis, start, step, count = factor
        stop = start + count * step
        index[axis] = slice(start, stop if stop >= 0 else None, step)
        axes.append(axis)
    part: NDArray[Any] = chunk[(*index, Ellipsis)]
    return part if axes == sorted(axes) else part.transpose(axes)


def put(chunk: NDArray[Any], factors: tuple[Factor, ...], value: NDArray[Any]) -> None:
    """Write a value, of one axis a factor, to where the factors select."""
    if Points in set(map(type, factors)):
        chunk[index_of(factors, chunk.ndim)] = value
    else:
        take(chunk, factors)[...] = value


def index_of(factors: tuple[Factor, ...], ndim: int) -> tuple[Any, ...]:
    """Give the NumPy index of factors: for every axis an array in its factor's place."""
    index: list[Any] = [None] * ndim
    for place, factor in enumerate(factors):
        shape = [1] * len(factors)
        shape[place] = -1
        if isinstance(factor, Span):
            stop = factor.start + factor.size * factor.step
            index[factor.axis] = np.arange(factor.start, stop, factor.step).reshape(shape)
        else:
            for axis, coords in zip(factor.axes, factor.coords, strict=True):
                index[axis] = coords.reshape(shape)
    return tuple(index)


def _cut_span(span: Span, size: int, chunk: int) -> SpanPart:
    axis, start, step, count = span
    if not count:
        return SpanPart(axis, step, [], [], [], [], [])
    # Count upwards whatever the sign of the step, and turn the result round at the end.
    stride = abs(step)
    low = min(start, start + (count - 1) * step)
    ks = np.arange(low // chunk, (low + (count - 1) * stride) // chunk + 1)
    first = np.maximum(-((low - ks * chunk) // stride), 0)
    stop = np.append(first[1:], count)
    met = stop > first
    ks, first, stop = ks[met], first[met], stop[met]
    inside = low + first * stride - ks * chunk
    counts = stop - first
    whole = counts == np.minimum(chunk, size - ks * chunk)
    out = first
    if step < 0:
        inside = inside + (counts - 1) * stride
        out = count - stop
    columns = (ks, inside, counts, out, whole)
    return SpanPart(axis, step, *[column.tolist() for column in columns])


def _cut_points(points: Points, shape: tuple[int, ...], chunks: tuple[int, ...]) -> PointsPart:
    axes = points.axes
    if not points.size:
        return PointsPart(axes, [], [0], points.coords, None, [])
    ids = [coords // chunks[axis] for axis, coords in zip(axes, points.coords, strict=True)]
    inner = [
        coords - k * chunks[axis] for axis, coords, k in zip(axes, points.coords, ids, strict=True)
    ]
    changes = np.zeros(points.size - 1, dtype=bool)
    ordered = np.ones(points.size - 1, dtype=bool)
    for k in reversed(ids):
        step = np.diff(k)
        ordered = (step > 0) | ((step == 0) & ordered)
    out = None
    if not ordered.all():
        # A stable sort, so that of two values for one element the last given is the last written.
        out = np.lexsort(ids[::-1]) if len(ids) > 1 else np.argsort(ids[0], kind="stable")
        ids = [k[out] for k in ids]
        inner = [coords[out] for coords in inner]
    for k in ids:
        changes |= np.diff(k) != 0
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    bounds = [*starts.tolist(), points.size]
    chunk = list(zip(*[k[starts].tolist() for k in ids], strict=True))
    whole = [False] * len(chunk)
    if len(axes) == 1:
        size = chunks[axes[0]]
        for g, (k,) in enumerate(chunk):
            extent = min(size, shape[axes[0]] - k * size)
            if bounds[g + 1] - bounds[g] >= extent:
                whole[g] = np.unique(inner[0][bounds[g] : bounds[g + 1]]).size == extent
    return PointsPart(axes, chunk, bounds, tuple(inner), out, whole)
