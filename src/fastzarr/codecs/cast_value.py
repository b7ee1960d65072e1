"""The ``cast_value`` codec: each element as a number of another data type.

Rules of this file:

* Values are converted, not bits. ``scalar_map`` is applied first, and its numbers are not cast.
* A NaN that becomes an integer is an error, whatever the configuration, unless it is mapped. So is
  an infinity, unless it is clamped. A finite number out of a float's range is clamped to infinity.
* The fill value is encoded like any element. If it does not come back, a warning says so: chunks
  that are not stored then differ from stored ones.

Specification: zarr-extensions, ``codecs/cast_value``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from fastzarr.checked import as_object, choice, deviation, fail, member, show
from fastzarr.codecs.base import FAST, ArrayArrayCodec, ChunkSpec
from fastzarr.codecs.casting import ROUNDINGS, cast
from fastzarr.codecs.numbers import Numbers, described, real_numbers
from fastzarr.dtypes import from_numpy
from fastzarr.dtypes.base import DataType
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.codecs.base import Native

    Array = np.ndarray[Any, Any]

_DIRECTIONS = ("encode", "decode")
_BEYOND = ("clamp", "wrap")
_PAIR = 2


@dataclass(frozen=True, kw_only=True)
class CastValueCodec(ArrayArrayCodec):
    """Stores elements as numbers of ``data_type``.

    ``rounding`` is used if the type has no such number. ``out_of_range`` is ``"clamp"``, ``"wrap"``
    for integers, or None if a number out of range is an error. ``scalar_map`` has the members
    ``encode`` and ``decode``: lists of pairs, of which the second replaces the first.

    >>> import fastzarr
    >>> codec = CastValueCodec(data_type="uint8", scalar_map={"encode": [["NaN", 255]]})
    >>> z = fastzarr.create_array(
    ...     {}, shape=3, dtype="f4", fill_value=0, filters=[codec], zarr_format=3
    ... )
    >>> z[:] = [1.5, 2.5, float("nan")]
    >>> z[:].tolist()
    [2.0, 2.0, 255.0]
    """

    name: ClassVar[str] = "cast_value"
    cacheable: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    data_type: Any
    rounding: Literal[
        "nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away"
    ] = "nearest-even"
    out_of_range: Literal["clamp", "wrap"] | None = None
    scalar_map: Any = None

    def __post_init__(self) -> None:
        """Validate and normalise the members."""
        found = self.data_type
        if not isinstance(found, DataType):
            found = from_numpy(found)
        object.__setattr__(self, "data_type", found.native())
        numbers = _numbers(self.data_type, "data_type")
        object.__setattr__(self, "rounding", choice(self.rounding, ROUNDINGS, "rounding"))
        if self.out_of_range is not None:
            beyond = choice(self.out_of_range, _BEYOND, "out_of_range")
            if beyond == "wrap" and numbers.kind == "f":
                msg = f"'wrap' is for integers, not for {self.data_type.name!r}"
                raise MetadataError(msg, "out_of_range")
            object.__setattr__(self, "out_of_range", beyond)
        if self.scalar_map is not None:
            object.__setattr__(self, "scalar_map", _pairs(self.scalar_map))

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object, without members that have their defaults."""
        found: dict[str, Any] = {"data_type": self.data_type.to_v3()}
        if self.rounding != "nearest-even":
            found["rounding"] = self.rounding
        if self.out_of_range is not None:
            found["out_of_range"] = self.out_of_range
        if self.scalar_map is not None:
            found["scalar_map"] = {
                direction: [list(pair) for pair in pairs] for direction, pairs in self.scalar_map
            }
        return found

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if elements or the fill value cannot be cast."""
        fill, encoded = np.asarray(spec.fill, spec.dtype.numpy), self.encoded_spec(spec)
        try:
            back = self.decode(np.asarray(encoded.fill, encoded.dtype.numpy), spec)
        except CodecError as error:
            msg = f"the fill value is encoded as {encoded.fill}, which cannot be decoded: {error}"
            raise MetadataError(msg) from None
        if not spec.dtype.is_fill(np.where(back == fill, fill, back), fill[()]):
            msg = f"the fill value {fill[()]} is read as {back[()]} where it has been stored"
            deviation(msg, self.name)
        return self

    def native_typed(self, spec: ChunkSpec) -> list[Native] | None:
        """Return the codec of elements, or None if the extension cannot cast these."""
        kinds = _numbers(spec.dtype, ""), _numbers(self.data_type, "")
        codes, numbers = [kind.code for kind in kinds], []
        for direction, (given, wanted) in zip(_DIRECTIONS, (kinds, kinds[::-1]), strict=True):
            # It rounds to floats in one mode only.
            if self.rounding != "nearest-even" and not _is_exact(given, wanted):
                return None
            pairs = self._mapped(direction, spec)
            numbers.append(len(pairs))
            for before, after in pairs:
                numbers += described(given, before), described(wanted, after)
        if None in codes:
            return None
        words = [*map(str, codes), self.rounding, self.out_of_range or "error"]
        return [(self.name, numbers, " ".join(words))]

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec with the other data type and the fill value cast."""
        fill = np.asarray(spec.fill, spec.dtype.numpy)
        try:
            encoded = self.encode(fill, spec)
        except CodecError as error:
            msg = f"the fill value cannot be encoded: {error}"
            raise MetadataError(msg) from None
        return ChunkSpec(spec.shape, self.data_type, encoded[()])

    def encode(self, array: Array, spec: ChunkSpec) -> Array:
        """Return the elements as the other data type; raise ``CodecError`` if one does not fit."""
        return self._cast(array, spec.dtype, self.data_type, self._mapped("encode", spec))

    def decode(self, array: Array, spec: ChunkSpec) -> Array:
        """Return the elements as those of the array; raise ``CodecError`` if one does not fit."""
        return self._cast(array, self.data_type, spec.dtype, self._mapped("decode", spec))

    def _mapped(self, direction: str, spec: ChunkSpec) -> list[tuple[Any, Any]]:
        """Return the pairs of one direction as elements."""
        before, after = spec.dtype, self.data_type
        if direction == "decode":
            before, after = after, before
        where = member("scalar_map", direction)
        return [
            (
                before.fill_from_json(pair[0], 3, member(member(where, i), 0)),
                after.fill_from_json(pair[1], 3, member(member(where, i), 1)),
            )
            for i, pair in enumerate(dict(self.scalar_map or ()).get(direction, ()))
        ]

    def _cast(
        self, array: Array, given: DataType, wanted: DataType, mapped: list[tuple[Any, Any]]
    ) -> Array:
        kinds = _numbers(given, ""), _numbers(wanted, "")
        to = wanted.numpy.newbyteorder("=")
        flat = np.ascontiguousarray(array, given.numpy.newbyteorder("=")).reshape(-1)
        found, fits = cast(flat, to, kinds, self.rounding, self.out_of_range)
        # The first pair of several wins.
        for before, after in reversed(mapped):
            same = flat == before
            if kinds[0].kind == "f" and np.isnan(np.float64(before)):
                same = np.isnan(flat)
            found, fits = np.where(same, np.asarray(after, to), found), fits | same
        if not fits.all():
            wrong = flat[~fits][0]
            msg = f"{wrong} does not fit into {wanted.name}"
            if self.out_of_range is None and np.isfinite(np.float64(wrong)):
                msg += "; out_of_range of cast_value decides what becomes of it"
            raise CodecError(msg)
        return found.astype(to, copy=False).reshape(array.shape)


