"""The URLs of stores in files and in the memory of this process, by which they are opened again.

Rules of this file:

* The URL of a file is its scheme and its absolute path as it is: nothing is quoted, as after
  ``file://``.
* What is only in the memory of this process is named by its ``id``, as long as a store has it.
* The path of a node may follow the URL of such a store. A file is then the last one on the way
  that exists.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Self

from fastzarr.errors import BaseZarrError
from fastzarr.stores import place

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The schemes of stores in a file, or in the folder of a database.
FILES = frozenset({"dbm", "lmdb", "sqlite", "zip"})
#: The schemes of what is only in the memory of this process.
OBJECTS = frozenset({"mapping", "memory", "objects"})
# The schemes of servers whose URLs may end in any text, and what separates the path of a node.
_SERVED = frozenset({"mongodb", "mongodb+srv", "redis", "rediss", "unix"})
_NODE = "#/"
# What the files of a database may be called, behind its path.
_ENDINGS = (".db", ".dat", ".dir", ".pag")
_name = re.compile(r"\A(?:localhost(?=/))?(.*)\Z", re.DOTALL).match
_archive = re.compile(r"(?i)\A(.*?\.zip)/(.*)\Z", re.DOTALL).match


def path_of(url: str) -> str:
    """Return the path in the URL of a file or of a folder.

    Raise BaseZarrError for a relative path, which would be taken for the name of a host.

    >>> path_of("file:///data/a b.zarr"), path_of("sqlite://localhost/data/a.sqlite")
    ('/data/a b.zarr', '/data/a.sqlite')
    """
    scheme, _, rest = url.partition("://")
    found = _name(rest)
    path = rest if found is None else found[1]
    if path.startswith("/") or (os.name == "nt" and re.match(r"[A-Za-z]:", path)):
        return path
    scheme = scheme.lower()
    msg = (
        f"URLs of {scheme}:// must have an absolute path and no host other than localhost, as in "
        f"{scheme}:///data/a"
    )
    raise BaseZarrError(msg)


def object_of(url: str) -> Any:
    """Return the object of this process that a URL names by its ``id``.

    Raise BaseZarrError if no store has an object with this ``id``.

    >>> values = {}
    >>> from fastzarr.stores import MappingStore
    >>> store = MappingStore(values)
    >>> object_of(str(store)) is values
    True
    """
    scheme, _, name = url.partition("://")
    found = known(name)
    if found is None:
        msg = (
            f"no store of this process is called {scheme}://{name}: what it had was in the memory "
            "of another process, or is no longer used; pass the object itself"
        )
        raise BaseZarrError(msg)
    return found


def known(name: str) -> Any:
    """Return the object whose ``id`` is a name, or None if no store has such an object.

    >>> known("a") is None
    True
    """
    return place.known_object(int(name)) if re.fullmatch("[0-9]{1,20}", name) else None


def split(url: str) -> tuple[str, str]:
    """Split the path of a node from the URL of a store, as ``StorePath`` puts both together.

    The path is empty for URLs of other kinds, whose stores are paths in something larger.

    >>> split("memory://name/a/b"), split("sqlite:///data/missing.sqlite")
    (('memory://name', 'a/b'), ('sqlite:///data/missing.sqlite', ''))
    """
    start, mark, rest = url.partition("::")
    if mark and start.lower() == "n5":
        store, path = split(rest)
        return f"{start}::{store}", path
    if mark:
        found = _archive(url) if start.lower() == "zip" else None
        return (url, "") if found is None else (found[1], found[2])
    scheme, mark, rest = url.partition("://")
    if scheme.lower() in OBJECTS and not rest.startswith("/"):
        name, _, path = rest.partition("/")
        return f"{scheme}://{name}", path
    if scheme.lower() in FILES:
        file = _file_above(rest)
        return f"{scheme}://{file}", rest[len(file) :]
    if scheme.lower() in _SERVED:
        store, _, path = url.partition(_NODE)
        return store, path
    return url, ""


def joined(url: str, path: str) -> str:
    """Return the URL of a store with the path of a node, which ``split`` tells apart.

    >>> joined("file:///data/a", "b/c"), joined("redis://host:6379/0?prefix=a", "b/c")
    ('file:///data/a/b/c', 'redis://host:6379/0?prefix=a#/b/c')
    """
    served = url.partition("://")[0] in _SERVED
    mark = _NODE if served else "/"
    return f"{url}{mark}{path}" if path else url


def names_n5(path: str) -> bool:
    """Whether a name in a path or URL is that of a hierarchy of N5.

    >>> names_n5("s3://bucket/a.n5/b"), names_n5("a.n5.zip")
    (True, False)
    """
    return any(name.lower().endswith(".n5") for name in re.split(r"[/\\]", path))


def url_in_format(url: str, zarr_format: object) -> str:
    """Return the URL of a store whose new nodes are of a format, or None for the usual ones.

    >>> url_in_format("file:///data/a", "n5"), url_in_format("file:///data/a.n5", "n5")
    ('n5::file:///data/a', 'file:///data/a.n5')
    """
    # Formats of Zarr have numbers, and are found by their documents.
    return f"{zarr_format}::{url}" if isinstance(zarr_format, str) and not names_n5(url) else url


def _file_above(path: str) -> str:
    """Return the last file on a path, or the path itself if there is none."""
    above = path
    while above.strip("/"):
        if _is_store(above):
            return above
        above = above.rpartition("/")[0]
    return path


def _is_store(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(f"{path}/data.mdb")
    return os.path.isfile(path) or any(os.path.isfile(path + ending) for ending in _ENDINGS)


class InFile:
    """What stores share whose URL is their scheme and the path of a file."""

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of a URL; ``storage_options`` are further arguments of the class.

        Raise BaseZarrError if the URL has no absolute path.

        >>> from fastzarr.storage import SQLiteStore
        >>> SQLiteStore.from_url("sqlite:///data/a.sqlite")
        SQLiteStore('sqlite:///data/a.sqlite')
        """
        made: Any = cls
        store: Self = made(path_of(url), **({"read_only": read_only} | dict(storage_options or {})))
        return store
