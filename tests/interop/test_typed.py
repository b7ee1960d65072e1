"""bitround and packbits: what fastzarr stores and what zarrs stores are the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fastzarr import config, open_array
from tests.peers import Zarrista

if TYPE_CHECKING:
    from pathlib import Path

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def values(dtype: str, shape: tuple[int, ...]) -> Any:
    """Return numbers of all sizes."""
    rng = np.random.default_rng(3)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    if kind.kind in "fc":
        real = rng.normal(size=shape) * 2.0 ** rng.integers(-9, 9, shape)
        return (real if kind.kind == "f" else real + 1j * real[::-1]).astype(kind)
    size = int(np.prod(shape)) * kind.itemsize
    return np.frombuffer(rng.bytes(size), kind).reshape(shape) >> rng.integers(
        0, 8 * kind.itemsize, shape
    ).astype(kind)


def cases() -> Any:
    """Yield the data type and the chain of codecs of each case."""
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        for keepbits in (1, 3, 8):
            codec = {"name": "bitround", "configuration": {"keepbits": keepbits}}
            yield dtype, [codec, BYTES]
    for dtype in ("float16", "float32", "float64", "complex64", "complex128"):
        for keepbits in (1, 10):
            codec = {"name": "bitround", "configuration": {"keepbits": keepbits}}
            yield dtype, [codec, BYTES]
    for dtype in ("int8", "int16", "uint32", "int64", "float32", "complex64"):
        yield dtype, [{"name": "packbits"}]
    # Of whole bytes, zarrs leaves out the byte that tells the padding, against the specification.
    for dtype, last in (("bool", None), ("int16", 8), ("uint16", 10), ("int32", 30)):
        for encoding in ("none", "first_byte", "last_byte"):
            given = {"padding_encoding": encoding, "last_bit": last}
            yield dtype, [{"name": "packbits", "configuration": given}]


@pytest.mark.parametrize(("dtype", "codecs"), list(cases()), ids=str)
def test_zarrs_and_fastzarr_store_the_same_bytes(
    tmp_path: Path, dtype: str, codecs: list[Any]
) -> None:
    peer, written = Zarrista(), values(dtype, (5, 7))
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [5, 7],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 7]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": {"b": False, "c": [0.0, 0.0]}.get(np.dtype(dtype).kind, 0),
        "codecs": codecs,
        "attributes": {},
    }
    folders = [tmp_path / name for name in ("zarrs", "native", "numpy")]
    peer.make(folders[0], document)
    peer.update(folders[0], (slice(0, 5), slice(0, 7)), written)
    for folder in folders[1:]:
        folder.mkdir()
        (folder / "zarr.json").write_text(json.dumps(document))
        with config.set({"data_path": folder.name}):
            open_array(folder, mode="r+")[...] = written
    chunks = [
        {
            str(file.relative_to(folder)): file.read_bytes()
            for file in folder.rglob("c/**/*")
            if file.is_file()
        }
        for folder in folders
    ]
    # zarrs may store the elements of a chunk beyond the edge of the array as it likes.
    first = [found[next(name for name in found if name.endswith("0/0"))] for found in chunks]
    assert first[0] == first[1] == first[2]
    assert chunks[1] == chunks[2]
    found = peer.read(folders[1]).values
    for folder in folders:
        for path in ("native", "numpy"):
            with config.set({"data_path": path}):
                assert open_array(folder)[...].tobytes() == found.tobytes()
