"""What arrays and groups have in common: a place in a store, and attributes.

Rules of this file:

* A handle is cheap: it holds a store, a path and a copy of the metadata, and opens nothing.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.nodes.attributes import Attributes
    from fastzarr.stores import Store, StorePath


class Handle:
    """Stand for a node at a path of a store."""

    _read_only: bool
    _cache_attrs: bool

    @property
    def store(self) -> Store:
        """The store of the metadata."""
        raise NotImplementedError

    @property
    def chunk_store(self) -> Store:
        """The store of the chunks: the store of the metadata, unless another was passed."""
        raise NotImplementedError

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        raise NotImplementedError

    @property
    def synchronizer(self) -> Any:
        """The synchronizer that the node was opened with, or None."""
        raise NotImplementedError

    @property
    def layout(self) -> Any:
        """The metadata."""
        raise NotImplementedError

    def _set_layout(self, layout: Any) -> None:
        """Replace the handle's copy of the metadata."""
        raise NotImplementedError

    @property
    def store_path(self) -> StorePath:
        """Give the store and the path together."""
        from fastzarr.stores import StorePath

        return StorePath(self.store, self.path)

    @property
    def name(self) -> str:
        """Give the path with the slash of the root before it, as h5py has it."""
        return "/" + self.path

    @property
    def basename(self) -> str:
        """Give the last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def read_only(self) -> bool:
        """Tell whether writing is refused."""
        return self._read_only

    @property
    def meta_array(self) -> Any:
        """Give an empty array of the kind that reading gives."""
        import numpy as np

        return np.empty(())

    @property
    def attrs(self) -> Attributes:
        """Give the attributes, a mapping that writes through."""
        from fastzarr.nodes.attributes import Attributes

        return Attributes(self, cache=self._cache_attrs)

    def update_attributes(self, new_attributes: Mapping[str, Any]) -> Self:
        """Write several attributes at once."""
        self.attrs.update(new_attributes)
        return self

    def flush(self) -> None:
        """Have all that was written to the store outlast a power cut, where the store sees to it.

        What ``durability`` leaves open is settled then; see ``fastzarr.storage.LocalStore``.
        """
        self.store.flush()
        if self.chunk_store is not self.store:
            self.chunk_store.flush()

    def close(self) -> None:
        """Close the stores of the metadata and of the chunks, which flushes them."""
        self.store.close()
        if self.chunk_store is not self.store:
            self.chunk_store.close()

    def _another(self, **changes: Any) -> Self:
        """Return a copy of the handle that has other values of these attributes."""
        other = copy(self)
        vars(other).update(changes)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: a batch of attributes belongs to one handle alone."""
        return {name: value for name, value in vars(self).items() if name != "_batch"}

    def __hash__(self) -> int:
        """Hash by the path, as equal handles may have stores of different kinds."""
        return hash((Handle, self.path))
