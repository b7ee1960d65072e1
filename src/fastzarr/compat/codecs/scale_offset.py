"""``scale_offset`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.scale_offset import ScaleOffsetCodec as _ScaleOffset
from fastzarr.compat.codecs._dress import ArrayArrayDress, dress
from fastzarr.dtypes import from_numpy


def _encode(arr: Any, offset: Any, scale: Any) -> Any:
    """Return ``(arr - offset) * scale`` without overflow."""
    return _applied("encode", arr, offset, scale)


def _decode(arr: Any, offset: Any, scale: Any, *, scale_repr: object = None) -> Any:
    """Return ``arr / scale + offset`` without overflow or rest."""
    del scale_repr
    return _applied("decode", arr, offset, scale)


def _applied(verb: str, arr: Any, offset: Any, scale: Any) -> Any:
    wide = np.result_type(arr, offset, scale)
    if arr.dtype.kind == "f" and wide != arr.dtype:
        msg = f"the numbers would have changed dtype from {arr.dtype} to {wide}"
        raise ValueError(msg)
    dtype = from_numpy(arr.dtype)
    codec = _ScaleOffset(offset=offset, scale=scale)
    found = getattr(codec, verb)(arr, ChunkSpec(arr.shape, dtype, dtype.default_fill))
    return found.astype(arr.dtype, copy=False)


def _decode_fits_natively(dtype: np.dtype[Any], offset: int, scale: int) -> bool:
    """Whether every number of a data type can be decoded as one of it."""
    info = np.iinfo(dtype)
    ends = [int(end) // scale + offset for end in (info.min, info.max)]
    return bool(info.min <= min(ends) and max(ends) <= info.max)


@dress
@dataclass(frozen=True, kw_only=True)
class ScaleOffset(ArrayArrayDress):
    """Numbers from which an offset is subtracted, and which are multiplied.

    >>> ScaleOffset(offset=20).to_dict()
    {'name': 'scale_offset', 'configuration': {'offset': 20}}
    """

    name: ClassVar[str] = "scale_offset"
    kind: ClassVar[Any] = _ScaleOffset
    configured: ClassVar[bool] = False
    is_fixed_size = True

    offset: float | str = 0
    scale: float | str = 1

    def __post_init__(self) -> None:
        """Validate the members."""
        for name in ("offset", "scale"):
            value: Any = getattr(self, name)
            if not isinstance(value, int | float | str):
                msg = f"{name} must be a number or string, got {type(value).__name__}"
                raise TypeError(msg)

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        found = {"offset": self.offset} if self.offset != 0 else {}
        return found | ({"scale": self.scale} if self.scale != 1 else {})

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError unless the elements are real numbers that include both."""
        del shape, chunk_grid
        native = dtype.to_native_dtype()
        if native.kind not in "iuf":
            msg = (
                "scale_offset codec only supports integer and floating-point data types. "
                f"Got {dtype}."
            )
            raise ValueError(msg)
        parsed: dict[str, Any] = {}
        for name in ("offset", "scale"):
            value = getattr(self, name)
            try:
                parsed[name] = dtype.from_json_scalar(value, zarr_format=3)
            except (TypeError, ValueError, OverflowError) as error:
                msg = f"scale_offset {name} value {value!r} is not representable in dtype {native}."
                raise ValueError(msg) from error
        if parsed["scale"] == 0:
            msg = "scale_offset scale must be non-zero."
            raise ValueError(msg)
