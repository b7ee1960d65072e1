"""Values in a Redis server: the suite of all stores, names, swaps, failures and credentials."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import redis as package
from hypothesis import given
from hypothesis import strategies as st
from redis import ConnectionPool, Redis, RedisCluster, UsernamePasswordCredentialProvider
from redis._parsers import Encoder
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.connection import PythonRespSerializer
from redis.exceptions import ConnectionError as Cut
from redis.retry import Retry
from servers import redis as servers
from servers.process import HOST
from servers.suites import SuiteOfServed
from waits import join, until

import fastzarr
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, ChunkIOError, RequestAccessError, RequestError
from fastzarr.stores import Request, as_store
from fastzarr.stores import redis as ours
from fastzarr.stores.redis import RedisStore
from fastzarr.stores.redis_commands import Packer

SECRET = "hunter2-and-more"  # noqa: S105  (no secret of anybody)


class TestRedis(SuiteOfServed):
    """A Redis server."""

    @pytest.fixture
    def store(self, redis):
        return RedisStore(**redis)

    def connection(self, store):
        return store.client.client_id()


class TestPrefix(SuiteOfServed):
    """A prefix that looks like a pattern, beside another one that the pattern would match."""

    @pytest.fixture
    def store(self, redis):
        RedisStore("[a-z]*x", **redis).set("beside", b"1")
        RedisStore("bx", **redis).set("beside", b"1")
        return RedisStore("[a-z]*", **redis)


@pytest.fixture(scope="session")
def cluster_port(redis_process):
    """Run a cluster of one server, which refuses commands on keys of different slots."""
    del redis_process  # skips where there is no server
    with servers.running("--cluster-enabled", "yes") as server:
        port = server.ports[0]
        with Redis(HOST, port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                time.sleep(0.01)
        yield port


class TestCluster(SuiteOfServed):
    """A cluster, with a client that was made elsewhere."""

    @pytest.fixture
    def store(self, cluster_port):
        client = RedisCluster(host=HOST, port=cluster_port)
        client.flushall()
        yield RedisStore(client=client)
        client.close()


@pytest.fixture
def store(redis):
    return RedisStore(**redis)


@pytest.fixture
def raw(redis):
    with Redis(**redis) as client:
        yield client


@pytest.fixture
def own(tmp_path):
    """Return a function that starts servers for this test alone."""
    started = []

    def run(*options, port=None):
        started.append(servers.launch(tmp_path / "data", *options, port=port))
        return started[-1]

    yield run
    for one in started:
        one.stop()


def words_of(server):
    return {"host": HOST, "port": server.ports[0]}


# Arrays


@pytest.mark.parametrize("scheme", ["redis", "Redis"])
def test_a_url_is_opened(redis, scheme):
    url = f"{scheme}://{HOST}:{redis['port']}/0?prefix=data"
    array = fastzarr.create_array(url, name="a", shape=4, dtype="i4")
    array[:] = 7
    store = fastzarr.open_array(url, path="a", mode="r").store_path.store
    assert isinstance(store, RedisStore)
    assert RedisStore("data", **redis)["a/zarr.json"]
    assert as_store(str(store)) == store
    assert fastzarr.open_array(str(store), path="a")[:].tolist() == [7, 7, 7, 7]


def test_a_socket_is_opened(own, tmp_path):
    own("--save", "", "--unixsocket", tmp_path / "sock")
    fastzarr.save(f"unix://{tmp_path}/sock?db=3&prefix=x", [1, 2])
    store = RedisStore("x", unix_socket_path=str(tmp_path / "sock"), db=3)
    assert fastzarr.load(store).tolist() == [1, 2]
    assert str(store) == f"unix://{tmp_path}/sock?db=3&prefix=x"


def test_a_url_means_what_it_says():
    store = as_store(f"rediss://me:{SECRET}@example.org/2", storage_options={"prefix": "a b"})
    assert str(store) == "rediss://example.org:6379/2?prefix=a%20b"
    assert store.client.connection_pool.connection_kwargs["password"] == SECRET
    with pytest.raises(BaseZarrError, match="number of a database"):
        as_store("redis://localhost/0/group")
    with pytest.raises(TypeError, match="no_such_option"):
        as_store("redis://localhost", storage_options={"no_such_option": 1})
    with pytest.raises(TypeError, match="decode_responses"):
        as_store("redis://localhost?decode_responses=true")
    with pytest.raises(TypeError, match="host"):
        RedisStore(client=Redis(), host="a")


# Names, and values that other programs have written


def test_names_are_those_of_zarr_python_2(redis, raw):
    store = RedisStore("my:prefix", **redis)
    store["a/.zarray"] = b"{}"
    store.set_many([("a/0.0", b"1"), ("a/0.1", b"2")])
    assert raw.get("my:prefix:a/.zarray") == b"{}"
    # Its store lists what matches the prefix.
    assert sorted(raw.keys("my:prefix:*")) == [
        b"my:prefix:a/.zarray",
        b"my:prefix:a/0.0",
        b"my:prefix:a/0.1",
    ]
    store.clear()
    assert raw.keys("*") == []


def test_values_of_other_programs_are_read_and_changed(store, raw):
    raw.set("zarr:a", b"12345")
    (found,) = (value for _, value in store.fetch([Request("a", 1, 2)]))
    assert (found.data, found.size) == (b"23", 5)
    token = store.validator("a")
    assert token == "sha1:" + hashlib.sha1(b"12345").hexdigest()  # noqa: S324  (no secret)
    raw.set("zarr:a", b"123")
    assert not store.swap("a", b"1", token)
    store.change("a", lambda old: old + b"4")
    assert raw.get("zarr:a") == b"1234"
    raw.set(b"zarr:\xff", b"no text")
    assert list(store) == ["a"]


def test_a_listing_is_complete_beside_changes(store, raw):
    keys = sorted(f"a/c/{number}" for number in range(3000))
    for at in range(0, 3000, 500):
        store.set_many([(key, b"1") for key in keys[at : at + 500]])
    found = []
    for number in range(3):
        # The table of names grows and shrinks.
        raw.mset({f"x:{number}:{one}": b"" for one in range(5000)})
        found.append(list(store.list("a")))
        raw.delete(*raw.keys("x:*"))
        found.append(list(store.list("a/c")))
    assert found == [keys] * 6


@pytest.mark.parametrize("given", [False, True])
def test_a_listing_begins_again_if_the_server_was_restarted(own, monkeypatch, given):
    server = own("--appendonly", "yes")
    words = words_of(server)
    if given:
        # One that connects again, and would go on in the other server's table of names.
        words = {"client": Redis(**words, retry=Retry(NoBackoff(), 3))}
    store = RedisStore(**words)
    keys = sorted(f"a/{number}" for number in range(25000))
    store.set_many((key, b"1") for key in keys)
    servers_before, steps = [server], []
    execute = Redis.execute_command

    def restart(self, *words, **options):
        if words[0] == "SCAN":
            steps.append(words[1])
            if len(steps) == 2:
                servers_before[0].stop()
                own("--appendonly", "yes", port=server.ports[0])
        return execute(self, *words, **options)

    monkeypatch.setattr(Redis, "execute_command", restart)
    assert list(store) == keys
    # Once before, and again after the restart.
    assert sum(int(step) == 0 for step in steps) >= 2


# Requests


def requests(monkeypatch):
    """Return a list to which the number of commands of each request is appended."""
    sent = []
    one, many = Redis.execute_command, Pipeline.execute

    def execute_command(self, *words, **options):
        sent.append(1)
        return one(self, *words, **options)

    def execute(self, **options):
        sent.append(len(self.command_stack))
        return many(self, **options)

    monkeypatch.setattr(Redis, "execute_command", execute_command)
    monkeypatch.setattr(Pipeline, "execute", execute)
    return sent


def test_values_are_requested_together(store, monkeypatch):
    sent = requests(monkeypatch)
    store.set_many((f"{n}", b"%d" % n) for n in range(100))
    assert sent == [1]
    sent.clear()
    store.set_many((f"{n}", b"%d" % n if n % 2 else None) for n in range(100))
    assert sent == [2]
    store.set_many((f"{n}", b"%d" % n) for n in range(100))
    sent.clear()
    assert store.get_many(map(str, range(100))) == [b"%d" % n for n in range(100)]
    # The first request is for a few values, and tells how large they are.
    assert sent == [1 + 4, 1 + 96]
    sent.clear()
    store.set_many((f"{n}", bytes(3 << 20)) for n in range(4))
    assert sent == [1, 1]
    sent.clear()
    assert store.get_ranges("0", [(0, 1), (5, 2), (-3, None)]) == [b"\0", b"\0\0", b"\0\0\0"]
    assert sent == [1]
    sent.clear()
    assert store.getsize_prefix() == 4 * (3 << 20) + 6 + 90 * 2
    store.delete_dir("x")
    store.clear()
    # Each listing is one request, as there are few names.
    assert sent == [1, 100, 1, 1, 1]


def test_a_short_listing_is_one_request_without_the_names_of_ids(redis, monkeypatch):
    prefix = "fastzarr{x"
    for store in (RedisStore(**redis), RedisStore(prefix, **redis)):
        keys = sorted(f"a/{number}" for number in range(300))
        store.set_many((key, b"1") for key in keys)
    with monkeypatch.context() as patch:
        sent = requests(patch)
        assert list(RedisStore(**redis).list()) == keys
        assert sent == [1]


def test_chunks_are_written_by_few_requests(store, monkeypatch):
    z = fastzarr.create_array(store, shape=6000, chunks=10, dtype="i4")
    sent = requests(monkeypatch)
    z[:] = np.arange(6000)
    # Batches of 256, and before them what is looked up.
    assert sum(sent) <= 3 + 1
    sent.clear()
    z[::2] = 0
    # Each chunk is read first.
    assert len(sent) <= 600 + 3 + 1
    assert (z[:].reshape(-1, 2) == np.arange(6000).reshape(-1, 2) * [0, 1]).all()


class Watched(RedisStore):
    """A store that keeps the names of its commands."""

    def __init__(self, **words):
        super().__init__(**words)
        self.commands = []

    def _send(self, asked):
        self.commands.extend(words[0] for words in asked)
        return super()._send(asked)


def test_a_node_is_deleted_and_replaced_by_few_requests(redis, monkeypatch):
    store = Watched(**redis)
    group = fastzarr.create_group(store)
    group.create_array("x", data=np.arange(1000.0), chunks=10)
    store.commands.clear()
    sent = requests(monkeypatch)
    group.create_array("x", data=np.arange(1000.0), chunks=10, overwrite=True)
    # The documents go first, so that nobody reads a node without its chunks.
    assert store.commands.count("DEL") == 2
    assert len(sent) <= 20
    store.commands.clear()
    del group["x"]
    assert store.commands.count("DEL") == 2
    assert list(store) == ["zarr.json"]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.text(max_size=10),
            st.integers(),
            st.integers(0, 70_000).map(bytes),
            st.integers(0, 70_000).map(bytes).map(memoryview),
        ),
        max_size=8,
    )
)
def test_commands_have_the_bytes_of_the_package(words):
    encode = Encoder("utf-8", "strict", decode_responses=False).encode
    sent = Packer(encode).pack("CLIENT SETNAME", *words)
    assert b"".join(sent) == b"".join(
        PythonRespSerializer(6000, encode).pack("CLIENT SETNAME", *words)
    )


def test_large_values_are_sent_from_where_they_are():
    value = memoryview(bytearray(100_000))
    encode = Encoder("utf-8", "strict", decode_responses=False).encode
    sent = Packer(encode).pack("MSET", "a", value, "b", b"1")
    assert sum(piece is value for piece in sent) == 1
    assert len(sent) == 3


def test_a_chunk_that_is_read_costs_no_request_of_its_own(store, monkeypatch):
    z = fastzarr.create_array(store, data=np.arange(640), chunks=10, dtype="i4")
    z = fastzarr.open_array(store, mode="r")
    sent = requests(monkeypatch)
    assert (z[:] == np.arange(640)).all()
    assert len(sent) <= 3


# Swaps


class Losing(RedisStore):
    """A store that loses the replies to some commands."""

    losses = 0

    def _send(self, commands):
        found = super()._send(commands)
        if self.losses and commands[0][0] in ("EVAL", "MSET", "DEL"):
            vars(self)["losses"] = self.losses - 1
            msg = "Connection closed by server."
            raise Cut(msg)
        return found


def test_a_swap_whose_reply_is_lost_is_made_once(redis, store):
    losing = Losing(**redis)
    token = None
    for value in (b"1", b"2", b"2", None):
        losing.losses = 1
        assert losing.swap("a", value, token)
        assert store.get("a") == value
        token = store.validator("a")
    losing.losses = 1
    assert not losing.swap("a", b"5", "token of another value")
    losing.losses = 1
    losing.set("a", b"6")
    losing.losses = 1
    losing.delete("a")
    assert "a" not in store


def test_a_swap_whose_reply_is_lost_is_not_repeated_after_another(redis, store):
    losing = Losing(**redis)
    store["a"] = b"0"

    class Between(Losing):
        def _send(self, commands):
            try:
                return super()._send(commands)
            except Cut:
                # Another writer is faster than the repetition.
                store.change("a", lambda old: old + b"+2")
                raise

    losing = Between(**redis)
    losing.losses = 1
    calls = []
    # The look for the old value is lost, too, so that two changes come between.
    losing.change("a", lambda old: calls.append(old) or old + b"+1")
    assert store["a"].count(b"+1") == 1
    assert store["a"].count(b"+2") == 1
    assert len(calls) == 1


def test_swaps_whose_reply_is_lost_may_be_refused_when_they_are_sent_again(redis, store):
    class Refusing(RedisStore):
        def _call_once(self, key, *asked):
            super()._call_once(key, *asked)

    changes = [("a", b"1", None), ("b", b"2", None), ("a/c", b"3", "other")]
    assert Refusing(**redis).swap_many(changes) == [True, True, False]
    assert dict(store) == {"a": b"1", "b": b"2"}


def test_swaps_whose_reply_is_lost_are_made_once(redis, store):
    losing = Losing(**redis)
    store.set_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
    old = {key: store.validator(key) for key in "abc"}
    store["b"] = b"other"
    losing.losses = 2
    changes = [
        ("a", b"4", old["a"]),
        ("b", b"5", old["b"]),
        ("c", None, old["c"]),
        ("d", b"", None),
    ]
    assert losing.swap_many(changes) == [True, False, True, True]
    assert dict(store) == {"a": b"4", "b": b"other", "d": b""}
    losing.losses = 1
    losing.set_many([("a", b"7"), ("b", None)])
    assert dict(store) == {"a": b"7", "d": b""}


def test_one_of_many_swaps_that_is_refused_is_named(store, raw):
    store.set_many([("a", b"1"), ("c", b"3")])
    old = {key: store.validator(key) for key in "ac"}
    raw.rpush("zarr:b", b"1")
    with pytest.raises(RequestError, match=r"key 'b', status WRONGTYPE"):
        store.swap_many([("a", b"4", old["a"]), ("b", b"5", None), ("c", b"6", old["c"])])
    # The others are made, or not, but not twice.
    assert store.get_many("ac") == [b"4", b"6"]


def test_one_of_many_values_that_is_refused_is_named(store, raw, redis):
    raw.execute_command("ACL", "SETUSER", "some", "on", "nopass", "+@all", "~*a", "~*c")
    try:
        theirs = RedisStore(**redis, username="some", password=SECRET)
        with pytest.raises(RequestAccessError, match="key 'b', status NOPERM"):
            theirs.set_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
        with pytest.raises(RequestAccessError, match="key 'b', status NOPERM"):
            theirs.set_many([("a", None), ("b", None)])
        assert "b" not in store
    finally:
        raw.execute_command("ACL", "DELUSER", "some")


def test_what_remembers_a_swap_does_not_stay(store, raw):
    store.swap("a", b"1", None)
    lasting = [name for name in raw.keys("*") if raw.ttl(name) < 0]
    assert sorted(lasting) == [b"fastzarr{zarr:a}zarr:a", b"zarr:a"]
    (record,) = set(raw.keys("*")) - set(lasting)
    assert 0 < raw.ttl(record) <= 180


# Interrupts


@pytest.mark.parametrize("verb", ["get", "many", "list"])
def test_no_reply_is_taken_for_another_after_an_interrupt(redis, raw, monkeypatch, verb):
    """The interrupt comes when a command has been sent, and before its reply has come."""
    values = {f"a/{number}": b"%d" % number for number in range(4)}
    store = RedisStore(**redis)
    store.set_many(values.items())
    act = {
        "get": lambda: store.get("a/0"),
        "many": lambda: store.set_many([("a/0", b"0"), ("b", None), ("a/1", b"1")]),
        "list": lambda: list(store),
    }[verb]

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    raw.execute_command("CLIENT", "PAUSE", 200, "ALL")
    with monkeypatch.context() as patch:
        patch.setattr(Redis, "parse_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            act()
    assert {key: store.get(key) for key in values} == values


# Failures: none is a missing value


def test_a_server_that_runs_a_script_is_waited_for(own):
    server = own("--busy-reply-threshold", 1)
    store = RedisStore(**words_of(server))
    store["a"] = b"1"
    script = """
        local first = redis.call('TIME')
        repeat local now = redis.call('TIME')
        until (now[1] - first[1]) * 1e6 + now[2] - first[2] > 3e5
    """
    with Redis(**words_of(server)) as other:
        other.client_id()
        busy = threading.Thread(target=other.eval, args=(script, 0))
        busy.start()
        with Redis(**words_of(server)) as looking:

            def refused():
                try:
                    looking.ping()
                except package.exceptions.ResponseError as error:
                    return str(error)
                return None

            assert "BUSY" in until(refused)
        assert store["a"] == b"1"
        join(busy)


def test_a_value_of_another_kind_is_an_error(store, raw):
    z = fastzarr.create_array(store, data=np.ones(20), chunks=10)
    for name in ("zarr:c/1", "zarr:x/c/1"):
        raw.delete(name)
        raw.rpush(name, b"1")
    for read in (
        lambda: store.get("c/1"),
        lambda: store.get_ranges("c/1", [(0, 1)]),
        lambda: store.getsize("c/1"),
        lambda: store.get_many(["c/0", "c/1"]),
        lambda: store.validator("x/c/1"),
    ):
        with pytest.raises(RequestError, match=r"c/1', status WRONGTYPE.*another kind"):
            read()
    with pytest.raises(ChunkIOError, match="WRONGTYPE"):
        z[:]
    assert (z[:10] == 1).all()


def test_a_server_without_memory_refuses_to_write(store, raw):
    store.set_many([("a", b"1"), ("b", b"2")])
    token = store.validator("a")
    raw.config_set("maxmemory", 1)
    try:
        for write in (
            lambda: store.set("a", b"2"),
            lambda: store.set_many([("c", b"2"), ("d", b"2")]),
            lambda: store.swap("a", b"2", token),
        ):
            with pytest.raises(RequestError, match=r"status OOM.*no memory left"):
                write()
        assert dict(store) == {"a": b"1", "b": b"2"}
        assert store.validator("a") == token
        store.delete("b")
        assert store.swap("a", None, token)
    finally:
        raw.config_set("maxmemory", 0)
    assert list(store) == []


def test_a_replica_refuses_to_write(own):
    server = own("--save", "")
    store = RedisStore(**words_of(server))
    z = fastzarr.create_array(store, data=np.arange(9), chunks=3)
    with Redis(**words_of(server)) as client:
        client.execute_command("REPLICAOF", HOST, 1)
    assert z[:].tolist() == list(range(9))
    assert z.nchunks_initialized == 3
    with pytest.raises(ChunkIOError, match=r"READONLY.*primary"):
        z[0] = 9
    with pytest.raises(RequestError, match=r"status READONLY") as caught:
        store.set("a", b"1")
    assert caught.value.status == "READONLY"
    with pytest.raises(RequestError, match=r"READONLY"):
        store.delete("a")


def test_a_server_that_cannot_save_refuses_to_write(own, tmp_path):
    server = own("--save", "3600 1")
    # A folder that is not empty cannot be replaced by a file.
    (tmp_path / "data" / "dump.rdb" / "x").mkdir(parents=True)
    store = RedisStore(**words_of(server))
    store["a"] = b"1"
    with Redis(**words_of(server)) as client:
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
            time.sleep(0.01)
    with pytest.raises(RequestError, match=r"status MISCONF.*cannot save"):
        store.set("a", b"2")
    assert store["a"] == b"1"


def test_access_is_denied_without_the_password(own, monkeypatch):
    server = own("--save", "", "--requirepass", SECRET)
    words = words_of(server)
    for store in (RedisStore(**words), RedisStore(**words, password="wrong-" + SECRET)):
        for act in (lambda store=store: store["a"], lambda store=store: store.set("a", b"1")):
            with pytest.raises(RequestAccessError, match=r"NOAUTH|WRONGPASS") as caught:
                act()
            assert SECRET not in "".join(traceback.format_exception(caught.value))
        with pytest.raises(RequestAccessError):
            fastzarr.open(store, mode="r")
    monkeypatch.setenv("REDISCLI_AUTH", SECRET)
    RedisStore(**words)["a"] = b"1"
    monkeypatch.delenv("REDISCLI_AUTH")
    store = RedisStore(**words, password=SECRET)
    assert store["a"] == b"1"
    with Redis(**words, password=SECRET) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">" + SECRET, "~*", "+@read")
    reader = RedisStore(**words, username="reader", password=SECRET)
    assert reader["a"] == b"1"
    with pytest.raises(RequestAccessError, match="NOPERM"):
        reader.set("a", b"2")


def test_a_server_that_has_gone_is_an_error(own):
    server = own("--save", "")
    store = RedisStore(**words_of(server))
    z = fastzarr.create_array(store, data=np.ones(20), chunks=10, fill_value=0)
    server.stop()
    with config.set({"fetch.deadline": 0.2}):
        with pytest.raises(ChunkIOError, match="no answer"):
            z[:]
        with pytest.raises(RequestError, match="no answer"):
            z[3] = 4
        for act in (
            lambda: store.get("c/0"),
            lambda: store.get_ranges("c/0", [(0, 1)]),
            lambda: store.exists("c/0"),
            lambda: list(store),
            lambda: store.is_empty("x"),
            lambda: store.set("c/0", b"1"),
            lambda: store.delete("c/0"),
            lambda: store.set_many([("c/0", b"1"), ("c/1", b"2")]),
        ):
            with pytest.raises(RequestError, match=r"no answer: .*attempts within"):
                act()


def test_requests_are_repeated_until_the_server_is_back(own):
    server = own("--appendonly", "yes", "--appendfsync", "always")
    attempts = []

    class Starting(RedisStore):
        def _send(self, commands):
            try:
                return super()._send(commands)
            except Cut as error:
                if not attempts:
                    own("--appendonly", "yes", port=server.ports[0])
                attempts.append(error)
                raise

    store = Starting(**words_of(server))
    z = fastzarr.create_array(store, data=np.arange(20), chunks=10)
    server.stop()
    assert store["zarr.json"]
    assert attempts
    assert z[:].tolist() == list(range(20))
    z[5] = 50
    assert fastzarr.open_array(RedisStore(**words_of(server)))[5] == 50


def test_a_write_that_has_returned_survives_a_kill(own):
    """The server writes each change to its file, and syncs it, before it answers."""
    options = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    server = own(*options)
    port = server.ports[0]
    with config.set({"fetch.deadline": 0.01}):
        for number in range(3):
            store = RedisStore(**words_of(server))
            code = KILLED.format(words=words_of(server), first=1000 * number)
            with subprocess.Popen(  # noqa: S603  (our own interpreter)
                [sys.executable, "-c", code], stdout=subprocess.PIPE
            ) as writer:
                said = [writer.stdout.readline() for _ in range(20 * (number + 1))]
                (pid,) = (one for one in children(server.process.pid))
                os.kill(pid, 9)
                said += writer.stdout.readlines()
            server.stop()
            server = own(*options, port=port)
            done = max(int(line) for line in said if line.strip())
            found = fastzarr.open_array(store, path=f"a{1000 * number}")[:]
            # The last chunk whose write had not returned may be there or not.
            wrong = [n for n in range(done + 1) if found[10 * n : 10 * n + 10].tolist() != [n] * 10]
            assert not wrong
            rest = found[10 * (done + 2) :]
            assert not rest.any()


KILLED = """
import fastzarr
from fastzarr.stores.redis import RedisStore
from fastzarr.stores.redis_commands import Packer
fastzarr.config.set({{"fetch.deadline": 0.01}})
store = RedisStore(**{words})
z = fastzarr.create_array(store, name="a{first}", shape=100000, chunks=10, dtype="i4")
for n in range(10000):
    z[10 * n : 10 * n + 10] = n
    print(n, flush=True)
