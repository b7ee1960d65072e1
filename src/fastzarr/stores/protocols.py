"""What some stores can promise beyond the verbs that every store has.

Rules of this file:

* One extra verb, one protocol. Code that can use the verb asks ``isinstance(store, Supports...)``
  once, when an array is opened, and has another way where the answer is no.
* A store that cannot keep the promise does not have the method at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from fastzarr.stores.base import Store


@runtime_checkable
class SupportsFiles(Protocol):
    """Promise that the value of a key is the file of that name under one folder."""

    def files(self) -> Path | None:
        """Give the folder, or None where these files must not be opened past the store."""


@runtime_checkable
class SupportsValidator(Protocol):
    """Promise a token that changes when the value of a key does."""

    def validator(self, key: str) -> Hashable | None:
        """Give the token of the value there is now, or None where there is none.

        Tokens are compared with ``==`` and live in this process; they are not for storing.
        """


@runtime_checkable
class Swaps(SupportsValidator, Protocol):
    """A store with compare-and-swap: of several writers that start from one token, one succeeds."""

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` returned; None means that the key is missing. Return
        whether it was current. If not, nothing has changed.
        """


@runtime_checkable
class SupportsTimes(Protocol):
    """Promise to tell, without a request, when a value was written."""

    def modified(self, key: str) -> int | None:
        """Give the time of the last write in nanoseconds, or None where there is no value."""


class Draft(Protocol):
    """Be a tree that is made beside its place and put there in one step."""

    #: What is in the tree, from its root on.
    store: Store

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Put the tree into its place, instead of what is there if ``replace`` says so.

        Return False, and change nothing, if a node is there, or below, that must not be replaced.
        ``owned`` tells of a key below the path whether the new node will take it for its own.
        """

    def discard(self) -> None:
        """Remove what was made."""


@runtime_checkable
class SupportsDraft(Protocol):
    """Promise that what stands at a path can be replaced as a whole, in one step for readers."""

    def draft(self, path: str) -> Draft | None:
        """Begin a tree that is to stand at a path; None where this one path cannot be replaced."""


@runtime_checkable
class SupportsTransaction(Protocol):
    """Promise that changes made together are seen together, whoever dies when."""

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Make what is changed below a path in a ``with`` block at its end, all or nothing."""
