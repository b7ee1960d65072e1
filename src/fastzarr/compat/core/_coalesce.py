"""Parts of a value, requested together where the gaps between them are small."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence


@dataclass(frozen=True, slots=True)
class RangeByteRequest:
    """The bytes from ``start`` up to, and without, ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OffsetByteRequest:
    """All bytes from ``offset`` on."""

    offset: int


@dataclass(frozen=True, slots=True)
class SuffixByteRequest:
    """The last ``suffix`` bytes."""

    suffix: int


ByteRequest: TypeAlias = RangeByteRequest | OffsetByteRequest | SuffixByteRequest
Group: TypeAlias = list[tuple[int, RangeByteRequest]]
Single: TypeAlias = tuple[int, ByteRequest | None]
Found: TypeAlias = tuple[tuple[int, Any], ...]


def coalesce_ranges(
    byte_ranges: Sequence[ByteRequest | None], *, max_gap_bytes: int, max_coalesced_bytes: int
) -> tuple[list[Group], list[Single]]:
    """Return the ranges in groups that are requested together, and the requests of other kinds.

    Two ranges are in one group if at most ``max_gap_bytes`` are between them, and the group has at
    most ``max_coalesced_bytes``. Each request has its index in ``byte_ranges``.

    >>> ranges = [RangeByteRequest(8, 9), RangeByteRequest(0, 4), None]
    >>> coalesce_ranges(ranges, max_gap_bytes=4, max_coalesced_bytes=100)[1]
    [(2, None)]
    """
    ranges: Group = []
    singles: list[Single] = []
    for index, request in enumerate(byte_ranges):
        if isinstance(request, RangeByteRequest):
            ranges.append((index, request))
        else:
            singles.append((index, request))
    groups: list[Group] = []
    start = end = 0
    for index, request in sorted(ranges, key=lambda item: item[1].start):
        last = max(end, request.end)
        if groups and request.start - end <= max_gap_bytes and last - start <= max_coalesced_bytes:
            groups[-1].append((index, request))
            end = last
        else:
            groups.append([(index, request)])
            start, end = request.start, request.end
    return groups, singles


def _spanned(group: Group) -> RangeByteRequest:
    """Return the range of a whole group."""
    if len(group) == 1:
        return group[0][1]
    return RangeByteRequest(group[0][1].start, max(request.end for _, request in group))


def _divided(group: Group, found: Any) -> Found:
    """Return the parts of the bytes of a group."""
    if len(group) == 1:
        return ((group[0][0], found),)
    first = group[0][1].start
    return tuple((index, found[one.start - first : one.end - first]) for index, one in group)


async def coalesced_get(
    fetch: Callable[[ByteRequest | None], Awaitable[Any]],
    byte_ranges: Sequence[ByteRequest | None],
    *,
    max_concurrency: int,
    max_gap_bytes: int,
    max_coalesced_bytes: int,
) -> AsyncGenerator[Found, None]:
    """Return the parts of a value as they come, each with the index of its request.

    What one call of ``fetch`` has brought comes together. Raise an exception group of all errors,
    with FileNotFoundError if ``fetch`` returns None.
    """
    groups, singles = coalesce_ranges(
        byte_ranges, max_gap_bytes=max_gap_bytes, max_coalesced_bytes=max_coalesced_bytes
    )
    room = asyncio.Semaphore(max_concurrency)

    async def bring(wanted: ByteRequest | None) -> Any:
        async with room:
            found = await fetch(wanted)
        if found is None:
            raise FileNotFoundError
        return found

    async def bring_group(group: Group) -> Found:
        return _divided(group, await bring(_spanned(group)))

    async def bring_single(single: Single) -> Found:
        return ((single[0], await bring(single[1])),)

    if not byte_ranges:
        return
    try:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(bring_group(group)) for group in groups]
            started += [tasks.create_task(bring_single(single)) for single in singles]
            for task in asyncio.as_completed(started):
                yield await task
    except BaseExceptionGroup as errors:
        # A caller who wants no more parts closes this generator.
        others = errors.split(GeneratorExit)[1]
        if others is not None:
            raise others from None


def coalesced_get_sync(
    fetch: Callable[[ByteRequest | None], Any],
    byte_ranges: Sequence[ByteRequest | None],
    *,
    max_gap_bytes: int,
    max_coalesced_bytes: int,
) -> list[tuple[int, Any]]:
    """Return the parts of a value, each with the index of its request.

    Raise an exception group with FileNotFoundError if ``fetch`` returns None.
    """
    groups, singles = coalesce_ranges(
        byte_ranges, max_gap_bytes=max_gap_bytes, max_coalesced_bytes=max_coalesced_bytes
    )
    parts: list[tuple[int, Any]] = []
    missing = False
    for index, request in singles:
        found = fetch(request)
        missing = missing or found is None
        parts.append((index, found))
    for group in groups:
        found = fetch(_spanned(group))
        if found is None:
            missing = True
        else:
            parts += _divided(group, found)
    if missing:
        msg = "parts of a value could not be read"
        raise BaseExceptionGroup(msg, [FileNotFoundError("the key is missing")])
    return parts
