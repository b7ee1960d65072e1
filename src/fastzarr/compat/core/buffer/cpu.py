"""Buffers in the memory of the host, held by arrays of NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fastzarr.compat.core.buffer import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from fastzarr.compat.core.common import BytesLike


class Buffer(core.Buffer):
    """A flat block of bytes in the memory of the host.

    >>> Buffer.from_bytes(b"123")[1:].to_bytes()
    b'23'
    """

    @classmethod
    def create_zero_length(cls) -> Self:
        """Return an empty buffer."""
        return cls(np.array([], dtype="B"))

    @classmethod
    def from_buffer(cls, buffer: core.Buffer) -> Self:
        """Return a buffer of this class with the bytes of another one."""
        return cls.from_array_like(buffer.as_numpy_array())

    @classmethod
    def from_bytes(cls, bytes_like: BytesLike) -> Self:
        """Return a buffer of bytes, which are not copied."""
        return cls.from_array_like(np.frombuffer(bytes_like, dtype="B"))

    def as_numpy_array(self) -> npt.NDArray[Any]:
        """Return the bytes as an array of NumPy."""
        return np.asanyarray(self._data)

    def combine(self, others: Iterable[core.Buffer]) -> Self:
        """Return this buffer followed by others."""
        parts = [self.as_numpy_array(), *(np.asanyarray(other.as_array_like()) for other in others)]
        return self.__class__(np.concatenate(parts))


class NDBuffer(core.NDBuffer):
    """A block of elements in the memory of the host."""

    @classmethod
    def create(
        cls,
        *,
        shape: Iterable[int],
        dtype: npt.DTypeLike,
        order: Literal["C", "F"] = "C",
        fill_value: Any | None = None,
    ) -> Self:
        """Return a new buffer, filled with zeros or with ``fill_value``."""
        # NumPy drops the unit of a type of times that has none.
        data: Any = np.zeros(tuple(shape), dtype, order).view(np.dtype(dtype))
        if fill_value is not None and not (isinstance(fill_value, int) and fill_value == 0):
            data[...] = fill_value
        return cls(data)

    @classmethod
    def empty(
        cls, shape: tuple[int, ...], dtype: npt.DTypeLike, order: Literal["C", "F"] = "C"
    ) -> Self:
        """Return a new buffer with any elements."""
        data: Any = np.empty(shape, dtype, order).view(np.dtype(dtype))
        return cls(data)

    @classmethod
    def from_numpy_array(cls, array_like: npt.ArrayLike) -> Self:
        """Return a buffer of an array, without a copy."""
        data: Any = np.asanyarray(array_like)
        return cls.from_ndarray_like(data)

    def as_numpy_array(self) -> npt.NDArray[Any]:
        """Return the elements as an array of NumPy."""
        return np.asanyarray(self._data)

    def astype(self, dtype: npt.DTypeLike, order: Literal["K", "A", "C", "F"] = "K") -> Self:
        """Return the elements as another data type."""
        target, mine = np.dtype(dtype), self.dtype
        if mine.kind == target.kind and mine.kind in "mM":
            units = np.datetime_data(mine), np.datetime_data(target)  # type: ignore[arg-type]
            if units[0] == units[1] and units[0][0] == "generic":
                # NumPy refuses to convert counts of no unit, even to the other order of bytes.
                counts = self.as_numpy_array().view(f"{mine.byteorder}i8")
                changed: Any = counts.astype(f"{target.byteorder}i8", order=order).view(target)
                return self.__class__(changed)
        return super().astype(dtype, order=order)

    def __getitem__(self, key: Any) -> Self:
        """Return a part of this buffer, which remains an array if it is one element."""
        if isinstance(key, tuple) and not any(one is Ellipsis for one in key):
            key = (*key, Ellipsis)
        return self.__class__(np.asanyarray(self._data[key]))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign to a part of this buffer."""
        self._data[key] = value.as_ndarray_like() if isinstance(value, core.NDBuffer) else value


def as_numpy_array_wrapper(
    func: Callable[[npt.NDArray[Any]], bytes], buf: core.Buffer, prototype: core.BufferPrototype
) -> core.Buffer:
    """Return what a function of arrays returns, as a buffer."""
    return prototype.buffer.from_bytes(func(buf.as_numpy_array()))


buffer_prototype = core.BufferPrototype(Buffer, NDBuffer)


def numpy_buffer_prototype() -> core.BufferPrototype:
    """Return the classes of this module."""
    return core.BufferPrototype(Buffer, NDBuffer)
