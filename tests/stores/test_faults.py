"""A store of objects behind a network that fails: what is repeated, decided, and raised."""

from __future__ import annotations

import numpy as np
import pytest
from servers.suites import PASSING, READS

from fastzarr import create_array, open_array
from fastzarr.config import config
from fastzarr.errors import ChunkError, ChunkIOError, RequestAccessError, RequestError
from fastzarr.stores.obstore import ObjectStore

STATUS = {"500": 500, "503": 503, "429": 429}
VERBS = {
    **READS,
    "set": ("PUT", lambda store: store.set("b", b"1") is None and store.get("b") == b"1"),
    "swap": ("PUT", lambda store: store.swap("a", b"2", store.validator("a"))),
    "create": ("PUT", lambda store: store.swap("c", b"2", None)),
    "delete": ("POST", lambda store: store.delete("a") is None and store.get("a") is None),
    "list": ("GET", lambda store: list(store.list()) == ["a"]),
    "list_dir": ("GET", lambda store: list(store.list_dir()) == ["a"]),
}


@pytest.fixture
def store(s3, proxy):
    """Return a store with one value, behind a proxy; an attempt may take half a second."""
    ObjectStore(s3.url, storage_options=s3.obstore()).set("a", b"12345678")
    through = s3.through(proxy)
    with config.set({"fetch.deadline": 8.0, "fetch.timeout": 0.25}):
        yield ObjectStore(through.url, storage_options=through.obstore())
    proxy.release()


def _has_no_body(fault, method):
    return fault == "cut" and method in ("PUT", "HEAD")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", PASSING)
def test_a_failure_that_passes_is_not_noticed(store, proxy, fault, verb):
    method, run = VERBS[verb]
    proxy.fault(method=method, **PASSING[fault])
    assert run(store)
    # A conditional write whose reply is lost is not repeated. That of a put has no body to cut.
    decided = fault == "lost" and verb in ("swap", "create")
    assert decided or _has_no_body(fault, method) or proxy.count(method) > 1


@pytest.mark.parametrize(
    ("fault", "verb"),
    [
        (fault, verb)
        for fault in PASSING
        for verb in VERBS
        if not _has_no_body(fault, VERBS[verb][0])
    ],
)
def test_a_failure_that_lasts_is_an_error(store, proxy, fault, verb):
    method, run = VERBS[verb]
    if verb == "swap":
        token = store.validator("a")

        def run(store):
            return store.swap("a", b"2", token)

    proxy.fault(method=None if fault == "lost" else method, times=None, **PASSING[fault])
    with config.set({"fetch.deadline": 0.3}), pytest.raises(RequestError) as caught:
        run(store)
    assert caught.value.status == STATUS.get(fault)
    assert str(store) in str(caught.value)
    # A single attempt that stalls may take all the time there is.
    assert fault == "stall" or "attempts" in str(caught.value)
    assert caught.value.__cause__ is not None
    proxy.clear()
    proxy.release()
    if verb not in ("delete", "swap"):
        assert store.get("a") == b"12345678"


@pytest.mark.parametrize("verb", VERBS)
def test_denied_access_is_not_repeated(store, proxy, verb):
    method, run = VERBS[verb]
    proxy.fault("status", status=403, method=method, times=None)
    with pytest.raises(RequestAccessError, match="status 403"):
        run(store)
    assert proxy.count(method) == 1


def test_only_a_missing_key_is_missing(store, proxy):
    assert store.get("nothing") is None
    assert not store.exists("nothing")
    proxy.fault("status", status=404, target="/a$")
    assert store.get("a") is None
    assert store.get("a") == b"12345678"


@pytest.mark.parametrize("fault", PASSING)
def test_a_chunk_that_cannot_be_fetched_is_not_fill_values(s3, proxy, fault):
    array = create_array(
        s3.url, name="x", shape=40, chunks=10, dtype="i4", storage_options=s3.obstore()
    )
    array[:] = np.arange(40)
    through = s3.through(proxy)
    with config.set({"fetch.deadline": 0.4, "fetch.timeout": 0.15}):
        found = open_array(through.url, path="x", mode="r", storage_options=through.obstore())
        proxy.fault(target="/c/2$", times=None, **PASSING[fault])
        with pytest.raises(ChunkIOError, match=r"array '/x', chunk \(2,\)"):
            found[:]
        proxy.clear()
        proxy.release()
        proxy.fault(target="/c/2$", **PASSING[fault])
        np.testing.assert_array_equal(found[:], np.arange(40))
    proxy.release()


