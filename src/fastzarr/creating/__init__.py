"""The keywords of zarr-python 2 and 3, converted to the layout of a new array."""
