"""Codecs by name: documents, users' arguments, golden data of zarr-python, custom codecs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

import numcodecs
import numpy as np
import pytest
import zarr.codecs

from fastzarr import codecs
from fastzarr.buffers import as_view
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, spec_size
from fastzarr.codecs.enums import BloscShuffle
from fastzarr.errors import MetadataError, UnknownCodecError, ZarrUserWarning

GOLDEN = json.loads((Path(__file__).parent / "golden" / "codecs.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: "-".join(i["name"] for i in c["codecs"]))
def test_reads_what_zarr_python_3_writes(case, spec_of):
    spec = spec_of((12, 16), "i4")
    chain, specs, size = [], [], None
    for item in case["codecs"]:
        codec = codecs.from_v3(item, "").resolve(spec)
        chain.append(codec)
        specs.append(size if isinstance(codec, BytesBytesCodec) else spec)
        if isinstance(codec, ArrayArrayCodec):
            spec = codec.encoded_spec(spec)
        elif isinstance(codec, ArrayBytesCodec):
            size = codec.encoded_size(spec)
        else:
            size = codec.encoded_size(size)
    data = bytes.fromhex(case["chunk"])
    assert size in (None, len(data))
    for codec, seen in zip(reversed(chain), reversed(specs), strict=True):
        data = codec.decode(data, seen)
    assert data.tolist() == np.arange(192).reshape(12, 16).tolist()
    again = data
    for codec, seen in zip(chain, specs, strict=True):
        behind = isinstance(codec, BytesBytesCodec)
        again = codec.encode(again) if behind else codec.encode(again, seen)
    if not {"gzip", "zlib", "bz2", "lzma"} & {str(c.name).rpartition(".")[2] for c in chain}:
        assert bytes(as_view(again)) == bytes.fromhex(case["chunk"])


def test_the_names_of_the_specification():
    known = {"blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd"}
    assert known | {"vlen-bytes", "vlen-utf8"} <= set(codecs.names())
    reversing = {"name": "transpose", "configuration": {"order": [0]}}
    wanted = {
        "bitround": {"keepbits": 3},
        "cast_value": {"data_type": "int8"},
        "transpose": {"order": [0]},
        "sharding_indexed": {"chunk_shape": [1], "codecs": [{"name": "bytes"}]},
        "n5_default": {"codecs": [reversing, {"name": "bytes"}]},
        "conditional": {"codecs": [{"name": "gzip"}]},
        "reshape": {"shape": [-1]},
        "zfp": {"mode": "reversible"},
    }
    for name in codecs.names():
        document = {"name": name, "configuration": wanted.get(name, {})}
        assert codecs.from_v3(document, "").name == name


def test_names_alone_and_old_names():
    assert codecs.from_v3("crc32c", "") == codecs.Crc32cCodec()
    old = {"name": "endian", "configuration": {"endian": "big"}}
    assert codecs.from_v3(old, "") == codecs.BytesCodec(endian="big")
    assert codecs.from_v3({"name": "gzip", "must_understand": True}, "").level == 5


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (1, "^a: must be an object with a name, or a name, got 1"),
        ({}, "^a: the member 'name' is missing"),
        ({"name": 1}, r"^a\.name: must be a string, got 1"),
        ({"id": "gzip"}, r"^a\.id: unknown member; known members: name,"),
        ({"name": "gzip", "level": 1}, r"^a\.level: unknown member; known members: name, "),
        ({"name": "gzip", "configuration": [1]}, r"^a\.configuration: must be an object"),
        ({"name": "gzip", "configuration": None}, r"^a\.configuration: must be an object"),
        ({"name": "gzip", "configuration": {"mtime": 0}}, r"^a\.configuration\.mtime: .*level"),
        ({"name": "gzip", "configuration": {"level": 99}}, r"^a\.configuration\.level: must be"),
        ({"name": "gzip", "must_understand": 1}, r"^a\.must_understand: must be true or false"),
    ],
)
def test_wrong_documents_are_placed(document, says):
    with pytest.raises(MetadataError, match=says):
        codecs.from_v3(document, "a")


@pytest.mark.parametrize(
    "document", ["nope", {"name": "nope", "must_understand": False}, {"name": "os.path"}]
)
def test_unknown_codecs_are_refused_by_name(document):
    name = document if isinstance(document, str) else document["name"]
    says = f"^a: unknown codec '{name}'; install .* or register it with .*; known codecs: "
    with pytest.raises(UnknownCodecError, match=says):
        codecs.from_v3(document, "a")


@pytest.mark.parametrize("known", ["bz2", "lz4", "shuffle", "zlib", "delta", "fletcher32"])
def test_numcodecs_without_its_prefix_and_with_an_old_one(known):
    config = {"dtype": "<i4"} if known == "delta" else {}
    wanted = codecs.from_v3({"name": f"numcodecs.{known}", "configuration": config}, "a")
    with pytest.warns(ZarrUserWarning, match=rf"^a: is not a registered .* 'numcodecs.{known}'"):
        assert codecs.from_v3({"name": known, "configuration": config}, "a") == wanted
    old = {"name": f"https://zarr.dev/numcodecs/{known}", "configuration": config}
    assert codecs.from_v3(old, "a") == wanted
    assert wanted.to_dict()["name"] == f"numcodecs.{known}"


def test_parse_accepts_what_users_pass():
    codec = codecs.GzipCodec(level=1)
    assert codecs.parse(codec) is codec
    assert codecs.parse(codec.to_dict()) == codec
    assert codecs.parse("gzip") == codecs.GzipCodec()
    assert codecs.parse(numcodecs.GZip(1)) == codec
    assert codecs.parse(numcodecs.Zstd(2)) == codecs.ZstdCodec(level=2)
    assert codecs.parse(numcodecs.CRC32C()) == codecs.Crc32cCodec()
    assert codecs.parse(numcodecs.CRC32C("start")).name == "numcodecs.crc32c"
    blosc = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=2)
    assert codecs.parse(blosc) == codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
    assert codecs.parse(numcodecs.Delta("<i4")).name == "numcodecs.delta"
    assert codecs.parse(numcodecs.LZ4()).name == "numcodecs.lz4"
    assert codecs.parse({"id": "zlib", "level": 1}).to_v2() == {"id": "zlib", "level": 1}


def test_parse_takes_codecs_of_zarr_python():
    assert codecs.parse(zarr.codecs.GzipCodec(level=1)) == codecs.GzipCodec(level=1)
    assert codecs.parse(zarr.codecs.BytesCodec(endian="big")) == codecs.BytesCodec(endian="big")
    found = codecs.parse(zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle", typesize=4))
    assert found == codecs.BloscCodec(cname="lz4", shuffle="shuffle", typesize=4)
    # What was not given is derived from the data type, as there.
    assert codecs.parse(zarr.codecs.BloscCodec(cname="lz4")) == codecs.BloscCodec(cname="lz4")


@pytest.mark.parametrize("wrong", [None, 1, codecs.GzipCodec, numcodecs.GZip, ["gzip"]])
def test_parse_rejects_other_objects(wrong):
    with pytest.raises(MetadataError, match=r"^compressors: .* is not a codec"):
        codecs.parse(wrong, "compressors")


def test_an_own_codec_is_found_by_its_name():
    @dataclass(frozen=True, kw_only=True)
    class Inverted(BytesBytesCodec):
        name: ClassVar[str] = "example.inverted"
        mask: int = 255

        def encode(self, data):
            return bytes(byte ^ self.mask for byte in data)

    codecs.register_codec("example.inverted", Inverted)
    document = {"name": "example.inverted", "configuration": {"mask": 1}}
    assert codecs.from_v3(document, "").encode(b"\0") == b"\x01"
    assert codecs.parse("example.inverted").to_dict()["configuration"] == {"mask": 255}
    with pytest.raises(MetadataError, match=r"^a\.configuration\.other"):
        codecs.from_v3({"name": "example.inverted", "configuration": {"other": 1}}, "a")
    codecs.register_codec(Inverted)
    assert "example.inverted" in codecs.names()


def test_a_codec_of_numcodecs_is_registered_there(monkeypatch):
    class Same(numcodecs.abc.Codec):
        codec_id = "example.same"

        def encode(self, buf):
            return buf

        def decode(self, buf, out=None):  # noqa: ARG002  (required by the interface)
            return buf

    monkeypatch.setattr(numcodecs.registry, "codec_registry", dict(codecs.codec_registry))
    codecs.register_codec(Same)
    codecs.register_codec(Same, codec_id="example.other")
    codecs.register_codec(Same, "example.third")
    for name in ("example.same", "example.other", "example.third"):
        assert bytes(codecs.parse({"id": name}).decode(b"abc", 3)) == b"abc"
    with pytest.raises(TypeError, match="one codec class"):
        codecs.register_codec("example")


def test_the_names_of_zarr_python_are_here():
    for name in dir(zarr.codecs):
        found = getattr(zarr.codecs, name)
        if name in ("CastValue", "PCodec", "ScaleOffset", "ZFPY"):
            continue  # extensions whose codec does not exist here
        if isinstance(found, type) and found.__module__.startswith("zarr.codecs"):
            assert hasattr(codecs, name), name
    for cls in numcodecs.registry.codec_registry.values():
        if cls.__name__ in dir(numcodecs) and cls.__name__ not in ("PCodec", "ZFPY"):
            assert getattr(codecs, cls.__name__) is cls
    assert codecs.get_codec({"id": "zlib"}) == numcodecs.Zlib()
    with pytest.raises(AttributeError, match="Nope"):
        _ = codecs.Nope


def test_enumerations_equal_their_words():
    for name in ("BloscCname", "BloscShuffle", "Endian", "ShardingCodecIndexLocation"):
        for member in getattr(codecs, name):
            assert isinstance(member, Enum)
            assert member == member.value == getattr(zarr.codecs, name)[member.name].value
    assert BloscShuffle.from_int(2) == "bitshuffle"
    with pytest.raises(ValueError, match="0, 1 or 2"):
        BloscShuffle.from_int(3)


def test_the_wrappers_of_zarr_python_3():
    from fastzarr.codecs import numcodecs as wrappers

    assert wrappers.Delta(dtype="<i4").to_v2() == {"id": "delta", "dtype": "<i4"}
    assert wrappers.Zlib(level=1).name == "numcodecs.zlib"
    with pytest.raises(AttributeError, match="Nope"):
        _ = wrappers.Nope


def test_nothing_heavy_is_imported_with_the_codecs():
    code = (
        "import sys; from fastzarr import codecs; "
        "codecs.from_v3('blosc', ''), codecs.from_v3('zstd', ''), codecs.from_v3('gzip', ''); "
        "print([m for m in ('numcodecs', 'ml_dtypes', 'asyncio', 'pickle') if m in sys.modules and "
        "not m == 'pickle'])"
    )
    done = subprocess.run(  # noqa: S603  (this interpreter, a literal)
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_the_size_of_a_chunk(spec_of):
    assert spec_size(spec_of((2**40, 2**40), "i4")) == 2**82
    assert spec_size(spec_of((2,), "string")) is None
