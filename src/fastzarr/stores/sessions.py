"""The sessions of a database: its transactions, and the changes of one that are in memory."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Self

from fastzarr.errors import TransactionError
from fastzarr.stores.capabilities import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    Changes = Mapping[str, bytes | memoryview | None]


class Session(ABC):
    """One transaction of a database; what it returns may be a view that is valid in it."""

    @abstractmethod
    def get(self, key: str) -> bytes | memoryview | None:
        """Return the value of a key, or None if it is missing."""

    @abstractmethod
    def token(self, key: str) -> Hashable | None:
        """Return the token of the value of a key, or None if it is missing."""

    @abstractmethod
    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys below a prefix."""

    @abstractmethod
    def begin(self) -> None:
        """Let all that follows be of one time, if single reads are not."""

    def get_with_token(self, key: str) -> tuple[bytes | memoryview, Hashable | None] | None:
        """Return the value of a key with its token, which is None if it takes more effort."""
        found = self.get(key)
        return None if found is None else (found, None)

    def size(self, key: str) -> int | None:
        """Return the size of a value in bytes, or None if the key is missing."""
        found = self.get(key)
        return None if found is None else len(found)

    def peek(self, key: str) -> tuple[int, bytes | memoryview | None] | None:
        """Return the size of a value, with the value if it takes no further effort."""
        size = self.size(key)
        return None if size is None else (size, None)

    def small(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """Return the values of keys at one time, except for those larger than ``SMALL``."""
        found = {key: self.get(key) for key in keys if (self.size(key) or 0) <= SMALL}
        return {key: None if value is None else bytes(value) for key, value in found.items()}

    def total(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        return sum(self.size(key) or 0 for key in tuple(self.keys(prefix)))

    def names(self, prefix: str) -> Iterable[str]:
        """Return the names of keys and folders directly below a prefix."""
        start = len(prefix) + 1 if prefix else 0
        return {key[start:].partition("/")[0] for key in self.keys(prefix)}

    def is_empty(self, prefix: str) -> bool:
        """Whether no key is below a prefix."""
        return next(iter(self.keys(prefix)), None) is None


class WritingSession(Session):
    """A transaction of a database that may change values."""

    @abstractmethod
    def put(self, changes: Changes) -> None:
        """Store values, and delete the keys of those that are None."""

    def clear(self, prefix: str) -> bool:
        """Delete all keys below a prefix; return whether there were any."""
        found = tuple(self.keys(prefix))
        self.put(dict.fromkeys(found))
        return bool(found)

    def move(self, source: str, target: str) -> None:
        """Rename the key at one path, and all keys below it, to those of another."""
        for key in (source, *self.keys(source)):
            value = self.get(key)
            if value is not None:
                self.put({target + key[len(source) :]: bytes(value), key: None})


class Staged(WritingSession):
    """The values of a database with the changes of a transaction, which are in memory."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Session]]) -> None:
        """Initialise without changes."""
        self._reading = reading
        #: The token of each key when it was first read, unless it had been changed before.
        self.seen: dict[str, Hashable | None] = {}
        #: The new value of each key that was changed, with its token.
        self.made: dict[str, tuple[bytes | None, object]] = {}
        # Held by one thread at a time, because those of the engine act for their caller.
        self._lock = RLock()
        self._owner = os.getpid()
        #: Whether the block has ended, so that no thread takes part.
        self.over = False

    @contextmanager
    def session(self) -> Iterator[Self]:
        """Use it in a ``with`` block; raise TransactionError in a forked child."""
        self.check_owner()
        with self._lock:
            yield self

    def check_owner(self) -> None:
        """Raise TransactionError in a forked child, which takes no part."""
        if os.getpid() != self._owner:
            msg = "the transaction is of the parent process, which alone can take part in it"
            raise TransactionError(msg)

    def _look(self, session: Session, key: str) -> None:
        if key not in self.seen:
            self.seen[key] = session.token(key)

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None if it is missing."""
        if key in self.made:
            return self.made[key][0]
        with self._reading() as session:
            self._look(session, key)
            found = session.get(key)
            return None if found is None else bytes(found)

    def token(self, key: str) -> Hashable | None:
        """Return the token of the value of a key, or None if it is missing."""
        if key in self.made:
            value, token = self.made[key]
            return None if value is None else token
        with self._reading() as session:
            self._look(session, key)
            return session.token(key)

    def size(self, key: str) -> int | None:
        """Return the size of a value in bytes, or None if the key is missing."""
        if key in self.made:
            value = self.made[key][0]
            return None if value is None else len(value)
        with self._reading() as session:
            self._look(session, key)
            return session.size(key)

    def begin(self) -> None:
        """Do nothing: the values of several times are compared at the end."""

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys below a prefix, including the new ones."""
        with self._reading() as session:
            found = set(session.keys(prefix))
        start = f"{prefix}/" if prefix else ""
        for key, (value, _) in self.made.items():
            if key.startswith(start):
                (found.discard if value is None else found.add)(key)
        return found

    def put(self, changes: Changes) -> None:
        """Change values."""
        for key, value in changes.items():
            self.made[key] = (None if value is None else bytes(value), object())
