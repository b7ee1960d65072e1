"""The transactions of a database of SQLite.

Rules of this file:

* The token of a value is the number of its row: each write gives the row a number that is greater
  than all others, and not less than the time in nanoseconds, so that none is used twice.
* Keys below a prefix are a range of the index, because ``LIKE`` has wildcards.
* SQLite has no checksums. A key that is not found may be one that was damaged in the index, which
  is beside the place where it is looked for, and differs from the key in its row, or is NULL.
"""

from __future__ import annotations

import json
import sqlite3
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from fastzarr.errors import DatabaseError
from fastzarr.stores.capabilities import SMALL
from fastzarr.stores.sessions import Session, WritingSession
from fastzarr.stores.sqlite.connections import CREATE, is_locked

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from fastzarr.stores.sessions import Changes
    from fastzarr.stores.sqlite.connections import Connections, Link

#: The table of zarr-python 2.
TABLE = "CREATE TABLE IF NOT EXISTS zarr(k TEXT PRIMARY KEY, v BLOB)"
# The greatest number is looked up before a replaced row is deleted. The distances are random, so
# that zarr-python 2, which adds 1, does not use a number again either.
_REPLACE = (
    "REPLACE INTO zarr(rowid, k, v) SELECT max(coalesce((SELECT max(rowid) FROM zarr), 0) + 1 + "
    "(random() & 65535), ?), ?, ?"
)
_PEEK = "SELECT k, CASE WHEN length(v) <= ? THEN v END FROM zarr WHERE k IN (?%s)"
_SIZE = "SELECT length(v) FROM zarr WHERE k = ?"
_KEYS = "SELECT %s FROM zarr"
_BELOW = " WHERE k >= ? AND k < ?"
# One value is made sooner than a row for each key. Older libraries may lack the function, and no
# JSON has a key that is not text.
_ALL_IN_ONE = "json_group_array(k)"
_NEXT_KEYS = "SELECT k FROM zarr WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"
_ANY = "SELECT 1 FROM zarr WHERE k >= ? AND k < ? LIMIT 1"
_TOTAL = "SELECT coalesce(sum(length(v)), 0) FROM zarr WHERE k >= ? AND k < ?"
_DELETE_BELOW = "DELETE FROM zarr WHERE k >= ? AND k < ?"
# The keys before and after one, which are read from the index, and those in their rows.
_BESIDE = (
    "SELECT 1 FROM (SELECT k, rowid AS n FROM zarr WHERE k %s ?1 ORDER BY k %s LIMIT 1) AS one "
    "LEFT JOIN zarr ON zarr.rowid = one.n WHERE zarr.k IS NOT one.k"
)
# No key is found before one that became NULL, though the first one is there; or in an empty index.
_ALONE = (
    "SELECT 1 WHERE NOT EXISTS (SELECT * FROM (SELECT 1 FROM zarr WHERE k < ?1 ORDER BY k DESC "
    "LIMIT 1)) AND coalesce((SELECT k IS NULL OR k <= ?1 FROM zarr ORDER BY k LIMIT 1), "
    "(SELECT 1 FROM zarr NOT INDEXED LIMIT 1), 0)"
)
_DAMAGED = f"{_BESIDE % ('<', 'DESC')} UNION ALL {_BESIDE % ('>', 'ASC')} UNION ALL {_ALONE}"
_MOVE = "UPDATE zarr SET k = ? || substr(k, ?) WHERE k = ? OR (k >= ? AND k < ?)"
# What it fails with, too, if there are too many keys for one value.
_TOO_MUCH = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_NOMEM)
# Names are found among so many keys; then the rest of the last folder is left out.
_FEW = 64


