"""What a caching store shares with its copies: its cache, and the documents that it has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastzarr.checked import CONSOLIDATED
from fastzarr.stores.kept import Order
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.place import own

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import RLock

    from fastzarr.stores.kept import Cache, Memory

# The most paths that are remembered as written.
_MOST_WRITTEN = 1 << 16


def is_document(key: str) -> bool:
    """Whether a key is that of a document of metadata."""
    return key.rpartition("/")[2] in METADATA_NAMES


def is_deep(name: str, data: bytes) -> bool:
    """Whether a document also describes the nodes below its own."""
    return name == CONSOLIDATED or b'"consolidated_metadata"' in data


class Seen(NamedTuple):
    """A document as it was last read or written.

    ``changed`` is the time at which a change of it was noticed, in nanoseconds. ``deep`` is True if
    it also describes the nodes below its own.
    """

    digest: bytes
    changed: int
    deep: bool


class Shared:
    """The state that a caching store shares with its copies."""

    def __init__(self, cache: Cache, parts: Memory, *, is_common: bool = False) -> None:
        """Initialise with the caches of whole values, and of parts.

        ``is_common`` is True if other processes use the cache, too.
        """
        self.cache, self.parts, self.is_common = cache, parts, is_common
        self.order = Order()
        self.hits = self.misses = 0
        #: The documents by the path of their node and their name.
        self.seen: dict[str, dict[str, Seen]] = {}
        #: Keys, and paths of trees, that this process has written, if others use the cache, too.
        self.written: set[str] = set()
        self.place = own()

    @property
    def guard(self) -> RLock:
        """A lock for brief changes."""
        return self.place.guard

    def count(self, *, hit: bool) -> None:
        """Count a value that was cached, or was not."""
        with self.guard:
            if hit:
                self.hits += 1
            else:
                self.misses += 1

    def remember(self, paths: Iterable[str]) -> None:
        """Remember keys, or paths of trees, that have been written."""
        if self.is_common:
            with self.guard:
                self.written.update(paths)
                if len(self.written) > _MOST_WRITTEN:
                    # The root: nothing that others have cached is used any more.
                    self.written = {""}

    def drop(self, key: str) -> None:
        """Drop a value and its parts."""
        self.cache.drop(key)
        self.parts.drop(key)

    def drop_below(self, prefix: str) -> None:
        """Drop the values and documents below a prefix, or all for an empty one."""
        self.cache.drop_below(prefix)
        self.parts.drop_below(prefix)
        with self.guard:
            for path in list(self.seen):
                if not prefix or path == prefix or path.startswith(f"{prefix}/"):
                    del self.seen[path]
