"""The one place where metadata documents meet a store.

Rules of this file:

* A node is what stands at a path: an array (``Layout``) or a group (``GroupLayout``). Format 3
  keeps it in ``zarr.json``; format 2 in ``.zarray`` or ``.zgroup``, its attributes in ``.zattrs``.
* The document that makes a node visible is written last and removed first, so that a reader never
  finds half of one.
* An update is a patch: it is applied to the document as it stands in the store at that moment, so
  that a handle with an old copy cannot undo what others changed. A member that it does not change
  keeps the spelling it has, which may be all that the program that wrote it can read.
"""

from __future__ import annotations

import json
import os
from threading import RLock
from typing import TYPE_CHECKING, Any

from fastzarr import errors
from fastzarr.metadata import document, known, v2, v3
from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores import Store

V3_KEY = "zarr.json"
V2_ARRAY, V2_GROUP, V2_ATTRIBUTES, V2_CONSOLIDATED = ".zarray", ".zgroup", ".zattrs", ".zmetadata"
METADATA_KEYS = frozenset({V3_KEY, V2_ARRAY, V2_GROUP, V2_ATTRIBUTES, V2_CONSOLIDATED})

Node = Layout | GroupLayout

_turns: list[Any] = []


def _reset() -> None:
    """Make the locks of updates; a child process starts with none of them held."""
    _turns[:] = [RLock() for _ in range(64)]


_reset()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def join(path: str, name: str) -> str:
    """Join a node's path and what stands below it."""
    return f"{path}/{name}" if path else name


def load(store: Store, path: str, zarr_format: int | None = None) -> Node | None:
    """Read the node at a path, of this format or of whichever is there; None if there is none."""
    if zarr_format != 2:
        key = join(path, V3_KEY)
        data = store.get_checked(key, document.check_size)
        if data is not None:
            return known.parse(data, key)
    if zarr_format != 3:
        return _load_v2(store, path)
    return None


def _load_v2(store: Store, path: str) -> Node | None:
    for name, parse in ((V2_ARRAY, v2.parse_array), (V2_GROUP, v2.parse_group)):
        key = join(path, name)
        data = store.get_checked(key, document.check_size)
        if data is not None:
            beside = join(path, V2_ATTRIBUTES)
            attributes = store.get_checked(beside, document.check_size)
            return known.parse_v2(data, attributes, parse, key, beside)
    return None


def _document(store: Store, key: str) -> dict[str, Any] | None:
    """Read a document; one that is too large is refused before it is read, where that is cheap."""
    data = store.get_checked(key, document.check_size)
    return None if data is None else document.loads(data, key)


def _documents(node: Node) -> dict[str, dict[str, object]]:
    return {V3_KEY: v3.document(node)} if node.zarr_format == 3 else v2.documents(node)


def save(store: Store, path: str, node: Node, before: Node | None = None) -> None:
    """Write a node's documents, those that differ from ``before`` only where it is given."""
    documents = _documents(node)
    known = {} if before is None else _documents(before)
    for name in sorted(documents, key=lambda name: name != V2_ATTRIBUTES):
        doc, key = documents[name], join(path, name)
        if name not in known:
            store.set(key, document.dumps(doc))
        elif document.dumps(doc) != document.dumps(known[name]):
            store.set(key, document.dumps(_patched(store, key, doc, known[name])))
    if node.zarr_format == 2 and V2_ATTRIBUTES not in documents:
        store.delete(join(path, V2_ATTRIBUTES))


def _patched(
    store: Store, key: str, doc: dict[str, object], before: dict[str, object]
) -> dict[str, object]:
    """Give the new document, where members that did not change stand as they do in the store."""
    found = _document(store, key) or {}
    same = {
        name
        for name in doc.keys() & before.keys() & found.keys()
        if json.dumps(doc[name]) == json.dumps(before[name]) and _is_strict(found[name])
    }
    # How a fill value is spelled depends on how the data type is.
    pair = {"data_type" if "data_type" in doc else "dtype", "fill_value"}
    if not pair <= same:
        same -= pair
    return {name: found[name] if name in same else value for name, value in doc.items()}


def _is_strict(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def update(store: Store, path: str, patch: Callable[[Node], Node]) -> Node:
    """Apply a patch to the node as it stands in the store now, write it and give the result.

    The threads of one process take turns, so that none undoes what another has just written.

    Raises ``PathNotFoundError`` if the node is gone.
    """
    with _turns[hash((str(store), path)) % len(_turns)]:
        latest = load(store, path)
        if latest is None:
            msg = f"the node {'/' + path!r} is no longer in {store}; it was deleted or moved"
            raise errors.PathNotFoundError(msg)
        patched = patch(latest)
        save(store, path, patched, before=latest)
        return patched


def delete(store: Store, path: str) -> None:
    """Remove a node and all below it; what makes it visible goes first."""
    for name in (V3_KEY, V2_ARRAY, V2_GROUP):
        store.delete(join(path, name))
    if path:
        store.delete_dir(path)
    else:
        store.clear()
