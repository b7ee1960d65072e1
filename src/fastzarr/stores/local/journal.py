"""The journal of a committed transaction, and its application.

Rules of this file:

* A journal is a folder with a list of changes and the new values. Renaming it to its name was the
  commit. From then on each value is renamed into its place, in the order of the changes, and the
  journal is deleted at the end. Values that are in place already are skipped, so any process can
  complete a journal that another one began to apply.
* A folder that is missing in the store is renamed with all the values in it. A new node, of which a
  folder alone may be one (N5), is therefore whole once it is seen.
* A journal is applied under the lock of its folder, which its writer holds until it has completed
  the journal or has died. Where folders cannot be locked, the threads of this process exclude each
  other (``applying``), and other processes must not open the store for writing meanwhile.
* Marks in the folders of the nodes that are changed lead to the journal: see ``alone.py``.
* A journal may have been copied with the store from elsewhere, so it is checked as a whole before
  anything is changed. It is bounded, contains only its values, has no links, and changes only
  documents of nodes and chunks of arrays. The writer checks its own changes in the same way.
"""

from __future__ import annotations

import errno
import json
import os
import re
from contextlib import contextmanager, suppress
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Protocol

from fastzarr.checked import is_array
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, TransactionError
from fastzarr.stores.keys import (
    ARRAY_NAMES,
    GROUP_NAMES,
    JOURNAL_NAME,
    METADATA_NAMES,
    NODE_NAMES,
    validate_key,
)
from fastzarr.stores.local.system import (
    ATTEMPTS,
    BINARY,
    DIRECTORY,
    NOFOLLOW,
    is_folder,
    locked_folder,
    patiently,
    remove_tree,
    sync_file,
    temporary_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.local.system import FileLock

FOLDER_FLAGS = os.O_RDONLY | DIRECTORY | NOFOLLOW
CHANGES, VALUES = "changes.json", "values"
# The limits of a list of changes.
MOST_CHANGES, MOST_BYTES = 1 << 18, 1 << 26
# Without it, opening a named pipe would block.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
# Others have created or deleted a folder meanwhile.
_CHANGED = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
_entry = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*(true|false)\s*([,}])').match
# The keys of chunks relative to their array: `c/0/1`, `c.0.1`, `0.1`, `0/1`, `c`, `0`.
_chunk = re.compile(r"(?:c|[0-9]+)(?:[/.][0-9]+)*\Z").match


def recover(folder: Folder) -> bool:
    """Complete the journal in a folder, if there is one; wait for its writer if that is alive.

    Return False if this process may not change the folder. Raise ``TransactionError`` if the
    journal is invalid or cannot be completed.
    """
    journal = folder.base + JOURNAL_NAME
    while os.path.lexists(journal):
        lock = None
        try:
            lock = locked_folder(journal, FOLDER_FLAGS)
            with applying(folder, lock):
                if lock.is_at(journal):
                    apply(folder, journal, load(folder, journal), _InFolder(folder))
        except FileNotFoundError as error:
            if error.filename == journal:
                return True  # its writer has finished
            raise unfinished(folder, error) from error
        except OSError as error:
            if error.errno in _DENIED:
                return False
            raise unfinished(folder, error) from error
        except (TypeError, ValueError, BaseZarrError) as error:
            raise unfinished(folder, error) from error
        finally:
            if lock is not None:
                lock.end()
    return True


@contextmanager
def applying(folder: Folder, lock: FileLock) -> Iterator[None]:
    """Keep other threads from applying the journal in a folder, if its lock does not."""
    if lock.works:
        yield
    else:
        with folder.place.locks.held(("journal",)):  # differs from any key
            yield


def complete(folder: Folder) -> None:
    """Complete the journal in a folder as ``recover``; raise PermissionError if that is denied."""
    if not recover(folder):
        raise denied(folder)


def denied(folder: Folder) -> PermissionError:
    """Return the error for a change that is not possible before a journal is completed."""
    reason = "a committed transaction must be completed first, without permission"
    return PermissionError(errno.EACCES, reason, folder.base + JOURNAL_NAME)


def finish(folder: Folder, journal: str, made: dict[str, bool], targets: Targets) -> None:
    """Complete the journal that this writer has just committed."""
    try:
        apply(folder, journal, made, targets)
    except OSError as error:
        raise unfinished(folder, error) from error
    except BaseException:
        # The transaction is committed, so it is completed even after Ctrl-C.
        if os.path.lexists(journal):
            apply(folder, journal, made, targets)
        raise


def root_of(folder: Folder, *, clean: bool = False) -> str | None:
    """Return the folder of the journal that concerns a folder; None if there is none.

    It is the folder itself, or one above it that a mark leads to. With ``clean``, a mark that leads
    to no journal is deleted; the caller must have locked the folder.

    Raise ``TransactionError`` for an invalid mark.
    """
    mark = folder.base + JOURNAL_NAME
    if not os.access(mark, os.F_OK):
        return None
    real = os.path.realpath(folder.root)
    levels = _levels(mark)
    if levels == 0:
        return real
    for _ in range(levels or 0):
        real = os.path.dirname(real)
    if levels is not None and _levels(f"{real}/{JOURNAL_NAME}") == 0:
        return real
    if clean:
        with suppress(FileNotFoundError):
            patiently(os.unlink, mark)
    return None


