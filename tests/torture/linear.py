"""Concurrent readers and writers of one chunk: their history must be linearizable.

Rules of this file:

* The register is a stored object, a chunk or a shard. Several processes write distinct values to
  all or part of it, clear it, and read it; each records the start and end time of an operation with
  a shared clock. A history is linearizable if its operations can be ordered consistently with these
  times so that each read returns the result of the writes before it.
* The search is that of Wing and Gong, with visited states cached.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.contention import CONTROL, Setting, use
from torture.crew import Crew, folder, in_threads
from torture.verdict import counted, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from torture.frame import Budget, Row
    from torture.verdict import Count

WIDTH = 8
WORKERS = 3
LENGTH = 5
GAP = {"fastzarr": 0.004, CONTROL: 0.02}  # as long as one takes, so that all are at the same


class Operation(NamedTuple):
    """A write of a value to a range of the register, or a read of the whole register."""

    start: int
    stop: int
    value: int | None
    """What is written, 0 being the fill value; None to read."""


class Event(NamedTuple):
    """An operation with its start and end time, and the values read."""

    asked: int
    answered: int
    operation: Operation
    found: tuple[int, ...] | None


def is_linearizable(history: Sequence[Event], start: tuple[int, ...]) -> bool:
    """Whether there is an order of the operations that explains all reads."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    everything = (1 << len(history)) - 1
    stack = [(0, start)]
    while stack:
        done, state = stack.pop()
        if done == everything:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = [n for n in range(len(history)) if not done >> n & 1]
        # An operation can be next if it started before any remaining operation ended.
        first = min(history[n].answered for n in left)
        for n in left:
            event = history[n]
            if event.asked > first:
                continue
            lo, hi, value = event.operation
            if value is None:
                if event.found == state:
                    stack.append((done | 1 << n, state))
            else:
                after = (*state[:lo], *[value] * (hi - lo), *state[hi:])
                stack.append((done | 1 << n, after))
    return False


def draw(rng: np.random.Generator, name: int) -> Operation:
    """Return a random operation, which writes ``name`` if it is a write."""
    kind = rng.random()
    if kind < 0.35:
        return Operation(0, WIDTH, None)
    lo, hi = (0, WIDTH) if rng.random() < 0.4 else sorted(rng.choice(WIDTH + 1, 2, replace=False))
    return Operation(int(lo), int(hi), 0 if kind < 0.5 else name)


Script = list[list[Operation]]


def play(setting: Setting, z: Any, script: Script, start: float) -> list[list[Event]]:
    """Perform the operations on one register after another at their times, and record these."""
    if z is None or isinstance(z, str):
        z = use(setting).open_array(z, mode="r+")
    clock, events = time.monotonic_ns, []
    for number, operations in enumerate(script):
        time.sleep(max(0.0, start + number * GAP[setting.module] - time.monotonic()))
        base, mine = number * WIDTH, []
        for operation in operations:
            lo, hi, value = operation
            asked = clock()
            if value is None:
                found = z[base : base + WIDTH]
                mine.append(Event(asked, clock(), operation, tuple(map(int, found))))
            else:
                z[base + lo : base + hi] = value
                mine.append(Event(asked, clock(), operation, None))
        events.append(mine)
    return events


def create(setting: Setting, store: Any, registers: int) -> Any:
    """Create an array of registers."""
    inner: dict[str, Any] = {"chunks": (WIDTH,)}
    if setting.shards:
        inner = {"shards": (WIDTH,), "chunks": (WIDTH // 2,)}
    return use(setting).create_array(
        store=store,
        shape=(registers * WIDTH,),
        dtype="i4",
        fill_value=0,
        zarr_format=setting.zarr_format,
        **inner,
    )


def violations(played: Iterable[list[list[Event]]]) -> int:
    """Return the number of histories that are not linearizable."""
    histories = [[event for one in parts for event in one] for parts in zip(*played, strict=True)]
    return sum(not is_linearizable(history, (0,) * WIDTH) for history in histories)


def scripts(registers: int, seed: int) -> list[Script]:
    """Return random operations for each worker; all writes have different values."""
    rng = np.random.default_rng(seed)
    names = iter(range(1, 1 << 30))
    return [
        [[draw(rng, next(names)) for _ in range(LENGTH)] for _ in range(registers)]
        for _ in range(WORKERS)
    ]


def by_processes(crew: Crew, setting: Setting, path: Path, registers: int, seed: int) -> Count:
    """Let a process of the crew play each script; return the histories and violations."""
    create(setting, str(path), registers)
    begin = time.monotonic() + 0.1
    settings = [
        setting._replace(data_path=("native", "numpy")[w % 2])
        if setting.data_path == "mixed"
        else setting
        for w in range(WORKERS)
    ]
    given = zip(settings, scripts(registers, seed), strict=True)
    outcomes = crew.run(play, [(s, str(path), script, begin) for s, script in given])
    if any(outcome.error for outcome in outcomes):
        return registers, registers
    return registers, violations([outcome.result for outcome in outcomes])


def by_threads(setting: Setting, registers: int, seed: int) -> Count:
    """Do the same with threads and a memory store."""
    z = create(setting, use(setting).storage.MemoryStore(), registers)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        begin = time.monotonic() + 0.01
        given = [(setting, z, script, begin) for script in scripts(registers, seed)]
        return registers, violations(in_threads(play, given))
    finally:
        sys.setswitchinterval(before)


SETTINGS = [
    Setting(),
    Setting(data_path="numpy"),
    Setting(data_path="mixed"),
    Setting(shards=1),
    Setting(shards=1, data_path="mixed"),
    Setting(zarr_format=2, data_path="mixed"),
]


def prove(budget: Budget, seed: int) -> list[Row]:
    """Check 3,000 histories, most of them of processes."""
    each = max(20, round(300 * min(1.0, budget.seconds / 33)))
    with folder() as base, Crew(WORKERS) as crew:
        ours = [
            by_processes(crew, s, base / str(n), each, seed + n) for n, s in enumerate(SETTINGS)
        ]
        ours += crew.results(by_threads, [(s, each, seed + 90) for s in SETTINGS[:WORKERS]])
        control = by_processes(crew, Setting(CONTROL), base / "control", each, seed)
    what = "histories of 3 readers and writers of a chunk, linearizable"
    return [counted(12, what, total(ours), control, 1000, "not")]
