"""zarr-python's codecs."""

from fastzarr._lazy import make_lazy
from fastzarr.compat.core.config import NUMCODECS

__all__ = [
    "BloscCname",
    "BloscCodec",
    "BloscShuffle",
    "BytesCodec",
    "CastValue",
    "Crc32cCodec",
    "Endian",
    "GzipCodec",
    "ScaleOffset",
    "ShardingCodec",
    "ShardingCodecIndexLocation",
    "SubchunkWriteOrder",
    "TransposeCodec",
    "VLenBytesCodec",
    "VLenUTF8Codec",
    "ZstdCodec",
]

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "": (
            *("_v2", "blosc", "bytes", "cast_value", "crc32c_", "gzip", "numcodecs"),
            *("scale_offset", "sharding", "transpose", "vlen_utf8", "zstd"),
        ),
        ".blosc": ("BloscCname", "BloscCodec", "BloscShuffle"),
        ".bytes": ("BytesCodec", "Endian"),
        ".cast_value": ("CastValue",),
        ".crc32c_": ("Crc32cCodec",),
        ".gzip": ("GzipCodec",),
        ".numcodecs": NUMCODECS,
        ".scale_offset": ("ScaleOffset",),
        ".sharding": ("ShardingCodec", "ShardingCodecIndexLocation", "SubchunkWriteOrder"),
        ".transpose": ("TransposeCodec",),
        ".vlen_utf8": ("VLenBytesCodec", "VLenUTF8Codec"),
        ".zstd": ("ZstdCodec",),
        "fastzarr.compat.registry": ("register_codec",),
    },
)
