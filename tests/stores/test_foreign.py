"""Stores of zarr-python 3 as stores: its own, Icechunk's, VirtualiZarr's, and derived ones."""

from __future__ import annotations

import pickle
from typing import ClassVar

import h5py
import numpy as np
import pytest
import zarr
from zarr import storage

from fastzarr import create_array, open_array, open_group
from fastzarr.errors import ReadOnlyError
from fastzarr.stores import as_store
from fastzarr.stores.foreign import ForeignStore
from fastzarr.testing import StoreTests


class TestInMemory(StoreTests):
    @pytest.fixture
    def store(self):
        return ForeignStore(storage.MemoryStore())


VALUES = np.arange(600, dtype="i4").reshape(30, 20)


@pytest.fixture(params=["memory", "local", "fsspec", "obstore", "wrapper"])
def theirs(request, tmp_path):
    """Return a store of zarr-python, of each kind."""
    if request.param == "memory":
        return storage.MemoryStore()
    if request.param == "local":
        return storage.LocalStore(tmp_path)
    if request.param == "fsspec":
        return storage.FsspecStore.from_url(f"memory://{tmp_path}")
    if request.param == "wrapper":
        return storage.WrapperStore(storage.MemoryStore())
    from obstore.store import MemoryStore

    return storage.ObjectStore(MemoryStore())


@pytest.mark.parametrize("shards", [None, (20, 20)])
def test_what_is_written_in_either_library_is_read_in_the_other(theirs, shards):
    ours = create_array(theirs, name="a", data=VALUES, chunks=(10, 5), shards=shards)
    ours[3, 4:8] = -1
    expected = VALUES.copy()
    expected[3, 4:8] = -1
    np.testing.assert_array_equal(zarr.open_array(theirs, path="a", mode="r")[:], expected)
    other = zarr.create_array(theirs, name="b", data=VALUES, chunks=(10, 5), shards=shards)
    other[1] = 7
    group = open_group(theirs, mode="r")
    np.testing.assert_array_equal(group["b"][:], other[:])
    np.testing.assert_array_equal(group["b"][5:12:3, ::-2], other[:][5:12:3, ::-2])
    assert sorted(group) == ["a", "b"]


def test_a_group_is_changed(theirs):
    group = open_group(theirs, mode="w")
    array = group.create_array("x/y", shape=(4,), chunks=(2,), dtype="i2")
    array[:] = 3
    array.append(np.array([4, 5], dtype="i2"))
    array.resize(5)
    group["x"].attrs["n"] = 1
    group.move("x", "z")
    assert group["z/y"][:].tolist() == [3, 3, 3, 3, 4]
    assert group["z"].attrs["n"] == 1
    del group["z"]
    assert list(group) == []


def test_a_method_that_a_class_overrides_is_called():
    class Shifted(storage.MemoryStore):
        seen: ClassVar[list[str]] = []

        async def get(self, key, prototype, byte_range=None):
            self.seen.append(key)
            return await super().get(key, prototype, byte_range)

    store = Shifted()
    create_array(store, name="a", data=VALUES, chunks=(30, 20))
    Shifted.seen.clear()
    np.testing.assert_array_equal(open_array(store, path="a", mode="r")[:], VALUES)
    assert "a/c/0/0" in Shifted.seen


def test_a_read_only_store_is_read_only():
    store = storage.MemoryStore(read_only=True)
    assert as_store(store).read_only
    with pytest.raises(ReadOnlyError):
        create_array(store, name="a", shape=1, dtype="i1")


def test_an_error_of_the_store_is_raised():
    class BrokenError(Exception):
        pass

    class Broken(storage.MemoryStore):
        async def get(self, key, prototype, byte_range=None):
            if "/c/" in key:
                raise BrokenError(key)
            return await super().get(key, prototype, byte_range)

    store = Broken()
    create_array(store, name="a", shape=4, dtype="i1")[:] = 1
    with pytest.raises(BrokenError, match=r"chunk \(0,\)"):
        open_array(store, path="a", mode="r")[:]


