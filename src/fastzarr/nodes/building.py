"""Creation of new arrays and groups in a store.

Rules of this file:

* Everything is validated before anything is written: the arguments, the names, the path and its
  parents. Missing parent groups are created in the same format.
* A new node becomes visible last: its data is written first, then its parent groups, then its own
  document. If writing the data fails, the data is deleted. Stores with ``document_first`` make all
  of it visible when they commit.
* If the store has drafts, a node is prepared beside its path and moved there in one step. A node
  that it replaces, of any type and format, exists until then.
* Files that are not part of a Zarr hierarchy are never replaced (``foreign.py``).
* In other stores, an existing node is deleted before its replacement is written. Data that may come
  from that node, or that may fail to be read, is read into memory before.
* If several writers create the same node at once, one succeeds, and the others raise an error.
* A node is created in the tree whose groups were read (``Site``). If a parent group is moved or
  deleted meanwhile, the node is moved with it, or an error is raised. Missing parent groups are
  created by operations of their own.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.creating.layouts import choose_format, make_layout
from fastzarr.creating.progress import check_progress, reporting
from fastzarr.engine import written
from fastzarr.errors import (
    ContainsArrayError,
    ContainsGroupError,
    KeyValidationError,
    MetadataError,
    MetadataValidationError,
    ReadOnlyError,
    ZarrUserWarning,
    caller_level,
)
from fastzarr.grids.regions import regions
from fastzarr.metadata.formats import FORMATS, default_format, parse_format, sought
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes import documents
from fastzarr.nodes.array import Array
from fastzarr.nodes.claims import is_needed, removing
from fastzarr.nodes.foreign import check_replaceable
from fastzarr.nodes.held import Site, alone, site
from fastzarr.nodes.snapshot import changing, validators
from fastzarr.stores import stopping
from fastzarr.stores.keys import ARRAY_NAMES, METADATA_NAMES
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

    from fastzarr.creating.words import ArraySpec
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.stores.base import Store
    from fastzarr.stores.capabilities import Draft


def build_array(
    store: Store,
    path: str,
    spec: ArraySpec,
    *,
    overwrite: bool = False,
    write_data: bool = True,
    chunk_store: Store | None = None,
    known: str | None = None,
    progress: Any = None,
    **handle: Any,
) -> Array:
    """Create an array with the data of the spec, and return it.

    ``known`` is the path of a group above that is known to be there; ``progress`` is that of
    ``reporting``, and ``handle`` goes to ``Array``.

    Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is a node already and not
    ``overwrite``, or if a parent is an array; ``ReadOnlyError``; and what ``make_layout`` raises.
    """
    check_new_path(path)
    if progress is not None:
        check_progress(progress)
    if store.read_only:
        raise _read_only(store, path)
    read_only = bool(handle.pop("read_only", False))
    with site(store, path) as where, only_creator(where, chunk_store):
        parents = groups_above(where, spec.format, known)
        layout = make_layout(spec, choose_format(spec, parents.format), store.dimension_separator)
        _check_place(where, layout, chunk_store, overwrite=overwrite)
        stopping.check()
        array = Array(store, path, layout=layout, chunk_store=chunk_store, **handle)
        data = spec.data if write_data else None
        if data is not None:
            # Writing takes time, in which the parent groups may change.
            parents = parents._replace(groups=None)
        draft = begin_draft(where, chunk_store)
        if draft is not None:
            with drafted(draft, where, layout, parents, overwrite=overwrite):
                if data is not None:
                    made = Array(draft.store, "", layout=layout, **handle).is_unseen()
                    copy_data(made, data, progress, f"writing {array.name}")
                documents.save_drafted(draft, layout)
        else:
            made = Array(store, path, layout=layout, chunk_store=chunk_store, **handle)
            data = _make_room(made, data, overwrite=overwrite)
            if store.document_first:
                publish(where, layout, parents)
            if data is not None:
                _write_data(made, data, progress)
            if not store.document_first:
                publish(where, layout, parents)
    if read_only:
        return Array(store, path, True, chunk_store, layout=layout, **handle)  # noqa: FBT003
    return array


def build_group(
    store: Store,
    path: str,
    *,
    format: Format | None = None,
    attributes: Any = None,
    overwrite: bool = False,
    chunk_store: Store | None = None,
    known: str | None = None,
) -> GroupLayout:
    """Create a group and return its metadata; raise as ``build_array`` does."""
    from fastzarr.metadata.attributes import plain_attributes

    check_new_path(path)
    if store.read_only:
        raise _read_only(store, path)
    with site(store, path) as where, only_creator(where, chunk_store):
        parents = groups_above(where, format, known)
        plain = {} if attributes is None else plain_attributes(attributes)
        layout = GroupLayout(format or parents.format or default_format(), plain)
        _check_place(where, layout, chunk_store, overwrite=overwrite)
        stopping.check()
        # Two documents written one after the other could be those of two writers.
        whole = overwrite or layout.format.separate_attributes is not None
        draft = begin_draft(where, chunk_store) if whole else None
        if draft is not None:
            with drafted(draft, where, layout, parents, overwrite=overwrite):
                documents.save_drafted(draft, layout)
            return layout
        if overwrite:
            remove(store, path, chunk_store)
        publish(where, layout, parents)
        if overwrite:
            written.note(path)
    return layout


def begin_draft(where: Site, chunk_store: Store | None = None) -> Draft[Store] | None:
    """Return a new draft of the tree at a site, or None if the store does not support drafts."""
    apart = chunk_store is not None and chunk_store is not where.user
    return None if apart or where.store.draft is None else where.store.draft(where.path)


def only_creator(where: Site, chunk_store: Store | None = None) -> AbstractContextManager[None]:
    """Keep other threads from creating the same node, in a store that cannot do so.

    Nodes of different kinds and formats have different documents there, so that two of them could
    be created at once. The lock is that of a name which is not the key of a value.
    """
    apart = chunk_store is not None and chunk_store is not where.user
    alike = where.store.draft is not None and not is_needed(where.store)
    if where.path and not apart and alike:
        return nullcontext()
    return where.place.locks.held(("node", where.named))


@contextmanager
def drafted(
    draft: Draft[Store], where: Site, layout: Node, parents: Parents, *, overwrite: bool
) -> Iterator[None]:
    """Publish a draft, which the ``with`` block fills, at the site.

    ``layout`` is the metadata of its root. If the block raises, the draft is discarded. Raise
    ``ContainsArrayError`` or ``ContainsGroupError`` if another writer has created a node at the
    path and ``overwrite`` is False.
    """
    store, path = where.user, where.named
    try:
        yield
        owned = layout.owns if isinstance(layout, Layout) else None
        # A node of any format may be replaced.
        format, groups = (None, None) if overwrite else (layout.format, parents.groups)
        with changing(
            store, path, format, removed=overwrite, above=groups, where=where, seen=parents.seen
        ):
            if parents.missing:
                publish_parents(where, parents.missing, layout.format)
            # At a free path there is nothing that others could be changing.
            with _unchanged(store, path) if overwrite else nullcontext():
                try:
                    done = draft.publish(replace=overwrite, owned=owned)
                except FileNotFoundError:
                    # Another writer has deleted or moved a group that was missing before.
                    publish_parents(where, parents.missing, layout.format)
                    done = draft.publish(replace=overwrite, owned=owned)
    except BaseException:
        draft.discard()
        raise
    if not done:
        draft.discard()
        raise _taken_now(store, path)
    if overwrite:
        written.note(path)


class Parents(NamedTuple):
    """The groups above a new node."""

    #: The format of the nearest one, or that of the store if there is none.
    format: Format | None
    #: The paths above the node that have no group.
    missing: list[str]
    #: All groups of the format, by path, if the documents of all were read.
    groups: dict[str, Node] | None
    #: The validators that the documents of these had before, where the store knows them.
    seen: dict[str, Hashable] | None


def groups_above(where: Site, format: Format | None = None, known: str | None = None) -> Parents:
    """Return the groups above a site.

    Groups above ``known`` are known to exist. Raise ``ContainsArrayError`` if a parent is an array,
    and ``MetadataValidationError`` if it is a group of another format than ``format``.
    """
    store, path = where.user, where.named
    nearest, missing, groups, seen = None, [], None, None
    if format is not None and format.separate_consolidated is None:
        # All of them may contain consolidated metadata that describes the new node.
        if where.store is store:
            groups = documents.load_many(store, where.above, format)
        else:
            # Nothing exists below the open tree yet.
            there = [path for path in where.above if len(path) <= len(where.root)]
            seen = validators(store, there, format)
            groups = _loaded(where, there, format)
    for parent in where.above:
        if known is not None and len(parent) < len(known):
            continue
        found = (_loaded(where, [parent], format) if groups is None else groups).get(parent)
        if found is None and format is not None:
            found = _of_any_format(where, parent, format)
        if isinstance(found, Layout):
            msg = (
                f"cannot create {'/' + path!r} in {store}: {'/' + parent!r} is an array, and only "
                "groups can have nodes below them"
            )
            raise ContainsArrayError(msg)
        if found is None:
            missing.append(parent)
        elif format is not None and found.format is not format:
            msg = (
                f"must be {found.format.number}, the format of group {'/' + parent!r} in {store}, "
                f"not {format.number}; omit it, or create the node elsewhere"
            )
            raise MetadataValidationError(msg, "zarr_format")
        else:
            nearest = found.format
    if nearest is None:
        _check_root(store, path)
    own = None if store.zarr_format is None else parse_format(store.zarr_format)
    return Parents(nearest or own, missing, groups, seen)


def _of_any_format(where: Site, path: str, new: Format) -> Node | None:
    """Return the node at a path, or None if a group of format ``new`` may be made beside it."""
    found = _loaded(where, [path]).get(path)
    if isinstance(found, GroupLayout) and _as_elsewhere.get():
        order = sought(FORMATS, where.user.zarr_format)
        # Readers still find the one that they look for first.
        if new in order and found.format in order[: order.index(new)]:
            return None
    return found


def _check_root(store: Store, path: str) -> None:
    """Raise ``ContainsArrayError`` if the folder of a store is inside that of an array.

    The folder of an array's chunks is easily taken for a store.
    """
    root = getattr(store, "root", None)
    if not isinstance(root, (str, os.PathLike)) or getattr(store, "inside_arrays", False):
        return
    folder, inner = os.path.split(os.path.abspath(root))  # noqa: PTH100  (links are not followed)
    while inner:
        here, (folder, inner) = folder, os.path.split(folder)
        # Strings, because objects of paths take longer than the system does to answer.
        if not any(os.path.isfile(f"{here}{os.sep}{name}") for name in ARRAY_NAMES):  # noqa: PTH113
            continue
        try:
            found = documents.load(as_store(here, read_only=True), "")
        except MetadataError:
            continue
        if isinstance(found, Layout):
            msg = (
                f"cannot create {'/' + path!r} in {store}: {here!r} is an array, and only "
                "groups can have nodes below them"
            )
            raise ContainsArrayError(msg)


def _loaded(where: Site, paths: list[str], format: Format | None = None) -> dict[str, Node]:
    """Return, by path, the nodes at paths in the user's store."""
    if where.store is where.user:
        return documents.load_many(where.user, paths, format)
    inside, outside = [], []
    for path in paths:
        store, below = where.at(path)
        inside.append(below) if store is where.store else outside.append(path)
    within = documents.load_many(where.store, inside, format, root=where.root)
    return documents.load_many(where.user, outside, format) | within if outside else within


