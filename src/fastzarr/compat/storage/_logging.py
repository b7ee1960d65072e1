"""A store around another that logs and counts the calls of its verbs."""

from __future__ import annotations

import logging
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fastzarr.compat.abc.store import Store
from fastzarr.compat.storage._wrapper import WrapperStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype

T_Store = TypeVar("T_Store", bound=Store)


class LoggingStore(WrapperStore[T_Store]):
    """A store around another that logs each call; ``counter`` has the number of those of a verb."""

    counter: defaultdict[str, int]

    def __init__(
        self, store: T_Store, log_level: str = "DEBUG", log_handler: logging.Handler | None = None
    ) -> None:
        """Initialise with the store; without a handler, calls are written to ``sys.stdout``."""
        super().__init__(store)
        self.counter = defaultdict(int)
        self.log_handler = log_handler
        self._configure_logger(log_level, log_handler)

    def _configure_logger(
        self, log_level: str = "DEBUG", log_handler: logging.Handler | None = None
    ) -> None:
        self.log_level = log_level
        self.logger = logging.getLogger(f"LoggingStore({self._store})")
        self.logger.setLevel(log_level)
        if not self.logger.hasHandlers():
            self.logger.addHandler(log_handler or self._default_handler())

    def _default_handler(self) -> logging.Handler:
        handler = logging.StreamHandler(stream=sys.stdout)
        handler.setLevel(self.log_level)
        words = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
        handler.setFormatter(logging.Formatter(words))
        return handler

    def _with_store(self, store: Any) -> Self:
        return type(self)(store=store, log_level=self.log_level, log_handler=self.log_handler)

    @contextmanager
    def log(self, hint: Any = "") -> Generator[None, None, None]:
        """Log and count the call of the method in which this is used; ``hint`` is its argument."""
        # Between that method and this one is that of the context manager.
        verb = sys._getframe(2).f_code.co_name
        call = f"{type(self._store).__name__}.{verb}" + (f"({hint})" if hint else "")
        self.logger.info(" Calling %s", call)
        start = time.time()
        self.counter[verb] += 1
        try:
            yield
        finally:
            self.logger.info("Finished %s [%.2f s]", call, time.time() - start)

    @classmethod
    async def open(cls, store_cls: type[Store], *args: Any, **kwargs: Any) -> Self:
        """Return a store around a new one of another class, opened."""
        level, handler = kwargs.pop("log_level", "DEBUG"), kwargs.pop("log_handler", None)
        store: Any = store_cls(*args, **kwargs)
        await store._open()
        return cls(store=store, log_level=level, log_handler=handler)

    @property
    def supports_writes(self) -> bool:
        """Whether values can be stored."""
        with self.log():
            return super().supports_writes

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        with self.log():
            return super().supports_deletes

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        with self.log():
            return super().supports_listing

    @property
    def read_only(self) -> bool:
        """Whether the store rejects writes."""
        with self.log():
            return super().read_only

    @property
    def _is_open(self) -> bool:
        with self.log():
            return self._store._is_open

    @_is_open.setter
    def _is_open(self, value: bool) -> None:
        del value
        msg = "LoggingStore must be opened via the `_open` method"
        raise NotImplementedError(msg)

    async def _open(self) -> None:
        with self.log():
            await super()._open()

    async def _ensure_open(self) -> None:
        with self.log():
            await super()._ensure_open()

    async def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        with self.log():
            return await super().is_empty(prefix)

    async def clear(self) -> None:
        """Delete all keys."""
        with self.log():
            await super().clear()

    def __str__(self) -> str:
        """Return a name that has that of the store in it."""
        return f"logging-{self._store}"

    def __repr__(self) -> str:
        """Return the class name with that of the store, and its URL."""
        return f"LoggingStore({type(self._store).__name__}, '{self._store}')"

    def __eq__(self, other: object) -> bool:
        """Whether both are of one class, around equal stores."""
        with self.log(other):
            return super().__eq__(other)

    __hash__ = None

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        with self.log(key):
            return await super().get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        wanted = list(key_ranges)
        with self.log(",".join(key for key, _ in wanted)):
            return await super().get_partial_values(prototype, wanted)

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        with self.log(key):
            return await super().exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""
        with self.log(key):
            await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is missing."""
        with self.log(key):
            await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        with self.log(key):
            await super().delete(key)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        with self.log(key):
            return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        with self.log(key):
            super().set_sync(key, value)

    def delete_sync(self, key: str) -> None:
        """Delete a key, if it exists."""
        with self.log(key):
            super().delete_sync(key)

    async def list(self) -> AsyncGenerator[str, None]:
        """Iterate over all keys."""
        with self.log():
            async for key in self._store.list():
                yield key

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """Iterate over the keys that begin with a prefix; they are whole keys."""
        with self.log(prefix):
            async for key in self._store.list_prefix(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Iterate over the names of keys and folders directly below a prefix."""
        with self.log(prefix):
            async for key in self._store.list_dir(prefix):
                yield key

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        with self.log(prefix):
            await super().delete_dir(prefix)

    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing."""
        with self.log(key):
            return await self._store.getsize(key)

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        with self.log(prefix):
            return await self._store.getsize_prefix(prefix)
