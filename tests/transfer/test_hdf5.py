"""Copies from HDF5 and NetCDF-4 files, and back."""

from __future__ import annotations

import base64
import pickle
import struct

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import MemoryStore

NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable.%10d"


@pytest.fixture(params=[2, 3])
def dest(request, tmp_path):
    return zarr.create_group(tmp_path / "copy.zarr", zarr_format=request.param)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        yield file


@pytest.fixture
def other(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        yield file


def reasons(report):
    return {(path, attribute): reason for path, attribute, reason in report.left_out}


@pytest.fixture
def ocean(file):
    """Return a file as the NetCDF-4 library writes it.

    It has a group below the root, dimensions without values, a variable that has the name of a
    dimension it does not have, and special values.
    """
    file.attrs["_NCProperties"] = np.bytes_("version=2,netcdf=4.9.2,hdf5=1.14.3")
    file.attrs["title"] = np.bytes_("Sea")
    file.attrs["count"] = np.array([3], "i4")
    file.attrs["range"] = np.array([1.5, 2.5])
    below = file.create_group("deep")
    scales = {}
    for number, (name, size) in enumerate({"time": 4, "x": 3, "bnds": 2}.items()):
        values = np.arange(size, dtype=">f8") if name == "time" else np.zeros(size, ">f4")
        scale = file.create_dataset(name, data=values, maxshape=(None,), chunks=(2,))
        scale.make_scale(name if name == "time" else NO_VARIABLE % size)
        scale.attrs["_Netcdf4Dimid"] = np.int32(number)
        scales[name] = scale
    scales["time"].attrs["units"] = np.bytes_("days since 2000-01-01")

    def variable(group, name, dims, values, fill=None, **attributes):
        made = group.create_dataset(name, data=values, fillvalue=fill)
        made.attrs["_Netcdf4Dimid"] = np.int32(0)
        if fill is not None:
            made.attrs["_FillValue"] = np.array([fill], made.dtype)
        for word, value in attributes.items():
            made.attrs[word] = value
        for axis, dim in enumerate(dims):
            made.dims[axis].attach_scale(scales[dim])
        return made

    sst = np.arange(12, dtype="f4").reshape(4, 3)
    sst[1, 1] = -999
    variable(file, "sst", ["time", "x"], sst, -999, units=np.bytes_("K"))
    packed = np.arange(4, dtype="i2")
    variable(file, "packed", ["time"], packed, -1, scale_factor=np.array([0.5]))
    variable(file, "zeros", ["time", "bnds"], np.zeros((4, 2)))
    variable(file, "crs", [], np.int32(0), long_name=np.bytes_("grid"))
    variable(file, "_nc4_non_coord_x", ["time"], np.arange(4.0))
    variable(below, "sst", ["time", "x"], sst + 1, np.nan)
    return file


def test_netcdf_is_what_xarray_reads(ocean, dest, tmp_path):
    """Values, coordinates, attributes and masks, in the root and in a group."""
    report = zarr.copy_all(ocean, dest)
    assert (report.n_copied, report.n_skipped, report.left_out) == (8, 2, ())
    ocean.close()
    for group in ("/", "/deep"):
        where = {"group": group, "mask_and_scale": True}
        with xr.open_dataset(
            tmp_path / "copy.zarr", engine="zarr", consolidated=False, **where
        ) as copied:
            h5 = xr.open_dataset(tmp_path / "a.h5", engine="h5netcdf", **where)
            with h5 as wanted:
                xr.testing.assert_identical(copied.load(), wanted.load())


def test_dimension_scales_become_names(ocean, dest):
    zarr.copy_all(ocean, dest)
    names = {"time": ["time"], "sst": ["time", "x"], "zeros": ["time", "bnds"], "crs": []}
    names |= {"x": ["time"], "deep/sst": ["time", "x"]}
    for name, wanted in names.items():
        if dest.zarr_format == 3:
            assert list(dest[name].layout.dimension_names) == wanted
            assert "_ARRAY_DIMENSIONS" not in dest[name].attrs
        else:
            assert dest[name].attrs["_ARRAY_DIMENSIONS"] == wanted
    assert "bnds" not in dest
    hidden = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid"}
    assert not any(hidden & set(node.attrs) for _, node in dest.members(None))


def test_root_attributes_are_kept(ocean, dest):
    zarr.copy_all(ocean, dest)
    assert dict(dest.attrs) == {"title": "Sea", "count": 3, "range": [1.5, 2.5]}


def test_special_values_are_spelled_as_xarray_does(ocean, dest):
    zarr.copy_all(ocean, dest)
    if dest.zarr_format == 3:
        spelled = base64.b64encode(struct.pack("<d", -999)).decode()
        assert dest["sst"].attrs["_FillValue"] == spelled
        assert dest["packed"].attrs["_FillValue"] == -1
    else:
        assert (dest["sst"].fill_value, dest["packed"].fill_value) == (-999, -1)
        assert dest["zeros"].fill_value is None  # zeros are not missing


def test_a_netcdf_file_of_an_old_version(file, dest, tmp_path):
    """Its only marks are dimension scales."""
    x = file.create_dataset("x", data=[1.0, 2.0])
    x.make_scale("x")
    x.attrs["modulo"] = np.array([360.0])
    file["values"] = [0.0, 1.0]
    file["values"].dims[0].attach_scale(x)
    file["scalar"] = 0.0
    zarr.copy_all(file, dest)
    file.close()
    copied = xr.open_dataset(tmp_path / "copy.zarr", engine="zarr", consolidated=False)
    wanted = xr.open_dataset(tmp_path / "a.h5", engine="h5netcdf")
    with copied, wanted:
        xr.testing.assert_identical(copied.load(), wanted.load())


def test_a_damaged_chunk(file, dest):
    """Its dataset is left out, and the reason is that of h5py."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((4,))
    settings.set_deflate(1)
    space = h5py.h5s.create_simple((4,))
    low = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, settings)
    low.write_direct_chunk((0,), b"not deflate")
    file["y"] = [1]
    report = zarr.copy_all(file, dest, on_error="skip")
    assert "the dataset '/x' cannot be read" in reasons(report)["/x", None]
    assert list(dest) == ["y"]


def test_a_coordinate_of_two_axes(file, dest):
    """A character variable named as its first axis: NetCDF-4 stores the numbers of its axes."""
    name = file.create_dataset("name", data=np.full((2, 3), b"a", "S1"))
    length = file.create_dataset("length", data=np.zeros(3, "f4"))
    name.make_scale("name")
    length.make_scale(NO_VARIABLE % 3)
    name.attrs["_Netcdf4Dimid"], length.attrs["_Netcdf4Dimid"] = np.int32(0), np.int32(1)
    name.attrs["_Netcdf4Coordinates"] = np.array([0, 1], "i4")
    zarr.copy_all(file, dest)
    copied = dest["name"]
    found = copied.attrs.get("_ARRAY_DIMENSIONS") or copied.layout.dimension_names
    assert list(found) == ["name", "length"]
    assert list(dest) == ["name"]


def test_labels_are_names_where_there_is_no_scale(file):
    x = file.create_dataset("x", data=np.zeros((2, 3)))
    x.dims[1].label = "along"
    for number, expected in ((3, (None, "along")), (2, None)):
        dest = zarr.create_group({}, zarr_format=number)
        zarr.copy_all(file, dest)
        assert dest["x"].layout.dimension_names == expected
        assert "_ARRAY_DIMENSIONS" not in dest["x"].attrs


def broken(file):
    """Fill a file with sound items, and return the reasons for which the others are left out."""
    file["good"] = [1, 2]
    file["empty"] = h5py.Empty("f4")
    file["reference"] = file["good"].ref
    file["region"] = file["good"].regionref[:1]
    file["soft"] = h5py.SoftLink("/nowhere")
    file["external"] = h5py.ExternalLink("nofile.h5", "/x")
    file["g/loop"] = h5py.SoftLink("/g")
    file["g/hard"] = file["/"]
    file["long"] = np.zeros(2, np.longdouble)
    file["type"] = np.dtype("i4")
    text = file.create_dataset("invalid", (2,), h5py.string_dtype())
    text[0], text[1] = "ok", b"\xff"
    fields = np.dtype([("name", h5py.string_dtype()), ("x", "f4")])
    file.create_dataset("fields", (1,), fields)
    file.create_dataset("swapped", (1,), h5py.vlen_dtype(np.dtype(">u4")))
    h5py.h5d.create(file.id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((2,)))
    file.id.links.create_soft(b"name\xff", b"/good")
    file["g"].attrs["pointer"] = file["good"].ref
    file["good"].attrs["opaque"] = np.void(b"ab")
    file["good"].attrs["units"] = "m"
    return {
        ("/empty", None): "h5py.Empty",
        ("/reference", None): "references",
        ("/region", None): "references",
        ("/soft", None): "'/nowhere'",
        ("/external", None): "'nofile.h5'",
        ("/g/loop", None): "a link to '/g'",
        ("/g/hard", None): "a link to '/'",
        ("/long", None): "float",
        ("/invalid", None): "not valid UTF-8",
        ("/fields", None): "variable length",
        ("/swapped", None): "byte order",
        ("/when", None): "TypeTimeID",
        ("/name\xff", None): "not valid UTF-8",
        ("/g", "pointer"): "reference",
        ("/good", "opaque"): "opaque",
    }


def test_what_cannot_be_copied_is_left_out_and_named(file, dest):
    wanted = broken(file)
    log = []
    report = zarr.copy_all(file, dest, on_error="skip", log=log.append)
    found = reasons(report)
    assert found.keys() == wanted.keys()
    for item, reason in wanted.items():
        assert reason in found[item]
    assert [name for name, _ in dest.members(None)] == ["g", "good"]
    assert dest["good"][:].tolist() == [1, 2]
    assert dict(dest["good"].attrs) == {"units": "m"}
    assert report == (2, 1, 16)  # the named type is skipped
    assert "skip /type: a named data type, which the arrays that use it describe" in log
    assert log[-1] == f"all done: 2 copied, 1 skipped, {len(wanted)} left out, 16 bytes copied"
    assert all(f"leave out {item}" in log for item in report.left_out)
    assert "  attribute 'pointer' of /g: it is a reference" in repr(report)
    assert pickle.loads(pickle.dumps(report)).left_out == report.left_out


def test_by_default_an_error_names_all_that_was_left_out(file, dest):
    wanted = broken(file)
    with pytest.raises(errors.CopyError) as caught:
        zarr.copy_all(file, dest)
    message = str(caught.value)
    assert message.startswith(f"{len(wanted)} items could not be copied, all others were")
    for (path, attribute), reason in wanted.items():
        item = path if attribute is None else f"attribute {attribute!r} of {path}"
        line = next(line for line in message.splitlines() if line.startswith(f"  {item}: "))
        assert reason in line
    assert caught.value.report == (2, 1, 16)
    assert dest["good"][:].tolist() == [1, 2]


def test_one_array_that_cannot_be_copied(file, dest):
    file["x"] = h5py.Empty("f4")
    with pytest.raises(errors.CopyError, match=r"/x: it is empty \(h5py.Empty\)"):
        zarr.copy(file["x"], dest)
    assert zarr.copy(file["x"], dest, on_error="skip") == (0, 0, 0)
    assert list(dest) == []
    with pytest.raises(ValueError, match="on_error must be one of"):
        zarr.copy(file["x"], dest, on_error="ignore")


def test_a_failure_in_the_middle_leaves_no_node(file, dest):
    text = file.create_dataset("late", (5000,), h5py.string_dtype(), chunks=(1000,))
    text[4999] = b"\xff"
    file["next"] = [1]
    report = zarr.copy_all(file, dest, on_error="skip")
    assert [path for path, _, _ in report.left_out] == ["/late"]
    assert list(dest) == ["next"]
    assert not any("late" in key for key in dest.store.list(""))


def test_invalid_text_can_be_copied_as_bytes(file, dest):
    text = file.create_dataset("x", (2,), h5py.string_dtype())
    text[0], text[1] = "ok", b"\xff"
    zarr.copy(file["x"], dest, dtype=bytes)
    assert dest["x"][:].tolist() == [b"ok", b"\xff"]


class Full(MemoryStore):
    """A store that has no space for chunks of one array."""

    def _set(self, key, value):
        if key.startswith("full/"):
            raise OSError(28, "No space left on device")
        super()._set(key, value)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_failing_storage_ends_the_copy(file, on_error):
    """It is no fault of an item: the next item would not be stored either."""
    file["full"] = [1]
    file["next"] = [1]
    dest = zarr.create_group(Full())
    with pytest.raises(OSError, match="No space"):
        zarr.copy_all(file, dest, on_error=on_error)
    assert list(dest) == []


VALUES = {
    "big endian": np.arange(3, dtype=">i4"),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j, np.nan]),
    "half": np.array([1.5, np.inf], "f2"),
    "fixed": np.array([b"a", b"bc"], "S4"),
    "void": np.array([b"abc", b"d"], "V3"),
    "scalar": np.array(5.5),
    "no length": np.zeros((0, 3), "i2"),
    "compound": np.array([(1, 2.5, b"x", True)], "i1,f8,S3,?"),
    "padded": np.array([(1, 2.5)], np.dtype("i1,f8", align=True)),
    "nested": np.array([(1, (2, 3j))], [("a", "i4"), ("b", [("c", "u1"), ("d", "c8")])]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_and_back(name, file, other, dest):
    values = VALUES[name]
    file.create_dataset("x", data=values, maxshape=(None,) * values.ndim)
    zarr.copy_all(file, dest)
    assert dest["x"].shape == values.shape
    assert repr(dest["x"][...].tolist()) == repr(values.tolist())
    zarr.copy_all(dest, other)
    assert other["x"].shape == values.shape
    assert repr(np.asarray(other["x"][()]).tolist()) == repr(values.tolist())
    assert zarr.copy_all(other, zarr.create_group({}, zarr_format=dest.zarr_format))[0] == 1


def test_space_padding_is_no_part_of_the_text(file, dest):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(5)
    kind.set_strpad(h5py.h5t.STR_SPACEPAD)
    h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((2,)))
    file["x"][...] = np.array([b"ab", b"abcde"])
    zarr.copy_all(file, dest)
    assert dest["x"][:].tolist() == [b"ab", b"abcde"]


def test_an_array_as_an_element(file, dest):
    """Its axes become the last ones."""
    kind = h5py.h5t.array_create(h5py.h5t.NATIVE_INT32, (2,))
    h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
    file["x"][...] = np.arange(6).reshape(3, 2)
    zarr.copy_all(file, dest)
    assert dest["x"][:].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_an_undefined_fill_value(file, dest):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((2,))
    low = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT32, space, settings)
    low.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2], "i4"))
    zarr.copy_all(file, dest)
    assert dest["x"][:].tolist() == [1, 2]


def test_an_enumeration_is_its_values(file, dest):
    kind = h5py.enum_dtype({"LAND": 0, "SEA": 1}, "u1")
    file.create_dataset("x", data=[1, 0], dtype=kind)
    zarr.copy_all(file, dest)
    assert (dest["x"].dtype, dest["x"][:].tolist()) == (np.dtype("u1"), [1, 0])


def test_ragged_arrays(file, other):
    """Format 2 stores them with an object codec; format 3 has no such data type."""
    x = file.create_dataset("x", (2, 2), h5py.vlen_dtype(np.float64))
    for at, value in {(0, 0): [1, 2], (0, 1): [3, 4], (1, 0): [5]}.items():
        x[at] = value
    wanted = [[[1, 2], [3, 4]], [[5], []]]

    def lists(array):
        return [[element.tolist() for element in row] for row in array[:]]

    dest = zarr.create_group({}, zarr_format=2)
    zarr.copy_all(file, dest)
    assert lists(dest["x"]) == wanted
    zarr.copy_all(dest, other)
    assert lists(other["x"]) == wanted
    report = zarr.copy_all(file, zarr.create_group({}, zarr_format=3), on_error="skip")
    assert "format 2" in reasons(report)["/x", None]


def test_bytes_of_any_length(file, other, dest):
    x = file.create_dataset("x", (2,), h5py.vlen_dtype(np.uint8))
    x[0], x[1] = np.frombuffer(b"a\0b", "u1"), []
    x = file.create_dataset("one", (), h5py.vlen_dtype(np.uint8))
    x[()] = np.frombuffer(b"xyz", "u1")
    zarr.copy_all(file, dest)
    assert dest["x"][:].tolist() == [b"a\0b", b""]
    assert dest["one"][()] == b"xyz"
    zarr.copy_all(dest, other)
    assert [element.tobytes() for element in other["x"][:]] == [b"a\0b", b""]


def test_text_and_back(file, other, dest):
    x = file.create_dataset("x", (3,), h5py.string_dtype(), chunks=(2,), fillvalue="none")
    x[0] = "ü"
    one = file.create_dataset("one", (), h5py.string_dtype())
    one[()] = "word"
    zarr.copy_all(file, dest)
    assert dest["x"][:].tolist() == ["ü", "none", "none"]
    assert (dest["x"].fill_value, dest["one"][()]) == ("none", "word")
    zarr.copy_all(dest, other)
    assert other["x"].asstr()[:].tolist() == ["ü", "none", "none"]
    assert other["x"].fillvalue == b"none"
    assert other["one"].asstr()[()] == "word"


def test_text_of_fixed_length_and_dates_to_hdf5(other, dest):
    dates = np.array(["2020-01-01", "NaT"], "M8[D]")
    dest.create_array("text", data=np.array(["ü", "abc"]), fill_value="?")
    dest.create_array("dates", data=dates, chunks=1)
    dest.create_array("spans", data=dates - dates[0])
    zarr.copy_all(dest, other)
    assert other["text"].asstr()[:].tolist() == ["ü", "abc"]
    assert other["text"].fillvalue == b"?"
    back = zarr.group()
    zarr.copy_all(other, back)
    assert np.array_equal(back["dates"][:], dates, equal_nan=True)
    assert back["spans"].dtype == np.dtype("m8[D]")


def test_what_hdf5_has_no_counterpart_of(other):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    source = zarr.create_group({}, zarr_format=2)
    source.create_dataset("objects", data=[{"a": 1}], dtype=object, object_codec="json2")
    source.create_dataset("nul", data=["a\0b"], dtype=str)
    report = zarr.copy_all(source, other, on_error="skip")
    assert "Python objects" in reasons(report)["/objects", None]
    assert "NUL" in reasons(report)["/nul", None]
    small = zarr.group()
    small["x"] = np.ones(2, ml_dtypes.bfloat16)
    small["y"] = np.ones(2, ml_dtypes.float8_e5m2)
    small["z"] = np.zeros(2, [("a", "i4"), ("b", [("c", ml_dtypes.int4)])])
    small.create_array("pairs", shape=2, dtype="complex_bfloat16")
    report = zarr.copy_all(small, other, on_error="skip")
    assert "bfloat16" in reasons(report)["/x", None]
    assert "float8_e5m2" in reasons(report)["/y", None]
    assert "int4" in reasons(report)["/z", None]
    assert "bfloat16" in reasons(report)["/pairs", None]
    assert list(other) == []


def test_an_old_dataset_exists_until_it_is_replaced(other):
    other["x"] = [1, 2]
    source = zarr.create_group({}, zarr_format=2)
    source.create_dataset("x", data=["a\0b"], dtype=str)
    with pytest.raises(errors.CopyError, match="/x: "):
        zarr.copy_all(source, other, if_exists="replace")
    assert other["x"][:].tolist() == [1, 2]
    source.create_dataset("x", data=["ab"], dtype=str, overwrite=True)
    zarr.copy_all(source, other, if_exists="replace")
    assert other["x"].asstr()[:].tolist() == ["ab"]


ATTRIBUTES = {
    "text": "ü",
    "empty": "",
    "number": 5,
    "large": 2**63,
    "float": 1.5,
    "flag": True,
    "list": [1, 2, 3],
    "floats": [1.5, 2.0],
    "words": ["a", "bc"],
    "table": [[1, 2], [3, 4]],
    "nothing": [],
}
AS_JSON = {
    "mapping": {"a": [1, None]},
    "none": None,
    "mixed": [1, "a"],
    "ragged": [[1], [2, 3]],
    "huge": 2**70,
}


def test_attributes_and_back(other, dest):
    dest.attrs.update(ATTRIBUTES)
    dest.create_array("x", data=[1], attributes=ATTRIBUTES)
    zarr.copy_all(dest, other)
    back = zarr.create_group({}, zarr_format=dest.zarr_format)
    zarr.copy_all(other, back)
    assert dict(back.attrs) == dict(back["x"].attrs) == ATTRIBUTES


def test_attributes_that_hdf5_cannot_represent_become_json(other, dest):
    import json

    dest.attrs.update(AS_JSON)
    zarr.copy_all(dest, other)
    assert {name: json.loads(value) for name, value in other.attrs.items()} == AS_JSON


def test_an_attribute_too_large_for_hdf5_is_left_out(other, dest):
    dest.create_array("x", data=[1], attributes={"long": list(range(100_000)), "units": "m"})
    report = zarr.copy_all(dest, other, on_error="skip")
    assert "too large" in reasons(report)["/x", "long"]
    assert dict(other["x"].attrs) == {"units": "m"}


def test_attributes_of_hdf5(file, dest):
    """Empty ones, compounds, enumerations, text in Latin-1, and lists of one element."""
    file.attrs["empty"] = h5py.Empty("S1")
    file.attrs["no numbers"] = h5py.Empty("f4")
    file.attrs["one"] = np.array([1])
    file.attrs["fields"] = np.array((1, b"m"), "i4,S1")[()]
    file.attrs["kinds"] = np.array([1.5, np.inf])
    file.attrs["latin"] = np.bytes_("5°".encode("latin-1"))
    file.attrs.create("enum", 1, dtype=h5py.enum_dtype({"a": 1}, "i1"))
    ragged = np.empty(1, object)
    ragged[0] = np.array([1, 2], "i4")
    file.attrs.create("ragged", ragged, dtype=h5py.vlen_dtype(np.int32))
    file.attrs["CLASS"] = "TABLE"
    zarr.copy_all(file, dest)
    found = dict(dest.attrs)
    assert found.pop("kinds")[0] == 1.5
    assert found == {
        "empty": "",
        "no numbers": [],
        "one": [1],
        "fields": {"f0": 1, "f1": "m"},
        "latin": "5°",
        "enum": 1,
        "ragged": [[1, 2]],
        "CLASS": "TABLE",
    }


def test_names_of_dimensions_become_scales_and_labels(other):
    source = zarr.group()
    source.create_array("time", data=[1.0, 2.0], dimension_names=["time"])
    source.create_array("a/x", data=np.ones((2, 3)), dimension_names=["time", "along"])
    source.create_array("plain", data=[1], dimension_names=[None])
    zarr.copy_all(source, other)
    assert other["time"].is_scale
    assert other["a/x"].dims[0][0] == other["time"]
    assert other["a/x"].dims[1].label == "along"
    back = zarr.group()
    zarr.copy_all(other, back)
    assert back["time"].layout.dimension_names == ("time",)
    assert back["a/x"].layout.dimension_names == ("time", "along")
    assert back["plain"].layout.dimension_names is None
    assert not dict(back["a/x"].attrs)


def test_special_values_return_to_hdf5(ocean, other, dest):
    zarr.copy_all(ocean, dest)
    zarr.copy_all(dest, other)
    if dest.zarr_format == 3:
        assert other["sst"].attrs["_FillValue"] == np.float32(-999)
        assert other["packed"].attrs["_FillValue"].dtype == np.dtype("i2")
    assert other["sst"].fillvalue == -999
    assert [scale.name for scale in other["sst"].dims[0].values()] == ["/time"]


def test_a_scale_that_was_deleted(file, dest):
    """The array is copied without names, and the error names the attribute."""
    file["x"] = [1.0, 2.0]
    file["x"].make_scale("x")
    file["values"] = [1, 2]
    file["values"].dims[0].attach_scale(file["x"])
    del file["x"]
    report = zarr.copy_all(file, dest, on_error="skip")
    assert list(reasons(report)) == [("/values", "DIMENSION_LIST")]
    assert dest["values"][:].tolist() == [1, 2]


def test_an_attribute_class_that_cannot_be_read(file, dest):
    file["x"] = [1]
    scalar = h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.h5a.create(file["x"].id, b"CLASS", h5py.h5t.UNIX_D32LE, scalar)
    report = zarr.copy_all(file, dest, on_error="skip")
    assert list(reasons(report)) == [("/x", "CLASS")]
    assert dest["x"][:].tolist() == [1]


@pytest.mark.parametrize("formats", [(2, 3), (3, 2), (2, 2), (3, 3)])
def test_what_xarray_masks_remains_masked_in_the_other_format(formats, tmp_path):
    first, second = formats
    wanted = xr.Dataset(
        {
            "masked": ("x", np.array([1.0, np.nan, 0.0])),
            "packed": ("x", np.array([1.0, np.nan, 0.0])),
            "zeros": ("x", np.zeros(3)),
            "whole": ("x", np.arange(3)),
            "scalar": ((), np.int32(0)),
        },
        coords={"x": [0.0, 1.0, 2.0]},
        attrs={"title": "t"},
    )
    wanted["masked"].encoding = {"_FillValue": -999.0}
    wanted["packed"].encoding = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    wanted["zeros"].encoding = {"_FillValue": None}
    place = tmp_path / "first.zarr"
    wanted.to_zarr(place, zarr_format=first, consolidated=False)
    dest = zarr.create_group(tmp_path / "second.zarr", zarr_format=second)
    zarr.copy_all(zarr.open_group(place, mode="r"), dest)
    words = {"engine": "zarr", "consolidated": False}
    with xr.open_dataset(tmp_path / "second.zarr", **words) as copied:
        xr.testing.assert_identical(copied.load(), wanted)


def test_a_fill_value_that_is_passed_wins():
    old = zarr.create_group({}, zarr_format=3)
    old.create_array("x", data=[1.0], dimension_names=["x"])
    new = zarr.create_group({}, zarr_format=2)
    zarr.copy_all(old, new, fill_value=7)
    assert new["x"].fill_value == 7


def test_names_of_dimensions_between_the_formats():
    old, new = zarr.create_group({}, zarr_format=2), zarr.create_group({}, zarr_format=3)
    old.create_array("x", data=np.ones((2, 2)), attributes={"_ARRAY_DIMENSIONS": ["y", "x"]})
    zarr.copy_all(old, new)
    assert new["x"].layout.dimension_names == ("y", "x")
    assert dict(new["x"].attrs) == {"_FillValue": base64.b64encode(bytes(8)).decode()}
    again = zarr.create_group({}, zarr_format=2)
    zarr.copy_all(new, again)
    assert dict(again["x"].attrs) == {"_ARRAY_DIMENSIONS": ["y", "x"]}


@pytest.mark.parametrize("verb", ["from_array", "array", "setitem", "save", "create_array"])
def test_datasets_as_data(verb, file):
    """Text is text, and ragged arrays name their codec, however the data is passed."""
    file["x"] = np.arange(6).reshape(2, 3)
    text = file.create_dataset("text", data=["ab", "ü"], dtype=h5py.string_dtype())
    ragged = file.create_dataset("ragged", (2,), h5py.vlen_dtype("i4"))
    ragged[0] = [1, 2]

    def write(data, **words):
        store = {}
        if verb == "from_array":
            return zarr.from_array(store, data=data, **words)
        if verb == "array":
            return zarr.array(data, **words)
        if verb == "create_array":
            return zarr.create_array(store, data=data, **words)
        if verb == "save":
            zarr.save_array(store, data, **words)
            return zarr.open_array(store)
        root = zarr.create_group(store, **words)
        root["x"] = data
        return root["x"]

    assert write(file["x"])[:].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert write(text)[:].tolist() == ["ab", "ü"]
    assert [row.tolist() for row in write(ragged, zarr_format=2)[:]] == [[1, 2], []]
    file["empty"] = h5py.Empty("f4")
    with pytest.raises(TypeError, match=r"h5py\.Empty"):
        write(file["empty"])


TYPES = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.boolean_dtypes(),
    hnp.byte_string_dtypes(min_len=1, max_len=5),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
)


@given(data=st.data(), number=st.sampled_from([2, 3]))
@settings(max_examples=60, deadline=None)
def test_any_array_to_hdf5_and_back(data, number):
    """Shape, data type and every bit are kept."""
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    values = data.draw(hnp.arrays(data.draw(TYPES), shape))
    source = zarr.create_group({}, zarr_format=number)
    source.create_array("x", data=values, chunks=2 if shape else None)
    back = zarr.create_group({}, zarr_format=number)
    with h5py.File("x", mode="w", driver="core", backing_store=False) as file:
        zarr.copy_all(source, file)
        zarr.copy_all(file, back)
    wanted, found = np.asarray(source["x"][...]), np.asarray(back["x"][...])
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert found.tobytes() == wanted.tobytes()


def test_between_files_of_hdf5(ocean, other):
    zarr.copy_all(ocean, other)
    assert other["sst"][:].tolist() == ocean["sst"][:].tolist()
    assert other["sst"].dims[0][0] == other["time"]
    assert dict(other.attrs)["title"] == "Sea"
