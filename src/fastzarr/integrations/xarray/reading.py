"""The variables of a group, as xarray reads them.

Rules of this file:

* Nothing is read before xarray asks for elements. Its indexes are passed on as they are: what a
  selection means is known to ``fastzarr.selection`` alone.
* A reader may be used by several threads at once, and be pickled: it holds an array, and no more.
* Encodings name codecs as metadata does, so that zarr-python creates arrays with them, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray import Variable
from xarray.backends import AbstractDataStore, BackendArray
from xarray.core import indexing

from fastzarr.integrations.xarray.coding import masks_fill, stored_fill
from fastzarr.integrations.xarray.dimensions import describe, visible

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from fastzarr.nodes.array import Array
    from fastzarr.nodes.group import Group


class StoredArray(BackendArray):
    """An array whose elements xarray reads when it needs them."""

    __slots__ = ("_array", "dtype", "shape")

    def __init__(self, array: Array) -> None:
        """Initialise with an open array."""
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the elements of an index of xarray."""
        array = self._array
        read: Callable[[Any], Any] = array.__getitem__
        if isinstance(key, indexing.VectorizedIndexer):
            read = array.vindex.__getitem__
        elif isinstance(key, indexing.OuterIndexer):
            read = array.oindex.__getitem__
        return self._whole(read(key.tuple))

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the elements of an index of xarray; the event loop runs while they are read."""
        array = self._array
        read: Callable[[Any], Awaitable[Any]] = array.getitem_async
        if isinstance(key, indexing.VectorizedIndexer):
            read = array.get_coordinate_selection_async
        elif isinstance(key, indexing.OuterIndexer):
            read = array.get_orthogonal_selection_async
        return self._whole(await read(key.tuple))

    def _whole(self, found: Any) -> Any:
        # One element of variable length comes as a str, from which xarray would take another dtype.
        return np.asarray(found, dtype=self.dtype) if isinstance(found, str) else found


class GroupReader(AbstractDataStore):
    """The variables and attributes of a group; ``owned`` closes its store with the dataset."""

    def __init__(
        self,
        group: Group,
        *,
        masks: bool | None = None,
        without: Collection[Any] = (),
        owned: bool = False,
    ) -> None:
        """Initialise; ``masks`` is whether fill values are masked, ``without`` what is left out."""
        self.group = group
        self.masks = masks_fill(group.layout.format) if masks is None else masks
        self.without, self.owned = without, owned

    def get_variables(self) -> dict[str, Variable]:
        """Return the arrays of the group as variables."""
        return {
            name: self.variable(array)
            for name, array in self.group.arrays()
            if name not in self.without
        }

    def get_attrs(self) -> dict[str, Any]:
        """Return the attributes of the group."""
        return visible(self.group.attrs.asdict())

    def close(self) -> None:
        """Close the store if the reader has opened it."""
        if self.owned:
            self.group.store.close()

    def variable(self, array: Array) -> Variable:
        """Return an array as a variable that reads lazily."""
        names, attributes = describe(array)
        layout, chunks = array.layout, array.chunks
        encoding: dict[str, Any] = {
            "chunks": chunks,
            "preferred_chunks": dict(zip(names, chunks, strict=True)),
            "compressors": _spelled(array.compressors),
            "filters": _spelled(array.filters),
            "shards": array.shards,
        }
        if array.dtype.kind == "T":
            encoding["dtype"] = array.dtype
        if layout.format.has_dimension_names:
            encoding["serializer"] = _spelled([array.serializer])[0]
        if self.masks:
            if layout.fill is not None:
                attributes["_FillValue"] = layout.fill
        elif layout.format.has_dimension_names:
            encoding["fill_value"] = layout.fill
            if "_FillValue" in attributes:
                attributes["_FillValue"] = stored_fill(attributes["_FillValue"], array.dtype)
        lazy: Any = indexing.LazilyIndexedArray(StoredArray(array))
        return Variable(names, lazy, attributes, encoding)


def _spelled(codecs: Any) -> tuple[Any, ...]:
    """Return codecs as they stand in metadata; those of numcodecs as they are."""
    return tuple(codec.to_dict() if hasattr(codec, "to_dict") else codec for codec in codecs)
