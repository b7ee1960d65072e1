"""How xarray and dask open, read and write with each library.

Rules of this file:

* ``fastzarr`` is used without an alias, by ``fastzarr.integrations``. ``as-zarr`` is the code for
  zarr-python with fastzarr in its place. The others are zarr-python with one of its pipelines.
* All write the same codec, and read the files that zarr-python has written.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bench.base import MissingError

if TYPE_CHECKING:
    from pathlib import Path

# The order of the columns.
ENGINES = ("fastzarr", "as-zarr", "zarr", "zarr-fused", "zarr-zarrs")
PEERS = ENGINES[2:]
PIPELINES = {
    "zarr-fused": "zarr.core.codec_pipeline.FusedCodecPipeline",
    "zarr-zarrs": "zarrs.ZarrsCodecPipeline",
}


class Library:
    """The code that a user of zarr-python has."""

    # The CPU time of the last run, in rows that measure it.
    seconds: float | None = None

    def __init__(self, name: str) -> None:
        """Import the library, and configure it."""
        self.name = name
        if name == "as-zarr":
            import_module("fastzarr.as_zarr").install()
        self.zarr: Any = import_module("zarr")
        if name in PIPELINES:
            self._use(PIPELINES[name])
        self.xr: Any = import_module("xarray")

    def _use(self, path: str) -> None:
        module, _, kind = path.rpartition(".")
        try:
            getattr(import_module(module), kind)
        except (ImportError, AttributeError) as error:
            msg = f"there is no {path} in this environment (zarr-python {self.zarr.__version__})"
            if module.startswith("zarr."):
                msg += "; zarr-python 3.4 has it, which needs Python 3.12"
            raise MissingError(msg) from error
        self.zarr.config.set({"codec_pipeline.path": path})

    def version(self) -> str:
        """Return the version."""
        return f"zarr {self.zarr.__version__}"

    def write(self, dataset: Any, path: Path, encoding: Any) -> None:
        """Write a dataset."""
        dataset.to_zarr(str(path), mode="w", encoding=encoding, consolidated=False)

    def dataset(self, path: Path, *, chunks: Any) -> Any:
        """Open a dataset, in blocks of dask or without."""
        return self.xr.open_zarr(str(path), chunks=chunks, consolidated=False)

    def blocks(self, path: Path, name: str) -> Any:
        """Open an array as one of dask."""
        return import_module("dask.array").from_zarr(str(path), name)

    def group(self, path: Path) -> Any:
        """Open a group."""
        return self.zarr.open_group(str(path), mode="r")


class Fastzarr(Library):
    """The same by fastzarr's own names."""

    def __init__(self, name: str) -> None:
        """Import the library."""
        self.name = name
        self.zarr = import_module("fastzarr")
        self.xr = import_module("xarray")
        self.ours: Any = import_module("fastzarr.integrations.xarray")

    def version(self) -> str:
        """Return the version."""
        try:
            return f"fastzarr {version('fastzarr')}"
        except PackageNotFoundError:
            return f"fastzarr {self.zarr.__version__}"

    def write(self, dataset: Any, path: Path, encoding: Any) -> None:
        """Write a dataset."""
        dataset.fastzarr.to_zarr(str(path), mode="w", encoding=encoding, consolidated=False)

    def dataset(self, path: Path, *, chunks: Any) -> Any:
        """Open a dataset, in blocks of dask or without."""
        engine = self.ours.FastzarrBackendEntrypoint
        return self.xr.open_dataset(str(path), engine=engine, chunks=chunks, consolidated=False)

    def blocks(self, path: Path, name: str) -> Any:
        """Open an array as one of dask."""
        return import_module("fastzarr.integrations.dask").from_zarr(str(path), name)


def load(name: str) -> Any:
    """Return a library; raise ``MissingError``, with the reason, if it is not installed."""
    try:
        return (Fastzarr if name == "fastzarr" else Library)(name)
    except ImportError as error:
        msg = f"{error.name or name} is not installed"
        raise MissingError(msg) from error
