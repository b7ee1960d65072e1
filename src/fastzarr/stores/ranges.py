"""Byte ranges of a value, and the answers to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastzarr.stores.capabilities import Value

# A request for a range costs about as much time as this many bytes more of another one.
_GAP = 128 << 10
#: Longer ranges are requested one by one, so that they come at the same time.
LONG = 8 << 20


def clip_range(start: int, length: int | None, size: int) -> tuple[int, int]:
    """Return the start and the end of a byte range in a value of ``size`` bytes.

    Raise ``BaseZarrError`` for a negative length.

    >>> clip_range(-3, None, 10), clip_range(8, 5, 10), clip_range(20, 1, 10)
    ((7, 10), (8, 10), (10, 10))
    """
    if length is not None and length < 0:
        msg = f"the length of a byte range must be at least 0, not {length}"
        raise BaseZarrError(msg)
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, size if length is None else min(first + length, size)


def joined(
    starts: Sequence[int], sizes: Sequence[int], gap: int = _GAP, most: int = LONG
) -> Iterator[list[int]]:
    """Yield the numbers of ranges that are best requested together, each group in order.

    The gaps inside a group have at most ``gap`` bytes, and all of it at most ``most``, unless it is
    a single range.

    >>> list(joined([90, 0, 10, 60], [10, 5, 10, 5], gap=5, most=50))
    [[1, 2], [3], [0]]
    """
    group: list[int] = []
    first = last = 0
    for number in sorted(range(len(starts)), key=lambda number: (starts[number], sizes[number])):
        start, stop = starts[number], starts[number] + sizes[number]
        if group and (start - last > gap or max(stop, last) - first > most):
            yield group
            group = []
        if not group:
            first = last = start
        group.append(number)
        last = max(last, stop)
    if group:
        yield group


def answered(
    found: Iterable[tuple[int, Value | None]], count: int
) -> Iterator[tuple[int, Value | None]]:
    """Yield the answers of a ``fetch``; raise RuntimeError if there are fewer than ``count``.

    Otherwise a value that a store leaves out would pass for a missing one.

    >>> list(answered([(0, None)], 2))
    Traceback (most recent call last):
        ...
    RuntimeError: the store did not answer 1 of 2 requests
    """
    left = set(range(count))
    for answer in found:
        left.discard(answer[0])
        yield answer
    if left:
        raise _left_out(len(left), count)


def only(found: Iterable[tuple[int, Value | None]]) -> Value | None:
    """Return the answer of a ``fetch`` to a single request; raise as ``answered`` does.

    >>> only([(0, None)]) is None
    True
    """
    for number, value in found:
        if number == 0:
            return value
    raise _left_out(1, 1)


def _left_out(left: int, count: int) -> RuntimeError:
    return RuntimeError(f"the store did not answer {left} of {count} requests")
