"""Everything that a handle of an array needs to reach its data, as one value.

Rules of this file:

* An ``Access`` is immutable. A handle replaces it as a whole, so that the metadata and the keys of
  the stored chunks always describe the same array.
* An operation reads the handle's access once and uses it throughout. A refresh by another thread
  affects later operations only.
* A change of the array holds it, until ``release``: see ``held.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from fastzarr._lazy import cached
from fastzarr.engine.chunks import StoredChunks
from fastzarr.errors import PathNotFoundError, StaleArrayError
from fastzarr.nodes.documents import join
from fastzarr.nodes.held import is_of_deleted, tree_at
from fastzarr.stores.users import Hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr import hints
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.claims import Claim
    from fastzarr.nodes.settings import ArrayConfig
    from fastzarr.stores import Store
    from fastzarr.stores.capabilities import Pinned
    from fastzarr.stores.place import PathLocks


@dataclass(frozen=True, eq=False)
class Access:
    """An array's stores, path, layout, synchronizer and settings.

    ``store`` has the metadata and ``chunk_store`` the chunks; usually they are the same store.
    ``path`` is the path of the array in the user's store.
    """

    store: Store
    chunk_store: Store
    path: str
    layout: Layout
    synchronizer: hints.Synchronizer | None
    settings: ArrayConfig
    #: The tree of the array, if it is held open for a change.
    tree: Pinned[Any] | None = None
    #: The claim of the array's document, for a change of its shape.
    claim: Claim | None = None

    def __init__(
        self,
        store: Store,
        chunk_store: Store,
        path: str,
        layout: Layout,
        synchronizer: hints.Synchronizer | None,
        settings: ArrayConfig,
        tree: Pinned[Any] | None = None,
        claim: Claim | None = None,
    ) -> None:
        """Initialise, in less than half of the time of the one that is generated."""
        vars(self).update(
            store=store,
            chunk_store=chunk_store,
            path=path,
            layout=layout,
            synchronizer=synchronizer,
            settings=settings,
            tree=tree,
            claim=claim,
        )

    @cached
    def chunks(self) -> StoredChunks:
        """The stored chunks, addressed by the layout's key encoding."""
        return StoredChunks(
            self.layout,
            self.chunk_store,
            self.chunk_root,
            self.synchronizer,
            self.path,
            self.tree,
        )

    @property
    def root(self) -> str:
        """The path of the array in ``store``."""
        return self.path if self.tree is None else ""

    @property
    def chunk_root(self) -> str:
        """The path of the array in ``chunk_store``."""
        return self.root if self.chunk_store is self.store else self.path

    @cached
    def document(self) -> str:
        """The key, in ``store``, of the document that makes the array visible."""
        return join(self.root, self.layout.format.names("array")[-1])

    @cached
    def paths(self) -> PathLocks:
        """The locks of paths in ``store``, for stores that cannot hold a tree open."""
        return self.store.place.paths

    @cached
    def seen(self) -> dict[str, Any]:
        """What the last check of a read has seen: ``token`` and ``shape`` of the document."""
        return {}

    @cached
    def kept(self) -> dict[str, Any]:
        """The document that this handle has stored last, where it need not be read again."""
        return {}

    def described(self, layout: Layout) -> Access:
        """Return an access to the same array with a newer layout."""
        found = replace(self, layout=layout)
        vars(found)["kept"] = self.kept
        return found

    def claimed(self, claim: Claim) -> Access:
        """Return an access to the same array for a change under a claim."""
        found = replace(self, claim=claim if claim.mark else None)
        vars(found)["kept"] = self.kept
        return found

    def hold(self) -> tuple[Access, Hold]:
        """Return an access that holds the array for a change, and what its ``release`` is given.

        Raise ``StaleArrayError`` if the array is missing.
        """
        try:
            tree = None if self.store.pinned is None else tree_at(self.store, self.path)
        except PathNotFoundError as error:
            name = "/" + self.path
            msg = f"the array {name!r} is no longer in {self.store}; open it again to write to it"
            raise StaleArrayError(msg) from error
        if tree is None:
            return self, self.paths.share(self.path)
        # While it is held, nothing else refers to it, so that an interrupt ends that, too.
        last: Access | None = vars(self).pop("_last_held", None)
        if last is not None and last.tree is tree:
            vars(last).pop("paths", None)
            return last, self._hold_of_tree()
        chunk_store = tree.store if self.chunk_store is self.store else self.chunk_store
        held = Access(
            tree.store,
            chunk_store,
            self.path,
            self.layout,
            self.synchronizer,
            self.settings,
            tree,
        )
        return held, self._hold_of_tree()

    def _hold_of_tree(self) -> Hold:
        hold = Hold()
        hold.name = self
        return hold

    @contextmanager
    def holding(self) -> Iterator[Access]:
        """Hold the array for a change in a ``with`` block."""
        held, hold = self.hold()
        try:
            yield held
        except OSError as error:
            held.explain(error)
            raise
        finally:
            held.release(hold)

    def explain(self, error: OSError) -> None:
        """Raise StaleArrayError if an error ended a change because the array was deleted."""
        if self.tree is not None and is_of_deleted(self.tree, error):
            msg = (
                f"the array {'/' + self.path!r} was deleted or replaced while it was changed; "
                "open it again to write to it"
            )
            raise StaleArrayError(msg) from error

    def release(self, hold: Hold | None) -> None:
        """End a change; ``hold`` was returned with this access."""
        if hold is None:
            return
        if self.tree is None:
            self.paths.leave(hold)
        else:
            self.tree.end()
            vars(hold.name)["_last_held"] = self

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields without the stored chunks, which another process derives again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
