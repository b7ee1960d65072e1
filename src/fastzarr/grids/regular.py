"""Regular chunk grids, and the keys of chunks.

Rules of this file:

* Grids are regular: every stored object spans ``chunks`` elements, even at the edge of the array.
* A key encoding converts between the coordinates of a chunk and its key, relative to the array's
  path. Both encodings are those of the core specification, version 3, "Chunk key encoding".
"""

from __future__ import annotations

import math

from fastzarr.checked import as_sizes, fail, member


def grid_shape(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of chunks along each axis.

    >>> grid_shape((5, 0), (2, 3))
    (3, 0)
    """
    pairs = zip(shape, chunks, strict=True)
    return tuple(-(-size // chunk) if size else 0 for size, chunk in pairs)


def chunk_count(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    """Return the number of chunks in an array; a zero-dimensional array has one."""
    return math.prod(grid_shape(shape, chunks))


def as_chunks(value: object, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Return a JSON list as the chunk shape of an array of ``shape``.

    Old writers put 0 along axes of length zero, which is read as 1. Raise ``MetadataError`` for 0
    along another axis, and for a wrong number of axes.
    """
    chunks = as_sizes(value, where, 0)
    if len(chunks) != len(shape):
        fail(f"has {len(chunks)} sizes for the {len(shape)} axes of the shape", where)
    for axis, (chunk, size) in enumerate(zip(chunks, shape, strict=True)):
        if chunk == 0 and size:
            fail("must be at least 1, got 0", member(where, axis))
    return tuple(chunk or 1 for chunk in chunks)


def chunk_sizes(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the sizes of the chunks along each axis, clipped at the end of the array."""
    return tuple(
        tuple(min(chunk, size - start) for start in range(0, size, chunk))
        for size, chunk in zip(shape, chunks, strict=True)
    )
