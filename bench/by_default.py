"""How long do writes and changes take as each engine makes them without settings?

fastzarr syncs a value before it replaces another, and TensorStore (``tensorstore-sync``) every file
that it writes; the other engines never sync, nor does the column ``tensorstore``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import hierarchy, small_writes, write_whole
from bench.base import Row, Task, WrongError, whole
from bench.data import LAYOUTS

if TYPE_CHECKING:
    from bench.base import Engine
    from bench.data import Place, Workspace

CHUNKS = ("none64", "blosc64", "none16", "zstd16")
COUNT = 50


class Rewrite(small_writes.Unaligned):
    """Write a whole array over a fully written one."""

    def __init__(self, engine: Engine, work: Workspace, layout: str) -> None:
        """Prepare the values to write."""
        super().__init__(engine, work, layout)
        self.box = whole(work.shape)
        self.value = np.array(work.expected) + np.float32(1)


class Attribute(Task):
    """Set an attribute of an array several times, one by one."""

    place: Place
    array: Any

    def prepare(self) -> None:
        """Create an array without attributes and open it."""
        self.place = self.work.empty("tiny", (10,))
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Set the attribute."""
        for number in range(COUNT):
            self.array = self.engine.set_attribute(self.array, number)

    def check(self, result: Any) -> None:
        """Read the attribute back with zarr-python, or from h5py's own file with h5py."""
        del result
        if self.engine.name == "h5py":
            found = self.array.attrs["a"]
        else:
            import zarr

            found = zarr.open_array(str(self.place.folder), mode="r").attrs["a"]
        if found != COUNT - 1:
            msg = f"the attribute is {found}, expected {COUNT - 1}"
            raise WrongError(msg)

    def tidy(self) -> None:
        """Remove the array."""
        del self.array
        self.work.remove(self.place)


def by_default(row: Row) -> Row:
    """Return a row with the durability that each engine has without settings."""
    title = f"{row.title}, default durability"
    return replace(row, name=f"default-{row.name}", title=title, durability="default")


ROWS = [
    *map(
        by_default, (row for row in write_whole.ROWS if row.name.removeprefix("write-") in CHUNKS)
    ),
    *(
        by_default(
            Row(
                f"rewrite-{layout}",
                f"replace all: {LAYOUTS[layout].title}",
                partial(Rewrite, layout=layout),
                layout,
            )
        )
        for layout in CHUNKS
    ),
    *map(by_default, small_writes.ROWS),
    *map(by_default, (row for row in hierarchy.ROWS if row.name == "create-arrays")),
    by_default(Row("attribute", f"set an attribute {COUNT} times", Attribute)),
]
