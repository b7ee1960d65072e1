"""The codecs of the numcodecs package: those of format 2, and ``numcodecs.<id>`` in format 3.

Rules of this file:

* A codec keeps the members of its configuration unchanged, so that a document is written back as it
  was read.
* Decoders that would trust a size in the data are not called directly: their data is validated
  first, or decoded with a bound. The encoded size of a fixed-size codec is checked first, too.
* Nothing is unpickled here.

Sources: the numcodecs package; zarr-extensions, ``codecs/numcodecs.*``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastzarr.buffers import as_view, nbytes
from fastzarr.checked import placed
from fastzarr.codecs.base import ArrayArrayCodec, BytesBytesCodec, ChunkSpec, bound, check_size
from fastzarr.errors import CodecError, MetadataError, PickleCodecDisabledError, UnknownCodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import Codec

PREFIX = "numcodecs."
ARRAY_IDS = frozenset({"astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize"})
"""The ids of array-to-array codecs."""
OBJECT_IDS = frozenset(
    {"categorize", "json2", "msgpack2", "pickle", "vlen-array", "vlen-bytes", "vlen-utf8"}
)
"""The ids of object codecs (objects to bytes), which exist in format 2 only."""
_CHECKSUMS = frozenset({"adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"})
# Codecs whose encoded size depends on the values, so that it cannot be checked before decoding.
_VARIABLE = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})
_LZ4_HEADER = 4
_LZMA_MEMORY = 1 << 30
_BITS = 8


class _Numcodec:
    """Base class of both kinds of wrapper, with the numcodecs configuration as JSON in ``text``."""

    text: str

    @property
    def codec_config(self) -> dict[str, Any]:
        """A new dictionary of the numcodecs configuration, including ``id``."""
        return json.loads(self.text)  # type: ignore[no-any-return]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The numcodecs configuration, parsed once and shared: it must not be modified."""
        return _settings(self.text)

    @property
    def id(self) -> str:
        """The numcodecs id."""
        return str(_settings(self.text)["id"])

    @property
    def name(self) -> str:
        """The name in format 3."""
        return PREFIX + self.id

    @property
    def codec(self) -> Any:
        """The numcodecs object; raises ``MetadataError`` if the configuration is invalid.

        It is None for ``crc32c`` if the optional package that numcodecs needs is not installed.
        """
        return _instance(self.text)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object of format 3, which has no ``id``."""
        found = self.codec_config
        del found["id"]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in format 3 metadata.

        ``configuration`` is present even if empty, because zarr-python requires it.
        """
        return {"name": self.name, "configuration": self.config()}

    def to_v2(self) -> dict[str, Any]:
        """Return the numcodecs configuration."""
        return self.codec_config

    def __repr__(self) -> str:
        """Return the class name with the configuration."""
        return f"{type(self).__name__}({self.codec_config!r})"


