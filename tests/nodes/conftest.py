"""A hierarchy that the tests of descriptions and trees share."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr


@pytest.fixture
def root():
    root = zarr.group()
    root.create_array("b/y", data=np.zeros((4, 4), "f4"), chunks=2)
    root.create_array("a", data=np.arange(100), chunks=10)
    root.create_group("b/c/d")
    root.create_array("e", shape=(3,), dtype=str)
    return root
