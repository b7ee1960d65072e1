"""Stores that cache the values of another one: the suite of all stores, and what may be stale."""

from __future__ import annotations

import copy
import itertools
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import s3fs
from interrupting import Interrupt
from obstore.store import MemoryStore as Objects
from waits import join, wait_for

from fastzarr import (
    consolidate_metadata,
    create_array,
    create_group,
    open_array,
    open_group,
)
from fastzarr.errors import (
    BaseZarrError,
    ReadOnlyError,
    RequestAccessError,
    ZarrRuntimeWarning,
)
from fastzarr.stores import (
    CacheStore,
    FsspecStore,
    LocalStore,
    LRUStoreCache,
    MemoryStore,
    ObjectStore,
)
from fastzarr.testing import StoreTests
from fastzarr.testing.promises import run_at_once


class TestLRUOverMemory(StoreTests):
    @pytest.fixture
    def store(self):
        return LRUStoreCache(MemoryStore(), max_size=2**27)


class TestLRUOverAFolder(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return LRUStoreCache(LocalStore(tmp_path / "a"), max_size=1000)


class TestLRUOverObjects(StoreTests):
    @pytest.fixture
    def store(self):
        return LRUStoreCache(ObjectStore(Objects()), max_size=None)


class TestMemoryInMemory(StoreTests):
    @pytest.fixture
    def store(self):
        return CacheStore(MemoryStore(), cache_store={})


class TestAFolderInAFolder(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return CacheStore(str(tmp_path / "a"), cache_store=str(tmp_path / "b"), max_size=1000)


class TestObjectsInAFolder(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return CacheStore(
            ObjectStore(Objects()), cache_store=str(tmp_path), max_age_seconds=0, max_size=2**20
        )


KINDS = ("lru", "cache")


@pytest.fixture(params=KINDS)
def cached(request, tmp_path):
    """Return a function that puts a cache around a store."""

    def around(store, **options):
        if request.param == "lru":
            return LRUStoreCache(store, max_size=2**24)
        return CacheStore(store, cache_store=str(tmp_path / "cache"), **options)

    return around


def objects(s3, proxy):
    """Return a store behind a proxy."""
    seen = s3.through(proxy)
    return ObjectStore(seen.url, storage_options=seen.obstore())


def test_the_second_read_makes_no_requests(s3, proxy, cached):
    store = objects(s3, proxy)
    values = np.arange(10_000, dtype="i4").reshape(100, 100)
    create_array(store, name="a", data=values, chunks=(10, 50))
    array = open_array(cached(store), path="a", mode="r")
    proxy.forget()
    np.testing.assert_array_equal(array[:], values)
    assert proxy.methods() == {"GET": 20}
    proxy.forget()
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array[5:50, 3], values[5:50, 3])
    assert proxy.count() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_awaited_values_are_cached(s3, proxy, tmp_path, kind):
    seen = s3.through(proxy)
    store = FsspecStore(s3fs.S3FileSystem(**seen.s3fs(), asynchronous=True), path=seen.path)
    values = np.arange(1000, dtype="i4")
    create_array(objects(s3, proxy), name="a", data=values, chunks=50)
    cache = (
        LRUStoreCache(store, max_size=None)
        if kind == "lru"
        else CacheStore(store, cache_store=str(tmp_path))
    )
    assert cache.fetch_async is not None
    array = open_array(cache, path="a", mode="r")
    np.testing.assert_array_equal(array[:], values)
    proxy.forget()
    np.testing.assert_array_equal(array[:], values)
    assert proxy.count() == 0


READ = """
import sys, json
from fastzarr import open_array
from fastzarr.stores import CacheStore, ObjectStore
url, options, folder = json.loads(sys.argv[1])
cache = CacheStore(ObjectStore(url, storage_options=options), cache_store=folder)
print(open_array(cache, path="a", mode="r")[:].sum())
"""


def test_another_process_reads_from_the_cache(s3, proxy, tmp_path):
    create_array(objects(s3, proxy), name="a", data=np.arange(100), chunks=10)
    seen = s3.through(proxy)
    argument = json.dumps([seen.url, seen.obstore(), str(tmp_path)])
    chunks = []
    for _ in range(2):
        proxy.forget()
        found = subprocess.run(  # noqa: S603  (this file's program)
            [sys.executable, "-c", READ, argument], check=True, capture_output=True, text=True
        )
        assert found.stdout.strip() == "4950"
        chunks.append(sum("/c/" in one.target for one in proxy.log()))
    assert chunks == [10, 0]


def test_parts_of_shards_are_cached(s3, proxy, cached):
    store = objects(s3, proxy)
    values = np.arange(10_000, dtype="i4").reshape(100, 100)
    create_array(store, name="a", data=values, chunks=(10, 10), shards=(50, 50))
    array = open_array(cached(store), path="a", mode="r")
    np.testing.assert_array_equal(array[12:18, 33], values[12:18, 33])
    proxy.forget()
    np.testing.assert_array_equal(array[12:18, 33], values[12:18, 33])
    assert proxy.count() == 0
    # The rest of the shard is read under the index that is cached.
    np.testing.assert_array_equal(array[:20, :20], values[:20, :20])
    assert proxy.count() == 1


def test_parts_of_two_values_are_not_mixed(cached):
    store = ObjectStore(Objects())
    values = np.arange(400, dtype="i4").reshape(20, 20)
    other = create_array(store, name="a", data=values, chunks=(5, 5), shards=(20, 20))
    array = open_array(cached(store), path="a", mode="r")
    np.testing.assert_array_equal(array[:3, :3], values[:3, :3])
    other[:] = values[::-1] + 1000
    # What is cached is older, but of one value.
    np.testing.assert_array_equal(array[:3, :3], values[:3, :3])
    np.testing.assert_array_equal(array[:3, 1:13], (values[::-1] + 1000)[:3, 1:13])
    np.testing.assert_array_equal(array[:3, :3], (values[::-1] + 1000)[:3, :3])


def test_ranges_of_two_values_are_not_mixed(cached):
    store = ObjectStore(Objects())
    store["a"] = b"0123456789"
    cache = cached(store)
    assert cache.get_ranges("a", [(0, 2), (-2, None)]) == [b"01", b"89"]
    store["a"] = b"abcdefghij"
    assert cache.get_ranges("a", [(0, 2)]) == [b"01"]
    with pytest.raises(BaseZarrError, match="another writer has replaced the value"):
        cache.get_ranges("a", [(0, 2), (4, 1)])
    assert cache.get_ranges("a", [(0, 2), (4, 1)]) == [b"ab", b"e"]


def test_a_shard_is_read_from_its_cached_value(s3, proxy, cached):
    store = objects(s3, proxy)
    values = np.arange(400, dtype="i4").reshape(20, 20)
    create_array(store, name="a", data=values, chunks=(5, 5), shards=(20, 20))
    array = open_array(cached(store), path="a", mode="r")
    assert (array[:] == values).all()
    proxy.forget()
    assert (array[:3, 4:9] == values[:3, 4:9]).all()
    assert proxy.count() == 0


def test_a_chunk_of_another_writer_is_seen_after_invalidate():
    store = MemoryStore()
    other = create_array(store, name="a", data=np.ones(10, "i4"), chunks=5)
    cache = LRUStoreCache(store, max_size=None)
    array = open_array(cache, path="a", mode="r")
    assert array[:].sum() == 10
    other[:] = 2
    assert array[:].sum() == 10
    cache.invalidate()
    assert array[:].sum() == 20
    other[:] = 3
    cache.invalidate_values()
    cache.invalidate_keys()
    assert array[:].sum() == 30


def test_a_chunk_is_compared_by_its_token_when_it_is_old(s3, proxy, tmp_path):
    store = objects(s3, proxy)
    other = create_array(store, name="a", data=np.arange(10, dtype="i4"), chunks=5)
    cache = CacheStore(store, cache_store=str(tmp_path), max_age_seconds=0)
    array = open_array(cache, path="a", mode="r")
    assert array[:].sum() == 45
    proxy.forget()
    assert array[:].sum() == 45
    assert proxy.methods() == {"HEAD": 2}
    other[0] = 100
    proxy.forget()
    assert array[:].sum() == 145
    assert proxy.methods() == {"HEAD": 2, "GET": 1}
    store.delete("a/c/1")
    assert array[:].sum() == 110


def test_a_value_without_a_token_is_read_again_when_it_is_old(monkeypatch):
    values = {"a": b"1"}
    cache = CacheStore(values, cache_store={}, max_age_seconds=60)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    assert cache["a"] == b"1"
    values["a"] = b"2"
    now += 59 * 10**9
    assert cache["a"] == b"1"
    now += 10**9
    assert cache["a"] == b"2"
    # A clock that was set back does not make a value current.
    values["a"] = b"3"
    now -= 10**9
    assert cache["a"] == b"3"


def test_a_changed_document_makes_chunks_be_compared(s3, proxy, cached):
    store = objects(s3, proxy)
    other = create_array(store, name="a", data=np.arange(10, dtype="i4"), chunks=5)
    cache = cached(store)
    assert open_array(cache, path="a", mode="r")[:].sum() == 45
    other.attrs["unit"] = "m"
    array = open_array(cache, path="a", mode="r")
    assert array.attrs["unit"] == "m"
    proxy.forget()
    assert array[:].sum() == 45
    assert proxy.methods() == {"HEAD": 2}
    proxy.forget()
    assert array[:].sum() == 45
    assert proxy.count() == 0


def test_a_replaced_array_is_not_read_from_old_chunks(cached):
    store = ObjectStore(Objects())
    create_array(store, name="a", data=np.arange(10, dtype="i4"), chunks=5)
    cache = cached(store)
    assert open_array(cache, path="a", mode="r")[:].sum() == 45
    create_array(store, name="a", data=np.ones(10, "i8"), chunks=5, overwrite=True)
    assert open_array(cache, path="a", mode="r")[:].tolist() == [1] * 10
    # Also if the cache is used anew.
    assert open_array(cached(store), path="a", mode="r")[:].tolist() == [1] * 10


def test_consolidated_metadata_that_changed_makes_chunks_be_compared(cached):
    store = {}
    group = create_group(store)
    group.create_array("x", data=np.arange(10, dtype="i4"), chunks=5)
    consolidate_metadata(store)
    cache = cached(store)
    assert open_group(cache, mode="r")["x"][:].sum() == 45
    group = open_group(store, use_consolidated=False)
    group.create_array("x", data=np.ones(10, dtype="i8"), chunks=5, overwrite=True)
    consolidate_metadata(store)
    assert open_group(cache, mode="r")["x"][:].sum() == 10


def test_own_changes_are_seen(cached):
    store = ObjectStore(Objects())
    cache = cached(store)
    group = create_group(cache)
    array = group.create_array("a", data=np.arange(20, dtype="i4"), chunks=5)
    values = array[:]
    array[3:12] = values[3:12] = -1
    assert array[:].tolist() == values.tolist()
    array[5:10] = values[5:10] = 7
    assert array[:].tolist() == values.tolist()
    array.resize(8)
    array.resize(20)
    values[8:] = 0
    assert array[:].tolist() == values.tolist()
    array.append(np.arange(3, dtype="i4"))
    assert array[:].tolist() == [*values, 0, 1, 2]
    group.move("a", "b")
    assert group["b"][:].tolist() == [*values, 0, 1, 2]
    assert "a" not in group
    group.create_array("a", shape=20, chunks=5, dtype="i4")
    assert not group["a"][:].any()
    del group["b"]
    group.create_array("b", shape=20, chunks=5, dtype="i4", fill_value=9)
    assert (group["b"][:] == 9).all()


def test_own_changes_are_served_from_the_cache(s3, proxy, cached):
    cache = cached(objects(s3, proxy))
    array = create_array(cache, name="a", shape=20, dtype="i4", chunks=5)
    # One after the other: of writes at the same time, some are not kept.
    for start in range(0, 20, 5):
        array[start : start + 5] = np.arange(start, start + 5)
    array[1] = 100
    array[5:10] = 7
    proxy.forget()
    assert array[:].tolist() == [0, 100, 2, 3, 4, *[7] * 5, *range(10, 20)]
    assert not proxy.log()


def test_written_values_need_not_be_cached(s3, proxy, tmp_path):
    store = objects(s3, proxy)
    cache = CacheStore(store, cache_store=str(tmp_path), cache_set_data=False)
    cache["a"] = b"1"
    proxy.forget()
    assert cache["a"] == b"1"
    assert proxy.methods() == {"GET": 1}


def test_a_change_is_seen_beside_another_cache_that_has_read_the_old_value(tmp_path):
    class Paused(MemoryStore):
        """Lets something happen before it returns a value."""

        act = staticmethod(lambda: None)

        def fetch(self, wanted):
            for index, value in [*super().fetch(wanted)]:
                self.act()
                yield index, value

    inner = Paused({"a/c/0": b"old"})
    mine, other = (CacheStore(inner, cache_store=str(tmp_path)) for _ in range(2))

    def change():
        inner.act = lambda: None
        mine["a/c/0"] = b"new"

    inner.act = change
    assert other["a/c/0"] == b"old"
    assert mine["a/c/0"] == b"new"


def test_no_update_is_lost_beside_other_caches(tmp_path):
    inner = Objects()
    create_array(ObjectStore(inner), name="a", shape=40, chunks=40, dtype="i4")
    stores = [
        *(LRUStoreCache(ObjectStore(inner), max_size=None) for _ in range(2)),
        *(CacheStore(ObjectStore(inner), cache_store=str(tmp_path)) for _ in range(2)),
    ]

    def add(start):
        array = open_array(stores[start], path="a")
        for number in range(start, 40, 4):
            array[number] = number + 1
            assert array[number] == number + 1

    run_at_once([partial(add, start) for start in range(4)])
    found = open_array(ObjectStore(inner), path="a", mode="r")
    assert found[:].tolist() == list(range(1, 41))


def test_a_value_after_its_token_is_never_older(cached):
    store = ObjectStore(Objects())
    store["n"] = b"1"
    cache = cached(store)
    assert cache["n"] == b"1"
    store["n"] = b"2"
    token = cache.validator("n")
    assert cache["n"] == b"2"
    assert cache.swap("n", b"3", token)
    assert store["n"] == cache["n"] == b"3"
    store["n"] = b"4"
    assert not cache.swap("n", b"5", token)
    assert cache["n"] == b"4"
    cache.change("n", lambda old: old + b"!")
    assert store["n"] == cache["n"] == b"4!"


class Halting(MemoryStore):
    """A store whose reads wait, after they have found the value, until they may go on."""

    halt = None

    def fetch(self, wanted):
        found = list(super().fetch(wanted))
        if self.halt is not None and threading.current_thread().name == "reader":
            self.halt[0].set()
            wait_for(self.halt[1])
        return found


def test_a_read_beside_a_write_does_not_cache_the_old_value(cached):
    store = Halting({"a": b"old"})
    cache = cached(store)
    store.halt = threading.Event(), threading.Event()
    found = []
    reader = threading.Thread(target=lambda: found.append(cache["a"]), name="reader")
    reader.start()
    wait_for(store.halt[0])
    cache["a"] = b"new"
    store.halt[1].set()
    join(reader)
    assert found == [b"old"]
    assert cache["a"] == b"new"


def test_a_missing_key_is_not_cached(cached):
    values = {}
    cache = cached(values)
    assert "a" not in cache
    assert cache.get("a") is None
    values["a"] = b"1"
    assert "a" in cache
    assert cache["a"] == b"1"
    assert list(cache) == ["a"]


def test_other_processes_do_not_bring_back_what_was_replaced(tmp_path):
    # As if another process had read the old value before the write, and cached it after it.
    values = {"a": b"old"}
    store = MemoryStore(values)
    cache = CacheStore(store, cache_store=str(tmp_path))
    assert cache["a"] == b"old"
    (entry,) = tmp_path.rglob("fa")
    old = entry.read_bytes()
    mine = re.search(rb'"by": "([^"]*)"', old)[1]
    start, length = struct.Struct("<4sII"), len(old) - len(b"old")
    text = old[12:length].replace(mine, bytes(len(mine)).replace(b"\0", b"x"))
    crc = zlib.crc32(b"old", zlib.crc32(text, len(text)))
    other = start.pack(b"fzc1", crc, len(text)) + text + b"old"
    entry.write_bytes(other)
    assert cache["a"] == b"old"
    assert cache.cache_stats()["hits"] == 1
    cache["a"] = b"new"
    entry.write_bytes(other)
    assert cache["a"] == b"new"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "another"])
