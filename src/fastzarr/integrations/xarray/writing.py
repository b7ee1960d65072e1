"""Writing datasets: ``to_fastzarr``.

Rules of this file:

* A dataset is encoded and checked as a whole before the store is changed, so that an invalid one
  deletes and creates nothing.
* Arrays are created, or resized, then the variables in memory are written by the engine, whose
  threads share each array, then the metadata is consolidated. Variables in blocks of dask, or of
  another library, are written by their scheduler without locks: see ``chunks.py``.
* Modes are those of xarray: ``w`` replaces a group, ``w-`` fails if there is one, ``a`` replaces or
  adds variables, ``a-`` appends only those that have the dimension, and ``r+`` changes elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from xarray import DataTree, conventions
from xarray.namedarray.parallelcompat import get_chunked_array_type

from fastzarr.api.consolidate import consolidate_metadata
from fastzarr.api.open import open_group
from fastzarr.engine import written
from fastzarr.errors import GroupNotFoundError
from fastzarr.integrations.blocks import is_shared_safely
from fastzarr.integrations.xarray import coding
from fastzarr.integrations.xarray.appending import More, append
from fastzarr.integrations.xarray.chunks import align, check_alone, sizes_of
from fastzarr.integrations.xarray.creating import (
    as_encoding,
    check_encoding,
    creation_words,
    stored_name,
)
from fastzarr.integrations.xarray.reading import GroupReader
from fastzarr.integrations.xarray.regions import resolve
from fastzarr.integrations.xarray.replacing import replacement
from fastzarr.integrations.xarray.sources import check_apart
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.metadata.formats import default_format, parse_format, same_format
from fastzarr.nodes import documents
from fastzarr.stores.base import Store
from fastzarr.stores.memory import MemoryStore
from fastzarr.stores.path import StorePath
from fastzarr.stores.resolve import as_store_path

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from xarray import Dataset, Variable

    from fastzarr import hints
    from fastzarr.metadata.format import Format
    from fastzarr.nodes.array import Array
    from fastzarr.nodes.group import Group
    from fastzarr.stores.resolve import StoreLike

    Encoding = Mapping[Any, Any]

_MODES = ("w", "w-", "a", "a-", "r+")
_EXISTING = ("a", "a-", "r+")


@dataclass(frozen=True)
class _How:
    """How a dataset is written."""

    mode: str
    append_dim: Hashable | None = None
    region: Any = None
    safe_chunks: bool = True
    align_chunks: bool = False
    zarr_format: Any = None
    write_empty: bool | None = None
    compute: bool = True


@dataclass
class _Pending:
    """What is written when all arrays are there."""

    values: list[tuple[Any, Array, Any]] = field(default_factory=list)
    #: What is appended.
    more: list[More] = field(default_factory=list)
    sources: list[Any] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)
    regions: list[tuple[slice, ...]] = field(default_factory=list)

    def write_values(self) -> None:
        for variable, array, region in self.values:
            array[region] = variable.to_numpy()

    def append(self, dim: Hashable, options: Mapping[str, Any] | None) -> None:
        if self.more:
            append(self.more, dim, partial(_store, compute=True, options=options))

    def store_blocks(self, *, compute: bool, options: Mapping[str, Any] | None) -> Any:
        if not self.sources:
            return None
        return _store(self.sources, self.targets, self.regions, compute=compute, options=options)


def _store(
    sources: list[Any],
    targets: list[Array],
    regions: list[tuple[slice, ...]],
    *,
    compute: bool,
    options: Mapping[str, Any] | None,
) -> Any:
    manager: Any = get_chunked_array_type(*sources)
    how = {"lock": False, "compute": compute, "regions": regions, **(options or {})}
    found = manager.store(sources, targets, **how)
    written.note(*(array.path for array in targets))
    return found


def to_fastzarr(  # noqa: PLR0913  (the signature of xarray's to_zarr)
    dataset: Dataset | DataTree,
    store: StoreLike = None,
    mode: str | None = None,
    *,
    group: str | None = None,
    encoding: Encoding | None = None,
    write_inherited_coords: bool = False,
    compute: bool = True,
    consolidated: bool | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[Any, slice | str] | str | None = None,
    safe_chunks: bool = True,
    align_chunks: bool = False,
    storage_options: dict[str, Any] | None = None,
    zarr_format: Any = None,
    write_empty_chunks: bool | None = None,
    chunkmanager_store_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Write a dataset of xarray, or each one of a tree, to a group, and return the group.

    The keywords are those of ``xarray.Dataset.to_zarr``. ``mode`` is ``"w-"`` by default (create,
    and fail if there is a group), ``"a"`` if ``append_dim`` is passed, and ``"r+"`` if ``region``
    is; ``"w"`` replaces a group, in one step where the store can. ``region`` is the part of
    existing arrays that is written, a dict of slices, each of which may be ``"auto"``: then the
    stored coordinate says where. For a tree, ``encoding`` has one for each path, and
    ``write_inherited_coords=True`` stores the coordinates that a group inherits in the group, too.

    Blocks of dask are written in parallel. With ``compute=False`` they are written by the returned
    ``Delayed``; the arrays exist already, as long as they will be, so that readers see fill values
    for what is not written yet. Blocks that end inside a chunk are written correctly if
    the store keeps concurrent changes of one chunk apart, as folders, memory, databases and object
    stores with conditional writes do. In other stores they raise ValueError, unless
    ``align_chunks=True`` makes them end where chunks do, or ``safe_chunks=False`` is passed.

    >>> import xarray as xr
    >>> from fastzarr.integrations.xarray import to_fastzarr
    >>> ds = xr.Dataset({"depth": ("x", [10, 20])}, {"x": [0.5, 1.5]})
    >>> group = to_fastzarr(ds, store := {})
    >>> group = to_fastzarr(ds.assign_coords(x=[2.5, 3.5]), store, append_dim="x")
    >>> group["depth"][:]
    array([10, 20, 10, 20])
    >>> group = to_fastzarr((ds + 1).isel(x=[1]), store, region={"x": slice(3, 4)})
    >>> group["depth"][:]
    array([10, 20, 10, 21])
    """
    how = _How(
        _mode(mode, append_dim, region),
        append_dim,
        region,
        safe_chunks,
        align_chunks,
        zarr_format,
        write_empty_chunks,
        compute,
    )
    base = as_store_path(store, mode="a", storage_options=storage_options)
    place, pending = base / (group or ""), _Pending()
    writers: list[_Writer] = []
    for path, part, words in _parts(dataset, encoding or {}, inherited=write_inherited_coords):
        writer = _writer(part, place / path, how, words)
        writers.append(writer)
        # The groups below have the format of the root.
        how = replace(how, zarr_format=writer.format.number)
    owned = not isinstance(store, Store | StorePath)
    consolidated = consolidated if how.mode != "r+" else False
    options = chunkmanager_store_kwargs
    if how.mode == "w" and documents.load(place.store, place.path) is not None:
        for writer in writers:
            writer.check_replacing(place)
        if compute and _replaced(place, writers, base, consolidated, options):
            _close(None, base.store if owned else None)
            return open_group(place, "r+", zarr_format=writers[0].format.number)
    written, *_ = [writer.write(pending) for writer in writers]
    return _finish(
        base, written, pending, how, owned=owned, consolidated=consolidated, options=options
    )


