"""The ``blosc`` codec.

Rules of this file:

* The 16-byte header is checked against the expected size and the length of the data before anything
  is decoded. Fields that the decoder divides by are checked to be positive.
* The header states where the frame ends. Bytes behind it are an error, unless they are ignored as
  padding (see ``padded``).
* ``typesize`` and ``shuffle`` default to values derived from the data type, as in zarr-python,
  except that elements of variable length are not shuffled. Until the data type is known, they have
  the values for bytes, marked as ``derived``, and no document contains them.
* Blosc's own threads are disabled; parallelism is across chunks.

Specification: zarr-specs, "Blosc codec", version 1.0; c-blosc, README_CHUNK_FORMAT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from fastzarr.buffers import as_view
from fastzarr.checked import as_int, choice
from fastzarr.codecs.base import BytesBytesCodec, check_size, padded
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec
    from fastzarr.codecs.enums import BloscCname, BloscShuffle

    Cname = Literal["lz4", "lz4hc", "blosclz", "zstd", "snappy", "zlib"]
    Shuffle = Literal["noshuffle", "shuffle", "bitshuffle"]

CNAMES = ("lz4", "lz4hc", "blosclz", "zstd", "snappy", "zlib")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")

_HEADER = struct.Struct("<BBBBIII")
_MAX_TYPESIZE = 255
_VERSION = 2
"""The version of the format; c-blosc reads no other."""
_STORED = 0x02
"""The header flag of data that Blosc stored uncompressed."""
_RESERVED = 0x08
"""A header flag that is never set."""
_BOTH = 0x05
"""The header flags of the byte shuffle and of the bit shuffle, which exclude each other."""
_BLOSCLZ = 0
# Each 0xFF byte adds 255 to the length of a match in c-blosc's decoder for blosclz, and nothing
# keeps that 32-bit integer from overflowing (c-blosc issue 405). No encoder writes such a run.
_RUN = (1 << 31) // 255 - 1


class _AnyTypesize(int):
    """The type size that is to be derived; ``dataclasses.replace`` keeps it as such."""


class _AnyShuffle(str):
    """The shuffle that is to be derived."""

    __slots__ = ()


_TYPESIZE, _SHUFFLE = _AnyTypesize(1), _AnyShuffle("bitshuffle")


@dataclass(frozen=True, kw_only=True)
class BloscCodec(BytesBytesCodec):
    """Blosc: shuffles the bytes or bits of elements by significance, then compresses them.

    ``cname`` is the compressor and ``clevel`` its level from 0 to 9. ``shuffle`` is
    ``"noshuffle"``, ``"shuffle"`` or ``"bitshuffle"``. ``blocksize`` is in bytes; 0 selects it
    automatically. If ``typesize`` or ``shuffle`` is None, it is derived from the data type when an
    array is created; ``derived`` has its name, and until then it has the value for bytes.

    >>> BloscCodec(typesize=4).shuffle, BloscCodec(typesize=4).derived
    ('bitshuffle', frozenset({'shuffle'}))
    >>> codec = BloscCodec(cname="lz4", typesize=4, shuffle="shuffle")
    >>> bytes(codec.decode(codec.encode(b"abcd" * 4), 16))
    b'abcdabcdabcdabcd'
    """

    name: ClassVar[str] = "blosc"
    cacheable: ClassVar[bool] = True

    typesize: int | None = None
    cname: str = "zstd"
    clevel: int = 5
    shuffle: str | None = None
    blocksize: int = 0
    derived: frozenset[str] = field(
        init=False, repr=False, default=frozenset(), metadata={"member": False}
    )

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(
            self,
            *,
            typesize: int | None = None,
            cname: Cname | BloscCname = "zstd",
            clevel: int = 5,
            shuffle: Shuffle | BloscShuffle | Literal[-1, 0, 1, 2] | None = None,
            blocksize: int = 0,
        ) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate and normalise the members."""
        shuffle: Any = None if isinstance(self.shuffle, _AnyShuffle) else self.shuffle
        if type(shuffle) is int and -1 <= shuffle < len(SHUFFLES):
            # Format 2 has integers here; -1 derives the shuffle from the data type.
            shuffle = None if shuffle < 0 else SHUFFLES[shuffle]
        if shuffle is not None:
            shuffle = choice(shuffle, SHUFFLES, "shuffle")
        object.__setattr__(self, "shuffle", _SHUFFLE if shuffle is None else shuffle)
        object.__setattr__(self, "cname", choice(self.cname, CNAMES, "cname"))
        object.__setattr__(self, "clevel", as_int(self.clevel, "clevel", 0, 9))
        object.__setattr__(self, "blocksize", as_int(self.blocksize, "blocksize", 0, 2**31 - 1))
        typesize: Any = None if isinstance(self.typesize, _AnyTypesize) else self.typesize
        if typesize is not None:
            typesize = as_int(typesize, "typesize", 1, 2**31 - 1)
        object.__setattr__(self, "typesize", _TYPESIZE if typesize is None else typesize)
        given = {"typesize": typesize, "shuffle": shuffle}
        derived = frozenset(name for name, value in given.items() if value is None)
        object.__setattr__(self, "derived", derived)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object without the members that are to be derived."""
        values = vars(self)
        return {name: values[name] for name in self.members() if name not in self.derived}

    def to_v2(self) -> dict[str, Any]:
        """Return the numcodecs configuration."""
        return {
            "id": "blosc",
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": self._number(),
            "blocksize": self.blocksize,
        }

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with ``typesize`` and ``shuffle`` derived from the data type if None."""
        if not self.derived:
            return self
        typesize: Any = self.typesize
        shuffle: Any = self.shuffle
        if "typesize" in self.derived:
            typesize = spec.dtype.itemsize or 1
        if "shuffle" in self.derived:
            if spec.dtype.itemsize is None:
                shuffle = "noshuffle"
            else:
                shuffle = "bitshuffle" if typesize == 1 else "shuffle"
        found: Self = _fitted(self, typesize, shuffle)
        return found

    def native(self) -> tuple[str, list[int], str]:
        """Return level, shuffle, type size, block size and ``padded``, and the compressor."""
        return native(self.cname, self.clevel, self._number(), self.blocksize, self.typesize)

    def encoded_size(self, size: int | None) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, data: Buffer) -> bytes:
        """Return the bytes as one Blosc chunk."""
        return compress(
            data, self.cname, self.clevel, self._number(), self.blocksize, self.typesize
        )

    def decode(self, data: Buffer, size: int | None) -> bytes:
        """Return the decompressed bytes of one Blosc chunk."""
        return decompress(data, size)

    def _number(self) -> int:
        """Return the shuffle as format 2's integer; -1 derives it from the type size."""
        return -1 if "shuffle" in self.derived else SHUFFLES.index(str(self.shuffle))