def test_a_damaged_entry_is_read_again(tmp_path, damage):
    store = MemoryStore({"a": b"value", "b": b"other"})
    cache = CacheStore(store, cache_store=str(tmp_path))
    assert cache["a"] == b"value"
    assert cache["b"] == b"other"
    (entry,) = tmp_path.rglob("fa")
    data = entry.read_bytes()
    position = data.index(b"value") + 2
    (second,) = tmp_path.rglob("fb")
    entry.write_bytes(
        {
            "truncated": data[:-1],
            "flipped": data[:position] + b"X" + data[position + 1 :],
            "emptied": b"",
            "another": second.read_bytes(),
        }[damage]
    )
    assert cache["a"] == b"value"
    assert cache.cache_stats()["misses"] == 3
    assert cache["a"] == b"value"
    assert cache.cache_stats()["misses"] == 3


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_cache_on_disk_is_bounded_across_restarts(tmp_path):
    values = {f"c/{number}": bytes(1000) for number in range(50)}
    (tmp_path / "data").mkdir()
    store = LocalStore(tmp_path / "data")
    store.setitems(values)
    folder = tmp_path / "cache"
    for first in (0, 10, 20, 30):
        cache = CacheStore(store, cache_store=str(folder), max_size=10_000)
        for number in range(first, first + 20):
            assert cache[f"c/{number}"] == bytes(1000)
            assert size_of(folder) <= 10_000
    assert cache.cache_info()["current_size"] == size_of(folder) > 5000
    assert cache["c/49"] == bytes(1000)
    assert cache.cache_stats()["hits"] == 1
    assert cache.cache_stats()["evictions"] > 0
    store.set("large", bytes(20_000))
    assert cache["large"] == bytes(20_000)
    assert size_of(folder) <= 10_000


