"""Server processes: started on free ports, awaited, and stopped.

Rules of this file:

* A server writes to a log file, which the error contains if it does not start.
* A free port may be taken by another process before the server listens on it. A server that ends
  while it starts is therefore started again, on other ports. A connection does not tell which
  process listens: our own servers say so in their logs.
* A server ends when its standard input does, hence also if its user is killed. ``KEEPER``, a folder
  and a command line are a command that does so for another program, and deletes the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

ATTEMPTS = 3
PATIENCE = 60.0
HOST = "127.0.0.1"
READY = "listens on all its ports"
KEEPER = (sys.executable, str(Path(__file__).with_name("keeper.py")))


class UnavailableError(Exception):
    """Raised, with the reason, if a server cannot be had on this machine."""


def free_ports(count: int) -> list[int]:
    """Return different ports that no process listens on."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind((HOST, 0))
            found.append(one.getsockname()[1])
        return found


def listens(port: int) -> bool:
    """Whether a process listens on a port."""
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


class Server:
    """A running server process."""

    def __init__(self, process: subprocess.Popen[bytes], ports: Sequence[int], log: Path) -> None:
        """Initialise with the process, its log and its ports, the first being the public one."""
        self.process, self.ports, self.log = process, list(ports), log
        self.host = f"{HOST}:{self.ports[0]}"
        self.url = f"http://{self.host}"

    def cpu(self) -> float:
        """Return the processor time that the process has used, in seconds; 0 if unknown."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def said(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Let the process end with its standard input, and wait for that."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    command: Callable[[Sequence[int]], Sequence[str]],
    ready: Callable[[Sequence[int]], bool],
    log: Path,
    ports: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start a server and return it as soon as it is ready.

    ``command`` returns the command line for a list of as many ports as ``ports`` says, and
    ``ready`` whether the server at these ports answers.
    """
    for _ in range(ATTEMPTS):
        numbers = free_ports(ports)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(numbers),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
            )
        server = Server(process, numbers, log)
        end = time.monotonic() + PATIENCE
        try:
            while process.poll() is None:
                if ready(numbers):
                    return server
                if time.monotonic() > end:
                    break
                time.sleep(0.02)
        except BaseException:
            server.stop()
            raise
        server.stop()
    msg = f"{command([0] * ports)[0]} did not start: {server.said()}"
    raise RuntimeError(msg)


def python(module: str, *arguments: object) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of a server that is a module."""
    # Large buffers are taken from the heap again and again, not from the kernel.
    large = str(1 << 26)
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "MALLOC_MMAP_THRESHOLD_": large,
        "MALLOC_TRIM_THRESHOLD_": large,
    }
    return [sys.executable, "-m", module, *map(str, arguments)], environment


def start_module(module: str, *arguments: object, log: Path, ports: int = 1) -> Server:
    """Start a server that is a module, whose last arguments are its ports; it calls ``run``."""
    command, environment = python(module, *arguments)
    return start(
        lambda numbers: [*command, *map(str, numbers)],
        lambda _: READY in log.read_text(errors="replace"),
        log,
        ports,
        environment,
    )


def run(main: Coroutine[None, None, None]) -> None:
    """Run such a server until its standard input ends, on uvloop if that is installed.

    ``main`` returns as soon as the server listens, or raises an error.
    """
    try:
        from uvloop import run
    except ImportError:
        run = asyncio.run

    async def until_the_end() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def watch() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=watch, daemon=True).start()
        await main
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await ended.wait()

    run(until_the_end())
