"""Chunk grids and the keys of chunks: integer arithmetic, nothing else.

Rules of this file:

* A grid is regular: every stored object spans ``chunks`` elements, also at the edge of the array.
* A key encoding turns a chunk's coordinates into the part of its key below the array's path, and
  back. Its two forms are those of the core specification, version 3, "Chunk key encoding".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

# Coordinates are written in decimal without leading zeros; anything else is no chunk of ours.
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


def grid_shape(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Count the chunks along each axis.

    >>> grid_shape((5, 0), (2, 3))
    (3, 0)
    """
    pairs = zip(shape, chunks, strict=True)
    return tuple(-(-size // chunk) if size else 0 for size, chunk in pairs)


def chunk_count(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    """Count the chunks of the whole array; an array without axes has one."""
    return math.prod(grid_shape(shape, chunks))


@dataclass(frozen=True)
class ChunkKeys:
    """Encode a chunk's coordinates as a key, in the ``default`` or the ``v2`` encoding.

    >>> ChunkKeys("default", "/").encode((0, 12))
    'c/0/12'
    >>> ChunkKeys("v2", ".").encode((0, 12))
    '0.12'
    >>> ChunkKeys("default", "/").encode(()), ChunkKeys("v2", ".").encode(())
    ('c', '0')
    """

    name: Literal["default", "v2"] = "default"
    separator: Literal["/", "."] = "/"

    def encode(self, coords: tuple[int, ...]) -> str:
        """Give the key of the chunk at ``coords``, relative to the array's path."""
        text = self.separator.join(map(str, coords))
        if self.name == "default":
            return f"c{self.separator}{text}" if coords else "c"
        return text or "0"

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Give the coordinates that a key stands for, or None if it is no chunk's key."""
        if ndim == 0:
            return () if key == self.encode(()) else None
        parts = key.split(self.separator)
        if self.name == "default" and parts.pop(0) != "c":
            return None
        if len(parts) != ndim or not all(map(_NUMBER.match, parts)):
            return None
        return tuple(map(int, parts))
