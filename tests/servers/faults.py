"""The faults that a proxy injects, and which requests they apply to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

KINDS = ("status", "reset", "cut", "flip", "stall", "lost")
_CODES = {
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass
class Fault:
    """A fault, and the requests it applies to.

    ``kind`` is one of

    * ``status``: the answer is an error of this status. The request does not reach the server,
      unless ``forward`` is true: then it is processed there, and its answer replaced.
    * ``reset``: the connection is reset; the request does not reach the server.
    * ``lost``: the request is processed by the server, then the connection is reset.
    * ``cut``: the connection is closed after ``after`` bytes of the body, by default half of it.
      An answer without a body is cut in its head.
    * ``flip``: one bit of byte ``after`` of the body is flipped, by default in its middle.
    * ``stall``: there is no answer until the proxy is told to go on. The request does not reach the
      server before, and never does if its client closes the connection. If ``after`` is given, the
      answer stalls after as many bytes of its body instead.

    It applies to requests of ``method`` (None is any) whose target, decoded, contains the regular
    expression ``target``: the ``first`` of them (from 1) and those that follow, ``times`` in all
    (None is all).
    """

    kind: str
    status: int = 503
    method: str | None = None
    target: str = ""
    first: int = 1
    times: int | None = 1
    after: int | None = None
    forward: bool = False
    retry_after: int | None = None
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Raise ValueError if there is no such kind."""
        if self.kind not in KINDS:
            msg = f"no fault {self.kind!r}; there are {', '.join(KINDS)}"
            raise ValueError(msg)
        self._pattern = re.compile(self.target)

    def applies(self, method: str, target: str) -> bool:
        """Count a request, and return whether the fault applies to it."""
        if self.method not in (None, method) or not self._pattern.search(target):
            return False
        self.seen += 1
        past = self.seen - self.first
        return past >= 0 and (self.times is None or past < self.times)

    def answer(self, method: str) -> bytes:
        """Return an error of the status, in the way of S3."""
        code = _CODES.get(self.status, "InternalError")
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
        retry = "" if self.retry_after is None else f"Retry-After: {self.retry_after}\r\n"
        head = (
            f"HTTP/1.1 {self.status} {code}\r\nContent-Type: application/xml\r\n"
            f"{retry}Content-Length: {len(text)}\r\n\r\n"
        )
        return (head if method == "HEAD" else head + text).encode()
