"""The functions that create arrays: ``create_array``, ``create``, ``zeros``, ``array`` and others.

Rules of this file:

* It defines the signatures: the union of those of zarr-python 2 and 3, positional as in 2. Keywords
  are interpreted in ``creating/words.py``, and nodes are created in ``nodes/building.py``.
* An unspecified format is that of the parent group, else 2 if a keyword is specific to format 2,
  else the setting ``default_zarr_format``, which is 3.
* The functions that open and save are re-exported, so that all are available in one module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from fastzarr.api.consolidate import consolidate_metadata, open_consolidated
from fastzarr.api.open import create_group, group, open, open_array, open_group
from fastzarr.api.save import load, save, save_array, save_group
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.creating.like import copy_words, emptied, filled, like_words
from fastzarr.creating.words import HANDLE_WORDS, ArraySpec, handle_of
from fastzarr.metadata.formats import same_format
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import build_array, groups_above
from fastzarr.nodes.held import unheld
from fastzarr.nodes.tree import tree
from fastzarr.stores.resolve import as_store_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr import hints
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.group import Group
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types import options
    from fastzarr.types.options import CodecLike, CodecsLike, DTypeLike

__all__ = [
    "array",
    "consolidate_metadata",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "empty",
    "empty_like",
    "from_array",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_like",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]

_PLACE_WORDS = ("store", "path", "name", "mode", *HANDLE_WORDS)


def create_array(  # noqa: PLR0913  (a public signature)
    store: StoreLike = None,
    *,
    name: str | None = None,
    shape: hints.ShapeLike | None = None,
    dtype: DTypeLike = None,
    data: hints.ArrayLike | None = None,
    chunks: hints.ChunksLike = NOT_GIVEN,
    shards: hints.ChunksLike = None,
    filters: CodecsLike = "auto",
    compressors: CodecsLike = "auto",
    serializer: CodecLike | None = "auto",
    fill_value: Any = NOT_GIVEN,
    order: hints.Order | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    attributes: hints.Attrs | None = None,
    chunk_key_encoding: options.KeysLike = None,
    dimension_names: options.Names = None,
    storage_options: hints.StorageOptions | None = None,
    overwrite: bool = False,
    config: options.ConfigLike = None,
    write_data: bool = True,
    **kwargs: Unpack[options.CreateArrayOptions],
) -> Array:
    """Create an array in a store, at the path ``name``.

    ``shape`` and ``dtype`` default to those of ``data``; without ``data``, ``shape`` is required.
    ``chunks`` is the shape of the unit that can be read separately. By default, and with None, True
    or ``"auto"``, a shape of about 1 MiB is chosen; False is one chunk for the whole array; in a
    sequence, None or -1 is the whole axis. ``shards`` is the shape of a stored object of many
    chunks, a multiple of ``chunks``, or ``"auto"``. Codecs are objects of this package or of
    numcodecs, names, or mappings as in metadata; ``compressors=None`` disables compression.
    ``fill_value`` is the value of elements that were never written, by default zero or its
    equivalent. Keywords of zarr-python 2 such as ``compressor=``, ``object_codec=`` and
    ``dimension_separator=`` are accepted too; they imply format 2 if neither ``zarr_format`` nor a
    parent group determines the format. So are those of h5py, such as ``compression=``,
    ``fillvalue=`` and ``maxshape=``.

    With ``progress=True``, a bar shows how much of ``data`` is written (that of tqdm or rich if one
    is installed). A callable is called with the number of bytes written and the total instead, once
    at the start and after each piece of about 64 MiB.

    Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is already a node at the path
    and ``overwrite`` is False, ``ContainsFilesError`` if files that are not part of a Zarr
    hierarchy would be deleted, and ``MetadataError``, naming the argument, for an invalid argument.

    >>> import fastzarr as zarr
    >>> z = zarr.create_array({}, name="a", shape=(100, 100), chunks=(10, -1), dtype="f4")
    >>> z.chunks, z.path
    ((10, 100), 'a')
    """
    words = {
        "shape": shape,
        "dtype": dtype,
        "data": data,
        "chunks": chunks,
        "shards": shards,
        "filters": filters,
        "compressors": compressors,
        "serializer": serializer,
        "fill_value": fill_value,
        "order": order,
        "zarr_format": zarr_format,
        "attributes": attributes,
        "chunk_key_encoding": chunk_key_encoding,
        "dimension_names": dimension_names,
        "storage_options": storage_options,
        "overwrite": overwrite,
        "config": config,
        "write_data": write_data,
    }
    return _create("create_array", {"store": store, "name": name, **words}, kwargs)


def create(  # noqa: PLR0913, PLR0917  (a public signature)
    shape: hints.ShapeLike | None = None,
    chunks: hints.ChunksLike = NOT_GIVEN,
    dtype: DTypeLike = None,
    compressor: CodecsLike = NOT_GIVEN,
    fill_value: Any = NOT_GIVEN,
    order: hints.Order | None = None,
    store: StoreLike = None,
    synchronizer: hints.Synchronizer | None = None,
    overwrite: bool = False,
    path: str | None = None,
    chunk_store: StoreLike = None,
    filters: CodecsLike = NOT_GIVEN,
    cache_metadata: bool | None = None,
    cache_attrs: bool | None = None,
    read_only: bool | None = None,
    object_codec: CodecLike | None = None,
    dimension_separator: hints.Separator | None = None,
    write_empty_chunks: bool | None = None,
    **kwargs: Unpack[options.CreateOptions],
) -> Array:
    """Create an array, in memory unless a ``store`` is passed.

    The other keywords are those of ``create_array``; ``codecs=`` is the whole chain of codecs.

    >>> import fastzarr as zarr
    >>> zarr.create((4, 4), chunks=2, dtype="i4", fill_value=7)[0]
    array([7, 7, 7, 7], dtype=int32)
    """
    words = {
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype,
        "compressor": compressor,
        "fill_value": fill_value,
        "order": order,
        "store": store,
        "synchronizer": synchronizer,
        "overwrite": overwrite,
        "path": path,
        "chunk_store": chunk_store,
        "filters": filters,
        "cache_metadata": cache_metadata,
        "cache_attrs": cache_attrs,
        "read_only": read_only,
        "object_codec": object_codec,
        "dimension_separator": dimension_separator,
        "write_empty_chunks": write_empty_chunks,
    }
    return _create("create", words, kwargs)


def from_array(  # noqa: PLR0913  (a public signature)
    store: StoreLike = None,
    *,
    data: hints.ArrayLike,
    write_data: bool = True,
    name: str | None = None,
    chunks: hints.ChunksLike | Literal["keep"] = "keep",
    shards: hints.ChunksLike | Literal["keep"] = "keep",
    filters: CodecsLike = "keep",
    compressors: CodecsLike = "keep",
    serializer: CodecLike | None = "keep",
    fill_value: Any = NOT_GIVEN,
    order: hints.Order | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    attributes: hints.Attrs | None = None,
    chunk_key_encoding: options.KeysLike = None,
    dimension_names: options.Names = None,
    storage_options: hints.StorageOptions | None = None,
    overwrite: bool = False,
    config: options.ConfigLike = None,
    **kwargs: Unpack[options.CreateArrayOptions],
) -> Array:
    """Create an array from another array of any library, and copy its data.

    ``"keep"`` means the value of the other array if it is an array of this package (for codecs, if
    it also has the same format), and ``"auto"`` otherwise. The data is copied in pieces of about
    64 MiB, or not at all with ``write_data=False``. Other keywords, such as ``progress=``, are
    those of ``create_array``.

    >>> import fastzarr as zarr
    >>> z = zarr.create_array({}, data=[1, 2, 3, 4], chunks=2, attributes={"units": "m"})
    >>> copy = zarr.from_array({}, data=z, name="copy")
    >>> copy.chunks, dict(copy.attrs), copy[:]
    ((2,), {'units': 'm'}, array([1, 2, 3, 4]))
    """
    given = {
        "chunks": chunks,
        "shards": shards,
        "filters": filters,
        "compressors": compressors,
        "serializer": serializer,
        "fill_value": fill_value,
    }
    words = {word: value for word, value in given.items() if not _keeps(value)}
    words |= {"order": order, "chunk_key_encoding": chunk_key_encoding, "zarr_format": zarr_format}
    words |= dict(kwargs)
    place: dict[str, Any] = {"store": store, "name": name, "storage_options": storage_options}
    if isinstance(data, Array):
        layout = data.layout
        wanted = _format_of(place, words) or layout.format
        words["zarr_format"] = wanted
        if attributes is None:
            attributes = layout.attributes
        if dimension_names is None and wanted.has_dimension_names:
            dimension_names = layout.dimension_names
    described = like_words(data, words, same_format(words.get("zarr_format"), None))
    described |= {
        "data": data,
        "attributes": attributes,
        "dimension_names": dimension_names,
        "overwrite": overwrite,
        "config": config,
        "write_data": write_data,
    }
    return _create("from_array", place, described)


def array(data: hints.ArrayLike, **kwargs: Unpack[options.PlacedOptions]) -> Array:
    """Create an array with the given data, in memory unless a ``store`` is passed.

    If ``data`` has regular chunks, as arrays of h5py and dask do, they are kept. The copy of an
    array of this package has its format, unless that of a parent group differs, and its codecs.

    >>> import fastzarr as zarr
    >>> zarr.array([[1, 2], [3, 4]])[:, 1]
    array([2, 4])
    """
    place, words = _divided(kwargs)
    wanted = None
    if isinstance(data, Array):
        wanted = _format_of(place, words) or data.layout.format
    return _create("array", {"data": data}, copy_words(data, words, wanted) | place)


def empty(shape: hints.ShapeLike, **kwargs: Unpack[options.PlacedEmptyOptions]) -> Array:
    """Create an array without writing any chunk.

    It reads as the default fill value, or as None if its elements are objects.

    >>> import fastzarr as zarr
    >>> zarr.empty((2, 3), dtype="i4").nchunks_initialized
    0
    """
    return _create("empty", {"shape": shape}, emptied(kwargs))


def zeros(shape: hints.ShapeLike, **kwargs: Unpack[options.PlacedFilledOptions]) -> Array:
    """Create an array of zeros.

    >>> import fastzarr as zarr
    >>> zarr.zeros((2, 2), dtype="i4")[:]
    array([[0, 0],
           [0, 0]], dtype=int32)
    """
    return _create("zeros", {"shape": shape}, filled(kwargs, 0))


def ones(shape: hints.ShapeLike, **kwargs: Unpack[options.PlacedFilledOptions]) -> Array:
    """Create an array of ones.

    >>> import fastzarr as zarr
    >>> zarr.ones(3, dtype="i4")[:]
    array([1, 1, 1], dtype=int32)
    """
    return _create("ones", {"shape": shape}, filled(kwargs, 1))


def full(
    shape: hints.ShapeLike, fill_value: Any, **kwargs: Unpack[options.PlacedFilledOptions]
) -> Array:
    """Create an array with every element equal to ``fill_value``.

    >>> import fastzarr as zarr
    >>> zarr.full(3, 7, dtype="i4")[:]
    array([7, 7, 7], dtype=int32)
    """
    return _create("full", {"shape": shape}, filled(kwargs, fill_value))


def empty_like(a: hints.ArrayLike, **kwargs: Unpack[options.PlacedOptions]) -> Array:
    """Create an array with the shape, dtype, chunks and codecs of ``a``; no chunk is written.

    >>> import fastzarr as zarr
    >>> zarr.empty_like(zarr.zeros((2, 3), chunks=1, dtype="i4")).chunks
    (1, 1)
    """
    return _create("empty_like", {}, _like(a, kwargs))


def zeros_like(a: hints.ArrayLike, **kwargs: Unpack[options.PlacedLikeOptions]) -> Array:
    """Create an array of zeros with the shape, dtype, chunks and codecs of ``a``.

    >>> import fastzarr as zarr
    >>> zarr.zeros_like([1, 2])[:]
    array([0, 0])
    """
    return _create("zeros_like", {}, filled(_like(a, kwargs), 0))


def ones_like(a: hints.ArrayLike, **kwargs: Unpack[options.PlacedLikeOptions]) -> Array:
    """Create an array of ones with the shape, dtype, chunks and codecs of ``a``.

    >>> import fastzarr as zarr
    >>> zarr.ones_like([1, 2])[:]
    array([1, 1])
    """
    return _create("ones_like", {}, filled(_like(a, kwargs), 1))


def full_like(
    a: hints.ArrayLike,
    fill_value: Any = NOT_GIVEN,
    **kwargs: Unpack[options.PlacedLikeOptions],
) -> Array:
    """Create an array of one value with the shape, dtype, chunks and codecs of ``a``.

    ``fill_value`` defaults to the fill value of ``a``.

    >>> import fastzarr as zarr
    >>> zarr.full_like([1, 2], 7)[:]
    array([7, 7])
    """
    words = _like(a, kwargs)
    if fill_value is not NOT_GIVEN:
        words = filled(words, fill_value)
    return _create("full_like", {}, words)


def open_like(
    a: hints.ArrayLike, path: StoreLike, **kwargs: Unpack[options.OpenLikeOptions]
) -> Array:
    """Open the array at ``path``, or create one like ``a`` if there is none.

    ``path`` is a path in ``store`` if that is passed, and a store otherwise.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.open_like([1, 2], "a", store=store)[:] = 5
    >>> zarr.open_like([1, 2], "a", store=store)[:]
    array([5, 5])
    """
    place, words = _divided(kwargs)
    words = _like(a, words) | place
    if "store" in words:
        words["path"], path = path, words.pop("store")
    return open_array(path, **words)


def create_hierarchy(
    *, store: StoreLike, nodes: Mapping[str, options.NodeLike], overwrite: bool = False
) -> Iterator[tuple[str, Array | Group]]:
    """Create several arrays and groups from their metadata.

    ``nodes`` maps paths to nodes. A node is the ``layout`` of an array or group, a metadata
    document (in format 2, with a member ``attributes``), or an object whose ``to_dict()`` returns
    one. Missing parent groups are created too. All nodes are created before the function returns an
    iterator of paths and nodes.

    Raise ``ContainsArrayError`` or ``ContainsGroupError`` if a path is occupied and ``overwrite``
    is False.

    >>> import fastzarr as zarr
    >>> group = {"zarr_format": 3, "node_type": "group"}
    >>> made = dict(zarr.create_hierarchy(store={}, nodes={"a": group, "a/b": group}))
    >>> list(made)
    ['a', 'a/b']
    """
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.group import Group
    from fastzarr.nodes.hierarchy import build_hierarchy

    place = as_store_path(store)
    made = build_hierarchy(place.store, nodes, root=place.path, overwrite=overwrite)
    start = len(place.path) + 1 if place.path else 0
    return iter(
        [
            (
                path[start:],
                Array(place.store, path, layout=found)
                if isinstance(found, Layout)
                else Group(place.store, path, layout=found),
            )
            for path, found in made
        ]
    )


def _create(verb: str, words: dict[str, Any], more: Mapping[str, Any]) -> Array:
    twice = sorted(word for word in more if word in words and not _unset(words[word]))
    if twice:
        msg = f"{verb}() got multiple values for argument {twice[0]!r}"
        raise TypeError(msg)
    spec, rest = ArraySpec.take(verb, words | dict(more), _PLACE_WORDS)
    path, name = rest.get("path"), rest.get("name")
    if path is not None and name is not None and path != name:
        msg = f"{verb}() was passed both name= and path=, which are the same argument"
        raise TypeError(msg)
    mode = rest.get("mode")
    place = as_store_path(
        rest.get("store"),
        name if path is None else path,
        mode=mode if mode is not None else "a",
        storage_options=rest.get("storage_options"),
    )
    return build_array(
        place.store,
        place.path,
        spec,
        overwrite=bool(rest.get("overwrite")) or mode == "w",
        write_data=rest.get("write_data") is not False,
        progress=rest.get("progress"),
        **handle_of(rest),
    )


def _divided(words: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords of a place and of a handle, and those that describe an array."""
    place = {word: value for word, value in words.items() if word in _PLACE_WORDS}
    return place, {word: value for word, value in words.items() if word not in place}


def _like(a: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    wanted = _format_of(kwargs, kwargs)
    return like_words(a, {**kwargs, **({"zarr_format": wanted} if wanted else {})}, wanted)


def _format_of(place: Mapping[str, Any], words: Mapping[str, Any]) -> Format | None:
    """Return the requested format, else that of the parent group, or None if there is neither."""
    wanted = same_format(words.get("zarr_format"), words.get("zarr_version"))
    if wanted is not None or place.get("store") is None:
        return wanted
    path = place.get("path") if place.get("name") is None else place["name"]
    found = as_store_path(place["store"], path, storage_options=place.get("storage_options"))
    return groups_above(unheld(found.store, found.path)).format


def _keeps(value: Any) -> bool:
    return value is NOT_GIVEN or (isinstance(value, str) and value == "keep")


def _unset(value: Any) -> bool:
    return value is None or value is NOT_GIVEN or (isinstance(value, str) and value == "auto")
