"""The clients behind file systems of fsspec: how they are made, and what their errors mean.

Rules of this file:

* A client repeats nothing itself, and an attempt ends after ``fetch.timeout`` without a byte, so
  that ``retry`` decides, and its error has the last status.
* A web server may ignore a range, or answer another one. What it has sent is compared with what was
  requested, because fsspec does not do that.
* botocore logs what it sends and receives at the level DEBUG; credentials are left out there, too.
* A redirect from ``https`` to any other scheme is not followed, nor one to a scheme that is not of
  the web.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from concurrent.futures import CancelledError
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.errors import BaseZarrError
from fastzarr.stores import copies, retry
from fastzarr.stores.capabilities import Value
from fastzarr.stores.options import needs
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEB = frozenset({"http", "https"})
_S3 = frozenset({"s3", "s3a"})
# The method of file systems that reads a file.
_READ = "_cat_file"
# The statuses of what is missing.
_GONE = frozenset({404, 410})
# Seconds until there is a connection.
_CONNECT = 5.0
# A status in a message, which is not a coordinate in the key that it names.
_NUMBER = r"(?<![\w./%%-])(%s)(?![\w/%%-]|\.\w)"
_status = re.compile(_NUMBER % r"4\d\d|5\d\d").search
_beyond = re.compile(_NUMBER % "416" + "|InvalidRange|not satisfiable").search
_reply = re.compile(r"\A(\d\d\d)\b").match
_FTP_DENIED = frozenset({331, 332, 430, 530, 532})
_no_access = re.compile(r"(?i)denied|permission|not authori[sz]ed|access").search
_no_file = re.compile(r"(?i)no such|not found|not exist|cannot find|can't find").search
# The names of errors of paramiko and others for a login that was refused.
_denied = re.compile(r"Authentication|PasswordRequired|BadHostKey|LogonFailure").search
_part = re.compile(r"\Abytes (\d+)-(\d+)/(\d+|\*)\Z").match
# The names of errors of aiohttp and botocore for a connection that failed.
_network = re.compile(r"Connect|Payload|Timeout|Disconnected|Reset|IncompleteRead|ReadError").search


# The loggers of botocore that have requests and answers.
_TALKING = ("auth", "endpoint", "hooks", "httpsession", "parsers", "retryhandler")


class _Redacting(logging.Filter):
    """Leaves credentials out of records."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = retry.redacted(record.getMessage()), ()
        return True


_redacting = _Redacting()


def log_no_credentials() -> None:
    """Leave credentials out of what botocore logs."""
    for name in _TALKING:
        for package in ("botocore", "aiobotocore"):
            # A filter that is there is not added again.
            logging.getLogger(f"{package}.{name}").addFilter(_redacting)


class AnswerError(Exception):
    """Raised if a server has answered something else than what was requested."""

    def __init__(self, message: str, status: int) -> None:
        """Initialise with a message and the status of the answer."""
        super().__init__(message)
        self.status = status


class _Sessions:
    """Makes the sessions of web file systems; equal and pickled by name, as fsspec demands."""

    async def __call__(self, **options: Any) -> Any:
        from aiohttp import ClientSession, TraceConfig

        watch = TraceConfig()
        watch.on_request_redirect.append(_check_redirect)
        return ClientSession(**options, trace_configs=[*options.pop("trace_configs", ()), watch])

    def __repr__(self) -> str:
        return "sessions()"

    def __reduce__(self) -> str:
        return "_sessions"


_sessions = _Sessions()


async def _check_redirect(session: Any, context: Any, asked: Any) -> None:
    """Raise AnswerError for a redirect that is not followed."""
    del session, context
    target = asked.response.headers.get("Location") or asked.response.headers.get("URI") or ""
    scheme = asked.url.join(type(asked.url)(target)).scheme
    # ``http`` to ``https`` is followed.
    if scheme not in {"https", asked.url.scheme}:
        msg = f"the server redirects to {target}, which is of another scheme than the URL"
        raise AnswerError(msg, asked.response.status)


