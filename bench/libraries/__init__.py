"""xarray and dask over each library: fastzarr's engine, fastzarr as zarr, and zarr-python."""
