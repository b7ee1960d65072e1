"""N5 containers as stores of format 2.

Rules of this file:

* The keys ``.zgroup``, ``.zarray`` and ``.zattrs`` are views of ``attributes.json``, and the key of
  a chunk is that of a block, whose coordinates are in the opposite order.
* Arrays read and write the container as N5, past these views.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.registry import register_codec

from fastzarr import stores as ours
from fastzarr.metadata.formats import parse_format
from fastzarr.v2._storage.classes import FSStore, NestedDirectoryStore
from fastzarr.v2._storage.store import Dressed, array_meta_key, attrs_key, group_meta_key
from fastzarr.v2.util import json_dumps, json_loads, normalize_storage_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastzarr.metadata.layout import Layout

_FORMAT = parse_format("n5")

N5_FORMAT = "2.0.0"
zarr_to_n5_keys = [
    ("chunks", "blockSize"),
    ("dtype", "dataType"),
    ("compressor", "compression"),
    ("shape", "dimensions"),
]
n5_attrs_key = _FORMAT.attributes
n5_keywords = ["n5", "dataType", "dimensions", "blockSize", "compression"]

_DOCUMENTS = (array_meta_key, group_meta_key, attrs_key)
_CHUNK = re.compile(r"\d+(\.\d+)*")
_NUMBER = re.compile(r"\d+")


def is_chunk_key(key: str) -> bool:
    """Whether a key is that of a chunk of format 2.

    >>> is_chunk_key("a/0.1"), is_chunk_key("a/b")
    (True, False)
    """
    return _CHUNK.fullmatch(key.rpartition("/")[2]) is not None


def invert_chunk_coords(key: str) -> str:
    """Return the key of the block of a chunk.

    >>> invert_chunk_coords("a/0.1.2")
    'a/2/1/0'
    """
    path, slash, name = key.rpartition("/")
    return path + slash + "/".join(name.split(".")[::-1]) if is_chunk_key(key) else key


class _Viewed(Dressed, own=True):
    """A store whose documents are views of ``attributes.json``."""

    def _split(self, key: str) -> tuple[str, str]:
        """Return the key of the document of a node, and the name of the view."""
        path, slash, name = key.rpartition("/")
        return (path + slash + n5_attrs_key, name) if name in _DOCUMENTS else (key, "")

    def _document(self, key: str) -> dict[str, Any]:
        data = self.inner.get(key)
        return {} if data is None else json_loads(data)

    def _view(self, key: str, name: str) -> dict[str, Any] | None:
        """Return a view of a document; None if there is none."""
        document = self._document(key)
        if name == attrs_key:
            return attrs_to_zarr(document) or None
        if key not in self.inner or ("dimensions" in document) != (name == array_meta_key):
            return None
        view: Any = array_metadata_to_zarr if name == array_meta_key else group_metadata_to_zarr
        found: dict[str, Any] = view(document)
        return found

    def __getitem__(self, key: str) -> Any:
        """Return a value; raise KeyError if it is missing."""
        inside, name = self._split(key)
        if not name:
            return self.inner[invert_chunk_coords(key)]
        found = self._view(inside, name)
        if found is None:
            raise KeyError(key)
        return json_dumps(found)

    def __contains__(self, key: object) -> bool:
        """Whether a key has a value."""
        inside, name = self._split(str(key))
        if name:
            return self._view(inside, name) is not None
        return invert_chunk_coords(str(key)) in self.inner

    def __setitem__(self, key: str, value: Any) -> None:
        """Store a value; that of a document is merged into ``attributes.json``."""
        if self._split(key)[1]:
            self.change(key, lambda _: value)
        else:
            self.inner[invert_chunk_coords(key)] = value

    def __delitem__(self, key: str) -> None:
        """Delete a key; raise KeyError if it is missing."""
        inside, name = self._split(key)
        del self.inner[inside if name else invert_chunk_coords(key)]

    def change(self, key: str, make: Callable[[Any], Any]) -> None:
        """Replace a value by ``make(old)``, so that no other change is lost."""
        inside, name = self._split(key)
        if not name:
            self.inner.change(invert_chunk_coords(key), make)
            return

        def merged(data: bytes | None) -> bytes:
            document = {} if data is None else json_loads(data)
            own = {word: document[word] for word in n5_keywords if word in document}
            users = {word: value for word, value in document.items() if word not in own}
            if name == attrs_key:
                new = json_loads(make(json_dumps(users)))
                _warn_of_keywords(new)
                return json_dumps(own | new)
            new = json_loads(make(None if data is None else self._viewed(document, name)))
            convert: Any = array_metadata_to_n5 if name == array_meta_key else group_metadata_to_n5
            return json_dumps(document | convert(new))

        self.inner.change(inside, merged)

    def _viewed(self, document: dict[str, Any], name: str) -> bytes:
        is_array = name == array_meta_key and "dimensions" in document
        view: Any = array_metadata_to_zarr if is_array else group_metadata_to_zarr
        return json_dumps(view(document))

    def shown_compressor(self, codec: Any, dtype: Any, chunks: Any) -> Any:
        """Return the codec of blocks, which is what an array shows."""
        return N5ChunkWrapper(dtype, chunks, compressor=codec)

    def listdir(self, path: str = "") -> list[str]:
        """Return the sorted names directly below a path, in an array with the keys of chunks."""
        path = invert_chunk_coords(normalize_storage_path(path))
        names = self.inner.listdir(path)
        if n5_attrs_key not in names:
            return names
        prefix = f"{path}/" if path else ""
        document = self._document(prefix + n5_attrs_key)
        found = [name for name in names if name != n5_attrs_key]
        if "dimensions" in document:
            found = [each for name in found for each in self._chunks(prefix, name)]
        found.append(array_meta_key if "dimensions" in document else group_meta_key)
        if attrs_to_zarr(document):
            found.append(attrs_key)
        return sorted(found)

    def _chunks(self, prefix: str, name: str) -> Iterator[str]:
        below = list(self.inner.list(prefix + name)) if _NUMBER.fullmatch(name) else []
        if not below:
            yield name
        for key in below:
            yield ".".join(key.removeprefix(prefix).split("/")[::-1])


def _warn_of_keywords(attributes: Mapping[str, Any]) -> None:
    for word in n5_keywords:
        if word in attributes:
            warnings.warn(f"Attribute {word} is a reserved N5 keyword", UserWarning, stacklevel=6)


def _warn_of_end(name: str) -> None:
    msg = f"The {name} is deprecated and will be removed in a Zarr-Python version 3"
    warnings.warn(msg, FutureWarning, stacklevel=3)


class N5Store(_Viewed, NestedDirectoryStore, own=True):
    """An N5 container in a folder."""

    _kind = ours.N5Store

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Initialise with the folder."""
        _warn_of_end("N5Store")
        super().__init__(*args, **kwargs)


