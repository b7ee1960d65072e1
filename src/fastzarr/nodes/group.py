"""Group: names, and what stands behind them.

Rules of this file:

* A group is a mapping from names to arrays and groups. A name may be a path, ``"a/b"``; it is
  always taken from this group, as in zarr-python 3.
* A group sees the nodes of its own format. A handle holds the group's own metadata; what is below
  it is looked up when asked for, in the store or in the snapshot of consolidated metadata.
* What makes new nodes is in ``group_verbs.py``; names of both zarr-pythons are served.
"""

from __future__ import annotations

from collections.abc import ItemsView, MutableMapping, ValuesView
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastzarr.errors import (
    ContainsArrayError,
    GroupNotFoundError,
    KeyValidationError,
    MetadataValidationError,
    NodeNotFoundError,
    ReadOnlyError,
    TransactionError,
)
from fastzarr.metadata.formats import parse_format, reserved, same_format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.trust import trusted
from fastzarr.nodes import documents as nodes
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import (
    build_group,
    check_new_path,
    publish_parents,
    remove,
    survey,
    taken,
)
from fastzarr.nodes.group_verbs import Creation
from fastzarr.nodes.handle import Handle
from fastzarr.nodes.snapshot import changing
from fastzarr.stores.keys import normalise_path
from fastzarr.stores.resolve import as_store, as_store_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.info import GroupInfo
    from fastzarr.nodes.snapshot import Snapshot
    from fastzarr.nodes.tree import Tree
    from fastzarr.stores import Store


@dataclass(frozen=True)
class GroupMetadata:
    """Show a group's metadata under the names of zarr-python 3."""

    zarr_format: int
    attributes: dict[str, Any]
    consolidated_metadata: Mapping[str, Node] | None = None
    node_type: str = "group"

    def to_dict(self) -> dict[str, Any]:
        """Give the members of the group's document, without the copy of what is below."""
        return {
            "zarr_format": self.zarr_format,
            "node_type": self.node_type,
            "attributes": self.attributes,
        }


