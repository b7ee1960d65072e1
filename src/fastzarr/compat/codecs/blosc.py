"""``blosc`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from fastzarr.codecs.blosc import BloscCodec as _Blosc
from fastzarr.compat.codecs._deprecated_enum import _coerce_enum_input, _DeprecatedStrEnumMeta
from fastzarr.compat.codecs._dress import BytesBytesDress, dress, exact, one_of

if TYPE_CHECKING:
    from fastzarr.codecs.base import ChunkSpec

BloscShuffleLiteral = Literal["noshuffle", "shuffle", "bitshuffle"]
BLOSC_SHUFFLE: Final = ("noshuffle", "shuffle", "bitshuffle")
BloscCnameLiteral = Literal["lz4", "lz4hc", "blosclz", "snappy", "zlib", "zstd"]
BLOSC_CNAME: Final = ("lz4", "lz4hc", "blosclz", "snappy", "zlib", "zstd")


class BloscShuffle(metaclass=_DeprecatedStrEnumMeta):
    """Shuffles of Blosc; deprecated, pass the string."""

    _members: ClassVar[dict[str, str]] = {name: name for name in BLOSC_SHUFFLE}

    @staticmethod
    def from_int(num: int) -> Any:
        """Return the string for the integer of format 2.

        >>> BloscShuffle.from_int(1)
        'shuffle'
        """
        if num not in range(len(BLOSC_SHUFFLE)):
            msg = f"Value must be between 0 and 2. Got {num}."
            raise ValueError(msg)
        return BLOSC_SHUFFLE[num]


class BloscCname(metaclass=_DeprecatedStrEnumMeta):
    """Compressors of Blosc; deprecated, pass the string."""

    _members: ClassVar[dict[str, str]] = {name: name for name in BLOSC_CNAME}


def parse_typesize(data: Any) -> int:
    """Return the size; raise TypeError unless it is an integer, ValueError unless above 0.

    >>> parse_typesize(4)
    4
    """
    size = exact(data, int, "typesize")
    if size <= 0:
        msg = f"Value must be greater than 0. Got {size}, which is less or equal to 0."
        raise ValueError(msg)
    return size


def parse_clevel(data: Any) -> int:
    """Return the level; raise TypeError unless it is an integer.

    >>> parse_clevel(5)
    5
    """
    return exact(data, int, "clevel")


def parse_blocksize(data: Any) -> int:
    """Return the size; raise TypeError unless it is an integer.

    >>> parse_blocksize(0)
    0
    """
    return exact(data, int, "blocksize")


@dataclass(frozen=True, kw_only=True)
class _Derived(_Blosc):
    """Blosc whose shuffle is derived as in zarr-python, from the elements alone.

    Text of variable length counts as elements of one byte, and ``typesize`` does not matter.
    """

    def resolve(self, spec: ChunkSpec) -> Any:
        """Return the codec with nothing left to derive, equal to that of the document."""
        shuffle = "bitshuffle" if (spec.dtype.itemsize or 1) == 1 else "shuffle"
        return _Blosc(**super().resolve(spec).config() | {"shuffle": shuffle})


@dress
@dataclass(frozen=True, kw_only=True)
class BloscCodec(BytesBytesDress):
    """Blosc; ``typesize`` and ``shuffle`` are derived from the data type if they are None.

    >>> BloscCodec().shuffle, BloscCodec(typesize=4, shuffle="shuffle").typesize
    ('bitshuffle', 4)
    """

    name: ClassVar[str] = "blosc"
    kind: ClassVar[Any] = _Blosc

    _tunable_attrs: set[str] = field(init=False, default_factory=set)
    typesize: int | None = None
    cname: BloscCnameLiteral = "zstd"
    clevel: int = 5
    shuffle: BloscShuffleLiteral | None = None
    blocksize: int = 0

    def __post_init__(self) -> None:
        """Validate the members."""
        given = {"typesize": self.typesize, "shuffle": self.shuffle}
        derived = {name for name, value in given.items() if value is None}
        cname = _coerce_enum_input(self.cname, "cname", "BloscCodec")
        shuffle = "bitshuffle" if self.shuffle is None else self.shuffle
        shuffle = _coerce_enum_input(shuffle, "shuffle", "BloscCodec")
        found = {
            "_tunable_attrs": derived,
            "typesize": parse_typesize(1 if self.typesize is None else self.typesize),
            "cname": one_of(cname, BLOSC_CNAME, "cname"),
            "clevel": parse_clevel(self.clevel),
            "shuffle": one_of(shuffle, BLOSC_SHUFFLE, "shuffle"),
            "blocksize": parse_blocksize(self.blocksize),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        known = {name: v for name, v in self.settings().items() if name not in derived}
        kind = _Derived if "shuffle" in derived else _Blosc
        self.holding(kind.from_config(known, ""))
