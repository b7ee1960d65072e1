"""Copy keys from one store to another.

Rules of this file:

* Values are read and stored in batches of at most ``fetch.bytes // 4`` bytes, or of one value. The
  number of values depends on the largest of the batch before; of each, no more than its share of
  the bytes is requested with the others, and a larger one is read alone.
* Documents come last, in batches of their own, the deeper ones first: what a copy has made visible
  is complete, even if it does not end.
* If a batch fails, its keys are stored one by one, to find the one to name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from fastzarr.config import config
from fastzarr.engine.requests import call_each, gather
from fastzarr.errors import BaseZarrError, CopyError
from fastzarr.stores.capabilities import Request
from fastzarr.stores.keys import METADATA_NAMES, NODE_NAMES, normalise_path
from fastzarr.transfer.copy import IF_EXISTS
from fastzarr.transfer.log import close_log, open_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastzarr.stores.base import Store
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.transfer.log import Log, LogLike

# The values of the first batch, and the most of any, unless the store says how many it takes.
_FIRST = 16
_MOST = 1024


def copy_store(  # noqa: PLR0913, PLR0917  (a public signature)
    source: StoreLike,
    dest: StoreLike,
    source_path: str = "",
    dest_path: str = "",
    excludes: str | Iterable[str] | None = None,
    includes: str | Iterable[str] | None = None,
    flags: int = 0,
    if_exists: Literal["raise", "replace", "skip"] = "raise",
    dry_run: bool = False,
    log: LogLike = None,
) -> tuple[int, int, int]:
    """Copy the bytes of keys from one store to another.

    The keys below ``source_path`` are copied to keys below ``dest_path``. A key is excluded if it
    contains a match of a regular expression in ``excludes`` and none of one in ``includes``;
    ``flags`` are those of ``re``. ``if_exists`` is ``"raise"``, ``"replace"`` or ``"skip"``.

    Return the number of keys copied, of keys skipped, and of bytes copied; a key that is deleted
    meanwhile is not counted. Raise ``CopyError``, before anything is written, if a key already
    exists and ``if_exists`` is ``"raise"``. Raise it also for a value that cannot be read or
    stored, with the counts so far as ``report``: values are atomic, but a copy is not. With
    ``if_exists="skip"``, another call copies the rest.

    >>> import fastzarr as zarr
    >>> source, dest = {"a/b": b"123"}, {}
    >>> zarr.copy_store(source, dest, dest_path="c")
    (1, 0, 3)
    >>> dest
    {'c/a/b': b'123'}
    """
    from fastzarr.stores.resolve import as_store

    if if_exists not in IF_EXISTS[:3]:
        msg = f"if_exists must be one of {IF_EXISTS[:3]}, not {if_exists!r}"
        raise BaseZarrError(msg)
    origin, target = as_store(source), as_store(dest)
    start, into = normalise_path(source_path), normalise_path(dest_path)
    drop, keep = _patterns(excludes, flags), _patterns(includes, flags)
    keys = {}
    for key in origin.list(start):
        rest = key[len(start) :].strip("/")
        dropped = any(pattern.search(rest) for pattern in drop)
        if not dropped or any(pattern.search(rest) for pattern in keep):
            keys[key] = f"{into}/{rest}" if into else rest
    taken = _existing(target, into, [*keys.values()])
    if taken and if_exists == "raise":
        msg = f"the key {min(taken)!r} already exists in {target}; see if_exists="
        raise CopyError(msg)
    with open_log(log) as tell:
        copy = _Copy(origin, target, keys, taken if if_exists == "skip" else set(), tell)
        try:
            if dry_run:
                copy.copied = len(copy.tell_of(copy.waiting))
            else:
                copy.run()
            copy.waiting.clear()
        finally:
            close_log(tell, *copy.counts(), dry_run=dry_run, whole=not copy.waiting)
    return copy.counts()


class _Copy:
    """The keys that are copied, and the counts."""

    def __init__(
        self, origin: Store, target: Store, keys: dict[str, str], taken: set[str], tell: Log
    ) -> None:
        """Initialise with the new key of each key, and the new keys that are left as they are."""
        self.origin, self.target, self.tell = origin, target, tell
        self.keys, self.taken = keys, taken
        self.copied = self.skipped = self.size = 0
        #: The keys that are neither copied nor skipped yet.
        self.waiting = sorted(keys, key=_rank)

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of keys copied and skipped, and of bytes copied."""
        return self.copied, self.skipped, self.size

    def tell_of(self, keys: Iterable[str]) -> list[str]:
        """Write each key to the log; return those that are to be copied."""
        chosen = []
        for key in keys:
            new = self.keys[key]
            skipped = new in self.taken
            shown = key if key == new else f"{key} -> {new}"
            self.tell(f"skip {shown}" if skipped else f"copy {shown}")
            if skipped:
                self.skipped += 1
            else:
                chosen.append(key)
        return chosen

    def run(self) -> None:
        """Copy the keys that wait; raise ``CopyError`` for the first that cannot be copied."""
        most = config.flat["fetch.bytes"] // 4
        together = self.target.batch if self.target.batch > 1 else _MOST
        largest = most // _FIRST
        while self.waiting:
            # Values that are a little larger than those before are not read twice.
            count = most // (largest + largest // 4 + 1)
            found = self.waiting[: min(max(count, 1), together)]
            # A document is stored when all that is before it has been.
            found = [key for key in found if _rank(key)[:3] == _rank(found[0])[:3]]
            count = len(found)
            part = self.tell_of(found)
            values, large = self._read(part, most // count if count > 1 else None)
            self._store(values)
            sizes = [len(value) for value in values.values()]
            for key in large:
                value = self._read_alone(key)
                self._store({} if value is None else {key: value})
                sizes.append(0 if value is None else len(value))
            largest = max(sizes, default=0)
            del self.waiting[:count]

    def _read(
        self, keys: Sequence[str], share: int | None
    ) -> tuple[dict[str, bytes], Sequence[str]]:
        """Return values that are smaller than a share of bytes, and the keys of the others."""
        values, large = {}, set()
        wanted = [Request(key, 0, share) for key in keys]
        try:
            for index, value in gather(self.origin, wanted):
                data = b"" if value is None else bytes(value.data)
                if share is not None and len(data) >= share:
                    large.add(keys[index])
                elif value is not None:
                    values[keys[index]] = data
        except Exception:  # noqa: BLE001  (raised again for the key that it is about)
            return {}, keys
        found = {key: values[key] for key in keys if key in values}
        return found, [key for key in keys if key in large]

    def _read_alone(self, key: str) -> bytes | None:
        try:
            return self.origin.get(key)
        except Exception as error:
            raise self._failed(key, "read from", self.origin, error) from error

    def _store(self, values: dict[str, bytes]) -> None:
        """Store values by their keys in the source."""
        if len(values) > 1 and self._store_together(values):
            self.copied += len(values)
            self.size += sum(map(len, values.values()))
            return
        names = [*values]
        failures: list[tuple[str, Exception]] = []

        def store(key: str) -> bool:
            # Threads may have more keys to store after one has failed.
            if failures:
                return False
            self.target.set(self.keys[key], values[key])
            return True

        for index, stored in call_each(self.target, store, names):
            if isinstance(stored, Exception):
                failures.append((names[index], stored))
            elif stored:
                self.copied += 1
                self.size += len(values[names[index]])
        if failures:
            key, error = failures[0]
            raise self._failed(key, "stored in", self.target, error) from error

    def _store_together(self, values: dict[str, bytes]) -> bool:
        if self.target.set_many is None:
            return False
        try:
            self.target.set_many([(self.keys[key], value) for key, value in values.items()])
        except Exception:  # noqa: BLE001  (raised again for the key that it is about)
            return False
        return True

    def _failed(self, key: str, verb: str, store: Store, error: Exception) -> CopyError:
        failed = CopyError(
            f"the key {key!r} could not be {verb} {store}, after {self.copied} keys were copied: "
            f"{error}; to copy the rest, repeat with if_exists='skip'"
        )
        failed.report = self.counts()
        return failed


def _rank(key: str) -> tuple[bool, int, bool, str]:
    """Return the place of a key: values, then documents, the deeper ones first."""
    above, _, name = key.rpartition("/")
    if name not in METADATA_NAMES:
        return False, 0, False, key
    return True, -len(above.split("/")) if above else 0, name in NODE_NAMES, key


def _existing(store: Store, path: str, keys: Sequence[str]) -> set[str]:
    """Return those of the keys below a path that exist; an empty path takes one request."""
    if not keys or store.is_empty(path):
        return set()
    found = set()
    for index, answer in call_each(store, store.exists, keys):
        if isinstance(answer, Exception):
            raise answer
        if answer:
            found.add(keys[index])
    return found


def _patterns(patterns: str | Iterable[str] | None, flags: int) -> list[re.Pattern[str]]:
    given = [patterns] if isinstance(patterns, str) else patterns or ()
    return [re.compile(pattern, flags) for pattern in given]
