"""Without the extension, there is one warning, at the user's line, and the same results."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

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
