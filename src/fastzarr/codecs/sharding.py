"""The ``sharding_indexed`` codec: many chunks in one stored object, located by an index.

Rules of this file:

* For each inner chunk in C order, the index holds its offset from the start of the shard and its
  size in bytes. Both are 2^64 - 1 if the inner chunk is missing, and it then reads as fill values.
* The index is untrusted. It is validated as a whole before it is used: every inner chunk lies
  inside the shard and outside the index, and no two overlap. Gaps are allowed.
* The inside of a shard is a chunk grid like that of an array, and is read and written by the same
  functions (``engine/reference.py``). This file only handles the bytes of a shard, not selections.

Specification: zarr-specs, "Sharding codec", version 1.0.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import check_members, choice, exact_int, placed
from fastzarr.codecs.base import ArrayBytesCodec, ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.crc32c import Crc32cCodec
from fastzarr.errors import CodecError, LimitError, MetadataError
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import Codec
    from fastzarr.codecs.chain import Program

MISSING = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class ShardingCodec(ArrayBytesCodec):
    """Stores the encoded inner chunks of a shard consecutively, with an index of their locations.

    ``chunk_shape`` is the shape of an inner chunk and must divide that of the shard. ``codecs`` is
    the chain of the inner chunks. ``index_codecs`` is the chain of the index, whose encoded size
    must be fixed. ``index_location`` is ``"start"`` or ``"end"``.

    >>> ShardingCodec(chunk_shape=(2, 2)).index_location
    'end'
    """

    name: ClassVar[str] = "sharding_indexed"

    chunk_shape: tuple[int, ...]
    codecs: tuple[Codec, ...] = (BytesCodec(endian="little"),)
    index_codecs: tuple[Codec, ...] = (BytesCodec(endian="little"), Crc32cCodec())
    index_location: str = "end"

    def __post_init__(self) -> None:
        """Validate and normalise the members."""
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

    @property
    def grid(self) -> RegularGrid:
        """The grid of the inner chunks inside a shard."""
        return RegularGrid(self.chunk_shape)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with the configuration of a document, parsing its inner codecs."""
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
        """Return the members; more lenient than the specification, which requires index_codecs."""
        return {"chunk_shape": True, "codecs": True, "index_codecs": False, "index_location": False}

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": [codec.to_dict() for codec in self.codecs],
            "index_codecs": [codec.to_dict() for codec in self.index_codecs],
            "index_location": self.index_location,
        }

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with both inner chains resolved.

        Raise ``MetadataError`` if the inner chunks do not divide the shard, if a chain does not fit
        its data, or if the encoded size of the index is not fixed.
        """
        from fastzarr.codecs.chain import Program, resolve_chain

        self.check_shape(spec.shape)
        inner, index = replace(spec, shape=self.chunk_shape), self.index_spec(spec.shape)
        fitted = replace(
            self,
            codecs=resolve_chain(self.codecs, inner, "codecs"),
            index_codecs=resolve_chain(self.index_codecs, index, "index_codecs"),
        )
        if Program(fitted.index_codecs, index).encoded_size is None:
            names = ", ".join(codec.name for codec in fitted.index_codecs)
            msg = f"the size of an encoded index must be fixed, but that of {names} varies"
            raise MetadataError(msg, "index_codecs")
        return fitted

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ``MetadataError`` unless the inner chunks divide a shard of this shape.

        Raise ``LimitError`` if a shard has more than ``limits.inner_chunks`` of them.
        """
        from fastzarr.config import config

        if len(shape) != len(self.chunk_shape):
            msg = f"has {len(self.chunk_shape)} axes, but the shard has {len(shape)}: {shape}"
            raise MetadataError(msg, "chunk_shape")
        for axis, (size, inner) in enumerate(zip(shape, self.chunk_shape, strict=True)):
            if size % inner:
                msg = f"{inner} does not divide the shard's size {size} along this axis"
                raise MetadataError(msg, f"chunk_shape[{axis}]")
        count, limit = self.grid.total(shape), config["limits.inner_chunks"]
        if count > limit:
            msg = (
                f"a shard of {count} inner chunks is over the limit of {limit}; if that is "
                "correct, raise limits.inner_chunks in config"
            )
            raise LimitError(msg, "chunk_shape")

    def index_spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        """Return the spec of the index of a shard: an array of shape ``(*counts, 2)`` of uint64."""
        from fastzarr.dtypes import from_numpy

        counts = self.grid.count(shape)
        return ChunkSpec((*counts, 2), from_numpy("uint64"), np.uint64(MISSING))

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values, and on which inner chunks are stored."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return one encoded shard; without any inner chunk it consists of the index."""
        from fastzarr.engine import reference

        return reference.encode_shard(Shard(self, spec), array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return one decoded shard, of shape ``spec.shape``."""
        from fastzarr.engine import reference

        return reference.decode_shard(Shard(self, spec), data)


class Shard:
    """The layout of an array's shards: their index, and the programs of index and inner chunks.

    ``spec`` describes the shard as the sharding codec sees it, after any transpose. ``grid`` is the
    grid of the inner chunks, and ``counts`` their number along each axis of ``spec``. ``axes`` maps
    each axis of the chunk before the transposes to its axis in ``spec``.
    """

    __slots__ = ("at_start", "axes", "counts", "grid", "index", "index_size", "inner", "spec")

    def __init__(
        self, codec: ShardingCodec, spec: ChunkSpec, order: Sequence[int] | None = None
    ) -> None:
        """Compile the chains of the inner chunks and the index.

        ``order`` is the permutation of axes made by the transposes before the sharding codec.
        """
        from fastzarr.codecs.chain import Program

        self.spec, self.grid = spec, codec.grid
        self.counts = self.grid.count(spec.shape)
        self.inner: Program = Program(codec.codecs, replace(spec, shape=codec.chunk_shape))
        self.index: Program = Program(codec.index_codecs, codec.index_spec(spec.shape))
        # `ShardingCodec.resolve` has rejected chains whose encoded size is not fixed.
        self.index_size: int = self.index.encoded_size or 0
        self.at_start = codec.index_location == "start"
        order = range(len(spec.shape)) if order is None else order
        self.axes = tuple(order.index(axis) for axis in range(len(order)))

    def index_range(self) -> tuple[int, int | None]:
        """Return the byte range of the index as ``(start, stop)``, the form that stores accept."""
        return (0, self.index_size) if self.at_start else (-self.index_size, None)

    def index_bytes(self, data: Buffer) -> memoryview:
        """Return a view of the index in the bytes of a whole shard."""
        view = as_view(data)
        return view[: self.index_size] if self.at_start else view[-self.index_size :]

    def read_index(self, data: Buffer, size: int | None) -> NDArray[np.uint64]:
        """Return a decoded and validated index, of shape (inner chunks, 2): offset and size.

        ``data`` is the encoded index, and ``size`` the size of the whole shard or None if unknown.
        Raise ``CodecError`` if an entry lies outside the shard or overlaps another.
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
                chunk = tuple(int(i) for i in np.unravel_index(used[row], self.counts))
                msg = (
                    f"the shard's index places inner chunk {chunk} at offset {offsets[row]}, size "
                    f"{sizes[row]}, which {why}"
                )
                raise CodecError(msg)
        return index

    def assemble(self, pieces: Mapping[int, Buffer]) -> bytes:
        """Return the bytes of a shard, with its index.

        ``pieces`` maps the number of an inner chunk in C order to its encoded bytes.
        """
        index = np.full((math.prod(self.counts), 2), MISSING, dtype=np.uint64)
        offset = self.index_size if self.at_start else 0
        parts: list[Any] = []
        for number in sorted(pieces):
            data = as_view(pieces[number])
            index[number] = offset, data.nbytes
            offset += data.nbytes
            parts.append(data)
        encoded = as_view(self.index.encode(index.reshape(*self.counts, 2)))
        return b"".join(itertools.chain([encoded], parts) if self.at_start else [*parts, encoded])
