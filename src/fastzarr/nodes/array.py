"""Arrays: NumPy-style indexing over a layout and a store.

Rules of this file:

* An array knows no format and no codec. Its metadata is a ``Layout``, which the properties in
  ``described.py`` return. Its elements are read and written in ``indexing.py``, and operations on
  all its chunks are in ``resize.py`` and ``stored.py``.
* A handle is cheap and may be stale. Updates of metadata are patches of the document in the store.
* Semantics are those of zarr-python 3, plus features that only zarr-python 2 had.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from fastzarr import errors
from fastzarr.engine import written
from fastzarr.engine.requests import Ahead, runs_ahead
from fastzarr.errors import ZarrUserWarning, caller_level
from fastzarr.metadata.formats import same_format
from fastzarr.metadata.layout import Layout
from fastzarr.metadata.trust import trusted, trusts
from fastzarr.nodes import casting, documents
from fastzarr.nodes.access import Access
from fastzarr.nodes.current import check_chunks, check_covered, check_inside, document_token
from fastzarr.nodes.growing import Growing
from fastzarr.nodes.handle import Handle
from fastzarr.nodes.settings import ArrayConfig
from fastzarr.stores.keys import normalise_path
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from fastzarr import hints
    from fastzarr.codecs.numcodecs.filters import Permission
    from fastzarr.nodes.current import Checked
    from fastzarr.nodes.info import Info
    from fastzarr.selection.factors import Selection
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.stores.users import Hold
    from fastzarr.types.options import ArrayConfigOptions, CodecLike, DTypeLike

    Values = np.ndarray[Any, Any]

_UNCHECKED: Checked = (None, None)


class Array(Growing):
    """A chunked array in a store, read and written with NumPy's selections.

    ``Array(store, path)`` opens the array at a path. ``fastzarr.open_array`` and
    ``fastzarr.create_array`` have more options.

    >>> import fastzarr
    >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
    >>> z[1, ::-2] = [1, 2, 3]
    >>> z[1]
    array([0, 3, 0, 2, 0, 1], dtype=int32)
    """

    # Arguments of zarr-python 2 that have no meaning here are accepted and ignored.
    def __init__(  # noqa: PLR0913, PLR0917  (the union of two constructors)
        self,
        store: StoreLike,
        path: str | None = None,
        read_only: bool = False,
        chunk_store: StoreLike = None,
        synchronizer: hints.Synchronizer | None = None,
        cache_metadata: bool = True,
        cache_attrs: bool = True,
        partial_decompress: bool | None = None,  # noqa: ARG002
        write_empty_chunks: bool | None = None,
        zarr_version: hints.ZarrFormat | None = None,
        meta_array: Any = None,  # noqa: ARG002
        *,
        layout: Layout | None = None,
        config: ArrayConfig | ArrayConfigOptions | None = None,
        allow_pickle: Permission = False,
    ) -> None:
        """Open the array at ``path``; if ``layout`` is passed, the store is not read.

        ``allow_pickle`` permits unpickling objects, which lets their writer execute code in this
        process.

        Raise ``ArrayNotFoundError`` if there is no array, and ``NodeTypeValidationError`` if there
        is a group.
        """
        place, path = as_store(store), normalise_path(path) if path else ""
        if layout is None:
            found = documents.load_array(place, path, same_format(None, zarr_version))
            layout = trusted(found, "/" + path, allow=allow_pickle)
        how = ArrayConfig.make(config)
        if write_empty_chunks is not None and write_empty_chunks is not how.write_empty_chunks:
            how = replace(how, write_empty_chunks=write_empty_chunks)
        self._access = Access(
            place,
            place if chunk_store is None or chunk_store is store else as_store(chunk_store),
            path,
            layout,
            synchronizer,
            how,
        )
        if layout.repaired is not None:
            self._note_repair(layout.repaired.notes)
        self._read_only = read_only or place.read_only
        self._cache_metadata, self._cache_attrs = cache_metadata, cache_attrs
        self._cast: np.dtype[Any] | None = None
        self._is_view = False
        # The arguments of the ``view`` calls that led here, to repeat them after a refresh.
        self._viewed_as: tuple[tuple[Any, ...], ...] = ()
        # The validator of the document that this handle was last checked against, and the shape in
        # it; None if nothing is to be checked.
        self._checked: Checked | None = _UNCHECKED

    def _current(self) -> Access:
        """Return the access for a new operation."""
        if not self._cache_metadata:
            self.refresh()
        return self._access

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis; assigning to it resizes the array.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.shape
        (4, 6)
        >>> z.shape = (2, 6)
        >>> z.nchunks
        2
        """
        return self.layout.shape

    @shape.setter
    def shape(self, shape: hints.ShapeLike) -> None:
        self.resize(shape)

    def _note_repair(self, notes: Iterable[str]) -> None:
        for note in notes:
            where = str(self.store_path)
            warnings.warn(f"Array {where!r}: {note}", ZarrUserWarning, stacklevel=caller_level())

    def _store_repair(self, access: Access) -> None:
        """Store the document as it is read, before a chunk that other readers would not find."""

        def same(latest: documents.Node) -> documents.Node:
            if not isinstance(latest, Layout) or latest.with_program_of(access.layout) is None:
                what = f"the chunk grid of {self.name!r} in {self.store}"
                msg = f"{what} has changed since this array was opened; reopen it"
                raise errors.StaleArrayError(msg)
            return latest

        with self._changing() as held:
            node = documents.Where(held.store, held.root, held.path)
            latest = documents.update_held(node, same, held.synchronizer, held.layout.format)
        if not self._is_view:
            self._set_layout(latest)

    def is_unseen(self) -> Self:
        """Skip the check against the stored document, which will be written later; return self.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3)
        >>> z.is_unseen() is z
        True
        """
        self._checked = None
        return self

    def _begin(
        self, access: Access, found: Selection
    ) -> tuple[Access | None, Hold | None, Ahead | None]:
        if access.layout.repaired is not None:
            self._store_repair(access)
        if self._checked is None:
            return None, None, None
        held, hold = access.hold()
        try:
            store, (seen, shape) = held.store, self._checked
            look = store.validator
            if look is None or store.concurrency == 1:
                token = held.paths.removals or None if look is None else look(held.document)
                known = token == seen and (look is None or token is not None)
                if known and (shape is None or shape == access.layout.shape):
                    return held, hold, None
            elif runs_ahead(store):
                return held, hold, Ahead(store, partial(self._check, held, access, found))
            self._check(held, access, found)
        except BaseException:
            held.release(hold)
            raise
        return held, hold, None

    def _check(self, held: Access, access: Access, found: Selection) -> None:
        before = self._checked or _UNCHECKED
        checked = check_chunks(held, self.store, self._viewed, before)
        if access is self._access and checked is not before:
            self._checked = checked
        if checked[1] is not None and checked[1] != access.layout.shape:
            check_inside(access, self.store, found, checked[1])

    def _check_missing(self, access: Access, found: Selection) -> None:
        if self._checked is not None:
            check_covered(access, found, self._viewed)

    def _set_layout(self, layout: Any) -> None:
        mine = self._layout
        same = layout.with_program_of(mine)
        if same is None:
            # Permission to unpickle belongs to the handle; a store cannot grant or remove it.
            allow = trusts(mine)
            same = trusted(layout, allow=allow) if allow else layout
            if self._checked is not None:
                self._checked = _UNCHECKED
        self._access = self._access.described(same)

    def refresh(self) -> Self:
        """Reload the metadata from the store, and return self; a view stays a view.

        Raise ``ArrayNotFoundError`` if the array no longer exists, and ``NodeTypeValidationError``
        if it has been replaced by a group.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3, store={}, path="a")
        >>> other = fastzarr.open_array(z.store, path="a")
        >>> other.resize(5)
        >>> z.shape, z.refresh().shape
        ((3,), (5,))
        """
        found = documents.load(self.store, self.path, self._layout.format)
        if not isinstance(found, Layout):
            # The array may have been replaced by one of another format.
            found = documents.load_array(self.store, self.path)
        self._set_layout(self._viewed(found))
        return self

    def _viewed(self, layout: Layout) -> Layout:
        """Return a stored layout with the views of this handle applied."""
        if self._viewed_as:
            from fastzarr.nodes.views import reinterpreted

            for arguments in self._viewed_as:
                layout = reinterpreted(layout, *arguments)
        return layout

    def with_config(self, config: ArrayConfig | ArrayConfigOptions) -> Array:
        """Return a new handle of the array with other settings.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.with_config({"order": "F"})[:].flags.f_contiguous
        True
        """
        if not isinstance(config, ArrayConfig):
            config = ArrayConfig.make(self.config.to_dict() | dict(config))
        return self._another(_access=replace(self._access, settings=config))

    def astype(self, dtype: npt.DTypeLike) -> Array:
        """Return a read-only view whose elements are converted to another dtype when read.

        >>> import fastzarr
        >>> fastzarr.array([1.5, 2.5]).astype("i4")[:]
        array([1, 2], dtype=int32)
        """
        return self._another(_cast=casting.target(dtype), _read_only=True, _is_view=True)

    def view(
        self,
        shape: hints.ShapeLike | None = None,
        chunks: hints.ShapeLike | None = None,
        dtype: DTypeLike = None,
        fill_value: Any = None,
        filters: Iterable[CodecLike] | None = None,
        read_only: bool | None = None,
        synchronizer: hints.Synchronizer | None = None,
    ) -> Array:
        """Return a view of the same stored chunks with other metadata, which is not stored.

        Each chunk of the view has the key and the size in bytes of a chunk of the array; a
        ``dtype`` of another size therefore requires a matching ``shape`` and ``chunks``. The view
        has the attributes of the array and cannot be resized.

        Raise ``ShapeError`` if the stored chunks do not allow the view, and ``MetadataError`` if an
        argument is invalid.

        >>> import fastzarr
        >>> z = fastzarr.array([[1, 2], [3, -1]], dtype="<i4", chunks=(1, 2))
        >>> z.view(dtype="u1", shape=(2, 8), chunks=(1, 8))[1]
        array([  3,   0,   0,   0, 255, 255, 255, 255], dtype=uint8)
        """
        from fastzarr.nodes.views import reinterpreted

        arguments = (shape, chunks, dtype, fill_value, filters)
        layout = reinterpreted(self._layout, *arguments)
        locks = self.synchronizer if synchronizer is None else synchronizer
        return self._another(
            _access=replace(self._access, layout=layout, synchronizer=locks),
            _is_view=True,
            _viewed_as=(*self._viewed_as, arguments),
            _checked=_UNCHECKED,
            _read_only=self._read_only if read_only is None else read_only,
        )

    @classmethod
    def open(
        cls, store: StoreLike, *, config: ArrayConfig | ArrayConfigOptions | None = None
    ) -> Self:
        """Open the array at a store path (zarr-python 3's method).

        >>> import fastzarr
        >>> z = fastzarr.zeros(3, store={}, path="a")
        >>> fastzarr.Array.open(z.store_path) == z
        True
        """
        return cls(store, getattr(store, "path", ""), config=config)

    @classmethod
    def from_dict(cls, store_path: StoreLike, data: Mapping[str, Any]) -> Self:
        """Return a handle with the metadata of a document; nothing is read or written.

        Raise ``MetadataError`` if the document is invalid.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> fastzarr.Array.from_dict({}, z.metadata.to_dict()).shape
        (4, 6)
        """
        from fastzarr.metadata.attributes import plain_attributes
        from fastzarr.metadata.formats import from_dict

        plain = plain_attributes(data.get("attributes", {}))
        layout = from_dict({**data, "attributes": plain})
        if not isinstance(layout, Layout):
            msg = "the metadata is that of a group, not of an array"
            raise errors.NodeTypeValidationError(msg)
        made = cls(store_path, getattr(store_path, "path", ""), layout=layout)
        made._access.seen["apart"] = True
        return made

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Values:
        """Return all elements as a NumPy array; raise ValueError if ``copy`` is False."""
        if copy is False:
            msg = "an array in a store is always read as a copy; pass copy=None or copy=True"
            raise ValueError(msg)
        whole = np.asarray(self[...])
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __dlpack__(self, **options: Any) -> Any:
        """Return the whole array as a DLPack capsule."""
        return np.asarray(self).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the DLPack device of the data: main memory."""
        return (1, 0)

    def __len__(self) -> int:
        """Return the length of the first axis; raise TypeError for zero-dimensional arrays."""
        if not self.shape:
            msg = "len() of unsized object"
            raise TypeError(msg)
        return self.shape[0]

    def __bool__(self) -> bool:
        """Return True, even for an empty array."""
        return True

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first axis, reading each chunk once."""
        return self.islice()

    def islice(self, start: int | None = None, end: int | None = None) -> Iterator[Any]:
        """Iterate over the first axis from ``start`` to ``end``, reading each chunk once.

        >>> import fastzarr
        >>> [int(element) for element in fastzarr.array([1, 2, 3]).islice(1)]
        [2, 3]
        """
        if not self.shape:
            msg = "iteration over a 0-d array"
            raise TypeError(msg)
        low, high, _ = slice(start, end).indices(self.shape[0])
        return self._rows(low, high)

    def _rows(self, low: int, high: int) -> Iterator[Any]:
        for rows in self._layout.grid.cut(0, low, high):
            yield from self[rows]

    __hash__ = Handle.__hash__

    def __eq__(self, other: object) -> bool:
        """Whether both are the same stored array with the same metadata; elements are not compared.

        Comparison with a NumPy array is elementwise.
        """
        if not isinstance(other, Array):
            return NotImplemented
        return (
            self.store.place is other.store.place
            and self.path == other.path
            and self.layout == other.layout
            and self._cast == other._cast
        )

    if not TYPE_CHECKING:
        # A type checker that knew it would accept every misspelled name.
        def __getattr__(self, name: str) -> NoReturn:
            """Raise AttributeError, which says how to use an attribute of NumPy's arrays."""
            own = name.startswith("_") or any(name in vars(cls) for cls in type(self).__mro__)
            if own or not hasattr(np.ndarray, name):
                # The same again: a property may have raised the error.
                object.__getattribute__(self, name)
            msg = (
                f"'Array' object has no attribute {name!r}; read the elements first, as in "
                f"z[...].{name}"
            )
            raise AttributeError(msg, name=name, obj=self)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return the values that identify this array to dask.

        They differ after a write of this process to the array, and if its document was changed or
        replaced by anyone. Elements that another process has written leave them as they are.

        >>> import fastzarr
        >>> from dask.base import tokenize
        >>> z = fastzarr.create_array({}, data=[1, 2, 3])
        >>> before = tokenize(z)
        >>> z[0] = 5
        >>> tokenize(z) == before
        False
        """
        what = (self.layout, self._cast)
        named = (type(self).__name__, self.store.place.token, self.path, hash(what), str(what))
        return (*named, written.last(self.path), str(document_token(self._access)))

    def __arrow_array__(self, type: Any = None) -> Any:
        """Return the elements as an array of pyarrow; ``pyarrow.array(z)`` calls this method."""
        import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]

        values = self[...]
        # pyarrow does not know NumPy's text of variable length.
        return pa.array(values.astype(object) if values.dtype.kind == "T" else values, type=type)

    def __repr__(self) -> str:
        """Return the location, the shape and the dtype."""
        return f"<Array {self.store_path} shape={self.shape} dtype={self.dtype}>"

    def _repr_html_(self) -> str:
        from fastzarr.nodes.notebook import array_html

        return array_html(self)

    @property
    def info(self) -> Info:
        """A description of the array, which reads no chunks; shown as a table in a notebook.

        >>> import fastzarr
        >>> fastzarr.zeros(3, dtype="i4").info["Data type"]
        'int32'
        """
        from fastzarr.nodes.info import array_info

        return array_info(self)

    def info_complete(self) -> Info:
        """Return a description that includes the stored bytes and chunks.

        >>> import fastzarr
        >>> fastzarr.zeros(3, chunks=1).info_complete()["Chunks initialized"]
        '0/3'
        """
        from fastzarr.nodes.info import array_info

        return array_info(self, complete=True)

    def digest(self, hashname: str = "sha1") -> bytes:
        """Return a checksum of the stored chunks and the metadata.

        >>> import fastzarr
        >>> len(fastzarr.zeros(3).digest("sha256"))
        32
        """
        from fastzarr.nodes.stored import digest

        return digest(self._current(), hashname)

    def hexdigest(self, hashname: str = "sha1") -> str:
        """Return the checksum in hexadecimal.

        >>> import fastzarr
        >>> fastzarr.zeros(3).hexdigest() == fastzarr.zeros(3).hexdigest()
        True
        """
        return self.digest(hashname).hex()
