"""The functions of the facade's top level: modes, defaults and errors of zarr-python 3.4."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fastzarr import compat as zarr
from fastzarr.compat.api import asynchronous, synchronous
from fastzarr.compat.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    MetadataValidationError,
    NodeTypeValidationError,
    ZarrDeprecationWarning,
    ZarrRuntimeWarning,
)
from fastzarr.compat.storage import LocalStore, MemoryStore
from fastzarr.errors import ContainsFilesError

if TYPE_CHECKING:
    from pathlib import Path


def test_both_modules_have_the_same_functions() -> None:
    assert synchronous.__all__ == asynchronous.__all__
    for name in synchronous.__all__:
        call = getattr(synchronous, name)
        assert call.__name__ == name
        assert call.__module__ == synchronous.__name__


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_modes_that_read_create_nothing(tmp_path: Path, mode: str) -> None:
    place = tmp_path / "a.zarr"
    with pytest.raises(FileNotFoundError):
        zarr.open(place, mode=mode)
    with pytest.raises(FileNotFoundError):
        zarr.open_array(place, mode=mode)
    with pytest.raises(FileNotFoundError):
        zarr.open_group(place, mode=mode)
    assert not place.exists()


def test_mode_a_opens_what_is_there(tmp_path: Path) -> None:
    zarr.ones(3, dtype="i4", store=tmp_path / "a")
    assert zarr.open(tmp_path / "a")[:].tolist() == [1, 1, 1]
    assert zarr.open(tmp_path / "a", shape=5)[:].tolist() == [1, 1, 1]
    assert zarr.open_array(tmp_path / "a", mode="r").read_only
    assert isinstance(zarr.open(tmp_path / "b"), zarr.Group)
    assert zarr.open(tmp_path / "c", shape=2).shape == (2,)


def test_mode_w_replaces_and_w_minus_does_not(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    zarr.open(store, mode="w", shape=2)[:] = 3
    assert zarr.open(store, mode="w", shape=2)[:].tolist() == [0, 0]
    with pytest.raises(FileExistsError, match="mode 'w-'"):
        zarr.open(store, mode="w-", shape=2)
    assert isinstance(zarr.open(store, mode="w"), zarr.Group)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ContainsFilesError, match="notes"):
        zarr.open(store, mode="w")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_node_of_the_other_type_is_an_error() -> None:
    store = MemoryStore()
    zarr.ones(3, store=store, path="x")
    with pytest.raises(ContainsArrayError):
        zarr.open_group(store, path="x")
    with pytest.raises((NodeTypeValidationError, ContainsGroupError)):
        zarr.open_array(store, path="")
    with pytest.raises(ArrayNotFoundError):
        zarr.open_array(store, path="y", mode="r")
    with pytest.raises(GroupNotFoundError):
        zarr.open_group(store, path="y", mode="r")


def test_a_read_only_store_is_opened_for_reading() -> None:
    store = MemoryStore()
    zarr.ones(3, store=store)
    again = store.with_read_only(read_only=True)
    array = zarr.open(again)
    assert array.read_only
    with pytest.raises(ValueError, match="read-only"):
        array[:] = 2
    with pytest.raises(ValueError, match="mode is 'w'"):
        zarr.open_group(again, mode="w")


def test_the_format_is_2_or_3(tmp_path: Path) -> None:
    with pytest.raises(MetadataValidationError, match=r"Expected 2, 3, or None\. Got '3.0'"):
        zarr.open_group(tmp_path, zarr_format="3.0")
    with zarr.config.set({"default_zarr_format": 2}):
        assert zarr.open_group({}).metadata.zarr_format == 2
        assert zarr.create(3, store={}).metadata.zarr_format == 2
        assert zarr.group({}).metadata.zarr_format == 2


def test_config_is_for_arrays() -> None:
    store = MemoryStore()
    zarr.create_group(store)
    with pytest.raises(TypeError, match="resolves to a group"):
        zarr.open(store, config={"order": "F"})
    zarr.ones((2, 2), store=store, path="x")
    assert zarr.open(store, path="x", config={"order": "F"}).order == "F"


def test_words_that_have_no_effect_cause_a_warning() -> None:
    with pytest.warns(ZarrRuntimeWarning, match="synchronizer is not yet implemented"):
        zarr.create(3, store={}, synchronizer=1)
    with pytest.warns(ZarrRuntimeWarning, match="meta_array is not yet implemented"):
        zarr.open_group({}, meta_array=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'typo'"):
        zarr.create(3, store={}, typo=1)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_arrays_are_like_another(zarr_format: int) -> None:
    source = zarr.ones((4, 4), chunks=(2, 2), dtype="i2", store={}, zarr_format=zarr_format)
    for verb, value in (("zeros", 0), ("ones", 1), ("empty", 1)):
        made = getattr(zarr, f"{verb}_like")(source, store={})
        assert (made.shape, made.chunks, made.dtype) == ((4, 4), (2, 2), source.dtype)
        assert made.metadata.zarr_format == zarr_format
        assert made[0, 0] == value
    made = zarr.full_like(source, fill_value=7, shape=(3,), chunks=(3,), store={})
    assert made[:].tolist() == [7, 7, 7]


def test_data_is_written() -> None:
    made = zarr.array(np.arange(4), chunks=(2,), store={})
    assert (made.chunks, made[:].tolist()) == ((2,), [0, 1, 2, 3])
    assert zarr.array(made, store={})[:].tolist() == [0, 1, 2, 3]
    assert zarr.array([1.5, 2])[:].tolist() == [1.5, 2]
    assert zarr.create_array({}, data=np.arange(3))[:].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="shape"):
        zarr.create_array({}, data=np.arange(3), shape=(3,))
    with pytest.raises(ValueError, match="read_only"):
        zarr.array([1], read_only=True)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    one, two = np.arange(3), np.ones((2, 2))
    zarr.save(tmp_path / "a", one)
    assert zarr.load(tmp_path / "a").tolist() == [0, 1, 2]
    zarr.save(tmp_path / "b", one, two=two)
    found = zarr.load(tmp_path / "b")
    assert sorted(found) == ["arr_0", "two"]
    assert found["two"].tolist() == two.tolist()
    zarr.save(tmp_path / "b", two, one, path="c")
    assert zarr.load(tmp_path / "b", path="c/arr_1").tolist() == [0, 1, 2]
    for values in ((), ("text",), (one, "text")):
        with pytest.raises((TypeError, ValueError)):
            zarr.save(tmp_path / "b", *values)
    assert sorted(zarr.load(tmp_path / "b")) == ["arr_0", "two"]
    with pytest.raises(FileNotFoundError):
        zarr.load(tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_data_that_cannot_be_stored_replaces_nothing() -> None:
    store = MemoryStore()
    zarr.save_group(store, a=np.arange(2))
    with pytest.raises(ValueError, match="data type"):
        zarr.save_group(store, a=np.zeros(2), b=np.array([object()], dtype=object))
    assert zarr.load(store)["a"].tolist() == [0, 1]


def test_nodes_are_copied() -> None:
    source, dest = zarr.create_group({}), zarr.create_group({})
    source["x"] = np.arange(3)
    source.create_group("a", attributes={"k": 1})
    zarr.copy(source["x"], dest, name="y")
    zarr.copy_all(source, dest)
    assert sorted(dest) == ["a", "x", "y"]
    store = MemoryStore()
    zarr.copy_store(source.store, store)
    assert zarr.open_group(store)["a"].attrs["k"] == 1


def test_tree_is_deprecated() -> None:
    root = zarr.create_group({})
    with pytest.warns(ZarrDeprecationWarning, match="Use Group.tree instead"):
        assert repr(zarr.tree(root)) == repr(root.tree())


def test_functions_can_be_awaited(tmp_path: Path) -> None:
    async def run(store: Any) -> list[Any]:
        root = await asynchronous.open_group(store, attributes={"k": 1})
        array = await asynchronous.create_array(store, name="x", data=np.arange(3))
        await asynchronous.save_array(store, np.ones(2), path="y")
        found = await asynchronous.open(store=store, path="y")
        values = await asynchronous.load(store=store, path="x")
        names = sorted([name async for name in root.array_keys()])
        return [root.attrs, array.shape, found.shape, values.tolist(), names]

    for store in (MemoryStore(), tmp_path / "a.zarr", LocalStore(tmp_path / "b")):
        expected = [{"k": 1}, (3,), (2,), [0, 1, 2], ["x", "y"]]
        assert asyncio.run(run(store)) == expected


def test_functions_run_on_the_loop_of_the_facade() -> None:
    from fastzarr.compat.core.sync import sync

    store = MemoryStore()
    sync(asynchronous.save(store, np.arange(3), np.ones(2)))
    assert sorted(zarr.open_group(store)) == ["arr_0", "arr_1"]


def test_a_file_in_place_of_a_folder_is_no_group(tmp_path):
    (tmp_path / "a.zarr.zip").write_bytes(b"PK")
    for verb in (zarr.open, zarr.open_group):
        with pytest.raises(GroupNotFoundError, match="No group found") as caught:
            verb(tmp_path / "a.zarr.zip", mode="r")
        assert isinstance(caught.value.__cause__, NotADirectoryError)
    with pytest.raises(OSError, match=r"a\.zarr\.zip"):
        zarr.open_group(tmp_path / "a.zarr.zip", mode="a")
