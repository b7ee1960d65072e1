"""The values of a local store during a transaction, and its commit.

Rules of this file:

* During a transaction, values below its path are written to a folder with a temporary name, and
  read from there. This applies to the store, to its copies, and to every handle of them.
* To commit, the folder with the new values and the list of changes is synced and renamed to the
  journal's name; that rename is the commit point. Then the journal is applied: see ``journal.py``.
  Everything that could prevent this is therefore checked before the commit point.
* If another writer has changed a value that the transaction has read, nothing is committed. The
  files to be replaced are locked from that comparison until they are replaced, documents first, as
  everywhere, so that writers cannot deadlock.
* A thread that is in the middle of a change when the block ends makes it after the transaction, on
  the value of that time. A forked child has no part in the transaction, and cannot end it.
* The journal is in the root of the store. A store that is opened there, or at a node below, finds
  the journal and completes it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from fastzarr.buffers import flat_bytes
from fastzarr.errors import TransactionError
from fastzarr.stores.keys import JOURNAL_NAME
from fastzarr.stores.local.folder import Folder, token
from fastzarr.stores.local.journal import (
    CHANGES,
    FOLDER_FLAGS,
    VALUES,
    allow_files,
    documents_first,
    finish,
    recover,
    sync_all,
)
from fastzarr.stores.local.system import FileLock, locked_folder, temporary_name
from fastzarr.stores.local.turn import FileTurn, put

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.place import Locks
    from fastzarr.stores.turns import Turn

T = TypeVar("T")


class Staged:
    """The values of a folder with the changes of a transaction in it."""

    def __init__(self, folder: Folder, path: str) -> None:
        """Create the folder of new values."""
        self.folder, self.path = folder, path
        #: Whether each changed key has a value now.
        self.made: dict[str, bool] = {}
        #: The token of each key when it was read before its change.
        self.seen: dict[str, Hashable | None] = {}
        #: Whether the block has ended.
        self.over = False
        self._last: dict[str, int] = {}
        self._count = 0
        self._guard = Lock()
        self._owner = os.getpid()
        self._lock: FileLock | None = None
        os.makedirs(folder.base, exist_ok=True)
        self._beside = temporary_name(folder.base)
        os.mkdir(self._beside)
        try:
            self._lock = locked_folder(self._beside, FOLDER_FLAGS)
        except BaseException:
            self.end()
            raise
        self._values = Folder(f"{self._beside}/{VALUES}", durability="none")

    def read(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        """Return the value of a key as ``Folder.read`` does."""
        return self._ask(key, lambda folder: folder.read(key, check))

    def read_parts(
        self, key: str, ranges: Sequence[tuple[int, int | None]]
    ) -> tuple[list[bytes], os.stat_result] | None:
        """Return parts of a value as ``Folder.read_parts`` does."""
        return self._ask(key, lambda folder: folder.read_parts(key, ranges))

    def stat_file(self, key: str) -> os.stat_result | None:
        """Return the ``stat`` of a key's file, or None if the key is missing."""
        return self._ask(key, lambda folder: folder.stat_file(key))

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return self.made[key] if key in self.made else self.folder.exists(key)

    def keys_below(self, prefix: str, *, sweep: bool = True) -> Iterator[str]:
        """Yield the keys below a prefix."""
        for key in self.folder.keys_below(prefix, sweep=sweep):
            if key not in self.made:
                yield key
        start = f"{prefix}/" if prefix else ""
        # Copied, because other threads may write at the same time.
        for key, has_value in tuple(self.made.items()):
            if has_value and key.startswith(start):
                yield key

    def _ask(self, key: str, verb: Callable[[Folder], T | None]) -> T | None:
        """Return ``verb(folder)`` for the folder in which the value of the key is."""
        if key in self.made:
            found = verb(self._values)
            # When the block has ended, the new values are moved into place.
            if found is not None or not self.over:
                return found
        return verb(self.folder)

    def covers(self, key: str) -> bool:
        """Whether a key is below the transaction's path."""
        return not self.path or key.startswith(f"{self.path}/")

    def look(self, key: str) -> None:
        """Remember the validator of a value that a change is made from."""
        if key not in self.made and key not in self.seen:
            self.seen[key] = _token(self.folder, key)

    def put(self, key: str, value: Buffer | None) -> bool:
        """Store a value, or delete the key if the value is None.

        Return False, and change nothing, if the key is not covered or the block has ended.
        """
        if not self.covers(key):
            return False
        self._check_owner()
        with self._guard:
            if self.over:
                return False
            put(self._values, key, value)
            self.made[key] = value is not None
            self._last[key] = self._count = self._count + 1
        return True

    def remove(self, key: str) -> bool:
        """Delete a key, if it exists, as ``put`` does."""
        return not self.exists(key) or self.put(key, None)

    def turn(self, key: str) -> Turn:
        """Return a turn at a key."""
        return StagedTurn(self, key) if self.covers(key) else FileTurn(self.folder, key)

    def close(self) -> None:
        """Accept no more changes."""
        with self._guard:
            self.over = True

    def commit(self) -> None:
        """Apply all changes atomically; raise TransactionError, applying none, on a conflict."""
        self._check_owner()
        if not self.made:
            return
        allow_files(len(self.made))
        ordered = sorted(self.made, key=self._last.__getitem__)
        try:
            for key in ordered:
                if self.made[key]:
                    # Creates the folder, so that obstacles are found before the commit point.
                    self.folder.write_beside(key, lambda _: None)
                else:
                    self.folder.check(key.rpartition("/")[0])
            with open(f"{self._beside}/{CHANGES}", "w", encoding="utf-8") as file:
                json.dump({key: self.made[key] for key in ordered}, file)
            sync_all(self.folder, self._beside)
            while not self._made():
                # There is a journal of another writer. It is completed, then all is checked again.
                recover(self.folder)
        except BaseException:
            for key in ordered:
                self.folder.remove_empty(key.rpartition("/")[0])
            raise

    def _made(self) -> bool:
        journal = self.folder.base + JOURNAL_NAME
        turns: list[FileTurn] = []
        try:
            for key in sorted(self.made.keys() | self.seen.keys(), key=documents_first):
                turn = FileTurn(self.folder, key)
                turns.append(turn)
                turn.lock()
                if key in self.seen and _token(self.folder, key) != self.seen[key]:
                    msg = (
                        f"{key!r} in {self.folder} was changed by another writer during the "
                        "transaction, so nothing was written; repeat the transaction"
                    )
                    raise TransactionError(msg)
            try:
                os.rename(self._beside, journal)
            except OSError:
                if not os.path.isdir(journal):
                    raise
                return False
            finish(self.folder, journal)
        finally:
            for turn in turns:
                turn.end()
        return True

    def end(self) -> None:
        """Release the folder of new values, and delete it if it was not committed."""
        mine = os.getpid() == self._owner
        lock, self._lock = self._lock, None
        try:
            if lock is not None:
                lock.end()
        finally:
            if mine:
                with suppress(FileNotFoundError):
                    from shutil import rmtree

                    rmtree(self._beside)

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            msg = "a transaction belongs to one process; a forked child cannot change or end it"
            raise TransactionError(msg)


