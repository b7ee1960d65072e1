"""A server of Azure Blob Storage: Azurite, Microsoft's emulator, which ``make test`` installs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import shutil
import tempfile
from contextlib import closing, contextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.process import HOST, KEEPER, UnavailableError, start

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = "box"
# The account of every Azurite.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"
# Where the Makefile has it installed.
_INSTALLED = Path(__file__).parents[2] / "build/azurite/node_modules/.bin"


def _created(port: int) -> bool:
    """Create the container; return whether the server has done so."""
    when = formatdate(usegmt=True)
    signed = f"PUT{12 * chr(10)}x-ms-date:{when}\nx-ms-version:{_VERSION}\n"
    signed += f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    headers = {"x-ms-date": when, "x-ms-version": _VERSION, "Content-Length": "0"}
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with closing(connection), suppress(OSError):
        connection.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", headers=headers)
        return connection.getresponse().status == 201
    return False


@contextmanager
def running() -> Iterator[dict[str, Any]]:
    """Run the server, with an empty container, and return the options of obstore for it."""
    program = shutil.which("azurite-blob", path=_INSTALLED) or shutil.which("azurite-blob")
    if program is None:
        msg = "Azurite is not installed (make test does so where there is npm)"
        raise UnavailableError(msg)
    folder = Path(tempfile.mkdtemp(prefix="fastzarr-azure-"))
    try:
        server = start(
            lambda ports: [
                *(*KEEPER, str(folder / "data"), program, "--blobHost", HOST),
                *("--blobPort", str(ports[0]), "--location", str(folder / "data")),
                *("--skipApiVersionCheck", "--disableTelemetry"),
            ],
            lambda ports: _created(ports[0]),
            folder / "log",
            ports=1,
        )
        try:
            yield {
                "account_name": ACCOUNT,
                "account_key": KEY,
                "endpoint": f"{server.url}/{ACCOUNT}",
                "client_options": {"allow_http": True},
            }
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
