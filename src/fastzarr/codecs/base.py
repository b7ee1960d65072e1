"""The base classes of the three kinds of codecs, and the checks they share.

Rules of this file:

* A codec is a frozen dataclass whose fields are its configuration. It has no other state, so it is
  thread-safe and can be hashed, compared and pickled.
* An invalid configuration raises ``MetadataError`` naming the member at fault. Data that cannot be
  decoded raises ``CodecError`` with the sizes expected and found.
* Sizes stated in the data are never trusted. If the decoded size is known, decoding returns exactly
  that many bytes; otherwise at most ``limits.chunk_bytes`` of ``config``, and at most 64 MiB or
  ``limits.expansion`` times the encoded size.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias

from fastzarr.checked import check_members, deviation, member, placed
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np

    from fastzarr.buffers import Buffer
    from fastzarr.dtypes.base import DataType
    from fastzarr.grids.regular import RegularGrid


Native: TypeAlias = tuple[str, list[int], str]
"""A codec's description for the extension: a name, integers, and a string."""

FAST = 1 << 24
"""The ``pace`` of codecs that copy, count or calculate."""

MODEST = 64 << 20
"""The decoded size that any data of unknown size may have."""


@dataclass(frozen=True)
class ChunkSpec:
    """The shape, data type and fill value of a chunk, as one codec sees it decoded.

    >>> import numpy as np
    >>> from fastzarr.dtype import Int16
    >>> ChunkSpec((2, 3), Int16(), np.int16(0)).shape
    (2, 3)
    """

    shape: tuple[int, ...]
    dtype: DataType
    fill: Any


class Inside(NamedTuple):
    """The chunk grid inside a chunk, as a sharding codec stores it.

    ``codecs`` is the chain of the inner chunks. ``index_codecs`` is the chain of the index, which
    is at the start of the encoded chunk or at its end.
    """

    grid: RegularGrid
    codecs: tuple[Codec, ...]
    index_codecs: tuple[Codec, ...]
    index_at_start: bool


