"""Make zarr2.zip and zarr2.npz: a hierarchy written by zarr-python 2, and the values it reads.

Both files are under version control; run this only to extend the hierarchy.

    pip install "zarr==2.18.7" "numcodecs[msgpack]==0.15.2" && python make_zarr2.py
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = {}


def put(group: Any, name: str, values: Any, **options: Any) -> None:
    """Write all chunks of an array but the last along axis 0, and record what is read."""
    values = np.asarray(values)
    options = {"chunks": tuple(n // 2 + 1 for n in values.shape), "compressor": None, **options}
    array = group.create_dataset(name, shape=values.shape, dtype=values.dtype, **options)
    if options.get("fill_value", 0) is None or not values.shape:
        array[...] = values
    else:
        array[: array.chunks[0]] = values[: array.chunks[0]]
    if array.dtype != object:
        EXPECTED[array.path] = array[...]


def data_types(root: Any) -> None:
    """Write every data type in both byte orders."""
    group = root.create_group("data_types")
    whole = np.array([0, 1, 2, 250, 3])
    put(group, "bool", whole > 1, fill_value=True)
    for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        for order in "<>" if name[1] != "1" else "|":
            values = (whole * (1 if name[0] == "u" else -1)).astype(name).astype(order + name)
            put(group, f"{name}_{'big' if order == '>' else 'little'}", values, fill_value=7)
    real = np.array([0.1, -0.0, np.nan, np.inf, -2.5])
    for name in ("f2", "f4", "f8", "c8", "c16"):
        for order in "<>":
            put(group, f"{name}_{'big' if order == '>' else 'little'}", real.astype(order + name))
    for fill, name in [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "minus_inf"), (-0.0, "-0.0")]:
        put(group, f"f4_fill_{name}", real.astype("f4"), fill_value=fill)
    put(group, "c8_fill", real.astype("c8"), fill_value=complex(np.nan, -1.5))
    text = ["", "a", "bcd", "ÄÖÜ", "\U0001f600"]
    put(group, "U3_little", np.array(text, "<U3"), fill_value="ü?")
    put(group, "U3_big", np.array(text, ">U3"))
    octets = [b"", b"a", b"bcd", b"\xff\0\1", b"z"]
    put(group, "S3", np.array(octets, "S3"), fill_value=b"q")
    put(group, "S3_default", np.array(octets, "S3"))
    put(group, "V3", np.array([b"abc", b"\0\0\1", b"\xff\xfe\xfd", b"zzz", b"   "], "V3"))
    for name in ("M8[D]", "M8[10ms]", "m8[25s]", "m8[ns]"):
        for order in "<>":
            values = np.array([0, 1, -5, 2**40, 3]).astype(order + name)
            values[1] = "NaT"
            suffix = "big" if order == ">" else "little"
            plain = name.replace("[", "_").replace("]", "")
            put(group, f"{plain}_{suffix}", values)
    put(group, "M8_s_fill_nat", np.array([1, 2, 3], "M8[s]"), fill_value=np.datetime64("NaT", "s"))


def structured(root: Any) -> None:
    """Write structured types: nested, with subarrays, and of several byte orders."""
    group = root.create_group("structured")
    flat = np.array([(1, 2.5, b"ab"), (-3, np.nan, b""), (5, -0.0, b"c")], "i2,>f4,S2")
    put(group, "flat", flat)
    filled = np.array((7, 0.5, b"xy"), flat.dtype)
    put(group, "filled", flat, fill_value=filled[()], compressor=numcodecs.Zlib(1))
    dtype = [("id", ">u4"), ("at", [("x", "<f8"), ("y", "<f8")]), ("when", "<M8[ms]"), ("n", "<U2")]
    nested = np.zeros(5, dtype)
    nested["id"] = range(5)
    nested["at"]["y"] = [0.5, 1.5, -0.0, np.inf, 3]
    nested["when"] = np.arange(5).astype("M8[ms]")
    nested["n"] = ["a", "", "äö", "x", "yz"]
    put(group, "nested", nested, compressor=numcodecs.Blosc("zstd"))
    grid = np.zeros((3, 2), [("v", "<f4", (2, 3)), ("flag", "?")])
    grid["v"] = np.arange(36).reshape(3, 2, 2, 3)
    grid["flag"] = [[True, False]] * 3
    put(group, "subarrays", grid)
    put(group, "order_F", grid, order="F")


def layouts(root: Any) -> None:
    """Write both orders and separators, missing chunks, and arrays without axes or elements."""
    group = root.create_group("layouts")
    values = np.arange(35, dtype="<i2").reshape(5, 7)
    for order in "CF":
        for name, separator in [("dot", "."), ("slash", "/")]:
            options = {"chunks": (2, 3), "order": order, "dimension_separator": separator}
            put(group, f"{order}_{name}", values, compressor=numcodecs.LZ4(), **options)
    put(group, "F_3d", np.arange(60, dtype=">f4").reshape(3, 4, 5), chunks=(2, 3, 2), order="F")
    put(group, "null_fill", values, fill_value=None)
    put(group, "no_axes", np.float32(2.5))
    put(group, "no_elements", np.zeros((0, 3), "i4"))
    put(group, "chunk_beyond", values, chunks=(9, 4), order="F")
    EXPECTED["layouts/nothing_written"] = group.full("nothing_written", 3, shape=(4,))[...]


def compressors(root: Any) -> None:
    """Write with every compressor of numcodecs."""
    group = root.create_group("compressors")
    values = np.repeat(np.arange(300, dtype="<i4"), 2).reshape(20, 30)
    for cname in numcodecs.blosc.list_compressors():
        for shuffle in (-1, 0, 1, 2):
            codec = numcodecs.Blosc(cname, 3, shuffle, blocksize=256 if shuffle == 1 else 0)
            put(group, f"blosc_{cname}_{shuffle}", values, compressor=codec)
    codecs = [numcodecs.Zlib(6), numcodecs.GZip(1), numcodecs.BZ2(1), numcodecs.LZMA(preset=1)]
    codecs += [numcodecs.Zstd(3), numcodecs.LZ4(), numcodecs.Shuffle(4)]
    for codec in codecs:
        put(group, codec.codec_id, values, compressor=codec)
    put(group, "zstd_checksum", values, compressor=numcodecs.Zstd(1, checksum=True))


def filters(root: Any) -> None:
    """Write with every filter of numcodecs, alone and in chains."""
    group = root.create_group("filters")
    whole = np.arange(0, 200, 4, dtype="<i4").reshape(10, 5)
    real = np.linspace(-3, 40, 50).reshape(10, 5)
    words = np.array(["a", "bb", "ccc", "bb", ""] * 2, "<U3").reshape(5, 2)
    cases: dict[str, tuple[Any, list[Any]]] = {
        "delta": (whole, [numcodecs.Delta("<i4")]),
        "delta_astype": (whole, [numcodecs.Delta("<i4", astype="<i2")]),
        "fixedscaleoffset": (real, [numcodecs.FixedScaleOffset(-3, 10, "<f8", "<u2")]),
        "quantize": (real, [numcodecs.Quantize(2, "<f8", "<f4")]),
        "bitround": (real.astype("<f4"), [numcodecs.BitRound(8)]),
        "astype": (whole, [numcodecs.AsType("<i8", "<i4")]),
        "packbits": (whole % 3 == 0, [numcodecs.PackBits()]),
        "categorize": (words, [numcodecs.Categorize(["a", "bb", "ccc"], "<U3", "u1")]),
        "shuffle": (whole, [numcodecs.Shuffle(4)]),
        "base64": (whole, [numcodecs.Base64()]),
        "zlib": (whole, [numcodecs.Zlib(1)]),
        "crc32": (whole, [numcodecs.CRC32()]),
        "adler32": (whole, [numcodecs.Adler32()]),
        "fletcher32": (whole, [numcodecs.Fletcher32()]),
        "jenkins_lookup3": (whole, [numcodecs.JenkinsLookup3()]),
        "several": (
            real,
            [
                numcodecs.FixedScaleOffset(-3, 10, "<f8", "<i2"),
                numcodecs.Delta("<i2"),
                numcodecs.Shuffle(2),
                numcodecs.CRC32(),
            ],
        ),
    }
    for name, (values, chain) in cases.items():
        put(group, name, values, filters=chain, compressor=numcodecs.Zlib(1))
    for name in ("delta", "fixedscaleoffset", "shuffle"):
        values, chain = cases[name]
        put(group, f"{name}_order_F", values, filters=chain, order="F")


def objects(root: Any) -> None:
    """Write objects with every object codec; test_golden.py has their values."""
    group = root.create_group("objects")
    text = ["", "ä", None, "\U0001f600", "a\0b"]
    octets = [b"", b"a", b"\0\0", b"\xff", b"abc"]
    trees = [{"a": [1, 2.5]}, [None, True], "text", 7, None]
    ragged = [np.arange(n, dtype="<i4") for n in range(5)]
    cases = [
        ("vlen_utf8", text, numcodecs.VLenUTF8(), None),
        ("vlen_bytes", octets, numcodecs.VLenBytes(), None),
        ("vlen_array", ragged, numcodecs.VLenArray("<i4"), None),
        ("json", trees, numcodecs.JSON(), None),
        ("msgpack", trees, numcodecs.MsgPack(), None),
        ("pickle", trees, numcodecs.Pickle(), None),
        ("vlen_utf8_filled", ["x", "y", "z", "", ""], numcodecs.VLenUTF8(), "fill"),
    ]
    for name, values, codec, fill in cases:
        array = np.empty(len(values), object)
        array[:] = values
        put(group, name, array, object_codec=codec, fill_value=fill, compressor=numcodecs.Zlib(1))
    array = np.array([["a", "bb"], ["ccc", ""], ["e", "ä"]], object)
    codec = numcodecs.VLenUTF8()
    put(group, "vlen_utf8_order_F", array, object_codec=codec, order="F", fill_value=None)


def main() -> None:
    """Write both files."""
    store: dict[str, bytes] = {}
    root = zarr.open_group(store, mode="w")
    for make in (data_types, structured, layouts, compressors, filters, objects):
        make(root)
    root.attrs.update(title="Bär", version=2, missing=None, sizes=[1, 2.5], nested={"a": {"b": []}})
    deep = root.create_group("deep/er/still")
    deep.attrs["not a number"] = [float("nan"), float("inf"), float("-inf")]
    put(deep, "array", np.arange(3))
    deep["array"].attrs.update(units="m", _ARRAY_DIMENSIONS=["x"])
    zarr.consolidate_metadata(store)
    with zipfile.ZipFile(HERE / "zarr2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(store):
            # With a fixed date. Runs still differ: gzip stores the time, and blosc's threads race.
            archive.writestr(zipfile.ZipInfo(key), bytes(store[key]), zipfile.ZIP_DEFLATED)
    np.savez_compressed(HERE / "zarr2.npz", **EXPECTED)


if __name__ == "__main__":
    main()
