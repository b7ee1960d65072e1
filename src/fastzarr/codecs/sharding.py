"""The ``sharding_indexed`` codec: many chunks in one stored object, found through an index.

Rules of this file:

* The index gives, for each inner chunk in C order, its offset from the start of the shard and its
  size in bytes; both are 2^64 - 1 where the inner chunk is missing, which means fill value.
* The index is hostile. It is checked as a whole before a byte is read through it: every inner chunk
  lies inside the shard, outside the index, and overlaps no other. Gaps are allowed.
* The inside of a shard is a chunk grid like that of an array, and is read and written by the same
  functions (``_reference.py``). This file knows the bytes of a shard, not how selections are run.

Specification: zarr-specs, "Sharding codec", version 1.0.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.codecs.base import (
    ArrayBytesCodec,
    ChunkSpec,
    as_view,
    check_members,
    choice,
    exact_int,
    placed,
)
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.crc32c import Crc32cCodec
from fastzarr.errors import CodecError, LimitError, MetadataError
from fastzarr.grid import grid_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fastzarr.codecs.base import Buffer, Codec
    from fastzarr.codecs.chain import Program

MISSING = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class ShardingCodec(ArrayBytesCodec):
    """Store the chunks of a shard one after the other, with an index of where each lies.

    ``chunk_shape`` is the shape of an inner chunk and divides that of the shard. ``codecs`` is the
    chain of the inner chunks, ``index_codecs`` that of the index, whose size must be fixed.

    >>> ShardingCodec(chunk_shape=(2, 2)).index_location
    'end'
    """

    name: ClassVar[str] = "sharding_indexed"

    chunk_shape: tuple[int, ...]
    codecs: tuple[Codec, ...] = (BytesCodec(endian="little"),)
    index_codecs: tuple[Codec, ...] = (BytesCodec(endian="little"), Crc32cCodec())
    index_location: str = "end"

    def __post_init__(self) -> None:
        """Give the members their final form."""
        from fastzarr.codecs import parse

        shape: Any = self.chunk_shape
        if isinstance(shape, int) and not isinstance(shape, bool):
            shape = (shape,)
        if not isinstance(shape, (tuple, list)):
            msg = f"must be a list of integers, not {shape!r}"
            raise MetadataError(msg, "chunk_shape")
        sizes = tuple(
            exact_int(size, 1, 2**63 - 1, f"chunk_shape[{i}]") for i, size in enumerate(shape)
        )
        object.__setattr__(self, "chunk_shape", sizes)
        for member in ("codecs", "index_codecs"):
            chain = getattr(self, member)
            if not isinstance(chain, (tuple, list)) or not chain:
                msg = f"must be a list of at least one codec, not {chain!r}"
                raise MetadataError(msg, member)
            parsed = tuple(parse(codec, f"{member}[{i}]") for i, codec in enumerate(chain))
            object.__setattr__(self, member, parsed)
        location = choice(self.index_location, ("start", "end"), "index_location")
        object.__setattr__(self, "index_location", location)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Make the codec from a document, in which inner codecs are spelled as format 3 has it."""
        from fastzarr.codecs import from_v3

        check_members(config, cls.members(), where)
        found = dict(config)
        for member in ("codecs", "index_codecs"):
            chain = config.get(member)
            if isinstance(chain, list):
                place = f"{where}.{member}"
                found[member] = [from_v3(codec, f"{place}[{i}]") for i, codec in enumerate(chain)]
        return placed(lambda: cls(**found), where)

    @classmethod
    def members(cls) -> dict[str, bool]:
        """Ask for what the specification asks for, and tolerate index codecs left out."""
        return {"chunk_shape": True, "codecs": True, "index_codecs": False, "index_location": False}

    def config(self) -> dict[str, Any]:
        """Give the ``configuration`` object."""
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": [codec.to_dict() for codec in self.codecs],
            "index_codecs": [codec.to_dict() for codec in self.index_codecs],
            "index_location": self.index_location,
        }

    def resolve(self, spec: ChunkSpec) -> Self:
        """Resolve the inner chains, and raise ``MetadataError`` where shapes do not divide."""
        from fastzarr.codecs.chain import Program
        from fastzarr.metadata.checks import resolve_chain

        self.check_shape(spec.shape)
        inner, index = replace(spec, shape=self.chunk_shape), self.index_spec(spec.shape)
        fitted = replace(
            self,
            codecs=resolve_chain(self.codecs, inner, "codecs"),
            index_codecs=resolve_chain(self.index_codecs, index, "index_codecs"),
        )
        if Program(fitted.index_codecs, index).encoded_size is None:
            names = ", ".join(codec.name for codec in fitted.index_codecs)
            msg = f"the size of an encoded index must be fixed, which {names} does not give"
            raise MetadataError(msg, "index_codecs")
        return fitted

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ``MetadataError`` unless the inner chunks divide a shard of this shape."""
        from fastzarr.config import config

        if len(shape) != len(self.chunk_shape):
            msg = f"has {len(self.chunk_shape)} axes, but the shard has {len(shape)}: {shape}"
            raise MetadataError(msg, "chunk_shape")
        for axis, (size, inner) in enumerate(zip(shape, self.chunk_shape, strict=True)):
            if size % inner:
                msg = f"{inner} does not divide the shard's size {size} of this axis"
                raise MetadataError(msg, f"chunk_shape[{axis}]")
        count, limit = math.prod(grid_shape(shape, self.chunk_shape)), config["limits.inner_chunks"]
        if count > limit:
            msg = (
                f"a shard of {count} inner chunks is over the limit of {limit}; raise "
                "limits.inner_chunks in config if that is right"
            )
            raise LimitError(msg, "chunk_shape")

    def index_spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        """Describe the index of a shard of this shape: two numbers for each inner chunk."""
        from fastzarr.dtypes import from_numpy

        grid = grid_shape(shape, self.chunk_shape)
        return ChunkSpec((*grid, 2), from_numpy("uint64"), np.uint64(MISSING))

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: inner chunks that are missing take no space."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Encode one whole shard; one without any inner chunk is an index alone."""
        from fastzarr import _reference

        return _reference.encode_shard(Shard(self, spec), array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode one whole shard."""
        from fastzarr import _reference

        return _reference.decode_shard(Shard(self, spec), data)


class Shard:
    """Know the bytes of the shards of one array: the index, and the program of inner chunks.

    ``shape`` is that of the shard as the sharding codec sees it, ``inner_shape`` that of an inner
    chunk, ``axes`` gives for each axis of the stored object the axis of the shard it is.
    """

    __slots__ = ("at_start", "axes", "grid", "index", "index_size", "inner", "inner_shape", "spec")

    def __init__(
        self, codec: ShardingCodec, spec: ChunkSpec, order: Sequence[int] | None = None
    ) -> None:
        """Compile the chains of the inner chunks and of the index."""
        from fastzarr.codecs.chain import Program

        self.spec, self.inner_shape = spec, codec.chunk_shape
        self.grid = grid_shape(spec.shape, codec.chunk_shape)
        self.inner: Program = Program(codec.codecs, replace(spec, shape=codec.chunk_shape))
        self.index: Program = Program(codec.index_codecs, codec.index_spec(spec.shape))
        # `resolve` has refused chains without one.
        self.index_size: int = self.index.encoded_size or 0
        self.at_start = codec.index_location == "start"
        order = range(len(spec.shape)) if order is None else order
        self.axes = tuple(order.index(axis) for axis in range(len(order)))

    def index_range(self) -> tuple[int, int | None]:
        """Give the byte range of the index, as stores take it."""
        return (0, self.index_size) if self.at_start else (-self.index_size, None)

    def index_bytes(self, data: Buffer) -> memoryview:
        """Cut the index out of a whole shard."""
        view = as_view(data)
        return view[: self.index_size] if self.at_start else view[-self.index_size :]

    def read_index(self, data: Buffer, size: int | None) -> NDArray[np.uint64]:
        """Decode and check an index; the result has one row (offset, size) an inner chunk.

        ``size`` is that of the whole shard, or None where it is not known. Raises ``CodecError``.
        """
        if len(data) != self.index_size:
            msg = f"the shard's index takes {self.index_size} bytes, but only {len(data)} are there"
            raise CodecError(msg)
        index = self.index.decode(data).reshape(-1, 2).astype(np.uint64, copy=False)
        used = np.flatnonzero((index != MISSING).any(axis=1))
        if not used.size:
            return index
        offsets, sizes = index[used, 0], index[used, 1]
        first = np.uint64(self.index_size if self.at_start else 0)
        end = MISSING if size is None else size - (0 if self.at_start else self.index_size)
        last = np.uint64(end)
        wrong = (offsets < first) | (offsets > last) | (sizes > last - np.minimum(offsets, last))
        order = np.argsort(offsets, kind="stable")
        ends = offsets + sizes
        overlap = np.zeros(used.size, dtype=bool)
        overlap[order[1:]] = offsets[order[1:]] < ends[order[:-1]]
        outside = f"lies outside bytes {first} to {last}"
        for bad, why in ((wrong, outside), (overlap, "overlaps another")):
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                chunk = tuple(int(i) for i in np.unravel_index(used[row], self.grid))
                msg = (
                    f"the shard's index places inner chunk {chunk} at offset {offsets[row]}, size "
                    f"{sizes[row]}, which {why}"
                )
                raise CodecError(msg)
        return index

    def assemble(self, pieces: Mapping[int, Buffer]) -> bytes:
        """Join encoded inner chunks, by their number in C order, and their index into a shard."""
        index = np.full((math.prod(self.grid), 2), MISSING, dtype=np.uint64)
        offset = self.index_size if self.at_start else 0
        parts: list[Any] = []
        for number in sorted(pieces):
            data = as_view(pieces[number])
            index[number] = offset, data.nbytes
            offset += data.nbytes
            parts.append(data)
        encoded = as_view(self.index.encode(index.reshape(*self.grid, 2)))
        return b"".join(itertools.chain([encoded], parts) if self.at_start else [*parts, encoded])
