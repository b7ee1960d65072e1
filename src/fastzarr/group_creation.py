"""What a group can create: the half of ``Group`` that makes new nodes.

Rules of this file:

* New nodes have the group's format and go where their name says, below the group; groups on the way
  come into being. Keywords are those of the functions of the same names in ``creation.py``.
* ``require_`` gives what is there if it fits, and creates what is not there.
* Names are served as zarr-python 2 and 3 have them; ``zeros(name, shape)`` and
  ``zeros(name=..., shape=...)`` are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastzarr.arguments import HANDLE_WORDS, Request, filled, handle_of, like_words
from fastzarr.array import Array
from fastzarr.build import build_array, build_group, taken
from fastzarr.chunking import NOT_GIVEN, parse_shape
from fastzarr.errors import (
    ContainsArrayError,
    ContainsGroupError,
    KeyValidationError,
    MetadataValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastzarr.group import Group


class Creation:
    """Create arrays and groups below a group."""

    def create_group(
        self,
        name: str,
        overwrite: bool = False,
        *,
        attributes: Mapping[str, Any] | None = None,
    ) -> Group:
        """Create a group; ``overwrite=True`` replaces what is there.

        Raises ``ContainsGroupError`` or ``ContainsArrayError`` if something is there.
        """
        group = cast("Group", self)
        path = self._new_path(name)
        layout = build_group(
            group.store,
            path,
            zarr_format=group.zarr_format,
            attributes=attributes,
            overwrite=overwrite,
            chunk_store=group._chunk_store,  # noqa: SLF001  (one class in two halves)
            known=group.path,
        )
        return cast("Group", group._node(path, layout))  # noqa: SLF001

    def create_groups(self, *names: str, overwrite: bool = False) -> tuple[Group, ...]:
        """Create several groups."""
        return tuple(self.create_group(name, overwrite) for name in names)

    def require_group(self, name: str, overwrite: bool = False) -> Group:
        """Give the group of this name, and create it if there is none.

        Raises ``ContainsArrayError`` if an array is there.
        """
        group = cast("Group", self)
        found: Array | Group | None = None if overwrite else group.get(name)
        if found is None:
            try:
                return self.create_group(name, overwrite)
            except (ContainsArrayError, ContainsGroupError):
                # Another writer may have been first.
                found = None if overwrite else group.get(name)
                if found is None:
                    raise
        if isinstance(found, Array):
            raise taken(group.store, found.path, found.layout, "a group is asked for")
        return found

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Give several groups, and create those that are not there."""
        return tuple(self.require_group(name) for name in names)

    def create_array(self, name: str, **kwargs: Any) -> Array:
        """Create an array; the keywords are those of ``fastzarr.create_array``.

        Raises ``ContainsArrayError`` or ``ContainsGroupError`` if something is there and
        ``overwrite=True`` is not given.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create_array("x", shape=(4, 4), chunks=(2, 2), dtype="f4").nchunks
        4
        """
        return self._create("create_array", name, kwargs)

    def create(self, name: str, **kwargs: Any) -> Array:
        """Create an array, under the other name that both zarr-pythons have for it."""
        return self._create("create", name, kwargs)

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **kwargs: Any
    ) -> Array:
        """Create an array, under the name of zarr-python 2 and h5py, positional as in h5py."""
        words = {"shape": shape, "dtype": dtype, "data": data}
        return self._create("create_dataset", name, kwargs | words)

    def array(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array of this data."""
        return self._create("array", name, kwargs | {"data": data})

    def require_array(
        self, name: str, *, shape: Any, dtype: Any = None, exact: bool = False, **kwargs: Any
    ) -> Array:
        """Give the array of this name if it fits, and create it if there is none.

        It fits if its shape is this and its type can be cast to ``dtype`` without loss, or is
        ``dtype`` where ``exact`` is true.

        Raises ``TypeError`` if it does not fit, ``ContainsGroupError`` if a group is there.
        """
        group = cast("Group", self)
        found = group.get(name)
        if found is None:
            words = {"shape": shape, "dtype": dtype}
            try:
                return self._create("require_array", name, words | kwargs)
            except (ContainsArrayError, ContainsGroupError):
                found = None if kwargs.get("overwrite") else group.get(name)
                if found is None:
                    raise
        if not isinstance(found, Array):
            msg = f"a group stands at {found.name!r} in {group.store}, not an array"
            raise ContainsGroupError(msg)
        wanted = parse_shape(shape)
        if found.shape != wanted:
            msg = f"the array {found.name!r} is there with shape {found.shape}, not {wanted}"
            raise TypeError(msg)
        if dtype is not None:
            _check_dtype(found, dtype, exact=exact)
        return found

    def require_dataset(
        self,
        name: str,
        shape: Any,
        dtype: Any = None,
        exact: bool = False,
        **kwargs: Any,
    ) -> Array:
        """Do what ``require_array`` does, under the name of zarr-python 2 and h5py."""
        return self.require_array(name, shape=shape, dtype=dtype, exact=exact, **kwargs)

    def empty(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array whose elements are the default fill value until they are written."""
        return self._create("empty", name, kwargs | {"shape": shape})

    def zeros(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array of zeros."""
        return self._create("zeros", name, filled(kwargs | {"shape": shape}, 0))

    def ones(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array of ones."""
        return self._create("ones", name, filled(kwargs | {"shape": shape}, 1))

    def full(self, name: str, fill_value: Any, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array of one value."""
        return self._create("full", name, filled(kwargs | {"shape": shape}, fill_value))

    def empty_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array with shape, type, chunks and codecs of another."""
        return self._create("empty_like", name, self._like(data, kwargs))

    def zeros_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array of zeros with shape, type, chunks and codecs of another."""
        return self._create("zeros_like", name, filled(self._like(data, kwargs), 0))

    def ones_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array of ones with shape, type, chunks and codecs of another."""
        return self._create("ones_like", name, filled(self._like(data, kwargs), 1))

    def full_like(self, name: str, data: Any, fill_value: Any = NOT_GIVEN, **kwargs: Any) -> Array:
        """Create an array of one value with shape, type, chunks and codecs of another.

        The value is the other array's fill value where none is given.
        """
        words = self._like(data, kwargs)
        if fill_value is not NOT_GIVEN:
            words = filled(words, fill_value)
        return self._create("full_like", name, words)

    def create_hierarchy(
        self, nodes: Mapping[str, Any], *, overwrite: bool = False
    ) -> Iterator[tuple[str, Array | Group]]:
        """Create several arrays and groups from their metadata, by path below this group.

        What a node may be is said at ``fastzarr.create_hierarchy``. All are created before this
        returns; the iterator goes through paths and nodes.
        """
        from fastzarr.hierarchy import build_hierarchy

        group = cast("Group", self)
        group._check_writable("create a hierarchy")  # noqa: SLF001  (one class in two halves)
        made = build_hierarchy(
            group.store,
            nodes,
            root=group.path,
            overwrite=overwrite,
            chunk_store=group.chunk_store,
        )
        start = len(group.path) + 1 if group.path else 0
        return iter([(path[start:], group._node(path, layout)) for path, layout in made])  # noqa: SLF001

    def _create(self, verb: str, name: str, words: dict[str, Any]) -> Array:
        group = cast("Group", self)
        path = self._new_path(name)
        for word in ("zarr_format", "zarr_version"):
            if words.get(word) not in (None, group.zarr_format):
                msg = f"must be that of the group, {group.zarr_format}, not {words[word]!r}"
                raise MetadataValidationError(msg, "zarr_format")
        words = words | {"zarr_format": group.zarr_format}
        request, rest = Request.take(f"Group.{verb}", words, HANDLE_WORDS)
        handle = handle_of(rest)
        handle.setdefault("chunk_store", group._chunk_store)  # noqa: SLF001
        handle.setdefault("synchronizer", group.synchronizer)
        handle.setdefault("cache_attrs", group._cache_attrs)  # noqa: SLF001
        return build_array(
            group.store,
            path,
            request,
            overwrite=bool(rest.get("overwrite")),
            write_data=rest.get("write_data") is not False,
            known=group.path,
            **handle,
        )

    def _like(self, data: Any, words: dict[str, Any]) -> dict[str, Any]:
        group = cast("Group", self)
        return like_words(data, words, words.get("zarr_format") or group.zarr_format)

    def _new_path(self, name: str) -> str:
        group = cast("Group", self)
        group._check_writable(f"create {name!r}")  # noqa: SLF001  (one class in two halves)
        path = group._below(name)  # noqa: SLF001
        if path == group.path:
            msg = f"{name!r} is no name for a new node below {group.name!r}"
            raise KeyValidationError(msg)
        return path


def _check_dtype(found: Array, dtype: Any, *, exact: bool) -> None:
    from fastzarr.dtypes import from_numpy

    if found.layout.dtype.itemsize is None and dtype in (object, "O", "object"):
        return
    wanted = from_numpy(dtype).numpy
    same = found.dtype.newbyteorder("=") == wanted.newbyteorder("=")
    if same or (not exact and np.can_cast(found.dtype, wanted)):
        return
    msg = f"the array {found.name!r} is there with data type {found.dtype}, not {wanted}"
    raise TypeError(msg)
