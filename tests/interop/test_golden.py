"""Arrays written by zarr-python 2.18 can be opened, and read as zarr-python 2.18 reads them.

golden/make_zarr2.py wrote the hierarchy. zarr2.npz has its arrays, except those of objects, which
are listed below.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop.cases import same_type

import fastzarr
from fastzarr.errors import PickleCodecDisabledError

_GOLDEN = Path(__file__).parent.parent / "golden"
with np.load(_GOLDEN / "zarr2.npz", allow_pickle=False) as _archive:
    EXPECTED = dict(_archive)

_TEXT = ["", "ä", None, "\U0001f600", "a\0b"]
_TREES = [{"a": [1, 2.5]}, [None, True], "text", 7, None]
OBJECTS: dict[str, list[Any]] = {
    # Missing strings were stored as empty strings.
    "vlen_utf8": ["" if text is None else text for text in _TEXT],
    "vlen_utf8_filled": ["x", "y", "z", "fill", "fill"],
    "vlen_utf8_order_F": [["a", "bb"], ["ccc", ""], ["e", "ä"]],
    "vlen_bytes": [b"", b"a", b"\0\0", b"\xff", b"abc"],
    "json": _TREES,
    "msgpack": _TREES,
    "pickle": _TREES,
}


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "zarr2"
    with zipfile.ZipFile(_GOLDEN / "zarr2.zip") as archive:
        archive.extractall(path)
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return the extracted hierarchy, which must not be modified."""
    path = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(_GOLDEN / "zarr2.zip") as archive:
        archive.extractall(path)
    return path


@pytest.mark.parametrize("name", EXPECTED)
def test_an_array_reads_as_in_zarr_2(name, shared):
    expected = EXPECTED[name]
    array = fastzarr.open_array(shared / name, mode="r")
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    found = np.empty(expected.shape, expected.dtype)
    found[...] = array[...]
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", EXPECTED)
def test_parts_of_an_array_read_as_in_zarr_2(name, shared):
    expected = EXPECTED[name]
    array = fastzarr.open_group(shared, mode="r")[name]
    part = tuple(slice(n // 3, n - 1) for n in expected.shape)
    found = np.empty(expected[part].shape, expected.dtype)
    found[...] = array[part]
    assert found.tobytes() == expected[part].tobytes()


def test_an_array_can_be_written_again(golden):
    root = fastzarr.open_group(golden, mode="r+")
    for name, expected in EXPECTED.items():
        array = root[name]
        array[...] = expected[tuple(slice(None, None, -1) for _ in expected.shape)]
        array[...] = expected
        found = np.empty(expected.shape, expected.dtype)
        found[...] = array[...]
        assert (name, found.tobytes()) == (name, expected.tobytes())


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_read_as_in_zarr_2(name, shared):
    array = fastzarr.open_array(shared / "objects" / name, mode="r", allow_pickle=name == "pickle")
    assert array[...].tolist() == OBJECTS[name]
    assert array[1:].tolist() == OBJECTS[name][1:]


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_can_be_written_again(name, golden):
    path = golden / "objects" / name
    array = fastzarr.open_array(path, mode="r+", allow_pickle=name == "pickle")
    values = np.empty(array.shape, object)
    values[...] = OBJECTS[name]
    array[...] = values
    array[-1] = values[0]
    values[-1] = values[0]
    again = fastzarr.open_array(path, mode="r", allow_pickle=name == "pickle")
    assert again[...].tolist() == values.tolist()


def test_arrays_in_an_array_read_as_in_zarr_2(shared):
    array = fastzarr.open_array(shared / "objects" / "vlen_array", mode="r")
    assert [(part.dtype, part.tolist()) for part in array[...]] == [
        (np.dtype("<i4"), list(range(count))) for count in range(5)
    ]


def test_text_comes_as_the_string_type_of_numpy(shared):
    array = fastzarr.open_array(shared / "objects" / "vlen_utf8", mode="r")
    assert array.dtype == np.dtypes.StringDType()
    assert same_type(array[...].dtype, array.dtype)


def test_nothing_is_unpickled_unasked(shared):
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle"):
        fastzarr.open_array(shared / "objects" / "pickle", mode="r")[...]
    # Other permissions of the group do not include unpickling.
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle"):
        fastzarr.open_group(shared, mode="r")["objects/pickle"][...]


@pytest.mark.parametrize("opener", ["open_group", "open_consolidated"])
def test_the_hierarchy_opens_with_its_names_and_attributes(opener, shared):
    root = getattr(fastzarr, opener)(shared, mode="r")
    assert sorted(root.group_keys()) == [
        "compressors",
        "data_types",
        "deep",
        "filters",
        "layouts",
        "objects",
        "structured",
    ]
    assert list(root.array_keys()) == []
    attributes = {"title": "Bär", "version": 2, "missing": None, "sizes": [1, 2.5]}
    assert dict(root.attrs) == attributes | {"nested": {"a": {"b": []}}}
    names = {f"{group}/{name}" for group in root for name in root[group].array_keys()}
    known = {name for name in EXPECTED if name.count("/") == 1}
    assert names == known | {f"objects/{name}" for name in [*OBJECTS, "vlen_array"]}
    assert dict(root["deep/er/still/array"].attrs) == {"units": "m", "_ARRAY_DIMENSIONS": ["x"]}


def test_numbers_that_json_lacks_are_read_from_attributes(shared):
    values = fastzarr.open_group(shared / "deep/er/still", mode="r").attrs["not a number"]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data_types/bool", True),
        ("data_types/i8_big", 7),
        ("data_types/f4_fill_inf", math.inf),
        ("data_types/U3_little", "ü?"),
        ("data_types/S3", b"q"),
        ("data_types/S3_default", b""),
        ("layouts/null_fill", None),
        ("layouts/nothing_written", 3),
        ("objects/vlen_utf8_filled", "fill"),
        ("objects/json", None),
    ],
)
def test_fill_values_are_those_of_zarr_2(name, expected, shared):
    assert fastzarr.open_array(shared / name, mode="r").fill_value == expected
