"""The questions every metadata document is asked, whatever its format.

Rules of this file:

* A check takes a value as JSON gave it and the place it stands at, and gives it back in the type
  the rest of the package works with, or raises a ``MetadataError`` that names the place.
* Sizes are exact integers: neither ``true`` nor ``4.0`` is one.
* What a document may ask for is bounded by ``config`` (``limits.*``) before anything is computed
  from it.
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
    """Give the place of a member, or of a list's item, below another place.

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
    """Give a value as an error message should quote it: short, whatever the value.

    >>> show("x" * 1000) == show("x" * 2000)
    True
    """
    try:
        return _repr.repr(value)
    except ValueError:  # an integer too long for Python to print
        return "a huge integer"


def fail(message: str, where: str) -> NoReturn:
    """Raise the error of a document that breaks its format's rules."""
    raise MetadataValidationError(message, where)


def as_object(value: object, where: str) -> dict[str, Any]:
    """Give the value where it is a JSON object."""
    if not isinstance(value, dict):
        fail(f"must be an object, got {show(value)}", where)
    for name in value:
        if not isinstance(name, str):
            fail(f"the name of a member must be a string, got {show(name)}", where)
    return value


def as_list(value: object, where: str) -> list[Any]:
    """Give the value as a list where it is a JSON array."""
    if not isinstance(value, list | tuple):
        fail(f"must be a list, got {show(value)}", where)
    return list(value)


def as_int(value: object, where: str, minimum: int) -> int:
    """Give the value where it is an exact integer from ``minimum`` to 2**63 - 1."""
    if type(value) is not int:
        fail(f"must be an integer, got {show(value)}", where)
    if value < minimum:
        fail(f"must be at least {minimum}, got {show(value)}", where)
    if value > MAX_SIZE:
        fail(f"must be at most 2**63 - 1, got {show(value)}", where)
    return value


def as_sizes(value: object, where: str, minimum: int) -> tuple[int, ...]:
    """Give a list of sizes, one an axis, as a tuple."""
    sizes = as_list(value, where)
    limit = config.get("limits.dimensions")
    if len(sizes) > limit:
        msg = f"{len(sizes)} dimensions are more than the {limit} of the setting limits.dimensions"
        raise LimitError(msg, where)
    if not all(type(size) is int and minimum <= size <= MAX_SIZE for size in sizes):
        return tuple(as_int(size, member(where, axis), minimum) for axis, size in enumerate(sizes))
    return tuple(sizes)


def as_shape(value: object, where: str) -> tuple[int, ...]:
    """Give the shape of an array; its elements can be counted in 64 bits."""
    shape = as_sizes(value, where, 0)
    # With a zero-length axis there are no elements; the others still span the chunk grid.
    if math.prod(size or 1 for size in shape) > MAX_SIZE:
        msg = f"an array of shape {show(shape)} has more than 2**63 - 1 elements"
        raise LimitError(msg, where)
    return shape


def as_chunks(value: object, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Give a chunk shape that fits the shape of the array.

    Zero stands for one along an axis of length zero, where writers of old documents put it.
    """
    chunks = as_sizes(value, where, 0)
    if len(chunks) != len(shape):
        fail(f"has {len(chunks)} sizes for the {len(shape)} axes of the shape", where)
    for axis, (chunk, size) in enumerate(zip(chunks, shape, strict=True)):
        if chunk == 0 and size:
            fail("must be at least 1, got 0", member(where, axis))
    return tuple(chunk or 1 for chunk in chunks)


def require(document: dict[str, Any], names: Iterable[str], where: str) -> None:
    """Refuse a document that lacks one of these members."""
    for name in names:
        if name not in document:
            fail(f"the member {name!r} is missing", where)


def extension(value: object, where: str) -> tuple[str, dict[str, Any]]:
    """Give the name and the configuration of an extension point of format 3.

    An extension is its bare name or an object with ``name``, ``configuration`` and
    ``must_understand``, as the section "Extension definition" of the core specification has it.
    """
    if isinstance(value, str):
        return value, {}
    definition = as_object(value, where)
    require(definition, ["name"], where)
    for name in definition:
        if name not in ("name", "configuration", "must_understand"):
            fail(f"the member {show(name)} is not known", where)
    name = definition["name"]
    if not isinstance(name, str):
        fail(f"must be a string, got {show(name)}", member(where, "name"))
    if not isinstance(definition.get("must_understand", True), bool):
        fail("must be true or false", member(where, "must_understand"))
    configuration = definition.get("configuration", {})
    return name, as_object(configuration, member(where, "configuration"))


def check_chain(codecs: Sequence[Codec], where: str) -> None:
    """Refuse a chain that is not array codecs, one array-to-bytes codec, bytes codecs."""
    kinds = [_kind(codec) for codec in codecs]
    serializers = [codec for codec, kind in zip(codecs, kinds, strict=True) if kind == 1]
    if len(serializers) > 1:
        names = " and ".join(repr(codec.name) for codec in serializers)
        fail(f"one codec alone may turn the array into bytes, got {names}", where)
    if not serializers:
        fail("no codec turns the array into bytes; give one such as 'bytes'", where)
    for place in range(1, len(kinds)):
        if kinds[place] < kinds[place - 1]:
            before, after = codecs[place - 1].name, codecs[place].name
            fail(f"{after!r} cannot come behind {before!r}", member(where, place))


def _kind(codec: Codec) -> int:
    for kind, cls in enumerate((ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)):
        if isinstance(codec, cls):
            return kind
    return fail(f"{show(codec)} is no codec of an array", "")


def resolve_chain(
    codecs: Sequence[Codec], spec: ChunkSpec, where: str, places: Sequence[str] | None = None
) -> tuple[Codec, ...]:
    """Fit a chain to the chunks it will see; ``MetadataError`` says which codec does not fit.

    ``where`` is the place of the list of codecs, ``places`` those of their configurations where
    they are not below it.
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
    """Give what ``call`` gives; any error of a codec, whoever wrote it, is a ``MetadataError``."""
    try:
        return call()
    except (MetadataError, MemoryError):
        raise
    except RecursionError:
        fail("is nested too deeply", place)
    except Exception as error:  # codecs that others register raise what they like
        msg = f"the codec cannot be used: {type(error).__name__}: {error}"
        raise MetadataError(msg, place) from error


def check_nesting(codecs: Sequence[Codec], where: str) -> None:
    """Refuse shards within shards beyond ``limits.shard_nesting``."""
    limit = config.get("limits.shard_nesting")
    if sum(1 for _ in _shards(codecs)) > limit:
        msg = f"shards are nested deeper than the {limit} of the setting limits.shard_nesting"
        raise LimitError(msg, where)


def check_sizes(
    chunks: tuple[int, ...], dtype: DataType, codecs: Sequence[Codec], where: str
) -> None:
    """Refuse a chunk, the smallest piece that is decoded at once, beyond ``limits.chunk_bytes``."""
    for shard in _shards(codecs):
        chunks = shard.chunk_shape  # type: ignore[attr-defined]
    size = math.prod(chunks) * max(1, dtype.numpy.itemsize)
    limit = config.get("limits.chunk_bytes")
    if size > limit:
        msg = f"a chunk of {show(size)} bytes is over the {limit} of the setting limits.chunk_bytes"
        raise LimitError(msg, where)


def _shards(codecs: Sequence[Codec]) -> Iterator[Codec]:
    inner: Sequence[Codec] | None = codecs
    while inner:
        shard = next((codec for codec in inner if codec.name == "sharding_indexed"), None)
        if shard is None:
            return
        yield shard
        inner = shard.codecs  # type: ignore[attr-defined]
