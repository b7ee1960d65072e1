"""Documents of other writers that are not valid, but clear: they are read, and never written."""

from __future__ import annotations

import json
import sys

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import MetadataError, ZarrUserWarning
from fastzarr.metadata import v2, v3

VALUES = np.arange(6, dtype="<i4")


def array_v2(**members):
    """Return a store with an array of format 2 as another program wrote it."""
    doc = {
        "zarr_format": 2,
        "shape": [6],
        "chunks": [6],
        "dtype": "<i4",
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "compressor": None,
    } | members
    data = VALUES.tobytes()
    if doc["compressor"] is not None:
        known = {"blosc": numcodecs.Blosc(), "lzma": numcodecs.LZMA(), "zstd": numcodecs.Zstd()}
        data = bytes(known[doc["compressor"]["id"]].encode(data))
    return {".zarray": json.dumps(doc).encode(), "0": data}


def array_v3(**members):
    """Return a store with an array of format 3; a member that is ``...`` is missing."""
    doc = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [6],
        "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [6]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    } | members
    doc = {name: value for name, value in doc.items() if value is not ...}
    return {"zarr.json": json.dumps(doc).encode(), "c/0": VALUES.tobytes()}


def check_kept(store, key, member):
    """Check that the array is read, and that an update keeps the spelling of a member."""
    before = json.loads(store[key])[member]
    z = zarr.open_array(store, mode="r+")
    assert z[:].tolist() == VALUES.tolist()
    z.resize(7)
    z[6] = 9
    assert z[:].tolist() == [*VALUES.tolist(), 9]
    doc = json.loads(store[key])
    assert doc["shape"] == [7]
    assert doc[member] == before
    return z


@pytest.mark.parametrize(
    ("word", "number"),
    [("BIT", 2), ("byte", 1), ("Shuffle", 1), ("NONE", 0), ("NoShuffle", 0), ("bitshuffle", 2)],
)
def test_blosc_names_its_shuffle(word, number):
    config = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": word, "blocksize": 0}
    z = check_kept(array_v2(compressor=config), ".zarray", "compressor")
    assert z.compressor.shuffle == number
    assert v2.documents(z.layout)[".zarray"]["compressor"]["shuffle"] == number


def test_an_unknown_shuffle_is_named():
    named = r"^memory://\d+/\.zarray: compressor\.shuffle: .*got 'zip'"
    with pytest.raises(MetadataError, match=named):
        zarr.open(array_v2(compressor={"id": "blosc", "cname": "lz4", "shuffle": "zip"}), mode="r")


def test_gdal_gives_lzma_a_delta():
    z = check_kept(array_v2(compressor={"id": "lzma", "delta": 1}), ".zarray", "compressor")
    assert v2.documents(z.layout)[".zarray"]["compressor"] == {"id": "lzma"}


def test_a_false_checksum_is_read_but_not_written():
    """TensorStore, and numcodecs of old, do not know the member."""
    config = {"id": "zstd", "level": 3, "checksum": False}
    z = check_kept(array_v2(compressor=config), ".zarray", "compressor")
    assert v2.documents(z.layout)[".zarray"]["compressor"] == {"id": "zstd", "level": 3}


@pytest.mark.parametrize(
    "compressor",
    [
        numcodecs.Zstd(level=3),
        {"id": "zstd", "level": 3, "checksum": False},
        zarr.codecs.ZstdCodec(),
    ],
)
def test_a_new_array_has_no_false_checksum(compressor):
    store = {}
    zarr.create(6, store=store, compressor=compressor, zarr_format=2)
    assert b"checksum" not in store[".zarray"]
    zarr.create(6, store=store, filters=[compressor], zarr_format=2, overwrite=True)
    assert b"checksum" not in store[".zarray"]


@pytest.mark.parametrize(
    ("member", "value"),
    [("dimension_separator", None), ("order", "A"), ("fill_value", False), ("fill_value", "0")],
)
def test_members_of_old_writers(member, value):
    check_kept(array_v2(**{member: value}), ".zarray", member)


