"""``Array``, whose verbs block, and ``AsyncArray``, whose verbs are awaited.

Rules of this file:

* An ``Array`` holds an ``AsyncArray``, which holds a ``fastzarr.Array`` as ``inner``. Blocking
  verbs call that one directly, and awaitable ones call it on another thread.
* Keywords, defaults and results are those of zarr-python 3.4: a single element is a scalar, and a
  slice cannot go backward.
"""

from __future__ import annotations

import warnings
from functools import partial
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.compat.core import _reading as kinds
from fastzarr.compat.core._described import Described
from fastzarr.compat.core._reading import has_usual_memory, read, write
from fastzarr.compat.core._whole import (
    opened,
    resized,
    stored_chunks,
    stored_objects,
)
from fastzarr.compat.core.array_spec import ArrayConfig, parse_array_config
from fastzarr.compat.core.attributes import Attributes
from fastzarr.compat.core.awaiting import awaited, driven
from fastzarr.compat.core.codec_pipeline import create_codec_pipeline
from fastzarr.compat.core.indexing import (
    AsyncOIndex,
    AsyncVIndex,
    BlockIndex,
    OIndex,
    VIndex,
    is_pure_fancy_indexing,
    is_pure_orthogonal_indexing,
    pop_fields,
)
from fastzarr.compat.core.metadata import ArrayV2Metadata, ArrayV3Metadata
from fastzarr.compat.core.metadata.io import save_metadata
from fastzarr.compat.core.new_arrays import inner_config, old_array
from fastzarr.compat.storage._common import StorePath, make_store_path
from fastzarr.compat.storage.bridge import inner_store, outer_store
from fastzarr.errors import ZarrDeprecationWarning
from fastzarr.nodes.array import Array as Inner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.compat.core._info import ArrayInfo

_PLAIN = frozenset({int, slice})


def parse_array_metadata(data: Any, path: str | None = None) -> Any:
    """Return metadata as an object; it may be a document."""
    if isinstance(data, ArrayV2Metadata | ArrayV3Metadata):
        return data
    if not isinstance(data, dict):
        msg = f"metadata of an array must be an object or a dict, not {data!r}"
        raise TypeError(msg)
    kinds: dict[Any, Any] = {2: ArrayV2Metadata, 3: ArrayV3Metadata}
    found = data.get("zarr_format")
    if found not in kinds:
        msg = f"Invalid zarr_format: {found}. Expected 2 or 3"
        raise ValueError(msg)
    return kinds[found].from_dict(data, path=path)


