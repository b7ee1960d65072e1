"""Put fastzarr in the place of zarr-python: ``import zarr`` then imports ``fastzarr.compat``.

>>> import fastzarr.as_zarr  # doctest: +SKIP
>>> import zarr  # doctest: +SKIP

Rules of this file:

* ``zarr.x.y`` is the module object of the facade itself and is never loaded a second time.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from fastzarr.compat.names import FACADE, PACKAGE, module_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class _Loader(importlib.abc.Loader):
    """Loads a module of the facade under its name in zarr-python."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the module of the facade."""
        module = importlib.import_module(module_of(spec.name))
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the specification of the module, and name its classes as zarr-python does."""
        module.__spec__ = self.spec
        for value in vars(module).values():
            home = getattr(value, "__module__", None)
            if isinstance(value, type) and home == module.__name__ and home.startswith(FACADE):
                value.__module__ = PACKAGE + home.removeprefix(FACADE)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds ``zarr`` and its modules in the facade."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of a module of zarr-python."""
        del path, target
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            return None
        found = importlib.util.find_spec(module_of(name))
        if found is None:
            msg = f"fastzarr has no module {name!r}"
            raise ModuleNotFoundError(msg, name=name)
        return importlib.machinery.ModuleSpec(
            name, _Loader(), is_package=found.submodule_search_locations is not None
        )


def install() -> None:
    """Put the facade in the place of ``zarr``."""
    sys.meta_path.insert(0, _Finder())


install()
