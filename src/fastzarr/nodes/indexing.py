"""The ways to select from an array, each of which is one read or one write.

Rules of this file:

* Square brackets and the ``get_`` and ``set_`` methods differ only in the meaning of an index,
  which ``selection/index.py`` defines. All of them call ``_read`` or ``_write``.
* A value is cast and broadcast as a whole before the first chunk is touched.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

import numpy as np

from fastzarr import errors
from fastzarr.buffers import aligned, empty, overlaps_itself
from fastzarr.engine import run, written
from fastzarr.nodes import casting
from fastzarr.selection import index as kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastzarr import hints
    from fastzarr.engine.requests import Ahead
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access
    from fastzarr.selection.factors import Selection
    from fastzarr.stores.users import Hold

    # A function that converts an index to a selection of an array with a layout.
    Kind: TypeAlias = Callable[[Any, Layout], Selection]
    Values: TypeAlias = np.ndarray[Any, Any]
    Out = TypeVar("Out", bound=Values)

IndexT = TypeVar("IndexT")

# From this size in bytes on, the memory of a result is aligned: smaller reads do not gain from it.
_LARGE = 1 << 16


class Indexer(Generic[IndexT]):
    """One kind of selection, read and written by square brackets."""

    __slots__ = ("_get", "_kind", "_set")

    def __init__(
        self, get: Callable[[Kind, Any], Values], set: Callable[[Kind, Any, Any], None], kind: Kind
    ) -> None:
        """Read by ``get(kind, index)`` and write by ``set(kind, index, value)``."""
        self._get, self._set, self._kind = get, set, kind

    def __getitem__(self, index: IndexT) -> Values:
        """Read a selection."""
        return self._get(self._kind, index)

    def __setitem__(self, index: IndexT, value: hints.ValueLike) -> None:
        """Write a selection."""
        self._set(self._kind, index, value)


class Indexed:
    """The methods of ``Array`` that select elements.

    The deriving class sets the attributes and overrides ``_current``, ``_begin`` and
    ``_check_missing``.
    """

    _access: Access
    _cast: np.dtype[Any] | None
    _cache_metadata: bool
    _read_only: bool

    def _current(self) -> Access:
        """Return the access for a new operation."""
        raise NotImplementedError

    def _check_missing(self, access: Access, found: Selection) -> None:
        """Raise StaleArrayError if chunks are missing, or too small, in another array's place."""
        raise NotImplementedError

    def _begin(
        self, access: Access, found: Selection
    ) -> tuple[Access | None, Hold | None, Ahead | None]:
        """Hold the array for a change; return None if nothing else can reach it yet.

        Raise StaleArrayError if the array in the store has other chunks than ``access``, or does
        not have the selected elements any more. Where that takes a request, return the check, which
        is under way. In between is what the access is released with.
        """
        raise NotImplementedError

    # Of an array without dimensions, this is the element.
    @overload
    def __getitem__(self, index: tuple[()]) -> Any: ...
    @overload
    def __getitem__(self, index: hints.Index) -> Values: ...
    def __getitem__(self, index: hints.Index) -> Any:
        """Return the selected elements, as NumPy does."""
        access = self._access if self._cache_metadata else self._current()
        return self._read(access, kinds.normalise(index, access.layout.shape))

    def __setitem__(self, index: hints.Index, value: hints.ValueLike) -> None:
        """Assign to the selected elements, as NumPy does.

        Raise ``ReadOnlyError`` if the array is read-only, ``ShapeError`` if the value cannot be
        broadcast, and ``StaleArrayError`` if the array in the store has been replaced.
        """
        access = self._access if self._cache_metadata else self._current()
        self._write(access, kinds.normalise(index, access.layout.shape), value)

    @property
    def oindex(self) -> Indexer[hints.Index]:
        """Orthogonal selection: each array selects along its own axis.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.oindex[[1, 0], [0, 2]]
        array([[4, 6],
               [1, 3]])
        """
        return Indexer(self._get, self._set, _orthogonal)

    @property
    def vindex(self) -> Indexer[hints.Index]:
        """Coordinate selection: arrays are broadcast together; a boolean array is a mask.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.vindex[[1, 0], [0, 2]]
        array([4, 3])
        """
        return Indexer(self._get, self._set, _coordinate)

    @property
    def blocks(self) -> Indexer[hints.BlockIndex]:
        """Block selection: indices are in units of chunks (of shards, if the array is sharded).

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3, 4, 5], chunks=2)
        >>> z.blocks[-1]
        array([5])
        """
        return Indexer(self._get, self._set, _blocks)

    def iter_chunks(self, *, shards: bool = False) -> Iterator[tuple[slice, ...]]:
        """Iterate over the chunks as tuples of slices, which select them from the array.

        With ``shards=True``, iterate over the stored objects: those are the units that can be
        written at the same time. In an array without shards both are the same.

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3, 4, 5], chunks=2)
        >>> [z[region].tolist() for region in z.iter_chunks()]
        [[1, 2], [3, 4], [5]]
        """
        layout = self._current().layout
        grid = layout.grid if shards else layout.inner_grid
        axes = range(len(layout.shape))
        return product(*[list(grid.cut(axis, 0, layout.shape[axis])) for axis in axes])

    # Without ``out``, the result is an element if the selection is a single one.
    @overload
    def get_basic_selection(
        self,
        selection: hints.Index = ...,
        *,
        out: Out,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Out: ...
    @overload
    def get_basic_selection(
        self,
        selection: hints.Slice,
        out: None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Values: ...
    @overload
    def get_basic_selection(
        self,
        selection: hints.Index = ...,
        out: Values | None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Any: ...
    def get_basic_selection(
        self,
        selection: hints.Index = ...,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Any:
        """Return elements selected by integers and slices.

        A single element is returned as a scalar, where square brackets return an array of no
        dimensions. ``fields`` restricts a structured array to a field or a list of fields. ``out``
        is an array of the selection's shape that receives the elements and is returned.
        ``prototype`` is accepted for zarr-python 3 and ignored. The other ``get_`` methods have the
        same arguments.

        >>> import fastzarr
        >>> int(fastzarr.array([1, 2, 3]).get_basic_selection(-1))
        3
        """
        del prototype
        found = self._get(_basic, selection, fields, out)
        single = out is None and isinstance(found, np.ndarray) and not found.ndim
        return found[()] if single else found

    def set_basic_selection(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign to elements selected by integers and slices.

        ``fields`` restricts a structured array to a field or a list of fields; the other fields are
        left unchanged. ``prototype`` is ignored. The other ``set_`` methods have the same
        arguments.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3, dtype="i4")
        >>> z.set_basic_selection(slice(1, None), [5, 6])
        >>> z[:]
        array([0, 5, 6], dtype=int32)
        """
        del prototype
        self._set(_basic, selection, value, fields)

    @overload
    def get_orthogonal_selection(
        self, selection: hints.Index, out: Out, fields: hints.Fields = ..., prototype: object = ...
    ) -> Out: ...
    @overload
    def get_orthogonal_selection(
        self,
        selection: hints.Index,
        out: None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Values: ...
    def get_orthogonal_selection(
        self,
        selection: hints.Index,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return the elements that ``oindex`` selects.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.get_orthogonal_selection(([1], [0, 2]))
        array([[4, 6]])
        """
        del prototype
        return self._get(_orthogonal, selection, fields, out)

    def set_orthogonal_selection(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign to the elements that ``oindex`` selects.

        >>> import fastzarr
        >>> z = fastzarr.zeros((2, 3), dtype="i1")
        >>> z.set_orthogonal_selection(([1], [0, 2]), 7)
        >>> z[1]
        array([7, 0, 7], dtype=int8)
        """
        del prototype
        self._set(_orthogonal, selection, value, fields)

    @overload
    def get_coordinate_selection(
        self, selection: hints.Index, out: Out, fields: hints.Fields = ..., prototype: object = ...
    ) -> Out: ...
    @overload
    def get_coordinate_selection(
        self,
        selection: hints.Index,
        out: None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Values: ...
    def get_coordinate_selection(
        self,
        selection: hints.Index,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return the elements that ``vindex`` selects.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.get_coordinate_selection(([0, 1], [2, 0]))
        array([3, 4])
        """
        del prototype
        return self._get(_coordinate, selection, fields, out)

    def set_coordinate_selection(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign to the elements that ``vindex`` selects.

        >>> import fastzarr
        >>> z = fastzarr.zeros((2, 2), dtype="i1")
        >>> z.set_coordinate_selection(([0, 1], [1, 0]), [3, 4])
        >>> z[:]
        array([[0, 3],
               [4, 0]], dtype=int8)
        """
        del prototype
        self._set(_coordinate, selection, value, fields)

    @overload
    def get_mask_selection(
        self, mask: hints.Mask, out: Out, fields: hints.Fields = ..., prototype: object = ...
    ) -> Out: ...
    @overload
    def get_mask_selection(
        self,
        mask: hints.Mask,
        out: None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Values: ...
    def get_mask_selection(
        self,
        mask: hints.Mask,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return the elements where a boolean array of the array's shape is True.

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3])
        >>> z.get_mask_selection([True, False, True])
        array([1, 3])
        """
        del prototype
        return self._get(_mask, mask, fields, out)

    def set_mask_selection(
        self,
        mask: hints.Mask,
        value: hints.ValueLike,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign to the elements where a boolean array of the array's shape is True.

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3])
        >>> z.set_mask_selection(z[:] > 1, 0)
        >>> z[:]
        array([1, 0, 0])
        """
        del prototype
        self._set(_mask, mask, value, fields)

    @overload
    def get_block_selection(
        self,
        selection: hints.BlockIndex,
        out: Out,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Out: ...
    @overload
    def get_block_selection(
        self,
        selection: hints.BlockIndex,
        out: None = ...,
        fields: hints.Fields = ...,
        prototype: object = ...,
    ) -> Values: ...
    def get_block_selection(
        self,
        selection: hints.BlockIndex,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return the elements that ``blocks`` selects.

        >>> import fastzarr
        >>> fastzarr.array([1, 2, 3, 4, 5], chunks=2).get_block_selection(1)
        array([3, 4])
        """
        del prototype
        return self._get(_blocks, selection, fields, out)

    def set_block_selection(
        self,
        selection: hints.BlockIndex,
        value: hints.ValueLike,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign to the elements that ``blocks`` selects.

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3, 4, 5], chunks=2)
        >>> z.set_block_selection(1, 0)
        >>> z[:]
        array([1, 2, 0, 0, 5])
        """
        del prototype
        self._set(_blocks, selection, value, fields)

    def _get(self, kind: Kind, index: Any, fields: Any = None, out: Any = None) -> Values:
        access = self._current()
        found: Values = self._read(access, _restricted(kind(index, access.layout), fields), out)
        return found

    def _set(self, kind: Kind, index: Any, value: Any, fields: Any = None) -> None:
        access = self._current()
        self._write(access, _restricted(kind(index, access.layout), fields), value)

    def _read(self, access: Access, found: Selection, out: Any = None) -> Any:
        layout = access.layout
        dtype = layout.dtype.numpy
        if found.fields is not None:
            dtype = casting.field_dtype(dtype, found.fields)
        if out is not None:
            _check_out(out, found.shape, self._cast or dtype)
        order: Any = layout.order or access.settings.order
        direct = out is not None and out.dtype == dtype and self._cast is None
        apart = False
        large = prod(found.work) * dtype.itemsize >= _LARGE
        make: Any = aligned if large else empty if dtype.kind in "mM" else np.empty
        if order == "C" and not direct:
            # Work shape and result shape have the same elements in the same order.
            work = make(found.work, dtype)
            result = work if found.work == found.shape else work.reshape(found.shape)
        else:
            result = work = out if direct else make(found.shape, dtype, order)
            if found.work != found.shape:
                # If `out` cannot be viewed in the work shape, reshape copies; the copy is written
                # back below.
                work = result.reshape(found.work)
                apart = not np.may_share_memory(work, result)
        missing = access.settings.read_missing_chunks
        if result.size and (
            run.run_read(layout, access.chunks, found, work, missing=missing) or layout.pads
        ):
            self._check_missing(access, found)
        if apart:
            result[...] = work.reshape(found.shape)
        if self._cast is not None:
            result = casting.converted(result, self._cast)
        if out is not None:
            if not direct:
                out[...] = result
            return out
        alone = not found.shape and (dtype.kind == "O" or not layout.shape)
        return result[()] if alone else result

    def _write(self, access: Access, found: Selection, value: Any) -> None:
        if self._read_only:
            self._check_writable()
        layout = access.layout
        dtype = layout.dtype.numpy
        if found.fields is not None:
            dtype = casting.field_dtype(dtype, found.fields)
        if dtype.kind == "O":
            prepared = casting.objects(value, layout, found.shape)
        else:
            prepared = casting.fit(casting.cast(value, dtype), found.shape)
            if layout.dtype.masks and found.fields is None:
                prepared = layout.dtype.cleared(prepared)
        if prepared.size:
            # written.note inlined, because it is called for each write, and so that no interrupt
            # comes before the note is made.
            place, number = hash(access.path) % written.PLACES, next(written.numbers)
            held, hold, check = self._begin(access, found)
            try:
                run.run_write(
                    layout,
                    (held or access).chunks,
                    found,
                    prepared.reshape(found.work),
                    store_empty=access.settings.write_empty_chunks,
                    check=check,
                )
            except OSError as error:
                if held is not None:
                    held.explain(error)
                raise
            finally:
                written.notes[place] = number
                if check is not None:
                    check.end()
                if held is not None:
                    held.release(hold)

    def _check_writable(self) -> None:
        if self._read_only:
            name, store = "/" + self._access.path, self._access.store
            msg = f"array {name!r} in {store} is read-only; open it with mode='r+'"
            if store.read_only:
                msg = f"array {name!r} is read-only: {store.refusal()}"
            raise errors.ReadOnlyError(msg)


def _basic(index: Any, layout: Layout) -> Selection:
    return kinds.basic(index, layout.shape)


def _mask(index: Any, layout: Layout) -> Selection:
    return kinds.mask(index, layout.shape)


def _orthogonal(index: Any, layout: Layout) -> Selection:
    return kinds.orthogonal(index, layout.shape)


def _coordinate(index: Any, layout: Layout) -> Selection:
    return kinds.coordinate(index, layout.shape)


def _blocks(index: Any, layout: Layout) -> Selection:
    return kinds.block(index, layout.shape, layout.grid)


def _restricted(found: Selection, fields: Any) -> Selection:
    if fields is None:
        return found
    if not isinstance(fields, str):
        fields = list(fields) if isinstance(fields, (list, tuple)) else [fields]
    return found._replace(fields=fields)


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        msg = f"out must be a NumPy array, not {type(out).__name__}"
        raise TypeError(msg)
    if not out.flags.writeable:
        msg = "out is read-only; pass a writeable array"
        raise errors.BaseZarrError(msg)
    if out.shape != shape:
        msg = f"out has shape {out.shape}, but the selection has shape {shape}"
        raise errors.ShapeError(msg)
    if overlaps_itself(out):
        msg = (
            f"out of shape {out.shape} and strides {out.strides} has elements that share memory, "
            "so it cannot receive different values for them; pass an array of its own memory"
        )
        raise errors.BaseZarrError(msg)
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        msg = f"cannot cast {dtype} to out's dtype {out.dtype} with casting='same_kind'"
        raise TypeError(msg)
