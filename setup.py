"""Build the native extension where cargo is found, and install the file for FASTZARR_AS_ZARR.

All else is in pyproject.toml.

The environment variable FASTZARR_NATIVE decides otherwise: 1 requires the extension, 0 leaves it
out. A wheel with the extension serves one kind of system, and Python 3.11 and every later version.
One without it serves all systems.
"""

from __future__ import annotations

import os
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

CARGO = os.environ.get("CARGO", "cargo")
WITHOUT = "to install without the native extension, which is slower, set FASTZARR_NATIVE=0"


class BuildPy(build_py):
    """Copy the file that every start of Python reads to the folder of the installed modules."""

    def run(self) -> None:
        """Copy the modules, and this file beside them."""
        super().run()
        # An editable install leaves the modules where they are, and makes a wheel of all else.
        editable = self.editable_mode
        folder = self.get_finalized_command("install").install_lib if editable else self.build_lib
        self.mkpath(folder)
        self.copy_file("src/fastzarr-as-zarr.pth", folder)


wanted = os.environ.get("FASTZARR_NATIVE", "")
if wanted not in ("", "0", "1"):
    sys.exit(f"FASTZARR_NATIVE must be 0, 1 or unset, not {wanted!r}")
found = shutil.which(CARGO) is not None
if wanted == "1" and not found:
    sys.exit(f"{CARGO} is not found: the native extension needs a Rust toolchain; {WITHOUT}")

if wanted == "0" or not found:
    setup(cmdclass={"build_py": BuildPy})
else:
    from setuptools_rust import Binding, RustExtension

    extension = RustExtension(
        "fastzarr._native", "native/Cargo.toml", binding=Binding.PyO3, debug=False
    )
    try:
        setup(
            cmdclass={"build_py": BuildPy},
            rust_extensions=[extension],
            options={"bdist_wheel": {"py_limited_api": "cp311"}},
        )
    except BaseException:
        sys.stderr.write(f"the native extension could not be built; {WITHOUT}\n")
        raise
