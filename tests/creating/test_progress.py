"""The argument ``progress`` of functions that write data."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

import fastzarr as zarr

DATA = np.arange(1000.0).reshape(10, 100)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("fastzarr.grids.regions._PIECE", 2000)


@pytest.fixture(params=["memory", "folder", "mapping"])
def store(request, tmp_path):
    return {"memory": zarr.MemoryStore(), "folder": tmp_path / "x", "mapping": {}}[request.param]


def is_complete(calls, total):
    """Whether calls begin at 0, never go back, and end at the total, in more than one step."""
    dones = [done for done, _ in calls]
    return (
        {total for _, total in calls} == {total}
        and dones == sorted(dones)
        and (dones[0], dones[-1]) == (0, total)
        and len(set(dones)) > 2
    )


def write(verb, store, progress):
    if verb == "create_array":
        zarr.create_array(store, data=DATA, chunks=(2, 100), progress=progress)
    elif verb == "from_array":
        zarr.from_array(store, data=zarr.array(DATA, chunks=(2, 100)), progress=progress)
    elif verb == "array":
        zarr.array(DATA, store=store, chunks=(2, 100), progress=progress)
    elif verb == "save_array":
        zarr.save_array(store, DATA, chunks=(2, 100), progress=progress)
    elif verb == "member":
        zarr.create_group(store).create_array("x", data=DATA, chunks=(2, 100), progress=progress)
    elif verb == "save":
        zarr.save(store, DATA, b=DATA[:5], progress=progress)
        return 12000
    elif verb == "save group":
        source = zarr.group()
        source.create_array("x", data=DATA, chunks=(2, 100))
        zarr.save(store, source, progress=progress)
    else:
        source = zarr.group()
        source.create_array("g/x", data=DATA, chunks=(2, 100))
        source.create_array("y", data=DATA[:5], chunks=(1, 100))
        root = zarr.create_group(store)
        if verb == "copy_all":
            zarr.copy_all(source, root, progress=progress)
            return 12000
        zarr.copy(source["g"], root, progress=progress)
    return 8000


VERBS = ("create_array", "from_array", "array", "save_array", "member", "save", "save group")
VERBS += ("copy_all", "copy")


@pytest.mark.parametrize("verb", VERBS)
def test_a_callable_hears_of_each_piece(verb, store):
    calls = []
    total = write(verb, store, lambda *numbers: calls.append(numbers))
    assert is_complete(calls, total)


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_callable_raises_ends_the_call(verb, store):
    def stop(done, total):
        if 0 < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(verb, store, stop)
    arrays = [
        node for _, node in zarr.open_group(store, mode="a").members(None) if hasattr(node, "shape")
    ]
    assert arrays == [] or verb.startswith(("copy", "save"))
    assert all(array[...].tolist() in (DATA.tolist(), DATA[:5].tolist()) for array in arrays)


@pytest.mark.parametrize("verb", VERBS)
def test_without_progress_nothing_is_shown(verb, store, capsys):
    write(verb, store, None)
    write(verb, {}, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verb", ["create_array", "member", "copy_all"])
def test_other_values_are_refused_before_anything_is_written(verb):
    store = {}
    with pytest.raises(TypeError, match="progress= must be True"):
        write(verb, store, "bar")
    assert not any("x" in key.split("/") or "y" in key.split("/") for key in store)


def test_an_array_called_progress_is_saved():
    for words in ({"progress": DATA}, {"progress": [1, 2], "b": DATA}):
        store = {}
        zarr.save(store, **words)
        assert (
            zarr.open_group(store)["progress"][:].tolist() == np.asarray(words["progress"]).tolist()
        )


def test_copies_from_and_to_hdf5(tmp_path):
    """What is left out, or is skipped, counts as done at the end."""
    with h5py.File(tmp_path / "a.h5", "w") as file, h5py.File(tmp_path / "b.h5", "w") as other:
        file.create_dataset("x", data=DATA, chunks=(2, 100))
        file["long"] = np.zeros(1000, np.longdouble)
        dest, calls = zarr.group(), []
        zarr.copy_all(file, dest, on_error="skip", progress=lambda *numbers: calls.append(numbers))
        assert calls[0][0] == 0
        assert calls[-1][0] == calls[-1][1] >= 8000
        calls.clear()
        zarr.copy_all(dest, other, progress=lambda *numbers: calls.append(numbers))
        assert is_complete(calls, 8000)


def test_a_dry_run_counts_and_writes_nothing():
    source, dest, calls = zarr.group(), zarr.group(), []
    source["x"] = DATA
    zarr.copy_all(source, dest, dry_run=True, progress=lambda *numbers: calls.append(numbers))
    assert calls == [(0, 8000)]
    assert list(dest) == []


def test_arrays_without_elements():
    calls = []
    empty = np.zeros((0, 3))
    zarr.create_array({}, data=empty, progress=lambda *numbers: calls.append(numbers))
    zarr.save({}, empty, empty, progress=lambda *numbers: calls.append(numbers))
    assert set(calls) == {(0, 0)}


@pytest.mark.parametrize("library", ["tqdm", "rich", "neither"])
def test_a_bar(library, monkeypatch, capsys):
    if library == "neither":
        monkeypatch.setitem(sys.modules, "rich", None)
        monkeypatch.setitem(sys.modules, "rich.console", None)
    else:
        pytest.importorskip(library)
    if library != "tqdm":
        monkeypatch.setitem(sys.modules, "tqdm", None)
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    zarr.create_array({}, name="temperature", data=DATA, chunks=(2, 100), progress=True)
    shown = capsys.readouterr()
    assert "writing /temperature" in shown.err
    assert shown.out == ""
    assert ("100%" in shown.err) == (library != "rich")


def test_a_bar_is_closed_by_an_error(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)

    class Broken:
        shape, dtype = (2,), np.dtype("f8")

        def __getitem__(self, region):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        zarr.create_array({}, data=Broken(), progress=True)
    assert capsys.readouterr().err == "\rwriting /:   0% of 0.0 MB\n"


def test_the_libraries_of_bars_are_imported_late():
    code = (
        "import sys, fastzarr; fastzarr.create_array({}, data=[1]); "
        "print([name for name in ('rich', 'tqdm') if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
