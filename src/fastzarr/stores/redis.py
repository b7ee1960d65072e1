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
* A command on several keys concerns one value, so that it may be sent to a cluster.
"""

from __future__ import annotations

import os
import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import BaseZarrError
from fastzarr.stores import retry
from fastzarr.stores.capabilities import Value
from fastzarr.stores.keys import validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.served import ServedStore, package

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.base import Range
    from fastzarr.stores.capabilities import Request

# The most bytes of a value that the server stores.
_LARGEST = 512 << 20
# About as many bytes of values are read together, if there are several.
_READ = 1 << 20
# Longer arguments of a command are sent from where they are.
_PACKED = 6000
# How many names a server looks at in one step of a listing; it serves others between them.
_STEP = 1000
_glob = re.compile(rb"([\\*?\[\]])")
_word = re.compile(r"\A[A-Z]{3,}\b").match
_PASSING = ("LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")
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

# KEYS: the value, its id. ARGV: pairs of a start and a length, which may be empty.
_PARTS = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local size = redis.call('STRLEN', KEYS[1])
local found = {redis.call('GET', KEYS[2]), size}
for i = 1, #ARGV, 2 do
  local first, last = tonumber(ARGV[i]), size - 1
  if first < 0 then first = math.max(size + first, 0) end
  if ARGV[i + 1] ~= '' then last = math.min(last, first + tonumber(ARGV[i + 1]) - 1) end
  found[#found + 1] = first > last and '' or redis.call('GETRANGE', KEYS[1], first, last)
end
return found
"""
# KEYS: the value, its id.
_VALIDATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local id = redis.call('GET', KEYS[2])
return id or 'sha1:' .. redis.sha1hex(redis.call('GET', KEYS[1]))
"""
# KEYS: the value, its id, the record of this swap. ARGV: the token (empty for a missing key), the
# id of this write, how many milliseconds it is remembered, and, unless the key is to be deleted,
# the new value.
_SWAP = """
if redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
local token = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  token = redis.call('GET', KEYS[2])
    or 'sha1:' .. redis.sha1hex(redis.call('GET', KEYS[1]))
end
if token ~= ARGV[1] then return 0 end
if ARGV[4] then
  redis.call('MSET', KEYS[1], ARGV[4], KEYS[2], ARGV[2])
else
  redis.call('DEL', KEYS[1], KEYS[2])
