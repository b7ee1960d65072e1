"""Parsed metadata: the frozen ``Layout`` of an array and ``GroupLayout`` of a group.

Rules of this file:

* All formats are parsed into the same classes. Features of one format are translated by its parser
  (order "F" becomes a transpose), or kept in a member of their own to be written back.
* The differences between formats are in ``format``; a layout does not know how it is written.
* Layouts are immutable. ``dataclasses.replace`` returns a new one without the compiled program.
* Two layouts are equal if they describe the same document. Fill values are compared by their bytes:
  NaN equals NaN, and 0.0 differs from -0.0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastzarr._lazy import cached
from fastzarr.codecs.base import ArrayBytesCodec, ChunkSpec
from fastzarr.grids.base import largest
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr import hints
    from fastzarr.codecs.base import Codec, Inside
    from fastzarr.codecs.program import Program
    from fastzarr.dtypes import DataType
    from fastzarr.grids.base import Grid
    from fastzarr.grids.keys import KeyEncoding
    from fastzarr.metadata.format import Format
    from fastzarr.metadata.repairs import Repaired


# The members on which nothing depends that is computed of a layout.
_LOOSE = frozenset({"attributes", "extra"})


class Sharding(NamedTuple):
    """The sharding codec of a chain, with the codecs before and after it."""

    before: tuple[Codec, ...]
    codec: Any
    after: tuple[Codec, ...]
    inside: Inside

    @property
    def is_plain(self) -> bool:
        """Whether ``before`` has only transposes, and ``after`` is empty."""
        return not self.after and all(codec.name == "transpose" for codec in self.before)


@dataclass(frozen=True, eq=False)
class Layout:
    """The metadata of one array.

    ``chunks`` is the shape of one stored object, which is a shard if the array is sharded. If these
    differ in shape, their grid is ``irregular``, and ``chunks`` has the largest size of each axis.
    ``codecs`` is the resolved chain. ``fill`` is a scalar of the data type, or None if undefined
    (format 2 only). ``order`` is format 2's member of that name, the memory order in which arrays
    are returned; None in other formats, where that order is a setting of the reader. ``extra``
    contains the unknown members of the document, which are ignored and written back. ``repaired``
    is what the document has that is read as other chunks, or None.
    """

    format: Format
    shape: tuple[int, ...]
    dtype: DataType
    chunks: tuple[int, ...]
    keys: KeyEncoding
    fill: Any
    codecs: tuple[Codec, ...]
    dimension_names: tuple[str | None, ...] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    order: hints.Order | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    irregular: Grid | None = None
    repaired: Repaired | None = None

    @cached
    def program(self) -> Program:
        """The codec chain, compiled on first access; it is not pickled."""
        compiled: list[Program] = self.__dict__.setdefault("_compiled", [])
        if not compiled:
            from fastzarr.codecs.compile import compile_chain

            spec = ChunkSpec(self.chunks, self.dtype, self.fill)
            compiled.append(compile_chain(self.codecs, spec))
        return compiled[0]

    def program_at(self, coords: tuple[int, ...]) -> Program:
        """Return the program of the stored object at these coordinates."""
        if self.irregular is None:
            return self.program
        sizes = [self.irregular.size(axis, k) for axis, k in enumerate(coords)]
        return self.program.of_shape(tuple(sizes))

    def with_members(self, **members: Any) -> Layout:
        """Return a copy with another shape, dimension_names, attributes or extra.

        The grid and the codec program depend on none of these and are shared: the first of the two
        layouts to need the program compiles it for both. The grid may be passed, too.
        """
        # Called whenever an array is opened; the constructor would take four times as long.
        other = object.__new__(Layout)
        compiled = self.__dict__.setdefault("_compiled", [])
        same = self.__dict__
        if not _LOOSE.issuperset(members):
            # What was computed may depend on the others.
            same = {name: same[name] for name in self.__dataclass_fields__}
        own = same.copy()
        own["_compiled"], own["grid"] = compiled, self.grid
        own.update(members)
        object.__setattr__(other, "__dict__", own)
        return other

    def resized(self, shape: tuple[int, ...]) -> Layout:
        """Return a copy with another shape, and with a grid that covers it."""
        if self.irregular is None:
            return self.with_members(shape=shape)
        return self.with_grid(self.irregular.grown(shape)).with_members(shape=shape)

    def with_grid(self, grid: Grid) -> Layout:
        """Return a copy with another irregular grid."""
        if grid == self.irregular:
            return self
        return self.with_members(
            irregular=grid, grid=grid, chunks=largest(grid.variety()), _compiled=[]
        )

    def with_program_of(self, other: Layout) -> Layout | None:
        """Return this layout with the codec program of ``other``; None if their chunks differ."""
        if self.__dict__.get("_compiled", self) is other.__dict__.get("_compiled"):
            return self  # a copy made by `with_members`, which differs in no other member
        mine, theirs = self.irregular, other.irregular
        if mine is not None and theirs is not None and mine != theirs:
            # One of them has grown. What it was before has no program of its own any more.
            same = mine.agrees(theirs) and other.with_grid(mine).with_program_of(self)
            return self if same else None
        moved = self.with_members(**_apart_from_chunks(other))
        # A codec that was passed as an object may be of another class than its name in documents.
        if moved != other and not _same_json(moved.to_dict(), other.to_dict()):
            return None
        return other.with_members(**_apart_from_chunks(self))

    def of_inner_chunks(self) -> Layout:
        """Return the layout with the codecs of an inner chunk if the array is sharded."""
        return self if self.sharding is None else replace(self, codecs=self.chunk_codecs)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def node_type(self) -> Literal["array"]:
        """The type of the node: ``"array"``."""
        return "array"

    @property
    def data_type(self) -> DataType:
        """The data type (zarr-python 3's name)."""
        return self.dtype

    @property
    def fill_value(self) -> Any:
        """The fill value (zarr-python 3's name)."""
        return self.fill

    @property
    def zarr_format(self) -> hints.ZarrFormat:
        """The number of the format."""
        return self.format.number

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata document as a dictionary, including the attributes."""
        return self.format.to_dict(self)

    @cached
    def grid(self) -> Grid:
        """The grid of the stored objects."""
        return RegularGrid(self.chunks) if self.irregular is None else self.irregular

    @cached
    def inner_grid(self) -> Grid:
        """The grid of the chunks that can be read separately: in shards, their inner chunks."""
        return self.grid if self.sharding is None else RegularGrid(self.inner_chunks)

    @cached
    def grid_shape(self) -> tuple[int, ...]:
        """The number of stored objects along each axis."""
        return self.grid.count(self.shape)

    def owns(self, key: str) -> bool:
        """Whether a key, relative to the array's path, names a chunk, in the grid or outside it."""
        return self.keys.decode(key, len(self.shape)) is not None

    @cached
    def inner_chunks(self) -> tuple[int, ...]:
        """The shape of the smallest unit that can be read separately, in the axes of the array.

        This is the inner chunk of a shard, or ``chunks`` if the array is not sharded.
        """
        sharding = self.sharding
        if sharding is None:
            return self.chunks
        specs = [ChunkSpec(self.chunks, self.dtype, self.fill)]
        before: list[Any] = list(sharding.before)
        for codec in before:
            specs.append(codec.encoded_spec(specs[-1]))
        shape: tuple[int, ...] | None = sharding.inside.grid.steps
        for codec, spec in zip(reversed(before), reversed(specs[:-1]), strict=True):
            shape = None if shape is None else codec.decoded_block(shape, spec)
        return self.chunks if shape is None else shape

    @cached
    def pads(self) -> bool:
        """Whether the chunks of an array with smaller chunks would be read without an error."""
        return any(isinstance(codec, ArrayBytesCodec) and codec.pads for codec in self.codecs)

    @cached
    def sharding(self) -> Sharding | None:
        """The sharding codec and the codecs around it; None if the array is not sharded."""
        for at, codec in enumerate(self.codecs):
            inside = codec.inside() if isinstance(codec, ArrayBytesCodec) else None
            if inside is not None:
                return Sharding(self.codecs[:at], codec, self.codecs[at + 1 :], inside)
        return None

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, or None if the array is not sharded."""
        return None if self.sharding is None else self.chunks

    @property
    def shown_chunks(self) -> Any:
        """The shape of a chunk, with all sizes along an axis where they differ."""
        if self.irregular is None or self.sharding is not None:
            return self.inner_chunks
        return self.irregular.shown(self.shape)

    @property
    def shown_shards(self) -> Any:
        """The shape of a shard, with all sizes along an axis where they differ, or None."""
        if self.irregular is None or self.sharding is None:
            return self.shards
        return self.irregular.shown(self.shape)

    @property
    def chunk_codecs(self) -> tuple[Codec, ...]:
        """All codecs that encode a chunk, both inside and outside of a shard."""
        sharding = self.sharding
        if sharding is None:
            return self.codecs
        return (*sharding.before, *sharding.inside.codecs, *sharding.after)

    @property
    def filters(self) -> tuple[Any, ...]:
        """The codecs before the serializer; in format 2, the filters as numcodecs objects."""
        return self.format.shown(self).filters

    @property
    def serializer(self) -> Any:
        """The array-to-bytes codec; None in format 2, whose documents do not name one."""
        return self.format.shown(self).serializer

    @property
    def compressors(self) -> tuple[Any, ...]:
        """The codecs after the serializer; in format 2, at most one numcodecs object."""
        return self.format.shown(self).compressors

    @property
    def compressor(self) -> Any:
        """Format 2's compressor as a numcodecs object; None if not compressed, and in format 3."""
        return next(iter(self.compressors), None) if self.format.has_one_compressor else None

    def __eq__(self, other: object) -> bool:
        """Whether both describe the same document."""
        if not isinstance(other, Layout):
            return NotImplemented
        return (
            self._key() == other._key()
            and _same_fill(self.fill, other.fill)
            and _same_json(self.attributes, other.attributes)
            and _same_json(self.extra, other.extra)
        )

    def __hash__(self) -> int:
        """Return a hash of the immutable members."""
        return hash(self._key())

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, without the compiled program."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def _key(self) -> tuple[Any, ...]:
        return (
            self.format,
            self.shape,
            self.dtype,
            self.irregular or self.chunks,
            self.keys,
            self.codecs,
            self.dimension_names,
            self.order,
        )


@dataclass(frozen=True, eq=False)
class GroupLayout:
    """The metadata of one group.

    ``consolidated`` maps the paths below the group, such as ``"a/b"``, to the metadata of these
    nodes; it is None if the group has no consolidated metadata. ``extra`` contains the unknown
    members of the document, which are ignored and written back.
    """

    format: Format
    attributes: dict[str, Any] = field(default_factory=dict)
    consolidated: Mapping[str, Layout | GroupLayout] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def node_type(self) -> Literal["group"]:
        """The type of the node: ``"group"``."""
        return "group"

    @property
    def zarr_format(self) -> hints.ZarrFormat:
        """The number of the format."""
        return self.format.number

    def with_members(self, **members: Any) -> GroupLayout:
        """Return a copy with other members."""
        return replace(self, **members)

    def __eq__(self, other: object) -> bool:
        """Whether both describe the same document."""
        if not isinstance(other, GroupLayout):
            return NotImplemented
        return (
            self.format is other.format
            and _same_json(self.attributes, other.attributes)
            and self.consolidated == other.consolidated
            and _same_json(self.extra, other.extra)
        )

    def __hash__(self) -> int:
        """Return a hash of the immutable members."""
        return hash(("group", self.format))


def _apart_from_chunks(layout: Layout) -> dict[str, Any]:
    """Return the members that the stored chunks do not depend on."""
    names = ("shape", "attributes", "dimension_names", "extra", "repaired")
    return {name: getattr(layout, name) for name in names}


def _same_json(left: Any, right: Any) -> bool:
    return left is right or json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _same_fill(left: Any, right: Any) -> bool:
    if isinstance(left, np.generic) and isinstance(right, np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    # The fill value of a format 2 object array may be a NaN, which does not equal itself.
    return type(left) is type(right) and (left is right or repr(left) == repr(right))
