"""The parameters of one call, and the protocols of what a plan reads from and writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastzarr.buffers import Buffer
    from fastzarr.stores.turns import Turn

    Spread = Callable[[Callable[[int], None], int], None]


class Source(Protocol):
    """Give the bytes of one encoded chunk: all, or ranges of them; None if there is no chunk."""

    def get(self) -> Buffer | None:
        """Give all bytes."""

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        """Give the bytes of each range, clipped as slices are."""


class Chunks(Protocol):
    """Stand for the stored objects of one array."""

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Give all bytes of the object at these coordinates, or None if there is none."""

    def source(self, chunk: tuple[int, ...]) -> Source:
        """Give the source of the object at these coordinates, to read parts of it."""

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Give a writer's turn at the object at these coordinates."""


def inline(task: Callable[[int], None], count: int) -> None:
    """Run a task for each number below ``count``, one after the other."""
    for number in range(count):
        task(number)


class Job(NamedTuple):
    """Hold what is the same for all chunks of one call.

    ``fields`` restricts to fields of a structured type, ``missing`` says whether a missing chunk is
    a fill value or an error, ``store_empty`` whether a chunk of nothing but fill value is stored.
    ``threads`` is how many may work. ``spread`` runs a task for each number below a count, at the
    caller's choice in parallel, and raises what a task raised. ``durability`` is that of files
    which are written past the store; None where they must not be.
    """

    fields: str | list[str] | None = None
    missing: bool = True
    store_empty: bool = False
    spread: Spread = inline
    threads: int = 1
    durability: str | None = None
