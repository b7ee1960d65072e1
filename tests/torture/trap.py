"""Run Python code in a forked process whose file-changing system calls are counted or made to fail.

``Trap`` compiles ``preload.c`` (whose head documents the trace) and loads it. ``Trap.run`` forks,
and the child calls a function while system calls below one folder are watched. The forking process
should have imported and warmed up everything that the function uses, and must not have threads.

>>> trap = Trap()
>>> with TemporaryDirectory() as folder:
...     seen = trap.run(lambda: Path(folder, "a").mkdir(), folder)
...     trap.run(lambda: Path(folder, "b").mkdir(), folder, kill_at=1).killed, os.listdir(folder)
(True, ['a'])
>>> seen.count, seen.result, seen.error
(1, None, None)
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import shutil
import signal
import subprocess
import traceback
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What counts: see the head of ``preload.c``.
CHANGES, CLOSES, READS = 1, 2, 4

_PATH = 4096


class _Shared(ctypes.Structure):
    """The page that both processes see: ``struct shared`` of ``preload.c``."""

    _fields_ = (
        ("count", ctypes.c_long),
        ("kill_at", ctypes.c_long),
        ("inside", ctypes.c_long),
        ("fail_at", ctypes.c_long),
        ("fail_errno", ctypes.c_long),
        ("failed", ctypes.c_long),
        ("lock", ctypes.c_long),
        ("last", ctypes.c_char * (2 * _PATH + 64)),
    )


class Outcome(NamedTuple):
    """How a watched process ended."""

    count: int
    """How many calls were seen."""
    killed: bool
    """Whether it died before a call, as was asked for."""
    failed: int
    """How many calls were made to fail, or cut short."""
    call: str
    """The call that was killed or failed: its kind and its paths below the root."""
    result: Any
    """What the function returned."""
    error: Exception | None
    """What the function raised."""
    trouble: str
    """The traceback of that, or how the process died by itself; "" if neither."""


@cache
def _library() -> ctypes.CDLL:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        msg = "the traps are written in C, and there is no C compiler: install gcc or clang"
        raise RuntimeError(msg)
    with TemporaryDirectory(prefix="torture-") as folder:
        path = str(Path(folder, "preload.so"))
        source = str(Path(__file__).with_name("preload.c"))
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"]
        made = subprocess.run(
            [compiler, *flags, "-o", path, source], capture_output=True, text=True, check=False
        )
        if made.returncode:
            msg = f"{compiler} could not compile {source}:\n{made.stderr}"
            raise RuntimeError(msg)
        library = ctypes.CDLL(path)
    library.torture_shared.restype = ctypes.POINTER(_Shared)
    library.torture_start.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_char_p)
    library.torture_mark.argtypes = (ctypes.c_char_p,)
    return library


class Trap:
    """Forks processes whose calls are watched, one at a time."""

    def __init__(self) -> None:
        """Compile and load the library, once in a process."""
        self._library = _library()
        self._shared: Any = self._library.torture_shared().contents

    def start(
        self, root: str | os.PathLike[str], watch: int = CHANGES | CLOSES, trace: str | None = None
    ) -> None:
        """Watch this process from now on until it ends.

        Threads and forked processes are watched too; executed programs die. ``trace`` is the path
        of the log, which must not be below the root.
        """
        below = os.path.realpath(root)
        code = self._library.torture_start(
            os.fsencode(below), watch, None if trace is None else os.fsencode(trace)
        )
        if code:
            raise OSError(-code, f"the system calls cannot be watched: {os.strerror(-code)}")

    def mark(self, text: str) -> None:
        """Write a line to the trace, such as the operations acknowledged so far."""
        self._library.torture_mark(text.encode())

    def run(  # noqa: PLR0913  (each is one word of the call)
        self,
        work: Callable[[], Any],
        root: str | os.PathLike[str],
        *,
        watch: int = CHANGES | CLOSES,
        kill_at: int = 0,
        inside: bool = False,
        fail_at: int = 0,
        fail_errno: int = 0,
        trace: str | None = None,
        seconds: int = 60,
    ) -> Outcome:
        """Call ``work`` in a forked process, and return how it ended.

        The process dies before call ``kill_at``, or in the middle of it if ``inside`` is True and
        it writes. Call ``fail_at`` fails with ``fail_errno``; 0 makes it a short read or write. A
        process that takes longer than ``seconds`` is considered hung, and killed.
        """
        shared = self._shared
        shared.count = shared.failed = shared.lock = 0
        shared.kill_at, shared.inside = kill_at, inside
        shared.fail_at, shared.fail_errno = fail_at, fail_errno
        shared.last = b""
        result, error, trouble, status = forked(
            lambda: (self.start(root, watch, trace), work())[1], seconds
        )
        return Outcome(
            shared.count,
            bool(kill_at) and status == -signal.SIGKILL and shared.count >= kill_at,
            shared.failed,
            shared.last.decode(errors="replace"),
            result,
            error,
            trouble,
        )


def forked(work: Callable[[], Any], seconds: int = 60) -> tuple[Any, Exception | None, str, int]:
    """Call ``work`` in a forked process; return its result, error, traceback, and exit code.

    If the process died, the traceback says how. A process that takes longer than ``seconds`` is
    killed by SIGALRM.
    """
    inlet, outlet = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, should there be any
        child = os.fork()
    if not child:
        os.close(inlet)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        _answer(work, outlet)
        os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as pipe:
        answer = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code or not answer:
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if code == -signal.SIGALRM:
            how = f"hung for {seconds} seconds"
        return None, None, how, code
    return *pickle.loads(answer), code


def _answer(work: Callable[[], Any], outlet: int) -> None:
    answer: tuple[Any, Exception | None, str]
    try:
        answer = (work(), None, "")
    except Exception as error:  # noqa: BLE001  (whatever it is, the parent judges it)
        answer = (None, error, traceback.format_exc())
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)
    except Exception:  # noqa: BLE001  (errors of others may not come through a pipe)
        data = pickle.dumps((None, RuntimeError(repr(answer[1] or answer[0])), answer[2]))
    left = memoryview(data)
    while left:
        left = left[os.write(outlet, left) :]


def read_trace(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Return the calls of a trace in order; those that wrote have their bytes as ``data``."""
    data = Path(f"{os.fspath(path)}.data").read_bytes()
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
        for line in lines:
            call = json.loads(line)
            if call["kind"] in {"write", "copy"}:
                call["data"] = data[call["at"] : call["at"] + call["size"]]
            yield call
