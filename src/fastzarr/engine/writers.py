"""Writes to stores without files: how many are under way at once.

Rules of this file:

* A chunk is encoded and stored, or read, changed and stored, by one thread, which waits for the
  store most of the time. So more threads work for a call than there are processors. A thread is
  admitted for each chunk before it encodes or reads it (``bounds.py``). What the store awaits
  meanwhile runs on another thread, which is not admitted (``awaited.py``).
* When a call is interrupted, its threads end the requests under way, and begin and repeat none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.config import config
from fastzarr.engine.bounds import bounds
from fastzarr.engine.requests import INSIDE, runs_ahead
from fastzarr.engine.threads import workers
from fastzarr.stores import stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Buffer as AnyBuffer

    from fastzarr.buffers import Buffer
    from fastzarr.engine.bounds import Admission
    from fastzarr.engine.chunks import StoredChunks, StoredSource
    from fastzarr.engine.job import Chunks
    from fastzarr.engine.requests import Ahead
    from fastzarr.stores.stopping import Stopped
    from fastzarr.stores.turns import Turn

T = TypeVar("T")


def part(stopped: Stopped | None, call: Callable[..., T], *args: Any) -> T:
    """Return the result of a call by which a store stores a chunk for a call of ours.

    Raise ``KeyboardInterrupt`` instead if that has been stopped.
    """
    found: T = stopping.within(stopped, _inside, call, args)
    return found


def _inside(call: Callable[..., T], args: tuple[Any, ...]) -> T:
    INSIDE.set(True)
    return call(*args)


class _PartTurn:
    """A turn at a chunk of a call, which may be stopped."""

    __slots__ = ("_check", "_stopped", "_turn")

    def __init__(
        self, begin: Callable[[], Turn], stopped: Stopped | None, check: Ahead | None
    ) -> None:
        """Begin the turn; ``check`` must have succeeded before anything is stored."""
        self._stopped, self._check = stopped, check
        self._turn = part(stopped, begin)

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        return part(self._stopped, self._turn.get)

    def put(self, value: AnyBuffer | None) -> bool:
        """Store or delete the value; return False if it was changed since ``get``."""
        return part(self._stopped, self._put, value)

    def _put(self, value: AnyBuffer | None) -> bool:
        if self._check is not None:
            self._check()
            # It may have taken long.
            stopping.check()
        return self._turn.put(value)

    def end(self) -> None:
        """Release the key."""
        self._turn.end()


class WrittenChunks:
    """The stored chunks of one array that is written in its own way, and read as without it."""

    files = None
    chunks: StoredChunks

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Return the bytes of the object at these coordinates, or None if it is missing."""
        return self.chunks.get(chunk)

    def get_many(self, chunks: Sequence[tuple[int, ...]]) -> Sequence[Buffer | None]:
        """Return what ``get`` returns for each of several objects."""
        return self.chunks.get_many(chunks)

    def source(self, chunk: tuple[int, ...]) -> StoredSource:
        """Return the source of the object at these coordinates, to read parts of it."""
        return self.chunks.source(chunk)


class WaitingChunks(WrittenChunks):
    """The stored chunks of one array, in a store for which threads wait."""

    def __init__(self, chunks: StoredChunks, threads: int, nbytes: int) -> None:
        """Initialise; so many threads store chunks at once, each of ``nbytes`` decoded bytes."""
        self.chunks, self.threads, self.nbytes = chunks, threads, nbytes
        self.takes_views = chunks.store.takes_views
        #: The bytes of the chunks that are admitted, and of those that wait for their batch.
        self.flying = self.waiting = 0
        #: Whether the call has been stopped; None if nothing stops it.
        self.stopped: Stopped | None = None
        #: What must have succeeded before anything is stored, if there is something.
        self.check: Ahead | None = None

    def admit(self) -> Admission | None:
        """Return the place of a chunk to be written; None if there is none in some milliseconds."""
        return bounds.enter(self, 2 * self.nbytes)

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates."""
        return _PartTurn(partial(self.chunks.turn, chunk), self.stopped, self.check)

    def end(self, failure: T) -> T:
        """Return the failure of the call, or None: everything is stored."""
        return failure

    def rest(self) -> None:
        """Return None: no chunk is left to be written again."""


def admitted(chunks: Chunks, stopped: Callable[[], bool] | None) -> Admission:
    """Return the place of a chunk, when there is one; raise KeyboardInterrupt if it is stopped."""
    assert chunks.admit is not None  # noqa: S101  (nobody waits otherwise)
    while (found := chunks.admit()) is None:
        if stopped is not None and stopped():
            raise KeyboardInterrupt
    return found


def waiting(chunks: StoredChunks, count: int, nbytes: int) -> WaitingChunks | None:
    """Return the chunks for a call that stores so many of a size; None if no threads wait."""
    store = chunks.store
    if not runs_ahead(store):
        return None
    flat = config.flat
    most = min(int(flat["fetch.concurrency"]), flat["fetch.bytes"] // max(2 * nbytes, 1))
    if store.concurrency is not None:
        most = min(most, store.concurrency)
    return WaitingChunks(chunks, max(min(most, count), min(workers(), count)), nbytes)
