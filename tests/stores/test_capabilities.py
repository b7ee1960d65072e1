"""The capabilities of stores: how they are declared, and how overridden verbs void them."""

from __future__ import annotations

import pickle
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ZarrRuntimeWarning
from fastzarr.stores import (
    Awaits,
    DirectoryStore,
    Drafts,
    Fetches,
    Files,
    HasFiles,
    LocalStore,
    MappingStore,
    MemoryStore,
    Request,
    SetsMany,
    Store,
    Swaps,
    SwapsTokens,
    Times,
    Transacts,
    Validates,
    Value,
)
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PROTOCOLS: dict[str, Any] = {
    "files": HasFiles,
    "swap": Swaps,
    "swap_token": SwapsTokens,
    "set_many": SetsMany,
    "validator": Validates,
    "modified": Times,
    "draft": Drafts,
    "transaction": Transacts,
}
LOCAL = {"files", "swap", "validator", "modified", "draft", "transaction"}
MEMORY = {"swap", "set_many", "validator", "draft"}


def declared(store: Any) -> set[str]:
    """Return the names of the capabilities that a store has."""
    return {name for name in PROTOCOLS if getattr(store, name) is not None}


class Plain(Store):
    """A store with the four required methods and nothing else."""

    def __init__(self, held: dict[str, bytes] | None = None) -> None:
        super().__init__()
        self.held = {} if held is None else held

    def _get(self, key: str) -> bytes | None:
        return self.held.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.held[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.held.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        return [key for key in tuple(self.held) if key.startswith(start)]

    def __eq__(self, other: object) -> bool:
        """Whether both stores have equal values."""
        return isinstance(other, Plain) and self.held == other.held

    __hash__ = None  # type: ignore[assignment]


class Shelf(Plain):
    """A third-party store whose values are files, which it accesses in its own way."""

    def __init__(self, root: Path, durability: str | None = None) -> None:
        super().__init__()
        self.inner = LocalStore(root, durability="none")
        self.durability, self.asked = durability, []

    def _get(self, key: str) -> bytes | None:
        self.asked.append(key)
        return self.inner.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.asked.append(key)
        self.inner.set(key, value)

    def _delete(self, key: str) -> None:
        self.asked.append(key)
        self.inner.delete(key)

    def _list(self, prefix: str) -> Iterator[str]:
        return self.inner.list(prefix)

    def _exists(self, key: str) -> bool:
        return self.inner.exists(key)

    def _turn(self, key: str) -> Any:
        return self.inner.turn(key)

    def files(self) -> Files:
        """Return the location of the files."""
        return Files(str(self.inner.root), durability=self.durability)

    def __eq__(self, other: object) -> bool:
        """Whether both stores have the same folder."""
        return isinstance(other, Shelf) and self.inner == other.inner

    __hash__ = None  # type: ignore[assignment]


class TestPlain(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self) -> Plain:
        """Return an empty store."""
        return Plain()


class TestShelf(StoreTests):
    """The common test suite, for a store that declares ``files``."""

    @pytest.fixture(params=[None, "replace"])
    def store(self, tmp_path: Path, request: Any) -> Shelf:
        """Return an empty store."""
        return Shelf(tmp_path / "shelf", request.param)


# Declared capabilities


def test_the_protocols_match_declared_capabilities(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path), MemoryStore(), MappingStore({}), Plain(), Shelf(tmp_path)):
        found = {name for name, kind in PROTOCOLS.items() if isinstance(store, kind)}
        assert found == declared(store)
        assert isinstance(store, Fetches)


def test_each_store_declares_what_it_can(tmp_path: Path) -> None:
    assert declared(LocalStore(tmp_path)) == LOCAL
    assert declared(DirectoryStore(tmp_path)) == LOCAL
    assert declared(MemoryStore()) == MEMORY
    assert declared(MappingStore({})) == set()
    assert declared(Plain()) == set()
    assert declared(Shelf(tmp_path)) == {"files"}


def test_a_subclass_that_overrides_no_verb_keeps_all_capabilities(tmp_path: Path) -> None:
    class Named(LocalStore):
        name = "mine"

        def __str__(self) -> str:
            return f"{self.name}://"

    class Further(Named):
        pass

    assert declared(Named(tmp_path)) == declared(Further(tmp_path)) == LOCAL
    z = zarr.create_array(Further(tmp_path / "a"), shape=2, chunks=1, dtype="i4")
    z[:] = 1
    with zarr.create_group(Further(tmp_path / "b")).transaction() as root:
        root.attrs["a"] = 1