def _numbers(dtype: DataType, where: str) -> Numbers:
    try:
        return real_numbers(dtype, "casts")
    except MetadataError as error:
        raise MetadataError(str(error), where) from None


def _is_exact(given: Numbers, wanted: Numbers) -> bool:
    """Whether numbers of one type become those of another without rounding to a float."""
    if wanted.kind != "f":
        return True
    bits = given.mantissa if given.kind == "f" else given.bits - 1
    return bits is not None and wanted.mantissa is not None and bits <= wanted.mantissa


def _pairs(given: Any) -> tuple[tuple[str, tuple[tuple[Any, Any], ...]], ...]:
    """Return a scalar map as nested tuples, which can be hashed."""
    found = []
    for direction, pairs in as_object(given, "scalar_map").items():
        where = member("scalar_map", direction)
        if direction not in _DIRECTIONS:
            fail(f"is not a member of scalar_map; its members are {', '.join(_DIRECTIONS)}", where)
        listed: Any = list(pairs.items()) if isinstance(pairs, dict) else pairs
        if not isinstance(listed, (list, tuple)):
            fail(f"must be a list of pairs, got {show(pairs)}", where)
        for i, pair in enumerate(listed):
            if not isinstance(pair, (list, tuple)) or len(pair) != _PAIR:
                fail(f"must be a pair of numbers, got {show(pair)}", member(where, i))
        found.append((direction, tuple((pair[0], pair[1]) for pair in listed)))
    return tuple(found)
