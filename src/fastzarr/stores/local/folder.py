"""A folder whose files are opened, listed and deleted by key, without leaving it through links.

Rules of this file:

* A key is the path of a file below the root. A symbolic link that leads out of the root raises an
  error, unless the folder follows links. Links in the path of the root itself are allowed. The
  parent folders of a key are checked every time, because a link may have replaced one.
* Only a missing name is a missing key. A folder in place of a value, a denied permission or a
  failing disk raises an error with the path.
* Listing omits temporary files, and deletes those left behind by dead writers.
* A tree is renamed before it is deleted, so that no reader sees it partially deleted.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from itertools import chain
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.config import config
from fastzarr.errors import CodecError, KeyValidationError
from fastzarr.native import scan
from fastzarr.stores.keys import GROUP_NAMES, JOURNAL_NAME, METADATA_NAMES, TEMPORARY_SUFFIX
from fastzarr.stores.local.system import (
    ATTEMPTS,
    BINARY,
    NOFOLLOW,
    OPENS_FOLDERS,
    FileLock,
    again,
    bury,
    is_locked,
    patiently,
    read_part,
    remove_tree,
    sync_folder,
)
from fastzarr.stores.place import of_folder
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fastzarr.stores.place import Place

T = TypeVar("T")
DURABILITIES = ("none", "replace", "full")


def root_path(root: object) -> str:
    """Return the absolute path of the root of a local store; raise TypeError for no path."""
    if not isinstance(root, str | os.PathLike):
        msg = f"the root of a local store must be a path, not {type(root).__name__}"
        raise TypeError(msg)
    return os.path.abspath(os.fsdecode(root))


def check_root(path: str) -> None:
    """Raise NotADirectoryError for a root that is a file."""
    if os.path.isfile(path):
        reason = "the root of a local store must be a folder, but this is a file"
        raise NotADirectoryError(errno.ENOTDIR, reason, path)


# Without O_NONBLOCK, opening a named pipe in the folder would block forever.
_READ = os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0)
_IS_LINK = (errno.ELOOP, errno.EMLINK)
# The age in seconds from which an unlocked temporary file or folder is taken for abandoned.
_ABANDONED = 86400.0


class Folder:
    """A folder of the file system, whose files are named by keys.

    ``root`` is the absolute path of the folder, which may be missing. ``durability`` None uses
    ``config["durability"]``.
    """

    __slots__ = (
        "_durability",
        "_place",
        "base",
        "file",
        "flags",
        "follow_symlinks",
        "last",
        "named",
        "pinned",
        "root",
        "within",
        "written",
    )

    def __init__(
        self,
        root: str,
        *,
        follow_symlinks: bool = False,
        durability: str | None = None,
        written: bool = False,
    ) -> None:
        """Initialise with the settings; nothing is created."""
        if durability is not None and durability not in DURABILITIES:
            msg = f"durability must be one of {', '.join(DURABILITIES)}, not {durability!r}"
            raise ValueError(msg)
        self.follow_symlinks, self._durability = follow_symlinks, durability
        self.flags = _READ if follow_symlinks else _READ | NOFOLLOW
        #: Whether values were written since the last flush.
        self.written = written
        #: Whether the root is an open folder, which is never created again.
        self.pinned = False
        #: The descriptor of the root if it is an open folder that has a path, else None.
        self.file: int | None = None
        #: The folder and the path by which an open folder was found, to create nodes in it.
        self.within: tuple[Folder, str] | None = None
        self.refer(root)

    def refer(self, root: str) -> None:
        """Let it, and all that share it, stand for the folder at a path."""
        self.root = root
        #: The prefix of the paths of all files.
        self.base = root.rstrip("/" + os.sep) + "/"
        #: The path of the store's root in messages.
        self.named = root
        self._place: Place | None = None
        #: The last ``Pin`` in the folder that was locked, and the last one that was not.
        self.last: dict[bool, Any] = {}

    def __reduce__(self) -> tuple[Callable[..., Folder], tuple[Any, ...]]:
        """Pickle only the settings: elsewhere, the path may refer to another folder."""
        return _restored, (self.root, self.follow_symlinks, self._durability, self.written)

    def __str__(self) -> str:
        """Return the URL of the root."""
        return "file://" + self.named.replace(os.sep, "/")

    def with_durability(self, durability: str) -> Folder:
        """Return the same folder with another durability."""
        other = Folder(self.root, follow_symlinks=self.follow_symlinks, durability=durability)
        other.pinned, other.named, other.within = self.pinned, self.named, self.within
        other.file = self.file
        return other

    def at(self, root: str, *, pinned: bool = False) -> Folder:
        """Return another folder with the same settings; ``pinned`` for an open folder in this."""
        durability = self._durability
        other = Folder(root, follow_symlinks=self.follow_symlinks, durability=durability)
        if pinned:
            other.pinned, other.named = True, self.named
        return other

    @property
    def durability(self) -> str:
        """Which data survives a power cut: ``none``, ``replace`` or ``full``."""
        return str(config.flat["durability"] if self._durability is None else self._durability)

    @property
    def place(self) -> Place:
        """The identity of the folder that the root refers to now."""
        found = self._place = of_folder(self.root, self._place)
        return found

    def read(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        """Return the value of a key, or None if it is missing.

        ``check(size, key)`` is called before anything is read, and may raise.
        """
        found = self.read_parts(key, ((0, None),), check)
        return None if found is None else found[0][0]

    def read_parts(
        self,
        key: str,
        ranges: Sequence[tuple[int, int | None]],
        check: Callable[[int, str], None] | None = None,
    ) -> tuple[list[bytes], os.stat_result] | None:
        """Return parts of a value and the ``fstat`` of its file, or None if the key is missing."""
        file = self.open(key, self.flags)
        if file is None:
            return None
        try:
            info = os.fstat(file)
            if not S_ISREG(info.st_mode):
                self.check_file(key, info)
            if check is not None:
                check(info.st_size, key)
            parts = [read_part(file, *clip_range(*part, info.st_size)) for part in ranges]
        except OSError as error:
            error.filename = self.base + key
            raise
        finally:
            os.close(file)
        return parts, info

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        info = self._stat(key)
        return info is not None and S_ISREG(info.st_mode)

    def stat_file(self, key: str) -> os.stat_result | None:
        """Return the ``stat`` of a key's file, or None if the key is missing."""
        info = self._stat(key)
        if info is not None and not S_ISREG(info.st_mode):
            self.check_file(key, info)
        return info

    def open(self, key: str, flags: int) -> int | None:
        """Open the file of a key, which may be a link inside the root; None if it is missing."""
        self.check(key.rpartition("/")[0])
        try:
            return os.open(self.base + key, flags)
        except OSError as error:
            return self.after_failed_open(key, error, flags)

    def open_to_lock(self, key: str, access: int) -> FileLock | None:
        """Open the file of a key to lock it; None if missing, or a link that leads out."""
        self.check(key.rpartition("/")[0])

        def opened() -> int:
            file = self.open(key, self.flags | access)
            if file is None:
                raise FileNotFoundError(key)
            return file

        try:
            return FileLock.open(opened)
        except (FileNotFoundError, KeyValidationError):
            return None

    def check_file(self, key: str, info: os.stat_result) -> None:
        """Raise OSError unless ``info`` belongs to a regular file."""
        if S_ISREG(info.st_mode):
            return
        path = self.base + key
        if S_ISDIR(info.st_mode):
            raise IsADirectoryError(errno.EISDIR, "expected a value, found a folder", path)
        reason = "expected a value, found something other than a regular file"
        raise OSError(errno.EINVAL, reason, path)

    def leads_to(self, key: str, info: os.stat_result) -> os.stat_result | None:
        """Return the ``stat`` of a key's name if it still refers to the file of ``info``."""
        try:
            named = os.stat(self.base + key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        same = (named.st_ino, named.st_dev) == (info.st_ino, info.st_dev)
        return named if same else None

    def after_failed_open(self, key: str, error: OSError, flags: int) -> int | None:
        """Open a link inside the root after ``open`` has refused it; None if the key is missing."""
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        if isinstance(error, PermissionError):
            return self._open_later(key, error, flags)
        if error.errno not in _IS_LINK or self.follow_symlinks:
            raise error
        try:
            return os.open(self._follow(key), flags)
        except FileNotFoundError:
            return None

    def _open_later(self, key: str, error: PermissionError, flags: int) -> int | None:
        """Open a file that another thread or program replaces at the moment, as Windows has it."""
        path = self.base + key
        # Where folders cannot be opened, that is the error for a folder.
        if not OPENS_FOLDERS and os.path.isdir(path):
            self.check_file(key, os.stat(path))
        try:
            return again(error, os.open, path, flags)
        except FileNotFoundError:
            return None

    def check_way(self, key: str) -> None:
        """Raise NotADirectoryError if something other than a folder is on the way to a key."""
        end = key.find("/")
        while end >= 0:
            path = self.base + key[:end]
            try:
                mode = os.stat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return
            if not S_ISDIR(mode):
                reason = "expected a folder, found something else"
                raise NotADirectoryError(errno.ENOTDIR, reason, path)
            end = key.find("/", end + 1)

    def _stat(self, key: str) -> os.stat_result | None:
        self.check(key.rpartition("/")[0])
        try:
            info = os.stat(self.base + key, follow_symlinks=self.follow_symlinks)
            if S_ISLNK(info.st_mode):
                info = os.stat(self._follow(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return info

    def keys_below(self, prefix: str, *, sweep: bool = True) -> Iterator[str]:
        """Return an iterator of the keys below a prefix, without entering linked folders.

        With ``sweep``, temporary files left behind by dead writers are deleted.
        """
        self.check(prefix)
        return chain.from_iterable(self._keys_by_folder(prefix, sweep=sweep))

    def _keys_by_folder(self, prefix: str, *, sweep: bool) -> Iterator[list[str]]:
        folders = [prefix]
        while folders:
            folder = folders.pop()
            above = f"{folder}/" if folder else ""
            listed = scan(self.base + folder, above)
            if listed is None:
                found = self._scan(folder, sweep=sweep)
                keys = [above + entry.name for entry in found if _is_value(entry)]
                inner = (entry for entry in found if entry.is_dir(follow_symlinks=False))
                folders += [above + entry.name for entry in inner]
            else:
                keys, inside = listed
                folders += inside
            yield keys

    def names_in(self, prefix: str, *, sweep: bool = True) -> Iterator[str]:
        """Return an iterator of the names of files and folders directly below a prefix."""
        self.check(prefix)
        return (entry.name for entry in self._scan(prefix, sweep=sweep))

    def _scan(self, folder: str, *, sweep: bool) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.base + folder) as entries:
                found = [*entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        shown = [entry for entry in found if not entry.name.endswith(TEMPORARY_SUFFIX)]
        if len(shown) < len(found) and sweep:
            self._sweep(set(found) - set(shown))
        return shown

    def _sweep(self, entries: Iterable[os.DirEntry[str]]) -> None:
        """Delete the temporary files of dead writers, judging by age and owner."""
        for entry in entries:
            # An error here must not prevent the caller from listing.
            with suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                old = time.time() - info.st_mtime > _ABANDONED
                mine = not hasattr(os, "geteuid") or info.st_uid == os.geteuid()
                if not (old and mine) or entry.name == JOURNAL_NAME:
                    continue
                if not S_ISDIR(info.st_mode):
                    patiently(os.unlink, entry.path)
                elif not is_locked(entry.path):
                    remove_tree(entry.path)

    def write_beside(self, key: str, write: Callable[[str], T]) -> T:
        """Return ``write(folder)`` for the folder of a key, which is created if missing."""
        self.written = True
        folder = key.rpartition("/")[0]
        for _ in range(ATTEMPTS):
            # If the folder is known to be missing, `write` is not tried in vain.
            if self.check(folder):
                # A concurrent delete may have just removed it.
                with suppress(FileNotFoundError, NotADirectoryError):
                    return write(self.base + folder)
            if self.pinned and not os.stat(self.root).st_nlink:
                break  # the root itself is deleted, and is not created again
            self.make(folder, key)
        return write(self.base + folder)

    def sync_names(self, path: str) -> None:
        """Sync the names in a folder, if it exists."""
        with suppress(FileNotFoundError, NotADirectoryError):
            sync_folder(self.base + path)

    def sync_ways(self, keys: Iterable[str]) -> None:
        """Sync the names of all folders on the way to keys, once each, including that of the root.

        A folder is synced before those above it.
        """
        folders: dict[str, None] = {}
        for key in keys:
            folder = key
            while folder:
                folder = folder.rpartition("/")[0]
                folders[folder] = None
        for folder in sorted(folders, key=lambda path: path.count("/") + bool(path), reverse=True):
            self.sync_names(folder)
        if self.within is not None:
            outer, path = self.within
            outer.sync_ways((path,))
        elif not self.pinned:
            sync_folder(os.path.dirname(self.root))

    def make(self, folder: str, key: str) -> None:
        """Create the folder of a key; another writer may delete it again at once."""
        try:
            os.makedirs(self.base + folder, exist_ok=True)
        except FileNotFoundError:
            return  # deleted again while it was created; the caller tries again
        except (FileExistsError, NotADirectoryError):
            # If a folder has disappeared between the two checks, the caller tries again, too.
            at = self.root
            for name in ("", *folder.split("/")):
                at = f"{at}/{name}" if name else at
                try:
                    mode = os.stat(at).st_mode
                except (FileNotFoundError, NotADirectoryError):
                    return
                if not S_ISDIR(mode):
                    reason = f"cannot store key {key!r}, because a parent folder is a file"
                    raise NotADirectoryError(errno.ENOTDIR, reason, at) from None

    def clear(self) -> None:
        """Delete everything in the root, but not the root itself."""
        try:
            with os.scandir(self.root) as entries:
                # The documents that make nodes visible are deleted first.
                found = sorted(entries, key=lambda entry: entry.name not in METADATA_NAMES)
        except FileNotFoundError:
            return
        self.written = True
        for entry in found:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    grave = bury(entry.path)
                    if grave is not None:
                        remove_tree(grave)
                else:
                    patiently(os.unlink, entry.path)

    def remove_empty(self, folder: str) -> None:
        """Delete a folder of keys if it is empty, and then its empty parent folders."""
        # An empty folder has no meaning, so it does not matter if one cannot be removed.
        with suppress(OSError):
            while folder:
                os.rmdir(self.base + folder)
                folder = folder.rpartition("/")[0]

    def marked(self) -> Iterator[str]:
        """Yield the root and the groups above it that have a journal, or a mark of one."""
        root = self.root
        while True:
            if os.access(f"{root}/{JOURNAL_NAME}", os.F_OK):
                yield root
            above = os.path.dirname(root)
            if above == root or not any(
                os.access(f"{above}/{name}", os.F_OK) for name in GROUP_NAMES
            ):
                return
            root = above

    def check(self, folder: str) -> bool:
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
        # An open folder may have links to the rest of its store.
        root = os.path.realpath(self.named)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            if self.pinned:
                key = os.path.relpath(f"{os.path.realpath(self.root)}/{key}", root)
            msg = (
                f"{key!r} in {self} is a symbolic link that leads out of the store, to {real!r}; "
                "if you trust it, open the folder with LocalStore(..., follow_symlinks=True)"
            )
            raise KeyValidationError(msg)
        return real


def token(info: os.stat_result) -> tuple[int, int, int]:
    """Return the time, size and inode of a file, which together differ for any two values."""
    return (info.st_mtime_ns, info.st_size, info.st_ino)


def too_large(size: int, most: int) -> CodecError:
    """Return the error for a file of more bytes than a chunk may have."""
    msg = (
        f"{size} bytes are stored, over the limit of {most} for a chunk of this array; if that is "
        "correct, raise limits.expansion in config"
    )
    return CodecError(msg)


def _restored(root: str, follow_symlinks: bool, durability: str | None, written: bool) -> Folder:
    return Folder(root, follow_symlinks=follow_symlinks, durability=durability, written=written)


def _is_value(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise
