"""The version of zarr-python whose names and semantics this package has."""

version = "2.18.7"
version_tuple = (2, 18, 7)
