"""Consolidated metadata in use: a group's snapshot of the nodes below it, and its invalidation.

Rules of this file:

* A group opened with consolidated metadata returns names and metadata from that snapshot, and so do
  the groups and arrays obtained from it. The snapshot is as old as the document it was read from.
* Before a change, the writer deletes the consolidated metadata of every group above it: if it dies,
  only that copy is lost. After the change it looks again, since a new copy may have been made of
  the old state. One look cannot do: no store locks a node against other processes, its parents
  included. ``consolidate_metadata`` repeats its copy if a node has changed meanwhile.
* The documents of all parents are requested together, so that each look is one round of requests.
* Handles of this process that use such a copy switch to the documents at once; handles of other
  processes do when they are opened again, or with ``use_consolidated=False``. Another thread may
  invalidate a snapshot at any moment, so each method takes ``nodes`` once, and answers from the
  documents if there are none: an invalid snapshot is no group without members.
* Changes by other programs are noticed in a local store, where checking a document is cheap: a node
  whose document is not older than the copy is read again, and one of which nothing is left no
  longer exists. Added nodes are not noticed. A node with chunks or members, but without a document,
  is described by the copy alone: some programs write no others.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from fastzarr.errors import MetadataError, PathNotFoundError
from fastzarr.metadata import formats
from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes import documents as nodes
from fastzarr.nodes import listing
from fastzarr.stores.keys import parents

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.held import Site
    from fastzarr.stores import Store
    from fastzarr.stores.place import Place


class Ended(NamedTuple):
    """A stored copy that was deleted."""

    #: The path of its group, and the format.
    group: str
    format: Format
    #: The number of nodes that it described.
    nodes: int


class Snapshot:
    """The nodes below one group, as described by its consolidated metadata.

    ``nodes`` maps paths relative to the group to nodes; it is None once the snapshot is invalid.
    ``name`` is the name of the document with the copy that the format defines. ``key`` is the key
    of a separate document, which may have another name; None if the copy is part of the group's own
    document.
    """

    def __init__(
        self, store: Store, path: str, found: Mapping[str, Node], name: str, key: str | None = None
    ) -> None:
        """Initialise with the nodes, and register the snapshot for invalidation."""
        self.store, self.path, self.name, self.key = store, path, name, key
        self.nodes: Mapping[str, Node] | None = found
        #: The time at which the copy was written, or None if the store does not know.
        self.time = self._time(key or nodes.join(path, name))
        self._begin()

    def __getstate__(self) -> dict[str, object]:
        """Return the state without the place, which is looked up when unpickling."""
        return {name: value for name, value in vars(self).items() if name != "place"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore the snapshot, and register it for invalidation."""
        self.__dict__.update(state)
        if self.nodes is not None:
            self._begin()

    def get(self, path: str) -> Node | None:
        """Return the node at a path in the store, or None if the snapshot has none."""
        if self.store.place is not self.place:
            self.end()  # the root of the store refers to another folder by now
        copy = self.nodes
        if copy is None:
            return nodes.load(self.store, path)
        relative = self.relative(path)
        if relative is None or relative not in copy:
            return None
        found = self._stated(copy, relative)
        if self.time is None:
            return found
        names = found.format.names(found.node_type)
        times = [self._time(nodes.join(path, name)) for name in names]
        if times[-1] is None:
            loaded = nodes.load(self.store, path)
            return found if loaded is None and self._is_only_here(path) else loaded
        # Equal times count as changed, because two changes within a clock tick have the same time.
        late = any(time is not None and time >= self.time for time in times)
        return nodes.load(self.store, path) if late else found

    def has(self, path: str) -> bool:
        """Whether there is a node at a path in the store, whose documents are not parsed."""
        copy = self.nodes
        if copy is None or self.time is None or self.store.place is not self.place:
            return self.get(path) is not None
        relative = self.relative(path)
        if relative is None or relative not in copy:
            return False
        found = self._stated(copy, relative)
        *_, name = found.format.names(found.node_type)
        return self.store.exists(nodes.join(path, name)) or self._is_only_here(path)

    def _stated(self, copy: Mapping[str, Node], relative: str) -> Node:
        """Return a node of the copy; its error names the store."""
        try:
            return copy[relative]
        except MetadataError as error:
            nodes.put_into(error, self.store)
            raise

    def _is_only_here(self, path: str) -> bool:
        """Whether a node without documents has chunks or members: its documents never existed."""
        return not self.store.is_empty(path)

    def _time(self, key: str) -> int | None:
        return None if self.store.modified is None else self.store.modified(key)

    def names(self, path: str) -> Iterator[str]:
        """Yield the sorted names directly below a path in the store."""
        copy = self.nodes
        if copy is None:
            yield from listing.entries(self.store, path)
            return
        relative = self.relative(path)
        prefix = f"{relative}/" if relative else ""
        for found in sorted(copy):
            rest = found[len(prefix) :]
            if found.startswith(prefix) and rest and "/" not in rest:
                yield rest

    def end(self) -> None:
        """Invalidate the snapshot; handles then read the documents."""
        self.nodes = None
        self.place.snapshots.pop(id(self), None)

    def _begin(self) -> None:
        self.place: Place = self.store.place
        # The place has a weak reference, so a snapshot lives as long as the handles that use it.
        # Copying a dict's values is atomic, so threads can open groups at the same time.
        key, live = id(self), self.place.snapshots
        live[key] = ref(self, lambda _: live.pop(key, None))
        if self.key not in (None, nodes.join(self.path, self.name)):
            self.place.remember(self.path, self.key)

    def relative(self, path: str) -> str | None:
        """Return a path in the store relative to the group, or None if it is not below it."""
        return _relative(self.path, path)


