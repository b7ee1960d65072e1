"""What may be remembered of documents, for how long, and how much of it.

Rules of this file:

* Remembered is what follows from bytes and settings alone, so it is never wrong, only forgotten.
  What a document may ask for is a setting, and stands in every key.
* Only what never changes is kept, since many share it. Chains of codecs that others registered, or
  that numcodecs makes, may mean something else the next time; a record's NumPy dtype can be changed
  in place. Registering a codec forgets everything.
* What it takes is bounded: so many entries, each of so many bytes. Once full, it starts anew.
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
    """Map what was said to what it means.

    >>> memory = Memory()
    >>> memory.put(key := memory.key(b"a document"), 1)
    >>> memory.get(key)
    1
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        """Begin with nothing."""
        # A plain dict is read and written in one step, which matters where threads open nodes.
        self.entries: dict[tuple[Any, ...], Any] = {}
        _memories.append(self)

    def key(self, *said: Any) -> tuple[Any, ...]:
        """Give the key of what was said, under the settings of now."""
        return (*said, _limits(config.flat))

    def get(self, key: tuple[Any, ...]) -> Any:
        """Give what it means; None where that is not known, or where the key cannot be one."""
        try:
            return self.entries.get(key)
        except TypeError:  # buffers other than bytes, a limit that is no number
            return None

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        """Remember what it means, unless the key is too long."""
        if sum(len(part) for part in key if type(part) is bytes) > MOST_BYTES:
            return
        if len(self.entries) >= MOST_ENTRIES:
            self.entries.clear()
        try:
            self.entries[key] = value
        except TypeError:
            return


def forget() -> None:
    """Forget all, since the same bytes may mean something else from now on."""
    for memory in _memories:
        memory.entries.clear()


def lasts(layout: Layout) -> bool:
    """Tell whether nothing in a layout, attributes and extra members left out, can ever change."""
    return layout.dtype.numpy.kind != "V" and all(map(_is_own, layout.codecs))


def _is_own(codec: Any) -> bool:
    inner = getattr(codec, "codecs", ()) + getattr(codec, "index_codecs", ())
    return type(codec).__module__ in _OWN and all(map(_is_own, inner))
