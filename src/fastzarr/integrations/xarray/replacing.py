"""A group that is replaced by another one in one step, where the store can do so.

Rules of this file:

* The new group is written beside its place, and changes places with the old one when it is whole: a
  writer that fails, or is killed, leaves the old one.
* Tasks of dask may run in other processes, which reach a draft in a folder, and no other one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes.building import begin_draft, check_new_path, drafted, groups_above
from fastzarr.nodes.foreign import check_replaceable
from fastzarr.nodes.held import site
from fastzarr.stores.path import StorePath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.format import Format


@contextmanager
def replacement(place: StorePath, format: Format, *, shared: bool) -> Iterator[StorePath | None]:
    """Return where to write the group that replaces the one at a place at the end of the block.

    None is returned if it must be written at its place, after the old one was deleted. With
    ``shared``, other processes write, too. Raise ``ContainsFilesError`` if files that are not part
    of a Zarr hierarchy would be deleted.
    """
    check_new_path(place.path)
    with site(place.store, place.path) as where:
        parents = groups_above(where, format)
        check_replaceable(place.store, place.path, format=format)
        draft = begin_draft(where)
        if draft is not None and shared and draft.store.files is None:
            draft.discard()
            draft = None
        if draft is not None:
            with drafted(draft, where, GroupLayout(format), parents, overwrite=True):
                yield StorePath(draft.store)
            return
    yield None
