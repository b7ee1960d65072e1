"""Copy arrays and groups from one hierarchy to another.

Rules of this file:

* A copy passes through memory in pieces of about 64 MiB, never whole.
* Source and target may also be objects of h5py: only the interface that both libraries have in
  common is used.
* ``if_exists`` determines how existing nodes are treated. A dry run does everything except write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.errors import BaseZarrError, CopyError
from fastzarr.grids.regions import regions
from fastzarr.grids.regular import RegularGrid
from fastzarr.stores.keys import normalise_path
from fastzarr.transfer.h5py import attributes_of, data_of, is_h5py
from fastzarr.transfer.log import close_log, open_log

if TYPE_CHECKING:
    from fastzarr.transfer.log import Log


IF_EXISTS = ("raise", "replace", "skip", "skip_initialized")


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
    """Copy an array, or a group with all nodes below it, into the group ``dest`` as ``name``.

    ``shallow`` copies only the arrays directly in a group. ``log`` is a file, the name of a file,
    or a callable; it receives one line for each step. ``if_exists`` is ``"raise"``, ``"replace"``,
    ``"skip"``, or ``"skip_initialized"``, which skips arrays all of whose chunks are stored.
    ``create_kws`` are passed to ``create_array`` and override the properties of the source.

    Return the number of nodes copied, of nodes skipped, and of bytes copied. Raise ``CopyError`` if
    a node already exists and ``if_exists`` is ``"raise"``, or if ``dest`` is below the source.

    >>> import fastzarr as zarr
    >>> source, dest = zarr.group(), zarr.group()
    >>> source["a/x"] = [1, 2, 3]
    >>> zarr.copy(source["a"], dest)
    (2, 0, 24)
    >>> dest["a/x"][:]
    array([1, 2, 3])
    """
    _check_group("dest", dest)
    _check_word(if_exists, dest)
    with open_log(log) as tell:
        job = _Copy(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        name = _name(source, name)
        _check_apart(source, dest, name)
        job.copy(source, dest, name, root=True)
        return job.close()


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
    """Copy the members and the attributes of the group ``source`` into the group ``dest``.

    The arguments and the result are those of ``copy``.
    """
    _check_group("dest", dest)
    _check_group("source", source)
    _check_word(if_exists, dest)
    _check_apart(source, dest, "")
    with open_log(log) as tell:
        job = _Copy(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        for name in source:
            job.copy(source[name], dest, name, root=False)
        if not dry_run and not without_attrs:
            dest.attrs.update(attributes_of(source))
        return job.close()


class _Copy:
    def __init__(
        self,
        tell: Log,
        shallow: bool,
        without_attrs: bool,
        if_exists: str,
        dry_run: bool,
        create_kws: dict[str, Any],
    ) -> None:
        self.tell, self.shallow, self.without_attrs = tell, shallow, without_attrs
        self.if_exists, self.dry_run, self.create_kws = if_exists, dry_run, create_kws
        self.copied = self.skipped = self.size = 0

    def close(self) -> tuple[int, int, int]:
        close_log(self.tell, self.copied, self.skipped, self.size, dry_run=self.dry_run)
        return self.copied, self.skipped, self.size

    def copy(self, source: Any, dest: Any, name: str, *, root: bool) -> None:
        # In a dry run, `dest` is None below a group that would be created.
        if _is_array(source):
            self._array(source, dest, name)
        elif root or not self.shallow:
            self._group(source, dest, name)

    def _array(self, source: Any, dest: Any, name: str) -> None:
        what = f"{source.name} {source.shape} {source.dtype}"
        there = None if dest is None else dest.get(name)
        if there is not None and self._skips(there, dest, name):
            self.tell(f"skip {what}")
            self.skipped += 1
            return
        self.tell(f"copy {what}")
        self.copied += 1
        if self.dry_run:
            return
        if is_h5py(dest):
            if there is not None:
                del dest[name]
            self._to_h5py(source, dest, name)
        else:
            self._to_zarr(source, dest, name, overwrite=there is not None)
        self.size += int(np.prod(source.shape, dtype=object)) * source.dtype.itemsize

    def _to_zarr(self, source: Any, dest: Any, name: str, *, overwrite: bool) -> None:
        from fastzarr.creating.like import like_words

        words = dict(self.create_kws)
        data = source
        if is_h5py(source):
            data = data_of(source, words)
        described = like_words(source, words, dest.layout.format) | {"data": data}
        if not self.without_attrs:
            described.setdefault("attributes", attributes_of(source))
        names = getattr(getattr(source, "layout", None), "dimension_names", None)
        if names is not None and dest.layout.format.has_dimension_names:
            described.setdefault("dimension_names", names)
        described |= {"zarr_format": dest.zarr_format, "overwrite": overwrite}
        dest.create_array(name, **described)

    def _to_h5py(self, source: Any, dest: Any, name: str) -> None:
        chunks = tuple(map(min, source.chunks, source.shape)) if source.shape else None
        words = {"chunks": chunks or None, "fillvalue": getattr(source, "fill_value", None)}
        if chunks:
            words |= {"compression": "gzip", "compression_opts": 1}
        made = dest.create_dataset(
            name, shape=source.shape, dtype=source.dtype, **words | self.create_kws
        )
        for region in regions(source.shape, RegularGrid(source.chunks), source.dtype.itemsize):
            made[region] = source[region]
        if not self.without_attrs:
            made.attrs.update(attributes_of(source))

    def _group(self, source: Any, dest: Any, name: str) -> None:
        there = None if dest is None else dest.get(name)
        if _is_array(there):
            if self._skips(there, dest, name):
                self.tell(f"skip {source.name}")
                self.skipped += 1
                return
            if not self.dry_run:
                del dest[name]
            there = None
        self.tell(f"copy {source.name}")
        self.copied += 1
        made = there
        if not self.dry_run:
            made = dest.require_group(name)
            if not self.without_attrs:
                made.attrs.update(attributes_of(source))
        for below in source:
            self.copy(source[below], made, below, root=False)

    def _skips(self, there: Any, dest: Any, name: str) -> bool:
        if self.if_exists == "raise":
            msg = f"{name!r} already exists in the group {dest.name!r}; see if_exists="
            raise CopyError(msg)
        if self.if_exists == "skip_initialized" and _is_array(there) and hasattr(there, "nchunks"):
            return bool(there.nchunks_initialized == there.nchunks)
        return self.if_exists == "skip"


def _name(source: Any, name: str | None) -> str:
    found = name or str(source.name).rsplit("/", 1)[-1]
    if not found:
        msg = "the source is a root group and has no name; pass name="
        raise TypeError(msg)
    return found


def _is_array(node: Any) -> bool:
    # Groups of any library are mappings, and may have a member named ``shape``.
    return not isinstance(node, Mapping) and hasattr(node, "shape")


def _check_group(word: str, group: Any) -> None:
    if not hasattr(group, "require_group"):
        msg = f"{word} must be a group, not {group!r}"
        raise TypeError(msg)


def _check_apart(source: Any, dest: Any, name: str) -> None:
    """Raise ``CopyError`` if a group would be copied to a path below itself, without end."""
    if not (hasattr(source, "store_path") and hasattr(dest, "store_path")):
        return
    target = dest.store_path / normalise_path(name)
    ours, theirs = source.store.place, dest.store.place
    inside = ours.covers(source.path, theirs, target.path)
    if inside and not theirs.covers(target.path, ours, source.path):
        msg = f"cannot copy {source.name!r} to {target}, which is below it; copy it elsewhere first"
        raise CopyError(msg)


def _check_word(if_exists: str, dest: Any) -> None:
    known = IF_EXISTS[:3] if is_h5py(dest) else IF_EXISTS
    if if_exists not in known:
        msg = f"if_exists must be one of {known}, not {if_exists!r}"
        raise BaseZarrError(msg)
