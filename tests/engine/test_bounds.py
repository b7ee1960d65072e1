"""What is under way in the process, for reads and writes together."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from asked import AskedStore
from waits import join, until, wait_for

import fastzarr as zarr
from fastzarr.engine.bounds import bounds
from fastzarr.stores import MemoryStore
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

COUNT = 40
pytestmark = pytest.mark.usefixtures("data_path")


class Remote(AskedStore):
    """A store that counts the chunks under way at once."""

    def __init__(self, stored: dict[str, bytes] | None = None) -> None:
        super().__init__(stored)
        self.under_way: list[str] = []
        self.most = 0
        self.most_bytes = 0

    def begin(self, verb: str, key: str) -> None:
        self.under_way += [verb] * ("c/" in key)
        self.most = max(self.most, len(self.under_way))

    def end(self, verb: str, key: str) -> None:
        if "c/" in key:
            self.under_way.remove(verb)


class Awaiting(Remote):
    """A store whose requests are awaited."""

    async def fetch_async(self, wanted: Request) -> Value | None:
        found = self._get(wanted.key)
        return None if found is None else Value(found)


class Batching(Remote):
    """A store that sets and gets several values at once."""

    batch = 4

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        for index, request in enumerate(wanted):
            found = self._get(request.key)
            yield index, None if found is None else Value(found)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        many = list(values)

        def answer() -> None:
            self.stored.update({key: bytes(value) for key, value in many if value is not None})

        self._ask("set", many[0][0], answer)


KINDS = [Remote, Awaiting, Batching]


def arrays(kind: Any, count: int = COUNT) -> tuple[Any, Any, Any]:
    """Return a store, a full array of chunks of 1 KiB, and an empty one."""
    store = kind()
    options: dict[str, Any] = {"shape": count * 128, "chunks": 128, "dtype": "i8"}
    options |= {"fill_value": -1, "compressors": None}
    full, empty = (zarr.create_array(store, name=name, **options) for name in ("full", "empty"))
    full[...] = numbers(count)
    store.most = 0
    return store, full, empty


def numbers(count: int = COUNT) -> Any:
    return np.arange(count * 128)


def together(*tasks: Callable[[], object]) -> None:
    """Run tasks on a thread each, and raise what they raise."""
    raised: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  (raised below)
            raised.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    join(*threads)
    if raised:
        raise raised[0]


def check_reads(array: Any) -> Callable[[], object]:
    def read() -> None:
        for _ in range(3):
            assert np.array_equal(array[...], numbers())

    return read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [1, 2, 8])
@pytest.mark.parametrize("size", [1, 64 << 20])
def test_reads_and_writes_have_one_bound(kind: Any, most: int, size: int) -> None:
    store, full, empty = arrays(kind)

    def write() -> None:
        for sign in (1, -1):
            empty[...] = sign * numbers()
            # A part of each chunk, which is read to be changed.
            empty[::128] = 5

    with zarr.config.set({"fetch.concurrency": most, "fetch.bytes": size}):
        together(check_reads(full), write, check_reads(full), write)
    # A single request of each call for a document may come beside them.
    assert store.most <= most
    expected = -numbers()
    expected[::128] = 5
    assert np.array_equal(empty[...], expected)


def test_as_many_are_under_way_as_there_may_be() -> None:
    store, full, empty = arrays(Remote)
    barrier, first = threading.Barrier(8, timeout=100), iter(range(8))

    def meet(_: str, key: str) -> None:
        if "c/" in key and next(first, None) is not None:
            barrier.wait()

    store.on = meet
    with zarr.config.set({"fetch.concurrency": 8}):
        together(check_reads(full), lambda: empty.__setitem__(..., numbers()))
    assert store.most == 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["get", "set"])
def test_reads_and_writes_begin_in_turn(
    kind: Any, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one place, a long call does not keep another one waiting until its end."""
    store, full, empty = arrays(kind)
    order: list[str] = []
    begun, ended = threading.Event(), threading.Event()

    def waits() -> object:
        """Whether the other call has asked for a place, and will be told of the next one."""
        return bounds.reads_wait if first == "set" else bounds._freed._waiting  # noqa: SLF001

    def on(verb: str, key: str) -> None:
        if "c/" in key:
            order.append(verb)
            begun.set()
            if verb == first:
                until(lambda: waits() or ended.is_set())

    def long() -> None:
        with monkeypatch.context() as patch:
            if first == "get":
                # A write whose thread does not run for so long loses its turn.
                patch.setattr("fastzarr.engine.bounds.LOOK", 2)
            tasks[0]()

    def other() -> None:
        wait_for(begun)
        try:
            tasks[-1]()
        finally:
            ended.set()

    tasks = [check_reads(full), lambda: empty.__setitem__(..., numbers())]
    if first == "set":
        tasks.reverse()
    store.on = on
    with bounds.lock:
        # Whoever has waited in other tests waits no more.
        bounds.no_read()
        bounds._freed.notify()  # noqa: SLF001
    with zarr.config.set({"fetch.concurrency": 1}):
        together(long, other)
    # Four chunks may be encoded for a batch, each of them after four were read.
    assert len(set(order[:30])) == 2


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_store_may_read_and_write_arrays_while_it_is_written(kind: Any, most: int) -> None:
    _, other, target = arrays(Remote, 8)

    class Deriving(kind):  # type: ignore[misc]
        """A store whose values are checked with another array, and mirrored."""

        def _get(self, key: str) -> bytes | None:
            if "c/" in key:
                assert np.array_equal(other[...], numbers(8))
            found: bytes | None = super()._get(key)
            return found

        def _set(self, key: str, value: bytes | memoryview) -> None:
            if "c/" in key:
                assert np.array_equal(other[...], numbers(8))
                target[...] = numbers(8)
                target[::128] = 3
            super()._set(key, value)

    with zarr.config.set({"fetch.concurrency": most}):
        _, full, empty = arrays(Deriving)
        together(
            check_reads(full),
            lambda: empty.__setitem__(..., numbers()),
            lambda: full.__setitem__(slice(None, None, 128), numbers()[::128]),
        )
    assert np.array_equal(empty[...], numbers())


