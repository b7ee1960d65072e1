"""What some stores can promise beyond the verbs that every store has.

Rules of this file:

* One extra verb, one protocol. Code that can use the verb asks ``isinstance(store, Supports...)``
  once, when an array is opened, and has another way where the answer is no.
* A store that cannot keep the promise does not have the method at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from typing_extensions import Buffer


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
class SupportsSetIf(SupportsValidator, Protocol):
    """Promise compare and swap: of those who start from one validator, one succeeds."""

    def set_if(self, key: str, value: Buffer, validator: Hashable | None) -> bool:
        """Store the value if the key still has this validator, None standing for no value.

        Return whether it was stored.
        """
