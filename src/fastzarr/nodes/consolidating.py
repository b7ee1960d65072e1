"""Consolidated metadata is written: a copy of the metadata of all nodes below a group.

Rules of this file:

* A copy is repeated if a node has changed meanwhile: the writer of that change has found no copy
  that it could have deleted.
* After a change of attributes, a small copy in a store that is fast is made again. Another one is
  left deleted, with a warning: reading all documents would take longer than the change.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fastzarr.errors import GroupNotFoundError, NodeNotFoundError, ZarrUserWarning, caller_level
from fastzarr.metadata import json
from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes import documents, listing

if TYPE_CHECKING:
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.snapshot import Ended
    from fastzarr.stores import Store

# The most nodes of a copy that is made again after a change of attributes.
_SMALL = 100


def write_copy(store: Store, path: str, format: Format, name: str | None = None) -> None:
    """Write the consolidated metadata of a group.

    ``name`` is that of a separate document; None is the default name of the format. Raise
    ``GroupNotFoundError`` if the group no longer exists.
    """
    separate = format.separate_consolidated
    found = _nodes(store, path, format)
    while True:
        if separate is not None:
            doc, name = format.write_consolidated(found), name or separate
            store.set(documents.join(path, name), json.dumps(doc, name))
        else:
            documents.update(store, path, partial(_with_copy, found), format=format)
        now = _nodes(store, path, format)
        if now == found:
            return
        found = now


def write_again(store: Store, ended: list[Ended]) -> None:
    """Write the copies that a change of attributes has ended, or warn that they are deleted."""
    for group, format, nodes in ended:
        if store.suspension.on:
            return  # in a transaction, which should not depend on all these documents
        if store.draft is not None and nodes <= _SMALL:
            # A group that another writer has deleted since needs no copy.
            with suppress(NodeNotFoundError):
                write_copy(store, group, format)
            continue
        warnings.warn(
            f"the consolidated metadata of the group {'/' + group!r} in {store} does not describe "
            "this change, and has been deleted; call consolidate_metadata() when all changes are "
            "made",
            ZarrUserWarning,
            stacklevel=caller_level(),
        )


def _nodes(store: Store, path: str, format: Format) -> dict[str, Node]:
    """Return the nodes that consolidated metadata of a group describes, as they are now.

    A separate document describes the group itself, too, at the path ``""``.
    """
    found: dict[str, Node] = {}
    if format.separate_consolidated is not None:
        own = documents.load(store, path, format)
        if not isinstance(own, GroupLayout):
            msg = f"the group {'/' + path!r} no longer exists in {store}"
            raise GroupNotFoundError(msg)
        found[""] = own
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for name, node in listing.children(
            store, documents.join(path, above) if above else path, format
        ):
            below = documents.join(above, name)
            found[below] = node
            if isinstance(node, GroupLayout):
                waiting.append(below)
    return found


def _with_copy(below: dict[str, Node], latest: Node) -> Node:
    return replace(latest, consolidated=below) if isinstance(latest, GroupLayout) else latest
