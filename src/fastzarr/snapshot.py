"""Consolidated metadata in use: a group's snapshot of all nodes below it, and when it ends.

Rules of this file:

* A group opened through consolidated metadata serves names and metadata from that snapshot, and so
  do the groups and arrays got from it. It is as old as the document it was read from.
* A change made in this process to anything that a snapshot describes goes to the live documents
  first. Then the snapshot ends: handles turn to the live documents, and the stored copy is removed,
  so that no later reader trusts a stale one. ``consolidate_metadata`` makes a new one.
* A stored copy that this process has written or read is remembered by its place, and removed by
  such a change also when no handle uses it any more.
* Changes made by other processes are not seen through a snapshot; open the group with
  ``use_consolidated=False`` where others write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import ref

from fastzarr import node as nodes
from fastzarr.metadata.layout import GroupLayout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr.node import Node
    from fastzarr.stores import Store

# A snapshot lives as long as the handles that use it. A plain dict is read in one step, which
# matters where threads open groups meanwhile.
_live: dict[int, ref[Snapshot]] = {}
# The stored copies: store and path of the group, and the key. A dict keeps what threads add.
_stored: dict[tuple[str, str, str | None], None] = {}


class Snapshot:
    """Hold the nodes below one group as its consolidated metadata describes them.

    ``nodes`` maps paths relative to the group, or is None once the snapshot has ended. ``key`` is
    that of format 2's document; None where the copy is a member of the group's own ``zarr.json``.
    """

    def __init__(
        self, store: Store, path: str, found: Mapping[str, Node], key: str | None = None
    ) -> None:
        """Begin to serve these nodes."""
        self.store, self.path, self.key = store, path, key
        self.nodes: Mapping[str, Node] | None = found
        self._begin()

    def __getstate__(self) -> dict[str, object]:
        """Pickle all of it."""
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Come back as one that ends with the next change."""
        self.__dict__.update(state)
        if self.nodes is not None:
            self._begin()

    def get(self, path: str) -> Node | None:
        """Give the node at a path of the store; None if the snapshot has none there."""
        relative = self._relative(path)
        if self.nodes is None or relative is None or relative not in self.nodes:
            return None
        return self.nodes[relative]

    def names(self, path: str) -> Iterator[str]:
        """Go through the names directly below a path of the store, in order."""
        relative = self._relative(path)
        prefix = f"{relative}/" if relative else ""
        for found in sorted(self.nodes or ()):
            rest = found[len(prefix) :]
            if found.startswith(prefix) and rest and "/" not in rest:
                yield rest

    def end(self) -> None:
        """Stop serving; handles turn to the live documents."""
        self.nodes = None
        _live.pop(id(self), None)

    def _begin(self) -> None:
        key = id(self)
        _live[key] = ref(self, lambda _: _live.pop(key, None))
        _stored[str(self.store), self.path, self.key] = None

    def _relative(self, path: str) -> str | None:
        return _relative(self.path, path)


def note_change(store: Store, path: str, *, removed: bool = False) -> None:
    """End the snapshots that describe the node at this path, which has just been changed.

    Where the node was ``removed``, so were the snapshots of groups at the path and below it.
    """
    if not _live and not _stored:
        return
    # A store opened twice is the same place; its string says which.
    place = str(store)

    def is_changed(group: str, key: str | None) -> bool:
        relative = _relative(group, path)
        # A format 3 group is not part of its own copy; in format 2 it is.
        described = bool(relative) or (relative == "" and key is not None)
        return described or (removed and _relative(path, group) is not None)

    for found in tuple(_live.values()):
        snapshot = found()
        of_this = snapshot is not None and str(snapshot.store) == place
        if snapshot is not None and of_this and is_changed(snapshot.path, snapshot.key):
            snapshot.end()
    for where, group, key in tuple(_stored):
        if where == place and is_changed(group, key):
            _stored.pop((where, group, key), None)
            _remove_copy(store, group, key)


def _remove_copy(store: Store, group: str, key: str | None) -> None:
    if key is not None:
        store.delete(key)
    elif isinstance(nodes.load(store, group, 3), GroupLayout):
        nodes.update(store, group, _without_copy)


def _relative(group: str, path: str) -> str | None:
    """Give a path as seen from a group; None for one that is not below it."""
    if not group or path == group:
        return path[len(group) :]
    return path[len(group) + 1 :] if path.startswith(f"{group}/") else None


def _without_copy(latest: Node) -> Node:
    return replace(latest, consolidated=None) if isinstance(latest, GroupLayout) else latest