class Group(Handle, Creation, MutableMapping[str, "Array | Group"]):
    """Hold arrays and groups by name.

    ``Group(store, path)`` opens the group at a path; ``fastzarr.open_group`` and
    ``fastzarr.create_group`` do the same with more choices.

    >>> import fastzarr
    >>> root = fastzarr.create_group({})
    >>> root["a/b"] = [1, 2, 3]
    >>> list(root), "a/b" in root, root["a/b"].shape
    (['a'], True, (3,))
    """

    _layout: GroupLayout

    def __init__(  # noqa: PLR0913  (the union of two constructors)
        self,
        store: Any,
        path: str | None = None,
        read_only: bool = False,
        chunk_store: Any = None,
        cache_attrs: bool = True,
        synchronizer: Any = None,
        zarr_version: int | None = None,
        *,
        zarr_format: int | None = None,
        meta_array: Any = None,  # noqa: ARG002  (without effect, as in zarr-python 3)
        layout: GroupLayout | None = None,
        snapshot: Snapshot | None = None,
        allow_pickle: bool = False,
    ) -> None:
        """Open the group at ``path``, or stand for ``layout`` without reading the store.

        ``allow_pickle`` lets the arrays got from it be unpickled.

        Raises ``GroupNotFoundError`` if there is none, ``ContainsArrayError`` if it is an array.
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
        store: Any,
        *,
        attributes: Mapping[str, Any] | None = None,
        zarr_format: int = 3,
        overwrite: bool = False,
    ) -> Self:
        """Create a group at a store or store path."""
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
    def open(cls, store: Any, zarr_format: int | None = None) -> Self:
        """Open the group at a store or store path; of format 3 unless only format 2 is there."""
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
        """The store of the metadata."""
        return self._store

    @property
    def chunk_store(self) -> Store:
        """The store of the chunks: the store of the metadata, unless another was passed."""
        return self._chunk_store

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        return self._path

    @property
    def synchronizer(self) -> Any:
        """The synchronizer that the group was opened with, or None."""
        return self._synchronizer

    @property
    def layout(self) -> GroupLayout:
        """The metadata of the group itself."""
        return self._layout

    def _set_layout(self, layout: GroupLayout) -> None:
        self._layout = layout

    @property
    def metadata(self) -> GroupMetadata:
        """Give the group's metadata under the names of zarr-python 3."""
        copy = None if self._snapshot is None else self._snapshot.nodes
        return GroupMetadata(self._layout.zarr_format, self.attrs.asdict(), copy)

    @property
    def zarr_format(self) -> int:
        """Give the format, 2 or 3."""
        return self._layout.zarr_format

    async def update_attributes_async(self, new_attributes: Mapping[str, Any]) -> Self:
        """Write several attributes at once, for code that awaits it."""
        return self.update_attributes(new_attributes)

    # The mapping

    def __getitem__(self, name: str) -> Array | Group:
        """Give the array or group of a name or path below this group; ``KeyError`` without one."""
        path = self._below(name)
        if path == self._path:
            return self
        found = self._find(path)
        if found is None:
            raise KeyError(name)
        if isinstance(found, Layout):
            found = trusted(found, "/" + path, allow=self._allow_pickle)
        return self._node(path, found)

    def __setitem__(self, name: str, value: Any) -> None:
        """Store an array-like value under a name, in the place of whatever is there."""
        if isinstance(value, Group):
            msg = f"{name!r} cannot be set to a group; use fastzarr.copy(source, group, name=...)"
            raise TypeError(msg)
        if value is None:
            msg = f"{name!r} cannot be set to None; use del to remove it"
            raise TypeError(msg)
        self.create_array(name, data=value, overwrite=True)

    def __delitem__(self, name: str) -> None:
        """Delete the array or group of a name, and all below it; ``KeyError`` without one."""
        self._check_writable(f"delete {name!r}")
        path = self._below(name)
        if path == self._path:
            msg = f"{name!r} is this group itself; delete it from the group above"
            raise KeyValidationError(msg)
        if nodes.load(self._store, path, self._layout.format) is None:
            raise KeyError(name)
        remove(self._store, path, self._chunk_store)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an array or group of this name or path."""
        if not isinstance(name, str):
            return False
        try:
            path = self._below(name)
        except KeyValidationError:
            return False
        return path == self._path or self._find(path) is not None

    def __iter__(self) -> Iterator[str]:
        """Go through the names directly below the group, sorted.

        Their metadata is not looked at: a node that cannot be understood has a name all the same.
        """
        if self._snapshot is not None and self._snapshot.nodes is not None:
            return iter(list(self._snapshot.names(self._path)))
        return filter(self._is_node, self._entries(self._path))

    def __len__(self) -> int:
        """Count the nodes directly below the group."""
        return sum(1 for _ in self)

    def get(self, path: str, default: Any = None) -> Any:
        """Give the array or group at a path, or ``default`` where nothing is."""
        try:
            return self[path]
        except KeyError:
            return default

    def values(self) -> ValuesView[Array | Group]:
        """Give the nodes directly below the group, by name."""
        return _Values(self)

    def items(self) -> ItemsView[str, Array | Group]:
        """Give the names and the nodes directly below the group."""
        return _Items(self)

    def get_array(self, path: str) -> Array:
        """Give the array at a path; ``KeyError`` without one, ``TypeError`` for a group."""
        found = self[path]
        if not isinstance(found, Array):
            msg = f"{path!r} in {self.name!r} is a group, not an array"
            raise TypeError(msg)
        return found

    def get_group(self, path: str) -> Group:
        """Give the group at a path; ``KeyError`` without one, ``TypeError`` for an array."""
        found = self[path]
        if not isinstance(found, Group):
            msg = f"{path!r} in {self.name!r} is an array, not a group"
            raise TypeError(msg)
        return found

    def __getattr__(self, name: str) -> Array | Group:
        """Give the member of this name as an attribute, as zarr-python 2 does."""
        if name.startswith("_"):
            raise AttributeError(name)
        if any(name in vars(cls) for cls in type(self).__mro__):
            # A property raised AttributeError, which led here; raise it again as it was.
            return object.__getattribute__(self, name)  # type: ignore[no-any-return]
        try:
            return self[name]
        except (KeyError, ValueError):
            msg = f"{type(self).__name__!r} object has no attribute or member {name!r}"
            raise AttributeError(msg) from None

    def __dir__(self) -> list[str]:
        """List attributes and members."""
        return sorted({*super().__dir__(), *(name for name in self if name.isidentifier())})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    # Members

    def members(
        self,
        max_depth: int | None = 0,
        *,
        use_consolidated_for_children: bool = True,
    ) -> tuple[tuple[str, Array | Group], ...]:
        """Give the paths and nodes below the group, ``max_depth`` groups deep; None for all.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_group("a/b")
        >>> [name for name, _ in root.members(max_depth=None)]
        ['a', 'a/b']
        """
        if max_depth is not None and max_depth < 0:
            msg = f"must be 0 or more, or None for all, not {max_depth}"
            raise MetadataValidationError(msg, "max_depth")
        if self._snapshot is not None and not use_consolidated_for_children:
            return self._another(_snapshot=None).members(max_depth)
        found = self.walk(max_depth)
        return tuple((name, self._node(self._below(name), node)) for name, node in found)

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Count the nodes below the group, ``max_depth`` groups deep; None for all."""
        return sum(1 for _ in self.walk(max_depth))

    def walk(self, max_depth: int | None = None) -> Iterator[tuple[str, Node]]:
        """Go through paths and metadata below the group, each group before what is in it."""
        stack = [(self._children(self._path), "")]
        while stack:
            level, prefix = stack[-1]
            step = next(level, None)
            if step is None:
                stack.pop()
                continue
            name, found = step
            yield prefix + name, found
            if isinstance(found, GroupLayout) and (max_depth is None or len(stack) <= max_depth):
                below = nodes.join(self._path, prefix + name)
                stack.append((self._children(below), f"{prefix}{name}/"))

    def keys_of(self, kind: type[Layout | GroupLayout], *, recurse: bool = False) -> Iterator[str]:
        """Go through the paths of the arrays (``Layout``) or groups (``GroupLayout``) below."""
        walked = self.walk(None if recurse else 0)
        return (name for name, found in walked if isinstance(found, kind))

    def array_keys(self, recurse: bool = False) -> Iterator[str]:
        """Go through the names of the arrays, with ``recurse`` through paths of all below."""
        return self.keys_of(Layout, recurse=recurse)

    def group_keys(self) -> Iterator[str]:
        """Go through the names of the groups."""
        return self.keys_of(GroupLayout)

    def arrays(self, recurse: bool = False) -> Iterator[tuple[str, Array]]:
        """Go through names and arrays, with ``recurse`` through paths and arrays of all below."""
        for name, found in self.walk(None if recurse else 0):
            node = self._node(self._below(name), found) if isinstance(found, Layout) else None
            if isinstance(node, Array):
                yield name, node

    def groups(self) -> Iterator[tuple[str, Group]]:
        """Go through names and groups."""
        for name, found in self.walk(0):
            node = self._node(self._below(name), found) if isinstance(found, GroupLayout) else None
            if isinstance(node, Group):
                yield name, node

    def array_values(self) -> Iterator[Array]:
        """Go through the arrays."""
        return (array for _, array in self.arrays())

    def group_values(self) -> Iterator[Group]:
        """Go through the groups."""
        return (group for _, group in self.groups())

    def visit(self, func: Callable[[str], Any]) -> Any:
        """Call ``func(path)`` for all below, until it gives something; give that.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_groups("a", "a/b", "c")
        >>> root.visit(print)
        a
        a/b
        c
        """
        return _first(func(name) for name, _ in self.walk())

    visitkeys = visit

    def visitvalues(self, func: Callable[[Array | Group], Any]) -> Any:
        """Call ``func(node)`` for all below, until it gives something; give that."""
        return _first(func(self._node(self._below(name), node)) for name, node in self.walk())

    def visititems(self, func: Callable[[str, Array | Group], Any]) -> Any:
        """Call ``func(path, node)`` for all below, until it gives something; give that."""
        return _first(func(name, self._node(self._below(name), node)) for name, node in self.walk())

    # Together

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Make all changes of a ``with`` block below this group at its end: all of them or none.

        Attributes, metadata and data count, through whatever handles share this group's store. They
        are read back inside the block as they will be, and by others when it has ended. If it
        raises, or the writer dies, nothing was changed; handles that were resized inside are to be
        opened again then.

        Only a local store can do this. Raises ``TransactionError`` elsewhere, if a transaction is
        under way in this store, and if another writer has changed what a change was made from.

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
            msg = f"{store} has no transactions; a local store has"
            raise TransactionError(msg)
        try:
            with store.transaction(self._path):
                yield self
        except BaseException:
            if nodes.load(store, self._path) is not None:
                self.attrs.refresh()
            raise

    # Moving

    def move(self, source: str, dest: str) -> None:
        """Give the array or group at the path ``source`` the path ``dest``, with all below it.

        Raises ``NodeNotFoundError`` if nothing is there, ``ContainsArrayError`` or
        ``ContainsGroupError`` if something is at ``dest``.
        """
        self._check_writable(f"move {source!r}")
        old, new = self._below(source), self._below(dest)
        if nodes.load(self._store, old, self._layout.format) is None:
            msg = f"nothing at {'/' + old!r} in {self._store}, so there is nothing to move"
            raise NodeNotFoundError(msg)
        check_new_path(new)
        found = nodes.load(self._store, new)
        if found is not None and new != old:
            raise taken(self._store, new, found, "delete it first, or choose another path")
        _, missing = survey(self._store, new, self._layout.format, self._path)
        self._store.check_move(old, new)
        with changing(self._store, new), changing(self._store, old, removed=True):
            # First the groups above, so that it can be found wherever it is.
            publish_parents(self._store, missing, self._layout.format)
            if self._chunk_store.place is not self._store.place:
                self._chunk_store.move(old, new)
            self._store.move(old, new)

    # How it looks

    def tree(
        self,
        expand: bool | None = None,
        level: int | None = None,
        *,
        max_nodes: int = 500,
        plain: bool = False,
    ) -> Tree:
        """Give a drawing of what is below the group, ``level`` groups deep.

        ``expand=False`` folds groups up in a notebook; ``plain`` leaves out all emphasis.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_array("a/x", shape=(3,), dtype="i2")
        >>> root.tree()
        /
        └── a
            └── x (3,) int16
        """
        from fastzarr.nodes.tree import tree

        return tree(self, expand, level, max_nodes=max_nodes, plain=plain)

    @property
    def info(self) -> GroupInfo:
        """Describe the group without looking below it; prints, and draws in a notebook."""
        from fastzarr.nodes.info import group_info

        return group_info(self)

    def info_complete(self) -> GroupInfo:
        """Describe the group with what is below it, counted and weighed."""
        from fastzarr.nodes.info import group_info

        return group_info(self, complete=True)

    def info_items(self) -> list[tuple[str, str]]:
        """Give the description as pairs, as zarr-python 2 has it."""
        return list(self.info_complete().items())

    def __repr__(self) -> str:
        """Name the place."""
        return f"<Group {self.store_path}>"

    def _repr_html_(self) -> str:
        return self.info._repr_html_()

    # Python's own protocols

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

    # The ways down

    def _below(self, name: Any) -> str:
        if not isinstance(name, str):
            msg = f"the name of a node is a string, not {type(name).__name__}: {name!r}"
            raise TypeError(msg)
        path = normalise_path(name)
        return nodes.join(self._path, path) if path else self._path

    def _find(self, path: str) -> Node | None:
        if self._snapshot is not None and self._snapshot.nodes is not None:
            return self._snapshot.get(path)
        return nodes.load(self._store, path, self._layout.format)

    def _children(self, path: str) -> Iterator[tuple[str, Node]]:
        snapshot = self._snapshot
        if snapshot is None or snapshot.nodes is None:
            names = self._entries(path)
        else:
            names = iter(list(snapshot.names(path)))
        for name in names:
            found = self._find(nodes.join(path, name))
            if found is not None:
                yield name, found

    def _entries(self, path: str) -> Iterator[str]:
        """Go through what stands directly below a path and could be a node, by its name."""
        documents = reserved()
        for name in self._store.list_dir(path):
            try:
                if name not in documents and normalise_path(name) == name:
                    yield name
            except KeyValidationError:
                continue  # a file or folder that others put there

    def _is_node(self, name: str) -> bool:
        path = nodes.join(self._path, name)
        names = self._layout.format.visible
        return any(self._store.exists(nodes.join(path, document)) for document in names)

    def _node(self, path: str, found: Node) -> Array | Group:
        if isinstance(found, GroupLayout):
            return Group(
                self._store,
                path,
                self._read_only,
                self._chunk_store,
                self._cache_attrs,
                self._synchronizer,
                layout=found,
                snapshot=self._snapshot,
                allow_pickle=self._allow_pickle,
            )
        return Array(
            self._store,
            path,
            self._read_only,
            self._chunk_store,
            self._synchronizer,
            cache_attrs=self._cache_attrs,
            layout=trusted(found, allow=True) if self._allow_pickle else found,
        )

    def _check_writable(self, doing: str) -> None:
        if self._read_only:
            msg = f"cannot {doing} in {self.name!r}: the group was opened read-only; use mode='r+'"
            raise ReadOnlyError(msg)


class _Values(ValuesView["Array | Group"]):
    _mapping: Group

    def __iter__(self) -> Iterator[Array | Group]:
        return (node for _, node in self._mapping.members())


class _Items(ItemsView[str, "Array | Group"]):
    _mapping: Group

    def __iter__(self) -> Iterator[tuple[str, Array | Group]]:
        return iter(self._mapping.members())


def _first(results: Iterator[Any]) -> Any:
    return next((result for result in results if result is not None), None)
