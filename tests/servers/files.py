"""An HTTP server for the files of a folder, without listings, as plain web servers are.

It serves the same folder several times: below ``/ranges`` with ranges, below ``/whole`` without,
where a range is answered with the whole file, and below ``/closed`` with 403 in place of 404, as
object stores do for those who may not list. Run as a program, this file is the server.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from servers.http1 import END, closes, parse
from servers.process import HOST, run, start_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.http1 import Headers
    from servers.proxy import Proxy

MODES = ("ranges", "whole", "closed")
_REASONS = {
    200: "OK",
    206: "Partial Content",
    304: "Not Modified",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
}


@dataclass(frozen=True)
class Folder:
    """A folder, and the URL of the server (or of a proxy before it), by which it can be read."""

    path: Path
    server: str

    def url(self, mode: str = "ranges") -> str:
        """Return the URL of the folder in a mode."""
        return f"{self.server}/{mode}/{self.path.name}"

    def through(self, proxy: Proxy) -> Folder:
        """Return the same folder as reached through a proxy."""
        return replace(self, server=proxy.url)


@contextmanager
def running(root: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Run the server; return its ``host:port`` and the folder it serves."""
    folder = Path(tempfile.mkdtemp(prefix="fastzarr-http-", dir=root))
    (folder / "files").mkdir()
    try:
        server = start_module("servers.files", folder / "files", HOST, log=folder / "log")
        try:
            yield server.host, folder / "files"
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def extent(wanted: bytes, size: int) -> tuple[int, int] | None:
    """Return where a range begins and ends, or None if it is not understood.

    The end is not after the beginning if no byte of the file is in the range.
    """
    unit, _, text = wanted.partition(b"=")
    first, dash, last = text.strip().partition(b"-")
    if unit.strip() != b"bytes" or not dash or not (first + last).isdigit():
        return None
    if not first:
        return max(size - int(last), 0), size if int(last) else 0
    return int(first), min(int(last) + 1, size) if last else size


class Connection(asyncio.Protocol):
    """A connection of a client."""

    transport: asyncio.Transport

    def __init__(self, root: Path) -> None:
        """Initialise with the folder that is served."""
        self.root, self.buffer = root, bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer the requests that have arrived."""
        self.buffer += data
        while (end := self.buffer.find(END)) >= 0 and not self.transport.is_closing():
            first, headers = parse(bytes(self.buffer[:end]))
            del self.buffer[: end + len(END)]
            method, target, _ = first.split(b" ", 2)
            if method not in (b"GET", b"HEAD"):
                # Its body is not looked for.
                self._answer(405, {"Connection": "close", "Allow": "GET, HEAD"})
                self.transport.close()
                return
            self._file(method == b"HEAD", unquote(target.decode()), headers)
            if closes(first, headers):
                self.transport.close()

    def _answer(
        self, status: int, headers: dict[str, object], body: bytes = b"", length: int | None = None
    ) -> None:
        stated = {"Content-Length": len(body) if length is None else length, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in stated.items())
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}\r\n".encode()
        self.transport.write(head + body)

    def _file(self, head: bool, target: str, headers: Headers) -> None:
        mode, _, path = target.partition("?")[0].lstrip("/").partition("/")
        missing = 403 if mode == "closed" else 404
        if mode not in MODES or ".." in path.split("/"):
            self._answer(missing, {})
            return
        try:
            handle = os.open(self.root / path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            self._answer(missing, {})
            return
        try:
            self._opened(handle, head, mode, headers)
        finally:
            os.close(handle)

    def _opened(self, handle: int, head: bool, mode: str, headers: Headers) -> None:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            self._answer(403, {})
            return
        size, etag = about.st_size, f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
        stated: dict[str, object] = {
            "ETag": etag,
            "Last-Modified": formatdate(about.st_mtime, usegmt=True),
        }
        if headers.get(b"if-none-match", b"").decode() in (etag, "*"):
            self._answer(304, stated, length=size)
            return
        if headers.get(b"if-match", etag.encode()).decode() not in (etag, "*"):
            self._answer(412, stated)
            return
        begin, end, status = 0, size, 200
        if mode != "whole":
            stated["Accept-Ranges"] = "bytes"
            found = extent(headers[b"range"], size) if b"range" in headers else None
            if found:
                begin, end = found
                if begin >= end:
                    self._answer(416, {**stated, "Content-Range": f"bytes */{size}"})
                    return
                status = 206
                stated["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        if head:
            self._answer(status, stated, length=end - begin)
        else:
            self._answer(status, stated, os.pread(handle, end - begin, begin))


async def serve(root: Path, host: str, port: int) -> None:
    """Begin to serve a folder."""
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Connection(root), host, port, backlog=1024)


def main() -> None:
    """Serve: the arguments are a folder, a host and a port."""
    root, host, port = sys.argv[1:]
    run(serve(Path(root), host, int(port)))


if __name__ == "__main__":
    main()
