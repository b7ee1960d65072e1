"""Running plans: errors name the chunk, and only a missing chunk reads as fill values."""

from __future__ import annotations

import errno
import os
import pickle
import re
import tracemalloc
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import wait_for

import fastzarr
from fastzarr import errors
from fastzarr.codecs import BytesCodec, ShardingCodec
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path")


class Failing(MemoryStore):
    """A store that raises an error when one key is read or written."""

    def __init__(self, key: str, error: Exception, *, verb: str = "get") -> None:
        super().__init__()
        self.key, self.error, self.verb = key, error, verb
        self.armed = False

    def _get(self, key: str) -> Any:
        if self.armed and self.verb == "get" and key == self.key:
            raise self.error
        return super()._get(key)

    def _set(self, key: str, value: Any) -> None:
        if self.armed and self.verb == "set" and key == self.key:
            raise self.error
        super()._set(key, value)


def _array(store: Any, **options: Any) -> fastzarr.Array:
    options = {"shape": (4, 6), "chunks": (2, 3), "dtype": "i4", "name": "a/b"} | options
    z = fastzarr.create_array(store, **options)
    z[...] = np.arange(24).reshape(4, 6) + 1
    return z


@pytest.mark.parametrize(
    "code", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE, errno.ENOSPC]
)
@pytest.mark.parametrize("verb", ["get", "set"])
def test_a_failing_store_is_an_error_that_names_the_chunk(code: int, verb: str) -> None:
    store = Failing("a/b/c/1/0", OSError(code, os.strerror(code)), verb=verb)
    z = _array(store)
    store.armed = True
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        _ = z[...] if verb == "get" else z.__setitem__(..., 7)
    error = caught.value
    assert isinstance(error, errors.ChunkIOError)
    assert error.errno == code
    assert (error.array, error.key, error.chunk) == ("a/b", "a/b/c/1/0", (1, 0))
    assert error.stage == ("fetch" if verb == "get" else "store")
    assert "array '/a/b', chunk (1, 0), key 'a/b/c/1/0'" in str(error)


