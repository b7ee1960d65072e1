"""Consolidated metadata in use: a group's snapshot of all nodes below it, and when it ends.

Rules of this file:

* A group opened through consolidated metadata serves names and metadata from that snapshot, and so
  do the groups and arrays got from it. It is as old as the document it was read from.
* A change made in this process to anything that a snapshot describes goes to the live documents
  first. Then the snapshot ends: handles turn to the live documents, and the stored copy is removed,
  so that no later reader trusts a stale one. ``consolidate_metadata`` makes a new one.
* Changes made by other processes are not seen through a snapshot; open the group with
  ``use_consolidated=False`` where others write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import ref

from fastzarr import node as nodes
from fastzarr.errors import ReadOnlyError
from fastzarr.metadata.layout import GroupLayout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr.node import Node
    from fastzarr.stores import Store

# A snapshot lives as long as the handles that use it. A plain dict is read in one step, which
# matters where threads open groups meanwhile.
_live: dict[int, ref[Snapshot]] = {}


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

    def covers(self, store: Store, path: str) -> bool:
        """Tell whether the snapshot describes this path of this store."""
        relative = self._relative(path) if self._is_of(store) else None
        # A format 3 group is not part of its own copy; in format 2 it is.
        return bool(relative) or (relative == "" and self.key is not None)

    def stands_in(self, store: Store, path: str) -> bool:
        """Tell whether the group of the snapshot is at this path or below it."""
        inside = not path or self.path == path or self.path.startswith(f"{path}/")
        return inside and self._is_of(store)

    def end(self) -> None:
        """Stop serving, and remove the stored copy."""
        if self.nodes is None:
            return
        self.nodes = None
        _live.pop(id(self), None)
        try:
            if self.key is not None:
                self.store.delete(self.key)
            elif isinstance(nodes.load(self.store, self.path, 3), GroupLayout):
                nodes.update(self.store, self.path, _without_copy)
        except ReadOnlyError:
            # The change came through another handle; this one may not write, and only turns live.
            return

    def _begin(self) -> None:
        key = id(self)
        _live[key] = ref(self, lambda _: _live.pop(key, None))

    def _is_of(self, store: Store) -> bool:
        # A store opened twice is the same place; its string says which.
        return store is self.store or str(store) == str(self.store)

    def _relative(self, path: str) -> str | None:
        if not self.path or path == self.path:
            return path[len(self.path) :]
        return path[len(self.path) + 1 :] if path.startswith(f"{self.path}/") else None


def note_change(store: Store, path: str, *, removed: bool = False) -> None:
    """End the snapshots that describe the node at this path, which has just been changed.

    Where the node was ``removed``, so were the snapshots of groups at the path and below it.
    """
    for found in tuple(_live.values()):
        snapshot = found()
        if snapshot is not None and (
            snapshot.covers(store, path) or (removed and snapshot.stands_in(store, path))
        ):
            snapshot.end()


def _without_copy(latest: Node) -> Node:
    return replace(latest, consolidated=None) if isinstance(latest, GroupLayout) else latest