def test_what_was_used_longest_ago_is_dropped():
    values = {"a": b"xxx", "b": b"yyy"}
    cache = LRUStoreCache(values, max_size=5)
    for key, hits, misses in [("a", 0, 1), ("a", 1, 1), ("b", 1, 2), ("b", 2, 2), ("a", 2, 3)]:
        assert cache[key] == values[key]
        assert (cache.hits, cache.misses) == (hits, misses)
    cache = LRUStoreCache(values | {"c": b"zzz"}, max_size=6)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert cache[key]
    assert (cache.hits, cache.misses) == (2, 4)


def test_caches_of_several_stores_share_a_folder(tmp_path):
    first, second = LocalStore(tmp_path / "1"), LocalStore(tmp_path / "2")
    first["a"], second["a"] = b"1", b"2"
    for _ in range(2):
        for store in (first, second):
            cache = CacheStore(store, cache_store=str(tmp_path / "cache"))
            assert cache["a"] == store["a"]
    cache.clear_cache()
    assert cache["a"] == b"2"
    assert cache.cache_stats()["misses"] == 1
    cache = CacheStore(first, cache_store=str(tmp_path / "cache"))
    assert cache["a"] == b"1"
    assert cache.cache_stats()["hits"] == 1


def test_only_entries_are_deleted_from_the_cache(tmp_path):
    (tmp_path / "mine").write_bytes(bytes(5000))
    cache = CacheStore({"a": bytes(900), "b": bytes(900)}, cache_store=tmp_path, max_size=1500)
    assert cache["a"] == cache["b"] == bytes(900)
    cache.clear_cache()
    assert (tmp_path / "mine").exists()


