"""When the native extension is built: what setup.py declares, with and without Rust's cargo.

And where it copies the file that puts fastzarr in the place of zarr as Python starts.
``setup`` and the classes of setuptools-rust are replaced by functions that print their arguments.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / "setup.py"
STUBS = {
    "setuptools": """
import os, sys, types
class build_py:
    build_lib = "modules"
    def run(self):
        print("modules copied")
    def get_finalized_command(self, name):
        return types.SimpleNamespace(install_lib="wheel")
    def mkpath(self, folder):
        pass
    def copy_file(self, source, folder):
        print(source, "to", folder)
sys.modules["setuptools.command.build_py"] = types.SimpleNamespace(build_py=build_py)
sys.modules["setuptools.command"] = sys.modules["setuptools.command.build_py"]
def setup(*, cmdclass, **given):
    if "EDITABLE" in os.environ:
        command = cmdclass["build_py"]()
        command.editable_mode = os.environ["EDITABLE"] == "1"
        command.run()
    print(*sorted(given), *given.get("rust_extensions", ()), given.get("options", ""))
    if "broken" in os.environ.get("CARGO", ""):
        sys.exit("error: cargo has failed")
""",
    "setuptools_rust": """
class Binding:
    PyO3 = "PyO3"
def RustExtension(name, path, *, optional=False, **more):
    return f"{name} optional={optional}"
""",
}
NATIVE = (
    "options rust_extensions fastzarr._native optional=False "
    "{'bdist_wheel': {'py_limited_api': 'cp311'}}"
)


def run(folder: Path, *, cargo: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run setup.py where there is a program of that name, or no cargo."""
    for name, text in STUBS.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "bin").mkdir()
    if cargo:
        (folder / "bin" / cargo).touch(mode=0o755)
    kept = {name: value for name, value in os.environ.items() if "CARGO" not in name}
    env = {**kept, "PATH": str(folder / "bin"), "PYTHONPATH": str(folder), **variables}
    return subprocess.run(  # noqa: S603  (this interpreter, our file)
        [sys.executable, SETUP], capture_output=True, text=True, check=False, env=env, cwd=folder
    )


@pytest.mark.parametrize(
    ("cargo", "variables", "expected"),
    [
        ("cargo", {}, NATIVE),
        ("cargo", {"FASTZARR_NATIVE": "1"}, NATIVE),
        ("mine", {"CARGO": "mine"}, NATIVE),
        ("cargo", {"FASTZARR_NATIVE": "0"}, ""),
        ("", {}, ""),
        ("", {"FASTZARR_NATIVE": "0"}, ""),
    ],
)
def test_the_extension_is_built_if_cargo_is_found_unless_the_user_decides(
    cargo: str, variables: dict[str, str], expected: str, tmp_path: Path
) -> None:
    done = run(tmp_path, cargo=cargo, **variables)
    assert (done.stdout.strip(), done.returncode) == (expected, 0), done.stderr


@pytest.mark.parametrize(
    ("cargo", "variables", "said"),
    [
        ("", {"FASTZARR_NATIVE": "1"}, "cargo is not found"),
        ("cargo", {"FASTZARR_NATIVE": "yes"}, "must be 0, 1 or unset, not 'yes'"),
        ("broken", {"CARGO": "broken"}, "could not be built; to install without"),
    ],
)
def test_what_cannot_be_built_is_an_error(
    cargo: str, variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = run(tmp_path, cargo=cargo, **variables)
    assert done.returncode
    assert said in done.stderr


@pytest.mark.parametrize(("editable", "folder"), [("0", "modules"), ("1", "wheel")])
def test_the_file_that_every_start_of_python_reads_is_installed(
    editable: str, folder: str, tmp_path: Path
) -> None:
    done = run(tmp_path, EDITABLE=editable)
    copied = f"src/fastzarr-as-zarr.pth to {folder}"
    assert done.stdout.splitlines()[:2] == ["modules copied", copied], done.stderr
    assert (SETUP.parent / "src" / "fastzarr-as-zarr.pth").exists()
