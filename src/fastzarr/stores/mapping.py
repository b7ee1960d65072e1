"""Any mapping from string to bytes as a store.

Rules of this file:

* The mapping is the caller's: it is written into and never copied.
* Values are stored as bytes, copied from the caller's buffer. Other code may put any buffer into
  the mapping.
* Whether ``set`` is atomic depends on the mapping; that of a ``dict`` is.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

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

    def __init__(
        self,
        mapping: MutableMapping[str, Any] | None = None,
        *,
        read_only: bool = False,
        mutablemapping: MutableMapping[str, Any] | None = None,
    ) -> None:
        """Keep the mapping itself; ``mutablemapping`` is zarr-python 2's word for it."""
        given = mapping if mutablemapping is None else mutablemapping
        if given is None or (mapping is not None and mutablemapping is not None):
            msg = "a mapping is needed, once: mapping and mutablemapping are two names for it"
            raise TypeError(msg)
        super().__init__(read_only=read_only)
        self._mapping = given

    @property
    def mapping(self) -> MutableMapping[str, Any]:
        """The mapping that holds the values."""
        return self._mapping

    def _find_place(self) -> Place:
        return of_object(self._mapping)

    def _get(self, key: str) -> bytes | None:
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        if value is None:  # about to be removed
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
        # A copy of the keys, since others may write while they are gone through.
        keys = tuple(self._mapping)
        return [key for key in keys if isinstance(key, str) and key.startswith(start)]

    def _exists(self, key: str) -> bool:
        return key in self._mapping

    def __eq__(self, other: object) -> bool:
        """Whether both mappings hold equal values; whether a store is read-only does not count."""
        if not isinstance(other, MappingStore):
            return NotImplemented
        return self._mapping is other._mapping or self._mapping == other._mapping

    __hash__ = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the identity of the mapping, of which a pickle holds a copy."""
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "_place"}

    def __str__(self) -> str:
        """Return a URL that names the mapping within this process."""
        return f"mapping://{id(self._mapping)}"
