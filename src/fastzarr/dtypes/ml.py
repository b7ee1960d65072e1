"""The low-precision integers and floats of ``ml_dtypes``.

Rules of this file:

* ``ml_dtypes`` is imported when the first of these types is constructed. It is an extra of the
  package, and the error if it is missing names the extra.
* An element takes one byte (``bfloat16``: two). If it needs fewer bits, the upper bits are
  arbitrary in storage. In memory they are zero, as ``ml_dtypes`` sets them.
* A finite fill value out of range, and a NaN or infinity in a type without them, is an error, since
  ``ml_dtypes`` would silently convert it to another value.
* ``float8_e4m3fn`` is not in zarr-extensions, but it is the variant in common use, and TensorStore
  writes it. In format 2 the name itself is the dtype, as in TensorStore, which is the only other
  library that knows such arrays, and stores the fill value of ``float4_e2m1fn`` in base64.

Source: the data types of the same names in zarr-extensions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastzarr.checked import show
from fastzarr.dtypes.base import DataType, from_base64, to_base64
from fastzarr.dtypes.numeric import float_from_json, float_to_json, integer, real
from fastzarr.errors import DataTypeValidationError

# The number of bits in an element.
INTEGERS = {"int2": 2, "int4": 4, "uint2": 2, "uint4": 4}
FLOATS = {
    "bfloat16": 16,
    "float8_e3m4": 8,
    "float8_e4m3": 8,
    "float8_e4m3b11fnuz": 8,
    "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "float6_e2m3fn": 6,
    "float6_e3m2fn": 6,
    "float4_e2m1fn": 4,
}
NAMES = INTEGERS.keys() | FLOATS.keys()


class SmallNumber(DataType):
    """Base class of the data types that ``ml_dtypes`` adds to NumPy."""

    def __init__(self, name: str) -> None:
        """Initialise by name; raise DataTypeValidationError if ``ml_dtypes`` lacks it.

        Raise ImportError if ``ml_dtypes`` is not installed.
        """
        try:
            import ml_dtypes
        except ImportError as error:
            msg = (
                f"data type {name!r} needs the package ml_dtypes: pip install 'fastzarr[ml_dtypes]'"
            )
            raise ImportError(msg, name="ml_dtypes") from error
        if not hasattr(ml_dtypes, name):
            msg = f"data type {name!r} requires a newer ml_dtypes than {ml_dtypes.__version__}"
            raise DataTypeValidationError(msg)
        numpy = np.dtype(getattr(ml_dtypes, name))
        bits = (INTEGERS | FLOATS)[name]
        masks = bytes([(1 << bits) - 1]) if bits < 8 else b""
        super().__init__(numpy, name, multibyte=numpy.itemsize > 1, masks=masks)

    def __repr__(self) -> str:
        """Return the class name with the data type's name."""
        return f"{type(self).__name__}({self.name!r})"

    def to_v2(self) -> str | list[Any]:
        """Return the ``dtype`` member of a ``.zarray``: the name."""
        return self.name


class SmallInteger(SmallNumber):
    """Integers of 2 or 4 bits.

    >>> import fastzarr
    >>> fastzarr.array([-2, 1], dtype="int2")[:].tolist()
    [-2, 1]
    """

    def _bounds(self) -> tuple[int, int]:
        bits = INTEGERS[self.name]
        low = 0 if self.name.startswith("u") else -(2 ** (bits - 1))
        return low, low + 2**bits - 1

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return int(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        low, high = self._bounds()
        number = integer(value, zarr_format)
        if number is None or not low <= number <= high:
            self._refuse(value, f"expected an integer from {low} to {high}", where)
        return self.numpy.type(number)

    def _cast(self, value: Any) -> Any:
        low, high = self._bounds()
        number = int(real(value))
        if not low <= number <= high:
            msg = f"expected an integer from {low} to {high}"
            raise OverflowError(msg)
        return self.numpy.type(number)


class SmallFloat(SmallNumber):
    """Floating-point numbers of 4 to 16 bits.

    >>> import fastzarr
    >>> fastzarr.array([1.5, 1.3], dtype="float8_e4m3fn")[:].tolist()
    [1.5, 1.25]
    """

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        if zarr_format == 2 and self.name == "float4_e2m1fn":
            return to_base64(np.asarray(fill, self.numpy).tobytes())
        return float_to_json(self.numpy.type(fill), zarr_format)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if isinstance(value, str) and value.startswith("0x"):
            found = float_from_json(self.numpy, value, zarr_format, where)
            if self.mask is not None and int(value, 16) & ~self.mask:
                self._refuse(value, f"it has no bits but 0x{self.mask:02x}", where)
            return found
        data = from_base64(value) if zarr_format == 2 and isinstance(value, str) else None
        if data is not None and len(data) == self.itemsize and value.endswith("="):
            return self.cleared(np.frombuffer(data, self.numpy))[0]
        number = float(float_from_json(np.dtype(float), value, zarr_format, where, self.name))
        try:
            return self._checked(number)
        except OverflowError as error:
            self._refuse(value, str(error), where)

    def _cast(self, value: Any) -> Any:
        return self._checked(float(real(value)))

    def _checked(self, number: float) -> Any:
        out = self.numpy.type(number)
        back = float(out)
        same = back == number or (math.isnan(back) and math.isnan(number))
        if same or (math.isfinite(number) and math.isfinite(back) and self._within(number)):
            return out
        msg = f"the type cannot represent {show(number)}"
        raise OverflowError(msg)

    def _within(self, number: float) -> bool:
        import ml_dtypes

        finfo: Any = ml_dtypes.finfo
        info = finfo(self.numpy)
        return float(info.min) <= number <= float(info.max)


def small(name: str) -> SmallNumber:
    """Return the data type of a name in ``NAMES``."""
    return SmallInteger(name) if name in INTEGERS else SmallFloat(name)
