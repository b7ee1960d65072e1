"""Stores in file systems of fsspec.

Rules of this file:

* The verbs await the file system on the event loop of their caller, as it was made for it. The
  engine reaches the same values through the store of fastzarr, which has rules of its own.
"""

from __future__ import annotations

import posixpath
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from fastzarr.compat.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from fastzarr.compat.storage._dress import Dress
from fastzarr.compat.storage._utils import _dereference_path
from fastzarr.errors import ZarrUserWarning
from fastzarr.stores.fsspec import FsspecStore as InnerStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype
    from fastzarr.stores.base import Store as Inner

ALLOWED_EXCEPTIONS: tuple[type[Exception], ...] = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


def _make_async(fs: Any) -> Any:
    if fs.async_impl:
        if fs.asynchronous:
            return fs
        return type(fs)(*fs.storage_args, **{**fs.storage_options, "asynchronous": True})
    try:
        from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    except ImportError as error:
        msg = (
            f"The filesystem '{fs}' is synchronous, and the required AsyncFileSystemWrapper is not "
            "available. Upgrade fsspec to version 2024.12.0 or later."
        )
        raise ImportError(msg) from error
    return AsyncFileSystemWrapper(fs, asynchronous=True)


class FsspecStore(Dress):
    """A store in a file system of fsspec, below ``path``."""

    plain = True
    fs: Any
    allowed_exceptions: tuple[type[Exception], ...]
    path: str

    def __init__(
        self,
        fs: Any,
        read_only: bool = False,
        path: str = "/",
        allowed_exceptions: tuple[type[Exception], ...] = ALLOWED_EXCEPTIONS,
    ) -> None:
        """Initialise with a file system whose verbs are awaited, and the path of the store in it.

        Raise TypeError if its verbs are not awaited.
        """
        super().__init__(read_only=read_only)
        self.fs, self.path, self.allowed_exceptions = fs, path, allowed_exceptions
        if not fs.async_impl:
            msg = "Filesystem needs to support async operations."
            raise TypeError(msg)
        if not fs.asynchronous:
            msg = (
                f"fs ({fs}) was not created with `asynchronous=True`, this may lead to surprising "
                "behavior"
            )
            warnings.warn(msg, ZarrUserWarning, stacklevel=2)

    def _make(self) -> Inner:
        fs = self.fs
        if type(fs).__name__ == "AsyncFileSystemWrapper":
            fs = fs.sync_fs
        return InnerStore(fs, self.read_only, self.path, self.allowed_exceptions)

    def _adopt(self, inner: Any) -> None:
        self.fs, self.path = _make_async(inner.fs), inner.path
        self.allowed_exceptions = inner.allowed_exceptions

    @classmethod
    def from_upath(
        cls,
        upath: Any,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = ALLOWED_EXCEPTIONS,
    ) -> Self:
        """Return a store of the file system and the path of a ``upath.UPath``."""
        path = upath.path.rstrip("/")
        return cls(_make_async(upath.fs), read_only, path, allowed_exceptions)

    @classmethod
    def from_mapper(
        cls,
        fs_map: Any,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = ALLOWED_EXCEPTIONS,
    ) -> Self:
        """Return a store of the file system and the path of a mapper of fsspec."""
        return cls(_make_async(fs_map.fs), read_only, fs_map.root, allowed_exceptions)

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: dict[str, Any] | None = None,
        read_only: bool = False,
        allowed_exceptions: tuple[type[Exception], ...] = ALLOWED_EXCEPTIONS,
    ) -> Self:
        """Return a store for a URL, with the options of its file system."""
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url, **{"asynchronous": True, **(storage_options or {})})
        return cls(fs if fs.async_impl else _make_async(fs), read_only, path, allowed_exceptions)

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same file system that is read-only, or not."""
        return type(self)(self.fs, read_only, self.path, self.allowed_exceptions)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values and are both read-only, or both writable."""
        return (
            isinstance(other, type(self))
            and (self.path, self.read_only) == (other.path, other.read_only)
            and bool(self.fs == other.fs)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Return the class of the file system, and the path."""
        return f"<FsspecStore({type(self.fs).__name__}, {self.path})>"

    # Verbs

    def _path(self, key: str) -> str:
        return _dereference_path(self.path, key)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        await self._ensure_open()
        start, end = _ends(byte_range)
        part = {} if byte_range is None else {"start": start, "end": end}
        try:
            return self._buffer(prototype, await self.fs._cat_file(self._path(key), **part))
        except self.allowed_exceptions:
            return None
        except OSError as error:
            if not _is_beyond(error):
                raise
            return self._buffer(prototype, b"")

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        wanted = [(self._path(key), *_ends(part)) for key, part in key_ranges]
        if not wanted:
            return []
        paths, starts, ends = map(list, zip(*wanted, strict=True))
        found: list[Buffer | None] = []
        for one in await self.fs._cat_ranges(paths, starts, ends, on_error="return"):
            if isinstance(one, self.allowed_exceptions):
                found.append(None)
            elif isinstance(one, OSError) and _is_beyond(one):
                found.append(self._buffer(prototype, b""))
            elif isinstance(one, Exception):
                raise one
            else:
                found.append(self._buffer(prototype, one))
        return found

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return bool(await self.fs._exists(self._path(key)))

    async def set(self, key: str, value: Buffer, byte_range: tuple[int, int] | None = None) -> None:
        """Store a value."""
        await self._ensure_open()
        self._check_value(value)
        if byte_range:
            msg = "a part of a value cannot be written"
            raise NotImplementedError(msg)
        await self.fs._pipe_file(self._path(key), value.to_bytes())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is missing; other writers may be between both steps."""
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        self._check_writable()
        with suppress(FileNotFoundError, *self.allowed_exceptions):
            await self.fs._rm(self._path(key))

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        self._check_deletes()
        self._check_writable()
        with suppress(*self.allowed_exceptions):
            await self.fs._rm(self._path(prefix), recursive=True)

    async def clear(self) -> None:
        """Delete all keys."""
        self._check_writable()
        with suppress(FileNotFoundError):
            for path in await self.fs._find(self.path, withdirs=True):
                if path != self.path:
                    await self.fs._rm(path, recursive=True)

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no key below a prefix."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        async for _ in self.list_prefix(folder):
            return False
        return True

    async def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""
        for path in await self.fs._find(self.path, detail=False, withdirs=False):
            yield path.removeprefix(f"{self.path}/")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys below a prefix; they are whole keys."""
        root = self.path.rstrip("/")
        start = f"{root}/{prefix}" if root else prefix
        for path in await self.fs._find(start, detail=False, maxdepth=None, withdirs=False):
            yield path.removeprefix(f"{root}/")

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the names of keys and folders directly below a prefix."""
        root = self.path.rstrip("/")
        folder = f"{root}/{prefix.rstrip('/')}" if root else prefix.rstrip("/")
        try:
            paths = await self.fs._ls(folder, detail=False)
        except FileNotFoundError:
            return
        seen = {"", ".", ".."}
        for path in paths:
            name = path.replace(f"{folder}/", "").removeprefix(self.path).removeprefix("/")
            if path.startswith(("http://", "https://")):
                # The links of a page, among which are those to the page itself.
                if "#" in name or "?" in name:
                    continue
                name = posixpath.normpath(name)
            name = name.rstrip("/")
            if "/" not in name and name not in seen:
                seen.add(name)
                yield name

    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing."""
        size = (await self.fs._info(self._path(key))).get("size")
        if size is None:
            value = await self.get(key)
            if value is None:
                raise FileNotFoundError(key)
            return len(value)
        return int(size)

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        return sum([await self.getsize(key) async for key in self.list_prefix(folder)])

    def close(self) -> None:
        """Close the store; the file system belongs to the caller, or is shared."""
        self._is_open = False


def _ends(byte_range: Any) -> tuple[int | None, int | None]:
    if byte_range is None:
        return None, None
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, byte_range.end
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, None
    if isinstance(byte_range, SuffixByteRequest):
        return -byte_range.suffix, None
    msg = f"Unexpected byte_range, got {byte_range}."
    raise ValueError(msg)


def _is_beyond(error: OSError) -> bool:
    """Whether S3 says that nothing of a value is in the range."""
    return "not satisfiable" in str(error)
