"""``zarr.core.chunk_key_encodings``: the keys of chunks, which other packages may add to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypedDict

from fastzarr._lazy import cached
from fastzarr.compat.abc.metadata import Metadata
from fastzarr.compat.core.adapted_keys import Adapted
from fastzarr.compat.core.common import parse_named_configuration
from fastzarr.compat.registry import get_chunk_key_encoding_class, register_chunk_key_encoding
from fastzarr.grids.keys import KEYS, ChunkKeys, KeyEncoding, parse_keys

if TYPE_CHECKING:
    from typing import NotRequired

SeparatorLiteral = Literal[".", "/"]


def parse_separator(data: Any) -> SeparatorLiteral:
    """Return a separator; raise ValueError unless it is ``"."`` or ``"/"``.

    >>> parse_separator("/")
    '/'
    """
    if data not in (".", "/"):
        msg = f"Expected separator to be one of '.' or '/', got {data!r}"
        raise ValueError(msg)
    found: SeparatorLiteral = data
    return found


class ChunkKeyEncodingParams(TypedDict):
    """A chunk key encoding with its separator, as functions accept it."""

    name: Literal["v2", "default"]
    separator: NotRequired[SeparatorLiteral]


@dataclass(frozen=True)
class ChunkKeyEncoding(ABC, Metadata):
    """Base class of chunk key encodings. ``name`` is the name in documents."""

    name: ClassVar[str]

    @cached
    def inner(self) -> KeyEncoding:
        """The key encoding of fastzarr with the same keys."""
        return Adapted(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the encoding of the JSON of a document."""
        _, config = parse_named_configuration(data, require_configuration=False)
        return cls(**(config or {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for documents."""
        return {"name": self.name, "configuration": super().to_dict()}

    def decode_chunk_key(self, chunk_key: str) -> tuple[int, ...]:
        """Return the coordinates of the chunk with a key."""
        msg = f"{type(self).__name__} does not implement decode_chunk_key ({chunk_key!r})."
        raise NotImplementedError(msg)

    @abstractmethod
    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""


@dataclass(frozen=True)
class DefaultChunkKeyEncoding(ChunkKeyEncoding):
    """Keys that begin with ``c``.

    >>> DefaultChunkKeyEncoding().encode_chunk_key((0, 12))
    'c/0/12'
    """

    name: ClassVar[str] = "default"
    separator: SeparatorLiteral = "/"

    def __post_init__(self) -> None:
        """Raise ValueError for another separator."""
        parse_separator(self.separator)

    @cached
    def inner(self) -> KeyEncoding:
        """The key encoding of fastzarr with the same keys."""
        return ChunkKeys("default", self.separator)

    def decode_chunk_key(self, chunk_key: str) -> tuple[int, ...]:
        """Return the coordinates of the chunk with a key."""
        if chunk_key == "c":
            return ()
        head, *coords = chunk_key.split(self.separator)
        if head != "c":
            msg = f"Invalid chunk key for default encoding: {chunk_key!r}"
            raise ValueError(msg)
        return tuple(map(int, coords))

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""
        return self.inner.encode(chunk_coords)


@dataclass(frozen=True)
class V2ChunkKeyEncoding(ChunkKeyEncoding):
    """Keys of format 2.

    >>> V2ChunkKeyEncoding().encode_chunk_key((0, 12))
    '0.12'
    """

    name: ClassVar[str] = "v2"
    separator: SeparatorLiteral = "."

    def __post_init__(self) -> None:
        """Raise ValueError for another separator."""
        parse_separator(self.separator)

    @cached
    def inner(self) -> KeyEncoding:
        """The key encoding of fastzarr with the same keys."""
        return ChunkKeys("v2", self.separator)

    def decode_chunk_key(self, chunk_key: str) -> tuple[int, ...]:
        """Return the coordinates of the chunk with a key."""
        return tuple(map(int, chunk_key.split(self.separator)))

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""
        return self.inner.encode(chunk_coords)


ChunkKeyEncodingLike = dict[str, Any] | ChunkKeyEncodingParams | ChunkKeyEncoding


@dataclass(frozen=True)
class OtherChunkKeyEncoding(ChunkKeyEncoding):
    """A chunk key encoding that fastzarr has and zarr-python has not, such as ``fanout``."""

    keys: KeyEncoding

    @cached
    def inner(self) -> KeyEncoding:
        """The key encoding of fastzarr with the same keys."""
        return self.keys

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for documents."""
        return {"name": self.keys.name, "configuration": self.keys.config()}

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""
        return self.keys.encode(chunk_coords)


def from_inner(keys: KeyEncoding) -> Any:
    """Return the object of zarr-python's class for a key encoding of fastzarr.

    >>> from_inner(ChunkKeys("v2", "/"))
    V2ChunkKeyEncoding(separator='/')
    """
    if isinstance(keys, Adapted):
        return keys.outer
    if isinstance(keys, ChunkKeys):
        cls = DefaultChunkKeyEncoding if keys.name == "default" else V2ChunkKeyEncoding
        return cls(separator=keys.separator)
    return OtherChunkKeyEncoding(keys)


def parse_chunk_key_encoding(data: Any) -> Any:
    """Return the chunk key encoding of a name with a separator, or of the JSON of a document.

    Raise ValueError if the name is unknown.

    >>> parse_chunk_key_encoding({"name": "v2", "separator": "/"})
    V2ChunkKeyEncoding(separator='/')
    """
    if isinstance(data, ChunkKeyEncoding):
        return data
    if "name" in data and "separator" in data:
        data = {"name": data["name"], "configuration": {"separator": data["separator"]}}
    name, _ = parse_named_configuration(data, require_configuration=False)
    try:
        return get_chunk_key_encoding_class(name).from_dict(data)
    except KeyError as error:
        if KEYS.find(name) is not None:
            return from_inner(parse_keys(data, "chunk_key_encoding"))
        msg = f"Unknown chunk key encoding: {error.args[0]!r}"
        raise ValueError(msg) from error


register_chunk_key_encoding("default", DefaultChunkKeyEncoding)
register_chunk_key_encoding("v2", V2ChunkKeyEncoding)
