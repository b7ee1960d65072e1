"""The attributes of arrays and groups: a document in a store."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from fastzarr.metadata.formats import parse_format
from fastzarr.nodes.consolidating import write_again
from fastzarr.nodes.snapshot import changing
from fastzarr.v2._storage.store import attrs_key, change, ensure_store, inner_store
from fastzarr.v2.errors import ReadOnlyError
from fastzarr.v2.meta import Metadata2
from fastzarr.v2.util import json_dumps, nolock

if TYPE_CHECKING:
    from collections.abc import Callable


class Attributes(MutableMapping[str, Any]):
    """The attributes in a document of a store; each change is written at once.

    >>> attrs = Attributes({})
    >>> attrs["units"] = "K"
    >>> attrs.asdict()
    {'units': 'K'}
    """

    def __init__(
        self,
        store: Any,
        key: str = attrs_key,
        read_only: bool = False,
        cache: bool = True,
        synchronizer: Any = None,
        cached_dict: dict[str, Any] | None = None,
    ) -> None:
        """Initialise with the store and the key of the document."""
        self.store: Any = ensure_store(store)
        self.key, self.read_only, self.cache = key, read_only, cache
        self._cached_asdict = cached_dict if cache else None
        self.synchronizer = synchronizer

    def asdict(self) -> dict[str, Any]:
        """Return all attributes."""
        if self.cache and self._cached_asdict is not None:
            return self._cached_asdict
        found = self._get_nosync()
        if self.cache:
            self._cached_asdict = found
        return found

    def refresh(self) -> None:
        """Read the document again."""
        if self.cache:
            self._cached_asdict = self._get_nosync()

    def put(self, d: Any) -> None:
        """Replace all attributes, in one write."""
        self._change(lambda _: d)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several attributes, in one write."""
        new = dict(*args, **kwargs)
        self._change(lambda old: {**old, **new})

    def __contains__(self, name: object) -> bool:
        """Whether there is an attribute of this name."""
        return name in self.asdict()

    def __getitem__(self, name: str) -> Any:
        """Return the value of an attribute; raise KeyError if there is none."""
        return self.asdict()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute."""
        self._change(lambda old: {**old, name: value})

    def __delitem__(self, name: str) -> None:
        """Remove an attribute; raise KeyError if there is none."""

        def without(old: dict[str, Any]) -> dict[str, Any]:
            left = dict(old)
            del left[name]
            return left

        self._change(without)

    def keys(self) -> Any:
        """Return the names."""
        return self.asdict().keys()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.asdict())

    def __len__(self) -> int:
        """Return the number of attributes."""
        return len(self.asdict())

    def _ipython_key_completions_(self) -> list[str]:
        return sorted(self)

    def _get_nosync(self) -> dict[str, Any]:
        try:
            data = self.store[self.key]
        except KeyError:
            return {}
        found: dict[str, Any] = Metadata2.parse_metadata(data)
        return found

    def _change(self, patch: Callable[[dict[str, Any]], Any]) -> None:
        """Apply a patch to the document as it is now, so that no other change is lost."""
        if self.read_only:
            msg = f"the attributes in {self.key!r} are read-only; open the node with mode='r+'"
            raise ReadOnlyError(msg)
        latest: dict[str, Any] = {}

        def make(old: bytes | None) -> bytes:
            nonlocal latest
            latest = _with_text_names(patch({} if old is None else Metadata2.parse_metadata(old)))
            return json_dumps(latest)

        with nolock if self.synchronizer is None else self.synchronizer[self.key]:
            self._write(make)
        if self.cache:
            self._cached_asdict = latest

    def _write(self, make: Callable[[bytes | None], bytes]) -> None:
        path, _, name = self.key.rpartition("/")
        if name != attrs_key:
            change(self.store, self.key, make)
            return
        # Consolidated metadata does not describe the change.
        place = inner_store(self.store)
        own = parse_format(2 if place.zarr_format is None else place.zarr_format)
        with changing(place, path, own) as ended:
            change(self.store, self.key, make)
        if ended:
            write_again(place, ended)


def _with_text_names(attributes: Any) -> Any:
    if all(isinstance(name, str) for name in attributes):
        return attributes
    warnings.warn(
        "only attribute keys of type 'string' will be allowed in the future; others are converted",
        DeprecationWarning,
        stacklevel=5,
    )
    return {str(name): value for name, value in attributes.items()}
