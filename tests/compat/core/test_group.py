"""Groups of the facade: members, metadata, attributes, and what is awaited."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fastzarr import compat as zarr
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.group import AsyncGroup, Group, GroupMetadata
from fastzarr.compat.core.sync import sync
from fastzarr.compat.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    MetadataValidationError,
    ZarrUserWarning,
)
from fastzarr.compat.storage import LocalStore, MemoryStore, StorePath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = (2, 3)


@pytest.fixture(params=FORMATS)
def root(request: pytest.FixtureRequest) -> Group:
    """Return a group with an array and a group that has one, too."""
    root: Group = zarr.create_group(MemoryStore(), zarr_format=request.param)
    root.create_array("x", shape=(4,), dtype="i2", chunks=(2,))[:] = [1, 2, 3, 4]
    root.create_array("a/y", shape=(), dtype="f8")
    return root


def consolidated(root: Group) -> Group:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        found: Group = zarr.consolidate_metadata(root.store)
    return found


def test_nodes_have_the_very_store_of_their_group(root: Group) -> None:
    assert root["x"].store is root.store
    assert root["a"].store is root.store
    assert [node.store is root.store for _, node in root.members(max_depth=None)] == [True] * 3


def test_members_come_by_name_and_kind(root: Group) -> None:
    assert sorted(root) == sorted(root.keys()) == ["a", "x"]
    assert list(root.array_keys()) == ["x"]
    assert list(root.group_keys()) == ["a"]
    assert [array.path for array in root.array_values()] == ["x"]
    assert [group.path for group in root.group_values()] == ["a"]
    assert {path for path, _ in root.members(max_depth=None)} == {"a", "a/y", "x"}
    assert (len(root), root.nmembers(max_depth=None)) == (2, 3)
    assert ("x" in root, "a/y" in root, "z" in root) == (True, True, False)
    with pytest.raises(ValueError, match="max_depth"):
        root.members(max_depth=-1)


def test_a_missing_member_raises_or_is_the_default(root: Group) -> None:
    with pytest.raises(KeyError, match="nope"):
        root["nope"]
    assert root.get("nope") is None
    assert root.get("nope", 1) == 1
    with pytest.raises(ArrayNotFoundError, match="No array found in store"):
        root.get_array("nope")
    with pytest.raises(GroupNotFoundError, match="No group found in store"):
        root.get_group("nope")
    with pytest.raises(ContainsGroupError, match="A group exists in store"):
        root.get_array("a")
    with pytest.raises(ContainsArrayError, match="An array exists in store"):
        root.get_group("x")


def test_what_is_no_node_causes_a_warning(root: Group) -> None:
    kind = default_buffer_prototype().buffer
    sync(root.store.set("junk/file", kind.from_bytes(b"1")))
    with pytest.warns(ZarrUserWarning, match="junk is not recognized as a component"):
        found = root.members()
    assert sorted(dict(found)) == ["a", "x"]


def test_groups_are_equal_if_their_place_and_metadata_are(root: Group) -> None:
    assert root["a"] == root["a"]
    assert root["a"] != root
    root["a"].attrs["k"] = 1
    again, other = root["a"], root["a"]
    other.attrs["k"] = 2
    assert again != other
    assert root["a"] == other


def test_metadata_follows_the_attributes(root: Group) -> None:
    found = root.metadata
    assert root.metadata is found
    root.attrs["k"] = 1
    root.update_attributes({"m": [2]})
    assert root.metadata is found
    assert found.attributes == {"k": 1, "m": [2]}
    assert root.attrs.asdict() == zarr.open_group(root.store).attrs.asdict() == found.attributes


def test_a_tuple_that_was_assigned_is_read_as_a_tuple(root: Group) -> None:
    for node in (root, root["x"]):
        pairs = [(1, 2), [3]]
        node.attrs["range"] = (0.5, float("nan"))
        node.attrs.update([("pairs", pairs)], nested={"a": (1,)})
        node.update_attributes({"more": ("x",), "list": [1]})
        pairs.append("not stored")
        assert node.attrs["pairs"] == [(1, 2), [3]]
        assert node.attrs["range"][0] == 0.5
        assert type(node.attrs["range"]) is tuple
        found = node.attrs.asdict()
        assert (found["nested"], found["more"], found["list"]) == ({"a": (1,)}, ("x",), [1])
        again = zarr.open(root.store, path=node.path)
        assert again.attrs["pairs"] == [[1, 2], [3]]
        again.attrs["pairs"] = [5]
        node.inner.attrs.refresh()
        assert node.attrs["pairs"] == [5]
        node.attrs.put({"more": [1]})
        assert node.attrs.asdict() == {"more": [1]}


@pytest.mark.parametrize("use_copy", [False, True])
def test_verbs_call_a_getitem_that_was_replaced(
    root: Group, monkeypatch: pytest.MonkeyPatch, use_copy: bool
) -> None:
    asked = []
    own = AsyncGroup.getitem

    async def getitem(self: AsyncGroup, key: str) -> Any:
        asked.append(key)
        return await own(self, key)

    monkeypatch.setattr(AsyncGroup, "getitem", getitem)
    assert root["x"][:].tolist() == [1, 2, 3, 4]
    assert root.get("a").path == "a"
    assert root.get("nothing", 5) == 5
    assert asked == ["x", "a", "nothing"]
    if use_copy:
        asked.clear()
        made = consolidated(root)
        assert asked == ["a", "y", "x"]
        assert made.inner.snapshot is not None
        assert [path for path, _ in made.members(None)] == ["a", "a/y", "x"]
    asked.clear()
    assert [path for path, _ in root.members(None)] == ["a", "a/y", "x"]
    assert [path for path, _ in root.members(0)] == ["a", "x"]
    assert asked == ["a", "y", "x", "a", "x"]
    monkeypatch.undo()
    assert root["x"].path == "x"
    assert len(asked) == 5


def test_attributes_can_be_replaced_while_the_loop_runs(root: Group) -> None:
    root.attrs["old"] = 1
    assert asyncio.run(root.update_attributes_async({"new": 2})).attrs.asdict() == {"new": 2}


def test_a_group_of_metadata_is_written_with_its_first_member() -> None:
    place = StorePath(MemoryStore(), "a")
    group = Group(AsyncGroup(GroupMetadata(), place))
    assert sync(place.is_empty())
    assert group.create_group("b").path == "a/b"
    assert list(zarr.open_group(place.store)) == ["a"]


def test_a_copy_describes_the_nodes_below(root: Group) -> None:
    root["a"].attrs["k"] = 1
    found = consolidated(root).metadata.consolidated_metadata
    assert found is not None
    assert sorted(found.flattened_metadata) == ["a", "a/y", "x"]
    assert found.metadata["x"].shape == (4,)
    below = found.metadata["a"]
    assert below.attributes == {"k": 1}
    assert below.consolidated_metadata.metadata["y"].shape == ()
    again = zarr.open_consolidated(root.store)["a"].metadata
    assert again == below


def test_a_deleted_member_is_in_no_copy(root: Group) -> None:
    group = consolidated(root)
    del group["x"]
    with pytest.raises(KeyError):
        group["x"]
    again = zarr.open_consolidated(root.store)
    for each in (group, again):
        copy = each.metadata.consolidated_metadata
        assert copy is not None
        assert list(copy.metadata) == ["a"]


def test_deleting_a_missing_member_changes_nothing(root: Group) -> None:
    del root["nope"]
    assert sorted(root) == ["a", "x"]


def test_a_copy_that_is_required_must_be_there(root: Group) -> None:
    with pytest.raises(ValueError, match=r"Consolidated metadata requested."):
        zarr.open_group(root.store, use_consolidated=True)


def test_consolidating_says_that_format_3_has_no_such_thing() -> None:
    root = zarr.create_group({})
    root.create_group("a")
    with pytest.warns(ZarrUserWarning, match="is currently not part in the Zarr format 3"):
        zarr.consolidate_metadata(root.store)


def test_new_arrays_have_the_format_of_the_group(root: Group) -> None:
    number = root.metadata.zarr_format
    made = [
        root.create_array("b", shape=(2,), dtype="i4"),
        root.zeros(name="c", shape=(2,)),
        root.ones_like(name="d", data=np.zeros(3, "i1")),
        root.full(name="e", shape=(2,), fill_value=7),
        root.require_array("f", shape=(2,), dtype="i4"),
    ]
    assert {array.metadata.zarr_format for array in made} == {number}
    assert made[2][:].tolist() == [1, 1, 1]
    assert made[3][:].tolist() == [7, 7]
    other = 5 - number
    with pytest.raises(ValueError, match=f"zarr_format={other} array in a zarr_format={number}"):
        root.zeros(name="g", shape=(2,), zarr_format=other)


def test_a_required_member_must_match(root: Group) -> None:
    assert root.require_array("x", shape=4, dtype="i2") == root["x"]
    assert root.require_array("x", shape=4, dtype="i8")[0] == 1
    for words, match in (
        ({"shape": 4, "dtype": "i8", "exact": True}, "Incompatible dtype"),
        ({"shape": 4, "dtype": "i1"}, "Incompatible dtype"),
        ({"shape": 5, "dtype": "i2"}, "Incompatible shape"),
    ):
        with pytest.raises(TypeError, match=match):
            root.require_array("x", **words)
    with pytest.raises(TypeError, match="Incompatible object"):
        root.require_array("a", shape=4)
    with pytest.raises(TypeError, match="Incompatible object"):
        root.require_group("x")
    assert root.require_group("a") == root["a"]
    assert [group.path for group in root.require_groups("a", "new")] == ["a", "new"]


@pytest.mark.parametrize("verb", ["create_array", "create_group"])
def test_nothing_can_be_below_an_array(root: Group, verb: str) -> None:
    words: dict[str, Any] = {"shape": 2, "dtype": "i4"} if verb == "create_array" else {}
    match = "A parent of .* is an array - only groups may have child nodes"
    with pytest.raises(ContainsArrayError, match=match):
        getattr(root, verb)("x/y/z", **words)


def test_an_assigned_value_replaces_a_node(root: Group) -> None:
    root["x"] = np.ones((2, 3))
    root["l"] = [1, 2]
    assert root["x"].shape == (2, 3)
    assert root["l"][:].tolist() == [1, 2]


def test_a_description_counts_the_nodes_below(root: Group) -> None:
    number = root.metadata.zarr_format
    lines = ["Type        : Group", f"Zarr format : {number}", "Store type  : MemoryStore"]
    assert set(lines) <= set(repr(root.info).splitlines())
    assert "No. members" not in repr(root.info)
    counts = ["No. members : 3", "No. arrays  : 2", "No. groups  : 1"]
    assert repr(root.info_complete()).splitlines()[-3:] == counts
    assert repr(consolidated(root).info).splitlines()[-3:] == counts


def test_a_drawing_escapes_names_in_html() -> None:
    root = zarr.create_group({})
    root.create_array("<b>/x", shape=(2,), dtype="f8")
    drawn = root.tree()
    assert repr(drawn).splitlines() == ["/", "└── <b>", "    └── x (2,) float64"]
    html = drawn._repr_mimebundle_()["text/html"]
    assert "<b>&lt;b&gt;</b>" in html
    assert repr(root.tree(level=0)).splitlines() == ["/", "└── <b>"]
    assert "Truncated at max_nodes=1" in repr(root.tree(max_nodes=1))
    with pytest.raises(NotImplementedError):
        root.tree(expand=True)


@pytest.mark.parametrize("copy", [False, True])
def test_a_group_in_a_folder_is_pickled(tmp_path: Path, copy: bool) -> None:
    root = zarr.create_group(LocalStore(tmp_path), attributes={"k": 1})
    root.create_array("a/x", shape=2, dtype="i4")
    root = consolidated(root) if copy else root
    again = pickle.loads(pickle.dumps(root))
    assert again == root
    assert (again.metadata.consolidated_metadata is None) is not copy
    assert again["a/x"] == root["a/x"]
    assert again["a/x"].store is again.store


def test_awaitable_verbs_do_what_the_others_do(root: Group) -> None:
    async def run(group: AsyncGroup) -> list[Any]:
        new = await group.create_group("b", attributes={"k": 1})
        array = await new.create_array("z", shape=(2,), dtype="i4")
        await group.setitem("w", np.arange(2))
        await group.zeros(name="v", shape=(3,))
        found = [
            sorted([name async for name in group.keys()]),  # noqa: SIM118  (it is no mapping)
            [name async for name in group.array_keys()],
            [name async for name, _ in group.groups()],
            [path async for path, _ in group.members(max_depth=None)],
            await group.nmembers(),
            await group.contains("b/z"),
            (await group.getitem("b/z")) == array,
            (await group.get_group("b")).attrs,
            (await group.get_array("x")).shape,
            await group.get("nope", 5),
        ]
        await group.move("w", "u")
        await group.delitem("v")
        await group.update_attributes({"m": 2})
        return [*found, sorted([name async for name in group.array_keys()]), group.attrs]

    assert asyncio.run(run(root.async_group)) == [
        ["a", "b", "v", "w", "x"],
        ["v", "w", "x"],
        ["a", "b"],
        ["a", "a/y", "b", "b/z", "v", "w", "x"],
        5,
        True,
        True,
        {"k": 1},
        (4,),
        5,
        ["u", "x"],
        {"m": 2},
    ]


def _signature(call: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [
        (each.name, each.kind, each.default) for each in inspect.signature(call).parameters.values()
    ]


def test_groups_create_arrays_with_the_words_of_the_function() -> None:
    method, function = _signature(Group.create_array), _signature(zarr.create_array)
    assert method == _signature(AsyncGroup.create_array) == _signature(Group.create)
    names = [name for name, *_ in method]
    assert names[:2] == ["self", "name"]
    assert {*names, "store", "zarr_format"} == {name for name, *_ in function} | {
        "self",
        "compressor",
    }


def test_groups_of_two_formats_at_one_path_cause_a_warning() -> None:
    kind = default_buffer_prototype().buffer
    values = {
        "zarr.json": b'{"zarr_format": 3, "node_type": "group"}',
        ".zgroup": b'{"zarr_format": 2}',
    }
    store = {name: kind.from_bytes(value) for name, value in values.items()}
    with pytest.warns(ZarrUserWarning, match=r"Both zarr\.json .* and \.zgroup .* exist at"):
        found = zarr.open_group(store, mode="r")
    assert found.metadata.zarr_format == 3


def test_new_nodes_of_format_2_have_a_document_of_attributes(tmp_path: Path) -> None:
    root = zarr.create_group(LocalStore(tmp_path), zarr_format=2)
    array = root.create_array("a/x", shape=2, dtype="i4")
    list(root.create_hierarchy({"b": GroupMetadata(zarr_format=2)}))
    for path in ("", "a", "a/x", "b"):
        assert (tmp_path / path / ".zattrs").read_text() == "{}"
    array.attrs["k"] = 1
    assert zarr.open_array(tmp_path / "a/x").attrs.asdict() == {"k": 1}


def test_names_that_format_3_reserves_cause_no_warning():
    """Any warning fails a test; xarray gives such names to unnamed data."""
    group = zarr.open_group({}, mode="w", zarr_format=3)
    group.create_array("__data__", shape=3, dtype="i1")
    group.create_group("__more__")
    zarr.create_array(group.store, name="__other__", shape=3, dtype="i1")
    dict(zarr.create_hierarchy(store=group.store, nodes={"__all__": group.metadata}))
    assert sorted(group) == ["__all__", "__data__", "__more__", "__other__"]


@pytest.mark.filterwarnings("ignore:Object at .* is not recognized")
def test_an_array_of_format_2_may_be_below_a_group_of_format_3(tmp_path: Path) -> None:
    zarr.create_array(tmp_path, name="a/new", data=np.arange(3))
    old = zarr.create_array(tmp_path, name="a/old", shape=3, dtype="i4", zarr_format=2)
    old[:] = 5
    assert zarr.open_array(tmp_path / "a/old", mode="r")[:].tolist() == [5, 5, 5]
    # Each group has the members of its format, and those of format 3 come first, as before.
    below = {2: ["a", "a/old"], 3: ["a", "a/new"]}
    for number, names in below.items():
        group = zarr.open_group(tmp_path, mode="r", zarr_format=number)
        assert sorted(path for path, _ in group.members(None)) == names
    with pytest.warns(ZarrUserWarning, match=r"Both zarr\.json"):
        assert zarr.open_group(tmp_path, mode="r").metadata.zarr_format == 3


@pytest.mark.parametrize("kind", ["array", "group"])
def test_no_group_of_format_2_is_hidden_by_one_of_format_3(tmp_path: Path, kind: str) -> None:
    zarr.create_array(tmp_path, name="a/old", data=np.arange(3), zarr_format=2)
    words: dict[str, Any] = {"shape": 3, "dtype": "i4", "name": "a/new"}
    if kind == "group":
        words = {"path": "a/new"}
    with pytest.raises(MetadataValidationError, match="must be 2, the format of group '/'"):
        getattr(zarr, f"create_{kind}")(tmp_path, zarr_format=3, **words)
    assert list(zarr.open_group(tmp_path, mode="r").members(None)) != []
    assert not list(tmp_path.rglob("zarr.json"))


def test_a_root_that_was_cleared_is_made_again_with_its_attributes() -> None:
    store = MemoryStore()
    root = zarr.open_group(store, mode="w")
    root.attrs.setdefault("kind", "anndata")
    sync(store.clear())
    assert dict(root.require_group("/").attrs) == {}
    root["/"].attrs.setdefault("kind", "anndata")
    assert dict(zarr.open_group(store).attrs) == {"kind": "anndata"}
