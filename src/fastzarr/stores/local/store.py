"""The files of a folder as a store.

Rules of this file:

* What may be opened and removed, and how, stands in ``folder.py``; how a value comes to its place,
  and who may change it when, in ``turn.py``. Here are the verbs.
* A store and its copies share their values: the folder's, or, while a transaction is under way,
  those of ``staged.py``. Their class stays what it is. Then trees are removed and moved key by key,
  and the files are not opened past the store.
* Reading a value takes open, fstat, read, close, and an lstat for each folder on the way.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from operator import attrgetter
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.errors import TransactionError
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import Files, Suspension, Value, is_void
from fastzarr.stores.keys import GROUP_NAMES, JOURNAL_NAME, validate_key
from fastzarr.stores.local.folder import DURABILITIES, Folder, token
from fastzarr.stores.local.system import is_mounted, read_part, write_file
from fastzarr.stores.local.turn import FileTurn, put

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from fastzarr.stores.base import Parts, Range
    from fastzarr.stores.capabilities import Request
    from fastzarr.stores.local.draft import FolderDraft
    from fastzarr.stores.local.staged import Staged
    from fastzarr.stores.place import Place
    from fastzarr.stores.turns import Turn


class _Shared(Suspension):
    """What a store and its copies share: where their values are now."""

    __slots__ = ("changes", "values")

    def __init__(self, folder: Folder) -> None:
        """Start with the values of the folder."""
        super().__init__()
        self.values: Folder | Staged = folder
        #: The transaction under way.
        self.changes: Staged | None = None

    def begin(self, changes: Staged) -> None:
        """Let the values be those of a transaction."""
        self.values = self.changes = changes
        self.on = True

    def end(self, folder: Folder) -> None:
        """Let the values be those of the folder again."""
        self.values, self.changes = folder, None
        self.on = False


class LocalStore(Store):
    """Store each value in the file whose path under ``root`` is the key.

    The folder is made by the first write. ``root`` is kept as an absolute path; a string or a Path
    may be given. Symbolic links that lead out of it are refused, unless ``follow_symlinks`` says
    that whoever made the folder is trusted; listing does not enter linked folders in either case.

    ``durability`` says what survives a power cut; None takes ``config["durability"]``. With
    ``"replace"`` whatever replaces an existing value is on the disk before it does, and what is new
    is with ``flush`` or ``close``. With ``"full"`` all that a call has written is when it returns.
    ``"none"`` leaves it to the system. What a killed program leaves is whole in any case.

    Raises ``NotADirectoryError`` if ``root`` is a file, ``ValueError`` for another durability.

    >>> import tempfile
    >>> store = LocalStore(tempfile.mkdtemp())
    >>> store.set("a/b", b"123")
    >>> store.get("a/b"), [*store.list_dir()]
    (b'123', ['a'])
    """

    suspension: _Shared
    knows_sizes = True

    locks_keys = True

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: str | None = None,
    ) -> None:
        """Keep the absolute path of the root."""
        super().__init__(read_only=read_only)
        if durability is not None and durability not in DURABILITIES:
            msg = f"durability is one of {', '.join(DURABILITIES)}, not {durability!r}"
            raise ValueError(msg)
        path = os.path.abspath(os.fspath(root))
        if os.path.isfile(path):
            reason = "the root of a local store is a folder, and this is a file"
            raise NotADirectoryError(errno.ENOTDIR, reason, path)
        self._folder = Folder(path, follow_symlinks=follow_symlinks, durability=durability)
        self.suspension = _Shared(self._folder)
        self._complete_journal()

    def _complete_journal(self) -> None:
        """Complete a transaction whose writer died after its commit, here or in a node above."""
        folder = self._folder
        root = folder.root
        while not os.access(f"{root}/{JOURNAL_NAME}", os.F_OK):
            above = os.path.dirname(root)
            if above == root or not any(
                os.access(f"{above}/{name}", os.F_OK) for name in GROUP_NAMES
            ):
                return
            root = above
        from fastzarr.stores.local.journal import recover

        recover(folder.at(root))

    @property
    def root(self) -> Path:
        """The absolute path of the root."""
        from pathlib import Path  # not loaded where paths are text

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
        """What survives a power cut: ``none``, ``replace`` or ``full``."""
        return self._folder.durability

    def _set_written(self, written: bool) -> None:
        self._folder.written = written

    # It is read at each write past the store, so without a frame.
    written = property(
        attrgetter("_folder.written"),
        _set_written,
        doc="Whether values were written, by this store or a copy, since the last ``flush``.",
    )

    @property
    def place(self) -> Place:
        """The identity of the folder that the root leads to now."""
        return self._folder.place

    def files(self) -> Files | None:
        """Return where the files of the values are, for code that opens them itself.

        Return None while a transaction is under way.
        """
        if self.suspension.on:
            return None
        folder = self._folder
        durability = None if self.read_only else folder.durability
        return Files(folder.root, folder.follow_symlinks, durability)

    # Reading

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Read a value unless ``check(size, key)`` raises, which is called before reading."""
        validate_key(key)
        return self._get(key, check)

    def _get(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        if self.suspension.on:
            return self.suspension.values.read(key, check)
        # Folder.read, inline: this is called for each chunk that the extension does not read.
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
            data = os.read(file, info.st_size)
            if len(data) < info.st_size:
                data += read_part(file, len(data), info.st_size)
        except OSError as error:
            error.filename = path
            raise
        finally:
            os.close(file)
        return data

    get_valid = _get

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> Parts | None:
        found = self.suspension.values.read_parts(key, ranges)
        return None if found is None else found[0]

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value; each file is opened once."""
        indexes: dict[str, list[int]] = {}
        for index, request in enumerate(wanted):
            validate_key(request.key)
            indexes.setdefault(request.key, []).append(index)
        for key, places in indexes.items():
            ranges = [wanted[index][1:] for index in places]
            found = self.suspension.values.read_parts(key, ranges)
            for at, index in enumerate(places):
                if found is None:
                    yield index, None
                else:
                    parts, info = found
                    yield index, Value(parts[at], token(info), info.st_size)

    def _exists(self, key: str) -> bool:
        return self.suspension.values.exists(key)

    def _getsize(self, key: str) -> int | None:
        info = self.suspension.values.stat_file(key)
        return None if info is None else info.st_size

    def validator(self, key: str) -> Hashable | None:
        """Return time, size and inode of the file of a key, or None if the key is missing.

        A ``set`` makes a new file, so that two values in a row always differ in it.
        """
        validate_key(key)
        info = self.suspension.values.stat_file(key)
        return None if info is None else token(info)

    def modified(self, key: str) -> int | None:
        """Return the time of the last write in nanoseconds, or None if the key is missing."""
        validate_key(key)
        info = self.suspension.values.stat_file(key)
        return None if info is None else info.st_mtime_ns

    def _list(self, prefix: str) -> Iterator[str]:
        return self.suspension.values.keys_below(prefix, sweep=not self.read_only)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        if self.suspension.on:
            return super()._list_dir(prefix)
        return self._folder.names_in(prefix, sweep=not self.read_only)

    # Writing

    def _turn(self, key: str) -> Turn:
        changes = self.suspension.changes
        return FileTurn(self._folder, key) if changes is None else changes.turn(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        changes = self.suspension.changes
        if changes is None or not changes.put(key, value):
            put(self._folder, key, value)

    def _delete(self, key: str) -> None:
        changes = self.suspension.changes
        if changes is None or not changes.remove(key):
            put(self._folder, key, None)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` returned; None means that the key is missing. Return
        whether it was current. If not, nothing has changed. Of several callers in any processes,
        one succeeds. A plain ``set`` does not compare, and may overwrite the value stored here.
        """
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        turn = self._turn(key)
        try:
            found = None if turn.get() is None else self.validator(key)
            return found == token and turn.put(data)
        finally:
            turn.end()

    def _delete_dir(self, prefix: str) -> None:
        if self.suspension.on:
            super()._delete_dir(prefix)
        else:
            self._folder.remove(prefix)

    def clear(self) -> None:
        """Remove all that is in the root; the root stays."""
        if self.suspension.on:
            super().clear()
        else:
            self._check_write()
            self._folder.clear()

    def _move(self, source: str, target: str) -> None:
        if self.suspension.on:
            super()._move(source, target)
        else:
            self._folder.move(source, target)

    # Durability

    def lasting(self) -> Store:
        """Return a store for the same folder with durability ``full``, unless this has ``none``.

        In a transaction it is this store, as everything is synced when the transaction ends.
        """
        if self.suspension.on or self.durability != "replace":
            return self
        folder = self._folder.with_durability("full")
        return self._again(_folder=folder, suspension=_Shared(folder))

    def settle(self, path: str) -> None:
        """Make the names at a path survive a power cut, unless the durability is ``none``.

        In a transaction this is left to its end.
        """
        if not self.suspension.on and self.durability != "none":
            self._folder.sync_names(path)

    def flush(self) -> None:
        """Make all that was written to the file system of the root survive a power cut.

        In a transaction this is left to its end.
        """
        if self.suspension.on:
            return
        from fastzarr.native import sync

        with suppress(FileNotFoundError):  # nothing was written yet
            sync(self._folder.root)
        self.written = False

    def close(self) -> None:
        """Flush what was written, unless the durability is ``none``."""
        if self.written and self.durability != "none":
            self.flush()

    # Changes made together

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Make what is changed below a path in a ``with`` block at its end, all or nothing.

        The store and all its copies take part, whenever they were made. Raises
        ``TransactionError`` if one is under way in them, or, at the end, if another writer has
        changed a value that a change was made from.
        """
        self._check_write()
        if is_void("_turn", self._turn, Store):
            kind = type(self).__name__
            msg = f"{kind} declares transaction; it has to declare _turn, which takes part, as well"
            raise TransactionError(msg)
        return self._transaction(path)

    @contextmanager
    def _transaction(self, path: str) -> Iterator[None]:
        from fastzarr.stores.local.staged import Staged

        shared = self.suspension
        with self.place.guard:
            if shared.on:
                msg = f"a transaction is under way in {self}, and there is one at a time"
                raise TransactionError(msg)
            changes = Staged(self._folder, path)
            shared.begin(changes)
        try:
            try:
                yield
            finally:
                changes.close()
                shared.end(self._folder)
            changes.commit()
        finally:
            changes.end()

    def draft(self, path: str) -> FolderDraft[_Unseen] | None:
        """Begin a tree that is to stand at a path.

        Return None for a root that cannot be renamed, and in a transaction, of which nothing is
        seen before it ends anyway.
        """
        from fastzarr.stores.local.draft import FolderDraft

        self._check_write()
        if self.suspension.on:
            return None
        root = self._folder.root
        if not path and os.path.exists(root):
            real = os.path.realpath(root)
            if is_mounted(real) or not os.access(os.path.dirname(real), os.W_OK):
                return None
            if f"{os.path.realpath(os.curdir)}/".startswith(f"{real}/"):
                return None  # it contains the working directory of this process
        return FolderDraft(self._folder, path, self._unseen)

    def _unseen(self, root: str) -> _Unseen:
        store = _Unseen(root, follow_symlinks=self.follow_symlinks, durability=self.durability)
        store.dimension_separator = self.dimension_separator
        return store

    # The object

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store for the same values that refuses writing or, with False, allows it."""
        other = self._again(read_only=read_only)
        if not self.suspension.on:
            self._complete_journal()
        return other

    def _again(self, **changed: Any) -> Self:
        other = type(self).__new__(type(self))
        Store.__setstate__(other, super().__getstate__())
        vars(other).update(changed)
        return other

    __copy__ = _again

    def __eq__(self, other: object) -> bool:
        """Whether both roots lead to one folder; whether a store is read-only does not count."""
        return self.place is other.place if isinstance(other, LocalStore) else NotImplemented

    __hash__ = None

    def __str__(self) -> str:
        """Return the URL of the root."""
        return str(self._folder)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the settings; a store in a transaction raises TransactionError."""
        if self.suspension.on:
            msg = f"{self} can be pickled or copied when the transaction under way in it has ended"
            raise TransactionError(msg)
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "suspension"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the settings."""
        super().__setstate__(state)
        self.suspension = _Shared(self._folder)
        self._complete_journal()


class _Unseen(LocalStore):
    """A store that no other writer and no reader knows of yet."""

    # They agree with `_set`, which writes files too and only skips what keeps others out.
    files = LocalStore.files
    swap = LocalStore.swap

    def _turn(self, key: str) -> Turn:
        return FileTurn(self._folder, key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        folder = self._folder
        path = folder.base + key
        if os.path.lexists(path):
            super()._set(key, value)
        else:
            sync = folder.durability != "none"
            folder.write_beside(key, lambda _: write_file(path, value, path, sync=sync))
