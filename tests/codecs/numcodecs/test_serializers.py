"""Codecs of numcodecs that encode arrays: as serializers of format 3, compressors of format 2."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest
import zarr

import fastzarr
from fastzarr.errors import ChunkError, MetadataError

pytest.importorskip("pcodec")
pytest.importorskip("zfpy")

PCODEC = numcodecs.get_codec({"id": "pcodec"})
ZFPY = numcodecs.get_codec({"id": "zfpy", "mode": 4, "tolerance": 1e-9})
VALUES = np.arange(24, dtype="f8").reshape(4, 6)

FORMAT_3 = [
    ({"name": "numcodecs.pcodec", "configuration": {"level": 8}}, "f8"),
    ({"name": "numcodecs.pcodec", "configuration": {}}, "i2"),
    ({"name": "numcodecs.zfpy", "configuration": {"mode": 2, "rate": 32}}, "f4"),
    ({"name": "numcodecs.zfpy", "configuration": {"mode": 4, "tolerance": 1e-3}}, "f8"),
]


@pytest.mark.parametrize(("serializer", "dtype"), FORMAT_3)
def test_format_3_agrees_with_zarr_python(serializer, dtype, tmp_path):
    values = VALUES.astype(dtype)
    z = fastzarr.create_array(
        tmp_path / "a", data=values, chunks=(3, 6), serializer=serializer, compressors=None
    )
    z[1:3, 2] = 7
    z.append(values)
    values = np.concatenate([values, values])
    values[1:3, 2] = 7
    assert np.allclose(z[:], values, atol=1e-2)
    assert np.array_equal(zarr.open(tmp_path / "a", mode="r")[:], z[:])
    theirs = zarr.create_array(
        tmp_path / "b", data=values, chunks=(3, 6), serializer=serializer, compressors=None
    )
    ours = fastzarr.open_array(tmp_path / "b", mode="r+")
    assert np.array_equal(ours[:], theirs[:])
    ours[0] = 3
    assert np.allclose(zarr.open(tmp_path / "b", mode="r")[0], 3)


COMPRESSORS = [
    (PCODEC, "f8"),
    (ZFPY, "f8"),
    (numcodecs.Delta("<i4"), "<i4"),
    (numcodecs.FixedScaleOffset(1, 2, "<f8", "<i2"), "<f8"),
    (numcodecs.AsType("<i2", "<i4"), "<i4"),
    (numcodecs.Quantize(3, "<f8"), "<f8"),
    (numcodecs.BitRound(40), "<f8"),
    (numcodecs.PackBits(), "|b1"),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("filters", [None, [numcodecs.Delta("<i4")]])
@pytest.mark.parametrize(("compressor", "dtype"), COMPRESSORS)
def test_format_2_agrees_with_zarr_python(compressor, dtype, filters, order, tmp_path):
    if filters is not None and dtype != "<i4":
        pytest.skip("the filter is for integers")
    values = VALUES.astype(dtype)
    words = {"compressor": compressor, "filters": filters, "chunks": (4, 6), "zarr_format": 2}
    z = fastzarr.create(VALUES.shape, store=tmp_path / "a", dtype=dtype, order=order, **words)
    z[:] = values
    z[1, 2:4] = 0
    values[1, 2:4] = 0
    assert np.allclose(fastzarr.open_array(tmp_path / "a", mode="r")[:], values)
    document = json.loads((tmp_path / "a" / ".zarray").read_bytes())
    assert document["compressor"]["id"] == compressor.codec_id
    assert document["filters"] == (filters and [item.get_config() for item in filters])
    assert z.compressor == compressor
    assert z.filters == tuple(filters or ())
    if order == "C":
        assert np.allclose(zarr.open(tmp_path / "a", mode="r")[:], values)


def test_text_may_be_a_compressor():
    doc = {
        "zarr_format": 2,
        "shape": [3],
        "chunks": [3],
        "dtype": "|O",
        "fill_value": "",
        "order": "C",
        "filters": None,
        "compressor": {"id": "vlen-utf8"},
    }
    text = np.array(["a", "bc", ""], dtype=object)
    store = {".zarray": json.dumps(doc).encode(), "0": numcodecs.VLenUTF8().encode(text)}
    z = fastzarr.open_array(store, mode="r+")
    assert z[:].tolist() == text.tolist()
    z[1] = "other"
    z.attrs["a"] = 1
    assert fastzarr.open_array(store)[:].tolist() == ["a", "other", ""]
    assert json.loads(store[".zarray"])["compressor"] == {"id": "vlen-utf8"}
    assert json.loads(store[".zarray"])["filters"] is None
    copy = fastzarr.array(z[:].astype(object), object_codec=numcodecs.VLenUTF8(), zarr_format=2)
    assert copy[:].tolist() == z[:].tolist()


@pytest.mark.parametrize(
    ("compressor", "values"),
    [
        (numcodecs.JSON(), np.arange(24, dtype="i4").reshape(4, 6)),
        (numcodecs.MsgPack(), np.arange(24, dtype="f8").reshape(4, 6)),
        (numcodecs.Categorize(["a", "b"], "<U1"), np.array([["a", "b", ""]] * 4)),
    ],
    ids=["json2", "msgpack2", "categorize"],
)
def test_what_encodes_objects_may_compress_other_arrays(compressor, values, tmp_path):
    words = {"chunks": (2, values.shape[1]), "zarr_format": 2, "compressor": compressor}
    z = fastzarr.create(values.shape, store=tmp_path, dtype=values.dtype, filters=None, **words)
    z[:] = values
    z[1, 1:3] = values[1, 1:3] = values[0, 0]
    assert np.array_equal(fastzarr.open_array(tmp_path)[:], values)
    document = json.loads((tmp_path / ".zarray").read_bytes())
    assert document["compressor"]["id"] == compressor.codec_id
    assert document["filters"] is None
    chunk = compressor.decode((tmp_path / "0.0").read_bytes())
    assert chunk.ravel().tolist() == values[:2].ravel().tolist()


@pytest.mark.parametrize("spec", ["auto", "none", "try_lookback"])
@pytest.mark.parametrize("mode", ["auto", "classic"])
def test_every_delta_of_pcodec_is_written(spec, mode):
    config = {"level": 3, "mode_spec": mode, "delta_spec": spec}
    serializer = {"name": "numcodecs.pcodec", "configuration": config}
    store = {}
    z = fastzarr.create_array(store, data=VALUES, serializer=serializer, compressors=None)
    assert np.array_equal(z[:], VALUES)
    assert np.array_equal(PCODEC.decode(store["c/0/0"]).reshape(4, 6), VALUES)


def test_an_error_names_the_compressor():
    doc = json.loads(fastzarr.zeros(3, zarr_format=2).store[".zarray"])
    doc["compressor"] = {"id": "delta"}
    with pytest.raises(MetadataError, match=r"^memory://\d+/\.zarray: compressor: "):
        fastzarr.open_array({".zarray": json.dumps(doc).encode()})


def test_arrays_that_a_serializer_cannot_encode_are_refused():
    for words, says in (
        ({"shape": 3, "dtype": "u1", "serializer": FORMAT_3[0][0]}, "encodes f2, f4, .*'uint8'"),
        ({"shape": 3, "dtype": "f2", "serializer": FORMAT_3[2][0]}, "encodes f4, .*'float16'"),
        ({"shape": (), "dtype": "f4", "serializer": FORMAT_3[2][0]}, "1 to 4 dimensions, not of 0"),
    ):
        with pytest.raises(MetadataError, match=says):
            fastzarr.create_array({}, **words)


@pytest.mark.parametrize("codec", [PCODEC, ZFPY], ids=["pcodec", "zfpy"])
@pytest.mark.parametrize("count", [0, 1, 3, 5, 1000])
def test_data_of_another_size_is_an_error(codec, count):
    name = f"numcodecs.{codec.codec_id}"
    config = {"mode": 4} if codec is ZFPY else {}
    store = {}
    z = fastzarr.create_array(
        store,
        shape=4,
        dtype="f8",
        serializer={"name": name, "configuration": config},
        compressors=None,
    )
    z[:] = 1
    good = bytes(store["c/0"])
    store["c/0"] = bytes(codec.encode(np.ones(count))) if count else b""
    with pytest.raises(ChunkError, match=f"{name}"):
        z[:]
    store["c/0"] = good[:-3]
    if codec is PCODEC:
        with pytest.raises(ChunkError, match=f"{name}"):
            z[:]


@pytest.mark.parametrize(
    "mode", [{"mode": 4, "tolerance": 1e-3}, {"mode": 2, "rate": 20}, {"mode": 3, "precision": 30}]
)
def test_zfp_reads_no_further_than_its_data(mode):
    values = np.random.default_rng(0).normal(size=(9, 9))
    store = {}
    z = fastzarr.create_array(
        store,
        data=values,
        serializer={"name": "numcodecs.zfpy", "configuration": mode},
        compressors=None,
    )
    [key] = [key for key in store if key != "zarr.json"]
    good = bytes(store[key])
    assert np.allclose(z[:], values, atol=1e-2)
    for size in range(0, len(good.rstrip(b"\0")) - 7, 5):
        store[key] = good[:size]
        with pytest.raises(ChunkError, match=r"numcodecs\.zfpy: zfpy: "):
            z[:]
    # A block of the most bits that a header can state.
    store[key] = good[:10] + b"\xff" * 9 + good[19:]
    with pytest.raises(ChunkError, match=r"numcodecs\.zfpy: zfpy: "):
        z[:]


def test_zfp_stores_what_is_not_finite_without_loss_or_not_at_all():
    for config, says in (
        ({"mode": 4, "tolerance": 0.1}, "NaN"),
        ({"mode": 4}, None),
        ({"mode": 5}, None),
    ):
        serializer = {"name": "numcodecs.zfpy", "configuration": config}
        z = fastzarr.create_array({}, shape=4, dtype="f8", serializer=serializer, compressors=None)
        if says:
            with pytest.raises(ChunkError, match="NaN and infinities cannot be stored with a loss"):
                z[1] = np.inf
        else:
            z[:] = [0, np.nan, np.inf, -np.inf]
            assert z[:].tobytes() == np.array([0, np.nan, np.inf, -np.inf]).tobytes()


def test_a_mode_that_zfpy_has_not_is_an_error_that_names_the_others():
    serializer = {"name": "numcodecs.zfpy", "configuration": {"mode": 1}}
    z = fastzarr.create_array({}, shape=4, dtype="f8", serializer=serializer, compressors=None)
    with pytest.raises(ChunkError, match=r"mode 1 cannot be written; use 2 \(rate\), 3 \(prec"):
        z[1] = 1


class Typed(numcodecs.abc.Codec):
    """A plug-in that needs the data type and the shape, as codecs of images do."""

    codec_id = "typed_in_tests"

    def encode(self, buf):
        head = f"{buf.dtype.str} {json.dumps(buf.shape)}".encode()
        return len(head).to_bytes(4, "little") + head + buf.tobytes()

    def decode(self, buf, out=None):  # noqa: ARG002  (numcodecs' signature)
        data = bytes(buf)
        size = int.from_bytes(data[:4], "little")
        dtype, _, shape = data[4 : 4 + size].decode().partition(" ")
        return np.frombuffer(data[4 + size :], dtype).reshape(json.loads(shape))


def test_a_plug_in_of_format_2_is_given_the_array(monkeypatch):
    monkeypatch.setitem(numcodecs.registry.codec_registry, Typed.codec_id, Typed)
    for words in ({"compressor": Typed()}, {"compressor": None, "filters": [Typed()]}):
        store = {}
        z = fastzarr.create((4, 6), store=store, dtype="i2", chunks=(4, 3), zarr_format=2, **words)
        z[:] = VALUES
        assert b"<i2 [4, 3]" in store["0.0"]
        assert np.array_equal(fastzarr.open_array(store)[:], VALUES)


@pytest.mark.parametrize(
    ("dtype", "named"), [("i4", "<u4"), ("u8", "<i8"), ("M8[s]", "<i8"), (">i4", "<i4")]
)
def test_delta_may_name_another_type_of_the_same_size(dtype, named, tmp_path):
    values = np.array([5, 2, 9, 0]).astype(dtype)
    delta = {"name": "numcodecs.delta", "configuration": {"dtype": named}}
    z = fastzarr.create_array(tmp_path, data=values, filters=[delta], compressors=None)
    assert np.array_equal(z[:], values)
    assert np.array_equal(fastzarr.open_array(tmp_path)[:], values)
    if np.dtype(dtype).kind in "iu":
        assert np.array_equal(zarr.open(tmp_path, mode="r")[:], values)
