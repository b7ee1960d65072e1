"""Paths in stores, and what a user may pass for a store."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Union

from fastzarr.compat.abc.store import (
    Store,
    SupportsDeleteSync,
    SupportsGetSync,
    SupportsSetSync,
)
from fastzarr.compat.core._json import buffer_to_json_object, get_json
from fastzarr.compat.core.buffer import Buffer, default_buffer_prototype
from fastzarr.compat.core.common import ANY_ACCESS_MODE, ZARR_JSON, ZARRAY_JSON, ZGROUP_JSON
from fastzarr.compat.errors import (
    ContainsArrayAndGroupError,
    ContainsArrayError,
    ContainsGroupError,
)
from fastzarr.compat.storage._local import LocalStore
from fastzarr.compat.storage._memory import ManagedMemoryStore, MemoryStore
from fastzarr.compat.storage._utils import UPath, _join_paths, normalize_path, parse_store_url
from fastzarr.compat.storage.bridge import outer_store
from fastzarr.stores.base import Store as Inner

if TYPE_CHECKING:
    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import BufferPrototype
    from fastzarr.compat.core.common import AccessModeLiteral, ZarrFormat
    from fastzarr.compat.storage._fsspec import FsspecStore

_has_fsspec = importlib.util.find_spec("fsspec") is not None
FSMap: Any = import_module("fsspec.mapping").FSMap if _has_fsspec else None


class StorePath:
    """A path in a store."""

    store: Store
    path: str

    def __init__(self, store: Store, path: str = "") -> None:
        """Initialise with the store and a path, which is normalised."""
        self.store = store
        self.path = normalize_path(path)

    @property
    def read_only(self) -> bool:
        """Whether the store rejects writes."""
        return self.store.read_only

    @classmethod
    async def _create_open_instance(cls, store: Store, path: str) -> Self:
        await store._ensure_open()
        return cls(store, path)

    @classmethod
    async def open(cls, store: Store, path: str, mode: AccessModeLiteral | None = None) -> Self:
        """Return a path in a store, opened as a mode requires; nothing in it is changed.

        With ``r``, the store is read-only. Raise ValueError if another mode is asked of a read-only
        store, and FileExistsError for ``w-`` if there are keys below the path.
        """
        if mode is None:
            return await cls._create_open_instance(store, path)
        if mode not in ANY_ACCESS_MODE:
            msg = f"Invalid mode: {mode}, expected one of {ANY_ACCESS_MODE}"
            raise ValueError(msg)
        if store.read_only and mode != "r":
            msg = (
                f"Store is read-only but mode is {mode!r}. Create a writable store or use 'r' mode."
            )
            raise ValueError(msg)
        if mode == "r" and not store.read_only:
            try:
                store = store.with_read_only(read_only=True)
            except NotImplementedError as error:
                msg = (
                    "Store is not read-only but mode is 'r'. Unable to create a read-only copy of "
                    "the store. Please use a read-only store or a storage class that implements "
                    ".with_read_only()."
                )
                raise ValueError(msg) from error
        found = await cls._create_open_instance(store, path)
        if mode == "w-" and not await found.is_empty():
            msg = (
                f"Cannot create '{path}' with mode 'w-' because it already contains data. Use mode "
                "'w' to overwrite or 'a' to append."
            )
            raise FileExistsError(msg)
        return found

    async def get(
        self, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value, or a part of it, or None if it is missing."""
        kinds = prototype or default_buffer_prototype()
        return await self.store.get(self.path, prototype=kinds, byte_range=byte_range)

    async def get_json(self, *, byte_range: ByteRequest | None = None) -> Any:
        """Return the value of the JSON document at this path, or None if it is missing."""
        return await get_json(self.store, self.path, byte_range=byte_range)

    async def set(self, value: Buffer) -> None:
        """Store the value."""
        await self.store.set(self.path, value)

    async def delete(self) -> None:
        """Delete the value."""
        await self.store.delete(self.path)

    async def delete_dir(self) -> None:
        """Delete all keys below this path."""
        await self.store.delete_dir(self.path)

    async def set_if_not_exists(self, default: Buffer) -> None:
        """Store the value if there is none."""
        await self.store.set_if_not_exists(self.path, default)

    async def exists(self) -> bool:
        """Whether there is a value."""
        return await self.store.exists(self.path)

    async def is_empty(self) -> bool:
        """Whether there is no key below this path."""
        return await self.store.is_empty(self.path)

    def _plain(self, kind: type, verb: str) -> Any:
        if not isinstance(self.store, kind):
            msg = f"Store {type(self.store).__name__} does not support synchronous {verb}."
            raise TypeError(msg)
        return self.store

    def get_sync(
        self,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the value, or a part of it, or None if it is missing."""
        kinds = prototype or default_buffer_prototype()
        store = self._plain(SupportsGetSync, "get")
        found: Buffer | None = store.get_sync(self.path, prototype=kinds, byte_range=byte_range)
        return found

    def set_sync(self, value: Buffer) -> None:
        """Store the value."""
        self._plain(SupportsSetSync, "set").set_sync(self.path, value)

    def delete_sync(self) -> None:
        """Delete the value."""
        self._plain(SupportsDeleteSync, "delete").delete_sync(self.path)

    def __truediv__(self, other: str) -> Self:
        """Return a path below this one."""
        return type(self)(self.store, _join_paths([self.path, other]))

    def __str__(self) -> str:
        """Return the URL."""
        return _join_paths([str(self.store), self.path])

    def __repr__(self) -> str:
        """Return the class of the store, and the URL."""
        return f"StorePath({type(self.store).__name__}, '{self}')"

    def __eq__(self, other: object) -> bool:
        """Whether both have equal stores and paths."""
        if not (hasattr(other, "store") and hasattr(other, "path")):
            return False
        return bool(self.store == other.store and self.path == other.path)

    __hash__ = None  # type: ignore[assignment]


StoreLike: TypeAlias = Union[Store, StorePath, Any, Path, UPath, str, dict[str, Buffer]]  # noqa: UP007


async def make_store(  # noqa: C901, PLR0911, PLR0912  (one line for each kind of argument)
    store_like: Any,
    *,
    mode: AccessModeLiteral | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Store:
    """Return the store that an argument represents.

    A path is that of a ``LocalStore``, another URL that of an ``FsspecStore``; a dict is that of a
    ``MemoryStore``, and None a new one. A store of fastzarr is accepted, too.

    Raise TypeError for anything else, and for ``storage_options`` without such a URL.
    """
    parts = parse_store_url(store_like) if isinstance(store_like, str) else None
    if storage_options is not None and (parts is None or parts.scheme in ("", "memory", "file")):
        raise TypeError(_UNUSED)
    if mode is not None and mode not in ANY_ACCESS_MODE:
        msg = f"Invalid mode: {mode}, expected one of {ANY_ACCESS_MODE}"
        raise ValueError(msg)
    read_only = mode == "r"
    if isinstance(store_like, StorePath):
        return store_like.store
    if isinstance(store_like, Store):
        return store_like
    if isinstance(store_like, Inner):
        found: Store = outer_store(store_like)
        return found
    if store_like is None or isinstance(store_like, dict):
        values = {} if store_like is None else store_like
        return await MemoryStore.open(store_dict=values, read_only=read_only)
    if isinstance(store_like, UPath):
        # Before Path, of which it is a subclass in some versions.
        if store_like.protocol in ("", "file"):
            return await make_store(Path(store_like.path), mode=mode)
        return _fsspec_store().from_upath(store_like, read_only=read_only)
    if isinstance(store_like, Path):
        return await LocalStore.open(root=store_like, mode=mode, read_only=read_only)
    if parts is not None:
        if parts.scheme in ("", "file"):
            return await make_store(Path(parts.path), mode=mode)
        if parts.scheme == "memory" and not _has_fsspec:
            return ManagedMemoryStore(parts.name, path=parts.path, read_only=read_only)
        return _fsspec_store().from_url(
            store_like, storage_options=storage_options, read_only=read_only
        )
    if FSMap is not None and isinstance(store_like, FSMap):
        return _fsspec_store().from_mapper(store_like, read_only=read_only)
    msg = f"Unsupported type for store_like: '{type(store_like).__name__}'"
    raise TypeError(msg)


_UNUSED = (
    "'storage_options' was provided but unused. 'storage_options' is only used when the store is "
    "passed as an FSSpec URI string."
)


def _fsspec_store() -> type[FsspecStore]:
    from fastzarr.compat.storage._fsspec import FsspecStore

    return FsspecStore


async def make_store_path(
    store_like: Any,
    *,
    path: str | None = "",
    mode: AccessModeLiteral | None = None,
    storage_options: dict[str, Any] | None = None,
) -> StorePath:
    """Return the store that an argument represents, with a path, opened as a mode requires."""
    below = normalize_path(path)
    if isinstance(store_like, StorePath):
        if storage_options:
            raise TypeError(_UNUSED)
        return store_like / below
    if FSMap is not None and isinstance(store_like, FSMap) and path:
        msg = (
            "'path' was provided but is not used for FSMap store_like objects. Specify the path "
            "when creating the FSMap instance instead."
        )
        raise ValueError(msg)
    store = await make_store(store_like, mode=mode, storage_options=storage_options)
    return await StorePath.open(store, path=below, mode=mode)


async def ensure_no_existing_node(
    store_path: StorePath,
    zarr_format: ZarrFormat,
    node_type: Literal["array", "group"] | None = None,
) -> None:
    """Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is a node at a path.

    With ``node_type``, only a node of this type matters.
    """
    found = await (_contains_node_v2 if zarr_format == 2 else _contains_node_v3)(store_path)
    where = f"exists in store {store_path.store!r} at path {store_path.path!r}."
    if found == "array" and node_type != "group":
        msg = f"An array {where}"
        raise ContainsArrayError(msg)
    if found == "group" and node_type != "array":
        msg = f"A group {where}"
        raise ContainsGroupError(msg)


async def _contains_node_v3(store_path: StorePath) -> Literal["array", "group", "nothing"]:
    document = await (store_path / ZARR_JSON).get()
    if document is None:
        return "nothing"
    try:
        found = buffer_to_json_object(document).get("node_type")
    except (TypeError, ValueError):
        # No valid document is no node.
        return "nothing"
    return found if found in ("array", "group") else "nothing"


async def _contains_node_v2(store_path: StorePath) -> Literal["array", "group", "nothing"]:
    array = await contains_array(store_path, zarr_format=2)
    group = await contains_group(store_path, zarr_format=2)
    if array and group:
        msg = (
            "Array and group metadata documents (.zarray and .zgroup) were both found in store "
            f"{store_path.store!r} at path {store_path.path!r}. Only one of these files may be "
            "present in a given directory / prefix. Remove the .zarray file, or the .zgroup file, "
            "or both."
        )
        raise ContainsArrayAndGroupError(msg)
    return "array" if array else "group" if group else "nothing"


async def _contains(store_path: StorePath, zarr_format: int, kind: str, document: str) -> bool:
    if zarr_format == 3:
        return await _contains_node_v3(store_path) == kind
    if zarr_format == 2:
        return await (store_path / document).exists()
    msg = f"Invalid zarr_format provided. Got {zarr_format}, expected 2 or 3"
    raise ValueError(msg)


async def contains_array(store_path: StorePath, zarr_format: ZarrFormat) -> bool:
    """Whether there is an array of a format at a path."""
    return await _contains(store_path, zarr_format, "array", ZARRAY_JSON)


async def contains_group(store_path: StorePath, zarr_format: ZarrFormat) -> bool:
    """Whether there is a group of a format at a path."""
    return await _contains(store_path, zarr_format, "group", ZGROUP_JSON)
