"""Write ``filters.json``: what zarr-python 2 stores for arrays with filters.

Run with an interpreter that has zarr 2.18: ``python make_filters.py``. Each case holds the array's
``.zarray``, its one chunk in hexadecimal, and its values.
"""

import json
from pathlib import Path

import numcodecs
import numpy as np
import zarr

NUMBERS = np.array([[1, 5, 2, 8], [-3, 7, 7, 100], [0, 1, 0, 1]])
OBJECTS = np.array([["a", {"x": 1}, None], [1, 2.5, [1, "é"]]], dtype=object)
TEXT = np.array([["", "é"], ["\U0001f600\0", "abc"]], dtype=object)
CASES = {
    "delta": (NUMBERS.astype("<i4"), [numcodecs.Delta("<i4", astype="<i2")]),
    "delta, big-endian": (NUMBERS.astype(">i4"), [numcodecs.Delta(">i4")]),
    "fixedscaleoffset": (
        NUMBERS / 4,
        [numcodecs.FixedScaleOffset(offset=-10, scale=4, dtype="<f8", astype="<u2")],
    ),
    "quantize, bitround": (
        (NUMBERS / 7).astype("<f4"),
        [numcodecs.Quantize(digits=2, dtype="<f4"), numcodecs.BitRound(keepbits=9)],
    ),
    "astype": (NUMBERS.astype("<i8"), [numcodecs.AsType("<i2", "<i8")]),
    "packbits": (NUMBERS > 1, [numcodecs.PackBits()]),
    "shuffle, zlib, crc32": (
        NUMBERS.astype("<i8"),
        [numcodecs.Shuffle(8), numcodecs.Zlib(1), numcodecs.CRC32()],
    ),
    "adler32, fletcher32, jenkins_lookup3": (
        NUMBERS.astype("<i2"),
        [numcodecs.Adler32(), numcodecs.Fletcher32(), numcodecs.JenkinsLookup3()],
    ),
    "categorize": (
        np.array(["b", "a", "", "b"], dtype="<U1"),
        [numcodecs.Categorize(["a", "b"], "<U1")],
    ),
    "json2": (OBJECTS, [numcodecs.JSON()]),
    "json2, 0-d": (np.array("x", dtype=object), [numcodecs.JSON()]),
    "vlen-utf8": (TEXT, [numcodecs.VLenUTF8()]),
    "vlen-utf8, zstd": (TEXT, [numcodecs.VLenUTF8(), numcodecs.Zstd(1)]),
    "vlen-bytes": (
        np.array([b"", b"\0", b"abc"], dtype=object),
        [numcodecs.VLenBytes()],
    ),
    "pickle": (OBJECTS, [numcodecs.Pickle(protocol=2)]),
}


def main() -> None:
    """Write each case in C and Fortran order."""
    numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE = True
    found = {}
    for name, (values, filters) in CASES.items():
        for order in "CF" if values.ndim > 1 else "C":
            if order == "F" and name == "json2":
                continue  # zarr-python 2 does not read back the array that it wrote
            store: dict[str, bytes] = {}
            array = zarr.open_array(
                store,
                mode="w",
                shape=values.shape,
                chunks=values.shape,
                dtype=values.dtype,
                filters=filters[1:] if values.dtype == object else filters,
                object_codec=filters[0] if values.dtype == object else None,
                compressor=None,
                order=order,
                fill_value=None,
            )
            array[...] = values
            key = ".".join("0" * values.ndim) or "0"
            read = array[...]
            found[f"{name}, {order}"] = {
                "zarray": json.loads(store[".zarray"]),
                "chunk": store[key].hex(),
                "values": [
                    item.decode("latin1") if isinstance(item, bytes) else item
                    for item in read.ravel().tolist()
                ],
            }
    path = Path(__file__).with_name("filters.json")
    lines = (f"{json.dumps(name)}: {json.dumps(case)}" for name, case in found.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
