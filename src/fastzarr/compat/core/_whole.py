"""What arrays of the facade do with the whole of an array: opened, resized, counted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastzarr.compat.core._checking import notice
from fastzarr.compat.core.array_spec import parse_array_config
from fastzarr.compat.core.common import parse_shapelike
from fastzarr.compat.core.new_arrays import inner_config
from fastzarr.compat.core.unpickling import may_unpickle
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.nodes.array import Array
from fastzarr.nodes.stored import is_inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.compat.storage import StorePath


def resized(array: Array, new_shape: Any, delete: bool = True) -> None:
    """Change the shape of an array; raise ValueError for another number of axes.

    Chunks outside are deleted unless ``delete`` is False. What is kept of a chunk at the edge is
    back when the array grows again.
    """
    shape = parse_shapelike(new_shape)
    if len(shape) != array.ndim:
        msg = (
            f"The new shape of array {array.name!r} must have the same number of dimensions as the "
            f"array. Got {len(shape)} dimension(s), expected {array.ndim}."
        )
        raise ValueError(msg)
    array.resize(shape, outside="delete" if delete else "keep")


def opened(place: StorePath, zarr_format: Any = None, config: Any = None) -> Array:
    """Open the array of fastzarr at a place; raise ``ArrayNotFoundError`` if there is none."""
    made = Array(
        inner_store(place.store),
        place.path,
        zarr_version=zarr_format,
        allow_pickle=may_unpickle,
        config=inner_config(parse_array_config(config)),  # type: ignore[arg-type]
    )
    notice(made.layout)
    return made


def stored_objects(array: Array) -> int:
    """Return the number of stored chunks, or of shards."""
    return sum(1 for _ in _stored(array))


def stored_keys(array: Array) -> tuple[str, ...]:
    """Return the keys of the stored chunks or shards, in the order of the grid."""
    encode = array.layout.keys.encode
    return tuple(encode(coords) for coords in sorted(_stored(array)))


def stored_chunks(array: Array) -> int:
    """Return the number of chunks in what is stored; those of a shard are counted all."""
    layout = array.layout
    if layout.sharding is None:
        return stored_objects(array)
    grid = layout.grid
    return sum(
        math.prod(
            int(grid.size(axis, k)) // step
            for axis, (k, step) in enumerate(zip(coords, layout.inner_chunks, strict=True))
        )
        for coords in _stored(array)
    )


def _stored(array: Array) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of the stored objects inside the array."""
    layout, root = array.layout, array.path
    start = len(root) + 1 if root else 0
    for key in array.chunk_store.list(root):
        coords = layout.keys.decode(key[start:], layout.ndim)
        if coords is not None and is_inside(coords, layout.grid_shape):
            yield coords
