"""The settings of the process."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from waits import join

import fastzarr
from fastzarr.config import DEFAULTS, Config, config
from fastzarr.errors import BaseZarrError, ZarrUserWarning


def test_set_in_a_with_statement_ends_with_it() -> None:
    with config.set({"array.order": "F"}):
        assert config["array.order"] == "F"
    assert config["array.order"] == "C"


def test_a_nested_mapping_and_a_keyword_say_the_same_as_a_dotted_name() -> None:
    own = Config(DEFAULTS)
    own.set({"array": {"order": "F"}})
    own.set(array__write_empty_chunks=True)
    assert own["array.order"] == "F"
    assert own.get("array.write_empty_chunks") is True


def test_the_name_above_gives_a_mapping() -> None:
    assert config["threading"] == {"max_workers": None}


def test_an_unknown_name_is_a_key_error_that_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"'array.ordre'.*array\.order"):
        config["array.ordre"]


def test_an_unknown_name_gives_the_default_where_one_is_given() -> None:
    assert config.get("codec_pipeline.path", "none") == "none"


def test_the_environment_sets_a_default() -> None:
    code = "import fastzarr; print(fastzarr.config['array.write_empty_chunks'])"
    env = {"FASTZARR_ARRAY__WRITE_EMPTY_CHUNKS": "true", "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "True"


def test_a_change_made_inside_a_block_outlasts_the_block() -> None:
    own = Config(DEFAULTS)
    with own.set({"durability": "none"}):
        own.set({"json_indent": 4, "extra.name": 1})
        own.set({"durability": "full"})
        assert own["durability"] == "full"
    assert (own["json_indent"], own["extra.name"], own["durability"]) == (4, 1, "full")


def test_nested_blocks_of_one_setting_end_one_by_one() -> None:
    own = Config(DEFAULTS)
    with own.set({"json_indent": 3}):
        with own.set({"json_indent": 4, "array.order": "F"}):
            assert (own["json_indent"], own["array.order"]) == (4, "F")
        assert (own["json_indent"], own["array.order"]) == (3, "C")
    assert own.flat == Config(DEFAULTS).flat


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_that_overlap_leave_nothing_behind(first: int) -> None:
    own = Config(DEFAULTS)
    changes = [own.set({"json_indent": 3, "mine.x": 1}), own.set({"json_indent": 4, "mine.y": 1})]
    for change in changes:
        change.__enter__()
    changes[first].__exit__(None, None, None)
    assert own["json_indent"] == (3, 4)[1 - first]
    changes[1 - first].__exit__(None, None, None)
    assert own.flat == Config(DEFAULTS).flat


def test_blocks_of_many_threads_leave_nothing_behind() -> None:
    own = Config(DEFAULTS)
    barrier = threading.Barrier(8, timeout=100)

    def work(number: int) -> None:
        barrier.wait()
        for round_ in range(200):
            with own.set({"json_indent": number, f"mine.of{number}": round_}):
                assert own[f"mine.of{number}"] == round_

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert own.flat == Config(DEFAULTS).flat


def test_a_change_permanently_overridden_by_a_later_one_is_dropped() -> None:
    class Value:
        pass

    own = Config(DEFAULTS)
    with own.set({"mine.x": 1}):
        value = Value()
        own.set({"mine.x": value})
        gone = weakref.ref(value)
        del value
        own.set({"mine.x": 2})
        own.set({"mine.x": 3})
        assert gone() is None
    assert own["mine.x"] == 3


def test_a_reset_inside_a_block_is_permanent() -> None:
    own = Config(DEFAULTS)
    with own.set({"json_indent": 3}):
        own.reset()
        assert own["json_indent"] == 2
    assert own.flat == Config(DEFAULTS).flat


def test_values_derived_from_settings_follow_each_change() -> None:
    own = Config(DEFAULTS)
    calls = []

    def order() -> str:
        calls.append(1)
        return str(own["array.order"])

    assert [own.derived(order), own.derived(order), len(calls)] == ["C", "C", 1]
    with own.set({"array.order": "F"}):
        assert own.derived(order) == "F"
    assert own.derived(order) == "C"


def test_an_array_opened_in_a_block_has_the_settings_of_the_block() -> None:
    with config.set({"array.order": "F"}):
        inside = fastzarr.zeros((2, 2))
    assert (inside.config.order, fastzarr.zeros((2, 2)).config.order) == ("F", "C")


def test_a_misspelled_name_causes_a_warning() -> None:
    own = Config(DEFAULTS)
    with pytest.warns(ZarrUserWarning, match=r"'array\.ordre'.*did you mean 'array\.order'"):
        own.set({"array.ordre": "F"})
    for name, near in (("arry.order", "array.order"), ("limit.expansion", "limits.expansion")):
        with pytest.warns(ZarrUserWarning, match=f"{name!r}.*did you mean {near!r}"):
            own.set({name: 1})
    with pytest.warns(ZarrUserWarning, match=r"'nonsense'.*config\.pprint"):
        own.set({"nonsense": 1})


INVALID = {
    "array.order": ["Z", "f", 1, None],
    "array.casting": ["never", None],
    "array.write_empty_chunks": ["yes", None, 2, []],
    "array.read_padded_chunks": [3],
    "array.verify_checksums": ["no", None],
    "array.target_chunk_size_bytes": ["1MB", 0, 1.5],
    "array.target_shard_size_bytes": [-1],
    "durability": ["max", True],
    "data_path": ["rust"],
    "default_zarr_format": ["3", None],
    "json_indent": ["tab", -1, 1.5],
    "limits.chunk_bytes": [None, "x", -1, float("inf"), float("nan")],
    "threading.max_workers": [0, "all"],
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_value_is_refused_and_changes_nothing(name: str) -> None:
    own = Config(DEFAULTS)
    for value in INVALID[name]:
        pattern = rf"^{re.escape(name)}: must be .*, not {re.escape(repr(value))}$"
        with pytest.raises(BaseZarrError, match=pattern):
            own.set({"extra.name": 1, name: value})
        with pytest.raises(BaseZarrError, match=pattern):
            own.set(**{name.replace(".", "__"): value})
        assert own.flat == Config(DEFAULTS).flat


def test_valid_values_are_stored_in_their_type() -> None:
    own = Config(DEFAULTS)
    own.set({"array.write_empty_chunks": 1, "array.read_missing_chunks": np.bool_(0)})
    own.set({"limits.chunk_bytes": 1e6, "array.target_chunk_size_bytes": np.int64(1000)})
    own.set({"json_indent": "\t", "threading.max_workers": None})
    assert own["array.write_empty_chunks"] is True
    assert own["array.read_missing_chunks"] is False
    assert repr(own["limits.chunk_bytes"]) == "1000000"
    assert repr(own["array.target_chunk_size_bytes"]) == "1000"
    assert own["json_indent"] == "\t"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("False", False), ("1", True), ("0", False)]
)
def test_the_environment_is_read_as_json_and_as_python(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setenv("ZARR_ARRAY__WRITE_EMPTY_CHUNKS", text)
    monkeypatch.setenv("ZARR_JSON_INDENT", "None")
    monkeypatch.setenv("ZARR_ARRAY__ORDER", "F")
    own = Config(DEFAULTS)
    assert own["array.write_empty_chunks"] is value
    assert own["json_indent"] is None
    assert own["array.order"] == "F"


def test_an_invalid_variable_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTZARR_DURABILITY", "always")
    with pytest.raises(BaseZarrError, match=r"^FASTZARR_DURABILITY: must be one of .*'always'"):
        Config(DEFAULTS)


def test_settings_are_passed_as_a_mapping() -> None:
    with pytest.raises(TypeError, match=r"config\.set\(\{'array\.order': \.\.\.\}\)"):
        Config(DEFAULTS).set("array.order")  # type: ignore[arg-type]


def test_the_names_of_others_are_accepted(recwarn: pytest.WarningsRecorder) -> None:
    own = Config(DEFAULTS)
    own.set({"mine.x": 1, "async.concurrency": 3, "array.rectilinear_chunks": True})
    own.set({"codec_pipeline": {"path": "x", "batch_size": 1}, "buffer": "y"})
    assert not recwarn.list


def test_the_settings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    own = Config(DEFAULTS)
    own.set({"array.order": "F"})
    own.pprint()
    shown = capsys.readouterr().out
    assert shown.rstrip() == repr(own)
    assert "  array.order = 'F'\n" in shown
    for layout in ({}, {"width": 60}):
        stream = io.StringIO()
        own.pprint(stream, **layout)
        assert (stream.getvalue() == shown) is not bool(layout)
    assert ast.literal_eval(stream.getvalue())["array"]["order"] == "F"
