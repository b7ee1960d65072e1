"""The elements of an array, read and written with the semantics of zarr-python 2."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import Array
from fastzarr.selection import index as kinds
from fastzarr.v2.indexing import (
    check_basic,
    check_blocks,
    check_fields,
    check_kind,
    check_no_multi_fields,
    check_steps,
    is_scalar,
)
from fastzarr.v2.util import check_array_shape

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.access import Access
    from fastzarr.selection.factors import Selection


class Elements(Array):
    """An array of fastzarr whose values must have the shape of the selection, or none."""

    def _set_layout(self, layout: Any) -> None:
        super()._set_layout(layout)
        self.show_objects()

    def show_objects(self) -> Elements:
        """Read strings of any length as an array of objects; return self."""
        if self._cast is None and self._access.layout.dtype.numpy.kind == "T":
            self._cast = np.dtype(object)
        return self

    def set_fill(self, value: Any) -> None:
        """Store another fill value; elements that were never written then have it."""
        self._check_resizable()
        with self._changing() as held:
            self._update(held, lambda latest: latest.format.from_dict(_filled(latest, value)))

    def plain(self, items: tuple[Any, ...]) -> Any:
        """Return the elements of an index of Python's integers and slices.

        It is what most programs do most often, and takes the shortest way.
        """
        check_steps(items)
        access = self._access if self._cache_metadata else self._current()
        found = self._read(access, kinds.normalise(items, access.layout.shape))
        single = isinstance(found, np.ndarray) and not found.ndim and found.dtype.kind != "O"
        return found[()] if single else found

    def put_plain(self, items: tuple[Any, ...], value: Any) -> None:
        """Assign to the elements of an index of Python's integers and slices."""
        check_steps(items)
        if self._read_only:
            self._check_writable()
        access = self._access if self._cache_metadata else self._current()
        self._put(access, kinds.normalise(items, access.layout.shape), value, flat=False)

    def read(self, kind: str, selection: Any, out: Any = None, fields: Any = None) -> Any:
        """Return the selected elements; a single one is a scalar."""
        access = self._current()
        check_fields(fields or None, access.layout.dtype.numpy)
        found = _selected(kind, selection, access.layout)
        if fields:
            found = found._replace(fields=fields)
        if out is not None:
            if kind == "coordinate":
                return self._read(access, found, out.reshape(found.shape))
            check_array_shape("out", out, found.shape)
            if not isinstance(out, np.ndarray):
                out[...] = self._read(access, found)
                return out
        result = self._read(access, found, out)
        if found.shape or out is not None:
            return result
        if not access.layout.shape and selection in (Ellipsis, (Ellipsis,)):
            return (
                np.asarray(result)
                if isinstance(result, np.ndarray)
                else _single(result, access, fields)
            )
        return result[()] if isinstance(result, np.ndarray) else result

    def write(self, kind: str, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to the selected elements."""
        if self._read_only:
            self._check_writable()
        access = self._current()
        dtype = access.layout.dtype.numpy
        check_fields(fields or None, dtype)
        found = _selected(kind, selection, access.layout)
        name = check_no_multi_fields(fields)
        if name:
            found = found._replace(fields=name)
        self._put(access, found, value, flat=kind == "coordinate")

    def _put(self, access: Access, found: Selection, value: Any, *, flat: bool) -> None:
        dtype = access.layout.dtype.numpy
        if found.shape and not is_scalar(value, dtype):
            value = _exact(value, found.shape, flat=flat)
        elif found.shape and dtype.kind == "O":
            value = _repeated(value, found.shape)
        self._write(access, found, value)


def _filled(layout: Layout, value: Any) -> dict[str, Any]:
    number: Any = layout.format.number
    stored = None if value is None else layout.dtype.fill_to_json(value, number)
    return layout.to_dict() | {"fill_value": stored}


def _exact(value: Any, shape: tuple[int, ...], *, flat: bool) -> Any:
    """Return a value of a shape, or without axes; raise ValueError for any other."""
    if not hasattr(value, "shape"):
        value = np.asanyarray(value)
    if flat and prod(value.shape) == prod(shape):
        return value.reshape(shape)
    check_array_shape("value", value, shape)
    return value


def _repeated(value: Any, shape: tuple[int, ...]) -> Any:
    """Return an object as an array of a shape, each of whose elements is that object."""
    made = np.empty(shape, dtype=object)
    made.fill(value)
    return made


def _single(value: Any, access: Access, fields: Any) -> Any:
    dtype = access.layout.dtype.numpy
    made = np.empty((), dtype=check_fields(fields or None, dtype))
    made[()] = value
    return made


def _selected(kind: str, selection: Any, layout: Any) -> Selection:
    shape = layout.shape
    if kind == "basic":
        check_basic(selection)
        return kinds.basic(selection, shape)
    check_kind(kind, selection)
    if kind == "block":
        check_blocks(selection, layout.grid.count(shape))
        return kinds.block(selection, shape, layout.grid)
    make: Any = {
        "orthogonal": kinds.orthogonal,
        "coordinate": kinds.coordinate,
        "mask": kinds.mask,
    }[kind]
    found: Selection = make(selection, shape)
    return found
