"""Consolidated metadata: one document that repeats those of all nodes below a group.

Rules of this file:

* Format 3 keeps it in the group's own ``zarr.json``, as the member ``consolidated_metadata``;
  format 2 in a key of its own, ``.zmetadata``. Both are conventions of zarr-python.
* It is a copy. What a copy says of itself again, in a group inside it, is ignored.
* A node is understood when it is asked for: a hierarchy of many arrays opens at once, and one array
  that cannot be understood does not stand in the way of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastzarr.metadata import v2, v3
from fastzarr.metadata.checks import as_object, fail, member, require, show
from fastzarr.metadata.document import plain_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.layout import GroupLayout, Layout

V2_FORMAT = 1
_V2_KEYS = (".zarray", ".zgroup", ".zattrs")
_NOT_A_NAME = {"", ".", ".."}


class Nodes(Mapping[str, "Layout | GroupLayout"]):
    """Map paths to the nodes that consolidated metadata describes, each understood when asked for.

    Getting a node raises ``MetadataError`` if its part of the document is wrong; a path that is not
    there is a ``KeyError``.
    """

    def __init__(self, documents: dict[str, dict[str, Any]], zarr_format: int, where: str) -> None:
        """Keep the documents of the nodes by path: in format 2, those of a node by key."""
        self._documents, self._format, self._where = documents, zarr_format, where
        self._nodes: dict[str, Layout | GroupLayout] = {}

    def __getitem__(self, path: str) -> Layout | GroupLayout:
        """Give the node at a path."""
        node = self._nodes.get(path)
        if node is None:
            node = self._nodes[path] = self._parse(path)
        return node

    def __iter__(self) -> Iterator[str]:
        """Go through the paths in the order of the document."""
        return iter(self._documents)

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._documents)

    def __contains__(self, path: object) -> bool:
        """Tell whether there is a node at a path, without understanding it."""
        return path in self._documents

    def __repr__(self) -> str:
        """Name the paths."""
        return f"<consolidated metadata of {', '.join(map(repr, self)) or 'no nodes'}>"

    def documents(self, path: str) -> dict[str, Any]:
        """Give the document of a node as it was read: in format 2, those of the node by key.

        Only the floats that JSON has no word for are put into strings, as everywhere.
        """
        return plain_attributes(self._documents[path], member(self._where, path))

    def _parse(self, path: str) -> Layout | GroupLayout:
        doc = self._documents[path]
        if self._format == v3.FORMAT:
            return v3.parse(doc, member(self._where, path))
        prefix = f"{path}/" if path else ""
        attributes = doc.get(".zattrs", {})
        if ".zarray" in doc:
            place = member(self._where, prefix + ".zarray")
            return v2.parse_array(doc[".zarray"], attributes, place)
        return v2.parse_group(doc[".zgroup"], attributes, member(self._where, prefix + ".zgroup"))


def from_v3(value: object, where: str = "consolidated_metadata") -> Nodes | None:
    """Give the nodes that the member ``consolidated_metadata`` of a group describes.

    None if it is of a kind that is not known here and says that it need not be understood.
    """
    found = as_object(value, where)
    must = found.get("must_understand", False)
    if not isinstance(must, bool):
        fail(f"must be true or false, got {show(must)}", member(where, "must_understand"))
    kind = found.get("kind")
    if kind != "inline":
        if must or not isinstance(kind, str):
            fail(f"must be 'inline', got {show(kind)}", member(where, "kind"))
        return None
    require(found, ["metadata"], where)
    where = member(where, "metadata")
    documents = as_object(found["metadata"], where)
    kept = {}
    for path, doc in documents.items():
        place = member(where, path)
        _check_path(path, place)
        if not path:
            fail("a group does not describe itself", place)
        kept[path] = _without_copy(as_object(doc, place))
    return Nodes(kept, v3.FORMAT, where)


def to_v3(nodes: Mapping[str, Layout | GroupLayout]) -> dict[str, Any]:
    """Give the member ``consolidated_metadata`` of a group whose nodes below are these, by path.

    >>> from fastzarr.metadata import GroupLayout
    >>> to_v3({"a": GroupLayout(3)})["metadata"]
    {'a': {'zarr_format': 3, 'node_type': 'group', 'attributes': {}}}
    """
    metadata = {}
    for path in sorted(nodes):
        if isinstance(nodes, Nodes):
            metadata[path] = nodes.documents(path)
        else:
            metadata[path] = _without_copy(v3.document(nodes[path]))
    return {"kind": "inline", "must_understand": False, "metadata": metadata}


def from_v2(doc: dict[str, Any], where: str = ".zmetadata") -> Nodes:
    """Give the nodes a ``.zmetadata`` describes, the group it belongs to under the path ``""``."""
    as_object(doc, where)
    require(doc, ["zarr_consolidated_format", "metadata"], where)
    version = doc["zarr_consolidated_format"]
    if type(version) is not int or version != V2_FORMAT:
        fail(f"must be {V2_FORMAT}, got {show(version)}", member(where, "zarr_consolidated_format"))
    where = member(where, "metadata")
    found: dict[str, dict[str, Any]] = {}
    for key, part in as_object(doc["metadata"], where).items():
        path, slash, name = key.rpartition("/")
        place = member(where, key)
        if slash and not path:
            fail(f"the key {show(key)} begins with a slash", place)
        if name not in _V2_KEYS:
            fail(f"the key {show(key)} is none of {', '.join(_V2_KEYS)}", place)
        _check_path(path, place)
        found.setdefault(path, {})[name] = as_object(part, place)
    nodes = {path: parts for path, parts in found.items() if parts.keys() - {".zattrs"}}
    return Nodes(nodes, v2.FORMAT, where)


def to_v2(nodes: Mapping[str, Layout | GroupLayout]) -> dict[str, Any]:
    """Give the ``.zmetadata`` of these nodes, by path; the group it belongs to is at ``""``.

    >>> from fastzarr.metadata import GroupLayout
    >>> to_v2({"": GroupLayout(2)})
    {'zarr_consolidated_format': 1, 'metadata': {'.zgroup': {'zarr_format': 2}}}
    """
    metadata = {}
    for path in sorted(nodes):
        parts = nodes.documents(path) if isinstance(nodes, Nodes) else v2.documents(nodes[path])
        prefix = f"{path}/" if path else ""
        metadata.update({prefix + name: part for name, part in parts.items()})
    return {"zarr_consolidated_format": V2_FORMAT, "metadata": metadata}


def _without_copy(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name != "consolidated_metadata"}


def _check_path(path: str, where: str) -> None:
    if path and not _NOT_A_NAME.isdisjoint(path.split("/")):
        fail(f"{show(path)} is no path of a node", where)
