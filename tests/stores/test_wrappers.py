"""Stores around any other: what a subclass overrides, what is logged, consolidated metadata."""

from __future__ import annotations

import logging
import pickle
from itertools import permutations

import numpy as np
import pytest

import fastzarr
from fastzarr.errors import MetadataError, ReadOnlyError
from fastzarr.stores import (
    ConsolidatedMetadataStore,
    LocalStore,
    LoggingStore,
    ManagedMemoryStore,
    MemoryStore,
    WrapperStore,
)
from fastzarr.testing import StoreTests


class TestMemory(StoreTests):
    """A wrapper of a store in memory."""

    @pytest.fixture
    def store(self):
        return WrapperStore(MemoryStore())


class TestFolder(StoreTests):
    """A wrapper of a folder, whose locks exclude other processes."""

    @pytest.fixture
    def store(self, tmp_path):
        return WrapperStore(LocalStore(tmp_path))


class TestRedis(StoreTests):
    """A wrapper of a server."""

    @pytest.fixture
    def store(self, redis):
        from fastzarr.stores import RedisStore

        return WrapperStore(RedisStore(**redis))


class TestTwice(StoreTests):
    """A wrapper of a wrapper, which logs."""

    @pytest.fixture
    def store(self):
        return LoggingStore(WrapperStore(MemoryStore()), log_level="ERROR")


class Reversed(WrapperStore):
    """Values are stored backwards."""

    def _get(self, key):
        value = super()._get(key)
        return None if value is None else value[::-1]

    def _set(self, key, value):
        super()._set(key, bytes(value)[::-1])


class TestOverridden(StoreTests):
    """A wrapper that changes what is stored."""

    @pytest.fixture
    def store(self, tmp_path):
        return Reversed(LocalStore(tmp_path))


@pytest.mark.parametrize("within", [MemoryStore, LocalStore])
@pytest.mark.usefixtures("data_path")
def test_what_a_subclass_overrides_is_honoured(within, tmp_path):
    plain = within(tmp_path) if within is LocalStore else within()
    store = Reversed(plain)
    values = np.arange(400).reshape(20, 20)
    z = fastzarr.create_array(store, data=values, chunks=(5, 5), shards=(10, 10))
    z[3:12, 4] = -1
    values[3:12, 4] = -1
    assert np.array_equal(fastzarr.open_array(Reversed(plain), mode="r")[:], values)
    assert plain["zarr.json"] == store["zarr.json"][::-1]
    assert plain["c/0/0"] == store["c/0/0"][::-1]
    with pytest.raises(MetadataError):
        fastzarr.open_array(plain, mode="r")


@pytest.mark.parametrize("verb", ["get", "set", "delete"])
def test_a_public_verb_that_is_overridden_sees_each_chunk(verb):
    seen = []

    def called(self, key, *rest):
        seen.append(key)
        return getattr(WrapperStore, verb)(self, key, *rest)

    cls = type("Counting", (WrapperStore,), {verb: called})
    z = fastzarr.create_array(cls(MemoryStore()), shape=6, chunks=2, dtype="i4")
    z[:] = 1
    assert z[:].tolist() == [1] * 6
    z[:] = 0
    chunks = [key for key in seen if key.startswith("c/")]
    assert set(chunks) == {"c/0", "c/1", "c/2"}


def test_the_store_within_is_read_only(tmp_path):
    store = WrapperStore(LocalStore(tmp_path, read_only=True))
    assert store.read_only
    with pytest.raises(ReadOnlyError):
        store["a"] = b"1"


# Logs


