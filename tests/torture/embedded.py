"""Kill every change of a database in a file before and inside each of its system calls.

Rules of this file:

* A point is one kill of one change of a database of SQLite, LMDB or ``dbm.dumb``. Afterwards it
  must be in the state before the change or in the one after it, and the next writer must be able to
  change it. ``dbm.dumb`` may raise an error instead, but never read as if keys were missing.
* The verbs that replace, delete and move a whole node are changes, too. A document may still have
  the claim of the writer that was killed, which is white space.
* The library's own calls are among those of the change, because the trap is in the kernel.
"""

from __future__ import annotations

import argparse
import dbm.dumb
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from torture.archives import BEGUN, CHANGES, Change
from torture.frame import print_points, run_jobs, summary, told
from torture.harness import scratch
from torture.trap import Trap, forked, read_trace

import fastzarr
from fastzarr.errors import DatabaseError
from fastzarr.storage import DBMStore, LMDBStore, MemoryStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torture.archives import State
    from torture.frame import Budget, Row

KINDS: dict[str, Callable[[Path], Any]] = {
    "sqlite": SQLiteStore,
    "lmdb": LMDBStore,
    "dumb": lambda path: DBMStore(path, open=dbm.dumb.open),
}


def _array(store: Any, values: Any, *, overwrite: bool = False) -> None:
    fastzarr.create_array(store, name="g/x", data=values, chunks=(4,), overwrite=overwrite)


def _made(act: Callable[[Any], Any]) -> Callable[[State], State]:
    """Return what a verb makes of a state: in memory, where nothing is killed."""

    def new(old: State) -> State:
        store = MemoryStore(dict(old))
        act(store)
        return dict(store)

    return new


def _verb(name: str, act: Callable[[Any], Any]) -> Change:
    return Change(name, act, _made(act))


TREE = _made(lambda store: _array(store, np.arange(12)))({})
KEYS = [one for one in CHANGES if one.name not in ("flush", "compact")]
VERBS = [
    _verb("replace a node", lambda store: _array(store, np.arange(5) + 1.5, overwrite=True)),
    _verb("replace a group", lambda store: fastzarr.create_group(store, path="g", overwrite=True)),
    _verb("delete a node", lambda store: fastzarr.open_group(store).__delitem__("g")),
    _verb("move a node", lambda store: fastzarr.open_group(store).move("g", "h")),
]


def _begin(kind: str, path: Path, *, closed: bool) -> State:
    """Make a database, by a process that closes it or not; return what is in it."""

    def make() -> None:
        store = KINDS[kind](path)
        store.set_many((BEGUN | TREE).items())
        if closed:
            store.close()

    _, _, trouble, _ = forked(make)
    assert not trouble, trouble
    return BEGUN | TREE


def _unclaimed(state: State) -> State:
    return {key: one.rstrip() if key.endswith(".json") else one for key, one in state.items()}


def _wrong(kind: str, path: Path, old: State, new: State) -> str | None:
    """Return what is wrong with a database after a kill."""
    store = KINDS[kind](path)
    try:
        found = _unclaimed(dict(store))
    except DatabaseError as error:
        # The library promises nothing, but its keys are not taken for missing.
        return None if kind == "dumb" and "writer has died" in str(error) else str(error)
    if found not in (_unclaimed(old), _unclaimed(new)):
        return f"neither old nor new, but {sorted(found)}"
    store["more"] = b"0" * 50
    store.close()
    again = _unclaimed(dict(KINDS[kind](path)))
    return None if again == {**found, "more": b"0" * 50} else "the next change was lost"


def tries(
    kind: str, every: int = 1, changes: Sequence[Change] = (*KEYS, *VERBS)
) -> Iterator[tuple[str, str | None]]:
    """Try every so-many-th point of changes; yield its name, and what was wrong."""
    trap, count = Trap(), 0
    for change in changes:
        for closed in (True, False):
            for at, inside in _points(trap, kind, change, closed=closed):
                count += 1
                if count % every == 0:
                    name = f"{change.name}, {closed=}, {'inside' if inside else 'before'} call {at}"
                    yield name, _kill(trap, kind, change, (at, inside), closed=closed)


def _points(trap: Trap, kind: str, change: Change, *, closed: bool) -> list[tuple[int, bool]]:
    folder = scratch()
    path, trace = folder / "tree" / "a", folder / "trace"
    path.parent.mkdir()
    try:
        _begin(kind, path, closed=closed)
        work = lambda: change.act(KINDS[kind](path))  # noqa: E731
        outcome = trap.run(work, path.parent, trace=str(trace))
        assert not outcome.trouble, (kind, change.name, outcome.trouble)
        points = []
        for number, call in enumerate(read_trace(trace), 1):
            points.append((number, False))
            if call["kind"] == "write" and call["size"] > 1:
                points.append((number, True))
        return points
    finally:
        shutil.rmtree(folder)


def _kill(
    trap: Trap, kind: str, change: Change, point: tuple[int, bool], *, closed: bool
) -> str | None:
    folder = scratch()
    path = folder / "tree" / "a"
    path.parent.mkdir()
    try:
        old = _begin(kind, path, closed=closed)
        at, inside = point
        work = lambda: change.act(KINDS[kind](path))  # noqa: E731
        outcome = trap.run(work, path.parent, kill_at=at, inside=inside)
        if outcome.trouble and not outcome.killed:
            return outcome.trouble
        why, _, trouble, _ = forked(lambda: _wrong(kind, path, old, change.new(old)))
        return why or trouble or None
    finally:
        shutil.rmtree(folder)


def prove(budget: Budget, seed: int) -> list[Row]:
    """Kill the changes of all kinds of databases, every fifth point first."""
    del seed
    jobs = [["torture.embedded", kind, "--every", every] for every in ("5", "1") for kind in KINDS]
    what = "kill -9, changes of a database in a file"
    return [summary(19, what, run_jobs(jobs, budget), 500, told, controlled=False)]


def main() -> int:
    """Try the points of one kind of database, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m torture.embedded", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th point")
    options = parser.parse_args()
    found = tries(options.kind, options.every)
    print_points((f"{options.kind}, {name}", why) for name, why in found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
