"""The base classes of stores: mappings of keys to values, with a few more methods.

Rules of this file:

* A store of this package holds a store of fastzarr, ``inner``, which arrays read and write without
  a detour. ``inner_store`` returns it, unless a subclass defines a method of mappings itself: that
  one is asked for every value, as any mapping of the user is.
* A store of the user that has ``getitems`` is asked for the chunks of a call together, and given
  those that a call replaces together if it has ``setitems``.
"""

from __future__ import annotations

import warnings
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from fastzarr.api import storage as ours
from fastzarr.errors import KeyValidationError
from fastzarr.metadata.formats import parse_format
from fastzarr.stores import Store as OurStore
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.mapping import MappingStore
from fastzarr.v2.meta import Metadata2
from fastzarr.v2.util import normalize_storage_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

array_meta_key = ours.array_meta_key
group_meta_key = ours.group_meta_key
attrs_key = ours.attrs_key
#: The default key of consolidated metadata.
consolidated_key = str(parse_format(2).separate_consolidated)

# Names of the experimental format of zarr-python 2, which was given up.
meta_root = "meta/root/"
data_root = "data/root/"
DEFAULT_ZARR_VERSION = 2
V3_DEPRECATION_MESSAGE = "The {store} is deprecated and will be removed in a Zarr-Python version 3"

v3_api_available = False


def assert_zarr_v3_api_available() -> None:
    """Raise NotImplementedError: the experimental format of zarr-python 2 is not supported."""
    msg = (
        "zarr-python 2's experimental format 3 is not supported; "
        "fastzarr.open reads and writes the final one"
    )
    raise NotImplementedError(msg)


def ensure_store(store: Any) -> Any:
    """Return a store, or a store of a mapping; raise ValueError for anything else.

    >>> ensure_store({"a": b"1"})["a"]
    b'1'
    """
    if isinstance(store, BaseStore):
        version = getattr(store, "_store_version", 2)
        if version != 2:
            msg = f"cannot initialize a v2 store with a v{version} store"
            raise ValueError(msg)
        return store
    if isinstance(store, MutableMapping) or all(hasattr(store, name) for name in _MAPPING):
        return KVStore(store)
    msg = f"expected a store or a mapping, which becomes a KVStore, got {store!r}"
    raise ValueError(msg)


