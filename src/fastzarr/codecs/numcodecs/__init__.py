"""The codecs of the numcodecs package: those of format 2, and ``numcodecs.<id>`` in format 3.

``make`` returns a codec from a configuration or an object. The factories, such as
``Delta(dtype="<i4")``, have the names of zarr-python 3.

Sources: the numcodecs package; zarr-extensions, ``codecs/numcodecs.*``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastzarr.checked import placed, show
from fastzarr.codecs.numcodecs.arrays import NumcodecsArrayCodec
from fastzarr.codecs.numcodecs.bytes import NumcodecsCodec
from fastzarr.codecs.numcodecs.serializers import NumcodecsSerializer
from fastzarr.codecs.numcodecs.settings import (
    ARRAY_IDS,
    OBJECT_IDS,
    PREFIX,
    SERIALIZER_IDS,
    canonical,
)
from fastzarr.errors import MetadataError, UnknownCodecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.codecs.base import Codec

NumcodecsAny = NumcodecsCodec | NumcodecsArrayCodec | NumcodecsSerializer


def make(codec: Any, where: str = "") -> NumcodecsAny:
    """Return the codec of a numcodecs configuration or object.

    Raise ``UnknownCodecError`` if the id is unknown, and ``MetadataError`` if the configuration is
    invalid.

    >>> make({"id": "delta", "dtype": "<i4"}).to_v2()
    {'id': 'delta', 'dtype': '<i4'}
    """
    if not hasattr(codec, "keys") and not hasattr(codec, "get_config"):
        msg = f"{show(codec)} is not a numcodecs configuration or object"
        raise MetadataError(msg, where)
    config = dict(codec if hasattr(codec, "keys") else codec.get_config())
    if not isinstance(config.get("id"), str):
        msg = f"the id of the numcodecs configuration {show(config)} must be a string"
        raise MetadataError(msg, where)
    config = placed(lambda: canonical(config), where)
    kind: Any = NumcodecsArrayCodec if config["id"] in ARRAY_IDS else NumcodecsCodec
    if config["id"] in SERIALIZER_IDS:
        kind = NumcodecsSerializer
    return kind.from_config(config, where)  # type: ignore[no-any-return]


def from_name(name: str, config: Mapping[str, Any], where: str) -> Codec:
    """Return the codec ``numcodecs.<id>`` of a format 3 document located at ``where``."""
    known = name.removeprefix(PREFIX)
    if known in OBJECT_IDS:
        msg = f"codec {name!r} stores Python objects, which only format 2 supports"
        raise UnknownCodecError(msg, where)
    if known == "shuffle":
        config = {"elementsize": None} | dict(config)
    return make({"id": known} | {k: v for k, v in config.items() if k != "id"}, where)


_CLASSES = {
    "Adler32": "adler32",
    "AsType": "astype",
    "BZ2": "bz2",
    "BitRound": "bitround",
    "Blosc": "blosc",
    "CRC32": "crc32",
    "CRC32C": "crc32c",
    "Delta": "delta",
    "FixedScaleOffset": "fixedscaleoffset",
    "Fletcher32": "fletcher32",
    "GZip": "gzip",
    "JenkinsLookup3": "jenkins_lookup3",
    "LZ4": "lz4",
    "LZMA": "lzma",
    "PCodec": "pcodec",
    "PackBits": "packbits",
    "Quantize": "quantize",
    "Shuffle": "shuffle",
    "ZFPY": "zfpy",
    "Zlib": "zlib",
    "Zstd": "zstd",
}


IDS = frozenset(_CLASSES.values())
"""The ids of the codecs of numcodecs that format 3 has as ``numcodecs.<id>``."""


def __getattr__(name: str) -> Any:
    """Return a factory under zarr-python's name: ``Delta(dtype="<i4")`` returns that codec."""
    if name in _CLASSES:
        return partial(_named, _CLASSES[name])
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _named(known: str, **config: Any) -> Codec:
    return from_name(PREFIX + known, config, "")
