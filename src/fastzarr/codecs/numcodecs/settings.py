"""Configurations of numcodecs' codecs, and the sizes they imply.

Rules of this file:

* A codec keeps the members of its configuration, except for the spellings of other writers and
  defaults that older readers do not know. A document in which they do not change keeps them.
* The encoded size of a fixed-size codec is checked before decoding.
* Nothing is unpickled here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.buffers import as_view, nbytes
from fastzarr.checked import placed, show
from fastzarr.errors import CodecError, MetadataError, UnknownCodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.buffers import Buffer


PREFIX = "numcodecs."
ARRAY_IDS = frozenset({"astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize"})
"""The ids of array-to-array codecs."""
OBJECT_IDS = frozenset(
    {"categorize", "json2", "msgpack2", "pickle", "vlen-array", "vlen-bytes", "vlen-utf8"}
)
"""The ids of object codecs (objects to bytes), which exist in format 2 only."""
BYTES_IDS = frozenset(
    {
        *("adler32", "base64", "blosc", "bz2", "crc32", "crc32c", "fletcher32", "gzip"),
        *("jenkins_lookup3", "lz4", "lzma", "shuffle", "zlib", "zstd"),
    }
)
"""The ids of the codecs that encode bytes, whatever array these are from."""
SERIALIZER_IDS = frozenset({"pcodec", "zfpy"})
"""The ids of array-to-bytes codecs, which need the data type and the shape of the array."""
EXTRAS = {"msgpack2": "msgpack", "pcodec": "pcodec", "zfpy": "zfp"}
"""The extras of this package that install what numcodecs needs for a codec, by its id."""
CHECKSUMS = {
    "adler32": "start",
    "crc32": "start",
    "crc32c": "end",
    "fletcher32": "end",
    "jenkins_lookup3": "end",
}
"""Where each checksum is, unless the member ``location`` states it."""

BITS = 8


class NumcodecsBase:
    """Base class of both kinds of wrapper, with the numcodecs configuration as JSON in ``text``."""

    text: str

    @property
    def codec_config(self) -> dict[str, Any]:
        """A new dictionary of the numcodecs configuration, including ``id``.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> codec = parse(numcodecs.Delta("<i4"))
        >>> codec.codec_config["id"]
        'delta'
        """
        return json.loads(self.text)  # type: ignore[no-any-return]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The numcodecs configuration, parsed once and shared: it must not be modified.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> codec = parse(numcodecs.Delta("<i4"))
        >>> codec.settings["dtype"]
        '<i4'
        """
        return _settings(self.text)

    @property
    def id(self) -> str:
        """The numcodecs id.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> codec = parse(numcodecs.Delta("<i4"))
        >>> codec.id
        'delta'
        """
        return str(_settings(self.text)["id"])

    @property
    def name(self) -> str:
        """The name in format 3.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> codec = parse(numcodecs.Delta("<i4"))
        >>> codec.name
        'numcodecs.delta'
        """
        return PREFIX + self.id

    @property
    def codec(self) -> Any:
        """A new numcodecs object; raises ``MetadataError`` if the configuration is invalid.

        It is None for ``crc32c`` if the optional package that numcodecs needs is not installed.
        Modifying it does not change the codec.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> codec = parse(numcodecs.Delta("<i4"))
        >>> codec.codec.codec_id
        'delta'
        """
        return _made(self.text)

    @property
    def shared(self) -> Any:
        """The same object, made once and shared: it must not be modified.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> parse(numcodecs.Delta("<i4")).shared is parse(numcodecs.Delta("<i4")).shared
        True
        """
        return _shared(self.text, self.version)

    @property
    def version(self) -> object:
        """The class registered with numcodecs under the id, or None.

        >>> import numcodecs
        >>> from fastzarr.codecs import parse
        >>> parse(numcodecs.Delta("<i4")).version is numcodecs.Delta
        True
        """
        return _registry().codec_registry.get(self.id)

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


def check(codec: NumcodecsBase, where: str) -> None:
    """Raise ``MetadataError``, naming ``where``, if the codec's configuration is invalid."""
    placed(lambda: codec.shared, where)


