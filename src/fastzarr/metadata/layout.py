"""What a metadata document says, once it is understood: a frozen ``Layout`` or ``GroupLayout``.

Rules of this file:

* A layout is the same kind of thing for format 2 and format 3. What only one format can say is
  translated on the way in (order "F" is a transpose) or kept beside, to be written back.
* A layout is never changed. ``dataclasses.replace`` makes another; what was compiled from the old
  one stays with the old one.
* Two layouts are equal when they stand for the same document. Fill values compare by their bytes,
  so NaN equals NaN, and 0.0 differs from -0.0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
from fastzarr.grid import grid_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.codecs.base import Codec
    from fastzarr.codecs.chain import Program
    from fastzarr.dtypes import DataType
    from fastzarr.grid import ChunkKeys


@dataclass(frozen=True, eq=False)
class Layout:
    """Hold the metadata of one array.

    ``chunks`` is the shape of one stored object: of a shard, where the array is sharded. ``codecs``
    is the resolved chain. ``fill`` is a scalar of the data type, or None where format 2 leaves it
    undefined. ``order`` is the member of that name in format 2. ``extra`` holds the members of a
    document that are not known here and need not be understood.
    """

    zarr_format: int
    shape: tuple[int, ...]
    dtype: DataType
    chunks: tuple[int, ...]
    keys: ChunkKeys
    fill: Any
    codecs: tuple[Codec, ...]
    dimension_names: tuple[str | None, ...] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    order: str = "C"
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def program(self) -> Program:
        """Give the compiled codec chain; it is compiled once and not pickled."""
        compiled: list[Program] = self.__dict__.setdefault("_compiled", [])
        if not compiled:
            from fastzarr.codecs.chain import Program

            compiled.append(Program.compile(self))
        return compiled[0]

    def with_members(self, **members: Any) -> Layout:
        """Return a copy with another shape, dimension_names, attributes or extra.

        The codec program depends on none of these and is shared: the first of the two layouts to
        need it compiles it for both.
        """
        other = replace(self, **members)
        other.__dict__["_compiled"] = self.__dict__.setdefault("_compiled", [])
        return other

    @property
    def ndim(self) -> int:
        """Give the number of axes."""
        return len(self.shape)

    @property
    def node_type(self) -> str:
        """Give what kind of node this is the metadata of."""
        return "array"

    @property
    def data_type(self) -> DataType:
        """Give the data type, under zarr-python 3's name."""
        return self.dtype

    @property
    def fill_value(self) -> Any:
        """Give the fill value, under zarr-python 3's name."""
        return self.fill

    def to_dict(self) -> dict[str, Any]:
        """Give the document that stands for the layout, attributes included."""
        from fastzarr.metadata import v2, v3

        if self.zarr_format == 3:
            return v3.document(self)
        documents = v2.documents(self)
        return documents[".zarray"] | {"attributes": documents.get(".zattrs", {})}

    @cached_property
    def grid_shape(self) -> tuple[int, ...]:
        """Give the number of stored objects along each axis."""
        return grid_shape(self.shape, self.chunks)

    def owns(self, key: str) -> bool:
        """Tell whether a key below the array's path is a chunk's, inside the grid or not."""
        return self.keys.decode(key, len(self.shape)) is not None

    @cached_property
    def inner_chunks(self) -> tuple[int, ...]:
        """Give the shape of the smallest piece that can be read alone.

        That is the chunk of a shard, in the axes of the array, or ``chunks`` without sharding.
        """
        orders: list[tuple[int, ...]] = []
        for codec in self.codecs:
            if codec.name == "transpose":
                orders.append(codec.order)  # type: ignore[attr-defined]
            elif codec.name == "sharding_indexed":
                shape: tuple[int, ...] = codec.chunk_shape  # type: ignore[attr-defined]
                for order in reversed(orders):
                    shape = tuple(shape[order.index(axis)] for axis in range(len(order)))
                return shape
        return self.chunks

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Give the shape of a shard, or None where the array is not sharded."""
        sharded = any(codec.name == "sharding_indexed" for codec in self.codecs)
        return self.chunks if sharded else None

    @property
    def filters(self) -> tuple[Any, ...]:
        """Give what comes before the serializer: codecs, in format 2 those of numcodecs."""
        if self.zarr_format == 2:
            from fastzarr.metadata.v2 import filter_configs

            return tuple(_numcodec(config) for config in filter_configs(self) or ())
        return tuple(codec for codec in self.codecs if isinstance(codec, ArrayArrayCodec))

    @property
    def serializer(self) -> ArrayBytesCodec | None:
        """Give the codec that turns an array into bytes; None in format 2, which names none."""
        if self.zarr_format == 2:
            return None
        return next(codec for codec in self.codecs if isinstance(codec, ArrayBytesCodec))

    @property
    def compressors(self) -> tuple[Any, ...]:
        """Give what comes behind the serializer: codecs, in format 2 one of numcodecs or none."""
        if self.zarr_format == 2:
            return () if self.compressor is None else (self.compressor,)
        return tuple(codec for codec in self.codecs if isinstance(codec, BytesBytesCodec))

    @property
    def compressor(self) -> Any:
        """Give format 2's compressor as an object of numcodecs; None where there is none."""
        if self.zarr_format != 2:
            return None
        from fastzarr.metadata.v2 import compressor_config

        config = compressor_config(self)
        return None if config is None else _numcodec(config)

    def __eq__(self, other: object) -> bool:
        """Tell whether the other layout stands for the same document."""
        if not isinstance(other, Layout):
            return NotImplemented
        return (
            self._key() == other._key()
            and _same_fill(self.fill, other.fill)
            and _same_json(self.attributes, other.attributes)
            and _same_json(self.extra, other.extra)
        )

    def __hash__(self) -> int:
        """Hash by what cannot be changed in place."""
        return hash(self._key())

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what was compiled."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def _key(self) -> tuple[Any, ...]:
        return (
            self.zarr_format,
            self.shape,
            self.dtype,
            self.chunks,
            self.keys,
            self.codecs,
            self.dimension_names,
            self.order,
        )


@dataclass(frozen=True, eq=False)
class GroupLayout:
    """Hold the metadata of one group.

    ``consolidated`` maps the paths below the group, such as ``"a/b"``, to their metadata where the
    group's document carries a copy of it; None where it carries none.
    """

    zarr_format: int
    attributes: dict[str, Any] = field(default_factory=dict)
    consolidated: Mapping[str, Layout | GroupLayout] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def with_members(self, **members: Any) -> GroupLayout:
        """Return a copy with other members."""
        return replace(self, **members)

    def __eq__(self, other: object) -> bool:
        """Tell whether the other layout stands for the same document."""
        if not isinstance(other, GroupLayout):
            return NotImplemented
        return (
            self.zarr_format == other.zarr_format
            and _same_json(self.attributes, other.attributes)
            and self.consolidated == other.consolidated
            and _same_json(self.extra, other.extra)
        )

    def __hash__(self) -> int:
        """Hash by what cannot be changed in place."""
        return hash(("group", self.zarr_format))


def _numcodec(config: dict[str, Any]) -> Any:
    from numcodecs import get_codec

    return get_codec(dict(config))


def _same_json(left: Any, right: Any) -> bool:
    return left is right or json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _same_fill(left: Any, right: Any) -> bool:
    if isinstance(left, np.generic) and isinstance(right, np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    # A NaN among the objects of format 2 differs from itself.
    return type(left) is type(right) and (left is right or repr(left) == repr(right))
