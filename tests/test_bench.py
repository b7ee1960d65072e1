"""The benchmark computes its figures correctly, and rejects wrong results."""

from __future__ import annotations

import datetime as dt
import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import bench.__main__ as program
from bench import groups, table
from bench.base import CannotError, Engine, MissingError, Row, Task, WrongError, same
from bench.conduct import Child, Conductor, progress
from bench.data import LAYOUTS, Workspace, field, texts
from bench.engines import ENGINES
from bench.table import Cell
from bench.worker import Worker, answer, rows

ROW = Row("read", "read all", Task)


class Answers:
    """A worker with prepared answers, which records its requests."""

    log: list[str]

    def __init__(self, name, said):
        self.name, self.said = name, said

    def send(self, command):
        self.log.append(f"{self.name} {command}")
        self.command = command

    def answer(self):
        return self.said[self.command].pop(0)

    def ask(self, command):
        self.send(command)
        return self.answer()

    def close(self):
        pass

    def end(self):
        pass


def conduct(said, *, repeat=2, patience=10.0):
    log: list[str] = []

    def child(arguments):
        one = Answers(arguments[0], said[arguments[0]])
        one.log = log
        return one

    work = Workspace(Path(), 8)
    conductor = Conductor(list(said), work, repeat=repeat, patience=patience, child=child)
    return conductor.row(ROW), log


def right(*seconds):
    return {
        "check": [{"seconds": 1.0, "version": "1"}],
        "time": [{"seconds": one, "spent": one} for one in seconds],
    }


def test_engines_take_turns_in_both_orders_and_the_least_time_counts():
    cells, log = conduct({"fastzarr": right(3.0, 2.0), "zarr": right(4.0, 5.0)})
    assert log == [
        *("fastzarr check", "zarr check"),
        *("fastzarr time", "zarr time", "zarr time", "fastzarr time"),
    ]
    assert (cells["fastzarr"].least, cells["zarr"].least) == (2.0, 4.0)


def test_wrong_results_are_not_timed_and_explained():
    wrong = {"check": [{"wrong": "3 of 8 values differ"}]}
    cells, log = conduct({"fastzarr": right(3.0, 2.0), "zarr": wrong})
    assert "zarr time" not in log
    assert (cells["zarr"].least, cells["zarr"].wrong) == (None, True)
    assert cells["zarr"].reason == "3 of 8 values differ"


def test_a_later_failure_discards_the_times():
    dies = {
        "check": [{"seconds": 1, "version": "1"}],
        "time": [{"seconds": 1, "spent": 1}, {"wrong": "died"}],
    }
    cells, _ = conduct({"zarr": dies})
    assert (cells["zarr"].least, cells["zarr"].reason) == (None, "died")


def test_a_slow_engine_has_two_turns():
    cells, _ = conduct({"zarr": right(9, 8), "fastzarr": right(1, 2, 3)}, repeat=3)
    assert [len(cells[name].figures) for name in ("zarr", "fastzarr")] == [2, 3]


def test_ratios_are_to_the_fastest_peer_and_to_the_floor():
    figures = {
        "fastzarr": 3.0,
        "fastzarr-numpy": 1.0,
        "zarr": 4.0,
        "tensorstore": 2.0,
        "floor": 1.5,
    }
    cells = {name: Cell([figure, figure + 1]) for name, figure in figures.items()}
    cells["h5py"] = Cell([0.1], reason="wrong")
    assert table.fastest_peer(cells) == "tensorstore"
    assert table.ratio(cells, "tensorstore") == 1.5
    assert table.ratio(cells, table.FLOOR) == 2.0
    assert table.ratio({"fastzarr": Cell([1.0])}, None) is None
    assert table.fastest_peer({"fastzarr": Cell([1.0])}) is None


