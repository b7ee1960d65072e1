"""Verbs that read or write whole trees on S3, beside writers that share no lock with them.

Each store has locks of its own, as in another process.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from waits import PATIENCE, join

import fastzarr as zarr
from fastzarr.stores import ObjectStore, place

WRITERS, ROUNDS = 3, 4
# Writers are told that they end the copies of the metadata.
pytestmark = pytest.mark.filterwarnings("ignore:the consolidated metadata")


@pytest.fixture
def another(s3):
    """Return a function that returns a store as that of another process."""

    def make():
        store = ObjectStore(s3.url, storage_options=s3.obstore())
        vars(store)["_place"] = place.own()
        return store

    return make


def beside(writers, work):
    """Run writers in threads, and a function again and again until they have ended, and once more.

    Return the results; raise what a writer has raised.
    """
    failed = []

    def run(writer):
        try:
            writer()
        except BaseException as error:  # noqa: BLE001  (raised below)
            failed.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    results, end = [], time.monotonic() + PATIENCE
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        results.append(work())
    join(*threads)
    if failed:
        raise failed[0]
    return [*results, work()]


def test_metadata_is_consolidated_beside_writers(another):
    """No node and no attribute is lost, and what is consolidated at last is up to date."""
    zarr.create_group(another())

    def writer(number):
        def write():
            group = zarr.open_group(another(), mode="r+", use_consolidated=False)
            for count in range(ROUNDS):
                name = f"w{number}-{count}"
                group.create_array(name, shape=4, dtype="i4", attributes={"by": number})
                group[name].attrs["count"] = count
                group.attrs[name] = count

        return write

    def consolidate():
        zarr.consolidate_metadata(another())

    beside([writer(number) for number in range(WRITERS)], consolidate)
    expected = {f"w{w}-{c}": {"by": w, "count": c} for w in range(WRITERS) for c in range(ROUNDS)}
    for consolidated in (False, True):
        group = zarr.open_group(another(), mode="r", use_consolidated=consolidated)
        assert {name: dict(found.attrs) for name, found in group.members()} == expected
        assert dict(group.attrs) == {name: one["count"] for name, one in expected.items()}


@pytest.mark.parametrize("verb", ["copy", "copy_store"])
def test_a_tree_is_copied_beside_its_writers(another, verb):
    """Each chunk of the copy is one that was written, and the last copy has the last ones."""
    zarr.create_group(another())
    source = zarr.create_group(another(), path="source")
    for number in range(WRITERS):
        source.create_array(f"a{number}", data=np.zeros(40, "i4"), chunks=10, fill_value=-1)

    def writer(number):
        def write():
            array = zarr.open_array(another(), path=f"source/a{number}")
            for count in range(1, ROUNDS + 1):
                array[:] = count
                array[5] = count

        return write

    copies = iter(range(1000))

    def copy():
        name = f"copy{next(copies)}"
        if verb == "copy":
            store = another()
            group = zarr.open_group(store, path="source", mode="r")
            zarr.copy(group, zarr.open_group(another()), name=name)
        else:
            zarr.copy_store(another(), another(), source_path="source", dest_path=name)
        return name

    names = beside([writer(number) for number in range(WRITERS)], copy)
    root = zarr.open_group(another(), mode="r", use_consolidated=False)
    assert {name for name, _ in root.members()} == {"source", *names}
    for name in names:
        copied = root[name]
        assert len(copied) == WRITERS
        for _, array in copied.members():
            blocks = array[:].reshape(4, 10)
            assert (blocks == blocks[:, :1]).all()
            assert ((blocks >= 0) & (blocks <= ROUNDS)).all()
    assert all((array[:] == ROUNDS).all() for _, array in root[names[-1]].members())


def test_trees_are_copied_into_one_group_beside_its_writers(another):
    """The members that others create in the group of the copies are kept."""
    zarr.create_group(another())
    zarr.create_array(another(), name="source/a", data=np.arange(40), chunks=10)

    def copier(number):
        def copy():
            zarr.copy_store(another(), another(), source_path="source", dest_path=f"into/c{number}")

        return copy

    def creator():
        group = zarr.open_group(another(), path="into", mode="a")
        for count in range(ROUNDS):
            group.create_array(f"n{count}", data=np.arange(4))

    beside([*map(copier, range(WRITERS)), creator], lambda: None)
    found = zarr.open_group(another(), path="into", mode="r")
    assert sorted(found) == [f"c{n}" for n in range(WRITERS)] + [f"n{n}" for n in range(ROUNDS)]
    for number in range(WRITERS):
        assert found[f"c{number}/a"][:].tolist() == list(range(40))
