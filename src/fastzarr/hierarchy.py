"""Create many arrays and groups at once, from their metadata.

Rules of this file:

* All nodes are understood and checked before the first is written, and written parents first.
* Groups that the paths imply come into being, in the one format that all nodes have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr import node as nodes
from fastzarr.build import check_free, check_new_path, remove, survey
from fastzarr.errors import ContainsArrayError, MetadataValidationError, ReadOnlyError
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.snapshot import note_change
from fastzarr.stores.keys import normalise_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.node import Node
    from fastzarr.stores import Store


def build_hierarchy(
    store: Store, given: Mapping[str, Any], *, root: str = "", overwrite: bool = False
) -> list[tuple[str, Node]]:
    """Create nodes by path below ``root``, and give the paths in the store with their metadata.

    A node is a ``Layout`` or ``GroupLayout``, a metadata document of either format (format 2's with
    its ``attributes`` among the members), or an object whose ``to_dict()`` gives one.
    """
    made = {
        nodes.join(root, normalise_path(path)).rstrip("/"): as_layout(node, path)
        for path, node in given.items()
    }
    if store.read_only:
        msg = f"cannot create a hierarchy: {store} was opened read-only"
        raise ReadOnlyError(msg)
    formats = {node.zarr_format for node in made.values()}
    if len(formats) > 1:
        msg = "all nodes must be of one format; these are of formats 2 and 3"
        raise MetadataValidationError(msg, "nodes")
    missing: list[str] = []
    for path, node in made.items():
        check_new_path(path)
        parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        for parent in ["", *parents] if path else []:
            if isinstance(made.get(parent), Layout):
                msg = f"the node {path!r} cannot be below {parent!r}, which is an array"
                raise ContainsArrayError(msg)
        _, absent = survey(store, path, node.zarr_format)
        missing += [parent for parent in absent if parent not in made and parent not in missing]
        if not overwrite:
            check_free(store, path)
    ordered = sorted(made, key=lambda path: path.split("/") if path else [])
    for path in ordered if overwrite else ():
        remove(store, path)
    for path in sorted([*missing, *ordered], key=lambda path: path.split("/") if path else []):
        nodes.save(store, path, made.get(path) or GroupLayout(next(iter(formats))))
        note_change(store, path)
    return [(path, made[path]) for path in ordered]


def as_layout(node: Any, where: str = "") -> Node:
    """Give the layout that stands for a node of ``build_hierarchy``."""
    if isinstance(node, Layout | GroupLayout):
        return node
    doc = node.to_dict() if hasattr(node, "to_dict") else node
    if not isinstance(doc, dict):
        msg = f"must be metadata of an array or a group, not {node!r}"
        raise MetadataValidationError(msg, f"nodes[{where!r}]")
    from fastzarr.metadata import v2, v3

    place = f"nodes[{where!r}]"
    if doc.get("zarr_format") != 2:
        return v3.parse(doc, place)
    doc = {word: value for word, value in doc.items() if word != "node_type"}
    attributes = doc.pop("attributes", {})
    if "shape" in doc:
        return v2.parse_array(doc, attributes, place)
    doc.pop("consolidated_metadata", None)
    return v2.parse_group(doc, attributes, place)
