"""Formats: objects that the rest of the package uses instead of comparing numbers."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import fastzarr
from fastzarr import checked, errors
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.dtypes import from_numpy
from fastzarr.grids.keys import ChunkKeys
from fastzarr.metadata import formats
from fastzarr.metadata.format import Format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCE = Path(__file__).parents[2] / "src" / "fastzarr"


class Toy(Format):
    """A format with one document, ``toy.json``, for arrays of one chunk."""

    number = 99
    attributes = "toy.json"
    documents: ClassVar = {"array": ("toy.json",), "group": ("toy.json",)}
    data_type = "type"

    def parse(self, documents: Mapping[str, dict[str, Any]], where: Callable[[str], str]) -> Any:
        """Return the layout of a ``toy.json``."""
        del where
        doc = documents["toy.json"]
        if "size" not in doc:
            return GroupLayout(self, doc["attributes"])
        dtype = from_numpy(doc["type"])
        chunks = (doc["size"],)
        return Layout(
            format=self,
            shape=chunks,
            dtype=dtype,
            chunks=chunks,
            keys=ChunkKeys("v2", "."),
            fill=dtype.default_fill,
            codecs=resolve_chain(
                [BytesCodec(endian="big")], ChunkSpec(chunks, dtype, dtype.default_fill), ""
            ),
            attributes=doc["attributes"],
        )

    def write(self, node: Any) -> dict[str, dict[str, Any]]:
        """Return the ``toy.json`` of a node."""
        doc: dict[str, Any] = {"attributes": node.attributes}
        if isinstance(node, Layout):
            doc |= {"size": node.shape[0], "type": node.dtype.numpy.str}
        return {"toy.json": doc}


FORMAT = Toy()


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, FORMAT))


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_third_format_is_one_object(kind: str, tmp_path: Path) -> None:
    store = LocalStore(tmp_path) if kind == "local" else MemoryStore()
    store.set("toy.json", json.dumps({"attributes": {"title": "demo"}}).encode())
    store.set("a/toy.json", b'{"size": 3, "type": "<i4", "attributes": {"units": "K"}}')
    store.set("a/0", np.array([1, 2, 3], ">i4").tobytes())

    root = fastzarr.open_group(store, mode="r+")
    assert (root.zarr_format, dict(root.attrs), list(root)) == (99, {"title": "demo"}, ["a"])
    array = root["a"]
    assert array[:].tolist() == [1, 2, 3]
    assert fastzarr.open_array(store, path="a", mode="r", zarr_format=99)[1:].tolist() == [2, 3]
    assert array.filters == array.compressors == ()
    with pytest.raises(TypeError, match="format 99"):
        _ = array.compressor

    array[1] = 7
    array.attrs["units"] = "C"
    array.resize(2)
    root.create_group("b/c", attributes={"x": 1})
    assert np.frombuffer(store["a/0"], ">i4").tolist() == [1, 7, 3]
    assert json.loads(store["a/toy.json"]) == {
        "size": 2,
        "type": "<i4",
        "attributes": {"units": "C"},
    }
    assert [name for name, _ in root.walk()] == ["a", "b", "b/c"]
    assert fastzarr.open_group(store, path="b/c").attrs.key == "b/c/toy.json"
    del root["b"]
    assert sorted(store) == ["a/0", "a/toy.json", "toy.json"]


@pytest.mark.usefixtures("_toy")
def test_missing_features_of_a_third_format_raise_errors_that_name_them() -> None:
    store = MemoryStore()
    root = fastzarr.create_group(store, zarr_format=99)
    with pytest.raises(errors.MetadataError, match=r"zarr_format: .*format 99"):
        root.create_array("a", shape=3, dtype="i4")
    with pytest.raises(
        errors.MetadataError, match="zarr_format: must be 2 or 3 or 99 or 'n5', not 4"
    ):
        fastzarr.open_group(store, zarr_format=4)
    with pytest.raises(errors.GroupNotFoundError, match=r"format 3 .* one of format 99"):
        fastzarr.open_group(store, mode="r", zarr_format=3)
    with pytest.raises(errors.BaseZarrError, match="format 99 has no consolidated metadata"):
        fastzarr.consolidate_metadata(store)
    assert list(store) == ["toy.json"]


@pytest.mark.parametrize("zarr_format", formats.FORMATS, ids=str)
def test_a_format_is_the_same_object_in_every_copy(zarr_format: Format) -> None:
    layout = fastzarr.create_array({}, shape=3, dtype="i4", zarr_format=zarr_format.number).layout
    assert layout.format is zarr_format
    assert pickle.loads(pickle.dumps(layout)).format is zarr_format
    assert copy.deepcopy(layout).format is zarr_format


@pytest.mark.parametrize("zarr_format", formats.FORMATS, ids=str)
def test_what_is_written_as_one_document_is_read_from_it(zarr_format: Format) -> None:
    words: dict[str, Any] = {"zarr_format": zarr_format.number, "attributes": {"a": 1}}
    for node in (
        fastzarr.create_array({}, shape=3, dtype="i4", **words).layout,
        fastzarr.create_group({}, **words).layout,
    ):
        assert formats.from_dict(zarr_format.to_dict(node)) == node


def test_the_names_of_documents_are_those_of_the_formats() -> None:
    found: dict[str, set[str]] = {}
    for each in formats.FORMATS:
        for kind, names in each.documents.items():
            for name in names:
                found.setdefault(name, set())
            found[names[-1]].add(kind)
        if each.consolidated is not None:
            found.setdefault(each.consolidated, set())
        assert each.attributes in found
    assert found == {name: set(kinds) for name, kinds in checked.DOCUMENTS.items()}


# Where a user's keywords are converted to the layout of a new array, differently in each format.
ASKS = {"api/storage.py", "creating/h5py.py", "creating/layouts.py", "creating/like.py"}
# The test suites for stores write keys like those of nodes.
SPELLS = {"checked.py", "testing/promises.py", "testing/stores.py"}
# What a new format does not concern: these have the interface of a zarr-python, which consists of
# numbers of formats and names of documents.
FACADES = ("compat/", "v2/", "zarr_python/")


def _outside() -> list[tuple[str, ast.Module]]:
    files = [(path.relative_to(SOURCE).as_posix(), path) for path in SOURCE.rglob("*.py")]
    return [
        (name, ast.parse(path.read_text()))
        for name, path in sorted(files)
        if not name.startswith(("metadata/", "dtypes/", *FACADES))
    ]


def _compares_a_number(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    others = [side for side in sides if not (isinstance(side, ast.Constant) and side.value is None)]
    number = re.compile(r"(.*\.)?(zarr_format|zarr_version|format\.number)")
    return len(others) > 1 and any(number.fullmatch(ast.unparse(side)) for side in sides)


def test_no_file_outside_metadata_compares_the_number_of_a_format() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in _outside()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and _compares_a_number(node)
    ]
    assert not found


def test_no_file_outside_metadata_checks_which_format_it_is() -> None:
    found = {
        name
        for name, tree in _outside()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and re.fullmatch(r"fastzarr\.metadata(\.(v\d+|n5))?", node.module or "")
        and (
            node.module != "fastzarr.metadata"
            or any(re.fullmatch(r"v\d+|n5", alias.name) for alias in node.names)
        )
    }
    assert found == ASKS


def test_no_file_outside_metadata_contains_the_name_of_a_document() -> None:
    names = tuple(checked.DOCUMENTS)
    found = set()
    for name, tree in _outside():
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found |= {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
            and node.value.endswith(names)
        }
    assert found == SPELLS


def test_documents_of_both_kinds_are_told_apart() -> None:
    words: dict[str, Any] = {"shape": 3, "dtype": "i4"}
    for each in formats.FORMATS:
        array = fastzarr.create_array({}, zarr_format=each.number, **words).layout
        group = fastzarr.create_group({}, zarr_format=each.number).layout
        for node in (array, group):
            *_, name = each.names(node.node_type)
            document = each.write(node)[name]
            assert checked.is_array(name, document) is (node is array)
    assert not checked.is_array("zarr.json", None)
