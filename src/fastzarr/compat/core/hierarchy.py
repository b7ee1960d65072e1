"""Arrays and groups created many at once from their metadata, in plain calls.

Rules of this file:

* A function takes a store of fastzarr and metadata of the facade, by path, and returns nodes of
  fastzarr.
* Everything is made and checked before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.compat.core.attributes_document import with_attributes
from fastzarr.compat.core.group_metadata import GroupMetadata, ImplicitGroupMarker
from fastzarr.compat.core.unpickling import may_unpickle
from fastzarr.compat.errors import ContainsArrayError, ContainsGroupError
from fastzarr.metadata.formats import parse_format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.trust import trusted
from fastzarr.nodes import documents
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import as_elsewhere
from fastzarr.nodes.group import Group
from fastzarr.nodes.hierarchy import build_hierarchy
from fastzarr.nodes.snapshot import changing
from fastzarr.stores.keys import normalise_path, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastzarr.stores.base import Store

    Node = Array | Group


def _handle(store: Store, path: str, layout: Layout | GroupLayout) -> Node:
    if isinstance(layout, GroupLayout):
        return Group(store, path, layout=layout, allow_pickle=may_unpickle)
    return Array(store, path, layout=trusted(layout, allow=may_unpickle))


def _new(store: Store, path: str, layout: Layout | GroupLayout) -> Node:
    return with_attributes(_handle(store, path, layout))


def _get_roots(data: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that are above all others, or the shortest ones."""
    paths = list(data)
    if "" in paths:
        return ("",)
    least = min(path.count("/") for path in paths)
    return tuple(path for path in paths if path.count("/") == least)


def _ensure_consistent_zarr_format(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the nodes; raise ValueError if they have different formats."""
    found: dict[int, list[str]] = {2: [], 3: []}
    for path, node in data.items():
        found[node.zarr_format].append(path)
    if found[2] and found[3]:
        msg = (
            "Got data with both Zarr v2 and Zarr v3 nodes, which is invalid. "
            f"The following keys map to Zarr v2 nodes: {found[2]}. "
            f"The following keys map to Zarr v3 nodes: {found[3]}."
            "Ensure that all nodes have the same Zarr format."
        )
        raise ValueError(msg)
    return data


def _parse_hierarchy_dict(*, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes by normalised path, with a marker for each group above that is missing."""
    given = {normalise_path(path): node for path, node in data.items()}
    if len(given) < len(data):
        msg = f"several of the paths {list(data)} are the same path"
        raise ValueError(msg)
    _ensure_consistent_zarr_format(given)
    found = dict(given)
    for path, node in given.items():
        for above in parents(path):
            marker = ImplicitGroupMarker(zarr_format=node.zarr_format)
            if not isinstance(found.setdefault(above, marker), GroupMetadata):
                msg = (
                    f"The node at {above} contains other nodes, but it is not a Zarr group. "
                    "This is invalid. Only Zarr groups can contain other nodes."
                )
                raise ValueError(msg)  # noqa: TRY004  (the error of zarr-python)
    return found


def create_all(
    store: Store, nodes: Mapping[str, Any], *, overwrite: bool = False, shown: Any = None
) -> list[Node]:
    """Create nodes, and the groups above them that are missing.

    ``shown`` is the store that errors name.
    """
    given = _parse_hierarchy_dict(data=nodes)
    if not given:
        return []
    format = parse_format(next(iter(given.values())).zarr_format)
    there = documents.load_many(store, list(given), format)
    layouts: dict[str, Layout | GroupLayout] = {}
    for path, node in given.items():
        found, implied = there.get(path), isinstance(node, ImplicitGroupMarker)
        if isinstance(found, GroupLayout) and implied:
            continue
        if found is not None and (implied or not overwrite):
            kind = ContainsGroupError if isinstance(found, GroupLayout) else ContainsArrayError
            raise kind(shown or store, path)
        layouts[path] = node.layout
    try:
        with as_elsewhere():
            made = build_hierarchy(store, layouts, overwrite=overwrite)
    except ContainsGroupError:
        # There may be nodes below a path at which a group is missing.
        if overwrite or documents.load_many(store, list(layouts), format):
            raise
        made = sorted(layouts.items())
        for path, layout in made:
            with changing(store, path, format):
                if not documents.create(store, path, layout):
                    raise
    return [_new(store, path, layout) for path, layout in made]


def create_below(
    group: Group, nodes: Mapping[str, Any], *, overwrite: bool = False, shown: Any = None
) -> list[Node]:
    """Create nodes below a group, which must have its format."""
    number = group.zarr_format
    for path, node in nodes.items():
        if node.zarr_format != number:
            msg = (
                "The zarr_format of the nodes must be the same as the parent group. The node at "
                f"{path} has zarr_format {node.zarr_format}, but the parent group has zarr_format "
                f"{number}."
            )
            raise ValueError(msg)
        if not normalise_path(path):
            msg = (
                f"The nodes have one at {path!r}, which is the group {group.name!r} itself. It is "
                "an error to use this method to create a root node. Remove it from the nodes, or "
                "use create_rooted_hierarchy."
            )
            raise ValueError(msg)
    inside = {
        documents.join(group.path, normalise_path(path)): each for path, each in nodes.items()
    }
    return create_all(group.store, inside, overwrite=overwrite, shown=shown)


def create_as_given(store: Store, nodes: Mapping[str, Any]) -> list[Node]:
    """Create nodes whose paths nobody checks: groups above may be missing."""
    layouts = {normalise_path(path): node.layout for path, node in nodes.items()}
    for path, layout in layouts.items():
        with changing(store, path, layout.format):
            documents.save(store, path, layout)
    return [_new(store, path, layout) for path, layout in layouts.items()]


def root_of(nodes: Mapping[str, Any]) -> str:
    """Return the path of the one node that is above all others; raise ValueError if none is."""
    roots = _get_roots(nodes)
    if len(roots) == 1:
        return normalise_path(roots[0])
    msg = (
        f"The input does not specify a root node. A hierarchy with a root has one group above all "
        f"other nodes, or consists of one array; these have the paths {sorted(nodes)}."
    )
    raise ValueError(msg)


def find(store: Store, path: str, zarr_format: int) -> Node:
    """Return the node of a format at a path; raise FileNotFoundError if there is none."""
    if zarr_format not in (2, 3):
        msg = f"Unexpected zarr format: {zarr_format}"
        raise ValueError(msg)
    path = normalise_path(path)
    found = documents.load(store, path, parse_format(zarr_format))
    if found is None:
        raise FileNotFoundError(path)
    return _handle(store, path, found)
