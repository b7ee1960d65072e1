"""Make n5.zip and n5.npz: hierarchies of N5 written by zarr-python 2, and the values it reads.

``dir.n5`` is written through N5Store, ``fs.n5`` through N5FSStore. Both files are under version
control; run this only to extend the hierarchies.

    pip install "zarr==2.18.7" "numcodecs==0.15.2" fsspec && python make_n5.py
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = {}
INTEGERS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")
COMPRESSORS: dict[str, Any] = {
    "raw": None,
    "gzip": numcodecs.GZip(3),
    "zlib": numcodecs.Zlib(4),
    "bzip2": numcodecs.BZ2(5),
    "xz": numcodecs.LZMA(preset=2),
    "lzma": numcodecs.LZMA(format=2, preset=3),
    "lz4": numcodecs.LZ4(),
    "blosc_lz4": numcodecs.Blosc("lz4", 5, 1),
    "blosc_zstd": numcodecs.Blosc("zstd", 3, 2, blocksize=4096),
    "blosc_auto": numcodecs.Blosc("blosclz", 1, -1),
    "zstd": numcodecs.Zstd(7),
}


def put(group: Any, name: str, values: Any, **options: Any) -> None:
    """Write an array, and record what is read."""
    values = np.asarray(values)
    options = {"chunks": (3, 4), "compressor": None, **options}
    array = group.create_dataset(name, shape=values.shape, dtype=values.dtype, **options)
    array[...] = values
    EXPECTED[f"{Path(group.store.path).name}/{array.path}"] = array[...]


def fill(root: Any) -> None:
    """Write every data type and compressor, with blocks at the edges, attributes and groups."""
    root.attrs["title"] = "golden"
    grid = np.arange(70).reshape(7, 10)
    group = root.create_group("data_types")
    for name in INTEGERS:
        put(group, name, (grid % 60 * (1 if name[0] == "u" else -1)).astype(name))
    for name in ("f4", "f8"):
        real = (grid / 4 - 3).astype(name)
        real[0, :4] = [np.nan, np.inf, -np.inf, -0.0]
        put(group, name, real)
    put(group, "i4_big", grid.astype(">i4"))
    put(group, "bool", grid % 3 == 0)
    put(group, "M8", grid.astype("M8[s]"), fill_value=0)
    group = root.create_group("compressors")
    for name, compressor in COMPRESSORS.items():
        put(group, name, grid.astype("u4") * 1000, compressor=compressor)
    put(group, "default", grid.astype("f8"), compressor="default")
    group = root.create_group("shapes")
    put(group, "scalar", np.array(7, "i4"), chunks=())
    put(group, "line", np.arange(11, dtype="i2"), chunks=4)
    put(group, "cube", np.arange(2 * 3 * 5, dtype="u2").reshape(2, 3, 5), chunks=(1, 2, 4))
    put(group, "large_chunk", np.arange(6, dtype="u1").reshape(2, 3), chunks=(4, 8))
    sparse = group.create_dataset("sparse", shape=(9, 9), chunks=(3, 3), dtype="i4")
    sparse[4, 4] = -5
    EXPECTED[f"{Path(root.store.path).name}/shapes/sparse"] = sparse[...]
    nested = root.create_group("groups/inner/innermost")
    nested.attrs["list"] = [1, {"a": None}, "ä"]
    put(nested, "array", grid.astype("i8"))
    nested["array"].attrs.update(units="nm", _ARRAY_DIMENSIONS=["y", "x"])


def main() -> None:
    """Write both hierarchies and pack them."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        fill(zarr.group(zarr.N5Store(str(top / "dir.n5"))))
        fill(zarr.group(zarr.N5FSStore(str(top / "fs.n5"), auto_mkdir=True)))
        for kind, name in ((zarr.N5Store, "root_dir.n5"), (zarr.N5FSStore, "root_fs.n5")):
            store = kind(str(top / name))
            array = zarr.create((5, 7), chunks=(3, 4), dtype="u2", store=store, compressor=None)
            array[...] = np.arange(35).reshape(5, 7)
            array.attrs["of"] = "the root"
            EXPECTED[name] = array[...]
        with zipfile.ZipFile(HERE / "n5.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(top.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(path.relative_to(top).as_posix())
                    info.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(info, path.read_bytes())
    np.savez_compressed(HERE / "n5.npz", **EXPECTED)


if __name__ == "__main__":
    main()
