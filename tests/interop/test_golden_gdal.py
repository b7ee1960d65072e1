"""Arrays written by GDAL are read; golden/make_gdal.py wrote them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr

_GOLDEN = Path(__file__).parent.parent / "golden"
with np.load(_GOLDEN / "gdal.npz", allow_pickle=False) as _archive:
    EXPECTED = dict(_archive)


@pytest.mark.usefixtures("data_path")
def test_all_arrays_of_gdal_are_read() -> None:
    with zipfile.ZipFile(_GOLDEN / "gdal.zip") as archive:
        stored = {name: archive.read(name) for name in archive.namelist()}
    for root in (fastzarr.open_group(stored), fastzarr.open_consolidated(stored)):
        assert {*root.array_keys()} >= {*EXPECTED}
        for name, expected in EXPECTED.items():
            array: Any = root[name]
            assert array.dtype == expected.dtype
            assert np.array_equal(array[...], expected), name
            assert np.array_equal(array[2:5, ::3], expected[2:5, ::3])
            assert array.attrs["units"] == "K"
