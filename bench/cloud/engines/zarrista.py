"""zarrista on obstore, which it awaits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import zarrista

from bench.cloud.engines import CONCURRENCY, CloudEngine

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bench.base import Box
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array, Shape

OPTIONS = {"concurrent_target": CONCURRENCY, "chunk_concurrent_minimum": CONCURRENCY}


class Zarrista(CloudEngine):
    """zarrista's asynchronous classes, on a loop that is kept."""

    name = "zarrista"
    module = "zarrista"
    cannot = {"orthogonal": "does not support index arrays"}  # noqa: RUF012  (as in Engine)

    def __init__(self) -> None:
        """Make the loop."""
        self.loop = asyncio.new_event_loop()

    def _await(self, wanted: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(wanted)

    def connect(self, cloud: Cloud, name: str) -> None:
        """Make the client."""
        super().connect(cloud, name)
        self.store = cloud.client(cloud.proxied)

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open an array; there is no mode."""
        del write
        return self._await(_open(self.store, place))

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box."""

        async def read() -> Any:
            return await array.retrieve_array_subset(box, **OPTIONS)

        return self._await(read()).to_numpy()

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""

        async def write() -> None:
            await array.store_array_subset(box, value, **OPTIONS)

        self._await(write())

    def append(self, array: Any, value: Array) -> Any:
        """Resize the first axis, then write."""
        start = array.shape[0]
        array = array.with_shape([start + value.shape[0], *array.shape[1:]])

        async def append() -> None:
            await array.store_metadata()
            await array.store_array_subset((slice(start, None), ...), value)

        self._await(append())
        return array

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Return the names and shapes of the arrays in a group."""

        async def arrays() -> Any:
            group = await zarrista.AsyncGroup.open(self.store, f"/{place.prefix}")
            return await group.child_arrays()

        found = self._await(arrays())
        return {array.path.rsplit("/", 1)[-1]: array.shape for array in found}


async def _open(store: Any, place: Remote) -> Any:
    return await zarrista.AsyncArray.open(store, f"/{place.prefix}")
