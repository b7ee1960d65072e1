"""The values of a local store during a transaction, and its commit.

Rules of this file:

* The values below the path that the thread of a transaction stores are written to a folder with a
  temporary name, and read from there. Other threads take no part, except those of the engine, which
  act for their caller.
* To commit, the folder with the new values and the list of changes is synced and renamed to the
  journal's name; that rename is the commit point. Then the journal is applied: see ``journal.py``.
  Everything that could prevent this is therefore checked before the commit point.
* The token of each value below the path is remembered before it is first read, and that of a
  missing value too. At the end all are compared; if another writer has changed one, nothing is
  committed. If the block has changed nothing, nothing is compared.
* The folders of all nodes that are changed are locked from that comparison until the journal is
  deleted: see ``alone.py``. What is only read is compared without a lock: transactions that overlap
  exclude each other by the folders above, and another writer may be thought to come later. The
  documents to be replaced are locked, too, because a store's own verbs lock only these.
* A change that is not finished when the block ends is made after the transaction, on the value of
  that time. A forked child has no part in the transaction, and cannot end it.
* The journal is in the root of the store. A store that is opened there, or at a node below, finds
  the journal and completes it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from fastzarr.buffers import flat_bytes
from fastzarr.errors import BaseZarrError, TransactionError
from fastzarr.stores.keys import JOURNAL_NAME, METADATA_NAMES
from fastzarr.stores.local.alone import Alone, TooManyFoldersError
from fastzarr.stores.local.folder import Folder, token
from fastzarr.stores.local.journal import (
    CHANGES,
    FOLDER_FLAGS,
    VALUES,
    applying,
    check,
    documents_first,
    dump,
    finish,
    node_of,
    owners,
    sync_all,
)
from fastzarr.stores.local.overlay import Layer
from fastzarr.stores.local.system import (
    FileLock,
    locked_folder,
    patiently,
    temporary_name,
)
from fastzarr.stores.local.turn import FileTurn, put

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Prepared
    from fastzarr.stores.turns import Turn
    from fastzarr.stores.users import Hold

T = TypeVar("T")


class Staged(Layer):
    """The values of a folder with the changes of a transaction in it."""

    def __init__(self, folder: Folder, path: str) -> None:
        """Create the folder of new values."""
        self.path = path
        #: The token of each key that was read before it was changed, by the time of the first read.
        self.seen: dict[str, Hashable | None] = {}
        self._last: dict[str, int] = {}
        self._count = 0
        self._guard = Lock()
        self._owner = os.getpid()
        self._lock: FileLock | None = None
        os.makedirs(folder.base, exist_ok=True)
        self._beside = temporary_name(folder.base)
        self._journal = folder.base + JOURNAL_NAME
        values = Folder(f"{self._beside}/{VALUES}", durability="none")
        values.named = folder.named
        super().__init__(folder, {}, values, "")
        self._copies = folder.place.copies
        os.mkdir(self._beside)
        try:
            self._held = self._lock = locked_folder(self._beside, FOLDER_FLAGS)
        except BaseException:
            self.end()
            raise

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        self.look(key)
        return super().exists(key)

    def _ask(self, key: str, verb: Callable[[Folder, str], T | None]) -> T | None:
        self.look(key)
        return super()._ask(key, verb)

    def covers(self, key: str) -> bool:
        """Whether a key is below the transaction's path.

        Copies of metadata under custom keys are not covered. They may be deleted at any time.
        """
        if self.path and not key.startswith(f"{self.path}/"):
            return False
        return not any(key == copy for _, copy in tuple(self._copies))

    def look(self, key: str) -> None:
        """Remember the validator of a value before it is read."""
        if key not in self.made and key not in self.seen and not self.over and self.covers(key):
            # The first one counts, if several threads read the value.
            self.seen.setdefault(key, _token(self.folder, key))

    def put(self, key: str, value: Buffer | None) -> bool:
        """Store a value, or delete the key if the value is None.

        Return False, and change nothing, if the key is not covered or the block has ended.
        """
        if not self.covers(key):
            return False
        self._check_owner()
        if key.rpartition("/")[2] not in METADATA_NAMES and next(owners(key), None) is None:
            msg = (
                f"{key!r} in {self.folder} is neither a document nor a chunk with a key of either "
                "format, so it cannot be changed in a transaction"
            )
            raise TransactionError(msg)
        with self._guard:
            if self.over:
                return False
            put(self.values, key, value)
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
        """Accept no more changes, because the block has ended."""
        with self._guard:
            self.over = True

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Raise TransactionError for an error of the block that another writer has caused.

        A chunk of an array that has been replaced cannot be decoded as one of the old array.
        """
        try:
            yield
        except TransactionError:
            raise
        except BaseZarrError as error:
            self._compare(error)
            raise

    def commit(self) -> None:
        """Apply all changes atomically; raise TransactionError, applying none, on a conflict."""
        self._check_owner()
        if not self.made:
            return
        made = {key: self.made[key] for key in sorted(self.made, key=self._last.__getitem__)}
        with open(f"{self._beside}/{CHANGES}", "wb") as file:
            file.write(dump(made))
        sync_all(self.folder, self._beside)
        found = (node_of(self.folder, made, key) for key in made)
        alone = self._alone({node for node in found if node is not None})
        try:
            with applying(self.folder, self._held):
                self._apply(made, alone)
        finally:
            alone.end()
        for key, has_value in made.items():
            if not has_value:
                self.folder.remove_empty(key.rpartition("/")[0])

    def _apply(self, made: dict[str, bool], alone: Alone) -> None:
        turns: list[FileTurn] = []
        try:
            documents = (key for key in made if key.rpartition("/")[2] in METADATA_NAMES)
            for key in sorted(documents, key=documents_first):
                turn = FileTurn(self.folder, key)
                turns.append(turn)
                turn.lock()
            self._compare()
            self._prepare(made)
            self._name(alone)
            finish(self.folder, self._journal, made, alone)
        finally:
            for turn in turns:
                turn.end()
            if not os.path.lexists(self._journal):
                alone.unmark()

    def _alone(self, nodes: set[str]) -> Alone:
        """Lock the folders of nodes; raise TransactionError if there are too many."""
        try:
            return Alone(self.folder, nodes)
        except TooManyFoldersError as error:
            msg = (
                f"the transaction in {self.folder} changes {len(nodes)} nodes: {error}; make "
                "several transactions of it, or raise `ulimit -n`"
            )
            raise TransactionError(msg) from error

    def _compare(self, cause: Exception | None = None) -> None:
        """Raise TransactionError if a value that was read has been changed."""
        for key, old in self.seen.items():
            if _token(self.folder, key) != old:
                msg = (
                    f"{key!r} in {self.folder} was changed by another writer during the "
                    "transaction, so nothing was written; repeat the transaction"
                )
                raise TransactionError(msg) from cause

    def _prepare(self, made: dict[str, bool]) -> None:
        """Check the changes, and that new folders can be moved to their places, before the commit.

        Folders on another file system, to which none can be moved, are created.
        """
        base, here = self.folder.base, os.stat(self._beside).st_dev
        folders = {key.rpartition("/")[0]: key for key, has_value in made.items() if has_value}
        tried: set[str] = set()
        created: list[str] = []
        try:
            for folder, key in folders.items():
                above = folder
                while above and not os.path.lexists(base + above):
                    above = above.rpartition("/")[0]
                whole = self.folder.check(above)
                if whole and (above == folder or above in tried):
                    continue
                if not whole or os.stat(base + above).st_dev != here:
                    created.append(folder)
                    self.folder.make(folder, key)
                else:
                    tried.add(above)
                    temporary = temporary_name(base + above)
                    os.mkdir(temporary)
                    os.rmdir(temporary)
            check(self.folder, made, self._beside)
            if created:
                # A power cut must not remove a folder to which a value was moved.
                sync_all(self.folder, base)
        except BaseException:
            for folder in created:
                self.folder.remove_empty(folder)
            raise

    def _name(self, alone: Alone) -> None:
        """Give the folder of new values the name of the journal: the commit point."""
        alone.mark(self.folder.root)
        patiently(os.rename, self._beside, self._journal)
        if self.folder.durability != "none":
            self.folder.sync_names("")

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

                    patiently(rmtree, self._beside)

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            msg = "a transaction belongs to one process; a forked child cannot change or end it"
            raise TransactionError(msg)


