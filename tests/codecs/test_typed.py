"""Codecs of elements: the extension and its twin agree on every chunk, part and error."""

from __future__ import annotations

import json
import warnings
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from fastzarr import config, create_array, open_array
from fastzarr.codecs import (
    BitroundCodec,
    CastValueCodec,
    PackbitsCodec,
    ScaleOffsetCodec,
    TransposeCodec,
)
from fastzarr.codecs.compile import describe
from fastzarr.errors import ChunkError, MetadataError, ZarrUserWarning
from fastzarr.storage import MemoryStore

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
FLOATS = ["f4", "f8"]
MODES = ["nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away"]
SHAPE = (7, 6)
CHUNKS = (4, 5)
SELECTIONS: list[Any] = [
    (slice(None), slice(None)),
    (slice(1, 6), slice(2, 5)),
    (slice(None, None, -2), slice(5, 0, -3)),
    ([3, 0, 6], slice(1, 3)),
    (2, 3),
]


def named(name: str, **configuration: Any) -> dict[str, Any]:
    """Return a codec as in a document."""
    return {"name": name, "configuration": configuration}


@st.composite
def values(draw: Any, dtype: str) -> Any:
    """Return an array of which some numbers are large, some are small, and some are no numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(SHAPE) < 0.5
    if draw(st.booleans()):
        size = SHAPE[0] * SHAPE[1] * kind.itemsize
        return np.frombuffer(rng.bytes(size), kind).reshape(SHAPE).copy()
    small = rng.integers(-6 if kind.kind in "if" else 0, 60, SHAPE)
    return (small / (4 if kind.kind in "fc" else 1)).astype(kind)


@st.composite
def chains(draw: Any) -> Any:
    """Return a data type, its fill value, filters and a serializer."""
    which = draw(st.sampled_from(["bitround", "packbits", "cast", "scale", "scale and cast"]))
    if which == "bitround":
        dtype = draw(st.sampled_from([*INTEGERS, *FLOATS, "f2", "c8", "c16", "M8[s]"]))
        return dtype, None, [BitroundCodec(keepbits=draw(st.integers(1, 10)))], None
    if which == "packbits":
        dtype = draw(st.sampled_from(["?", *INTEGERS, *FLOATS, "f2", "c8"]))
        most = {"?": 1, "c8": 32}.get(dtype, 8 * np.dtype(dtype).itemsize)
        first = draw(st.integers(0, most - 1))
        last = draw(st.none() | st.integers(first, most - 1))
        encoding = draw(st.sampled_from(["none", "first_byte", "last_byte"]))
        codec = PackbitsCodec(padding_encoding=encoding, first_bit=first, last_bit=last)
        return dtype, None, [], codec
    dtype = draw(st.sampled_from(INTEGERS + FLOATS))
    filters: list[Any] = []
    if which != "cast":
        scale = draw(st.sampled_from([1, 2, 3] if dtype[0] == "u" else [1, -2, 3]))
        filters.append(ScaleOffsetCodec(offset=draw(st.integers(0, 3)), scale=scale))
    if which != "scale":
        wanted = draw(st.sampled_from(INTEGERS + FLOATS))
        beyond = [None, "clamp"] + (["wrap"] if wanted[0] != "f" else [])
        mapped = {"encode": [[5, 7]], "decode": [[7, 5], [9, 1]]}
        if dtype[0] == "f":
            mapped["encode"].append(["NaN", 3])
        filters.append(
            CastValueCodec(
                data_type=wanted,
                rounding=draw(st.sampled_from(MODES)),
                out_of_range=draw(st.sampled_from(beyond)),
                scalar_map=draw(st.none() | st.just(mapped)),
            )
        )
    fill = 3 if dtype[0] == "u" else draw(st.sampled_from([0, 3]))
    if draw(st.booleans()):
        filters.insert(draw(st.integers(0, len(filters))), TransposeCodec(order=(1, 0)))
    return dtype, fill, filters, None


def outcome(call: Any) -> Any:
    """Return the bytes of an array, or what failed, without the words of either data path."""
    try:
        found = call()
    except ChunkError as error:
        return error.stage
    return None if found is None else (found.dtype, found.shape, found.tobytes())


@settings(max_examples=60)
@given(data=st.data())
def test_the_extension_and_its_twin_agree(data: Any) -> None:
    dtype, fill, filters, serializer = data.draw(chains())
    written = data.draw(values(dtype))
    compressors = data.draw(st.sampled_from([None, "zstd", "blosc"]))
    shards = data.draw(st.sampled_from([None, (8, 10)]))
    stored: list[Any] = []
    for path in ("native", "numpy"):
        store, found = MemoryStore(), []
        with config.set({"data_path": path}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keywords = {"serializer": serializer} if serializer is not None else {}
            try:
                z = create_array(
                    store,
                    shape=SHAPE,
                    chunks=CHUNKS,
                    shards=shards,
                    dtype=dtype,
                    fill_value=fill,
                    filters=filters or None,
                    compressors=compressors,
                    zarr_format=3,
                    **keywords,
                )
            except MetadataError as error:
                if "the fill value" not in str(error):
                    raise
                reject()
            found.append(outcome(lambda z=z: z.__setitem__(..., written)))
            if found[0] is None:
                found.append({key: bytes(store.get(key) or b"") for key in sorted(store.list())})
                found.extend(outcome(lambda z=z, i=i: np.asarray(z.oindex[i])) for i in SELECTIONS)
                part = written[2:5, 1:5]
                found.append(
                    outcome(lambda z=z, part=part: z.__setitem__((slice(0, 3), slice(1, 5)), part))
                )
                found.append({key: bytes(store.get(key) or b"") for key in sorted(store.list())})
        stored.append(found)
    native, twin = stored
    # The extension decodes a part alone, and meets no element elsewhere that has no value.
    for i in range(3, len(native) - 2):
        if isinstance(twin[i], str):
            twin[i] = native[i]
    assert native == twin


@pytest.mark.parametrize("dtype", [np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.float4_e2m1fn)])
@pytest.mark.parametrize("encoding", ["none", "first_byte", "last_byte"])
@pytest.mark.usefixtures("data_path")
def test_small_numbers_are_packed(dtype: Any, encoding: Any) -> None:
    written = np.array([-3, -1, 0, 1, 2, 3, -2]).astype(dtype)
    store = MemoryStore()
    z = create_array(
        store,
        shape=7,
        chunks=7,
        dtype=dtype,
        serializer=PackbitsCodec(padding_encoding=encoding),
        compressors=None,
        zarr_format=3,
    )
    assert describe(z.layout.program) is not None
    z[:] = written
    assert len(bytes(store.get("c/0") or b"")) == 4 + (encoding != "none")
    assert open_array(store)[:].tobytes() == written.tobytes()
    for i in range(7):
        assert open_array(store)[i : i + 2].tobytes() == written[i : i + 2].tobytes()


@pytest.mark.parametrize(
    "filters",
    [
        [BitroundCodec(keepbits=3)],
        [ScaleOffsetCodec(offset=2, scale=2)],
        [CastValueCodec(data_type="int16")],
        [ScaleOffsetCodec(offset=2, scale=2), CastValueCodec(data_type="int16")],
    ],
)
def test_the_extension_runs_the_chain(filters: Any) -> None:
    for dtype in ("f4", "f8", "i4"):
        z = create_array({}, shape=9, dtype=dtype, filters=filters, zarr_format=3)
        assert describe(z.layout.program) is not None


@pytest.mark.parametrize(
    ("dtype", "filters", "serializer", "nbytes"),
    [
        ("bool", None, PackbitsCodec(), 3),
        ("uint16", None, PackbitsCodec(first_bit=0, last_bit=2), 7),
        ("float64", [CastValueCodec(data_type="int16")], None, 32),
        ("float32", [ScaleOffsetCodec(offset=1, scale=4)], None, 64),
        ("float32", [BitroundCodec(keepbits=4)], None, 64),
    ],
)
def test_a_part_of_a_chunk_is_read_from_the_bytes_that_have_it(
    tmp_path: Any, dtype: str, filters: Any, serializer: Any, nbytes: int
) -> None:
    keywords = {} if serializer is None else {"serializer": serializer}
    z = create_array(
        tmp_path / "a.zarr",
        shape=4096,
        chunks=4096,
        dtype=dtype,
        filters=filters,
        compressors=None,
        zarr_format=3,
        **keywords,
    )
    z[:] = np.arange(4096) % 2
    # What is not selected may be damaged.
    file = tmp_path / "a.zarr" / "c" / "0"
    whole = file.read_bytes()
    size = len(whole)
    start = 1003 * size // 4096
    damaged = bytearray(b"\xff" * size)
    damaged[start : start + nbytes] = whole[start : start + nbytes]
    file.write_bytes(damaged)
    assert z[1003:1019].astype(int).tolist() == [1, 0] * 8


def stored(values: Any, dtype: str, fill: Any, codecs: list[Any]) -> tuple[bytes, Any]:
    """Write an array whose document another program has made; return its bytes and its values."""
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [len(values)],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [len(values)]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": fill,
        "codecs": codecs,
    }
    store = MemoryStore()
    store.set("zarr.json", json.dumps(document).encode())
    open_array(store, mode="r+")[:] = values
    return bytes(store.get("c/0") or b""), open_array(store)[:]


LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
TRUTHS = [True, *[False] * 7, True]
#: What zarrs and numcodecs (packbits) and zarr-python 3.4.2 (the others) have written.
GOLDEN = [
    ("bool", False, TRUTHS, [named("packbits", padding_encoding="first_byte")], "070101"),
    ("bool", False, TRUTHS, [named("numcodecs.packbits"), {"name": "bytes"}], "078080"),
    (
        "float64",
        20.0,
        [-3.0, -1.9, -0.8, 0.3],
        [
            named("scale_offset", offset=20.0, scale=10.0),
            named("cast_value", data_type="int16"),
            LITTLE,
        ],
        "1aff25ff30ff3bff",
    ),
    (
        "float32",
        0.0,
        [-30.0, 0.0, 30.0, 60.9],
        [
            named("cast_value", data_type="uint8", rounding="towards-zero", out_of_range="clamp"),
            {"name": "bytes"},
        ],
        "00001e3c",
    ),
    (
        "float64",
        0.0,
        [1.0, 2.5, float("nan"), 3.5],
        [
            named(
                "cast_value",
                data_type="uint8",
                scalar_map={"encode": [["NaN", 255]], "decode": [[255, "NaN"]]},
            ),
            {"name": "bytes"},
        ],
        "0102ff04",
    ),
]


@pytest.mark.parametrize(("dtype", "fill", "values", "codecs", "wanted"), GOLDEN)
@pytest.mark.usefixtures("data_path")
def test_the_bytes_are_those_of_other_programs(
    dtype: str, fill: Any, values: Any, codecs: list[Any], wanted: str
) -> None:
    data, found = stored(values, dtype, fill, codecs)
    assert data.hex() == wanted
    again, _ = stored(found, dtype, fill, codecs)
    assert again == data


@pytest.mark.parametrize(
    ("dtype", "codec", "message"),
    [
        ("float32", named("bitround"), "codecs\\[0\\]\\.configuration.*keepbits"),
        ("float32", named("bitround", keepbits=0), "keepbits: must be at least 1"),
        ("float32", named("bitround", keepbits=24), "keepbits: must be at most 23 for 'float32'"),
        ("bool", named("bitround", keepbits=1), "rounds integers and floats"),
        ("float32", named("cast_value", data_type="int8", more=1), "more: unknown member"),
        ("float32", named("cast_value"), "data_type"),
        ("float32", named("cast_value", data_type="bool"), "data_type: casts integers"),
        ("complex64", named("cast_value", data_type="int8"), "casts integers"),
        (
            "int32",
            named("cast_value", data_type="float32", out_of_range="wrap"),
            "out_of_range: 'wrap'",
        ),
        ("float32", named("cast_value", data_type="int8", rounding="up"), "rounding: must be one"),
        (
            "float32",
            named("cast_value", data_type="int8", scalar_map={"encode": [["x", 1]]}),
            "scalar_map\\.encode\\[0\\]\\[0\\]",
        ),
        (
            "float32",
            named("cast_value", data_type="int8", scalar_map={"encode": [[1, 300]]}),
            "scalar_map\\.encode\\[0\\]\\[1\\]",
        ),
        (
            "float32",
            named("cast_value", data_type="int8", scalar_map={"to": []}),
            "scalar_map\\.to",
        ),
        ("float32", named("scale_offset", offset=1, scale=0), "scale: must not be 0"),
        ("uint8", named("scale_offset", offset=-1, scale=1), "offset: .*uint8"),
        ("uint8", named("scale_offset", offset=0, scale=0.5), "scale: .*uint8"),
        ("uint8", named("scale_offset", offset=5, scale=1), "the fill value cannot be encoded"),
        ("float32", named("scale_offset", offset=0, scale=1, unit="m"), "unit: unknown member"),
        ("int16", named("packbits", last_bit=16), "last_bit: must be less than 16 for 'int16'"),
        (
            "int16",
            named("packbits", first_bit=3, last_bit=2),
            "last_bit: must be at least first_bit",
        ),
        ("int16", named("packbits", padding_encoding="byte"), "padding_encoding: must be one of"),
        ("string", named("packbits"), "packs truth values and numbers"),
    ],
)
def test_an_invalid_configuration_is_an_error_that_names_its_place(
    dtype: str, codec: Any, message: str
) -> None:
    codecs = [codec] if codec["name"] == "packbits" else [codec, LITTLE]
    fill = {"complex64": [0.0, 0.0], "bool": False, "string": ""}.get(dtype, 0)
    with pytest.raises(MetadataError, match=message):
        stored([0], dtype, fill, codecs)


@pytest.mark.usefixtures("data_path")
def test_a_configuration_with_defaults_may_be_missing() -> None:
    assert stored([1, 2], "int16", 0, ["scale_offset", LITTLE])[0].hex() == "01000200"
    assert stored([1, 2], "int8", 0, ["packbits"])[0].hex() == "0102"


def test_a_fill_value_that_is_not_kept_is_warned_of() -> None:
    codecs = [named("cast_value", data_type="int8"), {"name": "bytes"}]
    with pytest.warns(ZarrUserWarning, match=r"the fill value 0\.5 is read as 0\.0"):
        data, found = stored([0.5, 1.0], "float32", 0.5, codecs)
    assert data.hex() == "0001"
    assert found.tolist() == [0, 1]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (300.0, "300.* does not fit into uint8"),
        (float("nan"), "[nN]a[nN] does not fit into uint8"),
        (float("inf"), "inf does not fit into uint8"),
    ],
)
def test_a_number_without_a_result_is_an_error_that_names_it(value: float, message: str) -> None:
    codecs = [named("cast_value", data_type="uint8"), {"name": "bytes"}]
    with pytest.raises(ChunkError, match=f"chunk .* stage cast_value: {message}"):
        stored([1.0, value], "float32", 0, codecs)
