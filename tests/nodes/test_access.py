"""The metadata and the chunk keys of an array handle always belong to the same array."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.codecs import compile as compiling
from fastzarr.errors import StaleArrayError
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastzarr.stores import Store

FIRST: dict[str, Any] = {"name": "a", "chunks": 2, "dtype": "i8"}
# The keys of the chunks of each differ from those of the first array.
OTHERS: dict[str, dict[str, Any]] = {
    "key encoding": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "number of axes": {"data": np.arange(8).reshape(2, 4) + 10, "chunks": (1, 2)},
}


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path)


def replaced(store: Store, kind: str, **handle: Any) -> tuple[zarr.Array, np.ndarray[Any, Any]]:
    """Return a handle that has read an array, replaced since, and the data of the new one."""
    zarr.create_array(store, data=np.arange(4), **FIRST)
    z = zarr.Array(store, "a", **handle)
    assert z[:].tolist() == [0, 1, 2, 3]
    words = FIRST | {"data": np.arange(4) + 10} | OTHERS[kind]
    zarr.create_array(store, overwrite=True, **words)
    return z, words["data"]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_refreshed_handle_reads_and_writes_the_chunks_of_the_new_array(
    store: Store, kind: str
) -> None:
    z, data = replaced(store, kind)
    z.refresh()
    assert np.array_equal(z[...], data)
    z[0] = 99
    assert (zarr.open_array(store, path="a", mode="r")[0] == 99).all()
    assert z.nchunks_initialized == z.nchunks
    assert z.hexdigest() == zarr.open_array(store, path="a").hexdigest()


@pytest.mark.parametrize("kind", OTHERS)
def test_without_cached_metadata_each_access_is_to_the_array_in_the_store(
    store: Store, kind: str
) -> None:
    z, data = replaced(store, kind, cache_metadata=False)
    assert z.nchunks_initialized == z.nchunks
    assert np.array_equal(z[...], data)
    assert np.array_equal(z.oindex[...], data)
    assert np.array_equal(z.get_basic_selection(...), data)
    z[0] = 99
    z.oindex[-1] = 98
    z.blocks[0] = 97
    fresh = zarr.open_array(store, path="a", mode="r")[...]
    assert np.array_equal(fresh, z[...])
    assert (fresh[-1] == 98).all()
    assert fresh.flat[0] == 97


def test_refreshed_attributes_leave_shape_and_data_of_a_handle_together() -> None:
    # A store that holds both arrays' chunks shows which keys are used.
    store = MemoryStore()
    z, _ = replaced(store, "key encoding", cache_metadata=False)
    z.attrs.refresh()
    assert z[:].tolist() == [10, 11, 12, 13]
    z.attrs["new"] = 1
    z[0] = 99
    assert zarr.open_array(store, path="a")[:].tolist() == [99, 11, 12, 13]


def test_appending_to_a_replaced_array_extends_the_new_one(store: Store) -> None:
    z, _ = replaced(store, "key encoding")
    z.append([14, 15])
    assert z[:].tolist() == [10, 11, 12, 13, 14, 15]
    assert zarr.open_array(store, path="a")[:].tolist() == [10, 11, 12, 13, 14, 15]


def test_appending_to_an_array_replaced_by_one_of_another_type_casts_to_the_new_type(
    store: Store,
) -> None:
    zarr.create_array(store, data=np.arange(4), **FIRST)
    z = zarr.Array(store, "a")
    words = FIRST | {"data": np.arange(4) / 2, "dtype": "f4"}
    zarr.create_array(store, overwrite=True, **words)
    z.append([7, 8])
    assert zarr.open_array(store, path="a")[:].tolist() == [0, 0.5, 1, 1.5, 7, 8]


def test_shrinking_a_replaced_array_deletes_chunks_of_the_new_one(
    store: Store,
) -> None:
    z, _ = replaced(store, "key encoding")
    z.resize(2)
    assert z[:].tolist() == [10, 11]
    assert sorted(key for key in store.list("a") if "json" not in key) == ["a/0"]
    z.resize(4)
    assert zarr.open_array(store, path="a")[:].tolist() == [10, 11, 0, 0]


def test_a_handle_that_was_not_refreshed_refuses_to_write(tmp_path: Path) -> None:
    z, data = replaced(LocalStore(tmp_path), "key encoding")
    with pytest.raises(StaleArrayError, match="replaced"):
        z[0] = 99
    assert zarr.open_array(tmp_path, path="a")[:].tolist() == data.tolist()


def test_a_copy_of_a_handle_works_by_itself(store: Store) -> None:
    zarr.create_array(store, data=np.arange(4), **FIRST)
    z = zarr.Array(store, "a")
    other = z.with_config({"order": "F"})
    z.append([4])
    assert (z.shape, other.shape) == ((5,), (4,))
    assert other.refresh()[:].tolist() == [0, 1, 2, 3, 4]
    assert (z.config.order, other.config.order) == ("C", "F")


def test_a_copy_made_within_a_batch_of_attributes_writes_its_own(store: Store) -> None:
    zarr.create_array(store, data=np.arange(4), **FIRST)
    z = zarr.Array(store, "a")
    with z.attrs.batch():
        z.attrs["x"] = 1
        other = z.with_config({"order": "F"})
    other.attrs["y"] = 2
    assert dict(zarr.open_array(store, path="a").attrs) == {"x": 1, "y": 2}


def test_a_pickled_handle_reads_after_a_refresh(tmp_path: Path) -> None:
    z, data = replaced(LocalStore(tmp_path), "key encoding")
    other = pickle.loads(pickle.dumps(z))
    assert np.array_equal(other.refresh()[...], data)


CHANGES: dict[str, Callable[[zarr.Array], Any]] = {
    "an attribute": lambda z: z.attrs.update(x=1),
    "a deleted attribute": lambda z: z.attrs.clear(),
    "a refresh": lambda z: z.refresh(),
    "a refresh of attributes": lambda z: z.attrs.refresh(),
    "a resize": lambda z: z.resize(3),
    "an append": lambda z: z.append([1]),
}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_does_not_affect_chunks_compiles_no_codecs(
    change: Callable[[zarr.Array], Any], zarr_format: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = zarr.create_array(
        {}, data=np.arange(4), attributes={"y": 1}, zarr_format=zarr_format, **FIRST
    )
    _ = z[:]
    change(z)
    compiled: list[Any] = []
    compile_ = compiling.compile_chain

    def counted(*args: Any) -> Any:
        compiled.append(args)
        return compile_(*args)

    monkeypatch.setattr(compiling, "compile_chain", counted)
    z[0] = 7
    assert z[0] == 7
    assert not compiled
