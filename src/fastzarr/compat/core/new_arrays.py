"""New arrays: the keywords of zarr-python 3, with its defaults, made those of fastzarr.

Rules of this file:

* Each function creates the array in its store at once, in a plain call, and returns the array of
  fastzarr. Everything is validated before anything is written.
* What zarr-python chooses where nothing is said (chunks, codecs, keys) is said to fastzarr here.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.api.create import create_array
from fastzarr.compat.codecs.bridge import inner_codec
from fastzarr.compat.core._checking import check_codecs, notice
from fastzarr.compat.core._encoding import (
    _parse_chunk_encoding_v2,
    _parse_chunk_encoding_v3,
    _parse_chunk_key_encoding,
    default_compressor_v2,
    default_filters_v2,
)
from fastzarr.compat.core.array_spec import ArrayConfig, parse_array_config
from fastzarr.compat.core.attributes_document import with_attributes
from fastzarr.compat.core.chunk_grids import (
    SHARDED_INNER_CHUNK_MAX_BYTES,
    guess_chunks,
    normalize_chunks_nd,
    resolve_outer_and_inner_chunks,
)
from fastzarr.compat.core.common import _warn_order_kwarg, parse_shapelike
from fastzarr.compat.core.config import config as settings
from fastzarr.compat.core.dtype import parse_dtype
from fastzarr.compat.core.dtype.common import HasItemSize
from fastzarr.compat.core.dtype.npy.structured import Structured
from fastzarr.compat.core.metadata._grids import check_rectilinear_chunks_enabled
from fastzarr.compat.core.metadata.v3 import ChunkGridMetadata, create_chunk_grid_metadata
from fastzarr.compat.core.unpickling import may_unpickle
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.errors import ZarrUserWarning
from fastzarr.metadata.trust import trusted, unpickles
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import as_elsewhere

if TYPE_CHECKING:
    from fastzarr.compat.storage import StorePath

#: The fill value where none is said, which None does not mean: it is one in format 2.
DEFAULT_FILL_VALUE: Any = NOT_GIVEN

_SETTINGS = ("order", "write_empty_chunks", "read_missing_chunks")


def inner_config(config: ArrayConfig) -> dict[str, Any]:
    """Return the settings of a handle that fastzarr has, too."""
    return {name: getattr(config, name) for name in _SETTINGS}


def is_word(value: Any, word: str) -> bool:
    """Whether an argument is ``"auto"`` or ``"keep"``; arrays are no words."""
    return isinstance(value, str) and value == word


def new_array(  # noqa: PLR0913  (signature of zarr-python)
    place: StorePath,
    *,
    shape: Any,
    dtype: Any,
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
    overwrite: bool = False,
    config: Any = None,
    data: Any = None,
) -> Array:
    """Create an array with the keywords of ``create_array``, and with ``data`` if there is any."""
    if zarr_format is None:
        zarr_format = settings.get("default_zarr_format")
    zdtype = parse_dtype(dtype, zarr_format=zarr_format)
    sizes = parse_shapelike(shape)
    keys = _parse_chunk_key_encoding(chunk_key_encoding, zarr_format)
    words: dict[str, Any] = _grid_words(chunks, shards, sizes, zdtype, zarr_format)
    if zarr_format == 2:
        words |= _words_v2(filters, compressors, serializer, dimension_names, zdtype)
        words["order"] = settings.get("array.order") if order is None else order
    else:
        if order is not None:
            _warn_order_kwarg()
        found = _parse_chunk_encoding_v3(
            compressors=compressors, filters=filters, serializer=serializer, dtype=zdtype
        )
        words |= _codec_words(*found)
        words["dimension_names"] = tuple(dimension_names) if dimension_names else None
    return _made(
        place,
        words,
        shape=sizes,
        dtype=zdtype.inner,
        data=data,
        fill_value=_fill(fill_value, zarr_format, zdtype),
        zarr_format=zarr_format,
        attributes=attributes,
        chunk_key_encoding=keys.to_dict(),
        overwrite=overwrite,
        config=config,
    )


def _made(place: StorePath, words: dict[str, Any], **more: Any) -> Array:
    """Create the array at a place."""
    more["config"] = inner_config(parse_array_config(more["config"]))
    if more["attributes"] is not None:
        more["attributes"] = dict(more["attributes"])
    if more["data"] is not None:
        more["shape"] = None
    if more["zarr_format"] != 2:
        fill = more["fill_value"]
        check_codecs(words, more["dtype"], None if fill is DEFAULT_FILL_VALUE else fill)
    # zarr-python allows names that format 3 reserves, and arrays of format 2 in groups of format 3.
    with as_elsewhere():
        made = create_array(inner_store(place.store), name=place.path, **words, **more)
    if unpickles(made.layout):
        layout = trusted(made.layout, allow=may_unpickle)
        made = Array(made.store, made.path, layout=layout, config=more["config"])
    notice(made.layout)
    return with_attributes(made)


def _fill(value: Any, zarr_format: int, zdtype: Any) -> Any:
    # In format 3 there is no array without a fill value.
    default = value is DEFAULT_FILL_VALUE or (value is None and zarr_format == 3)
    if default and isinstance(zdtype, Structured):
        # zeros, also in fields of times
        return zdtype.default_scalar()
    if isinstance(value, float | complex | np.inexact) and value != value:  # noqa: PLR0124  (NaN)
        return _unsigned(value)
    return DEFAULT_FILL_VALUE if value is None and zarr_format == 3 else value


def _unsigned(value: Any) -> Any:
    """Return a number with NaN in it without the sign that arithmetic gives a NaN on some machines.

    Documents have a name for the usual NaN only. The bits of others are kept, and written in
    hexadecimal, which not all readers understand.

    >>> _unsigned(-np.float32("nan")), _unsigned(complex(-np.inf, -np.nan))
    (np.float32(nan), (-inf+nanj))
    """
    found = np.array(value)
    parts = found.reshape(1).view(found.real.dtype)
    usual = np.full(1, np.nan, parts.dtype)
    for place, part in enumerate(parts):
        if np.abs(part).tobytes() == np.abs(usual[0]).tobytes():
            parts[place] = usual[0]
    return found[()] if isinstance(value, np.generic) else found.item()


def _grid_words(
    chunks: Any, shards: Any, shape: tuple[int, ...], zdtype: Any, zarr_format: int
) -> dict[str, Any]:
    """Return the arguments ``chunks`` and ``shards`` of fastzarr."""
    itemsize = zdtype.item_size if isinstance(zdtype, HasItemSize) else 1
    if is_word(chunks, "auto"):
        most = None if shards is None else SHARDED_INNER_CHUNK_MAX_BYTES
        grid = guess_chunks(shape, itemsize, max_bytes=most)
    else:
        grid = normalize_chunks_nd(chunks, shape)
    if not grid.is_regular:
        if zarr_format == 2:
            msg = "Zarr format 2 does not support rectilinear chunk grids."
            raise ValueError(msg)
        if shards is not None:
            msg = (
                "Rectilinear chunks with sharding is not supported. Use rectilinear shards "
                "instead: chunks=(inner_size, ...), shards=[[shard_sizes], ...]"
            )
            raise ValueError(msg)
    outer, inner = resolve_outer_and_inner_chunks(
        array_shape=shape, chunks=grid, shard_shape=shards, item_size=itemsize
    )
    if inner is None:
        return {"chunks": _grid_word(chunks, outer)}
    if zarr_format == 2:
        msg = (
            "Zarr format 2 arrays can only be created with `shard_shape` set to `None`. "
            f"Got `shard_shape={shards}` instead."
        )
        raise ValueError(msg)
    found = _grid_word(shards, outer)
    if isinstance(shards, dict) and isinstance(found, tuple):
        found = {"shape": found, "index_location": shards.get("index_location") or "end"}
    return {"chunks": inner.outer_chunks.chunk_shape, "shards": found}


def _grid_word(given: Any, grid: Any) -> Any:
    """Return a grid as fastzarr takes it: a shape, or a grid as in a document."""
    if isinstance(given, ChunkGridMetadata):
        return given.to_dict()
    if grid.is_regular:
        return grid.chunk_shape
    # Such arrays are read in any case. zarr-python reads them only where they are enabled.
    check_rectilinear_chunks_enabled()
    return create_chunk_grid_metadata(grid).to_dict()


def _codec_words(filters: Any, serializer: Any, compressors: Any) -> dict[str, Any]:
    return {
        "filters": list(map(inner_codec, filters)),
        "serializer": inner_codec(serializer),
        "compressors": list(map(inner_codec, compressors)),
    }


def _words_v2(
    filters: Any, compressors: Any, serializer: Any, dimension_names: Any, zdtype: Any
) -> dict[str, Any]:
    if not is_word(serializer, "auto"):
        msg = "Zarr format 2 arrays do not support `serializer`."
        raise ValueError(msg)
    chosen, compressor = _parse_chunk_encoding_v2(
        compressor=compressors, filters=filters, dtype=zdtype
    )
    if dimension_names is not None:
        msg = "Zarr format 2 arrays do not support dimension names."
        raise ValueError(msg)
    return _codec_words_v2(chosen, compressor)


def _codec_words_v2(filters: Any, compressor: Any) -> dict[str, Any]:
    return {
        "filters": None if filters is None else list(map(inner_codec, filters)),
        "compressor": None if compressor is None else inner_codec(compressor),
    }


def old_array(  # noqa: PLR0913  (signature of zarr-python)
    place: StorePath,
    *,
    shape: Any,
    dtype: Any,
    zarr_format: Any = 3,
    fill_value: Any = DEFAULT_FILL_VALUE,
    attributes: Any = None,
    chunk_shape: Any = None,
    chunk_key_encoding: Any = None,
    codecs: Any = None,
    dimension_names: Any = None,
    chunks: Any = None,
    dimension_separator: Any = None,
    order: Any = None,
    filters: Any = None,
    compressor: Any = "auto",
    overwrite: bool = False,
    data: Any = None,
    config: Any = None,
) -> Array:
    """Create an array with the keywords of ``create``, and with ``data`` if there is any."""
    zdtype = parse_dtype(dtype, zarr_format=zarr_format)
    sizes = parse_shapelike(shape)
    if chunks is not None and chunk_shape is not None:
        msg = "Only one of chunk_shape or chunks can be provided."
        raise ValueError(msg)
    given = chunk_shape if chunks is None else chunks
    if zarr_format == 2 and not _is_given(given):
        given = None
    words = _grid_words("auto" if given is None else given, None, sizes, zdtype, zarr_format)
    if zarr_format == 2:
        _refuse(
            2, codecs=codecs, chunk_key_encoding=chunk_key_encoding, dimension_names=dimension_names
        )
        words |= _old_codecs_v2(filters, compressor, zdtype)
        words["order"] = parse_array_config(config).order if order is None else order
        words["chunk_key_encoding"] = {"name": "v2", "separator": dimension_separator or "."}
    else:
        other = None if is_word(compressor, "auto") else True
        _refuse(3, dimension_separator=dimension_separator, filters=filters, compressor=other)
        if order is not None:
            _warn_order_kwarg()
        words |= _old_codecs_v3(codecs, zdtype)
        words["dimension_names"] = tuple(dimension_names) if dimension_names else None
        keys = _parse_chunk_key_encoding(chunk_key_encoding, zarr_format)
        words["chunk_key_encoding"] = keys.to_dict()
    return _made(
        place,
        words,
        shape=sizes,
        dtype=zdtype.inner,
        data=None if data is None else np.asarray(data),
        fill_value=_fill(fill_value, zarr_format, zdtype),
        zarr_format=zarr_format,
        attributes=attributes,
        overwrite=overwrite,
        config=config,
    )


def _is_given(chunks: Any) -> bool:
    """Whether chunks are named; zero, an empty list and False are not."""
    if isinstance(chunks, np.ndarray) and chunks.size != 1:
        return bool(chunks.size)
    return bool(chunks)


# What to use in place of a keyword that a format does not have.
_INSTEAD = {
    "codecs": "filters and compressor",
    "chunk_key_encoding": "dimension_separator",
    "dimension_separator": "chunk_key_encoding",
    "filters": "array-to-array codecs",
    "compressor": "bytes-to-bytes codecs",
}


def _refuse(zarr_format: int, **words: Any) -> None:
    for word, value in words.items():
        if value is not None:
            msg = f"{word} cannot be used for arrays with zarr_format {zarr_format}."
            if word in _INSTEAD:
                msg += f" Use {_INSTEAD[word]} instead."
            raise ValueError(msg)


def _old_codecs_v2(filters: Any, compressor: Any, zdtype: Any) -> dict[str, Any]:
    from fastzarr.compat.abc.codec import BytesBytesCodec

    if is_word(compressor, "auto"):
        compressor = default_compressor_v2(zdtype)
    elif isinstance(compressor, BytesBytesCodec):
        msg = (
            "Cannot use a BytesBytesCodec as a compressor for zarr v2 arrays. Use a numcodecs "
            "codec directly instead."
        )
        raise ValueError(msg)
    if filters is None:
        filters = default_filters_v2(zdtype)
    elif isinstance(filters, dict) or not isinstance(filters, (list, tuple)):
        filters = [filters]
    return _codec_words_v2(filters, compressor)


def _old_codecs_v3(codecs: Any, zdtype: Any) -> dict[str, Any]:
    if codecs is not None:
        return {"codecs": list(map(inner_codec, codecs))}
    return _codec_words(
        *_parse_chunk_encoding_v3(
            compressors="auto", filters="auto", serializer="auto", dtype=zdtype
        )
    )


def copied_array(place: StorePath, *, data: Any, write_data: bool = True, **words: Any) -> Array:
    """Create an array like another of any library, and copy its elements."""
    is_ours = hasattr(data, "async_array")
    kept = _kept(data, words) if is_ours else _not_kept(words)
    if not hasattr(data, "dtype") or not hasattr(data, "shape"):
        data = np.array(data)
    if is_ours and write_data and words.get("overwrite"):
        _check_apart(data.store_path, place)
    dtype = data.metadata.dtype if is_ours else data.dtype
    source = (data.inner if is_ours else data) if write_data else None
    return new_array(place, shape=data.shape, dtype=dtype, data=source, **kept)


def _check_apart(source: StorePath, place: StorePath) -> None:
    """Raise ValueError if an array would be deleted before it is copied."""
    if inner_store(source.store).place is not inner_store(place.store).place:
        return
    old, new = (f"{path}/" if path else "" for path in (source.path, place.path))
    if old.startswith(new) or new.startswith(old):
        msg = (
            f"Cannot overwrite {place.path!r} with the array at {source.path!r} because the paths "
            "overlap. Write to a different path, or pass data=array[...]."
        )
        raise ValueError(msg)


def _not_kept(words: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords for data that is no array of this package."""
    found = dict(words)
    for word in ("chunks", "shards", "filters", "compressors", "serializer"):
        if is_word(found.get(word, "keep"), "keep"):
            found[word] = None if word == "shards" else "auto"
    if found.get("zarr_format") is None:
        found["zarr_format"] = 3
    return found


