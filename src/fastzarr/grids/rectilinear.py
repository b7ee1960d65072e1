"""The rectilinear chunk grid: chunks of any lengths along each axis.

Rules of this file:

* An axis is an integer, the length of all its chunks, or ``Runs``: lengths with the number of times
  that each is repeated. Nothing is kept for each chunk, so that a document of a few bytes can name
  any number of them.
* The chunks of an axis together are at least as long as the axis. Those beyond its end are not part
  of the array, but may become it when the array grows.
* If the axis grows beyond its last chunk, it gets one more, as long as what is missing. An axis
  with an integer just has more chunks. Chunks never change their lengths, because they are stored
  at full size. When the axis shrinks, all lengths are kept. This is what zarr-python does, too.
* ``rectangular`` of the draft ZEP 3 is the same grid with another name of its member; it is read.

Specification: zarr-extensions, "Rectilinear chunk grid".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fastzarr._lazy import cached
from fastzarr.checked import MAX_SIZE, as_int, as_list, check_members, choice, fail, member, show
from fastzarr.grids.base import Grid, Numbers


@dataclass(frozen=True)
class Runs:
    """The lengths of the chunks of one axis: pairs of a length and how often it is repeated.

    >>> Runs.of([(10, 2), (10, 1), (5, 1)])
    Runs(pairs=((10, 3), (5, 1)))
    """

    pairs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, pairs: Any) -> Self:
        """Return the runs with equal neighbours put together."""
        merged: list[tuple[int, int]] = []
        for length, count in pairs:
            if merged and merged[-1][0] == length:
                merged[-1] = (length, merged[-1][1] + count)
            else:
                merged.append((length, count))
        return cls(tuple(merged))

    @cached
    def lengths(self) -> tuple[int, ...]:
        """The length of a chunk of each run."""
        return tuple([length for length, _ in self.pairs]) or (1,)

    @cached
    def firsts(self) -> tuple[int, ...]:
        """The number of the first chunk of each run."""
        return _sums([count for _, count in self.pairs])[:-1] or (0,)

    @cached
    def starts(self) -> tuple[int, ...]:
        """The first position of each run."""
        return _sums([length * count for length, count in self.pairs])[:-1] or (0,)

    @cached
    def arrays(self) -> tuple[Any, Any, Any]:
        """The lengths, firsts and starts as arrays."""
        return tuple([np.array(row, np.int64) for row in (self.lengths, self.firsts, self.starts)])  # type: ignore[return-value]  # three rows

    @cached
    def total(self) -> int:
        """The length of all chunks together."""
        return sum([length * count for length, count in self.pairs])

    def begins(self, other: Runs) -> bool:
        """Whether ``other`` has these chunks, and maybe more behind them."""
        if not self.pairs:
            return True
        at = len(self.pairs) - 1
        if other.pairs[:at] != self.pairs[:at] or len(other.pairs) <= at:
            return False
        (length, count), (theirs, most) = self.pairs[at], other.pairs[at]
        return length == theirs and count <= most and (count == most or len(other.pairs) > at)

    def to_json(self) -> list[int | list[int]]:
        """Return the lengths, repeated ones as pairs."""
        return [length if count == 1 else [length, count] for length, count in self.pairs]


def _sums(numbers: list[int]) -> tuple[int, ...]:
    sums = [0]
    for number in numbers:
        sums.append(sums[-1] + number)
    return tuple(sums)


@dataclass(frozen=True)
class RectilinearGrid(Grid):
    """Chunks of the lengths ``axes`` along each axis.

    >>> grid = RectilinearGrid((Runs(((10, 2), (5, 1))), 4))
    >>> grid.locate(0, 19), grid.start(0, 2), grid.count((25, 10)), grid.extents((22, 10))
    (1, 20, (3, 3), ((10, 10, 2), (4, 4, 2)))
    """

    axes: tuple[int | Runs, ...]

    name = "rectilinear"

    @cached
    def steps(self) -> tuple[int | None, ...]:
        """The length of all chunks along each axis, or None for an axis whose chunks differ."""
        return tuple([axis if isinstance(axis, int) else None for axis in self.axes])

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:
        """Return the grid of a configuration with ``kind`` and ``chunk_shapes``."""
        key = "chunk_shapes"
        if name == cls.name:
            check_members(config, {"kind": True, key: True}, where)
            choice(config["kind"], ("inline",), member(where, "kind"))
        else:
            key = "chunk_shape"
            check_members(config, {key: True}, where)
        where = member(where, key)
        return cls.of(as_list(config[key], where), where)

    @classmethod
    def of(cls, sizes: list[Any], where: str) -> Self:
        """Return the grid of what a document has for each axis: an integer, or a list.

        Raise ``MetadataError`` for a length or a number that is not a positive integer.
        """
        return cls(tuple([_axis(size, member(where, axis)) for axis, size in enumerate(sizes)]))

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        shapes = [axis if isinstance(axis, int) else axis.to_json() for axis in self.axes]
        return {"kind": "inline", "chunk_shapes": shapes}

    def check(self, shape: tuple[int, ...], where: str) -> None:
        """Raise ``MetadataError`` unless the chunks cover an array of ``shape``."""
        where = member(where, "chunk_shapes") if where.endswith("configuration") else where
        if len(self.axes) != len(shape):
            fail(f"has {len(self.axes)} entries for the {len(shape)} axes of the shape", where)
        for place, (axis, size) in enumerate(zip(self.axes, shape, strict=True)):
            if isinstance(axis, Runs) and axis.total < size:
                msg = f"the chunks are {axis.total} long together, but the axis has length {size}"
                fail(msg, member(where, place))

    def grown(self, shape: tuple[int, ...]) -> RectilinearGrid:
        """Return the grid with one more chunk along each axis that it does not cover."""
        axes = [
            Runs.of([*axis.pairs, (size - axis.total, 1)])
            if isinstance(axis, Runs) and axis.total < size
            else axis
            for axis, size in zip(self.axes, shape, strict=True)
        ]
        return self if tuple(axes) == self.axes else RectilinearGrid(tuple(axes))

    def agrees(self, other: Grid) -> bool:
        """Whether no chunk is different in ``other``, which may have more or fewer of them."""
        if not isinstance(other, RectilinearGrid) or len(self.axes) != len(other.axes):
            return False
        return all(
            mine.begins(theirs) or theirs.begins(mine)
            if isinstance(mine, Runs) and isinstance(theirs, Runs)
            else mine == theirs
            for mine, theirs in zip(self.axes, other.axes, strict=True)
        )

    def variety(self) -> tuple[tuple[int, ...], ...]:
        """Return the different lengths of chunks along each axis, the largest first."""
        return tuple(
            [
                (axis,) if isinstance(axis, int) else tuple(sorted(set(axis.lengths), reverse=True))
                for axis in self.axes
            ]
        )

    def locate(self, axis: int, position: Numbers) -> Numbers:
        """Return the number of the chunk that contains a position."""
        runs = self.axes[axis]
        if isinstance(runs, int):
            return position // runs
        if isinstance(position, np.ndarray):
            lengths, firsts, starts = runs.arrays
            run = np.searchsorted(starts, position, side="right") - 1
            return firsts[run] + (position - starts[run]) // lengths[run]  # type: ignore[no-any-return]
        at = max(bisect_right(runs.starts, position) - 1, 0)
        return runs.firsts[at] + (position - runs.starts[at]) // runs.lengths[at]

    def chunk_at(self, axis: int, position: int) -> tuple[int, int, int]:
        """Return the number, the first position and the length of the chunk at a position."""
        runs = self.axes[axis]
        if isinstance(runs, int):
            return position // runs, position - position % runs, runs
        at = bisect_right(runs.starts, position) - 1
        length, start = runs.lengths[at], runs.starts[at]
        passed = (position - start) // length
        return runs.firsts[at] + passed, start + passed * length, length

    def start(self, axis: int, chunk: Numbers) -> Numbers:
        """Return the first position of a chunk."""
        runs = self.axes[axis]
        if isinstance(runs, int):
            return chunk * runs
        if isinstance(chunk, np.ndarray):
            lengths, firsts, starts = runs.arrays
            run = np.searchsorted(firsts, chunk, side="right") - 1
            return starts[run] + (chunk - firsts[run]) * lengths[run]  # type: ignore[no-any-return]
        at = max(bisect_right(runs.firsts, chunk) - 1, 0)
        return runs.starts[at] + (chunk - runs.firsts[at]) * runs.lengths[at]

    def size(self, axis: int, chunk: Numbers) -> Numbers | int:
        """Return the length of a chunk as stored."""
        runs = self.axes[axis]
        if isinstance(runs, int):
            return runs
        if isinstance(chunk, np.ndarray):
            lengths, firsts, _ = runs.arrays
            return lengths[np.searchsorted(firsts, chunk, side="right") - 1]  # type: ignore[no-any-return]
        return runs.lengths[bisect_right(runs.firsts, chunk) - 1]


def _axis(size: Any, where: str) -> int | Runs:
    if not isinstance(size, (list, tuple)):
        return as_int(size, where, 1)
    pairs: list[tuple[int, int]] = []
    total = 0
    for place, item in enumerate(size):
        pair = item if isinstance(item, (list, tuple)) else (item, 1)
        at = member(where, place)
        if len(pair) != 2:
            fail(f"must be a length, or a length and a count, got {show(item)}", at)
        length, count = (as_int(number, at, 1) for number in pair)
        pairs.append((length, count))
        total += length * count
        if total > MAX_SIZE:
            fail("the chunks are longer than 2**63 - 1 together", at)
    return Runs.of(pairs)