class Handler(logging.Handler):
    """Messages are kept."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def test_calls_are_logged_and_counted():
    handler = Handler()
    store = LoggingStore(MemoryStore({"a": b"1"}), log_handler=handler)
    store["b"] = b"2"
    assert (store["a"], [*store.list()]) == (b"1", ["a", "b"])
    assert store.get_ranges("a", [(0, 1)]) == [b"1"]
    del store["b"]
    assert store.counter == {
        "set": 1,
        "get": 1,
        "list": 1,
        "get_ranges": 1,
        "exists": 1,
        "delete": 1,
    }
    assert handler.messages[0] == " Calling MemoryStore.set(b)"
    assert handler.messages[1].startswith("Finished MemoryStore.set(b) [0.")
    assert " Calling MemoryStore.get_ranges(a, [(0, 1)])" in handler.messages


def test_an_array_is_read_through_the_log():
    store = LoggingStore(MemoryStore(), log_level="WARNING")
    z = fastzarr.create_array(store, data=np.arange(100), chunks=10)
    store.counter.clear()
    again = fastzarr.open_array(store, mode="r")
    assert again[:].tolist() == list(range(100))
    # The copy that is read-only counts with the store.
    assert sum(store.counter.values()) >= 2
    before = dict(store.counter)
    z[5] = 7
    assert store.counter != before
    assert pickle.loads(pickle.dumps(store))["zarr.json"] == store["zarr.json"]


def test_a_log_has_no_credentials():
    from fastzarr.stores import RedisStore

    handler = Handler()
    within = RedisStore.from_url("redis://me:hidden-words@127.0.0.1:1/0?prefix=log")
    store = LoggingStore(within, log_handler=handler)
    with fastzarr.config.set({"fetch.deadline": 0.01}), pytest.raises(OSError, match="no answer"):
        store.get("a")
    assert handler.messages
    assert "hidden-words" not in repr((handler.messages, store, store.logger.name))


def test_an_unknown_level_is_an_error():
    with pytest.raises(ValueError, match="LOUD"):
        LoggingStore(MemoryStore(), log_level="LOUD")


# Consolidated metadata


@pytest.fixture
def consolidated():
    store = MemoryStore()
    root = fastzarr.create_group(store, zarr_format=2)
    root.create_array("g/a", data=np.arange(6), chunks=2)
    fastzarr.consolidate_metadata(store)
    return store


def test_metadata_is_read_from_one_document(consolidated):
    log = LoggingStore(consolidated, log_level="WARNING")
    store = ConsolidatedMetadataStore(log)
    assert dict(log.counter) == {"get": 1}
    root = fastzarr.open_group(store, mode="r")
    assert list(root["g"]) == ["a"]
    assert sorted(root.group_keys()) == ["g"]
    assert root["g/a"].chunks == (2,)
    assert dict(log.counter) == {"get": 1}
    assert root["g/a"][:].tolist() == list(range(6))
    assert root["g/a"].nchunks_initialized == 3
    assert sorted(store.meta_store) == [".zgroup", "g/.zgroup", "g/a/.zarray"]
    assert store.store is log


def test_a_chunk_that_cannot_be_read_is_no_fill_value(consolidated):
    class Failing(WrapperStore):
        def _get(self, key):
            if key == "g/a/1":
                msg = "disk"
                raise OSError(msg)
            return super()._get(key)

    store = ConsolidatedMetadataStore(Failing(consolidated))
    with pytest.raises(OSError, match="disk"):
        fastzarr.open_group(store, mode="r")["g/a"][:]


def test_consolidated_metadata_cannot_be_changed(consolidated):
    store = ConsolidatedMetadataStore(consolidated)
    for change in (
        lambda: store.set("a", b"1"),
        lambda: store.delete("g/a/.zarray"),
        store.clear,
        lambda: store.with_read_only(read_only=False),
        lambda: fastzarr.open_group(store, mode="r+"),
    ):
        with pytest.raises(ReadOnlyError):
            change()
    root = fastzarr.open(store, mode="r", chunk_store=consolidated)
    assert root["g/a"][:].tolist() == list(range(6))
    assert pickle.loads(pickle.dumps(store)).meta_store == store.meta_store


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"zarr_consolidated_format": 2}', b"[" * 99_999])
def test_other_documents_are_refused(raw):
    with pytest.raises(MetadataError, match="zmetadata"):
        ConsolidatedMetadataStore({".zmetadata": raw})
    with pytest.raises(MetadataError, match="no consolidated metadata"):
        ConsolidatedMetadataStore({}, metadata_key="meta")


# A part of a store in memory


class TestPart(StoreTests):
    """A part of a store in memory that has a name, beside other parts of it."""

    @pytest.fixture
    def store(self):
        root = ManagedMemoryStore("whole")
        root.clear()
        root.set("a/bc", b"beside")
        root.set("b/x", b"beside")
        yield ManagedMemoryStore("whole", path="/a/b/")
        assert root["a/bc"] == root["b/x"] == b"beside"
        root.clear()


def test_a_part_has_the_values_of_the_whole():
    whole = ManagedMemoryStore("parts")
    part = ManagedMemoryStore("parts", path="a/b")
    fastzarr.create_array(part, data=[1, 2, 3])
    assert str(part) == "memory://parts/a/b"
    assert fastzarr.open_array(whole, path="a/b")[:].tolist() == [1, 2, 3]
    assert fastzarr.open_array("memory://parts/a/b")[:].tolist() == [1, 2, 3]
    assert part == ManagedMemoryStore("parts", path="a/b") != whole
    assert pickle.loads(pickle.dumps(part))["c/0"] == whole["a/b/c/0"]
    token = part.validator("c/0")
    whole["a/b/c/0"] = b"other"
    assert not part.swap("c/0", b"1", token)


# Two stores of one array, and copies between any two


def stores(tmp_path, redis, mongo):
    from fastzarr.stores import DBMStore, LMDBStore, MongoDBStore, RedisStore, SQLiteStore, ZipStore

    return [
        MemoryStore(),
        LocalStore(tmp_path / "a"),
        ZipStore(tmp_path / "a.zip", mode="w"),
        SQLiteStore(tmp_path / "a.sqlite"),
        LMDBStore(tmp_path / "a.lmdb"),
        DBMStore(tmp_path / "a.dbm"),
        RedisStore(**redis),
        MongoDBStore(**mongo),
        ManagedMemoryStore(path="x"),
    ]


def test_keys_are_copied_between_any_two_stores(tmp_path, redis, mongo):
    found = stores(tmp_path, redis, mongo)
    made = {}
    fastzarr.create_array(made, name="g/a", data=np.arange(60), chunks=7, zarr_format=2)
    size = sum(map(len, made.values()))
    for source, target in permutations(found, 2):
        source.clear()
        source.setitems(made)
        target.clear()
        assert fastzarr.copy_store(source, target) == (len(made), 0, size)
        assert dict(target) == made
        assert fastzarr.copy_store(source, target, if_exists="skip") == (0, len(made), 0)


def test_chunks_and_metadata_are_in_any_two_stores(tmp_path, redis, mongo):
    for metadata, chunks in permutations(stores(tmp_path, redis, mongo), 2):
        z = fastzarr.create(
            60, chunks=7, dtype="i4", store=metadata, path="two", chunk_store=chunks, zarr_format=2
        )
        z[:] = np.arange(60)
        z[3] = 100
        assert "two/.zarray" in metadata
        assert "two/0" in chunks
        assert "two/0" not in metadata
        again = fastzarr.open_array(metadata, path="two", chunk_store=chunks, mode="r")
        assert again[:5].tolist() == [0, 1, 2, 100, 4]
        assert again.nchunks_initialized == 9
        metadata.clear()
        chunks.clear()
