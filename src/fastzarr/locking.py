"""Who may change a value, and when: turns of writers, and zarr-python 2's synchronizers.

Rules of this file:

* A writer takes a turn at a key. From the moment it looks at the value until the turn ends, no
  other writer's change comes between, or ``put`` says that one did and the writer looks again.
* Turns are taken late and held briefly: a value that depends on no other is encoded before.
* A store that knows how to keep other processes out as well has turns of its own
  (``stores/local.py``); here are those of the threads of one process.
* A child process starts with no turn taken.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol, Self

from fastzarr.stores.base import flat_bytes
from fastzarr.stores.place import own
from fastzarr.stores.protocols import Request

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.base import Store
    from fastzarr.stores.place import Locks


class Turn(Protocol):
    """Be one writer's turn at one key; ``end`` is to be called, whatever happens."""

    def get(self) -> bytes | None:
        """Give the value as no other writer can now change it unnoticed; None if there is none."""

    def put(self, value: Buffer | None) -> bool:
        """Store the value, or remove the key where it is None.

        Return False, and store nothing, if another writer has changed the value since ``get``.
        """

    def end(self) -> None:
        """Let others have their turns."""


class StoreTurn:
    """A turn among the threads of this process, by the verbs that every store has.

    In a store with compare-and-swap, writers of other processes lose nothing either. A writer that
    has not read the value takes no turn there: those who have see that it was changed.
    """

    __slots__ = ("_key", "_locks", "_looked", "_store", "_token")

    def __init__(self, store: Store, key: str) -> None:
        """Take the turn when it is first needed."""
        self._store, self._key = store, key
        self._locks: Locks | None = None
        self._looked = False
        self._token: Hashable = None

    def _take(self) -> None:
        if self._locks is None:
            locks = self._store.place.locks
            locks.take(self._key)
            self._locks = locks

    def get(self) -> bytes | None:
        """Return the value as it is now."""
        self._take()
        self._looked = True
        store, key = self._store, self._key
        if store.swap is None:
            return store.get_valid(key)
        ((_, value),) = store.fetch((Request(key),))
        if value is None:
            self._token = None
            return None
        self._token = value.token
        if value.token is None and store.validator is not None:
            # Taken before the value, so that a change in between is noticed.
            self._token = store.validator(key)
            return store.get_valid(key)
        return value.data if type(value.data) is bytes else bytes(value.data)

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if another process changed it since ``get``."""
        store, key = self._store, self._key
        if store.swap is None:
            self._take()
        elif self._looked:
            return store.swap(key, value, self._token)
        if value is None:
            store.delete(key)
        else:
            store.set_valid(key, flat_bytes(value, key))
        return True

    def end(self) -> None:
        """Let other threads have their turns."""
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.give_back(self._key)


class Synchronized:
    """Be a turn inside a lock of the user's synchronizer, which is held all the time."""

    __slots__ = ("_lock", "_turn")

    def __init__(self, turn: Turn, lock: AbstractContextManager[Any]) -> None:
        """Take the user's lock at once."""
        self._turn, self._lock = turn, lock
        lock.__enter__()

    def get(self) -> bytes | None:
        """Give the value as it is now."""
        return self._turn.get()

    def put(self, value: Buffer | None) -> bool:
        """Store or remove the value."""
        return self._turn.put(value)

    def end(self) -> None:
        """Give back both locks."""
        try:
            self._turn.end()
        finally:
            self._lock.__exit__(None, None, None)


class ThreadSynchronizer:
    """Keep a lock for each chunk and document, among the threads of one process.

    Writers of this package that share a chunk are safe without one. It is for scripts written for
    zarr-python 2, and for code that takes its locks by name. A copy got by pickling has locks of
    its own.

    >>> synchronizer = ThreadSynchronizer()
    >>> with synchronizer["temperature/0.0"]:
    ...     pass
    """

    def __init__(self) -> None:
        """Start without locks."""
        self._place = own()

    def __getitem__(self, item: str) -> AbstractContextManager[None]:
        """Give the lock of a key, for a ``with`` statement."""
        return self._place.locks.held(item)

    def __getstate__(self) -> bool:
        """Pickle without locks."""
        return True

    def __setstate__(self, state: object) -> None:
        """Start without locks."""
        self._place = own()


# Of the files that this process has locked for a ``ProcessSynchronizer``: the system's lock belongs
# to the whole process and to the file, whichever synchronizer asked for it.
_files = own()
_locked: set[str] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locked.clear)


class ProcessSynchronizer:
    """Keep a lock for each chunk and document in files of a folder, among processes and threads.

    Writers of this package that share a chunk are safe without one where the store can lock or
    compare and swap, as the local store can. With one they are on every store, and beside programs
    that use zarr-python 2's synchronizer with the same folder, whose kind of lock this takes. The
    lock files stay in the folder.

    ``path`` is a folder that all processes see; it is made when first needed.

    >>> import tempfile
    >>> synchronizer = ProcessSynchronizer(tempfile.mkdtemp())
    >>> with synchronizer["temperature/0.0"]:
    ...     pass
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Keep the path."""
        self.path = os.fspath(path)

    def __getitem__(self, item: str) -> AbstractContextManager[None]:
        """Give the lock of a key, for a ``with`` statement."""
        return self._held(item)

    @contextmanager
    def _held(self, item: str) -> Iterator[None]:
        path = os.path.join(os.path.realpath(self.path), item)  # noqa: PTH118
        # The system keeps such a lock for the whole process, and drops it with the first of its
        # descriptors that is closed: threads take turns before they ask for it, and who has it
        # already does not ask again.
        with _files.locks.held(path):
            if path in _locked:
                yield
                return
            with _locked_file(path):
                _locked.add(path)
                try:
                    yield
                finally:
                    _locked.discard(path)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Pickle the path."""
        return (type(self), (self.path,))


@contextmanager
def _locked_file(path: str) -> Iterator[None]:
    import fcntl  # absent where there is no such lock
    from pathlib import Path

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("ab") as file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX)
                break
            except OSError as error:
                # The system does not tell threads apart: where one of a process waits for a lock of
                # another process, and another thread there for one of here, it takes that for a
                # deadlock.
                if error.errno != errno.EDEADLK:
                    raise
                sleep(0.001)
        yield
