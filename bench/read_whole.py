"""How long does it take to read all of an array?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.base import Engine, Row, Task, same, whole
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.data import Workspace


class ReadWhole(Task):
    """Read all of an array that is open, into memory made for it."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array."""
        super().__init__(engine, work)
        self.place, self.layout = work.place(layout), layout
        self.array = engine.open(self.place)

    def prepare(self) -> None:
        """Forget what the last run has read."""
        self.array = self.engine.cold(self.array)

    def run(self) -> Any:
        """Read it."""
        return self.engine.read(self.array, whole(self.place.shape))

    def check(self, result: Any) -> None:
        """Compare it with what was written."""
        same(result, self.work.values(self.layout))


WHOLE = [name for name in LAYOUTS if name not in {"steps", "tiny"}]
ROWS = [
    Row(f"read-{name}", f"read all: {LAYOUTS[name].title}", partial(ReadWhole, layout=name), name)
    for name in WHOLE
]
