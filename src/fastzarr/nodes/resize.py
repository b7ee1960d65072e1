"""Resize and append, in an order of steps that readers can rely on.

Rules of this file:

* Readers are clipped at the published shape, so the order of steps decides what they see. A shrink
  publishes the shape, then deletes chunks. A growth first clears the remains of an earlier, larger
  shape, then publishes. An append writes its data, then publishes.
* All steps, the deletions of a shrink included, happen in one turn of the array's document. They
  start from the shape in the store, so that of several writers each changes what the one before has
  published. Where that keeps no other process out, they happen under a claim of the document
  (``claims.py``); if it is lost, they begin anew. A store without compare-and-swap has neither.
* New elements have the fill value, whatever the array once held in their place, unless the caller
  wants otherwise: zarr-python lets those come back whose chunk was kept.
* Only stored chunks are visited, however many the shape has.
* ``access`` holds the array. ``update`` applies a patch to its document in the store. It calls one
  function with the new layout before it stores the document, and another one after that. The first
  is also given the document, if that is in a file already: an append syncs it with its data.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastzarr import checked, errors
from fastzarr.engine import run
from fastzarr.grids.regions import boxes
from fastzarr.nodes import casting
from fastzarr.nodes.claims import Claim, LostClaimError, is_needed
from fastzarr.nodes.stored import is_inside, stored_coords
from fastzarr.selection.factors import Selection, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TypeAlias

    from fastzarr import hints
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access
    from fastzarr.stores.capabilities import Prepared

    Patch: TypeAlias = Callable[[Layout], Layout]
    Before: TypeAlias = Callable[[Layout, Prepared | None], None]
    Then: TypeAlias = Callable[[Layout], None]
    Update: TypeAlias = Callable[[Access, Patch, Before | None, Then | None], None]

T = TypeVar("T")

# So many keys are deleted together under a claim.
_TOGETHER = 1000
_OUTSIDE = ("clear", "delete", "keep")


def resize(
    access: Access, shape: tuple[Any, ...], update: Update, outside: hints.Outside = "clear"
) -> None:
    """Change the shape of the array; the number of axes stays the same."""
    if outside not in _OUTSIDE:
        msg = f"outside must be one of {', '.join(map(repr, _OUTSIDE))}, got {outside!r}"
        raise ValueError(msg)
    new = checked_shape(access, shape)
    if new != access.layout.shape:
        _claimed(access, lambda claimed: _resize(claimed, new, update, outside))


def _resize(access: Access, new: tuple[int, ...], update: Update, outside: hints.Outside) -> None:
    old = access.layout
    cleared: tuple[int, ...] | None = None

    def patch(latest: Layout) -> Layout:
        nonlocal old
        old = latest
        if len(latest.shape) != len(new):
            what = f"was replaced by an array of shape {latest.shape}"
            msg = f"{_name(access)!r} {what}; open it again"
            raise errors.ShapeError(msg)
        return latest.resized(new)

    def before(latest: Layout, _: Prepared | None) -> None:
        nonlocal cleared
        grows = any(size > n for size, n in zip(new, old.shape, strict=True))
        # Under a claim, only the document can have changed meanwhile, and not its shape.
        if grows and (cleared != old.shape or access.claim is None):
            kept = _delete_outside(access, old)
            _clear_strays(access, old, latest, kept)
            cleared = old.shape

    def then(latest: Layout) -> None:
        # The new shape is made durable before chunks are deleted: a power cut must not restore the
        # old shape without its chunks.
        access.store.settle(access.root)
        # So that handles of this process look at the document again.
        access.paths.removals += 1
        if outside != "keep":
            _delete_outside(access, latest)

    update(access, patch, before if outside == "clear" else None, then)


def append(access: Access, data: Any, axis: int, update: Update) -> tuple[int, ...]:
    """Write data beyond the end of an axis, publish the new shape and return it."""
    # Casting here keeps it out of the turn; below it is repeated only if the type has changed.
    values = casting.elements(data, access.layout.dtype)
    at = operator.index(axis)
    return _claimed(access, lambda claimed: _append(claimed, data, values, at, update))


def _append(access: Access, data: Any, values: Any, axis: int, update: Update) -> tuple[int, ...]:
    new: tuple[int, ...] = ()
    written: tuple[int, ...] | None = None

    def patch(latest: Layout) -> Layout:
        nonlocal new, values
        if values.dtype != latest.dtype.numpy:
            values = casting.elements(data, latest.dtype)
        new = _appended(access, latest, values, axis)
        grown = latest.resized(new)
        if values.dtype.kind == "O":
            values = casting.objects(values, grown, values.shape)
        return grown

    def write(latest: Layout, document: Prepared | None = None) -> None:
        nonlocal written
        # As in a resize, nothing is done twice under a claim.
        if values.size and (written != new or access.claim is None):
            at = axis % len(new)
            starts = [n - values.shape[i] if i == at else 0 for i, n in enumerate(new)]
            spans = tuple(Span(i, starts[i], 1, n) for i, n in enumerate(values.shape))
            _write(access, latest, spans, values, document)
            written = new

    _publish(access, update, patch, write)
    return new


def append_with(
    access: Access, length: Any, axis: int, update: Update, write: Then
) -> tuple[int, ...]:
    """Call ``write`` with the layout of a longer array, publish the new shape and return it."""
    store = access.store
    added, at = checked.as_int(length, "length", 0, error=_shape_error), operator.index(axis)
    if not is_needed(store):
        return _append_with(access, added, at, update, write)
    with _claim(access) as claim:
        try:
            with claim.renewed_in_time():
                return _append_with(access.claimed(claim), added, at, update, write)
        except LostClaimError:
            # What was written must not be written again: it may have taken a day.
            msg = (
                f"another writer took over {_name(access)!r} in {store} while {added} elements "
                "were appended, because this process had not shown for "
                f"{claim.seconds} s that it is alive; nothing was published: append again"
            )
            raise errors.StaleArrayError(msg) from None


def _append_with(
    access: Access, length: int, axis: int, update: Update, write: Then
) -> tuple[int, ...]:
    new: tuple[int, ...] = ()
    written: tuple[int, ...] | None = None

    def patch(latest: Layout) -> Layout:
        nonlocal new
        ndim = len(latest.shape)
        at = _axis(axis, ndim)
        new = _countable(access, tuple(n + length * (i == at) for i, n in enumerate(latest.shape)))
        return latest.resized(new)

    def once(latest: Layout, _: Prepared | None = None) -> None:
        nonlocal written
        if written != new:
            write(latest)
            written = new

    _publish(access, update, patch, once)
    return new


def _publish(access: Access, update: Update, patch: Patch, write: Callable[..., None]) -> None:
    """Publish a longer shape, and ``write`` the elements beyond the old one."""
    if access.store.document_first:
        update(access, patch, None, write)
    else:
        # The data is on the disk before the shape is published.
        update(access, patch, write, None)


def _axis(axis: int, ndim: int) -> int:
    """Return an axis counted from the first; raise BoundsCheckError if there is none."""
    if not -ndim <= axis < ndim:
        msg = f"axis {axis} is out of bounds for array of dimension {ndim}"
        raise errors.BoundsCheckError(msg)
    return axis % ndim


def _claimed(access: Access, change: Callable[[Access], T]) -> T:
    """Return the result of a change of the shape, which meets no other one."""
    if not is_needed(access.store):
        return change(access)
    while True:
        with _claim(access) as claim:
            try:
                return change(access.claimed(claim))
            except LostClaimError:
                continue


def _claim(access: Access) -> Claim:
    """Return the claim of an array whose shape is changed, which is not begun."""
    apart = access.layout.format.separate_attributes is not None
    return Claim(access.store, access.document, None if apart else access.kept)


def _appended(access: Access, layout: Layout, values: Any, axis: int) -> tuple[int, ...]:
    ndim = len(layout.shape)
    axis = _axis(axis, ndim)
    expected = tuple(n for i, n in enumerate(layout.shape) if i != axis)
    found = tuple(n for i, n in enumerate(values.shape) if i != axis)
    if values.ndim != ndim or found != expected:
        msg = (
            f"cannot append data of shape {values.shape} along axis {axis} of {_name(access)!r} "
            f"with shape {layout.shape}: all other axes must agree"
        )
        raise errors.ShapeError(msg)
    new = (n + values.shape[i] if i == axis else n for i, n in enumerate(layout.shape))
    return _countable(access, tuple(new))


def checked_shape(access: Access, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return a new shape; raise ShapeError or MetadataError if the array cannot have it."""
    ndim = len(access.layout.shape)
    if len(shape) != ndim:
        msg = f"shape {shape} has {len(shape)} axes, but array {_name(access)!r} has {ndim}"
        raise errors.ShapeError(msg)
    sizes = []
    for axis, size in enumerate(shape):
        # A size beyond 2**63 - 1 is left to `_countable`, as the product of all sizes is.
        is_huge = isinstance(size, int) and size > checked.MAX_SIZE
        found = size if is_huge else checked.as_int(size, f"shape[{axis}]", 0, error=_shape_error)
        sizes.append(found)
    return _countable(access, tuple(sizes))


