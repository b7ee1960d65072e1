"""Names of documents, types, and small functions that all modules of the facade share."""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, TypeVar, cast

import numpy as np

from fastzarr.errors import ZarrRuntimeWarning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

ZARR_JSON = "zarr.json"
ZARRAY_JSON = ".zarray"
ZGROUP_JSON = ".zgroup"
ZATTRS_JSON = ".zattrs"
ZMETADATA_V2_JSON = ".zmetadata"

BytesLike: TypeAlias = bytes | bytearray | memoryview
ShapeLike: TypeAlias = Iterable[int | np.integer[Any]] | int | np.integer[Any]
ChunksLike: TypeAlias = Any
ChunkCoords: TypeAlias = tuple[int, ...]
ZarrFormat: TypeAlias = Literal[2, 3]
NodeType: TypeAlias = Literal["array", "group"]
JSON: TypeAlias = str | int | float | bool | Mapping[str, "JSON"] | Sequence["JSON"] | None
MemoryOrder: TypeAlias = Literal["C", "F"]
AccessModeLiteral: TypeAlias = Literal["r", "r+", "a", "w", "w-"]
ANY_ACCESS_MODE: Final = "r", "r+", "a", "w", "w-"
DimensionNamesLike: TypeAlias = Iterable[str | None] | None
DimensionNames: TypeAlias = DimensionNamesLike
Name = TypeVar("Name", bound=str)
Configuration = TypeVar("Configuration")


if TYPE_CHECKING:

    class NamedConfig(TypedDict, total=False):
        """A name with a configuration, or without one."""

        name: str
        configuration: Any

    class NamedRequiredConfig(TypedDict):
        """A name with a configuration."""

        name: str
        configuration: Any

else:
    from typing import Generic, NotRequired

    from typing_extensions import ReadOnly
    from typing_extensions import TypedDict as _TypedDict

    class NamedConfig(_TypedDict, Generic[Name, Configuration]):
        """A name with a configuration, or without one."""

        name: ReadOnly[Name]
        configuration: NotRequired[ReadOnly[Configuration]]

    class NamedRequiredConfig(_TypedDict, Generic[Name, Configuration]):
        """A name with a configuration."""

        name: ReadOnly[Name]
        configuration: ReadOnly[Configuration]


# Numbers


def product(tup: tuple[int, ...]) -> int:
    """Return the product of integers, 1 of none."""
    return math.prod(tup)


def ceildiv(a: float, b: float) -> int:
    """Return ``a / b`` as a float, rounded up; 0 if ``a`` is 0, whatever ``b`` is."""
    return math.ceil(a / b) if a else 0