class Codec:
    """Base class of all codecs.

    A subclass is a frozen dataclass whose fields are the members of its configuration. Its
    ``__post_init__`` validates them and raises ``MetadataError(message, member)``.

    ``cacheable`` is True if the codec means the same for the lifetime of the process, so that
    parsed documents that name it may be cached. It is not inherited: each subclass must declare it.

    ``pace`` is how many decoded bytes it encodes or decodes within some 50 ms at least. Larger
    chunks are processed apart, so that Ctrl-C does not wait for them.

    >>> from fastzarr.codecs import BloscCodec, names
    >>> issubclass(BloscCodec, Codec), BloscCodec.name in names()
    (True, True)
    """

    name: ClassVar[str]
    cacheable: ClassVar[bool] = False
    #: That of the slowest compressors.
    pace: ClassVar[int] = 1 << 17
    #: Members of other writers that change neither the stored bytes nor the decoded values. They
    #: are ignored, with a warning.
    ignored: ClassVar[frozenset[str]] = frozenset()
    _members: ClassVar[dict[str, bool]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set ``cacheable`` to False unless the class declares it."""
        super().__init_subclass__(**kwargs)
        cls.cacheable = vars(cls).get("cacheable", False)

    @classmethod
    def members(cls) -> dict[str, bool]:
        """Return the allowed members of a configuration, each with whether it is required.

        >>> from fastzarr.codecs import GzipCodec
        >>> GzipCodec.members()
        {'level': False}
        """
        # Kept on the class, because every codec of every document asks for it.
        found: dict[str, bool] | None = vars(cls).get("_members")
        if found is None:
            found = cls._members = {
                f.name: f.default is MISSING
                for f in fields(cls)  # type: ignore[arg-type]  # every codec is a dataclass
                if f.metadata.get("member", True)
            }
        return found

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with the ``configuration`` object of a metadata document.

        ``where`` is the location of that object. Raise ``MetadataError``, naming the member at
        fault, if a member is unknown, missing or invalid.

        >>> from fastzarr.codecs import GzipCodec
        >>> GzipCodec.from_config({"level": 3}, "codecs[0]")
        GzipCodec(level=3)
        """
        for name in cls.ignored & config.keys() if cls.ignored else ():
            deviation("is not a member of this codec, and is ignored", member(where, name))
            config = {key: value for key, value in config.items() if key != name}
        check_members(config, cls.members(), where)
        return placed(lambda: cls(**config), where)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object; it is empty if the codec has no members.

        >>> from fastzarr.codecs import GzipCodec
        >>> GzipCodec(level=3).config()
        {'level': 3}
        """
        names = self.members()
        return {name: getattr(self, name) for name in names} if names else {}

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in format 3 metadata.

        >>> from fastzarr.codecs import GzipCodec
        >>> GzipCodec(level=3).to_dict()
        {'name': 'gzip', 'configuration': {'level': 3}}
        """
        found = self.config()
        return {"name": self.name, "configuration": found} if found else {"name": self.name}

    def to_v2(self) -> dict[str, Any]:
        """Return the codec as in format 2 metadata; raise ``MetadataError`` if it has none.

        >>> from fastzarr.codecs import GzipCodec
        >>> GzipCodec(level=3).to_v2()
        {'id': 'gzip', 'level': 3}
        """
        msg = f"codec {self.name!r} is not supported in format 2; use zarr_format=3"
        raise MetadataError(msg)

    def native(self) -> Native | None:
        """Return a bytes-to-bytes codec's description for the extension.

        The result is None if the extension does not implement the codec.
        """
        return None

    def nested(self) -> tuple[Codec, ...]:
        """Return the codecs that this one applies to what it encodes.

        >>> from fastzarr.codecs import BytesCodec
        >>> BytesCodec().nested()
        ()
        """
        return ()

    @property
    def version(self) -> object:
        """An object that is replaced when the codec's meaning changes; None if it never does.

        Parsed documents with a ``cacheable`` codec are cached until its version is another one.

        >>> from fastzarr.codecs import BytesCodec
        >>> BytesCodec().version is None
        True
        """
        return None

    def resolve(self, spec: ChunkSpec) -> Self:  # noqa: ARG002  (most depend on nothing)
        """Return the codec with the members that depend on the chunk filled in.

        Raise ``MetadataError`` if the codec cannot encode chunks of this shape and data type.
        """
        return self


class ArrayArrayCodec(Codec):
    """Base class of codecs that encode an array as another array.

    The ``spec`` of every method describes the decoded array. ``reshapes`` is True if the codec
    changes nothing but the axes: elements, and their order in C order, stay the same.
    ``elementwise`` is True if each element is encoded by itself, whatever its place; it is not
    inherited.

    >>> from fastzarr.codecs import TransposeCodec
    >>> issubclass(TransposeCodec, ArrayArrayCodec)
    True
    """

    reshapes: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set ``elementwise`` to False unless the class declares it."""
        super().__init_subclass__(**kwargs)
        cls.elementwise = vars(cls).get("elementwise", False)

    def native_typed(self, spec: ChunkSpec) -> list[Native] | None:  # noqa: ARG002  (as above)
        """Return how the extension encodes the elements, or None if it cannot.

        The result is a list of codecs of elements, each of which has a name, integers and a string.
        They encode the elements in C order, and in native byte order.
        """
        return None

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the shape, data type and fill value of the encoded array.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, TransposeCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> TransposeCodec(order=(1, 0)).encoded_spec(spec).shape
        (3, 2)
        """
        raise NotImplementedError

    def decoded_block(self, block: tuple[int, ...], spec: ChunkSpec) -> tuple[int, ...] | None:
        """Return the shape in the decoded array of the blocks that divide the encoded one.

        The result is None if they are not blocks of the decoded array, in the same order.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, TransposeCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((8, 6), Int16(), np.int16(0))
        >>> TransposeCodec(order=(1, 0)).decoded_block((3, 8), spec)
        (8, 3)
        """
        return block if len(block) == len(spec.shape) else None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the encoded array of one chunk.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, TransposeCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> TransposeCodec(order=(1, 0)).encode(np.zeros((2, 3), "i2"), spec).shape
        (3, 2)
        """
        raise NotImplementedError

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded array of one chunk, of shape ``spec.shape``.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, TransposeCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> TransposeCodec(order=(1, 0)).decode(np.zeros((3, 2), "i2"), spec).shape
        (2, 3)
        """
        raise NotImplementedError


class ArrayBytesCodec(Codec):
    """Base class of codecs that encode an array as bytes; ``spec`` describes the array.

    ``pads`` is True if a chunk that is smaller than expected is filled up, and is no error.

    >>> from fastzarr.codecs import BytesCodec
    >>> issubclass(BytesCodec, ArrayBytesCodec)
    True
    """

    pads: ClassVar[bool] = False

    def inside(self) -> Inside | None:
        """Return the chunk grid inside an encoded chunk, or None if it has none.

        If it has one, chunks are read and written by that grid, whole or in parts, and ``encode``
        and ``decode`` are not called.
        """
        return None

    def nested(self) -> tuple[Codec, ...]:
        """Return the codecs that this one applies to the chunk grid inside, and to its index."""
        inside = self.inside()
        return () if inside is None else inside.codecs + inside.index_codecs

    def native_bytes(
        self,
        spec: ChunkSpec,  # noqa: ARG002  (as above)
    ) -> tuple[list[Native], list[Native]] | None:
        """Return how the extension encodes the array, or None if it cannot.

        The result is a list of codecs of elements, as returned by ``native_typed``, and a list of
        bytes-to-bytes codecs, as returned by ``native``.
        """
        return None

    def stored_order(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """Return the axes of the chunk in the order in which the extension stores its elements.

        ``order`` is that of the array's axes in the array that this codec encodes.

        >>> from fastzarr.codecs import BytesCodec
        >>> BytesCodec().stored_order((1, 0))
        (1, 0)
        """
        return order

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Return the exact encoded size in bytes, or None if it depends on the values.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, BytesCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> BytesCodec().encoded_size(spec)
        12
        """
        raise NotImplementedError

    def stored_form(self, spec: ChunkSpec) -> Hashable:
        """Return what the chunks of a view must have in common with those of the array, or None.

        This is the encoded size, unless the encoded bytes state more of the array.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, BytesCodec
        >>> from fastzarr.dtype import Int16
        >>> BytesCodec().stored_form(ChunkSpec((2, 3), Int16(), np.int16(0)))
        12
        """
        return self.encoded_size(spec)

    def check(self, array: np.ndarray[Any, Any]) -> None:
        """Raise ``CodecError``, naming the element, if one of an array of objects has no encoding.

        This method is that of codecs that encode whatever the data type allows.
        """

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the encoded bytes of one chunk; ``array`` may have any strides.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, BytesCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> len(BytesCodec().encode(np.ones((2, 3), "i2"), spec))
        12
        """
        raise NotImplementedError

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded chunk, of shape ``spec.shape``; it may be a view of ``data``.

        >>> import numpy as np
        >>> from fastzarr.codecs import ChunkSpec, BytesCodec
        >>> from fastzarr.dtype import Int16
        >>> spec = ChunkSpec((2, 3), Int16(), np.int16(0))
        >>> BytesCodec().decode(bytes(12), spec)[0]
        array([0, 0, 0], dtype=int16)
        """
        raise NotImplementedError


class BytesBytesCodec(Codec):
    """Base class of codecs that encode bytes as other bytes.

    >>> from fastzarr.codecs import GzipCodec
    >>> issubclass(GzipCodec, BytesBytesCodec)
    True
    """

    def encoded_size(self, size: int | None) -> int | None:
        """Return the exact encoded size of ``size`` bytes, or None if it depends on the values.

        >>> from fastzarr.codecs import Crc32cCodec, GzipCodec
        >>> Crc32cCodec().encoded_size(100), GzipCodec().encoded_size(100)
        (104, None)
        """
        raise NotImplementedError

    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes.

        >>> from fastzarr.codecs import Crc32cCodec
        >>> len(Crc32cCodec().encode(b"abc"))
        7
        """
        raise NotImplementedError

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the decoded bytes: exactly ``size``, or up to the configured limit if None.

        >>> from fastzarr.codecs import Crc32cCodec
        >>> codec = Crc32cCodec()
        >>> bytes(codec.decode(codec.encode(b"abc"), 3))
        b'abc'
        """
        raise NotImplementedError


def bound(size: int | None, encoded: int | None = None) -> int:
    """Return the most bytes a decoder may produce: ``size``, or the configured limit if None.

    ``encoded`` is the size of the encoded data, if the limit depends on it.
    """
    return limit(encoded)[0] if size is None else size


def limit(encoded: int | None = None) -> tuple[int, str]:
    """Return the most bytes that data of unknown size may decode to, and how to raise that."""
    most, setting = int(config["limits.chunk_bytes"]), "limits.chunk_bytes"
    if encoded is not None:
        expanded = max(MODEST, encoded * int(config["limits.expansion"]))
        if expanded < most:
            most, setting = expanded, "limits.expansion"
    return most, f"if that is correct, raise {setting} in config"


def padded() -> bool:
    """Whether bytes behind the end of compressed data are ignored.

    Some writers pad what a compressor returns. Only a compressor that marks the end of its data can
    ignore that, and only behind complete data of the expected size.
    """
    return bool(config.flat["array.read_padded_chunks"])


def verified() -> bool:
    """Whether checksums are compared on reading."""
    return bool(config.flat["array.verify_checksums"])


def check_size(
    codec: str,
    found: int,
    size: int | None,
    what: str = "the data holds",
    encoded: int | None = None,
) -> int:
    """Return ``found``, a decoded size stated by the data, if it is acceptable.

    Raise ``CodecError`` if it differs from ``size`` or, with ``size`` None, exceeds the configured
    limit for ``encoded`` bytes of data. ``what`` is the subject and verb of the message.
    """
    if size is None:
        most, hint = limit(encoded)
        if found > most:
            msg = f"{codec}: {what} {found} bytes, over the limit of {most}; {hint}"
            raise CodecError(msg)
    elif found != size:
        msg = f"{codec}: expected {size} decoded bytes, but {what} {found}"
        raise CodecError(msg)
    return found


def spec_size(spec: ChunkSpec) -> int | None:
    """Return the decoded size of a chunk in bytes, or None for elements of variable length."""
    itemsize = spec.dtype.itemsize
    return None if itemsize is None else prod(spec.shape) * itemsize