def opened(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of a URL, which leaves repetition to ``retry``, and the path in it.

    Raise ImportError for a missing package, BaseZarrError for a URL that cannot be opened,
    TypeError for options that are missing or unknown, FileNotFoundError if a file that holds the
    others is missing, and RequestError if a server cannot be reached or refuses.
    """
    scheme = re.split(r"://|::", url, maxsplit=1)[0].lower() if "://" in url else "file"
    if find_spec("fsspec") is None:
        raise needs(scheme)
    try:
        return _opened(url, storage_options)
    except ImportError as error:
        raise needs(scheme, error) from error
    except BaseZarrError:
        raise
    except Exception as error:  # noqa: BLE001  (raised again, with the URL)
        if isinstance(error, ValueError) and _unknown(str(error), scheme):
            msg = (
                f"{scheme!r} URLs are not known to fsspec; pass a path, a mapping, a store or a "
                "URL of another scheme"
            )
            raise BaseZarrError(msg) from retry.cause(error)
        raise _not_opened(error, public_name(url)) from retry.cause(error)


def _unknown(message: str, scheme: str) -> bool:
    return "rotocol not known" in message and message.rstrip().endswith(scheme)


def public_name(url: str) -> str:
    """Return a URL of fsspec without credentials.

    >>> public_name("sftp://me:pw@host/a"), public_name("github://org:repo@main/a")
    ('sftp://host/a', 'github://org:repo@main/a')
    """
    return url if url.startswith("github://") else retry.redacted(url)


def _not_opened(error: Exception, url: str) -> Exception:
    """Return the error for one that was raised while a file system was made."""
    text = f"{url} cannot be opened: {retry.words(error)}"
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, text)
    if isinstance(error, TypeError):
        return TypeError(text)
    outcome = meaning(error)
    if outcome is None:
        return BaseZarrError(text)
    return retry.failed(error, outcome, url, "", 1)


def _opened(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    options = dict(storage_options)
    first, scheme = url.partition("://")[0], url.rpartition("::")[2].partition("://")[0]
    if "::" in url:
        options[scheme] = _limits(scheme, options.get(scheme) or {})
    elif first == "reference":
        # References to files of one kind, as kerchunk writes them.
        kind, words = options.get("remote_protocol"), options.get("remote_options") or {}
        options["remote_options"] = _limits(kind or "", words)
    else:
        options = _limits(scheme, options)
    fs, path = url_to_fs(url, **{name: value for name, value in options.items() if value != {}})
    limit(fs)
    return fs, path


def limit(fs: Any) -> None:
    """Let a file system of a URL repeat nothing, and those that it has made itself have limits."""
    below = copies.below(fs)
    names = copies.protocols(below)
    if names & _S3:
        # The attempts of s3fs itself.
        below.retries = 1
    if "reference" in names and below.storage_options.get("fs") is None:
        below.fss = _Targets(below)


class _Targets(dict[Any, Any]):
    """The file systems of the files that references are to, by their schemes.

    fsspec makes one for the scheme that it finds first. Others are made when they are needed.
    """

    def __init__(self, fs: Any) -> None:
        super().__init__()
        self._asynchronous = fs.asynchronous
        words = fs.storage_options.get("remote_options") or {}
        for scheme, made in fs.fss.items():
            limited = sorted(copies.protocols(made) & (_S3 | _WEB))
            self[scheme] = self._made(scheme or limited[0], words) if limited else made

    def _made(self, scheme: str, words: Mapping[str, Any]) -> Any:
        from fsspec import filesystem
        from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

        how = {"asynchronous": self._asynchronous}
        made = filesystem(scheme, **(_limits(scheme, words) | how))
        limit(made)
        return made if made.async_impl else AsyncFileSystemWrapper(made, **how)

    def __missing__(self, scheme: Any) -> Any:
        made = self[scheme] = self._made(scheme, {})
        return made


def without_folders(fs: Any, path: str) -> tuple[Any, str]:
    """Return the file system, and the path in it, of a path in one that is rooted in a folder.

    What is known of a file system, such as that its files are written in place, is known by its
    protocol, which that of the folder hides.

    >>> from fsspec.implementations.dirfs import DirFileSystem
    >>> from fsspec.implementations.memory import MemoryFileSystem
    >>> without_folders(DirFileSystem("/a", MemoryFileSystem()), "b")[1]
    '/a/b'
    """
    while "dir" in copies.protocols(fs):
        path = f"{fs.path.rstrip('/')}/{path.strip('/')}".rstrip("/")
        fs = fs.fs
    return fs, path


def _limits(scheme: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a client that makes one attempt, which ends after its time."""
    options, seconds = dict(given), config["fetch.timeout"]
    if scheme in _S3:
        settings = dict(options.get("config_kwargs") or {})
        # botocore's own limit is ten connections.
        settings.setdefault("max_pool_connections", config["fetch.concurrency"])
        settings.setdefault("read_timeout", seconds)
        settings.setdefault("connect_timeout", _CONNECT)
        # botocore completes these settings where they are, unless both are given.
        settings.setdefault("retries", {"total_max_attempts": 1, "mode": "standard"})
        options["config_kwargs"] = settings
    elif scheme in _WEB:
        try:
            from aiohttp import ClientTimeout
        except ImportError:  # fsspec raises the same with more words
            return options
        limits = ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=seconds)
        options["client_kwargs"] = {"timeout": limits, **(options.get("client_kwargs") or {})}
        options.setdefault("get_client", _sessions)
    return options


