"""Modules of a facade under their names in zarr-python, and pickles of its objects.

Rules of this file:

* ``zarr.x.y`` is the module object of the facade itself and is never loaded a second time.
* Classes of the facade name ``zarr.x.y`` as their module while the alias is in place, whatever the
  name by which their module was imported.
* Their instances pickle so that a process without the alias restores them. The classes need no
  method for it: this file takes what they give to pickle, and replaces their names.
* The facade is imported inside functions: the finder asks this file for each of its modules.
"""

from __future__ import annotations

import copyreg
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import ModuleType


class Finder(Protocol):
    """The finder that asks this file, which imports nothing of it."""

    #: The version of zarr-python that the facade stands in for: 2 or 3.
    version: int
    #: The names of the packages of the facade and of zarr-python.
    facade: str
    package: str

    @property
    def restore(self) -> Callable[..., Any]:
        """A function that a pickle may name: it returns an object of the facade."""

    def belongs(self, name: str, package: str) -> bool:
        """Return whether a module is a package, or is in it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of a module, as all finders do."""


class _Under(importlib.abc.Loader):
    """Loads a module of a facade under its name in zarr-python."""

    def __init__(self, home: str) -> None:
        """Load the module ``home``."""
        self.home = home

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the module of the facade."""
        del spec
        module = importlib.import_module(self.home)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the specification of the module, which is executed already."""
        module.__spec__ = self.spec


class _Naming(importlib.abc.Loader):
    """Loads a module of a facade, and names its classes as zarr-python does."""

    def __init__(self, loader: Any, finder: Finder) -> None:
        """Load with the loader that another finder has chosen."""
        self.loader = loader
        self.finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Return the module, or None for a usual one."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module. What asks for its loader later finds that of its file."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        rename(module, self.finder)


def home_of(name: str, finder: Finder) -> str:
    """Return the name of the module of a facade that is ``zarr`` or ``zarr.x.y``."""
    if finder.version == 3:
        from fastzarr.compat import names

        return names.module_of(name)
    return finder.facade + name.removeprefix(finder.package)


def find(name: str, finder: Finder) -> importlib.machinery.ModuleSpec:
    """Return the specification of a module of zarr-python."""
    known = name in sys.modules
    home = home_of(name, finder)
    found = importlib.util.find_spec(home)
    if found is None:
        instead = f"{finder.facade}, which stands in for zarr, has no such module"
        msg = f"No module named {name!r}: {instead}"
        raise ModuleNotFoundError(msg, name=name)
    if not known:
        # Python would execute a module again that it has seen appear during the search.
        sys.modules.pop(name, None)
    package = found.submodule_search_locations is not None
    return importlib.machinery.ModuleSpec(name, _Under(home), is_package=package)


def find_own(
    name: str, path: Sequence[str] | None, target: Any, finder: Finder
) -> importlib.machinery.ModuleSpec | None:
    """Return the specification of a module of the facade under its own name."""
    for other in sys.meta_path:
        # Finders of other libraries may have neither this method nor another.
        ask = getattr(other, "find_spec", None) if other is not finder else None
        spec: importlib.machinery.ModuleSpec | None = ask(name, path, target) if ask else None
        if spec is not None:
            if spec.loader is not None:
                spec.loader = _Naming(spec.loader, finder)
            return spec
    return None


def _classes(module: ModuleType, home: str) -> Iterator[type]:
    """Iterate over the classes that name a module as their own."""
    for value in tuple(vars(module).values()):
        if isinstance(value, type) and value.__module__ == home:
            yield value


def rename(module: ModuleType, finder: Finder) -> None:
    """Give a module of the facade, and its classes, their names in zarr-python."""
    name = finder.package + module.__name__.removeprefix(finder.facade)
    for cls in _classes(module, module.__name__):
        cls.__module__ = name
        if copyreg.dispatch_table.get(cls) is None:
            copyreg.pickle(cls, partial(_reduced, finder))
    # What looks for the module of a class finds it, such as inspect.
    sys.modules.setdefault(name, module)


def rename_loaded(finder: Finder) -> None:
    """Rename the modules of the facade that were loaded before the finder was put in."""
    for name, module in tuple(sys.modules.items()):
        if finder.belongs(name, finder.facade) and module.__name__ == name:
            rename(module, finder)


def restore_names(loaded: Iterable[str]) -> None:
    """Undo ``rename`` for the loaded modules that are named as those of zarr-python."""
    for name in tuple(loaded):
        module = sys.modules.pop(name)
        for cls in _classes(module, name):
            cls.__module__ = module.__name__
            reduced = copyreg.dispatch_table.get(cls)
            if isinstance(reduced, partial) and reduced.func is _reduced:
                del copyreg.dispatch_table[cls]


def _home(cls: type, finder: Finder) -> tuple[int, str, str] | None:
    """Return the facade, module and name of a class that has a name of zarr-python."""
    if not finder.belongs(cls.__module__, finder.package):
        return None
    return finder.version, home_of(cls.__module__, finder), cls.__qualname__


def _reduced(finder: Finder, value: Any) -> str | tuple[Any, ...]:
    """Return what pickle makes of an object, with names that exist without the alias."""
    found: str | tuple[Any, ...] = value.__reduce_ex__(4)
    if isinstance(found, str):
        return found
    make, args, *rest = found
    owner = args[0] if make in _MAKERS else getattr(make, "__self__", make)
    home = _home(owner, finder) if isinstance(owner, type) else None
    if home is None:
        return found
    args = args[1:] if make in _MAKERS else args
    return finder.restore, (*home, "" if make is owner else make.__name__, *args), *rest


_MAKERS = (copyreg.__newobj__, copyreg.__newobj_ex__)  # type: ignore[attr-defined]
