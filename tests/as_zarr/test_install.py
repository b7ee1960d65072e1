"""``install`` and ``uninstall``, and what a process that has zarr-python already is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sites

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "__version__ = '1.0'\nclass Array: pass\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> sites.Site:
    """Return an environment with a small zarr-python of its own, and a library that imports it."""
    made = sites.make(tmp_path_factory.mktemp("site"))
    made.write("zarr/__init__.py", OTHER)
    made.write("zarr/storage.py", "class Store: pass\n")
    made.write("uses/__init__.py", "")
    made.write("uses/arrays.py", "from zarr import Array\n")
    made.write("uses/stores.py", "import zarr.storage\n")
    # The packages of the tests have an installed zarr-python, too, which comes after it.
    return made


def test_who_imported_zarr_before_is_named(site: sites.Site):
    done = site.run("-c", "import uses.arrays, uses.stores, fastzarr.as_zarr")
    assert done.returncode
    said = done.stderr.splitlines()[-1]
    assert said.startswith(
        "RuntimeError: zarr-python has been loaded by uses.arrays, uses.stores (2 modules, "
        "such as zarr.storage): import fastzarr.as_zarr before them, or set FASTZARR_AS_ZARR"
    )


def test_uninstalling_brings_zarr_python_back(site: sites.Site):
    program = """
import os
from fastzarr.as_zarr import install, is_active, uninstall
import zarr, zarr.errors
home = zarr.errors
print(is_active(), zarr.__name__, os.environ["FASTZARR_AS_ZARR"])
uninstall()
import zarr, sys
print(is_active(), zarr.__version__, os.environ.get("FASTZARR_AS_ZARR"))
print(sorted(name for name in sys.modules if name.split(".")[0] == "zarr"))
try:
    install()
except RuntimeError as error:
    print(str(error)[:42])
del sys.modules["zarr"]
install()
import zarr.errors
print(zarr.errors is home)
install()
"""
    assert site.says("-c", program) == [
        "True fastzarr.compat 1",
        "False 1.0 None",
        "['zarr']",
        "zarr-python has been loaded by __main__ (1",
        "True",
    ]


def test_a_module_that_the_facade_lacks_is_not_taken_from_zarr_python(site: sites.Site):
    site.write("zarr/elsewhere.py", "")
    program = """
import fastzarr.as_zarr
try:
    import zarr.elsewhere
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    assert site.says("-c", program) == [
        (
            "zarr.elsewhere No module named 'zarr.elsewhere': fastzarr.compat, which stands in for "
            "zarr, has no such module"
        )
    ]


def test_classes_are_named_as_in_zarr_python_while_it_is_in(site: sites.Site):
    program = """
import fastzarr.compat.names
before = fastzarr.compat.names
import fastzarr.as_zarr
import sys
from fastzarr.compat import core
print(sys.modules["zarr.core"] is core, sys.modules["zarr.names"] is before)
"""
    assert site.says("-c", program) == ["True True"]


def test_pip_sees_no_distribution_in_a_folder(site: sites.Site, tmp_path: Path):
    program = """
import fastzarr.as_zarr, importlib.metadata as metadata, sys
print([found.version for found in metadata.distributions(name="zarr", path=[sys.argv[1]])])
print(metadata.metadata("zarr")["Name"], metadata.files("zarr"), metadata.requires("zarr"))
print(next(iter(metadata.distributions(name="ZARR"))).version.endswith("fastzarr"))
"""
    assert site.says("-c", program, str(tmp_path))[:2] == ["[]", "zarr None None"]
