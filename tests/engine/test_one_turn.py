"""A turn at a chunk ends exactly once, however the write ends."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ChunkError
from fastzarr.stores import MappingStore

BOXES = [np.s_[:], np.s_[1:-1]]


class Locks:
    """A synchronizer that records its locks, and fails when one is released."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken: list[str] = []
        self.released: list[str] = []
        self.fails = False

    def __getitem__(self, key: str) -> Any:
        return _Lock(self, key)


class _Lock:
    def __init__(self, locks: Locks, key: str) -> None:
        self.locks, self.key = locks, key

    def __enter__(self) -> None:
        with self.locks.lock:
            self.locks.taken.append(self.key)

    def __exit__(self, *_: object) -> None:
        with self.locks.lock:
            self.locks.released.append(self.key)
        if self.locks.fails:
            msg = "not released"
            raise OSError(msg)


class Refusing(dict[str, bytes]):
    """A mapping that refuses some values."""

    refused = ""

    def __setitem__(self, key: str, value: bytes) -> None:
        if key == self.refused:
            msg = "no room"
            raise OSError(msg)
        super().__setitem__(key, value)


@pytest.fixture
def made() -> tuple[Refusing, Locks, Any]:
    values, locks = Refusing(), Locks()
    store = MappingStore(values)
    zarr.create_array(store, name="a", shape=(6, 4), chunks=(2, 4), dtype="i4", compressors=None)
    array = zarr.open_array(store, path="a", mode="r+", synchronizer=locks)
    array[...] = 1
    assert locks.taken
    locks.taken.clear()
    locks.released.clear()
    return values, locks, array


@pytest.mark.parametrize("box", BOXES, ids=["whole", "parts"])
def test_each_lock_is_released_once(made: tuple[Refusing, Locks, Any], box: Any) -> None:
    _, locks, array = made
    array[box] = 2
    assert sorted(locks.taken) == sorted(locks.released) == sorted(set(locks.taken))
    assert len(locks.taken) == 3
    assert (array[box] == 2).all()


@pytest.mark.parametrize("box", BOXES, ids=["whole", "parts"])
def test_a_lock_is_released_once_if_its_chunk_cannot_be_stored(
    made: tuple[Refusing, Locks, Any], box: Any
) -> None:
    values, locks, array = made
    values.refused = "a/c/0/0"
    with pytest.raises(ChunkError, match=r"no room") as caught:
        array[box] = 2
    assert caught.value.chunk == (0, 0)
    assert sorted(locks.taken) == sorted(locks.released) == sorted(set(locks.taken))


@pytest.mark.parametrize("refused", ["", "a/c/0/0"])
@pytest.mark.parametrize("box", BOXES, ids=["whole", "parts"])
def test_a_lock_whose_release_fails_is_an_error_and_not_released_again(
    made: tuple[Refusing, Locks, Any], box: Any, refused: str
) -> None:
    values, locks, array = made
    values.refused, locks.fails = refused, True
    with pytest.raises(ChunkError, match=r"not released|no room"):
        array[box] = 2
    assert sorted(locks.taken) == sorted(locks.released) == sorted(set(locks.taken))