def _replaced(
    place: StorePath,
    writers: list[_Writer],
    base: StorePath,
    consolidated: bool | None,
    options: Mapping[str, Any] | None,
) -> bool:
    """Replace a group in one step, and return True, if the store can do so."""
    format, pending = writers[0].format, _Pending()
    shared = any(var.chunks for writer in writers for var in writer.ready.values())
    with replacement(place, format, shared=shared) as new:
        if new is None:
            return False
        for writer in writers:
            writer.place = new / writer.place.path[len(place.path) :].strip("/")
        written, *_ = [writer.write(pending) for writer in writers]
        pending.write_values()
        pending.store_blocks(compute=True, options=options)
        alone = place.path == base.path
        _consolidate(new, written, consolidated if alone else False)
    if not alone:
        _consolidate(base, open_group(place, "r+", zarr_format=format.number), consolidated)
    return True


def _parts(
    given: Dataset | DataTree, encoding: Mapping[Any, Any], *, inherited: bool
) -> Iterator[tuple[str, Dataset, Encoding]]:
    """Iterate over the datasets to write, each with its path and its encoding."""
    if not isinstance(given, DataTree):
        yield "", given, encoding
        return
    unknown = sorted({*encoding} - {*given.groups})
    if unknown:
        msg = f"encoding names groups that are not in the tree: {unknown!r}"
        raise ValueError(msg)
    for path, node in given.subtree_with_keys:
        dataset = node.to_dataset(inherit=inherited or node is given)
        yield "" if path == "." else path, dataset, encoding.get(node.path, {})


