"""Stores in the memory of the process.

Rules of this file:

* Values are buffers in the caller's own dict, as other libraries find them there. A buffer that was
  written holds a ``bytes`` object, which the engine gets without a copy.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn, Self
from weakref import WeakValueDictionary

from fastzarr.compat.abc.store import Store
from fastzarr.compat.core.buffer import Buffer, cpu, gpu
from fastzarr.compat.storage._dress import PlainCalls
from fastzarr.compat.storage._utils import _join_paths, normalize_path, parse_store_url
from fastzarr.stores.memory import Below
from fastzarr.stores.memory import MemoryStore as InnerStore

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from fastzarr.stores.base import Store as Inner


class KeptStore(InnerStore):
    """A store of fastzarr whose values are kept as buffers."""

    def _load(self, value: Any, key: str) -> bytes:
        if not isinstance(value, Buffer):
            return super()._load(value, key)
        array = value.as_numpy_array()
        whole: Any = array.base
        # An array of the whole of a bytes object, as ``_kept`` makes them.
        if type(whole) is bytes and len(whole) == array.size:
            return whole
        return array.tobytes()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        kept = _kept(bytes(value))
        with self._place.guard:
            self._mapping[key] = kept

    def _replace_many(self, values: Mapping[str, bytes | None]) -> None:
        kept: dict[str, Any] = {
            key: None if data is None else _kept(data) for key, data in values.items()
        }
        super()._replace_many(kept)

    # They are made of these verbs, so that they are not void.
    set_valid = _set
    draft = InnerStore.draft
    set_many = InnerStore.set_many
    swap = InnerStore.swap


def _kept(data: Any) -> Buffer:
    # A value that only gets another key is one already.
    return data if isinstance(data, Buffer) else cpu.Buffer.from_bytes(data)


class MemoryStore(PlainCalls):
    """A store in a dict of buffers, which may be the caller's."""

    plain = True
    inline = True
    _store_dict: MutableMapping[str, Buffer]

    def __init__(
        self,
        store_dict: MutableMapping[str, Buffer] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        """Initialise with the dict itself, or a new one."""
        super().__init__(read_only=read_only)
        self._store_dict = {} if store_dict is None else store_dict

    def _make(self) -> Inner:
        return KeptStore(self._store_dict, read_only=self.read_only)

    def _adopt(self, inner: Any) -> None:
        self._store_dict = inner.mapping

    async def set(self, key: str, value: Buffer, byte_range: tuple[int, int] | None = None) -> None:
        """Store a value, or replace a part of one; raise KeyError if there is none."""
        if byte_range is None:
            await super().set(key, value)
            return
        self._check_value(value)
        (start, stop), data = byte_range, value.to_bytes()

        def change(old: bytes | None) -> bytes:
            if old is None:
                raise KeyError(key)
            return b"".join((old[:start], data, old[stop:]))

        await self._ask("change", key, change)

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same dict that is read-only, or not."""
        return type(self)(store_dict=self._store_dict, read_only=read_only)

    async def clear(self) -> None:
        """Delete all keys."""
        self._check_writable()
        self._store_dict.clear()

    def close(self) -> None:
        """Close the store, whose values stay in memory."""
        Store.close(self)

    def __eq__(self, other: object) -> bool:
        """Whether both have equal values and are both read-only, or both writable."""
        return (
            isinstance(other, type(self))
            and self.read_only == other.read_only
            and (self._store_dict is other._store_dict or self._store_dict == other._store_dict)
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return a URL that identifies the dict within this process."""
        return f"memory://{id(self._store_dict)}"

    def __repr__(self) -> str:
        """Return the class name with the URL."""
        return f"{type(self).__name__}('{self}')"


class GpuMemoryStore(MemoryStore):
    """A store in the memory of a graphics processor, of which none can be made."""

    plain = True

    def __init__(self, store_dict: Any = None, *, read_only: bool = False) -> None:
        """Raise ImportError, as ``zarr.buffer.gpu`` does."""
        super().__init__(store_dict, read_only=read_only)
        raise ImportError(gpu.NONE)

    @classmethod
    def from_dict(cls, store_dict: Any) -> NoReturn:
        """Raise ImportError."""
        del store_dict
        raise ImportError(gpu.NONE)


class _Values(dict[str, Buffer]):
    """The values of a name, to which weak references exist."""

    __slots__ = ("__weakref__", "parts")

    def __init__(self) -> None:
        super().__init__()
        #: The values below each path in use, of which all stores use the same object.
        self.parts: WeakValueDictionary[str, Below] = WeakValueDictionary()


class _Named:
    """The values of the names that are in use."""

    def __init__(self) -> None:
        self.found: WeakValueDictionary[str, _Values] = WeakValueDictionary()
        self.lock = threading.Lock()
        self.count = 0

    def values(self, name: str | None) -> tuple[_Values, str]:
        """Return the values of a name, which are made if there are none, and the name."""
        if name is not None and "/" in name:
            msg = (
                f"Store name cannot contain '/': {name!r}. Use the 'path' parameter to specify a "
                "path within the store."
            )
            raise ValueError(msg)
        with self.lock:
            if name is None:
                name = str(self.count)
                self.count += 1
            values = self.found.get(name)
            if values is None:
                values = self.found[name] = _Values()
            return values, name


_named = _Named()


class ManagedMemoryStore(MemoryStore):
    """A store in memory that is found by its name while any store of that name exists.

    >>> store = ManagedMemoryStore("demo")
    >>> ManagedMemoryStore.from_url("memory://demo") == store
    True
    """

    plain = True
    _store_dict: _Values

    def __init__(self, name: str | None = None, *, path: str = "", read_only: bool = False) -> None:
        """Initialise with the values of a name, or of a new one, below a path."""
        values, self._name = _named.values(name)
        super().__init__(values, read_only=read_only)
        self.path = normalize_path(path)

    def _make(self) -> Inner:
        values = self._store_dict
        if not self.path:
            return KeptStore(values, read_only=self.read_only)
        with _named.lock:
            part = values.parts.get(self.path)
            if part is None:
                part = values.parts[self.path] = Below(values, f"{self.path}/")
        inner = KeptStore(part, read_only=self.read_only)
        # Those who compare and swap below the path exclude those who do so above it.
        inner.place.guard = KeptStore(values).place.guard
        return inner

    @property
    def name(self) -> str:
        """The name in the URL."""
        return self._name

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same values that is read-only, or not."""
        return type(self)(self._name, path=self.path, read_only=read_only)

    @classmethod
    def from_url(cls, url: str, *, read_only: bool = False) -> Self:
        """Return a store of the values of a URL; raise ValueError if there are none."""
        parts = parse_store_url(url)
        if parts.scheme != "memory":
            msg = f"Expected a 'memory://' URL, got scheme {parts.scheme!r} in '{url}'."
            raise ValueError(msg)
        # Kept, so that the values are not dropped before the store has them.
        values = _named.found.get(parts.name or "")
        if values is None:
            msg = (
                f"Memory store not found for URL '{url}'. "
                "The store may have been garbage collected."
            )
            raise ValueError(msg)
        return cls(parts.name or "", path=parts.path, read_only=read_only)

    async def clear(self) -> None:
        """Delete all keys below the path."""
        self._check_writable()
        self.inner.clear()

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values and are both read-only, or both writable."""
        return (
            isinstance(other, type(self))
            and self._store_dict is other._store_dict
            and (self.path, self.read_only) == (other.path, other.read_only)
        )

    __hash__ = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the name, the path and the process, but no values."""
        state = {"path": self.path, "read_only": self.read_only, "created_pid": os.getpid()}
        return type(self), (self._name,), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the path; raise RuntimeError in another process than that of the values."""
        made, here = state["created_pid"], os.getpid()
        if made != here:
            msg = (
                f"ManagedMemoryStore '{self._name}' was created in process {made}, and its values "
                f"are in the memory of that process, which process {here} cannot read; use a store "
                "that both can reach, such as a LocalStore"
            )
            raise RuntimeError(msg)
        self.path, self._read_only = state["path"], state["read_only"]

    def __str__(self) -> str:
        """Return the URL."""
        return _join_paths([f"memory://{self._name}", self.path])
