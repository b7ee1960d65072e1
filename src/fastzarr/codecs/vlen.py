"""The ``vlen-utf8``, ``vlen-bytes`` and ``vlen-array`` codecs: elements of variable length.

Rules of this file:

* The stored form is a count, followed by the length and the bytes of each element in C order. The
  count and the lengths are unsigned 32-bit little-endian integers.
* Before an array is allocated, the count must be that of the chunk, and the data large enough for
  that many lengths. ``vlen_decode`` then checks that each length fits the remaining data, and that
  no bytes follow the last element.
* ``vlen_decode`` and ``vlen_encode`` are those of the extension, or their twins in
  ``elements.py``.
* None in an object array is stored as an empty element, as by numcodecs.

Specification: zarr-extensions, ``codecs/vlen-utf8`` and ``codecs/vlen-bytes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from struct import Struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import show
from fastzarr.codecs import elements
from fastzarr.codecs.base import FAST, ArrayBytesCodec
from fastzarr.dtypes.vlen import plain_bytes
from fastzarr.errors import CodecError, MetadataError
from fastzarr.native import native_or

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.buffers import Buffer
from fastzarr.codecs.base import ChunkSpec

_WORD = Struct("<I")
_TEXT = np.dtypes.StringDType()


@dataclass(frozen=True, kw_only=True)
class VLenUTF8Codec(ArrayBytesCodec):
    """Stores strings of variable length as UTF-8.

    >>> VLenUTF8Codec().to_dict()
    {'name': 'vlen-utf8'}
    """

    name: ClassVar[str] = "vlen-utf8"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` unless the elements are strings or objects."""
        check_elements(spec, "string")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Return the elements encoded as UTF-8; raise ``CodecError`` if one is not a string."""
        return _joined(self.name, str, plain_text, array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return an array of the spec's data type; raise ``CodecError`` for malformed data."""
        return _split(self.name, str, data, spec)


@dataclass(frozen=True, kw_only=True)
class VLenBytesCodec(ArrayBytesCodec):
    """Stores bytes of variable length.

    >>> VLenBytesCodec().to_dict()
    {'name': 'vlen-bytes'}
    """

    name: ClassVar[str] = "vlen-bytes"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` unless elements are variable bytes or objects."""
        check_elements(spec, "bytes")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Return the encoded elements; raise ``CodecError`` if one is not bytes."""
        return _joined(self.name, bytes, plain_bytes, array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return an array of ``bytes`` objects; raise ``CodecError`` for malformed data."""
        return _split(self.name, bytes, data, spec)


@dataclass(frozen=True, kw_only=True)
class VLenArrayCodec(ArrayBytesCodec):
    """Stores strings or bytes of variable length, as ``vlen-utf8`` or ``vlen-bytes`` does.

    zarrs writes it for either data type. The codec of that name in format 2 stores arrays.

    >>> VLenArrayCodec().to_dict()
    {'name': 'vlen-array'}
    """

    name: ClassVar[str] = "vlen-array"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST
    ignored: ClassVar[frozenset[str]] = frozenset({"dtype"})

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` unless the elements are strings or bytes."""
        check_elements(spec, "string" if spec.dtype.name == "string" else "bytes")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:
        """Return the encoded elements; raise ``CodecError`` if one has another type."""
        text = spec.dtype.name == "string"
        kind, plain = (str, plain_text) if text else (bytes, plain_bytes)
        return _joined(self.name, kind, plain, array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return an array of the spec's data type; raise ``CodecError`` for malformed data."""
        return _split(self.name, str if spec.dtype.name == "string" else bytes, data, spec)


def check_elements(spec: ChunkSpec, name: str) -> None:
    """Raise ``MetadataError`` unless the elements have the data type ``name`` or are objects."""
    if spec.dtype.itemsize is None and spec.dtype.name in (name, "object"):
        return
    msg = f"stores elements of the data type {name!r}, not {spec.dtype.name!r}"
    raise MetadataError(msg)


def plain_text(item: Any) -> str:
    """Return the text stored for an object that is not a str; raise TypeError if it has none."""
    if item is None:
        return ""
    msg = f"{show(item)} is not a str"
    raise TypeError(msg)


def _joined(
    name: str, kind: type, plain: Callable[[Any], Any], array: np.ndarray[Any, Any]
) -> bytes:
    if array.dtype != _TEXT:
        array = array.astype(object, copy=False)
    found = native_or(elements).vlen_encode(array.ravel(), kind, plain)
    if isinstance(found, bytes):
        return found
    msg = f"{name}: {found}"
    raise CodecError(msg)


def _split(name: str, kind: type, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
    view, expected = as_view(data), prod(spec.shape)
    end = view.nbytes
    if end < _WORD.size:
        msg = f"{name}: expected at least {_WORD.size} bytes, found {end}"
        raise CodecError(msg)
    found = _WORD.unpack_from(view)[0]
    if found != expected:
        msg = f"{name}: expected {expected} elements, but the data holds {found}"
        raise CodecError(msg)
    if end < _WORD.size * (1 + found):
        msg = f"{name}: {found} elements take {_WORD.size * (1 + found)} bytes or more, found {end}"
        raise CodecError(msg)
    out = np.empty(found, dtype=spec.dtype.numpy)
    wrong = native_or(elements).vlen_decode(view, kind, out)
    if wrong is not None:
        msg = f"{name}: {wrong}"
        raise CodecError(msg)
    return out.reshape(spec.shape)
