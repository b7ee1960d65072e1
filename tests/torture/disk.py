"""A model of the content of a disk after a power cut, derived from a trace of system calls.

Rules of this file:

* The model is weaker than any single file system, and guarantees what POSIX, ext4 and xfs all do:
  fsync or fdatasync of a file makes its data and size durable, but not its name; fsync of a folder
  makes all earlier changes of its names durable; syncfs and sync make everything durable.
* Unsynced data may be present, lost, truncated anywhere, zero, or present page by page. The changes
  of names in one folder reach the disk in order, and any last part of them may be lost; different
  folders are independent. A change that concerns two folders is atomic.
* Durable data in a file is kept, whatever happens to later writes. A file that is written in place
  may have any sectors of its unsynced writes; what is mapped for writing may have any content.
* An unknown call is an error.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from random import Random

SECTOR = 512  # what a disk writes whole
PAGE = 64  # far smaller than on a real disk, as are the files of the tests
EXCHANGE = 2
_SAME = {"openr", "close", "mark", "attr"}


class Written(NamedTuple):
    """Bytes that were written at an offset."""

    offset: int
    data: bytes

    def __call__(self, old: bytes) -> bytes:
        """Return the new content of a file."""
        end = self.offset + len(self.data)
        return old[: self.offset].ljust(self.offset, b"\0") + self.data + old[end:]

    def sectors(self) -> Iterator[Written]:
        """Yield the parts that reach the disk, or do not, each by itself."""
        start, stop = self.offset, self.offset + len(self.data)
        while start < stop:
            end = min((start // SECTOR + 1) * SECTOR, stop)
            yield Written(start, self.data[start - self.offset : end - self.offset])
            start = end


@dataclass(eq=False)
class File:
    """The inode of a file: its durable content, and the changes since, in order."""

    durable: bytes = b""
    since: list[Callable[[bytes], bytes]] = field(default_factory=list)
    #: Whether it was mapped for writing.
    mapped: bool = False

    def now(self) -> bytes:
        """Return the content as programs see it."""
        data = self.durable
        for change in self.since:
            data = change(data)
        return data

    def sync(self) -> None:
        """Make everything durable."""
        self.durable, self.since = self.now(), []

    def after(self, rng: Random) -> bytes:
        """Return a content that may be found after a power cut."""
        if not self.since:
            return self.durable
        fate = rng.choice([self._kept, self._begun, self._cut, self._zeros, self._pages])
        return self.durable if rng.random() < 0.2 else fate(rng)

    def in_place(self, rng: Random) -> bytes:
        """Return a content that may be found of a file that is written in place."""
        if self.mapped:
            return rng.choice([self.durable, bytes(len(self.durable)), rng.randbytes(8192)])
        share = rng.choice([0, 0.5, 0.5, 0.95, 1])
        data = bytearray(self.durable)
        for change in self.since:
            if not isinstance(change, Written):
                data = bytearray(change(bytes(data))) if rng.random() < share else data
                continue
            for offset, part in change.sectors():
                if rng.random() < share:
                    data.extend(bytes(max(0, offset - len(data))))
                    data[offset : offset + len(part)] = part
        return bytes(data)

    def keep(self, change: Written) -> None:
        """Make a write durable, but not those before it."""
        self.durable = change(self.durable)
        if self.since:
            self.since.append(change)

    def _kept(self, _: Random) -> bytes:
        return self.now()

    def _begun(self, rng: Random) -> bytes:
        """Return the content after the first of several changes."""
        data = self.durable
        for change in self.since[: rng.randrange(len(self.since))]:
            data = change(data)
        return data

    def _cut(self, rng: Random) -> bytes:
        new = self.now()
        return new[: rng.randrange(len(new) + 1)]

    def _zeros(self, _: Random) -> bytes:
        return bytes(len(self.now()))

    def _pages(self, rng: Random) -> bytes:
        new = self.now()
        old = self.durable.ljust(len(new), b"\0")
        places = range(0, len(new), PAGE)
        return b"".join((new if rng.random() < 0.5 else old)[n:][:PAGE] for n in places)[: len(new)]


@dataclass(eq=False)
class Folder:
    """The inode of a folder: its durable names, and the changes since."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    since: list[Change] = field(default_factory=list)
    names: dict[str, File | Folder] = field(default_factory=dict)


