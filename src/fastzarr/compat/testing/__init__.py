"""Test suites and strategies for stores, under the names of zarr-python."""
