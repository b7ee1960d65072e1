"""Groups."""

from __future__ import annotations

from collections.abc import MutableMapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np

import fastzarr
from fastzarr.nodes.building import remove
from fastzarr.v2 import creation
from fastzarr.v2._node import Node, type_name
from fastzarr.v2._storage.classes import MemoryStore
from fastzarr.v2._storage.store import (
    _path_to_prefix,
    attrs_key,
    group_meta_key,
    inner_store,
)
from fastzarr.v2.attrs import Attributes
from fastzarr.v2.core import Array
from fastzarr.v2.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    ReadOnlyError,
)
from fastzarr.v2.meta import Metadata2
from fastzarr.v2.storage import (
    contains_array,
    contains_group,
    init_group,
    listdir,
    normalize_store_arg,
    rename,
    rmdir,
)
from fastzarr.v2.util import (
    TreeViewer,
    is_valid_python_name,
    nolock,
    normalize_shape,
    normalize_storage_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# A notebook shows the text of a group: it must not ask for a member of such a name.
_REPRS = (
    *("html", "latex", "mimebundle", "svg", "png", "jpeg", "markdown", "javascript", "pdf", "json"),
)


class Group(Node, MutableMapping[str, Any]):
    """A group of arrays and groups, by name.

    >>> import fastzarr.v2 as zarr
    >>> root = zarr.group()
    >>> root["a/b"] = [1, 2, 3]
    >>> list(root), root["a/b"]
    (['a'], <fastzarr.v2.core.Array '/a/b' (3,) int64>)
    """

    def __init__(  # noqa: PLR0913  (signature of zarr-python 2)
        self,
        store: Any,
        path: Any = None,
        read_only: bool = False,
        chunk_store: Any = None,
        cache_attrs: bool = True,
        synchronizer: Any = None,
        zarr_version: int | None = None,
        *,
        meta_array: Any = None,
        allow_pickle: bool = False,
    ) -> None:
        """Open the group at a path; raise GroupNotFoundError if there is none.

        With ``allow_pickle``, arrays of the group may unpickle their elements.
        """
        self._allow_pickle = allow_pickle
        self._store = _normalized(store, zarr_version=zarr_version)
        self._chunk_store = None if chunk_store is None else _normalized(chunk_store)
        self._path = normalize_storage_path(path)
        self._key_prefix = _path_to_prefix(self._path)
        self._read_only, self._synchronizer, self._version = read_only, synchronizer, 2
        self._meta_array = np.empty_like(() if meta_array is None else meta_array, shape=())
        if contains_array(self._store, self._path):
            msg = f"path {self._path!r} contains an array"
            raise ContainsArrayError(msg)
        try:
            document = self._store[self._key_prefix + group_meta_key]
        except KeyError as error:
            msg = f"group not found at path {self._path!r}"
            raise GroupNotFoundError(msg) from error
        self._meta = Metadata2.decode_group_metadata(document)
        self._attrs = Attributes(
            self._store,
            key=self._key_prefix + attrs_key,
            read_only=read_only,
            cache=cache_attrs,
            synchronizer=synchronizer,
        )

    @property
    def name(self) -> str:
        """The path with a leading slash."""
        return "/" + self._path

    @property
    def basename(self) -> str:
        """The last part of the name."""
        return self._path.rpartition("/")[2]

    @property
    def read_only(self) -> bool:
        """Whether the group cannot be changed through this handle."""
        return self._read_only

    def __eq__(self, other: object) -> bool:
        """Whether both are handles of the same group."""
        return (
            isinstance(other, Group)
            and self._store == other.store
            and self._read_only == other.read_only
            and self._path == other.path
        )

    __hash__ = None  # type: ignore[assignment]  # as in zarr-python 2

    def _names(self, above: str | None = None) -> Iterator[tuple[str, str]]:
        path = self._path if above is None else above
        for name in sorted(listdir(self._store, path)):
            yield name, _path_to_prefix(path) + name

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the members."""
        for name, path in self._names():
            if contains_array(self._store, path) or contains_group(self._store, path):
                yield name

    def __len__(self) -> int:
        """Return the number of members."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Return the class and the name."""
        kind = type(self)
        end = " read-only" if self._read_only else ""
        return f"<{kind.__module__}.{kind.__name__} {self.name!r}{end}>"

    def __enter__(self) -> Self:
        """Return the group."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the store."""
        self.store.close()

    def info_items(self) -> list[tuple[str, Any]]:
        """Return the description as pairs of name and value."""
        arrays, groups = sorted(self.array_keys()), sorted(self.group_keys())
        items: list[tuple[str, Any]] = [
            ("Name", self.name),
            ("Type", type_name(self)),
            ("Read-only", str(self.read_only)),
        ]
        items += self._kinds()
        items += [
            ("No. members", len(self)),
            ("No. arrays", len(arrays)),
            ("No. groups", len(groups)),
        ]
        if arrays:
            items.append(("Arrays", ", ".join(arrays)))
        if groups:
            items.append(("Groups", ", ".join(groups)))
        return items

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "store": self._store,
            "path": self._path,
            "read_only": self._read_only,
            "chunk_store": self._chunk_store,
            "cache_attrs": self._attrs.cache,
            "synchronizer": self._synchronizer,
            "zarr_version": self._version,
            "meta_array": self._meta_array,
            "allow_pickle": self._allow_pickle,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the group again."""
        self.__init__(**state)  # type: ignore[misc]  # the state is its arguments

    def _item_path(self, item: Any) -> str:
        """Return the path of a member; a leading slash means the root."""
        path = normalize_storage_path(item)
        absolute = isinstance(item, str) and item.startswith("/")
        return path if absolute else (self._key_prefix + path).rstrip("/")

    def __contains__(self, item: object) -> bool:
        """Whether there is a member of this name or path."""
        path = self._item_path(item)
        return contains_array(self._store, path) or contains_group(self._store, path)

    def _handle(self) -> dict[str, Any]:
        return {
            "read_only": self._read_only,
            "chunk_store": self._chunk_store,
            "synchronizer": self._synchronizer,
            "cache_attrs": self._attrs.cache,
            "meta_array": self._meta_array,
            "allow_pickle": self._allow_pickle,
        }

    def _group(self, path: str) -> Group:
        return type(self)(self._store, path, **self._handle())

    def __getitem__(self, item: Any) -> Any:
        """Return the array or group of a name or path; raise KeyError if there is none."""
        path = self._item_path(item)
        try:
            return Array(self._store, path, **self._handle())
        except ArrayNotFoundError:
            pass
        try:
            return self._group(path)
        except GroupNotFoundError:
            raise KeyError(item) from None

    def __setitem__(self, item: Any, value: Any) -> None:
        """Store an array; an existing member is replaced."""
        self.array(item, value, overwrite=True)

    def __delitem__(self, item: Any) -> None:
        """Delete a member; raise KeyError if there is none."""
        with self._changing():
            path = self._item_path(item)
            if item not in self:
                raise KeyError(item)
            if not path or not self._store.is_erasable():
                rmdir(self._store, path)
                return
            # Chunks that are elsewhere would come back in a new array.
            chunks = None if self._chunk_store is None else inner_store(self._chunk_store)
            remove(inner_store(self._store), path, chunks)

    def __getattr__(self, item: str) -> Any:
        """Return a member of this name."""
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self[item]
        except KeyError as error:
            raise AttributeError(item) from error

    def __dir__(self) -> list[str]:
        """Return the names of attributes and members."""
        names = {*super().__dir__(), *self}
        return sorted(name for name in names if is_valid_python_name(name))

    def _ipython_key_completions_(self) -> list[str]:
        return sorted(self)

    def group_keys(self) -> Iterator[str]:
        """Iterate over the names of the groups."""
        for name, path in self._names():
            if contains_group(self._store, path):
                yield name

    def groups(self) -> Iterator[tuple[str, Group]]:
        """Iterate over the groups, with their names."""
        for name in self.group_keys():
            yield name, self._group(self._key_prefix + name)

    def array_keys(self, recurse: bool = False) -> Iterator[str]:
        """Iterate over the names of the arrays; with ``recurse``, of those in groups below."""
        return (name for name, _ in self._arrays(self._path, recurse=recurse))

    def arrays(self, recurse: bool = False) -> Iterator[tuple[str, Array]]:
        """Iterate over the arrays, with their names."""
        found = self._arrays(self._path, recurse=recurse)
        return ((name, self["/" + path]) for name, path in found)

    def _arrays(self, above: str, *, recurse: bool) -> Iterator[tuple[str, str]]:
        for name, path in self._names(above):
            if contains_array(self._store, path):
                yield name, path
            elif recurse and contains_group(self._store, path):
                yield from self._arrays(path, recurse=recurse)

    def visitvalues(self, func: Callable[[Any], Any]) -> Any:
        """Call a function with each node below; stop at the first result that is not None."""

        def visit(node: Any) -> Iterator[Any]:
            yield node
            for name in sorted(node) if isinstance(node, Group) else ():
                yield from visit(node[name])

        results = map(func, islice(visit(self), 1, None))
        return next((result for result in results if result is not None), None)

    def _below(self, node: Any) -> str:
        return str(node.name)[len(self.name) :].lstrip("/")

    def visit(self, func: Callable[[str], Any]) -> Any:
        """Call a function with each path below; stop at the first result that is not None."""
        return self.visitvalues(lambda node: func(self._below(node)))

    def visitkeys(self, func: Callable[[str], Any]) -> Any:
        """Call a function with each path below, as ``visit`` does."""
        return self.visit(func)

    def visititems(self, func: Callable[[str, Any], Any]) -> Any:
        """Call a function with each path and node below; stop at the first result not None."""
        return self.visitvalues(lambda node: func(self._below(node), node))

    def tree(self, expand: Any = False, level: int | None = None) -> TreeViewer:
        """Return a drawing of the hierarchy."""
        return TreeViewer(self, expand=expand, level=level)

    def _changing(self) -> Any:
        if self._read_only:
            msg = f"group {self.name!r} is read-only; open it with mode='r+'"
            raise ReadOnlyError(msg)
        return nolock if self._synchronizer is None else self._synchronizer[group_meta_key]

    def create_group(self, name: Any, overwrite: bool = False) -> Group:
        """Create a group."""
        with self._changing():
            path = self._item_path(name)
            init_group(self._store, overwrite, path, self._chunk_store)
            return self._group(path)

    def create_groups(self, *names: Any, **kwargs: Any) -> tuple[Group, ...]:
        """Create several groups."""
        return tuple(self.create_group(name, **kwargs) for name in names)

    def require_group(self, name: Any, overwrite: bool = False) -> Group:
        """Return a group, which is created if it is missing."""
        with self._changing():
            path = self._item_path(name)
            if not contains_group(self._store, path):
                init_group(self._store, overwrite, path, self._chunk_store)
            return self._group(path)

    def require_groups(self, *names: Any) -> tuple[Group, ...]:
        """Return several groups, which are created if they are missing."""
        return tuple(self.require_group(name) for name in names)

    def _new(self, make: Callable[..., Array], name: Any, *args: Any, **kwargs: Any) -> Array:
        """Create an array below this group by a function of the module ``creation``."""
        with self._changing():
            words = {"synchronizer": self._synchronizer, "cache_attrs": self._attrs.cache}
            place = {"store": self._store, "chunk_store": self._chunk_store}
            return make(*args, **words | kwargs | place | {"path": self._item_path(name)})

    def create_dataset(self, name: Any, **kwargs: Any) -> Array:
        """Create an array, with ``data=`` or a ``shape=``."""
        data = kwargs.pop("data", None)
        if data is None:
            return self._new(creation.create, name, **kwargs)
        return self._new(creation.array, name, data, **kwargs)

    def require_dataset(
        self, name: Any, shape: Any, dtype: Any = None, exact: bool = False, **kwargs: Any
    ) -> Array:
        """Return an array, which is created if it is missing.

        Raise TypeError if the existing one has another shape, or a dtype that does not fit.
        """
        path = self._item_path(name)
        if not contains_array(self._store, path):
            return self.create_dataset(name, shape=shape, dtype=dtype, **kwargs)
        self._changing()
        given = ("synchronizer", "cache_metadata", "cache_attrs")
        words = {word: kwargs[word] for word in given if word in kwargs}
        found = Array(self._store, path, **self._handle() | words)
        if normalize_shape(shape) != found.shape:
            msg = f"shape do not match existing array; expected {found.shape}, got {shape}"
            raise TypeError(msg)
        dtype = np.dtype(dtype)
        if exact and dtype != found.dtype:
            msg = f"dtypes do not match exactly; expected {found.dtype}, got {dtype}"
            raise TypeError(msg)
        if not exact and not np.can_cast(dtype, found.dtype):
            msg = f"dtypes ({dtype}, {found.dtype}) cannot be safely cast"
            raise TypeError(msg)
        return found

    def create(self, name: Any, **kwargs: Any) -> Array:
        """Create an array."""
        return self._new(creation.create, name, **kwargs)

    def empty(self, name: Any, **kwargs: Any) -> Array:
        """Create an array whose elements are undefined until they are written."""
        return self._new(creation.empty, name, **kwargs)

    def zeros(self, name: Any, **kwargs: Any) -> Array:
        """Create an array of zeros."""
        return self._new(creation.zeros, name, **kwargs)

    def ones(self, name: Any, **kwargs: Any) -> Array:
        """Create an array of ones."""
        return self._new(creation.ones, name, **kwargs)

    def full(self, name: Any, fill_value: Any, **kwargs: Any) -> Array:
        """Create an array of one value."""
        return self._new(creation.full, name, fill_value=fill_value, **kwargs)

    def array(self, name: Any, data: Any, **kwargs: Any) -> Array:
        """Create an array with the given data."""
        return self._new(creation.array, name, data, **kwargs)

    def empty_like(self, name: Any, data: Any, **kwargs: Any) -> Array:
        """Create an array like another, with undefined elements."""
        return self._new(creation.empty_like, name, data, **kwargs)

    def zeros_like(self, name: Any, data: Any, **kwargs: Any) -> Array:
        """Create an array of zeros like another."""
        return self._new(creation.zeros_like, name, data, **kwargs)

    def ones_like(self, name: Any, data: Any, **kwargs: Any) -> Array:
        """Create an array of ones like another."""
        return self._new(creation.ones_like, name, data, **kwargs)

    def full_like(self, name: Any, data: Any, **kwargs: Any) -> Array:
        """Create an array of one value like another."""
        return self._new(creation.full_like, name, data, **kwargs)

    def move(self, source: Any, dest: Any) -> None:
        """Move a member to another name or path."""
        old, new = self._item_path(source), self._item_path(dest)
        if "/" + old not in self:
            msg = f'The source, "{old}", does not exist.'
            raise ValueError(msg)
        if "/" + new in self:
            msg = f'The dest, "{new}", already exists.'
            raise ValueError(msg)
        if "/" in new:
            self.require_group("/" + new.rpartition("/")[0])
        with self._changing():
            if contains_group(self._store):
                chunks = None if self._chunk_store is None else inner_store(self._chunk_store)
                fastzarr.Group(inner_store(self._store), chunk_store=chunks).move(old, new)
                return
            rename(self._store, old, new)
            if self._chunk_store is not None:
                rename(self._chunk_store, old, new)


def _no_repr(self: Group, **_: Any) -> None:
    """Return None: the text is shown."""


for _name in _REPRS:
    setattr(Group, f"_repr_{_name}_", _no_repr)


def _normalized(store: Any, storage_options: Any = None, mode: str = "r", **kwargs: Any) -> Any:
    if store is None:
        return MemoryStore()
    return normalize_store_arg(store, storage_options, mode, **kwargs)


def group(
    store: Any = None,
    overwrite: bool = False,
    chunk_store: Any = None,
    cache_attrs: bool = True,
    synchronizer: Any = None,
    path: Any = None,
    *,
    zarr_version: int | None = None,
    meta_array: Any = None,
) -> Group:
    """Open the group at a path, or create it if it is missing.

    >>> group().create_group("a/b").name
    '/a/b'
    """
    store = _normalized(store, mode="w", zarr_version=zarr_version)
    path = normalize_storage_path(path)
    if overwrite or not contains_group(store, path):
        init_group(store, overwrite, path, chunk_store)
    return Group(
        store,
        path,
        chunk_store=chunk_store,
        cache_attrs=cache_attrs,
        synchronizer=synchronizer,
        meta_array=meta_array,
    )


def open_group(  # noqa: PLR0913  (signature of zarr-python 2)
    store: Any = None,
    mode: str = "a",
    cache_attrs: bool = True,
    synchronizer: Any = None,
    path: Any = None,
    chunk_store: Any = None,
    storage_options: Any = None,
    *,
    zarr_version: int | None = None,
    meta_array: Any = None,
    allow_pickle: bool = False,
) -> Group:
    """Open the group at a path, or create it if the mode says so.

    ``allow_pickle`` is as in ``Group``.

    >>> open_group({}, "w").name
    '/'
    """
    store = _normalized(store, storage_options, mode, zarr_version=zarr_version)
    if chunk_store is not None:
        chunk_store = _normalized(chunk_store, storage_options, mode)
    path = normalize_storage_path(path)
    is_group = contains_group(store, path)
    if mode != "w" and contains_array(store, path) and not (is_group and mode in ("r", "r+", "a")):
        msg = f"path {path!r} contains an array"
        raise ContainsArrayError(msg)
    if mode in ("r", "r+") and not is_group:
        msg = f"group not found at path {path!r}"
        raise GroupNotFoundError(msg)
    if mode in ("w-", "x") and is_group:
        msg = f"path {path!r} contains a group"
        raise ContainsGroupError(msg)
    if mode == "w" or not is_group:
        init_group(store, mode == "w", path, chunk_store)
    return Group(
        store,
        path,
        mode == "r",
        chunk_store,
        cache_attrs,
        synchronizer,
        meta_array=meta_array,
        allow_pickle=allow_pickle,
    )
