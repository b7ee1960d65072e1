"""Every store compared with a dict, after verbs in any order."""

from __future__ import annotations

from collections import UserDict
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fastzarr.stores import LocalStore, MappingStore, MemoryStore

if TYPE_CHECKING:
    from fastzarr.stores import Store

# No key is a prefix of another one, because a file cannot be a folder.
KEYS = ["zarr.json", "a/zarr.json", "a/c/0/0", "a/c/0/1", "a/c.x", "a-b/c", "ab", "b/d"]
PREFIXES = ["", "a", "a/c", "a/c/0", "a-b", "b", "b/c", "b/d", "x"]
key = st.sampled_from(KEYS)
prefix = st.sampled_from(PREFIXES)
value = st.binary(max_size=12)
part = st.tuples(st.integers(-15, 15), st.none() | st.integers(0, 15))


class Model(RuleBasedStateMachine):
    """A store and a dict that must have the same values."""

    store: Store

    def __init__(self) -> None:
        """Start with an empty store."""
        super().__init__()
        self.dict: dict[str, bytes] = {}
        self.store = self.make()

    def make(self) -> Store:
        """Create the store."""
        return MemoryStore()

    def below(self, prefix: str) -> list[str]:
        """List the keys below a prefix."""
        return sorted(k for k in self.dict if not prefix or k.startswith(f"{prefix}/"))

    @rule(key=key, value=value)
    def set(self, key: str, value: bytes) -> None:
        """Set a value."""
        self.store.set(key, memoryview(value))
        self.dict[key] = value

    @rule(key=key)
    def delete(self, key: str) -> None:
        """Delete a key."""
        self.store.delete(key)
        self.dict.pop(key, None)

    @rule(prefix=prefix.filter(bool))
    def delete_dir(self, prefix: str) -> None:
        """Delete the keys below a prefix."""
        self.store.delete_dir(prefix)
        for k in self.below(prefix):
            del self.dict[k]

    @rule()
    def clear(self) -> None:
        """Delete all keys."""
        self.store.clear()
        self.dict.clear()

    @rule(source=st.sampled_from(["a", "a/c", "b"]), to=st.sampled_from(["a", "b", "a/c"]))
    def move(self, source: str, to: str) -> None:
        """Move keys, if the move is valid."""
        keys = self.below(source)
        if not keys or self.below(to) or f"{to}/".startswith(f"{source}/"):
            return
        self.store.move(source, to)
        for k in keys:
            self.dict[to + k[len(source) :]] = self.dict.pop(k)

    @rule(key=key, parts=st.lists(part, max_size=4))
    def get_ranges(self, key: str, parts: list[tuple[int, int | None]]) -> None:
        """Read byte ranges, and compare them with slices."""
        whole = self.dict.get(key)
        expected = None
        if whole is not None:
            rests = [whole[max(start, -len(whole)) if start < 0 else start :] for start, _ in parts]
            expected = [
                rest if length is None else rest[:length]
                for rest, (_, length) in zip(rests, parts, strict=True)
            ]
        assert self.store.get_ranges(key, parts) == expected

    @rule(prefix=prefix)
    def look_below(self, prefix: str) -> None:
        """List the keys below a prefix, and get their number and size."""
        keys = self.below(prefix)
        start = len(prefix) + 1 if prefix else 0
        assert [*self.store.list(prefix)] == keys
        assert [*self.store.list_dir(prefix)] == sorted({k[start:].split("/")[0] for k in keys})
        assert self.store.getsize_prefix(prefix) == sum(len(self.dict[k]) for k in keys)
        assert self.store.is_empty(prefix) == (not keys)

    @invariant()
    def same(self) -> None:
        """Check that the store and the dict have the same values."""
        assert dict(self.store.items()) == self.dict
        assert self.store.get_many(KEYS) == [self.dict.get(k) for k in KEYS]


class MappingModel(Model):
    """The same for a mapping as a store."""

    def make(self) -> Store:
        """Create the store."""
        return MappingStore(UserDict())


class LocalModel(Model):
    """The same for the local store."""

    def make(self) -> Store:
        """Create the store."""
        self.folder = mkdtemp()
        return LocalStore(self.folder)

    def teardown(self) -> None:
        """Delete the folder."""
        rmtree(self.folder)


TestMemory = Model.TestCase
TestMapping = MappingModel.TestCase
TestLocal = LocalModel.TestCase
