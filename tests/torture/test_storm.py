"""The effects of concurrent writers, power cuts, interrupts and forks.

These are short versions of ``make torture``. Most also run on zarr-python, because a proof that the
control passes would show nothing.
"""

from __future__ import annotations

import random
import sys
from platform import machine
from typing import TYPE_CHECKING, Any

import pytest
from servers import mongo as mongo_server
from servers import redis as redis_server
from torture import (
    cloud,
    contention,
    databases,
    forks,
    interrupts,
    linear,
    power,
    stale,
    synchronizers,
)
from torture.contention import CONTROL, Setting
from torture.crew import Crew, CrewError, folder
from torture.disk import Disk
from torture.linear import Event, Operation
from torture.verdict import total

from fastzarr.stores import WrapperStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 4
traced = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)
# What does not hold yet, and why it is left out until it does.
PENDING: dict[str, str] = {}


def pending(name: str) -> None:
    """Skip a test that cannot pass yet, with the reason."""
    if name in PENDING:
        pytest.skip(PENDING[name])


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(contention.PROCESSES) as made:
        yield made


@pytest.fixture
def base() -> Iterator[Path]:
    with folder() as path:
        yield path


# Contention


@pytest.mark.parametrize("setting", contention.SETTINGS, ids=lambda setting: setting.label)
def test_writers_of_parts_of_a_chunk_lose_nothing(setting: Setting, crew: Any, base: Path) -> None:
    count, bad = contention.elements(crew, setting, base / "z", contention.CHUNK * 48, 1, SEED)
    assert count > 200
    assert not bad


def test_the_control_loses_parts_of_chunks(crew: Any, base: Path) -> None:
    size = contention.CHUNK * 16
    assert contention.elements(crew, contention.CONTROLS[0], base / "z", size, 1, SEED)[1]


@pytest.mark.parametrize(
    "setting", [Setting(), Setting(shards=2), Setting(data_path="numpy")], ids=lambda s: s.label
)
def test_threads_lose_nothing_in_memory(setting: Setting, crew: Any) -> None:
    given = [(setting, contention.CHUNK * 64, 1, SEED + n) for n in range(contention.PROCESSES)]
    assert total(crew.results(contention.elements_in_memory, given))[1] == 0


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_no_attribute_is_lost(zarr_format: int, crew: Any, base: Path) -> None:
    setting = Setting(zarr_format=zarr_format)
    assert contention.attributes(crew, setting, base, nodes=2, count=20) == (200, 0)


def test_the_control_loses_attributes(crew: Any, base: Path) -> None:
    assert contention.attributes(crew, Setting(CONTROL), base, nodes=2, count=20)[1]


@pytest.mark.parametrize("setting", contention.SETTINGS[::2], ids=lambda setting: setting.label)
def test_no_append_is_lost(setting: Setting, crew: Any, base: Path) -> None:
    pending("appends")
    assert contention.appends(crew, setting, base / "z", 10) == (40, 0)


def test_of_several_writers_exactly_one_creates_a_node(base: Path) -> None:
    pending("creations")
    with Crew(8) as many:
        for zarr_format in (2, 3):
            place = base / str(zarr_format)
            setting = Setting(zarr_format=zarr_format)
            assert contention.creations(many, 8, setting, place, 12) == (12, 0)


# The same with objects of an S3 server


def test_writers_of_parts_of_an_object_lose_nothing(crew: Any, s3: Any) -> None:
    assert cloud.elements(crew, "fastzarr", s3, cloud.CHUNK * 3, 1, shards=2) == (192, 0)


def test_the_control_loses_parts_of_objects(crew: Any, s3: Any) -> None:
    assert cloud.elements(crew, CONTROL, s3, cloud.CHUNK * 2, 1)[1]


def test_no_append_to_objects_is_lost(crew: Any, s3: Any) -> None:
    assert cloud.appends(crew, "fastzarr", s3, 8) == (32, 0)


def test_no_append_beside_a_shrink_of_objects_is_lost(crew: Any, s3: Any) -> None:
    count, bad = cloud.shrinks(crew, "fastzarr", s3, 3)
    assert (count, bad) == (54, 0)


def test_no_attribute_of_an_object_is_lost(crew: Any, s3: Any) -> None:
    assert cloud.attributes(crew, "fastzarr", s3, 6) == (24, 0)


def test_of_several_writers_of_objects_exactly_one_creates_a_node(crew: Any, s3: Any) -> None:
    assert cloud.creations(crew, "fastzarr", s3, 5) == (5, 0)


@pytest.fixture(params=["sqlite", "lmdb", "redis", "mongo"])
def place(request: Any, tmp_path: Path) -> Any:
    """Return what the processes share in a database."""
    if request.param in ("sqlite", "lmdb"):
        return databases.File(request.param, str(tmp_path / "a"))
    port = request.getfixturevalue(request.param)["port"]
    return redis_server.Prefix(port) if request.param == "redis" else mongo_server.Collection(port)


