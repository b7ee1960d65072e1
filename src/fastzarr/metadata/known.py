"""Parsed documents, cached by their bytes.

Rules of this file:

* Documents are read from the store at every open; only the result of parsing is cached. A changed
  document is therefore always noticed, and an invalid one raises an error every time, with the
  location of the document at hand.
* The caller owns the result: attributes and extra members are copied for each call. Everything else
  in a layout is immutable and shared, including the compiled program.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from fastzarr.metadata import json, v3
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.memory import Memory, lasts

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = Layout | GroupLayout

nodes = Memory()


def parse(data: bytes, where: str) -> Node:
    """Return the node of the bytes of a ``zarr.json``; ``where`` is its key, which errors name.

    Raise ``MetadataError`` if the document is invalid.

    >>> parse(b'{"zarr_format": 3, "node_type": "group"}', "zarr.json").attributes
    {}
    """
    return _recall((data,), lambda: v3.parse(json.loads(data, where), where))


def parse_v2(
    data: bytes, attributes: bytes | None, make: Callable[..., Node], where: str, beside: str
) -> Node:
    """Return the node of a ``.zarray`` or ``.zgroup`` and of its ``.zattrs``, if it has one.

    ``make`` is ``v2.parse_array`` or ``v2.parse_group``. ``where`` and ``beside`` are the keys of
    the two documents, which errors name. Raise ``MetadataError`` if one is invalid.
    """

    def read() -> Node:
        found = json.loads(data, where)
        return make(found, {} if attributes is None else json.loads(attributes, beside), where)

    return _recall((data, attributes, make), read)


def _recall(said: tuple[Any, ...], make: Callable[[], Node]) -> Node:
    """Return the cached node of the same documents, or parse and cache them."""
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
        except ValueError:  # nested too deeply for marshal
            return made
        same = made.with_members(attributes={}, extra={})
        nodes.put(key, (same, loose if made.attributes or made.extra else None))
    return made
