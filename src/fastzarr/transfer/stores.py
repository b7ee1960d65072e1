"""Copy keys from one store to another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from fastzarr.errors import BaseZarrError, CopyError
from fastzarr.stores.keys import normalise_path
from fastzarr.transfer.copy import IF_EXISTS
from fastzarr.transfer.log import close_log, open_log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastzarr.stores.resolve import StoreLike
    from fastzarr.transfer.log import LogLike


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

    Return the number of keys copied, of keys skipped, and of bytes copied. Raise ``CopyError``,
    before anything is written, if a key already exists and ``if_exists`` is ``"raise"``.

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
    taken = {new for new in keys.values() if target.exists(new)}
    if taken and if_exists == "raise":
        msg = f"the key {min(taken)!r} already exists in {target}; see if_exists="
        raise CopyError(msg)
    copied = skipped = size = 0
    with open_log(log) as tell:
        for key, new in keys.items():
            shown = key if key == new else f"{key} -> {new}"
            if new in taken and if_exists == "skip":
                tell(f"skip {shown}")
                skipped += 1
                continue
            tell(f"copy {shown}")
            value = None if dry_run else origin.get(key)
            if value is not None:
                target.set(new, value)
                size += len(value)
            copied += 1
        close_log(tell, copied, skipped, size, dry_run=dry_run)
    return copied, skipped, size


def _patterns(patterns: str | Iterable[str] | None, flags: int) -> list[re.Pattern[str]]:
    given = [patterns] if isinstance(patterns, str) else patterns or ()
    return [re.compile(pattern, flags) for pattern in given]
