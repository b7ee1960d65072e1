"""Values of a store kept in another store: zarr-python 3's ``CacheStore``.

Rules of this file:

* An entry has the key, the token, the time of its request and a checksum. One that is damaged, or
  is of another key, is as if it were missing.
* Entries are below a folder that the identity of the store determines, so that several stores may
  share a cache. Only entries are ever deleted.
* A failure of the cache is a warning, and the store is used without it. An entry that could not be
  deleted is not read again. A failure of the store is its error.
"""

from __future__ import annotations

import json
import struct
import time
import warnings
import zlib
from collections import OrderedDict
from hashlib import blake2b
from os import getpid
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from fastzarr.errors import BaseZarrError, ZarrRuntimeWarning
from fastzarr.stores.caching import CachingStore
from fastzarr.stores.capabilities import Request
from fastzarr.stores.kept import Kept, Memory
from fastzarr.stores.mapping import process
from fastzarr.stores.place import own
from fastzarr.stores.resolve import as_store
from fastzarr.stores.seen import Seen, Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from typing_extensions import Buffer

    from fastzarr.stores.base import Store

T = TypeVar("T")

_ROOT = "fastzarr-cache"
_MAGIC = b"fzc1"
# The magic, the checksum of all that follows, and the length of the header.
_START = struct.Struct("<4sII")
# The most bytes of parts of values, which are kept in memory.
_PARTS = 64 << 20
_LONGEST = 200
_SECOND = 10**9


class Stored:
    """A cache in a store, which other processes may share."""

    def __init__(self, store: Store, name: str, max_size: int | None) -> None:
        """Initialise with the store, the name of the entries' folder, and the most bytes of all."""
        self.store, self.max_size = store, max_size
        self.root = f"{_ROOT}/{name}"
        self.size = self.evictions = 0
        # Another cache, of this process too, may not know what was written through this one.
        self._owner = token_hex(8)
        #: The sizes of the entries, of those used longest ago first; None if not listed yet.
        self._entries: OrderedDict[str, int] | None = None
        self._added = 0
        # Entries, and folders of them, that could not be deleted.
        self._left: set[str] = set()
        self._warned = False
        self._place = own()

    def get(self, wanted: Request) -> Kept | None:
        """Return a cached value, or None; only whole values are cached."""
        name = self._name(wanted.key)
        if self._left and self._is_left(name):
            return None
        raw = self._try(lambda: self.store.get(name))
        found = None if raw is None else _unpacked(raw, wanted.key, self._by())
        with self._place.guard:
            if self._entries is not None and name in self._entries:
                self._entries.move_to_end(name)
        return found

    def put(self, wanted: Request, value: Kept) -> None:
        """Keep a value, unless it has more bytes than all may have."""
        name = self._name(wanted.key)
        raw = _packed(wanted.key, value, self._by())
        if self.max_size is None:
            self._write(name, raw)
            return
        if len(raw) > self.max_size:
            self._remove(name)
            return
        with self._place.guard:
            self._make_room(name, len(raw))
            self._write(name, raw)
            # Counted even if it failed: it may be there.
            self._count(name, len(raw))

    def _write(self, name: str, raw: bytes) -> None:
        def act() -> None:
            self.store.set(name, raw)
            self._left.discard(name)

        self._try(act)

    def _is_left(self, name: str) -> bool:
        while name:
            if name in self._left:
                return True
            name = name.rpartition("/")[0]
        return False

    def _delete(self, name: str, verb: Callable[[str], object]) -> None:
        """Delete an entry, or a folder of them, which is not read any more if that fails."""
        if self._try(lambda: (verb(name),)) is None:
            self._left.add(name)
        else:
            self._left.discard(name)

    def _by(self) -> str:
        """Return the name of this cache; that of a forked child is another one."""
        return f"{process(getpid())} {self._owner}"

    def drop(self, key: str) -> None:
        """Drop a value."""
        self._remove(self._name(key))

    def drop_below(self, prefix: str) -> None:
        """Drop the values below a prefix, or all for an empty one."""
        folder = self._folder(prefix)
        self._delete(folder, self.store.delete_dir)
        with self._place.guard:
            for name in list(self._entries or ()):
                if name.startswith(f"{folder}/"):
                    self._forget(name)

    def list(self) -> OrderedDict[str, int]:
        """Return the sizes of all entries, of those used longest ago first."""
        with self._place.guard:
            most = self.max_size
            if self._entries is None or most is None or self._added * 8 > most:
                self._list()
            assert self._entries is not None  # noqa: S101  (listed now)
            return self._entries

    def _list(self) -> None:
        known = self._entries or OrderedDict[str, int]()
        found = self._try(self._scanned)
        if found is None:
            self._entries, self._added = known, 0
            return
        others = sorted(
            (name for name in found if name not in known), key=lambda one: found[one][1]
        )
        names = [*others, *(name for name in known if name in found)]
        self._entries = OrderedDict((name, found[name][0]) for name in names)
        self.size, self._added = sum(self._entries.values()), 0

    def _scanned(self) -> dict[str, tuple[int, int]]:
        """Return the sizes and times of all entries."""
        found: dict[str, tuple[int, int]] = {}
        modified = self.store.modified
        for name in [*self.store.list(_ROOT)]:
            try:
                size = self.store.getsize(name)
            except FileNotFoundError:
                continue
            found[name] = size, (modified(name) if modified is not None else 0) or 0
        return found

    def _make_room(self, name: str, size: int) -> None:
        entries = self.list()
        most = self.max_size or 0
        while entries and self.size - entries.get(name, 0) + size > most:
            oldest = next((each for each in entries if each != name), None)
            if oldest is None:
                return
            self._remove(oldest)
            self.evictions += 1

    def _count(self, name: str, size: int) -> None:
        entries = self.list()
        self.size += size - entries.pop(name, 0)
        self._added += size
        entries[name] = size

    def _remove(self, name: str) -> None:
        self._delete(name, self.store.delete)
        with self._place.guard:
            self._forget(name)

    def _forget(self, name: str) -> None:
        if self._entries is not None:
            self.size -= self._entries.pop(name, 0)

    def _name(self, key: str) -> str:
        path, _, name = key.rpartition("/")
        return f"{self._folder(path)}/{_segment('f', name)}"

    def _folder(self, path: str) -> str:
        parts = path.split("/") if path else ()
        return "/".join([self.root, *(_segment("d", part) for part in parts)])

    def _try(self, call: Callable[[], T]) -> T | None:
        """Return the result of a call of the store, or None with a warning if it fails."""
        try:
            return call()
        except (OSError, BaseZarrError) as error:
            if not self._warned:
                self._warned = True
                msg = f"the cache in {self.store} cannot be used: {error}; values are read anew"
                warnings.warn(msg, ZarrRuntimeWarning, stacklevel=2)
            return None


