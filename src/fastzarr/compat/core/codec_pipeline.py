"""zarr-python's pipelines of codecs.

Rules of this file:

* Arrays are read and written by the engine of fastzarr, whatever class the settings choose. The
  classes here work for those who call them, one chunk after the other.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastzarr.compat.abc.codec import (
    ArrayArrayCodec,
    ArrayBytesCodec,
    BytesBytesCodec,
    CodecPipeline,
    GetResult,
)
from fastzarr.compat.codecs._v2 import V2Codec
from fastzarr.compat.core.config import config
from fastzarr.compat.registry import get_pipeline_class
from fastzarr.errors import ZarrUserWarning, caller_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastzarr.compat.core.array_spec import ArraySpec
    from fastzarr.compat.core.buffer import Buffer, NDBuffer

# The classes that need no notice: those of this package, which are as fast as each other, and those
# that have had theirs.
_NOTICED = {f"zarr.core.codec_pipeline.{kind}CodecPipeline" for kind in ("Batched", "Fused")}

Split = tuple[tuple[Any, ...], Any, tuple[Any, ...]]


def codecs_from_list(codecs: Iterable[Any]) -> Split:
    """Return a chain as filters, the serializer and compressors, with a warning beside shards.

    Raise TypeError if the order is wrong, and ValueError unless there is one serializer.

    >>> from fastzarr.compat.codecs import BytesCodec, GzipCodec
    >>> codecs_from_list([BytesCodec(endian=None), GzipCodec()])[2]
    (GzipCodec(level=5),)
    """
    chain = tuple(codecs)
    names = [getattr(codec, "name", None) for codec in chain]
    if "sharding_indexed" in names and len(chain) > 1:
        notice_shards()
    return codecs_from_list_unchecked(chain)


def codecs_from_list_unchecked(codecs: Iterable[Any]) -> Split:
    """Return a chain as filters, the serializer and compressors, without a warning."""
    chain = tuple(codecs)
    found: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    before = None
    for codec in chain:
        place = _place(codec)
        _check_order(before, codec)
        found[place].append(codec)
        if len(found[1]) > 1:
            msg = (
                f"Got two instances of ArrayBytesCodec: {found[1][0]} and {codec}. Only one "
                "array-to-bytes codec is allowed."
            )
            raise ValueError(msg)
        before = codec
    if not found[1]:
        msg = "Required ArrayBytesCodec was not found."
        raise ValueError(msg)
    return tuple(found[0]), found[1][0], tuple(found[2])


_KINDS = (ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)


def _place(codec: Any) -> int:
    for place, kind in enumerate(_KINDS):
        if isinstance(codec, kind):
            return place
    msg = f"{codec!r} is not a codec"
    raise TypeError(msg)


def _check_order(before: Any, codec: Any) -> None:
    """Raise TypeError if a codec cannot follow the one before it, which may be None."""
    if before is None:
        return
    last, place = _place(before), _place(codec)
    # Two serializers in a row are an error of another kind.
    if place < last or (last == 0 and place == 2):
        wanted = ("another ArrayArrayCodec", "an ArrayArrayCodec", "an ArrayBytesCodec")[place]
        msg = (
            f"Invalid codec order. {_KINDS[place].__name__} {codec} must be preceded by {wanted}. "
            f"Got {type(before)} instead."
        )
        raise TypeError(msg)


def evolve_codecs(codecs: Iterable[Any], array_spec: ArraySpec) -> tuple[Any, ...]:
    """Return a chain, each codec of which is evolved for what those before it make of a chunk."""
    evolved = []
    for codec in codecs:
        fitted = codec.evolve_from_array_spec(array_spec)
        array_spec = fitted.resolve_metadata(array_spec)
        evolved.append(fitted)
    return tuple(evolved)


def _described(codecs: Iterable[Any], spec: ArraySpec) -> list[tuple[Any, ArraySpec]]:
    """Return each codec with the description of the chunk that it encodes."""
    found = []
    for codec in codecs:
        found.append((codec, spec))
        spec = codec.resolve_metadata(spec)
    return found


def create_codec_pipeline(metadata: Any, *, store: Any = None) -> Any:
    """Return the pipeline of an array, of the class that the settings choose."""
    chosen = get_pipeline_class()
    if store is not None:
        try:
            return chosen.from_array_metadata_and_store(array_metadata=metadata, store=store)
        except NotImplementedError:
            pass  # the class is made from codecs
    if metadata.zarr_format == 3:
        return chosen.from_codecs(metadata.codecs)
    return chosen.from_codecs([V2Codec(filters=metadata.filters, compressor=metadata.compressor)])


def notice_shards() -> None:
    """Warn that shards are combined with other codecs."""
    msg = (
        "Combining a `sharding_indexed` codec disables partial reads and writes, which may lead to "
        "inefficient performance."
    )
    warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())


def notice_pipeline() -> None:
    """Warn, once for each class, that a pipeline of others has no effect on arrays."""
    path = config.flat["codec_pipeline.path"]
    if path in _NOTICED:
        return
    _NOTICED.add(path)
    msg = (
        f"the setting codec_pipeline.path is {path!r}, which has no effect: fastzarr reads and "
        "writes arrays by its own engine"
    )
    warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())


class _Pipeline(CodecPipeline):
    """The methods that both classes have."""

    array_array_codecs: tuple[Any, ...]
    array_bytes_codec: Any
    bytes_bytes_codecs: tuple[Any, ...]
    batch_size: int

    @classmethod
    def from_codecs(cls, codecs: Iterable[Any], *, batch_size: int | None = None) -> Self:
        """Return the pipeline of a chain of codecs."""
        size = config.get("codec_pipeline.batch_size") if batch_size is None else batch_size
        return cls._of(codecs_from_list(codecs), size)

    @classmethod
    def _of(cls, split: Split, size: int) -> Self:
        filters, serializer, compressors = split
        make: Any = cls
        made: Self = make(
            array_array_codecs=filters,
            array_bytes_codec=serializer,
            bytes_bytes_codecs=compressors,
            batch_size=size,
        )
        return made

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the pipeline with what the chunks decide filled in."""
        evolved = evolve_codecs(self, array_spec)
        return self._of(codecs_from_list_unchecked(evolved), self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the codecs."""
        yield from self.array_array_codecs
        yield self.array_bytes_codec
        yield from self.bytes_bytes_codecs

    @property
    def supports_partial_decode(self) -> bool:
        """Whether parts of chunks can be read."""
        return self._alone() and hasattr(self.array_bytes_codec, "decode_partial")

    @property
    def supports_partial_encode(self) -> bool:
        """Whether parts of chunks can be written."""
        return self._alone() and hasattr(self.array_bytes_codec, "encode_partial")

    def _alone(self) -> bool:
        return not self.array_array_codecs and not self.bytes_bytes_codecs

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise an error if a codec cannot encode the chunks of such an array."""
        for codec in self:
            codec.validate(shape=shape, dtype=dtype, chunk_grid=chunk_grid)

    def compute_encoded_size(self, byte_length: int, array_spec: ArraySpec) -> int:
        """Return the encoded size of so many bytes."""
        for codec, spec in _described(self, array_spec):
            byte_length = codec.compute_encoded_size(byte_length, spec)
        return byte_length

    async def decode(
        self, chunk_bytes_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]
    ) -> Iterable[NDBuffer | None]:
        """Return the decoded chunks; those that are None remain None."""
        return [await self._decoded(data, spec) for data, spec in chunk_bytes_and_specs]

    async def _decoded(self, data: Any, spec: ArraySpec) -> Any:
        for codec, seen in reversed(_described(self, spec)):
            if data is not None:
                [data] = await codec.decode([(data, seen)])
        return data

    async def encode(
        self, chunk_arrays_and_specs: Iterable[tuple[NDBuffer | None, ArraySpec]]
    ) -> Iterable[Buffer | None]:
        """Return the encoded chunks; those that are None remain None."""
        return [await self._encoded(data, spec) for data, spec in chunk_arrays_and_specs]

    async def _encoded(self, data: Any, spec: ArraySpec) -> Any:
        for codec, seen in _described(self, spec):
            if data is not None:
                [data] = await codec.encode([(data, seen)])
        return data

    async def _chunk(self, getter: Any, spec: ArraySpec) -> Any:
        """Return the array of a stored chunk, or None."""
        return await self._decoded(await getter.get(prototype=spec.prototype), spec)

    async def read(
        self,
        batch_info: Iterable[tuple[Any, ArraySpec, Any, Any, bool]],
        out: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> tuple[GetResult, ...]:
        """Read the selected parts of chunks into an array, or the fill value if none is stored."""
        results: list[GetResult] = []
        for getter, spec, chosen, place, _ in batch_info:
            chunk = await self._chunk(getter, spec)
            if chunk is None:
                out[place] = _fill(spec)
                results.append({"status": "missing"})
                continue
            part = chunk.as_numpy_array()[chosen]
            out[place] = part.squeeze(axis=drop_axes) if drop_axes else part
            results.append({"status": "present"})
        return tuple(results)

    async def write(
        self,
        batch_info: Iterable[tuple[Any, ArraySpec, Any, Any, bool]],
        value: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> None:
        """Write an array into the selected parts of chunks; other elements are kept."""
        for setter, spec, chosen, place, whole in batch_info:
            chunk = None if whole else await self._chunk(setter, spec)
            dtype: Any = spec.dtype
            if chunk is None:
                array = np.full(spec.shape, _fill(spec), dtype.to_native_dtype())
            else:
                array = np.array(chunk.as_numpy_array())
            given = value.as_numpy_array()
            part = given[place] if given.shape else given
            for axis in drop_axes:
                part = np.expand_dims(part, axis)
            array[chosen] = part
            buffer = spec.prototype.nd_buffer.from_ndarray_like(array)
            empty = not spec.config.write_empty_chunks and buffer.all_equal(_fill(spec))
            encoded = None if empty else await self._encoded(buffer, spec)
            if encoded is None:
                await setter.delete()
            else:
                await setter.set(encoded)


def _fill(spec: ArraySpec) -> Any:
    dtype: Any = spec.dtype
    return dtype.default_scalar() if spec.fill_value is None else spec.fill_value


@dataclass(frozen=True)
class BatchedCodecPipeline(_Pipeline):
    """The pipeline that zarr-python chooses by default.

    >>> from fastzarr.compat.codecs import BytesCodec
    >>> BatchedCodecPipeline.from_codecs([BytesCodec(endian=None)]).batch_size
    1
    """

    array_array_codecs: tuple[Any, ...]
    array_bytes_codec: Any
    bytes_bytes_codecs: tuple[Any, ...]
    batch_size: int


@dataclass(frozen=True)
class FusedCodecPipeline(_Pipeline):
    """zarr-python's pipeline without awaiting.

    >>> from fastzarr.compat.codecs import BytesCodec
    >>> FusedCodecPipeline.from_codecs([BytesCodec(endian=None)]).codecs
    (BytesCodec(endian=None),)
    """

    array_array_codecs: tuple[Any, ...]
    array_bytes_codec: Any
    bytes_bytes_codecs: tuple[Any, ...]
    batch_size: int

    @property
    def codecs(self) -> tuple[Any, ...]:
        """The chain of codecs."""
        return tuple(self)
