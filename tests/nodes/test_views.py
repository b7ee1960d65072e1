"""Views: the same stored chunks under other metadata."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path")

DATA = np.arange(32, dtype="<i4").reshape(4, 8)


@pytest.fixture(params=[2, 3], ids=["format 2", "format 3"])
def z(request: pytest.FixtureRequest, tmp_path: Path) -> zarr.Array:
    return zarr.create_array(tmp_path, data=DATA, chunks=(2, 4), zarr_format=request.param)


UNFIT: dict[str, dict[str, Any]] = {
    "fewer axes": {"shape": (8,)},
    "fewer axes of shape and chunks": {"shape": (32,), "chunks": (8,)},
    "more axes": {"shape": (2, 2, 8), "chunks": (1, 2, 4)},
    "no axes": {"shape": ()},
    "chunks of fewer axes": {"chunks": 8},
    "more chunks than there are": {"shape": (5, 8)},
    "smaller chunks": {"chunks": (1, 4)},
    "larger chunks": {"chunks": (4, 8)},
    "another size of elements": {"dtype": "u1"},
    "half the size of elements": {"dtype": "i2", "shape": (4, 8), "chunks": (2, 4)},
    "chunks that are not those of the type": {"dtype": "u1", "shape": (4, 32), "chunks": (2, 8)},
}


@pytest.mark.parametrize("words", UNFIT.values(), ids=UNFIT)
def test_a_view_that_the_stored_chunks_do_not_fit_is_refused(
    z: zarr.Array, words: dict[str, Any]
) -> None:
    with pytest.raises(errors.ShapeError, match="a view"):
        z.view(**words)


@pytest.mark.parametrize(
    "shape", [(-4, 8), (4, -8), (2**63, 8), (2**62, 8), (4, 2.5), "8", (True, 8)]
)
def test_a_view_with_a_shape_that_does_not_fit_is_rejected(z: zarr.Array, shape: Any) -> None:
    with pytest.raises(errors.MetadataError, match="shape"):
        z.view(shape=shape)


@pytest.mark.parametrize("chunks", [(0, 4), (-2, 4), (2**63, 1)])
def test_a_view_with_chunks_that_do_not_fit_is_rejected(z: zarr.Array, chunks: Any) -> None:
    with pytest.raises(errors.MetadataError, match="chunks"):
        z.view(chunks=chunks)


def test_a_smaller_shape_shows_the_corner_of_the_array(z: zarr.Array) -> None:
    assert np.array_equal(z.view(shape=(3, 5))[...], DATA[:3, :5])
    assert z.view(shape=(0, 8))[...].shape == (0, 8)


def test_other_chunks_of_the_same_size_show_the_bytes_in_another_order(z: zarr.Array) -> None:
    seen = z.view(shape=(8, 4), chunks=(4, 2))[:4, :2]
    assert np.array_equal(seen, DATA[:2, :4].reshape(4, 2))


def test_a_view_of_a_sharded_array_keeps_its_chunks() -> None:
    z = zarr.create_array({}, data=DATA, chunks=(1, 4), shards=(2, 4))
    assert np.array_equal(z.view(dtype="u4")[...], DATA)
    for words in (
        {"dtype": "u1", "shape": (4, 32), "chunks": (2, 16)},
        {"chunks": (4, 2)},
        {"dtype": "u2"},
    ):
        with pytest.raises(errors.ShapeError, match="a view"):
            z.view(**words)
    assert np.array_equal(z[...], DATA)


def test_a_refreshed_view_stays_the_view_it_is(z: zarr.Array) -> None:
    octets = z.view(dtype="u1", shape=(4, 32), chunks=(2, 16))
    corner = octets.view(shape=(2, 16))
    z[0, 0] = 255
    for view in (octets, corner, pickle.loads(pickle.dumps(corner))):
        shape = view.shape
        view.refresh()
        assert (view.shape, view.dtype, view.is_view) == (shape, "u1", True)
        assert np.array_equal(view[...], z[...].view("u1")[: shape[0], : shape[1]])


def test_a_refreshed_view_without_its_own_shape_follows_the_array(z: zarr.Array) -> None:
    view, cast = z.view(dtype="u4"), z.astype("f8")
    z.append(DATA)
    assert (view.shape, cast.shape) == ((4, 8), (4, 8))
    assert (view.refresh().shape, cast.refresh().shape) == ((8, 8), (8, 8))
    assert (view.dtype, cast.dtype) == ("u4", "f8")


def test_a_view_of_an_array_without_cached_metadata_follows_it(z: zarr.Array) -> None:
    view = zarr.Array(z.store, cache_metadata=False).view(dtype="u4")
    z.append(DATA)
    assert view[...].tolist() == [*DATA.tolist(), *DATA.tolist()]


def test_a_refresh_that_the_view_does_not_fit_any_more_is_refused(z: zarr.Array) -> None:
    view = z.view(shape=(4, 8))
    z.resize(1, 8)
    with pytest.raises(errors.ShapeError, match="a view"):
        view.refresh()


def test_writing_to_a_view_writes_to_the_array(z: zarr.Array) -> None:
    view = z.view(dtype="u1", shape=(4, 32), chunks=(2, 16))
    view[0, :4] = 255
    assert z[0, 0] == -1
    view.attrs["unit"] = "m"
    assert view.dtype == "u1"
    assert dict(z.refresh().attrs) == dict(view.attrs) == {"unit": "m"}
    view[0, :4] = 0
    assert z[0, 0] == 0


def test_writing_to_a_view_of_a_replaced_array_is_refused(z: zarr.Array) -> None:
    view = z.view(dtype="u1", shape=(4, 32), chunks=(2, 16))
    data = np.arange(32, dtype="i8").reshape(4, 8)
    zarr.create_array(
        z.store, data=data, chunks=(2, 4), overwrite=True, zarr_format=z.layout.zarr_format
    )
    with pytest.raises(errors.StaleArrayError):
        view[...] = 0
    assert np.array_equal(zarr.open_array(z.store)[...], data)


@pytest.mark.parametrize("shape", [(2**63, 1), (2**62, 4)])
def test_a_resize_to_a_shape_that_cannot_be_opened_is_rejected(
    z: zarr.Array, shape: tuple[int, ...]
) -> None:
    with pytest.raises(errors.MetadataError, match=r"2\*\*63 - 1"):
        z.resize(shape)
    assert zarr.open_array(z.store).shape == z.shape


def test_an_append_to_a_shape_that_cannot_be_opened_is_rejected() -> None:
    z = zarr.create_array({}, shape=2**63 - 1, dtype="i1", chunks=2**20)
    with pytest.raises(errors.MetadataError, match=r"2\*\*63 - 1"):
        z.append([1])
    assert zarr.open_array(z.store).shape == (2**63 - 1,)
