"""The typed contract of the native extension, whose twin in NumPy is ``_reference.py``.

Rules of this file:

* Every function here stands in ``_reference.py`` under the same name, with the same parameters and
  the same meaning; a test holds the two against each other.
* One call runs a whole plan. The caller's memory is read from or written to, and nothing is kept.
* A failure comes back as data: the chunk's coordinates, the stage (``fetch``, ``store`` or the name
  of a codec) and the error. None means that every chunk of the plan was read or written. Of the
  elements of one chunk, which ``vlen_decode`` and ``vlen_encode`` see alone, it is words.
"""

from collections.abc import Callable
from typing import Any, final

import numpy as np

from fastzarr._reference import Chunks, Failure, Job
from fastzarr.buffers import Buffer
from fastzarr.codecs.chain import Program as Chain
from fastzarr.selection.plan import Plan

@final
class Program:
    """A codec chain compiled once per array, from what ``codecs.chain.describe`` gives."""

    def __new__(cls, description: dict[str, Any], /) -> Program: ...

def shutdown() -> None: ...
def sync(root: str) -> None: ...
def read(
    program: Chain, plan: Plan, chunks: Chunks, out: np.ndarray[Any, Any], job: Job
) -> Failure | None: ...
def write(
    program: Chain,
    plan: Plan,
    chunks: Chunks,
    value: np.ndarray[Any, Any],
    shape: tuple[int, ...],
    job: Job,
) -> Failure | None: ...
def vlen_decode(data: Buffer, kind: type[str | bytes], out: np.ndarray[Any, Any]) -> str | None: ...
def vlen_encode(
    array: np.ndarray[Any, Any], kind: type[str | bytes], plain: Callable[[Any], str | bytes]
) -> bytes | str: ...
