"""Format 2's list of filters, as a single array-to-bytes codec.

Rules of this file:

* The stored bytes are those of zarr-python 2: each filter encodes the output of the previous one.
* The size that each filter decodes to is computed from the array beforehand; data of another size
  raises an error before the filter is called.
* A compressor that encodes arrays, or objects, works like a last filter, and is one here; only the
  document names it apart.
* An object codec can only be the first filter. The number of objects is taken from the array, never
  from the data. The exception is pickle, which zarr-python runs in any place.
* Data is unpickled only if ``allow_pickle`` permits it, which nothing in a store can set.

Specification: Zarr storage specification, version 2.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view, nbytes
from fastzarr.checked import show
from fastzarr.codecs.base import ArrayBytesCodec, spec_size
from fastzarr.codecs.numcodecs import NumcodecsAny, make
from fastzarr.codecs.numcodecs.arrays import NumcodecsArrayCodec
from fastzarr.codecs.numcodecs.bytes import NumcodecsCodec
from fastzarr.codecs.numcodecs.serializers import NumcodecsSerializer
from fastzarr.codecs.numcodecs.settings import (
    BYTES_IDS,
    OBJECT_IDS,
    as_bytes,
    check,
    check_encoded,
    encoded_dtype,
    encoded_nbytes,
    run,
)
from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec
from fastzarr.config import config as settings
from fastzarr.errors import CodecError, MetadataError, PickleCodecDisabledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec, Codec, Native

    Permission: TypeAlias = bool | Callable[[], bool]

_VLEN = {"vlen-utf8": VLenUTF8Codec(), "vlen-bytes": VLenBytesCodec()}
_ITEMS = ("json2", "msgpack2")
# The object codecs that encode other arrays, too.
_LISTS = (*_ITEMS, "categorize")
_MOST = 2**63


@dataclass(frozen=True, kw_only=True)
class FiltersCodec(ArrayBytesCodec):
    """The filters of a format 2 array.

    ``filters`` is a sequence of numcodecs configurations or objects; ``compressed`` is True if the
    last one is the document's compressor. ``allow_pickle`` permits decoding with the object codec
    ``pickle``, which executes arbitrary code from the data; a function is asked each time.

    >>> FiltersCodec(filters=[{"id": "delta", "dtype": "<i4"}]).configs()
    [{'id': 'delta', 'dtype': '<i4'}]
    """

    name: ClassVar[str] = "filters"
    cacheable: ClassVar[bool] = True

    filters: Sequence[Any]
    compressed: bool = False
    allow_pickle: Permission = field(default=False, compare=False)

    def __post_init__(self) -> None:
        """Parse the filters; raise ``MetadataError`` if one is unknown or misplaced."""
        made = tuple(_made(item, i) for i, item in enumerate(self.filters))
        for place, item in enumerate(made):
            if place and item.id in OBJECT_IDS and item.id != "pickle":
                msg = f"the object codec {item.id!r} must be the first filter"
                raise MetadataError(msg, f"filters[{place}]")
        object.__setattr__(self, "filters", made)

    def configs(self) -> list[dict[str, Any]]:
        """Return the ``filters`` member of format 2 metadata.

        >>> FiltersCodec(filters=[{"id": "zlib", "level": 1}]).configs()
        [{'id': 'zlib', 'level': 1}]
        """
        return [item.codec_config for item in self.filters[: -1 if self.compressed else None]]

    def compressor(self) -> dict[str, Any] | None:
        """Return the ``compressor`` member if it is among the filters, and None otherwise.

        >>> FiltersCodec(filters=[{"id": "zlib", "level": 1}], compressed=True).compressor()
        {'id': 'zlib', 'level': 1}
        """
        return self.filters[-1].codec_config if self.compressed else None

    def nested(self) -> tuple[Codec, ...]:
        """Return the filters."""
        return tuple(self.filters)

    def config(self) -> dict[str, Any]:
        """Return the filters for display; this codec does not exist in format 3."""
        return {"filters": self.configs()}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with its filters resolved for the data type.

        Raise ``MetadataError`` if the filters cannot encode elements of that type.
        """
        first = self.filters[0].id if self.filters else None
        if spec.dtype.itemsize is None and first not in OBJECT_IDS:
            msg = (
                "arrays of objects need an object codec as the first filter; pass object_codec, "
                "such as numcodecs.JSON()"
            )
            raise MetadataError(msg)
        if first == "categorize":
            # Decoded labels have this dtype, whatever the data type of the array.
            labels, dtype = np.dtype(self.filters[0].settings["dtype"]), spec.dtype.numpy
            if labels != dtype and not (labels.hasobject and spec.dtype.itemsize is None):
                msg = f"categorize has dtype {labels.str!r}, but the array has {dtype.str!r}"
                raise MetadataError(msg)
        try:
            self._sizes(spec)
        except CodecError as error:
            msg = f"the filters do not fit {spec.dtype.name!r}: {error}"
            raise MetadataError(msg) from error
        fitted = (
            item.resolve(spec) if isinstance(item, NumcodecsCodec) else item
            for item in self.filters
        )
        return replace(self, filters=tuple(fitted))

    def native_bytes(self, spec: ChunkSpec) -> tuple[list[Native], list[Native]] | None:
        """Return the filters for the extension, or None if it does not implement all of them.

        It does not either if a filter of arrays follows one of bytes.
        """
        typed: list[Native] = [("truth", [], "")] if spec.dtype.numpy.kind == "b" else []
        codecs: list[Native] = []
        for item in self.filters:
            if isinstance(item, NumcodecsArrayCodec):
                found = None if codecs else item.native_filter()
                if found is None:
                    return None
                typed += found
            else:
                made = item.native()
                if made is None:
                    return None
                codecs.append(made)
        return typed, codecs

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Return the exact encoded size, or None if a filter's output size is not fixed."""
        return self._sizes(spec)[-1]

    def check(self, array: np.ndarray[Any, Any]) -> None:
        """Raise ``CodecError``, naming the element, if the object codec cannot encode one."""
        first = self.filters[0]
        if first.id in _VLEN or first.id not in OBJECT_IDS:
            return
        try:
            first.shared.encode(array.ravel())
        except MemoryError:
            raise
        except Exception as error:  # whatever the objects and the codec raise
            for place, item in enumerate(array.ravel()):
                one = np.empty(1, dtype=object)
                one[0] = item
                try:
                    first.shared.encode(one)
                except Exception as fault:
                    index = tuple(map(int, np.unravel_index(place, array.shape)))
                    msg = (
                        f"element {index} of the value, {show(item)}, cannot be stored by "
                        f"{first.id}: {type(fault).__name__}: {fault}"
                    )
                    raise CodecError(msg) from fault
            msg = f"the value cannot be stored by {first.id}: {type(error).__name__}: {error}"
            raise CodecError(msg) from error

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the array encoded by each filter in turn."""
        # numcodecs flattens Fortran-ordered arrays in memory order, so C order is enforced first.
        data: Any = np.asarray(array, dtype=spec.dtype.numpy, order="C")
        for item in self.filters:
            if item.id in _VLEN:
                data = _VLEN[item.id].encode(data, spec)
            elif isinstance(item, NumcodecsCodec) and item.id in BYTES_IDS:
                data = item.encode(as_bytes(data))
            elif isinstance(item, NumcodecsSerializer):
                data = item.encode_array(data)
            else:
                # Plug-ins are given the array too: only they know whether they need its type.
                data = run(item.id, item.shared.encode, data)
        return as_bytes(data)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the array decoded by the filters in reverse order."""
        sizes = self._sizes(spec)
        found: Any = data
        for i in reversed(range(len(self.filters))):
            item = self.filters[i]
            if sizes[i + 1] is not None and nbytes(found) != sizes[i + 1]:
                msg = f"{item.id}: expected {sizes[i + 1]} bytes of data, found {nbytes(found)}"
                raise CodecError(msg)
            if item.id in OBJECT_IDS:
                found = self._objects(item.settings, item.shared, found, spec)
            elif isinstance(item, NumcodecsSerializer):
                found = item.decode_as(found, *self._elements(i, sizes[i], spec))
            elif isinstance(item, NumcodecsCodec):
                found = item.decode(found, sizes[i])
            else:
                check_encoded(item.settings, found, sizes[i])
                found = run(item.id, item.shared.decode, np.frombuffer(as_view(found), np.uint8))
        return _shaped(found, spec)

    def _objects(self, config: Mapping[str, Any], codec: Any, data: Any, spec: ChunkSpec) -> Any:
        name, view, expected = config["id"], as_view(data), prod(spec.shape)
        if name in _VLEN:
            return _VLEN[name].decode(view, spec)
        if name == "pickle":
            allow = self.allow_pickle
            if not (allow() if callable(allow) else allow):
                msg = (
                    "the array is stored with pickle, which can execute any code when it is read; "
                    "open it with allow_pickle=True if you trust its source"
                )
                raise PickleCodecDisabledError(msg)
            import pickle

            found = run(name, pickle.loads, view)
            if isinstance(found, (bytes, bytearray)):
                return found
            # Flattened in memory order: a pickled array keeps the order that it was stored in.
            return np.asarray(found).reshape(-1, order="A")
        if name in _ITEMS:
            return _from_items(name, run(name, _parser(config), view), spec)
        if name == "vlen-array":
            count = int.from_bytes(view[:4], "little")
            if view.nbytes < 4 * (1 + expected) or count != expected:
                msg = f"{name}: expected {expected} elements, but {view.nbytes} bytes state {count}"
                raise CodecError(msg)
        return np.asarray(run(name, codec.decode, view))

    def _elements(self, place: int, size: int | None, spec: ChunkSpec) -> tuple[np.dtype[Any], int]:
        """Return the data type and the number of the elements that a filter encodes."""
        dtype: np.dtype[Any] = spec.dtype.numpy
        for item in self.filters[:place]:
            kept = isinstance(item, NumcodecsArrayCodec) and item.id != "packbits"
            dtype = encoded_dtype(item.settings) or dtype if kept else np.dtype(np.uint8)
        if size is None:
            msg = f"{self.filters[place].id}: the number of elements is not known"
            raise CodecError(msg)
        return dtype, size // dtype.itemsize

    def _sizes(self, spec: ChunkSpec) -> list[int | None]:
        sizes = [spec_size(spec)]
        for item in self.filters:
            config = item.settings
            if config["id"] == "categorize":
                sizes.append(prod(spec.shape) * np.dtype(config.get("astype", "u1")).itemsize)
            else:
                sizes.append(encoded_nbytes(config, sizes[-1]))
        return sizes


