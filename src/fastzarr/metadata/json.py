"""Metadata documents as bytes: JSON, validated on reading and strict on writing.

Rules of this file:

* Bytes are untrusted. Size and depth are limited by ``config`` (``limits.document_bytes``,
  ``limits.document_depth``), duplicate names in an object are rejected, and the text must be UTF-8,
  of which a byte order mark is skipped.
* A separate document of attributes does not describe an array, so more of it is read: it may be
  empty or null, and, with a warning, Latin-1 or contain a name twice, of which the last one counts.
* ``NaN``, ``Infinity`` and ``-Infinity`` are not JSON, but zarr-python reads and writes them. They
  are accepted in attributes and fill values, where a string would be another value, and rejected
  elsewhere, both in documents that are read and in those that are written.
"""

from __future__ import annotations

import json
import marshal
import math
from typing import TYPE_CHECKING, Any

from fastzarr.checked import as_object, deviation, fail, member, show
from fastzarr.config import config
from fastzarr.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


def loads(data: bytes | bytearray | memoryview, where: str) -> dict[str, Any]:
    """Return the JSON object in a document; ``where`` is its key, which errors name.

    Raise ``MetadataError`` if the bytes are not valid JSON, and ``LimitError`` if the document is
    too large or too deeply nested.

    >>> loads(b'{"zarr_format": 3}', "zarr.json")
    {'zarr_format': 3}
    """
    size = memoryview(data).nbytes
    if size > config.flat["limits.document_bytes"]:
        check_size(size, where)
    lenient = where.endswith(".zattrs")
    try:
        text = str(data, "utf-8").removeprefix("\ufeff")
        if lenient and not text.strip():
            return {}
        document, unusual = _decode(text)
        if unusual:
            document = _decode_all(text)
    except UnicodeDecodeError as error:
        if lenient:
            deviation("is not UTF-8, and is read as Latin-1", where)
            return loads(str(data, "latin-1").encode(), where)
        fail(f"is not UTF-8: byte {error.start} is invalid", where)
    except RecursionError:
        raise too_deep(where) from None
    except ValueError as error:  # also an integer of more digits than Python converts
        fail(f"is not JSON: {error}", where)
    if unusual:
        # This is expensive, and few documents contain any of the faults that it looks for.
        _walk(document, where, lenient=lenient)
    return {} if document is None and lenient else as_object(document, where)


def check_size(size: int, where: str) -> None:
    """Raise ``LimitError`` if ``size`` exceeds ``limits.document_bytes``."""
    limit = config.flat["limits.document_bytes"]
    if size > limit:
        msg = f"{size} bytes exceed the limit of {limit} (setting limits.document_bytes)"
        raise LimitError(msg, where)


def dumps(document: Mapping[str, Any], where: str = "") -> bytes:
    """Return a document as JSON, indented by the setting ``json_indent`` of ``config``.

    ``where`` is its key. Raise ``MetadataError``, naming the member, if a value cannot be written.
    """
    indent, loose = config.flat["json_indent"], False
    try:
        text = _strict(document, indent)
    except ValueError:
        loose = True
        _walk(document, where, lenient=where.endswith(".zattrs"))
        text = json.dumps(document, indent=indent, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # another program's lone surrogate, which can only be an escape
        return json.dumps(document, indent=indent, allow_nan=loose).encode()


def _strict(document: Mapping[str, Any], indent: int | str | None) -> str:
    """Return what ``json.dumps`` returns; if it indents, that takes it three times as long."""
    step = " " * indent if isinstance(indent, int) else indent
    value: Any = document
    out: list[str] = []
    add = out.append
    # The containers that are open: the rest of each, the lines outside it, and its end.
    levels: list[tuple[Iterator[Any], str, str]] = []
    line = "\n"
    while step is not None:
        lead, spell = "," + line, _SPELLED.get(type(value))
        if spell is not None:
            if type(value) is float and not math.isfinite(value):
                break
            add(spell(value))
        elif type(value) in _OPENED and len(levels) <= _DEEP:
            start, end, items = _OPENED[type(value)]
            levels.append((iter(items(value)), line, end))
            add(start)
            lead = line = line + step
        else:
            break
        while True:
            if not levels:
                return "".join(out)
            rest, outside, end = levels[-1]
            value = next(rest, levels)
            if value is not levels:
                break
            levels.pop()
            # Nothing is between the ends of an empty container.
            add(end if lead is line else outside + end)
            line, lead = outside, "," + outside
        add(lead)
        if end == "}":
            name, value = value
            if type(name) is not str:
                break
            add(_quoted(name))
            add(": ")
    return json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)


