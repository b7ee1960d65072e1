"""The store of a zip archive: the verbs of ``Store`` for its members.

Rules of this file:

* A key is the name of a member. Folders among the members are not keys.
* All copies of a store share its archive, which reads and changes the file (``archive.py``).
"""

from __future__ import annotations

import os
import weakref
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import ArchiveError, BaseZarrError
from fastzarr.native import constant, crc32, native_or
from fastzarr.stores import place
from fastzarr.stores.addresses import path_of
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import Request, Spans, Value
from fastzarr.stores.drafts import TreeDraft, replaced_keys
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.local.folder import DURABILITIES, too_large
from fastzarr.stores.path import StorePath
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.stamps import swapped
from fastzarr.stores.zip import format as zf
from fastzarr.stores.zip import log, reading
from fastzarr.stores.zip.archive import Archive, Item, Packed, View
from fastzarr.stores.zip.members import check_method, compressed
from fastzarr.stores.zip.source import FileSource, ObjectSource, OpenFile, RemoteSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from typing_extensions import Buffer

    from fastzarr import hints
    from fastzarr.stores.base import Range, Values
    from fastzarr.stores.drafts import DraftValues, Owned
    from fastzarr.stores.zip.format import Entry
    from fastzarr.stores.zip.reading import Steps

_MODES = ("r", "r+", "a", "w", "w-", "x")


class _Held:
    """What the copies of a store share, so that the archive is flushed after the last of them."""

    __slots__ = ("__weakref__", "archive")

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        weakref.finalize(self, archive.finish)