def test_the_table_names_reasons_below():
    cells = {
        "fastzarr": Cell([0.002]),
        "zarrista": Cell(reason="no steps"),
        "zarr": Cell(reason="2 of 3 values differ", wrong=True),
        "floor": Cell([0.001]),
    }
    lines = table.times([ROW], {"read": cells}).splitlines()[2:]
    assert [" ".join(line.split()) for line in lines] == [
        "| read all | 2.00 | - [1] | wrong [2] | 1.00 | - | - | 2.00 |",
        "",
        "1. zarrista: no steps",
        "2. zarr: 2 of 3 values differ",
    ]


def a_group(rows=(), text="new", name="read"):
    return groups.Group(name, rows, lambda *_, **__: (text, False), tuple(ENGINES))


def test_the_page_keeps_the_text_around_the_tables_of_a_group(tmp_path):
    page = tmp_path / "README.md"
    before = "".join(f"{g.name}\n{g.marks[0]}\nold\n{g.marks[1]}\n" for g in groups.GROUPS)
    page.write_text(before)
    group = a_group()
    groups.publish(group, r"\1 new", page)
    begin, end = group.marks
    after = before.replace(f"{begin}\nold\n{end}", f"{begin}\n\n\\1 new\n\n{end}")
    assert page.read_text() == after != before
    assert list(tmp_path.iterdir()) == [page]
    with pytest.raises(ValueError, match="read: begin"):
        groups.between("nothing", group.marks, "new")


