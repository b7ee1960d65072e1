"""Stores in zip archives."""

from __future__ import annotations

import io
import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from fastzarr.compat.storage._dress import Dress
from fastzarr.errors import ArchiveError
from fastzarr.stores.zip.store import ZipStore as InnerStore

if TYPE_CHECKING:
    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype
    from fastzarr.stores.base import Store as Inner

ZipStoreAccessModeLiteral: TypeAlias = Literal["r", "w", "a", "x"]


class ZipStore(Dress):
    """A store in a zip archive, whose members are named by the keys.

    ``path`` may be an open binary file, too. The archive is opened when it is first needed; with
    ``w`` and ``x`` it is made then, and only then: after ``close`` it is opened again as it is.
    """

    plain = True
    path: Path | None

    def __init__(
        self,
        path: Path | str | IO[bytes],
        *,
        mode: ZipStoreAccessModeLiteral = "r",
        read_only: bool | None = None,
        compression: int = zipfile.ZIP_STORED,
        allowZip64: bool = True,  # noqa: N803  (the name of zarr-python)
    ) -> None:
        """Initialise with the path of the archive, which is not opened yet."""
        super().__init__(read_only=mode == "r" if read_only is None else read_only)
        self._fileobj: Any = None
        if isinstance(path, str | Path):
            self.path = Path(path)
        else:
            self.path, self._fileobj = None, _as_file(path, mode)
        self._zmode: str = mode
        self.compression, self.allowZip64 = compression, allowZip64
        self._lock = threading.RLock()

    @property
    def inner(self) -> Inner:
        """The store of fastzarr."""
        with self._lock:
            return super().inner

    def _make(self) -> Inner:
        inner = InnerStore(
            self.path if self._fileobj is None else self._fileobj,
            compression=self.compression,
            allowZip64=self.allowZip64,
            mode=self._zmode,
            read_only=self.read_only,
        )
        if self._zmode in ("w", "x"):
            self._zmode = "a"
        self._is_open = True
        return inner

    def _adopt(self, inner: Any) -> None:
        self.path, self._fileobj = Path(inner.path), None
        self._zmode = "r" if inner.read_only else "a"
        self.compression, self.allowZip64 = inner.compression, inner.allowZip64
        self._lock = threading.RLock()

    def _get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return self._read(key, prototype, byte_range)

    def _set(self, key: str, value: Buffer) -> None:
        self._write(key, value)

    def _sync_open(self) -> None:
        if self._is_open:
            msg = "store is already open"
            raise ValueError(msg)
        self.inner  # noqa: B018  (opened now)
        self._is_open = True

    async def _open(self) -> None:
        self._sync_open()

    async def _ensure_open(self) -> None:
        self.inner  # noqa: B018  (opened now)

    async def clear(self) -> None:
        """Delete all members; an archive that cannot be read is replaced by an empty one."""
        self._check_writable()
        if self.path is None:
            msg = "clear() is not supported for a ZipStore backed by a file-like object"
            raise NotImplementedError(msg)
        with self._lock:
            try:
                self.inner.clear()
            except (ArchiveError, FileNotFoundError):
                vars(self).pop("_inner", None)
                self._zmode = "w"
                self.inner  # noqa: B018  (made anew)

    def close(self) -> None:
        """Write the directory of the archive, and close it."""
        with self._lock:
            super().close()
            vars(self).pop("_inner", None)

    async def move(self, path: Path | str) -> None:
        """Move the archive to another path."""
        if self.path is None:
            msg = "move() is not supported for a ZipStore backed by a file-like object"
            raise NotImplementedError(msg)
        target = Path(path)
        with self._lock:
            self.inner  # noqa: B018  (so that it exists)
            self.close()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.path, target)
            self.path = target
            self.inner  # noqa: B018  (opened again)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open archive; raise TypeError if it has no path."""
        if self.path is None:
            msg = (
                "cannot pickle a ZipStore backed by a file-like object; construct the store from "
                "a path instead"
            )
            raise TypeError(msg)
        with self._lock:
            state = super().__getstate__()
        del state["_lock"]
        return state | {"_is_open": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; the archive is opened when it is first needed."""
        vars(self).update(state, _lock=threading.RLock())

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same path, or of the same open file."""
        return (
            isinstance(other, type(self))
            and self.path == other.path
            and self._fileobj is other._fileobj
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return the URL."""
        return f"zip://{self._fileobj!r}" if self.path is None else f"zip://{self.path}"

    def __repr__(self) -> str:
        """Return the class name with the URL."""
        return f"ZipStore('{self}')"


class _RawReaderAdapter(io.RawIOBase):
    """A file of what can only be read and sought in, and may return other buffers than bytes."""

    def __init__(self, fileobj: Any) -> None:
        self._fileobj = fileobj
        at = fileobj.tell()
        # Some readers fail if less is left than they are asked for.
        self._size = fileobj.seek(0, os.SEEK_END)
        fileobj.seek(at)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._fileobj.seek(offset, whence))

    def tell(self) -> int:
        return int(self._fileobj.tell())

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._fileobj.tell())
        if wanted <= 0:
            return 0
        data = memoryview(self._fileobj.read(wanted)).cast("B")
        buffer[: len(data)] = data
        return len(data)


def _as_file(given: Any, mode: str) -> Any:
    """Return an open file, or one around an object that can only be read."""
    if isinstance(given, io.IOBase):
        return given
    if not all(callable(getattr(given, verb, None)) for verb in ("read", "seek", "tell")):
        msg = (
            "expected a path or an open binary file object supporting read/seek/tell, got "
            f"{type(given).__name__}"
        )
        raise TypeError(msg)
    if mode != "r":
        msg = (
            "a file object that is not an io.IOBase instance can only be opened for reading "
            f"(mode='r', got mode={mode!r})"
        )
        raise TypeError(msg)
    return io.BufferedReader(_RawReaderAdapter(given))
