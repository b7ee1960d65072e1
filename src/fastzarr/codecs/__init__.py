"""The codecs by name; their classes are imported on first use.

The codec classes of this package are attributes, and so are those of numcodecs under the names they
had in zarr-python 2: ``codecs.BloscCodec``, ``codecs.Delta``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr._lazy import NUMCODECS, make_lazy
from fastzarr.codecs.parse import CODECS, from_v3, names, parse, register_codec

__all__ = ["from_v3", "names", "parse", "register_codec"]

_CODECS = {
    "bitround": ("bitround", "BitroundCodec"),
    "blosc": ("blosc", "BloscCodec"),
    "bytes": ("bytes", "BytesCodec"),
    "cast_value": ("cast_value", "CastValueCodec"),
    "conditional": ("conditional", "ConditionalCodec"),
    "crc32c": ("crc32c", "Crc32cCodec"),
    "gzip": ("gzip", "GzipCodec"),
    "n5_default": ("n5_default", "N5DefaultCodec"),
    "packbits": ("packbits", "PackbitsCodec"),
    "reshape": ("reshape", "ReshapeCodec"),
    "scale_offset": ("scale_offset", "ScaleOffsetCodec"),
    "sharding_indexed": ("sharding", "ShardingCodec"),
    "transpose": ("transpose", "TransposeCodec"),
    "vlen-array": ("vlen", "VLenArrayCodec"),
    "vlen-bytes": ("vlen", "VLenBytesCodec"),
    "vlen-utf8": ("vlen", "VLenUTF8Codec"),
    "zarrs.squeeze": ("reshape", "SqueezeCodec"),
    "zfp": ("zfp", "ZfpCodec"),
    "zstd": ("zstd", "ZstdCodec"),
}
CODECS.declare({name: f"{__name__}.{module}:{cls}" for name, (module, cls) in _CODECS.items()})

if TYPE_CHECKING:
    from numcodecs import (
        BZ2 as BZ2,
    )
    from numcodecs import (
        CRC32 as CRC32,
    )
    from numcodecs import (
        JSON as JSON,
    )
    from numcodecs import (
        LZ4 as LZ4,
    )
    from numcodecs import (
        LZMA as LZMA,
    )
    from numcodecs import (
        Adler32 as Adler32,
    )
    from numcodecs import (
        AsType as AsType,
    )
    from numcodecs import (
        Base64 as Base64,
    )
    from numcodecs import (
        BitRound as BitRound,
    )
    from numcodecs import (
        Blosc as Blosc,
    )
    from numcodecs import (
        Categorize as Categorize,
    )
    from numcodecs import (
        Delta as Delta,
    )
    from numcodecs import (
        FixedScaleOffset as FixedScaleOffset,
    )
    from numcodecs import (
        Fletcher32 as Fletcher32,
    )
    from numcodecs import (
        GZip as GZip,
    )
    from numcodecs import (
        JenkinsLookup3 as JenkinsLookup3,
    )
    from numcodecs import (
        MsgPack as MsgPack,
    )
    from numcodecs import (
        PackBits as PackBits,
    )
    from numcodecs import (
        Pickle as Pickle,
    )
    from numcodecs import (
        Quantize as Quantize,
    )
    from numcodecs import (
        Shuffle as Shuffle,
    )
    from numcodecs import (
        VLenArray as VLenArray,
    )
    from numcodecs import (
        VLenBytes as VLenBytes,
    )
    from numcodecs import (
        VLenUTF8 as VLenUTF8,
    )
    from numcodecs import (
        Zlib as Zlib,
    )
    from numcodecs import (
        Zstd as Zstd,
    )
    from numcodecs.pcodec import PCodec as PCodec
    from numcodecs.registry import codec_registry as codec_registry
    from numcodecs.registry import get_codec as get_codec
    from numcodecs.zfpy import ZFPY as ZFPY

    from fastzarr.codecs.base import (
        ArrayArrayCodec as ArrayArrayCodec,
    )
    from fastzarr.codecs.base import (
        ArrayBytesCodec as ArrayBytesCodec,
    )
    from fastzarr.codecs.base import (
        BytesBytesCodec as BytesBytesCodec,
    )
    from fastzarr.codecs.base import (
        ChunkSpec as ChunkSpec,
    )
    from fastzarr.codecs.base import (
        Codec as Codec,
    )
    from fastzarr.codecs.bitround import (
        BitroundCodec as BitroundCodec,
    )
    from fastzarr.codecs.blosc import (
        BloscCodec as BloscCodec,
    )
    from fastzarr.codecs.bytes import (
        BytesCodec as BytesCodec,
    )
    from fastzarr.codecs.cast_value import (
        CastValueCodec as CastValueCodec,
    )
    from fastzarr.codecs.conditional import (
        ConditionalCodec as ConditionalCodec,
    )
    from fastzarr.codecs.crc32c import (
        Crc32cCodec as Crc32cCodec,
    )
    from fastzarr.codecs.enums import (
        BloscCname as BloscCname,
    )
    from fastzarr.codecs.enums import (
        BloscShuffle as BloscShuffle,
    )
    from fastzarr.codecs.enums import (
        Endian as Endian,
    )
    from fastzarr.codecs.enums import (
        ShardingCodecIndexLocation as ShardingCodecIndexLocation,
    )
    from fastzarr.codecs.gzip import (
        GzipCodec as GzipCodec,
    )
    from fastzarr.codecs.n5_default import (
        N5DefaultCodec as N5DefaultCodec,
    )
    from fastzarr.codecs.numcodecs.arrays import (
        NumcodecsArrayCodec as NumcodecsArrayCodec,
    )
    from fastzarr.codecs.numcodecs.bytes import (
        NumcodecsCodec as NumcodecsCodec,
    )
    from fastzarr.codecs.numcodecs.filters import (
        FiltersCodec as FiltersCodec,
    )
    from fastzarr.codecs.packbits import (
        PackbitsCodec as PackbitsCodec,
    )
    from fastzarr.codecs.reshape import (
        ReshapeCodec as ReshapeCodec,
    )
    from fastzarr.codecs.reshape import (
        SqueezeCodec as SqueezeCodec,
    )
    from fastzarr.codecs.scale_offset import (
        ScaleOffsetCodec as ScaleOffsetCodec,
    )
    from fastzarr.codecs.sharding import (
        ShardingCodec as ShardingCodec,
    )
    from fastzarr.codecs.transpose import (
        TransposeCodec as TransposeCodec,
    )
    from fastzarr.codecs.vlen import (
        VLenArrayCodec as VLenArrayCodec,
    )
    from fastzarr.codecs.vlen import (
        VLenBytesCodec as VLenBytesCodec,
    )
    from fastzarr.codecs.vlen import (
        VLenUTF8Codec as VLenUTF8Codec,
    )
    from fastzarr.codecs.zfp import (
        ZfpCodec as ZfpCodec,
    )
    from fastzarr.codecs.zstd import (
        ZstdCodec as ZstdCodec,
    )
else:
    # Type checkers do not see it, so that they still find misspelled names.
    __getattr__, __dir__ = make_lazy(
        __name__,
        {
            ".base": (
                "ArrayArrayCodec",
                "ArrayBytesCodec",
                "BytesBytesCodec",
                "ChunkSpec",
                "Codec",
            ),
            ".bitround": ("BitroundCodec",),
            ".blosc": ("BloscCodec",),
            ".bytes": ("BytesCodec",),
            ".cast_value": ("CastValueCodec",),
            ".conditional": ("ConditionalCodec",),
            ".crc32c": ("Crc32cCodec",),
            ".enums": ("BloscCname", "BloscShuffle", "Endian", "ShardingCodecIndexLocation"),
            ".gzip": ("GzipCodec",),
            ".n5_default": ("N5DefaultCodec",),
            ".numcodecs.arrays": ("NumcodecsArrayCodec",),
            ".numcodecs.bytes": ("NumcodecsCodec",),
            ".numcodecs.filters": ("FiltersCodec",),
            ".packbits": ("PackbitsCodec",),
            ".reshape": ("ReshapeCodec", "SqueezeCodec"),
            ".scale_offset": ("ScaleOffsetCodec",),
            ".sharding": ("ShardingCodec",),
            ".transpose": ("TransposeCodec",),
            ".vlen": ("VLenArrayCodec", "VLenBytesCodec", "VLenUTF8Codec"),
            ".zfp": ("ZfpCodec",),
            ".zstd": ("ZstdCodec",),
            "numcodecs": (*NUMCODECS, "CRC32C"),
            "numcodecs.pcodec": ("PCodec",),
            "numcodecs.registry": ("codec_registry", "get_codec"),
            "numcodecs.zfpy": ("ZFPY",),
        },
    )
