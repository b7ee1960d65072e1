"""Groups with two arrays, for the tests of transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from transactions import OPTIONS, make

if TYPE_CHECKING:
    from pathlib import Path

    import fastzarr as zarr


@pytest.fixture(params=OPTIONS.values(), ids=OPTIONS.keys())
def options(request: Any) -> dict[str, Any]:
    return dict(request.param)


@pytest.fixture
def root(tmp_path: Path) -> zarr.Group:
    return make(tmp_path / "root")
