"""The one place where metadata documents meet a store.

Rules of this file:

* A node is what stands at a path: an array (``Layout``) or a group (``GroupLayout``). Format 3
  keeps it in ``zarr.json``; format 2 in ``.zarray`` or ``.zgroup``, its attributes in ``.zattrs``.
* The document that makes a node visible is written last and removed first, so that a reader never
  finds half of one.
* In format 2 a node is two documents. Each is changed by a comparison of its own, so that no update
  is lost on a store that has only compare-and-swap.
* An update is a patch: it is applied to the document as it stands in the store at that moment, so
  that a handle with an old copy cannot undo what others changed. A member that it does not change
  keeps the spelling it has, which may be all that the program that wrote it can read.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastzarr import errors
from fastzarr.metadata import json as document
from fastzarr.metadata import known, v3
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.stores.keys import METADATA_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores import Store

V3_KEY = "zarr.json"
V2_ARRAY, V2_GROUP, V2_ATTRIBUTES, V2_CONSOLIDATED = ".zarray", ".zgroup", ".zattrs", ".zmetadata"
METADATA_KEYS = METADATA_NAMES

Node = Layout | GroupLayout


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
    from fastzarr.metadata import v2

    for name, parse in ((V2_ARRAY, v2.parse_array), (V2_GROUP, v2.parse_group)):
        key = join(path, name)
        data = store.get_checked(key, document.check_size)
        if data is not None:
            beside = join(path, V2_ATTRIBUTES)
            attributes = store.get_checked(beside, document.check_size)
            return known.parse_v2(data, attributes, parse, key, beside)
    return None


def _documents(node: Node) -> dict[str, dict[str, object]]:
    if node.zarr_format == 3:
        return {V3_KEY: v3.document(node)}
    from fastzarr.metadata import v2

    return v2.documents(node)


def save(store: Store, path: str, node: Node) -> None:
    """Write all documents of a node, whatever is there."""
    documents = _documents(node)
    for name in _last_is_seen(documents):
        store.set(join(path, name), document.dumps(documents[name]))
    if node.zarr_format == 2 and V2_ATTRIBUTES not in documents:
        store.delete(join(path, V2_ATTRIBUTES))


def create(store: Store, path: str, node: Node) -> bool:
    """Write the documents of a new node; return False if another writer created one first.

    Of several callers at once, one succeeds, if the store has compare-and-swap.
    """
    documents = _documents(node)
    *_, last = _last_is_seen(documents)
    key, data = join(path, last), document.dumps(documents[last])
    if node.zarr_format == 2:
        attributes = documents.get(V2_ATTRIBUTES)
        new = None if attributes is None else document.dumps(attributes)
        return _create_both(store, key, data, join(path, V2_ATTRIBUTES), new)
    return _create_one(store, key, data) if store.swap is None else store.swap(key, data, None)


def _create_one(store: Store, key: str, data: bytes) -> bool:
    turn = store.turn(key)
    try:
        return turn.get() is None and turn.put(data)
    finally:
        turn.end()


def _create_both(store: Store, key: str, data: bytes, beside: str, new: bytes | None) -> bool:
    """Write the attributes of format 2, or None for none, then the document ``key``.

    Attributes without a node are the remains of a writer that died, and are replaced. Those of
    another writer who creates the node at the same time are put back if that writer is first.
    """
    turn = store.turn(key)
    try:
        if turn.get() is not None:
            return False
        other = store.turn(beside)
        try:
            while (old := other.get()) != new:
                # After the attributes were read: those of a node that is there now stay.
                if store.exists(key):
                    return False
                if other.put(new):
                    break
        finally:
            other.end()
        if turn.put(data):
            return True
    finally:
        turn.end()
    if old != new:
        store.change(beside, lambda now: old if now == new else now)
    return False


def _last_is_seen(documents: dict[str, dict[str, object]]) -> list[str]:
    """Give the names of documents in order; the last one makes the node visible."""
    return sorted(documents, key=lambda name: name != V2_ATTRIBUTES)


def _patched(
    found: dict[str, Any], doc: dict[str, object], before: dict[str, object]
) -> dict[str, object]:
    """Give the new document, where members that did not change stand as they do in ``found``."""
    same = {
        name
        for name in doc.keys() & before.keys() & found.keys()
        if document.alike(doc[name], before[name]) and _is_strict(found[name])
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


def update(
    store: Store,
    path: str,
    patch: Callable[[Node], Node],
    synchronizer: Any = None,
    zarr_format: int | None = None,
) -> Node:
    """Apply a patch to the node as it stands in the store now, write it and return the result.

    Where nodes of both formats stand at the path, the one of ``zarr_format`` is patched.

    Writers take turns, so that none undoes what another has just written. ``patch`` may be called
    more than once. ``synchronizer`` is the user's; its lock for the document is held as well.

    Raises ``PathNotFoundError`` if the node is gone.
    """
    names = (V3_KEY, V2_ARRAY, V2_GROUP)
    for name in names if zarr_format != 2 else (V2_ARRAY, V2_GROUP, V3_KEY):
        key = join(path, name)
        change = _Change(store, path, name, patch)
        with ExitStack() as held:
            if synchronizer is not None:
                held.enter_context(synchronizer[key])
                if name != V3_KEY:
                    # zarr-python 2 takes this one alone to change attributes.
                    held.enter_context(synchronizer[join(path, V2_ATTRIBUTES)])
            store.change(key, change)
        if change.result is not None:
            return change.result
    msg = f"the node {'/' + path!r} is no longer in {store}; it was deleted or moved"
    raise errors.PathNotFoundError(msg)


class _Change:
    """A change of the document that makes a node visible, called in the turn of its key."""

    def __init__(self, store: Store, path: str, name: str, patch: Callable[[Node], Node]) -> None:
        self.store, self.path, self.name, self.patch = store, path, name, patch
        self.result: Node | None = None
        # Whether the attributes of format 2 are written: a repeated call must not patch them again.
        self.done = False

    def __call__(self, data: bytes | None) -> bytes | None:
        if data is None:
            return None
        key = join(self.path, self.name)
        found = document.loads(data, key)
        if self.name == V3_KEY:
            latest: Node = v3.parse(found, key)
            self.result = self.patch(latest)
        else:
            latest, self.result = self._change_attributes(found, key)
        before, after = _documents(latest)[self.name], _documents(self.result)[self.name]
        if document.alike(after, before):
            return data
        return document.dumps(_patched(found, after, before))

    def _change_attributes(self, found: dict[str, Any], key: str) -> tuple[Node, Node]:
        """Write what the patch makes of format 2's attributes; return the node before and after.

        They are compared and replaced in their own turn, since the comparison of the other document
        says nothing of them where that one stays as it is.
        """
        from fastzarr.metadata import v2

        parse = v2.parse_array if self.name == V2_ARRAY else v2.parse_group
        beside = join(self.path, V2_ATTRIBUTES)
        turn = self.store.turn(beside)
        try:
            while True:
                data = turn.get()
                attributes = {} if data is None else document.loads(data, beside)
                latest = parse(found, attributes, key)
                patched = self.patch(latest)
                if self.done:
                    return latest, replace(patched, attributes=latest.attributes)
                before = _documents(latest).get(V2_ATTRIBUTES)
                after = _documents(patched).get(V2_ATTRIBUTES)
                if after is None:
                    new = None
                elif before is not None and document.alike(after, before):
                    new = data
                else:
                    new = document.dumps(_patched(attributes, after, before or {}))
                if new == data:
                    return latest, patched
                if turn.put(new):
                    self.done = True
                    return latest, patched
        finally:
            turn.end()


def delete(store: Store, path: str) -> None:
    """Remove a node and all below it: in one step, or what makes it visible first."""
    if not path or store.draft is None:
        for name in (V3_KEY, V2_ARRAY, V2_GROUP):
            store.delete(join(path, name))
    if path:
        store.delete_dir(path)
    else:
        store.clear()
