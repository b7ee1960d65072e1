"""Invalid chunk shapes that zarr-python has stored, read as what they mean.

Rules of this file:

* zarr-python 3 stored a chunk size of 0, or false, along an axis of length zero. It is the smallest
  size that the axis can have: 1, or that of the inner chunks of a shard. Later versions could
  lengthen such an axis, but nobody could store a chunk. So the array has only its fill value, and
  there is a note which says so.
* It stored true for 1, and 4.0 for 4 among the sizes of a rectilinear grid.
* zarr-python 3.2 stored sizes of all chunks along an axis in a grid named ``regular``, beside axes
  with one size. That is a rectilinear grid, and there is a note, too.
* A document is not changed; the repaired one is another. Members of which other readers could make
  other chunks must be replaced before a chunk is written.
* Nothing is warned of here, as documents are read again whenever they change: who opens an array
  gives the notes.
* A document that is read in no other way has no repair, and this costs a look at each size.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESAVE_HINT = (
    "To store valid metadata, open the array for writing and call `array.update_attributes({})`; "
    "where a group has consolidated metadata of it, also call `zarr.consolidate_metadata` on that "
    "group."
)
RECREATE_HINT = (
    "Such an array has only its fill value. It loses nothing if it is created again with another "
    "chunk shape: `zarr.from_array(array.store, name=array.path, data=array, "
    "chunks=<chunk shape>, overwrite=True, write_data=False)`. To keep the chunk shape that was "
    "read, open the array for writing and call `array.update_attributes({})`. In both cases, also "
    "call `zarr.consolidate_metadata` on a group that has consolidated metadata of it."
)
_LONGEST = 60


class Repaired(NamedTuple):
    """What a document has that is read as other chunks."""

    members: Mapping[str, Any]
    """The members as they are stored."""
    notes: tuple[str, ...]
    """What the user should know."""


class Repair(NamedTuple):
    """A document as it is read."""

    document: dict[str, Any]
    repaired: Repaired | None
    """What other readers would make other chunks of, if anything."""


def repair_v2(doc: Mapping[str, Any]) -> Repair | None:
    """Return what a ``.zarray`` is read as if that is not what it says.

    >>> repair_v2({"shape": [0], "chunks": [0]}).document
    {'shape': [0], 'chunks': [1]}
    """
    stored, shape = doc.get("chunks"), doc.get("shape")
    if _is_valid(stored) or not isinstance(stored, list) or not _are_integers(shape):
        return None
    read = _Sizes(stored, shape, ())
    if not read.differs or read.listed:
        return None
    repaired = Repaired({"chunks": stored}, read.notes()) if read.moved else None
    return Repair({**doc, "chunks": read.sizes}, repaired)


def repair_v3(doc: Mapping[str, Any]) -> Repair | None:
    """Return what the ``zarr.json`` of an array is read as if that is not what it says."""
    found: dict[str, Any] = {}
    codecs, repaired = doc.get("codecs"), None
    if isinstance(codecs, list):
        inside = _codecs(codecs)
        if inside is not None:
            codecs = found["codecs"] = inside
    grid = doc.get("chunk_grid")
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    if isinstance(grid, dict) and isinstance(configuration, dict):
        if grid.get("name") == "regular":
            stored, shape = configuration.get("chunk_shape"), doc.get("shape")
            units = None if _is_valid(stored) else _units(codecs)
            if isinstance(stored, list) and units is not None and _are_integers(shape):
                read = _Sizes(stored, shape, units)
                if read.differs:
                    found["chunk_grid"] = read.grid(grid)
                    if read.moved:
                        repaired = Repaired({"chunk_grid": grid}, read.notes())
        elif grid.get("name") == "rectilinear":
            stored = configuration.get("chunk_shapes")
            axes = [_axis(axis) for axis in stored] if isinstance(stored, list) else stored
            if not _is_same(axes, stored):
                found["chunk_grid"] = grid | {
                    "configuration": {**configuration, "chunk_shapes": axes}
                }
    return Repair({**doc, **found}, repaired) if found else None


def _is_valid(sizes: object) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes)


def _are_integers(sizes: object) -> bool:
    return isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)


class _Sizes:
    """A chunk shape read entry by entry; it ``differs`` only if all entries can be read.

    ``units`` are the smallest sizes along the first axes; that of the others is 1.
    """

    def __init__(self, stored: list[Any], shape: Any, units: Sequence[int]) -> None:
        self.stored, self.sizes = stored, list(stored)
        self.listed: list[int] = []
        self.moved = self.differs = False
        self.filled: list[str] = []
        if shape is not None and len(stored) != len(shape):
            return
        for axis, size in enumerate(stored):
            if isinstance(size, list) and not any(isinstance(edge, list) for edge in size):
                self.listed.append(axis)
                self.sizes[axis] = _axis(size)
            elif size is True:
                self.sizes[axis] = 1
            elif isinstance(size, int) and size == 0 and shape is not None:
                self._zero(axis, shape[axis], units[axis] if axis < len(units) else 1)
            elif not isinstance(size, int) or size < 1:
                return
        if self.listed and len(self.listed) == len(stored):
            return  # such grids were never stored
        self.moved = self.moved or bool(self.listed)
        self.differs = not _is_same(self.sizes, stored) or bool(self.listed)

    def _zero(self, axis: int, length: int, unit: int) -> None:
        self.sizes[axis] = unit
        self.moved = True
        if length:
            which = "" if unit == 1 else ", the inner chunk size"
            said = json.dumps(self.stored[axis])
            self.filled.append(f"{said} in dimension {axis} as {unit}{which}")

    def grid(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the member ``chunk_grid``."""
        if self.listed:
            inline = {"kind": "inline", "chunk_shapes": self.sizes}
            return {"name": "rectilinear", "configuration": inline}
        return stored | {"configuration": {**stored["configuration"], "chunk_shape": self.sizes}}

    def notes(self) -> tuple[str, ...]:
        """Return what the user should know."""
        found = []
        if self.filled:
            found.append(
                f"The stored chunk shape {_short(self.stored)} is invalid: sizes must be at least "
                f"1. It is read as {_short(self.sizes)}, reading {'; '.join(self.filled)}, as no "
                f"chunk can be stored under a chunk size of 0. {RECREATE_HINT}"
            )
        if self.listed:
            found.append(
                "The stored chunk grid is named 'regular', but its chunk shape lists chunk edge "
                f"lengths in dimensions {self.listed}. It is read as that rectilinear chunk grid. "
                f"{RESAVE_HINT}"
            )
        return tuple(found)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _codecs(codecs: list[Any]) -> list[Any] | None:
    """Return codecs whose inner chunk shapes are read as others; None if there are none."""
    read = [_codec(codec) for codec in codecs]
    if all(codec is None for codec in read):
        return None
    return [old if new is None else new for old, new in zip(codecs, read, strict=True)]


