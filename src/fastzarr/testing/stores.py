"""The test suite for stores, for their authors to subclass.

Rules of this file:

* It needs pytest, and nothing else in the package imports this file.
* Each test asserts one thing that users of any store may rely on, through public verbs only.
* Optional capabilities are tested in ``promises.py``, and skipped by name in other stores.
"""

# ruff: noqa: S101  (tests assert)

from __future__ import annotations

import pickle
import threading
from array import array
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from fastzarr.errors import (
    BaseZarrError,
    ContainsNodeError,
    KeyValidationError,
    NodeNotFoundError,
    ReadOnlyError,
)
from fastzarr.stores.keys import TEMPORARY_SUFFIX
from fastzarr.testing.promises import PromiseTests, run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.base import Store

BAD_KEYS = (
    *("", "a\\b", "..\\a", "a\0b", "a\nb", "a\x7fb", "a\x85b", "a\ud800"),
    *("/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b"),
    *("a" * 256, "a/" + "\u00e9" * 128),
    *(f".1{TEMPORARY_SUFFIX}", f"a{TEMPORARY_SUFFIX}/b"),
)
GOOD_KEYS = (
    *("a", "c/0/1/2", "0.0.0", ".zarray", "...", "a/.b", "a/..b", "a.."),
    *("with space/and (signs) %20 #1", "\u00e9/\u6d77\u6d0b/\U0001f30a"),
    *("a" * 255, "\u00e9" * 127),
)
RANGES = (
    *((0, 1), (0, None), (3, 4), (9, 1), (9, 100), (10, 1), (10, None), (99, None), (99, 1)),
    *((4, 0), (-1, None), (-4, None), (-10, None), (-99, None), (-4, 2)),
)


