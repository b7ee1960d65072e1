"""The stores of the facade: their verbs, and how nodes of fastzarr reach them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import fastzarr
from fastzarr import compat as zarr
from fastzarr.compat import storage
from fastzarr.compat.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from fastzarr.compat.core.buffer import cpu, default_buffer_prototype
from fastzarr.compat.core.sync import collect_aiterator, sync
from fastzarr.compat.storage.bridge import inner_store, outer_store
from fastzarr.stores.foreign import ForeignStore

BUFFERS = default_buffer_prototype()


def made(kind, tmp_path):
    if kind == "LocalStore":
        return storage.LocalStore(tmp_path / "a")
    if kind == "ZipStore":
        return storage.ZipStore(tmp_path / "a.zip", mode="w")
    if kind == "ObjectStore":
        store = pytest.importorskip("obstore.store").MemoryStore()
        return storage.ObjectStore(store)
    if kind == "FsspecStore":
        pytest.importorskip("fsspec")
        return storage.FsspecStore.from_url(f"memory://{tmp_path.name}")
    if kind == "LoggingStore":
        return storage.LoggingStore(storage.MemoryStore(), "WARNING")
    return getattr(storage, kind)()


KINDS = (
    *("MemoryStore", "ManagedMemoryStore", "LocalStore", "ZipStore", "ObjectStore"),
    *("FsspecStore", "LoggingStore"),
)


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    return made(request.param, tmp_path)


def get(store, key, part=None):
    found = sync(store.get(key, BUFFERS, part))
    return None if found is None else found.to_bytes()


def put(store, key, data):
    sync(store.set(key, cpu.Buffer.from_bytes(data)))


def test_values_and_their_parts_are_returned(store):
    put(store, "a/b", b"012345")
    assert get(store, "a/b") == b"012345"
    assert get(store, "a/b", RangeByteRequest(1, 3)) == b"12"
    assert get(store, "a/b", OffsetByteRequest(4)) == b"45"
    assert get(store, "a/b", SuffixByteRequest(2)) == b"45"
    assert get(store, "a/c") is None
    assert sync(store.exists("a/b"))
    assert sync(store.getsize("a/b")) == 6
    assert collect_aiterator(store.list()) == ("a/b",)
    assert collect_aiterator(store.list_prefix("a/")) == ("a/b",)
    assert collect_aiterator(store.list_dir("")) == ("a",)
    assert not sync(store.is_empty("a"))


def test_nodes_lead_back_to_the_very_store(store):
    inner = inner_store(store)
    z = fastzarr.create_array(inner, name="z", shape=100, chunks=10, dtype="i4")
    z[:] = np.arange(100)
    assert z[5] == 5
    assert outer_store(z.store) is store
    # What the engine has written is what the verbs return.
    assert sync(store.exists("z/zarr.json"))


@pytest.mark.parametrize("kind", ["LocalStore", "MemoryStore", "ObjectStore", "FsspecStore"])
def test_a_read_only_store_rejects_writes(kind, tmp_path):
    store = made(kind, tmp_path)
    put(store, "a", b"1")
    fixed = store.with_read_only(read_only=True)
    assert get(fixed, "a") == b"1"
    with pytest.raises(ValueError, match="store was opened in read-only mode"):
        put(fixed, "a", b"2")
    assert inner_store(fixed).read_only
    assert get(store, "a") == b"1"


def test_memory_keeps_buffers_in_the_callers_dict():
    values = {}
    store = storage.MemoryStore(values)
    z = fastzarr.create_array(inner_store(store), shape=4, chunks=2, dtype="u1", compressors=None)
    z[:] = [1, 2, 3, 4]
    assert all(isinstance(value, cpu.Buffer) for value in values.values())
    assert values["c/0"].to_bytes() == b"\x01\x02"
    # Buffers of the caller are read and replaced as well.
    values["c/1"] = cpu.Buffer.from_array_like(np.array([7, 8], "u1"))
    assert z[:].tolist() == [1, 2, 7, 8]
    z[3] = 9
    assert z[:].tolist() == [1, 2, 7, 9]


def test_memory_does_not_keep_the_callers_memory():
    store, data = storage.MemoryStore(), np.zeros(4, "u1")
    sync(store.set("a", cpu.Buffer.from_array_like(data)))
    data[:] = 1
    assert get(store, "a") == bytes(4)


class Counting(storage.MemoryStore):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.keys = []

    async def get(self, key, prototype=None, byte_range=None):
        self.keys.append(key)
        return await super().get(key, prototype, byte_range)


class Renamed(storage.MemoryStore):
    pass


def test_verbs_of_a_subclass_take_part():
    store = Counting()
    inner = inner_store(store)
    assert isinstance(inner, ForeignStore)
    z = fastzarr.create_array(inner, shape=4, chunks=2, dtype="i4")
    z[:] = 1
    assert z[:].tolist() == [1] * 4
    assert {"c/0", "c/1"} <= set(store.keys)
    assert outer_store(z.store) is store


def test_a_verb_of_an_instance_takes_part():
    store = storage.MemoryStore()
    calls = []

    async def get(key, *args, **kwargs):
        calls.append(key)
        return await storage.MemoryStore.get(store, key, *args, **kwargs)

    store.get = get
    with pytest.raises(fastzarr.errors.ArrayNotFoundError):
        fastzarr.open_array(inner_store(store), mode="r")
    assert "zarr.json" in calls


def test_a_subclass_without_verbs_is_bypassed():
    assert not isinstance(inner_store(Renamed()), ForeignStore)


class Awaited(Store):
    """A store as others write it: it has awaited verbs only."""

    supports_writes = supports_deletes = supports_listing = True

    def __init__(self):
        super().__init__()
        self.values = {}

    def __eq__(self, other):
        return self is other

    __hash__ = None

    async def get(self, key, prototype, byte_range=None):
        found = self.values.get(key)
        if found is None:
            return None
        match byte_range:
            case RangeByteRequest(start, end):
                found = found[start:end]
            case OffsetByteRequest(offset):
                found = found[offset:]
            case SuffixByteRequest(suffix):
                found = found[-suffix:]
        return prototype.buffer.from_bytes(found)

    async def get_partial_values(self, prototype, key_ranges):
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key):
        return key in self.values

    async def set(self, key, value):
        self.values[key] = value.to_bytes()

    async def delete(self, key):
        self.values.pop(key, None)

    async def list(self):
        for key in list(self.values):
            yield key

    async def list_prefix(self, prefix):
        for key in list(self.values):
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix):
        start = f"{prefix}/" if prefix else ""
        for name in {k[len(start) :].split("/")[0] for k in self.values if k.startswith(start)}:
            yield name


def test_a_store_of_another_package_is_driven():
    store = Awaited()
    group = fastzarr.create_group(inner_store(store))
    group.create_array("a", shape=10, chunks=2, shards=10, dtype="i4")[:] = range(10)
    assert fastzarr.open_array(inner_store(store), path="a", mode="r")[3:5].tolist() == [3, 4]
    assert [name for name, _ in group.members()] == ["a"]
    del group["a"]
    assert list(store.values) == ["zarr.json"]


def test_anything_else_is_no_store():
    with pytest.raises(TypeError, match="expected a store, not int"):
        inner_store(3)


def test_stores_are_pickled(tmp_path):
    for kind in ("LocalStore", "MemoryStore", "ManagedMemoryStore", "ZipStore", "FsspecStore"):
        store = made(kind, tmp_path)
        put(store, "a", b"1")
        if kind == "ZipStore":
            store.close()
        again = pickle.loads(pickle.dumps(store))
        assert type(again) is type(store)
        assert get(again, "a") == b"1"


def test_names_of_memory_are_shared():
    store = storage.ManagedMemoryStore("names", path="a/b")
    z = fastzarr.create_array(inner_store(store), shape=2, dtype="i4")
    z[:] = 5
    other = storage.ManagedMemoryStore.from_url("memory://names")
    assert fastzarr.open_array(inner_store(other), path="a/b", mode="r")[:].tolist() == [5, 5]
    assert storage.ManagedMemoryStore.from_url("memory://names/a/b") == store


def test_a_name_of_a_folder_stands_for_all_in_it(tmp_path):
    store = storage.LocalStore(tmp_path)
    put(store, "a/b/c", b"1")
    put(store, "a/d", b"2")
    store.delete_sync("a/b")
    assert collect_aiterator(store.list()) == ("a/d",)
    with pytest.raises(ValueError, match="that is a file"):
        sync(store.delete_dir("a/d"))
    assert get(store, "a/d") == b"2"


@pytest.mark.parametrize("read_only", [False, True])
def test_what_was_opened_through_a_store_goes_along_when_it_moves(tmp_path, read_only):
    zarr.create_array(storage.LocalStore(tmp_path / "a"), name="x", data=np.arange(4), chunks=2)
    store = storage.LocalStore(tmp_path / "a", read_only=read_only)
    mode = "r" if read_only else "r+"
    z, group = zarr.open_array(store, path="x", mode=mode), zarr.open_group(store, mode=mode)
    sync(store.move(tmp_path / "b" / "c"))
    assert not (tmp_path / "a").exists()
    assert z.store is group.store is store
    assert (store.root, str(z.store_path)) == (tmp_path / "b" / "c", f"file://{tmp_path}/b/c/x")
    assert (z[:].tolist(), z.nchunks_initialized, list(group)) == ([0, 1, 2, 3], 2, ["x"])
    with pytest.raises(FileExistsError, match=f"Destination root {tmp_path}/b already exists"):
        sync(store.move(str(tmp_path / "b")))
    assert store.root == tmp_path / "b" / "c"


def test_a_store_in_memory_is_not_unpickled_in_another_process():
    kind, args, state = storage.ManagedMemoryStore("elsewhere").__reduce__()
    with pytest.raises(RuntimeError, match="in the memory of that process"):
        kind(*args).__setstate__({**state, "created_pid": 0})


def test_a_part_of_a_value_in_memory_is_replaced():
    store = storage.MemoryStore()
    sync(store.set("a", cpu.Buffer.from_bytes(b"012345")))
    sync(store.set("a", cpu.Buffer.from_bytes(b"xy"), (2, 4)))
    assert sync(store.get("a")).to_bytes() == b"01xy45"
    with pytest.raises(KeyError, match="b"):
        sync(store.set("b", cpu.Buffer.from_bytes(b"xy"), (2, 4)))
