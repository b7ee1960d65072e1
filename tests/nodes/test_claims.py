"""Claims of documents: what readers see of them, and what becomes of those that are left."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.nodes.claims import Claim, mark_of
from fastzarr.stores import MemoryStore, stopping

from .test_meeting_servers import Server, Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENTS = {2: "a/.zarray", 3: "a/zarr.json"}


@pytest.fixture(params=[2, 3])
def array(request: pytest.FixtureRequest) -> Any:
    store = Shared(Server())
    return zarr.create_array(
        store,
        name="a",
        data=np.arange(10, dtype="i4"),
        chunks=4,
        zarr_format=request.param,
        compressors=None,
    )


def again(array: Any) -> Any:
    """Return the array as another process has it."""
    return zarr.open_array(Shared(array.store.server), path="a", mode="r+")


def document(array: Any) -> bytes:
    found: bytes = array.store.server.values[DOCUMENTS[array.metadata.zarr_format]][0]
    return found


def during(array: Any, key: str, action: Callable[[], object]) -> None:
    """Call a function once, before the next request that changes a key."""
    done = []

    def on(verb: str, name: str) -> None:
        if verb in ("set", "swap", "delete") and name.endswith(key) and not done:
            done.append(name)
            action()

    array.store.on = on


def test_readers_see_the_shape_when_all_rows_are_written(array: Any) -> None:
    seen = []
    chunk = "a/c/3" if array.metadata.zarr_format == 3 else "a/3"

    def look() -> None:
        found = zarr.open_array(MemoryStore({k: v for k, (v, _) in values.items()}), path="a")
        seen.append((found.shape, found[:].tolist(), mark_of(document(array)) != b""))

    values = array.store.server.values
    during(array, chunk, look)
    array.append(np.arange(10, 20))
    assert seen == [((10,), list(range(10)), True)]
    assert again(array)[:].tolist() == list(range(20))
    assert not mark_of(document(array))


def test_a_claim_is_white_space_that_readers_of_json_do_not_see(array: Any) -> None:
    found = []
    during(array, "3", lambda: found.append(document(array)))
    before = document(array)
    array.append(np.arange(10))
    assert found[0].startswith(before)
    assert not found[0][len(before) :].strip()
    assert json.loads(found[0]) == json.loads(before)


def test_attributes_that_are_set_meanwhile_are_kept_and_so_is_the_claim(array: Any) -> None:
    writes = []
    other = again(array)
    during(array, "3", lambda: other.attrs.update(x=1))
    array.store.server.values = Counting(array.store.server.values, writes)
    assert array.append(np.arange(10, 20)) == (20,)
    assert again(array)[:].tolist() == list(range(20))
    assert dict(again(array).attrs) == {"x": 1}
    # Nothing was written twice.
    chunks = [key for key in writes if not key.endswith((".zarray", ".zattrs", "zarr.json"))]
    assert len(chunks) == len(set(chunks)) == 3


class Counting(dict[str, Any]):
    """A dict that notes what is stored."""

    def __init__(self, values: dict[str, Any], writes: list[str]) -> None:
        super().__init__(values)
        self.writes = writes

    def __setitem__(self, key: str, value: Any) -> None:
        self.writes.append(key)
        super().__setitem__(key, value)


def test_a_claim_that_was_removed_by_another_program_is_taken_anew(array: Any) -> None:
    other = again(array)

    def rewrite() -> None:
        # As by a program that does not know of claims, which then appends.
        key = DOCUMENTS[array.metadata.zarr_format]
        other.store.set(key, document(array).rstrip())
        other.append([70, 71])

    during(array, "3", rewrite)
    # In order: what is written after the claim was removed cannot be told from a later write.
    with config.set({"threading.max_workers": 1, "fetch.concurrency": 1}):
        assert array.append(np.arange(100, 110)) == (22,)
    assert again(array)[:].tolist() == [*range(10), 70, 71, *range(100, 110)]


def test_the_claim_of_a_dead_writer_is_taken_when_it_has_lasted(
    array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Claim(again(array).store, DOCUMENTS[array.metadata.zarr_format])
    dead.__enter__()
    now, waits = [1000.0], []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        assert document(array).endswith(dead.mark)
        now[0] += 10

    monkeypatch.setattr(stopping, "pause", pause)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    assert array.append([10]) == (11,)
    assert len(waits) == dead.seconds // 10 == 15
    assert not mark_of(document(array))
    # Its writer, if it was only slow, does not publish.
    assert not dead.owns(document(array))


def test_a_claim_is_renewed_while_chunks_are_written(
    array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, marks, published = [1000.0], set(), []

    def on(verb: str, key: str) -> None:
        if verb in ("set", "swap"):
            now[0] += 20
            if key == DOCUMENTS[array.metadata.zarr_format]:
                published.append(key)
            marks.add(mark_of(document(array)))

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    array.store.on = on
    with zarr.config.set({"threading.max_workers": 1, "fetch.concurrency": 1}):
        assert array.append(np.arange(10, 50)) == (50,)
    array.store.on = lambda *_: None
    assert again(array)[:].tolist() == list(range(50))
    # The document without one, and the claim in some versions of one name.
    assert len(marks) > 4
    assert len({mark[:65] for mark in marks if mark}) == 1
    assert not mark_of(document(array))


@contextmanager
def failing(store: Any, when: Callable[[str, str], bool]) -> Iterator[None]:
    """Let the calls of a store fail that a function of the verb and the key chooses."""

    def fail(verb: str, key: str) -> None:
        if when(verb, key):
            msg = "no route"
            raise OSError(msg)

    store.on = fail
    try:
        yield
    finally:
        store.on = lambda *_: None


def stores_a_chunk(verb: str, key: str) -> bool:
    return verb in ("set", "swap") and key.endswith("3")


def test_a_claim_is_given_back_if_a_chunk_cannot_be_stored(array: Any) -> None:
    with failing(array.store, stores_a_chunk), pytest.raises(OSError, match="no route"):
        array.append(np.arange(10))
    assert not mark_of(document(array))
    assert again(array).shape == (10,)
    array.resize(20)
    assert again(array)[10:].tolist() == [0] * 10


def test_a_claim_is_given_back_after_ctrl_c(array: Any) -> None:
    during(array, "3", lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            array.append(np.arange(10))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not mark_of(document(array))
    assert again(array).shape == (10,)


def test_a_process_does_not_wait_for_a_claim_that_it_could_not_give_back(
    array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()

    def breaks(verb: str, key: str) -> bool:
        if stores_a_chunk(verb, key):
            broken.set()
        return broken.is_set()

    with failing(array.store, breaks), pytest.raises(OSError, match="no route"):
        array.append(np.arange(10))
    assert mark_of(document(array))
    monkeypatch.setattr(stopping, "pause", lambda _: pytest.fail("it waits"))
    assert array.append([10]) == (11,)
    assert again(array)[:].tolist() == list(range(11))


def test_a_process_does_not_wait_for_a_claim_that_it_has_renewed_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Losing(Shared):
        lost = False

        def swap(self, key: str, value: Any, token: Any) -> bool:
            done = super().swap(key, value, token)
            if self.lost:
                msg = "no answer"
                raise OSError(msg)
            return done

    store = Losing(Server())
    array = zarr.create_array(store, name="a", data=np.arange(10), chunks=4)
    claim = Claim(store, DOCUMENTS[3])

    def renew() -> None:
        with claim:
            store.lost, claim.since = True, -1e9
            claim.check()

    def looks(verb: str, _: str) -> bool:
        return verb == "get" and mark_of(document(array)) != claim.mark

    with failing(store, looks), pytest.raises(OSError, match="no answer"):
        renew()
    store.lost = False
    # It was renewed, and could not be given back.
    assert mark_of(document(array)) not in {b"", claim.mark}
    monkeypatch.setattr(stopping, "pause", lambda _: pytest.fail("it waits"))
    assert array.append([10]) == (11,)
    assert not mark_of(document(array))