class Full(MemoryStore):
    def _set(self, key, value):  # noqa: ARG002  (they do not matter)
        raise OSError(28, "No space left on device")


def test_a_cache_that_fails_is_a_warning():
    cache = CacheStore({"a": b"1"}, cache_store=Full())
    with pytest.warns(ZarrRuntimeWarning, match="No space left"):
        assert cache["a"] == b"1"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache["a"] == b"1"
    cache["a"] = b"2"
    assert cache["a"] == b"2"


class Stuck(MemoryStore):
    """A store that does not delete any more."""

    stuck = False

    def _delete(self, key):
        if self.stuck:
            raise OSError(30, "Read-only file system")
        super()._delete(key)

    def _delete_dir(self, prefix):
        if self.stuck:
            raise OSError(30, "Read-only file system")
        super()._delete_dir(prefix)


@pytest.mark.parametrize("verb", ["set", "tree", "token"])
def test_what_the_cache_cannot_delete_is_not_read_again(verb):
    values, inside = MemoryStore({"a/c/0": b"1", "a/c/1": b"1"}), Stuck()
    cache = CacheStore(values, cache_store=inside, cache_set_data=False)
    assert cache.get_many(["a/c/0", "a/c/1"]) == [b"1", b"1"]
    inside.stuck = True
    if verb == "token":
        values["a/c/0"] = b"2"
    act = {
        "set": lambda: cache.set("a/c/0", b"2"),
        "tree": lambda: cache.delete_dir("a"),
        "token": lambda: cache.validator("a/c/0"),
    }[verb]
    with pytest.warns(ZarrRuntimeWarning, match="Read-only"):
        act()
    values["a/c/0"] = b"2"
    assert cache["a/c/0"] == b"2"
    assert cache["a/c/0"] == b"2"
    inside.stuck = False
    if verb == "set":
        cache["a/c/0"] = b"3"
        assert [cache["a/c/0"], cache["a/c/0"]] == [b"3", b"3"]
        assert cache.cache_stats()["hits"] > 0


