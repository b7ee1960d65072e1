"""What the data types of this package have in common.

Rules of this file:

* A class says which JSON and which scalars are its own, and how it makes itself from them; the
  errors, and the form of the JSON, are the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.core.dtype.adapted import Adapted
from fastzarr.compat.core.dtype.common import (
    HasEndianness,
    HasItemSize,
    check_dtype_spec_no_object_codec_v2,
    v3_unstable_dtype_warning,
)
from fastzarr.compat.core.dtype.npy.common import (
    endianness_to_numpy_str,
    get_endianness_from_numpy_dtype,
)
from fastzarr.compat.core.dtype.wrapper import DType, Scalar, ZDType, check_zarr_format
from fastzarr.dtypes import from_numpy
from fastzarr.errors import DataTypeValidationError

if TYPE_CHECKING:
    from fastzarr.dtypes import DataType


@dataclass(frozen=True, kw_only=True)
class NumPyType(ZDType[DType, Scalar], Generic[DType, Scalar]):
    """Base class of the data types that have a dtype of NumPy."""

    #: The id of the codec that format 2 stores the elements with, if they are objects.
    object_codec_id: ClassVar[str | None] = None
    #: The class itself, if it is one of this package; other packages may derive from it.
    own: ClassVar[Any] = None
    #: Whether no specification of format 3 has this data type.
    unstable: ClassVar[bool] = False

    @cached
    def inner(self) -> DataType:
        """The data type of fastzarr for the same elements."""
        # A class that is derived from one of these may have other names and other scalars.
        return self._make_inner() if self.own is type(self) else Adapted(self)

    def _make_inner(self) -> DataType:
        return from_numpy(self.to_native_dtype(), object_codec_id=self.object_codec_id)

    @classmethod
    def from_native_dtype(cls, dtype: Any) -> Self:
        """Return the data type of a NumPy dtype.

        Raise DataTypeValidationError if the dtype is that of another class.
        """
        if not cls._check_native_dtype(dtype):
            msg = f"Invalid data type: {dtype}. Expected an instance of {cls.dtype_cls}"
            raise DataTypeValidationError(msg)
        return cls._of_native(dtype)

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        made: Any = cls
        if issubclass(made, HasEndianness):
            made = partial(made, endianness=get_endianness_from_numpy_dtype(dtype))
        found: Self = made()
        return found

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        dtype = self.dtype_cls()
        order = getattr(self, "endianness", None)
        return dtype if order is None else dtype.newbyteorder(endianness_to_numpy_str(order))

    @classmethod
    def _check_json_v2(cls, data: Any) -> bool:
        raise NotImplementedError

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return bool(data == cls._zarr_v3_name)

    @classmethod
    def _from_json_v2(cls, data: Any) -> Self:
        if not cls._check_json_v2(data):
            cls._refuse_json(data, 2)
        return cls._of_json_v2(data)

    @classmethod
    def _from_json_v3(cls, data: Any) -> Self:
        if not cls._check_json_v3(data):
            cls._refuse_json(data, 3)
        return cls._of_json_v3(data)

    @classmethod
    def _of_json_v2(cls, data: Any) -> Self:
        return cls.from_native_dtype(np.dtype(data["name"]))

    @classmethod
    def _of_json_v3(cls, data: Any) -> Self:  # noqa: ARG003  (others have a configuration in it)
        return cls()

    @classmethod
    def _refuse_json(cls, data: Any, zarr_format: int) -> NoReturn:
        msg = f"Invalid JSON representation of {cls.__name__} in format {zarr_format}. Got {data!r}"
        raise DataTypeValidationError(msg)

    def to_json(self, zarr_format: Any) -> Any:
        """Return the JSON of the data type in a format."""
        check_zarr_format(zarr_format)
        if zarr_format == 2:
            return {"name": self._name_v2(), "object_codec_id": self.object_codec_id}
        if self.unstable:
            v3_unstable_dtype_warning(self)
        config = self._config_v3()
        name = self._zarr_v3_name
        return name if config is None else {"name": name, "configuration": config}

    def _name_v2(self) -> Any:
        return self.to_native_dtype().str

    def _config_v3(self) -> dict[str, Any] | None:
        return None

    def cast_scalar(self, data: object) -> Any:
        """Return a value as a scalar of this type; raise TypeError if that is not possible."""
        if self._check_scalar(data):
            return self._cast_scalar_unchecked(data)
        msg = (
            f"Cannot convert object {data!r} with type {type(data)} to a scalar compatible with "
            f"the data type {self}."
        )
        raise TypeError(msg)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        return self.to_native_dtype().type(data)

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given."""
        return self._cast_scalar_unchecked(0)


@dataclass(frozen=True, kw_only=True)
class FixedSize(NumPyType[DType, Scalar], HasItemSize, Generic[DType, Scalar]):
    """Base class of the data types whose elements have one size."""

    @classmethod
    def _check_json_v2(cls, data: Any) -> bool:
        return check_dtype_spec_no_object_codec_v2(data) and cls._is_name_v2(data["name"])

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        raise NotImplementedError

    @property
    def item_size(self) -> int:
        """The size of an element in bytes."""
        size: int = self.to_native_dtype().itemsize
        return size


@dataclass(frozen=True, kw_only=True)
class Number(FixedSize[DType, Scalar], Generic[DType, Scalar]):
    """Base class of the numbers."""

    _zarr_v2_names: ClassVar[tuple[str, ...]]

    @classmethod
    def _check_native_dtype(cls, dtype: Any) -> bool:
        # NumPy has several classes for integers of the same size.
        return type(dtype) is cls.dtype_cls or bool(dtype == cls.dtype_cls())

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return name in cls._zarr_v2_names

    def _name_v2(self) -> Any:
        if hasattr(self, "endianness"):
            return self.to_native_dtype().str
        return self._zarr_v2_names[0]


@dataclass(frozen=True, kw_only=True)
class Inexact(Number[DType, Scalar], HasEndianness, Generic[DType, Scalar]):
    """Numbers whose JSON is read and written by fastzarr, which keeps the bits of a NaN."""

    def _native(self) -> Any:
        return self.inner.native()

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value."""
        check_zarr_format(zarr_format)
        return self._native().fill_to_json(self.cast_scalar(data), zarr_format)


def is_config(data: Any, name: str, *members: str) -> bool:
    """Whether JSON is an object of ``name`` and a configuration with exactly these members.

    >>> is_config({"name": "x", "configuration": {"a": 1}}, "x", "a")
    True
    """
    if not isinstance(data, dict) or set(data) != {"name", "configuration"}:
        return False
    config = data["configuration"]
    return data["name"] == name and isinstance(config, dict) and set(config) == set(members)


def invalid_scalar(data: Any, expected: str) -> TypeError:
    """Return the error for JSON that is not that of a scalar."""
    return TypeError(f"Invalid type: {data}. Expected {expected}.")
