"""How long do selections other than boxes take: with steps, orthogonal, by coordinates?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Box, Engine, Row, Task, same
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.data import Workspace

LINES, POINTS = 60, 20_000


class Strided(Task):
    """Read with a step along each axis."""

    box: Box = (slice(1, None, 2), slice(2, None, 3), slice(3, None, 5))

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array."""
        super().__init__(engine, work)
        self.array = engine.open(work.place(layout))

    def prepare(self) -> None:
        """Clear the engine's cache of chunks."""
        self.array = self.engine.cold(self.array)

    def run(self) -> Any:
        """Read the selection."""
        return self.engine.strided(self.array, self.box)

    def check(self, result: Any) -> None:
        """Compare the result."""
        same(result, self.work.expected[self.box])


class Orthogonal(Strided):
    """Read the product of one sorted list of indices for each axis."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Draw the lists."""
        super().__init__(engine, work, layout)
        generator = np.random.default_rng(3)
        self.lists = [np.sort(generator.choice(size, LINES, replace=False)) for size in work.shape]

    def run(self) -> Any:
        """Read the selection."""
        return self.engine.orthogonal(self.array, self.lists)

    def check(self, result: Any) -> None:
        """Compare the result."""
        same(result, self.work.expected[np.ix_(*self.lists)])


class Points(Strided):
    """Read elements by coordinates, in one call and random order."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Draw the coordinates."""
        super().__init__(engine, work, layout)
        drawn = np.random.default_rng(4).integers(0, work.size, (3, POINTS))
        self.coordinates = list(drawn)

    def run(self) -> Any:
        """Read the elements."""
        return self.engine.points(self.array, self.coordinates)

    def check(self, result: Any) -> None:
        """Compare the elements."""
        same(result, self.work.expected[tuple(self.coordinates)])


_KINDS = (
    ("strided", "[1::2, 2::3, 3::5]", Strided),
    ("orthogonal", f"orthogonal {LINES}x{LINES}x{LINES}", Orthogonal),
    ("points", f"{POINTS:,} coordinates", Points),
)
ROWS = [
    Row(
        f"{name}-{layout}",
        f"{title}: {LAYOUTS[layout].title}",
        partial(task, layout=layout),
        layout,
    )
    for name, title, task in _KINDS
    for layout in ("blosc64", "zstd16")
]
