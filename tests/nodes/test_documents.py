"""Documents in a store: what is written, in which order, and how it is patched."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr import errors
from fastzarr.config import config
from fastzarr.metadata.formats import FORMATS, others
from fastzarr.metadata.layout import GroupLayout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.nodes import documents
from fastzarr.stores import KVStore, LocalStore, MemoryStore

if TYPE_CHECKING:
    from fastzarr.metadata.format import Format


class Recording(MemoryStore):
    """A store that records the order of changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def _set(self, key: str, value: Any) -> None:
        self.changes.append(f"set {key}")
        super()._set(key, value)

    def _delete(self, key: str) -> None:
        self.changes.append(f"delete {key}")
        super()._delete(key)


def test_a_missing_node_is_loaded_as_none() -> None:
    assert documents.load(MemoryStore(), "a") is None


@pytest.mark.parametrize("zarr_format", FORMATS, ids=str)
def test_a_saved_node_can_be_loaded(zarr_format: Format) -> None:
    store = MemoryStore()
    saved = GroupLayout(zarr_format, {"a": [1, None, "x"]})
    documents.save(store, "a/b", saved)
    assert documents.load(store, "a/b", zarr_format) == saved
    assert all(documents.load(store, "a/b", other) is None for other in others(zarr_format))


def test_of_documents_of_both_formats_the_newer_one_counts() -> None:
    store: dict[str, bytes] = {}
    fastzarr.create_array(store, shape=2, dtype="i4", zarr_format=2)
    older = dict(store)
    fastzarr.create_array(store, shape=2, dtype="i8", zarr_format=3, overwrite=True)
    store |= older
    assert sorted(store) == [".zarray", "zarr.json"]
    assert fastzarr.open_array(store, mode="r").dtype == "i8"
    assert fastzarr.open_array(store, mode="r", zarr_format=2).dtype == "i4"


def test_the_visible_document_of_format_2_is_written_last() -> None:
    store = Recording()
    documents.save(store, "a", GroupLayout(V2, {"x": 1}))
    assert store.changes == ["set a/.zattrs", "set a/.zgroup"]


def test_an_update_writes_only_what_changed() -> None:
    store = Recording()
    documents.save(store, "a", GroupLayout(V2, {"x": 1}))
    store.changes.clear()
    documents.update(store, "a", lambda found: replace(found, attributes={"x": 2}))
    assert store.changes == ["set a/.zattrs"]
    documents.update(store, "a", lambda found: replace(found, attributes={}))
    assert store.get("a/.zattrs") is None


def test_an_update_keeps_unchanged_members_exactly() -> None:
    # The only form that zarr-python 3.1 writes and reads; fastzarr itself writes `struct`.
    doc: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2],
        "data_type": {"name": "structured", "configuration": {"fields": [["a", "int32"]]}},
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
        "chunk_key_encoding": "default",
        "fill_value": "AQAAAA==",
        "codecs": ["bytes"],
        "attributes": {"x": 1},
        "storage_transformers": [],
    }
    store = {"zarr.json": json.dumps(doc).encode()}
    z = fastzarr.open_array(store, mode="r+")
    z.attrs["x"] = True
    z.resize(3)
    found = json.loads(store["zarr.json"])
    del doc["storage_transformers"]
    assert found == doc | {"shape": [3], "attributes": {"x": True}}
    assert found["attributes"]["x"] is True
    assert z[:].tolist() == [(1,), (1,), (1,)]


def test_an_update_keeps_the_spelling_of_non_finite_numbers() -> None:
    doc = fastzarr.zeros(2, dtype="f4", zarr_format=2, chunks=2).store[".zarray"]
    loose = doc.replace(b'"fill_value": 0.0', b'"fill_value": NaN')
    assert loose != doc
    store = {".zarray": loose}
    fastzarr.open_array(store, mode="r+").resize(3)
    assert math.isnan(json.loads(store[".zarray"])["fill_value"])


def test_an_update_of_a_missing_node_raises() -> None:
    with pytest.raises(
        errors.PathNotFoundError, match=r"the node '/a' no longer exists in memory://"
    ):
        documents.update(MemoryStore(), "a", lambda found: found)


def test_the_visible_document_is_deleted_first() -> None:
    store = Recording()
    z = fastzarr.zeros((4,), chunks=2, store=store, path="a")
    z[:] = 1
    store.changes.clear()
    documents.delete(store, "a")
    assert store.changes[0] == "delete a/zarr.json"
    assert not list(store.list("a"))


def test_a_document_over_the_limit_is_refused_before_it_is_read(tmp_path: Any) -> None:
    reads = []

    class Counting(LocalStore):
        def _get(self, key: str) -> Any:
            reads.append(key)
            return super()._get(key)

    fastzarr.create_group(tmp_path, attributes={"long": "x" * 1000})
    with (
        fastzarr.config.set({"limits.document_bytes": 500}),
        pytest.raises(errors.LimitError, match=r"zarr\.json: \d+ bytes exceed the limit of 500"),
    ):
        documents.load(Counting(tmp_path), "")
    assert reads == []


