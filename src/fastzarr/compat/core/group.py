"""Groups under zarr-python's names, and the functions that create many nodes at once.

Rules of this file:

* A ``Group`` holds an ``AsyncGroup``. It calls the engine directly, without an event loop.
* The functions are awaited or are asynchronous iterators; ``sync_group.py`` has those that block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from fastzarr.compat.core import group_verbs as verbs
from fastzarr.compat.core import hierarchy
from fastzarr.compat.core._tree import TreeRepr, group_tree
from fastzarr.compat.core.array import Array, AsyncArray
from fastzarr.compat.core.async_group import (
    AsyncGroup,
    check_not_expanded,
    dressed,
    new_group,
    old_group,
    place_of,
)
from fastzarr.compat.core.attributes import Attributes
from fastzarr.compat.core.awaiting import awaited
from fastzarr.compat.core.creating import signed
from fastzarr.compat.core.group_metadata import (
    GROUP_METADATA_KEYS,
    ConsolidatedMetadata,
    GroupMetadata,
    ImplicitGroupMarker,
    _build_metadata_v2,
    _build_metadata_v3,
    parse_attributes,
    parse_node_type,
    parse_zarr_format,
)
from fastzarr.compat.core.hierarchy import _get_roots, _parse_hierarchy_dict
from fastzarr.compat.core.sync import SyncMixin
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes.array import Array as InnerArray
from fastzarr.nodes.group import Group as InnerGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from fastzarr.compat.abc.store import Store
    from fastzarr.compat.core._info import GroupInfo
    from fastzarr.compat.storage._common import StorePath

__all__ = [
    "GROUP_METADATA_KEYS",
    "AsyncGroup",
    "ConsolidatedMetadata",
    "Group",
    "GroupMetadata",
    "ImplicitGroupMarker",
    "_build_metadata_v2",
    "_build_metadata_v3",
    "_get_roots",
    "_parse_hierarchy_dict",
    "create_hierarchy",
    "create_nodes",
    "create_rooted_hierarchy",
    "get_node",
    "parse_attributes",
    "parse_node_type",
    "parse_zarr_format",
]


def _parse_async_node(node: Any) -> Any:
    """Return the array or group whose verbs block."""
    if isinstance(node, AsyncArray):
        return Array(node)
    if isinstance(node, AsyncGroup):
        return Group(node)
    msg = f"Unknown node type, got {type(node)}"
    raise TypeError(msg)


def _filling(verb: str) -> Callable[..., Array]:
    """Return the method that creates an array filled with one value."""

    def create(self: Group, *, name: str, **kwargs: Any) -> Array:
        return Array(self.async_group.filled(verb, name, kwargs))

    create.__name__, create.__qualname__ = verb, f"Group.{verb}"
    create.__doc__ = f"Create an array in the group, as the function ``{verb}`` does."
    return create


class Group(SyncMixin):
    """A group of arrays and groups.

    >>> import fastzarr.compat as zarr
    >>> root = zarr.create_group({})
    >>> root.create_array("a/x", shape=3, dtype="i4").path
    'a/x'
    >>> list(root), root["a/x"].shape
    (['a'], (3,))
    """

    def __init__(self, _async_group: AsyncGroup) -> None:
        """Initialise with the group whose verbs are awaited."""
        self._async_group = _async_group

    @classmethod
    def from_store(
        cls,
        store: Any,
        *,
        attributes: dict[str, Any] | None = None,
        zarr_format: Any = 3,
        overwrite: bool = False,
    ) -> Self:
        """Create a group; raise ``ContainsGroupError`` if there is one already."""
        words: dict[str, Any] = {"attributes": attributes, "overwrite": overwrite}
        return cls(new_group(place_of(store), zarr_format=zarr_format, **words))

    @classmethod
    def open(cls, store: Any, zarr_format: Any = 3) -> Self:
        """Open a group; raise FileNotFoundError if there is none."""
        return cls(old_group(place_of(store), zarr_format))

    # What describes the group

    @property
    def async_group(self) -> AsyncGroup:
        """The group whose verbs are awaited."""
        return self._async_group

    @property
    def inner(self) -> InnerGroup:
        """The group of fastzarr."""
        return self._async_group.inner

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the group."""
        return self._async_group.store_path

    @property
    def metadata(self) -> GroupMetadata:
        """The metadata."""
        return self._async_group.metadata

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        return self._async_group.path

    @property
    def name(self) -> str:
        """The path with a leading slash."""
        return self._async_group.name

    @property
    def basename(self) -> str:
        """The last segment of the path."""
        return self._async_group.basename

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mapping whose changes are written at once."""
        return Attributes(self)

    @property
    def info(self) -> GroupInfo:
        """A description of the group, which counts its members if it has consolidated metadata."""
        return self._async_group.info

    def info_complete(self) -> GroupInfo:
        """Return a description that counts the nodes below the group."""
        return self._async_group.counted()

    @property
    def store(self) -> Store:
        """The store."""
        return self._async_group.store

    @property
    def read_only(self) -> bool:
        """Whether the group cannot be changed through this handle."""
        return self._async_group.read_only

    @property
    def synchronizer(self) -> None:
        """None, as in zarr-python 3."""
        return

    def tree(
        self,
        expand: bool | None = None,
        level: int | None = None,
        *,
        max_nodes: int = 500,
        plain: bool = False,
    ) -> TreeRepr:
        """Return a drawing of the hierarchy below the group, ``level`` groups deep."""
        check_not_expanded(expand)
        return group_tree(self.inner, level, max_nodes=max_nodes, plain=plain)

    def __eq__(self, other: object) -> bool:
        """Whether both are handles of the same place with the same metadata."""
        if not isinstance(other, Group):
            return NotImplemented
        return self._async_group == other._async_group

    def __hash__(self) -> int:
        """Return a hash of the path."""
        return hash((Group, self.path))

    def __repr__(self) -> str:
        """Return the class and the place."""
        return f"<Group {self.store_path}>"

    # Members

    def _shown(self, node: InnerArray | InnerGroup) -> Any:
        made = self._async_group.dressed(node)
        return Array(made) if isinstance(made, AsyncArray) else Group(made)

    def __getitem__(self, path: str) -> Any:
        """Return the node at a path below the group; raise KeyError if it is missing."""
        if self._async_group.is_replaced:
            return _parse_async_node(self._sync(self._async_group.getitem(path)))
        return self._shown(self.inner[path])

    def get(self, path: str, default: Any = None) -> Any:
        """Return the node at a path below the group, or ``default`` if it is missing."""
        if self._async_group.is_replaced:
            try:
                return self[path]
            except KeyError:
                return default
        found = self.inner.get(path)
        return default if found is None else self._shown(found)

    def get_array(self, path: str) -> Array:
        """Return the array at a path below the group."""
        found: Array = self._shown(verbs.find_array(self.inner, path, self.store))
        return found

    def get_group(self, path: str) -> Group:
        """Return the group at a path below the group."""
        found: Group = self._shown(verbs.find_group(self.inner, path, self.store))
        return found

    def __setitem__(self, key: str, value: Any) -> None:
        """Store an array-like value under a name, in the place of a node that has it."""
        self._async_group.set(key, value)

    def __delitem__(self, key: str) -> None:
        """Delete the node of a name, and all nodes below it."""
        self._async_group.delete(key)

    def __contains__(self, member: object) -> bool:
        """Whether there is a node at a path below the group."""
        return member in self.inner

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the members."""
        return iter(self.inner)

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.inner)

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below the group, ``max_depth`` groups deep; None is all."""
        return verbs.count(self.inner, max_depth)

    def members(
        self, max_depth: int | None = 0, *, use_consolidated_for_children: bool = True
    ) -> tuple[tuple[str, Any], ...]:
        """Return paths and nodes below the group, ``max_depth`` groups deep; None is all."""
        words = {"use_consolidated_for_children": use_consolidated_for_children}
        if self._async_group.is_replaced and self.inner.snapshot is None:
            looked_up = self._async_group.looked_up(max_depth)
            return tuple((path, _parse_async_node(node)) for path, node in looked_up)
        found = verbs.members(self.inner, max_depth, **words)
        return tuple((path, self._shown(node)) for path, node in found)

    def keys(self) -> Iterator[str]:
        """Iterate over the names of the members."""
        yield from self.inner

    def groups(self) -> Iterator[tuple[str, Group]]:
        """Iterate over names and groups."""
        for name, node in verbs.members(self.inner):
            if isinstance(node, InnerGroup):
                yield name, self._shown(node)

    def group_keys(self) -> Iterator[str]:
        """Iterate over the names of the groups."""
        yield from verbs.names(self.inner, GroupLayout)

    def group_values(self) -> Iterator[Group]:
        """Iterate over the groups."""
        return (group for _, group in self.groups())

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays."""
        for name, node in verbs.members(self.inner):
            if isinstance(node, InnerArray):
                yield name, self._shown(node)

    def array_keys(self) -> Iterator[str]:
        """Iterate over the names of the arrays."""
        yield from verbs.names(self.inner, Layout)

    def array_values(self) -> Iterator[Array]:
        """Iterate over the arrays."""
        return (array for _, array in self.arrays())

    # Attributes

    def update_attributes(self, new_attributes: dict[str, Any]) -> Self:
        """Set several attributes in one write, and return the group."""
        self.attrs.update(new_attributes)
        return self

    async def update_attributes_async(self, new_attributes: dict[str, Any]) -> Self:
        """Replace all attributes, and return the group."""
        await awaited(self.store, self.inner.attrs.put, new_attributes)
        return self

    # New members

    def create_group(self, name: str, **kwargs: Any) -> Group:
        """Create a group; the keywords are ``overwrite`` and ``attributes``."""
        return Group(self._async_group.new_group(name, **kwargs))

    def require_group(self, name: str, **kwargs: Any) -> Group:
        """Return the group of a name, and create it if it is missing."""
        return Group(self._async_group.required_group(name, **kwargs))

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Return the groups of several names, and create those that are missing."""
        return tuple(map(self.require_group, names))

    @signed
    def create_array(self, name: str, **words: Any) -> Array:
        """Create an array, as the function ``create_array`` does, in the format of the group."""
        return Array(self._async_group.new_array(name, **words))

    @signed
    def create(self, name: str, **words: Any) -> Array:
        """Create an array, as ``create_array`` does."""
        return self.create_array(name, **words)

    def require_array(self, name: str, *, shape: Any, config: Any = None, **kwargs: Any) -> Array:
        """Return the array of a name if it matches, and create it if it is missing."""
        return Array(self._async_group.required_array(name, shape=shape, config=config, **kwargs))

    empty, empty_like = _filling("empty"), _filling("empty_like")
    zeros, zeros_like = _filling("zeros"), _filling("zeros_like")
    ones, ones_like = _filling("ones"), _filling("ones_like")
    full, full_like = _filling("full"), _filling("full_like")

    def create_hierarchy(
        self, nodes: dict[str, Any], *, overwrite: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """Create arrays and groups below this group from their metadata, and yield them."""
        for path, node in self._async_group.new_hierarchy(nodes, overwrite=overwrite):
            yield path, _parse_async_node(node)

    def move(self, source: str, dest: str) -> None:
        """Move a node, and all nodes below it, to another path below this group."""
        self.inner.move(source, dest)


# Many nodes at once


def created_nodes(store: Store, nodes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Create nodes whose paths nobody checks, in a plain call."""
    made = hierarchy.create_as_given(inner_store(store), nodes)
    return [(node.path, dressed(store, node)) for node in made]


