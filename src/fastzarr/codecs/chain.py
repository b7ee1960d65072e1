"""A codec chain compiled once per array into a ``Program``.

Rules of this file:

* What each codec sees (shape, data type, size in bytes) is worked out here, once. Decoding and
  encoding a chunk is then a walk over the codecs.
* A failing codec raises ``CodecError`` with its name as ``stage``; who runs the program adds the
  array, the key and the chunk.
* A shard can be read and written in parts where nothing but transposes stands before the sharding
  codec and nothing stands behind it. ``Program.shard`` says so; every other chain is handled whole.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec
from fastzarr.codecs.transpose import TransposeCodec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr.codecs.base import Buffer, Codec
    from fastzarr.codecs.sharding import Shard
    from fastzarr.metadata.layout import Layout


class Program:
    """Decode and encode the chunks of one array.

    ``spec`` is that of a decoded chunk, ``nbytes`` its size in memory, ``fill`` an array of no
    dimensions that holds the value of missing chunks, ``encoded_size`` the exact number of bytes of
    a stored chunk where it is fixed.
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
        """Work out what each codec sees."""
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
        """Compile the chain of an array for its stored objects."""
        program = cls(layout.codecs, ChunkSpec(layout.chunks, layout.dtype, layout.fill))
        native = extension()
        described = None if native is None else describe(program)
        if described is not None:
            program.native = native.Program(described)
        return program

    def decode(self, data: Buffer) -> np.ndarray[Any, Any]:
        """Decode one chunk; the result has the chunk's shape and may be read-only."""
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
        """Encode one chunk."""
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


@cache
def extension() -> Any:
    """Import the native extension, once; None where it is not built."""
    try:
        from fastzarr import _native
    except ImportError:
        return None
    return _native


def describe(program: Program) -> dict[str, Any] | None:
    """Describe a program as the native extension takes it; None if it cannot run there.

    It runs chunks of fixed-size elements through transposes, ``bytes`` or ``sharding_indexed``, and
    the codecs that give a ``native`` form of themselves.
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
        "inner_shape": shard.inner_shape,
        "axes": shard.axes,
        "index": index,
        "index_size": shard.index_size,
        "at_start": shard.at_start,
    }


def _staged(error: Exception, stage: str) -> Exception:
    """Make any failure of a codec a ``CodecError`` that says which codec it was."""
    if isinstance(error, (MemoryError, errors.PickleCodecDisabledError)):
        return error
    staged = error if isinstance(error, errors.CodecError) else errors.CodecError(_words(error))
    staged.stage = staged.stage or stage
    return staged


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
