"""What tests and stores rely on: how the HTTP server for files answers."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit

import pytest

from servers.asking import ask, connect, once


@pytest.fixture
def get(http_server):
    """Request a file, with a mode and a method."""

    def send(name, mode="ranges", method="GET", **headers):
        url = http_server.url(mode)
        return once(url, method, f"{urlsplit(url).path}/{name}", **headers)

    return send


def test_a_file_comes_with_its_length_and_validators(http_server, get):
    (http_server.path / "a").mkdir()
    (http_server.path / "a/ö 1").write_bytes(b"hello!")
    answer = get("a/%C3%B6%201")
    assert (answer.status, answer.body) == (200, b"hello!")
    assert answer.headers["accept-ranges"] == "bytes"
    assert {"etag", "last-modified"} <= set(answer.headers)
    head = get("a/%C3%B6%201", method="HEAD")
    assert (head.status, head.body, head.headers) == (200, b"", answer.headers)
    etag = answer.headers["etag"]
    assert get("a/%C3%B6%201", If_None_Match=etag).status == 304
    assert get("a/%C3%B6%201", If_Match='"other"').status == 412
    (http_server.path / "a/ö 1").write_bytes(b"hello again!")
    changed = get("a/%C3%B6%201", If_None_Match=etag)
    assert (changed.status, changed.body) == (200, b"hello again!")
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize(
    ("wanted", "status", "body", "stated"),
    [
        ("bytes=0-2", 206, b"hel", "bytes 0-2/6"),
        ("bytes=2-", 206, b"llo!", "bytes 2-5/6"),
        ("bytes=-3", 206, b"lo!", "bytes 3-5/6"),
        ("bytes=0-100", 206, b"hello!", "bytes 0-5/6"),
        ("bytes=-100", 206, b"hello!", "bytes 0-5/6"),
        ("bytes=6-", 416, b"", "bytes */6"),
        ("bytes=-0", 416, b"", "bytes */6"),
        # What a server does not understand, it may ignore.
        ("bytes=0-1,3-4", 200, b"hello!", None),
        ("lines=0-1", 200, b"hello!", None),
    ],
)
def test_ranges(http_server, get, wanted, status, body, stated):
    (http_server.path / "a").write_bytes(b"hello!")
    answer = get("a", Range=wanted)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("content-range") == stated


def test_ranges_are_ignored_by_some_servers(http_server, get):
    (http_server.path / "a").write_bytes(b"hello!")
    answer = get("a", "whole", Range="bytes=1-2")
    assert (answer.status, answer.body) == (200, b"hello!")
    assert not {"accept-ranges", "content-range"} & set(answer.headers)


def test_an_empty_file_exists(http_server, get):
    (http_server.path / "a").write_bytes(b"")
    assert (get("a").status, get("a").body) == (200, b"")
    assert get("a", Range="bytes=-4").status == 416


@pytest.mark.parametrize(("mode", "status"), [("ranges", 404), ("whole", 404), ("closed", 403)])
def test_missing_files(http_server, get, mode, status):
    (http_server.path / "a").write_bytes(b"hello!")
    assert get("a", mode).status == 200
    for name in ("b", "a/b", "../../etc"):
        answer = get(name, mode)
        assert (answer.status, answer.body) == (status, b"")


def test_folders_are_not_listed_and_nothing_is_written(http_server, get):
    (http_server.path / "a").mkdir()
    assert get("a").status == 403
    assert get("").status == 403
    assert get("a", method="PROPFIND").status == 405
    url = http_server.url()
    assert once(url, "PUT", f"{urlsplit(url).path}/b", b"1").status == 405
    assert [one.name for one in http_server.path.iterdir()] == ["a"]


def test_a_connection_is_used_again_and_passes_a_proxy(http_server, http_proxy):
    (http_server.path / "a").write_bytes(b"hello!" * 100_000)
    url = http_server.through(http_proxy).url()
    with closing(connect(url)) as connection:
        for _ in range(3):
            answer = ask(connection, "GET", f"{urlsplit(url).path}/a")
            assert (answer.status, len(answer.body)) == (200, 600_000)
    assert http_proxy.methods() == {"GET": 3}
