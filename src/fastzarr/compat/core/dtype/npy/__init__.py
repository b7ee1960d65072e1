"""``zarr.core.dtype.npy``: the data types that have a dtype of NumPy."""
