"""The blosc codec: agreement with numcodecs, members from the data type, and false headers."""

from __future__ import annotations

import copy
import pickle
import struct
from dataclasses import replace

import numcodecs
import numpy as np
import pytest

from fastzarr.codecs.blosc import CNAMES, SHUFFLES, BloscCodec
from fastzarr.codecs.enums import BloscCname, BloscShuffle
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

ARRAY = (np.arange(4000, dtype="<i4") ** 2) % 1000
DATA = ARRAY.tobytes()
BUILT = [name for name in CNAMES if name in numcodecs.blosc.list_compressors()]


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("cname", BUILT)
def test_agrees_with_numcodecs(cname, shuffle):
    codec = BloscCodec(cname=cname, shuffle=shuffle, typesize=4)
    other = numcodecs.Blosc(cname=cname, clevel=5, shuffle=SHUFFLES.index(shuffle))
    assert codec.encode(DATA) == other.encode(ARRAY)
    assert codec.decode(other.encode(ARRAY), len(DATA)) == DATA
    assert other.decode(codec.encode(np.frombuffer(DATA, "u1"))) == DATA


def test_all_compressors_are_built_in_but_snappy():
    # numcodecs is built without snappy: reading such data raises an error and returns no garbage.
    assert set(CNAMES) - set(BUILT) <= {"snappy"}
    for cname in set(CNAMES) - set(BUILT):
        with pytest.raises(CodecError, match="blosc"):
            BloscCodec(cname=cname).encode(DATA)


@pytest.mark.parametrize("clevel", [0, 1, 9])
@pytest.mark.parametrize("data", [b"", b"a", bytes(100_000), DATA])
def test_round_trip(clevel, data):
    codec = BloscCodec(clevel=clevel, typesize=4, shuffle="shuffle")
    assert codec.decode(memoryview(codec.encode(data)), len(data)) == data
    assert codec.decode(codec.encode(data), None) == data


@pytest.mark.parametrize(
    ("dtype", "typesize", "shuffle"),
    [
        ("u1", 1, "bitshuffle"),
        ("<f8", 8, "shuffle"),
        ("c16", 16, "shuffle"),
        ("S300", 300, "shuffle"),
        ("string", 1, "noshuffle"),
    ],
)
def test_the_data_type_determines_open_parameters(dtype, typesize, shuffle, spec_of):
    codec = BloscCodec().resolve(spec_of((2,), dtype))
    assert (codec.typesize, codec.shuffle) == (typesize, shuffle)
    assert codec.decode(codec.encode(DATA), len(DATA)) == DATA
    named = BloscCodec(typesize=2, shuffle="noshuffle")
    assert named.resolve(spec_of((2,), dtype)) == named


def test_open_parameters_have_values_and_stay_open(spec_of):
    codec = BloscCodec()
    assert (codec.typesize, codec.shuffle) == (1, "bitshuffle")
    assert codec.derived == {"typesize", "shuffle"}
    assert codec != BloscCodec(typesize=1, shuffle="bitshuffle")
    assert codec.to_dict()["configuration"].keys() == {"cname", "clevel", "blocksize"}
    spec = spec_of((2,), "<f8")
    for same in (replace(codec, clevel=9), pickle.loads(pickle.dumps(codec)), copy.copy(codec)):
        assert same.derived == codec.derived
        assert (same.resolve(spec).typesize, same.resolve(spec).shuffle) == (8, "shuffle")
    half = replace(codec, typesize=1)
    assert half.derived == {"shuffle"}
    assert (half.resolve(spec).typesize, half.resolve(spec).shuffle) == (1, "bitshuffle")
    assert BloscCodec(typesize=4).encode(DATA) == BloscCodec(typesize=4, shuffle=1).encode(DATA)


