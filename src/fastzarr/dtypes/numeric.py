"""Booleans, integers, floating-point and complex numbers.

Rules of this file:

* Fill values round-trip bit for bit. Format 3 writes a NaN with a payload as the hexadecimal form
  of its bits; format 2 has no such form, so every NaN is written as "NaN".
* Both formats accept an integral number with a decimal point, or in a string, as the fill value of
  an integer type, and 0 and 1 as that of booleans, because writers of both produce them. Otherwise
  format 3 requires the form in its specification, and format 2 whatever NumPy converts without
  loss.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np

from fastzarr.checked import check_members, show
from fastzarr.dtypes.base import ORDERS, DataType, assign
from fastzarr.errors import DataTypeValidationError, MetadataError

_UINTS: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_HEX = re.compile("0x([0-9a-fA-F]+)")
_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Number(DataType):
    """Base class of the data types with the same name in NumPy."""

    code: ClassVar[str]

    def __init__(self, *, endianness: str | None = None) -> None:
        """Initialise with ``endianness`` ``"little"``, ``"big"``, or None for native order."""
        numpy = np.dtype(self.code).newbyteorder(ORDERS[endianness])
        super().__init__(numpy, numpy.name, multibyte=numpy.itemsize > 1)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the shared instance of the data type, which takes no configuration."""
        check_members(config, {}, where, DataTypeValidationError)
        key: Any = cls
        shared: Self = _shared(key)
        return shared


@cache
def _shared(cls: Any) -> Any:
    return cls()


class Bool(Number):
    """Booleans, stored in one byte each.

    >>> Bool().numpy
    dtype('bool')
    """

    code = "?"

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return bool(fill)

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, as_number(value))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:  # noqa: ARG002
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            return np.bool_(value)
        return self._refuse(value, "expected true or false", where)


class Integer(Number):
    """Base class of the signed and unsigned integers."""

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return int(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        info = np.iinfo(self.numpy)
        number = integer(value, zarr_format)
        if number is None or not info.min <= number <= info.max:
            self._refuse(value, f"expected an integer from {info.min} to {info.max}", where)
        return self.numpy.type(number)

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, real(value))


class Float(Number):
    """Base class of the IEEE 754 floating-point numbers."""

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        return float_to_json(self.numpy.type(fill), zarr_format)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        return float_from_json(self.numpy.newbyteorder("="), value, zarr_format, where)

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, real(value))


class Complex(Number):
    """Base class of the complex numbers."""

    @property
    def number_size(self) -> int | None:
        """The size in bytes of the real and of the imaginary part."""
        return self.numpy.itemsize // 2

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        fill = self.numpy.type(fill)
        return [float_to_json(part, zarr_format) for part in (fill.real, fill.imag)]

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and not isinstance(value, (list, tuple)):
            value = [value, 0]
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            self._refuse(value, "expected a list [real, imaginary]", where)
        part = np.dtype(f"f{self.numpy.itemsize // 2}")
        # The parts are set separately: arithmetic would change NaN payloads and infinities.
        out = np.empty(2, part)
        for i, number in enumerate(value):
            out[i] = float_from_json(part, number, zarr_format, f"{where}[{i}]")
        return out.view(self.numpy.newbyteorder("="))[0]

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, as_number(value))


class Int8(Integer):
    """Signed integers of 8 bits, from -2^7 to 2^7 - 1.

    >>> Int8().numpy
    dtype('int8')
    """

    code = "i1"


class Int16(Integer):
    """Signed integers of 16 bits, from -2^15 to 2^15 - 1.

    >>> Int16().numpy
    dtype('int16')
    """

    code = "i2"


class Int32(Integer):
    """Signed integers of 32 bits, from -2^31 to 2^31 - 1.

    >>> Int32().numpy
    dtype('int32')
    """

    code = "i4"


class Int64(Integer):
    """Signed integers of 64 bits, from -2^63 to 2^63 - 1.

    >>> Int64().numpy
    dtype('int64')
    """

    code = "i8"


class UInt8(Integer):
    """Unsigned integers of 8 bits, from 0 to 2^8 - 1.

    >>> UInt8().numpy
    dtype('uint8')
    """

    code = "u1"


class UInt16(Integer):
    """Unsigned integers of 16 bits, from 0 to 2^16 - 1.

    >>> UInt16().numpy
    dtype('uint16')
    """

    code = "u2"


class UInt32(Integer):
    """Unsigned integers of 32 bits, from 0 to 2^32 - 1.

    >>> UInt32().numpy
    dtype('uint32')
    """

    code = "u4"


class UInt64(Integer):
    """Unsigned integers of 64 bits, from 0 to 2^64 - 1.

    >>> UInt64().numpy
    dtype('uint64')
    """

    code = "u8"


class Float16(Float):
    """IEEE 754 half-precision numbers (16 bits).

    >>> Float16().numpy
    dtype('float16')
    """

    code = "f2"


class Float32(Float):
    """IEEE 754 single-precision numbers (32 bits).

    >>> Float32().numpy
    dtype('float32')
    """

    code = "f4"


class Float64(Float):
    """IEEE 754 double-precision numbers (64 bits).

    >>> Float64().numpy
    dtype('float64')
    """

    code = "f8"


class Complex64(Complex):
    """Complex numbers with single-precision parts (64 bits).

    >>> Complex64().numpy
    dtype('complex64')
    """

    code = "c8"


class Complex128(Complex):
    """Complex numbers with double-precision parts (128 bits).

    >>> Complex128().numpy
    dtype('complex128')
    """

    code = "c16"


def integer(value: Any, zarr_format: int) -> int | None:
    """Return a JSON value as an int, or None if the format does not accept it as an integer."""
    if isinstance(value, bool):
        return int(value) if zarr_format == 2 else None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        # 20 digits suffice for every integer type; the bound keeps the conversion cheap.
        return int(value) if re.fullmatch(r"-?[0-9]{1,20}", value) else None
    return None


def real(value: Any) -> Any:
    """Return ``value`` as ``as_number`` does; raise TypeError if it is complex.

    NumPy would drop a part of a complex number.
    """
    value = as_number(value)
    if isinstance(value, (complex, np.complexfloating)):
        msg = "the value is complex"
        raise TypeError(msg)
    return value


def as_number(value: Any) -> Any:
    """Return ``value``, with numbers of NumPy as those of Python, which NumPy does not wrap around.

    Raise TypeError if it is a time, of which NumPy would take the count.
    """
    if isinstance(value, (np.datetime64, np.timedelta64)):
        msg = f"the value is a time ({value.dtype})"
        raise TypeError(msg)
    return value.item() if isinstance(value, (np.number, np.bool_)) else value


def float_to_json(value: Any, zarr_format: int) -> Any:
    """Return a NumPy float as JSON that round-trips its bits as far as the format allows."""
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
    """Parse a JSON value into a scalar of a NumPy float dtype in native byte order.

    A number too large for the dtype becomes infinity, as in NumPy. Raise MetadataError, naming
    ``where``, for anything else that is not a float. Messages use ``name``, or the dtype's name if
    it is empty.
    """
    asked = 'expected a number, "NaN", "Infinity", "-Infinity", or "0x" and its bits in hexadecimal'
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
            asked = f'expected {2 * dtype.itemsize} digits after "0x"'
    if is_number or (isinstance(value, bool) and zarr_format == 2):
        try:
            with np.errstate(over="ignore"):
                return dtype.type(float(value))
        except (ValueError, OverflowError):
            pass
    msg = f"{show(value)} is not a valid fill value for {name or dtype.name}; {asked}"
    raise MetadataError(msg, where)
