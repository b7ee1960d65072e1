"""Documents that were understood before: the same bytes mean the same node.

Rules of this file:

* Bytes are read from the store at every open; remembered is only what they mean. So a document that
  has changed is always seen, and one that is refused is refused each time, with its own place.
* What is given belongs to the caller: attributes and other members of a document are new each time.
  All else in a layout never changes, so it is shared, the compiled program included.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from fastzarr.metadata import document, v3
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.memory import Memory, lasts

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = Layout | GroupLayout

nodes = Memory()


def parse(data: bytes, where: str) -> Node:
    """Give what the bytes of a ``zarr.json`` say; ``where``, its key, begins the place of errors.

    >>> parse(b'{"zarr_format": 3, "node_type": "group"}', "zarr.json").attributes
    {}
    """
    return _recall((data,), lambda: v3.parse(document.loads(data, where), where))


def parse_v2(
    data: bytes, attributes: bytes | None, make: Callable[..., Node], where: str, beside: str
) -> Node:
    """Give what a ``.zarray`` or ``.zgroup`` and its ``.zattrs`` say; ``make`` reads the former.

    ``where`` and ``beside`` are the keys of the two documents.
    """

    def read() -> Node:
        found = document.loads(data, where)
        return make(found, {} if attributes is None else document.loads(attributes, beside), where)

    return _recall((data, attributes, make), read)


def _recall(said: tuple[Any, ...], make: Callable[[], Node]) -> Node:
    """Give the node that was made of the same before, or make it."""
    key = nodes.key(*said)
    found = nodes.get(key)
    if found is not None:
        same, loose = found
        attributes, extra = ({}, {}) if loose is None else marshal.loads(loose)  # noqa: S302
        read: Node = same.with_members(attributes=attributes, extra=extra)
        return read
    made = make()
    if lasts(made) if isinstance(made, Layout) else made.consolidated is None:
        try:
            loose = marshal.dumps((made.attributes, made.extra))
        except ValueError:  # nested deeper than it goes
            return made
        same = made.with_members(attributes={}, extra={})
        nodes.put(key, (same, loose if made.attributes or made.extra else None))
    return made
