"""Forks among busy threads, and the ways in which a process exits: nothing hangs or goes wrong.

Rules of this file:

* A process whose threads read and write forks repeatedly. Each child opens and reads the array,
  writes its own element of a shared chunk, and exits. A watchdog kills a child that does not exit,
  and counts it as hung. Every element is checked at the end.
* A program that exits while threads are working, from an exit handler, or in a forked child that
  unwinds, exits with code 0 and without output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from torture.contention import CONTROL, Setting, use
from torture.crew import Crew, CrewError, folder
from torture.frame import environment
from torture.verdict import counted, total

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torture.frame import Budget, Row
    from torture.verdict import Count

THREADS = 8
AT_ONCE = 4


def fork_among_threads(setting: Setting, path: str, count: int, patience: float) -> dict[str, int]:
    """Fork from a process with busy threads; count children that hang, fail, or lose something."""
    module = use(setting)
    options: dict[str, Any] = {"zarr_format": setting.zarr_format}
    if setting.shards:
        options["shards"] = (32 * setting.shards,)
    shape = (-(-count // 32) * 32 + THREADS * 64,)
    z = module.create_array(path, shape=shape, chunks=(32,), dtype="i8", fill_value=0, **options)
    big = module.create_array(path + "-big", shape=(1 << 19,), chunks=(1 << 15,), dtype="i8")
    big[:] = np.arange(1 << 19)
    found = {"hung": 0, "failed": 0, "lost": 0, "wrong": 0}
    with _busy_threads(z, big, found, patience):
        running: dict[int, float] = {}
        for number in range(count):
            while len(running) >= AT_ONCE:
                _reap(running, found, patience)
            if found["hung"] >= 3:
                count = number
                break
            child = os.fork()
            if not child:
                _be_child(setting, z, big, path, number)
            running[child] = time.monotonic()
        while running:
            _reap(running, found, patience)
    values = module.open_array(path, mode="r")[:count]
    found["lost"] = int((values != np.arange(count) + 1).sum())
    return found | {"forks": count}


@contextmanager
def _busy_threads(z: Any, big: Any, found: dict[str, int], patience: float) -> Iterator[None]:
    """Let threads write elements of a shared chunk, and read enough to use the thread pool."""
    stop = threading.Event()

    def work(number: int) -> None:
        place, turn = z.shape[0] - 1 - number, 0
        while not stop.is_set():
            turn += 1
            z[place] = turn
            found["wrong"] += int(z[place] != turn)
            found["wrong"] += int(big[number::THREADS].sum() != _sum(number))

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join(patience)
        found["hung"] += thread.is_alive()


def _sum(number: int) -> int:
    return int(np.arange(1 << 19)[number::THREADS].sum())


def _be_child(setting: Setting, z: Any, big: Any, path: str, number: int) -> None:
    """Use an inherited and a newly opened handle, and exit."""
    code = 1
    try:
        handle = z if number % 2 else use(setting).open_array(path, mode="r+")
        handle[number] = number + 1
        right = handle[number] == number + 1 and int(big[number % THREADS :: THREADS].sum()) == (
            _sum(number % THREADS)
        )
        code = 0 if right else 2
    finally:
        os._exit(code)


def _reap(running: dict[int, float], found: dict[str, int], patience: float) -> None:
    time.sleep(0.001)
    for child, began in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            del running[child]
            found["failed"] += status != 0
        elif time.monotonic() - began > patience:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            del running[child]
            found["hung"] += 1


# Ways to end

_START = """
import asyncio, atexit, os, pickle, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import {module} as zarr
z = zarr.create_array({path!r}, shape=(1 << 19,), chunks=(1 << 14,), dtype="i8", overwrite=True)
values = np.arange(1 << 19)
z[:] = values
def check(array=z):
    assert (array[:] == values).all()
"""

ENDINGS = {
    "threads that are still reading": """
for _ in range(4):
    threading.Thread(target=lambda: [check() for _ in range(1 << 20)], daemon=True).start()
time.sleep(0.02)
""",
    "threads that are still writing": """
def write():
    while True:
        z[5:-5] = values[5:-5]
for _ in range(4):
    threading.Thread(target=write, daemon=True).start()
