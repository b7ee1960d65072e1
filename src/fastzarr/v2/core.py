"""Arrays."""

from __future__ import annotations

import hashlib
import warnings
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.errors import NodeTypeValidationError
from fastzarr.metadata.trust import trusted
from fastzarr.nodes.documents import load_array
from fastzarr.v2._elements import Elements
from fastzarr.v2._node import Node, type_name
from fastzarr.v2._storage.classes import ConsolidatedMetadataStore
from fastzarr.v2._storage.store import (
    Dressed,
    _path_to_prefix,
    array_meta_key,
    attrs_key,
    inner_store,
)
from fastzarr.v2.attrs import Attributes
from fastzarr.v2.errors import ArrayNotFoundError, ReadOnlyError
from fastzarr.v2.indexing import (
    BlockIndex,
    OIndex,
    VIndex,
    is_pure_fancy_indexing,
    is_pure_orthogonal_indexing,
    pop_fields,
)
from fastzarr.v2.meta import as_written
from fastzarr.v2.storage import getsize, normalize_store_arg
from fastzarr.v2.util import (
    human_readable_size,
    normalize_chunks,
    normalize_fill_value,
    normalize_resize_args,
    normalize_shape,
    normalize_storage_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.metadata.layout import Layout


_PLAIN = frozenset({int, slice})


class Array(Node):
    """An array in a store.

    >>> import fastzarr.v2 as zarr
    >>> z = zarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
    >>> z[1, ::2] = [1, 2, 3]
    >>> z[1, 2]
    np.int32(2)
    """

    def __init__(  # noqa: PLR0913, PLR0917  (signature of zarr-python 2)
        self,
        store: Any,
        path: Any = None,
        read_only: bool = False,
        chunk_store: Any = None,
        synchronizer: Any = None,
        cache_metadata: bool = True,
        cache_attrs: bool = True,
        partial_decompress: bool | None = None,
        write_empty_chunks: bool = True,
        zarr_version: int | None = None,
        meta_array: Any = None,
        *,
        layout: Layout | None = None,
        allow_pickle: bool = False,
    ) -> None:
        """Open the array at a path; if ``layout`` is passed, its document is not read.

        ``allow_pickle`` permits unpickling objects, which lets their writer execute code in this
        process; what created the array may do so.

        Raise ArrayNotFoundError if there is no array.
        """
        self._allow_pickle = allow_pickle
        self._store = normalize_store_arg(store, zarr_version=zarr_version)
        self._chunk_store = (
            None
            if chunk_store is None
            else normalize_store_arg(chunk_store, zarr_version=zarr_version)
        )
        self._path = normalize_storage_path(path)
        self._key_prefix = _path_to_prefix(self._path)
        self._read_only, self._synchronizer = bool(read_only), synchronizer
        self._cache_metadata, self._write_empty_chunks = cache_metadata, write_empty_chunks
        if partial_decompress is not None:
            msg = (
                "Support for partial decompression will be removed in a future version: "
                "partial_decompress= has no effect, and parts of chunks are decoded anyway"
            )
            warnings.warn(msg, DeprecationWarning, stacklevel=2)
        self._partial_decompress, self._version = partial_decompress, 2
        self._meta_array = np.empty_like(() if meta_array is None else meta_array, shape=())
        self.inner = self._opened(layout)
        self._attrs = Attributes(
            self._store,
            key=self._key_prefix + attrs_key,
            read_only=read_only,
            synchronizer=synchronizer,
            cache=cache_attrs,
        )

    def _opened(self, layout: Layout | None) -> Elements:
        chunks, place = self._chunk_store, inner_store(self._store)
        try:
            if isinstance(self._store, ConsolidatedMetadataStore):
                # Chunks may be written, though the documents are a copy that cannot be.
                found = load_array(place, self._path)
                layout = trusted(found, f"/{self._path}", allow=self._trusts)
                return self._handle(inner_store(chunks or self._store.store), None, layout)
            return self._handle(place, None if chunks is None else inner_store(chunks), layout)
        except (ArrayNotFoundError, NodeTypeValidationError):
            msg = f"array not found at path {self._path!r}"
            raise ArrayNotFoundError(msg) from None

    @property
    def _trusts(self) -> bool:
        return self._allow_pickle or self._path in getattr(self._store, "created", ())

    def _handle(self, place: Any, chunks: Any, layout: Any) -> Elements:
        return Elements(
            place,
            self._path,
            self._read_only,
            chunks,
            self._synchronizer,
            self._cache_metadata,
            write_empty_chunks=self._write_empty_chunks,
            zarr_version=2 if place.zarr_format is None else None,
            layout=layout,
            allow_pickle=self._trusts,
        ).show_objects()

    @property
    def _dimension_separator(self) -> str:
        separator: str | None = getattr(self.inner.layout.keys, "separator", None)
        return separator or "."

    def _chunk_key(self, chunk_coords: tuple[int, ...]) -> str:
        return self._key_prefix + self._dimension_separator.join(map(str, chunk_coords))

    @property
    def name(self) -> str | None:
        """The path with a leading slash; None for an array at the root."""
        return f"/{self._path}" if self._path else None

    @property
    def basename(self) -> str | None:
        """The last part of the name; None for an array at the root."""
        return self._path.rpartition("/")[2] if self._path else None

    @property
    def read_only(self) -> bool:
        """Whether the array cannot be changed through this handle; it can be assigned."""
        return self._read_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._read_only = bool(value)
        self.inner = self._opened(self.inner.layout)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis; assigning to it resizes the array."""
        return self.inner.shape

    @shape.setter
    def shape(self, value: Any) -> None:
        self.resize(value)

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk."""
        return self.inner.chunks

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self.inner.dtype

    @property
    def compressor(self) -> Any:
        """The compressor, or None."""
        codec = self.inner.compressor
        if isinstance(self._store, Dressed):
            return self._store.shown_compressor(codec, self.dtype, self.chunks)
        return codec

    @property
    def fill_value(self) -> Any:
        """The value of elements that were never written; None if undefined."""
        return self.inner.fill_value

    @fill_value.setter
    def fill_value(self, new: Any) -> None:
        self._check_documents()
        self.inner.set_fill(normalize_fill_value(new, self.dtype))

    @property
    def order(self) -> str:
        """The memory order of chunks."""
        return self.inner.order

    @property
    def filters(self) -> list[Any] | None:
        """The filters, or None."""
        return list(self.inner.filters) or None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.inner.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.inner.size

    @property
    def itemsize(self) -> int:
        """The size of an element in bytes."""
        return self.inner.itemsize

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes."""
        return self.inner.nbytes

    @property
    def nbytes_stored(self) -> int:
        """The stored size in bytes, with the documents; -1 if it is unknown."""
        sizes = [getsize(self._store, self._path)]
        if self._chunk_store is not None:
            sizes.append(getsize(self._chunk_store, self._path))
        return -1 if min(sizes) < 0 else sum(sizes)

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return self.inner.cdata_shape if self.inner.shape else (1,)

    @property
    def nchunks(self) -> int:
        """The number of chunks."""
        return self.inner.nchunks

    @property
    def nchunks_initialized(self) -> int:
        """The number of chunks that are stored."""
        return self.inner.nchunks_initialized

    initialized = nchunks_initialized

    @property
    def is_view(self) -> bool:
        """Whether this is a view of another array."""
        return self.inner.is_view

    @property
    def oindex(self) -> OIndex:
        """Orthogonal selection: each array selects along its own axis."""
        return OIndex(self)

    @property
    def vindex(self) -> VIndex:
        """Selection of coordinates, or by a mask."""
        return VIndex(self)

    @property
    def blocks(self) -> BlockIndex:
        """Selection of whole chunks."""
        return BlockIndex(self)

    @property
    def write_empty_chunks(self) -> bool:
        """Whether chunks of nothing but the fill value are stored."""
        return self._write_empty_chunks

    def __eq__(self, other: object) -> bool:
        """Whether both are handles of the same array, and not a view."""
        return (
            isinstance(other, Array)
            and self.store == other.store
            and self.read_only == other.read_only
            and self.path == other.path
            and not self.is_view
        )

    __hash__ = None  # type: ignore[assignment]  # as in zarr-python 2

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]:
        """Return all elements."""
        return np.array(self[...], *args, **kwargs)

    def __len__(self) -> int:
        """Return the length of the first axis; raise TypeError if there is none."""
        return len(self.inner)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first axis."""
        return self.islice()

    def islice(self, start: int | None = None, end: int | None = None) -> Iterator[Any]:
        """Iterate over a part of the first axis, reading each chunk once."""
        if not self.shape:
            msg = "iteration over a 0-d array"
            raise TypeError(msg)
        for name, value in (("start", start), ("end", end)):
            if value is not None and (not isinstance(value, int) or value < 0):
                msg = f"{name} must be a nonnegative integer"
                raise ValueError(msg)
        return self.inner.islice(start, end)

    def __getitem__(self, selection: Any) -> Any:
        """Return the selected elements."""
        items = selection if type(selection) is tuple else (selection,)
        if _PLAIN.issuperset(map(type, items)):
            return self._shown(self.inner.plain(items))
        fields, rest = pop_fields(selection)
        if is_pure_fancy_indexing(rest, self.ndim):
            return self.vindex[selection]
        if is_pure_orthogonal_indexing(rest, self.ndim):
            return self.get_orthogonal_selection(rest, fields=fields)
        return self.get_basic_selection(rest, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Assign to the selected elements."""
        items = selection if type(selection) is tuple else (selection,)
        if _PLAIN.issuperset(map(type, items)):
            self.inner.put_plain(items, value)
            return
        fields, rest = pop_fields(selection)
        if is_pure_fancy_indexing(rest, self.ndim):
            self.vindex[selection] = value
        elif is_pure_orthogonal_indexing(rest, self.ndim):
            self.set_orthogonal_selection(rest, value, fields=fields)
        else:
            self.set_basic_selection(rest, value, fields=fields)

    def _read(self, kind: str, selection: Any, out: Any, fields: Any) -> Any:
        found = self.inner.read(kind, selection, out, fields)
        return self._shown(found) if out is None else found

    def _shown(self, found: Any) -> Any:
        """Return elements in an array of the type of ``meta_array``."""
        if type(self._meta_array) is np.ndarray or not isinstance(found, np.ndarray):
            return found
        shown = np.empty_like(self._meta_array, shape=found.shape, dtype=found.dtype)
        shown[...] = found
        return shown

    def get_basic_selection(
        self, selection: Any = Ellipsis, out: Any = None, fields: Any = None
    ) -> Any:
        """Return elements selected by integers and slices."""
        return self._read("basic", selection, out, fields)

    def set_basic_selection(self, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to elements selected by integers and slices."""
        self.inner.write("basic", selection, value, fields)

    def get_orthogonal_selection(self, selection: Any, out: Any = None, fields: Any = None) -> Any:
        """Return elements selected by an array for each axis."""
        return self._read("orthogonal", selection, out, fields)

    def set_orthogonal_selection(self, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to elements selected by an array for each axis."""
        self.inner.write("orthogonal", selection, value, fields)

    def get_coordinate_selection(self, selection: Any, out: Any = None, fields: Any = None) -> Any:
        """Return elements by their coordinates."""
        return self._read("coordinate", selection, out, fields)

    def set_coordinate_selection(self, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to elements by their coordinates."""
        self.inner.write("coordinate", selection, value, fields)

    def get_mask_selection(self, selection: Any, out: Any = None, fields: Any = None) -> Any:
        """Return the elements where a boolean array is True."""
        return self._read("mask", selection, out, fields)

    def set_mask_selection(self, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to the elements where a boolean array is True."""
        self.inner.write("mask", selection, value, fields)

    def get_block_selection(self, selection: Any, out: Any = None, fields: Any = None) -> Any:
        """Return the elements of whole chunks."""
        return self._read("block", selection, out, fields)

    def set_block_selection(self, selection: Any, value: Any, fields: Any = None) -> None:
        """Assign to the elements of whole chunks."""
        self.inner.write("block", selection, value, fields)

    def __repr__(self) -> str:
        """Return the class, the name, the shape and the dtype."""
        kind = type(self)
        parts = [f"{kind.__module__}.{kind.__name__}"]
        if self.name:
            parts.append(repr(self.name))
        parts += [str(self.shape), str(self.dtype)]
        if self._read_only:
            parts.append("read-only")
        return f"<{' '.join(parts)}>"

    def info_items(self) -> list[tuple[str, Any]]:
        """Return the description as pairs of name and value."""
        items: list[tuple[str, Any]] = [] if self.name is None else [("Name", self.name)]
        items += [
            ("Type", type_name(self)),
            ("Data type", str(self.dtype)),
            ("Shape", str(self.shape)),
            ("Chunk shape", str(self.chunks)),
            ("Order", self.order),
            ("Read-only", str(self.read_only)),
        ]
        items += [(f"Filter [{i}]", repr(each)) for i, each in enumerate(self.filters or ())]
        items.append(("Compressor", repr(self.compressor)))
        items += self._kinds()
        nbytes, stored = self.nbytes, self.nbytes_stored
        items.append(("No. bytes", _bytes_words(nbytes)))
        if stored > 0:
            items.append(("No. bytes stored", _bytes_words(stored)))
            items.append(("Storage ratio", f"{nbytes / stored:.1f}"))
        items.append(("Chunks initialized", f"{self.nchunks_initialized}/{self.nchunks}"))
        return items

    def digest(self, hashname: str = "sha1") -> bytes:
        """Return a checksum of the stored chunks and the documents."""
        found = hashlib.new(hashname)
        for coords in product(*map(range, self.cdata_shape)):
            found.update(self.chunk_store.get(self._chunk_key(coords), b""))
        found.update(as_written(self._store.get(self._key_prefix + array_meta_key, b"")))
        found.update(self._store.get(self._attrs.key, b""))
        return found.digest()

    def hexdigest(self, hashname: str = "sha1") -> str:
        """Return the checksum in hexadecimal."""
        return self.digest(hashname).hex()

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "store": self._store,
            "path": self._path,
            "read_only": self._read_only,
            "chunk_store": self._chunk_store,
            "synchronizer": self._synchronizer,
            "cache_metadata": self._cache_metadata,
            "cache_attrs": self._attrs.cache,
            "write_empty_chunks": self._write_empty_chunks,
            "zarr_version": self._version,
            "meta_array": self._meta_array,
            "allow_pickle": self._allow_pickle,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the array again."""
        self.__init__(**state)  # type: ignore[misc]  # the state is its arguments

    def _check_documents(self) -> None:
        if isinstance(self._store, ConsolidatedMetadataStore):
            msg = f"array {self.name!r} was opened from consolidated metadata, which is read-only"
            raise ReadOnlyError(msg)

    def resize(self, *args: Any) -> None:
        """Change the shape; chunks outside are deleted.

        New elements have the fill value, except those which a chunk at the edge has kept.
        """
        if not self._read_only:
            self._check_documents()
        shape = normalize_resize_args(self.inner.shape, *args)
        self.inner.resize(shape, outside="delete")

    def append(self, data: Any, axis: int = 0) -> tuple[int, ...]:
        """Append data along an axis, and return the new shape."""
        if not self._read_only:
            self._check_documents()
        return self.inner.append(data if hasattr(data, "shape") else np.asanyarray(data), axis)

    def view(
        self,
        shape: Any = None,
        chunks: Any = None,
        dtype: Any = None,
        fill_value: Any = None,
        filters: Any = None,
        read_only: bool | None = None,
        synchronizer: Any = None,
    ) -> Array:
        """Return a view of the same chunks with other metadata, which is not stored."""
        new = self.dtype if dtype is None else np.dtype(dtype)
        shape = self.shape if shape is None else normalize_shape(shape)
        if chunks is not None:
            chunks = normalize_chunks(chunks, shape, new.itemsize)
        made = self.inner.view(shape, chunks, dtype, fill_value, filters, read_only, synchronizer)
        return self._around(made)

    def astype(self, dtype: Any) -> Array:
        """Return a read-only view whose elements are converted to another dtype."""
        return self._around(self.inner.astype(dtype))

    def _around(self, inner: Any) -> Array:
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        vars(other).update(inner=inner, _read_only=inner.read_only)
        return other


def _bytes_words(size: int) -> str:
    return f"{size} ({human_readable_size(size)})" if size > 1 << 10 else str(size)
