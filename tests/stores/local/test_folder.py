"""Symbolic links in the folder of a local store."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr import native
from fastzarr.errors import KeyValidationError
from fastzarr.stores import LocalStore
from fastzarr.stores.keys import GROUP_NAMES, JOURNAL_NAME, TEMPORARY_SUFFIX
from fastzarr.stores.local import trees
from fastzarr.stores.local.folder import Folder
from fastzarr.stores.local.state import is_unmarked
from fastzarr.stores.place import real_path


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Return an empty store."""
    return LocalStore(tmp_path / "root")


@pytest.fixture
def outside(store: LocalStore) -> Path:
    """Return a folder with a file, beside the root, whose name is a prefix of the folder's."""
    store.set("in/a", b"in")
    folder = store.root.parent / "root2"
    (folder / "sub").mkdir(parents=True)
    (folder / "secret").write_bytes(b"secret")
    (folder / "sub" / "secret").write_bytes(b"secret")
    return folder


def test_a_link_out_of_the_root_is_refused(store: LocalStore, outside: Path) -> None:
    """A link that leads out of the root, in whatever way, is not followed."""
    root = store.root
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "in" / "up").symlink_to("../../root2/sub")
    (root / "chain").symlink_to("in/up")
    (root / "nothing").symlink_to(outside / "not there")
    for key in ("file", "folder/secret", "folder/sub/secret", "in/up/secret", "chain/secret"):
        for verb in (
            lambda key=key: store.get(key),
            lambda key=key: store.get_ranges(key, [(0, 1)]),
            lambda key=key: store.exists(key),
            lambda key=key: store.getsize(key),
            lambda key=key: store.validator(key),
        ):
            with pytest.raises(KeyValidationError, match=r"leads out.*follow_symlinks=True"):
                verb()
    with pytest.raises(KeyValidationError, match="leads out"):
        store.get("nothing")
    for verb in (
        lambda: store.set("folder/new", b"1"),
        lambda: store.swap("folder/new", b"1", None),
        lambda: store.delete("folder/secret"),
        lambda: store.delete_dir("folder/sub"),
        lambda: store.move("folder/sub", "x"),
        lambda: store.move("in/a", "folder/new"),
        lambda: [*store.list("folder")],
        lambda: [*store.list_dir("folder/sub")],
    ):
        with pytest.raises(KeyValidationError, match="leads out"):
            verb()
    assert sorted(p.name for p in outside.rglob("*")) == ["secret", "secret", "sub"]


def test_writing_replaces_a_link(store: LocalStore, outside: Path) -> None:
    """Writing replaces a link by a file, and deleting removes only the link."""
    for name in ("a", "b", "c"):
        (store.root / name).symlink_to(outside / ("secret" if name == "a" else "sub"))
    store.set("a", b"1")
    store.delete("b")
    store.delete_dir("c")
    assert dict(store) == {"a": b"1", "in/a": b"in"}
    assert [*store.list_dir()] == ["a", "in"]
    assert not (store.root / "a").is_symlink()
    store.clear()
    (store.root / "d").symlink_to(outside)
    store.clear()
    assert not any(store.root.iterdir())
    assert (outside / "secret").read_bytes() == (outside / "sub" / "secret").read_bytes()


def test_a_link_inside_is_followed(store: LocalStore) -> None:
    store.set("real/b", b"123")
    (store.root / "folder").symlink_to("real")
    (store.root / "file").symlink_to(store.root / "real" / "b")
    (store.root / "nothing").symlink_to("real/c")
    for key in ("folder/b", "file"):
        assert store.get(key) == b"123"
        assert store.get_ranges(key, [(1, 1)]) == [b"2"]
        assert store.exists(key)
        assert store.getsize(key) == 3
        assert store.validator(key) == store.validator("real/b")
    store.set("folder/c/d", b"4")
    assert store.get("real/c/d") == b"4"
    store.delete_dir("real/c")
    assert store.get("nothing") is None
    assert not store.exists("nothing")
    # A linked folder is listed, but entered only if a prefix names it.
    assert [*store.list()] == ["file", "real/b"]
    assert [*store.list_dir()] == ["file", "folder", "nothing", "real"]
    assert [*store.list("folder")] == ["folder/b"]


def test_a_link_to_itself(store: LocalStore) -> None:
    """Reading through a loop of links raises an error, and listing terminates."""
    store.set("a/b", b"1")
    (store.root / "loop").symlink_to("loop")
    (store.root / "a" / "up").symlink_to("..")
    with pytest.raises(OSError, match="loop"):
        store.get("loop")
    assert [*store.list()] == ["a/b"]


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    store = LocalStore(tmp_path / "link")
    (tmp_path / "real" / "b").symlink_to("a")
    store.set("b/c", b"1")
    assert store.get("a/c") == b"1"


def test_links_are_followed_on_request(store: LocalStore, outside: Path) -> None:
    (store.root / "file").symlink_to(outside / "secret")
    (store.root / "folder").symlink_to(outside)
    trusting = LocalStore(store.root, follow_symlinks=True)
    for copy in (trusting, pickle.loads(pickle.dumps(trusting)), trusting.with_read_only()):
        assert copy.get("file") == copy.get("folder/sub/secret") == b"secret"
        assert copy.get_ranges("file", [(-3, None)]) == [b"ret"]
        assert copy.getsize("file") == 6
    trusting.set("folder/new", b"1")
    assert (outside / "new").read_bytes() == b"1"


