"""The stored chunks of an array: counted and hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.buffers import as_view
from fastzarr.nodes import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.array import Array


def stored_chunks(array: Array) -> int:
    """Count the chunks that are stored, inside shards by their indexes."""
    access = array._current()  # noqa: SLF001  (its own other half)
    layout, chunks = access.layout, access.chunks
    shard = layout.program.shard
    total = 0
    for coords in stored_coords(array, layout, inside=True):
        if shard is None:
            total += layout.inner_grid.total(layout.chunks)
            continue
        found = chunks.source(coords).get_ranges([shard.index_range()])
        if found is not None:
            index = shard.read_index(found[0], None)
            total += int((index != index.dtype.type(2**64 - 1)).any(axis=1).sum())
    return total


def digest(array: Array, hashname: str) -> bytes:
    """Hash the stored chunks in C order, then the metadata, as zarr-python 2 does."""
    import hashlib

    total = hashlib.new(hashname)
    access = array._current()  # noqa: SLF001  (its own other half)
    layout, chunks = access.layout, access.chunks
    # A chunk that is not stored adds nothing, so those that are stored are enough.
    for coords in sorted(stored_coords(array, layout, inside=True)):
        total.update(as_view(chunks.get(coords) or b""))
    for name in reversed(layout.format.names("array")):
        total.update(array.store.get(documents.join(array.path, name)) or b"")
    return total.digest()


def stored_coords(array: Array, layout: Layout, *, inside: bool) -> Iterator[tuple[int, ...]]:
    """Go through the coordinates of the stored objects inside the grid, or outside of it."""
    start = len(array.path) + 1 if array.path else 0
    for key in array.chunk_store.list(array.path):
        coords = layout.keys.decode(key[start:], len(layout.shape))
        if coords is not None:
            within = all(k < n for k, n in zip(coords, layout.grid_shape, strict=True))
            if within == inside:
                yield coords
