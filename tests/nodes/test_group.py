"""Groups: names, members, creation below them, deletion and moves."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import MutableMapping

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import LocalStore, MemoryStore


@pytest.fixture(params=[2, 3])
def zarr_format(request):
    return request.param


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "data.zarr")


@pytest.fixture
def root(store, zarr_format):
    return zarr.create_group(store, zarr_format=zarr_format)


@pytest.fixture
def full(root):
    root.create_array("a/x", data=[1, 2, 3])
    root.create_array("a/b/y", data=np.zeros((2, 2)))
    root.create_array("z", shape=(5,), dtype="i2")
    root.create_group("empty")
    return root


def test_it_is_a_mutable_mapping(full):
    assert isinstance(full, MutableMapping)
    assert list(full) == list(full.keys()) == ["a", "empty", "z"]
    assert len(full) == 3
    assert len(full.keys()) == 3
    assert [type(node) for node in full.values()] == [zarr.Group, zarr.Group, zarr.Array]
    assert [(name, node.name) for name, node in full.items()] == [
        ("a", "/a"),
        ("empty", "/empty"),
        ("z", "/z"),
    ]
    assert full.get("nope") is None
    assert full.get("nope", 5) == 5
    assert full.pop("z").shape == (5,)
    assert "z" not in full
    full.update({"new": [1, 2]})
    assert full["new"][:].tolist() == [1, 2]
    assert full.setdefault("new", None)[:].tolist() == [1, 2]
    full.clear()
    assert list(full) == []


def test_paths_are_names_too(full):
    assert full["a/b/y"].path == "a/b/y"
    assert full["/a//b/"].path == "a/b"
    assert full["a"]["b/y"].shape == (2, 2)
    assert full["a"]["b"].name == "/a/b"
    assert full["a"]["b"].basename == "b"
    assert full[""] is full
    for name in ("a/b/y", "a", "/a/", ""):
        assert name in full
    for name in ("nope", "a/nope", "../a", "a/x/0", 1, None):
        assert name not in full


def test_the_path_of_a_group_itself_is_looked_up(store):
    root = zarr.group(store, attributes={"a": 1})
    assert root["/"] is root
    root.store.clear()
    assert "/" not in root
    assert root.get("") is None
    with pytest.raises(KeyError):
        root["/"]
    made = root.require_group("/")
    assert dict(made.attrs) == {}
    root["/"].attrs.setdefault("a", 2)
    assert dict(zarr.open_group(store).attrs) == {"a": 2}


@pytest.mark.parametrize("name", ["nope", "a/nope", "nope/nope"])
def test_a_missing_name_is_a_key_error(full, name):
    with pytest.raises(KeyError, match="nope"):
        full[name]
    with pytest.raises(KeyError, match="nope"):
        del full[name]


def test_a_name_is_a_string(full):
    for name in (1.0, None, True, ("a",), b"\xff", np.arange(2)):
        with pytest.raises(TypeError, match="string"):
            full[name]
        assert name not in full
    with pytest.raises(errors.KeyValidationError):
        full["../a"]


def test_members(full):
    assert [name for name, _ in full.members()] == ["a", "empty", "z"]
    assert [name for name, _ in full.members(max_depth=1)] == ["a", "a/b", "a/x", "empty", "z"]
    everything = ["a", "a/b", "a/b/y", "a/x", "empty", "z"]
    assert [name for name, _ in full.members(max_depth=None)] == everything
    assert isinstance(full.members(), tuple)
    assert full.nmembers() == 3
    assert full.nmembers(max_depth=None) == 6
    with pytest.raises(ValueError, match="max_depth"):
        full.members(max_depth=-1)


def test_arrays_and_groups(full):
    assert list(full.array_keys()) == ["z"]
    assert list(full.array_keys(recurse=True)) == ["a/b/y", "a/x", "z"]
    assert list(full.group_keys()) == ["a", "empty"]
    assert [(name, z.path) for name, z in full.arrays()] == [("z", "z")]
    assert [name for name, _ in full.arrays(recurse=True)] == ["a/b/y", "a/x", "z"]
    assert [(name, g.path) for name, g in full.groups()] == [("a", "a"), ("empty", "empty")]
    assert [z.path for z in full.array_values()] == ["z"]
    assert [g.path for g in full.group_values()] == ["a", "empty"]
    assert next(full.arrays())[0] == "z"


def test_visits(full):
    seen = []
    assert full["a"].visit(seen.append) is None
    assert seen == ["b", "b/y", "x"]
    assert full.visitkeys(lambda name: name if name.endswith("y") else None) == "a/b/y"
    assert full.visitvalues(lambda node: node.path if "x" in node.path else None) == "a/x"
    assert full.visititems(lambda name, node: (name, node.name) if "y" in name else None) == (
        "a/b/y",
        "/a/b/y",
    )


def test_get_array_and_get_group(full):
    assert full.get_array("a/x").shape == (3,)
    assert full.get_group("a/b").path == "a/b"
    with pytest.raises(errors.ContainsGroupError, match="'a' in '/' is a group"):
        full.get_array("a")
    with pytest.raises(errors.ContainsArrayError, match="'z' in '/' is an array"):
        full.get_group("z")
    with pytest.raises(KeyError):
        full.get_array("nope")


def test_members_are_attributes(full):
    assert full.a.b.y.shape == (2, 2)
    assert "empty" in dir(full)
    with pytest.raises(AttributeError, match="nope"):
        _ = full.nope
    assert not hasattr(full, "_repr_png_")
    assert full._ipython_key_completions_() == ["a", "empty", "z"]


def test_creating_groups(root, zarr_format):
    made = root.create_group("a/b", attributes={"x": 1})
    assert (made.name, made.zarr_format, dict(made.attrs)) == ("/a/b", zarr_format, {"x": 1})
    assert root["a"].zarr_format == zarr_format
    with pytest.raises(errors.ContainsGroupError, match="'/a/b'"):
        root.create_group("a/b")
    assert dict(root.create_group("a/b", overwrite=True).attrs) == {}
    assert [g.path for g in root.create_groups("c", "d/e")] == ["c", "d/e"]
    assert root.require_group("a/b").path == "a/b"
    assert [g.path for g in root.require_groups("a", "new/f")] == ["a", "new/f"]
    assert root.require_group("a", overwrite=True).nmembers() == 0


@pytest.mark.parametrize("name", ["", "/", "..", "a/../b", ".", "zarr.json", "a/.zgroup", "a\\b"])
def test_names_that_cannot_be_created(root, name):
    before = sorted(root.store)
    for make in (root.create_group, lambda name: root.create_array(name, shape=3)):
        with pytest.raises(errors.KeyValidationError):
            make(name)
    assert sorted(root.store) == before


def test_creating_arrays(root, zarr_format):
    z = root.create_array("a/x", shape=(4, 4), chunks=2, dtype="i2", attributes={"u": 1})
    assert (z.name, z.metadata.zarr_format, z.chunks) == ("/a/x", zarr_format, (2, 2))
    assert dict(z.attrs) == {"u": 1}
    assert root.create("b", shape=3).shape == (3,)
    assert root.create_dataset("c", data=[1, 2])[:].tolist() == [1, 2]
    assert root.array("d", [1, 2], chunks=1).chunks == (1,)
    root["e"] = np.ones((2, 2))
    root["e"] = 5
    assert root["e"][()] == 5
    with pytest.raises(errors.ContainsArrayError):
        root.create_array("b", shape=3)
    with pytest.raises(errors.ContainsGroupError):
        root.create_array("a", shape=3)
    with pytest.raises(errors.ContainsArrayError, match="'/b' is an array"):
        root.create_group("b/c")
    with pytest.raises(errors.ContainsArrayError):
        root.require_group("b")
    with pytest.raises(TypeError, match="copy"):
        root["f"] = root["a"]
    with pytest.raises(TypeError, match=r"Group\.create_array.*nonsense"):
        root.create_array("g", shape=3, nonsense=1)


def test_words_of_zarr_python_2_go_into_a_group_of_either_format(root):
    z = root.create_dataset(
        "a",
        data=np.arange(10),
        chunks=3,
        compressor=numcodecs.Zlib(3),
        filters=[numcodecs.Delta("i8")],
        dimension_separator="/",
        fill_value=0,
        order="C",
        synchronizer=None,
        cache_metadata=True,
    )
    assert z[:].tolist() == list(range(10))
    assert root["a"][:].tolist() == list(range(10))
    assert z.metadata.zarr_format == root.zarr_format


def test_the_format_is_that_of_the_group(root, zarr_format):
    assert root.create_array("a", shape=3, zarr_format=zarr_format).shape == (3,)
    with pytest.raises(errors.MetadataError, match="zarr_format"):
        root.create_array("b", shape=3, zarr_format=5 - zarr_format)
    assert "b" not in root


def test_arrays_of_one_value(root):
    like = root.zeros("z", (2, 2), dtype="i2", chunks=1)
    assert root.zeros(name="z2", shape=(2, 2))[:].sum() == 0
    assert root.ones("o", shape=3)[:].tolist() == [1, 1, 1]
    assert root.full("f", 7, (3,))[:].tolist() == [7, 7, 7]
    assert root.full(name="f2", shape=(3,), fill_value=7)[:].tolist() == [7, 7, 7]
    assert root.empty("e", 3).shape == (3,)
    for name, make, value in (
        ("zl", root.zeros_like, 0),
        ("ol", root.ones_like, 1),
        ("el", root.empty_like, 0),
    ):
        made = make(name, like)
        assert (made.chunks, made.dtype) == ((1, 1), like.dtype)
        assert (made[:] == value).all()
    assert root.full_like("fl", like, fill_value=3)[0, 0] == 3
    assert root.full_like(name="fl2", data=np.ones(3), fill_value=3).dtype == np.dtype("f8")


def test_requiring_arrays(root):
    made = root.require_dataset("a", (3,), "i4")
    made[:] = 5
    assert root.require_dataset("a", shape=3, dtype="i4")[:].tolist() == [5, 5, 5]
    assert root.require_array("a", shape=(3,), dtype="i8").dtype == np.dtype("i4")
    assert root.require_array("a", shape=(3,)).dtype == np.dtype("i4")
    with pytest.raises(TypeError, match="shape"):
        root.require_dataset("a", (4,))
    with pytest.raises(TypeError, match="data type"):
        root.require_dataset("a", 3, "i2")
    with pytest.raises(TypeError, match="data type"):
        root.require_dataset("a", 3, "i8", exact=True)
    root.create_group("g")
    with pytest.raises(errors.ContainsGroupError):
        root.require_dataset("g", 3)


def test_deleting(full):
    del full["a/b"]
    assert [name for name, _ in full.members(None)] == ["a", "a/x", "empty", "z"]
    assert not any(key.startswith("a/b/") for key in full.store)
    del full["a"]
    assert list(full) == ["empty", "z"]
    with pytest.raises(errors.KeyValidationError):
        del full[""]


def test_moving(full):
    full.move("a/b", "c/d/e")
    assert full["c/d/e/y"].shape == (2, 2)
    assert "a/b" not in full
    assert full["c/d"].zarr_format == full.zarr_format
    full["a"].move("x", "x2")
    assert full["a/x2"][:].tolist() == [1, 2, 3]
    with pytest.raises(errors.NodeNotFoundError, match="nope"):
        full.move("nope", "b")
    with pytest.raises(errors.ContainsArrayError):
        full.move("a/x2", "z")
    with pytest.raises(errors.ContainsGroupError):
        full.move("a/x2", "empty")
    with pytest.raises(errors.ContainsArrayError):
        full.move("empty", "z/below")
    with pytest.raises(errors.BaseZarrError):
        full.move("a", "a/below")
    with pytest.raises(errors.KeyValidationError):
        full.move("a", "zarr.json")
    assert full["a/x2"][:].tolist() == [1, 2, 3]


def test_hierarchies_below_a_group(full, zarr_format):
    layout = full["a/x"].layout
    made = dict(full["empty"].create_hierarchy({"x": layout, "g/h": full.layout}))
    assert sorted(made) == ["g/h", "x"]
    assert full["empty/g"].zarr_format == zarr_format
    assert full["empty/x"].shape == (3,)


def test_a_group_of_the_other_format_does_not_hide_members(store):
    zarr.create_group(store, zarr_format=2).create_array("old", shape=3)
    assert list(zarr.open_group(store)) == ["old"]
    store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    assert list(zarr.open_group(store, zarr_format=2)) == ["old"]
    assert list(zarr.open_group(store, zarr_format=3)) == []
    assert zarr.open_group(store).zarr_format == 3


def test_constructors(store, zarr_format):
    made = zarr.Group.from_store(store, attributes={"a": 1}, zarr_format=zarr_format)
    made.create_group("g")
    assert dict(zarr.Group.open(store).attrs) == {"a": 1}
    assert zarr.Group(store, "g").path == "g"
    assert zarr.Group(store, path="g", read_only=True).read_only
    with pytest.raises(errors.GroupNotFoundError, match="'/nope'"):
        zarr.Group(store, "nope")
    with pytest.raises(errors.ContainsGroupError):
        zarr.Group.from_store(store, zarr_format=zarr_format)


def test_properties(root, store, zarr_format):
    assert root.store is store
    assert root.chunk_store is store
    assert (root.name, root.path, root.basename) == ("/", "", "")
    assert str(root.store_path) == str(store)
    assert root.synchronizer is None
    assert root.read_only is False
    assert root.metadata.zarr_format == zarr_format
    assert root.metadata.consolidated_metadata is None
    assert root.metadata.node_type == "group"
    assert root.meta_array.shape == ()
    assert repr(root["/"]) == f"<Group {store}>"


def test_equality_hash_and_pickle(full, store):
    again = zarr.open_group(store)
    assert again == full
    assert hash(again) == hash(full)
    assert again["a"] != full
    assert full != 5
    copy = pickle.loads(pickle.dumps(full))
    # A pickle of a store in memory has its own values, so it is another place.
    assert (copy == full) is isinstance(store, LocalStore)
    assert copy["a/x"][:].tolist() == [1, 2, 3]


def test_as_a_context(store):
    with zarr.group(store) as root:
        root.create_group("a")
    assert "a" in zarr.group(store)


def test_attributes_can_be_updated_in_one_go(root):
    assert root.update_attributes({"a": 1}) is root
    assert asyncio.run(root.update_attributes_async({"b": 2})) is root
    assert dict(root.attrs) == {"a": 1, "b": 2}


def test_a_node_that_cannot_be_understood_does_not_hide_the_others(full, zarr_format):
    key = "z/zarr.json" if zarr_format == 3 else "z/.zarray"
    full.store.set(key, b"{}")
    assert full["a/x"].shape == (3,)
    assert list(full) == ["a", "empty", "z"]
    assert len(full) == 3
    with pytest.raises(errors.MetadataError, match="z/"):
        full["z"]
    named = pytest.warns(errors.ZarrUserWarning, match=r"member '/z' in .* cannot be read: .*z/")
    with named:
        assert [name for name, _ in full.members(None)] == ["a", "a/b", "a/b/y", "a/x", "empty"]
    with named:
        assert list(full.array_keys(recurse=True)) == ["a/b/y", "a/x"]
    with named:
        assert [name for name, _ in full.arrays(recurse=True)] == ["a/b/y", "a/x"]
    with named:
        assert list(full.group_keys()) == ["a", "empty"]
    with named:
        assert [name for name, _ in full.items()] == ["a", "empty"]
    with named:
        assert [node.name for node in full.values()] == ["/a", "/empty"]
    with named:
        drawn = repr(full.tree())
    assert [line.split()[-1] for line in drawn.splitlines()] == [
        *"/ab",
        "float64",
        "int64",
        "empty",
    ]
    with named:
        assert "z" in full
    with named:
        zarr.consolidate_metadata(full.store)
    assert list(zarr.open_consolidated(full.store, mode="r")) == ["a", "empty"]
    with pytest.raises(errors.CopyError, match=rf"/z: {full.store}/z/"):
        zarr.copy_all(full, zarr.group())


def test_a_link_out_of_the_store_does_not_hide_the_members_beside_it(tmp_path, zarr_format):
    root = zarr.create_group(tmp_path / "root", zarr_format=zarr_format)
    root.create_array("b/x", data=[1, 2, 3])
    zarr.create_group(tmp_path / "outside", zarr_format=zarr_format)
    for below in ("a", "b/y"):
        (tmp_path / "root" / below).symlink_to(tmp_path / "outside")
    named = pytest.warns(errors.ZarrUserWarning, match=r"'/a' in .* link that leads out .*outside")
    with named:
        assert list(root) == ["b"]
    with named:
        assert len(root) == 1
    with named:
        assert "a" not in root
    assert "b" in root
    with named, pytest.warns(errors.ZarrUserWarning, match=r"'/b/y' in .* leads out"):
        assert [name for name, _ in root.members(None)] == ["b", "b/x"]
    with named:
        assert list(root.group_keys()) == ["b"]
    with named, pytest.warns(errors.ZarrUserWarning, match=r"'/b/y' in .* leads out"):
        zarr.consolidate_metadata(root.store)
    assert list(zarr.open_consolidated(root.store, mode="r")) == ["b"]
    with pytest.raises(errors.KeyValidationError, match="leads out"):
        root["a"]


class Failing(MemoryStore):
    """A store that raises an error for keys below ``b``, if it has one."""

    failure = None

    def _get(self, key):
        if key.startswith("b/") and self.failure is not None:
            raise self.failure
        return super()._get(key)

    def _exists(self, key):
        return self._get(key) is not None


def test_only_errors_of_a_member_are_warnings(zarr_format):
    store = Failing()
    root = zarr.create_group(store, zarr_format=zarr_format)
    for name in "abcd":
        root.create_group(name)
    store.failure = PermissionError(13, "denied", "file")
    named = pytest.warns(errors.ZarrUserWarning, match="'/b' in .* cannot be read: .*denied")
    with named:
        assert [name for name, _ in root.members()] == ["a", "c", "d"]
    with named:
        assert list(root) == ["a", "c", "d"]
    with named:
        assert len(root) == 3
    with pytest.raises(PermissionError):
        zarr.open_group(store, path="b", mode="r", zarr_format=zarr_format).members()
    store.failure = ConnectionError("the network is down")
    for look in (root.members, lambda: list(root), lambda: len(root), lambda: "b" in root):
        with pytest.raises(ConnectionError):
            look()


def test_a_group_whose_members_cannot_be_listed_does_not_hide_the_others(zarr_format):
    class Unlisted(MemoryStore):
        def _list_dir(self, prefix):
            if prefix == "b":
                raise PermissionError(13, "denied", prefix)
            return super()._list_dir(prefix)

    root = zarr.create_group(Unlisted(), zarr_format=zarr_format)
    for name in ("a", "b/x", "c"):
        root.create_group(name)
    with pytest.warns(errors.ZarrUserWarning, match="'/b' in .* cannot be read: .*denied"):
        assert [name for name, _ in root.members(None)] == ["a", "b", "c"]
    with pytest.raises(PermissionError):
        root["b"].members()


def test_the_length_is_true_while_an_unused_iterator_lives(root):
    root.create_group("a")
    root.create_group("b")
    views = root, root.keys(), root.values(), root.items()
    for view in views:
        unused = iter(view)
        assert len(view) == 2
        for document in ("zarr.json", ".zgroup"):
            root.store.delete(f"b/{document}")
        root.store.set("b/other", b"1")
        assert len(view) == 1
        assert len(root) == 1
        root.create_group("b")
        assert len(list(unused)) == 2


def test_a_broken_member_counts_whatever_was_iterated_over(full, zarr_format):
    full.store.set("z/zarr.json" if zarr_format == 3 else "z/.zarray", b"{}")
    with pytest.warns(errors.ZarrUserWarning, match="'/z'"):
        items = iter(full.items())
    assert len(full) == 3
    assert len(list(items)) == 2


def test_only_nodes_are_members(full, tmp_path):
    for key in ("notes.txt", "folder/file", "a/b/.hidden"):
        full.store.set(key, b"1")
    assert list(full) == ["a", "empty", "z"]
    assert [name for name, _ in full.members(None)] == ["a", "a/b", "a/b/y", "a/x", "empty", "z"]
    assert "folder" not in full
    if isinstance(full.store, LocalStore):
        (tmp_path / "data.zarr" / "a\nb").mkdir()
        assert list(full) == ["a", "empty", "z"]


def test_chunks_may_live_in_a_store_of_their_own():
    store, chunks = MemoryStore(), MemoryStore()
    root = zarr.open_group(store, mode="w", chunk_store=chunks)
    root["a/x"] = [1, 2]
    assert root["a/x"][:].tolist() == [1, 2]
    assert [key for key in store if "/c/" in key] == []
    assert list(chunks) == ["a/x/c/0"]
    root.move("a/x", "y")
    assert root["y"][:].tolist() == [1, 2]
    del root["y"]
    assert list(chunks) == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_words_of_h5py_and_zarr_python(zarr_format):
    root = zarr.group({}, zarr_format=zarr_format)
    made = root.create_dataset("x", (2, 3), "i2", chunks=(1, 3))
    assert (made.shape, made.dtype, made.chunks) == ((2, 3), np.dtype("i2"), (1, 3))
    assert root.create_dataset("y", None, None, [1, 2])[:].tolist() == [1, 2]
    assert root.get(path="x").shape == (2, 3)
    assert root.get("nope", default=7) == 7
    assert root.zeros_like("z", [[1, 2]]).shape == (1, 2)
    root.full("seven", 7, shape=2)
    assert root.full_like("like", root["seven"])[:].tolist() == [7, 7]
    assert root.full_like("other", root["seven"], 8)[:].tolist() == [8, 8]
    copy = {"g": root.metadata, "g/x": root["x"].metadata}
    assert [name for name, _ in root.create_hierarchy(copy)] == ["g", "g/x"]


def test_errors_name_the_remedy_of_the_case():
    root = zarr.group()
    root["x"], root["y"] = [1], [2]
    with pytest.raises(errors.ContainsArrayError, match="delete it first"):
        root.move("x", "y")
    with pytest.raises(errors.ContainsArrayError, match="a group is required"):
        root.require_group("x")
    with pytest.raises(TypeError, match="cannot set 'x' to None"):
        root["x"] = None


def test_leaving_a_group_closes_the_store_of_its_chunks_too() -> None:
    closed = []

    class Store(MemoryStore):
        def close(self) -> None:
            closed.append(self)
            super().close()

    store, chunk_store = Store(), Store()
    zarr.create_group(store)
    with zarr.open_group(store, chunk_store=chunk_store) as root:
        root["x"] = [1, 2]
    assert closed == [store, chunk_store]
    with zarr.open_group(store):
        pass
    assert closed == [store, chunk_store, store]


def test_the_store_of_a_groups_chunks_may_be_a_dict() -> None:
    chunks: dict[str, bytes] = {}
    root = zarr.Group(zarr.create_group({}).store, chunk_store=chunks)
    root["x"] = [1, 2]
    assert list(chunks) == ["x/c/0"]
    assert root["x"].chunk_store == root.chunk_store
    del root["x"]
    assert not chunks


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_members_read_without_consolidated_metadata_are_opened_as_the_group_was(
    zarr_format: int,
) -> None:
    store, chunk_store = MemoryStore(), MemoryStore()
    root = zarr.create_group(store, zarr_format=zarr_format)
    root.create_array("a/x", data=[1])
    if zarr_format == 2:
        root.create_array("o", shape=1, dtype=object, fill_value=0, object_codec=numcodecs.Pickle())
    zarr.consolidate_metadata(store)
    # A group of the other format in the same place must not be listed instead.
    other = zarr.create_group({}, zarr_format=5 - zarr_format)
    for key in other.store.list():
        store.set(key, other.store.get(key))
    synchronizer = zarr.ThreadSynchronizer()
    words = {
        "chunk_store": chunk_store,
        "synchronizer": synchronizer,
        "cache_attrs": False,
        "allow_pickle": True,
        "zarr_format": zarr_format,
    }
    root = zarr.open_group(store, "r", use_consolidated=True, **words)
    for consolidated in (True, False):
        found = dict(root.members(None, use_consolidated_for_children=consolidated))
        assert {"a", "a/x"} <= set(found)
        for node in found.values():
            assert node.synchronizer is synchronizer
            assert node.chunk_store is chunk_store
            assert node.read_only
            assert not node.attrs.cache
        if zarr_format == 2:
            assert found["o"][:].tolist() == [0]


def test_a_hierarchy_that_replaces_arrays_replaces_their_chunks_in_another_store() -> None:
    chunks: dict[str, bytes] = {}
    root = zarr.Group(zarr.create_group({}).store, chunk_store=chunks)
    x = root.create_array("x", data=[1, 2])
    made = dict(root.create_hierarchy({"x": x.layout}, overwrite=True))
    assert made["x"][:].tolist() == [0, 0]
    assert not chunks


@pytest.fixture
def odd() -> zarr.Group:
    """Return a group with members named like the attributes of an array."""
    root = zarr.group()
    for name in ("shape", "dtype", "ndim", "chunks", "layout", "nchunks"):
        root[f"odd/{name}"] = [1, 2]
    return root["odd"]


def test_a_group_with_a_member_named_shape_is_copied_as_a_group(odd: zarr.Group) -> None:
    dest = zarr.group()
    assert zarr.copy(odd, dest)[0] == 7
    assert sorted(dest["odd"]) == sorted(odd)
    assert dest["odd/shape"][:].tolist() == [1, 2]
    with pytest.raises(errors.CopyError, match="exists"):
        zarr.copy(odd["shape"], dest, name="odd")
    # Members are added to an existing group; it is not deleted as an array would be.
    zarr.copy(_with_new(), dest, name="odd")
    assert sorted(dest["odd"]) == sorted([*odd, "new"])
    zarr.copy(odd, dest, name="odd", if_exists="skip_initialized")
    assert dest["odd/new"][:].tolist() == [1]


def _with_new() -> zarr.Group:
    root = zarr.group()
    root["new"] = [1]
    return root


@pytest.mark.parametrize("name", ["odd", "plain"])
def test_a_group_is_not_taken_for_an_array(odd: zarr.Group, name: str) -> None:
    group = odd if name == "odd" else _with_new()
    for make in (
        lambda: zarr.array(group),
        lambda: zarr.zeros_like(group),
        lambda: zarr.create_array({}, data=group),
        lambda: zarr.group().create_array("x", data=group),
    ):
        with pytest.raises(TypeError, match=r"expected an array, got <Group.*copy"):
            make()


def test_an_attribute_error_inside_a_property_of_a_group_is_shown(odd: zarr.Group) -> None:
    class Broken(zarr.Group):
        @property
        def shape(self) -> int:
            return self.no_such_thing.twice  # type: ignore[no-any-return,union-attr]

    group = Broken(odd.store, "odd")
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = group.shape
    assert odd.shape[:].tolist() == [1, 2]
    root = zarr.group()
    root["mro"] = [1]
    assert root.mro[:].tolist() == [1]


def test_a_handle_of_format_2_ignores_a_format_3_node_at_the_same_path() -> None:
    store: dict[str, bytes] = {}
    other: dict[str, bytes] = {}
    zarr.create_array(store, data=[1, 2], chunks=1, zarr_format=2)
    zarr.create_array(other, data=[3], chunks=1)
    store |= other
    z = zarr.open_array(store, zarr_format=2)
    z.attrs["x"] = 1
    z.append([5])
    assert z.refresh()[:].tolist() == [1, 2, 5]
    assert dict(zarr.open_array(store, zarr_format=2).attrs) == {"x": 1}
    assert zarr.Array(store, zarr_version=2, cache_metadata=False)[:].tolist() == [1, 2, 5]
    newer = zarr.open_array(store, zarr_format=3)
    assert (newer[:].tolist(), dict(newer.attrs)) == ([3], {})


@pytest.mark.parametrize("dtype", [str, "T", np.dtypes.StringDType(), bytes, "U3", ">i4"])
def test_a_required_array_exists_the_second_time(root, dtype):
    first = root.require_array("x", shape=(3,), dtype=dtype)
    for exact in (False, True):
        again = root.require_array("x", shape=(3,), dtype=dtype, exact=exact)
        assert again.layout == first.layout
    with pytest.raises(TypeError, match="already exists with data type"):
        root.require_array("x", shape=(3,), dtype="i1", exact=True)


def test_integers_and_bytes_are_names_too(root):
    root.create_group(0)
    root.create_array(np.int64(1), data=[1])
    root.create_group(b"a")
    assert list(root) == ["0", "1", "a"]
    assert root[0].path == "0"
    assert (0 in root, b"a" in root, 5 in root) == (True, True, False)
    del root[0]
    assert 0 not in root


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_empty_group_is_deleted_in_a_store_without_drafts(zarr_format):
    pytest.importorskip("fsspec")
    store = zarr.storage.FSStore(f"memory://empty-group-{zarr_format}", mode="w")
    root = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    root.create_group("g")
    del root["g"]
    assert "g" not in root
    with pytest.raises(KeyError):
        del root["g"]
