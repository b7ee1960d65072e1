"""What arrays and groups have in common: a place in a store, and attributes.

Rules of this file:

* A handle is cheap: it holds a store, a path and a copy of the metadata, and opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.attributes import Attributes
    from fastzarr.stores import Store, StorePath


class Handle:
    """Stand for a node at a path of a store."""

    _store: Store
    _chunk_store: Store | None
    _path: str
    _read_only: bool
    _cache_attrs: bool
    _synchronizer: Any
    _layout: Any

    @property
    def store(self) -> Store:
        """Give the store."""
        return self._store

    @property
    def chunk_store(self) -> Store:
        """Give the store of the chunks, where it is another than that of the metadata."""
        return self._store if self._chunk_store is None else self._chunk_store

    @property
    def store_path(self) -> StorePath:
        """Give the store and the path together."""
        from fastzarr.stores import StorePath

        return StorePath(self._store, self._path)

    @property
    def path(self) -> str:
        """Give the path in the store, without slashes at its ends."""
        return self._path

    @property
    def name(self) -> str:
        """Give the path with the slash of the root before it, as h5py has it."""
        return "/" + self._path

    @property
    def basename(self) -> str:
        """Give the last part of the path."""
        return self._path.rsplit("/", 1)[-1]

    @property
    def read_only(self) -> bool:
        """Tell whether writing is refused."""
        return self._read_only

    @property
    def synchronizer(self) -> Any:
        """Give the synchronizer that the node was opened with."""
        return self._synchronizer

    @property
    def meta_array(self) -> Any:
        """Give an empty array of the kind that reading gives."""
        import numpy as np

        return np.empty(())

    @property
    def attrs(self) -> Attributes:
        """Give the attributes, a mapping that writes through."""
        from fastzarr.attributes import Attributes

        return Attributes(self, cache=self._cache_attrs)

    @property
    def layout(self) -> Any:
        """Give the metadata."""
        return self._layout

    def update_attributes(self, new_attributes: Mapping[str, Any]) -> Self:
        """Write several attributes at once."""
        self.attrs.update(new_attributes)
        return self

    def flush(self) -> None:
        """Have all that was written to the store outlast a power cut, where the store sees to it.

        What ``durability`` leaves open is settled then; see ``fastzarr.storage.LocalStore``.
        """
        self._store.flush()
        if self._chunk_store is not None and self._chunk_store is not self._store:
            self._chunk_store.flush()

    def close(self) -> None:
        """Close the store, which flushes what was written to it."""
        self._store.close()
        if self._chunk_store is not None and self._chunk_store is not self._store:
            self._chunk_store.close()

    def _set_layout(self, layout: Any) -> None:
        """Take over metadata that was written to the store."""
        self._layout = layout

    def __hash__(self) -> int:
        """Hash by place."""
        return hash((type(self._store), self._path))