def below(copy: Mapping[str, Node], relative: str) -> dict[str, Node]:
    """Return those of the nodes of a snapshot that are below a group, by path relative to it.

    ``relative`` is the path of the group relative to that of the snapshot.
    """
    start = len(relative) + 1 if relative else 0
    return {
        found[start:]: node
        for found, node in copy.items()
        if found and (not relative or found.startswith(f"{relative}/"))
    }


@contextmanager
def changing(
    store: Store,
    path: str,
    format: Format | None = None,
    *,
    removed: bool = False,
    above: Mapping[str, Node] | None = None,
    where: Site | None = None,
    seen: Mapping[str, Hashable] | None = None,
) -> Iterator[list[Ended]]:
    """Invalidate, before and after the block, the snapshots that describe the node at ``path``.

    Yield the stored copies that were deleted before.

    ``format`` is the format of the node; None is any. If the node is ``removed``, the snapshots of
    groups at and below the path are included. ``above`` are the parent groups, by path, if they
    have just been read. ``where`` is the site of the node if it is created. ``seen`` are
    validators of documents, by key, from before these were read: a document whose validator is the
    same after the block has no new copy.
    """
    if where is None:
        groups, place = parents(path), store.place
    else:
        groups, place = where.above, where.place
    yield _end(store, path, groups, format, place, removed=removed, above=above)
    _end(store, path, groups, format, place, removed=removed, seen=seen)


def validators(store: Store, groups: list[str], format: Format) -> dict[str, Hashable]:
    """Return validators of the documents of groups, by key, if the store needs no request."""
    if store.validator is None or not store.knows_sizes:
        return {}
    name = format.names("group")[-1]
    return {key: store.validator(key) for key in (nodes.join(group, name) for group in groups)}


def _changed(
    store: Store, groups: list[str], format: Format, seen: Mapping[str, Hashable]
) -> list[str]:
    """Return the groups whose documents may have changed since their validators were taken."""
    changed, name, validator = [], format.names("group")[-1], store.validator
    for group in groups:
        key = nodes.join(group, name)
        if validator is None or key not in seen or validator(key) != seen[key]:
            changed.append(group)
    return changed


def _end(
    store: Store,
    path: str,
    groups: list[str],
    format: Format | None,
    place: Place,
    *,
    removed: bool,
    above: Mapping[str, Node] | None = None,
    seen: Mapping[str, Hashable] | None = None,
) -> list[Ended]:
    """Invalidate the snapshots of this process, and delete the stored copies of ``groups``."""
    ended: list[Ended] = []
    if not store.supports_consolidated_metadata:
        return ended
    if place.snapshots or place.copies:
        _end_known(store, place, path, removed=removed)
    for each in formats.FORMATS if format is None else (format,):
        name = each.separate_consolidated
        if name is not None:
            # A group is part of the copy in its own separate document.
            places = groups if removed else [*groups, path]
            there = [group for group in places if store.exists(nodes.join(group, name))]
            ended += [_delete(store, group, each, name) for group in there]
        elif each.consolidated is not None:
            read = above
            if read is None:
                rest = _changed(store, groups, each, seen) if seen else groups
                read = nodes.load_many(store, rest, each) if rest else {}
            for group, node in read.items():
                if isinstance(node, GroupLayout) and node.consolidated is not None:
                    ended.append(Ended(group, each, len(node.consolidated)))
                    with suppress(PathNotFoundError):  # a deleted group has no copy
                        nodes.update(store, group, _without_copy, format=each)
    return ended


def _delete(store: Store, group: str, format: Format, name: str) -> Ended:
    """Delete a copy that is a separate document."""
    key = nodes.join(group, name)
    # It is not parsed; the documents of all nodes have this member.
    count = (store.get(key) or b"").count(b'"zarr_format"')
    store.delete(key)
    return Ended(group, format, count)


def _end_known(store: Store, place: Place, path: str, *, removed: bool) -> None:
    """Invalidate the snapshots of this process, and delete copies stored under custom keys."""

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
            value = store.get(key)
            # Others may have put another value under the key.
            if value is not None and any(each.is_consolidated(value) for each in formats.FORMATS):
                store.delete(key)
            place.forget(group, key)


def _relative(group: str, path: str) -> str | None:
    """Return a path relative to a group, or None if it is not below it."""
    if not group or path == group:
        return path[len(group) :]
    return path[len(group) + 1 :] if path.startswith(f"{group}/") else None


def _without_copy(latest: Node) -> Node:
    return replace(latest, consolidated=None) if isinstance(latest, GroupLayout) else latest