class AsyncArray(Described):
    """An array whose elements are awaited.

    >>> import asyncio
    >>> import fastzarr.compat as zarr
    >>> z = zarr.create_array({}, shape=3, dtype="i4")
    >>> asyncio.run(z.async_array.getitem(slice(1)))
    array([0], dtype=int32)
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(self, metadata: Any, store_path: StorePath, config: Any = None) -> None:
        """Initialise with metadata, an object or a document; the store is not read."""
        parsed = parse_array_metadata(metadata, str(store_path))
        settings = parse_array_config(config)
        inner = Inner(
            inner_store(store_path.store),
            store_path.path,
            layout=parsed.layout,
            config=inner_config(settings),  # type: ignore[arg-type]  # the names are those
        )
        self.inner = inner
        self._store_path = store_path
        self._config: ArrayConfig | None = settings
        # The layout of which the metadata was made, and the metadata.
        self._metadata: tuple[Any, Any] = (inner.layout, parsed)

    @classmethod
    def from_inner(
        cls,
        array: Inner,
        store_path: StorePath | None = None,
        config: ArrayConfig | None = None,
    ) -> Self:
        """Return a handle of an array of fastzarr."""
        if store_path is None:
            store_path = StorePath(outer_store(array.store), array.path)
        made = cls.__new__(cls)
        vars(made).update(
            inner=array, _store_path=store_path, _config=config, _metadata=(None, None)
        )
        return made

    @classmethod
    async def _create(cls, store: Any, **words: Any) -> Self:
        path = await make_store_path(store)
        made = await awaited(path.store, old_array, path, **words)
        return cls.from_inner(made, path)

    @classmethod
    def from_dict(cls, store_path: StorePath, data: Mapping[str, Any]) -> Self:
        """Return a handle with the metadata of a document; the store is not read."""
        return cls(metadata=data, store_path=store_path)

    @classmethod
    async def open(cls, store: Any, zarr_format: Any = 3, *, config: Any = None) -> Self:
        """Open the array in a store; raise ``ArrayNotFoundError`` if there is none."""
        path = await make_store_path(store)
        made = await awaited(path.store, opened, path, zarr_format, config)
        return cls.from_inner(made, path)

    @property
    def metadata(self) -> Any:
        """The metadata, made of the layout when it is first asked for."""
        layout = self.inner.layout
        seen, found = self._metadata
        if seen is not layout:
            kind = ArrayV2Metadata if layout.zarr_format == 2 else ArrayV3Metadata
            found = kind.from_layout(layout)
            self._metadata = (layout, found)
        return found

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the array."""
        return self._store_path

    @property
    def config(self) -> ArrayConfig:
        """The settings of this handle."""
        if self._config is None:
            self._config = parse_array_config(self.inner.config.to_dict())
        return self._config

    @property
    def codec_pipeline(self) -> Any:
        """The pipeline of the codecs of the array, which reading and writing do not use."""
        return create_codec_pipeline(self.metadata, store=self.store)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis."""
        return self.inner.shape

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes, as a ``dict``."""
        return self.inner.attrs.asdict()

    @property
    def compressor(self) -> Any:
        """The compressor of an array of format 2 (deprecated); raise TypeError in format 3."""
        msg = "Use AsyncArray.compressors instead."
        warnings.warn(msg, ZarrDeprecationWarning, stacklevel=2)
        return _compressor(self)

    @property
    def oindex(self) -> AsyncOIndex:
        """Orthogonal indexing: each array selects along its own axis."""
        return AsyncOIndex(self)

    @property
    def vindex(self) -> AsyncVIndex:
        """Vectorized indexing: by arrays that are broadcast together, or by a mask."""
        return AsyncVIndex(self)

    def with_config(self, config: Any) -> Self:
        """Return a handle with other settings; those that are not named stay."""
        if not isinstance(config, ArrayConfig):
            config = ArrayConfig(**{**self.config.to_dict(), **config})
        inner = self.inner.with_config(inner_config(config))  # type: ignore[arg-type]
        return type(self).from_inner(inner, self._store_path, config)

    async def _settled(self, call: Callable[..., Any], *args: Any, **words: Any) -> Any:
        return await awaited(self._store_path.store, call, *args, **words)

    async def getitem(self, selection: Any, *, prototype: Any = None) -> Any:
        """Return the elements that integers and slices select."""
        return await self._settled(read, self.inner, kinds.basic, selection, None, None, prototype)

    async def setitem(self, selection: Any, value: Any, prototype: Any = None) -> None:
        """Assign to the elements that integers and slices select."""
        del prototype
        await self._settled(write, self.inner, kinds.basic, selection, value)

    async def get_orthogonal_selection(
        self, selection: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements that arrays select, each along its own axis."""
        return await self._settled(
            read, self.inner, kinds.orthogonal, selection, out, fields, prototype
        )

    async def get_coordinate_selection(
        self, selection: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements at coordinates."""
        return await self._settled(
            read, self.inner, kinds.coordinate, selection, out, fields, prototype
        )

    async def get_mask_selection(
        self, mask: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements where a mask is True."""
        return await self._settled(read, self.inner, kinds.mask, mask, out, fields, prototype)

    async def resize(self, new_shape: Any, delete_outside_chunks: bool = True) -> None:
        """Change the shape; chunks outside are deleted on request, and kept otherwise."""
        await self._settled(resized, self.inner, new_shape, delete_outside_chunks)

    async def append(self, data: Any, axis: int = 0) -> tuple[int, ...]:
        """Append data along an axis, and return the new shape."""
        found: tuple[int, ...] = await self._settled(self.inner.append, data, axis)
        return found

    async def update_attributes(self, new_attributes: Mapping[str, Any]) -> Self:
        """Set several attributes in one write, and return self."""
        await self._settled(self.inner.update_attributes, new_attributes)
        return self

    async def nchunks_initialized(self) -> int:
        """Return the number of stored chunks; a stored shard counts all of its chunks."""
        return int(await self._settled(stored_chunks, self.inner))

    async def _nshards_initialized(self) -> int:
        return int(await self._settled(stored_objects, self.inner))

    async def nbytes_stored(self) -> int:
        """Return the size of all that is stored of the array, in bytes."""
        return int(await self._settled(lambda: self.inner.nbytes_stored))

    async def info_complete(self) -> ArrayInfo:
        """Return a description with the stored bytes and chunks."""
        return self._info(await self._nshards_initialized(), await self.nbytes_stored())

    async def _save_metadata(self, metadata: Any, ensure_parents: bool = False) -> None:
        await save_metadata(self._store_path, metadata, ensure_parents=ensure_parents)
        await self._settled(self.inner.refresh)


def _compressor(array: Described) -> Any:
    if array.metadata.zarr_format == 2:
        return array.metadata.compressor
    msg = "`compressor` is not available for Zarr format 3 arrays."
    raise TypeError(msg)


class Array(Described):
    """A chunked array in a store, read and written with NumPy's selections.

    >>> import fastzarr.compat as zarr
    >>> z = zarr.create_array({}, shape=(4, 6), chunks=(2, 3), dtype="i4")
    >>> z[1, :3] = [1, 2, 3]
    >>> z[1]
    array([1, 2, 3, 0, 0, 0], dtype=int32)
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(self, _async_array: AsyncArray) -> None:
        """Initialise with the handle whose verbs are awaited."""
        self._async_array = _async_array
        self.inner = _async_array.inner

    @classmethod
    def _create(cls, store: Any, **words: Any) -> Self:
        path = driven(partial(make_store_path, store))
        return cls(AsyncArray.from_inner(old_array(path, **words), path))

    @classmethod
    def from_dict(cls, store_path: StorePath, data: Mapping[str, Any]) -> Self:
        """Return a handle with the metadata of a document; the store is not read."""
        return cls(AsyncArray.from_dict(store_path, data))

    @classmethod
    def open(cls, store: Any, *, config: Any = None) -> Self:
        """Open the array in a store; raise ``ArrayNotFoundError`` if there is none."""
        path = driven(partial(make_store_path, store))
        return cls(AsyncArray.from_inner(opened(path, None, config), path))

    @property
    def async_array(self) -> AsyncArray:
        """The handle of the array whose verbs are awaited."""
        return self._async_array

    @property
    def metadata(self) -> Any:
        """The metadata."""
        return self._async_array.metadata

    @property
    def store_path(self) -> StorePath:
        """The store and the path of the array."""
        return self._async_array.store_path

    @property
    def config(self) -> ArrayConfig:
        """The settings of this handle."""
        return self._async_array.config

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis; assigning to it resizes the array."""
        return self.inner.shape

    @shape.setter
    def shape(self, value: Any) -> None:
        self.resize(value)

    @property
    def attrs(self) -> Attributes:
        """The attributes, a mapping whose changes are written at once."""
        return Attributes(self)

    @property
    def compressor(self) -> Any:
        """The compressor of an array of format 2 (deprecated); raise TypeError in format 3."""
        msg = "Use Array.compressors instead."
        warnings.warn(msg, ZarrDeprecationWarning, stacklevel=2)
        return _compressor(self)

    def with_config(self, config: Any) -> Self:
        """Return a handle with other settings; those that are not named stay."""
        return type(self)(self._async_array.with_config(config))

    @property
    def nchunks_initialized(self) -> int:
        """The number of stored chunks; a stored shard counts all of its chunks."""
        return stored_chunks(self.inner)

    @property
    def _nshards_initialized(self) -> int:
        return stored_objects(self.inner)

    def nbytes_stored(self) -> int:
        """Return the size of all that is stored of the array, in bytes."""
        return int(self.inner.nbytes_stored)

    def info_complete(self) -> ArrayInfo:
        """Return a description with the stored bytes and chunks."""
        return self._info(stored_objects(self.inner), self.nbytes_stored())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Return all elements as a NumPy array; raise ValueError if ``copy`` is False."""
        if copy is False:
            msg = "`copy=False` is not supported. This method always creates a copy."
            raise ValueError(msg)
        return np.asarray(self.inner[...], dtype=dtype)

    def __getitem__(self, selection: Any) -> Any:
        """Return the selected elements: a scalar for a single one."""
        if _is_plain(selection) and has_usual_memory():
            try:
                found = self.inner[selection]
            except IndexError:
                # It is raised again, as zarr-python says it.
                return self.get_basic_selection(selection)
            return found if getattr(found, "shape", None) else _single(found)
        if hasattr(selection, "async_array"):
            selection = np.asarray(selection)
        fields, items = pop_fields(selection)
        ndim = self.inner.ndim
        if is_pure_fancy_indexing(items, ndim):
            return self.vindex[selection]
        if is_pure_orthogonal_indexing(items, ndim):
            return self.get_orthogonal_selection(items, fields=fields)
        return self.get_basic_selection(items, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Assign to the selected elements."""
        if _is_plain(selection):
            try:
                self.inner[selection] = value
            except IndexError:
                self.set_basic_selection(selection, value)
            return
        fields, items = pop_fields(selection)
        ndim = self.inner.ndim
        if is_pure_fancy_indexing(items, ndim):
            self.vindex[selection] = value
        elif is_pure_orthogonal_indexing(items, ndim):
            self.set_orthogonal_selection(items, value, fields=fields)
        else:
            self.set_basic_selection(items, value, fields=fields)

    def get_basic_selection(
        self,
        selection: Any = ...,
        *,
        out: Any = None,
        prototype: Any = None,
        fields: Any = None,
    ) -> Any:
        """Return the elements that integers and slices select: a scalar for a single one."""
        return read(self.inner, kinds.basic, selection, out, fields, prototype)

    def set_basic_selection(
        self, selection: Any, value: Any, *, fields: Any = None, prototype: Any = None
    ) -> None:
        """Assign to the elements that integers and slices select."""
        del prototype
        write(self.inner, kinds.basic, selection, value, fields)

    def get_orthogonal_selection(
        self, selection: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements that arrays select, each along its own axis."""
        return read(self.inner, kinds.orthogonal, selection, out, fields, prototype)

    def set_orthogonal_selection(
        self, selection: Any, value: Any, *, fields: Any = None, prototype: Any = None
    ) -> None:
        """Assign to the elements that arrays select, each along its own axis."""
        del prototype
        write(self.inner, kinds.orthogonal, selection, value, fields)

    def get_mask_selection(
        self, mask: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements where a mask is True."""
        return read(self.inner, kinds.mask, mask, out, fields, prototype)

    def set_mask_selection(
        self, mask: Any, value: Any, *, fields: Any = None, prototype: Any = None
    ) -> None:
        """Assign to the elements where a mask is True."""
        del prototype
        write(self.inner, kinds.mask, mask, value, fields)

    def get_coordinate_selection(
        self, selection: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements at coordinates."""
        return read(self.inner, kinds.coordinate, selection, out, fields, prototype)

    def set_coordinate_selection(
        self, selection: Any, value: Any, *, fields: Any = None, prototype: Any = None
    ) -> None:
        """Assign to the elements at coordinates."""
        del prototype
        write(self.inner, kinds.coordinate, selection, value, fields)

    def get_block_selection(
        self, selection: Any, *, out: Any = None, fields: Any = None, prototype: Any = None
    ) -> Any:
        """Return the elements of chunks; in a sharded array, of shards."""
        return read(self.inner, kinds.block, selection, out, fields, prototype)

    def set_block_selection(
        self, selection: Any, value: Any, *, fields: Any = None, prototype: Any = None
    ) -> None:
        """Assign to the elements of chunks; in a sharded array, of shards."""
        del prototype
        write(self.inner, kinds.block, selection, value, fields)

    @property
    def vindex(self) -> VIndex:
        """Vectorized indexing: by arrays that are broadcast together, or by a mask."""
        return VIndex(self)

    @property
    def oindex(self) -> OIndex:
        """Orthogonal indexing: each array selects along its own axis."""
        return OIndex(self)

    @property
    def blocks(self) -> BlockIndex:
        """Indexing in units of chunks, of shards in a sharded array."""
        return BlockIndex(self)

    def resize(self, new_shape: Any) -> None:
        """Change the shape; chunks outside are deleted.

        New elements have the fill value, except those which a chunk at the edge has kept.
        """
        resized(self.inner, new_shape)

    def append(self, data: Any, axis: int = 0) -> tuple[int, ...]:
        """Append data along an axis, and return the new shape."""
        return self.inner.append(data, axis)

    def update_attributes(self, new_attributes: Mapping[str, Any]) -> Self:
        """Set several attributes in one write, and return a handle with them."""
        self.attrs.update(new_attributes)
        return type(self)(self._async_array)


def _is_plain(selection: Any) -> bool:
    """Whether fastzarr takes a selection of integers and slices as zarr-python does."""
    items = selection if type(selection) is tuple else (selection,)
    if not _PLAIN.issuperset(map(type, items)):
        return False
    for item in items:
        if type(item) is slice and item.step is not None and item.step < 1:
            return False
    return True


def _single(found: Any) -> Any:
    return found[()] if isinstance(found, np.ndarray) and not found.ndim else found
