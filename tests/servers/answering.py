"""An HTTP server in this process whose answers are those of a function.

It is for what no server does, or only sometimes: redirects, wrong ranges, short answers, pages of
HTML in place of 404, credentials that expire. With TLS its certificate is its own, so that clients
must be told not to verify it; the program ``openssl`` makes that.

::

    with answering(lambda asked: Reply(200, b"value")) as server:
        ...  # requests to server.url
        assert [one.target for one in server.asked] == ["/a"]
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from servers.process import HOST, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Asked(NamedTuple):
    """A request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Reply:
    """An answer. The length that it states is that of its body unless ``headers`` has another."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Answering:
    """A running server: its URL, and the requests that it has received."""

    def __init__(self, url: str) -> None:
        """Initialise with the URL."""
        self.url, self.host = url, url.partition("://")[2]
        self.asked: list[Asked] = []


def _handler(answer: Callable[[Asked], Reply], seen: list[Asked]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A client that sends nothing is not waited for.
        timeout = 60

        def handle(self) -> None:
            if isinstance(self.connection, ssl.SSLSocket):
                try:
                    self.connection.do_handshake()
                except OSError:  # the client does not want this certificate, or is gone
                    return
            super().handle()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            seen.append(asked)
            reply = answer(asked)
            stated = {"Content-Length": str(len(reply.body))} | reply.headers
            self.send_response(reply.status)
            for name, value in stated.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
                # A client would wait for the rest of a body that is too short.
                self.close_connection = int(stated["Content-Length"]) != len(reply.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  (of http.server)

        def log_message(self, *_: object) -> None:
            """Write nothing to the standard error."""

    return Handler


def _certified() -> ssl.SSLContext:
    """Return the settings of a server with TLS and a new certificate."""
    program = shutil.which("openssl")
    if program is None:
        msg = "openssl is not installed, which makes the certificate of the server"
        raise UnavailableError(msg)
    with tempfile.TemporaryDirectory(prefix="fastzarr-tls-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        subprocess.run(
            [
                *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


@contextmanager
def answering(answer: Callable[[Asked], Reply], *, tls: bool = False) -> Iterator[Answering]:
    """Run a server whose answer to each request is that of a function."""
    seen: list[Asked] = []
    with ThreadingHTTPServer((HOST, 0), _handler(answer, seen)) as server:
        server.daemon_threads = True
        if tls:
            # Handlers shake hands: the thread that accepts would wait for each client.
            server.socket = _certified().wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running = Answering(f"{'https' if tls else 'http'}://{HOST}:{server.server_port}")
        running.asked = seen
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
