"""Every codec of numcodecs that zarr-python has in format 3, exchanged with it both ways."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import zarr

import fastzarr

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BYTES: list[tuple[str, dict[str, Any]]] = [
    ("adler32", {}),
    ("adler32", {"location": "end"}),
    ("blosc", {"cname": "zstd", "clevel": 3, "shuffle": 2, "blocksize": 0}),
    ("bz2", {"level": 1}),
    ("crc32", {}),
    ("crc32", {"location": "end"}),
    ("crc32c", {}),
    ("crc32c", {"location": "start"}),
    ("fletcher32", {}),
    ("gzip", {"level": 3}),
    ("jenkins_lookup3", {}),
    ("jenkins_lookup3", {"initval": 5}),
    ("lz4", {"acceleration": 2}),
    ("lzma", {}),
    ("lzma", {"preset": 1, "format": 1, "check": -1, "filters": None}),
    ("shuffle", {}),
    ("shuffle", {"elementsize": 2}),
    ("zlib", {"level": 2}),
    ("zstd", {"level": 3}),
    ("zstd", {"level": 3, "checksum": True}),
]
ARRAYS: list[tuple[str, dict[str, Any], str]] = [
    ("astype", {"encode_dtype": "<i2", "decode_dtype": "<i4"}, "int32"),
    ("bitround", {"keepbits": 8}, "float32"),
    ("delta", {"dtype": "<i4", "astype": "<i2"}, "int32"),
    ("fixedscaleoffset", {"offset": 1, "scale": 10, "dtype": "<f8", "astype": "<i2"}, "float64"),
    ("packbits", {}, "bool"),
    ("quantize", {"digits": 2, "dtype": "<f8"}, "float64"),
]


def _named(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"numcodecs.{name}", "configuration": config}


CASES = [([LITTLE, _named(name, config)], "int32") for name, config in BYTES]
CASES += [([_named(name, config), LITTLE], dtype) for name, config, dtype in ARRAYS]


@pytest.mark.parametrize("sharded", [False, True], ids=["plain", "sharded"])
@pytest.mark.parametrize(("chain", "dtype"), CASES, ids=str)
def test_both_read_what_either_writes(chain, dtype, sharded, tmp_path):
    values = np.arange(60).reshape(6, 10) % 17
    values = values % 2 == 0 if dtype == "bool" else values.astype(dtype)
    index = [LITTLE, {"name": "crc32c"}]
    shard = {"chunk_shape": [3, 5], "codecs": chain, "index_codecs": index}
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [6, 10],
        "data_type": dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [6, 10] if sharded else [3, 10]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": False if dtype == "bool" else 0,
        "codecs": [{"name": "sharding_indexed", "configuration": shard}] if sharded else chain,
        "attributes": {},
    }
    for writer, reader in ((zarr, fastzarr), (fastzarr, zarr)):
        path = tmp_path / writer.__name__
        path.mkdir()
        (path / "zarr.json").write_text(json.dumps(document))
        z = writer.open_array(path, mode="r+")
        z[:] = values
        z[1, 2:4] = values[1, 2:4]
        found = reader.open_array(path, mode="r")
        assert np.array_equal(found[:], z[:])
        assert np.array_equal(found[1:4, 3:7], z[1:4, 3:7])
        assert np.allclose(z[:], values, atol=0.1)
