"""What stores in a database share: their verbs, made of sessions, and transactions.

Rules of this file:

* A session is one transaction of the database, for reading or for writing. A verb makes one
  session, so that all that it changes is stored together, or nothing is.
* A thread that has begun a transaction of the store reads and changes the values of a ``Staged``
  session instead. Other threads take no part, except those of the engine, which act for their
  caller. The tokens of all that it reads are compared in the session that stores its changes.
* No code of the caller runs during a session of the database.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import ContainsNodeError, TransactionError
from fastzarr.stores.base import Store
from fastzarr.stores.begun import Begun
from fastzarr.stores.capabilities import VERBS, Request, Value
from fastzarr.stores.drafts import TreeDraft, replaced_keys
from fastzarr.stores.keys import METADATA_NAMES, normalise_path, validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.sessions import Staged
from fastzarr.stores.stamps import swapped

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.drafts import DraftValues, Owned
    from fastzarr.stores.sessions import Changes, Session, WritingSession

# The bytes that are counted for a key: those of a page, which is copied when it is changed.
_PAGE = 4096


class Database(Store):
    """The base class of stores in a database with transactions.

    A subclass defines ``_reading`` and ``_writing``, and the identity of its values.
    """

    suspension: Begun[Staged]
    _opened: Any
    _durability: str | None
    # The transaction for which all threads use this store, or None.
    _joined: Staged | None = None
    concurrency = 1
    batch = 1024
    knows_sizes = True

    def __init__(
        self,
        *,
        read_only: bool = False,
        dimension_separator: str | None = None,
        durability: str | None = None,
    ) -> None:
        """Initialise without transactions; raise ValueError for an unknown durability."""
        if durability not in (None, "none", "replace", "full"):
            msg = f"durability must be none, replace or full, not {durability!r}"
            raise ValueError(msg)
        # None of these is a verb, which ``__setattr__`` would look for.
        vars(self).update(
            read_only=read_only,
            dimension_separator=dimension_separator,
            _durability=durability,
            suspension=Begun(),
        )

    @abstractmethod
    def _connect(self) -> None:
        """Set ``_opened`` to what gives access to the database, without opening it."""

    def __getstate__(self) -> Any:
        """Return the settings, without transactions and what is open."""
        state = super().__getstate__().items()
        gone = ("suspension", "_joined", "_opened")
        return {name: held for name, held in state if name not in gone}

    def __setstate__(self, state: Any) -> None:
        """Restore the settings."""
        super().__setstate__(state)
        self.suspension = Begun()
        self._connect()

    @property
    def durability(self) -> str:
        """Which data survives a power cut: ``none``, ``replace`` or ``full``.

        >>> from fastzarr.stores import SQLiteStore
        >>> SQLiteStore(":memory:", durability="full").durability
        'full'
        """
        return str(config.flat["durability"] if self._durability is None else self._durability)

    def __copy__(self) -> Self:
        """Return a store of the same values that takes part in the same transactions."""
        other = type(self).__new__(type(self))
        state: Any = object.__getstate__(self)
        if type(state) is dict and VERBS.isdisjoint(state):
            # As below, in fewer steps: a store is copied whenever it is opened to read.
            vars(other).update(state)
        else:
            Store.__setstate__(other, Store.__getstate__(self))
        return other

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store with the same values that is read-only or, with False, writable."""
        other = self.__copy__()
        vars(other)["read_only"] = read_only
        return other

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Session]:
        """Return a session of the database that only reads."""

    @abstractmethod
    def _writing(self, nbytes: int) -> AbstractContextManager[WritingSession]:
        """Return a session that stores its changes at its end, or nothing if it raises.

        No other session of any process changes the database meanwhile. The changes need about
        ``nbytes``, with their keys and the pages on which these are.
        """

    def _changes(self) -> Staged | None:
        """Return the transaction in which the calling thread takes part."""
        if not self.suspension.on:
            return None
        found = self._joined
        return self.suspension.mine() if found is None else found

    def _read(self) -> AbstractContextManager[Session]:
        changes = self._changes() if self.suspension.on else None
        return self._reading() if changes is None else changes.session()

    def _write(self, nbytes: int = 0) -> AbstractContextManager[WritingSession]:
        changes = self._changes()
        return self._writing(nbytes) if changes is None else changes.session()

    def acting(self) -> Self:
        """Return a store through which other threads take part in this thread's transaction."""
        changes = self._changes()
        if changes is None or self._joined is changes:
            return self
        other = self.__copy__()
        vars(other).update(_place=self.place, _joined=changes)
        return other

    @contextmanager
    def transaction(self, path: str) -> Iterator[None]:
        """Apply the changes of a ``with`` block at its end: all of them or none.

        The calling thread takes part, with this store and all its copies. Other threads read and
        write as if there were no transaction; each can have one of its own. The new values are in
        memory until they are stored by one transaction of the database.

        Raise ``TransactionError`` if the thread has begun a transaction already, or, at the end, if
        another writer has changed a value that the block has read. Listing is not compared, and
        nothing is if the block has changed nothing.
        """
        self._check_write()
        path = normalise_path(path)
        if self._changes() is not None:
            msg = f"a transaction is already under way in {self}"
            raise TransactionError(msg)
        guard, changes = self.place.guard, Staged(self._reading)
        try:
            with guard:
                self.suspension.begin(changes)
            yield
        finally:
            changes.over = True  # before an interrupt can come
            with guard:
                self.suspension.update()
        changes.check_owner()
        if changes.made:
            with self.place.paths.alone(path):
                self._commit(changes)

    def _commit(self, changes: Staged) -> None:
        new = {key: value for key, (value, _) in changes.made.items()}
        with self._writing(_size(new)) as session:
            for key, token in changes.seen.items():
                if session.token(key) != token:
                    msg = (
                        f"another writer has changed {key!r} in {self} since the transaction read "
                        "it, so nothing was written; repeat the transaction"
                    )
                    raise TransactionError(msg)
            session.put(new)

    def _get(self, key: str) -> bytes | None:
        with self._read() as session:
            found = session.get(key)
            return None if found is None else bytes(found)

    get_valid = _get

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Return a value unless ``check(size, key)`` raises, in one session."""
        validate_key(key)
        with self._read() as session:
            size, found = session.peek(key) or (None, None)
            if size is None:
                return None
            check(size, key)
            found = session.get(key) if found is None else found
            value = None if found is None else bytes(found)
        if value is not None:
            check(len(value), key)
        return value

    def get_small(self, groups: Sequence[Sequence[str]]) -> dict[str, bytes | None]:
        """Return the values of all groups of keys as they are at one time, but no large ones.

        >>> from fastzarr.stores import SQLiteStore
        >>> store = SQLiteStore(":memory:")
        >>> store["a"] = b"1"
        >>> store.get_small([["a", "b"]])
        {'a': b'1', 'b': None}
        """
        with self._read() as session:
            return session.small(tuple(dict.fromkeys(chain.from_iterable(groups))))

    def _set(self, key: str, value: bytes | memoryview) -> None:
        with self._write(len(value)) as session:
            session.put({key: value})

    set_valid = _set

    def _delete(self, key: str) -> None:
        with self._write() as session:
            session.put({key: None})

    def _exists(self, key: str) -> bool:
        return self._getsize(key) is not None

    def _getsize(self, key: str) -> int | None:
        with self._read() as session:
            return session.size(key)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes."""
        with self._read() as session:
            return session.total(normalise_path(prefix))

    def _list(self, prefix: str) -> Iterable[str]:
        with self._read() as session:
            return tuple(session.keys(prefix))

    def _list_dir(self, prefix: str) -> Iterable[str]:
        with self._read() as session:
            session.begin()
            return tuple(session.names(prefix))

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        with self._read() as session:
            return session.is_empty(normalise_path(prefix))

    def _delete_dir(self, prefix: str) -> bool:
        with self._write() as session:
            return session.clear(prefix)

    def clear(self) -> None:
        """Delete all keys together."""
        self._check_write()
        with self._write() as session:
            session.clear("")

    def _move(self, source: str, target: str) -> None:
        nbytes = self.getsize_prefix(source) + (self._getsize(source) or 0)
        with self._write(nbytes) as session:
            self._move_in(session, source, target)

    def _move_in(self, session: WritingSession, source: str, target: str) -> None:
        if self._has_node(session, target):
            msg = f"cannot move {source!r} in {self}: another writer has just created {target!r}"
            raise ContainsNodeError(msg)
        session.move(source, target)

    @staticmethod
    def _has_node(session: Session, path: str) -> bool:
        return any(key.rpartition("/")[2] in METADATA_NAMES for key in session.keys(path))

    def _delete_many(self, keys: Iterable[str]) -> None:
        self.set_many((key, None) for key in keys)

    # Capabilities

    def draft(self, path: str) -> TreeDraft:
        """Return a new draft of the tree at a path, which is published in one transaction.

        >>> from fastzarr.stores import SQLiteStore
        >>> store = SQLiteStore(":memory:")
        >>> store["a/old"] = b"1"
        >>> draft = store.draft("a")
        >>> draft.store["new"] = b"2"
        >>> draft.publish(replace=True), dict(store)
        (True, {'a/new': b'2'})
        """
        self._check_write()
        return TreeDraft(self, path)

    def replace_tree(self, path: str, tree: DraftValues, *, replace: bool, owned: Owned) -> bool:
        """Store the values of a draft, as ``Draft.publish`` does, in one transaction.

        >>> from fastzarr.stores import SQLiteStore
        >>> from fastzarr.stores.drafts import DraftValues
        >>> store, tree = SQLiteStore(":memory:"), DraftValues()
        >>> tree["b"] = b"1"
        >>> store.replace_tree("a", tree, replace=False, owned=None), dict(store)
        (True, {'a/b': b'1'})
        """
        start = f"{path}/" if path else ""
        keys = tuple(tree.list())
        sizes = sum(tree.getsize(key) + _PAGE for key in keys)
        with self._write(sizes) as session:
            gone = replaced_keys(session.keys(path), path, replace=replace, owned=owned)
            if gone is None:
                return False
            session.put(dict.fromkeys(gone))
            for key in keys:
                session.put({start + key: tree[key]})
        return True

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return the index of each request with its value, all as they were at one time."""
        for key, _, _ in wanted:
            validate_key(key)
        return self._fetch(wanted)

    def _fetch(self, wanted: Sequence[Request]) -> list[tuple[int, Value | None]]:
        values: list[tuple[int, Value | None]] = []
        with self._read() as session:
            session.begin()
            for index, (key, start, length) in enumerate(wanted):
                found = session.get_with_token(key)
                if found is None:
                    values.append((index, None))
                    continue
                data, token = found
                size = len(data)
                if start or length is not None:
                    data = data[slice(*clip_range(start, length, size))]
                values.append((index, Value(bytes(data), token, size)))
        return values

    def get_many_valid(self, keys: Sequence[str]) -> list[Any]:
        """Return the values of keys that are known to be valid."""
        with self._read() as session:
            session.begin()
            return [session.get(key) for key in keys]

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store values, and delete the keys of those that are None, in one transaction.

        Readers see all changes, or none of them.

        >>> from fastzarr.stores import SQLiteStore
        >>> store = SQLiteStore(":memory:")
        >>> store.set_many([("a", b"1"), ("b", None)])
        >>> dict(store)
        {'a': b'1'}
        """
        new: dict[str, bytes | memoryview | None] = {}
        for key, value in values:
            validate_key(key)
            new[key] = None if value is None else flat_bytes(value, key)
        self._check_write()
        if new:
            with self._write(_size(new)) as session:
                session.put(new)

    def update(self, other: Any = (), /, **values: Buffer) -> None:
        """Store the values of a mapping, or of pairs, in one transaction.

        >>> from fastzarr.stores import SQLiteStore
        >>> store = SQLiteStore(":memory:")
        >>> store.update({"a": b"1"}, b=b"2")
        >>> dict(store)
        {'a': b'1', 'b': b'2'}
        """
        self.setitems(dict(other, **values))

    def validator(self, key: str) -> Hashable | None:
        """Return a token of the current value, or None if the key is missing."""
        validate_key(key)
        with self._read() as session:
            return session.token(key)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.
        Return whether it was current. If not, nothing has changed.
        """
        self._check_write(key)
        data = None if value is None else flat_bytes(value, key)
        with self._write(0 if data is None else len(data)) as session:
            if session.token(key) != token:
                return False
            session.put({key: data})
        return True

    def swap_many(
        self, changes: Sequence[tuple[str, Buffer | None, Hashable | None]]
    ) -> list[bool]:
        """Do as ``swap`` does for each key, value and token, all in one transaction.

        >>> from fastzarr.stores import SQLiteStore
        >>> store = SQLiteStore(":memory:")
        >>> store["a"] = b"1"
        >>> store.swap_many([("a", b"2", store.validator("a")), ("b", None, "other")])
        [True, False]
        """
        self._check_write(*(key for key, _, _ in changes))
        new = [None if value is None else flat_bytes(value, key) for key, value, _ in changes]
        with self._write(sum(_PAGE + len(value or b"") for value in new)) as session:
            done = swapped(changes, session.token)
            many = zip(changes, new, done, strict=True)
            session.put({key: value for (key, _, _), value, made in many if made})
        return done


def _size(changes: Changes) -> int:
    return sum(_PAGE + (0 if value is None else len(value)) for value in changes.values())
