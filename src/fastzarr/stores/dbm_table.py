"""A database of ``dbm.sqlite3``, whose own class belongs to one thread and syncs each value.

Rules of this file:

* All changes until ``sync`` are one transaction, and those of a session can be undone alone.
* SQLite's rollback journal gets the old content of each page that a transaction writes, but not of
  those that were free before. So a large value is first stored beside the one that it replaces,
  which is deleted when all values are stored. Its pages are free for the next transaction.
* The stored value has the key as text until then, because the table has each key once. Keys of
  ``dbm.sqlite3`` are blobs, which differ from all text. Text of the same length is changed to a
  blob in place, where a page that stays the same is not written again.
* The pages that are free in the end are given back by ``close``, in databases that were made here.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Large values have few pages.
_PAGE_SIZE = 16384
# What has no page of its own is replaced where it is.
_LARGE = 1 << 16
# How many pages are given back at most.
_SHRUNK = 1024
_SETTINGS = (
    # The pages of a transaction are written once, at its end.
    "cache_size=-32768",
    # Where SQLite is built to overwrite what is deleted, it would write large values once more.
    "secure_delete=FAST",
    # The folder is synced, too, so that no power cut brings the journal back.
    "synchronous=EXTRA",
)
_CREATE = "CREATE TABLE IF NOT EXISTS Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)"
_GET = "SELECT value FROM Dict WHERE key = CAST(? AS BLOB)"
_ROW = "SELECT rowid FROM Dict WHERE key = CAST(? AS BLOB)"
_DELETE = "DELETE FROM Dict WHERE key = CAST(? AS BLOB)"
_REPLACE = "REPLACE INTO Dict VALUES (CAST(? AS BLOB), CAST(? AS BLOB))"


class Table:
    """An open database of ``dbm.sqlite3``, which any thread may use.

    >>> import tempfile
    >>> table = Table(tempfile.mkdtemp() + "/a.dbm", "c")
    >>> table[b"a"] = b"1"
    >>> table[b"a"], table.keys(), len(table)
    (b'1', [b'a'], 1)
    """

    def __init__(self, path: str, flag: str) -> None:
        """Open the file at a path, in the way that ``flag`` means for ``dbm.open``."""
        if flag == "n":
            with suppress(FileNotFoundError):
                os.unlink(path)
        how = {"r": "ro", "w": "rw"}.get(flag, "rwc")
        self._table = sqlite3.connect(
            f"{Path(path).as_uri()}?mode={how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        # The rows of values that are stored beside old ones, by their keys, each after the old row.
        self._beside: dict[bytes, tuple[int, int]] = {}
        # Whether a part can be undone, anything was changed, and there is a journal.
        self._in_part = self._changed = self._journal = False
        if how == "rwc":
            if not Path(path).stat().st_size:
                self._run(f"PRAGMA page_size={_PAGE_SIZE}")
                # In a file that has it already, this would be another write.
                self._run("PRAGMA auto_vacuum=INCREMENTAL")
            self._run(_CREATE)

    def _setting(self, name: str) -> Any:
        ((found,),) = self._run(f"PRAGMA {name}")
        return found

    def _run(self, statement: str, *values: Any) -> list[Any]:
        return self._table.execute(statement, values).fetchall()

    def __getitem__(self, key: bytes) -> bytes:
        """Return the value of a key; raise KeyError if it is missing."""
        self.settle()
        found = self._run(_GET, key)
        if not found:
            raise KeyError(key)
        return bytes(found[0][0])

    def __contains__(self, key: bytes) -> bool:
        """Whether a key has a value."""
        return bool(self._run(_ROW, key))

    def __len__(self) -> int:
        """Return the number of keys."""
        self.settle()
        return int(self._run("SELECT count(*) FROM Dict")[0][0])

    def keys(self) -> list[bytes]:
        """Return all keys."""
        self.settle()
        return [key for (key,) in self._run("SELECT key FROM Dict")]

    def __setitem__(self, key: bytes, value: bytes | memoryview) -> None:
        """Store a value."""
        self._begin()
        if len(value) < _LARGE or not self._journal:
            self._run(_REPLACE, key, value)
            return
        if key in self._beside:
            self.settle()
        old = self._run(_ROW, key)
        if not old:
            self._run(_REPLACE, key, value)
            return
        row = self._table.execute("INSERT INTO Dict VALUES (?, ?)", (key.decode(), value))
        self._beside[key] = old[0][0], row.lastrowid or 0

    def settle(self) -> None:
        """Let new values be in the place of old ones."""
        if not self._beside:
            return
        rows, self._beside = self._beside, {}
        self._many("DELETE FROM Dict WHERE rowid = ?", [(old,) for old, _ in rows.values()])
        named = [(key, new) for key, (_, new) in rows.items()]
        self._many("UPDATE Dict SET key = CAST(? AS BLOB) WHERE rowid = ?", named)

    def _many(self, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
        self._table.executemany(statement, values)

    def __delitem__(self, key: bytes) -> None:
        """Delete a key, if it exists."""
        self._begin()
        self.settle()
        self._run(_DELETE, key)

    def _begin(self) -> None:
        if not self._table.in_transaction:
            if not self._changed:
                self._prepare()
            self._table.execute("BEGIN IMMEDIATE")
            self._changed = True

    def _prepare(self) -> None:
        """Make the settings of transactions that write."""
        for setting in _SETTINGS:
            self._run(f"PRAGMA {setting}")
        # A journal that is cut off takes less than one that is made anew. A log is kept.
        if self._setting("journal_mode") != "wal":
            self._journal = self._setting("journal_mode=TRUNCATE") == "truncate"

    def begin(self) -> None:
        """Begin changes that can be undone together."""
        self._begin()
        self._table.execute("SAVEPOINT part")
        self._in_part = True

    def undo(self) -> None:
        """Undo the changes since ``begin``."""
        self._beside = {}
        # SQLite has undone all of them itself after some errors.
        if self._in_part and self._table.in_transaction:
            self._table.execute("ROLLBACK TO part")
        self.end()

    def end(self) -> None:
        """End what ``begin`` has begun."""
        if self._in_part and self._table.in_transaction:
            self._table.execute("RELEASE part")
        self._in_part = False

    def sync(self) -> None:
        """Store all changes, so that they survive a power cut."""
        if self._table.in_transaction:
            self.settle()
            self._table.execute("COMMIT")

    def rollback(self) -> None:
        """Undo all changes since the last ``sync``."""
        self._beside, self._in_part = {}, False
        if self._table.in_transaction:
            self._table.execute("ROLLBACK")

    def close(self) -> None:
        """Store all changes, and close the file."""
        try:
            self.sync()
            if self._journal:
                self._shrink()
                # It deletes the journal.
                self._run("PRAGMA journal_mode=DELETE")
        finally:
            self._table.close()

    def _shrink(self) -> None:
        """Give free pages back to the system, as many as a batch has, if nobody reads them."""
        self._run("PRAGMA busy_timeout=0")
        with suppress(sqlite3.OperationalError):
            self._run("BEGIN IMMEDIATE")
            for _ in range(min(self._setting("freelist_count"), _SHRUNK)):
                # Python's library executes only one step of it, which is one page.
                self._run("PRAGMA incremental_vacuum")
            self._run("COMMIT")
