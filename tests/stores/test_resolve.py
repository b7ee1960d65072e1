"""Conversion of users' arguments to stores."""

from __future__ import annotations

from collections import UserDict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from installed import install

import fastzarr
from fastzarr.errors import KeyValidationError, ReadOnlyError
from fastzarr.stores import (
    LocalStore,
    MappingStore,
    MemoryStore,
    Store,
    StorePath,
    ZipStore,
    as_store,
    as_store_path,
    register_store,
)
from fastzarr.stores.urls import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_nothing_is_a_new_store_in_memory() -> None:
    """Each call returns a new store."""
    store = as_store(None)
    assert type(store) is MemoryStore
    store["a"] = b"1"
    assert as_store().is_empty()


def test_mappings_are_written_into() -> None:
    """A dict, empty or not, and any other mutable mapping is accepted."""
    values: dict[str, bytes] = {}
    store = as_store(values)
    assert type(store) is MemoryStore
    store["a"] = b"1"
    assert values == {"a": b"1"}
    other: UserDict[str, bytes] = UserDict()
    assert type(as_store(other)) is MappingStore
    as_store(other)["a"] = b"1"
    assert other.data == {"a": b"1"}


def test_paths_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings, Paths and file URLs are accepted, absolute or not; nothing is created."""
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / "a b" / "c%20d"
    for path in (
        str(expected),
        expected,
        "a b/c%20d",
        Path("a b/c%20d"),
        f"file://{expected}",
        f"FILE://{expected}",
        f"file://localhost{expected}",
    ):
        store = as_store(path)
        assert isinstance(store, LocalStore)
        assert store.root == expected
        assert as_store(str(store)) == store
    assert not expected.parent.exists()


@pytest.mark.parametrize(
    "rest", ["", "host/x", "me:secret@host/x", "localhost", "localhosts/x", "."]
)
def test_a_file_url_of_another_host_is_refused(rest: str) -> None:
    """It would otherwise become a path below the current folder."""
    with pytest.raises(ValueError, match=r"absolute path and no host.* file:///") as caught:
        as_store(f"file://{rest}")
    assert "secret" not in str(caught.value)


def test_a_colon_is_not_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that only resembles a URL is accepted as a path."""
    monkeypatch.chdir(tmp_path)
    assert as_store("run:1/data").root == tmp_path / "run:1" / "data"


@pytest.mark.parametrize("url", ["gopher://me:secret@b/x", "NONE://host", "x+y://a"])
def test_unknown_schemes_are_refused(url: str) -> None:
    """The message has only the scheme of the URL, because the rest may contain a password."""
    with pytest.raises(ValueError, match="URLs are not known") as caught:
        as_store(url)
    assert url.split(":", 1)[0].lower() in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://me:secret@b/x", "HTTPS://me:secret@host", "gs://a"])