class N5FSStore(_Viewed, FSStore, own=True):
    """An N5 container in a file system of fsspec."""

    _kind = ours.N5FSStore

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Initialise with a URL, or with a path and a file system."""
        _warn_of_end("N5FSStore")
        if kwargs.pop("dimension_separator", None) is not None:
            warnings.warn("Keyword argument `dimension_separator` will be ignored", stacklevel=2)
        super().__init__(*args, **kwargs)
        self._dimension_separator = "."


def group_metadata_to_n5(group_metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of ``attributes.json`` for those of ``.zgroup``.

    >>> group_metadata_to_n5({"zarr_format": 2})
    {'n5': '2.0.0'}
    """
    del group_metadata
    return {"n5": N5_FORMAT}


def group_metadata_to_zarr(group_metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``.zgroup`` for an ``attributes.json``.

    >>> group_metadata_to_zarr({"n5": "2.0.0"})
    {'zarr_format': 2}
    """
    del group_metadata
    return {"zarr_format": 2}


def array_metadata_to_n5(
    array_metadata: Mapping[str, Any], top_level: bool = False
) -> dict[str, Any]:
    """Return the members of ``attributes.json`` for those of ``.zarray``.

    Raise TypeError or ValueError for what N5 does not have.
    """
    try:
        dtype = np.dtype(array_metadata["dtype"])
    except TypeError as error:
        msg = f"N5 has no data type {array_metadata['dtype']}"
        raise TypeError(msg) from error
    for name, plain in (("fill_value", (0, None)), ("order", ("C",)), ("filters", (None, []))):
        if array_metadata.get(name, plain[0]) not in plain:
            msg = f"N5 does not have {name}={array_metadata[name]!r}"
            raise ValueError(msg)
    found = {
        "dimensions": list(array_metadata["shape"])[::-1],
        "blockSize": list(array_metadata["chunks"])[::-1],
        "dataType": dtype.name,
        "compression": compressor_config_to_n5(array_metadata["compressor"]),
    }
    return found | {"n5": N5_FORMAT} if top_level else found


def array_metadata_to_zarr(
    array_metadata: Mapping[str, Any], top_level: bool = False
) -> dict[str, Any]:
    """Return ``.zarray`` for the members of an ``attributes.json``."""
    del top_level
    dtype = np.dtype(array_metadata["dataType"]).str
    chunks = list(array_metadata["blockSize"])[::-1]
    return {
        "zarr_format": 2,
        "shape": list(array_metadata["dimensions"])[::-1],
        "chunks": chunks,
        "dtype": dtype,
        "fill_value": 0,
        "order": "C",
        "filters": [],
        "dimension_separator": ".",
        "compressor": {
            "id": N5ChunkWrapper.codec_id,
            "compressor_config": compressor_config_to_zarr(array_metadata["compression"]),
            "dtype": dtype,
            "chunk_shape": chunks,
        },
    }


def attrs_to_zarr(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a user in an ``attributes.json``.

    >>> attrs_to_zarr({"n5": "2.0.0", "units": "K"})
    {'units': 'K'}
    """
    return {name: value for name, value in attrs.items() if name not in n5_keywords}


# The members of a codec that both sides name alike.
_SAME = {
    "blosc": ("cname", "clevel", "shuffle", "blocksize"),
    "lzma": ("format", "check", "preset", "filters"),
}
_XZ = {"format": 1, "check": -1}


def compressor_config_to_n5(compressor_config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the member ``compression`` for a codec of numcodecs.

    >>> compressor_config_to_n5({"id": "zlib", "level": 1})
    {'type': 'gzip', 'level': 1, 'useZlib': True}
    """
    if compressor_config is None:
        return {"type": "raw"}
    if compressor_config["id"] == N5ChunkWrapper.codec_id:
        return compressor_config_to_n5(compressor_config["compressor_config"])
    name = compressor_config["id"]
    if name == "bz2":
        return {"type": "bzip2", "blockSize": compressor_config["level"]}
    if name in ("zlib", "gzip"):
        level = compressor_config["level"]
        return {"type": "gzip", "level": level, "useZlib": name == "zlib"}
    if name == "lzma":
        return _lzma_to_n5(compressor_config)
    rest = {word: value for word, value in compressor_config.items() if word != "id"}
    return {"type": name, **{word: rest[word] for word in _SAME.get(name, rest)}}


def _lzma_to_n5(config: Mapping[str, Any]) -> dict[str, Any]:
    preset = config["preset"] or 6
    if config["format"] == 1 and config["check"] in (-1, 4):
        return {"type": "xz", "preset": preset}
    warnings.warn("other libraries of N5 may not know lzma", RuntimeWarning, stacklevel=3)
    words = {word: config[word] for word in ("format", "check", "filters")}
    return {"type": "lzma", **words, "preset": preset}


def compressor_config_to_zarr(compressor_config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the codec of numcodecs for a member ``compression``.

    >>> compressor_config_to_zarr({"type": "bzip2", "blockSize": 5})
    {'id': 'bz2', 'level': 5}
    """
    name = compressor_config["type"]
    if name == "raw":
        return None
    if name == "bzip2":
        return {"id": "bz2", "level": compressor_config["blockSize"]}
    if name == "gzip":
        own = "zlib" if compressor_config.get("useZlib") else "gzip"
        return {"id": own, "level": compressor_config["level"]}
    if name == "xz":
        return {"id": "lzma", **_XZ, "preset": compressor_config["preset"], "filters": None}
    rest = {word: value for word, value in compressor_config.items() if word != "type"}
    return {"id": name, **{word: rest[word] for word in _SAME.get(name, rest)}}


class N5ChunkWrapper(Codec):  # type: ignore[misc]  # numcodecs has no types
    """The codec of the blocks of N5: a header with the shape, and the elements, compressed."""

    codec_id = "n5_wrapper"

    def __init__(
        self,
        dtype: Any,
        chunk_shape: Any,
        compressor_config: Mapping[str, Any] | None = None,
        compressor: Any = None,
    ) -> None:
        """Initialise with the dtype and the shape of a chunk, and a codec of numcodecs."""
        from numcodecs import get_codec

        self.dtype, self.chunk_shape = np.dtype(dtype), tuple(chunk_shape)
        if compressor is not None:
            if compressor_config is not None:
                msg = "pass the compressor or its configuration, not both"
                raise ValueError(msg)
            compressor_config = compressor.get_config()
        if compressor_config is not None and compressor_config["id"] == self.codec_id:
            compressor_config = compressor_config["compressor_config"]
        self.compressor_config = compressor_config
        self._compressor = get_codec(dict(compressor_config)) if compressor_config else None

    def get_config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.codec_id, "compressor_config": self.compressor_config}

    def _layout(self, shape: tuple[int, ...]) -> Layout:
        members = {
            "dimensions": list(shape)[::-1],
            "blockSize": list(shape)[::-1],
            "dataType": self.dtype.name,
            "compression": compressor_config_to_n5(self.compressor_config),
        }
        found: Layout = _FORMAT.from_dict(members)
        return found

    def encode(self, chunk: Any) -> bytes:
        """Return the block of a chunk."""
        elements = np.asarray(chunk, self.dtype)
        return bytes(self._layout(elements.shape).program.encode(elements))

    def decode(self, chunk: Any, out: Any = None) -> Any:
        """Return the elements of a block, in ``out`` if it is passed."""
        found = self._layout(self.chunk_shape).program.decode(chunk)
        if out is None:
            return found
        np.copyto(np.asarray(out).view(self.dtype).reshape(self.chunk_shape), found)
        return out


register_codec(N5ChunkWrapper, N5ChunkWrapper.codec_id)
