"""The data types of zarr-python, over those of fastzarr."""

from __future__ import annotations

import pickle
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from fastzarr import compat, dtypes
from fastzarr.compat import dtype as zdtype
from fastzarr.compat.core.dtype import from_inner
from fastzarr.errors import DataTypeValidationError

EXAMPLES = [
    zdtype.Bool(),
    zdtype.Int8(),
    zdtype.Int16(endianness="big"),
    zdtype.UInt64(),
    zdtype.Float16(),
    zdtype.Complex128(endianness="big"),
    zdtype.FixedLengthUTF32(length=3, endianness="big"),
    zdtype.NullTerminatedBytes(length=3),
    zdtype.RawBytes(length=3),
    zdtype.VariableLengthUTF8(),
    zdtype.VariableLengthBytes(),
    zdtype.DateTime64(unit="ms", scale_factor=10, endianness="big"),
    zdtype.TimeDelta64(unit="D"),
    zdtype.DateTime64(scale_factor=3),
    zdtype.Struct(fields=(("a", zdtype.Int16()), ("b", zdtype.Bool()))),
]


@pytest.mark.parametrize("dtype", EXAMPLES, ids=repr)
@pytest.mark.filterwarnings("ignore::fastzarr.errors.UnstableSpecificationWarning")
def test_a_data_type_is_the_same_after_a_way_through_fastzarr_pickle_and_json(dtype):
    assert from_inner(dtype.inner) == dtype
    assert from_inner(dtype.inner).inner is dtype.inner
    assert pickle.loads(pickle.dumps(dtype)) == dtype
    assert zdtype.parse_dtype(dtype.to_json(2), zarr_format=2) == dtype
    native = zdtype.parse_dtype(dtype.to_json(3), zarr_format=3)
    assert native.inner == dtype.inner.native()
    fill = dtype.default_scalar()
    for zarr_format in (2, 3):
        json = dtype.to_json_scalar(fill, zarr_format=zarr_format)
        back = dtype.from_json_scalar(json, zarr_format=zarr_format)
        assert dtype.inner.native().is_fill(np.array(back, dtype.inner.native().numpy), fill)


def test_a_representation_names_the_members_as_that_of_zarr_python():
    text = zdtype.FixedLengthUTF32(length=2, endianness="big")
    assert repr(text) == "FixedLengthUTF32(length=2, endianness='big')"
    assert repr(zdtype.Int16(endianness="big")) == "Int16(endianness='big')"


def test_a_data_type_that_zarr_python_does_not_have_is_found_too():
    dtype = zdtype.parse_dtype("bfloat16", zarr_format=3)
    assert dtype.inner == dtypes.from_v3("bfloat16")
    assert dtype.to_json(3) == "bfloat16"
    assert float(dtype.from_json_scalar("0x3f80", zarr_format=3)) == 1.0


def test_the_bits_of_a_nan_are_kept():
    dtype = zdtype.Float32()
    scalar = dtype.from_json_scalar("0x7fc00001", zarr_format=3)
    assert scalar.view("u4") == 0x7FC00001
    assert dtype.to_json_scalar(scalar, zarr_format=3) == "0x7fc00001"
    assert dtype.to_json_scalar(np.float32("nan"), zarr_format=3) == "NaN"


@pytest.mark.parametrize("name", ["|i1", "<i1", ">V3", "<b1"])
def test_format_2_may_name_a_byte_order_that_says_nothing(name):
    dtype = zdtype.parse_dtype({"name": name, "object_codec_id": None}, zarr_format=2)
    assert dtype.to_native_dtype().str == "|" + name[1:]


def test_a_field_that_is_unknown_is_named():
    json = {
        "name": "struct",
        "configuration": {"fields": [{"name": "a", "data_type": "int8"}, ["b", "nothing"]]},
    }
    with pytest.raises(ValueError, match="'nothing' at /configuration/fields/1/1"):
        zdtype.data_type_registry.match_json(json, zarr_format=3)


@pytest.mark.parametrize("module", ["zarr.dtype", "zarr.core.dtype", "zarr.core.dtype.common"])
def test_the_error_that_moved_is_still_found_with_a_warning(module):
    from importlib import import_module

    from fastzarr.compat.names import module_of
    from fastzarr.errors import ZarrDeprecationWarning

    says = rf" {module} is .*errors\.DataTypeValidationError"
    with pytest.warns(ZarrDeprecationWarning, match=says):
        found = import_module(module_of(module)).DataTypeValidationError
    assert found is DataTypeValidationError


class Celsius(zdtype.Int8):
    """A data type of another package, over one of zarr-python."""

    _zarr_v3_name = "test.celsius"
    _zarr_v2_names = ("<i1",)


def test_a_data_type_of_another_package_is_read_from_documents():
    zdtype.data_type_registry.register("test.celsius", Celsius)
    try:
        dtype = dtypes.from_v3("test.celsius")
        assert from_inner(dtype) == Celsius()
        assert dtype.to_v3() == "test.celsius"
        assert dtype.to_v2() == "<i1"
        assert dtype.numpy == "i1"
        assert dtype.fill_from_json(5, 3, "fill_value") == 5
        assert pickle.loads(pickle.dumps(dtype)) == dtype
        assert dtypes.from_v2("<i1") == dtype
        assert dtypes.from_v2("|i1") == dtypes.Int8()
        for zarr_format in (2, 3):
            z = compat.create_array(
                {}, shape=5, chunks=2, dtype=Celsius(), fill_value=3, zarr_format=zarr_format
            )
            z[1:3] = 7
            opened = compat.open_array(z.store, mode="r")
            assert opened[:].tolist() == [3, 7, 7, 3, 3]
            assert opened.metadata.dtype == Celsius()
    finally:
        zdtype.data_type_registry.unregister("test.celsius")
    assert dtypes.from_v2("<i1") == dtypes.Int8()
    with pytest.raises(DataTypeValidationError, match=r"test\.celsius"):
        dtypes.from_v3("test.celsius")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_record_without_a_fill_value_is_filled_with_zeros(zarr_format):
    dtype = np.dtype([("time", "<M8[s]"), ("count", "<i4")])
    z = compat.create_array({}, shape=2, dtype=dtype, zarr_format=zarr_format)
    assert z.fill_value == np.zeros((), dtype)
    assert (z[:] == np.zeros(2, dtype)).all()
    assert np.isnat(compat.create_array({}, shape=2, dtype="<M8[s]").fill_value)


class Kelvin(zdtype.Int8):
    """A data type that another package declares."""

    _zarr_v3_name = "test.kelvin"
    _zarr_v2_names = ()


def test_a_document_finds_a_data_type_that_a_package_declares():
    entry = EntryPoint("kelvin", f"{__name__}:Kelvin", "zarr.data_type")
    zdtype.data_type_registry.declare([entry])
    try:
        assert dtypes.from_v3("test.kelvin").to_v3() == "test.kelvin"
    finally:
        zdtype.data_type_registry.unregister("test.kelvin")
