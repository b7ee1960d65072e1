"""Consolidated metadata is written and read, and does not hide changes of the documents."""

from __future__ import annotations

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
        if isinstance(full, LocalStore):
            # Where checking is cheap, deleted nodes are noticed.
            with pytest.raises(KeyError):
                root["a/x"]
        else:
            assert root["a/x"].shape == (3,)
        live = zarr.open_group(full, mode="r", use_consolidated=False)
        assert list(live) == []
        assert live.zarr_format == zarr_format

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
