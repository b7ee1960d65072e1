"""Packages that are installed for one test, with their entry points."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, entry_points: str, modules: Mapping[str, str]
) -> None:
    """Install a package in a folder, until the end of a test; no module is imported yet."""
    info = folder / "example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(folder))


def install_own(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    """Install the entry points of this package in a group, unless it is installed with them."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(text)["project"]["entry-points"][group]
    there = {point.name: point.value for point in entry_points(group=group)}
    missing = {name: value for name, value in points.items() if there.get(name) != value}
    if missing:
        lines = [f"{name} = {value}" for name, value in missing.items()]
        install(folder, monkeypatch, "\n".join([f"[{group}]", *lines, ""]), {})