"""


def children(pid):
    """Return the processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_value_beyond_the_limit_is_refused(store, monkeypatch):
    monkeypatch.setattr(ours, "_LARGEST", 10)
    store["a"] = b"x" * 10
    for write in (
        lambda: store.set("a", b"x" * 11),
        lambda: store.swap("a", b"x" * 11, store.validator("a")),
        lambda: store.set_many([("a", b"x" * 11)]),
    ):
        with pytest.raises(BaseZarrError, match=r"'a'.*11 bytes.*smaller chunks"):
            write()
    assert store["a"] == b"x" * 10


# Processes, copies and credentials


def test_credentials_are_nowhere():
    store = RedisStore.from_url(f"redis://me:{SECRET}@{HOST}:1/0")
    with config.set({"fetch.deadline": 0.01}), pytest.raises(RequestError) as caught:
        store.get("a")
    texts = [str(store), repr(store), *traceback.format_exception(caught.value)]
    texts.append(repr(pickle.dumps(store)))
    texts.append(repr(pickle.dumps(caught.value)))
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize(
    "address", ["pa/{}@host/0", "12/{}@host", "{}#s@host/0", "12#{}@host", "12?{}@host", "[{}@host"]
)
def test_a_password_that_was_not_quoted_is_in_no_error(address):
    with pytest.raises(BaseZarrError, match="must be quoted") as caught:
        RedisStore.from_url(f"redis://me:{address.format(SECRET)}")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_provider_of_given_values_is_not_pickled():
    provider = UsernamePasswordCredentialProvider("me", SECRET)
    assert SECRET.encode() not in pickle.dumps(RedisStore(credential_provider=provider))


