"""The numbers that elements consist of, as codecs of elements see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.checked import show
from fastzarr.errors import MetadataError

if TYPE_CHECKING:
    from fastzarr.dtypes.base import DataType

_MANTISSAS = {"float16": 10, "float32": 23, "float64": 52, "bfloat16": 7}


@dataclass(frozen=True)
class Numbers:
    """The numbers that an element of a data type consists of.

    ``count`` is how many an element has, ``size`` the bytes of one in memory, and ``bits`` how many
    bits of it are significant; the others are zero in memory. ``kind`` is "b" for a truth value,
    "i" for a signed integer, "u" for an unsigned one, and "f" for a float.
    """

    count: int
    size: int
    bits: int
    kind: str
    name: str

    @property
    def mantissa(self) -> int | None:
        """The number of bits of the mantissa of a float, or None if it is not known."""
        return _MANTISSAS.get(self.name)

    @property
    def word(self) -> np.dtype[Any]:
        """The dtype of an unsigned integer of the same size."""
        return np.dtype(f"=u{self.size}")

    @property
    def code(self) -> str | None:
        """The type's code in NumPy, in native byte order, or None if the extension lacks it."""
        known = self.kind in "iuf" and self.bits == 8 * self.size and self.name not in _LOW
        return f"={self.kind}{self.size}" if known else None


_LOW = ("float16", "bfloat16")


def numbers_of(dtype: DataType) -> Numbers | None:
    """Return the numbers of a data type, or None if its elements are none.

    >>> from fastzarr.dtypes import from_numpy
    >>> numbers_of(from_numpy("complex64"))
    Numbers(count=2, size=4, bits=32, kind='f', name='float32')
    """
    numpy, name, size = dtype.numpy, dtype.name, dtype.itemsize
    if not size:
        return None
    if numpy.kind in "biufmM":
        kind = "i" if numpy.kind in "mM" else numpy.kind
        return Numbers(1, size, 1 if kind == "b" else 8 * size, kind, name)
    if numpy.kind == "c":
        return Numbers(2, size // 2, 4 * size, "f", f"float{4 * size}")
    part, count = name.removeprefix("complex_"), 2 if name.startswith("complex_") else 1
    size //= count
    for prefix, kind in (("int", "i"), ("uint", "u"), ("float", "f"), ("bfloat", "f")):
        if part.startswith(prefix):
            bits = 8 * size if dtype.mask is None else dtype.mask.bit_length()
            return Numbers(count, size, bits, kind, part)
    return None


def real_numbers(dtype: DataType, what: str) -> Numbers:
    """Return the numbers of a data type whose elements are one real number each.

    Raise ``MetadataError``, with what the codec does, for any other data type.
    """
    found = numbers_of(dtype)
    if found is None or found.kind == "b" or found.count != 1 or dtype.numpy.kind in "mM":
        msg = f"{what} integers and floating-point numbers, not {show(dtype.name)}"
        raise MetadataError(msg)
    return found


def described(numbers: Numbers, value: Any) -> int:
    """Return a number for the extension: the bits of a float64 for a float, as a signed integer."""
    if numbers.kind == "f":
        return int(np.float64(value).view(np.int64))
    return int(np.uint64(int(value) % 2**64).view(np.int64))
