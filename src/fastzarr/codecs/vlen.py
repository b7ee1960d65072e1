"""The ``vlen-utf8`` and ``vlen-bytes`` codecs: elements of varying length.

Rules of this file:

* The stored form is a count, then for each element in C order its length and its bytes; count and
  lengths are unsigned 32-bit little-endian integers.
* The count must be that of the chunk, and the data hold a length for each, before an array is made
  for them. Whoever splits the data then makes sure that each length fits what is left, and that no
  bytes follow the last element.
* Splitting and joining is done by the native extension, or by its twin in ``_reference.py``.
* None in an array of objects is stored as the empty element, as numcodecs does.

Specification: zarr-extensions, ``codecs/vlen-utf8`` and ``codecs/vlen-bytes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from struct import Struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.codecs.base import ArrayBytesCodec, as_view
from fastzarr.codecs.chain import extension
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.codecs.base import Buffer, ChunkSpec

_WORD = Struct("<I")
_TEXT = np.dtypes.StringDType()


@dataclass(frozen=True, kw_only=True)
class VLenUTF8Codec(ArrayBytesCodec):
    """Store text of varying length as UTF-8.

    >>> VLenUTF8Codec().to_dict()
    {'name': 'vlen-utf8'}
    """

    name: ClassVar[str] = "vlen-utf8"

    def resolve(self, spec: ChunkSpec) -> Self:
        """Raise ``MetadataError`` unless the elements are text."""
        check_elements(spec, "string")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Encode each element as UTF-8; ``CodecError`` where one is no text."""
        return _joined(self.name, str, plain_text, array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode to an array of the spec's data type."""
        return _split(self.name, str, data, spec)


@dataclass(frozen=True, kw_only=True)
class VLenBytesCodec(ArrayBytesCodec):
    """Store bytes of varying length.

    >>> VLenBytesCodec().to_dict()
    {'name': 'vlen-bytes'}
    """

    name: ClassVar[str] = "vlen-bytes"

    def resolve(self, spec: ChunkSpec) -> Self:
        """Raise ``MetadataError`` unless the elements are bytes of varying length."""
        check_elements(spec, "bytes")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Join the elements; ``CodecError`` where one is not bytes."""
        return _joined(self.name, bytes, plain_bytes, array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode to an array of ``bytes`` objects."""
        return _split(self.name, bytes, data, spec)


def check_elements(spec: ChunkSpec, name: str) -> None:
    """Raise ``MetadataError`` unless a chunk holds elements of this data type, or objects."""
    if spec.dtype.itemsize is None and spec.dtype.name in (name, "object"):
        return
    msg = f"stores elements of the data type {name!r}, not {spec.dtype.name!r}"
    raise MetadataError(msg)


def plain_text(item: Any) -> str:
    """Make text of an object that is none; ``TypeError`` if it stands for none."""
    if item is None:
        return ""
    msg = f"{item!r} is no str"
    raise TypeError(msg)


def plain_bytes(item: Any) -> bytes:
    """Make bytes of an object that is none; ``TypeError`` if it stands for none."""
    if item is None:
        return b""
    if isinstance(item, (bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, np.void):
        return item.tobytes()
    msg = f"{item!r} is no bytes"
    raise TypeError(msg)


def _functions() -> Any:
    """Give who splits and joins: the native extension, or its twin."""
    from fastzarr import _reference

    native = None if config.flat["data_path"] == "numpy" else extension()
    return _reference if native is None else native


def _joined(
    name: str, kind: type, plain: Callable[[Any], Any], array: np.ndarray[Any, Any]
) -> bytes:
    if array.dtype != _TEXT:
        array = array.astype(object, copy=False)
    found = _functions().vlen_encode(array.ravel(), kind, plain)
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
    wrong = _functions().vlen_decode(view, kind, out)
    if wrong is not None:
        msg = f"{name}: {wrong}"
        raise CodecError(msg)
    return out.reshape(spec.shape)
