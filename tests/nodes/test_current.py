"""Reads and writes through handles of arrays that others have deleted, replaced or made smaller."""

from __future__ import annotations

import os
import subprocess
import sys
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


@FORMATS
@pytest.mark.parametrize(
    "write",
    [
        lambda z: z.__setitem__(slice(None), 0),
        lambda z: z.__setitem__(slice(12, 16), 0),
        lambda z: z.__setitem__(-1, 0),
        lambda z: z.__setitem__(slice(5, 7), 0),
        lambda z: z.__setitem__(slice(6, None, -6), 0),
        lambda z: z.oindex.__setitem__(([0, 6],), 0),
        lambda z: z.set_mask_selection(np.arange(16) == 6, 0),
        lambda z: z.blocks.__setitem__(1, 0),
    ],
    ids=["all", "chunk", "last", "edge", "backwards", "orthogonal", "mask", "block"],
)
def test_writing_beyond_a_shape_that_became_smaller_is_an_error(
    store: Store, zarr_format: int, write: Any
) -> None:
    z = make(store, zarr_format)
    z[1] = 2
    other = zarr.open_array(store, path="a")
    other.resize(6)
    for _ in range(2):
        with pytest.raises(
            StaleArrayError, match=r"'/a' .* now has shape \(6,\).* in shape \(16,\).*refresh\(\)"
        ):
            write(z)
    z[5] = z[:5] = 9
    other.resize(16)
    assert other[:].tolist() == [9] * 6 + [0] * 10
    write(z.refresh())
    assert z[:].tolist() == other[:].tolist()


@FORMATS
def test_the_first_write_of_a_handle_knows_the_shape_in_the_store(
    store: Store, zarr_format: int
) -> None:
    make(store, zarr_format)
    z, other = (zarr.open_array(store, path="a") for _ in range(2))
    other.resize(6)
    with pytest.raises(StaleArrayError, match=r"now has shape \(6,\)"):
        z[8:12] = 0
    with pytest.raises(StaleArrayError, match="open it again"):
        z.view(dtype="u4")[6] = 0
    other.resize(20)
    z[15] = 7
    assert other[14:].tolist() == [0, 7, 0, 0, 0, 0]


@FORMATS
def test_writing_beyond_a_shape_of_several_axes_is_an_error(zarr_format: int) -> None:
    z = zarr.create_array(
        MemoryStore(), data=np.ones((6, 6), "i4"), chunks=(4, 4), zarr_format=zarr_format
    )
    other = zarr.open_array(z.store)
    other.resize(8, 3)
    for index in (np.s_[0, 3], np.s_[:, 2:4], np.s_[[0, 5], [1, 4]]):
        with pytest.raises(StaleArrayError, match=r"\(8, 3\)"):
            z[index] = 5
    z[:, :3] = 5
    assert other[:].tolist() == [[5] * 3] * 6 + [[0] * 3] * 2


def test_a_write_of_a_checked_handle_reads_no_document() -> None:
    class Counting(MemoryStore):
        def validator(self, key: str) -> Any:
            asked.append(key)
            return super().validator(key)

        def _get(self, key: str) -> Any:
            asked.append(key)
            return super()._get(key)

        get_valid = _get

    asked: list[str] = []
    z = make(Counting())
    z[0:4] = 1
    zarr.open_array(z.store, path="a").resize(12)
    z[0:4] = 1
    asked.clear()
    z[4:8] = 1
    assert asked == ["a/zarr.json"]


def test_another_process_makes_an_array_smaller_before_a_write(tmp_path: Path) -> None:
    z = make(tmp_path)
    z[0] = 5
    program = "import sys, fastzarr; fastzarr.open_array(sys.argv[1], path='a').resize(6)"
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, check=True)  # noqa: S603  (our own interpreter)
    with pytest.raises(StaleArrayError, match=r"now has shape \(6,\)"):
        z[12:] = 0
    stored = [path.name for path in (tmp_path / "a" / "c").iterdir()]
    assert sorted(stored) == ["0", "1"]
