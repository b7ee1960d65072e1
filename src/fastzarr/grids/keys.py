"""The keys of chunks.

Rules of this file:

* A key encoding converts between the coordinates of a chunk and its key, relative to the array's
  path. Both encodings are those of the core specification, version 3, "Chunk key encoding".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# Coordinates are decimal without leading zeros; any other key does not belong to a chunk.
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True)
class ChunkKeys:
    """The key encoding of an array: ``default`` or ``v2``, with a separator.

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
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        text = self.separator.join(map(str, coords))
        if self.name == "default":
            return f"c{self.separator}{text}" if coords else "c"
        return text or "0"

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        if ndim == 0:
            return () if key == self.encode(()) else None
        parts = key.split(self.separator)
        if self.name == "default" and parts.pop(0) != "c":
            return None
        if len(parts) != ndim or not all(map(_NUMBER.match, parts)):
            return None
        return tuple(map(int, parts))
