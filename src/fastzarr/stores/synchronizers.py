"""The synchronizers of zarr-python 2: locks by key, among threads or processes."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Self

from fastzarr.errors import BaseZarrError
from fastzarr.stores.place import own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class ThreadSynchronizer:
    """Locks for chunks and documents, shared by the threads of one process.

    fastzarr does not need them: concurrent writes to a chunk are safe without. The class exists for
    scripts written for zarr-python 2, and for code that takes its locks by key. An unpickled copy
    has its own locks.

    >>> synchronizer = ThreadSynchronizer()
    >>> with synchronizer["temperature/0.0"]:
    ...     pass
    """

    def __init__(self) -> None:
        """Initialise without locks."""
        self._place = own()

    def __getitem__(self, item: str) -> AbstractContextManager[None]:
        """Return the lock of a key, for a ``with`` statement."""
        return self._place.locks.held(item)

    def __getstate__(self) -> bool:
        """Return a state without locks."""
        return True

    def __setstate__(self, state: object) -> None:
        """Initialise without locks."""
        self._place = own()


# The files that this process has locked for a ``ProcessSynchronizer``, and the turns of its threads
# at them. The system's lock belongs to the whole process and to the file, whichever synchronizer
# asked for it, so this is the process's too. A forked child has none of these locks.
_files = own()
_locked: set[str] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locked.clear)


class ProcessSynchronizer:
    """Locks for chunks and documents in a folder of files, shared by processes and threads.

    In a store with locks or compare-and-swap, such as the local store, fastzarr does not need them:
    concurrent writes to a chunk are safe without. With a synchronizer they are safe in every store,
    and together with programs that use zarr-python 2's synchronizer with the same folder, because
    the type of lock is the same. The lock files are kept.

    ``path`` is a folder that all processes can access; it is created when first needed.

    >>> import tempfile
    >>> synchronizer = ProcessSynchronizer(tempfile.mkdtemp())
    >>> with synchronizer["temperature/0.0"]:
    ...     pass
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Initialise with the path of the folder."""
        self.path = os.fspath(path)

    def __getitem__(self, item: str) -> AbstractContextManager[None]:
        """Return the lock of a key, for a ``with`` statement."""
        return self._held(item)

    @contextmanager
    def _held(self, item: str) -> Iterator[None]:
        path = os.path.join(os.path.realpath(self.path), item)
        # Such a lock belongs to the process, and is dropped when the first of its descriptors for
        # the file is closed. Threads therefore exclude each other before they lock the file, and a
        # file that is already locked is not locked again.
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
        """Pickle only the path."""
        return (type(self), (self.path,))


@contextmanager
def _locked_file(path: str) -> Iterator[None]:
    from pathlib import Path

    try:
        import fcntl
    except ImportError as error:
        msg = (
            "a ProcessSynchronizer needs file locks, which this system does not have; use a "
            "ThreadSynchronizer, and write from one process at a time"
        )
        raise BaseZarrError(msg) from error

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("ab") as file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX)
                break
            except OSError as error:
                # The system does not distinguish threads, so it reports a deadlock if threads of
                # two processes wait for locks that other threads of the other process hold.
                if error.errno != errno.EDEADLK:
                    raise
                sleep(0.001)
        yield
