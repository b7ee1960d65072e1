"""Arrays of an installed zarr-python that fastzarr reads and writes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import strategies
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from waits import join
from zarr.abc.codec import BytesBytesCodec
from zarr.registry import register_codec

import fastzarr
from fastzarr.zarr_python import FastzarrPipeline, enable


@pytest.fixture(autouse=True)
def _enabled():
    with enable():
        yield


def pipeline(array: Any) -> FastzarrPipeline:
    """Return the pipeline of an array of zarr-python."""
    found = array.async_array.codec_pipeline
    assert isinstance(found, FastzarrPipeline)
    return found


def by_fastzarr(array: Any) -> Any:
    """Return an array of zarr-python that fails where its own pipeline is used."""
    vars(pipeline(array))["other"] = None
    return array


def index_of(draw: Any, shape: tuple[int, ...]) -> tuple[str, Any]:
    """Draw a way to select and an index that both libraries understand."""
    way = draw(st.sampled_from(["basic", "oindex", "vindex"]))
    if way == "vindex":
        count = draw(st.integers(1, 5))
        places = [
            draw(st.lists(st.integers(0, size - 1), min_size=count, max_size=count))
            for size in shape
        ]
        return way, tuple(np.array(along, np.int64) for along in places)
    items: list[Any] = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        stop = draw(st.integers(start + 1, size))
        kinds: list[Any] = [
            st.integers(0, size - 1),
            st.builds(slice, st.just(start), st.just(stop), st.integers(1, 3)),
        ]
        if way == "oindex":
            kinds.append(st.lists(st.integers(0, size - 1), min_size=1, max_size=5).map(np.array))
        items.append(draw(st.one_of(kinds)))
    return way, tuple(items)


def numpy_index(way: str, array: Any, index: Any) -> tuple[Any, tuple[int, ...]]:
    """Return what selects the same from an array of NumPy, and the shape of the result."""
    if way == "oindex":
        return strategies.orthogonal_numpy(array, index)
    return index, np.shape(array[index])


@settings(max_examples=50)
@given(data=st.data())
def test_every_selection_is_read_and_written_as_by_numpy(data, tmp_path_factory):
    case = data.draw(strategies.cases())
    if not case.shape or 0 in case.shape:
        return
    folder = tmp_path_factory.mktemp("a")
    made = fastzarr.create_array(folder / "z", shape=case.shape, **case.options)
    values = np.arange(made.size).reshape(case.shape)
    values = values.astype(made.dtype) if made.dtype.kind != "M" else values.view("M8[ms]")
    if data.draw(st.booleans(), label="filled"):
        made[...] = values
    model = made[...]
    z = by_fastzarr(zarr.open_array(folder / "z"))
    for _ in range(3):
        way, index = index_of(data.draw, case.shape)
        place, shape = numpy_index(way, model, index)
        array = z if way == "basic" else getattr(z, way)
        found = np.asarray(array[index])
        np.testing.assert_array_equal(found, model[place].reshape(shape))
        assert found.dtype == model.dtype
        new = data.draw(st.sampled_from([values.flat[-1], np.flip(found)]), label="value")
        if np.shape(new) and np.unique(numbers(model.shape)[place]).size < found.size:
            continue  # which value an element gets that is written twice is not specified
        array[index] = new
        model[place] = np.broadcast_to(new, shape).reshape(model[place].shape)
    np.testing.assert_array_equal(z[...], model)
    np.testing.assert_array_equal(fastzarr.open(folder / "z")[...], model)


def numbers(shape: tuple[int, ...]) -> Any:
    """Return an array of different numbers."""
    return np.arange(np.prod(shape)).reshape(shape)


def test_an_array_that_has_grown_or_shrunk_is_read_and_written(tmp_path):
    z = zarr.create_array(tmp_path / "z", shape=(5, 4), chunks=(2, 3), dtype="i4", fill_value=-1)
    by_fastzarr(z)
    z[:] = 1
    z.append(np.full((4, 4), 2))
    assert z[:].tolist() == [[1] * 4] * 5 + [[2] * 4] * 4
    z.resize((3, 4))
    z.resize((6, 4))
    z[5] = 7
    assert z[:].tolist() == [[1] * 4] * 3 + [[1] * 4] + [[-1] * 4] + [[7] * 4]


def test_writers_that_share_chunks_lose_nothing(tmp_path):
    z = zarr.create_array(tmp_path / "z", shape=(64,), chunks=(64,), dtype="i8")
    rounds = 20
    begin = threading.Barrier(4, timeout=100)

    def write(first: int) -> None:
        mine = zarr.open_array(tmp_path / "z")
        begin.wait()
        for number in range(1, rounds + 1):
            mine[first::4] = number

    threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert z[:].tolist() == [rounds] * 64


def test_other_stores_are_left_to_zarr_python(tmp_path):
    class Mine(zarr.storage.LocalStore):
        reads = 0

        async def get(self, *args: Any, **kwargs: Any) -> Any:
            Mine.reads += 1
            return await super().get(*args, **kwargs)

    for store in ({}, zarr.storage.MemoryStore(), Mine(tmp_path)):
        z = zarr.create_array(store, shape=(4,), chunks=(2,), dtype="i4")
        z[1:] = 5
        assert z[:].tolist() == [0, 5, 5, 5]
    before = Mine.reads
    z[:]
    assert Mine.reads > before


@dataclass(frozen=True)
class Reverse(BytesBytesCodec):
    """A codec that another package has given to zarr-python."""

    is_fixed_size = True
    calls: ClassVar[list[str]] = []

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Reverse:
        del data
        return cls()

    def to_dict(self) -> dict[str, Any]:
        return {"name": "test.reverse"}

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        self.calls.append("decode")
        return await self._encode_single(chunk_data, chunk_spec)

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        del chunk_spec
        return type(chunk_data).from_bytes(chunk_data.to_bytes()[::-1])

    def compute_encoded_size(self, input_byte_length: int, _: Any) -> int:
        return input_byte_length


def test_codecs_of_other_packages_are_left_to_zarr_python(tmp_path):
    register_codec("test.reverse", Reverse)
    z = zarr.create_array(
        tmp_path, shape=(4,), chunks=(2,), dtype="u1", compressors=[Reverse()], filters=None
    )
    z[:] = [1, 2, 3, 4]
    assert (tmp_path / "c" / "0").read_bytes() == b"\x02\x01"
    assert z[:].tolist() == [1, 2, 3, 4]
    assert Reverse.calls


def test_strings_and_empty_chunks_are_those_of_zarr_python(tmp_path):
    z = zarr.create_array(tmp_path / "s", shape=(5,), chunks=(2,), dtype=str)
    by_fastzarr(z)
    z[:] = np.array(["a", "", "bcd", "e", "f"])
    assert z[1:].tolist() == ["", "bcd", "e", "f"]
    for keep in (False, True):
        config = {"write_empty_chunks": keep}
        z = zarr.create_array(
            tmp_path / f"e{keep}", shape=(4,), chunks=(2,), dtype="i4", config=config
        )
        by_fastzarr(z)
        z[:] = [0, 0, 1, 2]
        assert sorted(p.name for p in (tmp_path / f"e{keep}" / "c").iterdir()) == (
            ["0", "1"] if keep else ["1"]
        )


def test_a_damaged_chunk_is_an_error_that_names_it(tmp_path):
    z = zarr.create_array(tmp_path / "z", shape=(4,), chunks=(2,), dtype="i4")
    by_fastzarr(z)
    z[:] = 1
    (tmp_path / "z" / "c" / "1").write_bytes(b"no")
    with pytest.raises(fastzarr.errors.ChunkError, match="c/1"):
        z[:]
    assert z[:2].tolist() == [1, 1]


def test_what_is_read_tells_which_chunks_are_missing(tmp_path):
    z = zarr.create_array(tmp_path / "z", shape=(6,), chunks=(2,), dtype="i4", fill_value=9)
    z[2:4] = 1
    found: list[Any] = []
    real = FastzarrPipeline.read

    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(await real(self, *args, **kwargs))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastzarrPipeline, "read", read)
        assert z[:].tolist() == [9, 9, 1, 1, 9, 9]
    assert [entry["status"] for entry in found[0]] == ["missing", "present", "missing"]


def test_arrays_are_pickled_with_their_pipeline(tmp_path):
    z = zarr.create_array(tmp_path / "z", shape=(4,), chunks=(2,), dtype="i4")
    z[:] = 3
    again = by_fastzarr(pickle.loads(pickle.dumps(z)))
    assert again[1:3].tolist() == [3, 3]


def test_zarr_python_finds_the_pipeline_by_its_name(tmp_path):
    program = (
        "import zarr\n"
        "path = 'fastzarr.zarr_python.FastzarrPipeline'\n"
        "zarr.config.set({'codec_pipeline.path': path})\n"
        f"z = zarr.create_array({str(tmp_path / 'z')!r}, shape=(2,), dtype='i4')\n"
        "z[:] = 5\n"
        "print(type(z._async_array.codec_pipeline).__name__, z[:].tolist())\n"
    )
    done = subprocess.run(  # noqa: S603  (Python itself)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "FastzarrPipeline [5, 5]"
