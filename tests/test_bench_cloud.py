"""The rows about object stores count the requests of the timed work, and reject wrong results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from servers.s3 import KEY, REGION, SECRET

from bench.base import WrongError
from bench.cloud import table
from bench.cloud.conduct import CloudCell, CloudConductor, Run
from bench.cloud.data import Cloud, Stored
from bench.cloud.engines import load
from bench.cloud.engines.client import entry, key, one_shard, runs, touched
from bench.cloud.rows import ROWS, CloudRow, Read, Work
from bench.cloud.worker import Worker
from bench.data import Layout

SCALE = 100
BY_NAME = {row.name: row for row in ROWS}


@pytest.fixture
def cloud(s3, proxy, tmp_path):
    options = {"region": REGION, "access_key_id": KEY, "secret_access_key": SECRET}
    return Cloud(tmp_path, s3.bucket, s3.endpoint, proxy.url, options, SCALE)


@pytest.mark.parametrize(
    ("engine", "name", "requests"),
    [
        ("client", "cloud-open", {"GET": 1}),
        ("client", "cloud-none", {"GET": 5}),
        ("client", "cloud-small", {"GET": 20}),
        ("client", "cloud-members", {"GET": 102}),
        ("client", "cloud-cut", {"GET": 20, "PUT": 20}),
        ("client", "cloud-append", {"PUT": 20}),
        ("fastzarr", "cloud-open", {"GET": 1}),
        ("fastzarr", "cloud-zstd", {"GET": 5}),
        ("fastzarr", "cloud-none", {"GET": 5}),
        ("fastzarr", "cloud-small", {"GET": 20}),
        ("fastzarr", "cloud-consolidated", {"GET": 1}),
        ("fastzarr", "cloud-members", {"GET": 102}),
    ],
)
def test_no_more_requests_are_made_than_are_needed(cloud, proxy, engine, name, requests):
    row = BY_NAME[name]
    cloud.prepare(row.data)
    worker = Worker(row.work(load(engine), cloud, row.data))
    assert worker.check()["version"]
    assert worker.prepare() == {}
    proxy.forget()
    assert worker.run()["seconds"] > 0
    assert proxy.methods() == requests


def test_results_of_a_library_are_compared_before_they_are_timed(cloud):
    row = BY_NAME["cloud-none"]
    cloud.prepare(row.data)
    worker = Worker(row.work(load("zarr-obstore"), cloud, row.data))
    with pytest.raises(WrongError, match="timed before it was checked"):
        worker.run()
    worker.check()
    values = cloud.values(row.data) + (np.arange(5) == 3)[:, None, None].astype("f4")
    np.save(cloud.root / f"{row.data}.npy", values)
    with pytest.raises(WrongError, match="131072 of 655360 values differ"):
        worker.check()


@pytest.mark.parametrize("name", ["cloud-cut", "cloud-append"])
def test_what_a_library_writes_is_read_again(cloud, name):
    row = BY_NAME[name]
    worker = Worker(row.work(load("zarr-obstore"), cloud, row.data))
    worker.check()
    worker.work.value = worker.work.value + 1
    worker.work.run = lambda: None
    with pytest.raises(WrongError):
        worker.check()


class Answers:
    """A worker with prepared answers, which makes a request of the proxy in each run."""

    def __init__(self, said, proxy):
        self.said, self.proxy = said, proxy

    def ask(self, command):
        self.proxy.log_ += ["GET"]
        return self.said[command].pop(0)

    def close(self):
        pass

    def end(self):
        pass


class FakeProxy:
    peak = 1

    def __init__(self):
        self.log_ = []

    def keep(self):
        pass

    def latency(self, seconds):
        self.seconds = seconds

    def forget(self):
        self.log_ = []

    def log(self):
        return [SimpleNamespace(received=1, sent=2) for _ in self.log_]

    def methods(self):
        return {"GET": len(self.log_)}


def conduct(said, tmp_path, repeat=2):
    proxy = FakeProxy()
    cloud = Cloud(tmp_path, "bucket", "", "", {}, 1)
    conductor = CloudConductor(
        list(said),
        cloud,
        proxy,
        repeat=repeat,
        patience=10,
        child=lambda arguments, _: Answers(said[arguments[0]], proxy),
    )
    conductor.prepared.add("zstd")
    cells = conductor.row(CloudRow("row", "row", Work, "zstd", 5))
    assert proxy.seconds == 0.005
    return cells


def timed(*seconds):
    return {
        "check": [{"version": "1"}],
        "prepare": [{} for _ in seconds],
        "run": [{"seconds": one, "cpu": one / 2} for one in seconds],
    }


def test_requests_before_the_timed_work_are_not_counted(tmp_path):
    cells = conduct({"fastzarr": timed(3.0, 2.0)}, tmp_path)
    assert cells["fastzarr"].best == Run(2.0, 1.0, {"GET": 1}, 1, 1, 2)


def test_wrong_results_and_later_failures_are_not_timed(tmp_path):
    wrong = {"check": [{"wrong": "3 of 8 values differ"}]}
    dies = {**timed(1.0), "prepare": [{}, {"wrong": "died"}]}
    missing = {"check": [{"missing": "icechunk is not installed"}]}
    cells = conduct({"zarrista": wrong, "tensorstore": dies, "icechunk": missing}, tmp_path)
    assert {name: (cell.least, cell.reason) for name, cell in cells.items()} == {
        "zarrista": (None, "3 of 8 values differ"),
        "tensorstore": (None, "died"),
        "icechunk": (None, "icechunk is not installed"),
    }


def test_the_tables_show_times_requests_and_reasons():
    row = CloudRow("row", "read", Read, "zstd")
    cells = {
        "fastzarr": CloudCell([Run(0.3, 0.2, {"GET": 5}, 4, 0, 1 << 20)]),
        "tensorstore": CloudCell([Run(0.4, 0.1, {"GET": 5, "HEAD": 5}, 4, 0, 3 << 20)]),
        "icechunk": CloudCell(reason="not installed"),
        "client": CloudCell([Run(0.2, 0.1, {"GET": 5}, 5, 0, 1 << 20)]),
        "decoding": CloudCell([Run(0.1, 0.16, {}, 0, 0, 0)]),
    }
    times = " ".join(table.times([row], {"row": cells}).split())
    assert "300 (200) | 400 (100) | - [1] | 200 (100) | 100 (160) | tensorstore | 0.750 |" in times
    assert "| 1.50 | 1.25 |" in times
    assert "1. icechunk: not installed" in times
    requests = " ".join(table.requests([row], {"row": cells}).split())
    assert "| 5, 4, 1.00 | 10 (5 HEAD), 4, 3.00 | - | 5, 5, 1.00 |" in requests


def test_rows_have_names_of_their_own_and_data_that_exist():
    cloud = Cloud(Path(), "", "", "", {}, 1)
    assert len(BY_NAME) == len(ROWS)
    assert {cloud.place(row.data).prefix for row in ROWS} == {row.data for row in ROWS}


def test_tiles_differ():
    values = Stored(Layout("", "", (1, 2, 2), "none"), (50, 4), (50, 2, 2)).values()
    assert (values.shape, values.dtype) == ((50, 4), np.float32)
    assert len(np.unique(values[::20], axis=0)) == 3


def test_the_bare_client_finds_chunks():
    assert key("a", (1, 2)) == "a/c/1/2"
    assert touched((slice(0, 10), slice(9, 11)), (10, 10)) == [range(1), range(2)]
    cells = one_shard((slice(6, 30), slice(0, 2)), (20, 2), (5, 1), (1, 0))
    assert cells == [(0, 0), (0, 1), (1, 0), (1, 1)]
    index = memoryview(np.arange(12, dtype="<u8").tobytes())
    assert entry(index, (2, 3), (1, 1)) == (8, 8 + 9)
    assert runs([(5, 7), (0, 2), (2, 4)]) == [(0, 4), (5, 7)]
