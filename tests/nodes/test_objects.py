"""Arrays of Python objects, bytes and text of variable length."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pandas as pd
import pytest

import fastzarr as zarr
from fastzarr.errors import BaseZarrError

OBJECTS = [{"a": 1}, [2], "c", None]


def objects(store=None, codec=None, **words):
    words = {"chunks": 1, "zarr_format": 2} | words
    codec = numcodecs.JSON() if codec is None else codec
    return zarr.create(4, store=store, dtype=object, object_codec=codec, **words)


def filled(values):
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        made[place] = value
    return made


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("wrong", [1.5, "text", object(), [b"a"]])
def test_bytes_are_assigned_whole_or_not_at_all(zarr_format, wrong):
    z = zarr.create(4, dtype=bytes, chunks=1, zarr_format=zarr_format)
    z[:] = [b"1", b"2", b"3", b"4"]
    with pytest.raises(TypeError, match=r"element \(2,\) of the value: .* is not bytes"):
        z[:] = filled([b"a", b"b", wrong, b"d"])
    with pytest.raises(TypeError, match="is not bytes"):
        z[1] = wrong
    assert z[:].tolist() == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("codec", "wrong"),
    [
        (numcodecs.JSON(), {1, 2}),
        (numcodecs.MsgPack(), {1, 2}),
        (numcodecs.Pickle(), lambda: None),
        (numcodecs.VLenArray("i4"), np.zeros((2, 2), "i4")),
    ],
)
def test_objects_are_assigned_whole_or_not_at_all(codec, wrong):
    good = np.array([1], "i4") if codec.codec_id == "vlen-array" else "good"
    z = objects(codec=codec, filters=[codec])
    z[:] = filled([good] * 4)
    with pytest.raises(BaseZarrError, match=r"(?s)element \(2,\) of .* cannot be stored by"):
        z[:] = filled([good, None, wrong, None])
    for place in range(4):
        assert np.array_equal(z[place], good)


def test_an_element_of_an_array_of_objects_is_that_element():
    z = objects()
    z[:] = filled(OBJECTS)
    for index, value in enumerate(OBJECTS):
        for found in (z[index], z[(index,)], z.get_basic_selection(index), z.vindex[index]):
            assert found == value
            assert type(found) is type(value)
        assert isinstance(z[index : index + 1], np.ndarray)
    assert list(z) == OBJECTS
    out = np.empty((), dtype=object)
    assert z.get_basic_selection(0, out=out) is out
    b = zarr.create(2, dtype=bytes)
    b[:] = [b"a\0", b""]
    assert (b[0], b[1]) == (b"a\0", b"")


@pytest.mark.parametrize(
    "codec", [numcodecs.JSON(), numcodecs.MsgPack(), numcodecs.Pickle(), numcodecs.VLenArray("i4")]
)
def test_objects_that_were_never_written_are_none(codec):
    words = {"dtype": object, "object_codec": codec, "chunks": 2, "zarr_format": 2}
    made = (
        zarr.empty(4, store={}, **words),
        zarr.create(4, store={}, fill_value=None, **words),
    )
    for z in made:
        assert z[:].tolist() == [None] * 4
        assert z[3] is None
        assert json.loads(z.store[".zarray"])["fill_value"] is None
        good = np.array([1], "i4") if codec.codec_id == "vlen-array" else "good"
        z[0] = good
        assert np.array_equal(z[0], good)
        beside = z[1]
        assert beside is None or beside.tolist() == []
        again = zarr.open_array(z.store, allow_pickle=True)
        assert again[2] is None


def test_the_default_fill_value_of_objects_is_zero_as_in_zarr_python_2():
    assert objects()[:].tolist() == [0] * 4
    assert objects(codec=numcodecs.VLenArray("i4"))[:].tolist() == [None] * 4


class NAType:
    """What pandas.NA is: not equal to itself, and without a truth value."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        msg = "boolean value of NA is ambiguous"
        raise TypeError(msg)

    __hash__ = object.__hash__


