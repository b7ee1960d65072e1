"""The attributes of a node: a mapping that is written through.

Rules of this file:

* Reading is from the handle's copy of the metadata; ``refresh()`` reads the store again, and an
  ``Attributes`` made with ``cache=False`` does so each time.
* A change is a patch. It is applied to the document as it stands in the store at that moment, and
  touches the attributes it names and nothing else: what others changed meanwhile stays.
* One call, and one ``with attrs.batch():``, is one write. What cannot be kept as JSON is refused
  before anything is written, and leaves no trace in memory either.
* What is read is a copy. Changing a list that was read changes nothing until it is assigned.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.errors import PathNotFoundError, ReadOnlyError
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.nodes import documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store

    Attrs = dict[str, Any]


class Holder(Protocol):
    """Stand for what has attributes: an array or a group."""

    @property
    def store(self) -> Store:
        """Give the store."""

    @property
    def path(self) -> str:
        """Give the path in the store."""

    @property
    def read_only(self) -> bool:
        """Tell whether writing is refused."""

    @property
    def layout(self) -> Node:
        """Give the metadata as this handle knows it."""

    @property
    def synchronizer(self) -> Any:
        """Give the user's synchronizer, or None."""

    def _set_layout(self, layout: Any) -> None: ...


class Attributes(MutableMapping[str, Any]):
    """Map the names of a node's attributes to their values, which are those that JSON knows.

    Scalars and arrays of NumPy, tuples, integer names and floats that are no numbers are converted
    as ``fastzarr.metadata.attributes.plain_attributes`` says; anything else is a ``TypeError`` that
    names the attribute.

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
        """Show the attributes of an array or a group."""
        self._holder = holder
        #: Whether reading trusts what was read before.
        self.cache = cache

    @property
    def key(self) -> str:
        """Give the key of the document that holds the attributes."""
        return documents.join(self._holder.path, self._holder.layout.format.attributes)

    @property
    def read_only(self) -> bool:
        """Tell whether writing is refused."""
        return self._holder.read_only

    def asdict(self) -> dict[str, Any]:
        """Give all attributes as a new ``dict``."""
        return deepcopy(self._values())

    def refresh(self) -> None:
        """Read the attributes from the store again.

        Raises ``PathNotFoundError`` if the node is gone.
        """
        holder = self._holder
        latest = documents.load(holder.store, holder.path, holder.layout.format)
        if latest is None:
            msg = f"the node {'/' + holder.path!r} is no longer in {holder.store}"
            raise PathNotFoundError(msg)
        # The handle keeps the rest of its metadata: its shape must not change unasked.
        layout = holder.layout.with_members(attributes=latest.attributes)
        holder._set_layout(layout)  # noqa: SLF001  (attributes are a part of the handle)

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes by these, in one write."""
        new = plain_attributes(attributes, self._place())
        self._change(lambda _: new)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set several attributes, in one write."""
        new = plain_attributes(dict(other) | more, self._place())
        if new:
            self._change(lambda old: old | new)

    def clear(self) -> None:
        """Remove all attributes, in one write."""
        self._change(lambda _: {})

    @contextmanager
    def batch(self) -> Iterator[Attributes]:
        """Collect the changes made in a ``with`` block, and write them at its end, once.

        Inside the block they are visible through this object. If the block raises, none is made.
        """
        if self._batch is not None:
            yield self
            return
        self._check_writable()
        batch = _Batch(self._values())
        # The handle keeps it: each `handle.attrs` is an object of its own.
        vars(self._holder)["_batch"] = batch
        try:
            yield self
        finally:
            del vars(self._holder)["_batch"]
        if batch.changes:
            self._change(batch.apply)

    def __getitem__(self, name: str) -> Any:
        """Give a copy of the value of an attribute."""
        return deepcopy(self._values()[_text(name)])

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute."""
        new = plain_attributes({name: value}, self._place())
        self._change(lambda old: old | new)

    def __delitem__(self, name: str) -> None:
        """Remove an attribute; a missing one is a ``KeyError``."""
        name = _text(name)
        if name not in self._values():
            raise KeyError(name)
        self._change(lambda old: {key: value for key, value in old.items() if key != name})

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an attribute of this name."""
        return _text(name) in self._values()

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(list(self._values()))

    def __len__(self) -> int:
        """Count the attributes."""
        return len(self._values())

    def __repr__(self) -> str:
        """Show as the ``dict`` that it stands for."""
        return repr(self._values())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @property
    def _batch(self) -> _Batch | None:
        return vars(self._holder).get("_batch")

    def _values(self) -> Attrs:
        if self._batch is not None:
            return self._batch.values
        if not self.cache:
            self.refresh()
        return self._holder.layout.attributes

    def _place(self) -> str:
        path = self._holder.path
        return f"{path}: attributes" if path else "attributes"

    def _check_writable(self) -> None:
        if self._holder.read_only:
            name = "/" + self._holder.path
            msg = f"attributes of {name!r}: the node was opened read-only; open it with mode='r+'"
            raise ReadOnlyError(msg)

    def _change(self, change: Callable[[Attrs], Attrs]) -> None:
        self._check_writable()
        if self._batch is not None:
            self._batch.add(change)
            return
        holder = self._holder

        def patch(latest: Node) -> Node:
            return latest.with_members(attributes=change(latest.attributes))

        from fastzarr.nodes.snapshot import changing

        with changing(holder.store, holder.path):
            own = holder.layout.format
            latest = documents.update(holder.store, holder.path, patch, holder.synchronizer, own)
        layout = holder.layout.with_members(attributes=latest.attributes)
        holder._set_layout(layout)  # noqa: SLF001  (attributes are a part of the handle)


class _Batch:
    """Hold changes that were made but not yet written, and what the attributes are with them."""

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
    # Integer names are kept as strings, so they are found by the integer too.
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name
