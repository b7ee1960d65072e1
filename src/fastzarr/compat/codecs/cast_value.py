"""``cast_value`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from fastzarr.codecs.cast_value import CastValueCodec as _CastValue
from fastzarr.compat.codecs._dress import ArrayArrayDress, dress
from fastzarr.compat.core.dtype import get_data_type_from_json

if TYPE_CHECKING:
    from fastzarr.codecs.base import ChunkSpec
    from fastzarr.compat.core.array_spec import ArraySpec

RoundingMode = Literal[
    "nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away"
]
OutOfRangeMode = Literal["clamp", "wrap"]
CAST_VALUE_RS_MIN_VERSION: Final = "0.4.2"

_BITS = (2, 4, 8, 16, 32, 64)
CAST_VALUE_INT_DTYPES: Final = {f"{kind}{bits}" for kind in ("int", "uint") for bits in _BITS}
# fmt: off
CAST_VALUE_FLOAT_DTYPES: Final = {
    "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
    "float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    "bfloat16", "float16", "float32", "float64",
}
# fmt: on
PERMITTED_DATA_TYPE_NAMES: Final = CAST_VALUE_INT_DTYPES | CAST_VALUE_FLOAT_DTYPES
_DIRECTIONS = ("encode", "decode")


def parse_scalar_map(obj: Any) -> dict[str, Any]:
    """Return a scalar map as mappings of what is replaced to what replaces it.

    >>> parse_scalar_map({"encode": [("NaN", 0)]})
    {'encode': {'NaN': 0}}
    """
    given = {name: obj[name] for name in _DIRECTIONS if obj.get(name) is not None}
    return {name: dict(pairs) for name, pairs in given.items()}


@dress
@dataclass(frozen=True, init=False)
class CastValue(ArrayArrayDress):
    """Elements as numbers of another data type.

    >>> CastValue(data_type="uint8").to_dict()
    {'name': 'cast_value', 'configuration': {'data_type': 'uint8'}}
    """

    name: ClassVar[str] = "cast_value"
    kind: ClassVar[Any] = _CastValue
    is_fixed_size = True

    dtype: Any
    rounding: RoundingMode
    out_of_range: OutOfRangeMode | None
    scalar_map: Any

    def __init__(
        self,
        *,
        data_type: Any,
        rounding: RoundingMode = "nearest-even",
        out_of_range: OutOfRangeMode | None = None,
        scalar_map: Any = None,
    ) -> None:
        """Initialise with the data type of stored elements, and what to do with others."""
        dtype = data_type
        if isinstance(data_type, str):
            dtype = get_data_type_from_json(data_type, zarr_format=3)
        if dtype.to_json(zarr_format=3) not in PERMITTED_DATA_TYPE_NAMES:
            msg = (
                f"Invalid target data type {data_type!r}. cast_value codec only supports integer "
                f"and floating-point data types. Got {dtype}."
            )
            raise ValueError(msg)
        found = {
            "dtype": dtype,
            "rounding": rounding,
            "out_of_range": out_of_range,
            "scalar_map": None if scalar_map is None else parse_scalar_map(scalar_map),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        found: dict[str, Any] = {"data_type": self.dtype.to_json(zarr_format=3)}
        if self.rounding != "nearest-even":
            found["rounding"] = self.rounding
        if self.out_of_range is not None:
            found["out_of_range"] = self.out_of_range
        if self.scalar_map is not None:
            found["scalar_map"] = {
                name: list(pairs.items()) for name, pairs in self.scalar_map.items()
            }
        return found

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError unless both data types are of numbers and have those of the map."""
        del shape, chunk_grid
        names = {
            "source": dtype.to_json(zarr_format=3),
            "target": self.dtype.to_json(zarr_format=3),
        }
        for role, name in names.items():
            if name not in PERMITTED_DATA_TYPE_NAMES:
                msg = (
                    "The cast_value codec only supports integer and floating-point data types. "
                    f"Got {role} dtype {name}."
                )
                raise ValueError(msg)
        if self.out_of_range == "wrap" and names["target"] not in CAST_VALUE_INT_DTYPES:
            msg = (
                "out_of_range='wrap' is only valid for integer target types. Got target dtype "
                f"{names['target']}."
            )
            raise ValueError(msg)
        kinds = dict(zip(_DIRECTIONS, ((dtype, self.dtype), (self.dtype, dtype)), strict=True))
        for direction, pairs in (self.scalar_map or {}).items():
            for pair in pairs.items():
                for role, value, of in zip(("key", "value"), pair, kinds[direction], strict=True):
                    _check_number(value, of, f"scalar_map {direction} {role}")

    def _described(self, encoded: ChunkSpec, chunk_spec: ArraySpec) -> ArraySpec:
        return replace(chunk_spec, dtype=self.dtype, fill_value=encoded.fill)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the size of as many elements of the other data type."""
        dtype: Any = chunk_spec.dtype
        if dtype.to_json(zarr_format=3) not in PERMITTED_DATA_TYPE_NAMES:
            msg = (
                "cast_value codec only supports fixed-size integer and floating-point data types. "
                f"Got source dtype: {dtype}."
            )
            raise ValueError(msg)
        count = input_byte_length // dtype.to_native_dtype().itemsize
        return int(count * self.dtype.to_native_dtype().itemsize)


def _check_number(value: Any, dtype: Any, what: str) -> None:
    try:
        dtype.from_json_scalar(value, zarr_format=3)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{what} {value!r} is not representable in dtype {dtype.to_native_dtype()}."
        raise ValueError(msg) from error
