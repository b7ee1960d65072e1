"""Data types whose elements vary in length: text, bytes, and format 2's objects.

Rules of this file:

* Text is NumPy's ``StringDType`` in memory; bytes and objects are object arrays.
* The number 0 as fill value means the empty value: zarr-python 2 wrote it by default.
* An object counts as the fill value only if it is the same plain value, so that True is not 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.dtypes.base import DataType, assign, from_base64, is_zero, short, to_base64
from fastzarr.dtypes.fixed import byte_list

if TYPE_CHECKING:
    from typing import Self

_PLAIN = (int, float, str, bytes, bool)


class VariableLength(DataType):
    """Stand for the data types whose elements vary in length."""

    def native(self) -> Self:
        """Give itself: there is no byte order."""
        return self

    def to_v2(self) -> str | list[Any]:
        """Give the ``dtype`` member of a ``.zarray``."""
        return "|O"


class String(VariableLength):
    """Hold text of any length (NumPy's ``StringDType``).

    Source: ``string`` of zarr-extensions; in format 2, ``|O`` with the filter ``vlen-utf8``.
    """

    def __init__(self) -> None:
        """Make the data type."""
        super().__init__(np.dtypes.StringDType(), "string", multibyte=False, variable=True)

    @property
    def default_fill(self) -> Any:
        """Give the empty text."""
        return ""

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Tell whether every element of an array is the fill value."""
        if fill is None or array.size == 0:
            return fill is not None
        return bool(array.flat[0] == fill) and bool((array == fill).all())

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return str(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return ""
        if not isinstance(value, str) or not _encodable(value):
            self._refuse(value, "text is wanted", where)
        return value

    def _cast(self, value: Any) -> Any:
        if is_zero(value):
            return ""
        text = value.decode() if isinstance(value, bytes) else assign(np.dtype(object), value)
        text = str(text)
        text.encode()
        return text


class Bytes(VariableLength):
    """Hold bytes of any length, as ``bytes`` objects.

    Source: ``bytes`` of zarr-extensions; in format 2, ``|O`` with the filter ``vlen-bytes``.
    """

    def __init__(self) -> None:
        """Make the data type."""
        super().__init__(np.dtype(object), "bytes", multibyte=False, variable=True)

    @property
    def default_fill(self) -> Any:
        """Give no bytes."""
        return b""

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Tell whether every element of an array is the fill value."""
        return fill is not None and all(element == fill for element in array.flat)

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2:
            if is_zero(value):
                return b""
            if isinstance(value, str) and _encodable(value) and from_base64(value) is None:
                return value.encode()
        data = byte_list(value)
        if data is None:
            self._refuse(value, "base64, or a list of integers from 0 to 255, is wanted", where)
        return data

    def _cast(self, value: Any) -> Any:
        if is_zero(value):
            return b""
        if isinstance(value, str):
            return value.encode("ascii")
        if isinstance(value, np.void):
            return value.tobytes()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        msg = f"bytes are wanted, not {type(value).__name__}"
        raise TypeError(msg)


class ObjectType(VariableLength):
    """Hold Python objects, as the object codec ``codec`` of format 2 stores them.

    ``codec`` is the codec's numcodecs id, such as ``"json2"``. Format 3 has no such data type.
    """

    codec: str

    def __init__(self, codec: str) -> None:
        """Make the data type for an object codec."""
        super().__init__(np.dtype(object), "object", multibyte=False, variable=True)
        self.__dict__.update(codec=codec)

    def _key(self) -> tuple[object, ...]:
        return (self.codec,)

    def __repr__(self) -> str:
        """Show the object codec."""
        return f"ObjectType({self.codec!r})"

    @property
    def default_fill(self) -> Any:
        """Give 0, as NumPy's zeros of objects."""
        return 0

    def to_v3(self) -> str | dict[str, Any]:
        """Refuse: format 3 has no objects."""
        # TypeError, as it is the request that is wrong and no document.
        msg = (
            "arrays of Python objects exist in format 2 only; "
            "use zarr_format=2, or the data type string or bytes"
        )
        raise TypeError(msg)

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Tell whether every element of an array is the same plain value as the fill value."""
        kind = type(fill)
        # Equal floats differ where they are zeros, and NaN equals nothing: such are stored.
        if kind not in _PLAIN or (kind is float and (fill == 0 or math.isnan(fill))):
            return False
        return all(type(element) is kind and element == fill for element in array.flat)

    def cast_fill(self, value: Any) -> Any:
        """Take any object; None stays None."""
        if isinstance(value, np.generic):
            return value.item()
        return value

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        if not _jsonable(fill):
            msg = f"fill_value {short(fill)} of an object array cannot be said in JSON; use None"
            raise TypeError(msg)
        return fill

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:  # noqa: ARG002
        return value


def _jsonable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_jsonable(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _jsonable(v) for k, v in value.items())
    # NaN and infinity too, as numbers: a word for them would be text, which an object can be.
    return value is None or isinstance(value, (bool, int, float, str))


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
