"""Hierarchies of N5 through the public functions, in the stores in which they can be."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import KVStore, LocalStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = np.arange(35, dtype="u2").reshape(5, 7)
WORDS: dict[str, Any] = {"chunks": (3, 4), "compressors": None}


class InN5(MemoryStore):
    """A store in memory whose nodes are of N5."""

    zarr_format = "n5"


class FourVerbs(zarr.storage.Store):
    """A store with the four methods, whose nodes are of N5."""

    zarr_format = "n5"

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, bytes] = {}

    def _get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def _set(self, key: str, value: Any) -> None:
        self.values[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.values.pop(key, None)

    def _list(self, prefix: str) -> list[str]:
        return [key for key in list(self.values) if not prefix or key.startswith(f"{prefix}/")]


STORES: dict[str, Callable[[Path], Any]] = {
    "N5Store": lambda path: zarr.N5Store(path / "a"),
    "N5FSStore": lambda path: zarr.N5FSStore(str(path / "a"), auto_mkdir=True),
    "path": lambda path: path / "a.n5",
    "memory": lambda _: InN5(),
    "four verbs": lambda _: FourVerbs(),
}


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return STORES[request.param](tmp_path)


@pytest.fixture
def root(place: Any) -> zarr.Group:
    return zarr.open_group(place)


def keys(group: zarr.Group) -> list[str]:
    return sorted(group.store)


def document(group: zarr.Group, path: str = "") -> Any:
    return json.loads(group.store[f"{path}/attributes.json" if path else "attributes.json"])


def test_new_nodes_are_of_n5(root: zarr.Group, place: Any) -> None:
    root.attrs["title"] = "demo"
    array = root.create_array("g/a", data=VALUES, **WORDS)
    array.attrs["units"] = "nm"
    assert keys(root) == [
        "attributes.json",
        "g/a/0/0",
        "g/a/0/1",
        "g/a/1/0",
        "g/a/1/1",
        "g/a/attributes.json",
        "g/attributes.json",
    ]
    assert document(root) == {"n5": "2.0.0", "title": "demo"}
    assert document(root, "g") == {"n5": "2.0.0"}
    assert document(root, "g/a") == {
        "n5": "2.0.0",
        "dimensions": [7, 5],
        "blockSize": [4, 3],
        "dataType": "uint16",
        "compression": {"type": "raw"},
        "units": "nm",
    }
    again = zarr.open(place, mode="r")
    assert isinstance(again, zarr.Group)
    assert (again.zarr_format, dict(again.attrs), list(again)) == ("n5", {"title": "demo"}, ["g"])
    found = again["g/a"]
    assert (found.metadata.zarr_format, found.fill_value, found.order) == ("n5", 0, "C")
    assert (found.filters, found.compressor, dict(found.attrs)) == ((), None, {"units": "nm"})
    assert np.array_equal(found[:], VALUES)
    assert "n5" in repr(found.info)
    assert [name for name, _ in again.walk()] == ["g", "g/a"]


def test_the_functions_of_zarr_2_work(place: Any) -> None:
    z = zarr.zeros((5, 7), chunks=(3, 4), store=place, dtype="i4", overwrite=True)
    z[...] = 42
    assert zarr.open_array(place, mode="r")[4, 6] == 42
    z = zarr.open_array(place, mode="a")
    assert z.compressor == numcodecs.Blosc("lz4", 5, 1)
    root = zarr.group(place, overwrite=True)
    made = root.create_dataset("x", shape=(4,), chunks=2, dtype="f8", compressor=numcodecs.GZip(1))
    made[:] = [1, 2, 3, 4]
    assert root.require_dataset("x", shape=(4,), dtype="f8")[:].tolist() == [1, 2, 3, 4]
    zarr.save_array(place, VALUES, path="saved")
    zarr.save_group(place, path="many", a=VALUES, b=VALUES[0])
    assert np.array_equal(zarr.load(place, path="saved"), VALUES)
    assert list(zarr.open_group(place, mode="r")) == ["many", "saved", "x"]
    assert root["many/b"].metadata.zarr_format == "n5"


def test_changes_of_an_array(root: zarr.Group) -> None:
    array = root.create_array("a", data=VALUES, **WORDS)
    array[1:4, ::3] = 99
    expected = VALUES.copy()
    expected[1:4, ::3] = 99
    array.append(VALUES)
    assert np.array_equal(root["a"][:], np.concatenate([expected, VALUES]))
    array.resize((4, 9))
    expected = np.pad(expected[:4], ((0, 0), (0, 2)))
    assert np.array_equal(root["a"][:], expected)
    array.resize((3, 3))
    array.resize((8, 8))
    expected = np.pad(expected[:3, :3], ((0, 5), (0, 5)))
    assert np.array_equal(root["a"][:], expected)
    assert document(root, "a")["dimensions"] == [8, 8]
    array[:] = 0
    assert keys(root) == ["a/attributes.json", "attributes.json"]


def test_nodes_are_replaced_moved_and_deleted(root: zarr.Group) -> None:
    root.create_array("a", data=VALUES, **WORDS)
    with pytest.raises(errors.ContainsArrayError):
        root.create_array("a", shape=2, dtype="i1")
    with pytest.raises(errors.ContainsArrayError):
        root.create_group("a/b")
    root.create_array("a", data=VALUES[0], chunks=4, overwrite=True)
    assert keys(root) == ["a/0", "a/1", "a/attributes.json", "attributes.json"]
    root.move("a", "g/b")
    assert np.array_equal(root["g/b"][:], VALUES[0])
    root.create_group("g", overwrite=True)
    assert keys(root) == ["attributes.json", "g/attributes.json"]
    del root["g"]
    assert keys(root) == ["attributes.json"]


@pytest.mark.parametrize("number", [2, 3])
def test_copies_between_formats(root: zarr.Group, number: Any) -> None:
    other = zarr.open_group({}, zarr_format=number)
    words: dict[str, Any] = {"chunks": (3, 4), "attributes": {"units": "nm"}}
    root.create_array("g/a", data=VALUES, **words)
    zarr.copy_all(root, other)
    assert np.array_equal(other["g/a"][:], VALUES)
    assert (other["g/a"].chunks, dict(other["g/a"].attrs)) == ((3, 4), {"units": "nm"})
    other.create_array("g/filled", data=VALUES, fill_value=7, **words)
    other.create_array("g/text", data=["a"])
    report = zarr.copy_all(other, root, if_exists="replace", on_error="skip")
    assert [path for path, *_ in report.left_out] == ["/g/text"]
    assert np.array_equal(root["g/filled"][:], VALUES)
    assert root["g/a"].metadata.zarr_format == "n5"
    inside = zarr.open_group({}, zarr_format="n5")
    zarr.copy(root["g"], inside, "copied")
    assert inside["copied/a"].metadata == root["g/a"].metadata
    assert zarr.array(root["g/a"]).metadata.zarr_format == "n5"
    assert zarr.zeros_like(root["g/a"], store=InN5()).compressor == root["g/a"].compressor


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"fill_value": 5}, "fill_value: N5 has no fill value other than 0"),
        ({"fill_value": np.nan, "dtype": "f4"}, "fill_value: N5"),
        ({"order": "F"}, "order: must be 'C' in N5"),
        ({"dtype": "?"}, "dtype: N5 has no data type 'bool'"),
        ({"dtype": "f2"}, "dtype: N5 has no data type 'float16'"),
        ({"dtype": "c8"}, "dtype: N5 has no data type 'complex64'"),
        ({"dtype": str}, "dtype: N5 has no data type 'string'"),
        ({"dtype": "M8[s]"}, "dtype: N5 has no data type 'numpy.datetime64'"),
        ({"filters": [numcodecs.Delta("i4")]}, "filters: N5 has no filters"),
        ({"compressors": ["gzip", "crc32c"]}, "compressors: N5 supports one compressor, got 2"),
        ({"compressor": numcodecs.CRC32()}, "compressor: N5 has no compression"),
        ({"shards": 4}, "shards: requires format 3, but this array is of N5"),
        ({"dimension_names": ["x"]}, "dimension_names: requires format 3"),
        ({"serializer": "bytes"}, "serializer: requires format 3"),
        ({"chunk_key_encoding": "v2"}, "chunk_key_encoding: the keys of N5"),
        ({"attributes": {"blockSize": 1}}, "N5 reserves the name of the attribute 'blockSize'"),
    ],
    ids=str,
)
def test_what_n5_lacks_is_refused_before_anything_is_written(
    words: dict[str, Any], says: str
) -> None:
    root = zarr.open_group({}, zarr_format="n5")
    with pytest.raises(errors.MetadataError, match=says):
        root.create_array("a", **({"shape": 4, "dtype": "i4", "chunks": 2} | words))
    assert keys(root) == ["attributes.json"]


def test_other_spellings_of_what_n5_has_are_accepted(root: zarr.Group) -> None:
    for number, words in enumerate(
        [
            {"fill_value": None},
            {"fill_value": -0.0},
            {"order": "C"},
            {"dtype": ">f4"},
            {"dimension_separator": "."},
            {"dimension_separator": "/"},
            {"filters": []},
            {"zarr_format": "n5"},
            {"compressor": None},
        ]
    ):
        array = root.create_array(
            f"a{number}", **({"shape": 3, "dtype": "f4", "chunks": 2} | words)
        )
        array[1] = 1
        assert root[f"a{number}"][:].tolist() == [0, 1, 0]
        assert str(array.fill_value) == "0.0"
        assert array.dtype.isnative


def test_reserved_attributes_are_refused(root: zarr.Group) -> None:
    array = root.create_array("a", data=VALUES)
    for node in (root, array):
        for name in ("n5", "dimensions", "compression"):
            with pytest.raises(errors.MetadataError, match=f"N5 reserves .*'{name}'"):
                node.attrs[name] = 1
        assert dict(node.attrs) == {}
    assert np.array_equal(root["a"][:], VALUES)


def test_a_folder_without_a_document_is_a_group(root: zarr.Group, place: Any) -> None:
    root.create_array("bare/deep/a", data=VALUES, **WORDS)
    for path in ("attributes.json", "bare/attributes.json", "bare/deep/attributes.json"):
        del root.store[path]
    found = zarr.open_group(place, mode="r+")
    assert list(found) == ["bare"]
    assert [name for name, _ in found.walk()] == ["bare", "bare/deep", "bare/deep/a"]
    deep = zarr.open(place, path="bare/deep", mode="r+")
    assert isinstance(deep, zarr.Group)
    assert (dict(deep.attrs), list(deep)) == ({}, ["a"])
    assert "bare" in found
    assert "other" not in found
    # The folders of an array are those of its blocks.
    for path in ("bare/deep/a/0", "bare/deep/a/0/0"):
        assert path not in found
        with pytest.raises(errors.PathNotFoundError):
            zarr.open(place, path=path, mode="r")
    with pytest.raises(errors.ContainsGroupError):
        found.create_array("bare/deep", shape=(9, 9, 9), dtype="i1")
    assert np.array_equal(found["bare/deep/a"][:], VALUES)
    found["bare"].attrs["a"] = 1
    assert document(found, "bare") == {"a": 1}
    assert dict(found["bare"].attrs) == {"a": 1}
    found.create_array("bare/deep/b", shape=2, dtype="i1")
    assert document(found, "bare/deep") == {"n5": "2.0.0"}
    assert list(found["bare/deep"]) == ["a", "b"]


def test_an_empty_folder_is_a_group(tmp_path: Path) -> None:
    (tmp_path / "a.n5" / "g" / "h").mkdir(parents=True)
    (tmp_path / "a.n5" / "file").write_bytes(b"")
    root = zarr.open_group(tmp_path / "a.n5")
    assert (list(root), list(root["g"]), list(root["g/h"])) == (["g"], ["h"], [])
    assert "file" not in root
    root["g/h"].attrs["a"] = 1
    assert dict(zarr.open_group(tmp_path / "a.n5" / "g/h", mode="r").attrs) == {"a": 1}


def test_other_stores_are_searched_for_n5_only_if_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    made = zarr.create_array(path, data=VALUES, zarr_format="n5", attributes={"a": 1})
    assert type(made.store) is LocalStore
    with pytest.raises(errors.PathNotFoundError, match="of format n5; pass zarr_format='n5'"):
        zarr.open(path, mode="r")
    found = zarr.open(path, mode="r+", zarr_format="n5")
    assert isinstance(found, zarr.Array)
    found.attrs["b"] = 2
    found[0] = 7
    assert zarr.open_array(path, mode="r", zarr_format="n5")[0].tolist() == [7] * 7
    with pytest.raises(errors.ContainsFilesError, match=r"attributes\.json"):
        zarr.open_group(path, mode="w")
    assert dict(zarr.open_array(path, mode="r", zarr_format="n5").attrs) == {"a": 1, "b": 2}
    zarr.open_group(path, mode="w", zarr_format="n5")
    assert sorted(LocalStore(path)) == ["attributes.json"]


def test_a_file_of_another_program_is_no_group(tmp_path: Path) -> None:
    (tmp_path / "attributes.json").write_text('{"mine": 1}')
    with pytest.raises(errors.ContainsFilesError):
        zarr.open_group(tmp_path, mode="w")
    group = zarr.open_group(tmp_path)
    assert (group.zarr_format, dict(group.attrs)) == (3, {})
    assert json.loads((tmp_path / "attributes.json").read_text()) == {"mine": 1}


@pytest.mark.parametrize("number", [2, 3])
def test_nodes_of_other_formats_in_such_a_folder_are_opened(number: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.n5"
    zarr.create_array(path, data=VALUES, zarr_format=number)
    found = zarr.open_array(path)
    assert found.metadata.zarr_format == number
    assert np.array_equal(found[:], VALUES)


@pytest.mark.parametrize("name", ["a.n5", "A.N5/", "a.n5/b/c"])
def test_the_name_of_a_folder_decides(name: str, tmp_path: Path) -> None:
    store = zarr.open_group(f"{tmp_path}/{name}").store
    assert type(store) is zarr.N5Store
    assert store == LocalStore(tmp_path / name)
    assert zarr.open_group(f"{tmp_path}/{name}", mode="r").zarr_format == "n5"
    url = f"memory://{name}"
    assert zarr.open_group(url).zarr_format == "n5"


def test_the_name_in_a_url_decides() -> None:
    pytest.importorskip("fsspec")
    root = zarr.open_group("simplecache::memory://n5-of-a-test/a.n5", mode="w")
    root.create_array("a", data=VALUES)
    assert root.store.zarr_format == "n5"
    assert zarr.open("simplecache::memory://n5-of-a-test/a.n5", mode="r")["a"][2, 2] == 16


def test_there_is_no_consolidated_metadata(root: zarr.Group) -> None:
    root.create_group("g")
    with pytest.raises(errors.BaseZarrError, match="format n5 has no consolidated metadata"):
        zarr.consolidate_metadata(root.store)
    assert list(root) == ["g"]


def test_a_view_must_keep_the_shape_of_the_blocks(root: zarr.Group) -> None:
    array = root.create_array("a", data=VALUES, **WORDS)
    assert array.view(dtype="i2")[4, 6] == 34
    assert array.astype("f8")[4, 6] == 34
    for words in ({"chunks": (4, 3)}, {"dtype": "u1"}, {"chunks": (6, 2)}):
        with pytest.raises(errors.ShapeError):
            array.view(**words)


def test_a_hierarchy_is_created_from_documents() -> None:
    source = zarr.open_group({}, zarr_format="n5", attributes={"a": 1})
    source.create_array("x", data=VALUES, compressors="zstd")
    nodes = {"": source.metadata.to_dict(), "x": source["x"].metadata.to_dict()}
    assert nodes["x"]["zarr_format"] == "n5"
    made = dict(zarr.create_hierarchy(store={}, nodes=nodes))
    assert made["x"].metadata == source["x"].metadata
    assert dict(made[""].attrs) == {"a": 1}


def test_threads_lose_no_update(root: zarr.Group) -> None:
    array = root.create_array("a", shape=(64, 3), chunks=(64, 3), dtype="i4")

    def work(number: int) -> None:
        for step in range(8):
            array[number * 8 + step] = number + 1
            array.attrs[f"{number}.{step}"] = step

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert array[:, 1].tolist() == [number + 1 for number in range(8) for _ in range(8)]
    assert len(root["a"].attrs) == 64


def test_a_transaction_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.n5")
    array = root.create_array("a", data=VALUES, **WORDS)

    def change() -> None:
        with root.transaction():
            array[:] = 1
            root.attrs["x"] = 1
            root.create_array("b", data=VALUES)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert np.array_equal(array[:], VALUES)
    assert (list(root), dict(zarr.open_group(tmp_path / "a.n5").attrs)) == (["a"], {})
    with root.transaction():
        array[:] = 1
        array.resize((6, 7))
        root.attrs["x"] = 1
        root.create_array("b", data=VALUES)
    found = zarr.open_group(tmp_path / "a.n5", mode="r")
    assert (list(found), found["a"].shape, found["a"][4, 6]) == (["a", "b"], (6, 7), 1)


def test_a_missing_block_is_zero_and_a_damaged_one_an_error() -> None:
    values: dict[str, bytes] = {}
    array = zarr.create_array(KVStore(values), data=VALUES, zarr_format="n5", **WORDS)
    del values["1/1"]
    assert array[4].tolist() == [28, 29, 30, 31, 0, 0, 0]
    for bad, says in (
        (b"", "header of 12 bytes, found 0"),
        (values["0/0"][:20], "expected 24 bytes"),
        (b"\0\1" + values["0/0"][2:], "varlength"),
    ):
        values["0/1"] = bad
        with pytest.raises(errors.ChunkError, match=f"'0/1'.*{says}"):
            array[4, 0]
    del values["0/1"]
    assert array[4, 0] == 0


def _in_bucket(_: Path) -> Any:
    obstore = pytest.importorskip("obstore")
    # The same store class as S3, without a server.
    return zarr.storage.ObjectStore(obstore.store.MemoryStore())


def _in_fsspec(path: Path) -> Any:
    pytest.importorskip("fsspec")
    return zarr.storage.FsspecStore.from_url(f"memory://{path.name}-of-n5")


def _in_lmdb(path: Path) -> Any:
    pytest.importorskip("lmdb")
    return zarr.LMDBStore(path / "a.lmdb")


OTHERS: dict[str, Callable[[Path], Any]] = {
    "bucket": _in_bucket,
    "fsspec": _in_fsspec,
    "zip": lambda path: zarr.ZipStore(path / "a.zip", mode="a"),
    "sqlite": lambda path: zarr.SQLiteStore(path / "a.sqlite"),
    "lmdb": _in_lmdb,
    "dbm": lambda path: zarr.DBMStore(path / "a.dbm"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("compressor", [None, "gzip", {"id": "bz2"}])
def test_nodes_are_written_and_read_in_stores_of_any_kind(
    kind: str, compressor: Any, tmp_path: Path, data_path: str
) -> None:
    del data_path
    store = OTHERS[kind](tmp_path)
    root = zarr.open_group(store, mode="w", zarr_format="n5", attributes={"title": "demo"})
    array = root.create_array("g/a", data=VALUES, chunks=(3, 4), compressors=compressor)
    array[1:4, ::3] = 99
    array.append(VALUES)
    array.attrs["units"] = "nm"
    root.create_array("g/b", data=VALUES)
    del root["g/b"]
    expected = VALUES.copy()
    expected[1:4, ::3] = 99
    expected = np.concatenate([expected, VALUES])
    assert sorted(key for key in store if not key[-1].isdigit()) == [
        "attributes.json",
        "g/a/attributes.json",
        "g/attributes.json",
    ]
    if compressor is None:
        # Smaller blocks at an edge, as others write them, are read in place, too.
        part = np.ascontiguousarray(VALUES[3:, 4:]).astype(">u2").tobytes()
        store["g/a/1/3"] = bytes.fromhex("0000 0002 00000003 00000001") + part[6:12]
        expected[9:, 4:] = VALUES[4:, 4:]
    found = zarr.open(store, mode="r", zarr_format="n5")
    assert (dict(found.attrs), list(found), list(found["g"])) == ({"title": "demo"}, ["g"], ["a"])
    assert np.array_equal(found["g/a"][:], expected)
    assert np.array_equal(found["g/a"][2:, ::-2], expected[2:, ::-2])
    assert dict(found["g/a"].attrs) == {"units": "nm"}
    store["g/a/0/0"] = store["g/a/0/0"][:14]
    with pytest.raises(errors.ChunkError, match=r"'g/a/0/0'"):
        found["g/a"][0, 0]
    store.close()


@pytest.mark.parametrize("name", ["a.n5.zip", "a.sqlite", "a.lmdb"])
def test_a_container_at_a_path_holds_n5_if_it_is_named(name: str, tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / name, mode="w", zarr_format="n5")
    root.create_array("a", data=VALUES, **WORDS)
    root.store.close()
    with pytest.raises(errors.PathNotFoundError, match="of format n5; pass zarr_format='n5'"):
        zarr.open(tmp_path / name, mode="r")
    found = zarr.open(tmp_path / name, mode="r", zarr_format="n5")
    assert np.array_equal(found["a"][:], VALUES)
    found.store.close()


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_handle_does_not_read_smaller_blocks_of_another_array(kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "a.n5" if kind == "folder" else InN5()
    root = zarr.open_group(store, mode="w")
    held = root.create_array("a", data=VALUES, chunks=(3, 4))
    other = zarr.open_group(store, mode="r+")["a"]
    assert other[...].tolist() == VALUES.tolist()
    root.create_array("a", data=VALUES + 1, chunks=(2, 2), overwrite=True)
    for stale in (held, other):
        with pytest.raises(errors.StaleArrayError, match="open it again"):
            stale[:2, :2]
    assert other.refresh()[...].tolist() == (VALUES + 1).tolist()
