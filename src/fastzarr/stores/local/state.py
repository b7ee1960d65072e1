"""What a local store shares with its copies: which values there are, apart from the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr import native
from fastzarr.stores.begun import Begun
from fastzarr.stores.keys import GROUP_NAMES, JOURNAL_NAME

if TYPE_CHECKING:
    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.local.overlay import Overlay
    from fastzarr.stores.local.staged import Staged  # noqa: F401  (in a string below)


class Shared(Begun["Staged"]):
    """The state that a store shares with its copies."""

    __slots__ = ("moved", "overlay")

    def __init__(self) -> None:
        """Initialise without transactions: all values are those of the folder."""
        super().__init__()
        #: The folder with a journal that this process does not complete, or None.
        self.overlay: Overlay | None = None
        #: Whether the folder has been moved, so that its files are elsewhere than arrays know.
        self.moved = False

    def update(self) -> None:
        """Set the switch."""
        self.on = self.moved or self.overlay is not None or self.has_any()


def is_unmarked(folder: Folder) -> bool:
    """Whether the root is no file, and nothing leads to a journal for it or a group above it.

    False also says that it must be looked at.
    """
    return native.is_unmarked(folder.root, JOURNAL_NAME, GROUP_NAMES)


def left_journal(folder: Folder, *, read_only: bool) -> Overlay | None:
    """Complete a committed transaction whose writer has died, in this node or one above.

    If that is not possible, return what all values are to be read through.
    """
    for root in () if is_unmarked(folder) else folder.marked():
        from fastzarr.stores.local.journal import recover, root_of
        from fastzarr.stores.local.overlay import over

        found = root_of(folder.at(root))
        if found is not None:
            complete = not read_only and recover(folder.at(found))
            return None if complete else over(folder, found)
    return None
