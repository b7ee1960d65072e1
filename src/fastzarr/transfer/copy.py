"""Copy arrays and groups from one hierarchy to another.

Rules of this file:

* A copy passes through memory in pieces of about 64 MiB, never whole.
* Source and target may also be objects of h5py: ``h5py.py`` reads them, ``to_h5py.py`` writes.
* ``if_exists`` determines how existing nodes are treated. A dry run does everything except write.
* An item that cannot be copied is left out and named, and the copy goes on. It ends at once if the
  storage fails (OSError), or a node exists: that would happen to the next item too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.creating.hdf5 import Dataset, from_h5py, is_h5py
from fastzarr.creating.progress import Parts, reporting, size_of
from fastzarr.creating.words import ArraySpec
from fastzarr.errors import BaseZarrError, CopyError, ReadOnlyError
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.nodes.documents import BROKEN
from fastzarr.stores.keys import normalise_path
from fastzarr.transfer.h5py import (
    attributes_of,
    decode_fill,
    dimension_names,
    encode_fill,
    is_netcdf,
    members,
    name_of,
    unlike_zarr,
)
from fastzarr.transfer.log import close_log, open_log
from fastzarr.transfer.report import CopyReport, LeftOut, printable
from fastzarr.transfer.to_h5py import name_dimensions, write_attributes, write_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr import hints
    from fastzarr.creating.progress import Report
    from fastzarr.metadata.format import Format
    from fastzarr.metadata.layout import Layout
    from fastzarr.transfer.log import Log, LogLike

# Where xarray stores the names of dimensions in format 2.
_DIMENSIONS = "_ARRAY_DIMENSIONS"
# The errors of an item, unless they are also OSError.
_OF_ITEMS = (LookupError, TypeError, ValueError, RuntimeError)


IF_EXISTS = ("raise", "replace", "skip", "skip_initialized")


def copy(  # noqa: PLR0913, PLR0917  (a public signature)
    source: hints.HasAttributes,
    dest: hints.HasGroups,
    name: str | None = None,
    shallow: bool = False,
    without_attrs: bool = False,
    log: LogLike = None,
    if_exists: hints.IfExists = "raise",
    dry_run: bool = False,
    on_error: hints.OnError = "raise",
    progress: hints.Progress = None,
    **create_kws: Any,
) -> CopyReport:
    """Copy an array, or a group with all nodes below it, into the group ``dest`` as ``name``.

    ``shallow`` copies only the arrays directly in a group. ``log`` is a file, the name of a file,
    or a callable; it receives one line for each step. ``if_exists`` is ``"raise"``, ``"replace"``,
    ``"skip"``, or ``"skip_initialized"``, which skips arrays all of whose chunks are stored.
    ``create_kws`` are passed to ``create_array`` and override the properties of the source.
    ``progress`` is True or a callable, as in ``create_array``, and counts all arrays.

    Source and target may be groups of h5py, which also opens NetCDF-4. Dimension scales become
    names of dimensions, and the reverse. A node or attribute that cannot be copied, such as a
    reference or a broken link, is left out, and the copy goes on. If ``on_error`` is ``"raise"``,
    a ``CopyError`` at the end names each such item and the reason; if it is ``"skip"``, the result
    does.

    Return the number of nodes copied, of nodes skipped, and of bytes copied, as a tuple whose
    ``left_out`` lists the items left out. Raise ``CopyError`` at once if a node already exists and
    ``if_exists`` is ``"raise"``, or if ``dest`` is below the source.

    >>> import fastzarr as zarr
    >>> source, dest = zarr.group(), zarr.group()
    >>> source["a/x"] = [1, 2, 3]
    >>> zarr.copy(source["a"], dest)
    (2, 0, 24)
    >>> dest["a/x"][:]
    array([1, 2, 3])
    """
    _check_group("dest", dest)
    _check_words(if_exists, on_error, dest, create_kws)
    with open_log(log) as tell:
        job = _Copy(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        _check_node(source)
        name = _name(source, name)
        _check_apart(source, dest, name)
        job.netcdf = is_h5py(source) and is_netcdf(source)
        with job.reporting(progress, source) as each:
            for run in each:
                run.attempt(source, dest, name, root=True)
        return job.close(on_error)


def copy_all(  # noqa: PLR0913, PLR0917  (a public signature)
    source: hints.HasGroups,
    dest: hints.HasGroups,
    shallow: bool = False,
    without_attrs: bool = False,
    log: LogLike = None,
    if_exists: hints.IfExists = "raise",
    dry_run: bool = False,
    on_error: hints.OnError = "raise",
    progress: hints.Progress = None,
    **create_kws: Any,
) -> CopyReport:
    """Copy the members and the attributes of the group ``source`` into the group ``dest``.

    The arguments and the result are those of ``copy``.

    >>> import fastzarr as zarr
    >>> source, dest = zarr.create_group({}, attributes={"title": "t"}), zarr.group()
    >>> source["x"] = [1, 2, 3]
    >>> zarr.copy_all(source, dest)
    (1, 0, 24)
    >>> dest.attrs["title"]
    't'
    """
    _check_group("dest", dest)
    _check_group("source", source)
    _check_words(if_exists, on_error, dest, create_kws)
    _check_apart(source, dest, "")
    with open_log(log) as tell:
        job = _Copy(tell, shallow, without_attrs, if_exists, dry_run, create_kws)
        job.netcdf = is_h5py(source) and is_netcdf(source)
        with job.reporting(progress, source) as each:
            for run in each:
                run.members(source, dest)
        if not dry_run and not without_attrs:
            job.attributes(source, dest)
        return job.close(on_error)


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
        #: The number of bytes that a dry run would copy, and the progress of a copy.
        self.planned = 0
        self.parts: Parts | None = None
        self.left_out: list[LeftOut] = []
        #: The first error of an item.
        self.cause: Exception | None = None
        #: The error of a node that exists, which is no fault of the item.
        self.fatal: Exception | None = None
        #: Whether the source is a file of NetCDF-4.
        self.netcdf = False
        #: Whether arrays beside the present one have names of dimensions.
        self.has_names = False
        #: The groups of h5py that are being copied, each within the one before.
        self.above: list[Any] = []
        #: The datasets that were written to h5py and have names of dimensions.
        self.named: list[tuple[Any, tuple[str | None, ...]]] = []

    @contextmanager
    def reporting(self, progress: Any, source: Any) -> Iterator[Iterator[_Copy]]:
        """Yield the runs of this copy: with progress, the first one only counts the bytes."""
        with reporting(progress, f"copying {source.name}") as report:
            yield iter((self,)) if report is None else self._counted(report)

    def _counted(self, report: Report) -> Iterator[_Copy]:
        words = (self.shallow, self.without_attrs, self.if_exists, True, self.create_kws)
        count = _Copy(lambda _: None, *words)
        count.netcdf = self.netcdf
        yield count
        report(0, count.planned)
        if self.dry_run:
            yield self
            return
        self.parts = Parts(report, count.planned)
        yield self
        self.parts.finish()

    def close(self, on_error: str) -> CopyReport:
        for dataset, names in self.named:  # all of their scales have been copied
            name_dimensions(dataset, names)
        counts = self.copied, self.skipped, self.size
        close_log(self.tell, *counts, dry_run=self.dry_run, left_out=len(self.left_out))
        report = CopyReport(counts, self.left_out)
        if self.left_out and on_error == "raise":
            error = CopyError(report.complaint())
            error.report = report
            raise error from self.cause
        return report

    def attempt(self, source: Any, dest: Any, name: str, *, root: bool) -> None:
        """Copy a node, or note why it cannot be copied."""
        before = self.copied
        try:
            self.copy(source, dest, name, root=root)
        except _OF_ITEMS as error:
            if error is self.fatal or isinstance(error, OSError | ReadOnlyError):
                raise
            self.copied = before
            self.leave_out(str(source.name), None, error)

    def leave_out(self, path: str, attribute: str | None, error: Exception) -> None:
        reason = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        item = LeftOut(path, attribute, reason or type(error).__name__)
        self.tell(f"leave out {item}")
        self.left_out.append(item)
        self.cause = self.cause or error

    def copy(self, source: Any, dest: Any, name: str, *, root: bool) -> None:
        # In a dry run, `dest` is None below a group that would be created.
        reason = unlike_zarr(source) if is_h5py(source) and not is_h5py(dest) else None
        if reason is not None:
            self.tell(f"skip {printable(source.name)}: {reason}")
            self.skipped += 1
        elif _is_array(source):
            self._array(source, dest, name)
        elif root or not self.shallow:
            self._group(source, dest, name)

    def members(self, source: Any, dest: Any) -> None:
        """Copy the members of a group."""
        if not is_h5py(source):
            nodes = self._readable(source)
            layouts = [getattr(node, "layout", None) for _, node in nodes]
            has_names = any(getattr(layout, "dimension_names", None) for layout in layouts)
            for name, node in nodes:
                self.has_names = has_names
                self.attempt(node, dest, name, root=False)
            return
        named = []
        for name, node in members(source):
            path = f"{source.name.rstrip('/')}/{name}"
            if isinstance(node, Exception):
                self.leave_out(path, None, node)
            elif node == source or node in self.above:
                above = next(group.name for group in (source, *self.above) if group == node)
                msg = f"it is a link to {above!r}, which contains it"
                self.leave_out(path, None, CopyError(msg))
            else:
                named.append((name, node))
        self.above.append(source)
        to_zarr = self.netcdf and not is_h5py(dest)
        for name, node in named:
            self.attempt(node, dest, name_of(name) if to_zarr else name, root=False)
        self.above.pop()

    def _readable(self, source: Any) -> list[tuple[str, Any]]:
        """Return the members of a group that can be opened; leave out the others."""
        found = []
        for name in source.names(lambda path, error: self.leave_out(f"/{path}", None, error)):
            try:
                found.append((name, source[name]))
            except BROKEN as error:
                self.leave_out(f"{source.name.rstrip('/')}/{name}", None, error)
        return found

    def attributes(self, source: Any, dest: Any) -> None:
        """Copy the attributes of a group."""
        found = self._attributes_of(source)
        if is_h5py(dest):
            self._leave_out_all(source, write_attributes(dest, found))
        elif found:
            dest.attrs.update(found)

    def _leave_out_all(self, source: Any, wrong: dict[str, Exception]) -> None:
        for name, error in wrong.items():
            self.leave_out(source.name, name, error)

    def _attributes_of(self, source: Any) -> dict[str, Any]:
        """Return the attributes of a node that JSON can represent."""
        if not is_h5py(source):
            return {name: source.attrs[name] for name in source.attrs}
        found: dict[str, Any] = {}
        for name, value in attributes_of(source, netcdf=self.netcdf):
            try:
                if isinstance(value, Exception):
                    raise value
                found |= plain_attributes({name: value})
            except (*_OF_ITEMS, OSError) as error:
                self.leave_out(source.name, name, error)
        return found

    def _names_of(self, source: Any) -> tuple[str | None, ...] | None:
        if not is_h5py(source):
            names = _dimension_names(source)
            return () if names is None and self.has_names and not source.shape else names
        try:
            return dimension_names(source)
        except (LookupError, RuntimeError, ValueError) as error:  # a scale that was deleted
            self.leave_out(source.name, "DIMENSION_LIST", error)
            return None

    def _array(self, source: Any, dest: Any, name: str) -> None:
        data = from_h5py(source, self.create_kws.get("dtype"))
        what = printable(f"{source.name} {source.shape} {source.dtype}")
        there = None if dest is None else dest.get(name)
        if there is not None and self._skips(there, dest, name):
            self.tell(f"skip {what}")
            self.skipped += 1
            return
        self.tell(f"copy {what}")
        self.copied += 1
        size = size_of(source)
        self.planned += size
        if self.dry_run:
            return
        progress = self.parts.part(size) if self.parts else None
        attributes = {} if self.without_attrs else self._attributes_of(source)
        names = self._names_of(source)
        if is_h5py(dest):
            self._to_h5py(data, dest, name, attributes, names, progress)
        else:
            more = {"overwrite": there is not None, "progress": progress}
            self._to_zarr(data, dest, name, attributes, names, more)
        self.size += size

    def _to_zarr(
        self,
        data: Any,
        dest: Any,
        name: str,
        attributes: dict[str, Any],
        names: tuple[str | None, ...] | None,
        more: dict[str, Any],
    ) -> None:
        from fastzarr.creating.like import like_words

        format = dest.layout.format
        described = like_words(data, self.create_kws, format) | {"data": data}
        if isinstance(data, Dataset):
            described = self._fill(data, attributes, format) | described
            if names is None and self.netcdf and not data.shape:
                names = ()
        elif names is not None and None not in names and not self.without_attrs:
            attributes = dict(attributes)
            described |= _masked(data.layout, format, attributes) | self.create_kws
        if format.has_dimension_names:
            if names is not None:
                attributes = {k: v for k, v in attributes.items() if k != _DIMENSIONS}
                described.setdefault("dimension_names", names)
        elif names is not None and None not in names and not self.without_attrs:
            attributes = attributes | {_DIMENSIONS: list(names)}
        if not self.without_attrs:
            described.setdefault("attributes", attributes)
        described |= {"zarr_format": dest.zarr_format} | more
        dest.create_array(name, **described)

    def _fill(self, data: Dataset, attributes: dict[str, Any], format: Format) -> dict[str, Any]:
        """Return the fill value of a dataset as a keyword.

        xarray masks the fill value of format 2, and in format 3 that of ``_FillValue``.
        """
        fill = data.fill_value
        special = data.source.attrs.get("_FillValue") if "_FillValue" in attributes else None
        if isinstance(special, np.ndarray) and special.size == 1:
            special = special.flat[0]
        if format.has_dimension_names:
            if special is not None:
                attributes |= plain_attributes({"_FillValue": encode_fill(special, data.dtype)})
        elif self.netcdf:
            return {"fill_value": special}
        return {} if fill is None else {"fill_value": fill}

    def _to_h5py(
        self,
        data: Any,
        dest: Any,
        name: str,
        attributes: dict[str, Any],
        names: tuple[str | None, ...] | None,
        progress: Report | None,
    ) -> None:
        attributes = {key: value for key, value in attributes.items() if key != _DIMENSIONS}
        words = self.create_kws
        made, wrong = write_dataset(data, dest, name, attributes, words, progress)
        self._leave_out_all(getattr(data, "source", data), wrong)
        if names is not None:
            self.named.append((made, names))

    def _group(self, source: Any, dest: Any, name: str) -> None:
        there = None if dest is None else dest.get(name)
        if _is_array(there):
            if self._skips(there, dest, name):
                self.tell(f"skip {printable(source.name)}")
                self.skipped += 1
                return
            if not self.dry_run:
                del dest[name]
            there = None
        self.tell(f"copy {printable(source.name)}")
        self.copied += 1
        made = there
        if not self.dry_run:
            made = dest.require_group(name)
            if not self.without_attrs:
                self.attributes(source, made)
        self.members(source, made)

    def _skips(self, there: Any, dest: Any, name: str) -> bool:
        if self.if_exists == "raise":
            msg = f"{name!r} already exists in the group {dest.name!r}; see if_exists="
            self.fatal = CopyError(msg)
            raise self.fatal
        if self.if_exists == "skip_initialized" and _is_array(there) and hasattr(there, "nchunks"):
            return bool(there.nchunks_initialized == there.nchunks)
        return self.if_exists == "skip"


def _dimension_names(source: Any) -> tuple[str | None, ...] | None:
    """Return the names of the dimensions of an array of Zarr, as xarray reads them."""
    layout = getattr(source, "layout", None)
    names = getattr(layout, "dimension_names", None)
    if names is None and layout is not None and not layout.format.has_dimension_names:
        found = source.attrs.get(_DIMENSIONS)
        if isinstance(found, list) and len(found) == len(source.shape):
            names = tuple(found) if all(isinstance(name, str) for name in found) else None
    return names


def _masked(layout: Layout, format: Format, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the fill value of an array in another format as a keyword, and change its attributes.

    What xarray masks remains masked, and nothing else is: in format 2, the fill value, and in
    format 3, the attribute ``_FillValue``.
    """
    dtype = layout.dtype.numpy
    if layout.format is format or dtype.kind not in "biufS":
        return {}
    if format.has_dimension_names or not format.has_fill_value:
        if layout.fill is not None:
            attributes.setdefault("_FillValue", encode_fill(layout.fill, dtype))
        return {}
    try:
        special = decode_fill(attributes["_FillValue"], dtype)
    except ValueError:  # written by another convention
        return {}
    except KeyError:
        return {"fill_value": None} if layout.fill == layout.dtype.default_fill else {}
    del attributes["_FillValue"]
    return {"fill_value": special}


def _name(source: Any, name: str | None) -> str:
    found = name or str(source.name).rsplit("/", 1)[-1]
    if not found:
        msg = "the source is the root of its store and has no name; pass name="
        raise TypeError(msg)
    return found


def _is_array(node: Any) -> bool:
    # Groups of any library are mappings, and may have a member named ``shape``.
    return not isinstance(node, Mapping) and hasattr(node, "shape")


def _check_node(source: Any) -> None:
    if not hasattr(source, "attrs") or not hasattr(source, "name"):
        msg = (
            f"source must be an array or a group of Zarr or h5py, not {type(source).__name__}; "
            "other data is assigned to a name, as in dest[name] = data"
        )
        raise TypeError(msg)


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


def _check_words(if_exists: str, on_error: str, dest: Any, create_kws: dict[str, Any]) -> None:
    known = IF_EXISTS[:3] if is_h5py(dest) else IF_EXISTS
    for word, value, values in (
        ("if_exists", if_exists, known),
        ("on_error", on_error, ("raise", "skip")),
    ):
        if value not in values:
            msg = f"{word} must be one of {values}, not {value!r}"
            raise BaseZarrError(msg)
    if not is_h5py(dest):
        ArraySpec.known("copy", create_kws)
