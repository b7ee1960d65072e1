"""First programs of newcomers: one for each topic of the tutorials of zarr-python 2 and 3.

``python -m pytest tests/test_newcomers.py`` runs each program of ``programs.py`` as a user would,
in an empty folder, with ``import fastzarr as zarr``. What does not run yet is in ``MISSING``, with
the feature that will bring it; an entry whose program begins to run fails its test until it is
removed. What runs with another result is in ``DIFFERENT``, with the reason. ``MISTAKES`` are calls
that raise an error which says what to do.
"""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from programs import ZARR_2, ZARR_3

import fastzarr
from fastzarr import errors

PROGRAMS = ZARR_2 | ZARR_3

FACADE = "use by libraries that import zarr-python under its own name"
ASYNC = "an async API"

# name: (a program, the feature that will bring it, the error until then)
MISSING = {
    "N5Store": ("zarr.n5", "the format N5", AttributeError),
    "async functions": ("zarr.api.asynchronous", ASYNC, AttributeError),
    "AsyncArray": ("zarr.AsyncArray", ASYNC, AttributeError),
    "GPU buffers": ("zarr.config.enable_gpu()", "arrays in a GPU's memory", NotImplementedError),
    "classes of documents": ("import fastzarr.core.group", FACADE, ImportError),
    "abstract classes": ("import fastzarr.abc", FACADE, ImportError),
    "new codecs": ("zarr.codecs.CastValue", "the codecs cast_value, scale_offset", AttributeError),
    "registering by another module": (
        "from fastzarr.registry import register_codec",
        FACADE,
        ImportError,
    ),
    "buffers": ("import fastzarr.buffer", FACADE, ImportError),
    "the command line": ("import fastzarr.__main__", "a command line", ImportError),
}

# name: (a program that shows the difference, the reason)
DIFFERENT = {
    "the compressor of an array of the default format": (
        """
        z = zarr.zeros(3)
        try:
            z.compressor
        except TypeError:
            assert len(z.compressors) == 2
        """,
        "the default format is 3, as in zarr-python 3, and has a list of compressors",
    ),
    "the default compressor of zarr-python 2": (
        """
        zarr.storage.default_compressor = None
        try:
            assert zarr.zeros(3, zarr_format=2).compressor is not None
        finally:
            del zarr.storage.default_compressor
        """,
        "a variable of a module is no setting here; pass compressor= instead",
    ),
    "column-major order in the default format": (
        """
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            zarr.zeros((2, 2), order="F")
        assert "TransposeCodec" in str(caught[0].message)
        """,
        "format 3 stores the order as a codec; the warning says how",
    ),
    "saving to an existing array": (
        """
        zarr.save("a", [1, 2])
        zarr.save("a", [3])
        assert zarr.load("a").tolist() == [3]
        """,
        "it is replaced, as by numpy.save and zarr-python 2; zarr-python 3.4 refuses",
    ),
    "the values of a dictionary": (
        """
        store = {}
        zarr.create_array(store, shape=3, dtype="i4")
        assert type(store["zarr.json"]) is bytes
        """,
        "values are bytes, which every mapping takes, as in zarr-python 2, and have no to_bytes()",
    ),
    "the names in a folder": (
        """
        import os

        zarr.zeros((4, 4), chunks=2, store="a")[:] = 1
        assert sorted(os.listdir("a")) == ["c", "zarr.json"]
        """,
        "the default format is 3, as in zarr-python 3; pass zarr_format=2 for .zarray and 0.0",
    ),
    "the arrays below a group": (
        """
        root = zarr.group()
        root.ones("a/x", shape=3)
        assert list(root.array_keys(recurse=True)) == ["a/x"]
        """,
        "paths, because arrays of several groups can have the same name",
    ),
    "the stored chunks of shards": (
        """
        z = zarr.create_array({}, shape=10, chunks=1, shards=2, dtype="i4")
        z[:5] = 1
        assert z.nchunks_initialized == 5
        """,
        "chunks are counted, where zarr-python 3 counts the places for them in stored shards",
    ),
    "an array in memory and its pickled copy": (
        """
        import pickle

        z = zarr.array([1, 2])
        again = pickle.loads(pickle.dumps(z))
        again[0] = 9
        assert z != again and z[0] == 1
        """,
        "two stores are equal if a change of one is seen in the other",
    ),
}

