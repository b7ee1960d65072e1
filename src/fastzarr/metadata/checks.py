"""Checks shared by the metadata documents of all formats.

Rules of this file:

* A check takes a parsed JSON value and its location. It returns the value in the type that the rest
  of the package uses, or raises ``MetadataError`` naming the location.
* Sizes must be exact integers: ``true`` and ``4.0`` are rejected.
* Quantities in a document are checked against the limits in ``config`` (``limits.*``) before they
  are used in a computation.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from reprlib import Repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, placed
from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError, MetadataValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fastzarr.codecs.base import ChunkSpec, Codec
    from fastzarr.dtypes import DataType

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


def as_chunks(value: object, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Return a JSON list as the chunk shape of an array of ``shape``.

    Old writers put 0 along axes of length zero, which is read as 1. Raise ``MetadataError`` for 0
    along another axis, and for a wrong number of axes.
    """
    chunks = as_sizes(value, where, 0)
    if len(chunks) != len(shape):
        fail(f"has {len(chunks)} sizes for the {len(shape)} axes of the shape", where)
    for axis, (chunk, size) in enumerate(zip(chunks, shape, strict=True)):
        if chunk == 0 and size:
            fail("must be at least 1, got 0", member(where, axis))
    return tuple(chunk or 1 for chunk in chunks)


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


def check_chain(codecs: Sequence[Codec], where: str) -> None:
    """Raise ``MetadataError`` unless the chain has the kinds of codecs in a valid order.

    Array-to-array codecs come first, then exactly one array-to-bytes codec, then bytes-to-bytes
    codecs.
    """
    kinds = [_kind(codec) for codec in codecs]
    serializers = [codec for codec, kind in zip(codecs, kinds, strict=True) if kind == 1]
    if len(serializers) > 1:
        names = " and ".join(repr(codec.name) for codec in serializers)
        fail(f"only one codec may encode the array as bytes, got {names}", where)
    if not serializers:
        fail("no codec encodes the array as bytes; add one such as 'bytes'", where)
    for place in range(1, len(kinds)):
        if kinds[place] < kinds[place - 1]:
            before, after = codecs[place - 1].name, codecs[place].name
            fail(f"{after!r} cannot follow {before!r}", member(where, place))


def _kind(codec: Codec) -> int:
    for kind, cls in enumerate((ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)):
        if isinstance(codec, cls):
            return kind
    return fail(f"{show(codec)} is not an array or bytes codec", "")


def resolve_chain(
    codecs: Sequence[Codec], spec: ChunkSpec, where: str, places: Sequence[str] | None = None
) -> tuple[Codec, ...]:
    """Return the chain with each codec resolved for the chunks that it encodes.

    ``spec`` describes the decoded chunks. ``where`` is the location of the list of codecs;
    ``places`` are the locations of their configurations, if not inside that list. Raise
    ``MetadataError``, naming the codec, if one cannot encode its input.
    """
    check_chain(codecs, where)
    resolved: list[Codec] = []
    for index, codec in enumerate(codecs):
        place = places[index] if places else member(member(where, index), "configuration")
        fitted = guard(partial(placed, partial(codec.resolve, spec), place), place)
        if isinstance(fitted, ArrayArrayCodec):
            spec = guard(partial(placed, partial(fitted.encoded_spec, spec), place), place)
        resolved.append(fitted)
    return tuple(resolved)


def guard(call: Callable[[], T], place: str) -> T:
    """Return ``call()``; raise any error of a codec, registered ones too, as ``MetadataError``."""
    try:
        return call()
    except (MetadataError, MemoryError):
        raise
    except RecursionError:
        fail("is nested too deeply", place)
    except Exception as error:  # third-party codecs may raise any exception
        msg = f"the codec cannot be used: {type(error).__name__}: {error}"
        raise MetadataError(msg, place) from error


def check_nesting(codecs: Sequence[Codec], where: str) -> None:
    """Raise ``LimitError`` if shards are nested deeper than ``limits.shard_nesting``."""
    limit = config.get("limits.shard_nesting")
    if sum(1 for _ in _shards(codecs)) > limit:
        msg = f"shards are nested deeper than {limit} levels (setting limits.shard_nesting)"
        raise LimitError(msg, where)


def check_sizes(
    chunks: tuple[int, ...], dtype: DataType, codecs: Sequence[Codec], where: str
) -> None:
    """Raise ``LimitError`` if a decoded chunk is larger than ``limits.chunk_bytes``.

    In a sharded array this is an inner chunk, the smallest unit that is decoded.
    """
    for shard in _shards(codecs):
        chunks = shard.chunk_shape  # type: ignore[attr-defined]
    size = math.prod(chunks) * max(1, dtype.numpy.itemsize)
    limit = config.get("limits.chunk_bytes")
    if size > limit:
        msg = f"a chunk of {show(size)} bytes exceeds {limit} (setting limits.chunk_bytes)"
        raise LimitError(msg, where)


def _shards(codecs: Sequence[Codec]) -> Iterator[Codec]:
    inner: Sequence[Codec] | None = codecs
    while inner:
        shard = next((codec for codec in inner if codec.name == "sharding_indexed"), None)
        if shard is None:
            return
        yield shard
        inner = shard.codecs  # type: ignore[attr-defined]
