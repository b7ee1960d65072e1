"""The transactions of an environment of LMDB.

Rules of this file:

* Keys and values are stored as they are, as zarr-python 2 stored them, without a version.
* Views are handed to the engine alone, which drops them at the end of a call. Each of its requests
  has one transaction; if too many are open, values are copied, and so are small ones.
"""

from __future__ import annotations

from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastzarr.stores.capabilities import SMALL, Views
from fastzarr.stores.sessions import Session, WritingSession

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from fastzarr.stores.lmdb.environment import Environment
    from fastzarr.stores.sessions import Changes


# Values of at most so many bytes are copied sooner than a view is made.
_COPIED = 1 << 14


class Reading(Session):
    """A transaction that reads; without an environment, there are no keys."""

    def __init__(self, environment: Environment, *, reads_only: bool | None = None) -> None:
        """Initialise without a transaction; ``reads_only`` is passed to ``session``."""
        self._environment, self._reads_only = environment, reads_only
        self.thread = get_ident()
        self._env: Any = None
        self._txn: Any = None
        self._key = ""

    def __enter__(self) -> Self:
        """Begin the transaction."""
        how = self._reads_only
        self._env, self._txn = self._environment.session(self, write=False, reads_only=how)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """End the transaction; raise DatabaseError if LMDB has failed."""
        txn = self._txn
        try:
            if txn is not None:
                self._end(txn, failed=error is not None)
        except self._environment.failures as failure:
            error = failure
        except BaseException:
            self.abandon()
            raise
        finally:
            self._txn = None
            if txn is not None:
                self._environment.leave(self)
        if isinstance(error, self._environment.failures):
            raise self._environment.worded(error, self._key) from error

    def _end(self, txn: Any, *, failed: bool) -> None:
        del failed
        txn.abort()

    def abandon(self) -> None:
        """Undo the transaction, unless it has ended."""
        txn, self._txn = self._txn, None
        if txn is not None:
            with suppress(self._environment.failures):
                txn.abort()

    def sync(self) -> None:
        """Sync the file."""
        if self._env is not None and not self._env.flags()["readonly"]:
            self._env.sync(True)  # noqa: FBT003  (LMDB's)

    def begin(self) -> None:
        """Do nothing: a transaction sees the values of one time."""

    def get(self, key: str) -> memoryview | None:
        """Return a view of the value of a key, or None if it is missing."""
        if self._txn is None:
            return None
        self._key = key
        found: memoryview | None = self._txn.get(_encoded(key))
        return found

    def peek(self, key: str) -> tuple[int, memoryview] | None:
        """Return the size of a value, with a view of it."""
        found = self.get(key)
        return None if found is None else (len(found), found)

    def small(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """Return the values of keys at one time, except for large ones."""
        found: dict[str, bytes | None] = {}
        for key in keys:
            value = self.get(key)
            if value is None or len(value) <= SMALL:
                found[key] = None if value is None else bytes(value)
        return found

    def token(self, key: str) -> Hashable | None:
        """Return the token of a value, or None if the key is missing."""
        return self._environment.stamps.token(key, self.get(key))

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys below a prefix."""
        return [key.decode() for key in self._below(_start(prefix))]

    def _below(self, start: bytes) -> Iterator[bytes]:
        if self._txn is None:
            return
        with self._txn.cursor() as cursor:
            found = cursor.set_range(start) if start else cursor.first()
            while found:
                key = bytes(cursor.key())
                if not key.startswith(start):
                    return
                yield key
                found = cursor.next()

    def names(self, prefix: str) -> Iterable[str]:
        """Return the names directly below a prefix; the other keys in a folder are passed over."""
        start = _start(prefix)
        names: dict[str, None] = {}
        if self._txn is None:
            return names
        with self._txn.cursor() as cursor:
            found = cursor.set_range(start) if start else cursor.first()
            while found:
                key = bytes(cursor.key())
                if not key.startswith(start):
                    break
                name, slash, _ = key[len(start) :].partition(b"/")
                names[name.decode()] = None
                # The sign after the slash comes after all keys in the folder.
                found = cursor.set_range(start + name + b"0") if slash else cursor.next()
        return names

    def total(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        return sum(len(self._txn.get(key)) for key in self._below(_start(prefix)))

    def is_empty(self, prefix: str) -> bool:
        """Whether no key is below a prefix."""
        return next(self._below(_start(prefix)), None) is None


class Writing(Reading, WritingSession):
    """A transaction that writes, and keeps other writers out."""

    def __init__(self, environment: Environment, nbytes: int) -> None:
        """Initialise; the new values have ``nbytes``."""
        super().__init__(environment)
        self._nbytes = nbytes
        self._changed: list[str] = []

    def __enter__(self) -> Self:
        """Begin the transaction, when no other writer has one."""
        self._env, self._txn = self._environment.session(self, write=True, nbytes=self._nbytes)
        return self

    def _end(self, txn: Any, *, failed: bool) -> None:
        if failed or not self._changed:
            txn.abort()
            return
        txn.commit()
        self._environment.stamps.forget(self._changed)

    def put(self, changes: Changes) -> None:
        """Store values, and delete the keys of those that are None."""
        for key, value in changes.items():
            self._key = key
            self._changed.append(key)
            if value is None:
                self._txn.delete(_encoded(key))
            else:
                self._txn.put(_encoded(key), value)

    def move(self, source: str, target: str) -> None:
        """Rename the key at one path, and all keys below it, to those of another.

        Values that are at their new keys already are not written, which would take memory.
        """
        copies = set(self.keys(target))
        for key in (source, *self.keys(source)):
            # A view would not be valid any more when it is written.
            value = None if (found := self.get(key)) is None else bytes(found)
            if value is None:
                continue
            new = target + key[len(source) :]
            if new not in copies or value != bytes(self.get(new) or b""):
                self.put({new: value})
            copies.discard(new)
            self.put({key: None})
        # Their values were deleted since they were copied.
        self.put(dict.fromkeys(copies))


class Lease:
    """A transaction that lasts as long as views of its values.

    It ends when it is released. A finalizer in Python would swallow an interrupt.
    """

    #: Its views may be used after the next session of their thread has begun.
    thread = None

    def __init__(self, environment: Environment, *, reads_only: bool | None = None) -> None:
        """Begin the transaction; ``reads_only`` is passed to ``session``."""
        self._environment = environment
        _, self._txn = environment.session(self, write=False, reads_only=reads_only)

    def abandon(self) -> None:
        """End the transaction, whose views are not valid any more."""
        self._txn = None

    def values(self, keys: Sequence[str]) -> list[memoryview | bytes | None]:
        """Return the values of keys, large ones as views unless too many have any."""
        found = self._get(keys)
        if not self._environment.has_room():
            return _copied(found)
        return [
            self._view(one) if one and len(one) > _COPIED else _copied([one])[0] for one in found
        ]

    def views(self, keys: Sequence[str]) -> Views:
        """Return the values of keys, as views that are valid as long as this transaction.

        Each is looked for when it is taken. They are copied if too many transactions have views.
        """
        if self._txn is not None and self._environment.has_room():
            return Views(self, map(self._txn.get, map(str.encode, keys)))
        return Views(None, _copied(self._get(keys)))

    def _get(self, keys: Sequence[str]) -> list[memoryview | None]:
        if self._txn is None:
            return [None] * len(keys)
        get = self._txn.get
        try:
            return [get(key.encode()) for key in keys]
        except self._environment.failures:
            for key in keys:
                try:
                    get(key.encode())
                except self._environment.failures as error:
                    raise self._environment.worded(error, key) from error
            raise

    def _view(self, found: Any) -> memoryview:
        array: Any = np.frombuffer(found, np.uint8).view(_Leased)
        array.lease = self
        return memoryview(array)


class _Leased(np.ndarray):
    """An array of the bytes of a value, which keeps the transaction."""

    lease: Lease


def _copied(found: Sequence[memoryview | None]) -> list[Any]:
    return [None if one is None else bytes(one) for one in found]


def _encoded(key: str) -> bytes:
    return key.encode()


def _start(prefix: str) -> bytes:
    return f"{prefix}/".encode() if prefix else b""
