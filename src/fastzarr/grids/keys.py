"""The keys of chunks.

Rules of this file:

* A key encoding converts between the coordinates of a chunk and its key, relative to the array's
  path. Those of this package are ``default`` and ``v2`` of the core specification, version 3,
  "Chunk key encoding", ``fanout``, ``prefix`` and ``suffix`` of zarr-extensions, that of N5, which
  has no name there, and that of zarrs; others are registered in ``KEYS``.
* Different chunks have different keys, and no key of a chunk is that of a metadata document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from fastzarr.checked import (
    DOCUMENTS,
    MAX_SIZE,
    as_int,
    check_members,
    extension,
    fail,
    guard,
    member,
    show,
)
from fastzarr.errors import KeyValidationError
from fastzarr.registry import Registry
from fastzarr.stores.keys import validate_key

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    def encode_many(self, prefix: str, chunks: Iterable[tuple[int, ...]]) -> list[str]:
        """Return what ``encode`` returns for each of several chunks, after a prefix."""
        encode = self.encode
        return [prefix + encode(chunk) for chunk in chunks]

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

    def encode_many(self, prefix: str, chunks: Iterable[tuple[int, ...]]) -> list[str]:
        """Return what ``encode`` returns for each of several chunks, after a prefix."""
        some = list(chunks)
        ndim = len(some[0]) if some else 0
        if ndim == 0 or type(self) is not ChunkKeys:
            return super().encode_many(prefix, some)
        first = f"c{self.separator}" if self.name == "default" else ""
        form = prefix.replace("%", "%%") + first + self.separator.join(["%d"] * ndim)
        return [form % chunk for chunk in some]

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


@dataclass(frozen=True)
class FanoutKeys(KeyEncoding):
    """The key encoding ``fanout``: no folder has more than ``max_children`` names.

    A coordinate is written in the base ``max_children - 1``, with a folder for each digit.

    >>> FanoutKeys(101).encode((1234, 5)), FanoutKeys(101).encode(())
    ('d0/12/34/d1/5/c', 'c')
    """

    max_children: int = 1001

    name = "fanout"

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:  # noqa: ARG003  (one name)
        """Return the encoding of a configuration with an optional ``max_children``."""
        check_members(config, {"max_children": False}, where)
        found = config.get("max_children", cls.max_children)
        return cls(as_int(found, member(where, "max_children"), 3))

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"max_children": self.max_children}

    def encode(self, coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        base = self.max_children - 1
        parts: list[str] = []
        for axis, coordinate in enumerate(coords):
            left = int(coordinate)
            digits: list[str] = []
            while left or not digits:
                left, digit = divmod(left, base)
                digits.append(str(digit))
            parts += [f"d{axis}", *reversed(digits)]
        return "/".join([*parts, "c"])

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        coords: list[int] = []
        for part in key.split("/")[:-1]:
            if part == f"d{len(coords)}":
                coords.append(0)
            elif coords and _NUMBER.match(part):
                coords[-1] = coords[-1] * (self.max_children - 1) + int(part)
            else:
                return None
        found = tuple(coords)
        # Only one spelling of a number is that of a chunk.
        same = len(found) == ndim and all(k <= MAX_SIZE for k in found)
        return found if same and self.encode(found) == key else None


@dataclass(frozen=True)
class AffixKeys(KeyEncoding):
    """Another key encoding, with a text before or behind its keys: ``prefix`` and ``suffix``.

    >>> AffixKeys("suffix", ".tiff").encode((0, 12))
    'c/0/12.tiff'
    >>> AffixKeys("prefix", "x/", ChunkKeys("v2", ".")).encode((0, 12))
    'x/0.12'
    """

    name: Literal["prefix", "suffix", "zarrs.default_suffix"]
    text: str
    base: KeyEncoding = ChunkKeys()

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Self:
        """Return the encoding of a configuration, which has the other encoding in it.

        Raise ``MetadataError`` for a text with which a key would be invalid, or would be that of
        a metadata document.
        """
        kind = "prefix" if name == "prefix" else "suffix"
        base: KeyEncoding
        if name == "zarrs.default_suffix":
            check_members(config, {kind: True, "separator": False}, where)
            rest = {key: value for key, value in config.items() if key != kind}
            base = ChunkKeys.from_config("default", rest, where)
        else:
            # The specification of `suffix` spells the member in both ways.
            spellings = ("base_encoding", "base-encoding")
            check_members(config, {kind: True, **dict.fromkeys(spellings, False)}, where)
            given = [key for key in spellings if key in config]
            if not given and kind == "prefix":
                fail("the member 'base_encoding' is missing", where)
            base = parse_keys(config[given[0]], member(where, given[0])) if given else ChunkKeys()
        text = config[kind]
        made = cls(name, text, base)  # type: ignore[arg-type]  # one of the names
        if not isinstance(text, str) or not text or not made._is_valid():
            fail(f"must be a text that makes valid keys, got {show(text)}", member(where, kind))
        return made

    def _is_valid(self) -> bool:
        """Whether no key can leave the array, or be that of a metadata document."""
        for coords in ((), (0,), (0, 0)):
            try:
                key = self.encode(coords)
                validate_key(key)
            except KeyValidationError:
                return False
            if not DOCUMENTS.keys().isdisjoint(key.split("/")):
                return False
        return True

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        if self.name == "zarrs.default_suffix":
            return {"separator": self.base.separator, "suffix": self.text}
        return {
            self.name: self.text,
            "base_encoding": {"name": self.base.name, "configuration": self.base.config()},
        }

    def encode(self, coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        key = self.base.encode(coords)
        return self.text + key if self.name == "prefix" else key + self.text

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        if self.name == "prefix":
            fits, rest = key.startswith(self.text), key.removeprefix(self.text)
        else:
            fits, rest = key.endswith(self.text), key.removesuffix(self.text)
        return self.base.decode(rest, ndim) if fits else None


_AFFIXES = dict.fromkeys(("prefix", "suffix", "zarrs.default_suffix"), AffixKeys)

KEYS: Registry[type[KeyEncoding]] = Registry(
    "keys", {"default": ChunkKeys, "v2": ChunkKeys, "fanout": FanoutKeys, **_AFFIXES}
)
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
        fail(f"unknown {_WHAT} {show(name)}; known are {', '.join(KEYS.names())}", where)
    at = member(where, "configuration")
    return guard(partial(found.from_config, name, config, at), where, _WHAT)
