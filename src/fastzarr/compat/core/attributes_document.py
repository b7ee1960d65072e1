"""The separate document of the attributes of a new node, which zarr-python always writes."""

from __future__ import annotations

from typing import TypeVar

from fastzarr.nodes.array import Array
from fastzarr.nodes.documents import join
from fastzarr.nodes.group import Group
from fastzarr.stores.keys import parents

NodeT = TypeVar("NodeT", bound=Array | Group)


def with_attributes(node: NodeT) -> NodeT:
    """Return a new node, whose document of attributes exists.

    The engine leaves it out if there are no attributes. Programs look for the file, as they know
    it from zarr-python. Attributes that another writer has set since are kept.
    """
    name = node.layout.format.separate_attributes
    if name is None:
        return node
    paths = [] if node.layout.attributes else [node.path]
    # Groups above that were missing. In other stores it takes a request to know.
    if node.store.concurrency == 1:
        paths += [path for path in parents(node.path) if not node.store.exists(join(path, name))]
    for path in paths:
        node.store.change(join(path, name), lambda now: b"{}" if now is None else now)
    return node
