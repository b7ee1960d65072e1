"""Writes to stores that set many values at once: the chunks of a call, in batches.

Rules of this file:

* A chunk that does not depend on its old value waits, encoded, until there is a batch of them. The
  thread whose chunk completes a batch stores it; ``end`` stores the last one. So nothing of a call
  that has been interrupted is stored later.
* A chunk that is changed in part waits, too, if the store swaps many values at once. It is compared
  with the old value when its batch is stored. Those that others have changed meanwhile are written
  again at the end of the call, one by one (``rest``).
* A batch has at most as many values as the store answers requests at once, and at most a quarter of
  ``fetch.bytes``, or what the store says, except for its last value. It has fewer if the process
  has no room for more.
* The keys of a batch are locked as in the turns of its chunks: by the user's synchronizer and,
  without compare-and-swap, among the threads. A thread locks them in their order, and has no other
  such locks.
* If a batch fails, its chunks are stored one by one until one of them fails, because the error does
  not tell which has failed. Their locks are kept meanwhile.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from fastzarr.buffers import flat_bytes, nbytes
from fastzarr.config import config
from fastzarr.engine.bounds import bounds
from fastzarr.engine.failures import Failure, of_error
from fastzarr.engine.threads import workers
from fastzarr.engine.writers import WaitingChunks, WrittenChunks, admitted, part, waiting
from fastzarr.stores.turns import StoreTurn

if TYPE_CHECKING:
    from typing_extensions import Buffer as AnyBuffer

    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.engine.job import Chunks
    from fastzarr.engine.requests import Ahead
    from fastzarr.stores.stopping import Stopped
    from fastzarr.stores.turns import Turn

    # The coordinates, key and value of a chunk, and the token of its old value, or _WHOLE.
    Chunk = tuple[tuple[int, ...], str, AnyBuffer | None, Any]

# Stands for the token of a chunk that does not depend on its old value.
_WHOLE = object()
# The most values in a batch, unless the store says how many requests it answers at once.
_MOST = 1024
# The most if there is a lock of the user's for each, which may be a file.
_SYNCHRONIZED = 64
# The most threads, if there are no more processors: few wait, and their chunks have no bytes that
# a batch could have.
_THREADS = 8
# The bytes of a batch are counted for the process in so many parts.
_PARTS = 16


class BatchedChunks(WrittenChunks):
    """The stored chunks of one array, in a store that sets many values at once."""

    takes_views = keeps_values = True

    def __init__(
        self, chunks: StoredChunks, held: WaitingChunks | None, threads: int | None
    ) -> None:
        """Initialise; ``held`` has the turns of chunks for which threads wait.

        ``threads``, if not None, is enough because no chunk is read.
        """
        self.chunks, self.held = chunks, held
        self.admit = None if held is None else held.admit
        most = max(workers(), _THREADS) if threads is None else threads
        self.threads = None if held is None else min(held.threads, most)
        store = chunks.store
        self.most = store.batch if store.batch > 1 else _MOST
        if chunks.synchronizer is not None:
            self.most = min(self.most, _SYNCHRONIZED)
        self.most_bytes = config.flat["fetch.bytes"] // 4
        if store.batch_bytes is not None:
            self.most_bytes = min(self.most_bytes, store.batch_bytes)
        #: Whether the call has been stopped; None if nothing stops it.
        self.stopped: Stopped | None = None
        #: Whether chunks that are changed in part wait for their batch.
        self.swaps = (
            store.swap_many is not None and store.swaps_deletes and chunks.synchronizer is None
        )
        # Those that others have changed, by their coordinates.
        self._again: set[tuple[int, ...]] = set()
        #: The first chunk that could not be stored.
        self.failure: Failure | None = None
        self._lock = threading.Lock()
        # Batches are stored one at a time if that takes no longer.
        self._alone = threading.Lock() if store.concurrency == 1 else None
        self._batch: list[Chunk] = []
        # Its bytes, and those that are counted for the process.
        self._size = self._counted = 0
        self.flying = self.waiting = 0

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates."""
        return _BatchedTurn(self, chunk)

    def now(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn that stores the object at once."""
        return self.chunks.turn(chunk) if self.held is None else self.held.turn(chunk)

    def add(self, chunk: tuple[int, ...], value: AnyBuffer | None, token: Any = _WHOLE) -> None:
        """Add a value, or None for an object to be deleted, to the batch; store a full one.

        ``token`` is that of the old value, if the new one depends on it. Raise the error of a chunk
        that could not be stored.
        """
        key = self.chunks.key(chunk)
        data = None if value is None else flat_bytes(value, key)
        with self._lock:
            self._batch.append((chunk, key, data, token))
            self._size += 0 if data is None else nbytes(data)
            if not self._is_full():
                return
            batch, counted = self._batch, self._counted
            self._batch, self._size, self._counted = [], 0, 0
        try:
            self._store(batch)
        finally:
            bounds.give_back(self, counted)
        if self.failure is not None:
            raise self.failure.error

    def _is_full(self) -> bool:
        """Whether the batch is to be stored, with its lock held."""
        if len(self._batch) >= self.most or self._size >= self.most_bytes:
            return True
        left = self._size - self._counted
        if left < self.most_bytes // _PARTS:
            return False
        self._counted = self._size
        return not bounds.hold(self, left)

    def end(self, failure: Any) -> Any:
        """Store the last batch, unless there is a failure; return the failure of the call, or None.

        If a batch has failed, the one that the call has is that of another chunk.
        """
        if failure is None and self.failure is None and self._batch:
            self._store(self._batch)
        return self.failure or failure

    def rest(self) -> Chunks | None:
        """Return the chunks for another run that writes those which others have changed."""
        return _Rest(self, self._again) if self._again else None

    def _store(self, batch: list[Chunk]) -> None:
        """Store a batch, when this thread is admitted."""
        # An ExitStack takes a lock in Python's code, where an interrupt would keep it for ever.
        with nullcontext() if self._alone is None else self._alone, ExitStack() as stack:
            if self.held is not None and not bounds.is_inside():
                stack.callback(admitted(self.held, self.stopped).leave)
            chunks, store = self.chunks, self.chunks.store
            if chunks.synchronizer is not None:
                for key in sorted(chunks.user_key(one[0]) for one in batch):
                    stack.enter_context(chunks.synchronizer[key])
            if store.swap is None:
                for key in sorted(one[1] for one in batch):
                    stack.enter_context(store.place.locks.held(key))
            part(self.stopped, self._store_held, batch)

    def _store_held(self, batch: list[Chunk]) -> None:
        if self.held is not None and self.held.check is not None:
            self.held.check()
        if self.failure is None:
            self._set_many(batch)

    def _set_many(self, batch: list[Chunk]) -> None:
        set_many, swap_many = self.chunks.store.set_many, self.chunks.store.swap_many
        assert set_many is not None  # noqa: S101  (there are no batches otherwise)
        whole = [one for one in batch if one[3] is _WHOLE]
        parts = [one for one in batch if one[3] is not _WHOLE]
        try:
            if whole:
                set_many([(key, value) for _, key, value, _ in whole])
                whole = []
            if parts and swap_many is not None:
                done = swap_many([one[1:] for one in parts])
                self._again.update(
                    one[0] for one, is_done in zip(parts, done, strict=True) if not is_done
                )
        except Exception as error:  # noqa: BLE001  (returned as the failure of a chunk)
            if len(batch) == 1:
                self.failure = of_error(batch[0][0], "store", error)
                return
            for one in (*whole, *parts):
                self._set(*one)
                if self.failure is not None:
                    return

    def _set(self, chunk: tuple[int, ...], key: str, value: AnyBuffer | None, token: Any) -> None:
        store = self.chunks.store
        turn = store.turn(key)
        try:
            if token is _WHOLE:
                turn.put(value)
            elif store.swap is not None and not store.swap(key, value, token):
                self._again.add(chunk)
        except Exception as error:  # noqa: BLE001  (returned as the failure of the chunk)
            self.failure = of_error(chunk, "store", error)
        finally:
            turn.end()

    def with_token(self, chunk: tuple[int, ...]) -> tuple[bytes | None, Any]:
        """Return the current value of an object with its token."""
        turn = StoreTurn(self.chunks.store, self.chunks.key(chunk))
        try:
            found = part(self.stopped, turn.get)
            return found, turn.token
        finally:
            turn.end()


class _Rest(WrittenChunks):
    """The stored chunks of an array, of which only some are written."""

    def __init__(self, batches: BatchedChunks, again: set[tuple[int, ...]]) -> None:
        self.chunks, self.admit = batches.chunks, batches.admit
        self._batches, self._again = batches, again

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates, or one that stores nothing."""
        return self._batches.now(chunk) if tuple(chunk) in self._again else _STORED


class _Stored:
    """The turn at a chunk that is stored already."""

    def get(self) -> None:
        """Return None: the value is not needed."""

    def put(self, value: AnyBuffer | None) -> bool:
        """Store nothing."""
        del value
        return True

    def end(self) -> None:
        """Do nothing."""


_STORED = _Stored()


class _BatchedTurn:
    """A turn at a chunk, which is stored with others.

    If its old value is asked for, that requires a store that swaps many values.
    """

    __slots__ = ("_batches", "_chunk", "_token", "_turn")

    def __init__(self, batches: BatchedChunks, chunk: tuple[int, ...]) -> None:
        self._batches, self._chunk = batches, chunk
        self._turn: Turn | None = None
        self._token: Any = _WHOLE

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        if self._batches.swaps:
            found, self._token = self._batches.with_token(self._chunk)
            return found
        if self._turn is None:
            self._turn = self._batches.now(self._chunk)
        return self._turn.get()

    def put(self, value: AnyBuffer | None) -> bool:
        """Store or delete the value, now or later; return False if it was changed since ``get``."""
        if self._turn is not None:
            return self._turn.put(value)
        self._batches.add(self._chunk, value, self._token)
        return True

    def end(self) -> None:
        """Release the key."""
        if self._turn is not None:
            self._turn.end()


def held_back(
    chunks: StoredChunks, count: int, size: int, check: Ahead | None, threads: int | None
) -> BatchedChunks | WaitingChunks | None:
    """Return the chunks for a call that stores so many of a size, after ``check`` has succeeded.

    ``threads`` is the number of those that encode chunks if none is read, or None.

    Return None if each is stored at once, by as many threads as there are processors. Then, nothing
    is left to be checked.
    """
    held = waiting(chunks, count, size)
    if held is not None:
        held.check = check
    elif check is not None:
        check()
    if chunks.store.set_many is None:
        return held
    return BatchedChunks(chunks, held, threads)
