"""What zarr-python's top level says of itself: its versions, and the logger ``zarr``."""

from __future__ import annotations

import logging
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastzarr.compat._version import version as zarr_version

_REQUIRED = ("numpy", "numcodecs", "typing_extensions", "fastzarr")
_OPTIONAL = ("botocore", "cupy-cuda12x", "fsspec", "s3fs", "gcsfs", "universal-pathlib", "obstore")


def print_debug_info() -> None:
    """Print the versions of Python and of the packages that this one uses, for a bug report.

    >>> from fastzarr import compat
    >>> compat.print_debug_info()  # doctest: +ELLIPSIS
    platform: ...
    """
    lines = [f"platform: {platform.platform()}", f"python: {platform.python_version()}"]
    lines += [f"zarr: {zarr_version}"]
    for title, names in (("Required", _REQUIRED), ("Optional", _OPTIONAL)):
        found = {name: _version(name) for name in names}
        missing = [name for name, number in found.items() if not number]
        lines += [f"\n**{title} dependencies:**"]
        lines += [f"{name}: {number}" for name, number in found.items() if number]
        lines += ["\n**Not Installed:**", *missing] if missing else []
    print("\n".join(lines))  # noqa: T201  (what the function is for)


def set_log_level(level: int | str) -> None:
    """Set the level of the logger ``zarr``, and of its handler that writes to standard error.

    >>> from fastzarr import compat
    >>> compat.set_log_level("WARNING")
    """
    logging.getLogger("zarr").setLevel(level)
    _handler().setLevel(level)


def set_format(log_format: str) -> None:
    """Set the format of the messages that the logger ``zarr`` writes to standard error.

    >>> from fastzarr import compat
    >>> compat.set_format("%(name)s: %(message)s")
    """
    _handler().setFormatter(logging.Formatter(fmt=log_format))


@cache
def _handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.getLogger("zarr").addHandler(handler)
    return handler


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
