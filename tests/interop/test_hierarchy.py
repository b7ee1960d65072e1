"""Groups, attributes and consolidated metadata, exchanged with other libraries both ways."""

from __future__ import annotations

import importlib
import json
import warnings
from typing import Any

import numpy as np
import peers
import pytest
import zarr
import zarrista
from zarrista.store import FilesystemStore

import fastzarr
from fastzarr.dtypes.complexes import NAMES as COMPLEX

TREE: dict[str, dict[str, Any]] = {
    "": {"title": "Bär", "numbers": [1, 2.5, -0.0], "nothing": None},
    "ocean": {"depth": {"units": "m", "positive": "down"}},
    "ocean/deep/cold": {},
    "empty": {"flag": True},
}
ARRAYS: dict[str, dict[str, Any]] = {
    "grid": {"units": "1"},
    "ocean/temperature": {"units": "K", "valid": [-2, 40]},
    "ocean/deep/cold/count": {},
}
VALUES = np.arange(12, dtype="i4").reshape(3, 4)
GROUPS = {*TREE, "ocean/deep"}
LIBRARIES = {"fastzarr": fastzarr, "zarr": zarr}


@pytest.fixture(autouse=True)
def _what_peers_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _write(library: Any, path: Any, zarr_format: int) -> None:
    root = library.create_group(str(path), zarr_format=zarr_format, attributes=TREE[""])
    for name, attributes in TREE.items():
        if name:
            root.create_group(name, attributes=attributes)
    for name, attributes in ARRAYS.items():
        array = root.create_array(
            name, shape=VALUES.shape, chunks=(2, 2), dtype="i4", attributes=attributes
        )
        array[...] = VALUES


def _check(root: Any) -> None:
    members = dict(root.members(max_depth=None))
    assert set(members) == (GROUPS | set(ARRAYS)) - {""}
    assert dict(root.attrs) == TREE[""]
    for name, member in members.items():
        assert dict(member.attrs) == {**TREE, **ARRAYS}.get(name, {})
        if name in ARRAYS:
            np.testing.assert_array_equal(member[...], VALUES)
    assert sorted(root.group_keys()) == ["empty", "ocean"]
    assert sorted(root["ocean"].array_keys()) == ["temperature"]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("writer", "reader"), [("fastzarr", "zarr"), ("zarr", "fastzarr")])
def test_a_hierarchy_is_the_same_in_zarr_python(writer, reader, zarr_format, tmp_path):
    _write(LIBRARIES[writer], tmp_path / "tree", zarr_format)
    _check(LIBRARIES[reader].open_group(str(tmp_path / "tree"), mode="r"))
    _check(LIBRARIES[writer].open_group(str(tmp_path / "tree"), mode="r"))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("writer", "reader"), [("fastzarr", "zarr"), ("zarr", "fastzarr")])
def test_consolidated_metadata_is_the_same_in_zarr_python(writer, reader, zarr_format, tmp_path):
    path = tmp_path / "tree"
    _write(LIBRARIES[writer], path, zarr_format)
    LIBRARIES[writer].consolidate_metadata(str(path))
    # Only the root's own document is left, so the rest is read from its copy.
    for name in [*TREE, *ARRAYS, "ocean/deep"]:
        for document in ("zarr.json", ".zarray", ".zgroup", ".zattrs"):
            if name:
                (path / name / document).unlink(missing_ok=True)
    place = str(path)
    if reader == "fastzarr":
        # In a local store, where checking is cheap, it notices that the documents are missing.
        files = [file for file in path.rglob("*") if file.is_file()]
        place = {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    _check(LIBRARIES[reader].open_consolidated(place, mode="r"))
    _check(LIBRARIES[reader].open_group(place, mode="r", use_consolidated=True))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("writer", "reader"), [("fastzarr", "zarr"), ("zarr", "fastzarr")])
