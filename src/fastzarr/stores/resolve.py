"""Conversion of a user's argument to a store.

Rules of this file:

* Only this file decides which objects are accepted as stores.
* Nothing is opened, created or deleted: a mode only determines whether the store may be written.
* ``urls.py`` chooses the store of a URL that is not of a folder or of memory.
* A path or URL that ends in ``.zip`` is that of an archive, unless it is a folder.
* ``suffixes.py`` chooses the store of any other path.
* The store of a path or URL with a name that ends in ``.n5`` has nodes of N5, unless they are found
  to be of another format. So has that of a URL behind ``n5::``.
* The URL of a store, as its text is, opens the same store: see ``addresses.py``.
* Messages show only the scheme of a URL, because the rest may contain a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from fastzarr.errors import BaseZarrError, ReadOnlyError
from fastzarr.stores.addresses import FILES, OBJECTS, known, names_n5, path_of, split
from fastzarr.stores.base import Store
from fastzarr.stores.keys import normalise_path
from fastzarr.stores.path import StorePath
from fastzarr.stores.suffixes import kind_of
from fastzarr.stores.urls import is_remote, open_remote

if TYPE_CHECKING:
    from fastzarr import hints

StoreLike: TypeAlias = "Store | StorePath | str | os.PathLike[str] | hints.ForeignStore | None"
"""What represents a store; None is a new one in memory."""
_MODES = ("r", "r+", "a", "w", "w-", "x")
_ZIP = ".zip"
_MAPPING = ("__getitem__", "__iter__", "keys")
_memory_url = re.compile(r"\A(?i:memory)://(.*)\Z", re.DOTALL).match


def as_store(
    store_like: object = None,
    *,
    mode: str | None = None,
    read_only: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Return the store that an argument represents.

    None is a new store in memory, and ``memory://name`` the one of that name in this process; a
    string, a Path or a ``file://`` URL is a store in a folder, or in an archive if it ends in
    ``.zip``; a dict or another mapping, of any
    class, is a store in that mapping, which is read-only if values cannot be set. A store is
    returned as it is, and of a StorePath its store (``as_store_path`` keeps the path).

    A path that ends in ``.sqlite``, ``.sqldb`` or ``.db`` is that of a database, unless it is a
    folder. ``sqlite://``, ``lmdb://``, ``dbm://`` and ``zip://`` with an absolute path are that of
    one with any name. The text of a store is such a URL, which opens it again.

    Any other URL is that of a store behind a network: ``s3://``, ``gs://``, ``az://``, ``http://``
    and ``https://`` are opened as an ``ObjectStore`` if obstore is installed, and as an
    ``FsspecStore`` otherwise, or if only the file system of fsspec knows the ``storage_options``.
    All other schemes are those of fsspec. A store of obstore, a file system of fsspec, its
    mapper, and any store of zarr-python 3 are accepted, too.

    With ``mode="r"`` or ``read_only=True`` the result is read-only; any other mode requires a
    writable store.

    Raise ``ReadOnlyError`` for a read-only store and a mode that writes, ValueError for a URL that
    no store supports, and TypeError for anything else.

    >>> as_store({"a": b"1"}, mode="r")["a"]
    b'1'
    >>> as_store("s3://bucket/data", storage_options={"anon": True})
    ObjectStore('s3://bucket/data')
    """
    if mode is not None and mode not in _MODES:
        msg = f"mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}"
        raise BaseZarrError(msg)
    if read_only is None and mode is not None:
        read_only = mode == "r"
    # ``isinstance`` of an abstract class takes as long as a call of Python.
    if Store in type(store_like).__mro__ and not storage_options:
        store = cast("Store", store_like)
    else:
        store = _found(store_like, mode, read_only, storage_options or {})
    if read_only and not store.read_only:
        return store.with_read_only()
    if store.read_only and read_only is False:
        wanted = f"mode {mode!r} writes" if mode else "read_only=False was passed"
        raise _read_only(store, wanted)
    return store


def _found(
    store_like: object, mode: str | None, read_only: bool | None, options: Mapping[str, Any]
) -> Store:
    store_like, is_n5 = _without_format(store_like)
    archive = _archive_url(store_like)
    if archive is not None:
        writes = None if read_only is not False else mode or "r+"
        store = _open_archive(archive, options, writes)
    elif is_remote(store_like):
        store = open_remote(store_like, options, read_only=bool(read_only))
    else:
        store = _resolve(store_like, read_only=bool(read_only))
        if options:
            msg = f"storage_options are not supported by a {type(store).__name__}; omit them"
            raise TypeError(msg)
    if is_n5 and store.zarr_format is None:
        store.zarr_format = "n5"
    return store


