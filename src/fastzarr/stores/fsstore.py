"""The stores in file systems of fsspec with the names and arguments of zarr-python 2.

Rules of this file:

* It only has constructors and the spelling of keys; everything else is in ``fsspec.py``.
"""

from __future__ import annotations

from typing import Any

from fastzarr.stores import clients
from fastzarr.stores.fsspec import MISSING, FsspecStore


class FSStore(FsspecStore):
    """A store in a file system of fsspec, with the arguments of zarr-python 2.

    ``url`` is a URL, or a path in the file system ``fs``. With ``normalize_keys`` keys are stored
    in lower case. ``mode`` is ``"r"`` for a read-only store. ``exceptions`` is accepted and has no
    effect: a failure of the file system does not make a key missing. ``missing_exceptions`` do.

    >>> store = FSStore("memory://old", dimension_separator="/")
    >>> store.set("a", b"1")
    >>> store.get("a")
    b'1'
    """

    def __init__(  # noqa: PLR0913, PLR0917  (zarr-python 2's signature)
        self,
        url: str,
        normalize_keys: bool = False,
        key_separator: str | None = None,
        mode: str = "w",
        exceptions: tuple[type[Exception], ...] = (KeyError, PermissionError, OSError),
        dimension_separator: str | None = None,
        fs: Any = None,
        check: bool = False,
        create: bool = False,
        missing_exceptions: tuple[type[Exception], ...] | None = None,
        **storage_options: Any,
    ) -> None:
        """Initialise with a URL or a file system.

        With ``create`` the folder is created; with ``check`` a value is written and deleted.
        Raise TypeError if options are passed along with ``fs``.
        """
        del exceptions
        missing: tuple[type[Exception], ...] = (
            MISSING if missing_exceptions is None else (*MISSING, *missing_exceptions)
        )
        is_url = fs is None
        if is_url:
            fs, url = clients.opened(url, storage_options)
        elif storage_options:
            msg = "storage options are for URLs; pass them to the file system"
            raise TypeError(msg)
        super().__init__(fs, mode == "r", url, missing)
        if is_url:
            self._of_url()
        self.mode, self.normalize_keys = mode, normalize_keys
        self.dimension_separator = dimension_separator or key_separator
        if create:
            self._call("makedirs", self._root, exist_ok=True)
        if check:
            self.set(".check", b"")
            self.delete(".check")

    @property
    def key_separator(self) -> str:
        """The separator of chunk keys in new arrays."""
        return self.dimension_separator or "."

    def _path(self, key: str) -> str:
        return super()._path(key.lower() if self.normalize_keys else key)


class N5FSStore(FSStore):
    """A store in a file system of fsspec whose new nodes are of N5; arguments as of ``FSStore``.

    ``dimension_separator`` has no effect, because the keys of N5 have slashes. The keys of the
    store are those of the files, such as ``attributes.json``.

    >>> import fastzarr
    >>> store = N5FSStore("memory://n5-example")
    >>> fastzarr.zeros((2, 4), chunks=(2, 2), store=store)[:] = 1
    >>> sorted(store)
    ['0/0', '1/0', 'attributes.json']
    """

    zarr_format = "n5"
