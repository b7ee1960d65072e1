"""``zarr.core.dtype.npy.common``: the JSON of scalars, and NumPy's byte orders."""

from __future__ import annotations

import base64
import struct
import sys
from collections.abc import Callable, Sequence
from typing import (
    Any,
    Final,
    Literal,
    NewType,
    SupportsComplex,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TypeGuard,
    get_args,
)

import numpy as np

from fastzarr.compat.core.dtype.common import (
    ENDIANNESS_STR,
    SPECIAL_FLOAT_STRINGS,
    EndiannessStr,
    JSONFloatV2,
    JSONFloatV3,
)

IntLike = SupportsInt | SupportsIndex | bytes | str
FloatLike = SupportsIndex | SupportsFloat | bytes | str
ComplexLike = SupportsFloat | SupportsIndex | SupportsComplex | bytes | str | None
# fmt: off
DateTimeUnit = Literal[
    "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "\u03bcs", "ns", "ps", "fs", "as", "generic"
]
# fmt: on
DATETIME_UNIT: Final = get_args(DateTimeUnit)

IntishFloat = NewType("IntishFloat", float)
IntishStr = NewType("IntishStr", str)
FloatishStr = NewType("FloatishStr", str)

NumpyEndiannessStr = Literal[">", "<", "="]
NUMPY_ENDIANNESS_STR: Final = (">", "<", "=")
_ORDERS: dict[Any, EndiannessStr] = {"<": "little", ">": "big", "=": sys.byteorder}


def endianness_from_numpy_str(endianness: Any) -> EndiannessStr:
    """Return the byte order of NumPy's sign for it.

    >>> endianness_from_numpy_str(">")
    'big'
    """
    if endianness not in _ORDERS:
        msg = f"Invalid endianness: {endianness!r}. Expected one of {NUMPY_ENDIANNESS_STR}"
        raise ValueError(msg)
    return _ORDERS[endianness]


def endianness_to_numpy_str(endianness: Any) -> NumpyEndiannessStr:
    """Return NumPy's sign for a byte order.

    >>> endianness_to_numpy_str("big")
    '>'
    """
    if endianness == "little":
        return "<"
    if endianness == "big":
        return ">"
    msg = f"Invalid endianness: {endianness!r}. Expected one of {ENDIANNESS_STR} or None"
    raise ValueError(msg)


def get_endianness_from_numpy_dtype(dtype: np.dtype[Any]) -> EndiannessStr:
    """Return the byte order of a NumPy dtype; raise ValueError if it has none.

    >>> get_endianness_from_numpy_dtype(np.dtype(">i2"))
    'big'
    """
    if dtype.byteorder not in NUMPY_ENDIANNESS_STR:
        msg = f"The dtype {dtype} has an unsupported endianness: {dtype.byteorder}"
        raise ValueError(msg)
    return endianness_from_numpy_str(dtype.byteorder)


_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_HEX = {4: ">e", 8: ">f", 16: ">d"}


def float_from_json_v2(data: Any) -> float:
    """Return the number of its JSON in format 2.

    >>> float_from_json_v2("-Infinity")
    -inf
    """
    special = _SPECIAL.get(data) if isinstance(data, str) else None
    return float(data) if special is None else special


def float_from_json_v3(data: Any) -> float:
    """Return the number of its JSON in format 3, which may be the hexadecimal form of its bits.

    >>> float_from_json_v3("0x3c00")
    1.0
    """
    if not isinstance(data, str) or data in SPECIAL_FLOAT_STRINGS:
        return float_from_json_v2(data)
    if not data.startswith("0x"):
        msg = (
            f"Invalid float value: {data!r}. Expected a string starting with the hex prefix '0x', "
            "or one of 'NaN', 'Infinity', or '-Infinity'."
        )
        raise ValueError(msg)
    code = _HEX.get(len(data) - 2)
    if code is None:
        msg = (
            f"Invalid hexadecimal float value: {data!r}. Expected the '0x' prefix to be followed "
            "by 4, 8, or 16 numeral characters"
        )
        raise ValueError(msg)
    return float(struct.unpack(code, bytes.fromhex(data[2:]))[0])


def bytes_from_json(data: str, *, zarr_format: Any) -> bytes:
    """Return the bytes of their JSON, which is base64 in both formats.

    >>> bytes_from_json("YQ==", zarr_format=3)
    b'a'
    """
    if zarr_format not in (2, 3):
        msg = f"Invalid zarr format: {zarr_format}. Expected 2 or 3."
        raise ValueError(msg)
    return base64.b64decode(data.encode("ascii"))


