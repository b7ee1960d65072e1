"""Values in a MongoDB server: the suite of all stores, documents, swaps, failures, credentials."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import traceback
import weakref

import numpy as np
import pytest
from pymongo.errors import AutoReconnect
from servers.mongo import running
from servers.suites import SuiteOfServed

import fastzarr
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, ChunkIOError, RequestAccessError, RequestError
from fastzarr.stores import Request, as_store
from fastzarr.stores.mongodb import MongoDBStore

SECRET = "hunter2-and-more"  # noqa: S105  (no secret of anybody)


class TestMongoDB(SuiteOfServed):
    """A collection."""

    @pytest.fixture
    def store(self, mongo):
        return MongoDBStore(**mongo)


@pytest.fixture
def store(mongo):
    return MongoDBStore(**mongo)


@pytest.fixture
def fail(store):
    """Return a function that lets commands of the server fail."""

    def configure(*commands, times=1, **data):
        mode = {"times": times} if times else "off"
        store.client.admin.command(
            {"configureFailPoint": "failCommand", "mode": mode}
            | {"data": {"failCommands": list(commands), **data}}
        )

    yield configure
    configure(times=0)


# Arrays


def test_a_url_is_opened(mongo):
    url = f"mongodb://127.0.0.1:{mongo['port']}/data.arrays"
    fastzarr.save(url, [1, 2])
    assert fastzarr.load(url).tolist() == [1, 2]
    store = MongoDBStore("data", "arrays", **mongo)
    assert "zarr.json" in store
    assert str(store) == url
    assert as_store(url) == store
    assert fastzarr.load(str(store)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "mongodb://localhost:27017/mongodb_zarr.zarr_collection"),
        ({"host": "a", "port": 3}, "mongodb://a:3/mongodb_zarr.zarr_collection"),
        ({"host": ["a:1", "b"]}, "mongodb://a:1,b:27017/mongodb_zarr.zarr_collection"),
        (
            {"host": f"mongodb://me:{SECRET}@a,b:2/x?replicaSet=r", "database": "d"},
            "mongodb://a,b:2/d.zarr_collection",
        ),
    ],
)
def test_the_url_has_no_credentials(words, expected):
    store = MongoDBStore(**words)
    assert str(store) == expected
    assert SECRET not in repr(store)
    assert SECRET.encode() not in pickle.dumps(store)


# Documents


def test_documents_are_those_of_zarr_python_2(store):
    assert (store.db.name, store.collection.name) == ("mongodb_zarr", "zarr_collection")
    store["a/0.0"] = b"1"
    (document,) = store.collection.find({})
    assert (document["key"], document["value"]) == ("a/0.0", b"1")
    # So its class sets a value.
    store.collection.replace_one({"key": "a/0.0"}, {"key": "a/0.0", "value": b"12345"})
    (found,) = (value for _, value in store.fetch([Request("a/0.0", 1, 2)]))
    assert (found.data, found.size, found.token) == (b"23", 5, store.validator("a/0.0"))
    store.collection.replace_one({"key": "a/0.0"}, {"key": "a/0.0", "value": b"123"})
    assert found.token != store.validator("a/0.0")
    assert not store.swap("a/0.0", b"1", found.token)
    store.change("a/0.0", lambda old: old + b"4")
    assert store["a/0.0"] == b"1234"


def test_no_key_is_inserted_twice(store):
    store.set("a", b"1")
    (index,) = (one for one in store.collection.list_indexes() if "unique" in one)
    assert index["key"] == {"key": 1}


def test_a_key_that_is_there_twice_is_an_error(store):
    z = fastzarr.create_array({}, data=np.ones(4), chunks=2)
    values = [{"key": key, "value": value} for key, value in z.store.items()]
    store.collection.insert_many([*values, {"key": "c/1", "value": b"another"}])
    z = fastzarr.open_array(store, mode="r")
    assert z[:2].tolist() == [1, 1]
    for read in (lambda: store.get("c/1"), lambda: store.get_many(["c/0", "c/1"])):
        with pytest.raises(BaseZarrError, match=r"'c/1': several documents.*all but one"):
            read()
    with pytest.raises(BaseZarrError, match="several documents"):
        z[:]
    with pytest.raises(BaseZarrError, match="several documents"):
        store.set("b", b"1")
    assert not store.exists("b")


def test_a_value_that_is_not_bytes_is_an_error(store):
    z = fastzarr.create_array(store, data=np.ones(4), chunks=2)
    store.collection.replace_one({"key": "c/1"}, {"key": "c/1", "value": "text"})
    store.collection.insert_one({"key": "x"})
    store.collection.insert_one({"another": "document"})
    for key, kind in (("c/1", "str"), ("x", "NoneType")):
        for read in (store.get, store.validator, store.getsize):
            with pytest.raises(RequestError, match=f"{key}', status TypeMismatch.*{kind}"):
                read(key)
    with pytest.raises(ChunkIOError, match="TypeMismatch"):
        z[:]
    assert list(store) == ["c/0", "c/1", "x", "zarr.json"]


def test_a_value_beyond_the_limit_is_refused(store):
    most = (16 << 20) - (16 << 10)
    large = bytes(most + 1)
    store["a"] = large[1:]
    for write in (
        lambda: store.set("a", large),
        lambda: store.swap("a", large, store.validator("a")),
        lambda: store.set_many([("a", large)]),
    ):
        with pytest.raises(BaseZarrError, match=r"'a'.*16,760,833 bytes.*16 MiB; use smaller"):
            write()
    assert store.getsize("a") == most
    store.set_many((f"b/{n}", large[1:]) for n in range(4))
    assert store.getsize_prefix("b") == 4 * most


def test_prefixes_are_no_patterns(store):
    for key in ("a.b/c", "axb/c", "a.b0", "a(/x", "a$/x", "^/x"):
        store[key] = b"1"
    assert list(store.list("a.b")) == ["a.b/c"]
    assert list(store.list("^")) == ["^/x"]
    store.delete_dir("a(")
    store.delete_dir("a.b")
    assert list(store) == ["^/x", "a$/x", "a.b0", "axb/c"]


def test_many_values_are_listed(store):
    # A cursor begins with 101 documents; fewer are set, or fetched, in one request.
    keys = sorted(f"a/{n}" for n in range(250))
    store.set_many((key, b"1") for key in keys)
    assert list(store.list("a")) == keys
    assert store.get_many(keys) == [b"1"] * 250


# Swaps


class Losing(MongoDBStore):
    """A store that loses the replies to some swaps, before which others have changed the value."""

    losses = 0
    others = 0

    def _swap_once(self, key, new, before):
        done = super()._swap_once(key, new, before)
        if self.losses:
            vars(self)["losses"] = self.losses - 1
            other = self.with_read_only(read_only=False)
            vars(other)["losses"] = 0
            for _ in range(self.others):
                other.change(key, lambda old: old + b".")
            msg = "connection closed"
            raise AutoReconnect(msg)
        return done


def test_a_swap_whose_reply_is_lost_is_made_once(mongo, store):
    losing = Losing(**mongo)
    token = None
    for value in (b"1", b"2", b"2"):
        losing.losses = 1
        assert losing.swap("a", value, token)
        assert store.get("a") == value
        token = store.validator("a")
    losing.others = 40
    losing.losses = 1
    losing.change("a", lambda old: old + b"+1")
    assert store["a"] == b"2+1" + b"." * 40
    losing.others = 70
    losing.losses = 1
    with pytest.raises(RequestError, match="cannot be told"):
        losing.change("a", lambda old: old + b"+1")
    assert store["a"] == b"2+1" + b"." * 40 + b"+1" + b"." * 70


class LosingMany(MongoDBStore):
    """A store that loses the reply to the next swap of many values, after ``meanwhile()``."""

    meanwhile = None

    @property
    def collection(self):
        held, found = vars(self), super().collection
        if self.meanwhile is None:
            return found

        class Lossy:
            def __getattr__(self, name):
                return getattr(found, name)

            def bulk_write(self, *words, **options):
                found.bulk_write(*words, **options)
                held.pop("meanwhile")()
                msg = "connection closed"
                raise AutoReconnect(msg)

        return Lossy()


@pytest.mark.parametrize("others", [0, 3, 70])
def test_swaps_whose_reply_is_lost_are_made_once(mongo, store, others):
    store.set_many((key, key.encode()) for key in "abc")
    old = {key: store.validator(key) for key in "abc"}
    store["b"] = b"other"

    def meanwhile():
        for _ in range(others):
            store.change("a", lambda value: value + b".")

    losing = LosingMany(**mongo)
    # The first change makes the index.
    losing["e"] = b""
    del losing["e"]
    vars(losing)["meanwhile"] = meanwhile
    changes = [
        ("a", b"4", old["a"]),
        ("b", b"5", old["b"]),
        ("c", b"6", old["c"]),
        ("d", b"7", None),
    ]
    if others > 64:
        with pytest.raises(RequestError, match="cannot be told"):
            losing.swap_many(changes)
    else:
        assert losing.swap_many(changes) == [True, False, True, True]
    assert dict(store) == {"a": b"4" + b"." * others, "b": b"other", "c": b"6", "d": b"7"}


def test_a_swap_after_many_others_is_not_made(store):
    store.set_many([("a", b"1"), ("b", b"2")])
    old = {key: store.validator(key) for key in "ab"}
    for _ in range(70):
        store.change("a", lambda value: value + b".")
    assert store.swap_many([("a", b"3", old["a"]), ("b", b"4", old["b"])]) == [False, True]


def test_chunks_changed_in_part_are_stored_together(store, monkeypatch):
    z = fastzarr.create_array(store, data=np.zeros(100), chunks=10)
    z[1::2] = 1

    def refuse(*_):
        msg = "it should have been swapped with others"
        raise AssertionError(msg)

    for name in ("swap", "swap_token"):
        monkeypatch.setattr(MongoDBStore, name, refuse)
    z[::2] = 2
    assert z[:].tolist() == [2, 1] * 50


# Failures: none is a missing value


def test_failures_that_may_pass_are_repeated(store, fail):
    z = fastzarr.create_array(store, data=np.arange(20), chunks=10)
    for data in (
        {"closeConnection": True},
        {"errorCode": 91, "errorLabels": ["RetryableWriteError"]},
    ):
        fail("find", times=2, **data)
        assert z[:].tolist() == list(range(20))
        fail("update", times=2, **data)
        z[5] = 5
        fail("update", times=1, **data)
        z[:] = np.arange(20)
        fail("delete", times=1, **data)
        store.delete("x")
        fail("insert", times=1, **data)
        store.change(f"new{len(data)}", lambda _: b"1")
        assert store[f"new{len(data)}"] == b"1"
    assert z[:].tolist() == list(range(20))


@pytest.mark.parametrize(("code", "error"), [(13, RequestAccessError), (14031, RequestError)])
def test_other_failures_are_errors(store, fail, code, error):
    z = fastzarr.create_array(store, data=np.ones(20), chunks=10)
    for verb, act in (
        ("find", lambda: store.get("c/0")),
        ("find", lambda: store.exists("c/0")),
        ("find", lambda: list(store)),
        ("find", lambda: store.is_empty("c")),
        ("update", lambda: store.set("c/0", b"2")),
        ("update", lambda: store.set_many([("c/0", b"2"), ("c/1", b"2")])),
        ("update", lambda: store.swap("c/0", b"2", store.validator("c/0"))),
        ("delete", lambda: store.delete("c/0")),
    ):
        fail(verb, errorCode=code)
        with pytest.raises(error, match=r"status \w+.*"):
            act()
    # The values that are requested together are requested again one by one.
    fail("find", errorCode=code, times=2)
    with pytest.raises((ChunkIOError, error)):
        z[:]
    fail("find", errorCode=code, times=0)
    assert z[:].tolist() == [1] * 20


def test_a_server_that_has_gone_is_an_error():
    with running() as server:
        words = {"host": "127.0.0.1", "port": server.ports[0], "serverSelectionTimeoutMS": 100}
        store = MongoDBStore(**words)
        z = fastzarr.create_array(store, data=np.ones(20), chunks=10)
    with config.set({"fetch.deadline": 0.2}):
        with pytest.raises(ChunkIOError, match="no answer"):
            z[:]
        with pytest.raises(RequestError, match="no answer"):
            z[3] = 4
        for act in (
            lambda: store.get("c/0"),
            lambda: list(store),
            lambda: store.is_empty("x"),
            lambda: store.set("c/0", b"1"),
            lambda: store.delete("c/0"),
            lambda: store.set_many([("c/0", b"1"), ("c/1", b"2")]),
        ):
            with pytest.raises(RequestError, match="no answer"):
                act()


# Processes and credentials


def test_credentials_are_nowhere():
    words = {"host": "127.0.0.1", "port": 1, "serverSelectionTimeoutMS": 10}
    store = MongoDBStore(**words, username="me", password=SECRET)
    with config.set({"fetch.deadline": 0.01}), pytest.raises(RequestError) as caught:
        store.get("a")
    texts = [str(store), repr(store), *traceback.format_exception(caught.value)]
    texts += [repr(pickle.dumps(store)), repr(pickle.dumps(caught.value))]
    assert not [text for text in texts if SECRET in text]


def test_a_pickle_is_opened_here_and_elsewhere(store):
    store["a"] = b"1"
    assert pickle.loads(pickle.dumps(store)).client is store.client
    program = f"import pickle; print(pickle.loads({pickle.dumps(store)!r})['a'])"
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program], capture_output=True, check=True
    )
    assert done.stdout.strip() == b"b'1'"


def test_a_pickle_has_no_secrets_of_a_url():
    secrets = "authMechanismProperties=AWS_SESSION_TOKEN:hunter3&retryWrites=false"
    host = f"mongodb://me:hunter2@localhost/?authMechanism=MONGODB-AWS&{secrets}"
    for one in (host, [host]):
        pickled = pickle.dumps(MongoDBStore(host=one))
        assert b"hunter" not in pickled
        assert b"retryWrites=false" in pickled


def test_a_closed_client_is_not_kept(store):
    first = weakref.ref(store.client)
    store.close()
    store["a"] = b"1"
    gc.collect()
    assert first() is None
    assert store["a"] == b"1"
