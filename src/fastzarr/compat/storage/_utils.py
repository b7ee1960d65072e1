"""Paths and URLs of stores."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlparse

from fastzarr.compat.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastzarr.compat.core.buffer import Buffer

T = TypeVar("T")

if find_spec("upath") is not None:
    from upath.core import UPath
else:

    class UPath:  # type: ignore[no-redef]
        """Stands for the class of the package universal_pathlib, which is not installed."""


_slashes = re.compile("//+").sub


__all__ = ["ParsedStoreUrl", "UPath", "normalize_path", "parse_store_url"]


class ParsedStoreUrl(NamedTuple):
    """The parts of a URL of a store; ``scheme`` is empty for a path of the local file system."""

    scheme: str
    name: str | None
    path: str
    raw: str


def parse_store_url(url: str) -> ParsedStoreUrl:
    """Return the parts of a URL of a store.

    >>> parse_store_url("memory://name/a/b")
    ParsedStoreUrl(scheme='memory', name='name', path='a/b', raw='memory://name/a/b')
    """
    if sys.platform == "win32" and PureWindowsPath(url).drive:
        return ParsedStoreUrl("", None, url, url)
    parts = urlparse(url)
    path = parts.path.lstrip("/") if parts.scheme and parts.netloc else parts.path
    return ParsedStoreUrl(parts.scheme, parts.netloc or None, path, url)


def normalize_path(path: Any) -> str:
    """Return a path in a store without slashes at its ends, and with single ones inside.

    Raise ValueError if a part of it is ``.`` or ``..``.

    >>> normalize_path("/a//b/")
    'a/b'
    """
    if path is None:
        return ""
    if isinstance(path, bytes):
        text = path.decode("ascii")
    elif isinstance(path, str | Path | UPath):
        text = str(path)
    else:
        msg = f'Object {path} has an invalid type for "path": {type(path).__name__}'
        raise TypeError(msg)
    text = _slashes("/", text.replace("\\", "/").strip("/"))
    if not {".", ".."}.isdisjoint(text.split("/")):
        msg = (
            f"The path {path!r} is invalid because its string representation contains '.' or '..' "
            "segments."
        )
        raise ValueError(msg)
    return text


def _bounds(data: Buffer, byte_range: Any) -> tuple[int, int]:
    size = len(data)
    if byte_range is None:
        return 0, size + 1
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, byte_range.end
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, size + 1
    if isinstance(byte_range, SuffixByteRequest):
        return max(0, size - byte_range.suffix), size + 1
    msg = f"Unexpected byte_range, got {byte_range}."
    raise ValueError(msg)


_normalize_byte_range_index = _bounds


def _join_paths(paths: Iterable[str]) -> str:
    return "/".join(filter(None, paths))


def _dereference_path(root: str, path: str) -> str:
    root = root.rstrip("/")
    return (f"{root}/{path}" if root else path).rstrip("/")


def _relativize_path(*, path: str, prefix: str) -> str:
    if not prefix:
        return path
    if not path.startswith(f"{prefix}/"):
        msg = f"The first component of {path} does not start with {prefix}."
        raise ValueError(msg)
    return path[len(prefix) + 1 :]


def _normalize_paths(paths: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for path in paths:
        normal = normalize_path(path)
        if normal in found:
            msg = (
                f"After normalization, the value '{path}' collides with '{found[normal]}'. Both "
                f"'{path}' and '{found[normal]}' normalize to the same value: '{normal}'. You "
                f"should use either '{path}' or '{found[normal]}', but not both."
            )
            raise ValueError(msg)
        found[normal] = path
    return tuple(found)


def _normalize_path_keys(data: Mapping[str, T]) -> dict[str, T]:
    return dict(zip(_normalize_paths(data), data.values(), strict=True))
