"""Copies of arrays, groups and keys, with a log.

Rules of this file:

* The log has the lines of zarr-python 2.
"""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr.v2.errors import CopyError
from fastzarr.v2.util import buffer_size, normalize_storage_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Log = Callable[[str], None]

_IF_EXISTS = ("raise", "replace", "skip")


class _Counts(NamedTuple):
    copied: int = 0
    skipped: int = 0
    size: int = 0

    def plus(self, other: tuple[int, int, int]) -> _Counts:
        return _Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def tell(self, log: Log, *, dry_run: bool) -> None:
        what = "dry run" if dry_run else "all done"
        end = "" if dry_run else f", {self.size:,} bytes copied"
        log(f"{what}: {self.copied:,} copied, {self.skipped:,} skipped{end}")


@contextmanager
def _logging(log: Any) -> Iterator[Log]:
    """Return a function that writes a line to a log: None, a function, a path or a file."""
    if log is None:
        yield lambda _: None
    elif callable(log):
        yield log
    elif isinstance(log, str):
        with Path(log).open("w") as file:
            yield _to(file)
    elif hasattr(log, "write"):
        yield _to(log)
    else:
        msg = f"log must be a function, the path of a file or a file, found {log!r}"
        raise TypeError(msg)


def _to(file: Any) -> Log:
    return lambda line: print(line, file=file, flush=hasattr(file, "flush"))


def _check_if_exists(if_exists: str, known: tuple[str, ...]) -> None:
    if if_exists not in known:
        msg = f"if_exists must be one of {list(known)!r}; found {if_exists!r}"
        raise ValueError(msg)


def _check_group(dest: Any) -> None:
    if not hasattr(dest, "create_dataset"):
        msg = f"dest must be a group, got {dest!r}"
        raise ValueError(msg)


def copy_store(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
    source: Any,
    dest: Any,
    source_path: Any = "",
    dest_path: Any = "",
    excludes: Any = None,
    includes: Any = None,
    flags: int = 0,
    if_exists: str = "raise",
    dry_run: bool = False,
    log: Any = None,
) -> tuple[int, int, int]:
    """Copy the keys below a path to another store; return how many, how many not, and the bytes.

    >>> copy_store({"a": b"12"}, {})
    (1, 0, 2)
    """
    _check_if_exists(if_exists, _IF_EXISTS)
    start, target = (
        f"{normalize_storage_path(path)}/".lstrip("/") for path in (source_path, dest_path)
    )
    excluded, included = (_patterns(words, flags) for words in (excludes, includes))
    counts = _Counts()
    with _logging(log) as tell:
        for key in sorted(source.keys()):
            left_out = any(each.search(key) for each in excluded)
            if not key.startswith(start) or (
                left_out and not any(each.search(key) for each in included)
            ):
                continue
            new = target + key.removeprefix(start)
            words = key if new == key else f"{key} -> {new}"
            exists = if_exists != "replace" and new in dest
            if exists and if_exists == "raise":
                msg = f"key {new!r} exists in destination"
                raise CopyError(msg)
            tell(f"{'skip' if exists else 'copy'} {words}")
            size = 0
            if not exists and not dry_run:
                data = source[key]
                size = buffer_size(data)
                dest[new] = data
            counts = counts.plus((not exists, exists, size))
        counts.tell(tell, dry_run=dry_run)
    return counts.copied, counts.skipped, counts.size


def _patterns(words: Any, flags: int) -> list[re.Pattern[str]]:
    words = [words] if isinstance(words, str) else words or []
    return [re.compile(word, flags) for word in words]


