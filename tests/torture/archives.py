"""Kill every change of a zip archive before and inside each of its system calls.

Rules of this file:

* A point is one kill of one change of an archive, which begins with a directory at its end, or with
  changes behind the last directory, or does not exist.
* Afterwards the archive must be in the state before the change or in the one after it, for a new
  reader and for one that has opened it before. The next writer must be able to change it, and its
  directory must be one that the standard library reads.

    python -m torture.archives --durability full
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import zipfile
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
from torture.disk import PAGE, Disk
from torture.frame import run_jobs, summary, told
from torture.harness import scratch
from torture.trap import Process, Trap, forked, read_trace

import fastzarr
from fastzarr.storage import ZipStore
from fastzarr.stores.zip import archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torture.frame import Budget, Row

State = dict[str, bytes]
BEGUN: State = {"a": b"1" * 5000, "b/c": b"2", "b/d": b"3" * 100}


class Change(NamedTuple):
    """A change that is killed, and the state that it leads to."""

    name: str
    act: Callable[[ZipStore], Any]
    new: Callable[[State], State]


CHANGES = (
    Change("set", lambda store: store.set("n", b"4" * 9000), lambda old: {**old, "n": b"4" * 9000}),
    Change("replace", lambda store: store.set("a", b"5"), lambda old: {**old, "a": b"5"}),
    Change("delete", lambda store: store.delete("a"), lambda old: _but(old, "a")),
    Change(
        "set many",
        lambda store: store.set_many([("a", None), ("b/c", b"6" * 70), ("n/m", b"7" * 9000)]),
        lambda old: {**_but(old, "a"), "b/c": b"6" * 70, "n/m": b"7" * 9000},
    ),
    Change("delete a folder", lambda store: store.delete_dir("b"), lambda old: _but(old, "b/")),
    Change("clear", lambda store: store.clear(), lambda _: {}),
    Change(
        "move",
        lambda store: store.move("b", "x/y") if "b/c" in store else None,
        lambda old: {key.replace("b/", "x/y/", 1): value for key, value in old.items()},
    ),
    Change(
        "swap",
        lambda store: store.swap("a", b"8" * 300, store.validator("a")),
        lambda old: {**old, "a": b"8" * 300},
    ),
    Change("flush", lambda store: store.flush(), lambda old: old),
    Change("compact", lambda store: store.compact() if len(store) else None, lambda old: old),
)


def _replace(store: ZipStore) -> None:
    draft = store.draft("b")
    if draft is not None:
        draft.store.update({"e": b"5" * 3000, "f": b"6"})
        assert draft.publish(replace=True)


def _in_pieces(store: ZipStore) -> None:
    with patch.object(archive, "_PIECE", 60):
        if "b/c" in store:
            store.move("b", "x/y")


#: Those that other kinds of stores make in their own ways.
OWN = (
    Change(
        "replace a folder",
        _replace,
        lambda old: {**_but(old, "b/"), "b/e": b"5" * 3000, "b/f": b"6"} if old else {},
    ),
    Change(
        "move in pieces",
        _in_pieces,
        lambda old: {key.replace("b/", "x/y/", 1): value for key, value in old.items()},
    ),
)
#: How an archive begins, and what is in it.
BEGINNINGS = ("flushed", "unflushed", "twice flushed", "missing")


def _but(old: State, start: str) -> State:
    return {key: value for key, value in old.items() if not key.startswith(start)}


def _begin(path: Path, how: str) -> State:
    """Make an archive, by a process that dies; return what is in it."""
    if how == "missing":
        return {}

    def make() -> None:
        store = ZipStore(path)
        store.set_many(BEGUN.items())
        if how != "unflushed":
            store.flush()
        if how == "twice flushed":
            store["b/c"] = b"9"
            store.flush()
            store["b/c"] = BEGUN["b/c"]
        # The process ends without closing the store.
        store._held.archive.written = False  # noqa: SLF001

    _, _, trouble, _ = forked(make)
    assert not trouble, trouble
    return dict(BEGUN)


def _read(path: Path) -> State:
    return dict(ZipStore(path, mode="r")) if path.exists() else {}


def _wrong(path: Path, old: State, new: State, reader: ZipStore | None) -> str | None:
    """Return what is wrong with an archive after a kill."""
    found = _read(path)
    if found not in (old, new):
        return f"neither old nor new, but {_short(found)}"
    if reader is not None and dict(reader) not in (old, new):
        return f"an earlier reader sees {_short(dict(reader))}"
    with ZipStore(path) as store:
        if dict(store) != found:
            return f"a writer sees {_short(dict(store))}, not {_short(found)}"
        store["more"] = b"0" * 50
    with zipfile.ZipFile(path) as zipped:
        names, damaged = sorted(zipped.namelist()), zipped.testzip()
    if damaged or names != sorted({*found, "more"}):
        return f"the directory has {names}, and {damaged} is damaged"
    return None if _read(path) == {**found, "more": b"0" * 50} else "the next change was lost"


def _short(state: State) -> dict[str, Any]:
    return {key: value[:3] for key, value in state.items()}


def _points(trap: Trap, change: Change, how: str, durability: str) -> Iterator[tuple[int, bool]]:
    folder = scratch()
    path, trace = folder / "tree" / "a.zip", folder / "trace"
    path.parent.mkdir()
    try:
        _begin(path, how)
        outcome = trap.run(_work(change, path, durability), path.parent, trace=str(trace))
        assert not outcome.trouble, (change.name, how, outcome.trouble)
        for number, call in enumerate(read_trace(trace), 1):
            yield number, False
            if call["kind"] == "write" and call["size"] > 1:
                yield number, True
    finally:
        shutil.rmtree(folder)


def _work(change: Change, path: Path, durability: Any) -> Callable[[], None]:
    return lambda: change.act(ZipStore(path, durability=durability))


def tries(every: int = 1, durability: str = "replace") -> Iterator[tuple[str, str | None]]:
    """Try every so-many-th point; yield its name, and what was wrong."""
    trap = Trap()
    count = 0
    for change in (*CHANGES, *OWN):
        for how in BEGINNINGS:
            for at, inside in list(_points(trap, change, how, durability)):
                count += 1
                if count % every:
                    continue
                name = f"{change.name}, {how}, {'inside' if inside else 'before'} call {at}"
                yield name, _kill(trap, change, how, durability, (at, inside))


def _kill(
    trap: Trap, change: Change, how: str, durability: str, point: tuple[int, bool]
) -> str | None:
    folder = scratch()
    path = folder / "tree" / "a.zip"
    path.parent.mkdir()
    try:
        old = _begin(path, how)
        reader = ZipStore(path, mode="r") if old else None
        work = _work(change, path, durability)
        at, inside = point
        outcome = trap.run(work, path.parent, kill_at=at, inside=inside)
        if outcome.trouble and not outcome.killed:
            return outcome.trouble
        judge = lambda: _wrong(path, old, change.new(old), reader)  # noqa: E731
        why, _, trouble, _ = forked(judge)
        return why or trouble or None
    finally:
        shutil.rmtree(folder)


#: What is done before the power is cut, with the number of changes.
_HISTORY = (
    "set",
    "replace",
    "set many",
    "flush",
    "swap",
    "set",
    "delete a folder",
    "flush",
    "clear",
)


def cuts(count: int, durability: str, seed: int = 0) -> Iterator[tuple[str, str | None]]:
    """Cut the power after any call of some changes; yield a name, and what was wrong.

    With ``full``, all that was acknowledged must be found, and otherwise all that was flushed; with
    ``none``, any of the states. What is found is the state after one of the changes.
    """
    trap, rng = Trap(), random.Random(seed)
    folder = scratch()
    path, trace = folder / "tree" / "a.zip", folder / "trace"
    path.parent.mkdir()
    chosen = [next(one for one in (*CHANGES, *OWN) if one.name == name) for name in _HISTORY]
    try:
        states = [_begin(path, "flushed")]
        for change in chosen:
            states.append(change.new(states[-1]))

        def work() -> None:
            store = ZipStore(path, durability=durability)  # type: ignore[arg-type]
            for change in chosen:
                change.act(store)
                trap.mark(change.name)

        disk = Disk(path.parent)
        outcome = trap.run(work, path.parent, trace=str(trace))
        assert not outcome.trouble, outcome.trouble
        calls = [*read_trace(trace)]
        done = safe = 0
        each = -(-count // len(calls))
        for number, call in enumerate(calls, 1):
            if call["kind"] == "mark":
                done += 1
                if durability == "full" or (call["to"] == "flush" and durability != "none"):
                    safe = done
            else:
                disk.follow([call])
            for _ in range(each):
                found = folder / "found.zip"
                found.write_bytes(_after(disk.root.names["a.zip"], rng))
                allowed = states[safe : done + 2]
                yield f"{durability}, after call {number}", _cut(found, allowed)
                found.unlink()
    finally:
        shutil.rmtree(folder)


def _after(file: Any, rng: random.Random) -> bytes:
    """Return a content that a file may have after a power cut, which is only appended to.

    What was durable is not lost by that. The rest may be missing, cut off, or zeros in any page.
    """
    old, new = file.durable, file.now()
    if len(new) < len(old) or rng.random() < 0.2:
        return bytes(rng.choice([old, new]))
    longer = old.ljust(len(new), b"\0")
    pages = [rng.choice([longer, new])[at : at + PAGE] for at in range(0, len(new), PAGE)]
    cut = new[: rng.randint(len(old), len(new))]
    return bytes(rng.choice([longer, b"".join(pages), b"".join(pages)[: len(cut)], cut]))


def _cut(path: Path, allowed: list[State]) -> str | None:
    """Return what is wrong with an archive after a power cut."""
    found = _read(path)
    if found not in allowed:
        return f"{_short(found)} is none of {len(allowed)} states"
    return _wrong(path, found, found, None)


def contend(processes: int, threads: int, writes: int) -> int:
    """Let processes write parts of shared chunks; return how many writes were lost."""
    folder = scratch()
    path = str(folder / "a.zip")
    each = threads * writes
    try:
        size = processes * each
        fastzarr.create_array(path, shape=(size,), chunks=(-(-size // 4),), dtype="i4")

        def work(process: int) -> None:
            z = fastzarr.open_array(path, mode="r+")

            def write(start: int) -> None:
                for place in range(start, start + writes):
                    z[place] = place + 1

            some = [process * each + thread * writes for thread in range(threads)]
            at_once = [Thread(target=write, args=(start,)) for start in some]
            for thread in at_once:
                thread.start()
            for thread in at_once:
                thread.join()
            z.store.close()

        # Each works on places of its own, which share chunks.
        running = [Process(lambda n=n: work(n), 300) for n in range(processes)]  # type: ignore[misc]
        troubles = [process.end()[2] for process in running]
        assert not any(troubles), troubles
        found = fastzarr.open_array(path, mode="r")[:]
        return int(np.count_nonzero(found != np.arange(1, size + 1)))
    finally:
        shutil.rmtree(folder)


_DURABILITIES = ("replace", "full", "none")


def prove(budget: Budget, seed: int) -> Iterator[Row]:
    """Kill all changes, and count the writes of processes that contend for chunks."""
    del seed
    jobs = [["torture.archives", "--durability", which] for which in _DURABILITIES]
    jobs += [[*job, "--cuts"] for job in jobs[:2]]
    found = run_jobs([*jobs, ["torture.archives", "--contend"]], budget)
    kills = [result for result in found if result["what"] == "kills"]
    writes = [result for result in found if result["what"] == "writes"]
    yield summary(19, "kill -9, changes of a zip archive", kills, 1000, told, controlled=False)
    losses = [result for result in found if result["what"] == "cuts"]
    yield summary(4, "power cuts, changes of a zip archive", losses, 2000, told, controlled=False)
    what = "writes to parts of shared chunks in a zip archive, 4 processes x 5 threads"
    yield summary(9, what, writes, 10_000, told, controlled=False)


def main() -> int:
    """Try all points of one durability, or the contention, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m torture.archives", description=__doc__)
    parser.add_argument("--durability", choices=_DURABILITIES, default="replace")
    parser.add_argument("--contend", action="store_true", help="count lost writes instead")
    parser.add_argument("--cuts", action="store_true", help="cut the power instead of killing")
    options = parser.parse_args()
    if options.contend:
        lost, points = contend(4, 5, 500), 10_000
        bad = [["lost", str(number)] for number in range(lost)]
    else:
        which = options.durability
        found = list(cuts(2000, which) if options.cuts else tries(1, which))
        bad, points = [[name, why] for name, why in found if why], len(found)
    what = "writes" if options.contend else "cuts" if options.cuts else "kills"
    print(json.dumps({"lib": "fastzarr", "what": what, "points": points, "bad": bad}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
