"""zarr-python's settings in the facade."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fastzarr
import fastzarr.compat as zarr
from fastzarr.compat.core.config import Config, config
from fastzarr.errors import ZarrUserWarning

if TYPE_CHECKING:
    from pathlib import Path


def test_the_defaults_have_zarr_pythons_names_and_values() -> None:
    [defaults] = config.defaults
    assert defaults["array"]["write_empty_chunks"] is False
    assert defaults["async"] == {"concurrency": 10, "timeout": None}
    assert defaults["codecs"]["numcodecs.bz2"] == "zarr.codecs.numcodecs.BZ2"
    assert set(defaults) == {
        *("default_zarr_format", "array", "async", "threading", "json_indent"),
        *("codec_pipeline", "codecs", "buffer", "ndbuffer"),
    }


def test_a_change_ends_with_its_block() -> None:
    with config.set({"array": {"order": "F"}, "mine.setting": 1}):
        assert config.get("array.order") == "F"
        assert config.get("mine") == {"setting": 1}
    assert config.get("array.order") == "C"
    assert config.get("mine.setting", None) is None


def test_names_may_have_hyphens_or_underscores() -> None:
    with config.set({"codecs.vlen_utf8": "mine.VLen", "json-indent": 4}):
        assert config.get("codecs")["vlen-utf8"] == "mine.VLen"
        assert config.get("json_indent") == 4


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("json_indent", "json_indent"),
        ("threading.max_workers", "threading.max_workers"),
        ("async.concurrency", "fetch.concurrency"),
    ],
)
def test_shared_settings_act_on_fastzarr_while_they_last(name: str, ours: str) -> None:
    before = fastzarr.config[ours]
    with config.set({name: 3}):
        assert fastzarr.config[ours] == 3
    assert fastzarr.config[ours] == before


def test_arrays_of_a_group_are_opened_with_the_settings_in_force() -> None:
    root = zarr.create_group({})
    root.create_array("x", shape=2, chunks=1, dtype="i8")
    with config.set({"array.write_empty_chunks": True, "array.order": "F"}):
        arrays = [root["x"], dict(root.arrays())["x"], zarr.open_array(root.store, path="x")]
        assert [array.config.write_empty_chunks for array in arrays] == [True] * 3
        assert [array.config.order for array in arrays] == ["F"] * 3
        arrays[0][:] = 0
    assert root["x"].nchunks_initialized == 2
    root["x"][:] = 0
    assert root["x"].nchunks_initialized == 0


def test_any_number_of_requests_means_the_bound_of_fastzarr() -> None:
    with config.set({"async.concurrency": 3}), config.set({"async.concurrency": None}):
        assert config.get("async.concurrency") is None
        assert fastzarr.config["fetch.concurrency"] == 64


def test_a_value_that_fastzarr_rejects_changes_nothing() -> None:
    with pytest.raises(ValueError, match="threading"):
        config.set({"array.order": "F", "threading.max_workers": 0})
    assert config.get("array.order") == "C"


def test_removed_settings_are_errors() -> None:
    with pytest.raises(ValueError, match="was removed"):
        config.set({"array.v3_default_compressors": []})


def test_there_are_no_buffers_on_a_gpu() -> None:
    with pytest.raises(NotImplementedError):
        config.enable_gpu()


def test_the_environment_sets_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZARR_ARRAY__ORDER", "F")
    monkeypatch.setenv("ZARR_CODECS__GZIP", "mine.Gzip")
    monkeypatch.setenv("ZARR_ASYNC__CONCURRENCY", "20")
    mine = Config({"array.order": "C", "async.concurrency": 20, "codecs.gzip": ""})
    assert mine.get("array.order") == "F"
    assert mine.get("async.concurrency") == 20
    assert mine.get("codecs") == {"gzip": "mine.Gzip"}


def test_the_environment_acts_on_fastzarr() -> None:
    code = (
        "import fastzarr, fastzarr.compat.core.config;print(fastzarr.config['fetch.concurrency'])"
    )
    environment = {**os.environ, "ZARR_ASYNC__CONCURRENCY": "7"}
    found = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "7"


def _configured(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Config:
    monkeypatch.setenv("ZARR_ROOT_CONFIG", str(folder / "root"))
    monkeypatch.setenv("HOME", str(folder / "home"))
    return Config({"array.order": "C", "json_indent": 2, "codecs.vlen-utf8": ""})


def test_files_set_defaults_and_the_later_one_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "home/.config/zarr").mkdir(parents=True)
    (tmp_path / "root/a.json").write_text('{"array": {"order": "F"}, "mine": {"x": 1}}')
    (tmp_path / "home/.config/zarr/b.json").write_text(
        '{"mine.x": 2, "codecs": {"vlen_utf8": "m.V"}}'
    )
    (tmp_path / "home/.config/zarr/c.txt").write_text("nothing of ours")
    mine = _configured(monkeypatch, tmp_path)
    assert (mine.get("array.order"), mine.get("mine.x")) == ("F", 2)
    assert mine.get("codecs") == {"vlen-utf8": "m.V"}
    monkeypatch.setenv("ZARR_MINE__X", "3")
    mine.refresh()
    assert mine.get("mine.x") == 3
    monkeypatch.setenv("ZARR_CONFIG", str(tmp_path / "named.json"))
    (tmp_path / "named.json").write_text('{"array": {"order": "C"}}')
    assert _configured(monkeypatch, tmp_path).get("array.order") == "C"


def test_files_in_yaml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.yaml").write_text("array:\n  order: F\n")
    (tmp_path / "root/b.yml").write_text("")
    assert _configured(monkeypatch, tmp_path).get("array.order") == "F"


def test_a_file_in_yaml_without_a_parser_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.yaml").write_text("array:\n  order: F\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.warns(ZarrUserWarning, match=r"a\.yaml have no effect, as PyYAML"):
        assert _configured(monkeypatch, tmp_path).get("array.order") == "C"


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json"):
        _configured(monkeypatch, tmp_path)
