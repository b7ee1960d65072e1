"""Write ``codecs.json``: chunks that zarr-python 3 and numcodecs encoded.

Run with an interpreter that has zarr 3: ``python make_codecs.py``. Each case has the ``codecs``
member, the data type, the shape and the one chunk in hexadecimal. The values are those of
``numpy.arange``, or their texts.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import zarr

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
NUMCODECS = [
    ("zlib", {"level": 1}),
    ("bz2", {"level": 1}),
    ("lz4", {"acceleration": 1}),
    ("lzma", {"format": 1, "check": -1, "preset": None, "filters": None}),
    ("shuffle", {"elementsize": 4}),
    ("crc32", {}),
    ("adler32", {}),
    ("fletcher32", {}),
    ("jenkins_lookup3", {"initval": 0, "prefix": None}),
]
CASES = [
    [BYTES],
    [{"name": "bytes", "configuration": {"endian": "big"}}],
    [{"name": "transpose", "configuration": {"order": [1, 0]}}, BYTES],
    [BYTES, {"name": "gzip", "configuration": {"level": 5}}],
    [BYTES, {"name": "zstd", "configuration": {"level": 3, "checksum": True}}],
    [BYTES, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}],
    [BYTES, {"name": "crc32c"}],
    *(
        [
            BYTES,
            {
                "name": "blosc",
                "configuration": {
                    "cname": cname,
                    "clevel": 5,
                    "shuffle": shuffle,
                    "typesize": 4,
                    "blocksize": 0,
                },
            },
        ]
        for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib")
        for shuffle in ("noshuffle", "shuffle", "bitshuffle")
    ),
    *([BYTES, {"name": f"numcodecs.{n}", "configuration": c}] for n, c in NUMCODECS),
    [{"name": "numcodecs.delta", "configuration": {"dtype": "<i4", "astype": "<i2"}}, BYTES],
    [
        {
            "name": "numcodecs.fixedscaleoffset",
            "configuration": {"offset": 2, "scale": 3, "dtype": "<i4", "astype": "<i8"},
        },
        BYTES,
    ],
    [
        {
            "name": "numcodecs.astype",
            "configuration": {"encode_dtype": "<i8", "decode_dtype": "<i4"},
        },
        BYTES,
    ],
]
SHAPE = (12, 16)


def main() -> None:
    """Write each case."""
    warnings.simplefilter("ignore")
    found = []
    for codecs in CASES:
        store: dict[str, object] = {}
        array = zarr.create(SHAPE, chunks=SHAPE, dtype="int32", codecs=codecs, store=store)
        array[...] = np.arange(192, dtype="i4").reshape(SHAPE)
        chunk = store["c/0/0"].to_bytes()
        document = json.loads(store["zarr.json"].to_bytes())
        found.append({"codecs": document["codecs"], "chunk": chunk.hex()})
    path = Path(__file__).with_name("codecs.json")
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in found) + "\n]\n")


if __name__ == "__main__":
    main()