class Picky(MemoryStore):
    def _set(self, key, value):  # noqa: ARG002  (they do not matter)
        msg = "the value is too large"
        raise BaseZarrError(msg)


class Sizeless(MemoryStore):
    def _getsize(self, key):  # noqa: ARG002  (it does not matter)
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("kind", [Picky, Sizeless])
def test_a_cache_that_refuses_is_a_warning(kind):
    inside = kind()
    if kind is Sizeless:
        inside["fastzarr-cache/of another"] = b"1"
    cache = CacheStore({"a": b"1"}, cache_store=inside, max_size=2000)
    with pytest.warns(ZarrRuntimeWarning, match="cannot be used"):
        assert cache["a"] == b"1"


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_at_any_point_leaves_no_old_value(kind):
    """The store may have changed, or not; the cache shows what it has."""
    for point in itertools.count(1):
        values = MemoryStore({"a": b"1", "b/c": b"1", "d": b"1"})
        if kind == "lru":
            cache = LRUStoreCache(values, max_size=100)
        else:
            cache = CacheStore(values, cache_store={}, max_size=10_000)
        assert cache.get_many(["a", "b/c", "d"]) == [b"1"] * 3
        interrupt = Interrupt(point)
        with suppress(KeyboardInterrupt), interrupt.during():
            cache["a"] = b"2"
            cache.set_many([("d", b"2"), ("e", b"2")])
            cache.move("b", "f")
            cache.swap("a", b"3", cache.validator("a"))
        for key in ("a", "b/c", "d", "e", "f/c"):
            for _ in range(2):
                assert cache.get(key) == values.get(key), (point, key)
        cache["a"] = b"4"
        assert cache["a"] == b"4"
        if interrupt.left > 0:
            break
    assert point > 100


