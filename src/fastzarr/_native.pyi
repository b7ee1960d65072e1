"""Type stubs of the native extension, whose functions have twins in Python.

Rules of this file:

* Every function here has a twin in Python of the same name, parameters and meaning: in
  ``engine/reference.py``, ``codecs/elements.py``, ``native.py`` or ``stores/zip/format.py``. A test
  compares them. Two have none: ``shutdown`` and ``refuse`` are about the threads of the extension
  and about calls of it.
* One call runs a whole plan. The caller's memory is read from or written to, and nothing is kept.
* A failure is returned as data, the arguments of ``failures.as_failure``: the coordinates of the
  chunk, the stage (``fetch``, ``store`` or the name of a codec), the kind, a message, the system's
  error number and the exception of the store. The twin returns that ``Failure`` itself. None
  means that every chunk of the plan was read or written. ``vlen_decode`` and ``vlen_encode`` return
  a message.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy as np

from fastzarr.buffers import Buffer
from fastzarr.codecs.program import Program as Chain
from fastzarr.engine.job import Chunks, Job
from fastzarr.selection.plan import Plan

Described: TypeAlias = tuple[tuple[int, ...], str, str, str, int | None, Exception | None]

# Whether files of a local store are opened here. If not, there are no `scan` and `sync`, and
# ``StoredChunks.files`` must be None.
HAS_FILES: bool

@final
class Program:
    """A codec chain compiled once per array, from the result of ``codecs.compile.describe``."""

    def __new__(cls, description: dict[str, Any], /) -> Program: ...

@final
class Receiver:
    """Where the threads that fetch the objects of a call find what decodes them."""

    def __new__(cls, brief: bool, most: int, /) -> Receiver: ...
    def decode(self, number: int, value: Buffer | None, /) -> bool | None: ...

@final
class Lent:
    """Bytes of the extension, read by the buffer protocol; nobody can change them."""

@final
class Member:
    """A member of a zip archive, as ``stores.zip.format.Entry``."""

def crc32(value: Buffer) -> int: ...
def zip_directory(raw: bytes, count: int, end: int) -> dict[str, Member] | None: ...
def zip_places(members: dict[str, Any], keys: Sequence[str]) -> list[Member | None] | None: ...
def shutdown() -> None: ...
def refuse(awaited: bool, seconds: float, /) -> int: ...
def first_values(
    root: str, groups: Sequence[Sequence[str]], most: int, follow_links: bool
) -> dict[str, bytes | None] | None: ...
def is_unmarked(root: str, mark: str, groups: Sequence[str]) -> bool: ...
def is_real(path: str) -> bool: ...
def sorted_keys(names: list[bytes], cut: int) -> list[str]: ...
def scan(folder: str, above: str) -> tuple[list[str], list[str]] | None: ...
def sync(root: str) -> None: ...
def read(
    program: Chain, plan: Plan, chunks: Chunks, out: np.ndarray[Any, Any], job: Job
) -> Described | None: ...
def write(
    program: Chain,
    plan: Plan,
    chunks: Chunks,
    value: np.ndarray[Any, Any],
    job: Job,
) -> Described | None: ...
def vlen_decode(data: Buffer, kind: type[str | bytes], out: np.ndarray[Any, Any]) -> str | None: ...
def vlen_encode(
    array: np.ndarray[Any, Any], kind: type[str | bytes], plain: Callable[[Any], str | bytes]
) -> bytes | str: ...
