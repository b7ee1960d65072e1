"""Codecs that were written for zarr-python 3, as codecs.

Rules of this file:

* zarr-python is imported only when a codec of it is found: because a caller passed it, or because a
  document has exactly the name under which an installed package declares it to zarr-python.
* Whatever method a class overrides takes part. One that need not be awaited is preferred among
  those of the same class. A coroutine is begun where it is; most end without waiting. One that
  waits is run again on the event loop of the stores, and so are all later ones of its class.
* What a codec returns is checked: an array has the shape and the data type that were announced, and
  bytes have the size. Whatever it raises is raised as ``CodecError`` with the name of the codec.
* The extension does not know these codecs, so their chunks take the path of the twin.
* The classes that go with a codec are those of the package that its base class is from: zarr-python
  or what stands in its place.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import guard, member
from fastzarr.codecs.base import (
    ArrayArrayCodec,
    ArrayBytesCodec,
    BytesBytesCodec,
    ChunkSpec,
    Codec,
    check_size,
    spec_size,
)
from fastzarr.dtypes.parse import from_v3
from fastzarr.errors import CodecError
from fastzarr.stores import loop

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer
    from fastzarr.dtypes.base import DataType

_GROUP = "zarr.codecs"
_ABC = ".abc.codec"
#: The base classes of codecs, in zarr-python and in what stands in its place.
_KINDS = ("ArrayArrayCodec", "ArrayBytesCodec", "BytesBytesCodec")


def find(name: str) -> type[Codec] | None:
    """Return the codec that is registered with zarr-python under a name, or None.

    Only the entry points of that name are loaded. They are those of the group ``zarr.codecs``, and
    all those of ``zarr.codecs.<name>``, of which the settings of zarr-python may choose one.
    """
    declared = entry_points(group=_GROUP, name=name) or entry_points(group=f"{_GROUP}.{name}")
    if not declared and "zarr.registry" not in sys.modules:
        return None
    from zarr.registry import get_codec_class

    try:
        found = get_codec_class(name)
    except KeyError:
        # Packages that are found since zarr-python was imported are not known to it.
        if not declared:
            return None
        found = min(declared, key=lambda entry: entry.name).load()
    return adapt(found, name)


def is_foreign(cls: type) -> bool:
    """Whether a class is a codec of zarr-python 3.

    >>> is_foreign(int)
    False
    """
    return _package(cls) is not None


def _package(cls: type) -> str | None:
    """Return the package that a class of codecs has its base class from, or None."""
    for base in cls.__mro__:
        if base.__module__.endswith(_ABC) and base.__name__ in _KINDS:
            return base.__module__.removesuffix(_ABC)
    return None


def calls(known: type[Codec], cls: type) -> bool:
    """Whether a class of codecs calls those of a class, or of an earlier definition of it."""
    foreign = getattr(known, "foreign", None)
    if foreign is None:
        return False
    return (foreign.__module__, foreign.__qualname__) == (cls.__module__, cls.__qualname__)


def adapt(cls: type, name: str) -> type[Codec]:
    """Return the class of the codecs that call those of a class of zarr-python 3."""
    adapted: Any = _adapted  # classes of metaclasses can be hashed, too
    found: type[Codec] = adapted(cls, name)
    return found


@cache
def _adapted(cls: type, name: str) -> type[Codec]:
    package = _package(cls) or "zarr"
    kinds = import_module(package + _ABC)
    if issubclass(cls, kinds.ArrayArrayCodec):
        base: Any = _ArrayArray
    elif issubclass(cls, kinds.ArrayBytesCodec):
        base = _ArrayBytes
    else:
        base = _BytesBytes
    members = {
        "foreign": cls,
        "name": name,
        "package": package,
        "__doc__": f"The codec {name!r} of zarr-python.",
    }
    return type(cls.__name__, (base,), members)


@cache
def _module(name: str) -> Any:
    return import_module(name)


@cache
def _dtype(package: str, dtype: DataType) -> Any:
    return _module(f"{package}.dtype").parse_dtype(dtype.to_v3(), zarr_format=3)


@cache
def _way(cls: type, verb: str) -> str:
    """Return how a class encodes or decodes: ``sync``, ``single`` or ``batch``.

    The method that the most derived class defines takes part, whatever a base has.
    """
    for base in cls.__mro__:
        own = vars(base)
        if f"_{verb}_sync" in own:
            return "sync"
        if f"_{verb}_single" in own:
            return "single"
        if verb in own:
            return "batch"
    return "batch"


def _sent(coroutine: Any) -> tuple[bool, Any]:
    """Return whether a coroutine ended without waiting, and what it returned."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return True, ended.value
    except RuntimeError as error:
        if "no running event loop" not in str(error):
            raise
    coroutine.close()
    return False, None


