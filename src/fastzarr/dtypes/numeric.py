"""Booleans, integers, floating point and complex numbers.

Rules of this file:

* A fill value is read back bit for bit. A NaN that is not the usual one is written as the hex of
  its bits (format 3); format 2 has no spelling for it and says "NaN".
* An integral number with a decimal point is an integer's fill value in either format, since writers
  of both produce it. Anything else must be spelled as its specification says in format 3, and as
  NumPy converts it without loss in format 2.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import numpy as np

from fastzarr.dtypes.base import ORDERS, DataType, assign, short
from fastzarr.errors import MetadataError

_UINTS: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_HEX = re.compile("0x([0-9a-fA-F]+)")
_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Number(DataType):
    """Stand for the data types whose NumPy dtype has the same name."""

    code: ClassVar[str]

    def __init__(self, *, endianness: str | None = None) -> None:
        """Make the data type in the byte order ``"little"``, ``"big"`` or this machine's."""
        numpy = np.dtype(self.code).newbyteorder(ORDERS[endianness])
        super().__init__(numpy, numpy.name, multibyte=numpy.itemsize > 1)


class Bool(Number):
    """Hold true or false in a byte."""

    code = "?"

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return bool(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if isinstance(value, bool) or (zarr_format == 2 and value in (0, 1)):
            return np.bool_(value)
        return self._refuse(value, "true or false is wanted", where)


class Integer(Number):
    """Stand for the signed and unsigned integers."""

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return int(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        info = np.iinfo(self.numpy)
        number = integer(value, zarr_format)
        if number is None or not info.min <= number <= info.max:
            self._refuse(value, f"an integer from {info.min} to {info.max} is wanted", where)
        return self.numpy.type(number)

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, real(value))


class Float(Number):
    """Stand for the floating point numbers of IEEE 754."""

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        return float_to_json(self.numpy.type(fill), zarr_format)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        return float_from_json(self.numpy.newbyteorder("="), value, zarr_format, where)

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, real(value))


class Complex(Number):
    """Stand for pairs of floating point numbers."""

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        fill = self.numpy.type(fill)
        return [float_to_json(part, zarr_format) for part in (fill.real, fill.imag)]

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and not isinstance(value, (list, tuple)):
            value = [value, 0]
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            self._refuse(value, "a list [real, imaginary] is wanted", where)
        part = np.dtype(f"f{self.numpy.itemsize // 2}")
        # Parts are set one by one: arithmetic would turn NaN and infinity into something else.
        out = np.empty(2, part)
        for i, number in enumerate(value):
            out[i] = float_from_json(part, number, zarr_format, f"{where}[{i}]")
        return out.view(self.numpy.newbyteorder("="))[0]


class Int8(Integer):
    """Hold integers from -2^7 to 2^7 - 1."""

    code = "i1"


class Int16(Integer):
    """Hold integers from -2^15 to 2^15 - 1."""

    code = "i2"


class Int32(Integer):
    """Hold integers from -2^31 to 2^31 - 1."""

    code = "i4"


class Int64(Integer):
    """Hold integers from -2^63 to 2^63 - 1."""

    code = "i8"


class UInt8(Integer):
    """Hold integers from 0 to 2^8 - 1."""

    code = "u1"


class UInt16(Integer):
    """Hold integers from 0 to 2^16 - 1."""

    code = "u2"


class UInt32(Integer):
    """Hold integers from 0 to 2^32 - 1."""

    code = "u4"


class UInt64(Integer):
    """Hold integers from 0 to 2^64 - 1."""

    code = "u8"


class Float16(Float):
    """Hold IEEE 754 half precision numbers."""

    code = "f2"


class Float32(Float):
    """Hold IEEE 754 single precision numbers."""

    code = "f4"


class Float64(Float):
    """Hold IEEE 754 double precision numbers."""

    code = "f8"


class Complex64(Complex):
    """Hold pairs of single precision numbers."""

    code = "c8"


class Complex128(Complex):
    """Hold pairs of double precision numbers."""

    code = "c16"


def integer(value: Any, zarr_format: int) -> int | None:
    """Read a JSON value as an integer; None where it is none."""
    if isinstance(value, bool):
        return int(value) if zarr_format == 2 else None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and zarr_format == 2:
        # Far fewer digits than would make the conversion slow, more than any integer type needs.
        return int(value) if re.fullmatch(r"-?[0-9]{1,20}", value) else None
    return None


def real(value: Any) -> Any:
    """Refuse complex numbers, whose imaginary part NumPy would drop."""
    if isinstance(value, (complex, np.complexfloating)):
        msg = "it is complex"
        raise TypeError(msg)
    return value


def float_to_json(value: Any, zarr_format: int) -> Any:
    """Spell a NumPy float in JSON so that its bits come back, as far as the format can."""
    number = float(value)
    if math.isfinite(number):
        return number
    if number == math.inf:
        return "Infinity"
    if number == -math.inf:
        return "-Infinity"
    dtype = value.dtype
    bits = int(value.view(_UINTS[dtype.itemsize]))
    if zarr_format == 2 or bits == int(dtype.type(math.nan).view(_UINTS[dtype.itemsize])):
        return "NaN"
    return f"0x{bits:0{2 * dtype.itemsize}x}"


def float_from_json(
    dtype: np.dtype[Any], value: Any, zarr_format: int, where: str, name: str = ""
) -> Any:
    """Read a JSON value as a float of a NumPy dtype in native byte order.

    A number beyond the largest is infinity, as in NumPy. ``name`` stands in a message instead of
    the dtype's.
    """
    asked = 'a number, "NaN", "Infinity", "-Infinity" or "0x" and the hex of its bits is wanted'
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, str):
        if value in _CONSTANTS:
            return dtype.type(_CONSTANTS[value])
        digits = _HEX.fullmatch(value)
        if digits is None:
            is_number = zarr_format == 2
        elif len(digits[1]) == 2 * dtype.itemsize:
            return _UINTS[dtype.itemsize](int(digits[1], 16)).view(dtype)
        else:
            asked = f'{2 * dtype.itemsize} digits are wanted after "0x"'
    if is_number or (isinstance(value, bool) and zarr_format == 2):
        try:
            with np.errstate(over="ignore"):
                return dtype.type(float(value))
        except (ValueError, OverflowError):
            pass
    msg = f"{short(value)} is no fill value of {name or dtype.name}; {asked}"
    raise MetadataError(msg, where)
