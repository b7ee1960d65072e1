"""The member ``compression`` of an ``attributes.json``, and the codec that it stands for.

Rules of this file:

* Each type of compression is one codec, whose encoded bytes are those that other implementations
  of N5 write under this type. Only ``lzma``, and ``lz4`` with a member ``acceleration``, are those
  of zarr-python 2 alone.
* A level of -1, N5's default, is that of zlib, 6.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastzarr import codecs
from fastzarr.checked import (
    as_int,
    as_list,
    as_object,
    boolean,
    fail,
    guard,
    member,
    placed,
    require,
    show,
)
from fastzarr.codecs.base import BytesBytesCodec
from fastzarr.codecs.blosc import BloscCodec
from fastzarr.codecs.gzip import GzipCodec
from fastzarr.codecs.lz4_block import Lz4BlockCodec
from fastzarr.codecs.numcodecs.bytes import NumcodecsCodec
from fastzarr.codecs.zstd import ZstdCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[dict[str, Any], str], BytesBytesCodec]

_USUAL = 6
"""The usual level of zlib and preset of xz."""
_XZ = {"format": 1, "check": -1, "filters": None}
"""The members of the codec ``lzma`` that the type ``xz`` stands for."""
_CHECKS = (-1, 4)
"""The checksums of an .xz file by default, by number."""


def parse(value: object, where: str) -> BytesBytesCodec | None:
    """Return the codec of a ``compression`` object, or None for ``raw``.

    Raise ``MetadataError``, naming the member at fault, if the type is unknown or a member invalid.

    >>> parse({"type": "gzip", "level": 3}, "compression")
    GzipCodec(level=3)
    """
    config = as_object(value, where)
    require(config, ("type",), where)
    kind = config["type"]
    if kind == "raw":
        return None
    make = _TYPES.get(kind) if isinstance(kind, str) else None
    if make is None:
        known = ", ".join(("raw", *_TYPES))
        fail(f"unknown type of compression {show(kind)}; known are {known}", member(where, "type"))
    return guard(partial(make, config, where), where, "codec")


def of(value: Any, where: str) -> BytesBytesCodec | None:
    """Return the codec of a user's argument, which N5 must have, or None for ``raw``.

    It is a ``compression`` object, or whatever stands for a codec in other formats. Raise
    ``MetadataError``, naming ``where``, for any other.

    >>> of({"type": "xz", "preset": 1}, "compressors").name
    'numcodecs.lzma'
    """
    if hasattr(value, "keys") and "type" in value:
        return parse(dict(value), where)
    found: Any = codecs.parse({"id": "lz4"} if value == "lz4" else value, where)
    if getattr(found, "id", None) == "lz4":
        return Lz4BlockCodec()
    # This is the codec that will be read back.
    return parse(placed(partial(document, found), where), where)


def document(codec: BytesBytesCodec | None) -> dict[str, Any]:
    """Return the ``compression`` object of a codec; raise ``MetadataError`` if N5 has none.

    >>> document(GzipCodec(level=3))
    {'type': 'gzip', 'level': 3, 'useZlib': False}
    """
    if codec is None:
        return {"type": "raw"}
    if isinstance(codec, Lz4BlockCodec):
        return {"type": "lz4", **codec.config()}
    config: dict[str, Any] = {}
    if isinstance(codec, NumcodecsCodec):
        config = dict(codec.codec.get_config())
    elif isinstance(codec, BytesBytesCodec) and codec.name in _OURS:
        config = dict(codec.to_v2())
    name = config.pop("id", None)
    write = _WRITTEN.get(name) if isinstance(name, str) else None
    if write is None:
        msg = (
            f"N5 has no compression for the codec {getattr(codec, 'name', codec)!r}; it has "
            f"{', '.join(('raw', *_TYPES))}"
        )
        return fail(msg, "")
    return write(config)


def shown(codec: BytesBytesCodec) -> Any:
    """Return the codec as zarr-python presents it: as an object of numcodecs, where it has one."""
    if isinstance(codec, Lz4BlockCodec):
        return codec
    from numcodecs import get_codec

    return get_codec(dict(codec.to_v2()))


_OURS = ("blosc", "gzip", "zstd")
_LZMA = ("format", "check", "preset", "filters")
_BLOSC = ("cname", "clevel", "shuffle", "blocksize")


def _gzip_document(config: dict[str, Any]) -> dict[str, Any]:
    return {"type": "gzip", "level": config["level"], "useZlib": False}


def _zlib_document(config: dict[str, Any]) -> dict[str, Any]:
    return {"type": "gzip", "level": config["level"], "useZlib": True}


def _bz2_document(config: dict[str, Any]) -> dict[str, Any]:
    return {"type": "bzip2", "blockSize": config["level"]}


def _blosc_document(config: dict[str, Any]) -> dict[str, Any]:
    return {"type": "blosc"} | {word: config[word] for word in _BLOSC if word in config}


def _lzma_document(config: dict[str, Any]) -> dict[str, Any]:
    preset = config.get("preset")
    found = {"preset": _USUAL if preset is None else preset}
    usual = config.get("format", 1) == 1 and config.get("check", -1) in _CHECKS
    if usual and config.get("filters") is None:
        return {"type": "xz", **found}
    return {"type": "lzma", **_XZ, **config, **found}


def _level(config: dict[str, Any], where: str, name: str = "level") -> int:
    level = as_int(config.get(name, -1), member(where, name), -1, 9)
    return _USUAL if level < 0 else level


def _gzip(config: dict[str, Any], where: str) -> BytesBytesCodec:
    level = _level(config, where)
    if boolean(config.get("useZlib", False), member(where, "useZlib")):
        return _numcodec({"id": "zlib", "level": level}, where)
    return GzipCodec(level=level)


def _bzip2(config: dict[str, Any], where: str) -> BytesBytesCodec:
    size = as_int(config.get("blockSize", 9), member(where, "blockSize"), 1, 9)
    return _numcodec({"id": "bz2", "level": size}, where)


def _xz(config: dict[str, Any], where: str) -> BytesBytesCodec:
    preset = as_int(config.get("preset", _USUAL), member(where, "preset"), 0, 9)
    return _numcodec({"id": "lzma", "preset": preset, **_XZ}, where)


def _lzma(config: dict[str, Any], where: str) -> BytesBytesCodec:
    given = _XZ | {name: config[name] for name in _LZMA if name in config}
    as_int(given["format"], member(where, "format"), 1, 3)
    as_int(given["check"], member(where, "check"), -1, 10)
    if given.get("preset") is not None:
        as_int(given["preset"], member(where, "preset"), 0, 2**32 - 1)
    if given["filters"] is not None:
        for place, each in enumerate(as_list(given["filters"], member(where, "filters"))):
            as_object(each, member(member(where, "filters"), place))
    return _numcodec({"id": "lzma", **given}, where)


def _lz4(config: dict[str, Any], where: str) -> BytesBytesCodec:
    if "acceleration" in config:
        low, high = -(2**31), 2**31 - 1
        number = as_int(config["acceleration"], member(where, "acceleration"), low, high)
        return _numcodec({"id": "lz4", "acceleration": number}, where)
    size = as_int(config.get("blockSize", 1 << 16), member(where, "blockSize"), 1)
    # z5 writes a level here, and lz4-java refuses sizes out of these bounds.
    return Lz4BlockCodec(blockSize=size if 64 <= size <= 1 << 25 else 1 << 16)


def _blosc(config: dict[str, Any], where: str) -> BytesBytesCodec:
    return placed(lambda: BloscCodec(**{k: config[k] for k in _BLOSC if k in config}), where)


def _zstd(config: dict[str, Any], where: str) -> BytesBytesCodec:
    checksum = config.get("checksum", False)
    return placed(lambda: ZstdCodec(level=config.get("level", 3), checksum=checksum), where)


def _numcodec(config: dict[str, Any], where: str) -> BytesBytesCodec:
    return codecs.parse(config, where)  # type: ignore[return-value]  # each of these is one


_TYPES: dict[str, Make] = {
    "blosc": _blosc,
    "bzip2": _bzip2,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "xz": _xz,
    "zstd": _zstd,
}
_WRITTEN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "blosc": _blosc_document,
    "bz2": _bz2_document,
    "gzip": _gzip_document,
    "lz4": partial(dict, type="lz4"),
    "lzma": _lzma_document,
    "zlib": _zlib_document,
    "zstd": partial(dict, type="zstd"),
}
"""What writes the ``compression`` object of a configuration of numcodecs, by its ``id``."""
