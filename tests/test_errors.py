"""Errors derive from those that Python, NumPy and zarr-python 2 and 3 raise instead."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import LocalStore, MemoryStore, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = {
    errors.ArrayNotFoundError: (ValueError, FileNotFoundError),
    errors.GroupNotFoundError: (ValueError, FileNotFoundError),
    errors.PathNotFoundError: (ValueError, FileNotFoundError),
    errors.ContainsArrayError: (ValueError, FileExistsError),
    errors.ContainsGroupError: (ValueError, FileExistsError),
    errors.ReadOnlyError: (ValueError, PermissionError),
    errors.BoundsCheckError: (ValueError, IndexError),
    errors.SelectionError: (ValueError, IndexError),
    errors.MetadataError: (ValueError,),
    errors.ChunkIOError: (ValueError, OSError),
    errors.ChunkMemoryError: (ValueError, MemoryError),
}


@pytest.mark.parametrize(("error", "kinds"), KINDS.items())
def test_an_error_is_of_every_kind_that_is_caught_for_it(
    error: type[Exception], kinds: tuple[type[Exception], ...]
) -> None:
    assert issubclass(error, errors.BaseZarrError)
    assert all(issubclass(error, kind) for kind in kinds)


def test_a_metadata_error_has_its_location_and_survives_pickling() -> None:
    error = errors.LimitError("is too large", "a/zarr.json: shape[0]")
    assert str(error) == "a/zarr.json: shape[0]: is too large"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.where) == (type(error), str(error), error.where)
    error.store = "file:///data/x.zarr"
    assert str(error) == "file:///data/x.zarr/a/zarr.json: shape[0]: is too large"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where, again.store) == (str(error), error.where, error.store)


def test_every_error_and_warning_documents_when_it_is_raised() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert kind.__doc__, name


def test_too_many_indices_is_raised_by_zarr_python_2s_function() -> None:
    with pytest.raises(IndexError, match="expected 1, got 2"):
        errors.err_too_many_indices((0, 0), (3,))


class Plain(Store):
    """A store of four verbs."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, bytes] = {}

    def _get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.values[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.values.pop(key, None)

    def _list(self, prefix: str) -> list[str]:
        return [key for key in self.values if not prefix or key.startswith(f"{prefix}/")]

    def __str__(self) -> str:
        return "plain://here"


@pytest.fixture(params=["folder", "memory", "four verbs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made = {"folder": lambda: LocalStore(tmp_path), "memory": MemoryStore, "four verbs": Plain}
    return made[request.param]()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_error_of_a_document_names_the_store(store: Store, zarr_format: int) -> None:
    """Whatever reads it: opening, listing, creating, or a change through an open handle."""
    root = zarr.group(store, zarr_format=zarr_format)
    z = root.create_array("a/b", data=[1, 2, 3])
    name = "zarr.json" if zarr_format == 3 else ".zarray"
    key = f"a/b/{name}"
    valid = store[key]
    calls: list[Callable[[], Any]] = [
        lambda: zarr.open_array(store, path="a/b"),
        lambda: zarr.open_group(store)["a/b"],
        lambda: root["a/b"],
        lambda: root.create_array("a/b", shape=1, dtype="i1"),
        lambda: root.create_array("a/b/c", shape=1, dtype="i1"),
        lambda: z.resize(5),
        lambda: z.append([4]),
        z.refresh,
    ]
    if store.validator is not None:  # a write looks whether the document is the same
        calls.append(lambda: z.__setitem__(0, 4))
    if zarr_format == 3:
        calls.append(lambda: z.attrs.update(x=1))
    json = b'"shape": [\n'
    assert json in valid
    for broken in (b"{", valid.replace(json, b'"shape": ["x", ')):
        store[key] = broken
        for call in calls:
            with pytest.raises(errors.MetadataError) as caught:
                call()
            assert str(caught.value).startswith(f"{store}/{key}: "), call
            assert caught.value.where.startswith(key)
            assert caught.value.store == str(store)
    with zarr.config.set({"limits.document_bytes": 5}), pytest.raises(errors.LimitError) as caught:
        root["a/b"]
    assert str(caught.value).startswith(f"{store}/{key}: ")


def test_an_error_of_consolidated_metadata_names_the_store(store: Store) -> None:
    zarr.group(store).create_array("a", data=[1])
    zarr.consolidate_metadata(store)
    store["zarr.json"] = store["zarr.json"].replace(b'"shape": [', b'"shape": [-1, ')
    with pytest.raises(errors.MetadataError) as caught:
        zarr.open_consolidated(store)["a"]
    assert str(caught.value).startswith(f"{store}/zarr.json: consolidated_metadata.")


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_an_error_of_a_chunk_names_the_store(store: Store, path: str) -> None:
    z = zarr.create_array(store, name="a", data=[1, 2, 3], chunks=2)
    store["a/c/0"] = b"x"
    with zarr.config.set({"data_path": path}):
        for call in (lambda: z[:], lambda: z.__setitem__(0, 4)):
            with pytest.raises(errors.ChunkError) as caught:
                call()
            assert str(caught.value).startswith(f"{store}: array '/a', chunk (0,), key 'a/c/0'")
            assert pickle.loads(pickle.dumps(caught.value)).store == str(store)
