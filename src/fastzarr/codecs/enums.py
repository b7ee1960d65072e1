"""zarr-python's enumerations of the string values in codec configurations.

Rules of this file:

* A member equals its string, so that either can be passed and compared.
"""

from __future__ import annotations

from enum import StrEnum


class Endian(StrEnum):
    """Byte orders.

    >>> Endian.little == "little"
    True
    """

    little = "little"
    big = "big"


class BloscCname(StrEnum):
    """Compressors of Blosc.

    >>> BloscCname.zstd == "zstd"
    True
    """

    lz4 = "lz4"
    lz4hc = "lz4hc"
    blosclz = "blosclz"
    zstd = "zstd"
    snappy = "snappy"
    zlib = "zlib"


class BloscShuffle(StrEnum):
    """Shuffles of Blosc: how bytes or bits are rearranged before compression.

    >>> BloscShuffle.bitshuffle == "bitshuffle"
    True
    """

    noshuffle = "noshuffle"
    shuffle = "shuffle"
    bitshuffle = "bitshuffle"

    @classmethod
    def from_int(cls, number: int) -> BloscShuffle:
        """Return the member for format 2's integer; raise ``ValueError`` unless 0, 1 or 2.

        >>> BloscShuffle.from_int(1).value
        'shuffle'
        """
        members = list(cls)
        if number not in range(len(members)):
            msg = f"must be 0, 1 or 2, not {number!r}"
            raise ValueError(msg)
        return members[number]


class ShardingCodecIndexLocation(StrEnum):
    """Locations of a shard's index.

    >>> ShardingCodecIndexLocation.end == "end"
    True
    """

    start = "start"
    end = "end"
