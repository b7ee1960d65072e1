"""Writing and reading an array with fastzarr and with other Zarr libraries, by one interface.

Each peer has ``write(path, case, values)``, ``update(path, region, values)``, ``read(path)``
and ``supports(case, verb)``, which is None or the reason why not, from ``UNSUPPORTED``.
Warnings of a peer are silenced.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numcodecs
import numpy as np
from interop.cases import ATTRIBUTES, CODECS, FILTERS, SHARDS, Case, filters_of, ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Contents(NamedTuple):
    """The result of reading: all values, and some of the metadata."""

    values: np.ndarray[Any, Any]
    fill: Any
    attributes: Mapping[str, Any] | None
    names: list[str | None] | None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


@contextmanager
def _silenced() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Peer:
    """A library that writes and reads arrays."""

    name: str
    exact_byte_order = False
    """Whether arrays of format 2 are read in the byte order in which they are stored."""

    @functools.cached_property
    def _version(self) -> tuple[int, ...]:
        return _version(importlib.metadata.version(self.name))

    @functools.cached_property
    def unsupported(self) -> dict[tuple[str, ...], frozenset[str]]:
        """The keys of ``UNSUPPORTED`` for this version, each with the features it applies to."""
        found = {}
        for key in UNSUPPORTED:
            if key[0] != self.name:
                continue
            bounds = [name.split() for name in key if name.startswith(("before ", "since "))]
            if all((self._version < _version(v)) == (word == "before") for word, v in bounds):
                found[key] = frozenset(key[1:]) - {" ".join(bound) for bound in bounds}
        return found

    def keys(self, case: Case, verb: str) -> list[tuple[str, ...]]:
        """Return the keys of ``UNSUPPORTED`` that apply; ``verb`` is "write" or "read"."""
        features = case.features(verb)
        return [key for key, names in self.unsupported.items() if names <= features]

    def supports(self, case: Case, verb: str) -> str | None:
        """Return None, or the reason why the peer cannot; ``verb`` is "write" or "read"."""
        return next((UNSUPPORTED[key] for key in self.keys(case, verb)), None)

    def attributes(self, zarr_format: int) -> bool:
        """Whether the peer returns attributes of a format."""
        return (self.name, zarr_format) not in NO_ATTRIBUTES

    def write(self, path: Path, case: Case, values: np.ndarray[Any, Any]) -> None:
        """Create the array, and write the values that ``case.written`` selects."""
        raise NotImplementedError

    def update(self, path: Path, region: Any, values: np.ndarray[Any, Any]) -> None:
        """Write to a region of an existing array."""
        raise NotImplementedError

    def read(self, path: Path) -> Contents:
        """Return all values and metadata."""
        raise NotImplementedError


class ZarrLike(Peer):
    """fastzarr or zarr-python, which have the same functions."""

    exact_byte_order = True

    def __init__(self, name: str) -> None:
        """Initialise with the name of the module."""
        self.name = name

    @functools.cached_property
    def _module(self) -> Any:
        return importlib.import_module(self.name)

    def write(self, path: Path, case: Case, values: np.ndarray[Any, Any]) -> None:
        """Create the array with ``create_array``, with ``shards=`` if that can describe them."""
        options: dict[str, Any] = {"chunks": case.stored}
        if case.zarr_format == 2:
            compressors = CODECS[2][case.codec]
            options["compressors"] = compressors[0] if compressors else None
            if case.dtype.kind not in "TO":
                options["filters"] = [numcodecs.get_codec(dict(f)) for f in filters_of(case) or []]
            options["order"] = case.order
        else:
            options["dimension_names"] = case.dimension_names
            filters, serializer, compressors = case.chain
            if case.shards in ("sharded", "index at start"):
                location = "start" if case.shards == "index at start" else "end"
                options["chunks"] = case.chunks
                options["shards"] = {"shape": case.stored, "index_location": location}
            else:
                filters, serializer, compressors = case.sharding()
            options["filters"] = filters or None
            options["serializer"] = serializer
            options["compressors"] = compressors or None
        fill = case.fill_value
        if case.dtype.kind == "T":
            dtype: Any = "string"
        elif case.dtype.kind == "O":
            dtype = importlib.import_module(f"{self.name}.dtype").VariableLengthBytes()
        else:
            dtype = case.dtype
        with _silenced():
            array = self._module.create_array(
                str(path),
                shape=case.shape,
                dtype=dtype,
                zarr_format=case.zarr_format,
                fill_value=fill,
                chunk_key_encoding={
                    "name": "v2" if case.zarr_format == 2 else "default",
                    "separator": case.separator,
                },
                attributes=ATTRIBUTES,
                **options,
            )
            array[case.written] = values[case.written] if case.shape else values[()]

    def update(self, path: Path, region: Any, values: np.ndarray[Any, Any]) -> None:
        """Write to a region of an existing array."""
        with _silenced():
            self._module.open_array(str(path), mode="r+")[region] = values

    def read(self, path: Path) -> Contents:
        """Return all values and metadata."""
        with _silenced():
            array = self._module.open_array(str(path), mode="r")
            # Arrays of zarr-python 2 have no such property.
            metadata = getattr(array, "metadata", None)
            names = getattr(metadata, "dimension_names", None)
            found = array[...]
            values = np.empty(array.shape, array.dtype)
            while self.name == "zarr" and not array.ndim and isinstance(found, np.ndarray):
                # It wraps zero-dimensional bytes in an S array, and that in an object array.
                found = found.item()
            values[... if array.ndim else ()] = found
            if array.ndim and found.dtype != array.dtype:
                message = f"{array.dtype} was announced, {found.dtype} was read"
                raise AssertionError(message)
            return Contents(
                values, array.fill_value, dict(array.attrs), [*names] if names else None
            )


class TensorStore(Peer):
    """tensorstore, which reads and writes one field at a time."""

    name = "tensorstore"

    @functools.cached_property
    def _module(self) -> Any:
        return importlib.import_module("tensorstore")

    def _open(self, path: Path, **options: Any) -> Any:
        driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
        driver = "zarr3" if options.get("metadata", {}).get("zarr_format") == 3 else driver
        store = {"driver": "file", "path": f"{path}/"}
        spec = {"driver": driver, "kvstore": store, **options}
        return self._module.open(spec, open=True, create="metadata" in options).result()

    def make(
        self, path: Path, document: dict[str, Any], fields: tuple[str, ...] | None = None
    ) -> None:
        """Create the array that a document describes."""
        self._open(path, metadata=document, **({"field": fields[0]} if fields else {}))

    def write(self, path: Path, case: Case, values: np.ndarray[Any, Any]) -> None:
        """Create the array from a document, then write."""
        document = case.document(raw_fill="base64")
        if case.kind == "V3" and case.zarr_format == 3:
            # tensorstore 0.1.86 aborts the process when it creates an array of raw bytes.
            path.mkdir()
            (path / "zarr.json").write_text(json.dumps(document))
        else:
            self.make(path, document, case.dtype.names)
        self.update(path, case.written, values[case.written])

    def update(self, path: Path, region: Any, values: np.ndarray[Any, Any]) -> None:
        """Write to a region of an existing array."""
        fields = values.dtype.names or (None,)
        for field in fields:
            array = self._open(path, **({"field": field} if field else {}))
            part = np.asarray(values[field] if field else values)
            part = part.astype(ordered(part.dtype))
            if part.dtype.kind in "SV" and part.dtype.isbuiltin != 2:
                size = part.dtype.itemsize
                single = np.frombuffer(part.tobytes(), f"{part.dtype.kind}1")
                part = single.reshape(*part.shape, size)
            array[region].write(part).result()

    def _numpy(self, array: Any) -> np.ndarray[Any, Any]:
        array = np.asarray(array)
        if array.dtype.itemsize:
            return array
        # Bytes are read as V0 or S0 with strides of one byte, and are on the last axis.
        interface = {**array.__array_interface__, "typestr": "|u1", "descr": [("", "|u1")]}
        plain = np.ascontiguousarray(SimpleNamespace(__array_interface__=interface, keep=array))
        return plain.view(f"{array.dtype.kind}{array.shape[-1]}")[..., 0]

    def read(self, path: Path) -> Contents:
        """Return all values and metadata."""
        document = path / "zarr.json"
        metadata = json.loads((document if document.exists() else path / ".zarray").read_bytes())
        fields: list[Any] = [None]
        if isinstance(metadata.get("dtype"), list):
            fields = [field[0] for field in metadata["dtype"]]
        elif isinstance(metadata.get("data_type"), dict):
            found = metadata["data_type"]["configuration"].get("fields", [None])
            fields = [f["name"] if isinstance(f, dict) else f[0] if f else f for f in found]
        parts, fills = {}, {}
        for field in fields:
            array = self._open(path, **({"field": field} if field else {}))
            parts[field] = self._numpy(array.read().result())
            fill = array.fill_value
            fills[field] = None if fill is None else self._numpy(fill)
        values, fill = parts[fields[0]], fills[fields[0]]
        if fields[0]:
            dtype = np.dtype([(field, part.dtype) for field, part in parts.items()])
            values = np.empty(values.shape, dtype)
            for field, part in parts.items():
                values[field] = part
            if fill is not None:
                fill = np.empty((), dtype)
                for field, part in fills.items():
                    fill[field] = part
        specification = array.spec(retain_context=False).to_json()["metadata"]
        labels = [label or None for label in array.domain.labels[: values.ndim]]
        return Contents(values, fill, specification.get("attributes"), labels or None)


class Zarrista(Peer):
    """zarrista; documents of format 2 are written for it by hand."""

    name = "zarrista"

    def _open(self, path: Path) -> Any:
        store = importlib.import_module("zarrista.store").FilesystemStore(str(path))
        return importlib.import_module("zarrista").Array.open(store, "/")

    def make(self, path: Path, document: dict[str, Any]) -> None:
        """Create the array that a document describes."""
        path.mkdir()
        if document["zarr_format"] == 2:
            (path / ".zarray").write_text(json.dumps(document))
            (path / ".zattrs").write_text(json.dumps(ATTRIBUTES))
        else:
            store = importlib.import_module("zarrista.store").FilesystemStore(str(path))
            array = importlib.import_module("zarrista").Array.from_metadata(document, store)
            array.store_metadata()

    def write(self, path: Path, case: Case, values: np.ndarray[Any, Any]) -> None:
        """Create the array from a document, then write."""
        self.make(path, case.document())
        self.update(path, case.written, values[case.written])

    def update(self, path: Path, region: Any, values: np.ndarray[Any, Any]) -> None:
        """Write to a region of an existing array; elements other than numbers are sent as bytes."""
        values = np.asarray(values)
        data: Any = values.astype(ordered(values.dtype), order="C")
        if data.dtype.kind in "TO":
            words = [w.encode() if isinstance(w, str) else w for w in data.ravel().tolist()]
            offsets = np.cumsum([0, *map(len, words)]).tolist()
            data = importlib.import_module("zarrista").ArrayBytes(b"".join(words), offsets=offsets)
        elif data.dtype.kind not in "iuf" or data.dtype.isbuiltin == 2:
            data = data.tobytes()
        self._open(path)[region] = data

    def read(self, path: Path) -> Contents:
        """Return all values and metadata."""
        array = self._open(path)
        tensor = array[...]
        name, metadata = array.dtype.name, array.metadata
        fill = array.fill_value.as_bytes()
        missing = metadata["fill_value"] is None
        if name in ("string", "bytes"):
            return Contents(
                tensor.to_numpy(),
                None if missing else fill.decode() if name == "string" else fill,
                array.attrs,
                array.dimension_names or None,
            )
        if name == "fixed_length_utf32":
            dtype = np.dtype(f"U{array.dtype.size // 4}")
        elif name.startswith("r") or (name.startswith("complex_") and array.dtype.size < 8):
            dtype = np.dtype(f"V{array.dtype.size}")
        else:
            dtype = tensor.to_numpy().dtype
        values = np.frombuffer(tensor.buffer(), dtype).reshape(array.shape)
        return Contents(
            values,
            None if missing else np.frombuffer(fill, dtype)[0],
            array.attrs,
            array.dimension_names or None,
        )


HERE = ZarrLike("fastzarr")
PEERS: dict[str, Peer] = {peer.name: peer for peer in (ZarrLike("zarr"), TensorStore(), Zarrista())}

# The peers that do not return attributes, by format, and why.
NO_ATTRIBUTES = {("tensorstore", 2): "it neither reads nor writes .zattrs"}

_DATES = ("datetime64[10ms]", "datetime64[D]", "timedelta64[25s]")

# What peers do not support, and why: the peer, then the names (`Case.features`) that must all apply
# to a case. "before 3.4" and "since 3.4" are versions of the peer.
_NO_TYPE = "it has no such data type"
_NO_CODEC = "it has no such codec"
_NO_FILL = "it wants a fill value for this type"
UNSUPPORTED: dict[tuple[str, ...], str] = {
    ("zarr", "codec blosc snappy"): "numcodecs is built without snappy",
    ("zarr", "since 3.4", "0-d", "bytes", "write"): "it refuses the array it makes of the bytes",
    ("zarr", "before 3.4", "format 3", "struct", "read"): "it knows the older spelling only",
    ("zarr", "before 3.4", "format 3", "nested struct", "read"): "it knows the older spelling only",
    **{
        ("zarr", "before 3.4", "0-d", f"shards {shards}", "write"): (
            "it cannot write shards of no axes"
        )
        for shards in ("sharded", "index at start", "nested")
    },
    **{
        ("zarr", geometry, "order F", "shards codecs around"): (
            "it compares the inner chunk with the shard before that is transposed"
        )
        for geometry in ("2-d", "3-d", "chunk beyond array")
    },
    ("zarr", "before 3.4", "0-d", "shards codecs around", "bare", "write"): (
        "it cannot write shards of no axes"
    ),
    **{
        ("zarr", "before 3.4", "format 3", kind, "order F", "elements", "write"): (
            "it does not transpose these"
        )
        for kind in ("string", "bytes")
    },
    ("zarr", "before 3.4", "format 2", "nested struct"): "it cannot open its own",
    ("zarr", "filter bitround", "order F", "write"): "numcodecs turns it to order C",
    **{
        ("zarr", "before 3.4", kind, "elements", f"shards {shards}"): (
            "it hashes the fill value, which no void can be"
        )
        for kind in ("V3", "struct", "nested struct")
        for shards in SHARDS
        if shards != "none"
    },
    **{
        ("tensorstore", "format 3", kind): _NO_TYPE
        for kind in ("S3", "U3", "string", "bytes", "nested struct", *_DATES)
    },
    **{
        ("tensorstore", "format 2", kind): _NO_TYPE
        for kind in ("U3", "string", "bytes", "nested struct", *_DATES)
    },
    ("tensorstore", "format 2", "S3", "fill zero", "read"): "it wants the fill value padded",
    ("tensorstore", "shards codecs around", "compressed"): "it wants the shards to be stored bare",
    **{("tensorstore", f"codec {name}"): _NO_CODEC for name in ("lz4", "lzma", "numcodecs")},
    ("tensorstore", "format 2", "codec zstd checksum"): "it does not know the member checksum",
    **{
        ("tensorstore", f"filter {name}"): "it knows no filters of format 2"
        for name in FILTERS
        if name != "none"
    },
    **{("zarrista", kind): _NO_TYPE for kind in ("S3", "struct", "nested struct")},
    **{("zarrista", "format 2", kind): _NO_TYPE for kind in _DATES},
    ("zarrista", "format 3", "V3", "read"): "it reads r24, the older name of raw_bytes",
    ("zarrista", "format 2", "bytes"): "it takes all objects for strings",
    **{
        ("zarrista", "fill null", kind): _NO_FILL
        for kind in ("complex64", "complex128", "U3", "V3")
    },
    **{
        ("zarrista", kind, "elements", "transposed chunks"): (
            "it transposes what has no fixed size wrongly"
        )
        for kind in ("string", "bytes")
    },
    ("zarrista", "shards codecs around", "codec blosc", "elements", "edge, odd index"): (
        "it reads the index out of blosc's output by whole items, and so not all of it"
    ),
    **{
        ("zarrista", "format 2", f"codec {name}"): _NO_CODEC
        for name in ("zlib", "bz2", "lz4", "lzma", "zstd checksum")
    },
    **{
        ("zarrista", f"filter {name}"): _NO_CODEC
        for name in FILTERS
        if name not in ("none", "shuffle", "fixedscaleoffset")
    },
    ("zarrista", "filter fixedscaleoffset", "big-endian", "elements"): (
        "it takes the type for little-endian"
    ),
    **{
        ("zarrista", f"codec {name}"): _NO_CODEC
        for name in CODECS[3]
        if name.startswith("numcodecs") and name != "numcodecs.shuffle"
    },
}
