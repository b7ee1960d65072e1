"""The abstract classes of zarr-python, from which other packages derive stores and codecs."""
