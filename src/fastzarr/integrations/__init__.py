"""Other libraries over fastzarr's own arrays, without an alias and without zarr-python.

* ``xarray``: the engine ``fastzarr`` of ``xarray.open_dataset``, and ``ds.fastzarr.to_zarr``.
* ``dask``: arrays of dask from and to arrays of this package.
* ``cubed``: the same for Cubed.
* ``pandas``: data frames from and to groups and structured arrays.
* ``napari``: a reader for the viewer.

Each module needs the library that it is named after, and is imported only by its name.
"""
