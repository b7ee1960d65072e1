"""The framing of HTTP/1.1 messages: where a head and a body end."""

from __future__ import annotations

END = b"\r\n\r\n"
Headers = dict[bytes, bytes]


def parse(head: bytes) -> tuple[bytes, Headers]:
    """Return the first line of a head and its headers, with names in lower case."""
    first, *lines = head.split(b"\r\n")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.lower()] = value.strip()
    return first, headers


class Sized:
    """A body of known length, or one that lasts until its connection is closed."""

    __slots__ = ("done", "left", "total")

    def __init__(self, total: int | None) -> None:
        """Initialise with the number of bytes, or None."""
        self.total = self.left = total
        self.done = total == 0

    def feed(self, data: bytes) -> int:
        """Return how many bytes belong to the body."""
        if self.left is None:
            return len(data)
        taken = min(len(data), self.left)
        self.left -= taken
        self.done = not self.left
        return taken


class Chunked:
    """A body of chunks that state their sizes."""

    __slots__ = ("done", "line", "skip", "total", "trailer")

    def __init__(self) -> None:
        """Initialise before the first chunk."""
        self.total = None
        self.done = self.trailer = False
        self.skip, self.line = 0, bytearray()

    def feed(self, data: bytes) -> int:
        """Return how many bytes belong to the body."""
        at = 0
        while at < len(data) and not self.done:
            if self.skip:
                step = min(self.skip, len(data) - at)
                self.skip -= step
                at += step
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self.line += data[at:]
                return len(data)
            line = bytes(self.line + data[at:end]).strip()
            self.line.clear()
            at = end + 1
            if self.trailer:
                self.done = not line
            else:
                size = int(line.partition(b";")[0], 16)
                # The data of a chunk ends with a line break.
                self.skip = size + 2 if size else 0
                self.trailer = not size
        return at


Body = Sized | Chunked


def body(headers: Headers, otherwise: int | None) -> Body:
    """Return the framing of a message; ``otherwise`` is the length if the headers state none."""
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return Chunked()
    length = headers.get(b"content-length")
    return Sized(otherwise if length is None else int(length))


def closes(first: bytes, headers: Headers) -> bool:
    """Whether the connection is closed after a message."""
    said = headers.get(b"connection", b"").lower()
    return b"close" in said or (b"HTTP/1.0" in first and b"keep-alive" not in said)
