"""New arrays by the functions and methods that take fewer keywords, in plain calls.

Rules of this file:

* A function creates the array at a store path, and returns the array of fastzarr. The keywords and
  defaults are those of zarr-python 3.4.
"""

from __future__ import annotations

import inspect
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastzarr.compat.core.array import (
    AsyncArray,
    _parse_deprecated_compressor,
    check_data,
    create_array,
)
from fastzarr.compat.core.array_spec import parse_array_config
from fastzarr.compat.core.common import _warn_write_empty_chunks_kwarg
from fastzarr.compat.core.config import config as settings
from fastzarr.compat.core.new_arrays import copied_array, new_array, old_array
from fastzarr.compat.errors import ContainsArrayError, ZarrRuntimeWarning, ZarrUserWarning
from fastzarr.compat.storage.bridge import inner_store
from fastzarr.errors import caller_level
from fastzarr.metadata.layout import Layout
from fastzarr.nodes import documents
from fastzarr.stores.keys import parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastzarr.compat.storage._common import StorePath
    from fastzarr.nodes.array import Array

F = TypeVar("F", bound="Callable[..., Any]")

# The keywords of zarr-python 2 that have no effect.
UNUSED = (
    *("synchronizer", "chunk_store", "cache_metadata", "cache_attrs"),
    *("object_codec", "read_only", "meta_array"),
)
# What ``create_array`` does where ``from_array`` keeps what the data has.
_AUTO = {
    "chunks": "auto",
    "shards": None,
    "filters": "auto",
    "compressors": "auto",
    "serializer": "auto",
}


def default_format() -> Any:
    """Return the format of new nodes where none is said."""
    return settings.get("default_zarr_format")


def warn_of_unused(words: Mapping[str, Any]) -> None:
    """Warn of keywords of zarr-python 2 that have no effect."""
    for name in UNUSED:
        if words.get(name) is not None:
            msg = f"{name} is not yet implemented"
            warnings.warn(msg, ZarrRuntimeWarning, stacklevel=caller_level())


def signed_as(function: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that gives a function the signature of another one."""

    def decorate(own: F) -> F:
        vars(own)["__signature__"] = inspect.signature(function)
        return own

    return decorate


def signed(method: F) -> F:
    """Give a method of a group the signature of ``create_array``, as zarr-python has it."""
    own = inspect.signature(method)
    given = inspect.signature(create_array).parameters
    name = own.parameters["name"]
    words = [each for each in given.values() if each.name not in ("store", "name", "zarr_format")]
    place = [each.name for each in words].index("compressors") + 1
    words.insert(place, words[place - 1].replace(name="compressor"))
    vars(method)["__signature__"] = own.replace(
        parameters=[own.parameters["self"], name, *words],
    )
    return method


@contextmanager
def naming_parents(place: StorePath) -> Iterator[None]:
    """Say, where a node cannot be created below an array, that it is a parent."""
    try:
        yield
    except ContainsArrayError as error:
        store = inner_store(place.store)
        if any(isinstance(documents.load(store, above), Layout) for above in parents(place.path)):
            msg = f"A parent of {place} is an array - only groups may have child nodes. ({error})"
            raise ContainsArrayError(msg) from error
        raise


def made_array(place: StorePath, words: Mapping[str, Any]) -> Array:
    """Create an array with the keywords of ``create_array``, or of its form for groups."""
    given = dict(words)
    shape, dtype, data = (given.pop(name, None) for name in ("shape", "dtype", "data"))
    write_data = given.pop("write_data", True)
    # The store is there already.
    given.pop("storage_options", None)
    if "compressor" in given:
        given["compressors"] = _parse_deprecated_compressor(
            given.pop("compressor"), given.get("compressors", "auto"), given.get("zarr_format", 3)
        )
    check_data(data, shape, dtype)
    with naming_parents(place):
        if data is None:
            return new_array(place, shape=shape, dtype=dtype, **given)
        return copied_array(place, data=data, write_data=write_data, **{**_AUTO, **given})


def created(place: StorePath, words: Mapping[str, Any]) -> Array:
    """Create an array with the keywords of ``create``."""
    given = {name: value for name, value in words.items() if name not in UNUSED}
    warn_of_unused(words)
    config, empty_chunks = given.pop("config", None), given.pop("write_empty_chunks", None)
    if empty_chunks is not None:
        _warn_write_empty_chunks_kwarg()
        if config is not None:
            msg = (
                "Both write_empty_chunks and config keyword arguments are set. This is redundant; "
                "write_empty_chunks is used instead of the value in config."
            )
            warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())
    parsed = parse_array_config(config)
    if empty_chunks is not None:
        parsed = replace(parsed, write_empty_chunks=empty_chunks)
    if given.get("zarr_format") is None:
        given["zarr_format"] = default_format()
    given["overwrite"] = bool(given.get("overwrite")) or given.pop("mode", None) == "w"
    given.pop("mode", None)
    if given.get("dtype") is None:
        given["dtype"] = "float64"
    with naming_parents(place):
        return old_array(place, config=parsed, **given)


def saved(place: StorePath, value: Any, words: Mapping[str, Any]) -> Array:
    """Create an array of a value, with the keywords of ``create``."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        value = np.asanyarray(value)
    chunks = getattr(value, "chunks", None)
    own = {"shape": value.shape, "dtype": value.dtype, "chunks": chunks, "data": value}
    return created(place, own | dict(words))


def shape_and_chunks(a: Any) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Return the shape and the chunks of an array-like object, None where it has none."""
    shape = getattr(a, "shape", None)
    if not isinstance(shape, tuple):
        return None, None
    chunks = getattr(a, "chunks", None)
    if isinstance(chunks, tuple) and len(chunks) == len(shape):
        return shape, chunks
    length = getattr(a, "chunklen", None)
    return shape, None if length is None else (length, *shape[1:])


def like_args(a: Any, zarr_format: Any) -> dict[str, Any]:
    """Return the keywords of ``create`` for an array like another."""
    shape, chunks = shape_and_chunks(a)
    found = {"shape": shape, "chunks": chunks, "dtype": getattr(a, "dtype", None)}
    found = {name: value for name, value in found.items() if value is not None}
    if isinstance(a, AsyncArray) or hasattr(a, "async_array"):
        metadata = a.metadata
        found["fill_value"] = metadata.fill_value
        if zarr_format is None:
            zarr_format = metadata.zarr_format
        if metadata.zarr_format != zarr_format:
            pass
        elif zarr_format == 2:
            names = ("compressor", "filters")
            found |= {"order": a.order} | {name: getattr(metadata, name) for name in names}
        else:
            found["codecs"] = metadata.codecs
    if zarr_format is not None:
        found["zarr_format"] = zarr_format
    return found


def filling(verb: str, words: Mapping[str, Any], zarr_format: Any = None) -> dict[str, Any]:
    """Return the keywords of ``create`` for ``zeros``, ``full_like`` or another of their kind.

    What such an array is like is ``data``; ``zarr_format`` is the format of the group it is for.

    >>> filling("ones", {"shape": 3})
    {'shape': 3, 'fill_value': 1}
    """
    found = dict(words)
    kind, like, _ = verb.partition("_like")
    fill = {"zeros": {"fill_value": 0}, "ones": {"fill_value": 1}}.get(kind, {})
    if like:
        own = like_args(found.pop("data"), found.get("zarr_format") or zarr_format)
        found = own | found
    return found | fill
