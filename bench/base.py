"""What questions and engines have in common.

Rules of this file:

* An ``Engine`` says how one library does each verb. What it cannot do raises ``CannotError`` with
  the reason, which stands in the table in place of a time.
* A ``Task`` is one row on one engine. Its ``run`` is what is timed. Before that, the result of a
  run is given to ``check``, and a task whose result is wrong is never timed.
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
    """Say why an engine does not do what is asked."""


class MissingError(CannotError):
    """Say why an engine is not there at all."""


class WrongError(Exception):
    """Say what is wrong with a result."""


class Engine:
    """Do each verb in the way of one library."""

    name = ""
    # What a user imports, and why its import is not measured where it is that of another engine.
    module = ""
    import_as: str | None = None
    # Why it does not do some of the verbs.
    cannot: ClassVar[dict[str, str]] = {}
    # How long the last run took, where the engine knows that better than the worker's clock.
    seconds: float | None = None

    def refuse(self, verb: str) -> NoReturn:
        """Say why there is no such verb."""
        why = {"durability": "never syncs"}.get(verb, "has no way to do this")
        raise CannotError(self.cannot.get(verb, why))

    def version(self) -> str:
        """Give the version, with what else decides how fast it is."""
        from importlib.metadata import version

        return version(self.module)

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array."""
        self.refuse("open")

    def open_durably(self, place: Place, level: str) -> Any:
        """Open an array for writing at a level of durability: ``none``, ``replace`` or ``full``."""
        if level != "none":
            self.refuse("durability")
        return self.open(place, write=True)

    def cold(self, array: Any) -> Any:
        """Give an array that keeps nothing of what earlier runs have read."""
        return array

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box, given by slices without steps, or an element, given by integers."""
        self.refuse("read")

    def boxes(self, array: Any, boxes: Sequence[Box]) -> Any:
        """Read boxes, one after another."""
        return [self.read(array, box) for box in boxes]

    def chunks(self, array: Any, chunks: Sequence[Shape], boxes: Sequence[Box]) -> Any:
        """Read chunks, given by their place in the grid and by their box, one after another."""
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
        """Write a box, so that who opens the array anew finds it."""
        self.refuse("write")

    def append(self, array: Any, value: Array) -> Any:
        """Write behind the end of the first axis and give the array that has grown."""
        self.refuse("append")

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create arrays of so many float32, in chunks of ten, not compressed, in an empty group."""
        self.refuse("create_arrays")

    def list_arrays(self, place: Place) -> list[str]:
        """Give the names of the arrays of a group."""
        self.refuse("list_arrays")


class Task:
    """Be one row on one engine."""

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Open what the runs share."""
        self.engine, self.work = engine, work

    def prepare(self) -> None:
        """Do what each run needs and what is not timed."""

    def run(self) -> Any:
        """Do what is timed."""
        raise NotImplementedError

    def check(self, result: Any) -> None:
        """Raise ``WrongError`` unless the result of a run is right."""
        raise NotImplementedError

    def tidy(self) -> None:
        """Undo what ``prepare`` did; not timed."""


@dataclass(frozen=True)
class Row:
    """Name a row, what it measures and the layout it needs; ``unit`` is ``ms`` or ``MiB``."""

    name: str
    title: str
    task: Callable[[Engine, Workspace], Task]
    layout: str | None = None
    unit: str = "ms"


def whole(shape: Shape) -> Box:
    """Give the box that is all of an array."""
    return tuple(slice(0, size) for size in shape)


def same(result: Any, expected: Any) -> None:
    """Raise ``WrongError`` unless an array is of the type, the shape and the values expected."""
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
    """Raise ``WrongError`` unless the array in the store, read by another process, is as expected.

    zarr-python reads it; h5py its own file.
    """
    wanted = place.folder.with_suffix(".expected.npy")
    # Files of NumPy hold no text of any length.
    np.save(wanted, np.array(expected.tolist()) if expected.dtype.kind == "T" else expected)
    source = place.file if engine.name == "h5py" else place.folder
    command = [sys.executable, "-m", "bench.readback", str(source), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wanted.unlink()
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no answer"]
        msg = f"as read back: {lines[-1]}"
        raise WrongError(msg)
