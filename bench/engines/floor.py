"""The floor: a Rust program that opens, reads, decompresses and copies each chunk, nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from bench.base import CannotError, Engine, MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.base import Box
    from bench.data import Array, Place

PROGRAM = Path(__file__).parents[2] / "build" / "floor" / "release" / "floor"


class Floor(Engine):
    """The floor program, which measures the time itself."""

    name = "floor"
    import_as = "the floor imports nothing"

    def __init__(self) -> None:
        """Find the program; raise ``MissingError`` if it is not built."""
        if not PROGRAM.exists():
            built = "make bench builds it" if shutil.which("cargo") else "there is no cargo"
            msg = f"not built: {built}"
            raise MissingError(msg)

    def version(self) -> str:
        """Return the names of its decompressors."""
        return "zstd-safe, libdeflater, c-blosc"

    def refuse(self, verb: str) -> NoReturn:
        """Raise ``CannotError``: the floor does not support this operation."""
        msg = "only reads boxes of numbers"
        raise CannotError(msg)

    def open(self, place: Place, *, write: bool = False) -> Reader:
        """Start the program on an array."""
        if write or place.layout.text or place.layout.uneven:
            self.refuse("write")
        return Reader(place)

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read one box."""
        if not all(isinstance(part, slice) and part.step in (None, 1) for part in box):
            self.refuse("read")
        return self.boxes(array, [box])[0]  # type: ignore[list-item]  # (just looked at)

    def boxes(self, array: Reader, boxes: Sequence[Box]) -> list[Pending]:
        """Read boxes, one by one, and keep the time."""
        array.take(boxes)
        array.values = None
        self.seconds = int(array.ask("read")) / 1e9
        return [Pending(array, number) for number in range(len(boxes))]


class Reader:
    """A running process of the program, for one array."""

    def __init__(self, place: Place) -> None:
        """Start the process."""
        layout = place.layout
        prefix, separator = ("c/", "/") if layout.zarr_format == 3 else ("", ".")
        threads = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        )
        inner = ",".join(map(str, layout.inner)) if layout.inner else "-"
        chunks = ",".join(map(str, layout.chunks))
        arguments = [
            str(place.folder),
            prefix,
            separator,
            chunks,
            inner,
            layout.codec,
            str(threads),
        ]
        pipe = subprocess.PIPE
        self.shape, self.taken = place.shape, b""
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=pipe, stdout=pipe, text=True)
        self.shapes: list[tuple[int, ...]] = []
        self.values: list[Array] | None = None

    def ask(self, command: str) -> str:
        """Send a command and return its reply."""
        reader, writer = self.process.stdout, self.process.stdin
        if reader is None or writer is None:
            raise RuntimeError(command)
        writer.write(command + "\n")
        writer.flush()
        answer = reader.readline()
        if not answer:
            msg = f"the program ended with {self.process.wait()}"
            raise RuntimeError(msg)
        return answer

    def take(self, boxes: Sequence[Box]) -> None:
        """Send the boxes to read, unless they are the same as before."""
        spans = [
            [part.indices(n) for part, n in zip(box, self.shape, strict=True)] for box in boxes
        ]
        if repr(spans).encode() == self.taken:
            return
        self.taken = repr(spans).encode()
        self.shapes = [tuple(stop - start for start, stop, _ in span) for span in spans]
        with tempfile.NamedTemporaryFile("w") as file:
            for span in spans:
                ends = zip(*((start, stop) for start, stop, _ in span), strict=True)
                file.write(" ".join(",".join(map(str, end)) for end in ends) + "\n")
            file.flush()
            self.ask(f"boxes {file.name}")

    def result(self, number: int) -> Array:
        """Return one of the arrays read last."""
        if self.values is None:
            with tempfile.NamedTemporaryFile() as file:
                self.ask(f"dump {file.name}")
                flat = np.fromfile(file.name, np.float32)
            ends = np.cumsum([np.prod(shape) for shape in self.shapes])
            parts = np.split(flat, ends[:-1])
            self.values = [part.reshape(n) for part, n in zip(parts, self.shapes, strict=True)]
        return self.values[number]


class Pending:
    """An array in the memory of the program, fetched when it is first used."""

    def __init__(self, reader: Reader, number: int) -> None:
        """Initialise with the process and the number of the array."""
        self.reader, self.number = reader, number

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Return the array, fetched from the program."""
        del dtype, copy
        return self.reader.result(self.number)
