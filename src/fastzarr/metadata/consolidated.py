"""Consolidated metadata: one document with a copy of the documents of all nodes below a group.

Rules of this file:

* In format 3 it is the member ``consolidated_metadata`` of the group's ``zarr.json``; in format 2
  it is a separate key, ``.zmetadata``. Both are conventions of zarr-python.
* Consolidated metadata of a group inside the copy is ignored.
* A node is parsed on first access, so that a hierarchy of many arrays opens quickly, and an invalid
  document of one array does not prevent access to the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastzarr.checked import as_object, fail, member, require, show
from fastzarr.metadata import v2, v3
from fastzarr.metadata.attributes import plain_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.layout import GroupLayout, Layout

V2_FORMAT = 1
_V2_KEYS = (".zarray", ".zgroup", ".zattrs")
_NOT_A_NAME = {"", ".", ".."}


class Nodes(Mapping[str, "Layout | GroupLayout"]):
    """A mapping of paths to the nodes in consolidated metadata, each parsed on first access.

    Getting a node raises ``KeyError`` if its path is missing, and ``MetadataError`` if its document
    is invalid.
    """

    def __init__(self, documents: dict[str, dict[str, Any]], zarr_format: int, where: str) -> None:
        """Initialise with the documents of the nodes by path; in format 2, by path and key."""
        self._documents, self._format, self._where = documents, zarr_format, where
        self._nodes: dict[str, Layout | GroupLayout] = {}

    def __getitem__(self, path: str) -> Layout | GroupLayout:
        """Return the node at a path."""
        node = self._nodes.get(path)
        if node is None:
            node = self._nodes[path] = self._parse(path)
        return node

    def __iter__(self) -> Iterator[str]:
        """Iterate over the paths in the order of the document."""
        return iter(self._documents)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._documents)

    def __contains__(self, path: object) -> bool:
        """Whether there is a node at a path; it is not parsed."""
        return path in self._documents

    def __repr__(self) -> str:
        """Return a list of the paths."""
        return f"<consolidated metadata of {', '.join(map(repr, self)) or 'no nodes'}>"

    def documents(self, path: str) -> dict[str, Any]:
        """Return a copy of a node's document as read; in format 2, of its documents by key.

        Non-finite floats are replaced by strings, as in all documents that are written.
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
    """Return the nodes in the member ``consolidated_metadata`` of a group.

    The result is None if its kind is unknown and ``must_understand`` is false. Raise
    ``MetadataError``, naming ``where``, if the member is invalid.
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
            fail("consolidated metadata must not contain the group itself", place)
        kept[path] = _without_copy(as_object(doc, place))
    return Nodes(kept, v3.FORMAT, where)


def to_v3(nodes: Mapping[str, Layout | GroupLayout]) -> dict[str, Any]:
    """Return the member ``consolidated_metadata`` of a group; ``nodes`` are those below, by path.

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
    """Return the nodes in a ``.zmetadata``; the path of the group that it belongs to is ``""``.

    Raise ``MetadataError``, naming ``where``, if the document is invalid.
    """
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
            fail(f"the key {show(key)} must not begin with a slash", place)
        if name not in _V2_KEYS:
            fail(f"the key {show(key)} must end with one of {', '.join(_V2_KEYS)}", place)
        _check_path(path, place)
        found.setdefault(path, {})[name] = as_object(part, place)
    nodes = {path: parts for path, parts in found.items() if parts.keys() - {".zattrs"}}
    return Nodes(nodes, v2.FORMAT, where)


def to_v2(nodes: Mapping[str, Layout | GroupLayout]) -> dict[str, Any]:
    """Return the ``.zmetadata`` of ``nodes`` by path; the group that it belongs to is at ``""``.

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
        fail(f"{show(path)} is not a valid path of a node", where)
