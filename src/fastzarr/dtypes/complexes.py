"""Complex numbers with parts of low precision, which NumPy does not have.

Rules of this file:

* In memory, an element is a record of ``real`` and ``imag``, the bytes of which are those that are
  stored. So no bit of a value changes, an array takes as little memory as its elements need, and
  chunks are decoded into place. As ``complex64``, an array would take up to four times as much, and
  a NaN could come back with other bits.
* Numbers are assigned as to an array of complex numbers, and ``astype`` returns complex numbers.
* The NumPy dtype carries the name of the data type in its metadata, which NumPy ignores when it
  compares dtypes. Without it, the same record is a ``Struct``.

Source: the data types of the same names in zarr-extensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastzarr.dtypes.base import DataType
from fastzarr.dtypes.ml import FLOATS, SmallFloat
from fastzarr.dtypes.numeric import Float16, as_number
from fastzarr.errors import DataTypeValidationError

# float8_e4m3fn is not registered, and neither are complex numbers of it.
NAMES = {f"complex_{part}" for part in ("float16", *FLOATS) if part != "float8_e4m3fn"}
_PARTS = ("real", "imag")
_MARK = "zarr_data_type"


class SmallComplex(DataType):
    """Complex numbers whose two parts have 4 to 16 bits.

    ``part`` is the data type of the real and of the imaginary part.

    >>> import fastzarr
    >>> z = fastzarr.array([1 + 2j, 3], dtype="complex_float16")
    >>> z["imag"].tolist(), z.astype("complex64")[:].tolist()
    ([2.0, 0.0], [(1+2j), (3+0j)])
    """

    part: DataType

    def __init__(self, name: str) -> None:
        """Initialise by name, such as ``"complex_bfloat16"``."""
        kind = name.removeprefix("complex_")
        part = Float16() if kind == "float16" else SmallFloat(kind)
        numpy = np.dtype([(each, part.numpy) for each in _PARTS], metadata={_MARK: name})
        members: dict[str, Any] = {"part": part, "masks": part.masks * 2}
        super().__init__(numpy, name, multibyte=part.multibyte, **members)

    def __repr__(self) -> str:
        """Return the class name with the data type's name."""
        return f"{type(self).__name__}({self.name!r})"

    @property
    def number_size(self) -> int | None:
        """The size in bytes of the real and of the imaginary part."""
        return self.numpy.itemsize // 2

    def to_v2(self) -> str | list[Any]:
        """Raise DataTypeValidationError: format 2 has no name for these types."""
        part = self.part.to_v2()
        msg = (
            f"format 2 has no name for {self.name}; use zarr_format=3, or a record with "
            f"dtype=[('real', {part!r}), ('imag', {part!r})]"
        )
        raise DataTypeValidationError(msg)

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        return [self.part.fill_to_json(fill[each], zarr_format) for each in _PARTS]

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(_PARTS):
            self._refuse(value, "expected a list [real, imaginary]", where)
        out = np.empty((), self.numpy)
        for place, each in enumerate(_PARTS):
            here = f"{where}[{place}]"
            out[each] = self.part.fill_from_json(value[place], zarr_format, here)
        return out[()]

    def _cast(self, value: Any) -> Any:
        if isinstance(value, np.void) and value.dtype.names == _PARTS:
            value = (value["real"], value["imag"])
        if not isinstance(value, (list, tuple)):
            if isinstance(value, (str, bytes)):
                msg = f"expected a number, got {type(value).__name__}"
                raise TypeError(msg)
            number = complex(as_number(value))
            value = (number.real, number.imag)
        if len(value) != len(_PARTS):
            msg = f"expected a real and an imaginary part, got {len(value)} values"
            raise ValueError(msg)
        out = np.empty((), self.numpy)
        for each, part in zip(_PARTS, value, strict=True):
            out[each] = self.part.cast_fill(part)
        return out[()]


def name_of(dtype: np.dtype[Any]) -> str | None:
    """Return the name of the data type that a NumPy dtype was made for, or None.

    >>> name_of(SmallComplex("complex_float16").numpy)
    'complex_float16'
    """
    if dtype.names != _PARTS or not dtype.metadata:
        return None
    name = dtype.metadata.get(_MARK)
    if name not in NAMES or SmallComplex(name).numpy != dtype:
        return None
    return str(name)


def as_pairs(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return numbers as an array of a dtype of ``SmallComplex``; records are returned as they are.

    Raise TypeError for values that are neither.

    >>> as_pairs([1j], SmallComplex("complex_float16").numpy)["imag"].tolist()
    [1.0]
    """
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    if isinstance(first, tuple):
        return value
    found = np.asarray(value)
    if found.dtype.names is not None:
        return value
    if found.dtype.kind in "SUTmM":
        msg = f"cannot assign {found.dtype} to complex numbers"
        raise TypeError(msg)
    if found.dtype.kind == "O":
        found = found.astype(complex)
    out = np.zeros(found.shape, dtype)
    if found.dtype.kind == "c":
        out["real"], out["imag"] = found.real, found.imag
    else:
        out["real"], out["imag"] = found, 0
    return out


def as_numbers(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array of a dtype of ``SmallComplex`` as ``complex64``, which has all its values.

    >>> as_numbers(np.array([(1, 2)], SmallComplex("complex_float16").numpy))
    array([1.+2.j], dtype=complex64)
    """
    out = np.empty(array.shape, np.complex64)
    out.real, out.imag = array["real"], array["imag"]
    return out
