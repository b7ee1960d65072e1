"""Creation of nodes in a store: a replaced node is not lost if the creation fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ContainsArrayError, ContainsGroupError, ZarrUserWarning
from fastzarr.nodes.building import outlasting
from fastzarr.stores import LocalStore, MappingStore, MemoryStore, Store
from fastzarr.stores.place import Locks


class Failing:
    """An array-like object that cannot be read completely."""

    shape = (4,)
    dtype = np.dtype("i4")

    def __getitem__(self, index):
        msg = f"unreadable: {index}"
        raise OSError(msg)


@pytest.fixture(params=[2, 3])
def root(request):
    made = zarr.create_group({}, zarr_format=request.param)
    made["a/x"] = np.arange(4)
    return made


def test_an_array_made_of_the_one_it_replaces_keeps_its_values(root):
    root["a/x"] = root["a/x"]
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    root.create_array("a/x", data=root["a/x"].astype("f8"), chunks=2, overwrite=True)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    zarr.from_array(root.store, name="a/x", data=root["a/x"], overwrite=True, chunks=3)
    assert root["a/x"].chunks == (3,)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    root["a"] = root["a/x"]
    assert root["a"][:].tolist() == [0, 1, 2, 3]


def test_data_that_cannot_be_read_costs_nothing(root):
    with pytest.raises(OSError, match="unreadable"):
        root.create_array("a/x", data=Failing(), overwrite=True)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    with pytest.raises(OSError, match="unreadable"):
        zarr.save(root.store, x=Failing(), y=[1])
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]


def test_only_data_that_may_be_lost_is_read_beforehand(root):
    elsewhere = zarr.array([1, 2])
    assert outlasting(elsewhere, root.store, "a") is elsewhere
    lazy = Failing()
    assert outlasting(lazy, MemoryStore(), "a") is lazy
    assert isinstance(outlasting(root["a/x"], root.store, ""), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a"), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a/x/y"), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a/xy"), zarr.Array)


class Wrapped(Store):
    """A store around another, which does not say so."""

    def __init__(self, inner):
        super().__init__()
        self._get, self._set = inner.get, inner.set
        self._delete, self._list = inner.delete, inner.list

    _get = _set = _delete = _list = None


def _kinds():
    values = {}
    return MemoryStore(values), MappingStore(values)


def _wrapped():
    inner = MemoryStore()
    return Wrapped(inner), inner


def _nested(tmp_path):
    class Slow(LocalStore):  # has no drafts, because it overrides verbs
        draft = None

        def _set(self, key, value):
            super()._set(key, value)

    (tmp_path / "link").symlink_to(tmp_path)
    return Slow(tmp_path), Slow(tmp_path / "link")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["kinds", "wrapped", "link"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_data_that_another_store_reads_from_the_same_place_is_kept(
    kind, turned, zarr_format, tmp_path
):
    pair = {"kinds": _kinds, "wrapped": _wrapped, "link": lambda: _nested(tmp_path)}[kind]()
    one, other = reversed(pair) if turned else pair
    made = zarr.create_array(one, name="a", data=np.arange(6), chunks=2, zarr_format=zarr_format)
    made.attrs["x"] = 1
    source = zarr.open_array(other, path="a")
    again = zarr.create_array(one, name="a", data=source, chunks=3, overwrite=True)
    assert again[:].tolist() == [0, 1, 2, 3, 4, 5]
    zarr.save_group(one, b=zarr.open_array(other, path="a"))
    assert zarr.open_array(one, path="b")[:].tolist() == [0, 1, 2, 3, 4, 5]


def test_data_with_chunks_in_the_target_chunk_store_is_kept():
    chunks = {}
    one = zarr.create(
        shape=6, chunks=2, dtype="i4", store={}, path="a", chunk_store=MemoryStore(chunks)
    )
    one[:] = np.arange(6)
    two = zarr.array(
        one, store={}, path="a", chunk_store=MappingStore(chunks), chunks=3, overwrite=True
    )
    assert two[:].tolist() == [0, 1, 2, 3, 4, 5]


def _make_both(root, name):
    root.create_array(name, data=[1, 2])
    root.create_group(f"group/{name}")
    root.move(f"group/{name}", f"group/{name}moved")
    return root[name][:].tolist(), list(root["group"])


def test_names_that_format_3_reserves_are_used_with_a_warning():
    root = zarr.group(zarr_format=3)
    with pytest.warns(ZarrUserWarning, match=r"'__values__.*reserved in format 3") as caught:
        found = _make_both(root, "__values__")
    assert found == ([1, 2], ["__values__moved"])
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(ZarrUserWarning, match="__x"):
        zarr.save_group({}, __x=[1])
    with pytest.warns(ZarrUserWarning, match="__x"):
        zarr.create_hierarchy(store={}, nodes={"__x": root.layout})


def test_names_that_format_3_reserves_are_names_in_format_2(recwarn):
    root = zarr.group(zarr_format=2)
    assert _make_both(root, "__x") == ([1, 2], ["__xmoved"])
    assert not recwarn.list


CREATIONS = {
    "array 2": lambda store: zarr.create_array(store, data=np.arange(4), chunks=2, zarr_format=2),
    "array 3": lambda store: zarr.create_array(store, shape=4, zarr_format=3),
    "group 2": lambda store: zarr.create_group(store, zarr_format=2),
    "group 3": lambda store: zarr.create_group(store, zarr_format=3),
    "group 2 in place": lambda store: zarr.create_group(store, zarr_format=2, overwrite=True),
}


@pytest.mark.parametrize("second", CREATIONS)
@pytest.mark.parametrize("first", CREATIONS)
def test_of_two_threads_that_create_a_node_in_any_store_one_does(first, second, monkeypatch):
    """One is stopped before it writes its document, until the other has ended or must wait."""
    stopped, met = Event(), Event()
    take = Locks.take

    class Stopping(MappingStore):
        def _set(self, key, value):
            if key in {".zarray", ".zgroup", "zarr.json"} and not stopped.is_set():
                stopped.set()
                assert met.wait(30)
            super()._set(key, value)

    def taking(self, name):
        if stopped.is_set() and isinstance(name, tuple):
            met.set()
        return take(self, name)

    monkeypatch.setattr(Locks, "take", taking)
    store = Stopping({})
    results = []
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(CREATIONS[first], store)
        assert stopped.wait(30)
        other = pool.submit(CREATIONS[second], store)
        other.add_done_callback(lambda _: met.set())
        for future in (one, other):
            try:
                results.append(future.result())
            except (ContainsArrayError, ContainsGroupError) as error:
                results.append(error)
    made = [result for result in results if not isinstance(result, Exception)]
    if second == "group 2 in place":
        assert made[-1] is results[1]
    else:
        assert made == results[:1]
    assert len(set(store.list()) & {".zarray", ".zgroup", "zarr.json"}) == 1
    assert type(zarr.open(store, mode="r")) is type(made[-1])
