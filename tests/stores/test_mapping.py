"""Mappings as stores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import ChainMap, UserDict
from typing import TYPE_CHECKING, Any

import pytest

import fastzarr as zarr
from fastzarr.stores import HasFiles, KVStore, MappingStore, Swaps, Validates
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from pathlib import Path


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


# Mappings that are no dicts: with values in an attribute, in the arguments of the constructor, and
# in a folder, which every process reaches.
MAPPINGS = """
import os
from collections.abc import MutableMapping

class Keeping(MutableMapping):
    def __init__(self, values=()):
        self.values_ = dict(values)
    def __getitem__(self, key):
        return self.values_[key]
    def __setitem__(self, key, value):
        self.values_[key] = value
    def __delitem__(self, key):
        del self.values_[key]
    def __iter__(self):
        return iter(list(self.values_))
    def __len__(self):
        return len(self.values_)

class Slotted(Keeping):
    __slots__ = ()
    def __reduce__(self):
        return Slotted, (list(self.values_.items()),)
    def __getattribute__(self, name):
        return {} if name == "__dict__" else super().__getattribute__(name)

class InFolder(Keeping):
    def __init__(self, folder):
        self.folder = folder
    def _path(self, key):
        return os.path.join(self.folder, key.replace("/", "!"))
    def __getitem__(self, key):
        try:
            with open(self._path(key), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise KeyError(key) from None
    def __setitem__(self, key, value):
        with open(self._path(key), "wb") as file:
            file.write(value)
    def __delitem__(self, key):
        os.remove(self._path(key))
    def __iter__(self):
        return iter([name.replace("!", "/") for name in os.listdir(self.folder)])
    def __len__(self):
        return len(os.listdir(self.folder))
"""

ELSEWHERE = """
import pickle, sys
import fastzarr as zarr
z = pickle.loads(sys.stdin.buffer.read())
print(z[:].tolist())
for change in (lambda: z.__setitem__(0, 9), lambda: z.attrs.update(x=1)):
    try:
        change()
        print("changed")
    except zarr.errors.ReadOnlyError as error:
        assert "another process" in str(error), error
        assert "with_read_only(False)" in str(error), error
        print("refused")
mine = zarr.open_array(z.store.with_read_only(False))
mine[0] = 9
print(mine[:].tolist())
"""


@pytest.mark.parametrize("kind", ["dict", "UserDict", "ChainMap", "Keeping", "Slotted", "InFolder"])
def test_a_copy_of_values_in_another_process_is_read_only(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be lost is refused; a mapping that reaches the same values there is written to."""
    (tmp_path / "kept_mappings.py").write_text(MAPPINGS)
    (tmp_path / "values").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    import kept_mappings

    kinds: dict[str, Any] = {"dict": dict, "UserDict": UserDict, "ChainMap": ChainMap}
    make = kinds.get(kind) or getattr(kept_mappings, kind)
    mapping = make(str(tmp_path / "values")) if kind == "InFolder" else make()
    z = zarr.create_array(MappingStore(mapping), data=[1, 2, 3])
    here = pickle.loads(pickle.dumps(z))
    here[0] = 5
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps(z),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    shared = kind == "InFolder"
    found, first, second, mine = done.stdout.decode().splitlines()
    assert found == ("[5, 2, 3]" if shared else "[1, 2, 3]")
    assert [first, second] == ["changed" if shared else "refused"] * 2
    assert mine == "[9, 2, 3]"
    assert z[:].tolist() == ([9, 2, 3] if shared else [1, 2, 3])
