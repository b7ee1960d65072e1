"""The arguments ``shape``, ``chunks`` and ``shards``: parsed, or chosen automatically.

Rules of this file:

* ``chunks`` is the shape of the smallest unit that can be read separately; ``shards`` is the shape
  of a stored object of many chunks. Both are resolved to one integer of at least 1 for each axis.
* Automatic shapes have a target size in bytes: the settings ``array.target_chunk_size_bytes`` and
  ``array.target_shard_size_bytes``. The longest axis is halved until the next step would fall below
  the target. Chunks thus stay nearly cubic and suit reads along every axis.
* In format 3, an axis may have the sizes of all its chunks; these are the grid ``rectilinear``. If
  they are equal, or only the last is shorter, the axis is regular, as everywhere in dask.
* An invalid value raises ``MetadataValidationError`` naming the argument, such as ``chunks[1]``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any

from fastzarr.checked import MAX_SIZE, as_int, show
from fastzarr.config import DEFAULTS, config
from fastzarr.creating.given import NotGiven
from fastzarr.errors import MetadataValidationError
from fastzarr.grids import parse as grids
from fastzarr.grids.base import Grid
from fastzarr.grids.rectilinear import RectilinearGrid
from fastzarr.grids.regular import RegularGrid

# The assumed size in bytes of an element of variable length.
_VARIABLE_ITEMSIZE = 32


def parse_shape(shape: Any, where: str = "shape") -> tuple[int, ...]:
    """Return a shape as a tuple of non-negative integers; an integer is a shape of one axis.

    >>> parse_shape(3), parse_shape([2, 0])
    ((3,), (2, 0))
    """
    if isinstance(shape, str) or not isinstance(shape, Iterable) or _ndim(shape) == 0:
        return (as_int(shape, where, 0),)
    sizes = list(shape)
    for axis, size in enumerate(sizes):
        if type(size) is not int or not 0 <= size <= MAX_SIZE:
            sizes[axis] = as_int(size, f"{where}[{axis}]", 0)
    return tuple(sizes)


def parse_chunks(chunks: Any, shape: tuple[int, ...], itemsize: int | None) -> tuple[int, ...]:
    """Return the chunk shape of an array from the argument ``chunks``.

    None, True, ``"auto"`` and a missing argument choose a shape; False is one chunk for the whole
    array; an integer applies to every axis. In a sequence, None or -1 is the whole axis, and so is
    an axis beyond its end. Chunks in the form of dask are accepted if they are regular.

    >>> parse_chunks((10, -1), (40, 30), 8), parse_chunks(7, (40, 30), 8)
    ((10, 30), (7, 7))
    """
    if _is_auto(chunks):
        return guess_chunks(shape, itemsize)
    return _parse_pieces(chunks, shape, "chunks")


def parse_grid(pieces: Any, shape: tuple[int, ...], where: str) -> Grid | None:
    """Return the grid of chunks that differ in size along an axis; None for any other argument.

    The argument has the sizes along each axis, or is a grid, or a grid as ``zarr.json`` has it.
    Raise ``MetadataValidationError`` if the chunks do not cover the array.

    >>> parse_grid([[10, 20, 30], 5], (60, 7), "chunks").count((60, 7))
    (3, 2)
    >>> parse_grid([[10, 10, 5], 5], (25, 7), "chunks")
    """
    if isinstance(pieces, Grid):
        return None if isinstance(pieces, RegularGrid) else pieces.grown(shape)
    if isinstance(pieces, Mapping) and pieces.get("name") not in (None, "regular"):
        return grids.parse_grid(dict(pieces), shape, where)
    if isinstance(pieces, str | bytes | Mapping) or not isinstance(pieces, Iterable):
        return None
    if _ndim(pieces) not in (None, 2):
        return None
    found = list(pieces)
    uneven = []
    for axis, piece in enumerate(found):
        if type(piece) is not int and _is_uneven(piece):
            uneven.append(axis)
    if not uneven or len(found) > len(shape):
        return None
    sizes: list[Any] = [max(size, 1) for size in shape]
    for axis, piece in enumerate(found):
        sizes[axis] = (
            list(piece) if axis in uneven else _piece(piece, sizes[axis], f"{where}[{axis}]")
        )
    grid = RectilinearGrid.of(sizes, where)
    grid.check(shape, where)
    return grid


def parse_shards(
    shards: Any, chunks: Any, shape: tuple[int, ...], itemsize: int | None
) -> tuple[tuple[int, ...], tuple[int, ...] | Grid | None]:
    """Return the shapes of chunks and shards; the latter is None without shards.

    Shards that differ in size are returned as their grid.

    ``"auto"`` or True chooses the number of chunks in a shard by the target size. In a sequence,
    None or -1 is the whole axis, rounded up to whole chunks. Raise ``MetadataValidationError`` if a
    shard is not a whole number of chunks.

    >>> parse_shards((20, 20), (10, 10), (100, 100), 8)
    ((10, 10), (20, 20))
    """
    if shards is None or shards is False or isinstance(shards, NotGiven):
        return parse_chunks(chunks, shape, itemsize), None
    grid = parse_grid(shards, shape, "shards")
    if grid is not None:
        if _is_auto(chunks):
            sizes = tuple([math.gcd(*along) for along in grid.variety()])
            return _guess_within(sizes, itemsize), grid
        inner = parse_chunks(chunks, shape, itemsize)
        for axis, (along, chunk) in enumerate(zip(grid.variety(), inner, strict=True)):
            for size in along:
                _check_multiple(size, chunk, inner, axis)
        return inner, grid
    if shards is True or _is_auto(shards):
        inner = parse_chunks(chunks, shape, itemsize)
        return inner, guess_shards(shape, inner, itemsize)
    if _is_auto(chunks):
        outer = _parse_pieces(shards, shape, "shards")
        return _guess_within(outer, itemsize), outer
    inner = parse_chunks(chunks, shape, itemsize)
    whole = RegularGrid(inner).cover(tuple(max(size, 1) for size in shape))
    outer = _parse_pieces(shards, whole, "shards")
    for axis, (shard, chunk) in enumerate(zip(outer, inner, strict=True)):
        _check_multiple(shard, chunk, inner, axis)
    return inner, outer


def _check_multiple(shard: int, chunk: int, inner: tuple[int, ...], axis: int) -> None:
    if shard % chunk:
        msg = f"must be a multiple of the chunk length {chunk}, not {shard}; chunks are {inner}"
        raise MetadataValidationError(msg, f"shards[{axis}]")


def guess_chunks(
    shape: tuple[int, ...], itemsize: int | None, target: int | None = None
) -> tuple[int, ...]:
    """Return a chunk shape of at least the target size, or ``shape`` if the array is smaller.

    ``target`` is a size in bytes. An axis of length 0 is expected to grow: its chunk length is
    chosen to reach the target.

    >>> guess_chunks((4000, 4000), 4)
    (500, 1000)
    >>> guess_chunks((0, 1024), 8)
    (128, 1024)
    """
    if target is None:
        target = _target("array.target_chunk_size_bytes")
    item = max(1, _VARIABLE_ITEMSIZE if itemsize is None else itemsize)
    chunks = [max(size, 1) for size in shape]
    pieces = [1] * len(shape)
    while chunks:
        axis = max(range(len(chunks)), key=chunks.__getitem__)
        half = -(-max(shape[axis], 1) // (pieces[axis] * 2))
        if chunks[axis] == 1 or math.prod(chunks) // chunks[axis] * half * item < target:
            break
        pieces[axis] *= 2
        chunks[axis] = half
    growing = [axis for axis, size in enumerate(shape) if size == 0]
    if growing:
        room = max(1, target // (math.prod(chunks) * item))
        for axis in growing:
            chunks[axis] = max(1, math.ceil(room ** (1 / len(growing))))
    return tuple(chunks)


def guess_shards(
    shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int | None
) -> tuple[int, ...]:
    """Return a shard shape of whole chunks, up to the target size or the size of the array."""
    target = _target("array.target_shard_size_bytes")
    item = max(1, _VARIABLE_ITEMSIZE if itemsize is None else itemsize)
    size = math.prod(chunks) * item
    most = RegularGrid(chunks).count(tuple(max(length, 1) for length in shape))
    times = [1] * len(chunks)
    while size * 2 <= target:
        open_axes = [axis for axis in range(len(chunks)) if times[axis] < most[axis]]
        if not open_axes:
            break
        axis = max(open_axes, key=lambda axis: most[axis] / times[axis])
        size //= times[axis]
        times[axis] = min(times[axis] * 2, most[axis])
        size *= times[axis]
    return tuple(chunk * count for chunk, count in zip(chunks, times, strict=True))


def _target(setting: str) -> int:
    """Return a size in bytes of the configuration; None stands for the default."""
    found = config[setting]
    return int(DEFAULTS[setting] if found is None else found)


def _ndim(value: Any) -> Any:
    # A zero-dimensional array has __iter__ but is not iterable; it stands for an integer.
    return getattr(value, "ndim", None)


def _is_auto(value: Any) -> bool:
    # As in zarr-python 2 and 3, None alone chooses a shape; in a sequence it is the whole axis.
    if isinstance(value, str):
        return value == "auto"
    return value is None or value is True or isinstance(value, NotGiven)


def _guess_within(shards: tuple[int, ...], itemsize: int | None) -> tuple[int, ...]:
    guessed = guess_chunks(shards, itemsize)
    return tuple(_divisor(shard, chunk) for shard, chunk in zip(shards, guessed, strict=True))


def _divisor(number: int, least: int) -> int:
    """Return the smallest divisor of ``number`` that is at least ``least``."""
    small = [low for low in range(1, math.isqrt(number) + 1) if number % low == 0]
    return min(d for low in small for d in (low, number // low) if d >= least)


def _parse_pieces(pieces: Any, whole: tuple[int, ...], where: str) -> tuple[int, ...]:
    if isinstance(pieces, Grid):
        if None in pieces.steps:
            msg = "chunks that differ in shape are only for arrays of format 3; pass other chunks"
            raise MetadataValidationError(msg, where)
        pieces = pieces.steps
    if isinstance(pieces, Mapping) and pieces.get("name") == "regular":
        pieces = dict(pieces.get("configuration") or {}).get("chunk_shape", ())
    full = tuple(map(max, whole, repeat(1)))
    if pieces is None or pieces is False:
        return full
    if isinstance(pieces, str | bytes | Mapping):
        known = "an integer, a sequence of integers, None, True, False or 'auto'"
        msg = f"must be {known}, not {pieces!r}"
        raise MetadataValidationError(msg, where)
    if not isinstance(pieces, Iterable) or _ndim(pieces) == 0:
        return tuple(_piece(pieces, size, where) for size in full)
    found = list(pieces)
    if len(found) > len(full):
        msg = f"has {len(found)} entries, {tuple(found)!r}, for an array of {len(full)} dimensions"
        raise MetadataValidationError(msg, where)
    named = [
        _piece(piece, size, f"{where}[{axis}]")
        for axis, (piece, size) in enumerate(zip(found, full, strict=False))
    ]
    return (*named, *full[len(named) :])


def _piece(piece: Any, size: int, where: str) -> int:
    if piece is None:
        return size
    if type(piece) is int and 0 < piece <= MAX_SIZE:
        return piece
    if isinstance(piece, Iterable) and not isinstance(piece, str) and _ndim(piece) != 0:
        return _regular(list(piece), where)
    if not isinstance(piece, bool):
        try:
            if operator.index(piece) == -1:
                return size
        except TypeError:
            pass
    return as_int(piece, where, 1)


def _is_uneven(piece: Any) -> bool:
    """Whether an axis has a list of sizes that one size cannot stand for."""
    if isinstance(piece, str | bytes) or not isinstance(piece, Iterable) or _ndim(piece) == 0:
        return False
    sizes = list(piece)
    if not sizes:
        return False
    if any(isinstance(size, Iterable) for size in sizes):
        return True
    return any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]


def _regular(sizes: list[Any], where: str) -> int:
    """Return the chunk length of a list of equal lengths, of which the last may be shorter."""
    lengths = [as_int(size, f"{where}[{index}]", 1) for index, size in enumerate(sizes)]
    if not lengths or any(size != lengths[0] for size in lengths[:-1]) or lengths[-1] > lengths[0]:
        msg = (
            f"the chunks {show(tuple(sizes))} of one axis differ in length, which only arrays of "
            "format 3 may have; pass one length instead"
        )
        raise MetadataValidationError(msg, where)
    return lengths[0]