def check_free(where: Site) -> None:
    """Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is a node at the site."""
    found = documents.occupant(where.store, where.path, root=where.root)
    if found is not None:
        raise taken(where.user, where.named, found)


def taken(
    store: Store,
    path: str,
    found: Node,
    remedy: str = "pass overwrite=True (or mode='w') to replace it",
) -> ContainsArrayError | ContainsGroupError:
    """Return the error for a path that is already occupied by a node."""
    is_array = isinstance(found, Layout)
    kind = "an array" if is_array else "a group"
    msg = f"{kind} already exists at {'/' + path!r} in {store}; {remedy}"
    return ContainsArrayError(msg) if is_array else ContainsGroupError(msg)


def check_new_path(path: str) -> None:
    """Raise ``KeyValidationError`` if a name in the path is that of a metadata document.

    ``path`` is normalised.
    """
    for name in path.split("/"):
        if name in METADATA_NAMES:
            msg = (
                f"{path!r} cannot be the path of a new node: the name {name!r} is that of a "
                "metadata document"
            )
            raise KeyValidationError(msg)


@contextmanager
def as_elsewhere() -> Iterator[None]:
    """Let nodes be created as zarr-python creates them, where that does no harm.

    Their names may be those that their format reserves, of which nothing is said. They may be below
    a group of another format, if that one is still found where groups of theirs are made beside it.
    """
    token = _as_elsewhere.set(True)
    try:
        yield
    finally:
        _as_elsewhere.reset(token)


