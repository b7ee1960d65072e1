"""Moving trees that cannot be renamed: those of a lower layer of overlayfs, as in container images.

Rules of this file:

* The folders of all nodes of the tree are locked, so that no change of them is under way while the
  tree is copied. A change that waits for its lock finds its folder deleted, and raises an error.
* The copy has a temporary name until it is complete and, unless the durability is ``none``, synced.
  Only after it has been renamed are the old files deleted, the documents first.
* Only files that have been copied are deleted. A node that is created meanwhile stays where it is.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.local.alone import Alone, TooManyFoldersError
from fastzarr.stores.local.system import is_folder, patiently, sync_folder, temporary_name

if TYPE_CHECKING:
    from fastzarr.stores.local.folder import Folder


def moved_by_copy(folder: Folder, source: str, target: str) -> bool:
    """Move the tree at ``source`` by a copy; return False if this is no folder.

    Raise OSError, and change nothing, if the copy fails or ``target`` exists.
    """
    if not is_folder(folder.base + source):
        return False
    while True:
        nodes = _nodes(folder, source)
        held = _alone(folder, nodes, source)
        try:
            if _nodes(folder, source) == nodes:
                _copied(folder, source, target)
                return True
        finally:
            held.end()


def _alone(folder: Folder, nodes: set[str], source: str) -> Alone:
    try:
        return Alone(folder, nodes)
    except TooManyFoldersError as error:
        reason = (
            f"to move this tree, {len(nodes)} nodes in it must be locked at once, and this process "
            "cannot open so many folders; move its members one by one, or raise `ulimit -n`"
        )
        raise OSError(error.errno, reason, folder.base + source) from error


def _copied(folder: Folder, source: str, target: str) -> None:
    from shutil import copytree, rmtree

    from fastzarr.native import sync

    old, new = folder.base + source, folder.base + target
    above, durable = os.path.dirname(new), folder.durability != "none"
    os.makedirs(above, exist_ok=True)
    copy = temporary_name(above)
    try:
        copytree(old, copy, symlinks=True)
        if durable:
            sync(copy)
        found = list(os.walk(copy, topdown=False))
        patiently(os.rename, copy, new)
    except BaseException:
        rmtree(copy, ignore_errors=True)
        folder.remove_empty(target.rpartition("/")[0])
        raise
    folder.written = True
    if durable:
        sync_folder(above)
    paths = []
    for path, folders, files in found:
        below = path[len(copy) :]
        links = [name for name in folders if os.path.islink(f"{new}{below}/{name}")]
        paths += [f"{old}{below}/{name}" for name in (*files, *links)]
    for path in sorted(paths, key=lambda path: os.path.basename(path) not in METADATA_NAMES):
        with suppress(FileNotFoundError):
            patiently(os.unlink, path)
    for path, _, _ in found:
        try:
            os.rmdir(old + path[len(copy) :])
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
    if durable:
        sync_folder(os.path.dirname(old))
    folder.remove_empty(source.rpartition("/")[0])


def _nodes(folder: Folder, source: str) -> set[str]:
    """Return the paths of a tree and of all nodes in it."""
    top = folder.base + source
    found = {
        source + path[len(top) :]
        for path, _, files in os.walk(top)
        if not METADATA_NAMES.isdisjoint(files)
    }
    return {source, *found}
