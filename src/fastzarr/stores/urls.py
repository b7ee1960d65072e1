"""Choice of the store of a URL, or of an object of another package, by what is installed.

Rules of this file:

* Packages are imported only if a URL needs one. An object is recognised by its class's module.
* A scheme that is registered, or is the name of an entry point of ``fastzarr.stores``, is that of
  its class. obstore is preferred for the schemes that it knows, because its requests run without
  the interpreter's lock and can be conditional. fsspec opens everything else.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastzarr.errors import BaseZarrError
from fastzarr.registry import Registry
from fastzarr.stores.options import KINDS, needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.stores.base import Store

_scheme = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]+)(://|::)").match
_LOCAL = ("file", "memory")
# A path in the memory of fsspec, where a store of this package would have its name.
_MEMORY = "memory:///"
_PACKAGES = ("obstore", "fsspec", "upath", "zarr")

SCHEMES: Registry[type[Store]] = Registry("stores")
"""The classes of the stores of a scheme, which have a method ``from_url``."""
SCHEMES.declare(
    {
        **dict.fromkeys(("redis", "rediss", "unix"), "fastzarr.stores.redis:RedisStore"),
        **dict.fromkeys(("mongodb", "mongodb+srv"), "fastzarr.stores.mongodb:MongoDBStore"),
        "dbm": "fastzarr.stores.dbm:DBMStore",
        "lmdb": "fastzarr.stores.lmdb.store:LMDBStore",
        "mapping": "fastzarr.stores.mapping:MappingStore",
        "objects": "fastzarr.stores.obstore:ObjectStore",
        "sqlite": "fastzarr.stores.sqlite.store:SQLiteStore",
        "zip": "fastzarr.stores.zip.store:ZipStore",
    }
)

# The package of fsspec for each kind of store that obstore opens, too.
_SYSTEMS = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "http": "aiohttp"}


def register_store(scheme: str, cls: type[Store]) -> None:
    """Let the URLs of a scheme be opened by a class of stores; an earlier one is replaced.

    ``cls.from_url(url, storage_options=..., read_only=...)`` returns the store of a URL. Raise
    BaseZarrError, a ValueError, if the scheme is no scheme, or that of files or of memory.

    >>> from fastzarr.stores import MemoryStore, as_store
    >>> class Example(MemoryStore):
    ...     @classmethod
    ...     def from_url(cls, url, *, storage_options, read_only):
    ...         return cls({"url": url.encode()}, read_only=read_only)
    >>> register_store("example", Example)
    >>> as_store("example://host/data").get("url")
    b'example://host/data'
    """
    if _scheme(f"{scheme}://") is None or scheme.lower() in _LOCAL:
        msg = f"{scheme!r} is not a scheme that can be registered"
        raise BaseZarrError(msg)
    SCHEMES.register(scheme.lower(), cls)


def is_remote(store_like: object) -> bool:
    """Whether an object is a URL that is not of a folder, or an object of another package."""
    if isinstance(store_like, str):
        scheme = _scheme(store_like)
        if scheme is None:
            return False
        by_fsspec = scheme[2] == "::" or store_like.lower().startswith(_MEMORY)
        return by_fsspec or scheme[1].lower() not in _LOCAL
    found = _package(store_like)
    # A UPath of the local file system is a path, with all that a folder promises.
    return found in _PACKAGES and not (found == "upath" and isinstance(store_like, os.PathLike))


def _package(value: object) -> str:
    """Return the package whose class an object is an instance of, among those known here."""
    for cls in type(value).__mro__:
        top = cls.__module__.partition(".")[0]
        if top in _PACKAGES and (top != "zarr" or cls.__module__ == "zarr.abc.store"):
            return top
    return ""


def open_remote(store_like: Any, options: Mapping[str, Any], *, read_only: bool) -> Store:
    """Return the store of an object for which ``is_remote`` is True.

    Raise ImportError, which names what to install, if there is no package for a URL, and TypeError
    for options that no package knows.
    """
    if not isinstance(store_like, str):
        if options:
            msg = f"storage_options are for URLs; pass them to the {type(store_like).__name__}"
            raise TypeError(msg)
        if _package(store_like) == "obstore":
            from fastzarr.stores.obstore import ObjectStore

            return ObjectStore(store_like, read_only=read_only)
        if _package(store_like) == "zarr":
            from fastzarr.stores.foreign import ForeignStore

            return ForeignStore(store_like, read_only=read_only)
        from fastzarr.stores.fsspec import FsspecStore

        return FsspecStore.from_object(store_like, read_only=read_only)
    found = _scheme(store_like)
    scheme = found[1].lower() if found is not None else ""
    store_like = scheme + store_like[len(scheme) :]
    cls: Any = None if "::" in store_like else SCHEMES.find(scheme)
    if cls is not None:
        store: Store = cls.from_url(store_like, storage_options=options, read_only=read_only)
        return store
    if found is not None and found[2] == "://" and "::" not in store_like and scheme in KINDS:
        found_by_obstore = _by_obstore(store_like, scheme, options, read_only=read_only)
        if found_by_obstore is not None:
            return found_by_obstore
    return _by_fsspec(store_like, scheme, options, read_only=read_only)


def _by_obstore(
    url: str, scheme: str, options: Mapping[str, Any], *, read_only: bool
) -> Store | None:
    """Return the store of a URL, or None if fsspec must open it."""
    if find_spec("obstore") is None:
        return None
    from fastzarr.stores.obstore import ObjectStore

    try:
        return ObjectStore(url, read_only=read_only, storage_options=options)
    except TypeError:
        if not _are_of_fsspec(scheme, options):
            raise
    return None


def _are_of_fsspec(scheme: str, options: Mapping[str, Any]) -> bool:
    """Whether the file system of a scheme is installed and knows all options."""
    if find_spec("fsspec") is None or find_spec(_SYSTEMS[KINDS[scheme]]) is None:
        return False
    from inspect import signature

    import fsspec

    known = signature(fsspec.get_filesystem_class(scheme).__init__).parameters
    # s3fs passes this one to botocore.
    return all(name in known or name == "profile" for name in options)


def _by_fsspec(url: str, scheme: str, options: Mapping[str, Any], *, read_only: bool) -> Store:
    if find_spec("fsspec") is None:
        raise needs(scheme)
    from fastzarr.stores.fsspec import FsspecStore

    return FsspecStore.from_url(url, storage_options=options, read_only=read_only)
