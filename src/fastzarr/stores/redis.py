"""A store in Redis, Valkey, or another server of their protocol.

Rules of this file:

* The value of a key is the string ``prefix:key``, as in zarr-python 2. Beside it, under a name that
  begins with ``fastzarr{`` and is in the same slot of a cluster, is the id of its last write. Both
  are written and deleted by one command, so that an id is that of one write. A value without an id
  was written by others: its token is its digest.
* The id of a value is read before the value, so that a change in between is noticed. The parts of a
  value are read by a script, together with its id.
* A swap is a script, which also remembers for some time that it has been made. A swap whose reply
  was lost is therefore not made twice, and its result is not guessed.
* Many values are set, deleted or swapped by one command. A cluster, and a server that refuses that
  command, gets one for each value, on names of one slot, and says which of them it refuses.
* An interrupt may leave a reply that nobody has read on a connection, which would be taken for that
  to the next command. So no connection that is free then is used again.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import BaseZarrError
from fastzarr.native import sorted_keys
from fastzarr.stores import redis_commands as commands
from fastzarr.stores import retry
from fastzarr.stores.capabilities import Value
from fastzarr.stores.keys import validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.served import ServedStore, package

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.base import Range
    from fastzarr.stores.capabilities import Request
    from fastzarr.stores.redis_commands import Words
    from fastzarr.stores.served import Change, Swap

T = TypeVar("T")

# The most bytes of a value that the server stores.
_LARGEST = 512 << 20
# About as many bytes of values are read together, if there are several.
_READ = 1 << 20
# How many names a server looks at in one step of a listing; it serves others between them.
_STEP = 10_000
_glob = re.compile(rb"([\\*?\[\]])")
_word = re.compile(r"\A[A-Z]{3,}\b").match
_PASSING = ("LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY")
_DENIED = ("NOAUTH", "WRONGPASS", "NOPERM")
_WORDS = {
    "AuthenticationError": "NOAUTH",
    "AuthenticationWrongNumberOfArgsError": "NOAUTH",
    "AuthorizationError": "NOPERM",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
_ADVICE = {
    "OOM": "the server has no memory left; the value was not stored",
    "READONLY": "the server is a replica that cannot be written; pass the address of its primary",
    "MISCONF": "the server cannot save to its disk and refuses to write; the value was not stored",
    "CROSSSLOT": "on a cluster, a key with '}' needs a prefix with a hash tag, as in '{zarr}'",
    "WRONGTYPE": "this name belongs to a value of another kind than a string",
}


class RedisStore(ServedStore):
    """A store in a Redis or Valkey server, or a cluster of them.

    A key is the string ``prefix:key``, as in zarr-python 2, whose data it reads. ``kwargs`` are
    those of ``redis.Redis`` (``host``, ``port``, ``db``, ``password``, ``unix_socket_path``,
    ``ssl`` ...), of the package redis, which the extra ``fastzarr[redis]`` installs. ``client`` is
    a client in their place, such as a ``redis.RedisCluster``, or one of a Sentinel. URLs are
    ``redis://host:6379/0?prefix=zarr``, ``rediss://`` and ``unix:///path/of/socket``; their query
    may have arguments of ``redis.Redis``, too.

    Values are set atomically, and chunks that several writers share are compared and swapped, also
    across machines, among programs that use this class. For that, the id of its last write is kept
    beside each value, under a name with ``fastzarr{``. Changes by other programs are noticed only
    for values that they have written first. On a cluster, keys with a closing brace need a prefix
    with a hash tag, such as ``{zarr}``.

    A failed request is repeated within ``fetch.deadline`` (60 s). What is durable is decided by the
    server: with ``appendonly yes`` and ``appendfsync always`` every write that has returned, by
    default only what it has saved. A server that evicts keys, as a cache does, loses data. A pickle
    has no password: another process takes it from the variable ``REDISCLI_AUTH``, as redis-cli
    does, or from a ``credential_provider`` that obtains it.

    Listing a group looks at all names in the database. A value has at most 512 MiB.

    >>> RedisStore.from_url("redis://me:hidden@localhost/2?prefix=data")
    RedisStore('redis://localhost:6379/2?prefix=data')
    >>> RedisStore("data", host="localhost", db=1)
    RedisStore('redis://localhost:6379/1?prefix=data')
    """

    supports_partial_reads = True
    concurrency = 8
    batch = 256
    batch_bytes = 4 << 20
    _MOST = 1024

    def __init__(
        self,
        prefix: str = "zarr",
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        client: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initialise; the server is connected when it is first needed.

        Raise TypeError for a client, or arguments, whose values are text instead of bytes.
        """
        if client is not None and kwargs:
            msg = f"a client was passed, which has no use for {', '.join(kwargs)}"
            raise TypeError(msg)
        self._prefix = prefix
        super().__init__(
            kwargs, client, dimension_separator=dimension_separator, read_only=read_only
        )
        if _settings(client).get("decode_responses", kwargs.get("decode_responses")):
            msg = "values are bytes, which decode_responses=True would make text; omit it"
            raise TypeError(msg)

    @staticmethod
    def _words(url: str) -> dict[str, Any]:
        parts, query = _split(url)
        # The package reads the rest, and the types of the arguments.
        mine = {name: query.pop(name) for name in ("prefix",) if name in query}
        database = parts.path.strip("/") if parts.scheme != "unix" else ""
        if database and not database.isdecimal():
            msg = (
                f"the path of a {parts.scheme}:// URL is the number of a database, not "
                f"{unquote(database)!r}; pass a path with path=, and a prefix with ?prefix="
            )
            raise BaseZarrError(msg)
        words = _parsed(f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query)}")
        return mine | words

    @staticmethod
    def _make(**words: Any) -> Any:
        redis = package("redis")
        timeout = config["fetch.timeout"]
        # Requests are repeated by this package, which knows which of them may be.
        defaults: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": _never(),
            # Without these, connecting takes three requests. All replies are of this protocol.
            "protocol": 2,
        }
        names = ("driver_info",) if hasattr(redis, "driver_info") else ("lib_name", "lib_version")
        defaults |= dict.fromkeys(names)
        if "password" not in words and "credential_provider" not in words:
            defaults["password"] = os.environ.get("REDISCLI_AUTH")
        client = redis.Redis(**(defaults | words))
        if "connection_pool" not in words:
            # That of hiredis copies large values several times.
            packer = commands.Packer(client.get_encoder().encode)
            client.connection_pool.connection_kwargs["command_packer"] = packer
        return client

    @staticmethod
    def _explain(error: Exception) -> retry.Outcome | None:
        redis = package("redis")
        if not isinstance(error, redis.RedisError):
            # The client of a cluster has errors of its own.
            gone = type(error).__name__ in ("RedisClusterException", "SlotNotCoveredError")
            return retry.Outcome(None, transient=True) if gone else None
        word = _word_of(error)
        cut = isinstance(error, redis.ConnectionError | redis.TimeoutError) and word is None
        return retry.Outcome(word, cut or word in _PASSING, word in _DENIED)

    @staticmethod
    def _public(words: dict[str, Any]) -> dict[str, Any]:
        provider = words.get("credential_provider")
        # This kind has the user and the password as values.
        if isinstance(provider, package("redis").UsernamePasswordCredentialProvider):
            return {name: held for name, held in words.items() if name != "credential_provider"}
        return words

    def _refuse(self, error: Exception, key: str) -> NoReturn:
        advice = _ADVICE.get(_word_of(error) or "")
        super()._refuse(error if advice is None else type(error)(f"{error} ({advice})"), key)

    # Names

    def _name(self, key: str) -> bytes:
        return f"{self._prefix}:{key}".encode()

    def _names(self, key: str) -> tuple[bytes, bytes]:
        """Return the names of the value of a key and of the id of its last write."""
        name = self._name(key)
        return name, commands.name_beside(name)

    def _is_single(self, keys: Sequence[Any]) -> bool:
        """Whether each of these keys needs a command of its own."""
        return len(keys) < 2 or hasattr(self.client, "get_primaries")

    # Requests

    def _request(
        self,
        attempt: Callable[[], T],
        key: str,
        decided: Callable[[], T | None] | None = None,
    ) -> T:
        try:
            return super()._request(attempt, key, decided)
        except Exception:
            raise
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        """Close the connections that no thread uses."""
        client = self.client
        if hasattr(client, "get_primaries"):
            client.disconnect_connection_pools()
        else:
            client.connection_pool.disconnect(inuse_connections=False)

    def _call(self, key: str, *words: Any) -> Any:
        """Return the reply to one command."""
        return self._call_all([(key, words)])[0]

    def _call_all(self, asked: Sequence[tuple[str, Words]]) -> list[Any]:
        """Return the replies to commands, each for a key, which are sent together."""
        replies = self._replies(asked)
        for (key, _), reply in zip(asked, replies, strict=True):
            if isinstance(reply, Exception):
                self._refuse(reply, key)
        return replies

    def _call_once(self, key: str, *asked: Words) -> list[Any] | None:
        """Return the replies to commands on many keys; None if the server has refused one."""
        replies = self._replies([(key, words) for words in asked])
        return None if any(isinstance(one, Exception) for one in replies) else replies

    def _replies(self, asked: Sequence[tuple[str, Words]]) -> list[Any]:
        """Return the replies to commands that are sent together, or the errors of refused ones."""
        if not asked:
            return []

        def attempt() -> list[Any]:
            found = self._send([words for _, words in asked])
            for reply in found:
                if isinstance(reply, Exception):
                    outcome = self._explain(reply)
                    if outcome is None or outcome.transient:
                        raise reply
            return found

        return self._request(attempt, asked[0][0])

    def _send(self, asked: Sequence[Words]) -> list[Any]:
        """Return the replies to commands, or the errors with which the server has replied."""
        if len(asked) > 1:
            with self.client.pipeline(transaction=False) as pipeline:
                for words in asked:
                    pipeline.execute_command(*words)
                found: list[Any] = pipeline.execute(raise_on_error=False)
            return found
        try:
            return [self.client.execute_command(*asked[0])]
        except package("redis").ResponseError as error:
            return [error]

    # Values

    def _get(self, key: str) -> bytes | None:
        value: bytes | None = self._call(key, "GET", self._name(key))
        return value

    def _read(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return values that are requested together."""
        whole: list[tuple[str, bytes]] = []
        asked: list[tuple[str, Words]] = []
        for key, start, length in wanted:
            name, beside = self._names(key)
            if start or length is not None:
                asked.append((key, commands.parts(name, beside, [(start, length)])))
            else:
                whole.append((key, beside))
                asked.append((key, ("GET", name)))
        # The ids of all come before the values: a value of another kind would be missing in a
        # reply of MGET, but it cannot be one of these.
        first: list[tuple[str, Words]] = [(key, ("GET", beside)) for key, beside in whole]
        if not self._is_single(whole):
            first = [(wanted[0].key, ("MGET", *(beside for _, beside in whole)))]
        replies = self._call_all([*first, *asked])
        found = replies[: len(first)]
        ids = iter(found if len(first) == len(whole) else found[0])
        for index, reply in enumerate(replies[len(first) :]):
            if wanted[index][1] or wanted[index][2] is not None:
                if reply is None:
                    yield index, None
                else:
                    token, size, part = reply
                    yield index, Value(part, _text(token), size)
            else:
                token = next(ids)
                # The digest of a value that others have written takes a request of its own.
                yield index, None if reply is None else Value(reply, _text(token), len(reply))

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value; many are requested together."""
        for key, start, length in wanted:
            validate_key(key)
            clip_range(start, length, 0)
        at = 0
        while at < len(wanted):
            run = wanted[at : at + self._connection.together]
            total = 0
            for index, value in self._read(run):
                total += 0 if value is None else memoryview(value.data).nbytes
                yield at + index, value
            at += len(run)
            # Large values are read one after another: they come while others are decoded.
            size = max(total // len(run), 1)
            self._connection.together = min(max(_READ // size, 1), self.batch)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        for start, length in ranges:
            clip_range(start, length, 0)
        found = self._call(key, *commands.parts(*self._names(key), ranges))
        return None if found is None else found[2:]

    def _exists(self, key: str) -> bool:
        return bool(self._call(key, "EXISTS", self._name(key)))

    def _getsize(self, key: str) -> int | None:
        found = self._call(key, *commands.parts(*self._names(key), ()))
        return None if found is None else found[1]

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing; one request."""
        validate_key(key)
        return _text(self._call(key, *commands.token(*self._names(key))))

    # Changes

    def _pairs(self, key: str, value: bytes | memoryview, mine: str) -> Words:
        """Return the names that are set for a value, and what they are set to."""
        name, beside = self._names(key)
        return name, self._checked(key, value), beside, mine

    def _checked(self, key: str, value: bytes | memoryview) -> bytes | memoryview:
        if len(value) > _LARGEST:
            msg = (
                f"{self}, key {key!r}: the value has {len(value):,} bytes, and Redis stores at "
                f"most {_LARGEST:,}; use smaller chunks"
            )
            raise BaseZarrError(msg)
        return value

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._call(key, "MSET", *self._pairs(key, value, token_hex(8)))

    def _delete(self, key: str) -> None:
        self._call(key, "DEL", *self._names(key))

    # It is consistent with the verbs of this class.
    set_many = ServedStore.set_many
    swap_many = ServedStore.swap_many

    def _set_batch(self, batch: Sequence[Change]) -> None:
        mine = token_hex(8)
        gone = [self._names(key) for key, value in batch if value is None]
        pairs = [self._pairs(key, value, mine) for key, value in batch if value is not None]
        once = [("DEL", *chain.from_iterable(gone))] if gone else []
        once += [("MSET", *chain.from_iterable(pairs))] if pairs else []
        if self._is_single(batch) or self._call_once(batch[0][0], *once) is None:
            # One by one, because the error does not tell which of them was refused.
            left, new = iter(gone), iter(pairs)
            each = [
                (key, ("DEL", *next(left)) if value is None else ("MSET", *next(new)))
                for key, value in batch
            ]
            self._call_all(each)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.
        Return whether it was current. If not, nothing has changed.
        """
        return self.swap_token(key, value, token)[0]

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Do as ``swap`` does; return also the token of the new value.

        >>> store = RedisStore(host="localhost")
        >>> done, token = store.swap_token("a", b"1", None)  # doctest: +SKIP
        """
        self._check_write(key)
        mine = token_hex(8)
        data = None if value is None else flat_bytes(value, key)
        (done,) = self._swap_batch([(key, data, token)], mine)
        return done, mine if done and value is not None else None

    def _swap_batch(self, batch: Sequence[Swap], mine: str | None = None) -> list[bool]:
        """Swap values in one request; the new ones have the id ``mine``, or one of their own."""
        mine = mine or token_hex(8)
        # Longer than this request may be repeated.
        kept = int(1000 * (2 * config["fetch.deadline"] + 60))
        new = [
            (*self._names(key), None if value is None else self._checked(key, value), token)
            for key, value, token in batch
        ]
        found = None
        if not self._is_single(batch):
            found = self._call_once(batch[0][0], commands.swaps(mine, kept, new))
            if found is None:
                # Its reply may have been lost before it was sent again, and refused.
                made = self._call(batch[0][0], "GET", commands.record(mine, new))
                found = None if made is None else [made]
        if found is None:
            each = [commands.swaps(mine, kept, [one]) for one in new]
            found = self._call_all(
                [(one[0], words) for one, words in zip(batch, each, strict=True)]
            )
        return [sign == ord("1") for sign in b"".join(found)]

    # Listings

    def _list(self, prefix: str) -> Iterable[str]:
        start = self._name(f"{prefix}/" if prefix else "")
        cut = len(self._name(""))
        pattern = _glob.sub(rb"\\\1", start) + b"*"
        return sorted_keys(self._request(lambda: self._scan(pattern), prefix), cut)

    def _scan(self, pattern: bytes) -> list[bytes]:
        """Return the names that match a pattern, some of them several times."""
        client = self.client
        if hasattr(client, "get_primaries"):
            return [*client.scan_iter(match=pattern, count=_STEP)]
        cursor, found = _step(client, 0, pattern)
        if not cursor:
            return found
        # The cursor of a server that was restarted would leave out names. On one connection that is
        # an error, after which the listing begins again.
        with client.client() as one:
            usual, one.connection.retry = one.connection.retry, _never()
            try:
                cursor, found = _step(one, 0, pattern)
                while cursor:
                    cursor, more = _step(one, cursor, pattern)
                    found += more
            finally:
                one.connection.retry = usual
        return found

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes; many are asked for together."""
        total = 0
        for run in self._runs(self.list(prefix)):
            total += sum(self._call_all([(key, ("STRLEN", self._name(key))) for key in run]))
        return total

    # Trees

    def _delete_dir(self, prefix: str) -> bool:
        keys = list(self._list(prefix))
        self.delitems(keys)
        return bool(keys)

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        self.delitems(self._list(""))

    def __str__(self) -> str:
        """Return the URL, without credentials."""
        words: Mapping[str, Any] = self._connection.words
        if self._connection.given or "connection_pool" in words:
            words = _settings(self._connection.client())
        prefix = f"prefix={quote(self._prefix, safe='')}"
        path = words.get("unix_socket_path") or words.get("path")
        if path:
            return f"unix://{path}?db={words.get('db', 0)}&{prefix}"
        scheme = "rediss" if words.get("ssl") else "redis"
        host = f"{words.get('host', 'localhost')}:{words.get('port', 6379)}"
        return f"{scheme}://{host}/{words.get('db', 0)}?{prefix}"


def _never() -> Any:
    """Return what lets the package repeat nothing."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Retry(NoBackoff(), 0)


def _step(client: Any, cursor: int, pattern: bytes) -> tuple[int, list[bytes]]:
    """Return where a listing goes on, 0 at its end, and the names that one step has found."""
    after, found = client.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _STEP)
    return int(after), found


def _settings(client: Any) -> Mapping[str, Any]:
    """Return the arguments with which a client connects."""
    if client is None:
        return {}
    node = client.get_default_node() if hasattr(client, "get_default_node") else client
    if node is not client:
        return {**client.nodes_manager.connection_kwargs, "host": node.host, "port": node.port}
    found: Mapping[str, Any] = node.connection_pool.connection_kwargs
    return found


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    """Return the parts of a URL, and its query; raise BaseZarrError if it is not valid."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        # A socket has no port, and may have any path.
        place = () if parts.scheme == "unix" else (str(parts.port), parts.path)
        if not any("@" in text for text in (*place, parts.fragment, *query)):
            return parts, query
    except ValueError:
        pass
    # It may be a password that was not quoted, so that no part of it is shown.
    msg = (
        "the URL has no valid host and port; special characters of a user or a password must be "
        "quoted, by urllib.parse.quote(text, safe='')"
    )
    raise BaseZarrError(msg)


def _parsed(url: str) -> dict[str, Any]:
    """Return the arguments of ``redis.Redis`` that a URL contains."""
    package("redis")
    from redis.connection import SSLConnection, parse_url

    try:
        words: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]  # as it is
    except ValueError as error:
        raise BaseZarrError(retry.redacted(str(error))) from None
    kind = words.pop("connection_class", None)
    if kind is SSLConnection:
        words["ssl"] = True
    if "path" in words:
        words["unix_socket_path"] = words.pop("path")
    return words


def _word_of(error: Exception) -> str | None:
    """Return the server's word for a failure, or None if it has not answered."""
    for kind in type(error).__mro__:
        if kind.__name__ in _WORDS:
            return _WORDS[kind.__name__]
    if any(kind.__name__ == "ResponseError" for kind in type(error).__mro__):
        found = _word(str(error))
        return "ERR" if found is None else found[0]
    return None


def _text(token: bytes | None) -> str | None:
    return None if token is None else token.decode()