def test_changes_by_one_library_are_seen_by_the_other(writer, reader, zarr_format, tmp_path):
    path = str(tmp_path / "tree")
    _write(LIBRARIES[writer], path, zarr_format)
    root = LIBRARIES[reader].open_group(path, mode="r+")
    root.attrs["added"] = [1, {"two": None}]
    root["ocean"].create_array("salinity", data=VALUES * 2)
    root["grid"].resize((5, 4))
    root["grid"][3:] = 7
    root["ocean/temperature"].attrs["units"] = "degC"
    again = LIBRARIES[writer].open_group(path, mode="r")
    assert dict(again.attrs) == {**TREE[""], "added": [1, {"two": None}]}
    assert again["ocean/temperature"].attrs["units"] == "degC"
    np.testing.assert_array_equal(again["ocean/salinity"][...], VALUES * 2)
    np.testing.assert_array_equal(again["grid"][...], np.vstack([VALUES, np.full((2, 4), 7)]))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_hierarchy_is_the_same_in_zarrista(zarr_format, tmp_path):
    _write(fastzarr, tmp_path, zarr_format)
    root = zarrista.Group.open(FilesystemStore(str(tmp_path)), "/")
    found = {node.path.strip("/"): node for node in root.traverse()}
    assert set(found) == (GROUPS | set(ARRAYS)) - {""}
    assert root.attrs == TREE[""]
    for name, node in found.items():
        assert node.attrs == {**TREE, **ARRAYS}.get(name, {})
        if name in ARRAYS:
            np.testing.assert_array_equal(node[...].to_numpy(), VALUES)


def test_zarrista_reads_consolidated_metadata(tmp_path):
    _write(fastzarr, tmp_path, 3)
    fastzarr.consolidate_metadata(str(tmp_path))
    consolidated = zarrista.Group.open(FilesystemStore(str(tmp_path)), "/").consolidated_metadata
    assert set(consolidated["metadata"]) == (GROUPS | set(ARRAYS)) - {""}
    assert consolidated["metadata"]["grid"]["attributes"] == ARRAYS["grid"]


# Types of ml_dtypes that zarr-python does not support: by name, the libraries that do.
SMALL_TYPES = {
    "bfloat16": ["tensorstore", "zarrista"],
    "float8_e3m4": ["tensorstore", "zarrista"],
    "float8_e4m3": ["zarrista"],
    "float8_e4m3fnuz": ["tensorstore", "zarrista"],
    "float8_e4m3b11fnuz": ["tensorstore", "zarrista"],
    "float8_e4m3fn": ["tensorstore"],
    "float8_e5m2": ["tensorstore", "zarrista"],
    "float8_e5m2fnuz": ["tensorstore", "zarrista"],
    "float8_e8m0fnu": ["zarrista"],
    "float6_e2m3fn": ["zarrista"],
    "float6_e3m2fn": ["zarrista"],
    "float4_e2m1fn": ["tensorstore", "zarrista"],
    "int2": ["tensorstore", "zarrista"],
    "int4": ["tensorstore", "zarrista"],
    "uint2": ["zarrista"],
    "uint4": ["zarrista"],
}


def _document(name: str, zarr_format: int = 3) -> dict[str, Any]:
    codec: dict[str, Any] = {"name": "bytes"}
    if name == "bfloat16":
        codec["configuration"] = {"endian": "big"}
    return {
        "zarr_format": zarr_format,
        "node_type": "array",
        "shape": [4],
        "data_type": name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 1,
        "codecs": [codec],
        "attributes": {},
    }


@pytest.mark.parametrize("name", SMALL_TYPES)
def test_types_of_ml_dtypes_agree(name, tmp_path):
    dtype = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    values = np.array([0.5, 1, 0, 1] if dtype.kind == "V" or "float" in name else [0, 1, 1, 1])
    values = values.astype(dtype)
    array = fastzarr.create_array(
        tmp_path / "here", shape=4, chunks=3, dtype=dtype, fill_value=1, compressors=None
    )
    array[:3] = values[:3]
    for peer in SMALL_TYPES[name]:
        path = tmp_path / peer
        found = peers.PEERS[peer].read(tmp_path / "here").values
        assert (found.dtype, found.tobytes()) == (dtype, values.tobytes())
        peers.PEERS[peer].make(path, _document(name))
        peers.PEERS[peer].update(path, slice(0, 3), values[:3])
        found = fastzarr.open_array(path, mode="r")[...]
        assert (found.dtype, found.tobytes()) == (dtype, values.tobytes())
    with pytest.raises(ValueError, match=name):
        peers.PEERS["zarr"].read(tmp_path / "here")
    for peer in {"tensorstore", "zarrista"} - set(SMALL_TYPES[name]):
        if (peer, name) == ("tensorstore", "float8_e8m0fnu"):
            # It reads the fill value 1 as 2**-64.
            found = peers.PEERS[peer].read(tmp_path / "here").values
            assert (found.dtype, found[3]) == (dtype, 2.0**-64)
        else:
            with pytest.raises(Exception, match=name):
                peers.PEERS[peer].read(tmp_path / "here")


