"""The ``bitround`` codec: numbers of fewer significant bits, which compress better.

Rules of this file:

* Only encoding changes elements. What is decoded are the rounded elements.
* Of a float, ``keepbits`` bits of the mantissa are kept, and ties are rounded to even, as numcodecs
  does. A NaN keeps all bits, because it might become another value.
* Of an integer, ``keepbits`` bits from the highest one that is set are kept, as zarrs does: a
  negative number is rounded like the unsigned one of the same bits.

Specification: zarr-extensions, ``codecs/bitround``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.checked import as_int, show
from fastzarr.codecs.base import FAST, ArrayArrayCodec
from fastzarr.codecs.numbers import Numbers, numbers_of
from fastzarr.errors import MetadataError

if TYPE_CHECKING:
    from fastzarr.codecs.base import ChunkSpec, Native


@dataclass(frozen=True, kw_only=True)
class BitroundCodec(ArrayArrayCodec):
    """Rounds numbers to ``keepbits`` significant bits.

    These are bits of the mantissa of a float, and bits from the highest one that is set in an
    integer.

    >>> import numpy as np
    >>> import fastzarr
    >>> z = fastzarr.create_array(
    ...     {}, shape=3, dtype="f4", filters=[BitroundCodec(keepbits=2)], zarr_format=3
    ... )
    >>> z[:] = [1.0, 1.1, 1.2]
    >>> z[:].tolist()
    [1.0, 1.0, 1.25]
    """

    name: ClassVar[str] = "bitround"
    cacheable: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    keepbits: int

    def __post_init__(self) -> None:
        """Validate the number of bits."""
        object.__setattr__(self, "keepbits", as_int(self.keepbits, "keepbits", 1))

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if the numbers have fewer bits, or are none."""
        self._numbers(spec)
        return self

    def native_typed(self, spec: ChunkSpec) -> list[Native]:
        """Return the codec of elements; none if all bits are kept."""
        return native(self._numbers(spec), self.keepbits)

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec with the fill value rounded."""
        fill = np.asarray(spec.fill, spec.dtype.numpy)
        return replace(spec, fill=self.encode(fill, spec)[()])

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the array with its numbers rounded."""
        return rounded(array, self._numbers(spec), self.keepbits)

    def decode(
        self,
        array: np.ndarray[Any, Any],
        spec: ChunkSpec,  # noqa: ARG002  (nothing is done)
    ) -> np.ndarray[Any, Any]:
        """Return the array."""
        return array

    def _numbers(self, spec: ChunkSpec) -> Numbers:
        found = numbers_of(spec.dtype)
        most = None
        if found is not None and found.kind == "f":
            most = found.mantissa
        elif found is not None and found.kind in "iu" and found.bits == 8 * found.size:
            most = found.bits
        if found is None or most is None:
            msg = f"rounds integers and floats of 16 to 64 bits, not {show(spec.dtype.name)}"
            raise MetadataError(msg)
        if found.kind == "f" and self.keepbits > most:
            msg = f"must be at most {most} for {spec.dtype.name!r}, got {self.keepbits}"
            raise MetadataError(msg, "keepbits")
        return found


def native(numbers: Numbers, keepbits: int) -> list[Native]:
    """Return the extension's codec of elements that rounds numbers."""
    mantissa = numbers.mantissa or 0
    if keepbits >= (mantissa or numbers.bits):
        return []
    return [("bitround", [numbers.size, keepbits, mantissa], "")]


def rounded(array: np.ndarray[Any, Any], numbers: Numbers, keepbits: int) -> np.ndarray[Any, Any]:
    """Return an array with its numbers rounded: the twin of the extension's codec."""
    mantissa, word = numbers.mantissa, numbers.word
    if keepbits >= (mantissa or numbers.bits) or not array.size:
        return array
    native_order = array.dtype.newbyteorder("=")
    bits = np.array(array, native_order, order="C", copy=True).reshape(-1).view(word)
    found: np.ndarray[Any, Any]
    if mantissa is not None:
        cleared = word.type(mantissa - keepbits)
        most = word.type(np.iinfo(word).max >> 1)
        infinity = word.type(int(most) >> mantissa << mantissa)
        half = word.type((1 << (mantissa - keepbits - 1)) - 1)
        found = (bits + (half + ((bits >> cleared) & word.type(1)))) >> cleared << cleared
        found = np.where((bits & most) > infinity, bits, found)
    else:
        found = _rounded_integers(bits, keepbits)
    made: np.ndarray[Any, Any] = found.view(native_order).reshape(array.shape)
    return made.astype(array.dtype, copy=False)


def _rounded_integers(bits: np.ndarray[Any, Any], keepbits: int) -> np.ndarray[Any, Any]:
    word, one = bits.dtype.type, bits.dtype.type(1)
    used, rest = np.zeros(bits.shape, word), bits.copy()
    for shift in (32, 16, 8, 4, 2, 1):
        if shift < 8 * bits.dtype.itemsize:
            large = rest >= one << word(shift)
            used += np.where(large, word(shift), word(0))
            rest = np.where(large, rest >> word(shift), rest)
    used += rest > 0
    kept = word(keepbits)
    cleared = np.where(used > kept, used - np.minimum(used, kept), word(0))
    half = np.where(cleared > 0, (one << (np.maximum(cleared, one) - one)) - one, word(0))
    total = bits + (half + ((bits >> cleared) & one))
    # Nothing is rounded up beyond the largest.
    total = np.where(total < bits, word(np.iinfo(bits.dtype).max), total)
    return np.where(cleared > 0, total >> cleared << cleared, bits)
