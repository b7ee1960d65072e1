"""The arguments ``chunk_key_encoding`` and ``dimension_separator``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fastzarr.checked import show
from fastzarr.errors import MetadataValidationError
from fastzarr.grids import keys
from fastzarr.grids.keys import ChunkKeys, KeyEncoding

_OURS = ("default", "v2")


def parse_keys(encoding: Any, separator: Any = None) -> Any:
    """Return the ``KeyEncoding`` of a format 3 array.

    ``encoding`` is a name, a pair ``(name, separator)``, a mapping as in ``zarr.json`` or with the
    members ``name`` and ``separator``, or a ``KeyEncoding``. Raise ``MetadataValidationError`` for
    anything else.

    >>> parse_keys({"name": "v2", "separator": "/"})
    ChunkKeys(name='v2', separator='/')
    """
    if isinstance(encoding, KeyEncoding):
        return encoding
    where = "chunk_key_encoding"
    other = encoding.get("name") if isinstance(encoding, Mapping) else encoding
    if isinstance(other, str) and other not in _OURS:
        return keys.parse_keys(encoding if encoding is other else dict(encoding), where)
    name, found = _encoding(encoding, where)
    if name not in _OURS:
        msg = f"must be named 'default' or 'v2', got {show(name)}"
        raise MetadataValidationError(msg, where)
    if found is None:
        found = separator if separator is not None else {"default": "/", "v2": "."}[name]
    return ChunkKeys(cast("Any", name), _separator(found))


def _encoding(encoding: Any, where: str) -> tuple[Any, Any]:
    if encoding is None:
        return "default", None
    if isinstance(encoding, str):
        return encoding, None
    if isinstance(encoding, Mapping):
        unknown = set(encoding) - {"name", "separator", "configuration"}
        inner = encoding.get("configuration") or {}
        if unknown or "name" not in encoding or set(inner) - {"separator"}:
            msg = f"must have a name and optionally a separator, got {dict(encoding)!r}"
            raise MetadataValidationError(msg, where)
        return encoding["name"], inner.get("separator", encoding.get("separator"))
    if isinstance(encoding, tuple | list) and len(encoding) == 2:
        return encoding[0], encoding[1]
    if hasattr(encoding, "name") and hasattr(encoding, "separator"):
        return encoding.name, encoding.separator
    msg = f"must be a name, a pair of name and separator, or a mapping, not {encoding!r}"
    raise MetadataValidationError(msg, where)


def keys_v2(encoding: Any, separator: Any) -> Any:
    """Return the chunk key encoding of a format 2 array for the user's arguments."""
    if encoding is not None:
        found = parse_keys(encoding, separator)
        if found.name != "v2":
            msg = f"format 2 supports only the encoding 'v2', not {found.name!r}"
            raise MetadataValidationError(msg, "chunk_key_encoding")
        return found
    return ChunkKeys("v2", _separator("." if separator is None else separator))


def _separator(separator: Any) -> Any:
    if separator not in ("/", "."):
        msg = f"must be '/' or '.', not {separator!r}"
        raise MetadataValidationError(msg, "dimension_separator")
    return separator
