"""Format 2's list of filters, as the one codec that turns an array into bytes.

Rules of this file:

* What is stored is what zarr-python 2 stores: the filters encode one after the other, each on what
  the one before it made. What is read is what it would read.
* The size of what each filter decodes to is worked out from the array first, and data of another
  size is an error before the filter sees it.
* An object codec can only stand first. How many objects there are, the array says and not the data.
* Objects are unpickled only where ``allow_pickle`` says so, which nothing in a store can set.

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

from fastzarr.codecs.base import ArrayBytesCodec, as_view, nbytes, spec_size
from fastzarr.codecs.numcodecs import (
    ARRAY_IDS,
    OBJECT_IDS,
    NumcodecsArrayCodec,
    NumcodecsCodec,
    as_bytes,
    check,
    check_encoded,
    encoded_nbytes,
    make,
    run,
)
from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec
from fastzarr.config import config as settings
from fastzarr.errors import CodecError, MetadataError, PickleCodecDisabledError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastzarr.codecs.base import Buffer, ChunkSpec

_VLEN = {"vlen-utf8": VLenUTF8Codec(), "vlen-bytes": VLenBytesCodec()}
_ITEMS = ("json2", "msgpack2")
_MOST = 2**63


@dataclass(frozen=True, kw_only=True)
class FiltersCodec(ArrayBytesCodec):
    """Run the filters of a format 2 array.

    ``filters`` are numcodecs configurations or objects. ``allow_pickle`` lets the object codec
    ``pickle`` decode, which runs whatever code the data holds.

    >>> FiltersCodec(filters=[{"id": "delta", "dtype": "<i4"}]).configs()
    [{'id': 'delta', 'dtype': '<i4'}]
    """

    name: ClassVar[str] = "filters"

    filters: Sequence[Any]
    allow_pickle: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        """Wrap each filter; ``MetadataError`` says which is not known or stands where it cannot."""
        made = tuple(_made(item, i) for i, item in enumerate(self.filters))
        for place, item in enumerate(made):
            if place and item.id in OBJECT_IDS:
                msg = f"the object codec {item.id!r} must be the first filter"
                raise MetadataError(msg, f"filters[{place}]")
        object.__setattr__(self, "filters", made)

    def configs(self) -> list[dict[str, Any]]:
        """Give the ``filters`` member of format 2 metadata."""
        return [item.codec_config for item in self.filters]

    def config(self) -> dict[str, Any]:
        """Give the filters, for display; format 3 has no such codec."""
        return {"filters": self.configs()}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Give itself; ``MetadataError`` where filters and data type do not fit."""
        first = self.filters[0].id if self.filters else None
        if spec.dtype.itemsize is None and first not in OBJECT_IDS:
            msg = (
                "arrays of objects need an object codec as the first filter; give object_codec, "
                "such as numcodecs.JSON()"
            )
            raise MetadataError(msg)
        if first == "categorize":
            # Its labels are as long as this type says, whatever the array's elements are.
            labels, dtype = np.dtype(self.filters[0].settings["dtype"]), spec.dtype.numpy
            if labels != dtype and not (labels.hasobject and spec.dtype.itemsize is None):
                msg = f"categorize has the dtype {labels.str!r}, the array {dtype.str!r}"
                raise MetadataError(msg)
        try:
            self._sizes(spec)
        except CodecError as error:
            msg = f"the filters do not fit {spec.dtype.name!r}: {error}"
            raise MetadataError(msg) from error
        fitted = (item if item.id in ARRAY_IDS else item.resolve(spec) for item in self.filters)
        return replace(self, filters=tuple(fitted))

    def native_bytes(self, spec: ChunkSpec) -> tuple[int, list[Any]] | None:  # noqa: ARG002
        """Give the filters where the native extension has them all."""
        codecs = [item.native() for item in self.filters]
        return None if None in codecs else (0, codecs)

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Give the exact size where every filter has one."""
        return self._sizes(spec)[-1]

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Run the filters in order."""
        # numcodecs flattens what is in Fortran order as it lies in memory; hence C order here.
        data: Any = np.asarray(array, dtype=spec.dtype.numpy, order="C")
        for item in self.filters:
            if item.id in _VLEN:
                data = _VLEN[item.id].encode(data, spec)
            elif isinstance(item, NumcodecsCodec) and item.id not in OBJECT_IDS:
                data = item.encode(as_bytes(data))
            else:
                data = run(item.id, item.codec.encode, data)
        return as_bytes(data)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Run the filters backwards."""
        sizes = self._sizes(spec)
        found: Any = data
        for i in reversed(range(len(self.filters))):
            item = self.filters[i]
            if sizes[i + 1] is not None and nbytes(found) != sizes[i + 1]:
                msg = f"{item.id}: expected {sizes[i + 1]} bytes of data, found {nbytes(found)}"
                raise CodecError(msg)
            if item.id in OBJECT_IDS:
                found = self._objects(item.settings, item.codec, found, spec)
            elif isinstance(item, NumcodecsCodec):
                found = item.decode(found, sizes[i])
            else:
                check_encoded(item.settings, found, sizes[i])
                found = run(item.id, item.codec.decode, np.frombuffer(as_view(found), np.uint8))
        return _shaped(found, spec)

    def _objects(
        self, config: Mapping[str, Any], codec: Any, data: Any, spec: ChunkSpec
    ) -> np.ndarray[Any, Any]:
        name, view, expected = config["id"], as_view(data), prod(spec.shape)
        if name in _VLEN:
            return _VLEN[name].decode(view, spec)
        if name == "pickle":
            if not self.allow_pickle:
                msg = (
                    "the array is stored with pickle, which can run any code when it is read; "
                    "open it with allow_pickle=True if you trust its source"
                )
                raise PickleCodecDisabledError(msg)
            import pickle

            return np.asarray(run(name, pickle.loads, view))
        if name in _ITEMS:
            return _from_items(name, run(name, _parser(config), view), spec)
        if name == "vlen-array":
            found = int.from_bytes(view[:4], "little")
            if view.nbytes < 4 * (1 + expected) or found != expected:
                msg = f"{name}: expected {expected} elements, but {view.nbytes} bytes state {found}"
                raise CodecError(msg)
        return np.asarray(run(name, codec.decode, view))

    def _sizes(self, spec: ChunkSpec) -> list[int | None]:
        sizes = [spec_size(spec)]
        for item in self.filters:
            config = item.settings
            if config["id"] == "categorize":
                sizes.append(prod(spec.shape) * np.dtype(config.get("astype", "u1")).itemsize)
            else:
                sizes.append(encoded_nbytes(config, sizes[-1]))
        return sizes


def _made(item: Any, place: int) -> NumcodecsCodec | NumcodecsArrayCodec:
    where = f"filters[{place}]"
    if not isinstance(item, (NumcodecsCodec, NumcodecsArrayCodec)):
        item = make(item, where)
    # Unlike format 3, format 2 has no filter whose data type is left open.
    check(item, where)
    return item  # type: ignore[no-any-return]


def _parser(config: Mapping[str, Any]) -> Any:
    if config["id"] == "json2":
        strict, encoding = config.get("strict", True), config.get("encoding", "utf-8")
        return lambda view: json.loads(str(view, encoding), strict=strict)
    return partial(import_module("msgpack").unpackb, raw=config.get("raw", False))


def _from_items(name: str, items: Any, spec: ChunkSpec) -> np.ndarray[Any, Any]:
    """Make the array of a list that ends with a data type and a shape, as numcodecs writes it.

    Neither is believed: the shape must have as many elements as the chunk, the nesting must be that
    of the shape, and the data type is the array's own.
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
            msg = f"{name}: the data is not nested as its shape {shape} says"
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
        msg = f"{name}: an element is no {spec.dtype.name}: {error}"
        raise CodecError(msg) from error
    return array


def _shaped(found: Any, spec: ChunkSpec) -> np.ndarray[Any, Any]:
    dtype, expected = spec.dtype.numpy, prod(spec.shape)
    if spec.dtype.itemsize is None:
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "OT":
            msg = "the filters gave bytes where objects are wanted"
            raise CodecError(msg)
        if found.size != expected:
            msg = f"expected {expected} elements, but the data holds {found.size}"
            raise CodecError(msg)
        # As it lies in memory: a pickled array keeps the order it had.
        return found.reshape(-1, order="A").astype(dtype, copy=False).reshape(spec.shape)
    data = as_bytes(found)
    size = expected * dtype.itemsize
    if nbytes(data) != size:
        msg = (
            f"expected {size} bytes for shape {spec.shape} of {spec.dtype.name}, but the filters "
            f"gave {nbytes(data)}"
        )
        raise CodecError(msg)
    return np.frombuffer(data, dtype).reshape(spec.shape) if size else np.zeros(spec.shape, dtype)