_as_elsewhere = ContextVar("_as_elsewhere", default=False)


def warn_of_reserved(path: str, format: Format) -> None:
    """Warn of names that the format of a new node reserves."""
    start = format.reserved
    if not start or start not in path or _as_elsewhere.get():
        return
    for name in path.split("/"):
        if name.startswith(start):
            warnings.warn(
                f"names beginning with {start!r}, such as {name!r} of the new node {'/' + path!r}, "
                f"are reserved in format {format.number}; other libraries may refuse them",
                ZarrUserWarning,
                stacklevel=caller_level(),
            )
            return


def publish(where: Site, layout: Node, parents: Parents) -> None:
    """Write the missing parent groups of a node, then its own metadata.

    Raise ``ContainsArrayError`` or ``ContainsGroupError`` if another writer created the node first.
    """
    user, path, groups, seen = where.user, where.named, parents.groups, parents.seen
    with changing(user, path, layout.format, above=groups, where=where, seen=seen):
        publish_parents(where, parents.missing, layout.format)
        made = documents.create(where.store, where.path, layout)
    if not made:
        raise _taken_now(where.user, where.named)


def _taken_now(store: Store, path: str) -> ContainsArrayError | ContainsGroupError:
    found = documents.load(store, path)
    if found is not None:
        return taken(store, path, found)
    msg = f"nodes already exist below {'/' + path!r} in {store}, so it cannot become an array"
    return ContainsGroupError(msg)


