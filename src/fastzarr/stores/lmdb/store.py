"""The store in an environment of LMDB, with the keys and values of zarr-python 2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.stores.addresses import InFile
from fastzarr.stores.capabilities import Views
from fastzarr.stores.database import Database
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.lmdb.environment import environment
from fastzarr.stores.lmdb.session import Lease, Reading, Writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr import hints
    from fastzarr.stores.lmdb.environment import Environment
    from fastzarr.stores.place import Place


class LMDBStore(InFile, Database):
    """A store in an LMDB environment, as zarr-python 2's ``LMDBStore`` made it.

    ``path`` is that of a folder with the environment, or of its file with ``subdir=False``; an
    existing one is recognised. The first write creates it. With ``buffers``, arrays are read from
    the mapped file without a copy. Other keywords are passed to ``lmdb.open``. Here, other than in
    zarr-python 2, each transaction is synced, and the map of the file cannot be written. The map is
    as large as addresses permit, and grows if ``map_size`` was less.

    All changes of one call of ``set_many`` are one transaction. ``durability`` determines what
    survives a power cut; None uses ``config["durability"]`` when the environment is opened. With
    ``"none"``, the last transaction may be lost, but the environment stays intact. A killed program
    never leaves a part of a transaction.

    LMDB keeps what one transaction writes in memory. So a tree with more than ``fetch.bytes`` is
    copied by several transactions when it is moved, its documents by the last one. If the program
    is killed before that, the tree is unchanged, and a part of the copy must be deleted.

    The store may be used by many threads and processes, and by forked children, but not on a
    network file system. A change waits for other writers, also for a transaction of ``db``, and
    raises ``DatabaseError`` after ``database.timeout`` (60 seconds); on Linux, because elsewhere
    LMDB does not tell who writes, and waits without a limit. Other failures raise
    ``DatabaseError``, too: a full disk, a file that is truncated or is no environment. Keys have at
    most 511 bytes.

    LMDB has no checksums and trusts its pages. If a byte of a key was changed on the disk, that key
    is missing, and if a byte of the tree was, keys may be missing, or the process ends. Where all
    chunks are stored, ``config.set({"array.read_missing_chunks": False})`` makes a missing one an
    error.

    >>> import tempfile
    >>> store = LMDBStore(tempfile.mkdtemp())
    >>> store.set_many([("a/b", b"1"), ("a/c", b"2")])
    >>> store["a/b"], store.listdir("a")
    (b'1', ['b', 'c'])
    """

    path: str
    buffers: bool
    kwargs: dict[str, Any]
    _opened: Environment
    # Larger ones need new memory each time, and the file has room for two that replace others.
    batch_bytes = 2 << 20

    def __init__(
        self,
        path: str | os.PathLike[str],
        buffers: bool = True,
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        durability: hints.Durability | None = None,
        **kwargs: Any,
    ) -> None:
        """Initialise without opening the environment; raise ImportError without lmdb."""
        super().__init__(
            read_only=read_only,
            dimension_separator=dimension_separator,
            durability=durability,
        )
        # None of these is a verb, which ``__setattr__`` would look for.
        place = os.path.abspath(os.fspath(path))
        vars(self).update(path=place, buffers=bool(buffers), kwargs=kwargs)
        self._connect()

    def _connect(self) -> None:
        settings = dict(self.kwargs)
        if self.durability == "none":
            settings.setdefault("metasync", False)
        vars(self)["_opened"] = environment(str(self), self.path, settings)

    def _find_place(self) -> Place:
        return self._opened.place

    @property
    def _reads_only(self) -> bool | None:
        """Whether the environment may be opened to read; None for one that is as it is."""
        return True if self.read_only else None

    def _reading(self) -> Reading:
        return Reading(self._opened, reads_only=self._reads_only)

    def _writing(self, nbytes: int) -> Writing:
        return Writing(self._opened, nbytes)

    def get_many_valid(self, keys: Sequence[str]) -> list[Any]:
        """Return the values of keys that are known to be valid, as views if they may be."""
        if not self.buffers or self._changes() is not None:
            return [None if one is None else bytes(one) for one in super().get_many_valid(keys)]
        return Lease(self._opened, reads_only=self._reads_only).values(keys)

    def views(self, keys: Sequence[str]) -> Views:
        """Return the values of valid keys, as views in one transaction if they may be.

        >>> import tempfile
        >>> store = LMDBStore(tempfile.mkdtemp())
        >>> store["a"] = b"1"
        >>> [None if one is None else bytes(one) for one in store.views(["a", "b"]).values]
        [b'1', None]
        """
        if not self.buffers or self._changes() is not None:
            return Views(None, self.get_many_valid(keys))
        return Lease(self._opened, reads_only=self._reads_only).views(keys)

    # They are consistent with ``_move``.
    draft = Database.draft
    transaction = Database.transaction

    def _move(self, source: str, target: str) -> None:
        # LMDB has all that a transaction writes in memory. Documents are moved last, so that the
        # node is at one of both paths.
        most = config.flat["fetch.bytes"]
        keys = [key for key in self._list(source) if key.rpartition("/")[2] not in METADATA_NAMES]
        if self._changes() is not None or self.getsize_prefix(source) <= most:
            super()._move(source, target)
            return
        left = keys
        try:
            while left:
                left = self._copied(left, len(source), target, most)
            with self._writing(0) as session:
                self._move_in(session, source, target)
        except BaseException:
            copied = [target + key[len(source) :] for key in keys[: len(keys) - len(left)]]
            with self._writing(0) as session:
                # Another writer's node has chunks at the same keys.
                if not self._has_node(session, target):
                    session.put(dict.fromkeys(copied))
            raise

    def _copied(self, keys: list[str], cut: int, target: str, most: int) -> list[str]:
        """Copy values in one transaction until they have ``most`` bytes; return the other keys."""
        with self._writing(most) as session:
            for number, key in enumerate(keys):
                if most <= 0:
                    return keys[number:]
                value = session.get(key)
                if value is not None:
                    most -= len(value)
                    session.put({target + key[cut:]: bytes(value)})
        return []

    def flush(self) -> None:
        """Make all earlier writes durable, which is needed only with the durability ``none``.

        >>> import tempfile
        >>> LMDBStore(tempfile.mkdtemp()).flush()
        """
        if not self._opened.is_synced():
            with Reading(self._opened, reads_only=False) as session:
                session.sync()

    def close(self) -> None:
        """Flush, and close the environment when nobody uses it; a later use opens it again.

        >>> import tempfile
        >>> LMDBStore(tempfile.mkdtemp()).close()
        """
        super().close()
        self._opened.close()

    @property
    def db(self) -> Any:
        """The environment, which is closed with the store or before a fork.

        >>> import tempfile
        >>> store = LMDBStore(tempfile.mkdtemp())
        >>> store.db.stat()["entries"]
        0
        """
        return self._opened.own()

    def __str__(self) -> str:
        """Return the URL of the environment."""
        return f"lmdb://{self.path}"
