"""The suite for stores of the facade, run for some of its stores."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from fastzarr.compat.core.buffer import cpu
from fastzarr.compat.storage import LocalStore, MemoryStore
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.compat.testing.store import LatencyStore, StoreTests


def awaited(cls):
    """Let the tests of a suite be awaited without a plugin of pytest."""
    for name in dir(cls):
        method = getattr(cls, name)
        if name.startswith("test_") and inspect.iscoroutinefunction(method):
            setattr(cls, name, plain(method))
    return cls


def plain(method):
    def test(self, **arguments):
        asyncio.run(method(self, **arguments))

    marks = [mark for mark in getattr(method, "pytestmark", ()) if mark.name != "asyncio"]
    test.pytestmark = marks
    test.__signature__ = inspect.signature(method)
    return test


class Suite(StoreTests):
    buffer_cls = cpu.Buffer
    __test__ = False

    @pytest.fixture
    def store(self, open_kwargs):
        return asyncio.run(self.store_cls.open(**open_kwargs))

    @pytest.fixture
    def store_not_open(self, store_kwargs):
        return self.store_cls(**store_kwargs)

    def test_store_repr(self, store):
        assert type(store).__name__ in repr(store)

    def test_store_supports_writes(self, store):
        assert store.supports_writes

    def test_store_supports_listing(self, store):
        assert store.supports_listing


@awaited
class TestMemory(Suite):
    store_cls = MemoryStore
    __test__ = True

    @pytest.fixture
    def store_kwargs(self):
        self.values = {}
        return {"store_dict": self.values}

    async def set(self, store, key, value):
        assert inner_store(store).mapping is self.values
        self.values[key] = value

    async def get(self, store, key):
        assert inner_store(store).mapping is self.values
        return self.values[key]


@awaited
class TestLocal(Suite):
    store_cls = LocalStore
    __test__ = True

    @pytest.fixture
    def store_kwargs(self, tmp_path):
        return {"root": str(tmp_path)}

    async def set(self, store, key, value):
        write(Path(store.root, key), value.to_bytes())

    async def get(self, store, key):
        return cpu.Buffer.from_bytes(read(Path(store.root, key)))


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read(path):
    return path.read_bytes()


def test_a_slow_store_has_the_latencies_of_its_values():
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    store = LatencyStore(MemoryStore(), get_latency=3, set_latency=(5, 0))

    async def use():
        await store.set("a", cpu.Buffer.from_bytes(b"1"))
        return await store.get("a", None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        assert asyncio.run(use()).to_bytes() == b"1"
    assert slept == [5, 3]
