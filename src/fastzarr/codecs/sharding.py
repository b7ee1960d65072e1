"""The ``sharding_indexed`` codec: many chunks in one stored object, located by an index.

Rules of this file:

* This file has the configuration only; ``program.py`` has the bytes of a shard and its index.
* A whole shard is encoded and decoded here. Parts of one are read and written by the engine, with
  the functions that read and write an array.

Specification: zarr-specs, "Sharding codec", version 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from fastzarr.checked import as_int, check_members, choice, placed, show
from fastzarr.codecs.base import FAST, ArrayBytesCodec, Inside
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.codecs.crc32c import Crc32cCodec
from fastzarr.codecs.parse import from_v3, parse
from fastzarr.codecs.program import Program, Shard, index_spec
from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from fastzarr import hints
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec, Codec
    from fastzarr.codecs.enums import ShardingCodecIndexLocation


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
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    chunk_shape: tuple[int, ...]
    codecs: tuple[Codec, ...] = (BytesCodec(endian="little"),)
    index_codecs: tuple[Codec, ...] = (BytesCodec(endian="little"), Crc32cCodec())
    index_location: str = "end"

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(
            self,
            *,
            chunk_shape: int | Sequence[int],
            codecs: Sequence[Codec | hints.HasCodecConfig | Mapping[str, Any] | str] = ...,
            index_codecs: Sequence[Codec | hints.HasCodecConfig | Mapping[str, Any] | str] = ...,
            index_location: Literal["start", "end"] | ShardingCodecIndexLocation = "end",
        ) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate and normalise the members."""
        shape: Any = self.chunk_shape
        if isinstance(shape, int) and not isinstance(shape, bool):
            shape = (shape,)
        if not isinstance(shape, (tuple, list)):
            msg = f"must be a list of integers, got {show(shape)}"
            raise MetadataError(msg, "chunk_shape")
        sizes = tuple(as_int(size, f"chunk_shape[{i}]", 1) for i, size in enumerate(shape))
        object.__setattr__(self, "chunk_shape", sizes)
        for member in ("codecs", "index_codecs"):
            chain = getattr(self, member)
            if not isinstance(chain, (tuple, list)) or not chain:
                msg = f"must be a list of at least one codec, got {show(chain)}"
                raise MetadataError(msg, member)
            parsed = tuple(parse(codec, f"{member}[{i}]") for i, codec in enumerate(chain))
            object.__setattr__(self, member, parsed)
        location = choice(self.index_location, ("start", "end"), "index_location")
        object.__setattr__(self, "index_location", location)

    @property
    def grid(self) -> RegularGrid:
        """The grid of the inner chunks inside a shard.

        >>> ShardingCodec(chunk_shape=(2, 3)).grid.count((4, 6))
        (2, 2)
        """
        return RegularGrid(self.chunk_shape)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with the configuration of a document, parsing its inner codecs."""
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
        self.check_shape(spec.shape)
        inner = replace(spec, shape=self.chunk_shape)
        index = index_spec(self.grid.count(spec.shape))
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

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values, and on which inner chunks are stored."""
        return None

    def inside(self) -> Inside:
        """Return the grid of inner chunks, with the chains of the chunks and the index."""
        at_start = self.index_location == "start"
        return Inside(self.grid, self.codecs, self.index_codecs, at_start)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return one encoded shard; without any inner chunk it consists of the index."""
        return Shard(self.inside(), spec).encode(array)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return one decoded shard, of shape ``spec.shape``."""
        return Shard(self.inside(), spec).decode(data)
