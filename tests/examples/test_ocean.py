"""The example with ocean data: it stores real data and reads it back, and detects differences."""

from __future__ import annotations

import importlib.util
import io
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import xarray

import fastzarr
from fastzarr.errors import ContainsFilesError

SCRIPT = Path(__file__).parents[2] / "examples" / "ocean.py"


@pytest.fixture(scope="module")
def ocean():
    spec = importlib.util.spec_from_file_location("ocean_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def journey(ocean, tmp_path_factory):
    """Run the script once; return its status, its output, and the folder it wrote to."""
    folder = tmp_path_factory.mktemp("ocean")
    with redirect_stdout(io.StringIO()) as printed:
        status = ocean.main(["--out", str(folder)])
    return status, printed.getvalue(), folder


@pytest.fixture
def copy(journey, tmp_path):
    """Return a copy of the hierarchy that a test may change, opened for writing."""
    shutil.copytree(journey[2] / "ocean.zarr", tmp_path / "ocean.zarr")
    return fastzarr.open_group(tmp_path / "ocean.zarr", mode="r+")


def test_every_value_comes_back_in_both_libraries(journey):
    status, printed, _ = journey
    assert status == 0
    assert printed.count("25 variables, 2,258,136 values equal, bit for bit") == 2
    assert "DIFFERENT" not in printed


def test_it_prints_the_tree_and_the_size_of_each_main_variable(journey):
    printed = journey[1]
    for text in ("nemo", "tos (3, 330, 360) float32", "ostia/surface_temperature", "ratio"):
        assert text in printed


def test_the_picture_shows_something(journey):
    image = matplotlib.image.imread(journey[2] / "sst.png")
    assert min(image.shape[:2]) > 1000
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 1000


def test_a_changed_value_is_found(ocean, copy):
    copy["nemo/tos"][1, 200, 100] = np.nextafter(copy["nemo/tos"][1, 200, 100], np.float32(99))
    assert ocean.check(copy).differences == [
        "nemo/tos: values differ from nemo_1m_20150201-20150301_grid-T.nc"
    ]


def test_a_changed_attribute_and_a_missing_variable_are_found(ocean, copy):
    copy["orca2/votemper"].attrs["units"] = "K"
    del copy["ostia/time"]
    first, second = sorted(ocean.check(copy).differences)
    assert first == "orca2/votemper: the attributes differ"
    assert second.startswith("ostia: holds ['forecast_period'")


def test_writing_again_replaces_what_was_there(ocean, journey, capsys):
    folder = journey[2]
    stray = folder / "ocean.zarr" / "stray" / "c" / "0"
    stray.parent.mkdir(parents=True)
    stray.write_text("a chunk left by somebody")
    assert ocean.main(["--out", str(folder)]) == 0
    assert not stray.exists()
    assert "equal, bit for bit" in capsys.readouterr().out


def test_writing_again_keeps_files_that_are_not_zarr_s(ocean, journey):
    folder = journey[2]
    notes = folder / "ocean.zarr" / "notes.txt"
    notes.write_text("written by somebody")
    with pytest.raises(ContainsFilesError, match=r"notes\.txt"):
        ocean.main(["--out", str(folder)])
    assert notes.read_text() == "written by somebody"
    notes.unlink()


def test_xarray_decodes_what_was_written(journey):
    with xarray.open_zarr(journey[2] / "ocean.zarr", group="ostia", consolidated=False) as data:
        temperature = data["surface_temperature"]
        assert temperature.dims == ("time", "latitude", "longitude")
        assert temperature.units == "K"
        assert str(temperature.time.values[0])[:10] == "2006-04-16"
        assert np.isnan(temperature.values).any()
        assert 289 < float(temperature.min()) < float(temperature.max()) < 305
