"""What stores of servers share: whole values and parts of them are requests of one kind.

Rules of this file:

* A store defines how one request is made; its verbs of reading are made of that here.
* A missing bucket is an error, and so is the listing of a server that has none.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from fastzarr.errors import RequestError
from fastzarr.stores.base import Store
from fastzarr.stores.keys import validate_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastzarr.stores.base import Range
    from fastzarr.stores.capabilities import Request, Value

# Answers of S3, Google and Azure in which it is not the key that is missing.
_no_bucket = re.compile(r"NoSuchBucket|ContainerNotFound|specified bucket does not exist").search


#: The clients of this process by the names in the pickles of stores.
known: WeakValueDictionary[str, Any] = WeakValueDictionary()


class RemoteStore(Store):
    """The base class of stores whose values, and parts of values, come from a server."""

    supports_partial_reads = True

    @abstractmethod
    def _value(self, key: str, start: int = 0, length: int | None = None) -> Value | None:
        """Return a value, or a part of one, or None if the key is missing."""

    def _get(self, key: str) -> bytes | None:
        found = self._value(key)
        return None if found is None else bytes(found.data)

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        """Return the index of each request with its value, one request after another."""
        return enumerate(map(self._answer, wanted))

    def _answer(self, wanted: Request) -> Value | None:
        key, start, length = wanted
        validate_key(key)
        return self._value(key, start, length)

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        parts = []
        for start, length in ranges:
            found = self._value(key, start, length)
            if found is None:
                return None
            parts.append(bytes(found.data))
        return parts

    def _delete_keys(self, keys: Iterable[str]) -> None:
        """Delete keys; a store that can deletes several at once."""
        for key in tuple(keys):
            self._delete(key)

    def _delete_dir(self, prefix: str) -> bool | None:
        keys = list(self._list(prefix))
        self._delete_keys(keys)
        return bool(keys)

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        self._delete_keys(self._list(""))

    def _check_key_missing(self, error: Exception) -> None:
        """Raise RequestError if it is not the key that an error says to be missing."""
        # adlfs says it in the cause alone.
        if _no_bucket(f"{error} {error.__cause__}"):
            msg = "the bucket does not exist"
            raise RequestError(msg, str(self), "", 404) from None

    def _check_listing(self, prefix: str) -> None:
        """Raise RequestError if the keys cannot be listed."""
        if not self.supports_listing:
            msg = (
                "a web server has no listing of its keys; open the members of a group by their "
                "paths, or consolidate the metadata where the data is stored"
            )
            raise RequestError(msg, str(self), prefix)
