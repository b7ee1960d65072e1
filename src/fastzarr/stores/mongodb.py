"""A store in a collection of MongoDB.

Rules of this file:

* The value of a key is the document with the fields ``key`` and ``value``, as in zarr-python 2. A
  unique index, which is made before the first change, keeps two writers from inserting one key
  twice. If others have, reading the key is an error.
* A third field, ``writes``, has the ids of the last swaps that led to the value, the newest first.
  So a value is swapped only if no other write has come between, and a writer whose reply was lost
  finds its id. If the ids do not reach back far enough to decide, that is an error.
* Prefixes are compared as ranges of keys, never as patterns.
"""

from __future__ import annotations

import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from fastzarr.buffers import flat_bytes
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, RequestError
from fastzarr.stores import retry
from fastzarr.stores.capabilities import Value
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.served import ServedStore, is_secret, package

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Request
    from fastzarr.stores.served import Change, Swap

_KEPT_IDS = 64
# A document has at most 16 MiB, of which the key and the ids take a little.
_LARGEST = (16 << 20) - (16 << 10)
_DENIED = ("Unauthorized", "AuthenticationFailed")
_url = re.compile(r"\A(mongodb(?:\+srv)?)://(?:[^/@]*@)?([^/?]*)").match
_user = re.compile(r"(?<=://)[^/@]*@")


class _Token(NamedTuple):
    """The ids of a value, or the value itself if it was written by others."""

    writes: tuple[str, ...]
    value: bytes | None = None


