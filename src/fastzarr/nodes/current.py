"""Whether the array that a handle was opened for is still the stored one.

Rules of this file:

* A write checks the document before it changes a chunk. Chunks are the same after a change of shape
  or attributes, but elements beyond an edge that has moved inwards do not exist any more: written
  there, they would be lost, or come back in an array that grows again.
* A read that has found all chunks checks nothing. If a chunk is missing, the document is looked at
  once, after the read: the chunk may be missing because the array was deleted, replaced or made
  smaller, and then its elements do not have the fill value.
* A store with validators is asked for one, and for the document only if that has changed. The first
  time, one request is for both, if the store answers with tokens. Another store is asked only if
  this process has deleted, moved, replaced or resized something in it.
* Where requests take long, the check of a write is under way while its chunks are encoded or read.
  None of them is stored before it has succeeded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError, StaleArrayError
from fastzarr.metadata.layout import Layout
from fastzarr.nodes import documents
from fastzarr.selection.factors import Mask, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastzarr.nodes.access import Access
    from fastzarr.nodes.documents import Node
    from fastzarr.selection.factors import Selection
    from fastzarr.stores import Store

    View = Callable[[Layout], Layout]
    # The validator of a document, and the shape in it; None if nothing is known.
    Checked = tuple[Hashable | None, tuple[int, ...] | None]


def document_token(access: Access) -> Hashable:
    """Return what differs after the array's document was replaced, the same in every process.

    A token that only this process knows does not do: then its deletions and the like are counted.
    """
    look = access.store.validator
    token = None if look is None else look(access.document)
    return token if isinstance(token, int | str | bytes | tuple) else access.paths.removals


def check_chunks(access: Access, store: Store, viewed: View, checked: Checked) -> Checked:
    """Return what is known of the stored array; ``checked`` is what was returned last.

    ``viewed`` returns a stored layout as the handle views it; ``store`` is named in the message.
    Raise StaleArrayError if the stored array has other chunks than ``access``.
    """
    known, look = checked[0], access.store.validator
    where = access.store, access.root, access.layout.format
    above = access.path if access.root != access.path else ""
    token, node = None, None
    if known is None and look is not None:
        token, node = documents.load_told(*where, root=above)
    if node is None:
        token = access.paths.removals or None if look is None else look(access.document)
        if token == known and (look is None or token is not None):
            return checked
        node = documents.load(*where, root=above)
    return token, _same(access, store, viewed, node).shape


def check_covered(access: Access, found: Selection, viewed: View) -> None:
    """Raise StaleArrayError if the array in the store does not have the selected elements."""
    store, mine = access.store, access.layout
    look, seen = store.validator, access.seen.get("token")
    if look is None and not access.paths.removals:
        return
    token, stored = None, None
    if look is not None and seen is None and "apart" not in access.seen:
        token, stored = documents.load_told(store, access.path, mine.format)
    if stored is None:
        token = access.paths.removals if look is None else look(access.document)
    if token is None or seen != token:
        stored = stored or documents.load(store, access.path, mine.format)
        if stored is None and (
            "apart" in access.seen
            or _is_described(store, access.path)
            or not store.is_empty(access.path)
        ):
            return  # the metadata of this array is from elsewhere, such as consolidated metadata
        access.seen.update(shape=_same(access, store, viewed, stored).shape, token=token)
    check_inside(access, store, found, access.seen["shape"])


def check_inside(access: Access, store: Store, found: Selection, shape: tuple[int, ...]) -> None:
    """Raise StaleArrayError if elements are selected that an array of ``shape`` does not have."""
    held = access.layout.shape
    if shape != held and not _covers(shape, found):
        msg = (
            f"the array {'/' + access.path!r} in {store} now has shape {shape}, so that elements "
            f"which were selected in shape {held} do not exist any more; refresh() the array or "
            "open it again"
        )
        raise StaleArrayError(msg)


def _same(access: Access, store: Store, viewed: View, stored: Node | None) -> Layout:
    if isinstance(stored, Layout):
        try:
            found = viewed(stored)
        except BaseZarrError:  # the stored array does not allow this view
            pass
        else:
            if found.with_program_of(access.layout) is not None:
                return found
    what = "is no longer" if stored is None else "has been replaced by another node"
    msg = f"the array {'/' + access.path!r} {what} in {store}; open it again to use it"
    raise StaleArrayError(msg)


def _covers(shape: tuple[int, ...], found: Selection) -> bool:
    for factor in found.factors:
        if isinstance(factor, Span):
            last = factor.start + factor.step * (factor.size - 1)
            if factor.size and max(factor.start, last) >= shape[factor.axis]:
                return False
        elif isinstance(factor, Mask):
            for place, axis in enumerate(factor.axes):
                if factor.array[(slice(None),) * place + (slice(shape[axis], None),)].any():
                    return False
        else:
            for axis, points in zip(factor.axes, factor.coords, strict=True):
                if points.size and points.max() >= shape[axis]:
                    return False
    return True


def _is_described(store: Store, path: str) -> bool:
    """Whether a handle of this process uses consolidated metadata that describes a path."""
    for snapshot in tuple(store.place.snapshots.values()):
        found = snapshot()
        copy = None if found is None else found.nodes
        if found is not None and copy is not None:
            start = f"{found.path}/" if found.path else ""
            if path.startswith(start) and path[len(start) :] in copy:
                return True
    return False
