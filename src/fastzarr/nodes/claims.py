"""Claims: the right of one writer to change the shape of an array, where nobody is kept out.

Rules of this file:

* In a store that compares and swaps but has no locks between processes, whoever writes or deletes
  chunks outside the published shape first claims the document of the array, and so does whoever
  deletes or replaces the array. Others who want to do so wait until the claim is given back.
* A claim is white space at the end of the document, which readers of JSON do not see. Whoever else
  changes the document keeps it; a program that does not know of claims removes it. The new shape
  is only published if the claim is still there. Otherwise, everything is done again.
* A claim says for how long it lasts. Its owner renews it in time, before it changes a further
  chunk. If a claim has not changed for so long, its owner has died, and another writer takes it.
* A claim that could not be given back is remembered by the process, which does not wait for it.
"""

from __future__ import annotations

import random
import re
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from contextvars import copy_context
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Self

from fastzarr.config import config
from fastzarr.stores import stopping
from fastzarr.stores.capabilities import Request
from fastzarr.stores.turns import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from fastzarr.stores import Store
    from fastzarr.stores.turns import Kept

# The bits of a claim are spaces and tabs: its name, how often it was renewed, and its seconds.
_NAME, _RENEWED, _SECONDS = 8, 2, 2
_BITS = 8 * (_NAME + _RENEWED + _SECONDS)
_found = re.compile(rb"\n[ \t]{%d}\Z" % _BITS).search
_first_wait, _longest_wait = 0.01, 0.5


class LostClaimError(Exception):
    """Raised if the claim of a writer is no longer there; never raised to a user."""


def mark_of(document: bytes) -> bytes:
    """Return the claim at the end of a document, or nothing.

    >>> mark_of(b'{"zarr_format": 3}')
    b''
    """
    found = _found(document)
    return b"" if found is None else found[0]


def _mark(name: bytes, renewed: int, seconds: int) -> bytes:
    number = name + (renewed % (1 << 16)).to_bytes(_RENEWED) + seconds.to_bytes(_SECONDS)
    bits = f"{int.from_bytes(number):0{_BITS}b}"
    return b"\n" + bits.replace("0", " ").replace("1", "\t").encode()


def _seconds(mark: bytes) -> int:
    """Return for how many seconds a claim lasts."""
    bits = mark[-8 * _SECONDS :].replace(b" ", b"0").replace(b"\t", b"1")
    return int(bits, 2)


def _name_of(mark: bytes) -> bytes:
    """Return what all versions of a claim have in common, however often it was renewed."""
    return mark[: 8 * _NAME + 1]


