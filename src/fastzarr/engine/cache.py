"""Parts of stored values that are kept between calls, with the token of the value.

Rules of this file:

* A kept part is used only if the token of the value has been seen again. Without tokens nothing is
  kept.
* The bytes of all parts have a bound for the process; those that were used longest ago are dropped.
* A forked child starts without them.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

_BYTES = 32 << 20


class Cache:
    """A bounded mapping of keys to tokens and parts of values.

    >>> cache = Cache(10)
    >>> cache.put("a", "token", b"123456", 6)
    >>> cache.get("a")
    ('token', b'123456')
    >>> cache.put("b", "token", b"12345", 5)
    >>> cache.get("a") is None
    True
    """

    def __init__(self, most: int) -> None:
        """Initialise; ``most`` is the number of bytes that may be kept."""
        self._most = most
        self.clear()

    def clear(self) -> None:
        """Drop everything; also called in a forked child."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Hashable, Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> tuple[Hashable, Any] | None:
        """Return the token and the part kept under a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[:2]

    def put(self, key: Hashable, token: Hashable, part: Any, nbytes: int) -> None:
        """Keep a part of the value that has a token, unless it is too large."""
        with self._lock:
            self._drop(key)
            if nbytes > self._most:
                return
            self._kept[key] = token, part, nbytes
            self._bytes += nbytes
            while self._bytes > self._most:
                self._drop(next(iter(self._kept)))

    def drop(self, key: Hashable) -> None:
        """Drop what is kept under a key, if anything."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= found[2]


indexes = Cache(_BYTES)
"""The indexes of shards."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=indexes.clear)
