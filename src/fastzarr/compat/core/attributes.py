"""The attributes of an array or a group, under zarr-python's name.

Rules of this file:

* Reading returns the values of the handle's metadata; every change is written at once, as a patch
  of the document in the store (``nodes/attributes.py``).
* A tuple that was assigned is read as a tuple through the same handle, as in zarr-python, for as
  long as the attribute is what was stored for it. JSON, and every other handle, has a list.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.metadata.json import alike

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    >>> attrs["range"] = (0, 1)
    >>> attrs["range"]
    (0, 1)
    """

    __slots__ = ("_inner", "_obj")

    def __init__(self, obj: HasInner) -> None:
        """Initialise with an array or a group."""
        self._obj = obj
        self._inner: Inner = obj.inner.attrs

    def __getitem__(self, key: str) -> Any:
        """Return a value; raise KeyError if there is no attribute of the name."""
        return self._as_given(key, self._inner[key])

    def __setitem__(self, key: str, value: Any) -> None:
        """Set an attribute."""
        self._inner[key] = value
        self._remember({key: value})

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
        self._remember(d)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set several attributes in one write."""
        given = list(other) if hasattr(other, "__next__") else other
        self._inner.update(given, **more)
        self._remember(dict(given, **more))

    def clear(self) -> None:
        """Remove all attributes in one write."""
        self._inner.clear()

    def asdict(self) -> dict[str, Any]:
        """Return all attributes as a new ``dict``."""
        found = self._inner.asdict()
        return {key: self._as_given(key, value) for key, value in found.items()}

    def _remember(self, given: Mapping[str, Any]) -> None:
        """Keep the values with tuples in them, beside what is stored for them."""
        for key, value in given.items():
            if _has_tuples(value) and key in self._inner:
                kept = vars(self._obj).setdefault("_tuples", {})
                kept[key] = self._inner[key], deepcopy(value)

    def _as_given(self, key: str, stored: Any) -> Any:
        """Return a value as it was assigned through this handle, if nobody has changed it since."""
        before, given = vars(self._obj).get("_tuples", {}).get(key, (None, None))
        return deepcopy(given) if given is not None and alike(before, stored) else stored


def _has_tuples(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, tuple) or (isinstance(value, list) and any(map(_has_tuples, value)))
