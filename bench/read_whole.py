"""How long does it take to read a whole array?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.base import Engine, Row, Task, same, whole
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.data import Workspace


class ReadWhole(Task):
    """Read a whole array that is already open into newly allocated memory."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Open the array."""
        super().__init__(engine, work)
        self.place, self.layout = work.place(layout), layout
        self.array = engine.open(self.place)

    def prepare(self) -> None:
        """Clear the engine's cache of chunks."""
        self.array = self.engine.cold(self.array)

    def run(self) -> Any:
        """Read the array."""
        return self.engine.read(self.array, whole(self.place.shape))

    def check(self, result: Any) -> None:
        """Compare the result with the values written."""
        same(result, self.work.values(self.layout))


WHOLE = [name for name in LAYOUTS if name not in {"steps", "tiny"}]
ROWS = [
    Row(f"read-{name}", f"read all: {LAYOUTS[name].title}", partial(ReadWhole, layout=name), name)
    for name in WHOLE
]
