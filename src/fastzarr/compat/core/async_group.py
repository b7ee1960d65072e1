"""``AsyncGroup``, whose verbs are awaited, and what it shares with ``Group``.

Rules of this file:

* A group holds a ``fastzarr.Group`` as ``inner``. ``AsyncGroup`` awaits the functions of
  ``group_verbs.py``, which block; a group in memory calls them.
* A handle that is made of metadata, and not opened, makes its ``inner`` when it is first needed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeAlias, TypeVar, cast

from fastzarr.compat.core import group_verbs as verbs
from fastzarr.compat.core import hierarchy
from fastzarr.compat.core._info import GroupInfo
from fastzarr.compat.core._tree import TreeRepr, group_tree
from fastzarr.compat.core.array import AsyncArray
from fastzarr.compat.core.array_spec import parse_array_config
from fastzarr.compat.core.attributes_document import with_attributes
from fastzarr.compat.core.awaiting import awaited, driven
from fastzarr.compat.core.creating import (
    created,
    filling,
    made_array,
    naming_parents,
    saved,
    signed,
)
from fastzarr.compat.core.group_metadata import GroupMetadata, nested
from fastzarr.compat.core.sync import sync
from fastzarr.compat.core.unpickling import may_unpickle
from fastzarr.compat.errors import ContainsArrayError, MetadataValidationError
from fastzarr.compat.storage._common import StorePath, make_store_path
from fastzarr.compat.storage.bridge import inner_store, outer_store
from fastzarr.metadata.formats import parse_format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes.building import as_elsewhere, build_group
from fastzarr.nodes.group import Group as InnerGroup
from fastzarr.nodes.snapshot import below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from fastzarr.compat.abc.store import Store
    from fastzarr.compat.core.common import ZarrFormat
    from fastzarr.compat.core.group_metadata import ConsolidatedMetadata
    from fastzarr.nodes.array import Array as InnerArray

    InnerNode: TypeAlias = InnerArray | InnerGroup
    Node: TypeAlias = "AsyncArray | AsyncGroup"

P = ParamSpec("P")
T = TypeVar("T")


def place_of(
    store: Any, path: str = "", mode: Any = None, storage_options: dict[str, Any] | None = None
) -> StorePath:
    """Return a store and a path in it from what a user has passed."""
    words: dict[str, Any] = {"path": path, "mode": mode, "storage_options": storage_options}
    return driven(partial(make_store_path, store, **words))


def new_group(
    place: StorePath,
    *,
    zarr_format: Any = 3,
    attributes: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> AsyncGroup:
    """Create a group at a place, in a plain call."""
    store, format = inner_store(place.store), parse_format(zarr_format)
    words: dict[str, Any] = {"attributes": attributes, "overwrite": overwrite}
    with naming_parents(place), as_elsewhere():
        layout = build_group(store, place.path, format=format, **words)
    made = with_attributes(InnerGroup(store, place.path, layout=layout, allow_pickle=may_unpickle))
    return AsyncGroup.from_inner(made, place)


def old_group(
    place: StorePath, zarr_format: Any = None, use_consolidated: bool | str | None = None
) -> AsyncGroup:
    """Open the group at a place, in a plain call; raise FileNotFoundError if there is none."""
    if zarr_format not in (2, 3, None):
        msg = f"Invalid value for 'zarr_format'. Expected 2, 3, or None. Got '{zarr_format}'."
        raise MetadataValidationError(msg)
    store = inner_store(place.store)
    found = verbs.open_group(store, place.path, zarr_format, use_consolidated, place.store)
    return AsyncGroup.from_inner(found, place)


def dressed(store: Store, node: InnerNode) -> Node:
    """Return a node of fastzarr as one of the facade in the given store."""
    place = StorePath(store, node.path)
    if isinstance(node, InnerGroup):
        return AsyncGroup.from_inner(node, place)
    return AsyncArray.from_inner(node, place)


def check_not_expanded(expand: bool | None) -> None:
    """Raise NotImplementedError if a drawing should be expanded, as in zarr-python."""
    if expand is not None:
        msg = "'expand' is not yet implemented."
        raise NotImplementedError(msg)


def _copy(group: InnerGroup) -> tuple[Mapping[str, Any], str] | None:
    """Return the nodes that consolidated metadata describes, and the path of the group there."""
    snapshot = group.snapshot
    # Another thread may invalidate the snapshot now; its nodes as they were remain.
    copy = None if snapshot is None else snapshot.nodes
    if snapshot is None or copy is None:
        return None
    return copy, snapshot.relative(group.path) or ""


def _below(copy: Mapping[str, Any], relative: str) -> ConsolidatedMetadata:
    return nested(below(copy, relative))


def _filling(verb: str) -> Callable[..., Awaitable[AsyncArray]]:
    """Return the method that creates an array filled with one value."""

    async def create(self: AsyncGroup, *, name: str, **kwargs: Any) -> AsyncArray:
        return await self._run(self.filled, verb, name, kwargs)

    create.__name__, create.__qualname__ = verb, f"AsyncGroup.{verb}"
    create.__doc__ = f"Create an array in the group, as the function ``{verb}`` does."
    return create


class AsyncGroup:
    """A group whose verbs are awaited.

    >>> import asyncio
    >>> async def names():
    ...     root = await AsyncGroup.from_store({})
    ...     await root.create_group("a")
    ...     return [name async for name in root.keys()]
    >>> asyncio.run(names())
    ['a']
    """

    store_path: StorePath

    def __init__(self, metadata: GroupMetadata, store_path: StorePath) -> None:
        """Initialise with metadata; the store is neither read nor written."""
        self.store_path = store_path
        self._metadata: GroupMetadata | None = metadata
        self._inner: InnerGroup | None = None
        # What the metadata was made of.
        self._seen: tuple[GroupLayout, Any] | None = None

    @classmethod
    def from_inner(cls, group: InnerGroup, store_path: StorePath | None = None) -> Self:
        """Return the group of the facade that holds a group of fastzarr."""
        found = cls.__new__(cls)
        if store_path is None:
            store_path = StorePath(outer_store(group.store), group.path)
        vars(found).update(store_path=store_path, _metadata=None, _inner=group, _seen=None)
        return found

    @property
    def inner(self) -> InnerGroup:
        """The group of fastzarr."""
        found = self._inner
        if found is None:
            place = self.store_path
            store, layout = inner_store(place.store), self.metadata.layout
            found = verbs.made(store, place.path, layout, read_only=place.read_only)
            copy = _copy(found)
            self._seen = found.layout, None if copy is None else copy[0]
            self._inner = found
        return found

    @property
    def metadata(self) -> GroupMetadata:
        """The metadata, with that of all nodes below if the group reads from a copy."""
        found = self._metadata
        if self._inner is None and found is not None:
            return found
        inner = self.inner
        copy = _copy(inner)
        seen = inner.layout, None if copy is None else copy[0]
        if found is None or self._seen is None or seen[1] is not self._seen[1]:
            later = None if copy is None else partial(_below, *copy)
            found = self._metadata = GroupMetadata.from_layout(inner.layout, later)
        elif seen[0] is not self._seen[0]:
            # Attributes have changed; whoever holds the metadata sees them.
            found.attributes.clear()
            found.attributes.update(inner.layout.attributes)
        self._seen = seen
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without metadata that can be made again."""
        metadata = None if self._inner is not None else self._metadata
        return {"store_path": self.store_path, "_inner": self._inner, "_metadata": metadata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the group."""
        vars(self).update(state, _seen=None)

    def __eq__(self, other: object) -> bool:
        """Whether both are handles of the same place with the same metadata."""
        if not isinstance(other, AsyncGroup):
            return NotImplemented
        return self.store_path == other.store_path and self.metadata == other.metadata

    def __hash__(self) -> int:
        """Return a hash of the path."""
        return hash((AsyncGroup, self.path))

    def __repr__(self) -> str:
        """Return the class and the place."""
        return f"<AsyncGroup {self.store_path}>"

    def dressed(self, node: InnerNode) -> Node:
        """Return a node of fastzarr below this group as one of the facade, in the same store."""
        return dressed(self.store_path.store, node)

    async def _run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await awaited(self.store_path.store, call, *args, **kwargs)

    # What opens and creates

    @classmethod
    async def from_store(
        cls,
        store: Any,
        *,
        attributes: dict[str, Any] | None = None,
        overwrite: bool = False,
        zarr_format: ZarrFormat = 3,
    ) -> AsyncGroup:
        """Create a group; raise ``ContainsGroupError`` if there is one already."""
        place = await make_store_path(store)
        words: dict[str, Any] = {"attributes": attributes, "overwrite": overwrite}
        return await awaited(place.store, new_group, place, zarr_format=zarr_format, **words)

    @classmethod
    async def open(
        cls,
        store: Any,
        zarr_format: ZarrFormat | None = 3,
        use_consolidated: bool | str | None = None,
    ) -> AsyncGroup:
        """Open a group; raise FileNotFoundError if there is none."""
        place = await make_store_path(store)
        return await awaited(place.store, old_group, place, zarr_format, use_consolidated)

    @classmethod
    def from_dict(cls, store_path: StorePath, data: dict[str, Any]) -> AsyncGroup:
        """Return the group of a document; the store is neither read nor written."""
        if data.get("node_type") == "array":
            msg = f"An array exists in store {store_path.store!r} at path {store_path.path!r}."
            raise ContainsArrayError(msg)
        metadata = GroupMetadata.from_dict(data, path=store_path.path)
        return cls(metadata=metadata, store_path=store_path)

    async def _save_metadata(self, ensure_parents: bool = False) -> None:
        del ensure_parents  # they always exist
        await self._run(verbs.save_layout, self.inner, self.metadata.layout)

    # What describes the group

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        return self.store_path.path

    @property
    def name(self) -> str:
        """The path with a leading slash."""
        return "/" + self.store_path.path

    @property
    def basename(self) -> str:
        """The last segment of the path."""
        return self.store_path.path.rpartition("/")[2]

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes."""
        return self.metadata.attributes

    @property
    def store(self) -> Store:
        """The store."""
        return self.store_path.store

    @property
    def read_only(self) -> bool:
        """Whether the group cannot be changed through this handle."""
        return self.store_path.read_only

    @property
    def synchronizer(self) -> None:
        """None, as in zarr-python 3."""
        return

    @property
    def info(self) -> GroupInfo:
        """A description of the group, which counts its members if it has consolidated metadata."""
        copy = _copy(self.inner)
        return self._info(None if copy is None else below(*copy).values())

    async def info_complete(self) -> GroupInfo:
        """Return a description that counts the nodes below the group."""
        return await self._run(self.counted)

    def counted(self) -> GroupInfo:
        """Return a description that counts the nodes below the group, in a plain call."""
        return self._info([node for _, node in self.inner.walk()])

    def _info(self, nodes: Collection[Any] | None) -> GroupInfo:
        counts: dict[str, Any] = {}
        if nodes is not None:
            groups = sum(isinstance(node, GroupLayout) for node in nodes)
            counts = {"_count_members": len(nodes), "_count_groups": groups}
            counts["_count_arrays"] = len(nodes) - groups
        return GroupInfo(
            _name=self.path,
            _read_only=self.read_only,
            _store_type=type(self.store).__name__,
            _zarr_format=self.metadata.zarr_format,
            **counts,
        )

    async def tree(
        self,
        expand: bool | None = None,
        level: int | None = None,
        *,
        max_nodes: int = 500,
        plain: bool = False,
    ) -> TreeRepr:
        """Return a drawing of the hierarchy below the group, ``level`` groups deep."""
        check_not_expanded(expand)
        return await self._run(group_tree, self.inner, level, max_nodes=max_nodes, plain=plain)

    # Members

    async def getitem(self, key: str) -> Node:
        """Return the node at a path below the group; raise KeyError if it is missing."""
        return self.dressed(await self._run(self.inner.__getitem__, key))

    @property
    def is_replaced(self) -> bool:
        """Whether ``getitem`` is that of a subclass, or of a program that has put it there.

        Then verbs that return members call it for each, and do not go past it.
        """
        return type(self).getitem is not _GETITEM

    def looked_up(self, depth: int | None) -> list[tuple[str, Node]]:
        """Return the members that ``getitem`` returns, ``depth`` groups deep, in a plain call."""
        found: list[tuple[str, Node]] = []
        for name in self.inner:
            node = sync(self.getitem(name))
            found.append((name, node))
            if isinstance(node, AsyncGroup) and depth != 0:
                below = node.looked_up(None if depth is None else depth - 1)
                found += [(f"{name}/{path}", each) for path, each in below]
        return found

    async def setitem(self, key: str, value: Any) -> None:
        """Store an array-like value under a name, in the place of a node that has it."""
        await self._run(self.set, key, value)

    def set(self, key: str, value: Any) -> None:
        """Store an array-like value under a name, in a plain call."""
        number = self.metadata.zarr_format
        saved(self.store_path / key, value, {"zarr_format": number, "overwrite": True})

    async def delitem(self, key: str) -> None:
        """Delete the node of a name, and all nodes below it."""
        await self._run(self.delete, key)

    def delete(self, key: str) -> None:
        """Delete the node of a name, and all nodes below it, in a plain call."""
        self._inner = verbs.delete(self.inner, key)

    async def contains(self, member: str) -> bool:
        """Whether there is a node at a path below the group."""
        return await self._run(self.inner.__contains__, member)

    async def get(self, key: str, default: Any = None) -> Any:
        """Return the node at a path below the group, or ``default`` if it is missing."""
        found = await self._run(self.inner.get, key)
        return default if found is None else self.dressed(found)

    async def get_array(self, path: str) -> AsyncArray:
        """Return the array at a path below the group."""
        found = await self._run(verbs.find_array, self.inner, path, self.store)
        return cast("AsyncArray", self.dressed(found))

    async def get_group(self, path: str) -> AsyncGroup:
        """Return the group at a path below the group."""
        found = await self._run(verbs.find_group, self.inner, path, self.store)
        return cast("AsyncGroup", self.dressed(found))

    async def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below the group, ``max_depth`` groups deep."""
        return await self._run(verbs.count, self.inner, max_depth)

    async def members(
        self, max_depth: int | None = 0, *, use_consolidated_for_children: bool = True
    ) -> AsyncIterator[tuple[str, Node]]:
        """Iterate over paths and nodes below the group, ``max_depth`` groups deep."""
        words = {"use_consolidated_for_children": use_consolidated_for_children}
        for path, node in await self._run(verbs.members, self.inner, max_depth, **words):
            yield path, self.dressed(node)

    async def keys(self) -> AsyncIterator[str]:
        """Iterate over the names of the members."""
        for name in await self._run(list, self.inner):
            yield name

    async def groups(self) -> AsyncIterator[tuple[str, AsyncGroup]]:
        """Iterate over names and groups."""
        async for name, node in self.members():
            if isinstance(node, AsyncGroup):
                yield name, node

    async def group_keys(self) -> AsyncIterator[str]:
        """Iterate over the names of the groups."""
        for name in await self._run(verbs.names, self.inner, GroupLayout):
            yield name

    async def group_values(self) -> AsyncIterator[AsyncGroup]:
        """Iterate over the groups."""
        async for _, group in self.groups():
            yield group

    async def arrays(self) -> AsyncIterator[tuple[str, AsyncArray]]:
        """Iterate over names and arrays."""
        async for name, node in self.members():
            if isinstance(node, AsyncArray):
                yield name, node

    async def array_keys(self) -> AsyncIterator[str]:
        """Iterate over the names of the arrays."""
        for name in await self._run(verbs.names, self.inner, Layout):
            yield name

    async def array_values(self) -> AsyncIterator[AsyncArray]:
        """Iterate over the arrays."""
        async for _, array in self.arrays():
            yield array

    # Attributes

    async def update_attributes(self, new_attributes: dict[str, Any]) -> AsyncGroup:
        """Set several attributes in one write, and return the group."""
        await self._run(self.inner.update_attributes, new_attributes)
        return self

    # New members

    async def create_group(
        self, name: str, *, overwrite: bool = False, attributes: dict[str, Any] | None = None
    ) -> AsyncGroup:
        """Create a group."""
        return await self._run(self.new_group, name, overwrite=overwrite, attributes=attributes)

    def new_group(self, name: str, **words: Any) -> AsyncGroup:
        """Create a group, in a plain call."""
        return new_group(self.store_path / name, zarr_format=self.metadata.zarr_format, **words)

    async def require_group(self, name: str, overwrite: bool = False) -> AsyncGroup:
        """Return the group of a name, and create it if it is missing."""
        return await self._run(self.required_group, name, overwrite=overwrite)

    def required_group(self, name: str, *, overwrite: bool = False) -> AsyncGroup:
        """Return the group of a name, and create it if it is missing, in a plain call."""
        found = verbs.require_group(self.inner, name, overwrite=overwrite)
        return cast("AsyncGroup", self.dressed(found))

    async def require_groups(self, *names: str) -> tuple[AsyncGroup, ...]:
        """Return the groups of several names, and create those that are missing."""
        return tuple([await self.require_group(name) for name in names])

    @signed
    async def create_array(self, name: str, **words: Any) -> AsyncArray:
        """Create an array, as the function ``create_array`` does, in the format of the group."""
        return await self._run(self.new_array, name, **words)

    def new_array(self, name: str, **words: Any) -> AsyncArray:
        """Create an array, in a plain call."""
        words["zarr_format"] = self.metadata.zarr_format
        words.setdefault("compressor", "auto")
        place = self.store_path / name
        return AsyncArray.from_inner(made_array(place, words), place)

    async def require_array(
        self,
        name: str,
        *,
        shape: Any,
        dtype: Any = None,
        exact: bool = False,
        config: Any = None,
        **kwargs: Any,
    ) -> AsyncArray:
        """Return the array of a name if it matches, and create it if it is missing."""
        words = {"shape": shape, "dtype": dtype, "exact": exact, "config": config}
        return await self._run(self.required_array, name, **words, **kwargs)

    def required_array(
        self,
        name: str,
        *,
        shape: Any,
        dtype: Any = None,
        exact: bool = False,
        config: Any = None,
        **kwargs: Any,
    ) -> AsyncArray:
        """Return the array of a name, and create it if it is missing, in a plain call."""
        settings = parse_array_config(config)
        found = self.inner.get(name)
        if found is None:
            native = "float64" if dtype is None else dtype
            return self.new_array(name, shape=shape, dtype=native, config=settings, **kwargs)
        array = verbs.check_array(found, shape=shape, dtype=dtype, exact=exact)
        return cast("AsyncArray", self.dressed(array)).with_config(settings)

    def filled(self, verb: str, name: str, words: dict[str, Any]) -> AsyncArray:
        """Create an array as ``zeros``, ``full_like`` or another of their kind, in a plain call."""
        given, own = words.pop("zarr_format", None), self.metadata.zarr_format
        if given not in (None, own):
            msg = f"Cannot create a zarr_format={given} array in a zarr_format={own} group."
            raise ValueError(msg)
        place = self.store_path / name
        found = filling(verb, words, own) | {"zarr_format": own}
        return AsyncArray.from_inner(created(place, found), place)

    empty, empty_like = _filling("empty"), _filling("empty_like")
    zeros, zeros_like = _filling("zeros"), _filling("zeros_like")
    ones, ones_like = _filling("ones"), _filling("ones_like")
    full, full_like = _filling("full"), _filling("full_like")

    async def create_hierarchy(
        self, nodes: dict[str, Any], *, overwrite: bool = False
    ) -> AsyncIterator[tuple[str, Node]]:
        """Create arrays and groups below this group from their metadata, and yield them."""
        for path, node in await self._run(self.new_hierarchy, nodes, overwrite=overwrite):
            yield path, node

    def new_hierarchy(
        self, nodes: dict[str, Any], *, overwrite: bool = False
    ) -> list[tuple[str, Node]]:
        """Create arrays and groups below this group from their metadata, in a plain call."""
        words: dict[str, Any] = {"overwrite": overwrite, "shown": self.store}
        made = hierarchy.create_below(self.inner, nodes, **words)
        start = len(self.path) + 1 if self.path else 0
        return [(node.path[start:], self.dressed(node)) for node in made]

    async def move(self, source: str, dest: str) -> None:
        """Move a node, and all nodes below it, to another path below this group."""
        await self._run(self.inner.move, source, dest)


_GETITEM = AsyncGroup.getitem
