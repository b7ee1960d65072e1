"""The file systems of fsspec as stores: sftp, HDFS, GitHub, references, caches and the clouds.

Rules of this file:

* A file system whose verbs are awaited runs on the event loop that it was made for: fsspec's own,
  or ``loop.py`` if it was made for the caller's. All others are called by the threads that need a
  value, several at once unless their values are local.
* A key is missing only if the file system raises one of ``allowed_exceptions``. A missing bucket is
  an error.
* A listing is requested anew each time, although file systems cache them.
* Of a file system that copies another one only the copies are its own: see ``copies.py``.
* A file system with real files gets a value under a temporary name that is then renamed. The others
  store an object as a whole.
* The file systems of pyarrow delete a folder with all that is in it, so that empty folders stay,
  and they fail if a part begins behind the end, so that the size is asked for first.
* There is no compare-and-swap: only the threads of one process exclude each other.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from fastzarr.config import config
from fastzarr.errors import BaseZarrError, ReadOnlyError
from fastzarr.stores import clients, copies, loop, place, retry, systems
from fastzarr.stores.addresses import url_in_format
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.keys import TEMPORARY_SUFFIX, normalise_path, validate_key
from fastzarr.stores.options import public_url, query_of, web_root
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.remote import RemoteStore, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


#: The errors that say that a key is missing.
MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
# File systems whose values are in memory or in local files, so that requests need not be at once.
_LOCAL = frozenset({"file", "local", "memory"})
# Those that answer one request at a time, on one connection or by one open file, unless they are
# awaited. A thread that asks paramiko takes the answers of others, who would wait for ever.
_ONE_BY_ONE = frozenset({"ftp", "libarchive", "sftp", "ssh", "tar"})
# Those whose open files do not tell their size, from which an end is counted.
_UNSIZED = frozenset({"sftp", "ssh"})
# Those of Azure, which has no ranges that count from the end: adlfs passes them on as they are.
_AZURE = frozenset({"abfs", "abfss", "az", "adl"})
# Those with files that are written in place.
_FILES = frozenset({"file", "local", "sftp", "ssh", "smb", "ftp"})
_HTTP = frozenset({"http", "https"})
# Those whose changes are in memory only.
_REFERENCES = frozenset({"reference"})


class FsspecStore(RemoteStore):
    """A store in a file system of fsspec, below ``path``.

    Any file system will do, awaited (``fs.async_impl``) or not. ``FsspecStore.from_url`` takes a
    URL with the ``storage_options`` of its file system, also a chain such as
    ``simplecache::s3://bucket/prefix``, whose copies only a read-only store reads, because nothing
    compares them with the files. A key is missing if the file system raises one of
    ``allowed_exceptions``. ``sftp://``, ``ssh://``, ``ftp://``, ``tar://`` and ``libarchive://``
    make one request at a time.

    Chunks that two processes share are not excluded from each other, because file systems have no
    conditional writes; ``ObjectStore`` has them for S3, Google Cloud Storage and Azure.

    A pickle has no credentials that were passed as values, in options or in a URL: another process
    uses those of its environment, such as ``AWS_ACCESS_KEY_ID``, or of the configuration of fsspec,
    such as the variable ``FSSPEC_SFTP_PASSWORD``. In a file system of references that was opened by
    its URL nothing can be written, because changes of the references would be lost.

    >>> import fsspec
    >>> store = FsspecStore(fsspec.filesystem("memory"), path="/demo")
    >>> store.set("a/b", b"1")
    >>> store.get("a/b"), list(store.list())
    (b'1', ['a/b'])
    """

    def __init__(
        self,
        fs: Any,
        read_only: bool = False,
        path: str = "/",
        allowed_exceptions: tuple[type[Exception], ...] = MISSING,
    ) -> None:
        """Initialise with a file system and the path of the store in it.

        Raise TypeError if ``fs`` is not a file system of fsspec.
        """
        super().__init__(read_only=read_only)
        if not hasattr(fs, "cat_file"):
            msg = f"expected a file system of fsspec, not {type(fs).__name__}"
            raise TypeError(msg)
        fs, path = clients.without_folders(fs, path)
        self._fs, self._process = fs, os.getpid()
        loop.connects(fs)
        self._root, self._query = str(fs.get_mapper(path).root).rstrip("/"), ""
        self.allowed_exceptions = allowed_exceptions
        self._copies = copies.has_whole(fs)
        # The values, and how they are requested, are those of the file system that is copied.
        fs = copies.below(fs)
        self._names = copies.protocols(fs)
        self._by_arrow = any(
            kind.__module__ == "fsspec.implementations.arrow" for kind in type(fs).__mro__
        )
        if self._names & {"s3", "s3a"}:
            clients.log_no_credentials()
        if self._names & _HTTP:
            # The query of a URL, such as its signature, is that of each of its keys.
            self._root, self._query = web_root(self._root), query_of(self._root)
        self._one_by_one = bool(self._names & _ONE_BY_ONE) and not fs.async_impl
        if self._one_by_one or self._names & _LOCAL:
            self.concurrency = 1
        # A file system around another one is awaited only if that is.
        self._awaited = bool(fs.async_impl and getattr(getattr(fs, "fs", fs), "async_impl", True))
        self._needs_size = bool(
            self._names & _AZURE or (self._one_by_one and self._names & _UNSIZED)
        )
        if not self._awaited or self._copies or self._needs_size:
            self.fetch_async = None  # type: ignore[assignment, method-assign]
        self._web = clients.reads_web(fs)
        #: The names of the options that a pickle of another process had not.
        self._left_out: tuple[str, ...] = ()

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = MISSING,
    ) -> Self:
        """Return a store for a URL, with the options of its file system.

        Raise ImportError if the file system needs a package that is not installed, and ValueError
        for an unknown scheme.

        >>> FsspecStore.from_url("memory://demo")
        FsspecStore('memory:///demo')
        """
        fs, path = clients.opened(url, storage_options or {})
        return cls._of_url(cls(fs, read_only, path, allowed_exceptions))

    @classmethod
    def from_mapper(
        cls,
        fs_map: Any,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = MISSING,
    ) -> Self:
        """Return a store of the file system and the path of a mapper of fsspec.

        >>> import fsspec
        >>> FsspecStore.from_mapper(fsspec.get_mapper("memory://demo"))
        FsspecStore('memory:///demo')
        """
        return cls(fs_map.fs, read_only, fs_map.root, allowed_exceptions)

    @classmethod
    def from_upath(
        cls,
        upath: Any,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = MISSING,
    ) -> Self:
        """Return a store of the file system and the path of a ``upath.UPath``.

        An object with the attributes ``fs`` and ``path`` will do.

        >>> from fsspec.implementations.memory import MemoryFileSystem
        >>> from types import SimpleNamespace
        >>> FsspecStore.from_upath(SimpleNamespace(fs=MemoryFileSystem(), path="/demo"))
        FsspecStore('memory:///demo')
        """
        return cls(upath.fs, read_only, upath.path, allowed_exceptions)

    @classmethod
    def from_object(cls, value: Any, *, read_only: bool) -> Self:
        """Return a store of a file system, a mapper or a ``upath.UPath``.

        >>> import fsspec
        >>> FsspecStore.from_object(fsspec.filesystem("memory"), read_only=True).read_only
        True
        """
        if hasattr(value, "cat_file"):
            return cls(value, read_only)
        if hasattr(type(value), "dirfs"):  # asking the mapper itself would make a file system
            return cls.from_mapper(value, read_only)
        return cls.from_upath(value, read_only)

    def _of_url(self) -> Self:
        """Return the store, whose file system nobody else has: its changes must be kept."""
        if self._names & _REFERENCES:
            vars(self).update(read_only=True, _is_lost=True)
        return self

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store of the same values that is read-only, or not."""
        other = super().with_read_only(read_only)
        vars(other).pop("_is_lost", None)
        return other

    def refusal(self) -> str:
        """Return why this store is read-only, and what to do."""
        if "_is_lost" not in vars(self):
            return super().refusal()
        return (
            f"{self} is read-only: changes of references would stay in the memory of this process; "
            "copy them to another store with copy_store, or pass the file system itself, which can "
            "save_json them"
        )

    @property
    def fs(self) -> Any:
        """The file system. In a forked child it is another one with the same options."""
        if self._process != os.getpid() and (self._fs.async_impl or self._one_by_one):
            old = self._fs
            self._fs = type(old)(*old.storage_args, **old.storage_options)
            self._process = os.getpid()
            loop.connects(self._fs)
        return self._fs

    @property
    def _target(self) -> Any:
        """The file system with the values, which one that keeps copies is around."""
        return copies.below(self.fs)

    @property
    def path(self) -> str:
        """The path of the store in the file system."""
        return self._root

    @property
    def supports_listing(self) -> bool:  # type: ignore[override]
        """Whether the keys can be listed; not behind plain HTTP.

        >>> import fsspec
        >>> FsspecStore(fsspec.filesystem("memory")).supports_listing
        True
        """
        return not self._names & _HTTP

    # Calls of the file system

    def _path(self, key: str) -> str:
        if self._query:
            return f"{self._root}/{key}".rstrip("/") + self._query
        if self._root or self._names & _FILES:
            return f"{self._root}/{key}" if key else self._root or "/"
        return key

    def _call(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the result of a verb of the file system, or of a function that is awaited."""
        fs = self._target
        if self._one_by_one:
            alone = place.of_object(fs)
            with alone.locks.held(""):
                return getattr(fs, verb)(*args, **kwargs)
        if not self._awaited:
            return getattr(fs, verb)(*args, **kwargs)
        awaited = clients.limited(fs, verb, *args, **kwargs)
        return loop.wait(awaited) if fs.asynchronous else loop.wait_on(awaited, fs.loop)

    async def _await(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        """Await what ``_call`` calls, on the event loop of this package."""
        fs = self._target
        awaited = clients.limited(fs, verb, *args, **kwargs)
        return await (awaited if fs.asynchronous else loop.await_on(awaited, fs.loop))

    def _request(self, key: str, attempt: Callable[[], Any], missing: Any = None) -> Any:
        """Return the result of a request, or ``missing`` if the key is missing."""
        try:
            return retry.request(attempt, self._explain, self, key)
        except self.allowed_exceptions as error:
            self._check_key_missing(error)
            return missing

    def _explain(self, error: Exception) -> retry.Outcome | None:
        outcome = self._meaning(error)
        unknown = outcome is not None and (outcome.denied or outcome.status is None)
        if outcome is not None and unknown and not outcome.transient and self._left_out:
            words = retry.words(error)
            refused = systems.refused(self._fs, self.url, words, outcome.status, self._left_out)
            raise refused from retry.cause(error)
        return outcome

    def _meaning(self, error: Exception) -> retry.Outcome | None:
        if not isinstance(error, self.allowed_exceptions):
            return clients.meaning(error)
        cause = error.__cause__
        if not isinstance(cause, Exception) or isinstance(cause, self.allowed_exceptions):
            return None
        return clients.unless_missing(cause)

    # Values

    def _reading(
        self, key: str, start: int, length: int | None
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return the verb that reads a value, or a part of it, and its arguments."""
        path = self._path(key)
        if start or length is not None:
            if self._web:
                return clients.web_part, (path, start, length), {}
            end = None if start < 0 or length is None else start + length
            how = {"seekable": True} if self._by_arrow else {}
            return "cat_file", (path,), {"start": start, "end": end, **how}
        # Otherwise s3fs first asks for the size.
        return "cat_file", (path,), {"max_concurrency": 1} if self._names & {"s3", "s3a"} else {}

    def _value(self, key: str, start: int = 0, length: int | None = None) -> Value | None:
        if length is not None and length <= 0:
            clip_range(start, length, 0)
            return None if self._getsize(key) is None else Value(b"")
        if self._copies and self.read_only:
            wanted = self.fs, self._call, self._path(key), start, length
            copied: Value | None = self._request(key, lambda: copies.read(*wanted))
            return copied
        clipped = self._by_arrow and (start or length is not None)
        if clipped or (start < 0 and self._needs_size):
            size = self._getsize(key)
            if size is None:
                # Only a request tells: adlfs takes an empty file for a folder.
                whole = self._value(key)
                return None if whole is None else clients.part(whole.data, start, length)
            start, end = clip_range(start, length, size)
            length = end - start
            if not length:
                return Value(b"")
        verb, args, how = self._reading(key, start, length)

        def attempt() -> Value:
            try:
                data = self._call(verb, *args, **how)
            except Exception as error:
                if clients.is_beyond(error, start, length):
                    return Value(b"")
                raise
            return clients.part(data, start, length)

        found: Value | None = self._request(key, attempt)
        return found

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request, or None if the key is missing."""
        key, start, length = wanted
        validate_key(key)
        if length is not None and length <= 0:
            return await asyncio.to_thread(self._value, key, start, length)
        verb, args, how = self._reading(key, start, length)

        async def attempt() -> Value:
            try:
                data = await self._await(verb, *args, **how)
            except Exception as error:
                if clients.is_beyond(error, start, length):
                    return Value(b"")
                raise
            return clients.part(data, start, length)

        try:
            return await retry.request_async(attempt, self._explain, self, key)
        except self.allowed_exceptions as error:
            self._check_key_missing(error)
            return None

    def _info(self, key: str) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._request(
            key, lambda: self._call("info", self._path(key))
        )
        return found if found is not None and found.get("type") != "directory" else None

    def _exists(self, key: str) -> bool:
        return self._info(key) is not None

    def _getsize(self, key: str) -> int | None:
        found = self._info(key)
        if found is None:
            return None
        if found.get("size") is None:
            data = self._get(key)
            return None if data is None else len(data)
        return int(found["size"])

    # Changes

    def _set(self, key: str, value: bytes | memoryview) -> None:
        data = bytes(value)
        try:
            self._change(key, lambda: self._put(self._path(key), data))
        except self.allowed_exceptions as error:
            self._check_key_missing(error)
            raise

    def _change(self, key: str, attempt: Callable[[], None]) -> None:
        """Request a change; raise ReadOnlyError if the file system has none."""
        try:
            retry.request(attempt, self._explain, self, key)
        except (NotImplementedError, ValueError) as error:
            raise self._told(error) from retry.cause(error)

    def _told(self, error: Exception) -> Exception:
        """Return the error of a change, which file systems that only read raise in their ways."""
        if isinstance(error, BaseZarrError) or not clients.has_no_changes(error):
            return error
        msg = f"{self} cannot be changed in this way, because its file system only reads"
        return ReadOnlyError(msg)

    def _put(self, path: str, data: bytes) -> None:
        if not self._names & _FILES:
            self._call("pipe_file", path, data)
            return
        folder, _, name = path.rpartition("/")
        beside = f"{folder}/.{name[:100]}.{uuid4().hex}{TEMPORARY_SUFFIX}"
        try:
            self._call("pipe_file", beside, data)
        except FileNotFoundError:
            # Other threads delete folders while they are empty.
            with self.place.guard:
                self._call("makedirs", folder, exist_ok=True)
                self._call("pipe_file", beside, data)
        try:
            self._call("mv", beside, path)
        except BaseException:
            self._call("rm_file", beside)
            raise

    def _delete(self, key: str) -> None:
        path = self._path(key)
        try:
            self._change(key, lambda: self._call("rm_file", path))
        except self.allowed_exceptions as error:
            self._check_key_missing(error)
        self._prune(path)

    def _prune(self, path: str) -> None:
        """Delete the folders above a path that are empty, in a file system with real folders."""
        if self._by_arrow or not self._names & _FILES:
            return
        folder = path.rpartition("/")[0]
        while len(folder) > len(self._root):
            try:
                with self.place.guard:
                    self._call("rmdir", folder)
            except OSError:  # it is not empty
                return
            folder = folder.rpartition("/")[0]

    # Listings and trees

    def _list(self, prefix: str) -> Iterable[str]:
        self._check_listing(prefix)
        found: Iterable[str] = self._request(prefix, lambda: self._keys(prefix), missing=())
        return found

    def _keys(self, prefix: str) -> list[str]:
        self._target.invalidate_cache(self._path(prefix))
        skipped = len(self._root) + 1 if self._root else 0
        found = (path.lstrip("/") if not self._root else path for path in self._find(prefix))
        return [path[skipped:] for path in found if not path.endswith(TEMPORARY_SUFFIX)]

    def _find(self, prefix: str) -> list[str]:
        path = self._path(prefix)
        found: list[str] = list(self._call("find", path))
        # The path itself is found if it is that of a file.
        return [each for each in found if each.rstrip("/") != path]

    def _list_dir(self, prefix: str) -> Iterable[str]:
        self._check_listing(prefix)
        found: Iterable[str] = self._request(prefix, lambda: self._names_in(prefix), missing=())
        return found

    def _names_in(self, prefix: str) -> list[str]:
        path = self._path(prefix)
        self._target.invalidate_cache(path)
        found = [each.rstrip("/") for each in self._call("ls", path, detail=False)]
        names = (each.rpartition("/")[2] for each in found if each != path)
        return [name for name in names if name and not name.endswith(TEMPORARY_SUFFIX)]

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes, which the listing contains."""
        path = normalise_path(prefix)
        self._check_listing(path)
        found: list[int | None] = self._request(path, lambda: self._sizes(path), missing=[])
        known = [size for size in found if size is not None]
        return sum(known) if len(known) == len(found) else super().getsize_prefix(path)

    def _sizes(self, prefix: str) -> list[int | None]:
        path = self._path(prefix)
        self._target.invalidate_cache(path)
        found = self._call("find", path, detail=True).items()
        return [
            about.get("size")
            for each, about in found
            if each.rstrip("/") != path and not each.endswith(TEMPORARY_SUFFIX)
        ]

    def _delete_keys(self, keys: Iterable[str]) -> None:
        if self._awaited and not self._names & _FILES:
            loop.wait(self._delete_all(list(keys)))
        else:
            super()._delete_keys(keys)

    async def _delete_all(self, keys: Sequence[str]) -> None:
        """Delete keys, several at once, of a file system without real folders."""
        room = asyncio.Semaphore(max(int(config["fetch.concurrency"]), 1))

        async def delete(key: str) -> None:
            path = self._path(key)
            async with room:
                try:
                    await retry.request_async(
                        lambda: self._await("rm_file", path), self._explain, str(self), key
                    )
                except self.allowed_exceptions as error:
                    self._check_key_missing(error)

        # All have ended before an error is raised.
        done = await asyncio.gather(*map(delete, keys), return_exceptions=True)
        for error in done:
            if isinstance(error, Exception):
                raise self._told(error)
            if error is not None:
                raise error

    # Identity

    def _find_place(self) -> place.Place:
        if self._names & {"file", "local"}:
            return place.of_folder(self._root or "/")
        url = public_url(self._root + self._query) if self._names & _HTTP else self.url
        return place.of_name(f"{url} {systems.identity(self._fs)}")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what belongs to this process, and without credentials."""
        own = ("_place", "_process", "_held")
        state = {name: value for name, value in super().__getstate__().items() if name not in own}
        made = systems.pickled(self.fs)
        if made is None:
            return state
        held = vars(self).setdefault("_held", systems.Held(self.fs, self._root, self._query))
        known[held.name] = held
        if self._names & _HTTP:
            url = public_url(self._root + self._query)
            if url != self._root + self._query:
                made = made._replace(left_out=(*made.left_out, "parts of the URL"))
            state |= {"_root": web_root(url), "_query": query_of(url)}
        return state | {"_fs": (held.name, made)}

    def __setstate__(self, state: Any) -> None:
        """Restore the state, with the file system of this process if it has the same one."""
        state = dict(state) | {"_process": os.getpid()}
        if type(state["_fs"]) is tuple:
            name, made = state["_fs"]
            held = known.get(name)
            if held is None:
                held = systems.Held(made.made(), state["_root"], state["_query"])
                state |= {"_left_out": made.left_out}
            state |= {"_held": held, "_process": held.process}
            state |= {"_fs": held.fs, "_root": held.root, "_query": held.query}
        super().__setstate__(state)
        if self._process == os.getpid():
            loop.connects(self._fs)

    def __copy__(self) -> Self:
        """Return a store of the same file system."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        return other

    @property
    def url(self) -> str:
        """The URL of the store, without credentials.

        >>> FsspecStore.from_url("memory://demo").url
        'memory:///demo'
        """
        if "://" in self._root:
            return systems.url_of(self._fs, retry.redacted(self._root + self._query))
        return systems.url_of(self._fs, self._root)

    def __str__(self) -> str:
        """Return the URL, without credentials."""
        return url_in_format(self.url, self.zarr_format)
