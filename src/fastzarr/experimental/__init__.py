"""Names that are experimental in zarr-python 3; here they are as stable as all others."""
