"""Nodes that are held while they are changed, so that no change meets a deletion halfway.

Rules of this file:

* A store that can hold a tree open (``pinned``) changes the tree that was at the path when the
  change began, wherever it is moved; a change of a deleted tree raises an error.
* In other stores, the threads of this process take turns: a thread that deletes, moves or replaces
  a node waits for all changes at and below its path, and keeps new ones out. Other processes cannot
  be kept out there.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastzarr.errors import PathNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fastzarr.stores import Store
    from fastzarr.stores.capabilities import Pinned


def tree_at(store: Store, path: str) -> Pinned[Any] | None:
    """Hold the tree at a path; return None if the store cannot do that.

    Raise ``PathNotFoundError`` if there is no tree.
    """
    if store.pinned is None:
        return None
    try:
        return store.pinned(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise gone(store, path) from error


@contextmanager
def held(store: Store, path: str) -> Iterator[tuple[Store, str]]:
    """Hold the node at a path for a change; yield a store and the path of the node in it.

    Raise ``PathNotFoundError`` if the node is missing, or is deleted before the change is made.
    """
    tree = tree_at(store, path)
    if tree is None:
        paths = store.place.paths
        paths.share(path)
        try:
            yield store, path
        finally:
            paths.leave(path)
        return
    try:
        yield tree.store, ""
    except OSError as error:
        if is_of_deleted(tree, error):
            raise gone(store, path) from error
        tree.rename(error)
        raise
    finally:
        tree.end()


def alone(store: Store, *paths: str) -> AbstractContextManager[None]:
    """Keep changes of other threads at and below the paths out, after waiting for those under way.

    Changes that hold a tree open are not waited for.
    """
    return store.place.paths.alone(*paths)


def is_of_deleted(tree: Pinned[Any], error: OSError) -> bool:
    """Whether an error was raised because the tree has been deleted."""
    return error.errno in (errno.ENOENT, errno.ESTALE) and tree.is_deleted()


def gone(store: Store, path: str) -> PathNotFoundError:
    """Return the error for a node that was deleted, moved or replaced."""
    msg = f"the node {'/' + path!r} no longer exists in {store}; it was deleted or moved"
    return PathNotFoundError(msg)
