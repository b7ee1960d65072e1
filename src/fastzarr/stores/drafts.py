"""Drafts of stores that change many values in one step: a tree that is prepared outside the store.

Rules of this file:

* The first values of a draft are in memory. When they are too large together, further ones are
  written to a temporary file without a name, which ends with the process.
* The store itself is changed by ``publish`` alone, in one step, which others see whole or not.
"""

from __future__ import annotations

import os
import tempfile
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.config import config
from fastzarr.stores.base import Store
from fastzarr.stores.keys import METADATA_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Owned = Callable[[str], bool] | None

# The share of ``fetch.bytes`` that the values of a draft may take in memory.
_SHARE = 4


class ReplacesTrees(Protocol):
    """A store that replaces a tree in one step."""

    dimension_separator: str | None

    def replace_tree(self, path: str, tree: DraftValues, *, replace: bool, owned: Owned) -> bool:
        """Do as ``Draft.publish`` does, with the values of ``tree``."""


class TreeDraft:
    """A draft of the tree at a path; ``store`` has its content."""

    def __init__(self, target: ReplacesTrees, path: str) -> None:
        """Initialise with an empty tree."""
        self._target, self._path = target, path
        #: The store of the draft.
        self.store = DraftValues(target.dimension_separator)

    def publish(self, *, replace: bool, owned: Owned = None) -> bool:
        """Move the tree to its path, unless there is a node that must not be replaced."""
        done = self._target.replace_tree(self._path, self.store, replace=replace, owned=owned)
        if done:
            self.discard()
        return done

    def discard(self) -> None:
        """Delete the draft."""
        self.store.clear()


def replaced_keys(keys: Iterable[str], path: str, *, replace: bool, owned: Owned) -> Any:
    """Return which keys below a path a draft deletes, or None if it must not be published.

    ``replace`` and ``owned`` are those of ``Draft.publish``.

    >>> replaced_keys(["a/zarr.json", "a/c/0"], "a", replace=True, owned=None)
    ['a/zarr.json', 'a/c/0']
    >>> replaced_keys(["a/zarr.json", "a/c/0"], "a", replace=False, owned=None) is None
    True
    """
    gone: list[str] = []
    start = len(path) + 1 if path else 0
    for key in keys:
        if not replace and key.rpartition("/")[2] in METADATA_NAMES:
            return None
        if replace or (owned is not None and owned(key[start:])):
            gone.append(key)
    return gone


class DraftValues(Store):
    """A store of the values of a draft, in memory and in a temporary file without a name."""

    concurrency = 1
    knows_sizes = True

    def __init__(self, dimension_separator: str | None = None) -> None:
        """Initialise without values."""
        super().__init__()
        self.dimension_separator = dimension_separator
        # A value in memory, or its place and size in the file.
        self._values: dict[str, bytes | tuple[int, int]] = {}
        self._room = config.flat["fetch.bytes"] // _SHARE
        self._file: Any = None
        self._lock = Lock()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        size = len(value)
        with self._lock:
            if size <= self._room:
                self._room -= size
                self._values[key] = bytes(value)
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="fastzarr-")  # noqa: SIM115  (kept open)
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(value)
            self._values[key] = (start, size)

    def _get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._values.get(key)
            if not isinstance(found, tuple):
                return found
            start, size = found
            self._file.seek(start)
            data: bytes = self._file.read(size)
        if len(data) != size:
            msg = f"the temporary file of a draft ends within the value of {key!r}"
            raise OSError(msg)
        return data

    def _getsize(self, key: str) -> int | None:
        found = self._values.get(key)
        return found[1] if isinstance(found, tuple) else None if found is None else len(found)

    def _delete(self, key: str) -> None:
        self._values.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        return [key for key in tuple(self._values) if key.startswith(start)]

    def clear(self) -> None:
        """Delete all values, and the file.

        >>> values = DraftValues()
        >>> values["a"] = b"1"
        >>> values.clear()
        >>> list(values)
        []
        """
        with self._lock:
            self._values.clear()
            file, self._file = self._file, None
        if file is not None:
            file.close()
