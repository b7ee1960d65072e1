"""The index of a shard, and a shard as a mapping of chunks, for those who read one by hand.

Rules of this file:

* Arrays are read by the engine of fastzarr, which has its own index. Nothing here is used by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastzarr.compat.core.buffer import Buffer, default_buffer_prototype
from fastzarr.compat.core.indexing import lexicographic_order_coords

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_UINT_64 = 2**64 - 1
"""The offset and the length of a chunk that is not stored."""

Coords = tuple[int, ...]


class _ShardIndex(NamedTuple):
    """The offset and the length of each chunk in a shard."""

    chunks_per_shard: Coords
    offsets_and_lengths: npt.NDArray[np.uint64]

    @classmethod
    def create_empty(cls, chunks_per_shard: Coords) -> Self:
        """Return the index of a shard without chunks."""
        return cls(chunks_per_shard, np.full((*chunks_per_shard, 2), MAX_UINT_64, "<u8"))

    def is_all_empty(self) -> bool:
        """Whether no chunk is stored."""
        return bool((self.offsets_and_lengths == MAX_UINT_64).all())

    def get_full_chunk_map(self) -> npt.NDArray[np.bool_]:
        """Return which chunks are stored."""
        stored: npt.NDArray[np.bool_] = self.offsets_and_lengths[..., 0] != MAX_UINT_64
        return stored

    def is_dense(self, chunk_byte_length: int, *, data_section_start: int) -> bool:
        """Whether chunks of one length fill the data of the shard without gaps."""
        offsets, lengths = self.offsets_and_lengths.reshape(-1, 2).T
        ends = np.arange(offsets.size, dtype="u8") * np.uint64(chunk_byte_length)
        placed = np.array_equal(np.sort(offsets), ends + np.uint64(data_section_start))
        return bool(placed and (lengths == chunk_byte_length).all())

    def get_chunk_slice(self, chunk_coords: Coords) -> tuple[int, int] | None:
        """Return where a chunk begins and ends, or None if it is not stored."""
        start, length = map(int, self.offsets_and_lengths[self._inside(chunk_coords)])
        return None if start == MAX_UINT_64 == length else (start, start + length)

    def get_chunk_slices_vectorized(
        self, chunk_coords_array: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return where each of many chunks begins and ends, and whether it is stored."""
        inside = chunk_coords_array % np.array(self.chunks_per_shard, chunk_coords_array.dtype)
        found = self.offsets_and_lengths[tuple(inside.T)]
        starts, lengths = np.broadcast_to(found, (len(chunk_coords_array), 2)).T
        return starts, starts + lengths, starts != MAX_UINT_64

    def set_chunk_slice(self, chunk_coords: Coords, chunk_slice: slice | None) -> None:
        """Set where a chunk is; None means that it is not stored."""
        place = (MAX_UINT_64, MAX_UINT_64)
        if chunk_slice is not None:
            place = (chunk_slice.start, chunk_slice.stop - chunk_slice.start)
        self.offsets_and_lengths[self._inside(chunk_coords)] = place

    def _inside(self, chunk_coords: Coords) -> Coords:
        pairs = zip(chunk_coords, self.chunks_per_shard, strict=True)
        return tuple(at % count for at, count in pairs)


class _ShardReader(Mapping[Coords, Buffer]):
    """The stored chunks of a shard by their places in it."""

    buf: Buffer
    index: _ShardIndex

    @classmethod
    async def from_bytes(cls, buf: Buffer, codec: Any, chunks_per_shard: Coords) -> Self:
        """Return the chunks of an encoded shard."""
        made = cls()
        made.buf, made.index = buf, codec.read_index(buf, chunks_per_shard)
        return made

    @classmethod
    def create_empty(cls, chunks_per_shard: Coords, buffer_prototype: Any = None) -> Self:
        """Return a shard without chunks."""
        prototype = buffer_prototype or default_buffer_prototype()
        made = cls()
        made.buf = prototype.buffer.create_zero_length()
        made.index = _ShardIndex.create_empty(chunks_per_shard)
        return made

    def __getitem__(self, chunk_coords: Coords) -> Buffer:
        """Return an encoded chunk; raise KeyError if it is not stored."""
        found = self.index.get_chunk_slice(chunk_coords)
        if found is None:
            raise KeyError(chunk_coords)
        return self.buf[found[0] : found[1]]

    def __len__(self) -> int:
        """Return the number of places in the shard."""
        return self.index.offsets_and_lengths.size // 2

    def __iter__(self) -> Iterator[Coords]:
        """Iterate over the places in the shard."""
        return iter(lexicographic_order_coords(self.index.chunks_per_shard))

    def to_dict_vectorized(self) -> dict[Coords, Buffer | None]:
        """Return the chunk at each place, or None where none is stored."""
        return {place: self.get(place) for place in self}
