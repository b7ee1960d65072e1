"""A store that logs and counts the calls of another: zarr-python 3's ``LoggingStore``.

Rules of this file:

* Each call that reaches the store is logged under the name of the public verb, with its key or keys
  and no value. The name of a store contains no credentials.
* Copies of such a store count together.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastzarr.stores.wrapper import WrapperStore

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.base import Range
    from fastzarr.stores.capabilities import Request, Value
    from fastzarr.stores.turns import Turn

_SHOWN = 3


class LoggingStore(WrapperStore):
    """A store around another, whose calls are logged and counted.

    ``counter`` has the number of calls of each verb. The messages have the level INFO and go to the
    logger ``logger``, to which ``log_handler`` is added. By default a handler is added that writes
    to the standard output, unless messages are handled already.

    >>> store = LoggingStore({"a": b"1"}, log_level="WARNING")
    >>> store["a"], store.exists("b"), store.exists("c")
    (b'1', False, False)
    >>> dict(store.counter)
    {'get': 1, 'exists': 2}
    """

    def __init__(
        self,
        store: Any,
        log_level: str | int = "DEBUG",
        log_handler: logging.Handler | None = None,
    ) -> None:
        """Initialise with a store; raise ValueError for an unknown level."""
        super().__init__(store)
        self.counter: defaultdict[str, int] = defaultdict(int)
        self.log_level, self.log_handler = log_level, log_handler
        self._configure()

    def _configure(self) -> None:
        self.logger = logging.getLogger(f"LoggingStore({self._store})")
        self.logger.setLevel(self.log_level)
        handler = self.log_handler
        if handler is None and not self.logger.hasHandlers():
            handler = logging.StreamHandler(sys.stdout)
            handler.setLevel(self.log_level)
            form = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
            handler.setFormatter(logging.Formatter(form))
        if handler is not None:
            # Once, however many stores have this logger.
            self.logger.addHandler(handler)

    @contextmanager
    def log(self, verb: str, hint: object = "") -> Iterator[None]:
        """Log and count a call, which happens in a ``with`` block.

        >>> store = LoggingStore({}, log_level="WARNING")
        >>> with store.log("a verb", "a key"):
        ...     pass
        >>> store.counter["a verb"]
        1
        """
        call = f"{type(self._store).__name__}.{verb}({hint})"
        with self.place.guard:
            self.counter[verb] += 1
        self.logger.info(" Calling %s", call)
        began = time.monotonic()
        try:
            yield
        finally:
            self.logger.info("Finished %s [%.2f s]", call, time.monotonic() - began)

    # Values

    def _get(self, key: str) -> bytes | None:
        with self.log("get", key):
            return super()._get(key)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        with self.log("get_ranges", f"{key}, {list(ranges)}"):
            return super()._get_ranges(key, ranges)

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value."""
        with self.log("fetch", _some([key for key, *_ in wanted])):
            return list(super().fetch(wanted))

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request."""
        with self.log("fetch", wanted.key):
            return await super().fetch_async(wanted)

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing."""
        with self.log("validator", key):
            return super().validator(key)

    def _exists(self, key: str) -> bool:
        with self.log("exists", key):
            return super()._exists(key)

    def _getsize(self, key: str) -> int | None:
        with self.log("getsize", key):
            return super()._getsize(key)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes."""
        with self.log("getsize_prefix", prefix):
            return super().getsize_prefix(prefix)

    # Listings

    def _list(self, prefix: str) -> Iterable[str]:
        with self.log("list", prefix):
            return super()._list(prefix)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        with self.log("list_dir", prefix):
            return super()._list_dir(prefix)

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        with self.log("is_empty", prefix):
            return super().is_empty(prefix)

    # Changes

    def _set(self, key: str, value: bytes | memoryview) -> None:
        with self.log("set", key):
            super()._set(key, value)

    def _delete(self, key: str) -> None:
        with self.log("delete", key):
            super()._delete(key)

    def _delete_many(self, keys: Iterable[str]) -> None:
        many = list(keys)
        with self.log("delitems", _some(many)):
            super()._delete_many(many)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store each value, or delete its key if the value is None."""
        many = list(values)
        with self.log("set_many", _some([key for key, _ in many])):
            super().set_many(many)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current; return whether it was."""
        with self.log("swap", key):
            return super().swap(key, value, token)

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Do as ``swap`` does; return also the token of the new value, or None if it is unknown."""
        with self.log("swap", key):
            return super().swap_token(key, value, token)

    def _turn(self, key: str) -> Turn:
        with self.log("turn", key):
            return super()._turn(key)

    def _delete_dir(self, prefix: str) -> bool | None:
        with self.log("delete_dir", prefix):
            return super()._delete_dir(prefix)

    def clear(self) -> None:
        """Delete all keys."""
        with self.log("clear"):
            super().clear()

    def _move(self, source: str, target: str) -> None:
        with self.log("move", f"{source}, {target}"):
            super()._move(source, target)

    def __getstate__(self) -> Any:
        """Return the state without what belongs to this process."""
        state = super().__getstate__().items()
        return {name: held for name, held in state if name not in ("logger", "log_handler")}

    def __setstate__(self, state: Any) -> None:
        """Restore the state, with the default handler if the logger has none."""
        super().__setstate__({**state, "log_handler": None})
        self._configure()


def _some(keys: Sequence[str]) -> str:
    """Return the first of some keys as text."""
    more = f", ... ({len(keys)} keys)" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