def publish_parents(where: Site, missing: list[str], format: Format) -> None:
    """Write the groups that ``groups_above`` found missing; those created since then are kept."""
    for parent in missing:
        documents.create(*where.at(parent), GroupLayout(format))


def remove(store: Store, path: str, chunk_store: Store | None = None) -> bool:
    """Delete a node and all nodes below it, in both stores.

    Return False if another writer has deleted or moved it first, as far as the store can tell.
    """
    with changing(store, path, removed=True), _unchanged(store, path):
        if not documents.delete(store, path):
            return False
        if chunk_store is not None and chunk_store is not store:
            documents.delete(chunk_store, path)
    return True


@contextmanager
def _unchanged(store: Store, path: str) -> Iterator[None]:
    """Keep others from changing a node that a ``with`` block deletes, as far as they can be."""
    keys = [documents.join(path, each.names("array")[-1]) for each in FORMATS]
    with alone(store, path), removing(store, keys):
        yield


def outlasting(data: Any, store: Store, path: str, chunk_store: Store | None = None) -> Any:
    """Return ``data``, read into memory if deleting everything at ``path`` could affect it.

    If something is going to be deleted, array-like data is read into memory first: it may come from
    there, and if reading fails, it must fail before anything is lost. An array of this package that
    is known to be elsewhere is returned as it is.
    """
    if data is None or isinstance(data, np.ndarray):
        return data
    stores = (store,) if chunk_store is None else (store, chunk_store)
    removed = [one for one in stores if not one.is_empty(path)]
    if isinstance(data, Array):
        removed = [one for one in stores if overlap(data, one, path)] + [
            one for one in removed if not all(_is_known(some) for some in (one, *_stores(data)))
        ]
    return np.asarray(data[...]) if removed else data


def overlap(node: Array, store: Store, path: str) -> bool:
    """Whether an array or its chunks are at a path, or below or above it."""
    place = store.place
    return any(
        mine.covers(node.path, place, path) or place.covers(path, mine, node.path)
        for mine in (some.place for some in _stores(node))
    )


def _stores(array: Array) -> tuple[Store, Store]:
    return array.store, array.chunk_store


def _is_known(store: Store) -> bool:
    return store.place.is_known()


def copy_data(target: Array, source: Any, progress: Any, label: str) -> None:
    """Write an array-like object to an array of the same shape, piece by piece.

    ``label`` is the text beside a bar of its progress.
    """
    if isinstance(source, np.ndarray) and not progress:
        target[...] = source
        return
    itemsize, done, total = target.dtype.itemsize, 0, target.nbytes
    with reporting(progress, label) as report:
        if report is not None:
            report(done, total)
        for region in regions(target.shape, target.layout.grid, itemsize):
            part = np.asarray(source[region])
            target[region] = part
            done += part.size * itemsize
            if report is not None:
                report(done, total)


def _make_room(array: Array, data: Any, *, overwrite: bool) -> Any:
    """Delete what is at the path of an array that is not drafted, and return its data."""
    store, path = array.store, array.path
    if overwrite:
        data = outlasting(data, store, path, array.chunk_store)
        if isinstance(data, np.ndarray) and data.dtype != array.dtype:
            # If the data cannot be cast, this fails before the old node is deleted.
            data = data.astype(array.dtype)
        remove(store, path, array.chunk_store)
    else:
        _clear_leftovers(array)
    return data


def _clear_leftovers(array: Array) -> None:
    """Delete chunks left at the path by a writer that died, so that the new array is empty."""
    store, start = array.chunk_store, len(array.path) + 1 if array.path else 0
    left = [key for key in store.list(array.path) if array.layout.owns(key[start:])]
    if left:
        store.delitems(left)


def _write_data(array: Array, data: Any, progress: Any) -> None:
    store, path = array.chunk_store, array.path
    # If the document was stored first, nothing else is at the path.
    alone = store.document_first or store.is_empty(path)
    try:
        copy_data(array.is_unseen(), data, progress, f"writing {array.name}")
    except BaseException:
        if alone and path:
            store.delete_dir(path)
        elif alone:
            store.clear()
        raise


def _check_place(where: Site, layout: Node, chunk_store: Store | None, *, overwrite: bool) -> None:
    """Raise an error if a node may not be created at a site; warn of names that are reserved."""
    if overwrite:
        check_replaceable(where.user, where.named, chunk_store, format=layout.format)
    else:
        check_free(where)
    if layout.format.reserved in where.named:
        warn_of_reserved(where.named, layout.format)


def _read_only(store: Store, path: str) -> ReadOnlyError:
    return ReadOnlyError(f"cannot create {'/' + path!r}: {store.refusal()}")
