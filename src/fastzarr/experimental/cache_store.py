"""The store that caches another one, under zarr-python's name."""

from fastzarr.stores.cache import CacheStore

__all__ = ["CacheStore"]
