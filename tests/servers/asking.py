"""Plain HTTP requests of tests."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(url: str, timeout: float = 60) -> http.client.HTTPConnection:
    """Return a connection to the server of a URL."""
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    """Make a request; an underscore in the name of a header is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, found, answer.read())


def once(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Make a request with a connection of its own."""
    with closing(connect(url)) as connection:
        return ask(connection, method, path, body, **headers)
