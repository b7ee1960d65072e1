"""``zarr.core.dtype.npy.time``: times and durations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Self, TypedDict, TypeGuard

import numpy as np

from fastzarr.compat.core.dtype.common import DTypeConfig_V2, HasEndianness
from fastzarr.compat.core.dtype.npy.common import (
    DATETIME_UNIT,
    DateTimeUnit,
    check_json_int,
    endianness_to_numpy_str,
    get_endianness_from_numpy_dtype,
)
from fastzarr.compat.core.dtype.npy.shared import FixedSize, invalid_scalar, is_config
from fastzarr.compat.core.dtype.wrapper import DType, Scalar

TimeDeltaLike = str | int | bytes | np.timedelta64 | timedelta | None
DateTimeLike = str | int | bytes | np.datetime64 | datetime | None
_MICRO = "\u03bcs"


class TimeConfig(TypedDict):
    """The configuration of a time or a duration in format 3."""

    unit: DateTimeUnit
    scale_factor: int


DateTime64JSON_V2 = TimeDelta64JSON_V2 = DTypeConfig_V2[str, None]
DateTime64JSON_V3 = TimeDelta64JSON_V3 = dict[str, Any]


def datetime_from_int(data: int, *, unit: Any, scale_factor: int) -> np.datetime64:
    """Return the time that is this number of steps after 1970.

    >>> str(datetime_from_int(1, unit="D", scale_factor=10))
    '1970-01-11'
    """
    time: np.datetime64 = np.int64(data).view(f"datetime64[{scale_factor}{unit}]")
    return time


def datetimelike_to_int(data: Any) -> int:
    """Return the number of steps of a time or a duration.

    >>> datetimelike_to_int(np.timedelta64(3, "s"))
    3
    """
    return int(data.view(np.int64))


def check_json_time(data: Any) -> TypeGuard[Any]:
    """Whether a value is the JSON of a time: an integer or ``"NaT"``.

    >>> check_json_time("NaT")
    True
    """
    return check_json_int(data) or bool(data == "NaT")


@dataclass(frozen=True, kw_only=True)
class TimeDTypeBase(FixedSize[DType, Scalar], HasEndianness, Generic[DType, Scalar]):
    """Base class of times and durations, in steps of ``scale_factor`` times ``unit``."""

    _zarr_v2_names: ClassVar[tuple[str, ...]]
    _numpy_name: ClassVar[str]
    _likes: ClassVar[Any]

    scale_factor: int = 1
    unit: DateTimeUnit = "generic"

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown unit, or a factor out of range."""
        if self.scale_factor < 1:
            msg = f"scale_factor must be > 0, got {self.scale_factor}."
            raise ValueError(msg)
        if self.scale_factor >= 2**31:
            msg = f"scale_factor must be < 2147483648, got {self.scale_factor}."
            raise ValueError(msg)
        if self.unit not in DATETIME_UNIT:
            msg = f"unit must be one of {DATETIME_UNIT}, got {self.unit!r}."
            raise ValueError(msg)
        if self.unit == _MICRO:
            object.__setattr__(self, "unit", "us")

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        unit: Any
        unit, factor = np.datetime_data(dtype)
        order = get_endianness_from_numpy_dtype(dtype)
        return cls(unit=unit, scale_factor=factor, endianness=order)

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        dtype = np.dtype(f"{self._numpy_name}[{self.scale_factor}{self.unit}]")
        return dtype.newbyteorder(endianness_to_numpy_str(self.endianness))

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        if not isinstance(name, str) or not name.startswith(cls._zarr_v2_names):
            return False
        return len(name) == 3 or (name[4:-1].endswith(DATETIME_UNIT) and name[-1] == "]")

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return is_config(data, cls._zarr_v3_name, "unit", "scale_factor")

    @classmethod
    def _of_json_v3(cls, data: Any) -> Self:
        return cls(**data["configuration"])

    def _name_v2(self) -> Any:
        name = self.to_native_dtype().str
        # NumPy leaves out the factor of a unit that has no length.
        hidden = self.unit == "generic" and self.scale_factor != 1
        return f"{name}[{self.scale_factor}generic]" if hidden else name

    def _config_v3(self) -> dict[str, Any] | None:
        return {"unit": self.unit, "scale_factor": self.scale_factor}

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, self._likes)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        if isinstance(data, np.datetime64 | np.timedelta64) and np.isnat(data):
            data = "NaT"
        return self.to_native_dtype().type(data, f"{self.scale_factor}{self.unit}")

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given: NaT."""
        return self._cast_scalar_unchecked("NaT")

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> int:  # noqa: ARG002
        """Return a value as the JSON of a fill value: its number of steps."""
        return datetimelike_to_int(data)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        if check_json_time(data):
            return self._cast_scalar_unchecked(data)
        raise invalid_scalar(data, "an integer")


@dataclass(frozen=True, kw_only=True)
class TimeDelta64(TimeDTypeBase[np.dtypes.TimeDelta64DType, np.timedelta64]):
    """Durations."""

    dtype_cls = np.dtypes.TimeDelta64DType
    _zarr_v3_name = "numpy.timedelta64"
    _zarr_v2_names = (">m8", "<m8")
    _numpy_name = "timedelta64"
    _likes = TimeDeltaLike


@dataclass(frozen=True, kw_only=True)
class DateTime64(TimeDTypeBase[np.dtypes.DateTime64DType, np.datetime64]):
    """Times since 1970."""

    dtype_cls = np.dtypes.DateTime64DType
    _zarr_v3_name = "numpy.datetime64"
    _zarr_v2_names = (">M8", "<M8")
    _numpy_name = "datetime64"
    _likes = DateTimeLike

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        if isinstance(data, int):
            return datetime_from_int(data, unit=self.unit, scale_factor=self.scale_factor)
        return super()._cast_scalar_unchecked(data)
