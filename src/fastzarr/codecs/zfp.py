"""The ``zfp`` codec: compression of numbers, lossy except in its reversible mode.

Rules of this file:

* The data has no header: the mode and the shape are those of the document.
* zfp reads beyond the end of data that is too short. It therefore gets the data followed by as many
  bytes as it can read. If two different continuations decode to different values, the data was too
  short. With a fixed rate, its size is known, and checked instead.
* Nothing is stored that would come back as something else than the mode allows: NaN and the
  infinities only in the reversible mode, and unsigned integers only up to the largest signed one.
* Integers of 8 and 16 bits are promoted to 32 bits as by zfp's own functions, so that they keep
  their precision in the lossy modes.

Specification: zarr-extensions, ``codecs/zfp``. Compression is that of the package ``zfpy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil, floor, frexp, isfinite, ldexp, prod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import as_int, choice, show
from fastzarr.codecs.base import ArrayBytesCodec
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec

MOST_AXES = 4
_SIDE = 4
_WORD = 8
_HEADER_BITS = 148
_MODES = {
    "reversible": (),
    "expert": ("minbits", "maxbits", "maxprec", "minexp"),
    "fixed_accuracy": ("tolerance",),
    "fixed_rate": ("rate",),
    "fixed_precision": ("precision",),
}
"""The members that each mode requires."""
_MEMBERS = tuple(name for names in _MODES.values() for name in names)
# The limits that mean none; a smaller exponent than the least makes the compression reversible.
_MAX_BITS, _MAX_PRECISION, _LEAST_EXPONENT = 16658, 64, -1074
# The data types of zfp: its number, the bits of an exponent, and the NumPy dtype.
_TYPES = {"i4": (1, 0), "i8": (2, 0), "f4": (3, 8), "f8": (4, 11)}
_PROMOTED = {
    **dict.fromkeys(("i1", "u1", "i2", "u2", "u4"), "i4"),
    **dict.fromkeys(("u8", "M8", "m8"), "i8"),
    **dict.fromkeys(("f2", "bfloat16"), "f4"),
}


class _Limits(NamedTuple):
    """The parameters of zfp's expert mode, of which the other modes are special cases."""

    minbits: int
    maxbits: int
    maxprec: int
    minexp: int


