"""Archives that are damaged, truncated or hostile: errors, and never a wrong or missing value."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.errors import ArchiveError, BaseZarrError, ZarrRuntimeWarning
from fastzarr.native import crc32
from fastzarr.storage import StorePath, ZipStore
from fastzarr.stores.zip import format as zf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = np.arange(1, 13, dtype="i2")
#: What reading may raise.
ERRORS = (BaseZarrError, OSError)


def made(*, method: int = 0, parts: int = 3) -> bytes:
    """Return an archive of an array that was written in parts, each with a directory."""
    held = io.BytesIO()
    store = ZipStore(held, method)
    z = zarr.create_array(store, shape=12, chunks=2, dtype="i2", compressors=None, fill_value=0)
    for part in range(parts):
        some = slice(part * 12 // parts, (part + 1) * 12 // parts)
        z[some] = VALUES[some]
        store.flush()
    return held.getvalue()


def by_others() -> bytes:
    """Return the same array in an archive that the standard library has written."""
    held = io.BytesIO()
    with (
        zipfile.ZipFile(held, "w") as archive,
        ZipStore(io.BytesIO(made()), mode="r") as store,
    ):
        for key in ("zarr.json", *(f"c/{i}" for i in range(6))):
            archive.writestr(key, store[key])
    return held.getvalue()


def check(raw: bytes, path: Path | None = None) -> None:
    """Read an archive, which must give the values or an error."""
    held: Any = io.BytesIO(raw)
    if path is not None:
        path.write_bytes(raw)
        held = path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrRuntimeWarning)
        try:
            z = zarr.open_array(ZipStore(held, mode="r"), mode="r")
            if (z.shape, z.dtype, z.chunks, z.fill_value) != ((12,), np.dtype("i2"), (2,), 0):
                return  # the document was changed, for which no reader has a checksum
        except ERRORS:
            return
        for start in range(0, 12, 2):
            with suppress(*ERRORS):
                part = z[start : start + 2]
                np.testing.assert_array_equal(part, VALUES[start : start + 2])


@pytest.mark.parametrize("make", [made, by_others])
def test_a_truncated_archive_has_no_fill_values(make: Any, tmp_path: Path) -> None:
    """Wherever an archive ends, what was lost is an error."""
    whole = make()
    for size in range(0, len(whole), 2):
        check(whole[:size], None if size % 7 else tmp_path / "a.zip")


@pytest.mark.parametrize("make", [made, by_others, lambda: made(method=8)])
def test_a_flipped_bit_is_no_value(make: Any) -> None:
    """Wherever a bit is flipped, every value that is read is right."""
    whole = make()
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        check(bytes(damaged))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=8)), max_size=4),
    st.integers(0, 4000),
    st.sampled_from([made(), by_others(), made(method=8)]),
)
def test_any_damage_is_an_error(cuts: list[tuple[int, bytes]], end: int, whole: bytes) -> None:
    """Whatever was overwritten or cut off in two places, every value that is read is right."""
    damaged = bytearray(whole)
    end //= 8
    cuts = cuts[: 1 if end else 2]
    for at, new in cuts:
        damaged[at : at + len(new)] = new
    check(bytes(damaged[: len(damaged) - end]))


def test_a_damaged_chunk_is_an_error_of_the_chunk(tmp_path: Path) -> None:
    """A checksum that differs is an error that names the chunk, in both paths of the data."""
    path = tmp_path / "a.zip"
    raw = bytearray(made())
    raw[raw.index(VALUES[4:6].tobytes())] ^= 1
    path.write_bytes(raw)
    for data_path in ("native", "numpy"):
        with zarr.config.set({"data_path": data_path}):
            z = zarr.open_array(path, mode="r")
            for selection in (slice(4, 6), slice(None), [4]):
                with pytest.raises(BaseZarrError, match=r"chunk \(2,\)(.|\n)*CRC-32"):
                    z[selection]
            np.testing.assert_array_equal(z[:4], VALUES[:4])


def test_a_header_of_another_member_is_an_error(tmp_path: Path) -> None:
    """An entry whose header has another name is an error, in both paths of the data."""
    raw = by_others()
    path = tmp_path / "a.zip"
    path.write_bytes(raw.replace(b"PK\3\4", b"PK\3\4", 1).replace(b"c/3", b"c/8", 1))
    for data_path in ("native", "numpy"):
        with zarr.config.set({"data_path": data_path}):
            z = zarr.open_array(path, mode="r")
            with pytest.raises(BaseZarrError, match=r"chunk \(3,\)(.|\n)*local header"):
                z[:]


def test_a_chunk_whose_name_was_damaged_is_not_missing(tmp_path: Path) -> None:
    """A chunk is only missing if no member could be it."""
    raw = by_others()
    at = raw.rindex(b"c/3")
    path = tmp_path / "a.zip"
    path.write_bytes(raw[:at] + b"c/7" + raw[at + 3 :])
    with pytest.raises(BaseZarrError, match="local header differs"):
        zarr.open_array(path, mode="r")[6:8]


def test_a_missing_chunk_is_a_fill_value(tmp_path: Path) -> None:
    """Chunks that were never written read as fill values, whoever wrote the archive."""
    path = tmp_path / "a.zip"
    zarr.create_array(path, shape=4, chunks=2, dtype="i2", fill_value=7)[:2] = 1
    assert zarr.open_array(path, mode="r")[:].tolist() == [1, 1, 7, 7]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert zarr.open_array(tmp_path / "b.zip", mode="r")[:].tolist() == [1, 1, 7, 7]


def test_a_truncated_archive_is_read_with_a_warning_and_not_written(tmp_path: Path) -> None:
    """What remains of a truncated archive is read, and never changed."""
    path = tmp_path / "a.zip"
    raw = by_others()
    path.write_bytes(raw[: raw.index(b"c/5")])
    with pytest.warns(ZarrRuntimeWarning, match=r"a\.zip.*truncated"):
        z = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(z[:8], VALUES[:8])
    with pytest.raises(BaseZarrError, match=r"c/5(.|\n)*lost"):
        z[:]
    before = path.read_bytes()
    with pytest.warns(ZarrRuntimeWarning), pytest.raises(ArchiveError, match="damaged"):
        ZipStore(path).set("a", b"1")
    assert path.read_bytes() == before


def archive(*members: tuple[str, bytes], method: int = 0, **more: Any) -> bytes:
    """Return an archive that the standard library has written."""
    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w", method, **more) as made_here:
        warnings.simplefilter("ignore")
        for name, value in members:
            made_here.writestr(name, value)
    return held.getvalue()


def opened(raw: bytes) -> ZipStore:
    """Return the store of an archive."""
    return ZipStore(io.BytesIO(raw), mode="r")


def test_the_last_of_several_members_with_one_name_counts() -> None:
    """Of duplicates, the last one in the directory is read."""
    store = opened(archive(("a", b"1"), ("b", b"2"), ("a", b"3")))
    assert dict(store) == {"a": b"3", "b": b"2"}


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a/../b", "./a", "a\\b", "C:\\a", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """An archive with an invalid name is refused as a whole."""
    raw = archive(("n" * len(name), b"1")).replace(b"n" * len(name), name.encode())
    with pytest.raises(ArchiveError, match="invalid name"):
        opened(raw)


def test_folders_and_leftovers_are_no_keys() -> None:
    """Entries of folders are ignored, and so are those of writes that were not finished."""
    raw = archive(("a/", b""), ("a/b", b"1"), ("a/.12.fastzarr-tmp", b"2"))
    assert dict(opened(raw)) == {"a/b": b"1"}


def test_overlapping_members_are_refused() -> None:
    """Several entries for the same bytes, as in a zip bomb, are refused."""
    raw = bytearray(archive(("a", b"1" * 50), ("b", b"2" * 50)))
    second = raw.rindex(b"PK\1\2")
    raw[second + 42 : second + 46] = struct.pack("<L", 0)
    with pytest.raises(ArchiveError, match="overlap"):
        opened(bytes(raw))


def test_an_encrypted_member_is_refused_by_name() -> None:
    """Encrypted members raise an error; the others are read."""
    raw = bytearray(archive(("a", b"1"), ("secret", b"2")))
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    store = opened(bytes(raw))
    assert store["a"] == b"1"
    with pytest.raises(ArchiveError, match=r"'secret'.*encrypted"):
        store.get("secret")


def test_an_unknown_method_is_refused_by_name() -> None:
    """A member of another method raises an error that names it."""
    raw = bytearray(archive(("a", b"1")))
    for at, inside in ((0, 8), (raw.index(b"PK\1\2"), 10)):
        raw[at + inside] = 97
    with pytest.raises(ArchiveError, match=r"'a'.*method 97"):
        opened(bytes(raw)).get("a")


@pytest.mark.parametrize("method", [8, 12, 14])
def test_a_bomb_is_refused(method: int) -> None:
    """A member that states or has more bytes than it may is refused before it takes memory."""
    store = opened(archive(("a", bytes(1 << 20)), method=method))
    assert store["a"] == bytes(1 << 20)
    for stated, match in ((1 << 33, "limit"), (1000, "another size"), (1 << 21, "another size")):
        raw = bytearray(archive(("a", bytes(1 << 20)), method=method))
        sizes = [(0, 22), (raw.index(b"PK\1\2"), 24)]
        for at, inside in sizes:
            raw[at + inside : at + inside + 4] = struct.pack("<L", min(stated, 0xFFFFFFF0))
        with pytest.raises(ArchiveError, match=match):
            opened(bytes(raw)).get("a")


def test_a_chunk_is_not_decompressed_beyond_its_size(tmp_path: Path) -> None:
    """A chunk that would be larger than an array allows is refused before it is decompressed."""
    path = tmp_path / "a.zip"
    z = zarr.create_array(ZipStore(path, 8), shape=4, chunks=4, dtype="u1", compressors=None)
    z.store.set("c/0", bytes((64 << 20) + 1))
    z.store.close()
    with pytest.raises(BaseZarrError, match=r"67108865.*bytes"):
        zarr.open_array(path, mode="r")[:]


def test_the_fields_of_zip64() -> None:
    """Members that use the fields of zip64 without need are read, and large ones are written."""
    held = io.BytesIO()
    with (
        zipfile.ZipFile(held, "w") as made_here,
        made_here.open("a", "w", force_zip64=True) as file,
    ):
        file.write(b"123")
    assert opened(held.getvalue())["a"] == b"123"


def test_an_archive_beyond_4_gib(tmp_path: Path) -> None:
    """Offsets beyond 4 GiB are read and written, with and without the other tools."""
    path = tmp_path / "a.zip"
    size = (4 << 30) + 5
    with zipfile.ZipFile(path, "w") as made_here:
        made_here.writestr("a", b"1")
    # A member of 4 GiB whose data is a hole in the file.
    hole = b"hole"
    with path.open("r+b") as file:
        file.truncate(0)
        extra = struct.pack("<2H2Q", 1, 16, size, size)
        file.write(
            struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, 4, 20)
        )
        file.write(hole + extra)
        start = file.tell() + size
        file.seek(start)
        record = struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            45,
            45,
            0,
            0,
            0,
            33,
            0,
            2**32 - 1,
            2**32 - 1,
            4,
            20,
            0,
            0,
            0,
            0,
            0,
        )
        file.write(record + hole + extra)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 70, start))
        file.write(struct.pack("<4sLQL", b"PK\6\7", 0, start + 70, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 70, 2**32 - 1, 0))
    store = ZipStore(path)
    assert store.getsize("hole") == size
    assert store.get_ranges("hole", [(-3, None), (size - 9, 2)]) == [bytes(3), bytes(2)]
    store["a"] = b"behind"
    store.close()
    with zipfile.ZipFile(path) as again:
        assert again.namelist() == ["hole", "a"]
        assert again.read("a") == b"behind"
        assert again.getinfo("hole").file_size == size
    store = ZipStore(path)
    assert store["a"] == b"behind"
    del store["hole"]
    store.compact()
    assert path.stat().st_size < 1000
    assert dict(store) == {"a": b"behind"}


def test_a_directory_that_is_not_the_one_that_was_written(tmp_path: Path) -> None:
    """A directory whose checksum differs from that in the first record is damaged."""
    path = tmp_path / "a.zip"
    raw = bytearray(made())
    raw[raw.rindex(b"c/1") + 2] ^= 8
    path.write_bytes(raw)
    with pytest.warns(ZarrRuntimeWarning, match="damaged"):
        store = ZipStore(path, mode="r")
    with pytest.raises(BaseZarrError, match="lost"):
        zarr.open_array(store, mode="r")[:]


def test_an_archive_behind_other_bytes() -> None:
    """An archive that follows other bytes, as one that extracts itself, is read and written."""
    held = io.BytesIO(b"#!/bin/sh\n" * 20 + by_others())
    store = ZipStore(held)
    np.testing.assert_array_equal(zarr.open_array(store)[:], VALUES)
    store["more"] = b"1"
    store.close()
    with zipfile.ZipFile(held) as found:
        assert found.testzip() is None
        assert found.read("more") == b"1"


def test_a_file_that_becomes_shorter_while_it_is_open(tmp_path: Path) -> None:
    """A file that another program truncates is an error, in both paths of the data."""
    path = tmp_path / "a.zip"
    for data_path in ("native", "numpy"):
        path.write_bytes(made())
        with zarr.config.set({"data_path": data_path}):
            z = zarr.open_array(path, mode="r")
            with path.open("r+b") as file:
                file.truncate(300)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ZarrRuntimeWarning)
                with pytest.raises(ERRORS):
                    z[:]


def tails(raw: bytes) -> Iterator[bytes]:
    """Return what an incomplete upload leaves."""
    return (raw[:size] for size in itertools.chain(range(0, len(raw), 97), [len(raw) - 1]))


def test_an_archive_elsewhere_is_not_recovered() -> None:
    """A remote archive without a directory at its end is an error that says so."""
    for raw in tails(by_others()):
        held = zarr.storage.MemoryStore({"a.zip": raw})
        if not raw:
            continue
        with pytest.raises(ArchiveError, match="incomplete"):
            ZipStore(StorePath(held, "a.zip"))


def test_checksums_are_those_of_the_standard_library(tmp_path: Path) -> None:
    """The checksum that is written is the CRC-32 of the value."""
    with ZipStore(tmp_path / "a.zip", 8) as store:
        store["a"] = b"123" * 100
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert zlib.crc32(b"123" * 100) == found.getinfo("a").CRC


def test_a_value_that_is_an_archive_is_not_the_archive(tmp_path: Path) -> None:
    """Before the directory is written, the file ends with that of the value."""
    path, copy = tmp_path / "a.zip", tmp_path / "b.zip"
    expected = {"a": b"1"}
    with ZipStore(path) as store:
        store["a"] = b"1"
        for number, value in enumerate((archive(("x", b"2")), made(), by_others())):
            key = f"v{number}"
            store[key] = expected[key] = value
            copy.write_bytes(path.read_bytes())
            assert dict(ZipStore(path, mode="r")) == expected
            with pytest.raises(ArchiveError, match="does not end with a directory"):
                opened_elsewhere(copy.read_bytes())
            with ZipStore(copy) as other:
                other["b"] = b"3"
            with ZipStore(copy, mode="r") as other:
                assert dict(other) == {**expected, "b": b"3"}
            if number == 1:
                store.flush()


def opened_elsewhere(raw: bytes) -> ZipStore:
    """Return the store of an archive that is a value of another store."""
    return ZipStore(StorePath(zarr.MemoryStore({"a.zip": raw}), "a.zip"))


def _entries(raw: bytes) -> Any:
    """Return what is found in a directory, or the error."""
    ending = zf.find_ending(raw, len(raw))
    assert ending is not None
    hidden: list[zf.Entry] = []
    folders: list[zf.Entry] = []
    try:
        directory = raw[ending.start : ending.start + ending.size]
        found: Any = zf.read_directory(directory, ending, hidden, folders)
    except ArchiveError as error:
        return str(error)
    slots = (*zf.Entry.__slots__, "in_place")
    return (
        {key: ([getattr(one, name) for name in slots], one.place()) for key, one in found.items()},
        len(hidden),
        len(folders),
    )


@pytest.mark.parametrize(
    "raw",
    [
        by_others(),
        made(method=8),
        archive(),
        archive(("a/", b""), ("a/b", b"1")),
        archive(("a", b"1"), ("a", b"2")),
        archive(("\u00e4", b"1"), ("a.b/..c/d..", b"2"), (" ", b"")),
        archive(("x" * 255, b"1")),
        archive(("x" * 256, b"1")),
        archive(("a/.12.fastzarr-tmp", b"2"), ("b", b"1")),
        *(
            archive((name, b"1"), ("c", b"2"))
            for name in ("../a", "/a", "a//b", "./a", "a/.", "a\nb")
        ),
    ],
)
def test_a_directory_is_the_same_in_both_paths(raw: bytes) -> None:
    """The extension reads what the twin in Python reads, and refuses what that refuses."""
    last = raw.rfind(b"PK\1\2")
    for at in (None, *((last + at for at in (0, 8, 20, 28, 34, 42)) if last >= 0 else ())):
        changed = bytearray(raw)
        if at is not None:
            changed[at] ^= 0x41
        both = []
        for data_path in ("native", "numpy"):
            with zarr.config.set({"data_path": data_path}):
                both.append(_entries(bytes(changed)))
        assert both[0] == both[1]


@given(st.binary(max_size=100), st.integers(0, 40_000))
def test_checksums_of_any_size(part: bytes, more: int) -> None:
    """The extension computes the checksums of the standard library."""
    for value in (part, memoryview(part + bytes(more))[1:]):
        assert crc32(value) == zlib.crc32(value)


def test_what_a_power_cut_leaves_behind_the_directory_does_not_count(tmp_path: Path) -> None:
    """Zeros in the place of changes that were not synced are removed by the next writer."""
    path = tmp_path / "a.zip"
    for behind in (bytes(100), b"PK\3\4", bytes(5000)):
        path.write_bytes(made() + behind)
        np.testing.assert_array_equal(zarr.open_array(path, mode="r")[:], VALUES)
        z = zarr.open_array(path, mode="r+")
        z[0] = 9
        z.store.close()
        with zipfile.ZipFile(path) as found:
            assert found.testzip() is None
        assert zarr.open_array(path, mode="r")[:].tolist() == [9, *VALUES[1:]]
