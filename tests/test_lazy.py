"""Properties that are computed on first access."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from fastzarr._lazy import cached


class Once:
    """An object with one such property, whose computations wait for each other."""

    def __init__(self, threads: int) -> None:
        self.together = threading.Barrier(threads, timeout=100)
        self.computed = 0

    @cached
    def value(self) -> list[int]:
        """A new list."""
        self.computed += 1
        self.together.wait()
        return []


def test_a_value_is_computed_once_for_each_instance() -> None:
    one, other = Once(1), Once(1)
    assert one.value is one.value
    assert one.value is not other.value
    assert (one.computed, other.computed) == (1, 1)
    assert Once.value.__doc__ == "A new list."


def test_threads_that_compute_a_value_at_once_get_the_same() -> None:
    one = Once(2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: one.value, range(2))
    assert first is second is one.value


def test_help_works_without_optional_packages() -> None:
    code = """
import sys
sys.modules.update({"pytest": None, "msgpack": None, "numcodecs.msgpacks": None})
import inspect, pydoc
import fastzarr
from fastzarr import codecs
for module in (fastzarr, codecs):
    assert dict(inspect.getmembers(module))
    assert "NAME" in pydoc.plain(pydoc.render_doc(module))
assert {"open", "Array", "codecs", "__version__"} <= {*dir(fastzarr)}
assert {"BloscCodec", "parse"} <= {*dir(codecs)}
assert not {"testing", "make_lazy", "TYPE_CHECKING", "NUMCODECS"} & {*dir(fastzarr)}
assert not hasattr(fastzarr, "testing")
try:
    fastzarr.testing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fastzarr.testing requires a package that is not installed: pytest" in done.stdout