def alike(left: Any, right: Any) -> bool:
    """Whether two values have the same JSON; 1, 1.0 and true differ, and so do 0.0 and -0.0.

    >>> alike({"a": [1]}, {"a": [1]}), alike(1, True)
    (True, False)
    """
    try:
        # marshal's version 2 has no references, so equal values have equal bytes.
        return marshal.dumps(left, 2) == marshal.dumps(right, 2)
    except ValueError:  # nested too deeply for marshal, or of a type that it does not support
        return json.dumps(left) == json.dumps(right)


def alike_members(left: Mapping[str, Any], right: Mapping[str, Any]) -> set[str]:
    """Return the names of the members that both objects have, with the same JSON.

    >>> alike_members({"a": 1, "b": 2}, {"a": 1, "b": 2.0, "c": 3})
    {'a'}
    """
    names = left.keys() & right.keys()
    try:
        dumped = marshal.dumps
        return {name for name in names if dumped(left[name], 2) == dumped(right[name], 2)}
    except ValueError:
        return {name for name in names if alike(left[name], right[name])}


class _UnusualError(Exception):
    """Raised by a hook of the JSON parser, which does not know the location of the fault."""


def _decode(text: str) -> tuple[Any, bool]:
    """Return a document, and whether ``_walk`` has to look for a fault in it."""
    count = 0

    def add(members: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += len(members)
        return members

    decoder = json.JSONDecoder(object_hook=add, parse_float=_finite, parse_constant=_finite)
    try:
        document = decoder.decode(text)
    except _UnusualError:
        return None, True
    data = text.encode()
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # What is in a string has an odd number of quotes before it. Of the rest, only marks are kept.
    marks = b"".join(data.translate(_mark, _no_mark).replace(b'""', b"").split(b'"')[::2])
    colons = marks.count(b":")
    # Of two members of one name, the parser has kept one.
    unusual = colons != count
    limit = config.flat["limits.document_depth"]
    if len(marks) - colons > limit:
        levels = marks.replace(b":", b"")
        # Each step removes the innermost level.
        for _ in range(limit):
            levels = levels.replace(b"{}", b"")
        unusual = unusual or bool(levels)
    return document, unusual


_mark = bytes.maketrans(b"[]", b"{}")
_no_mark = bytes(set(range(256)) - set(b'[]{}:"'))


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    twice, seen = _Twice(members), set[str]()
    for twice.name, _ in pairs:
        if twice.name in seen:
            break
        seen.add(twice.name)
    return twice


class _Twice(dict[str, Any]):
    name = ""


def _finite(text: str) -> float:
    value = float(text)
    if math.isfinite(value):
        return value
    raise _UnusualError


_quoted = json.encoder.encode_basestring
# More levels than that are left to `json`, which notices a container that contains itself.
_DEEP = 500
# How values are written, and the start, the end and the items of containers, by their types. These
# functions are all in C.
_SPELLED: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: int.__repr__,
    float: float.__repr__,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}
_OPENED: dict[type, tuple[str, str, Callable[[Any], Iterable[Any]]]] = {
    dict: ("{", "}", dict.items),
    list: ("[", "]", iter),
    tuple: ("[", "]", iter),
}
_decode_all = json.JSONDecoder(object_pairs_hook=_marked, parse_constant=float).decode


def _walk(document: Any, where: str, *, lenient: bool) -> None:
    # A location is a pair of the outer location and a name; it is formatted only for an error.
    limit = config.get("limits.document_depth")
    # `free` tells whether numbers may be non-finite, `apart` whether these are separate attributes.
    # N5 has attributes beside its members, whose values are checked where they are parsed.
    mixed = lenient or where.endswith("attributes.json")
    stack: list[tuple[Any, Any, int, bool, bool]] = [(document, None, 1, mixed, lenient)]
    while stack:
        value, place, depth, free, apart = stack.pop()
        if isinstance(value, dict | list) and depth > limit:
            raise too_deep(_spell(place, where))
        if isinstance(value, _Twice):
            if not apart:
                fail(f"duplicate member {show(value.name)}", _spell(place, where))
            deviation(
                f"duplicate member {show(value.name)}; the last is used", _spell(place, where)
            )
        if isinstance(value, dict):
            for name, item in value.items():
                loose = free or name in ("attributes", "fill_value") or name.endswith(".zattrs")
                beside = apart or name.endswith(".zattrs")
                stack.append((item, (place, name), depth + 1, loose, beside))
        elif isinstance(value, list):
            stack.extend((item, (place, i), depth + 1, free, apart) for i, item in enumerate(value))
        elif isinstance(value, float) and not free and not math.isfinite(value):
            fail(f"{value} is not allowed here", _spell(place, where))


def _spell(place: Any, where: str) -> str:
    if place is None:
        return where
    above, name = place
    return member(_spell(above, where), name)


def too_deep(where: str) -> LimitError:
    """Return the error of a document that is nested too deeply."""
    limit = config.get("limits.document_depth")
    msg = f"is nested deeper than {limit} levels (setting limits.document_depth)"
    return LimitError(msg, where)
