"""The methods of ``Group`` that create arrays and groups.

Rules of this file:

* New nodes have the format of the group, and missing parent groups are created. The keywords are
  those of the functions of the same names in ``api/create.py``.
* A method named ``require_...`` returns the existing node if it matches, and creates a missing one.
* All names of zarr-python 2 and 3 exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastzarr.creating.chunks import parse_shape
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.creating.like import filled, like_words
from fastzarr.creating.words import HANDLE_WORDS, Request, handle_of
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

    from fastzarr.nodes.group import Group


class Creation:
    """The methods of a group that create arrays and groups below it."""

    def create_group(
        self,
        name: str,
        overwrite: bool = False,
        *,
        attributes: Mapping[str, Any] | None = None,
    ) -> Group:
        """Create a group; ``overwrite=True`` replaces an existing node.

        Raise ``ContainsGroupError`` or ``ContainsArrayError`` if there is already a node of this
        name.
        """
        group = cast("Group", self)
        path = self._new_path(name)
        layout = build_group(
            group.store,
            path,
            format=group.layout.format,
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
        """Return the group of this name; create it if it is missing.

        Raise ``ContainsArrayError`` if there is an array of this name.
        """
        group = cast("Group", self)
        found: Array | Group | None = None if overwrite else group.get(name)
        if found is None:
            try:
                return self.create_group(name, overwrite)
            except (ContainsArrayError, ContainsGroupError):
                # Another writer may have created the group first.
                found = None if overwrite else group.get(name)
                if found is None:
                    raise
        if isinstance(found, Array):
            raise taken(group.store, found.path, found.layout, "a group is asked for")
        return found

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Return several groups; create those that are missing."""
        return tuple(self.require_group(name) for name in names)

    def create_array(self, name: str, **kwargs: Any) -> Array:
        """Create an array; the keywords are those of ``fastzarr.create_array``.

        Raise ``ContainsArrayError`` or ``ContainsGroupError`` if there is already a node of this
        name and ``overwrite=True`` is not passed.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root.create_array("x", shape=(4, 4), chunks=(2, 2), dtype="f4").nchunks
        4
        """
        return self._create("create_array", name, kwargs)

    def create(self, name: str, **kwargs: Any) -> Array:
        """Create an array; same as ``create_array`` (a name of zarr-python 2 and 3)."""
        return self._create("create", name, kwargs)

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **kwargs: Any
    ) -> Array:
        """Create an array; same as ``create_array``, with the positional arguments of h5py."""
        words = {"shape": shape, "dtype": dtype, "data": data}
        return self._create("create_dataset", name, kwargs | words)

    def array(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array with the given data."""
        return self._create("array", name, kwargs | {"data": data})

    def require_array(
        self, name: str, *, shape: Any, dtype: Any = None, exact: bool = False, **kwargs: Any
    ) -> Array:
        """Return the array of this name if it matches; create it if it is missing.

        An array matches if it has this shape, and its dtype can be cast to ``dtype`` without loss;
        with ``exact``, its dtype must be ``dtype``. Raise TypeError if it does not match, and
        ``ContainsGroupError`` if there is a group of this name.
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
            msg = f"the node {found.name!r} in {group.store} is a group, not an array"
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
        shape: Any,
        dtype: Any = None,
        exact: bool = False,
        **kwargs: Any,
    ) -> Array:
        """Return or create an array; same as ``require_array`` (h5py's name)."""
        return self.require_array(name, shape=shape, dtype=dtype, exact=exact, **kwargs)

    def empty(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array without writing any chunk; it reads as the default fill value."""
        return self._create("empty", name, kwargs | {"shape": shape})

    def zeros(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array of zeros."""
        return self._create("zeros", name, filled(kwargs | {"shape": shape}, 0))

    def ones(self, name: str, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array of ones."""
        return self._create("ones", name, filled(kwargs | {"shape": shape}, 1))

    def full(self, name: str, fill_value: Any, shape: Any = None, **kwargs: Any) -> Array:
        """Create an array with every element equal to ``fill_value``."""
        return self._create("full", name, filled(kwargs | {"shape": shape}, fill_value))

    def empty_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array with the shape, dtype, chunks and codecs of ``data``."""
        return self._create("empty_like", name, self._like(data, kwargs))

    def zeros_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array of zeros with the shape, dtype, chunks and codecs of ``data``."""
        return self._create("zeros_like", name, filled(self._like(data, kwargs), 0))

    def ones_like(self, name: str, data: Any, **kwargs: Any) -> Array:
        """Create an array of ones with the shape, dtype, chunks and codecs of ``data``."""
        return self._create("ones_like", name, filled(self._like(data, kwargs), 1))

    def full_like(self, name: str, data: Any, fill_value: Any = NOT_GIVEN, **kwargs: Any) -> Array:
        """Create an array of one value with the shape, dtype, chunks and codecs of ``data``.

        ``fill_value`` defaults to the fill value of ``data``.
        """
        words = self._like(data, kwargs)
        if fill_value is not NOT_GIVEN:
            words = filled(words, fill_value)
        return self._create("full_like", name, words)

    def create_hierarchy(
        self, nodes: Mapping[str, Any], *, overwrite: bool = False
    ) -> Iterator[tuple[str, Array | Group]]:
        """Create several arrays and groups from their metadata, by path below this group.

        ``nodes`` is as for ``fastzarr.create_hierarchy``. All nodes are created before the method
        returns an iterator of paths and nodes.
        """
        from fastzarr.nodes.hierarchy import build_hierarchy

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
            given = words.get(word)
            if given is not None and parse_format(given, word) is not group.layout.format:
                msg = f"must be that of the group, {group.zarr_format}, not {given!r}"
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
        given = same_format(words.get("zarr_format"), words.get("zarr_version"))
        return like_words(data, words, given or group.layout.format)

    def _new_path(self, name: str) -> str:
        group = cast("Group", self)
        group._check_writable(f"create {name!r}")  # noqa: SLF001  (one class in two halves)
        path = group._below(name)  # noqa: SLF001
        if path == group.path:
            msg = f"{name!r} is not a valid name for a new node in group {group.name!r}"
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
    msg = f"the array {found.name!r} already exists with data type {found.dtype}, not {wanted}"
    raise TypeError(msg)
