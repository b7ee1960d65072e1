"""The values of a folder with changes that are not yet in it, read as if they were.

Rules of this file:

* A transaction has such changes, and so has the journal of a writer that died: a reader that may
  not complete the journal, or must not, reads the committed values through it.
* A new value is renamed into the folder when the journal is applied. A value that is not among the
  new ones any more is therefore read from the folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from fastzarr.errors import BaseZarrError
from fastzarr.stores.keys import JOURNAL_NAME
from fastzarr.stores.local.journal import VALUES, load, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from fastzarr.stores.local.folder import Folder

T = TypeVar("T")


class Layer:
    """The values of a folder with changes; ``values`` is the folder of the new ones."""

    def __init__(self, folder: Folder, made: dict[str, bool], values: Folder, above: str) -> None:
        """Initialise; ``made`` says whether each changed key has a value.

        ``above`` is the prefix of the keys in ``made`` and ``values``, if these belong to a folder
        above.
        """
        self.folder, self.made, self.values, self.above = folder, made, values, above
        #: Whether the changes may be in the folder already.
        self.over = False

    def read(self, key: str, check: Callable[[int, str], None] | None = None) -> bytes | None:
        """Return the value of a key as ``Folder.read`` does."""
        return self._ask(key, lambda folder, key: folder.read(key, check))

    def read_parts(
        self, key: str, ranges: Sequence[tuple[int, int | None]]
    ) -> tuple[list[bytes], os.stat_result] | None:
        """Return parts of a value as ``Folder.read_parts`` does."""
        return self._ask(key, lambda folder, key: folder.read_parts(key, ranges))

    def stat_file(self, key: str) -> os.stat_result | None:
        """Return the ``stat`` of a key's file, or None if the key is missing."""
        return self._ask(key, lambda folder, key: folder.stat_file(key))

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        found = self.made.get(self.above + key)
        return self.folder.exists(key) if found is None else found

    def keys_below(self, prefix: str, *, sweep: bool = True) -> Iterator[str]:
        """Yield the keys below a prefix."""
        for key in self.folder.keys_below(prefix, sweep=sweep):
            if self.above + key not in self.made:
                yield key
        start = self.above + (f"{prefix}/" if prefix else "")
        # Copied, because other threads may write at the same time.
        for key, has_value in tuple(self.made.items()):
            if has_value and key.startswith(start):
                yield key[len(self.above) :]

    def _ask(self, key: str, verb: Callable[[Folder, str], T | None]) -> T | None:
        """Return ``verb(folder, key)`` for the folder in which the value of the key is."""
        has_value = self.made.get(self.above + key)
        if has_value is not None:
            found = verb(self.values, self.above + key) if has_value else None
            if found is not None or not (has_value or self.over):
                return found
        return verb(self.folder, key)


class Overlay(Layer):
    """The values of a folder with the changes of a journal that this process does not complete."""

    def __init__(self, folder: Folder, whole: Folder, token: Hashable) -> None:
        """Read the journal in ``whole``, which is the folder or one above it."""
        self._journal, self._token = whole.base + JOURNAL_NAME, token
        values = folder.at(f"{self._journal}/{VALUES}")
        below = os.path.relpath(os.path.realpath(folder.root), os.path.realpath(whole.root))
        above = "" if below == os.curdir else f"{below}/"
        super().__init__(folder, load(whole, self._journal), values, above)

    def is_current(self) -> bool:
        """Whether the journal still exists, so that its values are the committed ones."""
        return _token(self._journal) == self._token


def over(folder: Folder, root: str) -> Overlay | None:
    """Return the values of a folder with the changes of the journal in ``root``, if there is one.

    ``root`` is the path of the folder or of one above it. Nothing is locked and nothing is written:
    the result is correct while another process completes the journal. Raise TransactionError for
    an invalid journal.
    """
    whole = folder.at(root)
    journal = whole.base + JOURNAL_NAME
    while (token := _token(journal)) is not None:
        try:
            found = Overlay(folder, whole, token)
        except (OSError, TypeError, ValueError, BaseZarrError) as error:
            # It may have been completed meanwhile.
            if _token(journal) == token:
                raise unfinished(whole, error) from error
        else:
            if found.is_current():
                return found
    return None


def _token(journal: str) -> Hashable | None:
    """Return what identifies a journal, whose inode may be used again by a later one."""
    try:
        info = os.lstat(journal)
    except FileNotFoundError:
        return None
    return (info.st_dev, info.st_ino, info.st_ctime_ns)
