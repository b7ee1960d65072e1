"""Environments of Python in which fastzarr is installed with its file for FASTZARR_AS_ZARR."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
STARTER = SOURCE / "fastzarr-as-zarr.pth"


@dataclass
class Site:
    """An environment: the packages of this one, and those that a test puts into its folder."""

    python: str
    folder: Path

    def run(
        self, *arguments: str, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python, with no other variables for it than those given."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "FASTZARR", "PYTEST"))
        }
        return subprocess.run(  # noqa: S603  (a Python that the test made)
            [self.python, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env={**kept, **variables},
            cwd=cwd or self.folder.parents[3],
        )

    def says(self, *arguments: str, cwd: Path | None = None, **variables: str) -> list[str]:
        """Return the lines that it prints, if it fails in nothing."""
        done = self.run(*arguments, cwd=cwd, **variables)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.splitlines()

    def write(self, name: str, source: str) -> None:
        """Install a file, with the folders that lead to it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def make(root: Path) -> Site:
    """Make an environment in a folder, which has no zarr-python but that of this one."""
    venv.create(root, symlinks=os.name != "nt")
    python = root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    found = min(root.rglob("site-packages"))
    others = [path for path in sys.path if path.endswith("site-packages")]
    add_fastzarr(found, *others)
    return Site(str(python), found)


def add_fastzarr(folder: Path, *others: str) -> None:
    """Let the Python of a folder of packages import fastzarr, and packages of other folders."""
    # The name comes before that of the starter, whose module it makes importable.
    (folder / "__paths__.pth").write_text("\n".join([str(SOURCE), *others]) + "\n")
    (folder / STARTER.name).write_text(STARTER.read_text())