@pytest.mark.parametrize(
    "name", [name for name, others in SMALL_TYPES.items() if "tensorstore" in others]
)
def test_types_of_ml_dtypes_agree_in_format_2(name, tmp_path):
    dtype = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    values = np.array([0, 1, 1, 1]).astype(dtype)
    array = fastzarr.create_array(
        tmp_path / "here", shape=4, chunks=3, dtype=name, fill_value=1, zarr_format=2
    )
    array[:3] = values[:3]
    tensorstore = peers.PEERS["tensorstore"]
    found = tensorstore.read(tmp_path / "here").values
    assert (found.dtype, found.tobytes()) == (dtype, values.tobytes())
    document = json.loads((tmp_path / "here" / ".zarray").read_text())
    assert document["dtype"] == name
    tensorstore.make(tmp_path / "there", document)
    tensorstore.update(tmp_path / "there", slice(0, 3), values[:3])
    found = fastzarr.open_array(tmp_path / "there", mode="r")
    assert (found.dtype, found[:].tobytes()) == (dtype, values.tobytes())
    assert found.fill_value == values[1]


@pytest.mark.parametrize("name", [*sorted(COMPLEX), "r16", "r24"])
def test_zarrista_reads_and_writes_complex_numbers_of_low_precision_and_raw_bits(name, tmp_path):
    fill = [1, 1] if name == "r16" else [1, 1, 1] if name == "r24" else [1.0, 1.0]
    dtype = fastzarr.dtypes.from_numpy(name)
    # These bits are numbers of every type.
    values = np.frombuffer(bytes([2, 1, 0, 3, 2, 1] * (dtype.itemsize or 0)), dtype.numpy)[:3]
    serializer = {"name": "bytes"} | (
        {"configuration": {"endian": "big"}} if dtype.multibyte else {}
    )
    array = fastzarr.create_array(
        tmp_path / "here",
        shape=4,
        chunks=3,
        dtype=name,
        fill_value=dtype.fill_from_json(fill, 3, ""),
        serializer=serializer,
        compressors=None,
    )
    array[:3] = values
    document = _document(name) | {"fill_value": fill, "codecs": [serializer]}
    written = json.loads((tmp_path / "here" / "zarr.json").read_text())
    assert (written["data_type"], written["fill_value"]) == (name, fill)
    expected = values.tobytes() + array[3:].tobytes()
    store = FilesystemStore(str(tmp_path / "here"))
    assert bytes(zarrista.Array.open(store, "/")[...].buffer()) == expected
    peers.PEERS["zarrista"].make(tmp_path / "there", document)
    store = FilesystemStore(str(tmp_path / "there"))
    zarrista.Array.open(store, "/")[:3] = values.tobytes()
    found = fastzarr.open_array(tmp_path / "there", mode="r")
    assert (found.dtype, found[:].tobytes()) == (dtype.numpy, expected)


def test_tensorstore_reads_raw_bits_with_a_fill_value_in_base64(tmp_path):
    array = fastzarr.create_array(tmp_path / "a", shape=4, dtype="V3", fill_value=b"abc")
    array[1] = b"\x01\x02\xff"
    # It wants the name of the core specification in the spelling of zarr-python.
    document = tmp_path / "a" / "zarr.json"
    text = json.loads(document.read_text()) | {"data_type": "r24"}
    document.write_text(json.dumps(text))
    found = peers.PEERS["tensorstore"].read(tmp_path / "a").values
    again = fastzarr.open_array(tmp_path / "a")
    assert again[:].tobytes() == found.tobytes() == b"abc\1\2\xffabcabc"
    again.resize(5)
    kept = json.loads(document.read_text())
    assert (kept["data_type"], kept["fill_value"]) == ("r24", "YWJj")


@pytest.mark.parametrize("peer", ["tensorstore", "zarrista", "zarr"])
@pytest.mark.parametrize(("dtype", "bits"), [("f4", 0x7FC00123), ("f8", 0xFFF8000000000456)])
def test_a_nan_with_a_payload_as_fill_value_keeps_its_bits(peer, dtype, bits, tmp_path):
    fill = np.array(bits, f"u{dtype[1]}").view(dtype)[()]
    fastzarr.create_array(tmp_path / "array", shape=3, dtype=dtype, fill_value=fill)
    found = peers.PEERS[peer].read(tmp_path / "array").values
    assert found.tobytes() == np.full(3, fill).tobytes()
    again = fastzarr.open_array(tmp_path / "array", mode="r")
    assert again[...].tobytes() == found.tobytes()
