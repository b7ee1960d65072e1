"""Stores of objects: the suite of all stores, conditional writes, errors and credentials."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
import traceback

import numpy as np
import pytest
from obstore.store import HTTPStore, LocalStore, MemoryStore
from servers.suites import SuiteInSeaweed
from waits import join

from fastzarr import cleanup_resources, create_array, open_array, open_group
from fastzarr.config import config
from fastzarr.errors import (
    BaseZarrError,
    ChunkIOError,
    ForkedError,
    RequestAccessError,
    RequestError,
)
from fastzarr.stores import as_store, place
from fastzarr.stores.obstore import ObjectStore
from fastzarr.testing import StoreTests

SECRET = "wJalrXUtnFEMI"  # noqa: S105  (no secret of anybody)


class TestInMemory(StoreTests):
    """A store in memory of obstore, which has conditional puts."""

    @pytest.fixture
    def store(self):
        return ObjectStore(MemoryStore())


class TestInS3(SuiteInSeaweed):
    """A bucket of an S3 server."""

    @pytest.fixture
    def store(self, s3):
        return ObjectStore(s3.url, storage_options=s3.obstore())


@pytest.fixture
def store(s3):
    return ObjectStore(s3.url, storage_options=s3.obstore())


def test_an_array_is_written_and_read(store):
    values = np.arange(10_000, dtype="f4").reshape(100, 100)
    array = create_array(store, name="a", data=values, chunks=(10, 30), shards=(20, 60))
    array[5:25, 7:70] = -1
    values[5:25, 7:70] = -1
    again = open_group(store, mode="r")["a"]
    np.testing.assert_array_equal(again[:], values)
    np.testing.assert_array_equal(again[17, ::-3], values[17, ::-3])


@pytest.mark.parametrize("codec", [None, "zstd", "gzip"])
def test_what_is_stored_does_not_depend_on_the_memory_that_is_used_again(store, codec):
    # Chunks of very different encoded sizes, many at once, of which some replace others.
    values = np.random.default_rng(5).integers(0, 1 << 30, (48, 1 << 15), "i4")
    values[::3] //= 1 << 28
    values[::5] = 3
    kept = create_array({}, shape=values.shape, chunks=(1, 1 << 15), dtype="i4", compressors=codec)
    array = create_array(
        store, shape=values.shape, chunks=(1, 1 << 15), dtype="i4", compressors=codec
    )
    for part in (values, values[::-1]):
        array[...] = part
        kept[...] = part
        array[:, 7:9] = 1
        kept[:, 7:9] = 1
        stored = {key: store[key] for key in store if key.startswith("c/")}
        assert stored == {key: kept.store[key] for key in kept.store if key.startswith("c/")}


def test_a_url_with_options_is_opened(s3):
    array = create_array(s3.url, name="a", shape=4, dtype="i4", storage_options=s3.obstore())
    array[:] = 7
    found = open_array(s3.url, path="a", mode="r", storage_options=s3.s3fs())
    assert isinstance(found.store_path.store, ObjectStore)
    assert found[:].tolist() == [7, 7, 7, 7]


def test_stores_of_obstore_are_stores(tmp_path):
    found = as_store(LocalStore(str(tmp_path), automatic_cleanup=True))
    found.set("a/b", b"1")
    assert (tmp_path / "a" / "b").read_bytes() == b"1"
    assert str(found) == f"file://{tmp_path}"


def test_a_value_is_compared_and_swapped_across_stores(s3, store):
    other = ObjectStore(s3.url, storage_options=s3.obstore())
    assert other == store
    store.set("n", b"1")
    token = other.validator("n")
    assert store.swap("n", b"2", store.validator("n"))
    assert not other.swap("n", b"3", token)
    assert store.get("n") == b"2"


def test_equal_values_have_different_tokens(store):
    store.set("n", b"1")
    first = store.validator("n")
    store.set("n", b"1")
    assert store.validator("n") != first


def test_partial_writes_of_many_stores_lose_nothing(s3):
    options = s3.obstore()
    create_array(s3.url, name="a", shape=40, chunks=40, dtype="i4", storage_options=options)

    def add(start):
        # A store of its own has locks of its own, as in another process.
        mine = ObjectStore(s3.url, storage_options=s3.obstore())
        vars(mine)["_place"] = place.own()
        array = open_array(mine, path="a")
        for number in range(start, 40, 4):
            array[number] = number + 1

    threads = [threading.Thread(target=add, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    found = open_array(s3.url, path="a", mode="r", storage_options=s3.obstore())
    assert found[:].tolist() == list(range(1, 41))


def test_a_chunk_that_becomes_empty_is_stored(store):
    array = create_array(store, name="a", shape=4, chunks=4, dtype="i4", fill_value=0)
    array[0] = 1
    array[0] = 0
    assert store.exists("a/c/0")
    assert array[:].tolist() == [0, 0, 0, 0]
    array[1] = 1
    array[:] = 0
    assert not store.exists("a/c/0")


def test_a_missing_bucket_is_not_a_missing_key(s3):
    store = ObjectStore("s3://nobody-has-this", storage_options=s3.obstore())
    with pytest.raises(RequestError, match="bucket does not exist"):
        store.get("a")


def test_denied_access_is_an_error(s3):
    options = s3.obstore() | {"secret_access_key": SECRET}
    store = ObjectStore(s3.url, storage_options=options)
    with pytest.raises(RequestAccessError, match="status 403") as caught:
        store.get("a")
    assert caught.value.status == 403
    assert isinstance(caught.value, PermissionError)
    assert caught.value.key == "a"


def test_an_error_names_array_chunk_and_status(s3, proxy):
    array = create_array(s3.url, name="a", shape=4, dtype="i4", storage_options=s3.obstore())
    array[:] = 1
    through = s3.through(proxy)
    opened = open_array(through.url, path="a", mode="r", storage_options=through.obstore())
    proxy.fault("status", status=403, target="/a/c/0", times=None)
    with pytest.raises(ChunkIOError, match=r"array '/a', chunk \(0,\).*status 403"):
        opened[:]


def test_an_append_after_another_is_three_requests(s3, proxy):
    through = s3.through(proxy)
    options = {"storage_options": through.obstore()}
    array = create_array(through.url, shape=0, chunks=10, dtype="i4", **options)
    array.append(np.arange(10))
    proxy.forget()
    for _ in range(10):
        array.append(np.arange(10))
    # The claim of the document, the chunk, and the document.
    assert proxy.methods() == {"PUT": 30}
    assert np.array_equal(
        open_array(s3.url, mode="r", storage_options=s3.obstore())[:], [*range(10)] * 11
    )


def test_a_server_that_cannot_be_reached_is_an_error():
    options = {"endpoint": "http://127.0.0.1:9", "access_key_id": "a", "secret_access_key": SECRET}
    store = ObjectStore("s3://bucket/a", storage_options=options)
    with config.set({"fetch.deadline": 0.3}), pytest.raises(RequestError) as caught:
        store.get("k")
    assert "no answer" in str(caught.value)
    assert "attempts" in str(caught.value)


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="nonsense"):
        ObjectStore("s3://bucket", storage_options={"nonsense": 1, "anon": True})
    with pytest.raises(TypeError, match="storage_options"):
        ObjectStore(MemoryStore(), storage_options={"anon": True})
    with pytest.raises(TypeError, match="not int"):
        ObjectStore(3)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(BaseZarrError, match="cannot be opened"):
        ObjectStore("gopher://host/path")


def test_credentials_are_hidden():
    options = {"key": "AKIAKEY", "secret": SECRET, "token": "tok" + SECRET}
    options["client_kwargs"] = {"endpoint_url": "http://127.0.0.1:9"}
    store = ObjectStore("s3://bucket/a", storage_options=options)
    seen = [repr(store), str(store), store.place.token]
    seen += [repr(pickle.dumps(one)) for one in (store, copy.copy(store), store.with_read_only())]
    with config.set({"fetch.deadline": 0.1}):
        try:
            store.get("k")
        except RequestError as error:
            seen.append("".join(traceback.format_exception(error)))
    assert len(seen) == 7
    assert not [text for text in seen if SECRET in text or "AKIAKEY" in text]


def test_a_url_with_a_password_is_hidden():
    store = ObjectStore(f"http://me:{SECRET}@127.0.0.1:9/data")
    assert str(store) == "http://127.0.0.1:9/data"
    assert SECRET not in repr(pickle.dumps(store))


def test_a_pickle_finds_the_connections_of_its_process(store):
    store.set("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.get("a") == b"1"
    assert pickle.loads(pickle.dumps(store.with_read_only())).read_only


def test_another_process_uses_credentials_of_its_own(s3, store):
    store.set("a", b"1")
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get('a'))"
    given = s3.obstore()
    for environment, expected in (
        ({"AWS_ACCESS_KEY_ID": given["access_key_id"]}, b"b'1'"),
        ({}, b""),
    ):
        if environment:
            environment["AWS_SECRET_ACCESS_KEY"] = given["secret_access_key"]
        environment |= {name: text for name, text in os.environ.items() if "AWS" not in name}
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
        environment["FASTZARR_FETCH__DEADLINE"] = "0.5"
        done = subprocess.run(  # noqa: S603  (this interpreter)
            [sys.executable, "-c", code],
            input=pickle.dumps(store),
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.stdout.strip() == expected, done.stderr.decode()


def test_a_forked_child_gets_an_error(store):
    store.set("a", b"1")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            store.get("a")
        except ForkedError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        assert "spawn" in file.read()
    assert os.waitpid(child, 0)[1] == 0


def test_a_web_server_has_no_listing(s3):
    store = ObjectStore(HTTPStore.from_url(s3.endpoint, client_options={"allow_http": True}))
    assert not store.supports_listing
    for verb in (store.list, store.list_dir, store.is_empty):
        with pytest.raises(RequestError, match="no listing"):
            verb()
    assert store.swap is None


def test_a_url_that_is_opened_again_has_the_same_connections(monkeypatch):
    def opened(secret=SECRET, header="b"):
        headers = {"headers": {"a": header}}
        options = {"key": "me", "secret": secret, "client_kwargs": headers}
        return ObjectStore("s3://bucket/a", storage_options=options).store

    first = opened()
    assert opened() is first
    assert opened(secret="") is not first
    assert opened(header="c") is not first
    with config.set({"fetch.timeout": 7}):
        assert opened() is not first
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert opened() is not first


def test_credentials_in_files_are_read_again(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert ObjectStore("s3://bucket/a").store is not ObjectStore("s3://bucket/a").store
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "1")
    first = ObjectStore("s3://bucket/a").store
    assert ObjectStore("s3://bucket/a").store is first
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "2")
    assert ObjectStore("s3://bucket/a").store is not first


def test_connections_are_closed_with_all_other_resources():
    first = ObjectStore("https://example.org/a").store
    cleanup_resources()
    assert ObjectStore("https://example.org/a").store is not first
