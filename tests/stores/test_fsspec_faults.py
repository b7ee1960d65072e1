"""File systems of fsspec, and web servers, behind a network that fails.

Each fault happens once, which nobody notices, and for ever, which is an error that names the store,
the key and the status. Only a missing key is missing.
"""

from __future__ import annotations

import numpy as np
import pytest
from servers import suites
from servers.suites import READS

from fastzarr import create_array, open_array
from fastzarr.config import config
from fastzarr.errors import ChunkError, ChunkIOError, RequestAccessError, RequestError
from fastzarr.stores import FsspecStore
from fastzarr.stores.obstore import ObjectStore

PASSING = suites.PASSING | {"stalled body": {"kind": "stall", "after": 1}}
CHANGES = {
    "set": ("PUT", lambda store: store.set("b", b"1") is None and store.get("b") == b"1"),
    "delete": ("DELETE", lambda store: store.delete("a") is None and store.get("a") is None),
    "list": ("GET", lambda store: list(store.list()) == ["a"]),
    "list_dir": ("GET", lambda store: list(store.list_dir()) == ["a"]),
}
WEB = ("http by fsspec", "http by obstore")
CELLS = [
    (kind, verb)
    for kind in ("s3 by fsspec", *WEB)
    for verb in (*READS, *(CHANGES if kind not in WEB else ()))
]


def _has_no_body(fault, method):
    return fault in ("cut", "stalled body") and method in ("PUT", "HEAD", "DELETE")


# Those of a fault that can occur.
FAILURES = [
    (kind, verb, fault)
    for kind, verb in CELLS
    for fault in PASSING
    if not _has_no_body(fault, (READS | CHANGES)[verb][0])
]


class Place:
    """A store behind a proxy, and how it is opened anew."""

    def __init__(self, kind, proxy, make):
        self.kind, self.proxy, self.make = kind, proxy, make


@pytest.fixture
def place(kind, request):
    """Return a place with one value and an array of four chunks; a stall takes 0.3 s."""
    with config.set({"fetch.deadline": 8.0, "fetch.timeout": 0.3}):
        if kind == "s3 by fsspec":
            s3, proxy = map(request.getfixturevalue, ("s3", "proxy"))
            behind = ObjectStore(s3.url, storage_options=s3.obstore())
            behind.set("a", b"12345678")
            through = s3.through(proxy)
            made = Place(kind, proxy, lambda: FsspecStore.from_url(through.url, through.s3fs()))
        else:
            http, proxy = map(request.getfixturevalue, ("http_server", "http_proxy"))
            (http.path / "a").write_bytes(b"12345678")
            behind = str(http.path)
            url = http.through(proxy).url()
            cls = FsspecStore.from_url if kind == "http by fsspec" else ObjectStore
            made = Place(kind, proxy, lambda: cls(url))
        made.behind = behind
        # The first request takes longer, because clients are made then.
        made.make().get("nothing")
        proxy.forget()
        yield made
        proxy.clear()


@pytest.mark.parametrize(("kind", "verb", "fault"), FAILURES)
def test_a_failure_that_passes_is_not_noticed(place, fault, verb):
    _, run = (READS | CHANGES)[verb]
    store = place.make()
    place.proxy.fault(**PASSING[fault])
    assert run(store)
    assert sum(one.fault is not None for one in place.proxy.log()) == 1


@pytest.mark.parametrize(("kind", "verb", "fault"), FAILURES)
def test_a_failure_that_lasts_is_an_error(place, fault, verb):
    _, run = (READS | CHANGES)[verb]
    store = place.make()
    place.proxy.fault(times=None, **PASSING[fault])
    with config.set({"fetch.deadline": 0.4}), pytest.raises(RequestError) as caught:
        run(store)
    status = {"500": 500, "503": 503, "429": 429}.get(fault)
    assert caught.value.status == status
    assert str(store) in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(("kind", "verb"), CELLS)
def test_denied_access_is_not_repeated(place, verb):
    _, run = (READS | CHANGES)[verb]
    store = place.make()
    place.proxy.fault("status", status=403, times=None)
    with pytest.raises(RequestAccessError, match="403") as caught:
        run(store)
    assert caught.value.status == 403
    # fsspec tries GET after HEAD.
    by_two = place.kind == "http by fsspec" and verb in ("exists", "getsize")
    assert place.proxy.count() == (2 if by_two else 1)


@pytest.mark.parametrize("kind", ["s3 by fsspec", *WEB])
def test_only_a_missing_key_is_missing(place):
    store = place.make()
    assert store.get("nothing") is None
    assert not store.exists("nothing")
    place.proxy.fault("status", status=404, target="/a$")
    assert store.get("a") is None
    assert store.get("a") == b"12345678"


@pytest.mark.parametrize("kind", ["s3 by fsspec", *WEB])
@pytest.mark.parametrize("fault", [*PASSING, "403"])
def test_a_chunk_that_cannot_be_fetched_is_not_fill_values(place, fault):
    create_array(place.behind, name="x", chunks=10, data=np.arange(40, dtype="i4"))
    rule = PASSING.get(fault, {"kind": "status", "status": 403})
    found = open_array(place.make(), path="x", mode="r")
    with config.set({"fetch.deadline": 0.4}):
        place.proxy.fault(target="/c/2$", times=None, **rule)
        with pytest.raises(ChunkIOError, match=r"array '/x', chunk \(2,\)"):
            found[:]
        place.proxy.clear()
    if fault != "403":
        place.proxy.fault(target="/c/2$", **rule)
    np.testing.assert_array_equal(found[:], np.arange(40))


@pytest.mark.parametrize("kind", ["s3 by fsspec", *WEB])
def test_a_flipped_bit_is_found_by_the_checksum(place):
    array = create_array(place.behind, name="x", shape=4096, dtype="i4")
    array[:] = np.arange(4096)
    found = open_array(place.make(), path="x", mode="r")
    place.proxy.fault("flip", target="/c/0$")
    with pytest.raises(ChunkError, match="crc32c"):
        found[:]