@lru_cache(maxsize=128)
def _fitted(codec: BloscCodec, typesize: int, shuffle: str) -> Any:
    # Every array that is created or opened asks for one of few codecs.
    return replace(codec, typesize=typesize, shuffle=shuffle)


def native(
    cname: str, clevel: int, shuffle: int, blocksize: int, typesize: int | None
) -> tuple[str, list[int], str]:
    """Return a description for the extension, with type size and shuffle decided."""
    size = typesize if typesize is not None and typesize <= _MAX_TYPESIZE else 1
    if shuffle < 0:
        shuffle = 2 if size == 1 else 1
    return "blosc", [clevel, shuffle, size, blocksize, padded()], cname


def compress(
    data: Buffer, cname: str, clevel: int, shuffle: int, blocksize: int, typesize: int | None
) -> bytes:
    """Return bytes encoded with Blosc.

    ``shuffle`` is the integer of format 2; -1 derives it from ``typesize``. Raise CodecError if
    Blosc cannot encode the data.
    """
    blosc = _blosc()
    # Blosc treats a larger type size as 1, for which a byte shuffle has no effect.
    typesize = typesize if typesize is not None and typesize <= _MAX_TYPESIZE else 1
    if shuffle < 0:
        shuffle = 2 if typesize == 1 else 1
    try:
        return blosc.compress(  # type: ignore[no-any-return]
            as_view(data), cname.encode(), clevel, shuffle, blocksize, typesize
        )
    except (RuntimeError, ValueError) as error:
        msg = f"blosc: {as_view(data).nbytes} bytes cannot be encoded: {error}"
        raise CodecError(msg) from error


def decompress(data: Buffer, size: int | None) -> bytes:
    """Return the ``size`` decoded bytes of one Blosc chunk.

    If ``size`` is None, the header states it, up to the configured limit. Raise CodecError if the
    data is damaged or decodes to another size.
    """
    view = as_view(data)
    if view.nbytes < _HEADER.size:
        msg = f"blosc: expected a header of {_HEADER.size} bytes, found {view.nbytes}"
        raise CodecError(msg)
    version, _, flags, typesize, nbytes, blocksize, cbytes = _HEADER.unpack_from(view)
    # A frame has at least the offset of one block, or the bytes themselves if it is stored.
    least = _HEADER.size + min(nbytes, 4)
    if least <= cbytes < view.nbytes and size is not None and padded():
        view = view[:cbytes]
    if cbytes != view.nbytes:
        msg = f"blosc: the header states {cbytes} bytes of data, found {view.nbytes}"
        raise CodecError(msg)
    if nbytes != size:
        check_size("blosc", nbytes, size, "the header states", view.nbytes)
    sizes = not nbytes or (typesize and 1 <= blocksize <= nbytes)
    if version != _VERSION or flags & _RESERVED or flags & _BOTH == _BOTH or not sizes:
        msg = (
            f"blosc: the header is damaged: version {version}, flags {flags:#04x}, type size "
            f"{typesize}, block size {blocksize} for {nbytes} decoded bytes"
        )
        raise CodecError(msg)
    stored = flags & _STORED or not nbytes
    if stored and cbytes != nbytes + _HEADER.size:
        msg = f"blosc: expected {nbytes} stored bytes, found {cbytes - _HEADER.size}"
        raise CodecError(msg)
    if not nbytes:
        # c-blosc decodes no frame without bytes.
        return b""
    if flags >> 5 == _BLOSCLZ and not stored and cbytes > _RUN and b"\xff" * _RUN in bytes(view):
        msg = f"blosc: {cbytes} bytes of data hold a match longer than the {nbytes} decoded bytes"
        raise CodecError(msg)
    try:
        return _blosc().decompress(view)  # type: ignore[no-any-return]
    except (RuntimeError, ValueError) as error:
        msg = (
            f"blosc: {cbytes} bytes of data cannot be decoded; expected {nbytes} decoded bytes: "
            f"{error}"
        )
        raise CodecError(msg) from error


@cache
def _blosc() -> Any:
    from numcodecs import blosc

    # Blosc's thread pool serves one call at a time and does not survive a fork.
    blosc.use_threads = False
    return blosc
