"""``zarr.core.array_spec``: how an array is read and written, and what codecs know of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict

import numpy as np

from fastzarr.compat.core.common import (
    MemoryOrder,
    parse_bool,
    parse_fill_value,
    parse_int,
    parse_order,
    parse_shapelike,
)
from fastzarr.compat.core.config import config as settings

if TYPE_CHECKING:
    from fastzarr.compat.core.buffer import BufferPrototype
    from fastzarr.compat.core.dtype import ZDType


class ArrayConfigParams(TypedDict):
    """The members of an ``ArrayConfig``, each of which may be left out."""

    order: NotRequired[MemoryOrder]
    write_empty_chunks: NotRequired[bool]
    read_missing_chunks: NotRequired[bool]
    sharding_coalesce_max_gap_bytes: NotRequired[int]
    sharding_coalesce_max_bytes: NotRequired[int]


@dataclass(frozen=True)
class ArrayConfig:
    """How an array is read and written, apart from its metadata.

    >>> ArrayConfig("C", write_empty_chunks=False).read_missing_chunks
    True
    """

    order: MemoryOrder
    write_empty_chunks: bool
    read_missing_chunks: bool
    sharding_coalesce_max_gap_bytes: int
    sharding_coalesce_max_bytes: int

    def __init__(
        self,
        order: MemoryOrder,
        write_empty_chunks: bool,
        *,
        read_missing_chunks: bool = True,
        sharding_coalesce_max_gap_bytes: int = 1 << 20,
        sharding_coalesce_max_bytes: int = 16 << 20,
    ) -> None:
        """Initialise; raise ValueError for a value of another type."""
        gap = parse_int(sharding_coalesce_max_gap_bytes)
        most = parse_int(sharding_coalesce_max_bytes)
        object.__setattr__(self, "order", parse_order(order))
        object.__setattr__(self, "write_empty_chunks", parse_bool(write_empty_chunks))
        object.__setattr__(self, "read_missing_chunks", parse_bool(read_missing_chunks))
        object.__setattr__(self, "sharding_coalesce_max_gap_bytes", gap)
        object.__setattr__(self, "sharding_coalesce_max_bytes", most)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the configuration with these members, and the others from the settings."""
        unknown = sorted(set(data) - set(_SETTINGS))
        if unknown:
            msg = f"Unknown array config keys: {unknown}. Valid keys are {list(_SETTINGS)}."
            raise TypeError(msg)
        found = {
            name: data[name] if name in data else settings.get(setting)
            for name, setting in _SETTINGS.items()
        }
        return cls(**found)

    def to_dict(self) -> ArrayConfigParams:
        """Return the members by name."""
        members: Any = asdict(self)
        found: ArrayConfigParams = members
        return found


# The members, and the settings that stand in for them.
_SETTINGS = {each.name: f"array.{each.name}" for each in fields(ArrayConfig)}

ArrayConfigLike = ArrayConfig | ArrayConfigParams


def parse_array_config(data: Any) -> ArrayConfig:
    """Return a configuration of some of its members, of none, or as it is.

    >>> parse_array_config({"order": "F"}).order
    'F'
    """
    if isinstance(data, ArrayConfig):
        return data
    return ArrayConfig.from_dict({} if data is None else data)


@dataclass(frozen=True, eq=False)
class ArraySpec:
    """A chunk as a codec sees it: its shape, data type and fill value, and how to treat it."""

    shape: tuple[int, ...]
    dtype: ZDType[Any, Any]
    fill_value: Any
    config: ArrayConfig
    prototype: BufferPrototype

    def __init__(
        self,
        shape: Any,
        dtype: ZDType[Any, Any],
        fill_value: Any,
        config: ArrayConfig,
        prototype: BufferPrototype,
    ) -> None:
        """Initialise; raise an error for an invalid shape."""
        object.__setattr__(self, "shape", parse_shapelike(shape))
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "fill_value", parse_fill_value(fill_value))
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "prototype", prototype)

    def _key(self) -> tuple[object, ...]:
        fill = self.fill_value
        # A NaN equals itself here, and a record is not hashable.
        bits = fill.tobytes() if isinstance(fill, np.generic) else fill
        return (self.shape, self.dtype, bits, self.config, self.prototype)

    def __eq__(self, other: object) -> bool:
        """Whether all members are the same, the fill value bit for bit."""
        if not isinstance(other, ArraySpec):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of all members."""
        return hash(self._key())

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def order(self) -> MemoryOrder:
        """The order of elements in memory."""
        return self.config.order
