"""The parameters of one call, and the protocols of what a plan reads from and writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from fastzarr.buffers import Buffer
    from fastzarr.engine.bounds import Admission
    from fastzarr.stores.turns import Turn

    Spread = Callable[[Callable[[int], None], int], None]
    Take = Callable[[], Sequence[tuple[int, Any]] | None]


class Source(Protocol):
    """The bytes of one encoded chunk, as a whole or in ranges; None if the chunk is missing."""

    def get(self) -> Buffer | None:
        """Return all bytes."""

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        """Return the bytes of each ``(start, length)``, clipped like slices."""


class Chunks(Protocol):
    """The stored objects of one array."""

    @property
    def admit(self) -> Callable[[], Admission | None] | None:
        """The function that returns the place of a chunk that is to be written.

        It is called before the chunk is encoded, or read to be changed. It returns None if there
        is no place within some milliseconds. ``leave`` of a place must be called, on the same
        thread. If this is None, nobody waits.
        """

    # A class whose turns take any buffer as a new value, and not only bytes, says so by an
    # attribute ``takes_views``, which is True. The buffers of the extension do not change. One that
    # keeps them for a while has ``keeps_values``, which is True.

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Return the bytes of the object at these coordinates, or None if it is missing."""

    def get_many(self, chunks: Sequence[tuple[int, ...]]) -> Sequence[Buffer | None]:
        """Return what ``get`` returns for each of several objects."""

    def source(self, chunk: tuple[int, ...]) -> Source:
        """Return the source of the object at these coordinates, to read parts of it."""

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Return a turn at the object at these coordinates, to change it."""


def inline(task: Callable[[int], None], count: int) -> None:
    """Run a task for each number below ``count``, in order."""
    for number in range(count):
        task(number)


class Job(NamedTuple):
    """The parameters that are common to all chunks of one call.

    ``fields`` restricts a structured array to a field or a list of fields. ``missing`` is True if
    missing chunks read as fill values, and False if they are errors. ``store_empty`` is True if
    chunks that contain only the fill value are stored. ``threads`` is the maximum number of
    threads. ``spread`` runs a task for each number below a count, possibly in parallel, and raises
    the exception of a task. ``durability`` is that of files that the extension writes itself, or
    None if it must not write files. ``together`` is the number of objects that the extension asks
    for at once, by ``Chunks.get_many``. ``take``, if it is not None, returns the objects of the
    plan that is read as they come: one or more numbers of pieces, each with its bytes, None if it
    is missing, or the error. It returns each once, and None if nothing has come for some
    milliseconds. If not all pieces of the plan are read, ``coming`` is how many are. ``receiver``,
    if not None, decodes pieces for the threads that fetch them; ``take`` does not return these.
    ``stopped`` returns whether the call has been interrupted, for threads that work for the main
    thread, or stopped by the one who awaits it; it is None if neither can be. ``beside`` is the
    path of a file that the extension syncs with those that it writes, if the durability is
    ``full``. ``where`` is a boolean array of the shape of the value that is written, if only the
    elements are written for which it is True.
    """

    fields: str | list[str] | None = None
    missing: bool = True
    store_empty: bool = False
    spread: Spread = inline
    threads: int = 1
    durability: str | None = None
    together: int = 1
    take: Take | None = None
    coming: int | None = None
    receiver: Any = None
    stopped: Callable[[], bool] | None = None
    beside: str | None = None
    where: np.ndarray[Any, Any] | None = None
