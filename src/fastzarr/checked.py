"""Checks of values in metadata documents and of arguments.

Rules of this file:

* A check takes a parsed JSON value and its location. It returns the value in the type that the rest
  of the package uses, or raises ``MetadataError`` naming the location.
* Sizes must be exact integers: ``true`` and ``4.0`` are rejected.
* Quantities in a document are checked against the limits in ``config`` (``limits.*``) before they
  are used in a computation.
"""

from __future__ import annotations

import math
from functools import lru_cache
from reprlib import Repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from fastzarr.config import config
from fastzarr.errors import (
    DataTypeValidationError,
    LimitError,
    MetadataError,
    MetadataValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


T = TypeVar("T")

MAX_SIZE = 2**63 - 1

_KEYS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")

_repr = Repr()
_repr.maxstring = _repr.maxother = 80


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


def fail(message: str, where: str) -> NoReturn:
    """Raise ``MetadataValidationError``, naming ``where``."""
    raise MetadataValidationError(message, where)


def as_object(value: object, where: str) -> dict[str, Any]:
    """Return the value; raise ``MetadataError`` unless it is a JSON object."""
    if not isinstance(value, dict):
        fail(f"must be an object, got {show(value)}", where)
    for name in value:
        if not isinstance(name, str):
            fail(f"the name of a member must be a string, got {show(name)}", where)
    return value


def as_list(value: object, where: str) -> list[Any]:
    """Return the value as a list; raise ``MetadataError`` unless it is a JSON array."""
    if not isinstance(value, list | tuple):
        fail(f"must be a list, got {show(value)}", where)
    return list(value)


def as_int(value: object, where: str, minimum: int) -> int:
    """Return the value; raise ``MetadataError`` unless it is an int from minimum to 2**63 - 1."""
    if type(value) is not int:
        fail(f"must be an integer, got {show(value)}", where)
    if value < minimum:
        fail(f"must be at least {minimum}, got {show(value)}", where)
    if value > MAX_SIZE:
        fail(f"must be at most 2**63 - 1, got {show(value)}", where)
    return value


def as_sizes(value: object, where: str, minimum: int) -> tuple[int, ...]:
    """Return a JSON list of sizes, one for each axis, as a tuple.

    Raise ``MetadataError`` for an invalid size, and ``LimitError`` for too many axes.
    """
    sizes = as_list(value, where)
    limit = config.get("limits.dimensions")
    if len(sizes) > limit:
        msg = f"{len(sizes)} dimensions exceed the limit of {limit} (setting limits.dimensions)"
        raise LimitError(msg, where)
    if not all(type(size) is int and minimum <= size <= MAX_SIZE for size in sizes):
        return tuple(as_int(size, member(where, axis), minimum) for axis, size in enumerate(sizes))
    return tuple(sizes)


def as_shape(value: object, where: str) -> tuple[int, ...]:
    """Return a JSON list as the shape of an array.

    Raise ``LimitError`` if the number of elements exceeds 2**63 - 1.
    """
    shape = as_sizes(value, where, 0)
    # Axes of length zero are ignored, because the other axes still span a chunk grid.
    if math.prod(size or 1 for size in shape) > MAX_SIZE:
        msg = f"an array of shape {show(shape)} has more than 2**63 - 1 elements"
        raise LimitError(msg, where)
    return shape


def require(document: dict[str, Any], names: Iterable[str], where: str) -> None:
    """Raise ``MetadataError`` if the document lacks one of the members ``names``."""
    for name in names:
        if name not in document:
            fail(f"the member {name!r} is missing", where)


def extension(value: object, where: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of a format 3 extension.

    An extension is a string, its name, or an object with ``name``, ``configuration`` and
    ``must_understand`` (core specification, "Extension definition"). Raise ``MetadataError`` for
    anything else.
    """
    if isinstance(value, str):
        return value, {}
    definition = as_object(value, where)
    require(definition, ["name"], where)
    for name in definition:
        if name not in ("name", "configuration", "must_understand"):
            fail(f"unknown member {show(name)}", where)
    name = definition["name"]
    if not isinstance(name, str):
        fail(f"must be a string, got {show(name)}", member(where, "name"))
    if not isinstance(definition.get("must_understand", True), bool):
        fail("must be true or false", member(where, "must_understand"))
    configuration = definition.get("configuration", {})
    return name, as_object(configuration, member(where, "configuration"))


def check_members(config: Any, known: dict[str, bool], where: str) -> None:
    """Raise ``MetadataError`` unless ``config`` is an object of known members.

    ``known`` maps the name of each allowed member to whether it is required.
    """
    if not isinstance(config, dict):
        msg = f"must be an object, not {config!r}"
        raise MetadataError(msg, where)
    for name in config:
        if name not in known:
            names = ", ".join(known) or "none"
            msg = f"unknown member; known members: {names}"
            raise MetadataError(msg, f"{where}.{name}")
    for name, required in known.items():
        if required and name not in config:
            msg = f"the member {name!r} is missing"
            raise MetadataError(msg, where)


def placed(make: Callable[[], T], where: str) -> T:
    """Return ``make()``, prefixing the location of a ``MetadataError`` it raises by ``where``."""
    try:
        return make()
    except MetadataError as error:
        if not where:
            raise
        message = str(error).removeprefix(f"{error.where}: ")
        place = f"{where}.{error.where}" if error.where else where
        raise type(error)(message, place) from None


def exact_int(value: Any, low: int, high: int, where: str) -> int:
    """Return ``value`` as an int; raise ``MetadataError`` unless it is one from low to high."""
    if isinstance(value, np.integer):
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        msg = f"must be an integer from {low} to {high}, not {value!r}"
        raise MetadataError(msg, where)
    return value


def choice(value: Any, known: tuple[str, ...], where: str) -> str:
    """Return ``value``, a string or an enumeration member; raise ``MetadataError`` if unknown."""
    word = getattr(value, "value", value)
    if not isinstance(word, str) or word not in known:
        msg = f"must be one of {', '.join(map(repr, known))}, not {value!r}"
        raise MetadataError(msg, where)
    return word


def boolean(value: Any, where: str) -> bool:
    """Return ``value`` as a bool; raise ``MetadataError`` if it is not one."""
    if not isinstance(value, (bool, np.bool_)):
        msg = f"must be true or false, not {value!r}"
        raise MetadataError(msg, where)
    return bool(value)


def short(value: object) -> str:
    """Return the repr of a value for an error message, truncated to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def named(json: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Split the ``data_type`` of a format 3 document into name and configuration.

    Raise DataTypeValidationError, naming ``where``, for any other member or a malformed one.
    """
    if isinstance(json, str):
        return json, {}
    if not isinstance(json, dict) or not isinstance(json.get("name"), str):
        msg = f"a data type must be a name or an object with a name, not {short(json)}"
        raise DataTypeValidationError(msg, where)
    for key in json:
        if key not in ("name", "configuration", "must_understand"):
            msg = f"unknown member {short(key)} in data type {short(json['name'])}"
            raise DataTypeValidationError(msg, where)
    if not isinstance(json.get("must_understand", True), bool):
        msg = f"must_understand must be true or false, not {short(json['must_understand'])}"
        raise DataTypeValidationError(msg, f"{where}.must_understand")
    config = json.get("configuration", {})
    if not isinstance(config, dict):
        msg = f"a configuration must be an object, not {short(config)}"
        raise DataTypeValidationError(msg, f"{where}.configuration")
    return json["name"], config


def members(name: str, config: dict[str, Any], keys: tuple[str, ...], where: str) -> list[Any]:
    """Return the values of ``keys`` in a configuration, in that order.

    Raise DataTypeValidationError if one is missing or the configuration has another member.
    """
    where = f"{where}.configuration"
    for key in config:
        if key not in keys:
            msg = f"unknown member {short(key)} in the configuration of {name}"
            raise DataTypeValidationError(msg, where)
    for key in keys:
        if key not in config:
            msg = f"the configuration of {name} is missing {key!r}"
            raise DataTypeValidationError(msg, where)
    return [config[key] for key in keys]


def positive_int(value: Any, limit: int, where: str) -> int:
    """Return ``value``; raise DataTypeValidationError unless it is an int from 1 to ``limit``."""
    if type(value) is not int or not 1 <= value <= limit:
        msg = f"expected an integer from 1 to {limit}, got {short(value)}"
        raise DataTypeValidationError(msg, where)
    return value