@pytest.mark.parametrize("dtype", [str, bytes])
@pytest.mark.parametrize(
    "missing",
    [
        None,
        float("nan"),
        np.float32("nan"),
        NAType(),
        pd.NaT,
        np.datetime64("NaT"),
        np.timedelta64("NaT"),
    ],
)
def test_whatever_is_missing_is_empty(dtype, missing):
    z = zarr.create(3, dtype=dtype, fill_value=dtype(b"x" if dtype is bytes else "x"))
    full, empty = (b"x", b"") if dtype is bytes else ("x", "")
    z[1] = missing
    assert z[:].tolist() == [full, empty, full]
    z[:2] = filled([full, missing])
    assert z[:].tolist() == [full, empty, full]
    if dtype is str:
        z[:2] = [full, missing]
        assert z[:].tolist() == [full, empty, full]
        assert zarr.create(1, dtype=str, fill_value=missing)[:].tolist() == [""]


def test_numbers_and_times_that_are_missing_are_empty_text():
    z = zarr.create(2, dtype=str)
    z[:] = np.array([1.5, np.nan])
    assert z[:].tolist() == ["1.5", ""]
    z[:] = np.array(["2000-01-01", "NaT"], "M8[D]")
    assert z[:].tolist() == ["2000-01-01", ""]


@pytest.mark.parametrize("marker", [None, float("nan"), object()])
def test_the_marker_of_a_string_array_is_empty_text(marker):
    values = np.array(["a", marker, "nan"], dtype=np.dtypes.StringDType(na_object=marker))
    z = zarr.create(3, dtype=str)
    z[:] = values
    assert z[:].tolist() == ["a", "", "nan"]


def test_a_marker_that_is_text_is_that_text():
    values = np.array(["NA", "a"], dtype=np.dtypes.StringDType(na_object="NA"))
    z = zarr.create(2, dtype=str)
    z[:] = values
    assert z[:].tolist() == ["NA", "a"]


def stored(z):
    return z.metadata.zarr_format, z.filters, z.compressors, z.chunks


@pytest.mark.parametrize("path", [None, "a"])
def test_copies_of_an_array_of_objects_keep_codec_and_format(path):
    z = objects(chunks=2, compressor=numcodecs.Zlib(level=2))
    z[:] = filled(OBJECTS)
    group = zarr.group({}, zarr_format=2)
    group["x"] = z
    saved, both = {}, {}
    zarr.save(saved, z, path=path)
    zarr.save(both, z, b=z)
    found = zarr.open_group(both, mode="r")
    copies = (
        group["x"],
        zarr.array(z),
        zarr.open_array(saved, path=path, mode="r"),
        found["arr_0"],
        found["b"],
    )
    for copy in copies:
        assert copy[:].tolist() == OBJECTS
        assert stored(copy) == stored(z)


def test_copies_of_any_array_keep_codec_and_format():
    z = zarr.create_array(
        {}, data=np.arange(8), chunks=2, shards=4, compressors=zarr.codecs.GzipCodec(level=3)
    )
    old = zarr.create(8, dtype="i4", chunks=3, compressor=numcodecs.BZ2(), zarr_format=2)
    for source in (z, old):
        store = {}
        zarr.save(store, source)
        group = zarr.group({}, zarr_format=source.metadata.zarr_format)
        group["x"] = source
        for copy in (zarr.array(source), zarr.open_array(store), group["x"]):
            assert stored(copy) == stored(source)
            assert copy.shards == source.shards
            assert np.array_equal(copy[:], source[:])
    # What is passed, and the format of the group, come first.
    assert zarr.array(z, compressors=None).compressors == ()
    assert zarr.array(z, chunks=8).chunks == (8,)
    assert zarr.array(z, dtype="f4").dtype == "f4"
    assert zarr.array(old, zarr_format=3).metadata.zarr_format == 3
    other = zarr.group({}, zarr_format=3)
    other["x"] = old
    assert other["x"].metadata.zarr_format == 3
    assert other["x"].chunks == (3,)
