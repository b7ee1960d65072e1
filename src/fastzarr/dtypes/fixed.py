"""Fixed-length text and bytes: NumPy's ``U``, ``S`` and ``V``.

Rules of this file:

* The fill value 0 means the empty value, as zarr-python 2 wrote and read it.
* A fill value longer than the type is an error in a document; one passed as an argument is
  truncated, as by assignment in NumPy.
* Raw bytes have two names. A NumPy dtype is written as ``raw_bytes`` with a base64 fill value,
  which zarr-python and TensorStore read. The name in the core specification, ``r`` and the number
  of bits, has a list of bytes as its fill value; it is written if a user or a document has named
  it, because only zarrs reads that. Every combination is read.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fastzarr.checked import as_int, check_members, is_text, member, placed
from fastzarr.dtypes.base import (
    ORDERS,
    DataType,
    assign,
    check_element,
    from_base64,
    is_zero,
    to_base64,
)
from fastzarr.errors import DataTypeValidationError

# NumPy counts the bytes of an element in a signed 32-bit integer.
_LONGEST = 2**31 - 1


class FixedLength(DataType):
    """Base class of the data types with ``length_bytes`` in their configuration.

    An element has ``length`` characters of ``unit`` bytes each.
    """

    unit: ClassVar[int] = 1

    def to_v3(self) -> str | dict[str, Any]:
        """Return the ``data_type`` member of a ``zarr.json``."""
        return {"name": self.name, "configuration": {"length_bytes": self.itemsize}}

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the data type with a configuration of ``length_bytes``."""
        check_members(config, {"length_bytes": True}, where, DataTypeValidationError)
        where = member(where, "length_bytes")
        size = as_int(config["length_bytes"], where, 1, _LONGEST, DataTypeValidationError)
        if size % cls.unit:
            msg = f"must be a multiple of {cls.unit}, got {size}"
            raise DataTypeValidationError(msg, where)
        make: Any = cls
        made: Self = placed(lambda: make(length=size // cls.unit), where)
        return made

    @property
    def number_size(self) -> int | None:
        """The size in bytes of a character."""
        return self.unit

    @property
    def length(self) -> int:
        """The number of characters or bytes in an element.

        >>> FixedLengthUTF32(length=5).length
        5
        """
        return self.numpy.itemsize // self.unit

    def _cast(self, value: Any) -> Any:
        return self.default_fill if is_zero(value) else assign(self.numpy, value)


class FixedLengthUTF32(FixedLength):
    """Text of up to ``length`` characters of four bytes each (NumPy's ``U``).

    Source: ``fixed_length_utf32`` of zarr-extensions.

    >>> FixedLengthUTF32(length=5).numpy
    dtype('<U5')
    """

    unit: ClassVar[int] = 4

    def __init__(self, *, length: int, endianness: str | None = None) -> None:
        """Initialise with ``endianness`` ``"little"``, ``"big"``, or None for native order."""
        numpy = np.dtype(f"{ORDERS[endianness]}U{_checked(length, self.unit)}")
        super().__init__(numpy, "fixed_length_utf32", multibyte=True)

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return str(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        if not isinstance(value, str) or len(value) > self.length:
            self._refuse(value, f"expected a string of at most {self.length} characters", where)
        return assign(self.numpy, value)

    def _cast(self, value: Any) -> Any:
        if isinstance(value, str) and not is_text(value):
            msg = "the value has a lone surrogate, which UTF-8 cannot encode"
            raise ValueError(msg)
        return super()._cast(value)


class NullTerminatedBytes(FixedLength):
    """Up to ``length`` bytes, of which trailing zeros are dropped (NumPy's ``S``).

    Source: ``null_terminated_bytes`` of zarr-extensions.

    >>> NullTerminatedBytes(length=5).numpy
    dtype('S5')
    """

    def __init__(self, *, length: int) -> None:
        """Initialise with the number of bytes in an element."""
        super().__init__(
            np.dtype(f"S{_checked(length, self.unit)}"), "null_terminated_bytes", multibyte=False
        )

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        data = from_base64(value) if isinstance(value, str) else None
        fits = data is not None and len(data) <= self.length
        if not fits and zarr_format == 2 and isinstance(value, str) and value.isascii():
            # Old format 2 documents hold plain text instead of base64.
            data = value.encode()
        if data is None or len(data) > self.length:
            self._refuse(value, f"expected base64 of at most {self.length} bytes", where)
        return assign(self.numpy, data)


class RawBytes(FixedLength):
    """Exactly ``length`` opaque bytes (NumPy's ``V``).

    Source: the raw data types ``r*`` of the Zarr 3 core specification.

    >>> RawBytes(length=5).numpy
    dtype('V5')
    """

    core: bool

    def __init__(self, *, length: int, core: bool = False) -> None:
        """Initialise with the number of bytes in an element.

        ``core`` selects the name of the core specification, such as ``r24`` for three bytes.
        """
        numpy = np.dtype(f"V{_checked(length, self.unit)}")
        super().__init__(numpy, "raw_bytes", multibyte=False, core=core)

    def to_v3(self) -> str | dict[str, Any]:
        """Return the ``data_type`` member of a ``zarr.json``."""
        return f"r{8 * self.length}" if self.core else super().to_v3()

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        return list(bytes(fill)) if self.core and zarr_format == 3 else to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return self.default_fill
        data = byte_list(value)
        if data is None or len(data) != self.length:
            self._refuse(value, f"expected {self.length} bytes as a list or in base64", where)
        return np.void(data)

    def _cast(self, value: Any) -> Any:
        if isinstance(value, (bytearray, memoryview)):
            value = bytes(value)
        if not isinstance(value, (bytes, np.void)) and not is_zero(value):
            msg = f"expected bytes, got {type(value).__name__}"
            raise TypeError(msg)
        return super()._cast(value)


def byte_list(value: Any) -> bytes | None:
    """Return the bytes of a base64 string or a list of integers; None if it is neither."""
    if isinstance(value, str):
        return from_base64(value)
    if isinstance(value, list) and all(type(b) is int and 0 <= b <= 255 for b in value):
        return bytes(value)
    return None


def raw_from_bits(bits: int, where: str) -> RawBytes:
    """Return the data type named ``r`` and a number of bits, such as ``r16``."""
    if bits < 1 or bits % 8 or bits // 8 > _LONGEST:
        msg = f"the size of a raw data type must be a positive multiple of 8 bits, not {bits}"
        raise DataTypeValidationError(msg, where)
    return RawBytes(length=bits // 8, core=True)


def _checked(length: int, unit: int) -> int:
    as_int(length, "length", 1, _LONGEST // unit, DataTypeValidationError)
    check_element(length * unit)
    return length
