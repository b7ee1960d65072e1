"""The journal of a transaction: the changes that are committed, moved into place.

Rules of this file:

* A journal is complete, because it gets its name by one rename. Any process that opens the store
  and finds one moves the rest of its values into place.
* A journal may have been copied with the store from elsewhere: it is not followed through links.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError, TransactionError
from fastzarr.stores.keys import JOURNAL_NAME, METADATA_NAMES, validate_key
from fastzarr.stores.local.system import ATTEMPTS, lock_file, sync_file, temporary_name, unlock_file

if TYPE_CHECKING:
    from fastzarr.stores.local.store import LocalStore


FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
CHANGES, VALUES = "changes.json", "values"


def recover(store: LocalStore) -> None:
    """Do what is left of a journal, unless the one who wrote it is at it."""
    journal = store.base + JOURNAL_NAME
    while os.path.lexists(journal):
        lock = None
        try:
            lock = os.open(journal, FOLDER_FLAGS)
            lock_file(lock)
            if os.path.samestat(os.fstat(lock), os.lstat(journal)):
                _check_kinds(journal)
                apply(store, journal)
        except FileNotFoundError as error:
            if error.filename == journal:
                return  # its writer has come to the end
            raise _unfinished(store, error) from error
        except (OSError, TypeError, ValueError, BaseZarrError) as error:
            raise _unfinished(store, error) from error
        finally:
            if lock is not None:
                unlock_file(lock)
                os.close(lock)


def finish(store: LocalStore, journal: str) -> None:
    """Do what a journal has left to do, and remove it."""
    try:
        apply(store, journal)
    except OSError as error:
        raise _unfinished(store, error) from error
    except BaseException:
        # It is committed, and Ctrl-C is no reason to leave it half in place.
        apply(store, journal)
        raise


def _unfinished(store: LocalStore, error: Exception) -> TransactionError:
    return TransactionError(
        f"{store} has a transaction that is committed and not yet in place, and it cannot be "
        f"finished: {error}. It is when the store is opened where it can be written; what is left "
        f"of it is in {JOURNAL_NAME!r}"
    )


def apply(store: LocalStore, journal: str) -> None:
    """Put the values of a journal into their places; what is there already is left."""
    with open(f"{journal}/{CHANGES}", encoding="utf-8") as file:  # noqa: PTH123
        made: dict[str, bool] = dict(json.load(file))
    for key in made:
        validate_key(key)
        store.check_folder(key.rpartition("/")[0])
    for key, there in made.items():
        target = store.base + key
        if there:
            _replace(f"{journal}/{VALUES}/{key}", target)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(target)  # noqa: PTH108
            store.remove_empty(key.rpartition("/")[0])
    sync_journal(store, store.base)
    grave = temporary_name(store.base)
    os.rename(journal, grave)  # noqa: PTH104
    store.remove_tree(grave)


def _check_kinds(folder: str) -> None:
    """Refuse what no transaction has made: links, and what is neither a file nor a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _check_kinds(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise OSError(errno.EINVAL, "no transaction makes a link or a device", entry.path)


def _replace(value: str, target: str) -> None:
    for attempt in range(ATTEMPTS):
        try:
            os.replace(value, target)  # noqa: PTH105
        except FileNotFoundError:
            if not os.path.lexists(value):
                return  # it was put there before
            if attempt == ATTEMPTS - 1:
                raise
            # A delete beside this may have removed the folder.
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(value, target)
            return
        else:
            return


def _copy(value: str, target: str) -> None:
    """Replace what stands on another file system."""
    from shutil import copyfile

    temporary = temporary_name(os.path.dirname(target))  # noqa: PTH120
    try:
        copyfile(value, temporary)
        sync_file(temporary)
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def sync_journal(store: LocalStore, folder: str) -> None:
    """Flush a folder's files to the disk, unless the store's durability is ``none``."""
    if store.durability != "none":
        from fastzarr.native import sync

        sync(folder)


def documents_first(key: str) -> tuple[int, str]:
    """Give the order of locks: what makes nodes visible, what stands beside it, then chunks."""
    name = key.rpartition("/")[2]
    if name in METADATA_NAMES:
        return (int(name in (".zattrs", ".zmetadata")), key)
    return (2, key)


def allow_files(count: int) -> None:
    """Let the process have as many files open as a commit locks."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