def test_writers_of_parts_of_a_value_in_a_database_lose_nothing(crew: Any, place: Any) -> None:
    assert cloud.elements(crew, "fastzarr", place, cloud.CHUNK * 4, 1) == (256, 0)


def test_threads_that_write_parts_of_a_value_in_dbm_lose_nothing(tmp_path: Path) -> None:
    place = databases.File("dbm", str(tmp_path / "a.dbm"))
    assert databases.elements(place, 1) == (1024, 0)


def test_nothing_else_in_a_database_is_lost(crew: Any, place: Any) -> None:
    store = WrapperStore(place.store("fastzarr"))
    for name, count in (("appends", (20, 0)), ("attributes", (20, 0)), ("creations", (5, 0))):
        assert getattr(cloud, name)(crew, "fastzarr", place, 5) == count, name
        store.clear()


def test_no_update_whose_reply_is_lost_is_lost_or_doubled(crew: Any, s3: Any, proxy: Any) -> None:
    found, losses = cloud.lost_replies(crew, proxy, s3, 12)
    assert found == (48, 0)
    assert losses > 10


@pytest.mark.parametrize("data_path", ["native", "numpy"])
def test_a_synchronizer_keeps_processes_apart_in_any_store(
    data_path: str, crew: Any, base: Path
) -> None:
    size = contention.CHUNK * 16
    count, bad = synchronizers.updates(
        crew, base, size, SEED, synchronized=True, data_path=data_path
    )
    assert count > 50
    assert not bad


@pytest.mark.parametrize("setting", stale.SETTINGS, ids=lambda setting: setting.label)
def test_a_stale_handle_undoes_nothing(setting: Setting, base: Path) -> None:
    assert stale.matrix(setting, base, 25, SEED) == (25, 0)


def test_a_stale_handle_of_another_process_undoes_nothing(base: Path) -> None:
    with Crew(2) as two:
        assert stale.matrix(Setting(), base, 15, SEED, two) == (15, 0)


def test_stale_handles_of_the_control_undo(crew: Any, base: Path) -> None:
    given = [(Setting(CONTROL), base / str(n), 10, SEED) for n in range(contention.PROCESSES)]
    assert total(crew.results(stale.matrix, given))[1]


def test_a_crew_reports_what_a_task_raised(crew: Any) -> None:
    with pytest.raises(CrewError, match="ZeroDivisionError"):
        crew.results(divmod, [(1, 0)] * contention.PROCESSES)


# Linearizability


def event(asked: int, answered: int, value: int | None, found: int | None = None) -> Event:
    """Return an event of a register of one element."""
    return Event(asked, answered, Operation(0, 1, value), None if found is None else (found,))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([event(0, 1, 1), event(2, 3, None, 1)], True),
        ([event(0, 1, 1), event(2, 3, None, 0)], False),
        # While a write is under way, a reader sees either; once it was seen, it stays.
        ([event(0, 9, 1), event(2, 3, None, 0), event(4, 5, None, 1)], True),
        ([event(0, 9, 1), event(2, 3, None, 1), event(4, 5, None, 0)], False),
        # Two writes at once, in one order for all.
        ([event(0, 5, 1), event(1, 6, 2), event(7, 8, None, 1), event(9, 10, None, 1)], True),
        ([event(0, 5, 1), event(1, 6, 2), event(7, 8, None, 1), event(9, 10, None, 2)], False),
    ],
)
def test_the_search_recognises_linearizable_histories(
    history: list[Event], *, expected: bool
) -> None:
    for _ in range(5):
        random.Random(SEED).shuffle(history)
        assert linear.is_linearizable(history, (0,)) == expected


@pytest.mark.parametrize("setting", linear.SETTINGS, ids=lambda setting: setting.label)
def test_histories_of_a_chunk_are_linearizable(setting: Setting, base: Path) -> None:
    with Crew(linear.WORKERS) as three:
        assert linear.by_processes(three, setting, base / "z", 40, SEED) == (40, 0)


def test_histories_in_memory_are_linearizable() -> None:
    assert linear.by_threads(Setting(), 60, SEED) == (60, 0)


# Power


def call(kind: str, path: str = "", **members: Any) -> dict[str, Any]:
    """Return a call of a trace."""
    found = {"kind": kind, "path": path, "to": "", "ino": 0, "dir": 0, "flags": 0, "result": 0}
    return found | members


WRITTEN = [
    call("mkdir", "d", ino=1),
    call("open", "d/new", ino=2, flags=0o101),
    call("write", "d/new", ino=2, offset=0, data=b"x" * 200),
]
SYNC = call("fsync", "d/new", ino=2)
RENAME = call("rename", "d/new", to="d/name", ino=2)
FOLDERS = [call("fsync", "d", ino=1, dir=1), call("syncfs", "d")]