@dataclass(frozen=True, repr=False)
class NumcodecsCodec(_Numcodec, BytesBytesCodec):  # type: ignore[override]  # its name depends
    """A bytes-to-bytes codec of numcodecs; ``text`` is its configuration in JSON.

    ``typesize`` is the item size that Blosc shuffles by. It is not part of the stored
    configuration; ``resolve`` fills it in.

    >>> make({"id": "zlib", "level": 1}).name
    'numcodecs.zlib'
    """

    text: str
    typesize: int | None = field(default=None, compare=False)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a numcodecs configuration; raise ``MetadataError`` if invalid."""
        made = cls(_text(config, where))
        check(made, where)
        return made

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with the item size filled in for Blosc, and for an open shuffle."""
        config, itemsize = self.settings, spec.dtype.itemsize or 1
        if config["id"] == "shuffle" and config.get("elementsize", 0) is None:
            return type(self)(json.dumps({**config, "elementsize": itemsize}))
        return replace(self, typesize=itemsize)

    def encoded_size(self, size: int | None) -> int | None:
        """Return the encoded size of checksums and shuffles, or None for other codecs."""
        return encoded_nbytes(self.settings, size)

    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes."""
        config = self.settings
        if config["id"] == "blosc":
            from fastzarr.codecs import blosc

            made = self.codec
            return blosc.compress(
                data, made.cname, made.clevel, made.shuffle, made.blocksize, self.typesize
            )
        if config["id"] == "crc32c":
            return _crc32c_encode(config, data)
        return as_bytes(run(config["id"], self.codec.encode, as_view(data)))

    def native(self) -> tuple[str, list[int], str] | None:
        """Return the codec's description for the extension, or None if not implemented there."""
        config = self.settings
        name = config["id"]
        if name == "blosc":
            from fastzarr.codecs import blosc

            made = self.codec
            return blosc.native(
                made.cname, made.clevel, made.shuffle, made.blocksize, self.typesize
            )
        if name in ("zlib", "gzip"):
            return name, [self.codec.level], ""
        if name == "zstd":
            return name, [self.codec.level, int(getattr(self.codec, "checksum", False))], ""
        if name == "lz4":
            return name, [self.codec.acceleration], ""
        if name in ("crc32", "adler32", "crc32c"):
            place = "end" if name == "crc32c" else "start"
            return name, [], config.get("location") or place
        return (name, [], "end") if name == "fletcher32" else None

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the decoded bytes: exactly ``size``, or up to the configured limit if None."""
        config = self.settings
        name = config["id"]
        if name == "pickle":
            msg = "pickle is not a compressor, so the data was not unpickled"
            raise PickleCodecDisabledError(msg)
        if name not in _VARIABLE:
            check_encoded(config, data, size)
        safe = _DECODERS.get(name)
        if safe is not None:
            return safe(config, data, size)
        decoded = as_bytes(run(name, self.codec.decode, as_view(data)))
        check_size(name, nbytes(decoded), size)
        return decoded


@dataclass(frozen=True, repr=False)
class NumcodecsArrayCodec(_Numcodec, ArrayArrayCodec):  # type: ignore[override]  # as above
    """An array-to-array codec of numcodecs; ``text`` is its configuration in JSON.

    numcodecs encodes and decodes flat arrays; they are flattened in C order and reshaped.

    >>> make({"id": "delta", "dtype": "<i4", "astype": "<i2"}).name
    'numcodecs.delta'
    """

    text: str

    def native(self) -> tuple[str, list[int], str] | None:
        """Return a delta codec's description for the extension, or None for other codecs."""
        config = self.settings
        if config["id"] != "delta":
            return None
        dtype = np.dtype(config["dtype"])
        stored = np.dtype(config.get("astype") or dtype)
        known = all(kind.kind in "iuf" and kind.str[1:] != "f2" for kind in (dtype, stored))
        return ("delta", [], f"{dtype.str} {stored.str}") if known else None

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a numcodecs configuration, in which ``dtype`` may be missing.

        Raise ``MetadataError`` if the configuration is invalid.
        """
        made = cls(_text(config, where))
        member = _DTYPE.get(config["id"])
        if member is None or config.get(member) is not None:
            check(made, where)
        return made

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with a missing data type filled in.

        Raise ``MetadataError`` if the codec cannot encode, or does not name, the array's data type.
        """
        config, dtype = self.settings, spec.dtype.numpy
        name = config["id"]
        if name == "packbits" and dtype.kind != "b":
            msg = f"packs booleans, not {spec.dtype.name!r}"
            raise MetadataError(msg)
        member = _DTYPE.get(name)
        if member is None:
            if name == "bitround" and dtype.kind != "f":
                msg = f"rounds floating-point numbers, not {spec.dtype.name!r}"
                raise MetadataError(msg)
            return self
        if spec.dtype.itemsize is None:
            msg = f"works on elements of fixed size, not on {spec.dtype.name!r}"
            raise MetadataError(msg)
        if config.get(member) is None:
            made = replace(self, text=json.dumps({**config, member: dtype.str}))
            check(made, "")
            return made
        named = np.dtype(config[member])
        if named.newbyteorder("=") != dtype.newbyteorder("="):
            msg = f"has the {member} {named.str!r}, but the array has {dtype.str!r}"
            raise MetadataError(msg)
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec of the encoded array, with the encoded fill value."""
        from fastzarr.dtypes import from_numpy

        config = self.settings
        if config["id"] == "packbits":
            size = -(-prod(spec.shape) // _BITS) + 1
            return ChunkSpec((size,), from_numpy("uint8"), np.uint8(0))
        dtype = self._stored(spec).newbyteorder("=")
        one = np.zeros(1, dtype=spec.dtype.numpy)
        if spec.fill is not None:
            one[0] = spec.fill
        with np.errstate(all="ignore"):
            fill = self._encoded(one, spec).astype(dtype)[0]
        return ChunkSpec(spec.shape, from_numpy(dtype), fill)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the encoded array of one chunk."""
        if not array.size:
            array = np.zeros(0, self._stored(spec))
        else:
            array = self._encoded(np.ascontiguousarray(array), spec)
        shape = array.shape if self.id == "packbits" else spec.shape
        return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape)

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded array of one chunk."""
        name, target = self.id, spec.dtype.numpy
        if name == "bitround" or not prod(spec.shape):
            return array.reshape(spec.shape).astype(target, copy=False)
        given = np.ascontiguousarray(array).astype(self._stored(spec), copy=False)
        decoded = np.asarray(run(name, self.codec.decode, given))
        if decoded.size != prod(spec.shape):
            msg = f"{name}: expected {prod(spec.shape)} elements, but the data has {decoded.size}"
            raise CodecError(msg)
        return decoded.reshape(spec.shape).astype(target, copy=False)

    def _encoded(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        config = self.settings
        member = _DTYPE.get(config["id"])
        named = np.dtype(config[member]) if member else spec.dtype.numpy
        encoded = run(config["id"], self.codec.encode, array.astype(named, copy=False).reshape(-1))
        return np.asarray(encoded).view(self._stored(spec))

    def _stored(self, spec: ChunkSpec) -> np.dtype[Any]:
        config = self.settings
        if config["id"] == "packbits":
            return np.dtype(np.uint8)
        return _encoded_dtype(config) or spec.dtype.numpy


def make(codec: Any, where: str = "") -> NumcodecsCodec | NumcodecsArrayCodec:
    """Return the codec of a numcodecs configuration or object.

    Raise ``UnknownCodecError`` if the id is unknown, and ``MetadataError`` if the configuration is
    invalid.

    >>> make({"id": "delta", "dtype": "<i4"}).to_v2()
    {'id': 'delta', 'dtype': '<i4'}
    """
    if not hasattr(codec, "keys") and not hasattr(codec, "get_config"):
        msg = f"{codec!r} is not a numcodecs configuration or object"
        raise MetadataError(msg, where)
    config = dict(codec if hasattr(codec, "keys") else codec.get_config())
    if not isinstance(config.get("id"), str):
        msg = f"the id of the numcodecs configuration {config!r} must be a string"
        raise MetadataError(msg, where)
    kind: Any = NumcodecsArrayCodec if config["id"] in ARRAY_IDS else NumcodecsCodec
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


def check(codec: NumcodecsCodec | NumcodecsArrayCodec, where: str) -> None:
    """Raise ``MetadataError``, naming ``where``, if the codec's configuration is invalid."""
    placed(lambda: codec.codec, where)