class Tight(MemoryStore):
    """A store with room for one chunk that is being stored; a second one finds it full."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code, self.room, self.refused = code, Lock(), Event()
        self.armed = False

    def _set(self, key: str, value: Any) -> None:
        if not self.armed:
            super()._set(key, value)
        elif self.room.acquire(blocking=False):
            try:
                wait_for(self.refused)  # so that two threads do meet here
                super()._set(key, value)
            finally:
                self.room.release()
        else:
            self.refused.set()
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT])
def test_threads_that_together_run_out_go_on_one_after_the_other(code: int) -> None:
    store = Tight(code)
    values = np.arange(1, 1 + (1 << 19), dtype="i4").reshape(8, -1)
    z = fastzarr.create_array(store, shape=values.shape, chunks=(1, 1 << 16), dtype="i4")
    z[...] = -values
    store.armed = True
    with fastzarr.config.set({"data_path": "numpy", "threading.max_workers": 4}):
        z[...] = values
    assert store.refused.is_set()
    assert np.array_equal(z[...], values)


def test_any_other_failure_of_a_store_names_the_chunk_too() -> None:
    store = Failing("a/b/c/1/0", RuntimeError("the wire is cut"))
    z = _array(store)
    store.armed = True
    with pytest.raises(
        errors.ChunkError, match=r"chunk \(1, 0\).*stage fetch: RuntimeError: the wire"
    ):
        _ = z[...]


def test_a_folder_in_place_of_a_chunk_is_an_error_and_not_a_fill_value(tmp_path: Any) -> None:
    z = fastzarr.create_array(tmp_path, shape=(4,), chunks=(2,), dtype="i4")
    (tmp_path / "c" / "0").mkdir(parents=True)
    with pytest.raises(OSError, match=r"chunk \(0,\), key 'c/0', stage fetch"):
        _ = z[:]


@pytest.mark.parametrize("keep", [0, 1, 7, -1])
@pytest.mark.parametrize(
    "options", [{}, {"shards": (4, 6)}, {"zarr_format": 2}, {"compressors": None}]
)
def test_a_truncated_chunk_is_an_error_that_names_it(keep: int, options: dict[str, Any]) -> None:
    z = _array(MemoryStore(), **options)
    key = next(
        k for k in z.store.list() if not k.endswith(("json", ".zarray", ".zattrs", ".zgroup"))
    )
    z.store.set(key, z.store[key][:keep])
    with pytest.raises(errors.ChunkError, match="array '/a/b'") as caught:
        _ = z[...]
    assert caught.value.key == key


def test_a_flipped_bit_in_a_default_array_of_format_3_always_raises() -> None:
    z = _array(MemoryStore())
    key = "a/b/c/0/0"
    good = z.store[key]
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        z.store.set(key, bytes(bad))
        with pytest.raises(errors.ChunkError, match="crc32c"):
            _ = z[0, 0]


def test_a_missing_chunk_is_an_error_if_configured() -> None:
    z = _array(MemoryStore())
    z.store.delete("a/b/c/1/1")
    assert z[3, 5] == 0
    strict = z.with_config({"read_missing_chunks": False})
    with pytest.raises(errors.ChunkNotFoundError, match=r"chunk \(1, 1\), key 'a/b/c/1/1'"):
        _ = strict[...]
    with fastzarr.config.set({"array.read_missing_chunks": False}):
        opened = fastzarr.open_array(z.store, path="a/b")
    with pytest.raises(errors.ChunkNotFoundError):
        _ = opened[...]


@pytest.mark.parametrize("kind", ["memory", "local", "four verbs"])
def test_the_error_of_a_missing_inner_chunk_names_it(kind: str, tmp_path: Path) -> None:
    class Store(MemoryStore):
        """A store of a class outside the package."""

    store = {"memory": MemoryStore, "four verbs": Store}.get(kind, lambda: LocalStore(tmp_path))()
    words: dict[str, Any] = {"shape": (8, 8), "dtype": "i4", "shards": (4, 4), "chunks": (2, 2)}
    z = fastzarr.create_array(store, name="a", config={"read_missing_chunks": False}, **words)
    z[:2, :2] = 1
    z[4:, 4:] = 1
    assert (z[:2, :2] == 1).all()
    for index, inner in (((0, 3), "(0, 1)"), ((slice(2, 4), slice(2)), "(1, 0)")):
        message = re.escape(
            f"inner chunk {inner} is not in the shard; set read_missing_chunks=True"
        )
        with pytest.raises(errors.ChunkNotFoundError, match=message) as caught:
            _ = z[index]
        assert caught.value.key == "a/c/0/0"
        assert caught.value.chunk == (0, 0)
    with pytest.raises(errors.ChunkNotFoundError, match=r"inner chunk .* is not in the shard"):
        _ = z[:4, :4]
    for index in ((0, 5), (slice(4), slice(4, 8))):
        with pytest.raises(
            errors.ChunkNotFoundError, match="the chunk is not in the store"
        ) as caught:
            _ = z[index]
        assert caught.value.key == "a/c/0/1"
    assert (z.with_config({"read_missing_chunks": True})[0, 2:] == 0).all()


def test_a_missing_chunk_of_a_shard_in_a_shard_is_named_with_both() -> None:
    inner = ShardingCodec(chunk_shape=(1,), codecs=(BytesCodec(),))
    words: dict[str, Any] = {"shape": 8, "dtype": "i4", "shards": 8, "chunks": 4}
    z = fastzarr.create_array(
        {}, serializer=inner, compressors=None, config={"read_missing_chunks": False}, **words
    )
    z[1] = 1
    message = r"inner chunk \(0,\): inner chunk \(2,\) is not in the shard"
    with pytest.raises(errors.ChunkNotFoundError, match=message):
        _ = z[2]
    with pytest.raises(errors.ChunkNotFoundError, match=r"'c/0'.*: inner chunk \(1,\) is not in"):
        _ = z[5]


GZIP = {"name": "gzip", "configuration": {"level": 1}}
TRANSPOSE = {"name": "transpose", "configuration": {"order": [1, 0]}}
DELTA = {"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}


@pytest.mark.parametrize("before", [[], [TRANSPOSE]], ids=["plain", "transposed"])
@pytest.mark.parametrize("after", [[GZIP], ["crc32c", GZIP]], ids=["gzip", "two"])
def test_a_missing_chunk_of_a_compressed_shard_is_an_error_too(
    before: list[Any], after: list[Any]
) -> None:
    sharding = ShardingCodec(chunk_shape=(2, 2), codecs=(BytesCodec(),))
    words: dict[str, Any] = {"codecs": [*before, sharding, *after]}
    z = fastzarr.create(shape=(8, 8), chunks=(4, 4), dtype="i4", store={}, **words)
    z[:2, :2] = 1
    z[0:2, 2:4] = 2
    assert (z[:4, :4] == [[1, 1, 2, 2]] * 2 + [[0] * 4] * 2).all()
    strict = z.with_config({"read_missing_chunks": False})
    assert (strict[:2, :4] == [1, 1, 2, 2]).all()
    message = r"key 'c/0/0'.*: inner chunk \((1, 0|0, 1)\) is not in the shard; set read_missing"
    for index in ((slice(4), slice(2)), (3, 0), slice(4)):
        with pytest.raises(errors.ChunkNotFoundError, match=message):
            _ = strict[index]
    with pytest.raises(errors.ChunkNotFoundError, match="the chunk is not in the store"):
        _ = strict[0, 7]


@pytest.mark.parametrize("after", [[], [GZIP]], ids=["plain", "gzip"])
def test_a_missing_chunk_of_a_shard_after_a_filter_is_an_error_too(after: list[Any]) -> None:
    sharding = ShardingCodec(chunk_shape=(2,), codecs=(BytesCodec(),))
    chain = [DELTA, sharding, *after]
    z = fastzarr.create(shape=8, chunks=8, dtype="i4", store={}, codecs=chain)
    z[:] = [1, 2, 3, 3, 3, 3, 4, 5]
    assert z[:].tolist() == [1, 2, 3, 3, 3, 3, 4, 5]
    strict = z.with_config({"read_missing_chunks": False})
    # The differences at 4 and 5 are zero, and all later values depend on them.
    with pytest.raises(errors.ChunkNotFoundError, match=r"inner chunk \(2,\) is not in the shard"):
        _ = strict[6]


def test_a_missing_chunk_of_a_compressed_shard_in_a_shard_is_named_with_both() -> None:
    nested = ShardingCodec(chunk_shape=(1,), codecs=(BytesCodec(),))
    outer = ShardingCodec(chunk_shape=(4,), codecs=(nested, GZIP))
    for after in ([], [GZIP]):
        z = fastzarr.create(shape=8, chunks=8, dtype="i4", store={}, codecs=[outer, *after])
        z[1] = 1
        assert z[:].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
        strict = z.with_config({"read_missing_chunks": False})
        assert strict[1] == 1
        message = r"inner chunk \(0,\): inner chunk \(2,\) is not in the shard"
        with pytest.raises(errors.ChunkNotFoundError, match=message):
            _ = strict[2]
        with pytest.raises(errors.ChunkNotFoundError, match=r": inner chunk \(1,\) is not in"):
            _ = strict[5]


def test_chunk_errors_survive_pickling() -> None:
    for kind in (errors.ChunkError, errors.ChunkIOError, errors.ChunkNotFoundError):
        error = kind("what", "a", "a/c/0", (0,), "fetch")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.chunk) == (kind, str(error), (0,))


def test_a_value_that_cannot_be_cast_touches_no_chunk() -> None:
    z = _array(MemoryStore())
    before = dict(z.store.items())
    for value in ("text", 2**40, [1, 2, "x"], np.ones(5), object()):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            z[...] = value
    assert dict(z.store.items()) == before


def test_a_store_that_overrides_get_is_read_through_it() -> None:
    asked = []

    class Counting(MemoryStore):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    z = _array(Counting())
    asked.clear()
    _ = z[0:2, 0:3]
    assert asked == ["a/b/c/0/0"]


def test_one_element_reads_one_chunk_and_of_a_shard_only_its_parts(tmp_path: Any) -> None:
    sizes = []

    class Counting(LocalStore):
        def _get(self, key: str) -> Any:
            data = super()._get(key)
            sizes.append(len(data or b""))
            return data

        def _get_ranges(self, key: str, ranges: Any) -> Any:
            found = super()._get_ranges(key, ranges)
            sizes.append(sum(map(len, found or [])))
            return found

    z = fastzarr.create_array(
        Counting(tmp_path),
        shape=(64, 64),
        shards=(64, 64),
        chunks=(8, 8),
        dtype="f8",
        compressors=None,
    )
    z[...] = np.random.default_rng(0).random((64, 64))
    sizes.clear()
    _ = z[9, 9]
    assert sizes == [64 * 16 + 4, 8 * 8 * 8]


@pytest.mark.parametrize("chunks", [(256, 128, 128), (32, 128, 128)], ids=["chunk", "shard"])
@pytest.mark.parametrize("write", [False, True])
def test_a_mask_of_many_elements_of_one_chunk_takes_a_few_times_its_memory(
    chunks: tuple[int, ...], write: bool, tmp_path: Path
) -> None:
    shape = (256, 128, 128)
    shards = None if chunks == shape else shape
    old = np.arange(1 << 22, dtype="i4").reshape(shape)
    z = fastzarr.create_array(tmp_path, data=old, chunks=chunks, shards=shards)
    mask = np.random.default_rng(0).random(shape) < 0.5
    values = old[mask] + 1
    tracemalloc.start()
    try:
        if write:
            z.vindex[mask] = values
        else:
            found = z.vindex[mask]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * (mask.nbytes + values.nbytes)
    if write:
        old[mask] += 1
        np.testing.assert_array_equal(z[...], old)
    else:
        np.testing.assert_array_equal(found, old[mask])


def test_a_large_mask_changes_each_chunk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastzarr.selection.factors.MANY", 8)
    monkeypatch.setattr("fastzarr.engine.run.MANY", 8)
    written: list[str] = []

    class Counting(MemoryStore):
        def _set(self, key: str, value: Any) -> None:
            written.append(key)
            super()._set(key, value)

    z = fastzarr.create_array(Counting(), shape=(64, 64), chunks=(32, 64), dtype="i4")
    old = np.arange(64 * 64, dtype="i4").reshape(64, 64)
    z[...] = old
    mask = np.random.default_rng(0).random((64, 64)) < 0.7
    written.clear()
    z.vindex[mask] = -1
    assert sorted(written) == ["c/0/0", "c/1/0"]
    old[mask] = -1
    np.testing.assert_array_equal(z[...], old)
    # One axis has a mask, and the other has points.
    z.oindex[mask[0], [5, 1, 5]] = np.array([[1, 2, 3]])
    old[np.ix_(mask[0], [5, 1, 5])] = [[1, 2, 3]]
    np.testing.assert_array_equal(z[...], old)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_file_with_a_hole_takes_no_memory(zarr_format: int, tmp_path: Path) -> None:
    z = fastzarr.create_array(
        tmp_path, shape=8, chunks=4, dtype="i4", zarr_format=zarr_format, compressors=None
    )
    z[...] = 1
    first = tmp_path / ("0" if zarr_format == 2 else "c/0")
    with first.open("r+b") as file:
        file.truncate(1 << 28)
    tracemalloc.start()
    try:
        with pytest.raises(errors.ChunkError, match="bytes"):
            z[:2]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert z[4:].tolist() == [1] * 4
    z[:4] = 2
    assert z[...].tolist() == [2] * 4 + [1] * 4