def wrap(codec: Any) -> Codec:
    """Return the codec that calls one of zarr-python 3."""
    found: Any = adapt(type(codec), codec.to_dict()["name"])
    made: Codec = found(codec)
    return made


class Foreign(Codec):
    """A codec of zarr-python 3; it is ``outer``.

    >>> Foreign.cacheable
    False
    """

    foreign: ClassVar[Any]
    package: ClassVar[str]
    #: Whether its methods wait for the event loop; most do not.
    waits: ClassVar[bool] = False

    def __init__(self, codec: Any, spec: ChunkSpec | None = None) -> None:
        """Initialise with the codec of zarr-python, and the chunk that it was resolved for."""
        self.outer, self._spec = codec, spec

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec of a configuration, which the class of zarr-python checks."""
        document = {"name": cls.name, "configuration": config}
        return guard(lambda: cls(cls.foreign.from_dict(document)), where, "codec")

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return dict(self.outer.to_dict().get("configuration") or {})

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec as zarr-python prepares it for chunks."""
        seen = self._described(spec)
        codec = self.outer.evolve_from_array_spec(seen)
        codec.validate(shape=spec.shape, dtype=seen.dtype, chunk_grid=self._grid(spec.shape))
        return type(self)(codec, spec)

    def __eq__(self, other: object) -> bool:
        """Whether both call the same class with the same configuration."""
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of what is compared."""
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        """Return the text of the codec of zarr-python."""
        return repr(self.outer)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the codec again, in any process that can import its class."""
        return _restore, (self.foreign, self.name, self.outer, self._spec)

    def _key(self) -> tuple[str, ChunkSpec | None]:
        return json.dumps(self.config(), sort_keys=True, default=str), self._spec

    @classmethod
    def _module(cls, name: str) -> Any:
        """Return a module of the package that the base class of the codec is from."""
        return _module(f"{cls.package}.{name}")

    def _described(self, spec: ChunkSpec) -> Any:
        """Return the description of a chunk in the words of zarr-python."""
        words, buffer = self._module("core.array_spec"), self._module("core.buffer")
        return words.ArraySpec(
            shape=spec.shape,
            dtype=_dtype(self.package, spec.dtype),
            fill_value=spec.fill,
            config=words.ArrayConfig.from_dict({}),
            prototype=buffer.default_buffer_prototype(),
        )

    def _grid(self, shape: tuple[int, ...]) -> Any:
        """Return the grid of one chunk of a shape."""
        metadata = self._module("core.metadata.v3")
        # Since zarr-python 3.2, the grid of the metadata has a class of its own.
        if hasattr(metadata, "RegularChunkGridMetadata"):
            return metadata.RegularChunkGridMetadata(chunk_shape=shape)
        return self._module("core.chunk_grids").RegularChunkGrid(chunk_shape=shape)

    def _nd_buffer(self, array: np.ndarray[Any, Any]) -> Any:
        prototype = self._module("core.buffer").default_buffer_prototype()
        return prototype.nd_buffer.from_numpy_array(array)

    def _buffer(self, data: Buffer) -> Any:
        prototype = self._module("core.buffer").default_buffer_prototype()
        return prototype.buffer.from_array_like(np.frombuffer(as_view(data), "u1"))

    def _call(self, verb: str, data: Any, spec: Any) -> Any:
        """Encode or decode a buffer of zarr-python; return another one."""
        try:
            found = self._called(verb, data, spec)
        except (MemoryError, CodecError):
            raise
        except Exception as error:  # codecs of others may raise any exception
            msg = f"{self.name}: {verb} failed: {type(error).__name__}: {error}"
            raise CodecError(msg) from error
        return found

    def _called(self, verb: str, data: Any, spec: Any) -> Any:
        codec, cls = self.outer, type(self)
        way = _way(cls.foreign, verb)
        if way == "sync" and getattr(codec, "_sync_capable", True):
            return getattr(codec, f"_{verb}_sync")(data, spec)
        if way != "batch" and not cls.waits:
            done, found = _sent(getattr(codec, f"_{verb}_single")(data, spec))
            if done:
                return found
            cls.waits = True
        [found] = loop.wait(getattr(codec, verb)([(data, spec)]))
        return found

    def _array(self, found: Any, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = found.as_numpy_array()
        if array.shape != spec.shape or array.dtype.newbyteorder("=") != spec.dtype.numpy:
            msg = (
                f"{self.name}: expected an array of shape {spec.shape} and dtype "
                f"{spec.dtype.numpy}, found {array.shape} and {array.dtype}"
            )
            raise CodecError(msg)
        return array.astype(spec.dtype.numpy, copy=False)

    def _bytes(self, found: Any, size: int | None) -> memoryview:
        if found is None:
            msg = f"{self.name}: the codec returned nothing"
            raise CodecError(msg)
        data = as_view(np.ascontiguousarray(found.as_numpy_array()).view("u1"))
        if size is not None:
            check_size(self.name, data.nbytes, size, "the codec returned")
        return data

    def _size(self, size: int | None, spec: ChunkSpec) -> int | None:
        if size is None or not self.outer.is_fixed_size:
            return None
        return int(self.outer.compute_encoded_size(size, self._described(spec)))


class _ArrayArray(Foreign, ArrayArrayCodec):
    """A codec of zarr-python that encodes an array as another one."""

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the shape, data type and fill value of the encoded array."""
        found = self.outer.resolve_metadata(self._described(spec))
        dtype = from_v3(found.dtype.to_json(zarr_format=3), member("", self.name))
        fill = np.asarray(found.fill_value, dtype.numpy)[()]
        return ChunkSpec(tuple(found.shape), dtype, fill)

    def decoded_block(self, block: tuple[int, ...], spec: ChunkSpec) -> None:
        """Return None: what such a codec does with the axes is not known."""

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the encoded array of one chunk."""
        found = self._call("encode", self._nd_buffer(array), self._described(spec))
        return self._array(found, self.encoded_spec(spec))

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded array of one chunk."""
        found = self._call("decode", self._nd_buffer(array), self._described(spec))
        return self._array(found, spec)


class _ArrayBytes(Foreign, ArrayBytesCodec):
    """A codec of zarr-python that encodes an array as bytes."""

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Return the exact encoded size in bytes, or None if it depends on the values."""
        return self._size(spec_size(spec), spec)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the encoded bytes of one chunk."""
        found = self._call("encode", self._nd_buffer(array), self._described(spec))
        return self._bytes(found, self.encoded_size(spec))

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded chunk."""
        return self._array(self._call("decode", self._buffer(data), self._described(spec)), spec)


class _BytesBytes(Foreign, BytesBytesCodec):
    """A codec of zarr-python that encodes bytes as other bytes."""

    def _resolved(self) -> ChunkSpec:
        if self._spec is None:
            msg = f"{self.name}: resolve the codec for chunks before it encodes or decodes"
            raise CodecError(msg)
        return self._spec

    def encoded_size(self, size: int | None) -> int | None:
        """Return the exact encoded size of ``size`` bytes, or None if it depends on the values."""
        return self._size(size, self._resolved())

    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes."""
        found = self._call("encode", self._buffer(data), self._described(self._resolved()))
        return self._bytes(found, self.encoded_size(as_view(data).nbytes))

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the decoded bytes."""
        spec = self._described(self._resolved())
        return self._bytes(self._call("decode", self._buffer(data), spec), size)


def _restore(cls: type, name: str, codec: Any, spec: ChunkSpec | None) -> Codec:
    found: Any = adapt(cls, name)
    made: Codec = found(codec, spec)
    return made
