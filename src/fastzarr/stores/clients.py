"""The clients behind file systems of fsspec: how they are made, and what their errors mean.

Rules of this file:

* A client repeats nothing itself, and an attempt ends after ``fetch.timeout`` without a byte, so
  that ``retry`` decides, and its error has the last status.
"""

from __future__ import annotations

import re
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.stores import retry

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEB = frozenset({"http", "https"})
# The statuses of what is missing.
_GONE = frozenset({404, 410})
# Seconds until there is a connection.
_CONNECT = 5.0
_status = re.compile(r"\b(4\d\d|5\d\d)\b").search
# The names of errors of aiohttp and botocore for a connection that failed.
_network = re.compile(r"Connect|Payload|Timeout|Disconnected|Reset|IncompleteRead|ReadError").search


def opened(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of a URL, which leaves repetition to ``retry``, and the path in it."""
    from fsspec.core import url_to_fs

    options, seconds = dict(storage_options), config["fetch.timeout"]
    scheme = url.partition("://")[0]
    if scheme in ("s3", "s3a"):
        settings = dict(options.get("config_kwargs") or {})
        # botocore's own limit is ten connections.
        settings.setdefault("max_pool_connections", config["fetch.concurrency"])
        settings.setdefault("read_timeout", seconds)
        settings.setdefault("connect_timeout", _CONNECT)
        # botocore completes these settings where they are, unless both are given.
        settings.setdefault("retries", {"total_max_attempts": 1, "mode": "standard"})
        options["config_kwargs"] = settings
    elif scheme in _WEB and "timeout" not in (options.get("client_kwargs") or {}):
        try:
            from aiohttp import ClientTimeout
        except ImportError:  # fsspec raises the same with more words
            return url_to_fs(url, **options)  # type: ignore[no-any-return]
        limits = ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=seconds)
        options["client_kwargs"] = {**(options.get("client_kwargs") or {}), "timeout": limits}
    fs, path = url_to_fs(url, **options)
    if scheme in ("s3", "s3a"):
        # The attempts of s3fs itself.
        fs.retries = 1
    return fs, path


def _status_in(error: BaseException) -> int | None:
    """Return the status that an error of aiohttp, botocore or others states."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # of botocore
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) and found >= 400 else None


def _is_network(error: BaseException) -> bool:
    is_known = isinstance(error, ConnectionError | TimeoutError | CancelledError)
    return is_known or any(_network(kind.__name__) for kind in type(error).__mro__)


def meaning(error: Exception) -> retry.Outcome | None:
    """Return what an error means that does not say that a key is missing."""
    # The status of an answer that was cut is one of aiohttp's own.
    cut, cause = _is_network(error), error.__cause__
    status = _status_in(error) or (None if cut or cause is None else _status_in(cause))
    if isinstance(error, PermissionError):
        return retry.Outcome(status or 403, transient=False)
    if status is not None:
        return retry.of_status(status)
    if not cut and type(error).__module__.partition(".")[0] in ("builtins", "fastzarr"):
        found = _status(str(error)) if type(error) is OSError else None
        return None if found is None else retry.of_status(int(found[1]))
    return retry.Outcome(None, cut)


def unless_missing(cause: Exception) -> retry.Outcome | None:
    """Return what the cause of a missing file means, or None if the file is missing.

    The file system of HTTP says that a file is missing, whatever the server has answered.
    """
    status = _status_in(cause)
    is_failure = _is_network(cause) if status is None else status not in _GONE
    return meaning(cause) if is_failure else None
