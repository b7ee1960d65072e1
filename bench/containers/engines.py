"""The stores of each library, by kind, opened as its users open them, without settings.

Rules of this file:

* A library that lacks a kind of store raises ``CannotError``.
* The same functions create, open and list with all libraries that have zarr-python's names.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.base import CannotError, MissingError
from bench.containers.bare import Bare

if TYPE_CHECKING:
    from bench.data import Array

# The order of the columns. ``bare`` is the floor of databases, and no peer.
ENGINES = ("fastzarr", "bare", "zarr2", "zarr", "tensorstore", "zarrista")
PEERS = ENGINES[2:]
KINDS = ("local", "zip", "sqlite", "lmdb", "dbm", "redis", "n5")
_CLASSES = {
    "local": "DirectoryStore",
    "zip": "ZipStore",
    "sqlite": "SQLiteStore",
    "lmdb": "LMDBStore",
    "dbm": "DBMStore",
    "redis": "RedisStore",
    "n5": "N5Store",
}


class Library:
    """A library with the names of zarr-python."""

    #: The class of a store, if not that of zarr-python 2, by kind.
    classes: ClassVar[dict[str, str]] = _CLASSES
    #: What is passed to create an array without compression, in format 2.
    format: ClassVar[dict[str, Any]] = {"zarr_format": 2}
    #: Whether a store of files syncs when it is closed.
    syncs: ClassVar[bool] = False
    durability = "default"

    def __init__(self, name: str, module: str) -> None:
        """Import the library."""
        self.name = name
        self.zarr: Any = import_module(module)

    def version(self) -> str:
        """Return the version."""
        return str(self.zarr.__version__)

    def store(self, kind: str, place: str, mode: str) -> Any:
        """Open a store: at a path, or a prefix and the port of a Redis server."""
        if kind not in self.classes:
            msg = f"has no store for {kind}"
            raise CannotError(msg)
        found = getattr(self.zarr.storage, self.classes[kind], None)
        cls = found or getattr(self.zarr, self.classes[kind])
        if kind == "redis":
            prefix, _, port = place.rpartition(":")
            return cls(prefix=prefix, port=int(port))
        return cls(place, mode=mode) if kind == "zip" else cls(place)

    def use(self, durability: str) -> None:
        """Let all that is stored be synced when a store is closed (``full``), or nothing.

        With ``default``, each library does what it does without settings.
        """
        self.durability = durability

    def close(self, store: Any) -> None:
        """Close a store, if its class can be closed."""
        with suppress(AttributeError):
            store.close()
        if self.durability == "full" and not self.syncs:
            os.sync()

    def create(self, store: Any, kind: str, values: Array, chunk: int) -> None:
        """Create an array and write its values."""
        choice = {} if kind == "n5" else self.format
        array = self.zarr.open_array(
            store, mode="w", shape=values.shape, chunks=chunk, dtype="f4", compressor=None, **choice
        )
        array[...] = values

    def overwrite(self, store: Any, values: Array) -> None:
        """Write all values again."""
        self.zarr.open_array(store, mode="r+")[...] = values

    def open(self, store: Any) -> Any:
        """Open the array."""
        return self.zarr.open_array(store, mode="r")

    def list(self, store: Any) -> int:
        """Return the number of keys."""
        return len(list(store.keys()))


class Fastzarr(Library):
    """fastzarr."""

    syncs: ClassVar[bool] = True

    def use(self, durability: str) -> None:
        """Set the level at which nothing is synced, or keep the usual one."""
        super().use(durability)
        if durability == "none":
            self.zarr.config.set({"durability": "none"})


class Zarr2(Library):
    """zarr-python 2."""

    format: ClassVar[dict[str, Any]] = {}


class Zarr3(Library):
    """zarr-python 3."""

    classes: ClassVar[dict[str, str]] = {"local": "LocalStore", "zip": "ZipStore"}

    def create(self, store: Any, kind: str, values: Array, chunk: int) -> None:
        """Create an array and write its values."""
        del kind
        array = self.zarr.create_array(
            store,
            shape=values.shape,
            chunks=(chunk,),
            dtype="f4",
            compressors=None,
            zarr_format=2,
        )
        array[...] = values

    def list(self, store: Any) -> int:
        """Return the number of keys; opening the array opens the store, which lists only then."""
        import asyncio

        self.open(store)

        async def count() -> int:
            return len([key async for key in store.list()])

        return asyncio.run(count())


class Peer:
    """A library that only reads zip archives, which fastzarr writes for it."""

    name: ClassVar[str]

    def __init__(self) -> None:
        """Import the library, and fastzarr, which writes the archives."""
        self.writer = Fastzarr("fastzarr", "fastzarr")
        self.module: Any = import_module(self.name)

    def version(self) -> str:
        """Return the version."""
        from importlib.metadata import version

        return version(self.name)

    def use(self, durability: str) -> None:
        """Do nothing: an archive is not timed while it is written."""

    def store(self, kind: str, place: str, mode: str) -> Any:
        """Return the path of an archive."""
        if kind != "zip":
            msg = f"has no store for {kind}, or it is measured elsewhere"
            raise CannotError(msg)
        return (place, mode)

    def close(self, store: Any) -> None:
        """Do nothing."""

    def create(self, store: Any, kind: str, values: Array, chunk: int) -> None:
        """Write an archive for the reads; writing cannot be timed."""
        if store[1] != "prepare":
            msg = "does not write zip archives"
            raise CannotError(msg)
        archive = self.writer.store(kind, store[0], "w")
        self.writer.create(archive, kind, values, chunk)
        self.writer.close(archive)

    def overwrite(self, store: Any, values: Array) -> None:
        """Refuse."""
        del store, values
        msg = "does not write zip archives"
        raise CannotError(msg)

    def list(self, store: Any) -> int:
        """Refuse."""
        del store
        msg = "does not list a store from Python"
        raise CannotError(msg)


class TensorStore(Peer):
    """TensorStore, whose zip driver reads."""

    name = "tensorstore"

    def open(self, store: Any) -> Any:
        """Open the array."""
        base = f"file://{Path(store[0]).resolve()}"
        spec = {"driver": "zarr", "kvstore": {"driver": "zip", "base": base}}
        array = self.module.open(spec, read=True).result()
        return _Read(lambda: array.read().result(), array.shape)


class Zarrista(Peer):
    """zarrista, whose zip store reads."""

    name = "zarrista"

    def open(self, store: Any) -> Any:
        """Open the array."""
        path = Path(store[0])
        folder = self.module.store.FilesystemStore(str(path.parent))
        array = self.module.Array.open(self.module.store.ZipStore(folder, path.name))

        def read() -> Any:
            return array[...].to_numpy()

        return _Read(read, tuple(array.shape))


class _Read:
    """An array that is read whole."""

    def __init__(self, read: Any, shape: tuple[int, ...]) -> None:
        """Initialise with a function that reads it."""
        self.read, self.shape = read, shape

    def __getitem__(self, selection: Any) -> Any:
        """Read all."""
        return self.read()


def load(name: str) -> Any:
    """Return the stores of a library; raise ``MissingError`` if it is not installed."""
    try:
        if name == "fastzarr":
            return Fastzarr(name, "fastzarr")
        if name == "bare":
            return Bare()
        if name == "zarr2":
            found = Zarr2(name, "zarr")
            if not found.version().startswith("2."):
                msg = "zarr-python 2 is not in build/zarr2"
                raise MissingError(msg)
            return found
        return {"zarr": lambda: Zarr3("zarr", "zarr")}.get(
            name, TensorStore if name == "tensorstore" else Zarrista
        )()
    except ImportError as error:
        msg = f"{error.name or name} is not installed"
        raise MissingError(msg) from error
