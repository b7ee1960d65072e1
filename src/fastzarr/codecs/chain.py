"""A codec chain, compiled once per array into a ``Program``.

Rules of this file:

* The shape, data type and size that each codec sees are computed once, here. Encoding or decoding a
  chunk then only calls the codecs in turn.
* A failing codec raises ``CodecError`` with its name as ``stage``; the caller of the program adds
  the array, the key and the chunk.
* A shard can be read and written in parts if only transposes precede the sharding codec and nothing
  follows it; ``Program.shard`` is then set. With any other chain, a stored object is always read
  and written as a whole.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.checked import T, fail, member, placed, show
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError
from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import Codec
    from fastzarr.codecs.sharding import Shard
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.layout import Layout


class Program:
    """Encodes and decodes the chunks of one array.

    ``spec`` describes a decoded chunk and ``nbytes`` is its size in memory. ``fill`` is a
    zero-dimensional array with the value of missing chunks. ``encoded_size`` is the size of a
    stored chunk in bytes, or None if it depends on the values. ``order`` is the permutation of axes
    made by the transposes, or None if the chain has another array-to-array codec. ``native`` is the
    program of the extension, or None if it cannot run the chain.
    """

    __slots__ = (
        "array_steps",
        "byte_steps",
        "codecs",
        "encoded_size",
        "fill",
        "native",
        "nbytes",
        "order",
        "serializer",
        "serializer_spec",
        "shard",
        "spec",
    )

    def __init__(self, codecs: Sequence[Codec], spec: ChunkSpec) -> None:
        """Compute the input and output specs of each codec."""
        self.codecs, self.spec = tuple(codecs), spec
        self.fill = np.zeros((), dtype=spec.dtype.numpy)
        self.nbytes = math.prod(spec.shape) * self.fill.nbytes
        self.fill[()] = spec.dtype.default_fill if spec.fill is None else spec.fill
        array_steps = []
        byte_steps = []
        size = None
        for codec in codecs:
            if isinstance(codec, ArrayArrayCodec):
                array_steps.append((codec, spec))
                spec = codec.encoded_spec(spec)
            elif isinstance(codec, ArrayBytesCodec):
                self.serializer, self.serializer_spec = codec, spec
                size = codec.encoded_size(spec)
            elif isinstance(codec, BytesBytesCodec):
                byte_steps.append((codec, size))
                size = codec.encoded_size(size)
        self.array_steps, self.byte_steps = tuple(array_steps), tuple(byte_steps)
        self.encoded_size = size
        self.shard: Shard | None = None
        self.native: Any = None
        order: tuple[int, ...] | None = tuple(range(len(self.spec.shape)))
        for codec, _ in array_steps:
            turn = codec.order if isinstance(codec, TransposeCodec) else None
            order = None if order is None or turn is None else tuple(order[axis] for axis in turn)
        self.order = order
        if order is not None and not byte_steps:
            from fastzarr.codecs.sharding import Shard, ShardingCodec

            if isinstance(self.serializer, ShardingCodec):
                self.shard = Shard(self.serializer, self.serializer_spec, order)

    @classmethod
    def compile(cls, layout: Layout) -> Program:
        """Return the program of an array's chunks, with its native program if available."""
        program = cls(layout.codecs, ChunkSpec(layout.chunks, layout.dtype, layout.fill))
        native = extension()
        described = None if native is None else describe(program)
        if described is not None:
            program.native = native.Program(described)
        return program

    def decode(self, data: Buffer) -> np.ndarray[Any, Any]:
        """Return one decoded chunk, of shape ``spec.shape``; it may be read-only.

        Raise ``CodecError`` with the name of the failing codec as ``stage``.
        """
        codec: Any = None
        try:
            for codec, size in reversed(self.byte_steps):
                data = codec.decode(data, size)
            codec = self.serializer
            array = codec.decode(data, self.serializer_spec)
            for codec, spec in reversed(self.array_steps):
                array = codec.decode(array, spec)
        except Exception as error:
            raise _staged(error, codec.name) from error
        return array  # type: ignore[no-any-return]

    def encode(self, array: np.ndarray[Any, Any]) -> Buffer:
        """Return one encoded chunk; raise ``CodecError`` as ``decode`` does."""
        codec: Any = None
        try:
            for codec, spec in self.array_steps:
                array = codec.encode(array, spec)
            codec = self.serializer
            data: Buffer = codec.encode(array, self.serializer_spec)
            for codec, _ in self.byte_steps:
                data = codec.encode(data)
        except Exception as error:
            raise _staged(error, codec.name) from error
        return data


def describe(program: Program) -> dict[str, Any] | None:
    """Return the description of a program for the extension, or None if it cannot run there.

    The extension handles elements of fixed size, transposes, ``bytes``, ``sharding_indexed``, and
    the codecs whose ``native`` is not None.
    """
    spec, order = program.spec, program.order
    item = spec.dtype.itemsize
    codecs: list[Any] = [codec.native() for codec, _ in program.byte_steps]
    if order is None or not item or None in codecs:
        return None
    swap, shard = 0, None
    if program.shard is not None:
        shard = _describe_shard(program.shard)
        if shard is None:
            return None
    else:
        found = program.serializer.native_bytes(program.serializer_spec)
        if found is None:
            return None
        swap, codecs = found[0], found[1] + codecs
    strides = [0] * len(order)
    step = item
    for axis in reversed(order):
        strides[axis] = step
        step *= spec.shape[axis]
    return {
        "item": item,
        "shape": spec.shape,
        "strides": strides,
        "fill": program.fill.tobytes(),
        "sparse": spec.fill is not None,
        "swap": swap,
        "boolean": spec.dtype.numpy.kind == "b",
        "codecs": codecs,
        "shard": shard,
    }


