"""The attribute ``fastzarr`` of datasets, data arrays and trees.

It is registered when this module is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from fastzarr.integrations.xarray.writing import to_fastzarr

if TYPE_CHECKING:
    from fastzarr.stores.resolve import StoreLike

# xarray's functions have no types.
_dataset: Any = xr.register_dataset_accessor
_dataarray: Any = xr.register_dataarray_accessor
_datatree: Any = xr.register_datatree_accessor
_UNNAMED = "__xarray_dataarray_variable__"


@_dataset("fastzarr")
class DatasetAccessor:
    """The attribute ``fastzarr`` of a dataset.

    >>> import xarray as xr
    >>> import fastzarr.integrations.xarray
    >>> ds = xr.Dataset({"depth": ("x", [10, 20])})
    >>> ds.fastzarr.to_zarr({})["depth"][:]
    array([10, 20])
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        """Initialise with a dataset."""
        self._dataset = dataset

    def to_zarr(self, store: StoreLike = None, mode: str | None = None, **kwargs: Any) -> Any:
        """Write the dataset to a group; the keywords are those of ``to_fastzarr``.

        >>> import xarray as xr
        >>> import fastzarr.integrations.xarray
        >>> ds = xr.Dataset({"depth": ("x", [10, 20])})
        >>> group = ds.fastzarr.to_zarr({}, mode="w", encoding={"depth": {"chunks": (1,)}})
        >>> group["depth"].nchunks
        2
        """
        return to_fastzarr(self._dataset, store, mode, **kwargs)


@_dataarray("fastzarr")
class DataArrayAccessor:
    """The attribute ``fastzarr`` of a data array.

    >>> import xarray as xr
    >>> import fastzarr.integrations.xarray
    >>> depth = xr.DataArray([10, 20], dims="x", name="depth")
    >>> depth.fastzarr.to_zarr({})["depth"][:]
    array([10, 20])
    """

    def __init__(self, array: xr.DataArray) -> None:
        """Initialise with a data array."""
        self._array = array

    def to_zarr(self, store: StoreLike = None, mode: str | None = None, **kwargs: Any) -> Any:
        """Write the array and its coordinates to a group, as ``xarray.open_dataarray`` opens it.

        >>> import xarray as xr
        >>> import fastzarr.integrations.xarray
        >>> depth = xr.DataArray([10, 20], dims="x", coords={"x": [0.5, 1.5]}, name="depth")
        >>> sorted(depth.fastzarr.to_zarr({}))
        ['depth', 'x']
        """
        array = self._array
        if array.name is None or array.name in array.coords or array.name in array.dims:
            # The name that xarray takes for one that is not there, or is that of a coordinate.
            dataset = array.to_dataset(name=_UNNAMED)
        else:
            dataset = array.to_dataset()
        return to_fastzarr(dataset, store, mode, **kwargs)


@_datatree("fastzarr")
class DataTreeAccessor:
    """The attribute ``fastzarr`` of a tree.

    >>> import xarray as xr
    >>> import fastzarr.integrations.xarray
    >>> tree = xr.DataTree.from_dict({"/deep": xr.Dataset({"depth": ("x", [10, 20])})})
    >>> tree.fastzarr.to_zarr({})["deep/depth"][:]
    array([10, 20])
    """

    def __init__(self, tree: xr.DataTree) -> None:
        """Initialise with a tree."""
        self._tree = tree

    def to_zarr(self, store: StoreLike = None, mode: str | None = None, **kwargs: Any) -> Any:
        """Write each dataset of the tree to a group; the keywords are those of ``to_fastzarr``.

        >>> import xarray as xr
        >>> import fastzarr.integrations.xarray
        >>> tree = xr.DataTree.from_dict({"/deep": xr.Dataset({"depth": ("x", [10, 20])})})
        >>> sorted(tree.fastzarr.to_zarr({}).groups())[0][0]
        'deep'
        """
        return to_fastzarr(self._tree, store, mode, **kwargs)
