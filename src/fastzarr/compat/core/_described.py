"""What arrays and async arrays of the facade share: the properties that describe an array.

Rules of this file:

* Everything comes from the array inside (``inner``) and the metadata made of its layout.
* Where the chunks differ in size along an axis, ``chunks`` or ``shards`` raise
  NotImplementedError, as in zarr-python.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.compat.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
from fastzarr.compat.core._info import ArrayInfo
from fastzarr.compat.core.chunk_grids import ChunkGrid
from fastzarr.compat.core.indexing import _iter_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from fastzarr.compat.abc.store import Store
    from fastzarr.compat.core.array_spec import ArrayConfig
    from fastzarr.compat.storage import StorePath
    from fastzarr.nodes.array import Array as Inner

T = TypeVar("T", bound="Described")


class Described:
    """The properties of an array, except those that one kind awaits."""

    inner: Inner

    @property
    def metadata(self) -> Any:
        """The metadata."""
        raise NotImplementedError

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the array."""
        raise NotImplementedError

    @property
    def config(self) -> ArrayConfig:
        """The settings of this handle."""
        raise NotImplementedError

    @property
    def store(self) -> Store:
        """The store."""
        found: Store = self.store_path.store
        return found

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.inner.ndim

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk; in a sharded array, of an inner chunk."""
        layout = self.inner.layout
        if layout.irregular is not None and layout.sharding is None:
            self._refuse_irregular("chunks", "read_chunk_sizes")
        return layout.inner_chunks

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, or None if the array is not sharded."""
        layout = self.inner.layout
        if layout.irregular is not None and layout.sharding is not None:
            self._refuse_irregular("shards", "write_chunk_sizes")
        return layout.shards

    def _refuse_irregular(self, name: str, other: str) -> None:
        msg = (
            f"{name} is only defined for regular chunk grids, but that of array {self.name!r} is "
            f"rectilinear; use {other}"
        )
        raise NotImplementedError(msg)

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all chunks along each axis, clipped at the end of the array."""
        return self.inner.read_chunk_sizes

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of all stored objects along each axis, clipped at the end of the array."""
        return self.inner.write_chunk_sizes

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.inner.size

    @property
    def nbytes(self) -> int:
        """The size of all elements in memory, in bytes."""
        return self.inner.nbytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self.inner.dtype

    @property
    def order(self) -> Any:
        """The memory order of the arrays that are read."""
        return self.inner.order

    @property
    def fill_value(self) -> Any:
        """The value of elements that were never written."""
        return self.metadata.fill_value

    @property
    def filters(self) -> tuple[Any, ...]:
        """The codecs before the serializer."""
        if self.metadata.zarr_format == 2:
            return self.metadata.filters or ()
        return self._codecs(ArrayArrayCodec)

    @property
    def serializer(self) -> Any:
        """The codec that encodes a chunk as bytes; None in format 2."""
        if self.metadata.zarr_format == 2:
            return None
        return next(iter(self._codecs(ArrayBytesCodec)))

    @property
    def compressors(self) -> tuple[Any, ...]:
        """The codecs after the serializer."""
        if self.metadata.zarr_format == 2:
            compressor = self.metadata.compressor
            return () if compressor is None else (compressor,)
        return self._codecs(BytesBytesCodec)

    def _codecs(self, kind: type) -> tuple[Any, ...]:
        return tuple(codec for codec in self.metadata.inner_codecs if isinstance(codec, kind))

    @property
    def read_only(self) -> bool:
        """Whether the array cannot be written to through this handle."""
        return bool(self.store_path.read_only)

    @property
    def path(self) -> str:
        """The path in the store, without slashes at its ends."""
        return self.inner.path

    @property
    def name(self) -> str:
        """The path with a leading slash."""
        return "/" + self.inner.path

    @property
    def basename(self) -> str:
        """The last segment of the path."""
        return self.inner.basename

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis; of inner chunks in a sharded array."""
        return self.inner.cdata_shape

    @property
    def nchunks(self) -> int:
        """The number of chunks, whether stored or not; of inner chunks in a sharded array."""
        return math.prod(self.inner.cdata_shape)

    @property
    def _zdtype(self) -> Any:
        return self.metadata.dtype

    @property
    def _chunk_grid(self) -> ChunkGrid:
        return ChunkGrid.from_metadata(self.metadata)

    @property
    def _chunk_grid_shape(self) -> tuple[int, ...]:
        return self.inner.cdata_shape

    @property
    def _shard_grid_shape(self) -> tuple[int, ...]:
        return self.inner.layout.grid_shape

    @property
    def _nshards(self) -> int:
        return math.prod(self._shard_grid_shape)

    def _iter_chunk_coords(
        self, origin: Sequence[int] | None = None, selection_shape: Sequence[int] | None = None
    ) -> Iterator[tuple[int, ...]]:
        return iter_chunk_coords(self, origin=origin, selection_shape=selection_shape)

    def _iter_shard_coords(
        self, origin: Sequence[int] | None = None, selection_shape: Sequence[int] | None = None
    ) -> Iterator[tuple[int, ...]]:
        return iter_shard_coords(self, origin=origin, selection_shape=selection_shape)

    def _iter_shard_keys(
        self, origin: Sequence[int] | None = None, selection_shape: Sequence[int] | None = None
    ) -> Iterator[str]:
        return iter_shard_keys(self, origin=origin, selection_shape=selection_shape)

    def _iter_chunk_regions(
        self, origin: Sequence[int] | None = None, selection_shape: Sequence[int] | None = None
    ) -> Iterator[tuple[slice, ...]]:
        return iter_regions(self, origin=origin, selection_shape=selection_shape)

    _iter_shard_regions = _iter_chunk_regions

    @property
    def info(self) -> ArrayInfo:
        """A description of the array, which reads no chunks."""
        return self._info()

    def _info(self, chunks: int | None = None, stored: int | None = None) -> ArrayInfo:
        layout = self.inner.layout
        irregular, sharded = layout.irregular is not None, layout.sharding is not None
        return ArrayInfo(
            _zarr_format=self.metadata.zarr_format,
            _data_type=self._zdtype,
            _fill_value=self.fill_value,
            _shape=layout.shape,
            _shard_shape="<variable>" if irregular and sharded else layout.shards,
            _chunk_shape=None if irregular and not sharded else layout.inner_chunks,
            _order=self.order,
            _read_only=self.read_only,
            _store_type=type(self.store).__name__,
            _filters=self.filters,
            _serializer=self.serializer,
            _compressors=self.compressors,
            _count_bytes=self.nbytes,
            _count_bytes_stored=stored,
            _count_chunks_initialized=chunks,
        )

    def __eq__(self, other: object) -> bool:
        """Whether both are handles of the same array with the same metadata and settings."""
        if type(other) is not type(self) or not isinstance(other, Described):
            return NotImplemented
        return bool(
            self.store_path == other.store_path
            and self.metadata == other.metadata
            and self.config == other.config
        )

    def __hash__(self) -> int:
        """Return a hash of the path."""
        return hash(self.inner)

    def __repr__(self) -> str:
        """Return the location, the shape and the dtype."""
        kind = type(self).__name__
        return f"<{kind} {self.store_path} shape={self.inner.shape} dtype={self.dtype}>"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return the values that identify this array to dask."""
        return (type(self).__name__, self.inner.__dask_tokenize__(), str(self.config))


def iter_chunk_coords(
    array: Described,
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of the chunks, or of a box of them."""
    return _iter_grid(array.cdata_shape, origin=origin, selection_shape=selection_shape)


def iter_shard_coords(
    array: Described,
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of the stored objects, or of a box of them."""
    grid_shape = array.inner.layout.grid_shape
    return _iter_grid(grid_shape, origin=origin, selection_shape=selection_shape)


def iter_shard_keys(
    array: Described,
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
) -> Iterator[str]:
    """Iterate over the keys of the stored objects, relative to the array."""
    encode = array.metadata.encode_chunk_key
    found = iter_shard_coords(array, origin=origin, selection_shape=selection_shape)
    return (encode(coords) for coords in found)


def iter_regions(
    array: Described,
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
) -> Iterator[tuple[slice, ...]]:
    """Iterate over the regions of the stored objects as tuples of slices."""
    layout = array.inner.layout
    grid, shape = layout.grid, layout.shape
    for coords in iter_shard_coords(array, origin=origin, selection_shape=selection_shape):
        yield tuple(
            slice(grid.start(axis, k), min(grid.start(axis, k + 1), size), 1)
            for axis, (k, size) in enumerate(zip(coords, shape, strict=True))
        )
