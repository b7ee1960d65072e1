"""The metadata of chunk grids of format 3, for ``v3.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastzarr.compat.abc.metadata import Metadata
from fastzarr.compat.core.chunk_grids import FixedDimension, VaryingDimension
from fastzarr.compat.core.common import (
    compress_rle,
    expand_rle,
    parse_chunk_edge,
    parse_chunk_shape,
    parse_named_configuration,
    validate_rectilinear_kind,
)
from fastzarr.compat.core.config import config
from fastzarr.compat.core.metadata.common import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastzarr.compat.core.chunk_grids import ChunkGrid
    from fastzarr.grids.base import Grid
    from fastzarr.metadata.layout import Layout

RectilinearDimSpecJSON = int | list[int | list[int]]
RegularChunkGridMetadataJSON = RectilinearChunkGridMetadataJSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RegularChunkGridMetadata(Metadata):
    """Chunks of one shape.

    >>> RegularChunkGridMetadata(chunk_shape=[4]).to_dict()
    {'name': 'regular', 'configuration': {'chunk_shape': (4,)}}
    """

    chunk_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise an error unless all lengths are positive integers."""
        object.__setattr__(self, "chunk_shape", parse_chunk_shape(self.chunk_shape))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.chunk_shape)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for documents."""
        return {"name": "regular", "configuration": {"chunk_shape": self.chunk_shape}}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the grid of the JSON of a document."""
        _, found = parse_named_configuration(data, "regular")
        return cls(chunk_shape=found["chunk_shape"])


@dataclass(frozen=True, kw_only=True)
class RectilinearChunkGridMetadata(Metadata):
    """Chunks of any lengths along each axis.

    >>> RectilinearChunkGridMetadata(chunk_shapes=[[10, 10, 5], 4]).to_dict()["configuration"]
    {'kind': 'inline', 'chunk_shapes': ([[10, 2], 5], 4)}
    """

    chunk_shapes: tuple[int | tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Raise an error unless all lengths are positive integers."""
        object.__setattr__(self, "chunk_shapes", _validate_chunk_shapes(self.chunk_shapes))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.chunk_shapes)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for documents, with repeated lengths as pairs where that is shorter."""
        axes: list[Any] = []
        for lengths in self.chunk_shapes:
            if isinstance(lengths, int):
                axes.append(lengths)
            else:
                runs = compress_rle(lengths)
                axes.append(runs if len(runs) < len(lengths) else list(lengths))
        return {
            "name": "rectilinear",
            "configuration": {"kind": "inline", "chunk_shapes": tuple(axes)},
        }

    def update_shape(
        self,
        old_shape: tuple[int, ...],  # noqa: ARG002  (zarr-python's signature)
        new_shape: tuple[int, ...],
    ) -> RectilinearChunkGridMetadata:
        """Return the grid of the array after a resize, with one more chunk where it grew."""
        axes: list[int | tuple[int, ...]] = []
        for lengths, size in zip(self.chunk_shapes, new_shape, strict=True):
            grown = lengths
            if isinstance(lengths, tuple) and sum(lengths) < size:
                grown = (*lengths, size - sum(lengths))
            axes.append(grown)
        return RectilinearChunkGridMetadata(chunk_shapes=tuple(axes))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the grid of the JSON of a document."""
        _, found = parse_named_configuration(data, "rectilinear")
        validate_rectilinear_kind(found.get("kind"))
        axes = [
            tuple(expand_rle(lengths, axis)) if isinstance(lengths, list) else lengths
            for axis, lengths in enumerate(found["chunk_shapes"])
        ]
        return cls(chunk_shapes=tuple(axes))


@dataclass(frozen=True, kw_only=True)
class OtherChunkGridMetadata(Metadata):
    """A chunk grid that fastzarr has, and zarr-python has not."""

    grid: Grid

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.grid.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for documents."""
        return {"name": self.grid.name, "configuration": self.grid.config()}


ChunkGridMetadata = RegularChunkGridMetadata | RectilinearChunkGridMetadata


def _validate_chunk_shapes(chunk_shapes: Iterable[Any]) -> tuple[int | tuple[int, ...], ...]:
    found: list[int | tuple[int, ...]] = []
    for axis, lengths in enumerate(chunk_shapes):
        if not isinstance(lengths, list | tuple):
            found.append(parse_chunk_edge(lengths, axis))
            continue
        if not lengths:
            msg = f"Dimension {axis} has no chunk edges."
            raise ValueError(msg)
        found.append(tuple(parse_chunk_edge(length, axis) for length in lengths))
    return tuple(found)


class RectilinearChunksDisabledError(ValueError):
    """Raised for chunks of different lengths while the setting does not allow them."""


def check_rectilinear_chunks_enabled() -> None:
    """Raise RectilinearChunksDisabledError unless the setting allows chunks that differ."""
    if not config.get("array.rectilinear_chunks"):
        msg = (
            "Rectilinear chunk grids are experimental and disabled by default. Enable them with "
            "zarr.config.set({'array.rectilinear_chunks': True}), or the environment variable "
            "ZARR_ARRAY__RECTILINEAR_CHUNKS=True"
        )
        raise RectilinearChunksDisabledError(msg)


def create_chunk_grid_metadata(chunks: ChunkGrid) -> ChunkGridMetadata:
    """Return the metadata of the chunks of an array."""
    if chunks.is_regular:
        return RegularChunkGridMetadata(chunk_shape=chunks.chunk_shape)
    axes: list[int | tuple[int, ...]] = []
    for axis in chunks.dimensions:
        if isinstance(axis, FixedDimension):
            axes.append(axis.size)
        elif isinstance(axis, VaryingDimension):
            axes.append(axis.edges)
        else:
            msg = f"Unknown dimension grid type: {type(axis)}"
            raise TypeError(msg)
    return RectilinearChunkGridMetadata(chunk_shapes=tuple(axes))


def parse_chunk_grid(data: Any) -> Any:
    """Return the metadata of a grid as it is, or of the JSON of a document.

    >>> parse_chunk_grid({"name": "regular", "configuration": {"chunk_shape": [4]}}).chunk_shape
    (4,)
    """
    if isinstance(data, Metadata):
        return data
    name, _ = parse_named_configuration(data)
    if name == "regular":
        return RegularChunkGridMetadata.from_dict(data)
    if name == "rectilinear":
        return RectilinearChunkGridMetadata.from_dict(data)
    msg = f"Unknown chunk grid name: {name!r}"
    raise ValueError(msg)


def grid_of(layout: Layout) -> Any:
    """Return the metadata of the chunks of a layout of fastzarr."""
    grid = layout.irregular
    if grid is None:
        return RegularChunkGridMetadata(chunk_shape=layout.chunks)
    if grid.name == "rectilinear":
        found = plain(grid.config())
        return RectilinearChunkGridMetadata.from_dict(
            {"name": "rectilinear", "configuration": found}
        )
    return OtherChunkGridMetadata(grid=grid)
