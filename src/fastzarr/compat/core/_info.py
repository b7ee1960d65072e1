"""Arrays and groups described in a few lines, as zarr-python prints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

_STEP = 1024


def human_readable_size(size: int) -> str:
    """Return a number of bytes with a unit, rounded to one decimal.

    >>> human_readable_size(1536)
    '1.5K'
    """
    rounded, unit = float(size), ""
    for unit in ("", "K", "M", "G", "T", "P"):
        if rounded < _STEP or unit == "P":
            break
        rounded /= _STEP
    return f"{rounded:.1f}{unit}" if unit else str(size)


def byte_info(size: int) -> str:
    """Return a number of bytes, and the rounded one where it has another unit.

    >>> byte_info(1536), byte_info(12)
    ('1536 (1.5K)', '12')
    """
    return str(size) if size < _STEP else f"{size} ({human_readable_size(size)})"


def _lines(width: int, items: list[tuple[str, Any]]) -> str:
    return "\n".join(f"{name:<{width}} : {value}" for name, value in items)


@dataclass(kw_only=True)
class GroupInfo:
    """The description of a group.

    >>> GroupInfo(_name="a", _zarr_format=3, _read_only=False, _store_type="MemoryStore")
    Name        : a
    Type        : Group
    Zarr format : 3
    Read-only   : False
    Store type  : MemoryStore
    """

    _name: str
    _type: Literal["Group"] = "Group"
    _zarr_format: int
    _read_only: bool
    _store_type: str
    _count_members: int | None = None
    _count_arrays: int | None = None
    _count_groups: int | None = None

    def __repr__(self) -> str:
        """Return one line for each property."""
        items: list[tuple[str, Any]] = [
            ("Name", self._name),
            ("Type", self._type),
            ("Zarr format", self._zarr_format),
            ("Read-only", self._read_only),
            ("Store type", self._store_type),
        ]
        if self._count_members is not None:
            items += [
                ("No. members", self._count_members),
                ("No. arrays", self._count_arrays),
                ("No. groups", self._count_groups),
            ]
        return _lines(11, items)


@dataclass(kw_only=True, frozen=True, slots=True)
class ArrayInfo:
    """The description of an array."""

    _type: Literal["Array"] = "Array"
    _zarr_format: int
    _data_type: Any
    _fill_value: object
    _shape: tuple[int, ...]
    _shard_shape: tuple[int, ...] | str | None = None
    _chunk_shape: tuple[int, ...] | None = None
    _order: str
    _read_only: bool
    _store_type: str
    _filters: tuple[Any, ...] = ()
    _serializer: Any = None
    _compressors: tuple[Any, ...] = ()
    _count_bytes: int | None = None
    _count_bytes_stored: int | None = None
    _count_chunks_initialized: int | None = None

    def __repr__(self) -> str:
        """Return one line for each property."""
        items: list[tuple[str, Any]] = [
            ("Type", self._type),
            ("Zarr format", self._zarr_format),
            ("Data type", self._data_type),
            ("Fill value", self._fill_value),
            ("Shape", self._shape),
        ]
        if self._shard_shape is not None:
            items.append(("Shard shape", self._shard_shape))
        chunks = "<variable>" if self._chunk_shape is None else self._chunk_shape
        items += [
            ("Chunk shape", chunks),
            ("Order", self._order),
            ("Read-only", self._read_only),
            ("Store type", self._store_type),
            ("Filters", self._filters),
        ]
        if self._serializer is not None:
            items.append(("Serializer", self._serializer))
        items.append(("Compressors", self._compressors))
        return _lines(18, items + self._counts())

    def _counts(self) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = []
        size, stored = self._count_bytes, self._count_bytes_stored
        if size is not None:
            items.append(("No. bytes", byte_info(size)))
        if stored is not None:
            items.append(("No. bytes stored", byte_info(stored)))
        if size is not None and stored:
            items.append(("Storage ratio", f"{size / stored:.1f}"))
        if self._count_chunks_initialized is not None:
            what = "Chunks" if self._shard_shape is None else "Shards"
            items.append((f"{what} Initialized", self._count_chunks_initialized))
        return items