def test_chunks_that_are_encoded_have_the_bound_of_bytes() -> None:
    """Eight calls with many threads each do not hold eight times as much."""
    store, _, empty = arrays(Remote, 64)
    with zarr.config.set({"fetch.bytes": 8 << 10, "threading.max_workers": 2}):

        def write(part: int) -> None:
            size = empty.size // 8
            at = slice(part * size, (part + 1) * size)
            empty[at] = numbers(64)[at]

        together(*(lambda part=part: write(part) for part in range(8)))
    # Of 8 KiB there are places for 4 chunks, encoded and decoded, and each call may have one more.
    assert store.most <= 4 + 8
    assert np.array_equal(empty[...], numbers(64))


def test_a_place_that_was_lost_is_given_to_others() -> None:
    class Failing(Remote):
        def turn(self, key: str) -> Any:
            if "c/" in key:
                raise KeyboardInterrupt
            return super().turn(key)

    _, full, empty = arrays(Remote)
    failing = zarr.create_array(Failing(), shape=512, chunks=128, dtype="i8")
    with zarr.config.set({"fetch.concurrency": 1}):
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                failing[...] = numbers(4)
        empty[...] = numbers()
        assert np.array_equal(full[...], numbers())
    assert np.array_equal(empty[...], numbers())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix systems only")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_its_own_places() -> None:
    store, full, empty = arrays(Remote)
    children: list[int] = []

    def fork(verb: str, key: str) -> None:
        if verb == "set" and "c/" in key and not children:
            children.append(0)
            children[0] = os.fork()
            if not children[0]:
                store.on = lambda *_: None
                store.lock = threading.Lock()
                full[...] = -numbers()
                os._exit(3 if np.array_equal(full[...], -numbers()) else 4)

    store.on = fork
    with zarr.config.set({"fetch.concurrency": 1}):
        empty[...] = numbers()
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 3
    assert np.array_equal(empty[...], numbers())


def test_values_at_hand_need_no_place() -> None:
    store, full, _ = arrays(Remote)
    memory = zarr.create_array(MemoryStore(), shape=1024, chunks=128, dtype="i8")

    def write(verb: str, _: str) -> None:
        if verb == "get":
            memory[...] = numbers(8)
            assert np.array_equal(memory[...], numbers(8))

    store.on = write
    with zarr.config.set({"fetch.concurrency": 1}):
        assert np.array_equal(full[...], numbers())
