"""Awaited calls: what runs where, what is under way when an await ends, and what cannot wait."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import PATIENCE, join, wait_for

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.errors import TransactionError
from fastzarr.stores import LocalStore, Store
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

COUNT = 40
# More than the engine takes to ask whether a call has been stopped.
LONG = 0.03


class Gated(Store):
    """A store of four methods, whose calls for chunks wait for a gate.

    ``entered`` is set when a call waits there. ``begun`` are the changes that have begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}
        self.begun: list[str] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.held = "c/"

    def _wait(self, key: str) -> None:
        if self.held in key and not self.gate.is_set():
            self.entered.set()
            wait_for(self.gate)
            threading.Event().wait(LONG)

    def _get(self, key: str) -> bytes | None:
        self._wait(key)
        return self.stored.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.begun.append(key)
        self._wait(key)
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.begun.append(key)
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.stored if not prefix or key.startswith(f"{prefix}/")]

    def close_gate(self) -> None:
        """Let the calls that follow wait."""
        self.entered.clear()
        self.gate.clear()

    async def until_entered(self) -> None:
        """Wait until a call waits at the gate."""
        await asyncio.to_thread(wait_for, self.entered)


class Single(Gated):
    """A store that gets one request at a time."""

    concurrency = 1


def filled(store: Store, **words: Any) -> zarr.Array:
    """Create an array of many chunks."""
    words = {"data": np.arange(COUNT), "chunks": 1} | words
    return zarr.create_array(store, **words)


