"""The stored chunks of a plan, requested ahead of their use.

Rules of this file:

* The chunks are decoded in the order in which they come, by threads that make no requests.
* A chunk is missing only if its store says so. What goes wrong with its request is the error of
  that chunk, where it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.engine.requests import Requests
from fastzarr.stores.capabilities import Request

if TYPE_CHECKING:
    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.selection.plan import Plan

# The bytes that are counted for the smallest chunk.
_LEAST = 1 << 10


def fetch_ahead(chunks: StoredChunks, plan: Plan, size: int) -> Requests:
    """Request the chunks of a plan; ``size`` is that of a decoded chunk in bytes."""
    # Compressed chunks are usually smaller, and never much larger.
    most = max(size, _LEAST)

    def request(number: int) -> Request:
        return Request(chunks.key(plan.piece(number).chunk))

    def missed(request: Request) -> None:
        chunks.miss(request.key)

    return Requests(chunks.store, plan.size, request, lambda _: most, missed)