def test_capabilities_that_bypass_an_overridden_verb_are_void(tmp_path: Path) -> None:
    class Reading(LocalStore):
        def get(self, key: str, default: Any = None) -> Any:
            return super().get(key, default)

    class Writing(MemoryStore):
        def _set(self, key: str, value: Any) -> None:
            super()._set(key, value)

    class Listing(LocalStore):
        def _list(self, prefix: str) -> Any:
            return super()._list(prefix)

    assert declared(Reading(tmp_path)) == LOCAL - {"files", "swap", "transaction"}
    assert declared(Writing()) == {"validator"}
    assert declared(Listing(tmp_path)) == LOCAL - {"transaction"}

    class Below(Reading):
        """A class that overrides nothing, but inherits a verb that voids the capabilities."""

    class Anew(Reading):
        files = LocalStore.files
        swap = LocalStore.swap

    class Twice(Anew):
        def _get(self, key: str, check: Any = None) -> bytes | None:
            return super()._get(key, check)

    assert declared(Below(tmp_path)) == LOCAL - {"files", "swap", "transaction"}
    assert declared(Anew(tmp_path)) == LOCAL - {"transaction"}
    assert declared(Twice(tmp_path)) == LOCAL - {"files", "swap", "transaction"}


def test_bases_that_know_nothing_of_each_other() -> None:
    class Mixin:
        def get(self, key: str, default: Any = None) -> Any:
            return super().get(key, default)  # type: ignore[misc]

    class Before(Mixin, MemoryStore):
        pass

    class After(MemoryStore, Mixin):
        """A class in which the mixin's verb is never called."""

    class Promising(MemoryStore):
        swap = MemoryStore.swap
        draft = MemoryStore.draft

    class Overriding(MemoryStore):
        def _set(self, key: str, value: Any) -> None:
            super()._set(key, value)

    class Both(Promising, Overriding):
        """A class whose second base overrides a verb that voids the first one's capabilities."""

    class Swapper:
        def swap(self, key: str, value: Any, token: Any) -> bool:
            raise NotImplementedError

        def validator(self, key: str) -> Any:
            raise NotImplementedError

    class Mixed(Swapper, Plain):
        """A class whose mixin is meant to be combined with any store of the four verbs."""

    assert declared(Before()) == MEMORY - {"swap"}
    assert declared(After()) == MEMORY
    assert declared(Promising()) == MEMORY
    assert declared(Both()) == {"validator"}
    assert declared(Mixed()) == {"swap", "validator"}


def test_a_verb_assigned_to_a_store_voids_the_capabilities_that_bypass_it(tmp_path: Path) -> None:
    store, other = LocalStore(tmp_path), LocalStore(tmp_path)
    plain = store.get
    store.get = lambda key, default=None: plain(key, default)  # type: ignore[method-assign,assignment]
    assert declared(store) == LOCAL - {"files", "swap", "transaction"}
    assert declared(other) == LOCAL
    memory = MemoryStore({"a": b"1"})
    memory._get = lambda key: b"mine"  # type: ignore[method-assign]  # noqa: ARG005, SLF001
    assert memory.get_many(["a"]) == [b"mine"]
    assert declared(memory) == MEMORY - {"swap"}


class Upper:
    """A callable that replaces a verb of a store, and can be pickled with it."""

    def __init__(self, place: Any) -> None:
        self.place = place

    def __call__(self, key: str) -> bytes | None:
        """Return the value in upper case."""
        value = self.place.get(key)
        return None if value is None else value.upper()


def test_copies_of_a_store_keep_the_verbs_assigned_to_it(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path), MemoryStore(), Plain()):
        store._get = Upper({"a": b"value"})  # type: ignore[method-assign,assignment]  # noqa: SLF001
        for other in (
            store.with_read_only().with_read_only(False),  # noqa: FBT003
            store.lasting(),
            copy(store),
            pickle.loads(pickle.dumps(store)),
        ):
            assert declared(other) == declared(store) - {"files", "swap"}
            assert other.get_many(["a"]) == [b"VALUE"]
            assert other.get_valid("a") == b"VALUE"
    # A method bound to a read-only store must not be passed on to a writable one.
    reader = MemoryStore({"a": b"1"}).with_read_only()
    reader._get = Upper({"a": b"x"})  # type: ignore[method-assign,assignment]  # noqa: SLF001
    writer = reader.with_read_only(False)  # noqa: FBT003
    writer.change("a", lambda old: (old or b"") + b"3")
    assert writer.mapping == {"a": b"X3"}


