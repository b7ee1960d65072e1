"""The tutorial, a notebook: each cell runs, and its output is the one that is stored with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "tutorial.ipynb"
# In a process of its own: the libraries of notebooks warn, and start threads. Our code is imported
# by the kernel as by this process.
EXECUTE = """
from pathlib import Path

import nbformat
from nbclient import NotebookClient

source, target = {!r}, {!r}
notebook = nbformat.read(source, as_version=4)
resources = dict(metadata=dict(path=Path(source).parent))
NotebookClient(notebook, timeout=None, allow_errors=True, resources=resources).execute()
nbformat.write(notebook, target)
"""


def cells(path):
    """Return the cells of code of a notebook."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def shown(cell):
    """Return what a cell shows: printed text, then results, as plain text."""
    parts = []
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            parts.append("\n".join([f"{output['ename']}: {output['evalue']}"]))
        else:
            text = output.get("text") or output["data"]["text/plain"]
            parts.append("".join(text))
    return "".join(parts)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    target = tmp_path_factory.mktemp("tutorial") / "executed.ipynb"
    program = EXECUTE.format(str(NOTEBOOK), str(target))
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [shown(cell) for cell in cells(target)]


def test_the_notebook_is_stored_with_its_outputs():
    assert sum(bool(cell["outputs"]) for cell in cells(NOTEBOOK)) > 40
    assert not [one for cell in cells(NOTEBOOK) for one in cell["outputs"] if "ename" in one]


@pytest.mark.parametrize("number", range(len(cells(NOTEBOOK))))
def test_a_cell_shows_what_is_stored(executed, number):
    cell = cells(NOTEBOOK)[number]
    assert executed[number] == shown(cell), "".join(cell["source"])
