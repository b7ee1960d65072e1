"""The synchronizers: locks by key, among threads or processes."""

from typing import Any, Protocol

from fastzarr.stores.synchronizers import ProcessSynchronizer, ThreadSynchronizer

__all__ = ["ProcessSynchronizer", "Synchronizer", "ThreadSynchronizer"]


class Synchronizer(Protocol):
    """A mapping of keys to locks."""

    def __getitem__(self, item: str) -> Any:
        """Return the lock of a key."""
