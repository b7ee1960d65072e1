"""Two writers on one store that compares and swaps: every interleaving is one of both orders.

Rules of this file:

* Each writer has a store of its own, with locks of its own, as if it were another process.
* The first one is stopped before each of its requests in turn, while the second one runs to its
  end. If the second waits for a claim of the first, the first goes on, and both end.
* What is left must be what one of both orders leaves: elements, shape, attributes, results, and the
  elements of the array after it has grown, or was created again. If an array is deleted or
  replaced, the other writer may also raise an error.
* ``SPLIT`` are the pairs of which that is not true.
"""

from __future__ import annotations

import itertools
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from waits import PATIENCE, join, wait_for

import fastzarr as zarr
from fastzarr.errors import BaseZarrError
from fastzarr.stores import ObjectStore, Store, place, stopping
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence


class Server:
    """Values with tokens, which writers share."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, int]] = {}
        self.tokens = itertools.count()
        self.lock = threading.Lock()


class Shared(Store):
    """A store on a server, which calls ``on`` before each request."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.on: Callable[[str, str], object] = lambda *_: None

    def _ask(self, verb: str, key: str, answer: Callable[[dict[str, Any]], Any]) -> Any:
        self.on(verb, key)
        with self.server.lock:
            return answer(self.server.values)

    def _put(self, values: dict[str, Any], key: str, value: Any) -> None:
        if value is None:
            values.pop(key, None)
        else:
            values[key] = (bytes(value), next(self.server.tokens))

    def _get(self, key: str) -> bytes | None:
        found = self._ask("get", key, lambda values: values.get(key))
        return None if found is None else found[0]

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        for index, (key, start, length) in enumerate(wanted):
            found = self._ask("get", key, lambda values, key=key: values.get(key))
            stop = None if length is None else start + length
            yield index, None if found is None else Value(found[0][start:stop], found[1])

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._ask("set", key, lambda values: self._put(values, key, value))

    def _delete(self, key: str) -> None:
        self._ask("delete", key, lambda values: self._put(values, key, None))

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        found = self._ask("list", prefix, list)
        return [key for key in found if key.startswith(start)]

    def validator(self, key: str) -> Hashable | None:
        found = self._ask("head", key, lambda values: values.get(key))
        return None if found is None else found[1]

    def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
        def answer(values: dict[str, Any]) -> bool:
            same = values.get(key, (b"", None))[1] == token
            if same:
                self._put(values, key, value)
            return same

        swapped: bool = self._ask("swap", key, answer)
        return swapped


class WithoutDeletes(Shared):
    """A store like those of the clouds, which do not compare when they delete."""

    swaps_deletes = False


class Cloud(ObjectStore):
    """A store on S3, which calls ``on`` before each request."""

    on: Callable[[str, str], object] = staticmethod(lambda *_: None)

    def _request(self, attempt: Any, key: str, decided: Any = None, **how: Any) -> Any:
        self.on("ask", key)
        return super()._request(attempt, key, decided, **how)

    def _find_place(self) -> place.Place:
        return place.own()


FORMAT: dict[str, Any] = {"compressors": None, "chunks": 4, "fill_value": -1}
START = np.arange(10, dtype="i4") + 1
VERBS: dict[str, Callable[[Any], Any]] = {
    "append": lambda z: z.append([70, 71, 72]),
    "append chunks": lambda z: z.append(np.arange(80, 90, dtype="i4")),
    "grow": lambda z: z.resize(17),
    "shrink": lambda z: z.resize(5),
    "write": lambda z: z.__setitem__(slice(1, 7), 50),
    "write the end": lambda z: z.__setitem__(slice(7, 10), 60),
    "attribute": lambda z: z.attrs.__setitem__("x", 1),
}
REMOVALS: dict[str, Callable[[Any], Any]] = {
    "delete": lambda z: zarr.open_group(z.store, mode="r+").__delitem__("a"),
    "overwrite": lambda z: zarr.create_array(
        z.store, name="a", data=np.full(12, 5, "i4"), overwrite=True, **FORMAT
    ),
}
# A chunk that is stored late ends in the new array.
SPLIT = {("write", "overwrite"), ("write the end", "overwrite")}
CHANGES = ("append", "append chunks", "grow", "shrink")
PAIRS = [
    pair
    for pair in itertools.product(VERBS, VERBS)
    if not {*pair}.isdisjoint((*CHANGES, "attribute"))
]


