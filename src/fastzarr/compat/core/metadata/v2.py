"""``zarr.core.metadata.v2``: the metadata of arrays of format 2.

Rules of this file:

* Metadata is made either of its members, which are checked as zarr-python does, or of a layout of
  fastzarr, which has been checked already. Each is converted to the other where it is asked for.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.abc.numcodec import _is_numcodec as is_numcodec
from fastzarr.compat.core._json import json_to_buffer
from fastzarr.compat.core.array_spec import ArrayConfig, ArraySpec
from fastzarr.compat.core.chunk_grids import ChunkGrid
from fastzarr.compat.core.chunk_key_encodings import parse_separator
from fastzarr.compat.core.common import ZARRAY_JSON, ZATTRS_JSON, parse_order, parse_shapelike
from fastzarr.compat.core.config import config
from fastzarr.compat.core.dtype import from_inner, get_data_type_from_json
from fastzarr.compat.core.dtype.common import OBJECT_CODEC_IDS
from fastzarr.compat.core.metadata.common import Lazy, parse_attributes
from fastzarr.compat.core.metadata.repair import mark_repaired, repair_array_document
from fastzarr.compat.registry import get_numcodec
from fastzarr.errors import ZarrUserWarning

if TYPE_CHECKING:
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype
    from fastzarr.compat.core.common import MemoryOrder
    from fastzarr.compat.core.dtype import ZDType
    from fastzarr.metadata.layout import Layout


class ArrayV2MetadataDict(TypedDict):
    """The documents of an array of format 2."""

    zarr_format: Literal[2]
    attributes: dict[str, Any]


CompressorLikev2 = Any


def _filters_of(layout: Layout) -> tuple[Any, ...] | None:
    return layout.filters or None


def _compressor_of(layout: Layout) -> Any:
    return layout.compressor


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayV2Metadata(Lazy):
    """The metadata of an array of format 2.

    >>> ArrayV2Metadata.from_dict({
    ...     "zarr_format": 2, "shape": [3], "chunks": [2], "dtype": "|i1", "fill_value": 0,
    ...     "order": "C", "filters": None, "compressor": None,
    ... }).chunks
    (2,)
    """

    LATE = {"filters": _filters_of, "compressor": _compressor_of}  # noqa: RUF012  (as in the base)

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: ZDType[Any, Any]
    fill_value: Any
    order: MemoryOrder
    filters: tuple[Any, ...] | None
    dimension_separator: Literal[".", "/"]
    compressor: Any
    attributes: dict[str, Any]
    zarr_format: Literal[2] = field(init=False, default=2)

    def __init__(  # noqa: PLR0913  (signature of zarr-python)
        self,
        *,
        shape: Any,
        dtype: Any,
        chunks: Any,
        fill_value: Any,
        order: Any,
        dimension_separator: Any = ".",
        compressor: Any = None,
        filters: Any = None,
        attributes: Any = None,
    ) -> None:
        """Initialise with members, of which codecs may be as in a document."""
        size = parse_shapelike(shape)
        vars(self).update(
            shape=size,
            dtype=dtype,
            chunks=parse_chunks(chunks, size),
            compressor=parse_compressor(compressor),
            order=parse_order(order),
            dimension_separator=parse_separator(dimension_separator),
            filters=parse_filters(filters),
            fill_value=None if fill_value is None else dtype.cast_scalar(fill_value),
            attributes=parse_attributes(attributes),
        )

    @classmethod
    def from_layout(cls, layout: Layout) -> Self:
        """Return the metadata that a layout of fastzarr describes."""
        made = object.__new__(cls)
        vars(made).update(
            shape=layout.shape,
            dtype=from_inner(layout.dtype),
            chunks=layout.chunks,
            order=layout.order or "C",
            dimension_separator=layout.keys.separator,
            fill_value=layout.fill,
            attributes=dict(layout.attributes),
            _layout=layout,
        )
        return made

    @cached
    def chunk_grid(self) -> ChunkGrid:
        """The grid of the chunks; deprecated."""
        msg = (
            "ArrayV2Metadata.chunk_grid is deprecated. Use ChunkGrid.from_metadata(metadata) "
            "instead."
        )
        warnings.warn(msg, DeprecationWarning, stacklevel=3)
        return ChunkGrid.from_metadata(self)

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard: None, as format 2 has no shards."""
        return None

    def to_buffer_dict(self, prototype: BufferPrototype) -> dict[str, Buffer]:
        """Return the documents by their names, as buffers."""
        document = self.to_dict()
        attributes = document.pop("attributes", {})
        indent = config.get("json_indent")
        return {
            ZARRAY_JSON: json_to_buffer(document, prototype=prototype, indent=indent),
            ZATTRS_JSON: json_to_buffer(attributes, prototype=prototype, indent=indent),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, path: str | None = None) -> Self:
        """Return the metadata of a document that contains the attributes, too."""
        repaired, readings = repair_array_document(data, 2)
        members = dict(repaired)
        parse_zarr_format(members.pop("zarr_format"))
        filters, compressor = members.get("filters"), members.get("compressor")
        objects = get_object_codec_id((*(filters or ()), compressor))
        spec = {"name": members["dtype"], "object_codec_id": objects}
        dtype = members["dtype"] = get_data_type_from_json(spec, zarr_format=2)
        fill = members.get("fill_value")
        if fill is not None:
            members["fill_value"] = dtype.from_json_scalar(fill, zarr_format=2)
        if isinstance(filters, Sequence) and not isinstance(filters, str | bytes) and not filters:
            msg = (
                "Found an empty list of filters in the array metadata document. This is contrary "
                "to the Zarr V2 specification: no filters are null"
            )
            warnings.warn(msg, ZarrUserWarning, stacklevel=2)
            members["filters"] = None
        known = cls.__dataclass_fields__
        made = cls(**{name: value for name, value in members.items() if name in known})
        return mark_repaired(made, data, readings, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the document, with the attributes in it."""
        found = super().to_dict()
        if is_numcodec(found["compressor"]):
            configuration = found["compressor"].get_config()
            if configuration["id"] == "zstd" and not configuration.get("checksum", False):
                # Older versions of numcodecs do not know the member.
                configuration.pop("checksum", None)
            found["compressor"] = configuration
        if found["filters"] is not None:
            found["filters"] = [
                each.get_config() if is_numcodec(each) else each for each in found["filters"]
            ]
        if self.fill_value is not None:
            found["fill_value"] = self.dtype.to_json_scalar(self.fill_value, zarr_format=2)
        found["dtype"] = self.dtype.to_json(zarr_format=2)["name"]
        return found

    def __eq__(self, other: object) -> bool:
        """Whether both have the same document."""
        if not isinstance(other, ArrayV2Metadata):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        """Return a hash of the document."""
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def get_chunk_spec(
        self, _chunk_coords: tuple[int, ...], array_config: ArrayConfig, prototype: BufferPrototype
    ) -> ArraySpec:
        """Return what a codec is told of a chunk."""
        return ArraySpec(self.chunks, self.dtype, self.fill_value, array_config, prototype)

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""
        return self.dimension_separator.join(map(str, chunk_coords)) or "0"

    def update_shape(self, shape: tuple[int, ...]) -> Self:
        """Return the metadata of an array of another shape."""
        return replace(self, shape=shape)

    def update_attributes(self, attributes: dict[str, Any]) -> Self:
        """Return the metadata with other attributes."""
        return replace(self, attributes=attributes)


def parse_dtype(data: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of a ``dtype`` in a document.

    >>> parse_dtype([["a", "<i2"]])
    dtype([('a', '<i2')])
    """
    return np.dtype([tuple(each) for each in data] if isinstance(data, list) else data)


def parse_zarr_format(data: object) -> Literal[2]:
    """Return the number of the format; raise ValueError unless it is 2.

    >>> parse_zarr_format(2)
    2
    """
    if type(data) is not int or data != 2:
        msg = f"Failed to parse input for 'zarr_format': expected Literal[2], got {data!r}."
        raise ValueError(msg)
    return 2


_KINDS = "a numcodecs.abc.Codec or a dict representation of numcodecs.abc.Codec"


def parse_filters(data: object) -> tuple[Any, ...] | None:
    """Return filters as objects of numcodecs, or None if there are none.

    >>> parse_filters([{"id": "zlib", "level": 1}])
    (Zlib(level=1),)
    """
    if data is None:
        return None
    if is_numcodec(data):
        return (data,)
    if not isinstance(data, Iterable):
        msg = f"Invalid filters. Expected None, an iterable of {_KINDS}. Got {type(data)} instead."
        raise TypeError(msg)
    found = []
    for index, item in enumerate(data):
        if not is_numcodec(item) and not isinstance(item, dict):
            msg = f"Invalid filter at index {index}. Expected {_KINDS}. Got {type(item)} instead."
            raise TypeError(msg)
        found.append(get_numcodec(item) if isinstance(item, dict) else item)
    return tuple(found) or None


def parse_compressor(data: object) -> Any:
    """Return a compressor as an object of numcodecs, or None if there is none.

    >>> parse_compressor({"id": "zlib", "level": 1})
    Zlib(level=1)
    """
    if data is None or is_numcodec(data):
        return data
    if isinstance(data, dict):
        return get_numcodec(data)
    msg = (
        "Invalid compressor. Expected None, a numcodecs.abc.Codec, or a dict representation of a "
        f"numcodecs.abc.Codec. Got {type(data)} instead."
    )
    raise ValueError(msg)


def parse_chunks(chunks: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a chunk shape; raise ValueError unless it has as many axes as the array.

    >>> parse_chunks([2, 3], (4, 5))
    (2, 3)
    """
    found = parse_shapelike(chunks)
    if len(found) != len(shape):
        msg = (
            "The `shape` and `chunks` attributes must have the same length. `chunks` has length "
            f"{len(found)}, but `shape` has length {len(shape)}."
        )
        raise ValueError(msg)
    return found


def get_object_codec_id(maybe_object_codecs: Sequence[Any]) -> str | None:
    """Return the id of the first codec in documents that encodes objects, or None.

    >>> get_object_codec_id([None, {"id": "vlen-utf8"}])
    'vlen-utf8'
    """
    for item in maybe_object_codecs:
        if isinstance(item, dict) and item.get("id") in OBJECT_CODEC_IDS:
            found: str = item["id"]
            return found
    return None
