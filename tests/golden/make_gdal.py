"""Make gdal.zip and gdal.npz: arrays written by GDAL's Zarr driver, and their values.

Both files are under version control; run this only to extend them. GDAL 3.6.2 wrote them; the
format 3 of that version is a draft that no other library reads, so they have format 2.

    apt-get install python3-gdal && /usr/bin/python3 make_gdal.py
"""

import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

HERE = Path(__file__).parent
EPOCH = (1980, 1, 1, 0, 0, 0)
TYPES = ("u1", "i2", "u2", "i4", "u4", "f4", "f8", "c8", "c16")
COMPRESSORS = {
    "none": [],
    "blosc": ["COMPRESS=BLOSC", "BLOSC_CNAME=lz4", "BLOSC_SHUFFLE=BYTE"],
    "zlib": ["COMPRESS=ZLIB"],
    "gzip": ["COMPRESS=GZIP"],
    "lzma": ["COMPRESS=LZMA"],
    "zstd": ["COMPRESS=ZSTD"],
    "lz4": ["COMPRESS=LZ4"],
    "delta": ["COMPRESS=ZLIB", "FILTER=delta"],
}


def main():
    """Write arrays of all types, and of one type with all compressors."""
    gdal.UseExceptions()
    folder = Path(tempfile.mkdtemp())
    expected = write(folder / "gdal.zarr")
    with zipfile.ZipFile(HERE / "gdal.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "gdal.zarr").rglob("*")):
            if path.is_file():
                key = str(path.relative_to(folder / "gdal.zarr"))
                archive.writestr(zipfile.ZipInfo(key, EPOCH), path.read_bytes())
    data = io.BytesIO()
    np.savez_compressed(data, **expected)
    (HERE / "gdal.npz").write_bytes(data.getvalue())
    shutil.rmtree(folder)


def write(path):
    """Write all arrays; they are stored when the last reference to the group ends."""
    driver = gdal.GetDriverByName("Zarr")
    root = driver.CreateMultiDimensional(str(path), [], ["FORMAT=ZARR_V2"])
    group = root.GetRootGroup()
    axes = [group.CreateDimension("y", None, None, 7), group.CreateDimension("x", None, None, 10)]
    grid = np.arange(70).reshape(7, 10)
    expected = {}

    def put(name, values, *options, fill=None):
        kind = gdal.ExtendedDataType.Create(gdal_array.NumericTypeCodeToGDALTypeCode(values.dtype))
        array = group.CreateMDArray(name, axes, kind, ["BLOCKSIZE=3,4", *options])
        if fill is not None:
            array.SetNoDataValueDouble(fill)
        array.WriteArray(values)
        attribute = array.CreateAttribute("units", [], gdal.ExtendedDataType.CreateString())
        attribute.Write("K")
        expected[name] = values

    for name in TYPES:
        values = grid * (1 + 2j) if name[0] == "c" else grid
        put(f"type_{name}", values.astype(name))
    for name, options in COMPRESSORS.items():
        put(f"compressor_{name}", grid.astype("f4"), *options)
    put("fill", grid.astype("f4"), fill=-1.5)
    put("order_F", grid.astype("i4"), "CHUNK_MEMORY_LAYOUT=F")
    put("slashes", grid.astype("i4"), "DIM_SEPARATOR=/")
    return expected


if __name__ == "__main__":
    main()
