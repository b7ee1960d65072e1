"""Cubed over arrays of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cubed
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

import fastzarr
from fastzarr.integrations.cubed import from_zarr, store
from fastzarr.stores import FsspecStore

if TYPE_CHECKING:
    from pathlib import Path

    from servers import s3 as seaweed

DATA = np.arange(80.0).reshape(10, 8)


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    return cubed.Spec(work_dir=str(tmp_path / "work"), allowed_mem="200MB")


def test_arrays_are_read_computed_and_written(spec: Any, tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path / "a.zarr", data=DATA, chunks=(2, 4), shards=(4, 8))
    x = from_zarr(z, spec=spec)
    assert x.chunks == ((4, 4, 2), (8,))
    out = fastzarr.create_array(tmp_path / "b.zarr", shape=(10, 8), chunks=(3, 8), dtype="f8")
    # Blocks end inside chunks, which a folder keeps apart.
    store(cubed.array_api.negative(x), out)
    np.testing.assert_array_equal(out[:], -DATA)
    whole = from_zarr(tmp_path / "a.zarr", chunks=(5, 8), spec=spec)
    assert float(cubed.array_api.mean(whole).compute()) == DATA.mean()


def test_several_arrays_on_s3(spec: Any, s3: seaweed.Prefix) -> None:
    place = s3.store("fastzarr")
    z = fastzarr.create_array(place, name="a", data=DATA, chunks=(5, 8))
    targets = [
        fastzarr.create_array(place, name=name, shape=(10, 8), chunks=(5, 8), dtype="f8")
        for name in ("sum", "product")
    ]
    x = from_zarr(z, spec=spec)
    store([x + x, x * x], targets)
    np.testing.assert_array_equal(targets[0][:], DATA + DATA)
    np.testing.assert_array_equal(targets[1][:], DATA * DATA)


def test_what_would_be_wrong_is_refused(spec: Any, tmp_path: Path) -> None:
    place = FsspecStore(LocalFileSystem(auto_mkdir=True), path=str(tmp_path / "a.zarr"))
    z = fastzarr.create_array(place, shape=(10, 8), chunks=(5, 8), dtype="f8")
    source = cubed.from_array(DATA, chunks=(4, 8), spec=spec)
    with pytest.raises(ValueError, match="ends at element 4 of axis 0"):
        store(source, z)
    store(source.rechunk((5, 8)), z)
    np.testing.assert_array_equal(z[:], DATA)
    with pytest.raises(ValueError, match=r"shape \(10, 8\), and the source \(10, 4\)"):
        store(source[:, :4], z)
    with pytest.raises(ValueError, match="a target for each source"):
        store([source, source], z)
