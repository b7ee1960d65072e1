"""A bounded cache of parsed metadata.

Rules of this file:

* A cached value depends only on its key: the bytes of documents, the limits set in ``config``, and
  the generation of each registry. Entries are therefore never stale.
* Only immutable values are cached, because callers share them. Not cached are layouts with codecs
  that are not ``cacheable``, and records, whose NumPy dtype can be modified in place.
* The registry of numcodecs has no generation. A value with codecs from it is therefore cached with
  the ``version`` of each, and is used only as long as these are the same.
* The number of entries and the size of a key are bounded. A full cache is cleared.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fastzarr.codecs.parse import CODECS
from fastzarr.config import DEFAULTS, config
from fastzarr.dtypes.parse import DTYPES
from fastzarr.grids.keys import KEYS
from fastzarr.grids.parse import GRIDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastzarr.codecs.base import Codec
    from fastzarr.metadata.layout import Layout

MOST_BYTES, MOST_ENTRIES = 1 << 13, 1 << 9

_limits = itemgetter(*(name for name in DEFAULTS if name.startswith("limits.")))


_MISSING: tuple[Any, tuple[()]] = (None, ())


class Cache:
    """A bounded mapping of documents, or parts of them, to parsed values.

    >>> cache = Cache()
    >>> key, _ = cache.find(b"a document")
    >>> cache.put(key, 1)
    >>> cache.find(b"a document") == (key, 1)
    True
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        """Initialise an empty cache."""
        # Single operations on a dict are atomic, so threads can share the cache without a lock.
        self.entries: dict[tuple[Any, ...], Any] = {}

    def find(self, *parts: Any) -> tuple[tuple[Any, ...], Any]:
        """Return the key of documents, and the value cached under it, or None if there is none.

        The key contains the current limits and the generations of the registries.
        """
        generations = (CODECS.generation, DTYPES.generation, GRIDS.generation, KEYS.generation)
        key = (*parts, _limits(config.flat), generations)
        try:
            value, versions = self.entries.get(key, _MISSING)
        except TypeError:  # a buffer other than bytes, or a limit that is not a number
            return key, None
        for codec, version in versions:
            if codec.version is not version:
                return key, None
        return key, value

    def put(self, key: tuple[Any, ...], value: Any, codecs: Iterable[Codec] = ()) -> None:
        """Cache a value with these codecs, unless the key is too long or not hashable."""
        if sum(len(part) for part in key if type(part) is bytes) > MOST_BYTES:
            return
        if len(self.entries) >= MOST_ENTRIES:
            self.entries.clear()
        try:
            self.entries[key] = value, tuple(_versions(codecs))
        except TypeError:
            return


def is_immutable(layout: Layout) -> bool:
    """Whether a layout is immutable apart from its attributes and extra members."""
    return layout.dtype.numpy.kind != "V" and all(map(_is_cacheable, layout.codecs))


def _is_cacheable(codec: Codec) -> bool:
    return codec.cacheable and all(map(_is_cacheable, codec.nested()))


def _versions(codecs: Iterable[Codec]) -> Iterator[tuple[Codec, object]]:
    for codec in codecs:
        if codec.version is not None:
            yield codec, codec.version
        yield from _versions(codec.nested())
