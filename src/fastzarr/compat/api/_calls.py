"""Plain calls that return awaitable nodes, made functions that block and functions that wait.

Rules of this file:

* The new function has the name, the signature and the documentation of the old one.
"""

from __future__ import annotations

from functools import update_wrapper
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from fastzarr.compat.core.array import Array, AsyncArray
from fastzarr.compat.core.async_group import AsyncGroup
from fastzarr.compat.core.awaiting import awaited
from fastzarr.compat.core.group import Group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def blocking(verb: Callable[..., Any], module: str) -> Callable[..., Any]:
    """Return the function of a module that returns nodes whose verbs block."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return _blocking_node(verb(*args, **kwargs))

    _name(call, verb, module)
    return call


def awaiting(verb: Callable[..., Any], module: str) -> Callable[..., Awaitable[Any]]:
    """Return the function of a module that is awaited, and returns nodes whose verbs are."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        store = args[0] if args else kwargs.get("store")
        return await awaited(store, verb, *args, **kwargs)

    _name(call, verb, module)
    return call


def _blocking_node(found: Any) -> Any:
    if isinstance(found, AsyncArray):
        return Array(found)
    if isinstance(found, AsyncGroup):
        return Group(found)
    if isinstance(found, GeneratorType):
        return ((path, _blocking_node(node)) for path, node in found)
    return found


def _name(call: Callable[..., Any], verb: Callable[..., Any], module: str) -> None:
    update_wrapper(call, verb)
    call.__module__ = module