async def limited(fs: Any, verb: Any, *args: Any, **kwargs: Any) -> Any:
    """Await a verb of a file system, for as long as a request may take."""
    # It is called when this begins: an interrupt before would leave a coroutine that never began.
    call = getattr(fs, f"_{verb}") if isinstance(verb, str) else partial(verb, fs)
    return await asyncio.wait_for(call(*args, **kwargs), config["fetch.deadline"])


def part(data: Any, start: int, length: int | None) -> Value:
    """Return the value of a request from the bytes that came, which may be more."""
    if not start and length is None:
        return Value(data, None, len(data))
    if start < 0:
        # Servers that ignore ranges send all, of which this is the end in any case.
        data = data[max(len(data) + start, 0) :]
        return Value(data if length is None else data[:length])
    if length is not None and len(data) > length:
        first, last = clip_range(start, length, len(data))
        return Value(data[first:last])
    return Value(data)


def is_beyond(error: Exception, start: int, length: int | None) -> bool:
    """Whether a part was requested, and nothing of the value is in it."""
    part = bool(start) or length is not None
    if not part or isinstance(error, FileNotFoundError):
        return False
    return _beyond(f"{getattr(error, 'status', '')} {error}") is not None


def reads_web(fs: Any) -> bool:
    """Whether a file system reads parts of files of web servers in the way of fsspec."""
    names = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    if not _WEB & set(names):
        return False
    from fsspec.implementations.http import HTTPFileSystem

    return getattr(type(fs), _READ, None) is getattr(HTTPFileSystem, _READ)


async def web_part(fs: Any, url: str, start: int, length: int | None) -> bytes:
    """Return a part of a file of a web server.

    Raise AnswerError if the server answers another part, and FileNotFoundError for status 404.
    """
    how = dict(fs.kwargs)
    last = "" if length is None else start + length - 1
    wanted = f"bytes={start}" if start < 0 else f"bytes={start}-{last}"
    # The parts of a file that is compressed on the way are not those of the file.
    asked = {"Range": wanted, "Accept-Encoding": "identity"}
    how["headers"] = {**(how.get("headers") or {}), **asked}
    session = await fs.set_session()
    async with session.get(fs.encode_url(url), **how) as answer:
        data: bytes = await answer.read()
        if answer.status == 404:
            raise FileNotFoundError(url)
        answer.raise_for_status()
        stated = answer.headers.get("Content-Range")
    if answer.status != 206:  # the server ignores ranges
        first, end = clip_range(start, length, len(data))
        return data[first:end]
    _check_part(stated, len(data), start, length, wanted)
    return data if length is None else data[:length]


