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
from typing import TYPE_CHECKING

from fastzarr.metadata import json
from fastzarr.metadata.cache import Cache, is_immutable
from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.metadata.format import Format

    Node = Layout | GroupLayout

nodes = Cache()


def parse(
    format: Format, found: Mapping[str, bytes], path: str, separator: str | None = None
) -> Node:
    """Return the node at a path, of the bytes of its documents by name.

    ``separator`` is the store's for chunk keys, which old documents of format 2 do not name.

    Raise ``MetadataError``, naming the key of the document, if one is invalid.

    >>> from fastzarr.metadata.v3 import FORMAT
    >>> data = b'{"zarr_format": 3, "node_type": "group"}'
    >>> parse(FORMAT, {"zarr.json": data}, "").attributes
    {}
    """
    key, known = nodes.find(format, separator, *found, *found.values())
    if known is not None:
        same, loose = known
        attributes, extra = ({}, {}) if loose is None else marshal.loads(loose)  # noqa: S302
        read: Node = same.with_members(attributes=attributes, extra=extra)
        return read

    def where(name: str) -> str:
        return f"{path}/{name}" if path else name

    documents = {name: json.loads(data, where(name)) for name, data in found.items()}
    if separator is not None:
        documents = dict(format.completed(documents, separator))
    made: Node = format.parse(documents, where)
    if is_immutable(made) if isinstance(made, Layout) else made.consolidated is None:
        try:
            loose = marshal.dumps((made.attributes, made.extra))
        except ValueError:  # nested too deeply for marshal
            return made
        same = made.with_members(attributes={}, extra={})
        codecs = made.codecs if isinstance(made, Layout) else ()
        nodes.put(key, (same, loose if made.attributes or made.extra else None), codecs)
    return made