# All verbs are called


VERBS = ("get", "_get", "set", "_set", "delete", "_delete", "turn", "_turn")
RANGES = ("get_ranges", "_get_ranges")


def recorded(verb: str, calls: list[str]) -> dict[str, Any]:
    """Return the body of a class whose one method records that it was called."""

    def method(self: Any, *given: Any, **named: Any) -> Any:
        calls.append(verb)
        return getattr(super(method.owner, self), verb)(*given, **named)  # type: ignore[attr-defined]

    return {verb: method}


def by_subclass(kind: type[Store], verb: str, calls: list[str]) -> type[Store]:
    body = recorded(verb, calls)
    made = type("Subclass", (kind,), dict(body))
    body[verb].owner = made
    return made


def by_mixin(kind: type[Store], verb: str, calls: list[str]) -> type[Store]:
    body = recorded(verb, calls)
    mixin = type("Mixin", (), dict(body))
    body[verb].owner = mixin
    return type("Mixed", (mixin, kind), {})


def by_base(kind: type[Store], verb: str, calls: list[str]) -> type[Store]:
    return type("Below", (by_subclass(kind, verb, calls),), {})


def use(root: zarr.Group) -> None:
    """Use arrays in ways that call every verb, and check the results."""
    z = root["z"]
    z[:] = [1, 2, 3, 4]
    z[1] = 7
    assert z[:].tolist() == [1, 7, 3, 4]
    z[:2] = 0
    z[2] = 0
    assert z[:].tolist() == [0, 0, 0, 4]
    shards = root["shards"]
    shards[:] = np.arange(1, 9)
    shards[2:4] = 5
    assert shards[5] == 6
    assert shards[:].tolist() == [1, 2, 5, 5, 5, 6, 7, 8]


def filled(store: Store) -> zarr.Group:
    root = zarr.create_group(store)
    root.create_array("z", shape=4, chunks=2, dtype="i4", fill_value=0)
    root.create_array("shards", shape=8, chunks=2, shards=8, dtype="i4", fill_value=0)
    return root


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("verb", VERBS + RANGES)
@pytest.mark.parametrize("way", [by_subclass, by_mixin, by_base])
@pytest.mark.parametrize("kind", [LocalStore, MemoryStore, MappingStore])
def test_an_overridden_verb_is_called(
    kind: Any, way: Callable[..., Any], verb: str, tmp_path: Path
) -> None:
    calls: list[str] = []
    made = way(kind, verb, calls)
    root = filled(made(tmp_path) if kind is LocalStore else made({}))
    calls.clear()
    use(root)
    assert verb in calls
    calls.clear()
    _ = root["z"][:], root["shards"][3]
    assert bool(calls) == (verb in {"get", "_get", *RANGES})


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("verb", VERBS + RANGES)
@pytest.mark.parametrize("kind", [LocalStore, MemoryStore])
def test_a_verb_assigned_to_a_store_in_use_is_called(kind: Any, verb: str, tmp_path: Path) -> None:
    store = kind(tmp_path) if kind is LocalStore else kind({})
    root = filled(store)
    use(root)
    plain, calls = getattr(store, verb), []

    def mine(*given: Any, **named: Any) -> Any:
        calls.append(verb)
        return plain(*given, **named)

    setattr(store, verb, mine)
    use(root)
    assert verb in calls


def backwards(value: Any) -> Any:
    return None if value is None else bytes(value)[::-1]


class Private:
    """A mixin that stores bytes in reverse, by overriding private methods."""

    def _get(self, key: str) -> Any:
        return backwards(super()._get(key))  # type: ignore[misc]

    def _set(self, key: str, value: Any) -> None:
        super()._set(key, backwards(value))  # type: ignore[misc]


class Public:
    """A mixin that stores bytes in reverse, by overriding public methods."""

    def get(self, key: str, default: Any = None) -> Any:
        return backwards(super().get(key, default))  # type: ignore[misc]

    def set(self, key: str, value: Any) -> None:
        super().set(key, backwards(value))  # type: ignore[misc]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("mixin", [Private, Public])