@dataclass(frozen=True, kw_only=True)
class ZfpCodec(ArrayBytesCodec):
    """Compresses numbers in blocks of 4 along each of 1 to 4 axes.

    ``mode`` is ``"reversible"``, ``"fixed_accuracy"`` with ``tolerance``, the largest error;
    ``"fixed_rate"`` with ``rate``, the bits of a value; ``"fixed_precision"`` with ``precision``,
    the bits of a value that are kept; or ``"expert"`` with ``minbits``, ``maxbits``, ``maxprec``
    and ``minexp``, which zfp's documentation explains.

    >>> ZfpCodec(mode="fixed_accuracy", tolerance=0.05).to_dict()
    {'name': 'zfp', 'configuration': {'mode': 'fixed_accuracy', 'tolerance': 0.05}}
    """

    name: ClassVar[str] = "zfp"
    cacheable: ClassVar[bool] = True

    mode: str
    tolerance: float | None = None
    rate: float | None = None
    precision: int | None = None
    minbits: int | None = None
    maxbits: int | None = None
    maxprec: int | None = None
    minexp: int | None = None

    def __post_init__(self) -> None:
        """Validate the mode and its members."""
        object.__setattr__(self, "mode", choice(self.mode, tuple(_MODES), "mode"))
        for name in _MEMBERS:
            value: Any = getattr(self, name)
            if value is None and name in _MODES[self.mode]:
                msg = f"the member {name!r} is missing, which the mode {self.mode!r} requires"
                raise MetadataError(msg)
            if value is None:
                continue
            if name not in _MODES[self.mode]:
                msg = f"is not a member of the mode {self.mode!r}"
                raise MetadataError(msg, name)
            object.__setattr__(self, name, _checked(name, value))
        if self.mode == "expert" and (self.minbits or 0) > (self.maxbits or 0):
            msg = f"must be at most maxbits, {self.maxbits}, got {self.minbits}"
            raise MetadataError(msg, "minbits")

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"mode": self.mode} | {name: getattr(self, name) for name in _MODES[self.mode]}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if zfp cannot encode such chunks."""
        if _stored(spec) is None:
            known = ", ".join((*_TYPES, *_PROMOTED))
            msg = f"encodes {known}, not {spec.dtype.name!r}"
            raise MetadataError(msg)
        if len(spec.shape) > MOST_AXES:
            msg = (
                f"encodes arrays of at most {MOST_AXES} axes, not of {len(spec.shape)}; put a "
                "reshape before it"
            )
            raise MetadataError(msg)
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Return the size with a fixed rate; None in the other modes, where it varies."""
        limits = self._limits(spec)
        if limits.minbits != limits.maxbits:
            return None
        return _words(_blocks(spec.shape or (1,)) * limits.maxbits)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:
        """Return the compressed chunk; raise ``CodecError`` if it would come back as another."""
        given = self._promoted(array, spec).reshape(spec.shape or (1,))
        return zfpy().compress_numpy(  # type: ignore[no-any-return]
            np.ascontiguousarray(given), write_header=False, **self._words(spec)
        )

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decompressed chunk; raise ``CodecError`` if the data is too short or long."""
        shape, dtype = spec.shape or (1,), np.dtype(_stored(spec) or "f4")
        view, limits = as_view(data), self._limits(spec)
        size = self.encoded_size(spec)
        if size is not None and view.nbytes != size:
            msg = f"zfp: expected {size} bytes of data, found {view.nbytes}"
            raise CodecError(msg)
        zfpy()
        if self.mode == "expert":
            # zfpy takes all four limits from a header only.
            decoded = partial(_with_header, _header(limits, shape, dtype))
        else:
            from zfpy import _decompress

            number = _TYPES[dtype.str[1:]][0]
            decoded = partial(_decompress, ztype=number, shape=shape, **self._words(spec))
        found = decompress(
            "zfp", decoded, view, bounds(shape, dtype, limits), exact=size is not None
        )
        return self._demoted(found.reshape(spec.shape), spec)

    def _limits(self, spec: ChunkSpec) -> _Limits:
        """Return the limits of a block for chunks of this shape and data type."""
        stored = _stored(spec) or "f4"
        minbits, maxbits, maxprec, minexp = 1, _MAX_BITS, _MAX_PRECISION, _LEAST_EXPONENT
        if self.mode == "expert":
            return _Limits(
                self.minbits or 0, self.maxbits or 0, self.maxprec or 0, self.minexp or 0
            )
        if self.mode == "reversible":
            minexp -= 1
        elif self.rate is not None:
            values = _SIDE ** max(1, len(spec.shape))
            least = 1 + _TYPES[stored][1] if stored[0] == "f" else 0
            minbits = maxbits = max(least, floor(values * self.rate + 0.5))
        elif self.precision is not None:
            maxprec = self.precision
        elif self.tolerance:
            minexp = frexp(self.tolerance)[1] - 1
        return _Limits(minbits, maxbits, maxprec, minexp)

    def _words(self, spec: ChunkSpec) -> dict[str, Any]:
        """Return the keywords of zfpy; raise ``CodecError`` if it has none for these limits."""
        if self.mode != "expert":
            return {name: getattr(self, name) for name in _MODES[self.mode]}
        minbits, maxbits, maxprec, minexp = self._limits(spec)
        dtype = np.dtype(_stored(spec) or "f4")
        values = _SIDE ** max(1, len(spec.shape))
        free = minbits <= 1 and maxbits >= _block_bits(values, dtype, _MAX_PRECISION)
        precise = maxprec >= 8 * dtype.itemsize
        if free and precise and minexp < _LEAST_EXPONENT:
            return {}
        if free and precise:
            return {"tolerance": ldexp(1.0, minexp) if minexp > _LEAST_EXPONENT else 0.0}
        if free and minexp == _LEAST_EXPONENT:
            return {"precision": maxprec}
        if minbits == maxbits and precise and minexp == _LEAST_EXPONENT:
            return {"rate": maxbits / values}
        msg = (
            "zfp: the package zfpy reads the mode 'expert' with any limits, and writes it with "
            f"only one of them; pass one of the other modes, not {self.config()}"
        )
        raise CodecError(msg)

    def _promoted(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the elements in a data type of zfp."""
        dtype, stored = spec.dtype.numpy, np.dtype(_stored(spec) or "f4")
        kind, bits = dtype.kind, 8 * dtype.itemsize
        array = np.asarray(array, dtype=dtype.newbyteorder("="))
        if stored.kind == "f":
            if self.mode != "reversible":
                check_finite("zfp", array)
            return array.astype(stored, copy=False)
        if kind in "Mm":
            return array.view(stored)
        promoted: np.ndarray[Any, Any] = array.astype(stored, copy=False)
        if bits < 8 * stored.itemsize:
            offset = 1 << (bits - 1) if kind == "u" else 0
            promoted = (promoted - stored.type(offset)) << stored.type(31 - bits)
        elif kind == "u" and array.size and array.max() > np.iinfo(stored).max:
            msg = f"zfp: {array.max()} is too large; of {spec.dtype.name}, it stores 0 to "
            msg += f"{np.iinfo(stored).max}"
            raise CodecError(msg)
        return promoted

    def _demoted(self, found: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return elements of a data type of zfp in that of the array."""
        dtype = spec.dtype.numpy
        kind, bits = dtype.kind, 8 * dtype.itemsize
        if found.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return found.astype(dtype, copy=False)
        if kind in "Mm":
            return found.view(dtype.newbyteorder("=")).astype(dtype, copy=False)
        if bits < 8 * found.dtype.itemsize:
            offset = 1 << (bits - 1) if kind == "u" else 0
            found = (found >> found.dtype.type(31 - bits)) + found.dtype.type(offset)
            most_of = np.iinfo(dtype)
            return found.clip(most_of.min, most_of.max).astype(dtype)
        return (found.clip(0) if kind == "u" else found).astype(dtype, copy=False)


def zfpy() -> Any:
    """Return the package zfpy; raise ``CodecError`` naming the extra if it is not installed."""
    try:
        import zfpy as found
    except ImportError as error:
        msg = "zfp needs the package zfpy: pip install 'fastzarr[zfp]'"
        raise CodecError(msg) from error
    return found


def check_finite(name: str, array: np.ndarray[Any, Any]) -> None:
    """Raise ``CodecError`` for a value that the lossy modes would turn into another one."""
    if not np.isfinite(array).all():
        msg = f"{name}: NaN and infinities cannot be stored with a loss; use the reversible mode"
        raise CodecError(msg)


def bounds(shape: tuple[int, ...], dtype: np.dtype[Any], limits: Iterable[int]) -> tuple[int, int]:
    """Return the least and the most bytes that zfp reads to decode an array.

    ``limits`` begins with the least and the most bits of a block. The most includes a header.
    """
    minbits, maxbits, maxprec, _ = limits
    bits = max(minbits, min(maxbits, _block_bits(_SIDE ** len(shape), dtype, maxprec)))
    blocks = _blocks(shape)
    return blocks * minbits // 8, _words(_HEADER_BITS + blocks * bits) + _WORD


def decompress(
    name: str,
    decoded: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    view: memoryview,
    bounds: tuple[int, int],
    *,
    exact: bool = False,
) -> np.ndarray[Any, Any]:
    """Return what ``decoded`` makes of the data, which may read as many bytes as the upper bound.

    Raise ``CodecError`` if the size of the data is outside the bounds, or, unless that is known to
    be ``exact``, if what follows the data is used, too.
    """
    least, size = bounds
    if not least <= view.nbytes <= size:
        msg = f"{name}: expected {least} to {size} bytes of data, found {view.nbytes}"
        raise CodecError(msg)
    given = np.zeros(size, np.uint8)
    given[: view.nbytes] = view
    found: np.ndarray[Any, Any] = _run(name, decoded, given)
    if not exact:
        given[view.nbytes :] = 0xFF
        other = _run(name, decoded, given)
        if found.tobytes() != other.tobytes():
            msg = f"{name}: the data ends early, after {view.nbytes} bytes"
            raise CodecError(msg)
    return found


def _run(name: str, decoded: Callable[[Any], Any], given: np.ndarray[Any, Any]) -> Any:
    try:
        return decoded(given)
    except (RuntimeError, ValueError) as error:
        msg = f"{name}: the data cannot be decoded: {error}"
        raise CodecError(msg) from error


def _stored(spec: ChunkSpec) -> str | None:
    """Return the data type of zfp for the elements of a chunk, or None if there is none."""
    if spec.dtype.name == "bfloat16":
        return _PROMOTED["bfloat16"]
    if spec.dtype.itemsize is None or spec.dtype.numpy.isbuiltin == 2:
        return None
    code = spec.dtype.numpy.kind + str(spec.dtype.numpy.itemsize)
    return code if code in _TYPES else _PROMOTED.get(code)


def _blocks(shape: tuple[int, ...]) -> int:
    return prod(ceil(size / _SIDE) for size in shape)


def _words(bits: int) -> int:
    """Return the bytes of whole words with so many bits."""
    return -(-bits // (8 * _WORD)) * _WORD


def _block_bits(values: int, dtype: np.dtype[Any], maxprec: int) -> int:
    """Return the most bits of a block: its exponent, a test of each value, and all bit planes."""
    return 32 + values * (1 + min(maxprec, 8 * dtype.itemsize))


def _header(limits: _Limits, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the header of zfp with all four limits; its last four bits belong to the data."""
    width = 48 // len(shape)
    if any((size - 1) >> width for size in shape):
        msg = f"zfp: chunks of the mode 'expert' have at most {1 << width} elements along an axis"
        raise CodecError(msg)
    meta = 0
    for size in shape:
        meta = meta << width | (size - 1)
    meta = (meta << 2 | (len(shape) - 1)) << 2 | (_TYPES[dtype.str[1:]][0] - 1)
    minbits = max(1, min(limits.minbits, 1 << 15)) - 1
    maxbits = max(1, min(limits.maxbits, 1 << 15)) - 1
    mode = max(0, min(limits.minexp + 16495, 0x7FFF))
    mode = ((mode << 7 | (limits.maxprec - 1)) << 15 | maxbits) << 15 | minbits
    mode = mode << 12 | 0xFFF
    magic = int.from_bytes(b"zfp\x05", "little")
    return (magic | meta << 32 | mode << 84).to_bytes(-(-_HEADER_BITS // 8), "little")


def _with_header(header: bytes, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array decoded from data behind a header, which ends inside a byte."""
    # Both are sequences of bits, the lowest of a byte first.
    start, shift = divmod(_HEADER_BITS, 8)
    wide = np.zeros(start + data.size + _WORD, np.uint8)
    wide[: len(header)] = np.frombuffer(header, np.uint8)
    wide[start : start + data.size] |= data << np.uint8(shift)
    wide[start + 1 : start + 1 + data.size] |= data >> np.uint8(8 - shift)
    found: np.ndarray[Any, Any] = np.asarray(zfpy().decompress_numpy(wide))
    return found


def _checked(name: str, value: Any) -> Any:
    if name in ("tolerance", "rate"):
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        least = 0 if name == "tolerance" else 1 / 256
        if not number or not isfinite(value) or value < least:
            msg = f"must be a number of at least {least}, got {show(value)}"
            raise MetadataError(msg, name)
        return value if isinstance(value, (int, float)) else value.item()
    if name == "minexp":
        return as_int(value, name, -(1 << 14), 1 << 14)
    if name in ("precision", "maxprec"):
        return as_int(value, name, 1, 2 * _MAX_PRECISION if name == "precision" else _MAX_PRECISION)
    return as_int(value, name, 1 if name == "maxbits" else 0, 1 << 15)