def _finish(
    base: StorePath,
    written: Group,
    pending: _Pending,
    how: _How,
    *,
    owned: bool,
    consolidated: bool | None,
    options: Mapping[str, Any] | None,
) -> Any:
    """Write what is pending, and consolidate the metadata."""
    pending.write_values()
    pending.append(how.append_dim, options)
    store = base.store
    _consolidate(base, written, consolidated)
    blocks = pending.store_blocks(compute=how.compute, options=options)
    if not how.compute:
        from dask.delayed import delayed

        return delayed(_close)(blocks, store if owned else None)
    _close(blocks, store if owned else None)
    return written


def _consolidate(base: StorePath, written: Group, wanted: bool | None) -> None:
    store, format = base.store, written.layout.format
    can = format.consolidated is not None and store.supports_consolidated_metadata
    if wanted or (wanted is None and can):
        above = documents.load(store, base.path, format)
        consolidate_metadata(store, written.path if above is None else base.path)


def _close(_: Any, store: Store | None) -> None:
    """Complete a store that has values elsewhere than in files of their own, such as an archive."""
    if store is not None and store.files is None:
        store.close()


def _mode(mode: str | None, append_dim: Hashable | None, region: Any) -> str:
    """Return the mode, and raise ValueError if the other arguments do not go with it."""
    if mode is None:
        mode = "w-" if region is None else "r+"
        mode = mode if append_dim is None else "a"
    if mode not in _MODES:
        msg = f"mode must be one of {_MODES}, got {mode!r}"
        raise ValueError(msg)
    if append_dim is not None and mode not in ("a", "a-"):
        msg = f"cannot set append_dim unless mode='a', mode='a-' or mode=None, got {mode!r}"
        raise ValueError(msg)
    if region is not None and mode not in _EXISTING:
        msg = "cannot set region unless mode='a', mode='a-', mode='r+' or mode=None"
        raise ValueError(msg)
    return mode


def _check_names(dataset: Dataset) -> None:
    for name in dataset.variables:
        if not isinstance(name, str | None):
            msg = f"the name of a variable must be a string or None to be stored, got {name!r}"
            raise TypeError(msg)
        if name is not None and (not name or "/" in name):
            msg = (
                f"the name of a variable is that of an array, got {name!r}: the string must be "
                "length 1 or greater, without '/'; rename it with .rename_vars()"
            )
            raise ValueError(msg)


def _format_for(place: StorePath, wanted: Any) -> Format:
    """Return the format of a new group: the one given, or that of a group above."""
    if wanted is not None:
        found = same_format(wanted, None)
        assert found is not None  # noqa: S101  (something was given)
        return found
    above = place.path
    while above:
        above = above.rpartition("/")[0]
        node = documents.load(place.store, above)
        if node is not None:
            return node.format
    own = place.store.zarr_format
    return default_format() if own is None else parse_format(own, "zarr_format of the store")


def _writer(dataset: Dataset, place: StorePath, how: _How, encoding: Encoding) -> _Writer:
    """Return what writes a dataset, which is encoded and checked; nothing is changed yet."""
    _check_names(dataset)
    unknown = [name for name in encoding if name not in dataset.variables]
    if unknown and how.region is None:
        msg = f"encoding names variables that are not in the dataset: {unknown!r}"
        raise KeyError(msg)
    group: Group | None = None
    if how.mode in _EXISTING:
        try:
            group = open_group(place, "r+", zarr_format=how.zarr_format)
        except GroupNotFoundError:
            if how.mode == "r+":
                raise
    writer = _Writer(group, place, how)
    writer.prepare(dataset, encoding)
    return writer


