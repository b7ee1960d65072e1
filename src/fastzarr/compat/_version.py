"""The version of zarr-python whose names the facade has."""

version = "3.4.2"