class StagedTurn:
    """A turn that records the values it has read; an ordinary one once the block has ended."""

    __slots__ = ("_changes", "_hold", "_key", "_plain")

    def __init__(self, changes: Staged, key: str) -> None:
        """Initialise; the lock is taken when it is first needed."""
        self._changes, self._key = changes, key
        self._hold: Hold | None = None
        self._plain: FileTurn | None = None

    def get(self) -> bytes | None:
        """Return the value, or None if the key is missing."""
        changes, key = self._changes, self._key
        if changes.over and self._plain is None:
            self.end()
            self._plain = FileTurn(changes.folder, key)
        if self._plain is not None:
            return self._plain.get()
        if self._hold is None:
            self._hold = changes.folder.place.locks.take(key)
        # Recorded before the value is read, so that a change in between is noticed.
        changes.look(key)
        return changes.read(key)

    def prepare(self, value: Buffer) -> Prepared | None:
        """Write a value that will be put to a file, if the block has ended."""
        return None if self._plain is None else self._plain.prepare(value)

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if the block has ended since ``get``."""
        changes, key = self._changes, self._key
        if changes.over and self._plain is None and self._hold is None:
            self._plain = FileTurn(changes.folder, key)  # it has not read the value
        if self._plain is not None:
            return self._plain.put(value)
        if value is None:
            return not changes.exists(key) or changes.put(key, None)
        return changes.put(key, flat_bytes(value, key))

    def end(self) -> None:
        """Release the locks."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self._changes.folder.place.locks.give_back(hold)
        if self._plain is not None:
            self._plain.end()


def _token(folder: Folder, key: str) -> Hashable | None:
    try:
        info = folder.stat_file(key)
    except IsADirectoryError:
        return None
    return None if info is None else token(info)
