"""Tokens of values: of databases that have no versions of them, and of several swaps together."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from fastzarr.stores.place import Place


def swapped(
    changes: Sequence[tuple[str, object, Hashable | None]],
    token_of: Callable[[str], Hashable | None],
) -> list[bool]:
    """Return which of several swaps, each of a key, a value and a token, are made in their order.

    >>> swapped([("a", b"1", None), ("a", b"2", None)], lambda key: None)
    [True, False]
    """
    done: list[bool] = []
    there: dict[str, bool] = {}
    for key, value, token in changes:
        if key in there:
            # Nobody knows the token of the value before, unless that was deleted.
            done.append(token is None and not there[key])
        else:
            done.append(token_of(key) == token)
        if done[-1]:
            there[key] = value is not None
    return done


class Stamps:
    """The objects that tokens have beside a digest, by key.

    A write of this process replaces that of its key, so that a value which was written again has
    another token. Other processes are noticed by the digest. An object lives as long as a token
    has it.
    """

    def __init__(self, place: Place) -> None:
        """Initialise with the place of the values, whose guard is held while objects change."""
        self._place = place
        self._stamps: WeakValueDictionary[str, _Stamp] = WeakValueDictionary()

    def token(self, key: str, value: bytes | memoryview | None) -> Hashable | None:
        """Return the token of a value, or None if the key is missing."""
        if value is None:
            return None
        with self._place.guard:
            stamp = self._stamps.get(key)
            if stamp is None:
                stamp = self._stamps[key] = _Stamp()
        return (hashlib.blake2b(value).digest(), stamp)

    def forget(self, keys: Iterable[str]) -> None:
        """Replace the objects of keys that have been written."""
        with self._place.guard:
            for key in keys:
                self._stamps.pop(key, None)


class _Stamp:
    __slots__ = ("__weakref__",)