class Left(NamedTuple):
    """What two writers leave."""

    elements: Any
    attributes: Any
    results: tuple[Any, Any]
    grown: Any


def result_of(verb: str, array: Any) -> Any:
    try:
        found = (VERBS | REMOVALS)[verb](array)
    except BaseZarrError as error:
        return type(error).__name__
    return None if verb in REMOVALS else found


class Meeting:
    """Two writers of one array, made anew for each interleaving."""

    def __init__(self, new: Callable[[], Callable[[], Any]], pair: tuple[str, str]) -> None:
        self.pair = pair
        self.open = new()
        zarr.create_array(self.open(), name="a", data=START, **FORMAT)
        self.stores = self.open(), self.open()
        self.arrays = [zarr.open_array(store, path="a", mode="r+") for store in self.stores]

    def left(self, results: tuple[Any, Any]) -> Left:
        if not {*self.pair}.isdisjoint(REMOVALS):
            results = (None, None)
        try:
            found = zarr.open_array(self.open(), path="a", mode="r+")
        except BaseZarrError:
            made = zarr.create_array(self.open(), name="a", shape=30, dtype="i4", **FORMAT)
            return Left(None, None, results, made[:].tolist())
        elements, attributes = found[:].tolist(), dict(found.attrs)
        found.resize(30)
        return Left(elements, attributes, results, found[:].tolist())

    def order(self, *roles: int) -> Left:
        results = [None, None]
        for role in roles:
            results[role] = result_of(self.pair[role], self.arrays[role])
        return self.left((results[0], results[1]))

    def meet(self, at: int) -> Left | None:
        """Stop the first writer before a request; return None if it makes fewer requests."""
        told: SimpleQueue[str] = SimpleQueue()
        go, requests = threading.Event(), itertools.count()
        results: list[Any] = [None, None]

        def stop(*_: str) -> None:
            if next(requests) == at:
                told.put("stopped")
                wait_for(go)

        def wait(_: float) -> None:
            told.put("waits")
            wait_for(go)

        def run(role: int) -> None:
            results[role] = result_of(self.pair[role], self.arrays[role])
            told.put("ended")

        self.stores[0].on = stop
        first, second = (threading.Thread(target=run, args=(role,)) for role in (0, 1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stopping, "pause", wait)
            first.start()
            stopped = told.get(timeout=PATIENCE) == "stopped"
            second.start()
            told.get(timeout=PATIENCE)
            go.set()
            join(first, second)
        self.stores[0].on = lambda *_: None
        return self.left((results[0], results[1])) if stopped else None


def check_all(new: Callable[[], Callable[[], Any]], pair: tuple[str, str]) -> int:
    """Try all interleavings of a pair, and return their number."""
    orders = [Meeting(new, pair).order(*roles) for roles in ((0, 1), (1, 0))]
    for at in itertools.count():
        found = Meeting(new, pair).meet(at)
        if found is None:
            return at
        assert found in orders, f"{pair}, stopped before request {at}"
    raise AssertionError


def on_server(kind: type[Shared]) -> Callable[[], Callable[[], Any]]:
    def new() -> Callable[[], Any]:
        server = Server()
        return lambda: kind(server)

    return new


@pytest.mark.parametrize("kind", [Shared, WithoutDeletes])
@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_two_writers_leave_what_one_of_both_orders_leaves(kind: Any, pair: Any) -> None:
    assert check_all(on_server(kind), pair) > 2


@pytest.mark.parametrize("kind", [Shared, WithoutDeletes])
@pytest.mark.parametrize(
    "pair",
    [
        pair
        for one, other in itertools.product(REMOVALS, VERBS)
        for pair in ((one, other), (other, one))
        if pair not in SPLIT
    ],
    ids=" + ".join,
)
def test_an_array_is_deleted_or_replaced_before_or_after_it_is_changed(
    kind: Any, pair: Any
) -> None:
    assert check_all(on_server(kind), pair) > 2


@pytest.mark.parametrize(
    "pair",
    [("append", "shrink"), ("shrink", "append"), ("grow", "append chunks"), ("append", "append")],
    ids=" + ".join,
)
def test_two_writers_on_s3_leave_what_one_of_both_orders_leaves(s3: Any, pair: Any) -> None:
    numbers = itertools.count()

    def new() -> Callable[[], Any]:
        url = f"{s3.url}/{next(numbers)}"
        return lambda: Cloud(url, storage_options=s3.obstore())

    assert check_all(new, pair) > 2
