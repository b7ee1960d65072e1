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
print(metadata.metadata("Zarr")["Name"], metadata.files("zarr"), metadata.requires("zarr"))
print(metadata.packages_distributions()["zarr"][0])
"""
    assert site.says("-c", program, str(tmp_path)) == ["[]", "zarr None None", "zarr"]


@pytest.mark.parametrize("way", ["variable", "function"])
def test_version_2_takes_the_place_instead(site: sites.Site, way: str):
    program = """
import importlib.metadata, pickle
import zarr, zarr.storage
import fastzarr.v2
print(zarr is fastzarr.v2, zarr.storage is fastzarr.v2.storage, zarr.__version__)
print(importlib.metadata.version("zarr"))
array = pickle.loads(pickle.dumps(zarr.ones(3)))
print(type(array).__module__, array[:].sum())
"""
    before = "from fastzarr.as_zarr import install\ninstall(version=2)\n"
    shown = (
        site.says("-c", program, FASTZARR_AS_ZARR="2")
        if way == "variable"
        else site.says("-c", before + program)
    )
    assert shown == ["True True 2.18.7", "2.18.7+fastzarr", "zarr.core 3.0"]


def test_one_version_cannot_follow_another(site: sites.Site):
    program = "import fastzarr.as_zarr as a, zarr\na.install(version=2)"
    done = site.run("-c", program)
    assert done.stderr.splitlines()[-1].startswith(
        "RuntimeError: fastzarr's zarr-python 3.4.2 has been loaded by __main__ ("
    )
    assert done.stderr.endswith("call install(version=2) before zarr is imported\n")
