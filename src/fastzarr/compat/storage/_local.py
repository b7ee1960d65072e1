"""Stores in folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fastzarr.compat.core.awaiting import off_loop
from fastzarr.compat.storage._dress import PlainCalls
from fastzarr.stores.local.store import LocalStore as InnerStore

if TYPE_CHECKING:
    from fastzarr.compat.core.common import AccessModeLiteral
    from fastzarr.stores.base import Store as Inner


class LocalStore(PlainCalls):
    """A store in a folder, with each value in the file whose path below ``root`` is its key."""

    plain = True
    root: Path

    def __init__(self, root: Any, *, read_only: bool = False) -> None:
        """Initialise with the path of the folder, which ``open`` creates."""
        super().__init__(read_only=read_only)
        if not isinstance(root, str | Path):
            msg = (
                "'root' must be a string or Path instance. Got an instance of "
                f"{type(root)} instead."
            )
            raise TypeError(msg)
        self.root = Path(root)

    def _make(self) -> Inner:
        inner = InnerStore(self.root, read_only=self.read_only)
        # zarr-python looks for arrays in the store alone.
        inner.inside_arrays = True
        return inner

    def _adopt(self, inner: Any) -> None:
        self.root = inner.root

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; another root is another store of fastzarr."""
        super().__setattr__(name, value)
        if name == "root":
            vars(self).pop("_inner", None)

    def _remove(self, key: str) -> None:
        # The name of a folder stands for all that is in it.
        if (self.root / key).is_dir():
            self.inner.delete_dir(key)
        else:
            self.inner.delete(key)

    def _remove_below(self, prefix: str) -> None:
        if (self.root / prefix).is_file():
            msg = f"delete_dir was passed a {prefix=!r} that is a file"
            raise ValueError(msg)
        super()._remove_below(prefix)

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same folder that is read-only, or not."""
        return type(self)(root=self.root, read_only=read_only)

    @classmethod
    async def open(
        cls, root: Path | str, *, read_only: bool = False, mode: AccessModeLiteral | None = None
    ) -> Self:
        """Return a store of a folder, which is created unless ``mode`` is ``r`` or ``r+``.

        Raise FileNotFoundError if it must exist.
        """
        must_exist = read_only if mode is None else mode in ("r", "r+")
        store = cls(root, read_only=must_exist)
        await store._open()
        if must_exist != read_only:
            store = store.with_read_only(read_only)
            await store._open()
        return store

    async def _open(self, *, mode: AccessModeLiteral | None = None) -> None:
        del mode
        await off_loop(self._ensure_root)
        await super()._open()

    async def _ensure_open(self) -> None:
        # Threads may get here at the same time, of which none must fail.
        if not self._is_open:
            await off_loop(self._ensure_root)
            self._is_open = True

    def _ensure_root(self) -> None:
        if not self.read_only:
            self.root.mkdir(parents=True, exist_ok=True)
        if not self.root.exists():
            msg = f"{self.root} does not exist"
            raise FileNotFoundError(msg)

    async def move(self, dest_root: Path | str) -> None:
        """Move the folder to another path; raise FileExistsError if there is something.

        What was opened through this store, and not through another one of the folder, goes along.
        """
        target = Path(dest_root)
        inner: Any = self.inner
        await off_loop(inner.move_root, target)
        # Its store of fastzarr has moved, and remains that of its arrays.
        super().__setattr__("root", target)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same root."""
        return isinstance(other, type(self)) and self.root == other.root

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return the URL."""
        return f"file://{self.root.as_posix()}"

    def __repr__(self) -> str:
        """Return the class name with the URL."""
        return f"LocalStore('{self}')"
