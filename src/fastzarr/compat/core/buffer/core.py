"""The base classes of buffers, and the prototype that names the classes to make."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    cast,
    runtime_checkable,
)

import numpy as np

from fastzarr.compat.registry import get_buffer_class, get_ndbuffer_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from fastzarr.compat.core.common import BytesLike

_WITHOUT_NAN = frozenset("USTOV")


@runtime_checkable
class ArrayLike(Protocol):
    """What a ``Buffer`` may hold: an array of one axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type."""
        ...

    @property
    def ndim(self) -> int:
        """The number of axes."""
        ...

    @property
    def size(self) -> int:
        """The number of elements."""
        ...

    def __getitem__(self, key: slice) -> Self:
        """Return a part."""
        ...

    def __setitem__(self, key: slice, value: Any) -> None:
        """Assign to a part."""
        ...

    def copy(self) -> Self:
        """Return a copy."""
        ...


@runtime_checkable
class NDArrayLike(Protocol):  # noqa: PLW1641  (as NumPy's)
    """What an ``NDBuffer`` may hold: an array of any number of axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type."""
        ...

    @property
    def ndim(self) -> int:
        """The number of axes."""
        ...

    @property
    def size(self) -> int:
        """The number of elements."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        ...

    def __len__(self) -> int:
        """Return the length of the first axis."""
        ...

    def __getitem__(self, key: slice) -> Self:
        """Return a part."""
        ...

    def __setitem__(self, key: slice, value: Any) -> None:
        """Assign to a part."""
        ...

    def __array__(self) -> npt.NDArray[Any]:
        """Return an array of NumPy."""
        ...

    def reshape(self, shape: Any, /, *, order: Any = ..., copy: Any = ...) -> NDArrayLike:
        """Return the elements in another shape."""
        ...

    def view(self, dtype: Any) -> Self:
        """Return the same memory as another data type."""
        ...

    def astype(self, dtype: Any, order: Any = ..., *, copy: bool = ...) -> Self:
        """Return the elements as another data type."""
        ...

    def fill(self, value: Any) -> None:
        """Assign one value to all elements."""
        ...

    def copy(self) -> Self:
        """Return a copy."""
        ...

    def transpose(self, axes: SupportsIndex | Sequence[SupportsIndex] | None) -> Self:
        """Return the array with its axes in another order."""
        ...

    def ravel(self, order: Any = ...) -> Self:
        """Return the elements along one axis."""
        ...

    def all(self) -> Any:
        """Whether all elements are true."""
        ...

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        """Return which elements are equal."""
        ...


ScalarType: TypeAlias = int | float | complex | bytes | str | bool | np.generic
NDArrayLikeOrScalar: TypeAlias = ScalarType | NDArrayLike


def check_item_key_is_1d_contiguous(key: Any) -> None:
    """Raise TypeError if a key is no slice, and ValueError if the slice has steps."""
    if not isinstance(key, slice):
        msg = f"Item key has incorrect type (expected slice, got {type(key).__name__})"
        raise TypeError(msg)
    if key.step not in (None, 1):
        msg = "slice must be contiguous"
        raise ValueError(msg)


class Buffer(ABC):
    """A flat block of bytes in the memory of some device."""

    _data: Any

    def __init__(self, array_like: ArrayLike) -> None:
        """Initialise with an array of one axis whose elements are bytes."""
        if array_like.ndim != 1:
            msg = "array_like: only 1-dim allowed"
            raise ValueError(msg)
        if array_like.dtype != np.dtype("B"):
            msg = "array_like: only byte dtype allowed"
            raise ValueError(msg)
        self._data = array_like

    @classmethod
    @abstractmethod
    def create_zero_length(cls) -> Self:
        """Return an empty buffer."""
        raise NotImplementedError(_abstract(cls))

    @classmethod
    def from_array_like(cls, array_like: ArrayLike) -> Self:
        """Return a buffer of an array, without a copy."""
        return cls(array_like)

    @classmethod
    @abstractmethod
    def from_buffer(cls, buffer: Buffer) -> Self:
        """Return a buffer of this class with the bytes of another one."""
        raise NotImplementedError(_abstract(cls))

    @classmethod
    @abstractmethod
    def from_bytes(cls, bytes_like: BytesLike) -> Self:
        """Return a buffer of bytes in the memory of the host."""
        raise NotImplementedError(_abstract(cls))

    def as_array_like(self) -> ArrayLike:
        """Return the array of this buffer, which is not copied."""
        return cast("ArrayLike", self._data)

    @abstractmethod
    def as_numpy_array(self) -> npt.NDArray[Any]:
        """Return the bytes as an array in the memory of the host, which may be a copy."""

    def as_buffer_like(self) -> BytesLike:
        """Return the bytes in the memory of the host, which may be a copy."""
        array: Any = self.as_numpy_array()
        return memoryview(array)

    def to_bytes(self) -> bytes:
        """Return a copy of the bytes."""
        return bytes(self.as_numpy_array())

    def __getitem__(self, key: slice) -> Self:
        """Return a part of this buffer."""
        check_item_key_is_1d_contiguous(key)
        return self.__class__(self._data[key])

    def __setitem__(self, key: slice, value: Any) -> None:
        """Assign to a part of this buffer."""
        check_item_key_is_1d_contiguous(key)
        self._data[key] = value.as_array_like() if isinstance(value, Buffer) else value

    def __len__(self) -> int:
        """Return the number of bytes."""
        return int(self._data.size)

    @abstractmethod
    def combine(self, others: Iterable[Buffer]) -> Self:
        """Return this buffer followed by others."""

    def __add__(self, other: Buffer) -> Self:
        """Return this buffer followed by another."""
        return self.combine([other])

    def __eq__(self, other: object) -> bool:
        """Whether both have equal bytes."""
        if not isinstance(other, Buffer):
            return False
        return bool(np.array_equal(self.as_numpy_array(), other.as_numpy_array()))

    __hash__ = None  # type: ignore[assignment]


