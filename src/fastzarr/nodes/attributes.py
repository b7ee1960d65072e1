"""The attributes of a node: a mapping whose changes are written immediately.

Rules of this file:

* Attributes are read from the handle's metadata. ``refresh()`` reloads them from the store, and
  with ``cache=False`` every access does. So does every access in a transaction, which must know
  what was read in it, and the first one after it, because the transaction may have failed.
* A change is a patch, applied to the document that is in the store at that moment. It affects only
  the attributes that it names; concurrent changes of others are kept.
* One call, or one ``with attrs.batch():``, is one write. A value that JSON cannot represent raises
  TypeError before anything is changed, in the store or in memory.
* Values are returned as copies: modifying a returned list has no effect until it is assigned.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.checked import show
from fastzarr.dtypes.base import is_integer
from fastzarr.errors import PathNotFoundError, ReadOnlyError
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.nodes import documents
from fastzarr.nodes.held import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastzarr import hints
    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store

    Attrs = dict[str, Any]


class Holder(Protocol):
    """What ``Attributes`` requires of a node."""

    @property
    def store(self) -> Store:
        """The store of the node."""

    @property
    def path(self) -> str:
        """The path of the node in the store."""

    @property
    def read_only(self) -> bool:
        """Whether the handle is read-only."""

    @property
    def layout(self) -> Node:
        """The metadata of the handle."""

    @property
    def synchronizer(self) -> hints.Synchronizer | None:
        """The user's synchronizer, or None."""

    def _set_layout(self, layout: Any) -> None: ...


