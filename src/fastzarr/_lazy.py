"""How the package's names load when they are first used.

Rules of this file:

* A public name is imported from its home at first use; then it stands in the package like others.
* ``array`` and ``group`` are names of functions, and of the files that hold the classes. Importing
  such a file makes Python set the package's attribute to the module; a property keeps the function.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyPackage(ModuleType):
    """Be a package whose public names load at first use."""

    _homes: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        """Load a public name, or a submodule of that name."""
        home = self._homes.get(name)
        if home is None:
            msg = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = importlib.import_module(home or f"{self.__name__}.{name}")
        value = getattr(module, name) if home else module
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        """List what is loaded and what would load."""
        return sorted({*super().__dir__(), *self._homes})


def _shadowed(name: str) -> property:
    def load(self: LazyPackage) -> Any:
        return getattr(importlib.import_module(self._homes[name]), name)

    def ignore(self: LazyPackage, module: Any) -> None:
        del self, module

    return property(load, ignore)


def make_lazy(package: str, homes: Mapping[str, tuple[str, ...]]) -> None:
    """Make the names of a package load from their homes.

    ``homes`` maps a module, relative to the package or absolute, to the names it holds. Under the
    empty string stand submodules.
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