def test_stores_of_different_pools_are_different():
    one, same, other = (
        RedisStore(connection_pool=ConnectionPool(host=host, password=SECRET)) for host in "aab"
    )
    assert (str(one), str(other)) == (
        "redis://a:6379/0?prefix=zarr",
        "redis://b:6379/0?prefix=zarr",
    )
    assert one == same
    assert one != other


def test_a_pickle_has_the_client_of_its_process(redis):
    store = RedisStore(**redis, password=None, client_name="one")
    for other in (pickle.loads(pickle.dumps(store)), copy.copy(store), copy.deepcopy(store)):
        assert other.client is store.client
        assert other == store
    assert store.with_read_only().client is store.client
    given = RedisStore(client=Redis(**redis))
    assert pickle.loads(pickle.dumps(given)).client is given.client
    text = pickle.dumps(given)
    program = f"import pickle; pickle.loads({text!r})"
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program], capture_output=True, check=False
    )
    assert b"was given a client" in done.stderr


def test_another_process_takes_the_password_from_its_environment(own):
    server = own("--save", "", "--requirepass", SECRET)
    store = RedisStore(**words_of(server), password=SECRET)
    store["a"] = b"1"
    program = f"import pickle; print(pickle.loads({pickle.dumps(store)!r})['a'])"
    for environment, expected in (({"REDISCLI_AUTH": SECRET}, b"b'1'"), ({}, b"NOAUTH")):
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            [sys.executable, "-c", program],
            env=os.environ | environment,
            capture_output=True,
            check=False,
        )
        assert expected in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("RedisStore", "redis", "redis"), ("MongoDBStore", "pymongo", "mongodb")],
)
def test_a_missing_package_is_named(monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'fastzarr\[{extra}\]'"):
        getattr(fastzarr.storage, name)()
