"""The local store with the names and arguments of zarr-python 2.

Rules of this file:

* It only has constructors; everything else is in ``store.py``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError
from fastzarr.stores.local.store import LocalStore

if TYPE_CHECKING:
    from fastzarr import hints


class DirectoryStore(LocalStore):
    """A local store with zarr-python 2's name and arguments.

    >>> import tempfile
    >>> store = DirectoryStore(tempfile.mkdtemp(), dimension_separator="/")
    >>> store["a"] = b"1"
    >>> list(store)
    ['a']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: hints.Separator | None = None,
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: hints.Durability | None = None,
    ) -> None:
        """Initialise with the path, and the separator of chunk keys in new format 2 arrays."""
        if normalize_keys:
            msg = "normalize_keys is not supported; use lower-case keys instead"
            raise BaseZarrError(msg)
        super().__init__(
            path, read_only=read_only, follow_symlinks=follow_symlinks, durability=durability
        )
        # It is no verb, which ``__setattr__`` would look for.
        vars(self)["dimension_separator"] = dimension_separator

    @property
    def path(self) -> str:
        """The absolute path of the root as a string.

        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> DirectoryStore(folder).path == folder
        True
        """
        return self.folder


class NestedDirectoryStore(DirectoryStore):
    """A local store with the chunks of format 2 arrays in nested folders.

    >>> import tempfile
    >>> import fastzarr
    >>> store = NestedDirectoryStore(tempfile.mkdtemp())
    >>> fastzarr.ones((2, 2), store=store, zarr_format=2, write_empty_chunks=True)[:] = 1
    >>> sorted(store)
    ['.zarray', '0/0']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: hints.Separator | None = "/",
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: hints.Durability | None = None,
    ) -> None:
        """Initialise with the path; the separator must be ``/``."""
        if dimension_separator not in (None, "/"):
            msg = f"dimension_separator must be '/' in a nested store, not {dimension_separator!r}"
            raise BaseZarrError(msg)
        super().__init__(
            path,
            normalize_keys,
            "/",
            read_only=read_only,
            follow_symlinks=follow_symlinks,
            durability=durability,
        )


class N5Store(NestedDirectoryStore):
    """A local store whose new nodes are of N5, with zarr-python 2's name and arguments.

    Its keys are those of the files, such as ``attributes.json``; zarr-python 2 presents them as if
    they were of format 2. A path with a name that ends in ``.n5`` is opened as such a store.

    >>> import tempfile
    >>> import fastzarr
    >>> store = N5Store(tempfile.mkdtemp())
    >>> fastzarr.zeros((2, 4), chunks=(2, 2), store=store)[:] = 1
    >>> sorted(store)
    ['0/0', '1/0', 'attributes.json']
    """

    zarr_format = "n5"


class TempStore(DirectoryStore):
    """A local store in a new temporary folder, which is deleted when the process exits.

    >>> store = TempStore()
    >>> store["a"] = b"1"
    >>> store["a"]
    b'1'
    """

    def __init__(
        self,
        suffix: str = "",
        prefix: str = "zarr",
        dir: str | None = None,
        normalize_keys: bool = False,
        dimension_separator: hints.Separator | None = None,
    ) -> None:
        """Create the folder."""
        import atexit
        from tempfile import mkdtemp

        path = mkdtemp(suffix=suffix, prefix=prefix, dir=dir)
        atexit.register(_remove_at_exit, path, os.getpid())
        super().__init__(path, normalize_keys, dimension_separator)


def _remove_at_exit(path: str, owner: int) -> None:
    from shutil import rmtree

    if os.getpid() == owner:  # the folder may still be in use when a forked child exits
        rmtree(path, ignore_errors=True)
