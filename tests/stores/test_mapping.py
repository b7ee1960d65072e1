"""Mappings as stores."""

from __future__ import annotations

from collections import UserDict

import pytest

from fastzarr.stores import HasFiles, KVStore, MappingStore, Swaps, Validates
from fastzarr.testing import StoreTests


class Failing(UserDict):
    """A mapping on a disk that fails."""

    def __getitem__(self, key: str) -> bytes:
        """Raise an error."""
        raise OSError(5, "disk error", key)


class TestMappingStore(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self) -> MappingStore:
        """Return a store in a mapping that is not a dict."""
        return MappingStore(UserDict())


def test_the_mapping_is_written_into() -> None:
    """Values are written to the mapping itself, as bytes."""
    mapping: UserDict[str, bytes] = UserDict()
    store = KVStore(mapping)
    store["a"] = bytearray(b"1")
    assert mapping.data == {"a": b"1"}
    assert store.mapping is mapping


def test_only_a_key_error_is_a_missing_key() -> None:
    """Any other exception of the mapping is propagated."""
    store = MappingStore(Failing())
    with pytest.raises(OSError, match="disk error"):
        store.get("a")
    with pytest.raises(OSError, match="disk error"):
        store.get_ranges("a", [(0, 1)])


def test_nothing_more_is_promised() -> None:
    """The store has no capabilities that depend on the mapping."""
    for protocol in (HasFiles, Swaps, Validates):
        assert not isinstance(MappingStore({}), protocol)


def test_zarr_python_2s_word_for_the_mapping_is_taken():
    held = {}
    assert MappingStore(mutablemapping=held).mapping is held
    with pytest.raises(TypeError, match="are the same argument"):
        MappingStore()
