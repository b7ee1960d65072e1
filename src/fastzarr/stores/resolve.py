"""Stores from what users pass as a store.

Rules of this file:

* Only this file decides what can be made a store.
* Nothing is opened, created or deleted: a mode only decides whether the store may be written.
* Of a URL, only the scheme is ever shown; the rest may contain a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from fastzarr.errors import BaseZarrError, ReadOnlyError
from fastzarr.stores.base import Store
from fastzarr.stores.keys import normalise_path
from fastzarr.stores.path import StorePath

if TYPE_CHECKING:
    from collections.abc import Mapping


_MODES = ("r", "r+", "a", "w", "w-", "x")
_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(://|::)").match


def as_store(
    store_like: object = None,
    *,
    mode: str | None = None,
    read_only: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Return the store that an argument stands for.

    None makes a new store in memory; a string, a Path or a ``file://`` URL, a store in a folder; a
    dict or another mutable mapping, a store that writes into it. A store is returned as it is. Of a
    StorePath, the store is returned (``as_store_path`` keeps the path).

    With ``mode="r"`` or ``read_only=True`` the store refuses writing. Any other mode asks for one
    that does not.

    Raises ``ReadOnlyError`` for a read-only store and a mode that writes, ``ValueError`` for URLs
    that no store here serves, ``TypeError`` for anything else.

    >>> as_store({"a": b"1"}, mode="r")["a"]
    b'1'
    >>> as_store("s3://bucket/data")
    Traceback (most recent call last):
    fastzarr.errors.BaseZarrError: no store here serves 's3' URLs; give a path, a mapping or a store
    """
    if mode is not None and mode not in _MODES:
        msg = f"mode {mode!r} is none of {', '.join(map(repr, _MODES))}"
        raise BaseZarrError(msg)
    if read_only is None and mode is not None:
        read_only = mode == "r"
    store = _resolve(store_like, read_only=bool(read_only))
    if storage_options:
        msg = f"storage_options mean nothing to a {type(store).__name__}; leave them out"
        raise TypeError(msg)
    if read_only and not store.read_only:
        return store.with_read_only()
    if store.read_only and read_only is False:
        wanted = f"mode {mode!r} writes" if mode else "read_only=False was asked for"
        msg = f"{store} is read-only, and {wanted}; pass store.with_read_only(False) or mode='r'"
        raise ReadOnlyError(msg)
    return store


def as_store_path(
    store_like: object = None,
    path: str | None = "",
    *,
    mode: str | None = None,
    read_only: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StorePath:
    """Return the store that an argument stands for, with a path; a StorePath's own comes first.

    >>> as_store_path(None, "/a//b/").path
    'a/b'
    """
    below = store_like.path if isinstance(store_like, StorePath) else ""
    store = as_store(store_like, mode=mode, read_only=read_only, storage_options=storage_options)
    return StorePath(store, f"{below}/{normalise_path(path)}")


def _resolve(store_like: object, *, read_only: bool) -> Store:
    if isinstance(store_like, Store):
        return store_like
    if isinstance(store_like, StorePath):
        return store_like.store
    if isinstance(store_like, str | os.PathLike):
        from fastzarr.stores.local.store import LocalStore

        return LocalStore(_local_path(store_like), read_only=read_only)
    if isinstance(getattr(store_like, "store_path", None), StorePath):
        # A group is a mapping as well, but of nodes.
        msg = (
            f"a store is wanted, not {store_like!r}; its place is its store_path, "
            "and its store is its store"
        )
        raise TypeError(msg)
    if store_like is None or isinstance(store_like, dict):
        from fastzarr.stores.memory import MemoryStore

        return MemoryStore(store_like)
    if isinstance(store_like, MutableMapping):
        from fastzarr.stores.mapping import MappingStore

        return MappingStore(store_like)
    msg = (
        "a store is a path, a mutable mapping from key to bytes, a Store, or None for memory, "
        f"not {type(store_like).__name__}"
    )
    raise TypeError(msg)


def _local_path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not text:
        msg = "'' is no path of a store; '.' is the current folder"
        raise BaseZarrError(msg)
    scheme = _scheme(text) if isinstance(path, str) else None
    if scheme is None:
        return text
    if scheme.group(0).lower() == "file://":
        return re.sub(r"\A(?i:file)://(localhost(?=/))?", "", text)
    msg = f"no store here serves {scheme.group(1)!r} URLs; give a path, a mapping or a store"
    raise BaseZarrError(msg)
