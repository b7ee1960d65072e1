"""How long do small reads take, one by one: elements, boxes, chunks?

Only the first row includes the time of ``engine.open``; the others read from an open array.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Box, Engine, Row, Task, same
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.data import Workspace

ELEMENTS, BOXES, EDGE = 200, 50, 40


class OpenAndRead(Task):
    """Open an array and read one element of it."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Choose the array and the element."""
        super().__init__(engine, work)
        self.place = work.place(layout)
        self.at = tuple(size * 2 // 3 for size in work.shape)

    def run(self) -> Any:
        """Open the array and read the element."""
        return self.engine.read(self.engine.open(self.place), self.at)

    def check(self, result: Any) -> None:
        """Compare the element, which may be a scalar or an array of one element."""
        same(np.ravel(result), np.ravel(self.work.expected[self.at]))


class Elements(Task):
    """Read random elements, each with a separate call."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array and draw the elements."""
        super().__init__(engine, work)
        self.array = engine.open(work.place(layout))
        drawn = np.random.default_rng(1).integers(0, work.size, (ELEMENTS, 3))
        self.places = [tuple(map(int, at)) for at in drawn]

    def prepare(self) -> None:
        """Clear the engine's cache of chunks."""
        self.array = self.engine.cold(self.array)

    def run(self) -> Any:
        """Read one by one."""
        return [self.engine.read(self.array, at) for at in self.places]

    def check(self, result: Any) -> None:
        """Compare the elements."""
        found = np.concatenate([np.ravel(one) for one in result])
        same(found, self.work.expected[tuple(np.array(self.places).T)])


class Boxes(Elements):
    """Read random boxes, each with a separate call."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array and draw the boxes."""
        super().__init__(engine, work, layout)
        drawn = np.random.default_rng(2).integers(0, work.size - EDGE, (BOXES, 3))
        self.boxes: list[Box] = [
            tuple(slice(int(start), int(start) + EDGE) for start in starts) for starts in drawn
        ]

    def run(self) -> Any:
        """Read one by one."""
        return self.engine.boxes(self.array, self.boxes)

    def check(self, result: Any) -> None:
        """Compare each box."""
        for found, box in zip(result, self.boxes, strict=True):
            same(found, self.work.expected[box])


class Chunks(Boxes):
    """Read all chunks, each with a separate call."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array and list the chunks."""
        super().__init__(engine, work, layout)
        unit = work.place(layout).layout.unit
        counts = (range(size // edge) for size, edge in zip(work.shape, unit, strict=True))
        self.numbers = list(itertools.product(*counts))
        self.boxes = [
            tuple(slice(n * edge, (n + 1) * edge) for n, edge in zip(at, unit, strict=True))
            for at in self.numbers
        ]

    def run(self) -> Any:
        """Read one by one."""
        return self.engine.chunks(self.array, self.numbers, self.boxes)


_KINDS = (
    ("open", "open and read one element", OpenAndRead, ("none64", "blosc64", "shard32")),
    ("elements", f"{ELEMENTS} elements, one by one", Elements, ("none64", "blosc64", "shard32")),
    ("boxes", f"{BOXES} boxes of {EDGE}³, one by one", Boxes, ("zstd16", "blosc64", "shard32")),
    ("chunks", "all, chunk by chunk", Chunks, ("zstd16", "blosc64", "shard32")),
)
ROWS = [
    Row(
        f"{name}-{layout}",
        f"{title}: {LAYOUTS[layout].title}",
        partial(task, layout=layout),
        layout,
    )
    for name, title, task, layouts in _KINDS
    for layout in layouts
]
