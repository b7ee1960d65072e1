"""Group: a mapping from names to arrays and groups.

Rules of this file:

* A name may be a path, ``"a/b"``; it is always relative to this group, as in zarr-python 3.
* A group has members of its own format. A handle has the group's own metadata; members are looked
  up on demand, in the store or in the snapshot of consolidated metadata.
* ``members.py`` iterates over the members, and ``group_verbs.py`` creates new ones; each declares
  what it requires of the group. All names of zarr-python 2 and 3 exist.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from fastzarr.creating.like import copy_words
from fastzarr.errors import (
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    KeyValidationError,
    NodeNotFoundError,
    ReadOnlyError,
    TransactionError,
)
from fastzarr.metadata.formats import parse_format, same_format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.trust import trusted
from fastzarr.nodes import documents as nodes
from fastzarr.nodes import listing
from fastzarr.nodes.array import Array
from fastzarr.nodes.awaitable_group import AwaitableGroup
from fastzarr.nodes.building import (
    build_group,
    check_new_path,
    groups_above,
    publish_parents,
    remove,
    taken,
    warn_of_reserved,
)
from fastzarr.nodes.group_metadata import ConsolidatedMetadata, GroupMetadata
from fastzarr.nodes.handle import Handle
from fastzarr.nodes.held import alone, site, unheld
from fastzarr.nodes.snapshot import changing
from fastzarr.stores.keys import as_name, normalise_path
from fastzarr.stores.resolve import as_store, as_store_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr import hints
    from fastzarr.codecs.numcodecs.filters import Permission
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.info import GroupInfo
    from fastzarr.nodes.members import Tell, Unknown
    from fastzarr.nodes.snapshot import Snapshot
    from fastzarr.stores import Store
    from fastzarr.stores.resolve import StoreLike

T = TypeVar("T")


class Group(AwaitableGroup["Group"]):
    """A group of arrays and groups, by name.

    ``Group(store, path)`` opens the group at a path. ``fastzarr.open_group`` and
    ``fastzarr.create_group`` have more options.

    >>> import fastzarr
    >>> root = fastzarr.create_group({})
    >>> root["a/b"] = [1, 2, 3]
    >>> list(root), "a/b" in root, root["a/b"].shape
    (['a'], True, (3,))
    """

    _layout: GroupLayout

    def __init__(  # noqa: PLR0913  (the union of two constructors)
        self,
        store: StoreLike,
        path: str | None = None,
        read_only: bool = False,
        chunk_store: StoreLike = None,
        cache_attrs: bool = True,
        synchronizer: hints.Synchronizer | None = None,
        zarr_version: hints.ZarrFormat | None = None,
        *,
        zarr_format: hints.ZarrFormat | None = None,
        meta_array: Any = None,  # noqa: ARG002  (without effect, as in zarr-python 3)
        layout: GroupLayout | None = None,
        snapshot: Snapshot | None = None,
        allow_pickle: Permission = False,
    ) -> None:
        """Open the group at ``path``; with ``layout``, the store is not read.

        With ``allow_pickle``, arrays of the group may unpickle their elements.

        Raise ``GroupNotFoundError`` if the group is missing, ``ContainsArrayError`` if the node is
        an array.
        """
        place = as_store_path(store, path)
        self._store, self._path = place.store, place.path
        self._chunk_store = self._store if chunk_store is None else as_store(chunk_store)
        self._read_only = read_only or self._store.read_only
        self._cache_attrs, self._synchronizer = cache_attrs, synchronizer
        self._snapshot, self._allow_pickle = snapshot, allow_pickle
        if layout is None:
            layout = self._load_self(same_format(zarr_format, zarr_version))
        self._layout = layout

    @classmethod
    def from_store(
        cls,
        store: StoreLike,
        *,
        attributes: hints.Attrs | None = None,
        zarr_format: hints.ZarrFormat = 3,
        overwrite: bool = False,
    ) -> Self:
        """Create a group in a store or at a store path; raise as ``fastzarr.create_group`` does.

        >>> import fastzarr
        >>> fastzarr.Group.from_store({}, attributes={"a": 1}).attrs
        {'a': 1}
        """
        place = as_store_path(store)
        layout = build_group(
            place.store,
            place.path,
            format=parse_format(zarr_format),
            attributes=attributes,
            overwrite=overwrite,
        )
        return cls(place.store, place.path, layout=layout)

    @classmethod
    def open(cls, store: StoreLike, zarr_format: hints.ZarrFormat | None = None) -> Self:
        """Open the group at a store or store path, of format 3 if it exists in both formats.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> fastzarr.Group.open(root.store) == root
        True
        """
        return cls(store, zarr_format=zarr_format)

    def _load_self(self, format: Format | None) -> GroupLayout:
        found = nodes.load(self._store, self._path, format)
        if isinstance(found, GroupLayout):
            return found
        if found is not None:
            msg = f"{self.name!r} in {self._store} is an array, not a group"
            raise ContainsArrayError(msg)
        msg = f"no group at {self.name!r} in {self._store}"
        raise GroupNotFoundError(msg)

    @property
    def store(self) -> Store:
        """The store of the metadata.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> sorted(root.store)
        ['zarr.json']
        """
        return self._store

    @property
    def chunk_store(self) -> Store:
        """The store of the chunks: the store of the metadata, unless another was passed.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.chunk_store is root.store
        True
        """
        return self._chunk_store

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends.

        >>> import fastzarr
        >>> fastzarr.group({}, path="/a/b").path
        'a/b'
        """
        return self._path

    @property
    def synchronizer(self) -> hints.Synchronizer | None:
        """The synchronizer that the group was opened with, or None.

        >>> import fastzarr
        >>> fastzarr.group().synchronizer is None
        True
        """
        return self._synchronizer

    @property
    def layout(self) -> GroupLayout:
        """The metadata of the group itself.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.layout.zarr_format
        3
        """
        return self._layout

    def _set_layout(self, layout: GroupLayout) -> None:
        self._layout = layout

    @property
    def metadata(self) -> GroupMetadata:
        """The metadata of the group, under the names of zarr-python 3.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.metadata.node_type
        'group'
        """
        snapshot, copy = self._snapshot, None
        found = None if snapshot is None else snapshot.nodes
        if snapshot is not None and found is not None:
            copy = ConsolidatedMetadata(found, snapshot.relative(self._path) or "")
        return GroupMetadata(self.attrs.asdict(), self._layout.zarr_format, copy)

    @property
    def snapshot(self) -> Snapshot | None:
        """The consolidated metadata that the group reads from; None if it reads the documents.

        >>> import fastzarr
        >>> fastzarr.group().snapshot is None
        True
        """
        snapshot = self._snapshot
        return None if snapshot is None or snapshot.nodes is None else snapshot

    @property
    def zarr_format(self) -> hints.ZarrFormat:
        """The Zarr format, 2 or 3.

        >>> import fastzarr
        >>> fastzarr.group(zarr_format=2).zarr_format
        2
        """
        return self._layout.zarr_format

    def __getitem__(self, name: str) -> Array | Group:
        """Return the array or group of this name or path; raise KeyError if it is missing."""
        path = self._below(name)
        found = self._find(path)
        if found is None:
            raise KeyError(name)
        if path == self._path and found == self._layout:
            return self
        if isinstance(found, Layout):
            found = trusted(found, "/" + path, allow=self._allow_pickle)
        return self._node(path, found)

    # A group is refused, although it is a member.
    def __setitem__(self, name: str, value: hints.ArrayLike) -> None:  # type: ignore[override]
        """Store an array-like value as an array of this name, replacing an existing node.

        An array of this package keeps its codecs if it has the format of the group.
        """
        given: object = value
        if isinstance(given, Group):
            msg = f"cannot set {name!r} to a group; use fastzarr.copy(source, group, name=...)"
            raise TypeError(msg)
        if given is None:
            msg = f"cannot set {name!r} to None; use del to delete it"
            raise TypeError(msg)
        words = copy_words(value, {}, self._layout.format)
        self.create_array(name, data=value, overwrite=True, **words)

    def __delitem__(self, name: str) -> None:
        """Delete a node and all nodes below it; raise KeyError if it is missing."""
        self._check_writable(f"delete {name!r}")
        path = self._below(name)
        if path == self._path:
            msg = f"{name!r} is this group itself; delete it from its parent group"
            raise KeyValidationError(msg)
        if nodes.load(self._store, path, self._layout.format) is None:
            raise KeyError(name)
        if not remove(self._store, path, self._chunk_store):
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        """Whether the group has an array or group of this name or path.

        A node that cannot be read counts, and causes a warning; a link out of the store does not.
        """
        try:
            path = self._below(name)
        except (KeyValidationError, TypeError):
            return False
        try:
            return self._find(path) is not None
        except nodes.BROKEN as error:
            listing.warn_of(path, self._store, error)
            return not isinstance(error, KeyValidationError)

    @overload
    def get(self, path: str, default: None = ...) -> Array | Group | None: ...
    @overload
    def get(self, path: str, default: T) -> Array | Group | T: ...
    def get(self, path: str, default: object = None) -> object:
        """Return the array or group at a path, or ``default`` if it is missing.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.get("a/x")[:], root.get("missing", 0)
        (array([1, 2]), 0)
        """
        try:
            return self[path]
        except KeyError:
            return default

    def get_array(self, path: str) -> Array:
        """Return the array at a path.

        Raise KeyError if it is missing, and ``ContainsGroupError`` if there is a group.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.get_array("a/x")[:]
        array([1, 2])
        """
        found = self[path]
        if not isinstance(found, Array):
            msg = f"{path!r} in {self.name!r} is a group, not an array"
            raise ContainsGroupError(msg)
        return found

    def get_group(self, path: str) -> Group:
        """Return the group at a path.

        Raise KeyError if it is missing, and ``ContainsArrayError`` if there is an array.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.get_group("a").path
        'a'
        """
        found = self[path]
        if not isinstance(found, Group):
            msg = f"{path!r} in {self.name!r} is an array, not a group"
            raise ContainsArrayError(msg)
        return found

    if not TYPE_CHECKING:
        # A type checker that knew it would accept every misspelled name.
        def __getattr__(self, name: str) -> Array | Group:
            """Return the member of this name as an attribute, as in zarr-python 2."""
            if name.startswith("_"):
                raise AttributeError(name)
            if any(name in vars(cls) for cls in type(self).__mro__):
                # A property has raised AttributeError, after which Python calls this method;
                # evaluate it again to raise the original error.
                return object.__getattribute__(self, name)
            try:
                return self[name]
            except (KeyError, ValueError):
                msg = f"{type(self).__name__!r} object has no attribute or member {name!r}"
                raise AttributeError(msg) from None

    def __dir__(self) -> list[str]:
        """Return the names of attributes and members."""
        return sorted({*super().__dir__(), *(name for name in self if name.isidentifier())})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Apply all changes of a ``with`` block below this group at its end: all or none.

        A transaction covers attributes, metadata and data, for the thread that begins it, through
        all handles of this group's store and of its copies. Inside the block they read as changed;
        other stores see the changes when the block has ended, and other threads read and write the
        store as if there were no transaction. If the block raises, or the process dies, nothing has
        changed; handles that were resized inside must then be opened again.

        Whatever the block reads below this group is compared at its end, missing chunks included:
        if another writer has changed it, nothing is written, ``TransactionError`` is raised, and
        the transaction can be repeated. The names of the members of a group are not compared, and
        nothing is if the block changes nothing. A process that reads meanwhile finds each document
        and each chunk as before or as after, but perhaps not all of them at the same time.

        Raise ``TransactionError`` if the store does not support transactions (local stores do), if
        the thread has begun one in it already, if another writer has changed what was read, or if
        something other than documents and chunks, whose keys are those of either format, would be
        changed.

        >>> import tempfile
        >>> import fastzarr as zarr
        >>> root = zarr.open_group(tempfile.mkdtemp())
        >>> with root.transaction():
        ...     root.create_array("x", data=[1, 2, 3])
        ...     root.attrs["version"] = 2
        <Array ...>
        >>> root["x"][:], dict(root.attrs)
        (array([1, 2, 3]), {'version': 2})
        """
        self._check_writable("begin a transaction")
        store = self._store
        if store.transaction is None or self.chunk_store is not store:
            msg = f"{store} does not support transactions; use a local store"
            raise TransactionError(msg)
        try:
            with store.transaction(self._path):
                yield self
        except BaseException:
            if nodes.load(store, self._path) is not None:
                self.attrs.refresh()
            raise

    def move(self, source: str, dest: str) -> None:
        """Move the node at the path ``source``, and all nodes below it, to the path ``dest``.

        Raise ``NodeNotFoundError`` if ``source`` is missing, ``ContainsArrayError`` or
        ``ContainsGroupError`` if ``dest`` exists.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.move("a/x", "z")
        >>> list(root)
        ['a', 'y', 'z']
        """
        self._check_writable(f"move {source!r}")
        old, new = self._below(source), self._below(dest)
        if nodes.load(self._store, old, self._layout.format) is None:
            msg = f"cannot move {'/' + old!r} in {self._store}: there is no node at this path"
            raise NodeNotFoundError(msg)
        check_new_path(new)
        found = nodes.load(self._store, new)
        if found is not None and new != old:
            raise taken(self._store, new, found, "delete it first, or choose another path")
        warn_of_reserved(new, self._layout.format)
        self._store.check_move(old, new)
        apart = self._chunk_store.place is not self._store.place
        # A group, or an array without stored chunks, has nothing there.
        apart = apart and not self._chunk_store.is_empty(old)
        if apart:
            self._chunk_store.check_move(old, new)
        with site(self._store, new) as where:
            missing = groups_above(where, self._layout.format, self._path).missing
            with changing(self._store, new), changing(self._store, old, removed=True):
                # The parent groups come first, so that the node can be found at any moment.
                publish_parents(where, missing, self._layout.format)
                with alone(self._store, old, new):
                    if apart:
                        self._chunk_store.move(old, new)
                    self._store.move(old, new)
                held = where.store is not self._store
                format, root = self._layout.format, where.root
                if held and nodes.load(where.store, where.path, format, root=root) is None:
                    # Another process has deleted or moved the parent groups before the move.
                    here = unheld(self._store, new)
                    missing = groups_above(here, self._layout.format, self._path).missing
                    publish_parents(here, missing, self._layout.format)

    @property
    def info(self) -> GroupInfo:
        """A description of the group itself, for a terminal or a notebook.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.info["Zarr format"]
        '3'
        """
        from fastzarr.nodes.info import group_info

        return group_info(self)

    def info_complete(self) -> GroupInfo:
        """Return a description that also counts the nodes below the group and their bytes.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.info_complete()["No. arrays"]
        '2'
        """
        from fastzarr.nodes.info import group_info

        return group_info(self, complete=True)

    def __repr__(self) -> str:
        """Return the class and the URL of the group."""
        return f"<Group {self.store_path}>"

    def _repr_html_(self) -> str:
        from fastzarr.nodes.notebook import group_html

        return group_html(self)

    __hash__ = Handle.__hash__

    def __eq__(self, other: object) -> bool:
        """Whether the other group is at the same path of the same place."""
        if not isinstance(other, Group):
            return NotImplemented
        return self._path == other._path and self._store.place is other._store.place

    def __enter__(self) -> Self:
        """Return the group itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the stores of the metadata and of the chunks."""
        self.close()

    def _below(self, name: Any) -> str:
        path = normalise_path(name if type(name) is str else as_name(name))
        return nodes.join(self._path, path) if path else self._path

    def _find(self, path: str) -> Node | None:
        if self._snapshot is not None and self._snapshot.nodes is not None:
            return self._layout if path == self._path else self._snapshot.get(path)
        return nodes.load(self._store, path, self._layout.format)

    def _entries(self) -> list[str]:
        if self._snapshot is not None and self._snapshot.nodes is not None:
            return list(self._snapshot.names(self._path))
        return listing.entries(self._store, self._path)

    def _names(self, entries: list[str], tell: Tell | None = None) -> list[str]:
        if self._snapshot is not None and self._snapshot.nodes is not None:
            return [name for name in entries if self._snapshot.has(nodes.join(self._path, name))]
        return listing.child_names(self._store, self._path, self._layout.format, entries, tell)

    def _children(
        self, path: str, entries: list[str] | None = None, unknown: Unknown | None = None
    ) -> Iterator[tuple[str, Node]]:
        snapshot = self.snapshot
        if snapshot is None:
            yield from listing.children(self._store, path, self._layout.format, entries, unknown)
            return
        for name in list(snapshot.names(path)) if entries is None else entries:
            below = nodes.join(path, name)
            try:
                found = self._find(below)
            except nodes.BROKEN as error:
                listing.warn_of(below, self._store, error)
                continue
            if found is not None:
                yield name, found

    def _warn_of(self, path: str, error: Exception) -> None:
        listing.warn_of(path, self._store, error)

    def _array(self, path: str, layout: Layout) -> Array:
        allow = self._allow_pickle
        return Array(
            self._store,
            path,
            self._read_only,
            self._chunk_store,
            self._synchronizer,
            cache_attrs=self._cache_attrs,
            layout=trusted(layout, allow=allow) if allow else layout,
        )

    def _group(self, path: str, layout: GroupLayout) -> Group:
        return Group(
            self._store,
            path,
            self._read_only,
            self._chunk_store,
            self._cache_attrs,
            self._synchronizer,
            layout=layout,
            snapshot=self._snapshot,
            allow_pickle=self._allow_pickle,
        )

    def _unconsolidated(self) -> Self:
        return self if self._snapshot is None else self._another(_snapshot=None)

    def _check_writable(self, doing: str) -> None:
        if self._read_only:
            msg = f"cannot {doing} in {self.name!r}: the group is read-only; use mode='r+'"
            raise ReadOnlyError(msg)