def header(data, **changes):
    names = ("version", "lz", "flags", "typesize", "nbytes", "blocksize", "cbytes")
    fields = dict(zip(names, struct.unpack_from("<BBBBIII", data), strict=True)) | changes
    return struct.pack("<BBBBIII", *fields.values()) + data[16:]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nbytes": 2**31}, "expected 16000 decoded bytes, but the header states 2147483648"),
        ({"nbytes": 15999}, "expected 16000 decoded bytes, but the header states 15999"),
        ({"nbytes": 0}, "expected 16000 decoded bytes, but the header states 0"),
        ({"cbytes": 17}, "header states 17 bytes of data, found"),
        ({"cbytes": 0}, "header states 0 bytes of data, found"),
        ({"blocksize": 0}, "block size 0 for 16000"),
        ({"blocksize": 16001}, "block size 16001 for 16000"),
        ({"blocksize": 2**32 - 1}, "block size 4294967295 for 16000"),
        ({"typesize": 0}, "type size 0"),
        ({"version": 0}, "version 0"),
        ({"version": 1}, "version 1"),
        ({"version": 5}, "version 5"),
        ({"flags": 0x29}, "flags 0x29"),
        ({"flags": 0x25}, "flags 0x25"),
        ({"flags": 0x02}, "expected 16000 stored bytes"),
    ],
)
def test_a_lying_header_is_found_before_the_decoder_runs(changes, says):
    data = header(BloscCodec(typesize=4, shuffle="shuffle").encode(DATA), **changes)
    with pytest.raises(CodecError, match=says):
        BloscCodec().decode(data, len(DATA))


@pytest.mark.parametrize(
    "changes", [{"version": 0}, {"version": 1}, {"flags": 0x3B}, {"flags": 0x37}, {"cbytes": 20}]
)
def test_a_damaged_header_of_no_bytes_is_an_error(changes):
    # What it decodes to would be taken for the elements that a smaller block of N5 lacks.
    data = BloscCodec().encode(b"")
    assert BloscCodec().decode(data, 0) == b""
    with pytest.raises(CodecError):
        BloscCodec().decode(header(data, **changes), 0)
    padding = bytes(changes.get("cbytes", 16) - 16)
    with pytest.raises(CodecError):
        BloscCodec().decode(header(data, **changes) + padding, None)


def test_an_unknown_size_is_bounded():
    data = header(BloscCodec().encode(DATA), nbytes=2**31)
    with config.set({"limits.chunk_bytes": 2**20}), pytest.raises(CodecError, match="limits"):
        BloscCodec().decode(data, None)


@pytest.mark.parametrize("cname", BUILT)
@pytest.mark.parametrize("clevel", [0, 5])
def test_damage_never_changes_the_size(cname, clevel, damaged):
    data = bytes(range(64)) + bytes(100)
    codec = BloscCodec(cname=cname, clevel=clevel, typesize=4, shuffle="shuffle")
    for _, wrong in damaged(codec.encode(data)):
        try:
            assert len(codec.decode(wrong, len(data))) == len(data)
        except CodecError as error:
            assert "blosc" in str(error)  # noqa: PT017


def test_a_match_length_that_overflows_is_refused():
    # blosclz: one block, with a literal run and then a match of unlimited length.
    run = b"\xff" * 9_000_000
    body = struct.pack("<I", 20) + struct.pack("<I", len(run) + 3) + b"\x00a\xe0" + run
    data = header(bytes(16) + body, version=2, lz=1, flags=0x10, typesize=1, nbytes=2**24)
    data = header(data, blocksize=2**24, cbytes=len(data))
    with pytest.raises(CodecError, match="match longer than"):
        BloscCodec().decode(data, 2**24)


def test_truncated_header_gives_the_sizes():
    with pytest.raises(CodecError, match="header of 16 bytes, found 15"):
        BloscCodec().decode(bytes(15), 1)


def test_metadata(spec_of):
    codec = BloscCodec(cname=BloscCname.lz4, shuffle=BloscShuffle.shuffle)
    assert codec == BloscCodec(cname="lz4", shuffle=1)
    assert codec.resolve(spec_of((1,), "f4")).to_dict() == {
        "name": "blosc",
        "configuration": {
            "typesize": 4,
            "cname": "lz4",
            "clevel": 5,
            "shuffle": "shuffle",
            "blocksize": 0,
        },
    }
    assert codec.to_v2() == numcodecs.Blosc().get_config()
    assert BloscCodec(shuffle=-1) == BloscCodec()
    assert BloscCodec().to_v2()["shuffle"] == -1


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("cname", "lzma"),
        ("cname", None),
        ("clevel", 10),
        ("clevel", 5.0),
        ("clevel", True),
        ("shuffle", "byte"),
        ("shuffle", 3),
        ("shuffle", True),
        ("typesize", 0),
        ("typesize", "4"),
        ("blocksize", -1),
        ("speed", 1),
    ],
)
def test_wrong_members_are_placed(member, wrong):
    with pytest.raises(MetadataError, match=rf"^x\.{member}: "):
        BloscCodec.from_config({member: wrong}, "x")
