"""``scale_offset`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastzarr.codecs.scale_offset import ScaleOffsetCodec as _ScaleOffset
from fastzarr.compat.codecs._dress import ArrayArrayDress, dress


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
