"""The codecs of a new array: those passed as arguments, and the defaults.

Rules of this file:

* A codec is passed as an object of this package or of numcodecs, as a mapping as in the metadata of
  either format, or by name; several are passed as a sequence. ``"auto"`` and ``"default"`` select
  the default; None and an empty sequence mean no codec.
* The default compressor is Blosc (lz4, level 5, shuffle), or zstd if elements vary in length,
  followed by ``crc32c`` in format 3. Codecs that are passed are used exactly as given.
* An error names the argument, such as ``compressors[0].configuration.level``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from fastzarr import codecs
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from fastzarr.creating.given import absent
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata import n5_compression

if TYPE_CHECKING:
    from fastzarr.creating.words import ArraySpec
    from fastzarr.dtypes import DataType

_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
_ZSTD = {"id": "zstd", "level": 0}


def chain_v3(spec: ArraySpec, dtype: DataType) -> list[Codec]:
    """Return the codecs of a format 3 array, or of its inner chunks if it is sharded.

    Raise ``MetadataError``, naming the argument, if a codec is invalid or of the wrong kind.
    """
    if spec.codecs is not None:
        return _named_chain(spec, dtype)
    filters = _parse_all(as_codecs(spec.filters, "filters"), "filters", ArrayArrayCodec)
    if spec.object_codec is not None and filters:
        filters = [f for f in filters if f.name != f"numcodecs.{codec_id(spec.object_codec)}"]
    word, named = _compressors(spec)
    if named is None:
        compressors = _default_compressors(dtype)
    else:
        compressors = _parse_all(named, word, BytesBytesCodec)
    return [*filters, _serializer(spec.serializer, dtype), *compressors]


def _named_chain(spec: ArraySpec, dtype: DataType) -> list[Codec]:
    for word in ("filters", "serializer", "compressor", "compressors"):
        if not absent(getattr(spec, word)) and getattr(spec, word) is not None:
            msg = f"codecs= is the whole chain of codecs; omit {word}="
            raise MetadataValidationError(msg, word)
    chain = _parse_all(as_codecs(spec.codecs, "codecs"), "codecs", Codec)
    if not any(isinstance(codec, ArrayBytesCodec) for codec in chain):
        count = sum(isinstance(codec, ArrayArrayCodec) for codec in chain)
        chain.insert(count, _default_serializer(dtype))
    return [_with_endian(codec) for codec in chain]


def _serializer(serializer: Any, dtype: DataType) -> Codec:
    if absent(serializer) or serializer is None:
        return _default_serializer(dtype)
    [codec] = _parse_all([serializer], "serializer", ArrayBytesCodec)
    return _with_endian(codec)


def _with_endian(codec: Codec) -> Codec:
    if codec.name == "bytes" and getattr(codec, "endian", "") is None:
        return dataclasses.replace(cast("Any", codec), endian="little")  # type: ignore[no-any-return]
    return codec


def _default_serializer(dtype: DataType) -> ArrayBytesCodec:
    if dtype.itemsize is not None:
        return _bytes_codec()
    from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec

    return VLenUTF8Codec() if dtype.name == "string" else VLenBytesCodec()


def _default_compressors(dtype: DataType) -> list[Codec]:
    return list(_compressors_of(variable=dtype.itemsize is None))


# Codecs are immutable, so that all arrays can share the default ones.
@cache
def _compressors_of(*, variable: bool) -> tuple[Codec, ...]:
    from fastzarr.codecs.crc32c import Crc32cCodec

    if variable:
        from fastzarr.codecs.zstd import ZstdCodec

        return ZstdCodec(), Crc32cCodec()
    from fastzarr.codecs.blosc import BloscCodec

    return BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec()


@cache
def _bytes_codec() -> ArrayBytesCodec:
    from fastzarr.codecs.bytes import BytesCodec

    # The chain is resolved later, for the elements that the codec gets: they may have no order.
    return BytesCodec(endian="little")


def chain_v2(
    spec: ArraySpec, dtype: DataType
) -> tuple[list[dict[str, Any]] | None, dict[str, Any] | None]:
    """Return the members ``filters`` and ``compressor`` of a format 2 array.

    Raise ``MetadataError``, naming the argument, if a codec is invalid or not supported there.
    """
    named = as_codecs(spec.filters, "filters") or []
    filters = [_config_v2(item, f"filters[{i}]") for i, item in enumerate(named)]
    if dtype.itemsize is None:
        first = _object_codec(spec, dtype)
        if first is not None and first["id"] not in {item["id"] for item in filters}:
            filters.insert(0, first)
    word, compressors = _compressors(spec)
    if compressors is None:
        return filters or None, dict(_BLOSC if dtype.itemsize is not None else _ZSTD)
    if len(compressors) > 1:
        msg = (
            f"format 2 supports one compressor, got {len(compressors)}; pass all but the last as "
            "filters="
        )
        raise MetadataValidationError(msg, word)
    return filters or None, next((_config_v2(item, word) for item in compressors), None)


def compressor_n5(spec: ArraySpec) -> BytesBytesCodec | None:
    """Return the compressor of an array of N5, or None.

    Raise ``MetadataError``, naming the argument, if N5 does not have it.
    """
    word, compressors = _compressors(spec)
    if compressors is None:
        return n5_compression.of(_BLOSC, word)
    if len(compressors) > 1:
        msg = f"N5 supports one compressor, got {len(compressors)}; omit all but one"
        raise MetadataValidationError(msg, word)
    return next((n5_compression.of(item, word) for item in compressors), None)


def _object_codec(spec: ArraySpec, dtype: DataType) -> dict[str, Any] | None:
    if spec.object_codec is not None:
        if isinstance(spec.object_codec, str):
            return {"id": spec.object_codec}
        return _config_v2(spec.object_codec, "object_codec")
    if dtype.name in ("string", "bytes"):
        return {"id": "vlen-utf8" if dtype.name == "string" else "vlen-bytes"}
    return None


def _config_v2(codec: Any, where: str) -> dict[str, Any]:
    """Return a codec as in format 2 metadata."""
    if isinstance(codec, Mapping) and "id" in codec:
        return dict(codec)
    if is_numcodec(codec):
        return dict(codec.get_config())
    return codecs.parse(codec, where).to_v2()


def _compressors(spec: ArraySpec) -> tuple[str, list[Any] | None]:
    """Return the name and the compressors of the argument used; None selects the default."""
    one, many = spec.compressor, spec.compressors
    given_one, given_many = not absent(one), not absent(many)
    if given_one and given_many and one is not None:
        msg = "compressor= and compressors= are the same argument; pass only one"
        raise MetadataValidationError(msg, "compressor")
    if given_many:
        return "compressors", as_codecs(many, "compressors") or []
    if not given_one:
        return "compressors", None
    return "compressor", as_codecs(one, "compressor") or []


def _parse_all(items: list[Any] | None, where: str, kind: type[Codec]) -> list[Codec]:
    found = []
    for place, item in enumerate(items or ()):
        at = where if where in ("serializer", "compressor") else f"{where}[{place}]"
        codec = codecs.parse(item, at)
        if not isinstance(codec, kind):
            role = {"filters": "filter", "serializer": "serializer"}.get(where, "compressor")
            msg = f"the codec {codec.name!r} is not a {role}; a {role} is " + _ROLES[role]
            raise MetadataValidationError(msg, at)
        found.append(codec)
    return found


_ROLES = {
    "filter": "an array-to-array codec",
    "serializer": "an array-to-bytes codec",
    "compressor": "a bytes-to-bytes codec",
}


def as_codecs(value: Any, where: str) -> list[Any] | None:
    """Return an argument of one codec or several as a list; None selects the default."""
    if absent(value):
        return None
    if value is None:
        return []
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return [value]
    found = list(value)
    for place, item in enumerate(found):
        if item is None:
            msg = "None is not a codec; omit it"
            raise MetadataValidationError(msg, f"{where}[{place}]")
    return found


def is_numcodec(codec: Any) -> bool:
    """Whether a codec is a numcodecs object or configuration."""
    if isinstance(codec, Mapping):
        return "id" in codec
    return hasattr(codec, "codec_id") and hasattr(codec, "get_config")


def codec_id(codec: Any) -> str | None:
    """Return the ``id`` of a numcodecs object, configuration or id; None for anything else."""
    if codec is None or isinstance(codec, str):
        return codec
    found = codec.get("id") if isinstance(codec, Mapping) else getattr(codec, "codec_id", None)
    return found if isinstance(found, str) else None
