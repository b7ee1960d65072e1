"""One archive: its members, and the changes that are made to it.

Rules of this file:

* What all copies of a store share is here. ``view`` has a file with its members. It is replaced, or
  its members are updated, in one step, so that readers need no lock.
* Before each change, and before a read if the file has another size, the changes of other writers
  are read. A reader thus sees the archive as of one moment, and no change is based on an old one.
* A change is appended, and seen by other processes at once. ``flush`` writes the directory: first
  what it lists is synced, then the directory, so that there is always one that is valid.
* Nothing that a directory lists is overwritten. The space of replaced members is only freed by
  ``compact``, which writes a new file and renames it.
* Bytes behind the last complete record were left by a writer that died. The next writer removes
  them, because other bytes could follow them otherwise.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr.errors import ArchiveError, BaseZarrError
from fastzarr.stores.local import system
from fastzarr.stores.threads import shared
from fastzarr.stores.zip import format as zf
from fastzarr.stores.zip import log
from fastzarr.stores.zip.opening import Opened, check_first, open_archive
from fastzarr.stores.zip.source import (
    FileChange,
    FileSource,
    ObjectSource,
    OpenFile,
    RemoteSource,
    locked_here,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fastzarr.stores.zip.format import Entry

    Source = FileSource | ObjectSource | RemoteSource
    Change = FileChange | ObjectSource

# How much a copy reads and writes at a time.
_PIECE = 8 << 20
# An archive with less free space than this is not compacted when it is closed, unless it is small.
_WASTE = 1 << 20


class Packed(NamedTuple):
    """A value as it will be stored: its bytes, and the checksum and the size of the value.

    The bytes are those of a member of the archive if ``data`` is an entry.
    """

    method: int
    data: bytes | memoryview | Entry
    crc: int
    size: int


class Item(NamedTuple):
    """A change to be made: a value, or the deletion of a key (DELETE) or of all below it (TREE)."""

    key: str
    value: Packed | None
    kind: bytes = b""


_finishing = shared("fastzarr-zip")
_left: list[Archive] = []  # what it is to finish


class View:
    """A file, and its members by key, in the order of the directory; None counts as missing."""

    __slots__ = ("_names", "_version", "comment", "entries", "folders", "opened", "reader")

    def __init__(self, reader: Any, opened: Opened) -> None:
        """Initialise."""
        self.reader, self.opened = reader, opened
        self.entries: zf.Entries = dict(opened.entries)
        #: The entries of folders and the comment, which are kept for other programs.
        self.folders, self.comment = opened.folders, opened.comment
        self._version = 0
        # The names below each folder, and the version of the entries that they are of. A thread may
        # collect them while another one updates the entries.
        self._names: tuple[int, dict[str, set[str]]] | None = None

    def update(self, changes: list[log.Change]) -> None:
        """Apply changes in one step."""
        self.folders, self.comment = log.kept(self.folders, self.comment, changes)
        base, new = log.applied(self.entries, changes)
        names, version = self._current_names(), self._version + 1
        if base is not self.entries:
            self.entries, names = {**base, **new}, None
        added = [key for key, entry in new.items() if entry and self.entries.get(key) is None]
        gone = [key for key, entry in new.items() if entry is None]
        self.entries.update(new)
        for key in gone:
            self.entries.pop(key, None)
        if names is not None and not gone:
            for key in added:
                _name(names, key)
            self._names = version, names
        self._version = version

    def start(self, entry: Entry) -> int:
        """Return the offset of the data of a member.

        Raise ArchiveError if its header is not that of the directory.
        """
        if entry.start < 0:
            length = zf.LOCAL.size + len(entry.name)
            header = zf.Header(self.reader.read(entry.offset, length))
            zf.check_header(header, entry)
            entry.start = entry.offset + header.length
        return entry.start

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Yield the stored bytes of a member, of which only a part need be in memory at a time."""
        start, end = self.start(entry), self.start(entry) + entry.stored
        for first in range(start, end, _PIECE):
            yield self.reader.read(first, min(_PIECE, end - first))

    def has(self, prefix: str) -> bool:
        """Whether there are keys below a prefix."""
        start = f"{prefix}/" if prefix else ""
        return any(entry is not None and key.startswith(start) for key, entry in self.members())

    def listed(self) -> list[Entry]:
        """Return what a directory has: the entries of folders and members."""
        return [*self.folders, *(one for one in list(self.entries.values()) if one is not None)]

    def members(self) -> list[tuple[str, Entry | None]]:
        """Return the members by key, which other threads may change meanwhile."""
        return list(self.entries.items())

    def check_complete(self, key: str) -> None:
        """Raise ArchiveError if a key that was not found may have been lost."""
        opened = self.opened
        if opened.sealed:
            return
        if isinstance(self.reader, RemoteSource):
            # It would be another request at each opening.
            check_first(self.reader, opened)
        if not opened.proven:
            msg = (
                f"{key!r} is not among the members that were recovered of a damaged archive, and "
                "may have been lost"
            )
            raise ArchiveError(msg)
        if not isinstance(self.reader, RemoteSource):
            # A name that was damaged in the directory differs from that of the member.
            for found in [*self.entries.values(), *opened.hidden]:
                if found is not None:
                    self.start(found)
        opened.sealed = True

    def below(self, prefix: str) -> set[str]:
        """Return the names directly below a prefix."""
        names = self._current_names()
        if names is None:
            version, names = self._version, {"": set()}
            for key, entry in list(self.entries.items()):
                if entry is not None:
                    _name(names, key)
            self._names = version, names
        return set(names.get(prefix, ()))

    def _current_names(self) -> dict[str, set[str]] | None:
        found = self._names
        return None if found is None or found[0] != self._version else found[1]


