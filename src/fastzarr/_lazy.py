"""Names that are imported, and properties that are computed, on first access (PEP 562)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# fmt: off
NUMCODECS = (
    "Adler32", "AsType", "BZ2", "Base64", "BitRound", "Blosc", "CRC32", "Categorize", "Delta",
    "FixedScaleOffset", "Fletcher32", "GZip", "JSON", "JenkinsLookup3", "LZ4", "LZMA", "MsgPack",
    "PackBits", "Pickle", "Quantize", "Shuffle", "VLenArray", "VLenBytes", "VLenUTF8", "Zlib",
    "Zstd",
)
# fmt: on
"""The classes of numcodecs that zarr-python 2 re-exports."""


def make_lazy(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    ``homes`` maps a module, relative to the package or absolute, to the names that it defines.
    Submodules are listed under the empty string. A name that requires a package which is not
    installed raises AttributeError: ``help()`` and ``inspect`` ask for all that ``dir()`` lists.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    namespace = vars(sys.modules[package])

    def offered() -> list[str]:
        own = (name for name in namespace if name.startswith("__"))
        # A submodule such as the one for tests is offered only if it is public.
        public = {*namespace.get("__all__", ()), *(name for name in home_of if home_of[name])}
        return sorted({*own, *public})

    def load(name: str) -> Any:
        if name not in home_of:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        try:
            module = import_module(home_of[name] or f".{name}", package)
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.partition(".")[0] == package.partition(".")[0]:
                raise
            msg = f"{package}.{name} requires a package that is not installed: {error.name}"
            raise AttributeError(msg) from error
        value = namespace[name] = getattr(module, name) if home_of[name] else module
        return value

    return load, offered


class cached(Generic[T]):  # noqa: N801  (a decorator, like ``property``)
    """A property that is computed on first access and stored in the instance.

    Unlike ``functools.cached_property`` before Python 3.12, it takes no lock. That lock belongs to
    the class, so threads that use different objects wait for each other, and a process that is
    forked while another thread has the lock waits for ever. If several threads compute the value at
    once, all of them get the one that was stored first.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        """Initialise with the function that computes the value of an instance."""
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> T | Self:
        """Return the value of an instance."""
        if instance is None:
            return self
        # Later accesses find the value in the instance, and do not call this.
        value: T = instance.__dict__.setdefault(self.name, self.compute(instance))
        return value