time.sleep(0.02)
""",
    "an exit handler that reads and writes": """
def last():
    z[3:7] = values[3:7]
    check()
atexit.register(last)
""",
    "a thread that outlives the main one": """
def late():
    time.sleep(0.05)
    z[1:-1] = values[1:-1]
    check()
threading.Thread(target=late).start()
""",
    "a forked child that unwinds": """
threads = [threading.Thread(target=check) for _ in range(4)]
for thread in threads: thread.start()
child = os.fork()
if child == 0:
    check()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
for thread in threads: thread.join()
""",
    "a finaliser that reads": """
import weakref
class Last: pass
last = Last()
weakref.finalize(last, check)
""",
    "an event loop": """
async def main():
    await asyncio.gather(*[asyncio.to_thread(check) for _ in range(4)])
asyncio.run(main())
""",
    "spawned and forked workers": """
import multiprocessing
if __name__ == "__main__":
    for kind in ("fork", "forkserver"):
        with multiprocessing.get_context(kind).Pool(2) as pool:
            assert pool.map(sum_of, [pickle.dumps(z)] * 4) == [int(values.sum())] * 4
""",
}


def end_once(name: str, module: str, folder: Path, number: int) -> str:
    """Run a program that exits in this way; return what went wrong, or an empty string."""
    program = folder / f"end{number}.py"
    text = _START.format(module=module, path=str(folder / f"z{number}"))
    if "multiprocessing" in ENDINGS[name]:
        # What is imported anew in a worker may not write again.
        text = "import multiprocessing\n" + text.replace("z = ", "if __name__ == '__main__': z = ")
        text = text.replace("\nz[:] =", "\nif __name__ == '__main__': z[:] =").replace(
            "(array=z)", "(array=None)"
        )
        text += "def sum_of(data):\n    return int(pickle.loads(data)[:].sum())\n"
    program.write_text(text + ENDINGS[name])
    try:
        ended = subprocess.run(
            [sys.executable, str(program)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        return f"{name}: hung"
    if ended.returncode or ended.stderr or ended.stdout:
        return f"{name}: code {ended.returncode}, {(ended.stderr + ended.stdout)[-300:]}"
    return ""


def endings(base: Path, count: int, module: str = "fastzarr") -> tuple[int, list[str]]:
    """Run programs that exit in all ways; return their number, and what went wrong."""
    names = [[*ENDINGS][n % len(ENDINGS)] for n in range(count)]
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda n: end_once(names[n], module, base, n), range(count))
        return count, [text for text in said if text]


SETTINGS = [Setting(), Setting(shards=2), Setting(data_path="numpy"), Setting(zarr_format=2)]


def prove(budget: Budget, seed: int) -> list[Row]:
    """Fork 1,000 times, and exit 100 times."""
    del seed  # nothing is drawn: the system decides who runs when
    share = min(1.0, budget.seconds / 80)
    each = max(10, round(250 * share))
    with folder() as base:
        with Crew(1, patience=600) as one:
            given = [(s, str(base / str(n)), each, 60) for n, s in enumerate(SETTINGS)]
            ours = [one.results(fork_among_threads, [job])[0] for job in given]
        control = _control(base / "control")
        ended, bad = endings(base, max(len(ENDINGS), round(104 * share)))
        theirs = endings(base, len(ENDINGS), CONTROL)
    counts = [_count(found) for found in ours]
    hung = sum(found["hung"] for found in ours)
    what = "forks of a process with 8 busy threads: none hangs, fails or loses"
    return [
        counted(16, what, total(counts), control, 1000, note=f"{hung} hung"),
        counted(
            16,
            "programs that end while threads, handlers, forks work",
            (ended, len(bad)),
            (theirs[0], len(theirs[1])),
            100,
            bad=bad,
        ),
    ]


def _count(found: dict[str, int]) -> Count:
    return found["forks"], sum(found[name] for name in ("hung", "failed", "lost", "wrong"))


def _control(path: Path) -> Count:
    with Crew(1, patience=60) as one:
        try:
            found = one.results(fork_among_threads, [(Setting(CONTROL), str(path), 20, 5)])[0]
        except CrewError:  # it does not even come to an end
            return 20, 20
    return _count(found)
