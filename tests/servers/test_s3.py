"""What tests and stores rely on: how the S3 server answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from xml.etree import ElementTree as ET

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import from_url

from servers.asking import once
from servers.s3 import OPEN

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def call(s3):
    """Send an unsigned request about the key of a test."""

    def send(method, key="", body=None, **headers):
        return once(s3.endpoint, method, f"{s3.path}/{quote(key)}", body, **headers)

    return send


@pytest.fixture
def listed(s3):
    """Return a page of a listing below the prefix: keys, common prefixes, token."""

    def send(below="", **options):
        query = "&".join(f"{n.replace('_', '-')}={quote(str(v))}" for n, v in options.items())
        below = quote(f"{s3.prefix}/{below}", safe="")
        answer = once(s3.endpoint, "GET", f"/{OPEN}?list-type=2&prefix={below}&{query}")
        assert answer.status == 200
        root = ET.fromstring(answer.body)  # noqa: S314 - from the server of the tests
        cut = len(s3.prefix) + 1
        keys = [one.text[cut:] for one in root.iter(f"{NAMESPACE}Key")]
        folders = [
            one.find(f"{NAMESPACE}Prefix") for one in root.iter(f"{NAMESPACE}CommonPrefixes")
        ]
        token = root.findtext(f"{NAMESPACE}NextContinuationToken")
        return keys, [one.text[cut:] for one in folders], token

    return send


def test_an_object_comes_back_with_its_etag_and_metadata(call):
    put = call("PUT", "a", b"hello", x_amz_meta_write_id="one")
    assert put.status == 200
    for method, body in (("GET", b"hello"), ("HEAD", b"")):
        answer = call(method, "a")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, body, "5")
        assert answer.headers["etag"] == put.headers["etag"]
        assert answer.headers["x-amz-meta-write-id"] == "one"
        assert "last-modified" in answer.headers


def test_etags_of_equal_content_are_equal(call):
    first = call("PUT", "a", b"hello").headers["etag"]
    assert call("PUT", "a", b"other").headers["etag"] != first
    assert call("PUT", "a", b"hello").headers["etag"] == first


def test_a_missing_object_is_404_and_deleting_it_is_204(call):
    for method in ("GET", "HEAD"):
        assert call(method, "missing").status == 404
    assert b"<Code>NoSuchKey</Code>" in call("GET", "missing").body
    assert call("DELETE", "missing").status == 204


def test_creating_is_conditional(call):
    assert call("PUT", "a", b"one", If_None_Match="*").status == 200
    refused = call("PUT", "a", b"two", If_None_Match="*")
    assert refused.status == 412
    assert b"<Code>PreconditionFailed</Code>" in refused.body
    assert call("GET", "a").body == b"one"


def test_replacing_is_conditional(call):
    first = call("PUT", "a", b"one").headers["etag"]
    second = call("PUT", "a", b"two", If_Match=first, x_amz_meta_write_id="2")
    assert (second.status, second.headers["etag"] == first) == (200, False)
    assert call("PUT", "a", b"three", If_Match=first).status == 412
    answer = call("GET", "a")
    assert (answer.body, answer.headers["x-amz-meta-write-id"]) == (b"two", "2")
    # Amazon's server answers 404.
    assert call("PUT", "missing", b"one", If_Match=first).status == 412
    assert call("GET", "missing").status == 404


def test_deleting_is_conditional(call):
    first = call("PUT", "a", b"one").headers["etag"]
    second = call("PUT", "a", b"two").headers["etag"]
    assert call("DELETE", "a", If_Match=first).status == 412
    assert call("GET", "a").body == b"two"
    assert call("DELETE", "a", If_Match=second).status == 204
    assert call("GET", "a").status == 404


def test_reading_is_conditional(call):
    first = call("PUT", "a", b"one").headers["etag"]
    assert call("GET", "a", If_None_Match=first).status == 304
    assert call("GET", "a", If_Match=first).status == 200
    assert call("GET", "a", If_Match='"other"').status == 412
    assert call("GET", "a", If_Match=first, Range="bytes=1-1").body == b"n"


def test_one_of_many_writers_succeeds(call):
    with ThreadPoolExecutor(16) as pool:
        for turn in range(2):
            key = f"created-{turn}"
            created = pool.map(
                lambda number, key=key: call("PUT", key, b"%d" % number, If_None_Match="*").status,
                range(16),
            )
            assert sorted(created) == [200] + [412] * 15
            etag = call("HEAD", key).headers["etag"]
            replaced = pool.map(
                lambda number, key=key, etag=etag: (
                    call("PUT", key, b"new %d" % number, If_Match=etag).status
                ),
                range(16),
            )
            assert sorted(replaced) == [200] + [412] * 15


@pytest.mark.parametrize(
    ("wanted", "body", "stated"),
    [
        ("bytes=0-2", b"hel", "bytes 0-2/6"),
        ("bytes=2-", b"llo!", "bytes 2-5/6"),
        ("bytes=-3", b"lo!", "bytes 3-5/6"),
        ("bytes=0-100", b"hello!", "bytes 0-5/6"),
        ("bytes=-100", b"hello!", "bytes 0-5/6"),
    ],
)
def test_ranges_are_clipped_at_the_end(call, wanted, body, stated):
    call("PUT", "a", b"hello!")
    answer = call("GET", "a", Range=wanted)
    assert (answer.status, answer.body) == (206, body)
    assert answer.headers["content-range"] == stated


@pytest.mark.parametrize("wanted", ["bytes=6-", "bytes=7-9", "bytes=-0"])
def test_ranges_beyond_the_end_are_416(call, wanted):
    call("PUT", "a", b"hello!")
    answer = call("GET", "a", Range=wanted)
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */6")


def test_an_empty_object_exists(call, listed):
    assert call("PUT", "empty", b"").status == 200
    answer = call("GET", "empty")
    assert (answer.status, answer.body) == (200, b"")
    assert call("GET", "empty", Range="bytes=-4").status == 416
    assert listed()[0] == ["empty"]


def test_a_key_may_be_a_prefix_of_others(call, listed):
    call("PUT", "a/b", b"below")
    call("PUT", "a", b"above")
    assert (call("GET", "a").body, call("GET", "a/b").body) == (b"above", b"below")
    assert listed(delimiter="/")[:2] == (["a"], ["a/"])
    assert call("DELETE", "a").status == 204
    assert call("GET", "a/b").body == b"below"


def test_a_deleted_object_is_not_listed(call, listed):
    call("PUT", "a/b/c", b"1")
    call("PUT", "a/d", b"1")
    call("DELETE", "a/b/c")
    assert listed() == (["a/d"], [], None)
    assert listed("a/b/") == ([], [], None)


def test_listings_come_in_pages(call, listed):
    names = sorted(f"k{number:02}" for number in range(25))
    for name in names:
        call("PUT", name, b"1")
    found, token = [], ""
    while token is not None:
        options = {"continuation_token": token} if token else {}
        keys, _, token = listed(max_keys=10, **options)
        found.append(keys)
    assert [len(page) for page in found] == [10, 10, 5]
    assert [name for page in found for name in page] == names


ODD = ["a b", "a+b", "a%20b", "ä/ö", "a=b&c", "~x", "a'b\"", "c/0.0", ".zarray", "#x?y", "文"]


@pytest.mark.parametrize("key", ODD)
def test_keys_with_odd_characters(call, listed, key):
    call("PUT", key, key.encode())
    assert call("GET", key).body == key.encode()
    assert listed()[0] == [key]
    assert call("DELETE", key).status == 204
    assert listed()[0] == []


def test_unsigned_requests_to_other_buckets_are_403(s3):
    assert once(s3.endpoint, "PUT", "/private/key", b"1").status == 403
    assert once(s3.endpoint, "GET", "/private/key").status == 403


def test_signed_requests_pass_a_proxy(s3, proxy):
    place = s3.through(proxy)
    store = from_url(place.url, **place.obstore())
    obstore.put(store, "a", b"hello", attributes={"write-id": "one"})
    found = obstore.get(store, "a")
    assert (bytes(found.bytes()), found.attributes["write-id"]) == (b"hello", "one")
    assert [one.target for one in proxy.log()] == [f"{s3.path}/a"] * 2


@pytest.mark.parametrize("wrong", ["access_key_id", "secret_access_key"])
def test_wrong_credentials_are_403(s3, proxy, wrong):
    place = s3.through(proxy)
    store = from_url(place.url, **place.obstore() | {wrong: "other"})
    with pytest.raises(PermissionDeniedError):
        obstore.get(store, "a")
    assert [one.status for one in proxy.log()] == [403]
