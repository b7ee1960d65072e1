"""The number of requests to a store: every call of a method of its author counts as one."""

from __future__ import annotations

from collections import Counter
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from waits import join

import fastzarr as zarr
from fastzarr.nodes import documents
from fastzarr.stores import Store
from fastzarr.stores.capabilities import Request as Wanted
from fastzarr.stores.capabilities import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MEMBERS = [f"a{number:02}" for number in range(20)]
Request = tuple[str, str]


class Counting(Store):
    """A store with the four methods, which records the requests."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stored: dict[str, bytes] = {}
        self.requests: list[Request] = []

    def _get(self, key: str) -> bytes | None:
        self.requests.append(("get", key))
        return self.stored.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.requests.append(("set", key))
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.requests.append(("delete", key))
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        self.requests.append(("list", prefix))
        return [key for key in self.stored if not prefix or key.startswith(f"{prefix}/")]

    def asked(self, action: Callable[[], object]) -> list[Request]:
        """Return the requests that an action makes."""
        self.requests.clear()
        action()
        return list(self.requests)


def twice(requests: list[Request]) -> set[Request]:
    return {request for request, count in Counter(requests).items() if count > 1}


class Batching(Counting):
    """A store that answers all requests of a ``fetch`` at once, in one round."""

    batch = 100

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0

    def _get(self, key: str) -> bytes | None:
        self.rounds += 1
        return super()._get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.rounds += 1
        super()._set(key, value)

    def fetch(self, wanted: Sequence[Wanted]) -> Iterable[tuple[int, Value | None]]:
        self.rounds += 1
        values = [self.stored.get(request.key) for request in wanted]
        return [
            (at, None if value is None else Value(value, None, len(value)))
            for at, value in enumerate(values)
        ]


@pytest.fixture(params=[2, 3])
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def store(number: int) -> Counting:
    made = Counting()
    group = zarr.open_group(made, mode="w", zarr_format=number).create_group("g")
    for name in MEMBERS:
        group.create_array(name, shape=4, chunks=2, dtype="i4", attributes={"x": 1})
    group.create_group("h", attributes={"x": 1})
    return made


@pytest.fixture
def group(store: Counting) -> zarr.Group:
    return zarr.open_group(store, path="g", mode="r+")


def test_listing_names_costs_two_requests_more_than_members(
    store: Counting, group: zarr.Group, number: int
) -> None:
    names = sorted([*MEMBERS, "h"])
    # A group of format 2 is recognised by its second document.
    most = len(names) + 2 + (number == 2)
    assert list(group) == list(group.keys()) == names
    assert len(store.asked(lambda: list(group))) <= most
    assert len(store.asked(lambda: list(group.keys()))) <= most
    # Without an iterator, the members are counted again.
    assert len(store.asked(lambda: len(group))) <= most
    assert len(group) == len(names)


def test_a_view_of_keys_lists_a_store_once() -> None:
    store = Counting()
    store["b"] = store["a"] = b""
    assert store.asked(lambda: list(store.keys())) == [("list", "")]
    assert store.asked(lambda: len(store.keys())) == [("list", "")]
    view = store.keys()
    assert list(view) == ["a", "b"]
    assert view & {"a", "x"} == {"a"}
    # A view is current whenever it is used, beside iterators that are older.
    begun = iter(view)
    store["c"] = b""
    assert len(view) == 3
    del store["c"]
    assert len(view) == 2
    assert list(begun) == ["a", "b", "c"]
    assert [*view] == ["a", "b"]


def test_the_length_of_a_group_is_current() -> None:
    store = Counting()
    group = zarr.open_group(store, mode="w")
    group.create_array("a", shape=1, dtype="i1")
    begun = iter(group)
    group.create_array("b", shape=1, dtype="i1")
    assert len(group) == 2
    assert list(begun) == ["a"]
    del group["a"]
    assert (len(group), list(group), next(iter(group.items()))[0]) == (1, ["b"], "b")


@pytest.mark.parametrize(
    "walk",
    [
        lambda group: list(group.values()),
        lambda group: list(group.items()),
        lambda group: list(group.arrays()),
        lambda group: group.members(),
        lambda group: group.tree(),
        lambda group: group.info,
        lambda group: group.nmembers(),
    ],
    ids=["values", "items", "arrays", "members", "tree", "info", "nmembers"],
)
def test_members_are_read_once(
    store: Counting, group: zarr.Group, walk: Callable[[zarr.Group], object]
) -> None:
    # ``list`` asks the views for their length, for which the names are compared.
    assert twice(store.asked(lambda: walk(group))) <= {("list", "g")}


def test_writing_an_attribute_two_groups_deep(store: Counting, number: int) -> None:
    deep = zarr.open_group(store, path="g/h", mode="r+")
    requests = store.asked(lambda: deep.attrs.update(y=2))
    # Both parents are checked for consolidated metadata, which would describe the node, before the
    # change, so that a writer that dies leaves no stale copy, and after it, because another process
    # may have made a copy of the old state. In format 2 each group, itself included, may have one.
    names = ["zarr.json", "g/zarr.json"] if number == 3 else [".zmetadata", "g/.zmetadata"]
    looks = {("get", name) for name in [*names, *["g/h/.zmetadata"][: number == 2]]}
    assert twice(requests) == looks
    assert len(requests) == 2 * len(looks) + (2 if number == 3 else 4)
    assert zarr.open_group(store, path="g/h", mode="r").attrs["y"] == 2


def test_requests_that_are_known_together_are_one_round() -> None:
    store = Batching()
    group = zarr.open_group(store, mode="w").create_group("g")
    for name in MEMBERS:
        group.create_array(name, shape=4, chunks=2, dtype="i4")
    deep = group.create_group("h")
    store.rounds = 0
    deep.attrs["x"] = 1
    assert store.rounds == 4  # the parents, the document read and written, the parents
    store.rounds = 0
    assert len(group.members()) == 21
    assert store.rounds == 1


def test_creating_an_array_in_an_open_group(store: Counting, group: zarr.Group) -> None:
    requests = store.asked(lambda: group.create_array("new", shape=4, chunks=2, dtype="i4"))
    document = "zarr.json" if group.metadata.zarr_format == 3 else ".zarray"
    names = ("zarr.json",) if group.metadata.zarr_format == 3 else (".zmetadata",)
    # Consolidated metadata may be written at any time, so the documents are read before the new
    # node is written and after it, and the document is read again when its key is locked.
    allowed = {("get", f"g/new/{document}"), ("get", "g/new/.zmetadata")}
    allowed |= {("get", f"{prefix}{name}") for prefix in ("", "g/") for name in names}
    assert twice(requests) <= allowed
    assert len(requests) <= (10 if group.metadata.zarr_format == 3 else 16)


@pytest.mark.parametrize("name", ["a01", "h"])
def test_a_creation_where_a_node_exists_makes_no_request_twice_and_no_change(
    store: Counting, group: zarr.Group, name: str
) -> None:
    def create() -> None:
        with pytest.raises(zarr.errors.ContainsNodeError):
            group.create_array(name, shape=4, chunks=2, dtype="i4")

    requests = store.asked(create)
    assert not twice(requests)
    assert {verb for verb, _ in requests} == {"get"}


@pytest.mark.parametrize(
    "act",
    [
        lambda store: zarr.open_array(store, path="g/a01", mode="r"),
        lambda store: zarr.open_array(store, path="g/a01"),
        lambda store: zarr.open_group(store, path="g", mode="r"),
        lambda store: zarr.open_group(store, path="g"),
        lambda store: zarr.open(store, path="g", mode="r"),
        lambda store: zarr.open(store, path="g/a01", mode="r+"),
    ],
)
def test_opening_makes_no_request_twice(
    store: Counting, act: Callable[[Counting], object], number: int
) -> None:
    requests = store.asked(lambda: act(store))
    assert not twice(requests)
    assert len(requests) <= (1 if number == 3 else 5)


def test_appending_checks_twice_for_consolidated_metadata_alone(
    store: Counting, group: zarr.Group, number: int
) -> None:
    array = group["a01"]
    names = ["zarr.json", "g/zarr.json"] if number == 3 else [".zmetadata", "g/.zmetadata"]
    looks = {("get", name) for name in [*names, *["g/a01/.zmetadata"][: number == 2]]}
    assert twice(store.asked(lambda: array.append([1, 2]))) == looks


def test_requiring_an_array_that_exists_reads_its_documents(
    store: Counting, group: zarr.Group
) -> None:
    requests = store.asked(lambda: group.require_array("a01", shape=4, dtype="i4"))
    assert not twice(requests)
    assert {verb for verb, _ in requests} == {"get"}


def test_consolidating_reads_each_document_once_and_verifies_it_once(
    store: Counting, number: int
) -> None:
    requests = Counter(store.asked(lambda: zarr.consolidate_metadata(store)))
    key = "g/a01/zarr.json" if number == 3 else "g/a01/.zarray"
    assert requests["get", key] == 2
    assert max(count for (_, key), count in requests.items() if key.startswith("g/")) == 2


class Waiting(Counting):
    """A store in which the first writer of a key waits before its value is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.held: str | None = None
        self.waits, self.goes_on, self.copied = Event(), Event(), Event()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        if key == self.held:
            self.held = None
            self.waits.set()
            assert self.goes_on.wait(60)
        super()._set(key, value)
        if b"consolidated_metadata" in bytes(value):
            self.copied.set()


