"""Checks of values in metadata documents and of arguments.

Rules of this file:

* A check takes a value and its location. It returns the value in the type that the rest of the
  package uses, or raises ``MetadataError`` naming the location. ``error`` replaces the class of the
  error, for the checks that data types and users' arguments share with documents.
* Sizes must be exact integers: ``true`` and ``4.0`` are rejected.
* Quantities in a document are checked against the limits in ``config`` (``limits.*``) before they
  are used in a computation.
* A message quotes a value by ``show``, because a document may contain one of any length.
"""

from __future__ import annotations

import math
import operator
import warnings
from functools import lru_cache
from reprlib import Repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from fastzarr.config import config
from fastzarr.errors import (
    LimitError,
    MetadataError,
    MetadataValidationError,
    ZarrUserWarning,
    caller_level,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    MakeError = Callable[[str, str], Exception]

T = TypeVar("T")

MAX_SIZE = 2**63 - 1

#: The names of the metadata documents of all formats, with the kinds of nodes that each makes
#: visible. Formats are defined in ``metadata/``. Their names are listed here too, because errors
#: quote them in their own way, and stores protect documents better than chunks.
DOCUMENTS = {
    "zarr.json": ("array", "group"),
    "attributes.json": ("array", "group"),
    ".zarray": ("array",),
    ".zgroup": ("group",),
    ".zattrs": (),
    ".zmetadata": (),
}
#: Whether a document that serves both kinds of nodes is that of an array, by its name.
_IS_ARRAY: dict[str, Callable[[dict[str, Any]], bool]] = {
    "zarr.json": lambda found: found.get("node_type") == "array",
    "attributes.json": lambda found: "dimensions" in found,
}
#: The one of these that holds consolidated metadata and nothing else.
CONSOLIDATED = ".zmetadata"
_KEYS = tuple(DOCUMENTS)
_EXTENSION = {"name": True, "configuration": False, "must_understand": False}

_repr = Repr()
_repr.maxstring = _repr.maxother = 80


def is_array(name: str, found: object) -> bool:
    """Whether a document of this name, as a JSON value, makes an array visible.

    >>> is_array("zarr.json", {"node_type": "group"}), is_array(".zarray", {})
    (False, True)
    """
    if name not in _IS_ARRAY:
        return "array" in DOCUMENTS[name]
    return isinstance(found, dict) and _IS_ARRAY[name](found)


def member(where: str, name: object) -> str:
    """Return the location of an object's member, or of a list's item, inside another location.

    >>> member("a/zarr.json", "codecs")
    'a/zarr.json: codecs'
    >>> member(member("a/zarr.json: codecs", 1), "name")
    'a/zarr.json: codecs[1].name'
    """
    if isinstance(name, int):
        return f"{where}[{name}]"
    text = str(name)
    plain = len(text) <= _repr.maxstring and _is_plain(text)
    if where.endswith(_KEYS):
        return f"{where}: {text if plain else f'[{show(text)}]'}"
    if not plain:
        return f"{where}[{show(text)}]"
    return f"{where}.{text}" if where else text


@lru_cache(maxsize=256)
def _is_plain(name: str) -> bool:
    return name.replace("-", "_").isidentifier()


def show(value: object) -> str:
    """Return a value as an error message quotes it: its repr, shortened.

    >>> show("x" * 1000) == show("x" * 2000)
    True
    """
    try:
        return _repr.repr(value)
    except ValueError:  # an integer too long for Python to print
        return "a huge integer"


def is_text(value: str) -> bool:
    r"""Whether a string is valid Unicode; one with a lone surrogate cannot be encoded as UTF-8.

    >>> is_text("\u00e9"), is_text("\ud800")
    (True, False)
    """
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def fail(message: str, where: str, error: MakeError = MetadataValidationError) -> NoReturn:
    """Raise ``error(message, where)``."""
    raise error(message, where)


def deviation(message: str, where: str) -> None:
    """Warn that a part of a document is not valid, and how it is read."""
    warnings.warn(f"{where}: {message}", ZarrUserWarning, stacklevel=caller_level())


def placed(make: Callable[[], T], where: str) -> T:
    """Return ``make()``, prefixing the location of a ``MetadataError`` it raises by ``where``."""
    try:
        return make()
    except MetadataError as error:
        raise located(error, where) from None


def located(error: MetadataError, where: str) -> MetadataError:
    """Return the error with its location prefixed by ``where``."""
    if not where:
        return error
    message = str(error).removeprefix(f"{error.where}: ")
    return type(error)(message, f"{where}.{error.where}" if error.where else where)


def guard(make: Callable[[], T], where: str, what: str) -> T:
    """Return ``make()``; raise any error of an extension, called ``what``, as ``MetadataError``."""
    try:
        return make()
    except (MetadataError, MemoryError):
        raise
    except Exception as error:  # extensions of others may raise any exception
        if isinstance(error, ImportError) and error.name == "numcodecs":
            raise  # a part of this package's installation, of which no document is to blame
        raise unusable(error, where, what) from error


def unusable(error: Exception, where: str, what: str) -> MetadataError:
    """Return the error for an extension, called ``what``, that raised ``error``."""
    if isinstance(error, RecursionError):
        return MetadataValidationError("is nested too deeply", where)
    msg = f"the {what} cannot be used: {type(error).__name__}: {error}"
    return MetadataError(msg, where)


def as_object(
    value: object, where: str, error: MakeError = MetadataValidationError
) -> dict[str, Any]:
    """Return the value; raise ``MetadataError`` unless it is a JSON object."""
    if not isinstance(value, dict):
        fail(f"must be an object, got {show(value)}", where, error)
    for name in value:
        if not isinstance(name, str):
            fail(f"the name of a member must be a string, got {show(name)}", where, error)
    return value


def as_list(value: object, where: str) -> list[Any]:
    """Return the value as a list; raise ``MetadataError`` unless it is a JSON array."""
    if not isinstance(value, list | tuple):
        fail(f"must be a list, got {show(value)}", where)
    return list(value)


def as_int(
    value: object,
    where: str,
    low: int,
    high: int = MAX_SIZE,
    error: MakeError = MetadataValidationError,
) -> int:
    """Return the value as an int; raise ``MetadataError`` unless it is one from low to high.

    An integer of NumPy is accepted too; a bool is not.

    >>> as_int(np.uint8(3), "level", 0, 9)
    3
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is not None and low <= number <= high:
        return number
    if high != MAX_SIZE:
        asked = f"an integer from {low} to {high}"
    elif number is None:
        asked = "an integer"
    else:
        asked = f"at least {low}" if number < low else "at most 2**63 - 1"
    return fail(f"must be {asked}, got {show(value)}", where, error)


def as_sizes(value: object, where: str, minimum: int) -> tuple[int, ...]:
    """Return a JSON list of sizes, one for each axis, as a tuple.

    Raise ``MetadataError`` for an invalid size, and ``LimitError`` for too many axes.
    """
    sizes = as_list(value, where)
    limit = config.flat["limits.dimensions"]
    if len(sizes) > limit:
        msg = f"{len(sizes)} dimensions exceed the limit of {limit} (setting limits.dimensions)"
        raise LimitError(msg, where)
    for axis, size in enumerate(sizes):
        if type(size) is not int or not minimum <= size <= MAX_SIZE:
            sizes[axis] = as_int(size, member(where, axis), minimum)
    return tuple(sizes)


def as_shape(value: object, where: str) -> tuple[int, ...]:
    """Return a JSON list as the shape of an array.

    Raise ``LimitError`` if the number of elements exceeds 2**63 - 1.
    """
    shape = as_sizes(value, where, 0)
    # Axes of length zero are ignored, because the other axes still span a chunk grid.
    if math.prod(filter(None, shape)) > MAX_SIZE:
        msg = f"an array of shape {show(shape)} has more than 2**63 - 1 elements"
        raise LimitError(msg, where)
    return shape


def choice(value: Any, known: tuple[str, ...], where: str) -> str:
    """Return ``value``, a string or an enumeration member; raise ``MetadataError`` if unknown."""
    word = getattr(value, "value", value)
    if not isinstance(word, str) or word not in known:
        fail(f"must be one of {', '.join(map(repr, known))}, got {show(value)}", where)
    return word


def boolean(value: Any, where: str, error: MakeError = MetadataValidationError) -> bool:
    """Return ``value`` as a bool; raise ``MetadataError`` if it is not one."""
    if not isinstance(value, (bool, np.bool_)):
        fail(f"must be true or false, got {show(value)}", where, error)
    return bool(value)


def require(document: dict[str, Any], names: Iterable[str], where: str) -> None:
    """Raise ``MetadataError`` if the document lacks one of the members ``names``."""
    for name in names:
        if name not in document:
            fail(f"the member {name!r} is missing", where)


def check_members(
    value: object,
    known: Mapping[str, bool],
    where: str,
    error: MakeError = MetadataValidationError,
) -> dict[str, Any]:
    """Return the value; raise ``MetadataError`` unless it is an object of known members.

    ``known`` maps the name of each allowed member to whether it is required.
    """
    found = as_object(value, where, error)
    for name in found:
        if name not in known:
            names = ", ".join(known) or "none"
            fail(f"unknown member; known members: {names}", member(where, name), error)
    for name, required in known.items():
        if required and name not in found:
            fail(f"the member {name!r} is missing", where, error)
    return found


def extension(
    value: object, where: str, error: MakeError = MetadataValidationError
) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of a format 3 extension.

    An extension is a string, its name, or an object with ``name``, ``configuration`` and
    ``must_understand`` (core specification, "Extension definition"). Raise ``MetadataError`` for
    anything else.

    >>> extension({"name": "gzip", "configuration": {"level": 1}}, "codecs[1]")
    ('gzip', {'level': 1})
    """
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, dict):
        fail(f"must be an object with a name, or a name, got {show(value)}", where, error)
    found = check_members(value, _EXTENSION, where, error)
    name, configuration = found["name"], found.get("configuration", {})
    # The location of a member is computed only if that is at fault: this is called for every codec.
    if not isinstance(name, str):
        fail(f"must be a string, got {show(name)}", member(where, "name"), error)
    if not isinstance(found.get("must_understand", True), bool):
        boolean(found["must_understand"], member(where, "must_understand"), error)
    if not isinstance(configuration, dict):
        as_object(configuration, member(where, "configuration"), error)
    return name, configuration
