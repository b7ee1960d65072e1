"""Writes to stores without files: how many are under way at once.

Rules of this file:

* A chunk is encoded and stored, or read, changed and stored, by one thread, which waits for the
  store most of the time. So more threads work for a call than there are processors. Their chunks
  have at most ``fetch.bytes``, encoded and decoded.
* The chunks of all calls that are being stored are at most ``fetch.concurrency``. A thread is
  admitted before it takes the lock of its chunk, so that no thread waits here with a lock that an
  admitted one needs.
* What a store writes by itself, while it stores a chunk, runs on the thread that was admitted. What
  it awaits runs on another thread, which is not admitted (``awaited.py``).
* When a call is interrupted, its threads end the requests under way, and begin and repeat none.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

from fastzarr.config import config
from fastzarr.engine.requests import INSIDE, runs_ahead
from fastzarr.engine.threads import workers
from fastzarr.stores import stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Buffer as AnyBuffer

    from fastzarr.buffers import Buffer
    from fastzarr.engine.chunks import StoredChunks, StoredSource
    from fastzarr.stores.stopping import Stopped
    from fastzarr.stores.turns import Turn

T = TypeVar("T")

# How long a thread waits before it looks again whether it is admitted.
_LOOK = 0.02


class _Gate:
    """The turns that are admitted in this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.left = threading.Condition()
        # A turn that was lost, because an interrupt has come between, is found by its reference: a
        # finalizer would swallow an interrupt that comes while it runs.
        self.inside: dict[int, ref[AdmittedTurn]] = {}
        self.here = threading.local()

    def is_inside(self) -> bool:
        """Whether this thread was admitted."""
        return getattr(self.here, "turn", None) in self.inside

    def enter(self, turn: AdmittedTurn) -> None:
        with self.left:
            while len(self.inside) >= max(int(config.flat["fetch.concurrency"]), 1):
                self.left.wait(_LOOK)
                stopping.check()
                for lost in [one for one, found in self.inside.items() if found() is None]:
                    del self.inside[lost]
            self.inside[id(turn)] = ref(turn)
        self.here.turn = id(turn)

    def leave(self, turn: AdmittedTurn) -> None:
        with self.left:
            self.inside.pop(id(turn), None)
            self.left.notify()


_gate = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_gate.reset)


@contextmanager
def part(stopped: Stopped | None) -> Iterator[None]:
    """Ask the store to store a chunk for a call, unless the call has been stopped."""
    before = INSIDE.set(True)
    try:
        with stopping.within(stopped):
            yield
    finally:
        INSIDE.reset(before)


class AdmittedTurn:
    """A turn of a thread that waits until it is admitted, and leaves at the end."""

    __slots__ = ("__weakref__", "_stopped", "_turn")

    def __init__(self, begin: Callable[[], Turn], stopped: Stopped | None) -> None:
        """Wait until the thread is admitted, then begin the turn."""
        self._stopped = stopped
        with part(stopped):
            _gate.enter(self)
            self._turn = begin()

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        with part(self._stopped):
            return self._turn.get()

    def put(self, value: AnyBuffer | None) -> bool:
        """Store or delete the value; return False if it was changed since ``get``."""
        with part(self._stopped):
            return self._turn.put(value)

    def end(self) -> None:
        """Release the key, and let another thread be admitted."""
        try:
            self._turn.end()
        finally:
            _gate.leave(self)


class WaitingChunks:
    """The stored chunks of one array, in a store for which threads wait."""

    files = None

    def __init__(self, chunks: StoredChunks, threads: int) -> None:
        """Initialise; so many threads store chunks at once."""
        self.chunks, self.threads = chunks, threads
        #: Whether the call has been stopped; None if nothing stops it.
        self.stopped: Stopped | None = None

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates, when it is admitted."""
        return AdmittedTurn(partial(self.chunks.turn, chunk), self.stopped)

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Return the bytes of the object at these coordinates, or None if it is missing."""
        return self.chunks.get(chunk)

    def get_many(self, chunks: Sequence[tuple[int, ...]]) -> Sequence[Buffer | None]:
        """Return what ``get`` returns for each of several objects."""
        return self.chunks.get_many(chunks)

    def source(self, chunk: tuple[int, ...]) -> StoredSource:
        """Return the source of the object at these coordinates, to read parts of it."""
        return self.chunks.source(chunk)

    def end(self, failure: T) -> T:
        """Return the failure of the call, or None: everything is stored."""
        return failure


def waiting(chunks: StoredChunks, count: int, nbytes: int) -> WaitingChunks | None:
    """Return the chunks for a call that stores so many of a size; None if no threads wait."""
    store = chunks.store
    if not runs_ahead(store) or _gate.is_inside():
        return None
    flat = config.flat
    most = min(int(flat["fetch.concurrency"]), flat["fetch.bytes"] // max(2 * nbytes, 1))
    if store.concurrency is not None:
        most = min(most, store.concurrency)
    return WaitingChunks(chunks, max(min(most, count), min(workers(), count)))