def test_errors_of_the_store_are_its_errors(s3, proxy, cached):
    cache = cached(objects(s3, proxy))
    cache["a"] = b"1"
    proxy.fault("status", status=403)
    assert cache["a"] == b"1"
    with pytest.raises(RequestAccessError, match="b"):
        cache.get("b")


def test_a_pickle_reads_the_same_values(tmp_path):
    store = LocalStore(tmp_path / "data")
    store["a"] = b"1"
    for cache in (
        LRUStoreCache(store, max_size=100),
        CacheStore(store, cache_store=str(tmp_path / "cache"), max_age_seconds=5, max_size=999),
    ):
        assert cache["a"] == b"1"
        again = pickle.loads(pickle.dumps(cache))
        assert again == cache
        assert again["a"] == b"1"
        same = copy.copy(cache.with_read_only())
        store["a"] = b"2"
        assert same["a"] == b"1"
        cache["a"] = b"1"
        assert same["a"] == b"1"


def test_a_pickled_array_is_not_read_from_old_chunks(tmp_path, cached):
    store = LocalStore(tmp_path / "data")
    create_array(store, name="a", data=np.arange(10, dtype="i4"), chunks=5)
    cache = cached(store)
    assert open_array(cache, path="a", mode="r")[:].sum() == 45
    create_array(store, name="a", data=np.ones(10, "i4"), chunks=5, fill_value=3, overwrite=True)
    array = open_array(cache, path="a", mode="r")
    again = pickle.loads(pickle.dumps(array))
    assert again[:].tolist() == [1] * 10
    assert array[:].tolist() == [1] * 10


