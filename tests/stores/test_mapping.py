"""Any mapping as a store."""

from __future__ import annotations

from collections import UserDict

import pytest

from fastzarr.stores import HasFiles, KVStore, MappingStore, Swaps, Validates
from fastzarr.testing import StoreTests


class Failing(UserDict):
    """A mapping on a disk that fails."""

    def __getitem__(self, key: str) -> bytes:
        """Fail."""
        raise OSError(5, "disk error", key)


class TestMappingStore(StoreTests):
    """The suite of all stores."""

    @pytest.fixture
    def store(self) -> MappingStore:
        """Give a store in a mapping that is no dict."""
        return MappingStore(UserDict())


def test_the_mapping_is_written_into() -> None:
    """Write bytes into the mapping itself."""
    mapping: UserDict[str, bytes] = UserDict()
    store = KVStore(mapping)
    store["a"] = bytearray(b"1")
    assert mapping.data == {"a": b"1"}
    assert store.mapping is mapping


def test_only_a_key_error_is_a_missing_key() -> None:
    """Let every other failure of the mapping through."""
    store = MappingStore(Failing())
    with pytest.raises(OSError, match="disk error"):
        store.get("a")
    with pytest.raises(OSError, match="disk error"):
        store.get_ranges("a", [(0, 1)])


def test_nothing_more_is_promised() -> None:
    """Promise nothing that the mapping may not keep."""
    for protocol in (HasFiles, Swaps, Validates):
        assert not isinstance(MappingStore({}), protocol)


def test_zarr_python_2s_word_for_the_mapping_is_taken():
    held = {}
    assert MappingStore(mutablemapping=held).mapping is held
    with pytest.raises(TypeError, match="are the same argument"):
        MappingStore()
