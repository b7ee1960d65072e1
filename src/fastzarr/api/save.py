"""``save`` and ``load``: NumPy arrays written to a store and read back.

Rules of this file:

* One array is saved as an array at the root (or ``path``). Several are saved as a group, with the
  names ``arr_0``, ``arr_1`` and so on, or their keywords. Existing nodes are replaced, as by
  ``numpy.save``.
* All arguments are validated before an existing node is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from fastzarr.api.open import open, open_group
from fastzarr.creating.layouts import choose_format, make_layout
from fastzarr.creating.like import as_array_like, copy_words
from fastzarr.creating.progress import Parts, reporting, size_of
from fastzarr.creating.words import HANDLE_WORDS, ArraySpec, handle_of
from fastzarr.errors import BaseZarrError
from fastzarr.metadata.formats import same_format
from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import (
    begin_draft,
    build_array,
    build_group,
    check_new_path,
    drafted,
    groups_above,
    outlasting,
)
from fastzarr.nodes.foreign import check_replaceable
from fastzarr.nodes.group import Group
from fastzarr.nodes.held import site, unheld
from fastzarr.stores.resolve import as_store_path
from fastzarr.transfer.copy import copy_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr import hints
    from fastzarr.metadata.format import Format
    from fastzarr.stores import Store
    from fastzarr.stores.path import StorePath
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types.options import SaveOptions


def save(
    store: StoreLike,
    *args: hints.ArrayLike | Group,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    path: str | None = None,
    storage_options: hints.StorageOptions | None = None,
    progress: hints.Progress | hints.ArrayLike = None,
    **kwargs: hints.ArrayLike,
) -> None:
    """Save one array, several arrays as a group, or a group; existing nodes are replaced.

    Keywords other than those named here are the names of arrays. ``progress`` is True or a
    callable, as in ``create_array``, and counts all arrays; data named so is saved as an array.
    Raise ``ContainsFilesError`` if files that are not part of a Zarr hierarchy would be deleted.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.save(store, [1, 2], b=[3.0])
    >>> zarr.load(store)["b"]
    array([3.])
    """
    places: dict[str, Any] = {"zarr_version": zarr_version, "zarr_format": zarr_format}
    places |= {"path": path, "storage_options": storage_options}
    data: tuple[Any, ...] = args
    named: dict[str, Any] = dict(kwargs)
    if _is_progress(progress):
        places["progress"] = progress
    else:
        named["progress"] = progress
    if len(data) == 1 and not named and isinstance(data[0], Group):
        place = as_store_path(store, path, mode="w", storage_options=storage_options)
        asked = same_format(place.store.zarr_format if zarr_format is None else zarr_format, None)
        wanted = same_format(zarr_format, zarr_version) or asked or data[0].layout.format
        _save_tree(place, data[0], wanted, progress)
    elif len(data) == 1 and not named:
        save_array(store, data[0], **places)
    else:
        save_group(store, *data, **places, **named)


def _save_tree(place: StorePath, source: Group, wanted: Format, progress: Any) -> None:
    """Save a group with all nodes below it, in a format."""
    if place.store.place.covers(place.path, source.store.place, source.path) or (
        source.store.place.covers(source.path, place.store.place, place.path)
    ):
        msg = f"cannot save {source!r} to {place}: one is below the other"
        raise BaseZarrError(msg)
    check_new_path(place.path)
    words: dict[str, Any] = {"mode": "w", "zarr_format": wanted.number}
    with site(place.store, place.path) as where:
        parents = groups_above(where, wanted)
        check_replaceable(place.store, place.path, format=wanted)
        draft = begin_draft(where)
        if draft is not None:
            root = GroupLayout(wanted)
            with drafted(draft, where, root, parents, overwrite=True):
                copy_all(source, open_group(draft.store, **words), progress=progress)
            return
    new = open_group(place.store, path=place.path, **words)
    copy_all(source, new, progress=progress)


def save_array(
    store: StoreLike,
    arr: hints.ArrayLike,
    *,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    path: str | None = None,
    storage_options: hints.StorageOptions | None = None,
    **kwargs: Unpack[SaveOptions],
) -> None:
    """Save one array; the keywords are those of ``create_array``.

    An existing node is replaced. With ``mode="w-"`` or ``overwrite=False``, raise
    ``ContainsArrayError`` or ``ContainsGroupError`` instead.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.save_array(store, [1, 2, 3], chunks=2)
    >>> zarr.load(store)
    array([1, 2, 3])
    """
    given: dict[str, Any] = dict(kwargs)
    mode = given.pop("mode", "w")
    overwrite = given.pop("overwrite", mode == "w")
    wanted = same_format(zarr_format, zarr_version)
    place = as_store_path(store, path, mode=mode, storage_options=storage_options)
    if wanted is None and isinstance(arr, Array):
        wanted = groups_above(unheld(place.store, place.path)).format or arr.layout.format
    words = {"data": _array_like("arr", arr, given.get("dtype")), "zarr_format": wanted}
    apart = {word: given.pop(word) for word in HANDLE_WORDS if word in given}
    words = copy_words(arr, given, wanted) | words
    spec, rest = ArraySpec.take("save_array", words | apart, HANDLE_WORDS)
    build_array(
        place.store,
        place.path,
        spec,
        overwrite=bool(overwrite),
        progress=rest.get("progress"),
        **handle_of(rest),
    )


def save_group(
    store: StoreLike,
    *args: hints.ArrayLike,
    zarr_version: hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    path: str | None = None,
    storage_options: hints.StorageOptions | None = None,
    progress: hints.Progress | hints.ArrayLike = None,
    **kwargs: hints.ArrayLike,
) -> None:
    """Save several arrays as a group; existing nodes are replaced.

    Positional arguments are named ``arr_0``, ``arr_1`` and so on; the others have the names of
    their keywords. ``progress`` is as in ``save``. Raise TypeError if a name occurs twice, and
    ValueError without arrays.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.save_group(store, [1, 2], b=[3.0])
    >>> sorted(zarr.load(store))
    ['arr_0', 'b']
    """
    named: dict[str, Any] = dict(kwargs)
    if not _is_progress(progress):
        named["progress"], progress = progress, None
    arrays: dict[str, Any] = {f"arr_{number}": value for number, value in enumerate(args)}
    for name, value in named.items():
        if name in arrays:
            msg = f"save_group() was passed the array {name!r} both by position and by keyword"
            raise TypeError(msg)
        arrays[name] = value
    if not arrays:
        msg = "save() needs at least one array"
        raise ValueError(msg)
    place = as_store_path(store, path, mode="w", storage_options=storage_options)
    wanted = same_format(zarr_format, zarr_version)
    check_new_path(place.path)
    data = {name: _array_like(name, value) for name, value in arrays.items()}
    first = next(iter(data.values()))
    specs: dict[str, ArraySpec] = {}
    with site(place.store, place.path) as where:
        parents = groups_above(where, wanted)
        if wanted is None and parents.format is None and isinstance(first, Array):
            wanted = first.layout.format
        chosen = choose_format(ArraySpec(data=first, zarr_format=wanted), parents.format)
        for name, value in data.items():
            words = copy_words(value, {}, chosen) | {"data": value, "zarr_format": chosen}
            specs[name], _ = ArraySpec.take("save_group", words)
        for spec in specs.values():
            make_layout(spec, chosen)
        check_replaceable(place.store, place.path, format=chosen)
        draft = begin_draft(where)
        if draft is not None:
            root = GroupLayout(chosen)
            with drafted(draft, where, root, parents, overwrite=True):
                _save_below(draft.store, "", chosen, specs, progress)
            return
    specs = {
        name: replace(spec, data=outlasting(spec.data, place.store, place.path))
        for name, spec in specs.items()
    }
    _save_below(place.store, place.path, chosen, specs, progress)


def _save_below(
    store: Store, path: str, chosen: Format, specs: dict[str, ArraySpec], progress: Any
) -> None:
    build_group(store, path, format=chosen, overwrite=True)
    sizes = {name: size_of(spec.data) for name, spec in specs.items()}
    with reporting(progress, f"saving {len(specs)} arrays") as report:
        parts = Parts(report, sum(sizes.values())) if report else None
        for name, spec in specs.items():
            below = f"{path}/{name}" if path else name
            part = parts.part(sizes[name]) if parts else None
            build_array(store, below, spec, known=path, progress=part)


def _is_progress(value: Any) -> bool:
    """Whether a keyword is the argument ``progress``, and not data that is named so."""
    return value is None or isinstance(value, bool) or callable(value)


def load(
    store: StoreLike,
    path: str | hints.ZarrFormat | None = None,
    zarr_format: hints.ZarrFormat | str | None = None,
    zarr_version: hints.ZarrFormat | None = None,
) -> Any:
    """Return an array as a NumPy array, or a group as a ``LazyLoader`` of its arrays.

    Raise ``PathNotFoundError`` if there is no node at the path.

    >>> import fastzarr as zarr
    >>> store = {}
    >>> zarr.save(store, [[1, 2]])
    >>> zarr.load(store)
    array([[1, 2]])
    """
    given = (path, zarr_format)
    # zarr-python 2 has these two arguments in the opposite order.
    words = [word for word in given if isinstance(word, str)]
    numbers: list[Any] = [word for word in given if isinstance(word, int)]
    number, path = numbers[0] if numbers else None, words[0] if words else None
    found = open(store, "r", path=path, zarr_format=number, zarr_version=zarr_version)
    return found[...] if isinstance(found, Array) else LazyLoader(found)


class LazyLoader(Mapping[str, Any]):
    """A mapping of names to the arrays of a group, each read into memory on first access."""

    def __init__(self, group: Group) -> None:
        """Initialise with a group."""
        self._group = group
        self._cache: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return an array as a NumPy array, or a group as another ``LazyLoader``."""
        if name not in self._cache:
            found = self._group[name]
            loaded = found[...] if isinstance(found, Array) else LazyLoader(found)
            self._cache[name] = loaded
        return self._cache[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._group)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._group)

    def __repr__(self) -> str:
        """Return a list of the names."""
        return f"<LazyLoader: {', '.join(self)}>"


def _array_like(name: str, value: Any, dtype: Any = None) -> Any:
    if value is None or isinstance(value, str | bytes | Mapping):
        msg = f"{name}= must be an array, not {value!r}"
        if isinstance(value, Mapping):
            msg += "; pass arrays by name as keywords, as in save(store, **arrays)"
        raise TypeError(msg)
    return as_array_like(value, dtype)
