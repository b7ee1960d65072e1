"""How long does it take to write a whole array without existing chunks?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Engine, Row, Task, stored, whole
from bench.data import LAYOUTS
from bench.read_whole import WHOLE

if TYPE_CHECKING:
    from bench.data import Place, Workspace


class WriteWhole(Task):
    """Write a whole array in a new folder; its metadata is written before, and not timed."""

    place: Place
    array: Any

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Load the values into memory."""
        super().__init__(engine, work)
        self.layout = layout
        self.value = np.array(work.values(layout))

    def prepare(self) -> None:
        """Create a new folder and open the array in it."""
        self.place = self.work.empty(self.layout)
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Write the array."""
        self.engine.write(self.array, whole(self.place.shape), self.value)

    def check(self, result: Any) -> None:
        """Read the array back in another process."""
        del result
        stored(self.place, self.value, self.engine)

    def tidy(self) -> None:
        """Remove the folder."""
        del self.array
        self.work.remove(self.place)


ROWS = [
    Row(f"write-{name}", f"write all: {LAYOUTS[name].title}", partial(WriteWhole, layout=name))
    for name in WHOLE
]
