"""The bytes of a zip archive: local headers, the directory of members, and its end record.

Rules of this file:

* Nothing is read or written here. Functions convert bytes to values and values to bytes.
* A directory is accepted as a whole or not at all. Its entries must lie before it, must not
  overlap, and must have names that are valid keys. Of several with one name the last one counts.
* The record of an entry is kept as it is, so that an archive of another program keeps its comments
  and attributes when the directory is written again.
* Sizes and offsets of 4 GiB and more, and 65,535 entries and more, are written in the fields of
  zip64, and only then.

Specification: PKWARE's APPNOTE, version 6.3.10.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from fastzarr.errors import ArchiveError, BaseZarrError
from fastzarr.native import native_or
from fastzarr.stores.keys import TEMPORARY_SUFFIX, validate_key

if TYPE_CHECKING:
    from collections.abc import Sequence

STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
#: The methods of compression that have names, for messages.
METHODS = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    95: "xz",
    98: "ppmd",
    99: "AES encryption",
    STORED: "store",
    DEFLATED: "deflate",
    BZIP2: "bzip2",
    LZMA: "lzma",
    ZSTD: "zstd",
}

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
LOCAL_SIGNATURE, CENTRAL_SIGNATURE = b"PK\3\4", b"PK\1\2"
END_SIGNATURE, END64_SIGNATURE, LOCATOR_SIGNATURE = b"PK\5\6", b"PK\6\6", b"PK\6\7"

#: The bits of a member's flags: encrypted, sizes behind the data, strongly encrypted, UTF-8.
ENCRYPTED, BEHIND, STRONGLY, UTF8 = 1, 1 << 3, 1 << 6, 1 << 11
_SECRET = ENCRYPTED | STRONGLY
# That LZMA data has a marker at its end.
_MARKED = 1 << 1
_ZIP64, _UNICODE = 0x0001, 0x7075
#: The largest name of a member, and the values that refer to the fields of zip64.
LONGEST = 0xFFFF
_MANY, _LARGE = 0xFFFF, 0xFFFFFFFF
#: The most bytes between the end of the directory and the end of the file.
TAIL = END.size + 0xFFFF + LOCATOR.size + END64.size
# The date of members in the local time of the writer, which starts in 1980.
_EPOCH = 1980
# Unix, and version 4.5 of the specification; a regular file that its owner may write.
_MADE_BY, _NEEDED, _ATTRIBUTES = 3 << 8 | 45, 45, 0o100644 << 16


class DamagedError(ArchiveError):
    """Raised for a directory whose records cannot be read."""


class Entry:
    """A member of an archive; ``start`` is the offset of its data, or negative if not known yet."""

    __slots__ = (
        *("crc", "flags", "method", "name", "offset", "plain", "raw", "size", "start", "stored"),
    )

    def __init__(
        self,
        raw: bytes,
        name: bytes,
        method: int,
        flags: int,
        crc: int,
        stored: int,
        size: int,
        offset: int,
    ) -> None:
        """Initialise with its record in the directory, and what that says."""
        self.raw, self.name, self.method = raw, name, method
        self.flags, self.crc = flags, crc
        #: Whether the data is not encrypted.
        self.plain = not flags & _SECRET
        #: The number of bytes in the archive, and of the value.
        self.stored, self.size = stored, size
        #: The offset of the local header.
        self.offset, self.start = offset, -1

    @property
    def in_place(self) -> bool:
        """Whether the stored bytes are the value."""
        return not self.method and self.size == self.stored and self.plain

    def is_folder(self) -> bool:
        """Whether the entry is that of a folder."""
        return self.name.endswith(b"/") and not self.size

    def place(self) -> tuple[int, int]:
        """Return where the member starts, and the least offset where it may end."""
        return self.offset, self.offset + LOCAL.size + len(self.name) + self.stored


#: The entries of an archive by key; one that is None was deleted.
Entries: TypeAlias = dict[str, Entry | None]


class Ending:
    """What the end record of an archive says."""

    __slots__ = ("comment", "count", "shift", "size", "start")

    def __init__(self, count: int, size: int, start: int, shift: int, comment: bytes) -> None:
        """Initialise; ``shift`` is the number of bytes before the archive in its file."""
        self.count, self.size, self.start, self.shift = count, size, start, shift
        self.comment = comment


def find_ending(tail: bytes, file_size: int) -> Ending | None:
    """Return the end record that ends at the end of a file, of which ``tail`` are the last bytes.

    Return None if there is none. Raise ArchiveError for an archive in several files.
    """
    at = len(tail)
    while True:
        at = tail.rfind(END_SIGNATURE, 0, at)
        if at < 0:
            return None
        if at + END.size <= len(tail):
            comment = END.unpack_from(tail, at)[-1]
            found = None
            if at + END.size + comment == len(tail):
                found = _ending(tail, at, file_size)
            if found is not None:
                return found


def _ending(tail: bytes, at: int, file_size: int) -> Ending | None:
    _, disk, first, here, count, size, start, _ = END.unpack_from(tail, at)
    before = file_size - len(tail) + at
    locator = at - LOCATOR.size
    if locator >= 0 and tail.startswith(LOCATOR_SIGNATURE, locator):
        wide = locator - END64.size
        if wide < 0 or not tail.startswith(END64_SIGNATURE, wide):
            return None
        _, _, _, _, disk, first, here, count, size, start = END64.unpack_from(tail, wide)
        before -= LOCATOR.size + END64.size
    if disk or first or here != count:
        msg = "it is one of several files of a split archive; join them first"
        raise ArchiveError(msg)
    if count * CENTRAL.size > size or before - size < start:
        return None
    comment = tail[at + END.size :]
    return Ending(count, size, before - size, before - size - start, comment)


def read_directory(
    raw: bytes, ending: Ending, hidden: list[Entry], folders: list[Entry]
) -> Entries:
    """Return the entries of a directory from its bytes.

    Those to which later ones have given their names are added to ``hidden``, and those of folders
    to ``folders``.

    Raise ArchiveError if its records are damaged or overlap, or if a name is not a valid key.
    """
    if not ending.shift:
        native = native_or(None)
        read = zip_directory if native is None else native.zip_directory
        plain: Entries | None = read(raw, ending.count, ending.start)
        if plain is not None:
            return plain
    entries: Entries = {}
    places: list[tuple[int, int]] = []
    at = 0
    for number in range(ending.count):
        found, at = read_record(raw, at, number, ending.shift)
        places.append(found.place())
        key = key_of(found, found.name)
        if key is not None:
            before = entries.pop(key, None)
            if before is not None:
                hidden.append(before)
            entries[key] = found
        elif found.is_folder():
            folders.append(found)
    if at != len(raw):
        msg = f"its directory has {len(raw) - at} bytes behind its {ending.count} entries"
        raise DamagedError(msg)
    check_places(places, ending.start)
    return entries


def zip_directory(raw: bytes, count: int, end: int) -> Entries | None:
    """Return the members of a directory that ends before ``end``, if all are plain; None if not.

    Only the extension does so. Here, each entry is looked at.
    """
    del raw, count, end
    return None


def zip_places(members: Entries, keys: Sequence[str]) -> list[Any] | None:
    """Return the members that have these keys, None for those that are missing.

    Return None if a value is not stored as it is, or if not the extension has read its entry.
    """
    found = [members.get(key) for key in keys]
    told = (one is None or (type(one) is not Entry and one.in_place) for one in found)
    return found if all(told) else None


def read_record(raw: bytes, at: int, number: int, shift: int = 0) -> tuple[Entry, int]:
    """Return the entry whose record starts at ``at``, and where the next one starts."""
    if len(raw) - at < CENTRAL.size or not raw.startswith(CENTRAL_SIGNATURE, at):
        msg = f"entry {number} of its directory is damaged"
        raise DamagedError(msg)
    record = CENTRAL.unpack_from(raw, at)
    _, _, _, flags, method, _, _, crc, stored, size, name, extra, comment, disk, _, _, offset = (
        record
    )
    first = at + CENTRAL.size + name
    last = first + extra + comment
    if last > len(raw):
        msg = f"entry {number} of its directory is damaged"
        raise DamagedError(msg)
    if _LARGE in (stored, size, offset):
        wide = fields_of(raw[first : first + extra]).get(_ZIP64, b"")
        size, stored, offset = _widened(wide, [size, stored, offset], number)
    if disk not in (0, _MANY):
        msg = f"entry {number} of its directory is in another file of a split archive"
        raise ArchiveError(msg)
    entry = Entry(
        raw[at:last],
        raw[at + CENTRAL.size : first],
        method,
        flags,
        crc,
        stored,
        size,
        offset + shift,
    )
    if shift:
        entry.raw = moved(entry, entry.offset)
    return entry, last


def _widened(wide: bytes, values: list[int], number: int) -> list[int]:
    """Return values, those of zip64 replaced by its fields."""
    at = 0
    for index, value in enumerate(values):
        if value == _LARGE:
            if at + 8 > len(wide):
                msg = f"entry {number} of its directory lacks the fields of zip64"
                raise DamagedError(msg)
            values[index] = int.from_bytes(wide[at : at + 8], "little")
            at += 8
    return values


def fields_of(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields of a record; a damaged rest is ignored."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def key_of(entry: Entry, raw: bytes) -> str | None:
    """Return the key of an entry with a name.

    Return None for a folder and for a leftover of an unfinished write.

    Raise ArchiveError for a name that is not a valid key.
    """
    if entry.is_folder():
        return None
    try:
        plain = entry.flags & UTF8 or raw.isascii()
        name = raw.decode("utf-8" if plain else "cp437")
    except UnicodeDecodeError:
        msg = f"the name {raw!r} of a member is not UTF-8"
        raise ArchiveError(msg) from None
    if not plain:
        name = _unicode_name(entry) or name
    try:
        validate_key(name)
    except BaseZarrError as error:
        if TEMPORARY_SUFFIX in name:
            return None
        msg = f"it has a member with an invalid name: {error}"
        raise ArchiveError(msg) from None
    return name


def _unicode_name(entry: Entry) -> str:
    """Return the name in the extra field of Info-ZIP, or ``""``."""
    length, extra = CENTRAL.unpack_from(entry.raw)[10:12]
    first = CENTRAL.size + length
    return (
        fields_of(entry.raw[first : first + extra]).get(_UNICODE, b"")[5:].decode(errors="ignore")
    )


def check_places(places: list[tuple[int, int]], start: int) -> None:
    """Raise ArchiveError if members overlap, or reach into the directory."""
    places.sort()
    last = 0
    for first, end in places:
        if first < last:
            msg = f"two members overlap at byte {first}"
            raise ArchiveError(msg)
        last = end
    if last > start:
        msg = f"a member reaches to byte {last}, into the directory at byte {start}"
        raise ArchiveError(msg)


def has_holes(entries: Sequence[Entry], start: int, end: int, comment: bytes) -> bool:
    """Whether an archive has other bytes than its members from ``start``, and a directory."""
    at = start
    for first, last in sorted(entry.place() for entry in entries):
        if first != at:
            return True
        at = last
    size = sum(len(entry.raw) for entry in entries)
    return at + size + len(end_records(len(entries), size, at, comment)) < end


# Writing


def encoded(key: str) -> tuple[bytes, int]:
    """Return the name of a member for a key, and its flags.

    Raise BaseZarrError if it is too long for an archive.
    """
    name = key.encode()
    if len(name) > LONGEST - 64:
        msg = f"the key {key[:64]!r}... has {len(name)} bytes, more than a zip archive can name"
        raise BaseZarrError(msg)
    return name, 0 if name.isascii() else UTF8


def new_member(
    key: str, method: int, crc: int, stored: int, size: int, offset: int
) -> tuple[bytes, Entry]:
    """Return the local header of a new member, and its entry."""
    name, flags = encoded(key)
    flags |= _MARKED if method == LZMA else 0
    now = time.localtime()[:6]
    date = max(now[0] - _EPOCH, 0) << 9 | now[1] << 5 | now[2]
    clock = now[3] << 11 | now[4] << 5 | now[5] // 2
    fields = (flags, method, clock, date, crc)
    header = _local(name, fields, stored, size, b"")
    record = _record(name, (_MADE_BY, *fields), (stored, size, offset), (0, _ATTRIBUTES), b"", b"")
    entry = Entry(record, name, method, flags, crc, stored, size, offset)
    entry.start = offset + len(header)
    return header, entry


def _local(name: bytes, fields: tuple[int, ...], stored: int, size: int, extra: bytes) -> bytes:
    if max(stored, size) >= _LARGE:
        extra = struct.pack("<2H2Q", _ZIP64, 16, size, stored) + extra
        stored = size = _LARGE
    lengths = (stored, size, len(name), len(extra))
    return LOCAL.pack(LOCAL_SIGNATURE, _NEEDED, *fields, *lengths) + name + extra


def _record(
    name: bytes,
    fields: tuple[int, ...],
    places: tuple[int, int, int],
    attributes: tuple[int, int],
    extra: bytes,
    comment: bytes,
) -> bytes:
    stored, size, offset = places
    wide = b"".join(struct.pack("<Q", n) for n in (size, stored, offset) if n >= _LARGE)
    if wide:
        extra = struct.pack("<2H", _ZIP64, len(wide)) + wide + extra
    made, *others = fields
    sizes = (min(stored, _LARGE), min(size, _LARGE), len(name), len(extra), len(comment), 0)
    end = (*attributes, min(offset, _LARGE))
    record = CENTRAL.pack(CENTRAL_SIGNATURE, made, _NEEDED, *others, *sizes, *end)
    return record + name + extra + comment


def moved(entry: Entry, offset: int) -> bytes:
    """Return the record of an entry whose local header is at another offset.

    The header at that offset must have the sizes, as that of ``header_of`` has.
    """
    record = CENTRAL.unpack_from(entry.raw)
    _, made, _, flags, method, clock, date, crc, _, _, length, extra, _, _, inner, outer, _ = record
    first = CENTRAL.size + length
    fields = _without_zip64(entry.raw[first : first + extra])
    comment = entry.raw[first + extra :]
    flags &= ~BEHIND
    return _record(
        entry.name,
        (made, flags, method, clock, date, crc),
        (entry.stored, entry.size, offset),
        (inner, outer),
        fields,
        comment,
    )


def _without_zip64(extra: bytes) -> bytes:
    found = {kind: data for kind, data in fields_of(extra).items() if kind != _ZIP64}
    return b"".join(struct.pack("<2H", kind, len(data)) + data for kind, data in found.items())


def header_of(entry: Entry) -> bytes:
    """Return a local header for an entry, with its sizes."""
    _, _, _, flags, method, clock, date, *_ = CENTRAL.unpack_from(entry.raw)
    fields = (flags & ~BEHIND, method, clock, date, entry.crc)
    return _local(entry.name, fields, entry.stored, entry.size, b"")


def is_wide(entry: Entry) -> bool:
    """Whether an entry needs the fields of zip64."""
    return max(entry.stored, entry.size, entry.offset) >= _LARGE


def end_records(count: int, size: int, start: int, comment: bytes = b"") -> bytes:
    """Return what follows a directory of so many entries and bytes that starts at ``start``."""
    wide = b""
    if needs_zip64(count, size, start):
        body = (END64.size - 12, _MADE_BY, _NEEDED, 0, 0, count, count, size, start)
        wide = END64.pack(END64_SIGNATURE, *body)
        wide += LOCATOR.pack(LOCATOR_SIGNATURE, 0, start + size, 1)
    count, size, start = min(count, _MANY), min(size, _LARGE), min(start, _LARGE)
    fields = (0, 0, count, count, size, start, len(comment))
    return wide + END.pack(END_SIGNATURE, *fields) + comment


def needs_zip64(count: int, size: int, start: int) -> bool:
    """Whether the end record of a directory needs the fields of zip64."""
    return count >= _MANY or max(size, start) >= _LARGE


class Header:
    """A local header; the sizes are unknown, and negative, if they are behind the data."""

    __slots__ = ("crc", "extra", "flags", "length", "method", "name", "size", "stored")

    def __init__(self, raw: bytes) -> None:
        """Initialise with the bytes of a whole header.

        Raise ArchiveError if they are none.
        """
        if len(raw) < LOCAL.size or not raw.startswith(LOCAL_SIGNATURE):
            msg = "there is no local header"
            raise ArchiveError(msg)
        found: Any = LOCAL.unpack_from(raw)
        _, _, self.flags, self.method, _, _, self.crc, self.stored, self.size, name, extra = found
        self.length = LOCAL.size + name + extra
        self.name = raw[LOCAL.size : LOCAL.size + name]
        self.extra = raw[LOCAL.size + name : self.length]
        if len(raw) >= self.length and _LARGE in (self.stored, self.size):
            wide = fields_of(self.extra).get(_ZIP64, b"")
            self.size, self.stored = _widened(wide, [self.size, self.stored], 0)
        if self.flags & BEHIND and not self.stored:
            self.size = self.stored = -1


def check_header(header: Header, entry: Entry) -> None:
    """Raise ArchiveError if a local header is not that of an entry."""
    same = header.name == entry.name and header.method == entry.method
    if same and header.stored >= 0 and not header.flags & BEHIND:
        # Large sizes are in a field that need not have been read.
        sizes = ((header.stored, entry.stored), (header.size, entry.size))
        same = header.crc == entry.crc
        same = same and all(here in (there, _LARGE) for here, there in sizes)
    if not same:
        msg = "its local header differs from the directory: the archive is damaged"
        raise ArchiveError(msg)


def record_of(header: Header, offset: int, start: int) -> Entry:
    """Return an entry for a member whose local header is at ``offset``, without a directory."""
    fields = (_MADE_BY, header.flags & ~BEHIND, header.method, 0, 1 << 5 | 1, header.crc)
    places = (header.stored, header.size, offset)
    record = _record(header.name, fields, places, (0, _ATTRIBUTES), b"", b"")
    entry = Entry(
        record,
        header.name,
        header.method,
        header.flags,
        header.crc,
        header.stored,
        header.size,
        offset,
    )
    entry.start = start
    return entry
