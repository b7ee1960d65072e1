"""Cut the power after any system call of the changes of a database in a file.

Rules of this file:

* The calls of SQLite and LMDB are traced, which write by system calls only: neither has a map that
  it writes values to. What is mapped for writing (``-shm`` and ``lock.mdb``) has any content later.
* The files are written in place. So of what was not synced, each sector of each write is there or
  not; other bytes do not change. Names are as in ``disk.py``, so that a file that nobody has synced
  into its folder may be gone, and a deleted journal may be back.
* If each transaction is synced, all that was acknowledged must be found; otherwise, the state after
  any of the changes since the last flush. The database is never damaged, and can be written.

    python -m torture.outages sqlite --durability replace
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from typing import TYPE_CHECKING, Any

from torture.archives import BEGUN, CHANGES, Change
from torture.disk import Disk, write_tree
from torture.frame import print_points, run_jobs, summary, told
from torture.harness import scratch
from torture.trap import Trap, forked, read_trace

from fastzarr.storage import LMDBStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torture.archives import State
    from torture.frame import Budget, Row

KINDS: dict[str, Callable[..., Any]] = {"sqlite": SQLiteStore, "lmdb": LMDBStore}
DURABILITIES = ("none", "replace", "full")
_LARGE = {f"l/{number}": bytes([number]) * 400_000 for number in range(4)}
_SMALL = {"a": b"5", "s": b"6" * 40}


def _large(store: Any) -> None:
    store.set_many(_LARGE.items())


#: The changes of a database, small ones and large ones, and what others do between them.
_MORE = {
    "large": Change("large", _large, lambda old: old | _LARGE),
    "small": Change(
        "small", lambda store: store.set_many(_SMALL.items()), lambda old: old | _SMALL
    ),
    "close": Change("close", lambda store: store.close(), lambda old: old),
}
HISTORY = (
    *("set", "large", "replace", "set many", "flush", "swap", "small", "large"),
    *("delete a folder", "small", "close", "replace", "large", "flush", "clear", "set"),
)
_FLUSHES = ("flush", "close")


def _changes() -> list[Change]:
    known = {one.name: one for one in CHANGES} | _MORE
    return [known[name] for name in HISTORY]


def cuts(
    kind: str, durability: str, count: int, seed: int = 0, *, new: bool = False
) -> Iterator[tuple[str, str | None]]:
    """Cut the power after any call of some changes; yield a name, and what was wrong.

    With ``new``, the changes create the database, in a folder that is not there yet.
    """
    trap, rng = Trap(), random.Random(seed)
    folder = scratch()
    root, trace = folder / "tree", folder / "trace"
    path = root / "below" / "a" if new else root / "a"
    root.mkdir()
    try:
        states: list[State] = [{}]
        if not new:
            states = [dict(BEGUN)]
            _, _, trouble, _ = forked(lambda: _begin(kind, path))
            assert not trouble, trouble
        chosen = _changes()
        for change in chosen:
            states.append(change.new(states[-1]))

        def work() -> None:
            store = KINDS[kind](path, durability=durability)
            for change in chosen:
                change.act(store)
                trap.mark(change.name)

        disk = Disk(root)
        outcome = trap.run(work, root, trace=str(trace))
        assert not outcome.trouble, outcome.trouble
        calls = [*read_trace(trace)]
        done = safe = shown = 0
        for number, call in enumerate(calls, 1):
            if call["kind"] == "mark":
                done += 1
                if durability != "none" or call["to"] in _FLUSHES:
                    safe = done
            else:
                disk.follow([call])
            while shown * len(calls) < number * count:
                shown += 1
                tree = disk.after(rng, in_place=True)
                allowed = states[safe : done + 2]
                name = f"{kind}, {durability}, {new=}, after call {number}, {done} changes made"
                yield name, _judged(kind, folder, path.relative_to(root), tree, allowed)
    finally:
        shutil.rmtree(folder)


def _begin(kind: str, path: Path) -> None:
    with KINDS[kind](path) as store:
        store.set_many(BEGUN.items())


def _judged(kind: str, folder: Path, path: Path, tree: Any, allowed: list[State]) -> str | None:
    """Return what is wrong with a content of the disk."""
    place = folder / "after"
    write_tree(tree, place)
    try:
        why, _, trouble, _ = forked(lambda: _wrong(kind, place / path, allowed))
        return why or trouble or None
    finally:
        shutil.rmtree(place)


def _wrong(kind: str, path: Path, allowed: list[State]) -> str | None:
    found = dict(KINDS[kind](path))
    if found not in allowed:
        sizes = {key: len(value) for key, value in found.items()}
        return f"{sizes} is none of {len(allowed)} states"
    with KINDS[kind](path) as store:
        store["more"] = b"0" * 50
    again = dict(KINDS[kind](path))
    return None if again == {**found, "more": b"0" * 50} else "the next change was lost"


def prove(budget: Budget, seed: int) -> list[Row]:
    """Cut the power in the changes of all kinds of databases."""
    jobs = [
        ["torture.outages", kind, "--durability", each, "--seed", str(seed), *new]
        for each in reversed(DURABILITIES)
        for kind in KINDS
        for new in ([], ["--new"])
    ]
    what = "power cuts, changes of a database of SQLite or LMDB"
    return [summary(4, what, run_jobs(jobs, budget), 2000, told, controlled=False)]


def main() -> int:
    """Cut the power in one kind of database, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m torture.outages", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--durability", choices=DURABILITIES, default="replace")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--new", action="store_true", help="the changes create the database")
    options = parser.parse_args()
    which = options.kind, options.durability, options.count, options.seed
    print_points(cuts(*which, new=options.new))
    return 0


if __name__ == "__main__":
    sys.exit(main())
