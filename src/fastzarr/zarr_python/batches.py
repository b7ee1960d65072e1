"""The selection of an array that a batch of chunks of zarr-python is.

zarr-python cuts a selection into chunks before it calls a pipeline: for each chunk there is an
index into the chunk and one into the result. The engine makes a plan of its own, so the selection
is put together again.

Rules of this file:

* Nothing is assumed of a batch. One that is not the product of selections along each axis, nor a
  list of points, is no selection: ``selected`` returns None, and zarr-python handles the batch.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.selection.factors import Points, Selection, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

Coords = tuple[int, ...]


class Met(NamedTuple):
    """A chunk of a batch: its coordinates, the index into it, and the index into the result."""

    coords: Coords
    inside: Any
    out: Any


def selected(
    batch: Sequence[Met], steps: Coords, shape: Coords | None, dropped: tuple[int, ...]
) -> Selection | None:
    """Return the selection of an array that a batch is, or None if it is none.

    ``steps`` is the shape of chunks, ``shape`` that of the result if it is known, and ``dropped``
    are the axes that it lacks although no integer selects along them.

    >>> one = Met((0,), (slice(3, 4),), (slice(0, 1),))
    >>> two = Met((1,), (slice(0, 2),), (slice(1, 3),))
    >>> selected([one, two], (4,), (3,), ()).factors
    (Span(axis=0, start=3, step=1, size=3),)
    """
    found = _Found(steps, _shape(batch) if shape is None else shape)
    if not all(type(met.inside) is tuple and len(met.inside) == len(steps) for met in batch):
        return None
    if not all(type(met.out) is tuple for met in batch):
        return found.points(batch) if len(found.shape) == 1 else None
    return found.product(batch, dropped)


def ends(selection: Selection) -> dict[int, int]:
    """Return, for each axis, the end of the part of the array that a selection reaches into."""
    found = {}
    for factor in selection.factors:
        if isinstance(factor, Span):
            found[factor.axis] = factor.start + (factor.size - 1) * factor.step + 1
        elif isinstance(factor, Points):
            for axis, along in zip(factor.axes, factor.coords, strict=True):
                found[axis] = int(along.max()) + 1
    return found


class _Found:
    """A batch's selection of an array with chunks of some shape."""

    def __init__(self, steps: Coords, shape: Coords) -> None:
        self.steps, self.shape = steps, shape

    def points(self, batch: Sequence[Met]) -> Selection | None:
        """Return the selection of a batch whose indices are points."""
        size = self.shape[0]
        coords = tuple([np.empty(size, np.int64) for _ in self.steps])
        placed = 0
        for met in batch:
            sizes = {inside.size for inside in met.inside if isinstance(inside, np.ndarray)}
            if len(sizes) != 1 or any(type(inside) is slice for inside in met.inside):
                return None
            placed += sizes.pop()
            for axis, inside in enumerate(met.inside):
                coords[axis][met.out] = inside.reshape(-1) + met.coords[axis] * self.steps[axis]
        if placed != size:
            return None
        axes = tuple(range(len(self.steps)))
        return Selection((Points(axes, coords, size),), self.shape, self.shape, None)

    def product(self, batch: Sequence[Met], dropped: tuple[int, ...]) -> Selection | None:
        """Return the selection of a batch that is the product of selections along each axis."""
        first = batch[0].inside
        kept = [
            axis
            for axis, inside in enumerate(first)
            if axis not in dropped and not isinstance(inside, int | np.integer)
        ]
        if len(kept) != len(self.shape):
            return None
        places = {axis: place for place, axis in enumerate(kept)}
        entries: list[dict[int, tuple[Any, Any]]] = [{} for _ in self.steps]
        for met in batch:
            if len(met.out) != len(kept):
                return None
            for axis, k in enumerate(met.coords):
                if k not in entries[axis]:
                    place = places.get(axis)
                    out = None if place is None else met.out[place]
                    entries[axis][k] = met.inside[axis], out
        # All combinations are there, each once: the coordinates of a batch are distinct.
        if prod(map(len, entries)) != len(batch) or len({met.coords for met in batch}) < len(batch):
            return None
        factors = []
        for axis, along in enumerate(entries):
            place = places.get(axis)
            size = 1 if place is None else self.shape[place]
            factor = self._along(axis, along, size)
            if factor is None:
                return None
            factors.append(factor)
        work = tuple([factor.size for factor in factors])
        return Selection(tuple(factors), work, self.shape, None)

    def _along(
        self, axis: int, entries: dict[int, tuple[Any, Any]], size: int
    ) -> Span | Points | None:
        """Return what is selected along an axis, ``size`` elements of the result."""
        step = self.steps[axis]
        if all(type(inside) is slice for inside, _ in entries.values()):
            ordered = sorted(entries.items(), key=lambda item: _start(item[1][1]))
            spans = [(range(s.start, s.stop, s.step or 1), out) for _, (s, out) in ordered]
            lows = [k * step for k, _ in ordered]
            stride, first = spans[0][0].step, lows[0] + spans[0][0].start
            done = 0
            for low, (inside, out) in zip(lows, spans, strict=True):
                if inside.step != stride or _start(out) != done:
                    break
                if low + inside.start != first + done * stride:
                    break
                done += len(inside)
            else:
                return Span(axis, first, stride, size) if done == size else None
        coords = np.empty(size, np.int64)
        placed = 0
        for k, (chosen, out) in entries.items():
            within = chosen
            if type(chosen) is slice:
                within = np.arange(chosen.start, chosen.stop, chosen.step or 1)
            positions = np.asarray(within).reshape(-1) + k * step
            placed += positions.size
            coords[_flat(out)] = positions
        if placed != size:
            return None
        return Points((axis,), (coords,), size)


def _shape(batch: Sequence[Met]) -> Coords:
    """Return the shape of the result that a batch has places in."""
    outs = [met.out if type(met.out) is tuple else (met.out,) for met in batch]
    stops = [
        [along.stop if type(along) is slice else int(np.max(along)) + 1 for along in out]
        for out in outs
    ]
    return tuple([max(along) for along in zip(*stops, strict=True)])


def _start(out: Any) -> int:
    """Return the first place of a slice of the result, which is 0 along an axis that it lacks."""
    return out.start if type(out) is slice else 0


def _flat(out: Any) -> Any:
    if out is None:
        return slice(0, 1)
    return out if type(out) is slice else np.asarray(out).reshape(-1)
