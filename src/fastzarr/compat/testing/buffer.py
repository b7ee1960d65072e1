"""Buffers of classes of their own, and a store that insists on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fastzarr.compat.core.buffer import cpu
from fastzarr.compat.storage._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype

__all__ = ["NDBufferUsingTestNDArrayLike", "StoreExpectingTestBuffer", "TestBuffer"]


class TestNDArrayLike(np.ndarray[Any, Any]):
    """An array of another class than NumPy's."""

    __test__ = False


class TestBuffer(cpu.Buffer):
    """A buffer of another class than the default one."""

    __test__ = False


class NDBufferUsingTestNDArrayLike(cpu.NDBuffer):
    """A buffer that holds a ``TestNDArrayLike``."""

    @classmethod
    def create(
        cls,
        *,
        shape: Iterable[int],
        dtype: npt.DTypeLike,
        order: Literal["C", "F"] = "C",
        fill_value: Any | None = None,
    ) -> Self:
        """Return a new buffer, filled with ``fill_value`` if there is one."""
        array: Any = TestNDArrayLike(tuple(shape), dtype, order=order)
        made = cls(array)
        if fill_value is not None:
            made.fill(fill_value)
        return made

    @classmethod
    def empty(
        cls, shape: tuple[int, ...], dtype: npt.DTypeLike, order: Literal["C", "F"] = "C"
    ) -> Self:
        """Return a new buffer with any elements."""
        return cls.create(shape=shape, dtype=dtype, order=order)


class StoreExpectingTestBuffer(MemoryStore):
    """A store whose values are ``TestBuffer``, apart from the documents of nodes."""

    def _check(self, key: str, kind: Any) -> None:
        document = "json" in key or key.rpartition("/")[2].startswith(".z")
        if not document and not issubclass(kind, TestBuffer):
            msg = f"{key!r}: expected a TestBuffer, not {kind.__name__}"
            raise AssertionError(msg)

    async def set(self, key: str, value: Buffer, byte_range: tuple[int, int] | None = None) -> None:
        """Store a value."""
        self._check(key, type(value))
        await super().set(key, value, byte_range)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        self._check(key, type(value))
        super().set_sync(key, value)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        if prototype is not None:
            self._check(key, prototype.buffer)
        return await super().get(key, prototype, byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        if prototype is not None:
            self._check(key, prototype.buffer)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)
