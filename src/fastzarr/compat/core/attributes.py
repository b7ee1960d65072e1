"""The attributes of an array or a group, under zarr-python's name.

Rules of this file:

* Reading returns the values of the handle's metadata; every change is written at once, as a patch
  of the document in the store (``nodes/attributes.py``).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr.nodes.attributes import Attributes as Inner

    class HasInner(Protocol):
        """An array or a group of the facade."""

        @property
        def inner(self) -> Any:
            """The node of fastzarr."""


class Attributes(MutableMapping[str, Any]):
    """A mapping of names to values that JSON can represent.

    >>> import fastzarr.compat as zarr
    >>> attrs = zarr.create_group({}, attributes={"units": "K"}).attrs
    >>> attrs["scale"] = 2
    >>> attrs.asdict()
    {'units': 'K', 'scale': 2}
    """

    __slots__ = ("_inner", "_obj")

    def __init__(self, obj: HasInner) -> None:
        """Initialise with an array or a group."""
        self._obj = obj
        self._inner: Inner = obj.inner.attrs

    def __getitem__(self, key: str) -> Any:
        """Return a value; raise KeyError if there is no attribute of the name."""
        return self._inner[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set an attribute."""
        self._inner[key] = value

    def __delitem__(self, key: str) -> None:
        """Delete an attribute; raise KeyError if there is none of the name."""
        del self._inner[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is an attribute of the name."""
        return key in self._inner

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._inner)

    def __len__(self) -> int:
        """Return the number of attributes."""
        return len(self._inner)

    def put(self, d: Mapping[str, Any]) -> None:
        """Replace all attributes in one write."""
        self._inner.put(d)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set several attributes in one write."""
        self._inner.update(other, **more)

    def clear(self) -> None:
        """Remove all attributes in one write."""
        self._inner.clear()

    def asdict(self) -> dict[str, Any]:
        """Return all attributes as a new ``dict``."""
        return self._inner.asdict()
