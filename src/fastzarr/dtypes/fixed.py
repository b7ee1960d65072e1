"""Text and bytes of a fixed length: NumPy's ``U``, ``S`` and ``V``.

Rules of this file:

* The number 0 as fill value means the empty value. zarr-python 2 wrote and took it so.
* A fill value in a document that is longer than the type is an error; one that a user gives is cut,
  as NumPy's assignment cuts it.
* Raw bytes are written as ``raw_bytes`` with base64, which zarr-python and TensorStore read. What
  the core specification has, ``r`` and the number of bits with a list of bytes, is read as well; of
  the two, zarrs alone knows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastzarr.dtypes.base import (
    ORDERS,
    DataType,
    assign,
    from_base64,
    is_zero,
    members,
    positive_int,
    to_base64,
)
from fastzarr.errors import DataTypeValidationError

# NumPy counts the bytes of an element in a signed 32-bit integer.
_LONGEST = 2**31 - 1


class FixedLength(DataType):
    """Stand for the data types whose elements all have the same length."""

    def to_v3(self) -> str | dict[str, Any]:
        """Give the ``data_type`` member of a ``zarr.json``."""
        return {"name": self.name, "configuration": {"length_bytes": self.itemsize}}

    @property
    def length(self) -> int:
        """Give the number of characters or bytes of an element."""
        return self.numpy.itemsize

    def _cast(self, value: Any) -> Any:
        return self.default_fill if is_zero(value) else assign(self.numpy, value)


class FixedLengthUTF32(FixedLength):
    """Hold text of up to ``length`` characters, four bytes each (NumPy's ``U``).

    Source: ``fixed_length_utf32`` of zarr-extensions.
    """

    def __init__(self, *, length: int, endianness: str | None = None) -> None:
        """Make the data type in the byte order ``"little"``, ``"big"`` or this machine's."""
        numpy = np.dtype(f"{ORDERS[endianness]}U{_checked(length, 4)}")
        super().__init__(numpy, "fixed_length_utf32", multibyte=True)

    @property
    def length(self) -> int:
        """Give the number of characters of an element."""
        return self.numpy.itemsize // 4

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return str(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        if not isinstance(value, str) or len(value) > self.length:
            self._refuse(value, f"text of at most {self.length} characters is wanted", where)
        return assign(self.numpy, value)


class NullTerminatedBytes(FixedLength):
    """Hold up to ``length`` bytes; trailing zeros do not count (NumPy's ``S``).

    Source: ``null_terminated_bytes`` of zarr-extensions.
    """

    def __init__(self, *, length: int) -> None:
        """Make the data type for elements of ``length`` bytes."""
        super().__init__(
            np.dtype(f"S{_checked(length, 1)}"), "null_terminated_bytes", multibyte=False
        )

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        data = from_base64(value) if isinstance(value, str) else None
        fits = data is not None and len(data) <= self.length
        if not fits and zarr_format == 2 and isinstance(value, str) and value.isascii():
            # Before base64 was agreed on, format 2 held the plain text.
            data = value.encode()
        if data is None or len(data) > self.length:
            self._refuse(value, f"base64 of at most {self.length} bytes is wanted", where)
        return assign(self.numpy, data)


class RawBytes(FixedLength):
    """Hold exactly ``length`` bytes without a meaning (NumPy's ``V``).

    Source: the raw data types ``r*`` of the Zarr 3 core specification.
    """

    def __init__(self, *, length: int) -> None:
        """Make the data type for elements of ``length`` bytes."""
        numpy = np.dtype(f"V{_checked(length, 1)}")
        super().__init__(numpy, "raw_bytes", multibyte=False)

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        data = byte_list(value)
        if data is None or len(data) != self.length:
            self._refuse(
                value, f"a list of {self.length} bytes, or base64 of them, is wanted", where
            )
        return np.void(data)

    def _cast(self, value: Any) -> Any:
        if isinstance(value, (bytearray, memoryview)):
            value = bytes(value)
        return super()._cast(value)


def byte_list(value: Any) -> bytes | None:
    """Read a list of integers from 0 to 255, or base64, as bytes; None where it is neither."""
    if isinstance(value, str):
        return from_base64(value)
    if isinstance(value, list) and all(type(b) is int and 0 <= b <= 255 for b in value):
        return bytes(value)
    return None


def raw_from_bits(bits: int, where: str) -> RawBytes:
    """Make the data type of ``r`` and a number of bits."""
    if bits < 1 or bits % 8 or bits // 8 > _LONGEST:
        msg = f"a raw data type has a positive multiple of 8 bits, not {bits}"
        raise DataTypeValidationError(msg, where)
    return RawBytes(length=bits // 8)


def fixed_from_v3(name: str, config: dict[str, Any], where: str) -> FixedLength:
    """Make the data type of a name with ``length_bytes``."""
    (length,) = members(name, config, ("length_bytes",), where)
    where = f"{where}.configuration.length_bytes"
    positive_int(length, _LONGEST, where)
    if name == "raw_bytes":
        return RawBytes(length=length)
    if name == "null_terminated_bytes":
        return NullTerminatedBytes(length=length)
    if length % 4:
        msg = f"a multiple of 4 is wanted, not {length}"
        raise DataTypeValidationError(msg, where)
    return FixedLengthUTF32(length=length // 4)


def _checked(length: int, unit: int) -> int:
    if not 1 <= length <= _LONGEST // unit:
        msg = f"a length from 1 to {_LONGEST // unit} is wanted, not {length}"
        raise DataTypeValidationError(msg)
    return length
