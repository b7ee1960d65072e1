"""Chunks that are decoded by the threads that have fetched them.

Rules of this file:

* As many threads decode at a time as the setting allows, whoever calls, but one for each call. The
  others wait with what they have fetched. Until it is decoded, a chunk counts as requested.
* A chunk that the extension does not take, and each error, is taken by the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.buffers import as_view
from fastzarr.config import config
from fastzarr.engine.requests import Requests, loader
from fastzarr.engine.threads import workers
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.selection.plan import Plan
    from fastzarr.stores.base import Store

# Chunks of fewer decoded bytes than this are decoded in less time than a thread takes the
# interpreter's lock.
_BRIEF = 1 << 14
# While a thread decodes, it makes no request. For each that does, there are so many others.
_OTHERS = 4
# The answer to a request whose value is decoded.
_DECODED = object()


def receiver_for(store: Store, nbytes: int, module: Any) -> Any:
    """Return what decodes chunks of a size where they come, or None.

    ``module`` is the extension or its twin, which has none.
    """
    make = getattr(module, "Receiver", None)
    if make is None or store.batch > 1 or store.fetch_async is not None:
        return None
    most, decoding = int(config.flat["fetch.concurrency"]), workers()
    if store.concurrency is not None:
        most = min(most, store.concurrency)
    return None if most < _OTHERS * decoding else make(nbytes < _BRIEF, decoding)


class Received(Requests):
    """Requests of the chunks of a plan, which ``receiver`` decodes where they come."""

    def __init__(
        self,
        chunks: StoredChunks,
        plan: Plan,
        size: Callable[[int], int],
        together: int,
        receiver: Any,
    ) -> None:
        """Initialise, and send as many requests as there may be."""
        self.chunks, self.chunk, self.decode = chunks, plan.chunk, receiver.decode
        self.load = loader(chunks.store)
        super().__init__(
            chunks.store, plan.size, self._request, size, awaited=False, together=together
        )

    def _request(self, number: int) -> Request:
        return Request(self.chunks.key(self.chunk(number)))

    def answer(self, number: int) -> Any:
        """Fetch a chunk, and decode it; return it if it is not taken, or the error."""
        chunks = self.chunks
        try:
            key = chunks.key(self.chunk(number))
            data = self.load(key)
            if data is None:
                chunks.miss(key)
            elif type(data) is not bytes:
                data = as_view(data)
            over = self.decode(number, data)
        except BaseException as error:  # noqa: BLE001  (raised where it is taken)
            return error
        if over is None:
            return None if data is None else Value(data)
        if over:
            # The caller does not wait any longer.
            self.arrived.put([])
        return _DECODED

    def ask_here(self) -> None:
        """Make the next request on this thread, and do not wait for another one's."""
        super().ask_here()
        self.arrived.put([])

    def count_in(self, number: int, value: Any) -> None:
        """Count an answer, with the lock held."""
        if value is _DECODED:
            self.flying -= self.size(number)
        else:
            super().count_in(number, value)
