"""Put fastzarr in the place of zarr-python: ``import zarr`` then imports ``fastzarr.compat``.

>>> import fastzarr.as_zarr  # doctest: +SKIP
>>> import zarr  # doctest: +SKIP

This process and the processes that it starts then have no other zarr. To change no program, set
``FASTZARR_AS_ZARR=1`` in the environment, or run ``python -m fastzarr.as_zarr script.py``.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType
from typing import Final

import _fastzarr_as_zarr as starter

__all__ = ["install", "is_active", "uninstall"]

_BEFORE: Final = os.environ.get(starter.VARIABLE)


def install(version: int = 3) -> None:
    """Put the facade of zarr-python 3.4.2 in the place of ``zarr``; version 2 means 2.18.7.

    Importing ``fastzarr.as_zarr`` does so for version 3. Raise RuntimeError if zarr-python has been
    loaded: the modules that imported it would keep it.

    >>> install()  # doctest: +SKIP
    """
    if version not in starter.VERSIONS:
        msg = f"version must be 2 or 3, not {version!r}"
        raise ValueError(msg)
    finder = starter.active()
    if finder is not None and finder.version == version:
        return
    if loaded := sorted(starter.loaded()):
        raise RuntimeError(_too_late(version, loaded, finder))
    if finder is not None:
        sys.meta_path.remove(finder)
    starter.put_in(version)
    _modules().rename_loaded(starter.active())


def uninstall() -> None:
    """Remove the facade from the place of ``zarr``: the next ``import zarr`` finds zarr-python.

    Modules that have imported the facade keep it.

    >>> uninstall()  # doctest: +SKIP
    """
    finder = starter.active()
    if finder is None:
        return
    sys.meta_path.remove(finder)
    _modules().restore_names(starter.loaded())
    if _BEFORE is None:
        os.environ.pop(starter.VARIABLE, None)
    else:
        os.environ[starter.VARIABLE] = "0"


def is_active() -> bool:
    """Return whether ``import zarr`` imports fastzarr.

    >>> is_active()  # doctest: +SKIP
    True
    """
    return starter.active() is not None


def _modules() -> ModuleType:
    """Return the module that renames; it need not be loaded before the first module of zarr."""
    from fastzarr.as_zarr import modules

    return modules


def _too_late(version: int, loaded: list[str], finder: starter.Finder | None) -> str:
    """Return the message about modules of ``zarr`` that have been loaded before."""
    users = _users(starter.PACKAGE if finder is None else finder.facade)
    by = f" by {', '.join(users)}" if users else ""
    if finder is None:
        what = "zarr-python"
        advice = (
            "import fastzarr.as_zarr before them, or set FASTZARR_AS_ZARR in the environment "
            "before Python starts"
        )
    else:
        what = f"fastzarr's zarr-python {finder.release}"
        advice = f"call install(version={version}) before zarr is imported"
    return f"{what} has been loaded{by} ({len(loaded)} modules, such as {loaded[-1]}): {advice}"


def _users(package: str) -> list[str]:
    """Return the modules outside a package, and outside fastzarr, that hold something of it."""
    found = set()
    for name, module in tuple(sys.modules.items()):
        own = any(starter.belongs(name, each) for each in (starter.PACKAGE, "fastzarr"))
        if own or not isinstance(module, ModuleType):
            continue
        for value in tuple(vars(module).values()):
            home = value.__name__ if isinstance(value, ModuleType) else _home(value)
            if starter.belongs(home, package) or starter.belongs(home, starter.PACKAGE):
                found.add(name)
    return sorted(found)


def _home(value: object) -> str:
    """Return the module of a class or a function."""
    home = getattr(value, "__module__", "") if isinstance(value, (type, FunctionType)) else ""
    return home if isinstance(home, str) else ""


if not is_active():
    install()
