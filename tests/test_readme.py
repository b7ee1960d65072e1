"""The Python blocks of the README run in order, as one session, and its commands exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from installed import install_own

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    """Return the blocks of a language, each with the number of lines above it."""
    text = README.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)), match[2])
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


def run(lines_above, source, names):
    """Run a block, and return the differences from the output that it shows, if it has prompts."""
    if ">>>" not in source:
        # Blank lines above put the line numbers of a traceback right.
        exec(compile("\n" * lines_above + source, str(README), "exec"), names)  # noqa: S102
        return ""
    complaints = []
    example = doctest.DocTestParser().get_doctest(
        source, names, "README.md", str(README), lines_above
    )
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(example, out=complaints.append, clear_globs=False)
    names.update(example.globs)  # the parser copies the names it is given
    return "".join(complaints)


def test_every_python_block_runs_and_prints_what_it_shows(tmp_path, monkeypatch):
    """All blocks share a namespace and a folder, as for a reader who types them in order."""
    install_own(tmp_path, monkeypatch, "xarray.backends")
    monkeypatch.chdir(tmp_path)
    found = blocks("python")
    assert found
    names = {"__name__": "readme"}
    complaints = [run(lines_above, source, names) for lines_above, source in found]
    assert "".join(complaints) == ""


def test_every_make_target_named_exists():
    """A command in the README or in ``make help`` is one of the Makefile's targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    text = README.read_text(encoding="utf-8") + makefile
    named = set(re.findall(r"(?:^|`|\")make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_a_block_that_prints_something_else_is_reported():
    """The check detects wrong output."""
    assert "Got:" in run(0, ">>> 1 + 1\n3\n", {})
    with pytest.raises(ZeroDivisionError):
        run(0, "1 / 0\n", {})


def test_names_of_a_session_stay_for_the_next_block():
    """A block may use what an earlier one made."""
    names = {}
    run(0, ">>> a = 1\n", names)
    run(0, "b = a + 1\n", names)
    assert names["b"] == 2
