"""The orders in which the inner chunks of a shard may follow each other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Coords = tuple[tuple[int, ...], ...]


def _places(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return, for each bit of a Morton code from the lowest on, its axis and its bit there."""
    bits = [(size - 1).bit_length() for size in shape]
    return [
        (axis, bit)
        for bit in range(max(bits, default=0))
        for axis, count in enumerate(bits)
        if bit < count
    ]


def decode_morton(z: int, chunk_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the coordinates of a Morton code in a grid of this shape.

    >>> decode_morton(3, (2, 2))
    (1, 1)
    """
    found = [0] * len(chunk_shape)
    for place, (axis, bit) in enumerate(_places(chunk_shape)):
        found[axis] |= (z >> place & 1) << bit
    return tuple(found)


def decode_morton_vectorized(z: NDArray[Any], chunk_shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the coordinates of Morton codes, a row for each code."""
    found = np.zeros((len(z), len(chunk_shape)), dtype=np.intp)
    for place, (axis, bit) in enumerate(_places(chunk_shape)):
        found[:, axis] |= (z >> place & 1) << bit
    return found


@lru_cache(maxsize=16)
def _morton_order(shape: tuple[int, ...]) -> NDArray[Any]:
    coords = _lexicographic_order(shape)
    codes = np.zeros(len(coords), dtype=np.intp)
    for place, (axis, bit) in enumerate(_places(shape)):
        codes |= (coords[:, axis] >> bit & 1) << place
    found = coords[np.argsort(codes, kind="stable")]
    found.flags.writeable = False
    return found


@lru_cache(maxsize=16)
def _lexicographic_order(shape: tuple[int, ...]) -> NDArray[Any]:
    ndim = len(shape)
    found = np.indices(shape, dtype=np.intp).reshape(ndim, -1).T if ndim else np.empty((1, 0), "i8")
    found.flags.writeable = False
    return found


def _as_tuples(coords: NDArray[Any]) -> Coords:
    return tuple(map(tuple, coords.tolist()))


@lru_cache(maxsize=16)
def morton_order_coords(shape: tuple[int, ...]) -> Coords:
    """Return the coordinates of a grid in Morton order.

    >>> morton_order_coords((2, 2))
    ((0, 0), (1, 0), (0, 1), (1, 1))
    """
    return _as_tuples(_morton_order(shape))


@lru_cache(maxsize=16)
def lexicographic_order_coords(shape: tuple[int, ...]) -> Coords:
    """Return the coordinates of a grid of which the last axis varies fastest."""
    return _as_tuples(_lexicographic_order(shape))


@lru_cache(maxsize=16)
def colexicographic_order_coords(shape: tuple[int, ...]) -> Coords:
    """Return the coordinates of a grid of which the first axis varies fastest."""
    return tuple(coords[::-1] for coords in lexicographic_order_coords(shape[::-1]))