def test_a_read_only_store_has_a_read_only_cache(cached):
    cache = cached(MemoryStore({"a": b"1"}, read_only=True))
    assert cache.read_only
    with pytest.raises(ReadOnlyError):
        cache["a"] = b"2"
    assert cache["a"] == b"1"


def test_a_transaction_is_not_cached(tmp_path, cached):
    store = LocalStore(tmp_path / "data")
    array = create_array(store, name="a", data=np.zeros(4, "i4"), chunks=2)
    cache = cached(store)
    assert open_array(cache, path="a")[:].sum() == 0
    with suppress(ZeroDivisionError), open_group(store).transaction():
        array[:] = 1
        assert open_array(cache, path="a")[:].sum() == 4
        _ = 1 // 0
    assert open_array(cache, path="a")[:].sum() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_reads(tmp_path, cached):
    store = LocalStore(tmp_path / "data")
    store["a"] = b"1"
    cache = cached(store)
    assert cache["a"] == b"1"
    child = os.fork()
    if not child:
        os._exit(0 if cache["a"] == b"1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_settings_are_checked(tmp_path):
    for options in ({"max_age_seconds": -1}, {"max_age_seconds": "never"}, {"max_size": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            CacheStore({}, cache_store={}, **options)
    with pytest.raises(ValueError, match="cache_store"):
        CacheStore({}, cache_store=LocalStore(tmp_path, read_only=True))
    with pytest.raises(ValueError, match="max_size"):
        LRUStoreCache({}, max_size=-1)


def test_a_value_is_never_older_than_a_token_that_was_asked_for_before(monkeypatch):
    """A thread caches what it has read while another process changes it, and a third asks."""
    inner = MemoryStore({"n": b"1"})
    store = CacheStore(inner, cache_store={})
    reading, go_on, asked = (threading.Event() for _ in range(3))
    cache = store._shared.cache  # noqa: SLF001  (to stop a thread there)
    put, found = cache.put, []

    def slow_put(*args):
        reading.set()
        wait_for(go_on)
        put(*args)

    def ask():
        token = store.validator("n")
        asked.set()
        join(reader)
        found.append((token, store.get("n")))

    with monkeypatch.context() as patch:
        patch.setattr(cache, "put", slow_put)
        reader, asker = (
            threading.Thread(target=store.get, args=("n",)),
            threading.Thread(target=ask),
        )
        reader.start()
        wait_for(reading)
        inner.set("n", b"2")
        asker.start()
        asked.wait(0.2)  # it waits for the first, or has its token already
        go_on.set()
        join(asker)
    assert found == [(inner.validator("n"), b"2")]