@pytest.mark.parametrize("kind", [LocalStore, MemoryStore, MappingStore, Plain])
def test_values_that_a_mixin_changes_are_changed_wherever_they_are_read_and_written(
    kind: Any, mixin: type, tmp_path: Path
) -> None:
    given: Any = tmp_path if kind is LocalStore else {}
    store = type("Backwards", (mixin, kind), {})(given)
    root = filled(store)
    use(root)
    root.attrs["a"] = 1
    assert dict(zarr.open_group(store, mode="r").attrs) == {"a": 1}
    store.setitems({"b": b"12345"})
    assert store.getitems(["b"]) == {"b": b"12345"}
    assert store.get_ranges("b", [(1, 2), (-1, None)]) == [b"23", b"5"]
    assert {bytes(value.data) for _, value in store.fetch([Request("b"), Request("b", 3)])} == {
        b"12345",
        b"45",
    }
    raw: Any = LocalStore(tmp_path) if kind is LocalStore else given
    assert raw["b"] == b"54321"
    assert raw["zarr.json"][:1] == raw["z/zarr.json"][:1] == b"}"
    with pytest.raises(zarr.errors.TransactionError), root.transaction():
        pass


@pytest.mark.usefixtures("data_path")
def test_values_changed_by_a_verb_assigned_to_a_store_are_read_by_it() -> None:
    store = MemoryStore()
    root = filled(store)
    plain = store.get
    use(root)
    shards = root["shards"]
    for key, value in dict(store.mapping).items():
        store.mapping[key] = value[::-1]
    store.get = lambda key, default=None: backwards(plain(key, default))  # type: ignore[method-assign,assignment]
    assert shards[5] == 6
    assert shards[:].tolist() == [1, 2, 5, 5, 5, 6, 7, 8]
    assert store.get_ranges("shards/c/0", [(0, 4)]) == [store["shards/c/0"][:4]]


# Files of third-party stores


@pytest.mark.parametrize("durability", [None, "none", "replace", "full"])
def test_a_store_that_declares_files_is_read_past_its_verbs(
    durability: str | None, tmp_path: Path
) -> None:
    store = Shelf(tmp_path, durability)
    root = filled(store)
    use(root)
    z, shards = root["z"], root["shards"]
    store.asked.clear()
    assert z[:].tolist() == [0, 0, 0, 4]
    assert shards[5] == 6
    assert store.asked == []
    z[:] = 9
    shards[1] = 9
    # If it declares the durability of files, they are also written directly.
    assert store.written == (durability is not None)
    assert zarr.open_group(LocalStore(tmp_path), mode="r")["z"][:].tolist() == [9] * 4
    with zarr.config.set({"data_path": "numpy"}):
        store.asked.clear()
        assert z[:].tolist() == [9] * 4
        assert store.asked == ["z/c/0", "z/c/1"]


