"""The stores of zarr-python 2, each over the store of fastzarr of the same name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastzarr import stores as ours
from fastzarr.api.storage import getsize
from fastzarr.v2._storage.store import (
    Dressed,
    KVStore,
    Store,
    array_meta_key,
    consolidated_key,
    ensure_store,
    inner_store,
)
from fastzarr.v2.errors import FSPathExistNotDir, MetadataError, ReadOnlyError
from fastzarr.v2.util import json_loads, normalize_dimension_separator, normalize_storage_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Sized(Dressed, own=True):
    """A store that tells the sizes of its values."""

    def getsize(self, path: Any = None) -> int:
        """Return the bytes of a value, or of those directly below a path."""
        return getsize(self.inner, normalize_storage_path(path))


class _InLowerCase:
    """The verbs of a store, with keys in lower case."""

    def _get(self, key: str) -> Any:
        return super()._get(key.lower())  # type: ignore[misc]  # of a store

    def _set(self, key: str, value: Any) -> None:
        super()._set(key.lower(), value)  # type: ignore[misc]  # of a store

    def _delete(self, key: str) -> None:
        super()._delete(key.lower())  # type: ignore[misc]  # of a store

    def _exists(self, key: str) -> bool:
        return bool(super()._exists(key.lower()))  # type: ignore[misc]  # of a store

    def _getsize(self, key: str) -> Any:
        return super()._getsize(key.lower())  # type: ignore[misc]  # of a store

    def _list(self, prefix: str) -> Any:
        return super()._list(prefix.lower())  # type: ignore[misc]  # of a store

    def _list_dir(self, prefix: str) -> Any:
        return super()._list_dir(prefix.lower())  # type: ignore[misc]  # of a store


def _folder(kind: Any, path: str, *, lower: bool, separator: Any) -> ours.Store:
    """Return the store in a folder; ``lower`` is whether its keys are in lower case."""
    if lower:
        kind = type(kind.__name__, (_InLowerCase, kind), {})
    made: ours.Store = kind(path, False, separator)  # noqa: FBT003  (it may be positional only)
    return made


def nested_names(store: Dressed, names: list[str], path: str, separator: str = ".") -> list[str]:
    """Return names below an array with the keys of its chunks in place of their folders."""
    if store.separator != "/" or array_meta_key not in names:
        return names
    prefix = f"{path}/" if path else ""
    found = []
    for name in names:
        below = list(store.inner.list(prefix + name)) if name.isdigit() else []
        found += [key.removeprefix(prefix).replace("/", separator) for key in below] or [name]
    return sorted(found)


class MemoryStore(_Sized, own=True):
    """A store in memory.

    >>> store = MemoryStore()
    >>> store["a/b"] = b"1"
    >>> store.listdir("a")
    ['b']
    """

    def __init__(self, root: Any = None, cls: type = dict, dimension_separator: Any = None) -> None:
        """Initialise with a dictionary, or an empty one."""
        self.root = cls() if root is None else root
        self.cls = cls
        self._dimension_separator = dimension_separator
        self.inner = ours.MemoryStore(self.root)

    def __getstate__(self) -> tuple[Any, ...]:
        """Return the arguments of the constructor."""
        return self.root, self.cls, self._dimension_separator

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Initialise with the arguments."""
        self.__init__(*state)  # type: ignore[misc]  # the state is theirs