class Claim:
    """The claim of a document, from the beginning of a ``with`` block to its end."""

    def __init__(self, store: Store, key: str, kept: Kept | None = None) -> None:
        """Initialise with the key of the document; ``kept`` is as in ``take``."""
        self.store, self.key, self.kept = store, key, kept
        self.name = token_bytes(_NAME)
        # A request may be repeated until the deadline, and its last attempt takes its time.
        patience = 2 * (config["fetch.deadline"] + config["fetch.timeout"])
        self.seconds = min(max(int(patience), 1), 0xFFFF)
        self.renewed = 0
        #: Whether it was given back with the document that has just been stored.
        self.given_back = False
        self.mark, self.since = b"", 0.0
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        """Wait for the claim of another writer, and take it; do nothing if the key is missing."""
        wait, other, since = _first_wait, b"", 0.0
        mine = _mark(self.name, 0, self.seconds)

        def make(data: bytes | None) -> bytes | None:
            nonlocal other, since
            now = time.monotonic()
            found = b"" if data is None else mark_of(data)
            if found != other:
                other, since = found, now
            self.mark = b""
            left = self.store.place.left_claims
            known = _name_of(found) in left
            if data is None or (found and not known and now < since + _seconds(found)):
                return data
            self.mark, self.since = mine, now
            return data[: len(data) - len(found)] + mine

        try:
            while True:
                other_before = other
                self._change(make)
                if self.mark or not other:
                    return self
                # Whoever has waited for one claim is as eager for the next.
                wait = _first_wait if other != other_before else min(2 * wait, _longest_wait)
                stopping.pause(wait * random.uniform(0.5, 1.0))  # noqa: S311  (spreads requests)
        except BaseException:
            self.mark = mine
            self._give_back_once()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Give the claim back, if it is still there."""
        if not self.mark or (kind is None and self.given_back):
            return
        if kind is None:
            self._give_back()
        else:
            self._give_back_once()

    def _give_back(self) -> None:
        def make(data: bytes | None) -> bytes | None:
            if data is None or not self.owns(data):
                return data
            return data[: len(data) - len(mark_of(data))]

        # It may have been renewed by a request whose answer was lost.
        left, name = self.store.place.left_claims, _name_of(self.mark)
        left.add(name)
        self._change(make)
        left.discard(name)

    def _give_back_once(self) -> None:
        """Give the claim back after an interrupt or a failure: no request is repeated."""
        interrupted = stopping.Stopped()
        interrupted.stop()

        def give_back() -> None:
            stopping.STOP.set(interrupted)
            self._give_back()

        try:
            copy_context().run(give_back)
        except (Exception, KeyboardInterrupt):  # noqa: BLE001  (what ended the change is raised)
            return

    def owns(self, document: bytes) -> bool:
        """Whether a document has this claim."""
        return _name_of(mark_of(document)) == _name_of(self.mark) != b""

    def _change(self, make: Callable[[bytes | None], bytes | None]) -> None:
        take(self.store.turn(self.key), make, None, None, self.kept)

    def mark_after(self, document: bytes, *, given_back: bool) -> bytes:
        """Return what the next version of a document ends with."""
        self.given_back = given_back
        return b"" if given_back else mark_of(document)

    def verify(self, document: bytes) -> None:
        """Raise LostClaimError if a document does not have this claim."""
        if not self.owns(document):
            raise LostClaimError

    def check(self) -> None:
        """Renew the claim if it is time; raise LostClaimError if it is no longer there."""
        with self.lock:
            while 4 * (time.monotonic() - self.since) > self.seconds:
                self._renew()

    def _renew(self) -> None:
        """Change the document past its turn, which the thread that waits for this one may have."""
        store, now = self.store, time.monotonic()
        assert store.swap is not None  # noqa: S101  (there are no claims otherwise)
        ((_, found),) = store.fetch((Request(self.key),))
        if found is None:
            raise LostClaimError
        data = bytes(found.data)
        self.verify(data)
        token = found.token
        if token is None and store.validator is not None:
            # Read before the value, so that a change in between is noticed.
            token, data = store.validator(self.key), store.get(self.key) or b""
            self.verify(data)
        self.renewed += 1
        new = _mark(self.name, self.renewed, self.seconds)
        if store.swap(self.key, data[: len(data) - len(new)] + new, token):
            self.mark, self.since = new, now

    @contextmanager
    def renewed_in_time(self) -> Iterator[None]:
        """Renew the claim in a ``with`` block, by a thread, while others change chunks."""
        done = threading.Event()

        def renew() -> None:
            # If the claim is lost or the store does not answer, the shape is not published.
            with suppress(Exception):
                while not done.wait(self.seconds / 8):
                    self.check()

        thread = threading.Thread(target=renew, name="fastzarr-claim", daemon=True)
        if self.mark:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self.mark:
                thread.join()

    def guarding(self, synchronizer: Any) -> Guard:
        """Return a synchronizer that checks the claim before each turn, and locks as another."""
        return Guard(self, synchronizer)


def is_needed(store: Store) -> bool:
    """Whether other processes may change an array, and are noticed but not kept out."""
    return store.swap is not None and not store.excludes


@contextmanager
def removing(store: Store, keys: Iterable[str]) -> Iterator[None]:
    """Delete documents in a ``with`` block, when nobody changes the shape of their array."""
    with ExitStack() as stack:
        claims = [Claim(store, key) for key in keys] if is_needed(store) else []
        for claim in claims:
            stack.enter_context(claim)
        yield
        for claim in claims:
            claim.given_back = True


class Guard:
    """A synchronizer whose locks check a claim first."""

    def __init__(self, claim: Claim, synchronizer: Any) -> None:
        """Initialise; ``synchronizer`` is the user's, or None."""
        self.claim, self.synchronizer = claim, synchronizer

    def __getitem__(self, key: str) -> AbstractContextManager[Any]:
        """Return the lock of a key."""
        return self._lock(key)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        with nullcontext() if self.synchronizer is None else self.synchronizer[key]:
            self.claim.check()
            yield
