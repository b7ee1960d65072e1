"""The local store: the verbs of a store over the files of a folder.

Rules of this file:

* ``folder.py`` opens, lists and deletes files, and ``turn.py`` locks and writes them.
* A thread reads and writes the files of the folder or, if it has begun a transaction, the values of
  ``staged.py``. Then it deletes and moves trees key by key, and no code opens the files for it. A
  store and its copies share the transactions.
* Reading a value takes open, fstat, read, close, and an lstat for each parent folder.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, nullcontext, suppress
from operator import attrgetter
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.errors import TransactionError
from fastzarr.native import first_values
from fastzarr.stores.addresses import url_in_format
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import SMALL, Files, Value, is_void
from fastzarr.stores.keys import validate_key
from fastzarr.stores.local.folder import Folder, check_root, root_path, token, too_large
from fastzarr.stores.local.state import Shared, is_unmarked, left_journal
from fastzarr.stores.local.system import is_mounted, read_part, write_file
from fastzarr.stores.local.turn import FileTurn, put, remove_many

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from fastzarr import hints
    from fastzarr.stores.base import Parts, Range
    from fastzarr.stores.capabilities import Request
    from fastzarr.stores.local.draft import FolderDraft
    from fastzarr.stores.local.overlay import Layer
    from fastzarr.stores.local.pin import Pin
    from fastzarr.stores.local.staged import Staged
    from fastzarr.stores.place import Place
    from fastzarr.stores.turns import Turn

    Check = Callable[[int, str], None]


class LocalStore(Store):
    """A store in a folder, with each value in the file whose path below ``root`` is its key.

    The folder is created by the first write. ``root`` is a string or Path, and is stored as an
    absolute path. Symbolic links that lead out of it raise an error, unless ``follow_symlinks`` is
    True, which requires trust in the creator of the folder. Listing never enters linked folders.

    ``durability`` determines which data survives a power cut; None uses ``config["durability"]``.
    With ``"replace"``, a value that replaces another is synced to the disk first, and new values
    are synced by ``flush`` or ``close``. With ``"full"``, everything that a call has written is
    synced when it returns. ``"none"`` leaves syncing to the system. A killed program never leaves
    a partial value, whatever the durability.

    Raise NotADirectoryError if ``root`` is a file, and ValueError for an unknown durability.

    >>> import tempfile
    >>> store = LocalStore(tempfile.mkdtemp())
    >>> store.set("a/b", b"123")
    >>> store.get("a/b"), [*store.list_dir()]
    (b'123', ['a'])
    """

    suspension: Shared
    _folder: Folder
    # The transaction for which all threads use this store, or None.
    _joined: Staged | None = None
    knows_sizes, concurrency, excludes = True, 1, True
    #: Whether nodes are created even if the root is inside the folder of an array.
    inside_arrays = False

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: hints.Durability | None = None,
    ) -> None:
        """Initialise, and complete a committed transaction whose writer has died.

        A read-only store, and one in a folder that this process may not change, reads the values of
        such a transaction from its journal instead.
        """
        super().__init__(read_only=read_only)
        folder = Folder(root_path(root), follow_symlinks=follow_symlinks, durability=durability)
        # Neither is a verb, which `__setattr__` would look for.
        vars(self).update(_folder=folder, suspension=Shared())
        if not is_unmarked(folder):
            check_root(folder.root)
            self.recover()

    def recover(self) -> None:
        """Complete a committed transaction whose writer has died, in this node or one above.

        If that is not possible, let all values be read through the journal.
        """
        shared, found = self.suspension, left_journal(self._folder, read_only=self.read_only)
        if found is not shared.overlay:
            with self.place.guard:
                shared.overlay = found
                shared.update()

    def _changes(self) -> Staged | None:
        """Return the transaction in which the calling thread takes part."""
        if not self.suspension.on:
            return None
        found = self._joined
        return self.suspension.mine() if found is None else found

    def _values(self) -> Folder | Layer:
        """Return the values that the calling thread reads."""
        if not self.suspension.on:
            return self._folder
        changes = self._changes()
        if changes is not None:
            return changes
        overlay = self.suspension.overlay
        if overlay is not None and not overlay.is_current():
            self.recover()
            overlay = self.suspension.overlay
        return self._folder if overlay is None else overlay

    def acting(self) -> Self:
        """Return a store through which other threads take part in this thread's transaction."""
        changes = self._changes()
        if changes is None or self._joined is changes:
            return self
        return self._again(_joined=changes)

    def _check_write(self, *keys: str) -> None:
        super()._check_write(*keys)
        if self.suspension.overlay is not None:
            self.recover()
            if self.suspension.overlay is not None:
                from fastzarr.stores.local.journal import denied

                raise denied(self._folder)

    @property
    def root(self) -> Path:
        """The absolute path of the root."""
        from pathlib import Path  # imported only if needed

        return Path(self._folder.root)

    @property
    def folder(self) -> str:
        """The absolute path of the root as text."""
        return self._folder.root

    @property
    def follow_symlinks(self) -> bool:
        """Whether symbolic links may lead out of the root."""
        return self._folder.follow_symlinks

    @property
    def durability(self) -> str:
        """Which data survives a power cut: ``none``, ``replace`` or ``full``."""
        return self._folder.durability

    def _set_written(self, written: bool) -> None:
        self._folder.written = written

    # Implemented in C, because it is read at every direct write to a file.
    written = property(
        attrgetter("_folder.written"),
        _set_written,
        doc="Whether values were written, by this store or a copy, since the last ``flush``.",
    )

    @property
    def place(self) -> Place:
        """The identity of the folder that the root refers to now."""
        return self._folder.place

    def files(self) -> Files | None:
        """Return the location of the files, for code that opens them directly.

        The result is None during a transaction, and if the values are read through a journal.
        """
        if self.suspension.on and self._values() is not self._folder:
            return None
        folder = self._folder
        durability = None if self.read_only else folder.durability
        return Files(folder.root, folder.follow_symlinks, durability)

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Return a value, after calling ``check(size, key)``; None if the key is missing."""
        validate_key(key)
        return self._get(key, check)

    def _get(self, key: str, check: Check | None = None, most: int | None = None) -> bytes | None:
        if self.suspension.on:
            return self._values().read(key, check)
        # Folder.read inlined, because it is called for each chunk that the extension does not read.
        folder = self._folder
        path = folder.base + key
        end = -1 if folder.follow_symlinks else path.find("/", len(folder.base))
        file: int | None
        try:
            while end >= 0 and S_ISDIR(os.lstat(path[:end]).st_mode):
                end = path.find("/", end + 1)
            file = os.open(path, folder.flags) if end < 0 else folder.open(key, folder.flags)
        except OSError as error:
            file = folder.after_failed_open(key, error, folder.flags)
        if file is None:
            return None
        try:
            info = os.fstat(file)
            if not S_ISREG(info.st_mode):
                folder.check_file(key, info)
            if check is not None:
                check(info.st_size, key)
            if most is not None and info.st_size > most:
                raise too_large(info.st_size, most)
            data = os.read(file, info.st_size)
            if len(data) < info.st_size:
                data += read_part(file, len(data), info.st_size)
        except OSError as error:
            error.filename = path
            raise
        finally:
            os.close(file)
        return data

    get_valid = get_bounded = _get

    def get_small(self, groups: Sequence[Sequence[str]]) -> dict[str, bytes | None]:
        """Return the values of the first group of keys that has one; none if they may be links.

        >>> LocalStore("missing").get_small([["a", "b"], ["c"]])
        {}
        """
        at, way = self._folder.root, {"follow_links": self._folder.follow_symlinks}
        return {} if self.suspension.on else first_values(at, groups, SMALL, **way) or {}

    def check_missing(self, key: str) -> None:
        """Raise NotADirectoryError if something other than a folder is on the way to a key."""
        self._folder.check_way(key)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> Parts | None:
        found = self._values().read_parts(key, ranges)
        return None if found is None else found[0]

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value, opening each file once."""
        indexes: dict[str, list[int]] = {}
        for index, request in enumerate(wanted):
            validate_key(request.key)
            indexes.setdefault(request.key, []).append(index)
        for key, places in indexes.items():
            ranges = [wanted[index][1:] for index in places]
            found = self._values().read_parts(key, ranges)
            for at, index in enumerate(places):
                if found is None:
                    yield index, None
                else:
                    parts, info = found
                    yield index, Value(parts[at], token(info), info.st_size)

    def is_missing(self, prefix: str) -> bool:
        """Whether the folder of a prefix is missing; False during a transaction."""
        return not self.suspension.on and not self._folder.check(prefix)

    def _exists(self, key: str) -> bool:
        return self._values().exists(key)

    def _getsize(self, key: str) -> int | None:
        info = self._values().stat_file(key)
        return None if info is None else info.st_size

    def validator(self, key: str) -> Hashable | None:
        """Return the time, size and inode of a key's file, or None if the key is missing.

        Every ``set`` creates a new file, so consecutive values always differ in it.
        """
        validate_key(key)
        info = self._values().stat_file(key)
        return None if info is None else token(info)

    def modified(self, key: str) -> int | None:
        """Return the time of the last write in nanoseconds, or None if the key is missing."""
        validate_key(key)
        info = self._values().stat_file(key)
        return None if info is None else info.st_mtime_ns

    def _list(self, prefix: str) -> Iterator[str]:
        return self._values().keys_below(prefix, sweep=not self.read_only)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        if self.suspension.on and self._values() is not self._folder:
            return super()._list_dir(prefix)
        return self._folder.names_in(prefix, sweep=not self.read_only)

    def _turn(self, key: str) -> Turn:
        changes = self._changes()
        return FileTurn(self._folder, key) if changes is None else changes.turn(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        changes = self._changes()
        if changes is None or not changes.put(key, value):
            put(self._folder, key, value)

    def _delete(self, key: str) -> None:
        changes = self._changes()
        if changes is None or not changes.remove(key):
            put(self._folder, key, None)

    def _delete_many(self, keys: Iterable[str]) -> None:
        if self.suspension.on:
            super()._delete_many(keys)
            return
        keys = tuple(keys)
        self._check_write(*keys)
        remove_many(self._folder, keys)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` returned; None means that the key is missing. Return
        whether it was current. If not, nothing has changed. If several processes call this with the
        same token, one succeeds. A plain ``set`` does not compare, and may overwrite the new value.
        """
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        turn = self._turn(key)
        try:
            found = None if turn.get() is None else self.validator(key)
            return found == token and turn.put(data)
        finally:
            turn.end()

    def _delete_dir(self, prefix: str) -> bool | None:
        if self._changes() is not None:
            return super()._delete_dir(prefix)
        from fastzarr.stores.local.trees import remove

        with self._undisturbed(prefix):
            return remove(self._folder, prefix)

    def move_root(self, root: str | os.PathLike[str]) -> None:
        """Move the folder; this store, its copies and their arrays refer to the new path.

        Raise FileExistsError if something is there, and TransactionError during a transaction.

        >>> import fastzarr, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> z = fastzarr.create_array(store := LocalStore(f"{folder}/old.zarr"), data=[1, 2])
        >>> store.move_root(f"{folder}/new.zarr")
        >>> z[:], fastzarr.open_array(f"{folder}/new.zarr")[:]
        (array([1, 2]), array([1, 2]))
        """
        if self._changes() is not None:
            msg = f"{self} cannot be moved during a transaction"
            raise TransactionError(msg)
        from fastzarr.stores.local import trees

        path = root_path(root)
        check_root(path)
        trees.move_root(self._folder, path)
        with self.place.guard:
            self.suspension.moved = True
            self.suspension.update()
        self.recover()

    def clear(self) -> None:
        """Delete everything in the root, but not the root itself."""
        if self._changes() is not None:
            super().clear()
        else:
            self._check_write()
            with self._undisturbed(""):
                self._folder.clear()

    def _move(self, source: str, target: str) -> None:
        if self._changes() is not None:
            super()._move(source, target)
        else:
            from fastzarr.stores.local.trees import move

            try:
                with self._undisturbed(source):
                    move(self._folder, source, target)
            except OSError as error:
                from fastzarr.stores.local.layers import moved_by_copy

                if error.errno != errno.EXDEV or not moved_by_copy(self._folder, source, target):
                    raise

    def _undisturbed(self, path: str) -> AbstractContextManager[None]:
        """Hold the folder at a path while its name is changed in a ``with`` block."""
        from fastzarr.stores.local.pin import undisturbed

        return undisturbed(self._folder, path)

    def lasting(self) -> Store:
        """Return a store for the same folder with durability ``full``, unless it is ``none``.

        During a transaction this store is returned, because its end syncs everything.
        """
        if self._changes() is not None or self.durability != "replace":
            return self
        folder = self._folder.with_durability("full")
        return self._again(_folder=folder, suspension=Shared())

    def settle(self, path: str) -> None:
        """Sync the names of the files at a path, unless the durability is ``none``.

        During a transaction this is left to its end.
        """
        if self._changes() is None and self.durability != "none":
            self._folder.sync_names(path)

    def flush(self) -> None:
        """Sync everything that was written to the file system of the root.

        During a transaction this is left to its end.
        """
        if self._changes() is not None:
            return
        from fastzarr.native import sync

        with suppress(FileNotFoundError):  # nothing was written yet
            sync(self._folder.root)
        self.written = False

    def close(self) -> None:
        """Flush if values were written, unless the durability is ``none``."""
        if self.written and self.durability != "none":
            self.flush()

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Apply all changes below a path in a ``with`` block atomically, at its end.

        The calling thread takes part, with this store and all its copies. Other threads read and
        write as if there were no transaction; each can have one of its own.

        Only documents and chunks with keys of either format can be changed. Raise
        ``TransactionError`` for another key, if the thread has begun a transaction already, or, at
        the end, if another writer has changed a value that the transaction has read below the path.
        Listing is not compared, and nothing is if the block has changed nothing.
        """
        self._check_write()
        if is_void("_turn", self._turn, Store):
            kind = type(self).__name__
            msg = f"{kind} declares transaction, so it must also declare _turn to take part in it"
            raise TransactionError(msg)
        return self._transaction(path)

    @contextmanager
    def _transaction(self, path: str) -> Iterator[None]:
        from fastzarr.stores.local.staged import Staged

        shared, guard = self.suspension, self.place.guard
        if self._changes() is not None:
            msg = f"a transaction is already under way in {self}"
            raise TransactionError(msg)
        changes = Staged(self._folder, path)
        try:
            try:
                with guard:
                    shared.begin(changes)
                with changes.explaining():
                    yield
            finally:
                changes.over = True  # before an interrupt can come
                changes.close()
                with guard:
                    shared.update()
            changes.commit()
        finally:
            changes.end()

    def draft(self, path: str) -> FolderDraft[_Unseen] | None:
        """Return a new draft of the tree at a path.

        The result is None for a root that cannot be renamed, and during a transaction, which is
        invisible until its end anyway.
        """
        from fastzarr.stores.local.draft import FolderDraft

        self._check_write()
        if self._changes() is not None:
            return None
        root = self._folder.root
        if not path and os.path.exists(root):
            real = os.path.realpath(root)
            if is_mounted(real) or not os.access(os.path.dirname(real), os.W_OK):
                return None
            if f"{os.path.realpath(os.curdir)}/".startswith(f"{real}/"):
                return None  # it contains the working directory of this process
        return FolderDraft(self._folder, path, self._unseen)

    def pinned(self, path: str, *, lock: bool = True) -> Pin | None:
        """Open and lock the folder at a path for a change of its node; None in a transaction.

        Without ``lock``, only open it, for the creation of a node in it. Raise FileNotFoundError if
        there is no folder.
        """
        if self._changes() is not None:
            return None
        self._check_write()
        from fastzarr.stores.local.pin import pin_for

        held = pin_for(self._folder, path, vars(self), lock=lock)
        if held is None:
            return None
        self._folder.written = True  # a change follows, and the tree's store is not flushed itself
        if held.store is None:
            held.store = self._again(_folder=held.folder, suspension=Shared())
        return held

    def _unseen(self, root: str) -> _Unseen:
        folder = self._folder.at(root)
        folder.named = self._folder.named
        store = _Unseen.__new__(_Unseen)
        # Not initialised, because a new folder has no journal.
        vars(store).update(
            read_only=False,
            dimension_separator=self.dimension_separator,
            _folder=folder,
            suspension=Shared(),
        )
        return store

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store with the same values that is read-only or, with False, writable."""
        other = self._again(read_only=read_only)
        if (self.suspension.on or not is_unmarked(self._folder)) and self._changes() is None:
            other.recover()
        return other

    def _again(self, **changed: Any) -> Self:
        other = type(self).__new__(type(self))
        Store.__setstate__(other, super().__getstate__())
        vars(other).update(changed)
        return other

    __copy__ = _again

    def __eq__(self, other: object) -> bool:
        """Whether both roots refer to the same folder; ``read_only`` is ignored."""
        return self.place is other.place if isinstance(other, LocalStore) else NotImplemented

    __hash__ = None

    def __str__(self) -> str:
        """Return the URL of the root."""
        return url_in_format(str(self._folder), self.zarr_format)

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings; raise TransactionError during a transaction."""
        if self._changes() is not None:
            msg = f"{self} cannot be pickled or copied during a transaction"
            raise TransactionError(msg)
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "suspension"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the settings, and complete a committed transaction whose writer has died."""
        super().__setstate__(state)
        self.suspension = Shared()
        self.recover()


class _Unseen(LocalStore):
    """A store that no other process uses yet."""

    # Consistent with `_set`, which also writes files and only skips the locks.
    files = LocalStore.files
    swap = LocalStore.swap

    def _turn(self, key: str) -> Turn:
        return FileTurn(self._folder, key)

    def _undisturbed(self, path: str) -> AbstractContextManager[None]:
        # The writer of a draft has locked the folder of its root already.
        del path
        return nullcontext()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        folder = self._folder
        path, sync = folder.base + key, folder.durability != "none"
        try:
            folder.write_beside(key, lambda _: write_file(path, value, path, sync=sync))
        except FileExistsError:
            super()._set(key, value)