def encoded_nbytes(config: Mapping[str, Any], size: int | None) -> int | None:
    """Return the encoded size of ``size`` bytes, or None if it depends on the values."""
    name = config["id"]
    if size is None:
        return None
    if name in CHECKSUMS:
        return size + 4
    if name in ("shuffle", "bitround"):
        return size
    if name == "packbits":
        return -(-size // BITS) + 1
    encoded = encoded_dtype(config)
    if encoded is None:
        return None
    decoded: np.dtype[Any] = np.dtype(config[DTYPE_MEMBERS[name]])
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
    if found < 4 and config["id"] in CHECKSUMS:
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


DTYPE_MEMBERS = {
    "astype": "decode_dtype",
    "delta": "dtype",
    "fixedscaleoffset": "dtype",
    "quantize": "dtype",
}
"""The member of each codec's configuration that names the decoded data type."""


@lru_cache(maxsize=256)
def _settings(text: str) -> Mapping[str, Any]:
    return json.loads(text)  # type: ignore[no-any-return]


def encoded_dtype(config: Mapping[str, Any]) -> np.dtype[Any] | None:
    """Return the data type of the encoded side; None if the codec keeps that of its input."""
    member = DTYPE_MEMBERS.get(config["id"])
    if member is None:
        return None
    dtype: np.dtype[Any] = np.dtype(
        config.get("encode_dtype" if config["id"] == "astype" else "astype") or config[member]
    )
    return dtype


_SHUFFLES = {
    **dict.fromkeys(("NONE", "NOSHUFFLE"), 0),
    **dict.fromkeys(("BYTE", "SHUFFLE"), 1),
    **dict.fromkeys(("BIT", "BITSHUFFLE"), 2),
    **dict.fromkeys(("AUTO", "AUTOSHUFFLE"), -1),
}
# A member with this value is as good as missing, and older readers do not know it.
_DEFAULTS = {("zstd", "checksum"): False, ("blosc", "typesize"): None}
# The format of lzma's data is that of a .xz file, which names its filters.
_XZ = 1


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as numcodecs and old readers know it.

    Other writers spell Blosc's shuffle as text, and GDAL gives ``lzma`` the member ``delta``.

    >>> canonical({"id": "blosc", "shuffle": "BIT"})
    {'id': 'blosc', 'shuffle': 2}
    >>> canonical({"id": "zstd", "level": 1, "checksum": False})
    {'id': 'zstd', 'level': 1}
    """
    name, none = config["id"], object()
    found = {
        key: value for key, value in config.items() if value is not _DEFAULTS.get((name, key), none)
    }
    if name == "blosc" and isinstance(found.get("shuffle"), str):
        word = found["shuffle"].upper()
        if word not in _SHUFFLES:
            msg = f"must be one of {', '.join(_SHUFFLES)} or a number, got {show(found['shuffle'])}"
            raise MetadataError(msg, "shuffle")
        found["shuffle"] = _SHUFFLES[word]
    if name == "lzma" and "delta" in found and found.get("format", _XZ) == _XZ:
        del found["delta"]
    return found


def _registry() -> Any:
    try:
        from numcodecs import registry
    except ImportError as error:
        msg = f"the package numcodecs, which fastzarr requires, cannot be imported: {error}"
        raise ImportError(msg, name="numcodecs") from error
    return registry


@lru_cache(maxsize=256)
def _shared(text: str, version: object) -> Any:
    del version  # a class that is registered later makes another object
    return _made(text)


def _made(text: str) -> Any:
    registry = _registry()
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
            extra = EXTRAS.get(config["id"])
            package = f"fastzarr[{extra}]" if extra else "the package that provides it"
            msg = (
                f"codec {config['id']!r} is not known to numcodecs; install {package}, or register "
                f"it with numcodecs.register_codec. Known: {known}"
            )
            raise UnknownCodecError(msg) from error
        msg = f"{show(config)} is not a valid configuration of {config['id']!r}: {error}"
        raise MetadataError(msg) from error


def as_text(config: Mapping[str, Any], where: str) -> str:
    """Return a configuration as JSON; raise MetadataError if JSON cannot hold it."""
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
