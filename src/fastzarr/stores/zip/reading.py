"""The values of members, and parts of them, by reads of the archive.

Rules of this file:

* What is to be read is requested step by step, by generators: a caller answers each request of
  bytes of the archive, by a read, a request to a server, or one that is awaited.
* The data of a member starts behind its local header, whose length only the header says. Where a
  read is a request, the header is requested together with the data.
* A value that is read as a whole is checked. A part is not, because the checksum is of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.errors import ArchiveError
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.zip import format as zf
from fastzarr.stores.zip.members import check_readable, checked_value

if TYPE_CHECKING:
    from collections.abc import Generator

    from fastzarr.stores.zip.format import Entry
    from fastzarr.stores.zip.source import RemoteSource

    Steps = Generator[tuple[int, int], bytes, bytes]

# A local header may have longer extra fields than the directory; those of times are usual.
_MORE = 64


def whole(entry: Entry) -> Steps:
    """Return the value of a member; requests are offsets and sizes in the archive."""
    check_readable(entry)
    if entry.start >= 0:
        data = yield entry.start, entry.stored
    else:
        record = zf.CENTRAL.unpack_from(entry.raw)
        size = zf.LOCAL.size + sum(record[10:12]) + _MORE + entry.stored
        found = yield entry.offset, size
        start = _start(entry, found)
        data = found[start : start + entry.stored]
        if len(data) < entry.stored:
            data += yield entry.start + len(data), entry.stored - len(data)
    return checked_value(entry, data)


def part(entry: Entry, start: int, length: int | None) -> Steps:
    """Return a part of the value of a member; ``start`` and ``length`` are those of a Request."""
    first, last = clip_range(start, length, entry.size)
    if entry.method != zf.STORED or (first, last) == (0, entry.size):
        value = yield from whole(entry)
        return value[first:last]
    check_readable(entry)
    if entry.start < 0:
        _start(entry, (yield entry.offset, zf.LOCAL.size + len(entry.name)))
    if first == last:
        return b""
    return (yield entry.start + first, last - first)


def _start(entry: Entry, raw: bytes) -> int:
    """Find out where the data of a member starts; return its offset behind that of the header."""
    header = zf.Header(raw)
    zf.check_header(header, entry)
    length: int = header.length
    entry.start = entry.offset + length
    return length


def read(steps: Steps, reader: Any) -> bytes:
    """Return what steps lead to, by reads of a file."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(reader.read(*wanted))
    except StopIteration as done:
        found: bytes = done.value
        return found


async def awaited(steps: Steps, source: RemoteSource) -> bytes:
    """Return what steps lead to, by awaited requests to another store."""
    fetch: Any = source.store.fetch_async
    try:
        first, size = next(steps)
        while True:
            first, size = source.clipped(first, size)
            found: Value | None = await fetch(Request(source.key, first, size))
            first, size = steps.send(source.checked(found, first, size))
    except StopIteration as done:
        value: bytes = done.value
        return value


def explained(error: ArchiveError, key: str, store: object) -> ArchiveError:
    """Return an error of a member with its key."""
    return ArchiveError(f"{key!r} in {store} cannot be read: {error}")
