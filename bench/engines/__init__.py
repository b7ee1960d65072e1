"""The engines, one file each, imported on demand, so that none pays for another's import."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bench.base import MissingError

if TYPE_CHECKING:
    from bench.base import Engine

# The order of the columns: fastzarr first, the floor last, and the peers between them.
ENGINES = {
    "fastzarr": ("fastzarr", "Fastzarr"),
    "fastzarr-numpy": ("fastzarr", "FastzarrNumpy"),
    "tensorstore": ("tensorstore", "TensorStore"),
    "tensorstore-sync": ("tensorstore", "TensorStoreSync"),
    "zarrista": ("zarrista", "Zarrista"),
    "zarr": ("zarr", "ZarrPython"),
    "zarr-fused": ("zarr", "ZarrFused"),
    "zarr-zarrs": ("zarr", "ZarrZarrs"),
    "h5py": ("h5py", "H5py"),
    "floor": ("floor", "Floor"),
}
PEERS = tuple(ENGINES)[2:-1]
# Engines that differ from another one only where engines write as they do by default.
BY_DEFAULT = frozenset({"tensorstore-sync"})


def load(name: str) -> Engine:
    """Return an engine; raise ``MissingError``, with the reason, if it is not installed."""
    module, kind = ENGINES[name]
    try:
        engine: Engine = getattr(import_module(f"bench.engines.{module}"), kind)()
    except ImportError as error:
        msg = f"{error.name or name} is not installed"
        raise MissingError(msg) from error
    return engine