def test_unknown_options_are_refused(url: str) -> None:
    """The message has the name of the option, and not its value or a password in the URL."""
    with pytest.raises(TypeError, match="nonsense") as caught:
        as_store(url, storage_options={"nonsense": "secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bad", [1, b"bytes", ["a"], object()])
def test_other_things_are_refused(bad: object) -> None:
    """The message lists what can be a store."""
    with pytest.raises(TypeError, match="a store must be a path"):
        as_store(bad)


def test_a_group_is_not_a_store() -> None:
    """A group, which is a mapping of nodes, is rejected; the message says what to pass instead."""
    group = fastzarr.create_group({}).create_group("a")
    for node in (group, group.create_array("x", shape=1, dtype="i1")):
        with pytest.raises(TypeError, match=r"expected a store, got <.*store_path"):
            as_store(node)
        assert as_store_path(node.store_path).path.startswith("a")


def test_an_empty_path_is_refused() -> None:
    """The empty string does not mean the current folder."""
    with pytest.raises(ValueError, match="current folder"):
        as_store("")


def test_options_without_effect_are_rejected(tmp_path: Path) -> None:
    """Options that would have no effect are rejected."""
    with pytest.raises(TypeError, match="storage_options"):
        as_store(tmp_path, storage_options={"anon": True})
    as_store(tmp_path, storage_options={})


def test_a_store_is_itself() -> None:
    """A store is returned as it is, and of a StorePath its store."""
    store = MemoryStore()
    assert as_store(store) is store
    assert as_store(store, mode="w") is store
    assert as_store(StorePath(store, "a")) is store


@pytest.mark.parametrize("make", [MemoryStore, dict])
def test_reading_modes_refuse_writing(make: type) -> None:
    """Mode "r" returns a read-only store, and does not change the caller's."""
    given = make()
    for how in ({"mode": "r"}, {"read_only": True}):
        store = as_store(given, **how)
        with pytest.raises(ReadOnlyError):
            store["a"] = b"1"
    as_store(given)["a"] = b"1"


@pytest.mark.parametrize("mode", ["r+", "a", "w", "w-", "x"])
def test_writing_modes_need_the_right(mode: str) -> None:
    """Other modes reject a read-only store."""
    reader = MemoryStore(read_only=True)
    with pytest.raises(ReadOnlyError, match="read-only"):
        as_store(reader, mode=mode)
    assert not as_store({}, mode=mode).read_only
    assert as_store(reader, mode="r") is reader
    assert as_store(reader) is reader


def test_unknown_modes_are_refused() -> None:
    """The message lists the modes."""
    with pytest.raises(ValueError, match=r"mode must be one of 'r', 'r\+'.*, not 'rw'"):
        as_store({}, mode="rw")


def test_paths_in_stores() -> None:
    """Paths can be joined, read and written."""
    store = MemoryStore()
    place = StorePath(store, "/a/") / "b"
    assert (place.path, str(place)) == ("a/b", f"{store}/a/b")
    assert str(StorePath(store)) == str(store)
    assert repr(place) == f"StorePath(MemoryStore, '{store}/a/b')"
    place.set(b"1")
    assert place.exists()
    assert place.get() == store["a/b"] == b"1"
    assert not StorePath(store, "a").is_empty()
    place.delete()
    assert place.get(b"none") == b"none"
    assert StorePath(store, "a").is_empty()
    assert place == StorePath(store, "a/b")
    assert place != StorePath(store, "a")
    assert place != "a/b"
    assert not place.read_only
    with pytest.raises(KeyValidationError):
        place / ".."


def test_as_store_path() -> None:
    """The path is below the StorePath's own path."""
    store = MemoryStore()
    assert as_store_path(store, None).path == ""
    assert as_store_path(store, "a/b").path == "a/b"
    assert as_store_path(StorePath(store, "x"), "/a/").path == "x/a"
    assert as_store_path(StorePath(store, "x"), mode="r").read_only
    with pytest.raises(KeyValidationError):
        as_store_path(StorePath(store, "x"), "../y")


def test_a_store_without_a_required_method_is_rejected() -> None:
    """A store without one of the four required methods cannot be instantiated."""

    class Half(Store):
        def _get(self, key: str) -> bytes | None:
            return key.encode()

    with pytest.raises(TypeError, match="_delete"):
        Half()


def test_a_copy_of_a_plain_store_has_the_same_place() -> None:
    """A copy of any store is equal and has the same URL, so that overlapping nodes are detected."""

    class Plain(Store):
        def _get(self, key: str) -> bytes | None:
            return key.encode()

        def _set(self, key: str, value: bytes | memoryview) -> None: ...
        def _delete(self, key: str) -> None: ...
        def _list(self, prefix: str) -> list[str]:
            return [prefix]

    store = Plain()
    copy = store.with_read_only().with_read_only(read_only=False).with_read_only()
    assert copy == store
    assert str(copy) == str(store)
    assert store != Plain()
    assert copy.read_only
    assert not store.read_only


@pytest.mark.parametrize("mode", [None, "w", "a"])
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_zip_file_is_not_taken_for_a_folder(
    tmp_path: Path, mode: str | None, prefix: str
) -> None:
    path = tmp_path / "x.ZIP"
    assert type(as_store(f"{prefix}{path}", mode=mode)) is ZipStore
    with pytest.raises(FileNotFoundError, match=r"x\.ZIP"):
        as_store(f"{prefix}{path}", mode="r")
    assert not path.exists()
    path.mkdir()
    assert type(as_store(f"{prefix}{path}", mode=mode)) is LocalStore
    assert as_store(f"{prefix}{path}", mode="r").read_only


class Plain:
    """A mapping by its methods, not by its class."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

    def __getitem__(self, key: str) -> bytes:
        return self.values[key]

    def __setitem__(self, key: str, value: bytes) -> None:
        self.values[key] = value

    def __delitem__(self, key: str) -> None:
        del self.values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def keys(self) -> Any:
        return self.values.keys()


def test_a_mapping_of_any_class_is_a_store() -> None:
    plain = Plain({})
    fastzarr.save(plain, [1, 2, 3])
    assert fastzarr.load(plain).tolist() == [1, 2, 3]
    assert "zarr.json" in plain.values
    fixed = MappingProxyType(plain.values)
    assert fastzarr.open(fixed)[:].tolist() == [1, 2, 3]
    with pytest.raises(ReadOnlyError):
        fastzarr.open(fixed, mode="w")


def test_a_table_is_not_a_mapping_of_keys_to_bytes() -> None:
    pd = pytest.importorskip("pandas")
    xr = pytest.importorskip("xarray")
    for table in (pd.DataFrame({"a": [1]}), pd.Series([1]), xr.Dataset({"a": 1})):
        with pytest.raises(TypeError, match="a store must be a path"):
            as_store(table)


PLUGIN = """
from fastzarr.stores import MemoryStore

class Plugin(MemoryStore):
    @classmethod
    def from_url(cls, url, *, storage_options, read_only):
        values = {"url": url.encode(), "options": repr(storage_options).encode()}
        return cls(values, read_only=read_only)
"""


def test_the_stores_of_a_scheme_are_those_of_an_installed_package_or_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = "[fastzarr.stores]\nplugin = plugin_stores:Plugin\nother = plugin_other:Other\n"
    install(tmp_path, monkeypatch, entries, {"plugin_stores": PLUGIN})
    monkeypatch.setattr(SCHEMES, "_installed", None)
    monkeypatch.setattr(SCHEMES, "_found", {})
    store = as_store("PLUGIN://host/a?b", storage_options={"x": 1}, mode="r")
    assert type(store).__name__ == "Plugin"
    assert store.read_only
    assert (store["url"], store["options"]) == (b"plugin://host/a?b", b"{'x': 1}")
    z = fastzarr.create_array("plugin://host", name="a", data=[1, 2])
    assert z[:].tolist() == [1, 2]
    with pytest.raises(ModuleNotFoundError, match="plugin_other"):
        as_store("other://host")
    # What is registered replaces what would be opened otherwise, but not files and memory.
    register_store("S3", type(store))
    assert as_store("s3://bucket/a")["url"] == b"s3://bucket/a"
    for scheme in ("file", "Memory", "", "no scheme", "a://"):
        with pytest.raises(ValueError, match="not a scheme that can be registered"):
            register_store(scheme, type(store))
