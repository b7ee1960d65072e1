"""Arrays of other libraries as data, as index and as model of a new array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastzarr as zarr

TEXT = np.dtypes.StringDType()


class Tensor:
    """An array whose dtype is not one of NumPy, as those of torch."""

    shape, dtype, ndim = (3,), "torch.float32", 1

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(3, dtype="f4")

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError(index)


class Table:
    """An array whose brackets select by label, with a column that is named as an attribute."""

    shape, iloc = (3,), None

    def __init__(self) -> None:
        self.dtype = self.chunks = np.array([7, 8])

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(3)

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError(index)


MAKERS = {
    "array": zarr.array,
    "create_array": lambda data: zarr.create_array({}, data=data),
    "create_dataset": lambda data: zarr.group().create_dataset("x", data=data),
    "from_array": lambda data: zarr.from_array({}, data=data),
    "setitem": lambda data: _set(zarr.group(), data),
    "save": lambda data: _saved({}, data),
    "save several": lambda data: _saved({}, data, data)["arr_1"],
}


def _set(group: Any, data: Any) -> Any:
    group["x"] = data
    return group["x"]


def _saved(store: Any, *data: Any) -> Any:
    zarr.save(store, *data)
    return zarr.open(store, "r")


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def test_arrays_whose_type_numpy_does_not_know(make):
    found = make(Tensor())
    assert found.dtype == np.dtype("f4")
    assert found[:].tolist() == [0, 1, 2]
    assert zarr.zeros_like(Tensor()).dtype == np.dtype("f4")


def test_arrays_that_select_by_label(make):
    assert make(Table())[:].tolist() == [0, 1, 2]
    assert zarr.ones_like(Table()).shape == (3,)


def test_assigned_values_of_any_library():
    z = zarr.zeros(3, dtype="f8")
    z[:] = Tensor()
    assert z[:].tolist() == [0, 1, 2]
    z[:] = Table()
    assert z[:].tolist() == [0, 1, 2]


def test_pandas(make):
    pd = pytest.importorskip("pandas")
    labels = pd.Series([10, 20, 30], index=[2.0, 1.0, 0.0])
    assert make(labels)[:].tolist() == [10, 20, 30]
    table = make(pd.DataFrame({"dtype": [1, 2], "chunks": [3, 4]}))
    assert table[:].tolist() == [[1, 3], [2, 4]]
    assert make(pd.Series([1, 2], dtype="Int64"))[:].tolist() == [1, 2]
    assert make(pd.date_range("2000-01-01", periods=2))[:].tolist()
    for text in (pd.Index(["a", "b\0"]), pd.Series(["a", "b\0"], dtype="string")):
        found = make(text)
        assert (found.dtype, found[:].tolist()) == (TEXT, ["a", "b\0"])
    assert make(pd.Series(["a", None], dtype="string"))[:].tolist() == ["a", ""]
    assert make(pd.Categorical(["x", "y", "x"]))[:].tolist() == ["x", "y", "x"]


def test_xarray_and_dask(make):
    xr = pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    assert make(xr.DataArray(np.arange(6).reshape(2, 3)))[:].tolist() == [[0, 1, 2], [3, 4, 5]]
    found = make(da.arange(10, chunks=4))
    assert found[:].tolist() == list(range(10))


def test_text_of_h5py(make, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["text"] = np.array(["a", "bé"], dtype=object)
        file["numbers"] = np.arange(4)
        found = make(file["text"])
        assert (found.dtype, found[:].tolist()) == (TEXT, ["a", "bé"])
        assert make(file["numbers"])[:].tolist() == [0, 1, 2, 3]


def test_indices_of_any_library():
    pd = pytest.importorskip("pandas")
    z = zarr.array(np.arange(5))
    assert z[pd.Series([1, 3])].tolist() == [1, 3]
    assert z.oindex[pd.Index([1, 3])].tolist() == [1, 3]
    assert z.vindex[pd.Series([True, False, False, False, True])].tolist() == [0, 4]
