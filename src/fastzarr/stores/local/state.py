"""What a local store shares with its copies: which values there are, apart from the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.stores.capabilities import Suspension

if TYPE_CHECKING:
    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.local.overlay import Overlay
    from fastzarr.stores.local.staged import Staged


class Shared(Suspension):
    """The state that a store shares with its copies."""

    __slots__ = ("begun", "moved", "overlay")

    def __init__(self) -> None:
        """Initialise without transactions: all values are those of the folder."""
        super().__init__()
        #: The transactions under way, by the thread that has begun each.
        self.begun: dict[int, Staged] = {}
        #: The folder with a journal that this process does not complete, or None.
        self.overlay: Overlay | None = None
        #: Whether the folder has been moved, so that its files are elsewhere than arrays know.
        self.moved = False

    def update(self) -> None:
        """Set the switch."""
        self.on = self.moved or bool(self.begun) or self.overlay is not None


def journaled(folder: Folder) -> str | None:
    """Return the folder of the journal for a root or a group above it; None if there is none."""
    for root in folder.marked():
        from fastzarr.stores.local.journal import root_of

        found = root_of(folder.at(root))
        if found is not None:
            return found
    return None
