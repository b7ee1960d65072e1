"""Run Python code in a forked process whose system calls are counted, stopped or made to fail.

``Trap`` compiles ``trap.c`` (whose head documents the trace) and loads it. ``Trap.run`` forks, and
the child calls a function while system calls below one folder are watched, those of native code
included. ``Trap.begin`` returns at once, so that the child can be stopped before one of its calls
while other processes run. The forking process should have imported and warmed up everything that
the function uses, and must not have threads.

>>> trap = Trap()
>>> with TemporaryDirectory() as folder:
...     seen = trap.run(lambda: Path(folder, "a").mkdir(), folder)
...     trap.run(lambda: Path(folder, "b").mkdir(), folder, kill_at=1).killed, os.listdir(folder)
(True, ['a'])
>>> seen.count, seen.result, seen.error
(1, None, None)
>>> with TemporaryDirectory() as folder:
...     child = trap.begin(lambda: Path(folder, "a").mkdir(), folder, pause_at=1)
...     child.wait(), child.call, os.listdir(folder), child.go(), child.end().count
('paused', 'mkdir a', [], None, 1)
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import select
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

#: What counts: see the head of ``trap.c``.
CHANGES, CLOSES, READS = 1, 2, 4

_PATH = 4096


class _Shared(ctypes.Structure):
    """The page that both processes see: ``struct shared`` of ``trap.c``."""

    _fields_ = (
        ("count", ctypes.c_long),
        ("kill_at", ctypes.c_long),
        ("inside", ctypes.c_long),
        ("fail_at", ctypes.c_long),
        ("fail_errno", ctypes.c_long),
        ("failed", ctypes.c_long),
        ("pause_at", ctypes.c_long),
        ("tell", ctypes.c_long),
        ("go", ctypes.c_long),
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
        path = str(Path(folder, "trap.so"))
        source = str(Path(__file__).with_name("trap.c"))
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"]
        made = subprocess.run(
            [compiler, *flags, "-o", path, source], capture_output=True, text=True, check=False
        )
        if made.returncode:
            msg = f"{compiler} could not compile {source}:\n{made.stderr}"
            raise RuntimeError(msg)
        library = ctypes.CDLL(path)
    library.torture_page.restype = ctypes.POINTER(_Shared)
    library.torture_start.argtypes = (
        ctypes.POINTER(_Shared),
        ctypes.c_char_p,
        ctypes.c_long,
        ctypes.c_char_p,
    )
    library.torture_mark.argtypes = (ctypes.c_char_p,)
    return library


class Trap:
    """Forks processes whose calls are watched, one at a time."""

    def __init__(self) -> None:
        """Compile and load the library, once in a process, and make a page to share."""
        self._library = _library()
        self._page = self._library.torture_page()
        if not self._page:
            raise MemoryError
        self._shared: Any = self._page.contents
        self._shared.tell = self._shared.go = -1

    def start(
        self, root: str | os.PathLike[str], watch: int = CHANGES | CLOSES, trace: str | None = None
    ) -> None:
        """Watch this process from now on until it ends.

        Threads and forked processes are watched too; executed programs die. ``trace`` is the path
        of the log, which must not be below the root.
        """
        below = os.path.realpath(root)
        code = self._library.torture_start(
            self._page, os.fsencode(below), watch, None if trace is None else os.fsencode(trace)
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
        words = {"kill_at": kill_at, "inside": inside, "fail_at": fail_at, "fail_errno": fail_errno}
        return self.begin(work, root, watch=watch, trace=trace, seconds=seconds, **words).end()

    def begin(
        self,
        work: Callable[..., Any],
        root: str | os.PathLike[str],
        *,
        prepare: Callable[[], Any] | None = None,
        watch: int = CHANGES | CLOSES,
        trace: str | None = None,
        seconds: int = 60,
        **what: int,
    ) -> Child:
        """Fork a process that calls ``work``, and return it.

        ``what`` is as in ``run``; or ``pause_at``, the call before which the process stops until it
        is told to go on. With ``prepare``, the process first calls that unwatched, stops, and then
        passes its result to ``work``.
        """
        shared = self._shared
        shared.count = shared.failed = shared.lock = 0
        for name in ("kill_at", "inside", "fail_at", "fail_errno", "pause_at"):
            setattr(shared, name, what.get(name, 0))
        shared.last = b""
        told, shared.tell = os.pipe()
        shared.go, go = os.pipe()
        tell, wait = shared.tell, shared.go

        def act() -> Any:
            os.close(told), os.close(go)
            given = []
            if prepare:
                given = [prepare()]
                os.write(tell, b"r")
                if not os.read(wait, 1):
                    os._exit(1)
            self.start(root, watch, trace)
            return work(*given)

        process = Process(act, seconds)
        os.close(tell), os.close(wait)
        return Child(process, shared, told, go)


class Process:
    """A forked process that calls a function."""

    def __init__(self, work: Callable[[], Any], seconds: int) -> None:
        """Fork; SIGALRM kills the process if it takes longer than ``seconds``."""
        self.seconds = seconds
        self.inlet, outlet = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, should there be any
            self.pid = os.fork()
        if not self.pid:
            os.close(self.inlet)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            _answer(work, outlet)
            os._exit(0)
        os.close(outlet)

    def end(self) -> tuple[Any, Exception | None, str, int]:
        """Wait for the end; return the function's result, its error, the traceback, the exit code.

        If the process died, the traceback says how.
        """
        with os.fdopen(self.inlet, "rb") as pipe:
            answer = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if code or not answer:
            how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            if code == -signal.SIGALRM:
                how = f"hung for {self.seconds} seconds"
            return None, None, how, code
        return *pickle.loads(answer), code


class Child:
    """A watched process that has not ended yet."""

    def __init__(self, process: Process, shared: Any, told: int, go: int) -> None:
        """Take over both pipes."""
        self._process, self._shared, self._told, self._go = process, shared, told, go

    def wait(self, seconds: float | None = None) -> str:
        """Wait for something to happen, and say what.

        ``"ready"``: the process has called ``prepare``. ``"paused"``: it has stopped before the
        call. ``"waits"``: it waits for the lock of a file. ``"ended"``: it has a result, or died.
        ``"late"``: nothing of this has happened in ``seconds``.
        """
        ready, _, _ = select.select([self._told, self._process.inlet], [], [], seconds)
        if self._told in ready:
            byte = os.read(self._told, 1)
            if byte:
                return _TOLD[byte]
        return "ended" if ready else "late"

    def go(self) -> None:
        """Let a process that has stopped go on."""
        os.write(self._go, b"g")

    def leave(self) -> None:
        """Kill the process."""
        os.kill(self._process.pid, signal.SIGKILL)
        self.end()

    @property
    def call(self) -> str:
        """The call that was paused, killed or failed: its kind and its paths below the root."""
        return str(self._shared.last.decode(errors="replace"))

    def end(self) -> Outcome:
        """Wait for the end, and return how it was."""
        shared = self._shared
        result, error, trouble, status = self._process.end()
        os.close(self._told), os.close(self._go)
        return Outcome(
            shared.count,
            bool(shared.kill_at) and status == -signal.SIGKILL and shared.count >= shared.kill_at,
            shared.failed,
            self.call,
            result,
            error,
            trouble,
        )


#: The bytes that a watched process says.
_TOLD = {b"r": "ready", b"p": "paused", b"w": "waits"}


def forked(work: Callable[[], Any], seconds: int = 60) -> tuple[Any, Exception | None, str, int]:
    """Call ``work`` in a forked process; return its result, error, traceback, and exit code.

    If the process died, the traceback says how. A process that takes longer than ``seconds`` is
    killed by SIGALRM.
    """
    return Process(work, seconds).end()


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
