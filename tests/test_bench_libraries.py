"""The rows about xarray and dask do what their titles say, with fastzarr and zarr-python."""

from __future__ import annotations

import pytest

from bench.base import MissingError, WrongError
from bench.libraries import engines
from bench.libraries.rows import ROWS, Load

CHUNKS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("libraries")


@pytest.mark.parametrize("name", ["fastzarr", "zarr"])
@pytest.mark.parametrize("row", ROWS[::2], ids=[row.name for row in ROWS[::2]])
@pytest.mark.filterwarnings("ignore::Warning")
def test_a_row_passes_its_check(row, name, folder):
    task = row.task(engines.load(name), folder, chunks=CHUNKS)
    task.prepare()
    task.check(task.run())
    task.tidy()
    assert not list(folder.glob("*-written.zarr"))


def test_cpu_time_is_measured_by_the_task(folder):
    library = engines.load("fastzarr")
    for cpu in (False, True):
        task = Load(library, folder, CHUNKS, cpu=cpu)
        task.prepare()
        library.seconds = None
        task.run()
        assert (library.seconds is not None) == cpu


def test_an_environment_without_a_pipeline_names_its_zarr_python(monkeypatch):
    monkeypatch.setitem(engines.PIPELINES, "zarr-fused", "zarr.core.codec_pipeline.Other")
    with pytest.raises(MissingError, match=r"zarr-python 3\.\d.*needs Python 3\.12"):
        engines.load("zarr-fused")


def test_a_wrong_value_is_found(folder):
    task = Load(engines.load("fastzarr"), folder, CHUNKS, cpu=False)
    task.prepare()
    with pytest.raises(WrongError, match="values differ"):
        task.check(task.run() + 1)
