"""Any mapping of strings to bytes as a store.

Rules of this file:

* The mapping belongs to the caller: it is modified, and never copied.
* Values are stored as bytes, copied from the caller's buffer. Other code may put any buffer into
  the mapping.
* Whether ``set`` is atomic depends on the mapping; in a ``dict`` it is.
* A mapping may have its values in the memory of the process. A copy that was pickled to another
  process is read-only there, because what is written to it would be lost.
"""

from __future__ import annotations

import os
from collections import ChainMap, UserDict
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from fastzarr.buffers import flat_bytes
from fastzarr.stores.addresses import object_of
from fastzarr.stores.base import Store
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.place import of_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from fastzarr.stores.place import Place


class MappingStore(Store):
    """A store in a mapping: a ``shelve``, an fsspec mapper, a store of zarr-python 2.

    A pickle contains the mapping. If that contains the values, as a dict does, and not only a way
    to reach them, the copy in another process is read-only, so that nobody writes there what this
    process will never see; ``with_read_only(False)`` permits changes of the copy.

    >>> values = {}
    >>> MappingStore(values).set("a/b", b"1")
    >>> values
    {'a/b': b'1'}
    """

    # The mapping belongs to the caller, who may not expect other threads than those that decode.
    concurrency = 1

    def __init__(
        self,
        mapping: MutableMapping[str, Any] | None = None,
        *,
        read_only: bool = False,
        mutablemapping: MutableMapping[str, Any] | None = None,
    ) -> None:
        """Initialise with the mapping; ``mutablemapping`` is zarr-python 2's name for it."""
        given = mapping if mutablemapping is None else mutablemapping
        if given is None or (mapping is not None and mutablemapping is not None):
            msg = "pass one mapping; mapping and mutablemapping are the same argument"
            raise TypeError(msg)
        if isinstance(given, str | bytes | os.PathLike):
            msg = f"expected a mapping of keys to bytes, got {given!r}; a folder is a LocalStore"
            raise TypeError(msg)
        super().__init__(read_only=read_only)
        self._mapping = given

    @property
    def mapping(self) -> MutableMapping[str, Any]:
        """The mapping that contains the values.

        >>> MappingStore({"a": b"1"}).mapping
        {'a': b'1'}
        """
        return self._mapping

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of a mapping of this process, by the URL that another store has.

        Raise BaseZarrError if no store has such a mapping any more.

        >>> store = MappingStore({"a": b"1"})
        >>> MappingStore.from_url(str(store))["a"]
        b'1'
        """
        mapping = object_of(url)
        fixed = read_only or not hasattr(type(mapping), "__setitem__")
        words: dict[str, Any] = {"read_only": fixed}
        return cls(mapping, **(words | dict(storage_options or {})))

    def _find_place(self) -> Place:
        return of_object(self._mapping)

    def _get(self, key: str) -> bytes | None:
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        if value is None:  # about to be deleted
            return None
        return value if type(value) is bytes else self._load(value, key)

    def _load(self, value: Any, key: str) -> bytes:
        """Return the bytes of a value as other code may have put it into the mapping."""
        return bytes(flat_bytes(value, key))

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._mapping[key] = bytes(value)

    def _delete(self, key: str) -> None:
        with suppress(KeyError):
            del self._mapping[key]

    get_valid = _get
    set_valid = _set

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        # The keys are copied, because other threads may write during the iteration.
        keys = tuple(self._mapping)
        return [key for key in keys if isinstance(key, str) and key.startswith(start)]

    def _exists(self, key: str) -> bool:
        return key in self._mapping

    def __eq__(self, other: object) -> bool:
        """Whether both mappings have equal values; ``read_only`` is ignored."""
        if not isinstance(other, MappingStore):
            return NotImplemented
        return self._mapping is other._mapping or self._mapping == other._mapping

    __hash__ = None

    def __copy__(self) -> Self:
        """Return a store of the same mapping, which has the same place."""
        other = type(self).__new__(type(self))
        Store.__setstate__(other, super().__getstate__())
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the place, and the process that has the values, if any."""
        state = super().__getstate__().items()
        kept = {name: value for name, value in state if name != "_place"}
        return kept | ({"_process": process(os.getpid())} if self._has_values() else {})

    def __setstate__(self, state: Any) -> None:
        """Restore the state; a copy of values of another process is read-only."""
        super().__setstate__(state)
        owner = vars(self).pop("_process", None)
        if owner is not None and owner != process(os.getpid()):
            vars(self).update(read_only=True, _elsewhere=True)

    def _has_values(self) -> bool:
        return _has_values(self._mapping)

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store of the same values that is read-only, or not."""
        other = super().with_read_only(read_only)
        vars(other).pop("_elsewhere", None)
        return other

    def refusal(self) -> str:
        """Return why this store is read-only, and what to do."""
        if "_elsewhere" not in vars(self):
            return super().refusal()
        return (
            f"{self} is a copy of a store in the memory of another process, which would not see "
            "the change; use a store that both can reach, such as a folder, or change the copy "
            "with store.with_read_only(False)"
        )

    def __str__(self) -> str:
        """Return a URL that identifies the mapping within this process."""
        return f"mapping://{id(self.place.held)}"


@cache
def process(pid: int) -> str:
    """Return a name of this process that no other one has, on this machine or elsewhere."""
    return f"{pid}-{uuid4().hex}"


def _has_values(mapping: Any) -> bool:
    """Whether a pickle of a mapping contains its values, as far as can be told without a request.

    Every hierarchy has documents, so their names are looked for among what is pickled.
    """
    if isinstance(mapping, (dict, UserDict, ChainMap)):
        return True
    for inside in getattr(mapping, "__dict__", {}).values():
        if isinstance(inside, (dict, UserDict)):
            value = next(iter(inside.values()), b"")
            if isinstance(value, (bytes, bytearray, memoryview)):
                return True
    import pickle

    class Search(pickle.Pickler):
        def persistent_id(self, value: Any) -> None:
            if type(value) is str and value.rpartition("/")[2] in METADATA_NAMES:
                raise _Found

    try:
        Search(_Nowhere()).dump(mapping)
    except _Found:
        return True
    except (pickle.PicklingError, TypeError, AttributeError):
        # Another pickler can do what this one cannot, but nothing is known of the result.
        return True
    return False


class _Found(Exception):  # noqa: N818  (it ends a search)
    pass


class _Nowhere:
    def write(self, data: Any) -> None:
        """Drop a part of a pickle."""
