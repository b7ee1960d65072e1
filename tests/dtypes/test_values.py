"""Values of every data type of fixed size: any bits, as elements and as fill values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.dtypes import from_numpy, from_v3
from fastzarr.dtypes.complexes import NAMES as COMPLEX
from fastzarr.dtypes.ml import NAMES as SMALL
from fastzarr.errors import MetadataError

RECORD = {
    "name": "struct",
    "configuration": {
        "fields": [
            {"name": "flag", "data_type": "int4"},
            {"name": "part", "data_type": "complex_float6_e2m3fn"},
            {"name": "size", "data_type": "uint32"},
            {
                "name": "inner",
                "data_type": {
                    "name": "struct",
                    "configuration": {
                        "fields": [
                            {"name": "x", "data_type": "bfloat16"},
                            {"name": "raw", "data_type": "r24"},
                        ]
                    },
                },
            },
        ]
    },
}
PAIR = {
    "name": "struct",
    "configuration": {
        "fields": [
            {"name": "x", "data_type": "float32"},
            {"name": "y", "data_type": "int32"},
        ]
    },
}
NUMBERS = ["int8", "int64", "uint16", "float16", "float32", "float64", "complex64", "complex128"]
TIMES = [
    {"name": "numpy.datetime64", "configuration": {"unit": "us", "scale_factor": 10}},
    {"name": "numpy.timedelta64", "configuration": {"unit": "generic", "scale_factor": 1}},
]
FIXED: list[Any] = [*NUMBERS, *TIMES, *sorted(SMALL), *sorted(COMPLEX), "r24", RECORD, PAIR]


@settings(max_examples=80)
@given(
    json_type=st.sampled_from(FIXED),
    endian=st.sampled_from(["little", "big"]),
    compressed=st.booleans(),
    data=st.data(),
)
def test_both_data_paths_read_and_write_any_bits_alike(
    json_type: Any, endian: str, compressed: bool, data: st.DataObject
) -> None:
    dtype = from_v3(json_type)
    size = dtype.itemsize or 0
    bits = data.draw(st.binary(min_size=4 * size, max_size=4 * size))
    store: dict[str, Any] = {}
    raw = fastzarr.create_array(
        store, name="raw", shape=4 * size, dtype="u1", compressors="auto" if compressed else None
    )
    raw.with_config({"write_empty_chunks": True})[:] = np.frombuffer(bits, "u1")
    fastzarr.create_array(
        store,
        name="a",
        shape=5,
        chunks=4,
        dtype=json_type,
        fill_value=None,
        serializer={"name": "bytes", "configuration": {"endian": endian}},
        compressors="auto" if compressed else None,
    )
    found, stored = [], []
    for path in ("native", "numpy"):
        with fastzarr.config.set({"data_path": path}):
            store["a/c/0"] = bytes(store["raw/c/0"])
            z = fastzarr.open_array(store, path="a")
            found.append([part.tobytes() for part in (z[:], z[3:0:-2], z[[1, 3]])])
            junk = np.frombuffer(bits, "u1").view(z.dtype)
            z[:4] = junk
            stored.append(store.get("a/c/0"))
            z[1:3] = junk[1:3]
            assert store.get("a/c/0") == stored[-1]
    assert found[0] == found[1]
    assert stored[0] == stored[1]


@settings(max_examples=80)
@given(json_type=st.sampled_from(FIXED), data=st.data())
def test_any_bits_are_a_fill_value_and_come_back(json_type: Any, data: st.DataObject) -> None:
    dtype = from_v3(json_type)
    size = dtype.itemsize or 0
    bits = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), "u1")
    fill = dtype.cleared(bits.view(dtype.numpy))[0]
    store: dict[str, Any] = {}
    made = fastzarr.create_array(store, shape=3, chunks=2, dtype=json_type, fill_value=fill)
    found = fastzarr.open_array(store, mode="r")
    expected = np.asarray(fill).tobytes()
    assert json.loads(bytes(store["zarr.json"]))["data_type"] == json_type
    assert found[:].tobytes() == made[:].tobytes() == expected * 3
    assert np.asarray(found.fill_value, dtype.numpy).tobytes() == expected
    # Elements that are the fill value are not stored, whatever it is.
    made[:] = np.frombuffer(expected * 3, dtype.numpy)
    assert set(store) == {"zarr.json"}


@pytest.mark.parametrize("name", [*sorted(SMALL), *sorted(COMPLEX), "r24", "string", "bytes"])
@pytest.mark.parametrize(
    "fill",
    [
        {}, {"a": 1}, [[1, 2], [3, 4]], [None, None], [1e400, "0x"], "0x", "0xz", "0x" + "f" * 99,
        "nan", "inf", "Infinity ", 10**400, -(10**400), [10**400] * 2, "\ud800", "=", True,
    ],
)  # fmt: skip
def test_a_hostile_fill_value_is_an_error_that_names_it(name: str, fill: Any) -> None:
    store: dict[str, Any] = {}
    fastzarr.create_array(store, shape=2, dtype=name)
    document = json.loads(bytes(store["zarr.json"]))
    store["zarr.json"] = json.dumps(document | {"fill_value": fill}).encode()
    if name == "string" and isinstance(fill, str) and fill.isascii():
        assert fastzarr.open_array(store, mode="r")[0] == fill
        return
    with pytest.raises(MetadataError, match="fill_value") as raised:
        fastzarr.open_array(store, mode="r")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "json_type",
    [
        {"name": "complex_bfloat16", "configuration": {"x": 1}},
        {"name": "int4", "configuration": {"bits": 4}},
        {"name": "r24", "configuration": {"length_bytes": 3}},
        {"name": "numpy.datetime64", "configuration": {"unit": "s"}},
        {"name": "numpy.datetime64", "configuration": {"unit": "us", "scale_factor": 2**31}},
        {"name": "fixed_length_utf32", "configuration": {"length_bytes": 6}},
        {"name": "null_terminated_bytes", "configuration": {"length_bytes": 0}},
        {"name": "struct", "configuration": {"fields": []}},
        {"name": "struct", "configuration": {"fields": [["a", "string"]]}},
        {"name": "struct", "configuration": {"fields": [["a", "int8"], ["a", "int8"]]}},
        {"name": "struct", "configuration": {"fields": [["a", "int8", [2]]]}},
        {"name": "struct", "configuration": {"fields": [{"name": "", "data_type": "int8"}]}},
        "r0", "r7", "r-8", "r+8", "r08x", "R8", "int3", "complex_int4", "complex_float8_e4m3fn",
        "complex_complex64", "float8", "float4", "bfloat", "uint1", "", "complex_",
    ],
)  # fmt: skip
def test_a_hostile_data_type_is_an_error_that_names_it(json_type: Any) -> None:
    with pytest.raises(MetadataError, match=r"^data_type"):
        from_v3(json_type)


def test_arrays_of_ml_dtypes_are_stored_under_their_names() -> None:
    import ml_dtypes

    for name in SMALL:
        values = np.array([1, 0, 1]).astype(getattr(ml_dtypes, name))
        z = fastzarr.array(values, chunks=2)
        assert z.metadata.to_dict()["data_type"] == name
        assert from_numpy(z.dtype).name == name
        assert z[:].tobytes() == values.tobytes()
        assert np.array_equal(z.astype("f4")[:], values.astype("f4"), equal_nan=True)
        assert name in str(z.info)
        z.append(values)
        z.resize(8)
        assert z[:6].tobytes() == values.tobytes() * 2
        z2 = fastzarr.array(values, zarr_format=2)
        assert fastzarr.open_array(z2.store).dtype == values.dtype
