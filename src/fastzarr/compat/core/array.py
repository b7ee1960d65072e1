"""Arrays under zarr-python's names, and the functions that create them.

Rules of this file:

* The functions are awaited. Each has the keywords and defaults of zarr-python 3.4, and creates the
  array in one plain call (``new_arrays.py``) on another thread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from fastzarr.compat.core._described import (
    iter_chunk_coords as _iter_chunk_coords,
)
from fastzarr.compat.core._described import (
    iter_regions as _iter_chunk_regions,
)
from fastzarr.compat.core._described import (
    iter_shard_coords as _iter_shard_coords,
)
from fastzarr.compat.core._described import (
    iter_shard_keys as _iter_shard_keys,
)
from fastzarr.compat.core._encoding import (
    _parse_chunk_encoding_v2,
    _parse_chunk_encoding_v3,
    _parse_chunk_key_encoding,
    _parse_deprecated_compressor,
    default_compressor_v2,
    default_compressors_v3,
    default_filters_v2,
    default_serializer_v3,
)
from fastzarr.compat.core._handles import (
    Array,
    AsyncArray,
    parse_array_metadata,
)
from fastzarr.compat.core._whole import opened, stored_keys
from fastzarr.compat.core.array_spec import ArraySpec
from fastzarr.compat.core.awaiting import awaited
from fastzarr.compat.core.codec_pipeline import create_codec_pipeline
from fastzarr.compat.core.new_arrays import DEFAULT_FILL_VALUE, copied_array, new_array
from fastzarr.compat.storage._common import make_store_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastzarr.compat.storage import StorePath
    from fastzarr.nodes.array import Array as Inner

__all__ = [
    "DEFAULT_FILL_VALUE",
    "Array",
    "AsyncArray",
    "CompressorLike",
    "CompressorsLike",
    "FiltersLike",
    "SerializerLike",
    "ShardsConfigParam",
    "ShardsLike",
    "_get_chunk_spec",
    "_iter_chunk_coords",
    "_iter_chunk_coords_to_delete",
    "_iter_chunk_regions",
    "_iter_shard_coords",
    "_iter_shard_keys",
    "_iter_shard_regions",
    "_parse_chunk_encoding_v2",
    "_parse_chunk_encoding_v3",
    "_parse_chunk_key_encoding",
    "_parse_deprecated_compressor",
    "_shards_initialized",
    "create_array",
    "create_codec_pipeline",
    "default_compressor_v2",
    "default_compressors_v3",
    "default_filters_v2",
    "default_serializer_v3",
    "from_array",
    "init_array",
    "opened",
    "parse_array_metadata",
]

_iter_shard_regions = _iter_chunk_regions

FiltersLike: TypeAlias = Any
CompressorLike: TypeAlias = Any
CompressorsLike: TypeAlias = Any
SerializerLike: TypeAlias = Any


class ShardsConfigParam(TypedDict):
    """Shards, with the place of their index."""

    shape: tuple[int, ...]
    index_location: Literal["start", "end"] | None


ShardsLike: TypeAlias = Any

# They are defined elsewhere, and known to be here.
for _kind in (Array, AsyncArray):
    _kind.__module__ = __name__


async def _created(place: StorePath, call: Callable[..., Inner], **words: Any) -> AsyncArray:
    made = await awaited(place.store, call, place, **words)
    return AsyncArray.from_inner(made, place)


async def init_array(*, store_path: StorePath, **words: Any) -> AsyncArray:
    """Create an array without data at a store path, with the keywords of ``create_array``."""
    return await _created(store_path, new_array, **words)


async def create_array(  # noqa: PLR0913  (signature of zarr-python)
    store: Any,
    *,
    name: str | None = None,
    shape: Any = None,
    dtype: Any = None,
    data: Any = None,
    chunks: Any = "auto",
    shards: Any = None,
    filters: Any = "auto",
    compressors: Any = "auto",
    serializer: Any = "auto",
    fill_value: Any = DEFAULT_FILL_VALUE,
    order: Any = None,
    zarr_format: Any = 3,
    attributes: Any = None,
    chunk_key_encoding: Any = None,
    dimension_names: Any = None,
    storage_options: dict[str, Any] | None = None,
    overwrite: bool = False,
    config: Any = None,
    write_data: bool = True,
) -> AsyncArray:
    """Create an array in a store, at the path ``name``, from a shape and a dtype or from data.

    >>> import asyncio
    >>> asyncio.run(create_array({}, data=[1, 2, 3])).shape
    (3,)
    """
    words = {
        "chunks": chunks,
        "shards": shards,
        "filters": filters,
        "compressors": compressors,
        "serializer": serializer,
        "fill_value": fill_value,
        "order": order,
        "zarr_format": zarr_format,
        "attributes": attributes,
        "chunk_key_encoding": chunk_key_encoding,
        "dimension_names": dimension_names,
        "overwrite": overwrite,
        "config": config,
    }
    check_data(data, shape, dtype)
    place = await make_store_path(store, path=name, mode="a", storage_options=storage_options)
    if data is None:
        return await _created(place, new_array, shape=shape, dtype=dtype, **words)
    return await _created(place, copied_array, data=data, write_data=write_data, **words)


def check_data(data: Any, shape: Any, dtype: Any) -> None:
    """Raise ValueError unless there is either data, or a shape and a dtype."""
    for name, value in (("shape", shape), ("dtype", dtype)):
        if data is None and value is None:
            msg = (
                f"The data parameter was set to None, but {name} was not specified. Either "
                f"provide a value for data, or specify {name}."
            )
            raise ValueError(msg)
        if data is not None and value is not None:
            msg = (
                f"The data parameter was used, but the {name} parameter was also used. This is an "
                f"error. Either use the data parameter, or the {name} parameter, but not both."
            )
            raise ValueError(msg)


async def from_array(  # noqa: PLR0913  (signature of zarr-python)
    store: Any,
    *,
    data: Any,
    write_data: bool = True,
    name: str | None = None,
    chunks: Any = "keep",
    shards: Any = "keep",
    filters: Any = "keep",
    compressors: Any = "keep",
    serializer: Any = "keep",
    fill_value: Any = DEFAULT_FILL_VALUE,
    order: Any = None,
    zarr_format: Any = None,
    attributes: Any = None,
    chunk_key_encoding: Any = None,
    dimension_names: Any = None,
    storage_options: dict[str, Any] | None = None,
    overwrite: bool = False,
    config: Any = None,
) -> AsyncArray:
    """Create an array like another of any library, and copy its elements.

    >>> import asyncio
    >>> asyncio.run(from_array({}, data=[[1, 2], [3, 4]])).shape
    (2, 2)
    """
    place = await make_store_path(store, path=name, mode="a", storage_options=storage_options)
    return await _created(
        place,
        copied_array,
        data=data,
        write_data=write_data,
        chunks=chunks,
        shards=shards,
        filters=filters,
        compressors=compressors,
        serializer=serializer,
        fill_value=fill_value,
        order=order,
        zarr_format=zarr_format,
        attributes=attributes,
        chunk_key_encoding=chunk_key_encoding,
        dimension_names=dimension_names,
        overwrite=overwrite,
        config=config,
    )


async def _shards_initialized(array: AsyncArray) -> tuple[str, ...]:
    """Return the keys of the stored chunks or shards inside the array, in the order of the grid."""
    return await awaited(array.store, stored_keys, array.inner)


def _get_chunk_spec(
    metadata: Any, chunk_grid: Any, chunk_coords: tuple[int, ...], array_config: Any, prototype: Any
) -> ArraySpec:
    """Return the specification of a chunk; raise IndexError if it is outside the grid."""
    found = chunk_grid[chunk_coords]
    if found is None:
        msg = f"Chunk coordinates {chunk_coords} are out of bounds."
        raise IndexError(msg)
    return ArraySpec(
        shape=found.codec_shape,
        dtype=metadata.dtype,
        fill_value=metadata.fill_value,
        config=array_config,
        prototype=prototype,
    )


def _iter_chunk_coords_to_delete(
    old_grid_shape: tuple[int, ...], new_grid_shape: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of a grid that are outside a new one, each of them once."""
    remaining = list(map(range, old_grid_shape))
    for axis, (old, new) in enumerate(zip(old_grid_shape, new_grid_shape, strict=True)):
        if new < old:
            slab = [*remaining]
            slab[axis] = range(new, old)
            total = math.prod(map(len, slab))
            # `itertools.product` would keep all coordinates of an axis in memory.
            for number in range(total):
                coords, rest = [], number
                for values in reversed(slab):
                    rest, at = divmod(rest, len(values))
                    coords.append(values[at])
                yield tuple(reversed(coords))
            remaining[axis] = range(new)
