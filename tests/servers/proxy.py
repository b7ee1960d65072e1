"""A proxy before a server, which adds latency, counts requests, and injects faults.

::

    with proxy.running(server.host) as before:
        before.latency(0.02)
        before.fault("status", status=503, target="/c/0", times=2)
        ...  # requests to before.url
        assert before.count("GET") == 500
        assert before.peak >= 32
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from servers.faults import Fault
from servers.process import HOST, PATIENCE, start_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.process import Server


class Request(NamedTuple):
    """A request in the log of a proxy; ``ended`` is None while it is under way."""

    method: str
    target: str
    range: str | None
    status: int | None
    received: int
    sent: int
    fault: str | None
    began: float
    ended: float | None


class Proxy:
    """The control of a running proxy. Requests go to ``url``."""

    def __init__(self, server: Server) -> None:
        """Initialise with its process."""
        self.server, self.url, self.host = server, server.url, server.host
        # A relay replies at once, but for ``wait_for_stalled``.
        self._socket = socket.create_connection((HOST, server.ports[1]), 3 * PATIENCE)
        self._replies = self._socket.makefile("rb")

    def _ask(self, do: str, **options: Any) -> Any:
        self._socket.sendall(json.dumps({"do": do, **options}).encode() + b"\n")
        try:
            reply = self._replies.readline()
        except OSError:
            reply = b""
        if not reply:
            msg = f"the relay gave no reply to {do!r}: {self.server.said()}"
            raise ConnectionError(msg)
        return json.loads(reply)

    def latency(self, seconds: float) -> None:
        """Add a time to each request that follows."""
        self._ask("latency", seconds=seconds)

    def fault(self, kind: str, **rule: Any) -> None:
        """Inject a fault into some of the requests that follow; see ``Fault`` for the rule.

        Of several faults that apply to a request, the first one is injected.
        """
        options = asdict(Fault(kind, **rule))
        del options["seen"]
        self._ask("fault", **options)

    def clear(self) -> None:
        """Remove all faults, and let stalled requests go on."""
        self._ask("clear")

    def keep(self, on: bool = True) -> None:
        """Give answers to GET and HEAD again, from memory, until a request may change something.

        They are delayed and counted as others, but cost the server no time. Requests to which a
        fault applies, and conditional ones, reach the server.
        """
        self._ask("keep", on=on)

    def release(self) -> None:
        """Let stalled requests go on."""
        self._ask("release")

    def wait_for_stalled(self, count: int = 1, seconds: float = 2 * PATIENCE) -> None:
        """Wait until so many requests are stalled; raise TimeoutError if that takes longer."""
        found = self._ask("wait", stalled=count, seconds=seconds)
        if found < count:
            last = "\n".join(map(str, self.log()[-20:]))
            msg = (
                f"{found} of {count} requests are stalled after {seconds} s, and {self.under_way}"
                f" are under way. The last ones:\n{last}\n{self.server.said()}"
            )
            raise TimeoutError(msg)

    def forget(self) -> None:
        """Empty the log."""
        self._ask("forget")

    def log(self) -> list[Request]:
        """Return all requests since the start or the last ``forget``."""
        return [Request(*entry) for entry in self._ask("log")[0]]

    def count(self, method: str | None = None) -> int:
        """Return the number of requests in the log, of one method or of all."""
        return sum(method in (None, one.method) for one in self.log())

    def methods(self) -> dict[str, int]:
        """Return the number of requests in the log of each method."""
        return dict(Counter(one.method for one in self.log()))

    @property
    def under_way(self) -> int:
        """The number of requests that have not been answered yet."""
        return int(self._ask("log")[1])

    @property
    def peak(self) -> int:
        """The most requests that were under way at once since the last ``forget``."""
        return int(self._ask("log")[2])

    def restore(self) -> None:
        """Remove the latency, all faults, kept answers and the log."""
        self.latency(0)
        self.keep(on=False)
        self.clear()
        self.forget()

    def close(self) -> None:
        """Close the connection of the control."""
        self._replies.close()
        self._socket.close()


@contextmanager
def running(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before the server at ``host:port``."""
    name, number = upstream.rsplit(":", 1)
    with tempfile.TemporaryDirectory(prefix="fastzarr-proxy-") as folder:
        log = Path(folder) / "log"
        server = start_module("servers.relay", name, number, HOST, log=log, ports=2)
        try:
            control = Proxy(server)
            try:
                yield control
            finally:
                control.close()
        finally:
            server.stop()
