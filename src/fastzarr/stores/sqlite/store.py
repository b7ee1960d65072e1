"""The store in a database of SQLite, with the table of zarr-python 2."""

from __future__ import annotations

import os
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from fastzarr.stores.addresses import InFile
from fastzarr.stores.database import Database
from fastzarr.stores.place import absolute_path
from fastzarr.stores.sqlite.connections import CREATE, MEMORY, READ, UPDATE, Connections
from fastzarr.stores.sqlite.session import TABLE, Reading, Writing

if TYPE_CHECKING:
    import sqlite3

    from fastzarr import hints
    from fastzarr.stores.place import Place


class SQLiteStore(InFile, Database):
    """A store in a SQLite database, in the table of zarr-python 2's ``SQLiteStore``.

    ``path`` is that of the file, which the first write creates, or ``":memory:"``. Other keywords
    are passed to ``sqlite3.connect``; ``timeout`` is the time to wait for a lock, instead of
    ``config["database.timeout"]`` (60 seconds). The store may be used by many threads and
    processes, and by forked children. It cannot be on a network file system, because SQLite's locks
    do not work there.

    All changes of one call of ``set_many`` are one transaction. ``durability`` determines what
    survives a power cut; None uses ``config["durability"]``. With ``"replace"`` and ``"full"`` each
    transaction is synced to the disk when the call returns. With ``"none"`` the last transactions
    may be lost until ``flush``, but the database stays intact. A killed program never leaves a part
    of a transaction, whatever the durability. Large transactions use SQLite's rollback journal;
    after some small ones, a write-ahead log is used for all. ``close`` merges it into the file, if
    no other process has the database open.

    Every failure raises ``DatabaseError``: a lock that was waited for in vain, a full disk, a file
    that is truncated or is no database. SQLite has no checksums. Where a byte of a key was changed
    in the index, reading that key is an error, but where it became another key of the database,
    that one may have the wrong value. ``PRAGMA integrity_check`` through ``db`` finds all that.

    >>> store = SQLiteStore(":memory:")
    >>> store.set_many([("a/b", b"1"), ("a/c", b"2")])
    >>> store["a/b"], store.listdir("a")
    (b'1', ['b', 'c'])
    """

    path: str
    kwargs: dict[str, Any]
    _opened: Connections

    def __init__(
        self,
        path: str | os.PathLike[str],
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        durability: hints.Durability | None = None,
        **kwargs: Any,
    ) -> None:
        """Initialise without opening the file.

        Raise TypeError for a keyword that the store itself passes to ``sqlite3.connect``.
        """
        super().__init__(
            read_only=read_only,
            dimension_separator=dimension_separator,
            durability=durability,
        )
        for name in ("check_same_thread", "detect_types", "isolation_level", "uri"):
            if name in kwargs:
                msg = f"SQLiteStore sets {name} itself; omit it"
                raise TypeError(msg)
        text = os.fspath(path)
        # Neither is a verb, which ``__setattr__`` would look for.
        vars(self).update(path=text if text == MEMORY else absolute_path(text), kwargs=kwargs)
        self._connect()

    def _connect(self) -> None:
        vars(self)["_opened"] = Connections(self.path, self.kwargs)

    def __getstate__(self) -> Any:
        """Return the settings; raise PicklingError for a database in memory."""
        if self.path == MEMORY:
            msg = "a SQLite database in memory cannot be pickled; use a file"
            raise PicklingError(msg)
        return super().__getstate__()

    def _find_place(self) -> Place:
        return self._opened.place

    def _reading(self) -> Reading:
        return Reading(self._opened, READ if self.read_only else UPDATE)

    def _writing(self, nbytes: int) -> Writing:
        return Writing(self._opened, nbytes, synced=self.durability != "none")

    def _run(self, statement: str, mode: str) -> None:
        with Reading(self._opened, mode) as session:
            session.execute(statement)

    def flush(self) -> None:
        """Make all earlier writes durable, which is needed only with the durability ``none``.

        >>> SQLiteStore(":memory:").flush()
        """
        if self.durability == "none":
            self._run("PRAGMA wal_checkpoint(FULL)", UPDATE)

    def close(self) -> None:
        """Flush, and close the file; a later use opens it again. Values in memory are kept.

        >>> SQLiteStore(":memory:").close()
        """
        super().close()
        self._opened.close(merge=True)

    def vacuum(self) -> None:
        """Rewrite the file without unused space, which SQLite's VACUUM does.

        >>> SQLiteStore(":memory:").vacuum()
        """
        self._check_write()
        self._run("VACUUM", CREATE)

    @property
    def db(self) -> sqlite3.Connection:
        """A connection of the caller's own, which the store closes with itself or before a fork.

        >>> store = SQLiteStore(":memory:")
        >>> store.db.execute("SELECT count(*) FROM zarr").fetchall()
        [(0,)]
        """
        return self._opened.own(TABLE)

    @property
    def cursor(self) -> sqlite3.Cursor:
        """A new cursor of ``db``.

        >>> store = SQLiteStore(":memory:")
        >>> store.cursor.execute("SELECT 1").fetchall()
        [(1,)]
        """
        return self.db.cursor()

    def __str__(self) -> str:
        """Return the URL of the file."""
        return f"sqlite://{self.path}"
