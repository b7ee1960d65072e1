"""The ``blosc`` codec.

Rules of this file:

* The 16 bytes of header are checked against the wanted size and the length of the data before the
  decoder sees anything; what it would divide by is checked to be positive.
* ``typesize`` and ``shuffle`` may be left open; the data type then decides, as zarr-python has it,
  save that elements of varying length are not shuffled.
* Blosc's own threads stay off: chunks are what runs in parallel here.

Specification: zarr-specs, "Blosc codec", version 1.0; c-blosc, README_CHUNK_FORMAT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.codecs.base import BytesBytesCodec, as_view, check_size, choice, exact_int
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from fastzarr.codecs.base import Buffer, ChunkSpec

CNAMES = ("lz4", "lz4hc", "blosclz", "zstd", "snappy", "zlib")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")

_HEADER = struct.Struct("<BBBBIII")
_MAX_TYPESIZE = 255
_STORED = 0x02
"""The flag of data that Blosc stored as it was."""
_BLOSCLZ = 0
# The length of a match grows by 255 with each 0xFF byte in c-blosc's own decoder of blosclz, in a
# 32-bit integer that nothing guards (c-blosc issue 405). No encoder writes so long a run.
_RUN = (1 << 31) // 255 - 1


@dataclass(frozen=True, kw_only=True)
class BloscCodec(BytesBytesCodec):
    """Compress with Blosc: the bytes of elements are sorted by significance, then compressed.

    ``cname`` is the compressor, ``clevel`` its level from 0 to 9, ``shuffle`` is ``"noshuffle"``,
    ``"shuffle"`` or ``"bitshuffle"``, ``blocksize`` a size in bytes, or 0 for an automatic one.
    ``typesize`` and ``shuffle`` that are None depend on the data type.

    >>> codec = BloscCodec(cname="lz4", typesize=4, shuffle="shuffle")
    >>> bytes(codec.decode(codec.encode(b"abcd" * 4), 16))
    b'abcdabcdabcdabcd'
    """

    name: ClassVar[str] = "blosc"

    typesize: int | None = None
    cname: str = "zstd"
    clevel: int = 5
    shuffle: str | None = None
    blocksize: int = 0

    def __post_init__(self) -> None:
        """Check the members and give them their final form."""
        shuffle: Any = self.shuffle
        if type(shuffle) is int and -1 <= shuffle < len(SHUFFLES):
            # The numbers of format 2; -1 leaves it to the data type.
            shuffle = None if shuffle < 0 else SHUFFLES[shuffle]
        if shuffle is not None:
            shuffle = choice(shuffle, SHUFFLES, "shuffle")
        object.__setattr__(self, "shuffle", shuffle)
        object.__setattr__(self, "cname", choice(self.cname, CNAMES, "cname"))
        object.__setattr__(self, "clevel", exact_int(self.clevel, 0, 9, "clevel"))
        object.__setattr__(self, "blocksize", exact_int(self.blocksize, 0, 2**31 - 1, "blocksize"))
        if self.typesize is not None:
            exact_int(self.typesize, 1, 2**31 - 1, "typesize")
            object.__setattr__(self, "typesize", int(self.typesize))

    def config(self) -> dict[str, Any]:
        """Give the ``configuration`` object, without what is still open."""
        found = {name: getattr(self, name) for name in self.members()}
        return {name: value for name, value in found.items() if value is not None}

    def to_v2(self) -> dict[str, Any]:
        """Give the numcodecs configuration."""
        return {
            "id": "blosc",
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": -1 if self.shuffle is None else SHUFFLES.index(self.shuffle),
            "blocksize": self.blocksize,
        }

    def resolve(self, spec: ChunkSpec) -> Self:
        """Fill in type size and shuffle where they are open."""
        typesize = spec.dtype.itemsize or 1 if self.typesize is None else self.typesize
        shuffle = self.shuffle
        if shuffle is None:
            if spec.dtype.itemsize is None:
                shuffle = "noshuffle"
            else:
                shuffle = "bitshuffle" if typesize == 1 else "shuffle"
        if (typesize, shuffle) == (self.typesize, self.shuffle):
            return self
        return replace(self, typesize=typesize, shuffle=shuffle)

    def native(self) -> tuple[str, list[int], str]:
        """Give level, shuffle, type size and block size, and the compressor."""
        return native(self.cname, self.clevel, self.shuffle, self.blocksize, self.typesize)

    def encoded_size(self, size: int | None) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: the size depends on the values."""
        return None

    def encode(self, data: Buffer) -> bytes:
        """Compress to one Blosc chunk."""
        shuffle = -1 if self.shuffle is None else SHUFFLES.index(self.shuffle)
        return compress(data, self.cname, self.clevel, shuffle, self.blocksize, self.typesize)

    def decode(self, data: Buffer, size: int | None) -> bytes:
        """Decompress one Blosc chunk."""
        return decompress(data, size)


def native(
    cname: str, clevel: int, shuffle: int | str | None, blocksize: int, typesize: int | None
) -> tuple[str, list[int], str]:
    """Give a configuration as the native extension takes it, with all that is open decided."""
    size = typesize if typesize is not None and typesize <= _MAX_TYPESIZE else 1
    number = SHUFFLES.index(shuffle) if isinstance(shuffle, str) else shuffle
    if number is None or number < 0:
        number = 2 if size == 1 else 1
    return "blosc", [clevel, number, size, blocksize], cname


def compress(
    data: Buffer, cname: str, clevel: int, shuffle: int, blocksize: int, typesize: int | None
) -> bytes:
    """Encode with Blosc; ``shuffle`` is the number of format 2, -1 to let the type size decide."""
    blosc = _blosc()
    # Blosc takes a larger type for bytes, and would not shuffle at all.
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
    """Decode one Blosc chunk to ``size`` bytes, or within the limits where it is None."""
    view = as_view(data)
    if view.nbytes < _HEADER.size:
        msg = f"blosc: expected a header of {_HEADER.size} bytes, found {view.nbytes}"
        raise CodecError(msg)
    version, _, flags, typesize, nbytes, blocksize, cbytes = _HEADER.unpack_from(view)
    if cbytes != view.nbytes:
        msg = f"blosc: the header states {cbytes} bytes of data, found {view.nbytes}"
        raise CodecError(msg)
    if nbytes != size:
        check_size("blosc", nbytes, size, "the header states")
    if not nbytes:
        return b""
    if not 1 <= version <= 2 or not typesize or not 1 <= blocksize <= nbytes:
        msg = (
            f"blosc: the header is damaged: version {version}, type size {typesize}, block size "
            f"{blocksize} for {nbytes} decoded bytes"
        )
        raise CodecError(msg)
    stored = flags & _STORED
    if stored and cbytes != nbytes + _HEADER.size:
        msg = f"blosc: expected {nbytes} stored bytes, found {cbytes - _HEADER.size}"
        raise CodecError(msg)
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

    # Its pool of threads serves one call at a time and does not survive a fork.
    blosc.use_threads = False
    return blosc