def test_it_is_equal_and_pickled_as_the_store_is(tmp_path):
    store = storage.LocalStore(tmp_path)
    assert as_store(store) == as_store(store)
    assert as_store(storage.MemoryStore()) != as_store(storage.MemoryStore({"a": None}))
    again = pickle.loads(pickle.dumps(as_store(store)))
    again.set("a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.filterwarnings("ignore")
def test_keys_that_a_store_refuses_are_missing():
    """Icechunk has no keys but those of arrays and groups, and errors of several classes."""

    class IcechunkError(Exception):
        pass

    class InvalidInputError(IcechunkError, ValueError):
        pass

    class Refuses(storage.MemoryStore):
        said = "invalid zarr key format `.zgroup`"

        async def get(self, key, prototype, byte_range=None):
            del key, prototype, byte_range
            raise InvalidInputError(self.said)

        def list_prefix(self, prefix):
            msg = f"bad key prefix ({prefix}): Only prefixes pointing to a group are allowed"
            raise InvalidInputError(msg)

    store = ForeignStore(Refuses())
    assert store.get(".zgroup") is None
    assert list(store.list("a")) == []
    store.store.said = "the snapshot is broken"
    with pytest.raises(InvalidInputError, match="broken"):
        store.get(".zgroup")


def test_icechunk_is_written_and_committed(tmp_path):
    icechunk = pytest.importorskip("icechunk")
    place = icechunk.local_filesystem_storage(str(tmp_path))
    session = icechunk.Repository.create(place).writable_session("main")
    array = create_array(session.store, name="g/a", data=VALUES, chunks=(10, 20))
    array[3] = -1
    array.append(VALUES[:10])
    group = open_group(session.store)
    group.create_array("b", data=VALUES)
    group.create_array("b", data=VALUES[:5], overwrite=True)
    group.create_array("c", data=VALUES)
    group.attrs["n"] = 1
    del group["c"]
    session.commit("all")
    there = icechunk.Repository.open(place).readonly_session("main").store
    expected = np.concatenate([VALUES, VALUES[:10]])
    expected[3] = -1
    np.testing.assert_array_equal(zarr.open_group(there, mode="r")["g/a"][:], expected)
    found = open_group(there, mode="r")
    np.testing.assert_array_equal(found["g/a"][:], expected)
    np.testing.assert_array_equal(found["b"][:], VALUES[:5])
    assert sorted(found) == ["b", "g"]
    assert found.attrs["n"] == 1
    with pytest.raises(ReadOnlyError):
        found.attrs["n"] = 2


@pytest.mark.filterwarnings("ignore")
def test_icechunk_keeps_no_array_whose_data_failed(tmp_path):
    icechunk = pytest.importorskip("icechunk")
    place = icechunk.local_filesystem_storage(str(tmp_path))
    store = icechunk.Repository.create(place).writable_session("main").store

    class Bad:
        shape, dtype, chunks = (4,), np.dtype("i4"), (2,)

        def __getitem__(self, index):
            raise ZeroDivisionError

    group = open_group(store, mode="a")
    with pytest.raises(ZeroDivisionError):
        group.create_array("a", data=Bad())
    assert list(group) == []


@pytest.mark.filterwarnings("ignore")
def test_the_manifests_of_virtualizarr_are_read(tmp_path):
    pytest.importorskip("virtualizarr")
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser
    from virtualizarr.registry import ObjectStoreRegistry

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("v", data=VALUES, chunks=(10, 20), compression="gzip")
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    manifest = HDFParser()(url=f"file://{tmp_path}/x.h5", registry=registry)
    group = open_group(manifest, mode="r")
    np.testing.assert_array_equal(group["v"][:], VALUES)
    assert list(group) == ["v"]
