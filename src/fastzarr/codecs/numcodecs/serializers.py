"""The array-to-bytes codecs of numcodecs: ``pcodec`` and ``zfpy``.

Rules of this file:

* They are given the array itself, as in zarr-python: they compress numbers, not bytes.
* The size that the data states is checked before it is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.codecs import zfp
from fastzarr.codecs.base import ArrayBytesCodec, check_size
from fastzarr.codecs.numcodecs.settings import NumcodecsBase, as_bytes, as_text, check, run
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec

# The data types that the packages compress, by the id of the codec.
_KINDS = {
    "pcodec": ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8"),
    "zfpy": ("f4", "f8", "i4", "i8"),
}
_MOST_AXES = 4
# The modes of zfpy by number.
_MODES = {2: "rate", 3: "precision", 4: "tolerance"}
_REVERSIBLE = 5
_HEADER = 24
_SHORT = 12
_MOST_BITS = 1 << 15


@dataclass(frozen=True, repr=False)
class NumcodecsSerializer(NumcodecsBase, ArrayBytesCodec):  # type: ignore[override]  # its name depends
    """An array-to-bytes codec of numcodecs; ``text`` is its configuration in JSON."""

    cacheable: ClassVar[bool] = True

    text: str

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a numcodecs configuration; raise ``MetadataError`` if invalid."""
        made = cls(as_text(config, where))
        check(made, where)
        return made

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if the codec cannot encode such arrays."""
        kinds = _KINDS[self.id]
        if spec.dtype.numpy.str[1:] not in kinds:
            msg = f"encodes {', '.join(kinds)}, not {spec.dtype.name!r}"
            raise MetadataError(msg)
        if self.id == "zfpy" and not 1 <= len(spec.shape) <= _MOST_AXES:
            msg = f"encodes arrays of 1 to {_MOST_AXES} dimensions, not of {len(spec.shape)}"
            raise MetadataError(msg)
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the encoded bytes of one chunk."""
        given = np.ascontiguousarray(array, dtype=spec.dtype.numpy.newbyteorder("="))
        return self.encode_array(given.reshape(spec.shape))

    def encode_array(self, array: np.ndarray[Any, Any]) -> Buffer:
        """Return the encoded bytes of an array of numbers."""
        if self.id == "pcodec":
            return as_bytes(run(self.id, partial(_pcodec, self.shared), array))
        mode = self.shared.mode
        if mode == _REVERSIBLE:
            # numcodecs reads this mode, and cannot write it.
            return as_bytes(run(self.id, zfp.zfpy().compress_numpy, array))
        if mode not in _MODES:
            known = ", ".join(f"{number} ({word})" for number, word in _MODES.items())
            msg = f"zfpy: the mode {mode} cannot be written; use {known} or {_REVERSIBLE}"
            raise CodecError(msg)
        kept = ("tolerance", "rate", "precision")
        if any(getattr(self.shared, name) >= 0 for name in kept):
            zfp.check_finite(self.id, array)
        return as_bytes(run(self.id, self.shared.encode, array))

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return one decoded chunk; raise ``CodecError`` if the data has another size."""
        dtype = spec.dtype.numpy
        found = self.decode_as(data, dtype.newbyteorder("="), prod(spec.shape))
        return found.reshape(spec.shape).astype(dtype, copy=False)

    def decode_as(self, data: Buffer, dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
        """Return ``count`` decoded elements of a data type in native byte order."""
        view = as_view(data)
        out_size = count * dtype.itemsize
        if self.id == "pcodec":
            out = np.empty(count, dtype)
            run(self.id, partial(_into, out), view)
            return out
        header = run(self.id, _zfp_header, view)
        shape = tuple(header[name] for name in ("nx", "ny", "nz", "nw") if header[name])
        stored = np.dtype(header["type"])
        check_size(self.id, prod(shape) * stored.itemsize, out_size, "the header states")
        # Nothing else in the header is trusted: damaged limits may let zfp read more.
        limits = (header["config"]["expert"]["minbits"], _MOST_BITS, _MOST_BITS, 0)
        least, most = zfp.bounds(shape, stored, limits)
        bounds = least + _SHORT, most
        found = zfp.decompress(self.id, zfp.zfpy().decompress_numpy, view, bounds)
        if found.dtype != dtype:
            msg = f"{self.id}: expected elements of {dtype.name}, but the data has {found.dtype}"
            raise CodecError(msg)
        return found.reshape(-1)


def _into(out: np.ndarray[Any, Any], view: memoryview) -> None:
    from pcodec import standalone

    progress = standalone.simple_decompress_into(bytes(view), out)
    if progress.n_processed != out.size or not progress.finished:
        found = f"{progress.n_processed}" if progress.finished else "more"
        msg = f"pcodec: expected {out.size} elements, but the data holds {found}"
        raise CodecError(msg)


def _pcodec(codec: Any, array: np.ndarray[Any, Any]) -> Any:
    from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, standalone

    if codec.delta_spec != "none" or hasattr(DeltaSpec, "none"):
        return codec.encode(array)
    # pcodec 1.0 has given it another name, which numcodecs 0.16.6 does not know.
    made = ChunkConfig(
        compression_level=codec.level,
        delta_spec=DeltaSpec.no_op(),
        mode_spec=ModeSpec.classic() if codec.mode_spec == "classic" else ModeSpec.auto(),
        paging_spec=PagingSpec.equal_pages_up_to(codec.equal_pages_up_to),
    )
    return standalone.simple_compress(array.reshape(-1), made)


def _zfp_header(view: memoryview) -> Any:
    # It would be read beyond the end of shorter data.
    return zfp.zfpy().header(bytes(view).ljust(_HEADER, b"\0"))
