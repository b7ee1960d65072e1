"""The codec registry; codec classes are imported on first use.

Rules of this file:

* A codec name in a document is looked up in this registry only; a document never causes an import.
* ``parse`` accepts every form in which a user may pass a codec; ``from_v3`` accepts only what
  format 3 metadata allows.

The codec classes of this package are attributes, and so are those of numcodecs under the names they
had in zarr-python 2: ``codecs.BloscCodec``, ``codecs.Delta``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fastzarr.errors import MetadataError, PickleCodecDisabledError, UnknownCodecError

if TYPE_CHECKING:
    from fastzarr.codecs.base import Codec

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
_ALIASES = {"endian": "bytes"}
_OWN: dict[str, type[Codec]] = {}

_ATTRIBUTES = {name: module for module, name in _CODECS.values()} | {
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
# numcodecs ids for which format 3 has a codec of its own.
_TWINS = {"blosc": "blosc", "gzip": "gzip", "zstd": "zstd"}


def names() -> tuple[str, ...]:
    """Return the sorted names of the known format 3 codecs, except the ``numcodecs.*`` ones.

    >>> "blosc" in names()
    True
    """
    return tuple(sorted({*_CODECS, *_OWN}))


def from_v3(obj: Any, where: str) -> Codec:
    """Return the codec of format 3 metadata: a name, or an object with a name.

    Raise ``UnknownCodecError`` if the name is unknown, and ``MetadataError``, naming the member at
    fault, if the object or its configuration is invalid.
    """
    name, config, at = _named(obj, where)
    if name.startswith("numcodecs.") and name not in _OWN:
        from fastzarr.codecs.numcodecs import from_name

        return from_name(name, config, where)
    found = _find(name)
    if found is None:
        msg = f"unknown codec {name!r}; known codecs: {', '.join(names())}"
        raise UnknownCodecError(msg, where)
    return found.from_config(config, at)


def parse(obj: Any, where: str = "") -> Codec:
    """Return the codec that a user passed.

    Accepts a ``Codec``, a name, a mapping as in the metadata of either format, and a codec object
    of numcodecs or zarr-python. A numcodecs object becomes the equivalent format 3 codec if there
    is one; a format 2 mapping, which has an ``id``, stays a numcodecs codec. Raise
    ``MetadataError``, naming ``where``, if the argument is not a valid codec.

    >>> parse("crc32c").name
    'crc32c'
    >>> parse({"name": "gzip", "configuration": {"level": 1}}).level
    1
    >>> parse({"id": "zlib", "level": 1}).name
    'numcodecs.zlib'
    """
    from fastzarr.codecs.base import Codec

    if isinstance(obj, Codec):
        return obj
    if isinstance(obj, Mapping) and "id" in obj and "name" not in obj:
        return _numcodec(obj, where)
    if isinstance(obj, (str, Mapping)):
        return from_v3(obj if isinstance(obj, str) else dict(obj), where)
    is_class = isinstance(obj, type)
    if hasattr(obj, "get_config") and not is_class:
        return _from_numcodecs(obj, where)
    if hasattr(obj, "to_dict") and not is_class:
        return from_v3(obj.to_dict(), where)
    hint = "; pass an instance" if is_class else ""
    msg = f"{obj!r} is not a codec{hint}"
    raise MetadataError(msg, where)


def register_codec(*args: Any, codec_id: str | None = None, **kwargs: Any) -> None:
    """Register a codec class under a name.

    Accepts ``(name, class)`` as in zarr-python 3, and ``(class)`` or ``(class, codec_id)`` as in
    numcodecs and zarr-python 2. A subclass of ``Codec`` is registered for format 3; any other class
    is registered with numcodecs. Registering a name again replaces its class. Raise TypeError
    unless exactly one class is passed.
    """
    from fastzarr.codecs.base import Codec

    values = [*args, *(kwargs[name] for name in ("key", "cls", "codec_cls") if name in kwargs)]
    classes = [value for value in values if isinstance(value, type)]
    words = [value for value in (*values, codec_id) if isinstance(value, str)]
    if len(classes) != 1:
        msg = "register_codec takes one codec class and the name to register it under"
        raise TypeError(msg)
    [cls] = classes
    if issubclass(cls, Codec):
        from fastzarr.metadata.memory import forget

        _OWN[words[0] if words else cls.name] = cls
        forget()
        return
    import numcodecs

    numcodecs.register_codec(cls, *words[:1])


def _named(obj: Any, where: str) -> tuple[str, dict[str, Any], str]:
    at = f"{where}.configuration" if where else "configuration"
    if isinstance(obj, str):
        return obj, {}, at
    if not isinstance(obj, dict) or not isinstance(obj.get("name"), str):
        msg = f"a codec must be a name or an object with a name, not {obj!r}"
        raise MetadataError(msg, where)
    for member in obj:
        if member not in ("name", "configuration", "must_understand"):
            msg = f"unknown member {member!r} in codec {obj['name']!r}"
            raise MetadataError(msg, where)
    if not isinstance(obj.get("must_understand", True), bool):
        msg = f"must_understand must be true or false, not {obj['must_understand']!r}"
        raise MetadataError(msg, where)
    config = obj.get("configuration", {})
    if not isinstance(config, dict):
        msg = f"must be an object, not {config!r}"
        raise MetadataError(msg, at)
    return obj["name"], config, at


def _find(name: str) -> type[Codec] | None:
    name = _ALIASES.get(name, name)
    if name in _OWN:
        return _OWN[name]
    if name not in _CODECS:
        return None
    return _load(name)


@cache
def _load(name: str) -> type[Codec]:
    module, attribute = _CODECS[name]
    found: type[Codec] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return found


def _numcodec(obj: Any, where: str) -> Codec:
    from fastzarr.codecs.numcodecs import make
    from fastzarr.codecs.numcodecs.settings import OBJECT_IDS

    codec = make(obj, where)
    if codec.id in OBJECT_IDS:
        # These decoders trust sizes in the data, or execute it. Only as the first filter is the
        # number of elements known from the array.
        kind = PickleCodecDisabledError if codec.id == "pickle" else MetadataError
        msg = f"the object codec {codec.id!r} is not a compressor; it can only be the first filter"
        raise kind(msg, where)
    return codec


def _from_numcodecs(obj: Any, where: str) -> Codec:
    from fastzarr.checked import placed

    config = dict(obj.get_config())
    twin = _TWINS.get(config.pop("id", None))
    if twin is not None:
        found: Any = _find(twin)
        codec: Codec = placed(lambda: found(**config), where)
        return codec
    if obj.codec_id == "crc32c" and getattr(obj, "location", "end") == "end":
        return from_v3("crc32c", where)
    return _numcodec(obj, where)


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
