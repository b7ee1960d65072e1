"""What stores of database servers share: their client, its copies and its pickles.

Rules of this file:

* A client is made once in each process, which does not connect it yet. A forked child makes one of
  its own.
* All copies of a store share its client.
* A pickle has no credentials that were passed as values. It is opened in this process with the
  client that it was pickled with, in another process with the other arguments.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from importlib import import_module
from itertools import islice
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from weakref import finalize

from fastzarr.buffers import flat_bytes
from fastzarr.errors import BaseZarrError
from fastzarr.stores import place, retry
from fastzarr.stores.base import Store
from fastzarr.stores.keys import validate_key
from fastzarr.stores.remote import known

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    # The key of a value with the value, or None to delete it.
    Change = tuple[str, bytes | memoryview | None]
    # The same, with the token of the value that it replaces.
    Swap = tuple[str, bytes | memoryview | None, Any]

T = TypeVar("T")
C = TypeVar("C", bound=tuple[Any, ...])

# Arguments of clients whose values are credentials.
_SECRET = frozenset(
    {"username", "password", "ssl_password", "tlscertificatekeyfilepassword"}
    | {"authmechanismproperties", "auto_encryption_opts"}
)


class Connection:
    """The client of a server, which each process makes with the same arguments."""

    def __init__(self, make: Callable[..., Any], words: Mapping[str, Any], client: Any) -> None:
        """Initialise with a function that makes a client of arguments, or with a client."""
        self._make, self.words = make, dict(words)
        #: Whether the client was made elsewhere: then it is used in every process.
        self.given = client is not None
        #: Whether the store has made what its changes rely on.
        self.prepared = False
        #: How many values are read together, because of the size of the last ones.
        self.together = 4
        self._client, self._process = client, os.getpid()
        # The clients of other processes, whose connections must not be closed by this one.
        self._others: list[Any] = []
        self._guard = Lock()
        self._end: finalize[Any, Any] | None = None

    def client(self) -> Any:
        """Return the client of this process."""
        mine, client = os.getpid(), self._client
        if client is None or (self._process != mine and not self.given):
            if self._process != mine:
                # A thread of the parent may have held it.
                self._guard = Lock()
            with self._guard:
                if self._process != mine:
                    self._others.append(self._client)
                    self._client = None
                if self._client is None:
                    self._client = self._make(**self.words)
                    self._process = mine
                    self._end = finalize(self, _close, self._client, mine)
                client = self._client
        return client

    def close(self) -> None:
        """Close the client of this process; a later use makes another one."""
        if self.given or self._process != os.getpid():
            return
        with self._guard:
            client, self._client = self._client, None
            if client is not None and self._end is not None:
                # It would keep the client until the connection is collected.
                self._end.detach()
                client.close()


def package(name: str) -> Any:
    """Return the package of a client; raise ImportError, which names what to install."""
    try:
        return import_module(name)
    except ImportError as error:
        extra = "mongodb" if name == "pymongo" else name
        msg = f"the store needs the package {name}: pip install 'fastzarr[{extra}]'"
        raise ImportError(msg) from error


def _close(client: Any, process: int) -> None:
    """Close a client that nobody uses any more; not in a forked child, which shares its sockets."""
    if os.getpid() == process:
        client.close()


class ServedStore(Store):
    """The base class of stores that ask a database server through the client of a package."""

    #: The most values, and the most bytes of them, that are sent at once.
    _MOST = 64
    _MOST_BYTES = 8 << 20

    def __init__(
        self,
        words: Mapping[str, Any],
        client: Any = None,
        *,
        dimension_separator: str | None = None,
        read_only: bool = False,
    ) -> None:
        """Initialise with the arguments of the client, or with a client."""
        super().__init__(read_only=read_only)
        self.dimension_separator = dimension_separator
        self._connection = Connection(self._make, words, client)
        # It is not connected yet, but refuses arguments that it does not know.
        self._connection.client()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of a URL, as the class describes it.

        ``storage_options`` are further arguments of the class, or of the client.

        Raise BaseZarrError if the URL is not valid.

        >>> from fastzarr.stores.mongodb import MongoDBStore
        >>> MongoDBStore.from_url("mongodb://me:hidden@localhost/data.arrays")
        MongoDBStore('mongodb://localhost/data.arrays')
        """
        options = dict(storage_options or {}) | {"read_only": read_only}
        return cls(**(cls._words(url) | options))

    @staticmethod
    @abstractmethod
    def _words(url: str) -> dict[str, Any]:
        """Return the arguments that a URL has; raise BaseZarrError if it is not valid."""

    @staticmethod
    @abstractmethod
    def _make(**words: Any) -> Any:
        """Return a client; raise ImportError, which names what to install, without its package."""

    @staticmethod
    @abstractmethod
    def _explain(error: Exception) -> retry.Outcome | None:
        """Return what an error of the client means, or None for an error of another kind."""

    @property
    def client(self) -> Any:
        """The client of the package, which a forked child makes anew.

        >>> from fastzarr.storage import RedisStore
        >>> type(RedisStore(host="localhost").client).__name__
        'Redis'
        """
        return self._connection.client()

    def close(self) -> None:
        """Close the connections; a later use of the store opens others."""
        self._connection.close()

    def _request(
        self,
        attempt: Callable[[], T],
        key: str,
        decided: Callable[[], T | None] | None = None,
    ) -> T:
        return retry.request(attempt, self._explain, self, key, decided)

    def _refuse(self, error: Exception, key: str) -> NoReturn:
        """Raise the error of a request that the server has refused."""
        outcome = self._explain(error)
        if outcome is None:
            raise error
        raise retry.failed(error, outcome, str(self), key, 1) from retry.cause(error)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store values, and delete the keys of those that are None, many in each request.

        >>> from fastzarr.storage import RedisStore
        >>> store = RedisStore(host="localhost")
        >>> store.set_many([("a", b"1"), ("b", None)])  # doctest: +SKIP
        """
        self._check_write()
        for batch in self._batches(_checked(values)):
            self._set_batch(batch)

    @abstractmethod
    def _set_batch(self, batch: Sequence[Change]) -> None:
        """Store values, and delete keys, in one request."""

    def swap_many(
        self, changes: Sequence[tuple[str, Buffer | None, Hashable | None]]
    ) -> list[bool]:
        """Do as ``swap`` does for each key, value and token, many in each request.

        >>> from fastzarr.storage import RedisStore
        >>> store = RedisStore(host="localhost")
        >>> store.swap_many([("a", b"1", None), ("b", b"2", None)])  # doctest: +SKIP
        [True, True]
        """
        self._check_write(*(key for key, _, _ in changes))
        flat = [
            (key, None if value is None else flat_bytes(value, key), token)
            for key, value, token in changes
        ]
        return [done for batch in self._batches(flat) for done in self._swap_batch(batch)]

    @abstractmethod
    def _swap_batch(self, batch: Sequence[Swap]) -> list[bool]:
        """Swap values in one request, and return which of them were swapped."""

    def _batches(self, changes: Iterable[C]) -> Iterator[list[C]]:
        """Cut changes, each of a key and a value, into lists that one request may have.

        No list has a key twice, because the changes of one request have no order.
        """
        batch: list[C] = []
        keys: set[str] = set()
        size = 0
        for change in changes:
            mine = 0 if change[1] is None else len(change[1])
            full = len(batch) >= self._MOST or size + mine > self._MOST_BYTES
            if batch and (full or change[0] in keys):
                yield batch
                batch, keys, size = [], set(), 0
            batch.append(change)
            keys.add(change[0])
            size += mine
        if batch:
            yield batch

    def _runs(self, items: Iterable[T]) -> Iterator[list[T]]:
        """Cut items into lists of at most as many as one request may have."""
        rest = iter(items)
        while run := list(islice(rest, self._MOST)):
            yield run

    # Identity

    def _find_place(self) -> place.Place:
        if self._connection.given:
            return place.own()
        return place.of_name(str(self))

    def __copy__(self) -> Self:
        """Return a store of the same values with the same client."""
        other = type(self).__new__(type(self))
        Store.__setstate__(other, Store.__getstate__(self))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a store of the same values with the same client."""
        del memo
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings, and the arguments of the client without credentials."""
        state = dict(super().__getstate__())
        connection: Connection = state.pop("_connection")
        name = vars(connection).setdefault("_name", token_hex(16))
        known[name] = connection
        if not connection.given:
            state.pop("_place", None)
        words = {key: held for key, held in connection.words.items() if not is_secret(key)}
        return state | {"_connected": (name, None if connection.given else self._public(words))}

    def __setstate__(self, state: Any) -> None:
        """Restore the settings, with the client of this process if it has the same one."""
        state = dict(state)
        name, words = state.pop("_connected")
        found = known.get(name)
        if found is None:
            if words is None:
                msg = (
                    f"a {type(self).__name__} that was given a client exists only in the process "
                    "in which it was pickled; pass the arguments of the client instead"
                )
                raise BaseZarrError(msg)
            found = Connection(self._make, words, None)
        super().__setstate__(state | {"_connection": found})

    @staticmethod
    def _public(words: dict[str, Any]) -> dict[str, Any]:
        """Return arguments without credentials inside other values."""
        return words


def is_secret(name: str) -> bool:
    """Whether an argument of a client has a credential."""
    return name.lower() in _SECRET


def _checked(values: Iterable[tuple[str, Buffer | None]]) -> Iterator[Change]:
    """Return values as flat bytes, and raise the errors of invalid keys."""
    for key, value in values:
        validate_key(key)
        yield key, None if value is None else flat_bytes(value, key)
