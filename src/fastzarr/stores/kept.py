"""The values that a cache keeps in memory, and the order of reads and writes.

Rules of this file:

* A value is kept only if no write to its key was under way, or ended, since the value was
  requested. It is kept, and dropped after a write, under one lock, so that whoever reads after a
  write has ended never gets the value from before it.
* No lock is held in a forked child.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fastzarr.stores.place import own

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from fastzarr.stores.capabilities import Request

# Reads and writes are ordered for each of these groups of keys.
_GROUPS = 64


class Kept(NamedTuple):
    """A cached value, or a part of one.

    ``token`` is that of the whole value, or None if unknown. ``asked`` is the time at which the
    value was requested from the store, or found current, in nanoseconds. ``mine`` is False if
    another process has put the value into the cache. ``size`` is that of the whole value.
    """

    data: bytes
    token: Hashable | None
    asked: int
    mine: bool = True
    size: int | None = None


class Cache(Protocol):
    """Values by their keys; an implementation may drop any value at any time."""

    def get(self, wanted: Request) -> Kept | None:
        """Return a cached value, or part of a value, or None."""

    def put(self, wanted: Request, value: Kept) -> None:
        """Keep a value, or a part of one, if there is room for it."""

    def drop(self, key: str) -> None:
        """Drop a value and its parts."""

    def drop_below(self, prefix: str) -> None:
        """Drop the values below a prefix, or all for an empty one."""


class Memory:
    """A cache in memory. When it is full, the values that were used longest ago are dropped."""

    def __init__(self, max_size: int | None) -> None:
        """Initialise with the most bytes of all values, or None for no bound."""
        self.max_size = max_size
        self.size = self.evictions = 0
        self._values: OrderedDict[Request, Kept] = OrderedDict()
        self._by_key: dict[str, set[Request]] = {}
        self._place = own()

    def __len__(self) -> int:
        """Return the number of values and parts."""
        return len(self._values)

    def get(self, wanted: Request) -> Kept | None:
        """Return a cached value, or part of a value, or None."""
        with self._place.guard:
            found = self._values.get(wanted)
            if found is not None:
                self._values.move_to_end(wanted)
            return found

    def put(self, wanted: Request, value: Kept) -> None:
        """Keep a value or a part of one, unless it has more bytes than all may have."""
        size, most = len(value.data), self.max_size
        with self._place.guard:
            self._remove(wanted)
            if most is not None and size > most:
                return
            while most is not None and self._values and self.size + size > most:
                self._remove(next(iter(self._values)))
                self.evictions += 1
            # An interrupt may come in between; a value that is not found by its key would stay.
            self._by_key.setdefault(wanted.key, set()).add(wanted)
            self._values[wanted] = value
            self.size += size

    def token_of_parts(self, key: str) -> Hashable | None:
        """Return the token of the value of which parts are kept, or None if there are none."""
        with self._place.guard:
            for one in self._by_key.get(key, ()):
                found = self._values.get(one)
                if found is not None and (one.start or one.length is not None):
                    return found.token
        return None

    def drop(self, key: str) -> None:
        """Drop a value and its parts."""
        with self._place.guard:
            for one in tuple(self._by_key.get(key, ())):
                self._remove(one)

    def drop_below(self, prefix: str) -> None:
        """Drop the values below a prefix, or all for an empty one."""
        start = f"{prefix}/" if prefix else ""
        with self._place.guard:
            for key in [key for key in self._by_key if key.startswith(start)]:
                self.drop(key)

    def _remove(self, wanted: Request) -> None:
        found = self._values.pop(wanted, None)
        if found is not None:
            self.size -= len(found.data)
        same = self._by_key.get(wanted.key)
        if same is not None:
            same.discard(wanted)
            if not same:
                del self._by_key[wanted.key]


class Write(NamedTuple):
    """A write under way.

    ``before`` are the writes that had ended in each of its groups of keys, or None if another one
    was under way.
    """

    groups: list[int]
    before: list[int] | None


class Order:
    """The order of the reads and writes of this process."""

    def __init__(self) -> None:
        """Initialise without writes."""
        self._place = own()
        self._ended = [0] * _GROUPS
        self._reset()

    def _reset(self) -> None:
        # The writes of other threads do not go on in a forked child.
        self._process = os.getpid()
        self._under_way = [0] * _GROUPS

    def now(self, key: str) -> int:
        """Return the number of writes that have ended, or -1 if one is under way."""
        group = hash(key) % _GROUPS
        with self._place.guard:
            if self._process != os.getpid():
                self._reset()
            return -1 if self._under_way[group] else self._ended[group]

    @contextmanager
    def unchanged(self, key: str, before: int) -> Iterator[bool]:
        """Return whether no write was under way since ``now``; none ends in the ``with`` block."""
        with self._place.locks.held(hash(key) % _GROUPS):
            yield before >= 0 and self.now(key) == before

    @contextmanager
    def settled(self, key: str) -> Iterator[None]:
        """Wait until what was read before is cached; nothing is cached in the ``with`` block."""
        with self._place.locks.held(hash(key) % _GROUPS):
            yield

    @contextmanager
    def begun(self, write: Write) -> Iterator[None]:
        """Do as ``settled`` does for the keys of a write; nothing is cached until it has ended."""
        with self._held(write.groups):
            yield

    @contextmanager
    def _held(self, groups: Iterable[int]) -> Iterator[None]:
        with ExitStack() as locks:
            for group in groups:
                locks.enter_context(self._place.locks.held(group))
            yield

    def begin(self, keys: Iterable[str] | None) -> Write:
        """Begin a write of these keys, or of all for None; ``end`` must be called."""
        found = range(_GROUPS) if keys is None else {hash(key) % _GROUPS for key in keys}
        groups = sorted(found)
        with self._place.guard:
            if self._process != os.getpid():
                self._reset()
            alone = not any(self._under_way[group] for group in groups)
            for group in groups:
                self._under_way[group] += 1
            return Write(groups, [self._ended[group] for group in groups] if alone else None)

    @contextmanager
    def end(self, write: Write) -> Iterator[bool]:
        """End a write; what it has made invalid is dropped in the ``with`` block.

        Return whether no other write was under way, so that the values are those of this one.
        """
        with self._held(write.groups):
            with self._place.guard:
                alone = write.before == [self._ended[group] for group in write.groups] and all(
                    self._under_way[group] == 1 for group in write.groups
                )
            try:
                yield alone
            finally:
                with self._place.guard:
                    for group in write.groups:
                        self._ended[group] += 1
                        self._under_way[group] = max(self._under_way[group] - 1, 0)
