"""Environments that the suites run in, and the sources of the suites, all below ``build/``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import sites

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.suites import Suite

BUILD = Path(__file__).parents[2] / "build" / "consumers"
LEAST = (3, 12)


class UnavailableError(Exception):
    """What a suite needs cannot be had here; the message says why."""


def interpreter(given: str | None) -> str:
    """Return the Python for the environments: the newest that all of the libraries install on."""
    names = [given] if given else ["python3.13", "python3.12", sys.executable, "python3.14"]
    for name in names:
        found = shutil.which(name)
        if found and _asked(found, "import sys; print(sys.version_info >= (3, 12))") == "True":
            return found
    msg = f"no Python of {names} is 3.12 or later: zarr-python 3.4.2 needs one; see --python"
    raise UnavailableError(msg)


def _asked(python: str, program: str) -> str:
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def environment(name: str, python: str, requirements: Iterable[str]) -> str:
    """Return the Python of an environment in which the requirements and fastzarr are installed."""
    folder = BUILD / name
    stamp = folder / "requirements.txt"
    wanted = "\n".join(sorted(set(requirements)))
    inside = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the environment {folder} ...", file=sys.stderr)
        if not inside.exists():
            _run(python, "-m", "venv", str(folder))
        _run(str(inside), "-m", "pip", "install", "--quiet", *wanted.splitlines())
        sites.add_fastzarr(next((folder / "lib").glob("python*/site-packages")))
        stamp.write_text(wanted)
    return str(inside)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def version(python: str, distribution: str) -> str:
    """Return the version of a distribution that is installed."""
    program = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return _asked(python, program)


def source(suite: Suite, number: str) -> Path:
    """Return the folder of the unpacked source distribution of a version."""
    normal = suite.distribution.replace("-", "_")
    folder = BUILD / "sources" / f"{normal}-{number}"
    if not folder.exists():
        address = suite.archive.format(version=number) or _sdist(suite.distribution, number)
        print(f"fetching {address} ...", file=sys.stderr)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            # An https address: of the index, or of the table of suites.
            with (
                urllib.request.urlopen(address, timeout=60) as answer,  # noqa: S310
                tarfile.open(fileobj=answer, mode="r|gz") as archive,
            ):
                archive.extractall(partial, filter="data")
        except urllib.error.URLError as error:
            msg = f"{address}: {error}"
            raise UnavailableError(msg) from error
        # All that is packed stands in one folder.
        next(partial.iterdir()).rename(folder)
        partial.rmdir()
        if suite.moved[0]:
            _move(folder, *suite.moved)
        if not _has_settings(folder):
            # Otherwise pytest would take the settings of this project.
            (folder / "pytest.ini").write_text("[pytest]\n")
    return folder / suite.folder


def _has_settings(folder: Path) -> bool:
    """Return whether a source distribution has settings for pytest."""
    places = {"pyproject.toml": "[tool.pytest", "setup.cfg": "[tool:pytest]", "tox.ini": "[pytest]"}
    files = {folder / name: mark for name, mark in places.items()}
    return (folder / "pytest.ini").exists() or any(
        file.exists() and mark in file.read_text() for file, mark in files.items()
    )


def _move(folder: Path, old: str, new: str) -> None:
    """Rename a package of tests, and what its files import from it."""
    moved = (folder / old).rename(folder / new)
    for file in moved.rglob("*.py"):
        text = file.read_text().replace(old.replace("/", "."), new)
        package = old.partition("/")[0]
        # They write files beside the package, which would be the sources of fastzarr.
        text = text.replace(f"{package}.__file__", "__file__")
        file.write_text(text.replace("from ..", f"from {package}."))


def _sdist(distribution: str, number: str) -> str:
    """Return the address of a source distribution, as the index that pip uses says."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    asked = urllib.request.Request(  # noqa: S310  (the index of the user)
        f"{index}/{distribution}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
            files = json.load(answer)["files"]
    except urllib.error.URLError as error:
        msg = f"{index} does not list {distribution}: {error}"
        raise UnavailableError(msg) from error
    for file in files:
        if file["filename"].endswith(f"-{number}.tar.gz"):
            return str(file["url"])
    msg = f"{index} has no source distribution of {distribution} {number}"
    raise UnavailableError(msg)
