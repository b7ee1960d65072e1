"""Settings of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastzarr.config import DEFAULTS, Config, config


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
