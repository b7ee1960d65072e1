"""Arrays and groups behind web servers: what is requested, redirects, ranges, odd answers.

The servers are the one for files, whose requests a proxy counts, and one whose answers the test
makes. Each test runs by obstore and by fsspec.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from servers.answering import Reply, answering
from servers.process import UnavailableError

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.errors import (
    ArrayNotFoundError,
    ChunkError,
    GroupNotFoundError,
    MetadataError,
    PathNotFoundError,
    RequestError,
)
from fastzarr.stores import FsspecStore, ObjectStore

DATA = bytes(range(100))
HTML = Reply(404, b"<html><body>no such page</body></html>", {"Content-Type": "text/html"})
SIGNATURE = "c2lnbmF0dXJl"


@pytest.fixture(params=["obstore", "fsspec"])
def by(request):
    """Return a function that opens a URL with one of the two packages."""

    def open_url(url, **options):
        if request.param == "obstore":
            client = {"client_options": {"allow_invalid_certificates": True} | options}
            return ObjectStore(url, read_only=True, storage_options=client)
        words = {"ssl": False} if url.startswith("https") else {}
        if options:
            words["client_kwargs"] = {"headers": options["default_headers"]}
        return FsspecStore.from_url(url, words, read_only=True)

    with config.set({"fetch.deadline": 0.3, "fetch.timeout": 5.0}):
        yield open_url


def tree(folder, **options):
    """Write a group of two arrays, one of them in shards, in a group; return their values."""
    values = np.arange(1600).reshape(40, 40)
    group = zarr.open_group(str(folder), mode="w", **options)
    group.create_array("plain", data=values, chunks=(10, 40))
    group.create_array("below/sharded", data=values, chunks=(5, 5), shards=(20, 20))
    return values


def serving(tree, prefix="/data.zarr"):
    """Return the answers of a server of a mapping, without a listing."""

    def answer(asked):
        path = asked.target.partition("?")[0]
        key = path.removeprefix(f"{prefix}/")
        found = tree.get(key) if path.startswith(f"{prefix}/") else None
        return HTML if found is None else Reply(200, bytes(found))

    return answer


def made():
    """Return a mapping with a group and an array."""
    values = {}
    zarr.create_group(values).create_array("a", data=np.arange(10), chunks=5)
    return values


# What is requested


@pytest.fixture
def remote(by, http_server, http_proxy):
    """Return the opener of a tree behind the proxy, its folder and its values."""
    values = tree(http_server.path)

    def opened(mode="ranges"):
        return by(http_server.through(http_proxy).url(mode))

    http_proxy.forget()
    return opened, http_server.path, values


def test_a_consolidated_tree_is_one_request(remote, http_proxy):
    opened, folder, values = remote
    zarr.consolidate_metadata(str(folder))
    group = zarr.open(opened(), mode="r")
    assert sorted(group) == ["below", "plain"]
    assert {name for name, _ in group.members(max_depth=None)} == {
        *("below", "below/sharded", "plain")
    }
    assert "sharded" in str(group.tree())
    assert len(group) == 2
    assert "nothing" not in group
    assert http_proxy.methods() == {"GET": 1}
    http_proxy.forget()
    np.testing.assert_array_equal(group["plain"][:], values)
    assert http_proxy.methods() == {"GET": 4}


def test_a_tree_that_is_not_consolidated_is_opened_by_paths(remote, http_proxy):
    opened, _, values = remote
    group = zarr.open(opened(), mode="r")
    assert http_proxy.methods() == {"GET": 1}
    assert "plain" in group
    http_proxy.forget()
    np.testing.assert_array_equal(group["plain"][:], values)
    # Its document, and four chunks.
    assert http_proxy.methods() == {"GET": 5}
    with pytest.raises(KeyError, match="nothing"):
        group["nothing"]
    assert group.get("nothing") is None
    http_proxy.forget()
    assert "Group" in str(group.info)
    assert repr(group)
    assert str(group["below/sharded"].info)
    assert http_proxy.count() == 1


@pytest.mark.parametrize(
    "verb",
    {
        "names": list,
        "members": lambda group: group.members(),
        "number": lambda group: group.nmembers(),
        "tree": lambda group: group.tree(),
        "arrays": lambda group: list(group.arrays()),
        "chunks": lambda group: group["plain"].nchunks_initialized,
        "bytes": lambda group: group["plain"].nbytes_stored(),
        "copy": lambda group: zarr.copy(group, zarr.create_group({}), name="x"),
        "store": lambda group: zarr.copy_store(group.store, {}),
    }.items(),
    ids=lambda verb: verb[0],
)
def test_what_needs_a_listing_says_so(remote, http_proxy, verb):
    opened, _, _ = remote
    group = zarr.open_group(opened(), mode="r")
    _ = "plain" in group
    with pytest.raises(RequestError, match=r"no listing of its keys.*consolidate"):
        verb[1](group)
    assert http_proxy.count() <= 3


@pytest.mark.parametrize("mode", ["ranges", "whole"])
def test_the_box_of_a_shard_is_read_by_ranges(remote, http_proxy, mode):
    opened, _, values = remote
    array = zarr.open_array(opened(mode), path="below/sharded", mode="r")
    http_proxy.forget()
    np.testing.assert_array_equal(array[2:4, 3:9], values[2:4, 3:9])
    log = http_proxy.log()
    # A server that ignores ranges is asked for the whole value where obstore refuses that.
    assert len([one for one in log if one.range]) == 2
    twice = mode == "whole" and isinstance(array.store, ObjectStore)
    assert len(log) == (4 if twice else 2)
    http_proxy.forget()
    np.testing.assert_array_equal(array[:], values)
    assert all(one.range is None for one in http_proxy.log())


# Kinds of nodes, and URLs


def test_the_kind_of_a_node_is_found(by):
    with answering(serving(made())) as server:
        url = f"{server.url}/data.zarr"
        assert isinstance(zarr.open(by(url), mode="r"), zarr.Group)
        assert zarr.open(by(f"{url}/a"), mode="r")[:].tolist() == list(range(10))
        assert zarr.open(by(url), path="a", mode="r")[:].tolist() == list(range(10))
        for name, error in (
            ("open", PathNotFoundError),
            ("open_array", ArrayNotFoundError),
            ("open_group", GroupNotFoundError),
        ):
            with pytest.raises(error, match="nothing"):
                getattr(zarr, name)(by(f"{server.url}/nothing"), mode="r")


def test_a_page_in_place_of_a_document_is_an_error(by):
    with (
        answering(lambda _: Reply(200, HTML.body)) as server,
        pytest.raises(MetadataError, match="JSON"),
    ):
        zarr.open(by(f"{server.url}/data.zarr"), mode="r")


def test_a_page_in_place_of_a_chunk_is_an_error(by):
    stored = made()
    with answering(serving(stored)) as server:
        array = zarr.open_array(by(f"{server.url}/data.zarr/a"), mode="r")
        stored["a/c/1"] = HTML.body
        with pytest.raises(ChunkError, match=r"chunk \(1,\)"):
            array[:]
        del stored["a/c/1"]
        assert array[:].tolist() == [0, 1, 2, 3, 4, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("end", ["", "/", "//", "#top", "?sig=1", "/?sig=1&version=2"])
def test_the_end_of_a_url_is_not_part_of_its_keys(by, end):
    query = end.partition("?")[2]
    with answering(serving(made())) as server:
        array = zarr.open(by(f"{server.url}/data.zarr{end}"), mode="r")["a"]
        assert array[2] == 2
        after = f"?{query}" if query else ""
        assert [one.target for one in server.asked] == [
            f"/data.zarr/{key}{after}" for key in ("zarr.json", "a/zarr.json", "a/c/0")
        ]


def test_a_signature_is_hidden(by):
    def answer(asked):
        if SIGNATURE not in asked.target:
            return Reply(403, b"unsigned")
        return serving(stored)(asked) if "/c/1" not in asked.target else Reply(500, b"broken")

    stored = made()
    with answering(answer) as server:
        url = f"{server.url}/data.zarr"
        store = by(f"{url}?version=2&sig={SIGNATURE}")
        group = zarr.open(store, mode="r")
        seen = [repr(store), str(group), str(group.info), repr(group["a"]), store.place.token]
        assert group["a"][:5].tolist() == [0, 1, 2, 3, 4]
        with pytest.raises(RequestError) as caught:
            store.get("a/c/1")
        seen += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
        if isinstance(store, ObjectStore):
            seen.append(repr(pickle.dumps(store)))
        assert not [text for text in seen if SIGNATURE in text]
        # Others are those of other data, whatever they are signed with.
        assert by(f"{url}?version=2&sig=other") == store
        assert by(f"{url}?version=3&sig={SIGNATURE}") != store


# Redirects


def moved(status, target):
    """Return the answers of a server whose keys have moved to another one."""
    return lambda asked: Reply(status, b"moved", {"Location": f"{target}{asked.target}"})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_the_same_scheme_is_followed(by, status):
    with (
        answering(serving(made())) as server,
        answering(moved(status, server.url)) as before,
    ):
        store = by(f"{before.url}/data.zarr", default_headers={"Authorization": SIGNATURE})
        assert zarr.open(store, mode="r")["a"][:].tolist() == list(range(10))
        assert store.exists("a/zarr.json")
        assert len(before.asked) == len(server.asked)
        # Another server is not told what the first one may know.
        assert all(one.headers["authorization"] == SIGNATURE for one in before.asked)
        assert not [one for one in server.asked if "authorization" in one.headers]


@pytest.mark.parametrize(
    ("tls", "target"),
    [
        *((tls, target) for tls in (False, True) for target in ("file:///etc/hosts", "ftp://host")),
        (True, "http"),
    ],
)
def test_a_redirect_to_another_scheme_is_an_error(by, tls, target):
    try:
        with answering(serving(made())) as plain:
            found = plain.url if target == "http" else target
            with answering(moved(302, found), tls=tls) as server:
                store = by(f"{server.url}/data.zarr")
                for verb in (store.get, store.exists, store.getsize):
                    server.asked.clear()
                    with pytest.raises(RequestError):
                        verb("zarr.json")
                    # It is not repeated; fsspec tries GET after HEAD.
                    assert len(server.asked) <= 2
            assert not plain.asked
    except UnavailableError as error:
        pytest.skip(str(error))


def test_a_redirect_in_a_circle_is_an_error(by):
    with answering(moved(302, "")) as server:
        store = by(server.url)
        for verb in (store.get, store.exists):
            with pytest.raises(RequestError):
                verb("zarr.json")


# Ranges

RANGES = [(10, 5), (10, None), (-5, None), (10, 200), (0, 5), (-5, 2), (100, 5), (200, None)]
WRONG = {
    "another": (50, 55, "bytes 50-54/100"),
    "not stated": (50, 55, None),
    "not understood": (50, 55, "bytes 50"),
    "more": (2, 98, "bytes 2-97/100"),
    "less": (10, 12, "bytes 10-11/100"),
    "whole": (0, 100, "bytes 0-99/100"),
    "unknown size": (50, 55, "bytes 50-54/*"),
}


def part(start, length):
    """Return the part of the value, by the rules of Python."""
    data = DATA[start:]
    return data if length is None else data[:length]


@pytest.mark.parametrize("wanted", RANGES)
def test_a_server_that_ignores_ranges_is_read(by, wanted):
    with answering(lambda _: Reply(200, DATA)) as server:
        assert by(server.url).get_ranges("a", [wanted]) == [part(*wanted)]


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_range_is_an_error(by, kind):
    first, end, stated = WRONG[kind]
    headers = {"Content-Range": stated} if stated else {}
    with answering(lambda _: Reply(206, DATA[first:end], headers)) as server:
        store = by(server.url)
        for wanted in RANGES:
            server.asked.clear()
            with pytest.raises(RequestError, match=r"key 'a'"):
                store.get_ranges("a", [wanted])
            assert len(server.asked) == 1


@pytest.mark.parametrize("stated", [None, "5"])
def test_a_part_that_is_shorter_than_stated_is_requested_again(by, stated):
    headers = {"Content-Range": "bytes 10-14/100"}
    short = headers | ({"Content-Length": stated} if stated else {})

    def answer(_):
        return Reply(206, *((DATA[10:15], headers) if complete else (DATA[10:12], short)))

    with answering(answer) as server:
        store, complete = by(server.url), False
        with pytest.raises(RequestError, match="attempts"):
            store.get_ranges("a", [(10, 5)])
        complete = True
        assert store.get_ranges("a", [(10, 5)]) == [DATA[10:15]]


def test_a_value_that_is_shorter_than_stated_is_an_error(by):
    reply = Reply(200, DATA[:50], {"Content-Length": "100"})
    with answering(lambda _: reply) as server, pytest.raises(RequestError, match="attempts"):
        by(server.url).get("a")
