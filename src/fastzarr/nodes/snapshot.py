"""Consolidated metadata in use: a group's snapshot of all nodes below it, and when it ends.

Rules of this file:

* A group opened through consolidated metadata serves names and metadata from that snapshot, and so
  do the groups and arrays got from it. It is as old as the document it was read from.
* Whoever changes something ends the copies that describe it, of whatever process: the stored copies
  of the groups above are removed before the change and once more after it, so that a writer who
  dies in between costs the copy and nothing else. ``consolidate_metadata`` makes a new one, and
  looks again whether what it has copied is still so.
* Handles of this process that serve from such a copy turn to the live documents at once; those of
  other processes when they are opened again, or with ``use_consolidated=False``.
* What programs of other makers change is noticed where a look at a document costs next to nothing,
  in a local store: a node whose document is not older than the copy is read anew, and one whose
  document has gone is gone. A node that they add is not noticed.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import ref

from fastzarr.metadata import formats
from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes import documents as nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store
    from fastzarr.stores.place import Place


class Snapshot:
    """Hold the nodes below one group as its consolidated metadata describes them.

    ``nodes`` maps paths relative to the group, or is None once the snapshot has ended. ``name`` is
    the name of the document with the copy that the format defines. ``key`` is the key of a separate
    document, which may have another name; None if the copy is part of the group's own document.
    """

    def __init__(
        self, store: Store, path: str, found: Mapping[str, Node], name: str, key: str | None = None
    ) -> None:
        """Begin to serve these nodes."""
        self.store, self.path, self.name, self.key = store, path, name, key
        self.nodes: Mapping[str, Node] | None = found
        #: When the copy was written, where the store can tell.
        self.time = self._time(key or nodes.join(path, name))
        self._begin()

    def __getstate__(self) -> dict[str, object]:
        """Pickle the nodes and where they were read from; the place is found anew."""
        return {name: value for name, value in vars(self).items() if name != "place"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Come back as one that ends with the next change."""
        self.__dict__.update(state)
        if self.nodes is not None:
            self._begin()

    def get(self, path: str) -> Node | None:
        """Give the node at a path of the store; None if the snapshot has none there."""
        if self.store.place is not self.place:
            self.end()  # the root of the store leads to another folder by now
            return nodes.load(self.store, path)
        relative = self._relative(path)
        if self.nodes is None or relative is None or relative not in self.nodes:
            return None
        found = self.nodes[relative]
        if self.time is None:
            return found
        names = found.format.names(found.node_type)
        times = [self._time(nodes.join(path, name)) for name in names]
        if times[-1] is None:
            return nodes.load(self.store, path)
        # Two changes within one tick of the clock have the same time.
        late = any(time is not None and time >= self.time for time in times)
        return nodes.load(self.store, path) if late else found

    def _time(self, key: str) -> int | None:
        return None if self.store.modified is None else self.store.modified(key)

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
        self.place.snapshots.pop(id(self), None)

    def _begin(self) -> None:
        self.place: Place = self.store.place
        # A snapshot lives as long as the handles that use it. A plain dict is read in one step,
        # which matters where threads open groups meanwhile.
        key, live = id(self), self.place.snapshots
        live[key] = ref(self, lambda _: live.pop(key, None))
        if self.key not in (None, nodes.join(self.path, self.name)):
            self.place.remember(self.path, self.key)

    def _relative(self, path: str) -> str | None:
        return _relative(self.path, path)


@contextmanager
def changing(store: Store, *paths: str, removed: bool = False) -> Iterator[None]:
    """End the snapshots that describe the nodes at these paths, which are changed in the block.

    Where nodes are ``removed``, so are the snapshots of groups at the paths and below them.
    """
    for path in paths:
        _end(store, path, removed=removed)
    yield
    for path in paths:
        _end(store, path, removed=removed)


def _end(store: Store, path: str, *, removed: bool) -> None:
    _end_known(store, path, removed=removed)
    groups = ["", *(path[:at] for at, letter in enumerate(path) if letter == "/")] if path else []
    for group in groups:
        _remove_copies(store, group)
    if not removed:
        for each in formats.FORMATS:
            _remove_separate(store, path, each)


def _remove_copies(store: Store, group: str) -> None:
    """Remove the consolidated metadata of a group of any format."""
    for each in formats.FORMATS:
        if each.separate_consolidated is not None:
            _remove_separate(store, group, each)
        elif each.consolidated is not None:
            found = nodes.load(store, group, each)
            if isinstance(found, GroupLayout) and found.consolidated is not None:
                nodes.update(store, group, _without_copy, format=each)
            if found is not None:
                return


def _end_known(store: Store, path: str, *, removed: bool) -> None:
    """End what handles of this process serve from, and copies under names of their own."""
    place = store.place

    def is_changed(group: str, key: str | None) -> bool:
        relative = _relative(group, path)
        # A format 3 group is not part of its own copy; in format 2 it is.
        described = bool(relative) or (relative == "" and key is not None)
        return described or (removed and _relative(path, group) is not None)

    for found in tuple(place.snapshots.values()):
        snapshot = found()
        if snapshot is not None and is_changed(snapshot.path, snapshot.key):
            snapshot.end()
    for group, key in tuple(place.copies):
        if is_changed(group, key):
            place.forget(group, key)
            value = store.get(key)
            # Others may have put another value under the key.
            if value is not None and any(each.is_consolidated(value) for each in formats.FORMATS):
                store.delete(key)


def _remove_separate(store: Store, group: str, format: Format) -> None:
    name = format.separate_consolidated
    if name is not None:
        key = nodes.join(group, name)
        if store.exists(key):
            store.delete(key)


def _relative(group: str, path: str) -> str | None:
    """Give a path as seen from a group; None for one that is not below it."""
    if not group or path == group:
        return path[len(group) :]
    return path[len(group) + 1 :] if path.startswith(f"{group}/") else None


def _without_copy(latest: Node) -> Node:
    return replace(latest, consolidated=None) if isinstance(latest, GroupLayout) else latest
