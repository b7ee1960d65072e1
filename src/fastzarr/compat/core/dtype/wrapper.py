"""``zarr.core.dtype.wrapper``: the abstract class of data types, which other packages derive from.

Rules of this file:

* Every data type has ``inner``, the data type of fastzarr that describes the same elements. That of
  a class of another package is made from its methods (``adapted.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.core.dtype.adapted import Adapted

if TYPE_CHECKING:
    from fastzarr.dtypes import DataType

TBaseScalar = np.generic | str | bytes
TBaseDType = np.dtype[Any]

DType = TypeVar("DType")
Scalar = TypeVar("Scalar")


@dataclass(frozen=True, kw_only=True)
class ZDType(ABC, Generic[DType, Scalar]):
    """Base class of data types.

    ``dtype_cls`` is the class of the NumPy dtype, and ``_zarr_v3_name`` the name in format 3.
    """

    dtype_cls: ClassVar[Any]
    _zarr_v3_name: ClassVar[str]

    @cached
    def inner(self) -> DataType:
        """The data type of fastzarr for the same elements."""
        return Adapted(self)

    @classmethod
    def _check_native_dtype(cls, dtype: Any) -> bool:
        return type(dtype) is cls.dtype_cls

    @classmethod
    @abstractmethod
    def from_native_dtype(cls, dtype: Any) -> Self:
        """Return the data type of a NumPy dtype.

        Raise DataTypeValidationError if the dtype is that of another class.
        """

    @abstractmethod
    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""

    @classmethod
    @abstractmethod
    def _from_json_v2(cls, data: Any) -> Self:
        """Return the data type of the JSON of format 2."""

    @classmethod
    @abstractmethod
    def _from_json_v3(cls, data: Any) -> Self:
        """Return the data type of the JSON of format 3."""

    @classmethod
    def from_json(cls, data: Any, *, zarr_format: Any) -> Self:
        """Return the data type of the JSON of a format.

        For format 2 that is a mapping of ``name`` and ``object_codec_id``. Raise
        DataTypeValidationError if the JSON is that of another class.
        """
        check_zarr_format(zarr_format)
        return cls._from_json_v2(data) if zarr_format == 2 else cls._from_json_v3(data)

    @abstractmethod
    def to_json(self, zarr_format: Any) -> Any:
        """Return the JSON of the data type in a format."""

    @abstractmethod
    def _check_scalar(self, data: object) -> bool:
        """Whether a value can be converted to a scalar of this type."""

    @abstractmethod
    def cast_scalar(self, data: object) -> Scalar:
        """Return a value as a scalar of this type; raise TypeError if that is not possible."""

    @abstractmethod
    def default_scalar(self) -> Scalar:
        """Return the scalar that is the fill value if none is given."""

    @abstractmethod
    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Scalar:
        """Return the scalar of the JSON of a fill value."""

    @abstractmethod
    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value."""


def check_zarr_format(zarr_format: Any) -> None:
    """Raise ValueError unless a format is 2 or 3.

    >>> check_zarr_format(3)
    """
    if zarr_format not in (2, 3):
        msg = f"zarr_format must be 2 or 3, got {zarr_format}"
        raise ValueError(msg)


def scalar_failed_type_check_msg(cls_instance: Any, bad_scalar: object) -> str:
    """Return the message of an error for a value that cannot be a scalar of a data type."""
    return (
        f"The value {bad_scalar!r} failed a type check. "
        f"It cannot be safely cast to a scalar compatible with {cls_instance}"
    )