class StagedTurn:
    """A turn that records the values it has read; an ordinary one once the block has ended."""

    __slots__ = ("_changes", "_key", "_locks", "_plain")

    def __init__(self, changes: Staged, key: str) -> None:
        """Initialise; the lock is taken when it is first needed."""
        self._changes, self._key = changes, key
        self._locks: Locks | None = None
        self._plain: FileTurn | None = None

    def get(self) -> bytes | None:
        """Return the value, or None if the key is missing."""
        changes, key = self._changes, self._key
        if changes.over and self._plain is None:
            self.end()
            self._plain = FileTurn(changes.folder, key)
        if self._plain is not None:
            return self._plain.get()
        if self._locks is None:
            locks = changes.folder.place.locks
            locks.take(key)
            self._locks = locks
        # Recorded before the value is read, so that a change in between is noticed.
        changes.look(key)
        return changes.read(key)

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if the block has ended since ``get``."""
        changes, key = self._changes, self._key
        if changes.over and self._plain is None and self._locks is None:
            self._plain = FileTurn(changes.folder, key)  # it has not read the value
        if self._plain is not None:
            return self._plain.put(value)
        if value is None:
            return not changes.exists(key) or changes.put(key, None)
        return changes.put(key, flat_bytes(value, key))

    def end(self) -> None:
        """Release the locks."""
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.give_back(self._key)
        if self._plain is not None:
            self._plain.end()


def _token(folder: Folder, key: str) -> Hashable | None:
    info = folder.stat_file(key)
    return None if info is None else token(info)