def created_hierarchy(
    store: Store, nodes: Mapping[str, Any], *, overwrite: bool = False
) -> list[tuple[str, Any]]:
    """Create nodes, and the groups above them that are missing, in a plain call."""
    made = hierarchy.create_all(inner_store(store), nodes, overwrite=overwrite, shown=store)
    return [(node.path, dressed(store, node)) for node in made]


def created_root(store: Store, nodes: Mapping[str, Any], *, overwrite: bool = False) -> Any:
    """Create nodes of which one is above all others, and return that one, in a plain call."""
    root = hierarchy.root_of(nodes)
    return dict(created_hierarchy(store, nodes, overwrite=overwrite))[root]


def found_node(store: Store, path: str, zarr_format: Any) -> Any:
    """Return the node of a format at a path, in a plain call."""
    return dressed(store, hierarchy.find(inner_store(store), path, zarr_format))


async def create_nodes(*, store: Store, nodes: dict[str, Any]) -> AsyncIterator[tuple[str, Any]]:
    """Create nodes from their metadata, by path, and yield them; groups above may be missing."""
    for item in await awaited(store, created_nodes, store, nodes):
        yield item


async def create_hierarchy(
    *, store: Store, nodes: dict[str, Any], overwrite: bool = False
) -> AsyncIterator[tuple[str, Any]]:
    """Create nodes from their metadata, by path, and the groups above them that are missing."""
    for item in await awaited(store, created_hierarchy, store, nodes, overwrite=overwrite):
        yield item


async def create_rooted_hierarchy(
    *, store: Store, nodes: dict[str, Any], overwrite: bool = False
) -> Any:
    """Create nodes of which one is above all others, and return that one."""
    return await awaited(store, created_root, store, nodes, overwrite=overwrite)


async def get_node(store: Store, path: str, zarr_format: Any) -> Any:
    """Return the array or group of a format at a path; raise FileNotFoundError if there is none."""
    return await awaited(store, found_node, store, path, zarr_format)
