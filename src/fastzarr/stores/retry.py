"""Requests to a server, repeated while that is safe and may help.

Rules of this file:

* A request is repeated after a failure that may pass: no connection, a connection that broke, a
  time-out, and the statuses 408, 429 and 5xx. Everything else is raised at once.
* No attempt is begun after the deadline (``fetch.deadline``). The error names the store, the key,
  the status, the number of attempts and the cause.
* Neither an error nor its cause contains a credential: the query, the user and the password of a
  URL are left out.
"""

from __future__ import annotations

import random
import re
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fastzarr.config import config
from fastzarr.errors import RequestAccessError, RequestError
from fastzarr.stores import stopping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_TRANSIENT = frozenset({408, 429, *range(500, 600)}) - {501, 505}
_DENIED = frozenset({401, 403})
_first_wait, _longest_wait = 0.05, 5.0
_user = re.compile(r"(?<=://)[^/@\s]*@")
_query = re.compile(r"(?<=[^\s?])\?[^\s)>\"']*")
# The answer of a server of S3, in XML.
_answer = re.compile(r"(?s)<\?xml.*?<Code>(.*?)</Code>.*?<Message>(.*?)</Message>.*").search
# The addresses at which machines of the clouds have credentials.
_machine = re.compile(r"//(169\.254\.169\.254|metadata\.google\.internal)/").search
_secret = re.compile(
    r"(?i)\b(authorization|credential|signature|x-amz-[a-z-]*|sig|secret|password|token|"
    r"access_?key(?:_?id)?)\b(['\"]?\s*[=:]\s*)[^\s,&;]+"
)
# Errors of fsspec that say nothing of their causes, as those of missing files do.
_AROUND = frozenset({"ReferenceNotReachable"})
# What the servers of S3 return of a request that they refuse.
_echo = re.compile(
    r"(?s)<(Token-\d+|AWSAccessKeyId|SignatureProvided|(?:StringToSign|CanonicalRequest)\w*)>.*?</\1>"
)


class Outcome(NamedTuple):
    """What a failed attempt means: the status if a server answered, and whether it may pass.

    ``denied`` is True if the credentials are missing, wrong or not sufficient.
    """

    status: int | str | None
    transient: bool
    denied: bool = False


def of_status(status: int) -> Outcome:
    """Return what a status that is not a success means."""
    return Outcome(status, status in _TRANSIENT, status in _DENIED)


def redacted(text: str) -> str:
    """Return a message without credentials.

    >>> redacted("GET https://me:pw@host/a?sig=abc failed")
    'GET https://host/a?… failed'
    """
    return _secret.sub(r"\1\2…", _query.sub("?…", _user.sub("", _echo.sub(r"<\1/>", text))))


def request(
    attempt: Callable[[], T],
    explain: Callable[[Exception], Outcome | None],
    place: object,
    key: str,
    decided: Callable[[], T | None] | None = None,
) -> T:
    """Return the result of ``attempt()``, which is repeated after failures that may pass.

    ``explain(error)`` returns the meaning of an error, or None if it is not a failure of the
    request: then it is raised as it is. ``place`` is the store, of which an error has the text, and
    ``key`` what is requested. An attempt whose reply was lost may have succeeded: ``decided``, if
    not None, is called before each repetition, and if its result is not None, that is returned
    instead.

    Raise ``RequestAccessError`` if access is denied, and ``RequestError`` for other failures.
    """
    attempts, began = None, time.monotonic()
    while True:
        try:
            return attempt()
        except Exception as error:  # noqa: BLE001  (raised again, unless it may pass)
            attempts = attempts or _Attempts(place, key, began)
            pause = attempts.pause(error, explain)
        stopping.pause(pause)
        if decided is not None:
            found = decided()
            if found is not None:
                return found


async def request_async(
    attempt: Callable[[], Awaitable[T]],
    explain: Callable[[Exception], Outcome | None],
    place: object,
    key: str,
) -> T:
    """Await the result of ``attempt()`` like ``request``."""
    import asyncio

    attempts, began = None, time.monotonic()
    while True:
        try:
            return await attempt()
        except Exception as error:  # noqa: BLE001  (raised again, unless it may pass)
            attempts = attempts or _Attempts(place, key, began)
            pause = attempts.pause(error, explain)
        await asyncio.sleep(pause)


class _Attempts:
    """The attempts of one request."""

    def __init__(self, place: object, key: str, began: float) -> None:
        self.place, self.key = place, key
        self.deadline = began + config["fetch.deadline"]
        self.wait, self.count = _first_wait, 0

    def pause(self, error: Exception, explain: Callable[[Exception], Outcome | None]) -> float:
        """Return the seconds until the next attempt; raise the error if there is none."""
        self.count += 1
        outcome = explain(error)
        if outcome is None:
            raise error
        seconds = self.wait * random.uniform(0.5, 1.0)  # noqa: S311  (spreads requests in time)
        if not outcome.transient or time.monotonic() + seconds >= self.deadline:
            raise failed(error, outcome, str(self.place), self.key, self.count) from cause(error)
        self.wait = min(2 * self.wait, _longest_wait)
        return seconds


def failed(error: Exception, outcome: Outcome, place: str, key: str, count: int) -> RequestError:
    """Return the error of a request that failed at last."""
    cls = RequestAccessError if outcome.denied else RequestError
    text = words(error)
    if count > 1:
        text = f"{text} ({count} attempts within {config['fetch.deadline']} s)"
    made = cls(text, place, key, outcome.status)
    # That of the system, if it was one.
    made.errno = getattr(error, "errno", None)
    return made


def words(error: Exception) -> str:
    """Return the message of an error without credentials, or the name of its class.

    >>> words(OSError("GET https://me:pw@host/a failed")), words(EOFError())
    ('GET https://host/a failed', 'EOFError')
    >>> "anon=True" in words(OSError("PUT http://169.254.169.254/latest/api/token failed"))
    True
    """
    # obstore appends its whole state, which has the URL with its query once more.
    text = str(error).partition("\n\nDebug source")[0]
    found = _answer(text)
    if found is not None:
        text = f"{text[: found.start()].rstrip(': ')}: {found[1]}: {found[2]}"
    around = isinstance(error, FileNotFoundError) or type(error).__name__ in _AROUND
    if around and isinstance(error.__cause__, Exception):
        text = f"{text}: {type(error.__cause__).__name__}: {words(error.__cause__)}"
    if _machine(text):
        text = (
            f"{text.strip()} (no credentials were found, so that those of a machine of the cloud "
        )
        text += "were asked for; pass some, set them in the environment, or pass anon=True)"
    return redacted(text.strip()) or type(error).__name__


def cause(error: Exception) -> Exception:
    """Return an error of the same class whose message has no credentials."""
    text = words(error)
    try:
        made = type(error)(text)
    except Exception:  # noqa: BLE001  (a class of others may require any arguments)
        return RuntimeError(f"{type(error).__name__}: {text}")
    return made