class BaseStore(MutableMapping[str, Any]):
    """The base class of stores: a mapping that can be closed."""

    _readable = True
    _writeable = True
    _erasable = True
    _listable = True
    _store_version = 2
    _metadata_class: Any = Metadata2

    def is_readable(self) -> bool:
        """Whether values can be read."""
        return self._readable

    def is_writeable(self) -> bool:
        """Whether values can be written."""
        return self._writeable

    def is_listable(self) -> bool:
        """Whether keys can be listed."""
        return self._listable

    def is_erasable(self) -> bool:
        """Whether keys can be deleted."""
        return self._erasable

    def __enter__(self) -> Self:
        """Return the store, which is closed at the end of the outermost block."""
        vars(self)["_open_count"] = vars(self).get("_open_count", 0) + 1
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the store at the end of the outermost block."""
        vars(self)["_open_count"] -= 1
        if not vars(self)["_open_count"]:
            self.close()

    def close(self) -> None:
        """Release all resources; by default, there are none."""

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move all keys below a path."""
        _rename_from_keys(self, src_path, dst_path)

    @staticmethod
    def _ensure_store(store: Any) -> Any:
        return ensure_store(store)

    def getitems(self, keys: Sequence[str], *, contexts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of those keys that exist; ``contexts`` has hints, by key."""
        del contexts
        return {key: self[key] for key in keys if key in self}


_MAPPING = (
    *("keys", "values", "get", "__setitem__", "__getitem__", "__delitem__", "__contains__"),
)


class Store(BaseStore):
    """The base class of stores of format 2."""

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path."""
        return _listdir_from_keys(self, normalize_storage_path(path))

    def rmdir(self, path: str = "") -> None:
        """Delete all keys below a path."""
        if not self.is_erasable():
            msg = f"{type(self)} cannot delete keys"
            raise NotImplementedError(msg)
        _rmdir_from_keys(self, normalize_storage_path(path))


StoreLike: TypeAlias = BaseStore | MutableMapping[str, Any]


class Dressed(Store):
    """A store that holds a store of fastzarr and passes everything on to it.

    ``own=True`` in the head of a class says that its methods agree with the store inside.
    """

    inner: OurStore
    #: The paths of arrays that were created through this object, which may therefore unpickle.
    created: frozenset[str] = frozenset()
    _dimension_separator: str | None = None
    strange: ClassVar[bool] = False

    @property
    def separator(self) -> str | None:
        """The separator of chunk keys in arrays whose document does not name one."""
        return self._dimension_separator

    def __init_subclass__(cls, *, own: bool = False, **kwargs: Any) -> None:
        """Note whether the class defines a method of mappings itself."""
        super().__init_subclass__(**kwargs)
        cls.strange = not own and (cls.strange or not _METHODS.isdisjoint(vars(cls)))
        if own and cls.__module__.startswith(__package__):
            # The module of zarr-python 2 that offers the class.
            cls.__module__ = f"{__package__.rpartition('.')[0]}.storage"

    def __getstate__(self) -> Any:
        """Return the state of a copy, which has created nothing."""
        return {name: value for name, value in vars(self).items() if name != "created"}

    def __getitem__(self, key: str) -> Any:
        """Return a value; raise KeyError if it is missing."""
        try:
            return self.inner[key]
        except (KeyValidationError, IsADirectoryError) as error:
            # Neither can be the key of a value.
            raise KeyError(key) from error

    def __setitem__(self, key: str, value: Any) -> None:
        """Store a value."""
        self.inner[key] = value

    def __delitem__(self, key: str) -> None:
        """Delete a key; raise KeyError if it is missing."""
        del self.inner[key]

    def __contains__(self, key: object) -> bool:
        """Whether a key has a value."""
        try:
            return key in self.inner
        except KeyValidationError:
            return False

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self.inner)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self.inner)

    def keys(self) -> Any:
        """Return a view of the keys."""
        return self.inner.keys()

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values."""
        return isinstance(other, Dressed) and self.inner == other.inner

    __hash__ = None  # type: ignore[assignment]  # a store can change

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path."""
        return self.inner.listdir(normalize_storage_path(path))

    def rmdir(self, path: str = "") -> None:
        """Delete all keys below a path."""
        path = normalize_storage_path(path)
        if path:
            self.inner.rmdir(path)
        else:
            self.inner.clear()

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move all keys at and below a path."""
        self.inner.rename(normalize_storage_path(src_path), normalize_storage_path(dst_path))

    def getitems(self, keys: Sequence[str], *, contexts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of those keys that exist; ``contexts`` is ignored."""
        return self.inner.getitems(keys, contexts=contexts)

    def clear(self) -> None:
        """Delete all keys."""
        self.inner.clear()

    def close(self) -> None:
        """Make all writes durable, and release all resources."""
        self.inner.close()

    def __exit__(self, *exc: object) -> None:
        """Close the store at the end of the outermost block."""
        super().__exit__(*exc)

    def shown_compressor(self, codec: Any, dtype: Any, chunks: Any) -> Any:
        """Return what an array shows as its compressor."""
        del dtype, chunks
        return codec

    def change(self, key: str, make: Callable[[Any], Buffer | None]) -> None:
        """Replace a value by ``make(old)``, so that no other change is lost."""
        self.inner.change(key, make)


_METHODS = frozenset(
    {
        *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__len__"),
        *("keys", "getitems", "setitems", "delitems", "listdir", "rmdir", "rename", "clear"),
    }
)


class KVStore(Dressed, own=True):
    """A store in a mapping.

    >>> store = KVStore({})
    >>> store["a"] = b"1"
    >>> store["a"]
    b'1'
    """

    def __init__(self, mutablemapping: Any) -> None:
        """Initialise with the mapping."""
        self._mutable_mapping = mutablemapping
        self.inner = inner_store(mutablemapping)

    def __getitem__(self, key: str) -> Any:
        """Return a value as it is in the mapping."""
        return self._mutable_mapping[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Store a value as it is."""
        self._mutable_mapping[key] = value

    def __delitem__(self, key: str) -> None:
        """Delete a key."""
        del self._mutable_mapping[key]

    def __contains__(self, key: object) -> bool:
        """Whether a key has a value."""
        return key in self._mutable_mapping

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or ``default`` if it is missing."""
        return self._mutable_mapping.get(key, default)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._mutable_mapping)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._mutable_mapping)

    def keys(self) -> Any:
        """Return the keys of the mapping."""
        return self._mutable_mapping.keys()

    def clear(self) -> None:
        """Delete all keys."""
        for key in list(self._mutable_mapping):
            del self._mutable_mapping[key]

    def __repr__(self) -> str:
        """Return the class and the mapping."""
        return f"<{type(self).__name__}: \n{self._mutable_mapping!r}\n at {hex(id(self))}>"

    def __eq__(self, other: object) -> bool:
        """Whether both have equal mappings."""
        if isinstance(other, KVStore):
            return bool(self._mutable_mapping == other._mutable_mapping)
        return NotImplemented

    __hash__ = None


