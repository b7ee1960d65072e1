"""Views: the stored chunks of an array with another shape, data type or filters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastzarr import checked, errors
from fastzarr.codecs.chain import resolve_chain
from fastzarr.creating.chunks import parse_shape

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


def reinterpreted(
    layout: Layout, shape: Any, chunks: Any, dtype: Any, fill_value: Any, filters: Any
) -> Layout:
    """Return a layout that describes the same stored chunks with other metadata.

    A chunk keeps its key and its size in bytes. Raise ShapeError if the shape or the chunks do not
    allow that: chunks with other keys would be read as fill values, and chunks of another size
    would be written that the original array cannot read.
    """
    from fastzarr import dtypes

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
        codecs = layout.format.with_filters(layout, filters)
    if layout.irregular is not None and {"shape", "chunks"} & changes.keys():
        msg = "a view of an array whose chunks differ in shape has the same shape and chunks"
        raise errors.ShapeError(msg)
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
    forms = [p.serializer.stored_form(p.serializer_spec) for p in (old, new)]
    same = None in forms or forms[0] == forms[1]
    if layout.shards is not None:
        # The inner chunks of a shard must also keep their size and number.
        same = (layout.chunks, layout.dtype.itemsize) == (view.chunks, view.dtype.itemsize)
    if not same:
        msg = (
            f"a view in chunks {view.chunks} of {view.dtype.numpy} does not fit an array stored in "
            f"chunks {layout.chunks} of {layout.dtype.numpy}: a chunk must keep its size in bytes"
        )
        raise errors.ShapeError(msg)
