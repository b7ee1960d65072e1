"""TensorStore with its own client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import tensorstore

from bench.cloud.engines import CONCURRENCY, CloudEngine
from bench.engines.tensorstore import TensorStore as Local

if TYPE_CHECKING:
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array


class TensorStore(CloudEngine, Local):
    """TensorStore, which by default caches no chunks."""

    cannot = {"arrays": "has no groups"}  # noqa: RUF012  (as in Engine)

    def __init__(self) -> None:
        """Initialise without a client."""

    def connect(self, cloud: Cloud, name: str) -> None:
        """State the credentials, which the client takes from the environment."""
        super().connect(cloud, name)
        os.environ["AWS_ACCESS_KEY_ID"] = cloud.options["access_key_id"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = cloud.options["secret_access_key"]

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open an array, with a context of its own, as if the user had specified none."""
        spec = {
            "driver": "zarr3",
            "kvstore": {
                "driver": "s3",
                "bucket": place.bucket,
                "path": f"{place.prefix}/",
                "endpoint": self.cloud.proxied,
                "aws_region": self.cloud.options["region"],
                "aws_credentials": {"type": "environment"},
            },
            "context": {"s3_request_concurrency": {"limit": CONCURRENCY}},
        }
        return tensorstore.open(spec, open=True, read=True, write=write).result()

    def rows(self, array: Any, rows: Array) -> Any:
        """Read rows."""
        return array[rows].read().result()