class ZipStore(Store):
    """A store in a zip archive, whose members are named by the keys.

    ``path`` is that of a file, an open binary file that can be sought in, or a ``StorePath`` of an
    archive in another store, which is read by ranges: three requests to open an array, and one for
    each chunk. ``mode`` is ``r``, ``r+`` (the archive must exist), ``a``, ``w`` (its members are
    deleted), or ``x`` and ``w-`` (it must not exist). ``compression`` is that of new members, one
    of the module ``zipfile``. Chunks are usually compressed already, so the default is to store
    them as they are.

    Every change is appended, and other processes see it at once. The directory that other programs
    need is written by ``flush``, by ``close`` and at the end of the process. If a writer dies
    before that, this package opens the archive with its changes, and other programs can open it
    after the next writer's ``flush``. Writers of several threads and processes exclude each other
    during a change, and no update of a shared chunk is lost. ``set_many``, and the deletion and
    renaming of trees, are atomic.

    A replaced or deleted member stays in the file until ``compact`` writes the file anew, which
    ``close`` does if more than half of it is free, or any of less than 1 MiB. Nodes are replaced in
    one step, but there are no transactions. Entries of folders, and the comment of an archive, are
    kept.

    An archive that was truncated or damaged is opened with a warning. It can be read, but a chunk
    that may have been lost is an error, and nothing is written. To recover it, copy what is left to
    a new archive: ``zarr.copy_store(ZipStore("damaged.zip", mode="r"), ZipStore("new.zip"))``. With
    ``mode="w"`` it is replaced by an empty one. If the file is deleted or renamed, its members can
    still be read through this store until another file has its path, but a change, and a ``flush``
    of earlier changes, raise FileNotFoundError.

    ``durability`` determines what survives a power cut; None uses ``config["durability"]``. With
    ``replace`` that is what was there at the last ``flush``, and with ``full`` every change.

    Raise ArchiveError for a file that is not a zip archive, FileNotFoundError or FileExistsError if
    the mode requires that, and BaseZarrError for an unknown compression.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.zip")
    >>> with ZipStore(path, mode="w") as store:
    ...     store.set("a/b", b"123")
    >>> import zipfile
    >>> zipfile.ZipFile(path).namelist()
    ['a/b']
    >>> ZipStore(path, mode="r").get("a/b")
    b'123'
    """

    knows_sizes = True
    supports_partial_reads = True
    #: Values are read from the file by the threads that need them.
    concurrency: int | None = 1
    batch = 1024
    batch_bytes = 2 << 20

    def __init__(
        self,
        path: str | os.PathLike[str] | StorePath | Any,
        compression: int = 0,
        allowZip64: bool = True,  # noqa: N803  (the name of both zarr-pythons)
        mode: str = "a",
        dimension_separator: str | None = None,
        *,
        read_only: bool | None = None,
        durability: hints.Durability | None = None,
    ) -> None:
        """Initialise; an existing archive is opened."""
        if mode not in _MODES:
            msg = f"mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}"
            raise BaseZarrError(msg)
        if durability is not None and durability not in DURABILITIES:
            msg = f"durability must be one of {', '.join(DURABILITIES)}, not {durability!r}"
            raise BaseZarrError(msg)
        super().__init__(read_only=mode == "r" if read_only is None else read_only)
        self.compression = check_method(compression)
        self.dimension_separator = dimension_separator
        self.mode, self.allowZip64 = mode, bool(allowZip64)
        self._durability = durability
        self._given = path
        self._held = self._open()
        archive = self._held.archive
        if mode in ("x", "w-") and archive.exists():
            msg = f"the archive {archive.source.path!r} already exists, and mode={mode!r} makes one"
            raise FileExistsError(msg)
        if mode == "w":
            archive.empty()
        elif mode in ("r", "r+") or archive.exists():
            archive.current()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of the archive at ``zip:///path/of/a/file``.

        ``storage_options`` are further arguments of the class.

        Raise BaseZarrError if the URL has no absolute path.

        >>> ZipStore.from_url("zip:///data/a.zip")
        ZipStore('zip:///data/a.zip')
        """
        words: dict[str, Any] = {"mode": "r" if read_only else "a"}
        return cls(path_of(url), **(words | dict(storage_options or {})))

    def _open(self) -> _Held:
        given = self._given
        source: FileSource | ObjectSource | RemoteSource
        if isinstance(given, StorePath):
            source = RemoteSource(given.store, given.path)
        elif isinstance(given, str | os.PathLike):
            source = FileSource(os.fspath(given))
        elif hasattr(given, "read") and hasattr(given, "seek"):
            source = ObjectSource(given)
        else:
            msg = f"expected a path, an open file or a StorePath, not {type(given).__name__}"
            raise TypeError(msg)
        if isinstance(source, RemoteSource):
            inner = source.store
            self.concurrency, self.batch = inner.concurrency, 1
            if inner.fetch_async is None:
                self.fetch_async = None  # type: ignore[assignment, method-assign]
            vars(self).update(read_only=True)
        else:
            self.fetch_async = None  # type: ignore[assignment, method-assign]
        durability = self._durability or str(config["durability"])
        return _Held(Archive(source, zip64=self.allowZip64, durability=durability))

    @property
    def path(self) -> str:
        """The path of the archive.

        >>> import io
        >>> ZipStore(io.BytesIO()).path
        '<BytesIO>'
        """
        return self._held.archive.source.path

    @property
    def mutex(self) -> Any:
        """The lock that excludes the other threads of this process from changes.

        >>> import io
        >>> with ZipStore(io.BytesIO()).mutex:
        ...     pass
        """
        return self._held.archive.guard

    @property
    def written(self) -> bool:  # type: ignore[override]
        """Whether the archive was changed since the last ``flush``.

        >>> import io
        >>> ZipStore(io.BytesIO()).written
        False
        """
        return self._held.archive.written

    # Reading

    def _view(self) -> View | None:
        archive = self._held.archive
        try:
            return archive.current()
        except FileNotFoundError:
            if archive.view is None and not self.read_only:
                return None  # not made yet
            raise

    def _find(self, key: str) -> tuple[View, Entry] | None:
        view = self._view()
        entry = None if view is None else view.entries.get(key)
        return None if view is None or entry is None else (view, entry)

    def _read(self, key: str, view: View, steps: Steps) -> bytes:
        try:
            return reading.read(steps, view.reader)
        except ArchiveError as error:
            raise reading.explained(error, key, self) from error

    def _get(self, key: str, check: None = None, most: int | None = None) -> bytes | None:
        del check
        found = self._find(key)
        if found is None:
            return None
        return self._value(key, *found, most)

    def _value(self, key: str, view: View, entry: Entry, most: int | None) -> bytes:
        if most is not None and entry.size > most:
            raise too_large(entry.size, most)
        return self._read(key, view, reading.whole(entry))

    get_valid = get_bounded = _get

    def get_many_valid(self, keys: Sequence[str]) -> Values:
        """Return the values of keys that are known to be valid."""
        return [self._get(key) for key in keys]

    def spans(self, keys: Sequence[str], most: int) -> Spans:
        """Return where the values of valid keys are; of compressed members, the values.

        >>> import io
        >>> store = ZipStore(io.BytesIO())
        >>> store.set("a", b"1")
        >>> store.spans(["a", "b"], 1 << 20).places
        [b'1', None]
        """
        view = self._view()
        if view is None:
            return Spans(-1, None, [None] * len(keys))
        reader, entries = view.reader, view.entries
        in_place = isinstance(reader, OpenFile)
        found = native_or(zf).zip_places(entries, keys) if in_place else None
        if found is not None:
            return Spans(reader.number, reader, found)
        places: list[Any] = []
        for key in keys:
            entry = entries.get(key)
            if entry is None:
                places.append(None)
            elif in_place and entry.in_place:
                is_own = type(entry) is zf.Entry
                places.append((entry.raw, entry.offset, entry.stored) if is_own else entry)
            else:
                places.append(self._value(key, view, entry, most))
        return Spans(reader.number if in_place else -1, reader, places)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        found = self._find(key)
        if found is None:
            return None
        view, entry = found
        if len(ranges) > 1 and entry.method:
            # It is decompressed once.
            value = self._read(key, view, reading.whole(entry))
            return [value[slice(*clip_range(*one, len(value)))] for one in ranges]
        return [self._read(key, view, reading.part(entry, *one)) for one in ranges]

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return the index of each request with its value."""
        for key, _, _ in wanted:
            validate_key(key)
        for index, (key, start, length) in enumerate(wanted):
            found = self._find(key)
            if found is None:
                yield index, None
                continue
            view, entry = found
            data = self._read(key, view, reading.part(entry, start, length))
            yield index, Value(data, (view.opened, entry.offset), entry.size)

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request to an archive in another store, which is awaited."""
        key, start, length = wanted
        validate_key(key)
        view = self._held.archive.view
        if view is None:
            import asyncio

            view = await asyncio.to_thread(self._held.archive.current)
        entry = view.entries.get(key)
        if entry is None:
            return None
        try:
            data = await reading.awaited(reading.part(entry, start, length), view.reader)
        except ArchiveError as error:
            raise reading.explained(error, key, self) from error
        return Value(data, (view.opened, entry.offset), entry.size)

    def check_missing(self, key: str) -> None:
        """Raise ArchiveError if a key that was found missing may have been lost."""
        view = self._held.archive.view
        if view is not None:
            try:
                view.check_complete(key)
            except ArchiveError as error:
                raise reading.explained(error, key, self) from error

    def _exists(self, key: str) -> bool:
        return self._find(key) is not None

    def _getsize(self, key: str) -> int | None:
        found = self._find(key)
        return None if found is None else found[1].size

    def _list(self, prefix: str) -> Iterable[str]:
        view = self._view()
        if view is None:
            return []
        start = f"{prefix}/" if prefix else ""
        entries = list(view.entries.items())
        return [key for key, entry in entries if entry is not None and key.startswith(start)]

    def _list_dir(self, prefix: str) -> Iterable[str]:
        view = self._view()
        return () if view is None else view.below(prefix)

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        view = self._view()
        path = normalise_path(prefix)
        return view is None or not view.below(path)

    def validator(self, key: str) -> Hashable | None:
        """Return a token of the current value, or None if the key is missing."""
        validate_key(key)
        found = self._find(key)
        return None if found is None else _token(*found)

    # Changes

    def _pack(self, value: bytes | memoryview) -> Packed:
        method = self.compression
        return Packed(method, compressed(value, method), crc32(value), memoryview(value).nbytes)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._held.archive.put([(key, self._pack(value))])

    set_valid = _set

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store many values, and delete the keys of those that are None, in one step.

        >>> import io
        >>> store = ZipStore(io.BytesIO())
        >>> store.set_many([("a", b"1"), ("b", b"2"), ("a", None)])
        >>> dict(store)
        {'b': b'2'}
        """
        self._check_write()
        new: dict[str, Packed | None] = {}
        for key, value in values:
            validate_key(key)
            new.pop(key, None)
            # What belongs to the caller may change before it is written.
            new[key] = None if value is None else self._pack(constant(flat_bytes(value, key)))
        if new:
            self._held.archive.put(list(new.items()))

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.
        Return whether it was current. If not, nothing has changed.
        """
        self._check_write(key)
        packed = None if value is None else self._pack(flat_bytes(value, key))

        def is_current(view: View) -> bool:
            entry = view.entries.get(key)
            return (None if entry is None else _token(view, entry)) == token

        return self._held.archive.put([(key, packed)], is_current)

    def swap_many(
        self, changes: Sequence[tuple[str, Buffer | None, Hashable | None]]
    ) -> list[bool]:
        """Do as ``swap`` does for each key, value and token; all values are stored in one step.

        >>> import io
        >>> store = ZipStore(io.BytesIO())
        >>> store["a"] = b"1"
        >>> store.swap_many([("a", b"2", store.validator("a")), ("b", None, "other")])
        [True, False]
        >>> dict(store)
        {'a': b'2'}
        """
        self._check_write(*(key for key, _, _ in changes))
        new = [
            None if value is None else self._pack(constant(flat_bytes(value, key)))
            for key, value, _ in changes
        ]
        done: list[bool] = []

        def items(view: View) -> list[Item]:
            def token(key: str) -> Hashable | None:
                entry = view.entries.get(key)
                return None if entry is None else _token(view, entry)

            done.extend(swapped(changes, token))
            made: dict[str, Item] = {}
            for (key, _, _), packed, is_made in zip(changes, new, done, strict=True):
                if is_made and (packed or view.entries.get(key) or key in made):
                    made[key] = Item(key, packed, b"" if packed else log.DELETE)
            return list(made.values())

        self._held.archive.change(items)
        return done

    def _delete(self, key: str) -> None:
        if self._exists(key):
            self._held.archive.put([(key, None)])

    def _delete_many(self, keys: Iterable[str]) -> None:
        gone = [(key, None) for key in keys if self._exists(key)]
        if gone:
            self._held.archive.put(gone)

    def _delete_dir(self, prefix: str) -> bool:
        return self._view() is not None and self._held.archive.delete_tree(prefix)

    def clear(self) -> None:
        """Delete all keys, in one step."""
        self._check_write()
        if self._view() is not None:
            self._held.archive.delete_tree("")

    def _move(self, source: str, target: str) -> None:
        def moved(view: View) -> list[Item]:
            items: list[Item] = []
            for key, entry in view.members():
                if entry is not None and f"{key}/".startswith(f"{source}/"):
                    packed = Packed(entry.method, entry, entry.crc, entry.size)
                    items.append(Item(target + key[len(source) :], packed))
                    items.append(Item(key, None, log.DELETE))
            return items

        self._held.archive.change(moved)

    def draft(self, path: str) -> TreeDraft | None:
        """Return a new draft of the tree at a path, which is published in one step.

        Return None if there is nothing to be replaced: values are then stored at once, because no
        node is visible before its document.

        >>> import io
        >>> store = ZipStore(io.BytesIO())
        >>> store["a/old"] = b"1"
        >>> draft = store.draft("a")
        >>> draft.store["new"] = b"2"
        >>> draft.publish(replace=True), dict(store)
        (True, {'a/new': b'2'})
        """
        self._check_write()
        view = self._view()
        return None if view is None or not view.has(path) else TreeDraft(self, path)

    def replace_tree(self, path: str, tree: DraftValues, *, replace: bool, owned: Owned) -> bool:
        """Store the values of a draft, as ``Draft.publish`` does, in one step.

        >>> import io
        >>> from fastzarr.stores.drafts import DraftValues
        >>> store, tree = ZipStore(io.BytesIO()), DraftValues()
        >>> tree["b"] = b"1"
        >>> store.replace_tree("a", tree, replace=False, owned=None), dict(store)
        (True, {'a/b': b'1'})
        """
        start = f"{path}/" if path else ""

        def items(view: View) -> Iterable[Item] | None:
            keys = [key for key, entry in view.members() if entry and key.startswith(start)]
            gone = replaced_keys(keys, path, replace=replace, owned=owned)
            if gone is None:
                return None
            deleted = [Item(key, None, log.DELETE) for key in gone]
            new = (Item(start + key, self._pack(tree[key])) for key in tree.list())
            return chain([Item(path, None, log.TREE)] if replace else deleted, new)

        return self._held.archive.change(items)

    def flush(self) -> None:
        """Write the directory, and sync the archive unless the durability is ``none``."""
        if not self.read_only:
            self._held.archive.flush()

    def close(self) -> None:
        """Flush, and compact the archive if more than half of it is free, or any of a small one."""
        if not self.read_only:
            self._held.archive.close()

    def compact(self) -> None:
        """Write the archive anew without what was replaced or deleted.

        The new file is renamed over the old one. Readers that have opened the old one continue to
        read that.

        >>> import os, tempfile
        >>> store = ZipStore(os.path.join(tempfile.mkdtemp(), "a.zip"))
        >>> store.set("a", bytes(1000))
        >>> store.delete("a")
        >>> store.compact()
        >>> os.path.getsize(store.path) < 200
        True
        """
        self._check_write()
        self._held.archive.compact()

    # Identity

    def _find_place(self) -> place.Place:
        source = self._held.archive.source
        if isinstance(source, ObjectSource):
            return place.of_object(source.object)
        if isinstance(source, RemoteSource):
            return place.of_name(f"zip::{source.store.place.token}/{source.key}")
        return place.of_name(f"zip::{source.path}")

    def __copy__(self) -> Self:
        """Return a store of the same archive."""
        other = type(self).__new__(type(self))
        Store.__setstate__(other, super().__getstate__())
        return other

    def __getstate__(self) -> Any:
        """Return the settings; raise TypeError for an archive in an open file."""
        if isinstance(self._held.archive.source, ObjectSource):
            msg = (
                f"{self} is in an open file, which cannot be pickled; open the archive by its path"
            )
            raise TypeError(msg)
        state = super().__getstate__()
        given = self._given if isinstance(self._given, StorePath) else self.path
        left_out = ("_held", "_place", "fetch_async")
        kept = {name: held for name, held in state.items() if name not in left_out}
        return kept | {"_given": given}

    def __setstate__(self, state: Any) -> None:
        """Restore the settings; the archive is opened when it is used."""
        super().__setstate__(state)
        read_only = self.read_only
        vars(self)["_held"] = self._open()
        vars(self)["read_only"] = read_only

    def __str__(self) -> str:
        """Return a URL of the archive."""
        path = self.path
        return f"zip::{path}" if "://" in path else f"zip://{path}"


def _token(view: View, entry: Entry) -> Hashable:
    return view.opened, entry.offset
