"""Which codecs a new array gets: what its maker named, and the defaults for what nobody named.

Rules of this file:

* Codecs are named by objects of this package or of numcodecs, by mappings as they stand in metadata
  of either format, or by bare names; one alone or several in a sequence. ``"auto"`` and
  ``"default"`` name none, ``None`` and an empty sequence ask for none.
* Unnamed compressors are Blosc (lz4, level 5, shuffle), or zstd where elements vary in length, and
  in format 3 a ``crc32c`` behind them. What is named is taken as named.
* An error is placed at the argument, such as ``compressors[0].configuration.level``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from fastzarr.chunking import NOT_GIVEN
from fastzarr.errors import MetadataValidationError

if TYPE_CHECKING:
    from fastzarr.arguments import Request
    from fastzarr.codecs.base import ArrayBytesCodec, Codec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.layout import Layout

_V2 = 2
_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
_ZSTD = {"id": "zstd", "level": 0}


def like(layout: Layout, *, dtype_changes: bool = False) -> dict[str, Any]:
    """Give the keywords that make another array of this layout, but for shape and attributes.

    Where the data type is to be another one, what a codec learnt from it is left out.
    """
    words: dict[str, Any] = {"zarr_format": layout.zarr_format, "fill_value": layout.fill}
    if not dtype_changes:
        words["dtype"] = layout.dtype
    if layout.zarr_format == _V2:
        from fastzarr.metadata import v2

        # Filters may hold the data type too, the codec of objects among them.
        filters = [] if dtype_changes else v2.filter_configs(layout)
        if dtype_changes:
            del words["fill_value"]
        return words | {
            "chunks": layout.chunks,
            "filters": filters or None,
            "compressor": v2.compressor_config(layout),
            "order": layout.order,
            "dimension_separator": layout.keys.separator,
        }
    words["chunk_key_encoding"] = layout.keys
    codecs, sharding = layout.codecs, layout.sharding
    words["chunks"] = layout.chunks
    if sharding is not None and sharding.is_plain:
        # A transpose of a shard becomes one of each inner chunk, which stores the same bytes.
        words |= {
            "chunks": layout.inner_chunks,
            "shards": {
                "shape": layout.chunks,
                "index_location": sharding.codec.index_location,
                "index_codecs": sharding.codec.index_codecs,
            },
        }
        codecs = layout.chunk_codecs
    if dtype_changes:
        del words["fill_value"]
    return words | _split_chain(codecs, dtype_changes=dtype_changes)


def _split_chain(codecs: tuple[Codec, ...], *, dtype_changes: bool) -> dict[str, Any]:
    from fastzarr.codecs.base import ArrayArrayCodec, BytesBytesCodec

    filters = [codec for codec in codecs if isinstance(codec, ArrayArrayCodec)]
    compressors = [codec for codec in codecs if isinstance(codec, BytesBytesCodec)]
    serializer: Any = codecs[len(filters)]
    if dtype_changes:
        filters = [codec for codec in filters if codec.name == "transpose"]
        compressors = [
            dataclasses.replace(cast("Any", codec), typesize=None)
            if hasattr(codec, "typesize")
            else codec
            for codec in compressors
        ]
        if serializer.name != "sharding_indexed":
            serializer = NOT_GIVEN
    return {"filters": filters, "serializer": serializer, "compressors": compressors}


def chain_v3(request: Request, dtype: DataType) -> list[Codec]:
    """Give the chain of codecs of a format 3 array, or of its inner chunks where it is sharded."""
    from fastzarr.codecs.base import ArrayArrayCodec, BytesBytesCodec

    if request.codecs is not None:
        return _named_chain(request, dtype)
    filters = _parse_all(as_codecs(request.filters, "filters"), "filters", ArrayArrayCodec)
    if request.object_codec is not None and filters:
        filters = [f for f in filters if f.name != f"numcodecs.{codec_id(request.object_codec)}"]
    word, named = _compressors(request)
    if named is None:
        compressors = _default_compressors(dtype)
    else:
        compressors = _parse_all(named, word, BytesBytesCodec)
    return [*filters, _serializer(request.serializer, dtype), *compressors]


def _named_chain(request: Request, dtype: DataType) -> list[Codec]:
    from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, Codec

    for word in ("filters", "serializer", "compressor", "compressors"):
        if not absent(getattr(request, word)) and getattr(request, word) is not None:
            msg = f"codecs= names the whole chain; leave out {word}="
            raise MetadataValidationError(msg, word)
    chain = _parse_all(as_codecs(request.codecs, "codecs"), "codecs", Codec)
    if not any(isinstance(codec, ArrayBytesCodec) for codec in chain):
        count = sum(isinstance(codec, ArrayArrayCodec) for codec in chain)
        chain.insert(count, _default_serializer(dtype))
    return [_with_endian(codec, dtype) for codec in chain]


def _serializer(serializer: Any, dtype: DataType) -> Codec:
    from fastzarr.codecs.base import ArrayBytesCodec

    if absent(serializer) or serializer is None:
        return _default_serializer(dtype)
    [codec] = _parse_all([serializer], "serializer", ArrayBytesCodec)
    return _with_endian(codec, dtype)


def _with_endian(codec: Codec, dtype: DataType) -> Codec:
    if codec.name == "bytes" and dtype.multibyte and getattr(codec, "endian", "") is None:
        return dataclasses.replace(cast("Any", codec), endian="little")  # type: ignore[no-any-return]
    return codec


def _default_serializer(dtype: DataType) -> ArrayBytesCodec:
    from fastzarr.codecs.bytes import BytesCodec

    if dtype.itemsize is not None:
        return BytesCodec(endian="little" if dtype.multibyte else None)
    from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec

    return VLenUTF8Codec() if dtype.name == "string" else VLenBytesCodec()


def _default_compressors(dtype: DataType) -> list[Codec]:
    from fastzarr.codecs.crc32c import Crc32cCodec

    if dtype.itemsize is None:
        from fastzarr.codecs.zstd import ZstdCodec

        return [ZstdCodec(), Crc32cCodec()]
    from fastzarr.codecs.blosc import BloscCodec

    return [BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec()]


def chain_v2(
    request: Request, dtype: DataType
) -> tuple[list[dict[str, Any]] | None, dict[str, Any] | None]:
    """Give the filters and the compressor of a format 2 array as its metadata holds them."""
    named = as_codecs(request.filters, "filters") or []
    filters = [_config_v2(item, f"filters[{i}]") for i, item in enumerate(named)]
    if dtype.itemsize is None:
        first = _object_codec(request, dtype)
        if first is not None and first["id"] not in {item["id"] for item in filters}:
            filters.insert(0, first)
    word, compressors = _compressors(request)
    if compressors is None:
        return filters or None, dict(_BLOSC if dtype.itemsize is not None else _ZSTD)
    if len(compressors) > 1:
        msg = f"format 2 holds one compressor, not {len(compressors)}; put the first into filters="
        raise MetadataValidationError(msg, word)
    return filters or None, next((_config_v2(item, word) for item in compressors), None)


def _object_codec(request: Request, dtype: DataType) -> dict[str, Any] | None:
    if request.object_codec is not None:
        if isinstance(request.object_codec, str):
            return {"id": request.object_codec}
        return _config_v2(request.object_codec, "object_codec")
    if dtype.name in ("string", "bytes"):
        return {"id": "vlen-utf8" if dtype.name == "string" else "vlen-bytes"}
    return None


def _config_v2(codec: Any, where: str) -> dict[str, Any]:
    """Give a codec as format 2 metadata holds it."""
    if isinstance(codec, Mapping) and "id" in codec:
        return dict(codec)
    if is_numcodec(codec):
        return dict(codec.get_config())
    from fastzarr import codecs

    return codecs.parse(codec, where).to_v2()


def _compressors(request: Request) -> tuple[str, list[Any] | None]:
    """Give the word used and the compressors named with it; None where nobody named any."""
    one, many = request.compressor, request.compressors
    given_one, given_many = not absent(one), not absent(many)
    if given_one and given_many and one is not None:
        msg = "compressor= and compressors= mean the same; give one of them"
        raise MetadataValidationError(msg, "compressor")
    if given_many:
        return "compressors", as_codecs(many, "compressors") or []
    if not given_one:
        return "compressors", None
    return "compressor", as_codecs(one, "compressor") or []


def _parse_all(items: list[Any] | None, where: str, kind: type[Codec]) -> list[Codec]:
    from fastzarr import codecs

    found = []
    for place, item in enumerate(items or ()):
        at = where if where in ("serializer", "compressor") else f"{where}[{place}]"
        codec = codecs.parse(item, at)
        if not isinstance(codec, kind):
            role = {"filters": "filter", "serializer": "serializer"}.get(where, "compressor")
            msg = f"the codec {codec.name!r} is no {role}; a {role} is " + _ROLES[role]
            raise MetadataValidationError(msg, at)
        found.append(codec)
    return found


_ROLES = {
    "filter": "a codec from array to array",
    "serializer": "a codec from array to bytes",
    "compressor": "a codec from bytes to bytes",
}


def as_codecs(value: Any, where: str) -> list[Any] | None:
    """Give one codec or several as a list; None where nothing was said."""
    if absent(value):
        return None
    if value is None:
        return []
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return [value]
    found = list(value)
    for place, item in enumerate(found):
        if item is None:
            msg = "None is no codec; leave it out"
            raise MetadataValidationError(msg, f"{where}[{place}]")
    return found


def absent(value: Any) -> bool:
    """Tell whether an argument names no codec, but leaves the choice to the default."""
    if isinstance(value, str):
        return value in ("auto", "default")
    return isinstance(value, type(NOT_GIVEN))


def is_numcodec(codec: Any) -> bool:
    """Tell whether a codec is one of numcodecs, as an object or as its configuration."""
    if isinstance(codec, Mapping):
        return "id" in codec
    return hasattr(codec, "codec_id") and hasattr(codec, "get_config")


def codec_id(codec: Any) -> str | None:
    """Give the ``id`` of a codec of numcodecs; None for what has none."""
    if codec is None or isinstance(codec, str):
        return codec
    found = codec.get("id") if isinstance(codec, Mapping) else getattr(codec, "codec_id", None)
    return found if isinstance(found, str) else None
