"""The stored chunks of an array: counted and hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.buffers import as_view
from fastzarr.engine.requests import call_each
from fastzarr.nodes import documents
from fastzarr.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access


class StoredBytes(int):
    """A number of bytes that can also be called: an attribute in zarr-python 2, a method in 3."""

    def __call__(self) -> int:
        """Return the number."""
        return int(self)


def stored_size(store: Store, path: str) -> int:
    """Return the size of all values below a path in bytes, asked for at once if that helps."""
    own = getattr(store.getsize_prefix, "__func__", None) is not Store.getsize_prefix
    if own or store.concurrency == 1:
        return store.getsize_prefix(path)
    size = 0
    for _, found in call_each(store, store.getsize, list(store.list(path))):
        # A value may have been deleted in between.
        if isinstance(found, Exception) and not isinstance(found, FileNotFoundError):
            raise found
        size += found if isinstance(found, int) else 0
    return size


def stored_chunks(access: Access) -> int:
    """Return the number of stored chunks; those in shards are counted by the shard's index."""
    layout, chunks = access.layout, access.chunks
    total = 0
    for coords in _inside(access):
        shard = layout.program_at(coords).shard
        if shard is None:
            # A shard that is stored compressed is counted with all its inner chunks.
            sizes = [layout.grid.size(axis, k) for axis, k in enumerate(coords)]
            total += 1 if layout.sharding is None else layout.inner_grid.total(tuple(sizes))
            continue
        found = chunks.source(coords).get_ranges([shard.index_range()])
        if found is not None:
            index = shard.read_index(found[0], None)
            total += int((index != index.dtype.type(2**64 - 1)).any(axis=1).sum())
    return total


def digest(access: Access, hashname: str) -> bytes:
    """Return a hash of the stored chunks in C order, then of the metadata, as zarr-python 2."""
    import hashlib

    total = hashlib.new(hashname)
    layout, chunks = access.layout, access.chunks
    # Missing chunks contribute no bytes, so only stored chunks are visited.
    for coords in sorted(_inside(access)):
        total.update(as_view(chunks.get(coords) or b""))
    for name in reversed(layout.format.names("array")):
        total.update(access.store.get(documents.join(access.path, name)) or b"")
    return total.digest()


def stored_coords(access: Access, layout: Layout) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of the stored objects, inside the layout's grid or not."""
    root = access.chunk_root
    start = len(root) + 1 if root else 0
    for key in access.chunk_store.list(root):
        coords = layout.keys.decode(key[start:], len(layout.shape))
        if coords is not None:
            yield coords


def _inside(access: Access) -> Iterator[tuple[int, ...]]:
    shape = access.layout.grid_shape
    return (coords for coords in stored_coords(access, access.layout) if is_inside(coords, shape))


def is_inside(coords: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a grid of a shape has a chunk at these coordinates."""
    return all(k < n for k, n in zip(coords, shape, strict=True))
