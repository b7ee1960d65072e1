"""The stored objects of one array, addressed by chunk coordinates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fastzarr.codecs.base import MODEST
from fastzarr.config import config
from fastzarr.grids.keys import BlockKeys, ChunkKeys
from fastzarr.native import HAS_FILES
from fastzarr.stores.turns import Synchronized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.program import Program
    from fastzarr.metadata.layout import Layout
    from fastzarr.stores.base import Store
    from fastzarr.stores.capabilities import Pinned, Spans, Views
    from fastzarr.stores.turns import Turn


class StoredChunks:
    """The stored objects of one array.

    ``files`` describes them to the extension if the store has declared that they are files.
    """

    __slots__ = (
        "declared",
        "encode",
        "encode_many",
        "files",
        "has_views",
        "located",
        "missed",
        "most",
        "name",
        "path",
        "prefix",
        "program_at",
        "spelled",
        "store",
        "synchronizer",
        "tree",
    )

    #: Threads do not wait before they write: see ``WaitingChunks``.
    admit = None

    def __init__(
        self,
        layout: Layout,
        store: Store,
        path: str,
        synchronizer: Any = None,
        name: str | None = None,
        tree: Pinned[Any] | None = None,
    ) -> None:
        """Initialise; the user's ``synchronizer``, if not None, has a lock for each key.

        ``path`` is that of the array in ``store``. ``name`` is its path in the user's store, if
        that is another, because ``store`` is that of a ``tree`` that is held open.
        """
        self.store, self.path = store, path
        self.encode, self.encode_many = layout.keys.encode, layout.keys.encode_many
        #: Whether the extension asks for views of many objects together.
        self.has_views = store.views is not None
        self.program_at = (
            layout.program_at if store.swap is not None and not store.swaps_deletes else None
        )
        #: The most bytes that an object may have, unless it is a shard, which may have gaps.
        self.most = most_stored(layout.program)
        self.name, self.tree = path if name is None else name, tree
        self.synchronizer = synchronizer
        #: An object that is replaced whenever a read finds an object missing.
        self.missed: object = None
        self.prefix = f"{path}/" if path else ""
        self.files: tuple[Any, ...] | None = None
        found = None if store.files is None else store.files()
        suspended = found is None and store.suspension.on
        self.declared = store.files is not None and not suspended
        #: None unless the extension asks where values are in a file (``spans``), and reads them
        #: there; then whether it may read parts of them alone, as of shards.
        self.located: bool | None = None
        if HAS_FILES and store.spans is not None:
            self.located = layout.program.inside is not None
        keys = layout.keys
        #: How the extension spells the keys itself, which it can only in this package's encodings.
        self.spelled: tuple[str, bool, str, bool] | None = None
        if type(keys) in (BlockKeys, ChunkKeys):
            self.spelled = (
                self.prefix,
                keys.name == "default",
                keys.separator,
                type(keys) is BlockKeys,
            )
        if found is not None and HAS_FILES and self.spelled is not None:
            self.files = (found.root, *self.spelled, found.follow_links)

    def anew(self, layout: Layout) -> StoredChunks:
        """Return the stored objects as the store declares them now for the calling thread.

        They can change: assigning a verb to the store voids its capabilities, and a transaction of
        the thread suspends them. Threads of the engine then act for the calling thread.
        """
        return StoredChunks(
            layout, self.store.acting(), self.path, self.synchronizer, self.name, self.tree
        )

    def key(self, chunk: tuple[int, ...]) -> str:
        """Return the key of the object at these coordinates."""
        return self.prefix + self.encode(chunk)

    def user_key(self, chunk: tuple[int, ...]) -> str:
        """Return the key of the object in the user's store."""
        return f"{self.name}/{self.encode(chunk)}" if self.name else self.encode(chunk)

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Return the bytes of the object at these coordinates, or None if it is missing."""
        key = self.prefix + self.encode(chunk)
        read = self.store.get_bounded
        found = self.store.get_valid(key) if read is None else read(key, None, self.most)
        if found is None:
            self.miss(key)
        return found

    def get_many(self, chunks: Sequence[tuple[int, ...]]) -> list[bytes | None]:
        """Return what ``get`` returns for each of several objects."""
        keys = self.encode_many(self.prefix, chunks)
        found = self.store.get_many_valid(keys)
        for key, value in zip(keys, found, strict=True):
            if value is None:
                self.miss(key)
        return found

    def keys_of(self, chunks: Sequence[tuple[int, ...]]) -> list[str]:
        """Return the keys of several objects."""
        return self.encode_many(self.prefix, chunks)

    def get_views(self, keys: Sequence[str]) -> Views:
        """Return several objects as views, for the extension, which tells of missing ones."""
        ask: Any = self.store.views
        found: Views = ask(keys)
        return found

    def spans(self, keys: Sequence[str]) -> Spans:
        """Return where several objects are, for the extension, which tells of missing ones."""
        ask: Any = self.store.spans
        found: Spans = ask(keys, self.most)
        return found

    def missed_at(self, chunk: tuple[int, ...]) -> None:
        """Remember that the object at these coordinates was missing, as ``miss`` does."""
        self.miss(self.prefix + self.encode(chunk))

    def miss(self, key: str) -> None:
        """Remember that an object was missing; raise the store's error if it is not known to be."""
        self.store.check_missing(key)
        self.missed = object()

    def source(self, chunk: tuple[int, ...]) -> StoredSource:
        """Return the source of the object at these coordinates."""
        return StoredSource(self, self.prefix + self.encode(chunk))

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates."""
        key = self.prefix + self.encode(chunk)
        turn: Turn = self.store.turn(key)
        if self.program_at is not None:
            turn = WithoutDeletes(turn, self.program_at(chunk))
        if self.synchronizer is None:
            return turn
        return Synchronized(turn, self.synchronizer[self.user_key(chunk)])

    def durability(self) -> str | None:
        """Return the durability of files that the extension writes itself; None if it must not."""
        store = self.store
        if self.files is None or self.synchronizer is not None or store.files is None:
            return None
        found = store.files()
        if found is None or found.durability is None:
            return None
        if not store.written:
            store.written = True
        return found.durability


def most_stored(program: Program) -> int:
    """Return the most bytes that a chunk may have stored, by the limits of the configuration.

    A file with holes can have any size, and would take as much memory.
    """
    if program.inside is not None:
        return sys.maxsize
    return max(MODEST, program.nbytes * int(config.flat["limits.expansion"]))


class WithoutDeletes:
    """A turn at a chunk of a store that does not compare tokens when it deletes.

    A chunk that has become empty by a change of its old value is stored with its fill values. One
    that was missing is left alone: to delete it would delete what another writer has stored since.
    """

    __slots__ = ("_missing", "_program", "_turn")

    def __init__(self, turn: Turn, program: Program) -> None:
        """Initialise with the turn at the key, and the program of the array."""
        self._turn, self._program = turn, program
        #: Whether the key was missing at the last look; None if there was none.
        self._missing: bool | None = None

    def get(self) -> bytes | None:
        """Return the current value, or None if the key is missing."""
        found = self._turn.get()
        self._missing = found is None
        return found

    def put(self, value: Any) -> bool:
        """Store the value; for None, do what the last look asks for."""
        if value is None and self._missing is not None:
            if self._missing:
                return True
            value = self._program.encode_fill()
        return self._turn.put(value)

    def end(self) -> None:
        """Release the key."""
        self._turn.end()


class StoredSource:
    """The source of one stored object."""

    __slots__ = ("chunks", "key")

    def __init__(self, chunks: StoredChunks, key: str) -> None:
        """Initialise with the stored objects and the key of this one."""
        self.chunks, self.key = chunks, key

    def get(self) -> Buffer | None:
        """Return all bytes, or None if the object is missing."""
        found = self.chunks.store.get(self.key)
        if found is None:
            self.chunks.miss(self.key)
        return found

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        """Return ranges of the bytes, or None if the object is missing."""
        found = self.chunks.store.get_ranges(self.key, ranges)
        if found is None:
            self.chunks.miss(self.key)
        return found
