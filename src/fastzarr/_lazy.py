"""Lazy loading of the package's public names.

Rules of this file:

* A public name is imported from its module on first access, and is then an ordinary attribute.
* ``array`` and ``group`` are functions, but also the modules that define ``Array`` and ``Group``.
  Importing such a module makes Python set the package's attribute to it; a property ignores that.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyPackage(ModuleType):
    """A package whose public names are imported on first access."""

    _homes: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        """Import a public name or submodule; raise AttributeError if there is none."""
        home = self._homes.get(name)
        if home is None:
            msg = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = importlib.import_module(home or f"{self.__name__}.{name}")
        value = getattr(module, name) if home else module
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        """Return all names, including those not yet imported."""
        return sorted({*super().__dir__(), *self._homes})


def _shadowed(name: str) -> property:
    def load(self: LazyPackage) -> Any:
        return getattr(importlib.import_module(self._homes[name]), name)

    def ignore(self: LazyPackage, module: Any) -> None:
        del self, module

    return property(load, ignore)


def make_lazy(package: str, homes: Mapping[str, tuple[str, ...]]) -> None:
    """Make the public names of a package load on first access.

    ``homes`` maps a module, relative to the package or absolute, to the names that it defines. The
    empty string maps to submodules.
    """
    module = sys.modules[package]
    flat: dict[str, str] = {}
    for home, names in homes.items():
        for name in names:
            flat[name] = f"{package}.{home[1:]}" if home.startswith(".") else home
    shadowed: dict[str, Any] = {
        name: _shadowed(name) for name in ("array", "group") if name in flat
    }
    module.__dict__["_homes"] = flat
    module.__class__ = type("LazyPackage", (LazyPackage,), shadowed)