def _kept(data: Any, words: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords in which what is kept is that of the source."""
    found, metadata = dict(words), data.metadata
    _keep_grid(data, found)
    if found.get("zarr_format") is None:
        found["zarr_format"] = metadata.zarr_format
    same = found["zarr_format"] == metadata.zarr_format
    for word in ("filters", "compressors"):
        if is_word(found.get(word, "keep"), "keep"):
            found[word] = (getattr(data, word) or None) if same else "auto"
    if is_word(found.get("serializer", "keep"), "keep"):
        found["serializer"] = data.serializer if same and metadata.zarr_format == 3 else "auto"
    if found.get("fill_value", DEFAULT_FILL_VALUE) is DEFAULT_FILL_VALUE:
        found["fill_value"] = data.fill_value
    _keep_order(data, found)
    if found.get("chunk_key_encoding") is None and same:
        found["chunk_key_encoding"] = (
            {"name": "v2", "separator": metadata.dimension_separator}
            if metadata.zarr_format == 2
            else metadata.chunk_key_encoding
        )
    if found.get("dimension_names") is None and metadata.zarr_format == 3:
        found["dimension_names"] = metadata.dimension_names
    if found.get("attributes") is None:
        found["attributes"] = deepcopy(dict(data.attrs))
    return found


def _keep_grid(data: Any, found: dict[str, Any]) -> None:
    layout = data.inner.layout
    sharded = layout.sharding is not None
    grid = None if layout.irregular is None else data.metadata.chunk_grid
    if is_word(found.get("chunks", "keep"), "keep"):
        found["chunks"] = data.chunks if grid is None or sharded else grid
    if is_word(found.get("shards", "keep"), "keep"):
        found["shards"] = (grid or data.shards) if sharded else None


def _keep_order(data: Any, found: dict[str, Any]) -> None:
    old, new = data.metadata.zarr_format, found["zarr_format"]
    if old == 2 and new == 3 and data.order == "F":
        msg = (
            "The 'order' attribute of a Zarr format 2 array does not have a direct analogue in "
            "Zarr format 3. The existing order='F' of the source Zarr format 2 array will be "
            "ignored."
        )
        warnings.warn(msg, ZarrUserWarning, stacklevel=2)
    elif found.get("order") is None and new == 2:
        found["order"] = data.order