def test_a_flipped_bit_is_found_by_the_checksum(s3, proxy):
    array = create_array(s3.url, name="x", shape=4096, dtype="i4", storage_options=s3.obstore())
    array[:] = np.arange(4096)
    through = s3.through(proxy)
    found = open_array(through.url, path="x", mode="r", storage_options=through.obstore())
    proxy.fault("flip", target="/c/0$")
    with pytest.raises(ChunkError, match="crc32c"):
        found[:]


@pytest.mark.parametrize("kind", ["lost", "500 after the fact"])
@pytest.mark.parametrize("start", [b"0", None])
def test_a_lost_reply_of_a_conditional_write_is_decided(store, proxy, kind, start):
    """Of increments whose replies are all lost, each counts exactly once."""
    store.delete("n")
    if start is not None:
        store.set("n", start)
    rule = {"kind": "lost"} if kind == "lost" else {"kind": "status", "forward": True}
    for number in range(1, 6):
        proxy.fault(method="PUT", target="/n$", **rule)
        store.change("n", lambda old: b"%d" % (int(old or b"0") + 1))
        assert store.get("n") == b"%d" % number
        proxy.clear()


def before_looking(store, act):
    """Call a function once, before the store looks whether a write has happened."""
    heads, acts = store._head, [act]  # noqa: SLF001  (the moment after the lost reply)

    def head(key):
        while acts:
            acts.pop()()
        return heads(key)

    vars(store)["_head"] = head


def test_a_lost_reply_is_decided_after_the_next_writer(s3, store, proxy):
    """A write whose reply is lost counts, although another writer has replaced the value since."""
    other = ObjectStore(s3.url, storage_options=s3.obstore())
    token = store.validator("a")
    proxy.fault("lost", method="PUT", target="/a$")
    # Before the writer can look, another one replaces the value that it has written.
    before_looking(store, lambda: other.swap("a", b"theirs", other.validator("a")))
    assert store.swap("a", b"mine", token)
    assert other.get("a") == b"theirs"


def add_one(old):
    return b"%d" % (int(old or b"0") + 1)


@pytest.mark.parametrize(("before", "others"), [(0, 199), (210, 150)])
def test_a_lost_reply_is_decided_after_many_writers(s3, store, proxy, before, others):
    """An increment whose reply is lost counts once, however many others have followed it."""
    other = ObjectStore(s3.url, storage_options=s3.obstore())

    def add(count):
        for _ in range(count):
            other.change("n", add_one)

    add(before)
    proxy.fault("lost", method="PUT", target="/n$")
    before_looking(store, lambda: add(others))
    store.change("n", add_one)
    assert other.get("n") == b"%d" % (before + 1 + others)


@pytest.mark.parametrize(("kind", "before"), [("lost", 0), ("lost", 1), ("reset", 1)])
def test_a_lost_reply_that_nothing_decides_is_an_error(s3, store, proxy, kind, before):
    """After more writers than an object has room for, a write is neither repeated nor dropped."""
    other = ObjectStore(s3.url, storage_options=s3.obstore())

    def add(count):
        for _ in range(count):
            other.change("n", add_one)

    add(before)
    proxy.fault(kind, method="PUT", target="/n$")
    before_looking(store, lambda: add(200))
    with pytest.raises(RequestError, match=r"key 'n'.*cannot be told whether it has happened"):
        store.change("n", add_one)
    assert other.get("n") == b"%d" % (before + 200 + (kind == "lost"))


def test_a_whole_write_ends_what_is_known_of_those_before(s3, store, proxy):
    """Of a write that another one has replaced as a whole, nothing is left to be counted."""
    other = ObjectStore(s3.url, storage_options=s3.obstore())
    token = store.validator("a")
    proxy.fault("lost", method="PUT", target="/a$")

    def act():
        other.set("a", b"0")
        for _ in range(20):
            other.change("a", add_one)

    before_looking(store, act)
    assert not store.swap("a", b"mine", token)
    assert other.get("a") == b"20"


def test_a_conditional_write_that_came_too_late_is_refused(s3, store, proxy):
    """A write that did not reach the server is not taken for one that did."""
    other = ObjectStore(s3.url, storage_options=s3.obstore())
    token = store.validator("a")
    other.set("a", b"theirs")
    proxy.fault("reset", method="PUT", target="/a$")
    assert not store.swap("a", b"mine", token)
    assert other.get("a") == b"theirs"
