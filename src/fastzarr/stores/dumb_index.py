"""The index of a database of ``dbm.dumb``: whether it is as a program has left it.

Rules of this file:

* The library has a line for each key in the text ``.dir``, with the place of its value in ``.dat``,
  which begins at a multiple of 512 bytes and is never used for another key. A line is added when
  the value is there. To delete a key, and to close the database, the library renames ``.dir`` to
  ``.bak`` and writes all lines to a new ``.dir``.
* So whatever was killed, the lines are whole, and their places are in ``.dat`` and do not overlap.
  A ``.dir`` lacks at most one key of its ``.bak``, unless it was not finished. All else is damage.
* A text without a check is also read when its last lines are missing. So a note has its checksum.
  Whoever makes a note deletes ``.bak``. Another program that changes the database later leaves a
  ``.bak``, another size of ``.dat``, or lines behind those of the note; otherwise the note holds.
  Only a program that was killed between the two steps of replacing the ``.bak`` of a deletion
  leaves nothing that tells it from damage, and is refused, too.
"""

from __future__ import annotations

import dbm
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

_BLOCK = 512
_LINE = re.compile(
    rb"""('(?:[^'\\\r\n]|\\[\\'nrt]|\\x[\da-f]{2})*'|"(?:[^"\\\r\n]|\\[\\nrt]|\\x[\da-f]{2})*"), """
    rb"""\((\d{1,18}), (\d{1,18})\)\r?\n"""
)
_NOTE = re.compile(rb"index ([\da-f]{16}) ([\da-f]{8}) ([\da-f]{16}) ([\da-f]{8})\n")

# The place of the value of each key, which is as in the text.
_Lines = dict[bytes, tuple[int, int]]


def is_used(path: str, opener: Any) -> bool:
    """Whether a path is that of a database of ``dbm.dumb``, which may be damaged.

    ``opener`` is the function that opens it; None chooses by what is there.

    >>> is_used("/missing", None)
    False
    """
    if not os.path.exists(f"{path}.dat"):
        return False
    if opener is not None:
        return getattr(opener, "__module__", None) == "dbm.dumb"
    # An index that begins with a damaged line, or is missing, is not recognised.
    kind = dbm.whichdb(path)
    return kind == "dbm.dumb" or (kind is None and not os.path.exists(path) and _has_rest(path))


def _has_rest(path: str) -> bool:
    """Whether there is more than the file that is created first."""
    others = any(os.path.exists(path + ending) for ending in (".dir", ".bak"))
    return others or os.path.getsize(f"{path}.dat") > 0


def settled(path: str) -> bytes:
    """Return a note of the index, which must be synced; empty without one, else of one size."""
    raw = _read(f"{path}.dir")
    if raw is None:
        return b""
    with suppress(FileNotFoundError):
        os.unlink(f"{path}.bak")
    line = b"index %016x %08x %016x " % (len(raw), crc32(raw), os.path.getsize(f"{path}.dat"))
    return line + b"%08x\n" % crc32(line)


def damage(path: str, noted: bytes) -> str | None:
    """Return what shows that the index is damaged, and what to do; None if nothing does.

    ``noted`` is the last note, if it begins with one.
    """
    raw, backup = _read(f"{path}.dir"), _read(f"{path}.bak")
    size = os.path.getsize(f"{path}.dat")
    if raw is None:
        if not size and backup is None:
            return None  # it was being created
        return f"{path}.dat has values, but their index {path}.dir is missing; {_advice(path)}"
    found, why = _parsed(raw)
    why = why or _misplaced(found, size) or _incomplete(found, backup)
    if why:
        return f"{path}.dir {why}; {_advice(path)}"
    note = _NOTE.match(noted)
    if note is None or backup is not None or crc32(noted[: note.start(4)]) != int(note[4], 16):
        return None
    length, check, before = (int(word, 16) for word in note.groups()[:3])
    if size == before and (len(raw) < length or crc32(raw[:length]) != check):
        return (
            f"{path}.dir is not as it was written, so that values may be missing; restore it, or "
            f"delete {path}.lock to read what is left"
        )
    return None


def _advice(path: str) -> str:
    return f"restore the database; {path}.bak, if it is there, is the index before the last change"


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def _parsed(raw: bytes) -> tuple[_Lines, str | None]:
    """Return the lines of an index, and what is wrong with it."""
    found: _Lines = {}
    at = 0
    for line in _LINE.finditer(raw):
        if line.start() != at:
            break
        if line[1] in found:
            return found, f"has the key {line[1].decode('latin-1')} twice"
        found[line[1]] = int(line[2]), int(line[3])
        at = line.end()
    if at != len(raw):
        return found, f"is damaged at byte {at}, in line {len(found) + 1}"
    return found, None


def _misplaced(found: _Lines, size: int) -> str | None:
    """Return which value cannot be where the index says, or None."""
    last = 0
    for (start, length), key in sorted((place, key) for key, place in found.items()):
        if start % _BLOCK or start + length > size or (length and start < last):
            return (
                f"says that the value of {key.decode('latin-1')} has {length} bytes from {start}, "
                "which is not in the file of values, or is a part of another value"
            )
        if length:
            last = start + length
    return None


def _incomplete(found: _Lines, backup: bytes | None) -> str | None:
    """Return what shows that an index was cut off, or that a key is another one, or None."""
    before, wrong = _parsed(backup or b"")
    if wrong:
        return None
    gone = before.keys() - found.keys()
    if len(gone) > 1:
        return f"lacks {len(gone)} keys that were there before its last change"
    places = {start for start, length in before.values() if length}
    for key in found.keys() - before.keys():
        if found[key][1] and found[key][0] in places:
            return f"gives the place of another key to {key.decode('latin-1')}"
    return None
