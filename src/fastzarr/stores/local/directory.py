"""The local store under the names that zarr-python 2 has for it, and with its arguments.

Rules of this file:

* What a store does stands in ``store.py``; here are constructors.
"""

from __future__ import annotations

import os

from fastzarr.errors import BaseZarrError
from fastzarr.stores.local.store import LocalStore


class DirectoryStore(LocalStore):
    """Store values as files, under zarr-python 2's name and with its arguments."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: str | None = None,
    ) -> None:
        """Keep the path, and the separator for arrays of format 2 that are created here."""
        if normalize_keys:
            msg = "normalize_keys is not supported: write keys in lower case where that is wanted"
            raise BaseZarrError(msg)
        super().__init__(
            path, read_only=read_only, follow_symlinks=follow_symlinks, durability=durability
        )
        self.dimension_separator = dimension_separator

    @property
    def path(self) -> str:
        """Return the absolute path of the root as a string."""
        return self.folder


class NestedDirectoryStore(DirectoryStore):
    """Store values as files, with chunks of format 2 in nested folders."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: str | None = "/",
        *,
        read_only: bool = False,
        follow_symlinks: bool = False,
        durability: str | None = None,
    ) -> None:
        """Keep the path; the separator can only be ``/``."""
        if dimension_separator not in (None, "/"):
            msg = f"the dimension_separator of a nested store is '/', not {dimension_separator!r}"
            raise BaseZarrError(msg)
        super().__init__(
            path,
            normalize_keys,
            "/",
            read_only=read_only,
            follow_symlinks=follow_symlinks,
            durability=durability,
        )


class TempStore(DirectoryStore):
    """Store values as files in a new folder that is removed when the process ends."""

    def __init__(
        self,
        suffix: str = "",
        prefix: str = "zarr",
        dir: str | None = None,
        normalize_keys: bool = False,
        dimension_separator: str | None = None,
    ) -> None:
        """Make the folder."""
        import atexit
        from tempfile import mkdtemp

        path = mkdtemp(suffix=suffix, prefix=prefix, dir=dir)
        atexit.register(_remove_at_exit, path, os.getpid())
        super().__init__(path, normalize_keys, dimension_separator)


def _remove_at_exit(path: str, owner: int) -> None:
    from shutil import rmtree

    if os.getpid() == owner:  # a forked child ends with the folder still in use
        rmtree(path, ignore_errors=True)
