"""What is under way when the threads and the event loop are stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from asked import AskedStore

import fastzarr as zarr
from fastzarr.stores.capabilities import Request, Value

MOST = 4
VALUES = np.arange(12 * 128)


class Held(AskedStore):
    """A store whose requests are awaited, of which the next ``held`` ones have no answer."""

    held = under_way = most = 0

    async def fetch_async(self, wanted: Request) -> Value | None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.held:
                self.held -= 1
                await asyncio.Event().wait()
            found = self.stored.get(wanted.key)
            # Others begin meanwhile.
            await asyncio.sleep(0.01)
            return None if found is None else Value(found)
        finally:
            self.under_way -= 1


def test_a_read_that_waits_for_others_goes_on_when_these_are_stopped() -> None:
    """Its requests are awaited on the next loop, and those that were stopped count no more."""
    store = Held()
    array = zarr.create_array(store, shape=VALUES.size, chunks=128, dtype="i8", compressors=None)
    array[:] = VALUES
    found: dict[str, Any] = {}

    def read(name: str) -> None:
        try:
            found[name] = array[:]
        except zarr.errors.ChunkError as error:
            found[name] = error

    with zarr.config.set({"fetch.concurrency": MOST}):
        store.held = MOST
        threads = [threading.Thread(target=read, args=(name,), daemon=True) for name in "ab"]
        threads[0].start()
        while store.under_way < MOST:
            time.sleep(0.01)
        # There is no place for the requests of the other.
        threads[1].start()
        time.sleep(0.1)
        zarr.cleanup_resources()
        for thread in threads:
            thread.join(60)
        assert set(found) == {"a", "b"}
        with pytest.raises(zarr.errors.ChunkError, match="the event loop was stopped"):
            raise found["a"]
        assert np.array_equal(found["b"], VALUES)
        store.most = 0
        assert np.array_equal(array[:], VALUES)
        assert store.most == MOST
