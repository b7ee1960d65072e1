"""What changes or counts an array's stored chunks as a whole: resize, append, views, digests.

Rules of this file:

* Readers are clipped at the published shape, so the order of steps decides what they see. A shrink
  publishes the shape, then deletes. A growth first clears what an earlier, larger shape may have
  left behind, then publishes. An append writes its data, then publishes.
* All of it happens in the array's own turn: the shape that a step starts from is the one in the
  store, so that what several writers append at once stands one behind the other.
* What new elements hold is the fill value, whatever the array once held there.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import casting, checked, errors, node
from fastzarr.buffers import as_view
from fastzarr.codecs.chain import resolve_chain
from fastzarr.creating.chunks import parse_shape
from fastzarr.engine import run
from fastzarr.selection.factors import Selection, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.access import Access
    from fastzarr.array import Array
    from fastzarr.metadata.layout import Layout


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


def stored_chunks(array: Array) -> int:
    """Count the chunks that are stored, inside shards by their indexes."""
    access = array._current()  # noqa: SLF001  (its own other half)
    layout, chunks = access.layout, access.chunks
    shard = layout.program.shard
    total = 0
    for coords in _stored(array, layout, inside=True):
        if shard is None:
            total += math.prod(layout.chunks) // math.prod(layout.inner_chunks)
            continue
        found = chunks.source(coords).get_ranges([shard.index_range()])
        if found is not None:
            index = shard.read_index(found[0], None)
            total += int((index != index.dtype.type(2**64 - 1)).any(axis=1).sum())
    return total


def digest(array: Array, hashname: str) -> bytes:
    """Hash the stored chunks in C order, then the metadata, as zarr-python 2 does."""
    import hashlib

    total = hashlib.new(hashname)
    access = array._current()  # noqa: SLF001  (its own other half)
    layout, chunks = access.layout, access.chunks
    # A chunk that is not stored adds nothing, so those that are stored are enough.
    for coords in sorted(_stored(array, layout, inside=True)):
        total.update(as_view(chunks.get(coords) or b""))
    names = (node.V3_KEY,) if layout.zarr_format == 3 else (node.V2_ARRAY, node.V2_ATTRIBUTES)
    for name in names:
        total.update(array.store.get(node.join(array.path, name)) or b"")
    return total.digest()


def reinterpreted(
    layout: Layout, shape: Any, chunks: Any, dtype: Any, fill_value: Any, filters: Any
) -> Layout:
    """Return a layout that shows the same stored bytes in another way.

    A chunk keeps its key and its size in bytes. Raises ShapeError if the shape or the chunks are
    not those of such a layout: chunks under other keys would be read as fill values, and chunks of
    another size would be written where the array cannot read them.
    """
    from fastzarr import dtypes
    from fastzarr.codecs import BytesCodec, parse
    from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec
    from fastzarr.codecs.numcodecs.filters import FiltersCodec

    changes: dict[str, Any] = {}
    if shape is not None:
        changes["shape"] = checked.as_shape(parse_shape(shape), "view: shape")
    if chunks is not None:
        changes["chunks"] = checked.as_sizes(parse_shape(chunks, "chunks"), "view: chunks", 1)
    data_type = layout.dtype
    if dtype is not None:
        data_type = dtypes.from_numpy(dtype)
        changes["dtype"] = data_type
        changes["fill"] = data_type.default_fill
    if fill_value is not None:
        changes["fill"] = data_type.cast_fill(fill_value)
    codecs = list(layout.codecs)
    if filters is not None:
        place = next(i for i, codec in enumerate(codecs) if isinstance(codec, ArrayBytesCodec))
        if layout.zarr_format == 2:
            configs = [codec.get_config() for codec in filters]
            codecs[place] = FiltersCodec(filters=configs) if configs else BytesCodec(endian=None)
        else:
            kept = [codec for codec in codecs if not isinstance(codec, ArrayArrayCodec)]
            codecs = [*(parse(codec, "filters") for codec in filters), *kept]
    view = replace(layout, **changes)
    _check_grid(layout, view)
    spec = replace(layout.program.spec, shape=view.chunks, dtype=view.dtype, fill=view.fill)
    view = replace(view, codecs=resolve_chain(codecs, spec, "view"))
    _check_chunk_size(layout, view)
    return view


def _check_grid(layout: Layout, view: Layout) -> None:
    shape, chunks, axes = view.shape, view.chunks, len(layout.shape)
    if not len(shape) == len(chunks) == axes:
        msg = (
            f"a view of shape {shape} in chunks {chunks} does not fit an array of {axes} axes: its "
            f"chunks are stored by {axes} numbers each; pass shape= and chunks= of {axes} axes"
        )
        raise errors.ShapeError(msg)
    if any(n > stored for n, stored in zip(view.grid_shape, layout.grid_shape, strict=True)):
        msg = (
            f"a view of shape {shape} in chunks {chunks} has {view.grid_shape} chunks along its "
            f"axes, more than the {layout.grid_shape} of the array; pass a smaller shape= or "
            "larger chunks="
        )
        raise errors.ShapeError(msg)


def _check_chunk_size(layout: Layout, view: Layout) -> None:
    old, new = layout.program, view.program
    sizes = [p.serializer.encoded_size(p.serializer_spec) for p in (old, new)]
    same = None in sizes or sizes[0] == sizes[1]
    if layout.shards is not None:
        # The inner chunks of a shard keep their size and number too.
        same = (layout.chunks, layout.dtype.itemsize) == (view.chunks, view.dtype.itemsize)
    if not same:
        msg = (
            f"a view in chunks {view.chunks} of {view.dtype.numpy} does not fit an array stored in "
            f"chunks {layout.chunks} of {layout.dtype.numpy}: a chunk must keep its size in bytes"
        )
        raise errors.ShapeError(msg)


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


def _stored(array: Array, layout: Layout, *, inside: bool) -> Iterator[tuple[int, ...]]:
    """Go through the coordinates of the stored objects inside the grid, or outside of it."""
    start = len(array.path) + 1 if array.path else 0
    for key in array.chunk_store.list(array.path):
        coords = layout.keys.decode(key[start:], len(layout.shape))
        if coords is not None:
            within = all(k < n for k, n in zip(coords, layout.grid_shape, strict=True))
            if within == inside:
                yield coords


def _delete_outside(array: Array, layout: Layout) -> None:
    """Delete the stored objects outside the grid of a layout."""
    chunks = _lasting(array, layout).chunks
    for coords in list(_stored(array, layout, inside=False)):
        chunks.store.delete(chunks.key(coords))


def _clear_strays(array: Array, old: Layout, new: Layout) -> None:
    """Fill what chunks at the old edge hold beyond it, as far as the new shape shows it.

    A chunk at the edge is stored at full size. What it holds outside the array may be a rest of a
    larger shape, or whatever its writer put there.
    """
    for axis, (before, chunk) in enumerate(zip(old.shape, old.chunks, strict=True)):
        edge = min(-(-before // chunk) * chunk, new.shape[axis])
        if edge <= before:
            continue
        spans = []
        for i, (size, step) in enumerate(zip(old.shape, old.chunks, strict=True)):
            if i == axis:
                spans.append(Span(i, before, 1, edge - before))
            else:
                spans.append(Span(i, 0, 1, min(-(-size // step) * step, new.shape[i])))
        if all(span.size for span in spans):
            _write(array, new, tuple(spans), new.program.fill)
