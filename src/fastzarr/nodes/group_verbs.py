"""The methods of ``Group`` that create arrays and groups.

Rules of this file:

* ``GroupVerbs`` declares what it requires of the deriving class.
* New nodes have the format of the group, and missing parent groups are created. The keywords are
  those of the functions of the same names in ``api/create.py``.
* A method named ``require_...`` returns the existing node if it matches, and creates a missing one.
* All names of zarr-python 2 and 3 exist.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

import numpy as np

from fastzarr.creating.chunks import parse_shape
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.creating.like import emptied, filled, like_words
from fastzarr.creating.words import HANDLE_WORDS, ArraySpec, handle_of
from fastzarr.errors import (
    ContainsArrayError,
    ContainsGroupError,
    KeyValidationError,
    MetadataValidationError,
)
from fastzarr.metadata.formats import parse_format, same_format
from fastzarr.nodes.array import Array
from fastzarr.nodes.building import build_array, build_group, taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr import hints
    from fastzarr.metadata.layout import GroupLayout
    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store
    from fastzarr.types import options
    from fastzarr.types.options import DTypeLike

GroupT = TypeVar("GroupT")


class GroupVerbs(Generic[GroupT]):
    """The methods of a group that create its members; ``GroupT`` is the class of groups."""

    _cache_attrs: bool

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store of the metadata."""

    @property
    @abstractmethod
    def chunk_store(self) -> Store:
        """The store of the chunks."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The path of the group in its store."""

    @property
    @abstractmethod
    def zarr_format(self) -> hints.ZarrFormat:
        """The Zarr format of the group and its members."""

    @property
    @abstractmethod
    def layout(self) -> GroupLayout:
        """The metadata of the group."""

    @property
    @abstractmethod
    def synchronizer(self) -> hints.Synchronizer | None:
        """The synchronizer that the group was opened with, or None."""

    @abstractmethod
    def get(self, path: str) -> Array | GroupT | None:
        """Return the member at a path, or ``default`` if it is missing."""

    @abstractmethod
    def _below(self, name: Any) -> str:
        """Return the path in the store of a name relative to this group."""

    @abstractmethod
    def _check_writable(self, doing: str) -> None:
        """Raise ``ReadOnlyError`` if the group was opened read-only."""

    @abstractmethod
    def _node(self, path: str, layout: Node) -> Array | GroupT:
        """Return a handle of the node at ``path``, with the settings of this group."""

    @abstractmethod
    def _group(self, path: str, layout: GroupLayout) -> GroupT:
        """Return a handle of the group at ``path``, with the settings of this group."""

    def create_group(
        self,
        name: str,
        overwrite: bool = False,
        *,
        attributes: hints.Attrs | None = None,
    ) -> GroupT:
        """Create a group; ``overwrite=True`` replaces an existing node.

        Raise ``ContainsGroupError`` or ``ContainsArrayError`` if there is already a node of this
        name.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create_group("a/b", attributes={"c": 1}).attrs
        {'c': 1}
        """
        path, known = self._new_path(name)
        layout = build_group(
            self.store,
            path,
            format=self.layout.format,
            attributes=attributes,
            overwrite=overwrite,
            chunk_store=self.chunk_store,
            known=known,
        )
        return self._group(path, layout)

    def create_groups(self, *names: str, overwrite: bool = False) -> tuple[GroupT, ...]:
        """Create several groups.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> [group.path for group in root.create_groups("a", "b")]
        ['a', 'b']
        """
        return tuple(self.create_group(name, overwrite) for name in names)

    def require_group(self, name: str, overwrite: bool = False) -> GroupT:
        """Return the group of this name; create it if it is missing.

        Raise ``ContainsArrayError`` if there is an array of this name.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.require_group("a") == root.require_group("a")
        True
        """
        found: Array | GroupT | None = None if overwrite else self.get(name)
        if found is None:
            try:
                return self.create_group(name, overwrite)
            except (ContainsArrayError, ContainsGroupError):
                # Another writer may have created the group first.
                found = None if overwrite else self.get(name)
                if found is None:
                    raise
        if isinstance(found, Array):
            raise taken(self.store, found.path, found.layout, "a group is required")
        return found

    def require_groups(self, *names: str) -> tuple[GroupT, ...]:
        """Return several groups; create those that are missing.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> [group.path for group in root.require_groups("a", "b")]
        ['a', 'b']
        """
        return tuple(self.require_group(name) for name in names)

    def create_array(self, name: str, **kwargs: Unpack[options.ArrayOptions]) -> Array:
        """Create an array; the keywords are those of ``fastzarr.create_array``.

        Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is already a node of this
        name and ``overwrite=True`` is not passed.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create_array("x", shape=(4, 4), chunks=(2, 2), dtype="f4").nchunks
        4
        """
        return self._create("create_array", name, kwargs)

    def create(self, name: str, **kwargs: Unpack[options.ArrayOptions]) -> Array:
        """Create an array; same as ``create_array`` (a name of zarr-python 2 and 3).

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create("x", shape=3, dtype="i2")[:]
        array([0, 0, 0], dtype=int16)
        """
        return self._create("create", name, kwargs)

    def create_dataset(
        self,
        name: str,
        shape: hints.ShapeLike | None = None,
        dtype: DTypeLike = None,
        data: hints.ArrayLike | None = None,
        **kwargs: Unpack[options.DatasetOptions],
    ) -> Array:
        """Create an array; same as ``create_array``, with the positional arguments of h5py.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create_dataset("x", (2, 3), "f4", compression="gzip").shape
        (2, 3)
        """
        words = {"shape": shape, "dtype": dtype, "data": data}
        return self._create("create_dataset", name, {**kwargs, **words})

    def array(
        self, name: str, data: hints.ArrayLike, **kwargs: Unpack[options.DataOptions]
    ) -> Array:
        """Create an array with the given data.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.array("x", [1, 2], chunks=1).nchunks
        2
        """
        return self._create("array", name, {**kwargs, "data": data})

    def require_array(
        self,
        name: str,
        *,
        shape: hints.ShapeLike,
        dtype: DTypeLike = None,
        exact: bool = False,
        **kwargs: Unpack[options.RequireOptions],
    ) -> Array:
        """Return the array of this name if it matches; create it if it is missing.

        An array matches if it has this shape, and its dtype can be cast to ``dtype`` without loss;
        with ``exact``, its dtype must be ``dtype``. Raise TypeError if it does not match, and
        ``ContainsGroupError`` if there is a group of this name.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> x = root.require_array("x", shape=3, dtype="i4")
        >>> root.require_array("x", shape=3, dtype="i4") == x
        True
        """
        found = self.get(name)
        if found is None:
            words = {"shape": shape, "dtype": dtype}
            try:
                return self._create("require_array", name, {**words, **kwargs})
            except (ContainsArrayError, ContainsGroupError):
                found = None if kwargs.get("overwrite") else self.get(name)
                if found is None:
                    raise
        if not isinstance(found, Array):
            msg = f"the node {'/' + self._below(name)!r} in {self.store} is a group, not an array"
            raise ContainsGroupError(msg)
        wanted = parse_shape(shape)
        if found.shape != wanted:
            msg = f"the array {found.name!r} already exists with shape {found.shape}, not {wanted}"
            raise TypeError(msg)
        if dtype is not None:
            _check_dtype(found, dtype, exact=exact)
        return found

    def require_dataset(
        self,
        name: str,
        shape: hints.ShapeLike,
        dtype: DTypeLike = None,
        exact: bool = False,
        **kwargs: Unpack[options.RequireOptions],
    ) -> Array:
        """Return or create an array; same as ``require_array`` (h5py's name).

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.require_dataset("x", (3,), "i4").path
        'x'
        """
        return self.require_array(name, shape=shape, dtype=dtype, exact=exact, **kwargs)

    def empty(
        self, name: str, shape: hints.ShapeLike, **kwargs: Unpack[options.EmptyOptions]
    ) -> Array:
        """Create an array without writing any chunk, as ``fastzarr.empty`` does.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.empty("x", 3, dtype="i4").nchunks_initialized
        0
        """
        return self._create("empty", name, emptied(kwargs) | {"shape": shape})

    def zeros(
        self, name: str, shape: hints.ShapeLike, **kwargs: Unpack[options.FilledOptions]
    ) -> Array:
        """Create an array of zeros.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.zeros("x", 3, dtype="i4")[:]
        array([0, 0, 0], dtype=int32)
        """
        return self._create("zeros", name, filled({**kwargs, "shape": shape}, 0))

    def ones(
        self, name: str, shape: hints.ShapeLike, **kwargs: Unpack[options.FilledOptions]
    ) -> Array:
        """Create an array of ones.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.ones("x", 3, dtype="i4")[:]
        array([1, 1, 1], dtype=int32)
        """
        return self._create("ones", name, filled({**kwargs, "shape": shape}, 1))

    def full(
        self,
        name: str,
        fill_value: Any,
        shape: hints.ShapeLike,
        **kwargs: Unpack[options.FilledOptions],
    ) -> Array:
        """Create an array with every element equal to ``fill_value``.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.full("x", 7, 3, dtype="i4")[:]
        array([7, 7, 7], dtype=int32)
        """
        return self._create("full", name, filled({**kwargs, "shape": shape}, fill_value))

    def empty_like(
        self, name: str, data: hints.ArrayLike, **kwargs: Unpack[options.DataOptions]
    ) -> Array:
        """Create an array with the shape, dtype, chunks and codecs of ``data``.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.empty_like("x", fastzarr.zeros(3, dtype="i4")).dtype.name
        'int32'
        """
        return self._create("empty_like", name, self._like(data, kwargs))

    def zeros_like(
        self, name: str, data: hints.ArrayLike, **kwargs: Unpack[options.LikeOptions]
    ) -> Array:
        """Create an array of zeros with the shape, dtype, chunks and codecs of ``data``.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.zeros_like("x", [1, 2])[:]
        array([0, 0])
        """
        return self._create("zeros_like", name, filled(self._like(data, kwargs), 0))

    def ones_like(
        self, name: str, data: hints.ArrayLike, **kwargs: Unpack[options.LikeOptions]
    ) -> Array:
        """Create an array of ones with the shape, dtype, chunks and codecs of ``data``.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.ones_like("x", [3, 4])[:]
        array([1, 1])
        """
        return self._create("ones_like", name, filled(self._like(data, kwargs), 1))

    def full_like(
        self,
        name: str,
        data: hints.ArrayLike,
        fill_value: Any = NOT_GIVEN,
        **kwargs: Unpack[options.LikeOptions],
    ) -> Array:
        """Create an array of one value with the shape, dtype, chunks and codecs of ``data``.

        ``fill_value`` defaults to the fill value of ``data``.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.full_like("x", [3, 4], 7)[:]
        array([7, 7])
        """
        words = self._like(data, kwargs)
        if fill_value is not NOT_GIVEN:
            words = filled(words, fill_value)
        return self._create("full_like", name, words)

    def create_hierarchy(
        self, nodes: Mapping[str, options.NodeLike], *, overwrite: bool = False
    ) -> Iterator[tuple[str, Array | GroupT]]:
        """Create several arrays and groups from their metadata, by path below this group.

        ``nodes`` is as for ``fastzarr.create_hierarchy``. All nodes are created before the method
        returns an iterator of paths and nodes.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> node = {"zarr_format": 3, "node_type": "group"}
        >>> [path for path, _ in root.create_hierarchy({"a": node, "a/b": node})]
        ['a', 'a/b']
        """
        from fastzarr.nodes.hierarchy import build_hierarchy

        self._check_writable("create a hierarchy")
        made = build_hierarchy(
            self.store,
            nodes,
            root=self.path,
            overwrite=overwrite,
            chunk_store=self.chunk_store,
        )
        start = len(self.path) + 1 if self.path else 0
        return iter([(path[start:], self._node(path, layout)) for path, layout in made])

    def _create(self, verb: str, name: str, words: Mapping[str, Any]) -> Array:
        path, known = self._new_path(name)
        for word in ("zarr_format", "zarr_version"):
            given = words.get(word)
            if given is not None and parse_format(given, word) is not self.layout.format:
                msg = f"must be that of the group, {self.zarr_format}, not {given!r}"
                raise MetadataValidationError(msg, "zarr_format")
        described = {**words, "zarr_format": self.layout.format}
        described.pop("zarr_version", None)
        spec, rest = ArraySpec.take(f"Group.{verb}", described, HANDLE_WORDS)
        handle = handle_of(rest)
        handle.setdefault("chunk_store", self.chunk_store)
        handle.setdefault("synchronizer", self.synchronizer)
        handle.setdefault("cache_attrs", self._cache_attrs)
        return build_array(
            self.store,
            path,
            spec,
            overwrite=bool(rest.get("overwrite")),
            write_data=rest.get("write_data") is not False,
            progress=rest.get("progress"),
            known=known,
            **handle,
        )

    def _like(self, data: Any, words: Mapping[str, Any]) -> dict[str, Any]:
        given = same_format(words.get("zarr_format"), words.get("zarr_version"))
        return like_words(data, words, given or self.layout.format)

    def _new_path(self, name: str) -> tuple[str, str | None]:
        """Return the path of a new node, and that of a group above which is known to be there."""
        self._check_writable(f"create {name!r}")
        path, own = self._below(name), self.path
        if path != own:
            return path, own
        # The document of this group may have been deleted.
        if self.get(name) is not None:
            msg = f"{name!r} is not a valid name for a new node in group {'/' + own!r}"
            raise KeyValidationError(msg)
        return path, None


def _check_dtype(found: Array, dtype: Any, *, exact: bool) -> None:
    from fastzarr.dtypes import from_numpy

    if found.layout.dtype.itemsize is None and dtype in (object, "O", "object"):
        return
    wanted = from_numpy(dtype).numpy
    same = _native(found.dtype) == _native(wanted)
    if same or (not exact and np.can_cast(found.dtype, wanted)):
        return
    msg = f"the array {found.name!r} already exists with data type {found.dtype}, not {wanted}"
    raise TypeError(msg)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype in native byte order; that of strings of variable length has none."""
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")
