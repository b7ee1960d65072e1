"""The codecs of numcodecs for format 3, under zarr-python's names.

Rules of this file:

* A class is made of a row of the table: its kind, and the members that the data type decides.
* ``codec_config`` keeps what was passed, and its ``id``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr._lazy import cached
from fastzarr.codecs.numcodecs import from_name
from fastzarr.compat.codecs._dress import (
    ArrayArrayDress,
    ArrayBytesDress,
    BytesBytesDress,
    Dress,
    dress,
)
from fastzarr.compat.core.common import parse_named_configuration
from fastzarr.compat.core.config import NUMCODECS, numcodec_id
from fastzarr.compat.core.dtype import parse_dtype
from fastzarr.compat.registry import get_numcodec

if TYPE_CHECKING:
    from fastzarr.codecs.base import ChunkSpec
    from fastzarr.compat.core.array_spec import ArraySpec

CODEC_PREFIX = "numcodecs."

# The member that the data type decides if it is not passed.
_DERIVED = {
    "fixedscaleoffset": "dtype",
    "quantize": "dtype",
    "astype": "decode_dtype",
    "shuffle": "elementsize",
}
# The member with the data type that is stored.
_STORED = {"astype": "encode_dtype", "delta": "astype", "fixedscaleoffset": "astype"}
_ARRAYS = frozenset({"astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize"})
_SERIALIZERS = frozenset({"pcodec", "zfpy"})
_CHECKSUMS = frozenset({"adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"})


@dataclass(frozen=True, init=False)
class _NumcodecsCodec(Dress):
    """What the codecs of numcodecs have in common."""

    codec_name: ClassVar[str] = ""
    codec_config: dict[str, Any]

    def __init_subclass__(cls, *, codec_name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if codec_name is not None:
            cls.codec_name = cls.name = CODEC_PREFIX + codec_name

    def __init__(self, **codec_config: Any) -> None:
        """Initialise with the configuration of numcodecs."""
        known = self.codec_name.removeprefix(CODEC_PREFIX)
        if codec_config.setdefault("id", known) != known:
            msg = f"Codec id does not match {known}. Got: {codec_config['id']}."
            raise ValueError(msg)
        given = {"id": known} | codec_config
        object.__setattr__(self, "codec_config", given)

    @cached
    def inner(self) -> Any:
        """The codec of fastzarr."""
        return from_name(self.codec_name, self.settings(), "")

    @cached
    def _codec(self) -> Any:
        return get_numcodec(self.codec_config)

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        return {name: value for name, value in self.codec_config.items() if name != "id"}

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in a document of format 3."""
        return {"name": self.codec_name, "configuration": self.settings()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the codec of a document of format 3."""
        name, found = parse_named_configuration(data, require_configuration=False)
        if not name.startswith(CODEC_PREFIX):
            msg = f"Expected name to start with '{CODEC_PREFIX}'. Got {name} instead."
            raise ValueError(msg)
        return cls(**{"id": name.removeprefix(CODEC_PREFIX), **(found or {})})

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the codec with the member that the data type decides."""
        member = _DERIVED.get(self.codec_config["id"])
        if member is None or self.codec_config.get(member) is not None:
            return self
        dtype: Any = array_spec.dtype
        native = dtype.to_native_dtype()
        value = native.itemsize if member == "elementsize" else str(native)
        return type(self)(**{**self.codec_config, member: value})

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError if the codec is for booleans and the elements are none."""
        del shape, chunk_grid
        if self.codec_config["id"] == "packbits" and dtype.to_native_dtype().kind != "b":
            msg = f"Packbits filter requires bool dtype. Got {dtype}."
            raise ValueError(msg)

    def __repr__(self) -> str:
        """Return the name of the class and the configuration."""
        cls = type(self).__name__
        return f"{cls}(codec_name={self.codec_name!r}, codec_config={self.settings()!r})"


class _NumcodecsBytesBytesCodec(_NumcodecsCodec, BytesBytesDress):
    """A codec of numcodecs that encodes bytes."""


class _NumcodecsArrayArrayCodec(_NumcodecsCodec, ArrayArrayDress):
    """A codec of numcodecs that encodes an array as another one."""

    def resolve_metadata(self, chunk_spec: ArraySpec) -> ArraySpec:
        """Return the description of an encoded chunk.

        Whether the codec fits the elements is checked when it encodes, and for new arrays.
        """
        known = self.codec_config["id"]
        if known == "packbits":
            return super().resolve_metadata(chunk_spec)
        stored = self.codec_config.get(_STORED.get(known, ""))
        if stored is None:
            return chunk_spec
        return replace(chunk_spec, dtype=parse_dtype(np.dtype(stored), zarr_format=3))

    def _described(self, encoded: ChunkSpec, chunk_spec: ArraySpec) -> ArraySpec:
        dtype = parse_dtype(encoded.dtype.to_v3(), zarr_format=3)
        return replace(chunk_spec, shape=encoded.shape, dtype=dtype, fill_value=encoded.fill)


class _NumcodecsArrayBytesCodec(_NumcodecsCodec, ArrayBytesDress):
    """A codec of numcodecs that encodes an array as bytes."""


class _NumcodecsChecksumCodec(_NumcodecsBytesBytesCodec):
    """A checksum of numcodecs."""

    is_fixed_size = True


def _made(name: str) -> type[Any]:
    known = numcodec_id(name)
    base: type[Any] = _NumcodecsBytesBytesCodec
    if known in _ARRAYS:
        base = _NumcodecsArrayArrayCodec
    elif known in _SERIALIZERS:
        base = _NumcodecsArrayBytesCodec
    elif known in _CHECKSUMS:
        base = _NumcodecsChecksumCodec
    module = __name__.rpartition(".")[0]
    doc = f"See [numcodecs.{known}.{name}][] for the members of the configuration."
    members = {"__module__": module, "__doc__": doc}
    make: Any = type(base)
    made: type[Any] = make(name, (base,), members, codec_name=known)
    return dress(made)


CLASSES = {name: _made(name) for name in NUMCODECS}
"""The classes by name."""
