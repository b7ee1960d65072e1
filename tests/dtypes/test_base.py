"""The properties that all data types have in common."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastzarr.dtypes import (
    Bool,
    DataType,
    Int8,
    ObjectType,
    data_type_registry,
    from_numpy,
    from_v3,
)
from fastzarr.errors import DataTypeValidationError

ALL = [
    from_numpy(spec)
    for spec in (
        "bool", "i1", "<i4", ">i4", "f4", "c16", "S3", "<U5", ">U5", "V4", "M8[10ms]", "m8", str,
        bytes, [("a", "<i4"), ("b", [("x", "S3"), ("y", ">f8")])], "int4", "bfloat16",
    )
] + [ObjectType("json2")]  # fmt: skip


@pytest.mark.parametrize("dtype", ALL, ids=repr)
def test_a_data_type_is_a_value(dtype: DataType) -> None:
    copy = pickle.loads(pickle.dumps(dtype))
    assert copy == dtype
    assert hash(copy) == hash(dtype)
    assert copy.__dict__ == dtype.__dict__
    assert [other for other in ALL if other == dtype] == [dtype]
    assert dtype != dtype.numpy
    assert from_numpy(dtype) is dtype
    with pytest.raises(AttributeError, match="immutable"):
        dtype.name = "x"
    with pytest.raises(AttributeError, match="immutable"):
        del dtype.name


@pytest.mark.parametrize("dtype", ALL, ids=repr)
def test_native_is_idempotent_and_changes_order_alone(dtype: DataType) -> None:
    native = dtype.native()
    assert native.native() == native
    assert type(native) is type(dtype)
    assert (native.name, native.itemsize) == (dtype.name, dtype.itemsize)
    assert native.numpy.isnative


def strided(array: np.ndarray[Any, Any], how: str) -> np.ndarray[Any, Any]:
    if how == "F":
        return np.asfortranarray(array)
    if how == "gaps":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return array[..., ::-1] if how == "reversed" else array


SPECS = ("?", "i1", ">i2", "f4", ">f8", "c8", "c16", "S1", "S3", "U2", ">U3", "V7", "M8[s]",
         [("a", "i1"), ("b", ">f4")], [("a", "i8"), ("b", "f8")])  # fmt: skip


@given(st.sampled_from(SPECS), st.sampled_from(["C", "F", "gaps", "reversed"]), st.data())
def test_an_array_is_fill_if_all_its_bytes_are(spec: Any, how: str, data: st.DataObject) -> None:
    dtype = from_numpy(spec)
    raw = st.binary(min_size=7, max_size=7).map(np.void)
    one = raw if spec == "V7" else hnp.arrays(dtype.numpy, ()).map(lambda a: a[()])
    fill, other = data.draw(one), data.draw(one)
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    array = np.full(shape, fill, dtype.numpy)
    assert dtype.is_fill(strided(array, how), fill)
    array[tuple(data.draw(st.integers(0, n - 1)) for n in shape)] = other
    same = np.asarray(other, dtype.numpy).tobytes() == np.asarray(fill, dtype.numpy).tobytes()
    assert dtype.is_fill(strided(array, how), fill) is same
    assert not dtype.is_fill(array, None)


def test_zeros_of_either_sign_and_nans_are_told_apart() -> None:
    dtype = from_numpy("f8")
    assert not dtype.is_fill(np.array([0.0, -0.0]), np.float64(0))
    assert not dtype.is_fill(np.array([-0.0]), np.float64(0))
    assert dtype.is_fill(np.array([np.nan, np.nan]), np.float64("nan"))
    assert not dtype.is_fill(np.array([0j, complex(0, -0.0)]), np.complex128(0))
    nat = np.datetime64("NaT", "s")
    assert from_numpy("M8[s]").is_fill(np.array([nat, nat]), nat)


def test_byte_order_does_not_count_for_the_comparison() -> None:
    dtype = from_numpy("<f4")
    assert dtype.is_fill(np.full(3, 1.5, ">f4"), np.float32(1.5))
    record = from_numpy([("a", "<i4"), ("b", "<f8")])
    swapped = np.array([(1, 2.5)] * 3, record.numpy.newbyteorder(">"))
    assert record.is_fill(swapped, record.cast_fill((1, 2.5)))


def test_arrays_of_no_or_one_dimension_and_no_elements_are_compared() -> None:
    dtype = from_numpy("S3")
    assert dtype.is_fill(np.array(b"ab"), np.bytes_(b"ab"))
    assert not dtype.is_fill(np.array(b"ac"), np.bytes_(b"ab"))
    assert dtype.is_fill(np.empty((0, 3), "S3"), np.bytes_(b"ab"))


@pytest.mark.parametrize(
    ("json", "culprit"),
    [
        (5, "5"),
        (None, "None"),
        ({}, "'name' is missing"),
        ({"name": 5}, "5"),
        ({"name": "int8", "config": {}}, r"\.config: unknown member"),
        ({"name": "int8", "configuration": []}, r"\[\]"),
        ({"name": "int8", "configuration": {"x": 1}}, r"\.configuration\.x: unknown member"),
        ({"name": "int8", "must_understand": 1}, "must_understand"),
        ("int7", "'int7'"),
        ({"name": "nothing", "must_understand": False}, "'nothing'"),
        ("complex_float8_e4m3fn", "'complex_float8_e4m3fn'"),
        ("x" * 10_000, "xxx"),
    ],
)
def test_an_invalid_data_type_is_named(json: object, culprit: str) -> None:
    with pytest.raises(DataTypeValidationError, match=rf"^zarr\.json: data_type.*{culprit}") as e:
        from_v3(json, "zarr.json: data_type")
    assert len(str(e.value)) < 200


@pytest.mark.parametrize("json", ["int8", {"name": "int8"}, {"name": "int8", "configuration": {}}])
def test_a_name_may_be_in_an_object(json: object) -> None:
    assert from_v3(json).name == "int8"


@pytest.mark.parametrize("dtype", ["i4", ">f8", "S3", "M8[s]", str, [("a", "i2")]])
def test_the_names_of_zarr_python_3(dtype):
    found = from_numpy(dtype)
    assert found.to_native_dtype() == found.numpy
    assert found.item_size == found.itemsize
    assert found.to_json(3) == found.to_v3()
    codec = "vlen-utf8" if dtype is str else None
    assert found.to_json(2) == {"name": found.to_v2(), "object_codec_id": codec}
    assert repr(found.default_scalar()) == repr(found.default_fill)
    for number in (2, 3):
        json = found.to_json_scalar(found.default_scalar(), zarr_format=number)
        back = found.from_json_scalar(json, zarr_format=number)
        assert repr(back) == repr(found.default_scalar())


@pytest.mark.parametrize("dtype", ALL, ids=repr)
def test_a_class_finds_its_data_type(dtype: DataType) -> None:
    cls = type(dtype)
    if not isinstance(dtype, ObjectType):
        assert cls.from_native_dtype(dtype.numpy) == dtype
        assert cls.from_json(dtype.to_json(3), zarr_format=3) == dtype.native()
        assert data_type_registry.match_json(dtype.to_json(3), zarr_format=3) == dtype.native()
    assert cls.from_json(dtype.to_json(2), zarr_format=2) == dtype
    other = Int8 if cls is not Int8 else Bool
    with pytest.raises(DataTypeValidationError, match=f"not an? {other.__name__}"):
        other.from_json(dtype.to_json(2), zarr_format=2)
    if dtype.numpy.kind != "O":
        with pytest.raises(DataTypeValidationError, match=f"not an? {other.__name__}"):
            other.from_native_dtype(dtype.numpy)


@pytest.mark.parametrize(
    ("spec", "wanted"), [("<i2", "little"), (">M8[s]", "big"), (">U3", "big"), ("i1", None)]
)
def test_the_byte_order_of_a_data_type(spec: str, wanted: str | None) -> None:
    assert from_numpy(spec).endianness == wanted


def test_the_registry_of_zarr_python_3() -> None:
    class Mine(Int8):
        pass

    assert data_type_registry.get("struct") is data_type_registry.contents["struct"]
    assert data_type_registry.match_dtype(np.dtype(">i2")) == from_numpy(">i2")
    with pytest.raises(KeyError):
        data_type_registry.get("test_registry_of_zarr_python_3")
    data_type_registry.register("test_registry_of_zarr_python_3", Mine)
    assert type(from_v3("test_registry_of_zarr_python_3")) is Mine
    assert data_type_registry.contents["test_registry_of_zarr_python_3"] is Mine
