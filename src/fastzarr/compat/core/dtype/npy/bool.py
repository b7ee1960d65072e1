"""``zarr.core.dtype.npy.bool``: booleans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastzarr.compat.core.dtype.npy.shared import FixedSize


@dataclass(frozen=True, kw_only=True)
class Bool(FixedSize[np.dtypes.BoolDType, np.bool_]):
    """Booleans."""

    dtype_cls = np.dtypes.BoolDType
    _zarr_v3_name = "bool"
    _zarr_v2_name: ClassVar[str] = "|b1"

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return bool(name == cls._zarr_v2_name)

    def _name_v2(self) -> Any:
        return self._zarr_v2_name

    def _check_scalar(self, data: object) -> bool:  # noqa: ARG002  (everything has a truth value)
        return True

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> bool:  # noqa: ARG002
        """Return a value as the JSON of a fill value."""
        return bool(data)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        return np.bool_(data)