def test_chunks_of_one_for_an_array_without_axes():
    store = array_v2(shape=[], chunks=[1]) | {"0": b"\7\0\0\0"}
    z = zarr.open_array(store, mode="r+")
    assert z[()] == 7
    z[()] = 8
    z.attrs["a"] = 1
    assert zarr.open_array(store)[()] == 8
    assert json.loads(store[".zarray"])["chunks"] == [1]
    with pytest.raises(MetadataError, match="1 sizes for the 0 axes"):
        zarr.open_array(array_v2(shape=[], chunks=[2]))


def test_zero_is_the_fill_value_of_text():
    """zarr-python 2 shows 0 or "0"; its writers did not mean it."""
    for members, empty in (
        ({"dtype": "|S3"}, b""),
        ({"dtype": "<U3"}, ""),
        ({"dtype": "|O", "filters": [{"id": "vlen-utf8"}]}, ""),
        ({"dtype": "|O", "filters": [{"id": "vlen-bytes"}]}, b""),
    ):
        store = array_v2(fill_value=0, **members)
        del store["0"]
        z = zarr.open_array(store, mode="r+")
        assert z[:].tolist() == [empty] * 6
        z.resize(7)
        assert json.loads(store[".zarray"])["fill_value"] == 0


def test_a_byte_order_mark_is_skipped():
    for store, key in ((array_v2(), ".zarray"), (array_v3(), "zarr.json")):
        store[key] = b"\xef\xbb\xbf" + store[key]
        z = zarr.open_array(store, mode="r+")
        assert z[:].tolist() == VALUES.tolist()
        z.attrs["a"] = 1
        assert zarr.open_array(store).attrs["a"] == 1


@pytest.mark.parametrize("data", [b"", b"null", b" \n", b"\xef\xbb\xbf"])
def test_attributes_of_format_2_may_be_empty(data):
    store = array_v2() | {".zattrs": data}
    z = zarr.open_array(store, mode="r+")
    assert dict(z.attrs) == {}
    z.attrs["a"] = 1
    assert json.loads(store[".zattrs"]) == {"a": 1}


@pytest.mark.parametrize(
    ("data", "found", "says"),
    [
        ('{"a": "\xe9"}'.encode("latin-1"), "\xe9", r"^\.zattrs: is not UTF-8"),
        (b'{"a": 1, "a": 2}', 2, r"^\.zattrs: duplicate member 'a'"),
        (b'{"a": {"b": 1, "b": 3}}', {"b": 3}, r"^\.zattrs: a: duplicate member 'b'"),
    ],
)
def test_odd_attributes_of_format_2_are_read_with_a_warning(data, found, says):
    store = array_v2() | {".zattrs": data}
    with pytest.warns(ZarrUserWarning, match=says):
        z = zarr.open_array(store, mode="r+")
    assert z.attrs["a"] == found
    with pytest.warns(ZarrUserWarning, match=says):
        z.attrs["c"] = 1
    assert json.loads(store[".zattrs"]) == {"a": found, "c": 1}


def test_attributes_in_consolidated_metadata_are_read_alike():
    group = '{"zarr_format": 2}'
    text = f'{{"metadata": {{".zgroup": {group}, "a/.zattrs": null, "a/.zgroup": {group}}}}}'
    store = {".zgroup": group.encode(), ".zmetadata": text.encode(), "a/.zgroup": group.encode()}
    found = zarr.open_consolidated(store)
    assert dict(found["a"].attrs) == {}
    store[".zmetadata"] = text.replace("null", '{"x": 1, "x": 2}').encode()
    with pytest.warns(ZarrUserWarning, match="duplicate member 'x'"):
        assert zarr.open_consolidated(store)["a"].attrs["x"] == 2


@pytest.mark.parametrize("codecs", [..., [], [{"name": "crc32c"}]])
def test_bytes_in_little_endian_is_meant(codecs):
    # Arrays of one kind are warned of once, so each has a fill value of its own.
    store = array_v3(codecs=codecs, fill_value=0 if codecs is ... else 1 + len(codecs))
    if codecs not in (..., []):
        store["c/0"] = zarr.codecs.Crc32cCodec().encode(store["c/0"])
    with pytest.warns(ZarrUserWarning, match=r"zarr\.json: codecs: no codec .* assumed"):
        z = zarr.open_array(store, mode="r+")
    assert z[:].tolist() == VALUES.tolist()
    written = v3.document(z.layout)["codecs"]
    assert written[0] == {"name": "bytes", "configuration": {"endian": "little"}}


