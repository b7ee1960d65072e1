"""Awaited calls to a server: how many requests are under way, and what a cancelled one leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.storage import ObjectStore

if TYPE_CHECKING:
    from servers.proxy import Proxy

COUNT = 100


@pytest.fixture
def z(s3: Any, proxy: Proxy) -> zarr.Array:
    """Return an array of many chunks behind the proxy."""
    through = s3.through(proxy)
    store = ObjectStore(through.url, storage_options=through.obstore())
    data = np.arange(COUNT * 100).reshape(COUNT, 100)
    return zarr.create_array(store, data=data, chunks=(1, 100))


def test_many_awaits_are_under_way_at_once(z: zarr.Array, proxy: Proxy) -> None:
    async def main() -> Any:
        return await asyncio.gather(*[z.getitem_async(i) for i in range(COUNT)])

    proxy.latency(0.02)
    proxy.forget()
    found = asyncio.run(main())
    np.testing.assert_array_equal(found, np.arange(COUNT * 100).reshape(COUNT, 100))
    assert proxy.methods() == {"GET": COUNT}
    assert proxy.peak >= 32


def test_a_cancelled_write_waits_for_the_requests_under_way(z: zarr.Array, proxy: Proxy) -> None:
    async def main() -> int:
        writing = asyncio.create_task(z.setitem_async(..., -1))
        await asyncio.to_thread(proxy.wait_for_stalled)
        writing.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not writing.done()
        proxy.clear()
        with pytest.raises(asyncio.CancelledError):
            await writing
        return proxy.count("PUT")

    proxy.fault("stall", method="PUT", target="/c/")
    proxy.forget()
    count = asyncio.run(main())
    zarr.cleanup_resources()
    assert proxy.under_way == 0
    assert proxy.count("PUT") == count
