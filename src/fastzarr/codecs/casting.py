"""Numbers of one type as numbers of another, by value: the twin of the extension's ``cast_value``.

Rules of this file:

* A result is found exactly, and rounded once. Floats are compared as float64, which holds each of
  them; integers that float64 does not hold are compared as Python's.
* ``cast`` returns the results and, for each, whether there is one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastzarr.codecs.numbers import Numbers

    Array = np.ndarray[Any, Any]

ROUNDINGS = (
    "nearest-even",
    "towards-zero",
    "towards-positive",
    "towards-negative",
    "nearest-away",
)
_WHOLE = {
    "nearest-even": np.rint,
    "towards-zero": np.trunc,
    "towards-positive": np.ceil,
    "towards-negative": np.floor,
}
_TABLE_BITS = 16
_LONG = 8


def cast(
    array: Array,
    to: np.dtype[Any],
    kinds: tuple[Numbers, Numbers],
    rounding: str,
    beyond: str | None,
) -> tuple[Array, Array]:
    """Return the numbers as those of the dtype ``to``, and whether each has a result.

    ``kinds`` are the numbers of both types. ``beyond`` is what becomes of a number out of range.
    """
    given, wanted = kinds
    with np.errstate(all="ignore"):
        if wanted.kind == "f":
            return _to_floats(array, to, kinds, rounding, beyond)
        if given.kind == "f":
            return _to_integers(array.astype(np.float64), to, wanted, rounding, beyond)
        return _between_integers(array, to, kinds, beyond)


def bounds(numbers: Numbers) -> tuple[int, int]:
    """Return the least and the greatest integer of a type."""
    if numbers.kind == "u":
        return 0, 2**numbers.bits - 1
    return -(2 ** (numbers.bits - 1)), 2 ** (numbers.bits - 1) - 1


def _between_integers(
    array: Array, to: np.dtype[Any], kinds: tuple[Numbers, Numbers], beyond: str | None
) -> tuple[Array, Array]:
    given, wanted = kinds
    wide = array.astype(np.uint64 if given.kind == "u" else np.int64)
    low, high = bounds(wanted)
    least, most = bounds(given)
    fits = np.ones(wide.shape, bool)
    if low > least:
        fits &= wide >= low
    if high < most:
        fits &= wide <= high
    if beyond == "clamp":
        return wide.clip(max(low, least), min(high, most)).astype(to), np.ones_like(fits)
    if beyond == "wrap":
        return _wrapped(wide.view(np.uint64), wanted, to), np.ones_like(fits)
    return wide.astype(to), fits


def _to_integers(
    array: Array, to: np.dtype[Any], wanted: Numbers, rounding: str, beyond: str | None
) -> tuple[Array, Array]:
    if rounding == "nearest-away":
        size = np.abs(array)
        cut = np.floor(size)
        whole = np.copysign(cut + (size - cut >= 0.5), array)
    else:
        whole = _WHOLE[rounding](array)
    low, high = bounds(wanted)
    below, above = whole < float(low), whole >= float(high + 1)
    fits = ~(below | above | np.isnan(array))
    plain = np.where(fits, whole, 0.0)
    words = np.where(plain < 0, plain.astype(np.int64).view(np.uint64), plain.astype(np.uint64))
    if beyond == "clamp":
        words = np.where(below, np.uint64(low % 2**64), words)
        words = np.where(above, np.uint64(high), words)
        fits = ~np.isnan(array)
    elif beyond == "wrap":
        rest = np.fmod(np.where(np.isfinite(whole), whole, 0.0), 2.0**64)
        turned = (~np.abs(rest).astype(np.uint64)) + np.uint64(1)
        words = np.where(rest < 0, turned, np.abs(rest).astype(np.uint64))
        fits = np.isfinite(array)
    return _wrapped(words, wanted, to), fits


def _wrapped(words: Array, wanted: Numbers, to: np.dtype[Any]) -> Array:
    """Return the lowest bits of words as integers."""
    unused = np.uint64(64 - wanted.bits)
    shifted: Array = words << unused
    if wanted.kind == "i":
        return (shifted.view(np.int64) >> unused.astype(np.int64)).astype(to)
    return (shifted >> unused).astype(to)


def _to_floats(
    array: Array,
    to: np.dtype[Any],
    kinds: tuple[Numbers, Numbers],
    rounding: str,
    beyond: str | None,
) -> tuple[Array, Array]:
    given, wanted = kinds
    size = max(wanted.size * 8, wanted.bits)
    if size <= _TABLE_BITS:
        found, large = _by_table(array.astype(np.float64), to, wanted, rounding)
        if given.kind == "f":
            found = np.where(np.isnan(array), np.array(np.nan).astype(to), found)
    else:
        found, large = _by_neighbours(array, to, given, rounding)
    nan, infinite = (np.zeros(array.shape, bool),) * 2
    if given.kind == "f":
        nan, infinite = np.isnan(array), np.isinf(array)
    has_nan, largest, has_infinity = _limits(to, wanted)
    sign = np.where(array < 0, -1.0, 1.0)
    beyond_all = (large & ~infinite) if has_infinity else (large | infinite)
    most = np.inf if has_infinity else largest
    found = np.where(large | infinite, (sign * most).astype(to), found)
    fits = ~beyond_all if beyond != "clamp" else np.ones(array.shape, bool)
    if not has_nan:
        fits &= ~nan
    return found.astype(to, copy=False), fits


def _by_neighbours(
    array: Array, to: np.dtype[Any], given: Numbers, rounding: str
) -> tuple[Array, Array]:
    """Return the numbers as float32 or float64, and whether each is too large for it."""
    near, finite = array.astype(to), np.ones(array.shape, bool)
    if given.kind == "f":
        finite = np.isfinite(array)
    exact: Any = array.astype(np.float64)
    if given.kind != "f" and given.size == _LONG:
        # Not every integer of 64 bits is a float64.
        exact = array.astype(object)
    back = _like(exact, near)
    if rounding == "nearest-even":
        return near, np.isinf(near) & finite
    over, under = _is(back > exact), _is(back < exact)
    lower = np.where(over, np.nextafter(near, to.type(-np.inf)), near)
    upper = np.where(under, np.nextafter(near, to.type(np.inf)), near)
    if rounding == "towards-positive":
        found = upper
    elif rounding == "towards-negative":
        found = lower
    else:
        positive = _is(exact > 0)
        inner = np.where(positive, lower, upper)
        outer = np.where(positive, upper, lower)
        if rounding == "towards-zero":
            found = inner
        else:
            tie = _is(abs(exact - _like(exact, inner)) == abs(_like(exact, outer) - exact))
            found = np.where((over | under) & tie, outer, near)
    next_one = 2.0 ** float(np.finfo(to).maxexp) if np.finfo(to).maxexp < 1024 else np.inf
    large = np.isinf(found) | _is(abs(exact) >= next_one)
    return found.astype(to, copy=False), large & finite


def _like(exact: Any, numbers: Array) -> Any:
    """Return finite floats as float64, or as integers of Python if the exact numbers are these."""
    if exact.dtype != object:
        return numbers.astype(np.float64)
    return np.array([int(number) for number in numbers.tolist()], dtype=object)


def _is(found: Any) -> Array:
    """Return truth values as an array, which those of objects are not."""
    array: Array = np.asarray(found).astype(bool)
    return array


@lru_cache(maxsize=32)
def _table(to: np.dtype[Any], bits: int) -> tuple[Array, Array]:
    """Return the finite numbers of a small float of at least zero in order, and as float64."""
    word = np.dtype(f"=u{to.itemsize}")
    every = np.arange(2**bits, dtype=word).view(to)
    values = every.astype(np.float64)
    kept = np.isfinite(values) & ~np.signbit(values)
    order = np.argsort(values[kept], kind="stable")
    return every[kept][order], values[kept][order]


@lru_cache(maxsize=64)
def _limits(to: np.dtype[Any], numbers: Numbers) -> tuple[bool, float, bool]:
    """Return whether a float type has NaN, its largest number, and whether it has infinities."""
    if numbers.bits > _TABLE_BITS:
        return True, float(np.finfo(to).max), True
    every = np.arange(2**numbers.bits, dtype=np.dtype(f"=u{to.itemsize}")).view(to)
    values = every.astype(np.float64)
    largest = float(values[np.isfinite(values)].max())
    return bool(np.isnan(values).any()), largest, bool(np.isinf(values).any())


def _by_table(
    array: Array, to: np.dtype[Any], wanted: Numbers, rounding: str
) -> tuple[Array, Array]:
    """Return the numbers as small floats, and whether each is too large for them."""
    every, values = _table(to, wanted.bits)
    negative, size = np.signbit(array), np.abs(array)
    size = np.where(np.isfinite(size), size, 0.0)
    upper = np.minimum(np.searchsorted(values, size), values.size - 1)
    lower = np.where((values[upper] > size) & (upper > 0), upper - 1, upper)
    down, up = size - values[lower], values[upper] - size
    inexact = (down != 0) & (up != 0)
    # Numbers that are rounded up beyond the greatest one are too large, and so are those from the
    # next one on that a larger exponent would allow.
    step = values[-1] - values[-2]
    large = size >= values[-1] + step
    away = {"towards-positive": ~negative, "towards-negative": negative}.get(rounding)
    if away is not None:
        found, large = np.where(away, upper, lower), large | ((size > values[-1]) & away)
    elif rounding == "towards-zero":
        found = lower
    else:
        even = np.where(lower % 2 == 0, lower, upper)
        tied = even if rounding == "nearest-even" else upper
        found = np.where(down < up, lower, np.where(up < down, upper, tied))
        large = size >= values[-1] + step / 2
    found = np.where(inexact, found, np.where(up == 0, upper, lower))
    result = every[found]
    signed = -result if np.signbit(-every[:1].astype(np.float64))[0] else result
    return np.where(negative, signed, result).astype(to, copy=False), large
