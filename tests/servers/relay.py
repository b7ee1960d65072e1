"""The process of a proxy: it relays HTTP requests to a server, later, counted, and with faults.

Rules of this file:

* A connection of a client has a connection to the server of its own, so requests that the client
  makes at once are processed at once; only the latency is added to each.
* Heads are parsed, bodies only counted: the bytes that are relayed are those that arrived. A client
  that announces a body and waits ("Expect") is told by the relay to go on.
* A request is under way from the end of its head to the last byte of its answer. It is in the log,
  with its outcome, before the client can see the last byte.
* With ``keep``, answers to GET and HEAD are kept and given again, until a request may change
  something. The server then takes no processor time from a client that is measured.
* Commands arrive on a second port, one JSON object a line, and each has one reply. The relay ends
  with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from servers.faults import Fault
from servers.http1 import END, Sized, body, closes, parse
from servers.process import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.http1 import Body

HIGH_WATER = 1 << 20
FIELDS = ("method", "target", "wants", "status", "received", "sent", "fault", "began", "ended")


class Exchange:
    """A request and its answer, as the log shows them."""

    __slots__ = FIELDS

    def __init__(self, method: str, target: str, wants: str | None, began: float) -> None:
        """Initialise with the values of the head."""
        self.method, self.target, self.wants, self.began = method, target, wants, began
        self.status: int | None = None
        self.fault: str | None = None
        self.ended: float | None = None
        self.received = self.sent = 0

    def entry(self) -> list[Any]:
        """Return it for the log, in the order of ``servers.proxy.Request``."""
        return [getattr(self, name) for name in FIELDS]


@dataclass(frozen=True)
class Kept:
    """An answer that is given again."""

    status: int
    data: bytes
    size: int


class State:
    """What the connections share: the settings, the log and the requests under way."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        """Initialise with the address of the server."""
        self.upstream, self.latency = upstream, 0.0
        self.loop = asyncio.get_running_loop()
        self.faults: list[Fault] = []
        self.log: list[Exchange] = []
        self.under_way = self.peak = 0
        self.stalled: list[Callable[[], None]] = []
        self.waiting: list[tuple[int, Callable[[int], None]]] = []
        self.keep = False
        self.kept: dict[tuple[str, str, str | None], Kept] = {}
        # The number of changes that have begun or ended.
        self.changes = 0

    def begin(self, method: str, target: str, wants: str | None) -> tuple[Exchange, Fault | None]:
        """Enter a request in the log, and return the fault that applies to it."""
        exchange = Exchange(method, target, wants, self.loop.time())
        self.log.append(exchange)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        self._changed(exchange)
        due = [one for one in self.faults if one.applies(method, target)]
        if due:
            exchange.fault = due[0].kind
        return exchange, due[0] if due else None

    def end(self, exchange: Exchange) -> None:
        """Note that an answer has ended, or its connection."""
        if exchange.ended is None:
            exchange.ended = self.loop.time()
            self.under_way -= 1
            self._changed(exchange)

    def _changed(self, exchange: Exchange) -> None:
        if self.keep and exchange.method not in ("GET", "HEAD"):
            self.changes += 1
            self.kept.clear()

    def stall(self, resume: Callable[[], None]) -> None:
        """Keep a request until ``release``."""
        self.stalled.append(resume)
        for wanted, reply in [one for one in self.waiting if one[0] <= len(self.stalled)]:
            self.waiting.remove((wanted, reply))
            reply(len(self.stalled))

    def release(self) -> None:
        """Let all stalled requests go on."""
        stalled, self.stalled = self.stalled, []
        for resume in stalled:
            resume()


class Client(asyncio.Protocol):
    """The connection of a client."""

    transport: asyncio.Transport

    def __init__(self, state: State) -> None:
        """Initialise between two requests."""
        self.state = state
        self.server: Server | None = None
        self.buffer = bytearray()
        self.exchange: Exchange | None = None
        self.fault: Fault | None = None
        self.body: Body = Sized(0)
        self.closing = self.forwarding = self.paused = False
        self.held: list[bytes] = []
        self.key: tuple[str, str, str | None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self.transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)

    def connection_lost(self, _: Exception | None) -> None:
        """Close the connection to the server, too."""
        if self.exchange:
            self.state.end(self.exchange)
            self.exchange = None
        if self.server:
            self.server.client = None
            self.server.transport.abort()
            self.server = None

    def pause_writing(self) -> None:
        """Receive no more of an answer than the client takes."""
        if self.server:
            self.server.transport.pause_reading()

    def resume_writing(self) -> None:
        """Receive again."""
        if self.server:
            self.server.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a head or of a body."""
        if self.exchange is None:
            self.buffer += data
            end = self.buffer.find(END)
            if end >= 0:
                head = bytes(self.buffer[:end])
                data = bytes(self.buffer[end + len(END) :])
                self.buffer.clear()
                self._begin(head, data)
        elif self.body.done:
            # The next request, which a client may send before it has the answer.
            self.buffer += data
        else:
            self._upload(data)

    def _begin(self, head: bytes, rest: bytes) -> None:
        first, headers = parse(head)
        method, target, _ = first.decode("latin-1").split(" ", 2)
        wants = headers.get(b"range")
        exchange, self.fault = self.state.begin(
            method, unquote(target), wants.decode("latin-1") if wants else None
        )
        self.exchange = exchange
        self.body = body(headers, 0)
        self.closing = closes(first, headers)
        self.key = None
        if self.state.keep and not self.fault and method in ("GET", "HEAD"):
            # An answer to a conditional request depends on its condition.
            conditional = any(name.startswith(b"if-") for name in headers)
            self.key = None if conditional else (method, target, exchange.wants)
            kept = self.state.kept.get(self.key) if self.key else None
            if kept:
                self.buffer += rest
                self.state.loop.call_later(self.state.latency, self._again, exchange, kept)
                return
        if b"expect" in headers:
            head = b"\r\n".join(
                line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")
            )
            if not self.body.done:
                self.transport.write(b"HTTP/1.1 100 Continue" + END)
        fault = self.fault
        local = fault and (fault.kind == "reset" or (fault.kind == "status" and not fault.forward))
        self.held = [] if local else [head + END]
        self.forwarding = bool(local)
        if rest or self.body.done:
            self._upload(rest)
        if local:
            return
        if fault and fault.kind == "stall" and fault.after is None:
            # A request is dropped if its client closes the connection, which only a reader notices.
            self.state.stall(lambda: self._later(exchange))
            return
        if not self.body.done:
            # What follows stays in the kernel until it can be forwarded.
            self.transport.pause_reading()
            self.paused = True
        self._later(exchange)

    def _again(self, exchange: Exchange, kept: Kept) -> None:
        if self.exchange is exchange:
            exchange.status, exchange.sent = kept.status, kept.size
            self.finish(kept.data)

    def _later(self, exchange: Exchange) -> None:
        if self.server is None:
            # One connection of the client makes one request at a time, so this one is its own.
            task = self.state.loop.create_task(self._connect())
            self._connecting = task
        self.state.loop.call_later(self.state.latency, self._forward, exchange)

    async def _connect(self) -> None:
        try:
            _, server = await self.state.loop.create_connection(
                lambda: Server(self), *self.state.upstream
            )
        except OSError:
            self.reset()
            return
        if self.transport.is_closing():
            server.transport.abort()
            return
        self.server = server

    def _forward(self, exchange: Exchange) -> None:
        if self.exchange is not exchange:
            return
        if self.server is None:
            # The connection is not made yet.
            self._connecting.add_done_callback(
                lambda _: self._forward(exchange) if self.server else None
            )
            return
        self.forwarding = True
        self.server.expect(exchange, self.fault, self.key)
        held, self.held = self.held, []
        self.server.transport.write(b"".join(held))
        if self.paused:
            self.paused = False
            self.transport.resume_reading()

    def _upload(self, data: bytes) -> None:
        assert self.exchange
        taken = self.body.feed(data)
        self.exchange.received += taken
        part = data if taken == len(data) else data[:taken]
        self.buffer += data[taken:]
        fault = self.fault
        if fault and fault.kind == "reset":
            self.reset()
        elif fault and fault.kind == "status" and not fault.forward:
            if self.body.done:
                self.answer(fault)
        elif not self.forwarding:
            self.held.append(part)
        elif self.server:
            self.server.transport.write(part)

    def answer(self, fault: Fault) -> None:
        """Answer with the status of a fault."""
        assert self.exchange
        self.exchange.status = fault.status
        data = fault.answer(self.exchange.method)
        self.exchange.sent += len(data) - data.find(END) - len(END)
        self.finish(data)

    def finish(self, data: bytes, *, close: bool = False) -> None:
        """Send the last bytes of an answer, and go on with the next request."""
        exchange, self.exchange = self.exchange, None
        if exchange:
            self.state.end(exchange)
        self.transport.write(data)
        if close or self.closing:
            self.transport.close()
        elif self.buffer:
            rest = bytes(self.buffer)
            self.buffer.clear()
            self.data_received(rest)

    def reset(self) -> None:
        """Reset the connection."""
        if self.exchange:
            self.state.end(self.exchange)
            self.exchange = None
        handle = self.transport.get_extra_info("socket")
        if handle is not None and not self.transport.is_closing():
            # A socket that does not linger is reset when it is closed.
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Server(asyncio.Protocol):
    """A connection to the server, of one connection of a client."""

    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        """Initialise with the connection of the client."""
        self.client: Client | None = client
        self.exchange: Exchange | None = None
        self.fault: Fault | None = None
        self.buffer = bytearray()
        self.body: Body | None = None
        self.closing = False
        self.at = 0
        self.limit: int | None = None
        self.key: tuple[str, str, str | None] | None = None
        self.parts: list[bytes] = []
        self.changes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self.transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)

    def connection_lost(self, _: Exception | None) -> None:
        """End an answer that lasts until here; an answer that is cut by the server stays so."""
        client = self.client
        if client is None:
            return
        client.server = None
        if self.exchange and client.exchange is self.exchange:
            if self.body and self.body.total is None and isinstance(self.body, Sized):
                client.finish(b"", close=True)
            else:
                client.reset()

    def pause_writing(self) -> None:
        """Receive no more of a request than the server takes."""
        if self.client:
            self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        """Receive again."""
        if self.client and not self.client.transport.is_closing():
            self.client.transport.resume_reading()

    def expect(
        self, exchange: Exchange, fault: Fault | None, key: tuple[str, str, str | None] | None
    ) -> None:
        """Prepare for the answer to a request, which is kept under a key, if there is one."""
        self.exchange, self.fault, self.key = exchange, fault, key
        self.parts = []
        self.changes = self.client.state.changes if self.client else 0
        self.body, self.at, self.limit = None, 0, None

    def data_received(self, data: bytes) -> None:
        """Receive a part of the answer."""
        if self.exchange is None or self.client is None:
            self.transport.abort()
            return
        if self.body is None:
            self.buffer += data
            while True:
                end = self.buffer.find(END)
                if end < 0:
                    return
                head = bytes(self.buffer[: end + len(END)])
                data = bytes(self.buffer[end + len(END) :])
                first, headers = parse(head[:-4])
                status = int(first.split(None, 2)[1])
                if status >= 200:
                    break
                # The relay itself has told the client to go on.
                del self.buffer[: end + len(END)]
            self.buffer.clear()
            self._begin(head, status, closes(first, headers), body(headers, None))
        else:
            head = b""
        assert self.body is not None
        taken = self.body.feed(data)
        self._relay(head, data if taken == len(data) else data[:taken])

    def _begin(self, head: bytes, status: int, closing: bool, framing: Body) -> None:
        assert self.exchange
        self.exchange.status = status
        if self.exchange.method == "HEAD" or status in (204, 304):
            framing = Sized(0)
        self.body, self.closing = framing, closing
        fault = self.fault
        if fault and (fault.kind in ("cut", "flip") or fault.after is not None):
            middle = (framing.total or 0) // 2
            self.limit = middle if fault.after is None else fault.after
            if fault.kind == "cut" and framing.total == 0:
                # There is nothing to cut but the head, in its first word.
                self.limit = len(b"HTTP/1.") - len(head)

    def _relay(self, head: bytes, data: bytes) -> None:
        client, exchange, framing = self.client, self.exchange, self.body
        assert client
        assert exchange
        assert framing
        fault, at = self.fault, self.at
        self.at += len(data)
        if fault and (fault.kind == "lost" or (fault.kind == "status" and fault.forward)):
            if framing.done:
                self.exchange = None
                if fault.kind == "lost":
                    client.reset()
                else:
                    client.answer(fault)
            return
        if fault and self.limit is not None and self.at >= self.limit and client.exchange:
            if fault.kind == "cut":
                kept = head + data[: self.limit - at] if self.limit >= 0 else head[: self.limit]
                exchange.sent += max(self.limit - at, 0)
                self.exchange = None
                client.finish(kept, close=True)
                return
            if fault.kind == "flip" and at <= self.limit < self.at:
                changed = bytearray(data)
                changed[self.limit - at] ^= 1
                data = bytes(changed)
            if fault.kind == "stall":
                self._stall(head, data, self.limit - at)
                return
        exchange.sent += len(data)
        part = head + data if head else data
        if self.key:
            self._keep(client.state, exchange, part)
        self._send(part)

    def _keep(self, state: State, exchange: Exchange, part: bytes) -> None:
        assert self.body
        assert self.key
        self.parts.append(part)
        # An answer that began before a change may be that of before.
        if self.body.done and exchange.status in (200, 206) and self.changes == state.changes:
            whole = b"".join(self.parts)
            state.kept[self.key] = Kept(exchange.status, whole, exchange.sent)

    def _stall(self, head: bytes, data: bytes, kept: int) -> None:
        client = self.client
        assert client
        assert self.exchange
        self.exchange.sent += kept
        client.transport.write(head + data[:kept])
        self.fault = self.limit = None
        self.transport.pause_reading()

        def resume() -> None:
            if self.client and self.exchange and self.client.exchange is self.exchange:
                self.exchange.sent += len(data) - kept
                self.transport.resume_reading()
                self._send(data[kept:])

        client.state.stall(resume)

    def _send(self, data: bytes) -> None:
        client, framing = self.client, self.body
        assert client
        assert framing
        if framing.done:
            self.exchange = None
            if self.closing:
                self.client = client.server = None
                self.transport.abort()
            client.finish(data, close=self.closing)
        else:
            client.transport.write(data)