def _check_part(stated: str | None, size: int, start: int, length: int | None, wanted: str) -> None:
    """Raise an error if the part that came is not the one that was requested."""
    found = _part(stated or "")
    if found is None or not _is_part(int(found[1]), int(found[2]) + 1, found[3], start, length):
        msg = f"the server answered {stated or 'no range'} to a request of {wanted}"
        raise AnswerError(msg, 206)
    if size != int(found[2]) + 1 - int(found[1]):
        msg = f"the body has {size} bytes in place of {stated}"
        raise ConnectionError(msg)


def _is_part(first: int, end: int, whole: str, start: int, length: int | None) -> bool:
    """Whether a part is the requested one; ``whole`` is the size of the file, or a star."""
    if whole != "*":
        return (first, end) == clip_range(start, None if start < 0 else length, int(whole))
    # Where a part before the end begins is then unknown.
    return first == start and (length is None or end <= start + length)


def _status_in(error: BaseException) -> int | None:
    """Return the status that an error of aiohttp, botocore, requests or others states."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # of botocore
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif answer is not None and hasattr(answer, "status_code"):  # of requests
        found = answer.status_code
    else:
        found = error.status if hasattr(error, "status") else getattr(error, "code", None)
    return found if isinstance(found, int) and found >= 400 else None


def _is_network(error: BaseException) -> bool:
    is_known = isinstance(error, ConnectionError | TimeoutError | CancelledError)
    return is_known or any(_network(kind.__name__) for kind in type(error).__mro__)


def meaning(error: Exception) -> retry.Outcome | None:
    """Return what an error means that does not say that a key is missing."""
    known = _of_class(error)
    if known is not None:
        return known
    # The status of an answer that was cut is one of aiohttp's own.
    cause = error.__cause__
    cut = _is_network(error) or (cause is not None and _is_network(cause))
    status = _status_in(error) or (None if cut or cause is None else _status_in(cause))
    if isinstance(error, PermissionError):
        return retry.of_status(status or 403)._replace(transient=False)
    if status is not None:
        return retry.of_status(status)
    if not cut and type(error).__module__.partition(".")[0] in ("builtins", "fastzarr"):
        return _of_python(error)
    return retry.Outcome(None, cut)


def _of_class(error: Exception) -> retry.Outcome | None:
    """Return what an error means whose class, or that of its cause, tells it."""
    if isinstance(error, AnswerError):
        return retry.Outcome(error.status, transient=False)
    if type(error).__module__ == "ftplib":
        return _of_ftp(error)
    if _denied(type(error).__name__):
        return retry.Outcome(type(error).__name__, transient=False, denied=True)
    if isinstance(error.__cause__, FileNotFoundError):
        # The target of a reference, which itself exists.
        return retry.Outcome(404, transient=False)
    return None


def _of_python(error: Exception) -> retry.Outcome | None:
    """Return what an error of Python means; None if it is not one of files and connections."""
    if type(error).__module__ != "builtins" or not isinstance(error, OSError | EOFError):
        return None
    found = _status(str(error)) if type(error) is OSError else None
    return retry.Outcome(None, transient=False) if found is None else retry.of_status(int(found[1]))


def _of_ftp(error: Exception) -> retry.Outcome:
    """Return what a reply of a server of FTP means; those that begin with 4 may pass."""
    found = _reply(str(error))
    if found is None:
        return retry.Outcome(None, transient=False)
    status = int(found[1])
    return retry.Outcome(status, status < 500, status in _FTP_DENIED)


def has_no_changes(error: Exception) -> bool:
    """Whether an error says that a file system can only read."""
    text = str(error).lower()
    return isinstance(error, NotImplementedError) or "read-only" in text or "requires mode" in text


def unless_missing(cause: Exception) -> retry.Outcome | None:
    """Return what the cause of a missing file means, or None if the file is missing.

    The file system of HTTP says that a file is missing, whatever the server has answered.
    """
    if type(cause).__module__ == "ftplib":
        # The server says 550 of what is missing, and of what may not be read.
        said = str(cause)
        is_gone = said.startswith("550") and (_no_file(said) or not _no_access(said))
        return None if is_gone else meaning(cause)
    status = _status_in(cause)
    if status is None:
        known = type(cause).__module__.partition(".")[0] in ("aiohttp", "fastzarr")
        return meaning(cause) if known or _is_network(cause) else None
    return None if status in _GONE else meaning(cause)