class Reading(Session):
    """A session that reads; without a file, there are no keys."""

    def __init__(self, connections: Connections, mode: str) -> None:
        """Initialise without a connection."""
        self._connections, self._mode = connections, mode
        self._link: Link | None = None
        self._taken: sqlite3.Connection | None = None
        # The key that an error is about.
        self._key = ""
        # Whether the session has read nothing, so that it may begin again.
        self._is_new = True

    def __enter__(self) -> Self:
        """Take a connection, if there is a file."""
        found = self._link = self._connections.take(self._mode, self)
        if found is not None:
            self._taken = found.connection
        return self

    @property
    def _within(self) -> bool:
        """Whether the caller has begun a transaction, which the session must not end."""
        return self._link is not None and self._link.within

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Give the connection back; raise DatabaseError if SQLite has failed."""
        link, self._taken = self._link, None
        if link is not None:
            try:
                if link.connection.in_transaction:
                    self._end(link.connection, failed=error is not None)
            finally:
                self._link = None
                self._connections.give_back(link, self)
        if isinstance(error, sqlite3.Error):
            raise self._connections.worded(error, self._key) from error

    def _end(self, taken: sqlite3.Connection, *, failed: bool) -> None:
        del failed
        if not self._within:
            taken.rollback()

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Return all rows of a statement; none if the table is missing."""
        taken = self._taken
        if taken is None:
            return []
        try:
            try:
                found = taken.execute(statement, parameters).fetchall()
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                found = self._connections.execute(taken, statement, parameters)
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_ERROR and not self._has_table(taken):
                return []
            renewed = None if is_locked(error) else self._begin_again()
            if renewed is None:
                raise
            found = self._connections.execute(renewed, statement, parameters)
        self._is_new = False
        return found

    def _begin_again(self) -> sqlite3.Connection | None:
        """Begin again with another connection, and return it; None if it is too late for that."""
        link, taken = self._link, self._taken
        if link is None or taken is None or link.mode == CREATE or not self._is_new:
            return None
        begun = taken.in_transaction
        self._connections.renew(link)
        self._taken = link.connection
        if begun:
            self.begin()
        return link.connection

    @staticmethod
    def _has_table(taken: sqlite3.Connection) -> bool:
        return bool(taken.execute("SELECT 1 FROM sqlite_master WHERE name = 'zarr'").fetchall())

    def begin(self) -> None:
        """Let all that follows see the values of one time."""
        if self._taken is not None:
            self._connections.execute(self._taken, "BEGIN")

    def get_with_token(self, key: str) -> tuple[bytes, Hashable] | None:
        """Return the value of a key with the number of its row."""
        self._key = key
        for value, number in self.execute("SELECT v, rowid FROM zarr WHERE k = ?", (key,)):
            return self._checked(value), number
        if self.execute(_DAMAGED, (key,)):
            raise self._damaged(key)
        return None

    def _damaged(self, key: str) -> DatabaseError:
        msg = "the index of keys is damaged, so that values may be missing; restore the file"
        return DatabaseError(msg, self._connections.url, key)

    def _checked(self, value: Any) -> bytes:
        if type(value) is not bytes:
            msg = f"the value is {type(value).__name__} instead of bytes"
            raise DatabaseError(msg, self._connections.url, self._key)
        return value

    def peek(self, key: str) -> tuple[int, bytes | None] | None:
        """Return the size of a value, with the value if it is small."""
        self._key = key
        for _, value in self.execute(_peek(1), (SMALL, key)):
            if value is not None:
                return len(self._checked(value)), value
            for (size,) in self.execute(_SIZE, (key,)):
                return (len(self._checked(None)) if size is None else size), None
        return None

    def small(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """Return the values of keys at one time, except for large ones."""
        found: dict[str, bytes | None] = dict.fromkeys(keys)
        for key, value in self.execute(_peek(len(keys)), (SMALL, *keys)):
            if value is None:
                del found[key]
            elif type(value) is bytes:
                found[key] = value
            else:
                self._key = key
                self._checked(value)
        return found

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None if it is missing."""
        found = self.get_with_token(key)
        return None if found is None else found[0]

    def token(self, key: str) -> Hashable | None:
        """Return the number of a row, or None if the key is missing."""
        self._key = key
        rows = self.execute("SELECT rowid FROM zarr WHERE k = ?", (key,))
        return rows[0][0] if rows else None

    def size(self, key: str) -> int | None:
        """Return the size of a value in bytes, or None if the key is missing."""
        self._key = key
        rows = self.execute(_SIZE, (key,))
        return rows[0][0] if rows else None

    def total(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        below = _range(prefix)
        rows = self.execute(_TOTAL, below)
        return int(rows[0][0]) if rows else 0

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys below a prefix."""
        below, limits = (_BELOW, _range(prefix)) if prefix else ("", ())
        try:
            rows = self.execute(_KEYS % _ALL_IN_ONE + below, limits)
            found = json.loads(rows[0][0]) if rows else []
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) not in _TOO_MUCH:
                raise
            found = [k for (k,) in self.execute(_KEYS % "k" + below, limits)]
        if None in found:
            raise self._damaged(prefix)
        return found

    def names(self, prefix: str) -> Iterable[str]:
        """Return the names directly below a prefix; most keys in folders are not looked at."""
        start, stop = _range(prefix)
        cut = len(start)
        names: dict[str, None] = {}
        while True:
            rows = self.execute(_NEXT_KEYS, (start, stop, _FEW))
            if (None,) in rows:
                raise self._damaged(prefix)
            for (key,) in rows:
                names[key[cut:].partition("/")[0]] = None
            if len(rows) < _FEW:
                return names
            last = rows[-1][0]
            name, slash, _ = last[cut:].partition("/")
            # The sign after the slash comes after all keys in the folder.
            before, start = start, f"{last[:cut]}{name}0" if slash else f"{last}\0"
            if start <= before:
                raise self._damaged(last)

    def is_empty(self, prefix: str) -> bool:
        """Whether no key is below a prefix."""
        return not self.execute(_ANY, _range(prefix))


