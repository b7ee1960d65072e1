"""Codecs that were written for zarr-python 3: called, checked, found by entry points, pickled."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr.registry
from installed import install
from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.parse import CODECS
from fastzarr.errors import ChunkError, MetadataError, UnknownCodecError

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.core.array_spec import ArraySpec

    from fastzarr.registry import Registry


@dataclass(frozen=True)
class Flip(ArrayArrayCodec):
    """Multiplies by -1, and is awaited."""

    factor: int = -1
    is_fixed_size = True

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Flip:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        return {"name": "example.flip", "configuration": {"factor": self.factor}}

    def compute_encoded_size(self, size: int, _: ArraySpec) -> int:
        return size

    def validate(self, *, dtype: Any, **_: Any) -> None:
        if dtype.to_native_dtype().kind != "i":
            msg = "flip is for signed integers"
            raise ValueError(msg)

    async def _encode_single(self, array: Any, _: ArraySpec) -> Any:
        await asyncio.sleep(0)
        return type(array).from_numpy_array(array.as_numpy_array() * self.factor)

    _decode_single = _encode_single


@dataclass(frozen=True)
class Text(ArrayBytesCodec):
    """Stores integers as JSON, without being awaited."""

    is_fixed_size = False

    @classmethod
    def from_dict(cls, _: dict[str, Any]) -> Text:
        return cls()

    def to_dict(self) -> dict[str, Any]:
        return {"name": "example.text"}

    def _encode_sync(self, array: Any, spec: ArraySpec) -> Any:
        text = json.dumps(array.as_numpy_array().tolist()).encode()
        return spec.prototype.buffer.from_bytes(text)

    async def _encode_single(self, array: Any, spec: ArraySpec) -> Any:
        return self._encode_sync(array, spec)

    async def _decode_single(self, data: Any, spec: ArraySpec) -> Any:
        return self._decode_sync(data, spec)

    def _decode_sync(self, data: Any, spec: ArraySpec) -> Any:
        found = np.array(json.loads(data.to_bytes()), dtype=spec.dtype.to_native_dtype())
        return spec.prototype.nd_buffer.from_numpy_array(found)


@dataclass(frozen=True)
class Mirror(BytesBytesCodec):
    """Reverses the bytes, and loses one if it is told to."""

    is_fixed_size = True
    lossy: bool = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Mirror:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        return {"name": "example.mirror", "configuration": {"lossy": self.lossy}}

    def compute_encoded_size(self, size: int, _: ArraySpec) -> int:
        return size

    async def _encode_single(self, data: Any, spec: ArraySpec) -> Any:
        return spec.prototype.buffer.from_bytes(data.to_bytes()[::-1])

    async def _decode_single(self, data: Any, spec: ArraySpec) -> Any:
        return spec.prototype.buffer.from_bytes(data.to_bytes()[::-1][int(self.lossy) :])


ALL = {"example.flip": Flip, "example.text": Text, "example.mirror": Mirror}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CODECS, "_found", {})


@pytest.fixture
def registered() -> None:
    for name, cls in ALL.items():
        codecs.register_codec(name, cls)


CHAINS: dict[str, dict[str, Any]] = {
    "array": {"filters": [Flip()], "compressors": None},
    "bytes": {"compressors": [Mirror()]},
    "text": {"serializer": Text(), "compressors": None},
    "all": {"filters": [Flip()], "serializer": Text(), "compressors": ["zstd", Mirror()]},
    "shards": {"filters": [Flip()], "compressors": [Mirror(), "gzip"], "shards": (6, 10)},
}


@pytest.mark.usefixtures("registered", "data_path")
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_both_libraries_read_what_the_other_writes(chain: dict[str, Any], tmp_path: Path) -> None:
    values = np.arange(200, dtype="i4").reshape(10, 20)[:, 3:]
    z = fastzarr.create_array(tmp_path / "a", data=values, chunks=(3, 5), **chain)
    z[2:7, 1:] += 1
    values = values + np.pad(np.ones((5, 16), "i4"), ((2, 3), (1, 0)))
    assert z[...].tolist() == values.tolist()
    for name, cls in ALL.items():
        zarr.registry.register_codec(name, cls)
    theirs = zarr.open_array(tmp_path / "a", mode="r+")
    assert theirs[...].tolist() == values.tolist()
    theirs[:4] = 7
    values[:4] = 7
    again = fastzarr.open_array(tmp_path / "a")
    assert again[...].tolist() == values.tolist()
    assert again[3:5, 2].tolist() == values[3:5, 2].tolist()
    assert pickle.loads(pickle.dumps(again))[...].tolist() == values.tolist()
    assert again.metadata.codecs == fastzarr.open_array(tmp_path / "a").metadata.codecs


def test_an_object_that_is_not_registered_is_called(tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path, data=np.arange(9, dtype="i4"), filters=[Flip()])
    assert z[...].tolist() == list(range(9))


@pytest.mark.usefixtures("registered")
def test_what_a_codec_refuses_is_an_error_that_names_the_codec(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match=r"codecs\[0\].*flip is for signed integers"):
        fastzarr.create_array(tmp_path, shape=9, dtype="f4", filters=[Flip()])
    with pytest.raises(MetadataError, match=r"codecs\[0\].*unexpected keyword argument 'times'"):
        codecs.from_v3({"name": "example.flip", "configuration": {"times": 2}}, "codecs[0]")
    z = fastzarr.create_array(
        tmp_path, data=np.arange(9), chunks=9, compressors=[Mirror(lossy=True)]
    )
    with pytest.raises(
        ChunkError,
        match=r"c/0.*example\.mirror: expected 72 decoded bytes, but the codec returned 71",
    ):
        z[...]
    with pytest.raises(TypeError, match="pass the name"):
        codecs.register_codec(Flip)


ENTRIES = """[zarr.codecs]
example.one = example_codecs:One
example.bad = example_codecs:Two
[zarr.codecs.example_three]
some = example_codecs:Three
"""
MODULE = """
from zarr.codecs import Crc32cCodec
class One(Crc32cCodec):
    @classmethod
    def from_dict(cls, data): return cls()
class Three(One): pass
"""


def test_only_what_a_document_names_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, ENTRIES, {"example_codecs": MODULE})
    registry: Registry[Any] = CODECS
    with pytest.raises(UnknownCodecError, match=r"example\.none"):
        codecs.from_v3("example.none", "codecs[0]")
    assert "example_codecs" not in sys.modules
    assert codecs.from_v3("example.one", "codecs[0]").name == "example.one"
    assert "example_codecs" in sys.modules
    assert registry.find("example.one") is registry.find("example.one")
    assert codecs.from_v3("example_three", "codecs[0]").name == "example_three"
    for _ in range(2):
        with pytest.raises(MetadataError, match=r"codecs\[0\].*AttributeError.*Two"):
            codecs.from_v3("example.bad", "codecs[0]")