class Attributes(MutableMapping[str, Any]):
    """A mapping of the names of attributes to their values, which have the types of JSON.

    NumPy scalars and arrays become numbers, strings and lists, tuples become lists, and integer
    names become strings. A value of another type raises TypeError, which names the attribute.

    NaN and the infinities are written as zarr-python writes them (``NaN``), which is not strict
    JSON. For readers that accept nothing else, store them as strings.

    >>> from fastzarr.nodes.group import Group
    >>> from fastzarr.stores import MemoryStore
    >>> attrs = Group.from_store(MemoryStore()).attrs
    >>> attrs["units"] = "K"
    >>> with attrs.batch():
    ...     attrs["scale"] = 0.5
    ...     del attrs["units"]
    >>> attrs
    {'scale': 0.5}
    """

    def __init__(self, holder: Holder, *, cache: bool = True) -> None:
        """Initialise with an array or a group."""
        self._holder = holder
        #: Whether to read from the handle's metadata instead of the store.
        self.cache = cache

    @property
    def key(self) -> str:
        """The key of the document that contains the attributes.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.key
        'zarr.json'
        """
        return documents.join(self._holder.path, self._holder.layout.format.attributes)

    @property
    def read_only(self) -> bool:
        """Whether the attributes cannot be changed through this handle.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.read_only
        False
        """
        return self._holder.read_only

    def asdict(self) -> dict[str, Any]:
        """Return all attributes as a new ``dict``.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.asdict()
        {'units': 'K'}
        """
        return deepcopy(self._values())

    def refresh(self) -> None:
        """Reload the attributes from the store.

        Raise ``PathNotFoundError`` if the node no longer exists.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.refresh()
        >>> attrs["units"]
        'K'
        """
        holder = self._holder
        latest = documents.load(holder.store, holder.path, holder.layout.format)
        if latest is None:
            msg = f"the node {'/' + holder.path!r} no longer exists in {holder.store}"
            raise PathNotFoundError(msg)
        self._take_over(latest)

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes, in one write.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.put({"scale": 2})
        >>> attrs
        {'scale': 2}
        """
        new = plain_attributes(attributes, self._place())
        self._change(lambda _: new)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set several attributes, in one write.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.update({"scale": 2}, offset=1)
        >>> attrs
        {'units': 'K', 'scale': 2, 'offset': 1}
        """
        try:
            given = dict(other)
        except (TypeError, ValueError):
            msg = f"{self._place()}: must be a mapping of names to values, got {show(other)}"
            raise TypeError(msg) from None
        new = plain_attributes(given | more, self._place())
        # Metadata that is read as other than it is stored is stored as read by any change.
        if new or getattr(self._holder.layout, "repaired", None) is not None:
            self._change(lambda old: old | new)

    def clear(self) -> None:
        """Remove all attributes, in one write.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> attrs.clear()
        >>> attrs
        {}
        """
        self._change(lambda _: {})

    @contextmanager
    def batch(self) -> Iterator[Attributes]:
        """Combine the changes made in a ``with`` block into one write at its end.

        Inside the block, the changes are visible through this handle only. If the block raises,
        they are discarded.

        >>> import fastzarr
        >>> attrs = fastzarr.create_group({}, attributes={"units": "K"}).attrs
        >>> with attrs.batch():
        ...     attrs["scale"] = 2
        ...     attrs["offset"] = 1
        >>> len(attrs)
        3
        """
        if self._batch is not None:
            yield self
            return
        self._check_writable()
        batch = _Batch(self._values())
        # The batch is stored in the handle, because each `handle.attrs` is a new object.
        vars(self._holder)["_batch"] = batch
        try:
            yield self
        finally:
            del vars(self._holder)["_batch"]
        if batch.changes:
            self._change(batch.apply)

    def __getitem__(self, name: str) -> Any:
        """Return a copy of the value of an attribute; raise KeyError if there is none."""
        return deepcopy(self._values()[_text(name)])

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute."""
        new = plain_attributes({name: value}, self._place())
        self._change(lambda old: old | new)

    def __delitem__(self, name: str) -> None:
        """Remove an attribute; raise KeyError if there is none."""
        name = _text(name)
        if name not in self._values():
            raise KeyError(name)
        self._change(lambda old: {key: value for key, value in old.items() if key != name})

    def __contains__(self, name: object) -> bool:
        """Whether there is an attribute of this name."""
        return _text(name) in self._values()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(list(self._values()))

    def __len__(self) -> int:
        """Return the number of attributes."""
        return len(self._values())

    def __repr__(self) -> str:
        """Return the repr of the attributes as a ``dict``."""
        return repr(self._values())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @property
    def _batch(self) -> _Batch | None:
        return vars(self._holder).get("_batch")

    def _values(self) -> Attrs:
        if self._batch is not None:
            return self._batch.values
        mine = vars(self._holder)
        if self._holder.store.suspension.on:
            mine["_suspended"] = True
            self.refresh()
        elif not self.cache or mine.get("_suspended"):
            self.refresh()
            mine["_suspended"] = False
        return self._holder.layout.attributes

    def _place(self) -> str:
        path = self._holder.path
        return f"{path}: attributes" if path else "attributes"

    def _check_writable(self) -> None:
        if self._holder.read_only:
            name, store = "/" + self._holder.path, self._holder.store
            why = store.refusal() if store.read_only else "open it with mode='r+'"
            msg = f"attributes of {name!r}: the node is read-only; {why}"
            raise ReadOnlyError(msg)

    def _change(self, change: Callable[[Attrs], Attrs]) -> None:
        self._check_writable()
        if self._batch is not None:
            self._batch.add(change)
            return
        holder = self._holder

        def patch(latest: Node) -> Node:
            return latest.with_members(attributes=change(latest.attributes))

        from fastzarr.nodes.consolidating import write_again
        from fastzarr.nodes.snapshot import changing

        own = holder.layout.format
        if holder.store.suspension.on:
            vars(holder)["_suspended"] = True
        with changing(holder.store, holder.path, own) as ended:
            try:
                latest = documents.update(
                    holder.store, holder.path, patch, holder.synchronizer, own
                )
            except PathNotFoundError:
                latest = patch(holder.layout)
                if not self._write_cleared(latest):
                    raise
        self._take_over(latest)
        if ended:
            write_again(holder.store, ended)

    def _write_cleared(self, layout: Any) -> bool:
        """Write the root group of a store that has been emptied; return False for anything else.

        It is written again, as by zarr-python: programs clear a store that they have opened and
        then fill it. It replaces nothing. A folder that was deleted itself is an error.
        """
        holder = self._holder
        store = holder.store
        is_root = not holder.path and holder.layout.node_type == "group"
        if not is_root or not store.is_empty(""):
            return False
        with held(store, "") as (inside, root):
            return documents.create(inside, root, layout)

    def _take_over(self, latest: Node) -> None:
        # The rest of the handle's metadata is kept, because its shape must not change implicitly.
        layout = self._holder.layout.with_members(attributes=latest.attributes)
        self._holder._set_layout(layout)  # noqa: SLF001  (attributes are part of the handle)


class _Batch:
    """Changes that are not yet written, and the attributes with these changes."""

    def __init__(self, values: Attrs) -> None:
        self.values = values
        self.changes: list[Callable[[Attrs], Attrs]] = []

    def add(self, change: Callable[[Attrs], Attrs]) -> None:
        self.values = change(self.values)
        self.changes.append(change)

    def apply(self, attributes: Attrs) -> Attrs:
        for change in self.changes:
            attributes = change(attributes)
        return attributes


def _text(name: object) -> Any:
    # Integer names are stored as strings, so lookups convert integers too.
    return str(int(name)) if is_integer(name) and not isinstance(name, bool) else name  # type: ignore[call-overload]  # it is an integer
