"""Changes of a local store that are made together: all of them or none, whoever dies when.

Rules of this file:

* While a transaction is under way the store is of the class ``StagedStore``: what is written below
  the transaction's path goes to a folder with a temporary name, and is read from there. Every
  handle that shares the store takes part, whenever it was got.
* To commit, the folder with all new values and the list of changes is synced and renamed to the
  journal's name; that is the instant. Then each value is renamed into its place, in the order of
  the changes, and the journal goes. A store that finds a journal when it is opened does what is
  left of it. So all that could keep a value from its place is looked at before the instant.
* What a transaction changed on the ground of a value that someone else has changed since is not
  committed. The files that it replaces are locked from that look until they are replaced, documents
  first, as everywhere, so that nobody waits in a circle.
* A thread that is in the middle of a change when the block ends makes it after the transaction, on
  the value that is there then. A forked child has no part in the transaction, and cannot end it.
* A journal stands in the root of the store, where whoever opens it looks. Who opens a store further
  down looks in the folders above, as long as they are nodes.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.errors import TransactionError
from fastzarr.stores.keys import JOURNAL_NAME, validate_key
from fastzarr.stores.local.journal import (
    CHANGES,
    FOLDER_FLAGS,
    VALUES,
    allow_files,
    documents_first,
    finish,
    recover,
    sync_journal,
)
from fastzarr.stores.local.store import LocalStore
from fastzarr.stores.local.system import lock_file, temporary_name, unlock_file
from fastzarr.stores.local.turn import FileTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from typing_extensions import Buffer

    from fastzarr.stores.base import Store
    from fastzarr.stores.place import Locks
    from fastzarr.stores.turns import Turn


class StagedStore(LocalStore):
    """A local store while a transaction is under way."""

    _changes: Changes
    # It says that one is under way.
    transaction = LocalStore.transaction

    def _get(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        changes = self._changes
        if key in changes.made:
            value = changes.get(key)
            if value is not None or not changes.over:
                return value
        return super()._get(key, check)

    def _get_ranges(self, key: str, ranges: Any) -> Any:
        if key in self._changes.made:
            return super(LocalStore, self)._get_ranges(key, ranges)
        return super()._get_ranges(key, ranges)

    def _exists(self, key: str) -> bool:
        made = self._changes.made
        return made[key] if key in made else super()._exists(key)

    def _getsize(self, key: str) -> int | None:
        if key in self._changes.made:
            return super(LocalStore, self)._getsize(key)
        return super()._getsize(key)

    def _list(self, prefix: str) -> Iterator[str]:
        made = self._changes.made
        yield from (key for key in super()._list(prefix) if key not in made)
        start = f"{prefix}/" if prefix else ""
        # A copy, since other threads may write meanwhile.
        changed = tuple(made.items())
        yield from (key for key, there in changed if there and key.startswith(start))

    def _list_dir(self, prefix: str) -> Any:
        return super(LocalStore, self)._list_dir(prefix)

    def modified(self, key: str) -> int | None:
        """Give the time of the last write, in the transaction or before."""
        validate_key(key)
        made = key in self._changes.made
        return self._changes.modified(key) if made else super().modified(key)

    def validator(self, key: str) -> Hashable | None:
        """Give a token of the value as it is in the transaction."""
        validate_key(key)
        if key in self._changes.made:
            return self._changes.token(key)
        return super().validator(key)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current in the transaction."""
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        turn = self._turn(key)
        try:
            turn.get()
            return self.validator(key) == token and turn.put(data)
        finally:
            turn.end()

    def _turn(self, key: str) -> Turn:
        return _StagedTurn(self, key) if self._changes.covers(key) else FileTurn(self, key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        if not (self._changes.covers(key) and self._changes.put(key, value)):
            super()._set(key, value)

    def _delete(self, key: str) -> None:
        there = self._exists(key)
        if there and not (self._changes.covers(key) and self._changes.put(key, None)):
            super()._delete(key)

    def _delete_dir(self, prefix: str) -> None:
        super(LocalStore, self)._delete_dir(prefix)

    def clear(self) -> None:
        """Remove all keys."""
        super(LocalStore, self).clear()

    def _move(self, source: str, target: str) -> None:
        super(LocalStore, self)._move(source, target)

    def draft(self, path: str) -> None:
        """Begin no draft: nothing is seen before the transaction ends anyway."""
        del path

    def lasting(self) -> Store:
        """Give the store itself: all is synced when the transaction ends."""
        return self

    def settle(self, path: str) -> None:
        """Leave the names at a path for the end of the transaction."""

    def flush(self) -> None:
        """Leave all for the end of the transaction."""

    def look(self, key: str) -> None:
        """Remember a value that a change is made from."""
        folder, slash, name = key.rpartition("/")
        if name in (".zarray", ".zgroup"):
            # Read and changed in the same turn.
            self.look(f"{folder}{slash}.zattrs")
        if key not in self._changes.made and key not in self._changes.seen:
            self._changes.seen[key] = super().validator(key)

    def with_read_only(self, read_only: bool = True) -> Self:
        """Give a store for the same values, which takes part in the transaction."""
        other = object.__new__(type(self))
        vars(other).update(vars(self) | {"read_only": read_only})
        self._changes.stores.append(other)
        return other

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse to be copied or pickled: a copy would not see the transaction end."""
        msg = f"{self} can be pickled or copied when the transaction under way in it has ended"
        raise TransactionError(msg)


class _StagedTurn:
    """Be a turn that remembers what it looked at, and a plain one once the block has ended."""

    __slots__ = ("_changes", "_key", "_locks", "_plain", "_store")

    def __init__(self, store: StagedStore, key: str) -> None:
        self._store, self._key, self._changes = store, key, store._changes  # noqa: SLF001
        self._locks: Locks | None = None
        self._plain: FileTurn | None = None

    def get(self) -> bytes | None:
        if self._changes.over and self._plain is None:
            self.end()
            self._plain = FileTurn(self._store, self._key)
        if self._plain is not None:
            return self._plain.get()
        if self._locks is None:
            locks = self._store.place.locks
            locks.take(self._key)
            self._locks = locks
        # Before the value is read, so that a change in between is noticed.
        self._store.look(self._key)
        return self._store.get(self._key)

    def put(self, value: Buffer | None) -> bool:
        if self._changes.over and self._plain is None and self._locks is None:
            self._plain = FileTurn(self._store, self._key)  # it did not look
        if self._plain is not None:
            return self._plain.put(value)
        data = None if value is None else flat_bytes(value, self._key)
        if data is None and not self._store.exists(self._key):
            return True
        return self._changes.put(self._key, data)

    def end(self) -> None:
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.give_back(self._key)
        if self._plain is not None:
            self._plain.end()


class Changes:
    """Hold what a transaction has changed so far."""

    def __init__(self, store: LocalStore, path: str) -> None:
        """Make the folder of new values."""
        self.path = path
        #: For each changed key whether it has a value.
        self.made: dict[str, bool] = {}
        #: For each key that was looked at before it was changed, the token of its value then.
        self.seen: dict[str, Hashable | None] = {}
        #: The stores that take part.
        self.stores = [store]
        #: Whether the block has ended.
        self.over = False
        self._last: dict[str, int] = {}
        self._count = 0
        self._guard = Lock()
        self._owner = os.getpid()
        self._lock: int | None = None
        os.makedirs(store.base, exist_ok=True)  # noqa: PTH103
        self.folder = temporary_name(store.base)
        os.mkdir(self.folder)  # noqa: PTH102
        try:
            self._lock = os.open(self.folder, FOLDER_FLAGS)
            lock_file(self._lock)
        except BaseException:
            self.end()
            raise
        self._values = LocalStore(f"{self.folder}/{VALUES}", durability="none")

    def covers(self, key: str) -> bool:
        """Tell whether a key is below the transaction's path."""
        return not self.path or key.startswith(f"{self.path}/")

    def get(self, key: str) -> bytes | None:
        """Give a new value; None for a removed one."""
        return self._values.get(key)

    def token(self, key: str) -> Hashable | None:
        """Give the token of a new value."""
        return self._values.validator(key)

    def modified(self, key: str) -> int | None:
        """Give the time of a new value; None for a removed one."""
        return self._values.modified(key)

    def put(self, key: str, value: bytes | memoryview | None) -> bool:
        """Take a new value, or None for a key that is to be removed; False if all is over."""
        self._check_owner()
        with self._guard:
            if self.over:
                return False
            if value is None:
                self._values.delete(key)
            else:
                self._values.set(key, value)
            self.made[key] = value is not None
            self._last[key] = self._count = self._count + 1
        return True

    def close(self, kind: type[LocalStore]) -> None:
        """Take no more changes, and let the stores be what they were."""
        with self._guard:
            self.over = True
        for store in self.stores:
            store.__class__ = kind

    def commit(self, store: LocalStore) -> None:
        """Make all changes at once; raises ``TransactionError``, and makes none, on a conflict."""
        self._check_owner()
        if not self.made:
            return
        allow_files(len(self.made))
        ordered = sorted(self.made, key=self._last.__getitem__)
        try:
            for key in ordered:
                if self.made[key]:
                    # What stands in the way is met here, and not behind the instant.
                    store.in_folder(key, lambda _: None)
                else:
                    store.check_folder(key.rpartition("/")[0])
            with open(f"{self.folder}/{CHANGES}", "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump({key: self.made[key] for key in ordered}, file)
            sync_journal(store, self.folder)
            while not self._made(store):
                # Someone else's, who is at it or has died; then all is looked at again.
                recover(store)
        except BaseException:
            for key in ordered:
                store.remove_empty(key.rpartition("/")[0])
            raise

    def _made(self, store: LocalStore) -> bool:
        journal = store.base + JOURNAL_NAME
        turns: list[FileTurn] = []
        try:
            for key in sorted(self.made.keys() | self.seen.keys(), key=documents_first):
                turn = FileTurn(store, key)
                turns.append(turn)
                turn.lock()
                if key in self.seen and store.validator(key) != self.seen[key]:
                    msg = (
                        f"{key!r} in {store} was changed by another writer during the transaction, "
                        "of which nothing was written; do it again"
                    )
                    raise TransactionError(msg)
            try:
                os.rename(self.folder, journal)  # noqa: PTH104
            except OSError:
                if not os.path.isdir(journal):  # noqa: PTH112
                    raise
                return False
            finish(store, journal)
        finally:
            for turn in turns:
                turn.end()
        return True

    def end(self) -> None:
        """Let go of the folder, and remove it where nothing came of it."""
        mine = os.getpid() == self._owner
        lock, self._lock = self._lock, None
        try:
            if lock is not None:
                try:
                    if mine:
                        unlock_file(lock)
                finally:
                    os.close(lock)
        finally:
            if mine:
                with suppress(FileNotFoundError):
                    from shutil import rmtree

                    rmtree(self.folder)

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            msg = "a transaction is its process's own; a forked child cannot change or end it"
            raise TransactionError(msg)


@contextmanager
def transaction(store: LocalStore, path: str) -> Iterator[None]:
    """Make what is changed below a path in a ``with`` block at its end, all of it or nothing.

    Raises ``TransactionError`` if the store has one under way, or if another writer has changed
    what a change was made from.
    """
    with store.place.guard:
        kind = type(store)
        if kind is StagedStore:
            msg = f"a transaction is under way in {store}, and there is one at a time"
            raise TransactionError(msg)
        changes = Changes(store, path)
        vars(store)["_changes"] = changes
        store.__class__ = StagedStore
    try:
        try:
            yield
        finally:
            changes.close(kind)
        changes.commit(store)
    finally:
        changes.end()
