"""The number of requests to a store: every call of a method of its author counts as one."""

from __future__ import annotations

from collections import Counter
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

import fastzarr as zarr
from fastzarr.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    assert not twice(requests)
    if number == 3:
        # Its document is read and written, and both parents are checked for consolidated
        # metadata, which would describe it.
        assert len(requests) <= 4
    else:
        # Attributes have a separate document, and each group may have consolidated metadata.
        assert len(requests) <= 7
    assert zarr.open_group(store, path="g/h", mode="r").attrs["y"] == 2


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


def test_appending_makes_no_request_twice(store: Counting, group: zarr.Group) -> None:
    array = group["a01"]
    assert not twice(store.asked(lambda: array.append([1, 2])))


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
    writer.join()
    reader.join()
    assert zarr.open_group(store, mode="r")["g/h"].attrs["n"] == 2
