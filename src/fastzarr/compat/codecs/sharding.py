"""``sharding_indexed`` under zarr-python's name.

Rules of this file:

* Arrays are read and written by the engine of fastzarr, which fetches and replaces inner chunks.
  The methods here encode and decode whole shards, for those who call them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.codecs.chain import resolve_chain
from fastzarr.codecs.program import Program, index_spec
from fastzarr.codecs.sharding import ShardingCodec as _Sharding
from fastzarr.compat.abc.codec import (
    ArrayBytesCodecPartialDecodeMixin,
    ArrayBytesCodecPartialEncodeMixin,
)
from fastzarr.compat.codecs._deprecated_enum import _coerce_enum_input, _DeprecatedStrEnumMeta
from fastzarr.compat.codecs._dress import (
    ArrayBytesDress,
    chunk_of,
    dress,
    inner_codec,
    one_of,
    parse_codecs,
)
from fastzarr.compat.codecs._shards import MAX_UINT_64, _ShardIndex, _ShardReader
from fastzarr.compat.codecs.bytes import BytesCodec
from fastzarr.compat.codecs.crc32c_ import Crc32cCodec
from fastzarr.compat.core.array_spec import ArraySpec, parse_array_config
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.common import parse_chunk_shape, parse_shapelike

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastzarr.compat.core.buffer import Buffer, NDBuffer

__all__ = [
    "INDEX_LOCATION",
    "MAX_UINT_64",
    "SUBCHUNK_WRITE_ORDER",
    "IndexLocation",
    "ShardingCodec",
    "ShardingCodecIndexLocation",
    "SubchunkWriteOrder",
    "_ShardIndex",
    "_ShardReader",
]

IndexLocation = Literal["start", "end"]
INDEX_LOCATION: Final = ("start", "end")
SubchunkWriteOrder = Literal["morton", "unordered", "lexicographic", "colexicographic"]
_DEFAULT_ORDER: Final = "morton"
SUBCHUNK_WRITE_ORDER: Final = ("morton", "unordered", "lexicographic", "colexicographic")


class ShardingCodecIndexLocation(metaclass=_DeprecatedStrEnumMeta):
    """Locations of the index; deprecated, pass the string."""

    _members: ClassVar[dict[str, str]] = {"start": "start", "end": "end"}


def _sizes(given: Any) -> tuple[int, ...]:
    return parse_chunk_shape(parse_shapelike(given))


def _check_index_codecs(codecs: tuple[Any, ...]) -> None:
    varying = [codec for codec in codecs if not getattr(codec, "is_fixed_size", False)]
    if varying:
        msg = (
            "each of index_codecs must produce a fixed-size encoding, whatever the values; these "
            f"do not: {varying}"
        )
        raise ValueError(msg)


def order_of(codec: _Sharding) -> SubchunkWriteOrder:
    """Return the order that a codec of fastzarr was made with here."""
    return codec.subchunk_write_order if isinstance(codec, _Ordered) else _DEFAULT_ORDER


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ordered(_Sharding):
    """The codec of fastzarr with an order of which no document tells, so codecs do not differ."""

    subchunk_write_order: SubchunkWriteOrder

    def __eq__(self, other: object) -> bool:
        """Whether both have the same document."""
        if not isinstance(other, _Sharding):
            return NotImplemented
        return self._known() == _Ordered._known(other)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        """Return the hash of a codec without the order."""
        return hash(self._known())

    def _known(self) -> tuple[Any, ...]:
        return (self.chunk_shape, self.codecs, self.index_codecs, self.index_location)


@dress
@dataclass(frozen=True, kw_only=True)
class ShardingCodec(
    ArrayBytesDress, ArrayBytesCodecPartialDecodeMixin, ArrayBytesCodecPartialEncodeMixin
):
    """Many chunks in one stored object.

    ``subchunk_write_order`` is kept by the handle of a new array, and no document has it. Whatever
    it is, inner chunks are stored in lexicographic order.

    >>> ShardingCodec(chunk_shape=2).chunk_shape
    (2,)
    """

    name: ClassVar[str] = "sharding_indexed"
    kind: ClassVar[Any] = _Sharding

    chunk_shape: tuple[int, ...]
    codecs: tuple[Any, ...] = (BytesCodec(endian="little"),)
    index_codecs: tuple[Any, ...] = (BytesCodec(endian="little"), Crc32cCodec())
    index_location: IndexLocation = "end"
    subchunk_write_order: SubchunkWriteOrder = _DEFAULT_ORDER

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(
            self,
            *,
            chunk_shape: int | Iterable[int],
            codecs: Iterable[Any] = ...,
            index_codecs: Iterable[Any] = ...,
            index_location: IndexLocation = "end",
            subchunk_write_order: SubchunkWriteOrder = "morton",
        ) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate the members."""
        order: Any = self.subchunk_write_order
        if order not in SUBCHUNK_WRITE_ORDER:
            msg = (
                f"Unrecognized subchunk write order: {order}. Only {SUBCHUNK_WRITE_ORDER} are "
                "allowed."
            )
            raise ValueError(msg)
        location = _coerce_enum_input(self.index_location, "index_location", "ShardingCodec")
        found = {
            "chunk_shape": _sizes(self.chunk_shape),
            "codecs": parse_codecs(self.codecs),
            "index_codecs": parse_codecs(self.index_codecs),
            "index_location": one_of(location, INDEX_LOCATION, "index_location"),
        }
        _check_index_codecs(found["index_codecs"])
        for name, value in found.items():
            object.__setattr__(self, name, value)
        members: dict[str, Any] = {
            "chunk_shape": self.chunk_shape,
            "codecs": tuple(inner_codec(codec) for codec in self.codecs),
            "index_codecs": tuple(inner_codec(codec) for codec in self.index_codecs),
            "index_location": self.index_location,
        }
        if order == _DEFAULT_ORDER:
            self.holding(_Sharding(**members))
        else:
            self.holding(_Ordered(**members, subchunk_write_order=order))

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        return {
            "chunk_shape": self.chunk_shape,
            "codecs": tuple(codec.to_dict() for codec in self.codecs),
            "index_codecs": tuple(codec.to_dict() for codec in self.index_codecs),
            "index_location": self.index_location,
        }

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the codec with what the inner chunks decide filled in."""
        spec = replace(array_spec, shape=self.chunk_shape)
        evolved = []
        for codec in self.codecs:
            evolved.append(codec.evolve_from_array_spec(spec))
            spec = evolved[-1].resolve_metadata(spec)
        return self if tuple(evolved) == self.codecs else replace(self, codecs=tuple(evolved))

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError unless inner chunks divide the shards and their codecs fit."""
        if len(self.chunk_shape) != len(shape):
            msg = (
                "The shard's `chunk_shape` and array's `shape` need to have the same number of "
                "dimensions."
            )
            raise ValueError(msg)
        sizes = getattr(chunk_grid, "chunk_shape", None)
        edges = [(n,) for n in sizes] if sizes is not None else chunk_grid.chunk_shapes
        for axis, (given, inner) in enumerate(zip(edges, self.chunk_shape, strict=True)):
            for edge in {given} if isinstance(given, int) else set(given):
                if edge % inner:
                    msg = (
                        f"Chunk edge length {edge} in dimension {axis} is not divisible by the "
                        f"shard's inner chunk size {inner}."
                    )
                    raise ValueError(msg)
        spec = ArraySpec(
            self.chunk_shape,
            dtype,
            dtype.default_scalar(),
            parse_array_config(None),
            default_buffer_prototype(),
        )
        for codec in self.codecs:
            grid: Any = SimpleNamespace(chunk_shape=spec.shape)
            if sizes is not None:
                grid = replace(chunk_grid, chunk_shape=spec.shape)
            codec.validate(shape=spec.shape, dtype=spec.dtype, chunk_grid=grid)
            spec = codec.resolve_metadata(spec)

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        chunk = chunk_of(chunk_spec)
        if not chunk_spec.config.write_empty_chunks and bool(chunk_array.all_equal(chunk.fill)):
            return None
        return super()._encode_sync(chunk_array, chunk_spec)

    async def _decode_partial_single(
        self, byte_getter: Any, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        data = await byte_getter.get(prototype=chunk_spec.prototype)
        if data is None:
            return None
        whole: NDBuffer = await self._decode_single(data, chunk_spec)
        part: NDBuffer = whole[selection]
        return part

    async def _encode_partial_single(
        self, byte_setter: Any, chunk_array: NDBuffer, selection: Any, chunk_spec: ArraySpec
    ) -> None:
        chunk, prototype = chunk_of(chunk_spec), chunk_spec.prototype
        data = await byte_setter.get(prototype=prototype)
        if data is None:
            merged = np.full(chunk.shape, chunk.fill, chunk.dtype.numpy)
        else:
            merged = (await self._decode_single(data, chunk_spec)).as_numpy_array().copy()
        merged[selection] = chunk_array.as_numpy_array()
        buffer = prototype.nd_buffer.from_ndarray_like(merged)
        encoded = await self._encode_single(buffer, chunk_spec)
        if encoded is None:
            await byte_setter.delete()
        else:
            await byte_setter.set(encoded)

    def compute_encoded_size(self, input_byte_length: int, shard_spec: Any) -> int:
        """Return the encoded size of a shard of which all chunks are stored."""
        index = 16
        for size, inner in zip(shard_spec.shape, self.chunk_shape, strict=True):
            index *= size // inner
        return input_byte_length + int(
            sum((4 for codec in self.index_codecs if codec.to_dict()["name"] == "crc32c"), index)
        )

    def read_index(self, data: Buffer, chunks_per_shard: tuple[int, ...]) -> _ShardIndex:
        """Return the index of an encoded shard."""
        spec = index_spec(chunks_per_shard)
        program = Program(resolve_chain(self.inner.index_codecs, spec, "index_codecs"), spec)
        view = as_view(np.ascontiguousarray(data.as_numpy_array()))
        size = program.encoded_size or 0
        at_start = self.index_location == "start"
        found = program.decode(view[:size] if at_start else view[view.nbytes - size :])
        return _ShardIndex(chunks_per_shard, found)

    @property
    def codec_pipeline(self) -> Any:
        """The pipeline of the inner chunks, of the class that the settings choose."""
        from fastzarr.compat.registry import get_pipeline_class

        return get_pipeline_class().from_codecs(self.codecs)
