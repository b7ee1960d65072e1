"""Extensions by name: those of this package, of the caller, and of installed packages.

Rules of this file:

* A document reaches a class only through ``Registry.find``. A name that is neither registered nor
  declared is looked up among the entry points of installed packages, and only the entry point of
  exactly that name is loaded. Nothing else is imported because a document names it. The last place
  is ``elsewhere``, which keeps the same rule for what packages declare to another library.
* ``register`` changes what documents mean. It therefore increments ``generation``, which is part of
  the key of every cache of parsed documents.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping of names to classes, each of which is imported when it is first found.

    Installed packages declare theirs as entry points of the group ``fastzarr.<kind>``.

    >>> shapes = Registry[type]("shapes")
    >>> shapes.declare({"fraction": "fractions:Fraction"})
    >>> shapes.find("fraction"), shapes.find("circle")
    (<class 'fractions.Fraction'>, None)
    """

    __slots__ = ("_declared", "_elsewhere", "_found", "_installed", "generation", "kind")

    def __init__(
        self,
        kind: str,
        ours: Mapping[str, T] | None = None,
        elsewhere: Callable[[str], T | None] | None = None,
    ) -> None:
        """Initialise a registry of the names in ``ours``, whose classes are imported already.

        ``elsewhere`` returns the class of a name that is not known here, or None.
        """
        self.kind = kind
        self._elsewhere = elsewhere
        self.generation = 0
        # Single operations on a dict are atomic, so threads share these without a lock.
        self._found: dict[str, T] = dict(ours or {})
        self._declared: dict[str, str] = {}
        self._installed: dict[str, EntryPoint] | None = None

    def declare(self, ours: Mapping[str, str]) -> None:
        """Add names of this package, each with its ``module:attribute``, without importing any."""
        self._declared.update(ours)

    def register(self, name: str, found: T) -> None:
        """Register a class under a name; an earlier meaning of the name is replaced."""
        self._found[name] = found
        self.generation += 1

    def forget(self, name: str) -> None:
        """Forget the class that was registered under a name; the name means what it did before.

        >>> shapes = Registry[type]("shapes")
        >>> shapes.register("circle", int)
        >>> shapes.forget("circle")
        >>> shapes.find("circle") is None
        True
        """
        self._found.pop(name, None)
        self.generation += 1

    def look_elsewhere(self, elsewhere: Callable[[str], T | None]) -> None:
        """Ask a function for the class of a name that is not known here; it returns it, or None.

        >>> shapes = Registry[type]("shapes")
        >>> shapes.look_elsewhere({"circle": int}.get)
        >>> shapes.find("circle")
        <class 'int'>
        """
        self._elsewhere = elsewhere
        self.generation += 1

    def __contains__(self, name: str) -> bool:
        """Whether a name is registered or declared; entry points are not searched."""
        return name in self._found or name in self._declared

    def find(self, name: str) -> T | None:
        """Return the class of a name, or None if the name is unknown.

        Raise the error of an entry point that cannot be loaded.
        """
        found = self._found.get(name)
        if found is not None:
            return found
        loaded: T
        if name in self._declared:
            module, _, attribute = self._declared[name].partition(":")
            loaded = getattr(import_module(module), attribute)
        else:
            entry = self._entries().get(name)
            if entry is not None:
                loaded = entry.load()
            else:
                other = None if self._elsewhere is None else self._elsewhere(name)
                if other is None:
                    return None
                loaded = other
        # A class that another thread has registered in the meantime is kept.
        return self._found.setdefault(name, loaded)

    def names(self) -> tuple[str, ...]:
        """Return the sorted names, without importing their classes."""
        return tuple(sorted({*self._found, *self._declared, *self._entries()}))

    def _entries(self) -> dict[str, EntryPoint]:
        if self._installed is None:
            from importlib.metadata import entry_points

            found = entry_points(group=f"fastzarr.{self.kind}")
            self._installed = {entry.name: entry for entry in found}
        return self._installed