end
redis.call('SET', KEYS[3], '', 'PX', ARGV[3])
return 1
"""


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
    batch = 32

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
        from redis.backoff import NoBackoff
        from redis.connection import PythonRespSerializer
        from redis.retry import Retry

        timeout = config["fetch.timeout"]
        # Requests are repeated by this package, which knows which of them may be.
        defaults: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
        }
        if "password" not in words and "credential_provider" not in words:
            defaults["password"] = os.environ.get("REDISCLI_AUTH")
        client = redis.Redis(**(defaults | words))
        if "connection_pool" not in words:
            # The packer of hiredis copies large values several times.
            packer = PythonRespSerializer(_PACKED, client.get_encoder().encode)
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
        return name, _beside(name)

    # Requests

    def _call(self, key: str, *words: Any) -> Any:
        """Return the reply to one command."""
        return self._call_all([(key, words)])[0]

    def _call_all(self, commands: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Return the replies to commands, each for a key, which are sent together."""
        if not commands:
            return []

        def attempt() -> list[Any]:
            found = self._send([words for _, words in commands])
            for reply in found:
                if isinstance(reply, Exception):
                    outcome = self._explain(reply)
                    if outcome is None or outcome.transient:
                        raise reply
            return found

        replies = self._request(attempt, commands[0][0])
        for (key, _), reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception):
                self._refuse(reply, key)
        return replies

    def _send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return the replies to commands, or the errors with which the server has replied."""
        if len(commands) > 1:
            with self.client.pipeline(transaction=False) as pipeline:
                for words in commands:
                    pipeline.execute_command(*words)
                found: list[Any] = pipeline.execute(raise_on_error=False)
            return found
        try:
            return [self.client.execute_command(*commands[0])]
        except package("redis").ResponseError as error:
            return [error]

    # Values

    def _get(self, key: str) -> bytes | None:
        value: bytes | None = self._call(key, "GET", self._name(key))
        return value

    def _read(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return values that are requested together."""
        commands: list[tuple[str, tuple[Any, ...]]] = []
        for key, start, length in wanted:
            name, beside = self._names(key)
            if start or length is not None:
                commands.append((key, _parts_of(name, beside, [(start, length)])))
            else:
                commands += (key, ("GET", beside)), (key, ("GET", name))
        replies = iter(self._call_all(commands))
        for index, (_, start, length) in enumerate(wanted):
            found = next(replies)
            if start or length is not None:
                if found is None:
                    yield index, None
                else:
                    token, size, part = found
                    yield index, Value(part, _text(token), size)
            else:
                data = next(replies)
                # The digest of a value that others have written takes a request of its own.
                yield index, None if data is None else Value(data, _text(found), len(data))

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
        found = self._call(key, *_parts_of(*self._names(key), ranges))
        return None if found is None else found[2:]

    def _exists(self, key: str) -> bool:
        return bool(self._call(key, "EXISTS", self._name(key)))

    def _getsize(self, key: str) -> int | None:
        found = self._call(key, *_parts_of(*self._names(key), ()))
        return None if found is None else found[1]

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing; one request."""
        validate_key(key)
        return _text(self._call(key, "EVAL", _VALIDATE, 2, *self._names(key)))

    # Changes

    def _store(self, key: str, value: bytes) -> tuple[Any, ...]:
        """Return the command that stores a value."""
        if len(value) > _LARGEST:
            msg = (
                f"{self}, key {key!r}: the value has {len(value):,} bytes, and Redis stores at "
                f"most {_LARGEST:,}; use smaller chunks"
            )
            raise BaseZarrError(msg)
        name, beside = self._names(key)
        return "MSET", name, value, beside, token_hex(8)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._call(key, *self._store(key, bytes(value)))

    def _delete(self, key: str) -> None:
        self._call(key, "DEL", *self._names(key))

    # It is consistent with the verbs of this class.
    set_many = ServedStore.set_many

    def _set_batch(self, batch: Sequence[tuple[str, bytes | None]]) -> None:
        self._call_all(
            [
                (key, ("DEL", *self._names(key)) if one is None else self._store(key, one))
                for key, one in batch
            ]
        )

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
        name, beside = self._names(key)
        mine = token_hex(8)
        # Longer than this request may be repeated.
        kept = int(1000 * (2 * config["fetch.deadline"] + 60))
        new: tuple[Any, ...] = ()
        if value is not None:
            new = (self._store(key, bytes(flat_bytes(value, key)))[2],)
        keys = name, beside, beside + mine.encode()
        done = bool(self._call(key, "EVAL", _SWAP, 3, *keys, token or "", mine, kept, *new))
        return done, mine if done and new else None

    # Listings

    def _list(self, prefix: str) -> Iterable[str]:
        start = self._name(f"{prefix}/" if prefix else "")
        cut = len(self._name(""))
        pattern = _glob.sub(rb"\\\1", start) + b"*"
        found = self._request(lambda: set(self._scan(pattern)), prefix)
        # What is not text cannot have been written as a key.
        return [name[cut:].decode() for name in found if _is_text(name)]

    def _scan(self, pattern: bytes) -> Iterator[bytes]:
        """Return the names that match a pattern, some of them several times."""
        client = self.client
        if hasattr(client, "get_primaries"):
            yield from client.scan_iter(match=pattern, count=_STEP)
            return
        # The cursor of a server that was restarted would leave out names. On one connection that is
        # an error, after which the listing begins again.
        with client.client() as one:
            cursor: Any = 0
            while True:
                cursor, names = one.execute_command(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", _STEP
                )
                yield from names
                if not int(cursor):
                    return

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


def _beside(name: bytes) -> bytes:
    """Return the name beside a value, in the same slot of a cluster."""
    start = name.find(b"{")
    end = name.find(b"}", start + 1)
    tag = name[start + 1 : end] if start >= 0 and end > start + 1 else name
    return b"fastzarr{" + tag + b"}" + name


def _parts_of(name: bytes, beside: bytes, ranges: Iterable[Range]) -> tuple[Any, ...]:
    """Return the command that reads parts of a value."""
    words = [word for start, length in ranges for word in (start, "" if length is None else length)]
    return "EVAL", _PARTS, 2, name, beside, *words


def _text(token: bytes | None) -> str | None:
    return None if token is None else token.decode()


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
