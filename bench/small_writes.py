"""How long do writes take that are not aligned to chunks: in the middle, and appended?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Engine, Row, Task, stored
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.data import Place, Workspace

EDGE, STEPS = 100, 50


class Unaligned(Task):
    """Write a box across chunk borders of a fully written array."""

    place: Place
    array: Any

    def __init__(self, engine: Engine, work: Workspace, layout: str, edge: int = EDGE) -> None:
        """Prepare the box and the values to write."""
        super().__init__(engine, work)
        self.layout = layout
        # Neither side is on a chunk border, for any size of the array.
        start = (work.size - edge) // 2 + 1
        self.box = (slice(start, start + edge),) * 3
        self.value = np.array(work.expected[self.box][::-1]) + np.float32(1)

    def prepare(self) -> None:
        """Copy the array and open the copy."""
        self.place = self.work.copy(self.layout)
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Write the box."""
        self.engine.write(self.array, self.box, self.value)

    def check(self, result: Any) -> None:
        """Read the whole array back in another process."""
        del result
        expected = np.array(self.work.expected)
        expected[self.box] = self.value
        stored(self.place, expected, self.engine)

    def tidy(self) -> None:
        """Remove the copy."""
        del self.array
        self.work.remove(self.place)


class Append(Unaligned):
    """Append time steps to an array, one by one; nine of ten go into an existing chunk."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Use the first layers of the field as time steps."""
        super().__init__(engine, work, layout)
        self.value = np.array(work.expected[:STEPS])

    def prepare(self) -> None:
        """Create an array without time steps and open it."""
        self.place = self.work.empty(self.layout, (0, *self.work.shape[1:]))
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Append one by one."""
        for step in range(STEPS):
            self.array = self.engine.append(self.array, self.value[step : step + 1])

    def check(self, result: Any) -> None:
        """Read all time steps back in another process."""
        del result
        place = self.place
        stored(place, self.value, self.engine)


ROWS = [
    *(
        Row(
            f"unaligned-{layout}",
            f"write a box of {EDGE}³ off the grid: {LAYOUTS[layout].title}",
            partial(Unaligned, layout=layout),
            layout,
        )
        for layout in ("blosc64", "shard32")
    ),
    Row(
        "element-of-large-chunk",
        f"write one element: {LAYOUTS['blosc16m'].title}",
        partial(Unaligned, layout="blosc16m", edge=1),
        "blosc16m",
    ),
    Row(
        "append-steps",
        f"append {STEPS} time steps: {LAYOUTS['steps'].title}",
        partial(Append, layout="steps"),
    ),
]
