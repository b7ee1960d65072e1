"""The words that codec configurations know, as enumerations.

Rules of this file:

* A member equals its word, so that either can be given and compared.
"""

from __future__ import annotations

from enum import StrEnum


class Endian(StrEnum):
    """Name a byte order.

    >>> Endian.little == "little"
    True
    """

    little = "little"
    big = "big"


class BloscCname(StrEnum):
    """Name a compressor within Blosc."""

    lz4 = "lz4"
    lz4hc = "lz4hc"
    blosclz = "blosclz"
    zstd = "zstd"
    snappy = "snappy"
    zlib = "zlib"


class BloscShuffle(StrEnum):
    """Name a way in which Blosc sorts bytes or bits before compression."""

    noshuffle = "noshuffle"
    shuffle = "shuffle"
    bitshuffle = "bitshuffle"

    @classmethod
    def from_int(cls, number: int) -> BloscShuffle:
        """Give the member of a number of format 2; ``ValueError`` for any but 0, 1 and 2.

        >>> BloscShuffle.from_int(1).value
        'shuffle'
        """
        members = list(cls)
        if number not in range(len(members)):
            msg = f"must be 0, 1 or 2, not {number!r}"
            raise ValueError(msg)
        return members[number]


class ShardingCodecIndexLocation(StrEnum):
    """Name the end of a shard at which its index stands."""

    start = "start"
    end = "end"