def _levels(mark: str) -> int | None:
    """Return how many folders above a mark its journal is: 0 for a journal; None if missing."""
    try:
        if not S_ISREG(os.lstat(mark).st_mode):
            return 0  # checked when it is applied
        with open(os.open(mark, os.O_RDONLY | BINARY | NOFOLLOW), "rb") as file:
            text = file.read(8)
    except FileNotFoundError:
        return None
    if not re.fullmatch(rb"\0*|[1-9][0-9]{0,5}\n?", text):
        msg = f"{mark!r} is not a mark of a transaction; if it is not yours, delete it"
        raise TransactionError(msg)
    # The author of an incomplete mark has died before the commit, or the power was cut. After that,
    # a store that is opened finds the journal without a mark.
    return int(text) if text.endswith(b"\n") else None


def unfinished(folder: Folder, error: Exception) -> TransactionError:
    """Return the error for a journal that cannot be completed because of another error."""
    hint = (
        "opening the store with write permission completes it"
        if isinstance(error, OSError)
        else "nothing was changed; if they are not yours, delete that folder"
    )
    return TransactionError(
        f"{folder} has a committed transaction that cannot be completed: {error}. Its remaining "
        f"changes are in {JOURNAL_NAME!r}; {hint}"
    )


class Targets(Protocol):
    """The files that the values of a journal replace."""

    def path_of(self, key: str) -> str:
        """Return the path of a key's file."""

    def is_deleted(self, key: str) -> bool:
        """Whether the node of a key has been deleted since the commit."""


class _InFolder:
    def __init__(self, folder: Folder) -> None:
        self._base = folder.base

    def path_of(self, key: str) -> str:
        return self._base + key

    def is_deleted(self, _: str) -> bool:
        return False


def apply(folder: Folder, journal: str, made: dict[str, bool], targets: Targets) -> None:
    """Move the values of a journal into place, and delete the journal."""
    for key, has_value in made.items():
        if has_value:
            _replace(f"{journal}/{VALUES}/{key}", key, targets)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):
                patiently(os.unlink, targets.path_of(key))
            folder.remove_empty(key.rpartition("/")[0])
    sync_all(folder, folder.base)
    grave = temporary_name(folder.base)
    patiently(os.rename, journal, grave)
    if folder.durability != "none":
        # Otherwise a power cut could restore the journal, which would undo later changes.
        folder.sync_names("")
    remove_tree(grave)


def dump(made: dict[str, bool]) -> bytes:
    """Return the list of changes; raise TransactionError if there are too many for a journal."""
    data = json.dumps(made).encode()
    if len(made) > MOST_CHANGES or len(data) > MOST_BYTES:
        msg = (
            f"a transaction can change at most {MOST_CHANGES} documents and chunks, with keys of "
            f"{MOST_BYTES} bytes together, not {len(made)}; make several transactions of them"
        )
        raise TransactionError(msg)
    return data