class NDBuffer:
    """A block of elements of one data type, with any number of axes."""

    _data: Any

    def __init__(self, array: NDArrayLike) -> None:
        """Initialise with an array."""
        self._data = array

    @classmethod
    @abstractmethod
    def create(
        cls,
        *,
        shape: Iterable[int],
        dtype: npt.DTypeLike,
        order: Literal["C", "F"] = "C",
        fill_value: Any | None = None,
    ) -> Self:
        """Return a new buffer, filled with zeros or with ``fill_value``."""
        raise NotImplementedError(_abstract(cls))

    @classmethod
    def empty(
        cls, shape: tuple[int, ...], dtype: npt.DTypeLike, order: Literal["C", "F"] = "C"
    ) -> Self:
        """Return a new buffer with any elements."""
        return cls.create(shape=shape, dtype=dtype, order=order)

    @classmethod
    def from_ndarray_like(cls, ndarray_like: NDArrayLike) -> Self:
        """Return a buffer of an array, without a copy."""
        return cls(ndarray_like)

    @classmethod
    @abstractmethod
    def from_numpy_array(cls, array_like: npt.ArrayLike) -> Self:
        """Return a buffer of an array in the memory of the host."""
        raise NotImplementedError(_abstract(cls))

    def as_ndarray_like(self) -> NDArrayLike:
        """Return the array of this buffer, which is not copied."""
        return cast("NDArrayLike", self._data)

    @abstractmethod
    def as_numpy_array(self) -> npt.NDArray[Any]:
        """Return the elements as an array in the memory of the host, which may be a copy."""

    def as_scalar(self) -> ScalarType:
        """Return the only element; raise ValueError if there are others, or none."""
        if self._data.size != 1:
            msg = "Buffer does not contain a single scalar value"
            raise ValueError(msg)
        return cast("ScalarType", self.as_numpy_array()[()])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type."""
        return cast("np.dtype[Any]", self._data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return cast("tuple[int, ...]", self._data.shape)

    @property
    def byteorder(self) -> Literal["little", "big"]:
        """The order of the bytes of each element."""
        orders: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
        return orders.get(self.dtype.byteorder, sys.byteorder)

    def reshape(self, newshape: tuple[int, ...] | Literal[-1]) -> Self:
        """Return the elements in another shape."""
        return self.__class__(self._data.reshape((-1,) if newshape == -1 else newshape))

    def squeeze(self, axis: tuple[int, ...]) -> Self:
        """Return the elements without some axes of length 1."""
        kept = tuple(size for at, size in enumerate(self.shape) if at not in axis)
        return self.__class__(self._data.reshape(kept))

    def astype(self, dtype: npt.DTypeLike, order: Literal["K", "A", "C", "F"] = "K") -> Self:
        """Return the elements as another data type."""
        return self.__class__(self._data.astype(dtype=dtype, order=order))

    @abstractmethod
    def __getitem__(self, key: Any) -> Self:
        """Return a part of this buffer."""

    @abstractmethod
    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign to a part of this buffer."""

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self._data)

    def __repr__(self) -> str:
        """Return the shape, the data type and the elements."""
        return f"<NDBuffer shape={self.shape} dtype={self.dtype} {self._data!r}>"

    def all_equal(self, other: Any, equal_nan: bool = True) -> bool:
        """Whether every element is equal to ``other``; 0.0 and -0.0 are not equal."""
        return other is not None and _all_equal(self._data, other, equal_nan=equal_nan)

    def fill(self, value: Any) -> None:
        """Assign one value to all elements."""
        self._data.fill(value)

    def copy(self) -> Self:
        """Return a copy."""
        return self.__class__(self._data.copy())

    def transpose(self, axes: SupportsIndex | Sequence[SupportsIndex] | None) -> Self:
        """Return the elements with the axes in another order."""
        return self.__class__(self._data.transpose(axes))


def _abstract(cls: type) -> str:
    return f"Cannot call abstract method on the abstract class '{cls.__name__}'"


def _all_equal(data: Any, other: Any, *, equal_nan: bool) -> bool:
    without_nan = data.dtype.kind in _WITHOUT_NAN
    if np.asarray(other).dtype.kind == "f" and not without_nan and np.all(other == 0.0):
        # The sign of zero is seen only in its bits.
        wanted = np.asarray(other, data.dtype)
        mine, theirs = np.broadcast_arrays(data, wanted)
        return np.ascontiguousarray(mine).tobytes() == np.ascontiguousarray(theirs).tobytes()
    mine, theirs = np.broadcast_arrays(data, other)
    return bool(np.array_equal(mine, theirs, equal_nan=equal_nan and not without_nan))


class BufferPrototype(NamedTuple):
    """The classes of which buffers are made."""

    buffer: type[Buffer]
    nd_buffer: type[NDBuffer]


def default_buffer_prototype() -> BufferPrototype:
    """Return the classes that the configuration names.

    >>> default_buffer_prototype().buffer.from_bytes(b"12").to_bytes()
    b'12'
    """
    return BufferPrototype(get_buffer_class(), get_ndbuffer_class())
