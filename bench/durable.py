"""How much does durability cost, for many chunks at once and for one?

Existing chunks are replaced. ``none`` syncs nothing, ``replace`` syncs a value before it replaces
another, and ``full`` syncs everything before the call returns. The rows of ``by_default`` use the
level that each engine has without settings, and all others use ``none``, for every engine.
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
    """Replace chunks of a fully written array."""

    def __init__(self, engine: Engine, work: Workspace, layout: str, half: bool) -> None:
        """Prepare the box and the values to write."""
        super().__init__(engine, work, layout)
        unit = LAYOUTS[layout].unit
        edges = (work.shape[0] // 2, *work.shape[1:]) if half else unit
        self.box = tuple(slice(0, edge) for edge in edges)
        self.value = np.array(work.expected[self.box]) + np.float32(1)


ROWS = [
    Row(
        f"durable-{count}-{level}",
        f"replace {title}, durability {level}: {LAYOUTS['blosc64'].title}",
        partial(Replace, layout="blosc64", half=half),
        "blosc64",
        durability=level,
    )
    for count, title, half in (("many", "half of the chunks", True), ("one", "one chunk", False))
    for level in LEVELS
]
