"""Creation of many arrays and groups at once, from their metadata.

Rules of this file:

* All nodes are parsed and validated before the first is written. Parents are written first.
* Missing parent groups are created too. All nodes must have the same format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.errors import ContainsArrayError, MetadataValidationError, ReadOnlyError
from fastzarr.metadata.formats import from_dict
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes import documents
from fastzarr.nodes.building import (
    Parents,
    begin_draft,
    check_free,
    check_new_path,
    drafted,
    groups_above,
    publish_parents,
    remove,
    warn_of_reserved,
)
from fastzarr.nodes.foreign import check_replaceable
from fastzarr.nodes.held import site, unheld
from fastzarr.nodes.snapshot import changing
from fastzarr.stores.keys import normalise_path, parents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store


def build_hierarchy(
    store: Store,
    given: Mapping[str, Any],
    *,
    root: str = "",
    overwrite: bool = False,
    chunk_store: Store | None = None,
) -> list[tuple[str, Node]]:
    """Create nodes at paths below ``root``, and return their paths in the store with their layouts.

    Nodes that are replaced lose their chunks in ``chunk_store``, if that is another store.

    A node is a ``Layout`` or ``GroupLayout``, a metadata document of any format (in format 2 and
    N5, with a member ``attributes``), or an object whose ``to_dict()`` returns one. Raise
    ``ContainsArrayError`` or ``ContainsGroupError`` if a path is occupied and ``overwrite`` is
    False, or if it is below an array; ``MetadataError`` if a document is invalid.
    """
    if not hasattr(given, "items"):
        msg = f"nodes= must be a mapping of paths to metadata, not {type(given).__name__}"
        raise TypeError(msg)
    made = {
        documents.join(root, normalise_path(path)).rstrip("/"): as_layout(node, path)
        for path, node in given.items()
    }
    if store.read_only:
        msg = f"cannot create a hierarchy: {store} is read-only"
        raise ReadOnlyError(msg)
    numbers = sorted({str(node.format.number) for node in made.values()})
    if len(numbers) > 1:
        msg = f"all nodes must have the same format, but these have {' and '.join(numbers)}"
        raise MetadataValidationError(msg, "nodes")
    missing: list[str] = []
    for path, node in made.items():
        check_new_path(path)
        for parent in parents(path):
            if isinstance(made.get(parent), Layout):
                msg = f"the node {path!r} cannot be below {parent!r}, which is an array"
                raise ContainsArrayError(msg)
        where = unheld(store, path)
        absent = groups_above(where, node.format).missing
        missing += [parent for parent in absent if parent not in made and parent not in missing]
        if overwrite:
            check_replaceable(store, path, chunk_store, format=node.format)
        else:
            check_free(where)
        warn_of_reserved(path, node.format)
    ordered = sorted(made, key=lambda path: path.split("/") if path else [])
    _write(store, made, missing, chunk_store, overwrite=overwrite)
    return [(path, made[path]) for path in ordered]


def _write(
    store: Store,
    made: Mapping[str, Node],
    missing: list[str],
    chunk_store: Store | None,
    *,
    overwrite: bool,
) -> None:
    """Write each tree of new nodes as a whole, with missing groups above and inside it."""
    if not made:
        return
    above = GroupLayout(next(iter(made.values())).format)
    whole = sorted([*missing, *made], key=lambda path: path.split("/") if path else [])
    for top in [path for path in made if not any(_is_below(path, other) for other in made)]:
        below = [path for path in whole if path == top or _is_below(path, top)]
        parents = [path for path in missing if _is_below(top, path)]
        with site(store, top) as where:
            # What was read above the open tree is no longer certain.
            held = where.store is not store
            found = (
                groups_above(where, above.format)
                if held
                else Parents(above.format, parents, None, None)
            )
            draft = begin_draft(where, chunk_store)
            if draft is None:
                if overwrite:
                    remove(store, top, chunk_store)
                publish_parents(where, found.missing, above.format)
                for path in below:
                    with changing(store, path, above.format):
                        documents.save(store, path, made.get(path) or above)
                continue
            with drafted(draft, where, made[top], found, overwrite=overwrite):
                for path in below:
                    documents.save(
                        draft.store, path[len(top) :].strip("/"), made.get(path) or above
                    )


def _is_below(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(f"{other}/"))


def as_layout(node: Any, where: str = "") -> Node:
    """Return the layout of a node passed to ``build_hierarchy``; raise MetadataError if invalid."""
    if isinstance(node, Layout | GroupLayout):
        return node
    doc = node.to_dict() if hasattr(node, "to_dict") else node
    if not isinstance(doc, dict):
        msg = f"must be the metadata of an array or a group, not {node!r}"
        raise MetadataValidationError(msg, f"nodes[{where!r}]")
    return from_dict(doc, f"nodes[{where!r}]")