class StoreTests(PromiseTests):
    """Conformance tests of a store: subclass it, and override the fixture ``store``.

    The name of the subclass must be one that pytest collects. For detailed assertion messages, call
    ``pytest.register_assert_rewrite("fastzarr.testing")`` in ``conftest.py``.

    >>> class TestMyStore(StoreTests):
    ...     @pytest.fixture
    ...     def store(self):
    ...         return MyStore()
    """

    #: How often each thread repeats its changes: a slow store may do with fewer.
    rounds: ClassVar[int] = 60

    @pytest.fixture
    def store(self) -> Store:
        """Return a new, empty, writable store."""
        msg = "override the fixture `store` in the subclass"
        raise NotImplementedError(msg)

    def test_a_value_is_read_back(self, store: Store) -> None:
        """A value is read as bytes, even if it is empty or has been replaced."""
        store.set("a/b", b"one")
        store.set("e", b"")
        assert store.get("a/b") == b"one"
        assert type(store.get("a/b")) is bytes
        assert store.get("e") == b""
        store.set("a/b", b"longer than one")
        assert store.get("a/b") == b"longer than one"
        store.set("a/b", b"2")
        assert store.get("a/b") == b"2"

    def test_a_large_value_is_read_back(self, store: Store) -> None:
        """A value of several megabytes is read back."""
        value = bytes(range(256)) * (1 << 14)
        store.set("a", value)
        assert store.get("a") == value

    def test_a_missing_key(self, store: Store) -> None:
        """Each method reports a missing key in its own way."""
        store.set("a/b", b"1")
        for key in ("b", "a/c", "a/b/c", "c/0/0"):
            assert store.get(key) is None
            assert store.get(key, b"x") == b"x"
            assert store.get_ranges(key, [(0, 1)]) is None
            assert not store.exists(key)
            store.delete(key)
            with pytest.raises(FileNotFoundError, match=key):
                store.getsize(key)
        assert store.get("a/b") == b"1"

    def test_many_values(self, store: Store) -> None:
        """``get_many`` returns values in the order of the keys, and None for missing ones."""
        store.set("a", b"1")
        store.set("b/c", b"2")
        assert store.get_many(["b/c", "x", "a", "a"]) == [b"2", None, b"1", b"1"]
        assert store.get_many([]) == []

    @pytest.mark.parametrize("part", RANGES)
    def test_a_range_is_a_slice(self, store: Store, part: tuple[int, int | None]) -> None:
        """A range is clipped at the ends of the value, like a slice."""
        value = b"0123456789"
        store.set("a", value)
        start, length = part
        rest = value[start:]
        assert store.get_ranges("a", [part]) == [rest if length is None else rest[:length]]

    def test_ranges_keep_their_order(self, store: Store) -> None:
        """Several ranges, which may overlap, are returned in order."""
        store.set("a", b"0123456789")
        found = store.get_ranges("a", [(8, None), (0, 3), (2, 3), (-2, None)])
        assert found == [b"89", b"012", b"234", b"89"]
        assert store.get_ranges("a", []) == []

    def test_ranges_of_an_empty_value(self, store: Store) -> None:
        """Ranges of an empty value are empty; the value is not missing."""
        store.set("a", b"")
        assert store.get_ranges("a", [(0, 1), (-3, None), (5, None)]) == [b"", b"", b""]

    def test_a_negative_length_is_refused(self, store: Store) -> None:
        """A range of negative length raises an error."""
        store.set("a", b"0123456789")
        with pytest.raises(BaseZarrError, match="-1"):
            store.get_ranges("a", [(0, -1)])

    def test_buffers_of_bytes_can_be_stored(self, store: Store) -> None:
        """Any buffer is stored in C order, regardless of its item type and strides."""
        values: dict[str, tuple[Any, bytes]] = {
            "bytearray": (bytearray(b"abc"), b"abc"),
            "view": (memoryview(b"abcdef")[1:4], b"bcd"),
            "strided": (memoryview(b"abcdef")[::2], b"ace"),
            "items": (array("H", [1, 2]), array("H", [1, 2]).tobytes()),
            "shaped": (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
            "empty": (memoryview(b""), b""),
        }
        for key, (value, expected) in values.items():
            store.set(key, value)
            assert store.get(key) == expected, key

    @pytest.mark.parametrize("value", ["text", 1, None, [1, 2]])
    def test_values_that_are_not_buffers_are_rejected(self, store: Store, value: object) -> None:
        """A value that is not a buffer raises TypeError with the key, and the old value is kept."""
        store.set("a", b"old")
        with pytest.raises(TypeError, match="'a'"):
            store.set("a", value)  # type: ignore[arg-type,unused-ignore]
        assert store.get("a") == b"old"

    def test_the_caller_keeps_his_buffer(self, store: Store) -> None:
        """The store does not share memory with buffers that it is passed or returns."""
        buffer = bytearray(b"abc")
        store.set("a", buffer)
        store.set("view", memoryview(buffer))
        buffer[:] = b"xyz"
        buffer.extend(b"a buffer that is still looked at cannot grow")
        assert store.get("a") == b"abc"
        assert store.get("view") == b"abc"

    def test_delete(self, store: Store) -> None:
        """``delete`` removes one key and no other, and can be repeated."""
        for key in ("a/b", "a/bc", "a/d/e"):
            store.set(key, b"1")
        store.delete("a/b")
        store.delete("a/b")
        assert [*store.list()] == ["a/bc", "a/d/e"]
        assert store.get("a/b") is None
        store.set("a/b", b"2")
        assert store.get("a/b") == b"2"

    def test_sizes(self, store: Store) -> None:
        """The size of a value, and of all values below a prefix, excludes siblings."""
        for key, size in {"6/f/a": 3, "6/f/b/c": 4, "6/foo": 50, "6/f.x": 60}.items():
            store.set(key, b"x" * size)
        assert store.getsize("6/foo") == 50
        assert store.getsize_prefix("6/f") == 7
        assert store.getsize_prefix("nothing") == 0
        assert store.getsize_prefix() == store.getsize_prefix("/") == 117

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_a_good_key(self, store: Store, key: str) -> None:
        """Every valid key can be stored."""
        store.set(key, b"1")
        assert store.get(key) == b"1"
        assert [*store.list()] == [key]
        store.delete(key)
        assert store.is_empty()

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_bad_key_is_refused(self, store: Store, key: str) -> None:
        """Every method rejects a key that could leave the store, or that others cannot store."""
        verbs: list[Callable[[], object]] = [
            lambda: store.get(key),
            lambda: store.get_ranges(key, [(0, 1)]),
            lambda: store.get_many(["a", key]),
            lambda: store.set(key, b"1"),
            lambda: store.delete(key),
            lambda: store.exists(key),
            lambda: store.getsize(key),
            lambda: store[key],
            lambda: key in store,
            lambda: store.delitems([key]),
            lambda: store.setitems({key: b"1"}),
        ]
        if store.validator is not None:
            verbs.append(partial(store.validator, key))
        if store.swap is not None:
            verbs.append(partial(store.swap, key, b"1", None))
        for verb in verbs:
            with pytest.raises(KeyValidationError):
                verb()
        assert store.is_empty()

    @pytest.mark.parametrize("prefix", ["..", "a/../..", "./a", "a\\b", "a\0"])
    def test_a_bad_prefix_is_refused(self, store: Store, prefix: str) -> None:
        """Every method rejects a prefix that could leave the store."""
        store.set("a", b"1")
        for verb in (
            store.list,
            store.list_dir,
            store.delete_dir,
            store.getsize_prefix,
            store.is_empty,
        ):
            with pytest.raises(KeyValidationError):
                verb(prefix)
        for source, target in ((prefix, "x"), ("a", prefix)):
            with pytest.raises(KeyValidationError):
                store.move(source, target)
        assert [*store.list()] == ["a"]

    @pytest.mark.parametrize("key", [None, 1, b"a", ("a",)])
    def test_a_key_is_a_string(self, store: Store, key: object) -> None:
        """A key that is not a string raises TypeError; ``in`` returns False."""
        with pytest.raises(TypeError, match="string"):
            store.get(key)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="string"):
            store.set(key, b"1")  # type: ignore[arg-type]
        assert key not in store

    def test_list(self, store: Store) -> None:
        """``list`` returns the sorted keys, all of them or those below a prefix."""
        keys = ["a-b", "a/b/c", "a/b/d", "a0", "b", "zarr.json"]
        for key in reversed(keys):
            store.set(key, b"1")
        assert [*store.list()] == [*store.list("/")] == keys
        assert [*store.list("a")] == [*store.list("/a/")] == ["a/b/c", "a/b/d"]
        assert [*store.list("b")] == []
        assert [*store.list("nothing/here")] == []

    def test_list_dir(self, store: Store) -> None:
        """``list_dir`` returns the sorted names of keys and folders directly below a prefix."""
        for key in ("zarr.json", "a/zarr.json", "a/c/0/0", "a/c/0/1", "ab/x"):
            store.set(key, b"1")
        assert [*store.list_dir()] == ["a", "ab", "zarr.json"]
        assert [*store.list_dir("a")] == store.listdir("/a/") == ["c", "zarr.json"]
        assert [*store.list_dir("a/c/0")] == ["0", "1"]
        assert [*store.list_dir("zarr.json")] == []
        assert [*store.list_dir("nothing/here")] == []

    def test_a_prefix_is_a_whole_path(self, store: Store) -> None:
        """The prefix ``6/f`` includes the keys below it, and not ``6/foo``."""
        for key in ("6/f/a", "6/foo", "6/foo2/a", "6/f.a"):
            store.set(key, b"1")
        assert [*store.list("6/f")] == ["6/f/a"]
        assert [*store.list_dir("6/f")] == ["a"]
        assert store.is_empty("6/fo")
        store.delete_dir("6/f")
        assert [*store.list()] == ["6/f.a", "6/foo", "6/foo2/a"]

    def test_is_empty(self, store: Store) -> None:
        """``is_empty`` returns whether no key is below a prefix, also after the last is deleted."""
        assert store.is_empty()
        assert store.is_empty("a")
        store.set("a/b/c", b"1")
        assert not store.is_empty()
        assert not store.is_empty("a/b")
        assert store.is_empty("a/b/c")
        store.delete("a/b/c")
        assert store.is_empty()
        assert [*store.list_dir()] == []

    def test_an_empty_store(self, store: Store) -> None:
        """All methods work on an empty store."""
        assert [*store.list()] == [*store.list_dir()] == [*store] == []
        assert len(store) == 0
        assert store.getsize_prefix() == 0
        store.clear()
        store.delete_dir("a")
        assert store, "a store must be true even if it is empty"

    def test_delete_dir(self, store: Store) -> None:
        """``delete_dir`` deletes all keys below a prefix, if there are any."""
        for key in ("a/b/c", "a/b/d/e", "a/f"):
            store.set(key, b"1")
        store.delete_dir("a/b")
        assert [*store.list()] == ["a/f"]
        store.delete_dir("a/b")
        store.delete_dir("a/f")
        assert [*store.list()] == ["a/f"]
        store.rmdir("/a/")
        assert store.is_empty()

    @pytest.mark.parametrize("root", ["", "/"])
    def test_the_root_is_removed_by_clear_only(self, store: Store, root: str) -> None:
        """The root cannot be deleted or moved as a prefix."""
        store.set("a", b"1")
        verbs: list[Callable[[], object]] = [
            lambda: store.delete_dir(root),
            lambda: store.rmdir(root),
            lambda: store.move(root, "b"),
            lambda: store.move("a", root),
        ]
        for verb in verbs:
            with pytest.raises(KeyValidationError, match="root"):
                verb()
        assert [*store.list()] == ["a"]

    def test_clear(self, store: Store) -> None:
        """``clear`` deletes all keys, and the store remains usable."""
        for key in ("a/b/c", "d"):
            store.set(key, b"1")
        store.clear()
        assert [*store.list()] == []
        store.set("a/b/c", b"2")
        assert store.get("a/b/c") == b"2"

    def test_move(self, store: Store) -> None:
        """``move`` moves a key, or all keys below a path; parents of the target may be missing."""
        for key in ("a/b/c", "a/b/d/e", "a/bc"):
            store.set(key, key.encode())
        store.move("a/b", "x/y/z")
        assert dict(store) == {"x/y/z/c": b"a/b/c", "x/y/z/d/e": b"a/b/d/e", "a/bc": b"a/bc"}
        store.rename("a/bc", "n/m")
        assert store["n/m"] == b"a/bc"
        assert [*store.list_dir()] == ["n", "x"]

    def test_a_move_that_cannot_be(self, store: Store) -> None:
        """Moving a missing path, onto a key or into itself raises an error and changes nothing."""
        store.set("a/b", b"1")
        store.set("c/d", b"2")
        store.move("a", "a")
        with pytest.raises(NodeNotFoundError, match="nothing"):
            store.move("nothing", "x")
        for target in ("c", "c/d"):
            with pytest.raises(ContainsNodeError, match="already exists"):
                store.move("a", target)
        with pytest.raises(BaseZarrError, match="below"):
            store.move("a", "a/b/c")
        assert dict(store) == {"a/b": b"1", "c/d": b"2"}

    def test_it_is_a_mapping(self, store: Store) -> None:
        """A store is a mutable mapping of keys to bytes."""
        store["b/c"] = bytearray(b"2")
        store["a"] = b"1"
        assert store["a"] == b"1"
        assert "a" in store
        assert "b" not in store
        assert [*store] == [*store.keys()] == ["a", "b/c"]
        assert [*store.values()] == [b"1", b"2"]
        assert [*store.items()] == [("a", b"1"), ("b/c", b"2")]
        assert len(store) == 2
        assert store.pop("a") == b"1"
        assert store.pop("a", b"none") == b"none"
        assert store.setdefault("b/c", b"new") == b"2"
        store.update({"d": b"3"}, e=b"4")
        assert dict(store) == {"b/c": b"2", "d": b"3", "e": b"4"}
        assert store.popitem()[0] in {"b/c", "d", "e"}
        for verb in (store.__getitem__, store.__delitem__, store.pop):
            with pytest.raises(KeyError, match="x/y"):
                verb("x/y")

    def test_verbs_for_many_items(self, store: Store) -> None:
        """zarr-python 2's methods read, store and delete many items."""
        store.setitems({"a": b"1", "b": b"2", "c": b"3"})
        assert store.getitems(["c", "x", "a"], contexts={}) == {"c": b"3", "a": b"1"}
        store.delitems(["a", "x"])
        assert [*store] == ["b", "c"]

    def test_a_read_only_store(self, store: Store) -> None:
        """In a read-only store every writing method raises an error, and reading works."""
        store.set("a/b", b"1")
        reader = store.with_read_only()
        verbs: list[Callable[[], object]] = [
            lambda: reader.set("a/b", b"2"),
            lambda: reader.set("new", b"2"),
            lambda: reader.delete("a/b"),
            lambda: reader.delete("missing"),
            lambda: reader.delete_dir("a"),
            lambda: reader.move("a", "b"),
            reader.clear,
            lambda: reader.__setitem__("a/b", b"2"),
            lambda: reader.__delitem__("a/b"),
            lambda: reader.setitems({"a/b": b"2"}),
            lambda: reader.delitems(["a/b"]),
            lambda: reader.pop("a/b"),
        ]
        if reader.swap is not None:
            verbs.append(partial(reader.swap, "new", b"2", None))
        for verb in verbs:
            with pytest.raises(ReadOnlyError, match="read-only"):
                verb()
        assert reader.read_only
        assert not store.read_only
        assert dict(reader) == dict(store) == {"a/b": b"1"}
        store.set("a/b", b"3")
        assert reader.get("a/b") == b"3"
        writer = reader.with_read_only(False)  # noqa: FBT003
        writer.set("a/b", b"4")
        assert store.get("a/b") == b"4"

    def test_equality(self, store: Store) -> None:
        """Stores with the same values are equal."""
        store.set("a", b"1")
        assert store == store.with_read_only()
        assert store != "a"
        assert store != {}

    def test_pickling(self, store: Store) -> None:
        """Pickling preserves the type, the values and whether the store is read-only."""
        store.set("a/b", b"1")
        for original in (store, store.with_read_only()):
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                copy = pickle.loads(pickle.dumps(original, protocol))  # noqa: S301
                assert type(copy) is type(original)
                assert copy == original
                assert copy.read_only == original.read_only
                assert dict(copy) == {"a/b": b"1"}

    def test_names(self, store: Store) -> None:
        """``str`` returns a URL, and ``repr`` the class name with it."""
        assert "://" in str(store)
        assert repr(store) == f"{type(store).__name__}({str(store)!r})"

    def test_closing(self, store: Store) -> None:
        """A store is a context manager, and can be closed more than once."""
        with store as same:
            assert same is store
            same.set("a", b"1")
        store.close()

    def test_no_value_is_torn(self, store: Store) -> None:
        """Readers see complete values while threads replace them."""
        size = 1 << 16
        store.set("a/b", b"\0" * size)
        done = threading.Event()
        torn: list[object] = []

        def write(byte: int) -> None:
            for i in range(self.rounds):
                store.set("a/b", bytes([byte + i % 8]) * (size - i))

        def read() -> None:
            while not done.is_set():
                value = store.get("a/b")
                if value is None or len(set(value)) != 1 or len(value) < size - self.rounds:
                    torn.append(value)
                if [*store.list()] != ["a/b"] or [*store.list_dir("a")] != ["b"]:
                    torn.append([*store.list()])

        run_at_once([lambda: write(1), lambda: write(100)], beside=[read, read], done=done)
        assert not torn

    def test_writes_and_deletes_beside_each_other(self, store: Store) -> None:
        """A value stored while its last sibling is deleted is kept."""
        lost: list[str] = []

        def work(name: str) -> None:
            for i in range(self.rounds):
                key = f"a/b/{name}"
                store.set(key, b"%d" % i)
                if store.get(key) != b"%d" % i:
                    lost.append(key)
                store.delete(key)

        run_at_once([lambda name=name: work(name) for name in "cdef"])  # type: ignore[misc]
        assert not lost
        assert store.is_empty()

    def test_concurrent_changes_are_not_lost(self, store: Store) -> None:
        """``change`` loses no update of concurrent threads, and changes nothing if it raises."""
        store.change("a/b", lambda old: b"0" if old is None else pytest.fail("it is not there"))
        same = store.get("a/b")
        store.change("a/b", lambda old: old)
        assert store.get("a/b") == same

        def count() -> None:
            for _ in range(25):
                store.change("a/b", lambda old: b"%d" % (int(old or b"-1") + 1))

        run_at_once([count] * 4)
        assert store.get("a/b") == b"100"
        with pytest.raises(ZeroDivisionError):
            store.change("a/b", lambda _: b"%d" % (1 // 0))
        assert store.get("a/b") == b"100"
        store.change("a/b", lambda _: None)
        assert store.is_empty()
        with pytest.raises(ReadOnlyError):
            store.with_read_only().change("a/b", lambda _: b"1")

    def test_a_turn_is_one_writers(self, store: Store) -> None:
        """A writer waits for the end of another writer's turn at the same key, and no other key."""
        store.set("a", b"1")
        turn = store.turn("a")
        assert turn.get() == b"1"
        store.change("b", lambda _: b"other")
        add = threading.Thread(target=store.change, args=("a", lambda old: (old or b"") + b"3"))
        add.start()
        add.join(0.05)
        assert store.get("a") == b"1"
        assert turn.put(b"12")
        turn.end()
        add.join()
        assert store.get("a") == b"123"
