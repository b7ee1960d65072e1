"""The arrays and groups in the object store, written once by zarr-python and uploaded.

Icechunk, which has a format of its own, writes the same values to a repository beside them.
"""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data import Layout, field

if TYPE_CHECKING:
    from bench.data import Array, Shape

THREADS = 64
TILE = 20


@dataclass(frozen=True)
class Stored:
    """An array; ``cube`` is a shape of as many elements, of which the field is made."""

    layout: Layout
    shape: Shape
    cube: Shape

    def values(self) -> Array:
        """Return the values: tiles of the field, each different."""
        result = np.empty(self.cube, np.float32)
        tile = field((min(TILE, self.cube[0]), *self.cube[1:]))
        for start in range(0, self.cube[0], TILE):
            part = result[start : start + TILE]
            part[...] = tile[: len(part)] + np.float32(start)
        return result.reshape(self.shape)


def _stored(
    name: str, chunks: Shape, codec: str, shape: Shape, cube: Shape | None = None
) -> Stored:
    return Stored(Layout(name, name, chunks, codec), shape, cube or shape)


def arrays(scale: int) -> dict[str, Stored]:
    """Return the arrays by name; a quick run divides their numbers of chunks by ``scale``."""
    count, small = 500 // scale, 2000 // scale
    shard = Layout("shard", "shard", (128, 128, 128), "zstd", (32, 32, 32))
    found = [
        # Half of a chunk is left after compression.
        _stored("zstd", (1, 512, 512), "zstd", (count, 512, 512)),
        _stored("none", (1, 256, 512), "none", (count, 256, 512)),
        _stored("write", (1, 512, 512), "zstd", (200 // scale, 512, 512)),
        _stored("rows", (100, 1024), "zstd", (20_000, 1024), (20, 1000, 1024)),
        _stored("small", (1024,), "none", (small * 1024,), (small, 32, 32)),
        Stored(shard, (256, 256, 256), (256, 256, 256)),
        _stored("cut", (256, 256), "zstd", (512, 5120), (20, 256, 512)),
        _stored("append", (10, 64, 64), "blosc", (10, 64, 64)),
    ]
    return {one.layout.name: one for one in found}


GROUPS = {"consolidated": 1000, "members": 100}
_GROUP = Layout("group", "group", (), "none")


@dataclass(frozen=True)
class Remote:
    """The location of an array or a group: a prefix in a bucket, and the layout of an array."""

    bucket: str
    prefix: str
    shape: Shape = ()
    layout: Layout = _GROUP

    @property
    def url(self) -> str:
        """The URL of the prefix."""
        return f"s3://{self.bucket}/{self.prefix}"

    def document(self) -> dict[str, Any]:
        """Return the metadata document of the array."""
        return self.layout.document(self.shape)


@dataclass(frozen=True)
class Cloud:
    """A bucket of a server, reached directly or through a proxy, and a folder for values.

    ``options`` are those of obstore, without the endpoint.
    """

    root: Path
    bucket: str
    direct: str
    proxied: str
    options: dict[str, Any]
    scale: int

    @classmethod
    def load(cls, path: str) -> Cloud:
        """Return what ``save`` has written."""
        found = json.loads(Path(path).read_text())
        return cls(**{**found, "root": Path(found["root"])})

    def save(self, path: Path) -> None:
        """Write this for the workers."""
        path.write_text(json.dumps({**vars(self), "root": str(self.root)}))

    @cached_property
    def arrays(self) -> dict[str, Stored]:
        """The arrays by name."""
        return arrays(self.scale)

    def keywords(self, endpoint: str) -> dict[str, Any]:
        """Return the options of obstore for an endpoint."""
        return {**self.options, "endpoint": endpoint}

    def client(self, endpoint: str) -> Any:
        """Return a bare client of the bucket."""
        from obstore.store import S3Store

        return S3Store(
            self.bucket,
            **self.keywords(endpoint),
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def place(self, name: str) -> Remote:
        """Return the location of an array or a group."""
        if name in GROUPS:
            return Remote(self.bucket, name)
        stored = self.arrays[name]
        return Remote(self.bucket, name, stored.shape, stored.layout)

    def values(self, name: str) -> Array:
        """Return the values of an array, which are written once."""
        path = self.root / f"{name}.npy"
        if not path.exists():
            np.save(path, self.arrays[name].values())
        found: Array = np.load(path, mmap_mode="r")
        return found

    def fresh(self, name: str, number: str) -> Remote:
        """Upload an array for a row that writes; the array ``write`` has no chunks."""
        place = replace(self.place(name), prefix=f"fresh/{name}-{number}")
        document = {"zarr.json": json.dumps(place.document()).encode()}
        objects = document if name == "write" else self.objects(name)
        upload(self.client(self.direct), place.prefix, objects)
        return place

    def objects(self, name: str) -> dict[str, bytes]:
        """Return the objects of an array or a group, as zarr-python writes them into memory."""
        import zarr
        from zarr.core.buffer import default_buffer_prototype

        store: dict[str, Any] = {}
        memory = zarr.storage.MemoryStore(store)
        if name in GROUPS:
            group = zarr.open_group(memory, mode="w")
            for number in range(GROUPS[name]):
                group.create_array(f"a{number:04}", shape=(10 + number,), chunks=(10,), dtype="f4")
            if name == "consolidated":
                with warnings.catch_warnings(action="ignore"):
                    zarr.consolidate_metadata(memory)
        else:
            buffer = default_buffer_prototype().buffer
            document = json.dumps(self.place(name).document()).encode()
            store["zarr.json"] = buffer.from_bytes(document)
            zarr.open_array(memory, mode="r+")[...] = self.values(name)
        return {key: value.to_bytes() for key, value in store.items()}

    def prepare(self, name: str) -> None:
        """Upload an array or a group."""
        upload(self.client(self.direct), name, self.objects(name))

    def download(self, name: str) -> dict[str, bytes]:
        """Return all objects of an array."""
        import obstore

        client, prefix = self.client(self.direct), f"{name}/"
        found = [one["path"] for page in obstore.list(client, prefix) for one in page]
        with ThreadPoolExecutor(THREADS) as pool:
            values = pool.map(lambda key: bytes(obstore.get(client, key).bytes()), found)
            return dict(zip([key.removeprefix(prefix) for key in found], values, strict=True))


def upload(client: Any, prefix: str, objects: dict[str, bytes]) -> None:
    """Put objects, many at once."""
    import obstore

    with ThreadPoolExecutor(THREADS) as pool:
        list(
            pool.map(lambda one: obstore.put(client, f"{prefix}/{one[0]}", one[1]), objects.items())
        )


def shapes(name: str) -> dict[str, Shape]:
    """Return the names of the arrays in a group, and their shapes."""
    return {f"a{number:04}": (10 + number,) for number in range(GROUPS[name])}
