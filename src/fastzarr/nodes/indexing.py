"""The ways to select from an array, all of which end in one read and one write.

Rules of this file:

* Square brackets and the ``get_`` and ``set_`` methods differ in how an index is understood, which
  ``selection/index.py`` does, and in nothing else. ``_read`` and ``_write`` are the only ways down.
* A value is cast and broadcast as a whole before the first chunk is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.engine import run
from fastzarr.nodes import casting
from fastzarr.selection import index as kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access
    from fastzarr.selection.factors import Selection


class Indexer:
    """Read and write one kind of selection by square brackets."""

    __slots__ = ("_array", "_normalise")

    def __init__(self, array: Indexed, normalise: Callable[[Any, Layout], Selection]) -> None:
        """Select from ``array`` by what ``normalise`` makes of an index."""
        self._array, self._normalise = array, normalise

    def __getitem__(self, index: Any) -> Any:
        """Read a selection."""
        access = self._array._current()  # noqa: SLF001  (one class in two halves)
        found = self._normalise(index, access.layout)
        return self._array._read(access, found)  # noqa: SLF001  (as above)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write a selection."""
        access = self._array._current()  # noqa: SLF001  (as above)
        found = self._normalise(index, access.layout)
        self._array._write(access, found, value)  # noqa: SLF001  (as above)


class Indexed:
    """Read and write selections of what a layout describes and a store holds."""

    _access: Access
    _cast: np.dtype[Any] | None
    _cache_metadata: bool
    _read_only: bool

    def _current(self) -> Access:
        """Return the access that an operation begun now is to use."""
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        """Read a selection, as NumPy reads it."""
        access = self._access if self._cache_metadata else self._current()
        return self._read(access, kinds.normalise(index, access.layout.shape))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write a selection, as NumPy writes it."""
        access = self._access if self._cache_metadata else self._current()
        self._write(access, kinds.normalise(index, access.layout.shape), value)

    @property
    def oindex(self) -> Indexer:
        """Select along each axis on its own.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.oindex[[1, 0], [0, 2]]
        array([[4, 6],
               [1, 3]])
        """
        return Indexer(self, _orthogonal)

    @property
    def vindex(self) -> Indexer:
        """Select points: index arrays are broadcast together; a boolean array is a mask.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> z.vindex[[1, 0], [0, 2]]
        array([4, 3])
        """
        return Indexer(self, _coordinate)

    @property
    def blocks(self) -> Indexer:
        """Select by the numbers of chunks (of shards, where the array is sharded).

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2, 3, 4, 5], chunks=2)
        >>> z.blocks[-1]
        array([5])
        """
        return Indexer(self, _blocks)

    def get_basic_selection(
        self, selection: Any = Ellipsis, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Read integers and slices; into ``out`` if given, only ``fields`` of a structured type."""
        del prototype
        access = self._current()
        found = kinds.basic(selection, access.layout.shape)
        return self._read(access, _restricted(found, fields), out)

    def set_basic_selection(
        self, selection: Any, value: Any, fields: Any = None, prototype: Any = None
    ) -> None:
        """Write integers and slices."""
        del prototype
        access = self._current()
        found = kinds.basic(selection, access.layout.shape)
        self._write(access, _restricted(found, fields), value)

    def get_orthogonal_selection(
        self, selection: Any, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Read what ``oindex`` selects."""
        del prototype
        access = self._current()
        found = _orthogonal(selection, access.layout)
        return self._read(access, _restricted(found, fields), out)

    def set_orthogonal_selection(
        self, selection: Any, value: Any, fields: Any = None, prototype: Any = None
    ) -> None:
        """Write what ``oindex`` selects."""
        del prototype
        access = self._current()
        found = _orthogonal(selection, access.layout)
        self._write(access, _restricted(found, fields), value)

    def get_coordinate_selection(
        self, selection: Any, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Read what ``vindex`` selects."""
        del prototype
        access = self._current()
        found = _coordinate(selection, access.layout)
        return self._read(access, _restricted(found, fields), out)

    def set_coordinate_selection(
        self, selection: Any, value: Any, fields: Any = None, prototype: Any = None
    ) -> None:
        """Write what ``vindex`` selects."""
        del prototype
        access = self._current()
        found = _coordinate(selection, access.layout)
        self._write(access, _restricted(found, fields), value)

    def get_mask_selection(
        self, mask: Any, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Read where a boolean array of the array's shape is true."""
        del prototype
        access = self._current()
        found = kinds.mask(mask, access.layout.shape)
        return self._read(access, _restricted(found, fields), out)

    def set_mask_selection(
        self, mask: Any, value: Any, fields: Any = None, prototype: Any = None
    ) -> None:
        """Write where a boolean array of the array's shape is true."""
        del prototype
        access = self._current()
        found = kinds.mask(mask, access.layout.shape)
        self._write(access, _restricted(found, fields), value)

    def get_block_selection(
        self, selection: Any, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Read what ``blocks`` selects."""
        del prototype
        access = self._current()
        found = _blocks(selection, access.layout)
        return self._read(access, _restricted(found, fields), out)

    def set_block_selection(
        self, selection: Any, value: Any, fields: Any = None, prototype: Any = None
    ) -> None:
        """Write what ``blocks`` selects."""
        del prototype
        access = self._current()
        found = _blocks(selection, access.layout)
        self._write(access, _restricted(found, fields), value)

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
        if order == "C" and not direct:
            # The work shape and the result's are the same elements in the same order.
            work = np.empty(found.work, dtype)
            result = work if found.work == found.shape else work.reshape(found.shape)
        else:
            result = work = out if direct else np.empty(found.shape, dtype, order)
            if found.work != found.shape:
                # Of other strides it may not be seen in the work shape; then this is a copy.
                work = result.reshape(found.work)
                apart = not np.may_share_memory(work, result)
        missing = access.settings.read_missing_chunks
        if result.size:
            run.run_read(layout, access.chunks, found, work, missing=missing)
        if apart:
            result[...] = work.reshape(found.shape)
        if self._cast is not None:
            result = result.astype(self._cast)
        if out is not None:
            if not direct:
                out[...] = result
            return out
        return result if layout.shape or found.shape else result[()]

    def _write(self, access: Access, found: Selection, value: Any) -> None:
        self._check_writable()
        layout = access.layout
        dtype = layout.dtype.numpy
        if found.fields is not None:
            dtype = casting.field_dtype(dtype, found.fields)
        if dtype.kind == "O" and not found.shape:
            prepared = casting.single(value)
        else:
            prepared = casting.fit(casting.cast(value, dtype), found.shape)
        if prepared.size:
            self._check_current(access)
            run.run_write(
                layout,
                access.chunks,
                found,
                prepared.reshape(found.work),
                store_empty=access.settings.write_empty_chunks,
            )

    def _check_current(self, access: Access) -> None:
        """Raise StaleArrayError if the array in the store has other chunks than ``access``."""
        raise NotImplementedError

    def _check_writable(self) -> None:
        if self._read_only:
            name, store = "/" + self._access.path, self._access.store
            msg = f"array {name!r} in {store} was opened read-only; open it with mode='r+'"
            raise errors.ReadOnlyError(msg)


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
        msg = "out is read-only; pass an array that may be written to"
        raise errors.BaseZarrError(msg)
    if out.shape != shape:
        msg = f"out has shape {out.shape}, but the selection has shape {shape}"
        raise errors.ShapeError(msg)
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        msg = f"out has dtype {out.dtype}, to which {dtype} cannot be cast by the rule 'same_kind'"
        raise TypeError(msg)