def _codec(codec: Any) -> dict[str, Any] | None:
    if not isinstance(codec, dict) or codec.get("name") != "sharding_indexed":
        return None
    configuration = codec.get("configuration")
    if not isinstance(configuration, dict):
        return None
    found: dict[str, Any] = {}
    stored, inside = configuration.get("chunk_shape"), configuration.get("codecs")
    if isinstance(stored, list):
        read = _Sizes(stored, None, ())
        if read.differs and not read.listed:
            found["chunk_shape"] = read.sizes
    if isinstance(inside, list):
        inner = _codecs(inside)
        if inner is not None:
            found["codecs"] = inner
    return {**codec, "configuration": {**configuration, **found}} if found else None


def _units(codecs: Any) -> Sequence[int] | None:
    """Return the inner chunk shape of shards, of which chunks are multiples; None if invalid."""
    for codec in codecs if isinstance(codecs, list) else ():
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            configuration = codec.get("configuration")
            inner = configuration.get("chunk_shape") if isinstance(configuration, dict) else None
            return inner if _is_valid(inner) else None
    return ()


def _axis(axis: Any) -> Any:
    """Return the sizes of chunks along an axis of a rectilinear grid as they are read."""
    if not isinstance(axis, list):
        return axis
    return [
        [_edge(item[0]), item[1]] if isinstance(item, list) and len(item) == 2 else _edge(item)
        for item in axis
    ]


def _edge(size: Any) -> Any:
    if size is True or (isinstance(size, float) and size >= 1 and size.is_integer()):
        return int(size)
    return size


def _is_same(read: Any, stored: Any) -> bool:
    """Whether sizes are read as they are stored, down to their types."""
    if isinstance(read, list) and isinstance(stored, list):
        return all(map(_is_same, read, stored))
    return type(read) is type(stored) and bool(read == stored)