def encodes_arrays(config: Mapping[str, Any], *, objects: bool, first: bool) -> bool:
    """Whether a compressor has to be given the array, or ``objects``, instead of bytes.

    ``first`` is whether it has no filters before it.
    """
    name = config["id"]
    if name in _VLEN:
        return objects
    return name not in BYTES_IDS | OBJECT_IDS or name == "pickle" or (first and name in _LISTS)


def _made(item: Any, place: int) -> NumcodecsAny:
    where = f"filters[{place}]"
    if not isinstance(item, NumcodecsAny):
        item = make(item, where)
    # Unlike format 3, format 2 requires every filter to name its data type.
    check(item, where)
    return item  # type: ignore[no-any-return]


def _parser(config: Mapping[str, Any]) -> Any:
    if config["id"] == "json2":
        strict, encoding = config.get("strict", True), config.get("encoding", "utf-8")
        return lambda view: json.loads(str(view, encoding), strict=strict)
    return partial(import_module("msgpack").unpackb, raw=config.get("raw", False))


def _from_items(name: str, items: Any, spec: ChunkSpec) -> np.ndarray[Any, Any]:
    """Return the array of a list that ends with a data type and a shape, as numcodecs writes it.

    Neither is trusted: the shape must have as many elements as the chunk, the nesting of the list
    must match the shape, and the stored data type is ignored. Raise ``CodecError`` otherwise.
    """
    shape = items[-1] if isinstance(items, list) and len(items) > 2 else None
    most = settings["limits.dimensions"]
    if (
        not isinstance(shape, list)
        or len(shape) > most
        or not all(type(n) is int and 0 <= n < _MOST for n in shape)
    ):
        msg = f"{name}: the data does not end with a data type and a shape"
        raise CodecError(msg)
    if prod(tuple(shape)) != prod(spec.shape):
        msg = f"{name}: expected {prod(spec.shape)} elements, but the data states shape {shape}"
        raise CodecError(msg)
    level = items[:-2]
    for axis, size in enumerate(shape):
        lists = level if axis else [level]
        if not all(isinstance(part, list) and len(part) == size for part in lists):
            msg = f"{name}: the nesting of the data does not match its shape {shape}"
            raise CodecError(msg)
        level = list(itertools.chain.from_iterable(lists))
    if len(level) != prod(spec.shape):
        msg = f"{name}: expected {prod(spec.shape)} elements, but the data holds {len(level)}"
        raise CodecError(msg)
    array = np.empty(len(level), dtype=spec.dtype.numpy)
    try:
        for i, item in enumerate(level):
            array[i] = item
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{name}: an element is not a valid {spec.dtype.name}: {error}"
        raise CodecError(msg) from error
    return array


def _shaped(found: Any, spec: ChunkSpec) -> np.ndarray[Any, Any]:
    dtype, expected = spec.dtype.numpy, prod(spec.shape)
    if spec.dtype.itemsize is None:
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "OT":
            msg = "expected objects, but the filters decoded to bytes"
            raise CodecError(msg)
        if found.size != expected:
            msg = f"expected {expected} elements, but the data holds {found.size}"
            raise CodecError(msg)
        return found.reshape(-1).astype(dtype, copy=False).reshape(spec.shape)
    data = as_bytes(found)
    size = expected * dtype.itemsize
    if nbytes(data) != size:
        msg = (
            f"expected {size} bytes for shape {spec.shape} of {spec.dtype.name}, but the filters "
            f"decoded to {nbytes(data)}"
        )
        raise CodecError(msg)
    return np.frombuffer(data, dtype).reshape(spec.shape) if size else np.zeros(spec.shape, dtype)
