"""What every codec is: three kinds, one interface, and the checks they share.

Rules of this file:

* A codec is a frozen dataclass: its fields are its configuration. It holds no state, so one object
  serves any number of threads, and it can be hashed, compared and pickled.
* A wrong configuration is a ``MetadataError`` whose place is the member at fault; data that does
  not decode is a ``CodecError`` that gives the sizes expected and found.
* No size is believed because the data says so. Where the decoded size is known, exactly that many
  bytes come back; where it is not, the limit ``limits.chunk_bytes`` of ``config`` holds.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np

from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.dtypes import DataType

T = TypeVar("T")

Buffer = bytes | bytearray | memoryview | np.ndarray[Any, Any]
"""Contiguous bytes: ``bytes``, ``bytearray``, ``memoryview`` or an array of ``uint8``."""


@dataclass(frozen=True)
class ChunkSpec:
    """Describe the decoded side of a codec: the shape, data type and fill value of a chunk."""

    shape: tuple[int, ...]
    dtype: DataType
    fill: Any


# What each kind of codec may be told, found out once.
_MEMBERS: dict[type, dict[str, bool]] = {}


class Codec:
    """Stand at the root of all codecs.

    A subclass is a frozen dataclass whose fields are the members of its configuration, checked in
    ``__post_init__`` by raising ``MetadataError(message, member)``.
    """

    name: ClassVar[str]

    @classmethod
    def members(cls) -> dict[str, bool]:
        """Give the members a configuration may have, and whether each must be there."""
        if cls not in _MEMBERS:
            _MEMBERS[cls] = {
                f.name: f.default is MISSING
                for f in fields(cls)  # type: ignore[arg-type]  # every codec is a dataclass
                if f.metadata.get("member", True)
            }
        return _MEMBERS[cls]

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Make the codec from its ``configuration`` object in a metadata document.

        Raises ``MetadataError``, placed at the member at fault, for a member that is unknown,
        missing or wrong.
        """
        check_members(config, cls.members(), where)
        return placed(lambda: cls(**config), where)

    def config(self) -> dict[str, Any]:
        """Give the ``configuration`` object, ``{}`` where the codec has none."""
        return {name: getattr(self, name) for name in self.members()}

    def to_dict(self) -> dict[str, Any]:
        """Give the codec as it stands in format 3 metadata."""
        found = self.config()
        return {"name": self.name, "configuration": found} if found else {"name": self.name}

    def to_v2(self) -> dict[str, Any]:
        """Give the codec as it stands in format 2 metadata; ``MetadataError`` if it cannot."""
        msg = f"codec {self.name!r} has no place in format 2; use zarr_format=3"
        raise MetadataError(msg)

    def native(self) -> tuple[str, list[int], str] | None:
        """Give the codec as the native extension takes it: a name, numbers and a word.

        None stands for a codec that the extension does not have.
        """
        return None

    def resolve(self, spec: ChunkSpec) -> Self:  # noqa: ARG002  (most depend on nothing)
        """Give the codec with all that depends on the data type filled in.

        Raises ``MetadataError`` where codec and data do not fit.
        """
        return self


class ArrayArrayCodec(Codec):
    """Turn an array into another array. ``spec`` is always that of the decoded side."""

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Give what the next codec sees: shape, data type and fill value once encoded."""
        raise NotImplementedError

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Encode one chunk."""
        raise NotImplementedError

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode one chunk; the result has ``spec.shape``."""
        raise NotImplementedError


class ArrayBytesCodec(Codec):
    """Turn an array into bytes. ``spec`` is that of the array."""

    def native_bytes(self, spec: ChunkSpec) -> tuple[int, list[Any]] | None:  # noqa: ARG002
        """Give how the native extension makes the bytes, or None where it does not.

        That is the size of the units whose bytes it turns round, 0 for none, and codecs from bytes
        to bytes as ``native`` gives them.
        """
        return None

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Give the exact number of bytes, or ``None`` where it depends on the values."""
        raise NotImplementedError

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Encode one chunk of any strides."""
        raise NotImplementedError

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode one chunk; the result has ``spec.shape`` and may be a view of ``data``."""
        raise NotImplementedError


