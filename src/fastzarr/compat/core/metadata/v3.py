"""``zarr.core.metadata.v3``: the metadata of arrays of format 3.

Rules of this file:

* Metadata is made either of its members, which are checked as zarr-python does, or of a layout of
  fastzarr, which has been checked already. Each is converted to the other where it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, TypeGuard

from fastzarr.compat.abc.codec import ArrayBytesCodec
from fastzarr.compat.codecs.bridge import outer_codec, parse_codecs
from fastzarr.compat.codecs.sharding import ShardingCodec
from fastzarr.compat.core import chunk_key_encodings
from fastzarr.compat.core._json import json_to_buffer
from fastzarr.compat.core.array_spec import ArrayConfig, ArraySpec
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.chunk_key_encodings import parse_chunk_key_encoding
from fastzarr.compat.core.common import (
    ZARR_JSON,
    parse_shapelike,
    validate_rectilinear_edges,
)
from fastzarr.compat.core.config import config
from fastzarr.compat.core.dtype import VariableLengthUTF8, from_inner, get_data_type_from_json
from fastzarr.compat.core.dtype.common import check_dtype_spec_v3
from fastzarr.compat.core.metadata._grids import (
    ChunkGridMetadata,
    OtherChunkGridMetadata,
    RectilinearChunkGridMetadata,
    RectilinearChunkGridMetadataJSON,
    RectilinearChunksDisabledError,
    RectilinearDimSpecJSON,
    RegularChunkGridMetadata,
    RegularChunkGridMetadataJSON,
    check_rectilinear_chunks_enabled,
    create_chunk_grid_metadata,
    grid_of,
    parse_chunk_grid,
)
from fastzarr.compat.core.metadata.common import Lazy, parse_attributes
from fastzarr.compat.core.metadata.repair import mark_repaired, repair_array_document
from fastzarr.errors import MetadataValidationError, NodeTypeValidationError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from fastzarr.compat.core.buffer import Buffer, BufferPrototype
    from fastzarr.compat.core.chunk_key_encodings import ChunkKeyEncoding
    from fastzarr.compat.core.dtype import ZDType
    from fastzarr.metadata.layout import Layout

__all__ = [
    "ARRAY_METADATA_KEYS",
    "AllowedExtraField",
    "ArrayMetadataJSON_V3",
    "ArrayV3Metadata",
    "ChunkGridMetadata",
    "OtherChunkGridMetadata",
    "RectilinearChunkGridMetadata",
    "RectilinearChunkGridMetadataJSON",
    "RectilinearChunksDisabledError",
    "RectilinearDimSpecJSON",
    "RegularChunkGridMetadata",
    "RegularChunkGridMetadataJSON",
    "check_allowed_extra_field",
    "check_storable",
    "create_chunk_grid_metadata",
    "parse_chunk_grid",
    "parse_codecs",
    "parse_dimension_names",
    "parse_extra_fields",
    "parse_node_type_array",
    "parse_shapelike",
    "parse_storage_transformers",
    "parse_zarr_format",
    "validate_array_bytes_codec",
    "validate_codecs",
]


def parse_zarr_format(data: object) -> Literal[3]:
    """Return the number of the format; raise MetadataValidationError unless it is 3.

    >>> parse_zarr_format(3)
    3
    """
    if type(data) is not int or data != 3:
        msg = f"Failed to parse input for 'zarr_format': expected Literal[3], got {data!r}."
        raise MetadataValidationError(msg)
    return 3


def parse_node_type_array(data: object) -> Literal["array"]:
    """Return the type of a node; raise NodeTypeValidationError unless it is an array.

    >>> parse_node_type_array("array")
    'array'
    """
    if data != "array":
        msg = f"Failed to parse input for 'node_type': expected Literal['array'], got {data!r}."
        raise NodeTypeValidationError(msg)
    return "array"


def validate_array_bytes_codec(codecs: tuple[Any, ...]) -> Any:
    """Return the one codec that encodes arrays as bytes; raise ValueError for none or several.

    >>> validate_array_bytes_codec(parse_codecs(["bytes", "crc32c"])).to_dict()
    {'name': 'bytes'}
    """
    found = [codec for codec in codecs if isinstance(codec, ArrayBytesCodec)]
    if not found:
        msg = "At least one ArrayBytesCodec is required."
        raise ValueError(msg)
    if len(found) > 1:
        msg = "Only one ArrayBytesCodec is allowed."
        raise ValueError(msg)
    return found[0]


def validate_codecs(codecs: tuple[Any, ...], dtype: Any) -> None:
    """Raise ValueError unless codecs, also those in shards, can encode a data type."""
    serializer = validate_array_bytes_codec(codecs)
    while isinstance(serializer, ShardingCodec):
        serializer = validate_array_bytes_codec(serializer.codecs)
    name = type(serializer).__name__
    if isinstance(dtype, VariableLengthUTF8) and name != "VLenUTF8Codec":
        msg = f"For string dtype, ArrayBytesCodec must be `VLenUTF8Codec`, got `{name}`."
        raise ValueError(msg)


def parse_dimension_names(data: object) -> tuple[str | None, ...] | None:
    """Return the names of dimensions, of which some or all may be None.

    >>> parse_dimension_names(["x", None])
    ('x', None)
    """
    if data is None:
        return None
    if isinstance(data, Iterable):
        names = tuple(data)
        if all(isinstance(name, str | None) for name in names):
            return names
    msg = f"Expected either None or an iterable of str, got {type(data)}"
    raise TypeError(msg)


def parse_storage_transformers(data: object) -> tuple[dict[str, Any], ...]:
    """Return storage transformers; None is none of them.

    >>> parse_storage_transformers(None)
    ()
    """
    if data is None:
        return ()
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return tuple(data)
    msg = f"Invalid storage_transformers. Expected an iterable of dicts. Got {type(data)} instead."
    raise TypeError(msg)


AllowedExtraField = Mapping[str, Any]


def check_allowed_extra_field(data: object) -> TypeGuard[AllowedExtraField]:
    """Whether a member of a document that is not known may be ignored.

    >>> check_allowed_extra_field({"must_understand": False})
    True
    """
    return isinstance(data, Mapping) and data.get("must_understand") is False


def parse_extra_fields(
    data: Mapping[str, Any] | None, *, reserved_keys: AbstractSet[str], node_type: str
) -> dict[str, Any]:
    """Return members of a document that are not known, and may be ignored.

    Raise ValueError for the name of a known member, and MetadataValidationError for a member that
    must be understood.
    """
    data = {} if data is None else data
    known = sorted(reserved_keys & set(data))
    if known:
        msg = (
            f"Invalid extra fields. The following keys: {known} are invalid because they collide "
            f"with keys reserved for use by the {node_type} metadata document."
        )
        raise ValueError(msg)
    invalid = sorted(key for key, value in data.items() if not check_allowed_extra_field(value))
    if invalid:
        msg = (
            f"Got Zarr V3 {node_type} metadata with the following disallowed extra fields: "
            f"{invalid}. Extra fields are not allowed unless they are an object with a "
            '"must_understand" key which is assigned the value `false`.'
        )
        raise MetadataValidationError(msg)
    return dict(data)


def check_storable(metadata: ArrayV3Metadata) -> None:
    """Raise RectilinearChunksDisabledError if metadata may not be stored with these settings."""
    if isinstance(metadata.chunk_grid, RectilinearChunkGridMetadata):
        check_rectilinear_chunks_enabled()


class ArrayMetadataJSON_V3(TypedDict, total=False):  # noqa: N801  (zarr-python's name)
    """The document of an array of format 3."""

    zarr_format: Literal[3]
    node_type: Literal["array"]
    data_type: Any
    shape: tuple[int, ...]
    chunk_grid: Any
    chunk_key_encoding: Any
    fill_value: Any
    codecs: tuple[Any, ...]
    attributes: Mapping[str, Any]
    storage_transformers: tuple[Any, ...]
    dimension_names: tuple[str | None, ...]


ARRAY_METADATA_KEYS: Final[set[str]] = set(ArrayMetadataJSON_V3.__annotations__)


def _codecs_of(layout: Layout) -> tuple[Any, ...]:
    return tuple(outer_codec(codec) for codec in layout.codecs)


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayV3Metadata(Lazy):
    """The metadata of an array of format 3.

    >>> ArrayV3Metadata.from_dict({
    ...     "zarr_format": 3, "node_type": "array", "shape": [3], "data_type": "int8",
    ...     "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
    ...     "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": ["bytes"],
    ... }).chunks
    (2,)
    """

    LATE = {"chunk_grid": grid_of, "codecs": _codecs_of}  # noqa: RUF012  (Mapping in the base)

    shape: tuple[int, ...]
    data_type: ZDType[Any, Any]
    chunk_grid: Any
    chunk_key_encoding: ChunkKeyEncoding
    fill_value: Any
    codecs: tuple[Any, ...]
    attributes: dict[str, Any]
    dimension_names: tuple[str | None, ...] | None
    zarr_format: Literal[3] = field(default=3, init=False)
    node_type: Literal["array"] = field(default="array", init=False)
    storage_transformers: tuple[dict[str, Any], ...]
    extra_fields: dict[str, Any]

    def __init__(  # noqa: PLR0913  (signature of zarr-python)
        self,
        *,
        shape: Any,
        data_type: Any,
        chunk_grid: Any,
        chunk_key_encoding: Any,
        fill_value: object,
        codecs: Any,
        attributes: Any,
        dimension_names: Any,
        storage_transformers: Any = None,
        extra_fields: Any = None,
    ) -> None:
        """Initialise with members, which may be as in a document."""
        members = {
            "shape": parse_shapelike(shape),
            "data_type": data_type,
            "chunk_grid": parse_chunk_grid(chunk_grid),
            "chunk_key_encoding": parse_chunk_key_encoding(chunk_key_encoding),
            "dimension_names": parse_dimension_names(dimension_names),
            "fill_value": data_type.cast_scalar(fill_value),
            "attributes": parse_attributes(attributes),
            "storage_transformers": parse_storage_transformers(storage_transformers),
            "extra_fields": parse_extra_fields(
                extra_fields, reserved_keys=ARRAY_METADATA_KEYS, node_type="array"
            ),
        }
        vars(self).update(members, codecs=parse_codecs(codecs))
        given = self.codecs
        vars(self)["codecs"] = self._evolved()
        validate_codecs(given, data_type)
        self._validate_metadata()

    def _evolved(self) -> tuple[Any, ...]:
        spec = ArraySpec(
            shape=self.shape,
            dtype=self.data_type,
            fill_value=self.fill_value,
            config=ArrayConfig.from_dict({}),
            prototype=default_buffer_prototype(),
        )
        evolved = []
        for codec in self.codecs:
            found = codec.evolve_from_array_spec(spec)
            found.validate(shape=spec.shape, dtype=spec.dtype, chunk_grid=self.chunk_grid)
            evolved.append(found)
            spec = found.resolve_metadata(spec)
        return tuple(evolved)

    def _validate_metadata(self) -> None:
        if len(self.shape) != self.chunk_grid.ndim:
            msg = "`chunk_grid` and `shape` need to have the same number of dimensions."
            raise ValueError(msg)
        if isinstance(self.chunk_grid, RectilinearChunkGridMetadata):
            validate_rectilinear_edges(self.chunk_grid.chunk_shapes, self.shape)
        if self.dimension_names is not None and len(self.shape) != len(self.dimension_names):
            msg = "`dimension_names` and `shape` need to have the same number of dimensions."
            raise ValueError(msg)
        if self.fill_value is None:
            msg = "`fill_value` is required."
            raise ValueError(msg)
        for codec in self.codecs:
            codec.validate(shape=self.shape, dtype=self.data_type, chunk_grid=self.chunk_grid)

    @classmethod
    def from_layout(cls, layout: Layout) -> Self:
        """Return the metadata that a layout of fastzarr describes."""
        made = object.__new__(cls)
        extra = dict(layout.extra)
        transformers = tuple(extra.pop("storage_transformers", ()))
        vars(made).update(
            shape=layout.shape,
            data_type=from_inner(layout.dtype),
            chunk_key_encoding=chunk_key_encodings.from_inner(layout.keys),
            fill_value=layout.fill,
            attributes=dict(layout.attributes),
            dimension_names=layout.dimension_names,
            storage_transformers=transformers,
            extra_fields=extra,
            _layout=layout,
        )
        return made

    @property
    def dtype(self) -> ZDType[Any, Any]:
        """The data type."""
        return self.data_type

    @property
    def sharding_codec(self) -> Any:
        """The codec of shards, or None if the array is not sharded."""
        codecs = self.codecs
        return codecs[0] if len(codecs) == 1 and isinstance(codecs[0], ShardingCodec) else None

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk, in shards that of an inner chunk."""
        sharding = self.sharding_codec
        if sharding is not None:
            shape: tuple[int, ...] = sharding.chunk_shape
            return shape
        return self._regular("chunks", "read_chunk_sizes")

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, or None if the array is not sharded."""
        if self.sharding_codec is None:
            return None
        return self._regular("shards", "write_chunk_sizes")

    def _regular(self, name: str, other: str) -> tuple[int, ...]:
        if not isinstance(self.chunk_grid, RegularChunkGridMetadata):
            msg = (
                f"The `{name}` attribute is only defined for arrays using regular chunk grids. "
                f"This array has a rectilinear chunk grid. Use `{other}` for general access."
            )
            raise NotImplementedError(msg)
        return self.chunk_grid.chunk_shape

    @property
    def inner_codecs(self) -> tuple[Any, ...]:
        """The codecs of a chunk, in shards those of an inner chunk."""
        sharding = self.sharding_codec
        codecs: tuple[Any, ...] = self.codecs if sharding is None else sharding.codecs
        return codecs

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at these coordinates, relative to the array's path."""
        return self.chunk_key_encoding.encode_chunk_key(chunk_coords)

    def to_buffer_dict(self, prototype: BufferPrototype) -> dict[str, Buffer]:
        """Return the document by its name, as a buffer."""
        check_storable(self)
        indent = config.get("json_indent")
        return {ZARR_JSON: json_to_buffer(self.to_dict(), prototype=prototype, indent=indent)}

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, path: str | None = None) -> Self:
        """Return the metadata of a document; errors name ``path``."""
        grid = data.get("chunk_grid")
        if isinstance(grid, Mapping) and grid.get("name") == "rectilinear":
            try:
                check_rectilinear_chunks_enabled()
            except ValueError as error:
                if path is not None:
                    error.add_note(f"Array {path!r}: nothing was read.")
                raise
        repaired, readings = repair_array_document(data, 3)
        members = dict(repaired)
        parse_zarr_format(members.pop("zarr_format"))
        parse_node_type_array(members.pop("node_type"))
        found = members.pop("data_type")
        if not check_dtype_spec_v3(found):
            msg = f"Invalid data_type: {found!r}"
            raise ValueError(msg)
        dtype = get_data_type_from_json(found, zarr_format=3)
        fill = members.pop("fill_value")
        try:
            fill_value = dtype.from_json_scalar(fill, zarr_format=3)
        except ValueError as error:
            msg = f"Invalid fill_value: {fill!r}"
            raise TypeError(msg) from error
        made = cls(
            shape=members.pop("shape"),
            data_type=dtype,
            chunk_grid=members.pop("chunk_grid"),
            chunk_key_encoding=members.pop("chunk_key_encoding"),
            fill_value=fill_value,
            codecs=members.pop("codecs"),
            attributes=members.pop("attributes", {}),
            dimension_names=members.pop("dimension_names", None),
            storage_transformers=members.pop("storage_transformers", ()),
            extra_fields=members,
        )
        return mark_repaired(made, data, readings, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the document."""
        found = super().to_dict()
        found |= found.pop("extra_fields")
        found["fill_value"] = self.data_type.to_json_scalar(self.fill_value, zarr_format=3)
        found["data_type"] = self.data_type.to_json(zarr_format=3)
        if found["dimension_names"] is None:
            del found["dimension_names"]
        return found

    def __eq__(self, other: object) -> bool:
        """Whether both have the same document."""
        if not isinstance(other, ArrayV3Metadata):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        """Return a hash of the document."""
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def update_shape(self, shape: tuple[int, ...]) -> Self:
        """Return the metadata of an array of another shape."""
        grid = self.chunk_grid
        if isinstance(grid, RectilinearChunkGridMetadata):
            grid = grid.update_shape(self.shape, shape)
        return replace(self, shape=shape, chunk_grid=grid)

    def update_attributes(self, attributes: dict[str, Any]) -> Self:
        """Return the metadata with other attributes."""
        return replace(self, attributes=attributes)
