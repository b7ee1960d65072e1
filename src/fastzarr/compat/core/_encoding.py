"""The arguments of a new array that name codecs and keys, as zarr-python reads them.

Rules of this file:

* Each function returns objects of the facade. The default compressor is Zstandard at level 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from fastzarr.compat.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from fastzarr.compat.abc.numcodec import _is_numcodec
from fastzarr.compat.codecs import BytesCodec, VLenBytesCodec, VLenUTF8Codec, ZstdCodec
from fastzarr.compat.core.chunk_key_encodings import parse_chunk_key_encoding
from fastzarr.compat.core.dtype.common import HasEndianness, HasObjectCodec
from fastzarr.compat.core.dtype.npy.bytes import VariableLengthBytes
from fastzarr.compat.core.dtype.npy.string import VariableLengthUTF8
from fastzarr.compat.core.dtype.npy.structured import Structured
from fastzarr.compat.core.metadata.v2 import get_object_codec_id, parse_compressor, parse_filters
from fastzarr.compat.registry import get_codec_class
from fastzarr.errors import ZarrUserWarning

_OBJECT_CODECS = ((VariableLengthUTF8, "VLenUTF8"), (VariableLengthBytes, "VLenBytes"))


def default_compressors_v3(dtype: Any) -> tuple[Any, ...]:
    """Return the compressors of a new array of format 3."""
    del dtype
    return (ZstdCodec(),)


def default_serializer_v3(dtype: Any) -> Any:
    """Return the serializer of a new array of format 3; raise ValueError if there is none."""
    if isinstance(dtype, HasEndianness) or (
        isinstance(dtype, Structured) and dtype.has_multi_byte_fields()
    ):
        return BytesCodec(endian="little")
    if not isinstance(dtype, HasObjectCodec):
        return BytesCodec(endian=None)
    kinds = {"vlen-bytes": VLenBytesCodec, "vlen-utf8": VLenUTF8Codec}
    return kinds[_known_object_codec(dtype)]()


def _known_object_codec(dtype: Any) -> str:
    found = dtype.object_codec_id
    if found not in ("vlen-bytes", "vlen-utf8"):
        msg = f"Data type {dtype} requires an unknown object codec: {found!r}."
        raise ValueError(msg)
    return str(found)


def default_filters_v2(dtype: Any) -> tuple[Any, ...] | None:
    """Return the filters of a new array of format 2, None if it needs none."""
    if not isinstance(dtype, HasObjectCodec):
        return None
    import numcodecs

    kinds = {"vlen-bytes": numcodecs.VLenBytes, "vlen-utf8": numcodecs.VLenUTF8}
    return (kinds[_known_object_codec(dtype)](),)


def default_compressor_v2(dtype: Any) -> Any:
    """Return the compressor of a new array of format 2."""
    del dtype
    import numcodecs

    return numcodecs.Zstd(level=0, checksum=False)


def parse_codec(data: Any, kind: type) -> Any:
    """Return a codec, an object or a document, of one kind; raise TypeError for another kind."""
    article = "an" if kind.__name__[0] == "A" else "a"
    if not isinstance(data, dict):
        if not isinstance(data, kind):
            msg = f"Expected {article} {kind.__name__}. Got {type(data)} instead."
            raise TypeError(msg)
        return data
    found = get_codec_class(data["name"]).from_dict(data)
    if not isinstance(found, kind):
        msg = (
            f"Expected a dict representation of {article} {kind.__name__}; got a dict "
            f"representation of a {type(found)} instead."
        )
        raise TypeError(msg)
    return found


def _several(codecs: Any) -> Iterable[Any]:
    """Return one codec or several as several."""
    if isinstance(codecs, Mapping | Codec) or not isinstance(codecs, Iterable):
        return (codecs,)
    return codecs


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _parse_chunk_encoding_v3(
    *, compressors: Any, filters: Any, serializer: Any, dtype: Any
) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
    """Return the codecs of an array of format 3 before, of and after its serializer."""

    def chosen(given: Any, default: tuple[Any, ...], kind: type) -> Any:
        if given is None:
            return ()
        if _is_auto(given):
            return default
        return tuple(parse_codec(item, kind) for item in _several(given))

    made = (
        default_serializer_v3(dtype)
        if _is_auto(serializer)
        else parse_codec(serializer, ArrayBytesCodec)
    )
    return (
        chosen(filters, (), ArrayArrayCodec),
        made,
        chosen(compressors, default_compressors_v3(dtype), BytesBytesCodec),
    )


def _parse_chunk_encoding_v2(
    *, compressor: Any, filters: Any, dtype: Any
) -> tuple[tuple[Any, ...] | None, Any]:
    """Return the filters and the compressor of an array of format 2."""
    made = _compressor_v2(compressor, dtype)
    chosen = _filters_v2(filters, dtype)
    if isinstance(dtype, HasObjectCodec):
        used = [*(chosen or ()), *(() if made is None else (made,))]
        if get_object_codec_id([codec.get_config() for codec in used]) is None:
            name = next((codec for kind, codec in _OBJECT_CODECS if isinstance(dtype, kind)), None)
            what = (
                f"the numcodecs.{name} codec"
                if name
                else f"an unknown object codec with id {dtype.object_codec_id!r}"
            )
            msg = (
                f"Data type {dtype} requires {what}, but no such codec was specified in the "
                "filters or compressor parameters for this array. "
            )
            raise ValueError(msg)
    return chosen, made


def _compressor_v2(compressor: Any, dtype: Any) -> Any:
    if compressor is None or compressor == ():
        return None
    if _is_auto(compressor):
        return default_compressor_v2(dtype)
    if isinstance(compressor, tuple | list) and len(compressor) == 1:
        return parse_compressor(compressor[0])
    if isinstance(compressor, Iterable) and not isinstance(compressor, dict):
        msg = (
            "For Zarr format 2 arrays, the `compressor` must be a single codec. Got an iterable "
            f"with type {type(compressor)} instead."
        )
        raise TypeError(msg)
    return parse_compressor(compressor)


def _filters_v2(filters: Any, dtype: Any) -> Any:
    if filters is None:
        return None
    if _is_auto(filters):
        return default_filters_v2(dtype)
    if isinstance(filters, Iterable):
        filters = tuple(filters)
        for place, item in enumerate(filters):
            if not _is_numcodec(item) and not isinstance(item, dict):
                msg = (
                    "For Zarr format 2 arrays, all elements of `filters` must be numcodecs codecs. "
                    f"Element at index {place} has type {type(item)}, which is not a numcodecs "
                    "codec."
                )
                raise TypeError(msg)
    return parse_filters(filters)


def _parse_chunk_key_encoding(data: Any, zarr_format: int) -> Any:
    """Return the encoding of keys; raise ValueError if the format does not have it."""
    name, separator = ("v2", ".") if zarr_format == 2 else ("default", "/")
    if isinstance(data, tuple):
        data = {"name": data[0], "separator": data[1]}
    found = parse_chunk_key_encoding(
        {"name": name, "separator": separator} if data is None else data
    )
    if zarr_format == 2 and found.name != "v2":
        msg = (
            "Invalid chunk key encoding. For Zarr format 2 arrays, the `name` field of the "
            f"chunk key encoding must be 'v2'. Got `name` = {found.name} instead."
        )
        raise ValueError(msg)
    return found


def _parse_deprecated_compressor(compressor: Any, compressors: Any, zarr_format: int = 3) -> Any:
    """Return the compressors that ``compressor=`` or ``compressors=`` name."""
    if _is_auto(compressor):
        if zarr_format == 2 and _is_auto(compressors):
            return ({"id": "blosc"},)
        return compressors
    if not _is_auto(compressors):
        msg = "Cannot specify both `compressor` and `compressors`."
        raise ValueError(msg)
    if zarr_format == 3:
        msg = "The `compressor` argument is deprecated. Use `compressors` instead."
        warnings.warn(msg, ZarrUserWarning, stacklevel=2)
    return () if compressor is None else (compressor,)
