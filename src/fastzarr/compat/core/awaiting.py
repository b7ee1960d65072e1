"""Blocking calls of the engine, awaited, and coroutines that a plain call runs.

Rules of this file:

* A coroutine that a plain call runs does not wait for a thread: its caller waits in any case, so
  what would take a thread (``off_loop``) is called here.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fastzarr.compat.core.sync import sync
from fastzarr.engine.awaited import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


class _Thread(threading.local):
    """Whether a plain call of this thread runs a coroutine now."""

    drives = False


_thread = _Thread()


def driven(begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return the result of a coroutine, which runs here if it never waits.

    One that waits is begun again on the loop of the facade.
    """
    coro = begin()
    before, _thread.drives = _thread.drives, True
    try:
        coro.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    except RuntimeError as error:
        # It needs a loop, and there is none.
        if "no running event loop" not in str(error):
            raise
    else:
        coro.close()
    finally:
        _thread.drives = before
    return sync(begin())


async def off_loop(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a call that would hold up an event loop, on another thread if so."""
    if _thread.drives:
        return call(*args, **kwargs)
    return await asyncio.to_thread(call, *args, **kwargs)


async def awaited(store: Any, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a call that works in a store of the facade.

    It runs on another thread, unless the store is in memory: then a thread takes longer than it.
    Other coroutines of the loop go on before it in any case.
    """
    if getattr(store, "inline", False) and getattr(store, "plain", False):
        if not _thread.drives:
            await asyncio.sleep(0)
        return call(*args, **kwargs)
    inner = getattr(store, "inner", None) if getattr(store, "plain", False) else None
    return await settled(inner, call, *args, **kwargs)
