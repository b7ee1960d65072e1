"""How much does durability cost, for many chunks at once and for one?

Existing chunks are replaced. ``none`` syncs nothing, ``replace`` syncs a value before it replaces
another, and ``full`` syncs everything before the call returns. All other rows use ``none``, for
every engine.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.base import Row
from bench.data import LAYOUTS
from bench.small_writes import Unaligned

if TYPE_CHECKING:
    from bench.base import Engine
    from bench.data import Workspace

LEVELS = ("none", "replace", "full")


class Replace(Unaligned):
    """Replace chunks of a fully written array, at one level of durability."""

    def __init__(
        self, engine: Engine, work: Workspace, layout: str, level: str, half: bool
    ) -> None:
        """Prepare the box and the values to write."""
        super().__init__(engine, work, layout)
        self.level = level
        unit = LAYOUTS[layout].unit
        edges = (work.shape[0] // 2, *work.shape[1:]) if half else unit
        self.box = tuple(slice(0, edge) for edge in edges)
        self.value = np.array(work.expected[self.box]) + np.float32(1)

    def prepare(self) -> None:
        """Copy the array and open the copy."""
        self.place = self.work.copy(self.layout)
        self.array = self.engine.open_durably(self.place, self.level)


ROWS = [
    Row(
        f"durable-{count}-{level}",
        f"replace {title}, durability {level}: {LAYOUTS['blosc64'].title}",
        partial(Replace, layout="blosc64", level=level, half=half),
        "blosc64",
    )
    for count, title, half in (("many", "half of the chunks", True), ("one", "one chunk", False))
    for level in LEVELS
]
