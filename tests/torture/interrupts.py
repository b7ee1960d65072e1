"""Ctrl-C at any time: nothing is written after the call has returned, and work can continue.

Rules of this file:

* The signal comes from another process, at a random time during a long write, partial write or
  read. Both processes share a clock. The time that the call takes to return is reported, but not
  judged.
* Afterwards the files are compared at two times: a difference was written too late. Every chunk
  must be entirely from one write. The same process and another one must be able to read and write,
  and no lock may block them.
"""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
from torture.contention import CONTROL, Setting, use
from torture.crew import _spawn, folder
from torture.frame import Row

if TYPE_CHECKING:
    from pathlib import Path

    from torture.frame import Budget

CHUNKS, LENGTH = 48, 1 << 14
PAUSE = 0.1
GZIP = [{"name": "gzip", "configuration": {"level": 5}}]
KINDS = ("write", "partial", "read")


def pattern(number: int) -> np.ndarray[Any, Any]:
    """Return the values of write ``number``."""
    return np.arange(CHUNKS * LENGTH, dtype="i8") % 1009 * 10 + number


def torn(found: np.ndarray[Any, Any], numbers: set[int]) -> int:
    """Return the number of half chunks that match no write; a partial write covers halves."""
    bad = 0
    for part, expected in zip(
        found.reshape(2 * CHUNKS, -1), pattern(0).reshape(2 * CHUNKS, -1), strict=True
    ):
        number = int(part[0] - expected[0])
        bad += number not in numbers or not np.array_equal(part, expected + number)
    return bad


class Worker:
    """The process that is interrupted, or the one that observes it."""

    def __init__(self, setting: Setting, path: str) -> None:
        """Start the process."""
        self._pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(theirs, setting, path), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, *command: Any) -> None:
        """Send a command."""
        self._pipe.send(command)

    def answer(self, patience: float = 60) -> Any:
        """Return the reply; raise ``TimeoutError`` if there is none in time."""
        if not self._pipe.poll(patience):
            raise TimeoutError
        return self._pipe.recv()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self._pipe.close()


def _serve(pipe: Any, setting: Setting, path: str) -> None:
    warnings.simplefilter("ignore")
    armed = [False]

    def interrupt(*_: Any) -> None:
        if armed[0]:
            armed[0] = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    z = use(setting).open_array(path, mode="r+")
    middle = LENGTH // 2
    while True:
        with suppress(KeyboardInterrupt):
            command, number = pipe.recv()
            values = pattern(number)
            pipe.send(None)
            came, error = 0, ""
            try:
                armed[0] = True
                if command == "write":
                    z[:] = values
                elif command == "partial":
                    z[middle:-middle] = values[middle:-middle]
                elif command == "read":
                    z[:]
                else:  # one element of each chunk, as it is
                    heads = z[1::LENGTH]
                    z[1::LENGTH] = heads
                armed[0] = False
            except KeyboardInterrupt:
                came = time.monotonic_ns()
            except Exception as failure:  # noqa: BLE001  (it is told)
                error = repr(failure)
            armed[0] = False
            pipe.send((came, error))