def encoded_nbytes(config: Mapping[str, Any], size: int | None) -> int | None:
    """Return the encoded size of ``size`` bytes, or None if it depends on the values."""
    name = config["id"]
    if size is None:
        return None
    if name in _CHECKSUMS:
        return size + 4
    if name in ("shuffle", "bitround"):
        return size
    if name == "packbits":
        return -(-size // _BITS) + 1
    encoded = _encoded_dtype(config)
    if encoded is None:
        return None
    decoded: np.dtype[Any] = np.dtype(config[_DTYPE[name]])
    if not decoded.itemsize or size % decoded.itemsize:
        msg = f"{name}: {size} bytes are not a multiple of the item size of {decoded.str!r}"
        raise CodecError(msg)
    return size // decoded.itemsize * encoded.itemsize


def check_encoded(config: Mapping[str, Any], data: Buffer, size: int | None) -> None:
    """Raise ``CodecError`` if the encoded size is fixed and ``data`` has another."""
    expected, found = encoded_nbytes(config, size), nbytes(data)
    if expected is not None and found != expected:
        msg = f"{config['id']}: expected {expected} bytes of data, found {found}"
        raise CodecError(msg)
    if found < 4 and config["id"] in _CHECKSUMS:
        msg = f"{config['id']}: expected at least 4 bytes for the checksum, found {found}"
        raise CodecError(msg)


def run(name: str, function: Callable[[Any], Any], data: Any) -> Any:
    """Return ``function(data)``; raise any failure as ``CodecError``, except MemoryError."""
    try:
        return function(data)
    except MemoryError:
        raise
    except Exception as error:  # third-party codecs may raise any exception
        size = getattr(data, "nbytes", None)
        msg = f"{name}: {size} bytes of data cannot be processed: {type(error).__name__}: {error}"
        raise CodecError(msg) from error


def as_bytes(data: Any) -> Buffer:
    """Return the output of a codec as flat bytes; raise ``CodecError`` for an object array."""
    if isinstance(data, np.ndarray) and data.dtype.hasobject:
        msg = "expected bytes, got an array of objects; the first filter must be an object codec"
        raise CodecError(msg)
    return data if isinstance(data, bytes) else as_view(data)


_DTYPE = {
    "astype": "decode_dtype",
    "delta": "dtype",
    "fixedscaleoffset": "dtype",
    "quantize": "dtype",
}
"""The member of each codec's configuration that names the decoded data type."""


@lru_cache(maxsize=256)
def _settings(text: str) -> Mapping[str, Any]:
    return json.loads(text)  # type: ignore[no-any-return]


def _encoded_dtype(config: Mapping[str, Any]) -> np.dtype[Any] | None:
    member = _DTYPE.get(config["id"])
    if member is None:
        return None
    dtype: np.dtype[Any] = np.dtype(
        config.get("encode_dtype" if config["id"] == "astype" else "astype") or config[member]
    )
    return dtype


@lru_cache(maxsize=256)
def _instance(text: str) -> Any:
    from numcodecs import registry

    config = json.loads(text)
    try:
        return registry.get_codec(config)
    except MemoryError:
        raise
    except Exception as error:
        # numcodecs raises different exceptions for an unknown id, depending on its version.
        if config["id"] not in registry.codec_registry and config["id"] not in registry.entries:
            if config["id"] == "crc32c" and config.get("location", "end") in ("start", "end"):
                return None
            known = ", ".join(sorted(registry.codec_registry))
            msg = (
                f"codec {config['id']!r} is not known to numcodecs; install the package that "
                f"provides it, or register it with numcodecs.register_codec. Known: {known}"
            )
            raise UnknownCodecError(msg) from error
        msg = f"{config} is not a valid configuration of {config['id']!r}: {error}"
        raise MetadataError(msg) from error


def _text(config: Mapping[str, Any], where: str) -> str:
    try:
        return json.dumps(config, default=_plain)
    except (TypeError, ValueError) as error:
        msg = f"the configuration of {config['id']!r} cannot be written as JSON: {error}"
        raise MetadataError(msg, where) from None


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.str
    raise TypeError(repr(value))


def _lz4(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    view = as_view(data)
    if view.nbytes <= _LZ4_HEADER:
        msg = f"lz4: expected more than {_LZ4_HEADER} bytes of data, found {view.nbytes}"
        raise CodecError(msg)
    stated = int.from_bytes(view[:_LZ4_HEADER], "little")
    check_size("lz4", stated, size, "the header states")
    if not stated:
        return b""
    from numcodecs import lz4

    return run(str(config["id"]), lz4.decompress, view)  # type: ignore[no-any-return]


def _blosc(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    from fastzarr.codecs import blosc

    return blosc.decompress(data, size)


def _zstd(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    from fastzarr.codecs import zstd

    return zstd.decompress(data, size)


def _zlib(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    import zlib

    from fastzarr.codecs.gzip import GZIP, ZLIB, decompress

    gzip = config["id"] == "gzip"
    decoder = partial(zlib.decompressobj, GZIP if gzip else ZLIB)
    return decompress(config["id"], decoder, data, size, zlib.error, members=gzip)


def _bz2(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    import bz2

    from fastzarr.codecs.gzip import decompress

    return decompress("bz2", bz2.BZ2Decompressor, data, size, OSError)


def _lzma(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    import lzma

    from fastzarr.codecs.gzip import decompress

    kind = config.get("format", lzma.FORMAT_XZ)
    raw = kind == lzma.FORMAT_RAW
    # The header states the dictionary size, of which only the filled part takes memory.
    limit = max(bound(None), _LZMA_MEMORY)
    settings = {"filters": config.get("filters")} if raw else {"memlimit": limit}
    decoder = partial(lzma.LZMADecompressor, format=kind, **settings)
    return decompress("lzma", decoder, data, size, lzma.LZMAError, members=not raw)


def _crc32c_encode(config: Mapping[str, Any], data: Buffer) -> bytes:
    from fastzarr.codecs.crc32c import crc32c

    checksum = crc32c(data).to_bytes(4, "little")
    start = config.get("location") == "start"
    return b"".join((checksum, as_view(data)) if start else (as_view(data), checksum))


def _crc32c(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    from fastzarr.codecs.crc32c import Crc32cCodec

    view = as_view(data)
    if config.get("location") == "start":
        view = memoryview(b"".join((view[4:], view[:4])))
    return Crc32cCodec().decode(view, size)


_DECODERS: dict[str, Callable[[Mapping[str, Any], Buffer, int | None], Buffer]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _crc32c,
    "gzip": _zlib,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _zlib,
    "zstd": _zstd,
}

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
    "PackBits": "packbits",
    "Quantize": "quantize",
    "Shuffle": "shuffle",
    "Zlib": "zlib",
    "Zstd": "zstd",
}


def __getattr__(name: str) -> Any:
    """Return a factory under zarr-python's name: ``Delta(dtype="<i4")`` returns that codec."""
    if name in _CLASSES:
        return partial(_named, _CLASSES[name])
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _named(known: str, **config: Any) -> Codec:
    return from_name(PREFIX + known, config, "")