class Archive:
    """The shared state of the stores of one archive."""

    def __init__(self, source: Source, *, zip64: bool, durability: str) -> None:
        """Initialise; the archive is read when it is first used."""
        self.source, self.zip64, self.durability = source, zip64, durability
        self.view: View | None = None
        #: Excludes the other threads from changes.
        self.guard, self._process = RLock(), os.getpid()
        # The offset of the next record, the size of the file when it was last read, and the link
        # behind which there is no directory, or -1.
        self._end = self._seen = 0
        self._link, self._first_link = -1, False
        #: Whether this process has made changes since the last ``flush``, and since the last close.
        self.written = self._changed = False
        self._new = False

    # Reading

    def exists(self) -> bool:
        """Whether there is an archive, as far as is known without a request."""
        if isinstance(self.source, FileSource):
            return os.path.lexists(self.source.path)
        return isinstance(self.source, RemoteSource) or self.source.tail(0)[1] > 0

    def current(self) -> View:
        """Return the members as they are now; raise FileNotFoundError if there is no archive."""
        view = self.view
        if view is not None:
            if not isinstance(view.reader, OpenFile):
                return view
            size, named = view.reader.seen()
            if size == self._seen and named:
                return view
            if not named and not os.path.exists(self.source.path):
                return view  # deleted, but it can still be read
        with self._alone():
            if not isinstance(self.source, FileSource):
                return self._loaded(self.source)
            with self.source.locked(shared=True) as change:
                return self._catch_up(change)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._process != os.getpid():
            # A thread of the parent may have had the lock when it forked.
            self.guard, self._process = RLock(), os.getpid()
            self.written = False
        with self.guard:
            yield

    def _loaded(self, reader: Any) -> View:
        if self.view is not None and self.view.reader is reader:
            return self.view
        return self._load(reader)

    def _load(self, reader: Any) -> View:
        remote = isinstance(reader, RemoteSource)
        found = open_archive(reader, self.source.path, recover=not remote)
        self._end, self._seen, self._link = found.end, found.size, found.link
        self._first_link = found.first_link
        self.view = View(reader, found)
        return self.view

    def _catch_up(self, change: Change) -> View:
        """Return the members with the changes of other writers, while the file is locked."""
        if isinstance(self.source, RemoteSource) or isinstance(change, ObjectSource):
            return self._loaded(self.source)
        view = self.view
        if view is None or not view.reader.is_same(change.lock):
            return self._load(self.source.open())
        reader: OpenFile = view.reader
        size, _ = reader.seen()
        if size == self._seen == self._end:
            return view
        if size < self._end:
            return self._load(self.source.open())
        # Another writer may have replaced an incomplete record by one of the same size.
        verify = self._seen > self._end
        shift = view.opened.shift
        found = log.Replay(reader, self._end, size, link=self._link, shift=shift, verify=verify)
        if size != self._seen and found.end == self._end and _is_rewritten(reader, size):
            return self._load(self.source.open())
        view.update(found.changes)
        if found.checked >= 0:
            view.opened.shift = 0
        self._link = found.link
        self._end = found.end
        self._seen = size
        return view

    # Changing

    @contextmanager
    def _changing(self, *, create: bool = False) -> Iterator[tuple[Change, View]]:
        """Exclude all other writers in a ``with`` block."""
        source = self.source
        if isinstance(source, RemoteSource):
            msg = f"the archive {source.path} is in another store, and can only be read"
            raise BaseZarrError(msg)
        # A file that was opened and is gone is not replaced by one with only the next change.
        with self._alone(), source.locked(create=create and self.view is None) as change:
            view = self._catch_up(change)
            if not view.opened.proven:
                msg = (
                    f"the archive {source.path!r} is damaged, and only {len(view.entries)} members "
                    "were recovered; read it with mode='r', or copy these to a new store"
                )
                raise ArchiveError(msg)
            yield change, view

    def put(
        self,
        values: Sequence[tuple[str, Packed | None]],
        check: Callable[[View], bool] | None = None,
    ) -> bool:
        """Store values, or delete the keys of those that are None, all in one step.

        Return False, and change nothing, if ``check(view)`` is False.
        """

        def items(view: View) -> list[Item] | None:
            if check is not None and not check(view):
                return None
            return [
                Item(key, value, log.DELETE if value is None else b"")
                for key, value in values
                if value is not None or view.entries.get(key) is not None
            ]

        return self.change(items)

    def delete_tree(self, prefix: str) -> bool:
        """Delete all keys below a prefix, in one step; return whether there were any."""
        return self.change(
            lambda view: [Item(prefix, None, log.TREE)] if view.has(prefix) else None
        )

    def change(self, make: Callable[[View], Iterable[Item] | None]) -> bool:
        """Make the changes that ``make`` returns for the present members, in one step.

        Return False, and change nothing, if it returns None. Only one of the values that it returns
        need be in memory at a time.
        """
        with self._changing(create=True) as (change, view):
            items = make(view)
            if items is not None:
                self._append(change, view, items)
            return items is not None

    def _append(self, change: Change, view: View, items: Iterable[Item]) -> None:
        """Append the records of items, as one batch unless there is only one."""
        if items == []:
            return
        end, link = self._end, [log.control(log.LINK)] if self._link < 0 else []
        if link and view.opened.shift:
            link.append(log.shifted(view.opened.shift))
        if self._seen > end:
            change.truncate(end)
        # Whatever comes between, the file is read again from the old end on.
        self._seen = -1
        self.written = self._changed = True
        changes: list[log.Change] = []
        try:
            new_end = self._write(change, view, items, link, changes)
            if self.durability == "full":
                change.sync()
        except BaseException:
            # If this fails, too, the next writer removes what was written.
            with suppress(OSError):
                change.truncate(end)
            raise
        view.update(changes)
        if link:
            self._link, self._first_link = end, self._first_link or not end
        self._new = self._new or not end
        self._end = self._seen = new_end

    def _write(
        self,
        change: Change,
        view: View,
        items: Iterable[Item],
        link: list[bytes],
        changes: list[log.Change],
    ) -> int:
        """Write the records of items behind a link, and return where they end.

        If they are written in pieces, the head of the batch is the last one: they do not count
        without it.
        """
        alone = isinstance(items, list) and len(items) == 1
        head = self._end + sum(map(len, link))
        at = first = start = head if alone else head + log.BATCH_SIZE
        parts: list[bytes | memoryview] = []
        for item in items:
            for part in self._records(item, at, view, changes):
                parts.append(part)
                at += len(part)
                if at - first >= _PIECE and not alone:
                    change.write(self._end, link)
                    change.write(first, parts)
                    parts, first = [], at
        if not self.zip64:
            _check_narrow(len(view.entries) + len(changes), at)
        batch = [] if alone else [log.batch(at - start)]
        if first == start:
            change.write(self._end, [*link, *batch, *parts])
        else:
            change.write(first, parts)
            change.write(head, batch)
        return at

    def _records(
        self, item: Item, at: int, view: View, changes: list[log.Change]
    ) -> Iterator[bytes | memoryview]:
        """Yield the parts of the record of an item, and add its change to others."""
        key, value, kind = item
        if value is None:
            yield log.control(kind, zf.encoded(key)[0])
            changes.append(log.Change(kind, key))
            return
        data = value.data
        pieces = [data] if isinstance(data, bytes | memoryview) else view.pieces(data)
        stored = len(data) if isinstance(data, bytes | memoryview) else data.stored
        header, entry = zf.new_member(key, value.method, value.crc, stored, value.size, at)
        yield header
        yield from pieces
        changes.append(log.Change(b"", key, entry))

    def flush(self) -> None:
        """Write the directory, if there were changes since the last one."""
        damaged = self.view is not None and not self.view.opened.proven
        if not self.written and (self._link < 0 or damaged):
            return
        try:
            with self._changing() as (change, view):
                if self._link >= 0:
                    self._write_directory(change, view)
        except FileNotFoundError:
            lost, self.written = self.written, False
            if lost:
                msg = "the archive was deleted or renamed before its changes were flushed"
                raise FileNotFoundError(errno.ENOENT, msg, self.source.path) from None
        self.written = False

    def _write_directory(self, change: Change, view: View) -> None:
        entries = view.listed()
        records = b"".join([entry.raw for entry in entries])
        end = self._end
        if not self.zip64:
            _check_narrow(len(entries), end + len(records))
        if self._seen > end:
            change.truncate(end)
        parts = [records, zf.end_records(len(entries), len(records), end, view.comment)]
        syncs = self.durability != "none"
        if syncs:
            change.sync()
        self._seen = -1
        change.write(end, parts)
        if syncs:
            change.sync()
            if self._new and isinstance(change, FileChange):
                system.sync_folder(os.path.dirname(change.path))
        end += sum(map(len, parts))
        links = {self._link} | ({0} if self._first_link else set())
        at, slot = log.slot_bytes(end, records)
        for link in sorted(links):
            change.write(link + at, [slot])
        self._link, self._new, view.opened.shift = -1, False, 0
        self._end = end
        self._seen = end
        view.opened.sealed = view.opened.sealed or self._first_link

    def close(self) -> None:
        """Flush, and compact an archive that this process has changed if most of it is free.

        A small one is compacted if any of it is free. Without holes, a reader finds all members
        with the directory alone.
        """
        self.flush()
        if self._changed and isinstance(self.source, FileSource):
            self._changed = False
            with suppress(FileNotFoundError):
                view = self.current()
                entries = view.listed()
                kept = sum(zf.LOCAL.size + 2 * len(e.raw) + e.stored for e in entries)
                small = self._end <= _WASTE and self._first_link
                holes = small and zf.has_holes(entries, log.LINK_SIZE, self._end, view.comment)
                if self._end - kept > max(kept, _WASTE) or holes:
                    self.compact()

    def finish(self) -> None:
        """Flush at the end of the process, or when the last store of the archive is gone.

        The garbage collector may call this in any thread, also in one that has locked the same
        file through another store and would wait for itself. Another thread does it then, which may
        just be starting; without it, the changes stay behind the directory, and can be found there.
        """
        if self._process == os.getpid() and self.written:
            if locked_here.count:
                _left.append(self)
                _finishing.submit(_finish_left, 1)
            else:
                with suppress(FileNotFoundError):
                    self.flush()

    def compact(self) -> None:
        """Write a new file without free space, and put it in the place of the old one."""
        source = self.source
        if not isinstance(source, FileSource):
            msg = "only an archive in a file of its own can be compacted"
            raise BaseZarrError(msg)
        with self._changing() as (_, view):
            self._replace(source, view)

    def _replace(self, source: FileSource, view: View) -> None:
        """Put a new file with all members in the place of the old one."""
        folder = os.path.dirname(source.path)
        new = system.temporary_name(folder)
        try:
            self._copy_to(new, view)
            os.chmod(new, os.stat(source.path).st_mode & 0o7777)
            system.patiently(os.replace, new, source.path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(new)
            raise
        if self.durability != "none":
            system.sync_folder(folder)
        self._load(source.open())
        self.written = False

    def empty(self) -> None:
        """Delete all members; a damaged archive is replaced by a new one.

        Raise ArchiveError for a file that is not an archive.
        """
        source = self.source
        try:
            damaged = self.exists() and not self.current().opened.proven
        except ArchiveError:
            reader = source.open()
            start = reader.read(0, min(4, reader.tail(0)[1]))
            if start not in (zf.LOCAL_SIGNATURE, zf.END_SIGNATURE):
                raise
            damaged = True
        if not damaged or isinstance(source, RemoteSource):
            self.delete_tree("")
            return
        with self._alone(), source.locked() as change:
            if isinstance(source, FileSource):
                self._replace(source, View(None, Opened({}, 0, 0)))
            else:
                change.truncate(0)
                self._load(source)

    def _copy_to(self, path: str, view: View) -> None:
        """Write all members to a new file."""
        records: list[bytes] = []
        with open(path, "xb", buffering=0) as file:
            out = _Out(file)
            out.write(log.control(log.LINK))
            for entry in view.listed():
                records.append(zf.moved(entry, out.size))
                out.write(zf.header_of(entry))
                for piece in view.pieces(entry):
                    out.write(piece)
            directory, start = b"".join(records), out.size
            out.write(directory)
            out.write(zf.end_records(len(records), len(directory), start, view.comment))
            at, slot = log.slot_bytes(out.size, directory)
            file.seek(at)
            file.write(slot)
            if self.durability != "none":
                system.sync_open_file(file.fileno(), path)


def _finish_left() -> None:
    while _left:
        with suppress(IndexError, OSError, BaseZarrError):
            _left.pop().flush()


def _name(names: dict[str, set[str]], key: str) -> None:
    """Add the names on the way to a key to those of the folders that they are in."""
    known = False
    while key and not known:
        above, _, name = key.rpartition("/")
        known = above in names
        names.setdefault(above, set()).add(name)
        key = above


class _Out:
    """A file that is written from its start to its end."""

    def __init__(self, file: Any) -> None:
        self._file, self.size = file, 0

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self.size += len(data)


def _is_rewritten(reader: OpenFile, size: int) -> bool:
    """Whether another program has changed the archive in its own way."""
    tail, _ = reader.tail(zf.TAIL)
    return zf.find_ending(tail, size) is not None


def _check_narrow(count: int, end: int) -> None:
    """Raise BaseZarrError if an archive would need zip64."""
    if zf.needs_zip64(count, 0, end):
        msg = (
            f"the archive would have {count} members and {end} bytes, which needs zip64; "
            "pass allowZip64=True"
        )
        raise BaseZarrError(msg)
