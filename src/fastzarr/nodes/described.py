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
        """The store of the metadata.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> sorted(z.store)
        ['zarr.json']
        """
        return self._access.store

    @property
    def chunk_store(self) -> Store:
        """The store of the chunks: the store of the metadata, unless another was passed.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.chunk_store is z.store
        True
        """
        return self._access.chunk_store

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends.

        >>> import fastzarr
        >>> fastzarr.zeros(3, store={}, path="a/b").path
        'a/b'
        """
        return self._access.path

    @property
    def synchronizer(self) -> hints.Synchronizer | None:
        """The synchronizer that the array was opened with, or None.

        >>> import fastzarr
        >>> fastzarr.zeros(3).synchronizer is None
        True
        """
        return self._access.synchronizer

    @property
    def layout(self) -> Layout:
        """The metadata, reloaded first if the array was opened with ``cache_metadata=False``.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.layout.shape, z.layout.zarr_format
        ((4, 6), 3)
        """
        return self._current().layout

    @property
    def _layout(self) -> Layout:
        return self._access.layout

    @property
    def metadata(self) -> Layout:
        """The metadata (zarr-python 3's name).

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.metadata.to_dict()["shape"]
        [4, 6]
        """
        return self.layout

    @property
    def config(self) -> ArrayConfig:
        """The settings of this handle.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.config
        ArrayConfig(order='C', write_empty_chunks=False, read_missing_chunks=True)
        """
        return self._access.settings

    @property
    def ndim(self) -> int:
        """The number of axes.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.ndim
        2
        """
        return len(self._layout.shape)

    @property
    def size(self) -> int:
        """The number of elements.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.size
        24
        """
        return math.prod(self.layout.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements that are read.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.dtype.name
        'int32'
        """
        return self._cast or self._layout.dtype.numpy

    @property
    def itemsize(self) -> int:
        """The size of one element in memory, in bytes.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.itemsize
        4
        """
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """The size of all elements in memory, in bytes.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.nbytes
        96
        """
        return self.size * self.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk; in a sharded array, of an inner chunk.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.chunks
        (2, 3)

        If chunks differ in size along an axis, that axis has the sizes of all of them, clipped at
        the end of the array, which is the form of dask.

        >>> fastzarr.zeros((6, 6), chunks=[[1, 2, 3], 4]).chunks
        ((1, 2, 3), 4)
        """
        return self._layout.shown_chunks  # type: ignore[no-any-return]  # of regular grids

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, or None if the array is not sharded.

        >>> import fastzarr
        >>> z = fastzarr.create_array({}, shape=8, chunks=2, shards=4, dtype="i4")
        >>> z.chunks, z.shards
        ((2,), (4,))
        """
        return self._layout.shown_shards  # type: ignore[no-any-return]  # of regular grids

    @property
    def fill_value(self) -> Any:
        """The value of elements that were never written; None if undefined (format 2 only).

        >>> import fastzarr
        >>> int(fastzarr.full(3, 7, dtype="i4").fill_value)
        7
        """
        return self._layout.fill

    @property
    def order(self) -> hints.Order:
        """The memory order: in format 2 of the chunks, in format 3 of the arrays that are read.

        >>> import fastzarr
        >>> fastzarr.zeros(3, order="F", zarr_format=2).order
        'F'
        """
        return self._layout.order or self.config.order

    @property
    def filters(self) -> tuple[Any, ...]:
        """The filters of a chunk, possibly empty.

        >>> import fastzarr
        >>> fastzarr.zeros(3).filters
        ()
        """
        return self._layout.of_inner_chunks().filters

    @property
    def serializer(self) -> Any:
        """The codec that encodes a chunk as bytes; None in format 2.

        >>> import fastzarr
        >>> fastzarr.zeros(3).serializer
        BytesCodec(endian='little')
        """
        return self._layout.of_inner_chunks().serializer

    @property
    def compressors(self) -> tuple[Any, ...]:
        """The codecs after the serializer, possibly empty.

        >>> import fastzarr
        >>> [codec.name for codec in fastzarr.zeros(3).compressors]
        ['blosc', 'crc32c']
        """
        return self._layout.of_inner_chunks().compressors

    @property
    def compressor(self) -> Any:
        """The compressor of a format 2 array, or None; raise TypeError in other formats.

        >>> import fastzarr
        >>> fastzarr.zeros(3, zarr_format=2).compressor.codec_id
        'blosc'
        """
        if not self._layout.format.has_one_compressor:
            number = self._layout.format.number
            msg = f"an array of format {number} may have several .compressors, and no .compressor"
            raise TypeError(msg)
        return self._layout.compressor

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.cdata_shape
        (2, 2)
        """
        return self._layout.inner_grid.count(self.layout.shape)

    @property
    def nchunks(self) -> int:
        """The number of chunks, whether stored or not.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.nchunks
        4
        """
        return self._layout.inner_grid.total(self.layout.shape)

    @property
    def nchunks_initialized(self) -> int:
        """The number of stored chunks; for a sharded array, all shard indexes are read.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z[:2] = 1
        >>> z.nchunks_initialized
        2
        """
        from fastzarr.nodes.stored import stored_chunks

        return stored_chunks(self._current())

    @property
    def initialized(self) -> int:
        """The number of stored chunks (zarr-python 2's old name).

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.initialized
        0
        """
        return self.nchunks_initialized

    @property
    def nbytes_stored(self) -> StoredBytes:
        """The stored size of the array in bytes, including metadata; it can also be called.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> before = z.nbytes_stored
        >>> z[:] = 1
        >>> z.nbytes_stored > before
        True
        """
        from fastzarr.nodes.stored import StoredBytes, stored_size

        total = stored_size(self.store, self.path)
        if self.chunk_store.place is not self.store.place:
            total += stored_size(self.chunk_store, self.path)
        return StoredBytes(total)

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all chunks along each axis, clipped at the end of the array.

        >>> import fastzarr
        >>> fastzarr.zeros(5, chunks=2).read_chunk_sizes
        ((2, 2, 1),)
        """
        return self._layout.inner_grid.extents(self.layout.shape)

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all stored objects (shards or chunks) along each axis, clipped.

        >>> import fastzarr
        >>> z = fastzarr.create_array({}, shape=10, chunks=2, shards=4, dtype="i4")
        >>> z.write_chunk_sizes
        ((4, 4, 2),)
        """
        return self._layout.grid.extents(self.layout.shape)

    @property
    def is_view(self) -> bool:
        """Whether this is a view of another array's data.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.is_view, z.astype("f4").is_view
        (False, True)
        """
        return self._is_view

    @property
    def write_empty_chunks(self) -> bool:
        """Whether chunks that contain only the fill value are stored.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.write_empty_chunks
        False
        """
        return self.config.write_empty_chunks
