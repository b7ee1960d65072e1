"""The folders of the nodes that a transaction changes, locked for its writer alone.

Rules of this file:

* The folders of all nodes that are changed, and all folders above them up to the root of the store,
  are locked. No writer of such a node is in the middle of a change then, and no two transactions
  that overlap are committed at the same time.
* The threads of this process are excluded by the lock of the paths, too, because not every file
  system can lock folders. Where it cannot, a warning is given: other processes are not excluded.
* A transaction never waits for one lock while it holds others. A writer may therefore change a
  parent group while it holds the folder of a node.
* Before the commit point a mark is put into each of these folders, which leads to the journal. It
  has the journal's name, so that a writer looks for both in one call. A mark is deleted after the
  journal. If a writer finds a mark that leads to no journal, its author has died, and the mark is
  deleted.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.stores.keys import JOURNAL_NAME, parents
from fastzarr.stores.local.journal import complete, root_of
from fastzarr.stores.local.pin import pin_alone
from fastzarr.stores.local.system import BINARY, NOFOLLOW, patiently
from fastzarr.stores.local.turn import warn_of_no_locks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.local.pin import Pin

_MARK = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY


class TooManyFoldersError(OSError):
    """Raised if this process cannot have so many folders open at once."""


class Alone:
    """The locked folders of a transaction's commit, until ``end``."""

    def __init__(self, folder: Folder, nodes: Iterable[str]) -> None:
        """Lock the existing folders of nodes, and those above them.

        Journals of others that are found in them are completed first. Raise
        ``TooManyFoldersError`` if so many folders cannot be open at once.
        """
        self._folder, self._nodes = folder, frozenset(nodes)
        self._paths = folder.place.paths.alone(*self._nodes)
        self._pins: dict[str, Pin] = {}
        self._marked: list[Pin] = []
        paths = sorted(
            {"", *self._nodes, *(above for node in self._nodes for above in parents(node))}
        )
        first = ""
        self._paths.__enter__()
        try:
            while (busy := self._lock(first, paths)) is not None:
                self._close()
                first = busy
            if not all(pin.lock.works for pin in self._pins.values()):
                warn_of_no_locks(folder)
        except OSError as error:
            self.end()
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            reason = f"this process cannot open the {len(paths)} folders that must be locked"
            raise TooManyFoldersError(error.errno, reason, folder.root) from error
        except BaseException:
            self.end()
            raise

    def _lock(self, first: str, paths: list[str]) -> str | None:
        """Lock all folders; return the path of one that is locked by others, to begin with it."""
        mine: set[tuple[int, int]] = set()
        for path in (first, *(path for path in paths if path != first)):
            try:
                pin = pin_alone(self._folder, path, mine, wait=path == first)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a node that is created by the transaction
            if pin is None:
                return path
            self._pins[path] = pin
            mine.add(pin.identity)
        for path, pin in self._pins.items():
            root = root_of(pin.folder, clean=True)
            if root is not None:
                self._close()
                complete(self._folder.at(root))
                return path
        return None

    def mark(self, root: str) -> None:
        """Put marks into the folders, which lead to ``root``, where the journal will be."""
        top = os.path.realpath(root).rstrip(os.sep)
        for path, pin in self._pins.items():
            real = os.path.realpath(pin.folder.root)
            below = real[len(top) :]
            if not below or not real.startswith(top + os.sep):
                continue  # the root itself; or a folder outside, which a link leads to
            try:
                file = os.open(pin.folder.base + JOURNAL_NAME, _MARK, 0o666)
            except PermissionError:
                if path in self._nodes:
                    raise
                continue
            try:
                self._marked.append(pin)
                os.write(file, b"%d\n" % below.count(os.sep))
            finally:
                os.close(file)

    def path_of(self, key: str) -> str:
        """Return the path of a key's file, below the folder that is open."""
        pin, rest = self._holder(key)
        return pin.folder.base + rest

    def is_deleted(self, key: str) -> bool:
        """Whether the open folder of a key has been deleted."""
        return self._holder(key)[0].is_deleted()

    def _holder(self, key: str) -> tuple[Pin, str]:
        at = len(key)
        while True:
            at = key.rfind("/", 0, at)
            found = self._pins.get(key[: max(at, 0)])
            if found is not None:
                return found, key[at + 1 :]

    def unmark(self) -> None:
        """Delete the marks; the journal must not exist any more."""
        while self._marked:
            with suppress(FileNotFoundError):
                patiently(os.unlink, self._marked.pop().folder.base + JOURNAL_NAME)

    def end(self) -> None:
        """Release the folders."""
        try:
            self._close()
        finally:
            self._paths.__exit__(None, None, None)

    def _close(self) -> None:
        while self._pins:
            self._pins.popitem()[1].end()