class Control(asyncio.Protocol):
    """The connection of the process that controls the relay."""

    transport: asyncio.Transport

    def __init__(self, state: State) -> None:
        """Initialise with what the connections share."""
        self.state, self.buffer = state, bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Carry out the commands that have arrived."""
        self.buffer += data
        while (end := self.buffer.find(b"\n")) >= 0:
            command = json.loads(self.buffer[:end])
            del self.buffer[: end + 1]
            getattr(self, f"do_{command.pop('do')}")(**command)

    def _reply(self, value: Any = None) -> None:
        if not self.transport.is_closing():
            self.transport.write(json.dumps(value).encode() + b"\n")

    def do_latency(self, seconds: float) -> None:
        """Add a time to each request that follows."""
        self.state.latency = seconds
        self._reply()

    def do_fault(self, **fault: Any) -> None:
        """Add a fault."""
        self.state.faults.append(Fault(**fault))
        self._reply()

    def do_clear(self) -> None:
        """Remove all faults."""
        self.state.faults.clear()
        self.state.release()
        self._reply()

    def do_keep(self, on: bool) -> None:
        """Keep answers, or forget those that are kept."""
        self.state.keep = on
        self.state.changes += 1
        self.state.kept.clear()
        self._reply()

    def do_release(self) -> None:
        """Let stalled requests go on."""
        self.state.release()
        self._reply()

    def do_wait(self, stalled: int, seconds: float) -> None:
        """Reply with the number of stalled requests, as soon as there are so many, or later."""
        state = self.state
        if len(state.stalled) >= stalled:
            self._reply(len(state.stalled))
            return
        one = stalled, self._reply
        state.waiting.append(one)

        def give_up() -> None:
            if one in state.waiting:
                state.waiting.remove(one)
                self._reply(len(state.stalled))

        state.loop.call_later(seconds, give_up)

    def do_log(self) -> None:
        """Reply with the log, the requests under way, and the most there were."""
        entries = [one.entry() for one in self.state.log]
        self._reply([entries, self.state.under_way, self.state.peak])

    def do_forget(self) -> None:
        """Empty the log."""
        self.state.log.clear()
        self.state.peak = self.state.under_way
        self._reply()


async def serve(upstream: tuple[str, int], host: str, port: int, control: int) -> None:
    """Begin to serve."""
    loop, state = asyncio.get_running_loop(), State(upstream)
    await loop.create_server(lambda: Client(state), host, port, backlog=1024)
    await loop.create_server(lambda: Control(state), host, control)


def main() -> None:
    """Serve: the arguments are the address of the server, a host and two ports."""
    name, number, host, port, control = sys.argv[1:]
    run(serve((name, int(number)), host, int(port), int(control)))


if __name__ == "__main__":
    main()