def look(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return the inode, size and time of every file."""
    found = {}
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):
            state = file.stat()
            found[str(file)] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return found


class Tally:
    """Interrupts calls of one process, checks the results, and counts."""

    def __init__(self, setting: Setting, path: Path, seed: int) -> None:
        """Start the process, and another that observes it."""
        self.setting, self.path = setting, path
        self.interrupts = self.strays = 0
        self.bad: list[str] = []
        self.delays: list[float] = []
        self._rng = random.Random(seed)
        self._worker, self._other = Worker(setting, str(path)), Worker(setting, str(path))
        self._reader = use(Setting()).open_array(str(path), mode="r")
        self._took = dict.fromkeys(KINDS, 0.0)
        self._numbers = {0}

    def close(self) -> None:
        """End the processes."""
        self._worker.close()
        self._other.close()

    def turn(self, number: int) -> None:
        """Interrupt one call; the first of each kind measures how long it takes."""
        kind = KINDS[number % len(KINDS)]
        self._numbers.add(number)
        self._worker.send(kind, number)
        self._worker.answer()
        began = sent = time.monotonic_ns()
        if self._took[kind]:
            time.sleep(self._rng.random() * self._took[kind])
            sent = time.monotonic_ns()
            os.kill(self._worker.process.pid or 0, signal.SIGINT)
        came, _ = self._worker.answer()
        state = look(self.path)
        if not self._took[kind]:
            self._took[kind] = (time.monotonic_ns() - began) / 1e9
        elif came:
            self.interrupts += 1
            self.delays.append((came - sent) / 1e6)
            self._judge(kind, number, state)
        else:  # it was over before: calls are shorter than was thought
            self._took[kind] *= 0.8

    def _judge(self, kind: str, number: int, state: dict[str, Any]) -> None:
        time.sleep(PAUSE)
        said = []
        if look(self.path) != state:
            said.append(f"{kind} went on after it had returned")
        self.strays += sum(name.endswith(".fastzarr-tmp") for name in state)
        if torn(self._reader[:], self._numbers):
            said.append(f"{kind} left torn chunks")
        for process in (self._worker, self._other):
            process.send("touch", number)
            process.answer()
            _, error = process.answer()
            if error:
                said.append(f"after {kind}, {error}")
        self.bad += [f"{self.setting.label}: {text}" for text in said]


def interrupt(setting: Setting, base: Path, count: int, seed: int) -> Tally:
    """Interrupt ``count`` calls, each at a random time."""
    options: dict[str, Any] = {"chunks": (LENGTH,), "shape": (CHUNKS * LENGTH,), "dtype": "i8"}
    options["zarr_format"] = setting.zarr_format
    options["compressors"] = GZIP if setting.zarr_format == 3 else numcodecs.GZip(5)
    if setting.shards:
        options |= {"shards": (LENGTH * setting.shards,)}
    path = base / setting.label.replace(" ", "-")
    # The control's threads must not be here, where others fork.
    maker = _spawn.Process(target=_make, args=(setting, str(path), options))
    maker.start()
    maker.join()
    tally = Tally(setting, path, seed)
    number = 0
    try:
        while tally.interrupts < count and number < 50 + 50 * count:
            number += 1
            tally.turn(number)
    except (TimeoutError, EOFError):
        tally.bad.append(f"{setting.label}: a process hung or died at call {number}")
    finally:
        tally.close()
    return tally


def _make(setting: Setting, path: str, options: dict[str, Any]) -> None:
    warnings.simplefilter("ignore")
    use(setting).create_array(path, **options)[:] = pattern(0)


GOAL = 200
SETTINGS = [
    Setting(),
    Setting(shards=4),
    Setting(zarr_format=2),
    Setting(data_path="numpy"),
    Setting(shards=CHUNKS, data_path="numpy"),
]


def prove(budget: Budget, seed: int) -> list[Row]:
    """Interrupt 200 calls."""
    each = max(4, round(40 * min(1.0, budget.seconds / 65)))
    with folder() as base:
        ours = [interrupt(s, base, each, seed + n) for n, s in enumerate(SETTINGS)]
        control = interrupt(Setting(CONTROL), base, 5, seed)
    delays = sorted(delay for tally in ours for delay in tally.delays)
    count = sum(tally.interrupts for tally in ours)
    bad = [text for tally in ours for text in tally.bad]
    good = not bad and bool(control.bad)
    strays = sum(tally.strays for tally in ours)
    middle, most = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    return [
        Row(
            promise=15,
            what="interrupts at random times, none with a later write or a torn chunk",
            ours=f"{len(bad)} bad of {count} (returned after {middle:.0f} ms, 99 % within "
            f"{most:.0f} ms, {delays[-1]:.0f} ms at most; {strays} stray files)",
            control=f"{len(control.bad)} bad of {control.interrupts}",
            goal=f"0 of {GOAL}",
            kept=good and count >= GOAL,
            bad=tuple(bad[:5]),
            few=good and count < GOAL,
        )
    ]
