"""Histories of transactions by processes that are killed: all of each is kept, or nothing of it.

Rules of this file:

* In each history four processes move amounts between the elements of two arrays, and count what
  they do in a third array and in an attribute, all in one transaction each time. Between these they
  write elements of their own without a transaction, in a chunk that transactions change, too.
* Some processes are killed, before one of the calls by which Python changes files, or by an alarm
  at any instant, in native code too. The others go on. Half of them have handles that were opened
  before the history began.
* A process says what it has finished. Afterwards a reader that writes nothing, then a writer, check
  that the sum is preserved, that the counts agree, and that what was said to be finished is there.
* The seed determines what is done and who is killed, but not how the processes interleave.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from torture.crew import folder
from torture.frame import run_jobs, workers
from torture.verdict import counted

import fastzarr
from fastzarr.errors import TransactionError
from fastzarr.stores import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

    from torture.frame import Budget, Row

PROCESSES = 4
TURNS = 2
AMOUNT = 1000
GOAL = 1000
#: So many are run if there is time.
MOST = 10_000
#: So many histories use one store, one after another.
TOGETHER = 50
HOOKED = ("open", "rename", "replace", "unlink", "link", "mkdir", "rmdir")


class State(NamedTuple):
    """What a reader finds."""

    total: int
    attribute: int
    counts: tuple[int, ...]
    own: tuple[int, ...]


def build(path: Path, zarr_format: int) -> None:
    """Create the store of several histories."""
    root = fastzarr.create_group(path, zarr_format=zarr_format, attributes={"n": 0})
    for name in ("x", "y"):
        z = root.create_array(name, shape=4, chunks=2, dtype="i8", fill_value=0)
        z[0] = AMOUNT  # the other chunk is missing
    root.create_array("counts", shape=PROCESSES, chunks=1, dtype="i8", fill_value=0)
    root.create_array("own", shape=PROCESSES + 1, chunks=8, dtype="i8", fill_value=0)


def opened(path: Path, *, read_only: bool = False) -> Any:
    """Open the store."""
    store = LocalStore(path, durability="none", read_only=read_only)
    return fastzarr.open_group(store, mode="r" if read_only else "r+")


def look(path: Path, *, read_only: bool) -> State:
    """Open the store and read everything."""
    root = opened(path, read_only=read_only)
    own = root["own"][:]
    return State(
        int(root["x"][:].sum() + root["y"][:].sum()),
        root.attrs["n"],
        tuple(map(int, root["counts"][:])),
        tuple(map(int, own[:PROCESSES])),
    )


def work(root: Any, number: int, chance: random.Random, said: memoryview) -> None:
    """Move amounts in transactions, and write an element without one."""
    for _ in range(TURNS):
        (source, target), touch = chance.sample(["x", "y"], 2), chance.random() < 0.5
        i, j, amount = chance.randrange(4), chance.randrange(4), chance.randrange(1, 10)
        done = False
        while not done:
            # It is repeated if another process has changed what was read.
            with suppress(TransactionError):
                with root.transaction():
                    root[source][i] -= amount
                    root[target][j] += amount
                    root["counts"][number] += 1
                    root.attrs["n"] += 1
                    if touch:
                        root["own"][PROCESSES] += 1
                done = True
        said[number] += 1
        root["own"][number] = said[PROCESSES + number] + 1
        said[PROCESSES + number] += 1


def be_killed(chance: random.Random) -> None:
    """Let this process be killed before one of its next calls, or soon."""
    if chance.random() < 0.3:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.05))
        return
    left = [chance.randrange(250)]

    def counted(real: Any) -> Any:
        def call(*args: Any, **words: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **words)

        return call

    for name in HOOKED:
        setattr(os, name, counted(getattr(os, name)))


def history(path: Path, root: Any, seed: int, said: memoryview) -> int:
    """Run one history; return the number of processes that were killed."""
    chance = random.Random(seed)
    doomed = set(chance.sample(range(PROCESSES), chance.randrange(1, 3)))
    children = []
    for number in range(PROCESSES):
        mine = random.Random(seed * PROCESSES + number)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                group = root if number % 2 else opened(path)
                if number in doomed:
                    be_killed(mine)
                work(group, number, mine, said)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(code > 0 for code in codes):
        msg = f"a process has failed: exit codes {codes}"
        raise RuntimeError(msg)
    return sum(code < 0 for code in codes)


def faults(found: State, said: memoryview) -> list[str]:
    """Return what is wrong; what a killed process has not said may have been done or not."""
    bad = []
    if found.total != 2 * AMOUNT:
        bad.append(f"the sum is {found.total} instead of {2 * AMOUNT}")
    if found.attribute != sum(found.counts):
        bad.append(f"the attribute is {found.attribute}, the counts {found.counts}")
    for what, numbers, start in (("counts", found.counts, 0), ("own", found.own, PROCESSES)):
        least = list(said[start : start + PROCESSES])
        if any(not 0 <= n - m <= 1 for n, m in zip(numbers, least, strict=True)):
            bad.append(f"{what} are {numbers}, but {least} were said to be finished")
    return bad


def histories(count: int, seed: int, first: int = 0) -> dict[str, Any]:
    """Run histories; return how many, how many processes were killed, and what went wrong.

    ``completed`` is the number of transactions that were committed by processes that died before
    they could say so.
    """
    said = memoryview(mmap.mmap(-1, 8 * 2 * PROCESSES)).cast("q")
    bad: list[str] = []
    killed = completed = 0
    with folder() as base:
        for number in range(first, first + count):
            path = base / str(number // TOGETHER)
            if not path.exists():
                build(path, 2 + number // TOGETHER % 2)
                said[:] = memoryview(bytes(len(said) * 8)).cast("q")
                root = opened(path)
            wrong: list[str] = []
            try:
                killed += history(path, root, seed + number, said)
                seen = look(path, read_only=True)
                found = look(path, read_only=False)
                if seen != found:
                    wrong.append(f"a reader has seen {seen}, a writer {found}")
                wrong += faults(found, said)
                completed += sum(found.counts) - sum(said[:PROCESSES])
                # What a killed process had not said is known now.
                for place, value in enumerate((*found.counts, *found.own)):
                    said[place] = value
            except Exception as error:  # noqa: BLE001  (told as a fault)
                wrong.append(repr(error))
            bad += [
                f"{text}  (python -m torture.transactions {number} 1 --seed {seed})"
                for text in wrong
            ]
    return {"count": count, "killed": killed, "completed": completed, "bad": bad}


def prove(budget: Budget, seed: int) -> list[Row]:
    """Run histories in all processors, in portions, while there is time."""
    total: dict[str, Any] = {"count": 0, "killed": 0, "completed": 0, "bad": []}
    at = 0
    while at < MOST and budget.left:
        portion = [str(TOGETHER), "--seed", str(seed), "--json"]
        jobs = [
            ["torture.transactions", str(at + n * TOGETHER), *portion] for n in range(workers())
        ]
        for result in run_jobs(jobs):
            for name in total:
                total[name] += result[name]
        at += len(jobs) * TOGETHER
    budget.undone += max(0, MOST - at) // TOGETHER
    return [
        counted(
            2,
            f"transactions of {PROCESSES} processes that are killed",
            (total["count"], len(total["bad"])),
            None,
            GOAL,
            note=f"{total['killed']:,} killed, {total['completed']} completed",
            bad=total["bad"],
        )
    ]


if __name__ == "__main__":
    number, count = map(int, sys.argv[1:3])
    chosen = int(sys.argv[sys.argv.index("--seed") + 1]) if "--seed" in sys.argv else 0
    result = histories(count, chosen, number)
    print(json.dumps(result) if "--json" in sys.argv else result)