def test_a_folder_that_becomes_a_link(store: LocalStore, outside: Path) -> None:
    """A folder that this store has removed is checked again."""
    store.set("x/a", b"1")
    assert store.get("x/a") == b"1"
    store.delete("x/a")
    (store.root / "x").symlink_to(outside)
    with pytest.raises(KeyValidationError, match="leads out"):
        store.get("x/secret")


def test_a_folder_that_others_replace_by_a_link(store: LocalStore, outside: Path) -> None:
    """A link that leads out is not followed, even if it has just replaced a folder."""
    other = LocalStore(store.root)
    for number, move in enumerate((False, True)):
        top = f"x{number}"
        store.set(f"{top}/y/secret", b"mine")
        assert store.get(f"{top}/y/secret") == other.get(f"{top}/y/secret") == b"mine"
        target = outside / f"moved{number}"
        (store.root / top).rename(target if move else outside / "gone")
        if not move:
            (target / "y").mkdir(parents=True)
            (target / "y" / "secret").write_bytes(b"secret")
        (store.root / top).symlink_to(target)
        before = sorted(outside.rglob("*"))
        for verb in (
            store.get,
            lambda key: store.get_ranges(key, [(0, 1)]),
            store.exists,
            store.getsize,
            store.validator,
            lambda key: store.set(key, b"1"),
            lambda key: store.change(key, lambda _: b"2"),
            store.delete,
            store.delete_dir,
            other.get,
            lambda key: [*other.list(key.rpartition("/")[0])],
        ):
            with pytest.raises(KeyValidationError, match="leads out"):
                verb(f"{top}/y/secret")
        assert sorted(outside.rglob("*")) == before
        assert (target / "y" / "secret").read_bytes() == (b"mine" if move else b"secret")


@pytest.mark.usefixtures("data_path")
def test_an_array_whose_folder_others_replace_by_a_link(tmp_path: Path) -> None:
    """Chunks and attributes are not accessed through it, with or without the extension."""
    root = zarr.open_group(tmp_path / "root", mode="w")
    z = root.create_array("a/z", data=[1, 2, 3, 4], chunks=2)
    assert z[:].tolist() == [1, 2, 3, 4]
    (tmp_path / "root" / "a").rename(tmp_path / "a")
    (tmp_path / "root" / "a").symlink_to(tmp_path / "a")
    for action in (
        lambda: z[:2],
        lambda: z.__setitem__(0, 9),
        lambda: z.__setitem__(slice(2), 9),
        lambda: z.attrs.update(a=1),
        lambda: zarr.open_array(tmp_path / "root", path="a/z"),
    ):
        with pytest.raises(KeyValidationError, match="leads out"):
            action()
    assert zarr.open_array(tmp_path / "a" / "z")[:].tolist() == [1, 2, 3, 4]
    assert not zarr.open_array(tmp_path / "a" / "z").attrs


def test_many_folders(store: LocalStore) -> None:
    for i in range(20):
        store.set(f"a/{i}/b", b"%d" % i)
    assert [store.get(f"a/{i}/b") for i in range(20)] == [b"%d" % i for i in range(20)]


def test_a_move_replaces_a_folder_that_has_only_temporary_files(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store["a/b"] = b"1"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / f".1{TEMPORARY_SUFFIX}").write_bytes(b"")
    store.move("a", "c")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "c"]
    assert store["c/b"] == b"1"


def test_a_move_does_not_replace_a_value_that_was_stored_meanwhile(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store["a/b"] = b"1"
    store["c/d"] = b"2"
    with pytest.raises(OSError, match="c"):
        trees.move(Folder(str(tmp_path)), "a", "c")
    assert dict(store) == {"a/b": b"1", "c/d": b"2"}


def test_all_kinds_of_entries_are_listed_alike(store: LocalStore, data_path: str) -> None:
    del data_path
    names = ["a", "b/0", "b/1/2", "b/1/ä", "c/x", "d/e/f"]
    for name in names:
        store[name] = b"1"
    root = store.root
    (root / "b/1/empty").mkdir()
    assert [*store.list()] == names
    (root / "b/1/.g.0.fastzarr-tmp").touch()
    (root / "d/link").symlink_to(root / "c/x")
    (root / "d/folder").symlink_to(root / "b")
    os.mkfifo(root / "c/pipe")
    assert [*store.list()] == sorted([*names, "d/link"])
    assert [*store.list("b/1")] == ["b/1/2", "b/1/ä"]
    assert [*store.list("b/0")] == [*store.list("x")] == []
    # Names that are not text are those that Python gives them.
    strange = os.fsdecode(b"\xff")
    (root / strange).mkdir()
    (root / strange / "y").touch()
    assert f"{strange}/y" in [*store.list()]


_ENTRIES = st.sets(st.sampled_from((JOURNAL_NAME, *GROUP_NAMES)), max_size=2)


@pytest.mark.skipif(not native.HAS_FILES, reason="only Python looks for journals")
@settings(max_examples=100, deadline=None)
@given(entries=st.lists(_ENTRIES, min_size=4, max_size=4))
def test_what_leads_to_a_journal_is_found_by_the_extension(entries: list[set[str]]) -> None:
    with TemporaryDirectory() as above:
        at = Path(above)
        for names in entries:
            for name in names:
                (at / name).touch()
            at /= "below"
            at.mkdir()
        for root in (at, *at.parents[:4], at / "missing"):
            assert is_unmarked(Folder(str(root))) == (not [*Folder(str(root)).marked()])


def test_a_path_with_links_is_resolved(tmp_path: Path) -> None:
    real = os.path.realpath(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    for path in ("a/b", "link/b", "link", "a/missing", "link/missing/c", "missing"):
        assert real_path(f"{real}/{path}") == os.path.realpath(f"{real}/{path}")