@dataclass(eq=False)
class Change:
    """An atomic change of names, in one folder or two."""

    entries: list[tuple[Folder, str, File | Folder | None]]

    def folders(self) -> list[Folder]:
        """Return the folders that it concerns, without duplicates."""
        found: list[Folder] = []
        for folder, _, _ in self.entries:
            if folder not in found:
                found.append(folder)
        return found


class Disk:
    """The state of a disk, which follows the calls of a trace."""

    def __init__(self, root: Path | None = None) -> None:
        """Initialise empty, or with the files below a folder, all durable."""
        self._inodes: dict[int, File | Folder] = {}
        # Inode numbers are reused after a deletion, which itself may be lost.
        self._folders: list[Folder] = []
        self._files: list[File] = []
        # The descriptors whose writes are synced.
        self._synced: set[tuple[int, int]] = set()
        if root is None:
            self.root = Folder()
            self._folders.append(self.root)
        else:
            self.root = self._taken(root)

    def _new(self, number: int, node: Any) -> Any:
        self._inodes[number] = node
        (self._folders if isinstance(node, Folder) else self._files).append(node)
        return node

    def _taken(self, path: Path) -> Folder:
        folder = Folder()
        for entry in os.scandir(path):
            node: File | Folder
            if entry.is_dir(follow_symlinks=False):
                node = self._taken(path / entry.name)
            else:
                node = self._new(entry.inode(), File((path / entry.name).read_bytes()))
            folder.names[entry.name] = node
        folder.durable = dict(folder.names)
        return self._new(path.stat().st_ino, folder)

    # Following a trace

    def follow(self, calls: Iterable[Mapping[str, Any]]) -> None:
        """Apply each call; failed calls have no effect."""
        for call in calls:
            if call["result"] >= 0 and call["kind"] not in _SAME:
                getattr(self, f"_{call['kind']}", self._unknown)(call)

    def _unknown(self, call: Mapping[str, Any]) -> None:
        msg = f"the model does not know {call}"
        raise NotImplementedError(msg)

    def _place(self, path: str) -> tuple[Folder, str]:
        *parents, name = path.split("/")
        folder: File | Folder | None = self.root
        for parent in parents:
            folder = folder.names.get(parent) if isinstance(folder, Folder) else None
        if not isinstance(folder, Folder) or not name:
            raise FileNotFoundError(errno.ENOENT, "the trace leads nowhere", path)
        return folder, name

    def _change(self, *entries: tuple[Folder, str, File | Folder | None]) -> None:
        change = Change(list(entries))
        for folder, name, node in entries:
            if node is None:
                folder.names.pop(name, None)
            else:
                folder.names[name] = node
        for folder in change.folders():
            folder.since.append(change)

    def _node(self, call: Mapping[str, Any], kind: type) -> Any:
        node = self._inodes.get(call["ino"])
        if not isinstance(node, kind):
            self._unknown(call)
        return node

    def _open(self, call: Mapping[str, Any]) -> None:
        flags = call["flags"]
        file = call.get("pid", 0), call["result"]
        (self._synced.add if flags & os.O_DSYNC else self._synced.discard)(file)
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            self._new(call["ino"], File())
            return
        folder, name = self._place(call["path"])
        node = folder.names.get(name)
        if node is None:
            self._change((folder, name, self._new(call["ino"], File())))
        elif flags & os.O_TRUNC and isinstance(node, File):
            node.since.append(lambda _: b"")

    def _write(self, call: Mapping[str, Any]) -> None:
        change = Written(call["offset"], call["data"])
        file = self._node(call, File)
        if (call.get("pid", 0), call.get("fd", 0)) in self._synced:
            file.keep(change)
        else:
            file.since.append(change)

    _copy = _write

    def _truncate(self, call: Mapping[str, Any]) -> None:
        size = call["offset"]
        self._node(call, File).since.append(lambda old: old[:size].ljust(size, b"\0"))

    def _allocate(self, call: Mapping[str, Any]) -> None:
        size = call["offset"]
        self._node(call, File).since.append(lambda old: old.ljust(size, b"\0"))

    def _mmap(self, call: Mapping[str, Any]) -> None:
        self._node(call, File).mapped = True

    def _mkdir(self, call: Mapping[str, Any]) -> None:
        folder, name = self._place(call["path"])
        self._change((folder, name, self._new(call["ino"], Folder())))

    def _unlink(self, call: Mapping[str, Any]) -> None:
        self._change((*self._place(call["path"]), None))

    _rmdir = _unlink

    def _rename(self, call: Mapping[str, Any]) -> None:
        folder, name = self._place(call["path"])
        other, to = self._place(call["to"])
        node = folder.names[name]
        back = other.names[to] if call["flags"] & EXCHANGE else None
        if other.names.get(to) is not node:
            self._change((folder, name, back), (other, to, node))

    def _link(self, call: Mapping[str, Any]) -> None:
        node = self._node(call, File)
        self._change((*self._place(call["to"]), node))

    def _fsync(self, call: Mapping[str, Any]) -> None:
        if call["dir"]:
            self._keep(self._node(call, Folder))
        else:
            self._node(call, File).sync()

    _fdatasync = _fsync

    def _sync(self, _call: Mapping[str, Any]) -> None:
        for file in self._files:
            file.sync()
        for folder in self._folders:
            self._keep(folder)

    _syncfs = _sync

    def _keep(self, folder: Folder) -> None:
        """Make the changes to a folder durable."""
        while folder.since:
            self._keep_first(folder)

    def _keep_first(self, folder: Folder) -> None:
        """Make the first change durable, and the earlier changes in its other folder."""
        change = folder.since[0]
        for other in change.folders():
            while other.since[0] is not change:
                self._keep_first(other)
        for other in change.folders():
            other.since.pop(0)
        for other, name, node in change.entries:
            if node is None:
                other.durable.pop(name, None)
            else:
                other.durable[name] = node

    # After the power went

    def after(self, rng: Random, *, in_place: bool = False) -> Tree:
        """Return files and folders that may be found after a power cut.

        With ``in_place``, files are not written anew, but changed.
        """
        fate = File.in_place if in_place else File.after
        # The number of changes of each folder that reached the disk. A change of two folders
        # reached both or neither, and changes after a lost one are lost.
        kept = {id(folder): self._count(folder, rng) for folder in self._folders}
        while cuts := {
            id(folder): n
            for folder in self._folders
            for n, change in reversed([*enumerate(folder.since[: kept[id(folder)]])])
            if any(f.since.index(change) >= kept[id(f)] for f in change.folders())
        }:
            kept |= cuts
        return self._tree(self.root, kept, {}, lambda file: fate(file, rng))

    def _tree(
        self,
        folder: Folder,
        kept: dict[int, int],
        contents: dict[int, bytes],
        fate: Callable[[File], bytes],
    ) -> Tree:
        names: dict[str, File | Folder | None] = dict(folder.durable)
        for change in folder.since[: kept[id(folder)]]:
            names |= {name: node for other, name, node in change.entries if other is folder}
        tree: Tree = {}
        for name, node in names.items():
            if isinstance(node, Folder):
                tree[name] = self._tree(node, kept, contents, fate)
            elif node is not None:
                if id(node) not in contents:  # a file of two names has one fate
                    contents[id(node)] = fate(node)
                tree[name] = contents[id(node)]
        return tree

    def _count(self, folder: Folder, rng: Random) -> int:
        total = len(folder.since)
        return rng.choice([total, total, 0, rng.randint(0, total)])


Tree = dict[str, "bytes | Tree"]


def write_tree(tree: Tree, path: Path) -> None:
    """Write the files of a tree."""
    path.mkdir()
    for name, node in tree.items():
        if isinstance(node, bytes):
            (path / name).write_bytes(node)
        else:
            write_tree(node, path / name)