def test_metadata_consolidated_during_a_change_has_the_new_state() -> None:
    store = Waiting()
    root = zarr.open_group(store, mode="w")
    deep = root.create_group("g").create_group("h", attributes={"n": 1})
    store.held = "g/h/zarr.json"
    writer = Thread(target=lambda: deep.attrs.update(n=2))
    writer.start()
    assert store.waits.wait(60)
    # The writer has found no copies, and is about to write.
    reader = Thread(target=lambda: zarr.consolidate_metadata(store))
    reader.start()
    assert store.copied.wait(60)
    store.goes_on.set()
    join(writer, reader)
    assert zarr.open_group(store, mode="r")["g/h"].attrs["n"] == 2


class Shared(Counting):
    """One of two stores that share nothing but their values, like those of two processes."""

    def __init__(self, stored: dict[str, bytes]) -> None:
        super().__init__()
        self.stored = stored
        self.before: dict[str, Callable[[], object]] = {}

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.before.pop(key, lambda: None)()
        super()._set(key, value)


@pytest.mark.parametrize("name", ["a", ""])
def test_a_copy_that_another_process_makes_during_a_change_is_removed(
    number: int, name: str
) -> None:
    mine = Shared({})
    other = Shared(mine.stored)
    root = zarr.open_group(mine, mode="w", zarr_format=number)
    root.attrs["n"] = 1
    root.create_group("a", attributes={"n": 1})
    document = "zarr.json" if number == 3 else ".zattrs"
    mine.before[f"{name}/{document}" if name else document] = lambda: zarr.consolidate_metadata(
        other
    )
    (root[name] if name else root).attrs["n"] = 2
    assert not mine.before
    found = zarr.open_group(Shared(mine.stored), mode="r")
    assert (found[name] if name else found).attrs["n"] == 2
    assert ".zmetadata" not in mine.stored