def _shape_error(message: str, where: str) -> Exception:
    return errors.ShapeError(f"{where}: {message}")


def _countable(access: Access, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape; raise MetadataError if an array of this shape could not be opened."""
    return checked.as_shape(shape, f"new shape of {_name(access)!r}")


def _name(access: Access) -> str:
    return "/" + access.path


def lasting(access: Access, layout: Layout) -> Access:
    """Return an access to the chunks of ``layout`` whose writes are durable."""
    store = access.chunk_store.lasting()
    if access.claim is not None:
        access = replace(access, synchronizer=access.claim.guarding(access.synchronizer))
    if access.chunk_store is access.store:
        return replace(access, layout=layout, store=store, chunk_store=store)
    return replace(access, layout=layout, chunk_store=store)


def _write(
    access: Access,
    layout: Layout,
    spans: tuple[Span, ...],
    values: Any,
    document: Prepared | None = None,
) -> None:
    work = tuple(span.size for span in spans)
    chunks = lasting(access, layout).chunks
    run.run_write(
        layout,
        chunks,
        Selection(spans, work, work, None),
        np.broadcast_to(values, work),
        store_empty=access.settings.write_empty_chunks,
        beside=document,
    )


def _delete_outside(access: Access, layout: Layout) -> list[tuple[int, ...]]:
    """Delete the stored objects outside the grid of a layout, and return the other coordinates."""
    chunks = lasting(access, layout).chunks
    shape = layout.grid_shape
    kept: list[tuple[int, ...]] = []
    outside: list[str] = []
    for coords in stored_coords(access, layout):
        if is_inside(coords, shape):
            kept.append(coords)
        else:
            outside.append(chunks.key(coords))
    # All at once, so that a folder is synced once; under a claim, as many as one request deletes.
    step = len(outside) if access.claim is None else _TOGETHER
    for start in range(0, len(outside), step or 1):
        if access.claim is not None:
            access.claim.check()
        chunks.store.delitems(outside[start : start + step])
    return kept


def _clear_strays(
    access: Access, old: Layout, new: Layout, stored: Collection[tuple[int, ...]]
) -> None:
    """Fill the stored chunks at the old edge beyond it, as far as the new shape reaches.

    A chunk at the edge is stored at full size. Its elements outside the array may be the remains of
    a larger shape, or any values that its writer chose. A chunk that is not stored has none.
    """
    grid = old.grid
    edges = tuple(map(min, grid.cover(old.shape), new.shape))
    for axis, (before, edge) in enumerate(zip(old.shape, edges, strict=True)):
        if edge <= before:
            continue
        last = grid.locate(axis, before - 1)
        for box in boxes(coords for coords in stored if coords[axis] == last):
            starts = [grid.start(i, chunks.start) for i, chunks in enumerate(box)]
            stops = [min(grid.start(i, box[i].stop), size) for i, size in enumerate(edges)]
            starts[axis] = before
            spans = tuple(
                Span(i, start, 1, stop - start)
                for i, (start, stop) in enumerate(zip(starts, stops, strict=True))
            )
            if all(span.size > 0 for span in spans):
                _write(access, new, spans, new.program.fill)
