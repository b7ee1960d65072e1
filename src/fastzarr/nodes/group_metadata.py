"""The metadata of groups under the names of zarr-python 3, for ``Group.metadata``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from fastzarr.metadata.layout import Layout

if TYPE_CHECKING:
    from fastzarr.nodes.documents import Node


class ConsolidatedMetadata(Mapping[str, "Layout | GroupMetadata"]):
    """The consolidated metadata of a group: a mapping of paths below it to the metadata of nodes.

    The metadata of a node is parsed on first access.

    >>> import fastzarr
    >>> root = fastzarr.create_group({})
    >>> _ = root.create_array("a/x", shape=3, dtype="i1")
    >>> copy = fastzarr.consolidate_metadata(root.store).metadata.consolidated_metadata
    >>> list(copy), list(copy.metadata), copy["a/x"].shape
    (['a', 'a/x'], ['a'], (3,))
    """

    kind: ClassVar = "inline"
    must_understand: ClassVar = False

    def __init__(self, nodes: Mapping[str, Node], path: str = "") -> None:
        """Initialise with nodes by path; those below ``path`` belong to the group."""
        self._nodes, self._prefix = nodes, f"{path}/" if path else ""

    def __getitem__(self, path: str) -> Layout | GroupMetadata:
        """Return the metadata of the node at a path; raise KeyError if it is missing."""
        node = self._nodes[self._prefix + path]
        if isinstance(node, Layout):
            return node
        below = ConsolidatedMetadata(self._nodes, self._prefix + path)
        return GroupMetadata(dict(node.attributes), node.zarr_format, below)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the sorted paths."""
        start = len(self._prefix)
        return (path[start:] for path in sorted(self._nodes) if self._has(path))

    def __len__(self) -> int:
        """Return the number of nodes."""
        return sum(map(self._has, self._nodes))

    def __repr__(self) -> str:
        """Return a list of the paths."""
        return f"<consolidated metadata of {', '.join(map(repr, self)) or 'no nodes'}>"

    def _has(self, path: str) -> bool:
        return path.startswith(self._prefix) and len(path) > len(self._prefix)

    @property
    def metadata(self) -> dict[str, Layout | GroupMetadata]:
        """The metadata of the members of the group; that of a group contains what is below it."""
        return {name: self[name] for name in self if "/" not in name}

    @property
    def flattened_metadata(self) -> dict[str, Layout | GroupMetadata]:
        """The metadata of all nodes below the group, by path."""
        return dict(self)


@dataclass(frozen=True)
class GroupMetadata:
    """The metadata of a group."""

    attributes: dict[str, Any] = field(default_factory=dict)
    zarr_format: int | str = 3
    consolidated_metadata: ConsolidatedMetadata | None = None
    node_type: str = field(default="group", init=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the members of the group's document, without consolidated metadata."""
        return {
            "zarr_format": self.zarr_format,
            "node_type": self.node_type,
            "attributes": self.attributes,
        }