def test_a_copy_of_format_2_is_removed_beside_a_group_of_format_3() -> None:
    store = Counting()
    group = zarr.open_group(store, mode="w", zarr_format=2)
    group.create_array("a", shape=2, dtype="i1")
    zarr.consolidate_metadata(store)
    zarr.open_group(other := Counting(), mode="w", zarr_format=3)
    store.stored["zarr.json"] = other.stored["zarr.json"]
    del group["a"]
    assert ".zmetadata" not in store.stored
    assert list(zarr.open_group(store, mode="r", zarr_format=2)) == []


def test_a_node_of_format_2_is_found_as_where_each_document_is_asked_for_in_turn() -> None:
    """The documents of an array and of a group are requested together."""
    memory = zarr.stores.MemoryStore()
    root = zarr.create_group(memory, zarr_format=2, attributes={"units": "K"})
    root.create_array("x", shape=3, dtype="i4")
    root.create_array("y", shape=3, dtype="i4", attributes={"units": "m"})
    root.create_group("g")
    memory["left/.zattrs"] = b"{}"
    store = Batching()
    store.stored.update(memory)
    for path in ("", "x", "y", "g", "left", "nothing"):
        assert documents.load(store, path, root.layout.format) == documents.load(memory, path)
    store.rounds = 0
    assert documents.load(store, "g", root.layout.format) is not None
    assert store.rounds == 2
