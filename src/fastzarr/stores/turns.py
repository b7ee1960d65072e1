"""Turns: exclusive access of one writer to one key.

Rules of this file:

* Between a writer's reading of the value and the end of its turn, either no other writer changes
  the value, or ``put`` returns False and the writer reads it again.
* Locks are taken late: a chunk that does not depend on its old value is encoded first.
* A store that can also exclude other processes has its own turns (``local/turn.py``). The turns in
  this file exclude the threads of one process.
* A value that a writer has stored itself may be changed without reading it again (``kept``), where
  the store compares and swaps. What is found out from such a value alone is looked at again: that
  nothing is to be changed, and any error.
* No turn is held in a forked child process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.buffers import flat_bytes
from fastzarr.stores.capabilities import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Prepared, Value
    from fastzarr.stores.place import Place
    from fastzarr.stores.users import Hold

    # Values that a writer has stored, with their tokens, by key.
    Kept = dict[str, tuple[bytes | None, Hashable]]


class Turn(Protocol):
    """Exclusive access of one writer to one key; ``end`` must always be called."""

    def get(self) -> bytes | None:
        """Return the value, or None if the key is missing; no later change goes unnoticed."""

    def put(self, value: Buffer | None) -> bool:
        """Store the value, or delete the key if the value is None.

        Return False, and change nothing, if another writer has changed the value since ``get``.
        """

    def end(self) -> None:
        """Release the key."""


def take(
    turn: Turn,
    make: Callable[[bytes | None], Buffer | None],
    before: Callable[[Prepared | None], None] | None,
    then: Callable[[], None] | None,
    kept: Kept | None = None,
) -> None:
    """Replace a value in its turn, as ``Store.change`` does, and end the turn.

    ``kept`` has values that were stored in such turns. ``make`` may be called with one of them,
    which need not be current; so ``before`` must be None.
    """
    # Not all turns have this method.
    recall = None if kept is None else getattr(turn, "recall", None)
    try:
        while True:
            recalled = recall is not None and recall(kept)
            old = turn.get()
            try:
                new = make(old)
            except Exception:
                if recalled:
                    continue
                raise
            if recalled and new is old:
                continue
            if new is not old and before is not None:
                # Only the turns of files have this method.
                prepare = getattr(turn, "prepare", None)
                before(None if prepare is None or new is None else prepare(new))
            if new is old or turn.put(new):
                break
        if then is not None:
            then()
    finally:
        turn.end()


class Verbs(Protocol):
    """The methods of a store that ``StoreTurn`` uses."""

    @property
    def place(self) -> Place:
        """The identity of the store's values."""

    @property
    def swap(self) -> Callable[[str, Buffer | None, Hashable | None], bool] | None:
        """Compare-and-swap, or None."""

    @property
    def swap_token(self) -> Callable[..., tuple[bool, Hashable | None]] | None:
        """Compare-and-swap that returns the new token, or None."""

    @property
    def swaps_deletes(self) -> bool:
        """Whether ``swap`` deletes, too."""

    @property
    def validator(self) -> Callable[[str], Hashable | None] | None:
        """The tokens of values, or None."""

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return values, with their tokens if the store has them."""

    def get_valid(self, key: str) -> bytes | None:
        """Return the value of a valid key."""

    def set_valid(self, key: str, value: bytes | memoryview) -> None:
        """Store a value under a valid key."""

    def delete(self, key: str) -> None:
        """Delete a key."""


class StoreTurn:
    """A turn that excludes the threads of this process, using the methods that every store has.

    In a store with compare-and-swap, no update of another process is lost either. A writer that has
    not read the value takes no lock there, because writers that have read it notice the change.
    """

    __slots__ = ("_hold", "_kept", "_key", "_looked", "_recalled", "_store", "token")

    def __init__(self, store: Verbs, key: str) -> None:
        """Initialise; the lock is taken when it is first needed."""
        self._store, self._key = store, key
        self._hold: Hold | None = None
        self._looked = False
        #: The token of the value that ``get`` has returned.
        self.token: Hashable = None
        self._kept: Kept | None = None
        self._recalled: bytes | None = None

    def _take(self) -> None:
        if self._hold is None:
            self._hold = self._store.place.locks.take(self._key)

    def recall(self, kept: Kept) -> bool:
        """Let the next ``get`` return the value of the key in ``kept``; return whether it has one.

        It is returned once. ``put`` keeps the new value there.
        """
        if self._store.swap_token is None:
            return False
        # Another thread may store a value before this one has the lock.
        self._take()
        self._kept = kept
        self._recalled, self.token = kept.pop(self._key, (None, None))
        return self._recalled is not None

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        self._take()
        self._looked = True
        recalled, self._recalled = self._recalled, None
        if recalled is not None:
            return recalled
        store, key = self._store, self._key
        if store.swap is None:
            return store.get_valid(key)
        ((_, value),) = store.fetch((Request(key),))
        if value is None:
            self.token = None
            return None
        self.token = value.token
        if value.token is None and store.validator is not None:
            # Read before the value, so that a change in between is noticed.
            self.token = store.validator(key)
            return store.get_valid(key)
        return value.data if type(value.data) is bytes else bytes(value.data)

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if another process changed it since ``get``."""
        store, key = self._store, self._key
        if store.swap is None:
            self._take()
        elif self._looked and (value is not None or store.swaps_deletes):
            if self._kept is None or store.swap_token is None:
                return store.swap(key, value, self.token)
            done, token = store.swap_token(key, value, self.token)
            if done and token is not None and value is not None:
                self._kept[key] = bytes(flat_bytes(value, key)), token
            return done
        elif self._looked and store.validator is not None and store.validator(key) != self.token:
            return False
        if value is None:
            store.delete(key)
        else:
            store.set_valid(key, flat_bytes(value, key))
        return True

    def end(self) -> None:
        """Release the key."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self._store.place.locks.give_back(hold)


class Synchronized:
    """A turn combined with a lock of the user's synchronizer."""

    __slots__ = ("_lock", "_turn")

    def __init__(self, turn: Turn, lock: AbstractContextManager[Any]) -> None:
        """Initialise, and acquire the user's lock immediately."""
        self._turn, self._lock = turn, lock
        lock.__enter__()

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        return self._turn.get()

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if it was changed since ``get``."""
        return self._turn.put(value)

    def end(self) -> None:
        """Release both locks."""
        try:
            self._turn.end()
        finally:
            self._lock.__exit__(None, None, None)
