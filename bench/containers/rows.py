"""The rows: all chunks of an array written, read, listed and overwritten, in each kind of store.

Each library writes the store that it reads, in format 2 (N5 in its own), without compression: the
time is that of the store. A store is opened and closed within the time of a row, as far as its
class can be closed, so that what was written has left the process.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Row, Task, WrongError, same
from bench.containers.engines import KINDS

if TYPE_CHECKING:
    from bench.data import Array

CHUNKS = {"large": (200, 1 << 17), "small": (2000, 1 << 10)}
TITLES = {"large": "200 x 0.5 MiB", "small": "2,000 x 4 KiB"}
OVERWRITES = 3
# Of stores of files, zip archives and LMDB, only those of fastzarr sync: both cases are measured.
UNSYNCED = ("local", "n5", "zip", "lmdb")
_LEVELS = {"none": "not synced", "full": "synced"}
MIB = 1 << 20


@dataclass(frozen=True)
class Container:
    """The data of a row, the kind of store, and where stores are made.

    ``place`` is a folder; ``port`` is that of a Redis server, or 0.
    """

    kind: str
    data: str
    place: Path
    port: int
    scale: int

    def values(self) -> Array:
        """Return the values, no two chunks of which are equal."""
        count, size = CHUNKS[self.data]
        return np.arange(count // self.scale * size, dtype="f4")

    def name(self, which: str) -> str:
        """Return the place of a store: a path, or a prefix and a port."""
        if self.kind == "redis":
            return f"{self.place.name}-{which}:{self.port}"
        return str(self.place / f"{which}.{self.kind}")


class Base(Task):
    """A store that a row works with."""

    store: Any = None
    count = 0

    def __init__(self, engine: Any, container: Container) -> None:
        """Make the values."""
        self.engine, self.container = engine, container
        self.values = container.values()
        self.chunk = CHUNKS[container.data][1]

    def fresh(self, which: str, mode: str = "w") -> Any:
        """Open a store at a place where no other has been."""
        self.count += 1
        return self.engine.store(
            self.container.kind, self.container.name(f"{which}{self.count}"), mode
        )

    def again(self, which: str, mode: str = "r") -> Any:
        """Open the store at the last place."""
        name = self.container.name(f"{which}{self.count}")
        return self.engine.store(self.container.kind, name, mode)

    def remove(self, which: str) -> None:
        """Remove the store at the last place."""
        if self.container.kind == "redis":
            store = self.again(which)
            # The libraries take turns at one server, so that others have stores there now.
            name = self.container.name(f"{which}{self.count}").rpartition(":")[0]
            for key in tuple(store.client.scan_iter(match=f"*{name}:*", count=10_000)):
                store.client.delete(key)
            self.engine.close(store)
            return
        for path in self.files(which):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def files(self, which: str) -> list[Path]:
        """Return the files and folders of the store at the last place.

        A database may have more than one file, and dbm adds suffixes.
        """
        path = Path(self.container.name(f"{which}{self.count}"))
        return list(path.parent.glob(f"{path.name}*"))

    def write(self, store: Any) -> None:
        """Create the array, write all chunks and close the store."""
        self.engine.create(store, self.container.kind, self.values, self.chunk)
        self.engine.close(store)


class Write(Base):
    """Write all chunks to a new store."""

    def run(self) -> Any:
        """Open, create, write, close."""
        self.write(self.fresh("write"))

    def tidy(self) -> None:
        """Remove the store."""
        self.remove("write")

    def check(self, result: Any) -> None:
        """Read the values back."""
        del result
        store = self.again("write")
        same(self.engine.open(store)[...], self.values)
        self.engine.close(store)


class Read(Base):
    """Read all chunks."""

    def __init__(self, engine: Any, container: Container) -> None:
        """Write the store."""
        super().__init__(engine, container)
        self.write(self.fresh("read", "prepare" if hasattr(engine, "writer") else "w"))

    def run(self) -> Any:
        """Open, read, close."""
        store = self.again("read")
        values = self.engine.open(store)[...]
        self.engine.close(store)
        return values

    def check(self, result: Any) -> None:
        """Compare the values."""
        same(result, self.values)


class Open(Read):
    """Open the store and the array."""

    def run(self) -> Any:
        """Open, close."""
        store = self.again("read")
        shape = self.engine.open(store).shape
        self.engine.close(store)
        return shape

    def check(self, result: Any) -> None:
        """Compare the shape."""
        if tuple(result) != self.values.shape:
            msg = f"shape {tuple(result)}, expected {self.values.shape}"
            raise WrongError(msg)


class List(Read):
    """List all keys."""

    def run(self) -> Any:
        """Open, list, close."""
        store = self.again("read")
        count = self.engine.list(store)
        self.engine.close(store)
        return count

    def check(self, result: Any) -> None:
        """Compare the number: the chunks, and at least one document."""
        count = len(self.values) // self.chunk
        if not count < result <= count + 3:
            msg = f"{result} keys of {count} chunks"
            raise WrongError(msg)


class Overwrite(Read):
    """Write all chunks again, in the same store."""

    def run(self) -> Any:
        """Open, write, close."""
        store = self.again("read", "a")
        self.engine.overwrite(store, self.values + 1)
        self.engine.close(store)

    def check(self, result: Any) -> None:
        """Read the values back."""
        del result
        store = self.again("read")
        same(self.engine.open(store)[...], self.values + 1)
        self.engine.close(store)


class Size(Overwrite):
    """The size of the store after all chunks were written again several times, each by a run."""

    def run(self) -> Any:
        """Overwrite as often as the others."""
        for _ in range(OVERWRITES):
            super().run()

    def size(self) -> float:
        """Return the size of the files in MiB."""
        files = [path for one in self.files("read") for path in (one, *one.rglob("*"))]
        return sum(path.stat().st_blocks * 512 for path in files if path.is_file()) / MIB


@dataclass(frozen=True)
class ContainerRow(Row):
    """A row: the kind of store, the data and the work."""

    kind: str = ""
    data: str = "large"


def _rows() -> list[ContainerRow]:
    rows = []

    def add(
        kind: str, name: str, title: str, data: str, task: type[Base], unit: str, level: str = ""
    ) -> None:
        where, text = f"store-{kind}-{name}", f"{kind}: {title}"
        if level:
            where, text = f"{where}-{level}", f"{text}, {_LEVELS[level]}"
        rows.append(ContainerRow(where, text, task, None, unit, level or "default", kind, data))

    works: dict[str, tuple[type[Base], str]] = {
        "write": (Write, "write"),
        "read": (Read, "read"),
        "overwrite": (Overwrite, "write again"),
    }
    for kind in KINDS:
        for data, title in TITLES.items():
            for name, (task, verb) in works.items():
                for level in _LEVELS if kind in UNSYNCED and task is not Read else ("",):
                    add(kind, f"{name}-{data}", f"{verb} {title}", data, task, "ms", level)
        add(kind, "open", f"open {TITLES['small']}", "small", Open, "ms")
        add(kind, "list", f"list {TITLES['small']}", "small", List, "ms")
        if kind != "redis":
            title = f"size of {TITLES['large']} written {OVERWRITES + 1} times"
            add(kind, "size", title, "large", Size, "MiB")
    return rows


ROWS = _rows()
