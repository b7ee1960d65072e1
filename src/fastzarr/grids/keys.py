"""The keys of chunks.

Rules of this file:

* A key encoding converts between the coordinates of a chunk and its key, relative to the array's
  path. Those of this package are ``default`` and ``v2`` of the core specification, version 3,
  "Chunk key encoding", and that of N5, which has no name there; others are registered in ``KEYS``.
* Different chunks have different keys, and no key of a chunk is that of a metadata document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from fastzarr.checked import check_members, extension, fail, guard, member, show
from fastzarr.registry import Registry

_WHAT = "chunk key encoding"
_SEPARATORS = {"default": "/", "v2": "."}
# Coordinates are decimal without leading zeros; any other key does not belong to a chunk.
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


class KeyEncoding:
    """Base class of key encodings, which are immutable and compared by their members.

    ``name`` is that in format 3, and ``separator`` the one between coordinates, if there is one.
    """

    name: str
    separator: str = ""

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:
        """Return the encoding of a format 3 name and its ``configuration``, located at ``where``.

        Raise ``MetadataError``, naming the member at fault, if the configuration is invalid.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        raise NotImplementedError

    def encode(self, coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        raise NotImplementedError

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        raise NotImplementedError


@dataclass(frozen=True)
class ChunkKeys(KeyEncoding):
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

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:
        """Return the encoding of a name and a configuration with an optional ``separator``."""
        check_members(config, {"separator": False}, where)
        separator = config.get("separator", _SEPARATORS[name])
        if separator not in ("/", "."):
            fail(f"must be '/' or '.', got {show(separator)}", member(where, "separator"))
        return cls(name, separator)  # type: ignore[arg-type]  # one of the two, as checked

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"separator": self.separator}

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


@dataclass(frozen=True)
class BlockKeys(KeyEncoding):
    """The key encoding of N5, which names the axes in the opposite order.

    >>> BlockKeys().encode((0, 12)), BlockKeys().encode(())
    ('12/0', '0')
    """

    name = "n5"
    separator = "/"

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object, which is empty."""
        return {}

    def encode(self, coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        return "/".join(map(str, coords[::-1])) or "0"

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        found = _PLAIN.decode(key, ndim)
        return None if found is None else found[::-1]


_PLAIN = ChunkKeys("v2", "/")

KEYS: Registry[type[KeyEncoding]] = Registry("keys", {"default": ChunkKeys, "v2": ChunkKeys})
"""The chunk key encodings of format 3 by name."""


def parse_keys(json: object, where: str) -> KeyEncoding:
    """Return the key encoding of the ``chunk_key_encoding`` member of a ``zarr.json``.

    Raise ``MetadataError``, naming the member at fault, if it is unknown or invalid.

    >>> parse_keys("v2", "chunk_key_encoding")
    ChunkKeys(name='v2', separator='.')
    """
    name, config = extension(json, where)
    found = guard(partial(KEYS.find, name), where, _WHAT)
    if found is None:
        fail(f"unknown {_WHAT} {show(name)}; known are {', '.join(_SEPARATORS)}", where)
    at = member(where, "configuration")
    return guard(partial(found.from_config, name, config, at), where, _WHAT)
