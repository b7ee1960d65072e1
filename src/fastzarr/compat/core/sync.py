"""The event loop of the facade, and plain calls that run on it.

Rules of this file:

* The loop is that of fastzarr's stores (``fastzarr.stores.loop``): what the engine awaits of a
  store, and what a user awaits of it through ``sync``, runs on the same loop.
* Nothing is started before somebody waits. The verbs of arrays and groups do not wait for the loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, overload

from fastzarr.config import config
from fastzarr.engine.threads import cleanup_resources as end_threads
from fastzarr.stores import loop as shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

T = TypeVar("T")


class SyncError(Exception):
    """A call that would wait for the event loop on which it runs."""


class _Current(Sequence[Any]):
    """A list of one item: what is in use now, which is started if it is asked for."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return [self._find()][index]

    def __len__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class _Executor:
    """The threads of the loop's default executor."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None

    def running(self) -> ThreadPoolExecutor:
        with self.lock:
            if self.pool is None:
                most = config["threading.max_workers"]
                self.pool = ThreadPoolExecutor(most, thread_name_prefix="fastzarr-awaited")
                running = shared.event_loop()
                running.set_default_executor(self.pool)
            return self.pool

    def stop(self) -> None:
        with self.lock:
            pool, self.pool = self.pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


_executor = _Executor()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_executor.reset)

loop = _Current(shared.event_loop)
iothread = _Current(shared.current_thread)


def _get_loop() -> asyncio.AbstractEventLoop:
    return shared.event_loop()


def _get_executor() -> ThreadPoolExecutor:
    return _executor.running()


def _get_lock() -> threading.Lock:
    return _executor.lock


def cleanup_resources() -> None:
    """Stop the event loop and all threads; they are started again when needed."""
    _executor.stop()
    shared.stop()
    end_threads()


def reset_resources_after_fork() -> None:
    """Forget the threads of the parent in a forked child; this happens by itself."""
    _executor.reset()


def sync(
    coro: Coroutine[Any, Any, T],
    loop: Any = None,
    timeout: float | None = None,
) -> T:
    """Return the result of a coroutine, which runs on the loop of the facade or on another.

    Raise SyncError if the calling code runs on that loop itself, and TimeoutError if the coroutine
    has not ended in time.

    >>> async def answer():
    ...     return 42
    >>> sync(answer())
    42
    """
    if loop is None:
        loop = _get_loop()
    if not isinstance(loop, asyncio.AbstractEventLoop):
        msg = f"loop cannot be of type {type(loop)}"
        raise TypeError(msg)
    if loop.is_closed():
        msg = "Loop is not running"
        raise RuntimeError(msg)
    if _is_running(loop):
        close = getattr(coro, "close", None)
        if close is not None:
            close()
        msg = "Calling sync() from within a running loop"
        raise SyncError(msg)
    given: Any = coro
    if not asyncio.iscoroutine(given):
        msg = f"a coroutine object is required, not {type(given).__name__}"
        raise TypeError(msg)
    if timeout is None and loop is _get_loop():
        return shared.wait(coro)
    future = asyncio.run_coroutine_threadsafe(coro, loop)
    try:
        return future.result(timeout)
    except TimeoutError:
        if future.done():
            raise
        future.cancel()
        msg = f"Coroutine {coro} failed to finish within {timeout} s"
        raise TimeoutError(msg) from None


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _collect_aiterator(data: AsyncIterator[T]) -> tuple[T, ...]:
    return tuple([item async for item in data])


def collect_aiterator(data: AsyncIterator[T]) -> tuple[T, ...]:
    """Return all items of an asynchronous iterator."""
    return sync(_collect_aiterator(data))


class SyncMixin:
    """Plain calls of coroutines, for classes that are asynchronous inside."""

    def _sync(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return sync(coroutine)

    def _sync_iter(self, async_iterator: AsyncIterator[T]) -> list[T]:
        return list(self._sync(_collect_aiterator(async_iterator)))


async def _with_semaphore(
    func: Callable[[], Awaitable[T]], semaphore: asyncio.Semaphore | None = None
) -> T:
    if semaphore is None:
        return await func()
    async with semaphore:
        return await func()
