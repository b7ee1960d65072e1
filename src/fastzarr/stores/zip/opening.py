"""How an archive is opened: by its directory, or by its records if that is missing.

Rules of this file:

* An archive with a valid directory at its end is complete. If its first record is a link, the
  directory must have the checksum that this states.
* The last value may be an archive itself, whose directory then is at the end of the file. Its
  offsets are not those in the file, and a link before it has no directory yet.
* Otherwise the last link is looked for, and the directory before it. Their changes count if the
  link says that no directory was written later: the writer died before the end of its changes.
* In all other cases the archive was truncated or damaged. The members whose headers are found are
  read, but nothing is known of what is missing: it is not ``proven``.
* Of an archive in another store, the first record is only compared when a key is missing.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from fastzarr.errors import ArchiveError, ZarrRuntimeWarning
from fastzarr.native import crc32
from fastzarr.stores.zip import format as zf
from fastzarr.stores.zip import log

if TYPE_CHECKING:
    from fastzarr.stores.zip.source import Reader


class Opened:
    """What was found in an archive.

    ``end`` is where the next record is written, ``size`` that of the file, and ``link`` the link of
    the changes without a directory, or -1. ``proven`` is False if members may be lost, and
    ``sealed`` is True if the directory has been compared with its checksum.
    """

    __slots__ = (
        *("begun", "comment", "crc", "end", "entries", "first_link", "folders", "hidden", "link"),
        *("proven", "sealed", "shift", "size"),
    )

    def __init__(self, entries: zf.Entries, end: int, size: int, link: int = -1) -> None:
        """Initialise."""
        self.entries, self.end, self.size, self.link = entries, end, size, link
        #: The checksum of the directory at the end, or 0.
        self.crc = 0
        self.proven, self.sealed, self.first_link = True, False, False
        #: Entries to which later ones have given their names.
        self.hidden: list[zf.Entry] = []
        #: The entries of folders, and the comment of the archive.
        self.folders: list[zf.Entry] = []
        self.comment = b""
        #: The number of other bytes before the archive of the last directory.
        self.shift = 0
        #: Whether only a part was written of what follows the first link of such an archive.
        self.begun = False


def open_archive(reader: Reader, path: str, *, recover: bool = True) -> Opened:
    """Read the directory of an archive, or recover it if the file does not end with one.

    Without ``recover``, raise ArchiveError instead. Raise it for a file that is not an archive.
    """
    tail, size = reader.tail(zf.TAIL)
    if not size:
        return Opened({}, 0, 0)
    refused: ArchiveError | None = None
    found = None
    try:
        found = _by_ending(reader, tail, size)
    except ArchiveError as error:
        refused = error
    if found is None and recover:
        found = _recovered(reader, size)
    # A directory that was not written completely may look like anything.
    damaged = isinstance(refused, zf.DamagedError) and found is not None
    if refused is not None and not damaged and (found is None or not found.proven):
        msg = f"{path!r} cannot be opened: {refused}"
        raise ArchiveError(msg) from None
    if found is None:
        start = reader.read(0, min(size, 4))
        if recover or not start.startswith(b"PK"):
            msg = f"{path!r} is not a zip archive, although its name says so"
        else:
            msg = f"{path!r} does not end with a directory: it is incomplete or still being written"
        raise ArchiveError(msg)
    if recover:
        check_first(reader, found)
    if not found.proven:
        msg = (
            f"the zip archive {path!r} is truncated or damaged: {len(found.entries)} members were "
            "recovered, and reading a chunk that is not among them raises an error"
        )
        warnings.warn(msg, ZarrRuntimeWarning, stacklevel=2)
    return found


def _by_ending(reader: Reader, tail: bytes, size: int) -> Opened | None:
    ending = zf.find_ending(tail, size)
    if ending is None or (ending.shift and _is_of_a_value(reader, ending)):
        return None
    return _opened(reader, ending, tail, size)


def _opened(reader: Reader, ending: zf.Ending, tail: bytes, end: int) -> Opened:
    """Read the directory of an archive that ends at ``end`` with the bytes ``tail``."""
    found = Opened({}, end, end)
    raw = _read_directory(reader, ending, tail, end)
    found.entries = zf.read_directory(raw, ending, found.hidden, found.folders)
    found.comment, found.shift = ending.comment, ending.shift
    found.crc = crc32(raw)
    return found


def _is_of_a_value(reader: Reader, ending: zf.Ending) -> bool:
    """Whether a directory is that of a value, which is an archive in the changes of this one."""
    for link in log.find_links(reader, ending.shift):
        slot = log.read_slot(reader.read(link, log.LINK_SIZE))
        if slot is not None and not slot.end:
            return True
    return False


def _read_directory(reader: Reader, ending: zf.Ending, tail: bytes, tail_end: int) -> bytes:
    inside = ending.start - (tail_end - len(tail))
    if inside >= 0:
        return tail[inside : inside + ending.size]
    # What is known already is not read again.
    raw = reader.read(ending.start, min(-inside, ending.size))
    return raw + tail[: max(ending.size + inside, 0)]


def check_first(reader: Reader, found: Opened) -> None:
    """Compare an archive with what its first link says: whether it is whole."""
    start = reader.read(0, min(log.LINK_SIZE, found.size))
    found.first_link = log.is_link(start)
    slot = log.read_slot(start)
    if slot is None or not slot.end:
        return
    if slot.end > found.size:
        found.proven = False
    elif slot.end == found.end and found.link < 0:
        found.proven = found.sealed = found.crc == slot.crc


def _recovered(reader: Reader, size: int) -> Opened | None:
    begun = _begun(reader, size)
    if begun is not None:
        return begun
    for link in log.find_links(reader, size):
        base = _before(reader, link, size)
        if base is None or size - link < log.LINK_SIZE:
            continue
        if base.begun:
            base.size = size
            return base
        found = log.Replay(reader, link, size, verify=True)
        entries, new = log.applied(base.entries, found.changes)
        opened = _replayed(_present(entries, new), base, found, size)
        slot = log.read_slot(reader.read(link, min(log.LINK_SIZE, size - link)))
        if slot is None:
            # A power cut may have come while it was written, which is after the directory.
            opened.proven = found.checked >= 0
        else:
            opened.proven = not slot.end or slot.end <= found.checked
        return opened
    if log.control(log.LINK).startswith(reader.read(0, min(size, log.LINK_SIZE))):
        return Opened({}, 0, size)  # the first write was not finished
    found = log.Replay(reader, 0, size, verify=True)
    entries, new = log.applied({}, found.changes)
    present = _present(entries, new)
    if not present and found.checked < 0:
        return None
    opened = _replayed(present, Opened({}, 0, 0), found, size)
    opened.proven = found.checked >= 0
    return opened


def _is_marked(reader: Reader, link: int, size: int, ending: zf.Ending) -> bool | None:
    """Whether a link says that there are other bytes before its archive, as there are.

    If not, the archive is one in a value. Return None if not all of that was written.
    """
    expected, first = log.shifted(ending.shift), link + log.LINK_SIZE
    found = reader.read(first, min(size - first, len(expected))) if first < size else b""
    if found == expected:
        return True
    if expected.startswith(found) and first + len(found) >= size:
        return False if _is_of_a_value(reader, ending) else None
    return False


def _replayed(entries: zf.Entries, base: Opened, found: log.Replay, size: int) -> Opened:
    """Return an archive after the changes since a directory."""
    opened = Opened(entries, found.end, size, found.link)
    opened.crc = found.crc
    opened.shift = base.shift if found.checked < 0 else 0
    opened.folders, opened.comment = log.kept(base.folders, base.comment, found.changes)
    return opened


def _begun(reader: Reader, size: int) -> Opened | None:
    """Return the archive before the link at its end, of which only a part was written."""
    link = log.control(log.LINK)
    tail = reader.read(max(size - len(link), 0), min(size, len(link)))
    for part in range(1, min(size, len(link))):
        if tail.endswith(link[:part]):
            found = _before(reader, size - part, size)
            if found is not None:
                found.size = size
                return found
    return None


def _before(reader: Reader, link: int, size: int) -> Opened | None:
    """Return the archive whose directory ends where a link starts, or None if there is none."""
    if not link:
        return Opened({}, 0, 0)
    first = max(link - zf.TAIL, 0)
    tail = reader.read(first, link - first)
    try:
        ending = zf.find_ending(tail, link)
        if ending is None:
            return None
        marked = _is_marked(reader, link, size, ending) if ending.shift else True
        if marked is False:
            return None
        found = _opened(reader, ending, tail, link)
    except ArchiveError:
        return None
    found.begun = marked is None
    return found


def _present(entries: zf.Entries, new: zf.Entries) -> zf.Entries:
    found = {**entries, **new}
    return {key: entry for key, entry in found.items() if entry is not None}
