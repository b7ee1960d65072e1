"""Times and durations as in NumPy: 64-bit counts of a scaled unit.

Rules of this file:

* ``generic`` is also a unit: a plain count without a time scale. Only integers and NaT convert to
  it. Its scale factor has no effect, and is kept: NumPy leaves it out of ``dtype.str``.
* A fill value is written as its count. NaT is written as -2^63; "NaT" is accepted too.
* A time out of the range of its unit raises OverflowError, where NumPy would wrap around.

Source: ``numpy.datetime64`` and ``numpy.timedelta64`` of zarr-extensions.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from fastzarr.checked import as_int, check_members, member, show
from fastzarr.dtypes.base import ORDERS, DataType, assign, is_integer
from fastzarr.dtypes.numeric import integer
from fastzarr.errors import DataTypeValidationError

Unit = Literal["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"]
UNITS: tuple[str, ...] = get_args(Unit)
# Two spellings of microseconds: with the Greek small letter mu, and with the micro sign.
_MICRO = ("\u03bcs", "\u00b5s")
_LARGEST_SCALE = 2**31 - 1


def spelled(dtype: np.dtype[Any]) -> str:
    """Return ``dtype.str`` of a time or a duration, with any scale factor.

    >>> spelled(np.dtype("M8[2generic]")), spelled(np.dtype("M8[2s]"))
    ('<M8[2generic]', '<M8[2s]')
    """
    unit, scale = np.datetime_data(dtype)
    return f"{dtype.str}[{scale}{unit}]" if unit == "generic" and scale != 1 else dtype.str


def _no_unit(unit: object) -> str:
    return f"{show(unit)} is not a valid unit; units are {', '.join(UNITS)}"


class Time(DataType):
    """Base class of the data types with a unit and a scale factor."""

    code: ClassVar[str]

    def __init__(
        self,
        *,
        unit: Unit = "generic",
        scale_factor: int = 1,
        endianness: Literal["little", "big"] | None = None,
    ) -> None:
        """Initialise with a step of ``scale_factor`` times ``unit``.

        ``endianness`` is ``"little"``, ``"big"``, or None for native order. Raise
        DataTypeValidationError for an unknown unit or a scale factor out of range.
        """
        numpy = np.dtype(f"{ORDERS[endianness]}{self.code}")
        unit = "us" if unit in _MICRO else unit
        if unit not in UNITS:
            raise DataTypeValidationError(_no_unit(unit))
        as_int(scale_factor, "scale_factor", 1, _LARGEST_SCALE, DataTypeValidationError)
        if unit != "generic" or scale_factor != 1:
            numpy = np.dtype(f"{numpy.str}[{scale_factor}{unit}]")
        name = "numpy.datetime64" if self.code == "M8" else "numpy.timedelta64"
        super().__init__(numpy, name, multibyte=True)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the data type with a configuration of ``unit`` and ``scale_factor``."""
        check_members(config, {"unit": True, "scale_factor": True}, where, DataTypeValidationError)
        unit, scale = config["unit"], config["scale_factor"]
        if unit not in UNITS and unit not in _MICRO:
            raise DataTypeValidationError(_no_unit(unit), member(where, "unit"))
        place = member(where, "scale_factor")
        as_int(scale, place, 1, _LARGEST_SCALE, DataTypeValidationError)
        return cls(unit=unit, scale_factor=scale)

    @property
    def unit(self) -> str:
        """The unit as in NumPy, such as ``"ms"``, or ``"generic"``.

        >>> duration = TimeDelta64(unit="s", scale_factor=10)
        >>> duration.unit
        's'
        """
        return np.datetime_data(self.numpy)[0]

    @property
    def scale_factor(self) -> int:
        """The number of units in one step.

        >>> duration = TimeDelta64(unit="s", scale_factor=10)
        >>> duration.scale_factor
        10
        """
        return np.datetime_data(self.numpy)[1]

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given: NaT."""
        return self._count(np.iinfo(np.int64).min)

    def to_v3(self) -> str | dict[str, Any]:
        """Return the ``data_type`` member of a ``zarr.json``."""
        config = {"unit": self.unit, "scale_factor": self.scale_factor}
        return {"name": self.name, "configuration": config}

    def to_v2(self) -> str:
        """Return the ``dtype`` member of a ``.zarray``."""
        return spelled(self.numpy)

    def _key(self) -> tuple[object, ...]:
        # NumPy takes generic dtypes of all scale factors for equal.
        return (*super()._key(), self.scale_factor)

    def _count(self, count: int) -> Any:
        return np.array(count, np.int64).view(self.numpy.newbyteorder("="))[()]

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return int(fill.view(np.int64))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if value == "NaT":
            return self.default_fill
        count = integer(value, zarr_format)
        if count is None or not -(2**63) <= count < 2**63:
            self._refuse(value, 'expected an integer of 64 bits or "NaT"', where)
        return self._count(count)

    def _cast(self, value: Any) -> Any:
        if is_integer(value):
            return self._count(int(value))
        if isinstance(value, str) and value.lower() == "nat":
            # NumPy 2.5 warns of a NaT that has no unit.
            return self.default_fill
        if isinstance(value, np.inexact):
            # NumPy would take the integral part of its own scalars, and refuses those of Python.
            value = value.item()
        # NumPy picks a unit that represents the value exactly; the range check below relies on it.
        if isinstance(value, (str, dt.date)) and self.code == "M8":
            value = np.datetime64(value)
        elif isinstance(value, dt.timedelta):
            value = np.timedelta64(value)
        if not isinstance(value, (np.datetime64, np.timedelta64)):
            return assign(self.numpy, value)
        if np.isnat(value):
            return self.default_fill
        target = self.numpy.newbyteorder("=")
        if not np.can_cast(value.dtype, target, "same_kind"):
            msg = f"{value.dtype.name} does not convert to {target.name}"
            raise TypeError(msg)
        cast = value.astype(target)
        if np.can_cast(value.dtype, target) and cast.astype(value.dtype) != value:
            msg = f"the value is out of range for {target.name}"
            raise OverflowError(msg)
        return cast


class DateTime64(Time):
    """Times since 1970, in steps of ``scale_factor`` times ``unit``.

    >>> DateTime64(unit="ms", scale_factor=10).numpy
    dtype('<M8[10ms]')
    """

    code = "M8"


class TimeDelta64(Time):
    """Durations, in steps of ``scale_factor`` times ``unit``.

    >>> TimeDelta64(unit="ms").numpy
    dtype('<m8[ms]')
    """

    code = "m8"
