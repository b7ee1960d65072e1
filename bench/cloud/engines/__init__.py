"""The engines of the rows about object stores, one file each, imported on demand.

All are allowed 64 requests at once, and sign them. An engine keeps one client for all that it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.base import Engine, MissingError

if TYPE_CHECKING:
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array, Shape

CONCURRENCY = 64
# The order of the columns: fastzarr first, and last what nothing can be faster than: a bare client,
# which fetches and decodes nothing, and decoding from memory, which fetches nothing.
ENGINES = {
    "fastzarr": ("fastzarr", "Fastzarr"),
    "tensorstore": ("tensorstore", "TensorStore"),
    "zarrista": ("zarrista", "Zarrista"),
    "zarr-obstore": ("zarr", "ZarrObstore"),
    "zarr-fsspec": ("zarr", "ZarrFsspec"),
    "icechunk": ("icechunk", "Icechunk"),
    "client": ("client", "Client"),
    "decoding": ("fastzarr", "Decoding"),
}
PEERS = tuple(ENGINES)[1:-2]


class CloudEngine(Engine):
    """The operations of one library on arrays in an object store."""

    # Whether the results are not decoded, so that they cannot be compared.
    bare = False
    cloud: Cloud

    def connect(self, cloud: Cloud, name: str) -> None:
        """Prepare for work on an array or a group."""
        del name
        self.cloud = cloud

    def fresh(self, name: str, number: str) -> Remote:
        """Create an array to write to; not timed."""
        return self.cloud.fresh(name, number)

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open an array."""
        self.refuse("open")

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Return the names and shapes of the arrays in a group."""
        self.refuse("arrays")

    def rows(self, array: Any, rows: Array) -> Any:
        """Read rows."""
        return self.orthogonal(array, [rows])


def load(name: str) -> CloudEngine:
    """Return an engine; raise ``MissingError``, with the reason, if it is not installed."""
    module, kind = ENGINES[name]
    try:
        engine: CloudEngine = getattr(import_module(f"bench.cloud.engines.{module}"), kind)()
    except ImportError as error:
        msg = f"{error.name or name} is not installed"
        raise MissingError(msg) from error
    return engine