def found(calls: list[dict[str, Any]], old: bytes | None = None) -> set[Any]:
    """Return the possible contents of ``d/name`` after a power cut: bytes, or None."""
    disk = Disk()
    if old is not None:
        disk.follow(
            [
                call("mkdir", "d", ino=1),
                call("open", "d/name", ino=9, flags=0o101),
                call("write", "d/name", ino=9, offset=0, data=old),
                call("sync"),
            ]
        )
        calls = calls[1:]
    disk.follow(calls)
    rng = random.Random(SEED)
    trees: list[Any] = [disk.after(rng) for _ in range(400)]
    return {tree.get("d", {}).get("name") for tree in trees}


def test_a_rename_without_sync_may_lose_both_values() -> None:
    values = found([*WRITTEN, RENAME], old=b"old")
    assert {b"old", b"", b"x" * 200, bytes(200)} < values
    assert None not in values


def test_data_that_is_synced_before_its_rename_is_old_or_new() -> None:
    assert found([*WRITTEN, SYNC, RENAME], old=b"old") == {b"old", b"x" * 200}


@pytest.mark.parametrize("last", FOLDERS)
def test_a_synced_folder_keeps_its_names(last: dict[str, Any]) -> None:
    assert found([*WRITTEN, SYNC, RENAME, last], old=b"old") == {b"x" * 200}


def test_a_new_folder_is_lost_if_that_above_it_is_not_synced() -> None:
    assert found([*WRITTEN, SYNC, RENAME, FOLDERS[0]]) == {None, b"x" * 200}


def test_names_come_to_the_disk_in_their_order() -> None:
    disk = Disk()
    disk.follow([call("mkdir", str(n), ino=n + 1) for n in range(5)])
    rng = random.Random(SEED)
    states = {tuple(sorted(disk.after(rng))) for _ in range(200)}
    assert states == {tuple("01234"[:n]) for n in range(6)}


def test_a_rename_between_folders_is_at_one_of_its_places() -> None:
    disk = Disk()
    disk.follow([*WRITTEN, call("mkdir", "e", ino=5), call("sync")])
    disk.follow([call("rename", "d/new", to="e/moved", ino=2)])
    rng = random.Random(SEED)
    states = {(len(t["d"]), len(t["e"])) for t in (disk.after(rng) for _ in range(100))}
    assert states == {(1, 0), (0, 1)}
    disk.follow([call("fsync", "e", ino=5, dir=1)])
    assert {len(disk.after(rng)["d"]) for _ in range(50)} == {0}


def test_exchanged_folders_keep_their_contents() -> None:
    disk = Disk()
    disk.follow([*WRITTEN, call("mkdir", "e", ino=5), call("sync")])
    disk.follow([call("rename", "d", to="e", ino=1, flags=2)])
    rng = random.Random(SEED)
    states = {(len(t["d"]), len(t["e"])) for t in (disk.after(rng) for _ in range(100))}
    assert states == {(1, 0), (0, 1)}


@traced
@pytest.mark.parametrize("durability", ["replace", "full"])
def test_acknowledged_data_survives_a_power_cut(durability: str) -> None:
    pending("power")
    settings = [power.Setting(durability=durability, **layout) for layout in power.LAYOUTS]
    with Crew(len(settings)) as forking:  # processes without threads of their own
        given = [([setting], 200, SEED) for setting in settings]
        for count, bad in forking.results(power.try_all, given):
            assert count == 200
            assert not bad, bad[:3]


@traced
def test_the_control_loses_the_replaced_value() -> None:
    with Crew(1) as forking:
        given = ([power.Setting(CONTROL)], 100, SEED, ["values replaced"])
        assert forking.results(power.try_all, [given])[0][1]


# Interrupts, forks, endings


@pytest.mark.parametrize("setting", interrupts.SETTINGS[:4], ids=lambda setting: setting.label)
def test_nothing_is_written_after_an_interrupt(setting: Setting, base: Path) -> None:
    tally = interrupts.interrupt(setting, base, 4, SEED)
    assert tally.interrupts == 4
    assert not tally.bad
    assert not tally.strays


def test_children_of_a_process_with_busy_threads_work_and_end(base: Path) -> None:
    with Crew(1) as one:
        given = (Setting(), str(base / "z"), 60, 60)
        assert one.results(forks.fork_among_threads, [given]) == [
            {"hung": 0, "failed": 0, "lost": 0, "wrong": 0, "forks": 60}
        ]


def test_programs_end_quietly_whatever_still_runs(base: Path) -> None:
    assert forks.endings(base, len(forks.ENDINGS)) == (len(forks.ENDINGS), [])