class MongoDBStore(ServedStore):
    """A store in a collection of a MongoDB database.

    A document has the fields ``key`` and ``value``, as in zarr-python 2, whose data it reads.
    ``kwargs`` are those of ``pymongo.MongoClient`` (``host``, ``port``, ``username``, ``password``,
    ``tls`` ...), of the package pymongo, which the extra ``fastzarr[mongodb]`` installs. URLs are
    ``mongodb://host:27017/database.collection`` and ``mongodb+srv://``, with or without a database
    and a collection.

    Values are set atomically, and chunks that several writers share are compared and swapped, also
    across machines. The first change makes a unique index of the keys, which requires that no key
    is there twice. A value has at most 16 MiB, like all documents; larger ones are refused.

    A failed request is repeated within ``fetch.deadline`` (60 s). What is durable is decided by the
    server and the write concern: with ``journal=True`` every write that has returned. A pickle has
    no user and no password.

    >>> MongoDBStore("data", "arrays", host="localhost")
    MongoDBStore('mongodb://localhost:27017/data.arrays')
    """

    concurrency = 8
    batch = 256
    batch_bytes = 4 << 20
    _MOST = 256

    def __init__(
        self,
        database: str = "mongodb_zarr",
        collection: str = "zarr_collection",
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Initialise; the server is connected when it is first needed."""
        self._database, self._collection = database, collection
        super().__init__(kwargs, dimension_separator=dimension_separator, read_only=read_only)

    @staticmethod
    def _words(url: str) -> dict[str, Any]:
        database, _, collection = unquote(urlsplit(url).path.lstrip("/")).partition(".")
        named = {"database": database, "collection": collection}
        return {name: text for name, text in named.items() if text} | {"host": url}

    @staticmethod
    def _make(**words: Any) -> Any:
        pymongo = package("pymongo")
        most = round(1000 * config["fetch.timeout"])
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        try:
            return pymongo.MongoClient(**(dict.fromkeys(names, most) | {"connect": False} | words))
        except pymongo.errors.ConfigurationError as error:
            msg = f"the URL or the arguments of MongoDB are not valid: {retry.redacted(str(error))}"
            raise BaseZarrError(msg) from None

    @staticmethod
    def _explain(error: Exception) -> retry.Outcome | None:
        errors = package("pymongo").errors
        if not isinstance(error, errors.PyMongoError):
            return None
        word = _word_of(error)
        passing = isinstance(error, errors.ConnectionFailure | errors.CursorNotFound)
        # Two writers have inserted a key at once: the second finds it now.
        passing = passing or error.has_error_label("RetryableWriteError") or word == "DuplicateKey"
        return retry.Outcome(word, passing, word in _DENIED)

    @staticmethod
    def _public(words: dict[str, Any]) -> dict[str, Any]:
        host = words.get("host")
        if isinstance(host, str):
            return words | {"host": _without_secrets(host)}
        if host is not None:
            return words | {"host": [_without_secrets(one) for one in host]}
        return words

    @property
    def db(self) -> Any:
        """The database, as an object of pymongo.

        >>> MongoDBStore("data").db.name
        'data'
        """
        return self.client[self._database]

    @property
    def collection(self) -> Any:
        """The collection, as an object of pymongo.

        >>> MongoDBStore("data", "arrays").collection.name
        'arrays'
        """
        return self.db[self._collection]

    # Values

    def _find(self, keys: Sequence[str], fields: Iterable[str] = ()) -> dict[str, Any]:
        """Return the documents of keys; raise BaseZarrError if a key is there twice."""
        wanted = dict.fromkeys(fields, 1) or None

        def attempt() -> list[Any]:
            where = {"key": keys[0] if len(keys) == 1 else {"$in": list(keys)}}
            return list(self.collection.find(where, wanted))

        found: dict[str, Any] = {}
        for document in self._request(attempt, keys[0]):
            if document["key"] in found:
                raise self._twice(document["key"])
            found[document["key"]] = document
        return found

    def _twice(self, key: str) -> BaseZarrError:
        msg = (
            f"{self}, key {key!r}: several documents have this key, which were inserted without a "
            "unique index; delete all but one of them"
        )
        return BaseZarrError(msg)

    def _value(self, document: Mapping[str, Any]) -> bytes:
        value = document.get("value")
        if not isinstance(value, bytes):
            msg = f"the field 'value' of this document is not bytes but {type(value).__name__}"
            raise RequestError(msg, str(self), document["key"], "TypeMismatch")
        return value

    def _token(self, document: Mapping[str, Any]) -> _Token:
        writes = tuple(document.get("writes", ()))
        return _Token(writes, None if writes else self._value(document))

    def _get(self, key: str) -> bytes | None:
        found = self._find([key]).get(key)
        return None if found is None else self._value(found)

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value; many are requested together."""
        for key, start, length in wanted:
            validate_key(key)
            clip_range(start, length, 0)
        for at in range(0, len(wanted), self.batch):
            run = wanted[at : at + self.batch]
            found = self._find(list(dict.fromkeys(key for key, *_ in run)))
            for index, (key, start, length) in enumerate(run, at):
                document = found.get(key)
                if document is None:
                    yield index, None
                    continue
                data = self._value(document)
                part = slice(*clip_range(start, length, len(data)))
                yield index, Value(data[part], self._token(document), len(data))

    def _exists(self, key: str) -> bool:
        return bool(self._find([key], ("key",)))

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing."""
        validate_key(key)
        found = self._find([key], ("key", "writes")).get(key)
        if found is not None and not found.get("writes"):
            found = self._find([key]).get(key)
        return None if found is None else self._token(found)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes, which are read for it."""
        keys = self.list(prefix)
        return sum(len(one or b"") for run in self._runs(keys) for one in self.get_many(run))

    # Changes

    def _prepare(self) -> None:
        """Make the unique index, once for each client."""
        if self._connection.prepared:
            return

        def attempt() -> Any:
            try:
                self.collection.create_index([("key", 1)], unique=True)
            except package("pymongo").errors.OperationFailure as error:
                # Repeating it would not help: the keys are stored twice.
                if _word_of(error) != "DuplicateKey":
                    raise
                return error
            return None

        error = self._request(attempt, "")
        if error is not None:
            msg = (
                f"{self}: several documents have the same key, which were inserted without a "
                f"unique index; delete all but one of them: {error}"
            )
            raise BaseZarrError(msg) from error
        self._connection.prepared = True

    def _document(self, key: str, value: bytes, writes: Sequence[str]) -> dict[str, Any]:
        if len(value) > _LARGEST:
            msg = (
                f"{self}, key {key!r}: the value has {len(value):,} bytes, and a document of "
                f"MongoDB at most 16 MiB; use smaller chunks"
            )
            raise BaseZarrError(msg)
        return {"key": key, "value": value, "writes": list(writes)[:_KEPT_IDS]}

    def _set(self, key: str, value: bytes | memoryview) -> None:
        document = self._document(key, bytes(value), [token_hex(8)])
        self._prepare()
        self._request(lambda: self.collection.replace_one({"key": key}, document, upsert=True), key)

    def _delete(self, key: str) -> None:
        self._request(lambda: self.collection.delete_many({"key": key}), key)

    # It is consistent with the verbs of this class.
    set_many = ServedStore.set_many
    swap_many = ServedStore.swap_many

    def _set_batch(self, batch: Sequence[Change]) -> None:
        pymongo = package("pymongo")
        self._prepare()
        changes = [
            pymongo.DeleteMany({"key": key})
            if one is None
            else pymongo.ReplaceOne(
                {"key": key}, self._document(key, bytes(one), [token_hex(8)]), upsert=True
            )
            for key, one in batch
        ]

        def attempt() -> Any:
            try:
                self.collection.bulk_write(changes, ordered=False)
            except pymongo.errors.BulkWriteError as error:
                if _word_of(error) == "DuplicateKey":
                    raise
                return error
            return None

        error = self._request(attempt, batch[0][0])
        if error is not None:
            first = (error.details.get("writeErrors") or [{}])[0]
            self._refuse(error, batch[first.get("index", 0)][0])

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.
        Return whether it was current. If not, nothing has changed.

        Raise RequestError if a reply was lost, and the value does not tell what has happened.
        """
        return self.swap_token(key, value, token)[0]

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Do as ``swap`` does; return also the token of the new value.

        >>> store = MongoDBStore()
        >>> done, token = store.swap_token("a", b"1", None)  # doctest: +SKIP
        """
        self._check_write(key)
        before = token if isinstance(token, _Token) else None
        mine = token_hex(8)
        old = () if before is None else before.writes
        new = None
        if value is not None:
            new = self._document(key, bytes(flat_bytes(value, key)), [mine, *old])
        if token is not None and before is None:
            return False, None
        if new is None and before is None:
            return not self._exists(key), None
        self._prepare()
        attempts = 0

        def attempt() -> bool:
            nonlocal attempts
            attempts += 1
            done = self._swap_once(key, new, before)
            # A request before may have arrived late.
            return done or (attempts > 1 and self._is_written(key, before, mine) is True)

        done = self._request(attempt, key, lambda: self._is_written(key, before, mine))
        return done, _Token(tuple(new["writes"])) if done and new is not None else None

    def _swap_once(self, key: str, new: dict[str, Any] | None, before: _Token | None) -> bool:
        if before is None:
            try:
                self.collection.insert_one(dict(new or {}))
            except package("pymongo").errors.DuplicateKeyError:
                return False
            return True
        where = self._where(key, before)
        if new is None:
            return bool(self.collection.delete_one(where).deleted_count)
        return bool(self.collection.replace_one(where, new).matched_count)

    @staticmethod
    def _where(key: str, before: _Token) -> dict[str, Any]:
        """Return the condition of the document of a key that has a token."""
        if before.writes:
            return {"key": key, "writes.0": before.writes[0]}
        return {"key": key, "writes": {"$exists": False}, "value": before.value}

    def _swap_batch(self, batch: Sequence[Swap]) -> list[bool]:
        pymongo = package("pymongo")
        mine = token_hex(8)
        before: dict[str, _Token | None] = {}
        requests = []
        for key, value, token in batch:
            # After a deletion, no id tells whose it was.
            if value is None or not isinstance(token, _Token | None):
                continue
            before[key] = token
            old = () if token is None else token.writes
            new = self._document(key, bytes(value), [mine, *old])
            if token is None:
                requests.append(pymongo.InsertOne(new))
            else:
                requests.append(pymongo.ReplaceOne(self._where(key, token), new))
        made = self._swap_all(requests, before, mine) if requests else {}
        return [
            made[key] if key in made else self.swap(key, value, token)
            for key, value, token in batch
        ]

    def _swap_all(
        self, requests: Sequence[Any], before: Mapping[str, _Token | None], mine: str
    ) -> dict[str, bool]:
        """Make requests, one for each key; return whether its value was written by it."""
        self._prepare()
        attempts = 0

        def attempt() -> int | None:
            """Return the number of values that were written, if no reply was lost."""
            nonlocal attempts
            attempts += 1
            try:
                found = self.collection.bulk_write(requests, ordered=False).bulk_api_result
            except package("pymongo").errors.BulkWriteError as error:
                # Others have inserted some keys.
                if _word_of(error) != "DuplicateKey":
                    raise
                found = error.details
            return found["nMatched"] + found["nInserted"] if attempts == 1 else None

        count = self._request(attempt, next(iter(before)))
        if count == len(requests):
            return dict.fromkeys(before, True)
        # The reply does not tell which values were written, but their ids do.
        found = self._find(list(before))
        made = {key: mine in found.get(key, {}).get("writes", ()) for key in before}
        if sum(made.values()) == count:
            return made
        return {
            key: self._is_made(found.get(key), key, token, mine) is True
            for key, token in before.items()
        }

    def _is_written(self, key: str, before: _Token | None, mine: str) -> bool | None:
        """Whether a swap has been made whose reply was lost; None if it may be made again."""
        return self._is_made(self._find([key]).get(key), key, before, mine)

    def _is_made(
        self, found: Mapping[str, Any] | None, key: str, before: _Token | None, mine: str
    ) -> bool | None:
        if found is None:
            return None if before is None else False
        token = self._token(found)
        if mine in token.writes:
            return True
        if token == before:
            return None
        first = () if before is None else before.writes[:1]
        if len(token.writes) >= _KEPT_IDS and not set(first) & set(token.writes):
            msg = (
                "the reply was lost, and since then so many others have changed the value that it "
                "cannot be told whether this change was made"
            )
            raise RequestError(msg, str(self), key)
        return False

    # Listings and trees

    def _list(self, prefix: str) -> Iterable[str]:
        def attempt() -> list[Any]:
            found = self.collection.find(_below(prefix), {"key": 1, "_id": 0})
            return [document.get("key") for document in found]

        return {key for key in self._request(attempt, prefix) if isinstance(key, str)}

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix; one request."""
        path = normalise_path(prefix)
        where = _below(path) or {"key": {"$gte": ""}}
        return self._request(lambda: self.collection.find_one(where, {"key": 1}), path) is None

    def _delete_dir(self, prefix: str) -> bool:
        found = self._request(lambda: self.collection.delete_many(_below(prefix)), prefix)
        return bool(found.deleted_count)

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        self._request(lambda: self.collection.delete_many({}), "")

    def __str__(self) -> str:
        """Return the URL, without credentials."""
        words = self._connection.words
        hosts = words.get("host") or "localhost"
        parts = [hosts] if isinstance(hosts, str) else list(hosts)
        scheme, names = "mongodb", []
        for part in parts:
            found = _url(part)
            if found is not None:
                scheme, part = found[1], found[2]  # noqa: PLW2901  (the host of a URL)
            elif ":" not in part:
                part = f"{part}:{words.get('port') or 27017}"  # noqa: PLW2901  (with its port)
            names.append(part)
        return f"{scheme}://{','.join(names)}/{self._database}.{self._collection}"


def _without_secrets(host: str) -> str:
    """Return a host or a URL without its user, and without what is secret in its query."""
    place, mark, query = _user.sub("", host).partition("?")
    kept = [one for one in query.split("&") if not is_secret(one.partition("=")[0])]
    return place + mark + "&".join(kept)


def _word_of(error: Any) -> str | None:
    """Return the server's word for a failure, or None if it has not answered."""
    details = getattr(error, "details", None) or {}
    failures = details.get("writeErrors") or [details]
    codes = {one.get("code", getattr(error, "code", None)) for one in failures}
    if codes == {11000}:
        return "DuplicateKey"
    if type(error).__name__ == "DuplicateKeyError":
        return "DuplicateKey"
    word = next((one["codeName"] for one in failures if one.get("codeName")), None)
    code = next((one for one in codes if one is not None), None)
    return word or (None if code is None else f"code {code}")


def _below(prefix: str) -> dict[str, Any]:
    """Return the condition of the documents whose keys are below a prefix."""
    # The character after a slash is a zero.
    return {"key": {"$gte": f"{prefix}/", "$lt": f"{prefix}0"}} if prefix else {}
