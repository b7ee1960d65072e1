"""An SFTP server in this process, for the files below a folder, over paramiko."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER, PASSWORD = "user", "secret"


class _Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        known = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.OPEN_SUCCEEDED


def _answered(call: Callable[[], object]) -> Any:
    """Return the result of a call, or the status of its error."""
    try:
        found = call()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno or 0)
    return paramiko.SFTP_OK if found is None else found


class _Files(paramiko.SFTPServerInterface):
    """The files of this computer, by their paths."""

    def stat(self, path: str) -> Any:
        return _answered(lambda: paramiko.SFTPAttributes.from_stat(Path(path).stat()))

    lstat = stat

    def list_folder(self, path: str) -> Any:
        def entries() -> list[Any]:
            with os.scandir(path) as found:
                return [
                    paramiko.SFTPAttributes.from_stat(entry.stat(), entry.name) for entry in found
                ]

        return _answered(entries)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        del attr

        def opened() -> Any:
            writes = flags & (os.O_WRONLY | os.O_RDWR)
            file = os.fdopen(os.open(path, flags, 0o666), "r+b" if writes else "rb")
            handle = paramiko.SFTPHandle(flags)
            vars(handle).update(readfile=file, writefile=file)
            return handle

        return _answered(opened)

    def remove(self, path: str) -> Any:
        return _answered(lambda: Path(path).unlink())

    def rename(self, oldpath: str, newpath: str) -> Any:
        return _answered(lambda: os.rename(oldpath, newpath))  # noqa: PTH104  (it returns None)

    posix_rename = rename

    def mkdir(self, path: str, attr: Any) -> Any:
        del attr
        return _answered(lambda: Path(path).mkdir())

    def rmdir(self, path: str) -> Any:
        return _answered(lambda: Path(path).rmdir())


@contextmanager
def sftp() -> Iterator[int]:
    """Serve the files of this computer, and yield the port."""
    key = paramiko.RSAKey.generate(2048)
    transports: list[Any] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the server is closed
            while True:
                connection, _ = listener.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
                transports.append(transport)
                transport.start_server(server=_Login())

    thread = threading.Thread(target=accept, name="sftp", daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for transport in transports:
            transport.close()
