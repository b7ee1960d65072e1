"""The synchronizers of zarr-python 2: locks by key, among threads or processes."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Self

from fastzarr.stores.place import own
from fastzarr.stores.turns import locked_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


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
        """Return the lock of a key, for a ``with`` statement."""
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
        """Return the lock of a key, for a ``with`` statement."""
        return self._held(item)

    @contextmanager
    def _held(self, item: str) -> Iterator[None]:
        path = os.path.join(os.path.realpath(self.path), item)  # noqa: PTH118
        # The system keeps such a lock for the whole process, and drops it with the first of its
        # descriptors that is closed: threads take turns before they ask for it, and who has it
        # already does not ask again.
        with _files.locks.held(path):
            if path in locked_files:
                yield
                return
            with _locked_file(path):
                locked_files.add(path)
                try:
                    yield
                finally:
                    locked_files.discard(path)

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
