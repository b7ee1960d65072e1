"""The finder that puts fastzarr in the place of zarr-python, and what puts it in as Python starts.

``fastzarr-as-zarr.pth``, which is installed beside this file, calls ``start`` in every Python in
whose environment FASTZARR_AS_ZARR is set. Users import ``fastzarr.as_zarr``.

Rules of this file:

* It imports hardly more than Python has loaded before: it runs as each Python starts. The rest,
  ``fastzarr.as_zarr.modules``, is imported with the first module of zarr-python.
* It has no effect when it is imported. A pickle of an object of the facade names its ``restore``,
  and may be read by a process that has loaded zarr-python.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from importlib.metadata import Distribution, DistributionFinder
    from typing import Any

PACKAGE = "zarr"
VARIABLE = "FASTZARR_AS_ZARR"
#: The values of the variable; each stands for a facade and the version of zarr-python that it has.
VERSIONS = {3: ("1", "fastzarr.compat", "3.4.2"), 2: ("2", "fastzarr.v2", "2.18.7")}


def belongs(name: str, package: str) -> bool:
    """Return whether a module is a package, or is in it."""
    return name == package or name.startswith(package + ".")


class Finder:
    """Finds ``zarr`` and its modules in a facade, and the metadata of a distribution ``zarr``.

    Other finders put themselves first later, such as that of pytest, which would load the files of
    the facade, or of an installed zarr-python, under the names that belong to this one. This one is
    asked about distributions, and every import that they leave to others: it then goes first again.
    """

    package = PACKAGE
    belongs = staticmethod(belongs)

    def __init__(self, version: int) -> None:
        """Find the facade of version 2 or 3 of zarr-python."""
        self.version = version
        _, self.facade, self.release = VERSIONS[version]

    def go_first(self) -> None:
        """Become the first finder that Python asks."""
        if sys.meta_path[0] is not self:
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return the specification of a module of zarr-python, or of the facade."""
        self.go_first()
        if not belongs(name, PACKAGE) and not belongs(name, self.facade):
            return None
        from fastzarr.as_zarr import modules

        if belongs(name, PACKAGE):
            return modules.find(name, self)
        return modules.find_own(name, path, target, self)

    @property
    def restore(self) -> Callable[..., Any]:
        """What the pickles of objects of the facade name, because it never has another name."""
        return restore

    def find_distributions(self, context: DistributionFinder.Context) -> Iterable[Distribution]:
        """Return the distribution ``zarr``, where all that are installed are meant."""
        self.go_first()
        # pip asks for what is installed in a folder: there is none that it could remove.
        if (context.name or PACKAGE).lower() == PACKAGE and context.path is sys.path:
            yield _distribution(self.release)


def _distribution(release: str) -> Distribution:
    """Return the metadata by which libraries find out the version of zarr-python."""
    from importlib.metadata import Distribution

    class StandIn(Distribution):
        """The distribution ``zarr`` that fastzarr stands in for."""

        def read_text(self, filename: str) -> str | None:
            """Return the text of a file of the metadata."""
            texts = {
                "METADATA": (
                    f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {release}+fastzarr\n"
                    "Summary: fastzarr in the place of zarr-python\n"
                ),
                "top_level.txt": f"{PACKAGE}\n",
            }
            return texts.get(filename)

        def locate_file(self, path: Any) -> Any:
            """Return the path of a file, of which the distribution has none."""
            return path

    return StandIn()


def active() -> Finder | None:
    """Return the finder that is in place."""
    return next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)


def loaded() -> Iterator[str]:
    """Iterate over the loaded modules that are named as those of zarr-python."""
    return (name for name in tuple(sys.modules) if belongs(name, PACKAGE))


def put_in(version: int) -> None:
    """Put the finder in, and let processes that this one starts do so, too."""
    Finder(version).go_first()
    os.environ[VARIABLE] = VERSIONS[version][0]


def start() -> None:
    """Put the finder in if the environment asks for it."""
    value = os.environ.get(VARIABLE, "")
    if value in ("", "0") or active():
        return
    for version, (name, *_) in VERSIONS.items():
        if value == name:
            put_in(version)
            return
    msg = f"{VARIABLE} must be 1 (zarr-python 3), 2 (zarr-python 2), 0 or unset, not {value!r}"
    raise ValueError(msg)


def restore(version: int, module: str, name: str, make: str, *args: Any) -> Any:
    """Return an object of a facade that was pickled where the facade was called ``zarr``.

    The facade is put in the place of ``zarr`` here, too, unless zarr-python has been loaded: the
    user then gets a warning, and an object that works without being one of zarr-python's.
    """
    from importlib import import_module
    from operator import attrgetter

    if not active():
        others = sorted(loaded())
        if others:
            import warnings

            msg = (
                f"{module}.{name} was pickled where fastzarr stands in for zarr, and this process "
                f"has loaded zarr-python: set {VARIABLE}=1 in its environment before it starts"
            )
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
        else:
            put_in(version)
    found = attrgetter(name)(import_module(module))
    if make == "__newobj__":
        return found.__new__(found, *args)
    if make == "__newobj_ex__":
        return found.__new__(found, *args[0], **args[1])
    if make == "":
        return found(*args)
    return getattr(found, make)(*args)
