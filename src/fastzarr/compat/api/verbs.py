"""The functions of zarr-python's top level, as plain calls that return awaitable nodes.

Rules of this file:

* ``synchronous.py`` wraps the results of these functions, and ``asynchronous.py`` awaits them. The
  signatures, defaults and errors are those of zarr-python 3.4.
* A store is opened, and created if need be, by ``place_of``, which deletes nothing. What is in it
  is replaced by the engine, which checks first that it is part of a Zarr hierarchy.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastzarr.compat.abc.store import Store
from fastzarr.compat.core import array
from fastzarr.compat.core import group_verbs as groups
from fastzarr.compat.core.array import AsyncArray, opened
from fastzarr.compat.core.async_group import AsyncGroup, new_group, old_group, place_of
from fastzarr.compat.core.creating import (
    created,
    default_format,
    filling,
    made_array,
    signed_as,
    warn_of_unused,
)
from fastzarr.compat.core.group import created_hierarchy
from fastzarr.compat.core.new_arrays import DEFAULT_FILL_VALUE, copied_array
from fastzarr.compat.errors import (
    ArrayNotFoundError,
    ContainsGroupError,
    GroupNotFoundError,
    NodeTypeValidationError,
    ZarrUserWarning,
)
from fastzarr.compat.storage._common import StorePath
from fastzarr.errors import NodeNotFoundError, caller_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.compat.core.group_metadata import NodeMetadata

_READ_MODES = ("r", "r+", "a")
_CREATE_MODES = ("a", "w", "w-")


# Opening


def open(
    store: Any = None,
    *,
    mode: Any = None,
    zarr_format: Any = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    config: Any = None,
    **kwargs: Any,
) -> AsyncArray | AsyncGroup:
    """Open the array or group in a store; a missing one is created in the modes that do so.

    >>> import fastzarr.compat as zarr
    >>> zarr.open({}, mode="w", shape=3, dtype="i4").shape
    (3,)
    """
    if mode is None:
        mode = "r" if isinstance(store, Store | StorePath) and store.read_only else "a"
    place = place_of(store, path or "", mode, storage_options)
    if "shape" in kwargs:
        try:
            return open_array(place, zarr_format=zarr_format, mode=mode, config=config, **kwargs)
        except (KeyError, NodeTypeValidationError):
            _check_no_config(config, place)
            return open_group(place, mode=mode, zarr_format=zarr_format, **kwargs)
    if mode in _READ_MODES:
        try:
            return AsyncArray.from_inner(opened(place, zarr_format, config), place)
        except (NodeNotFoundError, NodeTypeValidationError, ContainsGroupError, NotADirectoryError):
            pass
    _check_no_config(config, place)
    return open_group(place, mode=mode, zarr_format=zarr_format, **kwargs)


def _check_no_config(config: Any, place: StorePath) -> None:
    if config is not None:
        msg = (
            f"config is the runtime configuration of an array, but {place} resolves to a group. "
            "Groups have no runtime configuration."
        )
        raise TypeError(msg)


def open_array(
    store: Any = None,
    *,
    zarr_format: Any = None,
    path: str | None = "",
    storage_options: dict[str, Any] | None = None,
    config: Any = None,
    **kwargs: Any,
) -> AsyncArray:
    """Open the array in a store; a missing one is created in the modes that do so.

    >>> import fastzarr.compat as zarr
    >>> zarr.open_array({}, mode="w", shape=3, dtype="i4").shape
    (3,)
    """
    mode = kwargs.pop("mode", None)
    place = place_of(store, path or "", mode, storage_options)
    if mode != "w":
        try:
            return AsyncArray.from_inner(opened(place, zarr_format, config), place)
        except NodeNotFoundError as error:
            if place.read_only or mode not in _CREATE_MODES:
                msg = f"No array found in store {place.store} at path {place.path}"
                raise ArrayNotFoundError(msg) from error
    words = {"zarr_format": zarr_format, "overwrite": mode == "w", "config": config, **kwargs}
    return create(store=place, **words)


def open_like(a: Any, path: str, *, zarr_format: Any = None, **kwargs: Any) -> AsyncArray:
    """Open the array at a path, or create one like another.

    >>> import numpy as np
    >>> import fastzarr.compat as zarr
    >>> zarr.open_like(np.zeros(3, "i4"), "a", store=zarr.storage.MemoryStore()).shape
    (3,)
    """
    words = filling("empty_like", {"data": a, **kwargs}, zarr_format or default_format())
    words.pop("zarr_format")
    if words.get("mode") is None:
        words["mode"] = "a"
    return open_array(path=path, zarr_format=zarr_format, **words)


def open_group(  # noqa: PLR0913  (signature of zarr-python)
    store: Any = None,
    *,
    mode: Any = "a",
    cache_attrs: bool | None = None,
    synchronizer: Any = None,
    path: str | None = None,
    chunk_store: Any = None,
    storage_options: dict[str, Any] | None = None,
    zarr_format: Any = None,
    meta_array: Any = None,
    attributes: dict[str, Any] | None = None,
    use_consolidated: bool | str | None = None,
) -> AsyncGroup:
    """Open the group in a store; a missing one is created in the modes that do so.

    >>> import fastzarr.compat as zarr
    >>> zarr.open_group({}, attributes={"units": "K"}).attrs["units"]
    'K'
    """
    unused = {"cache_attrs": cache_attrs, "synchronizer": synchronizer}
    warn_of_unused(unused | {"meta_array": meta_array, "chunk_store": chunk_store})
    place = place_of(store, path or "", mode, storage_options)
    cause = None
    if mode in _READ_MODES:
        try:
            return old_group(place, zarr_format, use_consolidated)
        except (KeyError, NodeNotFoundError):
            pass
        except NotADirectoryError as error:
            # A file where a folder was expected, such as a zip archive; creating fails, too.
            cause = error
    if mode in _CREATE_MODES:
        number = zarr_format or default_format()
        words: dict[str, Any] = {"attributes": attributes, "overwrite": mode == "w"}
        return new_group(place, zarr_format=number, **words)
    msg = f"No group found in store {place.store!r} at path {place.path!r}"
    raise GroupNotFoundError(msg) from cause


def open_consolidated(*args: Any, use_consolidated: bool = True, **kwargs: Any) -> AsyncGroup:
    """Open a group that has consolidated metadata; raise ValueError if it has none.

    >>> import fastzarr.compat as zarr
    >>> root = zarr.create_group({}, zarr_format=2)
    >>> _ = zarr.consolidate_metadata(root.store)
    >>> list(zarr.open_consolidated(root.store))
    []
    """
    if use_consolidated is not True:
        msg = (
            "'use_consolidated' must be 'True' in 'open_consolidated'. Use 'open' with "
            "'use_consolidated=False' to bypass consolidated metadata."
        )
        raise TypeError(msg)
    return open_group(*args, use_consolidated=use_consolidated, **kwargs)


def consolidate_metadata(
    store: Any, path: str | None = None, zarr_format: Any = None
) -> AsyncGroup:
    """Copy the metadata of all nodes below a group into the group, and return it.

    >>> import fastzarr.compat as zarr
    >>> root = zarr.create_group({}, zarr_format=2)
    >>> zarr.consolidate_metadata(root.store).metadata.consolidated_metadata.metadata
    {}
    """
    place = place_of(store, path or "")
    if not place.store.supports_consolidated_metadata:
        name = type(place.store).__name__
        msg = f"The Zarr Store in use ({name}) doesn't support consolidated metadata"
        raise TypeError(msg)
    group = old_group(place, zarr_format, use_consolidated=False)
    below = None
    if group.is_replaced:
        below = {path: node.inner.layout for path, node in group.looked_up(None)}
    made = AsyncGroup.from_inner(groups.consolidate(group.inner, below), place)
    if made.metadata.zarr_format == 3 and made.inner.metadata.consolidated_metadata:
        msg = (
            "Consolidated metadata is currently not part in the Zarr format 3 specification. It "
            "may not be supported by other zarr implementations and may change in the future."
        )
        warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())
    return made


# New groups


def group(  # noqa: PLR0913  (signature of zarr-python)
    store: Any = None,
    *,
    overwrite: bool = False,
    chunk_store: Any = None,
    cache_attrs: bool | None = None,
    synchronizer: Any = None,
    path: str | None = None,
    zarr_format: Any = None,
    meta_array: Any = None,
    attributes: dict[str, Any] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> AsyncGroup:
    """Open the group in a store, or create it if it is missing.

    >>> import fastzarr.compat as zarr
    >>> zarr.group({}).path
    ''
    """
    return open_group(
        store,
        mode="w" if overwrite else "a",
        cache_attrs=cache_attrs,
        synchronizer=synchronizer,
        path=path,
        chunk_store=chunk_store,
        storage_options=storage_options,
        zarr_format=zarr_format,
        meta_array=meta_array,
        attributes=attributes,
    )


def create_group(
    store: Any,
    *,
    path: str | None = None,
    zarr_format: Any = None,
    overwrite: bool = False,
    attributes: dict[str, Any] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> AsyncGroup:
    """Create a group; raise ``ContainsGroupError`` or ``ContainsArrayError`` if there is one.

    >>> import fastzarr.compat as zarr
    >>> zarr.create_group({}, path="a").path
    'a'
    """
    place = place_of(store, path or "", "a", storage_options)
    number = zarr_format or default_format()
    return new_group(place, zarr_format=number, attributes=attributes, overwrite=overwrite)


def create_hierarchy(
    *, store: Any, nodes: dict[str, NodeMetadata], overwrite: bool = False
) -> Iterator[tuple[str, AsyncArray | AsyncGroup]]:
    """Create nodes from their metadata, by path, and the groups above them that are missing.

    >>> import fastzarr.compat as zarr
    >>> from fastzarr.compat.core.group import GroupMetadata
    >>> store = zarr.create_group({}).store
    >>> [path for path, _ in zarr.create_hierarchy(store=store, nodes={"a/b": GroupMetadata()})]
    ['a', 'a/b']
    """
    yield from created_hierarchy(store, nodes, overwrite=overwrite)


# New arrays


@signed_as(array.create_array)
def create_array(
    store: Any,
    *,
    name: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **words: Any,
) -> AsyncArray:
    """Create an array in a store, at the path ``name``, from a shape and a dtype or from data.

    >>> import fastzarr.compat as zarr
    >>> zarr.create_array({}, shape=(4, 4), dtype="i4", chunks=(2, 2)).chunks
    (2, 2)
    """
    place = place_of(store, name or "", "a", storage_options)
    return AsyncArray.from_inner(made_array(place, words), place)


@signed_as(array.from_array)
def from_array(
    store: Any,
    *,
    data: Any,
    name: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **words: Any,
) -> AsyncArray:
    """Create an array like another of any library, and copy its elements.

    >>> import fastzarr.compat as zarr
    >>> zarr.from_array({}, data=zarr.ones((4, 4), chunks=(2, 2), store={})).chunks
    (2, 2)
    """
    place = place_of(store, name or "", "a", storage_options)
    return AsyncArray.from_inner(copied_array(place, data=data, **words), place)


def create(  # noqa: PLR0913  (signature of zarr-python)
    shape: Any,
    *,
    chunks: Any = None,
    dtype: Any = None,
    compressor: Any = "auto",
    fill_value: Any = DEFAULT_FILL_VALUE,
    order: Any = None,
    store: Any = None,
    synchronizer: Any = None,
    overwrite: bool = False,
    path: str | None = None,
    chunk_store: Any = None,
    filters: Any = None,
    cache_metadata: bool | None = None,
    cache_attrs: bool | None = None,
    read_only: bool | None = None,
    object_codec: Any = None,
    dimension_separator: Any = None,
    write_empty_chunks: bool | None = None,
    zarr_format: Any = None,
    meta_array: Any = None,
    attributes: Any = None,
    chunk_shape: Any = None,
    chunk_key_encoding: Any = None,
    codecs: Any = None,
    dimension_names: Any = None,
    storage_options: dict[str, Any] | None = None,
    config: Any = None,
    mode: Any = None,
    data: Any = None,
) -> AsyncArray:
    """Create an array; ``create_array`` is the newer function.

    >>> import fastzarr.compat as zarr
    >>> zarr.create((4, 4), chunks=(2, 2), dtype="i4", store={}).chunks
    (2, 2)
    """
    mode = "a" if mode is None else mode
    words = {
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype,
        "compressor": compressor,
        "fill_value": fill_value,
        "order": order,
        "synchronizer": synchronizer,
        "overwrite": overwrite,
        "chunk_store": chunk_store,
        "filters": filters,
        "cache_metadata": cache_metadata,
        "cache_attrs": cache_attrs,
        "read_only": read_only,
        "object_codec": object_codec,
        "dimension_separator": dimension_separator,
        "write_empty_chunks": write_empty_chunks,
        "zarr_format": zarr_format,
        "meta_array": meta_array,
        "attributes": attributes,
        "chunk_shape": chunk_shape,
        "chunk_key_encoding": chunk_key_encoding,
        "codecs": codecs,
        "dimension_names": dimension_names,
        "config": config,
        "mode": mode,
        "data": data,
    }
    place = place_of(store, path or "", mode, storage_options)
    return AsyncArray.from_inner(created(place, words), place)
