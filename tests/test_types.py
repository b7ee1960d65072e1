"""What a type checker says about programs that use the installed package.

``typed/right.py`` has programs that it must accept in full, ``typed/wrong.py`` has mistakes that it
must report, each with the error code that its line names.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastzarr

if TYPE_CHECKING:
    from collections.abc import Iterator

# The arguments and results of public functions, arrays and groups that may be anything.
ANYTHING = {
    # An element, of whatever type.
    *("fill_value", "Array.fill_value", "Array.get_basic_selection"),
    *("Array.getitem_async", "Array.get_basic_selection_async"),
    # A codec, of whatever library.
    *("Array.compressor", "Array.serializer"),
    # An array of NumPy, or a mapping of arrays.
    "load",
    "load_async",
    # Overloads say what they are.
    *("kwargs", "shape", "new_shape"),
    # Keywords of the library that writes the copy.
    "create_kws",
    # It has no effect.
    "meta_array",
}
PROGRAMS = Path(__file__).parent / "typed"
REPORTED = re.compile(r"(?P<file>\w+)\.py:(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]$")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, set[str]]]:
    """Return the codes of the errors in each program, by line, if the package is installed."""
    folder = tmp_path_factory.mktemp("checked")
    # In a folder of the path of modules, a package without py.typed has no types.
    site = folder / "site"
    site.mkdir()
    (site / "fastzarr").symlink_to(Path(fastzarr.__file__).parent, target_is_directory=True)
    options = ["--strict", "--config-file=", f"--cache-dir={folder}", "--hide-error-context"]
    files = [str(PROGRAMS / name) for name in ("right.py", "wrong.py")]
    done = subprocess.run(  # noqa: S603  (this interpreter, our files)
        [sys.executable, "-m", "mypy", *options, *files],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    found: dict[str, dict[int, set[str]]] = {"right": {}, "wrong": {}}
    for line in done.stdout.splitlines():
        match = REPORTED.search(line)
        if match is not None:
            found[match["file"]].setdefault(int(match["line"]), set()).add(match["code"])
        elif ": error: " in line:
            pytest.fail(line)
    assert "checked 2 source files" in done.stdout, done.stdout + done.stderr
    return found


def planted() -> Iterator[tuple[int, str]]:
    """Iterate over the numbers of the lines with mistakes, and their error codes."""
    for number, line in enumerate((PROGRAMS / "wrong.py").read_text().splitlines(), 1):
        mistake = re.search(r"^[^#]+  # \[([\w-]+)\]$", line)
        if mistake is not None:
            yield number, mistake[1]


def test_right_programs_are_accepted(reported: dict[str, dict[int, set[str]]]) -> None:
    assert reported["right"] == {}


def test_each_mistake_is_reported_and_nothing_else(
    reported: dict[str, dict[int, set[str]]],
) -> None:
    mistakes = {number: {code} for number, code in planted()}
    assert len(mistakes) > 100
    assert reported["wrong"] == mistakes


def test_right_programs_run(tmp_path: Path) -> None:
    runpy.run_path(str(PROGRAMS / "right.py"))["main"](str(tmp_path))


def of_any_type() -> Iterator[str]:
    """Iterate over the names of arguments, and of functions with results, of the type Any."""
    verbs = {name: getattr(fastzarr, name) for name in fastzarr.__all__}
    for cls in (fastzarr.Array, fastzarr.Group):
        members = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
        verbs |= {f"{cls.__name__}.{name}": member for name, member in members.items()}
    for name, verb in verbs.items():
        function = getattr(verb, "fget", verb)
        if not inspect.isroutine(function):
            continue
        signature = inspect.signature(function)
        yield from (word for word, of in signature.parameters.items() if of.annotation == "Any")
        if signature.return_annotation == "Any":
            yield name


def test_few_arguments_and_results_may_be_anything() -> None:
    assert set(of_any_type()) == ANYTHING


def test_types_that_are_strings_are_one_literal() -> None:
    # pyright takes adjacent literals for an unknown type, and accepts every argument.
    package = Path(fastzarr.__file__).parent
    split = [
        f"{file.name}: {ast.unparse(node.target)}"
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.annotation) == "TypeAlias"
        and isinstance(node.value, ast.Constant)
        and node.value.lineno != node.value.end_lineno
    ]
    assert split == []