def load(folder: Folder, journal: str) -> dict[str, bool]:
    """Return the changes of a journal in their order; whether each key has a value.

    Raise ValueError, OSError or BaseZarrError, having changed nothing, if the journal is not one
    that a transaction of this store could have written.
    """
    if not S_ISDIR(os.lstat(journal).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a journal is a folder", journal)
    flags = os.O_RDONLY | BINARY | NOFOLLOW | _NONBLOCK
    with open(os.open(f"{journal}/{CHANGES}", flags), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            msg = f"{CHANGES} is not a regular file"
            raise ValueError(msg)
        data = file.read(MOST_BYTES + 1)
    made = _parse(data)
    _check_kinds(journal, made)
    check(folder, made, journal)
    return made


def _parse(data: bytes) -> dict[str, bool]:
    """Return the list of changes, whose syntax has no depth, so that none has to be limited."""
    if len(data) > MOST_BYTES:
        msg = f"{CHANGES} has more than {MOST_BYTES} bytes"
        raise ValueError(msg)
    text = data.decode()
    made: dict[str, bool] = {}
    at = 1
    while len(made) < MOST_CHANGES:
        found = _entry(text, at)
        if found is None or not text.startswith("{"):
            msg = f"{CHANGES} is not a list of changes"
            raise ValueError(msg)
        key = json.loads(found[1])
        if key in made:
            msg = f"{CHANGES} has the key {key!r} twice"
            raise ValueError(msg)
        made[key] = found[2] == "true"
        at = found.end()
        if found[3] == "}":
            if text[at:].strip():
                msg = f"{CHANGES} is not a list of changes"
                raise ValueError(msg)
            return made
    msg = f"{CHANGES} has more than {MOST_CHANGES} changes"
    raise ValueError(msg)


def check(folder: Folder, made: dict[str, bool], journal: str) -> None:
    """Raise an error unless the changes are those of documents and of chunks of arrays.

    ``journal`` is the folder of the new values. An array is one in the committed state, or one
    that is deleted by the changes.
    """
    arrays: dict[tuple[str, bool], bool] = {}
    folders: set[str] = set()
    for key, has_value in made.items():
        validate_key(key)
        parent, _, name = key.rpartition("/")
        if parent not in folders:
            folder.check(parent)
            folders.add(parent)
        if is_folder(folder.base + key):
            reason = "a value cannot be stored or deleted where a folder is"
            raise IsADirectoryError(errno.EISDIR, reason, folder.base + key)
        if name in METADATA_NAMES:
            continue
        for path in owners(key):
            at = path, has_value
            if at not in arrays:
                arrays[at] = _is_array(folder, made, journal, path, has_value)
            if arrays[at]:
                break
        else:
            msg = f"{key!r} is neither a document nor a chunk of an array"
            raise TransactionError(msg)


def node_of(folder: Folder, made: dict[str, bool], key: str) -> str | None:
    """Return the path of the node of a document or chunk; None if that is missing."""
    parent, _, name = key.rpartition("/")
    if name in METADATA_NAMES:
        return parent
    for path in owners(key):
        for name in ARRAY_NAMES:
            document = f"{path}/{name}" if path else name
            if document in made or folder.exists(document):
                return path
    return None


def owners(key: str) -> Iterator[str]:
    """Yield the paths of the arrays of which a key can be a chunk, in either format.

    >>> list(owners("a/c/0/1")), list(owners("b/0.1")), list(owners("b/notes.txt"))
    (['a/c/0', 'a/c', 'a'], ['b'], [])
    """
    at = len(key)
    while at > 0:
        at = key.rfind("/", 0, at)
        if not _chunk(key, at + 1):
            return
        yield key[: max(at, 0)]


def _is_array(
    folder: Folder, made: dict[str, bool], journal: str, path: str, has_value: bool
) -> bool:
    """Whether a chunk that has a value now, or none, can be one of an array at a path."""
    for name in ARRAY_NAMES:
        key = f"{path}/{name}" if path else name
        if key in made and not has_value:
            return True  # the array is deleted or replaced, perhaps already
        if made.get(key) is False:
            continue
        data = folder.at(f"{journal}/{VALUES}").read(key, _check_size) if key in made else None
        if data is None:
            data = folder.read(key, _check_size)
        if data is not None and (name not in GROUP_NAMES or is_array(name, _loaded(data))):
            return True
    return False


def _loaded(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _check_size(size: int, key: str) -> None:
    most = config.flat["limits.document_bytes"]
    if size > most:
        msg = f"{key!r} has {size} bytes, more than config['limits.document_bytes'], {most}"
        raise ValueError(msg)


def _check_kinds(journal: str, made: dict[str, bool]) -> None:
    """Raise OSError for entries that no transaction creates."""
    folders = [journal]
    # A key has at most as many folders as slashes, and one more entry is the list of changes.
    left = 2 + sum(2 + key.count("/") for key in made)
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                left -= 1
                key = entry.path[len(journal) + 1 :]
                if left < 0:
                    reason = "a journal has only its own values"
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                elif not entry.is_file(follow_symlinks=False):
                    reason = "a journal has only files and folders"
                elif key == CHANGES or made.get(key.removeprefix(f"{VALUES}/")):
                    continue
                else:
                    reason = "a journal has only its own values"
                raise OSError(errno.EINVAL, reason, entry.path)


def _replace(value: str, key: str, targets: Targets) -> None:
    target = targets.path_of(key)
    for attempt in range(ATTEMPTS):
        try:
            patiently(os.replace, value, target)
        except FileNotFoundError:
            if not os.path.lexists(value):
                return  # in place already
            if targets.is_deleted(key):
                patiently(os.unlink, value)
                return
            if attempt == ATTEMPTS - 1:
                raise
            _move_folder(value, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(value, target)
            return
        else:
            return


def _move_folder(value: str, target: str) -> None:
    """Move the folder of a value, with all of its values, to that of the target, which is missing.

    It is the topmost folder that is missing, so that no other program finds it without its values.
    """
    while True:
        value, target = os.path.dirname(value), os.path.dirname(target)
        if os.path.lexists(os.path.dirname(target)):
            break
    try:
        patiently(os.rename, value, target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            with suppress(FileNotFoundError):
                os.makedirs(target, exist_ok=True)
        elif error.errno not in _CHANGED:
            raise


def _copy(value: str, target: str) -> None:
    """Replace a value on another file system."""
    from shutil import copyfile

    temporary = temporary_name(os.path.dirname(target))
    try:
        copyfile(value, temporary)
        sync_file(temporary)
        patiently(os.replace, temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def sync_all(folder: Folder, path: str) -> None:
    """Sync the file system of a path, unless the folder's durability is ``none``."""
    if folder.durability != "none":
        from fastzarr.native import sync

        sync(path)


def documents_first(key: str) -> tuple[int, str]:
    """Return the sort key of a key in the order of locks.

    Documents that make nodes visible come first, then other documents, then chunks.
    """
    name = key.rpartition("/")[2]
    if name in METADATA_NAMES:
        return (int(name not in NODE_NAMES), key)
    return (2, key)
