"""A store for tests of what is asked of stores: each request may be counted, stopped or failed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fastzarr.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class AskedStore(Store):
    """A store with the four methods, over a dictionary that may be shared.

    ``begin`` and ``end`` are called, one at a time, before and after each request, and ``on`` while
    it is under way.
    """

    def __init__(self, stored: dict[str, bytes] | None = None) -> None:
        super().__init__()
        self.stored = {} if stored is None else stored
        self.lock = threading.Lock()
        self.on: Callable[[str, str], object] = lambda *_: None

    def begin(self, verb: str, key: str) -> None:
        """Count a request that begins."""

    def end(self, verb: str, key: str) -> None:
        """Count a request that ends."""

    def _ask(self, verb: str, key: str, answer: Callable[[], Any]) -> Any:
        with self.lock:
            self.begin(verb, key)
        try:
            self.on(verb, key)
            return answer()
        finally:
            with self.lock:
                self.end(verb, key)

    def _get(self, key: str) -> bytes | None:
        found: bytes | None = self._ask("get", key, lambda: self.stored.get(key))
        return found

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._ask("set", key, lambda: self.stored.__setitem__(key, bytes(value)))

    def _delete(self, key: str) -> None:
        self._ask("delete", key, lambda: self.stored.pop(key, None))

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in tuple(self.stored) if not prefix or key.startswith(f"{prefix}/")]
