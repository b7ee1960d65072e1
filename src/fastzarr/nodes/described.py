"""The properties of an array, which describe it without reading its elements.

Rules of this file:

* Each property returns a part of the layout, of the access or of the settings of the handle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastzarr.nodes.handle import Handle
from fastzarr.nodes.indexing import Indexed

if TYPE_CHECKING:
    import numpy as np

    from fastzarr import hints
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.settings import ArrayConfig
    from fastzarr.nodes.stored import StoredBytes
    from fastzarr.stores import Store


class Described(Handle, Indexed):
    """The properties of an array, except its shape, which can be assigned."""

    _is_view: bool

    @property
    def store(self) -> Store:
        """The store of the metadata."""
        return self._access.store

    @property
    def chunk_store(self) -> Store:
        """The store of the chunks: the store of the metadata, unless another was passed."""
        return self._access.chunk_store

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        return self._access.path

    @property
    def synchronizer(self) -> hints.Synchronizer | None:
        """The synchronizer that the array was opened with, or None."""
        return self._access.synchronizer

    @property
    def layout(self) -> Layout:
        """The metadata, reloaded first if the array was opened with ``cache_metadata=False``."""
        return self._current().layout

    @property
    def _layout(self) -> Layout:
        return self._access.layout

    @property
    def metadata(self) -> Layout:
        """The metadata (zarr-python 3's name)."""
        return self.layout

    @property
    def config(self) -> ArrayConfig:
        """The settings of this handle."""
        return self._access.settings

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._layout.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.layout.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements that are read."""
        return self._cast or self._layout.dtype.numpy

    @property
    def itemsize(self) -> int:
        """The size of one element in memory, in bytes."""
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """The size of all elements in memory, in bytes."""
        return self.size * self.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk; in a sharded array, of an inner chunk."""
        return self._layout.inner_chunks

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, or None if the array is not sharded."""
        return self._layout.shards

    @property
    def fill_value(self) -> Any:
        """The value of elements that were never written; None if undefined (format 2 only)."""
        return self._layout.fill

    @property
    def order(self) -> hints.Order:
        """The memory order: in format 2 of the chunks, in format 3 of the arrays that are read."""
        return self._layout.order or self.config.order

    @property
    def filters(self) -> tuple[Any, ...]:
        """The filters of a chunk, possibly empty."""
        return self._layout.of_inner_chunks().filters

    @property
    def serializer(self) -> Any:
        """The codec that encodes a chunk as bytes; None in format 2."""
        return self._layout.of_inner_chunks().serializer

    @property
    def compressors(self) -> tuple[Any, ...]:
        """The codecs after the serializer, possibly empty."""
        return self._layout.of_inner_chunks().compressors

    @property
    def compressor(self) -> Any:
        """The compressor of a format 2 array, or None; raise TypeError in other formats."""
        if not self._layout.format.has_one_compressor:
            number = self._layout.format.number
            msg = f"an array of format {number} may have several .compressors, and no .compressor"
            raise TypeError(msg)
        return self._layout.compressor

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return self._layout.inner_grid.count(self.layout.shape)

    @property
    def nchunks(self) -> int:
        """The number of chunks, whether stored or not."""
        return self._layout.inner_grid.total(self.layout.shape)

    @property
    def nchunks_initialized(self) -> int:
        """The number of stored chunks; for a sharded array, all shard indexes are read."""
        from fastzarr.nodes.stored import stored_chunks

        return stored_chunks(self._current())

    @property
    def initialized(self) -> int:
        """The number of stored chunks (zarr-python 2's old name)."""
        return self.nchunks_initialized

    @property
    def nbytes_stored(self) -> StoredBytes:
        """The stored size of the array in bytes, including metadata; it can also be called."""
        from fastzarr.nodes.stored import StoredBytes

        total = self.store.getsize_prefix(self.path)
        if self.chunk_store.place is not self.store.place:
            total += self.chunk_store.getsize_prefix(self.path)
        return StoredBytes(total)

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all chunks along each axis, clipped at the end of the array."""
        return self._layout.inner_grid.extents(self.layout.shape)

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all stored objects (shards or chunks) along each axis, clipped."""
        return self._layout.grid.extents(self.layout.shape)

    @property
    def is_view(self) -> bool:
        """Whether this is a view of another array's data."""
        return self._is_view

    @property
    def write_empty_chunks(self) -> bool:
        """Whether chunks that contain only the fill value are stored."""
        return self.config.write_empty_chunks
