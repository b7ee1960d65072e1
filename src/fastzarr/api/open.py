"""The functions that open nodes: ``open``, ``open_array``, ``open_group`` and others.

Rules of this file:

* Modes: ``r`` opens an existing node for reading, and ``r+`` for reading and writing; ``a`` opens
  it for reading and writing, or creates it; ``w`` creates it, replacing an existing node, but
  raises ContainsFilesError if there are files that are not part of a Zarr hierarchy; ``w-`` (or
  ``x``) creates it, and fails if there is one. The default is ``a``, or ``r`` if the store is
  read-only.
* Keywords that describe a new array are validated only if one is created, as in both zarr-pythons.
  In mode ``a``, a data type that an existing array does not have, and data, cause a warning.
* The signatures are the union of those of zarr-python 2 and 3, positional as in 2.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Unpack, overload

from fastzarr.creating.given import NOT_GIVEN
from fastzarr.creating.words import (
    HANDLE_WORDS,
    IGNORED,
    ArraySpec,
    handle_of,
    unknown_keyword,
)
from fastzarr.dtypes.parse import from_numpy
from fastzarr.errors import (
    ArrayNotFoundError,
    BaseZarrError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    NodeTypeValidationError,
    PathNotFoundError,
    ZarrUserWarning,
    caller_level,
)
from fastzarr.metadata.formats import others, same_format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.trust import trusted
from fastzarr.nodes import documents
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import build_array, build_group, taken
from fastzarr.nodes.snapshot import Snapshot
from fastzarr.stores.keys import NODE_NAMES
from fastzarr.stores.resolve import as_store, as_store_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr import hints
    from fastzarr.dtypes.base import DataType
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.group import Group
    from fastzarr.stores import Store
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types.options import (
        CodecLike,
        CodecsLike,
        DTypeLike,
        OpenArrayOptions,
        OpenOptions,
        OpenShapeOptions,
    )

_CREATE_ALWAYS = ("w", "w-", "x")
_GROUP_WORDS = frozenset(
    {
        *("allow_pickle", "attributes", "cache_attrs", "chunk_store"),
        *("synchronizer", "use_consolidated"),
    }
)


@overload
def open(
    store: StoreLike = ...,
    mode: hints.Mode | None = ...,
    *,
    shape: hints.ShapeLike,
    zarr_version: hints.ZarrFormat | None = ...,
    zarr_format: hints.ZarrFormat | None = ...,
    path: str | None = ...,
    storage_options: hints.StorageOptions | None = ...,
    **kwargs: Unpack[OpenShapeOptions],
) -> Array: ...
@overload
def open(
    store: StoreLike = ...,
    mode: hints.Mode | None = ...,
    *,
    zarr_version: hints.ZarrFormat | None = ...,
    zarr_format: hints.ZarrFormat | None = ...,
    path: str | None = ...,
    storage_options: hints.StorageOptions | None = ...,
    **kwargs: Unpack[OpenOptions],
) -> Array | Group: ...
def open(
    store: StoreLike = None,
    mode: hints.Mode | None = None,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    path: str | None = None,
    storage_options: hints.StorageOptions | None = None,
    **kwargs: Any,
) -> Array | Group:
    """Open the array or group at a path in a store, or, by default, create it if it is missing.

    The default mode is ``a``, so a misspelled path becomes a new group: pass ``mode="r"`` to read.
    ``r`` opens an existing node for reading, and ``r+`` for reading and writing; ``a`` opens it for
    reading and writing, or creates it; ``w`` creates it, replacing an existing one; ``w-`` creates
    it, and fails if there is one. In a read-only store the default is ``r``.

    A new node is an array if ``shape=`` or ``data=`` is passed, and a group otherwise.

    Raise ``PathNotFoundError`` if there is no node and the mode does not create one, and
    ``ContainsArrayError`` or ``ContainsGroupError`` if there is one and the mode is ``w-``.

    >>> import fastzarr as zarr
    >>> zarr.open({}, mode="w", shape=(3,), dtype="i2")[:]
    array([0, 0, 0], dtype=int16)
    """
    wanted = same_format(zarr_format, zarr_version)
    place, path, how = _locate(store, path, mode, storage_options)
    wants_array = kwargs.get("shape") is not None or kwargs.get("data") is not None
    found = None if how in _CREATE_ALWAYS else documents.load(place, path, wanted)
    if found is None and how in ("r", "r+"):
        found = _only_copied(place, path, wanted, kwargs.get("use_consolidated"))
    if found is None and how in ("r", "r+"):
        raise PathNotFoundError(_absent("no array or group", place, path, how, wanted))
    if isinstance(found, Layout) or (wants_array and found is None):
        return _open_array(place, path, how, wanted, found, kwargs)
    if wants_array and found is not None:
        raise taken(place, path, found)
    if found is not None:
        # Keywords that describe a new array are ignored if the node exists.
        kwargs = {word: value for word, value in kwargs.items() if word in _GROUP_WORDS}
    return _open_group(place, path, how, wanted, found, kwargs)


def open_array(  # noqa: PLR0913, PLR0917  (a public signature)
    store: StoreLike = None,
    mode: hints.Mode | None = None,
    shape: hints.ShapeLike | None = None,
    chunks: hints.ChunksLike = NOT_GIVEN,
    dtype: DTypeLike = None,
    compressor: CodecsLike = NOT_GIVEN,
    fill_value: Any = NOT_GIVEN,
    order: hints.Order | None = None,
    synchronizer: hints.Synchronizer | None = None,
    filters: CodecsLike = NOT_GIVEN,
    cache_metadata: bool = True,
    cache_attrs: bool = True,
    path: str | None = None,
    object_codec: CodecLike | None = None,
    chunk_store: StoreLike = None,
    storage_options: hints.StorageOptions | None = None,
    partial_decompress: bool | None = None,  # noqa: ARG001  (zarr-python 2's, without effect)
    write_empty_chunks: bool | None = None,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    **kwargs: Unpack[OpenArrayOptions],
) -> Array:
    """Open the array at a path in a store, or, by default, create it if it is missing.

    The default mode is ``a``, which requires ``shape=`` to create an array; pass ``mode="r"`` to
    read. The modes are those of ``open``.

    The keywords for a new array are those of ``create_array``. ``allow_pickle=True`` permits
    unpickling an array of objects, which lets its writer execute code in this process.

    Raise ``ArrayNotFoundError`` if there is no array and the mode does not create one, and
    ``NodeTypeValidationError`` if there is a group.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.open_array(store, "w", shape=3, dtype="i2")[:] = [1, 2, 3]
    >>> zarr.open_array(store, "r")[1:]
    array([2, 3], dtype=int16)
    """
    wanted = same_format(zarr_format, zarr_version)
    place, path, how = _locate(store, path, mode, storage_options)
    found = None if how in _CREATE_ALWAYS else documents.load(place, path, wanted)
    words = {
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype,
        "compressor": compressor,
        "fill_value": fill_value,
        "order": order,
        "filters": filters,
        "object_codec": object_codec,
        "chunk_store": chunk_store,
        "write_empty_chunks": write_empty_chunks,
        "synchronizer": synchronizer,
        "cache_metadata": cache_metadata,
        "cache_attrs": cache_attrs,
        **kwargs,
    }
    return _open_array(place, path, how, wanted, found, words)


def open_group(  # noqa: PLR0913  (a public signature)
    store: StoreLike = None,
    mode: hints.Mode | None = None,
    cache_attrs: bool = True,
    synchronizer: hints.Synchronizer | None = None,
    path: str | None = None,
    chunk_store: StoreLike = None,
    storage_options: hints.StorageOptions | None = None,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    meta_array: Any = None,  # noqa: ARG001  (without effect, as in zarr-python 3)
    attributes: hints.Attrs | None = None,
    use_consolidated: bool | str | None = None,
    allow_pickle: bool = False,
) -> Group:
    """Open the group at a path in a store, or, by default, create it if it is missing.

    The default mode is ``a``, so a misspelled path becomes a new group: pass ``mode="r"`` to read.
    The modes are those of ``open``.

    With ``use_consolidated=None``, the names and metadata of nodes below the group are read from
    its consolidated metadata if it has any. True requires consolidated metadata, False ignores it,
    and a string is its key in format 2. ``attributes`` are those of a new group.
    ``allow_pickle=True`` permits unpickling the arrays obtained from the group, which lets their
    writer execute code in this process.

    Raise ``GroupNotFoundError`` if there is no group and the mode does not create one,
    ``ContainsArrayError`` if there is an array, and ValueError if required consolidated metadata is
    missing.

    >>> import fastzarr as zarr
    >>> zarr.open_group({}, mode="w", attributes={"title": "demo"}).attrs["title"]
    'demo'
    """
    wanted = same_format(zarr_format, zarr_version)
    place, path, how = _locate(store, path, mode, storage_options)
    found = None if how in _CREATE_ALWAYS else documents.load(place, path, wanted)
    words = {
        "attributes": attributes,
        "use_consolidated": use_consolidated,
        "allow_pickle": allow_pickle,
        "chunk_store": chunk_store,
        "cache_attrs": cache_attrs,
        "synchronizer": synchronizer,
    }
    return _open_group(place, path, how, wanted, found, words)


def group(  # noqa: PLR0913  (a public signature)
    store: StoreLike = None,
    overwrite: bool = False,
    chunk_store: StoreLike = None,
    cache_attrs: bool = True,
    synchronizer: hints.Synchronizer | None = None,
    path: str | None = None,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    meta_array: Any = None,  # noqa: ARG001  (without effect, as in zarr-python 3)
    attributes: hints.Attrs | None = None,
    storage_options: hints.StorageOptions | None = None,
) -> Group:
    """Open the group at a path, or create it if it is missing.

    ``overwrite=True`` replaces an existing node.

    >>> import fastzarr as zarr
    >>> zarr.group().create_group("a/b").name
    '/a/b'
    """
    return open_group(
        store,
        "w" if overwrite else None,
        cache_attrs,
        synchronizer,
        path,
        chunk_store,
        storage_options,
        zarr_version=zarr_version,
        zarr_format=zarr_format,
        attributes=attributes,
    )


def create_group(
    store: StoreLike = None,
    *,
    path: str | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    zarr_version: hints.ZarrFormat | None = None,
    overwrite: bool = False,
    attributes: hints.Attrs | None = None,
    storage_options: hints.StorageOptions | None = None,
) -> Group:
    """Create a group; ``overwrite=True`` replaces an existing node and all nodes below it.

    Raise ``ContainsGroupError`` or ``ContainsArrayError`` if there is already a node at the path.

    >>> import fastzarr as zarr
    >>> zarr.create_group({}, path="a", attributes={"title": "demo"}).attrs
    {'title': 'demo'}
    """
    return open_group(
        store,
        "w" if overwrite else "w-",
        path=path,
        zarr_version=zarr_version,
        zarr_format=zarr_format,
        attributes=attributes,
        storage_options=storage_options,
    )


def _locate(
    store: Any, path: str | None, mode: str | None, storage_options: Mapping[str, Any] | None
) -> tuple[Store, str, str]:
    """Return the store, the normalised path in it, and the mode."""
    place = as_store_path(store, path, mode=mode, storage_options=storage_options)
    if mode is None:
        mode = "r" if place.store.read_only else "a"
    return place.store, place.path, mode


def _absent(what: str, store: Store, path: str, mode: str, format: Format | None) -> str:
    """Return the message for a missing node, or for one of another format."""
    other = _other(store, path, format)
    if other is None:
        advice = _advice(store, path)
        return f"{what} at {'/' + path!r} in {store}; mode={mode!r} does not create one{advice}"
    number = other.format.number
    if format is None:
        return (
            f"{what} at {'/' + path!r} in {store} of a format that is looked for there, but there "
            f"is a node of format {number}; pass zarr_format={number!r}"
        )
    return (
        f"{what} of format {format.number} at {'/' + path!r} in {store}, "
        f"but there is one of format {number}; omit zarr_format="
    )


def _advice(store: Store, path: str) -> str:
    """Return the end of a message if the one folder at a path has a node, as in many archives."""
    if store.concurrency != 1 or not store.supports_listing:
        return ""  # it would take requests
    names = list(store.list_dir(path))
    inside = f"{path}/{names[0]}".strip("/") if len(names) == 1 else ""
    if not inside or not any(store.exists(f"{inside}/{name}") for name in NODE_NAMES):
        return ""
    return f", but there is one inside the folder {names[0]!r}: pass path={inside!r}"


def _other(store: Store, path: str, format: Format | None) -> Node | None:
    """Return the node at a path of any format but one; None if there is none."""
    found = (documents.load(store, path, each, implied=False) for each in others(format))
    return next((node for node in found if node is not None), None)


def _open_array(
    store: Store,
    path: str,
    mode: str,
    format: Format | None,
    found: Node | None,
    words: dict[str, Any],
) -> Array:
    given, allow = words, words.get("allow_pickle", False)
    if "allow_pickle" in words:
        words = {word: value for word, value in words.items() if word != "allow_pickle"}
    if words.get("overwrite") and mode == "a":
        found, mode = None, "w"
    if isinstance(found, Layout):
        handle = _handle(ArraySpec.known("open_array", words), mode)
        if mode == "a":
            _warn_of_unused(found, words, f"the array {'/' + path!r} in {store}")
        return Array(store, path, layout=trusted(found, "/" + path, allow=allow), **handle)
    spec, rest = ArraySpec.take("open_array", words | {"zarr_format": format}, HANDLE_WORDS)
    handle = _handle(rest, mode)
    if found is not None:
        msg = f"the node at {'/' + path!r} in {store} is a group, not an array"
        raise NodeTypeValidationError(msg)
    if mode in ("r", "r+"):
        raise ArrayNotFoundError(_absent("no array", store, path, mode, format))
    if spec.shape is None and spec.data is None:
        name = "/" + path
        msg = f"no array at {name!r} in {store}, and shape= is required to create one"
        raise TypeError(msg)
    try:
        return build_array(store, path, spec, overwrite=mode == "w", **handle)
    except (ContainsArrayError, ContainsGroupError):
        # Another writer created the node first; with this mode it is opened instead.
        found = documents.load(store, path, format) if mode == "a" else None
        if found is None:
            raise
    return _open_array(store, path, mode, format, found, given)


def _warn_of_unused(found: Layout, words: Mapping[str, Any], name: str) -> None:
    """Warn if an existing array differs from what the keywords for a new one ask for.

    The shape may differ, because arrays are resized.
    """
    wanted = words.get("dtype")
    if words.get("data") is not None:
        unused = "data= is not written"
    elif wanted is not None and not _is_dtype(wanted, found.dtype):
        unused = f"it has the data type {found.dtype.numpy}, and dtype={wanted!r} has no effect"
    else:
        return
    msg = f"{name} already exists: {unused}; omit it, or replace the array with mode='w'"
    warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())


def _is_dtype(wanted: Any, found: DataType) -> bool:
    try:
        return from_numpy(wanted).native() == found.native()
    except (TypeError, ValueError):
        # A dtype of objects has no data type without a codec.
        return True


def _handle(words: Mapping[str, Any], mode: str) -> dict[str, Any]:
    handle = handle_of(words)
    handle["read_only"] = mode == "r" or bool(words.get("read_only"))
    return handle


def _open_group(
    store: Store,
    path: str,
    mode: str,
    format: Format | None,
    found: Node | None,
    words: dict[str, Any],
) -> Group:
    from fastzarr.nodes.group import Group

    known = _GROUP_WORDS | IGNORED
    unknown = sorted(set(words) - known)
    if unknown:
        raise TypeError(_not_of_groups(unknown[0]))
    chunk_store = words.get("chunk_store")
    handle: dict[str, Any] = {
        "read_only": mode == "r",
        "chunk_store": None if chunk_store is None else as_store(chunk_store),
        "cache_attrs": words.get("cache_attrs") is not False,
        "synchronizer": words.get("synchronizer"),
        "allow_pickle": words.get("allow_pickle", False),
    }
    if isinstance(found, Layout):
        msg = f"the node at {'/' + path!r} in {store} is an array, not a group"
        raise ContainsArrayError(msg)
    if found is None and mode not in _CREATE_ALWAYS:
        found = _only_copied(store, path, format, words.get("use_consolidated"))
    if found is None:
        if mode in ("r", "r+"):
            raise GroupNotFoundError(_absent("no group", store, path, mode, format))
        if isinstance(words.get("use_consolidated"), str) or words.get("use_consolidated"):
            raise _not_consolidated(store, path)
        try:
            layout = build_group(
                store,
                path,
                format=format,
                attributes=words.get("attributes"),
                overwrite=mode == "w",
                chunk_store=handle["chunk_store"],
            )
        except (ContainsArrayError, ContainsGroupError):
            found = documents.load(store, path, format) if mode == "a" else None
            if found is None:
                raise
            return _open_group(store, path, mode, format, found, words)
        return Group(store, path, layout=layout, **handle)
    snapshot = _snapshot(store, path, found, words.get("use_consolidated"))
    return Group(store, path, layout=found, snapshot=snapshot, **handle)


def _not_of_groups(word: str) -> str:
    """Return the message for a keyword of ``open`` that does not describe a group."""
    known = {*ArraySpec.__dataclass_fields__, *HANDLE_WORDS}
    if word not in known:
        return unknown_keyword("open", word, known | _GROUP_WORDS)
    return f"open() creates an array only with shape= or data=, and a group has no {word}="


def _only_copied(
    store: Store, path: str, format: Format | None, use: bool | str | None
) -> GroupLayout | None:
    """Return a group of which only a separate document of consolidated metadata exists.

    Raise ``GroupNotFoundError`` if there is one, but consolidated metadata is not required.
    """
    if not use and not store.supports_consolidated_metadata:
        return None
    for each in others(None) if format is None else (format,):
        name = each.separate_consolidated
        if name is None:
            continue
        key = documents.join(path, use if isinstance(use, str) else name)
        if not store.exists(key):
            continue
        if not use:
            msg = (
                f"no group at {'/' + path!r} in {store}, but there is consolidated metadata in "
                f"{key!r}; use open_consolidated() to read it"
            )
            raise GroupNotFoundError(msg)
        from fastzarr.metadata import json

        found = each.parse_consolidated(json.loads(store[key], key), key).get("")
        return found if isinstance(found, GroupLayout) else GroupLayout(each)
    return None


def _snapshot(
    store: Store, path: str, found: GroupLayout, use: bool | str | None
) -> Snapshot | None:
    """Return the consolidated metadata to read a group from, or None to read its documents."""
    if use is False or not (use or store.supports_consolidated_metadata):
        return None
    name = found.format.separate_consolidated
    if name is not None:
        from fastzarr.metadata import json

        key = documents.join(path, use if isinstance(use, str) else name)
        data = store.get(key)
        if data is not None:
            copy = found.format.parse_consolidated(json.loads(data, key), key)
            return Snapshot(store, path, copy, name, key)
    elif found.format.consolidated is not None and found.consolidated is not None:
        return Snapshot(store, path, found.consolidated, found.format.consolidated)
    if use:
        raise _not_consolidated(store, path)
    return None


def _not_consolidated(store: Store, path: str) -> BaseZarrError:
    msg = (
        f"the group {'/' + path!r} in {store} has no consolidated metadata; "
        "call consolidate_metadata() first, or open it with use_consolidated=False"
    )
    return BaseZarrError(msg)
