"""State machines of hypothesis that hold a store against one in memory, or against a dict.

Rules of this file:

* Every rule makes the same change in both, and the invariants compare what they have then.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
from hypothesis import assume, note
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastzarr.compat.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from fastzarr.compat.api import synchronous as zarr
from fastzarr.compat.core.buffer import Buffer, cpu, default_buffer_prototype
from fastzarr.compat.core.sync import SyncMixin
from fastzarr.compat.storage import LocalStore, MemoryStore
from fastzarr.compat.testing.strategies import (
    arrays,
    basic_indices,
    chunk_paths,
    key_ranges,
    node_names,
    orthogonal_indices,
)
from fastzarr.compat.testing.strategies import keys as zarr_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import DataObject

    from fastzarr.compat.abc.store import Store
    from fastzarr.compat.core.array import Array
    from fastzarr.compat.core.buffer import BufferPrototype

MAX_BINARY_SIZE = 100

F = TypeVar("F", bound="Callable[..., Any]")


def with_frequency(frequency: float) -> Callable[[F], F]:
    """Return a decorator of a rule that is run only so often, counted and not at random."""

    def decorate(func: F) -> F:
        counter = f"__{func.__name__}_counter"

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        def due(machine: Any) -> bool:
            count = getattr(machine, counter, 0) + 1
            setattr(machine, counter, count)
            return (count * frequency) % 1.0 >= 1.0 - frequency

        limited: Any = precondition(due)(run)
        return limited  # type: ignore[no-any-return]

    return decorate


def split_prefix_name(path: str) -> tuple[str, str]:
    """Return the path of the group of a node, and the name of the node."""
    group, _, name = path.rpartition("/")
    return group, name


class ZarrHierarchyStateMachine(SyncMixin, RuleBasedStateMachine):
    """Change a hierarchy in a store and in one in memory, and compare them."""

    def __init__(self, store: Store) -> None:
        """Initialise with the store, which is cleared."""
        super().__init__()
        self.store = store
        self.model = MemoryStore()
        zarr.group(store=self.model)
        #: The paths of the nodes.
        self.all_groups: set[str] = set()
        self.all_arrays: set[str] = set()

    @initialize()
    def init_store(self) -> None:
        """Begin with an empty root."""
        self._sync(self.store.clear())
        zarr.group(store=self.store)

    def can_add(self, path: str) -> bool:
        """Whether there is no node at a path."""
        return path not in self.all_groups | self.all_arrays

    def _drawn(self, data: DataObject, paths: set[str]) -> str:
        return data.draw(st.sampled_from(sorted(paths)), label="path")

    def _new_path(self, name: str, data: DataObject) -> str:
        """Return a path below a group at which there is no node."""
        if isinstance(self.store, LocalStore):
            name = name.lower()  # some file systems ignore the case
        above = self._drawn(data, self.all_groups) if self.all_groups else ""
        path = f"{above}/{name}".lstrip("/")
        assume(self.can_add(path))
        return path

    def _both(self, path: str) -> tuple[Array, Array]:
        model, real = (
            zarr.open_array(store=store, path=path) for store in (self.model, self.store)
        )
        return model, real

    # Nodes

    @rule(name=node_names, data=st.data())
    def add_group(self, name: str, data: DataObject) -> None:
        """Create a group."""
        path = self._new_path(name, data)
        note(f"Adding group: path='{path}'")
        self.all_groups.add(path)
        for store in (self.store, self.model):
            zarr.group(store=store, path=path)

    @rule(data=st.data(), name=node_names)
    def add_array(self, data: DataObject, name: str) -> None:
        """Create an array, and copy it."""
        path = self._new_path(name, data)
        above, name = split_prefix_name(path)
        made = data.draw(
            arrays(
                stores=st.just(self.model),
                paths=st.just(above),
                array_names=st.just(name),
                zarr_formats=st.just(3),
                open_mode="a",
            ),
            label="generated array",
        )
        note(f"Adding array: path='{path}' shape={made.shape}")
        zarr.from_array(self.store, data=made, name=path)
        self.all_arrays.add(path)

    @rule()
    @with_frequency(0.25)
    def clear(self) -> None:
        """Delete everything."""
        for store in (self.store, self.model):
            self._sync(store.clear())
            assert self._sync(store.is_empty("/"))
            zarr.group(store=store)
        self.all_groups.clear()
        self.all_arrays.clear()

    @precondition(lambda self: self.store.supports_deletes and self.all_arrays)
    @rule(data=st.data())
    def delete_array_using_del(self, data: DataObject) -> None:
        """Delete an array from its group."""
        self._delete(self._drawn(data, self.all_arrays))

    @precondition(lambda self: self.store.supports_deletes and self.all_groups)
    @rule(data=st.data())
    def delete_group_using_del(self, data: DataObject) -> None:
        """Delete a group from that above it."""
        self._delete(self._drawn(data, self.all_groups))

    def _delete(self, path: str) -> None:
        above, name = split_prefix_name(path)
        note(f"Deleting '{path}'")
        for store in (self.model, self.store):
            group = zarr.open_group(store=store, path=above)
            assert group[name] is not None
            del group[name]
        self._forget(path)

    def _forget(self, path: str) -> None:
        for paths in (self.all_groups, self.all_arrays):
            paths -= {one for one in paths if f"{one}/".startswith(f"{path}/")}

    # Keys

    def draw_directory(self, data: DataObject) -> str:
        """Draw the path of a node, or that of the chunks of an array."""
        path = self._drawn(data, self.all_groups | self.all_arrays)
        if path in self.all_arrays and data.draw(st.booleans()):
            return data.draw(st.sampled_from([path, f"{path}/c/"]))
        return path

    @precondition(lambda self: self.all_groups)
    @rule(data=st.data())
    def check_list_dir(self, data: DataObject) -> None:
        """Compare what is directly below a path; folders stay when their files are deleted."""
        path = self.draw_directory(data)
        assume(not isinstance(self.store, LocalStore))
        model, real = (
            sorted(self._sync_iter(store.list_dir(path))) for store in (self.model, self.store)
        )
        assert model == real

    @precondition(lambda self: self.all_arrays)
    @rule(data=st.data())
    def delete_chunk(self, data: DataObject) -> None:
        """Delete the key of a chunk."""
        path = self._drawn(data, self.all_arrays)
        array = self._both(path)[0]
        at = data.draw(chunk_paths(array.ndim, array.cdata_shape, subset=False))
        note(f"deleting chunk {path}/c/{at}")
        for store in (self.model, self.store):
            self._sync(store.delete(f"{path}/c/{at}"))

    @precondition(lambda self: self.all_arrays or self.all_groups)
    @rule(data=st.data())
    def delete_dir(self, data: DataObject) -> None:
        """Delete all keys below a path."""
        path = self.draw_directory(data)
        note(f"delete_dir with {path=!r}")
        for store in (self.model, self.store):
            self._sync(store.delete_dir(path))
        self._forget(path)

    # Elements

    @precondition(lambda self: self.all_arrays)
    @rule(data=st.data())
    def check_array(self, data: DataObject) -> None:
        """Compare the elements of an array."""
        model, real = self._both(self._drawn(data, self.all_arrays))
        np.testing.assert_equal(real[:], model[:])

    @precondition(lambda self: self.all_arrays)
    @rule(data=st.data())
    def overwrite_array_basic_indexing(self, data: DataObject) -> None:
        """Assign to a basic selection."""
        both = self._both(self._drawn(data, self.all_arrays))
        index = data.draw(basic_indices(shape=both[0].shape))
        note(f"overwriting array with basic indexer: {index=}")
        value = data.draw(npst.arrays(both[0].dtype, np.shape(both[0][index])))
        for array in both:
            array[index] = value

    @precondition(lambda self: self.all_arrays)
    @rule(data=st.data())
    def overwrite_array_orthogonal_indexing(self, data: DataObject) -> None:
        """Assign to an orthogonal selection."""
        both = self._both(self._drawn(data, self.all_arrays))
        index, _ = data.draw(orthogonal_indices(shape=both[0].shape))
        note(f"overwriting array orthogonal {index=}")
        value = data.draw(npst.arrays(both[0].dtype, np.shape(both[0].oindex[index])))
        for array in both:
            array.oindex[index] = value

    @precondition(lambda self: self.all_arrays)
    @rule(data=st.data())
    def resize_array(self, data: DataObject) -> None:
        """Change a shape; an axis without elements stays so."""
        both = self._both(self._drawn(data, self.all_arrays))
        old, ndim = both[0].shape, both[0].ndim
        drawn = data.draw(npst.array_shapes(max_dims=ndim, min_dims=ndim, min_side=0))
        shape = tuple(new if size else 0 for new, size in zip(drawn, old, strict=True))
        note(f"resizing array from {old} to {shape}")
        for array in both:
            array.resize(shape)

    @invariant()
    def check_list_prefix_from_root(self) -> None:
        """Compare all keys, among which are the documents of the nodes."""
        model, real = (
            set(self._sync_iter(store.list_prefix(""))) for store in (self.model, self.store)
        )
        assert model == real, (sorted(model), sorted(real))
        assert {f"{path}/zarr.json" for path in self.all_groups | self.all_arrays} <= real


class SyncStoreWrapper(SyncMixin):
    """The verbs of a store as plain calls."""

    def __init__(self, store: Store) -> None:
        """Initialise with the store."""
        self.store = store

    @property
    def read_only(self) -> bool:
        """Whether the store rejects writes."""
        return self.store.read_only

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self.store.supports_listing

    @property
    def supports_writes(self) -> bool:
        """Whether values can be stored."""
        return self.store.supports_writes

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        return self.store.supports_deletes

    def set(self, key: str, data_buffer: Buffer) -> None:
        """Store a value."""
        self._sync(self.store.set(key, data_buffer))

    def list(self) -> Any:
        """Return all keys."""
        return self._sync_iter(self.store.list())

    def get(self, key: str, prototype: BufferPrototype) -> Buffer | None:
        """Return a value, or None if the key is missing."""
        return self._sync(self.store.get(key, prototype=prototype))

    def get_partial_values(self, key_ranges: Iterable[Any], prototype: BufferPrototype) -> Any:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        return self._sync(self.store.get_partial_values(prototype, key_ranges))

    def delete(self, path: str) -> None:
        """Delete a key, if it exists."""
        self._sync(self.store.delete(path))

    def is_empty(self, prefix: str) -> bool:
        """Whether there is no key below a prefix."""
        return self._sync(self.store.is_empty(prefix))

    def clear(self) -> None:
        """Delete all keys."""
        self._sync(self.store.clear())

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return self._sync(self.store.exists(key))

    def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        return self._sync(self.store.getsize_prefix(prefix))


class ZarrStoreStateMachine(RuleBasedStateMachine):
    """Change the keys of a store and of a dict, and compare them."""

    def __init__(self, store: Store) -> None:
        """Initialise with the store, which is cleared."""
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.store = SyncStoreWrapper(store)
        self.prototype = default_buffer_prototype()

    @initialize()
    def init_store(self) -> None:
        """Begin without keys."""
        self.store.clear()

    def _found(self, key: str) -> bytes | None:
        found = self.store.get(key, self.prototype)
        return None if found is None else found.to_bytes()

    @rule(key=zarr_keys(), data=st.binary(max_size=MAX_BINARY_SIZE))
    def set(self, key: str, data: bytes) -> None:
        """Store a value."""
        note(f"(set) {key!r}: {data!r}")
        self.store.set(key, cpu.Buffer.from_bytes(data))
        self.model[key] = data

    @rule(key=zarr_keys())
    def get_invalid_zarr_keys(self, key: str) -> None:
        """Look for a key that may be missing."""
        assert self._found(key) == self.model.get(key)
        assert self.store.exists(key) == (key in self.model)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def get_partial_values(self, data: DataObject) -> None:
        """Compare parts of values."""
        wanted = data.draw(key_ranges(st.sampled_from(sorted(self.model)), MAX_BINARY_SIZE))
        note(f"(get partial) {wanted}")
        found = self.store.get_partial_values(iter(wanted), self.prototype)
        assert [one.to_bytes() for one in found] == [
            _part(self.model[key], part) for key, part in wanted
        ]

    @precondition(lambda self: self.store.supports_deletes and self.model)
    @rule(data=st.data())
    def delete(self, data: DataObject) -> None:
        """Delete a key."""
        key = data.draw(st.sampled_from(sorted(self.model)))
        note(f"(delete) {key!r}")
        self.store.delete(key)
        del self.model[key]

    @rule()
    def clear(self) -> None:
        """Delete all keys."""
        self.store.clear()
        self.model.clear()
        assert self.store.is_empty("")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def getsize_prefix(self, data: DataObject) -> None:
        """Compare the size of all values below a path."""
        name = data.draw(st.sampled_from(sorted(self.model))).partition("/")[0]
        size = sum(len(value) for key, value in self.model.items() if key.startswith(f"{name}/"))
        assert self.store.getsize_prefix(name) == size

    @invariant()
    def check_paths_equal(self) -> None:
        """Compare the keys."""
        assert sorted(self.store.list()) == sorted(self.model)
        # Folders stay when their files are deleted.
        if self.model or not isinstance(self.store.store, LocalStore):
            assert self.store.is_empty("") == (not self.model)

    @invariant()
    def check_vals_equal(self) -> None:
        """Compare the values."""
        assert {key: self._found(key) for key in self.model} == self.model


def _part(value: bytes, part: Any) -> bytes:
    match part:
        case RangeByteRequest(start, end):
            return value[start:end]
        case OffsetByteRequest(offset):
            return value[offset:]
        case SuffixByteRequest(suffix):
            return value[max(0, len(value) - suffix) :]
    return value
