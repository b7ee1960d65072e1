"""The codecs by name; their classes are imported on first use.

The codec classes of this package are attributes, and so are those of numcodecs under the names they
had in zarr-python 2: ``codecs.BloscCodec``, ``codecs.Delta``.
"""

from __future__ import annotations

from fastzarr._lazy import NUMCODECS, make_lazy
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
CODECS.declare({name: f"{__name__}.{module}:{cls}" for name, (module, cls) in _CODECS.items()})

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        ".base": ("ArrayArrayCodec", "ArrayBytesCodec", "BytesBytesCodec", "ChunkSpec", "Codec"),
        ".blosc": ("BloscCodec",),
        ".bytes": ("BytesCodec",),
        ".crc32c": ("Crc32cCodec",),
        ".enums": ("BloscCname", "BloscShuffle", "Endian", "ShardingCodecIndexLocation"),
        ".gzip": ("GzipCodec",),
        ".numcodecs.arrays": ("NumcodecsArrayCodec",),
        ".numcodecs.bytes": ("NumcodecsCodec",),
        ".numcodecs.filters": ("FiltersCodec",),
        ".sharding": ("ShardingCodec",),
        ".transpose": ("TransposeCodec",),
        ".vlen": ("VLenBytesCodec", "VLenUTF8Codec"),
        ".zstd": ("ZstdCodec",),
        "numcodecs": (*NUMCODECS, "CRC32C"),
        "numcodecs.registry": ("codec_registry", "get_codec"),
    },
)
