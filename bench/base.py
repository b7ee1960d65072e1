"""The base classes of engines, tasks and rows.

Rules of this file:

* An ``Engine`` implements the operations of one library. An unsupported operation raises
  ``CannotError`` with the reason, which the table shows instead of a time.
* A ``Task`` is one row on one engine, and ``run`` is the timed part. The result of a first run is
  passed to ``check``; a task with a wrong result is never timed.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.data import Array, Place, Shape, Workspace

Box = tuple[slice, ...]


class CannotError(Exception):
    """Raised, with the reason, if an engine does not support an operation."""


class MissingError(CannotError):
    """Raised, with the reason, if an engine is not installed."""


class WrongError(Exception):
    """Raised if a result is wrong."""


class Engine:
    """The operations of one library."""

    name = ""
    # The module that a user imports, and the reason if its import is not measured.
    module = ""
    import_as: str | None = None
    # The reasons for unsupported operations.
    cannot: ClassVar[dict[str, str]] = {}
    # The time of the last run, if the engine measures it itself.
    seconds: float | None = None

    def refuse(self, verb: str) -> NoReturn:
        """Raise ``CannotError`` with the reason for an unsupported operation."""
        why = {"durability": "never syncs"}.get(verb, "has no way to do this")
        raise CannotError(self.cannot.get(verb, why))

    def version(self) -> str:
        """Return the version, and settings that affect the performance."""
        from importlib.metadata import version

        return version(self.module)

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array."""
        self.refuse("open")

    def use(self, durability: str) -> None:
        """Write at a level of durability: ``none``, ``replace``, ``full`` or ``default``."""
        if durability not in ("none", "default"):
            self.refuse("durability")

    def cold(self, array: Any) -> Any:
        """Return the array with an empty cache of chunks."""
        return array

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box, given by slices without steps, or an element, given by integers."""
        self.refuse("read")

    def boxes(self, array: Any, boxes: Sequence[Box]) -> Any:
        """Read boxes, one by one."""
        return [self.read(array, box) for box in boxes]

    def chunks(self, array: Any, chunks: Sequence[Shape], boxes: Sequence[Box]) -> Any:
        """Read chunks, given by their coordinates in the grid and their boxes, one by one."""
        del chunks
        return self.boxes(array, boxes)

    def strided(self, array: Any, box: Box) -> Any:
        """Read slices with steps."""
        if "strided" in self.cannot:
            self.refuse("strided")
        return self.read(array, box)

    def orthogonal(self, array: Any, indices: Sequence[Array]) -> Any:
        """Read the product of one list of indices for each axis."""
        self.refuse("orthogonal")

    def points(self, array: Any, coordinates: Sequence[Array]) -> Any:
        """Read elements, given by their coordinates along each axis."""
        self.refuse("points")

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box, so that it is visible when the array is opened again."""
        self.refuse("write")

    def append(self, array: Any, value: Array) -> Any:
        """Append along the first axis, and return the array with its new shape."""
        self.refuse("append")

    def set_attribute(self, array: Any, number: int) -> Any:
        """Set the attribute ``a`` of an array, and return the array with it."""
        self.refuse("set_attribute")

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create uncompressed float32 arrays of these sizes in chunks of ten, in an empty group."""
        self.refuse("create_arrays")

    def list_arrays(self, place: Place) -> list[str]:
        """Return the names of the arrays in a group."""
        self.refuse("list_arrays")


class Task:
    """One row on one engine."""

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Prepare everything that the runs share."""
        self.engine, self.work = engine, work

    def prepare(self) -> None:
        """Prepare a single run; not timed."""

    def run(self) -> Any:
        """Perform the timed operation and return its result."""
        raise NotImplementedError

    def check(self, result: Any) -> None:
        """Raise ``WrongError`` unless the result of a run is correct."""
        raise NotImplementedError

    def tidy(self) -> None:
        """Undo ``prepare``; not timed."""


@dataclass(frozen=True)
class Row:
    """A row of the table, with its task and the layout of its files.

    ``unit`` is ``ms`` or ``MiB``. ``durability`` is the level at which engines write, or
    ``default`` for that of each engine without settings.
    """

    name: str
    title: str
    task: Callable[[Any, Any], Task]
    layout: str | None = None
    unit: str = "ms"
    durability: str = "none"


def whole(shape: Shape) -> Box:
    """Return the box of a whole array."""
    return tuple(slice(0, size) for size in shape)


def same(result: Any, expected: Any) -> None:
    """Raise ``WrongError`` unless an array has the expected data type, shape and values."""
    found, wanted = np.asarray(result), np.asarray(expected)
    if found.dtype != wanted.dtype:
        msg = f"data type {found.dtype}, expected {wanted.dtype}"
        raise WrongError(msg)
    if found.shape != wanted.shape:
        msg = f"shape {found.shape}, expected {wanted.shape}"
        raise WrongError(msg)
    differ = np.count_nonzero(found != wanted)
    if differ:
        msg = f"{differ} of {wanted.size} values differ"
        raise WrongError(msg)


def stored(place: Place, expected: Array, engine: Engine) -> None:
    """Raise ``WrongError`` unless the stored array, read by another process, is as expected.

    zarr-python or zarrista reads the array, and h5py its own file.
    """
    wanted = place.folder.with_suffix(".expected.npy")
    # NumPy's file format does not support StringDType.
    np.save(wanted, np.array(expected.tolist()) if expected.dtype.kind == "T" else expected)
    source = place.file if engine.name == "h5py" else place.folder
    command = [sys.executable, "-m", "bench.readback", str(source), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wanted.unlink()
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no answer"]
        msg = f"as read back: {lines[-1]}"
        raise WrongError(msg)
