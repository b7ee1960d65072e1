"""Any mapping of strings to bytes as a store.

Rules of this file:

* The mapping belongs to the caller: it is modified, and never copied.
* Values are stored as bytes, copied from the caller's buffer. Other code may put any buffer into
  the mapping.
* Whether ``set`` is atomic depends on the mapping; in a ``dict`` it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.stores.base import Store
from fastzarr.stores.place import of_object

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from fastzarr.stores.place import Place


class MappingStore(Store):
    """A store in a mapping: a ``shelve``, an fsspec mapper, a store of zarr-python 2.

    >>> values = {}
    >>> MappingStore(values).set("a/b", b"1")
    >>> values
    {'a/b': b'1'}
    """

    # The mapping belongs to the caller, who may not expect other threads than those that decode.
    concurrency = 1

    def __init__(
        self,
        mapping: MutableMapping[str, Any] | None = None,
        *,
        read_only: bool = False,
        mutablemapping: MutableMapping[str, Any] | None = None,
    ) -> None:
        """Initialise with the mapping; ``mutablemapping`` is zarr-python 2's name for it."""
        given = mapping if mutablemapping is None else mutablemapping
        if given is None or (mapping is not None and mutablemapping is not None):
            msg = "pass one mapping; mapping and mutablemapping are the same argument"
            raise TypeError(msg)
        if isinstance(given, str | bytes | os.PathLike):
            msg = f"expected a mapping of keys to bytes, got {given!r}; a folder is a LocalStore"
            raise TypeError(msg)
        super().__init__(read_only=read_only)
        self._mapping = given

    @property
    def mapping(self) -> MutableMapping[str, Any]:
        """The mapping that contains the values.

        >>> MappingStore({"a": b"1"}).mapping
        {'a': b'1'}
        """
        return self._mapping

    def _find_place(self) -> Place:
        return of_object(self._mapping)

    def _get(self, key: str) -> bytes | None:
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        if value is None:  # about to be deleted
            return None
        return value if type(value) is bytes else bytes(flat_bytes(value, key))

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._mapping[key] = bytes(value)

    def _delete(self, key: str) -> None:
        with suppress(KeyError):
            del self._mapping[key]

    get_valid = _get
    set_valid = _set

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        # The keys are copied, because other threads may write during the iteration.
        keys = tuple(self._mapping)
        return [key for key in keys if isinstance(key, str) and key.startswith(start)]

    def _exists(self, key: str) -> bool:
        return key in self._mapping

    def __eq__(self, other: object) -> bool:
        """Whether both mappings have equal values; ``read_only`` is ignored."""
        if not isinstance(other, MappingStore):
            return NotImplemented
        return self._mapping is other._mapping or self._mapping == other._mapping

    __hash__ = None

    def __copy__(self) -> Self:
        """Return a store of the same mapping, which has the same place."""
        other = type(self).__new__(type(self))
        Store.__setstate__(other, super().__getstate__())
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the place, because a pickle contains a copy of the mapping."""
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "_place"}

    def __str__(self) -> str:
        """Return a URL that identifies the mapping within this process."""
        return f"mapping://{id(self._mapping)}"