class Writing(Reading, WritingSession):
    """A session that writes, and keeps other writers out from its beginning."""

    def __init__(self, connections: Connections, nbytes: int, *, synced: bool) -> None:
        """Initialise; with ``synced``, the transaction is on the disk at its end.

        The changes need about ``nbytes``.
        """
        super().__init__(connections, CREATE)
        self._nbytes, self._synced = nbytes, synced

    def __enter__(self) -> Self:
        """Take a connection, and wait for other writers."""
        super().__enter__()
        try:
            self._begin()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def _begin(self) -> None:
        if self._within:
            msg = "a transaction begun by the store's attribute db is open; end it first"
            raise DatabaseError(msg, self._connections.url)
        link = self._link
        assert link is not None  # noqa: S101  (it creates the file)
        self._connections.begin(link, self._nbytes, synced=self._synced)
        self.execute(TABLE)

    def _end(self, taken: sqlite3.Connection, *, failed: bool) -> None:
        if self._within:
            return  # the session has not begun it
        if failed:
            taken.rollback()
            return
        try:
            self._taken = taken
            self.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._connections.worded(error) from error
        finally:
            self._taken = None
            if taken.in_transaction:
                taken.rollback()

    def put(self, changes: Changes) -> None:
        """Store values, and delete the keys of those that are None."""
        taken = self._taken
        if taken is None:
            return
        taken.executemany("DELETE FROM zarr WHERE k = ?", self._named(changes, deleted=True))
        taken.executemany(_REPLACE, self._named(changes, deleted=False))

    def _named(self, changes: Changes, *, deleted: bool) -> Iterator[tuple[Any, ...]]:
        now = time.time_ns()
        for key, value in changes.items():
            if (value is None) is deleted:
                self._key = key
                yield (key,) if value is None else (now, key, value)

    def clear(self, prefix: str) -> bool:
        """Delete all keys below a prefix; return whether there were any."""
        found = not self.is_empty(prefix)
        self.execute(_DELETE_BELOW, _range(prefix))
        return found

    def move(self, source: str, target: str) -> None:
        """Rename the key at one path, and all keys below it, to those of another."""
        below = _range(source)
        self.execute(
            _MOVE,
            (target, len(source) + 1, source, *below),
        )


@cache
def _peek(count: int) -> str:
    return _PEEK % (",?" * (count - 1))


def _range(prefix: str) -> tuple[str, str]:
    """Return the first key below a prefix that may be, and the first one that is beyond."""
    # "0" is the sign after "/", and no sign of Unicode comes after the last one.
    return (f"{prefix}/", f"{prefix}0") if prefix else ("", chr(0x10FFFF) * 4)
