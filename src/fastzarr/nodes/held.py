"""Nodes that are held while they are changed, so that no change meets a deletion halfway.

Rules of this file:

* A store that can hold a tree open (``pinned``) changes the tree that was at the path when the
  change began, wherever it is moved; a change of a deleted tree raises an error.
* In other stores, the threads of this process take turns: a thread that deletes, moves or replaces
  a node waits for all changes at and below its path, and keeps new ones out. Other processes cannot
  be kept out there.
* A node is created in the nearest existing tree above its path, which is held open likewise. The
  parent groups are read there, so that the node is created below the groups that were read.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr.errors import PathNotFoundError
from fastzarr.stores.keys import parents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fastzarr.stores import Store
    from fastzarr.stores.capabilities import Pinned
    from fastzarr.stores.place import Place


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
        hold = paths.share(path)
        try:
            yield store, path
        finally:
            paths.leave(hold)
        return
    with _open(tree, store, path):
        yield tree.store, ""


class Site(NamedTuple):
    """Where a node is created: its path in a store whose root is at or above its parent group."""

    #: The paths above the node in the user's store, from the root down.
    above: list[str]
    store: Store
    path: str
    #: The path of the root of ``store`` in the user's store.
    root: str
    #: The user's store with its identity, and the path of the node in it.
    user: Store
    place: Place
    named: str

    def covers(self, path: str) -> bool:
        """Whether a path of the user's store is at or below the root of ``store``."""
        return not self.root or path == self.root or path.startswith(f"{self.root}/")

    def at(self, path: str) -> tuple[Store, str]:
        """Return the store for a path of the user's store, and the path in it."""
        if not self.covers(path):
            return self.user, path
        return self.store, path[len(self.root) :].lstrip("/")


def unheld(store: Store, path: str) -> Site:
    """Return the site of a node that is not held."""
    return Site(parents(path), store, path, "", store, store.place, path)


@contextmanager
def site(store: Store, path: str) -> Iterator[Site]:
    """Hold the nearest tree above a path, for the creation of a node at the path.

    Raise ``PathNotFoundError`` if the tree is deleted before the node is created.
    """
    above, place = parents(path), store.place
    if store.pinned is not None:
        for root in reversed(above):
            try:
                tree = store.pinned(root, lock=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if tree is None:
                break
            with _open(tree, store, root):
                rest = path[len(root) + 1 :] if root else path
                yield Site(above, tree.store, rest, root, store, place, path)
            return
    hold = place.paths.share(above[-1]) if above else None
    try:
        yield Site(above, store, path, "", store, place, path)
    finally:
        if hold is not None:
            place.paths.leave(hold)


@contextmanager
def _open(tree: Pinned[Any], store: Store, path: str) -> Iterator[None]:
    try:
        yield
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
    # The extension raises EINVAL if the folder is deleted while it opens a file in it.
    return error.errno in (errno.ENOENT, errno.ESTALE, errno.EINVAL) and tree.is_deleted()


def gone(store: Store, path: str) -> PathNotFoundError:
    """Return the error for a node that was deleted, moved or replaced."""
    msg = f"the node {'/' + path!r} no longer exists in {store}; it was deleted or moved"
    return PathNotFoundError(msg)