class Text:
    """The token of a cached value, which another process may have got from the store."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Initialise with the text of the token."""
        self._text = text

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same token."""
        if isinstance(other, Text):
            return self._text == other._text
        return _text_of(other) == self._text

    def __hash__(self) -> int:
        """Return the hash of the text."""
        return hash(self._text)


def _text_of(token: object) -> str | None:
    """Return a token as text that is equal in every process, or None if it has none."""
    try:
        return None if token is None else json.dumps(token)
    except (TypeError, ValueError):
        return None


def _segment(kind: str, name: str) -> str:
    """Return a segment of the key of an entry; ``kind`` tells folders from values."""
    if len(name.encode()) > _LONGEST:
        return f"{kind}-{blake2b(name.encode(), digest_size=24).hexdigest()}"
    return f"{kind}{name}"


def _packed(key: str, value: Kept, by: str) -> bytes:
    """Return the bytes of an entry that a cache makes."""
    header = {
        "key": key,
        "token": value.token,
        "asked": value.asked,
        "by": by,
    }
    text = json.dumps(header).encode()
    crc = zlib.crc32(value.data, zlib.crc32(text, len(text)))
    return b"".join((_START.pack(_MAGIC, crc, len(text)), text, value.data))


def _unpacked(raw: bytes, key: str, by: str) -> Kept | None:
    """Return the value of an entry, or None if it is damaged or of another key."""
    if len(raw) < _START.size:
        return None
    magic, crc, length = _START.unpack_from(raw)
    if magic != _MAGIC:
        return None
    view = memoryview(raw)[_START.size :]
    text, data = view[:length], view[length:]
    if len(text) != length or zlib.crc32(data, zlib.crc32(text, length)) != crc:
        return None
    header = json.loads(bytes(text))
    if header["key"] != key:
        return None
    mine = header["by"] == by
    return Kept(bytes(data), header["token"], header["asked"], mine)


class CacheStore(CachingStore):
    """A store whose chunks are kept in another store, such as one in a folder.

    ``cache_store`` is anything that represents a store; several processes, and the caches of
    several stores, may share it. At most ``max_size`` bytes are cached in it; None is without
    bound. What was used longest ago is dropped first; after a restart, what was cached first. A
    process notices what others have cached when it has added an eighth of ``max_size``. If
    ``cache_set_data`` is True, chunks that are written are cached, too. Parts of shards are kept in
    memory, up to 64 MiB or ``max_size``.

    A cache in a folder is used again by later processes, if the store has a URL or a folder. A
    damaged entry is read from the store again, and if the cache itself fails, there is a warning.

    What is read may be older than what is stored as follows:

    * A change through this store, or a copy of it, is always seen.
    * Metadata and listings are not cached, nor is that a chunk is missing. So a new shape, new
      attributes or a replaced array are seen when the array is opened, as without the cache.
    * If another writer has changed a chunk, the old one is read for at most ``max_age_seconds``;
      with ``"infinity"``, until ``clear_cache`` is called, or until the metadata of the array is
      found changed. Then the chunk is compared with the store by its token, in one request without
      data, or read again if the store has no tokens. With 0, each read makes this comparison.

    A write to a part of a chunk reads it from the store, so that no update is lost. A part of a
    shard is kept only if the store has tokens, as an ``ObjectStore`` has. A transaction cannot be
    begun through this store.

    >>> values = {"a/c/0": b"1"}
    >>> store = CacheStore(values, cache_store={}, max_size=2**30)
    >>> store["a/c/0"], store["a/c/0"]
    (b'1', b'1')
    >>> store.cache_stats()["hits"]
    1
    """

    _blocks = True

    def __init__(
        self,
        store: Any,
        *,
        cache_store: Any,
        max_age_seconds: float | Literal["infinity"] = "infinity",
        max_size: int | None = None,
        cache_set_data: bool = True,
    ) -> None:
        """Initialise with what is in the cache.

        Raise ValueError if ``cache_store`` is read-only or cannot delete keys, or for an invalid
        age or size.
        """
        cache = as_store(cache_store)
        if cache.read_only or not cache.supports_deletes:
            msg = f"cache_store must be a store that can be written, not {cache!r}"
            raise ValueError(msg)
        if max_age_seconds != "infinity" and not (
            isinstance(max_age_seconds, int | float) and max_age_seconds >= 0
        ):
            msg = f"max_age_seconds must be a number from 0, or 'infinity', not {max_age_seconds!r}"
            raise ValueError(msg)
        if max_size is not None and max_size < 0:
            msg = f"max_size must be at least 0, or None, not {max_size}"
            raise ValueError(msg)
        self.max_age_seconds, self.max_size = max_age_seconds, max_size
        self.cache_set_data = cache_set_data
        self._keeps_written = cache_set_data
        if max_age_seconds != "infinity":
            self._max_age = round(max_age_seconds * _SECOND)
        self._cache = cache
        self._wrap(store)

    def _share(self) -> Shared:
        name = blake2b(self.place.token.encode(), digest_size=16).hexdigest()
        parts = Memory(_PARTS if self.max_size is None else min(_PARTS, self.max_size))
        return Shared(Stored(self._cache, name, self.max_size), parts, is_common=True)

    @property
    def _stored(self) -> Stored:
        found = self._shared.cache
        assert isinstance(found, Stored)  # noqa: S101  (made by this class)
        return found

    def _plain(self, token: Hashable | None) -> Hashable | None:
        return _text_of(token)

    def _token(self, plain: Hashable | None) -> Hashable | None:
        return Text(plain) if isinstance(plain, str) else None

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current; return whether it was."""
        if isinstance(token, Text):
            current = self.validator(key)
            if token != current:
                return False
            token = current
        return super().swap(key, value, token)

    def _recall(self, key: str) -> Seen | None:
        found = self._stored.get(Request(key))
        if found is None or not isinstance(found.token, bool) or found.asked > time.time_ns():
            return None
        return Seen(found.data, found.asked, found.token)

    def _record(self, key: str, seen: Seen) -> None:
        self._stored.put(Request(key), Kept(seen.digest, seen.deep, seen.changed))

    def cache_info(self) -> dict[str, Any]:
        """Return the settings of the cache, and what it has.

        >>> CacheStore({}, cache_store={}).cache_info()["cached_keys"]
        0
        """
        sizes = self._stored.list()
        return {
            "cache_store_type": type(self._cache).__name__,
            "max_age_seconds": self.max_age_seconds,
            "max_size": self.max_size,
            "current_size": sum(sizes.values()),
            "cache_set_data": self.cache_set_data,
            "tracked_keys": len(sizes),
            "cached_keys": len(sizes),
        }

    def cache_stats(self) -> dict[str, Any]:
        """Return how many values were read from the cache, how many were not, and dropped entries.

        >>> CacheStore({}, cache_store={}).cache_stats()["total_requests"]
        0
        """
        hits, misses = self._shared.hits, self._shared.misses
        return {
            "hits": hits,
            "misses": misses,
            "evictions": self._stored.evictions,
            "total_requests": hits + misses,
            "hit_rate": hits / (hits + misses) if hits + misses else 0.0,
        }

    def clear_cache(self) -> None:
        """Drop all cached values of this store.

        >>> values = {"a/c/0": b"1"}
        >>> store = CacheStore(values, cache_store={})
        >>> store["a/c/0"]
        b'1'
        >>> values["a/c/0"] = b"2"
        >>> store.clear_cache()
        >>> store["a/c/0"]
        b'2'
        """
        order = self._shared.order
        with order.end(order.begin(None)):
            self._shared.drop_below("")

    def close(self) -> None:
        """Flush, and release all resources of both stores."""
        super().close()
        self._cache.close()

    def __setstate__(self, state: Any) -> None:
        """Restore the state; a cache in memory is one of its own in another process."""
        if state["_cache"].read_only:
            state = {**state, "_cache": state["_cache"].with_read_only(False)}  # noqa: FBT003
        super().__setstate__(state)
