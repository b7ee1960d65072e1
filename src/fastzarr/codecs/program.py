"""A chain compiled for chunks of one shape, and the shards inside such chunks.

Rules of this file:

* The shape, data type and size that each codec sees are computed once, here. Encoding or decoding a
  chunk then only calls the codecs in turn.
* Where the chunks of an array differ in shape, ``of_shape`` returns the program for each shape.
* A failing codec raises ``CodecError`` with its name as ``stage``; the caller of the program adds
  the array, the key and the chunk.
* A shard can be read and written in parts if only transposes precede the sharding codec and nothing
  follows it; ``Program.shard`` is then set. With any other chain, a stored object is always read
  and written as a whole.
* A ``reshape`` between the transposes and the sharding codec is moved into the inner chunks and the
  index, if the inner chunks are blocks of the array before it, too.
* For each inner chunk in C order, the index of a shard holds its offset from the start of the shard
  and its size in bytes. Both are 2^64 - 1 if the inner chunk is missing.
* The index is untrusted. It is validated as a whole before it is used: every inner chunk lies
  inside the shard and outside the index, and overlaps no other. Gaps are allowed, and so are inner
  chunks with the very same range.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.buffers import as_view, empty
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.codecs.reshape import ReshapeCodec
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.dtypes.numeric import UInt64
from fastzarr.errors import CodecError, MetadataError
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import Codec, Inside

# So many programs for chunks of other shapes are kept with a program.
_MOST_SHAPES = 256

MISSING = 2**64 - 1
"""The offset and the size of a missing inner chunk in the index of a shard."""


class MissingChunk(Exception):  # noqa: N818  (a finding, which the engine turns into an error)
    """Raised for a missing chunk if missing chunks are not to be read as the fill value.

    The message is empty for a stored object, and names the inner chunk of a shard.
    """


class Program:
    """Encodes and decodes the chunks of one array.

    ``spec`` describes a decoded chunk and ``nbytes`` is its size in memory. ``fill`` is a
    zero-dimensional array with the value of missing chunks. ``encoded_size`` is the size of a
    stored chunk in bytes, or None if it depends on the values. ``order`` is the permutation of axes
    in which the serializer gets the elements, or None if they are not just permuted; ``reshaped``
    is whether they have other axes there. ``native`` is the program of the extension, or None if it
    cannot run the chain; ``lenient`` are the settings that it was made with. ``inside`` is the
    shard that the serializer encodes, if any, and ``shard`` the same if it can be read and written
    in parts. ``pace`` is the number of decoded bytes that every codec processes promptly; a chunk
    ``is_slow`` if it has more.
    ``shapeless`` is whether ``native`` fits chunks of any shape, or None if that is not known yet.
    """

    __slots__ = (
        "_shapes",
        "array_steps",
        "byte_steps",
        "codecs",
        "encoded_size",
        "fill",
        "inside",
        "is_slow",
        "lenient",
        "native",
        "nbytes",
        "order",
        "pace",
        "reshaped",
        "serializer",
        "serializer_spec",
        "shapeless",
        "shard",
        "spec",
    )

    def __init__(self, codecs: Sequence[Codec], spec: ChunkSpec) -> None:
        """Compute the input and output specs of each codec."""
        self.codecs, self.spec = tuple(codecs), spec
        self.fill = empty((), spec.dtype.numpy)
        self.nbytes = math.prod(spec.shape) * self.fill.nbytes
        self.fill[()] = spec.dtype.undefined if spec.fill is None else spec.fill
        array_steps = []
        byte_steps = []
        size = None
        moved = _reshape_moved(codecs, spec)
        codecs, inside = (codecs, None) if moved is None else moved
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
        self.native: Any = None
        self.lenient: Any = None
        self.shapeless: bool | None = None
        order: tuple[int, ...] | None = tuple(range(len(self.spec.shape)))
        self.reshaped = False
        for codec, seen in array_steps:
            if codec.reshapes:
                self.reshaped |= codec.encoded_spec(seen).shape != seen.shape
                continue
            turn = codec.order if isinstance(codec, TransposeCodec) else None
            if order is None or turn is None or self.reshaped:
                order = None
            else:
                order = tuple(order[axis] for axis in turn)
        inside = inside or self.serializer.inside()
        if inside is not None and self.reshaped:
            order = None
        self.order = order
        self.inside = None if inside is None else Shard(inside, self.serializer_spec, order)
        self.shard = self.inside if order is not None and not byte_steps else None
        paces = [codec.pace for codec in codecs]
        if self.inside is not None:
            paces.append(self.inside.inner.pace)
        self.pace: int = min(paces)
        self.is_slow = self.nbytes > self.pace
        self._shapes: dict[tuple[int, ...], Program] = {}

    def of_shape(self, full: tuple[int | None, ...]) -> Program:
        """Return the program for chunks of another shape; some of them are kept.

        None stands for the size that this program has along an axis. Raise ``MetadataError`` if a
        codec cannot encode chunks of this shape.
        """
        pairs = zip(full, self.spec.shape, strict=True)
        shape = tuple([own if size is None else size for size, own in pairs])
        if shape == self.spec.shape:
            return self
        found = self._shapes.get(shape)
        if found is None:
            spec = replace(self.spec, shape=shape)
            found = Program(resolve_chain(self.codecs, spec, "codecs"), spec)
            if self.shard is not None and found.shard is None:
                msg = (
                    f"the inner chunks of a shard {shape} are no blocks of the array before the "
                    f"reshape, but those of a shard {self.spec.shape} are"
                )
                raise MetadataError(msg, "codecs")
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = found
        return found

    def decode(self, data: Buffer, *, missing: bool = True) -> np.ndarray[Any, Any]:
        """Return one decoded chunk, of shape ``spec.shape``; it may be read-only.

        Raise ``CodecError`` with the name of the failing codec as ``stage``. If ``missing`` is
        False, raise ``MissingChunk`` if the chunk is a shard with a missing inner chunk.
        """
        codec: Any = None
        try:
            for codec, size in reversed(self.byte_steps):
                data = codec.decode(data, size)
            codec = self.serializer
            if self.inside is None:
                array = codec.decode(data, self.serializer_spec)
            else:
                array = self.inside.decode(data, missing=missing)
            for codec, spec in reversed(self.array_steps):
                array = codec.decode(array, spec)
        except Exception as error:
            raise _staged(error, codec.name) from error
        return array  # type: ignore[no-any-return]

    def shard_bytes(self, data: Buffer) -> Buffer:
        """Return the bytes of the shard in an encoded chunk, of which parts can then be decoded.

        Raise ``CodecError`` as ``decode`` does.
        """
        codec: Any = None
        try:
            for codec, size in reversed(self.byte_steps):
                data = codec.decode(data, size)
        except Exception as error:
            raise _staged(error, codec.name) from error
        return data

    def encode(self, array: np.ndarray[Any, Any]) -> Buffer:
        """Return one encoded chunk; raise ``CodecError`` as ``decode`` does."""
        codec: Any = None
        try:
            for codec, spec in self.array_steps:
                array = codec.encode(array, spec)
            codec = self.serializer
            data: Buffer
            if self.inside is None:
                data = codec.encode(array, self.serializer_spec)
            else:
                data = self.inside.encode(array)
            for codec, _ in self.byte_steps:
                data = codec.encode(data)
        except Exception as error:
            raise _staged(error, codec.name) from error
        return data

    def encode_fill(self) -> Buffer:
        """Return an encoded chunk that holds only the fill value."""
        chunk = empty(self.spec.shape, self.fill.dtype)
        chunk[...] = self.fill
        return self.encode(chunk)


class Shard:
    """The layout of an array's shards: their index, and the programs of index and inner chunks.

    ``spec`` describes the shard as the sharding codec sees it, after any transpose. ``grid`` is the
    grid of the inner chunks, and ``counts`` their number along each axis of ``spec``. ``axes`` maps
    each axis of the chunk before the transposes to its axis in ``spec``.
    """

    __slots__ = ("at_start", "axes", "counts", "grid", "index", "index_size", "inner", "spec")

    def __init__(self, inside: Inside, spec: ChunkSpec, order: Sequence[int] | None = None) -> None:
        """Compile the chains of the inner chunks and the index.

        ``order`` is the permutation of axes made by the transposes before the sharding codec.
        """
        self.spec, self.grid = spec, inside.grid
        self.counts = self.grid.count(spec.shape)
        self.inner = Program(inside.codecs, replace(spec, shape=self.grid.steps))
        self.index = Program(inside.index_codecs, index_spec(self.counts))
        # `ShardingCodec.resolve` has rejected chains whose encoded size is not fixed.
        self.index_size: int = self.index.encoded_size or 0
        self.at_start = inside.index_at_start
        order = range(len(spec.shape)) if order is None else order
        self.axes = tuple(order.index(axis) for axis in range(len(order)))

    def decode(self, data: Buffer, *, missing: bool = True) -> np.ndarray[Any, Any]:
        """Return one decoded shard, of shape ``spec.shape``.

        A missing inner chunk is filled with the fill value, or raises ``MissingChunk`` if
        ``missing`` is False.
        """
        view = as_view(data)
        index = self.read_index(self.index_bytes(view), view.nbytes)
        out = empty(self.spec.shape, self.spec.dtype.numpy)
        for (chunk, region), (offset, size) in zip(self._regions(), index.tolist(), strict=True):
            if offset == size == MISSING:
                if not missing:
                    msg = f"inner chunk {chunk}"
                    raise MissingChunk(msg)
                out[region] = self.inner.fill
                continue
            try:
                out[region] = self.inner.decode(view[offset : offset + size], missing=missing)
            except (CodecError, MissingChunk) as error:
                raise inside_chunk(error, chunk) from error
        return out

    def encode(self, array: np.ndarray[Any, Any]) -> bytes:
        """Return one encoded shard, without the inner chunks that equal the fill value."""
        dtype, fill = self.spec.dtype, self.spec.fill
        pieces: dict[int, Buffer] = {}
        for number, (chunk, region) in enumerate(self._regions()):
            part = array[region]
            if dtype.is_fill(part, fill):
                continue
            try:
                pieces[number] = self.inner.encode(part)
            except CodecError as error:
                raise inside_chunk(error, chunk) from error
        return self.assemble(pieces)

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
        try:
            return self._checked_index(data, size)
        except CodecError as error:
            error.stage = "sharding_indexed index"
            raise

    def _checked_index(self, data: Buffer, size: int | None) -> NDArray[np.uint64]:
        if len(data) != self.index_size:
            msg = (
                f"the shard's index takes {self.index_size} bytes, but only {len(data)} are there: "
                "the shard is too short to hold its index"
            )
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
        order = np.lexsort((sizes, offsets))
        starts, lengths = offsets[order], sizes[order]
        before = starts[1:] < (starts + lengths)[:-1]
        same = (starts[1:] == starts[:-1]) & (lengths[1:] == lengths[:-1])
        overlap = np.zeros(used.size, dtype=bool)
        overlap[order[1:]] = before & ~same
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

    def _regions(self) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
        """Yield the coordinates of each inner chunk, in C order, and the index of its elements."""
        spans = [self.grid.cut(axis, 0, size) for axis, size in enumerate(self.spec.shape)]
        for chunk, region in zip(np.ndindex(self.counts), itertools.product(*spans), strict=True):
            # The ellipsis makes a view also of an array without axes.
            yield chunk, (*region, ...)


def _reshape_moved(
    codecs: Sequence[Codec], spec: ChunkSpec
) -> tuple[tuple[Codec, ...], Inside] | None:
    """Return a chain without the reshapes before its sharding codec, and the grid inside.

    The inner chunks of that grid are those of the sharding codec, in the same order, as blocks of
    the array before the reshapes. The result is None if there are none, or no such blocks.
    """
    arrays = [codec for codec in codecs if isinstance(codec, ArrayArrayCodec)]
    serializer: Any = codecs[len(arrays)]
    kept = len(arrays)
    while kept and arrays[kept - 1].reshapes:
        kept -= 1
    inside: Inside | None = serializer.inside() if kept < len(arrays) else None
    if inside is None:
        return None
    for codec in arrays[:kept]:
        spec = codec.encoded_spec(spec)
    specs = [spec]
    for codec in arrays[kept:]:
        specs.append(codec.encoded_spec(specs[-1]))
    block: tuple[int, ...] | None = inside.grid.steps
    for codec, seen in zip(reversed(arrays[kept:]), reversed(specs[:-1]), strict=True):
        block = None if block is None else codec.decoded_block(block, seen)
    if block is None:
        return None
    counts = (*inside.grid.count(specs[-1].shape), 2)
    inner = (ReshapeCodec(shape=inside.grid.steps), *inside.codecs)
    index = (ReshapeCodec(shape=counts), *inside.index_codecs)
    moved = inside._replace(grid=RegularGrid(block), codecs=inner, index_codecs=index)
    return (*arrays[:kept], *codecs[len(arrays) :]), moved


def index_spec(counts: tuple[int, ...]) -> ChunkSpec:
    """Return the spec of the index of a shard: an array of shape ``(*counts, 2)`` of uint64."""
    return ChunkSpec((*counts, 2), UInt64(), np.uint64(MISSING))


def inside_chunk(
    error: CodecError | MissingChunk, chunk: tuple[int, ...]
) -> CodecError | MissingChunk:
    """Return the error of an inner chunk with its coordinates before the message."""
    inner = f"inner chunk {chunk}"
    if isinstance(error, MissingChunk):
        return MissingChunk(": ".join([inner, *error.args]))
    inside = CodecError(f"{inner}: {error}")
    inside.stage = error.stage
    return inside


def _staged(error: Exception, stage: str) -> Exception:
    """Return any failure of a codec as a ``CodecError`` whose ``stage`` names the codec."""
    if isinstance(error, (MissingChunk, errors.PickleCodecDisabledError)):
        return error
    if isinstance(error, MemoryError):
        return MemoryError(f"codec {stage}: {str(error) or 'there is no memory'}")
    staged = error if isinstance(error, CodecError) else CodecError(_words(error))
    staged.stage = staged.stage or stage
    return staged


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
