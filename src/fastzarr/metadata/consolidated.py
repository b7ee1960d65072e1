"""Consolidated metadata: one document with a copy of the documents of all nodes below a group.

Rules of this file:

* It is a member of the group's own document (format 3), or a separate document (format 2). Both are
  conventions of zarr-python. A format says which one it has, and how its documents are parsed.
* Consolidated metadata of a group inside the copy is ignored.
* A node is parsed on first access, so that a hierarchy of many arrays opens quickly, and an invalid
  document of one array does not prevent access to the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fastzarr.checked import as_object, fail, member, require, show
from fastzarr.metadata.attributes import plain_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.format import Document, Format
    from fastzarr.metadata.layout import GroupLayout, Layout

_VERSION = 1
_NOT_A_NAME = {"", ".", ".."}


class Nodes(Mapping[str, "Layout | GroupLayout"]):
    """A mapping of paths to the nodes in consolidated metadata, each parsed on first access.

    Getting a node raises ``KeyError`` if its path is missing, and ``MetadataError`` if its document
    is invalid.
    """

    def __init__(
        self, format: Format, documents: Mapping[str, dict[str, Document]], where: str
    ) -> None:
        """Initialise with the documents of each node, by path and name, found at ``where``."""
        self._format, self._documents, self._where = format, documents, where
        self._nodes: dict[str, Layout | GroupLayout] = {}

    def __getitem__(self, path: str) -> Layout | GroupLayout:
        """Return the node at a path."""
        node = self._nodes.get(path)
        if node is None:
            node = self._format.parse(self._documents[path], partial(self._place, path))
            self._nodes[path] = node
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

    def documents(self, path: str) -> dict[str, Document]:
        """Return copies of a node's documents as read, by name."""
        return {
            name: plain_attributes(doc, self._place(path, name), stored=True)
            for name, doc in self._documents[path].items()
        }

    def _place(self, path: str, name: str) -> str:
        separate = self._format.separate_consolidated is not None
        return member(self._where, _key(path, name) if separate else path)


def from_member(
    format: Format, value: object, where: str = "consolidated_metadata"
) -> Nodes | None:
    """Return the nodes in the member ``consolidated_metadata`` of a group's document.

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
    kept = {}
    for path, doc in as_object(found["metadata"], where).items():
        place = member(where, path)
        _check_path(path, place)
        if not path:
            fail("consolidated metadata must not contain the group itself", place)
        kept[path] = {format.attributes: _without_copy(as_object(doc, place))}
    return Nodes(format, kept, where)


def to_member(format: Format, nodes: Mapping[str, Layout | GroupLayout]) -> Document:
    """Return the member ``consolidated_metadata`` of a group; ``nodes`` are those below, by path.

    >>> from fastzarr.metadata import GroupLayout
    >>> from fastzarr.metadata.v3 import FORMAT
    >>> to_member(FORMAT, {"a": GroupLayout(FORMAT)})["metadata"]
    {'a': {'zarr_format': 3, 'node_type': 'group', 'attributes': {}}}
    """
    metadata = {
        path: _without_copy(_written(format, nodes, path)[format.attributes])
        for path in sorted(nodes)
    }
    return {"kind": "inline", "must_understand": False, "metadata": metadata}


def from_document(format: Format, doc: Document, where: str) -> Nodes:
    """Return the nodes in a separate document; the group that it belongs to has the path ``""``.

    Raise ``MetadataError``, naming ``where``, if the document is invalid.
    """
    as_object(doc, where)
    require(doc, ["metadata"], where)
    version = doc.get("zarr_consolidated_format", _VERSION)
    if type(version) is not int or version != _VERSION:
        fail(f"must be {_VERSION}, got {show(version)}", member(where, "zarr_consolidated_format"))
    where = member(where, "metadata")
    names = (*format.visible, format.attributes)
    found: dict[str, dict[str, Document]] = {}
    for key, part in as_object(doc["metadata"], where).items():
        path, slash, name = key.rpartition("/")
        place = member(where, key)
        if slash and not path:
            fail(f"the key {show(key)} must not begin with a slash", place)
        if name not in names:
            fail(f"the key {show(key)} must end with one of {', '.join(names)}", place)
        _check_path(path, place)
        empty = part is None and name == format.attributes
        found.setdefault(path, {})[name] = {} if empty else as_object(part, place)
    nodes = {path: parts for path, parts in found.items() if parts.keys() - {format.attributes}}
    return Nodes(format, nodes, where)


def to_document(format: Format, nodes: Mapping[str, Layout | GroupLayout]) -> Document:
    """Return a separate document of ``nodes`` by path; the group that it belongs to is at ``""``.

    >>> from fastzarr.metadata import GroupLayout
    >>> from fastzarr.metadata.v2 import FORMAT
    >>> to_document(FORMAT, {"": GroupLayout(FORMAT)})
    {'zarr_consolidated_format': 1, 'metadata': {'.zgroup': {'zarr_format': 2}}}
    """
    metadata = {
        _key(path, name): part
        for path in sorted(nodes)
        for name, part in _written(format, nodes, path).items()
    }
    return {"zarr_consolidated_format": _VERSION, "metadata": metadata}


def _written(
    format: Format, nodes: Mapping[str, Layout | GroupLayout], path: str
) -> dict[str, Document]:
    # An unparsed node may be invalid, and is copied as it was read.
    if isinstance(nodes, Nodes):
        return nodes.documents(path)
    node = nodes[path]
    written = format.write(node)
    repaired = getattr(node, "repaired", None)
    if repaired is None:
        return written
    # As in the document of the array, so that who reads it here stores the repair there.
    stored = repaired.members
    return {
        name: doc | stored if stored.keys() <= doc.keys() else doc for name, doc in written.items()
    }


def _key(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _without_copy(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name != "consolidated_metadata"}


def _check_path(path: str, where: str) -> None:
    if path and not _NOT_A_NAME.isdisjoint(path.split("/")):
        fail(f"{show(path)} is not a valid path of a node", where)