class _Writer:
    """The writing of one dataset to one group, which may not exist yet."""

    def __init__(self, group: Group | None, place: StorePath, how: _How) -> None:
        self.group, self.place, self.how = group, place, how
        self.stored: dict[str, Array] = {} if group is None else dict(group.arrays())
        self.format = _format_for(place, how.zarr_format) if group is None else group.layout.format
        self.region: dict[Hashable, slice] = {}
        self.attributes: dict[str, Any] = {}
        #: The variables to write, as they are stored, and the keywords of new arrays.
        self.ready: dict[str, Variable] = {}
        self.created: dict[str, dict[str, Any]] = {}

    def prepare(self, dataset: Dataset, encoding: Encoding) -> None:
        stored = self.stored
        if self.how.region is not None:
            self.region = resolve(dataset, self.how.region, self.how.mode, self._decoded_one)
            if self.how.append_dim in self.region:
                msg = f"{self.how.append_dim!r} cannot be both append_dim and in region"
                raise ValueError(msg)
            dataset = dataset.drop_vars(dataset.indexes)
        self._check(dataset, encoding)
        variables, found = conventions.encode_dataset_coordinates(dataset)
        self.attributes = plain_attributes(dict(found), "Dataset.attrs")
        given = {stored_name(name): var.copy(deep=False) for name, var in variables.items()}
        for name, words in encoding.items():
            if name in given:
                given[name].encoding = as_encoding(words, name)
        self.ready, self.created = self._encoded(given, encoding)
        for name, var in self.ready.items():
            self.ready[name] = self._safe(name, var, stored.get(name), self.created.get(name))

    def check_replacing(self, place: StorePath) -> None:
        """Raise an error if what is at a place would be lost in vain.

        The dataset may read from there, or an encoding may turn out to be invalid.
        """
        check_apart(self.ready, place)
        trial = open_group(MemoryStore(), "w", zarr_format=self.format.number)
        for name, words in self.created.items():
            trial.create_array(name, **words)

    def write(self, pending: _Pending) -> Group:
        """Create and resize arrays; what is to be written in them becomes pending."""
        group = self._group()
        targets = {name: group.create_array(name, **words) for name, words in self.created.items()}
        for name, var in self.ready.items():
            array = self.stored.get(name)
            start = self._start(var, array)
            self._add(name, var, targets[name] if array is None else array, start, pending)
        return group

    def _encoded(
        self, given: dict[str, Variable], encoding: Encoding
    ) -> tuple[dict[str, Variable], dict[str, dict[str, Any]]]:
        """Return the variables to write as they are stored, and the keywords of new arrays."""
        how = self.how
        existing = {name: var for name, var in given.items() if name in self.stored}
        new = {name: var for name, var in given.items() if name not in self.stored}
        ready = {name: coding.encode(var, name, self.format) for name, var in new.items()}
        for name in encoding:
            if name in ready:
                check_encoding(ready[name].encoding, name, self.format)
        created = {
            name: creation_words(var, name, self.format, how.write_empty)
            for name, var in ready.items()
        }
        ready |= self._as_stored(existing)
        if how.mode == "a-" and how.append_dim is not None:
            # Of what exists, only what has the dimension is written.
            for name in existing:
                if how.append_dim not in ready[name].dims:
                    del ready[name]
        return ready, created

    def _check(self, dataset: Dataset, encoding: Encoding) -> None:
        how, stored = self.how, self.stored
        both = [name for name in encoding if name in stored]
        if both:
            msg = f"variables {both!r} already exist, but encoding was provided for them"
            raise ValueError(msg)
        missing = [name for name in dataset.variables if stored_name(name) not in stored]
        if how.mode == "r+" and missing:
            msg = (
                f"dataset contains non-pre-existing variables {missing!r}, and mode='r+' "
                "creates none; pass mode='a' to add them"
            )
            raise ValueError(msg)
        if how.region is not None and missing:
            msg = (
                f"the variables {missing!r} are not in the group, and a region is a part of arrays "
                "that exist; write them without region= first"
            )
            raise ValueError(msg)
        if how.append_dim is not None and self.group is not None:
            reader = GroupReader(self.group)
            dims = {dim for array in stored.values() for dim in reader.variable(array).dims}
            if stored and how.append_dim not in dims:
                msg = (
                    f"append_dim={how.append_dim!r} does not match any existing dataset "
                    f"dimensions: {sorted(map(str, dims))}"
                )
                raise ValueError(msg)

    def _decoded(self, names: Any) -> dict[Hashable, Variable]:
        assert self.group is not None  # noqa: S101  (there are arrays in it)
        reader = GroupReader(self.group)
        return coding.decode({name: reader.variable(self.stored[name]) for name in names})

    def _decoded_one(self, name: Hashable) -> Variable:
        if name not in self.stored:
            msg = f"the coordinate {name!r} is not in the group, so it has no region"
            raise KeyError(msg)
        return self._decoded([name])[name]

    def _as_stored(self, variables: dict[str, Variable]) -> dict[str, Variable]:
        """Return variables encoded as the arrays that exist for them are."""
        if not variables:
            return {}
        existing = self._decoded(variables)
        found = {}
        for name, variable in variables.items():
            _check_dtype(name, variable, existing[name])
            variable.encoding = dict(existing[name].encoding)
            encoded = coding.encode(variable, name, self.format)
            _check_units(name, encoded, existing[name])
            found[name] = self._fitted(name, encoded, existing[name])
        return found

    def _fitted(self, name: str, new: Variable, old: Variable) -> Variable:
        """Return a variable with the order of dimensions of the stored one, whose sizes it has."""
        if new.dims != old.dims:
            if {*new.dims} != {*old.dims}:
                msg = (
                    f"variable {name!r} already exists with different dimension names "
                    f"{old.dims}, got {new.dims}"
                )
                raise ValueError(msg)
            new = new.transpose(*old.dims)
        sizes = {
            dim: len(range(*self.region.get(dim, slice(None)).indices(size)))
            for dim, size in old.sizes.items()
            if dim != self.how.append_dim
        }
        given = {dim: new.sizes[dim] for dim in sizes}
        if sizes != given:
            msg = (
                f"variable {name!r} already exists with different dimension sizes: {sizes} are to "
                f"be written, got {given}. Pass append_dim= to append along a dimension, or "
                "region= to write a part"
            )
            raise ValueError(msg)
        return new

    def _safe(self, name: str, variable: Variable, array: Array | None, words: Any) -> Variable:
        """Return a variable whose blocks may be written at once.

        Raise ValueError if data could be lost. The array may not exist yet, but its keywords do.
        """
        how = self.how
        start = self._start(variable, array)
        if not variable.chunks:
            return variable
        if array is None:
            grid = sizes_of(words, variable.shape)
        else:
            ends = map(sum, zip(start, variable.shape, strict=True))
            grid = array.unpublished(tuple(map(max, array.shape, ends))).write_chunk_sizes
        if grid is None:
            return variable
        if how.align_chunks:
            return align(variable, grid, start)
        if how.safe_chunks and not is_shared_safely(self.place.store):
            check_alone(variable, grid, start, name, inside=how.mode == "r+")
        return variable

    def _start(self, variable: Variable, array: Array | None) -> list[int]:
        """Return the first element along each dimension that is written; new arrays are whole."""
        if array is None:
            return [0] * variable.ndim
        starts = []
        for dim, size in zip(variable.dims, array.shape, strict=True):
            part = self.region.get(dim, slice(None))
            starts.append(size if dim == self.how.append_dim else part.indices(size)[0])
        return starts

    def _group(self) -> Group:
        """Return the group, created or with new attributes."""
        group, attributes = self.group, self.attributes
        if group is None:
            mode: hints.Mode = "w" if self.how.mode == "w" else "w-"
            return open_group(
                self.place, mode, zarr_format=self.format.number, attributes=attributes
            )
        if self.how.mode != "r+":
            group.attrs.put(attributes)
        return group

    def _add(
        self, name: str, variable: Variable, array: Array, start: list[int], pending: _Pending
    ) -> None:
        """Resize an array that is appended to; its elements become pending."""
        how = self.how
        region = tuple(
            slice(begin, begin + size) for begin, size in zip(start, variable.shape, strict=True)
        )
        if name in self.stored:
            if how.write_empty is not None:
                array = array.with_config({"write_empty_chunks": how.write_empty})
            if how.append_dim in variable.dims:
                axis = variable.dims.index(how.append_dim)
                if how.compute or not variable.chunks:
                    pending.more.append(More(variable, array, axis, start[axis], region))
                    return
                shape = list(array.shape)
                shape[axis] += variable.shape[axis]
                array.resize(shape)
        if variable.chunks and variable.size:
            pending.sources.append(variable.data)
            pending.targets.append(array)
            pending.regions.append(region)
        else:
            pending.values.append((variable, array, region))


def _check_dtype(name: str, new: Variable, old: Variable) -> None:
    """Raise ValueError for text or bytes of another length, which would be cut."""
    free = new.dtype.kind in "biufcmMOT" or (new.dtype.kind in "SU" and old.dtype.kind in "OT")
    if not free and new.dtype != old.dtype:
        msg = (
            f"Mismatched dtypes for variable {name!r}: {old.dtype} is stored, and {new.dtype} "
            "would be cut or changed; cast it with .astype()"
        )
        raise ValueError(msg)


def _check_units(name: str, new: Variable, old: Variable) -> None:
    """Raise ValueError for times that were encoded in finer units than the array is stored in."""
    stored, found = old.encoding.get("units"), new.attrs.get("units")
    words = [str(units).partition(" ")[0].lower().rstrip("s") for units in (stored, found)]
    if None not in (stored, found) and words[0] != words[1]:
        msg = (
            f"variable {name!r} is stored as {old.encoding.get('dtype')} in {stored!r}, which "
            f"cannot express all new times: they would need {found!r}. Round them, or store the "
            "variable anew with encoding that has such units, or a floating-point dtype"
        )
        raise ValueError(msg)
