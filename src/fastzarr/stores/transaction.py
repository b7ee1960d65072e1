"""Changes of a local store that are made together: all of them or none, whoever dies when.

Rules of this file:

* While a transaction is under way the store is of the class ``StagedStore``: what is written below
  the transaction's path goes to a folder with a temporary name, and is read from there. Every
  handle that shares the store takes part, whenever it was got.
* To commit, the folder with all new values and the list of changes is synced and renamed to the
  journal's name; that is the instant. Then each value is renamed into its place, and the journal
  goes. A store that finds a journal when it is opened does what is left of it.
* What a transaction changed on the ground of a value that someone else has changed since is not
  committed. The files that it replaces are locked from that look until they are replaced, documents
  first, as everywhere, so that nobody waits in a circle.
* A journal stands in the root of the store, where whoever opens it looks. Who opens a store further
  down looks in the folders above, as long as they are nodes.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fastzarr.errors import TransactionError
from fastzarr.locking import StoreTurn
from fastzarr.stores.commit import FileTurn, lock_file, temporary_name, unlock_file
from fastzarr.stores.keys import JOURNAL_NAME, METADATA_NAMES, validate_key
from fastzarr.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from typing_extensions import Buffer

    from fastzarr.stores.base import Store

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_CHANGES, _VALUES = "changes.json", "values"


class StagedStore(LocalStore):
    """Be a local store while a transaction is under way."""

    staging = True
    _changes: Changes

    @property
    def folder(self) -> None:  # type: ignore[override]
        """Give no folder: what is in it is not what is to be read."""
        return None

    def files(self) -> None:
        """Give no folder."""
        return

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Read a value, and have its size checked."""
        return super(LocalStore, self).get_checked(key, check)

    def _get(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        if key in self._changes.made:
            return self._changes.get(key)
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
        yield from (key for key, there in made.items() if there and key.startswith(start))

    def _list_dir(self, prefix: str) -> Any:
        return super(LocalStore, self)._list_dir(prefix)

    def validator(self, key: str) -> Hashable | None:
        """Give a token of the value as it is in the transaction."""
        validate_key(key)
        if key in self._changes.made:
            return self._changes.token(key)
        return super().validator(key)

    def set_if(self, key: str, value: Buffer, validator: Hashable | None) -> bool:
        """Store the value if the key still has this validator in the transaction."""
        if self.validator(key) != validator:
            return False
        self.set(key, value)
        return True

    def _turn(self, key: str) -> StoreTurn:
        return _StagedTurn(self, key) if self._changes.covers(key) else StoreTurn(self, key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        if self._changes.covers(key):
            self._changes.put(key, value)
        else:
            super()._set(key, value)

    def _delete(self, key: str) -> None:
        if not self._changes.covers(key):
            super()._delete(key)
        elif self._exists(key):
            self._changes.put(key, None)

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
        if key not in self._changes.made and key not in self._changes.seen:
            self._changes.seen[key] = super().validator(key)


class _StagedTurn(StoreTurn):
    """Be a turn that remembers what it looked at."""

    __slots__ = ("_staged",)

    def __init__(self, store: StagedStore, key: str) -> None:
        super().__init__(store, key)
        self._staged = store

    def get(self) -> bytes | None:
        self._take()
        self._staged.look(self._key)
        return super().get()


class Changes:
    """Hold what a transaction has changed so far."""

    def __init__(self, store: LocalStore, path: str) -> None:
        """Make the folder of new values."""
        self.path = path
        #: For each changed key whether it has a value.
        self.made: dict[str, bool] = {}
        #: For each key that was looked at before it was changed, the token of its value then.
        self.seen: dict[str, Hashable | None] = {}
        os.makedirs(store.base, exist_ok=True)  # noqa: PTH103
        self.folder = temporary_name(store.base)
        os.mkdir(self.folder)  # noqa: PTH102
        self._lock: int | None = os.open(self.folder, _FOLDER)
        lock_file(self._lock)
        self._values = LocalStore(f"{self.folder}/{_VALUES}", durability="none")

    def covers(self, key: str) -> bool:
        """Tell whether a key is below the transaction's path."""
        return not self.path or key.startswith(f"{self.path}/")

    def get(self, key: str) -> bytes | None:
        """Give a new value; None for a removed one."""
        return self._values.get(key)

    def token(self, key: str) -> Hashable | None:
        """Give the token of a new value."""
        return self._values.validator(key)

    def put(self, key: str, value: bytes | memoryview | None) -> None:
        """Take a new value, or None for a key that is to be removed."""
        if value is None:
            self._values.delete(key)
        else:
            self._values.set(key, value)
        self.made[key] = value is not None

    def commit(self, store: LocalStore) -> None:
        """Make all changes at once; raises ``TransactionError``, and makes none, on a conflict."""
        if not self.made:
            return
        journal = store.base + JOURNAL_NAME
        turns: list[FileTurn] = []
        try:
            _allow_files(len(self.made))
            keys = self.made.keys() | self.seen.keys()
            for key in sorted(keys, key=_documents_first):
                turn = FileTurn(store, key)
                turns.append(turn)
                turn.lock()
                if key in self.seen and store.validator(key) != self.seen[key]:
                    msg = (
                        f"{key!r} in {store} was changed by another writer during the transaction, "
                        "of which nothing was written; do it again"
                    )
                    raise TransactionError(msg)
            with open(f"{self.folder}/{_CHANGES}", "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump(self.made, file)
            _sync(store, self.folder)
            self._begin(store, journal)
            apply(store, journal)
        finally:
            for turn in turns:
                turn.end()

    def _begin(self, store: LocalStore, journal: str) -> None:
        while True:
            try:
                os.rename(self.folder, journal)  # noqa: PTH104
            except OSError:
                if not os.path.isdir(journal):  # noqa: PTH112
                    raise
                # Someone else's, who is at it or has died.
                recover(store)
            else:
                return

    def end(self) -> None:
        """Let go of the folder, and remove it where nothing came of it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            unlock_file(lock)
            os.close(lock)
        with suppress(FileNotFoundError):
            from shutil import rmtree

            rmtree(self.folder)


@contextmanager
def transaction(store: LocalStore, path: str) -> Iterator[None]:
    """Make what is changed below a path in a ``with`` block at its end, all of it or nothing.

    Raises ``TransactionError`` if the store has one under way, or if another writer has changed
    what a change was made from.
    """
    if type(store) is StagedStore:
        msg = f"a transaction is under way in {store}, and there is one at a time"
        raise TransactionError(msg)
    before = type(store)
    changes = Changes(store, path)
    vars(store)["_changes"] = changes
    store.__class__ = StagedStore
    try:
        yield
    except BaseException:
        _leave(store, before)
        changes.end()
        raise
    _leave(store, before)
    try:
        changes.commit(store)
    finally:
        changes.end()


def _leave(store: LocalStore, kind: type[LocalStore]) -> None:
    store.__class__ = kind
    del vars(store)["_changes"]


def recover(store: LocalStore) -> None:
    """Do what is left of a journal, unless the one who wrote it is at it."""
    journal = store.base + JOURNAL_NAME
    try:
        lock = os.open(journal, _FOLDER)
    except FileNotFoundError:
        return
    try:
        lock_file(lock)
        if os.path.isdir(journal) and os.path.samestat(os.fstat(lock), os.stat(journal)):  # noqa: PTH112, PTH116
            apply(store, journal)
    except OSError as error:
        msg = (
            f"{store} has a transaction that is committed and not yet in place, and it cannot be "
            f"finished: {error}. Open the store once where it can be written"
        )
        raise TransactionError(msg) from error
    finally:
        unlock_file(lock)
        os.close(lock)


def apply(store: LocalStore, journal: str) -> None:
    """Put the values of a journal into their places; what is there already is left."""
    with open(f"{journal}/{_CHANGES}", encoding="utf-8") as file:  # noqa: PTH123
        made: dict[str, bool] = json.load(file)
    for key in made:
        validate_key(key)
        store.check_folder(key.rpartition("/")[0])
    for key, there in made.items():
        target = store.base + key
        if there:
            with suppress(FileNotFoundError):
                _replace(f"{journal}/{_VALUES}/{key}", target)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(target)  # noqa: PTH108
            store.remove_empty(key.rpartition("/")[0])
    store.forget_folders()
    _sync(store, store.base)
    grave = temporary_name(store.base)
    os.rename(journal, grave)  # noqa: PTH104
    store.remove_tree(grave)


def _replace(value: str, target: str) -> None:
    try:
        os.replace(value, target)  # noqa: PTH105
    except FileNotFoundError:
        if not os.path.exists(value):  # noqa: PTH110
            raise  # it was put there before
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.replace(value, target)  # noqa: PTH105


def _sync(store: LocalStore, folder: str) -> None:
    if store.durability != "none":
        from fastzarr.engine import sync

        sync(folder)


def _documents_first(key: str) -> tuple[bool, str]:
    return (key.rpartition("/")[2] not in METADATA_NAMES, key)


def _allow_files(count: int) -> None:
    """Let the process have as many files open as a commit locks."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
