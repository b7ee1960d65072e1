"""Which strings may be keys of a store, and which may be paths of nodes.

Rules of this file:

* A key is ``/``-separated segments. Nothing that could reach outside the store, that a file system
  reads in a way of its own, or that cannot be written as UTF-8 is a key, on any store: what one
  store accepts can be copied to every other.
* Keys come from metadata too, so they are checked at every verb. The check is one call.
"""

from __future__ import annotations

import re

from fastzarr.checked import DOCUMENTS
from fastzarr.errors import KeyValidationError

TEMPORARY_SUFFIX = ".fastzarr-tmp"
"""How the name of every temporary file ends; no key may have a segment that ends so."""

JOURNAL_NAME = f".journal{TEMPORARY_SUFFIX}"
"""The name of the folder of a transaction that is committed and not yet all in place."""

METADATA_NAMES = frozenset(DOCUMENTS)
"""The last segments of the keys of metadata documents, of all formats."""

NODE_NAMES = frozenset(name for name, kinds in DOCUMENTS.items() if kinds)
"""Those of them that make a node visible. In the order of locks they come before the others."""

GROUP_NAMES = tuple(name for name, kinds in DOCUMENTS.items() if "group" in kinds)
"""Those of them that make a group visible."""

_MAX_SEGMENT = 255
_SEGMENT = r"(?!\.\.?(?:/|\Z))[ -.0-\[\]-~]{1,255}"
# Nearly every key is printable ASCII, where characters are bytes: one match says it all.
_plain = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_slashes = re.compile(r"/{2,}")


def validate_key(key: str) -> None:
    r"""Refuse a key that could reach outside its store or that not every store can hold.

    Refused are the empty key, a leading or trailing ``/``, empty segments, ``.`` and ``..``,
    backslashes, control characters, lone surrogates, segments longer than 255 bytes of UTF-8, and
    segments that end as this package's temporary files do.

    Raises ``KeyValidationError`` naming the key and the reason, ``TypeError`` for no string.

    >>> validate_key("temperature/c/0/0")
    >>> validate_key("a/../b")
    Traceback (most recent call last):
    fastzarr.errors.KeyValidationError: 'a/../b' is no key of a store: it has the segment '..'
    """
    try:
        if _plain(key) and TEMPORARY_SUFFIX not in key:
            return
    except TypeError:
        msg = f"a key of a store is a string, not {type(key).__name__}: {key!r}"
        raise TypeError(msg) from None
    reason = _fault(key)
    if reason:
        msg = f"{_shown(key)} is no key of a store: {reason}"
        raise KeyValidationError(msg)


def normalise_path(path: str | None) -> str:
    r"""Return a node's path as keys begin with it: no slash at either end, ``""`` for the root.

    Slashes in a row count as one. The rest is held to the rules of ``validate_key``.

    Raises ``KeyValidationError``, also for backslashes, which are no separators here, and
    ``TypeError`` for what is no string.

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
        msg = f"a path in a store is a string, not {type(path).__name__}: {path!r}"
        raise TypeError(msg) from None
    if "\\" in normal:
        msg = f"{_shown(path)} is no path in a store: write '/' between names, not a backslash"
        raise KeyValidationError(msg)
    if normal:
        validate_key(normal)
    return normal


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
        return f"names ending in {TEMPORARY_SUFFIX!r} are those of temporary files"
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        return "it has a lone surrogate, which UTF-8 cannot write"
    if size > _MAX_SEGMENT:
        return f"a segment has {size} bytes, and {_MAX_SEGMENT} is the most a file name may have"
    return None


def _shown(key: str) -> str:
    text, most = ascii(key), 80
    return text if len(text) <= most else text[:most] + "..."
