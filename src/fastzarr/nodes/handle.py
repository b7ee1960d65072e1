"""The base class of arrays and groups: a location in a store, and attributes.

Rules of this file:

* A handle is cheap. It has a store, a path and a copy of the metadata, and no open resources.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from fastzarr import hints
    from fastzarr.nodes.attributes import Attributes
    from fastzarr.nodes.info import Info
    from fastzarr.stores import Store, StorePath

P = ParamSpec("P")
T = TypeVar("T")


class Handle:
    """A handle of the node at a path in a store."""

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
    def synchronizer(self) -> hints.Synchronizer | None:
        """The synchronizer that the node was opened with, or None."""
        raise NotImplementedError

    @property
    def layout(self) -> Any:
        """The metadata."""
        raise NotImplementedError

    def _set_layout(self, layout: Any) -> None:
        """Replace the metadata of the handle."""
        raise NotImplementedError

    @property
    def store_path(self) -> StorePath:
        """The store and the path, as a ``StorePath``.

        >>> import fastzarr
        >>> fastzarr.zeros(3, store={}, path="a").store_path.path
        'a'
        """
        from fastzarr.stores import StorePath

        return StorePath(self.store, self.path)

    @property
    def name(self) -> str:
        """The path with a leading slash, as in h5py.

        >>> import fastzarr
        >>> fastzarr.zeros(3, store={}, path="a/b").name
        '/a/b'
        """
        return "/" + self.path

    @property
    def basename(self) -> str:
        """The last segment of the path.

        >>> import fastzarr
        >>> fastzarr.zeros(3, store={}, path="a/b").basename
        'b'
        """
        return self.path.rsplit("/", 1)[-1]

    @property
    def read_only(self) -> bool:
        """Whether the node cannot be written to through this handle.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3, store={}, path="a")
        >>> z.read_only, fastzarr.open_array(z.store, "r", path="a").read_only
        (False, True)
        """
        return self._read_only

    @property
    def meta_array(self) -> np.ndarray[Any, Any]:
        """An empty array of the type that reading returns (zarr-python 2's attribute).

        >>> import fastzarr
        >>> type(fastzarr.zeros(3).meta_array).__name__
        'ndarray'
        """
        import numpy as np

        return np.empty(())

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mapping whose changes are written immediately.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.attrs["units"] = "K"
        >>> dict(root.attrs)
        {'units': 'K'}
        """
        from fastzarr.nodes.attributes import Attributes

        return Attributes(self, cache=self._cache_attrs)

    def update_attributes(self, new_attributes: hints.Attrs) -> Self:
        """Set several attributes in one write, and return self.

        >>> import fastzarr
        >>> fastzarr.zeros(3).update_attributes({"units": "K", "scale": 2}).attrs
        {'units': 'K', 'scale': 2}
        """
        self.attrs.update(new_attributes)
        return self

    async def update_attributes_async(self, new_attributes: hints.Attrs) -> Self:
        """Set several attributes in one write as ``update_attributes`` does, and return self.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().update_attributes_async({"a": 1})).attrs
        {'a': 1}
        """
        return await self._settled(self.update_attributes, new_attributes)

    async def _settled(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a call of this handle, which runs on another thread."""
        from fastzarr.engine.awaited import settled

        return await settled(self, call, *args, **kwargs)

    def flush(self) -> None:
        """Make all earlier writes to the store durable, if the store supports it.

        A local store syncs the new chunks that its ``durability`` has left unsynced; see
        ``fastzarr.storage.LocalStore``.

        >>> import fastzarr
        >>> import tempfile
        >>> z = fastzarr.open_array(tempfile.mkdtemp(), "w", shape=3)
        >>> z[:] = 1
        >>> z.flush()
        """
        self.store.flush()
        if self.chunk_store is not self.store:
            self.chunk_store.flush()

    def close(self) -> None:
        """Flush and close the stores of the metadata and of the chunks.

        >>> import fastzarr
        >>> import tempfile
        >>> root = fastzarr.open_group(tempfile.mkdtemp())
        >>> root["x"] = [1, 2]
        >>> root.close()
        """
        self.store.close()
        if self.chunk_store is not self.store:
            self.chunk_store.close()

    def info_complete(self) -> Info:
        """Return a description of the node."""
        raise NotImplementedError

    def info_items(self) -> list[tuple[str, str]]:
        """Return the description as pairs of name and value, as in zarr-python 2.

        >>> import fastzarr
        >>> fastzarr.zeros(3).info_items()[0]
        ('Name', '/')
        """
        return list(self.info_complete().items())

    def _another(self, **changes: Any) -> Self:
        """Return a copy of the handle with other values of the given attributes."""
        other = copy(self)
        vars(other).update(changes)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy, without a batch of attributes under way."""
        return {
            name: value for name, value in vars(self).items() if name not in ("_batch", "_listed")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the handle, read-only if its store has become so."""
        vars(self).update(state)
        self._read_only = self._read_only or self.store.read_only

    def __hash__(self) -> int:
        """Return a hash of the path, because equal handles may have different types of stores."""
        return hash((Handle, self.path))
