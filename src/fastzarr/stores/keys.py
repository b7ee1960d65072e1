"""Validation of the keys of stores and the paths of nodes.

Rules of this file:

* A key consists of segments separated by ``/``. Strings that could lead outside the store, that a
  file system would interpret, or that cannot be encoded as UTF-8 are invalid in every store, so
  that the keys of one store can be copied to any other.
* Keys may come from metadata, so every verb validates them, with a single function call.
"""

from __future__ import annotations

import re
from contextlib import suppress
from operator import index
from typing import Any

from fastzarr.checked import DOCUMENTS
from fastzarr.errors import KeyValidationError

TEMPORARY_SUFFIX = ".fastzarr-tmp"
"""The suffix of the names of temporary files; no segment of a key may end with it."""

JOURNAL_NAME = f".journal{TEMPORARY_SUFFIX}"
"""The name of the folder of a transaction that is committed, but not yet completely applied."""

METADATA_NAMES = frozenset(DOCUMENTS)
"""The last segments of the keys of metadata documents, of all formats."""

NODE_NAMES = frozenset(name for name, kinds in DOCUMENTS.items() if kinds)
"""Those of them that make a node visible. In the order of locks they come before the others."""

GROUP_NAMES = tuple(name for name, kinds in DOCUMENTS.items() if "group" in kinds)
"""Those of them that make a group visible."""

ARRAY_NAMES = tuple(name for name, kinds in DOCUMENTS.items() if "array" in kinds)
"""Those of them that make an array visible."""

_MAX_SEGMENT = 255
_SEGMENT = r"(?!\.\.?(?:/|\Z))[ -.0-\[\]-~]{1,255}"
# Fast path: nearly all keys are printable ASCII, in which a character is a byte.
_plain = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_slashes = re.compile(r"/{2,}")


def validate_key(key: str) -> None:
    r"""Raise ``KeyValidationError`` for a key that could leave its store or cannot be stored.

    Invalid are the empty key, a leading or trailing ``/``, empty segments, ``.`` and ``..``,
    backslashes, control characters, lone surrogates, segments of more than 255 bytes in UTF-8, and
    segments with the suffix of temporary files. Raise TypeError if the key is not a string.

    >>> validate_key("temperature/c/0/0")
    >>> validate_key("a/../b")
    Traceback (most recent call last):
    fastzarr.errors.KeyValidationError: 'a/../b' is not a valid key: it has the segment '..'
    """
    try:
        if _plain(key) and TEMPORARY_SUFFIX not in key:
            return
    except TypeError:
        msg = f"a key must be a string, not {type(key).__name__}: {key!r}"
        raise TypeError(msg) from None
    reason = _fault(key)
    if reason:
        msg = f"{_shown(key)} is not a valid key: {reason}"
        raise KeyValidationError(msg)


def normalise_path(path: str | None) -> str:
    r"""Return a node's path without slashes at its ends; the root is ``""``.

    Repeated slashes are replaced by one. Raise ``KeyValidationError`` if the result is not valid
    for ``validate_key``, including backslashes, which are not separators, and TypeError if the path
    is not a string.

    >>> normalise_path("/ocean//temperature/")
    'ocean/temperature'
    >>> normalise_path("/")
    ''
    """
    if not path:
        return ""
    try:
        normal = _slashes.sub("/", path.strip("/"))
    except (AttributeError, TypeError):
        msg = f"a path must be a string, not {type(path).__name__}: {path!r}"
        raise TypeError(msg) from None
    if "\\" in normal:
        msg = f"{_shown(path)} is not a valid path: use '/' between names, not a backslash"
        raise KeyValidationError(msg)
    if normal:
        validate_key(normal)
    return normal


def parents(path: str) -> list[str]:
    """Return the paths above a path, from the root down.

    >>> parents("a/b/c")
    ['', 'a', 'a/b']
    """
    above = [""] if path else []
    at = path.find("/")
    while at >= 0:
        above.append(path[:at])
        at = path.find("/", at + 1)
    return above


def _fault(key: str) -> str | None:
    if not key:
        return "it is empty"
    if key.startswith("/"):
        return "it starts with '/'"
    if "\\" in key:
        return "it has a backslash"
    if _control(key):
        return "it has a control character"
    return next(filter(None, map(_segment_fault, key.split("/"))), None)


def _segment_fault(segment: str) -> str | None:
    if segment in ("", ".", ".."):
        return f"it has the segment {segment!r}"
    if segment.endswith(TEMPORARY_SUFFIX):
        return f"names ending in {TEMPORARY_SUFFIX!r} are reserved for temporary files"
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        return "it has a lone surrogate, which UTF-8 cannot encode"
    if size > _MAX_SEGMENT:
        return f"a segment has {size} bytes, but a file name may have at most {_MAX_SEGMENT}"
    return None


def _shown(key: str) -> str:
    text, most = ascii(key), 80
    return text if len(text) <= most else text[:most] + "..."


def as_name(name: Any) -> str:
    """Return the name of a node as a string; an integer and ASCII bytes are names, too."""
    if isinstance(name, str):
        return name
    if isinstance(name, bytes) and name.isascii():
        return name.decode()
    if not isinstance(name, bool):
        with suppress(TypeError):
            return str(index(name))
    msg = f"the name of a node must be a string, not {type(name).__name__}: {name!r}"
    raise TypeError(msg)


def below_root(prefix: str, hint: str) -> str:
    """Return a path normalised; raise ``KeyValidationError`` with a hint if it is the root."""
    path = normalise_path(prefix)
    if not path:
        msg = f"{prefix!r} is the root of the store; {hint}"
        raise KeyValidationError(msg)
    return path