class Strange(MappingStore):
    """A store in a mapping of the user, which may know more methods than mappings have."""

    def _list_dir(self, prefix: str) -> Iterable[str]:
        listdir = getattr(self.mapping, "listdir", None)
        return super()._list_dir(prefix) if listdir is None else listdir(prefix)

    def close(self) -> None:
        """Close the mapping, if it can be closed."""
        close = getattr(self.mapping, "close", None)
        if close is not None:
            close()


class _Getting(Strange):
    """A store whose mapping returns many values at once."""

    batch = 1024

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        whole = {index: each.key for index, each in enumerate(wanted) if each == Request(each.key)}
        if whole:
            mapping: Any = self.mapping
            found = mapping.getitems([*dict.fromkeys(whole.values())], contexts={})
            for index, key in whole.items():
                value = found.get(key)
                data = None if value is None else self._load(value, key)
                yield index, None if data is None else Value(data, None, len(data))
        parts = [index for index in range(len(wanted)) if index not in whole]
        for at, answer in super().fetch([wanted[index] for index in parts]):
            yield parts[at], answer


class _Setting(Strange):
    """A store whose mapping sets many values at once."""

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        given = list(values)
        kept = {key: bytes(value) for key, value in given if value is not None}
        if kept:
            self.mapping.setitems(kept)  # type: ignore[attr-defined]  # it has this method
        for key, value in given:
            if value is None:
                self._delete(key)


class _GettingAndSetting(_Getting, _Setting):
    """A store whose mapping does both."""


def inner_store(store: Any) -> OurStore:
    """Return the store of fastzarr that reads and writes the values of a store.

    >>> inner_store({"a": b"1"})["a"]
    b'1'
    """
    if isinstance(store, OurStore):
        return store
    if isinstance(store, Dressed) and not store.strange:
        return store.inner
    kind = type(store)
    gets = _knows(kind, "getitems", "__getitem__")
    sets = _knows(kind, "setitems", "__setitem__") and _knows(kind, "setitems", "__delitem__")
    if gets:
        return _GettingAndSetting(store) if sets else _Getting(store)
    return _Setting(store) if sets else Strange(store)


def _knows(kind: type, many: str, one: str) -> bool:
    """Whether a method of a user's store for many keys does what that for one key does.

    It is then of the same class or of one below. A mapping that is no store is asked key by key.
    """
    if not issubclass(kind, BaseStore):
        return False
    found = next((cls for cls in kind.__mro__ if {many, one} & vars(cls).keys()), BaseStore)
    return found is not BaseStore and many in vars(found)


def change(store: BaseStore, key: str, make: Callable[[Any], Buffer | None]) -> None:
    """Replace a value by ``make(old)``, so that no other change is lost."""
    if isinstance(store, Dressed) and not store.strange:
        store.change(key, make)
    else:
        inner_store(store).change(key, make)


class StorageTransformer:
    """A transformer of the experimental format of zarr-python 2, which is not supported."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Raise NotImplementedError."""
        assert_zarr_v3_api_available()


def _path_to_prefix(path: str | None) -> str:
    return f"{path}/" if path else ""


def _prefix_to_array_key(store: Any, prefix: str) -> str:
    del store
    return prefix + array_meta_key


def _prefix_to_group_key(store: Any, prefix: str) -> str:
    del store
    return prefix + group_meta_key


def _prefix_to_attrs_key(store: Any, prefix: str) -> str:
    del store
    return prefix + attrs_key


def _get_hierarchy_metadata(store: Any) -> Any:
    msg = f"stores of format 2 have no metadata of a hierarchy, and {store!r} is one"
    raise ValueError(msg)


def _get_metadata_suffix(store: Any) -> str:
    del store
    return ".json"


def _rename_metadata_v3(store: Any, src_path: str, dst_path: str) -> bool:
    del store, src_path, dst_path
    assert_zarr_v3_api_available()
    return False


def _rename_from_keys(store: Any, src_path: str, dst_path: str) -> None:
    source, target = _path_to_prefix(src_path), _path_to_prefix(dst_path)
    for key in [key for key in store if key.startswith(source)]:
        store[target + key.removeprefix(source)] = store.pop(key)


def _rmdir_from_keys(store: Any, path: str | None = None) -> None:
    prefix = _path_to_prefix(path)
    for key in [key for key in store if key.startswith(prefix)]:
        del store[key]


def _listdir_from_keys(store: Any, path: str | None = None) -> list[str]:
    prefix = _path_to_prefix(path)
    below = (key.removeprefix(prefix) for key in list(store.keys()) if key.startswith(prefix))
    return sorted({name.partition("/")[0] for name in below if name})


def warn_of_missing_listdir(store: Any) -> None:
    """Warn of a store without a method that is needed to list it."""
    msg = f"store {store} has no `listdir` method; derive its class from `Store`"
    warnings.warn(msg, stacklevel=3)
