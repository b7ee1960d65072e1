"""Processes that run the same task at the same time, and threads inside them.

Rules of this file:

* The processes are spawned, not forked, and run many tasks, because importing costs more than a
  task.
* All processes start a task at one barrier. An exception is returned as text. A process that dies
  or hangs is an error of the crew; the stacks of its threads are written to its standard error.
"""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_spawn = multiprocessing.get_context("spawn")


class CrewError(Exception):
    """A process of the crew died, or did not answer."""


class Outcome(NamedTuple):
    """The result of a task, or its exception as text."""

    result: Any
    error: str | None


class Crew:
    """Run tasks in several processes at once, all starting at the same moment."""

    def __init__(self, count: int, *, patience: float = 120) -> None:
        """Start the processes; one that takes over ``patience`` seconds is considered hung."""
        self._patience = patience
        self._barrier = _spawn.Barrier(count)  # kept, for its name goes with it
        self._members = []
        for _ in range(count):
            ours, theirs = _spawn.Pipe()
            process = _spawn.Process(target=_serve, args=(theirs, self._barrier), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def run(self, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Outcome]:
        """Run ``task(*arguments[n])`` in process n, all at once, and return the outcomes."""
        for (_, pipe), given in zip(self._members, arguments, strict=True):
            pipe.send((task, given))
        return [self._answer(process, pipe) for process, pipe in self._members]

    def results(self, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return the results of a task; raise ``CrewError`` if it fails in a process."""
        outcomes = self.run(task, arguments)
        for outcome in outcomes:
            if outcome.error is not None:
                raise CrewError(outcome.error)
        return [outcome.result for outcome in outcomes]

    def _answer(self, process: Any, pipe: Any) -> Outcome:
        try:
            if pipe.poll(self._patience):
                return pipe.recv()
        except EOFError:
            process.join(1)
            msg = f"a process of the crew died with exit code {process.exitcode}"
            raise CrewError(msg) from None
        # Each process writes the stacks of its threads to its standard error, then is killed.
        for other, _ in self._members:
            with suppress(ProcessLookupError):
                os.kill(other.pid, signal.SIGUSR1)
        process.join(1)
        self.close()
        msg = f"a process of the crew did not answer within {self._patience:.0f} s"
        raise CrewError(msg)

    def close(self) -> None:
        """End the processes."""
        for process, pipe in self._members:
            pipe.close()
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
        self._members = []

    def __enter__(self) -> Self:
        """Return the crew itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the processes."""
        self.close()


def _serve(pipe: Any, barrier: Any) -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    warnings.simplefilter("ignore")
    while True:
        try:
            task, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        barrier.wait()
        try:
            outcome = Outcome(task(*arguments), None)
        except Exception:  # noqa: BLE001  (whatever it is, it goes to who asked)
            outcome = Outcome(None, traceback.format_exc())
        pipe.send(outcome)


def in_threads(task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run ``task(*arguments[n])`` in thread n, all at once; raise the first exception."""
    barrier = threading.Barrier(len(arguments))
    results: list[Any] = [None] * len(arguments)
    raised: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait()
        try:
            results[number] = task(*arguments[number])
        except BaseException as error:  # noqa: BLE001  (raised again below)
            raised.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return results


def library(name: str, data_path: str = "native") -> Any:
    """Import and return fastzarr with a data path, or the control; both have the same functions."""
    module = importlib.import_module(name)
    if name == "fastzarr":
        module.config.set({"data_path": data_path})
    return module


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder, in memory if the system supports it, and remove it at the end."""
    memory = Path("/dev/shm")  # noqa: S108  (a file system in memory, not a place for secrets)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
