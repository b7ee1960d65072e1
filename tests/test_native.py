"""Without the extension, there is one warning, at the user's line, and the same results."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fastzarr.config import config
from fastzarr.native import sorted_keys

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
import sys, warnings
sys.modules["fastzarr._native"] = None
import fastzarr
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    z = fastzarr.create_array({}, shape=4, dtype="i4")
    z[:] = 7
    assert z[:].tolist() == [7] * 4
    s = fastzarr.create_array({}, shape=2, dtype="string")
    s[:] = ["a", "bc"]
    assert s[:].tolist() == ["a", "bc"]
[warning] = caught
assert "not built" in str(warning.message), warning.message
print(warning.filename, warning.lineno)
"""


def test_a_missing_extension_is_warned_of_once_at_the_line_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run(  # noqa: S603  (this interpreter, a literal)
        [sys.executable, path], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(path), "6"], done.stderr


NAMES = st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=4).map(str.encode)), max_size=12)


@given(names=NAMES, cut=st.integers(0, 4), data=st.data())
def test_keys_are_those_of_the_twin(names: list[bytes], cut: int, data: st.DataObject) -> None:
    """The extension sorts names as Python does, drops what comes twice, and what is not text."""
    names += data.draw(st.lists(st.sampled_from(names), max_size=3)) if names else []
    found = sorted_keys(names, cut)
    with config.set({"data_path": "numpy"}):
        assert sorted_keys(names, cut) == found
    assert found == sorted(set(found))
