"""A store around any other, for subclasses that change some of its verbs.

Rules of this file:

* Every verb is passed on. A subclass that overrides one thereby voids the capabilities that would
  bypass it, as in all stores: ``capabilities.py`` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.buffers import flat_bytes
from fastzarr.stores.around import Around
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.base import Range
    from fastzarr.stores.capabilities import Request, Value
    from fastzarr.stores.turns import Turn


class WrapperStore(Around):
    """A store around another, which passes on everything; subclass it to change some verbs.

    ``store`` is a store, or anything that represents one. Subclasses override ``_get``, ``_set``
    and the other methods that authors of stores write, or the public verbs. What they override is
    honoured: array data is then read and written through it, too. Without overrides, locks and
    compare-and-swap are those of the store.

    >>> class Upper(WrapperStore):
    ...     def _get(self, key):
    ...         value = super()._get(key)
    ...         return None if value is None else value.upper()
    >>> store = Upper({"a": b"value"})
    >>> store["a"], store.get_ranges("a", [(1, 2)])
    (b'VALUE', [b'AL'])
    """

    def __init__(self, store: Any) -> None:
        """Initialise with a store, or anything that represents one."""
        found = as_store(store)
        super().__init__(read_only=found.read_only)
        self._around(found)

    @property
    def supports_partial_reads(self) -> bool:  # type: ignore[override]
        """Whether a part of a value is read without the rest.

        >>> WrapperStore({}).supports_partial_reads
        False
        """
        return self._store.supports_partial_reads

    # Values

    def _get(self, key: str) -> bytes | None:
        return self._store.get(key)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        return self._store.get_ranges(key, ranges)

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value."""
        return self._store.fetch(wanted)

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request."""
        fetch = self._store.fetch_async
        assert fetch is not None  # noqa: S101  (this method is None otherwise)
        return await fetch(wanted)

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing."""
        validator = self._store.validator
        assert validator is not None  # noqa: S101  (this method is None otherwise)
        return validator(key)

    # Changes

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._store.set(key, value)

    def _delete(self, key: str) -> None:
        self._store.delete(key)

    def _delete_many(self, keys: Iterable[str]) -> None:
        many = list(keys)
        self._check_write(*many)
        self._store.delitems(many)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store each value, or delete its key if the value is None.

        >>> store = WrapperStore({"a": b"1"})
        >>> store.set_many([("a", None), ("b", b"2")])
        >>> dict(store)
        {'b': b'2'}
        """
        self._check_write()
        set_many = self._store.set_many
        assert set_many is not None  # noqa: S101  (this method is None otherwise)
        set_many(values)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current; return whether it was."""
        self._check_write(key)
        swap = self._store.swap
        assert swap is not None  # noqa: S101  (this method is None otherwise)
        return swap(key, None if value is None else flat_bytes(value, key), token)

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Do as ``swap`` does; return also the token of the new value, or None if it is unknown.

        >>> from obstore.store import MemoryStore
        >>> from fastzarr.storage import ObjectStore
        >>> store = WrapperStore(ObjectStore(MemoryStore()))
        >>> store.swap_token("a", b"1", None)[1] == store.validator("a")
        True
        """
        self._check_write(key)
        swap_token = self._store.swap_token
        assert swap_token is not None  # noqa: S101  (this method is None otherwise)
        return swap_token(key, None if value is None else flat_bytes(value, key), token)

    def _turn(self, key: str) -> Turn:
        return self._store.turn(key)

    def _delete_dir(self, prefix: str) -> bool | None:
        return self._store.delete_dir(prefix)

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        self._store.clear()

    def _move(self, source: str, target: str) -> None:
        self._store.move(source, target)
