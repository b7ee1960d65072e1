"""The suite that a store of zarr-python passes, and a store that is slow.

Rules of this file:

* A subclass of ``StoreTests`` says which store is tested, and reaches its values without it.
* The names of the tests and fixtures are those of zarr-python, by which subclasses replace them.
"""

from __future__ import annotations

import asyncio
import pickle
import random
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import pytest

from fastzarr.compat.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
    SupportsDeleteSync,
    SupportsGetSync,
    SupportsSetSync,
)
from fastzarr.compat.core.buffer import Buffer, default_buffer_prototype
from fastzarr.compat.core.sync import _collect_aiterator, sync
from fastzarr.compat.storage._utils import _normalize_byte_range_index
from fastzarr.compat.storage._wrapper import WrapperStore
from fastzarr.compat.testing.utils import assert_bytes_equal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from fastzarr.compat.core.buffer import BufferPrototype

__all__ = ["StoreTests"]

S = TypeVar("S", bound=Store)
B = TypeVar("B", bound=Buffer)

_READ_ONLY = "store was opened in read-only mode and does not support writing"
_DATA = b"\x01\x02\x03\x04"
_chunk_keys = pytest.mark.parametrize("key", ["c/0", "foo/c/0.0", "foo/0/0"])


class StoreTests(Generic[S, B]):
    """The tests that a store passes.

    A subclass has ``store_cls`` and ``buffer_cls``, the fixture ``store_kwargs``, and the methods
    ``get`` and ``set``, which do not use the store.
    """

    store_cls: type[S]
    buffer_cls: type[B]

    @abstractmethod
    async def set(self, store: S, key: str, value: Buffer) -> None:
        """Store a value without the verbs of the store."""

    @abstractmethod
    async def get(self, store: S, key: str) -> Buffer:
        """Return a value without the verbs of the store."""

    @abstractmethod
    @pytest.fixture
    def store_kwargs(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the arguments of the class."""

    @abstractmethod
    def test_store_repr(self, store: S) -> None:
        """Test what ``repr`` returns."""

    @abstractmethod
    def test_store_supports_writes(self, store: S) -> None:
        """Test ``supports_writes``."""

    @abstractmethod
    def test_store_supports_listing(self, store: S) -> None:
        """Test ``supports_listing``."""

    @pytest.fixture
    def open_kwargs(self, store_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``open``."""
        return store_kwargs

    @pytest.fixture
    async def store(self, open_kwargs: dict[str, Any]) -> Store:
        """Return a store that is open."""
        return await self.store_cls.open(**open_kwargs)

    @pytest.fixture
    async def store_not_open(self, store_kwargs: dict[str, Any]) -> Store:
        """Return a store that is not open yet."""
        return self.store_cls(**store_kwargs)

    def _buffer(self, data: bytes) -> B:
        return self.buffer_cls.from_bytes(data)

    def _plain(self, store: Any, *kinds: type) -> Any:
        """Return the store, or skip the test if it lacks plain calls."""
        for kind in kinds:
            if not isinstance(store, kind):
                pytest.skip(f"store does not implement {kind.__name__}")
        if SupportsDeleteSync in kinds:
            self._deletes(store)
        return store

    def _deletes(self, store: Store) -> None:
        if not store.supports_deletes:
            pytest.skip("store does not support deletes")

    async def _put(self, store: Store, *keys: str, data: bytes = b"") -> None:
        await store._set_many([(key, self._buffer(data)) for key in keys])

    # The store itself

    def test_store_supports_partial_writes(self, store: S) -> None:
        """Parts of values are not written."""
        assert not store.supports_partial_writes

    def test_store_type(self, store: S) -> None:
        """It is of its class."""
        assert isinstance(store, Store)
        assert isinstance(store, self.store_cls)

    def test_store_eq(self, store: S, store_kwargs: dict[str, Any]) -> None:
        """Stores of the same arguments are equal."""
        assert store == self.store_cls(**store_kwargs)

    async def test_serializable_store(self, store: S) -> None:
        """A pickle is a store of the same values."""
        again: S = pickle.loads(pickle.dumps(store))  # noqa: S301  (its own pickle)
        assert again == store
        assert again.read_only == store.read_only
        await store.set("foo", self._buffer(_DATA))
        assert_bytes_equal(await store.get("foo", default_buffer_prototype()), _DATA)

    def test_store_read_only(self, store: S) -> None:
        """``read_only`` cannot be set."""
        assert not store.read_only
        with pytest.raises(AttributeError):
            store.read_only = False  # type: ignore[misc]

    @pytest.mark.parametrize("read_only", [True, False])
    async def test_store_open_read_only(self, open_kwargs: dict[str, Any], read_only: bool) -> None:
        """A store is opened as ``read_only`` says."""
        store = await self.store_cls.open(**{**open_kwargs, "read_only": read_only})
        assert store._is_open
        assert store.read_only == read_only

    async def test_store_context_manager(self, open_kwargs: dict[str, Any]) -> None:
        """The end of ``with`` closes the store, which cannot be opened twice."""
        with await self.store_cls.open(**open_kwargs) as store:
            assert store._is_open
            with pytest.raises(ValueError, match="store is already open"):
                await store._open()
        assert not store._is_open

    async def _check_rejects(self, store: Store) -> None:
        assert store.read_only
        with pytest.raises(ValueError, match=_READ_ONLY):
            await store.set("foo", self._buffer(b"bar"))
        with pytest.raises(ValueError, match=_READ_ONLY):
            await store.delete("foo")

    async def test_read_only_store_raises(self, open_kwargs: dict[str, Any]) -> None:
        """A read-only store rejects writes and deletions."""
        await self._check_rejects(await self.store_cls.open(**{**open_kwargs, "read_only": True}))

    async def test_with_read_only_store(self, open_kwargs: dict[str, Any]) -> None:
        """``with_read_only`` makes a store writable or not, and leaves the other as it is."""
        store = await self.store_cls.open(**{**open_kwargs, "read_only": True})
        try:
            writer = store.with_read_only(read_only=False)
        except NotImplementedError as error:
            assert f"for the {type(store)} store type" in str(error)  # noqa: PT017
            return
        assert not writer._is_open
        assert not writer.read_only
        await writer.set("foo", self._buffer(b"bar"))
        await writer.delete("foo")
        await self._check_rejects(store)
        await self._check_rejects(store.with_read_only(read_only=True))

    # Values

    @_chunk_keys
    @pytest.mark.parametrize(
        ("data", "byte_range"),
        [
            (_DATA, None),
            (_DATA, RangeByteRequest(1, 4)),
            (_DATA, OffsetByteRequest(1)),
            (_DATA, SuffixByteRequest(1)),
            (b"", None),
        ],
    )
    async def test_get(self, store: S, key: str, data: bytes, byte_range: ByteRequest) -> None:
        """A value and its parts are returned."""
        value = self._buffer(data)
        await self.set(store, key, value)
        start, stop = _normalize_byte_range_index(value, byte_range)
        found = await store.get(key, default_buffer_prototype(), byte_range)
        assert_bytes_equal(found, value[start:stop])

    async def test_get_not_open(self, store_not_open: S) -> None:
        """A store that is not open yet opens itself to read."""
        assert not store_not_open._is_open
        await self.set(store_not_open, "c/0", self._buffer(_DATA))
        assert_bytes_equal(await store_not_open.get("c/0", default_buffer_prototype()), _DATA)

    async def test_get_raises(self, store: S) -> None:
        """Another object than a request of bytes is an error."""
        await self.set(store, "c/0", self._buffer(_DATA))
        wrong: Any = (0, 2)
        with pytest.raises((ValueError, TypeError), match=r"Unexpected byte_range, got.*"):
            await store.get("c/0", default_buffer_prototype(), byte_range=wrong)

    async def test_get_many(self, store: S) -> None:
        """Many values are returned in any order."""
        wanted = {str(number): str(number).encode() for number in range(10)}
        for key, data in wanted.items():
            await self.set(store, key, self._buffer(data))
        requests = ((key, default_buffer_prototype(), None) for key in wanted)
        found = await _collect_aiterator(store._get_many(requests))
        assert {key: value.to_bytes() for key, value in found if value is not None} == wanted

    @_chunk_keys
    @pytest.mark.parametrize("data", [_DATA, b""])
    async def test_getsize(self, store: S, key: str, data: bytes) -> None:
        """The size is that of the value."""
        await self.set(store, key, self._buffer(data))
        assert await store.getsize(key) == len(data)

    async def test_getsize_prefix(self, store: S) -> None:
        """A prefix is a whole path: that of a longer name is another one."""
        keys = ["c/0/0", "c/0/1", "c/1/0", "c/1/1"]
        await self._put(store, *keys, "cc/0", data=_DATA)
        assert await store.getsize_prefix("c") == len(_DATA) * len(keys)

    async def test_getsize_raises(self, store: S) -> None:
        """The size of a missing key is an error."""
        with pytest.raises(FileNotFoundError):
            await store.getsize("c/1000")

    @pytest.mark.parametrize("key", ["zarr.json", "c/0", "foo/c/0.0", "foo/0/0"])
    @pytest.mark.parametrize("data", [_DATA, b""])
    async def test_set(self, store: S, key: str, data: bytes) -> None:
        """A value is stored."""
        assert not store.read_only
        await store.set(key, self._buffer(data))
        assert_bytes_equal(await self.get(store, key), data)

    async def test_set_not_open(self, store_not_open: S) -> None:
        """A store that is not open yet opens itself to write."""
        assert not store_not_open._is_open
        await store_not_open.set("c/0", self._buffer(_DATA))
        assert_bytes_equal(await self.get(store_not_open, "c/0"), _DATA)

    async def test_set_many(self, store: S) -> None:
        """Many values are stored."""
        keys = ["zarr.json", "c/0", "foo/c/0.0", "foo/0/0"]
        await store._set_many([(key, self._buffer(key.encode())) for key in keys])
        for key in keys:
            assert_bytes_equal(await self.get(store, key), key.encode())

    @pytest.mark.parametrize(
        "key_ranges",
        [
            [],
            [("zarr.json", RangeByteRequest(0, 2))],
            [("c/0", RangeByteRequest(0, 2)), ("zarr.json", None)],
            [
                ("c/0/0", RangeByteRequest(0, 2)),
                ("c/0/1", SuffixByteRequest(2)),
                ("c/0/2", OffsetByteRequest(2)),
            ],
        ],
    )
    async def test_get_partial_values(
        self, store: S, key_ranges: list[tuple[str, ByteRequest | None]]
    ) -> None:
        """Parts of values are returned in the order of the requests, which come only once."""
        for key, _ in key_ranges:
            await self.set(store, key, self._buffer(key.encode()))
        found = await store.get_partial_values(default_buffer_prototype(), iter(key_ranges))
        assert len(found) == len(key_ranges)
        for (key, part), one in zip(key_ranges, found, strict=True):
            assert one is not None
            assert_bytes_equal(one, await store.get(key, default_buffer_prototype(), part))

    async def test_exists(self, store: S) -> None:
        """A key exists once it has a value."""
        assert not await store.exists("foo")
        await self._put(store, "foo/zarr.json")
        assert await store.exists("foo/zarr.json")

    async def test_set_if_not_exists(self, store: S) -> None:
        """A value is stored only if there is none."""
        old, new = self._buffer(b"0000"), self._buffer(b"1111")
        await self.set(store, "k", old)
        for key, wanted in (("k", old), ("k2", new)):
            await store.set_if_not_exists(key, new)
            assert_bytes_equal(await store.get(key, default_buffer_prototype()), wanted)

    # Deletions

    async def test_delete(self, store: S) -> None:
        """A deleted key is missing."""
        self._deletes(store)
        await self._put(store, "foo/zarr.json")
        assert await store.exists("foo/zarr.json")
        await store.delete("foo/zarr.json")
        assert not await store.exists("foo/zarr.json")

    async def test_delete_dir(self, store: S) -> None:
        """All keys below a path are deleted, and no others."""
        self._deletes(store)
        kept, gone = ("zarr.json", "foo-bar/zarr.json"), ("foo/zarr.json", "foo/c/0")
        await self._put(store, *kept, *gone)
        await store.delete_dir("foo")
        assert [await store.exists(key) for key in (*kept, *gone)] == [True, True, False, False]

    async def test_delete_nonexistent_key_does_not_raise(self, store: S) -> None:
        """A missing key may be deleted."""
        self._deletes(store)
        await store.delete("nonexistent_key")

    async def test_is_empty(self, store: S) -> None:
        """A prefix is empty if no key is below it."""
        assert await store.is_empty("")
        await self.set(store, "foo/bar", self._buffer(b"something"))
        empty = {"": False, "fo": True, "foo/": False, "foo": False, "spam/": True}
        assert {prefix: await store.is_empty(prefix) for prefix in empty} == empty

    async def test_clear(self, store: S) -> None:
        """A cleared store has no keys."""
        await self.set(store, "key", self._buffer(b"something"))
        await store.clear()
        assert await store.is_empty("")

    # Listings

    async def _check_prefix(self, store: Store, prefix: str, keys: Iterable[str]) -> None:
        found = await _collect_aiterator(store.list_prefix(prefix))
        assert sorted(found) == sorted(key for key in keys if key.startswith(prefix))

    async def test_list(self, store: S) -> None:
        """All keys are listed."""
        assert await _collect_aiterator(store.list()) == ()
        keys = ["foo/zarr.json", *(f"foo/c/{number}" for number in range(10))]
        await self._put(store, *keys)
        assert sorted(await _collect_aiterator(store.list())) == sorted(keys)

    async def test_list_prefix(self, store: S) -> None:
        """The keys that begin with a prefix are listed as whole keys."""
        prefixes = ("", "a/", "a/b/", "a/b/c/")
        keys = [f"{prefix}zarr.json" for prefix in prefixes]
        await self._put(store, *keys)
        for prefix in prefixes:
            await self._check_prefix(store, prefix, keys)

    async def test_list_empty_path(self, store: S) -> None:
        """An empty prefix is that of all keys."""
        keys = ["foo/bar/zarr.json", "foo/bar/c/1", "foo/baz/c/0"]
        await self._put(store, *keys)
        assert sorted(await _collect_aiterator(store.list())) == sorted(keys)
        for prefix in ("", "foo/bar/"):
            await self._check_prefix(store, prefix, keys)

    async def test_list_dir(self, store: S) -> None:
        """The names directly below a path are listed, each once."""
        assert await _collect_aiterator(store.list_dir("")) == ()
        for root, below in (("foo", ["zarr.json", "c/1"]), ("foo/bar", ["a", "b/zarr.json"])):
            assert await _collect_aiterator(store.list_dir(root)) == ()
            await self._put(store, *(f"{root}/{key}" for key in below))
            wanted = sorted(key.partition("/")[0] for key in below)
            for path in (root, f"{root}/"):
                assert sorted(await _collect_aiterator(store.list_dir(path))) == wanted

    # Plain calls

    def test_get_sync(self, store: S) -> None:
        """A value is returned."""
        getter = self._plain(store, SupportsGetSync)
        sync(self.set(store, "sync_get", self._buffer(_DATA)))
        assert_bytes_equal(getter.get_sync("sync_get"), _DATA)

    def test_get_sync_missing(self, store: S) -> None:
        """A missing key is None."""
        assert self._plain(store, SupportsGetSync).get_sync("nonexistent") is None

    def test_set_sync(self, store: S) -> None:
        """A value is stored."""
        self._plain(store, SupportsSetSync).set_sync("sync_set", self._buffer(_DATA))
        assert_bytes_equal(sync(self.get(store, "sync_set")), _DATA)

    def test_delete_sync(self, store: S) -> None:
        """A deleted key is missing."""
        plain = self._plain(store, SupportsSetSync, SupportsDeleteSync, SupportsGetSync)
        plain.set_sync("sync_delete", self._buffer(_DATA))
        plain.delete_sync("sync_delete")
        assert plain.get_sync("sync_delete") is None

    def test_delete_sync_missing(self, store: S) -> None:
        """A missing key may be deleted."""
        self._plain(store, SupportsDeleteSync).delete_sync("nonexistent_sync")

    @pytest.mark.parametrize("direction", ["set_async_get_sync", "set_sync_get_async"])
    async def test_sync_async_set_get_parity(self, store: S, direction: str) -> None:
        """What one way has stored, the other returns."""
        plain = self._plain(store, SupportsSetSync, SupportsGetSync)
        if direction == "set_async_get_sync":
            await store.set("parity_set_get", self._buffer(_DATA))
            found = plain.get_sync("parity_set_get")
        else:
            plain.set_sync("parity_set_get", self._buffer(_DATA))
            found = await store.get("parity_set_get", default_buffer_prototype())
        assert_bytes_equal(found, _DATA)

    async def test_delete_sync_visible_to_async_get(self, store: S) -> None:
        """What one way has deleted is missing for the other."""
        plain = self._plain(store, SupportsDeleteSync)
        await store.set("parity_delete", self._buffer(_DATA))
        plain.delete_sync("parity_delete")
        assert await store.get("parity_delete", default_buffer_prototype()) is None

    @pytest.mark.parametrize(
        "byte_range",
        [
            None,
            RangeByteRequest(1, 4),
            OffsetByteRequest(1),
            SuffixByteRequest(1),
            RangeByteRequest(10, 20),
        ],
        ids=["none", "range", "offset", "suffix", "range-past-eof"],
    )
    async def test_get_sync_byte_range_parity(
        self, store: S, byte_range: ByteRequest | None
    ) -> None:
        """Both ways return the same part of a value."""
        plain = self._plain(store, SupportsGetSync)
        await store.set("parity_byte_range", self._buffer(_DATA))
        awaited = await store.get("parity_byte_range", default_buffer_prototype(), byte_range)
        assert_bytes_equal(plain.get_sync("parity_byte_range", byte_range=byte_range), awaited)


class LatencyStore(WrapperStore[Store]):
    """A store around another whose reads and writes take some time.

    A latency is in seconds, or the mean and the deviation of a normal distribution.
    """

    def __init__(
        self,
        store: Store,
        *,
        get_latency: float | tuple[float, float] = 0,
        set_latency: float | tuple[float, float] = 0,
    ) -> None:
        """Initialise with the store and the latencies."""
        super().__init__(store)
        self._get_latency, self._set_latency = get_latency, set_latency

    @property
    def get_latency(self) -> float:
        """How long the next read takes."""
        return _drawn(self._get_latency)

    @property
    def set_latency(self) -> float:
        """How long the next write takes."""
        return _drawn(self._set_latency)

    def _with_store(self, store: Any) -> Self:
        return type(self)(store, get_latency=self._get_latency, set_latency=self._set_latency)

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""
        await asyncio.sleep(self.set_latency)
        await self._store.set(key, value)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        await asyncio.sleep(self.get_latency)
        return await self._store.get(key, prototype=prototype, byte_range=byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        time.sleep(self.get_latency)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        time.sleep(self.set_latency)
        super().set_sync(key, value)

    def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        **bounds: int | None,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Iterate over parts of a value, each of which is a read of its own here."""
        given = {name: value for name, value in bounds.items() if value is not None}
        return Store.get_ranges(self, key, byte_ranges, prototype=prototype, **given)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        wanted = (self.get(key, prototype, part) for key, part in key_ranges)
        return list(await asyncio.gather(*wanted))


def _drawn(latency: float | tuple[float, float]) -> float:
    if isinstance(latency, tuple):
        return max(0.0, random.gauss(*latency))
    return float(latency)