def test_chunks_left_to_the_store_use_its_verbs(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(np.array([7], "i4").tobytes())
    store = Shelf(tmp_path / "shelf")
    z = zarr.create_array(store, shape=1, chunks=1, dtype="i4", compressors=None)
    (tmp_path / "shelf" / "c").mkdir()
    (tmp_path / "shelf" / "c" / "0").symlink_to(outside)
    with pytest.raises(zarr.errors.KeyValidationError, match="leads out"):
        _ = z[:]
    store.inner = LocalStore(tmp_path / "shelf", follow_symlinks=True)
    assert z[:].tolist() == [7]


def test_files_that_must_not_be_opened_are_not(tmp_path: Path) -> None:
    class Closed(Shelf):
        def files(self) -> None:  # type: ignore[override]
            return None

    store = Closed(tmp_path)
    use(filled(store))
    assert {"z/c/0", "z/c/1", "shards/c/0"} <= {*store.asked}


def test_the_files_of_a_read_only_store_are_not_written(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    files = store.files()
    assert (files.root, files.follow_links, files.durability) == (str(tmp_path), False, "replace")
    assert store.with_read_only().files().durability is None
    assert LocalStore(tmp_path, follow_symlinks=True, durability="full").files()[1:] == (
        True,
        "full",
    )


# Values fetched together


def test_values_have_their_tokens_without_further_requests(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path), MemoryStore()):
        store.set("a", b"012345")
        wanted = [Request("a"), Request("b"), Request("a", -2), Request("a", 1, 2)]
        found = dict(store.fetch(wanted))
        assert [None if value is None else bytes(value.data) for value in map(found.get, range(4))]
        assert found[1] is None
        for index, data in {0: b"012345", 2: b"45", 3: b"12"}.items():
            value = found[index]
            assert value is not None
            assert bytes(value.data) == data
            assert value.token == store.validator("a")
            assert value.size == 6


def test_a_turn_takes_the_token_that_comes_with_the_value() -> None:
    asked: list[str] = []

    class Tokens(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.versions: dict[str, int] = {}

        def fetch(self, wanted: Any) -> Any:
            asked.extend(f"fetch {request.key}" for request in wanted)
            return [
                (index, Value(self.held[key], self.versions[key]) if key in self.held else None)
                for index, (key, *_) in enumerate(wanted)
            ]

        def validator(self, key: str) -> Any:
            asked.append(f"validator {key}")
            return self.versions.get(key)

        def swap(self, key: str, value: Any, token: Any) -> bool:
            asked.append(f"swap {key}")
            if self.versions.get(key) != token:
                return False
            self.held[key] = bytes(value)
            self.versions[key] = self.versions.get(key, 0) + 1
            return True

    store = Tokens()
    for expected in (b"x", b"xx"):
        store.change("a", lambda old: (old or b"") + b"x")
        assert store.held["a"] == expected
    assert asked == ["fetch a", "swap a"] * 2


def test_many_values_are_set_at_once_where_the_store_can() -> None:
    many: list[Any] = []

    class Many(MemoryStore):
        def set_many(self, values: Any) -> None:
            many.append([*values])
            super().set_many(many[-1])

    store = Many()
    store.setitems({"a": b"1", "b": b"2"})
    store.delitems(["a", "c"])
    assert many == [[("a", b"1"), ("b", b"2")], [("a", None), ("c", None)]]
    assert dict(store) == {"b": b"2"}


def test_compare_and_swap_under_its_earlier_name_is_warned_of() -> None:
    with pytest.warns(ZarrRuntimeWarning, match=r"Older\.set_if .* the name swap") as caught:

        class Older(Plain):
            def set_if(self, *_given: object) -> bool:
                return True

    assert caught[0].filename == __file__

    # Neither is warned of.
    class Both(Older):
        swap = set_if = Older.set_if

    class Heir(Older):
        pass


def test_how_many_requests_help_is_a_capability_too() -> None:
    class Slow(MemoryStore):
        def _get(self, key: str) -> bytes | None:
            return super()._get(key)

    class Consistent(Slow):
        concurrency = MemoryStore.concurrency

    class Together(Plain):
        batch = 50

        def fetch(self, wanted: Any) -> Any:
            return super().fetch(wanted)

    class Alone(Together):
        def fetch(self, wanted: Any) -> Any:
            return Store.fetch(self, wanted)

    assert (MemoryStore().concurrency, LocalStore(".").concurrency) == (1, 1)
    assert MappingStore({}).concurrency == 1
    assert MemoryStore().batch > 1 == MappingStore({}).batch
    # Nothing is known of other verbs, except that any thread may call them.
    assert (Plain().concurrency, Plain().batch) == (None, 1)
    assert (Slow().concurrency, Slow().batch) == (None, 1)
    assert (Consistent().concurrency, Consistent().batch) == (1, 1)
    assert (Together().batch, Alone().batch) == (50, 1)


def test_a_verb_of_an_instance_voids_how_many_requests_help() -> None:
    store = MemoryStore()
    store._get = {"a": b"1"}.get  # type: ignore[method-assign]  # noqa: SLF001  (a user's patch)
    assert (store.concurrency, store.batch) == (None, 1)
    again = copy(store)
    assert (again.concurrency, again.batch) == (None, 1)


def test_requests_that_are_awaited_are_void_if_a_verb_is_overridden() -> None:
    class Awaiting(Plain):
        async def fetch_async(self, wanted: Request) -> Value | None:
            found = self._get(wanted.key)
            return None if found is None else Value(found)

    class Other(Awaiting):
        def _get(self, key: str) -> bytes | None:
            return super()._get(key)

    assert isinstance(Awaiting(), Awaits)
    assert Awaiting().fetch_async is not None
    assert Other().fetch_async is None
