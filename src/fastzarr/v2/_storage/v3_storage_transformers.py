"""The transformers of zarr-python 2's experimental format, which are not supported."""

from fastzarr.v2._storage.store import StorageTransformer

v3_sharding_available = False


class DummyStorageTransfomer(StorageTransformer):
    """A transformer without effect."""


class ShardingStorageTransformer(StorageTransformer):
    """Several chunks in one object."""
