"""The ways to put fastzarr in the place of zarr, and what a process and its children then have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sites

if TYPE_CHECKING:
    from pathlib import Path

SHOWS = """
import importlib.metadata, sys
import zarr, zarr.core
import fastzarr.compat
print(zarr is fastzarr.compat, zarr.core is fastzarr.compat.core, zarr.__version__)
print(importlib.metadata.version("zarr"))
"""
OURS = ["True True 3.4.2", "3.4.2+fastzarr"]
ON = {"FASTZARR_AS_ZARR": "1"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> sites.Site:
    return sites.make(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E", "-s")])
def test_a_variable_puts_it_in_whatever_python_is_told(site: sites.Site, flags: tuple[str, ...]):
    assert site.says(*flags, "-c", SHOWS, **ON) == OURS


def test_it_is_imported_before_zarr(site: sites.Site):
    assert site.says("-c", f"import fastzarr.as_zarr{SHOWS}") == OURS


def test_a_start_without_the_variable_loads_nothing(site: sites.Site):
    loaded = "import sys; print(*sorted(sys.modules), sep='\\n')"
    plain = site.says("-c", loaded)
    assert not [name for name in plain if "zarr" in name]
    assert site.says("-c", loaded, FASTZARR_AS_ZARR="0") == plain
    # With it, there is the finder alone, and what Python needs to read any file.
    more = set(site.says("-c", loaded, **ON)) - set(plain)
    assert more - {"__future__", "time"} == {"_fastzarr_as_zarr"}


def test_a_value_that_means_nothing_is_reported(site: sites.Site):
    done = site.run("-c", "pass", FASTZARR_AS_ZARR="on")
    assert "FASTZARR_AS_ZARR must be 1 (zarr-python 3), 2 (zarr-python 2)" in done.stderr


def test_scripts_modules_and_commands_run_with_it(site: sites.Site, tmp_path: Path):
    (tmp_path / "beside.py").write_text(SHOWS)
    script = tmp_path / "script.py"
    script.write_text("import beside, sys\nprint(__name__, sys.argv[1:], sys.argv[0])")
    module = ("-m", "fastzarr.as_zarr")
    assert site.says(*module, str(script), "-x", "1") == [
        *OURS,
        f"__main__ ['-x', '1'] {script}",
    ]
    assert site.says(*module, "-m", "beside", cwd=tmp_path) == OURS
    command = f"{SHOWS}print(sys.argv)"
    assert site.says(*module, "-c", command, "a") == [*OURS, "['-c', 'a']"]
    done = site.run(*module)
    assert (done.returncode, done.stderr[:33]) == (1, "usage: python -m fastzarr.as_zarr")


SPAWNS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
def home():
    import zarr
    return zarr.__name__
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        print(pool.submit(home).result())
"""


@pytest.mark.parametrize("way", ["import", "variable", "module"])
def test_processes_that_are_spawned_have_it_too(site: sites.Site, tmp_path: Path, way: str):
    script = tmp_path / "script.py"
    script.write_text(("import fastzarr.as_zarr\n" if way == "import" else "") + SPAWNS)
    before = ("-m", "fastzarr.as_zarr") if way == "module" else ()
    variables = ON if way == "variable" else {}
    assert site.says(*before, str(script), **variables) == ["fastzarr.compat"]


CLUSTER = """
import sys
def home():
    import zarr
    return zarr.__name__
if __name__ == "__main__":
    if sys.argv[1] == "import":
        import fastzarr.as_zarr
    from distributed import Client, LocalCluster
    words = dict(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with LocalCluster(**words) as cluster, Client(cluster) as client:
        print(client.submit(home).result())
"""


@pytest.mark.parametrize("way", ["import", "variable", "preload"])
def test_workers_of_dask_have_it(site: sites.Site, tmp_path: Path, way: str):
    script = tmp_path / "script.py"
    script.write_text(CLUSTER)
    variables = {
        "import": {},
        "variable": ON,
        "preload": {"DASK_DISTRIBUTED__WORKER__PRELOAD": "fastzarr.as_zarr"},
    }[way]
    done = site.run(str(script), way, **variables)
    assert done.stdout.splitlines() == ["fastzarr.compat"], done.stderr


def test_kernels_of_notebooks_have_it(site: sites.Site, tmp_path: Path, monkeypatch):
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("FASTZARR_AS_ZARR", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    spec = tmp_path / "kernels" / "here"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        '{"display_name": "here", "language": "python", "argv": '
        f'["{site.python}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]}}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    manager, client = start_new_kernel(kernel_name="here")
    said = []
    try:
        client.execute_interactive(
            "import zarr; print(zarr.__name__)",
            output_hook=lambda message: said.append(message["content"].get("text")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "fastzarr.compat\n" in said


TEST_FILE = """
import sys
import zarr.core, fastzarr.compat
def test_modules():
    assert zarr is fastzarr.compat
    doubles = [
        name for name, module in sys.modules.items()
        if name.startswith("zarr") and module is not sys.modules[module.__name__]
    ]
    assert doubles == []
def test_plugin(pytestconfig):
    assert pytestconfig.pluginmanager.get_plugin("example") is zarr.core
"""


@pytest.mark.parametrize("way", ["variable", "module"])
def test_pytest_and_plugins_of_zarr_python_get_it(site: sites.Site, tmp_path: Path, way: str):
    """Pytest rewrites the packages of plugins, and asks its own finder for them first."""
    site.write("zarr/__init__.py", "raise AssertionError('the installed one')")
    info = "example-1.0.dist-info"
    site.write(f"{info}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    site.write(f"{info}/RECORD", "zarr/__init__.py,,\nzarr/core/__init__.py,,\n")
    site.write(f"{info}/entry_points.txt", "[pytest11]\nexample = zarr.core\n")
    file = tmp_path / "test_it.py"
    file.write_text(TEST_FILE)
    before = ("-m", "fastzarr.as_zarr") if way == "module" else ()
    words = ("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(file))
    done = site.run(*before, *words, **(ON if way == "variable" else {}), cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
