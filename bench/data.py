"""The data of the benchmark: a field of numbers, stored in several layouts, and text.

Rules of this file:

* Metadata documents are written here, not by an engine, so that all engines read and write the same
  layout. The chunks to be read are written once, by zarr-python.
* Chunks that differ in size are written by zarrista, because older versions of zarr-python cannot.
* h5py has its own file with the same chunks (the inner chunks, if there are shards), and the same
  compressor at the same level.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

Shape = tuple[int, ...]
Array = np.ndarray[Any, Any]

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_BLOSC = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}
_COMPRESSORS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "blosc": [{"name": "blosc", "configuration": _BLOSC}],
    "zstd": [{"name": "zstd", "configuration": {"level": 3, "checksum": False}}],
    "gzip": [{"name": "gzip", "configuration": {"level": 5}}],
}
_BLOSC_2 = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}


@dataclass(frozen=True)
class Layout:
    """How an array is stored; ``chunks`` is the shape of a file, ``inner`` of an inner chunk."""

    name: str
    title: str
    chunks: Shape
    codec: str
    inner: Shape | None = None
    zarr_format: int = 3
    text: bool = False
    # Whether half of the chunks are shorter along each axis, and half of them longer.
    uneven: bool = False

    @property
    def unit(self) -> Shape:
        """The shape of the unit that is compressed."""
        return self.inner or self.chunks

    def within(self, shape: Shape) -> Layout:
        """Return this layout with files no larger than the array."""
        return replace(self, chunks=tuple(map(min, self.chunks, shape)))

    def sizes(self, axis: int, length: int) -> list[int]:
        """Return the sizes of the chunks along an axis; their mean is that of ``chunks``."""
        half = self.chunks[axis] // 2
        pair = [half, 2 * self.chunks[axis] - half]
        return pair * max(1, -(-length // sum(pair)))

    def document(self, shape: Shape) -> dict[str, Any]:
        """Return the metadata document of an array of float32 or text."""
        if self.zarr_format == 2:
            return {
                "zarr_format": 2,
                "shape": shape,
                "chunks": self.chunks,
                "dtype": "<f4",
                "fill_value": 0.0,
                "order": "C",
                "filters": None,
                "compressor": _BLOSC_2,
                "dimension_separator": ".",
            }
        serializer: dict[str, Any] = {"name": "vlen-utf8"} if self.text else _BYTES
        codecs = [serializer, *_COMPRESSORS[self.codec]]
        if self.inner:
            shard = {
                "chunk_shape": self.inner,
                "codecs": codecs,
                "index_codecs": [_BYTES, {"name": "crc32c"}],
                "index_location": "end",
            }
            codecs = [{"name": "sharding_indexed", "configuration": shard}]
        grid = {"name": "regular", "configuration": {"chunk_shape": self.chunks}}
        if self.uneven:
            shapes = [self.sizes(axis, size) for axis, size in enumerate(shape)]
            grid = {
                "name": "rectilinear",
                "configuration": {"kind": "inline", "chunk_shapes": shapes},
            }
        keys = {"name": "default", "configuration": {"separator": "/"}}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "string" if self.text else "float32",
            "chunk_grid": grid,
            "chunk_key_encoding": keys,
            "fill_value": "" if self.text else 0.0,
            "codecs": codecs,
            "attributes": {},
        }


_LAYOUTS = (
    Layout("none64", "64³, not compressed", (64, 64, 64), "none"),
    Layout("blosc64", "64³, blosc-lz4-shuffle", (64, 64, 64), "blosc"),
    Layout("zstd64", "64³, zstd", (64, 64, 64), "zstd"),
    Layout("gzip64", "64³, gzip", (64, 64, 64), "gzip"),
    Layout("none16", "16³, not compressed", (16, 16, 16), "none"),
    Layout("zstd16", "16³, zstd", (16, 16, 16), "zstd"),
    Layout("zstd128", "128x256x256, zstd", (128, 256, 256), "zstd"),
    Layout("blosc16m", "64x256x256, blosc-lz4-shuffle", (64, 256, 256), "blosc"),
    Layout("shard32", "32³ in shards of 256³, zstd", (256, 256, 256), "zstd", (32, 32, 32)),
    Layout("shard8", "8³ in shards of 128³, zstd", (128, 128, 128), "zstd", (8, 8, 8)),
    Layout("v2blosc64", "64³, format 2, blosc-lz4-shuffle", (64, 64, 64), "blosc", None, 2),
    Layout("uneven64", "32 or 96 along each axis, zstd", (64, 64, 64), "zstd", uneven=True),
    Layout("text", "1,000,000 short texts, 100,000 a chunk, zstd", (100_000,), "zstd", text=True),
    # Time steps of maps, for the rows that append.
    Layout("steps", "10x64x64, blosc-lz4-shuffle", (10, 64, 64), "blosc"),
    Layout("tiny", "10, not compressed", (10,), "none"),
)
LAYOUTS = {layout.name: layout for layout in _LAYOUTS}


@dataclass(frozen=True)
class Place:
    """The location of an array: its Zarr folder, and h5py's file beside it."""

    folder: Path
    shape: Shape
    layout: Layout

    @property
    def file(self) -> Path:
        """The path of h5py's file."""
        return self.folder.with_suffix(".h5")

    def create_hdf5(self) -> Any:
        """Create h5py's file, without chunks."""
        from bench.hdf5 import create

        layout = self.layout
        return create(self.file, self.shape, layout.unit, layout.codec, text=layout.text)


