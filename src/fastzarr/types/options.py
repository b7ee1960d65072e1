"""The keywords of the functions that create arrays, for type checkers.

Rules of this file:

* ``creating/words.py`` accepts exactly these keywords. They are divided by which functions have
  them as arguments: a name cannot be both an argument and one of the other keywords.
* The package itself imports this file for type checkers only. ``fastzarr.types`` makes the classes
  available to users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastzarr import hints
    from fastzarr.codecs.base import Codec
    from fastzarr.dtypes import DataType
    from fastzarr.grids.keys import KeyEncoding
    from fastzarr.metadata.layout import GroupLayout, Layout
    from fastzarr.stores.resolve import StoreLike

DTypeLike: TypeAlias = "npt.DTypeLike | DataType | Mapping[str, Any] | None"
"""The type of the elements: of NumPy, by its name in metadata, or as an object."""
CodecLike: TypeAlias = "Codec | hints.HasCodecConfig | hints.HasMembers | Mapping[str, Any] | str"
"""A codec: an object of this package or of numcodecs, its name, or its form in metadata."""
CodecsLike: TypeAlias = "CodecLike | Iterable[CodecLike] | None"
"""One codec, several, or none; ``"auto"`` is the default."""
KeysLike: TypeAlias = "hints.KeysForm | KeyEncoding"
"""How the keys of chunks are made."""
NodeLike: TypeAlias = "Layout | GroupLayout | Mapping[str, Any] | hints.HasMembers"
"""The metadata of a node."""
Names: TypeAlias = Iterable[str | None] | None
"""The names of dimensions."""


class ArrayConfigOptions(TypedDict, total=False):
    """The settings of a handle: the argument ``config``.

    >>> import fastzarr
    >>> settings: ArrayConfigOptions = {"write_empty_chunks": True}
    >>> fastzarr.zeros(3, config=settings).config.write_empty_chunks
    True
    """

    order: hints.Order
    write_empty_chunks: bool
    read_missing_chunks: bool
    rectilinear_chunks: bool
    sharding_coalesce_max_bytes: int
    sharding_coalesce_max_gap_bytes: int


ConfigLike: TypeAlias = "ArrayConfigOptions | hints.HasMembers | None"


class _New(TypedDict, total=False):
    """Arguments of ``create_array`` alone."""

    shards: hints.ChunksLike
    compressors: CodecsLike
    serializer: CodecLike | None
    attributes: hints.Attrs | None
    chunk_key_encoding: KeysLike
    dimension_names: Names
    config: ConfigLike
    write_data: bool


class _Old(TypedDict, total=False):
    """Arguments of ``create`` and ``open_array``, which have them from zarr-python 2."""

    compressor: CodecsLike
    object_codec: CodecLike | None
    chunk_store: StoreLike
    synchronizer: hints.Synchronizer | None
    cache_attrs: bool | None
    cache_metadata: bool | None
    write_empty_chunks: bool | None


class _Shared(TypedDict, total=False):
    """Arguments of all three."""

    chunks: hints.ChunksLike
    filters: CodecsLike
    order: hints.Order | None


class _Other(TypedDict, total=False):
    """Keywords that none of the three has as an argument; the last ones are those of h5py."""

    codecs: Iterable[CodecLike] | None
    chunk_shape: hints.ChunksLike
    progress: hints.Progress
    meta_array: Any
    storage_transformers: Any
    compression: str | int | None
    compression_opts: Any
    fillvalue: Any
    fletcher32: bool | None
    shuffle: bool | None
    maxshape: Any
    fill_time: Any
    rdcc_nbytes: Any
    rdcc_nslots: Any
    rdcc_w0: Any
    track_order: Any
    track_times: Any


class CreateArrayOptions(_Old, _Other, total=False):
    """The other keywords of ``create_array`` and ``from_array``."""

    dimension_separator: hints.Separator | None
    read_only: bool | None
    zarr_version: hints.ZarrFormat | None
    partial_decompress: bool | None
    path: str | None
    mode: hints.Mode | None


class CreateOptions(_New, _Other, total=False):
    """The other keywords of ``create``."""

    data: hints.ArrayLike | None
    zarr_format: hints.ZarrFormat | None
    zarr_version: hints.ZarrFormat | None
    storage_options: hints.StorageOptions | None
    partial_decompress: bool | None
    name: str | None
    mode: hints.Mode | None


class InitOptions(CreateOptions, total=False):
    """The other keywords of ``init_array``."""

    compressor: CodecsLike
    fill_value: Any
    order: hints.Order | None
    synchronizer: hints.Synchronizer | None
    overwrite: bool
    path: str | None
    chunk_store: StoreLike
    filters: CodecsLike
    cache_metadata: bool | None
    cache_attrs: bool | None
    read_only: bool | None
    object_codec: CodecLike | None
    dimension_separator: hints.Separator | None
    write_empty_chunks: bool | None


class OpenArrayOptions(_New, _Other, total=False):
    """The other keywords of ``open_array``."""

    data: hints.ArrayLike | None
    dimension_separator: hints.Separator | None
    read_only: bool | None
    overwrite: bool
    allow_pickle: bool


class LayoutOptions(_New, _Old, _Shared, _Other, total=False):
    """The keywords for a new array, without its shape, data type, data and fill value."""

    dimension_separator: hints.Separator | None
    read_only: bool | None
    overwrite: bool
    zarr_format: hints.ZarrFormat | None
    zarr_version: hints.ZarrFormat | None
    storage_options: hints.StorageOptions | None
    partial_decompress: bool | None


class FilledOptions(LayoutOptions, total=False):
    """The keywords for a new array of one value in a group."""

    dtype: DTypeLike


class LikeOptions(FilledOptions, total=False):
    """The keywords for a new array in a group that is like another."""

    shape: hints.ShapeLike | None


class DatasetOptions(LayoutOptions, total=False):
    """The other keywords of ``Group.create_dataset``."""

    fill_value: Any


class RequireOptions(DatasetOptions, total=False):
    """The other keywords of ``Group.require_array``."""

    data: hints.ArrayLike | None


class EmptyOptions(FilledOptions, total=False):
    """The keywords for a new array in a group of which no chunk is written."""

    fill_value: Any


class ArrayOptions(LikeOptions, total=False):
    """The keywords for a new array in a group.

    >>> import fastzarr
    >>> options: ArrayOptions = {"chunks": 2, "dtype": "i4"}
    >>> fastzarr.group().create_array("x", shape=3, **options).chunks
    (2,)
    """

    data: hints.ArrayLike | None
    fill_value: Any


class DataOptions(LikeOptions, total=False):
    """The keywords for a new array in a group whose data is given."""

    fill_value: Any


class _Place(TypedDict, total=False):
    store: StoreLike
    path: str | None
    name: str | None
    mode: hints.Mode | None


class PlacedFilledOptions(FilledOptions, _Place, total=False):
    """The keywords of ``zeros``, ``ones`` and ``full``."""


class PlacedEmptyOptions(FilledOptions, _Place, total=False):
    """The keywords of ``empty``."""

    fill_value: Any


class PlacedLikeOptions(LikeOptions, _Place, total=False):
    """The keywords of ``zeros_like``, ``ones_like`` and ``full_like``."""


class PlacedOptions(DataOptions, _Place, total=False):
    """The keywords of ``array`` and ``empty_like``."""


class OpenLikeOptions(DataOptions, total=False):
    """The keywords of ``open_like``."""

    store: StoreLike
    name: str | None
    mode: hints.Mode | None
    allow_pickle: bool


class SaveOptions(_New, _Old, _Shared, _Other, total=False):
    """The other keywords of ``save_array``."""

    dtype: DTypeLike
    fill_value: Any
    dimension_separator: hints.Separator | None
    overwrite: bool
    mode: Literal["w", "w-", "x"]


class OpenShapeOptions(OpenArrayOptions, _Old, _Shared, total=False):
    """The other keywords of ``open`` beside ``shape``, of an array."""

    dtype: DTypeLike
    fill_value: Any
    partial_decompress: bool | None


class OpenOptions(OpenShapeOptions, total=False):
    """The other keywords of ``open``, of an array or a group."""

    use_consolidated: bool | str | None


class ConsolidatedOptions(TypedDict, total=False):
    """The other keywords of ``open_consolidated``."""

    cache_attrs: bool
    synchronizer: hints.Synchronizer | None
    path: str | None
    chunk_store: StoreLike
    storage_options: hints.StorageOptions | None
    zarr_version: hints.ZarrFormat | None
    zarr_format: hints.ZarrFormat | None
    meta_array: Any
    allow_pickle: bool