def error_of(call: Callable[[], Any]) -> Exception | None:
    """Return the error that a call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  (any error is compared)
        return error
    pytest.fail("no error is raised")


async def ticks(count: int = 10) -> None:
    """Let the event loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Wait for a task that has been cancelled."""
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.usefixtures("data_path")
def test_the_event_loop_runs_while_a_read_is_awaited() -> None:
    store = Gated()
    z = filled(store)

    async def main() -> Any:
        store.close_gate()
        reading = asyncio.create_task(z.getitem_async(3))
        await store.until_entered()
        await ticks()
        assert not reading.done()
        store.gate.set()
        return await reading

    assert asyncio.run(main()) == 3


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", [Gated, Single])
def test_a_cancelled_read_leaves_the_memory_of_its_caller(kind: type[Gated]) -> None:
    store = kind()
    z = filled(store)

    async def main() -> None:
        out = np.full(COUNT, -1)
        store.close_gate()
        reading = asyncio.create_task(z.get_basic_selection_async(..., out=out))
        await store.until_entered()
        reading.cancel()
        if kind is Single:
            await ticks()
            assert not reading.done()
            store.gate.set()
        # Requests that run ahead end on their own, and nobody takes what they bring.
        await cancelled(reading)
        after = out.copy()
        assert (after == -1).any()
        out[:] = -2
        store.gate.set()
        await asyncio.to_thread(zarr.cleanup_resources)
        assert (out == -2).all()

    asyncio.run(main())


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("twice", [False, True])
def test_nothing_is_written_after_a_cancelled_write(twice: bool) -> None:
    store = Single()
    z = filled(store)

    async def main() -> int:
        store.begun.clear()
        store.close_gate()
        writing = asyncio.create_task(z.setitem_async(..., -np.arange(COUNT)))
        await store.until_entered()
        writing.cancel()
        await ticks()
        if twice:
            writing.cancel()
            await ticks()
        assert not writing.done()
        store.gate.set()
        await cancelled(writing)
        return len(store.begun)

    begun = asyncio.run(main())
    assert begun < COUNT
    zarr.cleanup_resources()
    assert len(store.begun) == begun
    # The chunk of the element 0 is deleted, because it has the fill value.
    assert sum(z[:] < 0) == begun - 1
    np.testing.assert_array_equal(np.abs(z[:]), np.arange(COUNT))


def test_nothing_is_appended_after_a_cancelled_append() -> None:
    store = Single()
    z = filled(store)

    async def main() -> None:
        store.close_gate()
        appending = asyncio.create_task(z.append_async(np.arange(COUNT)))
        await store.until_entered()
        appending.cancel()
        await ticks()
        assert not appending.done()
        store.gate.set()
        await cancelled(appending)

    asyncio.run(main())
    assert zarr.open_array(store).shape == (COUNT,)


@pytest.mark.parametrize("mode", ["a", "w"])
@pytest.mark.parametrize("verb", [zarr.open_async, zarr.open_array_async])
def test_nothing_is_created_by_a_cancelled_open(verb: Any, mode: str) -> None:
    store = Single()
    store.held = "zarr.json"

    async def main() -> None:
        store.close_gate()
        opening = asyncio.create_task(verb(store, mode, path="a", shape=3, dtype="i4"))
        await store.until_entered()
        opening.cancel()
        await ticks()
        assert not opening.done()
        store.gate.set()
        await cancelled(opening)

    asyncio.run(main())
    assert store.stored == {}


def test_a_cancelled_creation_deletes_its_data() -> None:
    store = Single()

    async def main() -> None:
        store.close_gate()
        data = np.arange(1, COUNT)
        creating = asyncio.create_task(zarr.create_array_async(store, data=data, chunks=1))
        await store.until_entered()
        creating.cancel()
        store.gate.set()
        await cancelled(creating)

    asyncio.run(main())
    assert store.begun
    assert store.stored == {}


def test_a_call_that_has_not_begun_never_does() -> None:
    store = Gated()
    z = filled(store)

    async def main() -> None:
        store.close_gate()
        first = asyncio.create_task(z.getitem_async(0))
        await store.until_entered()
        second = asyncio.create_task(z.setitem_async(0, 7))
        await ticks()
        second.cancel()
        await cancelled(second)
        store.gate.set()
        assert await first == 0

    with config.set({"fetch.concurrency": 1}):
        asyncio.run(main())
    zarr.cleanup_resources()
    assert z[0] == 0


def test_a_coroutine_that_is_closed_stops_its_call() -> None:
    store = Single()
    z = filled(store)
    store.begun.clear()
    store.close_gate()

    async def main() -> None:
        writing = z.setitem_async(..., -np.arange(COUNT))
        writing.send(None)
        await store.until_entered()
        writing.close()

    asyncio.run(main())
    store.gate.set()
    zarr.cleanup_resources()
    assert len(store.begun) < COUNT


@pytest.mark.skipif(os.name != "posix", reason="a signal is sent to this process")
def test_a_write_has_settled_when_ctrl_c_ends_its_event_loop() -> None:
    store = Single()
    z = filled(store)

    async def main() -> None:
        store.begun.clear()
        store.close_gate()
        writing = asyncio.create_task(z.setitem_async(..., -np.arange(COUNT)))
        await store.until_entered()
        loop = asyncio.get_running_loop()
        loop.call_soon(signal.raise_signal, signal.SIGINT)
        # The interrupt cancels this task, and the end of the loop the other one.
        loop.call_later(LONG, store.gate.set)
        await writing

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    begun = len(store.begun)
    assert begun < COUNT
    zarr.cleanup_resources()
    assert len(store.begun) == begun


@pytest.mark.usefixtures("data_path")
def test_errors_are_those_of_the_plain_verbs() -> None:
    store = Gated()
    z, root = filled(store, name="a"), zarr.open_group(store)
    frozen = zarr.open_array(store, "r", path="a")
    store.stored["a/c/5"] = b"garbage"
    cases: list[tuple[Callable[[], Any], Callable[[], Awaitable[Any]]]] = [
        (lambda: z[COUNT], lambda: z.getitem_async(COUNT)),
        (lambda: z[:], lambda: z.getitem_async(...)),
        (lambda: z.__setitem__(..., [1, 2]), lambda: z.setitem_async(..., [1, 2])),
        (lambda: frozen.__setitem__(0, 1), lambda: frozen.setitem_async(0, 1)),
        (lambda: z.append([[1]]), lambda: z.append_async([[1]])),
        (lambda: z.resize("a"), lambda: z.resize_async("a")),  # type: ignore[call-overload]
        (lambda: root["b"], lambda: root.getitem_async("b")),
        (lambda: root.create_group("a"), lambda: root.create_group_async("a")),
        (lambda: zarr.open(store, "r", path="b"), lambda: zarr.open_async(store, "r", path="b")),
    ]

    async def main(awaited: Callable[[], Awaitable[Any]]) -> None:
        await awaited()

    for plain, awaited in cases:
        expected, found = error_of(plain), error_of(lambda call=awaited: asyncio.run(main(call)))
        assert type(found) is type(expected)
        assert str(found) == str(expected)


def test_an_interrupt_that_a_store_raises_is_raised() -> None:
    class Interrupting(Gated):
        def _wait(self, key: str) -> None:
            if self.held in key and not self.gate.is_set():
                raise KeyboardInterrupt

    store = Interrupting()
    z = filled(store)
    store.gate.clear()

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await z.getitem_async(0)

    asyncio.run(main())


def test_calls_see_the_context_of_their_caller() -> None:
    user: ContextVar[str] = ContextVar("user")

    class Personal(Gated):
        def _get(self, key: str) -> bytes | None:
            self.begun.append(user.get("nobody"))
            return super()._get(key)

    store = Personal()
    z = filled(store)

    async def read(name: str) -> None:
        user.set(name)
        await z.getitem_async(0)

    async def main() -> None:
        await asyncio.gather(read("a"), read("b"))

    store.begun.clear()
    asyncio.run(main())
    assert sorted(store.begun) == ["a", "b"]


def test_several_loops_await_at_the_same_time() -> None:
    z = filled(Gated())
    together = threading.Barrier(4, timeout=100)
    found: list[Any] = []

    async def main() -> None:
        together.wait()
        found.append(await asyncio.gather(*[z.getitem_async(i) for i in range(COUNT)]))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert [[int(each) for each in one] for one in found] == [list(range(COUNT))] * 4


class Nested(Store):
    """A store whose values are elements of an array, which it awaits in one of several ways."""

    def __init__(self, inner: zarr.Array, how: str) -> None:
        super().__init__()
        self.inner, self.how = inner, how
        self.loop: asyncio.AbstractEventLoop | None = None
        self.documents: dict[str, bytes] = {}
        if how == "awaits":
            self.fetch_async = self._fetch_async

    async def _await(self, key: str) -> bytes:
        return bytes([await self.inner.getitem_async(int(key.rpartition("/")[2]))])

    async def _fetch_async(self, wanted: Request) -> Value | None:
        if "c/" not in wanted.key:
            found = self.documents.get(wanted.key)
            return None if found is None else Value(found)
        return Value(await self._await(wanted.key))

    def _get(self, key: str) -> bytes | None:
        if "c/" not in key:
            return self.documents.get(key)
        if self.how == "asks the loop of the caller" and self.loop is not None:
            return asyncio.run_coroutine_threadsafe(self._await(key), self.loop).result(PATIENCE)
        if self.how == "awaits":
            from fastzarr.stores.loop import wait

            return wait(self._await(key))
        return asyncio.run(self._await(key))

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.documents[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.documents.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.documents if not prefix or key.startswith(f"{prefix}/")]


@pytest.mark.parametrize("how", ["runs a loop", "asks the loop of the caller", "awaits"])
@pytest.mark.parametrize("limit", [1, 2, 64])
def test_a_store_may_await_when_all_threads_are_busy(how: str, limit: int) -> None:
    innermost = filled(Gated(), data=np.arange(COUNT, dtype="u1"))
    store = Nested(innermost, how)
    words: dict[str, Any] = {"chunks": 1, "dtype": "u1", "compressors": None, "shape": COUNT}
    z = zarr.create_array(store, **words)
    outer = Nested(z, how)
    outermost = zarr.create_array(outer, **words)

    async def main() -> list[Any]:
        store.loop = outer.loop = asyncio.get_running_loop()
        single = [outermost.getitem_async(i) for i in range(COUNT)]
        return await asyncio.gather(*single, outermost.getitem_async(...))

    with config.set({"fetch.concurrency": limit}):
        *singles, whole = asyncio.run(main())
    assert [int(each) for each in singles] == list(range(COUNT))
    np.testing.assert_array_equal(whole, np.arange(COUNT))


class Mirroring(Gated):
    """A store that awaits that another array is written before it stores a chunk."""

    def __init__(self, inner: zarr.Array, how: str, concurrency: int | None) -> None:
        super().__init__()
        self.inner, self.how, self.concurrency = inner, how, concurrency
        self.loop: Any = None

    async def _await(self, key: str) -> None:
        number = int(key.rpartition("/")[2])
        await self.inner.setitem_async(slice(4 * number, 4 * number + 4), number)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        if "c/" in key:
            if self.how == "asks the loop of the caller":
                asyncio.run_coroutine_threadsafe(self._await(key), self.loop).result(PATIENCE)
            else:
                asyncio.run(self._await(key))
        super()._set(key, value)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("how", ["runs a loop", "asks the loop of the caller"])
@pytest.mark.parametrize("concurrency", [1, None])
@pytest.mark.parametrize("limit", [1, 2, 64])
def test_a_store_may_await_writes_when_all_threads_are_busy(
    how: str, concurrency: int | None, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastzarr.engine.awaited._PATIENCE", 0.01)
    words: dict[str, Any] = {"chunks": 1, "dtype": "u1", "compressors": None, "fill_value": 99}
    inner = zarr.create_array(Gated(), shape=4 * COUNT, **words)
    store = Mirroring(inner, how, concurrency)
    outer = zarr.create_array(store, shape=COUNT, **words)

    async def main() -> None:
        store.loop = asyncio.get_running_loop()
        half = COUNT // 2
        parts = [outer.setitem_async(slice(at, at + half), at) for at in (0, half)]
        await asyncio.gather(*parts)

    with config.set({"fetch.concurrency": limit, "threading.max_workers": 2}):
        asyncio.run(main())
    np.testing.assert_array_equal(inner[...], np.arange(COUNT).repeat(4))
    assert set(outer[...].tolist()) == {0, COUNT // 2}


def test_a_call_that_waits_gets_no_thread_while_others_end() -> None:
    threads = set()

    class Naming(Gated):
        def _get(self, key: str) -> bytes | None:
            threads.add(threading.current_thread().name)
            return super()._get(key)

    z = filled(Naming())

    async def main() -> None:
        await asyncio.gather(*[z.getitem_async(number) for number in range(COUNT)])

    threads.clear()
    with config.set({"fetch.concurrency": 2}):
        asyncio.run(main())
    assert all(name.startswith("fastzarr-call") for name in threads)
    assert len(threads) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_awaits_work_in_a_forked_child() -> None:
    store = Gated()
    z = filled(store)
    assert asyncio.run(z.getitem_async(0)) == 0
    store.close_gate()

    def forked() -> int:
        child = os.fork()
        if not child:
            store.gate = threading.Event()
            store.gate.set()
            os._exit(0 if asyncio.run(z.getitem_async(2)) == 2 else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async def busy() -> None:
        reading = asyncio.create_task(z.getitem_async(1))
        await store.until_entered()
        assert await asyncio.to_thread(forked) == 0
        store.gate.set()
        assert await reading == 1

    asyncio.run(busy())


def test_an_await_in_a_transaction_of_its_thread_is_refused(tmp_path: Any) -> None:
    root = zarr.open_group(LocalStore(tmp_path))
    root["a"] = np.arange(3)

    async def main() -> None:
        z = root["a"]
        assert isinstance(z, zarr.Array)
        with root.transaction():
            for call in (
                z.setitem_async(0, 7),
                z.getitem_async(0),
                root.keys_async(),
                zarr.open_async(root.store),
                zarr.open_async(store=root.store_path),
                zarr.copy_async(zarr.array([1]), root, name="b"),
                zarr.create_async(3, store=root.store, path="b"),
            ):
                with pytest.raises(TransactionError, match="use the plain method"):
                    await call
        await z.setitem_async(0, 7)

    asyncio.run(main())
    assert root["a"][0] == 7  # type: ignore[index]
