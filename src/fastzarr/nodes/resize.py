"""Resize and append.

Rules of this file:

* Readers are clipped at the published shape, so the order of steps decides what they see. A shrink
  publishes the shape, then deletes. A growth first clears what an earlier, larger shape may have
  left behind, then publishes. An append writes its data, then publishes.
* All of it happens in the array's own turn: the shape that a step starts from is the one in the
  store, so that what several writers append at once stands one behind the other.
* What new elements hold is the fill value, whatever the array once held there.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import checked, errors
from fastzarr.engine import run
from fastzarr.nodes import casting
from fastzarr.nodes.stored import stored_coords
from fastzarr.selection.factors import Selection, Span

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access
    from fastzarr.nodes.array import Array


def resize(array: Array, shape: tuple[Any, ...]) -> None:
    """Give an array another shape of as many axes."""
    array.refresh()
    new = _checked_shape(array, shape)
    if new == array.layout.shape:
        return

    def patch(latest: Layout) -> Layout:
        if len(latest.shape) != len(new):
            msg = f"{array.name!r} was replaced by an array of shape {latest.shape}; open it again"
            raise errors.ShapeError(msg)
        if any(after > before for after, before in zip(new, latest.shape, strict=True)):
            _delete_outside(array, latest)
            _clear_strays(array, latest, latest.with_members(shape=new))
        return latest.with_members(shape=new)

    array._update(patch)  # noqa: SLF001  (its own other half)
    # A power cut must not bring back the old shape without its chunks.
    array.store.settle(array.path)
    _delete_outside(array, array.layout)


def append(array: Array, data: Any, axis: int) -> tuple[int, ...]:
    """Write data behind the end of an axis, publish the new shape and give it."""
    # Casting here keeps it out of the turn; below it is repeated only if the type has changed.
    values = casting.cast(data, array.layout.dtype.numpy)
    axis = operator.index(axis)
    new: tuple[int, ...] = ()

    def patch(latest: Layout) -> Layout:
        nonlocal new, values
        if values.dtype != latest.dtype.numpy:
            values = casting.cast(data, latest.dtype.numpy)
        new = _appended(array, latest, values, axis)
        if values.size:
            at = axis % len(new)
            starts = [latest.shape[at] if i == at else 0 for i in range(len(new))]
            spans = tuple(Span(i, starts[i], 1, n) for i, n in enumerate(values.shape))
            # The data is on the disk before the shape says that it is there.
            _write(array, latest.with_members(shape=new), spans, values)
        return latest.with_members(shape=new)

    array._update(patch)  # noqa: SLF001  (its own other half)
    return new


def _appended(array: Array, layout: Layout, values: Any, axis: int) -> tuple[int, ...]:
    ndim = len(layout.shape)
    if not -ndim <= axis < ndim:
        msg = f"axis {axis} is out of bounds for array of dimension {ndim}"
        raise errors.BoundsCheckError(msg)
    axis %= ndim
    expected = tuple(n for i, n in enumerate(layout.shape) if i != axis)
    found = tuple(n for i, n in enumerate(values.shape) if i != axis)
    if values.ndim != ndim or found != expected:
        msg = (
            f"cannot append data of shape {values.shape} along axis {axis} of {array.name!r} with "
            f"shape {layout.shape}: all other axes must agree"
        )
        raise errors.ShapeError(msg)
    new = (n + values.shape[i] if i == axis else n for i, n in enumerate(layout.shape))
    return _countable(array, tuple(new))


def _checked_shape(array: Array, shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) != array.ndim:
        msg = f"shape {shape} has {len(shape)} axes, but array {array.name!r} has {array.ndim}"
        raise errors.ShapeError(msg)
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            msg = f"the sizes of a shape are integers of at least 0, not {size!r} in {shape}"
            raise errors.ShapeError(msg)
    return _countable(array, tuple(int(size) for size in shape))


def _countable(array: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape; raise MetadataError if readers could not open an array of it."""
    return checked.as_shape(shape, f"new shape of {array.name!r}")


def _lasting(array: Array, layout: Layout) -> Access:
    """Return an access to the chunks of ``layout`` whose changes outlast a power cut."""
    access = array._access  # noqa: SLF001  (its own other half)
    return replace(access, layout=layout, chunk_store=access.chunk_store.lasting())


def _write(array: Array, layout: Layout, spans: tuple[Span, ...], values: Any) -> None:
    work = tuple(span.size for span in spans)
    chunks = _lasting(array, layout).chunks
    run.run_write(
        layout,
        chunks,
        Selection(spans, work, work, None),
        np.broadcast_to(values, work),
        store_empty=array.write_empty_chunks,
    )


def _delete_outside(array: Array, layout: Layout) -> None:
    """Delete the stored objects outside the grid of a layout."""
    chunks = _lasting(array, layout).chunks
    for coords in list(stored_coords(array, layout, inside=False)):
        chunks.store.delete(chunks.key(coords))


def _clear_strays(array: Array, old: Layout, new: Layout) -> None:
    """Fill what chunks at the old edge hold beyond it, as far as the new shape shows it.

    A chunk at the edge is stored at full size. What it holds outside the array may be a rest of a
    larger shape, or whatever its writer put there.
    """
    edges = tuple(map(min, old.grid.cover(old.shape), new.shape))
    for axis, (before, edge) in enumerate(zip(old.shape, edges, strict=True)):
        if edge <= before:
            continue
        spans = [Span(i, 0, 1, size) for i, size in enumerate(edges)]
        spans[axis] = Span(axis, before, 1, edge - before)
        if all(span.size for span in spans):
            _write(array, new, tuple(spans), new.program.fill)
