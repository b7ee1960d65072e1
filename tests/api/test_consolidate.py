"""Consolidated metadata is written and read, and does not hide changes of the documents."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import LocalStore, MemoryStore


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "data.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
class TestConsolidated:
    @pytest.fixture
    def full(self, store, zarr_format):
        root = zarr.create_group(store, zarr_format=zarr_format, attributes={"title": "t"})
        root.create_array("a/x", data=[1, 2, 3], attributes={"units": "m"})
        root.create_group("b")
        return store

    def test_it_is_written_and_read(self, full, zarr_format):
        root = zarr.consolidate_metadata(full)
        assert root.metadata.consolidated_metadata is not None
        key = ".zmetadata" if zarr_format == 2 else "zarr.json"
        assert b"a/x" in full[key]
        for opened in (zarr.open_consolidated(full), zarr.open_group(full), zarr.open(full)):
            assert list(opened) == ["a", "b"]
            assert [name for name, _ in opened.members(None)] == ["a", "a/x", "b"]
            assert opened["a"]["x"].attrs["units"] == "m"
            assert opened["a/x"][:].tolist() == [1, 2, 3]
            assert opened.attrs["title"] == "t"

    def test_nodes_below_are_read_from_the_copy(self, full, zarr_format):
        zarr.consolidate_metadata(full)
        for key in list(full):
            if "/" in key and key.rsplit("/", 1)[1] in ("zarr.json", ".zarray", ".zgroup"):
                full.delete(key)
        root = zarr.open_group(full, mode="r")
        assert root["a/x"].shape == (3,)
        if isinstance(full, LocalStore):
            # Where checking is cheap, deleted nodes are noticed.
            full.delete_dir("a/x")
            assert "a/x" not in root
            with pytest.raises(KeyError):
                root["a/x"]
        live = zarr.open_group(full, mode="r", use_consolidated=False)
        assert list(live) == []
        assert live.zarr_format == zarr_format

    def test_it_is_shown_in_the_metadata_of_a_group(self, full, zarr_format):
        zarr.open_group(full).create_array("b/y/z", shape=2, dtype="i1")
        root = zarr.consolidate_metadata(full)
        copy = root.metadata.consolidated_metadata
        assert list(copy) == list(copy.flattened_metadata) == ["a", "a/x", "b", "b/y", "b/y/z"]
        assert (copy["a/x"].shape, copy["a/x"].attributes) == ((3,), {"units": "m"})
        assert sorted(copy.metadata) == ["a", "b"]
        assert len(copy) == 5
        below = copy.metadata["b"].consolidated_metadata
        assert list(below) == ["y", "y/z"]
        assert "x" not in below
        assert below.metadata["y"].consolidated_metadata.metadata["z"].shape == (2,)
        assert root["b"].metadata == copy["b"]
        assert root["b"].metadata.zarr_format == zarr_format
        assert root["a"].metadata.consolidated_metadata["x"] == copy["a/x"]
        made = dict(zarr.create_hierarchy(store={}, nodes=copy.flattened_metadata))
        assert made["b/y/z"].shape == (2,)
        assert made["a/x"].attrs["units"] == "m"
        with pytest.raises(KeyError):
            copy["c"]

    def test_it_can_be_insisted_on(self, full, zarr_format):
        with pytest.raises(ValueError, match="no consolidated metadata"):
            zarr.open_consolidated(full)
        with pytest.raises(ValueError, match="no consolidated metadata"):
            zarr.open_group(full, use_consolidated=True)
        zarr.consolidate_metadata(full)
        assert zarr.open_group(full, use_consolidated=True).zarr_format == zarr_format
        with pytest.raises(TypeError):
            zarr.open_consolidated(full, use_consolidated=False)

    def test_a_group_below_can_have_its_own(self, full, zarr_format):
        zarr.consolidate_metadata(full, "a")
        inner = zarr.open_consolidated(full, path="a")
        assert list(inner) == ["x"]
        assert inner.zarr_format == zarr_format

    def test_it_can_be_made_again(self, full, zarr_format):
        zarr.consolidate_metadata(full)
        zarr.open_group(full, use_consolidated=False).create_group("new")
        assert zarr.open_group(full).metadata.consolidated_metadata is None
        zarr.consolidate_metadata(full)
        assert "new" in zarr.open_consolidated(full)
        assert zarr.open_group(full).zarr_format == zarr_format

    def test_consolidating_without_a_group_writes_nothing(self, full, zarr_format):
        with pytest.raises(errors.GroupNotFoundError):
            zarr.consolidate_metadata(full, "none")
        with pytest.raises(errors.ContainsArrayError):
            zarr.consolidate_metadata(full, "a/x", zarr_format)


def test_the_key_of_format_2_can_be_another():
    store = MemoryStore()
    zarr.create_group(store, zarr_format=2).create_group("a")
    zarr.consolidate_metadata(store, metadata_key=".other")
    assert ".other" in store
    assert ".zmetadata" not in store
    assert list(zarr.open_consolidated(store, ".other")) == ["a"]
    assert list(zarr.open_consolidated(store, metadata_key=".other")) == ["a"]
    zarr.consolidate_metadata(store, ".zmetadata")
    assert list(zarr.open_consolidated(store)) == ["a"]


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nodes_that_stand_only_in_the_copy(tmp_path, zarr_format, local):
    store = LocalStore(tmp_path) if local else MemoryStore()
    root = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    root.create_array("a", data=np.arange(4), chunks=2)[2:] = 0
    root.create_array("g/b", data=np.arange(3))
    zarr.consolidate_metadata(store)
    for key in list(store.list("a")) + list(store.list("g")):
        if "zarr" in key or "zgroup" in key:
            store.delete(key)
    root = zarr.open_group(store, mode="r")
    assert list(root) == list(root.keys()) == ["a", "g"]
    assert len(root) == 2
    assert "a" in root
    assert "g/b" in root
    assert root["a"][:].tolist() == [0, 1, 0, 0]
    assert root["g"]["b"][:].tolist() == [0, 1, 2]
    assert [name for name, _ in root.members(None)] == ["a", "g", "g/b"]
    assert "b (3,)" in str(root.tree())
    store.delete_dir("g")
    root = zarr.open_group(store, mode="r")
    if local:
        assert list(root) == ["a"]
        assert ("g" in root, len(root), [*root.group_keys()]) == (False, 1, [])


def test_a_copy_without_the_document_of_its_group(tmp_path):
    for number, store in enumerate((MemoryStore(), LocalStore(tmp_path / "a"))):
        root = zarr.open_group(store, mode="w", zarr_format=2, attributes={"x": number})
        root["a"] = [1, 2]
        zarr.consolidate_metadata(store)
        store.delete(".zgroup")
        before = sorted(store)
        for mode in ("r", "r+", None):
            found = zarr.open_consolidated(store, mode=mode)
            assert (dict(found.attrs), found["a"][:].tolist()) == ({"x": number}, [1, 2])
        assert zarr.open(store, mode="r", use_consolidated=True)["a"].shape == (2,)
        for verb in (zarr.open, zarr.open_group):
            for mode in ("r", "r+", "a"):
                with pytest.raises(errors.NodeNotFoundError, match=r"'\.zmetadata'.*open_consol"):
                    verb(store, mode=mode)
        with pytest.raises(errors.NodeNotFoundError, match=r"'\.zmetadata'"):
            zarr.group(store)
        assert sorted(store) == before


class Unconsolidated(MemoryStore):
    """A store like those that keep all metadata together themselves."""

    supports_consolidated_metadata = False

    def _get(self, key):
        assert "zmetadata" not in key
        return super()._get(key)

    get_valid = _get

    def _exists(self, key):
        assert "zmetadata" not in key
        return super()._exists(key)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_without_consolidated_metadata_is_not_asked_for_it(zarr_format):
    store = Unconsolidated()
    root = zarr.open_group(store, mode="a", zarr_format=zarr_format)
    root["a"] = [1, 2]
    root["a"].attrs["x"] = 1
    root.move("a", "b")
    del root["b"]
    assert list(zarr.open_group(store, mode="r")) == []
    with pytest.raises(errors.BaseZarrError, match="this store has no consolidated metadata"):
        zarr.consolidate_metadata(store)
