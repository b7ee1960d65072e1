"""xarray's datasets in Zarr, read and written by fastzarr.

``xarray.open_dataset(path, engine="fastzarr")`` opens a group lazily. After this module is
imported, or the engine was used once, datasets, data arrays and trees have the method
``fastzarr.to_zarr``:

>>> import xarray as xr
>>> import fastzarr.integrations.xarray
>>> ds = xr.Dataset({"sst": (("time", "lat"), [[280.5, 281.0], [279.0, 284.5]])})
>>> group = ds.fastzarr.to_zarr(store := {})
>>> again = xr.open_dataset(store, engine=fastzarr.integrations.xarray.FastzarrBackendEntrypoint)
>>> again.equals(ds)
True
"""

from fastzarr.integrations.xarray.accessor import (
    DataArrayAccessor,
    DatasetAccessor,
    DataTreeAccessor,
)
from fastzarr.integrations.xarray.backend import FastzarrBackendEntrypoint
from fastzarr.integrations.xarray.writing import to_fastzarr

__all__ = [
    "DataArrayAccessor",
    "DataTreeAccessor",
    "DatasetAccessor",
    "FastzarrBackendEntrypoint",
    "to_fastzarr",
]
