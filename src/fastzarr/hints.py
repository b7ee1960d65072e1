"""The types of arguments that signatures share, for type checkers.

Rules of this file:

* An alias accepts whatever the functions accept that have such an argument, and no more. An element
  may be an object of any type, and so may a value in JSON; only these are ``Any``.
* An alias that is a string is one literal: pyright takes adjacent ones for a type that is unknown.
* The package itself imports this file for type checkers only. ``fastzarr.types`` makes the names
  available to users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    # Only type checkers know the types of the ends of a slice.
    Slice: TypeAlias = slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]
else:
    Slice = slice

ZarrFormat: TypeAlias = Literal[2, 3, "n5"]
Mode: TypeAlias = Literal["r", "r+", "a", "w", "w-", "x"]
Order: TypeAlias = Literal["C", "F"]
Separator: TypeAlias = Literal[".", "/"]
Durability: TypeAlias = Literal["none", "replace", "full"]
IfExists: TypeAlias = Literal["raise", "replace", "skip", "skip_initialized"]
OnError: TypeAlias = Literal["raise", "skip"]
Outside: TypeAlias = Literal["clear", "delete", "keep"]
Progress: TypeAlias = bool | Callable[[int, int], object] | None
"""True for a bar, or what is called with the number of bytes done and the total."""
Attrs: TypeAlias = Mapping[str, Any]
"""Attributes, whose values JSON can represent."""
StorageOptions: TypeAlias = Mapping[str, Any]


class Synchronizer(Protocol):
    """An object that has a lock for each key, as those of zarr-python 2 do."""

    def __getitem__(self, item: str, /) -> AbstractContextManager[Any]:
        """Return the lock of a key."""


class BytesByKey(Protocol):
    """A mapping from keys to bytes, of any class."""

    def keys(self) -> Iterable[str]:
        """Return the keys."""

    def __iter__(self) -> Any:
        """Iterate over the keys."""

    def __getitem__(self, key: str, /) -> Buffer:
        """Return the bytes of a key."""


class HasObjects(Protocol):
    """A store of the obstore package."""

    def put(self, *args: Any, **kwargs: Any) -> Any:
        """Store the bytes of a key."""

    def head(self, *args: Any, **kwargs: Any) -> Any:
        """Return what is known of a key."""

    def get_range(self, *args: Any, **kwargs: Any) -> Any:
        """Return a part of the bytes of a key."""


class HasFileSystem(Protocol):
    """A path in a file system of fsspec."""

    @property
    def fs(self) -> Any:
        """The file system."""

    @property
    def path(self) -> str:
        """The path in it."""


class HasElements(Protocol):
    """An array of any library whose elements are read in pieces."""

    @property
    def shape(self) -> Any:
        """The length of each axis."""

    @property
    def dtype(self) -> Any:
        """The type of the elements."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return a part of the array."""


class HasPositions(Protocol):
    """An array of any library that is an index: of integers or booleans."""

    def __array__(self) -> npt.NDArray[np.integer[Any] | np.bool_]:
        """Return the array as one of NumPy."""


class HasAttributes(Protocol):
    """An array or group of this package or of h5py."""

    @property
    def name(self) -> Any:
        """The path of the node."""

    @property
    def attrs(self) -> Any:
        """The attributes."""


class HasGroups(HasAttributes, Protocol):
    """A group of this package or of h5py."""

    def require_group(self, name: str, /) -> Any:
        """Return the group of a name."""


class HasMask(Protocol):
    """A boolean array of any library."""

    def __array__(self) -> npt.NDArray[np.bool_]:
        """Return the array as one of NumPy."""


class HasCodecConfig(Protocol):
    """A codec of numcodecs."""

    def get_config(self) -> Any:
        """Return the settings with the codec's name."""


class HasMembers(Protocol):
    """An object of another library with a form in metadata, such as a codec of zarr-python."""

    def to_dict(self) -> Any:
        """Return the members of its form in metadata."""


class HasSeparator(Protocol):
    """An encoding of chunk keys of another library."""

    @property
    def name(self) -> str:
        """The name of the encoding."""

    @property
    def separator(self) -> Separator:
        """What separates the numbers of a chunk."""


ForeignStore: TypeAlias = BytesByKey | HasObjects | HasFileSystem
"""A mapping, or a store of another library."""
KeysForm: TypeAlias = str | tuple[str, Separator] | Mapping[str, Any] | HasSeparator | None
"""How the keys of chunks are made: a name, with a separator, or a form in metadata."""
ArrayLike: TypeAlias = npt.ArrayLike | HasElements | Sequence[Any]
"""The data of an array: whatever NumPy converts, or an array of any library."""
ValueLike: TypeAlias = ArrayLike | date | timedelta | dict[Any, Any] | None
"""What is assigned to elements: data, or one element."""

ShapeLike: TypeAlias = SupportsIndex | Iterable[SupportsIndex]
ChunksLike: TypeAlias = (
    SupportsIndex
    | Iterable[SupportsIndex | Iterable[SupportsIndex | Iterable[SupportsIndex]] | None]
    | Mapping[str, Any]
    | Literal["auto"]
    | bool
    | None
)
"""The shape of chunks or shards, their sizes along each axis, their grid, or how it is chosen."""

Integer: TypeAlias = int | np.integer[Any]
"""One position. NumPy's arrays of floats are ``SupportsIndex`` for type checkers."""
Positions: TypeAlias = HasPositions | Sequence[SupportsIndex] | Sequence[Sequence[SupportsIndex]]
"""An index that is an array of integers or booleans."""
Item: TypeAlias = Integer | Slice | EllipsisType | Positions | str | Sequence[str] | None
Index: TypeAlias = Item | tuple[Item, ...]
"""What selects elements; strings select fields."""
BlockItem: TypeAlias = Integer | Slice | EllipsisType
BlockIndex: TypeAlias = BlockItem | tuple[BlockItem, ...]
"""What selects blocks of chunks."""
Mask: TypeAlias = HasMask | Sequence[bool] | Sequence[Sequence[bool]]
"""A boolean array."""
Fields: TypeAlias = str | Sequence[str] | None