def bytes_to_json(data: bytes, zarr_format: Any) -> str:  # noqa: ARG001  (the same in both)
    """Return the JSON of bytes, which is base64 in both formats.

    >>> bytes_to_json(b"a", 3)
    'YQ=='
    """
    return base64.b64encode(data).decode("ascii")


def float_to_json_v2(data: Any) -> JSONFloatV2:
    """Return the JSON of a number in format 2.

    >>> float_to_json_v2(np.float32("nan"))
    'NaN'
    """
    if np.isnan(data):
        return "NaN"
    if np.isinf(data):
        return "Infinity" if data > 0 else "-Infinity"
    return float(data)


def float_to_json_v3(data: Any) -> JSONFloatV3:
    """Return the JSON of a number in format 3, without the bits of a NaN."""
    return float_to_json_v2(data)


def complex_float_to_json_v2(data: Any) -> tuple[JSONFloatV2, JSONFloatV2]:
    """Return the JSON of a complex number in format 2.

    >>> complex_float_to_json_v2(1 + 2j)
    (1.0, 2.0)
    """
    return float_to_json_v2(data.real), float_to_json_v2(data.imag)


def complex_float_to_json_v3(data: Any) -> tuple[JSONFloatV3, JSONFloatV3]:
    """Return the JSON of a complex number in format 3."""
    return float_to_json_v3(data.real), float_to_json_v3(data.imag)


def complex_float_from_json_v2(data: Any) -> complex:
    """Return the complex number of its JSON in format 2.

    >>> complex_float_from_json_v2((1.0, "Infinity"))
    (1+infj)
    """
    return complex(float_from_json_v2(data[0]), float_from_json_v2(data[1]))


def complex_float_from_json_v3(data: Any) -> complex:
    """Return the complex number of its JSON in format 3."""
    return complex(float_from_json_v3(data[0]), float_from_json_v3(data[1]))


def check_json_float_v2(data: Any) -> TypeGuard[JSONFloatV2]:
    """Whether a value is the JSON of a number in format 2.

    >>> check_json_float_v2("NaN"), check_json_float_v2("1")
    (True, False)
    """
    if isinstance(data, str):
        return data in SPECIAL_FLOAT_STRINGS
    return isinstance(data, float | int)


def check_json_float_v3(data: Any) -> TypeGuard[JSONFloatV3]:
    """Whether a value is the JSON of a number in format 3."""
    return check_json_float_v2(data) or (isinstance(data, str) and data.startswith("0x"))


def _is_pair(data: Any, check: Callable[[Any], bool]) -> bool:
    if isinstance(data, str) or not isinstance(data, Sequence) or len(data) != 2:
        return False
    return check(data[0]) and check(data[1])


def check_json_complex_float_v2(data: Any) -> TypeGuard[tuple[JSONFloatV2, JSONFloatV2]]:
    """Whether a value is the JSON of a complex number in format 2.

    >>> check_json_complex_float_v2([1.0, "NaN"])
    True
    """
    return _is_pair(data, check_json_float_v2)


def check_json_complex_float_v3(data: Any) -> TypeGuard[tuple[JSONFloatV3, JSONFloatV3]]:
    """Whether a value is the JSON of a complex number in format 3."""
    return _is_pair(data, check_json_float_v3)


def check_json_int(data: Any) -> TypeGuard[int]:
    """Whether a value is an integer."""
    return isinstance(data, int)


def check_json_intish_float(data: Any) -> TypeGuard[IntishFloat]:
    """Whether a value is a float without a fraction."""
    return isinstance(data, float) and data.is_integer()


def _is_text_of(data: Any, kind: type[int | float]) -> bool:
    if not isinstance(data, str):
        return False
    try:
        kind(data)
    except ValueError:
        return False
    return True


def check_json_intish_str(data: Any) -> TypeGuard[IntishStr]:
    """Whether a value is the text of an integer."""
    return _is_text_of(data, int)


def check_json_floatish_str(data: Any) -> TypeGuard[FloatishStr]:
    """Whether a value is the text of a number."""
    return _is_text_of(data, float)


def check_json_str(data: Any) -> TypeGuard[str]:
    """Whether a value is a string."""
    return isinstance(data, str)


def check_json_bool(data: Any) -> TypeGuard[bool]:
    """Whether a value is True or False."""
    return isinstance(data, bool)
