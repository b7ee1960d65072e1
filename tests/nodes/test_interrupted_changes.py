"""An interrupt at any point of a change leaves nodes that every thread can change."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from asked import AskedStore
from interrupting import Interrupt, elsewhere

import fastzarr as zarr
from fastzarr.stores import DBMStore, LocalStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# Where locks are taken and released.
FILES = ("place.py", "turn", "users.py", "pin.py", "system.py", "dbm.py", "held.py", "access.py")


class Plain(AskedStore):
    """A store without a way to notice other writers."""

    concurrency = 1


STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryStore(),
    "plain": lambda _: Plain(),
    "local": lambda path: LocalStore(path, durability="none"),
    "dbm": lambda path: DBMStore(path, durability="none"),
}
CHANGES: dict[str, Callable[[Any], object]] = {
    "write": lambda group: group["x"].__setitem__(..., 1),
    "part": lambda group: group["x"].__setitem__(1, 1),
    "attribute": lambda group: group["x"].attrs.__setitem__("a", 1),
    "resize": lambda group: group["x"].resize(2),
    "delete": lambda group: group.__delitem__("x"),
}


def change(group: Any) -> None:
    """Change a node in all ways that wait for other changes."""
    if "x" in group:
        group["x"][1] = 5
        group["x"].attrs["b"] = 2
        assert group["x"][1] == 5
        del group["x"]


# The interrupt may come before what was opened has an owner that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("kind", "verb"),
    # All stores in databases resize and delete in the same way.
    [(kind, verb) for kind in STORES for verb in CHANGES if kind != "dbm" or verb in "part"],
)
def test_nodes_can_be_changed_after_an_interrupt_at_any_point(
    kind: str, verb: str, kept: bool, tmp_path: Path
) -> None:
    errors: list[BaseException] = []
    points: list[int] = []

    def play() -> None:
        group = zarr.create_group(STORES[kind](tmp_path / "a"))
        for point in count(1):
            group.create_array("x", shape=4, chunks=4, dtype="i4", overwrite=True)[...] = 3
            interrupt = Interrupt(point, FILES)
            try:
                with interrupt.during():
                    CHANGES[verb](group)
            except KeyboardInterrupt as error:
                if kept:
                    # An interactive session keeps the frames of the last exception.
                    errors.append(error)
            if interrupt.left > 0:
                break
            points.append(point)
            if kept:
                change(group)
                errors.clear()
            else:
                elsewhere(lambda: change(group))

    # Waiting for itself, a thread would wait for ever.
    with zarr.config.set({"data_path": "numpy"}):
        elsewhere(play)
    assert len(points) > 10
