"""An ``ArraySpec`` converted to a ``Layout`` of a format.

Rules of this file:

* An unspecified format is that of the parent group, else that of the store, else 2 if a keyword is
  specific to format 2, else the setting ``default_zarr_format``.
* All keywords are validated here, before any access to a store. An invalid value raises
  ``MetadataError`` naming its argument, such as ``chunks[1]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastzarr import checked
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.chain import check_nesting, check_shapes, check_sizes, resolve_chain
from fastzarr.config import config
from fastzarr.creating.chunks import parse_chunks, parse_grid, parse_shape, parse_shards
from fastzarr.creating.codecs import (
    as_codecs,
    chain_v2,
    chain_v3,
    codec_id,
    compressor_n5,
    is_numcodec,
)
from fastzarr.creating.given import NOT_GIVEN, absent
from fastzarr.creating.keys import keys_v2, parse_keys
from fastzarr.creating.like import dtype_of, is_object
from fastzarr.dtypes import from_numpy
from fastzarr.errors import MetadataValidationError, ZarrRuntimeWarning, caller_level
from fastzarr.grids.base import Grid, largest
from fastzarr.grids.keys import BlockKeys
from fastzarr.metadata import n5
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.metadata.formats import default_format
from fastzarr.metadata.layout import Layout
from fastzarr.metadata.n5 import FORMAT as N5
from fastzarr.metadata.trust import trusted
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v2 import layout_codecs
from fastzarr.metadata.v3 import FORMAT as V3

if TYPE_CHECKING:
    from fastzarr.creating.words import ArraySpec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Format


def choose_format(spec: ArraySpec, above: Format | None = None) -> Format:
    """Return the format of the array; ``above`` is that of its parent group or store, if any."""
    if spec.format is not None:
        return spec.format
    if above is not None:
        return above
    return V2 if _only_v2(spec) else default_format()


def make_layout(spec: ArraySpec, format: Format, separator: str | None = None) -> Layout:
    """Return the layout of the array in a format.

    ``separator`` is the default separator of chunk keys in format 2. Raise ``MetadataError``,
    naming the argument, for an invalid value, and TypeError if a required argument is missing.
    """
    if format is V3:
        layout = _layout_v3(spec)
    elif format is V2:
        layout = _layout_v2(spec, separator)
    elif format is N5:
        layout = _layout_n5(spec)
    else:
        msg = f"arrays of format {format.number} can be opened, but not created"
        raise MetadataValidationError(msg, "zarr_format")
    if spec.object_codec is not None and codec_id(spec.object_codec) == "pickle":
        # Creating an array with the pickle codec implies permission to unpickle it.
        layout = trusted(layout, allow=True)
    return layout


def _only_v2(spec: ArraySpec) -> bool:
    if spec.dimension_separator is not None or spec.object_codec is not None:
        return True
    if spec.compressor is None or is_numcodec(spec.compressor):
        return True
    return any(map(is_numcodec, as_codecs(spec.filters, "filters") or ()))


def _shape(spec: ArraySpec) -> tuple[int, ...]:
    if spec.shape is None and spec.data is None:
        msg = "shape= is missing; pass it, or data="
        raise TypeError(msg)
    shape = parse_shape(spec.data.shape if spec.shape is None else spec.shape)
    if spec.data is not None and shape != tuple(spec.data.shape):
        msg = f"must be the shape of the data, {tuple(spec.data.shape)}, not {shape}"
        raise MetadataValidationError(msg, "shape")
    return checked.as_shape(list(shape), "shape")


def _dtype(spec: ArraySpec) -> DataType:
    dtype, object_id = spec.dtype, codec_id(spec.object_codec)
    if dtype is None:
        dtype = "float64" if spec.data is None else dtype_of(spec.data)
    if object_id is None and is_object(dtype):
        # As in zarr-python 2, the object codec may also be the first filter.
        first = next(iter(as_codecs(spec.filters, "filters") or ()), None)
        object_id = codec_id(first)
    try:
        return from_numpy(dtype, object_codec_id=object_id)
    except TypeError as error:
        msg = f"dtype={dtype!r}: {error}"
        raise TypeError(msg) from error


def _fill(spec: ArraySpec, dtype: DataType, number: int) -> Any:
    if isinstance(spec.fill_value, type(NOT_GIVEN)):
        return dtype.default_fill
    return dtype.stored_fill(spec.fill_value, number)


def _attributes(spec: ArraySpec) -> dict[str, Any]:
    return {} if spec.attributes is None else plain_attributes(spec.attributes)


def _layout_v3(spec: ArraySpec) -> Layout:
    dtype = _dtype(spec)
    dtype.to_v3()  # raises for data types of format 2 only
    dtype, shape = dtype.native(), _shape(spec)
    shards, options = _shard_options(spec.shards)
    grid, given = None, spec.chunks
    is_usual = isinstance(given, tuple | list) and set(map(type, given)) <= {int}
    if not is_usual and (shards is None or shards is False or shards is NOT_GIVEN):
        grid = parse_grid(given, shape, "chunks")
    outer: Any = None
    if grid is not None:
        chunks = largest(grid.variety())
    else:
        inner, outer = parse_shards(shards, spec.chunks, shape, dtype.itemsize)
        chunks = inner if outer is None else outer
        if isinstance(outer, Grid):
            grid, chunks = outer, largest(outer.variety())
    fill = _fill(spec, dtype, 3)
    if spec.order == "F":
        _warn_order()
    elif spec.order not in (None, "C"):
        _refuse_order(spec.order)
    chain = chain_v3(spec, dtype)
    if outer is not None:
        from fastzarr.codecs.sharding import ShardingCodec

        chain = [ShardingCodec(chunk_shape=inner, codecs=tuple(chain), **options)]
    check_nesting(chain, "shards")
    codecs = resolve_chain(chain, ChunkSpec(chunks, dtype, fill), "codecs")
    if grid is not None:
        check_shapes(codecs, ChunkSpec(chunks, dtype, fill), grid.variety(), "codecs")
    check_sizes(chunks, dtype, codecs, "chunks")
    return Layout(
        format=V3,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        keys=parse_keys(spec.chunk_key_encoding, spec.dimension_separator),
        fill=fill,
        codecs=codecs,
        dimension_names=parse_names(spec.dimension_names, len(shape)),
        attributes=_attributes(spec),
        irregular=grid,
    )


def _layout_v2(spec: ArraySpec, separator: str | None) -> Layout:
    dtype, shape = _dtype(spec), _shape(spec)
    _refuse_v3_words(spec)
    if spec.chunk_key_encoding is not None or spec.dimension_separator is not None:
        separator = spec.dimension_separator
    order = config["array.order"] if spec.order is None else spec.order
    if order not in ("C", "F"):
        _refuse_order(order)
    chunks = parse_chunks(spec.chunks, shape, dtype.itemsize)
    fill = None if spec.fill_value is None else _fill(spec, dtype, 2)
    filters, compressor = chain_v2(spec, dtype)
    chunk_spec = ChunkSpec(chunks, dtype, fill)
    chain = layout_codecs(chunk_spec, order=order, filters=filters, compressor=compressor, where="")
    check_sizes(chunks, dtype, chain, "chunks")
    return Layout(
        format=V2,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        keys=keys_v2(spec.chunk_key_encoding, separator),
        fill=fill,
        codecs=chain,
        attributes=_attributes(spec),
        order=order,
    )


def _layout_n5(spec: ArraySpec) -> Layout:
    dtype, shape = _dtype(spec).native(), _shape(spec)
    n5.check_data_type(dtype)
    _refuse_v3_words(spec, "N5")
    for word, value in (("filters", spec.filters), ("object_codec", spec.object_codec)):
        if as_codecs(value, word):
            msg = "N5 has no filters; omit them, or pass zarr_format=3"
            raise MetadataValidationError(msg, word)
    if spec.chunk_key_encoding is not None and spec.chunk_key_encoding != BlockKeys():
        msg = "the keys of N5 cannot be chosen; omit it"
        raise MetadataValidationError(msg, "chunk_key_encoding")
    if spec.order not in (None, "C"):
        msg = f"must be 'C' in N5, not {spec.order!r}"
        raise MetadataValidationError(msg, "order")
    given = None if absent(spec.fill_value) else spec.fill_value
    if given is not None and dtype.cast_fill(given) != 0:
        msg = f"N5 has no fill value other than 0, but {spec.fill_value!r} was passed"
        raise MetadataValidationError(msg, "fill_value")
    chunks = parse_chunks(spec.chunks, shape, dtype.itemsize)
    attributes = _attributes(spec)
    n5.check_attributes(attributes)
    layout = n5.make_layout(shape, dtype, chunks, compressor_n5(spec), "chunks")
    return layout.with_members(attributes=attributes)


def _refuse_v3_words(spec: ArraySpec, name: str = "format 2") -> None:
    words = {
        "shards": None if spec.shards is False else spec.shards,
        "serializer": spec.serializer,
        "codecs": spec.codecs,
        "dimension_names": spec.dimension_names,
    }
    for word, value in words.items():
        if value is not None and not absent(value):
            msg = f"requires format 3, but this array is of {name}; pass zarr_format=3"
            raise MetadataValidationError(msg, word)


def parse_names(names: Any, ndim: int) -> tuple[str | None, ...] | None:
    """Return dimension names as a tuple with a string or None for each axis, or None.

    Raise ``MetadataValidationError`` if they are invalid or not as many as axes.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        msg = f"must be a sequence with one name for each axis, not {names!r}"
        raise MetadataValidationError(msg, "dimension_names")
    found = tuple(names)
    for axis, name in enumerate(found):
        if name is not None and not (isinstance(name, str) and checked.is_text(name)):
            msg = f"must be a string of valid Unicode or None, not {name!r}"
            raise MetadataValidationError(msg, f"dimension_names[{axis}]")
    if len(found) != ndim:
        msg = f"has {len(found)} names, {found!r}, for an array of {ndim} dimensions"
        raise MetadataValidationError(msg, "dimension_names")
    return tuple(None if name is None else str.__str__(name) for name in found)


def _shard_options(shards: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(shards, Mapping) or "name" in shards:
        return shards, {}
    options = dict(shards)
    shape = options.pop("shape", "auto")
    unknown = set(options) - {"index_location", "index_codecs"}
    if unknown:
        msg = f"unknown keys {sorted(unknown)}; known keys: shape, index_location, index_codecs"
        raise MetadataValidationError(msg, "shards")
    if "index_codecs" in options:
        options["index_codecs"] = tuple(as_codecs(options["index_codecs"], "shards") or ())
    return shape, options


def _refuse_order(order: Any) -> None:
    msg = f"must be 'C' or 'F', not {order!r}"
    raise MetadataValidationError(msg, "order")


def _warn_order() -> None:
    import warnings

    msg = (
        "order='F' has no effect in format 3; to store chunks in column-major order, pass "
        "filters=[TransposeCodec(order=...)], or use zarr_format=2"
    )
    warnings.warn(msg, ZarrRuntimeWarning, stacklevel=caller_level())
