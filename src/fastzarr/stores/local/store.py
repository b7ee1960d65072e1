"""Files under one folder of the local file system as a store.

Rules of this file:

* How a value comes to its place, and who may change it when, stands in ``turn.py``. Listing never
  shows a temporary file.
* Only a name that is not there is a missing key. A folder where a value should be, a refused
  permission, a failing disk: all that raises, with the path.
* A symbolic link that leads out of the root is refused. The links in the root's own path are the
  user's. Each folder on the way to a key is looked at each time: a link may have taken its place.
* Reading a value takes open, fstat, read, close, and an lstat for each folder on the way.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from copy import copy
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import KeyValidationError
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import Files, Value
from fastzarr.stores.keys import JOURNAL_NAME, METADATA_NAMES, TEMPORARY_SUFFIX, validate_key
from fastzarr.stores.local.system import ATTEMPTS, is_locked, read_part, sync_file, temporary_name
from fastzarr.stores.local.turn import FileTurn
from fastzarr.stores.place import of_folder
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from fastzarr.stores.base import Parts, Range
    from fastzarr.stores.capabilities import Request
    from fastzarr.stores.local.draft import FolderDraft
    from fastzarr.stores.place import Place
    from fastzarr.stores.turns import Turn

T = TypeVar("T")
DURABILITIES = ("none", "replace", "full")
_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
# Without O_NONBLOCK, opening a pipe that someone left in the folder would wait for ever.
_READ = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0)
_IS_LINK = (errno.ELOOP, errno.EMLINK)
# After so many seconds a temporary file or folder is nobody's, unless its folder is locked.
_ABANDONED = 86400.0


class LocalStore(Store):
    """Store each value in the file whose path under ``root`` is the key.

    The folder is made by the first write. ``root`` is kept as an absolute path, a string or Path
    being given. Symbolic links that lead out of it are refused, unless ``follow_symlinks`` says
    that whoever made the folder is trusted; listing does not enter linked folders in either case.

    ``durability`` says what outlasts a power cut; None takes ``config["durability"]``. With
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

    follow_symlinks: bool
    _place: Place | None = None
    knows_sizes = True

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
        self._durability = durability
        self._root = os.path.abspath(os.fspath(root))  # noqa: PTH100  (Path has no equal)
        if os.path.isfile(self._root):  # noqa: PTH113
            reason = "the root of a local store is a folder, and this is a file"
            raise NotADirectoryError(errno.ENOTDIR, reason, self._root)
        self.follow_symlinks = follow_symlinks
        self._start()

    def _start(self) -> None:
        self.base = self._root.rstrip("/" + os.sep) + "/"
        self._flags = _READ if self.follow_symlinks else _READ | _NOFOLLOW
        self._finish_transaction()

    def _finish_transaction(self) -> None:
        """Do what a transaction has left to do whose writer died, here or in a node above."""
        root = self._root
        while not os.access(f"{root}/{JOURNAL_NAME}", os.F_OK):
            above = os.path.dirname(root)  # noqa: PTH120
            if above == root or not (
                os.access(f"{above}/zarr.json", os.F_OK) or os.access(f"{above}/.zgroup", os.F_OK)
            ):
                return
            root = above
        from fastzarr.stores.local.journal import recover

        # Not a copy, which would look for a journal in its turn.
        place = object.__new__(LocalStore)
        vars(place).update(vars(self), _root=root, base=root.rstrip("/" + os.sep) + "/")
        recover(place)

    @property
    def root(self) -> Path:
        """Give the absolute path of the root."""
        from pathlib import Path  # not loaded where paths are text

        return Path(self._root)

    @property
    def folder(self) -> str:
        """Give the absolute path of the root as text."""
        return self._root

    @property
    def durability(self) -> str:
        """Tell what outlasts a power cut: ``none``, ``replace`` or ``full``."""
        level = config.flat["durability"] if self._durability is None else self._durability
        if level not in DURABILITIES:
            msg = f"config['durability'] is one of {', '.join(DURABILITIES)}, not {level!r}"
            raise ValueError(msg)
        return str(level)

    @property
    def place(self) -> Place:
        """Return the identity of the folder that the root leads to now."""
        found = self._place = of_folder(self._root, self._place)
        return found

    def files(self) -> Files:
        """Return where the files of the values are, for code that opens them itself."""
        durability = None if self.read_only else self.durability
        return Files(self._root, self.follow_symlinks, durability)

    # Reading

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Read a value unless ``check(size, key)`` raises, which is called before reading."""
        validate_key(key)
        return self._get(key, check)

    def _get(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        path = self.base + key
        end = -1 if self.follow_symlinks else path.find("/", len(self.base))
        file: int | None
        try:
            # Inline, as this is called for each chunk that the extension does not read.
            while end >= 0 and S_ISDIR(os.lstat(path[:end]).st_mode):
                end = path.find("/", end + 1)
            file = os.open(path, self._flags) if end < 0 else self._open(key, self._flags)
        except OSError as error:
            file = self._after_failed_open(key, error, self._flags)
        if file is None:
            return None
        try:
            info = os.fstat(file)
            if not S_ISREG(info.st_mode):
                raise _not_a_file(path, info)
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
        found = self._read_parts(key, ranges)
        return None if found is None else found[0]

    def _read_parts(self, key: str, ranges: Sequence[Range]) -> tuple[Parts, os.stat_result] | None:
        file = self._open(key, self._flags)
        if file is None:
            return None
        try:
            info = os.fstat(file)
            if not S_ISREG(info.st_mode):
                raise _not_a_file(self.base + key, info)
            parts = [read_part(file, *clip_range(*part, info.st_size)) for part in ranges]
        except OSError as error:
            error.filename = self.base + key
            raise
        finally:
            os.close(file)
        return parts, info

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value; each file is opened once."""
        indexes: dict[str, list[int]] = {}
        for index, request in enumerate(wanted):
            validate_key(request.key)
            indexes.setdefault(request.key, []).append(index)
        for key, places in indexes.items():
            found = self._read_parts(key, [wanted[index][1:] for index in places])
            for at, index in enumerate(places):
                if found is None:
                    yield index, None
                else:
                    parts, info = found
                    yield index, Value(parts[at], _token(info), info.st_size)

    def _exists(self, key: str) -> bool:
        info = self._stat(key)
        return info is not None and S_ISREG(info.st_mode)

    def _getsize(self, key: str) -> int | None:
        info = self._stat_file(key)
        return None if info is None else info.st_size

    def validator(self, key: str) -> Hashable | None:
        """Give time, size and inode of the file of a key, or None if the key is not there.

        A ``set`` makes a new file, so that two values in a row always differ in it.
        """
        validate_key(key)
        info = self._stat_file(key)
        return None if info is None else _token(info)

    def modified(self, key: str) -> int | None:
        """Give the time of the last write in nanoseconds, or None where there is no value."""
        validate_key(key)
        info = self._stat_file(key)
        return None if info is None else info.st_mtime_ns

    # Listing

    def _list(self, prefix: str) -> Iterator[str]:
        self.check_folder(prefix)
        folders = [prefix]
        while folders:
            folder = folders.pop()
            for entry in self._scan(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif _is_value(entry):
                    yield name

    def _list_dir(self, prefix: str) -> Iterator[str]:
        self.check_folder(prefix)
        return (entry.name for entry in self._scan(prefix))

    def _scan(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.base + folder) as entries:
                found = [*entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        shown = [entry for entry in found if not entry.name.endswith(TEMPORARY_SUFFIX)]
        if len(shown) < len(found) and not self.read_only:
            self._sweep(set(found) - set(shown))
        return shown

    def _sweep(self, entries: Iterable[os.DirEntry[str]]) -> None:
        """Remove what writers that died have left, as far as age and owner tell."""
        for entry in entries:
            # Who is in the way of this is not in the way of what the caller wants.
            with suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                old = time.time() - info.st_mtime > _ABANDONED
                mine = not hasattr(os, "geteuid") or info.st_uid == os.geteuid()
                if not (old and mine) or entry.name == JOURNAL_NAME:
                    continue
                if not S_ISDIR(info.st_mode):
                    os.unlink(entry.path)  # noqa: PTH108
                elif not is_locked(entry.path):
                    self.remove_tree(entry.path)

    # Writing

    def _turn(self, key: str) -> Turn:
        return FileTurn(self, key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        turn = FileTurn(self, key)
        try:
            turn.put(value)
        finally:
            turn.end()

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` returned; None means that the key is missing. Return
        whether it was current. If not, nothing has changed. Of several callers in any processes,
        one succeeds. A plain ``set`` does not compare, and may overwrite the value stored here.
        """
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        turn = FileTurn(self, key)
        try:
            found = None if turn.get() is None else self.validator(key)
            return found == token and turn.put(data)
        finally:
            turn.end()

    def in_folder(self, key: str, write: Callable[[str], T]) -> T:
        """Run what writes into the folder of a key, which is made where it is not there."""
        self.written = True
        folder = key.rpartition("/")[0]
        for _ in range(ATTEMPTS):
            # Where it is seen not to be there, nothing is prepared in vain.
            if self.check_folder(folder):
                # A delete beside this write may have just removed it.
                with suppress(FileNotFoundError, NotADirectoryError):
                    return write(self.base + folder)
            self._make_folder(folder, key)
        return write(self.base + folder)

    def sync_folders(self, key: str) -> None:
        """Have the names on the way to a key outlast a power cut."""
        folder = key
        while folder:
            folder = folder.rpartition("/")[0]
            with suppress(FileNotFoundError, NotADirectoryError):
                sync_file(self.base + folder, os.O_RDONLY | _DIRECTORY)
        sync_file(os.path.dirname(self._root), os.O_RDONLY | _DIRECTORY)  # noqa: PTH120

    def lasting(self) -> Store:
        """Give a store for the same folder with durability ``full``, unless this has ``none``."""
        if self.durability != "replace":
            return self
        other = copy(self)
        other._durability = "full"  # noqa: SLF001  (a copy of this one)
        return other

    def settle(self, path: str) -> None:
        """Have the names at a path outlast a power cut, unless the durability is ``none``."""
        if self.durability != "none":
            with suppress(FileNotFoundError, NotADirectoryError):
                sync_file(self.base + path, os.O_RDONLY | _DIRECTORY)

    def flush(self) -> None:
        """Have all that was written to the store outlast a power cut, whoever wrote it."""
        from fastzarr.native import sync

        with suppress(FileNotFoundError):  # nothing was written yet
            sync(self._root)
        self.written = False

    def close(self) -> None:
        """Flush what was written, unless the durability is ``none``."""
        if self.written and self.durability != "none":
            self.flush()

    def open_to_lock(self, key: str, access: int = os.O_RDONLY) -> int | None:
        """Open the file of a key, following links that stay inside; None if there is none."""
        self.check_folder(key.rpartition("/")[0])
        try:
            return self._open(key, self._flags | access)
        except KeyValidationError:
            return None

    def leads_to(self, key: str, info: os.stat_result) -> bool:
        """Tell whether the name of a key still leads to this file."""
        try:
            named = os.stat(self.base + key)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (named.st_ino, named.st_dev) == (info.st_ino, info.st_dev)

    def not_a_file(self, key: str, info: os.stat_result) -> OSError:
        """Give the error for what stands where a value should be."""
        return _not_a_file(self.base + key, info)

    def _make_folder(self, folder: str, key: str) -> None:
        try:
            os.makedirs(self.base + folder, exist_ok=True)  # noqa: PTH103
        except FileNotFoundError:
            return  # removed again while it was being made; the caller tries once more
        except (FileExistsError, NotADirectoryError):
            # Or a folder that was there has gone before it was looked at: then, once more as well.
            at = self._root
            for name in ("", *folder.split("/")):
                at = f"{at}/{name}" if name else at
                try:
                    mode = os.stat(at).st_mode  # noqa: PTH116
                except (FileNotFoundError, NotADirectoryError):
                    return
                if not S_ISDIR(mode):
                    reason = f"key {key!r} cannot be stored, as a folder it is in is a file"
                    raise NotADirectoryError(errno.ENOTDIR, reason, at) from None

    # Deleting and moving

    def _delete(self, key: str) -> None:
        turn = FileTurn(self, key)
        try:
            turn.put(None)
        finally:
            turn.end()

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Make what is changed below a path in a ``with`` block at its end, all or nothing."""
        from fastzarr.stores.local.staged import transaction

        self._check_write()
        return transaction(self, path)

    def draft(self, path: str) -> FolderDraft | None:
        """Begin a tree that is to stand at a path; None for a root that cannot be renamed."""
        from fastzarr.stores.local.draft import FolderDraft
        from fastzarr.stores.local.system import is_mounted

        self._check_write()
        if not path and os.path.exists(self._root):  # noqa: PTH110
            real = os.path.realpath(self._root)
            above = os.path.dirname(real)  # noqa: PTH120
            if is_mounted(real) or not os.access(above, os.W_OK):
                return None
            if f"{os.path.realpath(os.curdir)}/".startswith(f"{real}/"):
                return None  # whoever works in the folder would find himself nowhere
        return FolderDraft(self, path)

    def _delete_dir(self, prefix: str) -> None:
        folder = prefix.rpartition("/")[0]
        self.check_folder(folder)
        # Renamed first, the tree is gone for readers at once, and none of it is seen half removed.
        grave = temporary_name(self.base + folder)
        try:
            # A link to a folder goes, and not what it leads to.
            if not S_ISDIR(os.stat(self.base + prefix).st_mode):  # noqa: PTH116
                return
            os.rename(self.base + prefix, grave)  # noqa: PTH104
        except (FileNotFoundError, NotADirectoryError):
            return
        self.written = True
        try:
            if self.durability != "none":
                # Else a power cut could bring the name back, and half of the tree.
                sync_file(self.base + folder, os.O_RDONLY | _DIRECTORY)
        finally:
            self.remove_tree(grave)
        self.remove_empty(folder)

    def clear(self) -> None:
        """Remove all that is in the root; the root stays."""
        self._check_write()
        try:
            with os.scandir(self._root) as entries:
                # What makes a node visible goes first.
                found = sorted(entries, key=lambda entry: entry.name not in METADATA_NAMES)
        except FileNotFoundError:
            return
        self.written = True
        for entry in found:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    grave = temporary_name(self._root)
                    os.rename(entry.path, grave)  # noqa: PTH104
                    self.remove_tree(grave)
                else:
                    os.unlink(entry.path)  # noqa: PTH108

    def remove_tree(self, grave: str) -> None:
        """Remove a folder that has a temporary name, or a link to one."""
        from shutil import rmtree

        if os.path.islink(grave):  # noqa: PTH114
            os.unlink(grave)  # noqa: PTH108  (the link, not what it leads to)
            return
        for attempt in range(ATTEMPTS):
            try:
                rmtree(grave)
            except OSError as error:
                # Someone who was on the way in before the rename has put a file there, or someone
                # clears the store as well.
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or attempt == ATTEMPTS - 1:
                    raise
                if os.path.lexists(grave):
                    continue
            return

    def remove_empty(self, folder: str) -> None:
        """Remove a folder of keys if it is empty, and those above that then are."""
        # A folder that is left empty stands for nothing; what keeps it there is no failure.
        with suppress(OSError):
            while folder:
                os.rmdir(self.base + folder)  # noqa: PTH106
                folder = folder.rpartition("/")[0]

    def _move(self, source: str, target: str) -> None:
        folder = target.rpartition("/")[0]
        self.check_folder(source.rpartition("/")[0])
        self.check_folder(folder)
        self._make_folder(folder, target)
        try:
            os.rename(self.base + source, self.base + target)  # noqa: PTH104
        except OSError:
            self.remove_empty(folder)
            raise
        self.written = True
        if self.durability != "none":
            for folder in {target.rpartition("/")[0], source.rpartition("/")[0]}:
                sync_file(self.base + folder, os.O_RDONLY | _DIRECTORY)
        self.remove_empty(source.rpartition("/")[0])

    # Staying inside

    def check_folder(self, folder: str) -> bool:
        """Whether a folder may exist; raise KeyValidationError if a link leads out of the root."""
        if self.follow_symlinks or not folder:
            return True
        at = self.base
        for name in folder.split("/"):
            at += name
            try:
                mode = os.lstat(at).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return False  # and so nothing below it exists
            if S_ISLNK(mode):
                self._follow(at[len(self.base) :])
            elif not S_ISDIR(mode):
                return False
            at += "/"
        return True

    def _follow(self, key: str) -> str:
        real = os.path.realpath(self.base + key)
        root = os.path.realpath(self._root)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            msg = (
                f"{key!r} in {self} is a symbolic link that leads out of the store, to {real!r}; "
                "if you trust it, open the folder with LocalStore(..., follow_symlinks=True)"
            )
            raise KeyValidationError(msg)
        return real

    def _open(self, key: str, flags: int) -> int | None:
        self.check_folder(key.rpartition("/")[0])
        try:
            return os.open(self.base + key, flags)
        except OSError as error:
            return self._after_failed_open(key, error, flags)

    def _after_failed_open(self, key: str, error: OSError, flags: int) -> int | None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        if error.errno not in _IS_LINK or self.follow_symlinks:
            raise error
        try:
            return os.open(self._follow(key), flags)
        except FileNotFoundError:
            return None

    def _stat(self, key: str) -> os.stat_result | None:
        self.check_folder(key.rpartition("/")[0])
        try:
            info = os.stat(self.base + key, follow_symlinks=self.follow_symlinks)  # noqa: PTH116
            if S_ISLNK(info.st_mode):
                info = os.stat(self._follow(key))  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        return info

    def _stat_file(self, key: str) -> os.stat_result | None:
        info = self._stat(key)
        if info is not None and not S_ISREG(info.st_mode):
            raise _not_a_file(self.base + key, info)
        return info

    # The object

    def __eq__(self, other: object) -> bool:
        """Whether both roots lead to one folder; whether a store is read-only does not count."""
        return self.place is other.place if isinstance(other, LocalStore) else NotImplemented

    __hash__ = None

    def __str__(self) -> str:
        """Give the URL of the root."""
        return "file://" + self._root.replace(os.sep, "/")

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what was learnt about the folders, which may be others elsewhere."""
        left = ("base", "_flags", "_changes", "_place")
        return {k: v for k, v in super().__getstate__().items() if k not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the settings."""
        super().__setstate__(state)
        self._start()


def _is_value(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise


def _token(info: os.stat_result) -> tuple[int, int, int]:
    return (info.st_mtime_ns, info.st_size, info.st_ino)


def _not_a_file(path: str, info: os.stat_result) -> OSError:
    if S_ISDIR(info.st_mode):
        return IsADirectoryError(errno.EISDIR, "a folder is where a value should be", path)
    return OSError(errno.EINVAL, "what is where a value should be is no regular file", path)
