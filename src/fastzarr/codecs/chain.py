"""Chains of codecs, validated and resolved for the chunks that they encode.

Rules of this file:

* A chain is array-to-array codecs, exactly one array-to-bytes codec, and bytes-to-bytes codecs, in
  this order.
* Every error names the codec by its location.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from fastzarr.checked import fail, located, member, show, unusable
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr.codecs.base import ChunkSpec, Codec, Inside
    from fastzarr.dtypes.base import DataType


def check_chain(codecs: Sequence[Codec], where: str, places: Sequence[str] | None = None) -> None:
    """Raise ``MetadataError`` unless the chain has the kinds of codecs in a valid order.

    Array-to-array codecs come first, then exactly one array-to-bytes codec, then bytes-to-bytes
    codecs. ``places`` are the locations of the codecs, if they are not the items of a list.
    """
    kinds: list[int] = []
    for codec in codecs:
        for kind, cls in enumerate((ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)):
            if isinstance(codec, cls):
                kinds.append(kind)
                break
        else:
            fail(f"{show(codec)} is not an array or bytes codec", "")
    if kinds.count(1) > 1:
        serializers = [codec for codec, kind in zip(codecs, kinds, strict=True) if kind == 1]
        names = " and ".join(repr(codec.name) for codec in serializers)
        fail(f"only one codec may encode the array as bytes, got {names}", where)
    if 1 not in kinds:
        fail("no codec encodes the array as bytes; add one such as 'bytes'", where)
    for place in range(1, len(kinds)):
        if kinds[place] < kinds[place - 1]:
            before, after = codecs[place - 1].name, codecs[place].name
            at = places[place] if places else member(where, place)
            fail(f"{after!r} cannot follow {before!r}", at)


def resolve_chain(
    codecs: Sequence[Codec], spec: ChunkSpec, where: str, places: Sequence[str] | None = None
) -> tuple[Codec, ...]:
    """Return the chain with each codec resolved for the chunks that it encodes.

    ``spec`` describes the decoded chunks. ``where`` is the location of the list of codecs;
    ``places`` are the locations of their configurations, if not inside that list. Raise
    ``MetadataError``, naming the codec, if one cannot encode its input.
    """
    check_chain(codecs, where, places)
    resolved: list[Codec] = []
    try:
        for codec in codecs:
            fitted = codec.resolve(spec)
            if isinstance(fitted, ArrayArrayCodec):
                spec = fitted.encoded_spec(spec)
            resolved.append(fitted)
    except MemoryError:
        raise
    except Exception as error:  # third-party codecs may raise any exception
        index = len(resolved)
        place = places[index] if places else member(member(where, index), "configuration")
        if isinstance(error, MetadataError):
            raise located(error, place) from None
        raise unusable(error, place, "codec") from error
    return tuple(resolved)


def check_shapes(
    codecs: Sequence[Codec], spec: ChunkSpec, variety: tuple[tuple[int, ...], ...], where: str
) -> None:
    """Raise ``MetadataError`` if a codec cannot encode chunks of other shapes than ``spec`` has.

    ``variety`` has the sizes of chunks along each axis. Each is tried once, with the sizes of
    ``spec`` along the other axes: their product may be large.
    """
    for axis, sizes in enumerate(variety):
        for size in sizes:
            if size != spec.shape[axis]:
                shape = (*spec.shape[:axis], size, *spec.shape[axis + 1 :])
                resolve_chain(codecs, replace(spec, shape=shape), where)


def check_nesting(codecs: Sequence[Codec], where: str) -> None:
    """Raise ``LimitError`` if shards are nested deeper than ``limits.shard_nesting``."""
    limit, inside, depth = config.flat["limits.shard_nesting"], inside_of(codecs), 0
    while inside is not None:
        depth, inside = depth + 1, inside_of(inside.codecs)
    if depth > limit:
        msg = f"shards are nested deeper than {limit} levels (setting limits.shard_nesting)"
        raise LimitError(msg, where)


def check_sizes(
    chunks: tuple[int, ...], dtype: DataType, codecs: Sequence[Codec], where: str
) -> None:
    """Raise ``LimitError`` if a decoded chunk is larger than ``limits.chunk_bytes``.

    In a sharded array this is an inner chunk, the smallest unit that is decoded.
    """
    inside = inside_of(codecs)
    while inside is not None:
        chunks, inside = inside.grid.steps, inside_of(inside.codecs)
    size = math.prod(chunks) * max(1, dtype.numpy.itemsize)
    limit = config.flat["limits.chunk_bytes"]
    if size > limit:
        msg = f"a chunk of {show(size)} bytes exceeds {limit} (setting limits.chunk_bytes)"
        raise LimitError(msg, where)


def inside_of(codecs: Sequence[Codec]) -> Inside | None:
    """Return the chunk grid inside the chunks of a chain, or None if they are not sharded."""
    for codec in codecs:
        inside = codec.inside() if isinstance(codec, ArrayBytesCodec) else None
        if inside is not None:
            return inside
    return None
