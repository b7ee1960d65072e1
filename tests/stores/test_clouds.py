"""Google Cloud Storage and Azure: what their requests have that those of S3 have not.

The server of Google is one of this process, see ``servers/google.py``. That of Azure is Azurite,
where it is installed.
"""

from __future__ import annotations

import threading
from typing import ClassVar
from uuid import uuid4

import numpy as np
import obstore
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from obstore.store import MemoryStore
from servers import azure, google
from servers.process import UnavailableError
from waits import join

from fastzarr import create_array, open_array, open_group
from fastzarr.errors import ChunkError, RequestError
from fastzarr.stores import ABSStore, FsspecStore, place
from fastzarr.stores.obstore import ObjectStore
from fastzarr.stores.runtime import answer
from fastzarr.testing import StoreTests


class SuiteOfCloud(StoreTests):
    """The suite of all stores, and the promises of those that compare and swap."""

    def test_a_value_is_swapped_by_its_token(self, store):
        assert store.swap("n", b"1", None)
        assert not store.swap("n", b"2", None)
        done, token = store.swap_token("n", b"2", store.validator("n"))
        assert done
        assert token == store.validator("n")
        store.set("n", b"2")
        assert not store.swap("n", b"3", token)
        assert store.get("n") == b"2"

    def test_no_update_of_several_writers_is_lost(self, store):
        create_array(store, name="a", shape=40, chunks=40, dtype="i4")
        create_array(store, name="b", shape=0, chunks=40, dtype="i4")

        def add(start):
            # A store of its own has locks of its own, as in another process.
            mine = store.with_read_only(read_only=False)
            vars(mine)["_place"] = place.own()
            root = open_group(mine, mode="r+")
            for number in range(start, 40, 4):
                root["a"][number] = number + 1
            root["b"].append([start] * 3)
            root["a"].attrs[str(start)] = start

        threads = [threading.Thread(target=add, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        join(*threads)
        root = open_group(store, mode="r")
        assert root["a"][:].tolist() == list(range(1, 41))
        assert np.bincount(root["b"][:]).tolist() == [3, 3, 3, 3]
        assert sorted(root["a"].attrs) == ["0", "1", "2", "3"]

    def test_shards_are_read_and_changed_in_part(self, store):
        array = create_array(store, shape=100, chunks=5, shards=50, dtype="i4")
        array[:] = np.arange(100)
        array[3:60] += 1
        values = np.arange(100) + (np.arange(100) // 3 > 0) * (np.arange(100) < 60)
        found = open_array(store, mode="r")
        np.testing.assert_array_equal(found[:], values)
        np.testing.assert_array_equal(found[48:70:3], values[48:70:3])


@pytest.fixture(scope="module")
def googles(tmp_path_factory):
    with google.running(tmp_path_factory.mktemp("google")) as options:
        yield options


class TestGoogle(SuiteOfCloud):
    """A bucket of a server with Google's requests."""

    @pytest.fixture
    def store(self, googles):
        return ObjectStore(f"gs://box/{uuid4().hex}", storage_options=googles)


def test_a_missing_bucket_of_google_is_an_error(googles):
    with pytest.raises(RequestError, match="bucket"):
        ObjectStore("gs://none/data", storage_options=googles).get("a")


@pytest.fixture(scope="module")
def azurite():
    try:
        with azure.running() as options:
            yield options
    except UnavailableError as error:
        pytest.skip(str(error))


class TestAzure(SuiteOfCloud):
    """A container of Azurite."""

    @pytest.fixture
    def store(self, azurite):
        return ObjectStore(f"az://{azure.CONTAINER}/{uuid4().hex}", storage_options=azurite)


def test_a_container_is_opened_as_in_zarr_python_2(azurite):
    how = {name: azurite[name] for name in ("endpoint", "client_options")}
    who = azurite["account_name"], azurite["account_key"]
    create_array(ABSStore(azure.CONTAINER, "abs", *who, how), data=[1, 2, 3])
    found = ObjectStore(f"az://{azure.CONTAINER}/abs", storage_options=azurite)
    assert open_array(found, mode="r")[:].tolist() == [1, 2, 3]


def test_a_missing_container_of_azure_is_an_error(azurite):
    store = ObjectStore("az://none/data", storage_options=azurite)
    with pytest.raises(RequestError, match="bucket"):
        store.get_ranges("a", [(-4, None)])


class Abfs(MemoryFileSystem):
    """A file system that refuses what adlfs refuses, and says what adlfs says."""

    protocol = "abfs"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    cachable = False

    def info(self, path, **how):
        found = super().info(path, **how)
        return found | {"type": "directory"} if not found["size"] else found

    def cat_file(self, path, start=None, end=None, **how):
        if (start or 0) < 0:
            msg = "Required Content-Range response header is missing or malformed."
            raise ValueError(msg)
        if "/none/" in path:
            raise FileNotFoundError(2, "No such file") from OSError("ErrorCode:ContainerNotFound")
        return super().cat_file(path, start=start, end=end, **how)


def test_shards_are_read_by_adlfs():
    store = FsspecStore(Abfs(), path="/box/a")
    values = np.arange(1, 101, dtype="i4")
    create_array(store, data=values, chunks=5, shards=50)
    found = open_array(store, mode="r")
    np.testing.assert_array_equal(found[48:70:3], values[48:70:3])
    assert store.get_ranges("c/0", [(-1, None)]) == [store.get("c/0")[-1:]]


def test_an_empty_shard_is_no_missing_one_by_adlfs():
    store = FsspecStore(Abfs(), path="/box/b")
    array = create_array(store, data=np.arange(1, 101, dtype="i4"), chunks=5, shards=50)
    store.set("c/0", b"")
    assert store.get_ranges("c/0", [(-3, None)]) == [b""]
    assert store.get_ranges("c/9", [(-3, None)]) is None
    with pytest.raises(ChunkError, match="c/0"):
        array[:]


def test_a_missing_container_is_an_error_by_adlfs():
    with pytest.raises(RequestError, match="bucket does not exist"):
        FsspecStore(Abfs(), path="/none/a").get("b")


class AzureStore(MemoryStore):
    """A store in memory that refuses what Azure's refuses; its class has the name of Azure's."""


@pytest.fixture
def refusing(monkeypatch):
    """Return a store that has no ranges which count from the end."""
    get = obstore.get

    def refuse(store, path, *, options=None):
        if "suffix" in ((options or {}).get("range") or ()):
            msg = "Azure does not support suffix range requests"
            raise obstore.exceptions.NotSupportedError(msg)
        return get(store, path, options=options)

    monkeypatch.setattr(obstore, "get", refuse)
    return AzureStore()


@pytest.mark.parametrize(("end", "found"), [(3, b"345"), (5, b"12345"), (9, b"12345")])
def test_the_end_of_a_value_in_azure_is_requested_by_its_size(refusing, end, found):
    obstore.put(refusing, "a", b"12345")
    assert bytes(answer(refusing, "a", {"suffix": end}).bytes()) == found
    with pytest.raises(FileNotFoundError):
        answer(refusing, "b", {"suffix": end})


def test_the_end_in_azure_is_that_of_one_value(refusing, monkeypatch):
    """A value that is replaced between the two requests is requested again."""
    head = obstore.head
    obstore.put(refusing, "a", b"12345")

    def replaced(store, path):
        found = head(store, path)
        obstore.put(store, path, b"1234567890")
        return found

    monkeypatch.setattr(obstore, "head", replaced)
    with pytest.raises(ConnectionError, match="changed"):
        answer(refusing, "a", {"suffix": 2})
