"""Requests to a store that run ahead of their use, on threads of their own or on its event loop.

Rules of this file:

* The requests under way, and the values that are fetched but not taken, have the bounds of the
  process (``bounds.py``). Before a value has come, the most that it may have is counted.
* Requests are sent in the order of their numbers; those of several ``Requests`` take turns. Values
  are taken in the order in which they come.
* After an error no more requests are sent, unless it is one for which they may be repeated alone.
* A thread that makes requests counts an answer and finds its next request in one step, because each
  step may wait for the interpreter's lock. Small values are handed over several at once.
* Only threads that no signal interrupts change what is counted for the process. What a caller has
  not taken is given back when its ``Requests`` end, however they end, or when nothing refers to
  them any more. Requests that are under way then have nobody who waits for them.
* A request that is made while a thread makes another one or writes a chunk, by the store itself,
  runs on that thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextvars import ContextVar
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import ref

from fastzarr.buffers import as_view, nbytes
from fastzarr.config import config
from fastzarr.engine.bounds import bounds
from fastzarr.engine.failures import is_scarcity
from fastzarr.stores import stopping
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.ranges import answered, only
from fastzarr.stores.threads import shared
from fastzarr.stores.users import Inbox

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # The number of a request, its answer, and the bytes of that.
    _Come = tuple[int, Any, int]

T = TypeVar("T")

# How long a thread waits for a value before it looks whether it should still wait.
_LOOK = 0.02
# The most bytes that the documents of most nodes have.
_DOCUMENT = 1 << 14

# Whether the code runs for an awaited call, or for a store that answers a request.
INSIDE: ContextVar[bool] = ContextVar("fastzarr-inside", default=False)


class _Threads:
    """What the threads that make requests have to do, and what is under way in this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = bounds.lock
        bounds.resume = self.restart
        #: Those with requests that are not sent.
        self.queue: deque[ref[Requests]] = deque()
        self.here = threading.local()

    def add(self, requests: Requests, count: int) -> None:
        """Send as many requests as there may be, and the others later."""
        if count and not requests.stopped:
            if ref(requests) not in self.queue:
                self.queue.append(ref(requests))
            bounds.count(requests)
            self.start(requests, -(-count // requests.batch))

    def start(self, requests: Requests, count: int) -> None:
        """Send requests, up to a number of them at once."""
        if requests.awaited:
            from fastzarr.stores import loop

            loop.begin(self.send)
            return
        most = max(int(config.flat["fetch.concurrency"]), 1)
        for _ in range(min(count, most, requests.most)):
            if not _fetching.submit(self.work, most):
                # Whoever takes the values makes the requests.
                requests.alone = True
                return

    def restart(self, *, awaited: bool | None = None) -> None:
        """Send more requests, of one kind or of both, because there is room for them."""
        living = [found for one in self.queue if (found := one()) is not None]
        kinds = {one.awaited: one for one in living if awaited in (None, one.awaited)}
        if not living:
            bounds.no_read()
        for requests in kinds.values():
            self.start(requests, 1)

    def next(self, *, awaited: bool) -> tuple[Requests, list[int]] | None:
        """Return the requests to be sent now, of those that are ``awaited`` or of the others."""
        if not self.queue:
            bounds.no_read()
            return None
        if not bounds.may_read():
            return None
        room, starved, others = bounds.room(), False, False
        for _ in range(len(self.queue)):
            one = self.queue.popleft()
            requests = one()
            if requests is None or requests.stopped or requests.sent == requests.count:
                continue
            self.queue.append(one)
            if requests.awaited is not awaited:
                others = True
                continue
            if requests.under_way >= requests.most:
                continue
            numbers = requests.send(room)
            if numbers:
                requests.under_way += 1
                bounds.begin_read()
                return requests, numbers
            starved = True
        # Those of the other kind look for themselves whether they are starved.
        bounds.no_read(starved=starved or (others and bounds.reads_wait))
        return None

    def finish(self, requests: Requests) -> None:
        """Count a request that has been answered."""
        requests.under_way -= 1
        bounds.end_read()
        if requests.ended and not requests.under_way:
            bounds.forget(requests)
        for one in self.queue:
            other = one()
            if other is not None and other.awaited is not requests.awaited:
                self.restart(awaited=other.awaited)
                return

    def work(self) -> None:
        """Make requests, on a thread of the executor, as long as there are some to be sent."""
        self.here.busy = True
        INSIDE.set(True)
        with self.lock:
            job = self.next(awaited=False)
        while job is not None:
            requests, numbers = job
            answers = requests.ask(numbers)
            with self.lock:
                for number, value in answers:
                    requests.count_in(number, value)
                self.finish(requests)
                job = self.next(awaited=False)
                come = requests.due(whole=len(numbers) > 1)
            if come:
                requests.arrived.put(come)

    def send(self) -> None:
        """Make requests as tasks of the event loop, on its thread."""
        import asyncio

        from fastzarr.stores.loop import is_stopping

        INSIDE.set(True)
        while True:
            with self.lock:
                if is_stopping():  # the others are awaited on the next loop
                    self.restart(awaited=True)
                    return
                job = self.next(awaited=True)
            if job is None:
                return
            requests, (number,) = job
            task = asyncio.get_running_loop().create_task(requests.ask_async(number))
            requests.tasks[task] = number
            task.add_done_callback(requests.settle)

    def end(self, requests: Requests) -> None:
        with self.lock:
            requests.stopped = requests.ended = True
            requests.waiting, requests.ready = 0, []
            if not requests.under_way:
                bounds.forget(requests)
            bounds.restart()


_fetching = shared("fastzarr-fetch")
_threads = _Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.reset)


class Requests:
    """Numbered requests to a store; their values are taken as they come.

    ``request(number)`` returns a request and ``size(number)`` the most bytes that its value has, as
    far as is known. ``missed(request)`` is called for each value that is missing. ``end`` must
    always be called.
    """

    def __init__(
        self,
        store: Store,
        count: int,
        request: Callable[[int], Request],
        size: Callable[[int], int],
        missed: Callable[[Request], None] | None = None,
        *,
        awaited: bool | None = None,
        together: int = 0,
    ) -> None:
        """Initialise, and send as many requests as there may be.

        Values are handed over when there are ``together`` bytes of them, or no others will come.
        """
        self.store, self.count = store, count
        self.request, self.size, self.missed = request, size, missed
        self.awaited = store.fetch_async is not None if awaited is None else awaited
        #: The most requests in one call of ``fetch``, and the most calls at once.
        self.batch = 1 if self.awaited else store.batch
        self.most = store.concurrency or sys.maxsize
        self.sent = self.under_way = 0
        #: The most bytes of the values that will come, and those that are not taken yet.
        self.flying = self.waiting = 0
        #: Whether the thread that takes values also makes the requests.
        self.alone = False
        #: Whether no more requests are sent, and whether nothing is taken any more.
        self.stopped = self.ended = False
        #: What has come, with its bytes, and what has not been handed over yet.
        self.arrived: Inbox[list[_Come]] = Inbox()
        self.together = 0 if self.awaited else together
        self.ready: list[_Come] = []
        self.ready_bytes = 0
        self.tasks: dict[Task[None], int] = {}
        self.lock = _threads.lock
        try:
            with self.lock:
                _threads.add(self, count)
        except BaseException:
            # An interrupt, after which nobody has this object to end it.
            self.end()
            raise

    def extend(self, count: int) -> None:
        """Add more requests, whose numbers follow those of the others."""
        with self.lock:
            self.count += count
            _threads.add(self, count)

    def stop(self) -> None:
        """Send no more requests."""
        self.stopped = True

    def wake(self, count: int) -> None:
        """Let so many threads that wait for a value go on, with the number -1."""
        for _ in range(count):
            self.arrived.put([(-1, None, 0)])

    def send(self, room: int) -> list[int]:
        """Return the numbers of the requests to be sent next, if their values fit into ``room``."""
        numbers: list[int] = []
        while self.sent < self.count and len(numbers) < self.batch:
            size = self.size(self.sent)
            if size > room and (self.flying or self.waiting):
                break
            numbers.append(self.sent)
            self.sent += 1
            self.flying += size
            room -= size
        return numbers

    def ask(self, numbers: Sequence[int]) -> list[tuple[int, Any]]:
        """Make requests in one call of the store; return the answers that have not arrived."""
        if len(numbers) == 1:
            return [(numbers[0], self.answer(numbers[0]))]
        left = dict(enumerate(numbers))
        try:
            wanted = [self.request(number) for number in numbers]
            for at, value in answered(_fetch(self.store, wanted), len(wanted)):
                self.arrive(left.pop(at), self._checked(wanted[at], value))
        except BaseException as error:  # noqa: BLE001  (raised where it is taken)
            # Each is repeated alone, because the error does not tell which of them has failed. An
            # interrupt of a caller that makes requests itself ends all of them.
            if not self.ended and isinstance(error, Exception):
                for number in left.values():
                    self.arrive(number, self.answer(number))
            else:
                return [(number, error) for number in left.values()]
        return []

    def answer(self, number: int) -> Any:
        """Make a request; return its value, None if that is missing, or the error."""
        try:
            wanted = self.request(number)
            return self._checked(wanted, only(_fetch(self.store, (wanted,))))
        except BaseException as error:  # noqa: BLE001  (raised where it is taken)
            return error

    async def ask_async(self, number: int) -> None:
        """Make a request that is awaited."""
        try:
            wanted = self.request(number)
            fetch = self.store.fetch_async
            found = self._checked(wanted, None if fetch is None else await fetch(wanted))
        except Exception as error:  # noqa: BLE001  (raised where it is taken)
            found = error
        self.arrive(number, found)

    def settle(self, task: Task[None]) -> None:
        """Count a task that has ended, or was cancelled."""
        number = self.tasks.pop(task)
        if task.cancelled():
            self.arrive(number, RuntimeError("the event loop was stopped"))
        with self.lock:
            _threads.finish(self)
        _threads.send()

    def _checked(self, request: Request, value: Value | None) -> Any:
        """Return the value with a view of its bytes, None if it is missing, or an error."""
        try:
            if value is None:
                if self.missed is not None:
                    self.missed(request)
            elif type(value.data) is not bytes:
                return Value(as_view(memoryview(value.data)), value.token, value.size)
        except Exception as error:  # noqa: BLE001  (raised where it is taken)
            return error
        return value

    def arrive(self, number: int, value: Any) -> None:
        """Put a value, or the error of its request, where it is taken."""
        with self.lock:
            self.count_in(number, value)
            come = self.due()
        if come:
            self.arrived.put(come)

    def count_in(self, number: int, value: Any) -> None:
        """Count an answer, with the lock held."""
        size = self.size(number)
        self.flying -= size
        if self.ended:
            return
        held = 0
        if isinstance(value, Value):
            data: Any = value.data
            held = nbytes(data)
        if isinstance(value, BaseException) and not is_scarcity(value):
            self.stopped = True
        self.waiting += held
        self.ready.append((number, value, held))
        self.ready_bytes += max(size, held)

    def due(self, *, whole: bool = False) -> list[_Come]:
        """Return the answers that are to be handed over now, with the lock held.

        These are all if a call with several requests has ended, so that it is ``whole``.
        """
        few = self.ready_bytes < self.together and self.under_way and not self.stopped
        if few and not whole:
            return []
        come, self.ready, self.ready_bytes = self.ready, [], 0
        return come

    def take(self) -> list[tuple[int, Any]] | None:
        """Return numbers of requests with the bytes, None if they are missing, or the error.

        Each is returned once. Return None if nothing has come for some milliseconds.
        """
        return [
            (number, value.data if isinstance(value, Value) else value)
            for number, value, _ in self._take()
        ] or None

    def take_values(self) -> list[tuple[int, Any]]:
        """Return requests as ``take`` does, but the bytes as ``Value``; none if none have come."""
        return [(number, value) for number, value, _ in self._take()]

    def take_value(self) -> tuple[int, Any] | None:
        """Return one request as ``take`` does, but the bytes as a ``Value``.

        Values must not be handed over several at once.
        """
        for number, value, _ in self._take():
            return number, value
        return None

    def _take(self) -> list[_Come]:
        try:
            if self.alone and not self.arrived:
                self.ask_here()
            come = self.arrived.get(timeout=_LOOK)
        except Empty:
            if self.lock is not _threads.lock:
                msg = "the process was forked during the call"
                raise RuntimeError(msg) from None
            with self.lock:
                # Whoever kept this call waiting may have been stopped.
                bounds.restart()
                come, self.ready, self.ready_bytes = self.ready, [], 0
            if self.ended:
                msg = "the call has ended"
                raise RuntimeError(msg) from None
        if come:
            bounds.give_back(self, sum([held for _, _, held in come]))
        return come

    def ask_here(self) -> None:
        """Make the next request on this thread."""
        with self.lock:
            numbers = [] if self.stopped else self.send(0)
        for number, value in self.ask(numbers) if numbers else ():
            self.arrive(number, value)

    def end(self) -> None:
        """Send no more requests, and drop the values that have come."""
        if not self.ended and self.lock is _threads.lock:
            _threads.end(self)
            self.leave()

    def leave(self) -> None:
        """End without locks, which this thread may have: it may be collecting garbage."""
        self.stopped = self.ended = True
        if self.awaited and self.lock is _threads.lock:
            from fastzarr.stores.loop import soon

            soon(self._cancel)

    def _cancel(self) -> None:
        for task in tuple(self.tasks):
            task.cancel()


def runs_ahead(store: Store) -> bool:
    """Whether several requests to a store should be made by ``Requests``."""
    if store.concurrency == 1 or getattr(_threads.here, "busy", False):
        return False
    return not bounds.is_inside()


def alone(work: Callable[[], T]) -> T:
    """Return the result of a function whose requests run on this thread."""
    _threads.here.busy = True
    return work()


def loader(store: Store) -> Callable[[str], Any]:
    """Return a function that returns the value of a valid key or a view of it, None if missing."""
    if store.load is not None:
        return store.load

    def load(key: str) -> Any:
        found = only(_fetch(store, (Request(key),)))
        return None if found is None else found.data

    return load


def _fetch(store: Store, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
    """Return values as ``fetch`` does, for valid keys and without requests for tokens."""
    if getattr(store.fetch, "__func__", None) is not Store.fetch:
        return store.fetch(wanted)
    return _values(store, wanted)


def _values(store: Store, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
    for index, (key, start, length) in enumerate(wanted):
        if start or length is not None:
            parts = store.get_ranges(key, [(start, length)])
            yield index, None if parts is None else Value(parts[0])
        else:
            data = store.get_valid(key)
            yield index, None if data is None else Value(data, None, len(data))


def gather(store: Store, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
    """Return the index of each request with its value, as ``fetch`` of the store does.

    The requests are under way at once if the store is one to which that helps.
    """
    if len(wanted) < 2 or not runs_ahead(store):
        yield from answered(store.fetch(wanted), len(wanted))
        return
    most = config.flat["limits.document_bytes"]
    # What will come is unknown, but documents are small.
    requests = Requests(store, len(wanted), wanted.__getitem__, lambda _: min(most, _DOCUMENT))
    yield from _each(requests)


def _each(requests: Requests) -> Iterator[tuple[int, Any]]:
    """Return the value of each request as it comes, or raise its error, and end the requests."""
    try:
        left = requests.count
        while left:
            for number, value in requests.take_values():
                if isinstance(value, BaseException):
                    raise value
                left -= 1
                yield number, value
    except GeneratorExit:
        requests.leave()
        raise
    finally:
        requests.end()


def call_each(
    store: Store, verb: Callable[[str], T], keys: Sequence[str]
) -> Iterator[tuple[int, T | Exception]]:
    """Return the index of each key with the result of a verb of a store, or its exception.

    The calls are under way at once if the store is one to which that helps.
    """

    def answer(key: str) -> T | Exception:
        try:
            return verb(key)
        except Exception as error:  # noqa: BLE001  (the caller knows which ones to raise)
            return error

    if len(keys) < 2 or not runs_ahead(store):
        yield from enumerate(map(answer, keys))
        return
    for index, found in _each(_Calls(store, keys, answer)):
        yield index, found.result


class _Result(NamedTuple):
    result: Any


class _Calls(Requests):
    """Calls of a verb, one for each key."""

    def __init__(self, store: Store, keys: Sequence[str], answer: Callable[[str], Any]) -> None:
        self.keys, self.call = keys, answer
        super().__init__(
            store, len(keys), lambda number: Request(keys[number]), lambda _: 0, awaited=False
        )

    def ask(self, numbers: Sequence[int]) -> list[tuple[int, Any]]:
        for number in numbers[:-1]:
            self.arrive(number, self.answer(number))
        return [(numbers[-1], self.answer(numbers[-1]))]

    def answer(self, number: int) -> Any:
        try:
            return _Result(self.call(self.keys[number]))
        except BaseException as error:  # noqa: BLE001  (raised where it is taken)
            return error


class Ahead:
    """A call of a function on a thread that makes requests, while its caller goes on.

    ``end`` must always be called.
    """

    def __init__(self, store: Store, call: Callable[[], object]) -> None:
        """Initialise, and make the call as soon as a request may be sent."""
        self._lock, self._over = threading.Lock(), False
        self._error: BaseException | None = None
        self._calls = _Calls(store, ("",), lambda _: call())

    def __call__(self) -> None:
        """Wait for the call, and raise its error; make it on this thread if it has not begun."""
        # A signal that comes just before a thread sleeps does not wake it.
        while not self._lock.acquire(timeout=_LOOK):
            stopping.check()
        try:
            # Threads that wait here may be those that keep the request from being sent.
            self._calls.alone = True
            while not self._over:
                stopping.check()
                found = self._calls.take_value()
                if found is not None:
                    self._over = True
                    if isinstance(found[1], BaseException):
                        self._error = found[1]
        finally:
            self._lock.release()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Make the call no more, if it has not begun."""
        self._calls.end()


def cleanup() -> None:
    """Stop the threads that make requests, and the event loop; a later request starts new ones."""
    from fastzarr.stores import loop

    _fetching.close()
    loop.stop()
