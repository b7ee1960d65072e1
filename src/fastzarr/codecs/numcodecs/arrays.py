"""The array-to-array codecs of numcodecs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.codecs.base import FAST, ArrayArrayCodec, ChunkSpec
from fastzarr.codecs.numcodecs.settings import (
    BITS,
    DTYPE_MEMBERS,
    NumcodecsBase,
    as_text,
    check,
    encoded_dtype,
    run,
)
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.codecs.base import Native

# The kinds of data types whose elements are counts, of which each can be read as another.
_COUNTS = "iuMm"


@dataclass(frozen=True, repr=False)
class NumcodecsArrayCodec(NumcodecsBase, ArrayArrayCodec):  # type: ignore[override]  # as above
    """An array-to-array codec of numcodecs; ``text`` is its configuration in JSON.

    numcodecs encodes and decodes flat arrays; they are flattened in C order and reshaped.

    >>> from fastzarr.codecs.numcodecs import make
    >>> make({"id": "delta", "dtype": "<i4", "astype": "<i2"}).name
    'numcodecs.delta'
    """

    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    text: str

    def native_typed(self, spec: ChunkSpec) -> list[Native] | None:
        """Return a delta codec's description for the extension, or None for other codecs.

        It is None, too, if the items of the codec are not as large as those of the array.
        """
        return None if self._regroups(spec) else self._described("=")

    def native_filter(self) -> list[Native] | None:
        """Return the same for a filter of format 2, whose elements have the named byte orders."""
        return self._described(None)

    def _described(self, order: str | None) -> list[Native] | None:
        config = self.settings
        if config["id"] != "delta":
            return None
        dtype = np.dtype(config["dtype"])
        stored = np.dtype(config.get("astype") or dtype)
        if any(kind.kind not in "iuf" or kind.str[1:] == "f2" for kind in (dtype, stored)):
            return None
        names = ((order or kind.str[0]) + kind.str[1:] for kind in (dtype, stored))
        return [("delta", [], " ".join(names))]

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a numcodecs configuration, in which ``dtype`` may be missing.

        Raise ``MetadataError`` if the configuration is invalid.
        """
        made = cls(as_text(config, where))
        member = DTYPE_MEMBERS.get(config["id"])
        if member is None or config.get(member) is not None:
            check(made, where)
        return made

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with a missing data type filled in.

        Raise ``MetadataError`` if the codec cannot encode, or does not name, the array's data type.
        """
        config, dtype = self.settings, spec.dtype.numpy
        name = config["id"]
        if name == "packbits" and dtype.kind != "b":
            msg = f"packs booleans, not {spec.dtype.name!r}"
            raise MetadataError(msg)
        member = DTYPE_MEMBERS.get(name)
        if member is None:
            if name == "bitround" and dtype.kind != "f":
                msg = f"rounds floating-point numbers, not {spec.dtype.name!r}"
                raise MetadataError(msg)
            return self
        if spec.dtype.itemsize is None:
            msg = f"works on elements of fixed size, not on {spec.dtype.name!r}"
            raise MetadataError(msg)
        if config.get(member) is None:
            made = replace(self, text=json.dumps({**config, member: dtype.str}))
            check(made, "")
            return made
        named = np.dtype(config[member])
        both = named.kind + dtype.kind
        counts = set(both) <= set(_COUNTS)
        # numcodecs reads the bytes of a chunk as items of another size, if they are a multiple.
        fits = named.itemsize == dtype.itemsize or (
            name == "delta" and counts and not prod(spec.shape) * dtype.itemsize % named.itemsize
        )
        if not fits or not (named.kind == dtype.kind or counts):
            msg = f"has the {member} {named.str!r}, but the array has {dtype.str!r}"
            raise MetadataError(msg)
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec of the encoded array, with the encoded fill value."""
        from fastzarr.dtypes import from_numpy

        config = self.settings
        if config["id"] == "packbits":
            size = -(-prod(spec.shape) // BITS) + 1
            return ChunkSpec((size,), from_numpy("uint8"), np.uint8(0))
        dtype = self._stored(spec).newbyteorder("=")
        if self._regroups(spec):
            one_item = np.dtype(config["dtype"]).itemsize
            size = prod(spec.shape) * spec.dtype.numpy.itemsize // one_item
            return ChunkSpec((size,), from_numpy(dtype), np.zeros((), dtype)[()])
        one = np.zeros(1, dtype=spec.dtype.numpy)
        if spec.fill is not None:
            one[0] = spec.fill
        with np.errstate(all="ignore"):
            fill = self._encoded(one, spec).astype(dtype)[0]
        return ChunkSpec(spec.shape, from_numpy(dtype), fill)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the encoded array of one chunk."""
        if not array.size:
            array = np.zeros(0, self._stored(spec))
        else:
            array = self._encoded(np.ascontiguousarray(array), spec)
        kept = self.id != "packbits" and not self._regroups(spec)
        shape = spec.shape if kept else array.shape
        return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape)

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded array of one chunk."""
        name, target = self.id, spec.dtype.numpy
        if name == "bitround" or not prod(spec.shape):
            return array.reshape(spec.shape).astype(target, copy=False)
        given = np.ascontiguousarray(array).astype(self._stored(spec), copy=False)
        decoded = np.asarray(run(name, self.shared.decode, given))
        if name in DTYPE_MEMBERS:
            decoded = decoded.view(_ordered(target, decoded.dtype))
        if decoded.size != prod(spec.shape):
            msg = f"{name}: expected {prod(spec.shape)} elements, but the data has {decoded.size}"
            raise CodecError(msg)
        return decoded.reshape(spec.shape).astype(target, copy=False)

    def _encoded(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        config = self.settings
        member = DTYPE_MEMBERS.get(config["id"])
        named = np.dtype(config[member]) if member else spec.dtype.numpy
        # As in numcodecs, another data type is another view of the same bytes.
        array = array.astype(_ordered(spec.dtype.numpy, named), copy=False).reshape(-1)
        encoded = run(config["id"], self.shared.encode, array.view(named))
        return np.asarray(encoded).view(self._stored(spec))

    def _regroups(self, spec: ChunkSpec) -> bool:
        """Whether the items that a delta codec works on are not as large as the elements."""
        named = self.settings.get("dtype") if self.id == "delta" else None
        return named is not None and np.dtype(named).itemsize != spec.dtype.numpy.itemsize

    def _stored(self, spec: ChunkSpec) -> np.dtype[Any]:
        config = self.settings
        if config["id"] == "packbits":
            return np.dtype(np.uint8)
        return encoded_dtype(config) or spec.dtype.numpy


def _ordered(dtype: np.dtype[Any], like: np.dtype[Any]) -> np.dtype[Any]:
    """Return a data type in the byte order of another."""
    return dtype.newbyteorder("=" if like.isnative else like.byteorder)