class BytesBytesCodec(Codec):
    """Turn bytes into bytes."""

    def encoded_size(self, size: int | None) -> int | None:
        """Give the exact encoded size of ``size`` bytes, or ``None`` where it is not fixed."""
        raise NotImplementedError

    def encode(self, data: Buffer) -> Buffer:
        """Encode bytes."""
        raise NotImplementedError

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Decode to exactly ``size`` bytes, or to any number within the limits where ``None``."""
        raise NotImplementedError


def nbytes(data: Buffer) -> int:
    """Give the number of bytes in a buffer, whatever its kind."""
    return len(data) if isinstance(data, (bytes, bytearray)) else data.nbytes


def as_view(data: Buffer) -> memoryview:
    """Give a buffer as a flat memoryview of bytes, without a copy where it is contiguous."""
    if isinstance(data, np.ndarray):
        # Through NumPy, since datetime64 and its like do not export a buffer themselves.
        flat: Any = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        return memoryview(flat)
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def bound(size: int | None) -> int:
    """Give the most bytes a decoder may produce: the known size, else the configured limit."""
    return int(config["limits.chunk_bytes"]) if size is None else size


def check_size(codec: str, found: int, size: int | None, what: str = "the data holds") -> int:
    """Give ``found`` back if it may be decoded to, else raise ``CodecError`` with both sizes."""
    if size is None:
        limit = bound(None)
        if found > limit:
            msg = (
                f"{codec}: {what} {found} bytes, over the limit of {limit}; "
                "raise limits.chunk_bytes in config if that is right"
            )
            raise CodecError(msg)
    elif found != size:
        msg = f"{codec}: expected {size} decoded bytes, but {what} {found}"
        raise CodecError(msg)
    return found


def spec_size(spec: ChunkSpec) -> int | None:
    """Give the number of bytes of a chunk, or ``None`` for elements of variable length."""
    itemsize = spec.dtype.itemsize
    return None if itemsize is None else prod(spec.shape) * itemsize


def check_members(config: Any, known: dict[str, bool], where: str) -> None:
    """Raise ``MetadataError`` unless ``config`` is an object of the known members.

    ``known`` gives for each name whether it must be there.
    """
    if not isinstance(config, dict):
        msg = f"must be an object, not {config!r}"
        raise MetadataError(msg, where)
    for name in config:
        if name not in known:
            names = ", ".join(known) or "none"
            msg = f"is not a member known here; known: {names}"
            raise MetadataError(msg, f"{where}.{name}")
    for name, required in known.items():
        if required and name not in config:
            msg = f"the member {name!r} is missing"
            raise MetadataError(msg, where)


def placed(make: Callable[[], T], where: str) -> T:
    """Call ``make``, and put ``where`` before the place of a ``MetadataError`` it raises."""
    try:
        return make()
    except MetadataError as error:
        if not where:
            raise
        message = str(error).removeprefix(f"{error.where}: ")
        place = f"{where}.{error.where}" if error.where else where
        raise type(error)(message, place) from None


def exact_int(value: Any, low: int, high: int, where: str) -> int:
    """Give an integer of the inclusive range; a bool, a float or another is ``MetadataError``."""
    if isinstance(value, np.integer):
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        msg = f"must be an integer from {low} to {high}, not {value!r}"
        raise MetadataError(msg, where)
    return value


def choice(value: Any, known: tuple[str, ...], where: str) -> str:
    """Give one of the known words, also from an enumeration of them."""
    word = getattr(value, "value", value)
    if not isinstance(word, str) or word not in known:
        msg = f"must be one of {', '.join(map(repr, known))}, not {value!r}"
        raise MetadataError(msg, where)
    return word


def boolean(value: Any, where: str) -> bool:
    """Give a bool; anything else is ``MetadataError``."""
    if not isinstance(value, (bool, np.bool_)):
        msg = f"must be true or false, not {value!r}"
        raise MetadataError(msg, where)
    return bool(value)
