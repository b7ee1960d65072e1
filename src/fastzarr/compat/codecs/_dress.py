"""What the codecs of this package have in common, under zarr-python's names.

A *dress* is a dataclass with the members of zarr-python's codec. Its ``inner`` is the codec of
fastzarr that does the work.

Rules of this file:

* Arrays take ``inner`` of an exact dress. A subclass of it, which may override anything, is called
  like any codec of others.
* Buffers are those of zarr-python; ``fastzarr.codecs`` gets their memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np

from fastzarr._lazy import cached
from fastzarr.buffers import as_view
from fastzarr.codecs import base, foreign
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.parse import CODECS, adopt, parse
from fastzarr.compat import registry
from fastzarr.compat.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
from fastzarr.compat.abc.metadata import Metadata
from fastzarr.compat.core.common import parse_named_configuration
from fastzarr.errors import MetadataValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.compat.core.array_spec import ArraySpec
    from fastzarr.compat.core.buffer import Buffer, NDBuffer

T = TypeVar("T")


def dress(cls: type[T]) -> type[T]:
    """Mark a class as one whose objects can be replaced by their ``inner``; not inherited."""
    marked: Any = cls
    marked.dressed = True
    return cls


def exact(value: Any, kind: type[T], member: str) -> T:
    """Return a member of a configuration; raise TypeError unless it has the type."""
    if type(value) is kind or (kind is int and isinstance(value, np.integer)):
        return kind(value)  # type: ignore[call-arg]  # int and bool take a value
    msg = f"Failed to parse input for {member!r}: expected {kind.__name__}, got {value!r}."
    raise TypeError(msg)


def one_of(value: Any, known: tuple[str, ...], member: str) -> Any:
    """Return a member of a configuration; raise ValueError unless it is a known string."""
    if isinstance(value, str) and value in known:
        return value
    msg = f"{member} must be one of {list(known)!r}. Got {value!r}."
    raise ValueError(msg)


def chunk_of(spec: ArraySpec) -> ChunkSpec:
    """Return the description of a chunk in the words of fastzarr."""
    dtype: Any = spec.dtype
    inner = dtype.inner
    fill = spec.fill_value
    fill = inner.default_fill if fill is None else fill
    if inner.itemsize is not None:
        fill = np.asarray(fill, inner.numpy)[()]
    return ChunkSpec(tuple(spec.shape), inner, fill)


class Dress(Metadata):
    """The members and the document of a codec; the kinds below add encoding and decoding."""

    name: ClassVar[str]
    #: The codec of fastzarr.
    kind: ClassVar[Any]
    #: Whether documents must have a configuration.
    configured: ClassVar[bool] = True

    @cached
    def inner(self) -> Any:
        """The codec of fastzarr."""
        return self.kind.from_config(self.settings(), "")

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        found: Any = self
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(found)
            if not field.name.startswith("_")
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in a document of format 3."""
        found = self.settings()
        return {"name": self.name, "configuration": found} if found else {"name": self.name}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the codec of a document of format 3."""
        _, found = parse_named_configuration(data, cls.name, require_configuration=cls.configured)
        return cls(**(found or {}))

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the codec with what the chunks decide filled in."""
        return self._taken(self.inner.resolve(chunk_of(array_spec)))

    def _taken(self, inner: Any) -> Self:
        """Return the codec with the members of one of fastzarr."""
        if inner == self.inner:
            return self
        this: Any = self
        made: Self = dataclasses.replace(this, **inner.config())
        return made.holding(inner)

    def holding(self, inner: Any) -> Self:
        """Return self, of which ``inner`` is the given codec."""
        vars(self)["inner"] = inner
        return self

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError if the codec cannot encode chunks of such an array."""
        sizes = getattr(chunk_grid, "chunk_shape", None) or shape
        inner = dtype.inner
        self.inner.resolve(ChunkSpec(tuple(sizes), inner, inner.default_fill))

    # The kinds below have them.
    def _encode_sync(self, chunk: Any, chunk_spec: ArraySpec, /) -> Any:
        raise NotImplementedError

    def _decode_sync(self, chunk: Any, chunk_spec: ArraySpec, /) -> Any:
        raise NotImplementedError

    async def _encode_single(self, chunk_data: Any, chunk_spec: ArraySpec) -> Any:
        # Without a thread: a coroutine that never waits needs no event loop.
        return self._encode_sync(chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Any, chunk_spec: ArraySpec) -> Any:
        return self._decode_sync(chunk_data, chunk_spec)


def _bytes(data: Any, spec: ArraySpec) -> Buffer:
    view = np.frombuffer(as_view(data), np.uint8)
    made: Buffer = spec.prototype.buffer.from_array_like(view)
    return made


def _array(array: np.ndarray[Any, Any], spec: ArraySpec) -> NDBuffer:
    made: NDBuffer = spec.prototype.nd_buffer.from_ndarray_like(array)
    return made


def _elements(array: np.ndarray[Any, Any], spec: ArraySpec) -> NDBuffer:
    """Return a decoded array in the byte order of its description."""
    dtype: Any = spec.dtype
    return _array(array.astype(dtype.to_native_dtype(), copy=False), spec)


class BytesBytesDress(Dress, BytesBytesCodec):
    """A codec that encodes bytes as other bytes."""

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the encoded size; raise NotImplementedError if it depends on the values."""
        del chunk_spec
        found: int | None = self.inner.encoded_size(input_byte_length)
        if found is None:
            raise NotImplementedError
        return found

    def _encode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer | None:
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        return _bytes(self.inner.encode(as_view(data)), chunk_spec)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        return _bytes(self.inner.decode(as_view(data), None), chunk_spec)


