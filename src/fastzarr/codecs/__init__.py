"""The codecs by name; their classes are imported on first use.

The codec classes of this package are attributes, and so are those of numcodecs under the names they
had in zarr-python 2: ``codecs.BloscCodec``, ``codecs.Delta``.
"""

from __future__ import annotations

import importlib
from typing import Any

from fastzarr.codecs.parse import CODECS, from_v3, names, parse, register_codec

__all__ = ["from_v3", "names", "parse", "register_codec"]

_CODECS = {
    "blosc": ("blosc", "BloscCodec"),
    "bytes": ("bytes", "BytesCodec"),
    "crc32c": ("crc32c", "Crc32cCodec"),
    "gzip": ("gzip", "GzipCodec"),
    "sharding_indexed": ("sharding", "ShardingCodec"),
    "transpose": ("transpose", "TransposeCodec"),
    "vlen-bytes": ("vlen", "VLenBytesCodec"),
    "vlen-utf8": ("vlen", "VLenUTF8Codec"),
    "zstd": ("zstd", "ZstdCodec"),
}
_ATTRIBUTES = {cls: module for module, cls in _CODECS.values()} | {
    "ArrayArrayCodec": "base",
    "ArrayBytesCodec": "base",
    "BloscCname": "enums",
    "BloscShuffle": "enums",
    "BytesBytesCodec": "base",
    "ChunkSpec": "base",
    "Codec": "base",
    "Endian": "enums",
    "FiltersCodec": "numcodecs.filters",
    "NumcodecsArrayCodec": "numcodecs.arrays",
    "NumcodecsCodec": "numcodecs.bytes",
    "ShardingCodecIndexLocation": "enums",
}
# fmt: off
_NUMCODECS = (
    "Adler32", "AsType", "BZ2", "Base64", "BitRound", "Blosc", "CRC32", "CRC32C", "Categorize",
    "Delta", "FixedScaleOffset", "Fletcher32", "GZip", "JSON", "JenkinsLookup3", "LZ4", "LZMA",
    "MsgPack", "PackBits", "Pickle", "Quantize", "Shuffle", "VLenArray", "VLenBytes", "VLenUTF8",
    "Zlib", "Zstd", "get_codec",
)
# fmt: on

CODECS.declare({name: f"{__name__}.{module}:{cls}" for name, (module, cls) in _CODECS.items()})


def __getattr__(name: str) -> Any:
    """Import a codec class on first access."""
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(f"{__name__}.{_ATTRIBUTES[name]}"), name)
    if name in _NUMCODECS:
        return getattr(importlib.import_module("numcodecs"), name)
    if name == "codec_registry":
        return importlib.import_module("numcodecs.registry").codec_registry
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ATTRIBUTES, *_NUMCODECS, "codec_registry"})
