"""What a copy has done, and what it has left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

# An error message names at most this many items.
_NAMED = 20


class LeftOut(NamedTuple):
    """A node, or an attribute of a node, that could not be copied."""

    #: The path of the node in the source.
    path: str
    #: The name of the attribute, or None if the node itself was left out.
    attribute: str | None
    reason: str

    def __str__(self) -> str:
        """Return the item and the reason in one line."""
        of = "" if self.attribute is None else f"attribute {self.attribute!r} of "
        return printable(f"{of}{self.path}: {self.reason}")


class CopyReport(tuple[int, int, int]):  # noqa: SLOT001  (a tuple can have no named slots)
    """The numbers of nodes copied, of nodes skipped, and of bytes copied, as a tuple of three.

    ``left_out`` lists the items that could not be copied.

    >>> report = CopyReport((2, 0, 24))
    >>> report, report.n_copied, report.left_out
    ((2, 0, 24), 2, ())
    """

    left_out: tuple[LeftOut, ...]

    def __new__(cls, counts: Iterable[int], left_out: Iterable[LeftOut] = ()) -> Self:
        """Create a report of three numbers and the items left out."""
        found = super().__new__(cls, counts)
        found.left_out = tuple(left_out)
        return found

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return the arguments that create the report again."""
        return tuple(self), self.left_out

    @property
    def n_copied(self) -> int:
        """The number of arrays and groups copied."""
        return self[0]

    @property
    def n_skipped(self) -> int:
        """The number of nodes skipped: they existed already, or have no counterpart in Zarr."""
        return self[1]

    @property
    def n_bytes_copied(self) -> int:
        """The number of bytes copied, before compression."""
        return self[2]

    def __repr__(self) -> str:
        """Return the tuple, followed by the items left out, one on each line."""
        shown = repr(tuple(self))
        if not self.left_out:
            return shown
        return "\n".join([f"{shown}, left out:", *(f"  {item}" for item in self.left_out)])

    def complaint(self) -> str:
        """Return the message of the error for the items left out."""
        number = len(self.left_out)
        what = "1 item" if number == 1 else f"{number} items"
        lines = [f"{what} could not be copied, all others were (on_error='skip' accepts that):"]
        lines += [f"  {item}" for item in self.left_out[:_NAMED]]
        if number > _NAMED:
            lines.append(f"  and {number - _NAMED} more, in `report.left_out` of this error")
        return "\n".join(lines)


def printable(text: str) -> str:
    """Return a text that any file can be written with: what is not Unicode is escaped."""
    return text.encode(errors="backslashreplace").decode()
