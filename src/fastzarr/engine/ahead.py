"""The stored chunks of a plan, requested ahead of their use, or many together.

Rules of this file:

* Chunks that are requested ahead are decoded in the order in which they come, by the threads that
  have fetched them (``received.py``) or by others.
* A chunk is missing only if its store says so. What goes wrong with its request is the error of
  that chunk, where it is taken.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fastzarr.engine.received import Received
from fastzarr.engine.requests import Requests
from fastzarr.stores.capabilities import Request

if TYPE_CHECKING:
    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.selection.plan import Plan

# The bytes that are counted for the smallest chunk.
_LEAST = 1 << 10
# The bytes that are handed over to a thread that decodes, which takes as long to wake as to decode
# them.
_TOGETHER = 1 << 16


def fetch_ahead(chunks: StoredChunks, plan: Plan, size: int, receiver: Any = None) -> Requests:
    """Request the chunks of a plan; ``size`` is that of a decoded chunk in bytes.

    With ``receiver``, the threads that fetch them decode them.
    """
    # Compressed chunks are usually smaller, and never much larger.
    most = max(size, _LEAST)

    def longest(_: int) -> int:
        return most

    if receiver is not None:
        return Received(chunks, plan, longest, _TOGETHER, receiver)

    def request(number: int) -> Request:
        return Request(chunks.key(plan.chunk(number)))

    def missed(request: Request) -> None:
        chunks.miss(request.key)

    return Requests(chunks.store, plan.size, request, longest, missed, together=_TOGETHER)


class Together:
    """The stored chunks of a plan, requested many together by the thread that needs the next."""

    def __init__(self, chunks: StoredChunks, plan: Plan, most: int) -> None:
        """Initialise; at most so many are requested together."""
        self.chunks, self.plan, self.most = chunks, plan, most
        self.lock = threading.Lock()
        self.next = 0
        #: The chunks before this one are requested one by one, because all together have failed.
        self.alone = 0

    def take(self) -> list[tuple[int, Any]] | None:
        """Return numbers of pieces with the bytes, None if they are missing, or the error."""
        with self.lock:
            if self.next >= self.plan.size:
                return None
            found = self._fetch() if self.next >= self.alone else []
            number = self.next
            self.next += len(found) or 1
        if found:
            return found
        try:
            return [(number, self.chunks.get(self.plan.piece(number).chunk))]
        except Exception as error:  # noqa: BLE001  (raised where it is taken)
            return [(number, error)]

    def _fetch(self) -> list[tuple[int, Any]]:
        last = min(self.next + self.most, self.plan.size)
        numbers = range(self.next, last)
        try:
            found = self.chunks.get_many([self.plan.piece(number).chunk for number in numbers])
        except Exception:  # noqa: BLE001  (it does not tell which of them has failed)
            self.alone = last
            return []
        return list(zip(numbers, found, strict=True))
