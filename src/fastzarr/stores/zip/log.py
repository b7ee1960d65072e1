"""Changes of an archive as records behind its directory, and how they are found again.

Rules of this file:

* An archive is changed only by appending: new members, and *control records*. These are local
  headers of an empty member whose name no key can have, with an extra field of this package. Other
  programs do not see them, because no directory lists them.
* A change starts with a link behind the last directory. If there are other bytes before the
  archive, their number follows, so that it is not taken for an archive in a value. Members,
  deletions and batches follow, and finally a new directory. Until that is written, the last one
  remains valid, and the changes are found by reading from the link on.
* What follows a damaged or incomplete record does not count. The records of a batch count together.
* When a directory is written, and synced, its end and its checksum are put into the link before it
  and into the first link of the file. A file that ends before that was truncated, and a directory
  that differs is damaged. This is the only change in place.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from fastzarr.errors import ArchiveError
from fastzarr.stores.keys import TEMPORARY_SUFFIX
from fastzarr.stores.zip import format as zf
from fastzarr.stores.zip.members import checked_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.stores.zip.source import Reader

#: The name of control records, which is not a valid key.
CONTROL = f".log{TEMPORARY_SUFFIX}".encode()
_FIELD = 0x465A
LINK, DELETE, TREE, BATCH, SHIFT = b"L", b"D", b"T", b"B", b"S"
_SLOT = struct.Struct("<QLL")
_EMPTY = bytes(_SLOT.size)
# What a control record begins with: all but the length of its field.
_START = zf.LOCAL.size + len(CONTROL)
LINK_SIZE = _START + 4 + 5 + _SLOT.size
_SLOT_AT = LINK_SIZE - _SLOT.size
BATCH_SIZE = _START + 4 + 5 + 8
_WINDOW = 1 << 12
_SEARCHED = 1 << 20


class Change(NamedTuple):
    """A change of one key, or of all keys below it; without a key, a whole directory.

    A directory also has entries of folders, and the comment of the archive.
    """

    kind: bytes
    key: str
    entry: zf.Entry | None = None
    entries: zf.Entries | None = None
    folders: tuple[zf.Entry, ...] = ()
    comment: bytes = b""


class Slot(NamedTuple):
    """What a link says of the directory behind it; ``end`` is 0 if there is none yet."""

    end: int
    crc: int


def control(kind: bytes, body: bytes = b"") -> bytes:
    """Return a control record."""
    payload = kind + struct.pack("<L", zlib.crc32(kind + body)) + body
    if kind == LINK:
        payload += _EMPTY
    extra = struct.pack("<2H", _FIELD, len(payload)) + payload
    header = (zf.LOCAL_SIGNATURE, 10, 0, zf.STORED, 0, 1 << 5 | 1, 0, 0, 0, len(CONTROL))
    return zf.LOCAL.pack(*header, len(extra)) + CONTROL + extra


def shifted(shift: int) -> bytes:
    """Return the record behind the first link of an archive that begins after so many bytes."""
    return control(SHIFT, str(shift).encode())


def batch(size: int) -> bytes:
    """Return the record before a batch of so many bytes."""
    return control(BATCH, struct.pack("<Q", size))


def slot_bytes(end: int, directory: bytes) -> tuple[int, bytes]:
    """Return where in a link the end and the checksum of a directory are, and their bytes."""
    start = struct.pack("<QL", end, zlib.crc32(directory))
    return _SLOT_AT, start + struct.pack("<L", zlib.crc32(start))


def read_slot(raw: bytes) -> Slot | None:
    """Return what a link says; None if the bytes are no link, or say nothing valid."""
    if len(raw) < LINK_SIZE or raw[:_SLOT_AT] != control(LINK)[:_SLOT_AT]:
        return None
    slot = raw[_SLOT_AT:LINK_SIZE]
    if slot == _EMPTY:
        return Slot(0, 0)
    end, crc, check = _SLOT.unpack(slot)
    return Slot(end, crc) if zlib.crc32(slot[:12]) == check else None


def is_link(raw: bytes) -> bool:
    """Whether bytes begin with a link, whatever it says."""
    return raw[:_SLOT_AT] == control(LINK)[:_SLOT_AT]


def find_links(source: Reader, size: int) -> Iterator[int]:
    """Yield where links may be in an archive, from its end to its start."""
    wanted = control(LINK)[:_SLOT_AT]
    last = size
    while last > 0:
        first = max(last - _SEARCHED, 0)
        raw = source.read(first, min(last + _SLOT_AT - 1, size) - first)
        at = raw.rfind(wanted)
        while at >= 0:
            yield first + at
            at = raw.rfind(wanted, 0, at + _SLOT_AT - 1)
        last = first


class Replay:
    """The changes between two offsets of an archive, in order.

    ``end`` is where they end, ``link`` the last link behind which there is no directory, or -1,
    ``checked`` the end of the last directory, or -1, and ``crc`` its checksum.
    """

    def __init__(
        self,
        source: Reader,
        start: int,
        stop: int,
        *,
        link: int = -1,
        shift: int = 0,
        verify: bool = False,
    ) -> None:
        """Read the records; with ``verify``, check the data of members, too.

        ``shift`` is the number of other bytes before the archive.
        """
        self._source, self._stop, self._verify = source, stop, verify
        self._shift = shift
        self._first, self._raw = 0, b""
        self.changes: list[Change] = []
        self.end, self.link, self.checked, self.crc = start, link, -1, 0
        while self.end < stop:
            at = self._next(self.end, stop, self.changes, top=True)
            if at is None:
                break
            self.end = at

    def _bytes(self, first: int, size: int) -> bytes:
        """Return at most ``size`` bytes from ``first`` on, read in larger windows."""
        size = min(size, self._stop - first)
        inside = first - self._first
        if inside < 0 or inside + size > len(self._raw):
            wide = min(max(size, _WINDOW), self._stop - first)
            self._first, self._raw, inside = first, self._source.read(first, wide), 0
        return self._raw[inside : inside + size]

    def _next(self, at: int, stop: int, into: list[Change], *, top: bool) -> int | None:
        """Read the record at an offset; return where it ends, or None if it is none."""
        signature = self._bytes(at, 4)
        if signature != zf.LOCAL_SIGNATURE:
            return self._directory(at, into) if top else None
        try:
            header = zf.Header(self._bytes(at, zf.LOCAL.size))
            header = zf.Header(self._bytes(at, header.length))
        except ArchiveError:
            return None
        start = at + header.length
        if start > stop:
            return None
        if header.name == CONTROL:
            return self._control(header, at, start, stop, into)
        return self._member(header, at, start, stop, into)

    def _member(
        self, header: zf.Header, at: int, start: int, stop: int, into: list[Change]
    ) -> int | None:
        end: int | None = start + header.stored
        if header.stored < 0:
            end = self._end_behind(header, start, stop)
        if end is None or end > stop:
            return None
        entry = zf.record_of(header, at, start)
        try:
            key = zf.key_of(entry, entry.name)
            if self._verify and entry.plain:
                checked_value(entry, self._source.read(start, entry.stored))
        except ArchiveError:
            return None
        if key is not None:
            into.append(Change(b"", key, entry))
        return end

    def _end_behind(self, header: zf.Header, start: int, stop: int) -> int | None:
        """Return where a member ends whose sizes are behind its data, and put them in its header.

        Return None if they are not found.
        """
        if header.method != zf.DEFLATED:
            return None
        decoder = zlib.decompressobj(-15)
        at, crc, size = start, 0, 0
        try:
            while not decoder.eof:
                raw = decoder.unconsumed_tail or self._source.read(at, min(_SEARCHED, stop - at))
                if not raw:
                    return None
                if not decoder.unconsumed_tail:
                    at += len(raw)
                found = decoder.decompress(raw, _SEARCHED)
                crc, size = zlib.crc32(found, crc), size + len(found)
        except zlib.error:
            return None
        end = at - len(decoder.unused_data)
        stored = end - start
        for signature in (b"PK\7\x08", b""):
            for form in ("<3L", "<L2Q"):
                if form == "<3L" and max(stored, size) > 0xFFFFFFFF:
                    continue
                behind = signature + struct.pack(form, crc, stored, size)
                if self._bytes(end, len(behind)) == behind:
                    header.crc, header.stored, header.size = crc, stored, size
                    return end + len(behind)
        return None

    def _control(
        self, header: zf.Header, at: int, start: int, stop: int, into: list[Change]
    ) -> int | None:
        payload = zf.fields_of(header.extra).get(_FIELD, b"")
        kind, body = payload[:1], payload[5:]
        checked = kind if kind == LINK else kind + body
        if payload[1:5] != struct.pack("<L", zlib.crc32(checked)):
            return None
        if kind == LINK:
            expected = shifted(self._shift) if self._shift else b""
            if self._bytes(start, len(expected)) != expected:
                return None
            self.link = at
        elif kind == SHIFT:
            return start
        elif kind == BATCH:
            return self._batch(start, start + int.from_bytes(body, "little"), stop, into)
        else:
            into.append(Change(kind, body.decode()))
        return start

    def _batch(self, at: int, end: int, stop: int, into: list[Change]) -> int | None:
        if end > stop:
            return None
        found: list[Change] = []
        while at < end:
            following = self._next(at, end, found, top=False)
            if following is None:
                return None
            at = following
        into += found
        return end

    def _directory(self, at: int, into: list[Change]) -> int | None:
        """Read a directory with its end record."""
        entries: zf.Entries = {}
        folders: list[zf.Entry] = []
        places: list[tuple[int, int]] = []
        here, count, crc = at, 0, 0
        try:
            while self._bytes(here, 4) == zf.CENTRAL_SIGNATURE:
                sizes = zf.CENTRAL.unpack(self._bytes(here, zf.CENTRAL.size))[10:13]
                record = self._bytes(here, zf.CENTRAL.size + sum(sizes))
                entry, _ = zf.read_record(record, 0, count)
                places.append(entry.place())
                key = zf.key_of(entry, entry.name)
                if key is not None:
                    entries.pop(key, None)
                    entries[key] = entry
                elif entry.is_folder():
                    folders.append(entry)
                here, count, crc = here + len(record), count + 1, zlib.crc32(record, crc)
            zf.check_places(places, at)
        except (ArchiveError, struct.error):
            return None
        found = self._end_record(here, count)
        if found is None:
            return None
        end, comment = found
        into.append(Change(b"", "", None, entries, tuple(folders), comment))
        self.link, self.checked, self.crc, self._shift = -1, end, crc, 0
        return end

    def _end_record(self, at: int, count: int) -> tuple[int, bytes] | None:
        """Return where the end record of so many entries ends, and its comment, or None."""
        if self._bytes(at, 4) == zf.END64_SIGNATURE:
            at += zf.END64.size + zf.LOCATOR.size
        found = self._bytes(at, zf.END.size)
        if len(found) < zf.END.size or not found.startswith(zf.END_SIGNATURE):
            return None
        fields = zf.END.unpack(found)
        start, size = at + zf.END.size, fields[-1]
        comment = self._bytes(start, size)
        whole = len(comment) == size and fields[4] == min(count, 0xFFFF)
        return (start + size, comment) if whole else None


def kept(
    folders: list[zf.Entry], comment: bytes, changes: list[Change]
) -> tuple[list[zf.Entry], bytes]:
    """Return the entries of folders, and the comment, of an archive after some changes."""
    for change in changes:
        if change.entries is not None:
            folders, comment = list(change.folders), change.comment
        elif change.kind == TREE:
            start = f"{change.key}/".encode() if change.key else b""
            folders = [one for one in folders if not one.name.startswith(start)]
    return folders, comment


def applied(entries: zf.Entries, changes: list[Change]) -> tuple[zf.Entries, zf.Entries]:
    """Return the entries before some changes, and the values of the keys that these changed.

    The former are others than the given ones if there was a directory among the changes.
    """
    new: zf.Entries = {}
    for kind, key, entry, directory, *_ in changes:
        if directory is not None:
            entries, new = directory, {}
        elif kind == TREE:
            start = f"{key}/" if key else ""
            new |= {name: None for name in (*entries, *new) if name.startswith(start)}
        else:
            new[key] = entry
    return entries, new