class _OfArray(Dress):
    def _inside(self, chunk_spec: ArraySpec) -> tuple[Any, ChunkSpec]:
        chunk = chunk_of(chunk_spec)
        return self.inner.resolve(chunk), chunk

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the encoded size; raise NotImplementedError if it depends on the values."""
        del chunk_spec
        if not getattr(self, "is_fixed_size", False):
            raise NotImplementedError
        return input_byte_length


class ArrayArrayDress(_OfArray, ArrayArrayCodec):
    """A codec that encodes an array as another one."""

    def resolve_metadata(self, chunk_spec: ArraySpec) -> ArraySpec:
        """Return the description of an encoded chunk."""
        inner, chunk = self._inside(chunk_spec)
        return self._described(inner.encoded_spec(chunk), chunk_spec)

    def _described(self, encoded: ChunkSpec, chunk_spec: ArraySpec) -> ArraySpec:
        """Return the description of a chunk whose elements have the same data type."""
        return dataclasses.replace(chunk_spec, shape=encoded.shape, fill_value=encoded.fill)

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer | None:
        inner, chunk = self._inside(chunk_spec)
        array = chunk_array.as_numpy_array().astype(chunk.dtype.numpy, copy=False)
        return _array(inner.encode(array, chunk), chunk_spec)

    def _decode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        inner, chunk = self._inside(chunk_spec)
        stored = inner.encoded_spec(chunk).dtype.numpy
        array = chunk_array.as_numpy_array().astype(stored, copy=False)
        return _elements(inner.decode(array, chunk), chunk_spec)


class ArrayBytesDress(_OfArray, ArrayBytesCodec):
    """A codec that encodes an array as bytes."""

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        inner, chunk = self._inside(chunk_spec)
        array = chunk_array.as_numpy_array().astype(chunk.dtype.numpy, copy=False)
        return _bytes(inner.encode(array, chunk), chunk_spec)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        inner, chunk = self._inside(chunk_spec)
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        return _elements(inner.decode(as_view(data), chunk), chunk_spec)


def inner_codec(codec: Any) -> Any:
    """Return what fastzarr takes for a codec of zarr-python, of numcodecs, or a document.

    A document is read with the class that is registered and chosen for its name.

    >>> from fastzarr.compat.codecs import GzipCodec
    >>> inner_codec(GzipCodec(level=1))
    GzipCodec(level=1)
    """
    if isinstance(codec, str):
        codec = {"name": codec}
    if isinstance(codec, dict) and "name" in codec:
        codec = codec_of(codec)
    if registry.is_ours(type(codec)):
        return codec.inner
    if foreign.is_foreign(type(codec)):
        return adopt(codec)
    return codec


def codec_of(document: Mapping[str, Any]) -> Any:
    """Return the codec of a document of format 3.

    It is of the class that is registered and chosen for the name or, if there is none, a codec of
    fastzarr. Raise UnknownCodecError if neither has the name.
    """
    name = document["name"]
    if not registry.is_known(name) and CODECS.find(name) is not None:
        return parse(document)
    cls: Any = registry.get_codec_class(name)
    try:
        return cls.from_dict(dict(document))
    except KeyError as error:
        key = f" {error.args[0]!r}" if error.args else ""
        msg = f"KeyError{key} while parsing the configuration for codec {name!r}."
        raise MetadataValidationError(msg) from error


def parse_codecs(data: Any) -> tuple[Any, ...]:
    """Return the codecs of objects and of documents; raise TypeError for anything else.

    >>> parse_codecs(["bytes"])
    (BytesCodec(endian=None),)
    """
    if not isinstance(data, Iterable):
        msg = f"Expected iterable, got {type(data)}"
        raise TypeError(msg)
    found = []
    for item in data:
        if isinstance(item, ArrayArrayCodec | ArrayBytesCodec | BytesBytesCodec):
            found.append(item)
            continue
        document = {"name": item} if isinstance(item, str) else item
        parse_named_configuration(document, require_configuration=False)
        found.append(codec_of(document))
    return tuple(found)


def kind_of(codec: Any) -> type[base.Codec] | None:
    """Return the kind of a codec of fastzarr, or None."""
    kinds = (base.ArrayArrayCodec, base.ArrayBytesCodec, base.BytesBytesCodec)
    return next((kind for kind in kinds if isinstance(codec, kind)), None)
