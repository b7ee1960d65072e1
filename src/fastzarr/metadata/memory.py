"""A bounded cache of parsed metadata.

Rules of this file:

* A cached value depends only on its key: the bytes of documents, and the limits set in ``config``.
  Entries are therefore never stale.
* Only immutable values are cached, because callers share them. Not cached are layouts with codecs
  of third parties or numcodecs, whose meaning may change, and records, whose NumPy dtype can be
  modified in place. Registering a codec clears all caches.
* The number of entries and the size of a key are bounded. A full cache is cleared.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fastzarr.config import DEFAULTS, config

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout

MOST_BYTES, MOST_ENTRIES = 1 << 13, 1 << 9

_limits = itemgetter(*(name for name in DEFAULTS if name.startswith("limits.")))
_OWN = frozenset(
    f"fastzarr.codecs.{name}"
    for name in ("blosc", "bytes", "crc32c", "gzip", "sharding", "transpose", "vlen", "zstd")
)
_memories: list[Memory] = []


class Memory:
    """A bounded mapping of documents, or parts of them, to parsed values.

    >>> memory = Memory()
    >>> memory.put(key := memory.key(b"a document"), 1)
    >>> memory.get(key)
    1
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        """Initialise an empty cache."""
        # Single operations on a dict are atomic, so threads can share the cache without a lock.
        self.entries: dict[tuple[Any, ...], Any] = {}
        _memories.append(self)

    def key(self, *said: Any) -> tuple[Any, ...]:
        """Return the key for documents under the current limits."""
        return (*said, _limits(config.flat))

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return the cached value; None if there is none, or if the key is not hashable."""
        try:
            return self.entries.get(key)
        except TypeError:  # a buffer other than bytes, or a limit that is not a number
            return None

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        """Cache a value, unless the key is too long or not hashable."""
        if sum(len(part) for part in key if type(part) is bytes) > MOST_BYTES:
            return
        if len(self.entries) >= MOST_ENTRIES:
            self.entries.clear()
        try:
            self.entries[key] = value
        except TypeError:
            return


def forget() -> None:
    """Clear all caches, because the same documents may parse differently from now on."""
    for memory in _memories:
        memory.entries.clear()


def lasts(layout: Layout) -> bool:
    """Whether a layout is immutable apart from its attributes and extra members."""
    return layout.dtype.numpy.kind != "V" and all(map(_is_own, layout.codecs))


def _is_own(codec: Any) -> bool:
    inner = getattr(codec, "codecs", ()) + getattr(codec, "index_codecs", ())
    return type(codec).__module__ in _OWN and all(map(_is_own, inner))
