"""The transactions that threads have begun in a store.

Rules of this file:

* A transaction is known weakly, and by whether its block has ended, because an interrupt may come
  before anything else ends it. What its thread stored after that would be stored in a transaction
  that nobody ends, and be lost.
"""

from __future__ import annotations

from threading import get_ident
from typing import Generic, Protocol, TypeVar
from weakref import ref

from fastzarr.stores.capabilities import Suspension


class Block(Protocol):
    """The changes of a transaction."""

    @property
    def over(self) -> bool:
        """Whether the block has ended, so that no thread takes part in it."""


T = TypeVar("T", bound=Block)


class Begun(Suspension, Generic[T]):
    """The transactions of a store and its copies, by the thread that has begun each.

    Transactions begin and end with the guard of the store's place held.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Initialise without transactions."""
        self.on = False
        self._known: dict[int, ref[T]] = {}

    def begin(self, changes: T) -> None:
        """Let the calling thread take part in a transaction."""
        self._known[get_ident()] = ref(changes)
        self.update()

    def update(self) -> None:
        """Set the switch, after a block has ended."""
        self.on = self.has_any()

    def has_any(self) -> bool:
        """Whether there is a transaction under way."""
        known = [(thread, one) for thread, one in self._known.items() if _is_under_way(one())]
        self._known = dict(known)
        return bool(known)

    def mine(self) -> T | None:
        """Return the transaction in which the calling thread takes part."""
        known = self._known.get(get_ident())
        found = None if known is None else known()
        return found if _is_under_way(found) else None


def _is_under_way(changes: Block | None) -> bool:
    return changes is not None and not changes.over
