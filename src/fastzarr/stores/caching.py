"""A store around another, whose values are cached: what all such stores share.

Rules of this file:

* Documents of metadata are always read from the store. If one has changed, the cached values below
  its node are not used before they have been compared with the store.
* A change through this store begins and ends with dropping the values that it makes invalid: at the
  beginning, so that no old value stays if the end is interrupted, and at the end, because another
  process may have cached one meanwhile.
* Turns and compare-and-swap are those of the store, which read no cached value. Asking for the
  token of a value drops a cached value of another token, so that a value that is read after its
  token is never older.
* Missing keys and listings are not cached.
* Parts of a value are cached only with its token, and never mixed with those of another value.
* While a thread has begun a transaction in the store, nothing is cached.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from fastzarr.buffers import flat_bytes
from fastzarr.errors import BaseZarrError
from fastzarr.stores.around import Around
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.kept import Kept
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.resolve import as_store
from fastzarr.stores.seen import Seen, is_deep, is_document

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.base import Range
    from fastzarr.stores.seen import Shared
    from fastzarr.stores.turns import Turn


class CachingStore(Around):
    """The base of stores that cache the values of another one."""

    supports_partial_reads = True
    #: The time in nanoseconds for which a value is used without asking the store; None for ever.
    _max_age: int | None = None
    #: Whether values that are written are cached.
    _keeps_written = True
    #: Whether the cache may block, so that it must not be asked on the event loop.
    _blocks = False

    _shared: Shared

    def _wrap(self, store: object) -> None:
        """Initialise with a store, or anything that represents one."""
        found = as_store(store)
        super().__init__(read_only=found.read_only)
        self._around(found)
        self._shared = self._share()

    def _share(self) -> Shared:
        """Return new state for this store and its copies."""
        raise NotImplementedError

    # Values

    def _get(self, key: str) -> bytes | None:
        found = self._value(Request(key))
        if found is None:
            return None
        return found.data if type(found.data) is bytes else bytes(found.data)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        if not ranges:
            return [] if self._store.exists(key) else None
        parts: list[bytes] = [b""] * len(ranges)
        wanted = [Request(key, *part) for part in ranges]
        for index, found in self._fetch(wanted, blind=True):
            if found is None:
                return None
            parts[index] = bytes(found.data)
        return parts

    def _value(self, wanted: Request) -> Value | None:
        ((_, value),) = self.fetch((wanted,))
        return value

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value, cached ones first."""
        return self._fetch(wanted)

    def _fetch(
        self, wanted: Sequence[Request], *, blind: bool = False
    ) -> Iterator[tuple[int, Value | None]]:
        """Fetch; the caller is ``blind`` if it does not compare the tokens of parts."""
        for one in wanted:
            validate_key(one.key)
        if self._store.suspension.on:
            yield from self._store.fetch(wanted)
            return
        missing: list[int] = []
        for index, one in enumerate(wanted):
            found = self._cached(one)
            if found is None:
                missing.append(index)
            else:
                yield index, found
        if missing:
            left = [wanted[index] for index in missing]
            asked, before = time.time_ns(), [self._shared.order.now(one.key) for one in left]
            for at, value in self._store.fetch(left):
                yield missing[at], self._came(left[at], value, asked, before[at], blind=blind)

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request; None if the key is missing."""
        import asyncio

        fetch = self._store.fetch_async
        assert fetch is not None  # noqa: S101  (this method is None otherwise)
        validate_key(wanted.key)
        if self._store.suspension.on:
            return await fetch(wanted)
        blocks = self._blocks or self._store.validator is not None
        cached = asyncio.to_thread(self._cached, wanted) if blocks else None
        found = self._cached(wanted) if cached is None else await cached
        if found is not None:
            return found
        asked, before = time.time_ns(), self._shared.order.now(wanted.key)
        value = await fetch(wanted)
        if blocks:
            return await asyncio.to_thread(self._came, wanted, value, asked, before)
        return self._came(wanted, value, asked, before)

    def _cached(self, wanted: Request) -> Value | None:
        """Return a value or a part of one from the cache, or None if the store must be asked."""
        key, start, length = wanted
        if is_document(key):
            return None
        shared = self._shared
        before = shared.order.now(key)
        found = shared.cache.get(Request(key))
        partial = start != 0 or length is not None
        if found is not None and (partial and found.token is None):
            # Parts that are requested later could not be compared with this one.
            found = None
        elif found is not None and not self._is_current(key, found, before):
            shared.drop(key)
            found = None
        if found is not None:
            shared.count(hit=True)
            data: Any = found.data
            if start or length is not None:
                first, last = clip_range(start, length, len(data))
                data = memoryview(data)[first:last]
            return Value(data, self._token(found.token), len(found.data))
        part = shared.parts.get(wanted) if partial else None
        if part is None:
            return None
        if not self._is_fresh(key, part):
            # All parts are of one value.
            shared.parts.drop(key)
            return None
        shared.count(hit=True)
        return Value(part.data, part.token, part.size)

    def _is_fresh(self, key: str, found: Kept) -> bool:
        """Whether a cached value may be used without asking the store."""
        age = time.time_ns() - found.asked
        if age < 0 or (self._max_age is not None and age >= self._max_age):
            return False
        shared, path, nearest = self._shared, key, True
        if not found.mine and key in shared.written:
            return False
        while path:
            path = path.rpartition("/")[0]
            if not found.mine and path in shared.written:
                return False
            documents = shared.seen.get(path)
            if documents:
                for one in tuple(documents.values()):
                    if (nearest or one.deep) and found.asked <= one.changed:
                        return False
                nearest = False
        return True

    def _is_current(self, key: str, found: Kept, before: int) -> bool:
        """Whether a cached value may be used; the store is asked for its token if necessary."""
        if self._is_fresh(key, found):
            return True
        validator, asked = self._store.validator, time.time_ns()
        if validator is None or found.token is None:
            return False
        if self._plain(validator(key)) != found.token:
            return False
        with self._shared.order.unchanged(key, before) as unchanged:
            if unchanged:
                self._shared.cache.put(Request(key), found._replace(asked=asked))
        return unchanged

    def _came(
        self,
        wanted: Request,
        value: Value | None,
        asked: int,
        before: int,
        *,
        blind: bool = False,
    ) -> Value | None:
        """Cache a value that has come from the store, and return it."""
        key, start, length = wanted
        shared = self._shared
        partial = start != 0 or length is not None
        if is_document(key):
            if not partial:
                self._look(key, None if value is None else value.data)
            return value
        if value is None:
            with shared.order.unchanged(key, before) as unchanged:
                if unchanged:
                    shared.drop(key)
            return None
        shared.count(hit=False)
        data = value.data if type(value.data) is bytes else bytes(value.data)
        with shared.order.unchanged(key, before) as unchanged:
            if partial:
                kept = Kept(data, value.token, asked, size=value.size)
                self._keep_part(wanted, kept, unchanged=unchanged, blind=blind)
            elif unchanged:
                shared.drop(key)
                shared.cache.put(wanted, Kept(data, self._plain(value.token), asked))
        return value._replace(data=data)

    def _keep_part(self, wanted: Request, part: Kept, *, unchanged: bool, blind: bool) -> None:
        """Keep a part of a value, and drop those of another value."""
        key, parts = wanted.key, self._shared.parts
        others = parts.token_of_parts(key)
        if part.token is not None and others not in (None, part.token):
            self._shared.drop(key)
            if blind:
                msg = (
                    f"{self}, key {key!r}: another writer has replaced the value since parts of it "
                    "were cached; read it again"
                )
                raise BaseZarrError(msg)
        if unchanged and part.token is not None:
            parts.put(wanted, part)

    def _plain(self, token: Hashable | None) -> Hashable | None:
        """Return a token as it is kept with a whole value."""
        return token

    def _token(self, plain: Hashable | None) -> Hashable | None:
        """Return a kept token as it is returned with a value."""
        return plain

    # Documents

    def _look(self, key: str, data: Buffer | None, *, own: bool = False) -> None:
        """Compare a document with the one before; ``own`` is True if this store has written it."""
        path, _, name = key.rpartition("/")
        shared = self._shared
        raw = b"" if data is None else bytes(data)
        digest = b"" if data is None else blake2b(raw, digest_size=16).digest()
        with shared.guard:
            before = shared.seen.get(path, {}).get(name) or self._recall(key)
            if before is None and data is None:
                return
            if before is not None and before.digest == digest:
                shared.seen.setdefault(path, {})[name] = before
                return
            deep = is_deep(name, raw) or (before is not None and before.deep)
            # Chunks are written before the document of a new array.
            seen = Seen(digest, 0 if own and before is None else time.time_ns(), deep)
            shared.seen.setdefault(path, {})[name] = seen
        self._record(key, seen)

    def _replaced(self, key: str, data: Buffer) -> None:
        """Remember a document that this store has put in the place of the one it had read."""
        path, _, name = key.rpartition("/")
        shared = self._shared
        raw = bytes(flat_bytes(data, key))
        digest, deep = blake2b(raw, digest_size=16).digest(), is_deep(name, raw)
        with shared.guard:
            before = shared.seen.get(path, {}).get(name) or Seen(b"", 0, deep)
            seen = Seen(digest, before.changed, deep or before.deep)
            shared.seen.setdefault(path, {})[name] = seen
        self._record(key, seen)

    def _recall(self, key: str) -> Seen | None:
        """Return a document as other processes have remembered it, or None."""
        del key
        return None

    def _record(self, key: str, seen: Seen) -> None:
        """Remember a document for other processes."""

    # Changes

    @contextmanager
    def _writing(self, keys: Sequence[str]) -> Iterator[Callable[[str, Buffer | None], None]]:
        """Change keys in a ``with`` block, which calls what is returned with the new values."""
        shared = self._shared
        write = shared.order.begin(keys)
        values: dict[str, Buffer | None] = {}
        try:
            with shared.order.begun(write):
                self._drop(keys)
            asked = time.time_ns()
            yield values.__setitem__
        finally:
            with shared.order.end(write) as alone:
                self._drop(keys)
                if alone and self._keeps_written and not self._store.suspension.on:
                    for key, value in values.items():
                        if value is not None and not is_document(key):
                            kept = Kept(bytes(flat_bytes(value, key)), None, asked)
                            shared.cache.put(Request(key), kept)

    @contextmanager
    def _writing_trees(self, *paths: str) -> Iterator[None]:
        """Change everything at and below paths in a ``with`` block."""
        shared = self._shared
        write = shared.order.begin(None)
        try:
            with shared.order.begun(write):
                self._drop_trees(paths)
            yield
        finally:
            with shared.order.end(write):
                self._drop_trees(paths)

    def _drop(self, keys: Iterable[str]) -> None:
        self._shared.remember(keys)
        for key in keys:
            if not is_document(key):
                self._shared.drop(key)

    def _drop_trees(self, paths: Iterable[str]) -> None:
        self._shared.remember(paths)
        for path in paths:
            if path:
                self._shared.drop(path)
            self._shared.drop_below(path)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        with self._writing((key,)) as stored:
            self._store.set(key, value)
            stored(key, value)
        if is_document(key):
            self._look(key, value, own=True)

    def _delete(self, key: str) -> None:
        with self._writing((key,)):
            self._store.delete(key)
        if is_document(key):
            self._look(key, None)

    def _delete_many(self, keys: Iterable[str]) -> None:
        many = list(keys)
        self._check_write(*many)
        with self._writing(many):
            self._store.delitems(many)
        for key in filter(is_document, many):
            self._look(key, None)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store each value, or delete its key if the value is None.

        >>> from fastzarr.storage import LRUStoreCache, MemoryStore
        >>> store = LRUStoreCache(MemoryStore({"a": b"1"}), max_size=None)
        >>> store.set_many([("a", None), ("b", b"2")])
        >>> dict(store)
        {'b': b'2'}
        """
        many = [(key, None if one is None else bytes(flat_bytes(one, key))) for key, one in values]
        self._check_write(*(key for key, _ in many))
        store = self._store.set_many
        assert store is not None  # noqa: S101  (this method is None otherwise)
        with self._writing([key for key, _ in many]) as stored:
            store(many)
            for key, value in many:
                stored(key, value)
        for key, value in many:
            if is_document(key):
                self._look(key, value, own=True)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current; return whether it was."""
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        swap = self._store.swap
        assert swap is not None  # noqa: S101  (this method is None otherwise)
        with self._writing((key,)) as stored:
            done = swap(key, data, token)
            if done:
                stored(key, data)
        if done and is_document(key):
            self._look(key, data, own=True)
        return done

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing."""
        validate_key(key)
        validator = self._store.validator
        assert validator is not None  # noqa: S101  (this method is None otherwise)
        token = validator(key)
        if not is_document(key):
            # A value that was read before that of the token must not be cached after this: who has
            # the token would read it.
            with self._shared.order.settled(key):
                found = self._shared.cache.get(Request(key))
                parts = self._shared.parts.token_of_parts(key)
            plain = self._plain(token)
            # A token that is not kept says nothing about the cached value.
            other = found is not None and (plain is None or found.token != plain)
            if other or parts not in (None, token):
                order = self._shared.order
                with order.end(order.begin((key,))):
                    self._shared.drop(key)
        return token

    def _turn(self, key: str) -> Turn:
        turn = self._store.turn(key)
        return _Turn(turn, key, self._writing, self._look, self._replaced)

    def _delete_dir(self, prefix: str) -> bool | None:
        with self._writing_trees(prefix):
            found = self._store.delete_dir(prefix)
        return found  # noqa: RET504  (a type checker takes the block for one that hides errors)

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        with self._writing_trees(""):
            self._store.clear()

    def move(self, source: str, target: str) -> None:
        """Move the keys at and below the path ``source`` to the path ``target``."""
        self._check_write()
        with self._writing_trees(normalise_path(source), normalise_path(target)):
            self._store.move(source, target)

    is_missing = Around.is_missing

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what belongs to this process."""
        state = super().__getstate__().items()
        kept = {name: held for name, held in state if name != "_shared"}
        # A pickled array reads no document again before it reads chunks.
        with self._shared.guard:
            seen = {path: dict(documents) for path, documents in self._shared.seen.items()}
        return {**kept, "_seen": seen}

    def __setstate__(self, state: Any) -> None:
        """Restore the state."""
        super().__setstate__({name: held for name, held in state.items() if name != "_seen"})
        self._shared = self._share()
        self._shared.seen.update(state["_seen"])


class _Turn:
    """A turn of the store, after which the cached value is the one that was put."""

    __slots__ = ("_key", "_look", "_replaced", "_turn", "_writing")

    def __init__(
        self,
        turn: Turn,
        key: str,
        writing: Callable[[Sequence[str]], AbstractContextManager[Callable[..., None]]],
        look: Callable[[str, Buffer | None], None],
        replaced: Callable[[str, Buffer], None],
    ) -> None:
        """Initialise with a turn of the store, and methods of the store around it."""
        self._turn, self._key = turn, key
        self._writing, self._look, self._replaced = writing, look, replaced

    def get(self) -> bytes | None:
        """Return the value in the store, or None if the key is missing."""
        found = self._turn.get()
        if is_document(self._key):
            self._look(self._key, found)
        return found

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if it was changed since ``get``."""
        key = self._key
        with self._writing((key,)) as stored:
            done = self._turn.put(value)
            if done:
                stored(key, value)
        if done and is_document(key):
            if value is None:
                self._look(key, None)
            else:
                self._replaced(key, value)
        return done

    def end(self) -> None:
        """Release the key."""
        self._turn.end()
