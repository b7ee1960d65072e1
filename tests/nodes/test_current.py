"""Reads through handles of arrays that others have deleted, replaced or made smaller."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ChunkIOError, StaleArrayError
from fastzarr.stores import LocalStore, MappingStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from fastzarr.stores import Store

pytestmark = pytest.mark.usefixtures("data_path")
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store."""
    stores: dict[str, Any] = {
        "local": lambda: LocalStore(tmp_path),
        "memory": MemoryStore,
        "mapping": lambda: MappingStore({}),
    }
    made: Store = stores[request.param]()
    return made


def make(store: Any, zarr_format: int = 3, **kwargs: Any) -> zarr.Array:
    """Return a new array of one axis."""
    data = np.arange(1, 17, dtype="i4")
    return zarr.create_array(
        store, name="a", data=data, chunks=4, zarr_format=zarr_format, **kwargs
    )


@FORMATS
@pytest.mark.parametrize("index", [slice(None), 9, [3, 12]], ids=["all", "one", "points"])
def test_reading_a_deleted_array_is_an_error(store: Store, zarr_format: int, index: Any) -> None:
    z = make(store, zarr_format)
    del zarr.open_group(store, mode="r+", zarr_format=zarr_format)["a"]
    with pytest.raises(StaleArrayError, match=r"'/a' is no longer in .*open it again"):
        z[index]


@FORMATS
def test_reading_an_array_that_was_replaced_is_an_error(store: Store, zarr_format: int) -> None:
    z = make(store, zarr_format)
    zarr.create_array(
        store, name="a", shape=16, chunks=8, dtype="f8", zarr_format=zarr_format, overwrite=True
    )
    with pytest.raises(StaleArrayError, match="replaced"):
        z[:]


@FORMATS
def test_reading_beyond_a_shape_that_became_smaller_is_an_error(
    store: Store, zarr_format: int
) -> None:
    z = make(store, zarr_format)
    zarr.open_array(store, path="a").resize(6)
    with pytest.raises(StaleArrayError, match=r"now has shape \(6,\)"):
        z[:]
    with pytest.raises(StaleArrayError, match="refresh"):
        z.vindex[[0, 15]]
    assert z[:4].tolist() == [1, 2, 3, 4]
    assert z.refresh()[:].tolist() == [1, 2, 3, 4, 5, 6]


@FORMATS
def test_missing_chunks_of_the_stored_array_have_the_fill_value(
    store: Store, zarr_format: int
) -> None:
    z = zarr.create_array(
        store, name="a", shape=16, chunks=4, dtype="i4", fill_value=7, zarr_format=zarr_format
    )
    other = zarr.open_array(store, path="a")
    assert z[:].tolist() == [7] * 16
    other.resize(20)
    other.attrs["x"] = 1
    assert z[::-3].tolist() == [7] * 6
    z[0] = 1
    assert other[:5].tolist() == [1, 7, 7, 7, 7]


def test_a_read_that_finds_all_chunks_does_not_look_at_the_document() -> None:
    class Counting(MappingStore):
        def _get(self, key: str) -> bytes | None:
            asked.append(key)
            return super()._get(key)

        get_valid = _get

    asked: list[str] = []
    z = make(Counting({}))
    asked.clear()
    assert z[:].sum() == 136
    assert sorted(asked) == [f"a/c/{number}" for number in range(4)]


def test_the_document_is_read_once_for_many_reads_of_missing_chunks(tmp_path: Path) -> None:
    z = zarr.create_array(tmp_path, name="a", shape=16, chunks=4, dtype="i4")
    assert z[0] == 0
    loaded = zarr.nodes.documents.load
    calls: list[str] = []

    def load(store: Store, path: str, *rest: Any) -> Any:
        calls.append(path)
        return loaded(store, path, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastzarr.nodes.documents.load", load)
        assert z[:].tolist() == [0] * 16
        zarr.create_array(tmp_path, name="a", shape=16, chunks=2, dtype="i4", overwrite=True)
        calls.clear()
        with pytest.raises(StaleArrayError):
            z[1]
        assert calls == ["a"]


@FORMATS
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_something_else_in_place_of_a_folder_of_chunks_is_an_error(
    zarr_format: int, kind: str, tmp_path: Path
) -> None:
    z = zarr.create_array(
        tmp_path,
        name="a",
        data=np.ones((4, 4)),
        chunks=(2, 2),
        zarr_format=zarr_format,
        chunk_key_encoding={"name": "v2" if zarr_format == 2 else "default", "separator": "/"},
    )
    way = tmp_path / "a" / ("0" if zarr_format == 2 else "c")
    way.rename(tmp_path / "elsewhere")
    if kind == "file":
        way.write_bytes(b"")
    elif hasattr(os, "mkfifo"):
        os.mkfifo(way)
    for read in (lambda: z[0, 0], lambda: z[:]):
        with pytest.raises(ChunkIOError, match="a/"):
            read()
    with pytest.raises(ChunkIOError):
        z[0, 0] = 2
