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
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from fastzarr import errors
from fastzarr.locking import swapping
from fastzarr.metadata import document, known, v3
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.stores.base import is_ours
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.protocols import SupportsDraft

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


def _document(store: Store, key: str) -> dict[str, Any] | None:
    """Read a document; one that is too large is refused before it is read, where that is cheap."""
    data = store.get_checked(key, document.check_size)
    return None if data is None else document.loads(data, key)


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
    """Write the documents of a new node; False if another writer was first to make one here.

    Of those who call this at once, one wins, where the store can compare and swap.
    """
    documents = _documents(node)
    *others, last = _last_is_seen(documents)

    def write_others() -> None:
        for name in others:
            store.set(join(path, name), document.dumps(documents[name]))

    key, data = join(path, last), document.dumps(documents[last])
    swap = swapping(store)
    if swap is not None:
        write_others()
        return swap.set_if(key, data, None)
    made = False

    def make(old: bytes | None) -> bytes | None:
        nonlocal made
        made = old is None
        if made:
            write_others()  # in the turn of the one that is seen, so that both are one writer's
        return data if made else old

    store.change(key, make)
    return made


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
    store: Store, path: str, patch: Callable[[Node], Node], synchronizer: Any = None
) -> Node:
    """Apply a patch to the node as it stands in the store now, write it and give the result.

    Writers take turns, so that none undoes what another has just written. ``patch`` may be called
    more than once. ``synchronizer`` is the user's; its lock for the document is held as well.

    Raises ``PathNotFoundError`` if the node is gone.
    """
    for name in (V3_KEY, V2_ARRAY, V2_GROUP):
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
    """Change the document that makes a node visible; called in the turn of its key."""

    def __init__(self, store: Store, path: str, name: str, patch: Callable[[Node], Node]) -> None:
        self.store, self.path, self.name, self.patch = store, path, name, patch
        self.result: Node | None = None

    def __call__(self, data: bytes | None) -> bytes | None:
        if data is None:
            return None
        key = join(self.path, self.name)
        found = document.loads(data, key)
        if self.name == V3_KEY:
            latest: Node = v3.parse(found, key)
        else:
            from fastzarr.metadata import v2

            parse = v2.parse_array if self.name == V2_ARRAY else v2.parse_group
            beside = _document(self.store, join(self.path, V2_ATTRIBUTES)) or {}
            latest = parse(found, beside, key)
        self.result = patched = self.patch(latest)
        before, after = _documents(latest), _documents(patched)
        if self.name != V3_KEY:
            self._change_beside(before.get(V2_ATTRIBUTES), after.get(V2_ATTRIBUTES))
        if document.alike(after[self.name], before[self.name]):
            return data
        return document.dumps(_patched(found, after[self.name], before[self.name]))

    def _change_beside(
        self, before: dict[str, object] | None, after: dict[str, object] | None
    ) -> None:
        """Change format 2's document of attributes; the turn of the other one covers both."""
        key = join(self.path, V2_ATTRIBUTES)
        if after is None:
            self.store.delete(key)
        elif before is None or not document.alike(after, before):
            found = _document(self.store, key) or {}
            self.store.set(key, document.dumps(_patched(found, after, before or {})))


def delete(store: Store, path: str) -> None:
    """Remove a node and all below it: in one step, or what makes it visible first."""
    if not (path and is_ours(store) and isinstance(store, SupportsDraft)):
        for name in (V3_KEY, V2_ARRAY, V2_GROUP):
            store.delete(join(path, name))
    if path:
        store.delete_dir(path)
    else:
        store.clear()