def field(shape: Shape) -> Array:
    """Return smooth waves with noise, rounded to 1/128 like measured data; deterministic."""
    axes = (np.arange(size, dtype=np.float32) / np.float32(256) for size in shape)
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    pi = np.float32(np.pi)
    smooth = 15 + 10 * np.sin(2 * pi * (x + 2 * y)) * np.cos(3 * pi * z)
    smooth = smooth + 5 * np.cos(2 * pi * (3 * x - z))
    noise = np.random.default_rng(20240229).standard_normal(shape, dtype=np.float32)
    values: Array = np.rint((smooth + np.float32(0.05) * noise) * np.float32(128)) / np.float32(128)
    return values.astype(np.float32)


def texts(count: int) -> Array:
    """Return short strings, a few of them long and not ASCII; deterministic."""
    numbers = np.random.default_rng(20240229).integers(0, 50_000, count).tolist()
    words = [f"name{n}" if n % 97 else f"n\u00e4me {n} of more than a few bytes" for n in numbers]
    return np.array(words, dtype=np.dtypes.StringDType())


class Workspace:
    """The files of one run of the benchmark, in a folder of its own."""

    def __init__(self, root: Path, size: int) -> None:
        """Initialise with the folder and the size of the array along each axis."""
        self.root, self.size = root, size
        self.shape = (size, size, size)
        self._numbers = itertools.count()

    @cached_property
    def expected(self) -> Array:
        """The values of the field."""
        values: Array = np.load(self.root / "field.npy", mmap_mode="r")
        return values

    def extent(self, name: str) -> Shape:
        """Return the shape of the whole array in a layout."""
        if not LAYOUTS[name].text:
            return self.shape
        # A million for the full benchmark, scaled down like the field for a smaller one.
        return (1_000_000 * self.size**3 // 256**3,)

    def values(self, name: str) -> Array:
        """Return the values of the whole array in a layout."""
        return texts(*self.extent(name)) if LAYOUTS[name].text else self.expected

    def place(self, name: str) -> Place:
        """Return the location of the whole array in a layout."""
        shape = self.extent(name)
        return Place(self.root / f"{name}.zarr", shape, LAYOUTS[name].within(shape))

    def empty(self, name: str, shape: Shape | None = None) -> Place:
        """Create a new folder with the metadata of an array, without chunks."""
        layout = LAYOUTS[name]
        if shape is None:
            shape = self.extent(name)
            layout = layout.within(shape)
        place = Place(self._fresh(), shape, layout)
        write_document(place)
        return place

    def copy(self, name: str) -> Place:
        """Create a new copy of the whole array in a layout."""
        source = self.place(name)
        place = Place(self._fresh(), source.shape, source.layout)
        shutil.copytree(source.folder, place.folder)
        if source.file.exists():
            shutil.copyfile(source.file, place.file)
        return place

    def group(self) -> Place:
        """Create a new folder with the metadata of an empty group."""
        folder = self._fresh()
        folder.mkdir()
        document = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        (folder / "zarr.json").write_text(json.dumps(document))
        return Place(folder, (), LAYOUTS["tiny"])

    def remove(self, place: Place) -> None:
        """Remove a new folder or copy."""
        shutil.rmtree(place.folder, ignore_errors=True)
        place.file.unlink(missing_ok=True)

    def _fresh(self) -> Path:
        return self.root / f"fresh-{os.getpid()}-{next(self._numbers)}.zarr"

    def prepare(self, name: str | None, *, hdf: bool) -> None:
        """Write the field and the files of a layout if they are missing."""
        if not (self.root / "field.npy").exists():
            np.save(self.root / "field.npy", field(self.shape))
        if name is None:
            return
        place = self.place(name)
        if not place.folder.exists():
            write_document(place)
            if place.layout.uneven:
                import zarrista
                from zarrista.store import FilesystemStore

                array = zarrista.Array.open(FilesystemStore(str(place.folder)))
                array[tuple(slice(0, size) for size in place.shape)] = self.values(name)
            else:
                import zarr

                zarr.open_array(str(place.folder), mode="r+")[...] = self.values(name)
        if hdf and not place.layout.uneven and not place.file.exists():
            with place.create_hdf5() as file:
                file["array"][...] = self.values(name)


def write_document(place: Place) -> None:
    """Create the folder of an array with only its metadata."""
    place.folder.mkdir()
    name = ".zarray" if place.layout.zarr_format == 2 else "zarr.json"
    (place.folder / name).write_text(json.dumps(place.layout.document(place.shape)))