def _describe_shard(shard: Shard) -> dict[str, Any] | None:
    inner, index = describe(shard.inner), describe(shard.index)
    if inner is None or index is None:
        return None
    return {
        "inner": inner,
        "shape": shard.spec.shape,
        "inner_shape": shard.grid.steps,
        "axes": shard.axes,
        "index": index,
        "index_size": shard.index_size,
        "at_start": shard.at_start,
    }


def _staged(error: Exception, stage: str) -> Exception:
    """Return any failure of a codec as a ``CodecError`` whose ``stage`` names the codec."""
    if isinstance(error, (MemoryError, errors.PickleCodecDisabledError)):
        return error
    staged = error if isinstance(error, errors.CodecError) else errors.CodecError(_words(error))
    staged.stage = staged.stage or stage
    return staged


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def check_chain(codecs: Sequence[Codec], where: str) -> None:
    """Raise ``MetadataError`` unless the chain has the kinds of codecs in a valid order.

    Array-to-array codecs come first, then exactly one array-to-bytes codec, then bytes-to-bytes
    codecs.
    """
    kinds = [_kind(codec) for codec in codecs]
    serializers = [codec for codec, kind in zip(codecs, kinds, strict=True) if kind == 1]
    if len(serializers) > 1:
        names = " and ".join(repr(codec.name) for codec in serializers)
        fail(f"only one codec may encode the array as bytes, got {names}", where)
    if not serializers:
        fail("no codec encodes the array as bytes; add one such as 'bytes'", where)
    for place in range(1, len(kinds)):
        if kinds[place] < kinds[place - 1]:
            before, after = codecs[place - 1].name, codecs[place].name
            fail(f"{after!r} cannot follow {before!r}", member(where, place))


def _kind(codec: Codec) -> int:
    for kind, cls in enumerate((ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)):
        if isinstance(codec, cls):
            return kind
    return fail(f"{show(codec)} is not an array or bytes codec", "")


def resolve_chain(
    codecs: Sequence[Codec], spec: ChunkSpec, where: str, places: Sequence[str] | None = None
) -> tuple[Codec, ...]:
    """Return the chain with each codec resolved for the chunks that it encodes.

    ``spec`` describes the decoded chunks. ``where`` is the location of the list of codecs;
    ``places`` are the locations of their configurations, if not inside that list. Raise
    ``MetadataError``, naming the codec, if one cannot encode its input.
    """
    check_chain(codecs, where)
    resolved: list[Codec] = []
    for index, codec in enumerate(codecs):
        place = places[index] if places else member(member(where, index), "configuration")
        fitted = guard(partial(placed, partial(codec.resolve, spec), place), place)
        if isinstance(fitted, ArrayArrayCodec):
            spec = guard(partial(placed, partial(fitted.encoded_spec, spec), place), place)
        resolved.append(fitted)
    return tuple(resolved)


def guard(call: Callable[[], T], place: str) -> T:
    """Return ``call()``; raise any error of a codec, registered ones too, as ``MetadataError``."""
    try:
        return call()
    except (MetadataError, MemoryError):
        raise
    except RecursionError:
        fail("is nested too deeply", place)
    except Exception as error:  # third-party codecs may raise any exception
        msg = f"the codec cannot be used: {type(error).__name__}: {error}"
        raise MetadataError(msg, place) from error


def check_nesting(codecs: Sequence[Codec], where: str) -> None:
    """Raise ``LimitError`` if shards are nested deeper than ``limits.shard_nesting``."""
    limit = config.get("limits.shard_nesting")
    if sum(1 for _ in _shards(codecs)) > limit:
        msg = f"shards are nested deeper than {limit} levels (setting limits.shard_nesting)"
        raise LimitError(msg, where)


def check_sizes(
    chunks: tuple[int, ...], dtype: DataType, codecs: Sequence[Codec], where: str
) -> None:
    """Raise ``LimitError`` if a decoded chunk is larger than ``limits.chunk_bytes``.

    In a sharded array this is an inner chunk, the smallest unit that is decoded.
    """
    for shard in _shards(codecs):
        chunks = shard.chunk_shape  # type: ignore[attr-defined]
    size = math.prod(chunks) * max(1, dtype.numpy.itemsize)
    limit = config.get("limits.chunk_bytes")
    if size > limit:
        msg = f"a chunk of {show(size)} bytes exceeds {limit} (setting limits.chunk_bytes)"
        raise LimitError(msg, where)


def _shards(codecs: Sequence[Codec]) -> Iterator[Codec]:
    inner: Sequence[Codec] | None = codecs
    while inner:
        shard = next((codec for codec in inner if codec.name == "sharding_indexed"), None)
        if shard is None:
            return
        yield shard
        inner = shard.codecs  # type: ignore[attr-defined]
