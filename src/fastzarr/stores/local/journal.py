"""The journal of a committed transaction, and its application.

Rules of this file:

* A journal is a folder with a list of changes and the new values. Renaming it to its name was the
  commit. From then on each value is renamed into its place, in the order of the changes, and the
  journal is deleted at the end. Values that are in place already are skipped, so any process can
  complete a journal that another one began to apply.
* A journal is applied under the lock of its folder, which its writer holds until it has completed
  the journal or has died.
* A journal may have been copied with the store from elsewhere: it is not followed through links,
  and its keys are checked like all others.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError, TransactionError
from fastzarr.stores.keys import JOURNAL_NAME, METADATA_NAMES, NODE_NAMES, validate_key
from fastzarr.stores.local.system import (
    ATTEMPTS,
    DIRECTORY,
    NOFOLLOW,
    locked_folder,
    sync_file,
    temporary_name,
)

if TYPE_CHECKING:
    from fastzarr.stores.local.folder import Folder

FOLDER_FLAGS = os.O_RDONLY | DIRECTORY | NOFOLLOW
CHANGES, VALUES = "changes.json", "values"


def recover(folder: Folder) -> None:
    """Complete the journal in a folder, if there is one; wait for its writer if that is alive.

    Raise ``TransactionError`` if it cannot be completed.
    """
    journal = folder.base + JOURNAL_NAME
    while os.path.lexists(journal):
        lock = None
        try:
            lock = locked_folder(journal, FOLDER_FLAGS)
            if os.path.samestat(os.fstat(lock.file), os.lstat(journal)):
                _check_kinds(journal)
                apply(folder, journal)
        except FileNotFoundError as error:
            if error.filename == journal:
                return  # its writer has finished
            raise _unfinished(folder, error) from error
        except (OSError, TypeError, ValueError, BaseZarrError) as error:
            raise _unfinished(folder, error) from error
        finally:
            if lock is not None:
                lock.end()


def finish(folder: Folder, journal: str) -> None:
    """Complete the journal that this writer has just committed."""
    try:
        apply(folder, journal)
    except OSError as error:
        raise _unfinished(folder, error) from error
    except BaseException:
        # The transaction is committed, so it is completed even after Ctrl-C.
        apply(folder, journal)
        raise


def _unfinished(folder: Folder, error: Exception) -> TransactionError:
    return TransactionError(
        f"{folder} has a committed transaction that cannot be completed: {error}. Its remaining "
        f"changes are in {JOURNAL_NAME!r}; opening the store with write permission completes it"
    )


def apply(folder: Folder, journal: str) -> None:
    """Move the values of a journal into place, and delete the journal."""
    with open(f"{journal}/{CHANGES}", encoding="utf-8") as file:
        made: dict[str, bool] = dict(json.load(file))
    for key in made:
        validate_key(key)
        folder.check(key.rpartition("/")[0])
    for key, has_value in made.items():
        target = folder.base + key
        if has_value:
            _replace(f"{journal}/{VALUES}/{key}", target)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(target)
            folder.remove_empty(key.rpartition("/")[0])
    sync_all(folder, folder.base)
    grave = temporary_name(folder.base)
    os.rename(journal, grave)
    folder.remove_tree(grave)


def _check_kinds(path: str) -> None:
    """Raise OSError for entries that no transaction creates: all but files and folders."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _check_kinds(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise OSError(errno.EINVAL, "a journal has only files and folders", entry.path)


def _replace(value: str, target: str) -> None:
    for attempt in range(ATTEMPTS):
        try:
            os.replace(value, target)
        except FileNotFoundError:
            if not os.path.lexists(value):
                return  # in place already
            if attempt == ATTEMPTS - 1:
                raise
            # A concurrent delete may have removed the folder.
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(value, target)
            return
        else:
            return


def _copy(value: str, target: str) -> None:
    """Replace a value on another file system."""
    from shutil import copyfile

    temporary = temporary_name(os.path.dirname(target))
    try:
        copyfile(value, temporary)
        sync_file(temporary)
        os.replace(temporary, target)
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


def allow_files(count: int) -> None:
    """Raise the limit of open files, as far as allowed, so that ``count`` keys can be locked."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