def test_the_page_has_a_place_for_each_group():
    page = groups.PAGE.read_text()
    marks = [mark for group in groups.GROUPS for mark in group.marks]
    assert re.findall("<!-- .*(?:begin|end) -->", page) == marks
    assert {row.name for group in groups.GROUPS for row in group.rows} >= {r.name for r in rows()}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Return a page with places for two groups, which are the only ones."""
    found = [a_group([ROW], "first"), a_group([ROW], "second", "write")]
    page = tmp_path / "README.md"
    page.write_text("".join(f"{group.marks[0]}old{group.marks[1]}\n" for group in found))
    monkeypatch.setattr(program, "PAGE", page)
    monkeypatch.setattr(program, "GROUPS", found)
    return page


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    return program.main()


def test_a_group_is_measured_alone_and_says_when(page, monkeypatch):
    assert run(monkeypatch, "--groups", "write") == 0
    first, second = page.read_text().split("<!-- write: begin -->")
    assert "old" in first
    assert "second" in second
    assert f"{dt.datetime.now(tz=dt.UTC):%Y-%m-}" in second
    assert f"Python {platform.python_version()}" in second


@pytest.mark.parametrize("words", [["--quick"], ["--rows", "read"], ["--engines", "zarr"]])
def test_what_is_not_a_whole_group_changes_nothing(words, page, monkeypatch, capsys):
    before = page.read_text()
    assert run(monkeypatch, *words) == 0
    assert page.read_text() == before
    assert "first" in capsys.readouterr().out


def test_an_interrupted_run_keeps_the_groups_that_were_measured(page, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    program.GROUPS[1] = groups.Group("write", [ROW], interrupted, tuple(ENGINES))
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch)
    first, second = page.read_text().split("<!-- write: begin -->")
    assert "first" in first
    assert second == "old<!-- write: end -->\n"


def test_a_group_that_cannot_be_measured_keeps_its_tables(page, monkeypatch, capsys):
    def absent(*_, **__):
        msg = "no servers"
        raise MissingError(msg)

    program.GROUPS[0] = groups.Group("read", [ROW], absent, tuple(ENGINES))
    assert run(monkeypatch) == 0
    assert page.read_text().startswith("<!-- read: begin -->old")
    assert "second" in page.read_text()
    assert "read: no servers" in capsys.readouterr().err


def test_an_engine_that_fails_is_named_while_the_rows_run(capsys):
    cells = {
        "fastzarr": Cell([0.002]),
        "zarr": Cell(reason="2 of 3 values differ", wrong=True),
        "zarrista": Cell(reason="no steps"),
    }
    progress(1, 2, ROW, cells)
    assert capsys.readouterr().err == (
        "1/2 read: fastzarr 2.00, zarr WRONG (2 of 3 values differ), zarrista - (no steps)\n"
    )


@pytest.mark.parametrize("layout", ["blosc64", "zstd64"])
def test_h5py_reads_what_another_process_has_compressed(layout, tmp_path):
    pytest.importorskip("hdf5plugin")
    Workspace(tmp_path, 64).prepare(layout, hdf=True)
    child = Child(["h5py", f"read-{layout}", str(tmp_path), "64"])
    said = child.ask("check")
    child.end()
    assert "version" in said, said


class Reads(Task):
    result = np.arange(3, dtype="f4")

    def run(self):
        return self.result

    def check(self, result):
        same(result, np.arange(3, dtype="f4"))


class FakeEngine(Engine):
    def version(self):
        return "1"


def test_a_worker_times_checked_results():
    worker = Worker(Reads(FakeEngine(), Workspace(Path(), 8)))
    assert "timed before it was checked" in answer(worker.time)["wrong"]
    assert answer(worker.check)["version"] == "1"
    assert answer(worker.time)["seconds"] > 0


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (np.arange(3, dtype="f8"), "data type float64, expected float32"),
        (np.arange(4, dtype="f4"), "shape (4,), expected (3,)"),
        (np.array([0, 1, 7], "f4"), "1 of 3 values differ"),
    ],
)
def test_a_worker_does_not_time_wrong_results(result, why):
    task = Reads(FakeEngine(), Workspace(Path(), 8))
    task.result = result
    worker = Worker(task)
    assert answer(worker.check) == {"wrong": why}
    assert "seconds" not in answer(worker.time)


def test_unsupported_cases_of_an_engine_are_reported_as_such():
    def refuse():
        msg = "no steps"
        raise CannotError(msg)

    def fail():
        raise OSError(5, "broken")

    assert answer(refuse) == {"cannot": "no steps"}
    assert answer(fail) == {"wrong": "OSError: [Errno 5] broken"}
    with pytest.raises(WrongError):
        same(0, 1)


def test_rows_have_names_of_their_own_and_layouts_that_exist():
    found = rows()
    assert len({row.name for row in found}) == len(found)
    assert {row.layout for row in found} - {None} <= set(LAYOUTS)
    assert {row.unit for row in found} == {"ms", "MiB"}


def test_the_field_is_the_same_each_time():
    assert np.array_equal(field((8, 8, 8)), field((8, 8, 8)))


def test_the_texts_are_the_same_each_time_and_of_every_kind():
    values = Workspace(Path(), 64).values("text")
    assert np.array_equal(values, texts(15_625))
    assert {text.isascii() for text in values.tolist()} == {True, False}
    # NumPy stores up to 15 bytes in the array itself.
    assert {len(text) > 15 for text in values.tolist()} == {True, False}


def test_a_document_of_texts_says_so():
    layout = LAYOUTS["text"].within((10,))
    document = layout.document((10,))
    assert (document["data_type"], document["fill_value"]) == ("string", "")
    assert [codec["name"] for codec in document["codecs"]] == ["vlen-utf8", "zstd"]


def test_rows_at_the_default_durability_have_an_engine_more():
    row = Row("create", "create", Task, durability="default")
    said = {"tensorstore": right(3.0), "tensorstore-sync": right(4.0)}

    def child(arguments):
        one = Answers(arguments[0], said[arguments[0]])
        one.log = []
        return one

    work = Workspace(Path(), 8)
    conductor = Conductor(list(said), work, repeat=1, patience=10.0, child=child)
    assert list(conductor.row(row)) == ["tensorstore", "tensorstore-sync"]
    said["tensorstore"] = right(3.0)
    assert list(conductor.row(ROW)) == ["tensorstore"]


@pytest.mark.parametrize(("level", "why"), [("replace", "never syncs"), ("full", "never syncs")])
def test_an_engine_that_never_syncs_refuses_other_levels(level, why):
    FakeEngine().use("none")
    FakeEngine().use("default")
    with pytest.raises(CannotError, match=why):
        FakeEngine().use(level)