def test_the_codec_follows_a_transpose():
    turn = {"name": "transpose", "configuration": {"order": [0]}}
    with pytest.warns(ZarrUserWarning, match="is assumed"):
        z = zarr.open_array(array_v3(codecs=[turn]))
    assert [codec.name for codec in z.layout.codecs] == ["transpose", "bytes"]
    with pytest.raises(MetadataError, match="no codec encodes the array as bytes"):
        zarr.open_array(array_v3(codecs=[], data_type="string", fill_value=""))


def test_a_fill_value_of_null_is_the_default():
    store = array_v3(fill_value=None)
    with pytest.warns(ZarrUserWarning, match=r"zarr\.json: fill_value: null is not a fill value"):
        z = zarr.open_array(store, mode="r+")
    assert z.fill_value == 0
    assert v3.document(z.layout)["fill_value"] == 0
    with pytest.raises(MetadataError, match="the member 'fill_value' is missing"):
        zarr.open_array(array_v3(fill_value=...))


@pytest.mark.parametrize(
    ("data_type", "fill", "found"), [("bool", 1, True), ("int64", "-9223372036854775808", -(2**63))]
)
def test_other_spellings_of_a_fill_value(data_type, fill, found):
    store = array_v3(data_type=data_type, fill_value=fill)
    del store["c/0"]
    z = zarr.open_array(store, mode="r+")
    assert z[:].tolist() == [found] * 6
    z.resize(7)
    assert json.loads(store["zarr.json"])["fill_value"] == fill
    assert type(json.loads(store["zarr.json"])["fill_value"]) is type(fill)


def test_a_member_that_cannot_change_the_values_is_ignored():
    crc = {"name": "crc32c", "configuration": {"check_crc": True}}
    store = array_v3(codecs=[*json.loads(array_v3()["zarr.json"])["codecs"], crc])
    store["c/0"] = zarr.codecs.Crc32cCodec().encode(store["c/0"])
    with pytest.warns(ZarrUserWarning, match=r"codecs\[1\].*\.check_crc: is not a member"):
        z = zarr.open_array(store, mode="r+")
    assert z[:].tolist() == VALUES.tolist()
    crc["configuration"] = {"location": "start"}
    store = array_v3(codecs=[*json.loads(array_v3()["zarr.json"])["codecs"], crc])
    with pytest.raises(MetadataError, match="location: unknown member"):
        zarr.open_array(store)


def test_consolidated_metadata_without_its_version():
    store = {}
    zarr.create_group(store, zarr_format=2).create_group("a")
    zarr.consolidate_metadata(store)
    doc = json.loads(store[".zmetadata"])
    del doc["zarr_consolidated_format"]
    store[".zmetadata"] = json.dumps(doc).encode()
    assert list(zarr.open_consolidated(store)) == ["a"]


def test_nothing_is_the_fill_value_of_a_record():
    record = [["a", "<i4"], ["b", "|S2"]]
    store = array_v2(dtype=record, fill_value="")
    del store["0"]
    assert zarr.open_array(store)[0].tolist() == (0, b"")
    for fill in (b"", "", 0):
        z = zarr.create(2, dtype=[("a", "<i4"), ("b", "S2")], fill_value=fill, zarr_format=2)
        assert z[:].tolist() == [(0, b"")] * 2


def test_an_error_names_the_member_of_the_document():
    named = r"^memory://\d+/zarr\.json: codecs\[0\]: .*'numcodecs\.bz2'"
    with pytest.raises(MetadataError, match=named):
        zarr.open_array(array_v3(codecs=[{"name": "bz2"}]))


def test_the_document_is_not_blamed_if_numcodecs_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    with pytest.raises(ImportError, match="numcodecs, which fastzarr requires, cannot be imported"):
        zarr.open_array(array_v2(filters=[{"id": "lz4", "acceleration": 12345}]))