class DictStore(MemoryStore, own=True):
    """A store in memory (its name before zarr-python 2.3)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Initialise as ``MemoryStore``, with a warning."""
        import warnings

        warnings.warn("DictStore has been renamed to MemoryStore", DeprecationWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


class DirectoryStore(_Sized, own=True):
    """A store in a folder, one file for each key.

    >>> import tempfile
    >>> store = DirectoryStore(tempfile.mkdtemp())
    >>> store["a/b"] = b"1"
    >>> list(store)
    ['a/b']
    """

    _kind: Any = ours.DirectoryStore

    def __init__(
        self, path: Any, normalize_keys: bool = False, dimension_separator: Any = None
    ) -> None:
        """Initialise with the folder, which need not exist."""
        path = os.path.abspath(path)
        if os.path.exists(path) and not os.path.isdir(path):
            msg = f"path exists but is not a directory: {path!r}"
            raise FSPathExistNotDir(msg)
        self.path, self.normalize_keys = path, normalize_keys
        self._dimension_separator = normalize_dimension_separator(dimension_separator)
        self.inner = self._made()

    def _made(self) -> ours.Store:
        separator, lower = self._dimension_separator, self.normalize_keys
        return _folder(self._kind, self.path, lower=lower, separator=separator)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the store inside, which the path gives again."""
        return {name: value for name, value in super().__getstate__().items() if name != "inner"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the store."""
        vars(self).update(state)
        self.inner = self._made()

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path, in an array with the keys of chunks."""
        return nested_names(self, super().listdir(path), normalize_storage_path(path), "/")

    def dir_path(self, path: Any = None) -> str:
        """Return the folder of a path."""
        below = normalize_storage_path(path)
        return os.path.join(self.path, below) if below else self.path


class TempStore(DirectoryStore, own=True):
    """A store in a folder that is deleted at the end of the process."""

    def __init__(
        self,
        suffix: str = "",
        prefix: str = "zarr",
        dir: Any = None,
        normalize_keys: bool = False,
        dimension_separator: Any = None,
    ) -> None:
        """Initialise with the parts of the folder's name."""
        # It deletes the folder at the end.
        made = ours.TempStore(suffix, prefix, dir)
        super().__init__(made.root, normalize_keys, dimension_separator)


class NestedDirectoryStore(DirectoryStore, own=True):
    """A store in a folder, in which chunk keys have slashes."""

    _kind = ours.NestedDirectoryStore

    def __init__(
        self, path: Any, normalize_keys: bool = False, dimension_separator: Any = "/"
    ) -> None:
        """Initialise with the folder."""
        if dimension_separator is None:
            dimension_separator = "/"
        elif dimension_separator != "/":
            msg = (
                "NestedDirectoryStore only supports '/' as dimension_separator, not "
                f"{dimension_separator!r}"
            )
            raise ValueError(msg)
        super().__init__(path, normalize_keys, dimension_separator)


class FSStore(_Sized, own=True):
    """A store in a file system of fsspec."""

    _kind: Any = ours.FSStore

    def __init__(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
        self,
        url: Any,
        normalize_keys: bool = False,
        key_separator: Any = None,
        mode: str = "w",
        exceptions: Any = (KeyError, PermissionError, OSError),
        dimension_separator: Any = None,
        fs: Any = None,
        check: bool = False,
        create: bool = False,
        missing_exceptions: Any = None,
        **storage_options: Any,
    ) -> None:
        """Initialise with a URL, or with a path and a file system."""
        if fs is not None and storage_options:
            msg = "storage options are for URLs; pass them to the file system"
            raise ValueError(msg)
        self.inner = self._kind(
            url,
            normalize_keys,
            key_separator,
            mode,
            exceptions,
            dimension_separator,
            fs,
            check,
            create,
            missing_exceptions,
            **storage_options,
        )
        self.normalize_keys, self.mode, self.exceptions = normalize_keys, mode, exceptions
        self._dimension_separator = self.inner.dimension_separator
        self.key_separator = self._dimension_separator or "."

    @property
    def fs(self) -> Any:
        """The file system."""
        return self.inner.fs  # type: ignore[attr-defined]  # it is of fsspec

    @property
    def map(self) -> Any:
        """The mapper of fsspec over the same files."""
        import fsspec

        return fsspec.FSMap(self.path, self.fs)

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path, in an array with the keys of chunks."""
        return nested_names(self, super().listdir(path), normalize_storage_path(path))

    def setitems(self, values: Any) -> None:
        """Store values, together where the file system can."""
        self.inner.setitems(values)

    def delitems(self, keys: Any) -> None:
        """Delete keys, together where the file system can."""
        self.inner.delitems(keys)

    @property
    def path(self) -> str:
        """The path of the store in the file system."""
        return str(self.inner.path)  # type: ignore[attr-defined]  # it is of fsspec


class ZipStore(_Sized, own=True):
    """A store in a zip archive."""

    _erasable = False

    def __init__(
        self,
        path: Any,
        compression: int = 0,
        allowZip64: bool = True,  # noqa: N803  (zarr-python 2's)
        mode: str = "a",
        dimension_separator: Any = None,
    ) -> None:
        """Initialise with the path of the archive, and a mode."""
        self.path = os.path.abspath(path)
        self._dimension_separator = dimension_separator
        self.compression, self.allowZip64, self.mode = compression, allowZip64, mode
        self.inner = ours.ZipStore(path, compression, allowZip64, mode, dimension_separator)

    def __delitem__(self, key: str) -> None:
        """Raise NotImplementedError, as in zarr-python 2."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write the directory of the archive."""
        self.inner.flush()


class DBMStore(Dressed, own=True):
    """A store in a database of the module ``dbm``."""

    def __init__(
        self,
        path: Any,
        flag: str = "c",
        mode: int = 0o666,
        open: Callable[..., Any] | None = None,
        write_lock: bool = True,
        dimension_separator: Any = None,
        **open_kwargs: Any,
    ) -> None:
        """Initialise with the path of the database."""
        self.path, self.flag, self.mode = os.path.abspath(path), flag, mode
        self.open, self.write_lock, self.open_kwargs = open, write_lock, open_kwargs
        self._dimension_separator = dimension_separator
        self.inner = ours.DBMStore(
            path, flag, mode, open, write_lock, dimension_separator, **open_kwargs
        )

    def flush(self) -> None:
        """Make all writes durable."""
        self.inner.flush()


class LMDBStore(Dressed, own=True):
    """A store in a database of LMDB."""

    def __init__(
        self, path: Any, buffers: bool = True, dimension_separator: Any = None, **kwargs: Any
    ) -> None:
        """Initialise with the path of the database."""
        self.path, self.buffers, self.kwargs = os.path.abspath(path), buffers, kwargs
        self._dimension_separator = dimension_separator
        self.inner = ours.LMDBStore(path, buffers, dimension_separator, **kwargs)

    def flush(self) -> None:
        """Make all writes durable."""
        self.inner.flush()


class SQLiteStore(_Sized, own=True):
    """A store in a database of SQLite."""

    def __init__(self, path: Any, dimension_separator: Any = None, **kwargs: Any) -> None:
        """Initialise with the path of the database."""
        self.path = path if path == ":memory:" else os.path.abspath(path)
        self._dimension_separator, self.kwargs = dimension_separator, kwargs
        self.inner = ours.SQLiteStore(path, dimension_separator, **kwargs)


class RedisStore(Dressed, own=True):
    """A store in Redis."""

    def __init__(
        self, prefix: str = "zarr", dimension_separator: Any = None, **kwargs: Any
    ) -> None:
        """Initialise with the start of the keys, and the arguments of the client."""
        self._dimension_separator = dimension_separator
        self.inner = ours.RedisStore(prefix, dimension_separator, **kwargs)


class MongoDBStore(Dressed, own=True):
    """A store in MongoDB."""

    def __init__(
        self,
        database: str = "mongodb_zarr",
        collection: str = "zarr_collection",
        dimension_separator: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initialise with the names of the database and of the collection."""
        self._dimension_separator = dimension_separator
        self.inner = ours.MongoDBStore(database, collection, dimension_separator, **kwargs)


class ABSStore(_Sized, own=True):
    """A store in blobs of Azure."""

    def __init__(
        self,
        container: Any = None,
        prefix: str = "",
        account_name: Any = None,
        account_key: Any = None,
        blob_service_kwargs: Any = None,
        dimension_separator: Any = None,
        client: Any = None,
    ) -> None:
        """Initialise with the container and the account, or a client."""
        self._dimension_separator = dimension_separator
        self.inner = ours.ABSStore(
            container,
            prefix,
            account_name,
            account_key,
            blob_service_kwargs,
            dimension_separator,
            client,
        )


class LRUStoreCache(_Sized, own=True):
    """A store around another, which keeps the values that were used last."""

    def __init__(self, store: Any, max_size: int | None) -> None:
        """Initialise with a store and the bytes to keep; None for no limit."""
        self._store: Any = ensure_store(store)
        self._max_size = max_size
        self._dimension_separator = getattr(self._store, "_dimension_separator", None)
        self.inner = ours.LRUStoreCache(inner_store(self._store), max_size)

    @property
    def hits(self) -> int:
        """How many values were found in the cache."""
        return int(self.inner.hits)  # type: ignore[attr-defined]  # it is a cache

    @property
    def misses(self) -> int:
        """How many values were not found in the cache."""
        return int(self.inner.misses)  # type: ignore[attr-defined]  # it is a cache

    def invalidate(self) -> None:
        """Forget everything."""
        self.inner.invalidate()  # type: ignore[attr-defined]  # it is a cache

    def invalidate_values(self) -> None:
        """Forget the values."""
        self.inner.invalidate_values()  # type: ignore[attr-defined]  # it is a cache

    def invalidate_keys(self) -> None:
        """Forget the keys."""
        self.inner.invalidate_keys()  # type: ignore[attr-defined]  # it is a cache


class ConsolidatedMetadataStore(Dressed, own=True):
    """The documents of a hierarchy, from its consolidated metadata."""

    def __init__(self, store: Any, metadata_key: str = consolidated_key) -> None:
        """Initialise with the store; raise KeyError if it has no consolidated metadata."""
        self.store: Any = ensure_store(store)
        found = json_loads(self.store[metadata_key])
        version = found.get("zarr_consolidated_format")
        if version != 1:
            msg = f"unsupported zarr consolidated metadata format: {version}"
            raise MetadataError(msg)
        self.meta_store = KVStore(found["metadata"])
        self.inner = ours.ConsolidatedMetadataStore(inner_store(self.store), metadata_key)

    def __getitem__(self, key: str) -> Any:
        """Return a document, which is parsed already."""
        return self.meta_store[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is a document."""
        return key in self.meta_store

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys of the documents."""
        return iter(self.meta_store)

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.meta_store)

    def __setitem__(self, key: str, value: Any) -> None:
        """Raise ReadOnlyError: the copy cannot be changed."""
        raise ReadOnlyError(_READ_ONLY)

    def __delitem__(self, key: str) -> None:
        """Raise ReadOnlyError: the copy cannot be changed."""
        raise ReadOnlyError(_READ_ONLY)

    def keys(self) -> Any:
        """Return the keys of the documents."""
        return self.meta_store.keys()

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path."""
        return Store.listdir(self, path)

    def getsize(self, path: Any = None) -> int:
        """Return -1: the size of documents that are parsed is unknown."""
        del path
        return -1


_READ_ONLY = (
    "consolidated metadata is read-only; open the store itself to change the hierarchy, and "
    "consolidate again"
)