def copy(
    source: Any,
    dest: Any,
    name: str | None = None,
    shallow: bool = False,
    without_attrs: bool = False,
    log: Any = None,
    if_exists: str = "raise",
    dry_run: bool = False,
    **create_kws: Any,
) -> tuple[int, int, int]:
    """Copy an array or a group, of zarr or h5py, into a group; return what was copied.

    The result has the numbers of arrays copied and skipped, and of bytes.

    >>> import fastzarr.v2 as zarr
    >>> copy(zarr.array([1, 2]), zarr.group(), name="a")
    (1, 0, 16)
    """
    _check_group(dest)
    with _logging(log) as tell:
        how = _How(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        counts = how.copy(source, dest, name, root=True)
        counts.tell(tell, dry_run=dry_run)
    return counts.copied, counts.skipped, counts.size


def copy_all(
    source: Any,
    dest: Any,
    shallow: bool = False,
    without_attrs: bool = False,
    log: Any = None,
    if_exists: str = "raise",
    dry_run: bool = False,
    **create_kws: Any,
) -> tuple[int, int, int]:
    """Copy all members of a group into another; return what was copied, as ``copy`` does.

    >>> import fastzarr.v2 as zarr
    >>> copy_all(zarr.group(), zarr.group())
    (0, 0, 0)
    """
    _check_group(dest)
    counts = _Counts()
    with _logging(log) as tell:
        how = _How(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        for name in list(source.keys()):
            counts = counts.plus(how.copy(source[name], dest, name, root=False))
        dest.attrs.update(**source.attrs)
        counts.tell(tell, dry_run=dry_run)
    return counts.copied, counts.skipped, counts.size


class _How(NamedTuple):
    """How a hierarchy is copied."""

    log: Log
    shallow: bool
    without_attrs: bool
    if_exists: str
    dry_run: bool
    words: dict[str, Any]

    def copy(self, source: Any, dest: Any, name: str | None, *, root: bool) -> _Counts:
        """Copy a node; ``dest`` may be None in a dry run."""
        to_h5py = dest is not None and _is_h5py(dest)
        _check_if_exists(self.if_exists, (*_IF_EXISTS, "skip_initialized"))
        if to_h5py and self.if_exists == "skip_initialized":
            msg = f"{self.if_exists!r} can only be used when copying to zarr"
            raise ValueError(msg)
        name = name or (source.name or "").rpartition("/")[2]
        if not name:
            msg = "the source has no name; pass name= for the copy"
            raise TypeError(msg)
        if hasattr(source, "shape"):
            return self._copy_array(source, dest, name)
        if root or not self.shallow:
            return self._copy_group(source, dest, name)
        return _Counts()

    def _copy_array(self, source: Any, dest: Any, name: str) -> _Counts:
        exists = dest is not None and name in dest
        if self._skips(dest, name, exists=exists):
            self.log(f"skip {source.name} {source.shape} {source.dtype}")
            return _Counts(skipped=1)
        self.log(f"copy {source.name} {source.shape} {source.dtype}")
        if self.dry_run:
            return _Counts(copied=1)
        if exists:
            del dest[name]
        words = _like(source, to_h5py=_is_h5py(dest)) | self.words
        made = dest.create_dataset(name, shape=source.shape, dtype=source.dtype, **words)
        size = 0
        for region in _chunks_of(made.shape, made.chunks):
            made[region] = source[region]
        size = int(source.size * source.dtype.itemsize)
        if not self.without_attrs:
            _copy_attrs(source, made)
        return _Counts(copied=1, size=size)

    def _skips(self, dest: Any, name: str, *, exists: bool) -> bool:
        if not exists:
            return False
        if self.if_exists == "raise":
            msg = f"an object {name!r} already exists in destination {dest.name!r}"
            raise CopyError(msg)
        if self.if_exists == "skip_initialized":
            found = dest[name]
            return hasattr(found, "nchunks") and found.nchunks_initialized == found.nchunks
        return self.if_exists == "skip"

    def _copy_group(self, source: Any, dest: Any, name: str) -> _Counts:
        exists = dest is not None and name in dest and hasattr(dest[name], "shape")
        if exists and self.if_exists == "raise":
            msg = f"an array {name!r} already exists in destination {dest.name!r}"
            raise CopyError(msg)
        if exists and self.if_exists == "skip":
            self.log(f"skip {source.name}")
            return _Counts(skipped=1)
        self.log(f"copy {source.name}")
        if self.dry_run:
            made = None if dest is None else dest.get(name)
        else:
            if exists:
                del dest[name]
            made = dest.require_group(name)
            if not self.without_attrs:
                made.attrs.update(source.attrs)
        counts = _Counts(copied=1)
        for below in list(source.keys()):
            counts = counts.plus(self.copy(source[below], made, below, root=False))
        return counts


def _is_h5py(node: Any) -> bool:
    return str(node.__module__).startswith("h5py.")


def _like(source: Any, *, to_h5py: bool) -> dict[str, Any]:
    """Return the words for an array like another, as far as both libraries have them."""
    words: dict[str, Any] = {"chunks": source.chunks}
    if _is_h5py(source):
        if to_h5py:
            names = ("compression", "compression_opts", "shuffle", "fletcher32", "fillvalue")
            return words | {name: getattr(source, name) for name in names}
        return words | {"fill_value": source.fillvalue}
    if to_h5py:
        return words | {
            "compression": "gzip",
            "compression_opts": 1,
            "fillvalue": source.fill_value,
        }
    kept = ("compressor", "filters", "order", "fill_value")
    return words | {name: getattr(source, name) for name in kept}


def _chunks_of(shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> Any:
    pairs = zip(shape, chunks or shape, strict=True)
    starts = [[slice(at, at + step) for at in range(0, size, max(step, 1))] for size, step in pairs]
    return itertools.product(*starts)


def _copy_attrs(source: Any, made: Any) -> None:
    if _is_h5py(source) and not _is_h5py(made):
        # Links between datasets are not data.
        known = {"DIMENSION_LIST", "REFERENCE_LIST"}
        made.attrs.update(
            {name: value for name, value in source.attrs.items() if name not in known}
        )
    else:
        made.attrs.update(source.attrs)
