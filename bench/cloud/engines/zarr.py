"""zarr-python: on obstore, and on s3fs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from bench.cloud.engines import CONCURRENCY, CloudEngine
from bench.engines.zarr import ZarrPython

if TYPE_CHECKING:
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array, Shape


def opened(store: Any, path: str, *, write: bool = False) -> Any:
    """Open an array of a store."""
    return zarr.open_array(store, path=path, mode="r+" if write else "r")


def shapes(group: Any) -> dict[str, Shape]:
    """Return the names and shapes of the arrays in a group."""
    return {name: array.shape for name, array in group.arrays()}


class ZarrObstore(CloudEngine, ZarrPython):
    """zarr-python on obstore."""

    name = "zarr-obstore"

    def __init__(self) -> None:
        """Allow requests at once."""
        zarr.config.set({"async.concurrency": CONCURRENCY})

    def version(self) -> str:
        """Return the versions."""
        from importlib.metadata import version

        return f"zarr {zarr.__version__}, obstore {version('obstore')}"

    def connect(self, cloud: Cloud, name: str) -> None:
        """Make the client."""
        super().connect(cloud, name)
        self.store: Any = zarr.storage.ObjectStore(cloud.client(cloud.proxied))

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open an array."""
        return opened(self.store, place.prefix, write=write)

    def rows(self, array: Any, rows: Array) -> Any:
        """Read rows."""
        return array.oindex[rows]

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Return the names and shapes of the arrays in a group."""
        return shapes(zarr.open_group(self.store, path=place.prefix, mode="r"))


class ZarrFsspec(ZarrObstore):
    """zarr-python on s3fs."""

    name = "zarr-fsspec"

    def version(self) -> str:
        """Return the versions."""
        from importlib.metadata import version

        return f"zarr {zarr.__version__}, s3fs {version('s3fs')}"

    def connect(self, cloud: Cloud, name: str) -> None:
        """Make the client."""
        CloudEngine.connect(self, cloud, name)
        options = cloud.keywords(cloud.proxied)
        self.store = zarr.storage.FsspecStore.from_url(
            f"s3://{cloud.bucket}",
            storage_options={
                "key": options["access_key_id"],
                "secret": options["secret_access_key"],
                "client_kwargs": {
                    "endpoint_url": options["endpoint"],
                    "region_name": options["region"],
                },
                "config_kwargs": {"max_pool_connections": CONCURRENCY},
            },
        )