# name: (a wrong call, the error, what its message says)
MISTAKES = {
    "a misspelled mode": ("zarr.open('a', mode='rw')", ValueError, r"one of 'r', 'r\+', 'a'"),
    "a missing node": ("zarr.open('b', mode='r')", FileNotFoundError, "mode='r' does not create"),
    "an array without a shape": ("zarr.open('b', mode='w', dtype='i4')", TypeError, "shape="),
    "a misspelled keyword": ("zarr.open('b', shpe=3)", TypeError, "did you mean shape="),
    "the word of another library": (
        "zarr.create_array({}, shape=3, dtype='i4', dims=['x'])",
        TypeError,
        "did you mean dimension_names=",
    ),
    "an array that exists": ("zarr.create_array('a', shape=3)", ValueError, "overwrite=True"),
    "an array opened as a group": ("zarr.open_group('a')", ValueError, "is an array, not a group"),
    "the data before the store": (
        "zarr.save(np.zeros(3), 'b')",
        TypeError,
        "the store is passed before the data",
    ),
    "a mapping of arrays": ("zarr.save('b', {'x': [1]})", TypeError, r"save\(store, \*\*arrays"),
    "a path as a mapping": ("zarr.storage.MemoryStore('a')", TypeError, "a folder is a LocalStore"),
    "a mapping as a path": ("zarr.storage.LocalStore({})", TypeError, "a path, not dict"),
    "the shape of other data": (
        "zarr.create_array({}, shape=3, data=np.zeros(4))",
        ValueError,
        r"the shape of the data, \(4,\)",
    ),
    "chunks of another dimension": (
        "zarr.create_array({}, shape=(4, 4), dtype='i4', chunks=(2, 2, 2))",
        ValueError,
        "3 entries.* 2 dimensions",
    ),
    "shards between the chunks": (
        "zarr.create_array({}, shape=30, dtype='i4', chunks=10, shards=15)",
        ValueError,
        "multiple of the chunk length 10",
    ),
    "shards in format 2": (
        "zarr.create_array({}, shape=30, dtype='i4', shards=10, zarr_format=2)",
        ValueError,
        "pass zarr_format=3",
    ),
    "a compressor as a filter": (
        "zarr.create_array({}, shape=3, dtype='i4', filters=zarr.codecs.GzipCodec())",
        ValueError,
        "a filter is an array-to-array codec",
    ),
    "the class of a codec": (
        "zarr.create_array({}, shape=3, dtype='i4', compressors=zarr.codecs.GzipCodec)",
        ValueError,
        "pass an instance",
    ),
    "two compressors in format 2": (
        "zarr.create_array({}, shape=3, compressors=[zarr.Blosc(), zarr.Zlib()], zarr_format=2)",
        ValueError,
        "as filters=",
    ),
    "a codec of another name": (
        "zarr.create_array({}, shape=3, dtype='i4', compressors='lz5')",
        ValueError,
        "known codecs: bitround, blosc",
    ),
    "another key encoding": (
        "zarr.create_array({}, shape=3, dtype='i4', chunk_key_encoding='v3')",
        ValueError,
        "known are default, fanout, prefix, suffix, v2",
    ),
    "objects": ("zarr.array([object()])", ValueError, "pass object_codec="),
    "a fill value of another type": (
        "zarr.create_array({}, shape=3, dtype='u1', fill_value=-1)",
        OverflowError,
        "fill_value -1 is not valid for uint8",
    ),
    "a write to what is read-only": (
        "zarr.open('a', mode='r')[:] = 1",
        PermissionError,
        r"mode='r\+'",
    ),
    "rows of another length": (
        "zarr.open('a').append(np.zeros((1, 4)))",
        ValueError,
        "all other axes must agree",
    ),
    "an index out of bounds": ("zarr.open('a')[5]", IndexError, "axis 0 with size 2"),
    "a method of NumPy's arrays": (
        "zarr.open('a').sum()",
        AttributeError,
        r"no attribute 'sum'; read the elements first, as in z\[\.\.\.\]\.sum",
    ),
    "an attribute that is no JSON": (
        "zarr.open('a').attrs['x'] = {1, 2}",
        TypeError,
        "convert it to a string, a number, a list or a mapping",
    ),
    "attributes that are no mapping": (
        "zarr.open('a').update_attributes([1])",
        TypeError,
        "a mapping of names to values",
    ),
    "nodes that are no mapping": (
        "zarr.create_hierarchy(store={}, nodes=['a'])",
        TypeError,
        "a mapping of paths to metadata",
    ),
    "a copy without a name": ("zarr.copy(zarr.open('a'), zarr.group())", TypeError, "pass name="),
    "a path as data": (
        "zarr.from_array('b', data='a')",
        TypeError,
        r"open it first, as in fastzarr.open_array\('a'\)",
    ),
    "an array like a path": ("zarr.zeros_like('a')", TypeError, "open it first"),
    "a copy of data": (
        "zarr.copy(np.zeros(3), zarr.group(), 'x')",
        TypeError,
        r"dest\[name\] = data",
    ),
    "an invalid setting of an array": (
        "zarr.create_array({}, shape=3, config={'write_empty_chunks': 'yes'})",
        ValueError,
        "config.write_empty_chunks: must be true or false",
    ),
    "an invalid keyword for a setting": (
        "zarr.zeros(3, write_empty_chunks='no')",
        ValueError,
        "config.write_empty_chunks: must be true or false",
    ),
    "settings that are no mapping": ("zarr.zeros(3, config='F')", TypeError, "config= must be"),
    "a depth that is no number": (
        "zarr.group().nmembers('all')",
        ValueError,
        "max_depth: .* None for all, not 'all'",
    ),
    "an invalid setting": (
        "zarr.config.set({'array.order': 'Z'})",
        ValueError,
        "array.order: must be 'C' or 'F', not 'Z'",
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(program):
    code = compile("import numpy as np\n" + textwrap.dedent(program), "<program>", "exec")
    exec(code, {"zarr": fastzarr})  # noqa: S102  (a program of this file)


@pytest.mark.parametrize("topic", PROGRAMS)
def test_program(topic):
    if topic == "dask":
        pytest.importorskip("dask.array")
    run(PROGRAMS[topic])


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_different_on_purpose(name):
    run(DIFFERENT[name][0])


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_says_so(name):
    program, _, error = MISSING[name]
    with pytest.raises(error):
        run(program)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_raises_an_error_that_says_what_to_do(name):
    call, error, message = MISTAKES[name]
    fastzarr.save_array("a", [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(error, match=message):
        run(call)
    assert fastzarr.load("a").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_keywords_without_effect_on_an_existing_array_cause_a_warning(recwarn):
    z = fastzarr.create_array("a", shape=3, dtype="i4")
    for words in ({"dtype": "i4"}, {"dtype": ">i4"}, {"dtype": np.int32, "shape": 9}):
        assert fastzarr.open("a", **words) == fastzarr.open_array("a", **words) == z
    fastzarr.create_array("t", shape=3, dtype=object, object_codec=fastzarr.MsgPack())
    fastzarr.open("t", dtype=object, shape=3)
    assert not recwarn.list
    with pytest.warns(errors.ZarrUserWarning, match=r"int32, and dtype='f8' has no effect.*'w'"):
        assert fastzarr.open("a", dtype="f8", shape=3).dtype == np.int32
    with pytest.warns(errors.ZarrUserWarning, match=r"exists: data= is not written; .*mode='w'"):
        assert fastzarr.open_array("a", data=[1, 2, 3])[:].tolist() == [0, 0, 0]
    for mode in ("r", "r+"):
        assert fastzarr.open_array("a", mode=mode, dtype="f8") == z
    assert fastzarr.open_array("a", mode="w", data=[1.5])[:].tolist() == [1.5]