def ceildiv_int(a: int, b: int) -> int:
    """Return ``a / b`` rounded up, exact for integers of any size."""
    return -(-int(a) // int(b))


# Many calls at once


def concurrent_iter(
    items: Iterable[tuple[Any, ...]], func: Callable[..., Awaitable[T]], limit: int | None = None
) -> list[asyncio.Task[T]]:
    """Start ``func(*item)`` for every item, and return the tasks in the order of the items.

    At most ``limit`` of them are under way at once.
    """
    if limit is None:
        return [cast("asyncio.Task[T]", asyncio.ensure_future(func(*item))) for item in items]
    room = asyncio.Semaphore(limit)

    async def one(item: tuple[Any, ...]) -> T:
        async with room:
            return await func(*item)

    return [asyncio.ensure_future(one(item)) for item in items]


async def concurrent_map(
    items: Iterable[tuple[Any, ...]], func: Callable[..., Awaitable[T]], limit: int | None = None
) -> list[T]:
    """Return the results of ``func(*item)`` in the order of the items."""
    return await asyncio.gather(*concurrent_iter(items, func, limit))


async def concurrent_foreach(
    items: Iterable[tuple[Any, ...]], func: Callable[..., Awaitable[object]], limit: int
) -> None:
    """Await ``func(*item)`` for every item, of which at most ``limit`` are held at once.

    If a call fails, no other is begun, those under way are cancelled, and its error is raised; the
    errors of further calls are its cause.
    """
    if limit < 1:
        msg = f"limit must be at least 1, got {limit}"
        raise ValueError(msg)
    waiting = iter(items)
    failed = False

    async def work() -> None:
        nonlocal failed
        while not failed:
            item = next(waiting, None)
            if item is None:
                return
            try:
                await func(*item)
            except BaseException:
                failed = True
                raise

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from (errors if len(errors.exceptions) > 1 else None)


# Values of documents and arguments


def enum_names(enum: type[Enum]) -> Iterator[str]:
    """Iterate over the names of an enumeration."""
    return (item.name for item in enum)


def parse_enum(data: object, cls: type[E]) -> E:
    """Return the member of an enumeration that is ``data`` or has this name."""
    if isinstance(data, cls):
        return data
    if not isinstance(data, str):
        msg = f"Expected str, got {type(data)}"
        raise TypeError(msg)
    names = list(enum_names(cls))
    if data not in names:
        msg = f"Value must be one of {names!r}. Got {data} instead."
        raise ValueError(msg)
    return cls(data)


def parse_name(data: Any, expected: str | None = None) -> str:
    """Return a name; raise ValueError if another one is expected."""
    if not isinstance(data, str):
        msg = f"Expected a string, got an instance of {type(data)}."
        raise TypeError(msg)
    if expected is not None and data != expected:
        msg = f"Expected '{expected}'. Got {data} instead."
        raise ValueError(msg)
    return data


def parse_configuration(data: Any) -> Any:
    """Return a configuration; raise TypeError if it is not a dict."""
    if not isinstance(data, dict):
        msg = f"Expected dict, got {type(data)}"
        raise TypeError(msg)
    return data


def parse_named_configuration(
    data: Any, expected_name: str | None = None, *, require_configuration: bool = True
) -> tuple[str, Any]:
    """Return the name and the configuration of an extension as a document has it."""
    parse_configuration(data)
    if "name" not in data:
        msg = f"Named configuration does not have a 'name' key. Got {data}."
        raise ValueError(msg)
    name = parse_name(data["name"], expected_name)
    if "configuration" in data:
        return name, parse_configuration(data["configuration"])
    if require_configuration:
        msg = f"Named configuration does not have a 'configuration' key. Got {data}."
        raise ValueError(msg)
    return name, None


def parse_shapelike(data: Any) -> tuple[int, ...]:
    """Return a shape that was given as an integer or as several."""
    if isinstance(data, int | np.integer):
        if data < 0:
            msg = f"Expected a non-negative integer. Got {data} instead"
            raise ValueError(msg)
        return (int(data),)
    try:
        sizes = tuple(data)
    except TypeError as error:
        msg = f"Expected an integer or an iterable of integers. Got {data} instead."
        raise TypeError(msg) from error
    if not all(isinstance(size, int | np.integer) for size in sizes):
        msg = f"Expected an iterable of integers. Got {data} instead."
        raise TypeError(msg)
    if any(size < 0 for size in sizes):
        msg = f"Expected all values to be non-negative. Got {data} instead."
        raise ValueError(msg)
    return tuple(map(int, sizes))


def parse_fill_value(data: Any) -> Any:
    """Return a fill value as it is."""
    return data


def parse_order(data: Any) -> MemoryOrder:
    """Return an order of elements, C or F."""
    if data not in ("C", "F"):
        msg = f"Failed to parse input for 'order': expected 'C' or 'F', got {data!r}."
        raise ValueError(msg)
    return cast("MemoryOrder", data)


def parse_bool(data: Any) -> bool:
    """Return a boolean; raise ValueError for anything else."""
    if not isinstance(data, bool):
        msg = f"Expected instance of bool, got {data!r}."
        raise ValueError(msg)  # noqa: TRY004  (the error of zarr-python)
    return data


def parse_int(data: Any) -> int:
    """Return an integer that is no boolean; raise ValueError for anything else."""
    if not isinstance(data, int) or isinstance(data, bool):
        msg = f"Expected int, got {data} instead."
        raise ValueError(msg)  # noqa: TRY004  (the error of zarr-python)
    return data


# Warnings of arguments


def _warn_write_empty_chunks_kwarg() -> None:
    msg = (
        "The `write_empty_chunks` keyword argument is deprecated: pass "
        "config={'write_empty_chunks': ...}, or set 'array.write_empty_chunks' in zarr.config"
    )
    warnings.warn(msg, ZarrRuntimeWarning, stacklevel=2)


def _warn_order_kwarg() -> None:
    msg = (
        "The `order` keyword argument has no effect for Zarr format 3 arrays: pass "
        "config={'order': ...}, or set 'array.order' in zarr.config"
    )
    warnings.warn(msg, ZarrRuntimeWarning, stacklevel=2)


# Chunks of differing lengths


def _subject(name: str, axis: int | None) -> str:
    return name[0].upper() + name[1:] if axis is None else f"Dimension {axis}: {name}"


def _parse_positive_int(value: object, name: str, axis: int | None) -> int:
    if not isinstance(value, int):
        msg = f"{_subject(name, axis)} must be an int, got {value!r}"
        raise TypeError(msg)
    if value < 1:
        msg = f"{_subject(name, axis)} must be >= 1, got {value!r}"
        raise ValueError(msg)
    return int(value)


def parse_chunk_edge(size: object, axis: int | None = None) -> int:
    """Return the length of a chunk, an integer of at least 1; errors name ``axis``."""
    return _parse_positive_int(size, "chunk edge length", axis)


def parse_chunk_shape(data: object) -> tuple[int, ...]:
    """Return the shape of the chunks of a regular grid, one length for each axis."""
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        msg = f"A chunk shape must be an iterable of chunk edge lengths, got {data!r}"
        raise TypeError(msg)
    return tuple(parse_chunk_edge(size, axis) for axis, size in enumerate(data))


def expand_rle(data: Sequence[object], axis: int | None = None) -> list[int]:
    """Return lengths of chunks of which some were given as ``[length, repetitions]``."""
    found: list[int] = []
    for item in data:
        if not isinstance(item, list):
            found.append(parse_chunk_edge(item, axis))
            continue
        if len(item) != 2:
            subject = _subject("RLE entries", axis)
            msg = f"{subject} must be an integer or [size, count], got {item}"
            raise ValueError(msg)
        count = _parse_positive_int(item[1], "RLE repeat count", axis)
        found += [parse_chunk_edge(item[0], axis)] * count
    return found


def compress_rle(sizes: Sequence[int]) -> list[int | list[int]]:
    """Return lengths of chunks with runs of equal ones as ``[length, repetitions]``.

    >>> compress_rle([10, 10, 10, 5])
    [[10, 3], 5]
    """
    from itertools import groupby

    runs = ((size, len(list(run))) for size, run in groupby(sizes))
    return [[size, count] if count > 1 else size for size, count in runs]


def validate_rectilinear_kind(kind: str | None) -> None:
    """Raise ValueError unless a rectilinear grid names its lengths inline."""
    if kind is None:
        msg = (
            "Rectilinear chunk grid configuration requires a 'kind' field. "
            "Only 'inline' is currently supported."
        )
        raise ValueError(msg)
    if kind != "inline":
        msg = (
            f"Unsupported rectilinear chunk grid kind: {kind!r}. "
            "Only 'inline' is currently supported."
        )
        raise ValueError(msg)


def validate_rectilinear_edges(
    chunk_shapes: Sequence[int | Sequence[int]], array_shape: Sequence[int]
) -> None:
    """Raise ValueError if the chunks along an axis do not reach the end of the array."""
    for axis, (spec, extent) in enumerate(zip(chunk_shapes, array_shape, strict=True)):
        if isinstance(spec, int):
            continue
        reached = sum(spec)
        if reached < extent:
            msg = (
                f"Rectilinear chunk edges for dimension {axis} sum to {reached} but array shape "
                f"extent is {extent} (edge sum must be >= extent)"
            )
            raise ValueError(msg)
