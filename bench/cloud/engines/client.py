"""A bare client: the requests that no library can avoid, 64 at once, and nothing else."""

from __future__ import annotations

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import obstore

from bench.cloud.engines import CONCURRENCY, CloudEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.base import Box
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array, Shape

Range = tuple[int, int]


class Client(CloudEngine):
    """obstore in threads. It decodes nothing but documents and indexes of shards."""

    name = "client"
    module = "obstore"
    bare = True

    def __init__(self) -> None:
        """Make the threads."""
        self.pool = ThreadPoolExecutor(CONCURRENCY)

    def connect(self, cloud: Cloud, name: str) -> None:
        """Make the client, and download what it will write."""
        super().connect(cloud, name)
        self.store = cloud.client(cloud.proxied)
        self.objects = cloud.download(name) if name in ("write", "cut", "append") else {}

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Fetch the document."""
        del write
        document = json.loads(bytes(self._get(f"{place.prefix}/zarr.json")))
        shape = tuple(document["shape"])
        return SimpleNamespace(place=place, layout=place.layout, document=document, shape=shape)

    def _get(self, key: str) -> Any:
        return obstore.get(self.store, key).bytes()

    def _sizes(self, values: Iterable[Any]) -> list[int]:
        """Return the sizes of values, which are dropped."""
        return [len(value) for value in values]

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Fetch the chunks of a box."""
        chunks = list(product(*touched(box, array.layout.chunks)))
        prefix = array.place.prefix
        if array.layout.inner:
            return self._shards(array, box, chunks)
        return self._sizes(self.pool.map(self._get, [key(prefix, chunk) for chunk in chunks]))

    def _shards(self, array: Any, box: tuple[slice | int, ...], shards: Sequence[Shape]) -> Any:
        """Fetch the indexes of shards, then the ranges of inner chunks that touch."""
        shape, inner = array.layout.chunks, array.layout.inner
        counts = [size // part for size, part in zip(shape, inner, strict=True)]
        keys = [key(array.place.prefix, shard) for shard in shards]
        cells = [one_shard(box, shape, inner, shard) for shard in shards]
        length = 16 * counts[0] * counts[1] * counts[2] + 4

        def index(name: str) -> Any:
            options: Any = {"range": {"suffix": length}}
            return memoryview(obstore.get(self.store, name, options=options).bytes())

        wanted: list[tuple[str, Range]] = []
        for name, found, chosen in zip(keys, self.pool.map(index, keys), cells, strict=True):
            entries = [entry(found, counts, cell) for cell in chosen]
            wanted += [(name, run) for run in runs(entries)]
        return self._sizes(self.pool.map(self._range, wanted))

    def _range(self, wanted: tuple[str, Range]) -> Any:
        name, (start, end) = wanted
        return obstore.get_range(self.store, name, start=start, end=end)

    def rows(self, array: Any, rows: Array) -> Any:
        """Fetch the chunks of rows."""
        numbers = sorted({int(row) // array.layout.chunks[0] for row in rows})
        names = [key(array.place.prefix, (number, 0)) for number in numbers]
        return self._sizes(self.pool.map(self._get, names))

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Put the chunks of a box; fetch them first, if the box cuts them."""
        del value
        chunks = list(product(*touched(box, array.layout.chunks)))
        names = [key(array.place.prefix, chunk) for chunk in chunks]
        values = [self.objects[key("", chunk)] for chunk in chunks]
        cut = any(
            part.stop - part.start < size for part, size in zip(box, array.shape, strict=True)
        )

        def put(one: tuple[str, bytes]) -> None:
            if cut:
                self._get(one[0])
            obstore.put(self.store, *one)

        list(self.pool.map(put, zip(names, values, strict=True)))

    def append(self, array: Any, value: Array) -> Any:
        """Put a chunk, then the document."""
        number = array.shape[0] // array.layout.chunks[0]
        chunk = (number, *[0] * (value.ndim - 1))
        obstore.put(self.store, key(array.place.prefix, chunk), self.objects[key("", (0, 0, 0))])
        array.shape = (array.shape[0] + len(value), *array.shape[1:])
        document = json.dumps({**array.document, "shape": array.shape}).encode()
        obstore.put(self.store, f"{array.place.prefix}/zarr.json", document)
        return array

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Fetch the document of a group, and those of its members unless it contains them."""
        document = json.loads(bytes(self._get(f"{place.prefix}/zarr.json")))
        if "consolidated_metadata" in document:
            found = document["consolidated_metadata"]["metadata"]
            return {name: tuple(one["shape"]) for name, one in found.items()}
        listed = obstore.list_with_delimiter(self.store, f"{place.prefix}/")["common_prefixes"]
        values = self.pool.map(self._get, [f"{prefix}/zarr.json" for prefix in listed])
        names = [prefix.rsplit("/", 1)[-1] for prefix in listed]
        shapes = [tuple(json.loads(bytes(value))["shape"]) for value in values]
        return dict(zip(names, shapes, strict=True))


def key(prefix: str, chunk: Sequence[int]) -> str:
    """Return the key of a chunk."""
    return "/".join([*([prefix] if prefix else []), "c", *map(str, chunk)])


def touched(box: Sequence[Any], chunks: Sequence[int]) -> list[range]:
    """Return the positions of the chunks that a box touches, along each axis."""
    return [
        range(part.start // size, (part.stop - 1) // size + 1)
        for part, size in zip(box, chunks, strict=True)
    ]


def one_shard(box: Sequence[Any], shape: Shape, inner: Shape, shard: Shape) -> list[Shape]:
    """Return the positions in a shard of the inner chunks that a box touches."""
    parts = []
    for part, size, at in zip(box, shape, shard, strict=True):
        start, stop = max(part.start - at * size, 0), min(part.stop - at * size, size)
        parts.append(slice(start, stop))
    return list(product(*touched(parts, inner)))


def entry(index: memoryview, counts: Sequence[int], cell: Shape) -> Range:
    """Return where an inner chunk begins and ends."""
    number = 0
    for count, at in zip(counts, cell, strict=True):
        number = number * count + at
    offset, length = struct.unpack_from("<QQ", index, 16 * number)
    return offset, offset + length


def runs(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges with those that touch put together."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