def as_store_path(
    store_like: object = None,
    path: str | None = "",
    *,
    mode: str | None = None,
    read_only: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StorePath:
    """Return the store that an argument represents, with a path, below a StorePath's own path.

    >>> as_store_path(None, "/a//b/").path
    'a/b'
    """
    below = store_like.path if isinstance(store_like, StorePath) else ""
    if isinstance(store_like, str):
        store_like, below = split(store_like)
    store = as_store(store_like, mode=mode, read_only=read_only, storage_options=storage_options)
    path = normalise_path(path) if path else ""
    return StorePath(store, f"{below}/{path}" if below else path)


def _resolve(store_like: object, *, read_only: bool) -> Store:
    if isinstance(store_like, Store):
        return store_like
    if isinstance(store_like, StorePath):
        return store_like.store
    found = _memory_url(store_like) if isinstance(store_like, str) else None
    if found is not None:
        return _open_memory(found[1], read_only=read_only)
    if isinstance(store_like, str | os.PathLike):
        return _open_path(_local_path(store_like), read_only=read_only)
    if isinstance(getattr(store_like, "store_path", None), StorePath):
        # A group is also a mapping, but of nodes.
        msg = f"expected a store, got {store_like!r}; pass its store or its store_path"
        raise TypeError(msg)
    if store_like is None or isinstance(store_like, dict):
        from fastzarr.stores.memory import MemoryStore

        return MemoryStore(store_like)
    if _is_mapping(store_like):
        from fastzarr.stores.mapping import MappingStore

        fixed = not hasattr(type(store_like), "__setitem__")
        return MappingStore(store_like, read_only=fixed)  # type: ignore[arg-type]  # as checked
    msg = (
        "a store must be a path, a mapping of keys to bytes, a Store, or None for memory, "
        f"not {type(store_like).__name__}"
    )
    if hasattr(type(store_like), "__array__"):
        msg += "; the store is passed before the data"
    raise TypeError(msg)


def _without_format(store_like: object) -> tuple[object, bool]:
    """Return an argument without ``n5::``, and whether it names a store of N5."""
    if not isinstance(store_like, str):
        return store_like, False
    start, mark, url = store_like.partition("::")
    return (url, True) if mark and start.lower() == "n5" else (store_like, names_n5(store_like))


def _read_only(store: Store, wanted: str) -> ReadOnlyError:
    """Return the error of a store that must not be read-only, because of what is wanted."""
    reason = store.refusal()
    if reason != Store.refusal(store):  # one of its own
        return ReadOnlyError(f"{wanted}, but {reason}")
    msg = f"{store} is read-only, but {wanted}; pass store.with_read_only(False) or mode='r'"
    return ReadOnlyError(msg)


def _open_memory(name: str, *, read_only: bool) -> Store:
    """Return the store in memory of a name; one without is called by the ``id`` of its dict."""
    from fastzarr.stores.memory import ManagedMemoryStore, MemoryStore

    values = known(name)
    if isinstance(values, MutableMapping):
        return MemoryStore(values, read_only=read_only)
    return ManagedMemoryStore(name, read_only=read_only)


def _is_mapping(store_like: object) -> bool:
    """Whether an object maps keys to values, whatever its class. A table is an array, too."""
    cls = type(store_like)
    if isinstance(store_like, Mapping):
        return not hasattr(cls, "__array__")
    return all(hasattr(cls, name) for name in _MAPPING) and not hasattr(cls, "__array__")


def _local_path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not text:
        msg = "'' is not a valid path of a store; use '.' for the current folder"
        raise BaseZarrError(msg)
    # URLs of other schemes are opened by urls.py.
    is_url = isinstance(path, str) and text[:7].lower() == "file://"
    return path_of(text) if is_url else text


def _open_path(path: str, *, read_only: bool) -> Store:
    """Return the store of an archive, a database or a folder, which need not exist."""
    if path.lower().endswith(_ZIP) and not os.path.isdir(path):
        from fastzarr.stores.zip.store import ZipStore

        return ZipStore(path, mode="r" if read_only else "a")
    return kind_of(path)(path, read_only=read_only)


def _archive_url(store_like: object) -> str | None:
    """Return the URL of an archive in another store, or None for anything else."""
    if not isinstance(store_like, str):
        return None
    start, _, url = store_like.partition("::")
    if start.lower() == "zip" and "://" in url:
        return url
    scheme = store_like.partition("://")[0].lower()
    is_archive = store_like.lower().endswith(_ZIP) and "::" not in store_like
    is_archive = is_archive and scheme not in FILES
    return store_like if is_archive and is_remote(store_like) else None


def _open_archive(url: str, options: Mapping[str, Any], writes: str | None) -> Store:
    """Return the store of an archive in another store, which is read by ranges.

    Raise ReadOnlyError if ``writes`` is a mode.
    """
    from fastzarr.stores.zip.store import ZipStore

    if writes is not None:
        msg = (
            f"mode {writes!r} writes, but an archive in another store is only read; write one to a "
            "file, and copy the file"
        )
        raise ReadOnlyError(msg)
    above, _, name = url.rpartition("/")
    if above.partition("://")[0].lower() in (*OBJECTS, "file"):
        place = as_store_path(above, name, read_only=True)
    else:
        place = StorePath(open_remote(above, options, read_only=True), name)
    return ZipStore(place, mode="r")
