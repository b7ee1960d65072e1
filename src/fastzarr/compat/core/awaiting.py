"""Blocking calls of the engine, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fastzarr.compat.core.sync import sync
from fastzarr.engine.awaited import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


def driven(begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return the result of a coroutine, which runs here if it never waits.

    One that waits is begun again on the loop of the facade.
    """
    coro = begin()
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
    return sync(begin())


async def awaited(store: Any, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a call that works in a store of the facade.

    It runs on another thread, unless the store is in memory: then a thread takes longer than it.
    """
    if getattr(store, "inline", False) and getattr(store, "plain", False):
        return call(*args, **kwargs)
    inner = getattr(store, "inner", None) if getattr(store, "plain", False) else None
    return await settled(inner, call, *args, **kwargs)
