"""The deletion and renaming of a tree of keys in a folder.

Rules of this file:

* The folder that has the name of the tree is opened once, and all names are changed in the open
  folder. If the folder is moved meanwhile, the change happened before. It is never created again.
* A tree is renamed before it is deleted. Of two that delete or move one tree, only one can rename
  it, and the other finds nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack, contextmanager
from stat import S_ISDIR
from typing import TYPE_CHECKING

from fastzarr.errors import NodeNotFoundError
from fastzarr.stores.local.pin import names_in, undisturbed
from fastzarr.stores.local.system import (
    bury,
    exchange,
    patiently,
    remove_tree,
    sync_folder,
    temporary_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.stores.local.folder import Folder


def remove(folder: Folder, prefix: str) -> bool:
    """Delete the folder of a prefix, or only the link to one; return False if it is missing."""
    parent, _, name = prefix.rpartition("/")
    try:
        with _opened(folder, parent) as above:
            if not S_ISDIR(os.stat(above.base + name).st_mode):
                return False
            grave = bury(above.base + name)
            folder.written = True
            try:
                # Otherwise a power cut could restore the name with only a part of the tree.
                _sync(above)
            finally:
                if grave is not None:
                    remove_tree(grave)
    except (FileNotFoundError, NotADirectoryError):
        return False
    folder.remove_empty(parent)
    return True


def move_root(folder: Folder, target: str) -> None:
    """Move a folder to another path, which it stands for from then on.

    Raise FileExistsError if something is there, and FileNotFoundError if there is no folder.
    """
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        msg = f"Destination root {target} already exists."
        raise FileExistsError(msg)
    with undisturbed(folder, ""):
        shutil.move(folder.root, target)
        folder.refer(target)


def move(folder: Folder, source: str, target: str) -> None:
    """Rename the file or folder ``source`` to ``target``, creating the folder of ``target``.

    Raise ``NodeNotFoundError`` if ``source`` is missing, or a folder above is deleted meanwhile.
    """
    try:
        _move(folder, source, target)
    except FileNotFoundError as error:
        msg = (
            f"cannot move {source!r} to {target!r} in {folder}: it, or the parent group of either "
            "path, was deleted or moved meanwhile"
        )
        raise NodeNotFoundError(msg) from error


def _move(folder: Folder, source: str, target: str) -> None:
    (old, _, one), (new, _, other) = source.rpartition("/"), target.rpartition("/")
    with ExitStack() as stack:
        above = stack.enter_context(_opened(folder, old))
        folder.check(new)
        folder.make(new, target)
        into = above if new == old else stack.enter_context(_opened(folder, new))
        try:
            _rename(above, one, into, other)
        except OSError:
            folder.remove_empty(new)
            raise
        folder.written = True
        _sync(into)
        if into is not above:
            _sync(above)
    folder.remove_empty(old)


@contextmanager
def _opened(folder: Folder, path: str) -> Iterator[Folder]:
    found = names_in(folder, path)
    try:
        yield found.folder
    except OSError as error:
        found.rename(error)
        raise
    finally:
        found.end()


def _sync(folder: Folder) -> None:
    if folder.durability != "none":
        sync_folder(folder.base)


def _rename(above: Folder, source: str, into: Folder, target: str) -> None:
    """Rename a file or folder to ``target``, which may be a folder without values."""
    one, other = above.base + source, into.base + target
    try:
        patiently(os.rename, one, other)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or _has_values(into, target):
            raise
    else:
        return
    # Only temporary files of writers that died are in the way.
    exchange(one, other)
    if _has_values(above, source):
        exchange(one, other)
        reason = "values were stored here in the meantime"
        raise FileExistsError(errno.EEXIST, reason, other)
    grave = temporary_name(above.base)
    patiently(os.rename, one, grave)
    remove_tree(grave)


def _has_values(folder: Folder, path: str) -> bool:
    return next(folder.keys_below(path, sweep=False), None) is not None