def test_threads_that_update_one_node_lose_nothing(tmp_path):
    root = fastzarr.create_group(tmp_path / "g")
    array = root.create_array("a", shape=0, chunks=4, dtype="i4")

    def work(number):
        for step in range(10):
            root.attrs[f"{number}.{step}"] = step
            fastzarr.open_array(tmp_path / "g" / "a").attrs[f"{number}.{step}"] = step

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(fastzarr.open_group(tmp_path / "g").attrs) == 40
    assert len(array.refresh().attrs) == 40


@pytest.mark.parametrize("zarr_format", FORMATS, ids=str)
@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_patch_is_repeated_on_the_document_of_another_writer(zarr_format, kind, tmp_path):
    store = LocalStore(tmp_path) if kind == "local" else MemoryStore()
    documents.save(store, "a", GroupLayout(zarr_format, {"x": 1}))
    other = LocalStore(tmp_path) if kind == "local" else MemoryStore(store.mapping)
    seen = []

    def patch(found):
        seen.append(found.attributes)
        return replace(found, attributes=found.attributes | {"y": len(seen)})

    documents.update(other, "a", patch)
    documents.update(store, "a", patch)
    assert seen == [{"x": 1}, {"x": 1, "y": 1}]
    assert documents.load(store, "a", zarr_format).attributes == {"x": 1, "y": 2}
    with pytest.raises(ZeroDivisionError):
        documents.update(store, "a", lambda _: 1 // 0)
    assert documents.load(other, "a", zarr_format).attributes == {"x": 1, "y": 2}


_VALID = {
    "zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {"in": "zarr.json"}},
    ".zarray": {
        "zarr_format": 2,
        "shape": [2],
        "chunks": [2],
        "dtype": "<i4",
        "fill_value": 0,
        "compressor": None,
        "filters": None,
        "order": "C",
    },
    ".zgroup": {"zarr_format": 2},
    ".zattrs": {"in": ".zattrs"},
}


def _put(root: Path, folder: Path, name: str, kind: str) -> None:
    """Put a document into a folder, or something else in its place."""
    at, text = folder / name, json.dumps(_VALID[name])
    if kind == "folder":
        at.mkdir()
    elif kind.startswith("link"):
        to = (root if "inside" in kind else root.parent) / f"there{name}"
        if "nothing" not in kind:
            to.write_text(text)
        at.symlink_to(to)
    elif kind != "missing":
        at.write_text(text + " " * {"small": 0, "large": 1 << 17, "too large": 1 << 19}[kind])


def _outcome(folder: Path, path: str, *, follow: bool, data_path: str) -> Any:
    with config.set({"data_path": data_path, "limits.document_bytes": 1 << 18}):
        try:
            store = LocalStore(folder, follow_symlinks=follow)
            return documents.load(store, path)
        except (errors.BaseZarrError, OSError) as error:
            return type(error), str(error)


_KINDS = ("missing", "small", "large", "too large", "folder")
_LINKS = ("link inside", "link outside", "link inside to nothing", "link outside to nothing")


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.fixed_dictionaries(
        dict.fromkeys(_VALID, st.sampled_from(("missing", "small", *_KINDS, *_LINKS)))
    ),
    path=st.sampled_from(("", "a", "a/b", "file/b", "in/b", "out/b", "missing")),
    follow=st.booleans(),
)
@example(kinds=dict.fromkeys(_VALID, "small"), path="out/b", follow=False)
@example(kinds=dict.fromkeys(_VALID, "missing") | {".zarray": "small"}, path="", follow=False)
def test_documents_read_together_are_those_read_one_by_one(
    kinds: dict[str, str], path: str, follow: bool
) -> None:
    """The extension finds the node, or the error, that Python finds, whatever has the names."""
    with TemporaryDirectory() as above:
        root = Path(above).resolve() / "root"
        (root / "a/b").mkdir(parents=True)
        (root / "file").write_text("")
        (root / "in").symlink_to("a")
        (root.parent / "elsewhere/b").mkdir(parents=True)
        (root / "out").symlink_to(root.parent / "elsewhere")
        at = root / path
        if at.is_dir():
            for name, kind in kinds.items():
                _put(root, at, name, kind)
        found = [_outcome(root, path, follow=follow, data_path=way) for way in ("native", "numpy")]
        assert found[0] == found[1]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["local", "memory", "mapping"])
def test_of_several_writers_one_creates_a_node(zarr_format, kind, tmp_path):
    made = {"local": lambda: LocalStore(tmp_path), "memory": MemoryStore, "mapping": KVStore}
    values = {}
    outcomes = []

    def work(number):
        store = made[kind]() if kind == "local" else made[kind](values)
        try:
            fastzarr.create_group(store, zarr_format=zarr_format, attributes={"by": number})
        except errors.ContainsGroupError:
            outcomes.append(None)
        else:
            outcomes.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    (winner,) = [number for number in outcomes if number is not None]
    store = made[kind]() if kind == "local" else made[kind](values)
    assert fastzarr.open_group(store, mode="r").attrs["by"] == winner
