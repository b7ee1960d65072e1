"""The ``scale_offset`` codec: an offset is subtracted from each number, then it is multiplied.

Rules of this file:

* ``offset`` and ``scale`` are numbers of the array's data type, in the JSON of its fill value.
* Floats are calculated in their own type. A finite number whose result is none is an error.
* Integers are calculated exactly. A result out of range is an error, and so is a stored number that
  is not a multiple of the scale.
* The fill value is encoded like any element.

Specification: zarr-extensions, ``codecs/scale_offset``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.checked import show
from fastzarr.codecs.base import FAST, ArrayArrayCodec
from fastzarr.codecs.numbers import described, real_numbers
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.codecs.base import ChunkSpec, Native

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class ScaleOffsetCodec(ArrayArrayCodec):
    """Stores ``(x - offset) * scale`` for each element ``x``.

    Both are numbers, or strings as in the JSON of a fill value, such as ``"0x3dcccccd"``. It is
    usually followed by ``cast_value``.

    >>> import fastzarr
    >>> from fastzarr.codecs import CastValueCodec
    >>> z = fastzarr.create_array(
    ...     {},
    ...     shape=2,
    ...     dtype="f8",
    ...     fill_value=20,
    ...     filters=[ScaleOffsetCodec(offset=20, scale=10), CastValueCodec(data_type="int8")],
    ...     zarr_format=3,
    ... )
    >>> z[:] = [20.5, 19.04]
    >>> z[:].tolist()
    [20.5, 19.0]
    """

    name: ClassVar[str] = "scale_offset"
    cacheable: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    offset: float | str = 0
    scale: float | str = 1

    def __post_init__(self) -> None:
        """Validate that both may be numbers."""
        for name in ("offset", "scale"):
            value = getattr(self, name)
            if isinstance(value, np.number):
                object.__setattr__(self, name, value.item())
            elif isinstance(value, bool) or not isinstance(value, (int, float, str)):
                msg = f"must be a number, or one as a string, got {show(value)}"
                raise MetadataError(msg, name)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"offset": self.offset, "scale": self.scale}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if the data type lacks one of the numbers."""
        self._scalars(spec)
        self.encoded_spec(spec)
        return self

    def native_typed(self, spec: ChunkSpec) -> list[Native] | None:
        """Return the codec of elements, or None if the extension lacks the data type."""
        numbers, members = real_numbers(spec.dtype, "scales"), self._scalars(spec)
        if numbers.code is None:
            return None
        return [(self.name, [described(numbers, value) for value in members], numbers.code)]

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec with the fill value encoded."""
        fill = np.asarray(spec.fill, spec.dtype.numpy)
        try:
            return replace(spec, fill=self.encode(fill, spec)[()])
        except CodecError as error:
            msg = f"the fill value cannot be encoded: {error}"
            raise MetadataError(msg) from None

    def encode(self, array: Array, spec: ChunkSpec) -> Array:
        """Return the array with its elements scaled; raise ``CodecError`` if one has no result."""
        offset, scale = self._scalars(spec)
        if real_numbers(spec.dtype, "scales").kind == "f":
            return self._floats(array, lambda x: (x - offset) * scale, "encoded")
        low, high = int(offset), int(scale)
        return self._integers(array, lambda x: (x - low) * high, "encoded")

    def decode(self, array: Array, spec: ChunkSpec) -> Array:
        """Return the elements as they were; raise ``CodecError`` as ``encode`` does."""
        offset, scale = self._scalars(spec)
        if real_numbers(spec.dtype, "scales").kind == "f":
            return self._floats(array, lambda x: x / scale + offset, "decoded")
        low, high = int(offset), int(scale)
        rest = array.reshape(-1).astype(object) % high
        if np.any(rest != 0):
            raise self._wrong(array, (rest != 0).reshape(array.shape), "decoded")
        return self._integers(array, lambda x: x // high + low, "decoded")

    def _scalars(self, spec: ChunkSpec) -> tuple[Any, Any]:
        """Return the offset and the scale as elements."""
        real_numbers(spec.dtype, "scales")
        offset = spec.dtype.fill_from_json(self.offset, 3, "offset")
        scale = spec.dtype.fill_from_json(self.scale, 3, "scale")
        if not scale:
            msg = "must not be 0"
            raise MetadataError(msg, "scale")
        return offset, scale

    def _floats(self, array: Array, result: Callable[[Any], Any], what: str) -> Array:
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        with np.errstate(all="ignore"):
            found: Array = np.asarray(result(native)).astype(native.dtype, copy=False)
        wrong = np.isfinite(native) & ~np.isfinite(found)
        if wrong.any():
            raise self._wrong(array, wrong, what)
        return found.astype(array.dtype, copy=False)

    def _integers(self, array: Array, result: Callable[[Any], Any], what: str) -> Array:
        if not array.size:
            return array
        # Small integers of ml_dtypes have no iinfo of NumPy, but their own bounds in int64.
        exact = result(array.reshape(-1).astype(object))
        found: Array
        with np.errstate(all="ignore"):
            found = (exact % 2**64).astype(np.uint64).view(np.int64).astype(array.dtype)
        wrong = found.astype(object) != exact
        if np.any(wrong):
            raise self._wrong(array, wrong.reshape(array.shape), what)
        return found.reshape(array.shape)

    def _wrong(self, array: Array, wrong: Any, what: str) -> CodecError:
        first = array[wrong.astype(bool)].reshape(-1)[0]
        msg = (
            f"{first} cannot be {what} with offset {self.offset} and scale {self.scale}: the "
            "result is not a number of the data type"
        )
        return CodecError(msg)
